"""A district's run under Prefect: states, names, tags, and failures that stay with their school."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey, FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.sorting import ArtifactSort

from errors import DataError
from flows.csv_nightly import csv_nightly
from flows.sync_district import sync_district
from sandbox.generator import District
from services import clock
from services.planning.changesets import ChangeSet
from services.status import sync_status
from services.sync import pipeline, provision, requests
from services.sync.provision import RunContext, SchoolResult
from tests.everything_up import until
from tests.flows.conftest import Installation, named, ran

# Under its name in its package is the flow.
flow_module = sys.modules["flows.sync_district"]


def sync(**parameters: Any) -> State[Any]:
    return ran(sync_district("unified", return_state=True, **parameters))


def statuses(installation: Installation) -> dict[str, str | None]:
    with installation.database.reading() as session:
        return {row.key: row.status for row in sync_status.statuses(session, now=datetime.now(UTC))}


def runs_tagged(tag: str) -> list[FlowRun]:
    async def read() -> list[FlowRun]:
        async with get_client() as client:
            return await client.read_flow_runs()

    return [run for run in asyncio.run(read()) if tag in run.tags]


def test_a_first_delivery_connects_every_school(installation: Installation, small_district: District) -> None:
    installation.drop(small_district)
    state = sync(now=True)
    assert (state.type, state.name) == ("COMPLETED", "Connected")
    assert statuses(installation) == {"lincoln": "connected", "roosevelt": "connected", "jefferson": "connected"}
    schools = {"Lincoln School", "Roosevelt School", "Jefferson School"}
    for tag in ("district:unified", "source:unified/files"):
        names = {run.name.split(" · ")[0] for run in runs_tagged(tag)}
        assert {"Unified School District", *schools} <= names
    # Prefect keeps none of what a school's run works with.
    kept = [run.parameters for run in runs_tagged("school:unified/lincoln") if run.name.startswith("Lincoln School")]
    assert {(given["name"], given["work"], len(given)) for given in kept} == {("Lincoln School", "<SchoolWork>", 3)}


def test_schools_share_a_client_and_have_one_task_without_tags(
    installation: Installation, small_district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each client loads all certificate authorities, and of each tag of a task the server is asked for a limit."""
    made, make = [], SyncPrefectClient.__init__

    def counted(client: SyncPrefectClient, *arguments: Any, **options: Any) -> None:
        made.append(client)
        make(client, *arguments, **options)

    monkeypatch.setattr(SyncPrefectClient, "__init__", counted)
    before = {run.id for run in runs_tagged("district:unified")}
    installation.drop(small_district)
    assert sync(now=True).name == "Connected"
    # One for all the schools, and five for the tasks before and after them.
    assert len(made) == 6
    schools = [run.id for run in runs_tagged("school:unified/lincoln") if run.id not in before]
    until(lambda: len(asyncio.run(tasks_of(schools))) == 1)
    assert asyncio.run(tasks_of(schools)) == [("guard and provision", [])]


async def tasks_of(runs: list[UUID]) -> list[tuple[str, list[str]]]:
    """The tasks of flow runs, which are recorded a moment later, with their tags."""
    async with get_client() as client:
        found = await client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=runs)))
        return [(task.name.rpartition("-")[0], task.tags) for task in found]


def test_nothing_waiting_is_said_and_starts_no_school(installation: Installation, small_district: District) -> None:
    assert sync().name == "Nothing waiting"
    installation.drop(small_district)
    assert sync().name == "Still arriving"
    sync(now=True)
    assert sync().name == "Nothing waiting"
    installation.drop(small_district)
    assert sync(now=True).name == "Unchanged"  # the same bytes again are a duplicate


def test_files_with_errors_reject_the_delivery_and_hold_its_schools(
    installation: Installation, small_district: District
) -> None:
    installation.drop(small_district)
    (installation.home / "drop" / "classes.csv").write_text("class_id\nc1\n")
    assert sync(now=True).name == "Rejected"
    assert set(statuses(installation).values()) == {"on_hold"}
    installation.drop(small_district)
    assert sync(now=True).name == "Connected"
    assert set(statuses(installation).values()) == {"connected"}


