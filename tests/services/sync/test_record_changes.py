"""What a run changed of each person and class, from what the ChangeSet tells of them."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import polars as pl
from sqlmodel import Session, col, select

from contracts.roster import empty
from models.database import Database
from models.tables import District, RecordChange, Run, School, Source
from services.planning.changesets import CHANGES, ChangeSet
from services.sync import record_changes
from services.sync.record_changes import UPDATED_FIELDS

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def a_run(session: Session) -> int:
    for row in (
        District(id="unified", name="Unified", timezone="UTC", administrators=[]),
        Source(id="unified/files", district_id="unified", key="files", kind="csv", format="csv-1.0", settings={}),
        School(id="unified/lincoln", district_id="unified", key="lincoln", name="Lincoln"),
    ):
        session.add(row)
        session.flush()
    run = Run(district_id="unified", source_id="unified/files", started_at=NOW, heartbeat_at=NOW)
    session.add(run)
    session.flush()
    assert run.id is not None
    return run.id


def told(session: Session, changes: list[tuple[str, str, str]], updated: list[tuple[str, str]]) -> list[Any]:
    """What is written of changes (action, type, key) and updated fields."""
    frame = pl.DataFrame(
        [{"action": action, "type": kind, "key": key} for action, kind, key in changes],
        schema={name: CHANGES[name] for name in ("action", "type", "key")},
    )
    changeset = cast(ChangeSet, SimpleNamespace(school_id="unified/lincoln", changes=frame))
    fields = pl.DataFrame(updated, schema=dict(UPDATED_FIELDS), orient="row") if updated else empty(UPDATED_FIELDS)
    run_id = a_run(session)
    record_changes.record(session, run_id, changeset, fields, now=NOW)
    rows = session.exec(select(RecordChange).order_by(col(RecordChange.subject_id))).all()
    assert {(row.run_id, row.school_id, row.at) for row in rows} <= {(run_id, "unified/lincoln", NOW)}
    return [(row.subject_id, row.action, row.fields) for row in rows]


def test_each_person_and_class_is_told_once_with_what_changed(database: Database) -> None:
    with database.transaction() as session:
        assert told(
            session,
            [
                ("update", "students", "ana"),
                ("create", "student_class_memberships", "algebra ana"),
                ("remove", "student_class_memberships", "biology ana"),
                ("update", "classes", "algebra"),
                ("create", "teacher_class_memberships", "biology tess"),
                ("create", "guardianships", "ana rosa"),
                ("change_id", "employees", "tess"),
                ("remove", "students", "bob"),
                ("reactivate", "students", "cy"),
            ],
            [("ana", "last_name"), ("ana", "email"), ("cy", "grade")],
        ) == [
            ("algebra", "update", "name\nstudent_added"),
            ("ana", "update", "class_added\nclass_removed\nemail\nguardian_added\nlast_name"),
            ("biology", "update", "student_removed\nteacher_added"),
            ("bob", "remove", None),
            ("cy", "reactivate", "grade"),
            ("rosa", "update", "child_added"),
            ("tess", "change_id", "class_added\nid"),
        ]


def test_who_is_new_is_told_as_such_only(database: Database) -> None:
    with database.transaction() as session:
        assert told(
            session,
            [
                ("create", "students", "ana"),
                ("adopt", "guardians", "rosa"),
                ("create", "guardianships", "ana rosa"),
                ("create", "classes", "algebra"),
                ("create", "student_class_memberships", "algebra ana"),
            ],
            [("rosa", "email")],
        ) == [("algebra", "create", None), ("ana", "create", None), ("rosa", "adopt", None)]


def test_nothing_changed_is_nothing_told(database: Database) -> None:
    with database.transaction() as session:
        assert told(session, [], []) == []
