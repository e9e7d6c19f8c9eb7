"""A real Chromium that is signed in to the report; a test is skipped where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, sync_playwright

from models.database import Database
from report.serving import served
from services import clock
from services.access import sessions
from settings import Settings
from tests.report.chromium import CAME_BACK
from tests.report.conftest import OPERATOR

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]

OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(tmp_path: Path) -> Iterator[OpenPage]:
    """Opens a page of the report over a database as somebody; what the console complains of fails the test."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed here: apt-get install chromium")
    problems: list[str] = []
    with ExitStack() as opened:
        browser = opened.enter_context(sync_playwright()).chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        opened.callback(browser.close)

        def open_one(
            database: Database, path: str, email: str = OPERATOR, home: Path = tmp_path, *, expected: str = "none"
        ) -> Page:
            """expected: what a complaint that the test brings about says."""
            settings = Settings(home=home, operators=(OPERATOR,))
            address = opened.enter_context(served(database, settings, keep=0))
            with database.transaction() as session:
                token = sessions.begin(session, email, "link", now=clock.now())
            context = browser.new_context()
            context.add_cookies([{"name": "rollcall", "value": token, "url": address}])
            page = context.new_page()
            page.on(
                "console",
                lambda said: (
                    problems.append(said.text)
                    if said.type == "error" and said.text != CAME_BACK and expected not in said.text
                    else None
                ),
            )
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.on("request", lambda asked: None if asked.url.startswith(address) else problems.append(asked.url))
            page.goto(address + path)
            return page

        yield open_one
    assert problems == []


def assert_accessible(page: Page) -> None:
    """No violation that axe finds, in both color schemes."""
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
