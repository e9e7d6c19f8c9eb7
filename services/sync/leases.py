"""A district's runs: the lease and its heartbeat, what a run did, and which schools a delivery is not done with."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from types import TracebackType
from zoneinfo import ZoneInfo

from sqlalchemy import delete, func, update
from sqlmodel import Session, col, select

from errors import Busy, DatabaseUnavailable, LeaseLost, NotFound, NotPossible
from models import bulk
from models.database import Database
from models.outcomes import UP_TO_DATE, DeliveryOutcome, RunOutcome
from models.tables import Delivery, District, QueuedSource, Run, School, SchoolRun, Source
from services import clock
from services.intake.adapters import ADAPTERS
from services.status.sync_status import SILENT, is_live, record_status_changes
from services.version import VERSION

# Seconds after which a heartbeat that met a locked database is tried again.
_AGAIN = 1.0


def _open_run(session: Session, district_id: str, *, lock: bool = False) -> Run | None:
    statement = select(Run).where(Run.district_id == district_id, col(Run.ended_at).is_(None))
    if lock:
        statement = statement.with_for_update()
    return session.exec(statement.execution_options(populate_existing=True)).one_or_none()


def begin_run(session: Session, district_id: str, source_id: str, *, schools: list[str] | None, now: datetime) -> Run:
    """Take the district's lease: its one open run. schools: the school IDs asked for, None for all.

    Rule: a district is never synced twice at once. An open run silent for five minutes, by the database's clock, is
    ended as interrupted and taken over.

    Raises:
        Busy: another run is syncing the district; says since when.
        NotFound: there is no such district.
        NotPossible: the setup file no longer names the district.
    """
    # Concurrent starts are serialized here, without blocking rows that refer to the district.
    district = session.exec(select(District).where(District.id == district_id).with_for_update(key_share=True)).first()
    if district is None:
        raise NotFound(f"there is no district {district_id}", hint="`rollcall status` lists them")
    if district.frozen:
        raise NotPossible(f"the setup file no longer names district {district_id}: it is frozen and not synced")
    former = _open_run(session, district_id)
    if former is not None and is_live(former, bulk.clock(session)):
        raise _busy(session, former)
    if former is not None:
        _take_over(session, district_id, now)
    run = Run(
        district_id=district_id,
        source_id=source_id,
        schools=schools,
        started_at=now,
        heartbeat_at=bulk.clock(session),
    )
    session.add(run)
    session.flush()
    return run


def hold_district(session: Session, district_id: str, now: datetime) -> None:
    """Keep runs of the district from starting until the caller's transaction ends; a run that died is ended.

    Raises:
        Busy: a run is syncing the district; says since when.
        NotFound: there is no such district.
    """
    if session.exec(select(District).where(District.id == district_id).with_for_update()).first() is None:
        raise NotFound(f"there is no district {district_id}", hint="`rollcall status` lists them")
    former = _open_run(session, district_id)
    if former is not None and is_live(former, bulk.clock(session)):
        raise _busy(session, former)
    if former is not None:
        _take_over(session, district_id, now)


def _busy(session: Session, run: Run) -> Busy:
    since = _shown(session, run.district_id, run.started_at)
    return Busy(
        f"district {run.district_id} is already being synced (run {run.id}, started {since});"
        " try again when it has ended"
    )


def _shown(session: Session, district_id: str, moment: datetime) -> str:
    """A moment as the district's people read it."""
    district = session.get(District, district_id)
    zone = ZoneInfo(district.timezone if district is not None else "UTC")
    return clock.local_time(moment, zone)


def _take_over(session: Session, district_id: str, now: datetime) -> None:
    # The lock waits for a school's transaction of that run; meanwhile it may have shown a heartbeat, or ended.
    former = _open_run(session, district_id, lock=True)
    if former is None:
        return
    present = bulk.clock(session)
    if is_live(former, present):
        raise _busy(session, former)
    # Kept while the run is still open: afterward nothing shows since when it had been silent.
    schools = session.exec(select(School.id).where(School.district_id == district_id)).all()
    record_status_changes(session, schools, SILENT, max(now, present))
    former.ended_at, former.outcome = now, RunOutcome.INTERRUPTED
    former.notes = [*(former.notes or []), f"no heartbeat since {_shown(session, district_id, former.heartbeat_at)}"]
    session.add(former)
    session.flush()


def record_skipped_run(
    session: Session, district_id: str, source_id: str, *, schools: list[str] | None, note: str, now: datetime
) -> None:
    """Record a run that met a maintenance pause before it began: it runs once the pause is over."""
    session.add(
        Run(
            district_id=district_id,
            source_id=source_id,
            schools=schools,
            started_at=now,
            heartbeat_at=now,
            ended_at=now,
            outcome=RunOutcome.PAUSED,
            notes=[note],
        )
    )
    session.flush()


def record_processing(session: Session, run_id: int, *, delivery_id: int | None = None, now: datetime) -> None:
    """Note that the run has something to bring in, and which delivery once that is there.

    Rule: its schools are Processing from then on; a run that only looks changes no status.
    """
    run = session.get_one(Run, run_id, populate_existing=True)
    run.delivery_id, run.processing_since = delivery_id, run.processing_since or now
    session.add(run)
    session.flush()


def record_heartbeat(session: Session, run_id: int) -> bool:
    """Show that the run is alive, by the database's clock; whether it is still open."""
    shown = session.execute(
        update(Run)
        .where(col(Run.id) == run_id, col(Run.ended_at).is_(None))
        .values(heartbeat_at=bulk.clock(session))
        .returning(col(Run.id)),
        execution_options={"synchronize_session": False},
    )
    return shown.first() is not None


