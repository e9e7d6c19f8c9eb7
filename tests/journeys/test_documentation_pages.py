"""The README and the pages of docs/, played one after the other by somebody who types every command they show."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import pytest
import yaml
from prefect.settings import PREFECT_API_URL, temporary_settings
from sqlmodel import col, select

from models.database import open_database
from models.tables import Account, School
from sandbox.clever_api import CLIENT_ID, CLIENT_SECRET, CleverApi, serving
from sandbox.clever_records import clever_district
from sandbox.generator import generate
from sandbox.samples import lakeside
from tests.everything_up import asked, free_port, said_until, up
from tests.flows.conftest import drain, rollcall, shown
from tests.pages import DOCS, README, ROOT, blocks, commands, section

pytestmark = [pytest.mark.journeys, pytest.mark.xdist_group("prefect")]

PAGES = {"README.md": section(README, "Set up your own district")} | {
    name: DOCS[name]
    for name in ("clever.md", "holds.md", "changing-systems.md", "mail.md", "report.md", "operations.md", "csv-1.0.md")
}
HOME = Path(".rollcall")
# The district that the README sets up; in Clever it has the IDs that docs/changing-systems.md names.
UNIFIED = generate(2, schools=1, students=40, teachers=5, classes=8, enrollments=80)


def connected(district: str, school: str, name: str, teachers: int, students: int) -> dict[str, Any]:
    """What `rollcall status --json` says of a district with one school where all is well."""
    row = {"school_id": school, "name": name, "on_plan": True, "status": "connected", "hold": None}
    counts = {"teachers": teachers, "students": students, "errors": 0, "alerts": 0}
    without_school = {"errors": 0, "alerts": 0}
    return {"district": district, "schools": [row | counts], "without_school": without_school, "file_errors": 0}


LINCOLN = connected("unified", "lincoln", "Lincoln High School", 5, 40)
LAKESIDE = connected("lakeside", "lakeside-high", "Lakeside High School", 4, 20)


@dataclass
class Reader:
    """Somebody at a terminal in a folder. report, prefect: where here is what the pages have at its usual address."""

    folder: Path
    report: str
    prefect: str
    typed: list[tuple[str, str]] = field(default_factory=list)

    def plays(self, page: str, heading: str | None = None) -> list[str]:
        """Type the commands of a page, or of what is below one heading of it; gives what each said."""
        text = PAGES[page] if heading is None else section(PAGES[page], heading)
        return [self.types(page, command) for command in commands(text)]

    def types(self, page: str, command: str) -> str:
        """Type one command, which ends with the exit code that the page says; gives what it said."""
        self.typed.append((page, command))
        expected = re.search(r"# exit code (\d)", command)
        words = shlex.split(command, comments=True)
        if words[0] == "rollcall":
            # In this process, which saves the seconds that each takes to start.
            with patch.dict(os.environ):
                ended = rollcall(*words[1:])
            code, said = ended.exit_code, ended.output
        else:
            here = command.replace("http://127.0.0.1:4200", self.prefect)
            done = subprocess.run(here, shell=True, capture_output=True, text=True, check=False)
            code, said = done.returncode, done.stdout + done.stderr
        assert (command, code) == (command, int(expected[1]) if expected else 0), said
        assert "temporary Prefect server" not in said
        return said

    def writes(self, file: str, text: str) -> None:
        """Save what a page shows in a file."""
        path = self.folder / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def held(self) -> tuple[dict[str, tuple[str | None, str | None, bool]], set[str]]:
        """How each school is set up (its source, its ID there, whether it is frozen), and the accounts in use."""
        url = f"sqlite:///{self.folder / HOME / 'rollcall.sqlite'}"
        with open_database(url, backups=None) as database, database.reading() as session:
            schools = session.exec(select(School).order_by(School.id)).all()
            accounts = session.exec(select(Account.id).where(col(Account.archived_at).is_(None))).all()
            return {each.id: (each.source_id, each.external_id, each.frozen) for each in schools}, set(accounts)


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    """A reader in a folder that is empty but for what `make install` puts there."""
    (tmp_path / ".venv").symlink_to(sys.prefix)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    report, prefect = free_port(), free_port()
    with serving(CleverApi([clever_district(lakeside()[0]), clever_district(UNIFIED)])) as clever:
        for name, value in {
            "PATH": f"{tmp_path / '.venv' / 'bin'}:{os.environ['PATH']}",
            "ROLLCALL_REPORT_PORT": str(report),
            "ROLLCALL_CLEVER_CLIENT_ID": CLIENT_ID,
            "ROLLCALL_CLEVER_CLIENT_SECRET": CLIENT_SECRET,
            "ROLLCALL_CLEVER_API_URL": clever,
            "ROLLCALL_CLEVER_AUTH_URL": clever,
            "SLACK_URL": "https://hooks.slack.com/services/T0/B0/invented",
        }.items():
            monkeypatch.setenv(name, value)
        yield Reader(tmp_path, f"http://127.0.0.1:{report}", f"http://127.0.0.1:{prefect}")


def test_no_page_with_commands_is_forgotten() -> None:
    assert {name for name, text in DOCS.items() if commands(text)} == PAGES.keys() - {"README.md"}
    assert commands(README) == ["make demo", "make test", *commands(PAGES["README.md"])]


def test_the_pages_are_played_one_after_the_other_and_leave_alone_what_is_set_up(reader: Reader) -> None:
    with set_up(reader):
        assert shown("status", "--json") == [LINCOLN]
        for play in (clever, holds, changing_systems, mail, report, operations, csv):
            play(reader)
            assert shown("status", "--json") == [LINCOLN, LAKESIDE]
    assert reader.typed == [(page, command) for page, text in PAGES.items() for command in commands(text)]


@contextmanager
def set_up(reader: Reader) -> Iterator[None]:
    """The README's district, which sends files, with everything running as long as the `with` lasts."""
    (setup,) = blocks("toml", PAGES["README.md"])
    reader.writes("districts.toml", setup)
    UNIFIED.write(reader.folder / "drop" / "unified")
    said = {}
    with ExitStack() as until_the_end:
        for command in commands(PAGES["README.md"]):
            if command == ".venv/bin/rollcall up":
                reader.typed.append(("README.md", command))
                ports = [int(address.rpartition(":")[2]) for address in (reader.report, reader.prefect)]
                process = until_the_end.enter_context(up(HOME, ports=(ports[0], ports[1]), folder=reader.folder))
                said["up"] = said_until(process, "rollcall report link")
            else:
                said[command.split()[1]] = reader.types("README.md", command)
        assert "no errors, no alerts" in said["check"]
        # Its column headings are whole, also in a narrow terminal.
        assert "create adopt update reactivate join change_id remove" in " ".join(said["preview"].split())
        assert (reader.report in said["up"], reader.prefect in said["up"]) == (True, True)
        assert "Connected" in said["status"]
        # The run that the command line made is where the address of Prefect leads.
        runs = {run["name"].partition(" · ")[0]: run["state"]["name"] for run in asked(reader.prefect, "flow_runs")}
        assert runs["Unified School District"] == "Connected"
        assert shows_lincoln(reader, said["report"])
        with temporary_settings({PREFECT_API_URL: f"{reader.prefect}/api"}):
            try:
                yield
            finally:
                drain()


