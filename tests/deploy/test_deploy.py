"""deploy/: every setting and command in it exists, and all services run as large installations need it."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import prefect.settings
import pytest
import typer.main
import yaml

from cli.main import app
from settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
FILES = [path for path in DEPLOY.rglob("*") if path.is_file()]
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
HOSTED_IN = "/opt/rollcall"


def variables(file: str) -> dict[str, str]:
    """The settings of an environment file, those that are commented out too."""
    found = re.findall(r"^#?([A-Z][A-Z_]+)=(.*)$", (DEPLOY / file).read_text(), re.M)
    return {name: value.strip('"') for name, value in found}


def fill_in(environment: pytest.MonkeyPatch) -> None:
    """Set everything, as somebody does who has filled in both files."""
    for name, value in (variables("rollcall.env") | variables("secrets.env.example")).items():
        environment.setenv(name, value or "someone:something")


def commands() -> list[list[str]]:
    """Everything that a unit or a container starts."""
    started = [line for unit in UNITS for line in re.findall(r"^ExecStart=(.*)$", unit.read_text(), re.M)]
    words = [shlex.split(line) for line in started]
    for service in COMPOSE["services"].values():
        command = service.get("command", [])
        words += [shlex.split(each) for each in command[2].split("&&")] if command[:2] == ["sh", "-c"] else [command]
    return [[Path(command[0]).name, *command[1:]] for command in words if command]


def test_every_setting_exists() -> None:
    ours = set(Settings().shown())
    named = {name for path in FILES for name in re.findall(r"\b(?:ROLLCALL|PREFECT)_[A-Z_]+\b", path.read_text())}
    assert len(named) > 15
    assert {name for name in named - ours if not hasattr(prefect.settings, name)} == set()


@cache
def prefects_help(*words: str) -> str:
    command = [sys.executable, "-m", "prefect", *words, "--help"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_exists(command: list[str]) -> None:
    name, *words = command
    if name == "rollcall":
        known: Any = typer.main.get_command(app)
        assert words[0] in known.commands
        assert len(words) == 1
        return
    assert name == "prefect"
    place = {"server": "server start", "worker": "worker start"}[words[0]]
    assert " ".join(words[:2]) == place
    assert [word for word in words if word.startswith("--") and f"{word} " not in prefects_help(*words[:2])] == []


def test_a_server_started_as_here_runs_as_a_large_installation_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    fill_in(monkeypatch)
    monkeypatch.chdir(ROOT)
    settings = prefect.settings.Settings()
    server = settings.server
    database = server.database.connection_url
    assert {
        "analytics": server.analytics_enabled,
        "written at once": server.services.task_run_recorder.batch_size,
        "read at once": server.services.task_run_recorder.read_batch_size,
        "vacuum": server.services.db_vacuum.enabled,
        "runs kept, days": server.services.db_vacuum.retention_period.days,
        "events kept, days": server.events.retention_period.days,
        "login": server.api.auth_string is not None and settings.api.auth_string is not None,
        "database": database is not None and database.get_secret_value().partition(":")[0],
        "pages call": server.ui.api_url,
        "heartbeats": settings.flows.heartbeat_frequency,
    } == {
        "analytics": False,
        "written at once": 200,
        "read at once": 200,
        "vacuum": {"events", "flow_runs"},
        "runs kept, days": 30,
        "events kept, days": 3,
        "login": True,
        "database": "postgresql+asyncpg",
        "pages call": "https://prefect.example/api",
        "heartbeats": 30,
    }
    # Prefect reads prefect.toml only where it is started.
    assert {re.findall(r"^WorkingDirectory=(.*)$", unit.read_text(), re.M)[0] for unit in UNITS} == {HOSTED_IN}
    assert re.findall(r"^WORKDIR (.*)$", (DEPLOY / "Dockerfile").read_text(), re.M) == [HOSTED_IN]


def test_rollcall_takes_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    fill_in(monkeypatch)
    for name, value in COMPOSE["services"]["report"]["environment"].items():
        monkeypatch.setenv(name, value)
    settings = Settings().listening_at(None, None)
    assert (settings.report_address, settings.report_host) == ("https://rollcall.example", "0.0.0.0")
    assert settings.mail_sender == "Rollcall <sync@rollcall.example>"
    assert settings.report_proxies == COMPOSE["networks"]["proxied"]["ipam"]["config"][0]["subnet"]


def test_no_file_holds_a_secret() -> None:
    private = re.compile(r"PASSWORD|SECRET|AUTH_STRING|DATABASE")
    assert [name for name in variables("rollcall.env") if private.search(name)] == []
    secrets = variables("secrets.env.example")
    assert {name for name, value in secrets.items() if value and "PASSWORD" not in value} == set()


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: str(unit.name))
def test_a_unit_has_a_user_of_its_own_and_may_change_nothing_else(unit: Path) -> None:
    lines = set(unit.read_text().splitlines())
    wanted = {"User=rollcall", "NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes"}
    assert wanted - lines == set()
    assert ("Restart=always" in lines) != ("Type=oneshot" in lines)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd here")
def test_systemd_reads_the_units(tmp_path: Path) -> None:
    for unit in UNITS:
        here = unit.read_text().replace(f"{HOSTED_IN}/.venv/bin", str(Path(sys.executable).parent))
        (tmp_path / unit.name.replace("@.", "@1.")).write_text(here)
        (tmp_path / unit.name).write_text(here)
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *sorted(str(path) for path in tmp_path.glob("*[!@].service"))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (verified.returncode, verified.stderr) == (0, "")


def test_the_containers_share_what_they_must_and_only_the_proxy_is_reached_from_outside() -> None:
    services = COMPOSE["services"]
    volumes = {name: [volume.split(":")[0] for volume in each["volumes"]] for name, each in services.items()}
    assert volumes["worker"] == volumes["report"] == volumes["deploy"] == ["home", "drop"]
    assert {name for name, each in services.items() if "ports" in each} == {"proxy"}
    used = {volume for each in volumes.values() for volume in each if not volume.startswith(".")}
    assert used == set(COMPOSE["volumes"])
