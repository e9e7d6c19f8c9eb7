"""Checks of the Prefect server that is in use, and of what Rollcall has there: work pool, deployments, worker, runs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from os import cpu_count
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import prefect
import psutil
import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateName,
)
from prefect.client.schemas.objects import Worker
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound
from pydantic import TypeAdapter

from contracts.text import count, listed
from services.operations.checks import Finding, ok, problem, skipped, together, warning
from settings import is_loopback
from tasks.deployments import QUEUES, of_pool, online_workers

RUNS_KEPT, EVENTS_KEPT = timedelta(days=30), timedelta(days=3)
BATCH = 200  # of the task run recorder; see prefect.toml
LATE_FOR = timedelta(minutes=10)
PAGE = 200
DEPLOY = "Run `rollcall deploy`."
RESUME = "Resume it on its page in Prefect, once the reason is gone."
_DURATION: Final = TypeAdapter(timedelta)


def server(api: str) -> Finding:
    """Whether the server answers, lets us in, and is of our version."""
    try:
        with get_client(sync_client=True) as client:
            version = client.api_version()
    except httpx.HTTPStatusError as error:
        if error.response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            return problem(f"{api} refuses the login", "Set PREFECT_API_AUTH_STRING to the server's USER:PASSWORD.")
        return problem(
            f"{api} answers with HTTP {error.response.status_code}",
            "Check PREFECT_API_URL, which ends in /api, and the server's own log.",
        )
    except (httpx.HTTPError, ValueError) as error:
        return problem(
            f"{api} does not answer as a Prefect server does ({type(error).__name__})",
            "Check PREFECT_API_URL. Start a server: `rollcall up`, or `prefect server start` in Rollcall's folder.",
        )
    if version != prefect.__version__:
        return problem(
            f"{api} runs Prefect {version}, and Rollcall {prefect.__version__}",
            f"Install Prefect {prefect.__version__} where the server runs, and start it again.",
        )
    found = f"{api}, Prefect {version}"
    if not _is_here(api) and not _asks_for_login(api):
        return warning(
            f"{found}; anybody who reaches it may use it without a login",
            "Set PREFECT_SERVER_API_AUTH_STRING for the server, and PREFECT_API_AUTH_STRING here.",
        )
    return ok(found)


def server_database(api: str, pool: str) -> Finding:
    """Whether the server's database bears its workers: SQLite is for one machine."""
    with get_client(sync_client=True) as client:
        kind = str(_settings(client)["database"]["driver"] or "") or _kind_of_database(api)
        # Of a pool that isn't there, another check tells.
        workers: Sequence[Worker] = ()
        with suppress(ObjectNotFound):
            workers = online_workers(client.read_workers_for_work_pool(pool))
    if kind is None:
        return ok("which one it is can't be seen from here; for several machines it must be PostgreSQL")
    if not kind.startswith("sqlite"):
        return ok("PostgreSQL")
    if len(workers) > 1:
        return warning(
            f"SQLite, with {len(workers)} workers online",
            "Use PostgreSQL for several machines: set PREFECT_SERVER_DATABASE_CONNECTION_URL for the server.",
        )
    return ok("SQLite, which is enough for one machine")


def server_settings() -> Finding:
    """Whether the server runs as prefect.toml says, so that its database stays small and isn't locked."""
    with get_client(sync_client=True) as client:
        found = _settings(client)
    vacuum, recorder = found["services"]["db_vacuum"], found["services"]["task_run_recorder"]
    runs, events = (_DURATION.validate_python(each["retention_period"]) for each in (vacuum, found["events"]))
    wrong = [
        (
            "flow_runs" not in (vacuum["enabled"] or ()),
            "old runs are never deleted",
            "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED=events,flow_runs",
        ),
        (
            runs > RUNS_KEPT,
            f"runs are kept for {runs.days} days",
            f"PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD=P{RUNS_KEPT.days}D",
        ),
        (
            events > EVENTS_KEPT,
            f"events are kept for {events.days} days",
            f"PREFECT_SERVER_EVENTS_RETENTION_PERIOD=P{EVENTS_KEPT.days}D",
        ),
        (
            min(recorder["batch_size"], recorder["read_batch_size"]) < BATCH,
            "task runs are recorded in batches that are too small",
            f"PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE={BATCH} and"
            f" PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE={BATCH}",
        ),
    ]
    if not (bad := [(what, variable) for is_wrong, what, variable in wrong if is_wrong]):
        return ok(f"runs are kept for {runs.days} days, events for {events.days}")
    return problem(
        "; ".join(what for what, _ in bad),
        f"Start the server in Rollcall's folder, where prefect.toml is, or with {', '.join(name for _, name in bad)}.",
    )


def work_pool(pool: str) -> Finding:
    """Whether the work pool and its queues are there and give work out."""
    with get_client(sync_client=True) as client:
        try:
            is_paused = client.read_work_pool(pool).is_paused
        except ObjectNotFound:
            return problem(f"there is no work pool {pool}", DEPLOY)
        queues = {queue.name: queue for queue in client.read_work_queues(pool)}
    missing = [name for name in QUEUES if name not in queues]
    stopped = [name for name in QUEUES if name in queues and queues[name].is_paused]
    found = []
    if is_paused:
        found.append(problem(f"{pool} is paused", RESUME))
    found += [problem(f"{pool} has no queue {name}", DEPLOY) for name in missing]
    found += [problem(f"its queue {name} is paused", RESUME) for name in stopped]
    return together(found, f"{pool}, with the queues {listed(QUEUES)}")


