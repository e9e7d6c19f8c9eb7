"""Whole nights over the real pipeline: what must hold whatever a district sends."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from errors import Busy
from models import bulk
from models.database import Database, open_database
from models.outcomes import RunOutcome
from models.tables import Account
from sandbox.days import next_day
from sandbox.faults import FAULTS, plant
from sandbox.generator import generate
from services.holds import store
from services.intake import deliveries
from services.sync import pipeline
from services.sync.requests import SyncRequest
from tests.end_to_end.conftest import Installation
from tests.end_to_end.nights import counts, snapshot

SCHOOLS = {"lincoln": "0101", "roosevelt": "0102", "jefferson": "0103"}
TWO = {"lincoln": "1", "adams": "2"}
Files = Callable[..., dict[str, bytes]]


def accounts(database: Database) -> list[tuple[object, ...]]:
    """Every account: role, names, email, whether it is archived, and how many links it has."""
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
                "SELECT school_id, code, file, record_id, detail, dependents FROM issue",
                {},
                {
                    "school_id": pl.String,
                    "code": pl.String,
                    "file": pl.String,
                    "record_id": pl.String,
                    "detail": pl.String,
                    "dependents": pl.Int64,
                },
            )
            .sort(pl.all(), nulls_last=True)
            .rows()
        )


def with_every_fault(seed: int) -> dict[str, bytes]:
    district = generate(seed, schools=3, students=60, teachers=12, classes=18, enrollments=150)
    return dict(plant(district, dict.fromkeys(FAULTS, 1), seed).files)


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


@contextmanager
def fresh(template: Path) -> Iterator[Installation]:
    """An installation of its own for each example; template: an empty, migrated database."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        shutil.copy(template, home / "rollcall.sqlite")
        with open_database(f"sqlite:///{home / 'rollcall.sqlite'}", backups=None) as database:
            yield Installation(home, database)


SEEDS = st.integers(0, 10**6)
FEW = settings(max_examples=2, deadline=None)


@FEW
@given(SEEDS, st.permutations(list(SCHOOLS)))
def test_the_order_of_rows_and_schools_makes_no_difference(embedded_template: Path, seed: int, keys: list[str]) -> None:
    files = with_every_fault(seed)
    found = []
    for order, sent in ((list(SCHOOLS), files), (keys, shuffled(files, seed))):
        with fresh(embedded_template) as installation:
            installation.set_up(unified={key: SCHOOLS[key] for key in order})
            installation.send(sent)
            installation.night()
            found.append((accounts(installation.database), issues(installation.database)))
            assert installation.night(delivery=1) == []
    assert found[0] == found[1]


