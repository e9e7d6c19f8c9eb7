"""Sending the outbox's mails: to an SMTP server, or into a folder. What they say is `services.outbox`'s.

Rule: a mail is sent until the server has accepted it for every recipient, and never again to one it was accepted for.
What was accepted is committed at once, before the next mail and before the connection is ended. Only a crash in the
moment between the server's word and that commit can make it go out a second time, under the same Message-ID.
"""

from __future__ import annotations

import os
import smtplib
import ssl
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import parseaddr
from pathlib import Path
from typing import Literal, Protocol
from zoneinfo import ZoneInfo

import tenacity
from pydantic import SecretStr
from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select

from contracts.addresses import mail_address
from contracts.text import count
from errors import DatabaseUnavailable, MailRefused, MailUnreachable
from models.database import Database
from models.tables import District, Mail
from services import outbox

Security = Literal["starttls", "tls", "none"]

TIMEOUT = 30.0  # seconds the server may take for an answer
ALONE = "mail"  # one sends at a time, so that no two send the same
BAD_ADDRESS = 553  # SMTP's own code for an address that cannot be one

_policy = SMTP_POLICY.clone(cte_type="7bit")


class Transport(Protocol):
    """Where mails go. Used by one sending, then closed."""

    def send(self, message: EmailMessage, recipients: Sequence[str]) -> Mapping[str, int]:
        """Hand the mail over for these recipients; gives those it was refused for, with SMTP's code.

        Once it returns, the mail is accepted for all others.

        Raises:
            MailUnreachable: no answer, or no more; it is accepted for nobody.
            MailRefused: nothing is accepted from us, whatever the mail.
        """

    def close(self) -> None:
        """End the connection; nothing that fails meanwhile takes anything back."""


