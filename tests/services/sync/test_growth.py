"""When a run has the database look at its tables again."""

from __future__ import annotations

import polars as pl
import pytest

from models import bulk
from models.database import Database
from models.outcomes import SchoolOutcome
from services.sync.provision import Growth, SchoolResult
from tests.services.settled import apply, person, set_up, settled


def test_it_looks_when_the_rows_that_were_added_have_grown_fourfold() -> None:
    growth = Growth()

    def school(students: int, left: int = 0) -> SchoolResult:
        counts = {"students_create": students, "guardians_create": students, "students_remove": left}
        return SchoolResult("unified/lincoln", SchoolOutcome.APPLIED, counts, (), None)

    added = [2_000, 1_000, 3_000, 8_000, 100, 60_000]
    assert [growth.is_due(school(each, left=9_000)) for each in added] == [False, True, False, True, False, True]


def test_postgresql_looks_in_the_transaction_of_the_school(
    postgresql_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def known() -> set[bool]:
        sql = "SELECT reltuples > 0 AS known FROM pg_class WHERE relname IN ('account', 'link', 'school_membership')"
        with postgresql_database.reading() as session:
            return set(bulk.read(session, sql, {}, {"known": pl.Boolean})["known"])

    with postgresql_database.transaction() as session:
        set_up(session)
    assert known() == {False}
    monkeypatch.setattr(Growth, "is_due", lambda growth, outcome: True)
    apply(postgresql_database, settled([person(0, "student", "s1")], [(0, "1")]))
    assert known() == {True}
