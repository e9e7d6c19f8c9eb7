"""Runs in this process: Prefect's settings, and a district's flow."""

from __future__ import annotations

import asyncio
import os
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from rich.markup import escape

from cli.console import err, log_prefect, opened, out
from cli.only_one import running
from cli.options import ATTENTION, FAILURE, OK
from cli.processes import Child, Processes
from errors import SetupError
from services.intake.adapters import ADAPTERS, SourceAdapter
from services.sync import leases, pipeline, requests
from settings import Settings, get_settings

DEPLOYED = Path(__file__).parent.parent  # where prefect.yaml and prefect.toml are
POOL = "rollcall"
NOBODY_NOTIFIED = (
    "Nobody is notified of holds and failures: for that, make a notification block named rollcall in Prefect (Blocks)."
)
STARTING = 180.0  # seconds; a server's first start makes its database


def start_prefect(settings: Settings) -> None:
    """Make Prefect ready in this process, with the server that records its runs.

    That is the one named by PREFECT_API_URL, else the one that `rollcall up` runs, else a temporary one of our own.
    Must come before Prefect is first imported.
    """
    defaults = {
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        # Its services for events complain of a server that is busy, on and on.
        "PREFECT_INTERNAL_LOGGING_LEVEL": "CRITICAL",
        **prefect_environment(settings),
    }
    if not _find_server(settings):
        defaults |= {
            "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
            "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
        }
        if "prefect" not in sys.modules:
            err.print("starting a temporary Prefect server (set PREFECT_API_URL to use your own)", style="dim")
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def server_api(settings: Settings) -> str:
    """The API of the server that is in use: PREFECT_API_URL's, else that of `rollcall up`; empty if there is none."""
    if named := os.environ.get("PREFECT_API_URL"):
        return named
    found = running(settings.home)
    return f"{found['prefect']}/api" if found else ""


def _find_server(settings: Settings) -> bool:
    """Let PREFECT_API_URL name the server that is in use; false if there is none."""
    if api := server_api(settings):
        os.environ["PREFECT_API_URL"] = api
    return bool(api)


def prefect_environment(settings: Settings) -> dict[str, str]:
    """The environment variables that Prefect's programs are started with here, but for those that are set already.

    Prefect itself reads its file of settings only where it is started beside it.
    """
    wanted = {"DO_NOT_TRACK": "1", **_variables("PREFECT", tomllib.loads((DEPLOYED / "prefect.toml").read_text()))}
    if not os.environ.get("PREFECT_API_URL"):
        wanted["PREFECT_HOME"] = str(settings.home / "prefect")
    return {name: value for name, value in wanted.items() if name not in os.environ}


def _variables(name: str, settings: dict[str, Any]) -> dict[str, str]:
    """The environment variables that say the same as a file of Prefect's settings."""
    found: dict[str, str] = {}
    for key, value in settings.items():
        below = f"{name}_{key.upper()}"
        found |= _variables(below, value) if isinstance(value, dict) else {below: str(value)}
    return found


def starter() -> Callable[[str, list[str] | None], bool] | None:
    """What starts runs on Prefect's workers; None where there is no server."""
    settings = get_settings()
    if not _find_server(settings):
        return None
    start_prefect(settings)
    from tasks.starting import start

    return start


def until_healthy(api: str, processes: Processes | None = None) -> Child | None:
    """Wait for Prefect's server; gives what ended meanwhile.

    Raises:
        SetupError: it never answered, or refuses the login.
    """
    login = os.environ.get("PREFECT_API_AUTH_STRING", "")
    user, _, password = login.partition(":")
    auth = (user, password) if login else None
    # Its health is told to anybody, all else only with the login.
    for what in ("health", "admin/version"):
        if (ended := until_reachable(f"{api}/{what}", processes, auth)) is not None:
            return ended
    return None


def until_reachable(
    address: str, processes: Processes | None = None, auth: tuple[str, str] | None = None
) -> Child | None:
    """Wait until somebody answers at an address; gives which of the processes ended meanwhile.

    Raises:
        SetupError: nobody did, or the answer was that a login is wanted.
    """
    until = time.monotonic() + STARTING
    while time.monotonic() < until:
        if processes is not None and (ended := processes.ended()) is not None:
            return ended
        try:
            answer = httpx.get(address, timeout=5, auth=auth)
        except httpx.TransportError:
            time.sleep(0.2)
            continue
        if answer.status_code in (401, 403):
            raise SetupError(f"{address} wants a login: set PREFECT_API_AUTH_STRING")
        if answer.status_code < 500:
            return None
    see = f"; see {processes.logs}" if processes is not None else ""
    raise SetupError(f"{address} didn't answer within {STARTING:.0f} seconds{see}")


def adapter(kind: str) -> SourceAdapter:
    """The adapter of a kind of source; Prefect is asked for its secrets only where the environment has none.

    Raises:
        SetupError: a secret is nowhere.
    """
    settings = get_settings()
    try:
        return ADAPTERS[kind](settings.connection(kind))
    except SetupError:
        start_prefect(settings)
        from tasks.resources import adapter as with_secrets

        return with_secrets(kind)


def run_district(
    district: str, schools: list[str] | None = None, *, now: bool = False, delivery: int | None = None
) -> int:
    """Run the district's flow in this process, print what it noted, and give the exit code.

    Raises:
        NotFound, NotPossible: the district, a school or the delivery is not to be synced.
    """
    settings = get_settings()
    with opened() as database:
        # Refuses what makes no sense, before any server.
        with database.reading() as session:
            sync_requests = requests.sync_requests(
                session, district, schools, delivery, now=now, landing=settings.landing_area
            )
            before = max((run.id or 0 for run in leases.runs_of(session, district, 1)), default=0)
        met = {
            request: pause
            for request in sync_requests
            if (pause := pipeline.active_pause(database, request)) is not None
        }
        if sync_requests and len(met) == len(sync_requests):
            for request, pause in met.items():
                pipeline.record_skipped_run(database, request, pause)
                out.print(f"[blue]{request.source_id} is {escape(pause)}[/]")
            return ATTENTION
    start_prefect(settings)
    for kind in {request.kind for request in sync_requests if request not in met}:
        adapter(kind)
    with err.status(f"syncing {district}"):
        from flows.states import INCOMPLETE, has_failed
        from flows.sync_district import sync_district

        log_prefect()
        state = asyncio.run(_state(sync_district(district, schools, delivery=delivery, now=now, return_state=True)))
    with opened() as database, database.reading() as session:
        for run in reversed([run for run in leases.runs_of(session, district) if (run.id or 0) > before]):
            for note in run.notes or []:
                out.print(f"{run.source_id}: {escape(note)}")
    if has_failed(state):
        err.print(f"[red]failed:[/] {escape(state.message or '')}")
        return FAILURE
    return ATTENTION if state.name in INCOMPLETE else OK


async def _state(run: Any) -> Any:
    return await run
