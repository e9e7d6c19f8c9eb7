"""Clever's records (Data API 3): what of them is read, and how they become the canonical roster. It changes no value.

A kept delivery is seven files, one JSON object a line as Clever gave it, by ascending ID; a user with several roles
stands in several files. Rule: a missing, empty or unknown field, or one of another type than expected, is no failure;
but a file or an ID that is missing is, as somebody could be removed by mistake.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import polars as pl

from contracts.formats import FileFormat, Format, Reading
from contracts.formats.delimited import FILE_ERRORS
from contracts.formats.people import all_people, person_rows
from contracts.roster import (
    CLASS_MEMBERS,
    CLASSES,
    EMPLOYEE,
    GUARDIAN,
    GUARDIANSHIPS,
    SCHOOL_MEMBERS,
    SCHOOLS,
    STAFF,
    STUDENT,
    TEACHER,
    Field,
    Roster,
    Schema,
    as_table,
    empty,
)
from contracts.text import cleaned
from errors import DataError

SCHOOLS_FILE: Final = "schools.jsonl"
STUDENTS_FILE: Final = "students.jsonl"
TEACHERS_FILE: Final = "teachers.jsonl"
STAFF_FILE: Final = "staff.jsonl"
DISTRICT_ADMINS_FILE: Final = "district_admins.jsonl"
CONTACTS_FILE: Final = "contacts.jsonl"
SECTIONS_FILE: Final = "sections.jsonl"

# What people call the records of each file; the `file` of their places.
RECORD_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        SCHOOLS_FILE: "school",
        STUDENTS_FILE: "student",
        TEACHERS_FILE: "teacher",
        STAFF_FILE: "staff",
        CONTACTS_FILE: "contact",
        SECTIONS_FILE: "section",
    }
)

_RELATIONSHIP: Final = pl.Struct({"student": pl.String, "relationship": pl.String, "type": pl.String})
_IDS: Final = pl.List(pl.String)


def _user(role: str, fields: Mapping[str, pl.DataType]) -> Schema:
    return {
        "id": pl.String,
        "email": pl.String,
        "name": pl.Struct({"first": pl.String, "last": pl.String}),
        "roles": pl.Struct({role: pl.Struct(fields)}),
    }


_TEXT: Final = pl.String()
_IN_SCHOOLS: Final[Mapping[str, pl.DataType]] = MappingProxyType({"school": _TEXT, "schools": _IDS})
# The fields that are read, by file. Source: Clever's published description of its Data API.
_OBJECTS: Final[Mapping[str, Schema]] = MappingProxyType(
    {
        SCHOOLS_FILE: {"id": _TEXT, "sis_id": _TEXT, "school_number": _TEXT, "name": _TEXT},
        STUDENTS_FILE: _user(
            "student", {"sis_id": _TEXT, "student_number": _TEXT, "dob": _TEXT, "grade": _TEXT, **_IN_SCHOOLS}
        ),
        TEACHERS_FILE: _user("teacher", {"sis_id": _TEXT, "teacher_number": _TEXT, "title": _TEXT, **_IN_SCHOOLS}),
        STAFF_FILE: _user("staff", {"staff_id": _TEXT, "title": _TEXT, "department": _TEXT, **_IN_SCHOOLS}),
        DISTRICT_ADMINS_FILE: {"id": _TEXT},
        CONTACTS_FILE: _user(
            "contact",
            {
                "sis_id": _TEXT,
                "phone": _TEXT,
                "phone_type": _TEXT,
                "student_relationships": pl.List(_RELATIONSHIP),
            },
        ),
        SECTIONS_FILE: {
            "id": _TEXT,
            "sis_id": _TEXT,
            "name": _TEXT,
            "section_number": _TEXT,
            "period": _TEXT,
            "subject": _TEXT,
            "school": _TEXT,
            "teacher": _TEXT,
            "teachers": _IDS,
            "students": _IDS,
        },
    }
)
_ROLES: Final[Mapping[str, str]] = MappingProxyType(
    {STUDENTS_FILE: "student", TEACHERS_FILE: "teacher", STAFF_FILE: "staff", CONTACTS_FILE: "contact"}
)

# Which field of the roster each of these is, where a district need not share it.
_FIELDS: Final[Mapping[str, Mapping[str, Field]]] = MappingProxyType(
    {
        STUDENTS_FILE: {"email": (STUDENT, "email"), "dob": (STUDENT, "birth_date"), "grade": (STUDENT, "grade")},
        CONTACTS_FILE: {
            "email": (GUARDIAN, "email"),
            "phone": (GUARDIAN, "phone"),
            "relationship": ("guardianship", "relationship"),
            "type": ("guardianship", "type"),
        },
    }
)
# What Clever has of nobody.
_NEVER: Final[Mapping[Field, str]] = MappingProxyType(
    {
        (EMPLOYEE, "phone"): "Clever's teachers and staff: phone",
        (STUDENT, "phone"): "Clever's students: phone",
        (GUARDIAN, "language"): "Clever's contacts: language",
    }
)

_CONTROL: Final = r"[\x00-\x1f\x7f]+"
# How Polars hands out an object or a list where text belongs.
_NOT_TEXT: Final = r'(?s)^(?:\[(?:\]|(?:["\[{]|-?[0-9.]+[,\]]|(?:true|false|null)[,\]]).*)|\{(?:\}|".*\}))$'


def read(form: Format, files: Mapping[str, bytes]) -> Reading:
    """Read the records of all files; there are no file errors.

    ``rows``, by file name: ``line`` UInt32 (1 for the first) and ``id``, never null; then String columns, cleaned,
    empty as null, under Clever's names or, for the parts of a name, first_name and last_name; a staff member's staff_id
    as sis_id. Of users also ``schools`` List(String); of sections ``teachers`` (the primary one first) and
    ``students`` List(String); of contacts ``relationships``, List of Struct(student, relationship, type), those with a
    student. ``columns``: of the fields that a district need not share, those that any record has. ``notes``: how many
    contacts have no student, and district administrators no other role.
    A number where text belongs is taken as its digits; an object or a list there is null.

    Raises:
        DataError: a file is missing, is not what it was kept as, or has a record without an ID.
    """
    rows = {name: _records(name, files) for name in form.file_names}
    employed = pl.concat([rows[TEACHERS_FILE]["id"], rows[STAFF_FILE]["id"]])
    counts = {
        "contacts without a student, left out": (rows[CONTACTS_FILE]["relationships"].list.len() == 0).sum(),
        "district administrators without another role, who get no account": (
            ~rows[DISTRICT_ADMINS_FILE]["id"].is_in(employed.implode())
        ).sum(),
    }
    return Reading(
        rows,
        empty(FILE_ERRORS),
        tuple(f"{what}: {count}" for what, count in counts.items() if count),
        {name: {key: key for key in fields if _has_key(files[name], key)} for name, fields in _FIELDS.items()},
    )


def _has_key(content: bytes, key: str) -> bool:
    # Inside a value every quote is escaped, so that only a key is this.
    return re.search(rb'"%s"\s*:' % key.encode(), content) is not None


def _records(name: str, files: Mapping[str, bytes]) -> pl.DataFrame:
    try:
        objects = pl.read_ndjson(files[name], schema=_OBJECTS[name], ignore_errors=True)
    except (KeyError, pl.exceptions.PolarsError) as error:
        raise DataError(f"reading {name}", error) from None
    role = _ROLES.get(name)
    if role is not None:
        fields = pl.col("roles").struct.field(role).struct
        objects = objects.select(
            "id",
            *(fields.field(field) for field in ("staff_id", "sis_id") if field in _fields(name)),
            pl.col("name").struct.field("first").alias("first_name"),
            pl.col("name").struct.field("last").alias("last_name"),
            "email",
            *(fields.field(field) for field in _fields(name) if field not in ("staff_id", "sis_id")),
        ).rename({"staff_id": "sis_id", "student_relationships": "relationships"}, strict=False)
    records = objects.with_columns(_text(pl.col(pl.String)), _texts(pl.col(_IDS)))
    if name == CONTACTS_FILE:
        records = records.with_columns(relationships=_relationships(pl.col("relationships")))
    for one, several in (("school", "schools"), ("teacher", "teachers")):
        if several in records.columns:
            together = pl.concat_list(pl.concat_list(one).list.drop_nulls(), several)
            records = records.with_columns(together.list.unique(maintain_order=True).alias(several)).drop(one)
    if records["id"].null_count():
        raise DataError(f"reading {name}, where a record has no ID", ValueError()) from None
    return records.with_row_index("line", offset=1).with_columns(pl.col("line").cast(pl.UInt32))


def _fields(name: str) -> list[str]:
    roles = _OBJECTS[name]["roles"]
    assert isinstance(roles, pl.Struct)
    (role,) = roles.fields
    assert isinstance(role.dtype, pl.Struct)
    return [field.name for field in role.dtype.fields]


def _text(value: pl.Expr) -> pl.Expr:
    text = cleaned(value.str.replace_all(_CONTROL, " "))
    return pl.when(~text.str.contains(_NOT_TEXT)).then(text)


def _texts(values: pl.Expr) -> pl.Expr:
    return values.list.eval(_text(pl.element())).list.drop_nulls().fill_null([])


def _relationships(values: pl.Expr) -> pl.Expr:
    """Those that name a student. Rule: the words in lower case, as school systems export them."""
    field = pl.element().struct.field
    words = pl.struct(
        _text(field("student")).alias("student"),
        _text(field("relationship")).str.to_lowercase().alias("relationship"),
        _text(field("type")).str.to_lowercase().alias("type"),
    )
    found = values.list.eval(words)
    with_student = found.list.eval(pl.element().filter(pl.element().struct.field("student").is_not_null()))
    return with_student.fill_null([])


def to_roster(reading: Reading) -> Roster:
    """The canonical roster of what `read` gave: frames of `contracts.roster.TABLES`, keyed by Clever's IDs.

    One row of people for each teacher, staff member and student, and one for each relationship of a contact to a
    student, with its guardianship; one of school_members for each school of somebody, and one without a school for who
    has none; one of classes for each section. A user with several roles is one employee, a teacher if that is one of
    them, in all schools of the roles. An enrollment's place is the student's record where there is one, else the
    section's. A field that no record of a kind has is absent; where there are no records, none is.
    """
    rows = reading.rows
    placed = {name: rows[name].with_columns(file=pl.lit(record_type)) for name, record_type in RECORD_TYPES.items()}
    schools, students, teachers, staff, contacts, sections = placed.values()
    staff_only = staff.join(teachers, on="id", how="anti", maintain_order="left")
    entries = (
        contacts.explode("relationships", empty_as_null=False)
        .unnest("relationships")
        .unique(["id", "student", "relationship", "type"], keep="first", maintain_order=True)
    )
    named = {"external_id": "id", **{name: name for name in ("sis_id", "first_name", "last_name", "email")}}
    people = all_people(
        [
            person_rows(teachers, EMPLOYEE, TEACHER, **named),
            person_rows(staff_only, EMPLOYEE, STAFF, **named),
            person_rows(students, STUDENT, STUDENT, **named, birth_date="dob", grade="grade"),
            person_rows(entries, GUARDIAN, GUARDIAN, **named, phone="phone"),
        ]
    )
    return Roster(
        schools=as_table(schools, SCHOOLS, external_id="id"),
        people=people,
        school_members=pl.concat(
            [_in_schools(_both_roles(teachers, staff, staff_only), EMPLOYEE), _in_schools(students, STUDENT)]
        ),
        classes=as_table(sections, CLASSES, external_id="id", sis_id="sis_id", school_id="school"),
        class_members=_class_members(sections, students),
        guardianships=as_table(
            entries,
            GUARDIANSHIPS,
            student_id="student",
            entry=pl.int_range(people.height - entries.height, people.height, dtype=pl.UInt32),
        ),
        rows=_to_read(placed),
        has_lines=False,
        shares_part=True,
        names={(STUDENT, "birth_date"): "dob"},
        absent=_absent(reading),
        date_order="month",
    )


def _both_roles(teachers: pl.DataFrame, staff: pl.DataFrame, staff_only: pl.DataFrame) -> pl.DataFrame:
    """id, schools, file, line: of each role of each employee, at the place of the employee's row of people."""
    columns = ("id", "schools", "file", "line")
    other_role = staff.select("id", "schools").join(teachers.select("id", "file", "line"), on="id")
    return pl.concat([teachers.select(columns), staff_only.select(columns), other_role.select(columns)])


