"""The report over the sample districts after their two nights, and browsers that are signed in to it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from models.database import Database
from report.serving import served
from sandbox.clever_api import CLIENT_ID, CLIENT_SECRET, CleverApi, serving
from sandbox.clever_records import clever_district
from sandbox.demo_districts import SENDERS
from sandbox.samples import FOLDER, lakeside
from services import clock
from services.access import sessions
from services.intake.clever_api import Connection
from services.operations.setup import apply_setup, read_setup
from settings import Settings
from tests.conftest import Beginnings
from tests.end_to_end.nights import play
from tests.report.site import Site, site_over

OPERATOR, UNIFIED, RIVERBEND = "ops@rollcall.example", "it@unified.example", "office@riverbend.example"
LINCOLN_OFFICE = "office@lincoln.example"  # administers one school of Unified


def play_samples(database: Database) -> None:
    """Set the sample districts up, and play their two nights, as `make demo` does."""
    folder = Path(tempfile.mkdtemp(prefix="rollcall-samples-"))
    shutil.copy(FOLDER / "setup.toml", folder / "setup.toml")
    for district in SENDERS:
        (folder / "drop" / district).mkdir(parents=True)
    with database.transaction() as session:
        apply_setup(session, read_setup(folder / "setup.toml"))
    days = [clever_district(day) for day in lakeside()]
    api = CleverApi(days[:1])
    with serving(api) as address:
        connection = Connection(CLIENT_ID, CLIENT_SECRET, address, "v3.1", address, 1000)
        for night in (1, 2):
            api.districts[days[night - 1].id] = days[night - 1]
            for district in SENDERS:
                for file in sorted((FOLDER / district / f"night{night}").iterdir()):
                    shutil.copyfile(file, folder / "drop" / district / file.name)
                play(database, folder / "landing", district)
            play(database, folder / "landing", "lakeside", connection=connection)


@pytest.fixture
def samples(beginnings: Beginnings, kind: str) -> Iterator[Database]:
    """A copy of the sample districts after their two nights, on each kind of database in turn."""
    with beginnings(kind, play_samples) as database:
        yield database


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, operators=(OPERATOR,))


@pytest.fixture
def site(sqlite_database: Database, settings: Settings) -> Iterator[Site]:
    """The report over two districts without a roster, on SQLite."""
    with site_over(sqlite_database, settings) as site:
        yield site


Browser = Callable[[str | None], httpx.Client]


@pytest.fixture
def browser(samples: Database, settings: Settings) -> Iterator[Browser]:
    """What a browser that is signed in as the person with an address would send; of nobody with None."""
    opened: list[httpx.Client] = []
    with served(samples, settings, keep=0) as address:

        def browse(email: str | None) -> httpx.Client:
            cookies = {}
            if email is not None:
                with samples.transaction() as session:
                    cookies["rollcall"] = sessions.begin(session, email, "link", now=clock.now())
            client = httpx.Client(
                base_url=address, headers={"Sec-Fetch-Site": "same-origin", "Accept": "text/html"}, cookies=cookies
            )
            opened.append(client)
            return client

        yield browse
        for client in opened:
            client.close()
