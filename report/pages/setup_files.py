"""Files, before they are sent: templates to download, and a check of files that are uploaded and not kept."""

from __future__ import annotations

import csv
import io
import ntpath
import zipfile
from functools import cache
from uuid import uuid4

from starlette.datastructures import UploadFile

from contracts.formats import DEFAULT_FORMAT, FORMATS, FileFormat, file_formats, zipped
from contracts.text import count
from errors import NotFound
from report.routing import Answer, Asked, Page, Scope, attachment, get, upload
from services.access.audit import Action
from services.sync.preview import Checked, check_in_words

BASE = "/districts/{district}/setup"
LONGEST_NAME = 100


@get(f"{BASE}/templates/{{format}}", Scope.DISTRICT)
def templates(asked: Asked) -> Answer:
    """Templates of all files of a format, as one zip file."""
    name = _format(asked)
    return attachment(f"{name}-templates.zip", _zipped(name), "application/zip")


@get(f"{BASE}/templates/{{format}}/{{file}}", Scope.DISTRICT)
def template(asked: Asked) -> Answer:
    """The template of one file: its first line."""
    for file in FORMATS[_format(asked)].files:
        if file.name == asked.part["file"]:
            return attachment(file.name, _header(file))
    raise NotFound("there is no such file")


@get(f"{BASE}/check", Scope.DISTRICT)
def check(asked: Asked) -> Answer:
    """Where files are chosen to be checked."""
    return _page(asked, None)


@upload(f"{BASE}/check", Scope.DISTRICT, Action.FILES_CHECKED)
def check_uploaded(asked: Asked) -> Answer:
    """What a check of the uploaded files finds. Nothing of them is stored."""
    uploaded = [file for file in asked.form.getlist("files") if isinstance(file, UploadFile) and file.filename]
    files = {_plain_name(file.filename or ""): file.file.read() for file in uploaded}
    format_name = asked.field("format") or DEFAULT_FORMAT
    if not files:
        return _page(asked, None, "choose")
    if len(files) < len(uploaded):
        return _page(asked, None, "twice")
    if format_name not in file_formats():
        raise NotFound("there is no such format")
    settings = asked.report.settings
    read, faults = zipped.expand(FORMATS[format_name], files, most=settings.check_megabytes * 1_000_000)
    if any(fault.code == "zip_too_large" for fault in faults):
        return _page(asked, None, "large")
    key = uuid4()
    looks, region = asked.report.looks, asked.district.phone_region
    try:
        checked: Checked = looks.get(
            key,
            lambda: check_in_words(format_name, read, region=region),
            wait=settings.check_seconds,
        )
    except TimeoutError:
        return _page(asked, None, "slow")
    finally:
        looks.forget(key)
    found = sum(kind.count for kind in (*checked.file_errors, *checked.errors))
    asked.detail = f"{count(len(files), 'file')}, {count(found, 'error')}"
    return _page(asked, checked, chosen=format_name)


def _plain_name(name: str) -> str:
    """A file's name without folders, as some browsers send it with them, and no longer than a name should be."""
    return ntpath.basename(name)[-LONGEST_NAME:]


def _page(asked: Asked, checked: Checked | None, problem: str = "", *, chosen: str = DEFAULT_FORMAT) -> Page:
    values = {
        "tab": "setup",
        "formats": [FORMATS[name] for name in file_formats()],
        "chosen": chosen,
        "checked": checked,
        "problem": problem,
        "megabytes": asked.report.settings.check_megabytes,
    }
    return Page("setup/check.html", values, block="main", status=422 if problem else 200)


def _format(asked: Asked) -> str:
    name = asked.part["format"]
    if name not in file_formats():
        raise NotFound("there is no such format")
    return name


def _header(file: FileFormat) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow([column.name for column in file.columns])
    return text.getvalue().encode()


@cache
def _zipped(name: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in FORMATS[name].files:
            # A date of its own would give each process another file.
            archive.writestr(zipfile.ZipInfo(file.name), _header(file))
    return packed.getvalue()
