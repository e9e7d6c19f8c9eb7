"""Sync status, derived and never stored; the history of its changes; and the SIS sync report's numbers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, exists, false, func, not_
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from models.outcomes import UP_TO_DATE
from models.tables import (
    District,
    Hold,
    Run,
    School,
    SchoolRun,
    Source,
    StatusChange,
)
from services.status import pauses

# A run is live while its last heartbeat is younger than this.
LIVE = timedelta(minutes=5)
SILENT = "its run sent no heartbeat for five minutes"
PAUSE_OVER = "the maintenance pause ended as scheduled"


class Status(StrEnum):
    """A school's sync status. A school off the plan has none."""

    CONNECTED = "connected"
    ON_HOLD = "on_hold"
    PAUSED = "paused"
    PROCESSING = "processing"
    SETUP_SYNC = "setup_sync"


# Rule: what needs action comes first; schools not on the plan last.
ORDER = (Status.ON_HOLD, Status.SETUP_SYNC, Status.PAUSED, Status.PROCESSING, Status.CONNECTED, None)


LABELS = {
    Status.CONNECTED: "Connected",
    Status.ON_HOLD: "On hold",
    Status.PAUSED: "Paused",
    Status.PROCESSING: "Processing",
    Status.SETUP_SYNC: "Setup sync",
    None: "",
}


@dataclass(frozen=True)
class SchoolStatus:
    """A school and its status now. on_plan: on the plan and still named by the setup file."""

    school_id: str
    district_id: str
    key: str
    name: str
    position: int
    source_id: str | None  # its present source; None where it has none
    on_plan: bool
    status: Status | None
    teachers: int = 0
    students: int = 0


def is_live(run: Run, now: datetime) -> bool:
    """Whether a run is open and its last heartbeat is younger than five minutes."""
    return run.ended_at is None and now - run.heartbeat_at < LIVE


@dataclass(frozen=True)
class _Facts:
    """What a school's status follows from."""

    on_plan: bool
    source_id: str | None
    in_hand: bool
    is_paused: bool
    on_hold: bool
    established: bool


def _derive(facts: _Facts) -> Status | None:
    """Rule: the first line that fits."""
    if not facts.on_plan:
        return None
    if facts.source_id is None:
        return Status.SETUP_SYNC
    if facts.in_hand:
        return Status.PROCESSING
    if facts.is_paused:
        return Status.PAUSED
    if facts.on_hold:
        return Status.ON_HOLD
    if not facts.established:
        return Status.SETUP_SYNC
    return Status.CONNECTED


def statuses(
    session: Session, *, district_id: str | None = None, school_ids: Collection[str] | None = None, now: datetime
) -> list[SchoolStatus]:
    """Every school of the district, or of all, with its status, in the setup file's order.

    school_ids: ours, of the schools to derive; None for all. A night asks for one school at a time, so the work is
    bounded by the schools asked for.

    Rule: off the plan, none; no source, Setup sync; a live run has it in hand, Processing; Clever and the maintenance
    flag is up, Paused; an open hold, On hold; nothing of its present source ever applied, Setup sync; else Connected.
    """
    conditions = [*of_district(district_id), *_of_schools(school_ids)]
    return _statuses(session, conditions, _open_runs(session, conditions), now)


def _of_schools(school_ids: Collection[str] | None) -> list[ColumnElement[bool]]:
    return [] if school_ids is None else [col(School.id).in_(school_ids)]


