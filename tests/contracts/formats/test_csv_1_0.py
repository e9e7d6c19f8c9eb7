"""CSV format 1.0: its columns as published, and its rows as the canonical roster."""

from __future__ import annotations

import csv
import random
import re
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.checking import check
from contracts.formats.csv_1_0 import FORMAT, to_roster
from contracts.formats.delimited import read_files
from contracts.roster import TABLES, Roster, StoredRoster, schema_of
from contracts.settling import settle
from sandbox.generator import generate

DOCUMENTATION = Path(__file__).parents[3] / "docs" / "csv-1.0.md"

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
        file.name: " ".join(
            "/".join(column.spellings) + marks[column.required, column.is_id] for column in file.columns
        )
        for file in FORMAT.files
    } == {
        "schools.csv": "school_id** school_name*",
        "teachers.csv": "school_id** teacher_id** teacher_first_name/first_name* teacher_last_name/last_name* "
        "teacher_email/email* teacher_mobile_phone/teacher_phone/phone",
        "students.csv": "school_id** student_id** student_first_name/first_name* student_last_name/last_name* "
        "dob/birth_date/date_of_birth grade student_email/email student_phone/phone guardian_first_name "
        "guardian_last_name guardian_email guardian_phone guardian_id guardian_relationship guardian_type "
        "guardian_language",
        "classes.csv": "school_id** class_id** teacher_id** class_name*",
        "enrollments.csv": "school_id class_id** user_id/student_id**",
    }


# Every other spelling of a column, in the order of FILES.
OTHERS = [
    ("teachers.csv", "first_name", "teacher_first_name"),
    ("teachers.csv", "last_name", "teacher_last_name"),
    ("teachers.csv", "email", "teacher_email"),
    ("teachers.csv", "phone", "teacher_mobile_phone"),
    ("teachers.csv", "phone", "teacher_phone"),
    ("students.csv", "first_name", "Student First Name"),
    ("students.csv", "last_name", "STUDENT_LAST_NAME"),
    ("students.csv", "email", "student_email"),
    ("students.csv", "phone", "student_phone"),
    ("students.csv", "birth_date", "dob"),
    ("students.csv", "birth_date", "date_of_birth"),
    ("enrollments.csv", "student_id", "user_id"),
]


@pytest.mark.parametrize(("file", "ours", "other"), OTHERS)
def test_a_column_means_the_same_in_every_spelling(roster: Roster, file: str, ours: str, other: str) -> None:
    header, body = FILES[file].split("\n", 1)
    spelled = ",".join(other if name == ours else name for name in header.split(","))
    reading = read_files(FORMAT, {name: text.encode() for name, text in {**FILES, file: f"{spelled}\n{body}"}.items()})
    found = to_roster(reading)

    assert (reading.file_errors.rows(), reading.notes) == ([], ())
    assert {table: getattr(found, table).rows() for table in TABLES} == {
        table: getattr(roster, table).rows() for table in TABLES
    }
    assert other in found.rows[file].columns
    assert ours not in found.rows[file].columns


def test_a_roster_says_what_its_files_call_a_field(roster: Roster) -> None:
    assert {field: name for field, name in roster.names.items() if field[1] != name} == {
        ("school", "external_id"): "school_id",
        ("school", "name"): "school_name",
        ("employee", "external_id"): "teacher_id",
        ("student", "external_id"): "student_id",
        ("guardian", "external_id"): "guardian_id",
        **{
            ("guardian", name): f"guardian_{name}" for name in ("first_name", "last_name", "email", "phone", "language")
        },
        ("guardianship", "relationship"): "guardian_relationship",
        ("guardianship", "type"): "guardian_type",
        ("class", "external_id"): "class_id",
        ("class", "name"): "class_name",
        ("enrollment", "external_id"): "student_id",
    }
    assert roster.absent == {}


def test_a_column_that_a_file_lacks_is_absent_and_one_without_values_is_not() -> None:
    students = "school_id,student_id,student_first_name,student_last_name,grade\n0101,S1,Ben,Reed,\n"
    teachers = "school_id,teacher_id,teacher_first_name,teacher_last_name,teacher_email\n"
    files = {**FILES, "students.csv": students, "teachers.csv": teachers}
    roster = to_roster(read_files(FORMAT, {name: text.encode() for name, text in files.items()}))

    assert roster.absent == {
        ("employee", "phone"): "teachers.csv: column teacher_mobile_phone",
        ("student", "birth_date"): "students.csv: column dob",
        ("student", "email"): "students.csv: column student_email",
        ("student", "phone"): "students.csv: column student_phone",
        ("guardian", "external_id"): "students.csv: column guardian_id",
        **{
            ("guardian", name): f"students.csv: column guardian_{name}"
            for name in ("first_name", "last_name", "email", "phone", "language")
        },
        **{("guardianship", name): f"students.csv: column guardian_{name}" for name in ("relationship", "type")},
    }


@pytest.mark.parametrize("table", TABLES)
def test_every_table_has_its_schema(roster: Roster, table: str) -> None:
    assert dict(getattr(roster, table).schema) == dict(schema_of(TABLES[table]))


def test_schools(roster: Roster) -> None:
    assert roster.schools.rows() == [("0101", "Lincoln High", "schools.csv", 2), ("0102", None, "schools.csv", 3)]


