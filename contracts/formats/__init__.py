"""What a format is, as data, and the formats Rollcall knows. Reading and mapping live elsewhere.

Rule: a new format is one module in this package and no change elsewhere: one that holds a `FORMAT`, which names its
reader and its mapping. `contracts.formats.delimited` reads any format whose files are delimited text.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import polars as pl

from contracts.roster import Roster
from contracts.text import clean, listed

# The kinds of sources, by what a district's roster comes as.
CSV: Final = "csv"
CLEVER: Final = "clever"
SOURCE_KINDS: Final = (CSV, CLEVER)


@dataclass(frozen=True)
class Column:
    """A column of a file, under its published name.

    `required`: the header must name it. `is_id`: an empty cell under it is the file error id_missing. `aliases`: other
    spellings that are read; where a file has several, the published one counts, else the one that stands first here.
    """

    name: str
    required: bool = False
    is_id: bool = False
    aliases: tuple[str, ...] = ()

    @property
    def spellings(self) -> tuple[str, ...]:
        """The published name, and its aliases."""
        return (self.name, *self.aliases)


@dataclass(frozen=True)
class FileFormat:
    """A file of a format, by its name. Every file of a format is required."""

    name: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Reading:
    """What a set of files holds.

    ``rows``: by file name, the frames that the format's `to_roster` takes, good rows only, in the order of the file.
    ``file_errors``: the frame `contracts.formats.delimited.FILE_ERRORS`, by file in the format's order, then by line.
    ``notes``: what was left out. ``columns``: by file name, the columns that the file has, by their published name,
    and how its header spells each.
    """

    rows: Mapping[str, pl.DataFrame]
    file_errors: pl.DataFrame
    notes: tuple[str, ...]
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Names:
    """Which names are those of a format's files.

    ``files``: by each file's own name, the names that match it, sorted. ``others``: the names that match none; those
    that are hidden by a leading dot last.
    """

    files: Mapping[str, tuple[str, ...]]
    others: tuple[str, ...]

    @property
    def found(self) -> str | None:
        """What is there in place of a missing file, as file_missing details it."""
        return f"found {listed(self.others)}" if self.others else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What is left out, as a note."""
        if not self.others:
            return ()
        what = "not a file" if len(self.others) == 1 else "not files"
        return (f"{what} of the format, left out: {listed(self.others)}",)


def match_names(files: Iterable[str], names: Iterable[str]) -> Names:
    """Find the files of a format, given by their own names, among names.

    Rule: names match without regard to case, and to blanks and invisible characters at their ends.
    """
    keys = {name: clean(name).casefold() for name in sorted(names)}
    matching = {file: tuple(name for name, key in keys.items() if key == file.casefold()) for file in files}
    matched = {name for several in matching.values() for name in several}
    others = sorted(keys.keys() - matched, key=lambda name: (name.startswith("."), name))
    return Names(matching, tuple(others))


@dataclass(frozen=True)
class Format:
    """A set of files, how they are read, and how their rows become the canonical roster.

    `kind`: the kind of source it belongs to, one of SOURCE_KINDS. `to_roster` takes what its `reader` read.
    """

    name: str
    kind: str
    files: tuple[FileFormat, ...]
    reader: Callable[[Format, Mapping[str, bytes]], Reading]
    to_roster: Callable[[Reading], Roster]

    def read(self, files: Mapping[str, bytes]) -> Reading:
        """Check and read the files, by name; those that are not of the format are not looked into.

        Raises:
            DataError: reading failed on data it should have accepted.
        """
        return self.reader(self, files)

    @property
    def file_names(self) -> tuple[str, ...]:
        """The names of the files of a complete set."""
        return tuple(file.name for file in self.files)


class _Formats(Mapping[str, Format]):
    """The formats of this package's modules, found at first use: the modules import this one."""

    @cached_property
    def _found(self) -> dict[str, Format]:
        names = sorted(module.name for module in pkgutil.iter_modules(__path__))
        modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
        formats: list[Format] = [module.FORMAT for module in modules if hasattr(module, "FORMAT")]
        return {found.name: found for found in formats}

    def __getitem__(self, name: str) -> Format:
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


FORMATS: Final[Mapping[str, Format]] = _Formats()


def formats_of(kind: str) -> tuple[str, ...]:
    """The names of the formats of a kind of source, in order."""
    return tuple(sorted(name for name, found in FORMATS.items() if found.kind == kind))
