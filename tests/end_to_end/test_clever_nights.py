"""Nights of a Clever district against the stand-in: what comes of them, and what keeps them from beginning."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import tenacity
from sqlmodel import col, select
from starlette.exceptions import HTTPException

from models.database import Database, open_database
from models.tables import Delivery, Issue, SchoolRun, StatusChange
from sandbox.clever_api import Answered, Faults
from sandbox.clever_records import CleverDistrict, clever_district, clever_ids, with_changed, with_state, without
from sandbox.generator import District, generate
from services import clock
from services.holds import decisions, store
from services.holds.decisions import FIXED
from services.holds.store import Hold
from services.intake import clever_api
from services.operations.setup import apply_setup, read_setup
from services.status import report
from services.status.issues import stored_issues
from services.sync import pipeline
from tests.end_to_end.lakeside import Lakeside, lakeside
from tests.end_to_end.nights import snapshot

pytestmark = pytest.mark.journeys

# A school of the district that is not in Clever, beside those that are.
CSV_SCHOOL = """
[[district.source]]
id = "files"
kind = "csv"
format = "csv-1.0"
folder = "drop"

[[district.school]]
id = "harbor"
name = "Harbor School"
source = "files"
external_id = "0900"
"""
HARBOR = {
    "schools.csv": "school_id,school_name\n0900,Harbor School\n",
    "teachers.csv": "teacher_id,school_id,first_name,last_name,email\nT1,0900,Ida,Moen,ida@harbor.example\n",
    "students.csv": "student_id,school_id,first_name,last_name,birth_date\nP1,0900,Jon,Moen,2012-03-04\n",
    "classes.csv": "class_id,school_id,class_name,teacher_id\nC1,0900,Art,T1\n",
    "enrollments.csv": "class_id,student_id\nC1,P1\n",
}
SCHOOLS = ("lakeside/lincoln", "lakeside/roosevelt", "lakeside/jefferson")
CONNECTED = {"lincoln": "connected", "roosevelt": "connected", "jefferson": "connected"}
ON_HOLD = dict.fromkeys(CONNECTED, "on_hold")
NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def district() -> District:
    return generate(3, schools=3, students=36, teachers=6, classes=9, enrollments=72)


@pytest.fixture(scope="module")
def remote(district: District) -> CleverDistrict:
    return clever_district(district)


@pytest.fixture
def clever(tmp_path: Path, database: Database, district: District) -> Iterator[Lakeside]:
    with lakeside(tmp_path, database, district) as made:
        yield made


@pytest.fixture
def embedded(tmp_path: Path, sqlite_database: Database, district: District) -> Iterator[Lakeside]:
    with lakeside(tmp_path, sqlite_database, district) as made:
        yield made


@pytest.fixture(scope="module")
def first_night(tmp_path_factory: pytest.TempPathFactory, embedded_template: Path, district: District) -> Path:
    """A folder with the database and landing area of an installation after its first night."""
    folder = tmp_path_factory.mktemp("first")
    shutil.copy(embedded_template, folder / "rollcall.sqlite")
    with (
        open_database(f"sqlite:///{folder / 'rollcall.sqlite'}", backups=None) as database,
        lakeside(folder, database, district) as made,
    ):
        made.night(nightly=True)
    return folder


@pytest.fixture
def connected(tmp_path: Path, first_night: Path, district: District) -> Iterator[Lakeside]:
    """A copy of the installation after its first night."""
    shutil.copytree(first_night, tmp_path, dirs_exist_ok=True)
    with (
        open_database(f"sqlite:///{tmp_path / 'rollcall.sqlite'}", backups=None) as database,
        lakeside(tmp_path, database, district) as made,
    ):
        yield made


@pytest.fixture
def both_sources(tmp_path: Path, sqlite_database: Database, district: District) -> Iterator[Lakeside]:
    (tmp_path / "drop").mkdir()
    for name, text in HARBOR.items():
        (tmp_path / "drop" / name).write_text(text)
    with lakeside(tmp_path, sqlite_database, district, more_setup=CSV_SCHOOL) as made:
        yield made


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts follow each other at once."""
    monkeypatch.setattr(clever_api, "_PAUSE", tenacity.wait_none())
    monkeypatch.setattr(pipeline._inspected.retry, "wait", tenacity.wait_none())


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Have the nights take place at this time."""

    def at(moment: datetime) -> None:
        monkeypatch.setattr(clock, "now", lambda: moment)

    return at


def open_holds(clever: Lakeside) -> list[Hold]:
    with clever.database.reading() as session:
        return store.open_holds(session)


def held_for(clever: Lakeside) -> dict[str, list[str]]:
    return {hold.school_key: hold.codes for hold in open_holds(clever)}


def notices(clever: Lakeside) -> tuple[str, ...]:
    with clever.database.reading() as session:
        return report.district_report(session, "lakeside", now=clock.now())[0].notices


def deliveries(clever: Lakeside) -> list[tuple[str, bool, int]]:
    """Of each delivery how it ended, whether somebody may be archived by it, and its duplicates."""
    with clever.database.reading() as session:
        found = session.exec(select(Delivery).order_by(col(Delivery.id)))
        return [(delivery.outcome, delivery.may_remove, delivery.duplicates) for delivery in found]


def active_people(clever: Lakeside) -> set[str]:
    with clever.database.reading() as session:
        rows = session.connection().exec_driver_sql(
            "SELECT l.external_id FROM link l JOIN account a ON a.id = l.account_id"
            " WHERE l.archived_at IS NULL AND a.archived_at IS NULL"
        )
        return {str(row[0]) for row in rows.fetchall()}


def ended(clever: Lakeside) -> tuple[str | None, list[str]]:
    run = clever.last_run()
    return run.outcome, run.notes or []


def member_of(district: District, school: int, kind: str = "student") -> str:
    """Clever's ID of somebody who is at this school only, by its position."""
    members = district.school_members.filter(pl.len().over("person") == 1)
    here = members.filter(kind=kind, school_id=district.schools["external_id"][school])
    key = here.join(district.people.select("person", "external_id"), on="person")["external_id"][0]
    ids = clever_ids(district)
    return {"student": ids.students, "employee": ids.employees}[kind][key]


