"""Rows of tables without foreign keys refer to what is stored, or nothing of their school is written."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from errors import TableError
from models.database import Database
from services.planning.changesets import ChangeSet
from tests.end_to_end.nights import counts
from tests.services.settled import apply, person, set_up, settled

ROSTER = settled(
    [person(0, "employee", "t1"), person(1, "student", "s1"), person(2, "guardian", "g1")],
    [(0, "1"), (1, "1")],
    [("c1", "1")],
    [("c1", "1", 0, True), ("c1", "1", 1, False)],
    [(1, 2)],
)
REFERENCES = {
    ("memberships", "link_id"): "link: 1 rows",
    ("class_memberships", "class_id"): "class: 1 rows",
    ("class_memberships", "link_id"): "link: 1 rows",
    ("guardianships", "student_link_id"): "link: 1 rows",
    ("guardianships", "guardian_link_id"): "link: 1 rows",
}


@pytest.mark.parametrize(("reference", "named"), REFERENCES.items(), ids=str)
def test_a_row_that_refers_to_nothing_stops_its_school(
    database: Database, reference: tuple[str, str], named: str
) -> None:
    rows, column = reference
    with database.transaction() as session:
        set_up(session, ["lincoln"])

    def astray(changes: ChangeSet) -> ChangeSet:
        return replace(changes, **{rows: getattr(changes, rows).with_columns(pl.lit("nowhere").alias(column))})

    with pytest.raises(TableError, match=named):
        apply(database, ROSTER, changing=astray)
    assert set(counts(database).values()) == {0}
    # And again where all of it is there.
    with database.transaction() as session:
        session.connection().exec_driver_sql("UPDATE run SET ended_at = started_at")
    apply(database, ROSTER)
    assert counts(database) == {
        "account": 3,
        "link": 3,
        "class": 1,
        "school_membership": 2,
        "class_membership": 2,
        "guardianship": 1,
    }
