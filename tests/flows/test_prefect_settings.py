"""prefect.toml: whoever starts a Prefect server for Rollcall, it runs with the settings that it needs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import pytest
from prefect.settings import Settings

from cli.only_one import only_one, say_where
from cli.running import start_prefect
from settings import get_settings
from tests.flows.conftest import Server

NEEDED = {"analytics": False, "written at once": 200, "read at once": 200}


def ours(server: dict[str, Any]) -> dict[str, object]:
    recorder = server["services"]["task_run_recorder"]
    return {
        "analytics": server["analytics_enabled"],
        "written at once": recorder["batch_size"],
        "read at once": recorder["read_batch_size"],
    }


def resolved() -> dict[str, object]:
    """What Prefect makes of the environment and the working directory."""
    return ours(Settings().server.model_dump())


def test_a_server_started_in_this_folder(prefect_server: Server) -> None:
    settings = httpx.get(f"{prefect_server.address}/admin/settings").json()
    assert ours(settings["server"]) == NEEDED


def test_a_server_started_by_the_command_line_anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with mock.patch.dict(os.environ):
        # Commands run in this process before have left theirs.
        for name in [name for name in os.environ if name.startswith("PREFECT_SERVER_")]:
            del os.environ[name]
        assert resolved() != NEEDED
        start_prefect(get_settings())
        assert resolved() == NEEDED


def test_while_everything_runs_other_commands_use_its_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def used() -> tuple[str | None, str | None]:
        with mock.patch.dict(os.environ):
            start_prefect(get_settings())
            return os.environ.get("PREFECT_API_URL"), os.environ.get("PREFECT_SERVER_ALLOW_EPHEMERAL_MODE")

    monkeypatch.setenv("ROLLCALL_HOME", str(tmp_path))
    monkeypatch.delenv("PREFECT_SERVER_ALLOW_EPHEMERAL_MODE", raising=False)
    monkeypatch.delenv("PREFECT_API_URL")
    with only_one(tmp_path) as lock:
        assert used() == (None, "true")
        say_where(lock, {"report": "http://127.0.0.1:2", "prefect": "http://127.0.0.1:3"})
        assert used() == ("http://127.0.0.1:3/api", None)
        monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:4/api")
        assert used() == ("http://127.0.0.1:4/api", None)
        monkeypatch.delenv("PREFECT_API_URL")
    assert used() == (None, "true")
