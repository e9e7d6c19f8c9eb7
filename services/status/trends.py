"""How a school's last nights went, for small charts in lists of schools."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from models.outcomes import SchoolOutcome
from models.tables import Run, SchoolRun

NIGHTS = 14
# Runs of a district that are looked through for them: those of single schools by hand are among them.
_RUNS = 60


@dataclass(frozen=True)
class Night:
    """What became of a school in one run. errors: its records with an error afterwards; None: before 0.2."""

    at: datetime
    outcome: SchoolOutcome
    errors: int | None

    @property
    def went_through(self) -> bool:
        """Whether the school was brought up to date."""
        return self.outcome not in (SchoolOutcome.ON_HOLD, SchoolOutcome.FAILED)


def last_nights(session: Session, district_id: str, school_ids: Collection[str]) -> dict[str, tuple[Night, ...]]:
    """By school, its last nights, oldest first, at most NIGHTS; none where no run did anything for it lately."""
    runs = select(Run.id).where(Run.district_id == district_id).order_by(col(Run.id).desc()).limit(_RUNS)
    number = func.row_number().over(partition_by=col(SchoolRun.school_id), order_by=col(SchoolRun.run_id).desc())
    numbered = (
        select(  # type: ignore[call-overload]
            SchoolRun.school_id, SchoolRun.at, SchoolRun.outcome, SchoolRun.errors, number.label("number")
        )
        .where(col(SchoolRun.run_id).in_(runs), col(SchoolRun.school_id).in_(school_ids))
        .subquery()
    )
    rows = numbered.c
    found: Any = session.exec(
        select(rows.school_id, rows.at, rows.outcome, rows.errors)
        .where(rows.number <= NIGHTS)
        .order_by(rows.number.desc())
    )
    nights: dict[str, list[Night]] = {}
    for school_id, at, outcome, errors in found:
        nights.setdefault(school_id, []).append(Night(at, SchoolOutcome(outcome), errors))
    return {school_id: tuple(each) for school_id, each in nights.items()}
