"""What a delivery would do, without doing it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from sqlmodel import Session

from contracts.checking import check
from contracts.formats import FORMATS, Reading, delimited
from contracts.roster import Settled, StoredRoster, empty
from contracts.settling import settle
from models.tables import Delivery, Source
from services import clock
from services.districts import CLEVER, source_of, zone_of
from services.intake import arrival, clever_api, clever_state, deliveries
from services.intake.landing import peek
from services.planning.changesets import ChangeSet
from services.planning.stored import read_scope
from services.sync.data_errors import guarded
from services.sync.planning import plan_roster
from services.sync.requests import SyncRequest, drop_folder_of, inspect_source


def check_files(format_name: str, files: Mapping[str, bytes], *, region: str = "US") -> tuple[Reading, Settled | None]:
    """A dry run of files without any database: what was read, and, without file errors, what settling found.

    files: by their names, as `contracts.formats.match_names` takes them.

    Raises:
        DataError: a check or frame failed on the data.
    """
    form = FORMATS[format_name]
    reading = guarded("reading the files", lambda: form.read(files))
    if len(reading.file_errors):
        return reading, None
    roster = form.to_roster(reading)
    settled = guarded(
        "checking",
        lambda: settle(check(roster, None, region=region, today=clock.now().date()), StoredRoster.nothing()),
    )
    return reading, settled


@dataclass(frozen=True)
class Preview:
    """What a delivery would do; with file errors nothing. schools: their ChangeSets, judged.

    form: of the source."""

    form: str
    message: str
    file_errors: pl.DataFrame
    schools: tuple[ChangeSet, ...] = ()
    notes: tuple[str, ...] = ()


def preview_sync(
    session: Session, request: SyncRequest, *, landing: Path, connection: clever_api.Connection | None = None
) -> Preview:
    """What the waiting delivery, else the current one, would do to the schools asked for. Writes nothing that stays.

    Of a Clever source it is what Clever gives now.

    Raises:
        SourceUnreachable, SourceRefused: the drop folder or Clever cannot be read.
        DataError: a check or frame failed on the data.
    """
    source = source_of(session, request.source_id)
    may_remove = True
    notes: tuple[str, ...] = ()
    if request.kind == CLEVER:
        assert connection is not None
        state = clever_state.district_state(
            clever_api.get_district(connection, source.clever_district_id or ""), clock.now(), zone_of(session, source)
        )
        if not state.is_ready:
            return Preview(source.format, state.message or "", empty(delimited.FILE_ERRORS))
        may_remove = state.state != clever_state.PAUSED
        files: dict[str, bytes] | None = _fetched(connection, source, landing)
        message = state.message or "what Clever has now"
    else:
        waiting = inspect_source(session, source, as_it_stands=True)
        notes = waiting.notes
        if len(waiting.file_errors):
            return Preview(source.format, waiting.message, waiting.file_errors, notes=notes)
        files, message = _waiting_files(session, source, waiting, landing)
    if files is None:
        return Preview(source.format, message, empty(delimited.FILE_ERRORS), notes=notes)
    form = FORMATS[source.format]
    reading = guarded("reading the files", lambda: form.read(files))
    if len(reading.file_errors):
        return Preview(source.format, message, reading.file_errors, notes=notes)
    scope = read_scope(session, source.id)
    plan = plan_roster(session, scope, form.to_roster(reading), may_remove=may_remove)
    asked = [changes for changes in plan.changesets if request.schools is None or changes.school_id in request.schools]
    return Preview(source.format, message, reading.file_errors, tuple(asked), (*notes, *reading.notes, *plan.notes))


def _waiting_files(
    session: Session, source: Source, waiting: arrival.Waiting, landing: Path
) -> tuple[dict[str, bytes] | None, str]:
    """The files that wait in the drop folder, else those of the current delivery, and which they are."""
    if waiting.state == arrival.Arrival.READY:
        return peek(drop_folder_of(source), waiting), "the files that wait now"
    delivery = session.get(Delivery, source.current_delivery_id) if source.current_delivery_id is not None else None
    if delivery is None:
        return None, waiting.message
    errors = (
        "; the last files have errors, which stop everything" if deliveries.has_file_errors(session, source) else ""
    )
    return deliveries.landed_files(
        landing, delivery
    ), f"{waiting.message}{errors}; delivery {delivery.id} applied again"


def _fetched(connection: clever_api.Connection, source: Source, landing: Path) -> dict[str, bytes]:
    """The district's files as Clever gives it now; nothing of them stays."""
    landing.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".preview-", dir=landing) as folder:
        clever_api.fetch(connection, source.clever_district_id or "", Path(folder))
        return {file.name: file.read_bytes() for file in Path(folder).iterdir()}
