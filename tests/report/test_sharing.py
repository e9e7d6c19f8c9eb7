"""Pages that are made once for all who ask at the same moment."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from sqlmodel import select

from models.database import Database
from models.tables import AuditEntry, District
from report import pages, routing
from report.routing import Answer, Asked, Page, Scope
from report.serving import served
from services import clock
from services.access import sessions
from services.access.audit import Action
from services.access.viewers import Viewer, viewer_of
from settings import Settings
from tests.conftest import Beginnings
from tests.report.conftest import LINCOLN_OFFICE, OPERATOR, RIVERBEND, UNIFIED, play_samples

HEAD = "head&<b>@unified.example"


@pytest.fixture
def district(beginnings: Beginnings) -> Iterator[Database]:
    with beginnings("sqlite", play_samples) as database:
        with database.transaction() as session:
            session.get_one(District, "unified").administrators = [UNIFIED, HEAD]
        yield database


def test_readers_with_the_same_rights_share_a_page_and_each_sees_their_own_name(
    district: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def page(asked: Asked) -> Answer:
        made.append(asked.request.url.path)
        asked.detail = f"made {len(made)}"
        return Page("home.html", {"districts": [asked.district], "schools": []}, data=lambda: {"made": len(made)})

    endpoint = routing.Endpoint(
        "GET", "/shared/{district}", Scope.DISTRICT, page, Action.PEOPLE_VIEWED, shows_people=True, is_shared=True
    )
    pages.load()
    monkeypatch.setattr(routing, "ENDPOINTS", [*routing.ENDPOINTS, endpoint])

    def get(email: str, accept: str = "text/html") -> httpx.Response:
        with district.transaction() as session:
            cookies = {"rollcall": sessions.begin(session, email, "link", now=clock.now())}
        return httpx.get(f"{address}/shared/unified", cookies=cookies, headers={"Accept": accept})

    with served(district, settings, keep=3600) as address:
        seen = {email: get(email).text for email in (UNIFIED, HEAD, OPERATOR)}
        assert [get(UNIFIED, "application/json").json() for _ in range(2)] == [{"made": 3}] * 2
        assert get(RIVERBEND).status_code == 404
    assert len(made) == 3  # for administrators, for operators, and as JSON
    assert ["head&amp;&lt;b&gt;@unified.example" in page for page in seen.values()] == [False, True, False]
    assert seen[HEAD].replace("head&amp;&lt;b&gt;@unified.example", UNIFIED) == seen[UNIFIED]
    with district.reading() as session:
        audited = [(entry.actor, entry.detail) for entry in session.exec(select(AuditEntry))]
    assert audited[:3] == [(UNIFIED, "made 1"), (HEAD, "made 1"), (OPERATOR, "made 2")]


def test_who_somebody_is_follows_from_addresses_without_regard_to_case(district: Database) -> None:
    with district.transaction() as session:
        session.get_one(District, "riverbend").administrators = ["Office@Riverbend.example", "büro@SCHULE.example"]
    with district.reading() as session:
        found = {
            email: viewer_of(session, email, (OPERATOR,))
            for email in ("OFFICE@riverbend.example", "BÜRO@schule.example", LINCOLN_OFFICE, "_ffice@lincoln.example")
        }
    assert found == {
        "OFFICE@riverbend.example": Viewer("office@riverbend.example", districts=frozenset({"riverbend"})),
        "BÜRO@schule.example": Viewer("büro@schule.example", districts=frozenset({"riverbend"})),
        LINCOLN_OFFICE: Viewer(LINCOLN_OFFICE, schools=frozenset({"unified/lincoln"})),
        "_ffice@lincoln.example": Viewer("_ffice@lincoln.example"),
    }
