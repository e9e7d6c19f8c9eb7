"""The school whose issues list a record that no school in scope has: where it goes on, or what its rows nearly name.

Rule: whoever is provisioned and only names a school that is not there stays as applied. They have probably left, which
is no error, and is listed where they are.
"""

from __future__ import annotations

import polars as pl

from contracts.checking import Records
from contracts.roster import GUARDIAN, StoredRoster
from contracts.rules import Rule, breaking, contract

FORMER = contract(
    "records of a school that is not there",
    {"is_stored": (Rule("former_school_unknown", ~pl.col("is_stored")),)},
)


def whereabouts(records: Records, people: pl.DataFrame, stored: StoredRoster) -> pl.DataFrame:
    """Find the schools of the records without a row of a school in scope.

    Args:
        records: the checked delivery.
        people: kind, external_id, stands_in (String); everybody of the delivery, with the active link of whoever goes
            on as last applied.
        stored: what the database has of the district.

    Returns:
        table (employee, student or class), key, school_id (String).
    """
    lost = _lost(records, people)
    classes = records.classes.filter(pl.col("schools").list.len() == 0)
    active = lost.join(
        stored.school_members.filter(pl.col("left_at").is_null()), left_on="stands_in", right_on="link_id"
    ).select("school_id", table="kind", key="external_id")
    as_applied = stored.classes.join(classes, on="external_id", how="semi").select(
        "school_id", table=pl.lit("class"), key="external_id"
    )
    known = pl.concat([active, as_applied])
    nowhere = pl.concat(
        [lost.select(table="kind", key="external_id"), classes.select(table=pl.lit("class"), key="external_id")]
    ).join(known, on=["table", "key"], how="anti")
    near = records.near_schools.join(nowhere, on=["table", "key"], how="semi")
    return pl.concat([known.select(near.columns), near]).unique()


def placed(records: Records, people: pl.DataFrame, at: pl.DataFrame) -> pl.DataFrame:
    """The records' issues, those of no school at the record's whereabouts.

    Args:
        records: the checked delivery.
        people: as in `whereabouts`.
        at: what `whereabouts` gave.

    Returns:
        DRAFT_ISSUES.
    """
    of_record = ["root_table", "root"]
    stored = (
        _lost(records, people)
        .drop_nulls("stands_in")
        .select(root_table="kind", root="external_id", is_stored=pl.lit(True))
    )
    marked = (
        records.draft_issues.join(
            at.select(root_table="table", root="key", whereabouts="school_id"), on=of_record, how="left"
        )
        .join(stored, on=of_record, how="left")
        .with_columns(school_id=pl.coalesce("school_id", "whereabouts"), is_stored=pl.col("is_stored").fill_null(False))
    )
    is_former = (pl.col("code") == "school_unknown") & pl.col("is_stored")
    former = breaking(FORMER, marked.filter(is_former).drop("code"))
    return pl.concat([frame.select(records.draft_issues.columns) for frame in (marked.filter(~is_former), former)])


def _lost(records: Records, people: pl.DataFrame) -> pl.DataFrame:
    return people.filter(pl.col("kind") != GUARDIAN).join(records.members, on=["kind", "external_id"], how="anti")
