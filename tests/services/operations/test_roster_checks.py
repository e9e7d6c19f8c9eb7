"""Each check of the database and the sources, with the fault made on purpose."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydantic import SecretStr
from sqlalchemy import create_engine
from tenacity import wait_none

from models.database import NEWEST_REVISION, Database
from models.outcomes import RunOutcome
from models.tables import Run, Source
from sandbox.clever_api import CLIENT_ID, CLIENT_SECRET, CleverApi, serving
from sandbox.clever_records import clever_district, with_state
from sandbox.generator import generate
from services import clock
from services.intake import clever_api
from services.intake.adapters import ADAPTERS, SourceAdapter
from services.operations import roster_checks
from services.operations.checks import Check, Finding, Result, State, examine, ok, problem, skipped, warning
from services.operations.roster_checks import last_night, sources
from services.operations.setup import apply_setup, read_setup
from settings import Settings
from tests.models.migrating import upgrade
from tests.setups import SCHOOLS, setup_text

DISTRICT = generate(21, students=12, key="ours")
OURS = clever_district(DISTRICT, district_admins=1)
FOLDERS, CLEVER = ("drop folder", "drop folders"), ("Clever source", "Clever sources")


def test_a_database_of_each_kind(database_url: str) -> None:
    kind = "SQLite" if database_url.startswith("sqlite") else "PostgreSQL"
    assert roster_checks.database(database_url) == ok(f"{kind}, schema {NEWEST_REVISION}")


def test_a_database_without_a_schema_stays_as_it_is(tmp_path: Path, empty_postgresql_url: str) -> None:
    file = tmp_path / "rollcall.sqlite"
    remedy = "Run `rollcall migrate`."
    assert roster_checks.database(f"sqlite:///{file}") == problem("SQLite, with no schema yet", remedy)
    assert not file.exists()
    assert roster_checks.database(empty_postgresql_url) == problem("PostgreSQL, with no schema yet", remedy)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_database_of_an_old_schema_stays_as_it_is(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    if kind == "sqlite":
        url = f"sqlite:///{tmp_path / 'rollcall.sqlite'}"
    else:
        url = str(request.getfixturevalue("empty_postgresql_url"))
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.begin() as connection:
        upgrade(connection, "0007")
    engine.dispose()
    name = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[kind]
    for _ in range(2):
        assert roster_checks.database(url) == problem(
            f"{name} has schema 0007, and this Rollcall needs {NEWEST_REVISION}", "Run `rollcall migrate`."
        )


def adapter(kind: str) -> SourceAdapter:
    return ADAPTERS[kind](None)


@pytest.fixture
def installed(sqlite_database: Database, tmp_path: Path) -> Database:
    """Two districts with a folder each, one of which is missing."""
    names = [(key, key, number) for key, number in SCHOOLS]
    (tmp_path / "here").mkdir()
    setup = tmp_path / "setup.toml"
    setup.write_text(
        setup_text(names, folder="here") + setup_text(names[:1], district="coast", name="Coast", folder="gone")
    )
    with sqlite_database.transaction() as session:
        apply_setup(session, read_setup(setup))
    return sqlite_database


def look_at_folders(database: Database) -> Finding:
    return sources(database, adapter, remote=False, of=FOLDERS)


def test_a_drop_folder_that_is_missing(installed: Database, tmp_path: Path) -> None:
    assert look_at_folders(installed) == problem(
        f"coast/files: the drop folder {tmp_path / 'gone'} cannot be read (No such file or directory)",
        "Check that it is there, that its disk is mounted, and that Rollcall's user may read it.",
    )
    (tmp_path / "gone").mkdir()
    assert look_at_folders(installed) == ok("2 drop folders can be read")


def test_a_frozen_source_is_not_looked_at(installed: Database) -> None:
    with installed.transaction() as session:
        session.get_one(Source, "coast/files").frozen = True
    assert look_at_folders(installed) == ok("1 drop folder can be read")
    assert sources(installed, adapter, remote=True, of=CLEVER) == skipped("no district has a Clever source")


def ran(database: Database, district: str, hours: float) -> str:
    """A run of the district so long ago; gives when, as people in Los Angeles read it."""
    at = clock.now() - timedelta(hours=hours)
    with database.transaction() as session:
        session.add(
            Run(
                district_id=district,
                source_id=f"{district}/files",
                started_at=at,
                heartbeat_at=at,
                ended_at=at,
                outcome=RunOutcome.DONE,
            )
        )
    return clock.local_time(at, ZoneInfo("America/Los_Angeles"))


def test_the_last_night(installed: Database, tmp_path: Path) -> None:
    ran(installed, "unified", 25.9)
    assert last_night(installed, adapter) == warning(
        "coast was never synced", "The next night does it, or `rollcall sync coast` does it now."
    )
    ran(installed, "coast", 1)
    assert last_night(installed, adapter) == ok("2 districts synced within 26 hours")


def test_a_night_that_was_missed_is_told_from_one_without_new_files(installed: Database, tmp_path: Path) -> None:
    unified, coast = ran(installed, "unified", 26.1), ran(installed, "coast", 100)
    (tmp_path / "gone").mkdir()
    DISTRICT.write(tmp_path / "gone")
    assert last_night(installed, adapter) == problem(
        f"unified has sent nothing new since its last sync, {unified}; coast was last synced {coast}",
        "If it should have, ask the district. Mend the deployments, the worker or late runs if they have problems, then"
        " `rollcall sync coast`.",
    )


def test_an_installation_without_districts(sqlite_database: Database) -> None:
    assert last_night(sqlite_database, adapter) == skipped("no district has a source yet")
    assert sources(sqlite_database, adapter, remote=False, of=FOLDERS) == skipped("no district has a drop folder")


@pytest.fixture
def in_clever(sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.setattr(clever_api, "_PAUSE", wait_none())
    setup = tmp_path / "setup.toml"
    setup.write_text(
        f"""
