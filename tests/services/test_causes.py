"""What seems to have brought a hold about: each cause seen where it is, and not where it is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from services.causes import Seen, causes
from services.plan import CHANGES, UPDATES, ChangeSet
from tests.services.test_guard import NOTHING

Person = tuple[str, str]  # source ID, school
PEOPLE = {"type": pl.String, "record_id": pl.String, "school_id": pl.String}
HERE = [(f"00{number}", "1") for number in range(10, 30)]
THERE = [(f"9{number}", "2") for number in range(10, 30)]


def seen(
    now: Sequence[Person] = (*HERE, *THERE),
    *,
    schools: Mapping[str, str] | None = None,
    rows: Mapping[str, int] | None = None,
    rows_before: Mapping[str, int] | None = None,
) -> Seen:
    """Lincoln (1) and Adams (2) with twenty students each, of grade 3; and a delivery that has these."""
    return Seen(
        schools=pl.DataFrame(
            list((schools or {"1": "Lincoln", "2": "Adams"}).items()),
            schema={"school_id": pl.String, "name": pl.String},
            orient="row",
        ),
        members=pl.DataFrame([("students", *each) for each in now], schema=PEOPLE, orient="row"),
        held=pl.DataFrame([("students", *each) for each in (*HERE, *THERE)], schema=PEOPLE, orient="row").with_columns(
            grade=pl.lit("3")
        ),
        school_ids={"unified/lincoln": "1", "unified/adams": "2"},
        names={"1": "Lincoln", "2": "Adams"},
        rows=rows or {},
        rows_before={"unified/lincoln": rows_before or {}},
    )


def changed(**changes: Any) -> ChangeSet:
    """What Lincoln's ChangeSet says: `action_type` and the IDs."""
    rows = []
    for told, ids in changes.items():
        action, kind = told.split("_", 1)
        rows += [{"action": action, "type": kind, "key": each, "record_id": each} for each in ids]
    return replace(NOTHING, changes=pl.DataFrame(rows, schema=dict(CHANGES)), before={"students": 20, "classes": 10})


def removals(changeset: ChangeSet, seen: Seen) -> str | None:
    return causes(changeset, seen).get("data_removals")


def test_nothing_is_said_where_nothing_is_seen() -> None:
    assert causes(changed(remove_students=["0010", "0011", "0012"]), seen()) == {}


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (0, "students.csv has its header and no rows; in the delivery applied last it had 100."),
        (79, "students.csv has shrunk to 79 rows; in the delivery applied last it had 100."),
        (80, None),
        (200, None),
    ],
)
def test_a_file_without_rows_or_with_far_fewer(now: int, said: str | None) -> None:
    found = seen(rows={"students.csv": now, "teachers.csv": 5}, rows_before={"students.csv": 100, "teachers.csv": 5})
    assert removals(changed(remove_students=["0010"]), found) == said


def test_leading_zeros_that_are_lost() -> None:
    gone, new = ["0010", "0011", "12"], ["10", "11", "12x"]
    assert removals(changed(remove_students=gone, create_students=new), seen()) == (
        "The IDs of 2 students have lost their leading zeros, as happens when a file is opened in a spreadsheet"
        " program."
    )
    # The same IDs of another type are no cause.
    assert removals(changed(remove_students=gone, create_classes=new), seen()) is None


def test_ids_that_were_issued_anew() -> None:
    changes = changed(change_students=["0010", "0011"]).changes.with_columns(
        action=pl.lit("change_id"), new_id=pl.Series(["10", "N11"])
    )
    assert removals(replace(NOTHING, changes=changes), seen()) == (
        "The IDs of 1 students have lost their leading zeros, as happens when a file is opened in a spreadsheet"
        " program. 2 students are there under a new ID; the list names the old and the new ID of each."
    )


@pytest.mark.parametrize(
    ("schools", "now", "said"),
    [
        ({"L": "Other", "2": "Adams"}, [(each, "L") for each, _ in HERE], "20 of its 20 people are at L now."),
        ({"L": " LINCOLN", "2": "Adams"}, [], "L in place of 1."),
        ({"01": "Other", "2": "Adams"}, [], "01 in place of 1."),
    ],
)
def test_a_schools_id_that_changed(schools: dict[str, str], now: list[Person], said: str) -> None:
    found = causes(replace(NOTHING, missing=True), seen([*now, *THERE], schools=schools))
    assert found == {"school_missing": f"The school seems to have another ID: {said}"}


def test_a_missing_school_without_another_like_it_has_no_cause() -> None:
    found = seen(THERE, schools={"3": "Washington", "2": "Adams"})
    assert causes(replace(NOTHING, missing=True), found) == {}


def test_another_schools_people() -> None:
    swapped = [(each, "1") for each, _ in THERE]
    assert removals(NOTHING, seen([*swapped, *THERE])) == (
        "20 of the 20 students listed for this school were at Adams until now: the data may be that school's."
    )


def test_people_whom_nobody_knows() -> None:
    strangers = [(f"x{number}", "1") for number in range(10)]
    assert removals(NOTHING, seen([*strangers, *THERE])) == (
        "Of the 10 students listed for this school only 0 are known there, unlike in the district's other schools: the"
        " data may be another school's."
    )
    assert removals(NOTHING, seen(strangers)) == (
        "Of all 10 students of the delivery only 0 are known in the district: the file may be another district's."
    )


def test_a_new_term_replaces_the_classes_and_keeps_the_people() -> None:
    classes = {"remove_classes": [f"c{number}" for number in range(9)], "create_classes": ["d1"]}
    assert removals(changed(**classes), seen()) == (
        "9 of 10 classes are replaced by 1 others, and 20 of 20 students stay: this looks like a new term."
    )
    assert removals(changed(**classes, remove_students=["0010", "0011", "0012"]), seen()) is None
    assert removals(changed(remove_classes=classes["remove_classes"]), seen()) is None


def test_a_new_year_moves_grades_on_and_some_leave() -> None:
    def year(moved: int, after: str) -> str | None:
        updates = pl.DataFrame(
            [{"type": "students", "field": "grade", "before": "3", "after": after}] * moved, schema=dict(UPDATES)
        )
        return removals(replace(changed(remove_students=["0010", "0011"]), updates=updates), seen())

    assert year(17, "4") == (
        "17 of the 18 students who stay have moved on by a grade, and 2 have left: this looks like a new school year."
    )
    assert year(16, "4") is None
    assert year(18, "5") is None


def test_values_that_slipped() -> None:
    rows = [
        {"type": "students", "field": "email", "before": f"{number}", "after": f"{number + 1}"} for number in range(10)
    ]
    changeset = replace(NOTHING, updates=pl.DataFrame(rows, schema=dict(UPDATES)))
    assert causes(changeset, seen()) == {
        "unusual_changes": "9 of the new e-mail addresses were those of others until now: a column may have slipped."
    }
