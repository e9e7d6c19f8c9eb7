"""The steps of one district's run, each with its own transactions, in the order a night takes them.

begin, fetch, read_roster, make_plan, provision each school, finish: flows wrap them one by one, and so do tests. A run
killed between or within any two leaves each school as before or done; the next run heals the rest.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

import polars as pl
import tenacity
from polars.exceptions import PanicException
from sqlalchemy import func
from sqlmodel import Session, col, select

from contracts.checking import check
from contracts.contacts import without_contacts
from contracts.formats import CLEVER, CSV, FORMATS, Reading
from contracts.issues import CATALOGUE
from contracts.roster import Held, Roster, Settled, empty
from contracts.settling import settle
from contracts.text import count
from errors import DataError, NotFound, NotPossible, RollcallError, SourceRefused, SourceUnreachable
from models.database import Database
from models.tables import Delivery, District, Run, School, SchoolRun, Source
from services import causes, clever, fetching, holds, judging, outbox, pauses, provision, runs, status, taking
from services.changesets import ChangeSet, Plan, without_removals
from services.held import Scope, Stored, load_held, load_stored, read_scope
from services.plan import plan_district
from services.provision import RunOf, SchoolOutcome

# How a run can end. Those of the first two lines process nothing, a paused one only what it was at.
NOTHING, ARRIVING, RECEIPT, REJECTED, STALE = "nothing", "arriving", "receipt", "rejected", holds.STALE
DISCONNECTED, NOT_READY, PAUSED = holds.DISCONNECTED, "not_ready", runs.PAUSED
DONE, UNCHANGED, HELD, FAILED = "done", "unchanged", "held", "failed"
FILE_ERRORS = holds.FILE_ERRORS

T = TypeVar("T")
EVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Order:
    """What a run was asked to do. schools: ours, None for all. now: take a complete set as it stands.

    kind: the source's, csv or clever. by_hand: asked for by a person, who wants the schools they name done again even
    if the delivery is done with them, and Clever asked for new data even if it says that it has none.
    """

    district_id: str
    source_id: str
    schools: tuple[str, ...] | None = None
    now: bool = False
    delivery_id: int | None = None
    by_hand: bool = False
    kind: str = CSV


@dataclass(frozen=True)
class Fetched:
    """What there is to process. state: ready, or how the run ends at once; message: for people, no personal data.

    notes: what lies in the source's place and is not read.
    """

    state: str
    message: str
    delivery_id: int | None = None
    notes: tuple[str, ...] = ()


def clock() -> datetime:
    """The time now, in UTC."""
    return datetime.now(UTC)


def sources_of(session: Session, district_id: str) -> list[Source]:
    """The district's sources that are not frozen, in the setup file's order.

    Raises:
        NotFound: there is no such district.
    """
    if session.get(District, district_id) is None:
        raise NotFound(f"there is no district {district_id}; `rollcall status` lists them")
    found = session.exec(select(Source).where(Source.district_id == district_id, Source.frozen == False))  # noqa: E712
    return sorted(found, key=lambda source: (source.position, source.id))


def find_school(session: Session, district_id: str, key: str) -> School:
    """The district's school with this key.

    Raises:
        NotFound: the district has none.
    """
    school = session.get(School, f"{district_id}/{key}")
    if school is None:
        raise NotFound(f"district {district_id} has no school {key}; `rollcall status {district_id}` lists them")
    return school


def school_ids(session: Session, district_id: str, keys: list[str]) -> tuple[str, ...]:
    """Our IDs of the district's schools with these keys.

    Raises:
        NotFound: a school is not the district's.
        NotPossible: a school is off the plan, or has no source: it is never synced.
    """
    found = []
    for key in keys:
        school = find_school(session, district_id, key)
        if not school.on_plan or school.frozen:
            raise NotPossible(f"school {key} is not on the plan and is not synced")
        if school.source_id is None:
            raise NotPossible(f"school {key} has no source yet: name one in the setup file")
        found.append(school.id)
    return tuple(found)


def school_names(session: Session, district_id: str) -> dict[str, str]:
    """The district's schools' names, by our ID."""
    return {school.id: school.name for school in session.exec(select(School).where(School.district_id == district_id))}


def orders(
    session: Session,
    district_id: str,
    schools: list[str] | None,
    delivery_id: int | None,
    *,
    now: bool = False,
    by_hand: bool = False,
    kind: str | None = None,
    landing: Path | None = None,
) -> list[Order]:
    """One order for each source that a request touches. schools: their keys; None or empty for all.

    kind: only sources of this kind. landing: where the files of a delivery asked for are looked for.

    Raises:
        NotFound, NotPossible: the district, a school or the delivery is not to be synced.
    """
    sources = [source for source in sources_of(session, district_id) if kind in (None, source.kind)]
    if delivery_id is not None:
        delivery = session.get(Delivery, delivery_id)
        sources = [source for source in sources if delivery is not None and source.id == delivery.source_id]
        if not sources:
            raise NotFound(
                f"district {district_id} has no delivery {delivery_id}; `rollcall deliveries {district_id}` lists them"
            )
        assert delivery is not None
        taking.assert_applicable(delivery, landing=landing)
    asked = school_ids(session, district_id, schools) if schools else None
    found = []
    for source in sources:
        here = asked
        if asked is not None:
            of_source = set(read_scope(session, source.id).school_ids)
            here = tuple(school for school in asked if school in of_source)
        if here is None or here:
            found.append(Order(district_id, source.id, here, now, delivery_id, by_hand, source.kind))
    return found


def districts_to_do(database: Database, *, kind: str, arrivals_only: bool = False) -> dict[str, str]:
    """The districts with something to do, and what, in words. Looks only; a busy district is left out.

    A folder that cannot be read counts as something to do: the district's own run says what is wrong with it. Whether
    Clever has something new only Clever can tell, so that each district is asked; the one whose last run is the longest
    ago goes first, and so what an earlier night left comes before what it reached.
    """
    found: dict[str, str] = {}
    with database.reading() as session:
        open_runs = session.exec(select(Run).where(col(Run.ended_at).is_(None)))
        busy = {run.district_id for run in open_runs if status.is_live(run, clock())}
        statement = select(Source).where(Source.kind == kind, col(Source.frozen).is_(False))
        sources = list(session.exec(statement))
        last = _last_runs(session) if kind == CLEVER else {}
        for source in sorted(sources, key=lambda source: (last.get(source.id, EVER), source.id)):
            district = session.get(District, source.district_id)
            if district is None or district.frozen or district.id in busy or district.id in found:
                continue
            if kind == CLEVER:
                why: str | None = "checking for new Clever data"
            else:
                why = _something_to_do(session, source, arrivals_only=arrivals_only)
            if why is not None:
                found[district.id] = why
    return found


def _last_runs(session: Session) -> dict[str, datetime]:
    """By source, when its last run began; runs that met a pause count for nothing."""
    statement = select(Run.source_id, func.max(Run.started_at)).where(func.coalesce(Run.outcome, "") != PAUSED)
    return dict(session.exec(statement.group_by(Run.source_id)).all())


def _something_to_do(session: Session, source: Source, *, arrivals_only: bool) -> str | None:
    try:
        waiting = look_at(session, source)
    except SourceUnreachable as error:
        return str(error)
    if waiting.state == taking.Arrival.READY or len(waiting.file_errors):
        return waiting.message
    if arrivals_only:
        return None
    if taking.unchecked_delivery(session, source) is not None:
        return "the last delivery is not checked yet"
    if taking.has_file_errors(session, source):
        return None
    if taking.is_stale(source, clock()):
        return "the last delivery is more than 90 days old"
    if source.current_delivery_id is not None and runs.unfinished_schools(
        session, source, runs.setup_digest(session, source)
    ):
        return f"delivery {source.current_delivery_id} is not done with every school"
    return None


def look_at(session: Session, source: Source, *, as_it_stands: bool = False) -> taking.Waiting:
    """What waits in the source's place, told in the district's time.

    Raises:
        SourceUnreachable: the drop folder cannot be read.
    """
    return taking.look(
        source,
        _place(source),
        required=FORMATS[source.format].file_names,
        with_error=taking.files_with_error(session, source),
        now=clock(),
        as_it_stands=as_it_stands,
        zone=_zone(session, source),
    )


def _place(source: Source) -> taking.Place:
    return taking.LocalFolder(Path(source.folder or ""))


def _zone(session: Session, source: Source) -> ZoneInfo:
    district = session.get(District, source.district_id)
    return ZoneInfo(district.timezone if district is not None else "UTC")


def paused(database: Database, order: Order) -> str | None:
    """The maintenance pause that an order meets now, as a sentence. Rule: it holds Clever syncs only."""
    if order.kind != CLEVER:
        return None
    with database.reading() as session:
        pause = pauses.in_force(session, order.district_id, now=clock())
        return pauses.told(pause, _zone(session, _source(session, order.source_id))) if pause is not None else None


def record_paused(database: Database, order: Order, told: str) -> None:
    """Record a run that a pause kept from beginning: it is caught up once that is over."""
    with database.transaction() as session:
        schools = _listed(order.schools)
        runs.record_paused(session, order.district_id, order.source_id, schools=schools, note=told, now=clock())


def begin(database: Database, order: Order) -> int:
    """Take the district's lease.

    Raises:
        Busy: another run has the district in hand.
    """
    with database.transaction() as session:
        run = runs.begin_run(session, order.district_id, order.source_id, schools=_listed(order.schools), now=clock())
        assert run.id is not None
        return run.id


def _listed(schools: tuple[str, ...] | None) -> list[str] | None:
    return None if schools is None else list(schools)


def fetch(
    database: Database, order: Order, run_id: int, *, landing: Path, connection: clever.Connection | None = None
) -> Fetched:
    """Take what is new if there is something, else find out whether the current delivery still has to be finished.

    Rule: a source that cannot be reached or refuses us puts its schools on hold; the next success ends it. connection:
    how Clever is reached, for a source of that kind.

    Raises:
        NotFound, NotPossible: the delivery asked for cannot be applied.
        LeaseLost: the run is no longer open.
        TransientError: the landing area cannot be written.
    """
    if order.delivery_id is not None:
        return _chosen(database, order, run_id, order.delivery_id)
    try:
        if order.kind == CLEVER:
            assert connection is not None
            taken = _take_from_clever(database, order, run_id, landing=landing, connection=connection)
        else:
            taken = _take(database, order, run_id, landing=landing)
    except (SourceUnreachable, SourceRefused) as error:
        said = str(error)
    else:
        if taken.state in (NOTHING, ARRIVING, RECEIPT):
            return replace(_finish(database, order, run_id, taken), notes=taken.notes)
        return taken
    with database.transaction() as session:
        runs.assert_open(session, run_id)
        _hold(session, order.source_id, DISCONNECTED, run_id, detail=said)
    return Fetched(DISCONNECTED, said)


def _finish(database: Database, order: Order, run_id: int, taken: Fetched) -> Fetched:
    """With nothing new taken: whether there is something left to do, and what."""
    with database.transaction() as session:
        runs.assert_open(session, run_id)
        source = _source(session, order.source_id)
        unchecked = taking.unchecked_delivery(session, source)
        if unchecked is not None and unchecked.id is not None:
            return _ready(
                session,
                run_id,
                unchecked.id,
                f"{taken.message}; checking delivery {unchecked.id}, left by a run that died",
            )
        if taking.has_file_errors(session, source):
            return Fetched(
                REJECTED, f"{taken.message}; the last files have errors, and nothing is processed until they are fixed"
            )
        if taking.is_stale(source, clock()):
            _hold(session, source.id, STALE, run_id)
            return Fetched(STALE, f"{taken.message}; the last delivery is more than 90 days old")
        taking.note_coming_staleness(session, clock(), source_id=source.id, run_id=run_id)
        current = source.current_delivery_id
        if current is None:
            return Fetched(taken.state, f"{taken.message}; nothing was ever delivered")
        unfinished = runs.unfinished_schools(session, source, runs.setup_digest(session, source))
        if order.schools is not None:
            unfinished = [school for school in unfinished if school in order.schools]
        if not unfinished and not (order.by_hand and order.schools is not None):
            return Fetched(taken.state, f"{taken.message}; delivery {current} is done with every school")
        return _ready(session, run_id, current, f"{taken.message}; finishing delivery {current}")


def _source(session: Session, source_id: str) -> Source:
    source = session.get(Source, source_id)
    if source is None:
        raise NotFound(f"there is no source {source_id}")
    return source


def _ready(session: Session, run_id: int, delivery_id: int, message: str) -> Fetched:
    runs.note_processing(session, run_id, delivery_id=delivery_id, now=clock())
    status.record_status_changes(session, None, reason=f"processing delivery {delivery_id}", now=clock())
    return Fetched("ready", message, delivery_id)


def _chosen(database: Database, order: Order, run_id: int, delivery_id: int) -> Fetched:
    with database.transaction() as session:
        runs.assert_open(session, run_id)
        source = _source(session, order.source_id)
        taking.choose_delivery(session, source, delivery_id)
        return _ready(session, run_id, delivery_id, f"applying delivery {delivery_id} as asked")


@tenacity.retry(
    retry=tenacity.retry_if_exception_type(SourceUnreachable),
    stop=tenacity.stop_after_attempt(3),
    wait=tenacity.wait_fixed(0.5),
    reraise=True,
)
def _looked_at(database: Database, order: Order, run_id: int) -> tuple[Source, taking.Waiting]:
    """The order's source, and what waits in its place; it is reached, whatever that is."""
    with database.reading() as session:
        source = _source(session, order.source_id)
        waiting = look_at(session, source, as_it_stands=order.now)
        session.expunge(source)
    _reached(database, source.id, run_id)
    return source, waiting


