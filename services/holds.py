"""Holds: opening, replacing, confirming and releasing them. A hold is never altered but for its end.

A school has at most one open hold, with one or more reasons. When its reasons, what was seen of them or its set of
removals change, a new hold takes its place; a reason that goes on keeps the time it began.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

import polars as pl
from sqlmodel import Session, col, select

from contracts.roster import Schema, empty
from errors import NotFound, NotPossible
from models import bulk
from models.tables import Decision, HoldReason, School
from models.tables import Hold as HoldRow
from services.guard import DATA_REMOVALS, SCHOOL_MISSING, Reason

CONFIRM, FIXED = "confirm", "fixed"
DISCONNECTED = "disconnected"
# The reasons that a verb is about, and what there is to decide; each other one ends by itself.
DECIDED: Mapping[str, frozenset[str]] = MappingProxyType(
    {CONFIRM: frozenset({DATA_REMOVALS, SCHOOL_MISSING}), FIXED: frozenset({DISCONNECTED})}
)
_UNDECIDABLE = {CONFIRM: "no removals to confirm", FIXED: "no connection to be fixed"}

ITEMS: Schema = {
    "type": pl.String,
    "key": pl.String,
    "record_id": pl.String,
    "other_id": pl.String,
    "name": pl.String,
}


@dataclass(frozen=True)
class Hold:
    """A hold as people see it. `ending`: None while it is open, else released or replaced (by `replaced_by`)."""

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

    @property
    def codes(self) -> list[str]:
        """The codes of its reasons, sorted."""
        return [reason.code for reason in self.reasons]


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
        "SELECT type, key, record_id, other_id, name FROM hold_item WHERE hold_id = :hold"
        " ORDER BY type, record_id, other_id, key",
        {"hold": hold_id},
        ITEMS,
    )


def _digest(reasons: Collection[Reason], items: pl.DataFrame) -> str:
    said = sorted(reason.code if reason.detail is None else f"{reason.code} {reason.detail}" for reason in reasons)
    lines = [*said, *items.select(pl.concat_str("type", "key", separator=" ").sort()).to_series()]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def hold_school(
    session: Session,
    school_id: str,
    reasons: Sequence[Reason],
    items: pl.DataFrame,
    *,
    run_id: int | None,
    delivery_id: int | None,
    now: datetime,
) -> HoldRow:
    """Hold a school for these reasons and this set (ITEMS), and only these.

    An open hold with the same reasons, seen alike, and the same set stays as it is; any other is replaced.
    """
    digest = _digest(reasons, items)
    former = open_hold(session, school_id)
    if former is not None and former.digest == digest:
        return former
    since: dict[str, datetime] = {}
    if former is not None and former.id is not None:
        since = {reason.code: reason.since for reason in reasons_of(session, former.id)}
        former.ended_at, former.ending = now, "replaced"
        session.add(former)
        session.flush()
    hold = HoldRow(
        school_id=school_id,
        run_id=run_id,
        delivery_id=delivery_id,
        opened_at=now,
        replaces_id=former.id if former is not None else None,
        digest=digest,
    )
    session.add(hold)
    session.flush()
    assert hold.id is not None
    session.add_all(
        HoldReason(
            hold_id=hold.id,
            code=reason.code,
            since=since.get(reason.code, now),
            counts={kind: dict(counts) for kind, counts in reason.counts.items()},
            detail=reason.detail,
        )
        for reason in reasons
    )
    session.flush()
    bulk.insert(session, "hold_item", items.select(hold_id=pl.lit(hold.id), **{name: pl.col(name) for name in ITEMS}))
    return hold


def add_reason(
    session: Session,
    school_ids: Collection[str],
    code: str,
    *,
    run_id: int | None,
    now: datetime,
    detail: str | None = None,
) -> None:
    """Hold these schools for one more reason, one that has no set of its own; what holds them already goes on.

    detail: what was seen, in words without personal data.
    """
    added = Reason(code, {}, detail)
    for school_id in school_ids:
        former = open_hold(session, school_id)
        if former is None or former.id is None:
            hold_school(session, school_id, [added], empty(ITEMS), run_id=run_id, delivery_id=None, now=now)
            continue
        kept = [_reason(row) for row in reasons_of(session, former.id)]
        if (code, detail) in {(reason.code, reason.detail) for reason in kept}:
            continue
        kept = [reason for reason in kept if reason.code != code]
        hold_school(
            session,
            school_id,
            [*kept, added],
            items_of(session, former.id),
            run_id=run_id,
            delivery_id=former.delivery_id,
            now=now,
        )


def drop_reasons(
    session: Session, school_ids: Collection[str], codes: Collection[str], *, run_id: int, now: datetime
) -> int:
    """Take reasons off these schools' holds: a hold left without any is released, else replaced. Gives how many."""
    dropped = 0
    for school_id in school_ids:
        former = open_hold(session, school_id)
        if former is None or former.id is None:
            continue
        reasons = reasons_of(session, former.id)
        left = [_reason(row) for row in reasons if row.code not in codes]
        if len(left) == len(reasons):
            continue
        dropped += 1
        if not left:
            release(session, school_id, now=now)
            continue
        items = items_of(session, former.id)
        hold_school(session, school_id, left, items, run_id=run_id, delivery_id=former.delivery_id, now=now)
    return dropped