def test_each_row_gives_a_person_and_a_guardian_where_one_is_named(roster: Roster) -> None:
    assert roster.people["sis_id"].to_list() == [None] * 7
    assert roster.people.drop("sis_id").rows() == [
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
    assert guardian["external_id" if filled == "id" else filled] == "x"


def test_the_roster_keeps_the_rows_as_they_came(roster: Roster) -> None:
    assert {name: rows.height for name, rows in roster.rows.items()} == {
        "schools.csv": 2,
        "teachers.csv": 2,
        "students.csv": 3,
        "classes.csv": 2,
        "enrollments.csv": 2,
    }
    assert roster.rows["enrollments.csv"].to_dicts() == [
        {"line": 2, "school_id": "0101", "class_id": "C1", "student_id": "S1"},
        {"line": 3, "school_id": None, "class_id": "C1", "student_id": "S2"},
    ]


def test_files_without_rows_give_empty_tables() -> None:
    headers = {name: text.splitlines()[0].encode() for name, text in FILES.items()}

    roster = to_roster(read_files(FORMAT, headers))

    assert {table: getattr(roster, table).rows() for table in TABLES} == {table: [] for table in TABLES}
    assert {table: dict(getattr(roster, table).schema) for table in TABLES} == {
        name: dict(schema_of(table)) for name, table in TABLES.items()
    }


# --- what cannot be seen ---

DISTRICT = generate(seed=3, schools=2, students=12, teachers=3, classes=4, enrollments=24).csv_files()
CLEAN = read_files(FORMAT, DISTRICT)


def _hidden(name: str, content: bytes, nothing: str, draw: random.Random) -> tuple[str, bytes]:
    """The file with these characters at one end or both of some cells, inside their quotes or around them."""

    def end() -> str:
        return nothing if draw.random() < 0.2 else ""

    def cell(value: str) -> str:
        if draw.random() < 0.5 or "," in value or '"' in value:
            escaped = value.replace('"', '""')
            return f'{end()}"{end()}{escaped}{end()}"{end()}'
        return f"{end()}{value}{end()}"

    rows = csv.reader(content.decode().splitlines(), strict=True)
    text = "\n".join(",".join(map(cell, row)) for row in rows)
    return f"{end()}{draw.choice([name, name.title()])}{end()}", text.encode()


@settings(deadline=None, max_examples=40)
@given(
    nothing=st.text(
        st.characters(categories=["Cf", "Cc", "Zs", "Zl", "Zp"], exclude_characters="\0\n\r"), min_size=1, max_size=3
    ),
    seed=st.integers(0, 2**32),
)
def test_what_cannot_be_seen_at_the_ends_of_cells_headers_and_names_changes_nothing(nothing: str, seed: int) -> None:
    draw = random.Random(seed)

    reading = read_files(FORMAT, dict(_hidden(name, content, nothing, draw) for name, content in DISTRICT.items()))

    assert (reading.file_errors.rows(), reading.notes, reading.columns) == ([], (), CLEAN.columns)
    assert {name: rows.rows() for name, rows in reading.rows.items()} == {
        name: rows.rows() for name, rows in CLEAN.rows.items()
    }


# --- the documentation ---


def test_the_template_in_the_documentation_is_clean_and_has_every_column() -> None:
    blocks = re.findall(r"\n(\w+\.csv)\n\n```csv\n(.*?)```\n", DOCUMENTATION.read_text(), re.DOTALL)
    files = {name: text.encode() for name, text in blocks}
    reading = read_files(FORMAT, files)
    assert (list(files), reading.file_errors.rows(), reading.notes) == (list(FORMAT.file_names), [], ())
    assert {name: list(columns.values()) for name, columns in reading.columns.items()} == {
        file.name: [column.name for column in file.columns] for file in FORMAT.files
    }
    settled = settle(check(to_roster(reading), None, today=date(2026, 11, 24)), StoredRoster.nothing())
    assert settled.issues.rows() == []
    assert settled.people["kind"].to_list() == [*2 * ["employee"], *2 * ["student"], *3 * ["guardian"]]


def test_the_documentation_names_every_column_and_its_other_spellings() -> None:
    rows = re.findall(r"^\| (\w+\.csv) \| (.*) \|$", DOCUMENTATION.read_text(), re.MULTILINE)
    assert {name: re.sub(r"\*| \((?:unique|at most)[^)]*\)", "", text) for name, text in rows} == {
        file.name: ", ".join(
            column.name + (f" ({', '.join(column.aliases)})" if column.aliases else "") for column in file.columns
        )
        for file in FORMAT.files
    }


# --- deliveries as they came ---

CASES = Path(__file__).parents[2] / "cases"


def _night(case: str, night: int) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (CASES / case / f"night{night}").iterdir()}


@pytest.mark.parametrize(
    ("case", "people", "notes"),
    [
        ("01-invisible-stu", 84, ()),
        ("01-invisible-teachmail", 84, ()),
        ("08-footer-blankcells", 64, ()),
        ("08-header-again", 64, ("students.csv: line 17 skipped, as it repeats the header",)),
    ],
)
def test_the_second_night_says_what_the_first_said(case: str, people: int, notes: tuple[str, ...]) -> None:
    first, second = (read_files(FORMAT, _night(case, night)) for night in (1, 2))
    assert (first.file_errors.rows(), second.file_errors.rows(), second.notes) == ([], [], notes)
    before, after = (
        settle(check(to_roster(reading), None, today=date(2026, 11, 24)), StoredRoster.nothing())
        for reading in (first, second)
    )
    assert (before.issues.rows(), after.issues.rows()) == ([], [])
    for name in ("people", "school_members", "classes", "class_members", "guardianships"):
        one, other = (getattr(each, name).drop("file", "line", strict=False) for each in (before, after))
        assert sorted(one.rows(), key=repr) == sorted(other.rows(), key=repr)
    assert before.people.height == people


def test_a_count_of_rows_at_the_end_is_an_error_of_its_file() -> None:
    reading = read_files(FORMAT, _night("08-footer-sqlcmd", 2))
    assert reading.file_errors.rows() == [
        ("columns_invalid", "students.csv", 33, "1 cell for 16 columns", "(30 rows affected)")
    ]
