"""A copy of a district's report in files: the same pages, without forms, that open from a folder in any browser."""

from __future__ import annotations

import html
import os
import re
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from sqlmodel import Session
from starlette.datastructures import FormData
from starlette.requests import Request

from errors import SetupError
from models.database import Database
from report.app import Report
from report.pages import load
from report.rendering import STATIC
from report.routing import ENDPOINTS, Asked, Endpoint, Page
from services.access import audit, viewers
from services.access.audit import Action
from services.access.viewers import Viewer
from services.status.sync_status import statuses
from settings import Settings

DISTRICT, SCHOOL = "/districts/{district}", "/schools/{district}/{school}"
ASSETS = ("report.css", "favicon.svg")

_READER = Viewer("a copy in files", is_operator=True)
_LINK = re.compile(r'<a\b(?P<before>[^>]*?)\s+href="(?P<target>[^"]*)"(?P<after>[^>]*)>(?P<text>.*?)</a>', re.S)
_CLASS = re.compile(r'\sclass="[^"]*"')


def export(
    database: Database,
    settings: Settings,
    district_id: str,
    folder: Path,
    *,
    with_people: bool,
    by: str,
    now: datetime,
) -> int:
    """Copy the page of a district and those of its schools into a folder; gives how many pages.

    with_people: with personal data of the roster, which is audited. Only the owner of the files can read them.

    Raises:
        NotFound: there is no such district.
        SetupError: the folder is not empty, or cannot be written.
    """
    load()
    report = Report(database, settings, keep=3600)
    try:
        with database.reading() as session:
            district = viewers.district_for(session, _READER, district_id)
            schools = [school.school_id for school in statuses(session, district_id=district.id, now=now)]
            names = {
                f"/districts/{district.id}": "index.html",
                **{f"/schools/{school}": f"school-{school.partition('/')[2]}.html" for school in schools},
            }
            _make(folder)
            for path, name in names.items():
                page = _page(report, session, path, now, with_people=with_people)
                _write(folder / name, _linked(page, {"/": "index.html", **names}))
        if with_people:
            with database.transaction() as session:
                detail = "a copy of the report in files"
                audit.record(session, Action.DOWNLOADED, actor=by, at=now, district_id=district_id, detail=detail)
    finally:
        report.close()
    return len(names)


def _page(report: Report, session: Session, path: str, now: datetime, *, with_people: bool) -> str:
    """The page at an address, as its handler and template give it."""
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": []}
    asked = Asked(Request(scope), report, session, _READER, now, FormData())
    asked.is_static, asked.with_people = True, with_people
    _, _, of, *school = path.split("/")
    asked._district = viewers.district_for(session, _READER, of)
    asked._school = viewers.school_for(session, _READER, f"{of}/{school[0]}") if school else None
    page = _endpoint(SCHOOL if school else DISTRICT).handler(asked)
    assert isinstance(page, Page)
    return bytes(report.render(asked, page).body).decode()


def _endpoint(path: str) -> Endpoint:
    (found,) = [endpoint for endpoint in ENDPOINTS if (endpoint.method, endpoint.path) == ("GET", path)]
    return found


def _linked(page: str, names: Mapping[str, str]) -> str:
    """A page whose links lead to files of the copy; a link to what is not in it becomes plain text."""

    def link(found: re.Match[str]) -> str:
        target = urlsplit(html.unescape(found["target"]))
        if target.scheme or (not target.path and not target.query):
            return found[0]
        name = names.get(target.path) if not target.query else None
        if name is None:
            kept = _CLASS.search(found["before"] + found["after"])
            return f"<span{kept[0] if kept else ''}>{found['text']}</span>"
        fragment = f"#{html.escape(target.fragment)}" if target.fragment else ""
        return f'<a{found["before"]} href="{name}{fragment}"{found["after"]}>{found["text"]}</a>'

    return _LINK.sub(link, page)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise SetupError(f"{folder} is not empty: name a new folder")
        for asset in ASSETS:
            shutil.copyfile(STATIC / asset, folder / asset)
    except OSError as error:
        raise SetupError(f"{folder} cannot be written: {error.strerror}") from None


def _write(file: Path, content: str) -> None:
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
            stream.write(content)
    except OSError as error:
        raise SetupError(f"{file} cannot be written: {error.strerror}") from None
