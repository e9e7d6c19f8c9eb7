"""A zip of a format's files: which of its entries they are, and unpacking them within limits.

Rule: nothing that a zip says of itself is trusted. What comes out is counted as it is unpacked, and a zip that breaks a
limit, leads outside itself, is damaged or has a password is a file error.
"""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO, Final

from contracts.formats import Format
from contracts.text import clean, listed

MOST_ENTRIES: Final = 64
MOST_BYTES: Final = 1_000_000_000
MOST_TIMES: Final = 100  # so many times its own size

_CHUNK: Final = 1 << 18
_ENTRY: Final = b"PK\x01\x02"  # what each entry of a zip's list begins with
_DIRECTORIES: Final = 1000  # with those that are left out, far more than any real zip of so few files has
_ENCRYPTED: Final = 0x41
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What zipfile raises for bytes that are no zip. OSError: an entry that is said to begin where no file does.
_DAMAGED: Final = (zipfile.BadZipFile, zlib.error, EOFError, struct.error, ValueError, OverflowError, OSError)


@dataclass(frozen=True)
class Fault:
    """A file error of a zip: the code, the file it is about, and its detail."""

    code: str
    file: str
    detail: str | None = None


def is_zip(name: str) -> bool:
    """Whether a file's name says that it is a zip. Hidden ones are not, such as those that macOS puts beside files."""
    key = clean(name).casefold()
    return key.endswith(".zip") and not key.startswith(".")


def expand(
    form: Format, files: Mapping[str, bytes], *, most: int = MOST_BYTES
) -> tuple[Mapping[str, bytes], list[Fault]]:
    """The files with a zip's in its place, where there is one and no file of the format beside it; and its faults."""
    names = {name.casefold() for name in form.file_names}
    zips = sorted(name for name in files if is_zip(name))
    if not zips or any(clean(name).casefold() in names for name in files):
        return files, []
    if len(zips) > 1:
        return files, [Fault("file_duplicate", zips[0], f"found {listed(zips)}")]
    found: dict[str, io.BytesIO] = {}

    def target(name: str) -> BinaryIO:
        found[name] = io.BytesIO()
        return found[name]

    faults = unpack(io.BytesIO(files[zips[0]]), zips[0], form, target, most=most)
    if faults:
        return files, faults
    others = {name: content for name, content in files.items() if name != zips[0]}
    return {**others, **{name: content.getvalue() for name, content in found.items()}}, []


def unpack(
    packed: BinaryIO, name: str, form: Format, target: Callable[[str], BinaryIO], *, most: int = MOST_BYTES
) -> list[Fault]:
    """Unpack a format's files under the format's names; gives what is wrong, and then what was written is void.

    name: the zip's own. target: opens what a file is written into; the caller closes it.
    """
    size = packed.seek(0, io.SEEK_END)
    too_many = Fault("zip_too_large", name, f"more than {MOST_ENTRIES} entries")
    if _count_entries(packed) > _DIRECTORIES:
        return [too_many]
    try:
        archive = zipfile.ZipFile(packed)
        entries = [entry for entry in map(_Entry, archive.infolist()) if not entry.is_extra]
    except (*_DAMAGED, NotImplementedError):
        return [Fault("zip_damaged", name)]
    if len(entries) > MOST_ENTRIES:
        return [too_many]
    chosen, faults = _choose(entries, name, form)
    if faults:
        return faults
    left = min(most, MOST_TIMES * size)
    for file, entry in chosen.items():
        out = target(file)
        for chunk in _unpacked(archive, entry):
            if chunk is None:
                return [Fault("zip_damaged", name, entry.path)]
            left -= len(chunk)
            if left < 0:
                limit = f"{most // 1_000_000:,} MB" if most < MOST_TIMES * size else f"{MOST_TIMES} times its own size"
                return [Fault("zip_too_large", name, f"more than {limit} when unpacked")]
            out.write(chunk)
    return []


class _Entry:
    """An entry of a zip, by its path as it is unpacked."""

    def __init__(self, info: zipfile.ZipInfo) -> None:
        self.info = info
        # Some programs of Windows write their own separator.
        self.path = info.filename.replace("\\", "/")
        self.parts = PurePosixPath(self.path).parts

    @property
    def is_extra(self) -> bool:
        """Whether it is a folder, or what macOS adds."""
        is_of_macos = "__MACOSX" in self.parts or (bool(self.parts) and self.parts[-1] in (".DS_Store", "Icon\r"))
        return self.path.endswith("/") or is_of_macos

    @property
    def wrong_path(self) -> str | None:
        """Why it cannot be where it says it is."""
        is_link = stat.S_ISLNK(self.info.external_attr >> 16)
        if is_link or not self.parts or self.path.startswith("/") or ".." in self.parts or ":" in self.parts[0]:
            return "leads outside the zip file"
        return "is more than one folder deep" if len(self.parts) > 2 else None


def _choose(entries: list[_Entry], name: str, form: Format) -> tuple[dict[str, _Entry], list[Fault]]:
    """The entry of each of the format's files, and what keeps the zip from being unpacked."""
    if any(entry.info.flag_bits & _ENCRYPTED for entry in entries):
        return {}, [Fault("zip_encrypted", name)]
    wrong = [f"{entry.path} {entry.wrong_path}" for entry in entries if entry.wrong_path]
    if wrong:
        return {}, [Fault("zip_path_invalid", name, wrong[0])]
    by_name: dict[str, list[_Entry]] = {}
    for entry in entries:
        by_name.setdefault(clean(entry.parts[-1]).casefold(), []).append(entry)
    chosen, faults = {}, []
    known = {file.casefold() for file in form.file_names}
    others = [entry.path for key, several in by_name.items() if key not in known for entry in several]
    found = f"found {listed(sorted(others))} in {name}" if others else f"not in {name}"
    for file in form.file_names:
        match by_name.get(file.casefold(), []):
            case [entry]:
                chosen[file] = entry
            case [] if file in form.required_names:
                faults.append(Fault("file_missing", file, found))
            case [_, *_] as several:
                paths = listed([entry.path for entry in several])
                faults.append(Fault("file_duplicate", file, f"found {paths} in {name}"))
    return chosen, faults


def _unpacked(archive: zipfile.ZipFile, entry: _Entry) -> Iterator[bytes | None]:
    """What an entry holds, bit by bit; None where it cannot be unpacked."""
    if entry.info.compress_type not in _METHODS:
        yield None
        return
    try:
        with archive.open(entry.info) as content:
            while chunk := content.read(_CHUNK):
                yield chunk
    except (*_DAMAGED, RuntimeError):
        yield None


def _count_entries(packed: BinaryIO) -> int:
    """How many entries its list may have, without making any of them: a zip may claim millions."""
    packed.seek(0)
    return sum(chunk.count(_ENTRY) for chunk in iter(lambda: packed.read(_CHUNK), b""))
