"""The night of all CSV districts: each with something to do gets a run of its own."""

from __future__ import annotations

from typing import Any

from prefect import flow, get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.deployments.flow_runs import arun_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Completed

from errors import SchoolsFailed
from flows.sync_district import sync_district
from tasks.leases import districts_to_do

DEPLOYMENT = "sync-district/district-sync"


@flow(name="csv-nightly", persist_result=False)
async def csv_nightly(arrivals_only: bool = False) -> State[Any]:
    """Start a run for every district with something to do: on workers where they are, else here, one by one.

    Args:
        arrivals_only: look only for deliveries waiting, not for ones that still have to be finished.
    """
    found = districts_to_do("csv", arrivals_only)
    if not found:
        return Completed(name="Nothing waiting", message="no district has anything to do")
    if await _is_deployed():
        for district in found:
            await arun_deployment(
                DEPLOYMENT, parameters={"district": district, "nightly": True}, timeout=0, as_subflow=False
            )
        return Completed(name="Submitted", message=f"{len(found)} districts: {', '.join(found)}")
    failed = []
    for district in found:
        state = await sync_district(district, nightly=True, return_state=True)
        if state.is_failed() or state.is_crashed():
            get_run_logger().error("%s: %s", district, state.message)
            failed.append(district)
    if failed:
        raise SchoolsFailed(failed)
    return Completed(name="Completed", message=f"{len(found)} districts: {', '.join(found)}")


async def _is_deployed() -> bool:
    """Whether workers can take districts: the deployment is there, with a work pool."""
    async with get_client() as client:
        try:
            deployment = await client.read_deployment_by_name(DEPLOYMENT)
        except ObjectNotFound:
            return False
    return deployment.work_pool_name is not None
