"""Whose Clever district it is: only its own administrators by Clever's records, or operators, can connect one."""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy.pool import QueuePool
from sqlmodel import col, select

from models.database import Database
from models.tables import AuditEntry, Source
from report.pages import setup_source
from sandbox.clever_api import CLIENT_ID, CLIENT_SECRET, CleverApi, Faults, serving
from sandbox.clever_records import CleverDistrict, added_ids, clever_district, with_changed
from sandbox.generator import generate
from settings import Settings
from tests.report.conftest import OPERATOR, UNIFIED, Browser

SETUP = "/districts/unified/setup"
OURS, THEIRS = generate(21, students=12, key="ours"), generate(22, students=12, key="theirs")
REFUSED = (
    "Clever doesn't list you (it@unified.example) as an administrator of this district. Ask a Clever administrator"
    " of your district to add you in Clever, or ask our team to connect it."
)
NOT_LISTED = "refused: the source doesn't list them as an administrator"
NOT_ASKED = "refused: the source couldn't be asked for its administrators"


def ours() -> CleverDistrict:
    """A district with two administrators, the second of whom is Unified's too, under an address spelled otherwise."""
    second = added_ids(OURS, "district_admin", 2)["D90002"]
    made = clever_district(OURS, district_admins=2)
    return with_changed(made, "users", second, lambda user: user.update(email=" IT@Unified.example"))


def theirs() -> CleverDistrict:
    """A district in which Unified's administrator is a teacher only."""
    made = clever_district(THEIRS, district_admins=1)
    return with_changed(made, "users", made.users("teacher")[0].id, lambda user: user.update(email=UNIFIED))


@pytest.fixture
def kind() -> str:
    return "sqlite"  # nothing here is SQL of its own


@pytest.fixture
def clever() -> CleverApi:
    return CleverApi([ours(), theirs()])


@pytest.fixture
def settings(tmp_path: Path, clever: CleverApi) -> Iterator[Settings]:
    with serving(clever) as address:
        yield Settings(
            home=tmp_path,
            operators=(OPERATOR,),
            clever_client_id=CLIENT_ID,
            clever_client_secret=CLIENT_SECRET,
            clever_api_url=address,
            clever_auth_url=address,
        )


def connected(database: Database) -> list[tuple[str, str]]:
    """The Clever sources of Unified, with the districts they are of."""
    with database.reading() as session:
        found = session.exec(select(Source).where(Source.district_id == "unified", Source.kind == "clever"))
        return [(source.key, source.settings["district_id"]) for source in found]


def audited(database: Database) -> list[tuple[str, str, str | None, str | None]]:
    with database.reading() as session:
        entries = session.exec(select(AuditEntry).order_by(col(AuditEntry.id))).all()
    return [(entry.actor, entry.action, entry.subject, entry.detail) for entry in entries]


def connect(browser: httpx.Client, district: str, path: str = "new/clever") -> httpx.Response:
    return browser.post(f"{SETUP}/{path}", data={"district_id": district})


def text(answer: httpx.Response) -> str:
    return html.unescape(answer.text)


def test_an_administrator_by_clevers_records_connects_the_district(browser: Browser, samples: Database) -> None:
    answer = connect(browser(UNIFIED), ours().id)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{SETUP}/sources/clever")
    assert connected(samples) == [("clever", ours().id)]
    assert audited(samples) == [(UNIFIED, "setup_changed", "unified/clever", "source set up")]


def test_anybody_else_is_refused_and_sees_nothing_of_it(browser: Browser, samples: Database, clever: CleverApi) -> None:
    clever.requests.clear()
    answer = connect(browser(UNIFIED), theirs().id)
    assert (answer.status_code, REFUSED in text(answer)) == (422, True)
    shown = text(answer).replace(theirs().id, "")
    names = [theirs().district["name"], *(school["name"] for school in theirs().values("schools"))]
    assert [name for name in names if name in shown] == []
    assert {(each.path, each.query.get("role")) for each in clever.requests} == {
        ("/oauth/tokens", None),
        ("/v3.1/districts", None),
        ("/v3.1/users", "district_admin"),
    }
    assert connected(samples) == []
    assert audited(samples) == [(UNIFIED, "setup_changed", None, NOT_LISTED)]


