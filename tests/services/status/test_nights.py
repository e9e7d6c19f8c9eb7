"""What each run did at a school, who decided what, and two nights compared."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event
from sqlmodel import Session, SQLModel, select

from errors import NotFound
from models.database import Database
from models.tables import Decision, District, Hold, Run, School, SchoolRun, Source
from services.status import nights
from services.status.nights import Night
from tests.report.many import add_many

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
LINCOLN = "unified/lincoln"


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.transaction() as session:
        add(session, District(id="unified", name="Unified", timezone="UTC", administrators=[]))
        add(session, Source(id="unified/files", district_id="unified", key="files", kind="csv", format="csv-1.0"))
        for key in ("lincoln", "adams"):
            school = School(id=f"unified/{key}", district_id="unified", key=key, name=key, source_id="unified/files")
            add(session, school)
        yield session


def add(session: Session, row: SQLModel) -> None:
    session.add(row)
    session.flush()


def a_night(
    session: Session,
    day: int,
    outcome: str = "applied",
    *,
    school: str | None = LINCOLN,
    asked: list[str] | None = None,
    **values: Any,
) -> int:
    """A run that day, and what it did at a school; gives the number of the school's. asked: schools it was about."""
    at = NOW + timedelta(days=day)
    run = Run(
        district_id="unified",
        source_id="unified/files",
        started_at=at,
        heartbeat_at=at,
        ended_at=at,
        outcome="done" if school else outcome,
        schools=asked,
    )
    add(session, run)
    if school is None:
        return 0
    assert run.id is not None
    done = SchoolRun(run_id=run.id, school_id=school, source_id="unified/files", at=at, outcome=outcome, **values)
    add(session, done)
    assert done.id is not None
    return done.id


def a_decision(session: Session, day: float, verb: str, *, applied: float | None = None) -> None:
    hold = Hold(school_id=LINCOLN, opened_at=NOW, ended_at=NOW if applied is not None else None)
    add(session, hold)
    assert hold.id is not None
    applied_at = NOW + timedelta(days=applied) if applied is not None else None
    decision = Decision(hold_id=hold.id, verb=verb, by="ops", at=NOW + timedelta(days=day), applied_at=applied_at)
    add(session, decision)


def test_nights_tell_what_they_did_newest_first(session: Session) -> None:
    counts = {
        "students_create": 5,
        "students_adopt": 1,
        "employees_join": 2,
        "classes_update": 3,
        "students_change_id": 4,
        "guardians_reactivate": 6,
        "guardians_remove": 7,
        "guardianships_create": 900,
        "student_class_memberships_remove": 900,
    }
    first = a_night(session, 0, counts=counts, reasons=[], teachers=2, students=9, errors=1, alerts=3)
    second = a_night(session, 1, "on_hold", counts={}, reasons=["data_removals"])
    a_night(session, 1, school="unified/adams")
    newest, oldest = nights.nights_of(session, LINCOLN)
    assert (newest, oldest) == (
        Night(
            second, newest.run_id, NOW + timedelta(days=1), "on_hold", {}, ("data_removals",), None, None, None, None
        ),
        Night(first, oldest.run_id, NOW, "applied", counts, (), 2, 9, 1, 3),
    )
    assert {did: oldest.of(did) for did in ("created", "updated", "reactivated", "removed")} == {
        "created": 8,
        "updated": 7,
        "reactivated": 6,
        "removed": 7,
    }
    assert [night.id for night in nights.nights_of(session, LINCOLN, limit=1)] == [second]


def test_a_run_that_stopped_before_the_school_is_a_night_too(session: Session) -> None:
    a_night(session, 0)
    a_night(session, 1, "rejected", school=None)
    a_night(session, 2, "duplicate", school=None)
    assert [(night.id is None, night.outcome) for night in nights.nights_of(session, LINCOLN)] == [
        (True, "rejected"),
        (False, "applied"),
    ]


