"""The command line: what ops type, and what they read. Every command is a few lines over services and flows.

Exit codes: 0 all well; 1 a school on hold, a rejected delivery, or errors found; 2 a wrong command line or setting;
3 a failure, or (check) file errors.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import logging
import os
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, tzinfo
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import polars as pl
import typer
import typer.core
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from contracts.formats import CLEVER, CSV, FORMATS, formats_of
from contracts.issues import CATALOGUE, DISCONNECTED, FILE_ERRORS, Entry, Severity, catalogue, with_catalogue
from contracts.text import clean, count
from errors import NotFound, NotPossible, RollcallError, SchemaError, SetupError
from models.database import Database, migrate, open_database
from models.tables import Decision, District
from services import accounts, clock, csv_export, districts, figures
from services.holds import contact_policy, decisions, store
from services.holds.evidence import consequences, evidence_csv, told_counts
from services.intake.arrival import read_folder
from services.intake.clever_api import Connection
from services.intake.deliveries import deliveries_of
from services.mail import outbox
from services.operations import housekeeping, maintenance
from services.operations.backup import backup
from services.operations.setup import apply_setup, read_setup, would_freeze
from services.planning.changesets import ACTIONS, TYPES
from services.status import issues, pauses, sync_status
from services.status.report import DistrictReport, district_report
from services.sync import leases, outcomes, pipeline, requests
from services.sync.preview import check_files, preview_sync
from services.version import VERSION
from settings import Settings, get_settings

OK, ATTENTION, WRONG_USE, FAILURE = 0, 1, 2, 3
SHOWN = 5  # first places shown for each code; downloads and JSON hold all

PREFECT_SETTINGS = Path(__file__).with_name("prefect.toml")

ANYWHERE = ("--quiet", "-q", "--log-json")


class _OptionsAnywhere(typer.core.TyperGroup):
    """The command line's own options, accepted behind a command's name and its arguments too."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the options before the command, those moved there from behind it included; `--` ends them."""
        end = args.index("--") if "--" in args else len(args)
        moved = [argument for argument in args[:end] if argument in ANYWHERE]
        left = [argument for argument in args[:end] if argument not in ANYWHERE]
        return super().parse_args(ctx, [*moved, *left, *args[end:]])


app = typer.Typer(
    cls=_OptionsAnywhere,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Keep accounts in step with school records.",
    epilog="--quiet and --log-json may stand anywhere on the command line.",
)
hold_app = typer.Typer(no_args_is_help=True, help="Holds: look at one, and release them.")
app.add_typer(hold_app, name="hold")

out = Console(highlight=False, soft_wrap=True)
told = Console(stderr=True, highlight=False, soft_wrap=True)

# IDs are parsed by `clean`: what is pasted often has blanks or invisible characters around it.
DistrictId = Annotated[
    str, typer.Argument(metavar="DISTRICT", parser=clean, help="the district's ID, as in the setup file")
]
OneDistrict = Annotated[str | None, typer.Argument(metavar="[DISTRICT]", parser=clean, help="only this district")]
Schools = Annotated[
    list[str] | None,
    typer.Option("--school", metavar="ID", parser=clean, help="only this school; may be repeated"),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="do not ask first")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]
CsvFile = Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="write all of it to a CSV file")]


def _version(asked: bool) -> None:
    if asked:
        out.print(f"rollcall {VERSION}")
        raise typer.Exit


@app.callback()
def options(
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="say only what was asked for, and errors")] = False,
    log_json: Annotated[bool, typer.Option("--log-json", help="write logs as JSON, a line each, to stderr")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="show it")] = False,
) -> None:
    """Rollcall keeps a school communication product's accounts in step with the schools' own records."""
    told.quiet = quiet
    _log(get_settings(), as_json=log_json)


def _log(settings: Settings, *, as_json: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if as_json else logging.Formatter("%(levelname)s %(message)s"))
    level = settings.log_level if as_json else "WARNING"
    handler.setLevel(level)  # Prefect's loggers have a level of their own and pass the root's by
    if not as_json:
        # What runs log goes to the server; here the report tells what happened.
        handler.addFilter(lambda record: not record.name.startswith(("prefect.flow_runs", "prefect.task_runs")))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("httpx").setLevel("WARNING")  # every request to Prefect's server


class _JsonLines(logging.Formatter):
    """A log record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Give time, level, logger and message; never a traceback's values."""
        return json.dumps(
            {
                "at": datetime.fromtimestamp(record.created).astimezone().isoformat(),
                "level": record.levelname,
                "logger": record.name,
                "message": record.getMessage(),
            }
        )


def _log_prefect() -> None:
    """With --log-json, let what Prefect would print in its own way be logged as lines of JSON too."""
    (ours,) = logging.getLogger().handlers
    if not isinstance(ours.formatter, _JsonLines):
        return
    for name in [name for name in logging.root.manager.loggerDict if name.split(".")[0] == "prefect"]:
        logger = logging.getLogger(name)
        logger.handlers = [
            ours if type(handler).__name__ == "PrefectConsoleHandler" else handler for handler in logger.handlers
        ]


