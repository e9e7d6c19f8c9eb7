"""Output: text, JSON, CSV files, local times, and logs."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.markup import escape

from errors import RollcallError, SetupError
from models.database import Database, open_database
from services import clock
from services.districts import get_district
from services.mail import outbox
from services.webhooks import calls
from settings import get_settings

SHOWN = 5  # first locations shown for each code; downloads and JSON hold all


out = Console(highlight=False, soft_wrap=True)


err = Console(stderr=True, highlight=False, soft_wrap=True)


def set_up_logging(log_level: str, *, as_json: bool) -> None:
    """Send logs to stderr, as JSON from this level on, or as text."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if as_json else logging.Formatter("%(levelname)s %(message)s"))
    level = log_level if as_json else "WARNING"
    handler.setLevel(level)  # Prefect's loggers have a level of their own and pass the root's by
    if not as_json:
        # What runs log goes to the server; here the report shows what happened.
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


def log_prefect() -> None:
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


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def write_csv(file: Path, content: str) -> None:
    """Write a download, for its owner's eyes only."""
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
            stream.write(content)
    except OSError as error:
        raise SetupError(f"{file} cannot be written: {error.strerror}") from None
    err.print(f"written to {escape(str(file))}")


def send_mail(database: Database) -> None:
    """Mail administrators and call webhooks; if something cannot be sent now, say so: the next run sends it."""
    settings = get_settings()
    with suppress(RollcallError):
        calls.deliver(database, now=clock.now(), allow_private=settings.webhooks_may_be_private, wait=5)
    try:
        outbox.deliver(
            database,
            settings.mail_transport(),
            sender=settings.mail_sender,
            now=clock.now(),
            report_url=settings.report_url,
            wait=5,
        )
    except RollcallError as error:
        err.print(f"[yellow]Email to administrators is delayed:[/] {escape(str(error))}")


def local_zone() -> tzinfo:
    """Return this machine's time zone."""
    zone = datetime.now().astimezone().tzinfo
    assert zone is not None
    return zone


def moment(text: str, zone: tzinfo) -> datetime:
    """A time as typed: ISO, in the zone given where it names none.

    Raises:
        SetupError: it is none.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SetupError(f'"{text}" is not a valid time. Example: 2026-11-24T18:00') from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)


def zone_of_district(session: Any, district: str) -> ZoneInfo:
    """Return a district's time zone."""
    return ZoneInfo(get_district(session, district).timezone)


def local_time(moment: datetime | None, zone: ZoneInfo) -> str:
    """Return a moment in a time zone, as shown; nothing for none."""
    return "" if moment is None else clock.local_time(moment, zone)
