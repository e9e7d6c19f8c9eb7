"""Runs started from elsewhere go to the deployments where workers can take them, and nowhere else."""

from __future__ import annotations

import asyncio
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.by_hand import district_sync, school_sync
from tasks import starting


def test_without_a_deployment_nothing_is_submitted() -> None:
    assert starting.start("unified", None) is False
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        assert starting.start("unified", None) is False


def test_the_deployment_gets_the_district_and_the_schools() -> None:
    async def deployed() -> list[Any]:
        async with get_client() as client:
            await client.create_work_pool(WorkPoolCreate(name="rollcall", type="process"))
            flows: dict[str, Any] = {"district-sync": district_sync, "school-sync": school_sync}
            return [
                await (await flow.to_deployment(name, work_pool_name="rollcall")).aapply()
                for name, flow in flows.items()
            ]

    async def parameters(deployment_id: Any) -> list[dict[str, Any]]:
        wanted = DeploymentFilter(id=DeploymentFilterId(any_=[deployment_id]))
        async with get_client() as client:
            return [run.parameters for run in await client.read_flow_runs(deployment_filter=wanted)]

    async def removed(ids: list[Any]) -> None:
        async with get_client() as client:
            for each in ids:
                await client.delete_deployment(each)
            await client.delete_work_pool("rollcall")

    of_district, of_school = made = asyncio.run(deployed())
    try:
        assert starting.start("unified", None) is True
        assert starting.start("unified", ["lincoln"]) is True
        assert asyncio.run(parameters(of_district)) == [{"district": "unified"}]
        assert asyncio.run(parameters(of_school)) == [{"district": "unified", "schools": ["lincoln"]}]
    finally:
        asyncio.run(removed(made))
