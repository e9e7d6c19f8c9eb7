"""A school's errors and alerts by type, the first ones of each, and what to fix first."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from sqlmodel import Session, SQLModel

from models.database import Database
from models.tables import District, Issue, School, Source
from services.status.school_issues import Found, counted, fix_first, issue_types

LINCOLN, FILES = "unified/lincoln", "unified/files"


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.transaction() as session:
        add(session, District(id="unified", name="Unified", timezone="UTC", administrators=[]))
        for key in ("files", "former"):
            add(session, Source(id=f"unified/{key}", district_id="unified", key=key, kind="csv", format="csv-1.0"))
        add(session, School(id=LINCOLN, district_id="unified", key="lincoln", name="Lincoln", source_id=FILES))
        yield session


def add(session: Session, *rows: SQLModel) -> None:
    session.add_all(rows)
    session.flush()


def an_issue(
    code: str,
    record_id: str | None,
    *,
    file: str = "students.csv",
    line: int = 2,
    dependents: int = 0,
    source: str = FILES,
    row: dict[str, str | None] | None = None,
) -> Issue:
    return Issue(
        source_id=source,
        school_id=LINCOLN,
        code=code,
        file=file,
        line=line,
        record_id=record_id,
        dependents=dependents,
        row=json.dumps(row) if row else None,
    )


def test_types_come_errors_first_then_by_how_many(session: Session) -> None:
    add(
        session,
        *(an_issue("phone_invalid", f"s{number}", line=number) for number in range(2, 11)),
        an_issue("grade_unknown", "s2"),
        an_issue("name_missing", "s3", dependents=4),
        an_issue("name_missing", "s4", source="unified/former"),
    )
    types = issue_types(session, LINCOLN, FILES, "csv-1.0")
    assert [(each.code, each.is_error, each.many, each.dependents, len(each.first)) for each in types] == [
        ("name_missing", True, 1, 4, 1),
        ("phone_invalid", False, 9, 0, 5),
        ("grade_unknown", False, 1, 0, 1),
    ]
    assert [found.location for found in types[1].first] == [f"students.csv:{line}" for line in range(2, 7)]
    assert (counted(types), counted(types, frozenset({"phone_invalid", "name_missing"}))) == ((1, 10), (1, 1))
    assert issue_types(session, LINCOLN, None, "csv-1.0") == []


def test_a_record_is_told_by_its_own_name(session: Session) -> None:
    family: dict[str, str | None] = {
        "student_id": "s1",
        "student_first_name": "Ana",
        "student_last_name": "Ruiz",
        "guardian_id": "g1",
        "guardian_first_name": "Eva",
        "guardian_last_name": None,
    }
    add(
        session,
        an_issue("phone_invalid", "s1", line=2, row=family),
        an_issue("phone_invalid", "g1", line=3, row=family),
        an_issue("guardian_unreachable", None, line=4, row=family),
        an_issue("class_without_students", "c1", file="classes.csv", row={"class_id": "c1", "class_name": "Art"}),
        an_issue("grade_unknown", "s9", line=6),
    )
    types = issue_types(session, LINCOLN, FILES, "csv-1.0")
    assert {(each.code, found.record_id): found.name for each in types for found in each.first} == {
        ("phone_invalid", "s1"): "Ana Ruiz",
        ("phone_invalid", "g1"): "Eva",
        ("guardian_unreachable", None): "Eva",
        ("class_without_students", "c1"): "Art",
        ("grade_unknown", "s9"): None,
    }


def test_a_record_of_clever_is_told_by_its_own_name(session: Session) -> None:
    row: dict[str, str | None] = {"id": "x", "first_name": "Lee", "last_name": None}
    add(session, an_issue("record_not_shared", "x", file="student", row=row))
    (found,) = issue_types(session, LINCOLN, FILES, "clever-3")[0].first
    assert found.name == "Lee"


def test_a_child_is_not_told_for_a_guardian_without_an_id(session: Session) -> None:
    row: dict[str, str | None] = {"student_id": "s1", "first_name": "Ana", "guardian_phone": "1"}
    add(session, an_issue("phone_invalid", None, row=row))
    (found,) = issue_types(session, LINCOLN, FILES, "csv-1.0")[0].first
    assert found.name is None


def test_the_few_records_that_hold_up_most_others_come_first(session: Session) -> None:
    assert fix_first(session, LINCOLN, FILES, "csv-1.0") is None
    add(
        session,
        an_issue("teacher_email_missing", "t1", file="teachers.csv", line=2, dependents=300),
        # One record with two errors is one to be fixed.
        an_issue("name_missing", "t1", file="teachers.csv", line=2, dependents=300),
        an_issue("class_teacher_unknown", "c1", file="classes.csv", line=9, dependents=100),
        an_issue("name_missing", "s1", line=4, dependents=5),
        an_issue("name_missing", "s2", line=5),
    )
    fix = fix_first(session, LINCOLN, FILES, "csv-1.0")
    assert fix is not None
    assert fix.records == (
        Found("teacher_email_missing", "Teacher without an email address", "teachers.csv:2", "t1", None, None, 300),
        Found("class_teacher_unknown", "Class without a known teacher", "classes.csv:9", "c1", None, None, 100),
    )
    assert fix.come_right == 402
