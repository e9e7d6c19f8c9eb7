"""A run killed at every step and before every commit leaves each school as before or done; the next run heals it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from models import bulk
from models.database import migrate, open_database
from sandbox.days import next_day
from sandbox.generator import generate
from services import status
from services.setup import apply_setup, read_setup
from tests.end_to_end.night_process import KILLED
from tests.end_to_end.nights import Snapshot, people_of_two_schools, play, snapshot
from tests.setups import SETUP

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Home:
    """A folder with a landing area and a drop folder, and a database: in the folder, or on a server."""

    folder: Path
    server: str | None = None

    @property
    def url(self) -> str:
        if self.server is None:
            return f"sqlite:///{self.folder / 'rollcall.sqlite'}"
        return self.server.replace("/postgres?", f"/{self._name}?")

    @property
    def _name(self) -> str:
        return f"kill_{self.folder.name.replace('-', '_')}"

    @property
    def landing(self) -> Path:
        return self.folder / "landing"

    def make(self) -> None:
        (self.folder / "drop").mkdir(parents=True)
        if self.server is not None:
            self._command(f"CREATE DATABASE {self._name}")
        migrate(self.url, backups=None)

    def copy(self, name: str) -> Home:
        """The same home elsewhere; its setup goes on naming the first one's drop folder, which nobody writes."""
        made = Home(self.folder.parent / name, self.server)
        shutil.copytree(self.folder, made.folder)
        if self.server is not None:
            self._command(f"CREATE DATABASE {made._name} TEMPLATE {self._name}")
        return made

    def remove(self) -> None:
        shutil.rmtree(self.folder)
        if self.server is not None:
            self._command(f"DROP DATABASE {self._name} WITH (FORCE)")

    def _command(self, command: str) -> None:
        assert self.server is not None
        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute(command)

    def night(self, kill_at: int, *how: str) -> subprocess.CompletedProcess[str]:
        module = ["-m", "tests.end_to_end.night_process", self.url, str(self.landing), str(kill_at), *how]
        return subprocess.run([sys.executable, *module], cwd=ROOT, capture_output=True, text=True, check=False)


def test_every_school_is_as_before_or_done_wherever_the_run_is_killed(tmp_path: Path) -> None:
    assert walk(Home(tmp_path / "base")) == []


@pytest.mark.faults
def test_the_same_on_postgresql(tmp_path: Path, postgresql_server: str) -> None:
    assert walk(Home(tmp_path / "base", postgresql_server)) == []


@pytest.mark.faults
@pytest.mark.xdist_group("prefect")
def test_the_same_under_prefect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.server.api.server import SubprocessASGIServer

    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    server = SubprocessASGIServer()
    server.start(timeout=120)
    try:
        monkeypatch.setenv("PREFECT_API_URL", server.api_url)
        assert walk(Home(tmp_path / "base"), "prefect") == []
    finally:
        server.stop()


def walk(base: Home, *how: str) -> list[str]:
    """Kill a second night at every step, each from the same start; gives what was wrong."""
    base.make()
    first = generate(3, schools=3, students=60, teachers=9, classes=18, enrollments=150)
    first.write(base.folder / "drop")
    setup = base.folder / "setup.toml"
    setup.write_text(SETUP)
    with open_database(base.url, backups=None) as database:
        with database.transaction() as session:
            apply_setup(session, read_setup(setup))
        play(database, base.landing)
    next_day(first, 1, joined=4, left=2, moved=2, changed=6).write(base.folder / "drop")

    reference = base.copy("reference")
    finished = reference.night(0, *how)
    assert finished.returncode == 0, finished.stderr
    steps = int(finished.stdout.splitlines()[-1])
    with open_database(reference.url, backups=None) as database:
        shared = people_of_two_schools(database)
        after = snapshot(database, shared)
    with open_database(base.url, backups=None) as database:
        before = snapshot(database, shared)
    assert before.keys() == after.keys()
    assert before != after

    def killed(kill_at: int) -> list[str]:
        return _killed(base.copy(f"killed-{kill_at}"), kill_at, shared, (before, after), how)

    with ThreadPoolExecutor(2) as pool:
        return [problem for problems in pool.map(killed, range(1, steps + 1)) for problem in problems]


def _killed(
    home: Home, kill_at: int, shared: set[str], states: tuple[Snapshot, Snapshot], how: tuple[str, ...]
) -> list[str]:
    """What is wrong after a kill at this step; nothing, where all is well."""
    before, after = states
    problems = []
    ended = home.night(kill_at, *how)
    if ended.returncode != KILLED:
        problems.append(f"step {kill_at}: not killed but {ended.returncode}")
    with open_database(home.url, backups=None) as database:
        for school, state in snapshot(database, shared).items():
            if state not in (before[school], after[school]):
                problems.append(f"step {kill_at}: {school} is neither as before nor done")
        later = datetime.now(UTC) + timedelta(minutes=6)
        with database.reading() as session:
            shown = {row.key: row.status for row in status.statuses(session, now=later)}
        if set(shown.values()) != {status.Status.CONNECTED}:
            problems.append(f"step {kill_at}: statuses {shown}")
        with database.transaction() as session:
            long_ago = datetime.now(UTC) - timedelta(minutes=10)
            bulk.execute(session, "UPDATE run SET alive_at = :at WHERE ended_at IS NULL", {"at": long_ago})
        play(database, home.landing)
        if snapshot(database, shared) != after:
            problems.append(f"step {kill_at}: the next run did not finish what was left")
    home.remove()
    return problems
