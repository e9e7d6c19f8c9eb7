"""Clever districts under Prefect and on the command line: nights inside their window, pauses, and reconnecting."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prefect.blocks.system import Secret
from prefect.client.schemas.objects import State

from errors import SetupError
from flows.clever_nightly import clever_nightly
from flows.maintenance_pause import maintenance_pause
from flows.maintenance_resume import maintenance_resume
from flows.sync_district import sync_district
from models.database import Database
from sandbox.clever_api import CLIENT_ID, CLIENT_SECRET, Faults
from sandbox.generator import District
from services import clock
from services.operations import maintenance
from services.planning.changesets import ChangeSet
from services.status import report
from services.sync import provision
from services.sync.provision import RunContext, SchoolResult
from tasks.resources import adapter
from tests.end_to_end.lakeside import Lakeside, lakeside
from tests.flows.conftest import ran, rollcall, shown

IN_WINDOW = datetime(2026, 11, 24, 8, tzinfo=UTC)  # midnight Pacific


@pytest.fixture
def installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sqlite_database: Database, small_district: District
) -> Iterator[Lakeside]:
    home = tmp_path / "home"
    with lakeside(home, sqlite_database, small_district) as made:
        for name, value in {
            "HOME": str(home),
            "CLEVER_CLIENT_ID": CLIENT_ID,
            "CLEVER_CLIENT_SECRET": CLIENT_SECRET,
            "CLEVER_API_URL": made.connection.api_url,
            "CLEVER_AUTH_URL": made.connection.auth_url,
        }.items():
            monkeypatch.setenv(f"ROLLCALL_{name}", value)
        yield made


def sync(**parameters: Any) -> State[Any]:
    return ran(sync_district("lakeside", return_state=True, **parameters))


def everyone(installed: Lakeside) -> set[str | None]:
    return set(installed.statuses().values())


def at(monkeypatch: pytest.MonkeyPatch, moment: datetime) -> None:
    monkeypatch.setattr(clock, "now", lambda: moment)


def test_a_clever_district_is_synced_paused_and_resumed(installed: Lakeside) -> None:
    assert "would be" not in rollcall("preview", "lakeside").stdout
    assert rollcall("sync", "lakeside").exit_code == 0
    assert everyone(installed) == {"connected"}
    said = rollcall("pause", "lakeside", "--reason", "moving house", "--until", "2099-01-02T03:04").stdout
    assert said == "lakeside: paused for maintenance until Jan 2, 2099, 3:04 AM EST: moving house\n"
    asked = len(installed.api.requests)
    refused = rollcall("sync", "lakeside")
    assert (refused.exit_code, len(installed.api.requests)) == (1, asked)
    assert "lakeside/clever is paused for maintenance until Jan 2, 2099, 3:04 AM EST: moving house" in refused.stdout
    (district,) = shown("status", "--json")
    assert {row["status"] for row in district["schools"]} == {"paused"}
    assert "Paused for maintenance until Jan 2, 2099, 3:04 AM EST: moving house" in rollcall("status").stdout
    resumed = rollcall("resume", "lakeside")
    assert resumed.exit_code == 0
    assert "the pause of district lakeside has ended\nlakeside missed a sync; running it now\n" in resumed.stdout
    assert everyone(installed) == {"connected"}
    assert len(installed.api.requests) > asked
    assert rollcall("resume", "lakeside").stdout == "there is no pause of district lakeside to end\n"


def test_a_refusing_clever_holds_the_schools_and_fixed_reconnects_and_processes_at_once(installed: Lakeside) -> None:
    installed.api.faults = Faults(token_missing=True)
    assert rollcall("sync", "lakeside").exit_code == 1
    holds = shown("holds", "--json")
    assert [[reason["code"] for reason in hold["reasons"]] for hold in holds] == [["disconnected"]] * 3
    told = rollcall("hold", "show", str(holds[0]["id"])).stdout
    assert "Clever has no token for district" in told
    assert f"rollcall hold fixed {holds[0]['id']}" in told
    assert rollcall("hold", "fixed", str(holds[0]["id"])).exit_code == 1
    installed.api.faults = Faults()
    assert rollcall("hold", "fixed", str(shown("holds", "--json")[0]["id"])).exit_code == 0
    assert everyone(installed) == {"connected"}


def test_the_night_checks_every_district_inside_its_window_only(
    installed: Lakeside, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, IN_WINDOW + timedelta(hours=5))
    assert ran(clever_nightly(return_state=True)).name == "Outside the window"
    at(monkeypatch, IN_WINDOW)
    assert ran(clever_nightly(return_state=True)).name == "Completed"
    assert everyone(installed) == {"connected"}
    assert ran(clever_nightly(return_state=True)).name == "Completed"
    assert installed.last_run().notes == [
        "Clever has nothing new since the last sync, so nothing was fetched; delivery 1 is finished for all schools"
    ]


def test_what_the_night_leaves_is_named_and_goes_first_the_next(
    installed: Lakeside, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = iter([IN_WINDOW + timedelta(hours=4, minutes=59)] * 2)
    monkeypatch.setattr(clock, "now", lambda: next(moments, IN_WINDOW + timedelta(hours=5)))
    state = ran(clever_nightly(return_state=True))
    assert (state.name, state.message) == ("Left for the next night", "no district; not started: lakeside")
    assert installed.api.requests == []
    late = sync(nightly=True, start_by=IN_WINDOW)
    assert late.name == "Left for the next night"
    assert installed.api.requests == []


def test_runs_of_a_paused_district_end_in_the_state_paused(
    installed: Lakeside, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, IN_WINDOW)
    state = ran(maintenance_pause(reason="new disks", district="lakeside", return_state=True))
    assert (state.name, state.message) == (
        "Paused",
        "lakeside: paused for maintenance until further notice: new disks",
    )
    for run in (sync(), ran(clever_nightly(return_state=True))):
        assert run.name == "Paused"
        assert "paused for maintenance until further notice: new disks" in (run.message or "")
    assert installed.api.requests == []
    assert everyone(installed) == {"paused"}
    assert ran(maintenance_resume(district="lakeside", return_state=True)).name == "Completed"
    assert everyone(installed) == {"connected"}
    assert ran(maintenance_resume(district="lakeside", return_state=True)).name == "Resumed"


def test_the_school_under_way_when_a_pause_begins_finishes_and_the_others_wait(
    installed: Lakeside, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = provision.provision_school

    def pausing(session: Any, run: RunContext, changeset: ChangeSet, *, now: datetime) -> SchoolResult:
        outcome = real(session, run, changeset, now=now)
        maintenance.pause(session, None, reason="urgent", until=None, by="ops", now=now)
        return outcome

    monkeypatch.setattr(provision, "provision_school", pausing)
    assert sync().name == "Paused"
    assert installed.last_run().outcome == "paused"
    with installed.database.reading() as session:
        rows = {row.key: row.students for row in report.district_report(session, now=clock.now())[0].schools}
    assert [key for key, students in rows.items() if students] == ["lincoln"]
    assert everyone(installed) == {"paused"}
    monkeypatch.setattr(provision, "provision_school", real)
    ran(maintenance_resume(return_state=True))
    assert everyone(installed) == {"connected"}


def test_the_credentials_may_be_secret_blocks_of_prefect(installed: Lakeside, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.delenv(f"ROLLCALL_CLEVER_{name}")
    with pytest.raises(SetupError, match="ROLLCALL_CLEVER_CLIENT_ID"):
        adapter("clever")

    async def keep() -> None:
        await Secret(value=CLIENT_ID).save("rollcall-clever-client-id")
        await Secret(value=CLIENT_SECRET).save("rollcall-clever-client-secret")

    asyncio.run(keep())
    assert sync().name == "Connected"
