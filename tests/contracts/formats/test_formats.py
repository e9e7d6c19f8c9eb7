"""The formats Rollcall knows are found by their modules."""

from __future__ import annotations

import pytest

from contracts.formats import FORMATS, Column, FileFormat, Names, clever_3, file_formats, match_names
from contracts.formats.csv_1_0 import FORMAT


def test_every_format_is_found_by_its_name() -> None:
    assert dict(FORMATS) == {"clever-3": clever_3.FORMAT, "csv-1.0": FORMAT}
    assert len(FORMATS) == 2


def test_some_formats_are_of_files_that_districts_send() -> None:
    assert file_formats() == ("csv-1.0",)
    assert {name: form.source_name for name, form in FORMATS.items()} == {"csv-1.0": None, "clever-3": "Clever"}


def test_fields_are_named_by_their_columns_and_files() -> None:
    form = FORMATS["csv-1.0"]
    assert form.columns_of([("student", "birth_date")]) == "column dob in students.csv"
    assert form.columns_of([("student", "email"), ("guardian", "phone"), ("employee", "phone")]) == (
        "columns student_email and guardian_phone in students.csv, teacher_mobile_phone in teachers.csv"
    )
    of_school = [(table, "school_id") for table in ("employee", "student", "class")]
    assert form.columns_of(of_school) == "column school_id in teachers.csv, students.csv and classes.csv"
    assert form.columns_of([("student", "shoe_size")]) == FORMATS["clever-3"].columns_of(of_school) == ""


def test_columns_that_read_alike_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^columns of x\.csv have the same spelling: sourced_id$"):
        FileFormat("x.csv", (Column("sourced_id"), Column("b", aliases=("Sourced ID",))))


def test_an_unknown_format_is_none() -> None:
    assert "csv-9.9" not in FORMATS
    with pytest.raises(KeyError):
        FORMATS["csv-9.9"]


def test_a_complete_set_is_all_of_a_formats_files() -> None:
    assert FORMATS["csv-1.0"].file_names == (
        "schools.csv",
        "teachers.csv",
        "students.csv",
        "classes.csv",
        "enrollments.csv",
    )
    assert FORMATS["clever-3"].file_names == (
        "schools.jsonl",
        "students.jsonl",
        "teachers.jsonl",
        "staff.jsonl",
        "district_admins.jsonl",
        "contacts.jsonl",
        "sections.jsonl",
    )


def test_names_of_files_match_without_case_and_what_cannot_be_seen_at_their_ends() -> None:
    names = ["B.csv", "b.CSV\u200b", "\ufeffA.csv ", "a .csv", "a.csv.txt", ".a.csv", "Z"]

    assert match_names(("a.csv", "b.csv", "c.csv"), names) == Names(
        {"a.csv": ("\ufeffA.csv ",), "b.csv": ("B.csv", "b.CSV\u200b"), "c.csv": ()},
        ("Z", "a .csv", "a.csv.txt", ".a.csv"),
    )


@pytest.mark.parametrize(
    ("others", "found", "notes"),
    [
        ((), None, ()),
        (("notes.txt",), "found notes.txt", ("not a file of the format, left out: notes.txt",)),
        (("a", "b"), "found a and b", ("not files of the format, left out: a and b",)),
        (
            tuple("abcdefg"),
            "found a, b, c, d, e and 2 more",
            ("not files of the format, left out: a, b, c, d, e and 2 more",),
        ),
    ],
)
def test_other_names_are_reported(others: tuple[str, ...], found: str | None, notes: tuple[str, ...]) -> None:
    names = Names({}, others)
    assert (names.found, names.notes) == (found, notes)
