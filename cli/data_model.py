"""The reference of all tables, docs/data-model.md, written from the tables' own declarations: `make docs`."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sqlmodel import SQLModel

from contracts.roster import SETTLED_TABLES, STORED_TABLES, TABLES, Table
from models import tables

_HEAD = """# Data model

Written by `make docs` from `contracts/roster.py` and `models/tables.py`: to change a description, edit those files.
Words are those of the [glossary](glossary.md).
"""
_STAGES: Sequence[tuple[str, str, Mapping[str, type[Table]]]] = (
    (
        "The roster as read",
        "What every format is mapped to (`Roster`): a row for each row of the source, values trimmed but otherwise as "
        "they came, an empty one null. Types and nulls are checked when a delivery has been mapped.",
        TABLES,
    ),
    (
        "The settled roster",
        "What checking and settling give (`Settled`): a row for each valid record, values normalised. Types and nulls "
        "are checked when a delivery has been settled.",
        SETTLED_TABLES,
    ),
    (
        "The stored roster",
        "What settling knows of the district (`StoredRoster`), as queries of the database give it.",
        STORED_TABLES,
    ),
)
_DATABASE = """## The database

Made by the migrations in `models/migrations`. Every DATETIME is in UTC.
"""


def data_model_page() -> str:
    """The text of docs/data-model.md."""
    return "\n".join([_HEAD, *_stages(), _DATABASE, *_database()]).rstrip("\n") + "\n"


def _stages() -> Iterator[str]:
    for title, what, stage in _STAGES:
        yield f"## {title}\n\n{what}\n"
        for name, table in stage.items():
            columns = table.to_schema().columns.items()
            rows = ((column, str(one.dtype), _yes(one.nullable), one.description) for column, one in columns)
            yield _section(name, table, ("column", "type", "null", "meaning"), rows)


def _database() -> Iterator[str]:
    for model in vars(tables).values():
        if not (isinstance(model, type) and issubclass(model, SQLModel) and model is not SQLModel):
            continue
        table = SQLModel.metadata.tables[str(model.__tablename__)]
        rows = (
            (
                column.name,
                str(column.type),
                _yes(bool(column.nullable)),
                ", ".join(key.target_fullname for key in column.foreign_keys),
                model.model_fields[column.name].description,
            )
            for column in table.columns
        )
        yield _section(table.name, model, ("column", "type", "null", "references", "meaning"), rows)


def _yes(nullable: bool) -> str:
    return "yes" if nullable else ""


def _section(name: str, table: type, header: Sequence[str], rows: Iterable[Sequence[str | None]]) -> str:
    lines = [header, ["---"] * len(header), *([(cell or "").replace("|", r"\|") for cell in row] for row in rows)]
    grid = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"### {name}\n\n{inspect.getdoc(table)}\n\n{grid}\n"
