"""A night of many small districts on two workers: `make bench-shards`. No test.

Run as `python -m tests.bench.shards [DISTRICTS]` (1,000 unless told), on PostgreSQL, with a Prefect server and two
workers of one run each, started by `rollcall up` and beside it. Two nights: the first brings everybody; on the second
a few of each district change, and one worker is killed in the middle, with the shard that it runs. The other one makes
its district good once that has been silent for five minutes.

Each night's seconds stand beside the sum of its runs over the workers, which is what they take without anything between
them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import psutil
import typer
from rich.console import Console
from sqlmodel import col, func, select

from models.database import Database, migrate, open_database
from models.outcomes import RunOutcome
from models.tables import QueuedSource, Run
from sandbox.days import next_day
from services import clock
from tests.bench.__main__ import ROOT, postgresql
from tests.everything_up import asked, free_port, said_until, told, until, up
from tests.many_districts import set_up_many

WORKERS = 2
OF_A_WORKER = {
    "PREFECT_WORKER_QUERY_SECONDS": "2",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
    "ROLLCALL_DISTRICT_RUNS": "0",
    "DO_NOT_TRACK": "1",
}
HOURS = 3600.0

out = Console(highlight=False)


@dataclass(frozen=True)
class Prefect:
    """A Prefect server, and the second of its workers."""

    address: str
    worker: subprocess.Popen[bytes]


def main(districts: Annotated[int, typer.Argument(help="how many")] = 1_000) -> None:
    """Play the two nights, and say what became of the districts, and how long it took."""
    with tempfile.TemporaryDirectory(prefix="rollcall-bench-") as name, postgresql() as url:
        home = Path(name)
        migrate(url, backups=None)
        made = set_up_many(home, url, districts)
        os.environ |= OF_A_WORKER | {"ROLLCALL_HOME": str(home), "ROLLCALL_DATABASE_URL": url}
        with serving(home) as prefect, open_database(url, backups=None) as database:
            out.print(f"{districts:,} districts of one school and 20 students, {WORKERS} workers")
            _night("everybody is new", database, prefect, districts, kill=False)
            for key, district in made.items():
                next_day(district, 2, joined=1, left=1, changed=1).write(home / "drop" / key)
            _night("few changed, one worker killed", database, prefect, districts, kill=True)
            runs, tasks = (
                told("POST", f"{prefect.address}/api/{what}/count", json={}) for what in ("flow_runs", "task_runs")
            )
            out.print(f"In Prefect: {runs} flow runs, {tasks} task runs")


@contextmanager
def serving(home: Path) -> Iterator[Prefect]:
    """A Prefect server, and two workers that start one run at a time each."""
    ports = free_port(), free_port()
    address = f"http://127.0.0.1:{ports[1]}"
    with up(home, "--limit", "1", ports=ports) as process:
        said_until(process, "rollcall report link")
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "rollcall", "--name", "second"]
        worker = subprocess.Popen(
            [*command, "--type", "process", "--limit", "1"],
            cwd=ROOT,
            env={**os.environ, "PREFECT_API_URL": f"{address}/api"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            until(lambda: len(asked(address, "work_pools/rollcall/workers")) == WORKERS)
            yield Prefect(address, worker)
        finally:
            _kill(worker)


def _night(name: str, database: Database, prefect: Prefect, districts: int, *, kill: bool) -> None:
    with database.reading() as session:
        before = session.exec(select(func.max(Run.id))).one() or 0
    deployment = told("GET", f"{prefect.address}/api/deployments/name/csv-nightly/csv-nightly")["id"]
    started = clock.now()
    told(
        "POST", f"{prefect.address}/api/deployments/{deployment}/create_flow_run", json={"state": {"type": "SCHEDULED"}}
    )
    until(lambda: len(_runs(database, before)) >= (districts // 2 if kill else 1), seconds=HOURS)
    if kill:
        _kill(prefect.worker)
    until(lambda: _is_over(database), seconds=HOURS)
    _show(name, _runs(database, before), started, districts)


def _is_over(database: Database) -> bool:
    with database.reading() as session:
        left = session.exec(select(func.count()).select_from(QueuedSource)).one()
        return left == 0 and not session.exec(select(Run.id).where(col(Run.ended_at).is_(None))).all()


def _runs(database: Database, after: int) -> list[Run]:
    with database.reading() as session:
        return list(session.exec(select(Run).where(col(Run.id) > after)))


def _show(name: str, runs: list[Run], started: datetime, districts: int) -> None:
    ended = [run for run in runs if run.outcome != RunOutcome.INTERRUPTED and run.ended_at is not None]
    times = Counter(Counter(run.source_id for run in ended).values())
    outcomes = Counter(run.outcome for run in runs)
    out.print(f"\n[bold]{name}[/]: " + ", ".join(f"{number} {outcome}" for outcome, number in outcomes.items()))
    out.print(f"synced once: {times[1]}, more than once: {times.total() - times[1]}, not: {districts - times.total()}")
    share = sum((run.ended_at - run.started_at).total_seconds() for run in ended if run.ended_at) / WORKERS
    last = max(run.ended_at for run in ended if run.ended_at)
    out.print(f"the sum of the runs, over {WORKERS} workers: {share:.1f} s")
    for what, since in (("from the first run to the last", min(run.started_at for run in runs)), ("all in", started)):
        seconds = (last - since).total_seconds()
        out.print(f"{what}: {seconds:.1f} s, {seconds / share:.2f} times that")


def _kill(worker: subprocess.Popen[bytes]) -> None:
    """Kill a worker with all it has started."""
    if worker.poll() is None:
        for process in [*psutil.Process(worker.pid).children(recursive=True), psutil.Process(worker.pid)]:
            process.kill()
        worker.wait()


if __name__ == "__main__":
    typer.run(main)
