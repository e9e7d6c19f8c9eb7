"""Values kept for a moment, so that many readers of one page cost what one costs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")

LONGEST = 5  # times as long as values are kept, while one is made anew
MOST = 500  # keys, before those whose time is over are dropped


class Cached(Generic[Value]):
    """Values by key, each made by one thread at a time and kept for so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._kept: dict[object, tuple[float, Value]] = {}
        self._locks: dict[object, threading.Lock] = {}
        self._guard = threading.Lock()
        self._cleared = 0

    def get(self, key: object, make: Callable[[], Value]) -> Value:
        """The value kept for a key, else a new one, made by one thread for all that want it meanwhile.

        The first value, and the first after a `clear`, is waited for; later ones are not, for a while.
        """
        with self._guard:
            if len(self._locks) >= MOST:
                self._drop_old()
            lock = self._locks.setdefault(key, threading.Lock())
        if not lock.acquire(blocking=False):
            # Somebody makes it anew: who can do with the last one for that long does not wait.
            last = self._kept.get(key)
            if last is not None and time.monotonic() - last[0] < LONGEST * self._seconds:
                return last[1]
            lock.acquire()
        try:
            return self._fresh(key, make)
        finally:
            lock.release()

    def _fresh(self, key: object, make: Callable[[], Value]) -> Value:
        kept = self._kept.get(key)
        if kept is not None and time.monotonic() - kept[0] < self._seconds:
            return kept[1]
        cleared = self._cleared
        made = make()
        with self._guard:
            # What was read before everything was forgotten may be of before the change.
            if cleared == self._cleared:
                self._kept[key] = (time.monotonic(), made)
        return made

    def clear(self) -> None:
        """Forget everything that was kept."""
        with self._guard:
            self._cleared += 1
            self._kept.clear()

    def _drop_old(self) -> None:
        """Make room: keys may hold what somebody searched for, and there is no end of those."""
        oldest = time.monotonic() - self._seconds
        self._kept = {key: kept for key, kept in self._kept.items() if kept[0] > oldest}
        self._locks = {key: lock for key, lock in self._locks.items() if key in self._kept or lock.locked()}
