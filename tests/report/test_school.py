"""A school's page: what it shows, its hold reviewed and decided, its issues downloaded and muted, its nights."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from sqlmodel import col, select

from models import bulk
from models.database import Database
from models.tables import AlertMute, AuditEntry, Decision, Hold, School, Source
from report.app import Report
from services import clock
from services.access import audit
from services.holds import store
from tests.end_to_end.nights import play
from tests.report.conftest import LINCOLN_OFFICE, OPERATOR, RIVERBEND, UNIFIED, Browser

LINCOLN, JEFFERSON = "/schools/unified/lincoln", "/schools/unified/jefferson"
HOSTILE = "<script>alert(1)</script>{{7*7}}\u202e=1+1" + "A" * 10_000


@pytest.fixture
def kind() -> str:
    """The pages' SQL is tested with their services, on both kinds of database."""
    return "sqlite"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, list[str] | None]]]:
    """What processing was started for."""
    asked: list[tuple[str, list[str] | None]] = []
    monkeypatch.setattr(Report, "start", lambda self, district_id, schools: asked.append((district_id, schools)))
    yield asked


def waited(asked: list[Any]) -> list[Any]:
    """What was started in the background, once something was."""
    for _ in range(200):
        if asked:
            break
        time.sleep(0.01)
    return asked


def landing(database: Database) -> Path:
    with database.reading() as session:
        return Path(session.get_one(Source, "unified/files").settings["folder"]).parents[1] / "landing"


