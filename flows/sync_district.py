"""A district's run: fetch, check, read, validate, settle and plan once, then provision school by school."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from prefect import flow, tags
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

from contracts.roster import Roster
from errors import Busy, LeaseLost, SchoolsFailed, WriteConflict
from flows.names import district_names, district_run_name, tag_run
from flows.states import LEFT, NEEDS_SOMEBODY, SKIPPED, STATES, STILL_ON_HOLD, ended, has_failed
from flows.sync_school import SchoolWork, sync_school
from models.outcomes import RunOutcome, SchoolOutcome
from services import clock
from services.planning.changesets import ChangeSet, Plan
from services.sync.pipeline import Rejected
from services.sync.provision import RunContext, SchoolResult
from services.sync.requests import SyncRequest
from tasks.deliveries import fetch, make_plan, publish_report, read_roster, start_schools
from tasks.leases import leased
from tasks.mail import send_what_waits
from tasks.morning import publish_morning_list
from tasks.requests import paused, read_requests, record_paused
from tasks.schools import fail_schools, may_have_runs, open_holds, provision_school, publish_schools, send_outcome


def run_name() -> str:
    """The district, and the date there."""
    return district_run_name(flow_run.parameters["district"])


@flow(name="sync-district", flow_run_name=run_name, persist_result=False)
async def sync_district(
    district: str,
    schools: list[str] | None = None,
    delivery: int | None = None,
    now: bool = False,
    nightly: bool = False,
    kind: str | None = None,
    start_by: datetime | None = None,
) -> State[Any]:
    """Sync one district, or some of its schools, from the newest delivery or a kept one.

    Args:
        district: the district's ID, as in the setup file.
        schools: IDs of the schools to sync; leave empty for all of them.
        delivery: the number of a kept delivery to apply again; leave empty for the newest.
        now: take a complete set of files now, without waiting for quiet_seconds.
        nightly: started by a schedule; a busy district is skipped, and finished schools are not synced again.
        kind: sync only sources of this kind, csv or clever; leave empty for all of them.
        start_by: start no later than this; otherwise leave the district for the next night.
    """
    if start_by is not None and clock.now() >= start_by:
        return Completed(name=STATES[LEFT], message="it is too late tonight; this district goes first the next night")
    started_at = clock.now()
    pauses: list[str] = []
    endings: dict[str, str] = {}
    failed: list[str] = []
    sync_requests = read_requests(district, schools, delivery, now, by_hand=not nightly, kind=kind)
    named = [f"district:{district}", *(f"source:{request.source_id}" for request in sync_requests)]
    await tag_run(*named)
    for request in sync_requests:
        if (pause := paused(request)) is not None:
            record_paused(request, pause)
            endings[request.source_id] = RunOutcome.PAUSED
            pauses.append(pause)
            continue
        try:
            endings[request.source_id] = await _sync_source(request)
        except SchoolsFailed as error:
            failed += error.schools
        except Busy:
            # The run that is syncing the district does the work; only a person waits for their own.
            if not nightly:
                raise
            endings[request.source_id] = SKIPPED
    needs = publish_report(district)
    if needs.codes:
        await tag_run(*named, *(f"needs:{code.replace('_', '-')}" for code in needs.codes))
    publish_morning_list()
    send_what_waits()
    if failed:
        raise SchoolsFailed(failed)
    ending = min(endings.values(), key=list(STATES).index, default=RunOutcome.NOTHING)
    name = STATES[ending]
    if name in NEEDS_SOMEBODY and not needs.is_due(started_at, clock.now()):
        name = STILL_ON_HOLD
    sources = ", ".join(f"{source}: {STATES[end]}" for source, end in endings.items())
    return ended(name, "; ".join(filter(None, [str(needs), sources, *pauses])))


async def _sync_source(request: SyncRequest) -> str:
    """Run one source's night under the district's lease, and return how it ended.

    Raises:
        SchoolsFailed: after all schools had their turn.
    """
    with leased(request, wait=request.by_hand) as lease:
        fetched = fetch(request, lease.run_id)
        lease.notes += [fetched.message, *fetched.notes]
        lease.delivery_id = fetched.delivery_id
        if fetched.delivery_id is None:
            lease.outcome = fetched.outcome or lease.outcome
            return lease.outcome
        read = read_roster(request, lease.run_id, fetched.delivery_id)
        if isinstance(read, Rejected):
            lease.notes.append(f"rejected for file errors: {read.summary}")
            lease.outcome = RunOutcome.REJECTED
            return lease.outcome
        roster, notes = read
        run, plan = make_plan(request, lease.run_id, fetched.delivery_id, roster)
        lease.notes += [*notes, *plan.notes]
        outcomes, failed, pause = await _sync_schools(request, run, plan, roster)
        lease.outcome = RunOutcome.PAUSED if pause is not None and not failed else _ending(outcomes, failed)
        lease.notes += [] if pause is None else [f"stopped before all schools were synced: {pause}"]
    if failed:
        raise SchoolsFailed(failed)
    return lease.outcome


async def _sync_schools(
    request: SyncRequest, run: RunContext, plan: Plan, roster: Roster
) -> tuple[list[SchoolResult], list[str], str | None]:
    """Give every school with something to do its turn; one that fails never stops the others.

    A maintenance pause does: the school being synced finishes, and the pause is returned with the results so far.

    Where another district took an email in between, the rest of the district is planned again, once for each school
    that this happens to: two districts with many common parents may meet in several of their schools.
    """
    _, names, date = district_names(request.district_id)
    outcomes: list[SchoolResult] = []
    failed: list[str] = []
    planned_again: set[str] = set()
    to_do = start_schools(request, run, plan)
    held = open_holds(request.district_id)
    has_runs = may_have_runs(len(to_do))
    pause = None
    while to_do and (pause := paused(request)) is None:
        changeset = to_do.pop(0)
        school = changeset.school_id
        done = await _again(run, changeset) if school in held else None
        if done is not None and done.hold_id == held[school]:
            outcomes.append(done)
            continue
        state = await _sync_school(SchoolWork(run, changeset, outcomes, done), names, date, has_runs=has_runs)
        if not has_failed(state):
            continue
        error = await state.aresult(raise_on_failure=False)
        if isinstance(error, LeaseLost):
            raise error
        if any(outcome.school_id == school for outcome in outcomes):
            continue  # it is provisioned; only showing it in Prefect failed
        if isinstance(error, WriteConflict) and school not in planned_again:
            planned_again.add(school)
            run, plan = make_plan(request, run.run_id, run.delivery_id, roster)
            remaining = {school, *(later.school_id for later in to_do)}
            to_do = [again for again in plan.changesets if again.school_id in remaining]
            continue
        failed.append(school)
        fail_schools(run, [school], error if isinstance(error, BaseException) else RuntimeError())
    if not has_runs:
        publish_schools(request.district_id, names, outcomes, failed)
    return outcomes, failed, pause


async def _sync_school(work: SchoolWork, names: Mapping[str, str], date: str, *, has_runs: bool) -> State[Any]:
    """Provision a school in a run of its own, or, where there are too many of them, in this one."""
    school, scope = work.changeset.school_id, work.run.scope
    if has_runs:
        # With the run, not afterward: Prefect's server does each change of a run on its own.
        with tags(f"district:{scope.district_id}", f"source:{scope.source_id}", f"school:{school}"):
            return await sync_school(names.get(school, school), date, work, return_state=True)
    outcome = work.done
    if outcome is None:
        state: State[SchoolResult] = provision_school(work.run, work.changeset, return_state=True)
        if not state.is_completed():
            return state
        outcome = await state.aresult()
    work.outcomes.append(outcome)
    send_outcome(work.run.delivery_id, outcome)
    return Completed()


async def _again(run: RunContext, changeset: ChangeSet) -> SchoolResult | None:
    """Provision a school on hold without a run of its own, which it needs only if something is new; None if that fails.

    What failed is tried, and shown, in its own run.
    """
    state: State[SchoolResult] = provision_school(run, changeset, return_state=True)
    return await state.aresult() if state.is_completed() else None


def _ending(outcomes: list[SchoolResult], failed: list[str]) -> RunOutcome:
    if failed:
        return RunOutcome.FAILED
    if any(outcome.outcome == SchoolOutcome.ON_HOLD for outcome in outcomes):
        return RunOutcome.ON_HOLD
    if all(outcome.outcome == SchoolOutcome.UNCHANGED for outcome in outcomes):
        return RunOutcome.UNCHANGED
    return RunOutcome.DONE
