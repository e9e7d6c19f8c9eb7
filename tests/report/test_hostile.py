"""Hostile values in every column of every file: on all pages, in all downloads and in all mails they are only text."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from markupsafe import escape
from sqlmodel import select

from models.database import Database
from models.tables import Hold, Mail
from report.pages import load
from report.routing import ENDPOINTS, Scope
from report.serving import served
from sandbox.csv_files import HEADERS
from services import clock
from services.access import sessions, tokens
from services.mail import compose
from services.operations import district_setup
from services.operations.setup import apply_setup, read_setup
from services.status import mutes
from services.webhooks import webhooks
from settings import Settings
from tests.conftest import Beginnings
from tests.end_to_end.nights import play
from tests.report.conftest import OPERATOR, UNIFIED

load()

VALUES = {
    "script": "<script>alert(1)</script>",
    "image": "\"'><img src=x onerror=alert(1)>",
    "equals": "=1+1",
    "plus": "+1",
    "at": "@SUM(1)",
    "minus": "-1",
    "template": "{{777*777}}",
    "long": "x" * 10_000,
    "hebrew": "שלו\u202eם",
    "emoji": "👩🏽‍🏫🏫",
    "quotes": 'O\'Neill "&" Sons',
}
CALCULATED = str(777 * 777)
# A setup file takes only what is printed.
SCHOOLS = {key: "".join(letter for letter in value if letter.isprintable()) for key, value in VALUES.items()}
# Pages that programs read, and whatever no page offers in the state that the districts are in.
UNLINKED = (
    "/districts/unified/holds",
    "/districts/unified/setup/schools/spare/unmatch",
    "/districts/unified/setup/sources/csv/change",
    "/districts/unified/setup/sources/csv/remove",
    "/districts/unified/setup/templates/csv-1.0",
)
Rows = dict[str, list[tuple[str, ...]]]


def setup_of(district: str, folder: Path) -> str:
    """A district with a school for each value, which is its name and its ID in the files."""
    name, drop = (json.dumps(each, ensure_ascii=False) for each in (VALUES["script"], str(folder / district)))
    text = f"""
[[district]]
id = "{district}"
name = {name}
timezone = "America/Los_Angeles"
administrators = ["it@{district}.example"]

[district.limits]
students = {{share = 0.1, count = 0}}

