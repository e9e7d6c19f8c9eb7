"""Nights of an installation that keeps its deliveries in a bucket: what comes, what is left, and what goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import col, select

from errors import DatabaseUnavailable, NotPossible, TransientError
from models.tables import Delivery, Run
from services.intake.landing_area import LandingArea
from services.operations.housekeeping import Cleaned, clean
from services.sync.provision import SchoolResult
from tests.end_to_end.conftest import Installation
from tests.end_to_end.nights import play
from tests.everything_up import free_port
from tests.object_storage import Gate, gate_before, lose, store, stored

TWO = {"lincoln": "1", "adams": "2"}
TEACHERS = [("t1", "1", "Ann", "Moss", "ann@x.example"), ("t2", "2", "Joe", "Wu", "joe@x.example")]
NAMES = ("classes.csv", "enrollments.csv", "schools.csv", "students.csv", "teachers.csv")
Files = Callable[..., dict[str, bytes]]


@pytest.fixture
def gate(object_storage: str) -> Iterator[Gate]:
    with gate_before(object_storage) as gate:
        yield gate


class Nights:
    """An installation and its bucket."""

    def __init__(self, installation: Installation, area: LandingArea, csv_files: Files) -> None:
        self.installation, self.area, self._files = installation, area, csv_files
        installation.set_up(unified=TWO)

    def send(self, students: int) -> None:
        rows = [(f"s{each}", "12"[each % 2], "Kim", f"Lee{each}", "", "", "", "", "", "") for each in range(students)]
        self.installation.send(self._files(teachers=TEACHERS, students=rows))

    def night(self, area: LandingArea | None = None, *, delivery: int | None = None) -> list[str]:
        """A night's outcomes by school."""
        outcomes: list[SchoolResult] = play(self.installation.database, area or self.area, delivery=delivery)
        return [each.outcome for each in outcomes]

    def deliveries(self) -> list[Delivery]:
        with self.installation.database.reading() as session:
            found = list(session.exec(select(Delivery).order_by(col(Delivery.id))))
            session.expunge_all()
        return found

    def named(self) -> set[str]:
        """The files that the database names; nothing else is in the bucket."""
        return {f"{delivery.path}/{name}" for delivery in self.deliveries() if delivery.path for name in NAMES}


@pytest.fixture
def nights(embedded: Installation, landing_on_s3: LandingArea, gate: Gate, csv_files: Files) -> Nights:
    return Nights(embedded, replace(landing_on_s3, endpoint=gate.address), csv_files)


def test_nights_come_and_old_deliveries_go(nights: Nights) -> None:
    nights.send(20)
    assert nights.night() == ["applied", "applied"]
    assert set(stored(nights.area)) == nights.named()
    nights.send(20)
    assert (nights.night(), len(nights.deliveries()), len(stored(nights.area))) == ([], 1, 5)
    nights.send(22)
    assert nights.night() == ["applied", "applied"]
    assert (len(nights.deliveries()), len(stored(nights.area))) == (2, 10)
    later = datetime.now(UTC) + timedelta(days=31)
    assert clean(nights.installation.database, landing=nights.area, now=later) == Cleaned(deliveries=1)
    assert [bool(delivery.path) for delivery in nights.deliveries()] == [False, True]
    assert set(stored(nights.area)) == nights.named()
    assert [file for file in nights.area.scratch.rglob("*") if file.is_file()] == []


@pytest.mark.journeys
def test_a_kept_file_that_changed_or_is_lost_ends_the_run_and_says_what_to_do(nights: Nights) -> None:
    nights.send(20)
    nights.night()
    (delivery,) = nights.deliveries()
    file = f"{delivery.path}/students.csv"
    where = rf"students\.csv of delivery 1 in the landing area \(s3://.*/{delivery.path}\)"
    content = stored(nights.area)[file]
    store(nights.area, file, content[:-1])
    with pytest.raises(NotPossible, match=f"{where} has changed since it was received: put it back from a backup, or"):
        nights.night(delivery=delivery.id)
    lose(nights.area, file)
    with pytest.raises(NotPossible, match=f"{where} is lost: put it back from a backup, or have the files sent again"):
        nights.night(delivery=delivery.id)
    store(nights.area, file, content)
    assert nights.night(delivery=delivery.id) == ["unchanged", "unchanged"]
    assert outcomes(nights) == ["done", "failed", "failed", "unchanged"]


def outcomes(nights: Nights) -> list[str | None]:
    """How the runs ended."""
    with nights.installation.database.reading() as session:
        return [run.outcome for run in session.exec(select(Run).order_by(col(Run.id)))]


@pytest.mark.journeys
def test_whatever_fails_on_the_way_leaves_no_delivery_and_the_next_night_is_whole(
    nights: Nights, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights.send(20)
    gate.broken = ["/students.csv"]
    with pytest.raises(TransientError, match=r"the landing area s3://.* cannot be written"):
        nights.night()
    assert (nights.deliveries(), stored(nights.area)) == ([], {})
    gate.broken = []

    def fail(*_: object, **__: object) -> None:
        raise DatabaseUnavailable("the database did not answer")

    with monkeypatch.context() as broken, pytest.raises(DatabaseUnavailable):
        broken.setattr("services.intake.deliveries.record_delivery", fail)
        nights.night()
    assert (nights.deliveries(), len(stored(nights.area))) == ([], 5)
    out = replace(nights.area, endpoint=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(TransientError, match="check that the storage is up"):
        nights.night(out)
    assert nights.night() == ["applied", "applied"]
    assert set(stored(nights.area)) == nights.named()
    assert outcomes(nights) == ["failed", "failed", "failed", "done"]
