"""What a format is, as data, and the formats Rollcall knows. Reading and mapping live elsewhere.

Rule: a new format is one module in this package and no change elsewhere: one that holds a `FORMAT`, which names its
files and columns, its reader and its mapping. `contracts.formats.delimited` reads any format whose files are delimited
text. What messages call a file, a field or a record is the format's, so that no text names what it does not have.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from contracts.discovery import Discovered
from contracts.roster import TABLES, Field, Roster, verify
from contracts.text import clean, listed

DEFAULT_FORMAT: Final = "csv-1.0"


def column_name(text: str) -> str:
    """A column's name as it is compared: without regard to case, blanks around it, or blank versus underscore."""
    return re.sub(r"\s+", "_", clean(text)).casefold()


@dataclass(frozen=True)
class Column:
    """A column of a file, under its published name.

    `required`: the header must name it. `is_id`: an empty cell under it is the file error id_missing. `aliases`: other
    spellings that are read; where a file has several, the published one counts, else the first one here. `field`: what
    it holds, by which messages speak of it.
    """

    name: str
    required: bool = False
    is_id: bool = False
    aliases: tuple[str, ...] = ()
    field: Field | None = None

    @property
    def spellings(self) -> tuple[str, ...]:
        """The published name, and its aliases."""
        return (self.name, *self.aliases)


@dataclass(frozen=True)
class FileFormat:
    """A file of a format, by its name. `optional`: a delivery may come without it; then it has no rows.

    Raises:
        ValueError: two columns have spellings that are read as one.
    """

    name: str
    columns: tuple[Column, ...]
    optional: bool = False

    def __post_init__(self) -> None:
        names = Counter(column_name(name) for column in self.columns for name in column.spellings)
        if several := [name for name, count in names.items() if count > 1]:
            raise ValueError(f"columns of {self.name} have the same spelling: {', '.join(several)}")


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

    `mapper` takes what its `reader` read. `source_name`: of records that another system holds, what it is called,
    such as Clever; None where districts send the files themselves. `nouns`: what it calls a class, or classes, if
    otherwise. `record_types`: where issues name types of records in place of files, whose fields each holds.
    """

    name: str
    files: tuple[FileFormat, ...]
    reader: Callable[[Format, Mapping[str, bytes]], Reading]
    mapper: Callable[[Reading], Roster]
    source_name: str | None = None
    nouns: Mapping[str, str] = field(default_factory=dict)
    record_types: Mapping[str, str] = field(default_factory=dict)

    def read(self, files: Mapping[str, bytes]) -> Reading:
        """Check and read the files, by name; those that are not of the format are not looked into.

        Raises:
            DataError: reading failed on data it should have accepted.
        """
        return self.reader(self, files)

    def to_roster(self, reading: Reading) -> Roster:
        """The canonical roster of what was read, its frames as `contracts.roster.TABLES` declares them.

        Raises:
            TableError: the mapping gave a frame that is not as declared.
        """
        roster = self.mapper(reading)
        verify(f"mapping {self.name}", roster, TABLES)
        return roster

    @property
    def file_names(self) -> tuple[str, ...]:
        """The names of all its files."""
        return tuple(file.name for file in self.files)

    @property
    def required_names(self) -> tuple[str, ...]:
        """The names of the files that a complete set has at least."""
        return tuple(file.name for file in self.files if not file.optional)

    @property
    def words(self) -> Mapping[str, str]:
        """What texts call things where the data are of this format."""
        sis = f"your SIS or in {self.source_name}" if self.source_name else "your SIS"
        return {"class": "class", "classes": "classes", "sis": sis, "source": self.source_name or "", **self.nouns}

    @property
    def _fields(self) -> Iterator[tuple[Field, str, str]]:
        """Each field with its file and column."""
        for file in self.files:
            yield from ((column.field, file.name, column.name) for column in file.columns if column.field)

    def columns_of(self, fields: Sequence[Field]) -> str:
        """The columns that hold these fields: "columns dob and grade in students.csv"; empty if there are none."""
        found = [(column, file) for each in fields for field, file, column in self._fields if field == each]
        if not found:
            return ""
        names, files = (tuple(dict.fromkeys(each)) for each in zip(*found, strict=True))
        if len(names) == 1:
            return f"column {names[0]} in {listed(files, len(files))}"
        by_file = (f"{listed([name for name, of in found if of == file], len(found))} in {file}" for file in files)
        return f"columns {', '.join(by_file)}"

    def file_of(self, whose: str) -> str:
        """The file whose rows are these records, by whose fields it holds; "the files" where none does."""
        return next((file for (table, _), file, _ in self._fields if table == whose), "the files")

    def tables_of(self, name: str) -> frozenset[str]:
        """Whose fields a file, or a type of records, holds, as `contracts.roster.Field` names them."""
        if name in self.record_types:
            return frozenset({self.record_types[name]})
        return frozenset(table for (table, _), file, _ in self._fields if file == name)

    def values_of(self, name: str, whose: str, row: Mapping[str, str | None]) -> dict[str, str]:
        """What a row of a file, as it came, holds of a person, class or enrollment: by field, without empty ones.

        row: by column as the header spells it. A format without columns has rows by field.
        """
        given = {column_name(key): value for key, value in row.items() if value is not None}
        columns = next((file.columns for file in self.files if file.name == name), ())
        if not columns:
            return {"external_id" if key == "id" else key: value for key, value in given.items()}
        found: dict[str, str] = {}
        for column in columns:
            value = next((given[each] for each in map(column_name, column.spellings) if each in given), None)
            if column.field is not None and column.field[0] == whose and value is not None:
                found[column.field[1]] = value
        return found

    def columns_in(
        self, name: str, row: Mapping[str, str | None], is_wanted: Callable[[Field], bool]
    ) -> dict[str, str | None]:
        """The cells of a row of a file, as it came, under columns that hold such fields."""
        file = next((file for file in self.files if file.name == name), FileFormat(name, ()))
        wanted = {
            column_name(spelling)
            for column in file.columns
            if column.field is not None and is_wanted(column.field)
            for spelling in column.spellings
        }
        return {key: value for key, value in row.items() if column_name(key) in wanted}

    def names(self, reading: Reading) -> dict[Field, str]:
        """How the files' headers spell each field."""
        columns = reading.columns
        return {field: columns[file][column] for field, file, column in self._fields if column in columns[file]}

    def absent(self, reading: Reading) -> dict[Field, str]:
        """The fields that no column of the files holds, each with what is lacking."""
        return {
            field: f"{file}: column {column}"
            for field, file, column in self._fields
            if column not in reading.columns[file]
        }

    def rows_under_headers(self, reading: Reading) -> dict[str, pl.DataFrame]:
        """By file, its rows with the columns that it has, as its header spells them."""
        return {
            name: reading.rows[name].select(
                "line", *(pl.col(column).alias(header) for column, header in columns.items())
            )
            for name, columns in reading.columns.items()
            if columns  # not of an optional file that is not there
        }


FORMATS: Final = Discovered[Format](__name__, "FORMAT", lambda form: form.name)


def file_formats() -> tuple[str, ...]:
    """The names of the formats of files that districts send themselves, in order."""
    return tuple(sorted(name for name, form in FORMATS.items() if form.source_name is None))
