"""Commands that look at data before it is synced."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import polars as pl
import typer
import typer.core
from rich.markup import escape

from cli.app import app
from cli.console import err, opened, out, print_json, write_csv
from cli.options import ATTENTION, CHECK_EXIT_CODES, FAILURE, AsJson, CsvFile, DistrictId, Schools
from cli.rendering import problems_json, show_changes, show_file_errors, show_issues
from cli.running import adapter
from contracts.formats import DEFAULT_FORMAT, FORMATS, file_formats
from contracts.issues import Severity, catalogue, with_catalogue
from errors import SetupError
from services import csv_export
from services.holds.evidence import describe_counts
from services.intake.arrival import read_folder
from services.intake.drop_folder import LocalFolder
from services.status import issues
from services.sync import requests
from services.sync.preview import check_files, preview_sync
from settings import get_settings


@app.command(rich_help_panel="Look at data", epilog=CHECK_EXIT_CODES)
def check(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="where the files are")],
    format_name: Annotated[
        str, typer.Option("--format", metavar="NAME", help=f"the files' format: {', '.join(file_formats())}")
    ] = DEFAULT_FORMAT,
    as_json: AsJson = False,
) -> None:
    """Check files without a database. Show file errors, errors and alerts, and how to fix them."""
    known = file_formats()
    if format_name not in known:
        raise SetupError(f"there is no format {format_name}; the formats are {', '.join(known)}")
    if not folder.is_dir():
        raise SetupError(f"there is no folder {folder}")
    reading, settled = check_files(format_name, read_folder(LocalFolder(folder), FORMATS[format_name]))
    found = None
    if settled is not None:
        found = with_catalogue(settled.issues, format_name).with_columns(issues.location(), format=pl.lit(format_name))
    file_errors = with_catalogue(reading.file_errors, format_name)
    if as_json:
        print_json(problems_json(file_errors, found))
    else:
        for note in (*reading.notes, *(settled.notes if settled is not None else ())):
            err.print(escape(note), style="dim")
        show_file_errors(file_errors)
        if found is not None:
            show_issues(found)
    if len(reading.file_errors):
        raise typer.Exit(FAILURE)
    if found is not None and (found["severity"] == Severity.ERROR).any():
        raise typer.Exit(ATTENTION)


@app.command(rich_help_panel="Look at data")
def preview(district: DistrictId, school: Schools = None, csv_file: CsvFile = None) -> None:
    """Show what the waiting delivery would create, adopt, update, reactivate and remove. Writes nothing."""
    frames = []
    with opened() as database, database.reading() as session:
        for request in requests.sync_requests(session, district, school, None):
            shown = preview_sync(
                session,
                request,
                landing=get_settings().landing_area,
                adapter=adapter(request.kind),
                id_secret=get_settings().hashing_secret,
            )
            out.print(f"[bold]{request.source_id}[/]: {escape(shown.message)}")
            for note in shown.notes:
                err.print(escape(note), style="dim")
            show_file_errors(with_catalogue(shown.file_errors, shown.form))
            for changes in shown.schools:
                show_changes(changes.school_id, changes.changes)
                for reason in changes.reasons or ():
                    title = catalogue(shown.form)[reason.code].title
                    out.print(f"  [red]would go on hold: {escape(title)} ({reason.code})[/]")
                    for line in filter(None, (*describe_counts(reason), reason.detail)):
                        out.print(f"    {escape(line)}")
                frames.append(changes.changes.drop("key").insert_column(0, pl.lit(changes.school_id).alias("school")))
    if csv_file is not None:
        write_csv(csv_file, csv_export.to_csv(pl.concat(frames)) if frames else "")
