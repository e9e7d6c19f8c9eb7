"""Which maintenance pauses are in force, and how they are shown.

It only reads: `services.operations.maintenance` begins and ends them.

Rule: a pause is one flag, of a district or of all, with reason and end; it holds Clever syncs only. It is over once
somebody resumed, or when its end has come. Where two are in force, the one that ends last counts.
"""

from __future__ import annotations

from datetime import datetime, tzinfo

from sqlmodel import Session, col, or_, select

from models.tables import Pause
from services import clock


def in_force(session: Session, district_id: str, *, now: datetime) -> Pause | None:
    """The pause that holds the district's Clever syncs now: the one that ends last."""
    return _last_to_end([pause for pause in of_district(session, district_id) if holds(pause, now)])


def of_district(session: Session, district_id: str) -> list[Pause]:
    """Every pause of the district or of all, ended ones included, oldest first."""
    statement = select(Pause).where(or_(Pause.district_id == district_id, col(Pause.district_id).is_(None)))
    return list(session.exec(statement.order_by(col(Pause.id))))


def holds(pause: Pause, now: datetime) -> bool:
    """Whether a pause is in force at a time."""
    end = end_of(pause)
    return pause.started_at <= now and (end is None or end > now)


def end_of(pause: Pause) -> datetime | None:
    """When a pause was or will be over: resumed, or its end come, whichever was first; None while that is open."""
    return min((end for end in (pause.ended_at, pause.until) if end is not None), default=None)


def describe(pause: Pause, zone: tzinfo) -> str:
    """A pause as a sentence: why, and until when, in the zone given."""
    until = "further notice" if pause.until is None else clock.local_time(pause.until, zone)
    return f"paused for maintenance until {until}: {pause.reason}"


def _last_to_end(pauses: list[Pause]) -> Pause | None:
    def key(pause: Pause) -> tuple[bool, datetime, int]:
        return pause.until is None, pause.until or pause.started_at, pause.id or 0

    return max(pauses, key=key, default=None)
