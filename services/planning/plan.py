"""The plan: what a settled delivery would change, as one ChangeSet per school. Compares frames; writes nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

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
    contact_schools = set(summary.contacts)
    parts = _parts(rows, summary, issues.filter(pl.col("school_id").is_not_null()))
    changesets = tuple(
        ChangeSet(
            school_id=school_id,
            missing=external_school_id in settled.missing_schools,
            untyped=settled.absent.get(("guardianship", "type")),
            had_contacts=school_id in contact_schools,
            **{name: by_school.get(school_id, by_school[""]) for name, by_school in parts.items()},
        )
        for school_id, external_school_id in schools.iter_rows()
    )
    of_no_school = issues.filter(pl.col("school_id").is_null()).drop("school_id")
    return Plan(changesets, of_no_school, settled.notes, summary.present)


def _parts(rows: TableDiffs, summary: ChangeSummary, issues: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """The fields of a ChangeSet that are tables, each by school; under "" what a school without any row has."""
    guardianships, links = rows.guardianships, rows.links
    frames = {
        "links": links.written.select("school_id", *LINK_ROWS, "adopts", "new"),
        "class_memberships": rows.class_memberships.written.select("school_id", "id", *IN_CLASS, "is_owner"),
        "guardianships": guardianships.by_school(guardianships.written).select(
            "school_id", "id", *PAIR, "relationship", "type"
        ),
        "freed_emails": links.freed_emails,
        "changes": summary.changes,
        "updates": summary.updates,
        "families": summary.families,
        "issues": issues,
    }
    # Their school is a column of the row.
    whole = {
        "memberships": rows.memberships.written.select("id", *MEMBERSHIP_KEY),
        "classes": rows.classes.written.select("id", *CLASS_KEY, "name"),
    }
    ids = {
        "ended_memberships": rows.memberships.ended.select("school_id", "id"),
        "ended_classes": rows.classes.ended.select("school_id", "id"),
        "ended_class_memberships": rows.class_memberships.ended.select("school_id", "id"),
        "ended_guardianships": guardianships.by_school(guardianships.ended).select("school_id", "id"),
        "unseen": links.unseen.select("school_id", id="link_id"),
        "freed_ids": links.freed_ids.select("school_id", id="link_id"),
        "ended_choices": rows.class_memberships.ended_choices.select("school_id", "id"),
    }
    return {
        **{
            name: {key: dict(part.drop("school_id").iter_rows()) for key, part in _by_school(counted).items()}
            for name, counted in (("before", summary.before), ("after", summary.after))
        },
        **{
            name: {key: part.drop("school_id") for key, part in _by_school(frame).items()}
            for name, frame in frames.items()
        },
        **{name: _by_school(frame) for name, frame in whole.items()},
        **{name: {key: part["id"] for key, part in _by_school(frame).items()} for name, frame in ids.items()},
    }


def _by_school(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    parts = {str(key[0]): part for key, part in frame.partition_by("school_id", as_dict=True).items()}
    return {"": frame.clear(), **parts}
