"""Bringing a database to any of the released schemas, empty or with the data of an installation of that time."""

from __future__ import annotations

import gzip
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, MetaData, create_engine, make_url, select, text

from models.database import MIGRATIONS

UPGRADES = Path(__file__).parent.parent / "upgrades"
# The released schemas that there is a snapshot of, oldest first.
SNAPSHOTS = tuple(sorted(path.name.removesuffix(".sql.gz") for path in UPGRADES.glob("*.sql.gz")))
Rows = Mapping[str, list[dict[str, Any]]]


def upgrade(connection: Connection, revision: str) -> None:
    """Bring what the connection leads to forward to this revision."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    command.upgrade(config, revision)


def restore(revision: str, url: str) -> Rows:
    """Fill an empty database with the snapshot of a released schema; gives every table's rows.

    SQLite gets the very tables that the snapshot was taken of, PostgreSQL the ones that the migrations give it.
    """
    content, rows = _snapshot(revision)
    if url.startswith("sqlite"):
        Path(str(make_url(url).database)).write_bytes(content)
    else:
        _insert(revision, url, rows)
    return rows


@cache
def _snapshot(revision: str) -> tuple[bytes, Rows]:
    """The snapshot as an SQLite file, and its rows."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "snapshot.sqlite"
        with closing(sqlite3.connect(file)) as connection:
            connection.executescript(gzip.decompress((UPGRADES / f"{revision}.sql.gz").read_bytes()).decode())
        return file.read_bytes(), rows_of(f"sqlite:///{file}")


def rows_of(url: str) -> Rows:
    """Every table's rows as the driver-neutral values that reflection gives, in the order of their keys."""
    engine = create_engine(_with_driver(url))
    with engine.connect() as connection:
        metadata = MetaData()
        metadata.reflect(connection)
        rows = {
            table.name: [
                dict(row) for row in connection.execute(select(table).order_by(*table.primary_key.columns)).mappings()
            ]
            for table in metadata.sorted_tables
            if table.name != "alembic_version"
        }
    engine.dispose()
    return rows


def _insert(revision: str, url: str, rows: Rows) -> None:
    engine = create_engine(_with_driver(url))
    with engine.begin() as connection:
        upgrade(connection, revision)
        metadata = MetaData()
        metadata.reflect(connection)
        for table in metadata.sorted_tables:
            if not rows.get(table.name):
                continue
            connection.execute(table.insert(), rows[table.name])
            if table.c.keys()[0] == "id" and isinstance(rows[table.name][0]["id"], int):
                # Numbers go on after the rows that were inserted with theirs.
                last = f"(SELECT max(id) FROM {table.name})"
                connection.execute(text(f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), {last})"))
    engine.dispose()


def _with_driver(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://", 1)
