"""One process that works through several districts: ``python -m tests.journeys.writing HOW WHAT [ID]...``.

HOW: ``prefect`` runs the flow of one district after the other, as the command line does; ``services`` the same steps
without Prefect. WHAT: ``sync`` of the districts named, ``accept`` the holds of the districts named, ``resume`` after a
pause.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from cli.console import opened
from cli.options import OK
from cli.running import run_district
from errors import SetupError
from services import clock
from services.holds import decisions
from services.intake.clever_api import Connection
from services.operations import maintenance
from services.status import report
from settings import get_settings
from tests.end_to_end.nights import play


def sync_under_prefect(districts: Iterable[str]) -> None:
    """Sync one district after the other."""
    for district in districts:
        if run_district(district, now=True) != OK:
            raise SystemExit(f"{district} is not connected")


def sync(districts: Iterable[str]) -> None:
    """Play a night of each, and look at its report, for which the open database is opened and closed once more."""
    settings = get_settings()
    with opened() as database:
        for district in districts:
            play(database, settings.landing_area, district, connection=_connection())
            with opened() as again, again.reading() as session:
                report.district_report(session, district, now=clock.now())


def accept(districts: Iterable[str]) -> None:
    """Accept what all the districts' holds show, and play a night of each."""
    with opened() as database, database.transaction() as session:
        for district in districts:
            for hold in decisions.choose(session, decisions.ACCEPT, district_id=district):
                decisions.decide(session, hold.id, decisions.ACCEPT, by="ops", now=clock.now())
    sync(districts)


def resume() -> None:
    """End the pause, and play a night of each district that missed one."""
    with opened() as database, database.transaction() as session:
        resumed = maintenance.resume(session, None, by="ops", now=clock.now())
    sync(resumed.missed)


def _connection() -> Connection | None:
    try:
        found: Connection | None = get_settings().connection("clever")
        return found
    except SetupError:
        return None


if __name__ == "__main__":
    how, what, *named = sys.argv[1:]
    if how == "prefect":
        sync_under_prefect(named)
    elif what == "resume":
        resume()
    else:
        {"sync": sync, "accept": accept}[what](named)
