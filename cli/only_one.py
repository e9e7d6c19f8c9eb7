"""The file by which an installation's commands find the `rollcall up` that runs: where everything is, and its lock."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from errors import NotPossible


def _path(home: Path) -> Path:
    return home / "up.json"


@contextmanager
def only_one(home: Path) -> Iterator[IO[str]]:
    """The file, empty at first and locked as long as the `with` lasts.

    Raises:
        NotPossible: another `rollcall up` runs for this installation.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = _path(home)
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            where = ", ".join(f"{name} at {address}" for name, address in json.loads(lock.read() or "{}").items())
            raise NotPossible(
                f"`rollcall up` already runs for {home}" + (f": {where}" if where else "; it is still starting")
            ) from None
        lock.truncate(0)
        try:
            yield lock
        finally:
            path.unlink(missing_ok=True)


def say_where(lock: IO[str], addresses: dict[str, str]) -> None:
    """Let other commands know that everything runs, and where."""
    lock.write(json.dumps(addresses))
    lock.flush()


def running(home: Path) -> dict[str, str]:
    """The addresses of what `rollcall up` runs for this installation: report and prefect; empty if nothing runs yet."""
    try:
        with _path(home).open(encoding="utf-8") as lock:
            # What was not said yet is not asked for: a lock taken here would refuse the one that is starting.
            if not (said := lock.read()):
                return {}
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                addresses: dict[str, str] = json.loads(said)
                return addresses
            return {}  # left by one that was killed
    except FileNotFoundError:
        return {}