@dataclass
class Server:
    """An SMTP server. security: starttls, tls, none. It is connected to at the first mail, and again after a break."""

    host: str
    port: int
    sender: str
    user: str = ""
    password: SecretStr = field(default_factory=lambda: SecretStr(""))
    security: Security = "starttls"
    timeout: float = TIMEOUT
    _connection: smtplib.SMTP | None = field(default=None, init=False, repr=False)

    def send(self, message: EmailMessage, recipients: Sequence[str]) -> Mapping[str, int]:
        """Hand the mail over for these recipients; see `Transport`."""
        try:
            return self._handed_over(message, recipients)
        except (smtplib.SMTPException, OSError) as error:
            failure = self._failure(error)
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        # Raised outside the handler: inside it what smtplib raised, which quotes addresses, would stay attached to it.
        raise failure

    def _handed_over(self, message: EmailMessage, recipients: Sequence[str]) -> Mapping[str, int]:
        if self._connection is None:
            self._connection = self._connected()
        try:
            sent = self._connection.send_message(message, parseaddr(self.sender)[1], list(recipients))
        except smtplib.SMTPRecipientsRefused as error:
            # After 421 it went, and those it had not refused were accepted by nobody either.
            _still_there(self._connection)
            sent = error.recipients
        except smtplib.SMTPDataError as error:
            _still_there(self._connection)
            sent = dict.fromkeys(recipients, (error.smtp_code, b""))
        return {recipient: code for recipient, (code, _) in sent.items()}

    def close(self) -> None:
        """End the connection; see `Transport`."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(smtplib.SMTPException, OSError):
                connection.quit()
            connection.close()

    def _connected(self) -> smtplib.SMTP:
        # The system's authorities, or those of SSL_CERT_FILE and SSL_CERT_DIR.
        context = ssl.create_default_context()
        connection = (
            smtplib.SMTP_SSL(self.host, self.port, timeout=self.timeout, context=context)
            if self.security == "tls"
            else smtplib.SMTP(self.host, self.port, timeout=self.timeout)
        )
        try:
            if self.security == "starttls":
                connection.starttls(context=context)
            if self.user:
                connection.login(self.user, self.password.get_secret_value())
        except BaseException:
            connection.close()
            raise
        return connection

    def _failure(self, error: smtplib.SMTPException | OSError) -> MailRefused | MailUnreachable:
        """What went wrong, as ours: it names settings, kinds and codes, and quotes nothing that the server said."""
        where = f"the mail server {self.host}:{self.port}"
        match error:
            case ssl.SSLEOFError() | ssl.SSLZeroReturnError() | ssl.SSLSyscallError():
                return MailUnreachable(f"{where} broke off ({type(error).__name__})")
            case ssl.SSLCertVerificationError():
                return MailRefused(
                    f"{where} shows a certificate that is not trusted ({error.verify_message.rstrip('.')}), and nothing"
                    " was sent: ROLLCALL_SMTP_HOST must be a name that the certificate is for, and SSL_CERT_FILE must"
                    " name the authority that issued it, if that is a private one"
                )
            case ssl.SSLError():
                return MailRefused(
                    f"{where} and we find no safe connection ({error.reason or type(error).__name__}), and nothing was"
                    " sent: ROLLCALL_SMTP_SECURITY and ROLLCALL_SMTP_PORT must fit together"
                )
            case smtplib.SMTPAuthenticationError():
                return _refusal(
                    f"{where} refuses the login: see ROLLCALL_SMTP_USER and ROLLCALL_SMTP_PASSWORD", error.smtp_code
                )
            case smtplib.SMTPSenderRefused(smtp_code=530):
                return MailRefused(
                    f"{where} wants a login or encryption first (530): see ROLLCALL_SMTP_USER and"
                    " ROLLCALL_SMTP_SECURITY"
                )
            case smtplib.SMTPSenderRefused():
                return _refusal(f"{where} refuses the sender (ROLLCALL_MAIL_FROM)", error.smtp_code)
            case smtplib.SMTPResponseException():
                return _refusal(f"{where} refuses us", error.smtp_code)
            case smtplib.SMTPNotSupportedError():
                # Of STARTTLS and logins only, in words of smtplib's own.
                return MailRefused(
                    f"{where} does not offer what is asked of it ({str(error).rstrip('.')}), and nothing was sent: see"
                    " ROLLCALL_SMTP_SECURITY and ROLLCALL_SMTP_USER"
                )
            case _:
                return MailUnreachable(f"{where} does not answer, or broke off ({type(error).__name__})")


def _still_there(connection: smtplib.SMTP) -> None:
    if connection.sock is None:
        raise smtplib.SMTPServerDisconnected


def _refusal(told: str, code: int) -> MailRefused | MailUnreachable:
    # Rule (RFC 5321, 4.2.1): a reply 4yz may be another one later.
    return (MailUnreachable if code < 500 else MailRefused)(f"{told} ({code})")


@dataclass(frozen=True)
class Folder:
    """A folder of .eml files, for an installation without a mail server. Private, as it holds addresses."""

    folder: Path

    def send(self, message: EmailMessage, recipients: Sequence[str]) -> Mapping[str, int]:
        """Write the mail as a file, whole or not at all; one written before is the same file. See `Transport`."""
        file = self.folder / f"{message['Message-ID'].strip('<>').partition('@')[0]}.eml"
        partial = file.with_name(f".{file.name}.partial")
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as stream:
                stream.write(message.as_bytes())
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(file)
        except OSError as error:
            raise MailUnreachable(f"the mail folder {self.folder} cannot be written ({error.strerror})") from None
        return {}

    def close(self) -> None:
        """There is nothing to end."""


@dataclass(frozen=True)
class Sending:
    """What a sending came to: mails accepted for all their recipients, and mails refused for some or all."""

    sent: int
    refused: int


def send_waiting(
    database: Database,
    transport: Transport,
    *,
    sender: str,
    now: datetime,
    pause: float = 1.0,
    wait: float = 60.0,
) -> Sending:
    """Send every mail that waits, the oldest first, and remember what was accepted, each at once.

    A server that does not answer, or breaks off before it accepted, is tried three times; `pause` seconds lie between
    the first two. A mail refused is left for the next sending, after five refusals for good. sender: the From header.
    wait: seconds for another sending to end.

    Raises:
        MailUnreachable, MailRefused: the mails left are sent by the next sending.
        Busy: another sending did not end in time; it sends what waits.
    """
    sent = refused = 0
    tried: set[int] = set()
    with database.alone(ALONE, wait=wait):
        try:
            while (mail := _next(database, tried)) is not None:
                assert mail.id is not None
                tried.add(mail.id)
                left = [recipient for recipient in mail.recipients if recipient not in (mail.accepted or [])]
                try:
                    turned_down = _handed_over(transport, mail, left, sender, pause)
                except (MailUnreachable, MailRefused) as error:
                    _note_problem(database, mail.id, str(error))
                    raise
                _mark(database, mail.id, left, turned_down, now)
                sent += not turned_down
                refused += bool(turned_down)
        finally:
            transport.close()
    return Sending(sent, refused)


def deliver(
    database: Database, transport: Transport, *, sender: str, now: datetime, wait: float = 60.0
) -> tuple[int, Sending]:
    """Compose what was noted into mails, and send what waits; gives how many were composed, and what was sent.

    Raises:
        MailUnreachable, MailRefused, Busy: as `send_waiting`.
    """
    with database.transaction() as session:
        composed = outbox.compose(session, now)
    return len(composed), send_waiting(database, transport, sender=sender, now=now, wait=wait)


def has_waiting(session: Session) -> bool:
    """Whether a mail waits to be sent."""
    return session.exec(select(Mail.id).where(*_waiting()).limit(1)).first() is not None


def told_unsent(session: Session, district_id: str | None = None) -> list[str]:
    """What is to be said of the mails that were not sent, of a district or of all: numbers, times and no address.

    A line for those that wait, and one for those that are given up; none where there are none. Times are the
    district's, of all districts UTC.
    """
    statement = select(Mail).where(col(Mail.sent_at).is_(None)).order_by(col(Mail.id))
    zone: tzinfo = UTC
    if district_id is not None:
        statement = statement.where(Mail.district_id == district_id)
        zone = ZoneInfo(session.get_one(District, district_id).timezone)
    unsent = session.exec(statement).all()
    waiting = [mail for mail in unsent if mail.attempts < outbox.ATTEMPTS]
    given_up = [mail for mail in unsent if mail.attempts >= outbox.ATTEMPTS]
    lines = []
    if waiting:
        wait = f"{count(len(waiting), 'mail')} {'waits' if len(waiting) == 1 else 'wait'}"
        lines.append(f"{wait} since {waiting[0].created_at.astimezone(zone):%Y-%m-%d %H:%M %Z}{_last_answer(waiting)}")
    if given_up:
        were = f"{count(len(given_up), 'mail')} {'was' if len(given_up) == 1 else 'were'}"
        lines.append(f"{were} given up after {count(outbox.ATTEMPTS, 'refusal')}{_last_answer(given_up[::-1])}")
    return lines


def _last_answer(mails: Sequence[Mail]) -> str:
    """Of the first mail that got one. Of those that wait that is the oldest, at which each sending begins."""
    problem = next((mail.problem for mail in mails if mail.problem is not None), None)
    return f"; last answer: {problem}" if problem is not None else ""


def _waiting() -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return col(Mail.sent_at).is_(None), col(Mail.attempts) < outbox.ATTEMPTS


def _next(database: Database, tried: Collection[int]) -> Mail | None:
    with database.reading() as session:
        statement = select(Mail).where(*_waiting(), col(Mail.id).not_in(tried)).order_by(col(Mail.id)).limit(1)
        return session.exec(statement).first()


def _handed_over(
    transport: Transport, mail: Mail, recipients: Sequence[str], sender: str, pause: float
) -> Mapping[str, int]:
    """The recipients that a mail was refused for, with SMTP's code; those that are no addresses among them."""
    addresses = _addresses(recipients)
    no_addresses = {recipient: BAD_ADDRESS for recipient in recipients if recipient not in addresses}
    if not addresses:
        return no_addresses
    again = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(MailUnreachable),
        stop=tenacity.stop_after_attempt(3),
        wait=tenacity.wait_exponential(multiplier=pause, exp_base=4, min=0),
        reraise=True,
    )
    refused = again(transport.send, to_message(mail, sender), list(addresses.values()))
    return no_addresses | {
        recipient: refused[address] for recipient, address in addresses.items() if address in refused
    }


