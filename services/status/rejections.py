"""What is wrong with files that were rejected, file by file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl
from sqlmodel import Session, col, select

from contracts.issues import Entry, catalogue, with_catalogue
from contracts.roster import Schema
from models import bulk
from models.tables import Delivery, Source
from services.status.report import source_name

SHOWN = 3  # so many lines of each kind of error are shown; all are in the error document

_COUNTED: Schema = {
    "source_id": pl.String,
    "format": pl.String,
    "delivery_id": pl.Int64,
    "file": pl.String,
    "code": pl.String,
    "line": pl.UInt32,
    "detail": pl.String,
    "many": pl.UInt32,
}
_SQL = """
SELECT source_id, format, delivery_id, file, code, line, detail, many FROM (
  SELECT e.source_id, o.format, e.delivery_id, e.file, e.code, e.line, e.detail,
         count(*) OVER (PARTITION BY e.source_id, e.file, e.code) AS many,
         row_number() OVER (PARTITION BY e.source_id, e.file, e.code ORDER BY e.line, e.id) AS number
  FROM file_error e JOIN source o ON o.id = e.source_id
  WHERE o.district_id = :district AND NOT o.frozen
) numbered WHERE number <= :shown
"""


@dataclass(frozen=True)
class FileErrorCount:
    """One kind of error in a file. examples: the first lines with it, or what is wrong with the whole file."""

    entry: Entry
    count: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class RejectedFile:
    """A file and its errors, by what has most first."""

    name: str
    errors: tuple[FileErrorCount, ...]


@dataclass(frozen=True)
class Rejection:
    """A delivery that was rejected, or files that were never completed (delivery_id, at: None)."""

    source_id: str
    source: str
    delivery_id: int | None
    at: datetime | None
    files: tuple[RejectedFile, ...]

    @property
    def count(self) -> int:
        """How many errors its files have."""
        return sum(error.count for file in self.files for error in file.errors)


def rejections(session: Session, district_id: str) -> list[Rejection]:
    """What is wrong with the last delivery of each of the district's sources, where that was rejected."""
    found = bulk.read(session, _SQL, {"district": district_id, "shown": SHOWN}, _COUNTED)
    if found.is_empty():
        return []
    found = with_catalogue(found, pl.col("format")).sort("source_id", "file", "code", "line", nulls_last=False)
    deliveries = {
        delivery.id: delivery.received_at
        for delivery in session.exec(
            select(Delivery).where(col(Delivery.id).in_(found["delivery_id"].drop_nulls().unique().to_list()))
        )
    }
    order = {
        source.id: number
        for number, source in enumerate(
            session.exec(
                select(Source).where(Source.district_id == district_id).order_by(col(Source.position), col(Source.id))
            )
        )
    }
    rejected = []
    for (source_id, form), rows in found.group_by("source_id", "format", maintain_order=True):
        number = rows["delivery_id"].drop_nulls().max()
        rejected.append(
            Rejection(
                str(source_id),
                source_name(str(form)),
                int(number) if isinstance(number, int) else None,
                deliveries.get(number) if isinstance(number, int) else None,
                tuple(
                    _file(str(name), str(form), here) for (name,), here in rows.group_by("file", maintain_order=True)
                ),
            )
        )
    return sorted(rejected, key=lambda each: order[each.source_id])


def _file(name: str, form: str, rows: pl.DataFrame) -> RejectedFile:
    errors = [
        FileErrorCount(
            catalogue(form)[str(code)],
            int(here["many"][0]),
            tuple(
                f"line {line}" if line is not None else str(message)
                for line, message in here.select("line", "message").iter_rows()
            ),
        )
        for (code,), here in rows.group_by("code", maintain_order=True)
    ]
    return RejectedFile(name, tuple(sorted(errors, key=lambda each: (-each.count, each.entry.code))))
