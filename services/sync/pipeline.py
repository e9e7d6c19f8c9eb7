"""The steps of one district's run, each with its own transactions, in the order a night takes them.

begin, fetch, read_roster, make_plan, provision each school, finish: flows wrap them one by one, and so do tests. A run
killed between or within any two leaves each school as before or done; the next run heals the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import tenacity
from sqlmodel import Session, select

from contracts.formats import FORMATS
from contracts.issues import DISCONNECTED, FILE_ERRORS, STALE, catalogue
from contracts.roster import Roster
from errors import SourceRefused, SourceUnreachable
from models.database import Database
from models.outcomes import RunOutcome
from models.tables import Delivery, Run, SchoolRun
from services import clock
from services.districts import source_of, zone_of
from services.holds import holds
from services.intake import deliveries
from services.intake.adapters import Findings, Inspection, SourceAdapter
from services.intake.landing import LandedFiles, discard, land
from services.intake.landing_area import LandingArea
from services.mail import notices
from services.planning.changesets import ChangeSet, Plan
from services.planning.stored import read_scope
from services.status import pauses, sync_status
from services.sync import leases, provision
from services.sync.data_errors import guarded
from services.sync.provision import RunContext, SchoolResult
from services.sync.requests import SyncRequest, inspection


@dataclass(frozen=True)
class FetchResult:
    """What there is to process. outcome: how the run ends now, None if it continues.

    message: for people, without personal data. notes: what is in the source's place but was not read.
    """

    outcome: RunOutcome | None
    message: str
    delivery_id: int | None = None
    notes: tuple[str, ...] = ()


def active_pause(database: Database, request: SyncRequest) -> str | None:
    """The maintenance pause that a request meets now, as a sentence. Rule: it stops only sources that can be paused."""
    if not request.is_pausable:
        return None
    with database.reading() as session:
        pause = pauses.in_force(session, request.district_id, now=clock.now())
        return (
            pauses.describe(pause, zone_of(session, source_of(session, request.source_id)))
            if pause is not None
            else None
        )


def record_skipped_run(database: Database, request: SyncRequest, pause: str) -> None:
    """Record a run that a pause kept from starting: it runs once the pause is over."""
    with database.transaction() as session:
        schools = _listed(request.schools)
        leases.record_skipped_run(
            session, request.district_id, request.source_id, schools=schools, note=pause, now=clock.now()
        )


def begin(database: Database, request: SyncRequest) -> int:
    """Take the district's lease.

    Raises:
        Busy: another run is syncing the district.
    """
    with database.transaction() as session:
        run = leases.begin_run(
            session, request.district_id, request.source_id, schools=_listed(request.schools), now=clock.now()
        )
        assert run.id is not None
        return run.id


def _listed(schools: tuple[str, ...] | None) -> list[str] | None:
    return None if schools is None else list(schools)


def take_delivery(
    database: Database,
    request: SyncRequest,
    run_id: int,
    *,
    landing: LandingArea,
    adapter: SourceAdapter,
) -> FetchResult:
    """Take what is new if there is something, else find out whether the current delivery still has to be finished.

    Rule: a source that cannot be reached or refuses us puts its schools on hold; the next success ends it.

    Raises:
        NotFound, NotPossible: the delivery asked for cannot be applied.
        LeaseLost: the run is no longer open.
        TransientError: the landing area cannot be written.
    """
    if request.delivery_id is not None:
        return _chosen(database, request, run_id, request.delivery_id)
    try:
        taken = _take(database, request, run_id, landing=landing, adapter=adapter)
    except (SourceUnreachable, SourceRefused) as error:
        message = str(error)
    else:
        if taken.outcome in (RunOutcome.NOTHING, RunOutcome.ARRIVING, RunOutcome.DUPLICATE):
            return replace(_finish(database, request, run_id, taken), notes=taken.notes)
        return taken
    with database.transaction() as session:
        leases.assert_open(session, run_id)
        _hold(session, request.source_id, DISCONNECTED, run_id, detail=message)
    return FetchResult(RunOutcome.DISCONNECTED, message)


def _finish(database: Database, request: SyncRequest, run_id: int, taken: FetchResult) -> FetchResult:
    """Find out what is left to do when nothing new was taken."""
    with database.transaction() as session:
        leases.assert_open(session, run_id)
        source = source_of(session, request.source_id)
        unchecked = deliveries.unchecked_delivery(session, source)
        if unchecked is not None and unchecked.id is not None:
            return _ready(
                session,
                run_id,
                unchecked.id,
                f"{taken.message}; checking delivery {unchecked.id}, left unfinished by an interrupted run",
            )
        if deliveries.has_file_errors(session, source):
            return FetchResult(
                RunOutcome.REJECTED,
                f"{taken.message}; the last files have errors, and nothing is processed until they are fixed",
            )
        if deliveries.is_stale(source, clock.now()):
            _hold(session, source.id, STALE, run_id)
            return FetchResult(RunOutcome.STALE, f"{taken.message}; the last delivery is more than 90 days old")
        deliveries.add_staleness_notice(session, clock.now(), source_id=source.id, run_id=run_id)
        current = source.current_delivery_id
        if current is None:
            return FetchResult(taken.outcome, f"{taken.message}; no delivery has been received yet")
        unfinished = leases.unfinished_schools(session, source, leases.setup_digest(session, source))
        if request.schools is not None:
            unfinished = [school for school in unfinished if school in request.schools]
        if not unfinished and not (request.by_hand and request.schools is not None):
            return FetchResult(taken.outcome, f"{taken.message}; delivery {current} is finished for all schools")
        return _ready(session, run_id, current, f"{taken.message}; finishing delivery {current}")


def _ready(session: Session, run_id: int, delivery_id: int, message: str) -> FetchResult:
    leases.record_processing(session, run_id, delivery_id=delivery_id, now=clock.now())
    _record_statuses(session, run_id, f"processing delivery {delivery_id}")
    return FetchResult(None, message, delivery_id)


def _chosen(database: Database, request: SyncRequest, run_id: int, delivery_id: int) -> FetchResult:
    with database.transaction() as session:
        leases.assert_open(session, run_id)
        source = source_of(session, request.source_id)
        deliveries.choose_delivery(session, source, delivery_id)
        return _ready(session, run_id, delivery_id, f"applying delivery {delivery_id} again, as requested")


@tenacity.retry(
    retry=tenacity.retry_if_exception_type(SourceUnreachable),
    stop=tenacity.stop_after_attempt(3),
    wait=tenacity.wait_fixed(0.5),
    reraise=True,
)
def _inspected(adapter: SourceAdapter, asked: Inspection) -> Findings:
    return adapter.inspect(asked)


def _take(
    database: Database, request: SyncRequest, run_id: int, *, landing: LandingArea, adapter: SourceAdapter
) -> FetchResult:
    """What the source has, taken where there is something new.

    Rule: only a nightly run skips a source that has nothing new, and only where its current delivery is done with every
    school.
    """
    with database.reading() as session:
        asked = inspection(session, source_of(session, request.source_id), as_it_stands=request.now)
        session.expunge(asked.source)
    findings = adapter.inspect(asked) if adapter.is_remote else _inspected(adapter, asked)
    name = FORMATS[asked.source.format].source_name
    with database.transaction() as session:
        leases.assert_open(session, run_id)
        source = source_of(session, request.source_id)
        if (why := adapter.record(session, source, findings, clock.now())) is not None:
            _hold(session, source.id, DISCONNECTED, run_id, detail=why)
            return FetchResult(RunOutcome.DISCONNECTED, findings.message)
        is_current = not request.by_hand and adapter.is_current(session, source, findings, clock.now())
        is_done = is_current and not leases.unfinished_schools(session, source, leases.setup_digest(session, source))
        if findings.outcome is None and not is_done and adapter.is_remote:
            leases.record_processing(session, run_id, now=clock.now())
            _record_statuses(session, run_id, f"fetching from {name}")
        kept = deliveries.kept_paths(session, source.id)
        session.expunge(source)
    if findings.outcome is not None or is_done:
        _reached(database, source.id, run_id)
        if len(findings.file_errors):
            _reject_incomplete(database, source.id, findings, run_id)
        if findings.outcome is None:
            nothing_new = f"{name} has nothing new since the last sync, so nothing was fetched"
            return FetchResult(RunOutcome.NOTHING, nothing_new)
        return FetchResult(findings.outcome, findings.message, notes=findings.notes)

    def fetched(folder: Path) -> bool:
        return adapter.fetch(source, findings, folder)

    landed = land(fetched, landing=landing, source_id=source.id, kept=kept, now=clock.now())
    # Not before: Clever may describe the district and still refuse its records.
    _reached(database, source.id, run_id)
    if landed is None:
        message = "the files changed while they were being copied; they will be picked up once they stop changing"
        return FetchResult(RunOutcome.ARRIVING, message, notes=findings.notes)
    of_zip = {"zip": findings.zip_name} if findings.zip_name is not None else {}
    landed = replace(landed, stamps=findings.stamps, files=tuple({**entry, **of_zip} for entry in landed.files))
    return replace(_recorded(database, source.id, run_id, landed, findings, landing=landing), notes=findings.notes)


def _reject_incomplete(database: Database, source_id: str, findings: Findings, run_id: int) -> None:
    """Keep what is wrong with files that can be no delivery, and hold the source's schools for it."""
    with database.transaction() as session:
        leases.assert_open(session, run_id)
        source = source_of(session, source_id)
        known = deliveries.file_error_counts(session, source)
        deliveries.store_incomplete(session, source, findings.file_errors)
        wrong = deliveries.file_error_counts(session, source)
        if wrong != known:
            notices.add_file_error_notice(session, source.district_id, wrong, run_id=run_id, now=clock.now())
        _hold(session, source.id, FILE_ERRORS, run_id)