def _take(database: Database, order: Order, run_id: int, *, landing: Path) -> Fetched:
    """The waiting delivery, taken where it may be."""
    source, waiting = _looked_at(database, order, run_id)
    if waiting.state == taking.Arrival.NOTHING:
        return Fetched(NOTHING, "no new files", notes=waiting.notes)
    if len(waiting.file_errors):
        with database.transaction() as session:
            runs.assert_open(session, run_id)
            known = taking.file_error_places(session, source)
            taking.store_incomplete(session, _source(session, source.id), waiting.file_errors)
            wrong = taking.file_error_places(session, source)
            if wrong != known:
                outbox.note_file_errors(session, source.district_id, wrong, run_id=run_id, now=clock())
            _hold(session, source.id, FILE_ERRORS, run_id)
        return Fetched(REJECTED, waiting.message, notes=waiting.notes)
    if waiting.state != taking.Arrival.READY:
        return Fetched(ARRIVING, waiting.message, notes=waiting.notes)
    landed = taking.land(_place(source), waiting, landing=landing, source_id=source.id, now=clock())
    if landed is None:
        message = "the files changed while they were being copied; they will be taken once they are quiet"
        return Fetched(ARRIVING, message, notes=waiting.notes)
    return replace(_recorded(database, source.id, run_id, landed, landing=landing), notes=waiting.notes)


