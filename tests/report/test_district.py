"""The district's page."""

from __future__ import annotations

from tests.report.conftest import RIVERBEND, UNIFIED, Browser


def test_a_district_administrator_lands_on_their_district(browser: Browser) -> None:
    answer = browser(UNIFIED).get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/districts/unified")


def test_the_page_shows_every_school_those_needing_action_first(browser: Browser) -> None:
    page = browser(UNIFIED).get("/districts/unified")
    assert page.status_code == 200
    names = ["Jefferson Elementary School", "Adams Middle School", "Lincoln High School"]
    places = [page.text.index(name) for name in names]
    assert places == sorted(places)


def test_a_foreign_district_is_not_found(browser: Browser) -> None:
    foreign, unknown = (browser(RIVERBEND).get(f"/districts/{each}") for each in ("unified", "nowhere"))
    assert (foreign.status_code, unknown.status_code) == (404, 404)
    assert foreign.text == unknown.text.replace("nowhere", "unified")


def test_nobody_is_sent_to_sign_in(browser: Browser) -> None:
    answer = browser(None).get("/districts/unified?status=on_hold")
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        "/sign-in?next=%2Fdistricts%2Funified%3Fstatus%3Don_hold",
    )
