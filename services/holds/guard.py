"""The guard: whether a school's ChangeSet may be applied, or holds. Pure judgement over frames and counts.

Rule: a hold where both the share and the number are exceeded, strictly; everything of a type vanishing always holds,
however few; so do a field that is emptied throughout, a school missing from the delivery, a student with six or more
guardians, and emergency contacts, at first too. Schools that are within their own limits may together exceed the
district's. Each reason comes with its evidence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import polars as pl

from contracts.contacts import CONTACT_TYPES, contact_type
from contracts.issues import DATA_REMOVALS, EMERGENCY_CONTACTS, SCHOOL_MISSING, TOO_MANY_GUARDIANS, UNUSUAL_CHANGES
from contracts.roster import Schema, empty
from services.figures import DISTRICT, UNTYPED_GUARDIANS
from services.planning.changesets import (
    CHANGE_ID,
    CLASS_MEMBERSHIPS,
    EMPTIABLE,
    ITEMS,
    MANY_GUARDIANS,
    ChangeSet,
    Reason,
)

# Students whose guardians were accepted as they are: digest is of those guardians.
ACCEPTANCES: Schema = {"link_id": pl.String, "code": pl.String, "digest": pl.String}
# Who was removed by a confirmation since the district's limit holds schools: where they were, and their accounts.
CONFIRMED: Schema = {"school_id": pl.String, "type": pl.String, "key": pl.String}


@dataclass(frozen=True)
class Limit:
    """A share (0 to 1) and a number of records; only what exceeds both holds the school."""

    share: float
    count: int
    is_district_limit: bool = False  # set by the district


LIMITS: Mapping[str, Limit] = MappingProxyType(
    {
        "students": Limit(0.10, 10),
        "guardians": Limit(0.10, 10),
        "employees": Limit(0.10, 3),
        "classes": Limit(0.10, 5),
        **dict.fromkeys(CLASS_MEMBERSHIPS, Limit(0.20, 50)),  # those whose class and person both stay
        "guardianships": Limit(0.20, 20),  # those whose student stays
    }
)
ADDED, CHANGED = "guardianships_added", "changes"
CHANGE_LIMITS: Mapping[str, Limit] = MappingProxyType(
    {
        ADDED: Limit(0.50, 50),  # to students who stay
        CHANGED: Limit(0.50, 25),  # last names, emails or phones of a kind of people
    }
)
# Of all schools of a source together: who would be at none of them afterwards.
DISTRICT_LIMITS: Mapping[str, Limit] = MappingProxyType(
    {
        f"{DISTRICT}students": Limit(0.05, 100),
        f"{DISTRICT}guardians": Limit(0.05, 100),
        f"{DISTRICT}employees": Limit(0.05, 15),
    }
)
ALL_LIMITS: Mapping[str, Limit] = MappingProxyType({**LIMITS, **CHANGE_LIMITS, **DISTRICT_LIMITS})
# A district's one limit for several types.
_OF_SEVERAL: Mapping[str, tuple[str, ...]] = MappingProxyType({"class_memberships": CLASS_MEMBERSHIPS})
CHANGED_TYPES = ("students", "employees", "guardians")
CHANGED_FIELDS = ("last_name", "email", "phone")
# So many at least must have had a value, where it counts that nobody has one afterwards.
EMPTIED = 10
SCHOOLS_TOGETHER = 2


def limits_of(own: Mapping[str, list[float]] | None) -> Mapping[str, Limit]:
    """The limits of a district: its own (type -> [share, count]), and ours for the other types.

    Rule: `class_memberships` is of both kinds of them, one set for a kind goes before it. The share of a district's own
    limit for its schools is also that of all schools together, unless that has one of its own.
    """
    given = {kind: Limit(share, int(count), is_district_limit=True) for kind, (share, count) in (own or {}).items()}
    found = dict(ALL_LIMITS)
    for name, kinds in _OF_SEVERAL.items():
        if name in given:
            found |= dict.fromkeys(kinds, given[name])
    for name, limit in DISTRICT_LIMITS.items():
        if (of_schools := given.get(name.removeprefix(DISTRICT))) is not None:
            found[name] = Limit(of_schools.share, limit.count, is_district_limit=True)
    return found | {kind: limit for kind, limit in given.items() if kind in ALL_LIMITS}


def exceeds(count: int, before: int, limit: Limit) -> bool:
    """Whether a count out of a total exceeds the limit. Exactly at it passes."""
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
    asked_about_contacts: bool = False,
) -> list[Reason]:
    """The reasons to hold this school for what becomes of it alone, none if it may go on.

    accepted: ACCEPTANCES. is_known_missing: somebody confirmed that it is missing; that alone no longer holds it.
    asked_about_contacts: see `holds.asked_about_contacts`.
    """
    known = empty(ACCEPTANCES) if accepted is None else accepted
    found = (
        None if is_known_missing else _missing(changeset),
        _removals(changeset, limits),
        _changes(changeset, limits),
        _many_guardians(changeset, known),
        _contacts(changeset, known, asked=asked_about_contacts),
    )
    return [reason for reason in found if reason is not None]


def judge_together(
    present: pl.DataFrame,
    changesets: Collection[ChangeSet],
    limits: Mapping[str, Limit] = ALL_LIMITS,
    confirmed: pl.DataFrame | None = None,
) -> dict[str, Reason]:
    """Hold schools that are within their own limits and together exceed the district's.

    Rule: of each type who would be at none of the source's schools afterwards, out of all who are at these schools;
    coming from two schools or more.

    Args:
        present: PRESENT of the whole source.
        changesets: of the schools within their own limits of removals.
        limits: the district's, by type.
        confirmed: CONFIRMED, as if it were still to be removed.

    Returns:
        The reason for each school to hold, by school ID.
    """
    removed_already = empty(CONFIRMED) if confirmed is None else confirmed
    here = present.filter(pl.col("school_id").is_in([each.school_id for each in changesets]) & pl.col("was_here"))
    leaving = here.filter("leaves").select("school_id", "type", "key")
    gone = removed_already.join(present, on=["type", "key"], how="anti")
    counted = pl.concat([leaving, gone])
    everybody = pl.concat([here.select("type", "key"), gone.select("type", "key")]).unique()
    before = dict(everybody.group_by("type").len().iter_rows())
    figures = counted.group_by("type").agg(removed=pl.col("key").n_unique(), schools=pl.col("school_id").n_unique())
    crossed = {
        kind: {
            "removed": removed,
            "before": before[kind],
            "schools": schools,
            **_limit_counts(limits[f"{DISTRICT}{kind}"]),
        }
        for kind, removed, schools in figures.sort("type").iter_rows()
        if schools >= SCHOOLS_TOGETHER and exceeds(removed, before[kind], limits[f"{DISTRICT}{kind}"])
    }
    reasons = {}
    for changeset in changesets:
        mine = dict(leaving.filter(school_id=changeset.school_id).group_by("type").len().iter_rows())
        counts = {f"{DISTRICT}{kind}": {"here": mine[kind], **each} for kind, each in crossed.items() if kind in mine}
        if counts:
            schools = max(each["schools"] for each in counts.values())
            cause = f"The school is within its own limits, but {schools} schools together exceed the district's."
            reasons[changeset.school_id] = Reason(DATA_REMOVALS, counts, cause, _removed_items(changeset))
    return reasons


def is_of_district(counts: Mapping[str, Any] | None) -> bool:
    """Whether the counts of a reason are those of all schools together."""
    return any(kind.startswith(DISTRICT) for kind in counts or ())


def _missing(changeset: ChangeSet) -> Reason | None:
    return Reason(SCHOOL_MISSING, {}) if changeset.missing else None


def _removals(changeset: ChangeSet, limits: Mapping[str, Limit]) -> Reason | None:
    """Removals by type. An ID that changed counts among them, as what it stood for is gone under it."""
    counted = {
        (kind, action == CHANGE_ID): count
        for kind, action, count in changeset.changes.group_by("type", "action").len().iter_rows()
        if action in ("remove", CHANGE_ID)
    }
    crossed = {}
    for kind in LIMITS:
        limit = limits[kind]
        removed, ids, before = (
            counted.get((kind, False), 0),
            counted.get((kind, True), 0),
            changeset.before.get(kind, 0),
        )
        after = changeset.after.get(kind, 0)
        if exceeds(removed + ids, before, limit) or (not after and vanishes(removed + ids, before)):
            crossed[kind] = {
                **({"removed": removed} if removed else {}),
                **({"ids": ids} if ids else {}),
                "before": before,
                **({"after": after} if after and vanishes(removed, before) else {}),
                **_limit_counts(limit),
            }
    return Reason(DATA_REMOVALS, crossed, items=_removed_items(changeset)) if crossed else None


def _removed_items(changeset: ChangeSet) -> pl.DataFrame:
    return _items(
        changeset.removals,
        DATA_REMOVALS,
        key=pl.concat_str("key", "new_id", separator=" ", ignore_nulls=True),
        record_id="record_id",
        counterpart_id="counterpart_id",
        name="name",
        new_id="new_id",
    )


def _changes(changeset: ChangeSet, limits: Mapping[str, Limit]) -> Reason | None:
    """Changes by kind and field, fields that are emptied, and guardianships added.

    Filling in what was empty changes nothing.
    """
    if changeset.updates.is_empty():
        return None
    had = changeset.updates.filter(pl.col("before").is_not_null())
    lost = had.filter(pl.col("after").is_null() & pl.col("field").is_in(EMPTIABLE))
    lost_by_field = {(kind, name): count for kind, name, count in lost.group_by("type", "field").len().iter_rows()}
    changed = changeset.updates.filter(
        ((pl.col("field") == "added") & (pl.col("type") == "guardianships"))
        | (pl.col("field").is_in(CHANGED_FIELDS) & pl.col("before").is_not_null())
    )
    counted = {(kind, name): count for kind, name, count in changed.group_by("type", "field").len().iter_rows()}
    crossed = {}
    emptied = []
    for kind in CHANGED_TYPES:
        before = changeset.before.get(kind, 0)
        for name in dict.fromkeys((*CHANGED_FIELDS, *EMPTIABLE)):
            type_ = f"{kind}_{name}"
            lost_here, count = lost_by_field.get((kind, name), 0), counted.get((kind, name), 0)
            if lost_here >= EMPTIED and not changeset.after.get(type_, 0):
                crossed[type_] = {"emptied": lost_here, "before": before}
                emptied.append(lost.filter(type=kind, field=name))
            elif exceeds(count, before, limits[CHANGED]):
                crossed[type_] = {"changed": count, "before": before, **_limit_counts(limits[CHANGED])}
    count, before = counted.get(("guardianships", "added"), 0), changeset.before.get("guardianships", 0)
    # A school that had none has nothing to compare.
    if before and exceeds(count, before, limits[ADDED]):
        crossed["guardianships"] = {"added": count, "before": before, **_limit_counts(limits[ADDED])}
    if not crossed:
        return None
    shown = pl.concat([changed, *emptied]).unique(["type", "key"], keep="first", maintain_order=True)
    columns = ("key", "record_id", "counterpart_id", "name", "field", "before", "after")
    return Reason(UNUSUAL_CHANGES, crossed, items=_items(shown, UNUSUAL_CHANGES, **{name: name for name in columns}))


def _limit_counts(limit: Limit) -> dict[str, Any]:
    own = {"own_limit": True} if limit.is_district_limit else {}
    return {"limit_share": limit.share, "limit_count": limit.count, **own}


def _many_guardians(changeset: ChangeSet, accepted: pl.DataFrame) -> Reason | None:
    families = _unaccepted(changeset.families, TOO_MANY_GUARDIANS, accepted)
    many = families.filter(pl.len().over("student_link_id") >= MANY_GUARDIANS)
    if many.is_empty():
        return None
    counts = {"students": {"found": many["student_link_id"].n_unique(), "limit": MANY_GUARDIANS}}
    return Reason(TOO_MANY_GUARDIANS, counts, items=_family_items(many, TOO_MANY_GUARDIANS))


def _contacts(changeset: ChangeSet, accepted: pl.DataFrame, *, asked: bool) -> Reason | None:
    """Emergency contacts; and, where a school had some, guardians whose type the data no longer give."""
    if changeset.families.is_empty() and not asked:
        return None
    contacts = _unaccepted(changeset.families, EMERGENCY_CONTACTS, accepted).filter("is_contact")
    items = _family_items(contacts, EMERGENCY_CONTACTS)
    if changeset.untyped is None:
        kinds = contacts.select(contact_type(pl.col("type"))).to_series()
        counts = {kind: {"found": (kinds == kind).sum()} for kind in CONTACT_TYPES if (kinds == kind).any()}
        return Reason(EMERGENCY_CONTACTS, counts, items=items) if counts else None
    if not asked and (contacts.is_empty() or not changeset.had_contacts):
        return None
    detail = f"{changeset.untyped} is missing, so emergency contacts can't be distinguished from guardians."
    return Reason(EMERGENCY_CONTACTS, {UNTYPED_GUARDIANS: {"found": contacts.height}}, detail, items)


def _unaccepted(families: pl.DataFrame, code: str, accepted: pl.DataFrame) -> pl.DataFrame:
    """Those of the FAMILIES that nobody accepted, or whose guardians have changed since."""
    mine = accepted.filter(pl.col("code") == code)
    if families.is_empty() or mine.is_empty():
        return families
    same = family_digests(families).join(mine, left_on=["student_link_id", "digest"], right_on=["link_id", "digest"])
    return families.join(same, on="student_link_id", how="anti")


def lapsed(families: pl.DataFrame, accepted: pl.DataFrame) -> pl.Series:
    """Find the students whose guardians are no longer those accepted.

    Rule: an acceptance ends when the guardians change, so that the same ones are asked about when they come again.

    Args:
        families: FAMILIES of all schools.
        accepted: ACCEPTANCES.

    Returns:
        The students' link IDs (String), each once.
    """
    if accepted.is_empty():
        return accepted["link_id"]
    same = family_digests(families).rename({"student_link_id": "link_id"})
    return accepted.join(same, on=["link_id", "digest"], how="anti")["link_id"].unique()


def family_digests(families: pl.DataFrame) -> pl.DataFrame:
    """Digest who each student's guardians are, and of what type; their order makes no difference.

    Args:
        families: FAMILIES.

    Returns:
        student_link_id, digest (String), each student once.
    """
    lines = families.select(
        "student_link_id",
        line=pl.concat_str("guardian_key", _type(), separator="\t"),
    )
    joined = lines.group_by("student_link_id").agg(pl.col("line").sort()).with_columns(pl.col("line").list.join("\n\n"))
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
        counterpart_id="guardian_id",
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
