"""The sync under way: its step and the school in hand, derived from the run."""

from __future__ import annotations

from datetime import timedelta

from models.database import Database
from models.tables import Run, SchoolRun
from services.status import mutes, sync_status
from services.status.progress import Progress, Step, progress, school_version
from tests.report.many import NOW, add_many

IDS = [f"many/s{number:04}" for number in range(12)]
OF_SOURCE = [school for number, school in enumerate(IDS) if number not in (7, 8)]


def step_of(database: Database) -> Progress | None:
    with database.reading() as session:
        return progress(session, "many", NOW + timedelta(minutes=1))


def test_each_step_of_a_run(sqlite_database: Database) -> None:
    database = sqlite_database
    add_many(database, 12)
    assert step_of(database) is None
    with database.transaction() as session:
        run = Run(district_id="many", source_id="many/files", started_at=NOW, heartbeat_at=NOW)
        session.add(run)
        session.flush()
        assert run.id is not None

    def now_is(step: Step, number: int | None = None, school: str | None = None) -> None:
        assert step_of(database) == Progress(run.id or 0, "CSV files", NOW, step, 10, number, school)

    def change(**values: object) -> None:
        with database.transaction() as session:
            held = session.get_one(Run, run.id)
            for name, value in values.items():
                setattr(held, name, value)
            session.add(held)

    def done(*schools: str) -> None:
        with database.transaction() as session:
            for school in schools:
                session.add(
                    SchoolRun(run_id=run.id or 0, school_id=school, source_id="many/files", at=NOW, outcome="unchanged")
                )

    now_is(Step.LOOKING)
    change(processing_since=NOW)
    now_is(Step.FETCHING)
    change(delivery_id=1)
    now_is(Step.CHECKING)
    # Those with nothing to do are recorded first, all at once.
    done(*OF_SOURCE[1:8])
    now_is(Step.SCHOOLS, 8, "<script>alert(1)</script>")
    done(OF_SOURCE[0])
    now_is(Step.SCHOOLS, 9, "School 0010")
    done(*OF_SOURCE[8:])
    now_is(Step.FINISHING)
    change(schools=[IDS[10]])
    assert step_of(database) == Progress(run.id, "CSV files", NOW, Step.FINISHING, 1, asked=frozenset({IDS[10]}))
    change(heartbeat_at=NOW - timedelta(minutes=5))
    assert step_of(database) is None
    change(heartbeat_at=NOW, ended_at=NOW)
    assert step_of(database) is None


def test_a_schools_version_changes_with_each_mute_that_begins_is_ended_or_runs_out(sqlite_database: Database) -> None:
    add_many(sqlite_database, 2)

    def version(days: int) -> str:
        with sqlite_database.reading() as session:
            now = NOW + timedelta(days=days)
            (row,) = sync_status.statuses(session, school_ids=[IDS[0]], now=now)
            return school_version(session, row, now=now)

    def mute(code: str, days: int) -> int:
        with sqlite_database.transaction() as session:
            until = NOW + timedelta(days=days)
            made = mutes.mute(session, IDS[0], code, reason="known", by="it", until=until, now=NOW)
            assert made.id is not None
            return made.id

    without = version(0)
    first, _ = mute("phone_invalid", 30), mute("student_without_class", 10)
    both, one_left = version(0), version(10)
    with sqlite_database.transaction() as session:
        mutes.end_mute(session, IDS[0], first, by="it", now=NOW)
    older_ended = version(0)
    assert len({without, both, one_left, older_ended}) == 4
    assert (version(0), version(10)) == (older_ended, without)
