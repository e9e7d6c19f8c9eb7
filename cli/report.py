"""Commands of the report: links to sign in, and access tokens for programs."""

from __future__ import annotations

from typing import Annotated

import typer
import typer.core

from cli.app import report_app
from cli.console import opened, out
from cli.options import DistrictId
from contracts.addresses import mail_address
from errors import NotFound, SetupError
from services import clock
from services.access import audit, sign_in, tokens, viewers
from services.access.audit import Action
from services.districts import get_district
from settings import get_settings

ACTOR = "command line"


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