def _addresses(recipients: Sequence[str]) -> dict[str, str]:
    """Those recipients that mail can go to, each with the address for it: what was set up long ago may be none."""
    found = {}
    for recipient in recipients:
        with suppress(ValueError):
            found[recipient] = mail_address(recipient)
    return found


def to_message(mail: Mail, sender: str) -> EmailMessage:
    """The mail as it goes out: plain text and HTML, to all its recipients with an address, under its own Message-ID."""
    name, address = parseaddr(sender)
    message = EmailMessage(policy=_policy)
    message["Subject"] = mail.subject
    message["From"] = Address(name or "Rollcall", addr_spec=address)
    message["To"] = [Address(addr_spec=address) for address in _addresses(mail.recipients).values()]
    message["Date"] = mail.created_at
    message["Message-ID"] = f"<{mail.message_id}@{address.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text, cte="quoted-printable")
    message.add_alternative(mail.html, subtype="html", cte="quoted-printable")
    return message


# What the server accepted must be remembered, whatever it takes.
@tenacity.retry(
    retry=tenacity.retry_if_exception_type(DatabaseUnavailable),
    stop=tenacity.stop_after_attempt(5),
    wait=tenacity.wait_exponential(multiplier=0.2, max=5),
    reraise=True,
)
def _mark(
    database: Database, mail_id: int, offered: Sequence[str], turned_down: Mapping[str, int], now: datetime
) -> None:
    with database.transaction() as session:
        mail = _locked(session, mail_id)
        accepted = [*(mail.accepted or []), *(recipient for recipient in offered if recipient not in turned_down)]
        mail.accepted = accepted
        mail.attempts += 1
        if turned_down:
            codes = ", ".join(str(code) for code in sorted(set(turned_down.values())))
            entries = _entries(session.get_one(District, mail.district_id), turned_down)
            of = count(len(mail.recipients), "recipient")
            mail.problem = f"refused for {len(turned_down)} of {of} ({codes}){entries}"
        else:
            mail.sent_at, mail.problem = now, None
        session.add(mail)


def _entries(district: District, recipients: Collection[str]) -> str:
    """Which entries of the setup file's administrators these are, in place of the addresses."""
    numbers = [str(number) for number, one in enumerate(district.administrators, 1) if one in recipients]
    if not numbers:
        return ""
    return f": administrators {'entry' if len(numbers) == 1 else 'entries'} {', '.join(numbers)} in the setup file"


def _note_problem(database: Database, mail_id: int, problem: str) -> None:
    with database.transaction() as session:
        mail = _locked(session, mail_id)
        mail.problem = problem
        session.add(mail)


def _locked(session: Session, mail_id: int) -> Mail:
    return session.exec(select(Mail).where(Mail.id == mail_id).with_for_update()).one()