[[district.source]]
id = "files"
kind = "csv"
format = "csv-1.0"
folder = {drop}
"""
    for key, value in SCHOOLS.items():
        said, external_id = (json.dumps(each, ensure_ascii=False) for each in (value[:60], value))
        text += f'\n[[district.school]]\nid = "{key}"\nname = {said}\nsource = "files"\nexternal_id = {external_id}\n'
    text += f'\n[[district.school]]\nid = "spare"\nname = {name}\n'
    return text


def rows_of(night: int) -> Rows:
    """The files of a night: of each value somebody for whom it can pass, and rows in which it is in every column."""
    rows: Rows = {name: [] for name in HEADERS}
    for key, value in VALUES.items():
        email = f"{key}@unified.example"
        school = SCHOOLS[key]
        # Each ID begins with the value.
        teacher, student, guardian, klass = (f"{value} {kind}" for kind in ("t", "s", "g", "c"))
        kind = value if night == 1 else "emergency"
        parent = (value, value, f"parent.{email}", value, guardian, value, kind, value)
        rows["schools.csv"] += [(school, value[:60]), (f"{value} elsewhere", value)]
        rows["teachers.csv"] += [(school, teacher, value, value, email, value), (school, *(value,) * 5)]
        rows["students.csv"] += [
            (school, student, *(value,) * 6, *parent),
            (school, *(value,) * 15),
            (f"{value} nowhere", f"{value} lost", *(value,) * 14),
        ]
        if night == 1:
            rows["students.csv"] += [(school, f"{value} leaver", value, value, *("",) * 12)]
        rows["classes.csv"] += [
            (school, klass, teacher, value),
            (school, *(value,) * 3),
            (school, f"{value} taught", f"{value} nobody", value),
        ]
        rows["enrollments.csv"] += [
            (school, klass, student),
            (school, value, value),
            (school, klass, f"{value} unknown"),
        ]
    return rows


def write(folder: Path, rows: Rows) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, header in HEADERS.items():
        with (folder / name).open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([header, *rows[name]])


def write_broken(folder: Path) -> None:
    """Files with errors: cells too many, IDs missing, columns of hostile names."""
    rows = rows_of(1)
    for name in ("teachers.csv", "students.csv", "enrollments.csv"):
        rows[name] += [(*row, value) for row, value in zip(rows[name], VALUES.values(), strict=False)]
    rows["classes.csv"] += [(value, "", value, value) for value in VALUES.values()]
    write(folder, rows)
    with (folder / "schools.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("school_name", *VALUES.values()), ("",) * (len(VALUES) + 1)])


def play_hostile(database: Database) -> None:
    """Two nights of a district, in the second of which its schools go on hold, and a delivery that is rejected."""
    folder = Path(tempfile.mkdtemp(prefix="rollcall-hostile-"))
    setup = folder / "setup.toml"
    setup.write_text("".join(setup_of(district, folder) for district in ("unified", "broken")), encoding="utf-8")
    with database.transaction() as session:
        apply_setup(session, read_setup(setup))
    for night in (1, 2):
        write(folder / "unified", rows_of(night))
        play(database, folder / "landing", "unified")
    write_broken(folder / "broken")
    play(database, folder / "landing", "broken")
    now = clock.now()
    with database.transaction() as session:
        compose.compose(session, now)
        draft = {"kind": "csv", "format": "csv-1.0", "folder": "/nowhere/<script>.csv"}
        district_setup.set_up_source(session, "unified", draft)
        district_setup.match_schools(session, "unified", "csv", {"spare": VALUES["equals"]}, now=now)
        tokens.make(session, "unified", VALUES["script"], by=UNIFIED, now=now)
        webhooks.add(session, "unified", "http://127.0.0.1:9/{{777*777}}", by=UNIFIED, now=now, allow_private=True)
        mutes.mute(
            session,
            "unified/script",
            "phone_invalid",
            reason=VALUES["script"],
            by=UNIFIED,
            until=now + timedelta(days=9),
            now=now,
        )


@pytest.fixture
def database(beginnings: Beginnings) -> Iterator[Database]:
    with beginnings("sqlite", play_hostile) as database:
        yield database


@dataclass
class Crawl:
    """What every page is answered that links lead to: pages and downloads, by address."""

    pages: dict[str, str] = field(default_factory=dict)
    downloads: dict[str, str] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)

    def follow(self, client: httpx.Client, *waiting: str) -> None:
        """Open pages, and whatever they link to within districts and schools."""
        left = list(waiting)
        while left:
            address = left.pop()
            # One order of a list, and one choice of its rows, is as good as another.
            is_known = address in self.pages or address in self.downloads or address in self.others
            if is_known or re.search(r"[?&](sort|status)=", address):
                continue
            # What a page follows by answers with a part of it, and only to htmx.
            answer = client.get(address, headers={"HX-Request": "true"} if "/live?" in address else None)
            assert answer.status_code in (200, 409), address
            kind = answer.headers["content-type"]
            if kind.startswith("text/csv"):
                self.downloads[address] = answer.text
            elif kind.startswith("text/html"):
                self.pages[address] = answer.text
                found = re.findall(r'(?:href|hx-get)="(/(?:districts|schools)/[^"#]*)', answer.text)
                left += [html.unescape(each) for each in found]
            else:
                self.others.add(address)

    def endpoints(self) -> set[str]:
        """The endpoints whose pages were opened."""
        paths = [address.partition("?")[0] for address in (*self.pages, *self.downloads, *self.others)]
        patterns = {e.path: re.compile(re.sub(r"{\w+}", "[^/]+", e.path)) for e in ENDPOINTS if e.method == "GET"}
        return {name for name, pattern in patterns.items() if any(pattern.fullmatch(path) for path in paths)}


def problems(page: str) -> list[str]:
    """What of a page, or of a mail in HTML, a browser would run, or a template has calculated."""
    own = re.sub(r'<script src="/static/[\w.?=]+" defer></script>', "", page)
    return [each for each in ("<script", "<img", CALCULATED) if each in own.casefold()]


def cells(download: str) -> list[str]:
    """The cells of a CSV file, all of whose rows are as wide as its header."""
    rows = list(csv.reader(io.StringIO(download.removeprefix("\ufeff"), newline=""), strict=True))
    assert {len(row) for row in rows} == {len(rows[0])}
    return [cell for row in rows for cell in row]


def test_hostile_values_are_only_text(database: Database, settings: Settings) -> None:
    crawl = Crawl()
    with database.transaction() as session:
        token = sessions.begin(session, OPERATOR, "link", now=clock.now())
        holds = [f"/schools/{hold.school_id}/holds/{hold.id}" for hold in session.exec(select(Hold))]
    searches = [f"/schools/unified/{key}/people?q={quote(value[:60])}" for key, value in VALUES.items()]
    with (
        served(database, settings, keep=0) as address,
        httpx.Client(
            base_url=address, headers={"Accept": "text/html"}, cookies={"rollcall": token}, timeout=60
        ) as client,
    ):
        crawl.follow(client, "/districts/unified", "/districts/broken", *searches, *holds, *UNLINKED)
    ours = {e.path for e in ENDPOINTS if e.method == "GET" and e.scope in (Scope.DISTRICT, Scope.SCHOOL)}
    assert ours - crawl.endpoints() == set()
    assert [(address, wrong) for address, page in crawl.pages.items() if (wrong := problems(page))] == []
    texts = "".join(crawl.pages.values())
    assert [key for key, value in VALUES.items() if str(escape(value)) not in texts] == []
    found = {address: cells(download) for address, download in crawl.downloads.items()}
    assert [address for address, each in found.items() if any(re.match(r"[=+\-@\t\r\n]", cell) for cell in each)] == []
    every = {cell for each in found.values() for cell in each}
    for value in VALUES.values():
        assert (f"'{value}" if value[0] in "=+-@" else value) in every
    with database.reading() as session:
        mails = session.exec(select(Mail)).all()
    assert {mail.district_id for mail in mails} == {"unified", "broken"}
    for mail in mails:
        assert problems(mail.html) == []
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in mail.html
        assert CALCULATED not in mail.subject + mail.text
