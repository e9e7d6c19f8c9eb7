"""In a browser: a school's page on paper holds what it says, without what only a screen needs."""

from __future__ import annotations

import pytest

from models.database import Database
from tests.report.conftest import UNIFIED
from tests.report.journeys.conftest import OpenPage

pytestmark = pytest.mark.journeys

GROUNDS = """all => [...new Set(all.map(each => getComputedStyle(each).backgroundColor))]"""


@pytest.mark.parametrize(("path", "folded"), [("/schools/unified/lincoln", 6), ("/schools/unified/jefferson", 0)])
def test_a_school_is_printed(samples: Database, open_page: OpenPage, path: str, folded: int) -> None:
    page = open_page(samples, path, UNIFIED, color_scheme="dark")
    inside = page.locator("details:not([open]) > :not(summary)")
    assert (inside.count(), [each for each in inside.all() if each.is_visible()]) == (folded, [])
    page.emulate_media(media="print", color_scheme="dark")
    assert [each.inner_text() for each in inside.all() if not each.is_visible()] == []
    screen_only = page.locator(".topbar, nav.tabs, button, .button, input, .skip, .no-print")
    assert screen_only.count() > 0
    assert [each.inner_text() for each in screen_only.all() if each.is_visible()] == []
    assert page.eval_on_selector_all("html, body, .page, .card", GROUNDS) == ["rgba(0, 0, 0, 0)", "rgb(255, 255, 255)"]
    assert page.eval_on_selector("main", "main => getComputedStyle(main).color") == "rgb(0, 0, 0)"
