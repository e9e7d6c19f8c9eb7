"""Runs: one open run a district, its heartbeat, its take-over, and what a delivery is not done with."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import Session, col, select, update

from errors import Busy, DatabaseUnavailable, LeaseLost, NotFound, NotPossible
from models import bulk
from models.database import Database
from models.tables import Delivery, District, Run, School, SchoolRun, Source, StatusChange
from services import clock
from services.sync import leases

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


@pytest.fixture(autouse=True)
def district(database: Database) -> None:
    with database.transaction() as session:
        session.add(District(id="unified", name="Unified", timezone="UTC", administrators=[]))
        session.add(District(id="valley", name="Valley", timezone="UTC", administrators=[]))
        session.flush()
        session.add_all(
            Source(
                id=f"unified/{key}",
                district_id="unified",
                key=key,
                kind="csv",
                format="csv-1.0",
                settings={"folder": key},
            )
            for key in ("files", "other")
        )
        session.add(
            Source(
                id="valley/files",
                district_id="valley",
                key="files",
                kind="csv",
                format="csv-1.0",
                settings={"folder": "valley"},
            )
        )
        session.flush()
        session.add_all(
            School(
                id=f"unified/{key}",
                district_id="unified",
                key=key,
                name=key.title(),
                source_id="unified/files",
                external_id=f"010{position}",
                position=position,
            )
            for position, key in enumerate(("lincoln", "adams"))
        )


def begin(database: Database, district_id: str = "unified", now: datetime = NOW) -> int:
    with database.transaction() as session:
        run = leases.begin_run(session, district_id, f"{district_id}/files", schools=None, now=now)
        assert run.id is not None
        return run.id


def run_of(database: Database, run_id: int) -> Run:
    with database.reading() as session:
        run = session.get(Run, run_id)
        assert run is not None
        return run


def silence(database: Database, run_id: int, seconds: float) -> datetime:
    """Let the run have shown its last heartbeat so long ago, by the database's clock."""
    with database.transaction() as session:
        at = bulk.clock(session) - timedelta(seconds=seconds)
        session.execute(update(Run).where(col(Run.id) == run_id).values(heartbeat_at=at))
        return at


def test_an_open_run_is_the_districts_lease(database: Database) -> None:
    first = begin(database)
    with pytest.raises(Busy) as raised:
        begin(database, now=LATER)
    assert str(raised.value) == (
        f"district unified is already being synced (run {first}, started Nov 23, 2026, 9:00 AM UTC);"
        " try again when it has ended"
    )
    begin(database, "valley")
    with database.transaction() as session:
        leases.end_run(session, first, "done", ["all well"], LATER)
    ended = run_of(database, first)
    assert (ended.started_at, ended.ended_at, ended.outcome, ended.notes) == (NOW, LATER, "done", ["all well"])
    second = begin(database, now=LATER)
    with database.reading() as session:
        assert [run.id for run in leases.runs_of(session, "unified")] == [second, first]
        assert [run.id for run in leases.runs_of(session, "unified", limit=1)] == [second]


def test_a_run_starts_with_a_heartbeat_and_what_was_asked(database: Database) -> None:
    with database.transaction() as session:
        before = bulk.clock(session)
        run = leases.begin_run(session, "unified", "unified/files", schools=["unified/adams"], now=NOW)
        assert before <= run.heartbeat_at <= bulk.clock(session)
        assert (run.source_id, run.schools, run.delivery_id, run.outcome) == (
            "unified/files",
            ["unified/adams"],
            None,
            None,
        )


def test_unknown_and_frozen_districts_are_not_begun(database: Database) -> None:
    with pytest.raises(NotFound, match="there is no district nowhere"), database.transaction() as session:
        leases.begin_run(session, "nowhere", "nowhere/files", schools=None, now=NOW)
    with database.transaction() as session:
        session.execute(update(District).where(col(District.id) == "valley").values(frozen=True))
    with pytest.raises(NotPossible, match="no longer names district valley"):
        begin(database, "valley")


