"""The database as the rest of Rollcall meets it: opening, migrating, transactions, and no value in an exception.

An embedded database (SQLite) is made and migrated when it is opened, after a copy; PostgreSQL is migrated only on
request. Bulk reading and writing is `models.bulk`'s; what the tables are is `models.tables`'s.

A process loses every lock that SQLite holds for it on a file as soon as it closes any other handle on that file, and
then others take the database for unused and remove its write-ahead log. So nothing here, and nothing elsewhere, opens
an embedded database (or its -wal and -shm files) but SQLite itself; it is made before SQLite first sees it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import threading
import time
import zlib
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import adbc_driver_manager as adbc
import psycopg
from polars.exceptions import PolarsError
from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import NullPool
from sqlmodel import Session

from errors import Busy, DatabaseUnavailable, DataError, RollcallError, SchemaError, SetupError, WriteConflict

MIGRATIONS = Path(__file__).parent / "migrations"
KNOWN_REVISIONS = tuple(sorted(file.name.split("_")[0] for file in (MIGRATIONS / "versions").glob("[0-9]*.py")))
NEWEST_REVISION = KNOWN_REVISIONS[-1] if KNOWN_REVISIONS else None

KEPT_COPIES = 3
LOCK_SECONDS = 30
WAL_PAGES = 16_384  # of 4 KB
RETRY_SECONDS = 0.005

Dialect = Literal["sqlite", "postgresql"]

# Transient by PostgreSQL's classes: connection lost, out of resources, shutting down, transaction rolled back
# (deadlock, serialization), lock not available.
_TRANSIENT_STATES = ("08", "40", "53", "57P", "55P03")
_TRANSIENT_CODES = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
}
_UNIQUE_CODES = {sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY}
_MIGRATING = 7_265_526_55  # the advisory lock of two that migrate one PostgreSQL at once

# What this process has open, and how often it was asked to open it.
_engines: dict[URL, Engine] = {}
_users: Counter[URL] = Counter()
_opening = threading.RLock()


@dataclass(frozen=True)
class Database:
    """An open database at the program's own schema; all who open it in one process share its connections."""

    engine: Engine
    dialect: Dialect
    _open: ExitStack = field(repr=False, compare=False)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """One transaction that may write; commits at the end, rolls back on any exception.

        On SQLite it holds the write lock from its first moment (BEGIN IMMEDIATE).

        Raises:
            DatabaseUnavailable: the database is out of reach or stayed locked.
            WriteConflict: a unique value is taken; names table and constraint only.
            DataError: any other failure of the database or of Polars inside.
        """
        bind = self.engine.execution_options(begins="BEGIN IMMEDIATE")
        with shielded("writing to the database"), Session(bind, expire_on_commit=False) as session:
            session.connection()
            yield session
            session.commit()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """One consistent look at the database; writing in it fails.

        Raises:
            DatabaseUnavailable: the database is out of reach.
            DataError: any other failure of the database or of Polars inside, an attempt to write included.
        """
        bind = self.engine.execution_options(
            begins="BEGIN",
            **({"isolation_level": "REPEATABLE READ", "postgresql_readonly": True} if self.dialect != "sqlite" else {}),
        )
        with shielded("reading from the database"), Session(bind, expire_on_commit=False) as session:
            session.connection()
            yield session

    @contextmanager
    def exclusive_lock(self, what: str, *, wait: float) -> Iterator[None]:
        """Lock out, as long as the `with` lasts, everyone else in the installation who asks for the same lock.

        It locks no row and stands in no transaction's way; whoever crashes lets go of it. wait: seconds.

        Raises:
            Busy: somebody else still has it, after so long.
            DatabaseUnavailable: the database is out of reach.
        """
        with ExitStack() as held:
            if self.dialect == "sqlite":
                file = Path(f"{self.engine.url.database}.{what}")
                handle = os.open(file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
                held.callback(os.close, handle)
                locked = partial(_locks_file, handle)
            else:
                held.enter_context(shielded("locking in the database"))
                connection = held.enter_context(self.engine.connect())
                locked = partial(_locks_key, connection, zlib.crc32(what.encode()))
            deadline = time.monotonic() + wait
            while not locked():
                if time.monotonic() >= deadline:
                    raise Busy(f"another process is busy with {what}; try again when it is done")
                time.sleep(0.05)
            yield

    def close(self) -> None:
        """Let go of it; once nobody in this process has it open anymore, every connection is closed."""
        self._open.close()

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _locks_file(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _locks_key(connection: Connection, key: int) -> bool:
    return bool(connection.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": key}))


@contextmanager
def shielded(step: str, *others: type[Exception]) -> Iterator[None]:
    """Turn exceptions of the database and of Polars, which carry values, into ours, which do not.

    `others` are more kinds to turn. Rule: they never leave as they are but become ours, from None; the one raised has
    neither cause nor context.
    """
    kinds: tuple[type[Exception], ...] = (
        SQLAlchemyError,
        sqlite3.Error,
        psycopg.Error,
        adbc.Error,
        PolarsError,
        *others,
    )
    try:
        yield
    except kinds as error:
        ours = _ours(step, error)
    else:
        return
    try:
        raise ours
    except RollcallError:
        # Raised in the course of a `with` that is being left, it was given the driver's exception as its context.
        ours.__context__ = None
        raise


def open_database(url: str, *, backups: Path | None) -> Database:
    """Open a database, making and migrating it first where it is an embedded one.

    Before an embedded database is migrated it is copied into `backups` (None: no copy), where the last three copies
    are kept. Two processes may open the same new database at once. Within a process it is opened once, however often
    it is asked for: each `Database` given is closed by whoever asked for it.

    Raises:
        SetupError: the address is not one of a SQLite file or of PostgreSQL.
        SchemaError: the schema is newer than the program's, not Rollcall's, or (PostgreSQL) older.
        DatabaseUnavailable: the database is out of reach or stayed locked.
    """
    address = _address(url)
    with _opening:
        if address not in _engines:
            _engines[address] = _opened(address, backups)
        _users[address] += 1
        engine = _engines[address]
    mine = ExitStack()
    mine.callback(_let_go, address)
    return Database(engine, "sqlite" if address.drivername == "sqlite" else "postgresql", mine)


def _let_go(address: URL) -> None:
    with _opening:
        _users[address] -= 1
        if not _users[address]:
            _engines.pop(address).dispose()


def _opened(address: URL, backups: Path | None) -> Engine:
    if address.drivername == "sqlite":
        _make_and_migrate(Path(str(address.database)), backups)
        return _sqlite_engine(address)
    engine = _postgresql_engine(address)
    try:
        with shielded("reading from the database"), engine.connect() as connection:
            held = _revision(connection)
        if held != NEWEST_REVISION:
            raise SchemaError(
                "the database has no Rollcall schema yet: run `rollcall migrate`"
                if held is None
                else f"the database's schema ({held}) is older than this Rollcall's ({NEWEST_REVISION}):"
                " run `rollcall migrate`"
            )
    except BaseException:
        engine.dispose()
        raise
    return engine


def migrate(url: str, *, backups: Path | None) -> tuple[str | None, str]:
    """Bring a database of either kind to the program's schema; gives its revision before (None: empty) and after.

    Raises:
        SetupError, SchemaError, DatabaseUnavailable: as `open_database`.
    """
    address = _address(url)
    if address.drivername == "sqlite":
        return _make_and_migrate(Path(str(address.database)), backups), str(NEWEST_REVISION)
    engine = _postgresql_engine(address)
    try:
        with shielded("migrating the database"), engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATING})
            held = _revision(connection)
            if held != NEWEST_REVISION:
                _upgrade(connection)
        return held, str(NEWEST_REVISION)
    finally:
        engine.dispose()


def revision_of(url: str) -> str | None:
    """The schema that a database of either kind has, None for none yet; nothing is made or migrated.

    Raises:
        SetupError, SchemaError, DatabaseUnavailable: as `open_database`.
    """
    address = _address(url)
    is_embedded = address.drivername == "sqlite"
    if is_embedded and not Path(str(address.database)).exists():
        return None
    engine = _sqlite_engine(address) if is_embedded else _postgresql_engine(address)
    try:
        with (
            shielded("reading from the database"),
            engine.execution_options(begins="BEGIN").connect() as connection,
        ):
            return _revision(connection)
    finally:
        engine.dispose()


def copy_embedded(file: Path, target: Path) -> None:
    """Copy an embedded database, consistent even while others write it; `target` is there only once whole.

    Raises:
        DatabaseUnavailable, DataError: the copy could not be made.
    """
    partial = target.with_name(target.name + ".partial")
    try:
        with shielded("copying the database"):
            partial.unlink(missing_ok=True)
            _make_private(partial)
            with closing(sqlite3.connect(file)) as origin, closing(sqlite3.connect(partial)) as copy:
                origin.backup(copy)
                # A copy of a WAL database would leave -wal and -shm files beside it as soon as it is looked at.
                copy.execute("PRAGMA journal_mode = DELETE")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def compact(database: Database, tables: Collection[str]) -> None:
    """Give back the space of deleted rows, so that nothing of them is left in the database's files.

    An embedded database is written anew as a whole, and its write-ahead log is emptied. On PostgreSQL these tables are,
    and their statistics, which hold values too, are made again; its write-ahead log is the server's own affair.

    Raises:
        DatabaseUnavailable: others use the database all the time; nothing is lost, and it can be tried again.
    """
    with shielded("compacting the database"):
        if database.dialect != "sqlite":
            with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                for table in tables:
                    connection.exec_driver_sql(f'VACUUM (FULL, ANALYZE) "{table}"')
            return
        with closing(sqlite3.connect(str(database.engine.url.database), timeout=LOCK_SECONDS)) as connection:
            connection.execute("VACUUM")
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise DatabaseUnavailable("others read the database all the time, so its log still holds what was deleted")


def _address(url: str) -> URL:
    wrong = SetupError(
        "the database's address must be sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME (ROLLCALL_DATABASE_URL)"
    )
    try:
        address = make_url(url)
    except ArgumentError:
        raise wrong from None
    if address.drivername in ("postgres", "postgresql"):
        address = address.set(drivername="postgresql+psycopg")
    if address.drivername == "sqlite" and address.database and address.database != ":memory:":
        return address.set(database=str(Path(address.database).resolve()))
    if address.drivername == "postgresql+psycopg":
        return address
    raise wrong


def _sqlite_engine(address: URL, *, migrating: bool = False) -> Engine:
    engine = create_engine(
        address,
        hide_parameters=True,
        connect_args={"timeout": LOCK_SECONDS, "isolation_level": None},
        **({"poolclass": NullPool} if migrating else {}),
    )

    def connected(connection: sqlite3.Connection, _: Any) -> None:
        # A migration that rebuilds a table must drop it without its referents noticing; it is checked afterwards.
        connection.execute(f"PRAGMA foreign_keys = {'OFF' if migrating else 'ON'}")
        # A school's rows go into indexes over the whole district: by default SQLite would write the same pages back at
        # every commit, as each has more than the 1,000 it keeps in its log.
        connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")

    def begin(connection: Connection) -> None:
        begins = connection.get_execution_options().get("begins", "BEGIN IMMEDIATE")
        connection.exec_driver_sql(f"PRAGMA query_only = {'ON' if begins == 'BEGIN' else 'OFF'}")
        if begins == "BEGIN":
            connection.exec_driver_sql(begins)
        else:
            _begin_to_write(connection.connection.dbapi_connection)

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begin)
    return engine


