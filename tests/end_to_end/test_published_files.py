"""Nights of files as Remind publishes them: its columns, teachers in enrollments.csv, rows that differ in a date."""

from __future__ import annotations

import polars as pl

from models import bulk
from sandbox import csv_files
from sandbox.csv_files import CsvStyle
from sandbox.days import next_day
from sandbox.generator import District, generate
from services import clock
from services.status.issues import stored_issues
from services.status.report import district_report
from tests.end_to_end.conftest import Installation

Issue = tuple[str, str | None, str]  # code, ID, message


def _files(district: District) -> dict[str, bytes]:
    """The district's files. Of students with several guardians the second row has the birth date a day later."""
    files = csv_files.rows(district, teachers_enrolled=True)
    students = files["students.csv"].with_row_index("row")
    is_second = pl.int_range(pl.len()).over("student_id", "school_id") == 1
    later = pl.concat_str(pl.lit("2012-02-0"), (pl.col("row") % 9 + 1).cast(pl.String))
    files["students.csv"] = students.with_columns(dob=pl.when(is_second).then(later).otherwise("dob")).drop("row")
    return csv_files.write_rows(files, CsvStyle(spelling="published"))


def _state(installation: Installation, district: District) -> set[Issue]:
    """The issues, once each school is seen to be connected with all its people, and each class to have its teachers."""
    with installation.database.reading() as session:
        (report,) = district_report(session, "unified", now=clock.now())
        schools = sorted((row.key, str(row.status), row.teachers, row.students) for row in report.schools)
        issues = stored_issues(session, "unified")
        leading = bulk.read(
            session, "SELECT count(*) AS n FROM class_membership WHERE active AND is_owner", {}, {"n": pl.Int64}
        )["n"].item()
    members = district.school_members.join(district.people.select("person", "kind"), on="person")
    expected = {
        (school_id, kind): count for school_id, kind, count in members.group_by("school_id", "kind").len().iter_rows()
    }
    told = [(key, state, teachers, students) for key, state, teachers, students in schools]
    assert told == [
        (key, "connected", expected[school_id, "employee"], expected[school_id, "student"])
        for key, school_id in sorted(SCHOOLS.items())
    ]
    assert leading == district.class_members.filter("is_owner").height
    return set(issues.select("code", "record_id", "message").rows())


SCHOOLS = {"lincoln": "0101", "roosevelt": "0102", "jefferson": "0103"}


def test_three_nights_as_remind_publishes_the_files(embedded: Installation) -> None:
    district = generate(students=90, seed=3)
    embedded.set_up(unified=SCHOOLS)
    embedded.send(_files(district))
    embedded.night()
    several = district.guardianships.group_by("student").len().filter(pl.col("len") > 1)
    twice = several.join(district.people.select(student="person", record_id="external_id"), on="student")["record_id"]
    # One person with two birth dates is one person, with an alert.
    message = "Rows with the same ID say different things: dob."
    assert _state(embedded, district) == {("duplicate_conflict", record_id, message) for record_id in twice}
    links = _links(embedded)

    embedded.send({name: content + b"\n" for name, content in _files(district).items()})
    assert embedded.night() == []
    assert _links(embedded) == links

    after = next_day(district, 2, joined=2, left=2, moved=1, changed=3, teachers_joined=1)
    embedded.send(_files(after))
    assert {outcome.outcome for outcome in embedded.night()} == {"applied"}
    assert {code for code, _, _ in _state(embedded, after)} == {"duplicate_conflict"}
    staying = after.people.filter(pl.col("kind") != "guardian").select("kind", "external_id").rows()
    assert {key: account for key, account in _links(embedded).items() if key in staying and key in links} == {
        key: account for key, account in links.items() if key in staying
    }


def _links(installation: Installation) -> dict[tuple[str, str], str]:
    sql = "SELECT kind, external_id, account_id FROM link WHERE archived_at IS NULL AND kind <> 'guardian'"
    with installation.database.reading() as session:
        schema = {"kind": pl.String, "external_id": pl.String, "account_id": pl.String}
        return {(kind, key): account for kind, key, account in bulk.read(session, sql, {}, schema).iter_rows()}
