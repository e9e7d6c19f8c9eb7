"""One district given as CSV files and by Clever: the same accounts, classes, memberships and issues, night after night.

Compared is what both sources have: of telephones the guardians', of guardians the full name, which Clever does not
part; not languages, nor the words for relationships.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from itertools import combinations
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from models.database import Database, open_database
from sandbox import csv_files
from sandbox.clever_records import CleverDistrict, clever_district, clever_ids, with_changed
from sandbox.csv_files import CsvStyle
from sandbox.days import next_day
from sandbox.generator import GUARDIAN, District, generate
from services.operations.setup import apply_setup, read_setup
from tests.end_to_end.lakeside import Lakeside, lakeside
from tests.end_to_end.nights import play
from tests.setups import SETUP

pytestmark = pytest.mark.journeys

Rows = dict[str, list[tuple[Any, ...]]]

TABLES = {
    "people": """
        SELECT l.kind, l.external_id, a.role, a.first_name, a.last_name, a.email, a.phone, a.birth_date, a.grade,
               l.archived_at IS NULL AS link, a.archived_at IS NULL AS account
        FROM link l JOIN account a ON a.id = l.account_id""",
    "members": """
        SELECT l.external_id, m.school_id, m.active FROM school_membership m JOIN link l ON l.id = m.link_id""",
    "classes": "SELECT external_id, name, school_id, archived_at IS NULL FROM class",
    "class_members": """
        SELECT l.external_id, c.external_id, m.is_owner, m.active
        FROM class_membership m JOIN class c ON c.id = m.class_id JOIN link l ON l.id = m.link_id""",
    "guardianships": """
        SELECT s.external_id, g.first_name, g.last_name, p.active FROM guardianship p
        JOIN link s ON s.id = p.student_link_id JOIN link g ON g.id = p.guardian_link_id""",
    "issues": "SELECT DISTINCT record_id, school_id, code, dependents FROM issue",
}
SUBMITTED_GRADE = "Owls"


def flawed(district: District) -> District:
    """The district with one fault of each kind that is in what the generator holds."""
    people, classes = district.people, district.classes
    alone = people.join(district.school_members.group_by("person").agg(pl.len()).filter(len=1), on="person")
    students = alone.filter(kind="student")["person"].to_list()
    teachers = alone.filter(kind="employee")["person"].to_list()
    guardians = people.filter(pl.col("kind") == GUARDIAN, pl.col("external_id").is_not_null())["person"].to_list()
    no_birth_date, no_name, bad_email, taken_email, no_guardian, no_class, *_ = students[::4]
    without_email, bad_teacher, *_ = teachers[::2]
    taker, loser = _in_the_same_order(district, teachers[1::2])
    unreachable, bad_guardian, *_ = guardians
    # A class that falls with its teacher is not looked at any further.
    dependents = district.class_members.filter(pl.col("person").is_in([without_email, bad_teacher, loser]))
    led = classes.join(dependents, left_on="external_id", right_on="class_id", how="anti").sort(
        "school_id", "external_id"
    )
    section = led["external_id"].to_list()

    def set_(frame: pl.DataFrame, key: str, values: dict[tuple[Any, str], Any]) -> pl.DataFrame:
        for (row, column), value in values.items():
            changed = pl.when(pl.col(key) == row).then(pl.lit(value)).otherwise(pl.col(column))
            frame = frame.with_columns(changed.alias(column))
        return frame

    def email(person: int) -> str:
        return str(people.filter(person=person)["email"][0])

    mother = district.guardianships.join(people.drop_nulls("email").select(guardian="person"), on="guardian")
    shared = people.filter(pl.col("kind") == GUARDIAN, pl.col("external_id").is_not_null()).unique("last_name")
    office = shared.filter(~pl.col("person").is_in([unreachable, bad_guardian])).sort("person")["person"].head(4)
    return replace(
        district,
        people=set_(
            people,
            "person",
            {
                (no_birth_date, "birth_date"): None,
                (no_name, "first_name"): None,
                (no_name, "last_name"): None,
                (bad_email, "email"): "none@school",
                (taken_email, "email"): email(mother.filter(student=taken_email)["guardian"][0]),
                (without_email, "email"): None,
                (bad_teacher, "email"): "ask the office",
                (loser, "email"): email(taker).upper(),
                (unreachable, "email"): None,
                (unreachable, "phone"): None,
                (bad_guardian, "email"): "at work",
                **{(person, "email"): "office@post.example" for person in office},
            },
        ),
        classes=set_(
            classes,
            "external_id",
            {
                (section[0], "name"): None,
                (section[1], "name"): "Long " * 60,
                (section[-1], "name"): led["name"][-2],
            },
        ),
        class_members=district.class_members.filter(
            (pl.col("person") != no_class) & ((pl.col("class_id") != section[2]) | pl.col("is_owner"))
        ),
        guardianships=district.guardianships.filter(pl.col("student") != no_guardian),
    )


def _in_the_same_order(district: District, teachers: list[int]) -> tuple[int, int]:
    """Two teachers whose IDs sort alike at both sources, as a contested email goes to the one that sorts first."""
    ids = clever_ids(district).employees
    keys = dict(district.people.select("person", "external_id").iter_rows())
    pairs = combinations(sorted(teachers), 2)
    return next((one, other) for one, other in pairs if ids[keys[one]] < ids[keys[other]])


def as_files(district: District) -> dict[str, bytes]:
    """The district's files, where one student has a grade that nobody knows."""
    rows = csv_files.rows(district)
    odd = pl.col("student_id") == rows["students.csv"]["student_id"][-1]
    grade = pl.when(odd).then(pl.lit(SUBMITTED_GRADE)).otherwise(pl.col("grade"))
    rows["students.csv"] = rows["students.csv"].with_columns(grade=grade)
    return csv_files.write_rows(rows, CsvStyle())


