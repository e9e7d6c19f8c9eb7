"""A source of another kind than Rollcall ships: sets of files on a shelf in this process, each under a number."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Literal

from sqlmodel import Session

from contracts.formats import FORMATS
from errors import SourceUnreachable
from models.outcomes import RunOutcome
from models.tables import Source
from services.intake.adapters import Findings, Inspection, SourceSchool
from services.intake.adapters.csv_drop_folder import schools_of
from services.intake.setup_entries import Line, SourceEntry

# By shelf, the set of files that lies there, and its number; None: the shelf is locked.
SHELVES: dict[str, tuple[str, Mapping[str, bytes]] | None] = {}


class ShelfEntry(SourceEntry):
    """A [[district.source]] on a shelf."""

    kind: Literal["shelf"]
    shelf: Line

    @property
    def format_name(self) -> str:
        """Sets are of CSV format 1.0."""
        return "csv-1.0"

    @property
    def settings(self) -> dict[str, Any]:
        """shelf: its name."""
        return {"shelf": self.shelf}


class Shelf:
    """A shelf, which a maintenance pause stops, and which says by a number whether it has something new."""

    kind: ClassVar[str] = "shelf"
    entry: ClassVar[type[SourceEntry]] = ShelfEntry
    location_key: ClassVar[str] = "shelf"
    is_pausable: ClassVar[bool] = True
    is_remote: ClassVar[bool] = True

    def __init__(self, connection: object = None) -> None:
        assert connection is None

    @staticmethod
    def location_of(settings: Mapping[str, Any]) -> str:
        """The shelf's name."""
        return str(settings["shelf"])

    def may_be_set_up_by(self, _settings: Mapping[str, Any], _email: str) -> bool:
        """Always: a shelf is open to everybody."""
        return True

    def inspect(self, asked: Inspection) -> Findings:
        """See which set lies there."""
        if (lying := SHELVES[asked.source.settings["shelf"]]) is None:
            raise SourceUnreachable("the shelf is locked: ask for its key")
        number, files = lying
        outcome = None if files else RunOutcome.NOTHING
        return Findings(outcome, f"set {number} lies there", version=number, details=files)

    def schools(self, source: Source) -> tuple[SourceSchool, ...]:
        """The schools of the set that lies there."""
        _, files = SHELVES[source.settings["shelf"]] or ("", {})
        return schools_of(FORMATS["csv-1.0"], files)

    def record(self, _session: Session, _source: Source, _findings: Findings, _now: datetime) -> None:
        """Nothing is kept but the set's number, once it is taken."""

    def is_current(self, _session: Session, source: Source, findings: Findings, _now: datetime) -> bool:
        """Whether the set that lies there is the one that was taken."""
        return findings.version == source.last_sync

    def fetch(self, _source: Source, findings: Findings, folder: Path) -> bool:
        """Take the set."""
        for name, content in findings.details.items():
            (folder / name).write_bytes(content)
        return True


ADAPTER = Shelf
