"""Runs in this process: Prefect's settings, and a district's flow."""

from __future__ import annotations

import asyncio
import os
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.markup import escape

from cli.console import err, log_prefect, opened, out
from cli.options import ATTENTION, FAILURE, OK
from errors import SetupError
from services.intake.adapters import ADAPTERS, SourceAdapter
from services.sync import leases, pipeline, requests
from settings import Settings, get_settings

ROOT = Path(__file__).parent.parent  # where prefect.toml and prefect.yaml are
POOL = "rollcall"


def start_prefect(settings: Settings) -> None:
    """Make Prefect ready in this process: the server named by PREFECT_API_URL, or a temporary one of our own.

    Must come before Prefect is first imported.
    """
    defaults = {
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        # Its services for events complain of a server that is busy, on and on.
        "PREFECT_INTERNAL_LOGGING_LEVEL": "CRITICAL",
        **prefect_environment(settings),
    }
    if not os.environ.get("PREFECT_API_URL"):
        defaults |= {
            "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
            "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
        }
        if "prefect" not in sys.modules:
            err.print("starting a temporary Prefect server (set PREFECT_API_URL to use your own)", style="dim")
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def prefect_environment(settings: Settings) -> dict[str, str]:
    """The environment variables that Prefect's programs are started with here, but for those that are set already.

    Prefect itself reads its file of settings only where it is started beside it.
    """
    wanted = {"DO_NOT_TRACK": "1", **_variables("PREFECT", tomllib.loads((ROOT / "prefect.toml").read_text()))}
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
    """What starts runs on Prefect's workers; None where PREFECT_API_URL names no server."""
    if not os.environ.get("PREFECT_API_URL"):
        return None
    start_prefect(get_settings())
    from tasks.starting import start

    return start


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
                session, district, schools, delivery, now=now, landing=settings.landing
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
        from flows.sync_district import sync_district

        log_prefect()
        state = asyncio.run(_state(sync_district(district, schools, delivery=delivery, now=now, return_state=True)))
    with opened() as database, database.reading() as session:
        for run in reversed([run for run in leases.runs_of(session, district) if (run.id or 0) > before]):
            for note in run.notes or []:
                out.print(f"{run.source_id}: {escape(note)}")
    if state.is_failed() or state.is_crashed():
        err.print(f"[red]failed:[/] {escape(state.message or '')}")
        return FAILURE
    return ATTENTION if state.name in ("On hold", "Rejected", "Paused", "Waiting for Clever") else OK


async def _state(run: Any) -> Any:
    return await run