def _recorded(
    database: Database, source_id: str, run_id: int, landed: LandedFiles, findings: Findings, *, landing: LandingArea
) -> FetchResult:
    """Record what has landed, as a delivery or as a duplicate."""
    with database.transaction() as session:
        leases.assert_open(session, run_id)
        source = source_of(session, source_id)
        taken = deliveries.record_delivery(session, source, landed, clock.now(), may_remove=findings.may_remove)
        source.last_sync = findings.version
        session.add(source)
        if not taken.is_duplicate:
            return _ready(session, run_id, taken.delivery_id, f"received delivery {taken.delivery_id}")
        scope = read_scope(session, source.id)
        over = [STALE] if deliveries.has_file_errors(session, source) else [STALE, FILE_ERRORS]
        holds.drop_reasons(session, scope.school_ids, over, run_id=run_id, now=clock.now())
        sync_status.record_status_changes(session, scope.school_ids, reason="duplicate", now=clock.now())
    discard(landed, landing=landing)
    return FetchResult(RunOutcome.DUPLICATE, f"identical to delivery {taken.delivery_id}; nothing to do")


def _reached(database: Database, source_id: str, run_id: int) -> None:
    """The source answers: the holds because it did not are over."""
    with database.transaction() as session:
        leases.assert_open(session, run_id)
        schools = read_scope(session, source_id).school_ids
        if holds.drop_reasons(session, schools, [DISCONNECTED], run_id=run_id, now=clock.now()):
            sync_status.record_status_changes(
                session, schools, reason="the source can be reached again", now=clock.now()
            )


