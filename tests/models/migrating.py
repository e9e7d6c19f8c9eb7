"""Bringing a database to any of the released schemas."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from models.database import MIGRATIONS


def upgrade(connection: Connection, revision: str) -> None:
    """Bring what the connection leads to forward to this revision."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    command.upgrade(config, revision)
