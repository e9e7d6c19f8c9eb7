"""One process works through several districts while others open, read and close the same embedded database."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from models.database import Database, open_database
from sandbox.clever_api import CLIENT_ID, CLIENT_SECRET, CleverApi, serving
from sandbox.clever_records import clever_district, clever_ids
from sandbox.generator import District, generate
from services import clock
from services.holds import store
from services.operations import maintenance
from services.operations.setup import apply_setup, read_setup
from services.sync import pipeline, requests
from tests.end_to_end.nights import play
from tests.setups import setup_text

pytestmark = pytest.mark.journeys

ROOT = Path(__file__).parents[2]
STATUS_LOOKS = 5


@pytest.fixture(scope="module")
def districts() -> dict[str, District]:
    """By ID: a large district between two small ones."""
    return {
        "north": generate(11, schools=1, students=200),
        "south": generate(12, schools=3, students=3_000),
        "west": generate(13, schools=2, students=300),
    }


@dataclass(frozen=True)
class Home:
    """An installation that other processes work with; nobody here has its database open meanwhile."""

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def set_up(self, setup: str) -> None:
        (self.folder / "setup.toml").write_text(setup)
        with self.opened() as database, database.transaction() as session:
            apply_setup(session, read_setup(self.folder / "setup.toml"))

    def opened(self) -> Database:
        return open_database(f"sqlite:///{self.folder / 'rollcall.sqlite'}", backups=None)

    def start(self, *command: str, said: Path) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "ROLLCALL_HOME": str(self.folder),
            "PREFECT_API_URL": "",
            "DO_NOT_TRACK": "1",
            **self.environment,
        }
        with said.open("wb") as stream:
            return subprocess.Popen(
                [sys.executable, "-m", *command], cwd=ROOT, env=environment, stdout=stream, stderr=stream
            )


def csv_setup(districts: Mapping[str, District]) -> str:
    return "".join(
        setup_text(
            ((school, school, school) for school in district.schools["external_id"]),
            district=name,
            name=f"{name} schools",
            folder=f"drop/{name}",
        )
        for name, district in districts.items()
    )


def clever_setup(districts: Mapping[str, District]) -> str:
    text = ""
    for name, district in districts.items():
        text += (
            f'[[district]]\nid = "{name}"\nname = "{name} schools"\ntimezone = "America/New_York"\n'
            'administrators = ["it@lakeside.example"]\n'
            f'[[district.source]]\nid = "clever"\nkind = "clever"\ndistrict_id = "{clever_district(district).id}"\n'
        )
        for school, clever_id in clever_ids(district).schools.items():
            text += (
                f'[[district.school]]\nid = "{school}"\nname = "{school}"\nsource = "clever"\n'
                f'external_id = "{clever_id}"\n'
            )
    return text


def two_processes(home: Home, *writer: str) -> dict[str, Any]:
    """Let the writer work, others read meanwhile, and tell what each met; the writer as it would with nobody there."""
    reading = home.start("tests.journeys.reading", said=home.folder / "read")
    writing = home.start(*writer, said=home.folder / "wrote")
    looks: list[tuple[int, str]] = []
    while writing.poll() is None or len(looks) < STATUS_LOOKS:
        look = home.start("cli", "status", "--json", said=home.folder / "look")
        looks.append((look.wait(), (home.folder / "look").read_text()[:1]))
        time.sleep(1)
    (home.folder / "written").touch()
    reading.wait()
    return {
        "writer": (writing.returncode, "" if writing.returncode == 0 else (home.folder / "wrote").read_text()),
        "reader": (reading.returncode, json.loads((home.folder / "read").read_text() or "null")),
        "command line": sorted(set(looks)),
        "integrity": integrity(home.folder / "rollcall.sqlite"),
    }


WELL = {
    "writer": (0, ""),
    "reader": (0, {"turns": True, "errors": [], "lost": 0}),
    "command line": [(0, "[")],
    "integrity": [("ok",)],
}


def integrity(file: Path) -> list[tuple[str]]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute("PRAGMA integrity_check").fetchall()


def stored(home: Home) -> dict[str, Any]:
    """What is active of every kind, the outcomes of all ended runs, and how many have not ended."""
    counted = {
        "people": "SELECT count(*) FROM account WHERE archived_at IS NULL",
        "classes": "SELECT count(*) FROM class WHERE archived_at IS NULL",
        "class members": "SELECT count(*) FROM class_membership WHERE active",
        "guardianships": "SELECT count(*) FROM guardianship WHERE active",
        "runs": "SELECT count(*) FROM run WHERE outcome = 'done'",
        "open runs": "SELECT count(*) FROM run WHERE ended_at IS NULL",
        "open holds": "SELECT count(*) FROM hold WHERE ended_at IS NULL",
    }
    with home.opened() as database, database.reading() as session:
        return {name: session.connection().exec_driver_sql(sql).scalar_one() for name, sql in counted.items()}


def everything(districts: Mapping[str, District], *, runs: int) -> dict[str, Any]:
    return {
        "people": sum(district.people.height for district in districts.values()),
        "classes": sum(district.classes.height for district in districts.values()),
        "class members": sum(district.class_members.height for district in districts.values()),
        "guardianships": sum(district.guardianships.height for district in districts.values()),
        "runs": runs,
        "open runs": 0,
        "open holds": 0,
    }


HOW = pytest.mark.parametrize("how", ["services", "prefect"])


@HOW
def test_syncs_of_several_districts(tmp_path: Path, districts: Mapping[str, District], how: str) -> None:
    home = Home(tmp_path)
    home.set_up(csv_setup(districts))
    for name, district in districts.items():
        district.write(tmp_path / "drop" / name)
    assert two_processes(home, "tests.journeys.writing", how, "sync", *districts) == WELL
    assert stored(home) == everything(districts, runs=3)


@HOW
def test_holds_of_several_districts(tmp_path: Path, districts: Mapping[str, District], how: str) -> None:
    home = Home(tmp_path)
    home.set_up(csv_setup(districts))
    with home.opened() as database:
        for name, district in districts.items():
            with_contacts = district.guardianships.with_columns(type=pl.lit("emergency"))
            replace(district, guardianships=with_contacts).write(tmp_path / "drop" / name)
            play(database, tmp_path / "landing", name)
        with database.reading() as session:
            held = [str(hold.id) for hold in store.open_holds(session)]
    assert len(held) == 6
    writer = {
        "services": ("tests.journeys.writing", how, "accept", *districts),
        "prefect": ("cli", "hold", "accept", *held, "--yes"),
    }
    assert two_processes(home, *writer[how]) == WELL
    assert stored(home) == everything(districts, runs=3)


@HOW
def test_a_resumed_pause_of_several_districts(tmp_path: Path, districts: Mapping[str, District], how: str) -> None:
    with serving(CleverApi([clever_district(district) for district in districts.values()])) as address:
        environment = {
            "ROLLCALL_CLEVER_CLIENT_ID": CLIENT_ID,
            "ROLLCALL_CLEVER_CLIENT_SECRET": CLIENT_SECRET,
            "ROLLCALL_CLEVER_API_URL": address,
            "ROLLCALL_CLEVER_AUTH_URL": address,
        }
        home = Home(tmp_path, environment)
        home.set_up(clever_setup(districts))
        with home.opened() as database:
            with database.transaction() as session:
                maintenance.pause(session, None, reason="new disks", until=None, by="ops", now=clock.now())
            for name in districts:
                with database.reading() as session:
                    (request,) = requests.sync_requests(session, name, None, None)
                pipeline.record_skipped_run(database, request, pipeline.active_pause(database, request) or "")
        writer = {"services": ("tests.journeys.writing", how, "resume"), "prefect": ("cli", "resume")}
        assert two_processes(home, *writer[how]) == WELL
    assert stored(home) == everything(districts, runs=3)
