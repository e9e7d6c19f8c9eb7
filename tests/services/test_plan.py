"""What a settled delivery changes: creates, updates, returns and removals, by school."""

from __future__ import annotations

import polars as pl
import pytest

from contracts import roster
from models import bulk
from models.database import Database
from tests.services.settled import apply, frame, person, plan, set_up, settled

TEACHER = person(0, "employee", "t1", email="t1@unified.example")
ANN = person(1, "student", "s1", email="ann@unified.example")
BEN = person(2, "student", "s2")
PARENT = person(3, "guardian", "g1", guardian_ids=["g1"], phone="+12025550123")
EVERYBODY = settled(
    [TEACHER, ANN, BEN, PARENT],
    [(0, "1"), (0, "2"), (1, "1"), (2, "2")],
    [("c1", "1"), ("c2", "2")],
    [("c1", "1", 0, True), ("c1", "1", 1, False), ("c2", "2", 0, True), ("c2", "2", 2, False)],
    [(1, 3), (2, 3)],
)


@pytest.fixture
def started(database: Database) -> Database:
    with database.transaction() as session:
        set_up(session)
    apply(database, EVERYBODY)
    return database


def counts(database: Database, value: roster.Settled) -> dict[str, dict[str, int]]:
    with database.reading() as session:
        return {changes.school_id: changes.counts for changes in plan(session, value).changesets}


def people(database: Database) -> list[tuple[object, ...]]:
    """Every link: kind, source ID, archived, its account archived, and the account's e-mail."""
    with database.reading() as session:
        found = bulk.read(
            session,
            "SELECT l.kind, l.source_id, l.archived_at IS NOT NULL AS gone, a.archived_at IS NOT NULL AS closed,"
            " a.email FROM link l JOIN account a ON a.id = l.account_id ORDER BY l.kind, l.source_id, l.id",
            {},
            {"kind": pl.String, "source_id": pl.String, "gone": pl.Boolean, "closed": pl.Boolean, "email": pl.String},
        )
    return found.rows()


def test_a_first_delivery_creates_everything(database: Database) -> None:
    with database.transaction() as session:
        set_up(session)
    assert counts(database, EVERYBODY) == {
        "unified/lincoln": {
            "class_memberships_create": 2,
            "classes_create": 1,
            "employees_create": 1,
            "guardians_create": 1,
            "guardianships_create": 1,
            "students_create": 1,
        },
        "unified/adams": {
            "class_memberships_create": 2,
            "classes_create": 1,
            "employees_create": 1,
            "guardians_create": 1,
            "guardianships_create": 1,
            "students_create": 1,
        },
    }


def test_a_plan_applied_leaves_an_empty_plan(started: Database) -> None:
    with started.reading() as session:
        assert [changes.is_empty for changes in plan(session, EVERYBODY).changesets] == [True, True]


def test_people_of_two_schools_are_one_account(started: Database) -> None:
    assert people(started) == [
        ("employee", "t1", False, False, "t1@unified.example"),
        ("guardian", "g1", False, False, None),
        ("student", "s1", False, False, "ann@unified.example"),
        ("student", "s2", False, False, None),
    ]


def test_a_changed_field_is_an_update_at_each_of_their_schools(started: Database) -> None:
    changed = settled(
        [{**TEACHER, "phone": "+12025550199"}, ANN, BEN, PARENT],
        [(0, "1"), (0, "2"), (1, "1"), (2, "2")],
        [("c1", "1"), ("c2", "2")],
        [("c1", "1", 0, True), ("c1", "1", 1, False), ("c2", "2", 0, True), ("c2", "2", 2, False)],
        [(1, 3), (2, 3)],
    )
    once = {"employees_update": 1}
    assert counts(started, changed) == {"unified/lincoln": once, "unified/adams": once}


def test_a_student_in_no_row_is_removed_and_comes_back_as_the_same_account(started: Database) -> None:
    # Adams keeps a second student, so that not everybody of a type goes.
    more = person(4, "student", "s4")
    fuller = settled(
        [TEACHER, ANN, BEN, PARENT, more],
        [(0, "1"), (0, "2"), (1, "1"), (2, "2"), (4, "2")],
        [("c1", "1"), ("c2", "2")],
        [
            ("c1", "1", 0, True),
            ("c1", "1", 1, False),
            ("c2", "2", 0, True),
            ("c2", "2", 2, False),
            ("c2", "2", 4, False),
        ],
        [(1, 3), (2, 3), (4, 3)],
    )
    apply(started, fuller)
    before = people(started)
    without = settled(
        [TEACHER, ANN, BEN, PARENT],
        [(0, "1"), (0, "2"), (1, "1"), (2, "2")],
        [("c1", "1"), ("c2", "2")],
        [("c1", "1", 0, True), ("c1", "1", 1, False), ("c2", "2", 0, True), ("c2", "2", 2, False)],
        [(1, 3), (2, 3)],
    )
    assert counts(started, without)["unified/adams"] == {"students_remove": 1}
    apply(started, without)
    assert ("student", "s4", True, True, None) in people(started)
    apply(started, fuller)
    assert people(started) == before
    with started.reading() as session:
        assert [changes.is_empty for changes in plan(session, fuller).changesets] == [True, True]


