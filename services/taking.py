"""Taking a delivery: from a place where a district leaves its files into the landing area, and what became of it.

What the files say is read elsewhere; here a delivery is a set of names, time stamps, bytes and digests.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from zoneinfo import ZoneInfo

import polars as pl
from sqlalchemy import delete, func
from sqlmodel import Session, col, select

from contracts.formats import Names, match_names
from contracts.roster import Schema, empty
from contracts.text import listed
from errors import NotFound, NotPossible, SourceUnreachable, TransientError
from models import bulk
from models.tables import Delivery, District, FileError, School, SchoolRun, Source
from services import outbox
from services.status import DONE_OUTCOMES

STALE_AFTER = timedelta(days=90)
STALE_NOTICE = timedelta(days=14)  # so long before, the administrators are told
OVERDUE_AFTER = timedelta(hours=2)
TAKEN, CLEAN, REJECTED = "taken", "clean", "rejected"

FILE_MISSING, FILE_DUPLICATE = "file_missing", "file_duplicate"
NOT_SENT_AGAIN = "not sent again with the others"

FILE_ERRORS: Schema = {
    "code": pl.String,
    "file": pl.String,
    "line": pl.UInt32,  # null: the whole file
    "detail": pl.String,
    "row": pl.String,  # the physical line as it came; personal data
}

_COPYING = ".taking-"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Stamp:
    """What tells a file that was written again from one that was not, and when it last changed."""

    size: int
    mtime_ns: int  # may be the sender's clock
    ctime_ns: int  # the place's own clock

    def as_list(self) -> list[int]:
        """As it is stored with the source."""
        return [self.size, self.mtime_ns, self.ctime_ns]

    @property
    def changed_at(self) -> datetime:
        """When the file last changed, by the place's own clock."""
        return datetime.fromtimestamp(self.ctime_ns / 1e9, UTC)


