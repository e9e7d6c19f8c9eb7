"""Holds as they are stored: which are open, what they show, and what was decided."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl
from sqlmodel import Session, col, select

from contracts.formats import DEFAULT_FORMAT
from contracts.issues import DATA_REMOVALS, catalogue
from errors import NotFound
from models import bulk
from models.tables import Decision, District, HoldReason, School, Source
from models.tables import Hold as HoldRow
from services.planning.changesets import ITEMS

# What of a hold is read first.
_READ_FIRST = ("students", "employees", "guardians", "classes")


@dataclass(frozen=True)
class Hold:
    """A hold as people see it. `ending`: None while it is open, else released or replaced (by `replaced_by`).

    decisions: those about it and the holds it replaced, oldest first. form: of the school's present source.
    """

    id: int
    district_id: str
    school_id: str
    school_key: str
    school_name: str
    opened_at: datetime
    ended_at: datetime | None
    ending: str | None
    replaced_by: int | None
    delivery_id: int | None
    reasons: tuple[HoldReason, ...]
    decisions: tuple[Decision, ...]
    form: str = DEFAULT_FORMAT

    @property
    def codes(self) -> list[str]:
        """The codes of its reasons, sorted."""
        return [reason.code for reason in self.reasons]

    def as_data(self) -> dict[str, Any]:
        """What a program reads of it: IDs, codes and counts, no personal data."""
        return {
            "id": self.id,
            "district": self.district_id,
            "school": self.school_key,
            "opened_at": self.opened_at.isoformat(),
            "ended_at": self.ended_at.isoformat() if self.ended_at is not None else None,
            "ending": self.ending,
            "replaced_by": self.replaced_by,
            "reasons": [
                {
                    "code": reason.code,
                    "title": self.title(reason.code),
                    "since": reason.since.isoformat(),
                    "counts": reason.counts or {},
                    "detail": reason.detail,
                }
                for reason in self.reasons
            ],
            "decisions": [
                {"verb": decision.verb, "by": decision.by, "why": decision.why, "at": decision.at.isoformat()}
                for decision in self.decisions
            ],
        }

    def title(self, code: str) -> str:
        """What a reason is called, in the words of the school's format."""
        return catalogue(self.form)[code].title


def open_hold(session: Session, school_id: str) -> HoldRow | None:
    """The school's open hold."""
    return session.exec(
        select(HoldRow).where(HoldRow.school_id == school_id, col(HoldRow.ended_at).is_(None))
    ).one_or_none()


def reasons_of(session: Session, hold_id: int) -> list[HoldReason]:
    """A hold's reasons, by code."""
    return list(session.exec(select(HoldReason).where(HoldReason.hold_id == hold_id).order_by(HoldReason.code)))


def items_of(session: Session, hold_id: int) -> pl.DataFrame:
    """A hold's set, ITEMS, in the order people read it."""
    return bulk.read(
        session,
        f"SELECT {', '.join(ITEMS)} FROM hold_item WHERE hold_id = :hold"
        " ORDER BY code, type, record_id, counterpart_id, key",
        {"hold": hold_id},
        ITEMS,
    )


def sample_of(session: Session, hold_id: int, code: str, *, limit: int = 20) -> pl.DataFrame:
    """The first of what a hold shows for one reason, ITEMS: people first, then classes, then who is in them."""
    rank = " ".join(f"WHEN '{kind}' THEN {number}" for number, kind in enumerate(_READ_FIRST))
    return bulk.read(
        session,
        f"SELECT {', '.join(ITEMS)} FROM hold_item WHERE hold_id = :hold AND code = :code"
        f" ORDER BY CASE type {rank} ELSE {len(_READ_FIRST)} END, type, record_id, counterpart_id, key LIMIT :most",
        {"hold": hold_id, "code": code, "most": limit},
        ITEMS,
    )


def counted_items(session: Session, hold_ids: Collection[int]) -> pl.DataFrame:
    """How much holds show: hold_id, code, type, is_removal (gone, not under a new ID), many."""
    condition, parameters = bulk.in_list(session, "hold_id", hold_ids)
    return bulk.read(
        session,
        "SELECT hold_id, code, type, (code = :removals AND new_id IS NULL) AS is_removal,"
        f" count(*) AS many FROM hold_item WHERE {condition} GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
        {**parameters, "removals": DATA_REMOVALS},
        {"hold_id": pl.Int64, "code": pl.String, "type": pl.String, "is_removal": pl.Boolean, "many": pl.Int64},
    )


def waiting_decisions(session: Session, school_id: str) -> list[Decision]:
    """Decisions about the school's holds that no release has used up, oldest first."""
    return list(
        session.exec(
            select(Decision)
            .join(HoldRow, col(HoldRow.id) == Decision.hold_id)
            .where(HoldRow.school_id == school_id, col(Decision.applied_at).is_(None))
            .order_by(col(Decision.id))
        )
    )


