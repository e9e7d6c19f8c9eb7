"""Alert types that a school's administrators do not want counted for a while.

Rule: a mute has a reason and an end, at most a year away; it is over at its end, or once somebody ends it. Errors are
never muted. What is muted is still found, stored and downloaded; it is only not counted as something to do.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select

from contracts.issues import CATALOGUE, Severity
from errors import NotFound, NotPossible
from models.tables import AlertMute

LONGEST = timedelta(days=366)
LONGEST_REASON = 500


def active_mutes(session: Session, school_id: str, *, now: datetime) -> list[AlertMute]:
    """The school's mutes in force, those that end first first."""
    return list(
        session.exec(
            select(AlertMute)
            .where(AlertMute.school_id == school_id, *in_force(now))
            .order_by(col(AlertMute.until), col(AlertMute.id))
        )
    )


def in_force(now: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Match the mutes that are neither over nor ended."""
    return col(AlertMute.ended_at).is_(None), col(AlertMute.until) > now


def assert_mutable(code: str) -> None:
    """Refuse what is no alert.

    Raises:
        NotFound: there is no such code.
        NotPossible: it is an error.
    """
    entry = CATALOGUE.get(code)
    if entry is None or entry.severity not in (Severity.ERROR, Severity.ALERT):
        raise NotFound(f"there is no alert {code}")
    if entry.severity is Severity.ERROR:
        raise NotPossible("errors can't be muted, as they keep accounts from being created")


def mute(
    session: Session, school_id: str, code: str, *, reason: str, by: str, until: datetime, now: datetime
) -> AlertMute:
    """Leave an alert type of a school out of what is counted, until then.

    Raises:
        NotFound: there is no such code.
        NotPossible: it is an error, is muted already, has no reason or a very long one, or the end is past or more than
            a year away.
    """
    assert_mutable(code)
    why = " ".join(reason.split())
    if not why:
        raise NotPossible("give a reason, so that your colleagues know why the alert is muted")
    if len(why) > LONGEST_REASON:
        raise NotPossible(f"the reason is too long; use at most {LONGEST_REASON} characters")
    if until <= now:
        raise NotPossible("choose a day in the future")
    if until - now > LONGEST:
        raise NotPossible("choose a day within a year")
    if any(active.code == code for active in active_mutes(session, school_id, now=now)):
        raise NotPossible("this alert is muted already")
    made = AlertMute(school_id=school_id, code=code, reason=why, by=by, at=now, until=until)
    session.add(made)
    session.flush()
    return made


def end_mute(session: Session, school_id: str, mute_id: int, *, by: str, now: datetime) -> AlertMute:
    """Count an alert type of a school again before the mute's end; one that is over stays as it is.

    Raises:
        NotFound: the school has no such mute.
    """
    found = session.get(AlertMute, mute_id)
    if found is None or found.school_id != school_id:
        raise NotFound(f"there is no mute {mute_id}")
    if found.ended_at is None and found.until > now:
        found.ended_at, found.ended_by = now, by
        session.add(found)
        session.flush()
    return found
