"""Every released schema, with data, comes to today's by its migrations: nothing is lost, on both databases."""

from __future__ import annotations

import gzip
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, MetaData, create_engine, make_url, select

from models.database import NEWEST_REVISION
from tests.models.migrating import upgrade

UPGRADES = Path(__file__).parent.parent / "upgrades"
# Table and old name of a column -> its new name.
RENAMED = {
    ("link", "source"): "source_id",
    ("link", "source_id"): "external_id",
    ("class", "source"): "source_id",
    ("class", "source_id"): "external_id",
    ("issue", "source"): "source_id",
    ("issue", "consequences"): "dependents",
    ("school", "source_school_id"): "external_id",
    ("hold_item", "other_id"): "counterpart_id",
    ("delivery", "received_at"): "last_received_at",
    ("delivery", "taken_at"): "received_at",
    ("delivery", "receipts"): "duplicates",
    ("source", "received_at"): "last_received_at",
    ("source", "last_taken_id"): "last_delivery_id",
    ("run", "alive_at"): "heartbeat_at",
}
WORDS = {"taken": "received", "receipt": "duplicate", "died": "interrupted", "held": "on_hold"}
OF_WORDS = {("delivery", "outcome"), ("run", "outcome"), ("school_run", "outcome"), ("notice", "kind")}
Rows = Mapping[str, list[dict[str, Any]]]


def rows_of(connection: Connection) -> Rows:
    """Every table's rows as the driver-neutral values that reflection gives, in the order of their keys."""
    metadata = MetaData()
    metadata.reflect(connection)
    return {
        table.name: [
            dict(row) for row in connection.execute(select(table).order_by(*table.primary_key.columns)).mappings()
        ]
        for table in metadata.sorted_tables
        if table.name != "alembic_version"
    }


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file of schema 0005 as the demo of that version left it."""
    file = tmp_path_factory.mktemp("upgrades") / "demo.sqlite"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(gzip.decompress((UPGRADES / "0005.sql.gz").read_bytes()).decode())
    return file


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_names_change_and_no_value_with_them(
    kind: str, demo: Path, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    with create_engine(f"sqlite:///{demo}").connect() as old:
        before = rows_of(old)
    address = make_url(f"sqlite:///{tmp_path}/new.sqlite")
    if kind == "postgresql":
        address = make_url(request.getfixturevalue("empty_postgresql_url")).set(drivername="postgresql+psycopg")
    engine = create_engine(address)
    with engine.begin() as connection:
        upgrade(connection, "0005")
        metadata = MetaData()
        metadata.reflect(connection)
        for table in metadata.sorted_tables:
            if before.get(table.name):
                connection.execute(table.insert(), before[table.name])
    with engine.begin() as connection:
        upgrade(connection, str(NEWEST_REVISION))
        after = rows_of(connection)
    engine.dispose()
    for row in before["source"]:
        folder, quiet_seconds, district_id = (row.pop(n) for n in ("folder", "quiet_seconds", "clever_district_id"))
        row["pausable"] = row["kind"] == "clever"
        row["settings"] = (
            {"district_id": district_id}
            if row["kind"] == "clever"
            else {"folder": folder, "quiet_seconds": quiet_seconds}
        )
    expected = {
        table: [
            {
                RENAMED.get((table, name), name): WORDS.get(value, value) if (table, name) in OF_WORDS else value
                for name, value in row.items()
            }
            for row in rows
        ]
        for table, rows in before.items()
    }
    assert sum(map(len, after.values())) > 1800
    assert {outcome["outcome"] for outcome in after["school_run"]} == {"applied", "on_hold"}
    assert {table: _plain(rows) for table, rows in after.items()} == {
        table: _plain(rows) for table, rows in expected.items()
    }


def _plain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    # SQLite hands times back without their zone, which is UTC.
    return [
        {name: value.replace(tzinfo=None) if isinstance(value, datetime) else value for name, value in row.items()}
        for row in rows
    ]
