"""Ops at 7 am: what somebody sees in Prefect after a night of 30 schools, and does about it, with pictures."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import polars as pl
import psutil
import pytest
from playwright.sync_api import Locator, Page, ViewportSize, expect, sync_playwright
from sqlmodel import col, func, select

from models import bulk
from models.database import open_database
from models.tables import SchoolRun
from sandbox.clever_api import CLIENT_ID, CLIENT_SECRET, CleverApi, serving
from sandbox.clever_records import clever_district
from sandbox.generator import generate
from sandbox.samples import lakeside
from services import clock
from tasks.morning import KEY
from tests.everything_up import ROOT, asked, free_port, said_until, told, until, up
from tests.report.chromium import BROWSER, CHROMIUM, FLAGS
from tests.setups import setup_text

CEDAR, FAIRVIEW, LAKESIDE = "Cedar Valley Schools", "Fairview Schools", "Lakeside Schools"
ADAMS, HARRISON = "Adams Middle School", "Harrison Elementary School"
LOSING = {"0105": ADAMS, "0109": HARRISON}
HELD = f"2 on hold: {ADAMS} (data removals), {HARRISON} (data removals)"
REJECTED = "2 on hold: Lincoln High School (file errors), Roosevelt Middle School (file errors)"
PLANTED = "Zebulonia"  # a first name that stands out wherever it is found
WINDOW: ViewportSize = {"width": 1280, "height": 860}
UNDER_WAY = ("SCHEDULED", "PENDING", "RUNNING")


@dataclass
class Morning:
    """An installation that runs, and somebody who looks at it in a browser."""

    folder: Path
    ports: tuple[int, int]
    page: Page
    pictures: Path

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def prefect(self) -> str:
        return f"http://127.0.0.1:{self.ports[1]}"

    def go(self, path: str) -> None:
        self.page.goto(self.prefect + path)

    def photograph(self, name: str) -> None:
        # Their own animations, and what is still loading below the text that was waited for.
        self.page.wait_for_timeout(1500)
        self.page.screenshot(path=self.pictures / f"prefect-{name}.png")

    def follow(self, link: Locator) -> None:
        """Go where a link leads that opens a tab of its own."""
        address = link.get_attribute("href")
        assert address is not None
        self.page.goto(address)

    def runs(self, title: str) -> list[dict[str, str]]:
        """The runs whose names begin so, the newest first: their ID, state's type, name and message."""
        found = [run for run in asked(self.prefect, "flow_runs") if run["name"].startswith(title)]
        found.sort(key=lambda run: run["expected_start_time"], reverse=True)
        return [
            {"id": run["id"], **{key: run["state"][key] or "" for key in ("type", "name", "message")}} for run in found
        ]

    def start(self, deployment: str, **parameters: object) -> str:
        """Have a worker run a deployment, as its schedule does, and give the run's ID."""
        (found,) = (each["id"] for each in asked(self.prefect, "deployments") if each["name"] == deployment)
        address = f"{self.prefect}/api/deployments/{found}/create_flow_run"
        return str(told("POST", address, json={"parameters": parameters})["id"])

    def state(self, run: str) -> str:
        return str(told("GET", f"{self.prefect}/api/flow_runs/{run}")["state"]["name"])

    def until_ended(self, run: str) -> str:
        """Wait for a run, and give the name of its last state."""
        address = f"{self.prefect}/api/flow_runs/{run}"
        until(lambda: told("GET", address)["state"]["type"] not in UNDER_WAY, 180)
        return self.state(run)

    def night(self, many: int) -> None:
        """csv-nightly, with the runs of so many districts."""
        before = {run["id"] for title in (CEDAR, FAIRVIEW) for run in self.runs(title)}
        assert self.until_ended(self.start("csv-nightly", arrivals_only=False)) == "Submitted"

        def new() -> list[dict[str, str]]:
            return [run for title in (CEDAR, FAIRVIEW) for run in self.runs(title) if run["id"] not in before]

        until(lambda: len(new()) == many and all(run["type"] not in UNDER_WAY for run in new()), 180)

    def open_runs(self, state: str) -> None:
        """The runs of districts and nights, without those of schools, once one has this state."""
        self.go("/runs")
        self.page.get_by_text("Hide subflows").click()
        self.scroll_to(self.page.get_by_text(state).first)

    def scroll_to(self, what: Locator) -> None:
        """Without waiting for it to be stable: the pages make their lists anew now and then."""
        expect(what).to_be_attached()
        self.page.wait_for_timeout(1000)
        what.evaluate("element => element.scrollIntoView({block: 'center'})")

    def open_artifact(self, key: str) -> None:
        """The newest version of an artifact."""
        self.go(f"/artifacts/key/{key}")
        self.page.locator('a[href^="/artifacts/artifact/"]').first.click()

    def submit(self) -> str:
        """Press a form's button, and give the ID of the run that it starts."""
        deployment = self.page.url.partition("/deployments/deployment/")[2].partition("/")[0]

        def runs() -> set[str]:
            found = asked(self.prefect, "flow_runs")
            return {run["id"] for run in found if run["deployment_id"] == deployment and not run["auto_scheduled"]}

        before = runs()
        self.page.get_by_role("button", name="Submit").click()
        self.page.wait_for_url(re.compile(r"tab=Runs"))
        (new,) = runs() - before
        return str(new)

    def field(self, name: str) -> Locator:
        label = self.page.locator(".schema-form-property__label", has_text=re.compile(rf"^{name}( \(Optional\))?$"))
        return self.page.locator(".schema-form-property", has=label)

    def choose(self, name: str, value: str) -> None:
        box = self.field(name).locator(".p-select-button__control")
        box.focus()
        self.page.keyboard.press("Space")
        self.page.get_by_text(value, exact=True).last.click()
        expect(box).to_have_text(value)

    def open_form(self, deployment: str) -> None:
        (found,) = (each["id"] for each in asked(self.prefect, "deployments") if each["name"] == deployment)
        self.go(f"/deployments/deployment/{found}/run")


