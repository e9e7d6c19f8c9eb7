"""What is exported gives, read back into an empty installation, the same accounts; and every column is explained."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from errors import NotPossible
from models.database import open_database
from models.tables import Account
from services import clock
from services.intake.landing_area import LandingArea
from services.operations import exporting
from tests.end_to_end.conftest import Installation
from tests.end_to_end.test_erasing import MINE, PARENT, THEIRS, files
from tests.markers import files_with, rows

Files = Callable[..., dict[str, bytes]]
ACCOUNTS = """
SELECT l.kind, l.role, CASE WHEN l.guardian_ids IS NULL AND l.kind = 'guardian' THEN '' ELSE l.external_id END,
       a.first_name, a.last_name, a.email, a.phone, a.phone_extension, a.birth_date, a.grade, a.language
FROM link l JOIN account a ON a.id = l.account_id WHERE a.archived_at IS NULL ORDER BY 1, 2, 3, 4, 5, 6, 7
"""
PAIRS = """
SELECT s.external_id, g.first_name, g.last_name, p.relationship, p.type FROM guardianship p
JOIN link s ON s.id = p.student_link_id JOIN link g ON g.id = p.guardian_link_id WHERE p.active ORDER BY 1, 2, 3
"""
CLASSES = """
SELECT c.external_id, c.name, l.external_id, CASE WHEN m.is_owner THEN 'teacher' ELSE 'student' END
FROM class c JOIN class_membership m ON m.class_id = c.id
JOIN link l ON l.id = m.link_id WHERE m.active ORDER BY 1, 3
"""


def export(installation: Installation, district: str, folder: Path) -> exporting.Exported:
    area = LandingArea.of_folder(installation.folder / "landing")
    with installation.database.reading() as session:
        return exporting.export(session, district, folder, area)


def test_read_back_it_gives_the_same_accounts(
    installation: Installation, csv_files: Files, embedded_template: Path, tmp_path: Path
) -> None:
    installation.set_up(mine={"lincoln": "1", "adams": "2"})
    installation.send(files(csv_files, *MINE), "mine")
    installation.night("mine")
    export(installation, "mine", tmp_path / "out")
    again = tmp_path / "again"
    again.mkdir()
    (again / "rollcall.sqlite").write_bytes(embedded_template.read_bytes())
    with open_database(f"sqlite:///{again / 'rollcall.sqlite'}", backups=None) as database:
        other = Installation(again, database)
        other.set_up(mine={"lincoln": "1", "adams": "2"})
        other.send({file.name: file.read_bytes() for file in (tmp_path / "out/roster/files").iterdir()}, "mine")
        other.night("mine")
        for sql in (ACCOUNTS, PAIRS, CLASSES):
            expected = sorted(tuple(map(str, row)) for row in rows(installation.database, sql))
            assert sorted(tuple(map(str, row)) for row in rows(database, sql)) == expected
            assert len(expected) > 2


def test_all_is_there_but_what_is_another_districts_or_lets_somebody_in(
    installation: Installation, csv_files: Files, tmp_path: Path
) -> None:
    installation.set_up(mine={"lincoln": "1", "adams": "2"}, theirs={"lincoln": "1", "adams": "2"})
    shared = ("g5", "Zzothersays", *PARENT[2:])
    installation.send(files(csv_files, *THEIRS, shared), "theirs")
    installation.night("theirs")
    installation.send(files(csv_files, MINE[0], "=1+1"), "mine")
    installation.night("mine")
    with installation.database.transaction() as session:
        session.add(Account(id="hand", role="teacher", first_name="=cmd", district_id="mine", created_at=clock.now()))
    done = export(installation, "mine", tmp_path / "out")
    assert files_with([tmp_path / "out"], "zztheirs", "zzothersays", "token_hash") == []
    assert done.received == 5
    assert (done.rows["link"], done.rows["account"], done.rows["district"]) == (7, 7, 1)
    assert "'=cmd" in (tmp_path / "out/tables/account.csv").read_text()
    assert {oct(file.stat().st_mode & 0o777) for file in (tmp_path / "out").rglob("*") if file.is_file()} == {"0o600"}
    with pytest.raises(NotPossible, match="cannot be written: File exists"):
        export(installation, "mine", tmp_path / "out")


def test_the_dictionary_explains_every_column_that_is_written(
    installation: Installation, csv_files: Files, tmp_path: Path
) -> None:
    installation.set_up(mine={"lincoln": "1"})
    export(installation, "mine", tmp_path / "out")
    with (tmp_path / "out" / exporting.DICTIONARY).open() as stream:
        explained = {(row["file"], row["column"]) for row in csv.DictReader(stream) if row["column"]}
    written = set()
    for file in (tmp_path / "out").rglob("*.csv"):
        name = str(file.relative_to(tmp_path / "out")).replace("roster/files", "roster/SOURCE")
        if name != exporting.DICTIONARY:
            written |= {(name, column) for column in file.read_text().splitlines()[0].split(",")}
    assert written == explained
