"""Sending what waits in the outbox."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import tenacity
from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select

from contracts.text import count
from errors import DatabaseUnavailable, MailRefused, MailUnreachable
from models.database import Database
from models.tables import District, Mail
from services import clock
from services.mail import compose, notices
from services.mail.smtp import BAD_ADDRESS, Transport, addresses, to_message

SEND_LOCK = "mail"  # one sends at a time, so that no two send the same


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
    with database.exclusive_lock(SEND_LOCK, wait=wait):
        try:
            while (mail := _next(database, tried)) is not None:
                assert mail.id is not None
                tried.add(mail.id)
                left = [recipient for recipient in mail.recipients if recipient not in (mail.accepted or [])]
                try:
                    turned_down = _handed_over(transport, mail, left, sender, pause)
                except (MailUnreachable, MailRefused) as error:
                    _record_problem(database, mail.id, str(error))
                    raise
                _mark(database, mail.id, left, turned_down, now)
                sent += not turned_down
                refused += bool(turned_down)
        finally:
            transport.close()
    return Sending(sent, refused)


def deliver(
    database: Database, transport: Transport, *, sender: str, now: datetime, report_url: str = "", wait: float = 60.0
) -> tuple[int, Sending]:
    """Compose what was noted into mails, and send what waits; gives how many were composed, and what was sent.

    report_url: see `compose`.

    Raises:
        MailUnreachable, MailRefused, Busy: as `send_waiting`.
    """
    with database.transaction() as session:
        composed = compose.compose(session, now, report_url)
    return len(composed), send_waiting(database, transport, sender=sender, now=now, wait=wait)


def has_waiting(session: Session) -> bool:
    """Whether a mail waits to be sent."""
    return session.exec(select(Mail.id).where(*_waiting()).limit(1)).first() is not None


def describe_unsent(session: Session, district_id: str | None = None) -> list[str]:
    """Describe the mail of a district, or of all, that was not sent: numbers and times, no addresses.

    One line for mail that is waiting, and one for mail that was given up, if there is any. Times are the
    district's; UTC for all districts.
    """
    statement = select(Mail).where(col(Mail.sent_at).is_(None)).order_by(col(Mail.id))
    zone: tzinfo = UTC
    if district_id is not None:
        statement = statement.where(Mail.district_id == district_id)
        zone = ZoneInfo(session.get_one(District, district_id).timezone)
    unsent = session.exec(statement).all()
    waiting = [mail for mail in unsent if mail.attempts < notices.ATTEMPTS]
    given_up = [mail for mail in unsent if mail.attempts >= notices.ATTEMPTS]
    lines = []
    if waiting:
        wait = f"{count(len(waiting), 'email')} {'has' if len(waiting) == 1 else 'have'} been waiting"
        lines.append(f"{wait} since {clock.local_time(waiting[0].created_at, zone)}{_last_answer(waiting)}")
    if given_up:
        were = f"{count(len(given_up), 'email')} {'was' if len(given_up) == 1 else 'were'}"
        lines.append(f"{were} given up after {count(notices.ATTEMPTS, 'refusal')}{_last_answer(given_up[::-1])}")
    return lines


def _last_answer(mails: Sequence[Mail]) -> str:
    """Of the first mail that got one. Of those that wait that is the oldest, at which each sending begins."""
    problem = next((mail.problem for mail in mails if mail.problem is not None), None)
    return f"; last answer: {problem}" if problem is not None else ""


def _waiting() -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return col(Mail.sent_at).is_(None), col(Mail.attempts) < notices.ATTEMPTS


def _next(database: Database, tried: Collection[int]) -> Mail | None:
    with database.reading() as session:
        statement = select(Mail).where(*_waiting(), col(Mail.id).not_in(tried)).order_by(col(Mail.id)).limit(1)
        return session.exec(statement).first()


def _handed_over(
    transport: Transport, mail: Mail, recipients: Sequence[str], sender: str, pause: float
) -> Mapping[str, int]:
    """The recipients that a mail was refused for, with SMTP's code; those that are no addresses among them."""
    known = addresses(recipients)
    no_addresses = {recipient: BAD_ADDRESS for recipient in recipients if recipient not in known}
    if not known:
        return no_addresses
    again = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(MailUnreachable),
        stop=tenacity.stop_after_attempt(3),
        wait=tenacity.wait_exponential(multiplier=pause, exp_base=4, min=0),
        reraise=True,
    )
    refused = again(transport.send, to_message(mail, sender), list(known.values()))
    return no_addresses | {recipient: refused[address] for recipient, address in known.items() if address in refused}


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


def _record_problem(database: Database, mail_id: int, problem: str) -> None:
    with database.transaction() as session:
        mail = _locked(session, mail_id)
        mail.problem = problem
        session.add(mail)


def _locked(session: Session, mail_id: int) -> Mail:
    return session.exec(select(Mail).where(Mail.id == mail_id).with_for_update()).one()
