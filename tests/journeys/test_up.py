"""`rollcall up` as an operator starts, stops, kills and starts it again."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from cli.processes import MARK, stopped_by_signals
from models.database import open_database
from models.tables import District, School
from services import clock
from services.status.sync_status import Status, statuses

pytestmark = [pytest.mark.journeys, pytest.mark.xdist_group("prefect")]

ROOT = Path(__file__).parents[2]
REPORT_PORT, PREFECT_PORT = "ROLLCALL_REPORT_PORT", "--prefect-port"


def free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@contextmanager
def up(home: Path, *options: str, ports: tuple[int, int]) -> Iterator[subprocess.Popen[str]]:
    """`rollcall up`, stopped with Ctrl-C at the end of the `with` if it still runs."""
    environment = {**os.environ, "ROLLCALL_HOME": str(home), REPORT_PORT: str(ports[0]), "PYTHONUNBUFFERED": "1"}
    environment.pop("PREFECT_API_URL", None)
    command = [sys.executable, "-m", "cli", "up", PREFECT_PORT, str(ports[1]), *options]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=90)
        assert process.stdout is not None
        process.stdout.close()


def said_until(process: subprocess.Popen[str], words: str) -> str:
    """What it prints until it says this."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if words in line:
            return "".join(lines)
    raise AssertionError("".join(lines))


def left(home: Path) -> list[list[str]]:
    """The processes that were started for an installation and still run."""
    found = psutil.process_iter(["environ", "cmdline", "status"])
    return [
        process.info["cmdline"]
        for process in found
        if (process.info["environ"] or {}).get(MARK) == str(home) and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


def asked(address: str, what: str) -> Any:
    return httpx.post(f"{address}/api/{what}/filter", json={}, timeout=30).raise_for_status().json()


def until(there: Any, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.5)


def test_the_first_night_with_one_command_and_nothing_left_of_it(home: Path) -> None:
    ports = free_port(), free_port()
    with up(home, "--demo", ports=ports) as process:
        said = said_until(process, "rollcall report link")
        report, prefect = f"http://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}"
        assert [address in said for address in (report, prefect, str(home / "logs"))] == [True] * 3
        assert httpx.get(f"{report}/sign-in").status_code == 200
        with up(home, ports=(free_port(), free_port())) as second:
            output, _ = second.communicate(timeout=60)
            assert (second.returncode, report in output, prefect in output) == (2, True, True)
        pools = {pool["name"]: pool["type"] for pool in asked(prefect, "work_pools")}
        queues = asked(prefect, "work_pools/rollcall/queues")
        assert (pools, {queue["name"] for queue in queues}) == (
            {"rollcall": "process"},
            {"default", "manual", "nightly"},
        )
        with open_database(f"sqlite:///{home / 'rollcall.sqlite'}", backups=None) as database:

            def status() -> dict[str, Status | None]:
                with database.reading() as session:
                    return {each.school_id: each.status for each in statuses(session, now=clock.now())}

            until(lambda: status().get("hillcrest/academy") == Status.CONNECTED)
            until(lambda: status().get("unified/lincoln") == Status.CONNECTED)
            with database.reading() as session:
                assert session.get_one(District, "unified").name == "Unified School District"
                assert session.get_one(School, "unified/lincoln").students == 29
        runs = {run["name"].partition(" · ")[0]: run["state"]["name"] for run in asked(prefect, "flow_runs")}
        assert runs["Unified School District"] == "Connected"
        deployed = {each["name"]: each["id"] for each in asked(prefect, "deployments")}
        httpx.post(f"{prefect}/api/deployments/{deployed['csv-nightly']}/pause_deployment").raise_for_status()
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=90)
        assert (process.returncode, "Everything is stopped." in rest) == (0, True)
    assert left(home) == []
    assert not (home / "up.json").exists()

    # Killed, it takes everything along, or the next one does; what somebody paused stays paused; what ends by itself
    # stops the rest.
    with up(home, ports=ports) as process:
        said_until(process, "rollcall report link")
        assert json.loads((home / "up.json").read_text()) == {"report": report, "prefect": prefect}
        process.kill()
        process.communicate()
    with up(home, ports=ports) as process:
        said_until(process, "rollcall report link")
        paused = {each["name"] for each in asked(prefect, "deployments") if each["paused"]}
        assert paused == {"csv-nightly"}
        (served,) = (each for each in psutil.Process(process.pid).children() if "report" in each.cmdline())
        served.kill()
        output, _ = process.communicate(timeout=90)
        assert (process.returncode, "report ended by itself" in output) == (3, True)
    assert left(home) == []


def test_a_service_manager_stops_it_as_ctrl_c_does() -> None:
    with pytest.raises(KeyboardInterrupt), stopped_by_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)


@pytest.mark.parametrize("taken", [0, 1], ids=["report", "prefect"])
def test_a_port_that_is_taken_is_said_before_anything_starts(home: Path, taken: int) -> None:
    ports = free_port(), free_port()
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", ports[taken]))
        other.listen()
        with up(home, ports=ports) as process:
            output, _ = process.communicate(timeout=60)
    remedy = ("ROLLCALL_REPORT_PORT", "--prefect-port")[taken]
    assert (process.returncode, remedy in output, "Starting" in output) == (2, True, False)