@contextmanager
def opened() -> Iterator[Database]:
    """The installation's database, for as long as the `with` lasts."""
    settings = get_settings()
    with open_database(settings.database_url, backups=settings.backups) as database:
        yield database


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def _write_csv(file: Path, content: str) -> None:
    """Write a download, for its owner's eyes only."""
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
            stream.write(content)
    except OSError as error:
        raise SetupError(f"{file} cannot be written: {error.strerror}") from None
    told.print(f"written to {escape(str(file))}")


# --- setting up ---------------------------------------------------------------------------------------------------


@app.command()
def setup(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.toml", help="districts, sources and schools; or a folder of such files")
    ],
    add: Annotated[bool, typer.Option("--add", help="leave alone what the file does not name")] = False,
    yes: Yes = False,
) -> None:
    """Bring districts, sources, administrators and schools to what a file says; what it no longer names is frozen.

    What would be frozen is shown first, and asked about.
    """
    wanted = read_setup(file)
    with opened() as database:
        if not (add or yes):
            with database.reading() as session:
                _assert_agreed(would_freeze(session, wanted), file)
        with database.transaction() as session:
            changes = apply_setup(session, wanted, add=add, now=clock.now())
    for change in changes:
        out.print(escape(change))
    out.print(count(len(changes), "change") if changes else "nothing to change")


def _assert_agreed(frozen: list[str], file: Path) -> None:
    """Ask whether what a setup would freeze may be frozen.

    Raises:
        SetupError: there is nobody to ask.
    """
    if not frozen:
        return
    out.print(f"[red]{escape(str(file))} does not name all that is set up:[/]")
    for line in frozen:
        out.print(f"  {escape(line)}")
    if not _can_ask():
        raise SetupError("nothing was changed: --add leaves alone what the file does not name, --yes has it frozen")
    out.print("What is frozen stays as it is and is not synced. `rollcall setup --add` leaves it alone.", style="dim")
    typer.confirm("Go on?", abort=True)


def _can_ask() -> bool:
    return sys.stdin.isatty()


class Switch(StrEnum):
    """What is switched on the command line."""

    ON = "on"
    OFF = "off"


@app.command()
def enforcement(
    district: DistrictId,
    switch: Annotated[Switch | None, typer.Argument(metavar="[on|off]", help="leave out to show it")] = None,
) -> None:
    """Show or switch a district's rostering enforcement.

    On, whoever is in its data cannot leave the organization, and the next sync brings back those who had left; off,
    they stay gone. What the setup file names wins when it is next set up.
    """
    with opened() as database:
        if switch is not None:
            with database.transaction() as session:
                accounts.set_enforcement(session, district, switch is Switch.ON)
        with database.reading() as session:
            enforced = accounts.is_enforced(session, district)
    means = (
        "nobody in its data can leave, and the next sync brings back those who had left"
        if enforced
        else "people may leave the organization, and those who left stay gone"
    )
    out.print(f"rostering enforcement of {district} is {Switch.ON if enforced else Switch.OFF}: {means}")


class Contacts(StrEnum):
    """What becomes of emergency contacts."""

    ASK = "ask"
    LEAVE_OUT = "leave-out"


@app.command()
def contacts(
    district: DistrictId,
    choice: Annotated[Contacts | None, typer.Argument(metavar="[ask|leave-out]", help="leave out to show it")] = None,
    source: Annotated[
        str | None, typer.Option("--source", metavar="ID", parser=clean, help="only this source; else all")
    ] = None,
) -> None:
    """Show or change what is remembered of a district's emergency contacts.

    ask: by a hold, those accepted earlier too; what was decided before is forgotten. leave-out: of all schools, and
    those set up earlier go. The next night does it, `rollcall sync` at once.
    """
    with opened() as database:
        if choice is not None:
            change = contact_policy.leave_out if choice is Contacts.LEAVE_OUT else contact_policy.ask
            with database.transaction() as session:
                change(session, district, source)
        with database.reading() as session:
            found = contact_policy.of_contacts(session, district, source)
    for each in found:
        out.print(str(each))


@app.command()
def settings() -> None:
    """Show all settings and where they come from; secrets masked."""
    for name, value in get_settings().shown().items():
        out.print(f"{name:<32}{escape(value)}")


@app.command(name="migrate")
def migrate_command() -> None:
    """Bring the database to this program's schema. An embedded one does it by itself, PostgreSQL only here."""
    settings = get_settings()
    before, after = migrate(settings.database_url, backups=settings.backups)
    out.print(f"schema {after}, nothing to do" if before == after else f"schema {before or 'none'} → {after}")


@app.command(name="backup")
def backup_command(file: Annotated[Path, typer.Argument(metavar="FILE", help="where to; must not exist")]) -> None:
    """Copy the embedded database, consistent even while a run writes. See the README for restoring it."""
    with opened() as database:
        backup(database, file)
    out.print(f"backed up to {escape(str(file))}")


