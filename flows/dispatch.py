"""Start what syncs many districts: a run for each or shards on workers if there are any, otherwise here, one by one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.deployments.flow_runs import arun_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Completed

from contracts.text import count
from errors import SchoolsFailed
from flows.names import district_run_name
from flows.states import has_failed
from flows.sync_district import sync_district
from services import clock
from tasks.shards import count_shards, fill_queue, submit

DEPLOYMENT = "sync-district/district-nightly"


async def start_districts(districts: Sequence[str], *, kind: str, start_by: datetime | None = None) -> State[Any]:
    """Start the districts' runs, in this order, for their sources of one kind.

    Rule: districts are the unit that spreads over workers and machines. More of them than Prefect bears a run of each
    are left to shards. start_by: no run begins after it; those left are named, and what is left goes first the next
    night.

    Raises:
        SchoolsFailed: a district that ran here failed, after all had their turn.
    """
    if not districts:
        return Completed(name="Nothing waiting", message="no district has anything to sync")
    if shards := await count_shards(len(districts)):
        fill_queue(districts, kind=kind, start_by=start_by)
        await submit(shards)
        return Completed(name="Submitted", message=f"{count(len(districts), 'district')} to {count(shards, 'shard')}")
    if await _is_deployed():
        until = start_by.isoformat() if start_by is not None else None
        for district in districts:
            asked = {"district": district, "kind": kind, "nightly": True, "start_by": until}
            name = district_run_name(district)
            await arun_deployment(DEPLOYMENT, flow_run_name=name, parameters=asked, timeout=0, as_subflow=False)
        return Completed(name="Submitted", message=f"{count(len(districts), 'district')}: {', '.join(districts)}")
    failed = []
    not_started: list[str] = []
    for district in districts:
        if start_by is not None and clock.now() >= start_by:
            not_started.append(district)
            continue
        state = await sync_district(district, kind=kind, nightly=True, start_by=start_by, return_state=True)
        if has_failed(state):
            get_run_logger().error("%s: %s", district, state.message)
            failed.append(district)
    if failed:
        raise SchoolsFailed(failed)
    done = [district for district in districts if district not in not_started]
    message = f"{count(len(done), 'district')}: {', '.join(done)}" if done else "no district"
    if not_started:
        return Completed(name="Left for the next night", message=f"{message}; not started: {', '.join(not_started)}")
    return Completed(name="Completed", message=message)


async def _is_deployed() -> bool:
    """Whether workers can take districts: the deployment is there, with a work pool."""
    async with get_client() as client:
        try:
            deployment = await client.read_deployment_by_name(DEPLOYMENT)
        except ObjectNotFound:
            return False
    return deployment.work_pool_name is not None