def _begin_to_write(connection: Any) -> None:
    """Begin a transaction with the write lock, as soon as whoever has it lets go.

    SQLite's own waiting sleeps up to 100 ms between two tries. It misses the moments between the transactions of a
    night, and a reader whose view is audited would wait for several of them.
    """
    deadline = time.monotonic() + LOCK_SECONDS
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
            time.sleep(RETRY_SECONDS)
    finally:
        connection.execute(f"PRAGMA busy_timeout = {LOCK_SECONDS * 1000}")


def _postgresql_engine(address: URL) -> Engine:
    settled = {"connect_timeout": "10", "application_name": "rollcall"}
    return create_engine(
        address.update_query_dict({key: value for key, value in settled.items() if key not in address.query}),
        hide_parameters=True,
        pool_pre_ping=True,
        connect_args={"options": f"-c timezone=UTC -c lock_timeout={LOCK_SECONDS}s"}
        if "options" not in address.query
        else {},
    )


def _make_and_migrate(file: Path, backups: Path | None) -> str | None:
    """Bring an embedded database to the program's schema; gives its revision before, None for a new one."""
    with _opening, shielded("opening the database"):
        _make_private(file)
        _write_ahead(file)
    engine = _sqlite_engine(URL.create("sqlite", database=str(file)), migrating=True)
    with shielded("migrating the database"):
        with engine.execution_options(begins="BEGIN").begin() as connection:
            held = _revision(connection)
        if held == NEWEST_REVISION:
            return held
        with engine.begin() as connection:
            # Another process may have been quicker.
            held = _revision(connection)
            if held == NEWEST_REVISION:
                return held
            if held is not None and backups is not None:
                _keep_copy(file, backups, held)
            _upgrade(connection)
            if connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
                raise SchemaError("the migration would leave rows that refer to nothing; nothing was changed")
        return held