@app.command(name="housekeeping")
def housekeeping_command() -> None:
    """Remove what has served its time: files, evidence, issues and mails that nobody needs after 30 days."""
    with opened() as database:
        cleaned = housekeeping.clean(database, landing=get_settings().landing, now=clock.now())
    out.print(str(cleaned))


# --- looking at files ---------------------------------------------------------------------------------------------


@app.command()
def check(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="where the files are")],
    format_name: Annotated[str, typer.Option("--format", metavar="NAME", help=", ".join(formats_of(CSV)))] = "csv-1.0",
    as_json: AsJson = False,
) -> None:
    """Check files without any database: file errors, then errors and alerts, and how to fix them.

    Exit code 0: clean, or alerts only; 1: errors; 3: file errors.
    """
    known = formats_of(CSV)
    if format_name not in known:
        raise SetupError(f"there is no format {format_name}; known are {', '.join(known)}")
    if not folder.is_dir():
        raise SetupError(f"there is no folder {folder}")
    reading, settled = check_files(format_name, read_folder(folder, FORMATS[format_name].file_names))
    found = None
    if settled is not None:
        found = with_catalogue(settled.issues).with_columns(issues.place(), source_kind=pl.lit(CSV))
    file_errors = with_catalogue(reading.file_errors)
    if as_json:
        _print_json(_problems_json(file_errors, found))
    else:
        for note in (*reading.notes, *(settled.notes if settled is not None else ())):
            told.print(escape(note), style="dim")
        _show_file_errors(file_errors)
        if found is not None:
            _show_issues(found)
    if len(reading.file_errors):
        raise typer.Exit(FAILURE)
    if found is not None and (found["severity"] == Severity.ERROR).any():
        raise typer.Exit(ATTENTION)


ISSUE = ("severity", "code", "school_id", "file", "line", "other_lines", "source_id", "message", "consequences")


def _issue_rows(found: pl.DataFrame) -> list[dict[str, Any]]:
    named = found.rename({"record_id": "source_id", "school": "school_id"}, strict=False)
    return named.with_columns(issues.other_lines().fill_null([])).select(ISSUE).to_dicts()


def _problems_json(file_errors: pl.DataFrame, found: pl.DataFrame | None) -> dict[str, Any]:
    errors = file_errors.select("code", "file", "line", "message").to_dicts()
    listed = _issue_rows(found) if found is not None else []
    codes = [entry["code"] for entry in (*errors, *listed)]
    return {"file_errors": errors, "issues": listed, "counts": {code: codes.count(code) for code in sorted(set(codes))}}


def _show_file_errors(file_errors: pl.DataFrame) -> None:
    if file_errors.is_empty():
        return
    out.print(f"[bold red]{count(file_errors.height, 'file error')}: nothing of the delivery is used[/]")
    for (code, file), rows in file_errors.group_by("code", "file", maintain_order=True):
        entry = CATALOGUE[str(code)]
        out.print(f"\n[red]{file}: {escape(entry.title)}[/] ({code}, {rows.height})")
        for line, said in rows.select("line", "message").head(SHOWN).iter_rows():
            where = f"line {line}" if line is not None else "the file"
            out.print(f"  {where}: {escape(said)}")
        if rows.height > SHOWN:
            out.print(f"  and {rows.height - SHOWN} more; --json lists all")
        _explain(entry)


def _explain(entry: Entry) -> None:
    """What a problem means, and how to fix it."""
    out.print(f"    {escape(entry.meaning)}")
    out.print(f"    [dim]{escape(entry.remedy)}[/]")


def _show_issues(found: pl.DataFrame) -> None:
    if found.is_empty():
        out.print("[green]no errors, no alerts[/]")
        return
    for severity, title, colour in ((Severity.ERROR, "error", "red"), (Severity.ALERT, "alert", "yellow")):
        here = found.filter(pl.col("severity") == severity)
        if here.is_empty():
            continue
        out.print(f"\n[bold {colour}]{count(here.height, title)}[/]")
        counted = here.group_by("source_kind", "code").len()
        for kind, code, number in counted.sort(pl.col("len"), "code", descending=[True, False]).iter_rows():
            entry = catalogue(kind)[code]
            rows = here.filter(code=code, source_kind=kind).sort("file", "line", "record_id")
            places = rows["place"].unique(maintain_order=True).head(SHOWN)
            more = ", …" if rows.height > SHOWN else ""
            fall = int(rows["consequences"].sum())
            falling = f"; {count(fall, 'record falls', 'records fall')} with {'it' if number == 1 else 'them'}"
            listed = f"{number} at {', '.join(places)}{more}{falling if fall else ''}"
            out.print(f"  [{colour}]{escape(entry.title)}[/] ({code}): {listed}")
            _explain(entry)


