"""The commands of the report: serving it until Ctrl-C, and copying it into a folder."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx
import pytest

from report import static_copy
from tests.flows.conftest import Installation, rollcall


def test_the_report_is_served_until_ctrl_c(installation: Installation) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "report", "--port", "0"],
        env=os.environ | {"ROLLCALL_HOME": str(installation.home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = process.stdout.readline().split()
    address = said[4].rstrip(".")
    assert said == f"The report is at {address}. Press Ctrl-C to stop.".split()
    answer = httpx.get(f"{address}/districts/unified", timeout=30)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2Fdistricts%2Funified")
    assert (process.returncode, out, err) == (0, "", "")


def test_a_taken_port_and_an_open_address_are_said(
    installation: Installation, refused: Callable[[Sequence[str]], str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"the report can't listen on 127.0.0.1, port {port}: Address already in use" in refused(
            ["report", "--port", str(port)]
        )
    assert "set ROLLCALL_REPORT_URL" in refused(["report", "--host", "0.0.0.0"])


def test_the_report_is_copied_into_a_folder(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(static_copy, "_page", lambda *_, **__: "<h1>A page</h1>")
    copied = rollcall("report", "export", "unified", str(tmp_path / "copy"))
    assert copied.stdout == f"4 pages copied; open {tmp_path / 'copy' / 'index.html'}\n"
    assert sorted(file.name for file in (tmp_path / "copy").iterdir()) == sorted(
        [*static_copy.ASSETS, "index.html", *(f"school-{key}.html" for key in ("jefferson", "lincoln", "roosevelt"))]
    )