@FEW
@given(SEEDS)
def test_a_rejected_record_never_removes_anything(embedded_template: Path, seed: int) -> None:
    district = generate(seed, schools=3, students=60, teachers=12, classes=18, enrollments=150)
    draw = random.Random(seed)
    with fresh(embedded_template) as installation:
        installation.set_up(unified=SCHOOLS)
        installation.send(district.csv_files())
        installation.night()
        before = counts(installation.database)
        files = district.csv_files()
        spoilt = (
            ("students.csv", "student_last_name"),
            ("teachers.csv", "teacher_email"),
            ("classes.csv", "class_name"),
        )
        for name, column in spoilt:
            frame = pl.read_csv(files[name], infer_schema=False)
            spoiled = pl.Series([draw.random() < 0.7 for _ in range(frame.height)])
            emptied = pl.when(spoiled).then(pl.lit("")).otherwise(column).alias(column)
            files[name] = frame.with_columns(emptied).write_csv().encode()
        installation.send(files)
        outcomes = installation.night()
        assert [outcome.reasons for outcome in outcomes] == [()] * len(outcomes)
        assert [name for outcome in outcomes for name in outcome.counts if name.endswith("remove")] == []
        assert counts(installation.database) == before


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
    request = SyncRequest("unified", "unified/files")
    first = pipeline.begin(installation.database, request)
    with pytest.raises(Busy, match=f"run {first}, started"):
        pipeline.begin(installation.database, request)
    pipeline.finish(installation.database, first, RunOutcome.NOTHING, [])
    assert pipeline.begin(installation.database, request) > first


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
    embedded: Installation, csv_files: Files
) -> None:
    embedded.set_up(east=TWO, west=TWO)
    for number, (district, names) in enumerate(zip(("east", "west"), SPELLINGS, strict=True)):
        embedded.send(family(csv_files, number, names=names), district)
    embedded.night("east")
    embedded.night("west")
    (parent,) = [row for row in accounts(embedded.database) if row[0] == "guardian"]
    assert parent == ("guardian", "Katherine", "O'Neil", "kate@home.example", False, 2)
    for _ in range(2):
        assert embedded.night("east", delivery=1) == []
        assert embedded.night("west", delivery=2) == []
    assert [row for row in accounts(embedded.database) if row[0] == "guardian"] == [parent]


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
    embedded: Installation, csv_files: Files
) -> None:
    embedded.set_up(unified=TWO)
    teachers = [("t1", "1", "Ada", "Moss", "ada@schools.example")]
    parent = ("g1", "Kate", "Moss", "kate@home.example", "")
    others = [
        (f"x{row}", "1", "Kid", f"Of{row}", "", f"h{row}", "Pat", f"Of{row}", f"p{row}@h.example", "")
        for row in range(30)
    ]
    lee, kim = ("s1", "1", "Lee", "Moss", "", *parent), ("s2", "1", "Kim", "Moss", "", *parent)
    embedded.send(csv_files(teachers=teachers, students=[*others, lee, kim]))
    embedded.night()
    embedded.send(csv_files(teachers=teachers, students=[*others, lee]))
    embedded.night()
    assert ("guardian", "Kate", "Moss", "kate@home.example", False, 1) in accounts(embedded.database)
    embedded.send(csv_files(teachers=teachers, students=others))
    embedded.night()
    assert ("guardian", "Kate", "Moss", None, True, 1) in accounts(embedded.database)
    embedded.send(csv_files(teachers=teachers, students=[*others, kim]))
    embedded.night()
    assert ("guardian", "Kate", "Moss", "kate@home.example", False, 1) in accounts(embedded.database)


def test_a_teacher_removed_from_one_school_stays_in_the_other(embedded: Installation, csv_files: Files) -> None:
    embedded.set_up(unified=TWO)
    ada = [("t1", school, "Ada", "Moss", "ada@schools.example") for school in "12"]
    more = [(f"m{row}", "1", "Max", f"M{row}", f"m{row}@schools.example") for row in range(9)]
    embedded.send(csv_files(teachers=[*ada, *more]))
    embedded.night()
    embedded.send(csv_files(teachers=[ada[1], *more]))
    outcomes = embedded.night()
    assert {outcome.school_id: dict(outcome.counts) for outcome in outcomes if outcome.counts} == {
        "unified/lincoln": {"employees_remove": 1}
    }
    assert ("teacher", "Ada", "Moss", "ada@schools.example", False, 1) in accounts(embedded.database)


def test_statuses_keep_their_history(embedded: Installation, csv_files: Files) -> None:
    embedded.set_up(unified=TWO)
    embedded.send(csv_files(teachers=[("t1", "1", "Ada", "Moss", "ada@schools.example")]))
    embedded.night()
    with embedded.database.reading() as session:
        kept = bulk.read(
            session,
            "SELECT status FROM status_change WHERE school_id = 'unified/lincoln' ORDER BY id",
            {},
            {"status": pl.String},
        )
    assert kept["status"].to_list() == ["setup_sync", "processing", "connected"]


def grown_old(installation: Installation, days: int) -> None:
    with installation.database.transaction() as session:
        long_ago = datetime.now(UTC) - timedelta(days=days)
        bulk.execute(session, "UPDATE source SET last_received_at = :at", {"at": long_ago})


def held_for(installation: Installation) -> list[list[str]]:
    with installation.database.reading() as session:
        return [hold.codes for hold in store.open_holds(session)]


def hold_ids(installation: Installation) -> list[int]:
    with installation.database.reading() as session:
        return [hold.id for hold in store.open_holds(session)]


@pytest.mark.parametrize(("days", "held"), [(89, []), (91, [["stale"], ["stale"]])])
def test_ninety_days_without_a_delivery_hold(
    embedded: Installation, csv_files: Files, days: int, held: list[list[str]]
) -> None:
    embedded.set_up(unified=TWO)
    files = csv_files(teachers=[("t1", "1", "Ada", "Moss", "ada@schools.example")])
    embedded.send(files)
    embedded.night()
    grown_old(embedded, days)
    embedded.night()
    assert held_for(embedded) == held
    # The very same bytes sent again are a duplicate: it restarts the 90 days, and nothing else.
    embedded.send(files)
    assert embedded.night() == []
    assert held_for(embedded) == []
    with embedded.database.reading() as session:
        assert [delivery.duplicates for delivery in deliveries.deliveries_of(session, "unified")] == [1]


