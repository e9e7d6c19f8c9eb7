"""In a real browser: a red school understood and put right, a hold reviewed and confirmed, a muted alert that ends."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlmodel import select

from models.database import Database
from models.tables import AlertMute, Source
from report.app import Report
from services import clock
from tests.end_to_end.nights import play
from tests.report.conftest import LINCOLN_OFFICE, UNIFIED
from tests.report.journeys.conftest import OpenPage, assert_accessible

pytestmark = pytest.mark.journeys


def folder_of(database: Database) -> Path:
    with database.reading() as session:
        return Path(session.get_one(Source, "unified/files").settings["folder"])


def night(database: Database, schools: list[str] | None = None) -> None:
    play(database, folder_of(database).parents[1] / "landing", "unified", schools=schools)


def put_right(file: Path, key: str, record_id: str, **values: str) -> None:
    """Correct a record in a file that the district sends: every row of its ID."""
    with file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        if row[key] == record_id:
            row |= values
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def stays(page: Page) -> Callable[[], bool]:
    """Whether the page that is open now was never loaded again."""
    page.evaluate("window.isTheSame = true")
    return lambda: bool(page.evaluate("window.isTheSame === true"))


def test_a_red_school_is_understood_and_put_right(open_page: OpenPage, samples: Database, tmp_path: Path) -> None:
    page = open_page(samples, "/districts/unified", UNIFIED)
    page.get_by_role("link", name="Lincoln High School").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Lincoln High School"
    assert page.get_by_text("Fix these 3 records first to take care of up to 10 records").is_visible()
    page.get_by_text("Fixing this also fixes 3 other records").click()
    assert page.get_by_text("Mónica Colón: 3 records depend on it").is_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download these records (CSV): Teacher without an email address").click()
    download.value.save_as(tmp_path / "teachers.csv")
    with (tmp_path / "teachers.csv").open(encoding="utf-8-sig", newline="") as stream:
        assert [(row["line"], row["record_id"]) for row in csv.DictReader(stream)] == [("16", "T07002")]
    drop = folder_of(samples)
    put_right(drop / "teachers.csv", "teacher_id", "T07002", teacher_email="monica.colon@unified.example")
    put_right(drop / "classes.csv", "class_id", "C2026-07003", teacher_id="T00001")
    put_right(drop / "students.csv", "student_id", "007003", student_last_name="Newcomb")
    put_right(drop / "students.csv", "guardian_id", "G007008", guardian_phone="+14155550177")
    for file in drop.iterdir():
        file.touch()
    is_the_same = stays(page)
    night(samples)
    expect(page.get_by_text("No errors", exact=True)).to_be_visible(timeout=20_000)
    expect(page.locator(".pill")).to_have_text("Connected")
    assert is_the_same()
    assert_accessible(page)


def test_a_hold_is_reviewed_and_confirmed_with_the_keyboard_on_a_phone(
    open_page: OpenPage, samples: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Report, "start", lambda self, district_id, schools: night(samples, schools))
    page = open_page(samples, "/schools/unified/jefferson", UNIFIED, viewport={"width": 360, "height": 740})
    page.get_by_role("link", name="Confirm removals").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/confirm-removals")
    assert page.get_by_text("35 records are removed from Jefferson Elementary School:").is_visible()
    page.get_by_label("Why (optional)").fill("They moved")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/jefferson?said=*")
    assert page.get_by_text("Removals confirmed. We're applying them now").is_visible()
    is_the_same = stays(page)
    expect(page.locator(".pill")).to_have_text("Connected", timeout=60_000)
    expect(page.get_by_text("“They moved”")).to_be_visible()
    assert is_the_same()
    assert_accessible(page)


def test_a_muted_alert_ends(open_page: OpenPage, samples: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    page = open_page(samples, "/schools/unified/lincoln", LINCOLN_OFFICE)
    assert page.locator("a[href='#alerts']").inner_text().split() == ["7", "Alerts"]
    page.get_by_role("link", name="Mute: Phone number is not valid").click()
    page.get_by_label("Reason").fill("These families have no phone")
    until = (clock.now() + timedelta(days=10)).date().isoformat()
    page.get_by_label("Until the end of").fill(until)
    page.get_by_role("button", name="Mute").click()
    page.wait_for_url("**/lincoln?said=muted*")
    assert page.locator("a[href='#alerts']").inner_text().split() == ["4", "Alerts"]
    assert page.get_by_text("These families have no phone").is_visible()
    assert_accessible(page)
    with samples.reading() as session:
        (mute,) = session.exec(select(AlertMute))
    monkeypatch.setattr(clock, "now", lambda: mute.until)
    page = open_page(samples, "/schools/unified/lincoln", LINCOLN_OFFICE)
    assert page.locator("a[href='#alerts']").inner_text().split() == ["7", "Alerts"]
    assert page.get_by_text("These families have no phone").count() == 0
