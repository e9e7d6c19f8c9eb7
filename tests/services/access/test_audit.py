from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import Session

from errors import DataError, WriteConflict
from models import bulk
from models.database import Database
from models.tables import District, School
from services.access.audit import COLUMNS, Action, Filter, entries, record, record_person, to_frame
from services.access.viewers import NOBODY, Viewer

AT = datetime(2026, 11, 23, 8, tzinfo=UTC)
IT, OFFICE = "it@unified.example", "office_1@lincoln.example"


@pytest.fixture
def audited(database: Database) -> Database:
    with database.transaction() as session:
        for identifier in ("unified", "coast"):
            session.add(District(id=identifier, name=identifier, timezone="UTC", administrators=[]))
        session.flush()
        session.add(School(id="unified/lincoln", district_id="unified", key="lincoln", name="Lincoln"))
        session.flush()
        record(session, Action.SIGNED_IN, actor=IT, at=AT, district_id="unified", network="127.0.0.1")
        record(
            session,
            Action.PEOPLE_VIEWED,
            actor=OFFICE,
            at=AT + timedelta(hours=1),
            district_id="unified",
            school_id="unified/lincoln",
            subject="a1",
        )
        record(session, Action.DOWNLOADED, actor="token:Export", at=AT + timedelta(hours=2), district_id="coast")
        record(session, Action.SIGN_IN_FAILED, actor="nobody signed in", at=AT + timedelta(hours=3))
    return database


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entry SET actor = 'x' WHERE id = 1",
        "UPDATE audit_entry SET at = at",
        "DELETE FROM audit_entry WHERE id = 1",
        "DELETE FROM audit_entry",
    ],
)
def test_what_was_audited_is_neither_changed_nor_removed(audited: Database, statement: str) -> None:
    with pytest.raises(DataError), audited.transaction() as session:
        bulk.execute(session, statement)
    with audited.reading() as session:
        assert [entry.actor for entry in entries(session, Filter())][::-1] == [
            IT,
            OFFICE,
            "token:Export",
            "nobody signed in",
        ]


def test_nor_is_it_replaced_or_emptied_away(audited: Database) -> None:
    statement = (
        "INSERT OR REPLACE INTO audit_entry (id, at, actor, action) SELECT id, at, 'x', action FROM audit_entry"
        if audited.dialect == "sqlite"
        else "TRUNCATE audit_entry"
    )
    with pytest.raises((DataError, WriteConflict)), audited.transaction() as session:
        bulk.execute(session, statement)
    with audited.reading() as session:
        assert [entry.actor for entry in entries(session, Filter())][-1] == IT


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (Filter(), [4, 3, 2, 1]),
        (Filter("unified"), [2, 1]),
        (Filter("coast"), [3]),
        (Filter(person="IT@"), [1]),
        (Filter(person="_1@"), [2]),  # no wildcard
        (Filter(person="%"), []),
        (Filter(action=Action.DOWNLOADED), [3]),
        (Filter(since=AT + timedelta(hours=2)), [4, 3]),
        (Filter(until=AT + timedelta(hours=2)), [2, 1]),
        (Filter("unified", person="office", action=Action.PEOPLE_VIEWED), [2]),
    ],
)
def test_entries_are_found_newest_first(audited: Database, asked: Filter, found: list[int]) -> None:
    with audited.reading() as session:
        assert [entry.id for entry in entries(session, asked)] == found


def test_entries_come_in_pages(audited: Database) -> None:
    with audited.reading() as session:
        assert [entry.id for entry in entries(session, Filter(), before=4, limit=2)] == [3, 2]


def test_a_download_is_in_the_zone_and_all_text(audited: Database) -> None:
    with audited.reading() as session:
        frame = to_frame(entries(session, Filter("unified")), ZoneInfo("America/Los_Angeles"))
    assert frame.rows() == [
        ("2026-11-23T01:00:00-08:00", OFFICE, "people_viewed", "unified", "unified/lincoln", "a1", None, None),
        ("2026-11-23T00:00:00-08:00", IT, "signed_in", "unified", None, None, None, "127.0.0.1"),
    ]
    assert tuple(to_frame([], ZoneInfo("UTC")).columns) == COLUMNS


@pytest.mark.parametrize(
    ("viewer", "districts"),
    [
        (Viewer(IT, districts=frozenset({"unified", "coast"})), ["coast", "unified"]),
        (Viewer(OFFICE, schools=frozenset({"unified/lincoln", "unified/grant"})), ["unified"]),
        (Viewer("ops@rollcall.example", is_operator=True), [None]),
        (NOBODY, [None]),
    ],
)
def test_what_somebody_does_is_for_each_district_of_theirs_to_read(
    audited: Database, viewer: Viewer, districts: list[str | None]
) -> None:
    def added(session: Session) -> list[str | None]:
        return [entry.district_id for entry in entries(session, Filter(action=Action.SIGNED_OUT))][::-1]

    with audited.transaction() as session:
        record_person(session, Action.SIGNED_OUT, viewer, at=AT)
        assert added(session) == districts
