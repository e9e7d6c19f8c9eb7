"""Deliveries damaged at random: none removes or empties more than the limits without a hold, per school and district.

What a delivery lacks is found here from its roster and the stored rows alone, and compared with the plan's judgement.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
from hypothesis import Phase, example, given, note, settings
from hypothesis import strategies as st

from contracts.formats.csv_1_0 import FORMAT
from contracts.issues import DATA_REMOVALS
from contracts.roster import EMPLOYEE, STUDENT, Roster
from models import bulk
from models.database import Database, open_database
from sandbox import csv_files
from sandbox.csv_files import CsvStyle
from sandbox.generator import generate
from services.holds import guard
from services.planning.changesets import IN_CLASS_OF_KIND, TYPE_OF_KIND, ChangeSet
from services.planning.stored import read_scope
from services.sync import planning
from tests.end_to_end.conftest import Installation
from tests.end_to_end.test_promise import moved, without_school

SCHOOLS = {"lincoln": "0101", "roosevelt": "0102", "jefferson": "0103"}
TOGETHER = {"district_students": [0.05, 5], "district_employees": [0.05, 2], "district_guardians": [0.05, 5]}
KINDS = (STUDENT, EMPLOYEE)
FIELDS = ("email", "phone", "birth_date", "grade")
Files = dict[str, pl.DataFrame]


def rows_lost(files: Files, chance: random.Random) -> Files:
    """Rows of one file, of one school or of all."""
    name = chance.choice(list(files))
    share, schools = chance.choice([0.05, 0.3, 0.9, 1]), chance.sample(list(SCHOOLS.values()), chance.choice([1, 3]))
    lost = pl.Series([chance.random() < share for _ in range(files[name].height)], dtype=pl.Boolean)
    here = pl.col("school_id").is_in(schools) if "school_id" in files[name].columns else pl.lit(True)
    return {**files, name: files[name].filter(~(lost & here))}


def thinned(files: Files, chance: random.Random) -> Files:
    """Some students of every school, so few that each school is within its own limit."""
    students = files["students.csv"]
    gone: list[str] = []
    for school in SCHOOLS.values():
        here = sorted(set(students.filter(school_id=school)["student_id"]))
        gone += chance.sample(here, min(chance.choice([1, 5, 7]), len(here)))
    return {**files, "students.csv": students.filter(~pl.col("student_id").is_in(gone))}


def column_emptied(files: Files, chance: random.Random) -> Files:
    name = chance.choice(["students.csv", "teachers.csv"])
    column = chance.choice([each for each in files[name].columns if not each.endswith("_id")])
    share = chance.choice([0.5, 1])
    emptied = pl.Series([chance.random() < share for _ in range(files[name].height)], dtype=pl.Boolean)
    return {**files, name: files[name].with_columns(pl.when(~emptied).then(column).alias(column))}


def school_lost(files: Files, chance: random.Random) -> Files:
    school = chance.choice(list(SCHOOLS.values()))
    return without_school(files, school)


DAMAGE: tuple[Callable[[Files, random.Random], Files], ...] = (
    rows_lost,
    thinned,
    column_emptied,
    school_lost,
    moved,
)


@dataclass(frozen=True)
class ActiveRows:
    """What is active, by the source's IDs.

    people: kind, external_id, school_id, FIELDS. classes: external_id, school_id. taught: class_id, kind, external_id.
    """

    people: pl.DataFrame
    classes: pl.DataFrame
    taught: pl.DataFrame


def active_rows(database: Database) -> ActiveRows:
    def read(sql: str, *names: str) -> pl.DataFrame:
        with database.reading() as session:
            return bulk.read(session, sql, {}, dict.fromkeys(names, pl.String))

    return ActiveRows(
        read(
            "SELECT l.kind, l.external_id, s.external_id, l.email, l.phone, CAST(l.birth_date AS TEXT), l.grade"
            " FROM school_membership m JOIN link l ON l.id = m.link_id JOIN school s ON s.id = m.school_id"
            " WHERE m.active",
            *("kind", "external_id", "school_id", *FIELDS),
        ),
        read(
            "SELECT c.external_id, s.external_id FROM class c JOIN school s ON s.id = c.school_id"
            " WHERE c.archived_at IS NULL",
            *("external_id", "school_id"),
        ),
        read(
            "SELECT c.external_id, l.kind, l.external_id FROM class_membership m JOIN class c ON c.id = m.class_id"
            " JOIN link l ON l.id = m.link_id WHERE m.active",
            *("class_id", "kind", "external_id"),
        ),
    )


def wrongs(now: ActiveRows, roster: Roster, schools: Collection[ChangeSet]) -> Iterator[str]:
    """What the schools that would go on lose beyond their limits, or the district's."""
    who = ["kind", "external_id"]
    members = roster.school_members.select(*who, "school_id").drop_nulls().unique()
    going_on = {SCHOOLS[each.school_id.split("/")[1]] for each in schools if not each.reasons}
    within = {
        SCHOOLS[each.school_id.split("/")[1]]
        for each in schools
        if all(reason.code != DATA_REMOVALS or guard.is_of_district(reason.counts) for reason in each.reasons or ())
    }
    gone = now.people.join(members, on=[*who, "school_id"], how="anti")
    # A row that names a person who is in no file keeps the class as it is, as that person may be any of it.
    strangers = roster.class_members.join(roster.people, on="external_id", how="anti").select("class_id")
    for school in sorted(going_on):
        here, left = now.people.filter(school_id=school), gone.filter(school_id=school)
        counted = {TYPE_OF_KIND[kind]: (left.filter(kind=kind).height, here.filter(kind=kind).height) for kind in KINDS}
        classes = now.classes.filter(school_id=school)
        kept = classes.join(roster.classes, on=["external_id", "school_id"], how="semi").select(class_id="external_id")
        counted["classes"] = classes.height - kept.height, classes.height
        for kind in KINDS:
            taught = now.taught.filter(kind=kind).join(kept, on="class_id", how="semi").join(left, on=who, how="anti")
            lost = taught.join(roster.class_members, on=["class_id", "external_id"], how="anti")
            lost = lost.join(strangers, on="class_id", how="anti")
            counted[IN_CLASS_OF_KIND[kind]] = lost.height, taught.height
        for kind, (removed, before) in counted.items():
            if guard.exceeds(removed, before, guard.LIMITS[kind]) or 0 < before <= removed:
                yield f"{school} loses {removed} of {before} {kind}"
        stay = here.join(left, on=who, how="anti")
        for field in FIELDS:
            had = stay.filter(pl.col("kind") == "student", pl.col(field).is_not_null())
            filled = roster.people.filter(pl.col(field).is_not_null()).select(who)
            if had.height >= 10 and stay.filter(kind="student").join(filled, on=who, how="semi").is_empty():
                yield f"{school} loses {field} of {had.height} students"
    left_all = now.people.join(members, on=who, how="anti")
    for kind in KINDS:
        left = left_all.filter(pl.col("kind") == kind, pl.col("school_id").is_in(going_on))
        before = now.people.filter(pl.col("kind") == kind, pl.col("school_id").is_in(within))["external_id"].n_unique()
        share, count = TOGETHER[f"district_{TYPE_OF_KIND[kind]}"]
        removed, limit = left["external_id"].n_unique(), guard.Limit(share, int(count))
        if left["school_id"].n_unique() > 1 and guard.exceeds(removed, before, limit):
            yield f"the district loses {removed} of {before} {TYPE_OF_KIND[kind]}"