def test_a_source_is_not_changed_to_a_district_of_others(browser: Browser, samples: Database) -> None:
    window = browser(UNIFIED)
    connect(window, ours().id)
    answer = connect(window, theirs().id, "sources/clever/change")
    assert (answer.status_code, REFUSED in text(answer)) == (422, True)
    assert connected(samples) == [("clever", ours().id)]
    assert connect(window, f" {ours().id} ", "sources/clever/change").status_code == 303
    assert audited(samples)[1:] == [
        (UNIFIED, "setup_changed", None, NOT_LISTED),
        (UNIFIED, "setup_changed", "unified/clever", "source changed"),
    ]


def test_whether_a_sync_uses_a_district_is_its_administrators_to_know(browser: Browser, samples: Database) -> None:
    window = browser(UNIFIED)
    assert connect(browser(OPERATOR), theirs().id).status_code == 303
    assert REFUSED in text(connect(window, theirs().id))
    connect(window, ours().id)
    assert "Another sync uses that already." in text(connect(window, ours().id))
    assert [key for key, _ in connected(samples)] == ["clever", "clever-2"]


def test_an_operator_connects_any_district_without_asking(
    browser: Browser, samples: Database, clever: CleverApi
) -> None:
    clever.requests.clear()
    assert connect(browser(OPERATOR), theirs().id).status_code == 303
    assert clever.requests == []
    assert connected(samples) == [("clever", theirs().id)]


def test_who_was_just_added_in_clever_is_let_in(browser: Browser, samples: Database, clever: CleverApi) -> None:
    window = browser(UNIFIED)
    assert REFUSED in text(connect(window, theirs().id))
    first = added_ids(THEIRS, "district_admin", 1)["D90001"]
    clever.districts[theirs().id] = with_changed(
        clever.districts[theirs().id], "users", first, lambda user: user.update(email=UNIFIED)
    )
    assert connect(window, theirs().id).status_code == 303
    assert connected(samples) == [("clever", theirs().id)]


def test_a_district_that_clever_keeps_from_us_is_not_connected(
    browser: Browser, samples: Database, clever: CleverApi
) -> None:
    window = browser(UNIFIED)
    assert "Clever won't let us read this district." in text(connect(window, "0" * 24))
    clever.faults = Faults(district_status=403)
    assert "Clever won't let us read this district." in text(connect(window, ours().id))
    assert connected(samples) == []
    assert audited(samples) == [(UNIFIED, "setup_changed", None, NOT_ASKED)] * 2


def test_a_clever_that_is_slow_to_answer_is_not_waited_for(
    browser: Browser, samples: Database, clever: CleverApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup_source, "LONGEST", 0.1)
    clever.faults = Faults(delay_seconds=0.5)
    answer = connect(browser(UNIFIED), ours().id)
    assert "We can't read your data right now. Try again in a few minutes" in text(answer)
    assert connected(samples) == []
    assert audited(samples) == [(UNIFIED, "setup_changed", None, NOT_ASKED)]


def test_no_connection_is_open_while_clever_is_asked_and_others_can_write(
    browser: Browser, samples: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_then: list[int] = []

    pool = samples.engine.pool
    assert isinstance(pool, QueuePool)

    def asked(*_: object) -> bool:
        open_then.append(pool.checkedout())
        with samples.transaction() as session:
            session.get_one(Source, "unified/files")
        return True

    monkeypatch.setattr("services.intake.adapters.clever.CleverApi.may_be_set_up_by", asked)
    assert connect(browser(UNIFIED), theirs().id).status_code == 303
    assert open_then == [0]
