"""The formats Rollcall knows are found by their modules."""

from __future__ import annotations

import pytest

from contracts.formats import CLEVER, CSV, FORMATS, Names, clever_3, formats_of, match_names
from contracts.formats.csv_1_0 import FORMAT


def test_every_format_is_found_by_its_name() -> None:
    assert dict(FORMATS) == {"clever-3": clever_3.FORMAT, "csv-1.0": FORMAT}
    assert len(FORMATS) == 2


def test_a_format_belongs_to_a_kind_of_source() -> None:
    assert formats_of(CSV) == ("csv-1.0",)
    assert formats_of(CLEVER) == ("clever-3",)
    assert {name: form.kind for name, form in FORMATS.items()} == {"csv-1.0": CSV, "clever-3": CLEVER}


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
def test_other_names_are_told(others: tuple[str, ...], found: str | None, notes: tuple[str, ...]) -> None:
    names = Names({}, others)
    assert (names.found, names.notes) == (found, notes)
