"""Pausing the Clever syncs for maintenance, and resuming them: raising and lowering the flag that every run reads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import func
from sqlmodel import Session, col, select

from errors import NotPossible
from models.outcomes import RunOutcome
from models.tables import District, Pause, Run, Source
from services.districts import get_district
from services.mail import notices
from services.status import pauses
from services.status.sync_status import record_status_changes


@dataclass(frozen=True)
class Resumed:
    """The result of resuming. ended: whether there was a pause to end. still: the pauses of these syncs that continue.

    missed: IDs of the districts whose syncs run again, and whose last run met the pause.
    """

    ended: bool
    still: tuple[Pause, ...]
    missed: tuple[str, ...]


def pause(
    session: Session, district_id: str | None, *, reason: str, until: datetime | None, by: str, now: datetime
) -> Pause:
    """Pause the Clever syncs of a district, or of all (None). A second pause of the same takes the first one's place.

    Raises:
        NotFound: there is no such district.
        NotPossible: it has no Clever source, the reason is empty, or the end has passed already.
    """
    reason = " ".join(reason.split())
    if not reason:
        raise NotPossible("a pause needs a reason: the schools' administrators read it")
    if until is not None and until <= now:
        raise NotPossible("the end of the pause is in the past")
    districts = _districts(session, district_id)
    # An earlier pause may have ended on schedule, with nothing recorded since.
    record_status_changes(session, None, reason, now, district_id=district_id)
    for former in _open(session, district_id, now):
        former.ended_at, former.ended_by = now, by
        session.add(former)
    raised = Pause(district_id=district_id, reason=reason, by=by, started_at=now, until=until)
    session.add(raised)
    session.flush()
    record_status_changes(session, None, reason, now, district_id=district_id)
    add_pause_notices(session, districts, now=now)
    return raised


def resume(session: Session, district_id: str | None, *, by: str, now: datetime) -> Resumed:
    """End the pause of a district, or the one of all (None); the other one, if there is one, continues.

    Raises:
        NotFound: there is no such district.
        NotPossible: it has no Clever source.
    """
    districts = _districts(session, district_id)
    ended = _open(session, district_id, now)
    for former in ended:
        former.ended_at, former.ended_by = now, by
        session.add(former)
    session.flush()
    record_status_changes(session, None, "the maintenance pause ended", now, district_id=district_id)
    add_pause_notices(session, districts, now=now)
    still = {district: pauses.in_force(session, district, now=now) for district in districts}
    newest = select(func.max(Run.id)).join(Source, col(Source.id) == Run.source_id).where(col(Source.pausable))
    missed = session.exec(
        select(Run.district_id)
        .where(col(Run.id).in_(newest.group_by(Run.source_id)), Run.outcome == RunOutcome.PAUSED)
        .order_by(Run.district_id)
        .distinct()
    )
    going_on = {pause.id: pause for pause in still.values() if pause is not None}
    return Resumed(
        bool(ended),
        tuple(going_on.values()),
        tuple(district for district in missed if district in still and still[district] is None),
    )


def add_pause_notices(session: Session, district_ids: list[str], *, now: datetime) -> None:
    """Note for the districts' administrators which pause is in force now, or that it is over, where that is news."""
    for district_id in district_ids:
        district = session.get(District, district_id)
        pause = pauses.in_force(session, district_id, now=now)
        if district is not None:
            message = pauses.describe(pause, ZoneInfo(district.timezone)) if pause is not None else None
            notices.add_pause_notice(session, district_id, message, now=now)


def add_notices_of_ended_pauses(session: Session, now: datetime) -> None:
    """Note for the administrators which pauses are over because their end has come."""
    add_pause_notices(session, notices.paused_districts(session), now=now)


def describe(resumed: Resumed, district_id: str | None) -> str:
    """The result of resuming, as a sentence."""
    whose = "all districts" if district_id is None else f"district {district_id}"
    message = f"the pause of {whose} has ended" if resumed.ended else f"there is no pause of {whose} to end"
    going_on = sorted({pause.district_id or "all districts" for pause in resumed.still})
    return f"{message}; another pause continues: {', '.join(going_on)}" if going_on else message


def _districts(session: Session, district_id: str | None) -> list[str]:
    """The IDs of the districts with a Clever source, or the one given if it has one."""
    statement = select(Source.district_id).where(col(Source.pausable), col(Source.frozen).is_(False)).distinct()
    found = sorted(session.exec(statement))
    if district_id is None:
        return found
    get_district(session, district_id)
    if district_id not in found:
        raise NotPossible(f"district {district_id} has no Clever source: only Clever syncs are paused")
    return [district_id]


def _open(session: Session, district_id: str | None, now: datetime) -> list[Pause]:
    same = col(Pause.district_id).is_(None) if district_id is None else Pause.district_id == district_id
    found = session.exec(select(Pause).where(same, col(Pause.ended_at).is_(None)).order_by(col(Pause.id)))
    return [pause for pause in found if pauses.holds(pause, now)]
