"""What the steps of a run write beside the roster."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from sqlmodel import select

from models.database import Database
from models.tables import District, School, StatusChange
from services.intake.landing_area import LandingArea
from services.operations import housekeeping
from services.sync import pipeline
from services.sync.requests import SyncRequest
from tests.services.settled import set_up


def test_a_run_keeps_the_statuses_of_its_own_district_and_housekeeping_those_of_all(
    database: Database, tmp_path: Path
) -> None:
    with database.transaction() as session:
        set_up(session)
        session.add(District(id="riverbend", name="Riverbend", timezone="America/Chicago", administrators=[]))
        session.flush()
        session.add(School(id="riverbend/east", district_id="riverbend", key="east", name="East"))

    def kept() -> set[str]:
        with database.reading() as session:
            return set(session.exec(select(StatusChange.school_id)))

    run_id = pipeline.begin(database, SyncRequest("unified", "unified/files"))
    pipeline.finish(database, run_id, "done", [])
    assert kept() == {"unified/lincoln", "unified/adams"}
    housekeeping.clean(database, landing=LandingArea.of_folder(tmp_path), now=datetime.now(UTC))
    assert kept() == {"unified/lincoln", "unified/adams", "riverbend/east"}
