"""Who is signed in to the report: sessions, kept by the hash of the token in the browser's cookie."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from models import bulk
from models.tables import ReportSession
from services.access.secrets import hashed, new_secret

# Rule: over after so long without a request, and after so long in any case.
IDLE, LONGEST = timedelta(minutes=30), timedelta(hours=12)
# A session's last request is written at most so often.
_NOTED_EVERY = timedelta(minutes=1)


def begin(session: Session, email: str, method: str, *, now: datetime, replaces: str | None = None) -> str:
    """Sign somebody in; gives the new token. replaces: the token of a session that ends with it."""
    if replaces is not None:
        end(session, replaces, now=now)
    token = new_secret()
    session.add(
        ReportSession(token_hash=hashed(token), email=email.casefold(), method=method, created_at=now, last_seen_at=now)
    )
    session.flush()
    return token


def find(session: Session, token: str, *, now: datetime) -> ReportSession | None:
    """The session of a token, while it lasts."""
    found = session.exec(
        select(ReportSession).where(ReportSession.token_hash == hashed(token), col(ReportSession.ended_at).is_(None))
    ).one_or_none()
    return found if found is not None and _lasts(found, now) else None


def is_to_be_noted(found: ReportSession, now: datetime) -> bool:
    """Whether the present request of a session is to be written down with `note`."""
    return now - found.last_seen_at >= _NOTED_EVERY


def note(session: Session, session_id: int, *, now: datetime) -> None:
    """Note that a session is in use."""
    found = session.get(ReportSession, session_id)
    if found is not None:
        found.last_seen_at = now
        session.add(found)
        session.flush()


def end(session: Session, token: str, *, now: datetime) -> None:
    """Sign a session out; nothing where it is over."""
    found = find(session, token, now=now)
    if found is not None:
        found.ended_at = now
        session.add(found)
        session.flush()


def end_all(session: Session, email: str, *, now: datetime) -> int:
    """Sign somebody out everywhere; gives how many sessions that ended."""
    found = session.exec(
        select(ReportSession).where(ReportSession.email == email.casefold(), col(ReportSession.ended_at).is_(None))
    ).all()
    for each in found:
        each.ended_at = now
        session.add(each)
    session.flush()
    return len(found)


def of(session: Session, email: str, *, now: datetime) -> list[ReportSession]:
    """Somebody's sessions that last, the one used last first."""
    found = session.exec(
        select(ReportSession)
        .where(ReportSession.email == email.casefold(), col(ReportSession.ended_at).is_(None))
        .order_by(col(ReportSession.last_seen_at).desc())
    )
    return [each for each in found if _lasts(each, now)]


def clean(session: Session, before: datetime) -> int:
    """Remove sessions begun before a moment that are long over; gives how many."""
    return bulk.execute(session, "DELETE FROM report_session WHERE created_at < :before", {"before": before})


def _lasts(found: ReportSession, now: datetime) -> bool:
    return now - found.last_seen_at <= IDLE and now - found.created_at <= LONGEST
