from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlmodel import select

from errors import WriteConflict
from models.database import Database
from models.tables import Account, District, Hold, Run, School, Source

AT = datetime(2026, 11, 23, 8, tzinfo=UTC)


@pytest.fixture
def district(database: Database) -> Database:
    """A database with one district, source and school."""
    with database.transaction() as session:
        session.add(District(id="d", name="D", timezone="UTC", administrators=["it@unified.example"]))
        session.flush()
        session.add(
            Source(
                id="d/s",
                district_id="d",
                key="s",
                kind="csv",
                format="csv-1.0",
                settings={"folder": "/drop"},
            )
        )
        session.add(School(id="d/1", district_id="d", key="1", name="One"))
    return database


def test_an_email_is_unique_over_active_accounts_only(database: Database) -> None:
    def account(identifier: str, archived_at: datetime | None) -> Account:
        return Account(id=identifier, role="student", email="a@x.example", created_at=AT, archived_at=archived_at)

    with database.transaction() as session:
        session.add_all([account("a", None), account("b", AT), account("c", AT)])
    with pytest.raises(WriteConflict), database.transaction() as session:
        session.add(account("d", None))


def test_a_district_has_one_open_run(district: Database) -> None:
    def run(ended_at: datetime | None) -> Run:
        return Run(district_id="d", source_id="d/s", started_at=AT, heartbeat_at=AT, ended_at=ended_at)

    with district.transaction() as session:
        session.add_all([run(AT), run(AT), run(None)])
    with pytest.raises(WriteConflict), district.transaction() as session:
        session.add(run(None))


def test_a_school_has_one_open_hold(district: Database) -> None:
    with district.transaction() as session:
        session.add_all([Hold(school_id="d/1", opened_at=AT, ended_at=AT), Hold(school_id="d/1", opened_at=AT)])
    with pytest.raises(WriteConflict), district.transaction() as session:
        session.add(Hold(school_id="d/1", opened_at=AT))


def test_moments_come_back_in_utc_whatever_zone_they_were_given_in(district: Database) -> None:
    told = AT.astimezone(timezone(timedelta(hours=-8)))
    with district.transaction() as session:
        session.exec(select(Source)).one().last_received_at = told
    with district.reading() as session:
        received = session.exec(select(Source)).one().last_received_at
    assert received == AT
    assert received is not None
    assert received.tzinfo == UTC


def test_lists_and_maps_come_back_as_they_were(district: Database) -> None:
    with district.transaction() as session:
        session.exec(select(Source)).one().stamps = {"schools.csv": [12, 1_764_000_000_000_000_001, 3]}
    with district.reading() as session:
        assert session.exec(select(Source.stamps)).one() == {"schools.csv": [12, 1_764_000_000_000_000_001, 3]}
        assert session.exec(select(District.administrators)).one() == ["it@unified.example"]
