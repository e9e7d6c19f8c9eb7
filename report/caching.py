"""Values kept for a moment, so that many readers of one page cost what one costs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")

LONGEST = 5  # times as long as values are kept, they serve while new ones are made in the background
MOST = 500  # keys, before those whose time is over are dropped

Background = Callable[[Callable[[], object]], object]


class Cached(Generic[Value]):
    """Values by key, each made by one thread at a time and kept for so many seconds.

    background: does something later, in another thread.
    """

    def __init__(self, seconds: float, background: Background) -> None:
        self._seconds = seconds
        self._background = background
        self._kept: dict[object, tuple[float, Value]] = {}
        self._locks: dict[object, threading.Lock] = {}
        self._guard = threading.Lock()
        self._cleared = 0

    def get(self, key: object, make: Callable[[], Value], later: Callable[[], Value] | None) -> Value:
        """The value kept for a key, else a new one, made by one thread for all that want it meanwhile.

        Nobody waits for a new value where the last one is not too old, and has not been cleared: `later` makes it in
        the background, for whoever asks next. Without it, everybody waits.
        """
        with self._guard:
            if len(self._locks) >= MOST:
                self._drop_old()
            lock = self._locks.setdefault(key, threading.Lock())
        last = self._kept.get(key)
        if later is not None and last is not None and (age := time.monotonic() - last[0]) < LONGEST * self._seconds:
            if age >= self._seconds and lock.acquire(blocking=False):
                self._background(lambda: self._release(lock, lambda: self._fresh(key, later)))
            return last[1]
        with lock:
            return self._fresh(key, make)

    def _release(self, lock: threading.Lock, do: Callable[[], object]) -> None:
        try:
            do()
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
