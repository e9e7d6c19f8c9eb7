"""A night killed at every step, each time from the same start, and what is wrong after it: nothing, if all is well."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from models import bulk
from models.database import Database, migrate, open_database
from services.intake.clever_api import Connection
from services.status import sync_status
from tests.end_to_end.night_process import KILLED, Ended, night
from tests.end_to_end.nights import people_of_two_schools, snapshot


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

    def night(self, kill_at: int, how: Connection | str | None = None) -> Ended:
        return night(self.url, self.landing, kill_at, how)


# What else is wrong, in a home and its database; with the steps that a night killed there has not come to.
Look = Callable[[Home, Database, Sequence[str]], list[str]]


def walk(
    base: Home,
    how: Connection | str | None,
    again: Callable[[Home, Database], object],
    *,
    begins: str = "",
    when_killed: Look = lambda home, database, left: [],
    in_the_end: Look = lambda home, database, left: [],
) -> list[str]:
    """Kill the night that waits in the base at every step, and play another; gives what was wrong.

    how: as `night_process.night`. again: plays the night after. begins: how the name of the first step to kill at does.
    The looks are taken between the two nights, and in the end.
    """
    reference = base.copy(f"{base.folder.name}-reference")
    finished = reference.night(0, how)
    assert finished.returncode == 0
    first = next(at for at, name in enumerate(finished.steps, 1) if name.startswith(begins))
    with open_database(reference.url, backups=None) as database:
        shared = people_of_two_schools(database)
        after = snapshot(database, shared)
    with open_database(base.url, backups=None) as database:
        before = snapshot(database, shared)
    assert before.keys() == after.keys()
    assert all(before[school] != after[school] for school in before)

    def killed(kill_at: int) -> list[str]:
        home = base.copy(f"{base.folder.name}-killed-{kill_at}")
        problems = []
        ended = home.night(kill_at, how)
        if ended.returncode != KILLED:
            problems.append(f"not killed but {ended.returncode}")
        left = finished.steps[kill_at - 1 :]
        with open_database(home.url, backups=None) as database:
            for school, state in snapshot(database, shared).items():
                if state not in (before[school], after[school]):
                    problems.append(f"{school} is neither as before nor done")
            later = datetime.now(UTC) + timedelta(minutes=6)
            with database.reading() as session:
                shown = {row.key: row.status for row in sync_status.statuses(session, now=later)}
            if set(shown.values()) != {sync_status.Status.CONNECTED}:
                problems.append(f"statuses {shown}")
            problems += when_killed(home, database, left)
            with database.transaction() as session:
                long_ago = datetime.now(UTC) - timedelta(minutes=10)
                bulk.execute(session, "UPDATE run SET heartbeat_at = :at WHERE ended_at IS NULL", {"at": long_ago})
            again(home, database)
            if snapshot(database, shared) != after:
                problems.append("the next run did not finish what was left")
            problems += in_the_end(home, database, left)
        home.remove()
        return [f"step {kill_at}, {left[0]}: {problem}" for problem in problems]

    with ThreadPoolExecutor(2) as pool:
        return [problem for found in pool.map(killed, range(first, len(finished.steps) + 1)) for problem in found]