def shows_lincoln(reader: Reader, link: str) -> bool:
    """Whether somebody who opens a link that signs in sees the district's report."""
    headers = {"Sec-Fetch-Site": "same-origin"}
    with httpx.Client(base_url=reader.report, follow_redirects=True, headers=headers) as person:
        page = person.post("/sign-in/link", data={"token": link.strip().partition("token=")[2]}).text
    return "Lincoln High School" in page and "Connected" in page


def clever(reader: Reader) -> None:
    """A second district, which is in Clever and paused for a while."""
    (setup,) = blocks("toml", PAGES["clever.md"])
    reader.writes("clever.toml", setup)
    _, preview, sync, _, status, _ = reader.plays("clever.md")
    # The school that is shared but not set up is named with its ID.
    assert "c8b53dff2f72108e56bb2beb (Harbor Middle School)" in preview
    assert "Connected" in sync
    assert "Paused for maintenance until further notice: moving to new servers" in status
    assert reader.held()[0] == {
        "lakeside/lakeside-high": ("lakeside/clever", "96da5ff4e775f6cda9d76cce", False),
        "unified/lincoln": ("unified/files", "0101", False),
    }


def holds(reader: Reader) -> None:
    """A delivery that was cut short, and the better one after it."""
    before = reader.held()
    *_, cut, listed, shown, recheck, _, better = reader.plays("holds.md")
    assert ("On hold" in cut, "On hold" in recheck, "Connected" in better) == (True, True, True)
    assert "hold 1  unified/lincoln" in listed
    assert "35 of 40 students would be removed (limit: 10% and 10)" in shown
    assert len((reader.folder / "hold.csv").read_text().splitlines()) == 78
    assert reader.held() == before


