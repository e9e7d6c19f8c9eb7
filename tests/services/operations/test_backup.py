from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from errors import NotPossible
from models.database import Database, open_database
from models.tables import District
from services.operations.backup import backup


def test_a_backup_holds_what_was_committed_and_opens(sqlite_database: Database, tmp_path: Path) -> None:
    with sqlite_database.transaction() as session:
        session.add(District(id="one", name="One", timezone="UTC", administrators=[]))
    file = tmp_path / "copy.sqlite"
    with sqlite_database.transaction() as session:
        session.add(District(id="two", name="Two", timezone="UTC", administrators=[]))
        session.flush()
        backup(sqlite_database, file)
    with closing(sqlite3.connect(file)) as copy:
        assert copy.execute("SELECT id FROM district").fetchall() == [("one",)]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.glob("copy*")) == ["copy.sqlite"]
    open_database(f"sqlite:///{file}", backups=None).close()


def test_a_file_that_is_there_is_not_overwritten(sqlite_database: Database, tmp_path: Path) -> None:
    file = tmp_path / "copy.sqlite"
    file.write_text("dear")
    with pytest.raises(NotPossible, match="already exists"):
        backup(sqlite_database, file)
    assert file.read_text() == "dear"
    with pytest.raises(NotPossible, match="is not a folder"):
        backup(sqlite_database, tmp_path / "nowhere" / "copy.sqlite")


def test_postgresql_has_its_own_tool(postgresql_database: Database, tmp_path: Path) -> None:
    with pytest.raises(NotPossible, match="pg_dump"):
        backup(postgresql_database, tmp_path / "copy")