@pytest.mark.parametrize("why", ["disconnected", "file_errors", "stale"])
def test_an_earlier_delivery_ends_no_hold_that_only_the_source_can_end(
    embedded: Installation, csv_files: Files, why: str
) -> None:
    embedded.set_up(unified=TWO)
    for name in ("Ada", "Eve"):
        embedded.send(csv_files(teachers=[("t1", "1", name, "Moss", "ada@schools.example")]))
        embedded.night()
    if why == "disconnected":
        embedded.drop().rename(embedded.folder / "elsewhere")
    elif why == "file_errors":
        embedded.send({"students.csv": b""})
    else:
        grown_old(embedded, 91)
    embedded.night()
    before = held_for(embedded), hold_ids(embedded)
    outcomes = {outcome.school_id: (outcome.outcome, outcome.reasons) for outcome in embedded.night(delivery=1)}
    assert outcomes == dict.fromkeys(("unified/lincoln", "unified/adams"), ("on_hold", (why,)))
    assert (held_for(embedded), hold_ids(embedded)) == before == ([[why], [why]], [1, 2])
    assert [row[1] for row in accounts(embedded.database)] == ["Eve"]
    # The source is well again: what was chosen is applied, or what has come since.
    if why == "disconnected":
        (embedded.folder / "elsewhere").rename(embedded.drop())
    else:
        embedded.send(csv_files(teachers=[("t1", "1", "Ada", "Moss", "ada@schools.example")]))
    embedded.night()
    assert hold_ids(embedded) == []
    assert [row[1] for row in accounts(embedded.database)] == ["Ada"]


def test_a_school_missing_from_the_first_delivery_holds(embedded: Installation, csv_files: Files) -> None:
    embedded.set_up(unified={**TWO, "north": "3"})
    embedded.send(csv_files(teachers=[("t1", "1", "Ada", "Moss", "ada@schools.example")]))
    outcomes = {outcome.school_id: (outcome.outcome, outcome.reasons) for outcome in embedded.night()}
    assert outcomes["unified/north"] == ("on_hold", ("school_missing",))
    assert held_for(embedded) == [["school_missing"]]


def test_the_winner_of_an_email_takes_it_though_the_losers_school_is_on_hold(
    installation: Installation, csv_files: Files
) -> None:
    installation.set_up(unified=TWO)
    kids = [(f"k{row}", "2", "Kid", f"Of{row}", "", "", "", "", "", "") for row in range(30)]
    pat = ("s1", "2", "Pat", "Moss", "pat@schools.example", "", "", "", "", "")
    ada = ("t1", "1", "Ada", "Moss", "ada@schools.example")
    installation.send(csv_files(teachers=[ada], students=[*kids, pat]))
    installation.night()
    installation.send(csv_files(teachers=[(*ada[:4], "pat@schools.example")], students=[*kids[:5], pat]))
    outcomes = {outcome.school_id: outcome.outcome for outcome in installation.night()}
    assert outcomes == {"unified/lincoln": "applied", "unified/adams": "on_hold"}
    kept = {(row[1], row[2]): row[3] for row in accounts(installation.database) if row[2] == "Moss"}
    assert kept == {("Ada", "Moss"): "pat@schools.example", ("Pat", "Moss"): None}
    installation.send(csv_files(teachers=[ada], students=[*kids, pat]))
    installation.night()
    kept = {(row[1], row[2]): row[3] for row in accounts(installation.database) if row[2] == "Moss"}
    assert kept == {("Ada", "Moss"): "ada@schools.example", ("Pat", "Moss"): "pat@schools.example"}


