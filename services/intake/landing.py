"""Copies of deliveries in the landing area, each whole or not there."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from contracts.formats import Format, zipped
from errors import TransientError
from services.intake.arrival import Waiting
from services.intake.drop_folder import DropFolder, Stamp
from services.intake.landing_area import TAKING, LandingArea

_CHUNK = 1 << 20


@dataclass(frozen=True)
class LandedFiles:
    """A complete set of files in the landing area, not recorded yet. path: in the area."""

    path: str
    digest: str
    files: tuple[dict[str, Any], ...]  # {"name", "size", "sha256"}, and "zip", the name of the one they came in
    stamps: Mapping[str, Stamp] = field(default_factory=dict)


def land(
    write: Callable[[Path], bool], *, landing: LandingArea, source_id: str, kept: Collection[str], now: datetime
) -> LandedFiles | None:
    """Have a delivery's files written into the landing area; None, and nothing kept, where `write` says they are void.

    `write` gets an empty, private folder on this machine. kept: the paths of the source's deliveries. The caller holds
    the district's lease: what earlier, killed writings left behind is removed first.

    Raises:
        TransientError: the landing area cannot be written; and whatever `write` raises that is no OSError.
        SetupError: what it takes to reach the landing area isn't installed.
    """
    landing.sweep(source_id, kept)
    with landing.reached("written"), landing.folder(TAKING, source_id) as copy:
        if not write(copy):
            return None
        files = tuple(_entry(file) for file in sorted(copy.iterdir()))
        path = landing.keep(copy, source_id, now)
    return LandedFiles(path, digest(files), files)


def copy_files(drop_folder: DropFolder, waiting: Waiting, folder: Path, form: Format) -> bool:
    """Copy the waiting files' raw bytes into a folder, under the format's names; false if they changed in the meantime.

    A zip is unpacked there. One that cannot be is kept as it is, and reading it says why.

    Raises:
        SourceUnreachable: a file cannot be read.
        OSError: the folder cannot be written.
    """
    names = {waiting.zip_name: waiting.zip_name} if waiting.zip_name is not None else waiting.files
    sizes = {there: _copy(drop_folder, there, folder / name) for name, there in names.items()}
    same_size = all(size == waiting.stamps[there].size for there, size in sizes.items())
    if not (same_size and _is_as_it_was(drop_folder, waiting)):
        return False
    if waiting.zip_name is not None:
        _unpack(folder, waiting.zip_name, form)
    return True


def _unpack(folder: Path, name: str, form: Format) -> None:
    with ExitStack() as opened, (folder / name).open("rb") as packed:
        written: list[BinaryIO] = []

        def target(file: str) -> BinaryIO:
            written.append(opened.enter_context(_new_file(folder / file)))
            return written[-1]

        faults = zipped.unpack(packed, name, form, target)
        for file in written:
            file.flush()
            os.fsync(file.fileno())
    for path in list(folder.iterdir()):
        if (path.name == name) is not bool(faults):
            path.unlink()


def _is_as_it_was(drop_folder: DropFolder, waiting: Waiting) -> bool:
    entries = drop_folder.entries()
    return all(entries.get(there) == stamp for there, stamp in waiting.stamps.items())


def _copy(drop_folder: DropFolder, name: str, file: Path) -> int:
    with _new_file(file) as target, drop_folder.open(name) as origin:
        shutil.copyfileobj(origin, target, _CHUNK)
        target.flush()
        os.fsync(target.fileno())
        return target.tell()


def _new_file(file: Path) -> BinaryIO:
    return os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _entry(file: Path) -> dict[str, Any]:
    with file.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    return {"name": file.name, "size": file.stat().st_size, "sha256": sha256}


def digest(files: Collection[Mapping[str, Any]]) -> str:
    """Return the digest of a delivery: of its files' names and their own digests."""
    lines = sorted(f"{entry['name']} {entry['sha256']}\n" for entry in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def discard(landed: LandedFiles, *, landing: LandingArea) -> None:
    """Remove a landed copy that no delivery names, a duplicate's; where that fails, it is left over."""
    with suppress(TransientError):
        landing.remove(landed.path)
