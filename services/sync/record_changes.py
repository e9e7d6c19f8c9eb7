"""What a run changed of each person and class of a school, written with the change itself; values are never kept.

Rule: one row for each person and class that the school's ChangeSet tells of. Who or what is new brings its fields,
classes and guardians along, and is told as created only.
"""

from __future__ import annotations

from datetime import datetime

import polars as pl
from sqlmodel import Session

from contracts.roster import Schema
from models import bulk
from services.planning.changesets import CHANGE_ID, CLASS_MEMBERSHIPS, IN_CLASS_OF_KIND, TYPE_OF_KIND, ChangeSet

UPDATED_FIELDS: Schema = {"subject_id": pl.String, "field": pl.String}
_TOLD: Schema = {"subject_id": pl.String, "action": pl.String, "field": pl.String}
# Who is new is told as such only, and so is who comes by adoption.
_NEW = ("create", "adopt")
_RECORDS = (*TYPE_OF_KIND.values(), "classes")
# By what a pair's change does: how it is told of its person and of its class, or of its student and guardian.
_DONE = {"create": "added", "reactivate": "added", "remove": "removed", "update": "changed"}


def record(session: Session, run_id: int, changes: ChangeSet, updated: pl.DataFrame, *, now: datetime) -> None:
    """Write what a school's ChangeSet changed, in its transaction. updated: UPDATED_FIELDS of the people written.

    fields: first_name and the like; id; name (of a class); class, guardian, child, student or teacher with _added,
    _removed or _changed.
    """
    told = pl.concat([_of_records(changes.changes), _of_pairs(changes.changes), _of_fields(updated)])
    if told.is_empty():
        return
    rows = (
        told.group_by("subject_id")
        .agg(
            # What is told of a record itself goes before what is told of it by its pairs and fields.
            action=pl.col("action").drop_nulls().first(),
            fields=pl.col("field").drop_nulls().unique().sort().str.join("\n"),
        )
        .with_columns(action=pl.col("action").fill_null("update"), fields=pl.col("fields").replace("", None))
        .with_columns(fields=pl.when(~pl.col("action").is_in(_NEW)).then("fields"))
        .sort("subject_id")
    )
    bulk.insert(
        session,
        "record_change",
        rows.with_columns(
            run_id=pl.lit(run_id),
            school_id=pl.lit(changes.school_id),
            at=pl.lit(now).cast(bulk.MOMENT),
        ),
    )


def _of_records(changes: pl.DataFrame) -> pl.DataFrame:
    field = (
        pl.when(action=CHANGE_ID)
        .then(pl.lit("id"))
        .when((pl.col("type") == "classes") & (pl.col("action") == "update"))
        .then(pl.lit("name"))
    )
    return changes.filter(pl.col("type").is_in(_RECORDS)).select(subject_id="key", action="action", field=field)


def _of_pairs(changes: pl.DataFrame) -> pl.DataFrame:
    """What pairs change of both their sides: the key of a pair holds our IDs of them."""
    new = changes.filter(pl.col("type").is_in(_RECORDS) & pl.col("action").is_in(_NEW)).select(subject_id="key")
    pairs = changes.filter(~pl.col("type").is_in(_RECORDS)).select(
        "type",
        done=pl.col("action").replace_strict(_DONE, return_dtype=pl.String),
        first=pl.col("key").str.split_exact(" ", 1).struct.field("field_0"),
        second=pl.col("key").str.split_exact(" ", 1).struct.field("field_1"),
    )
    member = {kind: who for who, kind in IN_CLASS_OF_KIND.items()}
    in_class = pairs.filter(pl.col("type").is_in(CLASS_MEMBERSHIPS))
    families = pairs.filter(type="guardianships")
    teacher = pl.when(pl.col("type").replace_strict(member, return_dtype=pl.String) == "student")
    sides = (
        in_class.select(
            subject_id="first", what=teacher.then(pl.lit("student")).otherwise(pl.lit("teacher")), done="done"
        ),
        in_class.select(subject_id="second", what=pl.lit("class"), done="done"),
        families.select(subject_id="first", what=pl.lit("guardian"), done="done"),
        families.select(subject_id="second", what=pl.lit("child"), done="done"),
    )
    return (
        pl.concat(sides)
        .join(new, on="subject_id", how="anti")
        .select("subject_id", action=pl.lit(None, pl.String), field=pl.concat_str("what", "done", separator="_"))
        .unique()
    )


def _of_fields(updated: pl.DataFrame) -> pl.DataFrame:
    return updated.select("subject_id", "field", action=pl.lit(None, pl.String)).select(list(_TOLD))
