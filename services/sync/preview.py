"""What a delivery would do, without doing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import polars as pl
from sqlmodel import Session

from contracts.checking import check
from contracts.formats import FORMATS, Reading, delimited
from contracts.issues import Severity, catalogue, with_catalogue
from contracts.roster import Settled, StoredRoster, empty
from contracts.settling import settle
from models.tables import Delivery, Source
from services import clock
from services.districts import source_of
from services.holds import decisions
from services.intake import deliveries
from services.intake.adapters import Findings, SourceAdapter, SourceSchool
from services.intake.landing_area import PREVIEW, LandingArea
from services.planning.changesets import ChangeSet
from services.planning.recognition import IdSecret
from services.planning.stored import read_scope
from services.status.issues import location
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


@dataclass(frozen=True)
class Kind:
    """All problems of one kind: the catalogue's words, how many records, and the first places.

    dependents: the records that are left out along with them.
    """

    code: str
    title: str
    meaning: str
    remedy: str
    count: int
    dependents: int
    places: tuple[str, ...]


@dataclass(frozen=True)
class Checked:
    """What a check of files found. rows: by file, how many were read; without those that are not there."""

    rows: Mapping[str, int]
    file_errors: tuple[Kind, ...]
    errors: tuple[Kind, ...]
    alerts: tuple[Kind, ...]
    notes: tuple[str, ...]


def check_in_words(format_name: str, files: Mapping[str, bytes], *, region: str, shown: int = 10) -> Checked:
    """A dry run of files, as `check_files`, with all that it found by type. shown: how many places of each."""
    reading, settled = check_files(format_name, files, region=region)
    kinds = _file_error_kinds(reading.file_errors, format_name, shown)
    rows = {name: frame.height for name, frame in reading.rows.items() if reading.columns.get(name)}
    if settled is None:
        return Checked(rows, kinds, (), (), reading.notes)
    found = with_catalogue(settled.issues, format_name).with_columns(location())
    errors, alerts = (
        _kinds(found.filter(severity=severity.value), format_name, shown)
        for severity in (Severity.ERROR, Severity.ALERT)
    )
    return Checked(rows, kinds, errors, alerts, (*reading.notes, *settled.notes))


def _file_error_kinds(file_errors: pl.DataFrame, form: str, shown: int) -> tuple[Kind, ...]:
    place = pl.concat_str("file", pl.col("line").cast(pl.String), separator=":", ignore_nulls=True)
    named = with_catalogue(file_errors, form).with_columns(location=place, dependents=pl.lit(0, pl.UInt32))
    return _kinds(named, form, shown)


def _kinds(found: pl.DataFrame, form: str, shown: int) -> tuple[Kind, ...]:
    """The types of problems, most records first."""
    entries = catalogue(form)
    groups = found.group_by("code", maintain_order=True).agg(
        pl.len().alias("n"),
        pl.col("dependents").sum(),
        pl.concat_str("location", "detail", separator=" · ", ignore_nulls=True).head(shown).alias("places"),
    )
    return tuple(
        Kind(code, entries[code].title, entries[code].meaning, entries[code].remedy, n, dependents or 0, tuple(places))
        for code, n, dependents, places in groups.sort("n", descending=True, maintain_order=True).iter_rows()
    )


@dataclass(frozen=True)
class Look:
    """What a source answers. ready: there is something to sync. message: how it stands. district_name: its own."""

    ready: bool
    message: str
    district_name: str | None
    schools: tuple[SourceSchool, ...]


def look(session: Session, source: Source, adapter: SourceAdapter) -> Look:
    """See what a source has, without taking anything.

    Raises:
        SourceUnreachable, SourceRefused: the source cannot be read.
    """
    findings = adapter.inspect(inspection(session, source, as_it_stands=True))
    ready = findings.outcome is None
    return Look(ready, findings.message, findings.district_name, adapter.schools(source))


ADDED = ("create", "adopt", "reactivate", "join")


@dataclass(frozen=True)
class SchoolPreview:
    """What a sync would do to a school, in numbers. added, removed: by type. reasons: titles of what would hold it."""

    school_id: str
    added: Mapping[str, int]
    removed: int
    errors: int
    alerts: int
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class SyncPreview:
    """What a sync would do, in numbers and without anybody's data. has_data: there is something to sync."""

    has_data: bool
    message: str
    file_errors: tuple[Kind, ...]
    schools: tuple[SchoolPreview, ...]


def preview_in_numbers(
    session: Session,
    source: Source,
    *,
    landing: LandingArea,
    adapter: SourceAdapter,
    id_secret: IdSecret | None = None,
) -> SyncPreview:
    """What the waiting delivery, else the current one, would do to each school of a source.

    Raises:
        SourceUnreachable, SourceRefused, DataError: as `preview_sync`.
    """
    request = SyncRequest(source.district_id, source.id, now=True, kind=source.kind, is_pausable=source.pausable)
    found = preview_sync(session, request, landing=landing, adapter=adapter, id_secret=id_secret)
    return SyncPreview(
        bool(found.schools),
        found.message,
        _file_error_kinds(found.file_errors, found.form, 3),
        tuple(_in_numbers(changes, found.form) for changes in found.schools),
    )


def _in_numbers(changes: ChangeSet, form: str) -> SchoolPreview:
    added = dict(changes.changes.filter(pl.col("action").is_in(ADDED)).group_by("type").len().iter_rows())
    severities = with_catalogue(changes.issues, form)["severity"]
    return SchoolPreview(
        changes.school_id,
        added,
        changes.removals.height,
        severities.filter(severities == Severity.ERROR.value).len(),
        severities.filter(severities == Severity.ALERT.value).len(),
        tuple(catalogue(form)[reason.code].title for reason in changes.reasons or ()),
    )


def preview_sync(
    session: Session,
    request: SyncRequest,
    *,
    landing: LandingArea,
    adapter: SourceAdapter,
    id_secret: IdSecret | None = None,
) -> Preview:
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
    plan = plan_roster(
        session, scope, roster, asked=request.schools, may_remove=findings.may_remove, id_secret=id_secret
    )
    schools = tuple(
        replace(changes, reasons=tuple(decisions.unresolved(session, changes.school_id, changes.reasons or ())))
        for changes in plan.changesets
        if request.schools is None or changes.school_id in request.schools
    )
    notes = (*findings.notes, *reading.notes, *plan.notes)
    return Preview(source.format, message, reading.file_errors, schools, notes)


def _files(
    session: Session, source: Source, findings: Findings, adapter: SourceAdapter, landing: LandingArea
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


def _fetched(
    source: Source, findings: Findings, adapter: SourceAdapter, landing: LandingArea
) -> dict[str, bytes] | None:
    """The source's files as they are now, None if they changed in the meantime; nothing of them stays."""
    with landing.reached("written"), landing.folder(PREVIEW) as folder:
        if not adapter.fetch(source, findings, folder):
            return None
        return {file.name: file.read_bytes() for file in folder.iterdir()}
