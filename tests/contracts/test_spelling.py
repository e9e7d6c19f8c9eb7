"""IDs that are nearly right: which ones they may be meant for."""

import polars as pl
import pytest

from contracts.roster import STUDENT
from contracts.spelling import NEAR, hints, near

LETTERS = "leading zeros and capitals have to be the same"
CHARACTERS = "every character has to be the same"


def found(missed: str, *known: str) -> list[tuple[str, ...]]:
    there = pl.DataFrame({"table": STUDENT, "key": known, "file": "students.csv"})
    frame = near(pl.DataFrame({"table": STUDENT, "key": [missed]}), there)
    assert frame.schema == pl.Schema(dict(NEAR))
    return frame.select("there", "hint").rows()


@pytest.mark.parametrize(
    ("missed", "there", "must"),
    [
        ("2", "000002", LETTERS),
        ("0002", "02", LETTERS),
        ("0", "000", LETTERS),
        ("ab-1", "AB-1", LETTERS),
        ("0ab", "AB", LETTERS),
        ("2.0", "000002", CHARACTERS),
        ("12", "12.0", CHARACTERS),
        ("1 2", "12", CHARACTERS),
        ("1\u00a02", "01 2", CHARACTERS),
        ("1\u200b2", "12", CHARACTERS),
    ],
)
def test_an_id_is_near_another_by_zeros_capitals_a_point_zero_and_blanks(missed: str, there: str, must: str) -> None:
    assert found(missed, there, "99") == [(there, f"students.csv has {there}; {must}")]


@pytest.mark.parametrize(("missed", "known"), [("2", "20"), ("C001", "C1"), ("1.5", "15"), ("C.0", "C"), ("12", "12")])
def test_other_ids_are_not_near(missed: str, known: str) -> None:
    assert found(missed, known) == []


def test_an_id_may_be_near_several_and_the_first_is_named_students_before_teachers() -> None:
    assert [there for there, _ in found("2", "02", "002")] == ["002", "02"]
    missed = pl.DataFrame({"table": ["employee", "student", "class"], "key": ["7", "7", "7"]})
    known = pl.DataFrame(
        {
            "table": ["employee", "student", "class", "student"],
            "key": ["007", "07", "0007", "8"],
            "file": ["teachers.csv", "students.csv", "classes.csv", "students.csv"],
        }
    )
    people = near(missed, known).filter(pl.col("table") != "class")
    assert hints(people).rows() == [("7", f"students.csv has 07; {LETTERS}")]
