"""A night in a process of its own that ends itself, as a kill would, at the step of the given number.

Run as `python -m tests.end_to_end.night_process DATABASE_URL LANDING STEP`; prints how many steps it passed.
"""

from __future__ import annotations

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

    with open_database(url, backups=None) as database:
        # Before every commit too: what was written in that transaction must be gone.
        event.listen(database.engine, "commit", lambda _: step("commit"))
        play(database, landing, step=step)
    sys.stdout.write(f"{passed}\n")


if __name__ == "__main__":
    main()
