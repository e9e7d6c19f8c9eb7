"""Invented districts as files of CSV format 1.0: rows of text, and their bytes in the styles that real files come in.

It knows the format by itself and not by the reader's description of it, so that the two check each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import polars as pl

from sandbox.seeded import below, chance

if TYPE_CHECKING:
    from sandbox.generator import District

HEADERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "schools.csv": ("school_id", "school_name"),
        "teachers.csv": (
            "school_id",
            "teacher_id",
            "teacher_first_name",
            "teacher_last_name",
            "teacher_email",
            "teacher_mobile_phone",
        ),
        "students.csv": (
            "school_id",
            "student_id",
            "student_first_name",
            "student_last_name",
            "dob",
            "grade",
            "student_email",
            "student_phone",
            "guardian_first_name",
            "guardian_last_name",
            "guardian_email",
            "guardian_phone",
            "guardian_id",
            "guardian_relationship",
            "guardian_type",
            "guardian_language",
        ),
        "classes.csv": ("school_id", "class_id", "teacher_id", "class_name"),
        "enrollments.csv": ("school_id", "class_id", "user_id"),
    }
)

# Other spellings of them, by file; `mixed` files have those of some.
_OTHERS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "teachers.csv": {
            "teacher_first_name": "first_name",
            "teacher_last_name": "last_name",
            "teacher_email": "email",
            "teacher_mobile_phone": "phone",
        },
        "students.csv": {
            "student_first_name": "first_name",
            "student_last_name": "last_name",
            "student_email": "email",
            "student_phone": "phone",
            "dob": "birth_date",
        },
        "enrollments.csv": {"user_id": "student_id"},
    }
)
SPELLINGS: Mapping[str, Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {"published": {}, "other": _OTHERS, "mixed": {"students.csv": _OTHERS["students.csv"]}}
)

BOMS = {"utf-8": b"\xef\xbb\xbf", "utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}


@dataclass(frozen=True)
class CsvStyle:
    """How the files are written. UTF-16 always carries its byte-order mark, as the format asks.

    spelling: of the columns, as published, in another way, or in another way in some of the files.
    """

    line_end: str = "\n"
    bom: bool = False
    encoding: Literal["utf-8", "utf-16-le", "utf-16-be"] = "utf-8"
    quoting: Literal["where_needed", "mixed", "everything"] = "where_needed"
    final_newline: bool = True
    separator: str = ","
    spelling: Literal["published", "other", "mixed"] = "published"


def rows(district: District, *, teachers_enrolled: bool = False) -> dict[str, pl.DataFrame]:
    """The district's rows by file name: the columns of HEADERS as String (null: an empty cell), as a SIS spells them.

    teachers_enrolled: enrollments.csv names the teachers of a class as well, and classes.csv only the first of them.
    Telephones come in six notations and birth dates in four; one person's stay the same from day to day.
    """
    people = _as_text(district)
    teachers = people.filter(pl.col("kind") == "employee")
    students = people.filter(pl.col("kind") == "student")
    members = district.school_members.select("person", "school_id")
    entries = _guardian_entries(district, people)
    ids = people.select("person", "external_id")
    class_members = district.class_members.join(ids, on="person", maintain_order="left").join(
        district.classes.select(
            pl.col("external_id").alias("class_id"), "school_id", pl.col("name").alias("class_name")
        ),
        on="class_id",
        maintain_order="left",
    )
    owners, enrolled = class_members.filter("is_owner"), class_members.filter(~pl.col("is_owner"))
    if teachers_enrolled:
        owners, enrolled = owners.unique("class_id", keep="first", maintain_order=True), class_members
    files = {
        "schools.csv": district.schools.select(
            pl.col("external_id").alias("school_id"), pl.col("name").alias("school_name")
        ),
        "teachers.csv": teachers.rename(
            {
                "external_id": "teacher_id",
                "first_name": "teacher_first_name",
                "last_name": "teacher_last_name",
                "email": "teacher_email",
                "phone": "teacher_mobile_phone",
            }
        ).join(members, on="person", maintain_order="left_right"),
        "students.csv": students.rename(
            {
                "external_id": "student_id",
                "first_name": "student_first_name",
                "last_name": "student_last_name",
                "email": "student_email",
                "phone": "student_phone",
                "birth_date": "dob",
            }
        )
        .join(members, on="person", maintain_order="left_right")
        .join(entries, left_on="person", right_on="student", how="left", maintain_order="left_right"),
        "classes.csv": owners.rename({"external_id": "teacher_id"}),
        "enrollments.csv": enrolled.rename({"external_id": "user_id"}),
    }
    return {name: frame.select(HEADERS[name]) for name, frame in files.items()}


def _guardian_entries(district: District, people: pl.DataFrame) -> pl.DataFrame:
    """student, guardian, and the guardian's columns of students.csv, for each guardianship. people: as text."""
    guardians = people.filter(pl.col("kind") == "guardian").select(
        pl.col("person").alias("guardian"),
        pl.col("external_id").alias("guardian_id"),
        pl.col("first_name").alias("guardian_first_name"),
        pl.col("last_name").alias("guardian_last_name"),
        pl.col("email").alias("guardian_email"),
        pl.col("phone").alias("guardian_phone"),
        pl.col("language").alias("guardian_language"),
    )
    return district.guardianships.join(guardians, on="guardian", maintain_order="left").rename(
        {"relationship": "guardian_relationship", "type": "guardian_type"}
    )