@app.command()
def preview(district: DistrictId, school: Schools = None, csv_file: CsvFile = None) -> None:
    """Show what the waiting delivery would create, adopt, update, reactivate and remove. Writes nothing."""
    frames = []
    with opened() as database, database.reading() as session:
        for order in requests.orders(session, district, school, None):
            connection = _clever() if order.kind == CLEVER else None
            shown = preview_sync(session, order, landing=get_settings().landing, connection=connection)
            out.print(f"[bold]{order.source_id}[/]: {escape(shown.message)}")
            for note in shown.notes:
                told.print(escape(note), style="dim")
            _show_file_errors(with_catalogue(shown.file_errors))
            for changes in shown.schools:
                _show_changes(changes.school_id, changes.changes)
                for reason in changes.reasons or ():
                    title = catalogue(order.kind)[reason.code].title
                    out.print(f"  [red]would be put on hold: {escape(title)} ({reason.code})[/]")
                    for line in filter(None, (*told_counts(reason), reason.detail)):
                        out.print(f"    {escape(line)}")
                frames.append(changes.changes.drop("key").insert_column(0, pl.lit(changes.school_id).alias("school")))
    if csv_file is not None:
        _write_csv(csv_file, csv_export.to_csv(pl.concat(frames)) if frames else "")


def _show_changes(school: str, changes: pl.DataFrame) -> None:
    counted = {(kind, action): count for kind, action, count in changes.group_by("type", "action").len().iter_rows()}
    if not counted:
        out.print(f"{school}: nothing would change")
    else:
        table = Table(title=school, title_justify="left", box=None)
        table.add_column("", no_wrap=True)
        for action in ACTIONS:
            table.add_column(action, justify="right")
        for kind in TYPES:
            if any((kind, action) in counted for action in ACTIONS):
                shown = [str(counted.get((kind, action), "")) for action in ACTIONS]
                table.add_row(kind.replace("_", " "), *shown)
        out.print(table)


# --- syncing ------------------------------------------------------------------------------------------------------


def start_prefect(settings: Settings) -> None:
    """Make Prefect ready in this process: the server named by PREFECT_API_URL, or a temporary one of our own.

    Must come before Prefect is first imported.
    """
    defaults = {
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        # Its services for events complain of a server that is busy, on and on.
        "PREFECT_INTERNAL_LOGGING_LEVEL": "CRITICAL",
        "DO_NOT_TRACK": "1",
        # Prefect itself reads the file only where it is started beside it.
        **_variables("PREFECT", tomllib.loads(PREFECT_SETTINGS.read_text())),
    }
    if not os.environ.get("PREFECT_API_URL"):
        defaults |= {
            "PREFECT_HOME": str(settings.home / "prefect"),
            "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
            "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
        }
        if "prefect" not in sys.modules:
            told.print("starting a temporary Prefect server (set PREFECT_API_URL to use yours)", style="dim")
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def _variables(name: str, settings: dict[str, Any]) -> dict[str, str]:
    """The environment variables that say the same as a file of Prefect's settings."""
    found: dict[str, str] = {}
    for key, value in settings.items():
        below = f"{name}_{key.upper()}"
        found |= _variables(below, value) if isinstance(value, dict) else {below: str(value)}
    return found


def _clever() -> Connection:
    """How Clever is reached; asked of Prefect only where the environment does not tell.

    Raises:
        SetupError: the client's ID or secret is nowhere.
    """
    settings = get_settings()
    try:
        return settings.clever()
    except SetupError:
        start_prefect(settings)
        from tasks.opening import clever

        return clever()


def run_district(
    district: str, schools: list[str] | None = None, *, now: bool = False, delivery: int | None = None
) -> int:
    """Run the district's flow in this process, print what it noted, and give the exit code.

    Raises:
        NotFound, NotPossible: the district, a school or the delivery is not to be synced.
    """
    settings = get_settings()
    with opened() as database:
        # Refuses what makes no sense, before any server.
        with database.reading() as session:
            orders = requests.orders(session, district, schools, delivery, now=now, landing=settings.landing)
            before = max((run.id or 0 for run in leases.runs_of(session, district, 1)), default=0)
        met = {order: pause for order in orders if (pause := pipeline.paused(database, order)) is not None}
        if orders and len(met) == len(orders):
            for order, pause in met.items():
                pipeline.record_paused(database, order, pause)
                out.print(f"[blue]{order.source_id} is {escape(pause)}[/]")
            return ATTENTION
    start_prefect(settings)
    if any(order.kind == CLEVER and order not in met for order in orders):
        _clever()
    with told.status(f"syncing {district}"):
        from flows.sync_district import sync_district

        _log_prefect()
        state = asyncio.run(_state(sync_district(district, schools, delivery=delivery, now=now, return_state=True)))
    with opened() as database, database.reading() as session:
        for run in reversed([run for run in leases.runs_of(session, district) if (run.id or 0) > before]):
            for note in run.notes or []:
                out.print(f"{run.source_id}: {escape(note)}")
    if state.is_failed() or state.is_crashed():
        told.print(f"[red]failed:[/] {escape(state.message or '')}")
        return FAILURE
    return ATTENTION if state.name in ("On hold", "Rejected", "Paused", "Waiting for Clever") else OK


async def _state(run: Any) -> Any:
    return await run


