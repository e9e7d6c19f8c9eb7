"""What is noted, when it becomes a mail, and what the mail says."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from sqlmodel import col, select

from models import bulk
from models.database import Database
from models.tables import District, Mail, Notice, Run, Source
from services.holds import holds
from services.intake import deliveries
from services.mail import compose, notices
from services.operations import maintenance
from services.planning.changesets import ITEMS, Reason
from tests.services.settled import NOW, frame, set_up

LINCOLN, ADAMS = "unified/lincoln", "unified/adams"
REMOVALS = Reason("data_removals", {"students": {"removed": 50, "before": 100}}, None)


@pytest.fixture
def district(database: Database) -> Database:
    with database.transaction() as session:
        set_up(session)
        session.get_one(District, "unified").administrators = ["it@unified.example", "head@unified.example"]
    return database


def at(hours: float) -> datetime:
    return NOW + timedelta(hours=hours)


def begin(database: Database) -> int:
    with database.transaction() as session:
        now = bulk.clock(session)
        run = Run(district_id="unified", source_id="unified/files", started_at=now, heartbeat_at=now)
        session.add(run)
        session.flush()
        assert run.id is not None
        return run.id


def end(database: Database, run_id: int) -> None:
    with database.transaction() as session:
        session.get_one(Run, run_id).ended_at = NOW


def hold(database: Database, school: str, *reasons: Reason, run: int | None = None, hours: float = 0) -> None:
    with database.transaction() as session:
        holds.hold_school(session, school, reasons, run_id=run, delivery_id=None, now=at(hours))


def release(database: Database, school: str, run: int | None = None, hours: float = 0) -> None:
    with database.transaction() as session:
        holds.release(session, school, run_id=run, now=at(hours))


def remind(database: Database, hours: float) -> None:
    with database.transaction() as session:
        notices.add_reminders(session, at(hours))


def composed(database: Database, hours: float = 0) -> list[Mail]:
    with database.transaction() as session:
        made = compose.compose(session, at(hours))
    with database.reading() as session:
        return list(session.exec(select(Mail).where(col(Mail.id).in_(made)).order_by(col(Mail.id))))


def subjects(database: Database, hours: float = 0) -> list[str]:
    return [mail.subject for mail in composed(database, hours)]


def sent(database: Database) -> None:
    with database.transaction() as session:
        for mail in session.exec(select(Mail)):
            mail.sent_at = NOW


def test_a_run_gives_one_mail_once_it_has_ended(district: Database) -> None:
    run = begin(district)
    hold(district, LINCOLN, REMOVALS, run=run)
    hold(district, ADAMS, Reason("school_missing", {}, None), run=run)
    assert subjects(district) == []
    end(district, run)
    (mail,) = composed(district)
    assert mail.subject == "2 schools on hold: Unified"
    assert mail.recipients == ["it@unified.example", "head@unified.example"]
    for said in ("Lincoln: 50 of 100 students would be removed", "Adams", "Next step:"):
        assert said in mail.text
    assert subjects(district) == []


@pytest.mark.parametrize("change", ["on_plan = false", "frozen = true"])
def test_a_school_without_a_sync_status_is_in_no_mail(district: Database, change: str) -> None:
    run = begin(district)
    hold(district, LINCOLN, REMOVALS, run=run)
    hold(district, ADAMS, REMOVALS, run=run)
    with district.transaction() as session:
        bulk.execute(session, f"UPDATE school SET {change} WHERE id = :school", {"school": LINCOLN})
    end(district, run)
    (mail,) = composed(district)
    assert (mail.subject, "Lincoln" in mail.text) == ("1 school on hold: Unified", False)


def test_a_run_that_died_is_reported_as_well(district: Database) -> None:
    run = begin(district)
    hold(district, LINCOLN, REMOVALS, run=run)
    with district.transaction() as session:
        session.get_one(Run, run).heartbeat_at -= timedelta(minutes=6)
    assert subjects(district) == ["1 school on hold: Unified"]


def test_what_is_rolled_back_is_not_reported(district: Database) -> None:
    with pytest.raises(RuntimeError), district.transaction() as session:
        holds.hold_school(session, LINCOLN, [REMOVALS], run_id=None, delivery_id=None, now=NOW)
        raise RuntimeError
    assert subjects(district) == []


def test_of_a_school_the_last_state_is_reported(district: Database) -> None:
    run = begin(district)
    hold(district, LINCOLN, REMOVALS, run=run)
    hold(district, ADAMS, REMOVALS, run=run)
    release(district, LINCOLN, run=run)
    end(district, run)
    assert subjects(district) == ["1 school on hold: Unified"]
    run = begin(district)
    release(district, ADAMS, run=run)
    hold(district, ADAMS, REMOVALS, run=run)
    end(district, run)
    assert subjects(district) == []


def test_a_hold_replaced_for_the_same_reasons_is_no_news_and_other_reasons_are(district: Database) -> None:
    hold(district, LINCOLN, REMOVALS)
    composed(district)
    hold(district, LINCOLN, Reason("data_removals", {"students": {"removed": 60, "before": 100}}, None))
    assert subjects(district) == []
    hold(district, LINCOLN, REMOVALS, Reason("school_missing", {}, None))
    assert subjects(district) == ["1 school on hold: Unified"]
    release(district, LINCOLN)
    assert subjects(district) == ["1 school no longer on hold: Unified"]


def test_our_own_failed_run_is_not_mailed(district: Database) -> None:
    hold(district, LINCOLN, Reason("failed_run", {}, None))
    remind(district, hours=48)
    release(district, LINCOLN)
    assert subjects(district) == []


def test_a_reminder_comes_daily_while_holds_last_and_the_one_before_was_sent(district: Database) -> None:
    hold(district, LINCOLN, REMOVALS)
    hold(district, ADAMS, Reason("failed_run", {}, None))
    assert subjects(district) == ["1 school on hold: Unified"]
    remind(district, hours=24)
    assert subjects(district) == []  # the server has not had the first one yet
    sent(district)
    remind(district, hours=19)
    assert subjects(district) == []
    remind(district, hours=24)
    (mail,) = composed(district)
    assert mail.subject == "1 school still on hold: Unified"
    assert "50 of 100 students would be removed" in mail.text
    sent(district)
    remind(district, hours=25)
    assert subjects(district) == []
    remind(district, hours=48)
    assert subjects(district) == ["1 school still on hold: Unified"]
    sent(district)
    release(district, LINCOLN, hours=50)
    composed(district)
    sent(district)
    remind(district, hours=96)
    assert subjects(district) == []


def test_a_reminder_says_what_holds_now(district: Database) -> None:
    hold(district, LINCOLN, REMOVALS)
    composed(district)
    sent(district)
    hold(
        district, LINCOLN, Reason("data_removals", {"students": {"removed": 60, "before": 100}}, None, PLANTED), hours=5
    )
    remind(district, hours=24)
    (mail,) = composed(district)
    assert "* Lincoln: 60 of 100 students would be removed\n" in mail.text


NAME, EMAIL, PHONE = "Zebulonia", "zebulonia@planted.example", "2025550147"
PLANTED = frame(ITEMS, [{"code": "x", "type": "x", "key": "x", "name": NAME, "before": EMAIL, "after": PHONE}])
TOGETHER = {"district_students": {"here": 60, "removed": 180, "before": 3000, "schools": 3}}
CHANGES = {"students_last_name": {"changed": 30, "before": 40}, "guardianships": {"added": 51, "before": 60}}


@pytest.mark.parametrize(
    ("reasons", "seen", "title"),
    [
        (
            [Reason("data_removals", REMOVALS.counts, "students.csv has shrunk.", PLANTED)],
            "50 of 100 students would be removed; students.csv has shrunk",
            "Many people or classes would be removed",
        ),
        ([Reason("school_missing", {}, None)], "", "The school is missing from the files"),
        (
            [Reason("unusual_changes", CHANGES, None, PLANTED)],
            "30 of 40 students would change their last name; 51 guardians would be added to students who have 60 now",
            "Many people would change at once",
        ),
        (
            [Reason("unusual_changes", {"guardians_phone": {"emptied": 24, "before": 30}}, None, PLANTED)],
            "24 of 30 guardians would lose their phone, and nobody keeps one",
            "Many people would change at once",
        ),
        (
            [Reason("data_removals", {"students": {"ids": 30, "before": 40}, "classes": {"removed": 1, "before": 1}})],
            "the IDs of 30 of 40 students would change; the only class would be removed",
            "Many people or classes would be removed",
        ),
        (
            [Reason("data_removals", TOGETHER, "The school is within its own limits.", PLANTED)],
            "180 of 3000 students of all schools together would no longer be at any of them, 60 of them from this"
            " school; The school is within its own limits",
            "Many people or classes would be removed",
        ),
        (
            [Reason("too_many_guardians", {"students": {"found": 1, "limit": 6}}, None, PLANTED)],
            "1 student has 6 or more guardians",
            "A student has six or more guardians",
        ),
        (
            [
                Reason("too_many_guardians", {"students": {"found": 2, "limit": 6}}, None, PLANTED),
                Reason("emergency_contacts", {"emergency": {"found": 1}, "secondary": {"found": 3}}, None, PLANTED),
            ],
            "1 emergency contact; 3 secondary contacts; 2 students have 6 or more guardians",
            "Emergency contacts are in the files",
        ),
        (
            [Reason("disconnected", {}, "the drop folder cannot be read")],
            "The drop folder cannot be read",
            "The connection to the drop folder is broken",
        ),
        ([Reason("stale", {}, None)], "", "No files for 90 days"),
        ([Reason("file_errors", {}, None)], "", "The files could not be used"),
    ],
)
def test_a_mail_says_in_both_forms_which_schools_why_and_what_to_do_and_nothing_of_people(
    district: Database, reasons: Sequence[Reason], seen: str, title: str
) -> None:
    for school in (LINCOLN, ADAMS):
        hold(district, school, *reasons)
    told = [*composed(district)]
    sent(district)
    remind(district, hours=24)
    told += composed(district, hours=24)
    assert [mail.subject for mail in told] == ["2 schools on hold: Unified", "2 schools still on hold: Unified"]
    for mail in told:
        as_html = html.unescape(re.sub(r"<[^>]*>", " ", mail.html.partition("<body")[2]))
        assert words(as_html.partition(">")[2]) == words(mail.text)
        text = " ".join(mail.text.split())
        for said in ("* Lincoln", "* Adams", seen, title, "Next step: "):
            assert said in text
        assert [each for each in (NAME, EMAIL, PHONE, "@") if each in mail.subject + mail.text + mail.html] == []


def words(text: str) -> list[str]:
    return sorted(re.findall(r"\w+", text.lower()))


def test_file_errors_are_reported_with_the_schools_and_what_is_wrong(district: Database) -> None:
    run = begin(district)
    with district.transaction() as session:
        places = [("columns_invalid", "students.csv", 3), ("file_missing", "classes.csv", 0)]
        notices.add_file_error_notice(session, "unified", places, run_id=run, now=NOW)
        holds.add_reason(session, [LINCOLN, ADAMS], "file_errors", run_id=run, now=NOW)
    end(district, run)
    (mail,) = composed(district)
    assert mail.subject == "2 schools on hold, files could not be used: Unified"
    for said in ("* Lincoln", "* Adams", "students.csv (3 rows)", "A file is missing - classes.csv"):
        assert said in mail.text


def test_coming_staleness_is_reported_once_for_each_delivery(district: Database) -> None:
    def noted(days: float) -> list[str]:
        with district.transaction() as session:
            deliveries.add_staleness_notice(session, NOW + timedelta(days=days))
        return subjects(district)

    with district.transaction() as session:
        session.get_one(Source, "unified/files").last_received_at = NOW
    assert noted(75) == []
    assert noted(76.5) == ["New files needed soon: Unified"]
    assert noted(77) == []
    with district.transaction() as session:
        session.get_one(Source, "unified/files").last_received_at = NOW + timedelta(days=80)
    assert noted(81) == []
    assert noted(157) == ["New files needed soon: Unified"]


def test_a_pause_is_reported_when_it_begins_and_when_it_is_over(district: Database) -> None:
    with district.transaction() as session:
        source = session.get_one(Source, "unified/files")
        source.kind, source.format, source.pausable = "clever", "clever-3", True
    with district.transaction() as session:
        maintenance.pause(session, None, reason="new servers", until=at(5), by="ops", now=NOW)
    (mail,) = composed(district)
    assert mail.subject == "Clever sync paused for maintenance: Unified"
    assert "until Mar 2, 2026, 6:00 AM PST: new servers" in " ".join(mail.text.split())
    with district.transaction() as session:
        maintenance.add_notices_of_ended_pauses(session, at(4))
    assert subjects(district) == []
    with district.transaction() as session:
        maintenance.add_notices_of_ended_pauses(session, at(5))
    assert subjects(district) == ["Clever sync resumed after maintenance: Unified"]
    with district.transaction() as session:
        maintenance.resume(session, None, by="ops", now=at(6))
    assert subjects(district) == []


def test_a_csv_district_hears_of_no_pause(district: Database) -> None:
    with district.transaction() as session:
        maintenance.pause(session, None, reason="new servers", until=None, by="ops", now=NOW)
    assert subjects(district) == []


def test_the_footer_is_true_of_everybody_who_gets_the_mail(district: Database) -> None:
    hold(district, LINCOLN, REMOVALS)
    (mail,) = composed(district)
    why = "You are receiving this email because you're set up to receive email about Unified."
    assert why in " ".join(mail.text.split())
    assert why in html.unescape(mail.html)


def test_without_administrators_a_mail_counts_as_sent(district: Database) -> None:
    with district.transaction() as session:
        session.get_one(District, "unified").administrators = []
    hold(district, LINCOLN, REMOVALS)
    (mail,) = composed(district)
    assert (mail.recipients, mail.sent_at, mail.problem) == ([], NOW, compose.NO_ADMINISTRATORS)


def test_names_can_neither_add_a_header_nor_markup(district: Database) -> None:
    with district.transaction() as session:
        session.get_one(District, "unified").name = "Uni\r\nBcc: x@y.example <b>fied"
    hold(district, LINCOLN, REMOVALS)
    (mail,) = composed(district)
    assert mail.subject == "1 school on hold: Uni Bcc: x@y.example <b>fied"
    assert "<b>" not in mail.html


def test_composing_again_makes_nothing_and_each_mail_has_an_id_of_its_own(district: Database) -> None:
    hold(district, LINCOLN, REMOVALS)
    composed(district)
    release(district, LINCOLN)
    composed(district)
    assert composed(district) == []
    with district.reading() as session:
        assert len(set(session.exec(select(Mail.message_id)))) == 2
        assert session.exec(select(Notice).where(col(Notice.mail_id).is_(None))).all() == []


@pytest.mark.parametrize("url", ["", "https://rollcall.example"])
def test_a_mail_links_to_the_pages_of_what_it_speaks_of_where_the_report_has_an_address(
    district: Database, url: str
) -> None:
    hold(district, LINCOLN, REMOVALS)
    hold(district, ADAMS, REMOVALS)
    with district.transaction() as session:
        (number,) = compose.compose(session, NOW, url)
        mail = session.get_one(Mail, number)
    expected = [f"{url}/schools/{LINCOLN}", f"{url}/schools/{ADAMS}", f"{url}/districts/unified"] if url else []
    assert re.findall(r'<a href="([^"]+)"', mail.html) == expected
    assert re.findall(r"https?://\S+", mail.text) == expected
    assert ("contact your Rollcall operator" in " ".join(mail.text.split())) is not bool(url)
