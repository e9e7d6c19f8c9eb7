"""What entries of a setup file are made of, and what every [[district.source]] says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict


def _slug(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", value):
        raise ValueError("must be lowercase letters, digits, - and _, beginning with a letter or digit")
    return value


def line(value: str) -> str:
    """The value, which has to be one line of text.

    Raises:
        ValueError: it is empty, or holds a line break or a character that cannot be seen.
    """
    if not value:
        raise ValueError("is empty")
    if not value.isprintable():
        raise ValueError("must be one line of printable text")
    return value


Slug = Annotated[str, AfterValidator(_slug)]
Line = Annotated[str, AfterValidator(line)]


class Entry(BaseModel):
    """Any entry: keys it does not know are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SourceEntry(Entry):
    """A [[district.source]]. Each adapter's says more: `kind` as a Literal, and its settings."""

    id: Slug
    kind: str

    @property
    def format_name(self) -> str:
        """The name of the format that its data are of."""
        raise NotImplementedError

    @property
    def settings(self) -> dict[str, Any]:
        """What its adapter needs to know, as it is stored."""
        raise NotImplementedError

    def relative_to(self, _folder: Path) -> Self:
        """The entry of a setup file in this folder, with its paths absolute."""
        return self
