"""Who leaves a school and who stays, over several nights: moved away, left behind, or named by an ID nearly right."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from models import bulk
from models.database import Database
from models.tables import Delivery, Run, School, SchoolRun, Source
from tests.end_to_end.conftest import Installation, Row

TEACHERS: list[Row] = [("T1", "1", "Ana", "Ruiz", "t1@unified.example"), ("T2", "1", "Bo", "Ek", "t2@unified.example")]
CLASSES: list[Row] = [("C1", "1", "Art", "T1"), ("C2", "1", "Band", "T2")]
NUMBERS = range(1, 9)


def student(number: int, school_id: str = "1") -> Row:
    return (
        *(f"00{number}", school_id, f"Stu{number}", f"Dent{number}", f"s{number}@students.example"),
        *(f"G{number}", f"Gua{number}", f"Dian{number}", f"g{number}@mail.example", ""),
    )


def enrollments(*away: int, written: Callable[[int], str] = lambda number: f"00{number}") -> list[Row]:
    return [(f"C{1 + number % 2}", written(number)) for number in NUMBERS if number not in away]


def students(**elsewhere: str) -> list[Row]:
    """All of them, at school 1 but for those (by s and number) said to be elsewhere; several schools by a space."""
    places = {number: elsewhere.get(f"s{number}", "1").split() for number in NUMBERS}
    return [student(number, school_id) for number, at in places.items() for school_id in at]


def active(database: Database) -> dict[str, str]:
    """The IDs of the people of each kind whose link and account are active."""
    sql = (
        "SELECT l.kind, l.external_id FROM link l JOIN account a ON a.id = l.account_id"
        " WHERE l.archived_at IS NULL AND a.archived_at IS NULL"
    )
    return _by_kind(database, sql)


def at(database: Database, school: str) -> dict[str, str]:
    """The IDs of the employees and students who are at a school."""
    return _by_kind(
        database,
        "SELECT l.kind, l.external_id FROM link l JOIN school_membership m ON m.link_id = l.id"
        f" WHERE m.active AND m.school_id = 'unified/{school}'",
    )


def _by_kind(database: Database, sql: str) -> dict[str, str]:
    with database.reading() as session:
        rows = bulk.read(session, sql, {}, {"kind": pl.String, "external_id": pl.String})
    return dict(rows.group_by("kind").agg(pl.col("external_id").sort().str.join(" ")).iter_rows())


def issues(database: Database) -> list[tuple[object, ...]]:
    """All but those of the column that these files lack."""
    schema = {"school_id": pl.String, "code": pl.String, "line": pl.UInt32, "record_id": pl.String}
    columns = ", ".join(schema)
    sql = f"SELECT {columns} FROM issue WHERE code <> 'birth_date_missing' ORDER BY code, line"
    with database.reading() as session:
        return bulk.read(session, sql, {}, schema).rows()


def everybody(*away: int) -> dict[str, str]:
    here = [number for number in NUMBERS if number not in away]
    return {
        "employee": "T1 T2",
        "student": " ".join(f"00{number}" for number in here),
        "guardian": " ".join(f"G{number}" for number in here),
    }


@pytest.fixture
def lincoln(embedded: Installation, csv_files: Callable[..., dict[str, bytes]]) -> Installation:
    """After a first night with Lincoln, school 1; Adams, school 2, is not ours."""
    embedded.set_up(unified={"lincoln": "1"})
    embedded.send(csv_files(TEACHERS, students(), CLASSES, enrollments()))
    embedded.night()
    assert active(embedded.database) == everybody()
    return embedded


def counts(installation: Installation) -> dict[str, object]:
    return {outcome.school_id: (outcome.outcome, dict(outcome.counts)) for outcome in installation.night()}


def test_who_moves_to_a_school_that_is_not_ours_goes_with_their_guardians_and_comes_back(
    lincoln: Installation, csv_files: Callable[..., dict[str, bytes]]
) -> None:
    before = _accounts(lincoln.database)
    lincoln.send(csv_files(TEACHERS, students(s3="2"), CLASSES, enrollments(3)))
    removed = {"students_remove": 1, "guardians_remove": 1}
    assert counts(lincoln) == {"unified/lincoln": ("applied", removed)}
    assert active(lincoln.database) == everybody(3)
    assert issues(lincoln.database) == []
    # A newcomer of the same name is another person, and the address is free.
    newcomer = ("003b", *student(3)[1:5], *student(4)[5:])
    lincoln.send(csv_files(TEACHERS, [*students(s3="2"), newcomer], CLASSES, [*enrollments(3), ("C1", "003b")]))
    lincoln.night()
    assert active(lincoln.database)["student"] == "001 002 003b 004 005 006 007 008"
    lincoln.send(csv_files(TEACHERS, students(), CLASSES, enrollments()))
    lincoln.night()
    assert active(lincoln.database) == everybody()
    assert {name: _accounts(lincoln.database)[name] for name in before} == before


def _accounts(database: Database) -> dict[str, str]:
    with database.reading() as session:
        schema = {"external_id": pl.String, "account_id": pl.String}
        return dict(bulk.read(session, "SELECT external_id, account_id FROM link", {}, schema).iter_rows())


def test_a_school_off_the_plan_archives_nobody_and_holds_who_is_there(
    embedded: Installation, csv_files: Callable[..., dict[str, bytes]]
) -> None:
    embedded.set_up(unified={"lincoln": "1", "adams": "2"})
    embedded.send(csv_files(TEACHERS, students(s2="1 2", s4="2", s5="2"), CLASSES, enrollments(4, 5)))
    embedded.night()
    with embedded.database.transaction() as session:
        bulk.execute(session, "UPDATE school SET on_plan = false WHERE key = 'adams'", {})
    # S1 joins Lincoln's second class only, so that there is something to do.
    embedded.send(csv_files(TEACHERS, students(s2="1 2", s4="2", s5="2"), CLASSES, [*enrollments(4, 5), ("C1", "001")]))
    assert counts(embedded) == {"unified/lincoln": ("applied", {"student_class_memberships_create": 1})}
    assert active(embedded.database) == everybody()
    # S2, who was at both, stays at Adams; S3, who was at Lincoln only, is nowhere.
    embedded.send(csv_files(TEACHERS, students(s2="2", s3="2", s4="2", s5="2"), CLASSES, enrollments(2, 3, 4, 5)))
    removed = {"students_remove": 2, "guardians_remove": 2, "student_class_memberships_remove": 1}
    assert counts(embedded) == {"unified/lincoln": ("applied", removed)}
    assert active(embedded.database) == everybody(3)
    assert at(embedded.database, "lincoln")["student"] == "001 006 007 008"
    assert at(embedded.database, "adams")["student"] == "002 004 005"


def test_who_moves_to_another_sources_school_stays_until_that_source_has_spoken(
    lincoln: Installation, csv_files: Callable[..., dict[str, bytes]]
) -> None:
    with lincoln.database.transaction() as session:
        other = Source(id="unified/other", district_id="unified", key="other", kind="csv", format="csv-1.0")
        other.settings = {"folder": str(lincoln.folder), "quiet_seconds": 300}
        session.add(other)
        session.flush()
        session.add(
            School(
                id="unified/adams",
                district_id="unified",
                key="adams",
                name="ADAMS",
                source_id=other.id,
                external_id="A",
                position=1,
            )
        )
    lincoln.send(csv_files(TEACHERS, students(s3="2"), CLASSES, enrollments(3)))
    removed = {"students_remove": 1, "guardians_remove": 1}
    assert counts(lincoln) == {"unified/lincoln": ("applied", removed)}
    assert active(lincoln.database) == everybody()
    assert at(lincoln.database, "lincoln")["student"] == "001 002 004 005 006 007 008"
    later = datetime.now(UTC) + timedelta(days=1)
    with lincoln.database.transaction() as session:
        delivery = Delivery(source_id="unified/other", received_at=later, last_received_at=later, outcome="clean")
        run = Run(
            district_id="unified", source_id="unified/other", started_at=later, heartbeat_at=later, ended_at=later
        )
        session.add_all([delivery, run])
        session.flush()
        assert run.id is not None
        session.add(
            SchoolRun(
                run_id=run.id,
                school_id="unified/adams",
                source_id="unified/other",
                delivery_id=delivery.id,
                at=later,
                outcome="applied",
            )
        )
    # One class less for S1, so that there is something to do.
    lincoln.send(csv_files(TEACHERS, students(s3="2"), CLASSES, enrollments(3)[1:]))
    lincoln.night(schools=["lincoln"])
    assert active(lincoln.database) == everybody(3)


def test_who_is_left_under_a_school_that_schools_csv_lacks_stays_and_is_reported(
    lincoln: Installation, csv_files: Callable[..., dict[str, bytes]]
) -> None:
    lincoln.send(csv_files(TEACHERS, students(s3="9", s5="9"), CLASSES, enrollments(3, 5)))
    lincoln.night()
    assert active(lincoln.database) == everybody()
    assert at(lincoln.database, "lincoln") == {name: everybody()[name] for name in ("employee", "student")}
    assert issues(lincoln.database) == [
        ("unified/lincoln", "former_school_unknown", 4, "003"),
        ("unified/lincoln", "former_school_unknown", 6, "005"),
    ]


def test_enrollments_whose_ids_have_lost_their_zeros_change_nothing(
    lincoln: Installation, csv_files: Callable[..., dict[str, bytes]]
) -> None:
    lincoln.send(csv_files(TEACHERS, students(), CLASSES, enrollments(written=str)))
    assert counts(lincoln) == {"unified/lincoln": ("unchanged", {})}
    assert issues(lincoln.database) == [
        ("unified/lincoln", "enrollment_student_unknown", 1 + number, str(number)) for number in NUMBERS
    ]


def test_teachers_in_enrollments_lead_their_classes_and_leave_them(
    lincoln: Installation, csv_files: Callable[..., dict[str, bytes]]
) -> None:
    lincoln.send(csv_files(TEACHERS, students(), CLASSES, [*enrollments(), ("C1", "T2"), ("C1", "T1")]))
    assert counts(lincoln) == {"unified/lincoln": ("applied", {"teacher_class_memberships_create": 1})}
    lincoln.send(csv_files(TEACHERS, students(), CLASSES, [*enrollments(), ("C1", "T1"), ("C2", "T9")]))
    assert counts(lincoln) == {"unified/lincoln": ("applied", {"teacher_class_memberships_remove": 1})}
    assert issues(lincoln.database) == [("unified/lincoln", "enrollment_student_unknown", 11, "T9")]
