"""Who gets which mail, and when summaries come."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import col, select

from models.database import Database
from models.tables import District, FileError, Mail
from services.holds import holds
from services.mail import compose, digests, notices
from services.mail.digests import DAILY, WEEKLY, last_due
from services.operations import district_setup
from services.planning.changesets import Reason
from tests.services.settled import set_up

ZONE = ZoneInfo("America/Los_Angeles")
LINCOLN, ADAMS = "unified/lincoln", "unified/adams"
REMOVALS = Reason("data_removals", {"students": {"removed": 50, "before": 100}}, None)
EACH_ONE, DAY_ONE, WEEK_ONE = "each@unified.example", "day@unified.example", "week@unified.example"


def local(day: int, hour: int, minute: int = 0) -> datetime:
    """A moment of March 2026 in the district's time; the 2nd is a Monday, and on the 8th clocks go forward."""
    return datetime(2026, 3, day, hour, minute, tzinfo=ZONE)


@pytest.fixture
def district(database: Database) -> Database:
    with database.transaction() as session:
        set_up(session)
        session.get_one(District, "unified").administrators = [EACH_ONE, DAY_ONE, WEEK_ONE]
        schedule = {DAY_ONE: DAILY, WEEK_ONE: WEEKLY}
        district_setup.set_mail_schedule(session, "unified", schedule, now=local(3, 12))
    return database


def hold(database: Database, school: str, at: datetime) -> None:
    with database.transaction() as session:
        holds.hold_school(session, school, [REMOVALS], run_id=None, delivery_id=None, now=at)


def release(database: Database, school: str, at: datetime) -> None:
    with database.transaction() as session:
        holds.release(session, school, run_id=None, now=at)


def remind(database: Database, at: datetime) -> None:
    with database.transaction() as session:
        notices.add_reminders(session, at)


def mails(database: Database, at: datetime) -> list[tuple[str, list[str]]]:
    with database.transaction() as session:
        made = compose.compose(session, at)
        for mail in session.exec(select(Mail)):
            mail.sent_at = at
    with database.reading() as session:
        found = session.exec(select(Mail).where(col(Mail.id).in_(made)).order_by(col(Mail.id)))
        return [(mail.subject, mail.recipients) for mail in found]


@pytest.mark.parametrize(
    ("often", "now", "due"),
    [
        (DAILY, local(3, 6, 59), local(2, 7)),
        (DAILY, local(3, 7), local(3, 7)),
        (DAILY, local(8, 12), local(8, 7)),
        (WEEKLY, local(2, 6, 59), datetime(2026, 2, 23, 7, tzinfo=ZONE)),
        (WEEKLY, local(2, 7), local(2, 7)),
        (WEEKLY, local(8, 23), local(2, 7)),
        (WEEKLY, local(9, 7), local(9, 7)),
    ],
)
def test_summaries_are_due_at_seven_in_the_districts_time(often: str, now: datetime, due: datetime) -> None:
    assert last_due(often, now.astimezone(ZoneInfo("UTC")), ZONE) == due


def test_each_mail_goes_to_those_who_want_each(district: Database) -> None:
    hold(district, LINCOLN, local(3, 13))
    assert mails(district, local(3, 13)) == [("1 school on hold: Unified", [EACH_ONE])]
    assert mails(district, local(4, 6, 59)) == []
    assert mails(district, local(4, 7)) == [("Daily summary, 1 school on hold: Unified", [DAY_ONE])]
    assert mails(district, local(4, 8)) == []


def test_a_week_of_the_calendar(district: Database) -> None:
    hold(district, LINCOLN, local(3, 13))
    mails(district, local(3, 13))
    hold(district, ADAMS, local(4, 1))
    assert [subject for subject, _ in mails(district, local(4, 1))] == ["1 school on hold: Unified"]
    assert mails(district, local(4, 7, 30)) == [("Daily summary, 2 schools on hold: Unified", [DAY_ONE])]
    release(district, ADAMS, local(5, 1))
    remind(district, local(5, 2))
    assert mails(district, local(5, 2)) == [("1 school no longer on hold: Unified", [EACH_ONE])]
    assert mails(district, local(5, 7)) == [("Daily summary, 1 school no longer on hold: Unified", [DAY_ONE])]
    remind(district, local(6, 2))
    assert mails(district, local(6, 2)) == [("1 school still on hold: Unified", [EACH_ONE])]
    assert mails(district, local(6, 7)) == [("Daily summary, 1 school still on hold: Unified", [DAY_ONE])]
    # Adams was held and released within the week; of Lincoln's reminders a week says nothing more than that it is held.
    assert mails(district, local(9, 7)) == [("Weekly summary, 1 school on hold: Unified", [WEEK_ONE])]
    remind(district, local(10, 2))
    mails(district, local(10, 7))
    assert mails(district, local(16, 7)) == []


