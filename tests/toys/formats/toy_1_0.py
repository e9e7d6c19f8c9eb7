"""A format of other files and columns than CSV 1.0, one of them optional, spelled as its publisher spells them."""

from __future__ import annotations

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


def _id(name: str, field: Field) -> Column:
    return Column(name, required=True, is_id=True, field=field)


def _names(whose: str) -> tuple[Column, ...]:
    return (
        Column("givenName", required=True, field=(whose, "first_name")),
        Column("familyName", required=True, field=(whose, "last_name")),
    )


def to_roster(reading: Reading) -> Roster:
    """The canonical roster of the files' rows."""
    orgs, staff, pupils, courses, seats, parents = (
        reading.rows[name].with_columns(file=pl.lit(name)) for name in FORMAT.file_names
    )
    names = {"external_id": "sourcedId", "first_name": "givenName", "last_name": "familyName"}
    in_org = {"external_id": "sourcedId", "school_id": "orgSourcedId"}
    people = all_people(
        [
            person_rows(staff, EMPLOYEE, TEACHER, **names, email="workEmail"),
            person_rows(pupils, STUDENT, STUDENT, **names, birth_date="birthDate"),
            person_rows(parents, GUARDIAN, GUARDIAN, **names, email="email"),
        ]
    )
    first_parent = staff.height + pupils.height
    return Roster(
        schools=as_table(orgs, SCHOOLS, external_id="sourcedId", name="orgName"),
        people=people,
        school_members=pl.concat(
            [
                as_table(staff, SCHOOL_MEMBERS, kind=pl.lit(EMPLOYEE), **in_org),
                as_table(pupils, SCHOOL_MEMBERS, kind=pl.lit(STUDENT), **in_org),
            ]
        ),
        classes=as_table(courses, CLASSES, sis_id=None, name="title", **in_org),
        class_members=pl.concat(
            [
                as_table(
                    courses,
                    CLASS_MEMBERS,
                    class_id="sourcedId",
                    kind=pl.lit(EMPLOYEE),
                    external_id="staffSourcedId",
                    is_owner=pl.lit(True),
                    school_id=None,
                ),
                as_table(
                    seats,
                    CLASS_MEMBERS,
                    kind=pl.lit(STUDENT),
                    is_owner=pl.lit(False),
                    class_id="courseSourcedId",
                    external_id="pupilSourcedId",
                    school_id=None,
                ),
            ]
        ),
        guardianships=as_table(
            parents,
            GUARDIANSHIPS,
            student_id="pupilSourcedId",
            entry=pl.int_range(first_parent, first_parent + pl.len(), dtype=pl.UInt32),
            relationship=None,
            type=None,
        ),
        rows=FORMAT.rows_under_headers(reading),
        names=FORMAT.names(reading),
        absent=FORMAT.absent(reading),
    )


FORMAT = Format(
    "toy-1.0",
    (
        FileFormat(
            "orgs.csv",
            (_id("sourcedId", ("school", "external_id")), Column("orgName", required=True, field=("school", "name"))),
        ),
        FileFormat(
            "staff.csv",
            (
                _id("sourcedId", (EMPLOYEE, "external_id")),
                _id("orgSourcedId", (EMPLOYEE, "school_id")),
                *_names(EMPLOYEE),
                Column("workEmail", required=True, field=(EMPLOYEE, "email")),
            ),
        ),
        FileFormat(
            "pupils.csv",
            (
                _id("sourcedId", (STUDENT, "external_id")),
                _id("orgSourcedId", (STUDENT, "school_id")),
                *_names(STUDENT),
                Column("birthDate", field=(STUDENT, "birth_date")),
            ),
        ),
        FileFormat(
            "courses.csv",
            (
                _id("sourcedId", ("class", "external_id")),
                _id("orgSourcedId", ("class", "school_id")),
                Column("title", required=True, field=("class", "name")),
                _id("staffSourcedId", ("class", "teacher_id")),
            ),
        ),
        FileFormat(
            "seats.csv",
            (
                _id("courseSourcedId", ("enrollment", "class_id")),
                _id("pupilSourcedId", ("enrollment", "external_id")),
            ),
        ),
        FileFormat(
            "parents.csv",
            (
                _id("sourcedId", (GUARDIAN, "external_id")),
                _id("pupilSourcedId", ("guardianship", "student_id")),
                *_names(GUARDIAN),
                Column("email", field=(GUARDIAN, "email")),
            ),
            optional=True,
        ),
    ),
    read_files,
    to_roster,
)