def _take_from_clever(
    database: Database, order: Order, run_id: int, *, landing: Path, connection: clever.Connection
) -> Fetched:
    """The district as Clever has it now, fetched whole.

    Rule: only a nightly run skips a district that Clever has nothing new for, and only where its current delivery is
    done with every school and it was fetched in full within 7 days.
    """
    with database.reading() as session:
        source = _source(session, order.source_id)
        zone = _zone(session, source)
        session.expunge(source)
    remote = clever.look(connection, source.clever_district_id or "")
    standing = fetching.standing(remote, clock(), zone)
    with database.transaction() as session:
        runs.assert_open(session, run_id)
        source = _source(session, order.source_id)
        fetching.note(session, source, standing, clock())
        if fetching.has_lasted(session, source, clock()):
            _hold(session, source.id, DISCONNECTED, run_id, detail=f"{standing.reason}. {standing.next_step}")
            return Fetched(DISCONNECTED, standing.message or "")
        is_known = not order.by_hand and fetching.is_known(session, source, remote, standing, clock())
        done = is_known and not runs.unfinished_schools(session, source, runs.setup_digest(session, source))
        if standing.is_ready and not done:
            runs.note_processing(session, run_id, now=clock())
            status.record_status_changes(session, None, reason="fetching from Clever", now=clock())
        session.expunge(source)
    if not standing.is_ready or done:
        _reached(database, source.id, run_id)
        if not standing.is_ready:
            return Fetched(NOT_READY, standing.message or "")
        return Fetched(NOTHING, "Clever has nothing new since the last time, so it was not fetched again")

    def fetched(folder: Path) -> bool:
        clever.fetch(connection, source.clever_district_id or "", folder)
        return True

    landed = taking.land_by(fetched, landing=landing, source_id=source.id, now=clock())
    assert landed is not None
    # Not before: a district may be told of whose records are refused.
    _reached(database, source.id, run_id)
    return _recorded(
        database,
        source.id,
        run_id,
        landed,
        landing=landing,
        # As it was before the records were fetched: what is synced meanwhile is for the next time.
        last_sync=remote.last_sync,
        may_remove=standing.state != fetching.PAUSED,
    )