def _statuses(
    session: Session,
    conditions: Sequence[ColumnElement[bool]],
    open_runs: Sequence[tuple[Run, frozenset[str]]],
    now: datetime,
) -> list[SchoolStatus]:
    schools = _schools(session, conditions)
    held = set(
        session.exec(
            select(Hold.school_id)
            .join(School, col(School.id) == Hold.school_id)
            .where(col(Hold.ended_at).is_(None), *conditions)
        )
    )
    applied = exists().where(
        col(SchoolRun.school_id) == School.id,
        col(SchoolRun.source_id) == School.source_id,
        col(SchoolRun.outcome).in_(UP_TO_DATE),
    )
    established = set(session.exec(select(School.id).where(applied, *conditions)))
    in_hand = {run.district_id: (run, done) for run, done in open_runs if is_live(run, now)}
    paused = {
        district_id: pauses.in_force(session, district_id, now=now) is not None
        for district_id in {school.district_id for school in schools if school.is_pausable}
    }
    found = []
    for school in schools:
        run, done = in_hand.get(school.district_id, (None, frozenset()))
        facts = _Facts(
            on_plan=school.on_plan,
            source_id=school.source_id,
            in_hand=run is not None and _has_in_hand(run, done, school.id, school.source_id),
            is_paused=school.is_pausable and paused[school.district_id],
            on_hold=school.id in held,
            established=school.id in established,
        )
        found.append(
            SchoolStatus(
                school_id=school.id,
                district_id=school.district_id,
                key=school.key,
                name=school.name,
                position=school.position,
                source_id=school.source_id,
                on_plan=school.on_plan,
                status=_derive(facts),
                teachers=school.teachers,
                students=school.students,
            )
        )
    return found


def was_applied(session: Session, source_id: str) -> bool:
    """Whether anything of the source was ever applied at any school."""
    done = select(SchoolRun.id).where(SchoolRun.source_id == source_id, col(SchoolRun.outcome).in_(UP_TO_DATE))
    return session.exec(done.limit(1)).first() is not None


def of_district(district_id: str | None) -> list[ColumnElement[bool]]:
    """Match the schools of a district, or of all."""
    return [] if district_id is None else [col(School.district_id) == district_id]


class _School(NamedTuple):
    """What is read of a school, its district and its source: columns, as a district may have thousands of schools."""

    id: str
    district_id: str
    key: str
    name: str
    position: int
    on_plan: bool  # and still named by the setup file
    source_id: str | None  # of its source in use
    is_pausable: bool
    teachers: int
    students: int


def _schools(session: Session, conditions: Sequence[ColumnElement[bool]]) -> list[_School]:
    in_use = and_(col(Source.id) == School.source_id, col(Source.frozen).is_(False))
    found: Any = session.exec(
        select(  # type: ignore[call-overload]
            School.id,
            School.district_id,
            School.key,
            School.name,
            School.position,
            and_(col(School.on_plan), not_(col(School.frozen)), not_(col(District.frozen))),
            Source.id,
            func.coalesce(Source.pausable, false()),
            School.teachers,
            School.students,
        )
        .join(District, col(District.id) == School.district_id)
        .outerjoin(Source, in_use)
        .where(*conditions)
        .order_by(col(District.position), col(District.id), col(School.position), col(School.id))
    )
    return [_School(*row) for row in found]


def _open_runs(session: Session, conditions: Sequence[ColumnElement[bool]]) -> list[tuple[Run, frozenset[str]]]:
    """The open runs of the schools that meet the conditions, each with those of them that it is done with."""
    statement = select(Run).where(
        col(Run.ended_at).is_(None), col(Run.district_id).in_(select(School.district_id).where(*conditions))
    )
    # Another transaction writes heartbeats all the time.
    runs = session.exec(statement.execution_options(populate_existing=True)).all()
    done = session.exec(
        select(SchoolRun.run_id, SchoolRun.school_id)
        .join(School, col(School.id) == SchoolRun.school_id)
        .where(col(SchoolRun.run_id).in_([run.id for run in runs]), *conditions)
    ).all()
    return [(run, frozenset(school for run_id, school in done if run_id == run.id)) for run in runs]


def _has_in_hand(run: Run, done: frozenset[str], school_id: str, source_id: str | None) -> bool:
    return (
        run.processing_since is not None
        and run.source_id == source_id
        and (run.schools is None or school_id in run.schools)
        and school_id not in done
    )