def _make_private(file: Path) -> None:
    """Make the file, where there is none, for nobody else's eyes: it holds personal data.

    SQLite makes the -wal and -shm files as private as it finds this one, and sees it only afterwards: see above.
    """
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except OSError as error:
        raise DatabaseUnavailable(f"{file} cannot be opened: {error.strerror}") from None
    if not os.access(file, os.R_OK | os.W_OK):
        raise DatabaseUnavailable(f"{file} cannot be opened: {os.strerror(errno.EACCES)}")


def _write_ahead(file: Path) -> None:
    # SQLite does not wait its busy timeout where two switch a new file at once, so the waiting is done here.
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            with closing(sqlite3.connect(file, timeout=LOCK_SECONDS)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
                raise SchemaError(f"{file} is not a database") from None
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.05)


def _revision(connection: Connection) -> str | None:
    """Find the database's revision, None for one without any table.

    Raises:
        SchemaError: it is not one that this program knows.
    """
    tables = inspect(connection).get_table_names()
    if not tables:
        return None
    held = connection.scalar(text("SELECT version_num FROM alembic_version")) if "alembic_version" in tables else None
    if held is None:
        raise SchemaError("the database holds tables that are not Rollcall's: give Rollcall a database of its own")
    if held not in KNOWN_REVISIONS:
        raise SchemaError(
            f"the database's schema ({held}) is newer than this Rollcall's ({NEWEST_REVISION}): use the newer Rollcall,"
            " or a copy made before"
        )
    return str(held)


