"""Pausing the Clever syncs for maintenance, resuming them, and what becomes of the schools' statuses meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import Session, col, select

from errors import NotFound, NotPossible
from models.database import Database
from models.outcomes import RunOutcome
from models.tables import Delivery, District, Pause, Run, School, SchoolRun, Source, StatusChange
from services.holds import holds, store
from services.operations import maintenance
from services.operations.maintenance import Resumed
from services.status import pauses, sync_status
from services.status.sync_status import PAUSE_OVER, Status
from services.sync import leases

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
CONNECTED, PAUSED, ON_HOLD = Status.CONNECTED, Status.PAUSED, Status.ON_HOLD
# The key of each school is its source's kind; paper has no Clever source at all.
DISTRICTS = {"lakeside": ("clever", "csv"), "hilltop": ("clever",), "paper": ("csv",)}

Kept = tuple[datetime, str | None, str]


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    """Three districts, all of whose schools are connected since NOW."""
    with database.transaction() as session:
        for district, kinds in DISTRICTS.items():
            add(session, District(id=district, name=district, timezone="America/New_York", administrators=[]))
            for kind in kinds:
                source = f"{district}/{kind}"
                add(
                    session,
                    Source(
                        id=source,
                        district_id=district,
                        key=kind,
                        kind=kind,
                        format=kind,
                        settings={"folder": "x", "district_id": "x"},
                        pausable=kind == "clever",
                    ),
                )
                add(
                    session,
                    School(id=source, district_id=district, key=kind, name=kind, source_id=source, external_id="1"),
                )
                connect(session, district, kind)
        sync_status.record_status_changes(session, None, "set up", NOW)
        yield session


def add(session: Session, row: object) -> None:
    session.add(row)
    session.flush()


def a_run(session: Session, district: str, kind: str, outcome: str, at: datetime = NOW) -> Run:
    source = f"{district}/{kind}"
    run = Run(district_id=district, source_id=source, started_at=at, heartbeat_at=at, ended_at=at, outcome=outcome)
    add(session, run)
    return run


def connect(session: Session, district: str, kind: str) -> None:
    source = f"{district}/{kind}"
    delivery = Delivery(source_id=source, received_at=NOW, last_received_at=NOW)
    add(session, delivery)
    run_id = a_run(session, district, kind, "done").id
    assert run_id is not None
    add(
        session,
        SchoolRun(
            run_id=run_id, school_id=source, source_id=source, delivery_id=delivery.id, at=NOW, outcome="applied"
        ),
    )


def pause(session: Session, district: str | None, reason: str, at: datetime, *, until: datetime | None = None) -> Pause:
    return maintenance.pause(session, district, reason=reason, until=until, by="ops", now=at)


def resume(session: Session, district: str | None, at: datetime) -> Resumed:
    return maintenance.resume(session, district, by="ops", now=at)


def statuses(session: Session, at: datetime) -> dict[str, Status | None]:
    return {row.school_id: row.status for row in sync_status.statuses(session, now=at)}


def all_but(*paused: str) -> dict[str, Status]:
    return {
        f"{district}/{kind}": PAUSED if f"{district}/{kind}" in paused else CONNECTED
        for district, kinds in DISTRICTS.items()
        for kind in kinds
    }


def kept(session: Session, school: str) -> list[Kept]:
    """The school's status changes since it was set up: when, to what, why."""
    found = session.exec(select(StatusChange).where(StatusChange.school_id == school).order_by(col(StatusChange.id)))
    return [(change.at, change.status, change.reason) for change in found][1:]


def test_a_districts_pause_holds_its_clever_schools_and_no_others(session: Session) -> None:
    pause(session, "lakeside", "moving  the\ndatabase", NOW + HOUR)
    assert statuses(session, NOW + HOUR) == all_but("lakeside/clever")
    assert kept(session, "lakeside/clever") == [(NOW + HOUR, "paused", "moving the database")]
    assert [kept(session, school) for school in ("lakeside/csv", "hilltop/clever", "paper/csv")] == [[], [], []]
    assert resume(session, "lakeside", NOW + 2 * HOUR) == Resumed(True, (), ())
    assert statuses(session, NOW + 2 * HOUR) == all_but()
    assert kept(session, "lakeside/clever")[1:] == [(NOW + 2 * HOUR, "connected", "the maintenance pause ended")]


