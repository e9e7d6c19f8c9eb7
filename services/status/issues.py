"""Stored issues and file errors, read for people: as frames with the catalogue's words, and as CSV downloads."""

from __future__ import annotations

import json
from collections.abc import Mapping

import polars as pl
from sqlmodel import Session, col, select

from contracts.formats import DEFAULT_FORMAT
from contracts.issues import CATALOGUE, Severity, with_catalogue
from contracts.roster import Schema
from models import bulk
from models.tables import School, Source
from services.csv_export import to_csv

_ISSUES_READ: Schema = {
    "format": pl.String,
    "code": pl.String,
    "school": pl.String,
    "file": pl.String,
    "line": pl.UInt32,
    "record_id": pl.String,
    "detail": pl.String,
    "dependents": pl.UInt32,
    "row": pl.String,
    "other_rows": pl.String,
}
ISSUES: Schema = {
    "severity": pl.String,  # error, alert
    "code": pl.String,
    "school": pl.String,  # its key in the setup file; null where the issue belongs to no school
    "file": pl.String,
    "line": pl.UInt32,
    "record_id": pl.String,
    "message": pl.String,
    "dependents": pl.UInt32,
    "row": pl.String,  # the row as it came, a JSON object; personal data
    "other_rows": pl.String,  # the other rows of the record, or those that are the same, as contracts.roster.ISSUES
    "format": pl.String,  # in whose words the message is
    "location": pl.String,  # for people: students.csv:12, 15, or student 58da8c58db8c (SIS ID 1001)
}
_FILE_ERRORS_READ: Schema = {
    "format": pl.String,
    "source_id": pl.String,
    "delivery_id": pl.Int64,
    "code": pl.String,
    "file": pl.String,
    "line": pl.UInt32,
    "detail": pl.String,
    "row": pl.String,
}
FILE_ERRORS: Schema = {
    "source_id": pl.String,
    "delivery_id": pl.Int64,  # null: the files were never completed, so there is no delivery
    "code": pl.String,
    "file": pl.String,
    "line": pl.UInt32,  # null: the whole file
    "message": pl.String,
    "row": pl.String,  # the physical line as it came; personal data
}

_BETWEEN_ROWS = [code for code, entry in CATALOGUE.items() if entry.is_about_rows or code == "duplicate_row"]

# A school's issues are those of its present source; a former one's say nothing about it anymore.
_ISSUES = """
SELECT o.format, i.code, s.key AS school, i.file, i.line, i.record_id, i.detail, i.dependents, i.row,
       i.other_rows
FROM issue i JOIN source o ON o.id = i.source_id LEFT JOIN school s ON s.id = i.school_id
WHERE o.district_id = :district AND {scope}
"""
_FILE_ERRORS = """
SELECT o.format, e.source_id, e.delivery_id, e.code, e.file, e.line, e.detail, e.row
FROM file_error e JOIN source o ON o.id = e.source_id
WHERE o.district_id = :district AND NOT o.frozen
"""


def stored_issues(session: Session, district_id: str, school_id: str | None = None) -> pl.DataFrame:
    """The district's errors and alerts as of its schools' last runs, or one school's: ISSUES.

    Errors first, then by code, school (those of no school last), file and line.
    """
    if school_id is None:
        scope, parameters = "((i.school_id IS NULL AND NOT o.frozen) OR s.source_id = i.source_id)", {}
    else:
        scope, parameters = "s.source_id = i.source_id AND s.id = :school", {"school": school_id}
    return _issues(session, scope, {"district": district_id, **parameters})


def unplaced_issues(session: Session, district_id: str) -> pl.DataFrame:
    """The district's errors and alerts of records of no known school, in the order of `stored_issues`: ISSUES."""
    return _issues(session, "i.school_id IS NULL AND NOT o.frozen", {"district": district_id})


def _issues(session: Session, scope: str, parameters: Mapping[str, str]) -> pl.DataFrame:
    found = bulk.read(session, _ISSUES.format(scope=scope), parameters, _ISSUES_READ)
    order = ("is_alert", "code", "school", "file", "line", "record_id", "message")
    return (
        with_catalogue(found, pl.col("format"))
        .with_columns(is_alert=pl.col("severity") != Severity.ERROR.value, location=location())
        .sort(order, nulls_last=True)
        .select(list(ISSUES))
    )