def _recorded(
    database: Database,
    source_id: str,
    run_id: int,
    landed: taking.Landed,
    *,
    landing: Path,
    last_sync: str | None = None,
    may_remove: bool = True,
) -> Fetched:
    """Record what has landed, as a delivery or as a receipt."""
    with database.transaction() as session:
        runs.assert_open(session, run_id)
        source = _source(session, source_id)
        taken = taking.record_taking(session, source, landed, clock(), may_remove=may_remove)
        source.last_sync = last_sync
        session.add(source)
        if not taken.is_receipt:
            return _ready(session, run_id, taken.delivery_id, f"delivery {taken.delivery_id} taken")
        scope = read_scope(session, source.id)
        over = [STALE] if taking.has_file_errors(session, source) else [STALE, FILE_ERRORS]
        holds.drop_reasons(session, scope.school_ids, over, run_id=run_id, now=clock())
        status.record_status_changes(session, scope.school_ids, reason="receipt", now=clock())
    taking.discard(landed, landing=landing)
    return Fetched(RECEIPT, f"the same as delivery {taken.delivery_id} once more: noted as a receipt")


def _reached(database: Database, source_id: str, run_id: int) -> None:
    """The source answers: what was held because it did not goes on."""
    with database.transaction() as session:
        runs.assert_open(session, run_id)
        schools = read_scope(session, source_id).school_ids
        if holds.drop_reasons(session, schools, [DISCONNECTED], run_id=run_id, now=clock()):
            status.record_status_changes(session, schools, reason="the source can be reached again", now=clock())


