"""The sync under way: its step, and the school in hand. It is derived from the run, and nothing is stored for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from models.tables import Decision, Hold, Run, School, SchoolRun, Source
from services.status.mutes import active_mutes
from services.status.report import source_name
from services.status.sync_status import SchoolStatus, is_live


class Step(StrEnum):
    """How far a run has come."""

    LOOKING = "looking"  # whether there is something new
    FETCHING = "fetching"
    CHECKING = "checking"  # the data, and what they change
    SCHOOLS = "schools"  # one after the other
    FINISHING = "finishing"


@dataclass(frozen=True)
class Progress:
    """A run under way. source: what it is called. school, number: the one in hand, and which of `schools` it is.

    asked: IDs of the schools that it is about; None for all of the source.
    """

    run_id: int
    source: str
    started_at: datetime
    step: Step
    schools: int
    number: int | None = None
    school: str | None = None
    asked: frozenset[str] | None = None


def progress(session: Session, district_id: str, now: datetime) -> Progress | None:
    """The sync of the district that is under way now; None where there is none."""
    run = session.exec(select(Run).where(Run.district_id == district_id, col(Run.ended_at).is_(None))).first()
    if run is None or run.id is None or not is_live(run, now):
        return None
    statement = (
        select(School.id, School.name)
        .where(School.source_id == run.source_id, col(School.on_plan).is_(True), col(School.frozen).is_(False))
        .order_by(col(School.position), col(School.id))
    )
    asked = None if run.schools is None else frozenset(run.schools)
    schools = [(school, name) for school, name in session.exec(statement) if asked is None or school in asked]
    done = set(session.exec(select(SchoolRun.school_id).where(SchoolRun.run_id == run.id)))
    left = [(school, name) for school, name in schools if school not in done]
    number, school = None, None
    if run.delivery_id is None:
        step = Step.LOOKING if run.processing_since is None else Step.FETCHING
    elif not done:
        step = Step.CHECKING
    elif left:
        # Schools have their turn in the setup's order, once those with nothing to do are recorded.
        step, number, school = Step.SCHOOLS, len(schools) - len(left) + 1, left[0][1]
    else:
        step = Step.FINISHING
    source = session.get_one(Source, run.source_id)
    return Progress(run.id, source_name(source.format), run.started_at, step, len(schools), number, school, asked)


def school_version(session: Session, school: SchoolStatus, *, now: datetime) -> str:
    """A text that changes with what a school's page shows: its status, hold, decisions, last run and muted alerts."""
    of_school = Hold.school_id == school.school_id
    newest = (
        select(func.max(SchoolRun.id)).where(SchoolRun.school_id == school.school_id),
        select(func.max(Hold.id)).where(of_school, col(Hold.ended_at).is_(None)),
        select(func.max(Decision.id)).join(Hold, col(Hold.id) == Decision.hold_id).where(of_school),
    )
    numbers: Any = session.exec(select(*(each.scalar_subquery() for each in newest))).one()
    # All of them, as any may run out or be ended.
    muted = [mute.id for mute in active_mutes(session, school.school_id, now=now)]
    return "-".join(str(each or 0) for each in (school.status, *numbers, *muted))
