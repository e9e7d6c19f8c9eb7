"""Taking a delivery: from a place where a district leaves its files into the landing area, and what became of it.

What the files say is read elsewhere; here a delivery is a set of names, time stamps, bytes and digests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
from sqlalchemy import delete, func
from sqlmodel import Session, col, select

from contracts.formats.delimited import FILE_ERRORS
from errors import NotFound, NotPossible
from models import bulk
from models.outcomes import UP_TO_DATE, DeliveryOutcome
from models.tables import Delivery, District, FileError, School, SchoolRun, Source
from services import clock
from services.intake.landing import LandedFiles, digest
from services.intake.landing_area import LandingArea
from services.mail import notices

STALE_AFTER = timedelta(days=90)
STALE_NOTICE = timedelta(days=14)  # so long before that, administrators are warned


@dataclass(frozen=True)
class RecordedDelivery:
    """What a taking came to: a new delivery, or a duplicate for the one last taken."""

    delivery_id: int
    is_duplicate: bool


def record_delivery(
    session: Session, source: Source, landed: LandedFiles, now: datetime, *, may_remove: bool = True
) -> RecordedDelivery:
    """Record landed files as a delivery, or as a duplicate where they are the very bytes of the one last taken.

    Rule: a duplicate is noted and restarts the 90 days, nothing else; the bytes of an older delivery are a new one.
    After a duplicate the caller discards the landed copy, once the transaction is committed. may_remove: whether
    somebody may be archived by it; where that differs, the same bytes are a delivery of their own.
    """
    held = _of(session, source)
    held.stamps = {name: stamp.as_list() for name, stamp in landed.stamps.items()}
    held.last_received_at = now
    # The set is complete now, whatever was said of it before.
    session.execute(delete(FileError).where(col(FileError.source_id) == held.id, col(FileError.delivery_id).is_(None)))
    last = session.get(Delivery, held.last_delivery_id) if held.last_delivery_id is not None else None
    if last is not None and last.digest == landed.digest and last.may_remove == may_remove:
        last.duplicates += 1
        last.last_received_at = now
        session.add_all([held, last])
        session.flush()
        return RecordedDelivery(_id(last), True)
    delivery = Delivery(
        source_id=held.id,
        received_at=now,
        outcome=DeliveryOutcome.RECEIVED,
        format=held.format,
        digest=landed.digest,
        path=landed.path,
        files=[dict(entry) for entry in landed.files],
        last_received_at=now,
        may_remove=may_remove,
    )
    session.add(delivery)
    session.flush()
    held.last_delivery_id = delivery.id
    session.add(held)
    session.flush()
    return RecordedDelivery(_id(delivery), False)


def unchecked_delivery(session: Session, source: Source) -> Delivery | None:
    """The delivery last taken, where the run that took it ended before it was checked."""
    held = _of(session, source)
    last = session.get(Delivery, held.last_delivery_id) if held.last_delivery_id is not None else None
    return last if last is not None and last.outcome == DeliveryOutcome.RECEIVED else None


def kept_paths(session: Session, source_id: str) -> set[str]:
    """Where the source's deliveries are in the landing area; whatever else is there of it is left over."""
    return set(session.exec(select(Delivery.path).where(Delivery.source_id == source_id, Delivery.path != "")))


def landed_files(landing: LandingArea, delivery: Delivery) -> dict[str, bytes]:
    """A kept delivery's files by name, each with the bytes it was taken with.

    Raises:
        NotPossible: a file is lost or not as it was taken.
        TransientError: the landing area cannot be read.
    """
    files = {}
    remedy = "put it back from a backup, or have the files sent again"
    for entry in delivery.files or []:
        name = entry["name"]
        where = f"{name} of delivery {delivery.id} in the landing area ({landing.place}/{delivery.path})"
        try:
            with landing.file(delivery.path, name) as file:
                content = file.read_bytes()
        except FileNotFoundError:
            raise NotPossible(f"{where} is lost: {remedy}") from None
        if hashlib.sha256(content).hexdigest() != entry["sha256"]:
            raise NotPossible(f"{where} has changed since it was received: {remedy}")
        files[name] = content
    if not files or digest(delivery.files or []) != delivery.digest:
        raise NotPossible(
            f"the files of delivery {delivery.id} have changed since they were received: have them sent again"
        )
    return files


