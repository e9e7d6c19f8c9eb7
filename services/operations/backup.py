"""A copy of the embedded database on request; restoring one is putting the file back while nothing runs."""

from __future__ import annotations

from pathlib import Path

from errors import NotPossible
from models.database import Database, copy_embedded


def backup(database: Database, file: Path) -> None:
    """Copy the embedded database into a new file, whole and consistent even while a night is running.

    Raises:
        NotPossible: the database is PostgreSQL, the file exists, or it cannot be written there.
        DatabaseUnavailable, DataError: the copy could not be made.
    """
    if database.dialect != "sqlite":
        raise NotPossible("this database is PostgreSQL: back it up with pg_dump")
    if file.exists():
        raise NotPossible(f"{file} already exists and will not be overwritten")
    if not file.parent.is_dir():
        raise NotPossible(f"{file.parent} is not a folder")
    copy_embedded(Path(str(database.engine.url.database)), file)