@app.command()
def sync(
    district: DistrictId,
    school: Schools = None,
    now: Annotated[bool, typer.Option("--now", help="take a complete set of files as it stands")] = False,
    delivery: Annotated[
        int | None, typer.Option("--delivery", metavar="ID", help="apply a kept delivery again")
    ] = None,
) -> None:
    """Sync a district, or some of its schools. Never waits for files.

    Of a Clever source it fetches the district anew. Exit code 0: all connected or unchanged, or nothing waiting; 1: a
    school on hold, a rejected delivery, paused, or waiting for Clever; 2: not possible, and nothing was done; 3: a
    failure.
    """
    code = run_district(district, school, now=now, delivery=delivery)
    with opened() as database:
        show_report(database, district)
    raise typer.Exit(code)


DistrictOrAll = Annotated[
    str | None,
    typer.Argument(metavar="[DISTRICT]", parser=clean, help="only this district's; else that of all districts"),
]
Until = Annotated[
    str | None,
    typer.Option("--until", metavar="TIME", help="when it ends by itself, such as 2026-11-24T18:00"),
]


@app.command()
def pause(
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="why; administrators read it")],
    district: DistrictOrAll = None,
    until: Until = None,
) -> None:
    """Pause Clever syncs for maintenance. The school under way finishes first; CSV syncs go on."""
    by = getpass.getuser()
    with opened() as database:
        with database.transaction() as session:
            zone = _zone(session, district) if district is not None else _local_zone()
            end = _moment(until, zone) if until is not None else None
            raised = maintenance.pause(session, district, reason=reason, until=end, by=by, now=clock.now())
        out.print(f"{escape(district or 'all districts')}: {escape(pauses.told(raised, zone))}")
        _send_mail(database)


@app.command()
def resume(
    district: DistrictOrAll = None,
) -> None:
    """Resume Clever syncs after a pause, and catch up what was asked for meanwhile.

    Exit code: as `rollcall sync` where something was caught up, else 0.
    """
    with opened() as database:
        with database.transaction() as session:
            resumed = maintenance.resume(session, district, by=getpass.getuser(), now=clock.now())
        out.print(escape(maintenance.told(resumed, district)))
        _send_mail(database)
    code = OK
    for missed in resumed.missed:
        out.print(f"{escape(missed)} missed a sync: catching up")
        code = max(code, run_district(missed))
    raise typer.Exit(code)


def _send_mail(database: Database) -> None:
    """Tell the administrators; what cannot be sent now is sent by the next run, and said."""
    settings = get_settings()
    try:
        outbox.deliver(database, settings.mail_transport(), sender=settings.mail_sender, now=clock.now(), wait=5)
    except RollcallError as error:
        told.print(f"[yellow]the administrators' mail waits:[/] {escape(str(error))}")


def _local_zone() -> tzinfo:
    zone = datetime.now().astimezone().tzinfo
    assert zone is not None
    return zone