def test_what_was_seen_but_is_not_valid_stays_exactly_as_it_is(started: Database) -> None:
    with started.reading() as session:
        links = bulk.read(session, "SELECT id FROM link WHERE source_id = 's2'", {}, {"id": pl.String})["id"].to_list()
    rejected = settled(
        [TEACHER, ANN, PARENT],
        [(0, "1"), (0, "2"), (1, "1")],
        [("c1", "1"), ("c2", "2")],
        [("c1", "1", 0, True), ("c1", "1", 1, False), ("c2", "2", 0, True)],
        [(1, 3)],
        seen_links=frame(roster.SEEN_LINKS, [{"link_id": links[0]}]),
        kept=frame(
            roster.KEPT,
            [{"table": table, "link_id": links[0]} for table in ("school_members", "guardianships", "class_students")],
        ),
    )
    assert counts(started, rejected) == {"unified/lincoln": {}, "unified/adams": {}}


def test_a_class_in_no_row_goes_and_takes_its_memberships_along(started: Database) -> None:
    without = settled(
        [TEACHER, ANN, BEN, PARENT],
        [(0, "1"), (0, "2"), (1, "1"), (2, "2")],
        [("c2", "2")],
        [("c2", "2", 0, True), ("c2", "2", 2, False)],
        [(1, 3), (2, 3)],
    )
    assert counts(started, without) == {"unified/lincoln": {"classes_remove": 1}, "unified/adams": {}}


def test_an_email_that_changes_hands_is_emptied_before_it_is_taken(started: Database) -> None:
    # Ann's address goes to the teacher; she keeps none.
    swapped = settled(
        [{**TEACHER, "email": "ann@unified.example"}, {**ANN, "email": None}, BEN, PARENT],
        [(0, "1"), (0, "2"), (1, "1"), (2, "2")],
        [("c1", "1"), ("c2", "2")],
        [("c1", "1", 0, True), ("c1", "1", 1, False), ("c2", "2", 0, True), ("c2", "2", 2, False)],
        [(1, 3), (2, 3)],
    )
    apply(started, swapped)
    assert people(started)[0] == ("employee", "t1", False, False, "ann@unified.example")
    assert ("student", "s1", False, False, None) in people(started)
    apply(started, EVERYBODY)
    assert people(started)[0] == ("employee", "t1", False, False, "t1@unified.example")
    assert ("student", "s1", False, False, "ann@unified.example") in people(started)


def told(database: Database, value: roster.Settled) -> list[tuple[object, ...]]:
    """What the guard compares at Lincoln: of whom, which field, before and after."""
    with database.reading() as session:
        (lincoln, _) = plan(session, value).changesets
    return lincoln.updates.select("type", "record_id", "field", "before", "after").rows()


def with_people(*people: dict[str, object]) -> roster.Settled:
    """EVERYBODY, but for what is different of these."""
    given = {str(each["kind"]): each for each in people}
    return settled(
        [given.get(str(each["kind"]), each) for each in (TEACHER, ANN, PARENT)] + [BEN],
        [(0, "1"), (0, "2"), (1, "1"), (2, "2")],
        [("c1", "1"), ("c2", "2")],
        [("c1", "1", 0, True), ("c1", "1", 1, False), ("c2", "2", 0, True), ("c2", "2", 2, False)],
        [(1, 3), (2, 3)],
    )


def test_a_name_that_is_only_parted_or_spelled_otherwise_is_no_change(started: Database) -> None:
    same = with_people(
        {**PARENT, "first_name": None, "last_name": "Firstg1 Lastg1"},
        {**ANN, "first_name": "FIRSTS1  LASTS1", "last_name": None},
        {**TEACHER, "last_name": "LASTT1"},
    )
    assert told(started, same) == []
    # It is written nevertheless, and compared by what is written.
    apply(started, same)
    assert told(started, EVERYBODY) == []


def test_another_name_email_and_phone_are_told_by_old_and_new_value(started: Database) -> None:
    other = with_people(
        {**PARENT, "first_name": None, "last_name": "Firstg1 Other", "phone": None},
        {**ANN, "last_name": "Other", "email": "s1@unified.example"},
        {**TEACHER, "first_name": "Other"},
    )
    assert told(started, other) == [
        ("guardians", "g1", "last_name", "Lastg1", "Firstg1 Other"),
        ("guardians", "g1", "phone", "+12025550123", None),
        ("students", "s1", "email", "ann@unified.example", "s1@unified.example"),
        ("students", "s1", "last_name", "Lasts1", "Other"),
    ]


def test_an_id_that_changed_is_no_change_of_anything_else(started: Database) -> None:
    with started.reading() as session:
        links = bulk.read(
            session,
            "SELECT kind, id FROM link WHERE source_id <> 's2'",
            {},
            {"kind": pl.String, "id": pl.String},
        )
    of = dict(links.iter_rows())
    renewed = with_people(
        *(
            {**each, "source_id": f"N{each['source_id']}", "link_id": of[str(each["kind"])], "reissued": True}
            for each in (TEACHER, ANN, PARENT)
        )
    )
    assert told(started, renewed) == []
    assert counts(started, renewed)["unified/lincoln"] == {
        "employees_change_id": 1,
        "guardians_change_id": 1,
        "students_change_id": 1,
    }
