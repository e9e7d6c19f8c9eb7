"""`rollcall up`: Prefect's server, the deployments, a worker and the report, with one command."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.markup import escape

from cli.app import app
from cli.console import err, opened, out
from cli.options import FAILURE
from cli.processes import RUNNING, Child, Processes, stop_leftovers, stopped_by_signals
from cli.running import POOL, ROOT, prefect_environment
from errors import NotPossible, SetupError
from settings import Settings, get_settings

STARTING = 180.0  # seconds; a server's first start makes its database
LOOKS_EVERY = 1.0
HEARTBEAT_SECONDS = "30"
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
    with stopped_by_signals(), _only_one(settings.home) as lock:
        if left := stop_leftovers(settings.home):
            out.print(f"Stopped {left} processes that an earlier `rollcall up` had left when it was killed.")
        with opened():
            pass  # makes and upgrades an embedded database, and says what is wrong with any
        api = os.environ.get("PREFECT_API_URL") or f"http://127.0.0.1:{prefect_port}/api"
        is_ours = not os.environ.get("PREFECT_API_URL")
        if is_ours:
            _assert_free(prefect_port)
        _assert_can_listen(settings)
        # A run that was killed is found out by its missing heartbeats.
        heartbeats = {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": HEARTBEAT_SECONDS}
        environment = heartbeats | prefect_environment(settings) | {"PREFECT_API_URL": api}
        os.environ |= environment
        with Processes(settings.home, settings.home / "logs", environment) as processes:
            try:
                ended = _run(processes, settings, api, limit or os.cpu_count() or 1, lock, is_ours=is_ours, demo=demo)
            except KeyboardInterrupt:
                ended = None
            out.print("Stopping ...")
        if ended is not None:
            _say_ended(ended)
            raise typer.Exit(FAILURE)
    out.print("Everything is stopped.")


def _run(
    processes: Processes, settings: Settings, api: str, limit: int, lock: Any, *, is_ours: bool, demo: bool
) -> Child | None:
    """Start everything in its order, and watch it; gives what ended by itself."""
    python = sys.executable
    if is_ours:
        port = api.removesuffix("/api").rpartition(":")[2]
        out.print("Starting Prefect's server ...")
        command = [python, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", port]
        processes.start("prefect-server", command, ROOT)
    if (ended := _until_healthy(processes, api)) is not None:
        return ended
    out.print("Setting up the deployments ...")
    # Only now: Prefect reads the environment when it is imported.
    from tasks.deployments import deploy

    deploy(ROOT, POOL)
    # Its name is the machine's: started again, it is the same worker.
    worker = ["worker", "start", "--pool", POOL, "--type", "process", "--name", platform.node(), "--limit", str(limit)]
    processes.start("worker", [python, "-m", "prefect", *worker], ROOT)
    processes.start("report", [python, "-m", "cli", "report"], ROOT)
    if (ended := _until_reachable(processes, f"{settings.report_address}/sign-in")) is not None:
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


def _until_healthy(processes: Processes, api: str) -> Child | None:
    """Wait for Prefect's server; gives what ended meanwhile.

    Raises:
        SetupError: it never answered.
    """
    login = os.environ.get("PREFECT_API_AUTH_STRING", "")
    user, _, password = login.partition(":")
    return _until_reachable(processes, f"{api}/health", auth=(user, password) if login else None)


def _until_reachable(processes: Processes, address: str, auth: tuple[str, str] | None = None) -> Child | None:
    until = time.monotonic() + STARTING
    while time.monotonic() < until:
        if (ended := processes.ended()) is not None:
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
    raise SetupError(f"{address} didn't answer within {STARTING:.0f} seconds; see {processes.logs}")


def _say_where(settings: Settings, api: str, lock: Any) -> None:
    addresses = {"report": settings.report_address, "prefect": api.removesuffix("/api")}
    lock.write(json.dumps(addresses))
    lock.flush()
    out.print(
        f"\n[bold]Rollcall is running.[/] Press Ctrl-C to stop it.\n"
        f"  SIS sync report   {escape(addresses['report'])}\n"
        f"  Prefect           {escape(addresses['prefect'])}\n"
        f"  logs              {escape(str(settings.home / 'logs'))}\n"
        f"`rollcall report link EMAIL` prints a link that signs an administrator in to the report."
    )


def _say_ended(ended: Child) -> None:
    code = ended.process.returncode
    err.print(f"[red]error:[/] {ended.name} ended by itself (exit code {code}). The end of {escape(str(ended.log))}:")
    for line in ended.log.read_text(errors="replace").splitlines()[-LINES:]:
        err.print(f"  {escape(line)}")


@contextmanager
def _only_one(home: Path) -> Iterator[Any]:
    """The file that says where everything is, locked as long as the `with` lasts.

    Raises:
        NotPossible: another `rollcall up` runs for this installation.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = home / RUNNING
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            said = lock.read()
            where = ", ".join(f"{name} at {address}" for name, address in json.loads(said or "{}").items())
            raise NotPossible(
                f"`rollcall up` already runs for {home}" + (f": {where}" if where else "; it is still starting")
            ) from None
        lock.truncate(0)
        try:
            yield lock
        finally:
            path.unlink(missing_ok=True)


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
