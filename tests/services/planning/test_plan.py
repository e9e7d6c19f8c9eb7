"""What a settled delivery changes: creates, updates, returns and removals, by school."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import polars as pl
import pytest

from contracts import roster
from models import bulk
from models.database import Database
from models.tables import Source
from services.planning.plan import plan_district
from services.planning.stored import load_stored_rows, read_scope
from tests.conftest import Beginnings
from tests.services.settled import apply, begun_with, frame, person, plan, set_up, settled

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


BEGIN = begun_with(EVERYBODY)


@pytest.fixture
def started(beginnings: Beginnings, kind: str) -> Iterator[Database]:
    with beginnings(kind, BEGIN) as database:
        yield database


def counts(database: Database, value: roster.Settled) -> dict[str, dict[str, int]]:
    with database.reading() as session:
        return {changes.school_id: changes.counts for changes in plan(session, value).changesets}


def people(database: Database) -> list[tuple[object, ...]]:
    """Every link: kind, external ID, archived, its account archived, and the account's email."""
    with database.reading() as session:
        found = bulk.read(
            session,
            "SELECT l.kind, l.external_id, l.archived_at IS NOT NULL AS gone, a.archived_at IS NOT NULL AS closed,"
            " a.email FROM link l JOIN account a ON a.id = l.account_id ORDER BY l.kind, l.external_id, l.id",
            {},
            {"kind": pl.String, "external_id": pl.String, "gone": pl.Boolean, "closed": pl.Boolean, "email": pl.String},
        )
    return found.rows()


def test_a_first_delivery_creates_everything(database: Database) -> None:
    with database.transaction() as session:
        set_up(session)
    assert counts(database, EVERYBODY) == {
        "unified/lincoln": {
            "student_class_memberships_create": 1,
            "teacher_class_memberships_create": 1,
            "classes_create": 1,
            "employees_create": 1,
            "guardians_create": 1,
            "guardianships_create": 1,
            "students_create": 1,
        },
        "unified/adams": {
            "student_class_memberships_create": 1,
            "teacher_class_memberships_create": 1,
            "classes_create": 1,
            "employees_create": 1,
            "guardians_create": 1,
            "guardianships_create": 1,
            "students_create": 1,
        },
    }


def test_what_one_school_alone_brings_is_fresh_and_what_two_share_is_not(database: Database) -> None:
    with database.transaction() as session:
        set_up(session)
    with database.reading() as session:
        changesets = plan(session, EVERYBODY).changesets
    # The teacher and the parent are at both schools.
    assert {each.school_id: set(each.links.filter("fresh")["external_id"]) for each in changesets} == {
        "unified/lincoln": {"s1"},
        "unified/adams": {"s2"},
    }
    parts = ("memberships", "classes", "class_memberships", "guardianships")
    fresh = {each.school_id: {part: int(getattr(each, part)["fresh"].sum()) for part in parts} for each in changesets}
    of_each = {"memberships": 2, "classes": 1, "class_memberships": 2, "guardianships": 1}
    assert fresh == {"unified/lincoln": of_each, "unified/adams": of_each}