def location() -> pl.Expr:
    """Where people find an issue with code, file, line, record_id, row and other_rows: ``location`` String.

    Rule: by line where the source has lines, else by the record's type, its ID and its ID in the SIS. The lines of
    other rows are named only if the problem is between them.
    """
    others = pl.when(pl.col("code").is_in(_BETWEEN_ROWS)).then(other_lines()).cast(pl.List(pl.String)).list.join(", ")
    lines = pl.concat_str(pl.col("line").cast(pl.String), others, separator=", ", ignore_nulls=True)
    sis_id = pl.col("row").str.json_path_match("$.sis_id")
    record = pl.concat_str("file", "record_id", pl.format("(SIS ID {})", sis_id), separator=" ", ignore_nulls=True)
    by_line = pl.when(pl.col("line").is_not_null()).then(pl.format("{}:{}", "file", lines.str.strip_suffix(", ")))
    return pl.coalesce(by_line, record).alias("location")


def other_lines() -> pl.Expr:
    """The lines of an issue's other_rows, ``other_lines`` List(UInt32); null where there are none."""
    found = pl.col("other_rows").str.extract_all(r"(?m)^[0-9]+\t")
    return found.list.eval(pl.element().str.strip_chars().cast(pl.UInt32)).alias("other_lines")


def formats_of_schools(session: Session, district_id: str | None = None) -> dict[str, str]:
    """The format of each school's source, by the school's ID; the default one where it has none."""
    statement = select(School.id, Source.format).outerjoin(Source, col(Source.id) == School.source_id)
    if district_id is not None:
        statement = statement.where(School.district_id == district_id)
    return {school_id: form or DEFAULT_FORMAT for school_id, form in session.exec(statement)}


def stored_file_errors(session: Session, district_id: str) -> pl.DataFrame:
    """Every file error of the district's last deliveries, where they were rejected or not completed: FILE_ERRORS."""
    found = bulk.read(session, _FILE_ERRORS, {"district": district_id}, _FILE_ERRORS_READ)
    order = ["source_id", "file", "line", "code"]
    # Whole-file errors, which have no line, come before those of its rows.
    return (
        with_catalogue(found, pl.col("format"))
        .sort(order, nulls_last=False, maintain_order=True)
        .select(list(FILE_ERRORS))
    )


def issues_csv(issues: pl.DataFrame) -> str:
    """The CSV download of ISSUES: a line for each row of a record, the columns of the row as it came after ours."""
    rows = _each_row(issues)
    ours = rows.drop("row", "other_rows", "format", "location")
    return to_csv(pl.concat([ours, _as_columns(rows["row"], taken=[*ours.columns, "row"])], how="horizontal"))


def _each_row(issues: pl.DataFrame) -> pl.DataFrame:
    """The issues, once for each row of their record; a row that an issue of the same type is at, only there."""
    numbered = issues.with_row_index("issue")
    others = (
        numbered.drop("line", "row")
        .drop_nulls("other_rows")
        .with_columns(pl.col("other_rows").str.split("\n"))
        .explode("other_rows")
        .with_columns(
            line=pl.col("other_rows").str.extract(r"^([0-9]+)\t").cast(pl.UInt32),
            row=pl.col("other_rows").str.replace(r"^[0-9]*\t", ""),
        )
    )
    same = ["code", "school", "file", "line", "record_id", "row"]
    added = others.join(numbered, on=same, how="anti", nulls_equal=True).unique(same, keep="first", maintain_order=True)
    rows = pl.concat([numbered, added.select(numbered.columns)])
    return rows.sort("issue", maintain_order=True).drop("issue")


def file_errors_csv(file_errors: pl.DataFrame) -> str:
    """The error document: every bad row of FILE_ERRORS, never capped."""
    return to_csv(file_errors.select("file", "line", "code", "message", "row"))


def _as_columns(rows: pl.Series, *, taken: list[str]) -> pl.DataFrame:
    """Rows given as JSON objects of texts, as one frame with all their columns, in the order first met."""
    # Rows of one file have the same columns, so that the distinct lists of names are few.
    shapes = rows.drop_nulls().str.replace_all(r'":\s*(null|\d+|"(\\.|[^"\\])*")', '":""').unique(maintain_order=True)
    names = list(dict.fromkeys(name for shape in shapes for name in json.loads(shape) if name not in taken))
    if not names:
        return pl.DataFrame(height=len(rows))
    decoded = rows.str.json_decode(pl.Struct(dict.fromkeys(names, pl.String)))
    return decoded.struct.unnest()
