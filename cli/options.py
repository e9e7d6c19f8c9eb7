"""Options and arguments that commands share, and their exit codes."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
import typer.core

from contracts.text import clean

OK, ATTENTION, WRONG_USE, FAILURE = 0, 1, 2, 3

# What a command's help ends with: EXIT_CODES for a command that has the default.
_NOT_DONE = "2 = wrong command line or settings, or not possible (nothing was done); 3 = failure."
_SYNCED = "0 = every school is connected or unchanged, or nothing is waiting"
_NOT_SYNCED = "1 = a school is on hold, the delivery was rejected, or the sync is paused or waiting for Clever"
EXIT_CODES = f"Exit codes: 0 = done; {_NOT_DONE}"
PROMPT_EXIT_CODES = f"Exit codes: 0 = done; 1 = you answered no; {_NOT_DONE}"
CHECK_EXIT_CODES = (
    "Exit codes: 0 = no errors (there may be alerts); 1 = errors; 2 = wrong command line or settings; "
    "3 = file errors, or a failure."
)
DOCTOR_EXIT_CODES = (
    "Exit codes: 0 = no problems (there may be warnings); 1 = problems; 2 = wrong command line; 3 = failure."
)
SYNC_EXIT_CODES = f"Exit codes: {_SYNCED}; {_NOT_SYNCED}; {_NOT_DONE}"
HOLD_EXIT_CODES = f"Exit codes: {_SYNCED}; {_NOT_SYNCED}, or you answered no; {_NOT_DONE}"
RESUME_EXIT_CODES = f"Exit codes: those of `rollcall sync` if it runs skipped syncs; otherwise 0 = done; {_NOT_DONE}"

# IDs are parsed by `clean`: what is pasted often has blanks or invisible characters around it.
DistrictId = Annotated[
    str, typer.Argument(metavar="DISTRICT", parser=clean, help="the district's ID, as in the setup file")
]


OneDistrict = Annotated[str | None, typer.Argument(metavar="DISTRICT", parser=clean, help="only this district")]


Schools = Annotated[
    list[str] | None,
    typer.Option("--school", metavar="ID", parser=clean, help="only this school; may be repeated"),
]


Yes = Annotated[bool, typer.Option("--yes", "-y", help="skip the confirmation prompt")]


AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]


CsvFile = Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="write the full list to a CSV file")]


class Switch(StrEnum):
    """What is switched on the command line."""

    ON = "on"
    OFF = "off"


class ContactChoice(StrEnum):
    """What becomes of emergency contacts."""

    HOLD = "hold"
    LEAVE_OUT = "leave-out"


DistrictOrAll = Annotated[
    str | None,
    typer.Argument(metavar="DISTRICT", parser=clean, help="only this district; otherwise all districts"),
]


Until = Annotated[
    str | None,
    typer.Option("--until", metavar="TIME", help="when the pause ends on its own, e.g. 2026-11-24T18:00"),
]


OneHold = Annotated[int, typer.Argument(metavar="ID", help="the hold's number")]


HoldIds = Annotated[list[int] | None, typer.Argument(metavar="ID", help="the holds' numbers")]


OfDistrict = Annotated[
    str | None,
    typer.Option("--district", metavar="ID", parser=clean, help="all holds of this district instead"),
]


Why = Annotated[str | None, typer.Option("--why", metavar="TEXT", help="reason, stored and shown with the hold")]
