"""A Clever night killed at every page and at every commit after: no half roster, and the next night completes it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlmodel import Session, col, select

from models import bulk
from models.database import open_database
from models.tables import Delivery, Source
from sandbox.clever_api import CLIENT_ID, CLIENT_SECRET
from sandbox.clever_records import clever_district
from sandbox.days import next_day
from sandbox.generator import generate
from services import status, taking
from tests.end_to_end.lakeside import Lakeside, lakeside
from tests.end_to_end.night_process import KILLED, PAGE_SIZE
from tests.end_to_end.nights import Snapshot, people_of_two_schools, snapshot
from tests.end_to_end.test_kill_walk import Home


def test_no_roster_is_taken_by_halves_wherever_the_run_is_killed(tmp_path: Path) -> None:
    assert walk(tmp_path, Home(tmp_path / "clever-base")) == []


@pytest.mark.faults
def test_the_same_on_postgresql(tmp_path: Path, postgresql_server: str) -> None:
    assert walk(tmp_path, Home(tmp_path / "clever-base", postgresql_server)) == []


def walk(folder: Path, base: Home) -> list[str]:
    """Kill a second night at every page and every commit after, each from the same start; gives what was wrong."""
    base.make()
    first = generate(3, schools=2, students=12, teachers=2, classes=4, enrollments=24)
    with ExitStack() as serving:
        with open_database(base.url, backups=None) as database:
            clever = serving.enter_context(lakeside(folder, database, first, page_size=PAGE_SIZE))
            served = replace(clever, folder=base.folder)
            served.night()
        clever.give(clever_district(next_day(first, 1, joined=2, left=1, moved=1, changed=3)))
        how = ("clever", clever.connection.api_url, CLIENT_ID, CLIENT_SECRET)

        reference = base.copy("clever-reference")
        finished = reference.night(0, *how)
        assert finished.returncode == 0, finished.stderr
        steps = finished.stdout.splitlines()[:-1]
        pages = [at for at, name in enumerate(steps, 1) if name.startswith("page")]
        assert len(pages) > 6
        with open_database(reference.url, backups=None) as done:
            shared = people_of_two_schools(done)
            after = snapshot(done, shared)
        with open_database(base.url, backups=None) as database:
            before = snapshot(database, shared)
        assert before.keys() == after.keys()
        assert all(before[school] != after[school] for school in before)

        def killed(kill_at: int) -> list[str]:
            home = base.copy(f"clever-killed-{kill_at}")
            found = _killed(home, kill_at, served, how, (before, after), shared, half=kill_at <= pages[-1])
            home.remove()
            return [f"step {kill_at}, {steps[kill_at - 1]}: {problem}" for problem in found]

        with ThreadPoolExecutor(2) as pool:
            return [problem for found in pool.map(killed, range(pages[0], len(steps) + 1)) for problem in found]


def _killed(
    home: Home,
    kill_at: int,
    served: Lakeside,
    how: tuple[str, ...],
    states: tuple[Snapshot, Snapshot],
    shared: set[str],
    *,
    half: bool,
) -> list[str]:
    """What is wrong after a kill at this step; nothing, where all is well. half: before or at the last page."""
    before, after = states
    problems = []
    ended = home.night(kill_at, *how)
    if ended.returncode != KILLED:
        problems.append(f"not killed but {ended.returncode}")
    with open_database(home.url, backups=None) as database:
        for school, state in snapshot(database, shared).items():
            if state not in (before[school], after[school]):
                problems.append(f"{school} is neither as before nor done")
        with database.reading() as session:
            if half and (len(_deliveries(session)), _last_sync(session)) != (1, "2026-09-01T06:12:45.000Z"):
                problems.append("a delivery is recorded before the last page")
            later = datetime.now(UTC) + timedelta(minutes=6)
            shown = {row.key: row.status for row in status.statuses(session, now=later)}
            if set(shown.values()) != {status.Status.CONNECTED}:
                problems.append(f"statuses {shown}")
        with database.transaction() as session:
            long_ago = datetime.now(UTC) - timedelta(minutes=10)
            bulk.execute(session, "UPDATE run SET alive_at = :at WHERE ended_at IS NULL", {"at": long_ago})
        replace(served, folder=home.folder, database=database).night(nightly=True)
        if snapshot(database, shared) != after:
            problems.append("the next run did not finish what was left")
        with database.reading() as session:
            kept = _deliveries(session)
            for delivery in kept:
                taking.landed_files(home.landing, delivery)
            if len(kept) != 2 or kept[1].outcome != "clean":
                problems.append(f"deliveries {[delivery.outcome for delivery in kept]}")
    if half and {path.name for path in (home.landing / "lakeside" / "clever").iterdir()} != {
        Path(delivery.path).name for delivery in kept
    }:
        problems.append("what the killed fetch wrote is still there")
    return problems


def _deliveries(session: Session) -> list[Delivery]:
    return list(session.exec(select(Delivery).order_by(col(Delivery.id))))


def _last_sync(session: Session) -> str | None:
    return session.exec(select(Source.last_sync)).one()
