"""Long looks at something outside: each under a key, once at a time, and its result kept for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class Work:
    """Tasks that change nothing. keep: seconds that a result is kept. at_once: how many run at the same time."""

    def __init__(self, keep: float, at_once: int) -> None:
        self._keep = keep
        self._threads = ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="look")
        self._tasks: dict[object, Future[Any]] = {}
        self._done_at: dict[object, float] = {}
        self._lock = threading.RLock()

    def get(self, key: object, do: Callable[[], Any], *, wait: float) -> Any:
        """The result of a task, which is begun if there is none; raises what the task raised.

        Raises:
            TimeoutError: it is not done after `wait` seconds, and goes on.
        """
        with self._lock:
            self._drop_old()
            task = self._tasks.get(key)
            if task is None:
                task = self._tasks[key] = self._threads.submit(do)
                task.add_done_callback(lambda done: self._finished(key, done))
        return task.result(timeout=wait)

    def forget(self, key: object) -> None:
        """Begin anew at the next look; what is under way counts for nothing."""
        with self._lock:
            self._tasks.pop(key, None)
            self._done_at.pop(key, None)

    def _finished(self, key: object, task: Future[Any]) -> None:
        with self._lock:
            if self._tasks.get(key) is task:
                self._done_at[key] = time.monotonic()

    def _drop_old(self) -> None:
        before = time.monotonic() - self._keep
        for key in [key for key, at in self._done_at.items() if at < before]:
            self._tasks.pop(key, None)
            self._done_at.pop(key, None)

    def close(self) -> None:
        """Begin nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)
