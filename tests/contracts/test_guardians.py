from typing import Any

import pytest

from contracts.roster import Settled
from tests.contracts.district import (
    Files,
    Row,
    codes,
    guardian_of,
    held,
    issues,
    kept,
    link,
    one,
    pairs,
    settled,
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
    names = found.people.select("person", "source_id")
    rows = found.guardianships.join(names, left_on="student", right_on="person").select("guardian", "source_id").rows()
    for guardian, of_student in rows:
        of.setdefault(guardian, []).append(of_student)
    return sorted(sorted(students) for students in of.values() if students != ["S1"])


TOGETHER = [["S2", "S3"]]
APART = [["S2"], ["S3"]]


@pytest.mark.parametrize(
    ("one_entry", "other_entry", "expected"),
    [
        # guardian_id
        (guardian_of("G2"), guardian_of("G2", email="x@mail.example", first_name="Bo", last_name="Po"), TOGETHER),
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
        # an e-mail and one of the two names
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
        guardian_of("G2", first_name="Cleo", last_name="Abel", email="b@mail.example", phone=OTHER_PHONE),
        guardian_of("G2", first_name="Bea", last_name="Zuniga", email="a@mail.example", language="es"),
    ][::turn]
    found = settled(_of(*entries))
    assert one(found, "G2", "first_name", "last_name", "email", "phone", "language") == (
        "Bea",
        "Zuniga",
        "a@mail.example",
        "+12125550123",
        "es",
    )
    assert issues(found, "code", "line", "detail") == [
        ("duplicate_conflict", 3, "guardian_email, guardian_phone"),
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


def test_issues_of_a_guardian_stand_at_every_school_of_their_students() -> None:
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
    found = settled(_of(entry), held(*links, **others))
    guardian = found.people.filter(found.people["kind"] == "guardian").sort("line")[-1]
    return guardian["link_id"].item(), found.seen_links["link_id"].to_list()


def _held(link_id: str, source_id: str | None = None, **values: Any) -> dict[str, Any]:
    names = {"first_name": "Ana", "last_name": "Reyes", "guardian_ids": [source_id] if source_id else None}
    return link(link_id, "guardian", source_id or f"drawn-{link_id}", **(names | values))


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
    assert _found(guardian_of("G2", **NAMED), _held("L1", "G2", own=False)) == (None, [])


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
    known = held(_held("L1", "G2", guardian_ids=["G2", "G3"]), _held("L2", "G7"))
    found = settled(files, known)
    assert found.people.filter(kind="guardian").select("source_id", "link_id").sort("source_id").rows() == [
        ("G1", None),
        ("G2", "L1"),
        ("G3", None),
    ]
    assert found.seen_links["link_id"].to_list() == ["L1"]


def test_two_alike_are_each_found_as_themselves() -> None:
    """Father and son of one name and phone-less: the student's ID finds either, their e-mail tells them apart."""
    files = Files(students=[])
    for address in ("a@mail.example", "b@mail.example"):
        files.students.append(student("S1", guardian=guardian_of(email=address, **NAMED)))
    known = held(
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
    known = held(_held("L1", "G2", email="a@mail.example"), link("LS2", "student", "S2"), guardianships=[("LS2", "L1")])
    found = settled(files, known)
    assert codes(found) == ["guardian_unreachable"]
    assert found.seen_links["link_id"].to_list() == ["L1", "LS2"]
    assert pairs(found) == [("S1", "G1"), ("S2", "L1")]
    assert kept(found, "guardianships") == [("L1", None), ("LS2", None)]


def test_guardians_of_a_student_who_falls_are_not_provisioned_and_no_issue() -> None:
    files = _of(guardian_of("G2", **NAMED))
    files.students[1]["first_name"] = ""
    found = settled(files, held(_held("L1", "G2", email="a@mail.example")))
    assert issues(found) == [("name_missing", "1", 3, "S2", 2)]
    assert who(found) == ["T1", "S1", "G1"]
    assert found.seen_links["link_id"].to_list() == ["L1"]


def test_guardians_of_a_student_who_goes_on_as_last_applied_are_provisioned() -> None:
    files = _of(guardian_of("G2", **NAMED))
    files.students[1]["first_name"] = ""
    found = settled(files, held(link("LS2", "student", "S2")))
    assert issues(found) == [("name_missing", "1", 3, "S2", 0)]
    assert pairs(found) == [("LS2", "G2"), ("S1", "G1")]


def test_a_newcomer_takes_no_link_from_one_whose_name_and_phone_came_from_two_entries() -> None:
    entries = [
        guardian_of(phone=OTHER_PHONE, email="a@mail.example", first_name="Ana", last_name="Reyes"),
        guardian_of(phone=PHONE, email="a@mail.example", first_name="Bea", last_name="Reyes"),
    ]
    newcomer = guardian_of(phone=PHONE, email="new@mail.example", first_name="Ana", last_name="Reyes")
    known = held(_held("L1", phone="+12125550123", email="a@mail.example"))
    found = settled(_of(*entries, newcomer), known)
    assert found.people.filter(phone="+12125550123").select("email", "link_id").sort("email").rows() == [
        ("a@mail.example", "L1"),
        ("new@mail.example", None),
    ]
