"""CSV format 1.0: its five files as data, and their rows as the canonical roster. It checks and changes no value.

Source of the columns: the published format fixes files, purpose and rules; some header names are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

from contracts.delimited import read_files
from contracts.formats import CSV, Column, FileFormat, Format
from contracts.roster import (
    CLASS_MEMBERS,
    CLASSES,
    EMPLOYEE,
    GUARDIAN,
    GUARDIANSHIPS,
    PEOPLE,
    SCHOOL_MEMBERS,
    SCHOOLS,
    STUDENT,
    TEACHER,
    Roster,
    as_table,
)

SCHOOLS_FILE: Final = "schools.csv"
TEACHERS_FILE: Final = "teachers.csv"
STUDENTS_FILE: Final = "students.csv"
CLASSES_FILE: Final = "classes.csv"
ENROLLMENTS_FILE: Final = "enrollments.csv"

# A students.csv row names a guardian when any of these is filled; relationship, type or language alone name nobody.
_NAMES_A_GUARDIAN: Final = (
    "guardian_id",
    "guardian_first_name",
    "guardian_last_name",
    "guardian_email",
    "guardian_phone",
)


def _id(name: str) -> Column:
    return Column(name, required=True, is_id=True)


def _required(name: str) -> Column:
    return Column(name, required=True)


def to_roster(rows: Mapping[str, pl.DataFrame]) -> Roster:
    """The canonical roster of the five files' rows: frames of `contracts.roster.TABLES`, values as they came.

    A row of teachers.csv or students.csv gives one row each of people and school_members; one of students.csv that
    names a guardian also a guardian's row of people and the guardianship; one of classes.csv one row each of classes
    and class_members. Nothing is joined or left out: rows repeated in a file are repeated here.
    """
    schools, teachers, students, classes, enrollments = (
        rows[name].with_columns(file=pl.lit(name)) for name in FORMAT.file_names
    )
    guardians = students.filter(pl.any_horizontal(pl.col(name).is_not_null() for name in _NAMES_A_GUARDIAN))
    people = pl.concat(
        [
            as_table(
                teachers,
                PEOPLE,
                kind=pl.lit(EMPLOYEE),
                role=pl.lit(TEACHER),
                source_id="teacher_id",
                other_id=None,
                birth_date=None,
                grade=None,
                language=None,
                entry=None,
            ),
            as_table(
                students,
                PEOPLE,
                kind=pl.lit(STUDENT),
                role=pl.lit(STUDENT),
                source_id="student_id",
                other_id=None,
                language=None,
                entry=None,
            ),
            as_table(
                guardians,
                PEOPLE,
                kind=pl.lit(GUARDIAN),
                role=pl.lit(GUARDIAN),
                source_id="guardian_id",
                other_id=None,
                first_name="guardian_first_name",
                last_name="guardian_last_name",
                email="guardian_email",
                phone="guardian_phone",
                birth_date=None,
                grade=None,
                language="guardian_language",
                entry=None,
            ),
        ]
    ).with_columns(entry=pl.int_range(pl.len(), dtype=pl.UInt32))
    first_guardian = teachers.height + students.height
    return Roster(
        schools=as_table(schools, SCHOOLS, source_id="school_id", name="school_name"),
        people=people,
        school_members=pl.concat(
            [
                as_table(teachers, SCHOOL_MEMBERS, kind=pl.lit(EMPLOYEE), source_id="teacher_id"),
                as_table(students, SCHOOL_MEMBERS, kind=pl.lit(STUDENT), source_id="student_id"),
            ]
        ),
        classes=as_table(classes, CLASSES, source_id="class_id", other_id=None, name="class_name"),
        class_members=pl.concat(
            [
                as_table(
                    classes,
                    CLASS_MEMBERS,
                    kind=pl.lit(EMPLOYEE),
                    source_id="teacher_id",
                    is_owner=pl.lit(True),
                    school_id=None,
                ),
                as_table(
                    enrollments, CLASS_MEMBERS, kind=pl.lit(STUDENT), source_id="student_id", is_owner=pl.lit(False)
                ),
            ]
        ),
        guardianships=as_table(
            guardians,
            GUARDIANSHIPS,
            entry=pl.int_range(first_guardian, first_guardian + pl.len(), dtype=pl.UInt32),
            relationship="guardian_relationship",
            type="guardian_type",
        ),
        rows=dict(rows),
    )


FORMAT: Final = Format(
    "csv-1.0",
    CSV,
    (
        FileFormat(SCHOOLS_FILE, (_id("school_id"), _required("school_name"))),
        FileFormat(
            TEACHERS_FILE,
            (
                _id("teacher_id"),
                _id("school_id"),
                _required("first_name"),
                _required("last_name"),
                _required("email"),
                Column("phone"),
            ),
        ),
        FileFormat(
            STUDENTS_FILE,
            (
                _id("student_id"),
                _id("school_id"),
                _required("first_name"),
                _required("last_name"),
                Column("email"),
                Column("phone"),
                Column("birth_date"),
                Column("grade"),
                Column("guardian_id"),
                Column("guardian_first_name"),
                Column("guardian_last_name"),
                Column("guardian_email"),
                Column("guardian_phone"),
                Column("guardian_relationship"),
                Column("guardian_type"),
                Column("guardian_language"),
            ),
        ),
        FileFormat(CLASSES_FILE, (_id("class_id"), _id("school_id"), _required("class_name"), _id("teacher_id"))),
        FileFormat(ENROLLMENTS_FILE, (_id("class_id"), _id("student_id"), Column("school_id"))),
    ),
    read_files,
    to_roster,
)
