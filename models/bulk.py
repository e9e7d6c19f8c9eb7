"""Frames into tables and out of them: the only module that knows how SQLite and PostgreSQL differ.

Every function works inside the caller's transaction. Frames hold dates as pl.Date, moments as
pl.Datetime("us", "UTC"), flags as pl.Boolean; they are stored as the ORM's own columns store them, on both databases.
No rule lives here, and no table is named here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from functools import partial
from itertools import count
from typing import Any, Literal

import adbc_driver_postgresql.dbapi as adbc
import polars as pl
import psycopg
from polars.exceptions import PolarsError
from sqlalchemy import CursorResult, Table, text
from sqlalchemy.sql.schema import ScalarElementColumnDefault
from sqlmodel import Session, SQLModel

from models.database import LOCK_SECONDS, shielded

Schema = Mapping[str, "pl.DataType | type[pl.DataType]"]
Values = Mapping[str, object]

# What `read` does in a session: SQL, parameters and schema to a frame.
Reader = Callable[[str, Values, Schema], pl.DataFrame]

MOMENT = pl.Datetime("us", "UTC")

# From this many rows on, PostgreSQL is quicker with COPY than with one statement a row: into the table itself, and into
# a table to write from.
COPY_FROM, STAGE_FROM = 10, 100

FETCHED_AT_ONCE = 50_000

_stages = count(1)


def insert(session: Session, table: str, frame: pl.DataFrame) -> int:
    """Write new rows; columns that the frame lacks get the table's default. Gives the number of rows.

    Raises:
        WriteConflict, DatabaseUnavailable, DataError: by the database; see `Database.transaction`.
    """
    _refuse_other_times(frame)
    if frame.is_empty():
        return 0
    with shielded(f"writing {table}"):
        frame = _with_defaults(table, frame)
        names = frame.columns
        if _copies(session, frame, COPY_FROM):
            _copy(session, table, frame)
        else:
            _each(session, f"INSERT INTO {_list(table, names)} VALUES ({_marks(session, names)})", frame)
    return frame.height


def upsert(
    session: Session,
    table: str,
    frame: pl.DataFrame,
    key: Sequence[str] = ("id",),
    *,
    emptying: Sequence[str] = (),
) -> int:
    """Write rows that may be there already, known by `key`; columns that the frame lacks stay as they are.

    A new row's missing columns get the table's default. `emptying` names unique columns whose values may pass from one
    of these rows to another: each that changes is emptied first. Rule: the bulk writer first empties every email that
    changes hands, then writes. Gives the number of rows.

    Raises:
        WriteConflict, DatabaseUnavailable, DataError: by the database; see `Database.transaction`.
    """
    _refuse_other_times(frame)
    if frame.is_empty():
        return 0
    with shielded(f"writing {table}"):
        complete = _with_defaults(table, frame)
        names = complete.columns
        changed = [name for name in frame.columns if name not in key]
        doing = "UPDATE SET " + ", ".join(f"{name} = excluded.{name}" for name in changed) if changed else "NOTHING"
        conflict = f"ON CONFLICT ({', '.join(key)}) DO {doing}"
        if _copies(session, complete, STAGE_FROM):
            stage = _stage(session, table, complete)
            for name in emptying:
                _run(
                    session,
                    f"UPDATE {table} SET {name} = NULL FROM {stage} AS new"
                    f" WHERE {_same(table, 'new', key)} AND {table}.{name} IS NOT NULL"
                    f" AND ({table}.{name} = new.{name}) IS NOT TRUE",
                )
            _run(session, f"INSERT INTO {_list(table, names)} SELECT {', '.join(names)} FROM {stage} {conflict}")
            _run(session, f"DROP TABLE {stage}")
        else:
            for name in emptying:
                mark = _mark(session)
                _each(
                    session,
                    f"UPDATE {table} SET {name} = NULL WHERE {_equals(session, key)} AND {name} IS NOT NULL"
                    f" AND ({name} = {mark}) IS NOT TRUE",
                    complete.select(*key, name),
                )
            _each(session, f"INSERT INTO {_list(table, names)} VALUES ({_marks(session, names)}) {conflict}", complete)
    return frame.height


def update_columns(session: Session, table: str, frame: pl.DataFrame, key: Sequence[str] = ("id",)) -> int:
    """Set the frame's columns in rows that are there, known by `key`; gives the number of the frame's rows.

    Raises:
        WriteConflict, DatabaseUnavailable, DataError: by the database; see `Database.transaction`.
    """
    changed = [name for name in frame.columns if name not in key]
    _refuse_other_times(frame)
    if frame.is_empty() or not changed:
        return 0
    with shielded(f"writing {table}"):
        if _copies(session, frame, STAGE_FROM):
            stage = _stage(session, table, frame)
            setting = ", ".join(f"{name} = new.{name}" for name in changed)
            _run(session, f"UPDATE {table} SET {setting} FROM {stage} AS new WHERE {_same(table, 'new', key)}")
            _run(session, f"DROP TABLE {stage}")
        else:
            setting = ", ".join(f"{name} = {_mark(session)}" for name in changed)
            _each(
                session,
                f"UPDATE {table} SET {setting} WHERE {_equals(session, key)}",
                frame.select(*changed, *key),
            )
    return frame.height


def read(session: Session, sql: str, parameters: Values, schema: Schema) -> pl.DataFrame:
    """Read rows as a frame of exactly this schema, whose columns are the query's, in its order.

    `sql` is one that both databases understand, with parameters as ``:name``.

    Raises:
        DatabaseUnavailable, DataError: by the database, or where a value does not fit the schema.
    """
    bound = _bound(session, parameters)
    with shielded("reading from the database", TypeError, ValueError, OverflowError):
        result: CursorResult[Any] = session.connection().execute(text(sql), bound)
        stored = {name: _stored_type(session, wanted) for name, wanted in schema.items()}
        parts = [pl.DataFrame(schema=stored)]
        # The driver's own tuples: SQLAlchemy's rows cost half as much again as the query. And some at a time: a whole
        # district's would take several times the frame's memory.
        while result.cursor is not None and (rows := result.cursor.fetchmany(FETCHED_AT_ONCE)):
            columns = zip(stored.items(), zip(*rows, strict=True), strict=True)
            parts.append(pl.DataFrame([pl.Series(name, values, kind) for (name, kind), values in columns]))
        result.close()
        return pl.concat(parts).with_columns(_restored(name, stored[name], kind) for name, kind in schema.items())


@contextmanager
def reading_in_columns(session: Session) -> Iterator[Reader]:
    """`read` for tables of a whole district: the same rows, at a third of the time and memory on PostgreSQL.

    There they come as Arrow columns, over a connection of their own that sees what the session sees. A session that
    may write is read as always, as nobody else sees what it wrote.

    Raises:
        DatabaseUnavailable, DataError: as `read`.
    """
    connection = session.connection()
    if _embedded(session) or not connection.get_execution_options().get("postgresql_readonly"):
        yield partial(read, session)
        return
    address = connection.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with shielded("reading from the database"):
        snapshot = connection.scalar(text("SELECT pg_export_snapshot()"))
        with closing(adbc.connect(address)) as beside, closing(beside.cursor()) as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            # Whoever waits for the session to end may keep this one waiting, and the database would not see the circle.
            cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
            cursor.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
            yield partial(_read_columns, session, cursor)


def _read_columns(session: Session, cursor: adbc.Cursor, sql: str, parameters: Values, schema: Schema) -> pl.DataFrame:
    connection = session.connection()
    compiled = str(text(sql).compile(dialect=connection.dialect))
    driver: Any = connection.connection.driver_connection
    # With parameters of its own it reads row by row, so they are put into the text, by the driver that knows how.
    cursor.execute(psycopg.ClientCursor(driver).mogrify(compiled, _bound(session, parameters)))
    try:
        frame = pl.DataFrame(cursor.fetch_arrow())
    except PolarsError:
        # Of a stream that breaks off, Polars has a text only. The connection tells whether it is there, and raises what
        # is worth another try if not.
        cursor.execute("SELECT 1")
        raise
    return frame.select(pl.nth(number).cast(kind).alias(name) for number, (name, kind) in enumerate(schema.items()))


def execute(session: Session, sql: str, parameters: Values | None = None) -> int:
    """Run one statement that both databases understand; gives the number of rows it touched.

    Raises:
        WriteConflict, DatabaseUnavailable, DataError: by the database; see `Database.transaction`.
    """
    with shielded("writing to the database"):
        return session.connection().execute(text(sql), _bound(session, parameters or {})).rowcount


def in_list(session: Session, column: str, values: Collection[str] | Collection[int] | pl.Series) -> tuple[str, Values]:
    """Give the condition that a column is one of many values, however many, and the parameter it needs.

    The parameter is named after the column (``account.email``: ``account_email_list``).
    """
    name = f"{column.replace('.', '_')}_list"
    listed = values.to_list() if isinstance(values, pl.Series) else list(values)
    if _embedded(session):
        return f"{column} IN (SELECT value FROM json_each(:{name}))", {name: json.dumps(listed)}
    return f"{column} = ANY(:{name})", {name: listed}


def analyze(session: Session, tables: Collection[str]) -> None:
    """Have PostgreSQL look at tables that have grown: until then it plans for what they were."""
    if not _embedded(session):
        execute(session, f"ANALYZE {', '.join(tables)}")


def is_ascii(session: Session, expression: str) -> str:
    """Give the condition that a text holds printable ASCII characters only."""
    return f"{expression} NOT GLOB '*[^ -~]*'" if _embedded(session) else f"{expression} !~ '[^ -~]'"


def locking(session: Session, strength: Literal["UPDATE", "KEY SHARE"]) -> str:
    """Give what a SELECT ends with to lock its rows: nothing on SQLite, whose transaction is alone anyway."""
    return "" if _embedded(session) else f" FOR {strength}"


def lock_table(session: Session, table: str) -> None:
    """Keep other writers out of a table until the transaction ends; on SQLite they are kept out anyway."""
    if not _embedded(session):
        execute(session, f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")


def clock(session: Session) -> datetime:
    """Tell the time by the database's own clock, which all machines share."""
    if _embedded(session):
        now = str(session.connection().execute(text("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')")).scalar_one())
        return datetime.fromisoformat(now).replace(tzinfo=UTC)
    moment: datetime = session.connection().execute(text("SELECT clock_timestamp()")).scalar_one()
    return moment.astimezone(UTC)