def test_a_district_is_fetched_and_connected(clever: Lakeside) -> None:
    assert [outcome.outcome for outcome in clever.night()] == ["applied"] * 3
    assert clever.statuses() == CONNECTED
    assert clever.night() == []
    assert clever.last_run().outcome == "duplicate"


# --- processing ----------------------------------------------------------------------------------------------------


def kept_changes(clever: Lakeside, school: str = SCHOOLS[0]) -> list[tuple[str | None, str]]:
    with clever.database.reading() as session:
        changes = select(StatusChange).where(StatusChange.school_id == school).order_by(col(StatusChange.id))
        return [(change.status, change.reason) for change in session.exec(changes)]


def test_the_schools_are_processing_from_the_first_page_of_records_on(connected: Lakeside) -> None:
    seen: list[dict[str, str | None]] = []

    def see(_asked: Answered) -> None:
        seen.append(connected.statuses())

    connected.api.faults = Faults(before_page=see)
    connected.night(schools=["lincoln"])
    assert seen[0] == {**CONNECTED, "lincoln": "processing"}
    assert connected.statuses() == CONNECTED
    assert kept_changes(connected)[3:] == [
        ("processing", "fetching from Clever"),
        ("connected", "delivery 1 unchanged"),
    ]


def test_a_look_that_finds_nothing_changes_no_status(connected: Lakeside, remote: CleverDistrict) -> None:
    before = kept_changes(connected)
    connected.night(nightly=True)
    assert ended(connected) == ("nothing", [SKIPPED])
    connected.give(with_state(remote, state="pending"))
    connected.night()
    assert (kept_changes(connected), connected.last_run().processing_since) == (before, None)


# --- disconnected ---------------------------------------------------------------------------------------------------

CHECK_DISTRICT = "check in Clever that the district is still connected to the app"
UNREACHABLE = "the next run tries again; if it lasts, check the network and status.clever.com"


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        (
            Faults(token_missing=True),
            "Clever has no token for district {id}: check in Clever that the district has connected the app, and that"
            " its ID in the setup file is right",
        ),
        (Faults(token_refused=True), f"Clever refused district {{id}} (HTTP 401): {CHECK_DISTRICT}"),
        (Faults(district_status=403), f"Clever refused district {{id}} (HTTP 403): {CHECK_DISTRICT}"),
        (Faults(district_status=404), f"Clever refused district {{id}} (HTTP 404): {CHECK_DISTRICT}"),
        (
            Faults(failed_every=1, failed_statuses=(503,)),
            f"Clever did not give district {{id}} (HTTP 503): {UNREACHABLE}",
        ),
        (
            Faults(paths="/oauth", disconnected_every=1),
            "Clever did not give Rollcall the token of district {id} (no answer, RemoteProtocolError): " + UNREACHABLE,
        ),
    ],
    ids=["token missing", "token revoked", "403", "404", "failing", "no answer"],
)
def test_a_district_that_cannot_be_read_is_on_hold_until_it_can(connected: Lakeside, faults: Faults, said: str) -> None:
    before = snapshot(connected.database)
    connected.api.faults = faults
    assert connected.night() == []
    said = said.format(id=connected.district_id)
    assert ended(connected) == ("disconnected", [said])
    assert connected.statuses() == ON_HOLD
    assert [(hold.codes, hold.reasons[0].detail) for hold in open_holds(connected)] == [(["disconnected"], said)] * 3
    assert snapshot(connected.database) == before
    connected.api.faults = Faults()
    connected.night()
    assert connected.statuses() == CONNECTED


