"""In a real browser: a district sets its sync up, from nothing to Connected, with files and with Clever."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page
from sqlmodel import select

from models.database import Database
from models.tables import District, School
from report.app import Report
from sandbox.clever_api import CLIENT_ID, CLIENT_SECRET, CleverApi, serving
from sandbox.clever_records import added_ids, clever_district, with_changed
from sandbox.samples import FOLDER, lakeside
from services import clock
from services.status.sync_status import Status, statuses
from settings import Settings
from tests.end_to_end.nights import play
from tests.report.journeys.conftest import OpenPage, assert_accessible

pytestmark = pytest.mark.journeys

IT = "it@newton.example"
SETUP = "/districts/newton/setup"

Started = Callable[[Callable[[str], object]], None]


def newton(database: Database, *schools: str) -> None:
    with database.transaction() as session:
        zone = "America/Chicago"
        session.add(District(id="newton", name="Newton Public Schools", timezone=zone, administrators=[IT]))
        session.flush()
        for number, name in enumerate(schools):
            key = name.split()[0].lower()
            session.add(School(id=f"newton/{key}", district_id="newton", key=key, name=name, position=number))


def settled(page: Page) -> None:
    """Wait until the source has answered, and check the page."""
    page.get_by_text("This page updates automatically.").wait_for(state="detached")
    assert_accessible(page)


def press(page: Page, name: str) -> None:
    with page.expect_navigation():
        page.get_by_role("button", name=name).click()
    settled(page)


def follow(page: Page, name: str) -> None:
    with page.expect_navigation():
        page.get_by_role("link", name=name, exact=True).click()
    settled(page)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """Have the report start runs as a test says."""
    return lambda run: monkeypatch.setattr(Report, "start", lambda _self, district, _schools: run(district))


def connected(page: Page, database: Database) -> None:
    """Wait until the run in the background has connected the matched schools, and see one in the report."""
    deadline = time.monotonic() + 60
    while _matched_statuses(database) != {Status.CONNECTED} and time.monotonic() < deadline:
        time.sleep(0.2)
    page.goto("/districts/newton")
    page.get_by_text("Connected").first.wait_for()


def _matched_statuses(database: Database) -> set[Status | None]:
    with database.reading() as session:
        matched = {school.key for school in session.exec(select(School)) if school.source_id is not None}
    return {status for key, status in status_of(database).items() if key in matched}


def status_of(database: Database) -> dict[str, Status | None]:
    with database.reading() as session:
        return {each.key: each.status for each in statuses(session, district_id="newton", now=clock.now())}


def test_with_files_from_nothing_to_connected(
    sqlite_database: Database, tmp_path: Path, started: Started, open_page: OpenPage
) -> None:
    settings = Settings(home=tmp_path / "home", drop_address="sftp://files.rollcall.example/")
    newton(sqlite_database, "Lincoln HS", "Roosevelt Middle", "Oakwood Academy")
    started(lambda district: play(sqlite_database, settings.landing_area, district))
    page = open_page(sqlite_database, SETUP, IT, settings)
    follow(page, "Set up your sync")
    follow(page, "Choose CSV files")
    press(page, "Connect")
    folder = settings.drop_folders / "newton"
    assert page.locator(".place-code").inner_text() == "sftp://files.rollcall.example/newton"
    follow(page, "Match schools")
    for file in (FOLDER / "unified" / "night1").iterdir():
        shutil.copy(file, folder)
    press(page, "Reload the schools")
    chosen = page.eval_on_selector_all("select", "all => all.map(each => each.value)")
    assert chosen == ["0101", "0102", ""]
    press(page, "Confirm the checked schools")
    assert page.get_by_text("Check the schools whose match is right").is_visible()
    for name in ("Lincoln HS", "Roosevelt Middle"):
        page.get_by_role("checkbox", name=f"The match of {name} is right").check()
    press(page, "Confirm the checked schools")
    follow(page, "Continue without the others")
    assert page.get_by_text("All 2 schools would be connected. Nothing has been changed yet.").is_visible()
    assert set(status_of(sqlite_database).values()) == {Status.SETUP_SYNC}
    press(page, "Start the first sync")
    connected(page, sqlite_database)
    with sqlite_database.reading() as session:
        found = [(each.key, each.external_id) for each in session.exec(select(School).order_by(School.key))]
    assert found == [("lincoln", "0101"), ("oakwood", None), ("roosevelt", "0102")]
    assert status_of(sqlite_database) == {
        "lincoln": Status.CONNECTED,
        "roosevelt": Status.CONNECTED,
        "oakwood": Status.SETUP_SYNC,
    }


def test_with_clever_from_nothing_to_connected(
    sqlite_database: Database, tmp_path: Path, started: Started, open_page: OpenPage
) -> None:
    there, others = clever_district(lakeside()[0], district_admins=1), clever_district(lakeside()[1])
    others = replace(others, district={**others.district, "id": "f" * 24})
    first = added_ids(lakeside()[0], "district_admin", 1)["D90001"]
    there = with_changed(there, "users", first, lambda user: user.update(email="IT@Newton.example"))
    newton(sqlite_database, "Lakeside High School", "Harbor MS")
    with serving(CleverApi([there, others])) as address:
        settings = Settings(
            home=tmp_path / "home",
            clever_client_id=CLIENT_ID,
            clever_client_secret=CLIENT_SECRET,
            clever_api_url=address,
            clever_auth_url=address,
        )
        connection = settings.connection("clever")
        started(lambda district: play(sqlite_database, settings.landing_area, district, connection=connection))
        page = open_page(sqlite_database, SETUP, IT, settings, viewport={"width": 360, "height": 800})
        follow(page, "Set up your sync")
        follow(page, "Choose Clever")
        page.get_by_label("Clever district ID").fill("0" * 24)
        press(page, "Connect")
        assert page.get_by_text("Clever won't let us read this district.").is_visible()
        page.get_by_label("Clever district ID").fill(others.id)
        press(page, "Connect")
        refused = page.get_by_role("alert")
        assert refused.get_by_text(f"Clever doesn't list you ({IT}) as an administrator").is_visible()
        page.get_by_label("Clever district ID").fill(there.id)
        press(page, "Connect")
        assert page.get_by_text("Clever responded").is_visible()
        follow(page, "Match schools")
        for name in ("Lakeside High School", "Harbor MS"):
            page.get_by_role("checkbox", name=f"The match of {name} is right").check()
        press(page, "Confirm the checked schools")
        assert page.get_by_text("All 2 schools would be connected.").is_visible()
        press(page, "Start the first sync")
        connected(page, sqlite_database)
    assert status_of(sqlite_database) == {"lakeside": Status.CONNECTED, "harbor": Status.CONNECTED}


def test_settings_by_keyboard_only(sqlite_database: Database, settings: Settings, open_page: OpenPage) -> None:
    newton(sqlite_database)
    page = open_page(sqlite_database, f"{SETUP}/enforcement", IT, settings)
    page.get_by_role("radio", name="Off").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("status").get_by_text("Saved.").wait_for()
    with sqlite_database.reading() as session:
        assert session.get_one(District, "newton").rostering_enforcement
