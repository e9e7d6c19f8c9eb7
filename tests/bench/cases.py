"""The districts that are measured, by size, and their deliveries of five nights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from sandbox.csv_files import CsvStyle, write_files
from sandbox.days import next_day
from sandbox.generator import District, generate
from tests.setups import setup_text

CHANGED_PERCENT = 1


@dataclass(frozen=True)
class Size:
    """How large a district is."""

    schools: int
    students: int
    teachers: int | None = None
    classes: int | None = None
    enrollments: int | None = None


SIZES = {
    "small": Size(20, 10_000),
    "district": Size(200, 100_000),
    "city": Size(1_800, 1_000_000, 75_000, 300_000, 6_000_000),
}
FIRST, SAME_BYTES, SAME_ROWS, CHANGED, ONE_SCHOOL = (
    "first load",
    "same bytes",
    "same rows in other bytes",
    "1 % changed",
    "one school changed",
)
NIGHTS = (FIRST, SAME_BYTES, SAME_ROWS, CHANGED, ONE_SCHOOL)


def write_deliveries(size: Size, folder: Path) -> District:
    """Write the setup file and, in a folder for each of NIGHTS, the five files; gives the district of the first."""
    made = generate(1, size.schools, size.students, size.teachers, size.classes, size.enrollments)
    (folder / "setup.toml").write_text(setup(made))
    for name, files in _deliveries(made):
        write_files(folder / name, files)
    return made


def _deliveries(district: District) -> Iterator[tuple[str, dict[str, bytes]]]:
    first = district.csv_files()
    yield FIRST, first
    yield SAME_BYTES, first
    yield SAME_ROWS, district.csv_files(CsvStyle(line_end="\r\n"))
    few = district.of_kind("student").height * CHANGED_PERCENT // 300
    changed = next_day(district, 2, joined=few, left=few, changed=few)
    yield CHANGED, changed.csv_files()
    yield ONE_SCHOOL, _with_one_school_changed(changed).csv_files()


def _with_one_school_changed(district: District) -> District:
    """Everybody at one school has another first name, and every class another name."""
    school = district.schools["external_id"][0]
    here = district.school_members.filter(school_id=school)["person"].implode()
    return replace(
        district,
        people=district.people.with_columns(
            first_name=pl.when(pl.col("person").is_in(here)).then(pl.col("first_name") + "a").otherwise("first_name")
        ),
        classes=district.classes.with_columns(
            name=pl.when(school_id=school).then(pl.col("name") + " 2").otherwise("name")
        ),
    )


def setup(district: District) -> str:
    """A setup file for a generated district, whose files are in `drop`."""
    return setup_text((f"s{key}", f"School {key}", key) for key in district.schools["external_id"])
