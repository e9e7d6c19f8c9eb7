"""The audit log as a page and a download."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.access import audit
from services.access.audit import Action
from tests.report.site import COAST, IT, OFFICE, OPERATOR, Site

AT = datetime(2026, 11, 23, 7, 30, tzinfo=UTC)  # the evening before in Los Angeles


@pytest.fixture
def filled(site: Site) -> Site:
    with site.database.transaction() as session:
        for number in range(103):
            audit.record(
                session,
                Action.DOWNLOADED,
                actor=IT,
                at=AT + timedelta(minutes=number),
                district_id="unified",
                subject=f"n{number}",
            )
        audit.record(session, Action.DECIDED, actor=COAST, at=AT, district_id="coast", subject="of-coast")
        audit.record(
            session, Action.DECIDED, actor="=<script>@x.example", at=AT, district_id="unified", detail="{{7*7}}"
        )
    return site


def subjects(page: str) -> list[str]:
    return [word for word in (f"n{number}" for number in range(103)) if f">{word}<" in page]


def test_a_district_reads_its_own(filled: Site) -> None:
    page = filled.browser(IT).get("/districts/unified/audit").text
    assert ["of-coast" in page, "<script>@x" in page, "{{7*7}}" in page, ">49<" in page] == [False, False, True, False]
    assert "&lt;script&gt;@x.example" in page
    assert len(subjects(page)) == 99
    assert [filled.browser(each).get("/districts/unified/audit").status_code for each in (COAST, OFFICE)] == [404] * 2


def test_operators_read_all(filled: Site) -> None:
    page = filled.browser(OPERATOR).get("/audit?action=decided").text
    assert ["of-coast" in page, "&lt;script&gt;@x" in page, len(subjects(page))] == [True, True, 0]
    assert filled.browser(IT).get("/audit").status_code == 404


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("action=downloaded&person=it%40", 100),
        ("action=decided", 0),
        ("person=%25", 0),
        ("until=2026-11-22", 30),
        ("since=2026-11-23", 73),
        ("since=2026-11-24", 0),
        ("since=0001-01-01&until=9999-12-31&before=x&action=y", 99),
        ("before=4", 3),
    ],
)
def test_it_is_filtered_by_person_action_and_day(filled: Site, query: str, found: int) -> None:
    answer = filled.browser(IT).get(f"/districts/unified/audit?{query}")
    assert (answer.status_code, len(subjects(answer.text))) == (200, found)


def test_older_entries_are_on_the_next_page_with_the_filter_kept(filled: Site) -> None:
    browser = filled.browser(IT)
    first = browser.get("/districts/unified/audit?action=downloaded").text
    older = first.partition('href="/districts/unified/audit?action=downloaded&amp;before=')[2].partition('"')[0]
    second = browser.get(f"/districts/unified/audit?action=downloaded&before={older}").text
    assert subjects(second) == ["n0", "n1", "n2"]
    assert 'href="/districts/unified/audit?action=downloaded"' in second


def test_the_download_holds_all_that_the_filter_lets_through(filled: Site) -> None:
    browser = filled.browser(IT)
    answer = browser.get("/districts/unified/audit.csv?action=downloaded")
    assert answer.headers["content-disposition"] == 'attachment; filename="unified-audit.csv"'
    lines = answer.text.splitlines()
    assert len(lines) == 104
    assert lines[:2] == [
        "\ufeffat,person,action,district,school,subject,detail,network",
        "2026-11-23T01:12:00-08:00,it@unified.example,downloaded,unified,,n102,,",
    ]
    decided = browser.get("/districts/unified/audit.csv?action=decided").text.splitlines()
    assert decided[1].split(",")[1] == "'=<script>@x.example"
    assert filled.audited()[-2:] == [
        (IT, "downloaded", "unified", "103 entries"),
        (IT, "downloaded", "unified", "1 entry"),
    ]