def rewrite(folder: Path, file: str, *changed: pl.Expr, kept: pl.Expr | None = None) -> None:
    """Change a file of a delivery, and have the others written again too, as an export does."""
    rows = pl.read_csv(folder / f"{file}.csv", infer_schema=False).with_columns(*changed)
    rows.filter(pl.lit(True) if kept is None else kept).write_csv(folder / f"{file}.csv")
    for other in folder.iterdir():
        other.write_bytes(other.read_bytes())


def set_up(folder: Path) -> None:
    """Three districts with their first data: 30 schools in files, 2 in files, 1 in Clever."""
    made = {
        "cedar-valley": generate(30, schools=30, students=900, teachers=90, classes=120, enrollments=2400),
        "fairview": generate(31, schools=2, students=40, teachers=6, classes=8, enrollments=80),
    }
    text = ""
    for (key, district), name in zip(made.items(), (CEDAR, FAIRVIEW), strict=True):
        schools = [
            (f"s{code}", school, code) for code, school in district.schools.select("external_id", "name").iter_rows()
        ]
        # Nobody is still sending these files.
        text += setup_text(schools, district=key, name=name, folder=str(folder / "drop" / key), quiet_seconds=0)
        district.write(folder / "drop" / key)
    page = (ROOT / "docs" / "clever.md").read_text()
    (of_clever,) = re.findall(r"```toml\n(.*?)```", page, re.S)
    text += re.sub("^ {3}", "", of_clever, flags=re.M)
    (folder / "districts.toml").write_text(text)


@contextmanager
def morning(folder: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Morning]:
    """Everything set up and a browser open, but nothing running yet."""
    with ExitStack() as opened:
        clever = opened.enter_context(serving(CleverApi([clever_district(lakeside()[0])])))
        for name, value in {
            "ROLLCALL_HOME": str(folder / "home"),
            "ROLLCALL_CLEVER_CLIENT_ID": CLIENT_ID,
            "ROLLCALL_CLEVER_CLIENT_SECRET": CLIENT_SECRET,
            "ROLLCALL_CLEVER_API_URL": clever,
            "ROLLCALL_CLEVER_AUTH_URL": clever,
        }.items():
            monkeypatch.setenv(name, value)
        set_up(folder)
        command = [sys.executable, "-m", "cli", "setup", str(folder / "districts.toml")]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        browser = opened.enter_context(sync_playwright()).chromium.launch(executable_path=BROWSER, args=FLAGS)
        page = browser.new_context(viewport=WINDOW, color_scheme="light").new_page()
        page.set_default_timeout(30_000)
        yield Morning(folder, (free_port(), free_port()), page, pictures)
        browser.close()


def walk(seen: Morning) -> None:
    """The whole morning."""
    with up(seen.home, ports=seen.ports) as process:
        said_until(process, "rollcall report link")
        after_a_good_night(seen)
        after_a_bad_night(seen)
        a_rejected_delivery_comes_again(seen)
        one_school_is_fixed_and_rerun(seen)
        a_hold_is_resolved(seen)
        killed = a_machine_dies(seen, process)
    with up(seen.home, ports=seen.ports) as process:
        assert "Marked as crashed what ran when everything was stopped: 1 run." in said_until(process, "report link")
        what_was_killed_is_made_good(seen, killed)
        clever_is_paused_and_resumed(seen)


