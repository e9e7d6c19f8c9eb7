"""A copy of the report in files."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote

import pytest
from sqlmodel import select

from errors import NotFound, SetupError
from models.database import Database
from models.tables import AuditEntry, Issue, Link
from report import static_copy
from services import clock
from services.holds import decisions, store
from services.status import mutes
from settings import Settings
from tests.conftest import Beginnings
from tests.report.conftest import play_samples

SCHOOLS = ("adams", "jefferson", "lincoln", "roosevelt", "washington")


@pytest.fixture
def district(beginnings: Beginnings) -> Iterator[Database]:
    with beginnings("sqlite", play_samples) as database:
        yield database


def copied(database: Database, settings: Settings, folder: Path, *, with_people: bool = False) -> dict[str, str]:
    static_copy.export(database, settings, "unified", folder, with_people=with_people, by="ops", now=clock.now())
    return {file.name: file.read_text() for file in folder.iterdir()}


def test_a_copy_has_a_file_for_each_page_and_every_link_leads_to_one(
    district: Database, settings: Settings, tmp_path: Path
) -> None:
    files = copied(district, settings, tmp_path / "copy")
    expected = ["favicon.svg", "index.html", "report.css", *(f"school-{key}.html" for key in SCHOOLS)]
    assert sorted(files) == expected
    for name, content in files.items():
        if not name.endswith(".html"):
            continue
        targets = [unquote(each) for each in re.findall(r'(?:href|src|action)="([^"]*)"', content)]
        assert {target.partition("#")[0] for target in targets} - {""} <= set(files), name
        assert re.findall(r"<(?:form|button|input|select|textarea|script)\b|\bhx-|\{\{", content) == [], name
        assert "This is a copy made on " in content
    assert {name for name in files if f'href="{name}"' in files["index.html"]} == {*files} - {"index.html"} | {
        "index.html"
    }


def test_a_copy_names_nobody_unless_asked(district: Database, settings: Settings, tmp_path: Path) -> None:
    with district.reading() as session:
        people = session.exec(select(Link).where(Link.source_id == "unified/files")).all()
        records = session.exec(select(Issue.record_id).where(Issue.source_id == "unified/files")).all()
    values = {f"{person.first_name} {person.last_name}" for person in people}
    values |= {value for person in people for value in (person.email, person.external_id) if value}
    values |= {record for record in records if record}
    assert len(values) > 300
    content = "".join(copied(district, settings, tmp_path / "copy").values())
    assert [value for value in values if value in content] == []


@pytest.mark.parametrize("with_people", [False, True])
def test_a_copy_says_what_was_decided_and_muted_and_only_if_asked_by_whom_and_why(
    district: Database, settings: Settings, tmp_path: Path, with_people: bool
) -> None:
    now = clock.now()
    with district.transaction() as session:
        (hold,) = store.open_holds(session, "unified")
        decisions.decide(session, hold.id, decisions.RECHECK, by="it@unified.example", why="Zoe moved", now=now)
        end = now + timedelta(days=9)
        school, office = "unified/lincoln", "office@unified.example"
        mutes.mute(session, school, "phone_invalid", reason="Zeb has none", by=office, until=end, now=now)
    files = copied(district, settings, tmp_path / "copy", with_people=with_people)
    pages = files["school-jefferson.html"] + files["school-lincoln.html"]
    assert ["Checked for new data" in pages, "Muted alerts" in pages] == [True, True]
    personal = ("it@unified.example", "Zoe moved", office, "Zeb has none")
    assert [each in pages for each in personal] == [with_people] * 4


def test_only_their_owner_can_read_the_files(district: Database, settings: Settings, tmp_path: Path) -> None:
    copied(district, settings, tmp_path / "copy")
    modes = {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "copy").glob("*.html")}
    assert (stat.S_IMODE((tmp_path / "copy").stat().st_mode), modes) == (0o700, {0o600})


@pytest.mark.parametrize("with_people", [False, True])
def test_a_copy_with_people_is_audited(
    district: Database, settings: Settings, tmp_path: Path, with_people: bool
) -> None:
    copied(district, settings, tmp_path / "copy", with_people=with_people)
    with district.reading() as session:
        entries = session.exec(select(AuditEntry)).all()
    found = [(entry.action, entry.actor, entry.district_id, entry.detail) for entry in entries]
    assert found == ([("downloaded", "ops", "unified", "a copy of the report in files")] if with_people else [])


def test_a_folder_with_files_is_left_alone(district: Database, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "kept.txt").write_text("kept")
    with pytest.raises(SetupError, match="is not empty"):
        copied(district, settings, tmp_path / "copy")
    assert [file.name for file in (tmp_path / "copy").iterdir()] == ["kept.txt"]
    with pytest.raises(NotFound):
        static_copy.export(
            district, settings, "nowhere", tmp_path / "new", with_people=False, by="ops", now=clock.now()
        )
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ('<a class="b" href="/schools/d/a#x">A <b>b</b></a>', '<a class="b" href="school-a.html#x">A <b>b</b></a>'),
        ('<a href="/schools/d/a">A</a> <a href="/">B</a>', '<a href="school-a.html">A</a> <a href="index.html">B</a>'),
        ('<a class="b" href="/schools/d/a?night=2">A</a>', '<span class="b">A</span>'),
        ('<a href="?sort=name" class="b">A</a>', '<span class="b">A</span>'),
        ('<a href="/schools/d/a/people/1">A</a>', "<span>A</span>"),
        ('<a href="#main">A</a>', '<a href="#main">A</a>'),
        ('<a href="https://clever.com/x">A</a>', '<a href="https://clever.com/x">A</a>'),
        ("<abbr>A</abbr>", "<abbr>A</abbr>"),
    ],
)
def test_links_lead_to_files_or_are_plain_text(link: str, expected: str) -> None:
    names = {"/": "index.html", "/schools/d/a": "school-a.html"}
    assert static_copy._linked(link, names) == expected
