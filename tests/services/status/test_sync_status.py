"""Sync status: the first line that fits, the history of changes, and the report's order and numbers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import Session, SQLModel, col, select

from models.database import Database
from models.tables import (
    Account,
    AlertMute,
    Delivery,
    District,
    FileError,
    Hold,
    HoldReason,
    Issue,
    Link,
    Run,
    School,
    SchoolMembership,
    SchoolRun,
    Source,
    StatusChange,
)
from services.school_counts import recount
from services.status.report import DistrictReport, HoldSummary, SchoolReport, district_report
from services.status.sync_status import (
    KeptChange,
    Status,
    changes_since,
    newest_change,
    record_status_changes,
    since,
    statuses,
)

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
LINCOLN, ADAMS = "unified/lincoln", "unified/adams"


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.transaction() as session:
        add(session, District(id="unified", name="Unified", timezone="America/Los_Angeles", administrators=[]))
        for key in ("files", "other"):
            source = Source(
                id=f"unified/{key}",
                district_id="unified",
                key=key,
                kind="csv",
                format="csv-1.0",
                settings={"folder": key},
            )
            add(session, source)
        a_school(session, "lincoln")
        yield session


def add(session: Session, *rows: SQLModel) -> None:
    for row in rows:
        session.add(row)
        session.flush()


def a_school(session: Session, key: str, *, source: str | None = "files", position: int = 0) -> School:
    school = School(
        id=f"unified/{key}",
        district_id="unified",
        key=key,
        name=key.title(),
        source_id=source and f"unified/{source}",
        external_id=source and f"id-{key}",
        position=position,
    )
    add(session, school)
    return school


def lincoln(session: Session) -> School:
    school = session.get(School, LINCOLN)
    assert school is not None
    return school


def a_run(
    session: Session,
    *,
    silent: float = 0,
    processing: bool = True,
    ended: bool = False,
    schools: list[str] | None = None,
    source: str = "files",
) -> Run:
    """A run that showed its last heartbeat so many seconds before NOW."""
    delivery = Delivery(source_id=f"unified/{source}", received_at=NOW, last_received_at=NOW)
    add(session, delivery)
    run = Run(
        district_id="unified",
        source_id=f"unified/{source}",
        delivery_id=delivery.id,
        processing_since=NOW if processing else None,
        schools=schools,
        started_at=NOW - timedelta(hours=1),
        heartbeat_at=NOW - timedelta(seconds=silent),
        ended_at=NOW if ended else None,
    )
    add(session, run)
    return run


def done(session: Session, run: Run, outcome: str, school: str = LINCOLN) -> None:
    assert run.id is not None
    add(
        session,
        SchoolRun(
            run_id=run.id,
            school_id=school,
            source_id=run.source_id,
            delivery_id=run.delivery_id,
            at=NOW,
            outcome=outcome,
        ),
    )


def established(session: Session, school: str = LINCOLN) -> None:
    """An earlier run applied a delivery there."""
    done(session, a_run(session, ended=True), "applied", school)


def on_hold(session: Session, school: str = LINCOLN, *codes: str) -> int:
    hold = Hold(school_id=school, opened_at=NOW)
    add(session, hold)
    assert hold.id is not None
    for code in codes or ("data_removals",):
        add(session, HoldReason(hold_id=hold.id, code=code, since=NOW))
    return hold.id


def status(session: Session, now: datetime = NOW) -> Status | None:
    found = {school.school_id: school.status for school in statuses(session, district_id="unified", now=now)}
    return found[LINCOLN]


def test_connected_once_something_of_its_source_was_applied(session: Session) -> None:
    assert status(session) == Status.SETUP_SYNC
    done(session, a_run(session, ended=True), "unchanged")
    assert status(session) == Status.CONNECTED


@pytest.mark.parametrize("outcome", ["on_hold", "failed"])
def test_what_was_held_or_failed_is_not_applied(session: Session, outcome: str) -> None:
    done(session, a_run(session, ended=True), outcome)
    assert status(session) == Status.SETUP_SYNC


def test_what_a_former_source_applied_does_not_count(session: Session) -> None:
    done(session, a_run(session, ended=True, source="other"), "applied")
    assert status(session) == Status.SETUP_SYNC


def test_off_the_plan_there_is_none_whatever_else_there_is(session: Session) -> None:
    established(session)
    on_hold(session)
    a_run(session)
    lincoln(session).on_plan = False
    session.flush()
    assert status(session) is None


def test_a_school_or_district_no_longer_named_has_none(session: Session) -> None:
    established(session)
    lincoln(session).frozen = True
    session.flush()
    assert status(session) is None
    lincoln(session).frozen = False
    district = session.get(District, "unified")
    assert district is not None
    district.frozen = True
    session.flush()
    assert status(session) is None


def test_without_a_source_it_is_setup_sync_whatever_else_there_is(session: Session) -> None:
    established(session)
    on_hold(session)
    a_run(session)
    lincoln(session).source_id = None
    session.flush()
    assert status(session) == Status.SETUP_SYNC


def test_an_open_hold_comes_before_setup_sync_and_connected(session: Session) -> None:
    hold_id = on_hold(session)
    assert status(session) == Status.ON_HOLD
    established(session)
    assert status(session) == Status.ON_HOLD
    hold = session.get(Hold, hold_id)
    assert hold is not None
    hold.ended_at, hold.ending = NOW, "released"
    session.flush()
    assert status(session) == Status.CONNECTED


def test_a_live_run_that_has_it_in_hand_comes_before_a_hold(session: Session) -> None:
    on_hold(session)
    a_run(session)
    assert status(session) == Status.PROCESSING


@pytest.mark.parametrize(("silent", "expected"), [(299, Status.PROCESSING), (300, Status.CONNECTED)])
def test_a_run_is_live_while_its_heartbeat_is_younger_than_five_minutes(
    session: Session, silent: float, expected: Status
) -> None:
    established(session)
    a_run(session, silent=silent)
    assert status(session) == expected


def test_a_run_has_in_hand_what_it_was_asked_for_and_is_not_done_with(session: Session) -> None:
    established(session)
    run = a_run(session, processing=False)
    assert status(session) == Status.CONNECTED
    run.processing_since = NOW
    run.schools = ["unified/another"]
    session.flush()
    assert status(session) == Status.CONNECTED
    run.schools = [LINCOLN]
    session.flush()
    assert status(session) == Status.PROCESSING
    done(session, run, "failed")
    assert status(session) == Status.CONNECTED


def test_schools_asked_for_are_derived_alone_and_as_among_all(session: Session) -> None:
    a_school(session, "adams", position=1)
    a_school(session, "monroe", position=2)
    run = a_run(session)
    done(session, run, "applied", ADAMS)
    on_hold(session, "unified/monroe")
    among_all = {school.school_id: school for school in statuses(session, now=NOW)}
    assert [(school.school_id, school.status) for school in among_all.values()] == [
        (LINCOLN, Status.PROCESSING),
        (ADAMS, Status.CONNECTED),
        ("unified/monroe", Status.PROCESSING),
    ]
    for school_id, school in among_all.items():
        assert statuses(session, school_ids=[school_id], now=NOW) == [school]
    assert statuses(session, school_ids=[ADAMS, LINCOLN], now=NOW) == [among_all[LINCOLN], among_all[ADAMS]]
    assert statuses(session, school_ids=[], now=NOW) == []


def test_an_ended_run_or_one_of_another_source_has_nothing_of_it_in_hand(session: Session) -> None:
    established(session)
    run = a_run(session, source="other")
    assert status(session) == Status.CONNECTED
    run.source_id, run.ended_at = "unified/files", NOW
    session.flush()
    assert status(session) == Status.CONNECTED


# --- the history ---


def history(session: Session, school: str = LINCOLN) -> list[tuple[datetime, str | None, str]]:
    found = session.exec(select(StatusChange).where(StatusChange.school_id == school).order_by(col(StatusChange.id)))
    return [(change.at, change.status, change.reason) for change in found]


def at(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def test_changes_since_one_are_reported_with_the_status_before_that_was_not_processing(session: Session) -> None:
    a_school(session, "adams")
    add(session, District(id="other", name="Other", timezone="America/Los_Angeles", administrators=[]))
    add(session, School(id="other/lincoln", district_id="other", key="lincoln", name="Lincoln"))
    for minute, school, kept in [
        (0, LINCOLN, "setup_sync"),
        (1, LINCOLN, "processing"),
        (2, LINCOLN, "connected"),
        (2, ADAMS, "on_hold"),
        (3, "other/lincoln", "setup_sync"),
    ]:
        add(session, StatusChange(school_id=school, at=at(minute), status=kept, reason="before"))
    number = newest_change(session)
    assert changes_since(session, "unified", number) == []
    for minute, school, now in [
        (4, LINCOLN, "processing"),
        (4, ADAMS, "processing"),
        (5, "other/lincoln", "connected"),
        (5, LINCOLN, "on_hold"),
        (6, ADAMS, "on_hold"),
        (7, LINCOLN, None),
        (8, LINCOLN, "processing"),
    ]:
        add(session, StatusChange(school_id=school, at=at(minute), status=now, reason=f"{minute}"))
    assert changes_since(session, "unified", number) == [
        KeptChange(number + 1, LINCOLN, at(4), Status.PROCESSING, Status.CONNECTED, "4"),
        KeptChange(number + 2, ADAMS, at(4), Status.PROCESSING, Status.ON_HOLD, "4"),
        KeptChange(number + 4, LINCOLN, at(5), Status.ON_HOLD, Status.CONNECTED, "5"),
        KeptChange(number + 5, ADAMS, at(6), Status.ON_HOLD, Status.ON_HOLD, "6"),
        KeptChange(number + 6, LINCOLN, at(7), None, Status.ON_HOLD, "7"),
        KeptChange(number + 7, LINCOLN, at(8), Status.PROCESSING, None, "8"),
    ]


def test_every_change_is_kept_with_its_time_and_reason_and_nothing_else(session: Session) -> None:
    record_status_changes(session, None, "set up", at(0))
    record_status_changes(session, [LINCOLN], "set up again", at(1))
    established(session)
    record_status_changes(session, [LINCOLN], "delivery 1 applied", at(2))
    lincoln(session).on_plan = False
    session.flush()
    record_status_changes(session, None, "off the plan", at(3))
    record_status_changes(session, None, "nothing new", at(4))
    lincoln(session).on_plan = True
    session.flush()
    record_status_changes(session, None, "on the plan", at(5))
    assert history(session) == [
        (at(0), "setup_sync", "set up"),
        (at(2), "connected", "delivery 1 applied"),
        (at(3), None, "off the plan"),
        (at(5), "connected", "on the plan"),
    ]


def test_only_the_schools_asked_for_are_written(session: Session) -> None:
    a_school(session, "adams")
    record_status_changes(session, [ADAMS], "set up", at(0))
    assert (history(session), len(history(session, ADAMS))) == ([], 1)
    record_status_changes(session, [], "nobody", at(0))
    assert history(session) == []


def test_a_school_off_the_plan_from_the_start_has_no_history(session: Session) -> None:
    lincoln(session).on_plan = False
    session.flush()
    record_status_changes(session, None, "set up", at(0))
    assert history(session) == []


def test_a_change_by_silence_is_kept_with_the_time_it_took_effect(session: Session) -> None:
    established(session)
    a_run(session)
    record_status_changes(session, None, "delivery 2", at(0))
    record_status_changes(session, None, "too early", at(4.9))
    record_status_changes(session, None, "the next run", at(60))
    assert history(session) == [
        (at(0), "processing", "delivery 2"),
        (at(5), "connected", "its run sent no heartbeat for five minutes"),
    ]


def test_a_school_its_run_was_done_with_before_it_fell_silent_was_not_changed_by_silence(session: Session) -> None:
    run = a_run(session)
    record_status_changes(session, None, "delivery 2", at(0))
    done(session, run, "applied")
    record_status_changes(session, None, "applied", at(30))
    assert history(session)[1:] == [(at(30), "connected", "applied")]


# --- the report ---


def a_person(session: Session, number: int, *schools: str, role: str = "teacher", kind: str = "employee") -> Link:
    add(session, Account(id=f"account-{number}", role=role, created_at=NOW))
    return a_link(session, f"link-{number}", f"account-{number}", *schools, role=role, kind=kind)


def a_link(
    session: Session, link_id: str, account: str, *schools: str, role: str = "teacher", kind: str = "employee"
) -> Link:
    link = Link(id=link_id, account_id=account, source_id="unified/files", kind=kind, role=role, external_id=link_id)
    add(session, link)
    for school in schools:
        add(session, SchoolMembership(id=f"{link_id}-{school}", link_id=link_id, school_id=school))
    return link


def the_report(session: Session) -> DistrictReport:
    (found,) = district_report(session, "unified", now=NOW)
    return found


def row_of(session: Session, school: str = LINCOLN) -> SchoolReport:
    return next(row for row in the_report(session).schools if row.school_id == school)


def test_counts_active_accounts_of_the_sync_at_each_school(session: Session) -> None:
    a_school(session, "adams")
    a_person(session, 1, LINCOLN, ADAMS)
    a_person(session, 2, LINCOLN)
    a_link(session, "link-2-again", "account-2", LINCOLN)  # one account, counted once
    a_person(session, 3, LINCOLN, role="staff")
    a_person(session, 4, LINCOLN, role="student", kind="student")
    a_person(session, 5, LINCOLN, role="student", kind="student").archived_at = NOW
    a_person(session, 6, LINCOLN, role="student", kind="student")
    a_person(session, 7, LINCOLN, role="student", kind="student")
    add(session, Account(id="by-hand", role="teacher", district_id="unified", created_at=NOW))
    account = session.get(Account, "account-6")
    membership = session.get(SchoolMembership, f"link-7-{LINCOLN}")
    assert account is not None and membership is not None
    account.archived_at, membership.active = NOW, False
    session.flush()
    recount(session, [ADAMS, LINCOLN])
    session.expire_all()
    assert [(row.key, row.teachers, row.students) for row in the_report(session).schools] == [
        ("adams", 1, 0),
        ("lincoln", 2, 1),
    ]


def an_issue(session: Session, code: str, school: str | None = LINCOLN, source: str = "files") -> None:
    add(session, Issue(source_id=f"unified/{source}", school_id=school, code=code, file="students.csv"))


def test_counts_errors_and_alerts_of_the_present_source(session: Session) -> None:
    for code in ("name_missing", "name_missing", "teacher_email_missing", "phone_invalid"):
        an_issue(session, code)
    an_issue(session, "name_missing", source="other")
    an_issue(session, "enrollment_class_unknown", school=None)
    an_issue(session, "phone_invalid", school=None)
    an_issue(session, "phone_invalid", school=None)
    add(session, FileError(source_id="unified/files", code="quotes_invalid", file="students.csv", line=3))
    found = the_report(session)
    assert [(row.errors, row.alerts) for row in found.schools] == [(3, 1)]
    assert (found.errors, found.alerts, found.file_errors) == (1, 2, 1)


def test_shows_the_open_hold_with_its_reasons(session: Session) -> None:
    assert row_of(session).hold is None
    hold_id = on_hold(session, LINCOLN, "stale", "data_removals")
    assert row_of(session) == SchoolReport(
        school_id=LINCOLN,
        key="lincoln",
        name="Lincoln",
        on_plan=True,
        status=Status.ON_HOLD,
        teachers=0,
        students=0,
        errors=0,
        alerts=0,
        hold=HoldSummary(hold_id, ("data_removals", "stale")),
        pause=None,
        source="CSV files",
    )


def test_says_when_a_sync_last_brought_the_school_up_to_date(session: Session) -> None:
    assert row_of(session).succeeded_at is None
    for hours, outcome in ((5, "applied"), (4, "unchanged"), (3, "on_hold"), (2, "failed")):
        run = Run(district_id="unified", source_id="unified/files", started_at=NOW, heartbeat_at=NOW, ended_at=NOW)
        add(session, run)
        at = NOW - timedelta(hours=hours)
        add(
            session, SchoolRun(run_id=run.id or 0, school_id=LINCOLN, source_id="unified/files", at=at, outcome=outcome)
        )
    assert row_of(session).succeeded_at == NOW - timedelta(hours=4)


def test_muted_alerts_are_not_counted_while_the_mute_lasts_and_errors_always_are(session: Session) -> None:
    for code in ("phone_invalid", "phone_invalid", "birth_date_invalid", "name_missing"):
        an_issue(session, code, LINCOLN)

    def mute(code: str, until: datetime, ended_at: datetime | None = None) -> None:
        mute = AlertMute(
            school_id=LINCOLN,
            code=code,
            reason="known",
            by="it@unified.example",
            at=NOW,
            until=until,
            ended_at=ended_at,
        )
        add(session, mute)

    later = NOW + timedelta(days=1)
    mute("birth_date_invalid", later, ended_at=NOW)
    mute("birth_date_invalid", NOW)
    mute("name_missing", later)
    assert (row_of(session).errors, row_of(session).alerts, row_of(session).muted) == (1, 3, 0)
    mute("phone_invalid", later)
    assert (row_of(session).errors, row_of(session).alerts, row_of(session).muted) == (1, 1, 2)


def test_what_needs_action_comes_first_and_schools_off_the_plan_last(session: Session) -> None:
    off = lincoln(session)
    off.on_plan = False
    for position, key in enumerate(("calm", "alerts", "errors", "both", "first", "new", "busy", "on_hold")):
        a_school(session, key, position=position)
        if key != "new":
            established(session, f"unified/{key}")
    for _ in range(9):
        an_issue(session, "name_missing", LINCOLN)
        an_issue(session, "phone_invalid", "unified/alerts")
    for key in ("errors", "both"):
        an_issue(session, "name_missing", f"unified/{key}")
        an_issue(session, "name_missing", f"unified/{key}")
    an_issue(session, "phone_invalid", "unified/both")
    on_hold(session, "unified/on_hold")
    a_run(session, schools=["unified/busy"])
    assert [(row.key, row.status) for row in the_report(session).schools] == [
        ("on_hold", Status.ON_HOLD),
        ("new", Status.SETUP_SYNC),
        ("busy", Status.PROCESSING),
        ("both", Status.CONNECTED),
        ("errors", Status.CONNECTED),
        ("alerts", Status.CONNECTED),
        ("calm", Status.CONNECTED),
        ("first", Status.CONNECTED),
        ("lincoln", None),
    ]


def test_a_report_is_of_one_district_or_of_all(session: Session) -> None:
    add(session, District(id="valley", name="Valley", timezone="UTC", administrators=[], position=1))
    add(session, School(id="valley/east", district_id="valley", key="east", name="East"))
    assert [(one.district_id, [row.key for row in one.schools]) for one in district_report(session, now=NOW)] == [
        ("unified", ["lincoln"]),
        ("valley", ["east"]),
    ]
    assert [one.district_id for one in district_report(session, "valley", now=NOW)] == ["valley"]


def test_a_status_lasts_through_the_nights_processing(session: Session) -> None:
    kept = ("setup_sync", "processing", "on_hold", "processing", "on_hold", "processing")
    for hours, status in enumerate(kept):
        change = StatusChange(school_id=LINCOLN, at=NOW + timedelta(hours=hours), status=status, reason="x")
        add(session, change)
    at = {status: since(session, LINCOLN, status) for status in (Status.ON_HOLD, Status.PROCESSING, Status.CONNECTED)}
    assert at == {
        Status.ON_HOLD: NOW + timedelta(hours=2),
        Status.PROCESSING: NOW + timedelta(hours=5),
        Status.CONNECTED: None,
    }
    add(session, StatusChange(school_id=LINCOLN, at=NOW + timedelta(hours=6), status=None, reason="x"))
    assert since(session, LINCOLN, None) == NOW + timedelta(hours=6)
