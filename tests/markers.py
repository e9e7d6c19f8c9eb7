"""Marked values planted in a roster, and where they are found again: rows, files, bytes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import polars as pl
from sqlmodel import SQLModel

from models.database import Database


def everything(database: Database) -> dict[str, list[str]]:
    """Every row of every table as text, sorted, by table."""
    with database.reading() as session:
        return {
            table: sorted(
                repr(tuple(row)) for row in session.connection().exec_driver_sql(f'SELECT * FROM "{table}"').fetchall()
            )
            for table in SQLModel.metadata.tables
        }


def tables_with(database: Database, *markers: str) -> list[str]:
    """The tables that hold any of these texts, in upper or lower case."""
    wanted = _pattern(markers)
    return sorted(table for table, rows in everything(database).items() if any(wanted.search(row) for row in rows))


def files_with(folders: Iterable[Path], *markers: str) -> list[str]:
    """The files in these folders that hold any of these texts, in upper or lower case, by their bytes."""
    wanted = re.compile(_pattern(markers).pattern.encode(), re.IGNORECASE)
    found = (file for folder in folders for file in folder.rglob("*") if file.is_file())
    return sorted(str(file) for file in found if wanted.search(file.read_bytes()))


def rows(database: Database, sql: str) -> list[tuple[object, ...]]:
    """What a query gives."""
    with database.reading() as session:
        return [tuple(row) for row in session.connection().exec_driver_sql(sql).fetchall()]


def frame(database: Database, table: str) -> pl.DataFrame:
    """A table's rows as the database's own values."""
    with database.reading() as session:
        result = session.connection().exec_driver_sql(f'SELECT * FROM "{table}"')
        return pl.DataFrame([tuple(row) for row in result.fetchall()], schema=list(result.keys()), orient="row")


def _pattern(markers: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, markers)), re.IGNORECASE)
