"""`rollcall up`: Prefect's server, the deployments, a worker and the report, with one command."""

from __future__ import annotations

import os
import platform
import socket
import sys
import time
from contextlib import closing
from typing import IO, Annotated

import httpx
import typer
from rich.markup import escape

from cli.app import app
from cli.console import err, opened, out
from cli.only_one import only_one, say_where
from cli.options import FAILURE
from cli.processes import Child, Processes, stop_leftovers, stopped_by_signals
from cli.running import DEPLOYED, NOBODY_NOTIFIED, POOL, prefect_environment, until_healthy, until_reachable
from contracts.text import count
from errors import SetupError
from settings import Settings, get_settings

LOOKS_EVERY = 1.0
HEARTBEAT_SECONDS = "30"
POLLING_SECONDS = "2"  # somebody who submits a form waits for the worker to look
LINES = 8  # of a log, when something ended by itself


@app.command(rich_help_panel="Run")
def up(
    prefect_port: Annotated[
        int, typer.Option("--prefect-port", metavar="PORT", min=1, max=65535, help="where Prefect's server listens")
    ] = 4200,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="runs at once; otherwise one for each core")
    ] = None,
    demo: Annotated[bool, typer.Option("--demo", help="set made-up districts up, and sync them at once")] = False,
) -> None:
    """Run everything: a Prefect server, the nightly deployments, a worker, and the report, until you press Ctrl-C.

    If PREFECT_API_URL names a server, that one is used. Nothing keeps running afterwards.
    """
    settings = get_settings()
    with stopped_by_signals(), only_one(settings.home) as lock:
        if left := stop_leftovers(settings.home):
            out.print(f"Stopped {left} processes that an earlier `rollcall up` had left when it was killed.")
        with opened():
            pass  # makes and upgrades an embedded database, and says what is wrong with any
        used = os.environ.get("PREFECT_API_URL")
        if not used:
            _assert_free(prefect_port)
        api, port = (used, None) if used else (f"http://127.0.0.1:{prefect_port}/api", prefect_port)
        _assert_can_listen(settings)
        # A run that was killed is found out by its missing heartbeats.
        heartbeats = {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": HEARTBEAT_SECONDS}
        polling = {"PREFECT_WORKER_QUERY_SECONDS": POLLING_SECONDS}
        environment = heartbeats | polling | prefect_environment(settings) | settings.folders | {"PREFECT_API_URL": api}
        os.environ |= environment
        with Processes(settings.home, settings.home / "logs", environment) as processes:
            try:
                ended = _run(processes, settings, api, limit or os.cpu_count() or 1, lock, port=port, demo=demo)
            except KeyboardInterrupt:
                ended = None
            out.print("Stopping ...")
        if ended is not None:
            _say_ended(ended)
            raise typer.Exit(FAILURE)
    out.print("Everything is stopped.")


def _run(
    processes: Processes, settings: Settings, api: str, limit: int, lock: IO[str], *, port: int | None, demo: bool
) -> Child | None:
    """Start everything in its order, and watch it; gives what ended by itself. port: of a server of our own."""
    python = sys.executable
    if port is not None:
        out.print("Starting Prefect's server ...")
        command = [python, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
        processes.start("prefect-server", command, DEPLOYED)
    if (ended := until_healthy(api, processes)) is not None:
        return ended
    out.print("Setting up the deployments ...")
    # Only now: Prefect reads the environment when it is imported.
    from tasks.deployments import deploy, end_left_runs

    if port is not None and (left := end_left_runs(POOL)):
        out.print(f"Marked as crashed what ran when everything was stopped: {count(left, 'run')}.")
    if not deploy(DEPLOYED, POOL):
        out.print(NOBODY_NOTIFIED)
    # Its name is the machine's: started again, it is the same worker.
    worker = ["worker", "start", "--pool", POOL, "--type", "process", "--name", platform.node(), "--limit", str(limit)]
    processes.start("worker", [python, "-m", "prefect", *worker], DEPLOYED)
    processes.start("report", [python, "-m", "cli", "report"], DEPLOYED)
    if (ended := until_reachable(f"{settings.report_address}/sign-in", processes)) is not None:
        return ended
    if demo:
        from sandbox.demo_districts import load
        from tasks.starting import start

        for district in load(settings):
            start(district, None)
    _say_where(settings, api, lock)
    while (ended := processes.ended()) is None:
        time.sleep(LOOKS_EVERY)
    return ended


def _say_where(settings: Settings, api: str, lock: IO[str]) -> None:
    from tasks.morning import KEY

    addresses = {"report": settings.report_address, "prefect": api.removesuffix("/api")}
    say_where(lock, addresses)
    out.print(
        f"\n[bold]Rollcall is running.[/] Press Ctrl-C to stop it.\n"
        f"  SIS sync report   {escape(addresses['report'])}\n"
        f"  Prefect           {escape(addresses['prefect'])}\n"
        f"  morning list      {escape(addresses['prefect'])}/artifacts/key/{KEY}\n"
        f"  logs              {escape(str(settings.home / 'logs'))}\n"
        f"`rollcall report link EMAIL` prints a link that signs an administrator in to the report."
    )


def _say_ended(ended: Child) -> None:
    code = ended.process.returncode
    err.print(f"[red]error:[/] {ended.name} ended by itself (exit code {code}). The end of {escape(str(ended.log))}:")
    for line in ended.log.read_text(errors="replace").splitlines()[-LINES:]:
        err.print(f"  {escape(line)}")


def _assert_free(port: int) -> None:
    """Raise SetupError if something else listens where Prefect's server would."""
    with closing(socket.socket()) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
            return
        except OSError:
            pass
    try:
        is_prefect = httpx.get(f"http://127.0.0.1:{port}/api/health", timeout=5).json() is True
    except (httpx.HTTPError, ValueError):
        is_prefect = False
    if is_prefect:
        raise SetupError(
            f"a Prefect server already listens on port {port}: to use it, set PREFECT_API_URL to"
            f" http://127.0.0.1:{port}/api; to start another, give --prefect-port"
        )
    raise SetupError(f"port {port} is taken by another program: give another one with --prefect-port")


def _assert_can_listen(settings: Settings) -> None:
    """Raise SetupError if the report can't listen where it is set to."""
    from report.serving import listening

    settings.listening_at(None, None)
    listening(settings.report_host, settings.report_port).close()
