"""IDs that are issued anew, and schools that change their source: everybody keeps their account, none is doubled."""

from __future__ import annotations

import polars as pl
import pytest

from models import bulk
from models.database import Database
from sandbox import csv_files
from sandbox.clever_api import CLIENT_ID, CLIENT_SECRET, CleverApi, serving
from sandbox.clever_records import clever_district, clever_ids
from sandbox.csv_files import CsvStyle
from sandbox.generator import District, generate
from services import holds, night, status
from services.clever import Connection
from services.setup import apply_setup, read_setup
from tests.end_to_end.conftest import Installation
from tests.end_to_end.nights import counts, play

SCHOOLS = {"lincoln": "0101", "roosevelt": "0102"}
Files = dict[str, pl.DataFrame]


@pytest.fixture(scope="module")
def district() -> District:
    return generate(41, schools=2, students=70, teachers=10, classes=20, enrollments=210)


@pytest.fixture
def applied(installation: Installation, district: District) -> Installation:
    installation.set_up(unified=SCHOOLS)
    installation.send(district.csv_files())
    installation.night()
    return installation


def send(installation: Installation, files: Files) -> None:
    installation.send(csv_files.write_rows(files, CsvStyle()))


def with_prefix(files: Files, **prefixes: str) -> Files:
    return {
        name: frame.with_columns(
            (pl.lit(prefix) + pl.col(column)).alias(column)
            for column, prefix in prefixes.items()
            if column in frame.columns
        )
        for name, frame in files.items()
    }


def without_zeros(files: Files) -> Files:
    return {
        name: frame.with_columns(
            pl.col(column).str.strip_chars_start("0")
            for column in ("student_id", "teacher_id", "class_id", "guardian_id")
            if column in frame.columns
        )
        for name, frame in files.items()
    }


ACCOUNTS = """
SELECT a.id, l.kind, coalesce(a.first_name || ' ', '') || a.last_name AS name, a.email
FROM account a JOIN link l ON l.account_id = a.id WHERE a.archived_at IS NULL AND l.archived_at IS NULL
"""
SCHEMA = {"id": pl.String, "kind": pl.String, "name": pl.String, "email": pl.String}


def accounts(database: Database) -> set[tuple[str, ...]]:
    with database.reading() as session:
        return set(bulk.read(session, ACCOUNTS, {}, SCHEMA).iter_rows())


def pairs(database: Database) -> dict[str, set[tuple[str, ...]]]:
    """Active memberships, class memberships and guardianships, by our own IDs, which an account keeps."""
    queries = {
        "members": "SELECT m.school_id, l.account_id FROM school_membership m JOIN link l ON l.id = m.link_id"
        " WHERE m.active",
        "class_members": "SELECT m.class_id, l.account_id FROM class_membership m JOIN link l ON l.id = m.link_id"
        " JOIN class c ON c.id = m.class_id WHERE m.active AND c.archived_at IS NULL",
        "guardianships": "SELECT s.account_id, g.account_id FROM guardianship p JOIN link s ON s.id = p.student_link_id"
        " JOIN link g ON g.id = p.guardian_link_id WHERE p.active",
    }
    with database.reading() as session:
        return {
            name: set(bulk.read(session, sql, {}, {"one": pl.String, "two": pl.String}).iter_rows())
            for name, sql in queries.items()
        }


def open_holds(database: Database) -> dict[str, list[str]]:
    with database.reading() as session:
        return {hold.school_key: hold.codes for hold in holds.open_holds(session)}


def confirm(database: Database) -> None:
    with database.transaction() as session:
        for hold in holds.open_holds(session):
            holds.decide(session, hold.id, holds.CONFIRM, by="ops", now=night.clock())


