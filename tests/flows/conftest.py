"""One Prefect server for all flow tests, and an installation to run them in."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import certifi
import httpx
import pytest
from prefect import get_client
from prefect.client.schemas.objects import State
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from prefect.settings import PREFECT_API_SSL_CERT_FILE, PREFECT_API_URL, temporary_settings
from typer.testing import CliRunner, Result

from cli.main import app, main
from models.database import Database, copy_embedded, open_database
from sandbox.generator import District, generate
from services.operations.setup import apply_setup, read_setup
from tests.setups import SETUP

ROOT = Path(__file__).parents[2]  # where the server finds its settings, prefect.toml


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of these run against one Prefect server, and so among the journeys, in one worker."""
    for item in items:
        if "tests/flows/" in item.nodeid:
            item.add_marker(pytest.mark.journeys)
            item.add_marker(pytest.mark.xdist_group("prefect"))


@dataclass(frozen=True)
class Server:
    """A Prefect server with all its services, the scheduler among them, which temporary ones lack."""

    address: str  # of its API
    home: Path


@contextlib.contextmanager
def serving(home: Path) -> Iterator[Server]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    environment = {
        **os.environ,
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "1",
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
    with (home / "log").open("wb") as log:
        running = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        api = f"http://127.0.0.1:{port}/api"
        until = time.monotonic() + 120
        while time.monotonic() < until and running.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{api}/health", timeout=2).is_success:
                    break
            time.sleep(0.2)
        drain()
        with temporary_settings({PREFECT_API_URL: api}):
            yield Server(api, home)
            drain()
    finally:
        # Its services are processes of their own.
        os.killpg(running.pid, signal.SIGTERM)
        running.wait(30)


def drain() -> None:
    """Send what waits for the server in use so far: its workers know no other, and would go on trying it."""
    for worker in (EventsWorker, APILogWorker):
        worker.drain_all()


@pytest.fixture(scope="session")
def prefect_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prefect's own database as a new server makes it, to copy: making it takes as long as all the rest of a start."""
    return tmp_path_factory.mktemp("prefect-template") / "prefect.db"


@pytest.fixture(scope="session", autouse=True)
def prefect_server(tmp_path_factory: pytest.TempPathFactory, prefect_template: Path) -> Iterator[Server]:
    """The one server of all tests that need none of their own; every flow here runs against it."""
    home = tmp_path_factory.mktemp("prefect")
    # Prefect loads all authorities again for each of a run's many clients, though nothing here is encrypted.
    first, end, _ = Path(certifi.where()).read_text().partition("-----END CERTIFICATE-----\n")
    (home / "one.pem").write_text(first + end)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DO_NOT_TRACK", "1")
        environment.setenv("PREFECT_API_SSL_CERT_FILE", str(home / "one.pem"))
        with temporary_settings({PREFECT_API_SSL_CERT_FILE: str(home / "one.pem")}), serving(home) as server:
            copy_embedded(server.home / "prefect.db", prefect_template)
            environment.setenv("PREFECT_API_URL", server.address)
            yield server


@pytest.fixture
def own_server(tmp_path: Path, prefect_template: Path) -> Iterator[str]:
    """A server for a test that deploys, or counts what happens; gives the address of its API."""
    home = tmp_path / "prefect-server"
    home.mkdir()
    shutil.copy(prefect_template, home / "prefect.db")
    with serving(home) as server:
        yield server.address


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


@contextlib.contextmanager
def installed(home: Path, template: Path) -> Iterator[Installation]:
    """A new installation; template: an empty, migrated database."""
    (home / "drop").mkdir(parents=True)
    shutil.copy(template, home / "rollcall.sqlite")
    setup = home / "setup.toml"
    setup.write_text(SETUP)
    with open_database(f"sqlite:///{home / 'rollcall.sqlite'}", backups=None) as database:
        with database.transaction() as session:
            apply_setup(session, read_setup(setup))
        yield Installation(home, database)


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, embedded_template: Path) -> Iterator[Installation]:
    monkeypatch.setenv("ROLLCALL_HOME", str(tmp_path / "home"))
    with installed(tmp_path / "home", embedded_template) as made:
        yield made


@pytest.fixture(scope="session")
def small_district() -> District:
    return generate(3, schools=3, students=60, teachers=9, classes=18, enrollments=150)


def rollcall(*arguments: str) -> Result:
    """Run a command in this process."""
    result = CliRunner().invoke(app, list(arguments), terminal_width=200)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def shown(*arguments: str) -> Any:
    """What a command prints as JSON."""
    return json.loads(rollcall(*arguments).stdout)


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[[Sequence[str]], str]:
    """Give what is said to somebody who mistypes a command: a sentence, on one line here, and exit code 2."""

    def refuse(arguments: Sequence[str]) -> str:
        monkeypatch.setattr("sys.argv", ["rollcall", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = " ".join(capfd.readouterr().err.split())
        assert (ended.value.code, "Traceback" in said) == (2, False)
        return said

    return refuse