def _reason(row: HoldReason) -> Reason:
    return Reason(row.code, row.counts or {}, row.detail)


def release(session: Session, school_id: str, *, now: datetime) -> HoldRow | None:
    """End the school's open hold, and with it every decision made about it or its forerunners."""
    hold = open_hold(session, school_id)
    if hold is None:
        return None
    hold.ended_at, hold.ending = now, "released"
    session.add(hold)
    for decision in waiting_decisions(session, school_id):
        decision.applied_at = now
        session.add(decision)
    session.flush()
    return hold


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


def is_confirmed(session: Session, school_id: str, reasons: Sequence[Reason], removals: pl.DataFrame) -> bool:
    """Whether somebody confirmed a set that covers all of these removals.

    Rule: a confirmation covers the set that was shown, by type and ID; a missing school only if it was shown as one.
    """
    codes = {reason.code for reason in reasons}
    for decision in waiting_decisions(session, school_id):
        if decision.verb != CONFIRM:
            continue
        shown = {reason.code for reason in reasons_of(session, decision.hold_id)}
        if SCHOOL_MISSING in codes and SCHOOL_MISSING not in shown:
            continue
        if uncovered(removals, items_of(session, decision.hold_id)).is_empty():
            return True
    return False


def uncovered(removals: pl.DataFrame, confirmed: pl.DataFrame) -> pl.DataFrame:
    """The removals that a confirmed set does not hold: what is new since it was shown."""
    return removals.join(confirmed.select("type", "key"), on=["type", "key"], how="anti")


def decide(session: Session, hold_id: int, verb: str, *, by: str, now: datetime) -> Hold:
    """Store what somebody decided about a hold. The school's next run applies it.

    confirm: the removals it shows may be applied. fixed: the source can be reached again, or does not refuse us.

    Raises:
        NotFound: there is no such hold.
        NotPossible: it is released already, or has no reason that the verb is about.
    """
    hold = get_hold(session, hold_id)
    if hold.ending == "released" or open_hold(session, hold.school_id) is None:
        raise NotPossible(f"hold {hold_id} of {hold.school_name} is released already: there is nothing to decide")
    if not DECIDED[verb].intersection(hold.codes):
        raise NotPossible(
            f"hold {hold_id} of {hold.school_name} ({', '.join(hold.codes)}) has {_UNDECIDABLE[verb]};"
            f" `rollcall hold show {hold_id}` says how it ends"
        )
    session.add(Decision(hold_id=hold_id, verb=verb, by=by, at=now))
    session.flush()
    return hold


def get_hold(session: Session, hold_id: int) -> Hold:
    """One hold, open or ended.

    Raises:
        NotFound: there is no such hold.
    """
    found = _holds(session, [hold_id])
    if not found:
        raise NotFound(f"there is no hold {hold_id}; `rollcall holds` lists the open ones")
    return found[0]


def open_holds(session: Session, district_id: str | None = None) -> list[Hold]:
    """The open holds, of one district or of all, oldest first."""
    statement = (
        select(HoldRow.id)
        .join(School, col(School.id) == HoldRow.school_id)
        .where(col(HoldRow.ended_at).is_(None))
        .order_by(col(HoldRow.opened_at), col(HoldRow.id))
    )
    if district_id is not None:
        statement = statement.where(School.district_id == district_id)
    return _holds(session, [hold_id for hold_id in session.exec(statement) if hold_id is not None])


def _holds(session: Session, ids: list[int]) -> list[Hold]:
    holds = []
    for hold_id in ids:
        row = session.get(HoldRow, hold_id)
        if row is None or row.id is None:
            continue
        school = session.get(School, row.school_id)
        assert school is not None
        replaced_by = session.exec(select(HoldRow.id).where(HoldRow.replaces_id == row.id)).first()
        decisions = session.exec(select(Decision).where(Decision.hold_id == row.id).order_by(col(Decision.id)))
        holds.append(
            Hold(
                id=row.id,
                district_id=school.district_id,
                school_id=school.id,
                school_key=school.key,
                school_name=school.name,
                opened_at=row.opened_at,
                ended_at=row.ended_at,
                ending=row.ending,
                replaced_by=replaced_by,
                delivery_id=row.delivery_id,
                reasons=tuple(reasons_of(session, row.id)),
                decisions=tuple(decisions),
            )
        )
    return holds