def break_school(monkeypatch: pytest.MonkeyPatch, school_id: str = "unified/lincoln") -> Callable[[], None]:
    """Have our own run fail for one school; gives what mends it."""
    real = provision.provision_school

    def failing(session: Any, run: RunContext, changeset: ChangeSet, *, now: datetime) -> SchoolResult:
        if changeset.school_id == school_id:
            raise DataError("provisioning", ValueError())
        return real(session, run, changeset, now=now)

    monkeypatch.setattr(provision, "provision_school", failing)
    return lambda: monkeypatch.setattr(provision, "provision_school", real)


def test_a_failing_school_never_stops_the_others_and_the_next_run_takes_it_up(
    installation: Installation, small_district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    mended = break_school(monkeypatch)
    installation.drop(small_district)
    state = sync(now=True)
    assert state.is_failed()
    assert "unified/lincoln" in (state.message or "")
    assert statuses(installation) == {"lincoln": "on_hold", "roosevelt": "connected", "jefferson": "connected"}
    mended()
    assert sync(nightly=True).name == "Connected"
    assert set(statuses(installation).values()) == {"connected"}


def test_more_schools_than_may_have_a_run_each_are_synced_in_that_of_the_district(
    installation: Installation, small_district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    mended = break_school(monkeypatch)
    monkeypatch.setenv("ROLLCALL_SCHOOL_RUNS", "2")
    installation.drop(small_district)
    before = {run.id for run in runs_tagged("district:unified")}
    assert "unified/lincoln" in (sync(now=True).message or "")
    new = [run.name.partition(" · ")[0] for run in runs_tagged("district:unified") if run.id not in before]
    assert new == ["Unified School District"]
    assert statuses(installation) == {"lincoln": "on_hold", "roosevelt": "connected", "jefferson": "connected"}
    table = asyncio.run(newest_table("schools-unified"))
    assert [(row["School"], row["Outcome"], row["Changes"] > 0) for row in table] == [
        ("[Roosevelt School](http://127.0.0.1:8321/schools/unified/roosevelt)", "applied", True),
        ("[Jefferson School](http://127.0.0.1:8321/schools/unified/jefferson)", "applied", True),
        ("[Lincoln School](http://127.0.0.1:8321/schools/unified/lincoln)", "failed", False),
    ]
    # One school is few enough, and has a run of its own again.
    mended()
    assert sync(nightly=True).name == "Connected"
    new = [run.name.partition(" · ")[0] for run in runs_tagged("school:unified/lincoln") if run.id not in before]
    assert new == ["Lincoln School"]


def test_a_pause_in_the_middle_leaves_a_table_of_the_schools_that_were_done(
    installation: Installation, small_district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLCALL_SCHOOL_RUNS", "0")
    # Before the run and before its first school nothing is paused.
    answers = iter([None, None, "paused for maintenance"])
    monkeypatch.setattr(flow_module, "paused", lambda request: next(answers))
    installation.drop(small_district)
    assert sync(now=True).name == "Paused"
    table = asyncio.run(newest_table("schools-unified"))
    assert [(row["School"].partition("]")[0], row["Outcome"]) for row in table] == [("[Lincoln School", "applied")]


async def newest_table(key: str) -> list[dict[str, Any]]:
    async with get_client() as client:
        wanted = ArtifactFilter(key=ArtifactFilterKey(any_=[key]))
        (artifact,) = await client.read_artifacts(artifact_filter=wanted, sort=ArtifactSort.CREATED_DESC, limit=1)
        rows: list[dict[str, Any]] = json.loads(str(artifact.data))
        return rows


def test_the_night_runs_what_waits_and_nothing_else(
    installation: Installation, small_district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = ran(csv_nightly(return_state=True))
    assert state.name == "Nothing waiting"
    assert re.fullmatch(r"csv-nightly · \d{4}-\d\d-\d\d \d\d:\d\d UTC", named(state))
    installation.drop(small_district)
    assert ran(csv_nightly(return_state=True)).name == "Nothing waiting"
    later = datetime.now(UTC).replace(year=datetime.now(UTC).year)
    monkeypatch.setattr(clock, "now", lambda: datetime.fromtimestamp(later.timestamp() + 400, UTC))
    assert ran(csv_nightly(arrivals_only=True, return_state=True)).name == "Completed"
    assert set(statuses(installation).values()) == {"connected"}


def test_a_night_skips_a_busy_district(installation: Installation) -> None:
    pipeline.begin(installation.database, requests.SyncRequest("unified", "unified/files"))
    assert sync(nightly=True).name == "Skipped"
