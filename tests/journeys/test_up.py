"""`rollcall up` as an operator starts, stops, kills and starts it again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import httpx
import psutil
import pytest
from sqlmodel import col, select

from cli.processes import MARK, stopped_by_signals
from models import bulk
from models.database import open_database
from models.tables import District, School, SchoolRun
from sandbox.samples import FOLDER
from services import clock
from services.status.sync_status import Status, statuses
from services.sync import leases
from tests.everything_up import asked, free_port, said_until, told, until, up

pytestmark = [pytest.mark.journeys, pytest.mark.xdist_group("prefect")]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def left(home: Path) -> list[list[str]]:
    """The processes that were started for an installation and still run."""
    found = psutil.process_iter(["environ", "cmdline", "status"])
    return [
        process.info["cmdline"]
        for process in found
        if (process.info["environ"] or {}).get(MARK) == str(home) and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


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

        def states() -> dict[str, str]:
            """How the runs are, by their names; the schools are connected a moment before the district's run ends."""
            return {run["name"].partition(" · ")[0]: run["state"]["name"] for run in asked(prefect, "flow_runs")}

        until(lambda: states()["Unified School District"] != "Running")
        assert states()["Unified School District"] == "Connected"
        deployed = {each["name"]: each["id"] for each in asked(prefect, "deployments")}
        a_killed_run_is_crashed_and_the_next_one_makes_it_good(home, process, prefect, deployed["district-sync"])
        told("POST", f"{prefect}/api/deployments/{deployed['csv-nightly']}/pause_deployment")
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


def a_killed_run_is_crashed_and_the_next_one_makes_it_good(
    home: Path, process: subprocess.Popen[str], prefect: str, deployment: str
) -> None:
    """As Unified's second night comes in, its run is killed once the first school is done."""

    def started() -> str:
        address = f"{prefect}/api/deployments/{deployment}/create_flow_run"
        return str(told("POST", address, json={"parameters": {"district": "unified"}})["id"])

    def state(run: str) -> tuple[str, str]:
        found = told("GET", f"{prefect}/api/flow_runs/{run}")["state"]
        return found["type"], found["name"]

    for file in (FOLDER / "unified" / "night2").iterdir():
        shutil.copy(file, home / "demo" / "drop" / "unified")
    with open_database(f"sqlite:///{home / 'rollcall.sqlite'}", backups=None) as database:

        def done() -> int:
            with database.reading() as session:
                return len(
                    session.exec(select(SchoolRun.id).where(col(SchoolRun.school_id).startswith("unified/"))).all()
                )

        before = done()
        killed = started()
        until(lambda: done() > before, pause=0.01)
        for child in psutil.Process(process.pid).children(recursive=True):
            if "prefect.engine" in child.cmdline() or "flow-run" in child.cmdline():
                child.kill()
        assert done() < before + 3
        until(lambda: state(killed)[0] == "CRASHED")
        with database.transaction() as session:
            # Five minutes later.
            silent = clock.now() - timedelta(minutes=6)
            bulk.execute(session, "UPDATE run SET heartbeat_at = :at WHERE ended_at IS NULL", {"at": silent})
        again = started()
        until(lambda: state(again)[0] not in ("SCHEDULED", "PENDING", "RUNNING"))
        assert state(again) == ("FAILED", "On hold")
        with database.reading() as session:
            found = {each.key: each.status for each in statuses(session, district_id="unified", now=clock.now())}
            outcomes = [run.outcome for run in leases.runs_of(session, "unified", 2)]
    assert (found["lincoln"], found["roosevelt"], found["jefferson"]) == (
        Status.CONNECTED,
        Status.CONNECTED,
        Status.ON_HOLD,
    )
    assert outcomes == ["on_hold", "interrupted"]


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
