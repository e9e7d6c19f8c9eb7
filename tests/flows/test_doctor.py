"""`rollcall doctor` before a Prefect server: each fault made on purpose, and the whole command."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import prefect
import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.responses import DeploymentResponse
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from prefect.states import Late

from cli.running import DEPLOYED, POOL
from services.operations.checks import ok, problem, skipped, warning
from tasks import server_checks
from tasks.deployments import deploy
from tests.flows.conftest import Installation, rollcall, serving, shown

FILE = DEPLOYED / "prefect.yaml"
START = "`rollcall up --limit 2`, or `prefect worker start --pool rollcall --limit 2`"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, prefect_template: Path) -> Iterator[str]:
    """The address of a server with everything deployed, and no worker."""
    home = tmp_path_factory.mktemp("doctor")
    shutil.copy(prefect_template, home / "prefect.db")
    with serving(home) as server, pytest.MonkeyPatch.context() as environment:
        environment.setenv("PREFECT_API_URL", server.address)
        deploy(DEPLOYED, POOL)
        yield server.address


@pytest.fixture
def client(api: str) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        yield client


def deployment(client: SyncPrefectClient, name: str) -> DeploymentResponse:
    (found,) = (each for each in client.read_deployments() if each.name == name)
    return found


def test_all_is_well(api: str) -> None:
    assert [
        server_checks.server(api),
        server_checks.server_database(api, POOL),
        server_checks.server_settings(),
        server_checks.work_pool(POOL),
        server_checks.deployments(FILE, POOL),
        server_checks.late_runs(POOL),
    ] == [
        ok(f"{api}, Prefect {prefect.__version__}"),
        ok("SQLite, which is enough for one machine"),
        ok("runs are kept for 30 days, events for 3"),
        ok("rollcall, with the queues manual and nightly"),
        ok("all 11 of prefect.yaml"),
        ok("none"),
    ]


def test_a_server_that_is_not_there() -> None:
    nobody = "http://127.0.0.1:9/api"
    with temporary_settings({PREFECT_API_URL: nobody}):
        assert server_checks.server(nobody) == problem(
            f"{nobody} does not answer as a Prefect server does (ConnectError)",
            "Check PREFECT_API_URL. Start a server: `rollcall up`, or `prefect server start` in Rollcall's folder.",
        )


def test_a_server_of_another_version(api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    version = prefect.__version__
    monkeypatch.setattr(prefect, "__version__", "3.9.99")
    assert server_checks.server(api) == problem(
        f"{api} runs Prefect {version}, and Rollcall 3.9.99",
        "Install Prefect 3.9.99 where the server runs, and start it again.",
    )


def test_a_server_that_others_may_use_without_a_login(api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_checks, "_is_here", lambda _: False)
    assert server_checks.server(api) == warning(
        f"{api}, Prefect {prefect.__version__}; anybody who reaches it may use it without a login",
        "Set PREFECT_SERVER_API_AUTH_STRING for the server, and PREFECT_API_AUTH_STRING here.",
    )
    assert server_checks.server_database(api, POOL) == ok(
        "which one it is can't be seen from here; for several machines it must be PostgreSQL"
    )


def test_a_server_with_a_login_and_settings_of_its_own(
    tmp_path: Path, prefect_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = {
        "API_AUTH_STRING": "ops:secret",
        "SERVICES_DB_VACUUM_ENABLED": "events",
        "SERVICES_DB_VACUUM_RETENTION_PERIOD": "P90D",
        "EVENTS_RETENTION_PERIOD": "P7D",
        "SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "1",
    }
    for name, value in wrong.items():
        monkeypatch.setenv(f"PREFECT_SERVER_{name}", value)
    shutil.copy(prefect_template, tmp_path / "prefect.db")
    with serving(tmp_path) as server:
        assert server_checks.server(server.address) == problem(
            f"{server.address} refuses the login", "Set PREFECT_API_AUTH_STRING to the server's USER:PASSWORD."
        )
        with temporary_settings({PREFECT_API_AUTH_STRING: "ops:secret"}):
            assert server_checks.server(server.address) == ok(f"{server.address}, Prefect {prefect.__version__}")
            assert server_checks.server_settings() == problem(
                "old runs are never deleted; runs are kept for 90 days; events are kept for 7 days; task runs are"
                " recorded in batches that are too small",
                "Start the server in Rollcall's folder, where prefect.toml is, or with"
                " PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED=events,flow_runs,"
                " PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD=P30D, PREFECT_SERVER_EVENTS_RETENTION_PERIOD=P3D,"
                " PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE=200 and"
                " PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE=200.",
            )


def test_a_pool_that_is_missing_incomplete_or_paused(client: SyncPrefectClient) -> None:
    assert server_checks.work_pool("nowhere") == problem("there is no work pool nowhere", "Run `rollcall deploy`.")
    assert server_checks.worker("nowhere", "") == skipped('first mend "work pool"')
    client.create_work_pool(WorkPoolCreate(name="bare", type="process"))
    assert server_checks.work_pool("bare") == problem(
        "bare has no queue manual; bare has no queue nightly", "Run `rollcall deploy`."
    )
    resume = "Resume it on its page in Prefect, once the reason is gone."
    client.update_work_pool(POOL, WorkPoolUpdate(is_paused=True))
    assert server_checks.work_pool(POOL) == problem("rollcall is paused", resume)
    client.update_work_pool(POOL, WorkPoolUpdate(is_paused=False))
    (queue,) = (each for each in client.read_work_queues(POOL) if each.name == "nightly")
    client.request("PATCH", f"/work_queues/{queue.id}", json={"is_paused": True})  # type: ignore[arg-type]
    assert server_checks.work_pool(POOL) == problem("its queue nightly is paused", resume)
    client.request("PATCH", f"/work_queues/{queue.id}", json={"is_paused": False})  # type: ignore[arg-type]
    assert server_checks.work_pool(POOL) == ok("rollcall, with the queues manual and nightly")


def test_deployments_that_are_missing_paused_or_without_a_schedule(client: SyncPrefectClient, tmp_path: Path) -> None:
    more = yaml.safe_load(FILE.read_text())
    more["deployments"].append({"name": "attendance"})
    (tmp_path / "prefect.yaml").write_text(yaml.safe_dump(more))
    assert server_checks.deployments(tmp_path / "prefect.yaml", POOL) == problem(
        "attendance is missing", "Run `rollcall deploy`."
    )
    paused, idle = deployment(client, "district-sync"), deployment(client, "csv-nightly")
    client.request("POST", f"/deployments/{paused.id}/pause_deployment")  # type: ignore[arg-type]
    client.update_deployment_schedule(idle.id, idle.schedules[0].id, active=False)
    assert server_checks.deployments(FILE, POOL) == problem(
        "csv-nightly has no active schedule; district-sync is paused",
        "Turn its schedule on again on its page in Prefect, or if it has none, run `rollcall deploy`. Resume it on its"
        " page in Prefect, once the reason is gone.",
    )
    client.request("POST", f"/deployments/{paused.id}/resume_deployment")  # type: ignore[arg-type]
    client.delete_deployment_schedule(idle.id, idle.schedules[0].id)
    deploy(DEPLOYED, POOL)
    assert server_checks.deployments(FILE, POOL) == ok("all 11 of prefect.yaml")


def test_runs_that_wait_past_their_time(client: SyncPrefectClient) -> None:
    waiting = deployment(client, "housekeeping").id

    def late(minutes: float) -> str:
        due = datetime.now(UTC) - timedelta(minutes=minutes)
        return str(client.create_flow_run_from_deployment(waiting, state=Late(scheduled_time=due)).id)

    made = [late(5)]
    assert server_checks.late_runs(POOL) == warning(
        "1 run late, the first for 5 minutes", "If they don't start soon, check the worker and the work pool."
    )
    made.append(late(61))
    assert server_checks.late_runs(POOL) == problem(
        "2 runs late, the first for 61 minutes",
        "Start a worker, resume the work pool, or give the worker a higher limit. Before that, cancel in Prefect the"
        " late runs that nobody needs anymore: they all start at once.",
    )
    assert server_checks.late_runs("bare") == ok("none")
    for run in made:
        client.request("DELETE", f"/flow_runs/{run}")  # type: ignore[arg-type]


def test_no_worker_or_one_that_fell_silent_or_too_many_for_sqlite(client: SyncPrefectClient, api: str) -> None:
    remedy = f"Start one: {START}."
    assert server_checks.worker(POOL, api, cores=2) == problem("none is online", remedy)
    beat(client, "one", "two")
    assert server_checks.worker(POOL, api, cores=2) == ok(
        "2 workers online; how many runs it starts at once can't be seen from here"
    )
    assert server_checks.server_database(api, POOL) == warning(
        "SQLite, with 2 workers online",
        "Use PostgreSQL for several machines: set PREFECT_SERVER_DATABASE_CONNECTION_URL for the server.",
    )
    seen = datetime.now(UTC)
    time.sleep(3.1)
    assert server_checks.worker(POOL, api, cores=2) in [
        problem(f"none is online (last seen {when:%Y-%m-%d %H:%M} UTC)", remedy)
        for when in (seen, seen - timedelta(minutes=1))
    ]


def beat(client: SyncPrefectClient, *workers: str) -> None:
    for name in workers:
        client.send_worker_heartbeat(POOL, name, heartbeat_interval_seconds=1)


@pytest.fixture
def start_worker(api: str) -> Iterator[Callable[[Sequence[str]], None]]:
    started: list[subprocess.Popen[bytes]] = []

    def start(options: Sequence[str]) -> None:
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--name", "real", *options]
        started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    yield start
    for process in started:
        process.send_signal(signal.SIGINT)
        process.wait(30)


@pytest.mark.parametrize("options", [["--limit=3"], ["-l", "3"], []], ids=["limit", "short", "none"])
def test_a_worker_that_starts_more_than_the_machine_bears(
    options: list[str], start_worker: Callable[[Sequence[str]], None], client: SyncPrefectClient, api: str
) -> None:
    start_worker(options)
    # What it says of itself is what counts here, not how soon it is ready.
    client.send_worker_heartbeat(POOL, "real", heartbeat_interval_seconds=60)
    if not options:
        assert server_checks.worker(POOL, api, cores=2) == warning(
            "1 worker online, without a limit of runs at once", f"Start it with a limit: {START}."
        )
        client.update_work_pool(POOL, WorkPoolUpdate(concurrency_limit=3))
    assert server_checks.worker(POOL, api, cores=2) == warning(
        "1 worker online, for 3 runs at once on 2 cores", f"Start it again: {START}."
    )
    assert server_checks.worker(POOL, api, cores=4) == ok("1 worker online, for 3 runs at once on 4 cores")
    client.update_work_pool(POOL, WorkPoolUpdate(concurrency_limit=None))


def test_the_command_names_what_is_wrong_and_says_it_by_its_exit_code(
    api: str, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLCALL_REPORT_URL", "http://127.0.0.1:9")
    installation.home.chmod(0o700)
    found = {each["name"]: each["state"] for each in shown("doctor", "--json")}
    is_online = found.pop("worker")
    assert is_online in ("ok", "problem")  # as an earlier test left it
    assert found == {
        "versions": "ok",
        "settings": "ok",
        "home folder": "ok",
        "database": "ok",
        "Prefect server": "ok",
        "Prefect database": "ok",
        "Prefect settings": "ok",
        "work pool": "ok",
        "deployments": "ok",
        "late runs": "ok",
        "last night": "warning",
        "disk": found["disk"],
        "landing area": "ok",
        "drop folders": "ok",
        "Clever": "skipped",
        "mail": "ok",
        "report": "problem",
        "clock": "ok",
    }
    said = rollcall("doctor")
    assert said.exit_code == 1
    words = " ".join(said.stdout.split())
    assert "http://127.0.0.1:9 does not answer (ConnectError) → Start the report with `rollcall report`" in words


def test_settings_that_make_no_sense_are_the_first_thing_to_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLCALL_REPORT_PORT", "s3cret")
    said = rollcall("doctor", "--json")
    found = json.loads(said.stdout)
    assert (said.exit_code, "s3cret" in said.output) == (1, False)
    assert found[1] == {
        "name": "settings",
        "state": "problem",
        "found": "ROLLCALL_REPORT_PORT: Input should be a valid integer, unable to parse string as an integer",
        "remedy": "Set or remove these variables in Rollcall's environment.",
    }
    assert {each["state"] for each in found[2:]} == {"skipped"}


def test_an_address_that_is_none_is_refused(refused: Callable[[Sequence[str]], str]) -> None:
    assert refused(["doctor", "--mail", "nobody"]).startswith("error: --mail: this ")
