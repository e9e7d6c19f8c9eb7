"""Whether a complete set of files has arrived in a drop folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum

import polars as pl

from contracts.formats import Format, Names, match_names, zipped
from contracts.formats.delimited import FILE_ERRORS
from contracts.roster import empty
from contracts.text import clean, listed
from models.tables import Source
from services import clock
from services.intake.drop_folder import DropFolder, Stamp

OVERDUE_AFTER = timedelta(hours=2)
# What programs add to a file's name as long as they are sending it.
UNFINISHED = (".part", ".filepart", ".tmp")

FILE_MISSING, FILE_DUPLICATE = "file_missing", "file_duplicate"
NOT_SENT_AGAIN = "not sent again with the others"


class Arrival(StrEnum):
    """How far a delivery has come."""

    NOTHING = "nothing"  # no file was written since the last taking
    INCOMPLETE = "incomplete"  # some files are missing, or were not yet written again
    ARRIVING = "arriving"  # one is being sent, or all are there, but not quiet long enough
    READY = "ready"
    OVERDUE = "overdue"  # incomplete for two hours
    DOUBLE = "double"  # complete, but with two files that are both meant to be the same one


@dataclass(frozen=True)
class Waiting:
    """What waits in a source's drop folder.

    files: by the format's name of a file, the name there of the one to be read. zip_name: the zip that is read in their
    place. stamps: by the name there, those of all files that the format's names match, and of zips. missing: files that
    are not there. not_again: there, but not written again though they have to be. unfinished: the stamps of those that
    are being sent under another name. ready_at: once all are there, from when it would be taken. file_errors:
    FILE_ERRORS, what to say of what can be no delivery. notes: what lies there and is not read.
    """

    state: Arrival
    message: str
    files: Mapping[str, str]
    stamps: Mapping[str, Stamp]
    zip_name: str | None = None
    missing: tuple[str, ...] = ()
    not_again: tuple[str, ...] = ()
    unfinished: Mapping[str, Stamp] = field(default_factory=dict)
    ready_at: datetime | None = None
    file_errors: pl.DataFrame = field(default_factory=lambda: empty(FILE_ERRORS))
    notes: tuple[str, ...] = ()


def inspect_drop_folder(
    source: Source,
    drop_folder: DropFolder,
    *,
    form: Format,
    with_error: frozenset[str] | None,
    now: datetime,
    as_it_stands: bool = False,
    zone: tzinfo = UTC,
) -> Waiting:
    """See what waits for the source, and whether it may be taken.

    Rule: a delivery is taken when all its files are there, all (after a rejected delivery: at least those with errors)
    were written again since the last taking, and none has changed for `quiet_seconds`. If for two hours some were
    written again and some not, that is said as a file error and is no taking. Of two names that match one file the one
    written since the last taking counts; if both were, that is a file error too. A zip written since the last taking is
    a complete set, the newest of several counts, and it is a file error if other files were written too. While a file
    is being sent under another name, such as students.csv.part, nothing is taken; what has not changed for two hours is
    no longer being sent.

    form: its files, which names match as `contracts.formats.match_names` says. with_error: the files with
    errors of the delivery last taken where that was rejected, else None. as_it_stands: take a complete set with
    anything new in it at once. zone: of the times in the message.

    Raises:
        SourceUnreachable: the place cannot be looked into.
    """
    found = _folder_contents(drop_folder.entries(), form.file_names, source.stamps or {}, now)
    missing = () if found.zip_name else tuple(name for name in form.required_names if name not in found.files)
    again = form.file_names if with_error is None else tuple(name for name in form.file_names if name in with_error)
    not_again = tuple(name for name in again if name in found.files and name not in found.written)
    seen = Waiting(
        Arrival.NOTHING,
        "",
        {} if found.zip_name else found.files,
        found.stamps,
        found.zip_name,
        missing,
        not_again if found.written and not found.zip_name else (),
        found.unfinished,
        notes=(*found.notes, *found.names.notes),
    )
    if found.unfinished and not as_it_stands:
        return replace(seen, state=Arrival.ARRIVING, message=f"still arriving: {listed(list(found.unfinished))}")
    if not (found.written or found.zip_name):
        return replace(seen, message=_nothing(source, found, is_empty=not found.stamps))
    if missing or (seen.not_again and not as_it_stands):
        return _incomplete(seen, found, now, zone)
    changed_at = max(stamp.changed_at for stamp in found.stamps.values())
    ready_at = changed_at + timedelta(seconds=source.settings["quiet_seconds"])
    if not as_it_stands and now < ready_at:
        message = (
            f"files are still arriving; they will be picked up after {_time(ready_at, zone, up=True)}"
            " unless one changes"
        )
        return replace(seen, state=Arrival.ARRIVING, message=message, ready_at=ready_at)
    if found.double:
        errors = _whole_files(_twice(found))
        return replace(seen, state=Arrival.DOUBLE, message=_described(found), file_errors=errors)
    return replace(seen, state=Arrival.READY, message="a complete set of files is ready")


@dataclass(frozen=True)
class _FolderContents:
    """The content of a drop folder. names: by the format's files. written: by file, the names there written since the
    last taking, where there are any. zip_name: the newest zip, if it was. files, stamps, unfinished: as in `Waiting`.
    notes: which of two names is read.
    """

    names: Names
    files: Mapping[str, str]
    stamps: Mapping[str, Stamp]
    written: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...]
    unfinished: Mapping[str, Stamp]
    zip_name: str | None

    @property
    def double(self) -> dict[str, tuple[str, ...]]:
        """Those of the written that are there under several names, and what was written beside a zip."""
        if self.zip_name is not None:
            beside = [there for names in self.written.values() for there in names]
            return {self.zip_name: (self.zip_name, *beside)} if beside else {}
        return {name: names for name, names in self.written.items() if len(names) > 1}


def _incomplete(seen: Waiting, found: _FolderContents, now: datetime, zone: tzinfo) -> Waiting:
    """A set with files missing or not sent again: wait for them, and report file errors after two hours."""
    since = min(found.stamps[there].changed_at for names in found.written.values() for there in names)
    lacking = _lacking(seen.missing, seen.not_again)
    if now - since < OVERDUE_AFTER:
        return replace(seen, state=Arrival.INCOMPLETE, message=f"waiting for files: {lacking}")
    message = (
        f"files arrived at {_time(since, zone)}, but not all of them within two hours: {lacking}."
        " Send the complete set of files again"
    )
    errors = [
        *((FILE_MISSING, name, found.names.found) for name in seen.missing),
        *((FILE_MISSING, name, NOT_SENT_AGAIN) for name in seen.not_again),
        *_twice(found),
    ]
    return replace(seen, state=Arrival.OVERDUE, message=message, file_errors=_whole_files(errors))


def _described(found: _FolderContents) -> str:
    if found.zip_name is not None:
        return f"a zip and other files arrived: {listed(found.double[found.zip_name])}. Remove the wrong one"
    collisions = "; ".join(f"{listed(names)} would both be {name}" for name, names in found.double.items())
    return f"a file arrived twice: {collisions}. Remove the wrong one"


def _twice(found: _FolderContents) -> list[tuple[str, str, str | None]]:
    return [(FILE_DUPLICATE, name, f"found {listed(names)}") for name, names in found.double.items()]


def _folder_contents(
    entries: Mapping[str, Stamp | None], file_names: tuple[str, ...], noted: Mapping[str, list[int]], now: datetime
) -> _FolderContents:
    present = {name: stamp for name, stamp in entries.items() if stamp is not None}
    unfinished = _unfinished(present, file_names, now)
    present = {name: stamp for name, stamp in present.items() if name not in unfinished}
    zips = {name: stamp for name, stamp in present.items() if zipped.is_zip(name)}
    names = match_names(file_names, present)
    no_files = tuple(
        f"{name} (a folder or a link)" for name in sorted(name for name in entries if entries[name] is None)
    )
    stamps = {there: present[there] for matching in names.files.values() for there in matching}
    files, written, notes = {}, {}, []
    for name, matching in names.files.items():
        if not matching:
            continue
        new = tuple(there for there in matching if noted.get(there) != stamps[there].as_list())
        files[name] = new[0] if new else max(matching, key=lambda there: stamps[there].changed_at)
        if new:
            written[name] = new
        rest = [there for there in matching if there != files[name]]
        if rest and len(new) < 2:
            notes.append(f"used {files[name]}, and not {listed(rest)}, which is older")
    zip_name = _newest_zip({name: stamp for name, stamp in zips.items() if noted.get(name) != stamp.as_list()})
    others = (*(name for name in names.others if name not in zips or zip_name is None), *no_files)
    if zip_name is not None:
        older = [name for name in (*stamps, *sorted(zips)) if name != zip_name]
        notes = [f"used {zip_name}, and not {listed(older)}"] if older and not written else []
    return _FolderContents(
        replace(names, others=others), files, stamps | zips, written, tuple(notes), unfinished, zip_name
    )


def _newest_zip(zips: Mapping[str, Stamp]) -> str | None:
    return max(zips, key=lambda name: (zips[name].changed_at, zips[name].mtime_ns, name), default=None)


def _unfinished(present: Mapping[str, Stamp], file_names: tuple[str, ...], now: datetime) -> dict[str, Stamp]:
    """The files of the format, and zips, that are being sent under another name."""
    whole = {name.casefold() for name in file_names}

    def is_meant(key: str) -> bool:
        stems = [key.removesuffix(suffix) for suffix in UNFINISHED if key.endswith(suffix)]
        return any(stem in whole or zipped.is_zip(stem) for stem in stems)

    return {
        name: stamp
        for name, stamp in sorted(present.items())
        if is_meant(clean(name).casefold()) and now - stamp.changed_at < OVERDUE_AFTER
    }


def _nothing(source: Source, found: _FolderContents, *, is_empty: bool) -> str:
    if not is_empty:
        return "no new files since the last delivery"
    return "; ".join(
        filter(None, (f"the drop folder {source.settings['folder']} has none of the files", found.names.found))
    )


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
    return clock.local_time(shown, zone)


def read_folder(drop_folder: DropFolder, form: Format, *, only: str | None = None) -> dict[str, bytes]:
    """Whatever lies in a folder, by its name; of what is no file of the format, and not the newest zip, no bytes.

    only: read this file of the format, and no other; or the zip, where the folder has none of the files.

    Raises:
        SourceUnreachable: the folder or a file cannot be read.
    """
    names = form.file_names if only is None else (only,)
    found = _folder_contents(drop_folder.entries(), names, {}, clock.now())
    files = dict.fromkeys(found.names.others, b"")
    read = [there for matching in found.names.files.values() for there in matching]
    if found.zip_name is not None:
        files[found.zip_name] = b""
        read = read or [found.zip_name]
    for there in read:
        with drop_folder.open(there) as content:
            files[there] = content.read()
    return files