def record_status_changes(
    session: Session, school_ids: Collection[str] | None, reason: str, now: datetime, *, district_id: str | None = None
) -> None:
    """Keep each status that is not the one last kept, with its time and reason. school_ids: ours, None for all.

    district_id: only of this district. Rule: every change is kept, in the transaction of what caused it. One caused by
    time alone, a run gone silent or a pause whose end came, is kept by the district's next run or by housekeeping, with
    the time it took effect. The caller has flushed what it changed.
    """
    conditions = [*of_district(district_id), *_of_schools(school_ids)]
    open_runs = _open_runs(session, conditions)
    now_held = _statuses(session, conditions, open_runs, now)
    kept = _last_kept(session, conditions)
    silent = {run.district_id: (run, done) for run, done in open_runs if not is_live(run, now)}
    for school in now_held:
        last = kept.get(school.school_id)
        if (last.status if last is not None else None) == school.status:
            continue
        at, why = now, reason
        run, done = silent.get(school.district_id, (None, frozenset()))
        if (
            last is not None
            and last.status == Status.PROCESSING
            and run is not None
            and _has_in_hand(run, done, school.school_id, run.source_id)
        ):
            at, why = max(run.heartbeat_at + LIVE, last.at), SILENT
        elif last is not None and last.status == Status.PAUSED and (end := _end_of_pause(session, school, last, now)):
            at, why = end, PAUSE_OVER
        session.add(StatusChange(school_id=school.school_id, at=at, status=school.status, reason=why))
    session.flush()


def _end_of_pause(session: Session, school: SchoolStatus, last: StatusChange, now: datetime) -> datetime | None:
    """When the pause that a school was under ended on schedule; None if somebody ended it."""
    ended = [pause for pause in pauses.of_district(session, school.district_id) if not pauses.holds(pause, now)]
    ends = {pauses.end_of(pause): pause for pause in ended}
    end = max((end for end in ends if end is not None and end >= last.at), default=None)
    return end if end is not None and ends[end].ended_at is None else None


def _last_kept(session: Session, conditions: Sequence[ColumnElement[bool]]) -> dict[str, StatusChange]:
    newest = select(func.max(StatusChange.id)).group_by(col(StatusChange.school_id))
    if conditions:
        newest = newest.where(col(StatusChange.school_id).in_(select(School.id).where(*conditions)))
    found = session.exec(select(StatusChange).where(col(StatusChange.id).in_(newest)))
    return {change.school_id: change for change in found}


def since(session: Session, school_id: str, status: Status | None) -> datetime | None:
    """Since when a school has its present status, as kept; None where no change to it is kept.

    Rule: as in `changes_since`, Processing is passed by: a school that is still on hold after a night has been so since
    before.
    """
    same = col(StatusChange.status).is_not_distinct_from(status)
    others = select(func.coalesce(func.max(StatusChange.id), 0)).where(
        StatusChange.school_id == school_id,
        ~same,
        col(StatusChange.status).is_distinct_from(Status.PROCESSING),
    )
    return session.exec(
        select(StatusChange.at)
        .where(StatusChange.school_id == school_id, same, col(StatusChange.id) > others.scalar_subquery())
        # Every night's processing is one of its own.
        .order_by(col(StatusChange.id).desc() if status == Status.PROCESSING else col(StatusChange.id))
        .limit(1)
    ).first()


@dataclass(frozen=True)
class KeptChange:
    """A status change as kept. status, before: null without a sync status; reason: codes and IDs, no personal data."""

    id: int
    school_id: str
    at: datetime
    status: Status | None
    before: Status | None
    reason: str


def newest_change(session: Session) -> int:
    """The number of the status change kept last, of whatever school; 0 for none."""
    return session.exec(select(func.max(StatusChange.id))).one() or 0


def changes_since(session: Session, district_id: str, number: int) -> list[KeptChange]:
    """The district's status changes kept after the one with this number, in their order.

    Rule: `before` passes Processing by, so that a school that is on hold again after a night is not newly on hold.
    """
    former = aliased(StatusChange)
    before = (
        select(former.status)
        .where(
            col(former.school_id) == StatusChange.school_id,
            col(former.id) < StatusChange.id,
            col(former.status).is_distinct_from(Status.PROCESSING),
        )
        .order_by(col(former.id).desc())
        .limit(1)
        .scalar_subquery()
    )
    found = session.exec(
        select(StatusChange, before)
        .join(School, col(School.id) == StatusChange.school_id)
        .where(School.district_id == district_id, col(StatusChange.id) > number)
        .order_by(col(StatusChange.id))
    )
    return [
        KeptChange(
            change.id or 0, change.school_id, change.at, _known(change.status), _known(former_status), change.reason
        )
        for change, former_status in found
    ]


def _known(stored: str | None) -> Status | None:
    return None if stored is None else Status(stored)