@pytest.mark.parametrize(
    "change",
    [
        lambda files: with_prefix(files, student_id="N", teacher_id="N", class_id="N", guardian_id="N"),
        lambda files: with_prefix(files, student_id="N"),
        lambda files: with_prefix(files, teacher_id="N"),
        lambda files: with_prefix(files, class_id="N"),
        without_zeros,
    ],
    ids=["everything", "students", "teachers", "classes", "zeros lost"],
)
def test_whoever_is_there_under_a_new_id_keeps_the_account(
    applied: Installation, district: District, change: object
) -> None:
    before, paired, counted = accounts(applied.database), pairs(applied.database), counts(applied.database)
    assert callable(change)
    send(applied, change(csv_files.rows(district)))
    applied.night()
    assert open_holds(applied.database) == {"lincoln": ["data_removals"], "roosevelt": ["data_removals"]}
    assert (accounts(applied.database), pairs(applied.database)) == (before, paired)
    with applied.database.reading() as session:
        (first, _) = holds.open_holds(session)
        head, *rows = holds.evidence_csv(holds.items_of(session, first.id)).splitlines()
    assert head == "type,change,record_id,new_id,other_id,name"
    assert {row.split(",")[1] for row in rows} == {"ID changed"}
    confirm(applied.database)
    applied.night()
    assert open_holds(applied.database) == {}
    assert accounts(applied.database) == before
    assert pairs(applied.database) == paired
    assert counts(applied.database) == counted
    assert applied.night() == []


def test_two_who_swap_their_ids_keep_their_accounts(applied: Installation, district: District) -> None:
    before = accounts(applied.database)
    one, two = district.of_kind("student")["source_id"].head(2)
    swap = {one: two, two: one}
    files = csv_files.rows(district)
    send(applied, {**files, "students.csv": files["students.csv"].with_columns(pl.col("student_id").replace(swap))})
    applied.night()
    assert accounts(applied.database) == before


SETUP = """
[[district]]
id = "unified"
name = "Unified"
timezone = "America/Los_Angeles"

[[district.source]]
id = "files"
kind = "csv"
format = "csv-1.0"
folder = "drop/unified"

[[district.source]]
id = "clever"
kind = "clever"
district_id = "{district}"
"""
SCHOOL = """
[[district.school]]
id = "{key}"
name = "{key}"
source = "{source}"
source_id = "{source_id}"
"""


def moved(installation: Installation, district: District, remote_id: str, to_clever: set[str]) -> None:
    """Set the schools up anew, some of them with Clever as their source."""
    known = clever_ids(district).schools
    text = SETUP.format(district=remote_id) + "".join(
        SCHOOL.format(
            key=key,
            source="clever" if key in to_clever else "files",
            source_id=known[source_id] if key in to_clever else source_id,
        )
        for key, source_id in SCHOOLS.items()
    )
    setup = installation.folder / "setup.toml"
    setup.write_text(text)
    with installation.database.transaction() as session:
        apply_setup(session, read_setup(setup))


def names(found: set[tuple[str, ...]]) -> set[tuple[str, ...]]:
    return {(account, kind, name, email or "") for account, kind, name, email in found}


@pytest.mark.parametrize("at_once", [True, False], ids=["both schools", "one after the other"])
def test_a_school_is_carried_over_to_clever_and_back_by_one_confirmation(
    applied: Installation, district: District, at_once: bool
) -> None:
    before, paired, counted = accounts(applied.database), pairs(applied.database), counts(applied.database)
    remote = clever_district(district)
    steps = [{"lincoln", "roosevelt"}, set()] if at_once else [{"lincoln"}, {"lincoln", "roosevelt"}]
    with serving(CleverApi([remote])) as url:
        connection = Connection(CLIENT_ID, CLIENT_SECRET, url, "v3.1", url, 10_000)

        def run() -> None:
            play(applied.database, applied.folder / "landing", connection=connection)

        for to_clever in steps:
            moved(applied, district, remote.id, to_clever)
            run()
            assert {code for codes in open_holds(applied.database).values() for code in codes} == {"data_removals"}
            confirm(applied.database)
            run()
            assert open_holds(applied.database) == {}
            assert names(accounts(applied.database)) == names(before)
            assert pairs(applied.database) == paired
            assert counts(applied.database)["account"] == counted["account"]
            with applied.database.reading() as session:
                assert {row.status for row in status.statuses(session, now=night.clock())} == {"connected"}
    # Who was at a school of each source for a while had a link of each, to one account; now there is one again.
    assert counts(applied.database) == counted
