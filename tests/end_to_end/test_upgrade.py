"""What the first night after an upgrade does: to values that were read by the rules of then, and to all the others."""

from __future__ import annotations

import logging
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest
from sqlmodel import select

from models import bulk
from models.database import Database, migrate, open_database
from models.tables import Source
from services import clock
from services.holds import store
from services.intake.clever_api import Connection
from services.status import sync_status
from tests.end_to_end.nights import play
from tests.models.migrating import SNAPSHOTS, UPGRADES, Rows, restore, rows_of
from tests.setups import confirm_all

ROSTER = ("account", "link", "school_membership", "class", "class_membership", "guardianship")
NO_CLEVER = Connection("id", "secret", "http://127.0.0.1:1", "v3.1", "http://127.0.0.1:1", 100)
# Guardians, by their last name and what they lose besides their place: 0.1 left them when their last student went.
FORGOTTEN = {
    "Fuentes": ("archived_at", "email"),
    "Guerrero": ("archived_at",),
    "Pacheco": ("archived_at", "email"),
    "Padilla": ("archived_at", "email"),
    "Winslow": ("archived_at", "email"),
}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The folder of an installation of schema 0003, with its drop folder."""
    with closing(sqlite3.connect(tmp_path / "rollcall.sqlite")) as connection:
        connection.executescript((UPGRADES / "read_otherwise.sql").read_text())
    (tmp_path / "drop").mkdir()
    for file in (UPGRADES / "night1").iterdir():
        # As the next night's export: not the very bytes that were taken.
        (tmp_path / "drop" / file.name).write_bytes(file.read_bytes() + b"\n")
    return tmp_path


def _opened(folder: Path) -> Database:
    database = open_database(f"sqlite:///{folder}/rollcall.sqlite", backups=folder / "backups")
    with database.transaction() as session:
        source = session.exec(select(Source)).one()
        source.settings = {**source.settings, "folder": str(folder / "drop")}
        session.add(source)
    return database


def _values(database: Database, sql: str) -> dict[str, str]:
    with database.reading() as session:
        return dict(bulk.read(session, sql, {}, {"id": pl.String, "value": pl.String}).iter_rows())


def test_an_upgrade_cleans_ids_and_the_next_night_corrects_the_rest_without_a_hold(
    old: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "rollcall.migrations"):
        database = _opened(old)
    with database:
        assert caplog.messages == [
            "cleaned stored IDs of blanks and invisible characters: link 12, class 1, guardian 8;"
            " gave theirs up, as another has it: none"
        ]
        assert [path.suffix for path in (old / "backups").iterdir()] == [".sqlite"]
        accounts = _values(database, "SELECT external_id, account_id FROM link WHERE kind = 'student'")
        (outcome,) = play(database, old / "landing", "d")
        assert (outcome.outcome, dict(outcome.counts)) == (
            "applied",
            {
                # Twelve parents on the ID 0 had one account, and O'Brien two.
                "guardians_create": 11,
                "guardians_remove": 1,
                "guardians_update": 1,
                "guardianships_create": 12,
                "guardianships_remove": 12,
                "students_update": 4,
            },
        )
        families = """SELECT s.external_id, g.first_name || ' ' || coalesce(g.email, g.phone) FROM guardianship p
                      JOIN link s ON s.id = p.student_link_id JOIN link g ON g.id = p.guardian_link_id WHERE p.active"""
        own = {f"{number:06}": f"Par{number} par{number}@mail.example" for number in range(1, 29)}
        assert _values(database, families) == own | dict.fromkeys(("000029", "000030"), "Pat +14155557000")
        assert _values(database, "SELECT external_id, account_id FROM link WHERE kind = 'student'") == accounts
        read = "SELECT external_id, coalesce(grade, '') || ' ' || birth_date || ' ' || coalesce(email, '') FROM link"
        found = _values(database, f"{read} WHERE kind = 'student' AND external_id BETWEEN '000024' AND '000028'")
        assert found == {
            "000024": "PK 2014-12-24 ",
            "000025": "1 2014-01-25 ",
            "000026": "12 2014-02-26 ",
            "000027": "5 2014-09-03 ",
            "000028": "5 2014-04-28 kid28@birch.example",
        }
        # Then nothing is left to do.
        for file in (old / "drop").iterdir():
            file.write_bytes(file.read_bytes() + b"\n")
        assert play(database, old / "landing", "d") == []


def test_guardians_who_are_parted_hold_the_school_where_they_are_many_and_the_hold_says_so(old: Path) -> None:
    with closing(sqlite3.connect(old / "rollcall.sqlite")) as connection:
        # All the others were on the ID 0, too.
        merged = "SELECT id FROM link WHERE kind = 'guardian' AND source_id = '0'"
        connection.execute(f"UPDATE guardianship SET guardian_link_id = ({merged})")
        connection.execute("DELETE FROM link WHERE kind = 'guardian' AND source_id <> '0'")
        connection.commit()
    with _opened(old) as database:
        (outcome,) = play(database, old / "landing", "d")
        assert (outcome.outcome, outcome.reasons) == ("on_hold", ("data_removals",))
        with database.reading() as session:
            (hold,) = store.open_holds(session)
            (reason,) = hold.reasons
        assert (reason.detail or "").startswith("29 guardians who shared one account would get accounts of their own")
        confirm_all(database, "d")
        (outcome,) = play(database, old / "landing", "d")
        assert outcome.outcome == "applied"


@pytest.mark.parametrize(
    "revision",
    # The oldest and the newest in every run, the others among the journeys.
    [SNAPSHOTS[0], *(pytest.param(each, marks=pytest.mark.journeys) for each in SNAPSHOTS[1:-1]), SNAPSHOTS[-1]],
)
def test_the_night_after_an_upgrade_changes_only_what_an_earlier_version_forgot(
    revision: str, kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/old" if kind == "sqlite" else request.getfixturevalue("empty_postgresql_url")
    restore(revision, url)
    migrate(url, backups=None)
    with tarfile.open(UPGRADES / f"{revision}.landing.tar.gz") as landing:
        # The first 3.11 releases have no filters, and 3.12 warns where none is named.
        landing.extraction_filter = getattr(tarfile, "data_filter", None)
        landing.extractall(tmp_path / "landing")
    with open_database(url, backups=None) as database:
        current = _sent_just_now(database, tmp_path / "drop")
        before, shown = rows_of(url), _shown(database)
        outcomes = {
            school.school_id: str(school.outcome)
            for source, delivery in current.items()
            for school in play(
                database,
                tmp_path / "landing",
                source.partition("/")[0],
                now=False,
                # Nothing new waits in the drop folders. Clever isn't asked, so its delivery is named.
                delivery=delivery if source == "lakeside/clever" else None,
                connection=NO_CLEVER,
            )
        }
        after = rows_of(url)
        assert _shown(database) == shown
    forgot = revision < "0005"
    assert {school: outcome for school, outcome in outcomes.items() if outcome != "unchanged"} == {
        "hillcrest/academy": "on_hold",
        **({"unified/jefferson": "applied"} if forgot else {}),
    }
    forgotten = FORGOTTEN.items() if forgot else ()
    assert _changes(before, after) == {("link", name, ("archived_at",)) for name, _ in forgotten} | {
        ("account", name, columns) for name, columns in forgotten
    }
    # In these snapshots a student has left since, of their own accord.
    gone = {("unified/roosevelt", "email_taken", 56, "007029", None, 0)} if revision >= "0003" else set()
    assert (_issues(before) - _issues(after), _issues(after) - _issues(before)) == (gone, set())


def _sent_just_now(database: Database, drop: Path) -> dict[str, int]:
    """Have the sources look into an empty folder, not stale whenever this is run; gives their current deliveries."""
    drop.mkdir()
    with database.transaction() as session:
        sources = session.exec(select(Source)).all()
        for source in sources:
            source.last_received_at = clock.now()
            if source.kind == "csv":
                source.settings = {**source.settings, "folder": str(drop)}
            session.add(source)
        return {source.id: source.current_delivery_id or 0 for source in sources}


def _shown(database: Database) -> object:
    """What people see: each school's status, and each hold with its reasons and whom or what it is about."""
    with database.reading() as session:
        return (
            {row.key: row.status for row in sync_status.statuses(session, now=clock.now())},
            {
                hold.school_key: (
                    [reason.code for reason in hold.reasons],
                    sorted(store.items_of(session, hold.id).select("type", "name").rows(), key=repr),
                )
                for hold in store.open_holds(session)
            },
        )


def _changes(before: Rows, after: Rows) -> set[tuple[str, str, tuple[str, ...]]]:
    """Table, last name and the changed columns of every row of the roster that isn't as it was."""
    return {
        (table, row["last_name"], tuple(sorted(name for name in row if row[name] != new[name])))
        for table in ROSTER
        for row, new in zip(before[table], after[table], strict=True)
        if row != new
    }


def _issues(rows: Rows) -> set[tuple[object, ...]]:
    # The row as it came is kept in today's order of columns.
    columns = ("school_id", "code", "line", "record_id", "detail", "dependents")
    return {tuple(row[name] for name in columns) for row in rows["issue"]}
