"""A district's run in this process, step by step as the flow takes it, where no Prefect is there to run it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from sqlmodel import Session

from errors import Busy, LeaseLost, RollcallError, SchoolsFailed, WriteConflict
from models.database import Database
from models.outcomes import RunOutcome, SchoolOutcome
from services.intake.adapters import SourceAdapter
from services.intake.landing_area import LandingArea
from services.planning.changesets import Plan
from services.planning.recognition import IdSecret
from services.status import pauses
from services.status.progress import progress
from services.sync import leases, pipeline, planning, requests
from services.sync.pipeline import Rejected
from services.sync.provision import RunContext, SchoolResult
from services.sync.requests import SyncRequest

# So long a person's run waits for the one that has the district in hand.
WAIT_SECONDS = 3600.0

Step = Callable[[str], None]


def _nothing(_step: str) -> None:
    pass


@dataclass
class Ended:
    """How one source's run ended, and what became of its schools. failed: IDs of schools that our run failed for.

    delivery_id: what it processed, None for nothing.
    """

    outcome: RunOutcome
    notes: list[str] = field(default_factory=list)
    schools: list[SchoolResult] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    delivery_id: int | None = None


class Obstacle(StrEnum):
    """Why a run would do nothing now."""

    BUSY = "busy"  # another run has the district in hand
    PAUSED = "paused"
    NO_SOURCE = "no_source"


def obstacle(session: Session, district_id: str, schools: list[str] | None, now: datetime) -> Obstacle | None:
    """Why a run of a district, or of the schools with these keys, would do nothing now; None where it would.

    Raises:
        NotFound, NotPossible: the district or a school is not to be synced.
    """
    sync_requests = requests.sync_requests(session, district_id, schools, None, by_hand=True)
    if not sync_requests:
        return Obstacle.NO_SOURCE
    if progress(session, district_id, now) is not None:
        return Obstacle.BUSY
    if all(request.is_pausable for request in sync_requests) and pauses.in_force(session, district_id, now=now):
        return Obstacle.PAUSED
    return None


def run_district(
    database: Database,
    district_id: str,
    schools: list[str] | None,
    *,
    landing: LandingArea,
    adapter: Callable[[str], SourceAdapter],
    id_secret: IdSecret | None = None,
    wait: float = WAIT_SECONDS,
) -> dict[str, RunOutcome]:
    """Run each source of a district as a person asked for it; by source, how its run ended.

    schools: their keys, None for all. adapter: gives the adapter of a kind of source. wait: seconds for a run that has
    the district in hand.

    Raises:
        NotFound, NotPossible: the district or a school is not to be synced.
        Busy: another run has the district in hand, and did not end in time.
        SchoolsFailed: after all schools had their turn.
    """
    with database.reading() as session:
        sync_requests = requests.sync_requests(session, district_id, schools, None, by_hand=True, landing=landing)
    endings: dict[str, RunOutcome] = {}
    failed: list[str] = []
    for request in sync_requests:
        if (pause := pipeline.active_pause(database, request)) is not None:
            pipeline.record_skipped_run(database, request, pause)
            endings[request.source_id] = RunOutcome.PAUSED
            continue
        ended = _run_in_turn(
            database, request, landing=landing, adapter=adapter(request.kind), id_secret=id_secret, wait=wait
        )
        endings[request.source_id] = ended.outcome
        failed += ended.failed
    if failed:
        raise SchoolsFailed(failed)
    return endings


def _run_in_turn(
    database: Database,
    request: SyncRequest,
    *,
    landing: LandingArea,
    adapter: SourceAdapter,
    id_secret: IdSecret | None,
    wait: float,
) -> Ended:
    """Run one source once no other run has the district in hand."""
    while True:
        leases.wait_for_run(database, request.district_id, wait, lambda _run: None)
        try:
            return run_request(database, request, landing=landing, adapter=adapter, id_secret=id_secret)
        except Busy:
            continue  # another one was quicker


def run_request(
    database: Database,
    request: SyncRequest,
    *,
    landing: LandingArea,
    adapter: SourceAdapter,
    id_secret: IdSecret | None = None,
    step: Step = _nothing,
) -> Ended:
    """Run one source under the district's lease. step: called between any two steps, with the name of the former.

    id_secret: see `planning.plan_roster`.

    Raises:
        Busy: another run has the district in hand.
        LeaseLost, RollcallError: as `run_begun`.
    """
    step("before begin")
    run_id = pipeline.begin(database, request)
    step("begun")
    return run_begun(
        database, request, run_id, landing=landing, adapter=lambda _kind: adapter, id_secret=id_secret, step=step
    )


def run_begun(
    database: Database,
    request: SyncRequest,
    run_id: int,
    *,
    landing: LandingArea,
    adapter: Callable[[str], SourceAdapter],
    id_secret: IdSecret | None = None,
    step: Step = _nothing,
) -> Ended:
    """The rest of a run that holds the district's lease already. adapter: gives the adapter of a kind of source.

    id_secret: see `planning.plan_roster`.

    Raises:
        LeaseLost: the run was ended or taken over meanwhile.
        RollcallError: the run failed before any school had its turn, and is recorded as failed.
    """
    delivery_id: int | None = None
    notes: list[str] = []
    try:
        with leases.Heartbeat(database, run_id):
            reached = adapter(request.kind)
            fetched = pipeline.take_delivery(database, request, run_id, landing=landing, adapter=reached)
            notes += [fetched.message, *fetched.notes]
            delivery_id = fetched.delivery_id
            step("fetched")
            if delivery_id is None:
                ended = Ended(fetched.outcome or RunOutcome.NOTHING, notes)
            else:
                ended = _process(
                    database, request, run_id, delivery_id, notes, landing=landing, id_secret=id_secret, step=step
                )
    except LeaseLost:
        raise
    except BaseException as error:
        pipeline.fail_run(database, request, run_id, delivery_id, error)
        pipeline.finish(database, run_id, RunOutcome.FAILED, [*notes, f"failed with {type(error).__name__}"])
        raise
    step("before finish")
    pipeline.finish(database, run_id, ended.outcome, ended.notes)
    step("finished")
    return ended


def _process(
    database: Database,
    request: SyncRequest,
    run_id: int,
    delivery_id: int,
    notes: list[str],
    *,
    landing: LandingArea,
    id_secret: IdSecret | None,
    step: Step,
) -> Ended:
    """Check, read and plan a delivery, and give every school with something to do its turn."""
    read = pipeline.read_roster(database, request, run_id, delivery_id, landing=landing)
    step("read")
    if isinstance(read, Rejected):
        return Ended(RunOutcome.REJECTED, [*notes, f"rejected for its file errors: {read.summary}"])
    roster, of_reading = read
    ended = Ended(RunOutcome.DONE, [*notes, *of_reading], delivery_id=delivery_id)

    def plan() -> tuple[RunContext, Plan]:
        return planning.make_plan(database, request, run_id, delivery_id, roster, id_secret=id_secret)

    pause = _sync_schools(database, request, plan, ended, step)
    ended.outcome = RunOutcome.PAUSED if pause is not None and not ended.failed else _ending(ended)
    ended.notes += [] if pause is None else [f"stopped before all schools had their turn: {pause}"]
    return ended


def _sync_schools(
    database: Database,
    request: SyncRequest,
    make_plan: Callable[[], tuple[RunContext, Plan]],
    ended: Ended,
    step: Step,
) -> str | None:
    """Give every school its turn, one that fails never stops the others; a pause does, and is given.

    Rule: where another district took an email in between, the rest is planned again, once for each school.
    """
    run, plan = make_plan()
    ended.notes += plan.notes
    step("planned")
    to_do = pipeline.start_schools(database, request, run, plan)
    step("started")
    planned_again: set[str] = set()
    while to_do:
        if (pause := pipeline.active_pause(database, request)) is not None:
            return pause
        changeset = to_do.pop(0)
        school = changeset.school_id
        try:
            ended.schools.append(pipeline.provision_one(database, run, changeset))
        except LeaseLost:
            raise
        except RollcallError as error:
            if isinstance(error, WriteConflict) and school not in planned_again:
                planned_again.add(school)
                run, plan = make_plan()
                left = {school, *(later.school_id for later in to_do)}
                to_do = [again for again in plan.changesets if again.school_id in left]
                continue
            ended.failed.append(school)
            pipeline.fail_schools(database, run, [school], error)
        step(f"after {school}")
    return None


def _ending(ended: Ended) -> RunOutcome:
    if ended.failed:
        return RunOutcome.FAILED
    if any(school.outcome == SchoolOutcome.ON_HOLD for school in ended.schools):
        return RunOutcome.ON_HOLD
    if all(school.outcome == SchoolOutcome.UNCHANGED for school in ended.schools):
        return RunOutcome.UNCHANGED
    return RunOutcome.DONE