def _moment(text: str, zone: tzinfo) -> datetime:
    """A time as typed: ISO, in the zone given where it names none.

    Raises:
        SetupError: it is none.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SetupError(f"{text} is no time, such as 2026-11-24T18:00") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)


# --- reading ------------------------------------------------------------------------------------------------------

COLOURS = {
    sync_status.Status.ON_HOLD: "red",
    sync_status.Status.SETUP_SYNC: "yellow",
    sync_status.Status.PAUSED: "blue",
    sync_status.Status.PROCESSING: "cyan",
    sync_status.Status.CONNECTED: "green",
}


@app.command(name="status")
def status_command(
    district: OneDistrict = None,
    as_json: AsJson = False,
) -> None:
    """Show the SIS sync report: every school, what needs action first."""
    with opened() as database:
        if not as_json:
            show_report(database, district)
            return
        with database.reading() as session:
            reports = _reports(session, district)
    _print_json(
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
            for report in reports
        ]
    )


def _reports(session: Any, district: str | None) -> list[DistrictReport]:
    reports = district_report(session, district, now=clock.now())
    if district is not None and not reports:
        raise NotFound(f"there is no district {district}; `rollcall status` lists them")
    return reports


def show_report(database: Database, district: str | None) -> None:
    """Print the SIS sync report: of one district, or of all.

    Raises:
        NotFound: there is no such district.
    """
    with database.reading() as session:
        reports = _reports(session, district)
        kinds = issues.source_kinds(session, district)
        unsent = {report.district_id: outbox.told_unsent(session, report.district_id) for report in reports}
    if not reports:
        out.print("no district is set up yet: `rollcall setup FILE.toml`")
    for report in reports:
        table = Table(
            title=f"SIS sync report · {escape(report.name)}",
            title_justify="left",
            title_style="bold",
            box=box.SIMPLE_HEAD,
            show_edge=False,
            padding=0,
        )
        table.add_column("School")
        for name in ("Teachers", "Students", "Errors", "Alerts"):
            table.add_column(name, justify="right")
        table.add_column("Sync status")
        for row in report.schools:
            label = sync_status.LABELS[row.status] if row.status is not None else "not on the plan"
            colour = COLOURS.get(row.status, "bright_black") if row.status is not None else "bright_black"
            table.add_row(
                f"{'[bold]![/] ' if row.errors and row.on_plan else ''}{escape(row.name)}",
                *[str(number) for number in (row.teachers, row.students, row.errors, row.alerts)],
                f"[{colour}]{label}[/]",
                style="bright_black" if not row.on_plan else "red" if row.errors else None,
            )
        out.print(table)
        for row in report.schools:
            if row.hold is not None:
                why = ", ".join(catalogue(kinds[row.school_id])[code].title for code in row.hold.codes)
                out.print(f"[red]On hold:[/] {escape(row.name)}: {escape(why)} (rollcall hold show {row.hold.id})")
        paused = {row.pause.id: row.pause for row in report.schools if row.pause is not None}
        for pause in paused.values():
            said = pauses.told(pause, ZoneInfo(report.timezone))
            out.print(f"[blue]{escape(said[0].upper() + said[1:])}[/]")
        for notice in report.notices:
            out.print(f"[yellow]Clever:[/] {escape(notice)}")
        if report.file_errors:
            wrong = count(report.file_errors, "file error")
            out.print(f"[red]! the last files have {wrong}:[/] rollcall issues {report.district_id}")
        if report.errors or report.alerts:
            told_errors, told_alerts = count(report.errors, "error"), count(report.alerts, "alert")
            out.print(f"of no known school: {told_errors} and {told_alerts} (rollcall issues {report.district_id})")
        for line in unsent[report.district_id]:
            out.print(f"[yellow]Mail to the administrators:[/] {escape(line)}")
        if report is not reports[-1]:
            out.print()


@app.command(name="issues")
def issues_command(
    district: DistrictId,
    school: Annotated[str | None, typer.Option("--school", metavar="ID", parser=clean, help="only this school")] = None,
    as_json: AsJson = False,
    csv_file: CsvFile = None,
) -> None:
    """Show the errors and alerts of the data as last processed, and the file errors of a rejected delivery."""
    with opened() as database, database.reading() as session:
        _zone(session, district)
        if school is not None:
            districts.find_school(session, district, school)
        found = issues.stored_issues(session, district, f"{district}/{school}" if school is not None else None)
        file_errors = issues.stored_file_errors(session, district)
    if as_json:
        _print_json(_problems_json(file_errors, found))
    elif csv_file is not None:
        # A rejected delivery's bad rows are what has to be fixed first, and its issues are those of an older one.
        rejected = not file_errors.is_empty()
        _write_csv(csv_file, issues.file_errors_csv(file_errors) if rejected else issues.issues_csv(found))
    else:
        _show_file_errors(file_errors)
        if not file_errors.is_empty():
            out.print("\nErrors and alerts below are those of the last delivery without file errors.")
        _show_issues(found)


def _zone(session: Any, district: str) -> ZoneInfo:
    found = session.get(District, district)
    if found is None:
        raise NotFound(f"there is no district {district}; `rollcall status` lists them")
    return ZoneInfo(found.timezone)


def _time(moment: datetime | None, zone: ZoneInfo) -> str:
    return "" if moment is None else f"{moment.astimezone(zone):%Y-%m-%d %H:%M %Z}"


@app.command()
def deliveries(district: DistrictId) -> None:
    """Show the deliveries taken, newest first; each clean one whose files are kept can be applied again.

    In force is what every night finishes for the schools that are not done with it.
    """
    table = Table("delivery", "source", "taken", box=None, pad_edge=False)
    table.add_column("outcome", no_wrap=True)
    table.add_column("sent again")
    table.add_column("bytes")
    with opened() as database, database.reading() as session:
        zone = _zone(session, district)
        in_force = {source.current_delivery_id for source in districts.sources_of(session, district)}
        for delivery in deliveries_of(session, district):
            size = sum(file["size"] for file in delivery.files or [])
            again = f"{delivery.receipts}, last {_time(delivery.received_at, zone)}" if delivery.receipts else ""
            table.add_row(
                str(delivery.id),
                delivery.source_id,
                _time(delivery.taken_at, zone),
                f"{delivery.outcome}, in force" if delivery.id in in_force else delivery.outcome,
                again,
                f"{size:,}" if delivery.path else "files removed",
            )
    out.print(table)


@app.command(name="runs")
def runs_command(district: DistrictId) -> None:
    """Show the district's runs, newest first, and what was decided about its holds."""
    table = Table("run", "source", "started", "took", "delivery", "outcome", box=None, pad_edge=False)
    notes = {}
    with opened() as database, database.reading() as session:
        zone = _zone(session, district)
        for run in leases.runs_of(session, district):
            took = f"{(run.ended_at - run.started_at).total_seconds():.0f} s" if run.ended_at else "open"
            table.add_row(
                str(run.id),
                run.source_id,
                _time(run.started_at, zone),
                took,
                str(run.delivery_id or ""),
                "waiting for Clever" if run.outcome == outcomes.NOT_READY else run.outcome or "running",
            )
            notes[run.id] = run.notes or []
        decided = [
            f"hold {hold.id} · {hold.school_name}: {_decided(decision, zone)}"
            for decision, hold in store.decisions_of(session, district)
        ]
    out.print(table)
    for run_id, said in notes.items():
        for note in said:
            out.print(f"run {run_id}: {escape(note)}", style="dim")
    for line in decided:
        out.print(escape(line))


