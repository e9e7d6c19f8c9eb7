"""Starting runs on Prefect's workers, for the report and others that run none themselves."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from prefect.client.orchestration import get_client
from prefect.deployments.flow_runs import arun_deployment
from prefect.exceptions import ObjectNotFound

DISTRICT_SYNC, SCHOOL_SYNC = "district-sync/district-sync", "school-sync/school-sync"


def start(district_id: str, schools: list[str] | None) -> bool:
    """Submit a run of a district, or of the schools with these keys, to its deployment; whether workers can take it.

    Rule: where there is no server that answers, no deployment or no work pool, nothing is submitted.
    """
    if schools is None:
        return asyncio.run(_submit(DISTRICT_SYNC, {"district": district_id}))
    return asyncio.run(_submit(SCHOOL_SYNC, {"district": district_id, "schools": schools}))


async def _submit(name: str, parameters: dict[str, Any]) -> bool:
    try:
        async with get_client() as client:
            deployment = await client.read_deployment_by_name(name)
        if deployment.work_pool_name is None:
            return False
        await arun_deployment(name, parameters=parameters, timeout=0, as_subflow=False)
    except (ObjectNotFound, httpx.HTTPError):
        return False
    return True
