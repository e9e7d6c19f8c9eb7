"""The database and the landing area every task works with, as the settings say."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from models.database import Database, open_database
from settings import get_settings


def database() -> Database:
    """The installation's database, opened once per process and address.

    Raises:
        SetupError, SchemaError, DatabaseUnavailable: as `open_database`.
    """
    settings = get_settings()
    return _open(settings.database_url, settings.backups)


@cache
def _open(url: str, backups: Path) -> Database:
    return open_database(url, backups=backups)


def landing() -> Path:
    """Where raw deliveries are kept."""
    return get_settings().landing
