import random
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations, product
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from contracts.guardians import Guardians, identify
from contracts.roster import Field, Schema, Settled, StoredRoster
from tests.contracts.district import (
    Files,
    Row,
    codes,
    guardian_of,
    issues,
    kept,
    link,
    one,
    pairs,
    settled,
    stored,
    student,
    who,
)

PHONE, OTHER_PHONE = "212 555 0123", "212 555 0124"
NAMED = {"first_name": "Ana", "last_name": "Reyes"}


def _of(*guardians: Row) -> Files:
    """Students S2, S3, ... each with one of the guardians, and S1 without."""
    files = Files(students=[student("S1", guardian=guardian_of("G1"))])
    for number, guardian in enumerate(guardians, start=2):
        files.with_student(student(f"S{number}", guardian=guardian))
    return files


def _guardians(found: Settled) -> list[Any]:
    """Which students each guardian has, but for S1's."""
    of: dict[int, list[str]] = {}
    names = found.people.select("person", "external_id")
    rows = (
        found.guardianships.join(names, left_on="student", right_on="person").select("guardian", "external_id").rows()
    )
    for guardian, of_student in rows:
        of.setdefault(guardian, []).append(of_student)
    return sorted(sorted(students) for students in of.values() if students != ["S1"])


TOGETHER = [["S2", "S3"]]
APART = [["S2"], ["S3"]]


@pytest.mark.parametrize(
    ("one_entry", "other_entry", "expected"),
    [
        # guardian_id
        (guardian_of("G2"), guardian_of("G2", email="x@mail.example", first_name="Bo"), TOGETHER),
        (guardian_of("G2"), guardian_of("g2", email="x@mail.example"), APART),
        # a phone and the full name
        (guardian_of(phone=PHONE, email="", **NAMED), guardian_of(phone="+12125550123", email="", **NAMED), TOGETHER),
        (
            guardian_of(phone=PHONE, email="", first_name="ANA", last_name="reyes"),
            guardian_of(phone=PHONE, email="", **NAMED),
            TOGETHER,
        ),
        (
            guardian_of(phone=PHONE, email="", first_name="Ana", last_name="Reyes"),
            guardian_of(phone=PHONE, email="", first_name="Ana", last_name="Sosa"),
            APART,
        ),
        (guardian_of(phone=PHONE, email="", **NAMED), guardian_of(phone=OTHER_PHONE, email="", **NAMED), APART),
        # an email and one of the two names
        (
            guardian_of(email="A@mail.example", first_name="Ana", last_name="Reyes"),
            guardian_of(email="a@mail.example", first_name="Ana", last_name="Sosa"),
            TOGETHER,
        ),
        (
            guardian_of(email="a@mail.example", first_name="Ana", last_name="Reyes"),
            guardian_of(email="a@mail.example", first_name="Bo", last_name="Reyes"),
            TOGETHER,
        ),
        (
            guardian_of(email="a@mail.example", first_name="Ana", last_name="Reyes", phone=PHONE),
            guardian_of(email="a@mail.example", first_name="Bo", last_name="Sosa", phone=PHONE),
            APART,
        ),
        # the names alone
        (
            guardian_of(email="a@mail.example", **NAMED),
            guardian_of(email="b@mail.example", **NAMED),
            APART,
        ),
    ],
)
def test_entries_are_one_guardian_by_id_or_phone_and_full_name_or_email_and_one_name(
    one_entry: Row, other_entry: Row, expected: list[list[str]]
) -> None:
    assert _guardians(settled(_of(one_entry, other_entry))) == expected


def test_entries_are_joined_transitively_over_any_distance() -> None:
    chain = []
    for number in range(60):
        chain.append(
            guardian_of(
                f"H{number // 2}", first_name="Ana", last_name="Reyes", email=f"e{(number + 1) // 2}@mail.example"
            )
        )
    found = settled(_of(*chain))
    assert len(_guardians(found)) == 1
    assert one(found, "H0", "guardian_ids") == sorted(f"H{number}" for number in range(30))


def test_entries_that_nothing_is_known_of_are_not_one_guardian() -> None:
    found = settled(_of(guardian_of(email="", **NAMED), guardian_of(email="", **NAMED)))
    assert issues(found, "code", "line") == [
        ("guardian_unreachable", 3),
        ("guardian_unreachable", 4),
    ]


def test_an_invalid_email_or_phone_joins_nobody() -> None:
    entry = guardian_of(email="bad", phone="unlisted", **NAMED)
    assert codes(settled(_of(entry, entry))).count("guardian_unreachable") == 2


@pytest.mark.parametrize("turn", [1, -1])
def test_the_name_is_taken_whole_from_one_entry_and_other_fields_sort_first(turn: int) -> None:
    entries = [
        guardian_of("G2", first_name="Ann", last_name="", email="z@mail.example", phone=PHONE),
        guardian_of("G2", first_name="Ann", last_name="Zuniga", email="a@mail.example", language="es"),
        guardian_of("G2", first_name="Bea", last_name="Abel", email="a@mail.example", phone=PHONE),
    ][::turn]
    found = settled(_of(*entries))
    assert one(found, "G2", "first_name", "last_name", "email", "phone", "language") == (
        "Ann",
        "Zuniga",
        "a@mail.example",
        "+12125550123",
        "es",
    )
    assert issues(found, "code", "line", "detail") == [
        ("duplicate_conflict", 3, "guardian_email"),
        ("guardian_names_differ", 3, None),
    ]