# --- holds --------------------------------------------------------------------------------------------------------


@app.command(name="holds")
def holds_command(
    district: OneDistrict = None,
    as_json: AsJson = False,
) -> None:
    """Show the open holds."""
    with opened() as database, database.reading() as session:
        if district is not None:
            _zone(session, district)
        found = store.open_holds(session, district)
        zones = {hold.district_id: _zone(session, hold.district_id) for hold in found}
    if as_json:
        _print_json(
            [
                {
                    "id": hold.id,
                    "district": hold.district_id,
                    "school_id": hold.school_key,
                    "opened_at": hold.opened_at.isoformat(),
                    "reasons": [
                        {"code": reason.code, "since": reason.since.isoformat(), "counts": reason.counts or {}}
                        for reason in hold.reasons
                    ],
                }
                for hold in found
            ]
        )
        return
    if not found:
        out.print("no school is on hold")
    for hold in found:
        zone = zones[hold.district_id]
        out.print(f"hold {hold.id}  {hold.district_id}/{hold.school_key}  since {_time(hold.opened_at, zone)}")
        for reason in hold.reasons:
            counted = "; ".join(["", *told_counts(reason)])
            title = escape(hold.title(reason.code))
            out.print(f"  {title} ({reason.code}) since {_time(reason.since, zone)}{escape(counted)}")


OneHold = Annotated[int, typer.Argument(metavar="ID", help="the hold's number")]
HoldIds = Annotated[list[int] | None, typer.Argument(metavar="[ID]...", help="the holds' numbers")]
OfDistrict = Annotated[
    str | None,
    typer.Option("--district", metavar="ID", parser=clean, help="all holds of this district instead"),
]
Why = Annotated[str | None, typer.Option("--why", metavar="TEXT", help="why; kept and shown")]


@hold_app.command(name="show")
def hold_show(
    hold_id: OneHold,
    csv_file: CsvFile = None,
    reason_code: Annotated[
        str | None, typer.Option("--reason", metavar="CODE", help="only this reason's, in the CSV file")
    ] = None,
) -> None:
    """Show why a school is on hold, with the evidence, and what ends it."""
    with opened() as database, database.reading() as session:
        hold = store.get_hold(session, hold_id)
        zone = _zone(session, hold.district_id)
        items = store.items_of(session, hold_id)
        entries = catalogue(hold.source_kind)
        unsynced = decisions.not_synced(session, hold) if hold.ending is None else None
    if reason_code is not None and reason_code not in hold.codes:
        raise NotFound(f"hold {hold_id} has no reason {reason_code}; it has {', '.join(hold.codes)}")
    ending = {None: "open", "released": "released", "replaced": f"replaced by hold {hold.replaced_by}"}[hold.ending]
    ended = f" {_time(hold.ended_at, zone)}" if hold.ended_at else ""
    out.print(
        f"[bold]hold {hold.id} · {escape(hold.school_name)}[/] · since {_time(hold.opened_at, zone)} · {ending}{ended}"
    )
    for reason in hold.reasons:
        entry = entries[reason.code]
        out.print(f"\n[red]{escape(entry.title)}[/] ({reason.code}), since {_time(reason.since, zone)}")
        out.print(f"  {escape(entry.meaning)}")
        if reason.detail:
            out.print(f"  {escape(reason.detail)}")
        for line in told_counts(reason):
            out.print(f"  {escape(line)}")
        out.print(f"  [dim]{escape(entry.remedy)}[/]")
        if reason.code == FILE_ERRORS:
            out.print(f"  rollcall issues {hold.district_id}")
    for decision in hold.decisions:
        of_former = f"hold {decision.hold_id}, which it replaces: " if decision.hold_id != hold.id else ""
        out.print(escape(f"{of_former}{_decided(decision, zone)}"))
    if csv_file is not None:
        wanted = items if reason_code is None else items.filter(pl.col("code") == reason_code)
        _write_csv(csv_file, evidence_csv(wanted, hold.reasons))
    elif items.height:
        evidence = figures.number(items.height, "rows")
        out.print(f"\n{evidence} of evidence; all of it: rollcall hold show {hold.id} --csv FILE")
    if unsynced is not None:
        out.print(escape(unsynced))
    elif hold.ending is None:
        for verb in decisions.VERBS:
            if decisions.is_about(verb, hold):
                out.print(f"rollcall hold {verb.replace('_', '-')} {hold.id}")


def _decided(decision: Decision, zone: ZoneInfo) -> str:
    why = f": {decision.why}" if decision.why else ""
    return f"{decision.verb.replace('_', ' ')} by {decision.by}, {_time(decision.at, zone)}{why}"


@hold_app.command(name="confirm")
def hold_confirm(
    hold_ids: HoldIds = None, district: OfDistrict = None, why: Why = None, yes: Yes = False, csv_file: CsvFile = None
) -> None:
    """Confirm the removals and changes that holds show: exactly those are applied, at once."""
    _resolve(decisions.CONFIRM, hold_ids, district, why, yes=yes, csv_file=csv_file)


