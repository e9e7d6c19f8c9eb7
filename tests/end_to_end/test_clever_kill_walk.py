"""A Clever night killed at every page and at every commit after: no half roster, and the next night completes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from sqlmodel import Session, col, select

from models.database import Database, open_database
from models.tables import Delivery, Source
from sandbox.clever_records import clever_district
from sandbox.days import next_day
from sandbox.generator import generate
from services.intake import deliveries
from services.intake.landing_area import LandingArea
from tests.end_to_end.kills import Home, walk
from tests.end_to_end.lakeside import lakeside

PAGE_SIZE = 10


@pytest.mark.journeys
def test_no_roster_is_taken_by_halves_wherever_the_run_is_killed(tmp_path: Path) -> None:
    assert kill_everywhere(tmp_path, Home(tmp_path / "clever-base")) == []


@pytest.mark.faults
def test_the_same_on_postgresql(tmp_path: Path, postgresql_server: str) -> None:
    assert kill_everywhere(tmp_path, Home(tmp_path / "clever-base", postgresql_server)) == []


def kill_everywhere(folder: Path, base: Home) -> list[str]:
    """Kill a second night at every page and every commit after; gives what was wrong."""
    base.make()
    first = generate(3, schools=2, students=12, teachers=2, classes=4, enrollments=24)
    with (
        open_database(base.url, backups=None) as database,
        lakeside(folder, database, first, page_size=PAGE_SIZE) as clever,
    ):
        served = replace(clever, folder=base.folder)
        served.night()
        assert clever.pages_asked() > 6
        # Nobody else may have a database open that is copied.
        database.close()
        clever.give(clever_district(next_day(first, 1, joined=2, left=1, moved=1, changed=3)))

        def again(home: Home, database: Database) -> None:
            replace(served, folder=home.folder, database=database).night(nightly=True)

        return walk(
            base,
            clever.connection,
            again,
            begins="page",
            when_killed=_nothing_is_recorded_before_the_last_page,
            in_the_end=_two_deliveries_are_kept,
        )


def _half(left: Sequence[str]) -> bool:
    """Whether the night was killed before or at its last page."""
    return any(name.startswith("page") for name in left)


def _nothing_is_recorded_before_the_last_page(home: Home, database: Database, left: Sequence[str]) -> list[str]:
    with database.reading() as session:
        recorded = len(_deliveries(session)), session.exec(select(Source.last_sync)).one()
    early = _half(left) and recorded != (1, "2026-09-01T06:12:45.000Z")
    return ["a delivery is recorded before the last page"] if early else []


def _two_deliveries_are_kept(home: Home, database: Database, left: Sequence[str]) -> list[str]:
    problems = []
    with database.reading() as session:
        kept = _deliveries(session)
        for delivery in kept:
            deliveries.landed_files(LandingArea.of_folder(home.landing), delivery)
    if [delivery.outcome for delivery in kept] != ["clean", "clean"]:
        problems.append(f"deliveries {[delivery.outcome for delivery in kept]}")
    landed = {path.name for path in (home.landing / "lakeside" / "clever").iterdir()}
    if _half(left) and landed != {Path(delivery.path).name for delivery in kept}:
        problems.append("what the killed fetch wrote is still there")
    return problems


def _deliveries(session: Session) -> list[Delivery]:
    return list(session.exec(select(Delivery).order_by(col(Delivery.id))))
