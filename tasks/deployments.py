"""Bringing a Prefect server to what prefect.yaml says, without undoing what people have paused there."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import yaml
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.workers.process import ProcessWorker

from errors import SetupError

QUEUES = ("manual", "nightly")  # of the work pool, the first served first


def deploy(folder: Path, pool: str) -> None:
    """Make the work pool with its queues where they are missing, and create or update the deployments.

    folder: where prefect.yaml is. Rule: a deployment, or a schedule of one, that somebody paused stays paused.

    Raises:
        SetupError: Prefect refuses them.
    """
    asyncio.run(_deploy(folder, pool))


async def _deploy(folder: Path, pool: str) -> None:
    names = {each["name"] for each in yaml.safe_load((folder / "prefect.yaml").read_text())["deployments"]}
    async with get_client() as client:
        await _make_pool(client, pool)
        before = {each.name: each for each in await client.read_deployments() if each.name in names}
        command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
        done = await asyncio.to_thread(subprocess.run, command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SetupError(f"the deployments could not be made: {(done.stdout + done.stderr)[-500:]}")
        for after in await client.read_deployments():
            if after.name in before:
                await _pause_again(client, before[after.name], after)


async def _make_pool(client: PrefectClient, pool: str) -> None:
    try:
        await client.read_work_pool(pool)
    except ObjectNotFound:
        template = ProcessWorker.get_default_base_job_template()
        await client.create_work_pool(WorkPoolCreate(name=pool, type="process", base_job_template=template))
    for priority, queue in enumerate(QUEUES, start=1):
        with suppress(ObjectAlreadyExists):
            await client.create_work_queue(queue, priority=priority, work_pool_name=pool)


async def _pause_again(client: PrefectClient, before: DeploymentResponse, after: DeploymentResponse) -> None:
    if before.paused and not after.paused:
        await client.pause_deployment(after.id)
    inactive = [each.schedule for each in before.schedules if not each.active]
    for each in after.schedules:
        if each.active and each.schedule in inactive:
            await client.update_deployment_schedule(after.id, each.id, active=False)
