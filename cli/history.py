"""Commands that show statuses, issues, deliveries and runs."""

from __future__ import annotations

from typing import Annotated

import typer
import typer.core
from rich.markup import escape
from rich.table import Table

from cli.app import app
from cli.console import local_time, opened, out, print_json, write_csv, zone_of_district
from cli.options import AsJson, CsvFile, DistrictId, OneDistrict
from cli.rendering import decided, problems_json, reports, show_file_errors, show_issues, show_report
from contracts.text import clean
from models.outcomes import RunOutcome
from services import districts
from services.holds import store
from services.intake.deliveries import deliveries_of
from services.status import issues
from services.sync import leases


@app.command(name="status", rich_help_panel="Look at syncs")
def status_command(
    district: OneDistrict = None,
    as_json: AsJson = False,
) -> None:
    """Show the SIS sync report: all schools, those needing action first."""
    with opened() as database:
        if not as_json:
            show_report(database, district)
            return
        with database.reading() as session:
            found = reports(session, district)
    print_json(
        [
            {
                "district": report.district_id,
                "schools": [
                    {
                        "school_id": row.key,
                        "name": row.name,
                        "on_plan": row.on_plan,
                        "status": row.status,
                        "teachers": row.teachers,
                        "students": row.students,
                        "errors": row.errors,
                        "alerts": row.alerts,
                        "hold": row.hold.id if row.hold is not None else None,
                    }
                    for row in report.schools
                ],
                "without_school": {"errors": report.errors, "alerts": report.alerts},
                "file_errors": report.file_errors,
            }
            for report in found
        ]
    )


@app.command(name="issues", rich_help_panel="Look at syncs")
def issues_command(
    district: DistrictId,
    school: Annotated[str | None, typer.Option("--school", metavar="ID", parser=clean, help="only this school")] = None,
    as_json: AsJson = False,
    csv_file: CsvFile = None,
) -> None:
    """Show the errors and alerts of the data as last processed, and the file errors of a rejected delivery."""
    with opened() as database, database.reading() as session:
        zone_of_district(session, district)
        if school is not None:
            districts.find_school(session, district, school)
        found = issues.stored_issues(session, district, f"{district}/{school}" if school is not None else None)
        file_errors = issues.stored_file_errors(session, district)
    if as_json:
        print_json(problems_json(file_errors, found))
    elif csv_file is not None:
        # A rejected delivery's bad rows are what has to be fixed first, and its issues are those of an older one.
        rejected = not file_errors.is_empty()
        write_csv(csv_file, issues.file_errors_csv(file_errors) if rejected else issues.issues_csv(found))
    else:
        show_file_errors(file_errors)
        if not file_errors.is_empty():
            out.print("\nThe errors and alerts below are from the last accepted delivery.")
        show_issues(found)


@app.command(rich_help_panel="Look at syncs")
def deliveries(district: DistrictId) -> None:
    """List deliveries, newest first. A clean one can be applied again while its files are kept.

    Each night finishes the current one for the schools that are not done with it.
    """
    table = Table("delivery", "source", "received", box=None, pad_edge=False)
    table.add_column("outcome", no_wrap=True)
    table.add_column("sent again")
    table.add_column("bytes")
    with opened() as database, database.reading() as session:
        zone = zone_of_district(session, district)
        in_force = {source.current_delivery_id for source in districts.sources_of(session, district)}
        for delivery in deliveries_of(session, district):
            size = sum(file["size"] for file in delivery.files or [])
            again = (
                f"{delivery.duplicates}, last {local_time(delivery.last_received_at, zone)}"
                if delivery.duplicates
                else ""
            )
            table.add_row(
                str(delivery.id),
                delivery.source_id,
                local_time(delivery.received_at, zone),
                f"{delivery.outcome}, current" if delivery.id in in_force else delivery.outcome,
                again,
                f"{size:,}" if delivery.path else "files removed",
            )
    out.print(table)


@app.command(name="runs", rich_help_panel="Look at syncs")
def runs_command(district: DistrictId) -> None:
    """Show the district's runs, newest first, and what was decided about its holds."""
    table = Table("run", "source", "started", "took", "delivery", "outcome", box=None, pad_edge=False)
    notes = {}
    with opened() as database, database.reading() as session:
        zone = zone_of_district(session, district)
        for run in leases.runs_of(session, district):
            took = f"{(run.ended_at - run.started_at).total_seconds():.0f} s" if run.ended_at else "open"
            table.add_row(
                str(run.id),
                run.source_id,
                local_time(run.started_at, zone),
                took,
                str(run.delivery_id or ""),
                "waiting for Clever"
                if run.outcome == RunOutcome.NOT_READY
                else (run.outcome or "running").replace("_", " "),
            )
            notes[run.id] = run.notes or []
        decisions = [
            f"hold {hold.id} · {hold.school_name}: {decided(decision, zone)}"
            for decision, hold in store.decisions_of(session, district)
        ]
    out.print(table)
    for run_id, of_run in notes.items():
        for note in of_run:
            out.print(f"run {run_id}: {escape(note)}", style="dim")
    for line in decisions:
        out.print(escape(line))
