"""What is posted to a webhook, how it is signed, what happens if it is not accepted, and where it may go at all."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from sqlmodel import Session, select

from errors import NotFound, NotPossible
from models.database import Database
from models.tables import StatusChange, Webhook, WebhookCall
from services.webhooks import addresses, calls, signing, webhooks
from services.webhooks.calls import Posting
from tests.services.settled import NOW, set_up

LINCOLN, ADAMS = "unified/lincoln", "unified/adams"


class Receiver(ThreadingHTTPServer):
    """A program that gets webhooks: what it got, and what it is to answer next (200 once there is nothing more)."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], str]] = []
        self.answers: list[int] = []
        self.takes = 0.0  # seconds for each

        class Handler(BaseHTTPRequestHandler):
            def do_POST(handler) -> None:  # noqa: N805
                body = handler.rfile.read(int(handler.headers["content-length"])).decode()
                self.got.append(({name.lower(): value for name, value in handler.headers.items()}, body))
                time.sleep(self.takes)
                handler.send_response(self.answers.pop(0) if self.answers else 200)
                handler.send_header("location", "/elsewhere")
                handler.send_header("content-length", "0")
                handler.end_headers()

            def log_message(handler, *_: Any) -> None:  # noqa: N805
                """Say nothing."""

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.server_address[1]}/hooks?k=1"


