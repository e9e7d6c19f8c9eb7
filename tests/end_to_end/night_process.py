"""A night in a process of its own that ends itself, as a kill would, at the step of the given number.

The processes are forked off one that has everything imported already, as a walk starts dozens of them.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from unittest import mock

from sqlalchemy import event

from models.database import open_database
from services.intake import clever_api
from services.intake.clever_api import Connection
from tests.end_to_end.nights import play

KILLED = 9
FORKING = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload([__name__])


@dataclass(frozen=True)
class Ended:
    """How the process ended, and the steps it had passed; nothing of them where it was killed."""

    returncode: int | None
    steps: tuple[str, ...]


def night(url: str, landing: Path, kill_at: int, how: Connection | str | None) -> Ended:
    """One run, killed at the step of that number; 0: to its end.

    how: a connection plays a night of lakeside from there, whose steps are pages and commits; the address of Prefect's
    API runs the flow of unified against that server; None plays a night of unified.
    """
    receiving, sending = FORKING.Pipe(duplex=False)
    process = FORKING.Process(target=_night, args=(url, landing, kill_at, how, sending))
    process.start()
    sending.close()
    try:
        steps = receiving.recv()
    except EOFError:
        steps = ()
    process.join()
    ended = Ended(process.exitcode, steps)
    process.close()
    receiving.close()
    return ended


def _night(url: str, landing: Path, kill_at: int, how: Connection | str | None, passed: Pipe) -> None:
    steps: list[str] = []

    def step(name: str) -> None:
        steps.append(name)
        if len(steps) == kill_at:
            os._exit(KILLED)

    # Before every commit too: what was written in that transaction must be gone.
    if isinstance(how, str):
        os.environ |= {
            "ROLLCALL_HOME": str(landing.parent),
            "ROLLCALL_DATABASE_URL": url,
            "PREFECT_API_URL": how,
            "PREFECT_HOME": str(landing.parent / "prefect"),
        }
        from flows.sync_district import sync_district
        from tasks.resources import database as opened

        event.listen(opened().engine, "commit", lambda _: step("commit"))
        asyncio.run(sync_district("unified", now=True))
    elif how is not None:
        paged = partial(clever_api.fetch, on_page=lambda kind, count: step(f"page of {kind}"))
        with open_database(url, backups=None) as database, mock.patch.object(clever_api, "fetch", paged):
            event.listen(database.engine, "commit", lambda _: step("commit"))
            play(database, landing, "lakeside", nightly=True, connection=how)
    else:
        with open_database(url, backups=None) as database:
            event.listen(database.engine, "commit", lambda _: step("commit"))
            play(database, landing, step=step)
    passed.send(tuple(steps))