def _hold(session: Session, source_id: str, code: str, run_id: int, *, detail: str | None = None) -> None:
    """Hold every school of the source for one more reason."""
    scope = read_scope(session, source_id)
    holds.add_reason(session, scope.school_ids, code, run_id=run_id, now=clock(), detail=detail)
    status.record_status_changes(session, scope.school_ids, reason=code, now=clock())


@dataclass(frozen=True)
class Rejected:
    """A delivery that did not pass the format check: how many file errors, by code."""

    delivery_id: int
    counts: Mapping[str, int]

    @property
    def told(self) -> str:
        """The file errors' titles, each with how many there are."""
        return ", ".join(f"{CATALOGUE[code].title} ({number})" for code, number in self.counts.items())


def read_roster(
    database: Database, order: Order, run_id: int, delivery_id: int, *, landing: Path
) -> tuple[Roster, tuple[str, ...]] | Rejected:
    """Check the delivery's format and read it; a bad one is rejected whole and holds the source's schools.

    Returns the roster and the reading's notes.

    Raises:
        DataError: the kept files are lost or altered, or reading them failed.
        LeaseLost: the run is no longer open.
    """
    with database.reading() as session:
        delivery = session.get(Delivery, delivery_id)
        assert delivery is not None
        files = taking.landed_files(landing, delivery)
        form = FORMATS[delivery.format]
    reading = _guarded("reading the files", lambda: form.read(files))
    with database.transaction() as session:
        runs.assert_open(session, run_id)
        source = _source(session, order.source_id)
        delivery = session.get(Delivery, delivery_id)
        assert delivery is not None
        if len(reading.file_errors):
            taking.reject(session, source, delivery, reading.file_errors)
            wrong = taking.file_error_places(session, source)
            outbox.note_file_errors(session, source.district_id, wrong, run_id=run_id, now=clock())
            _hold(session, source.id, FILE_ERRORS, run_id)
            counted = reading.file_errors.group_by("code").len().sort("code")
            return Rejected(delivery_id, dict(counted.iter_rows()))
        if delivery.outcome != "clean":
            taking.accept(session, source, delivery)
        taking.note_rows(session, delivery, {name: rows.height for name, rows in reading.rows.items()})
    return form.to_roster(reading), reading.notes


