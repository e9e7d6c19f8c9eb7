"""When a source's data came, how far they got, and when the next are to be expected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from itertools import pairwise
from statistics import median
from zoneinfo import ZoneInfo

from sqlalchemy import func
from sqlmodel import Session, col, select

from models.outcomes import UP_TO_DATE, DeliveryOutcome, RunOutcome
from models.tables import Delivery, District, Run, SchoolRun, Source
from services.status.report import source_name

# A rhythm is learned from so many deliveries at most, and from so many nights at least.
LEARNED_FROM, LEARNED_FROM_AT_LEAST = 20, 3
_WEEK = 7
# A night begins at noon, so that what comes before and after midnight is of the same one.
_NOON = timedelta(hours=12)
# So long after it is expected a delivery is late.
_GRACE = timedelta(hours=6)


@dataclass(frozen=True)
class Rhythm:
    """How deliveries usually come: every so many days, at about what time, on which days of the week (Monday is 0)."""

    days: int
    at: time
    weekdays: tuple[int, ...]
    expected_at: datetime
    is_late: bool


@dataclass(frozen=True)
class Arrival:
    """What is known of a source's last delivery. source: what it is called.

    looked_at, looked: when we last looked, and how that run ended. seen_at: when the delivery, or the very same data,
    was last seen; taken_at, checked_at, applied_at: when it got so far, None where it has not.
    """

    source_id: str
    source: str
    looked_at: datetime | None
    looked: RunOutcome | None
    delivery_id: int | None
    seen_at: datetime | None
    taken_at: datetime | None
    checked_at: datetime | None
    applied_at: datetime | None
    is_rejected: bool
    rhythm: Rhythm | None


def arrivals(session: Session, district_id: str, now: datetime) -> list[Arrival]:
    """What is known of the last delivery of each of the district's sources, in the setup file's order."""
    zone = ZoneInfo(session.get_one(District, district_id).timezone)
    sources = session.exec(
        select(Source)
        .where(Source.district_id == district_id, col(Source.frozen).is_(False))
        .order_by(col(Source.position), col(Source.id))
    ).all()
    ids = [source.id for source in sources]
    last = {
        delivery.source_id: delivery
        for delivery in session.exec(
            select(Delivery).where(col(Delivery.id).in_([source.last_delivery_id for source in sources]))
        )
    }
    newest = select(func.max(Run.id)).where(
        Run.district_id == district_id, col(Run.ended_at).is_not(None), col(Run.outcome) != RunOutcome.PAUSED
    )
    looked = {
        run.source_id: run
        for run in session.exec(select(Run).where(col(Run.id).in_(newest.group_by(col(Run.source_id)))))
    }
    applied = _applied(session, district_id, [delivery.id for delivery in last.values() if delivery.id is not None])
    received = _received(session, ids)
    found = []
    for source in sources:
        run, delivery = looked.get(source.id), last.get(source.id)
        rejected = delivery is not None and delivery.outcome == DeliveryOutcome.REJECTED
        found.append(
            Arrival(
                source_id=source.id,
                source=source_name(source.format),
                looked_at=run.started_at if run is not None else None,
                looked=RunOutcome(run.outcome) if run is not None and run.outcome is not None else None,
                delivery_id=delivery.id if delivery is not None else None,
                seen_at=delivery.last_received_at if delivery is not None else None,
                taken_at=delivery.received_at if delivery is not None else None,
                checked_at=delivery.checked_at if delivery is not None else None,
                applied_at=applied.get(delivery.id or 0) if delivery is not None else None,
                is_rejected=rejected,
                rhythm=rhythm(received.get(source.id, ()), zone, now),
            )
        )
    return found


def _applied(session: Session, district_id: str, delivery_ids: Sequence[int]) -> dict[int, datetime]:
    """By delivery, when a school was last brought up to date by it."""
    found = session.exec(
        select(Run.delivery_id, func.max(SchoolRun.at))
        .join(SchoolRun, col(SchoolRun.run_id) == Run.id)
        .where(
            Run.district_id == district_id,
            col(Run.delivery_id).in_(delivery_ids),
            col(SchoolRun.outcome).in_(UP_TO_DATE),
        )
        .group_by(col(Run.delivery_id))
    )
    return {delivery_id: at for delivery_id, at in found if delivery_id is not None}


def _received(session: Session, source_ids: Sequence[str]) -> dict[str, list[datetime]]:
    """By source, when its last deliveries were taken, newest first."""
    number = func.row_number().over(partition_by=col(Delivery.source_id), order_by=col(Delivery.id).desc())
    numbered = (
        select(Delivery.source_id, Delivery.received_at, number.label("number"))
        .where(col(Delivery.source_id).in_(source_ids))
        .subquery()
    )
    rows = session.exec(
        select(numbered.c.source_id, numbered.c.received_at)
        .where(numbered.c.number <= LEARNED_FROM)
        .order_by(numbered.c.number)
    )
    found: dict[str, list[datetime]] = {}
    for source_id, at in rows:
        found.setdefault(source_id, []).append(at)
    return found


def rhythm(received: Sequence[datetime], zone: tzinfo, now: datetime) -> Rhythm | None:
    """How deliveries that came at these moments usually come, and when the next is to be expected.

    Rule: learned from the first one of each night, at least three nights. Where they come nearly every day, and for a
    week at least, the next is expected on a day of the week on which one came before. It is late six hours after that.
    """
    first: dict[date, timedelta] = {}
    for moment in sorted(received, reverse=True):
        night = moment.astimezone(zone).replace(tzinfo=None) - _NOON
        first[night.date()] = night - datetime.combine(night.date(), time())
    nights = sorted(first)
    if len(nights) < LEARNED_FROM_AT_LEAST:
        return None
    days = max(1, round(median((later - earlier).days for earlier, later in pairwise(nights))))
    usual = timedelta(seconds=median(each.total_seconds() for each in first.values()))

    def moment_of(night: date) -> datetime:
        return datetime.combine(night, time()) + _NOON + usual

    # Less than a week says nothing about the days of the week.
    is_a_week = (nights[-1] - nights[0]).days >= _WEEK
    weekdays = sorted({moment_of(night).weekday() for night in nights} if is_a_week else range(_WEEK))

    coming = nights[-1] + timedelta(days=days)
    while days == 1 and moment_of(coming).weekday() not in weekdays:
        coming += timedelta(days=1)
    expected = moment_of(coming).replace(tzinfo=zone)
    return Rhythm(days, moment_of(coming).time(), tuple(weekdays), expected, now > expected + _GRACE)
