"""automations.yaml: a real server takes it, and notifies of schools going on hold and of failed runs."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from prefect.blocks.notifications import CustomWebhookNotificationBlock

from sandbox.generator import District
from tests.flows.conftest import Installation, rollcall

ROOT = Path(__file__).parents[2]


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
        return str(await block.save("ops"))

    monkeypatch.setenv("PREFECT_API_URL", own_server)
    named = installation.home / "automations.yaml"
    named.write_text((ROOT / "automations.yaml").read_text().replace("BLOCK", asyncio.run(save_block())))
    command = [sys.executable, "-m", "prefect", "automation", "create", "--from-file", str(named)]
    subprocess.run(command, cwd=ROOT, check=True)

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
