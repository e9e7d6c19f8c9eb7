"""A run killed at every step and before every commit leaves each school as before or done; the next run heals it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from models import bulk
from models.database import open_database
from sandbox.days import next_day
from sandbox.generator import generate
from services import status
from services.setup import apply_setup, read_setup
from tests.end_to_end.night_process import KILLED
from tests.end_to_end.nights import people_of_two_schools, play, snapshot

ROOT = Path(__file__).parents[2]
SETUP = """
[[district]]
id = "unified"
name = "Unified School District"
timezone = "America/Los_Angeles"
administrators = ["it@unified.example"]

[[district.source]]
id = "files"
kind = "csv"
format = "csv-1.0"
folder = "drop"
""" + "".join(
    f"""
[[district.school]]
id = "{key}"
name = "{key.title()} School"
source = "files"
source_id = "{source_id}"
"""
    for key, source_id in (("lincoln", "0101"), ("roosevelt", "0102"), ("jefferson", "0103"))
)


@dataclass(frozen=True)
class Home:
    """A folder with a database, a landing area and a drop folder."""

    folder: Path

    @property
    def url(self) -> str:
        return f"sqlite:///{self.folder / 'rollcall.sqlite'}"

    @property
    def landing(self) -> Path:
        return self.folder / "landing"

    def night(self, kill_at: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tests.end_to_end.night_process", self.url, str(self.landing), str(kill_at)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )


def test_every_school_is_as_before_or_done_wherever_the_run_is_killed(tmp_path: Path) -> None:
    base = Home(tmp_path / "base")
    first = generate(3, schools=3, students=60, teachers=9, classes=18, enrollments=150)
    drop = base.folder / "drop"
    drop.mkdir(parents=True)
    first.write(drop)
    setup = base.folder / "setup.toml"
    setup.write_text(SETUP)
    with open_database(base.url, backups=None) as database:
        with database.transaction() as session:
            apply_setup(session, read_setup(setup))
        play(database, base.landing)
    next_day(first, 1, joined=4, left=2, moved=2, changed=6).write(drop)

    reference = _copy(base, tmp_path / "reference")
    finished = reference.night(0)
    assert (finished.returncode, finished.stderr) == (0, "")
    steps = int(finished.stdout)
    with open_database(reference.url, backups=None) as database:
        shared = people_of_two_schools(database)
        after = snapshot(database, shared)
    with open_database(base.url, backups=None) as database:
        before = snapshot(database, shared)
    assert before.keys() == after.keys() and before != after

    with ThreadPoolExecutor(2) as pool:
        found = list(
            pool.map(lambda kill_at: _killed(base, tmp_path, kill_at, shared, before, after), range(1, steps + 1))
        )
    assert found == [[] for _ in range(steps)]


def _copy(base: Home, folder: Path) -> Home:
    """The same home elsewhere; its setup goes on naming the first one's drop folder, which nobody writes."""
    shutil.copytree(base.folder, folder)
    return Home(folder)


def _killed(base: Home, tmp_path: Path, kill_at: int, shared: set[str], before: object, after: object) -> list[str]:
    """What is wrong after a kill at this step; nothing, where all is well."""
    home = _copy(base, tmp_path / f"killed-{kill_at}")
    problems = []
    if home.night(kill_at).returncode != KILLED:
        problems.append(f"step {kill_at}: not killed")
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    with open_database(home.url, backups=None) as database:
        for school, state in snapshot(database, shared).items():
            if state not in (before[school], after[school]):
                problems.append(f"step {kill_at}: {school} is neither as before nor done")
        with database.reading() as session:
            shown = {
                row.key: row.status for row in status.statuses(session, now=datetime.now(UTC) + timedelta(minutes=6))
            }
        if set(shown.values()) != {status.Status.CONNECTED}:
            problems.append(f"step {kill_at}: statuses {shown}")
        with database.transaction() as session:
            long_ago = datetime.now(UTC) - timedelta(minutes=10)
            bulk.execute(session, "UPDATE run SET alive_at = :at WHERE ended_at IS NULL", {"at": long_ago})
        play(database, home.landing)
        if snapshot(database, shared) != after:
            problems.append(f"step {kill_at}: the next run did not finish what was left")
    shutil.rmtree(home.folder)
    return problems
