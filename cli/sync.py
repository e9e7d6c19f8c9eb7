"""Commands that sync, pause and resume."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer
import typer.core
from rich.markup import escape

from cli.app import app
from cli.console import local_zone, moment, opened, out, send_mail, zone_of_district
from cli.options import OK, RESUME_EXIT_CODES, SYNC_EXIT_CODES, DistrictId, DistrictOrAll, Schools, Until
from cli.rendering import show_report
from cli.running import run_district
from services import clock
from services.operations import maintenance
from services.status import pauses


@app.command(rich_help_panel="Sync", epilog=SYNC_EXIT_CODES)
def sync(
    district: DistrictId,
    school: Schools = None,
    now: Annotated[
        bool, typer.Option("--now", help="take complete files now, without waiting for quiet_seconds")
    ] = False,
    delivery: Annotated[
        int | None, typer.Option("--delivery", metavar="ID", help="apply an earlier delivery again")
    ] = None,
) -> None:
    """Sync a district, or some of its schools. Never waits for files.

    If the district is in Clever, its records are fetched again.
    """
    code = run_district(district, school, now=now, delivery=delivery)
    with opened() as database:
        show_report(database, district)
    raise typer.Exit(code)


@app.command(rich_help_panel="Sync")
def pause(
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="why; administrators read it")],
    district: DistrictOrAll = None,
    until: Until = None,
) -> None:
    """Pause Clever syncs for maintenance. The school being synced finishes first. CSV syncs continue."""
    by = getpass.getuser()
    with opened() as database:
        with database.transaction() as session:
            zone = zone_of_district(session, district) if district is not None else local_zone()
            end = moment(until, zone) if until is not None else None
            raised = maintenance.pause(session, district, reason=reason, until=end, by=by, now=clock.now())
        out.print(f"{escape(district or 'all districts')}: {escape(pauses.describe(raised, zone))}")
        send_mail(database)


@app.command(rich_help_panel="Sync", epilog=RESUME_EXIT_CODES)
def resume(
    district: DistrictOrAll = None,
) -> None:
    """Resume Clever syncs after a pause, and run the syncs that were skipped."""
    with opened() as database:
        with database.transaction() as session:
            resumed = maintenance.resume(session, district, by=getpass.getuser(), now=clock.now())
        out.print(escape(maintenance.describe(resumed, district)))
        send_mail(database)
    code = OK
    for missed in resumed.missed:
        out.print(f"{escape(missed)} missed a sync; running it now")
        code = max(code, run_district(missed))
    raise typer.Exit(code)
