"""A name, an email and a phone planted in the data show up nowhere but in the database, whatever fails."""

from __future__ import annotations

import logging
from typing import Any

import polars as pl
import pytest
from sqlalchemy.exc import IntegrityError

from contracts.formats import Format
from flows.sync_district import sync_district
from services.sync import planning, provision
from tests.flows.conftest import Installation, Server, drain, ran

NAME, EMAIL, PHONE = "Zebulonia", "zebulonia@planted.example", "2025550147"
FILES = {
    "schools.csv": "school_id,school_name\n0101,Lincoln\n0102,Roosevelt\n0103,Jefferson\n",
    "teachers.csv": f"teacher_id,school_id,first_name,last_name,email,phone\nt1,0101,{NAME},Quill,{EMAIL},{PHONE}\n",
    "students.csv": "student_id,school_id,first_name,last_name,email,phone\n"
    f"s1,0101,{NAME},Quill,{EMAIL},{PHONE}\ns2,0102,{NAME},Quill,not-{EMAIL}@@,12{PHONE}999\n",
    "classes.csv": "class_id,school_id,class_name,teacher_id\nc1,0101,Art,t1\n",
    "enrollments.csv": "class_id,student_id\nc1,s1\n",
}


def everything_prefect_kept(server: Server) -> str:
    """Its database as it lies on the disk: runs, tasks, states, artifacts, events and logs, without a limit."""
    drain()
    files = sorted(server.home.glob("prefect.db*"))
    return "\n".join(file.read_bytes().decode("utf-8", "replace") for file in files)


def _fail_in_polars(*_: Any, **__: Any) -> Any:
    return pl.DataFrame({"name": [NAME]}).select(pl.col("name").cast(pl.Int64))


def _fail_in_database(*_: Any, **__: Any) -> Any:
    raise IntegrityError("INSERT", {"email": EMAIL}, Exception(f"Key (email)=({EMAIL}) already exists"))


def _fail_anywhere(*_: Any, **__: Any) -> Any:
    raise KeyError(f"{NAME} {EMAIL} {PHONE}")


@pytest.mark.parametrize(
    ("module", "name", "fault"),
    [
        (None, "", None),
        (planning, "check", _fail_in_polars),
        (planning, "settle", _fail_anywhere),
        (Format, "read", _fail_anywhere),
        (provision, "provision_school", _fail_in_database),
        (provision, "provision_school", _fail_in_polars),
        (provision, "provision_school", _fail_anywhere),
    ],
)
def test_nothing_personal_leaves_the_database(
    installation: Installation,
    prefect_server: Server,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    module: Any,
    name: str,
    fault: Any,
) -> None:
    for file, content in FILES.items():
        (installation.home / "drop" / file).write_text(content)
    if module is not None:
        monkeypatch.setattr(module, name, fault)
    with caplog.at_level(logging.DEBUG):
        state = ran(sync_district("unified", now=True, return_state=True))
    assert state.is_failed() == (module is not None)
    printed = capfd.readouterr()
    seen = "\n".join([caplog.text, printed.out, printed.err, str(state), everything_prefect_kept(prefect_server)])
    assert [planted for planted in (NAME, EMAIL, PHONE) if planted.lower() in seen.lower()] == []


def test_rejected_files_do_not_show_what_is_in_them(
    installation: Installation, prefect_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    for file, content in FILES.items():
        (installation.home / "drop" / file).write_text(content.replace("t1,0101", f",0101,{NAME}"))
    with caplog.at_level(logging.DEBUG):
        state = ran(sync_district("unified", now=True, return_state=True))
    assert state.name == "Rejected"
    seen = "\n".join([caplog.text, everything_prefect_kept(prefect_server)])
    assert [planted for planted in (NAME, EMAIL, PHONE) if planted.lower() in seen.lower()] == []