@hold_app.command(name="accept")
def hold_accept(hold_ids: HoldIds = None, district: OfDistrict = None, why: Why = None, yes: Yes = False) -> None:
    """Accept guardians and contacts as they are: accounts are created, until these students' guardians change."""
    _resolve(decisions.ACCEPT, hold_ids, district, why, yes=yes)


@hold_app.command(name="leave-out")
def hold_leave_out(hold_ids: HoldIds = None, district: OfDistrict = None, why: Why = None, yes: Yes = False) -> None:
    """Leave emergency contacts out, for all schools of the source and from now on."""
    _resolve(decisions.LEAVE_OUT, hold_ids, district, why, yes=yes)


@hold_app.command(name="fixed")
def hold_fixed(hold_ids: HoldIds = None, district: OfDistrict = None, why: Why = None, yes: Yes = False) -> None:
    """Say that the source of disconnected schools can be reached again: reconnects, and processes it at once."""
    _resolve(decisions.FIXED, hold_ids, district, why, yes=yes)


@hold_app.command(name="recheck")
def hold_recheck(hold_ids: HoldIds = None, district: OfDistrict = None, why: Why = None, yes: Yes = False) -> None:
    """Look at the newest data again, at once; decides nothing about what holds show."""
    _resolve(decisions.RECHECK, hold_ids, district, why, yes=yes)


def _resolve(
    verb: str,
    hold_ids: list[int] | None,
    district: str | None,
    why: str | None,
    *,
    yes: bool,
    csv_file: Path | None = None,
) -> None:
    """Show what a decision will do, store it for every hold at once, and run each district that it is about, once."""
    with opened() as database:
        with database.reading() as session:
            chosen = decisions.choose(session, verb, hold_ids=hold_ids or (), district_id=district)
            shown = {hold.id: store.items_of(session, hold.id) for hold in chosen}
        for hold in chosen:
            out.print(f"[bold]hold {hold.id} · {escape(hold.school_name)}[/]")
            for line in consequences(hold, verb):
                out.print(f"  {escape(line)}")
        if csv_file is not None:
            reasons = [reason for hold in chosen for reason in hold.reasons]
            _write_csv(csv_file, evidence_csv(pl.concat(shown.values()), reasons))
        if sys.stdin.isatty() and not yes:
            typer.confirm("Go on?", abort=True)
        with database.transaction() as session:
            for hold in chosen:
                decisions.decide(session, hold.id, verb, by=getpass.getuser(), now=clock.now(), why=why)
    code = OK
    for district_id, schools in decisions.to_run(chosen, verb).items():
        code = max(code, run_district(district_id, schools))
        with opened() as database:
            with database.reading() as session:
                for hold in chosen:
                    _show_what_stays(session, hold, verb, shown[hold.id])
            show_report(database, district_id)
    raise typer.Exit(code)


def _show_what_stays(session: Any, decided: store.Hold, verb: str, shown: pl.DataFrame) -> None:
    """After a decision: what else keeps the school on hold, and what of the set was not in what was decided about."""
    row = store.open_hold(session, decided.school_id)
    if row is None or row.id is None or verb == decisions.RECHECK:
        return
    hold = store.get_hold(session, row.id)
    new_number = f"now as hold {hold.id}" if hold.id != decided.id else f"as hold {hold.id}"
    out.print(f"[red]{escape(decided.school_name)} stays on hold, {new_number}[/]")
    items = store.items_of(session, hold.id)
    about = items.filter(pl.col("code").is_in(list(decisions.DECIDED[verb])))
    new = decisions.uncovered(about, shown)
    if not new.is_empty():
        counted = ", ".join(
            figures.number(many, kind) for kind, many in new.group_by("type").len().sort("type").iter_rows()
        )
        ids = [str(record) for record in new["record_id"].drop_nulls().unique().sort().head(SHOWN)]
        more = ", …" if new.height > SHOWN else ""
        out.print(f"not in what was decided about: {counted} (IDs {', '.join(ids)}{more})")
    others = [reason for reason in hold.reasons if reason.code not in decisions.DECIDED[verb]]
    broken = [reason for reason in hold.reasons if reason.code == DISCONNECTED]
    for reason in broken:
        still = "still cannot" if verb == decisions.FIXED else "cannot"
        out.print(f"its source {still} be reached: {escape(reason.detail or '')}")
    if others and others != broken:
        titles = "; ".join(hold.title(reason.code) for reason in others)
        out.print(f"it is held for another reason: {escape(titles)} (rollcall hold show {hold.id})")
    elif new.is_empty() and not broken:
        out.print("what was decided is applied by the next run that processes the school")


def main() -> None:
    """Run the command line; a user's mistake gets a sentence, never a stack trace."""
    try:
        app()
    except RollcallError as error:
        told.quiet = False
        told.print(f"[red]error:[/] {escape(str(error))}")
        sys.exit(WRONG_USE if isinstance(error, SetupError | NotFound | NotPossible | SchemaError) else FAILURE)


if __name__ == "__main__":
    main()
