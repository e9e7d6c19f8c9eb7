"""In a browser: a school administrator sees one school, and of the others not even their names."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from sqlmodel import select

from models.database import Database
from models.tables import District, School
from tests.report.conftest import LINCOLN_OFFICE
from tests.report.journeys.conftest import OpenPage

pytestmark = pytest.mark.journeys

REFUSED = (
    "/districts/unified",
    "/districts/unified/setup",
    "/districts/unified/audit",
    "/districts/unified/tokens",
    "/schools/unified/jefferson",
    "/schools/unified/jefferson/people",
    "/districts/riverbend",
    "/schools/riverbend/mill-pond",
    "/audit",
)


def test_a_school_administrator_is_refused_everything_else(samples: Database, open_page: OpenPage) -> None:
    page = open_page(samples, "/", LINCOLN_OFFICE)
    expect(page.get_by_role("heading", level=1)).to_have_text("Lincoln High School")
    assert page.url.endswith("/schools/unified/lincoln")
    assert page.get_by_role("navigation", name="Unified School District").count() == 0
    with samples.reading() as session:
        schools = [school.name for school in session.exec(select(School)) if school.id != "unified/lincoln"]
        districts = [district.name for district in session.exec(select(District))]
    own = page.content()
    assert [name for name in schools if name in own] == []
    for path in REFUSED:
        answer = page.goto(path)
        assert answer is not None
        assert (answer.status, page.get_by_role("heading").all_inner_texts()) == (404, ["We couldn't find that page"])
        content = page.content()
        assert [name for name in (*schools, *districts) if name in content] == [], path
    page.get_by_role("link", name="Go to your schools").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Lincoln High School")