def test_a_host_that_is_not_there_puts_the_clever_schools_on_hold_and_no_others(both_sources: Lakeside) -> None:
    both_sources.night()
    assert both_sources.statuses() == {**CONNECTED, "harbor": "connected"}
    before = snapshot(both_sources.database)
    connection = replace(both_sources.connection, api_url="http://127.0.0.1:9", auth_url="http://127.0.0.1:9")
    replace(both_sources, connection=connection).night()
    assert both_sources.statuses() == {**ON_HOLD, "harbor": "connected"}
    assert held_for(both_sources) == {key: ["disconnected"] for key in CONNECTED}
    assert {hold.reasons[0].detail for hold in open_holds(both_sources)} == {
        f"Clever did not give Rollcall the token of district {both_sources.district_id} (no answer, ConnectError): "
        + UNREACHABLE
    }
    assert snapshot(both_sources.database) == before
    with both_sources.database.reading() as session:
        changes = select(StatusChange.status).where(StatusChange.school_id == "lakeside/harbor")
        assert set(session.exec(changes)) == {"setup_sync", "processing", "connected"}
    both_sources.night()
    assert both_sources.statuses() == {**CONNECTED, "harbor": "connected"}


def test_a_drop_folder_that_is_not_there_puts_its_schools_on_hold_and_no_others(both_sources: Lakeside) -> None:
    both_sources.night()
    before = snapshot(both_sources.database)
    drop = both_sources.folder / "drop"
    drop.rename(both_sources.folder / "unmounted")
    both_sources.night()
    assert both_sources.statuses() == {**CONNECTED, "harbor": "on_hold"}
    assert [(hold.codes, hold.reasons[0].detail) for hold in open_holds(both_sources)] == [
        (
            ["disconnected"],
            f"the drop folder {drop} cannot be read (No such file or directory): check that it is there, that its disk"
            " is mounted, and that Rollcall's user may read it",
        )
    ]
    assert snapshot(both_sources.database) == before
    (both_sources.folder / "unmounted").rename(drop)
    both_sources.night()
    assert both_sources.statuses() == {**CONNECTED, "harbor": "connected"}


def test_saying_that_it_is_fixed_is_used_up_by_the_run_that_finds_it_so(connected: Lakeside) -> None:
    connected.api.faults = Faults(district_status=403)
    connected.night()
    first = open_holds(connected)[0]
    with connected.database.transaction() as session:
        decisions.decide(session, first.id, FIXED, by="ops", now=NOW)
    connected.night(schools=["lincoln"])
    assert open_holds(connected)[0].id == first.id
    connected.api.faults = Faults()
    connected.night(schools=["lincoln"])
    assert connected.statuses() == CONNECTED
    with connected.database.reading() as session:
        hold = store.get_hold(session, first.id)
        assert (hold.ending, [decision.applied_at is not None for decision in hold.decisions]) == ("released", [True])


def test_only_the_connection_is_fixed_where_removals_hold_a_school_too(
    connected: Lakeside, district: District, remote: CleverDistrict
) -> None:
    ids = clever_ids(district)
    gone = district.school_members.filter(kind="student", school_id=district.schools["external_id"][0])
    keys = gone.join(district.people.select("person", "external_id"), on="person")["external_id"]
    connected.give(without(remote, [ids.students[key] for key in keys]))
    connected.night()
    assert held_for(connected) == {"lincoln": ["data_removals"]}
    with connected.database.reading() as session:
        items = store.items_of(session, open_holds(connected)[0].id)
    connected.api.faults = Faults(token_missing=True)
    connected.night()
    assert held_for(connected) == {
        "lincoln": ["data_removals", "disconnected"],
        "roosevelt": ["disconnected"],
        "jefferson": ["disconnected"],
    }
    with connected.database.transaction() as session:
        (both,) = (hold for hold in store.open_holds(session) if hold.school_key == "lincoln")
        assert store.items_of(session, both.id).equals(items)
        decisions.decide(session, both.id, FIXED, by="ops", now=NOW)
    connected.api.faults = Faults()
    connected.night()
    assert held_for(connected) == {"lincoln": ["data_removals"]}
    with connected.database.reading() as session:
        assert store.items_of(session, open_holds(connected)[0].id).equals(items)


