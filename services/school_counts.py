"""How many teachers and students a school has, kept with it, and how many errors and alerts."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl
from sqlmodel import Session

from contracts.issues import CATALOGUE, Severity
from contracts.roster import Schema
from models import bulk

# Who belongs to a school: its active accounts by the link's kind and role, whatever the account adopted for them is.
# Looked up for each membership: as a join, PostgreSQL reads all links as long as it takes the schools for larger.
_ACCOUNT = """
(SELECT l.account_id FROM link l JOIN account a ON a.id = l.account_id
 WHERE l.id = m.link_id AND l.archived_at IS NULL AND a.archived_at IS NULL
 AND l.kind = '{kind}' AND l.role = '{role}')
"""
_COUNTED = f"""
SELECT school_id, count(DISTINCT teacher) AS teachers, count(DISTINCT student) AS students FROM (
    SELECT m.school_id, {_ACCOUNT.format(kind="employee", role="teacher")} AS teacher,
           {_ACCOUNT.format(kind="student", role="student")} AS student
    FROM school_membership m WHERE m.active AND {{condition}}
) AS counted GROUP BY school_id
"""

SCHOOL_COUNTS: Schema = {
    "school_id": pl.String,
    "teachers": pl.Int64,
    "students": pl.Int64,
    "errors": pl.Int64,
    "alerts": pl.Int64,
}


def recount(session: Session, school_ids: Collection[str]) -> None:
    """Count these schools' teachers and students again: in the transaction that changed who is there."""
    condition, parameters = bulk.in_list(session, "m.school_id", list(school_ids))
    schema = {name: SCHOOL_COUNTS[name] for name in ("school_id", "teachers", "students")}
    counted = bulk.read(session, _COUNTED.format(condition=condition), parameters, schema)
    asked = pl.DataFrame({"school_id": list(school_ids)}, schema={"school_id": pl.String})
    counts = asked.join(counted, on="school_id", how="left")
    bulk.update_columns(session, "school", counts.select(pl.col("teachers", "students").fill_null(0), id="school_id"))


def schools_of_links(session: Session, link_ids: pl.Series) -> list[str]:
    """The schools that any of these links is or was at."""
    condition, parameters = bulk.in_list(session, "link_id", link_ids)
    return bulk.read(
        session,
        f"SELECT DISTINCT school_id FROM school_membership WHERE {condition}",
        parameters,
        {"school_id": pl.String},
    )["school_id"].to_list()


def school_counts(session: Session, source_id: str, school_ids: Collection[str]) -> pl.DataFrame:
    """SCHOOL_COUNTS of these schools, with the issues that a source has of them."""
    condition, parameters = bulk.in_list(session, "id", list(school_ids))
    people = bulk.read(
        session,
        f"SELECT id AS school_id, teachers, students FROM school WHERE {condition}",
        parameters,
        {name: SCHOOL_COUNTS[name] for name in ("school_id", "teachers", "students")},
    )
    condition, parameters = bulk.in_list(session, "school_id", list(school_ids))
    issues = bulk.read(
        session,
        f"SELECT school_id, code, count(*) AS many FROM issue WHERE source_id = :source AND {condition}"
        " GROUP BY school_id, code",
        {**parameters, "source": source_id},
        {"school_id": pl.String, "code": pl.String, "many": pl.Int64},
    )
    errors = [code for code, entry in CATALOGUE.items() if entry.severity == Severity.ERROR]
    is_error = pl.col("code").is_in(errors)
    counted = issues.group_by("school_id").agg(
        errors=pl.col("many").filter(is_error).sum(), alerts=pl.col("many").filter(~is_error).sum()
    )
    return (
        people.join(counted, on="school_id", how="left")
        .with_columns(pl.col("errors", "alerts").fill_null(0))
        .select(list(SCHOOL_COUNTS))
    )
