"""A hold as a page shows it: its reasons with causes, counts and a sample of the evidence, and what can be decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import polars as pl
from sqlmodel import Session

from contracts.issues import Entry, catalogue
from models.tables import HoldReason
from services.holds.decisions import (
    ACCEPT,
    CONFIRM_CHANGES,
    CONFIRM_REMOVALS,
    DECIDED,
    FIXED,
    LEAVE_OUT,
    is_about,
    not_synced,
)
from services.holds.evidence import describe_counts, evidence_table, removals
from services.holds.store import Hold, counted_items, get_hold, sample_of

# Above so many removals their number has to be typed.
TYPED_ABOVE = 100
# What a page offers, each by a name in its address.
OFFERED: Mapping[str, str] = MappingProxyType(
    {
        "confirm-removals": CONFIRM_REMOVALS,
        "confirm-changes": CONFIRM_CHANGES,
        "accept": ACCEPT,
        "leave-out": LEAVE_OUT,
        "fixed": FIXED,
    }
)


@dataclass(frozen=True)
class ShownReason:
    """One reason. counts: in words, with limits. evidence: a sample, in the columns of its download; personal data.

    many: how much evidence there is in all. detail: the causes that were seen, in words.
    """

    row: HoldReason
    entry: Entry
    counts: tuple[str, ...]
    evidence: pl.DataFrame
    many: int


@dataclass(frozen=True)
class ShownHold:
    """A hold. removals: what confirming them would remove, by type. offered: what can be decided, by address.

    not_synced: why nothing can be decided about it, in words.
    """

    hold: Hold
    reasons: tuple[ShownReason, ...]
    removals: tuple[tuple[str, int], ...]
    offered: Mapping[str, str]
    not_synced: str | None

    @property
    def to_remove(self) -> int:
        """How much confirming the removals would remove."""
        return sum(many for _, many in self.removals)

    def stays_for(self, verb: str) -> list[ShownReason]:
        """The reasons that hold the school still once this was decided."""
        return [reason for reason in self.reasons if reason.row.code not in DECIDED[verb]]

    def about(self, verb: str) -> list[ShownReason]:
        """The reasons that this decides."""
        return [reason for reason in self.reasons if reason.row.code in DECIDED[verb]]


def shown(session: Session, hold_id: int) -> ShownHold:
    """One hold, open or ended, as a page shows it.

    Raises:
        NotFound: there is no such hold.
    """
    hold = get_hold(session, hold_id)
    counted = counted_items(session, [hold_id])
    many = dict(counted.group_by("code").agg(pl.col("many").sum()).iter_rows())
    reasons = tuple(
        ShownReason(
            row=row,
            entry=catalogue(hold.form)[row.code],
            counts=tuple(describe_counts(row)),
            evidence=evidence_table(sample_of(session, hold_id, row.code), row.code),
            many=many.get(row.code, 0),
        )
        for row in hold.reasons
    )
    why_not = not_synced(session, hold)
    is_open = hold.ending is None and why_not is None
    offered = {name: verb for name, verb in OFFERED.items() if is_open and is_about(verb, hold)}
    return ShownHold(hold, reasons, tuple(removals(counted).get(hold_id, {}).items()), offered, why_not)
