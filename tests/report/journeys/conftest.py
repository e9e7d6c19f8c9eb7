"""A real Chromium at the report; a test is skipped where there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ConsoleMessage, Page, Request, Response, sync_playwright

from models.database import Database
from report.serving import served
from services import clock
from services.access import sessions
from settings import Settings
from tests.report.chromium import BROWSER, CHROMIUM, FLAGS
from tests.report.conftest import OPERATOR

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
NewPage = Callable[..., Page]
OpenPage = Callable[..., Page]


@pytest.fixture
def kind() -> str:
    """The database that journeys over the samples are on."""
    return "sqlite"


@pytest.fixture
def new_page() -> Iterator[NewPage]:
    """Gives an empty page, in a browser window without cookies, at a server's address.

    What goes wrong in it fails the test: an error on the console or of a script, a request to another host, and
    anything but a page or form that is answered with an error.
    """
    if not CHROMIUM:
        pytest.skip(f"there is no Chromium here ({BROWSER}): on Debian, apt-get install chromium")
    problems: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)

        def new(address: str, *, fails: tuple[int, ...] = (), **context: Any) -> Page:
            """fails: statuses that the test makes the server answer with."""
            page = browser.new_context(base_url=address, **context).new_page()
            page.set_default_timeout(60_000)
            _watch(page, address, problems, fails)
            return page

        yield new
        browser.close()
    assert problems == []


def _watch(page: Page, address: str, problems: list[str], fails: tuple[int, ...]) -> None:
    def note(what: str) -> None:
        problems.append(f"{page.url}: {what}")

    def asked(request: Request) -> None:
        if not request.url.startswith(address):
            note(f"asked for {request.url}")

    def answered(response: Response) -> None:
        if response.status >= 400 and response.status not in fails and not response.request.is_navigation_request():
            note(f"{response.url} answered {response.status}")

    def said(message: ConsoleMessage) -> None:
        # Of every answer that is an error, also of a page that is meant to be one; answered() sees to the others.
        is_answer = message.text.startswith("Failed to load resource: the server responded with a status of")
        if message.type == "error" and not is_answer:
            note(message.text)

    page.on("console", said)
    page.on("pageerror", lambda error: note(str(error)))
    page.on("request", asked)
    page.on("response", answered)


def sign_in(page: Page, address: str, database: Database, email: str) -> None:
    """Give a browser window the session of somebody."""
    with database.transaction() as session:
        token = sessions.begin(session, email, "link", now=clock.now())
    page.context.add_cookies([{"name": "rollcall", "value": token, "url": address}])


@pytest.fixture
def open_page(new_page: NewPage, settings: Settings) -> Iterator[OpenPage]:
    """Opens a page of the report over a database as somebody, in a window and with a server of their own."""
    the_settings = settings
    with ExitStack() as opened:

        def open_one(
            database: Database, path: str, email: str = OPERATOR, settings: Settings = the_settings, **context: Any
        ) -> Page:
            address = opened.enter_context(served(database, settings, keep=0))
            page = new_page(address, **context)
            sign_in(page, address, database, email)
            page.goto(path)
            return page

        yield open_one


def assert_accessible(page: Page, schemes: tuple[Scheme, ...] = SCHEMES) -> None:
    """Nothing that axe finds in these color schemes, and no sideways scrolling."""
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
        assert [(each["id"], each["nodes"][0]["html"]) for each in found] == [], page.url
    width, room = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert width <= room, f"{page.url} is {width} px wide, in a window of {room} px"
