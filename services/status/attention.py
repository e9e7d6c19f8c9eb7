"""Which schools of a district need somebody, in a sentence for those who watch its runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, select

from contracts.issues import FAILED_RUN
from models.tables import District, Hold, HoldReason, School

NAMED = 10  # schools, before the rest is only counted
UNANSWERED = timedelta(days=7)


@dataclass(frozen=True)
class HeldSchool:
    """A school that is on hold: its name, the codes of the reasons, and since when. failed: by a run of ours."""

    school_id: str
    hold_id: int
    name: str
    codes: tuple[str, ...]
    opened_at: datetime
    failed: bool

    @property
    def reasons(self) -> str:
        """Such as `data removals, unusual changes`."""
        return ", ".join(self.codes).replace("_", " ")


@dataclass(frozen=True)
class Attention:
    """The schools of a district that are on hold, in the setup file's order."""

    schools: tuple[HeldSchool, ...]

    def is_due(self, since: datetime, now: datetime) -> bool:
        """Whether somebody is to be called: a hold is new since then, or nobody has answered it for seven days."""
        return any(school.opened_at >= since or now - school.opened_at > UNANSWERED for school in self.schools)

    @property
    def codes(self) -> tuple[str, ...]:
        """The reasons of all the holds, sorted."""
        return tuple(sorted({code for school in self.schools for code in school.codes}))

    def __str__(self) -> str:
        """Such as `2 on hold: Adams (data removals), Mill Pond (file errors); 1 failed: Lincoln`."""
        held = [f"{each.name} ({each.reasons})" for each in self.schools if not each.failed]
        failed = [each.name for each in self.schools if each.failed]
        named = {"on hold": held, "failed": failed}
        return "; ".join(f"{len(each)} {what}: {_listed(each)}" for what, each in named.items() if each)


def _listed(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def attention(session: Session, district_id: str) -> Attention:
    """What of a district needs somebody. Rule: schools off the plan, or that the setup no longer names, need nobody."""
    return attention_by_district(session, district_id).get(district_id, Attention(()))


def attention_by_district(session: Session, district_id: str | None = None) -> dict[str, Attention]:
    """The same of each district that needs somebody, in the setup file's order. district_id: only of this one."""
    here = [] if district_id is None else [School.district_id == district_id]
    rows: Any = session.exec(
        select(School.district_id, School.id, Hold.id, School.name, Hold.opened_at, HoldReason.code)  # type: ignore[call-overload]
        .join(School, col(School.id) == Hold.school_id)
        .join(District, col(District.id) == School.district_id)
        .join(HoldReason, col(HoldReason.hold_id) == Hold.id)
        .where(col(School.on_plan), col(School.frozen).is_(False), col(District.frozen).is_(False))
        .where(col(Hold.ended_at).is_(None), *here)
        .order_by(col(District.position), col(District.id), col(School.position), col(School.id), col(HoldReason.code))
    )
    found: dict[str, dict[int, HeldSchool]] = {}
    for district, school_id, number, name, opened_at, code in rows:
        schools = found.setdefault(district, {})
        before = schools[number].codes if number in schools else ()
        schools[number] = HeldSchool(school_id, number, name, (*before, code), opened_at, failed=code == FAILED_RUN)
    return {district: Attention(tuple(schools.values())) for district, schools in found.items()}
