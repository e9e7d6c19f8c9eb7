"""Commands that keep the database and the landing area in order."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
import typer.core
from rich.markup import escape

from cli.app import app
from cli.console import opened, out
from models.database import migrate
from services import clock
from services.operations import housekeeping
from services.operations.backup import backup
from settings import get_settings


@app.command(name="migrate", rich_help_panel="Maintain")
def migrate_command() -> None:
    """Upgrade the database schema. SQLite upgrades itself when opened; PostgreSQL only with this command."""
    settings = get_settings()
    before, after = migrate(settings.database_url, backups=settings.backups)
    out.print(f"schema {after}, nothing to do" if before == after else f"schema {before or 'none'} → {after}")


@app.command(name="backup", rich_help_panel="Maintain")
def backup_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="destination file; must not exist yet")],
) -> None:
    """Copy the embedded database, consistent even while a run writes. See the README for restoring it."""
    with opened() as database:
        backup(database, file)
    out.print(f"backed up to {escape(str(file))}")


@app.command(name="housekeeping", rich_help_panel="Maintain")
def housekeeping_command() -> None:
    """Delete what is past its 30-day retention, and anonymize people who were archived long ago.

    Delivered files, hold evidence, old issues, sent email and copies of the database are deleted.
    """
    with opened() as database:
        settings = get_settings()
        cleaned = housekeeping.clean(
            database,
            landing=settings.landing_area,
            now=clock.now(),
            policy=settings.retention,
            backups=settings.backups,
        )
    out.print(str(cleaned))
