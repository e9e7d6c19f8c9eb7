"""A school's hold: opened, replaced when what it shows changes, and released."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from datetime import datetime

import polars as pl
from sqlmodel import Session

from contracts.issues import DISCONNECTED, FILE_ERRORS, STALE, UNUSUAL_CHANGES
from contracts.roster import empty
from models import bulk
from models.tables import Hold as HoldRow
from models.tables import HoldReason
from services.holds.guard import is_of_district
from services.holds.store import items_of, open_hold, reasons_of, waiting_decisions
from services.mail import notices
from services.planning.changesets import ITEMS, Reason


def _digest(reasons: Sequence[Reason], items: pl.DataFrame) -> str:
    shown = items.select(pl.concat_str("code", "type", "key", new_value(), separator=" ").sort())
    # Why a connection is broken is all there is to such a hold; of one with a set, the set is what counts.
    parts = [
        reason.code if reason.detail is None or len(reason.items) else f"{reason.code} {reason.detail}"
        for reason in reasons
    ]
    # Figures of all schools together may change while the school's own set stays.
    parts += [f"{reason.code} {dict(reason.counts)}" for reason in reasons if is_of_district(reason.counts)]
    lines = [*sorted(parts), *shown.to_series()]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def new_value() -> pl.Expr:
    """What else than type and key a decision is compared by. Rule: changes also by new value."""
    return pl.when(pl.col("code") == UNUSUAL_CHANGES).then("after").fill_null("").alias("new_value")


def _set_of(reasons: Sequence[Reason]) -> pl.DataFrame:
    return pl.concat([empty(ITEMS), *(reason.items for reason in reasons)])


def hold_school(
    session: Session,
    school_id: str,
    reasons: Sequence[Reason],
    *,
    run_id: int | None,
    delivery_id: int | None,
    now: datetime,
) -> HoldRow:
    """Hold a school for these reasons with their sets, and only these.

    An open hold with the same reasons, seen alike, and the same set stays as it is; any other is replaced.
    """
    items = _set_of(reasons)
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
    evidence = {reason.code: notices.describe_evidence(reason.counts, reason.detail) for reason in reasons}
    notices.add_hold_notice(session, school_id, evidence, run_id=run_id, now=now)
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
    """Hold these schools for one more reason, one that has no set of its own; their other reasons remain.

    detail: what was seen, in words without personal data.
    """
    added = Reason(code, {}, detail)
    for school_id in school_ids:
        former = open_hold(session, school_id)
        if former is None or former.id is None:
            hold_school(session, school_id, [added], run_id=run_id, delivery_id=None, now=now)
            continue
        kept = _reasons(session, former.id)
        if (code, detail) in {(reason.code, reason.detail) for reason in kept}:
            continue
        kept = [reason for reason in kept if reason.code != code]
        hold_school(
            session,
            school_id,
            [*kept, added],
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
        reasons = _reasons(session, former.id)
        remaining = [reason for reason in reasons if reason.code not in codes]
        if len(remaining) == len(reasons):
            continue
        dropped += 1
        if not remaining:
            release(session, school_id, run_id=run_id, now=now)
            continue
        hold_school(session, school_id, remaining, run_id=run_id, delivery_id=former.delivery_id, now=now)
    return dropped


def _reasons(session: Session, hold_id: int) -> list[Reason]:
    items = items_of(session, hold_id)
    return [
        Reason(row.code, row.counts or {}, row.detail, items.filter(pl.col("code") == row.code))
        for row in reasons_of(session, hold_id)
    ]


def of_the_source(session: Session, school_id: str) -> list[Reason]:
    """The reasons of the school's open hold that only what the source sends can end."""
    former = open_hold(session, school_id)
    if former is None or former.id is None:
        return []
    return [reason for reason in _reasons(session, former.id) if reason.code in (DISCONNECTED, FILE_ERRORS, STALE)]


def release(session: Session, school_id: str, *, run_id: int | None = None, now: datetime) -> HoldRow | None:
    """End the school's open hold, and with it every decision made about it or its forerunners."""
    hold = open_hold(session, school_id)
    if hold is None:
        return None
    hold.ended_at, hold.ending = now, "released"
    session.add(hold)
    notices.add_release_notice(session, school_id, run_id=run_id, now=now)
    for decision in waiting_decisions(session, school_id):
        decision.applied_at = now
        session.add(decision)
    session.flush()
    return hold
