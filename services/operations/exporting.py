"""Everything that is held of a district, as CSV files: its roster to read back, every table, and what was received.

Rule: accounts that another district has too are left out, as their values may be the other's; the links have all that
this district said. Secrets and hashes that let somebody in are left out as well.
"""

from __future__ import annotations

import inspect
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from sqlalchemy import text
from sqlmodel import Session, SQLModel

from contracts.roster import Schema
from errors import NotPossible
from models import bulk, tables
from services.csv_export import to_csv
from services.intake.landing_area import LandingArea
from services.operations import erasing

LEFT_OUT = frozenset({"report_session", "sign_in_link", "openid_identity"})
SECRETS = {"webhook": {"secret"}, "access_token": {"token_hash"}}
DICTIONARY = "data-dictionary.csv"

_PHONE = "CASE WHEN {0}.phone_extension IS NULL THEN {0}.phone ELSE {0}.phone || ' x' || {0}.phone_extension END"
_AT = (
    " JOIN school_membership m ON m.link_id = l.id AND m.active JOIN school s ON s.id = m.school_id"
    " WHERE l.source_id = :source AND l.archived_at IS NULL"
)
# The five files of CSV format 1.0: columns, and the query of them.
ROSTER: Mapping[str, tuple[tuple[str, ...], str]] = {
    "schools.csv": (
        ("school_id", "school_name"),
        "SELECT external_id, name FROM school WHERE source_id = :source ORDER BY 1",
    ),
    "teachers.csv": (
        (
            "school_id",
            "teacher_id",
            "teacher_first_name",
            "teacher_last_name",
            "teacher_email",
            "teacher_mobile_phone",
        ),
        f"SELECT s.external_id, l.external_id, l.first_name, l.last_name, l.email, {_PHONE.format('l')}"
        f" FROM link l{_AT} AND l.kind = 'employee' AND l.role = 'teacher' ORDER BY 1, 2",
    ),
    "students.csv": (
        (
            *("school_id", "student_id", "student_first_name", "student_last_name", "dob", "grade"),
            *("student_email", "student_phone", "guardian_first_name", "guardian_last_name", "guardian_email"),
            *("guardian_phone", "guardian_id", "guardian_relationship", "guardian_type", "guardian_language"),
        ),
        "SELECT s.external_id, l.external_id, l.first_name, l.last_name, CAST(l.birth_date AS TEXT), l.grade, l.email,"
        f" {_PHONE.format('l')}, g.first_name, g.last_name, g.email, {_PHONE.format('g')}, g.guardian_ids,"
        " p.relationship, p.type, g.language FROM link l"
        " LEFT JOIN guardianship p ON p.student_link_id = l.id AND p.active"
        f" LEFT JOIN link g ON g.id = p.guardian_link_id{_AT} AND l.kind = 'student' ORDER BY 1, 2, g.id",
    ),
    "classes.csv": (
        ("school_id", "class_id", "teacher_id", "class_name"),
        "SELECT s.external_id, c.external_id, l.external_id, c.name FROM class c JOIN school s ON s.id = c.school_id"
        " JOIN class_membership m ON m.class_id = c.id AND m.active AND m.is_owner JOIN link l ON l.id = m.link_id"
        " WHERE c.source_id = :source AND c.archived_at IS NULL ORDER BY 1, 2, 3",
    ),
    "enrollments.csv": (
        ("school_id", "class_id", "user_id"),
        "SELECT s.external_id, c.external_id, l.external_id FROM class c JOIN school s ON s.id = c.school_id"
        " JOIN class_membership m ON m.class_id = c.id AND m.active AND NOT m.is_owner JOIN link l ON l.id = m.link_id"
        " WHERE c.source_id = :source AND c.archived_at IS NULL ORDER BY 1, 2, 3",
    ),
}


@dataclass(frozen=True)
class Exported:
    """How much was written: rows by table, and files as they were received."""

    rows: Mapping[str, int]
    received: int