def test_a_guardian_has_the_id_that_sorts_first_and_keeps_all() -> None:
    entries = [guardian_of("G9", email="a@mail.example", **NAMED), guardian_of("G2", email="a@mail.example", **NAMED)]
    found = settled(_of(*entries, guardian_of(email="a@mail.example", **NAMED)))
    assert one(found, "G2", "guardian_ids") == ["G2", "G9"]
    assert found.issues.rows() == []
    without = settled(_of(guardian_of(email="a@mail.example", **NAMED)))
    assert one(without, None, "guardian_ids", "first_name") == (None, "Ana")


def test_a_relationship_given_twice_for_one_student_is_a_conflict_and_for_two_students_is_none() -> None:
    files = _of(guardian_of("G2", relationship="Mother"), guardian_of("G2", relationship="Aunt"))
    assert settled(files).issues.rows() == []
    files.students.append(student("S2", guardian=guardian_of("G2", relationship="Guardian")))
    found = settled(files)
    assert issues(found, "code", "detail") == [("duplicate_conflict", "guardian_relationship")]
    assert sorted(found.guardianships["relationship"].drop_nulls()) == ["Aunt", "Guardian"]


def test_issues_of_a_guardian_are_reported_at_every_school_of_their_students() -> None:
    files = _of(guardian_of("G2", phone="unlisted"))
    files.students.append(student("S3", "2", guardian=guardian_of("G2", phone="unlisted")))
    files.enrollments.append({"class_id": "C1", "student_id": "S3"})
    assert issues(settled(files))[1:] == [("phone_invalid", "1", 3, "G2", 0), ("phone_invalid", "2", 3, "G2", 0)]


@pytest.mark.parametrize(("names", "shared"), [(3, False), (4, True)])
def test_an_email_under_more_than_three_full_names_is_nobodys(names: int, shared: bool) -> None:
    office = "office@unified.example"
    entries = [
        guardian_of(
            f"G{number}", first_name="Ana", last_name=f"R{number % names}", email=office, phone=f"212 555 01{number}"
        )
        for number in range(20, 28)
    ]
    found = settled(_of(*entries))
    assert [code for code in codes(found) if code == "email_shared"] == ["email_shared"] * 8 * shared
    assert len(_guardians(found)) == (8 if shared else 1)
    assert (office in found.people["email"].to_list()) == (not shared)


# --- found again ---


def _found(entry: Row, *links: dict[str, Any], **others: Any) -> tuple[Any, list[str]]:
    """The link that S2's guardian was found to be, and all seen guardian links."""
    found = settled(_of(entry), stored(*links, **others))
    guardian = found.people.filter(found.people["kind"] == "guardian").sort("line")[-1]
    return guardian["link_id"].item(), found.seen_links["link_id"].to_list()


def _held(link_id: str, external_id: str | None = None, **values: Any) -> dict[str, Any]:
    names = {"first_name": "Ana", "last_name": "Reyes", "guardian_ids": [external_id] if external_id else None}
    return link(link_id, "guardian", external_id or f"drawn-{link_id}", **(names | values))


def test_a_guardian_is_found_by_any_guardian_id_they_had() -> None:
    entry = guardian_of("G2", email="new@mail.example", **NAMED)
    assert _found(entry, _held("L1", "G8", guardian_ids=["G1x", "G2"])) == ("L1", ["L1"])
    assert _found(entry, _held("L1", "G8"))[0] is None
    assert _found(entry, _held("L1", "G2", active=False))[0] == "L1"


def test_a_guardian_is_found_by_phone_and_full_name() -> None:
    entry = guardian_of(phone=PHONE, email="", **NAMED)
    assert _found(entry, _held("L1", phone="+12125550123"))[0] == "L1"
    assert _found(entry, _held("L1", phone="+12125550124"))[0] is None
    assert _found(entry, _held("L1", phone="+12125550123", last_name="Sosa"))[0] is None


def test_a_guardian_is_found_by_the_students_id_and_full_name() -> None:
    entry = guardian_of(phone=PHONE, email="", **NAMED)
    students = (link("LS2", "student", "S2"), link("LS3", "student", "S3"))
    assert _found(entry, _held("L1"), *students, guardianships=[("LS2", "L1")])[0] == "L1"
    assert _found(entry, _held("L1"), *students, guardianships=[("LS3", "L1")])[0] is None
    assert _found(entry, _held("L1", first_name="Eva"), *students, guardianships=[("LS2", "L1")])[0] is None


def test_a_guardian_is_found_by_email_and_one_name() -> None:
    entry = guardian_of(email="a@mail.example", **NAMED)
    assert _found(entry, _held("L1", email="a@mail.example", last_name="Sosa"))[0] == "L1"
    assert _found(entry, _held("L1", email="a@mail.example", first_name="Eva"))[0] == "L1"
    assert _found(entry, _held("L1", email="a@mail.example", first_name="Eva", last_name="Sosa"))[0] is None


