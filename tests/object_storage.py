"""A server of S3's kind, landing areas on it, and what is in them."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import fsspec

from services.intake.landing_area import LandingArea
from tests.everything_up import free_port

_numbers = count(1)
# Clients take them from the environment. One attempt: a test that is about an outage doesn't wait for its end.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "somebody",
    "AWS_SECRET_ACCESS_KEY": "not-a-secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_MAX_ATTEMPTS": "1",
}


@contextmanager
def serving() -> Iterator[str]:
    """The address of a server, in a process of its own."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(600):
                with socket.socket() as asking:
                    if asking.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


class Gate(ThreadingHTTPServer):
    """Stands before a server, breaks off what a test names, and notes how large what passes is.

    broken: parts of request lines, such as "PUT /bucket-1/". answers: by such a part, a body in place of the server's.
    """

    def __init__(self, endpoint: str) -> None:
        self.server_behind = urlsplit(endpoint).netloc
        self.broken: list[str] = []
        self.answers: dict[str, bytes] = {}
        self.passed: list[tuple[str, int]] = []
        super().__init__(("127.0.0.1", 0), _Passing)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Passing(BaseHTTPRequestHandler):
    server: Gate
    protocol_version = "HTTP/1.1"

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        line = f"{self.command} {self.path}"
        if any(part in line for part in self.server.broken):
            self.close_connection = True
            return
        self.server.passed.append((line, len(body)))
        for part, body_given in self.server.answers.items():
            if part in line:
                self._answer(200, {}, body_given)
                return
        behind = HTTPConnection(self.server.server_behind)
        behind.request(self.command, self.path, body, dict(self.headers))
        answer = behind.getresponse()
        headers = {name: value for name, value in answer.getheaders() if name.lower() not in ("connection", "date")}
        self._answer(answer.status, headers, answer.read())
        behind.close()

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass  # noqa: N815

    def log_message(self, *_: Any) -> None: ...


@contextmanager
def gate_before(endpoint: str) -> Iterator[Gate]:
    with Gate(endpoint) as gate:
        threading.Thread(target=gate.serve_forever, args=(0.05,), daemon=True).start()
        yield gate
        gate.shutdown()


def area_on(endpoint: str, scratch: Path) -> LandingArea:
    """A landing area in a bucket of its own."""
    bucket = f"bucket-{next(_numbers)}"
    fsspec.filesystem("s3", endpoint_url=endpoint).mkdir(bucket)
    return LandingArea(f"s3://{bucket}/rollcall/landing", scratch, endpoint)


def stored(area: LandingArea) -> dict[str, bytes]:
    """All files in an area, by their paths."""
    root = area._path()
    return {path.removeprefix(f"{root}/"): area._files.cat_file(path) for path in area._files.find(root)}


def store(area: LandingArea, path: str, content: bytes) -> None:
    """Write a file past Rollcall."""
    file = area._path(path)
    area._files.makedirs(area._files._parent(file), exist_ok=True)
    area._files.pipe_file(file, content)


def lose(area: LandingArea, path: str) -> None:
    """Remove a file past Rollcall."""
    area._files.rm_file(area._path(path))
