"""prefect.yaml: every deployment's entrypoint and parameters fit its flow, and a cron gets its scheduled runs."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ParameterTypeError
from prefect.settings import PREFECT_API_URL, temporary_settings

from tests.everything_up import told
from tests.flows.conftest import rollcall

ROOT = Path(__file__).parents[2]
DEPLOYMENTS = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]


def flow_of(deployment: dict[str, Any]) -> Any:
    path, name = deployment["entrypoint"].split(":")
    return getattr(importlib.import_module(path.removesuffix(".py").replace("/", ".")), name)


def test_the_deployments_are_those_that_the_documentation_names() -> None:
    assert [deployment["name"] for deployment in DEPLOYMENTS] == [
        "csv-nightly",
        "csv-arrivals",
        "clever-nightly",
        "district-nightly",
        "shard",
        "district-sync",
        "school-sync",
        "resolve-hold",
        "maintenance-pause",
        "maintenance-resume",
        "housekeeping",
    ]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: str(deployment["name"]))
def test_a_deployment_fits_its_flow(deployment: dict[str, Any]) -> None:
    known = flow_of(deployment).parameters.properties
    assert set(deployment.get("parameters", {})) <= set(known)
    queue = "manual" if "manual" in deployment["tags"] or "maintenance" in deployment["tags"] else "nightly"
    assert deployment["work_pool"] == {"name": "rollcall", "work_queue_name": queue}


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("district-sync", ("district", "delivery", "now")),
        ("school-sync", ("district", "schools", "delivery", "now")),
        ("resolve-hold", ("resolution", "by", "holds", "district", "why")),
        ("maintenance-pause", ("reason", "district", "until")),
        ("maintenance-resume", ("district",)),
    ],
)
def test_the_form_for_ops_explains_every_field(name: str, fields: tuple[str, ...]) -> None:
    (deployment,) = (each for each in DEPLOYMENTS if each["name"] == name)
    found = flow_of(deployment).parameters.properties
    assert {name: bool(field.get("description")) for name, field in found.items()} == dict.fromkeys(fields, True)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("district-sync", {"district": ""}),
        ("school-sync", {"district": "unified", "schools": []}),
        ("school-sync", {"district": "unified", "schools": [""]}),
        ("school-sync", {"district": "unified"}),
        ("maintenance-pause", {"reason": ""}),
        ("resolve-hold", {"resolution": "Confirm removals", "by": "", "district": "unified"}),
    ],
)
def test_an_empty_form_is_refused(name: str, form: dict[str, Any]) -> None:
    (deployment,) = (each for each in DEPLOYMENTS if each["name"] == name)
    with pytest.raises(ParameterTypeError):
        flow_of(deployment).validate_parameters(form)


def test_the_form_of_resolve_hold_offers_the_resolutions_by_name() -> None:
    (deployment,) = (each for each in DEPLOYMENTS if each["name"] == "resolve-hold")
    assert flow_of(deployment).parameters.definitions["Resolution"]["enum"] == [
        "Confirm removals",
        "Confirm changes",
        "Accept as it is",
        "Leave them out",
        "I fixed it",
        "Check again",
    ]


def test_a_cron_deployment_gets_its_scheduled_runs() -> None:
    nightly = next(deployment for deployment in DEPLOYMENTS if deployment["name"] == "csv-nightly")
    schedule = nightly["schedules"][0]

    async def scheduled() -> int:
        deployment = await flow_of(nightly).to_deployment(
            nightly["name"],
            schedules=[CronSchedule(cron=schedule["cron"], timezone=schedule["timezone"])],
            parameters=nightly["parameters"],
        )
        deployment_id = await deployment.apply()
        mine = DeploymentFilter(id=DeploymentFilterId(any_=[deployment_id]))
        until = time.monotonic() + 60
        async with get_client() as client:
            try:
                while time.monotonic() < until:
                    if runs := await client.read_flow_runs(deployment_filter=mine):
                        return len(runs)
                    await asyncio.sleep(0.2)
            finally:
                await client.delete_deployment(deployment_id)
        return 0

    assert asyncio.run(scheduled()) > 0


def test_deploying_again_leaves_paused_what_somebody_paused(own_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", own_server)

    def asked(what: str, of: object = None) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = told("POST", f"{own_server}/{what}/filter", json=of or {})
        return found

    def ours() -> dict[str, dict[str, Any]]:
        return {each["name"]: each for each in asked("deployments", {"work_pools": {"name": {"any_": ["rollcall"]}}})}

    def deploy() -> dict[str, dict[str, Any]]:
        assert rollcall("deploy").exit_code == 0
        return ours()

    def active(deployed: dict[str, dict[str, Any]]) -> dict[str, tuple[bool, list[bool]]]:
        return {name: (each["paused"], [its["active"] for its in each["schedules"]]) for name, each in deployed.items()}

    first = deploy()
    expected = {each["name"]: (False, [True for _ in each.get("schedules", [])]) for each in DEPLOYMENTS}
    assert active(first) == expected
    queues = {queue["name"]: queue["priority"] for queue in asked("work_pools/rollcall/queues")}
    assert [pool["type"] for pool in asked("work_pools")] == ["process"]
    assert (queues["manual"], queues["nightly"]) == (1, 2)

    told("POST", f"{own_server}/deployments/{first['csv-nightly']['id']}/pause_deployment")
    arrivals = first["csv-arrivals"]
    schedule = f"{own_server}/deployments/{arrivals['id']}/schedules/{arrivals['schedules'][0]['id']}"
    told("PATCH", schedule, json={"active": False})
    # Other programs on the server have deployments of the same name, which are paused.
    for flow in ("another", "one more"):
        flow_id = told("POST", f"{own_server}/flows/", json={"name": flow})["id"]
        others = {"name": "housekeeping", "flow_id": flow_id, "paused": True}
        told("POST", f"{own_server}/deployments/", json=others)
    # Without a notification block, only what notifies nobody is automated.
    (crashed,) = asked("automations")
    assert crashed["name"] == "rollcall-run-without-heartbeat"
    told("PATCH", f"{own_server}/automations/{crashed['id']}", json={"enabled": False})
    with temporary_settings({PREFECT_API_URL: own_server}):
        block: Any = CustomWebhookNotificationBlock(
            name="ops", url="http://127.0.0.1:9", json_data={"text": "{{body}}"}
        )
        block.save("rollcall", _sync=True)
    before = active(ours())
    assert before == expected | {"csv-nightly": (True, [True]), "csv-arrivals": (False, [False])}
    assert active(deploy()) == before
    automated = {each["name"]: each["enabled"] for each in asked("automations")}
    names = [each["name"] for each in yaml.safe_load((ROOT / "automations.yaml").read_text())["automations"]]
    assert automated == {name: name != "rollcall-run-without-heartbeat" for name in names}
    assert len(asked("automations")) == len(names)


def test_deployments_need_a_server_of_ones_own(
    refused: Callable[[Sequence[str]], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_API_URL")
    assert "set PREFECT_API_URL to your Prefect server" in refused(["deploy"])
