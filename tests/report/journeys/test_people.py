"""In a real browser: somebody who is missing is looked for, found and explained, within the rules of accessibility."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from models.database import Database
from report.serving import served
from services import clock
from services.access import sessions
from settings import Settings
from tests.report.conftest import LINCOLN_OFFICE

pytestmark = pytest.mark.journeys

CHROMIUM = Path("/usr/bin/chromium")
LINCOLN = "/schools/unified/lincoln"


@pytest.fixture
def kind() -> str:
    return "sqlite"


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, samples: Database, settings: Settings) -> Iterator[Any]:
    """A narrow window, signed in as Lincoln's office; a console error or a request to another host fails the test."""
    if not CHROMIUM.exists():
        pytest.skip("Chromium is not installed")
    from playwright.sync_api import sync_playwright

    with served(samples, settings, keep=0) as address, sync_playwright() as playwright:
        with samples.transaction() as session:
            token = sessions.begin(session, LINCOLN_OFFICE, "link", now=clock.now())
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        context = browser.new_context(
            base_url=address, color_scheme=request.param, viewport={"width": 360, "height": 800}
        )
        context.add_cookies([{"name": "rollcall", "value": token, "url": address}])
        opened = context.new_page()
        wrong: list[str] = []
        opened.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        opened.on("request", lambda sent: None if sent.url.startswith(address) else wrong.append(sent.url))
        yield opened
        browser.close()
        assert wrong == []


def check(page: Any) -> None:
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_person_is_explained(page: Any) -> None:
    page.goto(f"{LINCOLN}/people")
    check(page)
    page.get_by_label("Find a person or class").fill("monica colon")
    page.keyboard.press("Enter")
    page.get_by_text("1 result").wait_for()
    check(page)
    page.get_by_role("link", name="Mónica Colón").click()
    page.get_by_role("heading", name="Why there is no account").wait_for()
    assert page.get_by_role("link", name="Teacher without an email address", exact=True).is_visible()
    check(page)
    page.get_by_label("Find a person or class").fill("evan")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Evan Juárez").click()
    page.get_by_role("heading", name="At this school, just as in the SIS").wait_for()
    check(page)
    page.get_by_role("link", name="Algebra I, section 1").click()
    page.get_by_role("heading", name="Algebra I, section 1").wait_for()
    check(page)
