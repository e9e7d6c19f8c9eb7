"""A source that is one adapter: set up, previewed, synced, held while it is out of reach, paused and resumed."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlmodel import select

import services.intake.adapters
from errors import SetupError
from models.tables import Run
from services import clock
from services.holds import store
from services.intake.adapters import ADAPTERS
from services.intake.landing_area import LandingArea
from services.operations import maintenance
from services.operations.setup import apply_setup, read_setup
from services.status import sync_status
from services.sync import pipeline, requests
from services.sync.preview import preview_sync
from tests.end_to_end.conftest import Installation
from tests.end_to_end.nights import play
from tests.setups import setup_text

TOYS = Path(__file__).parent.parent / "toys"
Files = Callable[..., dict[str, bytes]]
TEA = ("T1", "1", "Tea", "Cher", "tea@unified.example")
ANN = ("S1", "1", "Ann", "Ames", "", "", "", "", "", "")
BEN = ("S2", "1", "Ben", "Birk", "", "", "", "", "", "")


@pytest.fixture(autouse=True)
def shelves(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, object]]:
    """The shelf's module is among the adapters'."""
    package = services.intake.adapters
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(TOYS / "adapters")])
    ADAPTERS.forget()
    yield importlib.import_module(ADAPTERS["shelf"].__module__).SHELVES
    ADAPTERS.forget()


@pytest.fixture
def shelf(embedded: Installation, csv_files: Files, shelves: dict[str, object]) -> Installation:
    shelves["birch"] = ("1", csv_files([TEA], [ANN], [("C1", "1", "Art", "T1")], [("C1", "S1")]))
    text = setup_text([("lincoln", "Lincoln", "1")])
    source = text[text.index('kind = "csv"') : text.index("[[district.school]]")]
    (embedded.folder / "setup.toml").write_text(text.replace(source, 'kind = "shelf"\nshelf = "birch"\n\n'))
    with embedded.database.transaction() as session:
        apply_setup(session, read_setup(embedded.folder / "setup.toml"))
    return embedded


def _status(shelf: Installation) -> str | None:
    with shelf.database.reading() as session:
        return sync_status.statuses(session, now=clock.now())[0].status


def _night(shelf: Installation, *, nightly: bool = False) -> list[tuple[str, dict[str, int]]]:
    outcomes = play(shelf.database, shelf.folder / "landing", nightly=nightly)
    return [(outcome.outcome, dict(outcome.counts)) for outcome in outcomes]


def test_it_goes_to_connected_and_is_left_alone_while_it_has_nothing_new(
    shelf: Installation, csv_files: Files, shelves: dict[str, object]
) -> None:
    with shelf.database.reading() as session:
        (request,) = requests.sync_requests(session, "unified", None, None)
        shown = preview_sync(
            session, request, landing=LandingArea.of_folder(shelf.folder / "landing"), adapter=ADAPTERS["shelf"]()
        )
    assert (shown.message, shown.form, shown.schools[0].counts["students_create"]) == ("set 1 lies there", "csv-1.0", 1)
    assert [outcome for outcome, _ in _night(shelf)] == ["applied"]
    assert _status(shelf) == "connected"
    assert _night(shelf, nightly=True) == []
    with shelf.database.reading() as session:
        assert [run.outcome for run in session.exec(select(Run).order_by("id"))] == ["done", "nothing"]
    found = requests.find_pending_districts(shelf.database, kind="shelf")
    assert list(found) == ["unified"]
    shelves["birch"] = ("2", csv_files([TEA], [ANN, BEN], [("C1", "1", "Art", "T1")], [("C1", "S1")]))
    assert _night(shelf, nightly=True) == [("applied", {"students_create": 1})]


def test_out_of_reach_it_is_on_hold_and_the_next_success_ends_that(
    shelf: Installation, shelves: dict[str, object]
) -> None:
    _night(shelf)
    lying, shelves["birch"] = shelves["birch"], None
    assert _night(shelf) == []
    with shelf.database.reading() as session:
        (hold,) = store.open_holds(session)
    assert [(reason.code, reason.detail) for reason in hold.reasons] == [
        ("disconnected", "the shelf is locked: ask for its key")
    ]
    shelves["birch"] = lying
    _night(shelf)
    assert _status(shelf) == "connected"


def test_a_maintenance_pause_stops_it(shelf: Installation) -> None:
    _night(shelf)
    with shelf.database.transaction() as session:
        maintenance.pause(session, "unified", reason="moving", by="ops", until=None, now=clock.now())
    with shelf.database.reading() as session:
        (request,) = requests.sync_requests(session, "unified", None, None)
    assert (pipeline.active_pause(shelf.database, request) or "").startswith("paused for maintenance")
    assert _status(shelf) == "paused"


def test_the_setup_file_says_what_it_must(shelf: Installation) -> None:
    file = shelf.folder / "setup.toml"
    good = file.read_text()
    file.write_text(good.replace('shelf = "birch"', 'folder = "x"'))
    with pytest.raises(SetupError) as raised:
        read_setup(file)
    here = 'district "unified", source "files"'
    assert str(raised.value).splitlines() == [f"{here}: shelf is missing", f"{here}: unknown key folder"]
    again = '[[district.source]]\nid = "more"\nkind = "shelf"\nshelf = "birch"\n\n'
    file.write_text(good.replace("[[district.school]]", f"{again}[[district.school]]"))
    with pytest.raises(SetupError, match=r'source "more": shelf is already used by district "unified", source "files"'):
        read_setup(file)