def make_plan(database: Database, order: Order, run_id: int, delivery_id: int, roster: Roster) -> tuple[RunOf, Plan]:
    """Check and settle the roster, and compare it with what is stored.

    Raises:
        DataError: a check or frame failed on the data.
    """
    with database.reading() as session:
        scope = read_scope(session, order.source_id)
        digests = runs.setup_digest(session, _source(session, order.source_id))
        delivery = session.get(Delivery, delivery_id)
        may_remove = delivery is None or delivery.may_remove
        plan = plan_roster(session, scope, roster, may_remove=may_remove, delivery_id=delivery_id)
    return RunOf(run_id, delivery_id, scope, digests), plan


def plan_roster(
    session: Session, scope: Scope, roster: Roster, *, may_remove: bool = True, delivery_id: int | None = None
) -> Plan:
    """The plan for a roster, judged, from what the session sees; writes nothing.

    may_remove: see `models.tables.Delivery`. delivery_id: the delivery that the roster is of, where it has one.

    Raises:
        DataError: a check or frame failed on the data.
    """

    left_out = 0
    if scope.leaves_out_contacts:
        roster, left_out = without_contacts(roster)

    def settled() -> Settled:
        records = check(
            roster,
            scope.source_school_ids,
            region=scope.region,
            today=clock().date(),
            date_order=scope.date_order,
        )
        held = load_held(session, scope, stored, records.emails())
        return settle(records, held)

    def planned() -> Plan:
        plan = plan_district(scope, _guarded("checking", settled), stored, today=clock().date())
        if left_out:
            said = f"left out as decided: {count(left_out, 'emergency contact')}"
            plan = replace(plan, notes=(*plan.notes, said))
        plan = judging.judged(session, scope, plan if may_remove else without_removals(plan), delivery_id=delivery_id)
        return _with_causes(session, scope, plan, roster, stored)

    stored = load_stored(session, scope)
    return _guarded("planning", planned)


