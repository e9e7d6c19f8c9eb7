"""What each run did at a school, and any two of them compared. It only reads.

Rule: the issues of earlier nights are not stored, only how many there were.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlmodel import Session, col, select

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


def nights_of(session: Session, school_id: str, *, limit: int = 14) -> list[Night]:
    """The school's last runs, newest first, each with what was decided since the one before.

    Rule: a run of its source that stopped before it reached the school, such as for file errors, is a night too.
    """
    reached = session.exec(
        select(SchoolRun)
        .where(SchoolRun.school_id == school_id)
        .order_by(col(SchoolRun.at).desc(), col(SchoolRun.id).desc())
        .limit(limit + 1)
    )
    merged = [*map(_night, reached), *_stopped(session, school_id, limit + 1)]
    found = sorted(merged, key=lambda night: (night.at, night.run_id), reverse=True)[: limit + 1]
    before = [*(night.at for night in found[1:]), None]
    decided = _decisions(session, school_id)
    return [
        replace(
            night, decisions=tuple(each for each in decided if each.at <= night.at and (not since or each.at > since))
        )
        for night, since in zip(found[:limit], before, strict=False)
    ]


def _stopped(session: Session, school_id: str, limit: int) -> list[Night]:
    """Runs of the school's source that stopped before they did anything there."""
    reached = select(SchoolRun.id).where(SchoolRun.run_id == Run.id, SchoolRun.school_id == school_id)
    runs = session.exec(
        select(Run)
        .join(School, col(School.source_id) == Run.source_id)
        .where(School.id == school_id, col(Run.outcome).in_(STOPPED), ~reached.exists())
        .order_by(col(Run.id).desc())
        .limit(limit)
    )
    return [
        Night(None, run.id or 0, run.ended_at or run.started_at, run.outcome or "", {}, (), None, None, None, None)
        for run in runs
        if run.schools is None or school_id in run.schools
    ]


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
