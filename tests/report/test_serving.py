"""How the report is served: errors that say nothing, and headers that only a proxy's word is taken for."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest
from sqlmodel import select

from errors import DatabaseUnavailable, SetupError
from models.database import Database
from models.tables import AuditEntry
from report.pages import district as page
from report.serving import listening, served
from services import clock
from services.access import sessions
from settings import Settings
from tests.conftest import Beginnings
from tests.report.conftest import UNIFIED, play_samples

FORWARDED = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https", "Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def district(beginnings: Beginnings) -> Iterator[Database]:
    with beginnings("sqlite", play_samples) as database:
        yield database


def token(database: Database) -> dict[str, str]:
    with database.transaction() as session:
        return {"rollcall": sessions.begin(session, UNIFIED, "link", now=clock.now())}


@pytest.mark.parametrize(
    ("proxies", "network"), [("", "127.0.0.1"), ("10.9.9.9", "127.0.0.1"), ("10.9.9.9,127.0.0.1", "203.0.113.7")]
)
def test_forwarded_headers_are_believed_from_the_proxies_only(
    district: Database, settings: Settings, proxies: str, network: str
) -> None:
    behind = settings.model_copy(update={"report_proxies": proxies})
    with served(district, behind, keep=0) as address:
        path = f"{address}/districts/unified/webhooks"
        form = {"url": "https://hooks.example/"}
        httpx.post(path, data=form, headers=FORWARDED, cookies=token(district)).raise_for_status()
    with district.reading() as session:
        assert [entry.network for entry in session.exec(select(AuditEntry))] == [network]


def test_an_error_is_logged_by_its_kind_only(
    district: Database,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("Ida Moen")

    class Full(logging.Handler):
        """What writes to a disk that is full: logging prints why it failed, and every exception in hand."""

        def emit(self, record: logging.LogRecord) -> None:
            try:
                raise OSError("No space left on device")
            except OSError:
                self.handleError(record)

    monkeypatch.setattr(page, "Page", broken)
    monkeypatch.setattr(logging.getLogger("rollcall.report"), "handlers", [Full()])
    with served(district, settings, keep=0) as address, caplog.at_level(logging.DEBUG):
        answer = httpx.get(f"{address}/districts/unified", cookies=token(district), headers={"Accept": "text/html"})
    said = "\n".join([answer.text, *map(logging.Formatter().format, caplog.records), *capfd.readouterr()])
    assert (answer.status_code, "No space left" in said, "Ida Moen" in said) == (500, True, False)
    assert [each.getMessage() for each in caplog.records if each.name == "rollcall.report"] == [
        "GET /districts/{district} failed with ValueError"
    ]


def test_what_follows_by_itself_gets_nothing_to_show_when_something_goes_wrong(
    district: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_: object, **__: object) -> None:
        raise DatabaseUnavailable("locked")

    monkeypatch.setattr(page, "Page", locked)
    with served(district, settings, keep=0) as address:
        asked = {"Accept": "text/html", "HX-Request": "true"}
        answer = httpx.get(f"{address}/districts/unified", cookies=token(district), headers=asked)
    assert (answer.status_code, answer.text) == (503, "")


def test_an_answer_is_sent_at_once() -> None:
    """asyncio turns on TCP_NODELAY for what it accepts only if the socket that listens names its protocol."""
    with closing(listening("127.0.0.1", 0)) as here:
        assert here.proto == socket.IPPROTO_TCP


def test_a_taken_port_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SetupError, match=f"the report can't listen on 127.0.0.1, port {port}: Address already in"):
            closing(listening("127.0.0.1", port))