def _hold(session: Session, source_id: str, code: str, run_id: int, *, detail: str | None = None) -> None:
    """Hold every school of the source for one more reason."""
    scope = read_scope(session, source_id)
    holds.add_reason(session, scope.school_ids, code, run_id=run_id, now=clock.now(), detail=detail)
    sync_status.record_status_changes(session, scope.school_ids, reason=code, now=clock.now())


@dataclass(frozen=True)
class Rejected:
    """A delivery that did not pass the format check: how many file errors, by code."""

    delivery_id: int
    counts: Mapping[str, int]

    @property
    def summary(self) -> str:
        """The file errors' titles, each with how many there are."""
        return ", ".join(f"{catalogue()[code].title} ({number})" for code, number in self.counts.items())


def read_roster(
    database: Database, request: SyncRequest, run_id: int, delivery_id: int, *, landing: LandingArea
) -> tuple[Roster, tuple[str, ...]] | Rejected:
    """Check the delivery's format and read it; a bad one is rejected whole and holds the source's schools.

    Returns the roster and the reading's notes.

    Raises:
        NotPossible: a kept file is lost or altered.
        TransientError: the landing area cannot be read.
        DataError: reading the files failed.
        LeaseLost: the run is no longer open.
    """
    with database.reading() as session:
        delivery = session.get(Delivery, delivery_id)
        assert delivery is not None
        session.expunge(delivery)
    # Reading may take a while, and no transaction stays open for it.
    files = deliveries.landed_files(landing, delivery)
    form = FORMATS[delivery.format]
    reading = guarded("reading the files", lambda: form.read(files))
    with database.transaction() as session:
        leases.assert_open(session, run_id)
        source = source_of(session, request.source_id)
        delivery = session.get(Delivery, delivery_id)
        assert delivery is not None
        if len(reading.file_errors):
            deliveries.reject(session, source, delivery, reading.file_errors, clock.now())
            wrong = deliveries.file_error_counts(session, source)
            notices.add_file_error_notice(session, source.district_id, wrong, run_id=run_id, now=clock.now())
            _hold(session, source.id, FILE_ERRORS, run_id)
            counted = reading.file_errors.group_by("code").len().sort("code")
            return Rejected(delivery_id, dict(counted.iter_rows()))
        if delivery.outcome != "clean":
            deliveries.accept(session, source, delivery, clock.now())
        deliveries.record_rows(session, delivery, {name: rows.height for name, rows in reading.rows.items()})
    return form.to_roster(reading), reading.notes


