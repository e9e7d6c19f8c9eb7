"""The sample districts of sandbox/districts: made here from the generator; those that send files are committed.

`python -m sandbox.samples` writes them again. sandbox/districts/README.md explains what each of them shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import polars as pl

from sandbox import csv_files
from sandbox.csv_files import CsvStyle
from sandbox.days import next_day
from sandbox.faults import plant
from sandbox.file_faults import plant_file_faults
from sandbox.generator import District, generate

FOLDER = Path(__file__).parent / "districts"

LINCOLN, ROOSEVELT, JEFFERSON = "0101", "0102", "0103"
# Planted people keep their numbers from night to night; the district's own never come so far.
_PLANTED_FROM = 7001

_UNIFIED_FAULTS = {
    "teacher_email_missing": 2,
    "name_missing": 1,
    "class_teacher_unknown": 1,
    "guardian_unreachable": 1,
    "co_teacher_unknown": 1,
    "birth_date_invalid": 1,
    "phone_invalid": 3,
    "student_without_class": 1,
    "class_without_students": 1,
    "grade_unknown": 1,
    "student_without_guardian": 1,
    "email_invalid": 2,
    "email_taken": 1,
}
_UNIFIED_SCHOOLS = {
    **dict.fromkeys(_UNIFIED_FAULTS, (LINCOLN,)),
    **dict.fromkeys(("grade_unknown", "student_without_guardian", "email_invalid", "email_taken"), (ROOSEVELT,)),
}


def samples() -> dict[str, bytes]:
    """All sample files by their path below sandbox/districts."""
    made = {"unified": _unified(), "riverbend": _riverbend(), "hillcrest": _hillcrest()}
    return {
        f"{district}/night{night}/{name}": content
        for district, nights in made.items()
        for night, files in enumerate(nights, start=1)
        for name, content in files.items()
    }


def write_samples(folder: Path = FOLDER) -> None:
    """Write the sample files, over those that are there."""
    for path, content in samples().items():
        csv_files.write_files(folder / Path(path).parent, {Path(path).name: content})


def _unified() -> list[Mapping[str, bytes]]:
    """Errors at Lincoln, alerts at Roosevelt; on the second night one teacher is mended, and Jefferson is cut short."""
    first = generate(11, schools=4, students=96, teachers=16, classes=32, enrollments=170, key="unified")
    second = next_day(first, 1, joined=3, left=1, moved=1, changed=5)
    one, two = (
        dict(plant(day, _UNIFIED_FAULTS, schools=_UNIFIED_SCHOOLS, first_number=_PLANTED_FROM).files)
        for day in (first, _cut_short(second, JEFFERSON, keep=8))
    )
    without = f"{LINCOLN},T0{_PLANTED_FROM},Miriam,Haruna,,"
    return [one, two | {"teachers.csv": _mended(two["teachers.csv"], without)}]


def _riverbend() -> list[Mapping[str, bytes]]:
    """A clean first night; on the second the files have errors, and the whole delivery is rejected."""
    style = CsvStyle(line_end="\r\n", bom=True, quoting="everything")
    first = _renamed(
        generate(5, schools=2, students=48, teachers=8, classes=16, enrollments=120, key="riverbend"),
        {"0101": "Riverbend High School", "0102": "Mill Pond Middle School"},
    )
    second = next_day(first, 1, joined=2, left=1, changed=3)
    faults = {"columns_invalid": 2, "quotes_invalid": 1, "line_break_in_cell": 1, "id_missing": 2}
    return [first.csv_files(style), plant_file_faults(second, faults, style=style).files]


def _hillcrest() -> list[Mapping[str, bytes]]:
    """One school and nothing wrong, on either night."""
    style = CsvStyle(quoting="mixed", final_newline=False)
    first = _renamed(
        generate(8, schools=1, students=30, teachers=5, classes=10, enrollments=90, key="hillcrest"),
        {"0101": "Hillcrest Academy"},
    )
    second = next_day(first, 1, joined=2, left=1, changed=4, teachers_joined=1)
    return [first.csv_files(style), second.csv_files(style)]


def lakeside() -> tuple[District, District]:
    """A district on two days that comes from Clever; so nothing of it is committed but its IDs in the setup file."""
    first = _renamed(
        generate(21, schools=2, students=40, teachers=7, classes=14, enrollments=110, key="lakeside"),
        {"0101": "Lakeside High School", "0102": "Harbor Middle School"},
    )
    return first, next_day(first, 1, joined=2, left=1, changed=3)


def _renamed(district: District, names: Mapping[str, str]) -> District:
    schools = district.schools.with_columns(name=pl.col("external_id").replace_strict(names, return_dtype=pl.String))
    return replace(district, schools=schools)


def _cut_short(district: District, school: str, keep: int) -> District:
    """The district as an export gives it that broke off after so many students of one school."""
    there = district.school_members.filter((pl.col("kind") == "student") & (pl.col("school_id") == school))
    only_here = there.join(district.school_members.filter(pl.col("school_id") != school), on="person", how="anti")
    lost = pl.col("person").is_in(only_here["person"].slice(keep).implode())
    students_left = district.guardianships.filter(~pl.col("student").is_in(only_here["person"].slice(keep).implode()))
    return replace(
        district,
        people=district.people.filter(~lost),
        school_members=district.school_members.filter(~lost),
        class_members=district.class_members.filter(~lost),
        guardianships=students_left,
    )


def _mended(teachers: bytes, without_email: str) -> bytes:
    """The file with the address filled in that was missing the night before."""
    row = without_email.encode()
    if teachers.count(row) != 1:
        raise ValueError("the teacher to be mended is not in the file")
    return teachers.replace(row, row[:-1] + b"miriam.haruna@unified.example,")


if __name__ == "__main__":
    write_samples()
