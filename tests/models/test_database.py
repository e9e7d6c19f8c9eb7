from __future__ import annotations

import multiprocessing
import sqlite3
import stat
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from sqlalchemy import Connection, text
from sqlmodel import Session, select

from errors import DatabaseUnavailable, DataError, RollcallError, SchemaError, SetupError, WriteConflict
from models import bulk
from models import database as module
from models.database import NEWEST_REVISION, Database, compact, copy_embedded, migrate, open_database
from models.tables import Account, District

AT = datetime(2026, 11, 23, tzinfo=UTC)
SECRET = "rosalind.secret@unified.example"


def account(identifier: str, email: str | None = SECRET) -> Account:
    return Account(id=identifier, role="student", email=email, created_at=AT)


def count(database: Database) -> int:
    with database.reading() as session:
        return len(session.exec(select(Account)).all())


def test_a_transaction_commits_at_its_end(database: Database) -> None:
    with database.transaction() as session:
        session.add(account("a"))
    assert count(database) == 1


def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    with pytest.raises(KeyError), database.transaction() as session:
        session.add(account("a"))
        session.flush()
        raise KeyError("broken")
    assert count(database) == 0


def test_reading_does_not_write(database: Database) -> None:
    with pytest.raises(DataError), database.reading() as session:
        session.add(account("a"))
        session.flush()
    with database.transaction() as session:
        session.add(account("a"))
    assert count(database) == 1


def test_one_look_sees_one_moment(database: Database) -> None:
    with database.reading() as session:
        assert session.exec(select(Account)).all() == []
        with database.transaction() as other:
            other.add(account("a"))
        assert session.exec(select(Account)).all() == []


def test_references_are_enforced(database: Database) -> None:
    with pytest.raises(DataError), database.transaction() as session:
        session.add(Account(id="a", role="student", created_at=AT, district_id="nowhere"))


def test_naive_times_are_refused(database: Database) -> None:
    with pytest.raises(DataError), database.transaction() as session:
        session.add(Account(id="a", role="student", created_at=AT.replace(tzinfo=None)))


def a_doubled_email(session: Session) -> None:
    session.add_all([account("a"), account("b")])
    session.flush()


def a_doubled_email_in_bulk(session: Session) -> None:
    bulk.insert(session, "account", pl.DataFrame({"id": ["a", "b"], "role": "x", "email": SECRET, "created_at": AT}))


def a_doubled_email_in_a_heap(session: Session) -> None:
    identifiers = [str(number) for number in range(bulk.STAGE_FROM)]
    bulk.insert(session, "account", pl.DataFrame({"id": identifiers, "role": "x", "email": SECRET, "created_at": AT}))


def a_missing_role(session: Session) -> None:
    session.connection().execute(text("INSERT INTO account (id, email) VALUES ('a', :email)"), {"email": SECRET})


def a_wrong_statement(session: Session) -> None:
    session.connection().execute(text(f"SELECT '{SECRET}' FROM nowhere"))


def a_failing_frame(_: Session) -> None:
    pl.DataFrame({"email": [SECRET]}).select(pl.col("email").cast(pl.Int64))


def a_second_failure_on_the_way(session: Session) -> None:
    try:
        a_doubled_email(session)
    finally:
        session.execute(text("SELECT 1"))


@pytest.mark.parametrize(
    ("failing", "kind"),
    [
        (a_doubled_email, WriteConflict),
        (a_doubled_email_in_bulk, WriteConflict),
        (a_doubled_email_in_a_heap, WriteConflict),
        (a_missing_role, DataError),
        (a_wrong_statement, DataError),
        (a_failing_frame, DataError),
        (a_second_failure_on_the_way, DataError),
    ],
)
def test_no_value_leaves_in_an_exception(
    database: Database, failing: Callable[[Session], None], kind: type[RollcallError]
) -> None:
    with pytest.raises(kind) as raised, database.transaction() as session:
        failing(session)
    assert (raised.value.__cause__, raised.value.__context__) == (None, None)
    assert not any("rosalind" in line for line in traceback.format_exception(raised.value))
    assert "rosalind" not in repr(raised.value.__dict__)


