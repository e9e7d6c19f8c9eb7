"""In a browser: somebody who is missing is looked for, found and explained."""

from __future__ import annotations

import pytest

from models.database import Database
from tests.report.conftest import LINCOLN_OFFICE
from tests.report.journeys.conftest import OpenPage

pytestmark = pytest.mark.journeys


def test_a_person_is_explained(samples: Database, open_page: OpenPage) -> None:
    page = open_page(samples, "/schools/unified/lincoln/people", LINCOLN_OFFICE)
    page.get_by_label("Find a person or class").fill("monica colon")
    page.keyboard.press("Enter")
    page.get_by_text("1 result").wait_for()
    page.get_by_role("link", name="Mónica Colón").click()
    page.get_by_role("heading", name="Why there is no account").wait_for()
    assert page.get_by_role("link", name="Teacher without an email address", exact=True).first.is_visible()
    page.get_by_label("Find a person or class").fill("evan")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Evan Juárez").click()
    page.get_by_role("heading", name="At this school, just as in the SIS").wait_for()
    page.get_by_role("link", name="Algebra I, section 1").click()
    page.get_by_role("heading", name="Algebra I, section 1").wait_for()
