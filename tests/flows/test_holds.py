"""Holds on the command line and in the Prefect UI: shown, downloaded, decided about one by one or all at once."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import polars as pl
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey, FlowFilter, FlowFilterName
from prefect.client.schemas.sorting import ArtifactSort, FlowRunSort

from errors import NotPossible
from flows.resolve_hold import Resolution, resolve_hold
from flows.sync_district import sync_district
from models import bulk
from models.database import open_database
from models.tables import Source
from sandbox.generator import District
from services.holds import decisions, store
from tasks.morning import KEY
from tests.end_to_end.nights import play
from tests.flows.conftest import Installation, installed, named, ran, rollcall, shown
from tests.setups import look_into_copies

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def cut(installation: Installation, name: str) -> None:
    """Leave only the header of a file."""
    file = installation.home / "drop" / name
    file.write_bytes(file.read_bytes().splitlines(keepends=True)[0])


@pytest.fixture(scope="module")
def emptied_home(tmp_path_factory: pytest.TempPathFactory, embedded_template: Path, small_district: District) -> Path:
    """A home whose three schools are on hold, as every student and enrollment is gone."""
    home = tmp_path_factory.mktemp("emptied") / "home"
    with installed(home, embedded_template) as made:
        made.drop(small_district)
        play(made.database, home / "landing")
        for name in ("students.csv", "enrollments.csv"):
            cut(made, name)
        play(made.database, home / "landing")
    return home


@pytest.fixture
def emptied(emptied_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    """A copy of that home, in which nothing waits either."""
    home = tmp_path / "home"
    shutil.copytree(emptied_home, home)
    monkeypatch.setenv("ROLLCALL_HOME", str(home))
    with open_database(f"sqlite:///{home / 'rollcall.sqlite'}", backups=None) as database:
        look_into_copies(database, emptied_home, home)
        yield Installation(home, database)


def open_ids() -> list[int]:
    return [hold["id"] for hold in shown("holds", "--json")]


def words(text: str) -> str:
    return " ".join(text.split())


def test_a_hold_is_shown_with_its_counts_limits_and_cause(emptied: Installation, tmp_path: Path) -> None:
    first, *_ = open_ids()
    told = rollcall("hold", "show", str(first)).stdout
    assert re.search(r"  all \d+ students would be removed \(on hold whatever the limits\)\n", told)
    assert "students.csv has its header and no rows; in the delivery applied last it had" in words(told)
    assert [line for line in told.splitlines() if line.startswith("rollcall hold ")] == [
        f"rollcall hold confirm {first}",
        f"rollcall hold recheck {first}",
    ]
    listed = rollcall("holds", "unified").stdout
    assert "Many people or classes would be removed (data_removals) since" in listed
    assert "would be removed" in listed
    whole, one = tmp_path / "all.csv", tmp_path / "one.csv"
    rollcall("hold", "show", str(first), "--csv", str(whole))
    rollcall("hold", "show", str(first), "--csv", str(one), "--reason", "data_removals")
    assert whole.read_text() == one.read_text()
    assert pl.read_csv(whole).columns == ["type", "record_id", "counterpart_id", "name"]


def test_all_holds_of_a_district_are_confirmed_in_one_run(emptied: Installation) -> None:
    ids = open_ids()
    before = len(runs_shown())
    result = rollcall("hold", "confirm", "--district", "unified", "--why", "the year is over", "--yes")
    assert result.exit_code == 0
    assert words(result.stdout).count("Exactly this will be applied.") == 3
    assert open_ids() == []
    assert len(runs_shown()) == before + 1
    for told in (rollcall("hold", "show", str(ids[0])).stdout, rollcall("runs", "unified").stdout):
        assert "the year is over" in told
    assert "confirmed by" in rollcall("runs", "unified").stdout


def runs_shown() -> list[str]:
    return [line for line in rollcall("runs", "unified").stdout.splitlines() if " unified/files " in line]


def test_several_holds_by_their_numbers_and_the_others_stay(emptied: Installation) -> None:
    first, second, third = open_ids()
    assert rollcall("hold", "confirm", str(first), str(second)).exit_code == 0
    assert open_ids() == [third]


def test_a_confirmation_that_no_longer_covers_names_what_is_new(emptied: Installation) -> None:
    first, *_ = open_ids()
    cut(emptied, "classes.csv")
    for file in (emptied.home / "drop").iterdir():
        file.write_bytes(file.read_bytes())
    assert rollcall("sync", "unified", "--now").exit_code == 1
    result = rollcall("hold", "confirm", str(first))
    assert result.exit_code == 1
    assert "stays on hold, now as hold" in result.stdout
    assert re.search(r"Not covered by your decision: \d+ class", words(result.stdout))
    assert len(open_ids()) == 3
    (newer,) = [each for each in open_ids() if f"now as hold {each}\n" in result.stdout]
    told = [line for line in rollcall("hold", "show", str(newer)).stdout.splitlines() if "confirmed by" in line]
    assert [line.split(" by ")[0] for line in told] == [f"hold {first}, which it replaces: confirmed"]


def test_fixed_too_early_says_that_the_source_still_cannot_be_reached(
    installation: Installation, small_district: District
) -> None:
    installation.drop(small_district)
    folder = installation.home / "drop"
    folder.rename(installation.home / "away")
    assert rollcall("sync", "unified").exit_code == 1
    ids = open_ids()
    result = rollcall("hold", "fixed", str(ids[0]))
    assert result.exit_code == 1
    assert (
        f"Lincoln School stays on hold, as hold {ids[0]}\n"
        f"Its source still cannot be reached: the drop folder {folder} cannot be read (No such file or directory):"
        " check that it is there, that its disk is mounted, and that Rollcall's user may read it\n"
    ) in result.stdout
    assert "another reason" not in result.stdout
    (installation.home / "away").rename(folder)
    with installation.database.transaction() as session:
        source = session.get_one(Source, "unified/files")
        source.settings = {**source.settings, "quiet_seconds": 0}
    result = rollcall("hold", "fixed", str(ids[0]))
    assert (result.exit_code, open_ids()) == (0, [])
    assert "stays on hold" not in result.stdout


def test_a_confirmation_that_cannot_be_applied_yet_says_what_stands_in_its_way(emptied: Installation) -> None:
    (emptied.home / "drop").rename(emptied.home / "away")
    assert rollcall("sync", "unified").exit_code == 1
    first, *_ = open_ids()
    said = rollcall("hold", "confirm", str(first)).stdout
    assert f"Lincoln School stays on hold, as hold {first}\nIts source cannot be reached: the drop folder" in said
    assert ("another reason" in said, "next run" in said) == (False, False)
    (emptied.home / "away").rename(emptied.home / "drop")
    assert rollcall("sync", "unified").exit_code == 1
    assert first not in open_ids()


def test_a_recheck_looks_at_the_newest_data(emptied: Installation, small_district: District) -> None:
    first, *_ = open_ids()
    assert rollcall("hold", "recheck", str(first)).exit_code == 1
    assert first in open_ids()
    emptied.drop(small_district)
    with emptied.database.transaction() as session:
        source = session.get_one(Source, "unified/files")
        source.settings = {**source.settings, "quiet_seconds": 0}
    assert rollcall("hold", "recheck", str(first)).exit_code == 0
    assert first not in open_ids()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("confirm",), "give either hold numbers or --district"),
        (("confirm", "1", "--district", "unified"), "give either hold numbers or --district"),
        (("accept", "--district", "nowhere"), "there is no district nowhere"),
        (("leave-out", "--district", "unified"), "district unified has no contacts to leave out"),
        (("accept", "1"), "has no guardians or contacts to accept"),
        (("show", "1", "--reason", "stale"), "hold 1 has no reason stale; it has data_removals"),
    ],
)
def test_what_makes_no_sense_is_refused(
    emptied: Installation, refused: Callable[..., str], arguments: tuple[str, ...], said: str
) -> None:
    assert said in refused(("hold", *arguments))


def test_a_hold_whose_evidence_is_removed_is_refused_and_the_open_one_named(
    emptied: Installation, refused: Callable[..., str]
) -> None:
    first, *_ = open_ids()
    cut(emptied, "classes.csv")
    for file in (emptied.home / "drop").iterdir():
        file.write_bytes(file.read_bytes())
    assert rollcall("sync", "unified", "--now").exit_code == 1
    *_, last = open_ids()
    with emptied.database.transaction() as session:
        bulk.execute(session, "UPDATE hold SET ended_at = :at WHERE ended_at IS NOT NULL", {"at": LONG_AGO})
    assert rollcall("housekeeping").exit_code == 0
    told = refused(("hold", "confirm", str(last), str(first), "--yes"))
    (replaced_by,) = [new for new in open_ids() if rollcall("hold", "show", str(first)).stdout.count(f"by hold {new} ")]
    said = f"error: hold {first} of Lincoln School was replaced, and its evidence has been deleted since"
    assert said in told
    assert f"decide about hold {replaced_by}, which is open now; `rollcall hold show {replaced_by}` shows it" in told
    assert (decided(emptied, last), decided(emptied, first)) == ([], [])


def decided(installation: Installation, hold_id: int) -> list[tuple[str, str, str | None]]:
    with installation.database.reading() as session:
        return [(each.verb, each.by, each.why) for each in store.get_hold(session, hold_id).decisions]


def test_the_deployment_stores_the_decision_and_processes_the_schools(emptied: Installation) -> None:
    first, second, third = open_ids()
    resolve: Any = resolve_hold
    state = ran(resolve(Resolution.CONFIRM_REMOVALS, "Kim, ops", holds=[first, third], why="closed", return_state=True))
    assert (state.name, state.message) == ("Resolved", "unified: Connected")
    assert named(state) == f"Confirm removals · hold {first}, {third}"
    assert open_ids() == [second]
    assert decided(emptied, first) == [("confirm_removals", "Kim, ops", "closed")]
    state = ran(resolve("Confirm removals", "Kim, ops", district="unified", return_state=True))
    assert (state.name, open_ids()) == ("Resolved", [])
    assert named(state) == "Confirm removals · unified"


def test_a_school_still_on_hold_has_no_run_of_its_own_and_calls_nobody_again_for_a_week(emptied: Installation) -> None:
    def schools_runs() -> int:
        async def count() -> int:
            async with get_client() as client:
                return await client.count_flow_runs(flow_filter=FlowFilter(name=FlowFilterName(any_=["sync-school"])))

        return asyncio.run(count())

    def night() -> tuple[str, str, str]:
        before = schools_runs()
        state = ran(sync_district("unified", nightly=True, return_state=True))
        assert schools_runs() == before
        return state.type.value, state.name or "", state.message or ""

    said = ", ".join(f"{name} School (data removals)" for name in ("Lincoln", "Roosevelt", "Jefferson"))
    message = f"3 on hold: {said}; unified/files: On hold"
    assert night() == ("COMPLETED", "Still on hold", message)
    with emptied.database.transaction() as session:
        bulk.execute(session, "UPDATE hold SET opened_at = :at", {"at": LONG_AGO})
    assert night() == ("FAILED", "On hold", message)
    tags, listed = asyncio.run(seen_in_the_morning())
    assert tags == {"district:unified", "source:unified/files", "needs:data-removals"}
    first, _, line = listed.splitlines()
    assert first == "# 1 district needs somebody"
    assert line.startswith(f"- **Unified School District**: 3 on hold: {said} ([report](http://127.0.0.1:8321/")
    assert re.search(r"/districts/unified\), \[run\]\(http://127.0.0.1:\d+/runs/flow-run/[0-9a-f-]{36}\)\)$", line)


def test_the_morning_list_links_a_district_to_its_own_run_and_not_to_that_of_a_school(emptied: Installation) -> None:
    async def linked() -> tuple[str, str]:
        _, listed = await seen_in_the_morning()
        found = re.search(r"\[run\]\([^)]*/([0-9a-f-]{36})\)", listed)
        assert found is not None
        async with get_client() as client:
            run = await client.read_flow_run(UUID(found[1]))
            return (await client.read_flow(run.flow_id)).name, run.name.partition(" · ")[0]

    resolve: Any = resolve_hold
    # One school is synced in a run of its own, after its district's began.
    assert ran(resolve(Resolution.CONFIRM_REMOVALS, "Kim, ops", holds=open_ids()[:1], return_state=True)).is_completed()
    assert len(open_ids()) == 2
    assert asyncio.run(linked()) == ("sync-district", "Unified School District")


async def seen_in_the_morning() -> tuple[set[str], str]:
    """The tags of the district's last run, and the list of all districts that need somebody."""
    async with get_client() as client:
        filtered = FlowFilter(name=FlowFilterName(any_=["sync-district"]))
        (run,) = await client.read_flow_runs(flow_filter=filtered, sort=FlowRunSort.START_TIME_DESC, limit=1)
        wanted = ArtifactFilter(key=ArtifactFilterKey(any_=[KEY]))
        (artifact,) = await client.read_artifacts(artifact_filter=wanted, sort=ArtifactSort.CREATED_DESC, limit=1)
        return set(run.tags), str(artifact.data)


def test_a_resolution_that_fits_no_hold_fails_in_plain_words_and_decides_nothing(emptied: Installation) -> None:
    first, *_ = open_ids()
    resolve: Any = resolve_hold
    for resolution, by, why in (
        (Resolution.CONFIRM_CHANGES, "Kim, ops", "has no changes to confirm"),
        (Resolution.CONFIRM_REMOVALS, " ", "enter your name"),
    ):
        state = ran(resolve(resolution, by, holds=[first], return_state=True))
        assert state.is_failed()
        assert why in (state.message or "")
    assert decided(emptied, first) == []
    with emptied.database.reading() as session, pytest.raises(NotPossible):
        decisions.choose(session, decisions.ACCEPT, hold_ids=[first])