def as_records(district: District) -> CleverDistrict:
    """The district's records, with the same student."""
    odd = clever_ids(district).students[csv_files.rows(district)["students.csv"]["student_id"][-1]]
    return with_changed(
        clever_district(district), "users", odd, lambda user: user["roles"]["student"].update(grade=SUBMITTED_GRADE)
    )


def stored(database: Database, ids: dict[str, str]) -> Rows:
    """By table, what both sources have in common, by Clever's IDs; guardians by their full name."""

    def known(external_id: str | None) -> str | None:
        return ids.get(external_id, external_id) if external_id is not None else None

    def name(*parts: str | None) -> str:
        return " ".join(part for part in parts if part)

    def person(row: tuple[Any, ...]) -> tuple[Any, ...]:
        kind, external_id, role, first_name, last_name, email, phone, *others = row
        guards = kind == GUARDIAN
        return (
            None if guards else known(external_id),
            role,
            name(first_name, last_name),
            email,
            guards and phone,
            *others,
        )

    def by_id(row: tuple[Any, ...]) -> tuple[Any, ...]:
        return known(row[0]), *(str(value).rpartition("/")[2] if "/" in str(value) else value for value in row[1:])

    shaped: dict[str, Callable[[tuple[Any, ...]], tuple[Any, ...]]] = {
        "people": person,
        "class_members": lambda row: (known(row[0]), known(row[1]), *row[2:]),
        "guardianships": lambda row: (known(row[0]), name(*row[1:3]), row[3]),
    }
    with database.reading() as session:
        connection = session.connection()
        return {
            table: sorted((shaped.get(table, by_id)(tuple(row)) for row in connection.exec_driver_sql(sql)), key=repr)
            for table, sql in TABLES.items()
        }


def spoken(district: District) -> dict[str, str]:
    """Clever's IDs by the files' IDs; no two kinds have one in common."""
    known = clever_ids(district)
    guardians = district.people.filter(pl.col("kind") == GUARDIAN).drop_nulls("external_id")
    of_guardians = {
        key: known.guardians[person] for person, key in guardians.select("person", "external_id").iter_rows()
    }
    parts = (known.schools, known.employees, known.students, known.classes, of_guardians)
    together = {key: value for part in parts for key, value in part.items()}
    assert len(together) == sum(map(len, parts))
    return together


class Both:
    """The two installations, and every ID that was ever given."""

    def __init__(self, files: Database, folder: Path, clever: Lakeside) -> None:
        self.files, self.folder, self.clever = files, folder, clever
        self.ids: dict[str, str] = {}
        (folder / "drop").mkdir(parents=True)
        (folder / "setup.toml").write_text(SETUP)
        with files.transaction() as session:
            apply_setup(session, read_setup(folder / "setup.toml"))

    def night(self, district: District) -> tuple[Rows, Rows]:
        """What is stored of each after a night of this district."""
        self.ids |= spoken(district)
        csv_files.write_files(self.folder / "drop", as_files(district))
        self.clever.give(as_records(district))
        play(self.files, self.folder / "landing")
        self.clever.night()
        return stored(self.files, self.ids), stored(self.clever.database, {})


@pytest.fixture
def files_database(embedded_template: Path, tmp_path: Path) -> Any:
    file = tmp_path / "files.sqlite"
    shutil.copy(embedded_template, file)
    with open_database(f"sqlite:///{file}", backups=None) as database:
        yield database


def plain(rows: Rows) -> Rows:
    """The rows with truth values and dates as both databases give them."""

    def same(value: Any) -> Any:
        if isinstance(value, date):
            return value.isoformat()
        return int(value) if isinstance(value, bool) else value

    return {table: sorted((tuple(map(same, row)) for row in found), key=repr) for table, found in rows.items()}


def test_a_district_is_the_same_from_files_and_from_clever(
    tmp_path: Path, database: Database, files_database: Database
) -> None:
    first = flawed(generate(11, schools=3, students=60, teachers=12, classes=18, enrollments=180))
    second = next_day(first, 1, joined=4, left=3, moved=2, changed=8, teachers_joined=1, teachers_left=1)
    (tmp_path / "clever").mkdir()
    with lakeside(tmp_path / "clever", database, first) as clever:
        both = Both(files_database, tmp_path / "files", clever)
        nights = []
        # Who left on the second day is there again on the third, and who had joined is gone.
        for day in (first, second, first):
            from_files, from_clever = map(plain, both.night(day))
            for table in TABLES:
                assert from_clever[table] == from_files[table], table
            assert set(clever.statuses().values()) == {"connected"}
            nights.append(from_clever)
    one, other, third = ({row[0]: row[-2:] for row in night["people"] if row[1] == "student"} for night in nights)
    left = {student for student, active in other.items() if active == (0, 0)}
    joined = set(other) - set(one)
    assert (len(left), len(joined)) == (3, 4)
    assert {student for student, active in third.items() if active == (0, 0)} == joined
    codes = {row[2] for row in nights[0]["issues"]}
    assert codes == {
        "birth_date_missing",
        "class_name_duplicate",
        "class_name_missing",
        "class_name_too_long",
        "class_without_students",
        "email_invalid",
        "email_shared",
        "email_taken",
        "grade_unknown",
        "guardian_unreachable",
        "name_missing",
        "student_without_class",
        "student_without_guardian",
        "teacher_email_invalid",
        "teacher_email_missing",
        "teacher_email_taken",
    }