def export(session: Session, district_id: str, folder: Path, landing: LandingArea) -> Exported:
    """Write everything into a new folder, for its owner's eyes only.

    Raises:
        NotFound: there is no such district.
        NotPossible: the folder exists, or cannot be written.
        TransientError: the landing area cannot be read.
    """
    found = erasing.rows_of(session, district_id)
    try:
        folder.mkdir(mode=0o700)
        _write(folder / DICTIONARY, to_csv(dictionary()))
        for source_id in _sources(session, district_id):
            _roster(session, source_id, folder / "roster" / source_id.partition("/")[2])
        rows = {}
        for table, (condition, parameters) in found.items():
            frame = _rows(session, table, condition, parameters)
            _write(folder / "tables" / f"{table}.csv", to_csv(frame))
            rows[table] = frame.height
        return Exported(rows, _received(session, district_id, folder / "received", landing))
    except OSError as error:
        reason = error.strerror
    raise NotPossible(f"{folder} cannot be written: {reason}")


def dictionary() -> pl.DataFrame:
    """file, column, type, meaning (String): every column of the tables that are written, as the tables describe it."""
    lines = []
    for model in vars(tables).values():
        if not (isinstance(model, type) and issubclass(model, SQLModel) and model is not SQLModel):
            continue
        table = SQLModel.metadata.tables[str(model.__tablename__)]
        if table.name in LEFT_OUT | erasing.KEPT - {"audit_entry"}:
            continue
        lines.append((f"tables/{table.name}.csv", "", "", inspect.getdoc(model) or ""))
        lines += [
            (
                f"tables/{table.name}.csv",
                column.name,
                str(column.type),
                model.model_fields[column.name].description or "",
            )
            for column in table.columns
            if column.name not in SECRETS.get(table.name, set())
        ]
    for name, (columns, _) in ROSTER.items():
        lines += [(f"roster/SOURCE/{name}", column, "VARCHAR", "see docs/csv-1.0.md") for column in columns]
    return pl.DataFrame(lines, schema=["file", "column", "type", "meaning"], orient="row")


def _sources(session: Session, district_id: str) -> list[str]:
    sql = "SELECT id FROM source WHERE district_id = :district ORDER BY position, id"
    return bulk.read(session, sql, {"district": district_id}, {"id": pl.String})["id"].to_list()


def _roster(session: Session, source_id: str, folder: Path) -> None:
    """The active data of a source, to be read again: as they are, so not for a spreadsheet."""
    for name, (columns, sql) in ROSTER.items():
        schema: Schema = dict.fromkeys(columns, pl.String)
        frame = bulk.read(session, sql, {"source": source_id}, schema)
        if "guardian_id" in columns:
            frame = frame.with_columns(pl.col("guardian_id").str.split("\n").list.first())
        _write(folder / name, frame.write_csv())


def _rows(session: Session, table: str, condition: str, parameters: Mapping[str, object]) -> pl.DataFrame:
    """A table's rows of the district, all as text."""
    columns = [one.name for one in SQLModel.metadata.tables[table].columns if one.name not in SECRETS.get(table, set())]
    listed = ", ".join(f'CAST("{column}" AS TEXT) AS "{column}"' for column in columns)
    sql = f'SELECT {listed} FROM "{table}" WHERE {condition}'
    return bulk.read(session, sql, parameters, dict.fromkeys(columns, pl.String))


def _received(session: Session, district_id: str, folder: Path, landing: LandingArea) -> int:
    """The files of deliveries that are kept, as they came."""
    many = 0
    sql = text(
        "SELECT d.id, d.path FROM delivery d JOIN source s ON s.id = d.source_id"
        " WHERE s.district_id = :district AND d.path <> '' ORDER BY d.id"
    )
    for delivery_id, path in session.connection().execute(sql, {"district": district_id}).fetchall():
        for name in sorted(landing.names(path)):
            target = folder / str(delivery_id) / name
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with landing.file(path, name) as file:
                shutil.copyfile(file, target)
            target.chmod(0o600)
            many += 1
    return many


def _write(file: Path, content: str) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        stream.write(content)
