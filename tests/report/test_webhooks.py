"""The page of a district's webhooks: adding one, trying it, removing it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import httpx
import pytest
from sqlmodel import col, select

from models.database import Database
from models.tables import AuditEntry
from report.serving import served
from services import clock
from services.access import sessions
from settings import Settings
from tests.conftest import Beginnings
from tests.report.conftest import RIVERBEND, UNIFIED, play_samples
from tests.services.webhooks.test_webhooks import Receiver, receiver  # noqa: F401

PATH = "/districts/unified/webhooks"


@pytest.fixture
def district(beginnings: Beginnings) -> Iterator[Database]:
    with beginnings("sqlite", play_samples) as database:
        yield database


@pytest.fixture
def client(district: Database, settings: Settings) -> Iterator[httpx.Client]:
    """Unified's administrator, where webhooks may go to this machine."""
    allowed = settings.model_copy(update={"webhooks_may_be_private": True})
    with served(district, allowed, keep=0) as address, signed_in(district, address, UNIFIED) as client:
        yield client


def signed_in(database: Database, address: str, email: str) -> httpx.Client:
    with database.transaction() as session:
        token = sessions.begin(session, email, "link", now=clock.now())
    return httpx.Client(base_url=address, headers={"Sec-Fetch-Site": "same-origin"}, cookies={"rollcall": token})


def audited(database: Database) -> list[tuple[str, str | None, str | None]]:
    with database.reading() as session:
        entries = session.exec(select(AuditEntry).order_by(col(AuditEntry.id))).all()
    return [(entry.action, entry.subject, entry.detail) for entry in entries]


def test_a_webhook_is_added_tried_and_removed(
    client: httpx.Client,
    district: Database,
    receiver: Receiver,  # noqa: F811
) -> None:
    assert "No webhooks yet" in client.get(PATH).text
    added = client.post(PATH, data={"url": receiver.url})
    secrets = re.findall(r"whsec_[\w+/=]+", added.text)
    assert (added.status_code, len(secrets)) == (200, 1)
    assert "whsec_" not in client.get(PATH).text
    tried = client.post(f"{PATH}/1/test")
    assert (tried.status_code, tried.headers["location"]) == (303, f"{PATH}?said=tested")
    deadline = time.monotonic() + 30
    while client.get(PATH, headers={"Accept": "application/json"}).json()["webhooks"][0]["last_sent_at"] is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert [headers["webhook-id"][:4] for headers, _ in receiver.got] == ["msg_"]
    asked = client.get(f"{PATH}/1/remove")
    assert (asked.status_code, receiver.url in asked.text) == (200, True)
    removed = client.post(f"{PATH}/1/remove")
    assert (removed.status_code, removed.headers["location"]) == (303, f"{PATH}?said=removed")
    assert "The webhook was removed." in client.get(f"{PATH}?said=removed").text
    assert audited(district) == [
        ("setup_changed", "webhook 1", "webhook added"),
        ("setup_changed", "webhook 1", "webhook tested"),
        ("setup_changed", "webhook 1", "webhook removed"),
    ]


@pytest.mark.parametrize("url", ["", "http:/x", 'https://a@"><script>alert(1)</script>', "https://{{7*7}} x/"])
def test_an_address_that_is_refused_is_said_beside_its_field(client: httpx.Client, url: str) -> None:
    answer = client.post(PATH, data={"url": url})
    assert (answer.status_code, "<script>" in answer.text, 'aria-invalid="true"' in answer.text) == (422, False, True)


def test_others_find_no_webhook(client: httpx.Client, district: Database, receiver: Receiver) -> None:  # noqa: F811
    client.post(PATH, data={"url": receiver.url})
    with signed_in(district, str(client.base_url), RIVERBEND) as other:
        for path in (PATH, f"{PATH}/1/remove", "/districts/riverbend/webhooks/1/remove"):
            assert other.get(path).status_code == 404
        for path in (PATH, f"{PATH}/1/remove", f"{PATH}/1/test", "/districts/riverbend/webhooks/1/test"):
            assert other.post(path, data={"url": receiver.url}).status_code == 404
    assert client.get(f"{PATH}/x/remove").status_code == 404
    assert client.get(f"{PATH}/{'9' * 30}/remove").status_code == 404