class Place(Protocol):
    """Where a district leaves its files. Never written to."""

    def entries(self) -> dict[str, Stamp | None]:
        """Whatever lies there, by its name: a file's stamp, None for what is no file.

        Raises:
            SourceUnreachable: the place cannot be looked into.
        """

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading.

        Raises:
            SourceUnreachable: the file cannot be read.
        """


@dataclass(frozen=True)
class LocalFolder:
    """A drop folder on this machine. Links in it are not followed: whoever sends files may not point elsewhere."""

    folder: Path

    def entries(self) -> dict[str, Stamp | None]:
        """Whatever lies there; see `Place`."""
        with self._reachable(), os.scandir(self.folder) as entries:
            # Collected inside, as a file may go while it is looked at.
            return {
                entry.name: Stamp(found.st_size, found.st_mtime_ns, found.st_ctime_ns)
                if stat.S_ISREG(found.st_mode)
                else None
                for entry in entries
                if (found := _stat(entry)) is not None
            }

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading; see `Place`."""
        with self._reachable(name):
            handle = os.open(self.folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            return os.fdopen(handle, "rb")

    @contextmanager
    def _reachable(self, name: str | None = None) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            what = f"the drop folder {self.folder}" if name is None else f"{name} in the drop folder {self.folder}"
            raise SourceUnreachable(
                f"{what} cannot be read ({error.strerror}): check that it is there, that its disk is mounted, and that"
                " Rollcall's user may read it"
            ) from None


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None


class Arrival(StrEnum):
    """How far a delivery has come."""

    NOTHING = "nothing"  # no file was written since the last taking
    INCOMPLETE = "incomplete"  # some files are missing, or were not yet written again
    ARRIVING = "arriving"  # all are there, but not quiet long enough
    READY = "ready"
    OVERDUE = "overdue"  # incomplete for two hours
    DOUBLE = "double"  # complete, but with two files that are both meant to be the same one


@dataclass(frozen=True)
class Waiting:
    """What waits in a source's place.

    files: by the format's name of a file, the name there of the one to be read. stamps: by the name there, those of all
    files that the format's names match. missing: files that are not there. not_again: there, but not written again
    though they have to be. ready_at: while arriving, from when it would be taken. file_errors: FILE_ERRORS, what to say
    of what can be no delivery. notes: what lies there and is not read.
    """

    state: Arrival
    message: str
    files: Mapping[str, str]
    stamps: Mapping[str, Stamp]
    missing: tuple[str, ...] = ()
    not_again: tuple[str, ...] = ()
    ready_at: datetime | None = None
    file_errors: pl.DataFrame = field(default_factory=lambda: empty(FILE_ERRORS))
    notes: tuple[str, ...] = ()


def look(
    source: Source,
    place: Place,
    *,
    required: tuple[str, ...],
    with_error: frozenset[str] | None,
    now: datetime,
    as_it_stands: bool = False,
    zone: tzinfo = UTC,
) -> Waiting:
    """See what waits for the source, and whether it may be taken.

    Rule: a delivery is taken when all its files are there, all (after a rejected delivery: at least those with errors)
    were written again since the last taking, and none has changed for `quiet_seconds`. If for two hours some were
    written again and some not, that is said as a file error and is no taking. Of two names that match one file the one
    written since the last taking counts; if both were, that is a file error too.

    required: the format's files, which names match as `contracts.formats.match_names` says. with_error: the files with
    errors of the delivery last taken where that was rejected, else None. as_it_stands: take a complete set with
    anything new in it at once. zone: of the times in the message.

    Raises:
        SourceUnreachable: the place cannot be looked into.
    """
    found = _found(place.entries(), required, source.stamps or {})
    missing = tuple(name for name in required if name not in found.files)
    again = required if with_error is None else tuple(name for name in required if name in with_error)
    not_again = tuple(name for name in again if name in found.files and name not in found.written)
    double = {name: names for name, names in found.written.items() if len(names) > 1}
    twice = tuple((FILE_DUPLICATE, name, f"found {listed(names)}") for name, names in double.items())

    def waiting(
        state: Arrival, message: str, *errors: tuple[str, str, str | None], ready_at: datetime | None = None
    ) -> Waiting:
        return Waiting(
            state,
            message,
            found.files,
            found.stamps,
            missing,
            not_again if found.written else (),
            ready_at,
            _whole_files(errors),
            (*found.notes, *found.names.notes),
        )

    if not found.written:
        return waiting(Arrival.NOTHING, _nothing(source, found, is_empty=missing == required))
    if missing or (not_again and not as_it_stands):
        since = min(found.stamps[there].changed_at for names in found.written.values() for there in names)
        lacking = _lacking(missing, not_again)
        if now - since < OVERDUE_AFTER:
            return waiting(Arrival.INCOMPLETE, f"some files have not arrived yet: {lacking}")
        return waiting(
            Arrival.OVERDUE,
            f"files arrived at {_time(since, zone)}, but not all of them within two hours: {lacking}."
            " Send the complete set of files again",
            *((FILE_MISSING, name, found.names.found) for name in missing),
            *((FILE_MISSING, name, NOT_SENT_AGAIN) for name in not_again),
            *twice,
        )
    ready_at = max(stamp.changed_at for stamp in found.stamps.values()) + timedelta(seconds=source.quiet_seconds)
    if not as_it_stands and now < ready_at:
        return waiting(
            Arrival.ARRIVING,
            f"the files are still arriving: they will be taken after {_time(ready_at, zone, up=True)}, unless one of"
            " them changes before then",
            ready_at=ready_at,
        )
    if double:
        told = "; ".join(f"{listed(names)} would both be {name}" for name, names in double.items())
        return waiting(Arrival.DOUBLE, f"a file arrived twice: {told}. Remove the one that is not meant", *twice)
    return waiting(Arrival.READY, "a complete set of files is ready to be taken")


@dataclass(frozen=True)
class _Found:
    """What lies in a place. names: by the format's files. written: by file, the names there written since the last
    taking, where there are any. files, stamps: as in `Waiting`. notes: which of two names is read.
    """

    names: Names
    files: Mapping[str, str]
    stamps: Mapping[str, Stamp]
    written: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...]


def _found(entries: Mapping[str, Stamp | None], required: tuple[str, ...], noted: Mapping[str, list[int]]) -> _Found:
    present = {name: stamp for name, stamp in entries.items() if stamp is not None}
    names = match_names(required, present)
    no_files = tuple(f"{name} (a folder or a link)" for name in sorted(entries.keys() - present.keys()))
    stamps = {there: present[there] for matching in names.files.values() for there in matching}
    files, written, notes = {}, {}, []
    for name, matching in names.files.items():
        if not matching:
            continue
        new = tuple(there for there in matching if noted.get(there) != stamps[there].as_list())
        files[name] = new[0] if new else max(matching, key=lambda there: stamps[there].changed_at)
        if new:
            written[name] = new
        others = [there for there in matching if there != files[name]]
        if others and len(new) < 2:
            notes.append(f"{files[name]} is read, and not {listed(others)}, which was written before it")
    return _Found(replace(names, others=(*names.others, *no_files)), files, stamps, written, tuple(notes))


def _nothing(source: Source, found: _Found, *, is_empty: bool) -> str:
    if not is_empty:
        return "no file was written since the last delivery was taken"
    return "; ".join(filter(None, (f"the drop folder {source.folder} holds none of the files", found.names.found)))


