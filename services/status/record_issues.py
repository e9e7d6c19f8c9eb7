"""The stored issues of single records: whose they are, and what their rows hold of whom."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl
from sqlmodel import Session

from contracts.formats import DEFAULT_FORMAT, FORMATS, Format
from contracts.issues import CATALOGUE, Entry, Severity, catalogue, message
from contracts.roster import EMPLOYEE, GUARDIAN, STUDENT, Schema
from models import bulk
from models.tables import School, Source

CLASS, ENROLLMENT = "class", "enrollment"
ERRORS = sorted(code for code, entry in CATALOGUE.items() if entry.severity == Severity.ERROR)
# They are about a reference, and no record of its own.
CLASS_UNKNOWN, PERSON_UNKNOWN = "enrollment_class_unknown", "enrollment_student_unknown"

STORED: Schema = {
    "id": pl.Int64,
    "code": pl.String,
    "file": pl.String,
    "line": pl.Int64,
    "record_id": pl.String,
    "detail": pl.String,
    "dependents": pl.Int64,
    "row": pl.String,
}


@dataclass(frozen=True)
class RecordIssue:
    """An issue about one record, and whose it is: employee, student, guardian, class or enrollment.

    given: by field what its row holds of that record. row: by column what may be shown of the row as it came.
    """

    entry: Entry
    message: str
    file: str
    line: int | None
    dependents: int
    kind: str
    record_id: str | None
    given: Mapping[str, str] = field(default_factory=dict)
    row: Mapping[str, str] = field(default_factory=dict)

    @property
    def code(self) -> str:
        """Its code in the catalogue."""
        return self.entry.code

    @property
    def is_error(self) -> bool:
        """Whether it keeps the record from being applied."""
        return self.entry.severity == Severity.ERROR

    @property
    def name(self) -> str:
        """The record's name, as the row has it."""
        return " ".join(self.given[each] for each in ("first_name", "last_name", "name") if each in self.given)


def format_of(session: Session, source_id: str | None) -> Format:
    """The format of a source; the default one where there is none."""
    source = session.get(Source, source_id) if source_id is not None else None
    return FORMATS[source.format if source is not None else DEFAULT_FORMAT]


def stored(
    session: Session,
    school: School,
    *,
    whole_district: bool,
    codes: Collection[str] = (),
    record_ids: Collection[str] = (),
) -> pl.DataFrame:
    """STORED of the school's present source: issues with one of these codes, or of one of these IDs.

    whole_district: those of no school too, which only the district's administrators see.
    """
    if school.source_id is None:
        return pl.DataFrame(schema=dict(STORED))
    by_code, code_list = bulk.in_list(session, "code", codes)
    by_id, id_list = bulk.in_list(session, "record_id", record_ids)
    columns = ", ".join(f'"{name}"' for name in STORED)
    place = "(school_id = :school OR school_id IS NULL)" if whole_district else "school_id = :school"
    return bulk.read(
        session,
        f"SELECT {columns} FROM issue WHERE source_id = :source AND {place} AND ({by_code} OR {by_id}) ORDER BY id",
        {"source": school.source_id, "school": school.id, **code_list, **id_list},
        STORED,
    )


def read(form: Format, rows: Iterable[Mapping[str, Any]]) -> list[RecordIssue]:
    """The issues of these rows of STORED, errors first, each type and place once."""
    found = [_read(form, row) for row in rows]
    once: dict[object, RecordIssue] = {}
    for each in found:
        once.setdefault((each.code, each.file, each.line, each.record_id, each.message), each)
    return sorted(once.values(), key=lambda each: not each.is_error)


def holds_text(column: str, text: str) -> pl.Expr:
    """Whether a row, a JSON object, holds a text: a first choice, before it is decoded."""
    return pl.col(column).str.contains(json.dumps(text, ensure_ascii=False)[1:-1], literal=True).fill_null(False)


def _read(form: Format, row: Mapping[str, Any]) -> RecordIssue:
    came: dict[str, str | None] = json.loads(row["row"]) if row["row"] else {}
    kind = _whose(form, row, came)
    given = form.values_of(row["file"], kind, came)
    # A guardian's row is that of any of their children, who may be at another school.
    shown = given if kind == GUARDIAN else {name: value for name, value in came.items() if value is not None}
    return RecordIssue(
        entry=catalogue(form.name)[row["code"]],
        message=message(row["code"], row["detail"], form.name),
        file=row["file"],
        line=row["line"],
        dependents=row["dependents"],
        kind=kind,
        record_id=row["record_id"],
        given=given,
        row=shown,
    )


def _whose(form: Format, row: Mapping[str, Any], came: Mapping[str, str | None]) -> str:
    """Rule: by the file; where that holds students and their guardians, by whose ID of the row is the issue's."""
    if row["code"] in (CLASS_UNKNOWN, PERSON_UNKNOWN):
        return ENROLLMENT
    tables = form.tables_of(row["file"])
    student_id = form.values_of(row["file"], STUDENT, came).get("external_id")
    if STUDENT in tables and (GUARDIAN not in tables or row["record_id"] in (None, student_id)):
        # Of the two only a guardian may have no ID.
        return GUARDIAN if row["record_id"] is None else STUDENT
    return next((kind for kind in (EMPLOYEE, GUARDIAN, CLASS, ENROLLMENT) if kind in tables), ENROLLMENT)