def _in_schools(people: pl.DataFrame, kind: str) -> pl.DataFrame:
    memberships = (
        people.select("id", "file", "line", school_id="schools").explode("school_id", empty_as_null=True).unique()
    )
    has_school = pl.col("school_id").is_not_null()
    needed = memberships.filter(has_school | ~has_school.any().over("id"))
    return as_table(needed, SCHOOL_MEMBERS, kind=pl.lit(kind), external_id="id")


def _class_members(sections: pl.DataFrame, students: pl.DataFrame) -> pl.DataFrame:
    owners = _members(sections, "teachers")
    enrolled = _members(sections, "students").join(
        students.select(member="id", student_file="file", student_line="line"), on="member", how="left"
    )
    enrollments = enrolled.with_columns(
        file=pl.coalesce("student_file", "file"), line=pl.coalesce("student_line", "line")
    )
    in_class = {"class_id": "id", "external_id": "member", "school_id": None}
    return pl.concat(
        [
            as_table(owners, CLASS_MEMBERS, **{**in_class, "kind": pl.lit(EMPLOYEE), "is_owner": pl.lit(True)}),
            as_table(enrollments, CLASS_MEMBERS, **{**in_class, "kind": pl.lit(STUDENT), "is_owner": pl.lit(False)}),
        ]
    )


