"""What the modules of a package hold under one name: how formats and adapters are found."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Discovered(Mapping[str, T], Generic[T]):
    """The things of one name in a package's modules, by a key, found at first use: the modules import the package."""

    def __init__(self, package: str, name: str, key: Callable[[Any], str]) -> None:
        self._package, self._name, self._key = package, name, key

    @cached_property
    def _discovered(self) -> dict[str, T]:
        package = importlib.import_module(self._package)
        names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
        modules = [importlib.import_module(f"{self._package}.{name}") for name in names]
        things: list[T] = [getattr(module, self._name) for module in modules if hasattr(module, self._name)]
        return {self._key(thing): thing for thing in things}

    def forget(self) -> None:
        """Look again at the next use."""
        vars(self).pop("_discovered", None)

    def __getitem__(self, key: str) -> T:
        return self._discovered[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._discovered)

    def __len__(self) -> int:
        return len(self._discovered)