def text(html: str) -> str:
    """A page's words."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def audited(database: Database) -> list[tuple[str, str, str | None, str | None, str | None]]:
    """Who did what, oldest first."""
    with database.reading() as session:
        found = session.exec(select(AuditEntry).order_by(col(AuditEntry.id))).all()
    return [(entry.actor, entry.action, entry.school_id, entry.subject, entry.detail) for entry in found]


def hold_of(database: Database, school: str = "unified/jefferson") -> int:
    with database.reading() as session:
        row = store.open_hold(session, school)
    assert row is not None
    assert row.id is not None
    return row.id


def decided(database: Database) -> list[tuple[int, str, str, str | None]]:
    with database.reading() as session:
        return [(each.hold_id, each.verb, each.by, each.why) for each in session.exec(select(Decision))]


# --- what is shown ----------------------------------------------------------------------------------------------------


def test_a_school_with_errors_says_what_to_do(browser: Browser, samples: Database) -> None:
    answer = browser(UNIFIED).get(LINCOLN)
    page = text(answer.text)
    assert answer.status_code == 200
    for said in (
        "Connected since",
        "School office Correct the records with errors in your SIS.",
        "4 Errors",
        "7 Alerts",
        "Fix these 3 records first to take care of up to 10 records",
        "Mónica Colón : Teacher without an email address (teachers.csv:16, ID T07002)",
        "Teacher without an email address 1 record The teacher has no email address.",
        "Fixing this also fixes 3 other records",
        "Enter the teacher's work email address in your SIS (column teacher_email in teachers.csv).",
        "students.csv:22 007012 Francisco Tolentino",
    ):
        assert said in page
    assert audited(samples) == [(UNIFIED, "people_viewed", "unified/lincoln", "unified/lincoln", None)]


def test_a_school_on_hold_shows_why_a_sample_and_what_can_be_decided(browser: Browser, samples: Database) -> None:
    answer = browser(UNIFIED).get(JEFFERSON)
    page, hold = text(answer.text), hold_of(samples)
    for said in (
        "On hold since",
        "School office Look through the list of removals.",
        "14 of 24 students would be removed (limit: 10% and 10).",
        "The first 20 of 35",
        "Download all 35 (CSV)",
    ):
        assert said in page
    assert answer.text.count("<td>Student</td>") + answer.text.count(">Student</td>") == 14
    links = re.findall(rf'href="{JEFFERSON}/([^"]*)"', answer.text)
    assert links == [
        f"holds/{hold}/evidence.csv?reason=data_removals",
        f"holds/{hold}/confirm-removals",
        "check",
        "nights",
    ]
    assert "rollcall hold" not in page


def test_next_steps_and_titles_are_in_the_readers_language(browser: Browser) -> None:
    asked = browser(UNIFIED)
    in_spanish = {"accept-language": "es"}
    held = text(asked.get(JEFFERSON, headers=in_spanish).text)
    assert "Oficina de la escuela Revise la lista de eliminaciones. Si es correcta, elija" in held
    assert "Se eliminarían muchas personas o clases" in held
    connected = text(asked.get("/schools/unified/lincoln", headers=in_spanish).text)
    assert "Oficina de la escuela Corrija en su SIS los registros con errores." in connected
    assert "Maestro sin dirección de correo electrónico 1 registro" in connected
    assert "Ingrese en su SIS la dirección de correo electrónico de trabajo del maestro" in connected
    for english in (
        "School office",
        "The teacher has no",
        "Enter the teacher's",
        "A large part of",
        "Teacher without an email address",
        "Many people or classes",
    ):
        assert english not in held + connected


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("unified/washington", "Nobody The school isn't on your plan."),
        ("unified/adams", "District administrator Set up the sync"),
        ("riverbend/mill-pond", "SIS administrator Correct the files, then send the complete set again."),
        ("riverbend/mill-pond", "Files couldn't be used"),
        ("lakeside/harbor", "Nobody Everything is in order."),
        ("lakeside/harbor", "Check for new Clever data"),
    ],
)
def test_every_kind_of_school_says_who_has_to_act(browser: Browser, path: str, said: str) -> None:
    assert said in text(browser(OPERATOR).get(f"/schools/{path}").text)


def test_a_program_reads_issues_and_holds_without_names(browser: Browser, samples: Database) -> None:
    asked = browser(UNIFIED)
    asked.headers["Accept"] = "application/json"
    lincoln, jefferson = asked.get(LINCOLN).json(), asked.get(JEFFERSON).json()
    assert {name: lincoln[name] for name in ("district", "school", "status", "errors", "alerts", "hold", "muted")} == {
        "district": "unified",
        "school": "lincoln",
        "status": "connected",
        "errors": 4,
        "alerts": 7,
        "hold": None,
        "muted": [],
    }
    assert len(lincoln["issues"]) == 11
    assert lincoln["issues"][0] == {
        "severity": "error",
        "code": "class_teacher_unknown",
        "file": "classes.csv",
        "line": 18,
        "record_id": "C2026-07003",
        "message": "Class without a known teacher.",
        "dependents": 2,
        "muted": False,
    }
    hold = jefferson["hold"]
    assert (hold["id"], hold["school"], [reason["code"] for reason in hold["reasons"]], hold["decisions"]) == (
        hold_of(samples),
        "jefferson",
        ["data_removals"],
        [],
    )
    assert asked.get("/districts/unified/holds").json() == [hold]
    assert asked.get(f"{JEFFERSON}/holds/{hold['id']}").json() == hold
    assert "Colón" not in str(lincoln) + str(jefferson)


# --- who may see it ---------------------------------------------------------------------------------------------------


def test_a_school_administrator_sees_their_school_only(browser: Browser, samples: Database) -> None:
    asked, hold = browser(LINCOLN_OFFICE), hold_of(samples)
    own = ("", "/nights", "/issues.csv", "/issues/phone_invalid.csv", "/issues/phone_invalid/mute", "/check")
    assert [asked.get(LINCOLN + path).status_code for path in own] == [200] * len(own)
    others = ("", "/nights", "/issues.csv", "/check", f"/holds/{hold}", f"/holds/{hold}/confirm-removals")
    assert [asked.get(JEFFERSON + path).status_code for path in others] == [404] * len(others)
    # Another school's hold is none of theirs under their own school's address either.
    assert asked.get(f"{LINCOLN}/holds/{hold}").status_code == 404
    assert asked.get("/districts/unified/holds").status_code == 404
    assert asked.post(f"{JEFFERSON}/holds/{hold}/confirm-removals").status_code == 404
    assert decided(samples) == []


@pytest.mark.parametrize(
    "path",
    [
        "/holds/x",
        "/holds/99999999999",
        "/holds/4711",
        "/issues/data_removals.csv",
        "/issues/x.csv",
        "/issues/x/mute",
        "/nights?one=1&other=x",
        "/nights?one=1&other=999999999999999999999",
        "/nights?one=3&other=3",
    ],
)
def test_what_is_not_there_is_not_found(browser: Browser, path: str) -> None:
    assert browser(UNIFIED).get(LINCOLN + path).status_code == 404


def test_what_is_about_the_whole_source_is_for_the_district(browser: Browser, samples: Database) -> None:
    with samples.transaction() as session:
        session.get_one(School, "unified/jefferson").administrators = [LINCOLN_OFFICE]
        bulk.execute(session, "UPDATE hold_reason SET code = 'emergency_contacts'")
    paths = {name: f"{JEFFERSON}/holds/{hold_of(samples)}/{name}" for name in ("accept", "leave-out")}
    seen = {
        who: {name: browser(who).get(path).status_code for name, path in paths.items()}
        for who in (LINCOLN_OFFICE, UNIFIED)
    }
    assert seen == {LINCOLN_OFFICE: {"accept": 200, "leave-out": 404}, UNIFIED: {"accept": 200, "leave-out": 200}}
    assert "leave-out" not in browser(LINCOLN_OFFICE).get(JEFFERSON).text


# --- deciding ---------------------------------------------------------------------------------------------------------


def test_a_hold_is_reviewed_and_confirmed(
    browser: Browser, samples: Database, started: list[tuple[str, list[str] | None]]
) -> None:
    asked, hold = browser(UNIFIED), hold_of(samples)
    path = f"{JEFFERSON}/holds/{hold}/confirm-removals"
    review = text(asked.get(path).text)
    assert "35 records are removed from Jefferson Elementary School: 14 students 21 guardians" in review
    assert "Type the number" not in review
    assert (decided(samples), started) == ([], [])
    answer = asked.post(path, data={"why": " They moved "})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{JEFFERSON}?said=decided-confirm-removals")
    assert decided(samples) == [(hold, "confirm_removals", UNIFIED, "They moved")]
    assert waited(started) == [("unified", ["jefferson"])]
    assert audited(samples) == [(UNIFIED, "decided", "unified/jefferson", f"hold {hold}", "confirm_removals")]
    page = text(asked.get(answer.headers["location"]).text)
    assert "Removals confirmed. We're applying them now" in page
    assert f"Removals confirmed by {UNIFIED}," in page
    play(samples, landing(samples), "unified", schools=["jefferson"])
    page = text(asked.get(JEFFERSON).text)
    assert "Connected since" in page
    assert "10 Students" in page
    assert "“They moved”" in page
    # Once it's over, the page of the decision says so, and nothing can be decided.
    again = asked.post(path)
    assert (again.status_code, "This hold has ended already" in again.text) == (409, True)
    assert len(decided(samples)) == 1


def test_a_list_that_changed_meanwhile_is_refused_in_plain_words(
    browser: Browser, samples: Database, started: list[tuple[str, list[str] | None]]
) -> None:
    asked, hold = browser(UNIFIED), hold_of(samples)
    with samples.transaction() as session:
        former = session.get_one(Hold, hold)
        former.ended_at, former.ending = clock.now(), "replaced"
        session.flush()
        session.add(Hold(school_id=former.school_id, opened_at=clock.now(), replaces_id=hold))
    answer = asked.post(f"{JEFFERSON}/holds/{hold}/confirm-removals")
    assert answer.status_code == 409
    assert "The list has changed since you opened it" in answer.text
    assert (decided(samples), started, audited(samples)) == ([], [], [])


def test_many_removals_are_confirmed_by_typing_their_number(
    browser: Browser, samples: Database, started: list[tuple[str, list[str] | None]]
) -> None:
    asked, hold = browser(UNIFIED), hold_of(samples)
    path = f"{JEFFERSON}/holds/{hold}/confirm-removals"
    item = {"hold_id": hold, "code": "data_removals", "type": "student_class_memberships"}
    for many, is_typed in ((100, False), (1_100, True)):
        with samples.transaction() as session:
            more = pl.DataFrame(
                [{**item, "key": f"{many}-{number}"} for number in range(many - 35 if many == 100 else 1_000)]
            )
            bulk.insert(session, "hold_item", more)
        assert ("Type the number of removals to confirm" in asked.get(path).text) is is_typed
    for wrong in ("", "1099", "a lot", "<b>"):
        answer = asked.post(path, data={"number": wrong, "why": HOSTILE[:200]})
        # The reason typed is still there, and the number is said again.
        assert (answer.status_code, "That isn't the number." in text(answer.text)) == (422, True)
        assert ("It's 1,100." in answer.text, "<script>alert" in answer.text) == (True, False)
    assert (decided(samples), started, audited(samples)) == ([], [], [])
    in_spanish = {"accept-language": "es"}
    assert "Es 1.100." in asked.get(path, headers=in_spanish).text
    assert asked.post(path, data={"number": "1.100"}, headers=in_spanish).status_code == 303
    assert decided(samples) == [(hold, "confirm_removals", UNIFIED, None)]


def test_what_a_hold_is_not_about_cannot_be_decided(browser: Browser, samples: Database) -> None:
    asked, hold = browser(UNIFIED), hold_of(samples)
    for name in ("confirm-changes", "accept", "leave-out", "fixed", "recheck", "x"):
        assert asked.post(f"{JEFFERSON}/holds/{hold}/{name}").status_code == 404
    assert decided(samples) == []


def test_checking_for_new_data_is_kept_with_a_hold(
    browser: Browser, samples: Database, started: list[tuple[str, list[str] | None]]
) -> None:
    asked = browser(UNIFIED)
    assert asked.get(f"{JEFFERSON}/check").status_code == 200
    assert (decided(samples), started) == ([], [])
    for school in (JEFFERSON, LINCOLN):
        assert asked.post(f"{school}/check").headers["location"] == f"{school}?said=checking"
    assert decided(samples) == [(hold_of(samples), "recheck", UNIFIED, None)]
    assert [action for _, action, *_ in audited(samples)] == ["sync_started"] * 2
    for school in ("adams", "washington"):
        assert asked.post(f"/schools/unified/{school}/check").status_code == 409


# --- downloads --------------------------------------------------------------------------------------------------------


def test_a_download_holds_just_the_records_of_its_type(browser: Browser, samples: Database) -> None:
    answer = browser(UNIFIED).get(f"{LINCOLN}/issues/phone_invalid.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="lincoln-phone_invalid.csv"'
    rows = pl.read_csv(answer.content, infer_schema=False)
    assert rows.select("code", "file", "line", "record_id").rows() == [
        ("phone_invalid", "students.csv", "15", "G007017"),
        ("phone_invalid", "students.csv", "22", "007012"),
        ("phone_invalid", "teachers.csv", "14", "T07014"),
    ]
    assert audited(samples) == [(UNIFIED, "downloaded", "unified/lincoln", "phone_invalid", "3 issues")]


def test_a_download_gives_every_row_of_an_id_that_several_rows_share(browser: Browser, samples: Database) -> None:
    others = '17\t{"student_id":"1","student_first_name":"=Bo"}\n90\t{"student_id":"1","student_first_name":"Cy"}'
    with samples.transaction() as session:
        bulk.execute(
            session,
            'INSERT INTO issue (source_id, school_id, code, file, line, record_id, dependents, "row", other_rows)'
            " VALUES ('unified/files', 'unified/lincoln', 'id_shared', 'students.csv', 12, '1', 0, :row, :others)",
            {"row": '{"student_id":"1","student_first_name":"Ann"}', "others": others},
        )
    asked = browser(UNIFIED)
    rows = pl.read_csv(asked.get(f"{LINCOLN}/issues/id_shared.csv").content, infer_schema=False)
    assert rows.select("line", "record_id", "student_first_name").rows() == [
        ("12", "1", "Ann"),
        ("17", "1", "'=Bo"),
        ("90", "1", "Cy"),
    ]
    assert "students.csv:12, 17, 90" in asked.get(LINCOLN).text


def test_a_download_shows_a_school_no_child_of_another_one(browser: Browser, samples: Database) -> None:
    def row(school: str, student: str, name: str) -> str:
        child = {"school_id": school, "student_id": student, "first_name": name, "dob": "2/3/2014"}
        return json.dumps({**child, "guardian_id": "G1", "guardian_last_name": "Ruiz", "guardian_phone": "1"})

    ours, foreign = row("0101", "1", "Ann"), row("0102", "2", "Bo")
    rows = [
        ("phone_invalid", 300, "G1", foreign, f"301\t{ours}"),  # a guardian's, with the child at Roosevelt
        ("guardian_unreachable", 302, None, foreign, None),
        ("id_shared", 303, "1", ours, f"304\t{row('0102', '1', 'Cy')}"),
        ("birth_date_invalid", 305, "1", ours, f"306\t{row('0102', '1', 'Ann')}"),  # a student of both schools
    ]
    with samples.transaction() as session:
        for code, line, record_id, came, others in rows:
            bulk.execute(
                session,
                'INSERT INTO issue (source_id, school_id, code, file, line, record_id, dependents, "row", other_rows)'
                " VALUES ('unified/files', 'unified/lincoln', :code, 'students.csv', :line, :id, 0, :row, :others)",
                {"code": code, "line": line, "id": record_id, "row": came, "others": others},
            )
    columns = ("line", "school_id", "student_id", "first_name", "dob", "guardian_id", "guardian_last_name")

    def downloaded(who: str) -> list[tuple[str | None, ...]]:
        found = pl.read_csv(browser(who).get(f"{LINCOLN}/issues.csv").content, infer_schema=False)
        wanted = found.filter(pl.col("line").cast(pl.Int64) >= 300)
        return sorted(wanted.select(columns).rows(), key=lambda each: str(each[0]))

    def whole(line: str, school: str, student: str, name: str) -> tuple[str | None, ...]:
        return (line, school, student, name, "2/3/2014", "G1", "Ruiz")

    of_guardian = (None, None, None, None, "G1", "Ruiz")
    assert downloaded(LINCOLN_OFFICE) == [
        ("300", *of_guardian),
        whole("301", "0101", "1", "Ann"),
        ("302", *of_guardian),
        whole("303", "0101", "1", "Ann"),
        ("304", "0102", "1", None, None, None, None),
        whole("305", "0101", "1", "Ann"),
        whole("306", "0102", "1", "Ann"),
    ]
    district = [whole(str(line), "0102", "2", "Bo") for line in (300, 302)]
    assert [each for each in downloaded(UNIFIED) if each[0] in ("300", "302")] == district
    page = browser(LINCOLN_OFFICE).get(LINCOLN).text
    assert ("Bo" in re.findall(r"\w+", text(page)), "Ruiz" in page) == (False, True)


def test_the_evidence_of_a_hold_is_downloaded_whole(browser: Browser, samples: Database) -> None:
    asked, hold = browser(UNIFIED), hold_of(samples)
    whole = pl.read_csv(asked.get(f"{JEFFERSON}/holds/{hold}/evidence.csv").content, infer_schema=False)
    one = asked.get(f"{JEFFERSON}/holds/{hold}/evidence.csv?reason=data_removals")
    assert (whole.height, whole.columns) == (35, ["type", "record_id", "counterpart_id", "name"])
    assert one.headers["content-disposition"] == f'attachment; filename="jefferson-hold-{hold}-data_removals.csv"'
    assert asked.get(f"{JEFFERSON}/holds/{hold}/evidence.csv?reason=stale").status_code == 404
    assert audited(samples) == [(UNIFIED, "downloaded", "unified/jefferson", f"hold {hold}", "35 rows")] * 2


# --- muting -----------------------------------------------------------------------------------------------------------


def test_a_muted_alert_is_listed_and_not_counted_until_it_ends(
    browser: Browser, samples: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = browser(LINCOLN_OFFICE)
    until = (clock.now() + timedelta(days=10)).date()
    form = asked.get(f"{LINCOLN}/issues/phone_invalid/mute")
    assert "Phone number is not valid" in form.text
    answer = asked.post(
        f"{LINCOLN}/issues/phone_invalid/mute", data={"reason": "<b>none</b>", "until": until.isoformat()}
    )
    assert answer.headers["location"] == f"{LINCOLN}?said=muted#alerts"
    page = asked.get(LINCOLN).text
    assert "4 Alerts" in text(page)
    assert "“&lt;b&gt;none&lt;/b&gt;”" in page
    assert audited(samples)[0][1:] == (
        "alert_muted",
        "unified/lincoln",
        "phone_invalid",
        f"until {until + timedelta(days=1)}",
    )
    with samples.reading() as session:
        (mute,) = session.exec(select(AlertMute))
    # It ends with the day chosen, in the district's zone.
    local = mute.until.astimezone(ZoneInfo("America/Los_Angeles"))
    assert (local.date(), local.hour) == (until + timedelta(days=1), 0)
    for moment, alerts in ((mute.until - timedelta(seconds=1), 4), (mute.until, 7)):
        monkeypatch.setattr(clock, "now", lambda moment=moment: moment)
        later = browser(LINCOLN_OFFICE)
        assert f"{alerts} Alerts" in text(later.get(LINCOLN).text)


def test_a_mute_is_ended_by_a_button(browser: Browser, samples: Database) -> None:
    asked = browser(UNIFIED)
    until = (clock.now() + timedelta(days=10)).date().isoformat()
    asked.post(f"{LINCOLN}/issues/phone_invalid/mute", data={"reason": "none", "until": until})
    (path,) = re.findall(r'action="([^"]*/mutes/[^"]*)"', asked.get(LINCOLN).text)
    foreign = path.replace("lincoln", "jefferson")
    assert (asked.post(foreign).status_code, browser(RIVERBEND).post(path).status_code) == (404, 404)
    assert "4 Alerts" in text(asked.get(LINCOLN).text)
    assert asked.post(path).headers["location"] == f"{LINCOLN}?said=unmuted#alerts"
    assert "7 Alerts" in text(asked.get(LINCOLN).text)


@pytest.mark.parametrize(
    ("code", "reason", "until", "status", "said"),
    [
        ("phone_invalid", "", "2126-01-01", 422, "Give a reason"),
        ("phone_invalid", "why", "", 422, "Choose a day."),
        ("phone_invalid", "why", "2020-01-01", 422, "Choose a day in the future."),
        ("phone_invalid", "why", "9999-12-31", 422, "Choose a day within a year."),
        ("phone_invalid", HOSTILE, "2026-12-01", 422, "The reason is too long"),
        ("name_missing", "why", "2026-12-01", 409, "Errors can't be muted"),
    ],
)
def test_what_is_not_muted(
    browser: Browser, samples: Database, code: str, reason: str, until: str, status: int, said: str
) -> None:
    answer = browser(UNIFIED).post(f"{LINCOLN}/issues/{code}/mute", data={"reason": reason, "until": until})
    assert (answer.status_code, said in text(answer.text)) == (status, True)
    assert "<script>alert" not in answer.text
    with samples.reading() as session:
        assert (session.exec(select(AlertMute)).all(), audit.entries(session, audit.Filter())) == ([], [])


# --- the nights -------------------------------------------------------------------------------------------------------


def test_two_nights_are_compared(browser: Browser) -> None:
    asked = browser(UNIFIED)
    page = asked.get(f"{LINCOLN}/nights").text
    later, earlier = re.findall(r'name="one" value="(\d+)"', page)
    compared = text(asked.get(f"{LINCOLN}/nights?one={later}&other={earlier}").text)
    for said in ("Teachers 5 6 +1", "Errors 5 4 -1", "Alerts 7 7 0", "Students, created 29 2 -27", "not the records"):
        assert said in compared
    assert 'role="img" aria-label="Errors by sync, from 5 to 4"' in page
