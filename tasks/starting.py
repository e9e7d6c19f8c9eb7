"""Starting runs on Prefect's workers, for the report and others that run none themselves."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from prefect.client.orchestration import get_client
from prefect.deployments.flow_runs import arun_deployment
from prefect.exceptions import ObjectNotFound

from services import clock
from services.districts import run_title
from tasks.forms import DISTRICT_SYNC, SCHOOL_SYNC
from tasks.resources import database


def start(district_id: str, schools: list[str] | None) -> bool:
    """Submit a run of a district, or of the schools with these keys, to its deployment; whether workers can take it.

    Rule: where there is no server that answers, no deployment or no work pool, nothing is submitted.
    """
    with database().reading() as session:
        title = run_title(session, district_id, clock.now())
    if schools is None:
        return asyncio.run(_submit(DISTRICT_SYNC, title, {"district": district_id}))
    return asyncio.run(_submit(SCHOOL_SYNC, title, {"district": district_id, "schools": schools}))


async def _submit(form: str, title: str, parameters: dict[str, Any]) -> bool:
    name = f"{form}/{form}"
    try:
        async with get_client() as client:
            deployment = await client.read_deployment_by_name(name)
        if deployment.work_pool_name is None:
            return False
        await arun_deployment(name, flow_run_name=title, parameters=parameters, timeout=0, as_subflow=False)
    except (ObjectNotFound, httpx.HTTPError):
        return False
    return True