def decisions_of(session: Session, district_id: str, limit: int = 20) -> list[tuple[Decision, Hold]]:
    """What was last decided about the district's holds, newest first, each with its hold."""
    found = session.exec(
        select(Decision)
        .join(HoldRow, col(HoldRow.id) == Decision.hold_id)
        .join(School, col(School.id) == HoldRow.school_id)
        .where(School.district_id == district_id)
        .order_by(col(Decision.id).desc())
        .limit(limit)
    ).all()
    holds = {hold.id: hold for hold in _holds(session, sorted({decision.hold_id for decision in found}))}
    return [(decision, holds[decision.hold_id]) for decision in found]


def decision_rows(session: Session, hold_id: int) -> list[Decision]:
    """Return what was decided about a hold and those it replaced, oldest first."""
    chain, former = [hold_id], session.get_one(HoldRow, hold_id).replaces_id
    while former is not None:
        chain.append(former)
        former = session.get_one(HoldRow, former).replaces_id
    return list(session.exec(select(Decision).where(col(Decision.hold_id).in_(chain)).order_by(col(Decision.id))))


def get_hold(session: Session, hold_id: int) -> Hold:
    """One hold, open or ended.

    Raises:
        NotFound: there is no such hold.
    """
    found = _holds(session, [hold_id])
    if not found:
        raise NotFound(f"there is no hold {hold_id}", hint="`rollcall holds` lists the open ones")
    return found[0]


def open_holds(session: Session, district_id: str | None = None) -> list[Hold]:
    """The open holds, of one district or of all, oldest first.

    Rule: a school that is off the plan or frozen has no sync status, and so none on hold.
    """
    statement = (
        select(HoldRow.id)
        .join(School, col(School.id) == HoldRow.school_id)
        .join(District, col(District.id) == School.district_id)
        .where(
            col(HoldRow.ended_at).is_(None),
            col(School.on_plan).is_(True),
            col(School.frozen).is_(False),
            col(District.frozen).is_(False),
        )
        .order_by(col(HoldRow.opened_at), col(HoldRow.id))
    )
    if district_id is not None:
        statement = statement.where(School.district_id == district_id)
    return _holds(session, [hold_id for hold_id in session.exec(statement) if hold_id is not None])


def _holds(session: Session, ids: Sequence[int]) -> list[Hold]:
    """The holds with these numbers, in this order; a few queries, however many they are."""
    rows = {row.id: row for row in session.exec(select(HoldRow).where(col(HoldRow.id).in_(ids)))}
    schools = {
        school.id: (school, form)
        for school, form in session.exec(
            select(School, Source.format)
            .outerjoin(Source, col(Source.id) == School.source_id)
            .where(col(School.id).in_({row.school_id for row in rows.values()}))
        )
    }
    replaced_by = dict(
        session.exec(select(HoldRow.replaces_id, HoldRow.id).where(col(HoldRow.replaces_id).in_(ids))).all()
    )
    reasons: dict[int, list[HoldReason]] = {}
    for reason in session.exec(
        select(HoldReason).where(col(HoldReason.hold_id).in_(ids)).order_by(col(HoldReason.code))
    ):
        reasons.setdefault(reason.hold_id, []).append(reason)
    decisions = _decisions(session, rows)
    holds = []
    for hold_id in ids:
        if (row := rows.get(hold_id)) is None:
            continue
        school, form = schools[row.school_id]
        holds.append(
            Hold(
                id=hold_id,
                district_id=school.district_id,
                school_id=school.id,
                school_key=school.key,
                school_name=school.name,
                opened_at=row.opened_at,
                ended_at=row.ended_at,
                ending=row.ending,
                replaced_by=replaced_by.get(hold_id),
                delivery_id=row.delivery_id,
                reasons=tuple(reasons.get(hold_id, ())),
                decisions=tuple(decisions[hold_id]),
                form=form or DEFAULT_FORMAT,
            )
        )
    return holds


def _decisions(session: Session, rows: Mapping[int | None, HoldRow]) -> dict[int, list[Decision]]:
    """By hold, what was decided about it and those it replaced, oldest first."""
    chains = {row.id: [row.id] for row in rows.values() if row.id is not None}
    former = {row.id: row.replaces_id for row in rows.values() if row.id is not None and row.replaces_id is not None}
    while former:
        for hold_id, replaced in former.items():
            chains[hold_id].append(replaced)
        before = dict(
            session.exec(select(HoldRow.id, HoldRow.replaces_id).where(col(HoldRow.id).in_(set(former.values())))).all()
        )
        former = {hold_id: earlier for hold_id, replaced in former.items() if (earlier := before[replaced]) is not None}
    found: dict[int, list[Decision]] = {}
    every = {hold_id for chain in chains.values() for hold_id in chain}
    for decision in session.exec(select(Decision).where(col(Decision.hold_id).in_(every)).order_by(col(Decision.id))):
        found.setdefault(decision.hold_id, []).append(decision)
    return {
        hold_id: sorted((each for one in chain for each in found.get(one, ())), key=lambda each: each.id or 0)
        for hold_id, chain in chains.items()
    }
