"""Commands for the law of personal data: how long they are kept, deleting them, giving them back, and inspection."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cli.app import app
from cli.console import err, local_time, opened, out, print_json, zone_of_district
from cli.options import PROMPT_EXIT_CODES, AsJson, DistrictId, OneDistrict
from contracts.text import clean
from errors import NotPossible, SetupError
from models.database import compact
from services import clock, districts
from services.access import audit
from services.operations import erasing, exporting, inspecting
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


@app.command(name="erase", rich_help_panel=PANEL, epilog=PROMPT_EXIT_CODES)
def erase_command(
    district: DistrictId,
    school: Annotated[
        str | None, typer.Option("--school", metavar="ID", parser=clean, help="only what is of this school")
    ] = None,
    person: Annotated[
        str | None, typer.Option("--person", metavar="ID", parser=clean, help="only the person with this ID")
    ] = None,
    erase: Annotated[bool, typer.Option("--erase", help="erase it, after you typed the district's name")] = False,
    yes: Annotated[
        str | None, typer.Option("--yes", metavar="NAME", help="erase it without asking; NAME is the district's name")
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option("--certificate", metavar="FILE", help="where the certificate is written")
    ] = None,
) -> None:
    """Erase a district, a school's data or a person, everywhere, for good. Without --erase, only count what would go.

    Accounts that other districts have too stay, with what those hold. The certificate says what was erased, when, by
    whom and how much, without personal data. See docs/privacy.md for what the command does not reach.
    """
    settings, target = get_settings(), erasing.Target(district, school, person)
    is_embedded = settings.database_url.startswith("sqlite")
    storage = erasing.Storage(
        settings.landing_area,
        settings.backups if is_embedded else None,
        settings.mail_folder if not settings.smtp_host else None,
    )
    with opened() as database:
        with database.reading() as session:
            name = districts.get_district(session, district).name
        _show_erased(erasing.look(database, target, storage))
        if not erase and yes is None:
            out.print("Nothing was erased: this was a dry run. To erase it, add --erase.")
            return
        _assert_named(name, yes)
        now, by = clock.now(), getpass.getuser()
        file = certificate or Path(f"erased-{district}-{now:%Y%m%dT%H%M%SZ}.txt")
        with _new_file(file) as text:
            done = erasing.erase(database, target, storage, by=f"{by} at the command line", now=now)
            compact(database, [table for table, many in done.rows.items() if many])
            text.append(erasing.certificate(target, name, done, by=by, now=now, secret=settings.hashing_secret))
    out.print(f"erased; the certificate is {escape(str(file))}")


def _show_erased(found: erasing.Erased) -> None:
    table = Table("what", box=None, pad_edge=False)
    table.add_column("how many", justify="right")
    others = {
        "deliveries' files": found.deliveries,
        "copies of the database": found.copies,
        "mails in the mail folder": found.mails,
        "people": found.people,
        "of these, accounts that stay for others": found.shared,
    }
    for what, many in {**found.rows, **others}.items():
        if many:
            table.add_row(what, f"{many:,}")
    out.print(table)
    if found.copies:
        out.print("The copies that upgrades made hold every district; all of them are deleted.", style="yellow")
    if found.synced:
        out.print(
            "They are still synced: the next delivery that names them brings them back. Have them taken out of the SIS,"
            " or the school out of the setup, first.",
            style="yellow",
        )


def _assert_named(name: str, given: str | None) -> None:
    """Have the district's name typed.

    Raises:
        NotPossible, SetupError: another name was given, or there is nobody to ask.
    """
    if given is not None:
        if given != name:
            raise NotPossible(f'nothing was erased: --yes must be followed by the district\'s name, "{name}"')
        return
    if not sys.stdin.isatty():
        raise SetupError("nothing was erased; in a script, use --yes with the district's name")
    if typer.prompt(f'This cannot be undone. Type the district\'s name, "{name}", to erase it') != name:
        err.print("That is not its name. Nothing was erased.")
        raise typer.Abort


@contextmanager
def _new_file(file: Path) -> Iterator[list[str]]:
    """A new file for its owner's eyes, made before anything is done, written at the end, gone if that failed."""
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise SetupError(f"nothing was done, as {file} cannot be written: {error.strerror}") from None
    text: list[str] = []
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        try:
            yield text
        except BaseException:
            file.unlink(missing_ok=True)
            raise
        stream.write("".join(text))


@app.command(name="export", rich_help_panel=PANEL)
def export_command(
    district: DistrictId,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="where it is written; must not exist yet")],
) -> None:
    """Write everything that is held of a district into a folder, as CSV files with a data dictionary.

    `roster` has the active data of each source in CSV format 1.0, to be read back; `tables` every table, safe to open
    in a spreadsheet; `received` the deliveries' files that are kept.
    """
    with opened() as database:
        with database.reading() as session:
            done = exporting.export(session, district, folder, get_settings().landing_area)
        with database.transaction() as session:
            actor = f"{getpass.getuser()} at the command line"
            audit.record(session, audit.Action.EXPORTED, actor=actor, at=clock.now(), district_id=district)
    err.print(f"written to {escape(str(folder))}: {sum(done.rows.values()):,} rows, {done.received:,} received files")


@app.command(name="person", rich_help_panel=PANEL)
def person_command(
    district: DistrictId,
    person: Annotated[str, typer.Argument(metavar="ID", parser=clean, help="the school's ID, or Rollcall's")],
) -> None:
    """Print all that is held of a person as JSON, for a request to inspect it.

    It says from which delivery, file and line it came while those are kept, and who looked, by the audit log.
    """
    with opened() as database:
        with database.reading() as session:
            found = inspecting.inspect(session, district, person, get_settings().landing_area)
        with database.transaction() as session:
            actor, subject = f"{getpass.getuser()} at the command line", found["account"]["id"]
            audit.record(
                session, audit.Action.INSPECTED, actor=actor, at=clock.now(), district_id=district, subject=subject
            )
    print_json(found)
