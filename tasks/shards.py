"""A shard's steps: districts taken from the queue and synced one by one, a table of them, and giving way to people."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import tenacity
from prefect import get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterNextScheduledStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkQueueFilter,
    WorkQueueFilterName,
)
from prefect.client.schemas.objects import StateType
from prefect.deployments.flow_runs import arun_deployment
from prefect.exceptions import ObjectNotFound
from prefect.runtime import deployment

from errors import LeaseLost, NotPossible, RollcallError, TransientError
from models.outcomes import RunOutcome
from services import clock
from services.districts import district_names
from services.status import sync_status
from services.status.attention import Attention, attention_by_district
from services.sync import pipeline, queue, running
from services.sync.queue import Taken
from services.sync.running import Ended
from settings import get_settings
from tasks.deliveries import RETRIES
from tasks.deployments import MANUAL, of_pool, online_workers
from tasks.resources import adapter, database, landing
from tasks.schools import open_holds, send_outcome
from tasks.status_events import emit_status_changes

DEPLOYMENT = "shard/shard"
SHARDS_PER_WORKER = 2
# A worker asks for runs every 10 seconds: what waits longer waits for a place.
WAITS_FOR_A_PLACE = timedelta(seconds=15)

# A shard outlives a restart of the database.
_patiently = tenacity.retry(
    retry=tenacity.retry_if_exception_type((TransientError, NotPossible)),
    wait=tenacity.wait_exponential(multiplier=0.1, max=10),
    stop=tenacity.stop_after_delay(180),
    reraise=True,
)


@dataclass(frozen=True)
class Synced:
    """What became of a source that a shard took. schools: those that had something to do. changes: in all of them."""

    district_id: str
    source_id: str
    outcome: RunOutcome
    schools: int
    changes: int


def fill_queue(districts: Collection[str], *, kind: str, start_by: datetime | None) -> None:
    """Leave the districts' sources of one kind to the shards."""
    with database().transaction() as session:
        queue.fill(session, districts, kind=kind, start_by=start_by)


def sync_next() -> Synced | None:
    """Take the source synced longest ago, and sync it; None if there is none to take now.

    Rule: one that fails never stops the others.
    """
    kept = _newest_change()
    taken = _take()
    if taken is None:
        return None
    request = taken.request
    ended = _run(taken)
    _patiently(emit_status_changes)(request.district_id, kept)
    changes = sum(sum(school.counts.values()) for school in ended.schools)
    get_run_logger().info("%s: %s", request.source_id, ended.outcome.replace("_", " "))
    return Synced(request.district_id, request.source_id, ended.outcome, len(ended.schools), changes)


def _run(taken: Taken) -> Ended:
    request = taken.request
    try:
        if (pause := pipeline.active_pause(database(), request)) is not None:
            pipeline.finish(database(), taken.run_id, RunOutcome.PAUSED, [pause])
            return Ended(RunOutcome.PAUSED)
        held = set(open_holds(request.district_id).values())
        ended = running.run_begun(
            database(),
            request,
            taken.run_id,
            landing=landing(),
            adapter=adapter,
            id_secret=get_settings().hashing_secret,
        )
    except LeaseLost:
        return Ended(RunOutcome.INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one district, the others have their turn
        # Another's message may hold what is in the data.
        why = str(error) if isinstance(error, RollcallError) else type(error).__name__
        get_run_logger().error("%s: %s", request.source_id, why)
        return Ended(RunOutcome.FAILED)
    for school in ended.schools:
        if school.hold_id not in held:
            send_outcome(ended.delivery_id, school)
    return ended


@_patiently
def _newest_change() -> int:
    with database().reading() as session:
        return sync_status.newest_change(session)


@_patiently
def _take() -> Taken | None:
    with database().transaction() as session:
        return queue.take(session, clock.now())


@_patiently
def is_queue_empty() -> bool:
    """Whether no source is left, not even one that another run has in hand."""
    with database().reading() as session:
        return queue.is_empty(session, clock.now())


def count_late() -> int:
    """How many sources are left for the next night."""
    with database().reading() as session:
        return queue.count_late(session, clock.now())


@task(name="publish the districts", **RETRIES)
def publish_districts(synced: Sequence[Synced]) -> tuple[dict[str, Attention], list[str]]:
    """One table of all districts that a shard synced: codes and counts only.

    Returns:
        What needs somebody, by district, and the sources that failed and that no run has made good.
    """
    mine = {each.district_id for each in synced}
    failed = [each.source_id for each in synced if each.outcome == RunOutcome.FAILED]
    with database().reading() as session:
        needs = {district: each for district, each in attention_by_district(session).items() if district in mine}
        names = district_names(session)
        given_up = queue.given_up(session, failed)
    address = get_settings().report_address
    create_table_artifact(
        key="shard",
        table=[
            {
                "District": f"[{names[each.district_id]}]({address}/districts/{each.district_id})",
                "Source": each.source_id,
                "Outcome": each.outcome.replace("_", " "),
                "Schools": each.schools,
                "Changes": each.changes,
                "Needs": str(needs.get(each.district_id, "")),
            }
            for each in synced
        ],
        description="What became of the districts that this shard took",
    )
    return needs, given_up


async def submit(shards: int) -> None:
    """Submit so many shards to the work pool."""
    for _ in range(shards):
        name = f"shard · {clock.now():%Y-%m-%d %H:%M} UTC"
        await arun_deployment(DEPLOYMENT, flow_run_name=name, timeout=0, as_subflow=False)


async def count_shards(districts: int) -> int:
    """How many shards so many districts are for: as set, else two for each worker that is online.

    Returns:
        0 where each may have a run of its own, or no worker can take shards.
    """
    if districts <= get_settings().district_runs:
        return 0
    async with get_client() as client:
        try:
            pool = (await client.read_deployment_by_name(DEPLOYMENT)).work_pool_name
        except ObjectNotFound:
            return 0
        if pool is None:
            return 0
        workers = online_workers(await client.read_workers_for_work_pool(pool))
    return min(districts, get_settings().shards or max(1, SHARDS_PER_WORKER * len(workers)))


async def somebody_waits() -> bool:
    """Whether a run that a person started waits until a worker has a place for it."""
    if deployment.id is None:
        return False
    async with get_client() as client:
        pool = (await client.read_deployment(deployment.id)).work_pool_name
        if pool is None or (await client.read_work_queue_by_name(MANUAL, work_pool_name=pool)).is_paused:
            return False
        before = clock.now() - WAITS_FOR_A_PLACE
        waiting = await client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
                next_scheduled_start_time=FlowRunFilterNextScheduledStartTime(before_=before),
            ),
            work_pool_filter=of_pool(pool),
            work_queue_filter=WorkQueueFilter(name=WorkQueueFilterName(any_=[MANUAL])),
            limit=1,
        )
    return bool(waiting)