def changing_systems(reader: Reader) -> None:
    """New IDs for the students, and then for everybody: the district goes over to Clever."""
    schools, accounts = reader.held()
    *_, preview, _, shown, _ = reader.plays("changing-systems.md", "New IDs from the same source")
    assert "The IDs of 40 students have lost their leading zeros" in preview
    assert "the IDs of all 40 students would change" in shown
    assert reader.held() == (schools, accounts)
    (setup,), (moving,) = blocks("toml", PAGES["README.md"]), blocks("toml", PAGES["changing-systems.md"])
    reader.writes("districts.toml", setup[: setup.index("[[district.school]]")] + moving)
    applied, *_ = reader.plays("changing-systems.md", "From files to Clever, or back")
    assert applied.splitlines() == [
        "Unified School District: source clever added",
        "Unified School District: school Lincoln High School external_id 0101 → f67632f28d95e72b27808407",
        "Unified School District: school Lincoln High School source unified/files → unified/clever",
        "3 changes",
    ]
    moved = {"unified/lincoln": ("unified/clever", "f67632f28d95e72b27808407", False)}
    assert reader.held() == (schools | moved, accounts)


def mail(reader: Reader) -> None:
    """What the pages before were mailed about, and a test message."""
    listed, said = reader.plays("mail.md")
    folder = reader.folder / HOME / "mail"
    # By their names they are in the order in which they were written, each district's.
    mails = [message_from_bytes((folder / name).read_bytes(), policy=policy.default) for name in listed.split()]
    on_hold, released = (
        "1 school on hold: Unified School District",
        "1 school no longer on hold: Unified School District",
    )
    assert [(each["to"], each["subject"]) for each in mails] == [
        ("sis@lakeside.example", "Clever sync paused for maintenance: Lakeside Schools"),
        ("sis@lakeside.example", "Clever sync resumed after maintenance: Lakeside Schools"),
        *3 * [("it@unified.example", on_hold), ("it@unified.example", released)],
    ]
    assert "took a test message" in " ".join(said.split())


def report(reader: Reader) -> None:
    """A link to sign in, a token for a program, and a copy in files."""
    link, token, _ = reader.plays("report.md")
    assert shows_lincoln(reader, link)
    address = f"{reader.report}/districts/unified"
    answer = httpx.get(address, headers={"Authorization": f"Bearer {token.strip()}"}, follow_redirects=True)
    told = answer.json()
    assert (told["district"], told["statuses"], told["totals"]) == (
        "unified",
        {"connected": 1},
        {"teachers": 5, "students": 40, "errors": 0, "alerts": 0},
    )
    assert "Lincoln High School" in (reader.folder / "copy" / "index.html").read_text()


def operations(reader: Reader) -> None:
    """A morning, and what an operator does now and then."""
    before = reader.held()
    *_, deploy = reader.plays("operations.md")
    assert deploy == f"The deployments are on {reader.prefect}.\n"
    wanted = yaml.safe_load((ROOT / "automations.yaml").read_text())["automations"]
    there = {each["name"] for each in asked(reader.prefect, "automations")}
    assert there == {each["name"] for each in wanted}
    assert (reader.folder / "before-the-summer.sqlite").is_file()
    assert reader.held() == before


def csv(reader: Reader) -> None:
    """The template, as the page shows it."""
    for name, text in re.findall(r"\n(\w+\.csv)\n\n```csv\n(.*?)```\n", PAGES["csv-1.0.md"], re.S):
        reader.writes(f"template/{name}", text)
    assert reader.plays("csv-1.0.md") == ["no errors, no alerts\n"]
