"""CSV format 1.0: its five files as data, and their rows as the canonical roster. It checks and changes no value.

Source of the columns: the header names of Remind's published sample files; guardian_id, guardian_relationship,
guardian_type and guardian_language are ours.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from contracts.formats import Column, FileFormat, Format, Reading
from contracts.formats.delimited import read_files
from contracts.formats.people import all_people, person_rows
from contracts.roster import (
    CLASS_MEMBERS,
    CLASSES,
    EMPLOYEE,
    GUARDIAN,
    GUARDIANSHIPS,
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


def _id(name: str, field: Field, *aliases: str) -> Column:
    return Column(name, required=True, is_id=True, aliases=aliases, field=field)


def _required(name: str, field: Field, *aliases: str) -> Column:
    return Column(name, required=True, aliases=aliases, field=field)


def _optional(name: str, field: Field, *aliases: str) -> Column:
    return Column(name, aliases=aliases, field=field)


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
    people = _people(teachers, students, guardians)
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
        rows=FORMAT.rows_under_headers(reading),
        names=FORMAT.names(reading),
        absent=FORMAT.absent(reading),
    )


def _people(teachers: pl.DataFrame, students: pl.DataFrame, guardians: pl.DataFrame) -> pl.DataFrame:
    return all_people(
        [
            person_rows(
                teachers,
                EMPLOYEE,
                TEACHER,
                external_id="teacher_id",
                first_name="teacher_first_name",
                last_name="teacher_last_name",
                email="teacher_email",
                phone="teacher_mobile_phone",
            ),
            person_rows(
                students,
                STUDENT,
                STUDENT,
                external_id="student_id",
                first_name="student_first_name",
                last_name="student_last_name",
                email="student_email",
                phone="student_phone",
                birth_date="dob",
                grade="grade",
            ),
            person_rows(
                guardians,
                GUARDIAN,
                GUARDIAN,
                external_id="guardian_id",
                first_name="guardian_first_name",
                last_name="guardian_last_name",
                email="guardian_email",
                phone="guardian_phone",
                language="guardian_language",
            ),
        ]
    )


FORMAT: Final = Format(
    "csv-1.0",
    (
        FileFormat(
            SCHOOLS_FILE,
            (_id("school_id", ("school", "external_id")), _required("school_name", ("school", "name"))),
        ),
        FileFormat(
            TEACHERS_FILE,
            (
                _id("school_id", (EMPLOYEE, "school_id")),
                _id("teacher_id", (EMPLOYEE, "external_id")),
                _required("teacher_first_name", (EMPLOYEE, "first_name"), "first_name"),
                _required("teacher_last_name", (EMPLOYEE, "last_name"), "last_name"),
                _required("teacher_email", (EMPLOYEE, "email"), "email"),
                _optional("teacher_mobile_phone", (EMPLOYEE, "phone"), "teacher_phone", "phone"),
            ),
        ),
        FileFormat(
            STUDENTS_FILE,
            (
                _id("school_id", (STUDENT, "school_id")),
                _id("student_id", (STUDENT, "external_id")),
                _required("student_first_name", (STUDENT, "first_name"), "first_name"),
                _required("student_last_name", (STUDENT, "last_name"), "last_name"),
                _optional("dob", (STUDENT, "birth_date"), "birth_date", "date_of_birth"),
                _optional("grade", (STUDENT, "grade")),
                _optional("student_email", (STUDENT, "email"), "email"),
                _optional("student_phone", (STUDENT, "phone"), "phone"),
                _optional("guardian_first_name", (GUARDIAN, "first_name")),
                _optional("guardian_last_name", (GUARDIAN, "last_name")),
                _optional("guardian_email", (GUARDIAN, "email")),
                _optional("guardian_phone", (GUARDIAN, "phone")),
                _optional("guardian_id", (GUARDIAN, "external_id")),
                _optional("guardian_relationship", ("guardianship", "relationship")),
                _optional("guardian_type", ("guardianship", "type")),
                _optional("guardian_language", (GUARDIAN, "language")),
            ),
        ),
        FileFormat(
            CLASSES_FILE,
            (
                _id("school_id", ("class", "school_id")),
                _id("class_id", ("class", "external_id")),
                _id("teacher_id", ("class", "teacher_id")),
                _required("class_name", ("class", "name")),
            ),
        ),
        FileFormat(
            ENROLLMENTS_FILE,
            (
                _optional("school_id", ("enrollment", "school_id")),
                _id("class_id", ("enrollment", "class_id")),
                _id("user_id", ("enrollment", "external_id"), "student_id"),
            ),
        ),
    ),
    read_files,
    to_roster,
)
