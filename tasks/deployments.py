"""Bringing a Prefect server to what prefect.yaml and automations.yaml say, without undoing what people have paused."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterParentFlowRunId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import BlockDocument, State, StateType, Worker, WorkerStatus
from prefect.client.schemas.responses import DeploymentResponse
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.states import Crashed
from prefect.workers.process import ProcessWorker

from errors import SetupError
from tasks.forms import offer_districts

MANUAL = "manual"
QUEUES = (MANUAL, "nightly")  # of the work pool, the first served first
MISSED_HEARTBEATS = 3
BLOCK = "rollcall"  # the notification block that automations notify by, of whatever type


def deploy(folder: Path, pool: str) -> bool:
    """Make the work pool and its queues where they are missing, and create or update deployments and automations.

    Their forms offer the districts that are set up.

    folder: where prefect.yaml and automations.yaml are. Rule: what somebody paused, a deployment, a schedule of one or
    an automation, stays paused.

    Returns:
        Whether the automations notify somebody: only where there is a notification block for them.

    Raises:
        SetupError: Prefect refuses them.
    """
    notifies = asyncio.run(_deploy(folder, pool))
    offer_districts()
    return notifies


async def _deploy(folder: Path, pool: str) -> bool:
    async with get_client() as client:
        await _make_pool(client, pool)
        before = {each.name: each for each in await client.read_deployments(work_pool_filter=of_pool(pool))}
        command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
        done = await asyncio.to_thread(subprocess.run, command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SetupError(f"the deployments could not be made: {(done.stdout + done.stderr)[-500:]}")
        for after in await client.read_deployments(work_pool_filter=of_pool(pool)):
            if after.name in before:
                await _pause_again(client, before[after.name], after)
        return await _automate(client, (folder / "automations.yaml").read_text())


def end_left_runs(pool: str) -> int:
    """Mark what a worker of this pool was running as crashed, and the runs within it; gives how many runs there were.

    For a server that was stopped with its workers: the automation that looks for missing heartbeats forgets those of
    before.
    """
    return asyncio.run(_end_left_runs(pool))


async def _end_left_runs(pool: str) -> int:
    open_states = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.RUNNING, StateType.PENDING]))
    state: State[Any] = Crashed(message="Everything was stopped while it ran. The next run finishes its work.")
    async with get_client() as client:
        left = await client.read_flow_runs(
            flow_run_filter=FlowRunFilter(state=open_states), work_pool_filter=of_pool(pool)
        )
        of_left = FlowRunFilterParentFlowRunId(any_=[run.id for run in left])
        within = FlowRunFilter(state=open_states, parent_flow_run_id=of_left)
        for run in [*(await client.read_flow_runs(flow_run_filter=within) if left else ()), *left]:
            await client.set_flow_run_state(run.id, state, force=True)
    return len(left)


async def _automate(client: PrefectClient, text: str) -> bool:
    blocks = await client.read_block_documents(limit=None)
    notifying = [each.id for each in blocks if each.name == BLOCK and _can_notify(each)]
    for automation in yaml.safe_load(text)["automations"]:
        notifies = any("block_document_id" in action for action in automation["actions"])
        if notifies and not notifying:
            continue
        for action in automation["actions"]:
            if "block_document_id" in action:
                action["block_document_id"] = notifying[0]
        wanted = AutomationCore.model_validate(automation)
        held = await client.find_automation(automation["name"])
        if held is None:
            await client.create_automation(wanted)
        else:
            await client.update_automation(held.id, wanted.model_copy(update={"enabled": held.enabled}))
    return bool(notifying)


def _can_notify(block: BlockDocument) -> bool:
    return block.block_schema is not None and "notify" in block.block_schema.capabilities


def of_pool(pool: str) -> WorkPoolFilter:
    """Match what is of this work pool: others on the server may have deployments and runs of the same names."""
    return WorkPoolFilter(name=WorkPoolFilterName(any_=[pool]))


def online_workers(workers: Sequence[Worker]) -> list[Worker]:
    """Those that gave a sign of life lately: the server goes on calling one that was killed online for a while."""

    def is_recent(each: Worker) -> bool:
        interval = timedelta(seconds=each.heartbeat_interval_seconds or 30)
        seen = each.last_heartbeat_time
        return seen is not None and datetime.now(UTC) - seen < MISSED_HEARTBEATS * interval

    return [each for each in workers if each.status == WorkerStatus.ONLINE and is_recent(each)]


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