def test_a_type_of_records_that_stays_refused_is_one_hold_all_along(connected: Lakeside) -> None:

    def refuse_contacts(asked: Answered) -> None:
        if asked.query.get("role") == "contact":
            raise HTTPException(403)

    connected.api.faults = Faults(before_page=refuse_contacts)
    connected.night()
    said = (
        f"Clever refused the contacts of district {connected.district_id} (HTTP 403): check in Clever that the district"
        " still shares them with the app"
    )
    first = open_holds(connected)
    assert [(hold.codes, hold.reasons[0].detail) for hold in first] == [(["disconnected"], said)] * 3
    connected.night()
    assert open_holds(connected) == first
    assert connected.statuses() == ON_HOLD
    with connected.database.reading() as session:
        changes = select(StatusChange.status).where(StatusChange.school_id == SCHOOLS[0]).order_by(col(StatusChange.id))
        nights = ["processing", "on_hold"] * 2
        assert list(session.exec(changes)) == ["setup_sync", "processing", "connected", *nights]


def test_a_hold_says_what_is_wrong_now(connected: Lakeside) -> None:
    for status_code in (404, 403):
        connected.api.faults = Faults(district_status=status_code)
        connected.night()
    assert {hold.reasons[0].detail for hold in open_holds(connected)} == {
        f"Clever refused district {connected.district_id} (HTTP 403): {CHECK_DISTRICT}"
    }


# --- how a district stands on Clever's side ---------------------------------------------------------------------------


def a_day_later(district: District, remote: CleverDistrict) -> CleverDistrict:
    """A student and a whole school are missing, a teacher has another name."""
    leaver, teacher = member_of(district, 0), member_of(district, 0, "employee")
    after = without(remote, [leaver, list(clever_ids(district).schools.values())[2]])
    return with_changed(after, "users", teacher, lambda user: user["name"].update(last="Renamed"))


@pytest.mark.parametrize("by_dates", [False, True], ids=["state", "dates"])
def test_while_clever_is_paused_nobody_is_archived(
    connected: Lakeside,
    district: District,
    remote: CleverDistrict,
    at: Callable[[datetime], None],
    by_dates: bool,
) -> None:
    before, during, after = (NOW.replace(hour=hour) for hour in (1, 3, 6))  # 8 pm, 10 pm, 1 am in New York
    at(before)
    everybody = active_people(connected)
    pause: dict[str, Any] = (
        {"pause_start": "2026-11-23", "pause_end": "2026-11-23T00:00:00.000Z"} if by_dates else {"state": "paused"}
    )
    changed = with_state(a_day_later(district, remote), last_sync="2026-11-24T02:00:00.000Z")
    connected.give(with_state(changed, **pause))
    at(during)
    outcomes = {outcome.school_id: outcome.outcome for outcome in connected.night(nightly=True)}
    # Whose school is gone is listed where they still are.
    assert outcomes == {SCHOOLS[0]: "applied", SCHOOLS[2]: "unchanged"}
    until = " until Nov 23, 2026" if by_dates else ""
    notice = f"Clever has paused the district's data{until}; nobody is archived in the meantime"
    assert (active_people(connected), held_for(connected), notices(connected)) == (everybody, {}, (notice,))
    assert connected.statuses() == CONNECTED
    names = {
        row[3]
        for row in snapshot(connected.database)[SCHOOLS[0]]["people"]
        if row[1] == member_of(district, 0, "employee")
    }
    assert names == {"Renamed"}
    connected.night()
    assert deliveries(connected) == [("clean", True, 0), ("clean", False, 1)]
    # The pause is over, and the very same records come again.
    if not by_dates:
        connected.give(changed)
    at(after)
    reasons = {outcome.school_id: outcome.reasons for outcome in connected.night(nightly=True)}
    assert reasons == {SCHOOLS[0]: (), SCHOOLS[2]: ("school_missing",)}
    assert deliveries(connected) == [("clean", True, 0), ("clean", False, 1), ("clean", True, 0)]
    assert everybody - active_people(connected) >= {member_of(district, 0)}
    assert notices(connected) == ()