@contextmanager
def receiving() -> Iterator[Receiver]:
    with Receiver() as receiver:
        thread = threading.Thread(target=receiver.serve_forever, daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            receiver.shutdown()
            thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def district(database: Database) -> Database:
    with database.transaction() as session:
        set_up(session)
    return database


def at(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def add(database: Database, url: str) -> tuple[int, str]:
    with database.transaction() as session:
        return webhooks.add(session, "unified", url, by="it@unified.example", now=NOW, allow_private=True)


def change(database: Database, school: str, *statuses: str | None, minutes: float = 1) -> None:
    with database.transaction() as session:
        for status in statuses:
            session.add(StatusChange(school_id=school, at=at(minutes), status=status, reason="test"))
            session.flush()


def post(database: Database, minutes: float = 2) -> Posting:
    return calls.deliver(database, now=at(minutes), allow_private=True, wait=0)


def data(receiver: Receiver) -> list[tuple[object, ...]]:
    return [tuple(json.loads(body)["data"].values()) for _, body in receiver.got]


def test_each_change_is_posted_once_and_processing_is_passed_by(district: Database, receiver: Receiver) -> None:
    change(district, LINCOLN, "connected", minutes=-1)
    add(district, receiver.url)
    change(district, LINCOLN, "processing", "connected")
    change(district, ADAMS, "setup_sync", "processing", "on_hold")
    assert post(district) == Posting(2, 0)
    assert data(receiver) == [
        (ADAMS, "setup_sync", None, at(1).isoformat()),
        (ADAMS, "on_hold", "setup_sync", at(1).isoformat()),
    ]
    assert post(district) == Posting(0, 0)
    change(district, LINCOLN, None)
    assert (post(district), data(receiver)[2:]) == (
        Posting(1, 0),
        [(LINCOLN, None, "connected", at(1).isoformat())],
    )


def test_a_change_whose_transaction_was_committed_late_is_posted_too(district: Database, receiver: Receiver) -> None:
    number, _ = add(district, receiver.url)
    change(district, LINCOLN, "connected")
    with district.transaction() as session:
        # As if a change with a higher number had been seen first.
        session.get_one(Webhook, number).last_change_id = 5
    change(district, ADAMS, *["connected", "on_hold"] * 3)
    assert post(district) == Posting(7, 0)


def test_a_message_is_signed_as_the_standard_says(district: Database, receiver: Receiver) -> None:
    _, secret = add(district, receiver.url)
    change(district, LINCOLN, "connected")
    post(district)
    ((headers, body),) = receiver.got
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}".encode()
    expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert (headers["webhook-timestamp"], headers["content-type"], headers["host"]) == (
        str(int(at(2).timestamp())),
        "application/json",
        receiver.url.split("/")[2],
    )
    assert json.loads(body) == {
        "type": "school.status",
        "timestamp": at(2).isoformat(),
        "data": {"school": LINCOLN, "status": "connected", "before": None, "at": at(1).isoformat()},
    }


def test_the_signature_is_that_of_the_published_example() -> None:
    assert (
        signing.headers(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1614265330,
            '{"test": 2432232314}',
        )["webhook-signature"]
        == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_what_fails_twice_is_tried_again_later_under_the_same_id_and_arrives(
    district: Database, receiver: Receiver
) -> None:
    number, _ = add(district, receiver.url)
    change(district, LINCOLN, "connected")
    change(district, ADAMS, "connected")
    receiver.answers = [500, 302]
    assert post(district, 2) == Posting(0, 1)  # the second waits, as the address is left alone
    assert post(district, 2.5) == Posting(0, 1)
    with district.reading() as session:
        state = webhooks.get(session, "unified", number)
    assert (state.waiting, state.given_up, state.last_sent_at, state.problem) == (2, 0, None, "the answer was 500")
    assert post(district, 3) == Posting(1, 0)
    assert post(district, 4) == Posting(1, 0)
    ids = [headers["webhook-id"] for headers, _ in receiver.got]
    assert ids == [ids[0], ids[1], ids[0], ids[1]]
    with district.reading() as session:
        state = webhooks.get(session, "unified", number)
    assert (state.waiting, state.given_up, state.last_sent_at, state.problem) == (0, 0, at(4), None)


def test_a_message_is_given_up_after_eight_attempts(sqlite_database: Database, receiver: Receiver) -> None:
    with sqlite_database.transaction() as session:
        set_up(session)
    number, _ = add(sqlite_database, receiver.url)
    change(sqlite_database, LINCOLN, "connected")
    receiver.answers = [410] * 20
    for day in range(10):
        post(sqlite_database, 2 + day * 24 * 60)
    assert len(receiver.got) == calls.ATTEMPTS
    with sqlite_database.reading() as session:
        state = webhooks.get(session, "unified", number)
        assert (state.waiting, state.given_up, state.problem) == (0, 1, "the answer was 410")
        assert not calls.has_waiting(session, at(20 * 24 * 60))


def test_an_address_that_does_not_answer_is_said_by_its_kind(sqlite_database: Database) -> None:
    with sqlite_database.transaction() as session:
        set_up(session)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        number, _ = add(sqlite_database, f"http://127.0.0.1:{taken.getsockname()[1]}/")
        change(sqlite_database, LINCOLN, "connected")
        assert post(sqlite_database) == Posting(0, 1)
    with sqlite_database.reading() as session:
        assert webhooks.get(session, "unified", number).problem == "no answer (ConnectError)"


@contextmanager
def dripping() -> Iterator[str]:
    """A server that answers a byte at a time, and never finishes; gives its address."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not over.wait(0.05):
                try:
                    self.wfile.write(b"x")
                except OSError:
                    return

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            over.set()
            server.shutdown()
            thread.join()


def test_an_address_that_drips_its_answer_holds_nobody_up(
    sqlite_database: Database, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sqlite_database.transaction() as session:
        set_up(session)
    monkeypatch.setattr(calls, "TIMEOUT", 2.5)
    with dripping() as url:
        slow, _ = add(sqlite_database, url)
        add(sqlite_database, receiver.url)
        change(sqlite_database, LINCOLN, *["connected", "on_hold"] * 5)
        begun = time.monotonic()
        assert post(sqlite_database) == Posting(10, 1)
        assert time.monotonic() - begun < 10
    with sqlite_database.reading() as session:
        state = webhooks.get(session, "unified", slow)
    assert (state.waiting, state.problem) == (10, "no answer within 2.5 seconds")


@pytest.mark.parametrize(("limit", "posted"), [("WEBHOOK_SECONDS", {2}), ("ROUND_SECONDS", {0, 2})])
def test_what_a_slow_address_has_no_time_for_stays_due(
    sqlite_database: Database, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, limit: str, posted: set[int]
) -> None:
    with sqlite_database.transaction() as session:
        set_up(session)
    with receiving() as other:
        numbers = {each: add(sqlite_database, each.url)[0] for each in (receiver, other)}
        change(sqlite_database, LINCOLN, *["connected", "on_hold"] * 3)
        for each in numbers:
            each.takes = 0.6
        with monkeypatch.context() as limited:
            limited.setattr(calls, limit, 1.0)
            post(sqlite_database)
        assert {len(each.got) for each in numbers} == posted
        with sqlite_database.reading() as session:
            for each, number in numbers.items():
                assert webhooks.get(session, "unified", number).waiting == 6 - len(each.got)
            assert calls.has_waiting(session, at(2))
        for each in numbers:
            each.takes = 0
        post(sqlite_database)
        assert [len(each.got) for each in numbers] == [6, 6]


def test_nothing_is_posted_to_our_own_network_unless_that_is_allowed(
    sqlite_database: Database, receiver: Receiver
) -> None:
    with sqlite_database.transaction() as session:
        set_up(session)
    number, _ = add(sqlite_database, receiver.url)
    change(sqlite_database, LINCOLN, "connected")
    assert calls.deliver(sqlite_database, now=at(2), allow_private=False, wait=0) == Posting(0, 1)
    assert receiver.got == []
    with sqlite_database.reading() as session:
        problem = webhooks.get(session, "unified", number).problem
    assert problem == "the address's host was not found, or is not on the public internet"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:93.184.216.34", False),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("ff02::1", False),
    ],
)
def test_which_network_addresses_are_public(address: str, expected: bool) -> None:
    assert addresses.is_public(address) is expected


def test_a_name_with_any_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(*listed: str) -> Any:
        return lambda *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 443)) for each in listed]

    monkeypatch.setattr(socket, "getaddrinfo", found("93.184.216.34", "10.0.0.1"))
    assert addresses.resolved("both.example", 443, allow_private=False) is None
    monkeypatch.setattr(socket, "getaddrinfo", found("93.184.216.34"))
    assert addresses.resolved("public.example", 443, allow_private=False) == "93.184.216.34"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://hooks.example/", "the address must begin with https://"),
        ("file:///etc/passwd", "the address must begin with https://"),
        ("https://", "the address must begin with https://"),
        ("", "the address must begin with https://"),
        ("https://a@hooks.example/", "the address must not hold a user, a password or a #"),
        ("https://hooks.example/#x", "the address must not hold a user, a password or a #"),
        ("https://hooks.example/a b", "that is not a web address"),
        ("https://hooks.example:99999/", "that is not a web address"),
        ("https://[::1/", "that is not a web address"),
        ("https://hooks.example/" + "a" * 2_000, "that is not a web address"),
    ],
)
def test_addresses_that_are_refused(url: str, problem: str) -> None:
    with pytest.raises(NotPossible) as refused:
        addresses.checked_url(url, allow_private=False)
    assert refused.value.message == problem


def test_a_district_sees_its_own_webhooks_and_has_five_at_most(sqlite_database: Database) -> None:
    with sqlite_database.transaction() as session:
        set_up(session)
    numbers = [add(sqlite_database, f"https://hooks.example/{number}")[0] for number in range(webhooks.MOST)]
    for url, problem in (("https://hooks.example/0", "a district can have 5 webhooks at most"),):
        with pytest.raises(NotPossible, match=problem):
            add(sqlite_database, url)
    with sqlite_database.transaction() as session:
        webhooks.remove(session, "unified", numbers[0], now=NOW)
        assert [each.id for each in webhooks.of_district(session, "unified")] == numbers[1:]
        assert webhooks.of_district(session, "elsewhere") == []
        for district, number in (("unified", numbers[0]), ("elsewhere", numbers[1]), ("unified", 99)):
            _not_found(session, district, number)
    with pytest.raises(NotPossible, match="there is a webhook with this address already"):
        add(sqlite_database, "https://hooks.example/1")


def _not_found(session: Session, district: str, number: int) -> None:
    with pytest.raises(NotFound):
        webhooks.get(session, district, number)


def test_a_test_message_is_posted_and_what_was_removed_is_not(sqlite_database: Database, receiver: Receiver) -> None:
    with sqlite_database.transaction() as session:
        set_up(session)
    number, _ = add(sqlite_database, receiver.url)
    with sqlite_database.transaction() as session:
        webhooks.add_test(session, "unified", number, now=NOW)
    assert post(sqlite_database) == Posting(1, 0)
    assert json.loads(receiver.got[0][1]) == {
        "type": "test",
        "timestamp": NOW.isoformat(),
        "data": {"district": "unified"},
    }
    change(sqlite_database, LINCOLN, "connected")
    with sqlite_database.transaction() as session:
        webhooks.remove(session, "unified", number, now=NOW)
    assert post(sqlite_database) == Posting(0, 0)
    with sqlite_database.reading() as session:
        assert len(session.exec(select(WebhookCall)).all()) == 1