[[district]]
id = "lakeside"
name = "Lakeside"
timezone = "America/New_York"

[[district.source]]
id = "clever"
kind = "clever"
district_id = "{OURS.id}"
"""
    )
    with sqlite_database.transaction() as session:
        apply_setup(session, read_setup(setup))
    return sqlite_database


def look_at_clever(database: Database, url: str, secret: str = CLIENT_SECRET) -> Finding:
    settings = Settings(
        clever_client_id=CLIENT_ID, clever_client_secret=SecretStr(secret), clever_api_url=url, clever_auth_url=url
    )
    return sources(database, lambda kind: ADAPTERS[kind](settings.connection(kind)), remote=True, of=CLEVER)


def test_clever_lets_us_in_or_says_why_not(in_clever: Database) -> None:
    clever = CleverApi([OURS])
    with serving(clever) as url:
        assert look_at_clever(in_clever, url) == ok("1 Clever source can be read")
        assert look_at_clever(in_clever, url, "another") == problem(
            f"lakeside/clever: Clever refused Rollcall the token of district {OURS.id} (HTTP 401)",
            "Check ROLLCALL_CLEVER_CLIENT_ID and ROLLCALL_CLEVER_CLIENT_SECRET against the app's settings in Clever.",
        )
        clever.districts = {OURS.id: with_state(OURS, state="error", error="the upload failed")}
        found = look_at_clever(in_clever, url)
        assert (found.state, found.remedy) == ("warning", "If it lasts, ask the district.")
        clever.districts = {}
        assert look_at_clever(in_clever, url) == problem(
            f"lakeside/clever: Clever has no token for district {OURS.id}",
            "Check in Clever that the district has connected the app, and that its ID in the setup file is right.",
        )
    assert look_at_clever(in_clever, url) == problem(
        f"lakeside/clever: Clever did not give Rollcall the token of district {OURS.id} (no answer, ConnectError)",
        "The next run tries again; if it lasts, check the network and status.clever.com.",
    )


def test_clever_without_credentials_is_one_problem(in_clever: Database) -> None:
    (finding,) = examine([Check("Clever", lambda: look_at_clever(in_clever, "", ""))])
    assert finding == Result(
        "Clever",
        State.PROBLEM,
        "Clever is not set up",
        "Set ROLLCALL_CLEVER_CLIENT_ID and ROLLCALL_CLEVER_CLIENT_SECRET, or keep them in the Prefect Secret blocks"
        " rollcall-clever-client-id and rollcall-clever-client-secret.",
    )
