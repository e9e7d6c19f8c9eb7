"""In a browser: every page of the report, in both color schemes, on a phone and at a desk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page
from pydantic import SecretStr

from models.database import Database
from models.tables import OpenIdRequest
from report.routing import ENDPOINTS, Scope
from report.serving import served
from sandbox.samples import FOLDER
from services import clock
from services.access import sessions
from services.access import sign_in as links
from services.access.secrets import hashed
from settings import Settings
from tests.conftest import Beginnings
from tests.report.conftest import OPERATOR, UNIFIED
from tests.report.journeys.conftest import NewPage, Scheme, assert_accessible, sign_in
from tests.report.test_who_sees_what import parts, path_of, with_one_of_each

pytestmark = pytest.mark.journeys

# Beside a page of each endpoint: what a page looks like over other data, as operators see it, who see everything.
MORE = (
    "/",
    "/districts/unified?status=on_hold",
    "/districts/unified?q=nowhere",
    "/districts/unified?said=decided",
    "/districts/unified/setup/new/clever",
    "/districts/unified/setup/sources/files",
    "/districts/riverbend",
    "/districts/hillcrest",
    "/districts/lakeside",
    "/districts/lakeside/setup/sources/clever",
    "/schools/unified/lincoln",
    "/schools/unified/lincoln/nights",
    "/schools/unified/lincoln/people?q=juarez",
    "/schools/unified/adams",
    "/schools/unified/washington",
    "/schools/riverbend/mill-pond",
    "/schools/lakeside/lakeside",
    # Not there, and not possible.
    "/districts/nowhere",
    "/nowhere",
    "/schools/unified/washington/check",
)


class Walk:
    """Pages looked at one after the other in one window, and what is wrong with them."""

    def __init__(self, page: Page, scheme: Scheme) -> None:
        self.page = page
        self.seen: set[str] = set()
        self.wrong: list[str] = []
        self._scheme: Scheme = scheme

    def open(self, path: str) -> None:
        """Look at a page by its address."""
        self.page.goto(path)
        self.look()

    def look(self) -> None:
        """Look at the page that is open."""
        self.seen.add(self.page.title().removesuffix(" · Rollcall"))
        try:
            assert_accessible(self.page, (self._scheme,))
        except AssertionError as error:
            self.wrong.append(str(error))

    def press(self, button: str) -> None:
        """Press a button, and look at what comes."""
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=button).click()
        self.look()


@pytest.fixture
def database(beginnings: Beginnings) -> Iterator[Database]:
    with beginnings("sqlite", with_one_of_each) as database:
        yield database


@pytest.fixture
def address(database: Database, settings: Settings) -> Iterator[str]:
    """The report, where people may sign in with Google too, which doesn't respond."""
    changes = {
        "webhooks_may_be_private": True,
        "google_client_id": "client",
        "google_client_secret": SecretStr("secret"),
        "google_domains": ("unified.example",),
        "google_url": "http://127.0.0.1:9",
    }
    with served(database, settings.model_copy(update=changes), keep=0) as address:
        yield address


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_every_page(
    database: Database,
    address: str,
    new_page: NewPage,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    scheme: Scheme,
    width: int,
) -> None:
    def walk(email: str | None) -> Walk:
        page = new_page(address, color_scheme=scheme, viewport={"width": width, "height": 800})
        if email is not None:
            sign_in(page, address, database, email)
        return Walk(page, scheme)

    nobody, district, operator = walks = walk(None), walk(UNIFIED), walk(OPERATOR)
    samples = parts(database)
    for endpoint in ENDPOINTS:
        if endpoint.method == "GET":
            who = {Scope.ANYBODY: nobody, Scope.OPERATORS: operator}.get(endpoint.scope, district)
            path = path_of(endpoint, samples)
            # Neither a file to keep nor a part of a page.
            if who.page.request.get(path).text().startswith("<!doctype html>"):
                who.open(path)
    for path in MORE:
        operator.open(path)
    sign_in_pages(nobody, address, database)
    forms(district, samples, tmp_path)
    monkeypatch.setattr(sessions, "of", lambda *_, **__: 1 / 0)
    operator.open("/account")
    wrong = [said for each in walks for said in each.wrong]
    assert not wrong, "\n".join(wrong)
    seen = {title for each in walks for title in each.seen}
    assert seen >= {
        "Sign in",
        "You're not signed in",
        "We couldn't find that page",
        "That isn't possible right now",
        "Something went wrong on our side",
    }


def sign_in_pages(nobody: Walk, address: str, database: Database) -> None:
    """What a link opens, in its own browser and in another one, and what a provider's visitor is asked."""
    now = clock.now()
    with database.transaction() as session:
        token = links.make(session, UNIFIED, now=now)
        asked = links.ask(session, UNIFIED, network="127.0.0.1", browser="another", now=now)
        session.add(
            OpenIdRequest(
                state_hash="state",
                browser_hash=hashed("this one"),
                provider="google",
                nonce="nonce",
                code_verifier="verifier",
                issuer="http://127.0.0.1:9",
                subject="1",
                network="hash",
                created_at=now,
            )
        )
    assert asked is not None
    nobody.open(f"/sign-in/link?token={token}")
    nobody.open(f"/sign-in/link?token={asked.token}")
    nobody.page.get_by_label("Code").fill("000000")
    nobody.press("Sign in")
    nobody.page.context.add_cookies([{"name": "rollcall-browser", "value": "this one", "url": address}])
    nobody.open("/sign-in/confirm")


def forms(district: Walk, samples: dict[str, str], folder: Path) -> None:
    """What forms are answered: files that were checked, secrets that are shown once, and what can't be saved."""
    page = district.page
    for files in (FOLDER / "unified" / "night1", FOLDER / "riverbend" / "night2"):
        district.open("/districts/unified/setup/check")
        page.get_by_label("Your files").set_input_files(sorted(files.iterdir()))
        district.press("Check the files")
    district.open("/districts/unified/tokens")
    page.get_by_label("What is it for?").fill("Another program")
    district.press("Create a token")
    district.open("/districts/unified/webhooks")
    page.get_by_label("Address", exact=True).fill("http://127.0.0.1:9/another")
    district.press("Add webhook")
