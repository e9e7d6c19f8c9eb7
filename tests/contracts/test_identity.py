"""Who is known already under another ID, and who only looks like it."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date
from typing import Any

import polars as pl
import pytest

from contracts import identity
from contracts.roster import Settled, StoredRoster
from contracts.settling import settle
from tests.contracts.district import (
    NOBODY,
    Files,
    checked,
    codes,
    guardian_of,
    kept,
    link,
    one,
    settled,
    stored,
    student,
    teacher,
)

BORN = {"birth_date": date(2014, 9, 3)}
ANN = {"first_name": "Ann", "last_name": "Lee"}
FORMER = {"from_this_source": False, "former": True, "moving": True}
STAYING = {"from_this_source": False, "moving": True}


def found(files: Files, known: StoredRoster, external_id: str) -> Any:
    return one(settled(files, known), external_id, "link_id")


def pupils(*rows: dict[str, str]) -> Files:
    """Files whose students are these, without guardians unless they have some."""
    files = Files(students=[], enrollments=[])
    for row in rows:
        files.with_student(row)
    return files


# --- employees: email and name ---


@pytest.mark.parametrize(
    ("was", "is_same"),
    [
        ({}, True),
        ({"first_name": " TEA1", "last_name": "cher1"}, True),
        ({"last_name": "Other"}, False),
        ({"email": "other@unified.example"}, False),
        ({"email": None}, False),
        ({"active": False}, False),
        ({"active": False, "left": True}, True),
        ({"active": False, "left": True, "gone": True}, True),
        ({"kind": "student"}, False),
        ({"former": True}, False),
        ({"beyond": True}, True),
        (FORMER, True),
    ],
)
def test_a_teacher_is_known_by_email_and_name(was: dict[str, Any], is_same: bool) -> None:
    known = stored(
        link("L", "employee", "T900", **ANN) | {"first_name": "Tea1", "last_name": "Cher1"} | TEACHER_1 | was
    )
    result = settled(Files(), known)
    assert one(result, "T1", "link_id") == ("L" if is_same else None)
    assert result.seen_links["link_id"].to_list() == (["L"] if is_same else [])


TEACHER_1 = {"email": "t1@unified.example"}


def test_an_id_that_is_still_in_a_row_is_not_for_others() -> None:
    files = Files().with_teacher(teacher("T900", email="t1@unified.example"))
    known = stored(link("L", "employee", "T900", first_name="Tea1", last_name="Cher1", email="t1@unified.example"))
    assert found(files, known, "T900") == "L"
    assert codes(settled(files, known)).count("teacher_email_taken") == 1


def test_a_teacher_known_again_keeps_the_email_and_is_not_taken_from() -> None:
    known = stored(link("L", "employee", "T900", first_name="Tea1", last_name="Cher1", **TEACHER_1))
    result = settled(Files(), known)
    assert one(result, "T1", "email", "link_id", "adopts") == ("t1@unified.example", "L", None)
    assert "teacher_email_taken" not in codes(result)


# --- students: name and birth date, or email, or guardian ---


@pytest.mark.parametrize(
    ("now", "was", "is_same"),
    [
        ({"birth_date": "2014-09-03"}, BORN, True),
        ({"birth_date": "2014-09-04"}, BORN, False),
        ({"birth_date": "2014-09-03", "last_name": "Other"}, BORN, False),
        ({"birth_date": "2014-09-04", "email": "s@unified.example"}, BORN | {"email": "s@unified.example"}, False),
        ({"birth_date": "", "email": "s@unified.example"}, BORN | {"email": "s@unified.example"}, True),
        ({"birth_date": "", "email": "s@unified.example"}, BORN | {"email": "x@unified.example"}, False),
        ({"email": "s@unified.example"}, {"email": "s@unified.example"}, True),
        ({"birth_date": ""}, BORN, False),
    ],
)
def test_a_student_is_known_by_name_and_birth_date_or_email(
    now: dict[str, str], was: dict[str, Any], is_same: bool
) -> None:
    files = pupils(student("S1", guardian=NOBODY, **now))
    known = stored(link("L", "student", "S900", first_name="Stu1", last_name="Dent1") | was)
    assert found(files, known, "S1") == ("L" if is_same else None)


def test_without_birth_date_a_guardian_in_common_decides() -> None:
    files = pupils(student("S1", birth_date=""))
    pupil = link("L", "student", "S900", first_name="Stu1", last_name="Dent1")
    parent = link("LG", "guardian", "G1", email="g1@mail.example")
    assert found(files, stored(pupil, parent, guardianships=[("L", "LG")]), "S1") == "L"
    assert found(files, stored(pupil, parent), "S1") is None


def test_twins_of_one_name_and_namesakes_are_nobodys() -> None:
    twins = pupils(*(student(name, guardian=NOBODY, **ANN) for name in ("S1", "S2")))
    alone = pupils(student("S1", guardian=NOBODY, **ANN))
    first, second = (link(name, "student", f"S90{name[1]}", **ANN, **BORN) for name in ("L1", "L2"))
    assert [found(twins, stored(first, second), name) for name in ("S1", "S2")] == [None, None]
    assert [found(twins, stored(first), name) for name in ("S1", "S2")] == [None, None]
    assert found(alone, stored(first, second), "S1") is None
    assert found(alone, stored(first), "S1") == "L1"


def test_two_people_on_one_id_are_nobody() -> None:
    files = pupils(student("S1", guardian=NOBODY, **ANN), student("S1", guardian=NOBODY, last_name="Other"))
    assert settled(files, stored(link("L", "student", "S9", **ANN, **BORN))).seen_links.rows() == []


def test_a_rejected_record_keeps_what_it_is_known_to_be() -> None:
    files = pupils(student("S1", "9", guardian=NOBODY))
    result = settled(files, stored(link("L", "student", "S900", first_name="Stu1", last_name="Dent1", **BORN)))
    assert (result.seen_links.rows(), kept(result, "school_members")) == ([("L",)], [("L", None)])


# --- an ID given to somebody else ---


def test_swapped_ids_stay_with_their_people() -> None:
    files = Files().with_teacher(teacher("T2"))
    first, second = (
        link(name, "employee", was, first_name=f"Tea{now}", last_name=f"Cher{now}", email=f"t{now}@unified.example")
        for name, was, now in (("L1", "T2", 1), ("L2", "T1", 2))
    )
    result = settled(files, stored(first, second))
    assert [one(result, name, "link_id", "first_name") for name in ("T1", "T2")] == [("L1", "Tea1"), ("L2", "Tea2")]
    assert result.seen_links["link_id"].to_list() == ["L1", "L2"]
    assert kept(result, "school_members") == []


def test_an_id_given_to_somebody_else_never_renames_an_account() -> None:
    files = pupils(student("S1", guardian=NOBODY), student("S2", guardian=NOBODY, birth_date="2013-01-01"))
    # S1 was Ann Lee's; the first student's old ID is gone.
    known = stored(
        link("LA", "student", "S1", **ANN), link("L1", "student", "S9", first_name="Stu1", last_name="Dent1")
    )
    result = settled(files, replace(known, links=known.links.with_columns(birth_date=pl.lit(date(2010, 1, 1)))))
    assert [one(result, name, "link_id") for name in ("S1", "S2")] == [None, None]


def test_an_email_given_to_somebody_else_is_no_match() -> None:
    known = stored(link("L", "employee", "T900", **ANN, **TEACHER_1))
    result = settled(Files(), known)
    assert one(result, "T1", "link_id", "email") == (None, "t1@unified.example")


# --- guardians ---


@pytest.mark.parametrize(
    ("was", "is_same"),
    [
        ({"email": "g1@mail.example"}, True),
        ({"email": "g1@mail.example", "first_name": None, "last_name": "Gua1 Dian1"}, True),
        ({"email": "g1@mail.example", "first_name": "Pat"}, False),
        ({"phone": "+12135550101"}, True),
        ({"email": "x@mail.example"}, False),
    ],
)
def test_a_guardian_of_the_former_source_is_known_by_email_or_phone_and_name(
    was: dict[str, Any], is_same: bool
) -> None:
    files = pupils(student("S1", guardian=guardian_of("G1", phone="213 555 0101")))
    known = stored(link("L", "guardian", "G900", **FORMER, first_name="Gua1", last_name="Dian1") | was)
    assert found(files, known, "G1") == ("L" if is_same else None)


def test_a_guardian_without_either_is_known_by_the_student_and_the_name() -> None:
    pupil = link("LS", "student", "S900", **FORMER, first_name="Stu1", last_name="Dent1", **BORN)
    parent = link("LG", "guardian", "G900", **FORMER, first_name="Gua1", last_name="Dian1")
    assert found(Files(), stored(pupil, parent, guardianships=[("LS", "LG")]), "G1") == "LG"
    assert found(Files(), stored(pupil, parent), "G1") is None


# --- a source that has the school system's IDs ---


def with_other_ids(files: Files, known: StoredRoster, **sis_ids: str) -> Settled:
    """The files settled as if their source had other IDs beside its own."""
    records = checked(files)
    people = records.people.with_columns(
        sis_id=pl.col("external_id").replace_strict(sis_ids, default=None, return_dtype=pl.String)
    )
    entries = records.entries.with_columns(
        sis_id=pl.col("guardian_id").replace_strict(sis_ids, default=None, return_dtype=pl.String)
    )
    return settle(replace(records, people=people, entries=entries), known)


@pytest.mark.parametrize(
    ("was", "is_same"),
    [
        (FORMER | {"first_name": "Tea1"}, True),
        (FORMER | TEACHER_1, True),
        (FORMER, False),
        ({"first_name": "Tea1"}, False),
        ({"from_this_source": False, "former": True, "first_name": "Tea1"}, False),
        (FORMER | {"first_name": "Tea1", "external_id": "900"}, False),
        (FORMER | {"first_name": "Tea1", "kind": "student"}, False),
    ],
)
def test_the_old_id_counts_as_a_match_unless_it_is_another_persons(was: dict[str, Any], is_same: bool) -> None:
    known = stored(link("L", "employee", "0900", **ANN) | {"first_name": "Bo", "last_name": "Wu"} | was)
    assert one(with_other_ids(Files(), known, T1="0900"), "T1", "link_id") == ("L" if is_same else None)


def test_the_old_id_tells_twins_apart() -> None:
    files = pupils(*(student(name, guardian=NOBODY, **ANN) for name in ("S1", "S2")))
    known = stored(*(link(f"L{at}", "student", f"0{at}", **FORMER, **ANN, **BORN) for at in (1, 2)))
    result = with_other_ids(files, known, S1="02", S2="01")
    assert [one(result, name, "link_id") for name in ("S1", "S2")] == ["L2", "L1"]


def test_an_old_id_that_says_one_and_a_name_that_says_another_is_nobody() -> None:
    files = pupils(student("S1", guardian=NOBODY, **ANN))
    sister = link("LB", "student", "01", **FORMER, first_name="Bea", last_name="Lee", birth_date=date(2012, 1, 1))
    known = stored(sister, link("LA", "student", "02", **FORMER, **ANN, **BORN))
    assert one(with_other_ids(files, known, S1="01"), "S1", "link_id") is None
    assert one(with_other_ids(files, known, S1="02"), "S1", "link_id") == "LA"


@pytest.mark.parametrize(
    ("was", "is_same"), [({"last_name": "Dian1"}, True), ({"email": "g1@mail.example"}, True), ({}, False)]
)
def test_a_guardians_old_id_counts_likewise(was: dict[str, Any], is_same: bool) -> None:
    known = stored(link("L", "guardian", "0900", **FORMER, **ANN) | {"first_name": "Bo", "last_name": "Wu"} | was)
    assert one(with_other_ids(Files(), known, G1="0900"), "G1", "link_id") == ("L" if is_same else None)


# --- a link that stays with another school ---


def test_a_record_of_two_sources_is_one_account_with_two_links() -> None:
    known = stored(link("L", "employee", "T900", **STAYING, **TEACHER_1, first_name="Tea1", last_name="Cher1"))
    result = settled(Files(), known)
    assert one(result, "T1", "link_id", "adopts", "email") == (None, "AL", "t1@unified.example")
    assert codes(result) == []
    assert result.seen_links.rows() == []


def test_rejected_they_go_on_as_the_link_that_stays() -> None:
    files = pupils(student("S1", "9", guardian=NOBODY))
    known = stored(link("L", "student", "S900", **STAYING, first_name="Stu1", last_name="Dent1", **BORN))
    result = settled(files, known)
    assert (result.seen_links.rows(), kept(result, "school_members")) == ([("L",)], [("L", None)])


# --- all of it ---


def test_the_order_of_rows_and_links_makes_no_difference() -> None:
    rows = [student(f"S{at}", guardian=NOBODY, first_name=f"Ann{at % 4}", last_name="Lee") for at in range(6)]
    links = [link(f"L{at}", "student", f"S9{at}", first_name=f"Ann{at}", last_name="Lee", **BORN) for at in range(5)]
    expected = [(name, {"S2": "L2", "S3": "L3"}.get(name)) for name in sorted(row["student_id"] for row in rows)]
    for seed in range(5):
        draw = random.Random(seed)
        draw.shuffle(rows)
        draw.shuffle(links)
        people = settled(pupils(*rows), stored(*links)).people.filter(kind="student")
        assert people.select("external_id", "link_id").rows() == expected


CLASS = {"external_id": pl.String, "sis_id": pl.String, "school_id": pl.String, "name": pl.String}
HELD_CLASS = {
    "id": pl.String,
    "external_id": pl.String,
    "school_id": pl.String,
    "name": pl.String,
    "is_foreign": pl.Boolean,
}


def owners(by: str, rows: list[tuple[str, str]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={by: pl.String, "account_id": pl.String}, orient="row")


@pytest.mark.parametrize(
    ("new", "going", "led", "led_before", "expected"),
    [
        pytest.param(
            [("n1", None, "1", "Algebra  i")],
            [("c1", "o1", "1", "ALGEBRA I", False)],
            [("n1", "ada")],
            [("c1", "ada")],
            {("c1", "n1")},
            id="one name and teacher",
        ),
        pytest.param(
            [("n1", None, "1", "Art")], [("c1", "o1", "1", "Art", False)], [("n1", "ada")], [("c1", "max")], set(),
            id="another teacher",
        ),
        pytest.param(
            [("n1", None, "2", "Art")], [("c1", "o1", "1", "Art", False)], [("n1", "ada")], [("c1", "ada")], set(),
            id="another school",
        ),
        pytest.param(
            [("n1", None, "1", "Art"), ("n2", None, "1", "Art")],
            [("c1", "o1", "1", "Art", False)],
            [("n1", "ada"), ("n2", "ada")],
            [("c1", "ada")],
            set(),
            id="two of one name and teacher",
        ),
        pytest.param(
            [("n1", None, "1", "Art"), ("n2", None, "1", "Art")],
            [("c1", "o1", "1", "Art", False), ("c2", "o2", "1", "Art", False)],
            [("n1", "ada"), ("n2", "ada"), ("n2", "max")],
            [("c1", "ada"), ("c2", "ada"), ("c2", "max")],
            {("c1", "n1"), ("c2", "n2")},
            id="distinguished by all their teachers",
        ),
        pytest.param(
            [("n1", None, "1", "Art")],
            [("c1", "o1", "1", "Art", False)],
            [("n1", "ada"), ("n1", "eve")],
            [("c1", "ada"), ("c1", "max")],
            {("c1", "n1")},
            id="one teacher in common",
        ),
        pytest.param(
            [("n1", "o1", "1", "Painting")],
            [("c1", "o1", "1", "Art", True)],
            [("n1", "eve")],
            [("c1", "ada")],
            {("c1", "n1")},
            id="the ID of the school's own system",
        ),
        pytest.param(
            [("n1", "o1", "1", "Painting")],
            [("c1", "o1", "1", "Art", False)],
            [("n1", "eve")],
            [("c1", "ada")],
            set(),
            id="that ID in the source's own records says nothing",
        ),
    ],
)  # fmt: skip
def test_classes_under_a_new_id(
    new: list[tuple[object, ...]],
    going: list[tuple[object, ...]],
    led: list[tuple[str, str]],
    led_before: list[tuple[str, str]],
    expected: set[tuple[str, str]],
) -> None:
    found = identity.find_classes(
        pl.DataFrame(new, schema=CLASS, orient="row"),
        pl.DataFrame(going, schema=HELD_CLASS, orient="row"),
        owners("external_id", led),
        owners("id", led_before),
    )
    assert set(found.select("id", "external_id").rows()) == expected