def _absent(reading: Reading) -> dict[Field, str]:
    unshared = {
        field: f"Clever's {RECORD_TYPES[name]}s: {key}"
        for name, fields in _FIELDS.items()
        for key, field in fields.items()
        if not reading.rows[name].is_empty() and key not in reading.columns[name]
    }
    return {**_NEVER, **unshared}


def _members(sections: pl.DataFrame, column: str) -> pl.DataFrame:
    exploded = sections.select("id", "file", "line", member=column).explode("member", empty_as_null=False)
    return exploded.unique(["id", "member"], keep="first", maintain_order=True)


def _to_read(placed: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """The records by their type as people read them: schools by name, and how many there are of other records."""
    names = placed[SCHOOLS_FILE].select("id", school_name=pl.coalesce("name", "id"))
    shown = {}
    for file, records in placed.items():
        rows = records.drop("file")
        if "schools" in rows.columns:
            of_user = (
                rows.select("line", "schools")
                .explode("schools", empty_as_null=False)
                .join(names, left_on="schools", right_on="id", how="left", maintain_order="left")
                .group_by("line")
                .agg(schools=pl.coalesce("school_name", "schools").sort().str.join("; "))
            )
            rows = rows.drop("schools").join(of_user, on="line", how="left", maintain_order="left")
        if "school" in rows.columns:
            rows = rows.join(names, left_on="school", right_on="id", how="left", maintain_order="left")
            rows = rows.with_columns(school=pl.coalesce("school_name", "school")).drop("school_name")
        rows = rows.rename({"relationships": "students"}, strict=False)
        shown[RECORD_TYPES[file]] = rows.with_columns(pl.col(pl.List).list.len().cast(pl.String))
    return shown


FORMAT: Final = Format(
    "clever-3",
    tuple(FileFormat(name, ()) for name in _OBJECTS),
    read,
    to_roster,
    source_name="Clever",
    nouns=MappingProxyType({"class": "section", "classes": "sections"}),
    record_types=MappingProxyType(
        {
            "school": "school",
            "student": STUDENT,
            "teacher": EMPLOYEE,
            "staff": EMPLOYEE,
            "contact": GUARDIAN,
            "section": "class",
        }
    ),
)
