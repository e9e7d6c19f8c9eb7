"""Nights played with the files in tests/cases: each a kind of damage met in real exports, with what is right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from models import bulk
from models.database import Database
from services import status
from services.issues import stored_file_errors, stored_issues
from services.night import clock
from services.setup import apply_setup, read_setup
from tests.end_to_end.nights import play

CASES = Path(__file__).parent.parent / "cases"
EVERYBODY = {"guardian": 30, "student": 30, "teacher": 4}


@dataclass(frozen=True)
class Night:
    """What is right after a night: the school's row of the report, its issues, and whom the product has.

    issues: (code, where, record's ID, detail). people: active accounts by role. memberships: students in classes.
    """

    status: str = "connected"
    errors: int = 0
    alerts: int = 0
    students: int = 30
    issues: Sequence[tuple[str, str, str | None, str | None]] = ()
    file_errors: Sequence[tuple[str, str, int | None]] = ()
    hold: tuple[str, ...] = ()
    people: Mapping[str, int] = field(default_factory=lambda: EVERYBODY)
    enrolled: int = 30


CLEAN = Night()


def _played(case: Path, database: Database, folder: Path) -> list[Night]:
    setup = folder / "setup.toml"
    setup.write_bytes((case / "setup.toml").read_bytes())
    drop = folder / "drop"
    drop.mkdir()
    with database.transaction() as session:
        apply_setup(session, read_setup(setup))
    nights = []
    for night in sorted(case.glob("night*")):
        for file in night.iterdir():
            (drop / file.name).write_bytes(file.read_bytes())
        play(database, folder / "landing", "d")
        nights.append(_found(database))
    return nights


def _found(database: Database) -> Night:
    with database.reading() as session:
        (report,) = status.report(session, "d", now=clock())
        (row,) = report.schools
        issues = stored_issues(session, "d").sort("place", "code")
        file_errors = stored_file_errors(session, "d")
        people = bulk.read(
            session,
            "SELECT role, count(*) AS n FROM account WHERE archived_at IS NULL GROUP BY role",
            {},
            {"role": pl.String, "n": pl.Int64},
        )
        enrolled = bulk.read(
            session,
            "SELECT count(*) AS n FROM class_membership WHERE active AND NOT is_owner",
            {},
            {"n": pl.Int64},
        )
    details = issues.select(pl.col("message"))
    assert row.status is not None
    return Night(
        status=str(row.status),
        errors=row.errors,
        alerts=row.alerts,
        students=row.students,
        issues=issues.select("code", "place", "record_id", details.to_series()).rows(),
        file_errors=file_errors.select("code", "file", "line").rows(),
        hold=row.hold.codes if row.hold is not None else (),
        people=dict(people.sort("role").iter_rows()),
        enrolled=enrolled["n"].item(),
    )