@pytest.mark.parametrize("failing", [a_doubled_email, a_doubled_email_in_a_heap])
def test_a_conflict_names_table_and_constraint(database: Database, failing: Callable[[Session], None]) -> None:
    with pytest.raises(WriteConflict) as raised, database.transaction() as session:
        failing(session)
    constraint = "account.email" if database.dialect == "sqlite" else "account_email_active"
    assert str(raised.value) == f"another record of account holds a value that must be its own ({constraint})"


def test_a_locked_database_is_unavailable(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOCK_SECONDS", 0.05)
    with (
        open_database(sqlite_url, backups=None) as first,
        first.transaction(),
        open_database(sqlite_url, backups=None) as second,
    ):
        with pytest.raises(DatabaseUnavailable, match="SQLITE_BUSY"), second.transaction():
            pass
        assert count(second) == 0


def test_whoever_waits_to_write_looks_again_every_five_milliseconds_and_then_has_the_lock(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    with closing(sqlite3.connect(str(sqlite_database.engine.url.database), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        def sleep(seconds: float) -> None:
            waited.append(seconds)
            if len(waited) == 3:
                other.execute("COMMIT")

        monkeypatch.setattr("models.database.time.sleep", sleep)
        with sqlite_database.transaction() as session:
            session.add(District(id="d", name="D", timezone="UTC", administrators=[]))
            within = session.connection().exec_driver_sql("PRAGMA busy_timeout").scalar()
    assert (waited, within) == ([0.005] * 3, module.LOCK_SECONDS * 1000)


def test_locked_rows_are_unavailable(postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOCK_SECONDS", 1)
    with open_database(postgresql_url, backups=None) as database:
        with database.transaction() as session:
            session.add(account("a"))
        with database.transaction() as session:
            bulk.execute(session, "UPDATE account SET role = 'x'")
            with pytest.raises(DatabaseUnavailable, match="55P03"), database.transaction() as other:
                bulk.execute(other, "UPDATE account SET role = 'y'")


def test_a_server_that_is_not_there_is_unavailable() -> None:
    url = "postgresql://me:s3cret@127.0.0.1:1/name"
    with pytest.raises(DatabaseUnavailable) as raised:
        open_database(url, backups=None)
    assert "s3cret" not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://me:s3cret@host/name", "s3cret", ""])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(SetupError) as raised:
        open_database(url, backups=None)
    assert "s3cret" not in str(raised.value)
    assert "ROLLCALL_DATABASE_URL" in str(raised.value)


def test_a_new_embedded_database_is_made_for_its_owner_only_and_without_a_copy(tmp_path: Path) -> None:
    file = tmp_path / "home" / "rollcall.sqlite"
    with open_database(f"sqlite:///{file}", backups=tmp_path / "backups") as database:
        assert count(database) == 0
        with database.reading() as session:
            assert session.connection().execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (file.parent, *file.parent.iterdir())}
    assert modes == {
        "home": 0o700,
        **dict.fromkeys(("rollcall.sqlite", "rollcall.sqlite-wal", "rollcall.sqlite-shm"), 0o600),
    }
    assert not (tmp_path / "backups").exists()


def _older(file: Path, revision: str = "0000") -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [revision])


@pytest.fixture
def _upgrades(monkeypatch: pytest.MonkeyPatch) -> None:
    """Revision 0000 is an older one, from which nothing but the number changes."""
    monkeypatch.setattr(module, "KNOWN_REVISIONS", ("0000", NEWEST_REVISION))
    monkeypatch.setattr(
        module,
        "_upgrade",
        lambda connection: connection.execute(
            text("UPDATE alembic_version SET version_num = :new"), {"new": NEWEST_REVISION}
        ),
    )


@pytest.mark.usefixtures("_upgrades")
def test_an_older_embedded_database_is_copied_then_migrated_and_three_copies_stay(
    sqlite_url: str, tmp_path: Path
) -> None:
    file, backups = Path(sqlite_url.removeprefix("sqlite:///")), tmp_path / "backups"
    kept = []
    for name in "abcd":
        with open_database(sqlite_url, backups=backups) as database, database.transaction() as session:
            session.add(District(id=name, name=name, timezone="UTC", administrators=[]))
        _older(file)
        open_database(sqlite_url, backups=backups).close()
        open_database(sqlite_url, backups=backups).close()
        kept.append(max(backups.iterdir()).name)
    assert sorted(path.name for path in backups.iterdir()) == kept[1:]
    with closing(sqlite3.connect(backups / kept[-1])) as copy:
        assert copy.execute("SELECT id FROM district ORDER BY id").fetchall() == [("a",), ("b",), ("c",), ("d",)]
        assert copy.execute("SELECT version_num FROM alembic_version").fetchone() == ("0000",)
    assert stat.S_IMODE((backups / kept[-1]).stat().st_mode) == 0o600


def test_a_migration_that_fails_changes_nothing(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(connection: Connection) -> None:
        connection.execute(text("DROP TABLE hold_item"))
        connection.execute(text("DROP TABLE nowhere"))

    file = Path(sqlite_url.removeprefix("sqlite:///"))
    _older(file)
    monkeypatch.setattr(module, "KNOWN_REVISIONS", ("0000", NEWEST_REVISION))
    monkeypatch.setattr(module, "_upgrade", half)
    with pytest.raises(DataError):
        open_database(sqlite_url, backups=None)
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT count(*) FROM hold_item").fetchone() == (0,)
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0000",)


def test_a_migration_that_would_leave_rows_referring_to_nothing_changes_nothing(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(connection: Connection) -> None:
        connection.execute(text("DELETE FROM district"))

    with open_database(sqlite_url, backups=None) as database, database.transaction() as session:
        session.add(District(id="d", name="D", timezone="UTC", administrators=[]))
        session.flush()
        session.add(Account(id="a", role="student", created_at=AT, district_id="d"))
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    _older(file)
    monkeypatch.setattr(module, "KNOWN_REVISIONS", ("0000", NEWEST_REVISION))
    monkeypatch.setattr(module, "_upgrade", careless)
    with pytest.raises(SchemaError, match="refer to nothing"):
        open_database(sqlite_url, backups=None)
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT id FROM district").fetchall() == [("d",)]


def test_a_newer_schema_is_refused(database_url: str) -> None:
    with open_database(database_url, backups=None) as database, database.transaction() as session:
        bulk.execute(session, "UPDATE alembic_version SET version_num = '9999'")
    for opening in (open_database, migrate):
        with pytest.raises(SchemaError, match=r"\(9999\) is newer"):
            opening(database_url, backups=None)


@pytest.mark.usefixtures("_upgrades")
def test_an_older_postgresql_waits_for_migrate(postgresql_url: str) -> None:
    with open_database(postgresql_url, backups=None) as database, database.transaction() as session:
        bulk.execute(session, "UPDATE alembic_version SET version_num = '0000'")
    with pytest.raises(SchemaError, match=r"older than .* run `rollcall migrate`"):
        open_database(postgresql_url, backups=None)
    assert migrate(postgresql_url, backups=None) == ("0000", NEWEST_REVISION)
    open_database(postgresql_url, backups=None).close()


def test_an_empty_postgresql_waits_for_migrate(empty_postgresql_url: str) -> None:
    with pytest.raises(SchemaError, match="no Rollcall schema yet: run `rollcall migrate`"):
        open_database(empty_postgresql_url, backups=None)
    assert migrate(empty_postgresql_url, backups=None) == (None, NEWEST_REVISION)
    assert migrate(empty_postgresql_url, backups=None) == (NEWEST_REVISION, NEWEST_REVISION)


def test_somebody_elses_database_is_refused(empty_postgresql_url: str, tmp_path: Path) -> None:
    file = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE recipe (id TEXT)")
    with pytest.raises(SchemaError, match="not Rollcall's"):
        open_database(f"sqlite:///{file}", backups=None)
    engine = module._postgresql_engine(module._address(empty_postgresql_url))
    with engine.begin() as connection_:
        connection_.execute(text("CREATE TABLE recipe (id TEXT)"))
    engine.dispose()
    with pytest.raises(SchemaError, match="not Rollcall's"):
        migrate(empty_postgresql_url, backups=None)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "rollcall.sqlite"
    file.write_text("school_id,school_name\n" * 100)
    with pytest.raises(SchemaError, match="is not a database"):
        open_database(f"sqlite:///{file}", backups=None)


def _open(url: str, start: multiprocessing.synchronize.Barrier, outcomes: multiprocessing.Queue[str]) -> None:
    start.wait()
    try:
        open_database(url, backups=None).close()
    except Exception as error:  # noqa: BLE001  reported to the test
        outcomes.put(repr(error))
    else:
        outcomes.put("open")


def test_processes_open_a_new_embedded_database_at_once(tmp_path: Path) -> None:
    spawning = multiprocessing.get_context("spawn")
    start, outcomes = spawning.Barrier(2), spawning.Queue()
    url = f"sqlite:///{tmp_path / 'rollcall.sqlite'}"
    processes = [spawning.Process(target=_open, args=(url, start, outcomes)) for _ in range(2)]
    for process in processes:
        process.start()
    assert [outcomes.get(timeout=60) for _ in processes] == ["open"] * 2
    for process in processes:
        process.join()


# Asks from a process of its own, as no process is in the way of its own locks.
_ASK_FOR_LOCK = """
import fcntl, sys
with open(sys.argv[1], "rb+") as file:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        print("locked")
    else:
        print("free")
"""


def lock_of(file: Path) -> str:
    """Whether any process holds a lock on the file: SQLite's own, for as long as it has the database open."""
    asked = subprocess.run([sys.executable, "-c", _ASK_FOR_LOCK, str(file)], capture_output=True, text=True, check=True)
    return asked.stdout.strip()


def open_and_close(url: str, _: Path) -> None:
    open_database(url, backups=None).close()


def migrate_again(url: str, _: Path) -> None:
    migrate(url, backups=None)


def copy(url: str, target: Path) -> None:
    copy_embedded(Path(url.removeprefix("sqlite:///")), target)


@pytest.mark.parametrize("beside", [open_and_close, migrate_again, copy])
def test_the_locks_on_an_open_embedded_database_survive_what_is_done_beside_it(
    sqlite_url: str, tmp_path: Path, beside: Callable[[str, Path], None]
) -> None:
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    with open_database(sqlite_url, backups=None) as database:
        assert count(database) == 0
        beside(sqlite_url, tmp_path / "copy.sqlite")
        assert (lock_of(file), lock_of(Path(f"{file}-shm"))) == ("locked", "locked")
    assert lock_of(file) == "free"


def test_a_process_that_opens_an_address_again_shares_what_is_open(database_url: str, tmp_path: Path) -> None:
    first = open_database(database_url, backups=None)
    with open_database(database_url, backups=None) as second:
        assert second.engine is first.engine
        second.close()
    with first.transaction() as session:
        session.add(account("a"))
    assert count(first) == 1
    first.close()
    first.close()
    with open_database(database_url, backups=None) as third:
        assert third.engine is not first.engine
        assert count(third) == 1


def test_an_embedded_database_is_the_same_by_whatever_path(sqlite_url: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "home")
    with (
        open_database(sqlite_url, backups=None) as first,
        open_database(f"sqlite:///{tmp_path / 'link' / '..' / 'home' / 'rollcall.sqlite'}", backups=None) as second,
    ):
        assert second.engine is first.engine


def test_a_copy_that_fails_leaves_no_file(tmp_path: Path) -> None:
    broken = tmp_path / "broken.sqlite"
    broken.write_text("no database at all, but long enough to be read as the header of one" * 10)
    with pytest.raises(DataError):
        copy_embedded(broken, tmp_path / "copy.sqlite")
    assert [path.name for path in tmp_path.iterdir()] == ["broken.sqlite"]


def test_nothing_deleted_is_left_in_a_compacted_database(sqlite_database: Database) -> None:
    file = Path(str(sqlite_database.engine.url.database))

    def is_there() -> bool:
        return any(b"zzmarker" in one.read_bytes() for one in file.parent.glob(f"{file.name}*"))

    with sqlite_database.engine.connect() as connection:
        # Many builds of SQLite overwrite what is deleted, and not all.
        connection.exec_driver_sql("PRAGMA secure_delete = OFF")
        connection.exec_driver_sql("INSERT INTO pause (reason, by, started_at) VALUES ('zzmarker', 'x', '2026-01-01')")
        connection.commit()
        connection.exec_driver_sql("DELETE FROM pause")
        connection.commit()
    assert is_there()
    compact(sqlite_database, ["pause"])
    assert not is_there()
