"""A shard under Prefect: it syncs what a large night left, lists the districts, and gives way to people."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import State, StateType
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Scheduled
from sqlmodel import col, select, update

from flows.csv_nightly import csv_nightly
from flows.shard import shard
from models import bulk
from models.database import Database, open_database
from models.tables import Run
from services import clock
from services.status.sync_status import LIVE
from services.sync import queue
from tasks.shards import fill_queue, is_queue_empty
from tests.everything_up import until
from tests.flows.conftest import ran, rollcall
from tests.flows.test_sync_district import break_school, newest_table
from tests.many_districts import set_up_many

# Under its name in its package is the flow.
module = sys.modules["flows.shard"]


@dataclass(frozen=True)
class Many:
    home: Path
    database: Database

    def runs(self) -> list[tuple[str, str | None]]:
        with self.database.reading() as session:
            return [(run.source_id, run.outcome) for run in session.exec(select(Run).order_by(col(Run.id)))]


@pytest.fixture
def many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, embedded_template: Path) -> Iterator[Many]:
    """Three districts whose files wait."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("ROLLCALL_HOME", str(home))
    monkeypatch.setenv("ROLLCALL_DISTRICT_RUNS", "2")
    shutil.copy(embedded_template, home / "rollcall.sqlite")
    url = f"sqlite:///{home / 'rollcall.sqlite'}"
    set_up_many(home, url, 3)
    with open_database(url, backups=None) as database:
        yield Many(home, database)


def test_a_shard_syncs_what_is_queued_and_lists_it_in_one_table(many: Many) -> None:
    (many.home / "drop" / "d0002" / "classes.csv").write_text("class_id\nc1\n")
    fill_queue(["d0001", "d0002", "d0003"], kind="csv", start_by=None)
    state = ran(shard(return_state=True))
    assert (state.type, state.name, state.message) == (
        "FAILED",
        "Rejected",
        "3 districts; 1 Rejected: d0002; 2 Connected",
    )
    assert many.runs() == [("d0001/files", "done"), ("d0002/files", "rejected"), ("d0003/files", "done")]
    table = asyncio.run(newest_table("shard"))
    assert [(row["District"].partition("]")[0], row["Outcome"], row["Schools"], row["Needs"]) for row in table] == [
        ("[District d0001", "done", 1, ""),
        ("[District d0002", "rejected", 0, "1 on hold: School of d0002 (file errors)"),
        ("[District d0003", "done", 1, ""),
    ]
    run_id = state.state_details.flow_run_id
    assert run_id is not None
    assert set(asyncio.run(tags_of(run_id))) == {"district:d0002", "needs:file-errors"}
    # None of them for each district. They are recorded a moment later.
    until(lambda: len(asyncio.run(tasks_of(run_id))) >= 3)
    assert asyncio.run(tasks_of(run_id)) == ["publish the districts", "publish the morning list", "send mail"]


def test_a_hold_that_is_not_new_needs_nobody_again(many: Many) -> None:
    (many.home / "drop" / "d0002" / "classes.csv").write_text("class_id\nc1\n")
    for name, message in (("Rejected", "1 Rejected: d0002"), ("Still on hold", "1 Still on hold: d0002")):
        fill_queue(["d0002"], kind="csv", start_by=None)
        state = ran(shard(return_state=True))
        assert (state.name, state.message) == (name, f"1 district; {message}")
    assert ran(shard(return_state=True)).name == "Nothing left"