def after_a_good_night(seen: Morning) -> None:
    seen.night(2)
    assert [run["name"] for title in (CEDAR, FAIRVIEW) for run in seen.runs(title)] == ["Connected"] * 2
    seen.open_artifact(KEY)
    expect(seen.page.get_by_role("heading", name="No district needs anybody")).to_be_visible()
    seen.open_runs("Connected")
    seen.photograph("good-night")


def after_a_bad_night(seen: Morning) -> None:
    """Two schools lose nearly all their students, and a district's file lacks a column."""
    students = pl.col("school_id").is_in(list(LOSING)).not_() | (pl.int_range(pl.len()) % 10 == 0)
    cedar, fairview = seen.folder / "drop" / "cedar-valley", seen.folder / "drop" / "fairview"
    for folder in (cedar, fairview):
        (folder / "students.csv").rename(seen.folder / f"{folder.name}.csv")
        (folder / "students.csv").write_bytes((seen.folder / f"{folder.name}.csv").read_bytes())
    rewrite(cedar, "students", kept=students)
    rewrite(fairview, "students", pl.lit(PLANTED).alias("student_first_name"))
    text = (fairview / "students.csv").read_text().replace("student_last_name", "last", 1)
    (fairview / "students.csv").write_text(text)
    seen.night(2)
    newest = [seen.runs(title)[0] for title in (CEDAR, FAIRVIEW)]
    assert [(run["type"], run["name"], run["message"].partition("; ")[0]) for run in newest] == [
        ("FAILED", "On hold", HELD),
        ("FAILED", "Rejected", REJECTED),
    ]
    seen.go("/dashboard")
    expect(seen.page.get_by_text("sync-district").first).to_be_visible()
    seen.open_runs("Rejected")
    seen.photograph("bad-night")
    # Prefect lets nobody retry a school's run without its district's.
    seen.go(f"/runs/flow-run/{seen.runs(ADAMS)[0]['id']}")
    expect(seen.page.get_by_text("On hold", exact=True).first).to_be_visible()
    assert seen.page.get_by_role("button", name="Retry").count() == 0
    seen.open_artifact(KEY)
    expect(seen.page.get_by_role("heading", name="2 districts need somebody")).to_be_visible()
    seen.photograph("morning-list")
    seen.follow(seen.page.get_by_role("link", name="run", exact=True).last)
    seen.scroll_to(seen.page.get_by_text("is rejected for file errors"))
    seen.photograph("rejected")
    seen.open_artifact("report-cedar-valley")
    expect(seen.page.get_by_role("heading", name=HELD)).to_be_visible()
    seen.photograph("held")


def a_rejected_delivery_comes_again(seen: Morning) -> None:
    """The district sent its files again; from the list of the morning its form needs only its button."""
    folder = seen.folder / "drop" / "fairview"
    (folder / "students.csv").write_bytes((seen.folder / "fairview.csv").read_bytes())
    rewrite(folder, "students", pl.lit(PLANTED).alias("student_first_name"))
    seen.open_artifact(KEY)
    seen.follow(seen.page.get_by_role("link", name="sync again").last)
    expect(seen.field("district").locator(".p-select-button__control")).to_have_text("fairview")
    # Pressed twice, it is one sync and one that finds nothing to do.
    pressed = seen.submit(), seen.start("district-sync", district="fairview")
    assert sorted(map(seen.until_ended, pressed)) == ["Connected", "Nothing waiting"]


def one_school_is_fixed_and_rerun(seen: Morning) -> None:
    """Adams has its students back, as they were before, and Harrison has not."""
    folder = seen.folder / "drop" / "cedar-valley"
    (folder / "students.csv").write_bytes((seen.folder / "cedar-valley.csv").read_bytes())
    rewrite(folder, "students", kept=(pl.col("school_id") != "0109") | (pl.int_range(pl.len()) % 10 == 0))
    seen.open_artifact("report-cedar-valley")
    line = seen.page.get_by_role("listitem").filter(has_text=ADAMS)
    seen.follow(line.get_by_role("link", name="sync again"))
    expect(seen.field("schools").locator("textarea")).to_have_value("s0105")
    seen.photograph("rerun")
    assert seen.until_ended(seen.submit()) == "Unchanged"
    assert seen.runs(f"{CEDAR}: {ADAMS}")[0]["message"].startswith(f"1 on hold: {HARRISON} (data removals)")