def test_schools_last_nights_are_their_own_fourteen_with_those_that_stopped(session: Session) -> None:
    assert nights.last_nights(session, [LINCOLN, "unified/adams"]) == {}
    a_night(session, 0, school="unified/adams", errors=3)
    for day in range(1, 21):
        a_night(session, day, errors=day)
    for day in range(21, 26):
        a_night(session, day, "rejected", school=None)
    for day in range(26, 90):  # by hand, of the one school
        a_night(session, day, "disconnected", school=None, asked=[LINCOLN])
    found = nights.last_nights(session, [LINCOLN, "unified/adams", "unified/none"])
    days = {
        school: [((night.at - NOW).days, night.outcome, night.errors, night.went_through) for night in each]
        for school, each in found.items()
    }
    assert days == {
        LINCOLN: [(day, "disconnected", None, False) for day in range(76, 90)],
        "unified/adams": [
            (0, "applied", 3, True),
            *((day, "rejected", None, False) for day in range(21, 26)),
        ],
    }
    # The school's own page tells of the same.
    assert nights.nights_of(session, LINCOLN) == found[LINCOLN][::-1]
    assert [each.errors for each in nights.nights_of(session, LINCOLN, limit=70)[68:]] == [None, 20]


def test_a_run_that_stopped_half_way_is_one_night_of_the_school_that_it_reached(session: Session) -> None:
    a_night(session, 0)
    half_way = session.exec(select(Run)).one()
    half_way.outcome = "interrupted"
    add(session, half_way)
    found = nights.last_nights(session, [LINCOLN, "unified/adams"])
    assert {school: [night.outcome for night in each] for school, each in found.items()} == {
        LINCOLN: ["applied"],
        "unified/adams": ["interrupted"],
    }


@pytest.mark.parametrize("changes", [{"on_plan": False}, {"frozen": True}, {"source_id": None}])
def test_what_stops_is_no_night_of_a_school_that_is_not_synced(session: Session, changes: dict[str, Any]) -> None:
    a_night(session, 0)
    a_night(session, 1, "rejected", school=None)
    add(session, session.get_one(School, LINCOLN).sqlmodel_update(changes))
    assert [night.outcome for night in nights.nights_of(session, LINCOLN)] == ["applied"]


def test_the_nights_of_many_schools_take_three_queries(database: Database) -> None:
    add_many(database, 120, nights=40)
    asked: list[str] = []

    def note(*given: Any) -> None:
        asked.extend([given[2]] if given[2].startswith(("SELECT", "WITH")) else [])

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        with database.reading() as session:
            found = nights.last_nights(session, [f"many/s{number:04}" for number in range(100)])
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
    assert ({len(each) for each in found.values()}, len(found), len(asked)) == ({14}, 80, 3)


def test_a_night_tells_what_was_decided_since_the_one_before(session: Session) -> None:
    for day in (0, 1, 2):
        a_night(session, day)
    a_decision(session, -1, "fixed", applied=0)
    a_decision(session, 0.5, "confirm_removals", applied=1)
    a_decision(session, 1, "accept", applied=1)
    a_decision(session, 2.5, "recheck")
    decided = [[decision.verb for decision in night.decisions] for night in nights.nights_of(session, LINCOLN)]
    assert decided == [[], ["confirm_removals", "accept"], ["fixed"]]
    # With the one before it left out by the limit, too.
    (newest,) = nights.nights_of(session, LINCOLN, limit=1)
    assert newest.decisions == ()
    assert [decision.verb for decision in nights.undone_decisions(session, LINCOLN)] == ["recheck"]
    assert nights.undone_decisions(session, "unified/adams") == []


def test_two_nights_are_compared_in_either_order(session: Session) -> None:
    one = a_night(session, 0, counts={"students_create": 5, "students_change_id": 1}, teachers=2, students=9, errors=4)
    other = a_night(session, 1, counts={"students_adopt": 2, "guardianships_remove": 3}, teachers=2, students=11)
    first, second = (nights.get_night(session, LINCOLN, number) for number in (one, other))
    compared = nights.compare(second, first)
    assert (compared.earlier, compared.later) == (first, second)
    assert compared.figures == {"teachers": (2, 2), "students": (9, 11), "errors": (4, None), "alerts": (None, None)}
    assert compared.changes == {
        ("students", "created"): (5, 2),
        ("students", "updated"): (1, 0),
        ("guardianships", "removed"): (0, 3),
    }


def test_another_schools_night_is_not_found(session: Session) -> None:
    theirs = a_night(session, 0, school="unified/adams")
    with pytest.raises(NotFound):
        nights.get_night(session, LINCOLN, theirs)


def test_the_last_success_is_the_last_night_that_brought_the_school_up_to_date(session: Session) -> None:
    assert nights.last_success(session, LINCOLN) is None
    a_night(session, 0)
    a_night(session, 1, "unchanged")
    a_night(session, 2, "on_hold")
    assert nights.last_success(session, LINCOLN) == NOW + timedelta(days=1)