def test_who_takes_the_address_of_somebody_missing_gets_it_while_clever_is_paused(
    clever: Lakeside, district: District, remote: CleverDistrict
) -> None:
    """A student who is missing from frozen data stays, and gives up the email to who has it in the data."""
    clever.night()
    everybody = active_people(clever)
    leaver, teacher = member_of(district, 0, "employee"), member_of(district, 1, "employee")
    address = remote.record("users", leaver).value()["email"]
    changed = with_changed(without(remote, [leaver]), "users", teacher, lambda user: user.update(email=address))
    clever.give(with_state(changed, state="paused"))
    clever.night()
    assert active_people(clever) == everybody
    with clever.database.reading() as session:
        rows = session.connection().exec_driver_sql(
            "SELECT l.external_id, l.email, a.email FROM link l JOIN account a ON a.id = l.account_id"
        )
        found = {row[0]: tuple(row[1:]) for row in rows.fetchall()}
    assert (found[leaver], found[teacher]) == ((None, None), (address, address))
    clever.give(changed)
    clever.night()
    assert everybody - active_people(clever) == {leaver}


PENDING = "Clever is waiting for the district (state: pending), so nothing is processed"
ERROR = "Clever has a problem with the district (state: error), so nothing is processed"
HALF_A_DAY = timedelta(hours=12)


@pytest.mark.parametrize(("state", "notice"), [("pending", PENDING), ("error", ERROR)])
def test_while_clever_has_a_problem_nothing_is_processed(
    connected: Lakeside, district: District, remote: CleverDistrict, state: Any, notice: str
) -> None:
    before = snapshot(connected.database)
    changed = a_day_later(district, remote)
    connected.give(with_state(changed, state=state, error="The SIS  export\nfailed"))
    pages = connected.pages_asked()
    for nightly in (True, False):
        assert connected.night(nightly=nightly) == []
        assert ended(connected) == ("not_ready", [notice])
    assert notices(connected) == (f"{notice}. Clever says: The SIS export failed",)
    assert (connected.statuses(), held_for(connected), snapshot(connected.database)) == (CONNECTED, {}, before)
    assert (connected.pages_asked(), len(deliveries(connected))) == (pages, 1)
    connected.give(with_state(remote, state="success"))
    connected.night(nightly=True)
    assert notices(connected) == ()


def test_a_problem_of_clever_s_at_two_looks_twelve_hours_apart_disconnects_the_schools(
    connected: Lakeside, remote: CleverDistrict, at: Callable[[datetime], None]
) -> None:
    before = snapshot(connected.database)

    def look(moment: datetime, **state: Any) -> tuple[str | None, set[str | None]]:
        at(moment)
        connected.give(with_state(remote, **state))
        assert connected.night(nightly=True) == []
        return ended(connected)[0], {hold.reasons[0].detail for hold in open_holds(connected)}

    assert look(NOW, state="pending") == ("not_ready", set())
    assert look(NOW + HALF_A_DAY - timedelta(seconds=1), state="error") == ("not_ready", set())
    assert connected.statuses() == CONNECTED
    said = f"{PENDING}. Clever says: Terms. Resolve it in Clever, then choose I fixed it"
    assert look(NOW + HALF_A_DAY, state="pending", error="Terms") == ("disconnected", {said})
    assert (connected.statuses(), held_for(connected)) == (ON_HOLD, {key: ["disconnected"] for key in CONNECTED})
    said = f"{ERROR}. No action is needed here: it ends automatically once Clever has resolved it"
    assert look(NOW + 2 * HALF_A_DAY, state="error") == ("disconnected", {said})
    assert snapshot(connected.database) == before
    # The first look that finds neither ends it, and what comes after starts over.
    assert look(NOW + 3 * HALF_A_DAY, state="success") == ("nothing", set())
    assert connected.statuses() == CONNECTED
    assert look(NOW + 4 * HALF_A_DAY, state="pending") == ("not_ready", set())
    assert look(NOW + 5 * HALF_A_DAY, state="pending", pause_start="2026-11-01")[0] != "not_ready"
    assert look(NOW + 6 * HALF_A_DAY, state="pending") == ("not_ready", set())


