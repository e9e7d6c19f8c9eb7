"""Commands that set districts up."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import httpx
import typer
import typer.core
from rich.markup import escape

from cli.app import app
from cli.console import err, opened, out
from cli.options import PROMPT_EXIT_CODES, ContactChoice, DistrictId, Switch, Yes
from cli.running import server_api, start_prefect
from contracts.text import clean, count
from errors import SetupError
from services import accounts, clock
from services.holds import contact_policy
from services.operations.setup import apply_setup, read_setup, would_freeze
from settings import get_settings


@app.command(rich_help_panel="Set up", epilog=PROMPT_EXIT_CODES)
def setup(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.toml", help="districts, sources and schools; or a folder of such files")
    ],
    add: Annotated[bool, typer.Option("--add", help="leave alone what the file does not list")] = False,
    yes: Yes = False,
) -> None:
    """Apply a setup file. Districts, sources and schools that it no longer lists are frozen, never deleted.

    It shows what it would freeze first, and asks.
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
    if changes and server_api(get_settings()):
        _list_in_forms()


def _list_in_forms() -> None:
    """Have Prefect's forms list what is set up now; where its server doesn't answer, housekeeping does so later."""
    start_prefect(get_settings())
    from tasks.forms import offer_districts

    try:
        offer_districts()
    except httpx.HTTPError:
        err.print("Prefect's server did not answer; its forms list these districts after the next housekeeping.")


def _assert_agreed(frozen: list[str], file: Path) -> None:
    """Ask whether what a setup would freeze may be frozen.

    Raises:
        SetupError: there is nobody to ask.
    """
    if not frozen:
        return
    out.print(f"[red]{escape(str(file))} does not list everything that is set up:[/]")
    for line in frozen:
        out.print(f"  {escape(line)}")
    if not _can_ask():
        raise SetupError(
            "nothing was changed; use --yes to freeze what the file does not list, or --add to leave it alone"
        )
    out.print(
        "What is frozen stays as it is and is not synced. To leave it alone, use `rollcall setup --add`.", style="dim"
    )
    typer.confirm("Continue?", abort=True)


def _can_ask() -> bool:
    return sys.stdin.isatty()


@app.command(rich_help_panel="Set up")
def enforcement(
    district: DistrictId,
    switch: Annotated[Switch | None, typer.Argument(metavar="on|off", help="omit to show the present setting")] = None,
) -> None:
    """Show or switch a district's rostering enforcement.

    When it is on, people in the district's data cannot leave the organization, and the next sync brings back those who
    left. When it is off, they stay gone. If the setup file names it, that value wins the next time the file is applied.
    """
    with opened() as database:
        if switch is not None:
            with database.transaction() as session:
                accounts.set_enforcement(session, district, switch is Switch.ON)
        with database.reading() as session:
            enforced = accounts.is_enforced(session, district)
    means = (
        "people on the roster can't leave, and the next sync adds back anyone who left"
        if enforced
        else "people can leave the organization, and a sync does not add them back"
    )
    out.print(f"rostering enforcement of {district} is {Switch.ON if enforced else Switch.OFF}: {means}")


@app.command(rich_help_panel="Set up")
def emergency_contacts(
    district: DistrictId,
    choice: Annotated[
        ContactChoice | None, typer.Argument(metavar="hold|leave-out", help="omit it to show the current choice")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", metavar="ID", parser=clean, help="only this source; otherwise all")
    ] = None,
) -> None:
    """Show or change how a district's emergency contacts are handled.

    `hold` forgets earlier decisions: schools with contacts go on hold again, including for those accepted before.
    `leave-out` leaves them out at every school, and removes those set up earlier. The change takes effect the next
    night, or with `rollcall sync` at once.
    """
    with opened() as database:
        if choice is not None:
            change = contact_policy.leave_out if choice is ContactChoice.LEAVE_OUT else contact_policy.hold
            with database.transaction() as session:
                change(session, district, source)
        with database.reading() as session:
            found = contact_policy.of_contacts(session, district, source)
    for each in found:
        out.print(str(each))


@app.command(name="settings", rich_help_panel="Set up")
def settings_command() -> None:
    """Show every setting, with secrets masked."""
    shown = get_settings().shown()
    width = max(map(len, shown)) + 1
    for name, value in shown.items():
        out.print(f"{name:<{width}}{escape(value)}")