DISTRICT = generate(11, schools=3, students=240, teachers=24, classes=24, enrollments=480)


@pytest.fixture(scope="module")
def started(embedded_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation after its first night, which nothing writes to anymore."""
    folder = tmp_path_factory.mktemp("damage")
    shutil.copy(embedded_template, folder / "rollcall.sqlite")
    with open_database(f"sqlite:///{folder}/rollcall.sqlite", backups=None) as database:
        installation = Installation(folder, database)
        installation.set_up(unified=SCHOOLS)
        with database.transaction() as session:
            limits = str(TOGETHER).replace("'", '"')
            bulk.execute(session, "UPDATE district SET limits = :limits", {"limits": limits})
        installation.send(DISTRICT.csv_files())
        assert [outcome.reasons for outcome in installation.night()] == [()] * 3
        yield installation


@given(seed=st.integers(0, 2**32))
@example(seed=1)
@example(seed=576332)  # enrollments of students who are in no file
@settings(max_examples=12, deadline=None, phases=(Phase.explicit, Phase.generate))
def test_nothing_damaged_removes_or_empties_more_than_the_limits(seed: int, started: Installation) -> None:
    chance = random.Random(seed)
    files = csv_files.rows(DISTRICT)
    for damage in chance.sample(DAMAGE, chance.choice([1, 2])):
        note(damage.__name__)
        files = damage(files, chance)
    reading = FORMAT.read(csv_files.write_rows(files, CsvStyle()))
    if len(reading.file_errors):
        return
    roster = FORMAT.to_roster(reading)
    with started.database.reading() as session:
        plan = planning.plan_roster(session, read_scope(session, "unified/files"), roster)
    assert list(wrongs(active_rows(started.database), roster, plan.changesets)) == []


def test_the_damage_is_such_that_each_kind_of_hold_is_met(started: Installation) -> None:
    """What the property is about does happen."""
    files = csv_files.rows(DISTRICT)
    deliveries = {
        "thinned": thinned(files, random.Random(3)),
        "unenrolled": {**files, "enrollments.csv": files["enrollments.csv"].clear()},
        "ungraded": {**files, "students.csv": files["students.csv"].with_columns(grade=pl.lit(None, pl.String))},
        "a school lost": school_lost(files, random.Random(3)),
    }
    met = {}
    for name, damaged in deliveries.items():
        with started.database.reading() as session:
            roster = FORMAT.to_roster(FORMAT.read(csv_files.write_rows(damaged, CsvStyle())))
            plan = planning.plan_roster(session, read_scope(session, "unified/files"), roster)
        met[name] = sorted(
            {kind for changes in plan.changesets for each in changes.reasons or () for kind in each.counts}
        )
    assert met == {
        "thinned": ["district_students"],
        "unenrolled": ["student_class_memberships"],
        "ungraded": ["students_grade"],
        "a school lost": ["classes", "employees", "guardians", "students"],
    }
