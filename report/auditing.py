"""Writing down who looked at people: one transaction for all whose views wait to be written at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from sqlmodel import Session

from models.database import Database

Write = Callable[[Session], None]


class Views:
    """The audit entries of views.

    While a night holds SQLite's write lock, readers wait together: each in a transaction of its own would take a
    connection of the pool, and soon nobody could read.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[tuple[Write, Future[None]]] = []
        self._guard = threading.Lock()
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="audit")

    def write(self, write: Write) -> None:
        """Have an entry written, and return once it is committed.

        Raises:
            DatabaseUnavailable, DataError: it could not be written, nor any other that waited with it.
        """
        written: Future[None] = Future()
        with self._guard:
            self._waiting.append((write, written))
        self._writer.submit(self._write_all)
        written.result()

    def _write_all(self) -> None:
        with self._guard:
            waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        try:
            with self._database.transaction() as session:
                for write, _ in waiting:
                    write(session)
        except Exception as error:  # noqa: BLE001
            for _, written in waiting:
                written.set_exception(error)
            return
        for _, written in waiting:
            written.set_result(None)

    def close(self) -> None:
        """Write what still waits."""
        self._writer.shutdown(wait=True)
