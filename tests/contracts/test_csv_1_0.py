"""CSV format 1.0: its columns as published, and its rows as the canonical roster."""

from __future__ import annotations

import polars as pl
import pytest

from contracts.csv_1_0 import FORMAT, to_roster
from contracts.delimited import read_files
from contracts.roster import TABLES, Roster

FILES = {
    "schools.csv": "school_id,school_name\n0101,Lincoln High\n0102,\n",
    "teachers.csv": "teacher_id,school_id,first_name,last_name,email,phone\n"
    "T1,0101,Ada,Stone, Ada.Stone@Unified.example ,213 555 0101\n"
    "\n"
    "T1,0102,Ada,Stone,,\n",
    "students.csv": "student_id,school_id,first_name,last_name,email,phone,birth_date,grade,guardian_id,"
    "guardian_first_name,guardian_last_name,guardian_email,guardian_phone,guardian_relationship,guardian_type,"
    "guardian_language\n"
    "S1,0101,Ben,Reed,ben@pupils.example,2135550102,9/3/2014,04,G1,Cora,Reed,cora@home.example,2135550103,mother,"
    "primary,es\n"
    "S1,0101,Ben,Reed,,,,,,,,,2135550104,,,\n"
    "S2,0102,Di,Moss,,,,,,,,,,father,emergency,en\n",
    "classes.csv": "class_id,school_id,class_name,teacher_id\nC1,0101,Art,T1\nC1,0101,Art,T2\n",
    "enrollments.csv": "class_id,student_id,school_id\nC1,S1,0101\nC1,S2,\n",
}


@pytest.fixture(scope="module")
def roster() -> Roster:
    reading = read_files(FORMAT, {name: text.encode() for name, text in FILES.items()})
    assert reading.file_errors.rows() == []
    return to_roster(reading)


def test_the_files_have_the_published_columns() -> None:
    marks = {(False, False): "", (True, False): "*", (True, True): "**"}

    assert {
        file.name: " ".join(column.name + marks[column.required, column.is_id] for column in file.columns)
        for file in FORMAT.files
    } == {
        "schools.csv": "school_id** school_name*",
        "teachers.csv": "teacher_id** school_id** first_name* last_name* email* phone",
        "students.csv": "student_id** school_id** first_name* last_name* email phone birth_date grade guardian_id "
        "guardian_first_name guardian_last_name guardian_email guardian_phone guardian_relationship guardian_type "
        "guardian_language",
        "classes.csv": "class_id** school_id** class_name* teacher_id**",
        "enrollments.csv": "class_id** student_id** school_id",
    }


@pytest.mark.parametrize("table", TABLES)
def test_every_table_has_its_schema(roster: Roster, table: str) -> None:
    assert dict(getattr(roster, table).schema) == dict(TABLES[table])


def test_schools(roster: Roster) -> None:
    assert roster.schools.rows() == [("0101", "Lincoln High", "schools.csv", 2), ("0102", None, "schools.csv", 3)]


def test_each_row_gives_a_person_and_a_guardian_where_one_is_named(roster: Roster) -> None:
    assert roster.people["other_id"].to_list() == [None] * 7
    assert roster.people.drop("other_id").rows() == [
        (
            *(0, "employee", "teacher", "T1", "Ada", "Stone", "Ada.Stone@Unified.example", "213 555 0101"),
            *(None, None, None, "teachers.csv", 2),
        ),
        (1, "employee", "teacher", "T1", "Ada", "Stone", None, None, None, None, None, "teachers.csv", 4),
        (
            *(2, "student", "student", "S1", "Ben", "Reed", "ben@pupils.example", "2135550102"),
            *("9/3/2014", "04", None, "students.csv", 2),
        ),
        (3, "student", "student", "S1", "Ben", "Reed", None, None, None, None, None, "students.csv", 3),
        (4, "student", "student", "S2", "Di", "Moss", None, None, None, None, None, "students.csv", 4),
        (
            *(5, "guardian", "guardian", "G1", "Cora", "Reed", "cora@home.example", "2135550103"),
            *(None, None, "es", "students.csv", 2),
        ),
        (6, "guardian", "guardian", None, None, None, None, "2135550104", None, None, None, "students.csv", 3),
    ]


def test_school_members(roster: Roster) -> None:
    assert roster.school_members.rows() == [
        ("employee", "T1", "0101", "teachers.csv", 2),
        ("employee", "T1", "0102", "teachers.csv", 4),
        ("student", "S1", "0101", "students.csv", 2),
        ("student", "S1", "0101", "students.csv", 3),
        ("student", "S2", "0102", "students.csv", 4),
    ]


def test_classes_repeat_as_their_rows_do(roster: Roster) -> None:
    assert roster.classes.rows() == [
        ("C1", None, "0101", "Art", "classes.csv", 2),
        ("C1", None, "0101", "Art", "classes.csv", 3),
    ]


def test_class_members_are_owners_and_enrolled_students(roster: Roster) -> None:
    assert roster.class_members.rows() == [
        ("C1", "employee", "T1", True, None, "classes.csv", 2),
        ("C1", "employee", "T2", True, None, "classes.csv", 3),
        ("C1", None, "S1", False, "0101", "enrollments.csv", 2),
        ("C1", None, "S2", False, None, "enrollments.csv", 3),
    ]


def test_guardianships_point_to_their_guardians_entry(roster: Roster) -> None:
    assert roster.guardianships.rows() == [
        ("S1", 5, "mother", "primary", "students.csv", 2),
        ("S1", 6, None, None, "students.csv", 3),
    ]


@pytest.mark.parametrize("filled", ["id", "first_name", "last_name", "email", "phone"])
def test_any_one_of_five_columns_names_a_guardian(filled: str) -> None:
    header = f"student_id,school_id,first_name,last_name,guardian_{filled}"
    files = {**FILES, "students.csv": f"{header}\nS1,0101,Ben,Reed,x\nS2,0101,Di,Moss,\n"}

    roster = to_roster(read_files(FORMAT, {name: text.encode() for name, text in files.items()}))

    assert roster.guardianships.rows() == [("S1", 4, None, None, "students.csv", 2)]
    guardian = roster.people.filter(pl.col("kind") == "guardian").row(0, named=True)
    assert guardian["source_id" if filled == "id" else filled] == "x"


def test_the_roster_keeps_the_rows_as_they_came(roster: Roster) -> None:
    assert {name: rows.height for name, rows in roster.rows.items()} == {
        "schools.csv": 2,
        "teachers.csv": 2,
        "students.csv": 3,
        "classes.csv": 2,
        "enrollments.csv": 2,
    }
    assert roster.rows["enrollments.csv"].rows() == [(2, "C1", "S1", "0101"), (3, "C1", "S2", None)]


def test_files_without_rows_give_empty_tables() -> None:
    headers = {name: text.splitlines()[0].encode() for name, text in FILES.items()}

    roster = to_roster(read_files(FORMAT, headers))

    assert {table: getattr(roster, table).rows() for table in TABLES} == {table: [] for table in TABLES}
    assert {table: dict(getattr(roster, table).schema) for table in TABLES} == {
        table: dict(schema) for table, schema in TABLES.items()
    }