def _upgrade(connection: Connection) -> None:
    # Alembic takes a while to import, and nothing but a migration needs it.
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    command.upgrade(config, "head")


def _keep_copy(file: Path, backups: Path, revision: str) -> None:
    backups.mkdir(mode=0o700, parents=True, exist_ok=True)
    copy_embedded(file, backups / f"{file.stem}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{revision}.sqlite")
    for old in sorted(backups.glob(f"{file.stem}-*.sqlite"))[:-KEPT_COPIES]:
        old.unlink()


def _ours(step: str, error: BaseException) -> RollcallError:
    origin = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    if isinstance(origin, PoolTimeoutError):
        return DatabaseUnavailable("too many things at once wait for the database; try again")
    if isinstance(origin, psycopg.errors.UniqueViolation):
        return _conflict(origin.diag.table_name or "", origin.diag.constraint_name or "")
    if isinstance(origin, (psycopg.Error, adbc.Error)):
        state = origin.sqlstate or ""
        out_of_reach = isinstance(origin, (psycopg.OperationalError, adbc.OperationalError))
        if state.startswith(_TRANSIENT_STATES) or (not state and out_of_reach):
            return DatabaseUnavailable(
                f"the database did not answer or stayed locked while {step} ({state or 'no connection'}); try again"
            )
        if state.startswith(("28", "3D")):
            return SetupError(f"the database rejected the login ({state}): see ROLLCALL_DATABASE_URL")
    if isinstance(origin, sqlite3.Error):
        code = getattr(origin, "sqlite_errorcode", 0)
        if code in _UNIQUE_CODES:
            # SQLite names columns here, never values.
            columns = str(origin).partition("failed: ")[2]
            return _conflict(columns.partition(".")[0], columns)
        if code & 0xFF in _TRANSIENT_CODES:
            return DatabaseUnavailable(
                f"the database did not answer or stayed locked while {step} ({origin.sqlite_errorname}); try again"
            )
    return DataError(step, origin)


def _conflict(table: str, constraint: str) -> WriteConflict:
    return WriteConflict(f"another record of {table} holds a value that must be its own ({constraint})")
