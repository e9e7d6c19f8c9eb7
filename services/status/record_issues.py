"""The stored issues of single records: whose they are, and what their rows hold of whom."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl
from sqlmodel import Session

from contracts.formats import DEFAULT_FORMAT, FORMATS, Format
from contracts.issues import CATALOGUE, Entry, Severity, catalogue
from contracts.roster import EMPLOYEE, GUARDIAN, STUDENT, Schema
from contracts.text import clean
from models import bulk
from models.tables import School, Source

CLASS, ENROLLMENT = "class", "enrollment"
ERRORS = sorted(code for code, entry in CATALOGUE.items() if entry.severity == Severity.ERROR)
ID_SHARED = "id_shared"
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
    detail: str | None
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
        once.setdefault((each.code, each.file, each.line, each.record_id, each.detail), each)
    return sorted(once.values(), key=lambda each: not each.is_error)


def holds_any(column: str, texts: Collection[str]) -> pl.Expr:
    """Whether a row, a JSON object, holds one of these texts: a first choice, before it is decoded."""
    # Not `contains`, which takes seconds for each row of texts of thousands of characters.
    patterns = pl.lit([json.dumps(each, ensure_ascii=False)[1:-1] for each in texts], dtype=pl.List(pl.String))
    return pl.col(column).str.contains_any(patterns).fill_null(False)


def _read(form: Format, row: Mapping[str, Any]) -> RecordIssue:
    came: dict[str, str | None] = json.loads(row["row"]) if row["row"] else {}
    kind = whose(form, row, came)
    given = form.values_of(row["file"], kind, came)
    # A guardian's row is that of any of their children, who may be at another school.
    shown = given if kind == GUARDIAN else {name: value for name, value in came.items() if value is not None}
    return RecordIssue(
        entry=catalogue(form.name)[row["code"]],
        detail=row["detail"],
        file=row["file"],
        line=row["line"],
        dependents=row["dependents"],
        kind=kind,
        record_id=row["record_id"],
        given=given,
        row=shown,
    )


def within_schools(issues: pl.DataFrame, schools: Collection[str]) -> pl.DataFrame:
    """ISSUES of `services.status.issues` for somebody who sees only these schools, given by their IDs in the data.

    Rule: of a row of another school, only the guardian's columns are left if the issue is about a guardian, whose child
    that is; and only the ID and the school's if it may be another person under the same ID.
    """
    limited = [_limited(row, schools) for row in issues.iter_rows(named=True)]
    rows, others = ([each[at] for each in limited] for at in (0, 1))
    return issues.with_columns(row=pl.Series(rows, dtype=pl.String), other_rows=pl.Series(others, dtype=pl.String))


def _limited(issue: Mapping[str, Any], schools: Collection[str]) -> tuple[str | None, str | None]:
    """The row and other_rows of an issue, as far as these schools' administrators may see them."""
    form, others = FORMATS[issue["format"]], issue["other_rows"]

    def limit(text: str) -> str:
        came: dict[str, str | None] = json.loads(text)
        kept = _kept_elsewhere(form, issue, came) if _is_elsewhere(form, issue["file"], came, schools) else None
        return text if kept is None else json.dumps(kept, ensure_ascii=False)

    row = limit(issue["row"]) if issue["row"] else issue["row"]
    if others is None:
        return row, None
    parted = (each.partition("\t") for each in others.split("\n"))
    return row, "\n".join(f"{line}\t{limit(text)}" for line, _, text in parted)


def _is_elsewhere(form: Format, file: str, came: Mapping[str, str | None], schools: Collection[str]) -> bool:
    """Whether a row names its school, and none of these."""
    named = (form.values_of(file, kind, came).get("school_id") for kind in form.tables_of(file))
    school = next((each for each in named if each is not None), None)
    return school is not None and clean(school) not in schools


def _kept_elsewhere(
    form: Format, issue: Mapping[str, Any], came: Mapping[str, str | None]
) -> dict[str, str | None] | None:
    """What may be seen of a row of another school; None for all of it."""
    file, record_id = issue["file"], issue["record_id"]
    kind = whose(form, issue, came)
    guardian_id = form.values_of(file, GUARDIAN, came).get("external_id")
    if kind == GUARDIAN or (record_id is not None and guardian_id == record_id):
        return form.columns_in(file, came, lambda field: field[0] == GUARDIAN)
    if issue["code"] == ID_SHARED:
        return form.columns_in(file, came, lambda field: field in ((kind, "external_id"), (kind, "school_id")))
    return None


def whose(form: Format, row: Mapping[str, Any], came: Mapping[str, str | None]) -> str:
    """Whose an issue (code, file, record_id) is, by its row as it came.

    Rule: by the file; where that holds students and their guardians, by whose ID of the row is the issue's.
    """
    if row["code"] in (CLASS_UNKNOWN, PERSON_UNKNOWN):
        return ENROLLMENT
    tables = form.tables_of(row["file"])
    student_id = form.values_of(row["file"], STUDENT, came).get("external_id")
    if STUDENT in tables and (GUARDIAN not in tables or row["record_id"] in (None, student_id)):
        # Of the two only a guardian may have no ID.
        return GUARDIAN if row["record_id"] is None else STUDENT
    return next((kind for kind in (EMPLOYEE, GUARDIAN, CLASS, ENROLLMENT) if kind in tables), ENROLLMENT)