def test_links_of_another_source_are_nobodys() -> None:
    assert _found(guardian_of("G2", **NAMED), _held("L1", "G2", from_this_source=False)) == (None, [])


def test_the_first_thing_in_common_counts() -> None:
    entry = guardian_of("G2", phone=PHONE, email="a@mail.example", **NAMED)
    by_id = _held("L4", "G2", first_name="Anna")
    by_phone = _held("L3", phone="+12125550123")
    by_student = _held("L2")
    by_email = _held("L1", email="a@mail.example", first_name="Anne")
    everything = [by_email, by_student, by_phone, by_id, link("LS2", "student", "S2")]
    guardianships = [("LS2", "L2")]
    for expected in ("L4", "L3", "L2", "L1"):
        assert _found(entry, *everything, guardianships=guardianships)[0] == expected
        everything = [each for each in everything if each["link_id"] != expected]
        guardianships = [pair for pair in guardianships if pair[1] != expected]


def test_an_active_link_goes_before_an_archived_one_then_the_oldest() -> None:
    entry = guardian_of(phone=PHONE, email="", **NAMED)
    phone = "+12125550123"
    archived, younger, oldest = (
        _held("L1", phone=phone, active=False),
        _held("L3", phone=phone),
        _held("L2", phone=phone),
    )
    assert _found(entry, archived, younger, oldest) == ("L2", ["L2"])
    assert _found(entry, archived, younger) == ("L3", ["L3"])


def test_one_link_is_one_guardian_and_a_link_that_nobody_finds_is_in_no_row() -> None:
    files = _of(guardian_of("G2", email="a@mail.example", **NAMED), guardian_of("G3", email="b@mail.example", **NAMED))
    known = stored(_held("L1", "G2", guardian_ids=["G2", "G3"]), _held("L2", "G7"))
    found = settled(files, known)
    assert found.people.filter(kind="guardian").select("external_id", "link_id").sort("external_id").rows() == [
        ("G1", None),
        ("G2", "L1"),
        ("G3", None),
    ]
    assert found.seen_links["link_id"].to_list() == ["L1"]


def test_two_alike_are_each_found_as_themselves() -> None:
    """Father and son of one name and phone-less: the student's ID finds either, their email tells them apart."""
    files = Files(students=[])
    for address in ("a@mail.example", "b@mail.example"):
        files.students.append(student("S1", guardian=guardian_of(email=address, **NAMED)))
    known = stored(
        link("LS1", "student", "S1"),
        _held("L1", email="b@mail.example"),
        _held("L2", email="a@mail.example"),
        guardianships=[("LS1", "L1"), ("LS1", "L2")],
    )
    found = settled(files, known).people.filter(kind="guardian").select("email", "link_id").sort("email").rows()
    assert found == [("a@mail.example", "L2"), ("b@mail.example", "L1")]


def test_the_same_id_with_both_names_different_and_no_email_in_common_is_another_guardian() -> None:
    other = {"first_name": "Eva", "last_name": "Sosa"}
    entry = guardian_of("G2", email="a@mail.example", **NAMED)
    assert _found(entry, _held("L1", "G2", **other)) == (None, [])
    assert _found(entry, _held("L1", "G2", email="a@mail.example", **other))[0] == "L1"
    assert _found(entry, _held("L1", "G2", first_name="Eva"))[0] == "L1"
    assert _found(entry, _held("L1", "G2", first_name="Eva", last_name=None))[0] == "L1"


def test_another_guardian_may_still_be_found_by_what_comes_after_the_id() -> None:
    entry = guardian_of("G2", phone=PHONE, email="", **NAMED)
    was = _held("L1", "G2", first_name="Eva", last_name="Sosa")
    assert _found(entry, was, _held("L2", "G5", phone="+12125550123")) == ("L2", ["L2"])


def test_a_rejected_guardian_finds_their_link_and_removes_nobody() -> None:
    files = _of(guardian_of("G2", email="", first_name="Eva", last_name="Sosa"))
    known = stored(
        _held("L1", "G2", email="a@mail.example"), link("LS2", "student", "S2"), guardianships=[("LS2", "L1")]
    )
    found = settled(files, known)
    assert codes(found) == ["guardian_unreachable"]
    assert found.seen_links["link_id"].to_list() == ["L1", "LS2"]
    assert pairs(found) == [("S1", "G1"), ("S2", "L1")]
    assert kept(found, "guardianships") == [("L1", None), ("LS2", None)]


def test_guardians_of_a_student_who_falls_are_not_provisioned_and_no_issue() -> None:
    files = _of(guardian_of("G2", **NAMED))
    files.students[1]["first_name"] = ""
    found = settled(files, stored(_held("L1", "G2", email="a@mail.example")))
    assert issues(found) == [("name_missing", "1", 3, "S2", 2)]
    assert who(found) == ["T1", "S1", "G1"]
    assert found.seen_links["link_id"].to_list() == ["L1"]


