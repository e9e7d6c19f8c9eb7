"""One Prefect server for all flow tests, and an installation to run them in."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect import get_client
from prefect.client.schemas.objects import State

from models.database import Database, open_database
from sandbox.generator import District, generate
from services.setup import apply_setup, read_setup
from tests.setups import SETUP


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/flows/" in item.nodeid:
            item.add_marker(pytest.mark.prefect)
            item.add_marker(pytest.mark.xdist_group("prefect"))


@pytest.fixture(scope="session", autouse=True)
def prefect_server() -> Iterator[None]:
    # Without these two the server answers 503 on SQLite while it records task runs.
    os.environ["PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE"] = "200"
    os.environ["PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE"] = "200"
    os.environ["DO_NOT_TRACK"] = "1"
    os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from prefect.testing.utilities import prefect_test_harness

        with prefect_test_harness(server_startup_timeout=120):
            yield


def ran(run: Any) -> State[Any]:
    """Run a flow called with ``return_state`` to its end."""

    async def wait() -> State[Any]:
        state: State[Any] = await run
        return state

    return asyncio.run(wait())


def named(state: State[Any]) -> str:
    """The name of the flow run that ended so."""

    run_id = state.state_details.flow_run_id
    assert run_id is not None

    async def asked() -> str:
        async with get_client() as client:
            return (await client.read_flow_run(run_id)).name

    return asyncio.run(asked())


@dataclass(frozen=True)
class Installation:
    """A home with the district unified set up, and its drop folder."""

    home: Path
    database: Database

    def drop(self, district: District) -> None:
        district.write(self.home / "drop")


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    home = tmp_path / "home"
    (home / "drop").mkdir(parents=True)
    monkeypatch.setenv("ROLLCALL_HOME", str(home))
    setup = home / "setup.toml"
    setup.write_text(SETUP)
    with open_database(f"sqlite:///{home / 'rollcall.sqlite'}", backups=None) as database:
        with database.transaction() as session:
            apply_setup(session, read_setup(setup))
        yield Installation(home, database)


@pytest.fixture(scope="session")
def small_district() -> District:
    return generate(3, schools=3, students=60, teachers=9, classes=18, enrollments=150)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A Prefect server with its scheduler, which temporary ones lack; gives the address of its API."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    environment = {
        **os.environ,
        "PREFECT_HOME": str(tmp_path),
        "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    command = [
        sys.executable,
        "-m",
        "prefect",
        "server",
        "start",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--no-ui",
    ]
    with (tmp_path / "log").open("wb") as log:
        running = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        address = f"http://127.0.0.1:{port}/api"
        until = time.monotonic() + 120
        while time.monotonic() < until:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{address}/health", timeout=2).is_success:
                    break
            time.sleep(0.5)
        yield address
    finally:
        os.killpg(running.pid, signal.SIGTERM)
        running.wait(30)
