"""Nights of a district whose files lie on its own SFTP server."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import tenacity
from sqlmodel import col, select

from errors import TransientError
from models.outcomes import RunOutcome
from models.tables import Delivery, Run
from services import clock
from services.intake.adapters.csv_drop_folder import CsvDropFolder
from services.intake.landing_area import LandingArea
from services.operations.setup import apply_setup, read_setup
from services.status.report import district_report
from services.sync import pipeline, requests, running
from tests.end_to_end.conftest import Installation
from tests.setups import setup_text
from tests.sftp_server import Server, access, fingerprint, new_key, serving

CASE = Path(__file__).parents[1] / "cases" / "18b-sync-capital"
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


class Nights:
    """An installation, the district's server, and what time it is here."""

    def __init__(self, installation: Installation, server: Server) -> None:
        self.installation, self.server, self.now = installation, server, NOW
        self.adapter = CsvDropFolder(access())
        self.set_up(server.pins)

    def set_up(self, host_keys: tuple[str, ...]) -> None:
        text = setup_text([("birch", "Birch", "0101")], district="unified", name="Unified", folder=self.server.url)
        keys = ", ".join(f'"{key}"' for key in host_keys)
        setup = self.installation.folder / "setup.toml"
        setup.write_text(text.replace('format = "csv-1.0"', f'format = "csv-1.0"\nhost_keys = [{keys}]'))
        with self.installation.database.transaction() as session:
            apply_setup(session, read_setup(setup))

    def send(self, night: int) -> None:
        for file in (CASE / f"night{night}").iterdir():
            (self.server.drop / file.name.lower()).write_bytes(file.read_bytes())

    def look(self, **later: float) -> dict[str, str]:
        """What an hourly look finds, so much later."""
        self.now += timedelta(**later)
        return requests.find_pending_districts(
            self.installation.database, kind="csv", arrivals_only=True, adapter_of=lambda _: self.adapter
        )

    def night(self, *, now: bool = False) -> tuple[str | None, str]:
        """How a run ends, and the school's status then."""
        database = self.installation.database
        with database.reading() as session:
            (request,) = requests.sync_requests(session, "unified", None, None, now=now, by_hand=True)
        area = LandingArea.of_folder(self.installation.folder / "landing")
        running.run_request(database, request, landing=area, adapter=self.adapter)
        with database.reading() as session:
            run = session.exec(select(Run).order_by(col(Run.id).desc()).limit(1)).one()
            (report,) = district_report(session, "unified", now=clock.now())
            return run.outcome, str(report.schools[0].status)

    def deliveries(self) -> int:
        with self.installation.database.reading() as session:
            return len(session.exec(select(Delivery)).all())


@pytest.fixture
def nights(embedded: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nights]:
    with serving(tmp_path / "server", ahead=-400_000_000) as server:
        found = Nights(embedded, server)
        monkeypatch.setattr("services.clock.now", lambda: found.now)
        monkeypatch.setattr(pipeline._inspected.retry, "wait", tenacity.wait_none())
        yield found


def test_files_are_taken_at_the_first_look_that_finds_them_unchanged_for_long_enough(nights: Nights) -> None:
    assert nights.look() == {}
    nights.send(1)
    assert nights.look(hours=1) == {}
    assert nights.night() == (RunOutcome.ARRIVING, "setup_sync")
    with (nights.server.drop / "students.csv").open("a") as file:
        file.write("\n")
    assert nights.look(minutes=30) == {}
    assert nights.look(seconds=299) == {}
    assert nights.look(seconds=1) == {"unified": "a complete set of files is ready"}
    assert nights.night() == (RunOutcome.DONE, "connected")
    assert nights.look(hours=1) == {}
    assert nights.night() == (RunOutcome.NOTHING, "connected")
    nights.send(2)
    assert nights.night(now=True) == (RunOutcome.DONE, "connected")
    assert nights.deliveries() == 2


def test_a_server_that_cannot_be_reached_or_trusted_holds_its_schools_until_it_can(nights: Nights) -> None:
    nights.send(1)
    assert nights.night(now=True) == (RunOutcome.DONE, "connected")
    right = nights.adapter
    nights.adapter = CsvDropFolder(access(password="wrong"))
    assert nights.night() == (RunOutcome.DISCONNECTED, "on_hold")
    nights.adapter = right
    nights.set_up((fingerprint(new_key()),))
    assert "has changed" in nights.look()["unified"]
    assert nights.night() == (RunOutcome.DISCONNECTED, "on_hold")
    nights.set_up((fingerprint(new_key()), *nights.server.pins))
    assert nights.night() == (RunOutcome.NOTHING, "connected")


def test_a_connection_that_breaks_at_half_a_file_leaves_nothing_and_the_next_night_is_whole(nights: Nights) -> None:
    nights.send(1)
    nights.server.breaks_after = 100
    (nights.server.drop / "students.csv").write_bytes(b"x" * (2 << 20))
    assert nights.night(now=True) == (RunOutcome.DISCONNECTED, "on_hold")
    assert nights.deliveries() == 0
    nights.server.breaks_after = None
    nights.send(1)
    assert nights.night(now=True) == (RunOutcome.DONE, "connected")


def test_a_full_disk_here_is_said_of_the_landing_area_and_leaves_nothing(nights: Nights) -> None:
    nights.send(1)
    with (nights.server.drop / "students.csv").open("ab") as file:
        file.write(b"\n" * (8 << 20))
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, limits[1]))
    try:
        with pytest.raises(TransientError, match=r"the landing area .* cannot be written \(File too large\)"):
            nights.night(now=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert (nights.deliveries(), list((nights.installation.folder / "landing").rglob("*.csv"))) == (0, [])
    assert nights.night(now=True) == (RunOutcome.DONE, "connected")