def test_a_pause_of_all_holds_the_clever_schools_of_every_district(session: Session) -> None:
    pause(session, None, "new release", NOW + HOUR)
    assert statuses(session, NOW + HOUR) == all_but("lakeside/clever", "hilltop/clever")
    assert resume(session, None, NOW + 2 * HOUR) == Resumed(True, (), ())
    for school in ("lakeside/clever", "hilltop/clever"):
        assert kept(session, school) == [
            (NOW + HOUR, "paused", "new release"),
            (NOW + 2 * HOUR, "connected", "the maintenance pause ended"),
        ]
    assert [kept(session, school) for school in ("lakeside/csv", "paper/csv")] == [[], []]


def test_a_second_pause_takes_the_first_ones_place(session: Session) -> None:
    first = pause(session, "lakeside", "moving", NOW + HOUR)
    second = pause(session, "lakeside", "still moving", NOW + 2 * HOUR, until=NOW + 9 * HOUR)
    assert (first.ended_at, first.ended_by) == (NOW + 2 * HOUR, "ops")
    assert pauses.in_force(session, "lakeside", now=NOW + 2 * HOUR) == second
    assert kept(session, "lakeside/clever") == [(NOW + HOUR, "paused", "moving")]
    assert resume(session, "lakeside", NOW + 3 * HOUR) == Resumed(True, (), ())
    assert pauses.in_force(session, "lakeside", now=NOW + 3 * HOUR) is None


def test_resuming_again_ends_nothing(session: Session) -> None:
    pause(session, "lakeside", "moving", NOW + HOUR)
    resume(session, "lakeside", NOW + 2 * HOUR)
    again = resume(session, "lakeside", NOW + 3 * HOUR)
    assert again == Resumed(False, (), ())
    assert maintenance.describe(again, "lakeside") == "there is no pause of district lakeside to end"
    assert len(kept(session, "lakeside/clever")) == 2
    ended = session.exec(select(Pause)).one()
    assert (ended.ended_at, ended.ended_by) == (NOW + 2 * HOUR, "ops")


def test_a_pause_ends_by_itself_when_its_end_comes(session: Session) -> None:
    pause(session, "lakeside", "moving", NOW + HOUR, until=NOW + 3 * HOUR)
    assert statuses(session, NOW + 3 * HOUR - timedelta(microseconds=1)) == all_but("lakeside/clever")
    assert statuses(session, NOW + 3 * HOUR) == all_but()
    sync_status.record_status_changes(session, None, "a run began", NOW + 20 * HOUR)
    assert kept(session, "lakeside/clever") == [
        (NOW + HOUR, "paused", "moving"),
        (NOW + 3 * HOUR, "connected", PAUSE_OVER),
    ]


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_an_end_that_nobody_saw_is_kept_by_the_next_verb(session: Session, verb: str) -> None:
    pause(session, "lakeside", "moving", NOW + HOUR, until=NOW + 3 * HOUR)
    if verb == "pause":
        pause(session, "lakeside", "again", NOW + 20 * HOUR)
    else:
        assert resume(session, "lakeside", NOW + 20 * HOUR) == Resumed(False, (), ())
    assert kept(session, "lakeside/clever") == [
        (NOW + HOUR, "paused", "moving"),
        (NOW + 3 * HOUR, "connected", PAUSE_OVER),
        *([(NOW + 20 * HOUR, "paused", "again")] if verb == "pause" else []),
    ]


def test_of_two_pauses_the_one_of_all_goes_on_after_the_districts_own(session: Session) -> None:
    pause(session, "lakeside", "moving", NOW + HOUR)
    everywhere = pause(session, None, "new release", NOW + 2 * HOUR)
    a_run(session, "lakeside", "clever", RunOutcome.PAUSED, NOW + 2 * HOUR)
    resumed = resume(session, "lakeside", NOW + 3 * HOUR)
    assert resumed == Resumed(True, (everywhere,), ())
    assert maintenance.describe(resumed, "lakeside") == (
        "the pause of district lakeside has ended; another pause continues: all districts"
    )
    assert statuses(session, NOW + 3 * HOUR) == all_but("lakeside/clever", "hilltop/clever")
    assert resume(session, None, NOW + 4 * HOUR) == Resumed(True, (), ("lakeside",))
    assert kept(session, "lakeside/clever") == [
        (NOW + HOUR, "paused", "moving"),
        (NOW + 4 * HOUR, "connected", "the maintenance pause ended"),
    ]


