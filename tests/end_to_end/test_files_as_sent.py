"""Nights of files under other names than the format's: what is taken, and what the notes say about the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
import tenacity
from sqlmodel import Session, col, select

from errors import SourceUnreachable
from models.outcomes import RunOutcome
from models.tables import Delivery, FileError, Link, Run, Source
from sandbox.file_faults import zip_of
from services import clock
from services.intake import deliveries
from services.intake.adapters import Findings, Inspection
from services.intake.adapters.csv_drop_folder import CsvDropFolder
from services.intake.landing_area import LandingArea
from services.status.report import district_report
from services.sync import pipeline, preview, requests
from tests.end_to_end.conftest import Installation

CASE = Path(__file__).parents[1] / "cases" / "18b-sync-capital"


@pytest.fixture
def birch(embedded: Installation) -> Installation:
    """After a first night of files named as the format names them."""
    embedded.set_up(unified={"birch": "0101"})
    send(embedded, 1)
    embedded.night()
    return embedded


def send(installation: Installation, night: int) -> None:
    installation.send({file.name: file.read_bytes() for file in (CASE / f"night{night}").iterdir()})


def told(session: Session) -> tuple[str, str | None, list[str]]:
    """The school's status, and how the last run ended, with its notes."""
    run = session.exec(select(Run).order_by(col(Run.id).desc()).limit(1)).one()
    (report,) = district_report(session, "unified", now=clock.now())
    return str(report.schools[0].status), run.outcome, list(run.notes or [])


def test_capitals_are_taken_and_land_under_the_formats_names(birch: Installation) -> None:
    send(birch, 2)
    birch.night()
    names = ("schools", "teachers", "students", "classes", "enrollments")
    with birch.database.reading() as session:
        assert told(session) == (
            "connected",
            RunOutcome.DONE,
            [
                "received delivery 2",
                *(f"used {name.title()}.csv, and not {name}.csv, which is older" for name in names),
            ],
        )
        delivery = session.exec(select(Delivery).where(Delivery.id == 2)).one()
        assert [entry["name"] for entry in delivery.files or []] == sorted(f"{name}.csv" for name in names)
        changed = session.exec(select(Link.first_name).where(col(Link.external_id).in_(["000001", "T001"])))
        assert sorted(str(name) for name in changed) == ["Changed", "Tea1x"]
        stamps = session.exec(select(Source.stamps)).one() or {}
        assert sorted(stamps) == sorted(
            [*(f"{name}.csv" for name in names), *(f"{name.title()}.csv" for name in names)]
        )
    birch.night()
    with birch.database.reading() as session:
        state, outcome, notes = told(session)
        assert (state, outcome, notes[0]) == (
            "connected",
            RunOutcome.NOTHING,
            "no new files since the last delivery; delivery 2 is finished for all schools",
        )


def test_two_files_of_one_name_are_reported_until_one_is_removed(birch: Installation) -> None:
    send(birch, 2)
    (birch.drop() / "schools.csv").write_bytes((birch.drop() / "Schools.csv").read_bytes())
    (birch.drop() / "notes.txt").write_text("left out")
    birch.night()
    said = "a file arrived twice: Schools.csv and schools.csv would both be schools.csv. Remove the wrong one"
    with birch.database.reading() as session:
        state, outcome, notes = told(session)
        assert (state, outcome, notes[0], notes[-1]) == (
            "on_hold",
            RunOutcome.REJECTED,
            said,
            "not a file of the format, left out: notes.txt",
        )
        errors = session.exec(select(FileError)).all()
        assert [(error.code, error.file, error.line, error.detail, error.delivery_id) for error in errors] == [
            ("file_duplicate", "schools.csv", None, "found Schools.csv and schools.csv", None)
        ]
        (request,) = requests.sync_requests(session, "unified", None, None)
        shown = preview.preview_sync(
            session, request, landing=LandingArea.of_folder(birch.folder / "landing"), adapter=CsvDropFolder()
        )
        assert (shown.message, shown.notes[-1]) == (said, "not a file of the format, left out: notes.txt")
        assert shown.file_errors.select("code", "file").rows() == [("file_duplicate", "schools.csv")]
    (birch.drop() / "schools.csv").unlink()
    birch.night()
    with birch.database.reading() as session:
        assert told(session)[:2] == ("connected", RunOutcome.DONE)
        assert session.exec(select(FileError)).all() == []


def send_zip(installation: Installation, packed: bytes) -> None:
    for file in installation.drop().iterdir():
        file.unlink()
    installation.send({"roster.zip": packed})


def of_night(night: int) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (CASE / f"night{night}").iterdir()}


def test_a_zip_is_a_delivery_as_its_files_are(birch: Installation) -> None:
    send_zip(birch, zip_of(of_night(1)))
    birch.night()
    with birch.database.reading() as session:
        assert told(session)[1] == RunOutcome.DUPLICATE
    send_zip(birch, zip_of({f"export/{name}": content for name, content in of_night(2).items()}))
    birch.night()
    with birch.database.reading() as session:
        assert told(session) == ("connected", RunOutcome.DONE, ["received delivery 2"])
        delivery = session.exec(select(Delivery).where(Delivery.id == 2)).one()
        assert {entry["zip"] for entry in delivery.files or []} == {"roster.zip"}
        changed = session.exec(select(Link.first_name).where(col(Link.external_id).in_(["000001", "T001"])))
        assert sorted(str(name) for name in changed) == ["Changed", "Tea1x"]


def test_a_zip_that_cannot_be_unpacked_is_rejected_and_then_all_is_sent_again(birch: Installation) -> None:
    send_zip(birch, zip_of(of_night(2))[:-40])
    birch.night()
    with birch.database.reading() as session:
        assert told(session)[:2] == ("on_hold", RunOutcome.REJECTED)
        errors = session.exec(select(FileError)).all()
        assert [(error.code, error.file, error.delivery_id) for error in errors] == [("zip_damaged", "roster.zip", 2)]
        source = session.exec(select(Source)).one()
        assert deliveries.files_with_error(session, source) is None
    birch.night()
    with birch.database.reading() as session:
        assert told(session)[:2] == ("on_hold", RunOutcome.REJECTED)
    send_zip(birch, zip_of(of_night(2)))
    birch.night()
    with birch.database.reading() as session:
        assert told(session)[:2] == ("connected", RunOutcome.DONE)
        assert session.exec(select(FileError)).all() == []


def test_an_unreachable_folder_is_tried_again_by_a_run_and_not_while_looking_for_work(
    birch: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def unreachable(self: CsvDropFolder, what: Inspection) -> Findings:
        asked.append(what.source.id)
        raise SourceUnreachable("its disk is not mounted")

    monkeypatch.setattr(CsvDropFolder, "inspect", unreachable)
    monkeypatch.setattr(pipeline._inspected.retry, "wait", tenacity.wait_none())
    found = requests.find_pending_districts(birch.database, kind="csv")
    assert (found, len(asked)) == ({"unified": "its disk is not mounted"}, 1)
    assert birch.night() == []
    assert len(asked) == 1 + 3
