"""Where deliveries are kept: a folder, or a bucket on S3-compatible storage, both through fsspec."""

from __future__ import annotations

import errno
import logging
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
from fsspec.spec import AbstractFileSystem

from errors import SetupError, TransientError

TAKING, PREVIEW, READING = ".taking-", ".preview-", ".reading-"  # how private folders are named
_KEPT = re.compile(r"(\d{8}T\d{6}Z)-[0-9a-f]{8}")
_STAMP = "%Y%m%dT%H%M%SZ"
# Of a file to or from S3, this much is in memory, once for each of its parts under way.
_PART, _PARTS_AT_ONCE = 8 << 20, 4

# In detail they note what is sent: files, and tokens.
for _name in ("aiobotocore", "botocore", "fsspec", "s3fs"):
    logging.getLogger(_name).setLevel(logging.WARNING)


@dataclass(frozen=True)
class LandingArea:
    """Where deliveries are kept. place: a folder, or s3://BUCKET/PREFIX. endpoint: of storage that isn't Amazon's.

    A delivery's files are kept under a path of its own, relative to the place. scratch: the private folder on this
    machine in which files are written first; the place itself, where that is a folder. On S3 there is no renaming: what
    counts as a delivery there is what the database names, once all its files are kept. Credentials are where boto
    looks for them, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
    """

    place: str
    scratch: Path
    endpoint: str = ""

    @classmethod
    def of_folder(cls, folder: Path) -> LandingArea:
        """The landing area in a folder of this machine."""
        return cls(str(folder), folder)

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder of this machine."""
        return "://" not in self.place

    @contextmanager
    def folder(self, name: str, source_id: str = "") -> Iterator[Path]:
        """An empty, private folder on this machine, whose name begins so; gone at the end unless it was moved."""
        self.scratch.parent.mkdir(parents=True, exist_ok=True)
        parent = self.scratch
        for step in ("", *Path(source_id).parts):
            parent = parent / step
            parent.mkdir(mode=0o700, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=name, dir=parent))
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def keep(self, folder: Path, source_id: str, now: datetime) -> str:
        """Keep the files of a folder that `folder` made for the source; give their path.

        What is kept is whole and on disk. Where that fails, nothing is kept, or what is counts as left over.

        Raises:
            TransientError: the area cannot be written.
        """
        path = f"{source_id}/{now.astimezone(UTC):{_STAMP}}-{secrets.token_hex(4)}"
        with self.reached("written"):
            if self.is_folder:
                _to_disk(folder)
                folder.rename(self._path(path))
                _to_disk(folder.parent)
                return path
            try:
                for file in sorted(folder.iterdir()):
                    self._files.put_file(str(file), self._path(path, file.name), chunksize=_PART)
            except self._failures:
                with suppress(*self._failures):
                    self._remove(path)
                raise
        return path

    @contextmanager
    def file(self, path: str, name: str) -> Iterator[Path]:
        """A kept file, to read: itself, or a private copy that is gone at the end.

        Raises:
            FileNotFoundError: it isn't there.
            TransientError: the area cannot be read.
        """
        with self.reached("read"):
            if self.is_folder:
                yield Path(self._path(path, name))
                return
            with self.folder(READING) as copy:
                self._files.get_file(self._path(path, name), str(copy / name), chunksize=_PART)
                yield copy / name

    def names(self, path: str) -> set[str]:
        """The names of the files kept under a path.

        Raises:
            TransientError: the area cannot be read.
        """
        try:
            with self.reached("read"):
                return {name for name, entry in self._entries(path).items() if entry["type"] == "file"}
        except FileNotFoundError:
            return set()

    def remove(self, path: str) -> bool:
        """Remove what is kept under a path; false if nothing is there.

        Raises:
            TransientError: it cannot be removed.
        """
        with self.reached("written"):
            return self._remove(path)

    def sweep(self, source_id: str, paths: Collection[str], before: datetime | None = None) -> int:
        """Remove what killed writings left of a source, and give how many folders: whatever isn't under these paths.

        paths: those that deliveries name. before: only what is older.

        Raises:
            TransientError: something cannot be removed; everything else is.
        """
        kept: dict[str, datetime] = {}
        with self.reached("read"), suppress(FileNotFoundError):
            kept = {
                f"{source_id}/{name}": datetime.strptime(match[1], _STAMP).replace(tzinfo=UTC)
                for name, entry in self._entries(source_id).items()
                if (match := _KEPT.fullmatch(name)) and entry["type"] == "directory" and not entry.get("islink")
            }
        left = [path for path, at in kept.items() if path not in paths and (before is None or at < before)]
        refused: list[TransientError] = []
        for path in left:
            try:
                self.remove(path)
            except TransientError as error:
                refused.append(error)
        if refused:
            raise refused[0]
        self._abort_uploads(source_id, before)
        return len(left) + self._sweep(self.scratch / source_id, [TAKING], before)

    def sweep_copies(self, before: datetime) -> int:
        """Remove older folders, for reading and previews, that killed processes left on this machine; give how many.

        Raises:
            TransientError: one cannot be removed.
        """
        return self._sweep(self.scratch, [PREVIEW, READING], before)

    def try_out(self) -> None:
        """Write a small file, read it and remove it.

        Raises:
            TransientError: the area cannot be written and read.
            SetupError: what it takes to reach it isn't installed.
        """
        file, content = self._path(f".doctor-{secrets.token_hex(4)}"), secrets.token_bytes(16)
        with self.reached("written and read"):
            self._files.pipe_file(file, content)
            is_same = self._files.cat_file(file) == content
            self._files.rm_file(file)
            if not is_same:
                raise OSError(errno.EIO, "it gives other bytes than were written")

    def keeps_old_versions(self) -> bool:
        """Whether it is a bucket that keeps what is deleted, as far as the credentials let us see that."""
        with suppress(*self._failures):
            return not self.is_folder and bool(self._files.is_bucket_versioned(self._path().partition("/")[0]))
        return False

    @property
    def _files(self) -> AbstractFileSystem:
        # fsspec keeps instances: asking again costs nothing, and a forked process gets its own.
        if self.is_folder:
            return fsspec.filesystem("file")
        try:
            return fsspec.filesystem(
                "s3",
                endpoint_url=self.endpoint or None,
                use_listings_cache=False,
                max_concurrency=_PARTS_AT_ONCE,
                default_block_size=_PART,
            )
        except ImportError:
            pass
        raise SetupError(
            f"the landing area {self.place} takes s3fs, which is not installed: run `make clean install` in Rollcall's"
            " folder, or `pip install 'rollcall[s3]'`"
        )

    def _path(self, *parts: str) -> str:
        return "/".join((self.place.removeprefix("s3://"), *parts))

    def _entries(self, path: str) -> dict[str, dict[str, Any]]:
        """What is under a path, by name."""
        found = self._files.ls(self._path(path), detail=True)
        return {entry["name"].rpartition("/")[2]: entry for entry in found}

    def _remove(self, path: str) -> bool:
        try:
            self._files.rm(self._path(path), recursive=True)
        except FileNotFoundError:
            return False
        # S3 takes many names at once, and s3fs says nothing of those it then refuses.
        if self._files.exists(self._path(path)):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return True

    def _sweep(self, parent: Path, names: Sequence[str], before: datetime | None) -> int:
        """Remove the private folders that nothing was written into since then."""
        removed = 0
        with self.reached("written"):
            for folder in [folder for name in names for folder in parent.glob(f"{name}*")]:
                # Those in use come and go meanwhile.
                with suppress(FileNotFoundError):
                    if not folder.is_symlink() and (before is None or folder.stat().st_mtime < before.timestamp()):
                        shutil.rmtree(folder)
                        removed += 1
        return removed

    def _abort_uploads(self, source_id: str, before: datetime | None) -> None:
        """End the uploads of killed processes: their parts take space, though no listing has them."""
        if self.is_folder:
            return
        with self.reached("written"):
            bucket, prefix, _ = self._files.split_path(self._path(source_id))
            found = self._files.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=f"{prefix}/")
            for upload in found.get("Uploads", []):
                if before is None or upload["Initiated"] < before:
                    self._files.abort_mpu(bucket, upload["Key"], upload["UploadId"])

    @contextmanager
    def reached(self, verb: str) -> Iterator[None]:
        """Make ours of what goes wrong. A file that isn't there to be read is no outage, as long as the area is there.

        Raises:
            FileNotFoundError: a file isn't there.
            TransientError: the area cannot be … (verb).
        """
        try:
            yield
        except self._failures as error:
            if isinstance(error, FileNotFoundError) and verb == "read" and self._is_there():
                raise
            reason = getattr(error, "strerror", None) or type(error).__name__
            remedy = (
                "check that its disk is mounted and has space, and that Rollcall's user may read and write there"
                if self.is_folder
                else "check that the storage is up, that ROLLCALL_LANDING and ROLLCALL_LANDING_ENDPOINT are right, what"
                f" the credentials allow, and that there is space in {self.scratch}"
            )
            raise TransientError(f"the landing area {self.place} cannot be {verb} ({reason}): {remedy}") from None

    def _is_there(self) -> bool:
        """Whether the folder or bucket is there."""
        place = self._path()
        return bool(self._files.exists(place if self.is_folder else place.partition("/")[0]))

    @property
    def _failures(self) -> tuple[type[Exception], ...]:
        """What is raised where the storage doesn't do what was asked."""
        if self.is_folder:
            return (OSError,)
        try:
            from aiohttp import ClientError
            from botocore.exceptions import BotoCoreError
        except ImportError:  # they come with s3fs
            return (OSError,)
        return (OSError, BotoCoreError, ClientError)


def _to_disk(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