def test_of_two_pauses_the_districts_own_goes_on_after_the_one_of_all(session: Session) -> None:
    own = pause(session, "lakeside", "moving", NOW + HOUR, until=NOW + 9 * HOUR)
    pause(session, None, "new release", NOW + 2 * HOUR)
    for district in ("lakeside", "hilltop"):
        a_run(session, district, "clever", RunOutcome.PAUSED, NOW + 2 * HOUR)
    resumed = resume(session, None, NOW + 3 * HOUR)
    assert resumed == Resumed(True, (own,), ("hilltop",))
    assert maintenance.describe(resumed, None) == (
        "the pause of all districts has ended; another pause continues: lakeside"
    )
    assert statuses(session, NOW + 3 * HOUR) == all_but("lakeside/clever")
    sync_status.record_status_changes(session, None, "a run began", NOW + 20 * HOUR)
    assert kept(session, "lakeside/clever") == [
        (NOW + HOUR, "paused", "moving"),
        (NOW + 9 * HOUR, "connected", PAUSE_OVER),
    ]


@pytest.mark.parametrize("longer", ["lakeside", None])
@pytest.mark.parametrize("end", [NOW + 9 * HOUR, None])
def test_of_two_pauses_the_one_that_ends_last_counts(
    session: Session, longer: str | None, end: datetime | None
) -> None:
    last = pause(session, longer, "moving", NOW, until=end)
    pause(session, None if longer else "lakeside", "new release", NOW, until=NOW + HOUR)
    assert pauses.in_force(session, "lakeside", now=NOW) == last


def test_a_hold_stays_a_hold_after_the_pause(session: Session) -> None:
    holds.add_reason(session, ["lakeside/clever"], "disconnected", run_id=None, now=NOW)
    sync_status.record_status_changes(session, None, "disconnected", NOW)
    pause(session, None, "new release", NOW + HOUR)
    assert statuses(session, NOW + HOUR)["lakeside/clever"] == PAUSED
    resume(session, None, NOW + 2 * HOUR)
    assert statuses(session, NOW + 2 * HOUR)["lakeside/clever"] == ON_HOLD
    assert [hold.codes for hold in store.open_holds(session)] == [["disconnected"]]
    assert kept(session, "lakeside/clever") == [
        (NOW, "on_hold", "disconnected"),
        (NOW + HOUR, "paused", "new release"),
        (NOW + 2 * HOUR, "on_hold", "the maintenance pause ended"),
    ]


def test_resuming_names_the_districts_whose_newest_clever_run_met_the_pause(session: Session) -> None:
    pause(session, None, "new release", NOW + HOUR)
    for district in ("lakeside", "hilltop"):
        leases.record_skipped_run(
            session, district, f"{district}/clever", schools=None, note="paused", now=NOW + timedelta(hours=1)
        )
    # A later run of the district's other source catches nothing up, one of its Clever source does.
    a_run(session, "lakeside", "csv", "done", NOW + 2 * HOUR)
    a_run(session, "hilltop", "clever", "done", NOW + 2 * HOUR)
    assert resume(session, None, NOW + 3 * HOUR) == Resumed(True, (), ("lakeside",))


def test_a_district_missed_is_named_by_its_own_resume_only(session: Session) -> None:
    for district in ("lakeside", "hilltop"):
        pause(session, district, "moving", NOW + HOUR)
        a_run(session, district, "clever", RunOutcome.PAUSED, NOW + HOUR)
    assert resume(session, "hilltop", NOW + 2 * HOUR) == Resumed(True, (), ("hilltop",))


def test_nonsense_is_refused_and_changes_nothing(session: Session) -> None:
    with pytest.raises(NotPossible, match="a pause needs a reason"):
        pause(session, "lakeside", " \n", NOW)
    with pytest.raises(NotPossible, match="the end of the pause is in the past"):
        pause(session, "lakeside", "moving", NOW, until=NOW)
    for verb in (
        lambda district: pause(session, district, "moving", NOW),
        lambda district: resume(session, district, NOW),
    ):
        with pytest.raises(NotFound, match="there is no district nowhere"):
            verb("nowhere")
        with pytest.raises(NotPossible, match="district paper has no Clever source"):
            verb("paper")
    assert list(session.exec(select(Pause))) == []
    assert statuses(session, NOW) == all_but()


def test_a_pause_is_reported_with_its_end_in_the_districts_zone(session: Session) -> None:
    zone = ZoneInfo("America/New_York")
    open_ended = pause(session, "lakeside", "moving", NOW)
    assert pauses.describe(open_ended, zone) == "paused for maintenance until further notice: moving"
    ending = pause(session, "hilltop", "moving", NOW, until=NOW + HOUR)
    assert pauses.describe(ending, zone) == "paused for maintenance until Nov 23, 2026, 5:00 AM EST: moving"
