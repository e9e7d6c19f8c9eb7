"""A Prefect server that wants a login tells everybody that it is healthy: it is asked for more before it is used."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cli.running import until_healthy
from errors import SetupError

LOGIN = "ops:made-up"


class Guarded(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        wanted = "Basic " + base64.b64encode(LOGIN.encode()).decode()
        is_open = self.path == "/api/health" or self.headers["Authorization"] == wanted
        self.send_response(200 if is_open else 401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def api() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Guarded) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}/api"
        server.shutdown()
        serving.join()


def test_a_login_that_is_missing_or_wrong_is_said_at_once(api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for given in ("", "ops:wrong"):
        monkeypatch.setenv("PREFECT_API_AUTH_STRING", given)
        with pytest.raises(SetupError, match=r"wants a login: set PREFECT_API_AUTH_STRING$"):
            until_healthy(api)
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", LOGIN)
    assert until_healthy(api) is None