def deployments(file: Path, pool: str) -> Finding:
    """Whether all of prefect.yaml is deployed to the pool, and nothing of it is paused."""
    wanted = {each["name"]: each for each in yaml.safe_load(file.read_text("utf-8"))["deployments"]}
    there = _all_deployments(pool)
    missing = [name for name in wanted if name not in there]
    found = []
    if missing:
        found.append(problem(f"{listed(missing)} {'is' if len(missing) == 1 else 'are'} missing", DEPLOY))
    for name, each in wanted.items():
        if name in missing:
            continue
        if there[name].paused:
            found.append(problem(f"{name} is paused", RESUME))
        elif each.get("schedules") and not any(schedule.active for schedule in there[name].schedules):
            found.append(
                problem(
                    f"{name} has no active schedule",
                    "Turn its schedule on again on its page in Prefect, or if it has none, run `rollcall deploy`.",
                )
            )
    return together(found, f"all {len(wanted)} of {file.name}")


def worker(pool: str, api: str, *, cores: int | None = None) -> Finding:
    """Whether a worker of the pool is online, and starts no more at once than the machine has cores."""
    with get_client(sync_client=True) as client:
        try:
            pool_limit = client.read_work_pool(pool).concurrency_limit
        except ObjectNotFound:
            return skipped('first mend "work pool"')
        known = client.read_workers_for_work_pool(pool)
    cores = cores or cpu_count() or 1
    start = f"`rollcall up --limit {cores}`, or `prefect worker start --pool {pool} --limit {cores}`"
    online = online_workers(known)
    if not online:
        newest = max((each.last_heartbeat_time for each in known if each.last_heartbeat_time), default=None)
        seen = f" (last seen {newest:%Y-%m-%d %H:%M} UTC)" if newest else ""
        return problem(f"none is online{seen}", f"Start one: {start}.")
    found = f"{count(len(online), 'worker')} online"
    limits = _limits_here(pool, api)
    if not limits:
        return ok(f"{found}; how many runs it starts at once can't be seen from here")
    bounds = [pool_limit, None if None in limits else sum(limit or 0 for limit in limits)]
    if (most := min((each for each in bounds if each is not None), default=None)) is None:
        return warning(f"{found}, without a limit of runs at once", f"Start it with a limit: {start}.")
    if most > cores:
        return warning(f"{found}, for {most} runs at once on {count(cores, 'core')}", f"Start it again: {start}.")
    return ok(f"{found}, for {count(most, 'run')} at once on {count(cores, 'core')}")


def late_runs(pool: str) -> Finding:
    """Whether runs wait past their time."""
    late = FlowRunFilter(state=FlowRunFilterState(name=FlowRunFilterStateName(any_=["Late"])))
    with get_client(sync_client=True) as client:
        number = client.count_flow_runs(flow_run_filter=late, work_pool_filter=of_pool(pool))
        first = client.read_flow_runs(
            flow_run_filter=late, work_pool_filter=of_pool(pool), sort=FlowRunSort.EXPECTED_START_TIME_ASC, limit=1
        )
    if not first:
        return ok("none")
    waits = datetime.now(UTC) - (first[0].expected_start_time or datetime.now(UTC))
    found = f"{count(number, 'run')} late, the first for {count(int(waits.total_seconds() // 60), 'minute')}"
    if waits <= LATE_FOR:
        return warning(found, "If they don't start soon, check the worker and the work pool.")
    return problem(
        found,
        "Start a worker, resume the work pool, or give the worker a higher limit. Before that, cancel in Prefect the"
        " late runs that nobody needs anymore: they all start at once.",
    )


def _settings(client: SyncPrefectClient) -> dict[str, Any]:
    """What the server itself runs with."""
    found: dict[str, Any] = client.request("GET", "/admin/settings").json()["server"]
    return found


def _all_deployments(pool: str) -> dict[str, DeploymentResponse]:
    found: dict[str, DeploymentResponse] = {}
    with get_client(sync_client=True) as client:
        while page := client.read_deployments(work_pool_filter=of_pool(pool), limit=PAGE, offset=len(found)):
            found |= {each.name: each for each in page}
            if len(page) < PAGE:
                break
    return found


def _limits_here(pool: str, api: str) -> list[int | None]:
    """How many runs each of this machine's workers of the pool and server starts at once; None: all there are."""
    found: list[int | None] = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        words = process.info["cmdline"] or []
        at = words.index("start") if "start" in words else 0
        if words[at - 1 : at] != ["worker"] or (process.info["environ"] or {}).get("PREFECT_API_URL") != api:
            continue
        options = _options(words[at + 1 :])
        if pool in (options.get("--pool"), options.get("-p")):
            limit = options.get("--limit") or options.get("-l")
            found.append(int(limit) if limit else None)
    return found


def _options(words: Sequence[str]) -> dict[str, str]:
    """The options of a command line with their values, written as --name value or --name=value."""
    split = [part for word in words for part in (word.split("=", 1) if word.startswith("--") else [word])]
    return {name: value for name, value in pairwise(split) if name.startswith("-")}


def _kind_of_database(api: str) -> str | None:
    """Which kind of database a server on this machine keeps open; None where that can't be seen."""
    if not _is_here(api):
        return None
    port = urlsplit(api).port
    with suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                files = psutil.Process(connection.pid).open_files()
                return "sqlite" if any(Path(file.path).suffix == ".db" for file in files) else "postgresql"
    return None


def _is_here(api: str) -> bool:
    return is_loopback(urlsplit(api).hostname or "")


def _asks_for_login(api: str) -> bool:
    return httpx.get(f"{api}/admin/version", timeout=10).status_code in (
        httpx.codes.UNAUTHORIZED,
        httpx.codes.FORBIDDEN,
    )
