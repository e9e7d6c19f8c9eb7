"""Two shards in processes of their own, one killed in the middle: every district is synced once, and none twice."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from sqlmodel import col, func, select

from models.database import Database, open_database
from models.outcomes import RunOutcome
from models.tables import Run
from tasks.shards import fill_queue
from tests.everything_up import until
from tests.flows.conftest import ROOT
from tests.flows.test_shard import silence
from tests.many_districts import set_up_many

DISTRICTS = 16
SHARD = "import asyncio; from flows.shard import shard; asyncio.run(shard())"


def open_runs(database: Database) -> set[int | None]:
    with database.reading() as session:
        return set(session.exec(select(Run.id).where(col(Run.ended_at).is_(None))))


def count_runs(database: Database) -> int:
    with database.reading() as session:
        return session.exec(select(func.count()).select_from(Run)).one()


def test_every_district_is_synced_once_though_a_shard_is_killed(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    set_up_many(home, database_url, DISTRICTS)
    monkeypatch.setenv("ROLLCALL_HOME", str(home))
    monkeypatch.setenv("ROLLCALL_DATABASE_URL", database_url)
    names = [f"d{number:04}" for number in range(1, DISTRICTS + 1)]
    fill_queue(names, kind="csv", start_by=None)
    with open_database(database_url, backups=None) as database:
        killed, other = (
            subprocess.Popen([sys.executable, "-c", SHARD], cwd=ROOT, env=os.environ, stderr=subprocess.DEVNULL)
            for _ in range(2)
        )
        # Both have a district in hand, and the others are still to be done.
        until(lambda: count_runs(database) > 3 and len(open_runs(database)) == 2, pause=0.01)
        killed.kill()
        killed.communicate()
        silence(database)
        other.communicate(timeout=60)
        with database.reading() as session:
            runs = Counter(session.exec(select(Run.source_id, Run.outcome)))
    assert other.returncode == 0
    done = [source for (source, outcome), number in runs.items() if outcome == RunOutcome.DONE for _ in range(number)]
    assert sorted(done) == [f"{name}/files" for name in names]
    # It is killed within a run, unless that ended in that very moment.
    assert {outcome for _, outcome in runs} <= {RunOutcome.DONE, RunOutcome.INTERRUPTED}
