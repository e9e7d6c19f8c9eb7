"""What an upgrade does to an installation of Rollcall 0.1, whose values were read by the rules of then."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest
from sqlmodel import select

from models import bulk
from models.database import Database, open_database
from models.tables import Source
from services.holds import store
from tests.end_to_end.nights import play
from tests.setups import confirm_all

UPGRADES = Path(__file__).parent.parent / "upgrades"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The folder of an installation of schema 0003, with its drop folder."""
    with closing(sqlite3.connect(tmp_path / "rollcall.sqlite")) as connection:
        connection.executescript((UPGRADES / "0003.sql").read_text())
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
