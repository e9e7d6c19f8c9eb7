"""What a file format is, as data, and the formats Rollcall knows. Reading and mapping live elsewhere.

Rule: a new format is one module in this package and no change elsewhere. Its module is named for the format
(`csv_1_0` is "csv-1.0") and holds a `FORMAT`; `contracts.delimited` reads any format described this way.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import polars as pl

import contracts
from contracts.roster import Roster


@dataclass(frozen=True)
class Column:
    """A column of a file.

    `required`: the header must name it. `is_id`: an empty cell under it is the file error id_missing.
    """

    name: str
    required: bool = False
    is_id: bool = False


@dataclass(frozen=True)
class FileFormat:
    """A file of a format, by its exact name. Every file of a format is required."""

    name: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Format:
    """A set of files, and how their rows become the canonical roster.

    `to_roster` takes, by file name, the frames of `contracts.delimited.Reading.rows`.
    """

    name: str
    files: tuple[FileFormat, ...]
    to_roster: Callable[[Mapping[str, pl.DataFrame]], Roster]

    @property
    def file_names(self) -> tuple[str, ...]:
        """The names of the files of a complete set."""
        return tuple(file.name for file in self.files)


class _Formats(Mapping[str, Format]):
    """The formats of this package's modules, found at first use: the modules import this one."""

    @cached_property
    def _found(self) -> dict[str, Format]:
        names = sorted(module.name for module in pkgutil.iter_modules(contracts.__path__))
        modules = [importlib.import_module(f"contracts.{name}") for name in names if re.search(r"_\d+_\d+$", name)]
        formats: list[Format] = [module.FORMAT for module in modules]
        return {found.name: found for found in formats}

    def __getitem__(self, name: str) -> Format:
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


FORMATS: Final[Mapping[str, Format]] = _Formats()
