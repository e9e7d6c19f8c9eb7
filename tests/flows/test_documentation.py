"""Every command of the README is run as it stands there, in the order a stranger would."""

from __future__ import annotations

import contextlib
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
from sandbox.clever_api import CLIENT_ID, CLIENT_SECRET, CleverApi, serving
from sandbox.clever_records import clever_district
from sandbox.generator import generate
from sandbox.samples import lakeside
from services.operations.setup import read_setup
from services.status import sync_status
from tests.everything_up import asked, free_port, said_until, until, up
from tests.flows.conftest import Server, rollcall, shown

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BIN = Path(sys.executable).parent


def blocks(language: str, text: str = README) -> list[str]:
    return [re.sub(r"^ {3}", "", block, flags=re.M) for block in re.findall(rf"```{language}\n(.*?)```", text, re.S)]


def commands(text: str = README) -> list[list[str]]:
    return [shlex.split(line) for block in blocks("sh", text) for line in block.splitlines() if line.strip()]


def run(arguments: list[str], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    tool = str(BIN / Path(arguments[0]).name)
    return subprocess.run(
        [tool, *arguments[1:]], cwd=folder, env=os.environ | environment, capture_output=True, text=True, check=False
    )


def home_with_prefect(folder: Path, template: Path) -> Path:
    """An empty home but for Prefect's own database, which the demo makes too."""
    (folder / "home" / "prefect").mkdir(parents=True)
    shutil.copy(template, folder / "home" / "prefect")
    return folder / "home"


def test_the_readme_has_no_command_that_is_not_run_here() -> None:
    assert [" ".join(command[:2]) for command in commands()] == [
        "make demo",
        "make test",
        *[f".venv/bin/rollcall {verb}" for verb in ("check", "setup", "preview", "up", "sync", "status", "report")],
    ]


def test_a_stranger_sets_up_a_district_and_sees_its_first_night(tmp_path: Path, prefect_template: Path) -> None:
    (setup,) = blocks("toml")
    (tmp_path / "districts.toml").write_text(setup)
    generate(2, schools=1, students=40, teachers=5, classes=8, enrollments=80).write(tmp_path / "drop" / "unified")
    home, ports = home_with_prefect(tmp_path, prefect_template), (free_port(), free_port())
    environment = {"ROLLCALL_HOME": str(home), "ROLLCALL_REPORT_PORT": str(ports[0]), "PREFECT_API_URL": ""}
    said = {}
    with contextlib.ExitStack() as until_the_end:
        for command in commands():
            if command[0] == "make":
                continue
            if command[1] == "up":
                process = until_the_end.enter_context(up(home, *command[2:], ports=ports))
                said["up"] = said_until(process, "rollcall report link")
                continue
            ended = run(command, tmp_path, environment)
            said[command[1]] = ended.stdout
            assert (command, ended.returncode) == (command, 0), ended.stderr
            assert "temporary Prefect server" not in ended.stderr
        assert "no errors, no alerts" in said["check"]
        report, prefect = (f"http://127.0.0.1:{port}" for port in ports)
        assert (report in said["up"], prefect in said["up"]) == (True, True)
        assert "Connected" in said["status"]
        # The run that the command line made is where the address of Prefect leads.
        runs = {run["name"].partition(" · ")[0]: run["state"]["name"] for run in asked(prefect, "flow_runs")}
        assert runs["Unified School District"] == "Connected"
        with httpx.Client(base_url=report, follow_redirects=True, headers={"Sec-Fetch-Site": "same-origin"}) as person:
            page = person.post("/sign-in/link", data={"token": said["report"].strip().partition("token=")[2]}).text
        assert ("Lincoln High School" in page, "Connected" in page) == (True, True)


def test_the_pages_are_played_one_after_the_other_and_leave_alone_what_is_set_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefect_server: Server
) -> None:
    """A district that sends files, from the README; then one in Clever, which is paused."""
    pages = {"districts.toml": README, "clever.toml": (ROOT / "docs" / "clever.md").read_text()}
    for name, text in pages.items():
        (setup,) = blocks("toml", text)
        (tmp_path / name).write_text(setup)
    generate(2, schools=1, students=40, teachers=5, classes=8, enrollments=80).write(tmp_path / "drop" / "unified")
    said: dict[str, dict[str, str]] = {name: {} for name in pages}
    with serving(CleverApi([clever_district(lakeside()[0])])) as address:
        monkeypatch.chdir(tmp_path)
        for name, value in {
            "ROLLCALL_HOME": str(tmp_path / "home"),
            "ROLLCALL_CLEVER_CLIENT_ID": CLIENT_ID,
            "ROLLCALL_CLEVER_CLIENT_SECRET": CLIENT_SECRET,
            "ROLLCALL_CLEVER_API_URL": address,
            "ROLLCALL_CLEVER_AUTH_URL": address,
        }.items():
            monkeypatch.setenv(name, value)
        for name, text in pages.items():
            for command in commands(text):
                if command[0] == "make" or command[1] == "up":
                    continue
                ended = rollcall(*command[1:])
                said[name][command[1]] = ended.output
                assert (command, ended.exit_code) == (command, 0), ended.output
    here = said["clever.toml"]
    assert list(here) == ["setup", "preview", "sync", "pause", "status", "resume"]
    # The school that is shared but not set up is named with its ID.
    assert "c8b53dff2f72108e56bb2beb (Harbor Middle School)" in here["preview"]
    assert "Connected" in here["sync"]
    assert "Paused for maintenance until further notice: moving to new servers" in here["status"]
    assert [(each["district"], [row["status"] for row in each["schools"]]) for each in shown("status", "--json")] == [
        ("unified", ["connected"]),
        ("lakeside", ["connected"]),
    ]


def test_a_school_goes_over_to_clever_in_the_setup_file(tmp_path: Path) -> None:
    (setup,) = blocks("toml", (ROOT / "docs" / "clever.md").read_text())
    (moving,) = blocks("toml", (ROOT / "docs" / "changing-systems.md").read_text())
    district = setup[: setup.index("[[district.source]]")]
    files = '[[district.source]]\nid = "files"\nkind = "csv"\nformat = "csv-1.0"\nfolder = "drop"\n\n'
    (tmp_path / "districts.toml").write_text(district + files + moving)
    (read,) = read_setup(tmp_path / "districts.toml").district
    assert [(school.id, school.source) for school in read.school] == [("lakeside-high", "clever")]


def test_the_nights_run_by_themselves(tmp_path: Path, prefect_template: Path) -> None:
    (setup,) = blocks("toml")
    (tmp_path / "districts.toml").write_text(setup.replace("quiet_seconds = 300", "quiet_seconds = 0"))
    generate(2, schools=1, students=40, teachers=5, classes=8, enrollments=80).write(tmp_path / "drop" / "unified")
    home, ports = home_with_prefect(tmp_path, prefect_template), (free_port(), free_port())
    assert run(["rollcall", "setup", "districts.toml"], tmp_path, {"ROLLCALL_HOME": str(home)}).returncode == 0
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
    ours = (
        path for folder in ("cli", "services", "tasks", "flows", "report") for path in (ROOT / folder).rglob("*.py")
    )
    texts = [README, *(path.read_text() for path in (*sorted((ROOT / "docs").glob("*.md")), *ours))]
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
