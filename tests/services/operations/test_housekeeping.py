"""What housekeeping removes and what it leaves, at the edges of each rule."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from sqlmodel import Session, col, select

from errors import NotPossible, TransientError
from models import bulk
from models.database import Database
from models.tables import (
    Decision,
    Delivery,
    District,
    Hold,
    HoldItem,
    Issue,
    Mail,
    Notice,
    Pause,
    ReportSession,
    Run,
    School,
    SchoolRun,
    SignInLink,
    Source,
    StatusChange,
)
from services.access import sessions, sign_in
from services.holds import holds
from services.intake import deliveries
from services.intake.landing_area import LandingArea
from services.mail import compose, notices
from services.operations import maintenance
from services.operations.housekeeping import Cleaned, clean
from services.status.sync_status import record_status_changes
from services.sync import requests
from tests.object_storage import store, stored
from tests.services.settled import set_up

NOW = datetime(2026, 11, 24, 14, 0, tzinfo=UTC)
DAY = timedelta(days=1)
# One day before, exactly at, and one second after the thirty days.
EDGES = [(29 * DAY, False), (30 * DAY, False), (30 * DAY + timedelta(seconds=1), True)]
NUMBERS = count()
SOURCE, LINCOLN = "unified/files", "unified/lincoln"


@pytest.fixture
def started(database: Database) -> Database:
    with database.transaction() as session:
        set_up(session)
        bulk.execute(session, "DELETE FROM delivery")
    return database


EITHER_PLACE = pytest.mark.parametrize("landing", ["folder", "s3"], indirect=True)


@pytest.fixture
def landing(request: pytest.FixtureRequest, tmp_path: Path) -> LandingArea:
    """An empty landing area: in a folder, but for the tests of EITHER_PLACE."""
    if getattr(request, "param", "folder") == "folder":
        return LandingArea.of_folder(tmp_path / "landing")
    area: LandingArea = request.getfixturevalue("landing_on_s3")
    return area


def folder(place: Path, name: str, age: timedelta) -> Path:
    made = place / name
    made.mkdir(parents=True)
    (made / "students.csv").write_text("student_id\n")
    at = (NOW - age).timestamp()
    os.utime(made, (at, at))
    return made


def kept_for(age: timedelta) -> str:
    """A path of a delivery that landed so long ago."""
    return f"{SOURCE}/{NOW - age:%Y%m%dT%H%M%SZ}-{next(NUMBERS):08x}"


def delivered(session: Session, landing: LandingArea, age: timedelta) -> int:
    """A clean delivery taken so long ago, with its folder."""
    row = Delivery(
        source_id=SOURCE, received_at=NOW - age, last_received_at=NOW - age, outcome="clean", digest="", path=""
    )
    session.add(row)
    session.flush()
    assert row.id is not None
    row.path = kept_for(age)
    store(landing, f"{row.path}/students.csv", b"student_id\n")
    session.add(row)
    session.flush()
    return row.id


def done(
    session: Session, delivery_id: int, *, source: str = SOURCE, outcome: str = "applied", at: datetime = NOW
) -> None:
    """A run that did the delivery at Lincoln."""
    run = Run(
        district_id="unified", source_id=source, delivery_id=delivery_id, started_at=at, heartbeat_at=at, ended_at=at
    )
    session.add(run)
    session.flush()
    assert run.id is not None
    session.add(
        SchoolRun(run_id=run.id, school_id=LINCOLN, source_id=source, delivery_id=delivery_id, at=at, outcome=outcome)
    )
    session.flush()


def there(database: Database, landing: LandingArea) -> set[int | None]:
    """The deliveries whose files are there, by what is stored; it agrees with the landing area."""
    with database.reading() as session:
        rows = {row.id: f"{row.path}/students.csv" for row in session.exec(select(Delivery)) if row.path}
    assert set(stored(landing)) == set(rows.values())
    return set(rows)


@EITHER_PLACE
@pytest.mark.parametrize(("age", "goes"), EDGES)
def test_a_deliverys_files_are_kept_for_thirty_days_and_its_row_for_ever(
    started: Database, landing: LandingArea, age: timedelta, goes: bool
) -> None:
    with started.transaction() as session:
        old = delivered(session, landing, age)
        new = delivered(session, landing, DAY)
    assert clean(started, landing=landing, now=NOW) == Cleaned(deliveries=int(goes))
    assert there(started, landing) == ({new} if goes else {old, new})
    with started.reading() as session:
        assert [row.id for row in session.exec(select(Delivery).order_by(col(Delivery.id)))] == [old, new]
    assert clean(started, landing=landing, now=NOW) == Cleaned()


def test_a_duplicate_makes_a_delivery_younger(started: Database, landing: LandingArea) -> None:
    with started.transaction() as session:
        old = delivered(session, landing, 90 * DAY)
        session.get(Delivery, old).last_received_at = NOW - 30 * DAY  # type: ignore[union-attr]
    assert clean(started, landing=landing, now=NOW) == Cleaned()
    assert there(started, landing) == {old}


def _current(session: Session, delivery_id: int) -> None:
    bulk.execute(session, "UPDATE source SET current_delivery_id = :id", {"id": delivery_id})


def _last_taken(session: Session, delivery_id: int) -> None:
    bulk.execute(session, "UPDATE source SET last_delivery_id = :id", {"id": delivery_id})


def _last_applied(session: Session, delivery_id: int) -> None:
    done(session, delivery_id, at=NOW - 60 * DAY)
    done(session, delivery_id + 1, outcome="on_hold")


def _held(session: Session, delivery_id: int) -> None:
    session.add(Hold(school_id=LINCOLN, delivery_id=delivery_id, opened_at=NOW))


def _in_hand_of_a_dead_run(session: Session, delivery_id: int) -> None:
    long_ago = NOW - 60 * DAY
    session.add(
        Run(
            district_id="unified",
            source_id=SOURCE,
            delivery_id=delivery_id,
            started_at=long_ago,
            heartbeat_at=datetime.now(UTC) - timedelta(minutes=6),
        )
    )


@pytest.mark.parametrize("need", [_current, _last_taken, _last_applied, _held, _in_hand_of_a_dead_run])
def test_what_is_still_needed_stays(
    started: Database, landing: LandingArea, need: Callable[[Session, int], None]
) -> None:
    with started.transaction() as session:
        needed = delivered(session, landing, 99 * DAY)
        delivered(session, landing, 99 * DAY)
        need(session, needed)
    assert clean(started, landing=landing, now=NOW) == Cleaned(deliveries=1)
    assert there(started, landing) == {needed}
    with started.reading() as session:
        still_open = session.exec(select(Run).where(col(Run.ended_at).is_(None))).all()
        assert len(still_open) == (1 if need is _in_hand_of_a_dead_run else 0)


def test_what_was_needed_goes_with_the_need(started: Database, landing: LandingArea) -> None:
    with started.transaction() as session:
        old, new = delivered(session, landing, 99 * DAY), delivered(session, landing, DAY)
        done(session, old, at=NOW - 60 * DAY)
        done(session, new)
        session.add(Hold(school_id=LINCOLN, delivery_id=old, opened_at=NOW, ended_at=NOW, ending="released"))
    clean(started, landing=landing, now=NOW)
    assert there(started, landing) == {new}


def test_a_delivery_whose_files_are_removed_is_refused_in_plain_words(started: Database, landing: LandingArea) -> None:
    with started.transaction() as session:
        old = delivered(session, landing, 31 * DAY)
    clean(started, landing=landing, now=NOW)
    said = f"the files of delivery {old} were deleted after 30 days without use"
    with started.transaction() as session:
        with pytest.raises(NotPossible, match=said):
            requests.sync_requests(session, "unified", None, old)
        source = session.get(Source, SOURCE)
        assert source is not None
        with pytest.raises(NotPossible, match=said):
            deliveries.choose_delivery(session, source, old)


def test_a_district_in_hand_is_left_for_the_next_time(started: Database, landing: LandingArea) -> None:
    with started.transaction() as session:
        old = delivered(session, landing, 99 * DAY)
        session.add(Run(district_id="unified", source_id=SOURCE, started_at=NOW, heartbeat_at=datetime.now(UTC)))
    folder(landing.scratch / SOURCE, ".taking-abc", 2 * DAY)
    assert clean(started, landing=landing, now=NOW) == Cleaned(busy=1)
    with started.transaction() as session:
        assert session.get(Delivery, old).path  # type: ignore[union-attr]
        bulk.execute(session, "UPDATE run SET ended_at = :now", {"now": NOW})
    assert clean(started, landing=landing, now=NOW) == Cleaned(deliveries=1, folders=1)


@EITHER_PLACE
@pytest.mark.parametrize(("age", "goes"), [(DAY, False), (DAY + timedelta(seconds=1), True)])
def test_what_killed_runs_left_in_the_landing_area_goes_after_a_day(
    started: Database, landing: LandingArea, age: timedelta, goes: bool
) -> None:
    elsewhere = kept_for(age).replace("unified", "elsewhere")
    kept = [f"{kept_for(age)}/students.csv", f"{SOURCE}/notes/a.csv", f"{elsewhere}/a.csv"]
    for path in kept:
        store(landing, path, b"half")
    left_over = [
        folder(landing.scratch / SOURCE, ".taking-abc", age),
        folder(landing.scratch, ".preview-abc", age),
        folder(landing.scratch, ".reading-abc", age),
    ]
    assert clean(started, landing=landing, now=NOW) == Cleaned(folders=4 if goes else 0)
    assert [place.exists() for place in left_over] == [not goes] * 3
    assert [path in stored(landing) for path in kept] == [not goes, True, True]


def test_files_left_by_a_killed_housekeeping_are_a_left_over(started: Database, landing: LandingArea) -> None:
    with started.transaction() as session:
        delivered(session, landing, 31 * DAY)
        bulk.execute(session, "UPDATE delivery SET path = ''")
    assert clean(started, landing=landing, now=NOW) == Cleaned(folders=1)


def test_a_folder_that_cannot_be_removed_is_said_when_all_else_is_done(
    started: Database, landing: LandingArea, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started.transaction() as session:
        delivered(session, landing, 31 * DAY)
        session.add(sent_mail(31 * DAY))

    def refuse(place: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("fsspec.implementations.local.shutil.rmtree", refuse)
    with pytest.raises(TransientError, match=r"the landing area .* cannot be written \(Permission denied\)"):
        clean(started, landing=landing, now=NOW)
    with started.reading() as session:
        assert session.exec(select(Mail)).all() == []


def shown_by(session: Session, age: timedelta | None, *, decided: bool = False) -> int:
    """A hold of Lincoln that showed one student, ended so long ago; None: still open."""
    hold = Hold(school_id=LINCOLN, opened_at=NOW - 99 * DAY)
    if age is not None:
        hold.ended_at, hold.ending = NOW - age, "replaced"
    session.add(hold)
    session.flush()
    assert hold.id is not None
    session.add(HoldItem(hold_id=hold.id, type="students", key="k", name="Ann Moss"))
    if decided:
        session.add(Decision(hold_id=hold.id, verb="confirm", by="ops", at=NOW))
    session.flush()
    return hold.id


def shown(database: Database) -> set[int]:
    with database.reading() as session:
        return set(session.exec(select(HoldItem.hold_id)))


@pytest.mark.parametrize(("age", "goes"), EDGES)
def test_evidence_of_ended_holds_is_kept_for_thirty_days(
    started: Database, landing: LandingArea, age: timedelta, goes: bool
) -> None:
    with started.transaction() as session:
        ended, still_open = shown_by(session, age), shown_by(session, None)
    assert clean(started, landing=landing, now=NOW) == Cleaned(evidence=int(goes))
    assert shown(started) == ({still_open} if goes else {ended, still_open})
    with started.reading() as session:
        assert [hold.id for hold in session.exec(select(Hold).order_by(col(Hold.id)))] == [ended, still_open]


def test_evidence_of_a_decision_that_waits_stays(started: Database, landing: LandingArea) -> None:
    with started.transaction() as session:
        decided = shown_by(session, 99 * DAY, decided=True)
    assert clean(started, landing=landing, now=NOW) == Cleaned()
    assert shown(started) == {decided}


@pytest.mark.parametrize(("age", "goes"), EDGES)
def test_issues_of_a_source_that_a_school_has_left_are_kept_for_thirty_days(
    started: Database, landing: LandingArea, age: timedelta, goes: bool
) -> None:
    with started.transaction() as session:
        session.add(Source(id="unified/new", district_id="unified", key="new", kind="csv", format="csv-1.0"))
        first, second = delivered(session, landing, DAY), delivered(session, landing, DAY)
        session.add(Issue(source_id=SOURCE, school_id=LINCOLN, code="name_missing", file="students.csv"))
        session.add(Issue(source_id=SOURCE, school_id="unified/adams", code="name_missing", file="students.csv"))
        session.add(Issue(source_id=SOURCE, code="school_unknown", file="students.csv"))
        done(session, first, at=NOW - age)
        school = session.get(School, LINCOLN)
        assert school is not None
        school.source_id = "unified/new"
    # Until the new source has been at work they are the last there are.
    assert clean(started, landing=landing, now=NOW) == Cleaned()
    with started.transaction() as session:
        done(session, second, source="unified/new")
        session.add(Issue(source_id="unified/new", school_id=LINCOLN, code="name_missing", file="students.csv"))
    assert clean(started, landing=landing, now=NOW) == Cleaned(issues=int(goes))
    with started.reading() as session:
        left = session.exec(select(Issue.source_id, Issue.school_id).order_by(col(Issue.id))).all()
    assert left == [
        *([] if goes else [(SOURCE, LINCOLN)]),
        (SOURCE, "unified/adams"),
        (SOURCE, None),
        ("unified/new", LINCOLN),
    ]


def sent_mail(age: timedelta | None) -> Mail:
    return Mail(
        district_id="unified",
        message_id=f"<{age}@rollcall.example>",
        recipients=["it@unified.example"],
        subject="On hold",
        text="",
        html="",
        created_at=NOW - 99 * DAY,
        sent_at=None if age is None else NOW - age,
    )


@pytest.mark.parametrize(("age", "goes"), EDGES)
def test_sent_mails_are_kept_for_thirty_days(
    started: Database, landing: LandingArea, age: timedelta, goes: bool
) -> None:
    with started.transaction() as session:
        mails = [sent_mail(age), sent_mail(None)]
        session.add_all(mails)
        session.flush()
        session.add_all(
            Notice(district_id="unified", kind="on_hold", at=NOW, mail_id=mail_id)
            for mail_id in (mails[0].id, mails[1].id, None)
        )
        waiting = mails[1].id
    assert clean(started, landing=landing, now=NOW) == Cleaned(mails=int(goes))
    with started.reading() as session:
        assert len(session.exec(select(Mail)).all()) == (1 if goes else 2)
        told = {notice.mail_id for notice in session.exec(select(Notice))}
    assert told == ({waiting, None} if goes else {mails[0].id, waiting, None})


@pytest.mark.parametrize(("age", "goes"), EDGES)
def test_a_mail_given_up_is_kept_for_thirty_days(
    started: Database, landing: LandingArea, age: timedelta, goes: bool
) -> None:
    with started.transaction() as session:
        for attempts in (notices.ATTEMPTS - 1, notices.ATTEMPTS):
            mail = sent_mail(None)
            mail.message_id, mail.created_at, mail.attempts = f"{attempts}", NOW - age, attempts
            session.add(mail)
    assert clean(started, landing=landing, now=NOW) == Cleaned(mails=int(goes))
    with started.reading() as session:
        assert session.exec(select(Mail.attempts).order_by(col(Mail.id))).all() == [4] if goes else [4, 5]


def told(database: Database) -> list[tuple[str, bool]]:
    """The notices there are: their kind, and whether they are in a mail."""
    with database.reading() as session:
        return [(each.kind, each.mail_id is not None) for each in session.exec(select(Notice).order_by(col(Notice.id)))]


def test_what_nobody_could_be_mailed_of_goes_as_well(started: Database, landing: LandingArea) -> None:
    """The district has no administrators."""
    with started.transaction() as session:
        assert session.get_one(District, "unified").administrators == []
        holds.add_reason(session, [LINCOLN], "school_missing", run_id=None, now=NOW)
        notices.add_file_error_notice(session, "unified", [("file_missing", "classes.csv", 0)], run_id=None, now=NOW)
        compose.compose(session, NOW)
        holds.release(session, LINCOLN, now=NOW)
        compose.compose(session, NOW)
    assert told(started) == [("on_hold", True), ("file_errors", True), ("released", True)]
    clean(started, landing=landing, now=NOW + 30 * DAY)
    assert len(told(started)) == 3
    assert clean(started, landing=landing, now=NOW + 31 * DAY).mails == 2
    assert told(started) == []


def test_what_was_reported_a_hold_or_pause_that_goes_on_stays_until_its_end_is_reported(
    started: Database, landing: LandingArea
) -> None:
    with started.transaction() as session:
        bulk.execute(session, "UPDATE source SET kind = 'clever', format = 'clever-3', pausable = true")
        holds.add_reason(session, [LINCOLN, "unified/adams"], "school_missing", run_id=None, now=NOW)
        compose.compose(session, NOW)
        maintenance.pause(session, None, reason="new disks", until=None, by="ops", now=NOW)
        compose.compose(session, NOW)
    later = NOW + 31 * DAY
    assert clean(started, landing=landing, now=later).mails == 0
    with started.transaction() as session:
        maintenance.resume(session, None, by="ops", now=later)
        for school in (LINCOLN, "unified/adams"):
            holds.release(session, school, now=later)
        compose.compose(session, later)
    assert told(started)[3:] == [("resume", True), ("released", True), ("released", True)]
    assert clean(started, landing=landing, now=later).mails == 2
    assert told(started) == [("resume", True), ("released", True), ("released", True)]


def test_a_status_that_time_alone_changed_is_recorded(started: Database, landing: LandingArea) -> None:
    raised = NOW - timedelta(hours=3)
    with started.transaction() as session:
        bulk.execute(session, "UPDATE source SET kind = 'clever', pausable = true")
        session.add(
            Pause(reason="new disks", by="ops", started_at=raised, until=raised + timedelta(hours=1), district_id=None)
        )
        session.flush()
        record_status_changes(session, None, reason="new disks", now=raised)
    clean(started, landing=landing, now=NOW)
    with started.reading() as session:
        kept = session.exec(
            select(StatusChange.status, StatusChange.at, StatusChange.reason)
            .where(StatusChange.school_id == LINCOLN)
            .order_by(col(StatusChange.id))
        ).all()
    assert kept == [
        ("paused", raised, "new disks"),
        ("setup_sync", raised + timedelta(hours=1), "the maintenance pause ended as scheduled"),
    ]


def test_what_was_begun_to_sign_in_is_kept_for_a_day_and_sessions_for_thirty(
    started: Database, landing: LandingArea
) -> None:
    with started.transaction() as session:
        for age in (timedelta(hours=23), 2 * DAY, 31 * DAY):
            sign_in.make(session, "it@unified.example", now=NOW - age)
            sessions.begin(session, "it@unified.example", "link", now=NOW - age)
    assert clean(started, landing=landing, now=NOW) == Cleaned(sign_ins=3)
    with started.reading() as session:
        links = [NOW - link.created_at for link in session.exec(select(SignInLink))]
        begun = [NOW - each.created_at for each in session.exec(select(ReportSession).order_by(col(ReportSession.id)))]
    assert (links, begun) == ([timedelta(hours=23)], [timedelta(hours=23), 2 * DAY])


def test_what_went_is_reported() -> None:
    assert str(Cleaned()) == "nothing to remove"
    assert str(Cleaned(deliveries=2, mails=1, busy=1)) == (
        "removed 2 deliveries' files, 1 email; skipped 1 district with a sync in progress"
    )


def test_copies_of_the_database_are_kept_for_thirty_days(sqlite_database: Database, tmp_path: Path) -> None:
    backups = tmp_path / "backups"
    backups.mkdir()
    for age, _ in EDGES:
        copy = backups / f"rollcall-{age.total_seconds():.0f}.sqlite"
        copy.touch()
        os.utime(copy, ((NOW - age).timestamp(),) * 2)
    area = LandingArea.of_folder(tmp_path / "landing")
    assert clean(sqlite_database, landing=area, now=NOW, backups=backups) == Cleaned(copies=1)
    assert sorted(copy.name for copy in backups.iterdir()) == ["rollcall-2505600.sqlite", "rollcall-2592000.sqlite"]