def _with_causes(session: Session, scope: Scope, plan: Plan, roster: Roster, stored: Stored) -> Plan:
    """The plan, with what seems to have brought about each reason to hold a school."""
    crossed = {
        changes.school_id: {reason.code: reason.counts for reason in changes.reasons}
        for changes in plan.changesets
        if changes.reasons
    }
    if not crossed:
        return plan
    rows_before = taking.rows_last_applied(session, scope.source_id, list(crossed))
    seen = causes.seen(scope, roster, stored, rows_before)

    def explained(changes: ChangeSet) -> ChangeSet:
        found = causes.causes(changes, seen, crossed.get(changes.school_id, {}))
        reasons = (
            replace(reason, detail=" ".join(filter(None, (reason.detail, found.get(reason.code)))) or None)
            for reason in changes.reasons or ()
        )
        return replace(changes, reasons=tuple(reasons))

    return replace(plan, changesets=tuple(explained(changes) for changes in plan.changesets))


def check_files(format_name: str, files: Mapping[str, bytes], *, region: str = "US") -> tuple[Reading, Settled | None]:
    """A dry run of files without any database: what was read, and, without file errors, what settling found.

    files: by their names, as `contracts.formats.match_names` takes them.

    Raises:
        DataError: a check or frame failed on the data.
    """
    form = FORMATS[format_name]
    reading = _guarded("reading the files", lambda: form.read(files))
    if len(reading.file_errors):
        return reading, None
    roster = form.to_roster(reading)
    settled = _guarded(
        "checking",
        lambda: settle(check(roster, None, region=region, today=clock().date()), Held.nothing()),
    )
    return reading, settled


@dataclass(frozen=True)
class Preview:
    """What a delivery would do; with file errors nothing. `schools`: their ChangeSets, judged."""

    message: str
    file_errors: pl.DataFrame
    schools: tuple[ChangeSet, ...] = ()
    notes: tuple[str, ...] = ()


def preview(session: Session, order: Order, *, landing: Path, connection: clever.Connection | None = None) -> Preview:
    """What the waiting delivery, else the current one, would do to the schools asked for. Writes nothing that stays.

    Of a Clever source it is what Clever gives now.

    Raises:
        SourceUnreachable, SourceRefused: the drop folder or Clever cannot be read.
        DataError: a check or frame failed on the data.
    """
    source = _source(session, order.source_id)
    may_remove = True
    notes: tuple[str, ...] = ()
    if order.kind == CLEVER:
        assert connection is not None
        standing = fetching.standing(
            clever.look(connection, source.clever_district_id or ""), clock(), _zone(session, source)
        )
        if not standing.is_ready:
            return Preview(standing.message or "", empty(taking.FILE_ERRORS))
        may_remove = standing.state != fetching.PAUSED
        files: dict[str, bytes] | None = _fetched(connection, source, landing)
        message = standing.message or "what Clever has now"
    else:
        waiting = look_at(session, source, as_it_stands=True)
        notes = waiting.notes
        if len(waiting.file_errors):
            return Preview(waiting.message, waiting.file_errors, notes=notes)
        files, message = _waiting_files(session, source, waiting, landing)
    if files is None:
        return Preview(message, empty(taking.FILE_ERRORS), notes=notes)
    form = FORMATS[source.format]
    reading = _guarded("reading the files", lambda: form.read(files))
    if len(reading.file_errors):
        return Preview(message, reading.file_errors, notes=notes)
    scope = read_scope(session, source.id)
    plan = plan_roster(session, scope, form.to_roster(reading), may_remove=may_remove)
    asked = [changes for changes in plan.changesets if order.schools is None or changes.school_id in order.schools]
    return Preview(message, reading.file_errors, tuple(asked), (*notes, *reading.notes, *plan.notes))


