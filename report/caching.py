"""Values kept for a moment, so that many readers of one page cost what one costs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Cached(Generic[Value]):
    """Values by key, each made by one thread at a time and kept for so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._kept: dict[object, tuple[float, Value]] = {}
        self._locks: dict[object, threading.Lock] = {}
        self._guard = threading.Lock()

    def get(self, key: object, make: Callable[[], Value]) -> Value:
        """The value kept for a key, else a new one. Threads that want the same wait for the one that makes it."""
        with self._guard:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            kept = self._kept.get(key)
            if kept is not None and time.monotonic() - kept[0] < self._seconds:
                return kept[1]
            made = make()
            self._kept[key] = (time.monotonic(), made)
            return made

    def clear(self) -> None:
        """Forget everything that was kept."""
        self._kept.clear()