def test_guardians_of_a_student_who_goes_on_as_last_applied_are_provisioned() -> None:
    files = _of(guardian_of("G2", **NAMED))
    files.students[1]["first_name"] = ""
    found = settled(files, stored(link("LS2", "student", "S2")))
    assert issues(found) == [("name_missing", "1", 3, "S2", 0)]
    assert pairs(found) == [("LS2", "G2"), ("S1", "G1")]


def test_a_guardian_whose_name_and_phone_came_from_two_entries_is_found_as_a_whole() -> None:
    entries = [
        guardian_of("G2", phone="", email="a@mail.example", first_name="Ana", last_name="Reyes"),
        guardian_of("G2", phone=PHONE, email="a@mail.example", first_name="Bea", last_name="Reyes"),
    ]
    known = stored(_held("L1", phone="+12125550123"))
    assert settled(_of(*entries), known).seen_links["link_id"].to_list() == ["L1"]


# --- entries by themselves: who is one person, and what they hold ---

Entry = Mapping[str, Any]
TEXTS = (
    *("student_id", "guardian_id", "sis_id", "first_name", "last_name", "email", "phone", "phone_extension"),
    *("language", "relationship", "type", "file"),
)
ENTRY: Schema = {
    "entry": pl.UInt32,
    "line": pl.UInt32,
    "unread_email": pl.Boolean,
    "unread_phone": pl.Boolean,
    **dict.fromkeys(TEXTS, pl.String),
}
RULED = hypothesis_settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))


def entry(text: str, **others: Any) -> Entry:
    """An entry from its guardian_id, first name, last name, email and phone, a dash for what it lacks; others: more."""
    names = ("guardian_id", "first_name", "last_name", "email", "phone")
    return {name: None if value == "-" else value for name, value in zip(names, text.split(), strict=True)} | others


def _frame(entries: Sequence[Entry]) -> pl.DataFrame:
    """The entries, each of a student of its own (S0, S1, ...) unless it says otherwise."""
    rows = [
        {
            **dict.fromkeys(ENTRY),
            "entry": number,
            "student_id": f"S{number}",
            "line": number,
            "file": "students.csv",
            "unread_email": False,
            "unread_phone": False,
            **row,
        }
        for number, row in enumerate(entries)
    ]
    return pl.DataFrame(rows, schema=ENTRY)


def identified(*entries: Entry, known: StoredRoster | None = None, absent: Collection[Field] = ()) -> Guardians:
    return identify(_frame(entries), _frame([]), StoredRoster.nothing() if known is None else known, absent)


def together(found: Guardians) -> list[list[int]]:
    """Which entries are one guardian, by their numbers."""
    return sorted(
        sorted(entries) for (entries,) in found.entries.group_by("guardian").agg("entry").select("entry").rows()
    )


def told(found: Guardians) -> list[tuple[int, str]]:
    return sorted(found.issues.select("entry", "code").rows())


def people(found: Guardians, *columns: str) -> list[Any]:
    return found.people.select(columns or ("first_name", "last_name", "email", "phone")).rows()


