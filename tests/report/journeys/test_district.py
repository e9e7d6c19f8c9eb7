"""In a browser: several holds cleared at once, and the district's page that follows a run by itself."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Route, expect

from models.database import open_database
from services.holds import decisions, store
from services.intake.adapters import ADAPTERS
from services.intake.landing_area import LandingArea
from services.sync import requests, running
from tests.end_to_end.conftest import Installation
from tests.end_to_end.test_holds import Files, night
from tests.report.journeys.conftest import OpenPage, assert_accessible

pytestmark = pytest.mark.journeys


@pytest.fixture
def place(sqlite_url: str, tmp_path: Path) -> Iterator[Installation]:
    """Two schools on hold: the second night would remove 70 of 150 students of each."""
    with open_database(sqlite_url, backups=None) as database:
        installation = Installation(tmp_path, database)
        installation.set_up(unified={"lincoln": "1", "adams": "2"})
        files = Files.of(150, 150)
        assert night(installation, files) == {}
        files.students = {student: of for student, of in files.students.items() if int(student[1:]) >= 70}
        removals = ("data_removals",)
        assert night(installation, files) == {"lincoln": removals, "adams": removals}
        yield installation


def test_several_holds_are_cleared_at_once_and_the_page_turns_green_by_itself(
    place: Installation, open_page: OpenPage
) -> None:
    page = open_page(place.database, "/districts/unified")
    expect(page.get_by_text("2 schools need you")).to_be_visible()
    page.get_by_label("Select every school on hold on this page").check()
    page.get_by_role("button", name="Review the selected holds").click()
    expect(page.get_by_role("heading", name="Clear the holds of 2 schools")).to_be_visible()
    assert page.get_by_text("70 students", exact=True).count() == 2
    assert_accessible(page)
    confirm = page.get_by_role("button", name=re.compile("Confirm removals"))
    number = page.get_by_label("Type 140, the number of records to remove")
    # Neither without the number nor with another one.
    confirm.click()
    number.fill("14")
    page.get_by_label("Why (optional)").first.fill("end of the year")
    confirm.click()
    expect(page.get_by_text("That isn't the number. Nothing was changed.")).to_be_visible()
    expect(page.get_by_label("Why (optional)").first).to_have_value("end of the year")
    assert_accessible(page)
    number.fill("140")
    confirm.click()
    expect(page.get_by_text("Your decision is saved")).to_be_visible()
    expect(page.get_by_text("No data errors")).to_be_visible(timeout=30_000)
    assert page.locator(".pill-connected").count() == 2
    with place.database.reading() as session:
        assert store.open_holds(session, "unified") == []
        decided = [(each.verb, each.by, each.why) for each, _ in store.decisions_of(session, "unified")]
    assert decided == [(decisions.CONFIRM_REMOVALS, "ops@rollcall.example", "end of the year")] * 2


def test_the_page_follows_a_run_without_a_reload_and_keeps_what_the_reader_does(
    place: Installation, open_page: OpenPage
) -> None:
    page = open_page(place.database, "/districts/unified")
    page.evaluate("window.loadedOnce = true")
    chosen = page.get_by_role("checkbox", name="Select Lincoln")
    chosen.check()
    search = page.get_by_label("School", exact=True)
    search.fill("lin")
    may_go_on, started = threading.Event(), threading.Event()

    def step(name: str) -> None:
        if name == "after unified/lincoln":
            started.set()
            assert may_go_on.wait(60)

    with place.database.reading() as session:
        (request,) = requests.sync_requests(session, "unified", None, None, now=True, by_hand=True)
    run = threading.Thread(
        target=running.run_request,
        args=(place.database, request),
        kwargs={
            "landing": LandingArea.of_folder(place.folder / "landing"),
            "adapter": ADAPTERS["csv"](None),
            "step": step,
        },
    )
    files = Files.of(150, 150)
    files.send(place)
    run.start()
    assert started.wait(60)
    expect(page.get_by_text("Processing Adams")).to_be_visible(timeout=20_000)
    expect(page.get_by_text("School 2 of 2.")).to_be_visible()
    expect(page.locator(".pill-processing")).to_have_count(1)
    assert_accessible(page)
    assert (search.input_value(), page.evaluate("document.activeElement.id")) == ("lin", "q")
    may_go_on.set()
    run.join()
    expect(page.get_by_text("No data errors")).to_be_visible(timeout=20_000)
    expect(page.locator("#under-way")).to_be_empty(timeout=20_000)
    assert page.evaluate("window.loadedOnce") is True
    page.reload()
    expect(page.get_by_text("No data errors")).to_be_visible()


def test_what_is_chosen_stays_chosen_while_the_page_follows(place: Installation, open_page: OpenPage) -> None:
    page = open_page(place.database, "/districts/unified")
    page.get_by_role("checkbox", name="Select Adams").check()
    with page.expect_response(lambda answer: answer.request.headers.get("hx-request") == "true"):
        pass
    page.wait_for_timeout(500)
    assert page.get_by_role("checkbox", name="Select Adams").is_checked()
    assert not page.get_by_role("checkbox", name="Select Lincoln").is_checked()


def test_a_look_that_fails_leaves_the_page_as_it_is_and_the_next_one_goes_on(
    place: Installation, open_page: OpenPage
) -> None:
    page = open_page(place.database, "/districts/unified", fails=(503,))
    button = page.get_by_role("button", name="Review the selected holds")
    expect(button).to_be_disabled()
    failed: list[str] = []

    def fail_once(route: Route) -> None:
        if route.request.headers.get("hx-request") and not failed:
            failed.append(route.request.url)
            route.fulfill(status=503, body="")
        else:
            route.continue_()

    page.route("**/districts/unified", fail_once)
    made = page.locator("[data-made]").get_attribute("data-made")
    expect(page.locator("[data-made]")).not_to_have_attribute("data-made", made or "", timeout=20_000)
    assert len(failed) == 1
    assert page.get_by_role("checkbox", name="Select Adams").is_visible()
    expect(button).to_be_disabled()
