"""Sending: to a real SMTP server on loopback, one that is down, refuses or breaks off, and into a folder."""

from __future__ import annotations

import logging
import socket
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from sqlmodel import col, select

from errors import Busy, MailRefused, MailUnreachable
from models.database import Database
from models.tables import District, Mail
from services.mail import outbox, smtp
from services.mail.outbox import Sending
from services.mail.smtp import Folder, Server
from settings import get_settings
from tests.services.mail.certificates import Authority
from tests.services.settled import NOW, set_up

IT, HEAD = "it@unified.example", "head@unified.example"
SENDER = "Rollcall <sync@rollcall.example>"


class Inbox:
    """What a server accepted: (recipients, message). It answers as set up, otherwise 250."""

    def __init__(self) -> None:
        self.accepted: list[tuple[list[str], bytes]] = []
        self.on_sender = "250 OK"
        self.refused: dict[str, str] = {}
        self.after_data = "250 OK"
        self.breaks_off_at = ""

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        envelope.mail_from = address
        return self.on_sender

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.breaks_off_at == "DATA":
            server.transport.abort()
        elif self.after_data.startswith("250"):
            self.accepted.append((envelope.rcpt_tos, envelope.content))
        return self.after_data

    async def handle_QUIT(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.breaks_off_at == "QUIT":
            server.transport.abort()
        return "221 Bye"

    @property
    def recipients(self) -> list[list[str]]:
        return [recipients for recipients, _ in self.accepted]


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


@contextmanager
def listening(inbox: Inbox, **how: Any) -> Iterator[int]:
    """A server on this machine's port, as set up."""
    controller = Controller(inbox, hostname="127.0.0.1", port=free_port(), **how)
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


@contextmanager
def serving(inbox: Inbox) -> Iterator[Server]:
    with listening(inbox) as port:
        yield Server("127.0.0.1", port, SENDER, security="none", timeout=5)


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def server(inbox: Inbox) -> Iterator[Server]:
    with serving(inbox) as transport:
        yield transport


@pytest.fixture
def waiting(database: Database) -> Database:
    """A mail to two administrators that waits."""
    with database.transaction() as session:
        set_up(session)
        session.get_one(District, "unified").administrators = [IT, HEAD]
    add(database, "m1")
    return database


def add(database: Database, message_id: str, recipients: Sequence[str] = (IT, HEAD)) -> None:
    with database.transaction() as session:
        session.add(
            Mail(
                district_id="unified",
                message_id=message_id,
                recipients=list(recipients),
                subject="1 school on hold: Unified",
                text="Lincoln\n",
                html="<p>Lincoln</p>\n",
                created_at=NOW,
            )
        )


def send(database: Database, transport: smtp.Transport, wait: float = 5) -> Sending:
    return outbox.send_waiting(database, transport, sender=SENDER, now=NOW, pause=0, wait=wait)


def state(database: Database) -> list[tuple[bool, int, str | None]]:
    with database.reading() as session:
        return [
            (mail.sent_at is not None, mail.attempts, mail.problem)
            for mail in session.exec(select(Mail).order_by(col(Mail.id)))
        ]


def test_a_mail_arrives_whole_and_once(waiting: Database, inbox: Inbox, server: Server) -> None:
    assert send(waiting, server) == Sending(1, 0)
    assert send(waiting, server) == Sending(0, 0)
    ((recipients, content),) = inbox.accepted
    message = message_from_bytes(content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    assert recipients == [IT, HEAD]
    assert {name: str(message[name]) for name in ("Subject", "From", "To", "Message-ID", "Auto-Submitted")} == {
        "Subject": "1 school on hold: Unified",
        "From": SENDER,
        "To": f"{IT}, {HEAD}",
        "Message-ID": "<m1@rollcall.example>",
        "Auto-Submitted": "auto-generated",
    }
    parts = [(part.get_content_type(), part.get_content().split()) for part in message.iter_parts()]
    assert parts == [("text/plain", ["Lincoln"]), ("text/html", ["<p>Lincoln</p>"])]
    assert state(waiting) == [(True, 1, None)]


def test_a_server_that_is_down_gets_it_when_it_is_up_again(waiting: Database, inbox: Inbox) -> None:
    with pytest.raises(MailUnreachable) as raised:
        send(waiting, Server("127.0.0.1", free_port(), SENDER, security="none"))
    assert "unified.example" not in str(raised.value)
    ((is_sent, attempts, problem),) = state(waiting)
    assert (is_sent, attempts) == (False, 0)
    assert problem == str(raised.value)
    with serving(inbox) as server:
        assert send(waiting, server) == Sending(1, 0)
    assert inbox.recipients == [[IT, HEAD]]


def test_a_server_that_breaks_off_before_it_accepts_gets_it_again(
    waiting: Database, inbox: Inbox, server: Server
) -> None:
    inbox.breaks_off_at = "DATA"
    with pytest.raises(MailUnreachable):
        send(waiting, server)
    assert (inbox.accepted, state(waiting)[0][0]) == ([], False)
    inbox.breaks_off_at = ""
    send(waiting, server)
    assert inbox.recipients == [[IT, HEAD]]


def test_a_server_that_breaks_off_at_quit_has_accepted(waiting: Database, inbox: Inbox, server: Server) -> None:
    inbox.breaks_off_at = "QUIT"
    assert send(waiting, server) == Sending(1, 0)
    send(waiting, server)
    assert inbox.recipients == [[IT, HEAD]]


def test_who_accepted_never_gets_it_again(waiting: Database, inbox: Inbox, server: Server) -> None:
    inbox.refused = {HEAD: "450 try later"}
    assert send(waiting, server) == Sending(0, 1)
    assert state(waiting) == [
        (False, 1, "refused for 1 of 2 recipients (450): administrators entry 2 in the setup file")
    ]
    inbox.refused = {}
    assert send(waiting, server) == Sending(1, 0)
    assert inbox.recipients == [[IT], [HEAD]]


def test_a_refusal_is_not_tried_for_ever_and_stops_no_other_mail(
    waiting: Database, inbox: Inbox, server: Server
) -> None:
    add(waiting, "m2", ["ops@unified.example"])
    inbox.refused = {IT: "550 no such user", HEAD: "550 no such user"}
    for _ in range(7):
        send(waiting, server)
    assert inbox.recipients == [["ops@unified.example"]]
    assert state(waiting) == [
        (False, 5, "refused for 2 of 2 recipients (550): administrators entries 1, 2 in the setup file"),
        (True, 1, None),
    ]


def test_what_is_no_address_keeps_nobody_else_from_the_mail(waiting: Database, inbox: Inbox) -> None:
    bad = ["a..b@unified.example", "jörg@unified.example", "a@b.example\r\nBcc: c@d.example"]
    administrators = [bad[0], IT, *bad[1:], "it@schüle.example", "h\u200bead@unified.example"]
    with waiting.transaction() as session:
        session.get_one(District, "unified").administrators = administrators
        session.exec(select(Mail)).one().recipients = administrators
    with listening(inbox, enable_SMTPUTF8=False) as port:
        assert send(waiting, Server("127.0.0.1", port, SENDER, security="none", timeout=5)) == Sending(0, 1)
    assert inbox.recipients == [[IT, "it@xn--schle-mva.example", HEAD]]
    message = message_from_bytes(inbox.accepted[0][1], policy=policy.default)
    assert message["To"] == f"{IT}, it@xn--schle-mva.example, {HEAD}"
    assert unsent(waiting, "unified") == [
        "1 email has been waiting since Mar 2, 2026, 1:00 AM PST; last answer: refused for 3 of 6 recipients (553):"
        " administrators entries 1, 3, 4 in the setup file"
    ]


def test_a_mail_that_nobody_can_get_stops_no_other_mail(waiting: Database, inbox: Inbox, server: Server) -> None:
    with waiting.transaction() as session:
        session.exec(select(Mail)).one().recipients = ["jörg@unified.example"]
    add(waiting, "m2", [IT])
    send(waiting, server)
    assert inbox.recipients == [[IT]]
    assert state(waiting) == [(False, 1, "refused for 1 of 1 recipient (553)"), (True, 1, None)]


class Crash(BaseException):
    """The process is killed."""


class Crashing:
    """A transport whose process dies at a moment, before the server has the mail."""

    def send(self, message: EmailMessage, recipients: Sequence[str]) -> Mapping[str, int]:
        raise Crash

    def close(self) -> None: ...


def test_a_crash_between_commit_and_mail_still_sends_it_once(waiting: Database, inbox: Inbox, server: Server) -> None:
    with pytest.raises(Crash):
        send(waiting, Crashing())
    assert send(waiting, server) == Sending(1, 0)
    assert send(waiting, server) == Sending(0, 0)
    assert inbox.recipients == [[IT, HEAD]]


class DyingAfterwards:
    """A transport whose process dies at the worst moment: the mail is accepted, and that is not stored yet."""

    def __init__(self, transport: smtp.Transport) -> None:
        self.transport = transport

    def send(self, message: EmailMessage, recipients: Sequence[str]) -> Mapping[str, int]:
        self.transport.send(message, recipients)
        raise Crash

    def close(self) -> None:
        self.transport.close()


def test_a_crash_before_the_acceptance_is_stored_repeats_the_same_message(
    waiting: Database, inbox: Inbox, server: Server
) -> None:
    with pytest.raises(Crash):
        send(waiting, DyingAfterwards(server))
    send(waiting, server)
    send(waiting, server)
    sent = [str(message_from_bytes(content, policy=policy.default)["Message-ID"]) for _, content in inbox.accepted]
    assert sent == ["<m1@rollcall.example>", "<m1@rollcall.example>"]


def test_a_crash_before_a_written_file_is_noted_leaves_one_file(waiting: Database, tmp_path: Path) -> None:
    with pytest.raises(Crash):
        send(waiting, DyingAfterwards(Folder(tmp_path / "mail")))
    send(waiting, Folder(tmp_path / "mail"))
    assert [file.name for file in (tmp_path / "mail").iterdir()] == ["m1.eml"]


def test_a_server_that_leaves_among_the_recipients_has_accepted_for_none(
    waiting: Database, inbox: Inbox, server: Server
) -> None:
    inbox.refused = {HEAD: "421 closing"}
    with pytest.raises(MailUnreachable):
        send(waiting, server)
    assert (inbox.accepted, state(waiting)[0][:2]) == ([], (False, 0))
    inbox.refused = {}
    send(waiting, server)
    assert inbox.recipients == [[IT, HEAD]]


def test_two_senders_at_once_send_it_once(waiting: Database, inbox: Inbox, server: Server) -> None:
    for number in range(2, 8):
        add(waiting, f"m{number}")
    other = Server(server.host, server.port, SENDER, security="none")
    sending: list[Callable[[], object]] = [lambda: send(waiting, server, 30), lambda: send(waiting, other, 30)]
    threads = [threading.Thread(target=run) for run in sending]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert inbox.recipients == [[IT, HEAD]] * 7


def test_a_second_sender_does_not_wait_for_ever(waiting: Database, server: Server) -> None:
    with waiting.exclusive_lock(outbox.SEND_LOCK, wait=0), pytest.raises(Busy):
        send(waiting, server, wait=0.1)


def test_without_a_server_mails_are_private_files(waiting: Database, tmp_path: Path) -> None:
    folder = tmp_path / "mail"
    assert send(waiting, Folder(folder)) == Sending(1, 0)
    send(waiting, Folder(folder))
    (file,) = folder.iterdir()
    assert (file.name, file.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == ("m1.eml", 0o600, 0o700)
    assert message_from_bytes(file.read_bytes(), policy=policy.default)["Subject"] == "1 school on hold: Unified"


def test_a_folder_that_cannot_be_written_is_tried_again(waiting: Database, tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("in the way")
    with pytest.raises(MailUnreachable):
        send(waiting, Folder(tmp_path / "mail"))
    assert state(waiting)[0][0] is False


HEADS_ENTRY = ": administrators entry 2 in the setup file"


def unsent(database: Database, district_id: str | None = None) -> list[str]:
    with database.reading() as session:
        return outbox.describe_unsent(session, district_id)


def test_what_was_not_sent_is_reported_in_numbers(waiting: Database, inbox: Inbox, server: Server) -> None:
    with waiting.transaction() as session:
        session.add(District(id="other", name="Other", timezone="America/Chicago", administrators=[]))
    assert unsent(waiting, "unified") == ["1 email has been waiting since Mar 2, 2026, 1:00 AM PST"]
    assert (unsent(waiting), unsent(waiting, "other")) == (
        ["1 email has been waiting since Mar 2, 2026, 9:00 AM UTC"],
        [],
    )
    inbox.refused = {HEAD: "451 try later"}
    send(waiting, server)
    add(waiting, "m2", ["ops@unified.example"])
    inbox.refused = {HEAD: "550 no such user", "ops@unified.example": "452 full"}
    send(waiting, server)
    assert unsent(waiting, "unified") == [
        "2 emails have been waiting since Mar 2, 2026, 1:00 AM PST; last answer: refused for 1 of 2 recipients (550)"
        f"{HEADS_ENTRY}"
    ]
    for _ in range(3):
        send(waiting, server)
    assert unsent(waiting, "unified") == [
        "1 email has been waiting since Mar 2, 2026, 1:00 AM PST; last answer: refused for 1 of 1 recipient (452)",
        f"1 email was given up after 5 refusals; last answer: refused for 1 of 2 recipients (550){HEADS_ENTRY}",
    ]
    inbox.refused = {HEAD: "550 no such user"}
    send(waiting, server)
    assert unsent(waiting, "unified") == [
        f"1 email was given up after 5 refusals; last answer: refused for 1 of 2 recipients (550){HEADS_ENTRY}"
    ]


# --- encryption and login -----------------------------------------------------------------------------------------

USER, PASSWORD = "sync@rollcall.example", "s3cret-w0rd"


class Logins:
    """The logins that a server got; it accepts the right one, and answers any other as set up."""

    def __init__(self, refusal: str = "535 5.7.8 Authentication credentials invalid") -> None:
        self.tried: list[tuple[str, str]] = []
        self.refusal = refusal

    def __call__(self, server: Any, session: Any, envelope: Any, mechanism: str, data: LoginPassword) -> AuthResult:
        self.tried.append((data.login.decode(), data.password.decode()))
        if self.tried[-1] == (USER, PASSWORD):
            return AuthResult(success=True)
        return AuthResult(success=False, handled=False, message=self.refusal)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def logins() -> Logins:
    return Logins()


@contextmanager
def safe_server(inbox: Inbox, logins: Logins, authority: Authority, security: str) -> Iterator[int]:
    """A server that takes mail only encrypted and after a login; its certificate is for 127.0.0.1."""
    context = authority.server_context("127.0.0.1")
    how = {"tls_context": context, "require_starttls": True} if security == "starttls" else {"ssl_context": context}
    with warnings.catch_warnings():
        # It takes a connection that was encrypted from the start for one in the clear, and says so.
        warnings.filterwarnings("ignore", "Requiring AUTH while not requiring TLS")
        with listening(
            inbox, authenticator=logins, auth_required=True, auth_require_tls=security == "starttls", **how
        ) as port:
            yield port


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch, authority: Authority) -> Callable[..., smtp.Transport]:
    """The transport of an installation that knows the authority, has a login, and is otherwise set up as given."""

    def transport(port: int, security: str, **others: str) -> smtp.Transport:
        values = {"HOST": "127.0.0.1", "PORT": str(port), "SECURITY": security, "USER": USER, "PASSWORD": PASSWORD}
        for name, value in {**values, **others}.items():
            monkeypatch.setenv(f"ROLLCALL_SMTP_{name}", value)
        monkeypatch.setenv("ROLLCALL_MAIL_FROM", SENDER)
        return get_settings().mail_transport()

    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    return transport


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_mail_goes_out_encrypted_and_after_a_login(
    waiting: Database,
    inbox: Inbox,
    logins: Logins,
    authority: Authority,
    configured: Callable[..., smtp.Transport],
    security: str,
) -> None:
    with safe_server(inbox, logins, authority, security) as port:
        assert send(waiting, configured(port, security)) == Sending(1, 0)
    assert (inbox.recipients, logins.tried) == ([[IT, HEAD]], [(USER, PASSWORD)])


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize(
    ("host", "is_known", "why"),
    [
        ("127.0.0.1", False, "unable to get local issuer certificate"),
        ("localhost", True, "Hostname mismatch, certificate is not valid for 'localhost'"),
    ],
)
def test_a_certificate_that_is_not_trusted_gets_neither_mail_nor_password(
    waiting: Database,
    inbox: Inbox,
    logins: Logins,
    authority: Authority,
    configured: Callable[..., smtp.Transport],
    monkeypatch: pytest.MonkeyPatch,
    security: str,
    host: str,
    is_known: bool,
    why: str,
) -> None:
    if not is_known:
        monkeypatch.delenv("SSL_CERT_FILE")
    with safe_server(inbox, logins, authority, security) as port:
        said = refused(waiting, configured(port, security, HOST=host))
    assert said == (
        f"the mail server {host}:{port} shows a certificate that is not trusted ({why}), and nothing was sent:"
        " ROLLCALL_SMTP_HOST must be a name that the certificate is for, and SSL_CERT_FILE must name the authority that"
        " issued it, if that is a private one"
    )
    assert (inbox.accepted, logins.tried) == ([], [])


def refused(database: Database, transport: smtp.Transport) -> str:
    """What is said of a sending that is refused; no part of it, nor of what hangs on it, is private."""
    with pytest.raises(MailRefused) as raised:
        send(database, transport)
    assert state(database) == [(False, 0, str(raised.value))]
    assert_private(raised.value)
    return str(raised.value)


def assert_private(error: BaseException) -> None:
    told = "".join(traceback.format_exception(error))
    assert (error.__cause__, error.__context__) == (None, None)
    assert [secret for secret in (PASSWORD, USER, IT, HEAD, "credentials invalid") if secret in told] == []


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_wrong_password_is_reported_and_not_tried_again(
    waiting: Database,
    inbox: Inbox,
    logins: Logins,
    authority: Authority,
    configured: Callable[..., smtp.Transport],
    caplog: pytest.LogCaptureFixture,
    security: str,
) -> None:
    with safe_server(inbox, logins, authority, security) as port, caplog.at_level(logging.DEBUG, "services"):
        said = refused(waiting, configured(port, security, PASSWORD="wr0ng-w0rd"))
    assert said == (
        f"the mail server 127.0.0.1:{port} refuses the login: see ROLLCALL_SMTP_USER and ROLLCALL_SMTP_PASSWORD (535)"
    )
    # The same login by each of the two ways that the server offers, and no second time.
    assert (inbox.accepted, logins.tried) == ([], [(USER, "wr0ng-w0rd")] * 2)


def test_a_login_that_cannot_be_checked_just_now_is_tried_again(
    waiting: Database,
    inbox: Inbox,
    authority: Authority,
    configured: Callable[..., smtp.Transport],
) -> None:
    logins = Logins("454 4.7.0 Temporary authentication failure")
    with safe_server(inbox, logins, authority, "starttls") as port:
        with pytest.raises(MailUnreachable, match=r"refuses the login.*\(454\)"):
            send(waiting, configured(port, "starttls", PASSWORD="wr0ng-w0rd"))
        assert len(logins.tried) == 3 * 2
        assert send(waiting, configured(port, "starttls")) == Sending(1, 0)


def test_nothing_is_sent_in_the_clear_to_a_server_without_encryption(
    waiting: Database, inbox: Inbox, logins: Logins, configured: Callable[..., smtp.Transport]
) -> None:
    # It offers the login in the clear; whoever stands in between could have struck the encryption from its offer.
    with listening(inbox, authenticator=logins, auth_require_tls=False) as port:
        said = refused(waiting, configured(port, "starttls"))
    assert said == (
        f"the mail server 127.0.0.1:{port} does not offer what Rollcall needs (STARTTLS extension not supported by"
        " server), and nothing was sent: see ROLLCALL_SMTP_SECURITY and ROLLCALL_SMTP_USER"
    )
    assert (inbox.accepted, logins.tried) == ([], [])


def test_a_server_that_is_not_encrypted_from_the_start_gets_nothing(
    waiting: Database, inbox: Inbox, logins: Logins, configured: Callable[..., smtp.Transport]
) -> None:
    with listening(inbox, authenticator=logins, auth_require_tls=False) as port:
        said = refused(waiting, configured(port, "tls"))
    assert said == (
        f"the mail server 127.0.0.1:{port} and Rollcall could not agree on a safe connection (WRONG_VERSION_NUMBER),"
        " and nothing was sent: ROLLCALL_SMTP_SECURITY and ROLLCALL_SMTP_PORT must fit together"
    )
    assert (inbox.accepted, logins.tried) == ([], [])


def test_a_server_without_logins_is_reported(
    waiting: Database, inbox: Inbox, authority: Authority, configured: Callable[..., smtp.Transport]
) -> None:
    context = authority.server_context("127.0.0.1")
    with listening(inbox, ssl_context=context, auth_exclude_mechanism=["LOGIN", "PLAIN"]) as port:
        said = refused(waiting, configured(port, "tls"))
    assert "(SMTP AUTH extension not supported by server), and nothing was sent" in said
    assert inbox.accepted == []


def test_a_server_that_wants_encryption_or_a_login_is_reported(
    waiting: Database, inbox: Inbox, logins: Logins, authority: Authority
) -> None:
    with safe_server(inbox, logins, authority, "starttls") as port:
        said = refused(waiting, Server("127.0.0.1", port, SENDER, security="none", timeout=5))
    assert said == (
        f"the mail server 127.0.0.1:{port} requires a login or encryption first (530): see ROLLCALL_SMTP_USER and"
        " ROLLCALL_SMTP_SECURITY"
    )


def test_what_a_server_says_is_quoted_nowhere(waiting: Database, inbox: Inbox, server: Server) -> None:
    inbox.on_sender = f"550 no mail from {USER} to {IT}"
    assert refused(waiting, server) == (
        f"the mail server 127.0.0.1:{server.port} refuses the sender (ROLLCALL_MAIL_FROM) (550)"
    )