def test_a_problem_of_clever_s_that_is_solved_ends_with_i_fixed_it(
    connected: Lakeside, remote: CleverDistrict, at: Callable[[datetime], None]
) -> None:
    connected.give(with_state(remote, state="pending"))
    for moment in (NOW, NOW + HALF_A_DAY):
        at(moment)
        connected.night(nightly=True)
    held = open_holds(connected)[0]
    with connected.database.transaction() as session:
        decisions.decide(session, held.id, FIXED, by="ops", now=NOW + HALF_A_DAY)
    connected.night()
    assert open_holds(connected)[0].id == held.id
    connected.give(remote)
    connected.night()
    assert (connected.statuses(), open_holds(connected)) == (CONNECTED, [])


def test_a_new_district_that_clever_has_a_problem_with_stays_in_setup(
    embedded: Lakeside, remote: CleverDistrict, at: Callable[[datetime], None]
) -> None:
    embedded.give(with_state(remote, state="error"))
    for moment in (NOW, NOW + HALF_A_DAY):
        at(moment)
        embedded.night()
    assert embedded.statuses() == dict.fromkeys(CONNECTED, "setup_sync")
    assert deliveries(embedded) == []


# --- the nightly skip -------------------------------------------------------------------------------------------------

SKIPPED = "Clever has nothing new since the last sync, so nothing was fetched; delivery 1 is finished for all schools"


def test_only_a_nightly_run_skips_what_clever_has_nothing_new_for(connected: Lakeside) -> None:
    pages = connected.pages_asked()
    connected.night(nightly=True)
    assert (ended(connected), connected.pages_asked()) == (("nothing", [SKIPPED]), pages)
    connected.night()
    assert ended(connected) == (
        "duplicate",
        ["identical to delivery 1; nothing to do; delivery 1 is finished for all schools"],
    )
    assert connected.pages_asked() > pages


def test_a_nightly_run_fetches_what_clever_has_synced_again(connected: Lakeside, remote: CleverDistrict) -> None:
    for last_sync in ("2026-09-02T06:12:45.000Z", ""):
        connected.give(with_state(remote, last_sync=last_sync))
        connected.night(nightly=True)
        assert connected.last_run().outcome == "duplicate"
    # Who never says when it last synced is always asked.
    connected.night(nightly=True)
    assert deliveries(connected) == [("clean", True, 3)]


def test_a_nightly_run_fetches_everything_again_after_a_week(
    embedded: Lakeside, at: Callable[[datetime], None]
) -> None:
    at(NOW)
    embedded.night(nightly=True)
    week = timedelta(days=7)
    at(NOW + week - timedelta(microseconds=1))
    embedded.night(nightly=True)
    assert ended(embedded) == ("nothing", [SKIPPED])
    at(NOW + week)
    embedded.night(nightly=True)
    assert embedded.last_run().outcome == "duplicate"
    at(NOW + 2 * week - timedelta(microseconds=1))
    embedded.night(nightly=True)
    assert ended(embedded) == ("nothing", [SKIPPED])


def test_a_nightly_run_finishes_what_was_synced_for_one_school_only(embedded: Lakeside) -> None:
    assert [outcome.school_id for outcome in embedded.night(schools=["roosevelt"])] == [SCHOOLS[1]]
    assert embedded.statuses() == {"lincoln": "setup_sync", "roosevelt": "connected", "jefferson": "setup_sync"}
    assert [outcome.school_id for outcome in embedded.night(nightly=True)] == [SCHOOLS[0], SCHOOLS[2]]
    assert embedded.statuses() == CONNECTED
    embedded.night(nightly=True)
    assert ended(embedded) == ("nothing", [SKIPPED])


def test_a_nightly_run_does_not_skip_a_district_with_a_school_on_hold(
    embedded: Lakeside, district: District, remote: CleverDistrict
) -> None:
    embedded.give(without(remote, [list(clever_ids(district).schools.values())[2]]))
    embedded.night(nightly=True)
    assert [outcome.outcome for outcome in embedded.night(nightly=True)] == ["on_hold"]
    assert embedded.statuses() == {**CONNECTED, "jefferson": "on_hold"}


