"""`rollcall doctor`: what is wrong with this installation, and how to mend it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from cli import only_one
from cli.app import app
from cli.console import err, out, print_json
from cli.options import ATTENTION, DOCTOR_EXIT_CODES, AsJson
from cli.running import DEPLOYED, POOL, adapter, server_api, start_prefect
from contracts.addresses import mail_address
from contracts.text import count
from errors import SetupError
from models.database import Database, open_database
from services import clock
from services.intake.adapters import ADAPTERS, SourceAdapter
from services.operations import machine_checks, roster_checks
from services.operations.checks import Check, Finding, Result, State, examine, ok, problem
from settings import Settings, get_settings

MARKS = {
    State.OK: "[green]ok[/]",
    State.SKIPPED: "[dim]-[/]",
    State.WARNING: "[yellow]![/]",
    State.PROBLEM: "[red]✗[/]",
}
SFTP_SECONDS = 120.0  # several servers that don't answer are waited for
CLEVER_SECONDS = 120.0  # it is asked several times before it counts as out of reach


@app.command(rich_help_panel="Run", epilog=DOCTOR_EXIT_CODES)
def doctor(
    mail: Annotated[
        str | None, typer.Option("--mail", metavar="ADDRESS", help="also send a test message to this address")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Examine this installation: name what is wrong, and how to mend it. It leaves everything as it was."""
    try:
        to = mail_address(mail) if mail is not None else None
    except ValueError as error:
        raise SetupError(f"--mail: this {error}") from None
    with err.status("examining"):
        results = list(examine(_checks(to)))
    if as_json:
        print_json([asdict(result) for result in results])
    else:
        _show(results)
    if any(result.state == State.PROBLEM for result in results):
        raise typer.Exit(ATTENTION)


def _checks(to: str | None) -> list[Check]:
    """All checks in their order; what they look at is looked up only once it is their turn."""
    here = _Here()
    known, server, data = ("settings",), ("settings", "Prefect server"), ("settings", "database")
    return [
        Check("versions", machine_checks.versions),
        Check("settings", _settings),
        Check("home folder", lambda: machine_checks.home_folder(here.settings.home), known),
        Check("database", lambda: roster_checks.database(here.settings.database_url), known),
        Check("Prefect server", here.server, known),
        Check("Prefect database", lambda: here.prefect().server_database(here.api, POOL), server),
        Check("Prefect settings", lambda: here.prefect().server_settings(), server),
        Check("work pool", lambda: here.prefect().work_pool(POOL), server),
        Check("deployments", lambda: here.prefect().deployments(DEPLOYED / "prefect.yaml", POOL), server),
        Check("worker", lambda: here.prefect().worker(POOL, here.api), server),
        Check("late runs", lambda: here.prefect().late_runs(POOL), server),
        Check("last night", lambda: here.reading(lambda base: roster_checks.last_night(base, here.adapter)), data),
        Check(
            "disk", lambda: machine_checks.disk_space([here.settings.home, here.settings.landing_area.scratch]), known
        ),
        Check("landing area", lambda: machine_checks.landing_area(here.settings.landing_area), known),
        Check("drop folders", lambda: here.sources(False, "drop folder"), data, SFTP_SECONDS),
        Check("Clever", lambda: here.sources(True, "Clever source"), data, CLEVER_SECONDS),
        Check("mail", lambda: here.mail(to), known),
        Check("report", here.report, known),
        Check("clock", here.clocks, known),
    ]


class _Here:
    """This installation, as its environment says at the moment it is asked."""

    @property
    def settings(self) -> Settings:
        return get_settings()

    @property
    def running(self) -> dict[str, str]:
        return only_one.running(self.settings.home)

    @property
    def api(self) -> str:
        return server_api(self.settings)

    def prefect(self) -> Any:
        # Only now: Prefect takes two seconds to import, and reads the environment then.
        from tasks import server_checks

        return server_checks

    def server(self) -> Finding:
        if not self.api:
            return problem(
                "PREFECT_API_URL is not set, and no `rollcall up` is running here",
                "Start `rollcall up`, or set PREFECT_API_URL to the server's address, which ends in /api.",
            )
        start_prefect(self.settings)
        found: Finding = self.prefect().server(self.api)
        return found

    def reading(self, look: Callable[[Database], Finding]) -> Finding:
        with open_database(self.settings.database_url, backups=None) as database:
            return look(database)

    def adapter(self, kind: str) -> SourceAdapter:
        # Without a server there are no Secret blocks either, and none is started to look for them.
        return adapter(kind) if self.api else ADAPTERS[kind](self.settings.connection(kind))

    def sources(self, is_remote: bool, one: str) -> Finding:
        return self.reading(
            lambda base: roster_checks.sources(base, self.adapter, remote=is_remote, of=(one, f"{one}s"))
        )

    def mail(self, to: str | None) -> Finding:
        settings = self.settings
        return machine_checks.mail(settings.mail_transport(), sender=settings.mail_sender, to=to, now=clock.now())

    def report(self) -> Finding:
        return machine_checks.report(self.settings.report_url, self.running.get("report"), now=clock.now())

    def clocks(self) -> Finding:
        url = self.settings.database_url
        # An embedded one has this machine's, and would be made by opening it.
        database = None if url.startswith("sqlite") else lambda: open_database(url, backups=None)
        return machine_checks.clocks(self.api or None, database, clock.now)


def _settings() -> Finding:
    try:
        get_settings()
    except SetupError as error:
        return problem("; ".join(str(error).splitlines()), "Set or remove these variables in Rollcall's environment.")
    return ok("all ROLLCALL_ variables make sense")


def _show(results: list[Result]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    table.add_column("check", no_wrap=True)
    table.add_column("found", overflow="fold")
    for result in results:
        table.add_row(MARKS[result.state], result.name, escape(result.found))
        if result.remedy:
            table.add_row("", "", f"[bold]→ {escape(result.remedy)}[/]")
    out.print(table)
    counted = {state: sum(result.state == state for result in results) for state in State}
    out.print(
        f"{count(counted[State.PROBLEM], 'problem')}, {count(counted[State.WARNING], 'warning')},"
        f" {count(counted[State.OK], 'check')} ok, {counted[State.SKIPPED]} skipped"
    )
