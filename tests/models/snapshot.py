"""Write an installation down as the snapshot of its schema: ``python -m tests.models.snapshot HOME``, see CONTRIBUTING.

Its database becomes tests/upgrades/NNNN.sql.gz, and the files of the current deliveries NNNN.landing.tar.gz.
"""

from __future__ import annotations

import gzip
import io
import sqlite3
import sys
import tarfile
from contextlib import closing
from pathlib import Path

from tests.models.migrating import UPGRADES

FIRST_LINE = (
    "-- The demo of Rollcall with schema {}, and what CONTRIBUTING.md has added to it. Everybody is invented.\n"
)
CURRENT = "SELECT d.path FROM delivery d JOIN source s ON s.current_delivery_id = d.id ORDER BY d.path"


def write_snapshot(home: Path) -> None:
    """Write down what lies in an embedded installation's home, without the places of this machine."""
    with closing(sqlite3.connect(home / "rollcall.sqlite")) as connection:
        (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        dump = "\n".join(connection.iterdump()).replace(str(home.parent), "/srv/demo")
        deliveries = [path for (path,) in connection.execute(CURRENT)]
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for file in (file for path in deliveries for file in sorted((home / "landing" / path).iterdir())):
            entry = tarfile.TarInfo(str(file.relative_to(home / "landing")))
            entry.size = file.stat().st_size
            tar.addfile(entry, io.BytesIO(file.read_bytes()))
    for name, content in (
        ("sql.gz", f"{FIRST_LINE.format(revision)}{dump}\n".encode()),
        ("landing.tar.gz", archive.getvalue()),
    ):
        (UPGRADES / f"{revision}.{name}").write_bytes(gzip.compress(content, mtime=0))


if __name__ == "__main__":
    write_snapshot(Path(sys.argv[1]).resolve())