def as_stored(found: Guardians) -> StoredRoster:
    """What the database would hold of them: guardian 0 as link L0, student S0 as LS0."""
    names = ("guardian_ids", "first_name", "last_name", "email", "phone", "phone_extension", "language")
    rows = found.people.select("guardian", *names).rows(named=True)
    students = sorted(set(found.pairs["student_id"]))
    return stored(
        *(
            link(f"L{row['guardian']}", "guardian", f"drawn-{row['guardian']}", **{name: row[name] for name in names})
            for row in rows
        ),
        *(link(f"L{student_id}", "student", student_id) for student_id in students),
        guardianships=[
            (f"L{student_id}", f"L{guardian}", *others)
            for student_id, guardian, *others in found.pairs.select(
                "student_id", "guardian", "relationship", "type"
            ).rows()
        ],
    )


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        # Father and mother with one email, and one phone.
        ("G1 Ana Reyes x 1, G2 Bob Reyes x 2", [[0], [1]]),
        ("G1 Ana Reyes x 1, G2 Bob Reyes x 1", [[0], [1]]),
        ("G1 Ana Reyes x 1, - Bob Reyes x 1", [[0, 1]]),
        ("G1 Ana Reyes x -, - Bob Reyes x 2", [[0, 1]]),
        # Different guardian_ids alone contradict nothing; nor do phones.
        ("G1 Ana Reyes x 1, G2 Ana Reyes x 1", [[0, 1]]),
        ("- Ana Reyes x 1, - Ana Sosa x 2", [[0, 1]]),
        ("G1 - Reyes x 1, G2 Bob Reyes x 2", [[0, 1]]),
        # Of three under one value, two contradict each other: it joins none of them.
        ("- Ana Reyes x 1, - - Reyes x -, - Bob Reyes x 2", [[0], [1], [2]]),
        # What is compared is the joined person: name and phone of different entries, and one of several phones.
        ("G1 Ana Reyes - -, G1 Ana Sosa - 1, - Ana Reyes y 1", [[0, 1, 2]]),
        ("G1 Ana Reyes - -, G1 Anna Reyes - 1, G2 Ana Reyes y 1", [[0, 1, 2]]),
        ("G1 Ana Reyes x 1, G1 Ana Reyes - 2, - Annie Reyes x 2", [[0, 1, 2]]),
        ("G1 Ana - - 1, G1 - Reyes x -, - Bob Reyes x 2", [[0, 1], [2]]),
        # Joined by email, they have a name and a phone that they had not before.
        ("- Ana Reyes x -, - Bea Reyes x 1, - Ana Reyes y 1", [[0, 1, 2]]),
        # Neighbors fit, the ends of the chain do not.
        ("- Ana Reyes x 1, G1 - Reyes x -, G1 - Reyes y -, - Bob Reyes y 2", [[0], [1, 2], [3]]),
    ],
)
def test_entries_that_contradict_each_other_are_joined_by_nothing(entries: str, expected: list[list[int]]) -> None:
    assert together(identified(*map(entry, entries.split(", ")))) == expected


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ("G1 Ana Reyes - 1, G1 Bob Reyes - 2", [[0], [1]]),
        ("G1 Ana Reyes x -, G1 Bob Sosa y -", [[0], [1]]),
        ("G1 Ana Reyes x -, G1 Bob Sosa - 1", [[0], [1]]),
        # Two of many are enough, and all are parted.
        ("G1 Ana Reyes x -, G1 Ana Sosa y -, G1 Bob Sosa x -", [[0, 1, 2]]),
        ("G1 Ana Reyes x -, G1 Ana Sosa y -, G1 Bob Sosa y -", [[0], [1, 2]]),
        # One name, the phone or the email in common.
        ("G1 Ana Reyes x -, G1 Bob Reyes y -", [[0, 1]]),
        ("G1 Ana Reyes x 1, G1 Bob Sosa y 1", [[0, 1]]),
        ("G1 Ana Reyes x -, G1 Bob Sosa x 1", [[0, 1]]),
        ("G1 Ana Reyes x -, G1 - Sosa - 1", [[0, 1]]),
    ],
)
def test_a_guardian_id_of_people_who_cannot_be_one_counts_as_absent(entries: str, expected: list[list[int]]) -> None:
    came = [entry(each) for each in entries.split(", ")]
    found = identified(*came)
    is_shared = len(expected) > 1
    assert together(found) == expected
    assert told(found) == [(number, "guardian_id_shared") for number in range(len(came))] * is_shared
    assert set(found.people["external_id"]) == ({None} if is_shared else {"G1"})
    assert set(found.people["guardian_ids"].is_null()) == {is_shared}


@pytest.mark.parametrize("placeholder", ["0", "00000", "NULL", "n/a", "None"])
def test_a_placeholder_for_a_guardian_id_counts_as_absent(placeholder: str) -> None:
    found = identified(*(entry(f"{placeholder} Ana Reyes e{number} {number}") for number in range(2)))
    assert together(found) == [[0], [1]]
    assert told(found) == [(0, "placeholder_value"), (1, "placeholder_value")]
    assert people(found, "external_id", "guardian_ids") == [(None, None)] * 2
    assert told(identified(entry("C1 Ana Reyes x -", sis_id=placeholder))) == [(0, "placeholder_value")]


def test_what_is_wrong_with_a_guardian_id_is_an_alert_at_each_guardian_that_names_it() -> None:
    names = [("Ana", "1"), ("Bob", "2"), ("Cleo", "3")]
    entries = [guardian_of("G9", first_name=name, phone=f"212 555 012{number}", email="") for name, number in names]
    found = settled(_of(*entries, guardian_of("0", first_name="Dana", email="d@mail.example")))
    assert _guardians(found) == [["S2"], ["S3"], ["S4"], ["S5"]]
    assert issues(found, "code", "line", "record_id") == [
        ("guardian_id_shared", 3, "G9"),
        ("guardian_id_shared", 4, "G9"),
        ("guardian_id_shared", 5, "G9"),
        ("placeholder_value", 6, "0"),
    ]


def test_what_a_guardian_holds_is_of_entries_that_do_not_contradict_each_other() -> None:
    """Zoe's own phone sorts first, and Bob, whom a common phone joins with her, has never had it."""
    rows = [entry("G1 Zoe Reyes x 1"), entry("G1 Zoe Reyes x 2"), entry("- Bob Reyes x 2")]
    assert people(identified(*rows)) == [("Bob", "Reyes", "x", "2")]
    # With the name of neither, her phone brings her email along and not his.
    assert people(identified(*rows, entry("- Bob Reyes a 2"), entry("G1 Abe Reyes x -"))) == [
        ("Abe", "Reyes", "x", "1")
    ]


def _contradict(one: Sequence[Entry], other: Sequence[Entry]) -> bool:
    def differs(name: str) -> bool:
        values = [{row[name] for row in rows} - {None} for rows in (one, other)]
        return all(values) and not values[0] & values[1]

    return differs("first_name") and (differs("phone") or differs("guardian_id"))


