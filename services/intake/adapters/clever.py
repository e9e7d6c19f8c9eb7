"""A district in Clever, read through its Data API."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

from sqlmodel import Session

from contracts.formats.clever_3 import FORMAT
from models.outcomes import RunOutcome
from models.tables import Source
from services.intake import clever_api, clever_state
from services.intake.adapters import Findings, Inspection, SourceSchool
from services.intake.clever_api import Connection
from services.intake.setup_entries import Line, SourceEntry

KIND: Final = "clever"


class CleverSourceEntry(SourceEntry):
    """A [[district.source]] in Clever; district_id is Clever's own."""

    kind: Literal["clever"]
    district_id: Line

    @property
    def format_name(self) -> str:
        """The format that its records are kept in."""
        return FORMAT.name

    @property
    def settings(self) -> dict[str, Any]:
        """district_id: Clever's own."""
        return {"district_id": self.district_id}


class CleverApi:
    """A district in Clever, or in a server like it."""

    kind: ClassVar[str] = KIND
    entry: ClassVar[type[SourceEntry]] = CleverSourceEntry
    location_key: ClassVar[str] = "district_id"
    is_pausable: ClassVar[bool] = True
    is_remote: ClassVar[bool] = True

    def __init__(self, connection: Connection | None = None) -> None:
        assert connection is not None
        self._connection = connection

    @staticmethod
    def location_of(settings: Mapping[str, Any]) -> str:
        """Clever's ID of the district."""
        return str(settings["district_id"])

    def may_be_set_up_by(self, settings: Mapping[str, Any], email: str) -> bool:
        """Whether Clever lists this person as an administrator of the district."""
        return email.casefold() in clever_api.get_administrators(self._connection, settings["district_id"])

    def inspect(self, asked: Inspection) -> Findings:
        """Ask Clever for the district's state."""
        remote = clever_api.get_district(self._connection, asked.source.settings["district_id"])
        state = clever_state.district_state(remote, asked.now, asked.zone)
        return Findings(
            None if state.is_ready else RunOutcome.NOT_READY,
            state.message or "what Clever has now",
            may_remove=state.state != clever_state.PAUSED,
            # As it was before the records are fetched: what is synced in the meantime is for the next run.
            version=remote.last_sync,
            district_name=remote.name or None,
            details=(remote, state),
        )

    def schools(self, source: Source) -> tuple[SourceSchool, ...]:
        """The schools that the district shares with us."""
        found = clever_api.get_schools(self._connection, source.settings["district_id"])
        return tuple(
            SourceSchool(each.id, each.name or each.id, each.school_number or each.sis_id)
            for each in sorted(found, key=lambda each: (each.name or "", each.id))
        )

    def record(self, session: Session, source: Source, findings: Findings, now: datetime) -> str | None:
        """Store the district's state; a problem that lasts puts its schools on hold."""
        _, state = findings.details
        clever_state.record_district_state(session, source, state, now)
        return f"{state.reason}. {state.next_step}" if clever_state.has_lasted(session, source, now) else None

    def is_current(self, session: Session, source: Source, findings: Findings, now: datetime) -> bool:
        """Whether Clever has synced nothing since the last fetch, and that was no week ago."""
        remote, state = findings.details
        return clever_state.is_known(session, source, remote, state, now)

    def fetch(self, source: Source, _findings: Findings, folder: Path) -> bool:
        """Fetch all the district's records."""
        clever_api.fetch(self._connection, source.settings["district_id"], folder)
        return True


ADAPTER = CleverApi
