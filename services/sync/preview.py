"""What a delivery would do, without doing it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
from sqlmodel import Session

from contracts.checking import check
from contracts.formats import FORMATS, Reading, delimited
from contracts.roster import Settled, StoredRoster, empty
from contracts.settling import settle
from models.tables import Delivery, Source
from services import clock
from services.districts import source_of
from services.holds import decisions
from services.intake import deliveries
from services.intake.adapters import Findings, SourceAdapter
from services.planning.changesets import ChangeSet
from services.planning.stored import read_scope
from services.sync.data_errors import guarded
from services.sync.planning import plan_roster
from services.sync.requests import SyncRequest, inspection


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
    """What a delivery would do; with file errors nothing. form: of the source.

    schools: their ChangeSets, with the reasons that no decision covers.
    """

    form: str
    message: str
    file_errors: pl.DataFrame
    schools: tuple[ChangeSet, ...] = ()
    notes: tuple[str, ...] = ()


def preview_sync(session: Session, request: SyncRequest, *, landing: Path, adapter: SourceAdapter) -> Preview:
    """What the waiting delivery, else the current one, would do to the schools asked for. Writes nothing that stays.

    Raises:
        SourceUnreachable, SourceRefused: the source cannot be read.
        DataError: a check or frame failed on the data.
    """
    source = source_of(session, request.source_id)
    findings = adapter.inspect(inspection(session, source, as_it_stands=True))
    if len(findings.file_errors):
        return Preview(source.format, findings.message, findings.file_errors, notes=findings.notes)
    files, message = _files(session, source, findings, adapter, landing)
    if files is None:
        return Preview(source.format, message, empty(delimited.FILE_ERRORS), notes=findings.notes)
    form = FORMATS[source.format]
    reading = guarded("reading the files", lambda: form.read(files))
    if len(reading.file_errors):
        return Preview(source.format, message, reading.file_errors, notes=findings.notes)
    scope = read_scope(session, source.id)
    roster = form.to_roster(reading)
    plan = plan_roster(session, scope, roster, asked=request.schools, may_remove=findings.may_remove)
    schools = tuple(
        replace(changes, reasons=tuple(decisions.unresolved(session, changes.school_id, changes.reasons or ())))
        for changes in plan.changesets
        if request.schools is None or changes.school_id in request.schools
    )
    notes = (*findings.notes, *reading.notes, *plan.notes)
    return Preview(source.format, message, reading.file_errors, schools, notes)


def _files(
    session: Session, source: Source, findings: Findings, adapter: SourceAdapter, landing: Path
) -> tuple[dict[str, bytes] | None, str]:
    """What the source has, else the files of the current delivery, and which they are."""
    if findings.outcome is None:
        return _fetched(source, findings, adapter, landing), findings.message
    delivery = session.get(Delivery, source.current_delivery_id) if source.current_delivery_id is not None else None
    if delivery is None or adapter.is_remote:
        return None, findings.message
    errors = "; the last delivery was rejected for file errors" if deliveries.has_file_errors(session, source) else ""
    message = f"{findings.message}{errors}; what applying delivery {delivery.id} again would change:"
    return deliveries.landed_files(landing, delivery), message


def _fetched(source: Source, findings: Findings, adapter: SourceAdapter, landing: Path) -> dict[str, bytes] | None:
    """The source's files as they are now, None if they changed in the meantime; nothing of them stays."""
    landing.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".preview-", dir=landing) as folder:
        if not adapter.fetch(source, findings, Path(folder)):
            return None
        return {file.name: file.read_bytes() for file in Path(folder).iterdir()}
