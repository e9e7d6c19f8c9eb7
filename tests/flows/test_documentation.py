"""What the documentation promises: nights run by themselves, the demo plays two, and every command named exists."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer

from cli.main import app
from models.database import open_database
from sandbox.generator import generate
from services.status import sync_status
from tests.everything_up import asked, free_port, said_until, until, up
from tests.flows.conftest import rollcall
from tests.pages import DOCS, README, ROOT, blocks


def test_the_nights_run_by_themselves(tmp_path: Path, prefect_template: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (setup,) = blocks("toml", README)
    (tmp_path / "districts.toml").write_text(setup.replace("quiet_seconds = 300", "quiet_seconds = 0"))
    generate(2, schools=1, students=40, teachers=5, classes=8, enrollments=80).write(tmp_path / "drop" / "unified")
    home, ports = tmp_path / "home", (free_port(), free_port())
    # Empty but for Prefect's own database, which takes long to make.
    (home / "prefect").mkdir(parents=True)
    shutil.copy(prefect_template, home / "prefect")
    monkeypatch.setenv("ROLLCALL_HOME", str(home))
    assert rollcall("setup", str(tmp_path / "districts.toml")).exit_code == 0
    with up(home, ports=ports) as process:
        said_until(process, "rollcall report link")
        prefect = f"http://127.0.0.1:{ports[1]}"
        nightly = {each["name"]: each["id"] for each in asked(prefect, "deployments")}["csv-nightly"]
        # As the schedule does at one in the morning.
        httpx.post(f"{prefect}/api/deployments/{nightly}/create_flow_run", json={}).raise_for_status()
        with open_database(f"sqlite:///{home / 'rollcall.sqlite'}", backups=None) as database:

            def shown() -> list[str | None]:
                with database.reading() as session:
                    return [row.status for row in sync_status.statuses(session, now=datetime.now(UTC))]

            until(lambda: shown() == ["connected"], 120)


def test_the_demo_plays_two_nights(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "sandbox.demo"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PREFECT_API_URL": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    last = ended.stdout.split("The second night")[1]
    for words in ("Connected", "On hold", "Setup sync", "Not on the plan", "! Lincoln", "Where to look next"):
        assert words in last
    assert re.search(r"Opened the report of Unified School District as its administrator: \d\d,\d{3} bytes\.", last)


def named_commands() -> set[str]:
    """Every rollcall command that the documentation names, in a block or within a sentence, and those in our texts."""
    folders = (ROOT / name for name in ("cli", "services", "tasks", "flows", "report"))
    ours = (path.read_text() for folder in folders for path in folder.rglob("*.py"))
    texts = [README, *DOCS.values(), *ours]
    found = (re.findall(r"(?:[`(]|^ *(?:\.venv/bin/)?)(rollcall [a-z][^`)\n]*)", text, re.M) for text in texts)
    return {command.split("#")[0].strip() for each in found for command in each}


def test_every_command_that_the_documentation_or_a_message_names_is_there() -> None:
    named = named_commands()
    assert len(named) > 40
    for text in sorted(named):
        command: Any = typer.main.get_command(app)
        words = shlex.split(text)[1:]
        while hasattr(command, "commands") and words and words[0] in command.commands:
            command = command.commands[words.pop(0)]
        assert not (hasattr(command, "commands") and words and words[0][0] not in "[-"), text
        known = {name for parameter in command.params for name in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= {*known, "--help"}, text
