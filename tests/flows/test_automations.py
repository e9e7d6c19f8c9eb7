"""automations.yaml: a real server takes it, and notifies of schools going on hold and of failed runs."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.events import emit_event
from prefect.events.schemas.automations import AutomationCore
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Completed, Running

from flows.sync_district import sync_district
from sandbox.generator import District
from tests.flows.conftest import Installation, rollcall

AUTOMATIONS = yaml.safe_load((Path(__file__).parents[2] / "automations.yaml").read_text())["automations"]


class Mailbox(HTTPServer):
    """Takes what is posted to it."""

    def __init__(self) -> None:
        self.subjects: list[str] = []
        super().__init__(("127.0.0.1", 0), _Taking)

    def wait_for(self, number: int) -> list[str]:
        until = time.monotonic() + 30
        while len(self.subjects) < number and time.monotonic() < until:
            time.sleep(0.1)
        time.sleep(1)  # what comes beyond the number would be too much
        return sorted(subject.split(" · ")[0] for subject in self.subjects)


class _Taking(BaseHTTPRequestHandler):
    server: Mailbox

    def do_POST(self) -> None:
        posted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.subjects.append(posted["subject"])
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as server:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        yield server
        server.shutdown()
        serving.join()


def test_the_shipped_automations_report_schools_going_on_hold_and_of_failed_runs(
    own_server: str,
    installation: Installation,
    small_district: District,
    mailbox: Mailbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def save_block() -> str:
        block = CustomWebhookNotificationBlock(
            name="ops", url=f"http://127.0.0.1:{mailbox.server_port}", json_data={"subject": "{{subject}}"}
        )
        return str(await block.save("rollcall"))

    monkeypatch.setenv("PREFECT_API_URL", own_server)
    with temporary_settings({PREFECT_API_URL: own_server}):
        asyncio.run(save_block())
    assert "Nobody is notified" not in rollcall("deploy").stdout

    installation.drop(small_district)
    assert rollcall("sync", "unified", "--now").exit_code == 0
    for kept in (installation.home / "landing").rglob("*.csv"):
        kept.write_bytes(b"not as it was taken")
    assert rollcall("sync", "unified", "--delivery", "1").exit_code == 3
    first = mailbox.wait_for(4)
    assert first == [
        "Rollcall: the run Unified School District",
        "Rollcall: unified/jefferson is on hold",
        "Rollcall: unified/lincoln is on hold",
        "Rollcall: unified/roosevelt is on hold",
    ]
    # Once more: the run failed again, and the schools are on hold as they were.
    assert rollcall("sync", "unified", "--delivery", "1").exit_code == 3
    assert mailbox.wait_for(5) == [first[0], *first]


def test_a_run_that_was_killed_is_marked_as_crashed(own_server: str) -> None:
    """As rollcall deploy leaves it, but for a shorter wait."""
    wanted = next(each for each in AUTOMATIONS if each["name"] == "rollcall-run-without-heartbeat")
    wanted["trigger"]["within"] = 10

    async def killed() -> State[Any] | None:
        async with get_client() as client:
            await client.create_automation(AutomationCore.model_validate(wanted))
            runs = [
                await client.create_flow_run(sync_district, parameters={"district": "d"}, state=Running())
                for _ in range(2)
            ]
            connected: State[Any] = Completed(name="Connected")
            for run in runs:
                beat(run.id)
            await client.set_flow_run_state(runs[1].id, connected, force=True)
            until = time.monotonic() + 60
            while time.monotonic() < until:
                state, other = [(await client.read_flow_run(run.id)).state for run in runs]
                if state is not None and state.is_crashed():
                    assert other is not None
                    assert other.name == "Connected"
                    return state
                await asyncio.sleep(0.5)
            return None

    with temporary_settings({PREFECT_API_URL: own_server}):
        state = asyncio.run(killed())
    assert state is not None
    assert (state.message or "").startswith("No heartbeat for two minutes")


def beat(run_id: object) -> None:
    resource = {"prefect.resource.id": f"prefect.flow-run.{run_id}", "prefect.resource.name": "run"}
    emit_event("prefect.flow-run.heartbeat", resource=resource)