def reject(session: Session, source: Source, delivery: Delivery, file_errors: pl.DataFrame, now: datetime) -> None:
    """Keep a delivery as rejected, with every file error (FILE_ERRORS), in place of the source's former ones.

    Rule: any file error stops the whole delivery, and the report lists every bad row.
    """
    delivery.outcome, delivery.checked_at = DeliveryOutcome.REJECTED, now
    session.add(delivery)
    session.execute(delete(FileError).where(col(FileError.source_id) == source.id))
    session.flush()
    _store(session, source, _id(delivery), file_errors)


def accept(session: Session, source: Source, delivery: Delivery, now: datetime) -> None:
    """Keep a delivery as clean: it is the source's current one from now on, and no file error is left."""
    delivery.outcome, delivery.checked_at = DeliveryOutcome.CLEAN, now
    held = _of(session, source)
    held.current_delivery_id = _id(delivery)
    session.add_all([delivery, held])
    session.execute(delete(FileError).where(col(FileError.source_id) == source.id))
    session.flush()


def record_rows(session: Session, delivery: Delivery, rows: Mapping[str, int]) -> None:
    """Note how many rows each file of a delivery holds, where files are what the rows are counted by."""
    noted = [
        {**entry, "rows": rows[entry["name"]]} if entry["name"] in rows else entry for entry in delivery.files or []
    ]
    if noted != delivery.files:
        delivery.files = noted
        session.add(delivery)
        session.flush()


def rows_last_applied(session: Session, source_id: str, school_ids: Collection[str]) -> dict[str, dict[str, int]]:
    """By school, how many rows the files held of the source's delivery that was last applied or found unchanged."""
    newest = (
        select(func.max(SchoolRun.id))
        .where(
            SchoolRun.source_id == source_id,
            col(SchoolRun.school_id).in_(school_ids),
            col(SchoolRun.outcome).in_(UP_TO_DATE),
        )
        .group_by(col(SchoolRun.school_id))
    )
    found = session.exec(
        select(SchoolRun.school_id, Delivery)
        .join(Delivery, col(Delivery.id) == SchoolRun.delivery_id)
        .where(col(SchoolRun.id).in_(newest))
    ).all()
    return {
        school_id: {entry["name"]: entry["rows"] for entry in delivery.files or [] if "rows" in entry}
        for school_id, delivery in found
    }


def store_incomplete(session: Session, source: Source, file_errors: pl.DataFrame) -> None:
    """Keep what is wrong with files that are no delivery yet (FILE_ERRORS), beside the errors of a rejected one.

    The rejected delivery's own errors stay: they say which files have to be sent again.
    """
    session.execute(
        delete(FileError).where(col(FileError.source_id) == source.id, col(FileError.delivery_id).is_(None))
    )
    session.flush()
    _store(session, source, None, file_errors)


def _store(session: Session, source: Source, delivery_id: int | None, file_errors: pl.DataFrame) -> None:
    frame = file_errors.select(
        pl.lit(source.id).alias("source_id"),
        pl.lit(delivery_id, dtype=pl.Int64).alias("delivery_id"),
        *[pl.col(name).cast(kind) for name, kind in FILE_ERRORS.items()],
    )
    bulk.insert(session, "file_error", frame)


def has_file_errors(session: Session, source: Source) -> bool:
    """Whether the source's last delivery was rejected, or its files were never completed."""
    return session.exec(select(FileError.id).where(FileError.source_id == source.id).limit(1)).first() is not None


def file_error_counts(session: Session, source: Source) -> list[tuple[str, str, int]]:
    """The source's file errors as (code, file, how many rows; 0 where they are about the whole file), in order."""
    statement = (
        select(FileError.code, FileError.file, func.count(col(FileError.line)))
        .where(FileError.source_id == source.id)
        .group_by(FileError.code, FileError.file)
        .order_by(FileError.code, FileError.file)
    )
    return list(session.exec(statement).all())


def files_with_error(session: Session, source: Source) -> frozenset[str] | None:
    """The files with errors of the delivery last taken, where that was rejected; else None.

    Rule: after a rejected zip all have to be sent again; files that lie beside it may be long out of date.
    """
    held = _of(session, source)
    last = session.get(Delivery, held.last_delivery_id) if held.last_delivery_id is not None else None
    if last is None or last.outcome != DeliveryOutcome.REJECTED or any("zip" in entry for entry in last.files or []):
        return None
    return frozenset(session.exec(select(FileError.file).where(FileError.delivery_id == last.id).distinct()))


