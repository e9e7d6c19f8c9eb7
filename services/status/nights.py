"""What each run did at a school, and any two of them compared. It only reads.

Rule: the issues of earlier nights are not stored, only how many there were.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlmodel import Session, col, select

from errors import NotFound
from models.outcomes import UP_TO_DATE
from models.tables import Decision, Hold, SchoolRun
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
FIGURES = ("teachers", "students", "errors", "alerts")


@dataclass(frozen=True)
class Night:
    """What one run did at a school. counts: by type and action, as stored; see `ChangeSet.counts`.

    teachers, students, errors, alerts: the school's, once it was done; None: before they were kept. reasons: codes of
    its hold, or what kind of failure. decisions: those made about its holds since the night before.
    """

    id: int
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
    """The school's last runs, newest first, each with what was decided since the one before."""
    found = list(
        session.exec(
            select(SchoolRun)
            .where(SchoolRun.school_id == school_id)
            .order_by(col(SchoolRun.at).desc(), col(SchoolRun.id).desc())
            .limit(limit + 1)
        )
    )
    shown, before = found[:limit], [*(run.at for run in found[1:]), None]
    decided = _decisions(session, school_id)
    return [
        _night(
            run,
            tuple(each for each in decided if each.at <= run.at and (since is None or each.at > since)),
        )
        for run, since in zip(shown, before, strict=False)
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
    return _night(found, ())


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
    earlier, later = sorted((one, other), key=lambda night: (night.at, night.id))
    changes = {}
    for kind in TYPES:
        for did, actions in _DID.items():
            pair = tuple(sum(night.counts.get(f"{kind}_{each}", 0) for each in actions) for night in (earlier, later))
            if any(pair):
                changes[kind, did] = (pair[0], pair[1])
    figures = {name: (getattr(earlier, name), getattr(later, name)) for name in FIGURES}
    return Compared(earlier, later, figures, changes)


def _night(run: SchoolRun, decisions: tuple[Decision, ...]) -> Night:
    assert run.id is not None
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
        decisions=decisions,
    )
