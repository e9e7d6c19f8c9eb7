"""Who gets a district's mail and how often: each as it comes, or a summary of a day or a week.

Rule: a daily summary is due at 7 am of the district's own time, a weekly one on Monday at 7 am; it is made by the first
sending after that, and only if there is something to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import func
from sqlmodel import Session, col, select

from models.tables import Digest, District, Notice

EACH, DAILY, WEEKLY, NEVER = "each", "daily", "weekly", "never"
SUMMARIES = (DAILY, WEEKLY)
MORNING = 7


def recipients(administrators: list[str], schedule: Mapping[str, str] | None, often: str) -> list[str]:
    """Those who want mail so often. Rule: administrators that the schedule does not name get each mail."""
    wanted = {address.casefold(): each for address, each in (schedule or {}).items()}
    spelled: dict[str, str] = {}
    for address in (*administrators, *(schedule or {})):
        spelled.setdefault(address.casefold(), address)
    return [address for key, address in spelled.items() if wanted.get(key, EACH) == often]


def start_digests(
    session: Session,
    district_id: str,
    before: Mapping[str, str] | None,
    after: Mapping[str, str] | None,
    *,
    now: datetime,
) -> None:
    """Begin the summaries that somebody wants now and nobody wanted before: they tell what comes from here on."""
    newest = session.exec(select(func.max(Notice.id))).one() or 0
    for often in SUMMARIES:
        if often in (after or {}).values() and often not in (before or {}).values():
            digest = _digest(session, district_id, often) or Digest(district_id=district_id, schedule=often)
            digest.made_at, digest.last_notice_id = now, newest
            session.add(digest)
    session.flush()


def due(session: Session, now: datetime) -> dict[str, list[Digest]]:
    """The summaries that are due, by district."""
    found: dict[str, list[Digest]] = {}
    statement = select(Digest, District).join(District, col(District.id) == Digest.district_id)
    for digest, district in session.exec(statement.order_by(col(Digest.schedule))):
        if digest.made_at < last_due(digest.schedule, now, ZoneInfo(district.timezone)):
            found.setdefault(district.id, []).append(digest)
    return found


def last_due(often: str, now: datetime, zone: ZoneInfo) -> datetime:
    """The last moment, now at the latest, at which a summary was due."""
    local = now.astimezone(zone)
    moment = local.replace(hour=MORNING, minute=0, second=0, microsecond=0)
    if often == WEEKLY:
        moment -= timedelta(days=local.weekday())
    if moment > local:
        moment -= timedelta(days=7 if often == WEEKLY else 1)
    return moment


def _digest(session: Session, district_id: str, often: str) -> Digest | None:
    return session.exec(select(Digest).where(Digest.district_id == district_id, Digest.schedule == often)).first()