def _by_the_rule(rows: Sequence[Entry]) -> list[list[int]]:
    """The rule as it is written, pair by pair."""

    def apart(one: Entry, other: Entry) -> bool:
        alike = {name: one[name] is not None and one[name] == other[name] for name in one}
        differ = {name: None not in (one[name], other[name]) and not alike[name] for name in one}
        return (differ["first_name"] and differ["phone"]) or (
            differ["first_name"] and differ["last_name"] and not alike["phone"] and not alike["email"]
        )

    pairs = [(one, other) for one, other in combinations(rows, 2) if one["guardian_id"] == other["guardian_id"]]
    gone = {one["guardian_id"] for one, other in pairs if apart(one, other)} | {"0"}
    told = [{**row, "guardian_id": None if row["guardian_id"] in gone else row["guardian_id"]} for row in rows]
    for row in told:
        row["full_name"] = (row["first_name"], row["last_name"])
        if row["full_name"] == (None, None):
            row["full_name"] = None
    has_key = [
        row["guardian_id"] or (row["phone"] and row["full_name"]) or (row["email"] and row["full_name"]) for row in told
    ]
    alike: dict[Any, list[int]] = {}
    for number, row in enumerate(told):
        content = [row[name] for name in ("guardian_id", "first_name", "last_name", "email", "phone")]
        alike.setdefault((*content, None if has_key[number] else row["student_id"]), []).append(number)

    def of(person: Sequence[int]) -> list[Entry]:
        return [told[number] for number in person]

    def any_two_contradict(persons: Sequence[Sequence[int]]) -> bool:
        return any(_contradict(of(one), of(other)) for one, other in combinations(persons, 2))

    def joined(persons: list[list[int]], *keys: str) -> list[list[int]]:
        under: dict[Any, list[list[int]]] = {}
        for person in persons:
            values = [{row[key] for row in of(person)} - {None} for key in keys]
            for value in product(*values):
                under.setdefault(value, []).append(person)
        chains: list[list[list[int]]] = []
        for group in under.values():
            if not any_two_contradict(group):
                met = [chain for chain in chains if any(person in chain for person in group)]
                merged = [person for chain in met for person in chain]
                chains = [chain for chain in chains if chain not in met]
                chains.append(merged + [person for person in group if person not in merged])
        for chain in chains:
            if not any_two_contradict(chain):
                persons = [person for person in persons if person not in chain] + [
                    [number for person in chain for number in person]
                ]
        return persons

    persons = joined(list(alike.values()), "guardian_id")
    while True:
        before = len(persons)
        for keys in (("phone", "full_name"), ("email", "first_name"), ("email", "last_name")):
            persons = joined(persons, *keys)
        if len(persons) == before:
            return sorted(map(sorted, persons))


def _any(*values: str) -> st.SearchStrategy[str | None]:
    return st.sampled_from((None, None, *values))


ENTRIES = st.lists(
    st.fixed_dictionaries(
        {
            "student_id": st.sampled_from(("S1", "S2", "S3")),
            "guardian_id": _any("G1", "G2", "G3", "0"),
            "first_name": _any("Ana", "Bob", "Cleo"),
            "last_name": _any("Reyes", "Sosa"),
            "email": _any("x", "y"),
            "phone": _any("1", "2", "3"),
        }
    ),
    min_size=1,
    max_size=8,
)


@RULED
@given(rows=ENTRIES, seed=st.integers(0, 10**6))
def test_any_entries_are_joined_by_the_rule_in_any_order(rows: list[Entry], seed: int) -> None:
    found = identified(*rows)
    assert together(found) == _by_the_rule(rows)
    shuffled = random.Random(seed).sample([{**row, "entry": number} for number, row in enumerate(rows)], len(rows))
    again = identified(*shuffled)
    assert again.people.drop("file", "line").equals(found.people.drop("file", "line"))
    assert again.entries.sort("entry").drop("line").equals(found.entries.sort("entry").drop("line"))


@RULED
@given(rows=ENTRIES)
def test_no_account_holds_contact_points_of_two_entries_that_contradict_each_other(rows: list[Entry]) -> None:
    found = identified(*rows)
    used = set(found.people["guardian_ids"].explode())
    told = [{**row, "guardian_id": row["guardian_id"] if row["guardian_id"] in used else None} for row in rows]
    of = dict(found.entries.select("entry", "guardian").rows())
    for guardian, *name, email, phone in people(found, "guardian", "first_name", "last_name", "email", "phone"):
        mine = [row for number, row in enumerate(told) if of[number] == guardian]
        named = [row for row in mine if [row["first_name"], row["last_name"]] == name]
        mailed = [row for row in mine if email in (None, row["email"])]
        called = [row for row in mine if phone in (None, row["phone"])]
        assert any(
            not any(_contradict([one], [other]) for one, other in combinations(three, 2))
            for three in product(named, mailed, called)
        )


PARENTS = [
    entry(f"- {first} {last} {email} {phone}")
    for first, last, email, phone in (
        *(("Ana", "Reyes", "family", "1"), ("Bob", "Reyes", "family", "2")),
        *(("Cleo", "Sosa", "c", "3"), ("Dan", "Sosa", "-", "4"), ("Eva", "Sosa", "-", "5")),
    )
]


