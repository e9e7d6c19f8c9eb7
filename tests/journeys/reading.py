"""A process that opens the database, reads and closes it, again and again: ``python -m tests.journeys.reading``.

It ends once the file ``written`` is in the home and it had a thousand turns, and prints what it met.
"""

from __future__ import annotations

import json
import sys

from cli.console import opened
from services import clock
from services.status import sync_status
from settings import get_settings

TURNS = 1_000


def read() -> dict[str, object]:
    """Give the number of turns, the errors met, and whether anything that had been committed was gone later."""
    written = get_settings().home / "written"
    turns, errors, most, lost = 0, list[str](), 0, 0
    while turns < TURNS or not written.exists():
        turns += 1
        try:
            with opened() as database, database.reading() as session:
                sync_status.statuses(session, now=clock.now())
                found = session.connection().exec_driver_sql("SELECT count(*) FROM link").scalar_one()
        except Exception as error:  # noqa: BLE001  reported to the test
            errors.append(repr(error))
            continue
        lost += found < most
        most = max(most, found)
    return {"turns": turns >= TURNS, "errors": errors[:5], "lost": lost}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(read()))
