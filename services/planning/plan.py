"""The plan: what a settled delivery would change, as one ChangeSet per school. Compares frames; writes nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime

import polars as pl

from contracts.roster import Settled
from services.planning.changes import ChangeSummary, describe_changes
from services.planning.changesets import LINK_ROWS, ChangeSet, Plan
from services.planning.compare import CLASS_KEY, IN_CLASS, MEMBERSHIP_KEY, PAIR, TableDiffs, compare
from services.planning.stored import Scope, StoredRows


def plan_district(scope: Scope, settled: Settled, stored: StoredRows, *, today: date | None = None) -> Plan:
    """Compare a settled district with what is stored, one join per table, and part it into schools.

    today: what birth dates are read by; None for the present. Nothing is judged yet, see `services.holds.judging`.

    The whole district is planned at once because people are shared: a row that two schools write is the same row, with
    the same ID, in both ChangeSets.
    """
    rows = compare(scope, settled, stored)
    schools = rows.context.schools
    issues = settled.issues.rename({"school_id": "external_school_id"}).join(
        schools, on="external_school_id", how="left"
    )
    issues = issues.drop("external_school_id")
    summary = describe_changes(rows, today or datetime.now(UTC).date())
    of_no_school = issues.filter(pl.col("school_id").is_null()).drop("school_id")
    return Plan(_changesets(rows, summary, issues), of_no_school, settled.notes, summary.present)


def _changesets(rows: TableDiffs, summary: ChangeSummary, issues: pl.DataFrame) -> tuple[ChangeSet, ...]:
    """What is to do, by school. issues: ISSUES, by our school_id."""
    settled, guardianships = rows.context.settled, rows.guardianships
    links = _by_school(
        rows.links.written.select("school_id", *LINK_ROWS, "adopts", "new", fresh=pl.col("new") & _once())
    )
    # Of memberships and classes the school is a column of the row.
    fresh = ~pl.col("was")
    memberships = _by_school(rows.memberships.written.select("id", *MEMBERSHIP_KEY, fresh=fresh), include_key=True)
    classes = _by_school(rows.classes.written.select("id", *CLASS_KEY, "name", fresh=fresh), include_key=True)
    class_memberships = _by_school(
        rows.class_memberships.written.select("school_id", "id", *IN_CLASS, "is_owner", fresh=fresh)
    )
    pairs = _by_school(
        guardianships.by_school(guardianships.written).select(
            "school_id", "id", *PAIR, "relationship", "type", fresh=fresh & _once()
        )
    )
    ended_memberships = _ids_by_school(rows.memberships.ended)
    ended_classes = _ids_by_school(rows.classes.ended)
    ended_class_memberships = _ids_by_school(rows.class_memberships.ended)
    ended_guardianships = _ids_by_school(guardianships.by_school(guardianships.ended))
    unseen = _ids_by_school(rows.links.unseen, "link_id")
    freed_emails = _by_school(rows.links.freed_emails)
    freed_ids = _ids_by_school(rows.links.freed_ids, "link_id")
    ended_choices = _ids_by_school(rows.class_memberships.ended_choices)
    changes, updates, families = (_by_school(frame) for frame in (summary.changes, summary.updates, summary.families))
    before, after = (_by_school(frame) for frame in (summary.before, summary.after))
    found = _by_school(issues)
    contact_schools = set(summary.contacts)
    return tuple(
        ChangeSet(
            school_id=school_id,
            missing=external_school_id in settled.missing_schools,
            links=links(school_id),
            memberships=memberships(school_id),
            classes=classes(school_id),
            class_memberships=class_memberships(school_id),
            guardianships=pairs(school_id),
            ended_memberships=ended_memberships(school_id),
            ended_classes=ended_classes(school_id),
            ended_class_memberships=ended_class_memberships(school_id),
            ended_guardianships=ended_guardianships(school_id),
            unseen=unseen(school_id),
            freed_emails=freed_emails(school_id),
            freed_ids=freed_ids(school_id),
            ended_choices=ended_choices(school_id),
            changes=changes(school_id),
            before=dict(before(school_id).iter_rows()),
            issues=found(school_id),
            updates=updates(school_id),
            families=families(school_id),
            after=dict(after(school_id).iter_rows()),
            untyped=settled.absent.get(("guardianship", "type")),
            had_contacts=school_id in contact_schools,
        )
        for school_id, external_school_id in rows.context.schools.iter_rows()
    )


def _once() -> pl.Expr:
    """Whether a row is at one school only."""
    return pl.len().over("id") == 1


def _by_school(frame: pl.DataFrame, *, include_key: bool = False) -> Callable[[str], pl.DataFrame]:
    """What gives a school's rows of the frame, which is partitioned once. include_key: with their school_id."""
    parts = frame.partition_by("school_id", as_dict=True, include_key=include_key)
    nothing = (frame if include_key else frame.drop("school_id")).clear()
    return lambda school_id: parts.get((school_id,), nothing)


def _ids_by_school(frame: pl.DataFrame, column: str = "id") -> Callable[[str], pl.Series]:
    """What gives a school's IDs of the frame, under the name `id`."""
    rows_of = _by_school(frame.select("school_id", id=column))
    return lambda school_id: rows_of(school_id)["id"]