def test_another_person_under_an_old_id_is_a_new_account(embedded: Installation, csv_files: Files) -> None:
    embedded.set_up(unified=TWO)
    kids = [(f"k{row}", "1", "Kid", f"Of{row}", "", "", "", "", "", "") for row in range(30)]
    ada = ("t1", "1", "Ada", "Stone", "ada@schools.example")
    embedded.send(csv_files(teachers=[ada], students=[*kids, ("s1", "1", "Pat", "Moss", "", "", "", "", "", "")]))
    embedded.night()
    embedded.send(csv_files(teachers=[ada], students=[*kids, ("s1", "1", "Kim", "Reed", "", "", "", "", "", "")]))
    outcomes = embedded.night()
    assert {outcome.school_id: dict(outcome.counts) for outcome in outcomes if outcome.counts} == {
        "unified/lincoln": {"students_create": 1, "students_remove": 1}
    }
    found = {row[2]: row[4] for row in accounts(embedded.database) if row[2] in ("Moss", "Reed")}
    assert found == {"Moss": True, "Reed": False}


def test_a_hand_made_account_is_adopted_and_keeps_what_it_has(installation: Installation, csv_files: Files) -> None:
    installation.set_up(unified=TWO)
    with installation.database.transaction() as session:
        session.add(
            Account(
                id="made",
                role="staff",
                first_name="Adele",
                email="ada@schools.example",
                district_id="unified",
                created_at=datetime.now(UTC),
            )
        )
    installation.send(csv_files(teachers=[("t1", "1", "Ada", "Stone", "ada@schools.example")]))
    outcomes = installation.night()
    assert dict(outcomes[0].counts) == {"employees_adopt": 1}
    assert accounts(installation.database) == [("staff", "Adele", "Stone", "ada@schools.example", False, 1)]
    assert installation.night(delivery=1) == []


TEACHER = ("t1", "1", "Ada", "Moss", "ada@schools.example")


def pupil(number: str, school: str, *guardian: str) -> tuple[str, ...]:
    return (number, school, "Kid", f"Of{number}", "", *(guardian or ("",) * 5))


def guardian_ids(database: Database) -> list[tuple[object, ...]]:
    """Every active guardian's first name and external ID, which is None where it is their link's own."""
    with database.reading() as session:
        return bulk.read(
            session,
            "SELECT first_name, CASE WHEN external_id <> id THEN external_id END AS external_id,"
            " external_id IS NULL AS none"
            " FROM link WHERE kind = 'guardian' AND archived_at IS NULL ORDER BY first_name",
            {},
            {"first_name": pl.String, "external_id": pl.String, "none": pl.Boolean},
        ).rows()


@pytest.mark.parametrize("school", ["1", "2"])
def test_a_guardian_gives_up_an_id_that_is_somebody_elses_now(
    embedded: Installation, csv_files: Files, school: str
) -> None:
    embedded.set_up(unified=TWO)
    kate = ("Kate", "Moss", "kate@home.example", "")
    embedded.send(csv_files(teachers=[TEACHER], students=[pupil("s1", "1", "g1", *kate)]))
    embedded.night()
    bob = ("g1", "Bob", "Reed", "bob@home.example", "")
    embedded.send(csv_files(teachers=[TEACHER], students=[pupil("s1", "1", "", *kate), pupil("s2", school, *bob)]))
    embedded.night()
    assert guardian_ids(embedded.database) == [("Bob", "g1", False), ("Kate", None, False)]
    assert embedded.night(delivery=2) == []


def test_guardians_of_two_schools_who_swap_their_ids_keep_the_new_ones(
    installation: Installation, csv_files: Files
) -> None:
    installation.set_up(unified=TWO)
    kate, bob = ("Kate", "Moss", "kate@home.example", ""), ("Bob", "Reed", "bob@home.example", "")
    for first, second in (("g1", "g2"), ("g2", "g1")):
        students = [pupil("s1", "1", first, *kate), pupil("s2", "2", second, *bob)]
        installation.send(csv_files(teachers=[TEACHER], students=students))
        installation.night()
        assert guardian_ids(installation.database) == [("Bob", second, False), ("Kate", first, False)]
    assert installation.night(delivery=2) == []


def test_a_school_has_nothing_to_do_with_who_is_at_a_frozen_one(embedded: Installation, csv_files: Files) -> None:
    embedded.set_up(unified=TWO)
    kids = [pupil(f"k{row}", "1") for row in range(30)]
    for school in ("1", "2"):
        embedded.send(csv_files(teachers=[TEACHER], students=[*kids, pupil("s1", school)]))
        embedded.night()
    embedded.set_up(unified={"lincoln": "1"})
    embedded.send(csv_files(teachers=[TEACHER], students=kids))
    assert embedded.night() == []
    assert ("student", "Kid", "Ofs1", None, False, 1) in accounts(embedded.database)
