"""Commands of the report: serving it, a copy of it in files, links to sign in, and access tokens for programs."""

from __future__ import annotations

import getpass
from contextlib import closing, suppress
from pathlib import Path
from typing import Annotated

import typer
import typer.core
from rich.markup import escape

from cli.app import report_app
from cli.console import opened, out
from cli.options import DistrictId
from cli.running import starter
from contracts.addresses import mail_address
from contracts.text import count
from errors import NotFound, SetupError
from services import clock
from services.access import audit, sign_in, tokens, viewers
from services.access.audit import Action
from services.districts import get_district
from settings import get_settings

ACTOR = "command line"


@report_app.callback()
def report(
    context: typer.Context,
    host: Annotated[
        str | None, typer.Option("--host", metavar="ADDRESS", help="listen here instead of at ROLLCALL_REPORT_HOST")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", metavar="PORT", help="instead of ROLLCALL_REPORT_PORT; 0 = any free port")
    ] = None,
) -> None:
    """Serve the SIS sync report to browsers until you press Ctrl-C."""
    if context.invoked_subcommand is not None:
        return
    # Only now: no other command needs a web server.
    from report.serving import listening, server

    starts = starter()
    settings = get_settings().listening_at(host, port)
    with opened() as database, closing(listening(settings.report_host, settings.report_port)) as here:
        settings = settings.listening_at(None, here.getsockname()[1])
        out.print(f"The report is at {escape(settings.report_address)}. Press Ctrl-C to stop.")
        # Ctrl-C lets what is under way end, and is then raised again.
        with suppress(KeyboardInterrupt):
            server(database, settings, starter=starts).run(sockets=[here])


@report_app.command()
def link(
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="an administrator's address, as in the setup file")],
) -> None:
    """Print a link by which an administrator or operator signs in to the report, once, within 15 minutes.

    Give it to nobody else: it works in any browser.
    """
    settings = get_settings()
    try:
        address = mail_address(email)
    except ValueError as error:
        raise SetupError(f"this {error}") from None
    with opened() as database, database.transaction() as session:
        viewer = viewers.viewer_of(session, address, settings.operators)
        if not viewer.sees_anything:
            raise NotFound("neither the setup file nor ROLLCALL_OPERATORS names this address")
        token = sign_in.make(session, address, now=clock.now())
        audit.record_person(session, Action.LINK_MADE, viewer, actor=ACTOR, at=clock.now(), detail=f"for {viewer.name}")
    out.print(f"{settings.report_address}/sign-in/link?token={token}", markup=False)


@report_app.command()
def token(
    district: DistrictId,
    name: Annotated[
        str, typer.Option("--name", metavar="TEXT", help="what the token is for, such as a program's name")
    ],
) -> None:
    """Print a new access token, by which a program can read a district's report as JSON, and change nothing.

    It is shown only this once.
    """
    with opened() as database, database.transaction() as session:
        get_district(session, district)
        made = tokens.make(session, district, name, by=ACTOR, now=clock.now())
    out.print(made, markup=False)


@report_app.command(name="export")
def report_export(
    district: DistrictId,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="a new or empty folder")],
    with_people: Annotated[
        bool, typer.Option("--with-people", help="include people's names, IDs and values from their records")
    ] = False,
) -> None:
    """Copy the district's page and its schools' pages into a folder, as files that open in any browser."""
    from report.static_copy import export

    with opened() as database:
        pages = export(
            database,
            get_settings(),
            district,
            folder,
            with_people=with_people,
            by=f"{getpass.getuser()} at the command line",
            now=clock.now(),
        )
    out.print(f"{count(pages, 'page')} copied; open {escape(str(folder / 'index.html'))}")