def test_what_is_stored_is_not_fresh(started: Database) -> None:
    apply(started, settled([TEACHER], [(0, "1"), (0, "2")]))
    with started.reading() as session:
        changesets = plan(session, EVERYBODY).changesets
    parts = ("links", "memberships", "classes", "class_memberships", "guardianships")
    assert [[bool(getattr(each, part)["fresh"].any()) for part in parts] for each in changesets] == [[False] * 5] * 2


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
        links = bulk.read(session, "SELECT id FROM link WHERE external_id = 's2'", {}, {"id": pl.String})[
            "id"
        ].to_list()
    rejected = settled(
        [TEACHER, ANN, PARENT],
        [(0, "1"), (0, "2"), (1, "1")],
        [("c1", "1"), ("c2", "2")],
        [("c1", "1", 0, True), ("c1", "1", 1, False), ("c2", "2", 0, True)],
        [(1, 3)],
        seen_links=frame(roster.SEEN_LINKS, [{"link_id": links[0]}]),
        protected=frame(
            roster.PROTECTED_PAIRS,
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


def test_a_guardian_is_known_by_the_ids_that_the_source_gives(started: Database) -> None:
    both = {**PARENT, "external_id": "g1", "guardian_ids": ["g1", "g2"]}
    unknown = person(4, "guardian", None, phone="+12025550124")
    with_others = replace(EVERYBODY, people=frame(roster.SETTLED_PEOPLE, [TEACHER, ANN, BEN, both, unknown]))
    pairs = frame(roster.SETTLED_GUARDIANSHIPS, [{"student": 1, "guardian": who} for who in (3, 4)])
    with started.reading() as session:
        first, _ = plan(session, replace(with_others, guardianships=pairs)).changesets
    told = first.changes.filter(pl.col("type").is_in(["guardians", "guardianships"]))
    assert told.select("action", "type", "record_id", "counterpart_id").rows() == [
        ("create", "guardians", "", None),
        ("update", "guardians", "g1 g2", None),
        ("create", "guardianships", "s1", ""),
    ]


def test_who_has_a_link_of_each_source_changes_the_id_where_a_school_goes_over(started: Database) -> None:
    stored = {row[0]: row[1:] for row in links(started)}
    with started.transaction() as session:
        session.add(Source(id="unified/clever", district_id="unified", key="clever", kind="clever", format="clever-3"))
        session.flush()
        bulk.execute(session, "UPDATE school SET source_id = 'unified/clever' WHERE key = 'lincoln'", {})
    # The teacher and the parent stay at Adams, with its files; Ann goes over as she is.
    over = settled(
        [
            {**TEACHER, "external_id": "c-t1", "adopts": stored["t1"][1]},
            {**ANN, "external_id": "c-s1", "link_id": stored["s1"][0], "renumbered": True},
            {**PARENT, "external_id": "c-g1", "guardian_ids": ["c-g1"], "adopts": stored["g1"][1]},
        ],
        [(0, "1"), (1, "1")],
        [("c-c1", "1")],
        [("c-c1", "1", 0, True), ("c-c1", "1", 1, False)],
        [(1, 3)],
        seen_links=frame(roster.SEEN_LINKS, [{"link_id": stored["s1"][0]}]),
    )
    renamed = over.classes.with_columns(sis_id=pl.lit("c1"))
    with started.reading() as session:
        scope = read_scope(session, "unified/clever")
        (changes,) = plan_district(scope, replace(over, classes=renamed), load_stored_rows(session, scope)).changesets
    told = changes.changes.select("action", "type", "record_id", "new_id").rows()
    assert told == [
        ("change_id", "classes", "c1", "c-c1"),
        ("change_id", "employees", "t1", "c-t1"),
        ("change_id", "guardians", "g1", "c-g1"),
        ("change_id", "students", "s1", "c-s1"),
    ]
    # A person is known by the account, whatever link the school has of them.
    keys = dict(changes.changes.select("record_id", "key").iter_rows())
    assert {name: keys[name] for name in ("t1", "g1", "s1")} == {name: stored[name][1] for name in ("t1", "g1", "s1")}
    assert changes.before == {
        "student_class_memberships": 1,
        "teacher_class_memberships": 1,
        "classes": 1,
        "employees": 1,
        "guardians": 1,
        "guardianships": 1,
        "students": 1,
    }


def links(database: Database) -> list[tuple[str, ...]]:
    """external_id, link and account of everybody."""
    with database.reading() as session:
        schema = dict.fromkeys(("external_id", "id", "account_id"), pl.String)
        return bulk.read(session, "SELECT external_id, id, account_id FROM link", {}, schema).rows()


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


def test_another_name_email_and_phone_are_reported_by_old_and_new_value(started: Database) -> None:
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
            "SELECT kind, id FROM link WHERE external_id <> 's2'",
            {},
            {"kind": pl.String, "id": pl.String},
        )
    of = dict(links.iter_rows())
    renewed = with_people(
        *(
            {**each, "external_id": f"N{each['external_id']}", "link_id": of[str(each["kind"])], "renumbered": True}
            for each in (TEACHER, ANN, PARENT)
        )
    )
    assert told(started, renewed) == []
    assert counts(started, renewed)["unified/lincoln"] == {
        "employees_change_id": 1,
        "guardians_change_id": 1,
        "students_change_id": 1,
    }


def test_a_value_that_todays_rules_read_as_the_new_one_has_not_changed(started: Database) -> None:
    given = with_people({**ANN, "grade": "4"})
    apply(started, given)
    for column, held in (("email", "'ANN@unified.example'"), ("grade", "'Grade 04'"), ("birth_date", "'1890-01-01'")):
        with started.transaction() as session:
            bulk.execute(session, f"UPDATE link SET {column} = {held} WHERE external_id = 's1'")
    with started.transaction() as session:
        bulk.execute(session, "UPDATE link SET phone = '(202) 555-0123' WHERE external_id = 'g1'")
    assert told(started, given) == []
    other = with_people({**ANN, "grade": "5", "email": "new@unified.example"}, {**PARENT, "phone": "+12025550124"})
    assert told(started, other) == [
        ("guardians", "g1", "phone", "+12025550123", "+12025550124"),
        ("students", "s1", "email", "ann@unified.example", "new@unified.example"),
        ("students", "s1", "grade", "4", "5"),
    ]
    # It is written anyway.
    assert counts(started, given)["unified/lincoln"] == {"guardians_update": 1, "students_update": 1}


def test_an_id_that_todays_rules_read_as_the_new_one_has_not_changed(started: Database) -> None:
    with started.transaction() as session:
        bulk.execute(
            session, "UPDATE link SET external_id = 's1' || :hidden WHERE external_id = 's1'", {"hidden": "\u200b"}
        )
        (ann,) = bulk.read(
            session, "SELECT id FROM link WHERE kind = 'student' AND external_id <> 's2'", {}, {"id": pl.String}
        )["id"]
    same = with_people({**ANN, "link_id": ann, "renumbered": True})
    assert counts(started, same)["unified/lincoln"] == {"students_update": 1}


def test_what_there_will_be_is_counted_where_it_may_vanish(started: Database) -> None:
    apply(started, with_people({**ANN, "grade": "4", "birth_date": date(2015, 1, 2)}))
    fields = {"email": None, "grade": None, "birth_date": None}
    classless = replace(
        with_people({**ANN, **fields}),
        class_members=EVERYBODY.class_members.filter(pl.col("is_owner") | (pl.col("class_id") != "c1")),
    )
    with started.reading() as session:
        (lincoln, adams) = plan(session, classless).changesets
    assert dict(lincoln.after) == {
        "teacher_class_memberships": 1,
        "students_email": 0,
        "students_phone": 0,
        "students_birth_date": 0,
        "students_grade": 0,
    }
    assert dict(adams.after) == {"student_class_memberships": 1, "teacher_class_memberships": 1}


def test_who_is_at_no_school_of_the_source_any_more_leaves_it(started: Database) -> None:
    moved = settled([TEACHER, ANN], [(0, "2"), (1, "2")], guardianships=[])
    with started.reading() as session:
        made = plan(session, moved)
        known = {row[2]: row[0] for row in links(started)}
    found = made.present.with_columns(pl.col("key").replace(known)).sort("key", "school_id", "was_here")
    assert found.select("key", "type", "school_id", "was_here", "leaves").rows() == [
        ("g1", "guardians", "unified/adams", True, True),
        ("g1", "guardians", "unified/lincoln", True, True),
        ("s1", "students", "unified/adams", False, False),
        ("s1", "students", "unified/lincoln", True, False),
        ("s2", "students", "unified/adams", True, True),
        ("t1", "employees", "unified/adams", True, False),
        ("t1", "employees", "unified/lincoln", True, False),
    ]