def a_hold_is_resolved(seen: Morning) -> None:
    seen.open_artifact("report-cedar-valley")
    expect(seen.page.get_by_role("heading", name=f"1 on hold: {HARRISON} (data removals)")).to_be_visible()
    seen.follow(seen.page.get_by_role("link", name="resolve the hold"))
    seen.choose("resolution", "Confirm removals")
    seen.field("by").locator("textarea").fill("Kim, ops")
    seen.photograph("resolve")
    assert seen.until_ended(seen.submit()) == "Resolved"
    seen.open_artifact(KEY)
    expect(seen.page.get_by_role("heading", name="No district needs anybody")).to_be_visible()


def a_machine_dies(seen: Morning, process: subprocess.Popen[str]) -> str:
    """In the middle of Cedar Valley's 30 schools its worker and the run's process are killed; gives the run's ID."""
    rewrite(seen.folder / "drop" / "cedar-valley", "students", pl.lit(PLANTED).alias("student_first_name"))
    with open_database(f"sqlite:///{seen.home / 'rollcall.sqlite'}", backups=None) as database:

        def schools() -> int:
            with database.reading() as session:
                return session.exec(select(func.count(col(SchoolRun.id)))).one()

        before = schools()
        killed = seen.start("district-sync", district="cedar-valley")
        until(lambda: schools() > before + 3, pause=0.01)
    for child in psutil.Process(process.pid).children(recursive=True):
        if {"worker", "prefect.engine", "prefect.flow_engine"} & set(child.cmdline()):
            child.kill()
    output, _ = process.communicate(timeout=90)
    assert (process.returncode, "worker ended by itself" in output) == (3, True)
    return killed


def clever_is_paused_and_resumed(seen: Morning) -> None:
    seen.open_form("maintenance-pause")
    seen.field("reason").locator("textarea").fill("moving to new servers")
    seen.photograph("pause")
    assert seen.until_ended(seen.submit()) == "Paused"
    assert seen.until_ended(seen.start("district-sync", district="lakeside")) == "Paused"
    seen.open_form("maintenance-resume")
    seen.submit()
    until(lambda: seen.runs(LAKESIDE)[0]["name"] == "Connected", 120)


def what_was_killed_is_made_good(seen: Morning, killed: str) -> None:
    """Retry, on the run's own page, does what is left."""
    assert seen.state(killed) == "Crashed"
    assert {run["state"]["type"] for run in asked(seen.prefect, "flow_runs")}.isdisjoint({"RUNNING", "PENDING"})
    seen.go(f"/runs/flow-run/{killed}")
    expect(seen.page.get_by_text("Crashed").first).to_be_visible()
    seen.photograph("killed")
    with open_database(f"sqlite:///{seen.home / 'rollcall.sqlite'}", backups=None) as database:
        with database.transaction() as session:
            # Nobody waits here until the lease is five minutes old.
            silent = clock.now() - timedelta(minutes=6)
            bulk.execute(session, "UPDATE run SET heartbeat_at = :at WHERE ended_at IS NULL", {"at": silent})
        seen.page.get_by_role("button", name="Retry").click()
        seen.page.get_by_role("dialog").get_by_role("button", name="Retry").click()
        until(lambda: seen.state(killed) != "Crashed")
        assert seen.until_ended(killed) == "Connected"


def addresses(seen: Morning) -> set[str]:
    """Every email address and phone in the files."""
    found: set[str] = set()
    for file in (seen.folder / "drop").glob("*/*.csv"):
        rows = pl.read_csv(file, infer_schema=False)
        for column in rows.columns:
            if column.endswith(("email", "phone")):
                found |= set(rows[column].drop_nulls())
    return found


def kept_by_prefect(seen: Morning) -> str:
    """Prefect's database and all logs as they lie on the disk."""
    files = [*(seen.home / "prefect").glob("prefect.db*"), *(seen.home / "logs").iterdir()]
    return "\n".join(file.read_bytes().decode("utf-8", "replace") for file in files)


def main() -> None:
    """Take the pictures of docs/operations.md: `make screenshots`."""
    if not CHROMIUM:
        raise SystemExit(f"there is no Chromium here ({BROWSER}): on Debian, apt-get install chromium")
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as patched,
        morning(Path(folder), ROOT / "docs" / "images", patched) as seen,
    ):
        walk(seen)


if __name__ == "__main__":
    main()