def _embedded(session: Session) -> bool:
    return session.connection().dialect.name == "sqlite"


def _copies(session: Session, frame: pl.DataFrame, at_least: int) -> bool:
    return frame.height >= at_least and not _embedded(session)


def _refuse_other_times(frame: pl.DataFrame) -> None:
    """Refuse what would be stored in another way than the ORM stores it.

    Raises:
        ValueError: a column's times are not pl.Datetime("us", "UTC").
    """
    for name, kind in frame.schema.items():
        if isinstance(kind, pl.Datetime) and kind != MOMENT:
            raise ValueError(f"column {name} must be in UTC and microseconds, not {kind}")


def _with_defaults(table: str, frame: pl.DataFrame) -> pl.DataFrame:
    described: Table = SQLModel.metadata.tables[table]
    return frame.with_columns(
        pl.lit(column.default.arg).alias(column.name)
        for column in described.columns
        if column.name not in frame.columns and isinstance(column.default, ScalarElementColumnDefault)
    )


def _stored(frame: pl.DataFrame) -> pl.DataFrame:
    """Bring a frame to what SQLite stores: text for dates and moments, 0 and 1 for flags.

    Columns: as in the frame; pl.Date and pl.Datetime become pl.String, pl.Boolean becomes pl.Int64.
    """
    return frame.with_columns(
        pl.col(pl.Date).dt.strftime("%Y-%m-%d"),
        pl.col(MOMENT).dt.strftime("%Y-%m-%d %H:%M:%S%.6f"),
        pl.col(pl.Boolean).cast(pl.Int64),
    )


