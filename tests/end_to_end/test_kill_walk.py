"""A run killed at every step and before every commit leaves each school as before or done; the next run heals it."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.database import open_database
from sandbox.days import next_day
from sandbox.generator import generate
from services.operations.setup import apply_setup, read_setup
from tests.end_to_end.kills import Home, walk
from tests.end_to_end.nights import play
from tests.setups import SETUP


@pytest.mark.journeys
def test_every_school_is_as_before_or_done_wherever_the_run_is_killed(tmp_path: Path) -> None:
    assert kill_everywhere(Home(tmp_path / "base")) == []


@pytest.mark.faults
def test_the_same_on_postgresql(tmp_path: Path, postgresql_server: str) -> None:
    assert kill_everywhere(Home(tmp_path / "base", postgresql_server)) == []


@pytest.mark.faults
@pytest.mark.xdist_group("prefect")
def test_the_same_under_prefect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.server.api.server import SubprocessASGIServer

    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    server = SubprocessASGIServer()
    server.start(timeout=120)
    try:
        assert kill_everywhere(Home(tmp_path / "base"), server.api_url) == []
    finally:
        server.stop()


def kill_everywhere(base: Home, prefect: str | None = None) -> list[str]:
    """Kill a second night at every step; gives what was wrong. prefect: address of the API it runs under, if any."""
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
    return walk(base, prefect, lambda home, database: play(database, home.landing))