def test_of_two_that_begin_at_once_one_is_refused(database: Database) -> None:
    outcomes: list[str] = []
    together = threading.Barrier(4)

    def contend() -> None:
        together.wait()
        try:
            begin(database)
            outcomes.append("begun")
        except Busy:
            outcomes.append("busy")

    threads = [threading.Thread(target=contend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["begun", "busy", "busy", "busy"]


def test_a_run_silent_for_five_minutes_is_ended_as_interrupted_and_taken_over(database: Database) -> None:
    first = begin(database)
    silence(database, first, 299)
    with pytest.raises(Busy):
        begin(database, now=LATER)
    at = silence(database, first, 301)
    second = begin(database, now=LATER)
    died = run_of(database, first)
    assert second != first
    assert (died.ended_at, died.outcome, died.notes) == (
        LATER,
        "interrupted",
        [f"no heartbeat since {clock.local_time(at, UTC)}"],
    )


def test_a_run_that_was_taken_over_can_write_nothing_more(database: Database) -> None:
    first = begin(database)
    with database.transaction() as session:
        leases.assert_open(session, first)
    silence(database, first, 301)
    second = begin(database)
    with pytest.raises(LeaseLost), database.transaction() as session:
        leases.assert_open(session, first)
    with pytest.raises(LeaseLost), database.transaction() as session:
        leases.end_run(session, first, "done", [], NOW)
    with database.transaction() as session:
        assert not leases.record_heartbeat(session, first)
        assert leases.record_heartbeat(session, second)
    assert run_of(database, first).outcome == "interrupted"


# On SQLite the transaction itself keeps everybody else out.
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_take_over_waits_for_a_transaction_of_the_run_and_reads_its_heartbeat_again(
    database: Database,
) -> None:
    run_id = begin(database)
    silence(database, run_id, 301)
    outcome: list[str] = []

    def take_over() -> None:
        try:
            begin(database)
            outcome.append("taken over")
        except Busy:
            outcome.append("busy")

    taker = threading.Thread(target=take_over)
    with database.transaction() as session:
        leases.assert_open(session, run_id)
        taker.start()
        time.sleep(0.3)
        assert (taker.is_alive(), outcome) == (True, [])
        # The heartbeat gets through the transaction's lock.
        with database.transaction() as other:
            assert leases.record_heartbeat(other, run_id)
    taker.join()
    assert outcome == ["busy"]


def test_the_heartbeat_is_shown_while_it_lasts(database: Database) -> None:
    run_id = begin(database)
    silent = silence(database, run_id, 200)
    with leases.Heartbeat(database, run_id, every=0.02):
        until = time.monotonic() + 5
        while run_of(database, run_id).heartbeat_at == silent and time.monotonic() < until:
            time.sleep(0.02)
    shown = run_of(database, run_id).heartbeat_at
    assert shown > silent
    time.sleep(0.1)
    assert run_of(database, run_id).heartbeat_at == shown


def test_the_heartbeat_ends_quietly_once_the_run_is_over(database: Database) -> None:
    run_id = begin(database)
    with leases.Heartbeat(database, run_id, every=0.02) as life:
        with database.transaction() as session:
            leases.end_run(session, run_id, "done", [], LATER)
        life._thread.join(timeout=5)
        assert not life._thread.is_alive()


def test_a_heartbeat_that_meets_a_locked_database_is_tried_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = begin(database)
    silent = silence(database, run_id, 200)
    met: list[str] = []
    shows = leases.record_heartbeat

    def locked_at_first(session: Session, run_id: int) -> bool:
        met.append("tried")
        if len(met) < 3:
            raise DatabaseUnavailable("the database stayed locked")
        return shows(session, run_id)

    monkeypatch.setattr(leases, "record_heartbeat", locked_at_first)
    with leases.Heartbeat(database, run_id, every=0.02):
        until = time.monotonic() + 5
        while len(met) < 4 and time.monotonic() < until:
            time.sleep(0.02)
    assert run_of(database, run_id).heartbeat_at > silent


def test_waiting_for_a_run(database: Database) -> None:
    waited: list[int | None] = []

    def note(run: Run) -> None:
        waited.append(run.id)

    leases.wait_for_run(database, "unified", 5, note)
    assert waited == []

    run_id = begin(database)
    with pytest.raises(Busy, match=f"run {run_id}, started"):
        leases.wait_for_run(database, "unified", 0.05, note, every=0.02)
    assert waited == [run_id]

    def end(run: Run) -> None:
        with database.transaction() as session:
            leases.end_run(session, run_id, "done", [], LATER)

    leases.wait_for_run(database, "unified", 5, end, every=0.02)

    silence(database, begin(database), 301)
    leases.wait_for_run(database, "unified", 0, note)
    assert waited == [run_id]


# --- which schools a delivery is not done with ---


def source_of(session: Session) -> Source:
    source = session.get(Source, "unified/files")
    assert source is not None
    return source


def test_the_digest_follows_what_decides_and_not_the_names(database: Database) -> None:
    def digests() -> dict[str, str]:
        with database.reading() as session:
            return leases.setup_digest(session, source_of(session))

    before = digests()
    assert list(before) == ["unified/lincoln", "unified/adams"]
    assert before["unified/lincoln"] != before["unified/adams"]

    with database.transaction() as session:
        session.execute(update(School).where(col(School.key) == "adams").values(name="Another"))
    assert digests() == before
    with database.transaction() as session:
        session.execute(update(School).where(col(School.key) == "adams").values(external_id="0109"))
    renumbered = digests()
    assert renumbered["unified/lincoln"] == before["unified/lincoln"]
    assert renumbered["unified/adams"] != before["unified/adams"]
    with database.transaction() as session:
        session.execute(update(District).where(col(District.id) == "unified").values(phone_region="CA"))
    assert digests()["unified/lincoln"] != before["unified/lincoln"]


def test_the_digest_follows_rollcalls_version(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with database.reading() as session:
        before = leases.setup_digest(session, source_of(session))
        monkeypatch.setattr(leases, "VERSION", "99.0")
        after = leases.setup_digest(session, source_of(session))
    assert before["unified/lincoln"] != after["unified/lincoln"]


TODAY = {"unified/lincoln": "today", "unified/adams": "today"}
BOTH = ["unified/lincoln", "unified/adams"]


class History:
    """What runs did for schools, one after the other, and what is unfinished then."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.deliveries = [Delivery(source_id="unified/files", received_at=NOW, last_received_at=NOW) for _ in range(3)]
        for delivery, outcome in zip(self.deliveries, ("clean", "clean", "rejected"), strict=True):
            delivery.outcome = outcome
        session.add_all(self.deliveries)
        session.flush()
        self.current(0)

    def current(self, number: int) -> None:
        source_of(self.session).current_delivery_id = self.deliveries[number].id
        self.session.flush()

    def did(
        self, outcome: str, key: str = "lincoln", *, delivery: int = 0, digest: str = "today", source: str = "files"
    ) -> None:
        source_id = f"unified/{source}"
        run = Run(district_id="unified", source_id=source_id, started_at=NOW, heartbeat_at=NOW, ended_at=NOW)
        self.session.add(run)
        self.session.flush()
        assert run.id is not None
        self.session.add(
            SchoolRun(
                run_id=run.id,
                school_id=f"unified/{key}",
                source_id=source_id,
                delivery_id=self.deliveries[delivery].id,
                at=NOW,
                outcome=outcome,
                digest=digest,
            )
        )
        self.session.flush()

    def unfinished(self) -> list[str]:
        return leases.unfinished_schools(self.session, source_of(self.session), TODAY)


def test_without_a_current_delivery_nothing_is_unfinished(database: Database) -> None:
    with database.transaction() as session:
        assert leases.unfinished_schools(session, source_of(session), TODAY) == []


def test_a_delivery_is_done_once_applied_or_found_unchanged(database: Database) -> None:
    with database.transaction() as session:
        history = History(session)
        assert history.unfinished() == BOTH
        history.did("applied")
        assert history.unfinished() == ["unified/adams"]
        history.did("unchanged", "adams")
        assert history.unfinished() == []
        history.current(1)
        assert history.unfinished() == BOTH


@pytest.mark.parametrize("outcome", ["on_hold", "failed"])
def test_a_held_or_failed_school_is_taken_up_again(database: Database, outcome: str) -> None:
    with database.transaction() as session:
        history = History(session)
        history.did("unchanged", "adams")
        history.did("applied")
        history.did(outcome)
        assert history.unfinished() == ["unified/lincoln"]


def test_another_setup_takes_a_school_up_again(database: Database) -> None:
    with database.transaction() as session:
        history = History(session)
        history.did("applied", "adams")
        history.did("applied", digest="yesterday")
        assert history.unfinished() == ["unified/lincoln"]


def test_an_earlier_delivery_chosen_again_is_not_done_though_it_once_was(database: Database) -> None:
    with database.transaction() as session:
        history = History(session)
        history.did("applied", "adams")
        history.did("applied", delivery=0)
        history.did("applied", delivery=1)
        assert history.unfinished() == ["unified/lincoln"]


def test_what_another_source_did_for_a_school_is_not_done(database: Database) -> None:
    with database.transaction() as session:
        history = History(session)
        history.did("applied", "adams")
        history.did("applied")
        history.did("applied", source="other")
        assert history.unfinished() == ["unified/lincoln"]


def test_a_rejected_delivery_undoes_nothing(database: Database) -> None:
    with database.transaction() as session:
        history = History(session)
        history.did("applied", "adams")
        history.did("applied")
        history.did("on_hold", delivery=2)
        assert history.unfinished() == []


def test_schools_off_the_plan_frozen_or_of_another_source_are_not_waited_for(database: Database) -> None:
    with database.transaction() as session:
        history = History(session)
        session.execute(update(School).where(col(School.key) == "lincoln").values(on_plan=False))
        assert history.unfinished() == ["unified/adams"]
        session.execute(update(School).where(col(School.key) == "adams").values(frozen=True))
        assert history.unfinished() == []
        session.execute(
            update(School).where(col(School.key) == "adams").values(frozen=False, source_id="unified/other")
        )
        assert history.unfinished() == []


def test_a_run_has_something_to_bring_in_from_the_first_time_that_is_noted(database: Database) -> None:
    run_id = begin(database)
    with database.transaction() as session:
        leases.record_processing(session, run_id, now=NOW)
        delivery = Delivery(source_id="unified/files", received_at=LATER, last_received_at=LATER)
        session.add(delivery)
        session.flush()
        leases.record_processing(session, run_id, delivery_id=delivery.id, now=LATER)
    run = run_of(database, run_id)
    assert (run.processing_since, run.delivery_id) == (NOW, delivery.id)


def test_a_take_over_keeps_the_time_at_which_processing_ended(database: Database) -> None:
    first = begin(database)
    with database.transaction() as session:
        delivery = Delivery(source_id="unified/files", received_at=NOW, last_received_at=NOW)
        session.add(delivery)
        session.flush()
        assert delivery.id is not None
        leases.record_processing(session, first, delivery_id=delivery.id, now=NOW)
    with database.transaction() as session:
        hour_ago = bulk.clock(session) - timedelta(hours=1)
        session.execute(update(Run).where(col(Run.id) == first).values(heartbeat_at=hour_ago))
        session.add_all(
            StatusChange(school_id=school, at=hour_ago, status="processing", reason="a delivery") for school in BOTH
        )
    begin(database, now=datetime.now(UTC))
    with database.reading() as session:
        changes = session.exec(select(StatusChange).order_by(col(StatusChange.id))).all()
    assert [(change.school_id, change.at, change.status, change.reason) for change in changes[2:]] == [
        (
            school,
            hour_ago + timedelta(minutes=5),
            "setup_sync",
            "its run sent no heartbeat for five minutes",
        )
        for school in BOTH
    ]