def _stored_type(session: Session, wanted: pl.DataType | type[pl.DataType]) -> pl.DataType | type[pl.DataType]:
    if _embedded(session):
        if wanted == pl.Boolean:
            return pl.Int64
        if wanted == pl.Date or wanted == MOMENT:
            return pl.String
    return wanted


def _restored(name: str, stored: pl.DataType | type[pl.DataType], wanted: pl.DataType | type[pl.DataType]) -> pl.Expr:
    if stored == wanted:
        return pl.col(name)
    if wanted == MOMENT:
        return pl.col(name).str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us").dt.replace_time_zone("UTC")
    if wanted == pl.Date:
        return pl.col(name).str.to_date("%Y-%m-%d")
    return pl.col(name).cast(wanted)


def _bound(session: Session, parameters: Values) -> dict[str, object]:
    embedded = _embedded(session)
    return {name: _bound_value(value, embedded) for name, value in parameters.items()}


def _bound_value(value: object, embedded: bool) -> object:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be compared with what is stored")
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f") if embedded else value
    return value.isoformat() if embedded and isinstance(value, date) else value


def _each(session: Session, sql: str, frame: pl.DataFrame) -> None:
    rows = (_stored(frame) if _embedded(session) else frame).rows()
    session.connection().exec_driver_sql(sql, rows)


def _run(session: Session, sql: str) -> None:
    session.connection().exec_driver_sql(sql)


def _stage(session: Session, table: str, frame: pl.DataFrame) -> str:
    stage = f"stage_{table}_{next(_stages)}"
    _run(
        session,
        f"CREATE TEMPORARY TABLE {stage} ON COMMIT DROP AS SELECT {', '.join(frame.columns)} FROM {table} WITH NO DATA",
    )
    _copy(session, stage, frame)
    _run(session, f"ANALYZE {stage}")
    return stage


def _copy(session: Session, table: str, frame: pl.DataFrame) -> None:
    connection: Any = session.connection().connection.driver_connection
    moments = frame.with_columns(pl.col(MOMENT).dt.strftime("%Y-%m-%d %H:%M:%S%.6f+00"))
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {_list(table, frame.columns)} FROM STDIN WITH (FORMAT csv)") as copy,
    ):
        # Null is nothing, an empty text is "": COPY tells them apart by the quotes.
        copy.write(moments.write_csv(include_header=False).encode())


def _list(table: str, names: Sequence[str]) -> str:
    return f"{table} ({', '.join(names)})"


def _mark(session: Session) -> str:
    return "?" if _embedded(session) else "%s"


def _marks(session: Session, names: Sequence[str]) -> str:
    return ", ".join([_mark(session)] * len(names))


def _equals(session: Session, key: Sequence[str]) -> str:
    return " AND ".join(f"{name} = {_mark(session)}" for name in key)


def _same(table: str, other: str, key: Sequence[str]) -> str:
    return " AND ".join(f"{table}.{name} = {other}.{name}" for name in key)
