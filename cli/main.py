"""The command line: every command, and how it ends."""

from __future__ import annotations

import sys

from rich.markup import escape

from cli.app import app as app
from cli.console import err
from cli.options import FAILURE, WRONG_USE
from errors import NotFound, NotPossible, RollcallError, SchemaError, SetupError

# Each module adds its commands, which the help lists in this order.
# isort: off
from cli import setup  # noqa: F401
from cli import data  # noqa: F401
from cli import sync  # noqa: F401
from cli import history  # noqa: F401
from cli import holds  # noqa: F401
from cli import maintenance  # noqa: F401
from cli import privacy  # noqa: F401
from cli import report  # noqa: F401
from cli import up  # noqa: F401
from cli import deploy  # noqa: F401
from cli import doctor  # noqa: F401
# isort: on


def main() -> None:
    """Run the command line; a user's mistake gets a sentence, never a stack trace."""
    try:
        app()
    except RollcallError as error:
        err.quiet = False
        err.print(f"[red]error:[/] {escape(str(error))}")
        sys.exit(WRONG_USE if isinstance(error, SetupError | NotFound | NotPossible | SchemaError) else FAILURE)