def _lacking(missing: tuple[str, ...], not_again: tuple[str, ...]) -> str:
    parts = ((missing, "is", "are", "missing"), (not_again, "was", "were", NOT_SENT_AGAIN))
    return "; ".join(
        f"{listed(names)} {one if len(names) == 1 else many} {what}" for names, one, many, what in parts if names
    )


def _whole_files(errors: Sequence[tuple[str, str, str | None]]) -> pl.DataFrame:
    """FILE_ERRORS: code, file and detail of each, about the whole file."""
    rows = [(code, name, None, detail, None) for code, name, detail in errors]
    return pl.DataFrame(rows, schema=dict(FILE_ERRORS), orient="row")


def _time(moment: datetime, zone: tzinfo, *, up: bool = False) -> str:
    # Rounded up where it promises something from then on.
    shown = moment + timedelta(seconds=59, microseconds=999_999) if up else moment
    return f"{shown.astimezone(zone):%Y-%m-%d %H:%M %Z}"


def read_folder(folder: Path, required: tuple[str, ...]) -> dict[str, bytes]:
    """Whatever lies in a folder, by its name; of what is no file that the required names match, no bytes.

    Raises:
        SourceUnreachable: the folder or a file cannot be read.
    """
    place = LocalFolder(folder)
    found = _found(place.entries(), required, {})
    files = dict.fromkeys(found.names.others, b"")
    for there in found.stamps:
        with place.open(there) as content:
            files[there] = content.read()
    return files


@dataclass(frozen=True)
class Landed:
    """A complete set of files in the landing area, not recorded yet. path: its folder, relative to the area."""

    path: str
    digest: str
    files: tuple[dict[str, Any], ...]  # {"name", "size", "sha256"}
    stamps: Mapping[str, Stamp]


def land(place: Place, waiting: Waiting, *, landing: Path, source_id: str, now: datetime) -> Landed | None:
    """Copy the waiting files' raw bytes into the landing area; None, and nothing kept, if they changed meanwhile.

    They are kept under the names that the format gives them.

    Raises:
        SourceUnreachable: a file cannot be read.
        TransientError: the landing area cannot be written.
    """

    def copied(folder: Path) -> bool:
        sizes = {there: _copy(place, there, folder / name) for name, there in waiting.files.items()}
        same_size = all(size == waiting.stamps[there].size for there, size in sizes.items())
        return same_size and _is_as_it_was(place, waiting)

    landed = land_by(copied, landing=landing, source_id=source_id, now=now)
    return None if landed is None else replace(landed, stamps=dict(waiting.stamps))


def land_by(write: Callable[[Path], bool], *, landing: Path, source_id: str, now: datetime) -> Landed | None:
    """Have a delivery's files written into the landing area; None, and nothing kept, where `write` says they are void.

    `write` gets an empty, private folder. It has its name only once it is whole and on disk. The caller holds the
    district's lease: what an earlier, killed writing left behind is removed first.

    Raises:
        TransientError: the landing area cannot be written; and whatever `write` raises that is no OSError.
    """
    try:
        folder = _private_folder(landing, *source_id.split("/"))
        for left in folder.glob(f"{_COPYING}*"):
            shutil.rmtree(left)
        copy = Path(tempfile.mkdtemp(prefix=_COPYING, dir=folder))
        try:
            if not write(copy):
                return None
            files = tuple(_entry(file) for file in sorted(copy.iterdir()))
            _to_disk(copy)
            final = folder / f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
            copy.rename(final)
            _to_disk(folder)
        finally:
            shutil.rmtree(copy, ignore_errors=True)
    except OSError as error:
        raise TransientError(f"the landing area {landing} cannot be written ({error.strerror})") from None
    return Landed(final.relative_to(landing).as_posix(), _digest(files), files, {})


def peek(place: Place, waiting: Waiting) -> dict[str, bytes] | None:
    """The waiting files' bytes, by the format's names, without taking them; None if they changed meanwhile.

    Raises:
        SourceUnreachable: a file cannot be read.
    """
    files = {}
    for name, there in waiting.files.items():
        with place.open(there) as content:
            files[name] = content.read()
    return files if _is_as_it_was(place, waiting) else None


def _is_as_it_was(place: Place, waiting: Waiting) -> bool:
    entries = place.entries()
    return all(entries.get(there) == stamp for there, stamp in waiting.stamps.items())


