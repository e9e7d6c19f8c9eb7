"""CSV format 1.0: its five files as data, and their rows as the canonical roster. It checks and changes no value.

Source of the columns: the header names of Remind's published sample files; guardian_id, guardian_relationship,
guardian_type and guardian_language are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import polars as pl

from contracts.formats import CSV, Column, FileFormat, Format, Reading
from contracts.formats.delimited import read_files
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
    Field,
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


def _id(name: str, *aliases: str) -> Column:
    return Column(name, required=True, is_id=True, aliases=aliases)


def _required(name: str, *aliases: str) -> Column:
    return Column(name, required=True, aliases=aliases)


def _optional(name: str, *aliases: str) -> Column:
    return Column(name, aliases=aliases)


# Which field of the roster each column is, where messages and missing columns speak of it.
_FIELDS: Final[Mapping[str, Mapping[str, Field]]] = MappingProxyType(
    {
        SCHOOLS_FILE: {"school_id": ("school", "external_id"), "school_name": ("school", "name")},
        TEACHERS_FILE: {
            "teacher_id": (EMPLOYEE, "external_id"),
            "teacher_first_name": (EMPLOYEE, "first_name"),
            "teacher_last_name": (EMPLOYEE, "last_name"),
            "teacher_email": (EMPLOYEE, "email"),
            "teacher_mobile_phone": (EMPLOYEE, "phone"),
        },
        STUDENTS_FILE: {
            "student_id": (STUDENT, "external_id"),
            "student_first_name": (STUDENT, "first_name"),
            "student_last_name": (STUDENT, "last_name"),
            "student_email": (STUDENT, "email"),
            "student_phone": (STUDENT, "phone"),
            "dob": (STUDENT, "birth_date"),
            "grade": (STUDENT, "grade"),
            "guardian_id": (GUARDIAN, "external_id"),
            "guardian_first_name": (GUARDIAN, "first_name"),
            "guardian_last_name": (GUARDIAN, "last_name"),
            "guardian_email": (GUARDIAN, "email"),
            "guardian_phone": (GUARDIAN, "phone"),
            "guardian_language": (GUARDIAN, "language"),
            "guardian_relationship": ("guardianship", "relationship"),
            "guardian_type": ("guardianship", "type"),
        },
        CLASSES_FILE: {"class_id": ("class", "external_id"), "class_name": ("class", "name")},
    }
)


def to_roster(reading: Reading) -> Roster:
    """The canonical roster of the five files' rows: frames of `contracts.roster.TABLES`, values as they came.

    A row of teachers.csv or students.csv gives one row each of people and school_members; one of students.csv that
    names a guardian also a guardian's row of people and the guardianship; one of classes.csv one row each of classes
    and class_members; one of enrollments.csv a row of class_members without a kind, as students and teachers share the
    column. Nothing is joined or left out: rows repeated in a file are repeated here.
    """
    schools, teachers, students, classes, enrollments = (
        reading.rows[name].with_columns(file=pl.lit(name)) for name in FORMAT.file_names
    )
    guardians = students.filter(pl.any_horizontal(pl.col(name).is_not_null() for name in _NAMES_A_GUARDIAN))
    people = pl.concat(
        [
            as_table(
                teachers,
                PEOPLE,
                kind=pl.lit(EMPLOYEE),
                role=pl.lit(TEACHER),
                external_id="teacher_id",
                sis_id=None,
                first_name="teacher_first_name",
                last_name="teacher_last_name",
                email="teacher_email",
                phone="teacher_mobile_phone",
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
                external_id="student_id",
                sis_id=None,
                first_name="student_first_name",
                last_name="student_last_name",
                email="student_email",
                phone="student_phone",
                birth_date="dob",
                language=None,
                entry=None,
            ),
            as_table(
                guardians,
                PEOPLE,
                kind=pl.lit(GUARDIAN),
                role=pl.lit(GUARDIAN),
                external_id="guardian_id",
                sis_id=None,
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
        schools=as_table(schools, SCHOOLS, external_id="school_id", name="school_name"),
        people=people,
        school_members=pl.concat(
            [
                as_table(teachers, SCHOOL_MEMBERS, kind=pl.lit(EMPLOYEE), external_id="teacher_id"),
                as_table(students, SCHOOL_MEMBERS, kind=pl.lit(STUDENT), external_id="student_id"),
            ]
        ),
        classes=as_table(classes, CLASSES, external_id="class_id", sis_id=None, name="class_name"),
        class_members=pl.concat(
            [
                as_table(
                    classes,
                    CLASS_MEMBERS,
                    kind=pl.lit(EMPLOYEE),
                    external_id="teacher_id",
                    is_owner=pl.lit(True),
                    school_id=None,
                ),
                as_table(enrollments, CLASS_MEMBERS, kind=None, external_id="user_id", is_owner=pl.lit(False)),
            ]
        ),
        guardianships=as_table(
            guardians,
            GUARDIANSHIPS,
            entry=pl.int_range(first_guardian, first_guardian + pl.len(), dtype=pl.UInt32),
            relationship="guardian_relationship",
            type="guardian_type",
        ),
        rows={name: _as_spelled(reading, name) for name in FORMAT.file_names},
        names={
            field: reading.columns[file][column]
            for file, fields in _FIELDS.items()
            for column, field in fields.items()
            if column in reading.columns[file]
        },
        absent={
            field: f"{file}: column {column}"
            for file, fields in _FIELDS.items()
            for column, field in fields.items()
            if column not in reading.columns[file]
        },
    )


def _as_spelled(reading: Reading, name: str) -> pl.DataFrame:
    """A file's rows with the columns that it has, as its header spells them."""
    columns = reading.columns[name]
    return reading.rows[name].select("line", *(pl.col(column).alias(header) for column, header in columns.items()))


FORMAT: Final = Format(
    "csv-1.0",
    CSV,
    (
        FileFormat(SCHOOLS_FILE, (_id("school_id"), _required("school_name"))),
        FileFormat(
            TEACHERS_FILE,
            (
                _id("school_id"),
                _id("teacher_id"),
                _required("teacher_first_name", "first_name"),
                _required("teacher_last_name", "last_name"),
                _required("teacher_email", "email"),
                _optional("teacher_mobile_phone", "teacher_phone", "phone"),
            ),
        ),
        FileFormat(
            STUDENTS_FILE,
            (
                _id("school_id"),
                _id("student_id"),
                _required("student_first_name", "first_name"),
                _required("student_last_name", "last_name"),
                _optional("dob", "birth_date", "date_of_birth"),
                _optional("grade"),
                _optional("student_email", "email"),
                _optional("student_phone", "phone"),
                _optional("guardian_first_name"),
                _optional("guardian_last_name"),
                _optional("guardian_email"),
                _optional("guardian_phone"),
                _optional("guardian_id"),
                _optional("guardian_relationship"),
                _optional("guardian_type"),
                _optional("guardian_language"),
            ),
        ),
        FileFormat(CLASSES_FILE, (_id("school_id"), _id("class_id"), _id("teacher_id"), _required("class_name"))),
        FileFormat(ENROLLMENTS_FILE, (_optional("school_id"), _id("class_id"), _id("user_id", "student_id"))),
    ),
    read_files,
    to_roster,
)
