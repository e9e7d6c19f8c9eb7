"""A night in a process of its own that ends itself, as a kill would, at the step of the given number.

Run as `python -m tests.end_to_end.night_process DATABASE_URL LANDING STEP [prefect]`; prints how many steps it passed.
With `prefect` it is the flow that is run, against the server that PREFECT_API_URL names.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from sqlalchemy import event

from models.database import open_database
from tests.end_to_end.nights import play

KILLED = 9


def main() -> None:
    url, landing, last = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    passed = 0

    def step(_: str) -> None:
        nonlocal passed
        passed += 1
        if passed == last:
            os._exit(KILLED)

    # Before every commit too: what was written in that transaction must be gone.
    if sys.argv[4:] == ["prefect"]:
        os.environ |= {"ROLLCALL_HOME": str(landing.parent), "ROLLCALL_DATABASE_URL": url}
        from flows.sync_district import sync_district
        from tasks.opening import database as opened

        event.listen(opened().engine, "commit", lambda _: step("commit"))
        asyncio.run(sync_district("unified", now=True))
    else:
        with open_database(url, backups=None) as database:
            event.listen(database.engine, "commit", lambda _: step("commit"))
            play(database, landing, step=step)
    sys.stdout.write(f"{passed}\n")


if __name__ == "__main__":
    main()
