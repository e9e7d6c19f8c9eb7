"""What each run did at a school, and any two of them compared. It only reads.

Rule: the issues of earlier nights are not stored, only how many there were.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import func
from sqlalchemy.orm import aliased
from sqlmodel import Session, and_, col, or_, select

from errors import NotFound
from models.outcomes import UP_TO_DATE, RunOutcome
from models.tables import Decision, Hold, Run, School, SchoolRun
from services.planning.changesets import TYPES

# What people are told of; pairs of them are only in what `compared` gives.
_TOLD = ("students", "guardians", "employees", "classes")
# By what it is called for people: the actions of `services.planning.changesets.ACTIONS` that it stands for.
_DID: Mapping[str, tuple[str, ...]] = {
    "created": ("create", "adopt", "join"),
    "updated": ("update", "change_id"),
    "reactivated": ("reactivate",),
    "removed": ("remove",),
}
# How a run ends that went no further than its source.
STOPPED = (
    RunOutcome.REJECTED,
    RunOutcome.NOT_READY,
    RunOutcome.DISCONNECTED,
    RunOutcome.STALE,
    RunOutcome.PAUSED,
    RunOutcome.INTERRUPTED,
    RunOutcome.FAILED,
)
FIGURES = ("teachers", "students", "errors", "alerts")
# How many nights are looked back on, unless told.
LAST = 14


@dataclass(frozen=True)
class Night:
    """What one run did at a school. id: None where it stopped before it reached the school; outcome: then the run's.

    counts: by type and action, as stored; see `ChangeSet.counts`.

    teachers, students, errors, alerts: the school's, once it was done; None: before they were kept. reasons: codes of
    its hold, or what kind of failure. decisions: those made about its holds since the night before.
    """

    id: int | None
    run_id: int
    at: datetime
    outcome: str
    counts: Mapping[str, int]
    reasons: tuple[str, ...]
    teachers: int | None
    students: int | None
    errors: int | None
    alerts: int | None
    decisions: tuple[Decision, ...] = field(default=(), compare=False)

    @property
    def went_through(self) -> bool:
        """Whether the school was brought up to date."""
        return self.outcome in UP_TO_DATE

    def of(self, did: str) -> int:
        """How many people and classes it created, updated, reactivated or removed."""
        return sum(self.counts.get(f"{kind}_{action}", 0) for kind in _TOLD for action in _DID[did])


@dataclass(frozen=True)
class Compared:
    """Two nights side by side. figures: name -> (earlier, later), None where it was not kept.

    changes: (type, what was done) -> (earlier, later), only those that either did.
    """

    earlier: Night
    later: Night
    figures: Mapping[str, tuple[int | None, int | None]]
    changes: Mapping[tuple[str, str], tuple[int, int]]


def nights_of(session: Session, school_id: str, *, limit: int = LAST) -> list[Night]:
    """The school's last nights, newest first, each with what was decided since the one before."""
    found = _last(session, [school_id], limit + 1).get(school_id, [])
    before = [*(night.at for night in found[1:]), None]
    decided = _decisions(session, school_id)
    return [
        replace(
            night, decisions=tuple(each for each in decided if each.at <= night.at and (not since or each.at > since))
        )
        for night, since in zip(found[:limit], before, strict=False)
    ]


def last_nights(session: Session, school_ids: Collection[str]) -> dict[str, list[Night]]:
    """By school, its last nights, oldest first, without decisions; none where there never was one."""
    return {school_id: nights[::-1] for school_id, nights in _last(session, school_ids, LAST).items()}


def _last(session: Session, school_ids: Collection[str], limit: int) -> dict[str, list[Night]]:
    """By school, so many of its last nights, newest first.

    Rule: a run of its source that stopped before it reached the school, such as for file errors, is a night too.
    """
    nights: dict[str, list[Night]] = {}
    for run in _reached(session, school_ids, limit):
        nights.setdefault(run.school_id, []).append(_night(run))
    stopped = _stopped(session, school_ids, limit)
    schools = select(School.id, School.source_id).where(
        col(School.id).in_(school_ids), col(School.on_plan).is_(True), col(School.frozen).is_(False)
    )
    for school_id, source_id in session.exec(schools):
        each = nights.setdefault(school_id, [])
        reached = {night.run_id for night in each}
        each += [
            night
            for night, asked in stopped.get(source_id, ())
            if night.run_id not in reached and (asked is None or school_id in asked)
        ]
    # A district has one run at a time, so that their numbers tell their order.
    return {
        school_id: sorted(each, key=lambda night: night.run_id, reverse=True)[:limit]
        for school_id, each in nights.items()
        if each
    }