def _waiting_files(
    session: Session, source: Source, waiting: taking.Waiting, landing: Path
) -> tuple[dict[str, bytes] | None, str]:
    """The files that wait in the drop folder, else those of the current delivery, and which they are."""
    if waiting.state == taking.Arrival.READY:
        return taking.peek(_place(source), waiting), "the files that wait now"
    delivery = session.get(Delivery, source.current_delivery_id) if source.current_delivery_id is not None else None
    if delivery is None:
        return None, waiting.message
    errors = "; the last files have errors, which stop everything" if taking.has_file_errors(session, source) else ""
    return taking.landed_files(landing, delivery), f"{waiting.message}{errors}; delivery {delivery.id} applied again"


def _fetched(connection: clever.Connection, source: Source, landing: Path) -> dict[str, bytes]:
    """The district's files as Clever gives it now; nothing of them stays."""
    landing.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".preview-", dir=landing) as folder:
        clever.fetch(connection, source.clever_district_id or "", Path(folder))
        return {file.name: file.read_bytes() for file in Path(folder).iterdir()}


def start_schools(database: Database, order: Order, run: RunOf, plan: Plan) -> list[ChangeSet]:
    """Store what belongs to no school, record the unchanged schools, and give those that have something to do.

    Raises:
        LeaseLost: the run is no longer open.
    """
    with database.transaction() as session:
        provision.replace_district_issues(session, run, plan.district_issues)
        to_do = provision.schools_to_do(session, run, plan, asked=_listed(order.schools))
        busy = {changeset.school_id for changeset in to_do}
        unchanged = [
            changeset.school_id
            for changeset in plan.changesets
            if changeset.school_id not in busy and (order.schools is None or changeset.school_id in order.schools)
        ]
        provision.record_unchanged(session, run, unchanged, now=clock())
    return to_do


def provision_one(database: Database, run: RunOf, changeset: ChangeSet) -> SchoolOutcome:
    """Guard and provision one school in one transaction.

    Raises:
        WriteConflict: another district took an e-mail meanwhile; plan again, once.
        LeaseLost: the run is no longer open; nothing was written.
        DataError, DatabaseUnavailable: nothing was written.
    """

    def write() -> SchoolOutcome:
        with database.transaction() as session:
            return provision.provision_school(session, run, changeset, now=clock())

    return _guarded("provisioning", write)


def fail_schools(database: Database, run: RunOf, schools: list[str], error: BaseException) -> None:
    """Record that our run failed for these schools, and hold them for it.

    Raises:
        LeaseLost: the run is no longer open.
    """
    with database.transaction() as session:
        provision.record_failure(session, run, schools, kind=type(error).__name__, now=clock())


def fail_run(database: Database, order: Order, run_id: int, delivery_id: int | None, error: BaseException) -> None:
    """Record that the run failed before any school had its turn: those without an outcome are held for it."""
    with database.transaction() as session:
        scope = read_scope(session, order.source_id)
        run = RunOf(run_id, delivery_id or 0, scope, {})
        done = set(session.exec(select(SchoolRun.school_id).where(SchoolRun.run_id == run_id)))
        asked = scope.school_ids if order.schools is None else list(order.schools)
        if delivery_id is not None:
            left = [school for school in asked if school not in done and school in scope.school_ids]
            provision.record_failure(session, run, left, kind=type(error).__name__, now=clock())


def finish(database: Database, run_id: int, outcome: str, notes: list[str]) -> None:
    """End the run and give the lease back.

    Raises:
        LeaseLost: the run was ended already.
    """
    with database.transaction() as session:
        runs.end_run(session, run_id, outcome, notes, now=clock())
        status.record_status_changes(session, None, reason=f"run {run_id} ended: {outcome}", now=clock())


def _guarded(step: str, work: Callable[[], T]) -> T:
    """Run a step over frames; whatever is raised that is not ours becomes ours, with no value in it."""
    try:
        return work()
    except RollcallError:
        raise
    except (Exception, PanicException) as error:  # noqa: BLE001 - any may carry a value
        failure = DataError(step, error)
    # Raised outside the handler: inside it the data-carrying exception would stay attached as its context.
    raise failure
