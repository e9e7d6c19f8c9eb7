"""Whole nights over the real pipeline: what must hold whatever a district sends."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest

from contracts.issues import CATALOGUE, Severity
from errors import Busy
from models import bulk
from models.database import Database
from sandbox.days import next_day
from sandbox.faults import plant
from sandbox.generator import generate
from services import night
from services.night import Order
from tests.end_to_end.conftest import Installation
from tests.end_to_end.nights import counts, snapshot

SCHOOLS = {"lincoln": "0101", "roosevelt": "0102", "jefferson": "0103"}
TWO = {"lincoln": "1", "adams": "2"}
Files = Callable[..., dict[str, bytes]]


def accounts(database: Database) -> list[tuple[object, ...]]:
    """Every account: role, names, e-mail, whether it is archived, and how many links it has."""
    with database.reading() as session:
        return (
            bulk.read(
                session,
                "SELECT a.role, a.first_name, a.last_name, a.email, a.archived_at IS NOT NULL AS gone,"
                " count(l.id) AS links"
                " FROM account a LEFT JOIN link l ON l.account_id = a.id"
                " GROUP BY a.id, a.role, a.first_name, a.last_name, a.email, a.archived_at",
                {},
                {
                    "role": pl.String,
                    "first_name": pl.String,
                    "last_name": pl.String,
                    "email": pl.String,
                    "gone": pl.Boolean,
                    "links": pl.Int64,
                },
            )
            .sort(pl.all(), nulls_last=True)
            .rows()
        )


def issues(database: Database) -> list[tuple[object, ...]]:
    """Every stored issue but for its line, which follows the order of rows."""
    with database.reading() as session:
        return (
            bulk.read(
                session,
                "SELECT school_id, code, file, record_id, detail, consequences FROM issue",
                {},
                {
                    "school_id": pl.String,
                    "code": pl.String,
                    "file": pl.String,
                    "record_id": pl.String,
                    "detail": pl.String,
                    "consequences": pl.Int64,
                },
            )
            .sort(pl.all(), nulls_last=True)
            .rows()
        )


def with_every_fault(seed: int) -> dict[str, bytes]:
    district = generate(seed, schools=3, students=60, teachers=12, classes=18, enrollments=150)
    codes = [code for code, entry in CATALOGUE.items() if entry.severity in (Severity.ERROR, Severity.ALERT)]
    return dict(plant(district, dict.fromkeys(codes, 1), seed).files)


def shuffled(files: dict[str, bytes], seed: int) -> dict[str, bytes]:
    draw = random.Random(seed)
    mixed = {}
    for name, content in files.items():
        head, *rows = content.decode().splitlines()
        draw.shuffle(rows)
        mixed[name] = "\n".join([head, *rows, ""]).encode()
    return mixed


def test_the_same_delivery_again_changes_nothing(installation: Installation) -> None:
    installation.set_up(unified=SCHOOLS)
    installation.send(with_every_fault(5))
    assert {outcome.outcome for outcome in installation.night()} == {"applied"}
    before = snapshot(installation.database)
    assert installation.night(delivery=1) == []
    assert snapshot(installation.database) == before


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_rows_makes_no_difference(embedded: Installation, seed: int) -> None:
    files = with_every_fault(seed)
    embedded.set_up(first=SCHOOLS)
    embedded.send(files, "first")
    embedded.night("first")
    expected = accounts(embedded.database), issues(embedded.database)
    embedded.send(shuffled(files, seed), "first")
    assert [dict(outcome.counts) for outcome in embedded.night("first") if outcome.counts] == []
    assert (accounts(embedded.database), issues(embedded.database)) == expected


def test_the_order_of_schools_makes_no_difference(tmp_path_factory: pytest.TempPathFactory, sqlite_url: str) -> None:
    found = []
    for keys in (list(SCHOOLS), list(reversed(SCHOOLS))):
        folder = tmp_path_factory.mktemp("home")
        from models.database import open_database

        with open_database(f"sqlite:///{folder / 'a.sqlite'}", backups=None) as database:
            installation = Installation(folder, database)
            installation.set_up(unified={key: SCHOOLS[key] for key in keys})
            installation.send(with_every_fault(8))
            installation.night()
            found.append((accounts(database), issues(database)))
    assert found[0] == found[1]


def test_a_rejected_record_never_removes_anything(embedded: Installation) -> None:
    embedded.set_up(unified=SCHOOLS)
    district = generate(4, schools=3, students=60, teachers=12, classes=18, enrollments=150)
    embedded.send(district.csv_files())
    embedded.night()
    before = counts(embedded.database)
    files = district.csv_files()
    for name, column in (("students.csv", "last_name"), ("teachers.csv", "email"), ("classes.csv", "class_name")):
        frame = pl.read_csv(files[name], infer_schema=False)
        files[name] = frame.with_columns(pl.lit("").alias(column)).write_csv().encode()
    embedded.send(files)
    outcomes = embedded.night()
    assert [outcome.reasons for outcome in outcomes] == [(), (), ()]
    assert {name: n for outcome in outcomes for name, n in outcome.counts.items() if name.endswith("remove")} == {}
    assert counts(embedded.database) == before


def test_going_back_to_an_earlier_delivery(embedded: Installation) -> None:
    embedded.set_up(unified=SCHOOLS)
    first = generate(6, schools=3, students=150, teachers=12, classes=18, enrollments=300)
    embedded.send(first.csv_files())
    embedded.night()
    before = counts(embedded.database)
    embedded.send(next_day(first, 1, joined=5, left=3, moved=2, changed=6).csv_files())
    embedded.night()
    assert counts(embedded.database) != before
    embedded.night(delivery=1)
    assert counts(embedded.database) == before


def test_a_district_has_one_run_at_a_time(installation: Installation) -> None:
    installation.set_up(unified=SCHOOLS)
    order = Order("unified", "unified/files")
    first = night.begin(installation.database, order)
    with pytest.raises(Busy, match=f"by run {first} since"):
        night.begin(installation.database, order)
    night.finish(installation.database, first, night.NOTHING, [])
    assert night.begin(installation.database, order) > first


SPELLINGS = (("Katherine", "O'Neil"), ("Kathy", "ONeil"))


def family(csv_files: Files, number: int, *, names: tuple[str, str]) -> dict[str, bytes]:
    """A district of two schools in which the same parent is spelled in its own way."""
    return csv_files(
        teachers=[(f"t{number}", "1", "Ada", "Moss", f"ada{number}@schools.example")],
        students=[
            (f"s{number}", "1", "Lee", "Moss", "", "g1", *names, "kate@home.example", ""),
            (f"r{number}", "2", "Kim", "Moss", "", "g1", *names, "kate@home.example", ""),
        ],
        classes=[("c1", "1", "Art", f"t{number}")],
        enrollments=[("c1", f"s{number}")],
    )


def test_two_spellings_of_one_parent_are_written_twice_and_never_again(
    installation: Installation, csv_files: Files
) -> None:
    installation.set_up(east=TWO, west=TWO)
    for number, (district, names) in enumerate(zip(("east", "west"), SPELLINGS, strict=True)):
        installation.send(family(csv_files, number, names=names), district)
    installation.night("east")
    installation.night("west")
    (parent,) = [row for row in accounts(installation.database) if row[0] == "guardian"]
    assert parent == ("guardian", "Katherine", "O'Neil", "kate@home.example", False, 2)
    for _ in range(9):
        assert installation.night("east", delivery=1) == []
        assert installation.night("west", delivery=2) == []
    assert [row for row in accounts(installation.database) if row[0] == "guardian"] == [parent]


def test_districts_that_share_parents_run_side_by_side(
    tmp_path_factory: pytest.TempPathFactory, postgresql_database: Database, csv_files: Files
) -> None:
    installation = Installation(tmp_path_factory.mktemp("home"), postgresql_database)
    installation.set_up(east=TWO, west=TWO)
    for number, district in enumerate(("east", "west")):
        students = [
            (f"s{row}", str(row % 2 + 1), "Kid", f"Name{row}", "", "", "Pat", f"Name{row}", f"p{row}@home.example", "")
            for row in range(200)
        ]
        installation.send(
            csv_files(teachers=[("t", "1", "A", "B", f"t{number}@x.example")], students=students), district
        )
    with ThreadPoolExecutor(2) as pool:
        done = [pool.submit(installation.night, district) for district in ("east", "west")]
        outcomes = [outcome.outcome for future in done for outcome in future.result()]
    assert outcomes == ["applied"] * 4
    parents = [row for row in accounts(postgresql_database) if row[0] == "guardian"]
    assert len(parents) == 200
    assert {row[5] for row in parents} == {2}


def test_a_parents_last_student_takes_them_along_and_a_sibling_keeps_them(
    installation: Installation, csv_files: Files
) -> None:
    installation.set_up(unified=TWO)
    teachers = [("t1", "1", "Ada", "Moss", "ada@schools.example")]
    parent = ("g1", "Kate", "Moss", "kate@home.example", "")
    others = [
        (f"x{row}", "1", "Kid", f"Of{row}", "", f"h{row}", "Pat", f"Of{row}", f"p{row}@h.example", "")
        for row in range(30)
    ]
    lee, kim = ("s1", "1", "Lee", "Moss", "", *parent), ("s2", "1", "Kim", "Moss", "", *parent)
    installation.send(csv_files(teachers=teachers, students=[*others, lee, kim]))
    installation.night()
    installation.send(csv_files(teachers=teachers, students=[*others, lee]))
    installation.night()
    assert ("guardian", "Kate", "Moss", "kate@home.example", False, 1) in accounts(installation.database)
    installation.send(csv_files(teachers=teachers, students=others))
    installation.night()
    assert ("guardian", "Kate", "Moss", None, True, 1) in accounts(installation.database)
    installation.send(csv_files(teachers=teachers, students=[*others, kim]))
    installation.night()
    assert ("guardian", "Kate", "Moss", "kate@home.example", False, 1) in accounts(installation.database)


def test_a_teacher_removed_from_one_school_stays_in_the_other(installation: Installation, csv_files: Files) -> None:
    installation.set_up(unified=TWO)
    ada = [("t1", school, "Ada", "Moss", "ada@schools.example") for school in "12"]
    more = [(f"m{row}", "1", "Max", f"M{row}", f"m{row}@schools.example") for row in range(9)]
    installation.send(csv_files(teachers=[*ada, *more]))
    installation.night()
    installation.send(csv_files(teachers=[ada[1], *more]))
    outcomes = installation.night()
    assert {outcome.school_id: dict(outcome.counts) for outcome in outcomes if outcome.counts} == {
        "unified/lincoln": {"employees_remove": 1}
    }
    assert ("teacher", "Ada", "Moss", "ada@schools.example", False, 1) in accounts(installation.database)


def test_statuses_keep_their_history(installation: Installation, csv_files: Files) -> None:
    installation.set_up(unified=TWO)
    installation.send(csv_files(teachers=[("t1", "1", "Ada", "Moss", "ada@schools.example")]))
    installation.night()
    with installation.database.reading() as session:
        kept = bulk.read(
            session,
            "SELECT status FROM status_change WHERE school_id = 'unified/lincoln' ORDER BY id",
            {},
            {"status": pl.String},
        )
    assert kept["status"].to_list() == ["setup_sync", "processing", "connected"]
