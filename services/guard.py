"""The guard: whether a school's ChangeSet may be applied, or holds. Pure judgement over counts.

Rule: a hold where both the share and the number removed are exceeded, strictly; everything of a type vanishing always
holds, however few; so does a school missing from the delivery, at first too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import polars as pl

from services.plan import ChangeSet

DATA_REMOVALS, SCHOOL_MISSING = "data_removals", "school_missing"


@dataclass(frozen=True)
class Limit:
    """A share (0 to 1) and a number of records; only what exceeds both holds."""

    share: float
    count: int


LIMITS: Mapping[str, Limit] = MappingProxyType(
    {
        "students": Limit(0.10, 10),
        "guardians": Limit(0.10, 10),
        "employees": Limit(0.10, 3),
        "classes": Limit(0.10, 5),
        "class_memberships": Limit(0.20, 50),  # those whose class and person both stay
        "guardianships": Limit(0.20, 20),  # those whose student stays
    }
)


@dataclass(frozen=True)
class Reason:
    """Why a school is held: a code of the catalogue, and by type the counts that crossed their limit.

    counts: type -> {"removed", "before", "limit_share", "limit_count"}. detail: what was seen, in words.
    """

    code: str
    counts: Mapping[str, Mapping[str, Any]]
    detail: str | None = None


def exceeds(removed: int, before: int, limit: Limit) -> bool:
    """Whether so many removals of so many hold. Exactly at a limit passes; all of them never does."""
    if removed == 0:
        return False
    return removed >= before or (removed > limit.share * before and removed > limit.count)


def judge(changeset: ChangeSet, limits: Mapping[str, Limit] = LIMITS) -> list[Reason]:
    """The reasons to hold this school, none if it may go on."""
    removed: dict[str, int] = dict(changeset.removals.group_by("type").agg(pl.len()).iter_rows())
    crossed = {
        kind: {
            "removed": removed.get(kind, 0),
            "before": changeset.before.get(kind, 0),
            "limit_share": limit.share,
            "limit_count": limit.count,
        }
        for kind, limit in limits.items()
        if exceeds(removed.get(kind, 0), changeset.before.get(kind, 0), limit)
    }
    reasons = []
    if changeset.missing:
        reasons.append(Reason(SCHOOL_MISSING, {}))
    if crossed:
        reasons.append(Reason(DATA_REMOVALS, crossed))
    return reasons
