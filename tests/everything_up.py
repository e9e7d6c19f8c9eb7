"""`rollcall up` as a process of its own, for the tests that start an installation with it."""

from __future__ import annotations

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
from tenacity import retry, retry_if_exception, stop_after_delay, wait_fixed

ROOT = Path(__file__).parents[1]
REPORT_PORT, PREFECT_PORT = "ROLLCALL_REPORT_PORT", "--prefect-port"


def free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def up(home: Path, *options: str, ports: tuple[int, int], folder: Path = ROOT) -> Iterator[subprocess.Popen[str]]:
    """`rollcall up`, started in a folder, and stopped with Ctrl-C at the end of the `with` if it still runs."""
    environment = {**os.environ, "ROLLCALL_HOME": str(home), REPORT_PORT: str(ports[0]), "PYTHONUNBUFFERED": "1"}
    environment.pop("PREFECT_API_URL", None)
    command = [sys.executable, "-m", "cli", "up", PREFECT_PORT, str(ports[1]), *options]
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
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


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, httpx.HTTPStatusError) and error.response.status_code == httpx.codes.SERVICE_UNAVAILABLE


@retry(retry=retry_if_exception(_is_busy), wait=wait_fixed(0.5), stop=stop_after_delay(30), reraise=True)
def told(method: str, url: str, **sent: Any) -> Any:
    """What Prefect's server answers. On SQLite it says 503 while others write; its own clients ask again as well."""
    answer = httpx.request(method, url, timeout=30, **sent).raise_for_status()
    return answer.json() if answer.content else None


def asked(address: str, what: str) -> Any:
    return told("POST", f"{address}/api/{what}/filter", json={})


def until(there: Any, seconds: float = 90, pause: float = 0.5) -> None:
    deadline = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(pause)