@RULED
@given(written=st.lists(st.tuples(st.sampled_from(PARENTS), _any("G1", "G2", "0", "NULL")), min_size=1, max_size=10))
def test_whatever_is_written_into_guardian_id_every_child_has_the_guardians_of_their_rows(
    written: list[tuple[Entry, str | None]],
) -> None:
    rows = [{**parent, "guardian_id": guardian_id, "line": 0} for parent, guardian_id in written]
    found = identified(*rows)
    names = ("first_name", "last_name", "email", "phone")
    stored_by = found.pairs.join(found.people, on="guardian").select("student_id", *names).sort("student_id").rows()
    assert stored_by == sorted((f"S{number}", *(row[name] for name in names)) for number, row in enumerate(rows))


@RULED
@given(rows=ENTRIES)
def test_guardians_are_found_again_as_themselves(rows: list[Entry]) -> None:
    """All but those whom an error keeps out: one name, and one contact point, they need."""
    told = [row for row in rows if (row["first_name"] or row["last_name"]) and (row["email"] or row["phone"])]
    found = identified(*told)
    again = identified(*told, known=as_stored(found))
    assert again.people.drop("link_id").equals(found.people.drop("link_id"))
    assert people(again, "link_id") == [(f"L{guardian}",) for guardian in found.people["guardian"]]


# --- found again, or not ---


def test_parents_once_taken_for_one_are_parted_and_one_of_them_keeps_the_link() -> None:
    rows = [entry(f"0 Par{number} Fam{number} e{number} {number}") for number in range(4)]
    merged = {"first_name": "Par2", "last_name": "Fam2", "email": "e0", "phone": "1"}
    everybodys = stored(
        link("L0", "guardian", "0", **merged),
        *(link(f"LS{number}", "student", f"S{number}") for number in range(4)),
        guardianships=[(f"LS{number}", "L0") for number in range(4)],
    )
    found = identified(*rows, known=everybodys)
    assert people(found, "first_name", "email", "phone", "link_id") == [
        *(("Par0", "e0", "0", None), ("Par1", "e1", "1", None)),
        *(("Par2", "e2", "2", "L0"), ("Par3", "e3", "3", None)),
    ]
    assert found.pairs.sort("student_id").select("student_id", "guardian").rows() == [
        (f"S{number}", number) for number in range(4)
    ]


def _link_of(came: Entry, *was: Entry) -> str | None:
    """The link that this entry finds of what was there, L0 and so on in order of ID, first name, last name, ..."""
    found: str | None = identified(came, known=as_stored(identified(*was))).people["link_id"].item()
    return found


def test_a_link_that_a_guardian_contradicts_is_not_found_by_email_and_last_name() -> None:
    mother = entry("- Ana Reyes x 1")
    assert _link_of(entry("- Bob Reyes x 2"), mother) is None
    assert _link_of(entry("- Bob Reyes x -"), mother) == "L0"
    assert _link_of(entry("G2 Bob Reyes x 1"), entry("G1 Ana Reyes x 1")) is None
    assert _link_of(entry("- Ana Reyes x 2"), mother) == "L0"


def test_a_link_that_a_guardian_contradicts_is_found_by_its_id_unless_it_is_somebody_elses() -> None:
    mother, father = entry("G1 Ana Reyes x 1"), entry("G2 Bob Reyes y 2")
    assert _link_of(entry("G1 Annie Reyes z 3"), mother) == "L0"
    known = as_stored(identified(mother, father))
    found = identified(entry("G2 Ana Reyes x 1"), entry("G1 Bob Reyes y 2"), known=known)
    assert people(found, "external_id", "first_name", "link_id") == [("G1", "Bob", "L1"), ("G2", "Ana", "L0")]


def test_a_shared_guardian_id_finds_no_link_and_its_coming_and_going_changes_nobody() -> None:
    known = as_stored(identified(entry("G1 Ana Reyes x 1")))
    found = identified(entry("G1 Ana Reyes x 1"), entry("G1 Bob Sosa y 2"), known=known)
    assert people(found, "first_name", "external_id", "link_id") == [("Ana", None, "L0"), ("Bob", None, None)]
    known = as_stored(identified(entry("- Ana Reyes x 1")))
    assert people(identified(entry("G1 Ana Reyes x 1"), known=known), "external_id", "link_id") == [("G1", "L0")]


def test_a_rejected_guardian_who_is_another_person_takes_no_other_child_along() -> None:
    eva = guardian_of("G2", email="", first_name="Eva", last_name="Sosa")
    known = stored(
        _held("L1", "G2", email="a@mail.example"), link("LS2", "student", "S2"), guardianships=[("LS2", "L1")]
    )
    found = settled(_of(eva, eva), known)
    assert codes(found) == ["guardian_unreachable"]
    assert pairs(found) == [("S1", "G1"), ("S2", "L1")]
    assert kept(found, "guardianships") == [("L1", None), ("LS2", None)]


