"""Serving the report with uvicorn: in the foreground, or in a thread, on an address of this machine."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from errors import SetupError
from models.database import Database
from report.app import Starter, create_app
from settings import Settings


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes any free one.

    Raises:
        SetupError: the port is taken, or the address is not this machine's.
    """
    # With its protocol: asyncio sends at once (TCP_NODELAY) only on a socket that says it is TCP. Without, a browser
    # waits 40 ms for the second part of an answer.
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
    except OSError as error:
        made.close()
        raise SetupError(
            f"the report can't listen on {host}, port {port}: {error.strerror}; set ROLLCALL_REPORT_HOST and"
            " ROLLCALL_REPORT_PORT to an address of this machine that is free"
        ) from None
    made.listen(128)
    return made


def server(
    database: Database, settings: Settings, *, keep: float = 2.0, starter: Starter | None = None
) -> uvicorn.Server:
    """A server of the report. It believes forwarded headers from the proxies of the settings only."""
    config = uvicorn.Config(
        _silent(create_app(database, settings, keep=keep, starter=starter)),
        log_level="warning",
        access_log=False,
        proxy_headers=bool(settings.report_proxies),
        forwarded_allow_ips=settings.report_proxies or None,
        server_header=False,
        date_header=True,
    )
    return uvicorn.Server(config)


def _silent(app: ASGIApp) -> ASGIApp:
    """An application that ends normally once it has answered that something went wrong.

    Starlette raises the exception again after its answer, and uvicorn would log it with its message, which may hold
    values of a roster. The application has logged its kind.
    """

    async def answering(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        with suppress(Exception):
            await app(scope, receive, send)

    return answering


@contextmanager
def served(
    database: Database, settings: Settings, *, keep: float = 2.0, starter: Starter | None = None
) -> Iterator[str]:
    """Serve the report in a thread on a free port, as long as the `with` lasts; gives its address."""
    here = listening("127.0.0.1", 0)
    address = f"http://127.0.0.1:{here.getsockname()[1]}"
    running = server(database, settings.model_copy(update={"report_url": address}), keep=keep, starter=starter)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [here]}, daemon=True)
    thread.start()
    try:
        while not running.started:
            if not thread.is_alive():
                raise SetupError("the report could not be started")
            time.sleep(0.02)
        yield address
    finally:
        running.should_exit = True
        thread.join(timeout=10)
        here.close()
