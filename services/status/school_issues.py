"""A school's errors and alerts for its page: by type, the first ones of each, and what to fix first. It only reads.

Whatever there is of a type, only the first few are read: a school with a hundred thousand errors costs what one does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl
from sqlmodel import Session

from contracts.formats import FORMATS
from contracts.issues import Entry, Severity, catalogue
from contracts.roster import Schema
from models import bulk
from services.status.issues import location
from services.status.record_issues import whose

FIRST = 5
# What to fix first: at most so many records, or those that so much of what falls along depends on.
_AT_MOST, _MOST_OF_IT = 20, 0.8
# So many issues are read for them, as a record may have several.
_READ = 200

_COUNTED: Schema = {"code": pl.String, "many": pl.Int64, "dependents": pl.Int64}
_FOUND: Schema = {
    "code": pl.String,
    "file": pl.String,
    "line": pl.UInt32,
    "record_id": pl.String,
    "detail": pl.String,
    "dependents": pl.UInt32,
    "row": pl.String,
    "other_rows": pl.String,
}
_COLUMNS = 'code, file, line, record_id, detail, dependents, "row", other_rows'
_HERE = "FROM issue WHERE school_id = :school AND source_id = :source"
# Rows are wide: what is numbered are their keys.
_FIRST = f"""
SELECT {_COLUMNS} FROM issue WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY code ORDER BY id)
AS n {_HERE}) numbered WHERE n <= :first) ORDER BY code, id
"""
_ROOTS = f"""
SELECT {_COLUMNS} FROM issue WHERE id IN
(SELECT id {_HERE} AND dependents > 0 ORDER BY dependents DESC, id LIMIT :most) ORDER BY dependents DESC, id
"""


@dataclass(frozen=True)
class Found:
    """One record with a problem. location: for people, such as students.csv:12. name: of its person or class.

    detail: what exactly, where there is more to say than the type. Rows hold personal data; so does name.
    """

    code: str
    title: str
    location: str
    record_id: str | None
    name: str | None
    detail: str | None
    dependents: int


@dataclass(frozen=True)
class IssueType:
    """All problems of one type at a school. many: records concerned. dependents: records left out along with them."""

    entry: Entry
    many: int
    dependents: int
    first: tuple[Found, ...]

    @property
    def code(self) -> str:
        """The code of the catalogue."""
        return self.entry.code

    @property
    def is_error(self) -> bool:
        """Whether it keeps accounts or classes from being created."""
        return self.entry.severity is Severity.ERROR


@dataclass(frozen=True)
class FixFirst:
    """The few records that hold up the most others. come_right: these and, at most, those that depend on them."""

    records: tuple[Found, ...]
    come_right: int


def issue_types(session: Session, school_id: str, source_id: str | None, form: str) -> list[IssueType]:
    """The school's problems by type: errors first, then those with the most records.

    source_id: the school's present source; a former one's say nothing any more. form: in whose words.
    """
    if source_id is None:
        return []
    parameters = {"school": school_id, "source": source_id}
    counted = bulk.read(
        session,
        f"SELECT code, count(*) AS many, sum(dependents) AS dependents {_HERE} GROUP BY code",
        parameters,
        _COUNTED,
    )
    first: dict[str, list[Found]] = {}
    for found in _found(bulk.read(session, _FIRST, {**parameters, "first": FIRST}, _FOUND), form):
        first.setdefault(found.code, []).append(found)
    types = [
        IssueType(catalogue(form)[code], many, dependents or 0, tuple(first[code]))
        for code, many, dependents in counted.iter_rows()
    ]
    return sorted(types, key=lambda each: (not each.is_error, -each.many, each.code))


def fix_first(session: Session, school_id: str, source_id: str | None, form: str) -> FixFirst | None:
    """What to fix first at a school; None where nothing depends on any record with an error.

    Rule: the records that the most others depend on, as many as make up four fifths of all that depends on any, and at
    most twenty. What depends on two of them is counted with both.
    """
    if source_id is None:
        return None
    parameters = {"school": school_id, "source": source_id, "most": _READ}
    total = bulk.read(session, f"SELECT sum(dependents) AS total {_HERE}", parameters, {"total": pl.Int64})["total"][0]
    if not total:
        return None
    # A record with several errors is one to be fixed.
    record = ("file", pl.coalesce("record_id", pl.col("line").cast(pl.String)).alias("record"))
    found = bulk.read(session, _ROOTS, parameters, _FOUND)
    roots = found.filter(found.select(pl.struct(record).is_first_distinct()).to_series())
    if found.height < _READ:
        total = int(roots["dependents"].sum())
    roots = roots.head(_AT_MOST)
    before = roots["dependents"].cast(pl.Int64).cum_sum().shift(1, fill_value=0)
    chosen = roots.filter(before < _MOST_OF_IT * total)
    return FixFirst(tuple(_found(chosen, form)), chosen.height + int(chosen["dependents"].sum()))


def _found(frame: pl.DataFrame, form: str) -> list[Found]:
    entries = catalogue(form)
    placed = frame.with_columns(location())
    return [
        Found(
            code=row["code"],
            title=entries[row["code"]].title,
            location=row["location"] or row["file"],
            record_id=row["record_id"],
            name=_name(row, form),
            detail=row["detail"],
            dependents=row["dependents"],
        )
        for row in placed.iter_rows(named=True)
    ]


def _name(issue: Mapping[str, str | None], form: str) -> str | None:
    """Whose row it is, or which class's; of a row of several, only the one whose issue it is."""
    came = json.loads(issue["row"] or "{}")
    given = FORMATS[form].values_of(str(issue["file"]), whose(FORMATS[form], issue, came), came)
    return " ".join(given[each] for each in ("first_name", "last_name", "name") if each in given) or None


def counted(types: list[IssueType], muted: frozenset[str] = frozenset()) -> tuple[int, int]:
    """How many records have errors, and how many alerts, those of muted types left out."""
    errors = sum(each.many for each in types if each.is_error)
    alerts = sum(each.many for each in types if not each.is_error and each.code not in muted)
    return errors, alerts
