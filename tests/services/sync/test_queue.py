"""What a night leaves for shards: taken in order, once, by one of them; made good where a run died or failed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import tenacity
from sqlmodel import col, select, update

from errors import Busy
from models import bulk
from models.database import Database
from models.outcomes import RunOutcome
from models.tables import District, QueuedSource, Run, Source
from services.status.sync_status import LIVE
from services.sync import leases, queue
from services.sync.queue import Taken

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
DISTRICTS = ("adams", "birch", "cedar")


@pytest.fixture(autouse=True)
def districts(database: Database) -> None:
    """Three districts with a source each, and cedar with a second one; birch was synced last, and cedar before."""
    with database.transaction() as session:
        for name in DISTRICTS:
            session.add(District(id=name, name=name, timezone="UTC", administrators=[]))
            session.flush()
            session.add(source(name, "files"))
        session.add(source("cedar", "more"))
        session.flush()
        for name, days in (("cedar", 2), ("birch", 1)):
            run = leases.begin_run(session, name, f"{name}/files", schools=None, now=NOW - timedelta(days=days))
            assert run.id is not None
            leases.end_run(session, run.id, RunOutcome.DONE, [], NOW - timedelta(days=days))


def source(district: str, key: str, kind: str = "csv") -> Source:
    return Source(id=f"{district}/{key}", district_id=district, key=key, kind=kind, format="csv-1.0", settings={})


def fill(database: Database, *districts: str, start_by: datetime | None = None) -> None:
    with database.transaction() as session:
        queue.fill(session, districts or DISTRICTS, kind="csv", start_by=start_by)


def take(database: Database, now: datetime = NOW) -> Taken | None:
    with database.transaction() as session:
        return queue.take(session, now)


def taken(database: Database) -> list[str]:
    """What a shard takes until nothing is there to take; where another was quicker it looks again."""
    again = tenacity.retry(retry=tenacity.retry_if_exception_type(Busy))(take)
    return [each.request.source_id for each in iter(lambda: again(database), None)]


def end(database: Database, run_id: int, outcome: RunOutcome = RunOutcome.DONE) -> None:
    with database.transaction() as session:
        leases.end_run(session, run_id, outcome, [], NOW)


def silence(database: Database) -> None:
    """Every open run has shown no heartbeat for long."""
    with database.transaction() as session:
        at = bulk.clock(session) - LIVE
        session.execute(update(Run).where(col(Run.ended_at).is_(None)).values(heartbeat_at=at))


def queued(database: Database) -> list[tuple[str, int]]:
    with database.reading() as session:
        rows = session.exec(select(QueuedSource).order_by(col(QueuedSource.source_id)))
        return [(row.source_id, row.takes) for row in rows]


def test_the_source_synced_longest_ago_goes_first_and_one_of_a_busy_district_waits(database: Database) -> None:
    fill(database)
    assert taken(database) == ["adams/files", "cedar/more", "birch/files"]
    with database.reading() as session:
        assert not queue.is_empty(session, NOW)
        (open_run,) = session.exec(select(Run.id).where(Run.source_id == "cedar/more"))
    assert open_run is not None
    end(database, open_run)
    assert taken(database) == ["cedar/files"]


def test_what_a_run_did_is_not_taken_again(database: Database) -> None:
    fill(database, "adams")
    first = take(database)
    assert first is not None
    assert (first.request.source_id, first.request.by_hand) == ("adams/files", False)
    end(database, first.run_id)
    assert (take(database), queued(database)) == (None, [])
    with database.reading() as session:
        assert queue.is_empty(session, NOW)


def test_a_persons_run_of_the_whole_district_counts_and_one_of_some_schools_does_not(database: Database) -> None:
    fill(database, "adams", "birch")
    for district, schools in (("adams", None), ("birch", ["birch/lincoln"])):
        with database.transaction() as session:
            run = leases.begin_run(session, district, f"{district}/files", schools=schools, now=NOW)
            assert run.id is not None
            leases.end_run(session, run.id, RunOutcome.DONE, [], NOW)
    assert taken(database) == ["birch/files"]


def test_a_source_whose_run_failed_is_taken_once_more_after_the_others_and_then_given_up(database: Database) -> None:
    fill(database, "adams", "birch")
    order = []
    while (found := take(database)) is not None:
        order.append(found.request.source_id)
        end(database, found.run_id, RunOutcome.FAILED)
    assert order == ["adams/files", "birch/files", "adams/files", "birch/files"]
    with database.reading() as session:
        assert queue.is_empty(session, NOW)
        assert queue.given_up(session, ["adams/files", "cedar/files"]) == ["adams/files"]
    # The next night tries again.
    fill(database, "adams")
    assert taken(database) == ["adams/files"]


def test_a_source_whose_run_was_killed_is_taken_once_more_when_the_run_is_silent(database: Database) -> None:
    fill(database, "adams")
    killed = take(database)
    assert killed is not None
    assert take(database) is None
    with database.reading() as session:
        assert not queue.is_empty(session, NOW)
    silence(database)
    assert taken(database) == ["adams/files"]
    # Whatever kills each of its runs does not end the night.
    silence(database)
    assert take(database) is None
    with database.reading() as session:
        assert queue.is_empty(session, NOW)
        outcomes = session.exec(select(Run.outcome).where(Run.district_id == "adams").order_by(col(Run.id)))
        assert list(outcomes) == ["interrupted", None]


def test_nothing_is_taken_when_it_is_too_late(database: Database) -> None:
    fill(database, "adams", start_by=NOW + timedelta(minutes=1))
    fill(database, "birch")
    late = NOW + timedelta(minutes=1)
    found = take(database, late)
    assert found is not None
    assert found.request.source_id == "birch/files"
    end(database, found.run_id)
    with database.reading() as session:
        assert (queue.is_empty(session, NOW), queue.is_empty(session, late)) == (False, True)
        assert (queue.count_late(session, NOW), queue.count_late(session, late)) == (0, 1)


def test_what_the_setup_no_longer_names_is_not_taken_and_not_waited_for(database: Database) -> None:
    fill(database, "adams", "birch")
    with database.transaction() as session:
        session.execute(update(Source).where(col(Source.id) == "adams/files").values(frozen=True))
        session.execute(update(District).where(col(District.id) == "birch").values(frozen=True))
    assert take(database) is None
    with database.reading() as session:
        assert queue.is_empty(session, NOW)


def test_shards_that_take_at_once_take_each_source_once(database: Database) -> None:
    names = [f"d{number:02}" for number in range(40)]
    with database.transaction() as session:
        session.add_all(District(id=name, name=name, timezone="UTC", administrators=[]) for name in names)
        session.flush()
        session.add_all(source(name, "files") for name in names)
    fill(database, *names)
    with ThreadPoolExecutor(4) as shards:
        found = [each for of_one in shards.map(lambda _: taken(database), range(4)) for each in of_one]
    assert sorted(found) == [f"{name}/files" for name in names]