def test_a_nightly_run_does_not_skip_a_district_with_a_school_that_failed(connected: Lakeside) -> None:
    with connected.database.transaction() as session:
        school_run = session.exec(select(SchoolRun).where(SchoolRun.school_id == SCHOOLS[2])).one()
        school_run.outcome = "failed"
        session.add(school_run)
    pages = connected.pages_asked()
    outcomes = connected.night(nightly=True)
    assert [(outcome.school_id, outcome.outcome) for outcome in outcomes] == [(SCHOOLS[2], "unchanged")]
    assert connected.pages_asked() > pages
    connected.night(nightly=True)
    assert ended(connected) == ("nothing", [SKIPPED])


def test_a_nightly_run_does_not_skip_a_district_with_a_new_school(embedded: Lakeside) -> None:
    setup = embedded.folder / "setup.toml"
    whole = setup.read_text()
    for text, done in ((whole.rpartition("\n[[district.school]]")[0], SCHOOLS[:2]), (whole, SCHOOLS[2:])):
        setup.write_text(text)
        with embedded.database.transaction() as session:
            apply_setup(session, read_setup(setup))
        assert tuple(outcome.school_id for outcome in embedded.night(nightly=True)) == done
    assert embedded.statuses() == CONNECTED


# --- what is answered on the way --------------------------------------------------------------------------------------


@pytest.fixture
def small_pages(tmp_path: Path, sqlite_database: Database, district: District) -> Iterator[Lakeside]:
    with lakeside(tmp_path, sqlite_database, district, page_size=7) as made:
        yield made


def kept_records(clever: Lakeside, delivery_id: int) -> dict[str, bytes]:
    with clever.database.reading() as session:
        delivery = session.get(Delivery, delivery_id)
        assert delivery is not None
        folder = clever.landing / delivery.path
        return {entry["name"]: (folder / entry["name"]).read_bytes() for entry in delivery.files or []}


def lines(remote: CleverDistrict) -> dict[str, bytes]:
    """The files that a fetch of exactly these records leaves."""
    of_role = {"students": "student", "teachers": "teacher", "staff": "staff", "contacts": "contact"}
    records = {
        "schools": remote.records["schools"],
        "sections": remote.records["sections"],
        "district_admins": remote.users("district_admin"),
        **{name: remote.users(role) for name, role in of_role.items()},
    }
    return {f"{name}.jsonl": b"".join(record.body + b"\n" for record in each) for name, each in records.items()}


@pytest.mark.parametrize(
    "faults",
    [
        Faults(failed_every=10),
        Faults(failed_every=10, failed_as_html=True),
        Faults(html_every=10),
        Faults(cut_short_every=10),
        Faults(disconnected_every=10),
        Faults(too_many_every=10, too_many_reset_seconds=None),
        Faults(always_next=True),
        Faults(overlap=2),
        Faults(token_requests=20),
    ],
    ids=[
        "every tenth fails",
        "HTML errors",
        "HTML",
        "cut short",
        "no answer",
        "too many",
        "next",
        "overlap",
        "expired",
    ],
)
def test_what_passes_on_the_way_leaves_no_trace_in_the_roster(
    small_pages: Lakeside, remote: CleverDistrict, faults: Faults
) -> None:
    small_pages.api.faults = faults
    small_pages.night()
    assert small_pages.last_run().outcome == "done"
    assert kept_records(small_pages, 1) == lines(remote)


@pytest.mark.parametrize(
    "faults",
    [
        Faults(html_every=1),
        Faults(same_page=True),
        Faults(stuck_cursor=True),
        Faults(foreign_next="https://elsewhere.example"),
        Faults(token_requests=4),
    ],
    ids=["HTML", "same page", "stuck", "foreign", "expires again and again"],
)
def test_what_lasts_on_the_way_leaves_nothing_at_all(small_pages: Lakeside, faults: Faults) -> None:
    small_pages.api.faults = faults
    assert small_pages.night() == []
    assert small_pages.last_run().outcome == "disconnected"
    assert deliveries(small_pages) == []
    assert [file for file in small_pages.landing.rglob("*") if file.is_file()] == []
    assert snapshot(small_pages.database) == {}


def test_records_that_are_not_shared_are_as_if_they_were_not_there(
    small_pages: Lakeside, district: District, remote: CleverDistrict
) -> None:
    ids = clever_ids(district)
    unshared = [
        member_of(district, 0),
        member_of(district, 1, "employee"),
        next(iter(ids.classes.values())),
        next(iter(ids.guardians.values())),
    ]
    small_pages.api.faults = Faults(unshared=unshared)
    small_pages.night()
    assert small_pages.last_run().outcome == "done"
    assert kept_records(small_pages, 1) == lines(without(remote, unshared))
    assert small_pages.statuses() == CONNECTED
    assert active_people(small_pages).isdisjoint(unshared)