def test_a_district_that_fails_stops_no_other_and_has_one_more_turn(
    many: Many, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_school(monkeypatch, "d0002/main")
    fill_queue(["d0001", "d0002", "d0003"], kind="csv", start_by=None)
    state = ran(shard(return_state=True))
    assert (state.name, "failed: d0002/files" in (state.message or "")) == ("Failed", True)
    assert many.runs() == [
        ("d0001/files", "done"),
        ("d0002/files", "failed"),
        ("d0003/files", "done"),
        ("d0002/files", "failed"),
    ]


def test_what_a_shard_left_is_made_good_by_the_others(many: Many, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was killed holds its district's lease until it has been silent for long."""
    fill_queue(["d0001", "d0002"], kind="csv", start_by=None)
    with many.database.transaction() as session:
        assert queue.take(session, clock.now()) is not None

    def silenced() -> bool:
        silence(many.database)
        return is_queue_empty()

    monkeypatch.setattr(module, "is_queue_empty", silenced)
    state = ran(shard(return_state=True))
    assert (state.name, state.message) == ("Completed", "2 districts; 2 Connected")
    assert many.runs() == [("d0001/files", "interrupted"), ("d0002/files", "done"), ("d0001/files", "done")]


def test_it_is_said_what_is_left_for_the_next_night(many: Many) -> None:
    fill_queue(["d0001"], kind="csv", start_by=clock.now())
    state = ran(shard(return_state=True))
    assert (state.name, state.message) == ("Left for the next night", "no district; 1 district left for the next night")


def test_a_large_night_goes_to_shards_and_a_persons_run_before_them(
    many: Many, own_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", own_server)
    assert rollcall("deploy").exit_code == 0
    with temporary_settings({PREFECT_API_URL: own_server}):
        state = ran(csv_nightly(return_state=True))
        # No worker is online.
        assert (state.name, state.message) == ("Submitted", "3 districts to 1 shard")
        monkeypatch.setenv("ROLLCALL_SHARDS", "2")
        assert ran(csv_nightly(return_state=True)).message == "3 districts to 2 shards"
        monkeypatch.setenv("ROLLCALL_DISTRICT_RUNS", "3")
        assert ran(csv_nightly(return_state=True)).message == "3 districts: d0001, d0002, d0003"
        assert asyncio.run(scheduled()) == {"shard": 3, "sync-district": 3}

        # A worker would have started a person's run long since, if it had a place for it.
        monkeypatch.setattr(module, "LOOKS_EVERY", -1.0)
        monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", asyncio.run(submit_by_hand(ago=timedelta(minutes=1))))
        state = ran(shard(return_state=True))
        assert (state.name, state.message) == (
            "Completed",
            "1 district; 1 Connected; makes way for a run that somebody waits for, and goes on later",
        )
        assert asyncio.run(scheduled()) == {"shard": 4, "sync-district": 3, "district-sync": 1}
    assert many.runs() == [("d0001/files", "done")]


async def submit_by_hand(ago: timedelta) -> str:
    """Start a district's run as a person does; gives the ID of the shards' deployment."""
    async with get_client() as client:
        form = await client.read_deployment_by_name("district-sync/district-sync")
        due: State[Any] = Scheduled(scheduled_time=datetime.now(UTC) - ago)
        await client.create_flow_run_from_deployment(form.id, parameters={"district": "d0003"}, state=due)
        return str((await client.read_deployment_by_name("shard/shard")).id)


async def scheduled() -> dict[str, int]:
    """How many runs of each flow wait for a worker; those of a schedule are later."""
    async with get_client() as client:
        names = {each.id: each.name for each in await client.read_flows()}
        runs = [
            names[run.flow_id]
            for run in await client.read_flow_runs()
            if run.state_type == StateType.SCHEDULED and not run.auto_scheduled
        ]
    return dict(Counter(runs))


def silence(database: Database) -> None:
    """Every open run has shown no heartbeat for long."""
    with database.transaction() as session:
        at = bulk.clock(session) - LIVE
        session.execute(update(Run).where(col(Run.ended_at).is_(None)).values(heartbeat_at=at))


async def tags_of(run_id: UUID) -> list[str]:
    async with get_client() as client:
        return (await client.read_flow_run(run_id)).tags


async def tasks_of(run_id: UUID) -> list[str]:
    """The tasks of a flow run that ended, by name."""
    of_run = FlowRunFilter(id=FlowRunFilterId(any_=[run_id]))
    async with get_client() as client:
        found = await client.read_task_runs(flow_run_filter=of_run)
        return sorted(task.name.rpartition("-")[0] for task in found if task.state_type == StateType.COMPLETED)