@pytest.mark.parametrize(
    ("came", "unread"),
    [
        # Nothing good, and something that cannot be read; a good one goes before it, and an empty one says nothing.
        ("- Ana Reyes - 1, - Ana Reyes - 1", True),
        ("- Ana Reyes - 1, - Ana Reyes y 1", False),
        ("G1 Annie Reyes - 2, - Annie Reyes - 2", False),  # found by the ID of one who is somebody else
    ],
)
def test_an_email_that_cannot_be_read_leaves_the_one_of_the_link(came: str, unread: bool) -> None:
    first, second = map(entry, came.split(", "))
    known = as_stored(identified(entry("G1 Ana Reyes x 1")))
    found = identified({**first, "unread_email": True}, second, known=known)
    assert people(found, "unread_email", "unread_phone", "link_id") == [(unread, False, "L0")]
    assert people(identified(first, second, known=known), "unread_email") == [(False,)]


# --- what the source lacks ---


COUPLE = [
    entry("G1 Ana Reyes x 1", student_id="S1", phone_extension="7", language="es", relationship="Mother", type="Other"),
    entry("G2 Bob Reyes y 2", student_id="S1", relationship="Father"),
]
COLUMNS = {"guardian_id": ("guardian", "external_id")} | {
    name: ("guardianship", name) for name in ("relationship", "type")
}


def _lacking(rows: Sequence[Entry], known: StoredRoster, *names: str) -> Guardians:
    """The guardians of a source that lacks these columns."""
    gone = dict.fromkeys((*names, "phone_extension") if "phone" in names else names)
    return identified(
        *({**row, **gone} for row in rows),
        known=known,
        absent=[COLUMNS.get(name, ("guardian", name)) for name in names],
    )


@pytest.mark.parametrize(
    "names",
    [
        ("phone",),
        ("email",),
        ("first_name",),
        ("last_name",),
        ("guardian_id",),
        ("language", "relationship", "type"),
        ("guardian_id", "email", "phone"),
        ("guardian_id", "first_name", "last_name", "phone"),
        ("first_name", "last_name", "email", "phone"),
        ("guardian_id", "first_name", "phone"),
    ],
)
def test_what_the_source_lacks_stays_as_the_links_hold_it(names: tuple[str, ...]) -> None:
    before = identified(*COUPLE)
    found = _lacking(COUPLE, as_stored(before), *names)
    assert found.people.drop("link_id").equals(before.people.drop("link_id"))
    assert found.pairs.sort("guardian").equals(before.pairs.sort("guardian"))
    assert people(found, "link_id") == [("L0",), ("L1",)]


def test_a_new_guardian_has_nothing_of_those_the_student_has() -> None:
    known = as_stored(identified(COUPLE[0]))
    found = _lacking([COUPLE[0], entry("G2 Bob Reyes x 2", student_id="S1")], known, "phone")
    assert people(found, "first_name", "phone", "unread_phone", "link_id") == [
        ("Ana", "1", False, "L0"),
        ("Bob", None, True, None),
    ]
    found = _lacking([COUPLE[0], entry("- Bob Reyes - -", student_id="S1")], known, "email")
    assert people(found, "first_name", "email", "link_id") == [("Ana", "x", "L0"), ("Bob", None, None)]


def test_guardians_whom_nothing_tells_apart_are_not_filled_but_keep_what_their_links_hold() -> None:
    """Father and son of one name: which of the two an entry is shows only when all have found their link."""
    both = [entry(f"- Bob Reyes {email} -", student_id="S1") for email in ("x", "y")]
    known = as_stored(identified(*({**row, "phone": row["email"]} for row in both)))
    assert people(_lacking(both, known, "phone"), "phone", "link_id") == [("x", "L0"), ("y", "L1")]
    alike = [entry("- Bob Reyes - 1", student_id="S1"), entry("- Bob Reyes - 2", student_id="S1")]
    found = _lacking(alike, as_stored(identified(*alike)), "phone")
    assert people(found, "phone", "unread_phone", "link_id") == [(None, True, "L0")]


def test_a_sibling_without_a_link_is_joined_by_what_is_filled() -> None:
    known = as_stored(identified(COUPLE[0]))
    rows = [COUPLE[0], entry("- Ana Reyes - 1", student_id="S2")]
    assert people(_lacking(rows, known, "email"), "email", "phone", "link_id") == [("x", "1", "L0")]


def test_another_person_on_an_old_id_is_not_filled() -> None:
    known = as_stored(identified(COUPLE[0]))
    found = _lacking([entry("G1 Eva Sosa z -", student_id="S1")], known, "phone")
    assert people(found, "first_name", "phone", "link_id") == [("Eva", None, None)]


def test_no_id_is_lost_with_its_column() -> None:
    """Systems that number each child's contact: one guardian, an ID for each of the children."""
    rows = [entry(f"G{number} Ana Reyes x 1") for number in range(3)]
    found = _lacking(rows, as_stored(identified(*rows)), "guardian_id")
    assert people(found, "external_id", "link_id") == [("G0", "L0")]
    assert found.people["guardian_ids"].to_list() == [["G0", "G1", "G2"]]
    assert told(found) == []
