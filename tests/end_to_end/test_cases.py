"""Nights played with the files in tests/cases: each a kind of damage met in real exports, with what is right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from models import bulk
from services import clock
from services.operations.setup import apply_setup, read_setup
from services.status.issues import stored_file_errors, stored_issues
from services.status.report import district_report
from services.sync import leases
from tests.end_to_end.conftest import Installation

CASES = Path(__file__).parent.parent / "cases"
EVERYBODY = {"guardian": 30, "student": 30, "teacher": 4}


# Code, where, the record's ID, detail.
Issue = tuple[str, str, str | None, str | None]


@dataclass(frozen=True)
class Night:
    """What is right after a night: the school's row of the report, its issues, and whom the product has.

    people: active accounts by role. memberships: students in classes.
    """

    status: str = "connected"
    errors: int = 0
    alerts: int = 0
    students: int = 30
    issues: Sequence[Issue] = field(default_factory=list)
    file_errors: Sequence[tuple[str, str, int | None]] = field(default_factory=list)
    hold: tuple[str, ...] = ()
    people: Mapping[str, int] = field(default_factory=lambda: EVERYBODY)
    enrolled: int = 30


CLEAN = Night()


def _played(case: Path, installation: Installation) -> list[Night]:
    setup = installation.folder / "setup.toml"
    setup.write_text((case / "setup.toml").read_text().replace('folder = "drop"', 'folder = "drop/d"'))
    installation.drop("d").mkdir(parents=True)
    with installation.database.transaction() as session:
        apply_setup(session, read_setup(setup))
    nights = []
    for night in sorted(case.glob("night*")):
        installation.send({file.name: file.read_bytes() for file in night.iterdir()}, "d")
        installation.night("d")
        nights.append(_found(installation))
    return nights


def _sorted(night: Night) -> Night:
    return replace(night, issues=sorted(night.issues))


def _found(installation: Installation) -> Night:
    with installation.database.reading() as session:
        (report,) = district_report(session, "d", now=clock.now())
        (row,) = report.schools
        issues = stored_issues(session, "d")
        file_errors = stored_file_errors(session, "d")
        people = bulk.read(
            session,
            "SELECT role, count(*) AS n FROM account WHERE archived_at IS NULL GROUP BY role",
            {},
            {"role": pl.String, "n": pl.Int64},
        )
        enrolled = bulk.read(
            session,
            "SELECT count(*) AS n FROM class_membership WHERE active AND NOT is_owner",
            {},
            {"n": pl.Int64},
        )
    # What the message says beyond the catalogue's title.
    details = [message.partition(": ")[2].removesuffix(".") or None for message in issues["message"]]
    assert row.status is not None
    return Night(
        status=str(row.status),
        errors=row.errors,
        alerts=row.alerts,
        students=row.students,
        issues=[
            (*issue, detail)
            for issue, detail in zip(issues.select("code", "location", "record_id").rows(), details, strict=True)
        ],
        file_errors=file_errors.select("code", "file", "line").rows(),
        hold=row.hold.codes if row.hold is not None else (),
        people=dict(people.sort("role").iter_rows()),
        enrolled=enrolled["n"].item(),
    )


def _each(code: str, file: str, ids: Mapping[int, str], detail: str | None = None) -> list[Issue]:
    """An issue for each of these lines of a file and the record's ID there."""
    return [(code, f"{file}:{line}", record_id, detail) for line, record_id in ids.items()]


def _students(*numbers: int) -> dict[int, str]:
    return {number + 1: f"{number:06}" for number in numbers}


EVERY = range(1, 31)
PLACEHOLDER = dict.fromkeys(range(2, 32), "0")
NAMES = "first_name, last_name"
NEARLY = [
    issue
    for number in EVERY
    for issue in _each(
        "enrollment_student_unknown",
        "enrollments.csv",
        {number + 1: str(number)},
        f"students.csv has {number:06}; leading zeros and capitals have to be the same",
    )
]
WITHOUT_CLASS = [
    *_each("class_without_students", "classes.csv", {number + 1: f"C00{number}" for number in range(1, 5)}),
    *_each("student_without_class", "students.csv", _students(*EVERY)),
]
OF_FORTY = replace(CLEAN, students=40, people={"guardian": 40, "student": 40, "teacher": 4}, enrolled=40)
OF_24 = replace(CLEAN, students=24, people={"guardian": 24, "student": 24, "teacher": 4}, enrolled=24)

