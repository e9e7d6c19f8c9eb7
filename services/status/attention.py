"""Which schools of a district need somebody, in a sentence for those who watch its runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from contracts.issues import FAILED_RUN
from models.tables import Hold, HoldReason, School

NAMED = 10  # schools, before the rest is only counted
UNANSWERED = timedelta(days=7)


@dataclass(frozen=True)
class HeldSchool:
    """A school that is on hold: its name, the codes of the reasons, and since when. failed: by a run of ours."""

    name: str
    codes: tuple[str, ...]
    opened_at: datetime
    failed: bool


@dataclass(frozen=True)
class Attention:
    """The schools of a district that are on hold, in the setup file's order."""

    schools: tuple[HeldSchool, ...]

    def is_due(self, since: datetime, now: datetime) -> bool:
        """Whether somebody is to be called: a hold is new since then, or nobody has answered it for seven days."""
        return any(school.opened_at >= since or now - school.opened_at > UNANSWERED for school in self.schools)

    def __str__(self) -> str:
        """Such as `2 on hold: Adams (data removals), Mill Pond (file errors); 1 failed: Lincoln`."""
        held = [f"{each.name} ({', '.join(each.codes).replace('_', ' ')})" for each in self.schools if not each.failed]
        failed = [each.name for each in self.schools if each.failed]
        named = {"on hold": held, "failed": failed}
        return "; ".join(f"{len(each)} {what}: {_listed(each)}" for what, each in named.items() if each)


def _listed(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def attention(session: Session, district_id: str) -> Attention:
    """What of a district needs somebody. Rule: schools off the plan, or that the setup no longer names, need nobody."""
    rows = session.exec(
        select(Hold.id, School.name, Hold.opened_at, HoldReason.code)
        .join(School, col(School.id) == Hold.school_id)
        .join(HoldReason, col(HoldReason.hold_id) == Hold.id)
        .where(
            School.district_id == district_id,
            col(School.on_plan),
            col(School.frozen).is_(False),
            col(Hold.ended_at).is_(None),
        )
        .order_by(col(School.position), col(School.id), col(HoldReason.code))
    )
    found: dict[int | None, HeldSchool] = {}
    for number, name, opened_at, code in rows:
        before = found[number].codes if number in found else ()
        found[number] = HeldSchool(name, (*before, code), opened_at, failed=code == FAILED_RUN)
    return Attention(tuple(found.values()))