def lines(frame: pl.DataFrame, style: CsvStyle) -> pl.Series:
    """The header and one line for each row (String), without line ends."""
    position = pl.int_range(frame.height, dtype=pl.UInt32, eager=True)
    cells = []
    for column in frame.columns:
        value = pl.col(column).fill_null("")
        quoted = '"' + value.str.replace_all('"', '""', literal=True) + '"'
        needed = value.str.contains(f'[{style.separator}"\r\n]')
        if style.quoting == "everything":
            needed = pl.lit(True)
        elif style.quoting == "mixed":
            needed |= pl.lit(chance(1, f"quoting {column}", position, 30))
        cells.append(pl.when(needed).then(quoted).otherwise(value))
    body = frame.select(pl.concat_str(cells, separator=style.separator).alias("line")).to_series()
    mark = '"' if style.quoting == "everything" else ""
    header = style.separator.join(f"{mark}{column}{mark}" for column in frame.columns)
    return pl.concat([pl.Series("line", [header], dtype=pl.String), body])


def encode(written: pl.Series, style: CsvStyle) -> bytes:
    """The bytes of a file of these lines."""
    text = written.str.join(style.line_end).item()
    if style.final_newline:
        text += style.line_end
    mark = BOMS[style.encoding] if style.bom or style.encoding != "utf-8" else b""
    return mark + str(text).encode(style.encoding)


def write_rows(files: Mapping[str, pl.DataFrame], style: CsvStyle) -> dict[str, bytes]:
    """The bytes of each file, by name. The frames' columns become the header, in the style's spelling."""
    return {name: encode(lines(with_spelling(name, frame, style), style), style) for name, frame in files.items()}


def with_spelling(name: str, frame: pl.DataFrame, style: CsvStyle) -> pl.DataFrame:
    """A file's rows under the style's spelling of their columns."""
    return frame.rename(SPELLINGS[style.spelling].get(name, {}), strict=False)


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files into a folder, made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _as_text(district: District) -> pl.DataFrame:
    """The district's people with telephones, dates and grades as text."""
    person = district.people["person"]
    notation = pl.lit(below(district.seed, "telephone notation", person, 6))
    area, exchange, line = (pl.col("phone").str.slice(start, length) for start, length in ((2, 3), (5, 3), (8, 4)))
    phone = (
        pl.when(notation == 0)
        .then(pl.col("phone"))
        .when(notation == 1)
        .then(pl.format("({}) {}-{}", area, exchange, line))
        .when(notation == 2)
        .then(pl.format("{}-{}-{}", area, exchange, line))
        .when(notation == 3)
        .then(pl.format("{}.{}.{}", area, exchange, line))
        .when(notation == 4)
        .then(pl.format("{}{}{}", area, exchange, line))
        .otherwise(pl.format("1-{}-{}-{}", area, exchange, line))
    )
    style = pl.lit(below(district.seed, "date notation", person, 4))
    born = pl.col("birth_date").dt
    birth_date = (
        pl.when(style == 0)
        .then(born.strftime("%Y-%m-%d"))
        .when(style == 1)
        .then(born.strftime("%m/%d/%Y"))
        .when(style == 2)
        .then(pl.format("{}/{}/{}", born.month(), born.day(), born.year()))
        .otherwise(pl.format("{}/{}/{}", born.month(), born.day(), born.strftime("%y")))
    )
    padded = pl.lit(chance(district.seed, "grade notation", person, 30)) & pl.col("grade").str.contains("^[0-9]$")
    return district.people.with_columns(
        phone=phone + pl.format(" x{}", "phone_extension").fill_null(""),
        birth_date=birth_date,
        grade=pl.when(padded).then("0" + pl.col("grade")).otherwise(pl.col("grade")),
    )