EXPECTED = {
    "01-invisible-stu": [OF_FORTY, OF_FORTY],
    "01-invisible-teachmail": [OF_FORTY, OF_FORTY],
    "02-placeholder-gid-0": [
        replace(CLEAN, alerts=30, issues=_each("placeholder_value", "students.csv", PLACEHOLDER, "guardian_id"))
    ],
    "02-placeholder-gid-NULL": [
        replace(
            CLEAN,
            alerts=30,
            issues=_each("placeholder_value", "students.csv", dict.fromkeys(PLACEHOLDER, "NULL"), "guardian_id"),
        )
    ],
    "05-family-email-ids": [
        replace(
            CLEAN,
            alerts=5,
            people={**EVERYBODY, "guardian": 35},
            issues=_each("email_taken", "students.csv", {2 * n + 3: f"H{n}-1" for n in range(5)}),
        )
    ],
    # Twelve children of six parents, and the others with one each.
    "06-apostrophe": [replace(CLEAN, people={**EVERYBODY, "guardian": 18})],
    "08-footer-blankcells": [CLEAN, CLEAN],
    "08-footer-sqlcmd": [
        CLEAN,
        replace(CLEAN, status="on_hold", hold=("file_errors",), file_errors=[("columns_invalid", "students.csv", 33)]),
    ],
    "08-header-again": [CLEAN, CLEAN],
    "09-enc-fffd": [
        CLEAN,
        replace(
            CLEAN,
            alerts=4,
            issues=[
                *_each("name_damaged", "students.csv", _students(1, 2, 3), NAMES),
                *_each("name_damaged", "students.csv", _students(4), "last_name"),
            ],
        ),
    ],
    "11-x-dates-ampm": [CLEAN, CLEAN],
    "11-x-grades": [
        CLEAN,
        replace(
            CLEAN, alerts=8, issues=_each("grade_unknown", "students.csv", _students(14, 16, 17, 18, 19, 20, 22, 24))
        ),
    ],
    "11-x-zeros-enr-only": [CLEAN, replace(CLEAN, errors=30, issues=NEARLY)],
    "15-graduated-school": [
        CLEAN,
        replace(
            CLEAN,
            alerts=8,
            enrolled=22,
            issues=_each("former_school_unknown", "students.csv", _students(*range(1, 9))),
        ),
    ],
    "16-summer-noenr": [
        CLEAN,
        replace(CLEAN, status="on_hold", hold=("data_removals",), alerts=34, issues=WITHOUT_CLASS),
        CLEAN,
    ],
    "18b-sync-capital": [CLEAN, CLEAN],
    "19-col-phone-24": [OF_24, OF_24],
}


def test_every_case_is_played() -> None:
    assert {case.name for case in CASES.iterdir()} == EXPECTED.keys()


@pytest.mark.parametrize("case", EXPECTED)
def test_what_is_right_after_each_night(case: str, embedded: Installation) -> None:
    assert [_sorted(night) for night in _played(CASES / case, embedded)] == [_sorted(n) for n in EXPECTED[case]]


def _values(embedded: Installation, sql: str) -> dict[str, str | None]:
    schema = {"id": pl.String, "value": pl.String}
    with embedded.database.reading() as session:
        return dict(bulk.read(session, sql, {}, schema).iter_rows())


STUDENTS = "SELECT external_id, {} FROM link WHERE kind = 'student' AND archived_at IS NULL"
GUARDIANS = "SELECT first_name || last_name, {} FROM link WHERE kind = 'guardian' AND archived_at IS NULL"


def test_grades_are_what_the_systems_mean_and_stay_where_nobody_knows(embedded: Installation) -> None:
    _played(CASES / "11-x-grades", embedded)
    grades: list[str | None] = ["K", "K", "K", "PK", "PK", "PK", "K", "K", "1", "9", "9", "9", "13"]
    grades += ["5", None, "5", "5", "5", "5", "5", "PK", "5", None, "5", "PK", *["5"] * 5]
    found = _values(embedded, STUDENTS.format("grade"))
    assert [found[f"{number:06}"] for number in EVERY] == grades


def test_dates_with_a_time_of_day_are_dates(embedded: Installation) -> None:
    played = CASES / "11-x-dates-ampm"
    _played(played, embedded)
    came = pl.read_csv(played / "night2" / "students.csv", infer_schema=False).select("student_id", "birth_date")
    days = {key: datetime.strptime(text.split(" ")[0], "%m/%d/%Y") for key, text in came.iter_rows()}
    found = _values(embedded, STUDENTS.format("birth_date"))
    assert found == {key: f"{day:%Y-%m-%d}" for key, day in days.items()}


def test_phones_stay_where_their_column_is_missing_and_a_note_says_so(embedded: Installation) -> None:
    _played(CASES / "19-col-phone-24", embedded)
    found = _values(embedded, GUARDIANS.format("phone"))
    assert found == {f"Par{number}Fam{number}": f"+1415555{number:04}" for number in range(1, 25)}
    assert "students.csv: column guardian_phone, sent before, is missing" in _last_notes(embedded)


def test_each_child_keeps_exactly_their_own_guardian_whatever_is_in_place_of_an_id(embedded: Installation) -> None:
    case = CASES / "02-placeholder-gid-0"
    _played(case, embedded)
    families = """SELECT s.external_id, g.first_name || ' ' || g.email || ' ' || g.phone FROM guardianship p
                  JOIN link s ON s.id = p.student_link_id JOIN link g ON g.id = p.guardian_link_id WHERE p.active"""
    own = {f"{number:06}": f"Par{number} par{number}@mail.example +1415555{number:04}" for number in EVERY}
    assert _values(embedded, families) == own
    accounts = _values(embedded, "SELECT id, account_id FROM link")
    # A second night changes nothing.
    embedded.send({file.name: file.read_bytes() + b"\n" for file in (case / "night1").iterdir()}, "d")
    assert embedded.night("d") == []
    assert _values(embedded, families) == own
    # Six who get one on a later night are still who they were.
    real = {
        file.name: file.read_bytes().replace(b",0,Par", b",G,Par") if file.name == "students.csv" else file.read_bytes()
        for file in (case / "night1").iterdir()
    }
    lines = real["students.csv"].decode().splitlines()
    numbered = [line.replace(",G,Par", f",G{at},Par") for at, line in enumerate(lines)]
    embedded.send(real | {"students.csv": "\n".join(numbered).encode()}, "d")
    embedded.night("d")
    six = [line.replace(f",G{at},Par", ",0,Par") if 0 < at < 7 else line for at, line in enumerate(numbered)]
    embedded.send(real | {"students.csv": "\n".join(six).encode()}, "d")
    embedded.night("d")
    assert _values(embedded, families) == own
    assert _values(embedded, "SELECT id, account_id FROM link") == accounts


def _last_notes(embedded: Installation) -> list[str]:
    with embedded.database.reading() as session:
        (last, *_) = leases.runs_of(session, "d")
        return last.notes or []