def test_what_changes_between_two_pages_is_there_the_next_night(
    small_pages: Lakeside, district: District, remote: CleverDistrict
) -> None:
    students = [record.id for record in remote.users("student")]
    passed, renamed, coming = students[0], students[-1], students[3]
    first = without(remote, [coming])
    second = with_changed(without(remote, [passed]), "users", renamed, lambda user: user["name"].update(last="Renamed"))
    small_pages.give(first)

    def change(asked: Answered) -> None:
        if asked.query.get("role") == "student" and asked.query.get("starting_after", "") > coming:
            small_pages.give(with_state(second, last_sync="2026-09-01T07:00:00.000Z"))

    small_pages.api.faults = Faults(before_page=change)
    small_pages.night()
    # The page that was passed already is as it was, and those after it are as they are now.
    lists = kept_records(small_pages, 1)
    expected = with_changed(first, "users", renamed, lambda user: user["name"].update(last="Renamed"))
    assert lists["students.jsonl"] == lines(expected)["students.jsonl"]
    assert small_pages.last_run().outcome == "done"
    small_pages.night(nightly=True)
    assert kept_records(small_pages, 2) == lines(second)
    assert (passed in active_people(small_pages), coming in active_people(small_pages)) == (False, True)


# --- issues -----------------------------------------------------------------------------------------------------------


def test_an_issue_names_the_record_by_its_type_and_clevers_id(
    embedded: Lakeside, district: District, remote: CleverDistrict
) -> None:
    student = member_of(district, 1)
    changed = with_changed(remote, "users", student, lambda user: user["roles"]["student"].update(dob="soon"))
    embedded.give(changed)
    embedded.night()
    with embedded.database.reading() as session:
        found = stored_issues(session, "lakeside").filter(code="birth_date_invalid")
    columns = ("school", "severity", "file", "line", "record_id")
    assert found.select(columns).rows() == [("roosevelt", "alert", "student", None, student)]
    row = json.loads(found["row"][0])
    assert row["sis_id"] == {key: name for name, key in clever_ids(district).students.items()}[student]
    assert (row["id"], row["dob"]) == (student, "soon")


def test_a_newcomer_leaves_the_issues_of_other_schools_as_they_are(
    embedded: Lakeside, district: District, remote: CleverDistrict
) -> None:
    changed = remote
    for school in range(3):
        user = member_of(district, school)
        changed = with_changed(changed, "users", user, lambda user: user["roles"]["student"].update(dob="soon"))
    here = district.school_members.filter(kind="student", school_id=district.schools["external_id"][0])
    keys = here.join(district.people.select("person", "external_id"), on="person")["external_id"]
    late = min({clever_ids(district).students[key] for key in keys} - {member_of(district, 0)})
    embedded.give(without(changed, [late]))
    embedded.night()

    def stored() -> dict[int | None, tuple[str | None, str, str | None]]:
        with embedded.database.reading() as session:
            return {
                issue.id: (issue.school_id, issue.code, issue.record_id)
                for issue in session.exec(select(Issue))
                if issue.school_id in SCHOOLS[1:]
            }

    before = stored()
    assert sorted(before.values()) == [
        (school, "birth_date_invalid", member_of(district, SCHOOLS.index(school))) for school in sorted(SCHOOLS[1:])
    ]
    embedded.give(changed)
    assert [(outcome.school_id, outcome.outcome) for outcome in embedded.night()] == [(SCHOOLS[0], "applied")]
    assert stored() == before


def test_frozen_data_do_not_end_a_hold_for_removals(connected: Lakeside, district: District) -> None:
    lincoln = district.schools["external_id"][0]
    there = district.school_members.filter((pl.col("kind") == "student") & (pl.col("school_id") == lincoln))
    students = district.people.join(there, on="person", how="semi")["external_id"]
    cut = without(clever_district(district), [clever_ids(district).students[key] for key in students.head(15)])
    connected.give(cut)
    connected.night()
    held = open_hold_ids(connected)
    assert len(held) == 1
    connected.give(with_state(cut, state="paused"))
    connected.night()
    assert open_hold_ids(connected) == held
    connected.give(clever_district(district))
    connected.night()
    assert open_hold_ids(connected) == []


def open_hold_ids(lakeside: Lakeside) -> list[int]:
    with lakeside.database.reading() as session:
        return [hold.id for hold in store.open_holds(session)]
