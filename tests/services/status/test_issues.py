"""Stored issues as people read them: which are shown, in what order, and as safe downloads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest
from sqlmodel import Session, SQLModel

from contracts.issues import message
from models.database import Database
from models.tables import District, FileError, Issue, School, Source
from services.csv_export import to_csv
from services.status import issues


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.transaction() as session:
        for key in ("unified", "valley"):
            add(session, District(id=key, name=key, timezone="UTC", administrators=[]))
            add(session, a_source(key, "files"), a_source(key, "former"))
            add(
                session,
                School(id=f"{key}/lincoln", district_id=key, key="lincoln", name="Lincoln", source_id=f"{key}/files"),
            )
        yield session


def a_source(district: str, key: str) -> Source:
    return Source(
        id=f"{district}/{key}",
        district_id=district,
        key=key,
        kind="csv",
        format="csv-1.0",
        settings={"folder": f"{district}/{key}"},
    )


def add(session: Session, *rows: SQLModel) -> None:
    for row in rows:
        session.add(row)
    session.flush()


def an_issue(
    code: str,
    line: int,
    *,
    school: str | None = "unified/lincoln",
    source: str = "unified/files",
    detail: str | None = None,
    row: str | None = None,
) -> Issue:
    return Issue(
        source_id=source,
        school_id=school,
        code=code,
        file="students.csv",
        line=line,
        record_id=f"0{line}",
        detail=detail,
        dependents=line,
        row=row,
    )


def test_shows_the_districts_issues_errors_first(session: Session) -> None:
    add(
        session,
        an_issue("phone_invalid", 2),
        an_issue("name_missing", 5, school=None),
        an_issue("name_missing", 4, detail="first_name", row='{"student_id": "04"}'),
        an_issue("name_missing", 3),
        an_issue("name_missing", 6, source="unified/former"),
        an_issue("name_missing", 7, school="valley/lincoln", source="valley/files"),
    )
    found = issues.stored_issues(session, "unified")
    assert found.schema == pl.Schema(issues.ISSUES)
    plain = message("name_missing", None)
    assert found.rows() == [
        (
            "error",
            "name_missing",
            "lincoln",
            "students.csv",
            3,
            "03",
            plain,
            3,
            None,
            None,
            "csv-1.0",
            "students.csv:3",
        ),
        (
            "error",
            "name_missing",
            "lincoln",
            "students.csv",
            4,
            "04",
            message("name_missing", "first_name"),
            4,
            '{"student_id": "04"}',
            None,
            "csv-1.0",
            "students.csv:4",
        ),
        ("error", "name_missing", None, "students.csv", 5, "05", plain, 5, None, None, "csv-1.0", "students.csv:5"),
        (
            *("alert", "phone_invalid", "lincoln", "students.csv", 2, "02", message("phone_invalid", None), 2, None),
            *(None, "csv-1.0", "students.csv:2"),
        ),
    ]
    of_school = issues.stored_issues(session, "unified", "unified/lincoln")
    assert of_school["line"].to_list() == [3, 4, 2]
    assert issues.stored_issues(session, "valley", "unified/lincoln").is_empty()


def test_a_problem_between_rows_shows_and_downloads_all_of_them(session: Session) -> None:
    shared = an_issue("id_shared", 4, row='{"student_id":"04","grade":"5"}')
    shared.other_rows = '7\t{"student_id":"04","grade":"6"}\n9\t{"student_id":"04","grade":null}'
    add(session, shared, an_issue("name_missing", 5, row='{"student_id":"05","grade":"5"}'))
    found = issues.stored_issues(session, "unified")
    assert found.select("code", "location").rows() == [
        ("id_shared", "students.csv:4, 7, 9"),
        ("name_missing", "students.csv:5"),
    ]
    assert found.select(issues.other_lines()).to_series().to_list() == [[7, 9], None]
    lines = pl.read_csv(issues.issues_csv(found).encode(), infer_schema=False)
    assert lines.select("code", "line", "record_id", "student_id", "grade").rows() == [
        ("id_shared", "4", "04", "04", "5"),
        ("id_shared", "7", "04", "04", "6"),
        ("id_shared", "9", "04", "04", None),
        ("name_missing", "5", "05", "05", "5"),
    ]


def test_a_download_has_every_row_of_an_id_once_and_the_location_only_the_faulty_one(session: Session) -> None:
    first, second = (an_issue("birth_date_invalid", line, row=f'{{"dob":"{line}/0"}}') for line in (4, 6))
    second.record_id = first.record_id
    rows = {line: f'{line}\t{{"dob":"{line}/0"}}' for line in (4, 5, 6)}
    first.other_rows, second.other_rows = f"{rows[5]}\n{rows[6]}", f"{rows[4]}\n{rows[5]}"
    add(session, first, second)
    found = issues.stored_issues(session, "unified")
    assert found["location"].to_list() == ["students.csv:4", "students.csv:6"]
    lines = pl.read_csv(issues.issues_csv(found).encode(), infer_schema=False)
    assert lines.select("line", "record_id", "dob").rows() == [(f"{n}", "04", f"{n}/0") for n in (4, 5, 6)]


def test_shows_every_file_error(session: Session) -> None:
    for file, line, detail in (("teachers.csv", 4, "3 cells"), ("students.csv", 7, None), ("students.csv", None, None)):
        add(
            session,
            FileError(
                source_id="unified/files",
                code="columns_invalid" if line else "column_missing",
                file=file,
                line=line,
                detail=detail,
                row="=a,b" if line else None,
            ),
        )
    found = issues.stored_file_errors(session, "unified")
    assert found.schema == pl.Schema(issues.FILE_ERRORS)
    source, plain = ("unified/files", None), message("columns_invalid", None)
    told, missing = message("columns_invalid", "3 cells"), message("column_missing", None)
    assert found.rows() == [
        (*source, "column_missing", "students.csv", None, missing, None),
        (*source, "columns_invalid", "students.csv", 7, plain, "=a,b"),
        (*source, "columns_invalid", "teachers.csv", 4, told, "=a,b"),
    ]
    assert issues.file_errors_csv(found) == (
        "file,line,code,message,row\n"
        f"students.csv,,column_missing,{missing},\n"
        f'students.csv,7,columns_invalid,{plain},"\'=a,b"\n'
        f'teachers.csv,4,columns_invalid,{told},"\'=a,b"\n'
    )


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_cells_that_a_spreadsheet_would_calculate_are_neutralised(start: str) -> None:
    frame = pl.DataFrame({"text": [f"{start}1", f"1{start}", None], "number": [-1, 0, None]})
    read = pl.read_csv(to_csv(frame).encode(), infer_schema=False)
    assert read.rows() == [(f"'{start}1", "-1"), (f"1{start}", "0"), (None, None)]


def test_a_download_shows_the_rows_as_they_came(session: Session) -> None:
    tricky = 'a "quoted":"word", \\ and {more}'
    add(
        session,
        an_issue("name_missing", 2, row=json.dumps({"student_id": "02", "first_name": "=1+1", "line": 2})),
        an_issue("name_missing", 3, row=json.dumps({"class_id": "9", "student_id": tricky, "first_name": None})),
        an_issue("name_missing", 4),
    )
    read = pl.read_csv(issues.issues_csv(issues.stored_issues(session, "unified")).encode(), infer_schema=False)
    assert read.columns == [
        "severity",
        "code",
        "school",
        "file",
        "line",
        "record_id",
        "message",
        "dependents",
        "student_id",
        "first_name",
        "class_id",
    ]
    assert read.select("line", "student_id", "first_name", "class_id").rows() == [
        ("2", "02", "'=1+1", None),
        ("3", tricky, None, "9"),
        ("4", None, None, None),
    ]


def test_a_download_of_nothing_has_its_header(session: Session) -> None:
    assert issues.issues_csv(issues.stored_issues(session, "unified")) == (
        "severity,code,school,file,line,record_id,message,dependents\n"
    )


def test_issues_of_clever_speak_of_its_records_in_its_words(session: Session) -> None:
    valley = session.get(Source, "valley/files")
    assert valley is not None
    valley.kind, valley.format = "clever", "clever-3"
    session.add(
        School(id="valley/harbor", district_id="valley", key="harbor", name="Harbor")  # no source yet
    )
    of_clever: dict[str, Any] = {"source_id": "valley/files", "school_id": "valley/lincoln", "line": None}
    rows = {"58d1": {"id": "58d1", "sis_id": "1001"}, "58d2": {"id": "58d2", "sis_id": None}, "58d3": None}
    for at, (key, row) in enumerate(rows.items()):
        add(
            session,
            Issue(
                code="teacher_email_missing",
                file="teacher",
                record_id=key,
                dependents=at,
                row=None if row is None else json.dumps(row, separators=(",", ":")),
                **of_clever,
            ),
        )
    found = issues.stored_issues(session, "valley")
    said = message("teacher_email_missing", form="clever-3")
    assert said == "Teacher or staff member without an email address."
    assert found.select("line", "record_id", "message", "format", "location").rows() == [
        (None, "58d1", said, "clever-3", "teacher 58d1 (SIS ID 1001)"),
        (None, "58d2", said, "clever-3", "teacher 58d2"),
        (None, "58d3", said, "clever-3", "teacher 58d3"),
    ]
    assert issues.issues_csv(found).splitlines() == [
        "severity,code,school,file,line,record_id,message,dependents,id,sis_id",
        f"error,teacher_email_missing,lincoln,teacher,,58d1,{said},0,58d1,1001",
        f"error,teacher_email_missing,lincoln,teacher,,58d2,{said},1,58d2,",
        f"error,teacher_email_missing,lincoln,teacher,,58d3,{said},2,,",
    ]
    assert issues.formats_of_schools(session, "valley") == {
        "valley/lincoln": "clever-3",
        "valley/harbor": "csv-1.0",
    }
    assert issues.formats_of_schools(session) == {
        "unified/lincoln": "csv-1.0",
        "valley/lincoln": "clever-3",
        "valley/harbor": "csv-1.0",
    }
