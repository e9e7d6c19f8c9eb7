"""Write the next migration: ``python -m models.migrations WORDS``."""

from __future__ import annotations

import sys

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from models.database import KNOWN_REVISIONS, MIGRATIONS


def write_next(words: str) -> None:
    """Compare the tables with what the migrations give, and write the difference down as the next migration."""
    with create_engine("sqlite://").connect() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
        config.set_main_option("path_separator", "os")
        if KNOWN_REVISIONS:
            command.upgrade(config, "head")
        command.revision(config, words, autogenerate=True, rev_id=f"{len(KNOWN_REVISIONS) + 1:04}")


if __name__ == "__main__":
    write_next(" ".join(sys.argv[1:]))