def _reached(session: Session, school_ids: Collection[str], limit: int) -> Iterable[SchoolRun]:
    """What the last runs that reached each school did there, at most `limit` a school."""
    # The number of the oldest is found in an index, school by school: a window would number every night of years.
    # PostgreSQL would look for it again for every night that it compares, unless told to keep it.
    each = aliased(SchoolRun)
    oldest = select(each.id).where(each.school_id == School.id).order_by(col(each.id).desc()).offset(limit - 1).limit(1)
    since = (
        select(School.id, func.coalesce(oldest.scalar_subquery(), 0).label("oldest"))
        .where(col(School.id).in_(school_ids))
        .cte()
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    return session.exec(
        select(SchoolRun).join(since, and_(SchoolRun.school_id == since.c.id, col(SchoolRun.id) >= since.c.oldest))
    )


def _stopped(
    session: Session, school_ids: Collection[str], limit: int
) -> dict[str | None, list[tuple[Night, list[str] | None]]]:
    """By source of these schools, the last runs that stopped, and the schools that each was about; None: all."""
    sources = select(School.source_id).where(col(School.id).in_(school_ids))
    is_of_all = col(Run.schools).is_(None)
    number = func.row_number().over(partition_by=[col(Run.source_id), is_of_all], order_by=col(Run.id).desc())
    runs = (
        select(Run.id, number.label("number"))
        .where(col(Run.source_id).in_(sources), col(Run.outcome).in_(STOPPED))
        .subquery()
    )
    found: dict[str | None, list[tuple[Night, list[str] | None]]] = {}
    # Those of all schools count for each, and so many are enough; those of some are few, as somebody asked for them.
    for run in session.exec(select(Run).join(runs, runs.c.id == Run.id).where(or_(~is_of_all, runs.c.number <= limit))):
        at = run.ended_at or run.started_at
        night = Night(None, run.id or 0, at, run.outcome or "", {}, (), None, None, None, None)
        found.setdefault(run.source_id, []).append((night, run.schools))
    return found


def undone_decisions(session: Session, school_id: str) -> list[Decision]:
    """What was decided about the school's open hold and waits to be applied, oldest first."""
    open_now = select(Hold.id).where(Hold.school_id == school_id, col(Hold.ended_at).is_(None)).limit(1)
    if session.exec(open_now).first() is None:
        return []
    return [decision for decision in _decisions(session, school_id) if decision.applied_at is None]


def _decisions(session: Session, school_id: str) -> list[Decision]:
    return list(
        session.exec(
            select(Decision)
            .join(Hold, col(Hold.id) == Decision.hold_id)
            .where(Hold.school_id == school_id)
            .order_by(col(Decision.id))
        )
    )


def get_night(session: Session, school_id: str, night_id: int) -> Night:
    """One of the school's nights.

    Raises:
        NotFound: the school has none of this number.
    """
    found = session.get(SchoolRun, night_id)
    if found is None or found.school_id != school_id:
        raise NotFound(f"there is no night {night_id}")
    return _night(found)


def last_success(session: Session, school_id: str) -> datetime | None:
    """When the school last had what its present or a former source said."""
    return session.exec(
        select(SchoolRun.at)
        .where(SchoolRun.school_id == school_id, col(SchoolRun.outcome).in_(UP_TO_DATE))
        .order_by(col(SchoolRun.id).desc())
        .limit(1)
    ).first()


def compare(one: Night, other: Night) -> Compared:
    """Two nights side by side, in either order."""
    earlier, later = sorted((one, other), key=lambda night: (night.at, night.run_id))
    changes = {}
    for kind in TYPES:
        for did, actions in _DID.items():
            pair = tuple(sum(night.counts.get(f"{kind}_{each}", 0) for each in actions) for night in (earlier, later))
            if any(pair):
                changes[kind, did] = (pair[0], pair[1])
    figures = {name: (getattr(earlier, name), getattr(later, name)) for name in FIGURES}
    return Compared(earlier, later, figures, changes)


def _night(run: SchoolRun) -> Night:
    return Night(
        id=run.id,
        run_id=run.run_id,
        at=run.at,
        outcome=run.outcome,
        counts=run.counts or {},
        reasons=tuple(run.reasons or ()),
        teachers=run.teachers,
        students=run.students,
        errors=run.errors,
        alerts=run.alerts,
    )
