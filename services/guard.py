"""The guard: whether a school's ChangeSet may be applied, or holds. Pure judgement over frames and counts.

Rule: a hold where both the share and the number are exceeded, strictly; everything of a type vanishing always holds,
however few; so do a school missing from the delivery, a student with six or more guardians, and emergency contacts, at
first too. Each reason comes with its evidence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import polars as pl

from contracts.contacts import CONTACT_TYPES
from contracts.roster import Schema, empty
from services.changesets import MANY_GUARDIANS, ChangeSet

DATA_REMOVALS, SCHOOL_MISSING, UNUSUAL_CHANGES = "data_removals", "school_missing", "unusual_changes"
TOO_MANY_GUARDIANS, EMERGENCY_CONTACTS = "too_many_guardians", "emergency_contacts"

# The evidence of a hold, by reason; see models.tables.HoldItem.
ITEMS: Schema = {
    "code": pl.String,
    "type": pl.String,
    "key": pl.String,  # with the type what a decision is compared by; the same in every plan of the same
    "record_id": pl.String,
    "other_id": pl.String,
    "name": pl.String,
    "new_id": pl.String,
    "field": pl.String,
    "before": pl.String,
    "after": pl.String,
}
# Students whose guardians were accepted as they are: digest is of those guardians.
ACCEPTANCES: Schema = {"link_id": pl.String, "code": pl.String, "digest": pl.String}


@dataclass(frozen=True)
class Limit:
    """A share (0 to 1) and a number of records; only what exceeds both holds. own: set by the district."""

    share: float
    count: int
    own: bool = False


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
ADDED, CHANGED = "guardianships_added", "changes"
CHANGE_LIMITS: Mapping[str, Limit] = MappingProxyType(
    {
        ADDED: Limit(0.50, 50),  # to students who stay
        CHANGED: Limit(0.50, 25),  # last names, e-mails or phones of a kind of people
    }
)
ALL_LIMITS: Mapping[str, Limit] = MappingProxyType({**LIMITS, **CHANGE_LIMITS})
CHANGED_TYPES = ("students", "employees", "guardians")
CHANGED_FIELDS = ("last_name", "email", "phone")


@dataclass(frozen=True)
class Reason:
    """Why a school is held: a code of the catalogue, by type the counts that crossed their limit, and the evidence.

    counts: type -> {"removed" or "changed" or "added", "before", "limit_share", "limit_count"}, and "own_limit" where
    the district set it; of guardians {"found", "limit"}, of contacts {"found"}. detail: the cause that is seen, in
    words. items: ITEMS.
    """

    code: str
    counts: Mapping[str, Mapping[str, Any]]
    detail: str | None = None
    items: pl.DataFrame = field(default_factory=lambda: empty(ITEMS), compare=False)


def limits_of(own: Mapping[str, list[float]] | None) -> Mapping[str, Limit]:
    """The limits of a district: its own (type -> [share, count]), and ours for the other types."""
    set_up = {kind: Limit(share, int(count), own=True) for kind, (share, count) in (own or {}).items()}
    return {**ALL_LIMITS, **set_up}


def exceeds(count: int, before: int, limit: Limit) -> bool:
    """Whether so many of so many are more than the limit. Exactly at it passes."""
    # Divided, as 0.29 * 100 is less than 29.
    return count > limit.count and count / max(before, 1) > limit.share


def vanishes(removed: int, before: int) -> bool:
    """Whether everything of a type would be gone."""
    return removed > 0 and removed >= before


def judge(
    changeset: ChangeSet,
    limits: Mapping[str, Limit] = ALL_LIMITS,
    accepted: pl.DataFrame | None = None,
    *,
    is_known_missing: bool = False,
) -> list[Reason]:
    """The reasons to hold this school, none if it may go on.

    accepted: ACCEPTANCES. is_known_missing: somebody confirmed that it is missing; that alone no longer holds it.
    """
    known = empty(ACCEPTANCES) if accepted is None else accepted
    found = (
        None if is_known_missing else _missing(changeset),
        _removals(changeset, limits),
        _changes(changeset, limits),
        _many_guardians(changeset, known),
        _contacts(changeset, known),
    )
    return [reason for reason in found if reason is not None]


def _missing(changeset: ChangeSet) -> Reason | None:
    return Reason(SCHOOL_MISSING, {}, changeset.causes.get(SCHOOL_MISSING)) if changeset.missing else None


def _removals(changeset: ChangeSet, limits: Mapping[str, Limit]) -> Reason | None:
    """Removals by type. An ID that changed counts among them, as what it stood for is gone under it."""
    gone = changeset.removals
    removed: dict[str, int] = dict(gone.group_by("type").agg(pl.len()).iter_rows())
    crossed = {}
    for kind in LIMITS:
        count, before = removed.get(kind, 0), changeset.before.get(kind, 0)
        if exceeds(count, before, limits[kind]) or vanishes(count, before):
            crossed[kind] = {"removed": count, "before": before, **_told(limits[kind])}
    if not crossed:
        return None
    items = _items(
        gone,
        DATA_REMOVALS,
        key=pl.concat_str("key", "new_id", separator=" ", ignore_nulls=True),
        record_id="record_id",
        other_id="other_id",
        name="name",
        new_id="new_id",
    )
    return Reason(DATA_REMOVALS, crossed, changeset.causes.get(DATA_REMOVALS), items)


def _changes(changeset: ChangeSet, limits: Mapping[str, Limit]) -> Reason | None:
    """Changes by kind and field, and guardianships added. Filling in what was empty changes nothing."""
    changed = changeset.updates.filter(
        ((pl.col("field") == "added") & (pl.col("type") == "guardianships"))
        | (pl.col("field").is_in(CHANGED_FIELDS) & pl.col("before").is_not_null())
    )
    counted = {(kind, name): count for kind, name, count in changed.group_by("type", "field").len().iter_rows()}
    crossed = {}
    for kind in CHANGED_TYPES:
        for name in CHANGED_FIELDS:
            count, before = counted.get((kind, name), 0), changeset.before.get(kind, 0)
            if exceeds(count, before, limits[CHANGED]):
                crossed[f"{kind}_{name}"] = {"changed": count, "before": before, **_told(limits[CHANGED])}
    count, before = counted.get(("guardianships", "added"), 0), changeset.before.get("guardianships", 0)
    # A school that had none has nothing to compare.
    if before and exceeds(count, before, limits[ADDED]):
        crossed["guardianships"] = {"added": count, "before": before, **_told(limits[ADDED])}
    if not crossed:
        return None
    columns = ("key", "record_id", "other_id", "name", "field", "before", "after")
    items = _items(changed, UNUSUAL_CHANGES, **{name: name for name in columns})
    return Reason(UNUSUAL_CHANGES, crossed, changeset.causes.get(UNUSUAL_CHANGES), items)


def _told(limit: Limit) -> dict[str, Any]:
    own = {"own_limit": True} if limit.own else {}
    return {"limit_share": limit.share, "limit_count": limit.count, **own}


def _many_guardians(changeset: ChangeSet, accepted: pl.DataFrame) -> Reason | None:
    families = _unaccepted(changeset.families, TOO_MANY_GUARDIANS, accepted)
    many = families.filter(pl.len().over("student_link_id") >= MANY_GUARDIANS)
    if many.is_empty():
        return None
    counts = {"students": {"found": many["student_link_id"].n_unique(), "limit": MANY_GUARDIANS}}
    cause = changeset.causes.get(TOO_MANY_GUARDIANS)
    return Reason(TOO_MANY_GUARDIANS, counts, cause, _family_items(many, TOO_MANY_GUARDIANS))


def _contacts(changeset: ChangeSet, accepted: pl.DataFrame) -> Reason | None:
    contacts = _unaccepted(changeset.families, EMERGENCY_CONTACTS, accepted).filter("is_contact")
    if contacts.is_empty():
        return None
    kinds = contacts["type"].str.strip_chars().str.to_lowercase()
    counts = {kind: {"found": (kinds == kind).sum()} for kind in CONTACT_TYPES if (kinds == kind).any()}
    return Reason(EMERGENCY_CONTACTS, counts, None, _family_items(contacts, EMERGENCY_CONTACTS))


def _unaccepted(families: pl.DataFrame, code: str, accepted: pl.DataFrame) -> pl.DataFrame:
    """Those of the FAMILIES that nobody accepted, or whose guardians have changed since."""
    mine = accepted.filter(pl.col("code") == code)
    if families.is_empty() or mine.is_empty():
        return families
    same = family_digests(families).join(mine, left_on=["student_link_id", "digest"], right_on=["link_id", "digest"])
    return families.join(same, on="student_link_id", how="anti")


def family_digests(families: pl.DataFrame) -> pl.DataFrame:
    """student_link_id, digest: of who a student's guardians are and of what type, in any order. families: FAMILIES."""
    told = families.select(
        "student_link_id",
        line=pl.concat_str("guardian_key", _type(), separator="\t"),
    )
    joined = told.group_by("student_link_id").agg(pl.col("line").sort()).with_columns(pl.col("line").list.join("\n\n"))
    # Only ever the few students whom a hold is about.
    digests = [hashlib.sha256(line.encode()).hexdigest() for line in joined["line"]]
    return joined.select("student_link_id", digest=pl.Series(digests, dtype=pl.String))


def _type() -> pl.Expr:
    return pl.col("type").fill_null("").str.strip_chars().str.to_lowercase()


def _family_items(families: pl.DataFrame, code: str) -> pl.DataFrame:
    """Items whose key is made of the source's IDs and names: the student and the guardian may both be new."""
    return _items(
        families.with_columns(kind=_type()),
        code,
        type=pl.lit("guardianships"),
        key=pl.concat_str("student_id", "guardian_key", "kind", separator="\t"),
        record_id="student_id",
        other_id="guardian_id",
        name="student",
        field="type",
        after="guardian",
    )


def _items(frame: pl.DataFrame, code: str, **columns: str | pl.Expr) -> pl.DataFrame:
    """ITEMS of one reason. columns: what each is; type is the frame's, the others are null."""
    given: dict[str, str | pl.Expr] = {"type": "type", "code": pl.lit(code), **columns}
    expressions = []
    for name, dtype in ITEMS.items():
        value = given.get(name, pl.lit(None))
        expressions.append((pl.col(value) if isinstance(value, str) else value).cast(dtype).alias(name))
    return frame.select(expressions)
