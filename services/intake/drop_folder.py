"""The folder that a district delivers into."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from errors import SourceUnreachable


@dataclass(frozen=True)
class Stamp:
    """What distinguishes a file that was written again, and when it last changed."""

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


class DropFolder(Protocol):
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
        """Whatever lies there; see `DropFolder`."""
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
        """Open a file for reading; see `DropFolder`."""
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
