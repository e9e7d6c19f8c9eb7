"""Where a district's roster comes from: an adapter for each kind of source, found by its module.

Rule: no other module asks which kind of source it has before it; the adapter answers. A new kind is one module of this
package that holds an `ADAPTER`, and with it what the setup file says of such a source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol
from zoneinfo import ZoneInfo

import polars as pl
from sqlmodel import Session

from contracts.discovery import Discovered
from contracts.formats.delimited import FILE_ERRORS
from contracts.roster import empty
from models.outcomes import RunOutcome
from models.tables import Source
from services.intake.drop_folder import Stamp
from services.intake.setup_entries import SourceEntry


@dataclass(frozen=True)
class Inspection:
    """What is asked of a source. with_error: the files with errors, if its last delivery was rejected, else None.

    as_it_stands: take what is complete at once, without waiting for it to be quiet. zone: of times in messages.
    """

    source: Source
    now: datetime
    zone: ZoneInfo
    as_it_stands: bool = False
    with_error: frozenset[str] | None = None


@dataclass(frozen=True)
class Findings:
    """What an inspection found. outcome: how a run ends at once; None where there is something to fetch.

    message: for people, without personal data. notes: what is there and is not read. file_errors: FILE_ERRORS, what to
    say of what can be no delivery. may_remove: whether somebody may be archived by these data. version: what the source
    calls the state of its data. stamps: of the files there, by their names. sightings: the same to be kept for the next
    look, where the place has no clock that counts. zip_name: the zip that the files come in. district_name: what the
    source calls the district, where it has a name for it. details: the adapter's own.
    """

    outcome: RunOutcome | None
    message: str
    notes: tuple[str, ...] = ()
    file_errors: pl.DataFrame = field(default_factory=lambda: empty(FILE_ERRORS))
    may_remove: bool = True
    version: str | None = None
    stamps: Mapping[str, Stamp] = field(default_factory=dict)
    sightings: Mapping[str, Stamp] | None = None
    zip_name: str | None = None
    district_name: str | None = None
    details: Any = None


@dataclass(frozen=True)
class SourceSchool:
    """A school as its source has it. number: what the district numbers it by, where that is not its ID."""

    external_id: str
    name: str
    number: str | None = None


class SourceAdapter(Protocol):
    """One kind of source. It is made with what it is reached by, such as credentials, or None where it needs nothing.

    kind: as in the setup file. entry: what the setup file says of such a source. location_key: the setting that says
    where its data are. is_pausable: a maintenance pause stops it. is_remote: only the source itself can say whether it
    has something new, and fetching takes a while; it retries on its own what fails for a moment.
    """

    kind: ClassVar[str]
    entry: ClassVar[type[SourceEntry]]
    location_key: ClassVar[str]
    is_pausable: ClassVar[bool]
    is_remote: ClassVar[bool]

    def __init__(self, connection: Any = None) -> None: ...

    @staticmethod
    def location_of(settings: Mapping[str, Any]) -> str:
        """Where the data are, in a form in which the same place reads the same."""

    def may_be_set_up_by(self, settings: Mapping[str, Any], email: str) -> bool:
        """Whether the data at the place that these settings name are this person's to connect.

        Rule: if people type the place, the source's own records say whose it is. A place that Rollcall chooses for a
        district is anybody's who administers that district.

        Raises:
            SourceUnreachable, SourceRefused: the source cannot be reached, or rejects us.
        """

    def inspect(self, asked: Inspection) -> Findings:
        """See what there is, without fetching it and without a transaction.

        Raises:
            SourceUnreachable, SourceRefused: the source cannot be reached, or rejects us.
        """

    def schools(self, source: Source) -> tuple[SourceSchool, ...]:
        """The schools that the source has now, by name; none where it has nothing yet.

        Raises:
            SourceUnreachable, SourceRefused: the source cannot be reached, or rejects us.
        """

    def record(self, session: Session, source: Source, findings: Findings, now: datetime) -> str | None:
        """Keep what was found of the source; returns why its schools are to be put on hold, if they are."""

    def is_current(self, session: Session, source: Source, findings: Findings, now: datetime) -> bool:
        """Whether fetching again would bring nothing new. The caller knows whether every school is done."""

    def fetch(self, source: Source, findings: Findings, folder: Path) -> bool:
        """Write the files that were found into a folder, under the format's names; false if they have changed.

        Raises:
            SourceUnreachable, SourceRefused: the source cannot be reached, or rejects us.
        """


ADAPTERS: Final = Discovered[type[SourceAdapter]](__name__, "ADAPTER", lambda adapter: adapter.kind)
