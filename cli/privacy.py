"""Commands for the law of personal data: how long they are kept, deleting them, giving them back, and inspection."""

from __future__ import annotations

from rich.table import Table

from cli.app import app
from cli.console import local_time, opened, out, print_json, zone_of_district
from cli.options import AsJson, OneDistrict
from services import clock, districts
from services.operations import retention as retained
from settings import get_settings

PANEL = "Personal data"


@app.command(name="retention", rich_help_panel=PANEL)
def retention_command(district: OneDistrict = None, as_json: AsJson = False) -> None:
    """Show how many archived people are due to be anonymized, and when. Changes nothing.

    The daily housekeeping does it, `ROLLCALL_RETENTION_MONTHS` after they were archived: names, email, phone, birth
    date, grade and language are emptied everywhere. IDs become keyed hashes, by which whoever returns is recognized.
    """
    months = get_settings().retention_months
    table = Table("district", box=None, pad_edge=False)
    for column in ("archived", "anonymized", "due now", "due in 30 days"):
        table.add_column(column, justify="right")
    table.add_column("next due")
    found = []
    with opened() as database, database.reading() as session:
        for one in [district] if district is not None else sorted(districts.district_names(session)):
            zone = zone_of_district(session, one)
            due = retained.due(session, one, months=months, now=clock.now())
            found.append(due)
            counts = (due.archived, due.anonymized, due.now, due.soon)
            table.add_row(one, *(f"{count:,}" for count in counts), local_time(due.next_at, zone))
    if as_json:
        print_json([vars(due) for due in found])
        return
    out.print(table)
    out.print(f"Archived people are anonymized after {months} months.", style="dim")