def assert_applicable(delivery: Delivery, *, landing: LandingArea | None = None) -> None:
    """Make sure that a delivery can be applied again. landing: where its files must be, looked for where it is given.

    Raises:
        NotPossible: it was rejected, or is not checked yet, or its files are removed or lost.
        TransientError: the landing area cannot be read.
    """
    if delivery.outcome == DeliveryOutcome.REJECTED:
        raise NotPossible(f"delivery {delivery.id} was rejected for file errors and cannot be applied")
    if delivery.outcome != DeliveryOutcome.CLEAN:
        raise NotPossible(f"delivery {delivery.id} is not checked yet: the next run checks it")
    if not delivery.path:
        raise NotPossible(
            f"the files of delivery {delivery.id} were deleted after 30 days without use: have the district send them"
            " again"
        )
    there = landing.names(delivery.path) if landing is not None else None
    lost = [entry["name"] for entry in delivery.files or [] if there is not None and entry["name"] not in there]
    if lost:
        assert landing is not None
        raise NotPossible(
            f"{', '.join(lost)} of delivery {delivery.id} cannot be found in the landing area ({landing.place}): have"
            " the files sent again"
        )


def choose_delivery(session: Session, source: Source, delivery_id: int) -> Delivery:
    """Make a kept, clean delivery of the source its current one.

    Raises:
        NotFound: the source has no such delivery.
        NotPossible: it was rejected, or is not checked yet, or its files are removed.
    """
    delivery = session.get(Delivery, delivery_id, populate_existing=True)
    if delivery is None or delivery.source_id != source.id:
        raise NotFound(f"there is no delivery {delivery_id} of {source.id}", hint="`rollcall deliveries` lists them")
    assert_applicable(delivery)
    held = _of(session, source)
    held.current_delivery_id = delivery_id
    session.add(held)
    session.flush()
    return delivery


def deliveries_of(session: Session, district_id: str, *, limit: int | None = None) -> list[Delivery]:
    """The district's deliveries, newest first."""
    statement = (
        select(Delivery)
        .join(Source, col(Source.id) == Delivery.source_id)
        .where(Source.district_id == district_id)
        .order_by(col(Delivery.id).desc())
    )
    return list(session.exec(statement if limit is None else statement.limit(limit)))


def is_stale(source: Source, now: datetime) -> bool:
    """Whether the source's last delivery is too old. Rule: at least one every 90 days."""
    return source.last_received_at is not None and now - source.last_received_at > STALE_AFTER


def add_staleness_notice(
    session: Session, now: datetime, *, source_id: str | None = None, run_id: int | None = None
) -> None:
    """Note for the administrators of whom no delivery came for 76 days that the schools will be held as stale.

    Rule: 14 days before the 90 days are over, once for each delivery or duplicate. source_id: only this source.
    """
    statement = (
        select(Source, District)
        .join(District, col(District.id) == Source.district_id)
        .where(
            col(Source.frozen).is_(False),
            col(District.frozen).is_(False),
            col(Source.last_received_at) <= now - (STALE_AFTER - STALE_NOTICE),
            col(Source.last_received_at) >= now - STALE_AFTER,
        )
        .order_by(Source.id)
    )
    if source_id is not None:
        statement = statement.where(Source.id == source_id)
    for source, district in session.exec(statement):
        received = source.last_received_at
        assert received is not None
        if source.stale_noticed_at is not None and source.stale_noticed_at > received:
            continue
        zone = ZoneInfo(district.timezone)
        detail = (
            f"The last delivery arrived on {clock.local_date(received, zone)}. If nothing arrives by"
            f" {clock.local_date(received + STALE_AFTER, zone)}, these schools will go on hold, because their accounts"
            " would no longer match their records."
        )
        schools = select(School.id).where(
            School.source_id == source.id, col(School.on_plan).is_(True), col(School.frozen).is_(False)
        )
        for school_id in session.exec(schools.order_by(col(School.position), School.id)):
            notices.add_notice(
                session,
                district_id=district.id,
                kind=notices.STALE_SOON,
                at=now,
                school_id=school_id,
                run_id=run_id,
                codes=["stale"],
                detail=detail,
            )
        source.stale_noticed_at = now
        session.add(source)
    session.flush()


def _of(session: Session, source: Source) -> Source:
    # The caller's may have been read by another session, long before.
    held = session.get(Source, source.id)
    if held is None:
        raise NotFound(f"there is no source {source.id}")
    return held


def _id(delivery: Delivery) -> int:
    if delivery.id is None:
        raise NotPossible("the delivery is not stored yet")
    return delivery.id
