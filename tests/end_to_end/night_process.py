"""A night in a process of its own that ends itself, as a kill would, at the step of the given number.

Run as `python -m tests.end_to_end.night_process DATABASE_URL LANDING STEP [prefect | clever URL ID SECRET]`; prints the
steps it passed and how many they were. With `prefect` it is the flow that is run, against the server that
PREFECT_API_URL names. With `clever` it is a night of lakeside from the stand-in there; its steps are pages and commits.
"""

from __future__ import annotations

import asyncio
import os
import sys
from functools import partial
from pathlib import Path
from unittest import mock

from sqlalchemy import event

from models.database import open_database
from services import clever
from services.clever import Connection
from tests.end_to_end.nights import play

KILLED = 9
PAGE_SIZE = 10


def main() -> None:
    url, landing, last = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    passed: list[str] = []

    def step(name: str) -> None:
        passed.append(name)
        if len(passed) == last:
            os._exit(KILLED)

    # Before every commit too: what was written in that transaction must be gone.
    if sys.argv[4:] == ["prefect"]:
        os.environ |= {"ROLLCALL_HOME": str(landing.parent), "ROLLCALL_DATABASE_URL": url}
        from flows.sync_district import sync_district
        from tasks.opening import database as opened

        event.listen(opened().engine, "commit", lambda _: step("commit"))
        asyncio.run(sync_district("unified", now=True))
    elif sys.argv[4:5] == ["clever"]:
        api, client_id, client_secret = sys.argv[5:]
        connection = Connection(client_id, client_secret, api, "v3.1", api, PAGE_SIZE)
        paged = partial(clever.fetch, on_page=lambda kind, count: step(f"page of {kind}"))
        with open_database(url, backups=None) as database, mock.patch.object(clever, "fetch", paged):
            event.listen(database.engine, "commit", lambda _: step("commit"))
            play(database, landing, "lakeside", nightly=True, connection=connection)
    else:
        with open_database(url, backups=None) as database:
            event.listen(database.engine, "commit", lambda _: step("commit"))
            play(database, landing, step=step)
    sys.stdout.write("\n".join([*passed, f"{len(passed)}\n"]))


if __name__ == "__main__":
    main()