def test_a_summary_says_nothing_of_files_that_were_mended(district: Database) -> None:
    with district.transaction() as session:
        places = [("file_missing", "classes.csv", 0)]
        notices.add_file_error_notice(session, "unified", places, run_id=None, now=local(3, 13))
        session.add(FileError(source_id="unified/files", code="file_missing", file="classes.csv"))
    mails(district, local(3, 13))
    assert mails(district, local(4, 7)) == [("Daily summary, files could not be used: Unified", [DAY_ONE])]
    with district.transaction() as session:
        session.delete(session.exec(select(FileError)).one())
    assert mails(district, local(9, 7)) == []


def test_where_everybody_wants_summaries_each_mail_counts_as_sent(district: Database) -> None:
    with district.transaction() as session:
        schedule = dict.fromkeys((EACH_ONE, DAY_ONE, WEEK_ONE), DAILY)
        district_setup.set_mail_schedule(session, "unified", schedule, now=local(3, 12))
    hold(district, LINCOLN, local(3, 13))
    assert mails(district, local(3, 13)) == [("1 school on hold: Unified", [])]
    with district.reading() as session:
        assert [mail.problem for mail in session.exec(select(Mail))] == ["nobody of the district wants each mail"]
    everybody = [EACH_ONE, DAY_ONE, WEEK_ONE]
    assert mails(district, local(4, 7)) == [("Daily summary, 1 school on hold: Unified", everybody)]


def test_a_summary_begins_when_somebody_wants_it(sqlite_database: Database) -> None:
    with sqlite_database.transaction() as session:
        set_up(session)
        session.get_one(District, "unified").administrators = [EACH_ONE]
    hold(sqlite_database, LINCOLN, local(3, 1))
    mails(sqlite_database, local(3, 1))
    with sqlite_database.transaction() as session:
        district_setup.set_mail_schedule(session, "unified", {DAY_ONE: DAILY}, now=local(3, 12))
    assert mails(sqlite_database, local(4, 7)) == []
    hold(sqlite_database, ADAMS, local(4, 9))
    assert mails(sqlite_database, local(5, 7)) == [
        ("1 school on hold: Unified", [EACH_ONE]),
        ("Daily summary, 1 school on hold: Unified", [DAY_ONE]),
    ]


def test_pauses_are_told_only_to_districts_that_want_it(sqlite_database: Database) -> None:
    with sqlite_database.transaction() as session:
        set_up(session)
        session.get_one(District, "unified").administrators = [EACH_ONE]
        notices.add_pause_notice(session, "unified", "paused: new servers", now=local(3, 1))
    assert mails(sqlite_database, local(3, 1)) == [("Clever sync paused for maintenance: Unified", [EACH_ONE])]
    with sqlite_database.transaction() as session:
        district_setup.set_pause_notices(session, "unified", False)
        notices.add_pause_notice(session, "unified", None, now=local(3, 2))
    # Whoever was told of a pause is told of its end.
    assert mails(sqlite_database, local(3, 2)) == [("Clever sync resumed after maintenance: Unified", [EACH_ONE])]
    with sqlite_database.transaction() as session:
        notices.add_pause_notice(session, "unified", "paused: again", now=local(3, 3))
    assert mails(sqlite_database, local(3, 3)) == []
    with sqlite_database.transaction() as session:
        notices.add_pause_notice(session, "unified", None, now=local(3, 4))
    assert mails(sqlite_database, local(3, 4)) == []


@pytest.mark.parametrize(
    ("often", "expected"), [("each", ["A@x.example", "c@x.example"]), ("daily", ["b@x.example"]), ("weekly", [])]
)
def test_addresses_are_compared_without_case(often: str, expected: list[str]) -> None:
    schedule = {"a@x.example": "each", "b@x.example": "daily", "c@x.example": "each", "D@x.example": "never"}
    assert digests.recipients(["A@x.example", "d@x.example"], schedule, often) == expected


def test_summaries_wake_the_sender(district: Database) -> None:
    with district.reading() as session:
        waits = [compose.has_waiting(session, now) for now in (local(4, 6), local(4, 7) + timedelta(minutes=1))]
    assert waits == [False, True]