class Heartbeat:
    """Shows a run's heartbeat from a thread with a connection of its own, as long as the `with` lasts.

    A locked or absent database is tried again; the thread ends quietly once the run is no longer open.
    """

    def __init__(self, database: Database, run_id: int, every: float = 20.0) -> None:
        self._database = database
        self._run_id = run_id
        self._every = every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._show, name=f"heartbeat of run {run_id}", daemon=True)

    def _show(self) -> None:
        pause = self._every
        while not self._over.wait(pause):
            try:
                with self._database.transaction() as session:
                    if not record_heartbeat(session, self._run_id):
                        return
                pause = self._every
            except DatabaseUnavailable:
                pause = min(_AGAIN, self._every)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()


def assert_open(session: Session, run_id: int) -> None:
    """What a transaction of a run does first: keep it from being taken over until it commits.

    Rule: it locks its run's row (FOR KEY SHARE, which lets heartbeats through; on SQLite the transaction has the
    write lock already) and finds it open.

    Raises:
        LeaseLost: the run was ended or taken over.
    """
    found = session.exec(
        select(Run.id).where(Run.id == run_id, col(Run.ended_at).is_(None)).with_for_update(read=True, key_share=True)
    ).first()
    if found is None:
        raise _lost(run_id)


def _lost(run_id: int) -> LeaseLost:
    return LeaseLost(f"run {run_id} was ended or taken over by another one; it may write nothing more")


def end_run(session: Session, run_id: int, outcome: str, notes: list[str], now: datetime) -> None:
    """End the run and give the lease back. The notes are added to those it has.

    Rule: unless it failed, or was asked for some schools only, shards need not sync its source anymore.

    Raises:
        LeaseLost: it was ended or taken over already.
    """
    if outcome != RunOutcome.FAILED:
        # Before the run's row, as a shard locks them in this order.
        whole = select(Run.source_id).where(Run.id == run_id, col(Run.schools).is_(None))
        session.execute(delete(QueuedSource).where(col(QueuedSource.source_id).in_(whole)))
    run = session.exec(
        select(Run)
        .where(Run.id == run_id, col(Run.ended_at).is_(None))
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    if run is None:
        raise _lost(run_id)
    run.ended_at, run.outcome, run.notes = now, outcome, [*(run.notes or []), *notes]
    session.add(run)
    session.flush()


def wait_for_run(
    database: Database,
    district_id: str,
    timeout: float,
    on_wait: Callable[[Run], None],
    *,
    every: float = 1.0,
) -> None:
    """Wait until no live run is syncing the district, at most `timeout` seconds; `on_wait` is called once for each.

    Raises:
        Busy: it still has.
    """
    until = time.monotonic() + timeout
    warned_of: int | None = None
    while True:
        with database.reading() as session:
            run = _open_run(session, district_id)
            if run is None or not is_live(run, bulk.clock(session)):
                return
            busy = _busy(session, run)
        if run.id != warned_of:
            on_wait(run)
            warned_of = run.id
        if time.monotonic() >= until:
            raise busy
        time.sleep(every)


def setup_digest(session: Session, source: Source) -> dict[str, str]:
    """By school ID, a digest of what, beside the delivery, decides what becomes of it: setup, settings, version.

    Schools of the source that are on the plan and not frozen. What only people read (names) is not in it.
    """
    district = session.get(District, source.district_id)
    if district is None:
        raise NotFound(f"there is no district {source.district_id}")
    adapter = ADAPTERS[source.kind]
    return {
        school.id: hashlib.sha256(
            json.dumps(
                {
                    "version": VERSION,
                    "phone_region": district.phone_region,
                    "source": [source.id, source.kind, source.format],
                    **({"location": adapter.location_of(source.settings)} if adapter.is_remote else {}),
                    **({"leaves_out_contacts": True} if source.leaves_out_contacts else {}),
                    **({"date_order": district.date_order} if district.date_order else {}),
                    **({"rostering_enforcement": True} if district.rostering_enforcement else {}),
                    "external_id": school.external_id,
                },
                sort_keys=True,
            ).encode()
        ).hexdigest()
        for school in _schools(session, source)
    }


def _schools(session: Session, source: Source) -> list[School]:
    return list(
        session.exec(
            select(School)
            .where(School.source_id == source.id, col(School.on_plan).is_(True), col(School.frozen).is_(False))
            .order_by(col(School.position), col(School.id))
        )
    )


def unfinished_schools(session: Session, source: Source, digests: Mapping[str, str]) -> list[str]:
    """The source's schools, by ID, that its current delivery is not done with.

    Rule: it is done with a school once applied or found unchanged there under today's setup and settings. Only the
    last thing done for a school counts: another delivery applied since, or a failure, undoes it. What was done about a
    rejected delivery is nothing.
    """
    if source.current_delivery_id is None:
        return []
    newest = (
        select(func.max(SchoolRun.id))
        .outerjoin(Delivery, col(Delivery.id) == SchoolRun.delivery_id)
        .where(func.coalesce(Delivery.outcome, "") != DeliveryOutcome.REJECTED, col(SchoolRun.school_id).in_(digests))
        .group_by(col(SchoolRun.school_id))
    )
    done = {
        last.school_id
        for last in session.exec(select(SchoolRun).where(col(SchoolRun.id).in_(newest)))
        if last.outcome in UP_TO_DATE
        and last.source_id == source.id
        and last.delivery_id == source.current_delivery_id
        and last.digest == digests[last.school_id]
    }
    return [school.id for school in _schools(session, source) if school.id not in done]


def runs_of(session: Session, district_id: str, limit: int = 20) -> list[Run]:
    """The district's runs, newest first."""
    statement = select(Run).where(Run.district_id == district_id).order_by(col(Run.id).desc()).limit(limit)
    return list(session.exec(statement))