def start_schools(database: Database, request: SyncRequest, run: RunContext, plan: Plan) -> list[ChangeSet]:
    """Store what belongs to no school, record the unchanged schools, and give those that have something to do.

    Raises:
        LeaseLost: the run is no longer open.
    """
    with database.transaction() as session:
        provision.replace_district_issues(session, run, plan.district_issues)
        to_do = provision.schools_to_do(session, run, plan, asked=_listed(request.schools))
        busy = {changeset.school_id for changeset in to_do}
        unchanged = [
            changeset.school_id
            for changeset in plan.changesets
            if changeset.school_id not in busy and (request.schools is None or changeset.school_id in request.schools)
        ]
        provision.record_unchanged(session, run, unchanged, now=clock.now())
    return to_do


def provision_one(database: Database, run: RunContext, changeset: ChangeSet) -> SchoolResult:
    """Guard and provision one school in one transaction.

    Raises:
        WriteConflict: another district took an email in the meantime; plan again, once.
        LeaseLost: the run is no longer open; nothing was written.
        DataError, DatabaseUnavailable: nothing was written.
    """

    def write() -> SchoolResult:
        with database.transaction() as session:
            return provision.provision_school(session, run, changeset, now=clock.now())

    return guarded("provisioning", write)


def fail_schools(database: Database, run: RunContext, schools: list[str], error: BaseException) -> None:
    """Record that our run failed for these schools, and hold them for it.

    Raises:
        LeaseLost: the run is no longer open.
    """
    with database.transaction() as session:
        provision.record_failure(session, run, schools, kind=type(error).__name__, now=clock.now())


def fail_run(
    database: Database, request: SyncRequest, run_id: int, delivery_id: int | None, error: BaseException
) -> None:
    """Record that the run failed before every school was synced: those without an outcome go on hold for it."""
    with database.transaction() as session:
        scope = read_scope(session, request.source_id)
        run = RunContext(run_id, delivery_id or 0, scope, {})
        done = set(session.exec(select(SchoolRun.school_id).where(SchoolRun.run_id == run_id)))
        asked = scope.school_ids if request.schools is None else list(request.schools)
        if delivery_id is not None:
            remaining = [school for school in asked if school not in done and school in scope.school_ids]
            provision.record_failure(session, run, remaining, kind=type(error).__name__, now=clock.now())


def finish(database: Database, run_id: int, outcome: str, notes: list[str]) -> None:
    """End the run and give the lease back.

    Raises:
        LeaseLost: the run was ended already.
    """
    with database.transaction() as session:
        leases.end_run(session, run_id, outcome, notes, now=clock.now())
        _record_statuses(session, run_id, f"run {run_id} ended: {outcome}")


def _record_statuses(session: Session, run_id: int, reason: str) -> None:
    """Keep the statuses that changed in the district of a run."""
    district_id = session.get_one(Run, run_id).district_id
    sync_status.record_status_changes(session, None, reason, clock.now(), district_id=district_id)