def _private_folder(landing: Path, *parts: str) -> Path:
    landing.parent.mkdir(parents=True, exist_ok=True)
    folder = landing
    for step in ("", *parts):
        folder = folder / step
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _copy(place: Place, name: str, file: Path) -> int:
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as target, place.open(name) as origin:
        shutil.copyfileobj(origin, target, _CHUNK)
        target.flush()
        os.fsync(target.fileno())
        return target.tell()


def _entry(file: Path) -> dict[str, Any]:
    with file.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    return {"name": file.name, "size": file.stat().st_size, "sha256": sha256}


def _to_disk(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _digest(files: Collection[Mapping[str, Any]]) -> str:
    lines = sorted(f"{entry['name']} {entry['sha256']}\n" for entry in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def discard(landed: Landed, *, landing: Path) -> None:
    """Remove a landed copy that no delivery names: a receipt's."""
    shutil.rmtree(landing / landed.path, ignore_errors=True)


@dataclass(frozen=True)
class Taken:
    """What a taking came to: a new delivery, or a receipt for the one last taken."""

    delivery_id: int
    is_receipt: bool


def record_taking(session: Session, source: Source, landed: Landed, now: datetime, *, may_remove: bool = True) -> Taken:
    """Record landed files as a delivery, or as a receipt where they are the very bytes of the one last taken.

    Rule: a receipt is noted and restarts the 90 days, nothing else; the bytes of an older delivery are a new one. After
    a receipt the caller discards the landed copy, once the transaction is committed. may_remove: whether somebody may
    be archived by it; where that differs, the same bytes are a delivery of their own.
    """
    held = _of(session, source)
    held.stamps = {name: stamp.as_list() for name, stamp in landed.stamps.items()}
    held.received_at = now
    # The set is complete now, whatever was said of it before.
    session.execute(delete(FileError).where(col(FileError.source_id) == held.id, col(FileError.delivery_id).is_(None)))
    last = session.get(Delivery, held.last_taken_id) if held.last_taken_id is not None else None
    if last is not None and last.digest == landed.digest and last.may_remove == may_remove:
        last.receipts += 1
        last.received_at = now
        session.add_all([held, last])
        session.flush()
        return Taken(_id(last), True)
    delivery = Delivery(
        source_id=held.id,
        taken_at=now,
        outcome=TAKEN,
        format=held.format,
        digest=landed.digest,
        path=landed.path,
        files=[dict(entry) for entry in landed.files],
        received_at=now,
        may_remove=may_remove,
    )
    session.add(delivery)
    session.flush()
    held.last_taken_id = delivery.id
    session.add(held)
    session.flush()
    return Taken(_id(delivery), False)


def unchecked_delivery(session: Session, source: Source) -> Delivery | None:
    """The delivery last taken, where the run that took it ended before it was checked."""
    held = _of(session, source)
    last = session.get(Delivery, held.last_taken_id) if held.last_taken_id is not None else None
    return last if last is not None and last.outcome == TAKEN else None


def landed_files(landing: Path, delivery: Delivery) -> dict[str, bytes]:
    """A kept delivery's files by name, each with the bytes it was taken with.

    Raises:
        NotPossible: a file is lost, unreadable or not as it was taken.
    """
    files = {}
    for entry in delivery.files or []:
        name = entry["name"]
        where = f"{name} of delivery {delivery.id} in the landing area ({landing / delivery.path})"
        try:
            content = (landing / delivery.path / name).read_bytes()
        except OSError as error:
            raise NotPossible(f"{where} cannot be read ({error.strerror}): have the files sent again") from None
        if hashlib.sha256(content).hexdigest() != entry["sha256"]:
            raise NotPossible(f"{where} is not as it was taken: have the files sent again")
        files[name] = content
    if not files or _digest(delivery.files or []) != delivery.digest:
        raise NotPossible(f"what is kept of delivery {delivery.id} is not what was taken: have the files sent again")
    return files


def reject(session: Session, source: Source, delivery: Delivery, file_errors: pl.DataFrame) -> None:
    """Keep a delivery as rejected, with every file error (FILE_ERRORS), in place of the source's former ones.

    Rule: any file error stops the whole delivery, and the report lists every bad row.
    """
    delivery.outcome = REJECTED
    session.add(delivery)
    session.execute(delete(FileError).where(col(FileError.source_id) == source.id))
    session.flush()
    _store(session, source, _id(delivery), file_errors)


def accept(session: Session, source: Source, delivery: Delivery) -> None:
    """Keep a delivery as clean: it is the source's current one from now on, and no file error is left."""
    delivery.outcome = CLEAN
    held = _of(session, source)
    held.current_delivery_id = _id(delivery)
    session.add_all([delivery, held])
    session.execute(delete(FileError).where(col(FileError.source_id) == source.id))
    session.flush()


def note_rows(session: Session, delivery: Delivery, rows: Mapping[str, int]) -> None:
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
            col(SchoolRun.outcome).in_(DONE_OUTCOMES),
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


def file_error_places(session: Session, source: Source) -> list[tuple[str, str, int]]:
    """The source's file errors as (code, file, how many rows; 0 where they are about the whole file), in order."""
    statement = (
        select(FileError.code, FileError.file, func.count(col(FileError.line)))
        .where(FileError.source_id == source.id)
        .group_by(FileError.code, FileError.file)
        .order_by(FileError.code, FileError.file)
    )
    return list(session.exec(statement).all())


def files_with_error(session: Session, source: Source) -> frozenset[str] | None:
    """The files with errors of the delivery last taken, where that was rejected; else None."""
    held = _of(session, source)
    last = session.get(Delivery, held.last_taken_id) if held.last_taken_id is not None else None
    if last is None or last.outcome != REJECTED:
        return None
    return frozenset(session.exec(select(FileError.file).where(FileError.delivery_id == last.id).distinct()))


def assert_applicable(delivery: Delivery, *, landing: Path | None = None) -> None:
    """Make sure that a delivery can be applied again. landing: where its files must be, looked for where it is given.

    Raises:
        NotPossible: it was rejected, or is not checked yet, or its files are removed or lost.
    """
    if delivery.outcome == REJECTED:
        raise NotPossible(f"delivery {delivery.id} was rejected for its file errors and cannot be applied")
    if delivery.outcome != CLEAN:
        raise NotPossible(f"delivery {delivery.id} is not checked yet: the next run does it")
    if not delivery.path:
        raise NotPossible(
            f"the files of delivery {delivery.id} are removed, as they were not needed for 30 days: have the district"
            " send them again"
        )
    lost = [
        entry["name"]
        for entry in delivery.files or []
        if landing is not None and not (landing / delivery.path / entry["name"]).is_file()
    ]
    if lost:
        raise NotPossible(
            f"{', '.join(lost)} of delivery {delivery.id} cannot be found in the landing area ({landing}): have the"
            " files sent again"
        )


def choose_delivery(session: Session, source: Source, delivery_id: int) -> Delivery:
    """Make a kept, clean delivery of the source its current one.

    Raises:
        NotFound: the source has no such delivery.
        NotPossible: it was rejected, or is not checked yet, or its files are removed.
    """
    delivery = session.get(Delivery, delivery_id, populate_existing=True)
    if delivery is None or delivery.source_id != source.id:
        raise NotFound(f"there is no delivery {delivery_id} of {source.id}; `rollcall deliveries` lists them")
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
    return source.received_at is not None and now - source.received_at > STALE_AFTER


def note_coming_staleness(
    session: Session, now: datetime, *, source_id: str | None = None, run_id: int | None = None
) -> None:
    """Note for the administrators of whom no delivery came for 76 days that the schools will be held as stale.

    Rule: 14 days before the 90 days are over, once for each delivery or receipt. source_id: only this source.
    """
    statement = (
        select(Source, District)
        .join(District, col(District.id) == Source.district_id)
        .where(
            col(Source.frozen).is_(False),
            col(District.frozen).is_(False),
            col(Source.received_at) <= now - (STALE_AFTER - STALE_NOTICE),
            col(Source.received_at) >= now - STALE_AFTER,
        )
        .order_by(Source.id)
    )
    if source_id is not None:
        statement = statement.where(Source.id == source_id)
    for source, district in session.exec(statement):
        received = source.received_at
        assert received is not None
        if source.stale_noticed_at is not None and source.stale_noticed_at > received:
            continue
        zone = ZoneInfo(district.timezone)
        detail = (
            f"The last came on {_day(received, zone)}. If nothing comes until {_day(received + STALE_AFTER, zone)}, the"
            " sync of these schools will be put on hold, as their accounts would no longer match their records."
        )
        schools = select(School.id).where(
            School.source_id == source.id, col(School.on_plan).is_(True), col(School.frozen).is_(False)
        )
        for school_id in session.exec(schools.order_by(col(School.position), School.id)):
            outbox.note(
                session,
                district_id=district.id,
                kind=outbox.STALE_SOON,
                at=now,
                school_id=school_id,
                run_id=run_id,
                codes=["stale"],
                detail=detail,
            )
        source.stale_noticed_at = now
        session.add(source)
    session.flush()


def _day(moment: datetime, zone: tzinfo) -> str:
    local = moment.astimezone(zone)
    return f"{local:%B} {local.day}, {local.year}"


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
