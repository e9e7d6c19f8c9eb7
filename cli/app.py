"""The application and its own options."""

from __future__ import annotations

from typing import Annotated, Any

import typer
import typer.core

from cli.console import err, out, set_up_logging
from cli.options import EXIT_CODES
from errors import SetupError
from services.version import VERSION
from settings import get_settings

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
    rich_markup_mode="markdown",
    help="Keep accounts in step with school records.",
    epilog=f"--quiet and --log-json can go anywhere on the command line.\n\n{EXIT_CODES}",
)


hold_app = typer.Typer(no_args_is_help=True, help="Show a hold, and decide about holds.")


app.add_typer(hold_app, name="hold", rich_help_panel="Holds")


report_app = typer.Typer(invoke_without_command=True)


app.add_typer(report_app, name="report", rich_help_panel="The report")


def _version(asked: bool) -> None:
    if asked:
        out.print(f"rollcall {VERSION}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="print only the requested output and errors")] = False,
    log_json: Annotated[bool, typer.Option("--log-json", help="write logs as JSON, a line each, to stderr")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="show the version")
    ] = False,
) -> None:
    """Rollcall keeps a school communication product's accounts in step with the schools' own records."""
    err.quiet = quiet
    try:
        level = get_settings().log_level
    except SetupError:
        # The doctor itself says what is wrong with the settings.
        if context.invoked_subcommand != "doctor":
            raise
        level = "WARNING"
    set_up_logging(level, as_json=log_json)
