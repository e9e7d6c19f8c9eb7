"""One measured step in a process of its own: `python -m tests.bench.step NAME FOLDER [SIZE or URL]` prints it as JSON.

Peak memory is that of the process, Python and its libraries included (about 200 MB).
"""

from __future__ import annotations

import json
import resource
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import psycopg

from models.database import open_database
from services.operations.setup import apply_setup, read_setup
from tests.bench.cases import FIRST, SIZES, write_deliveries
from tests.end_to_end.nights import play

# Which stage of a night a call of `step` ends; those left out end none of their own.
STAGES = {"fetched": "take", "read": "read", "planned": "check to plan", "finished": "write"}
TABLES = ("account", "link", "school_membership", "class", "class_membership", "guardianship")
MEGABYTE = 1024


def night(name: str, folder: Path, url: str) -> dict[str, float]:
    """The seconds of each stage of a night, without Prefect."""
    with open_database(url, backups=None) as database:
        if name == FIRST:
            with database.transaction() as session:
                apply_setup(session, read_setup(folder / "setup.toml"))
        shutil.rmtree(folder / "drop", ignore_errors=True)
        shutil.copytree(folder / name, folder / "drop")
        laps = dict.fromkeys(STAGES.values(), 0.0)
        last = time.perf_counter()

        def step(ended: str) -> None:
            nonlocal last
            if ended in STAGES:
                laps[STAGES[ended]] += time.perf_counter() - last
                last = time.perf_counter()

        play(database, folder / "landing", step=step)
    return laps


def parse(folder: Path) -> dict[str, float]:
    """Polars reading the five files of the first night."""
    return {"parse": _taken(lambda: [pl.read_csv(file, infer_schema=False) for file in (folder / FIRST).iterdir()])}


def rows(url: str) -> dict[str, float]:
    """Reading all canonical rows back as frames, and copying them into tables without keys or indexes."""
    with closing(psycopg.connect(url, autocommit=True)) as connection, connection.cursor() as cursor:
        frames: dict[str, bytes] = {}

        def read() -> None:
            for table in TABLES:
                columns = zip(*cursor.execute(f"SELECT * FROM {table}").fetchall(), strict=True)
                pl.DataFrame([pl.Series(str(number), values) for number, values in enumerate(columns)])

        def copy() -> None:
            for table, content in frames.items():
                with cursor.copy(f"COPY bare.{table} FROM STDIN (FORMAT csv)") as copied:
                    copied.write(content)

        cursor.execute("DROP SCHEMA IF EXISTS bare CASCADE")
        cursor.execute("CREATE SCHEMA bare")
        for table in TABLES:
            cursor.execute(f"CREATE TABLE bare.{table} AS SELECT * FROM {table} WITH NO DATA")
            with cursor.copy(f"COPY {table} TO STDOUT (FORMAT csv)") as copied:
                frames[table] = b"".join(copied)
        measured = {"read back": _taken(read), "copy": _taken(copy)}
        cursor.execute("DROP SCHEMA bare CASCADE")
    return measured


def _taken(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main(name: str, folder: Path, more: str = "") -> None:
    """Make the deliveries, or measure a night or a floor, and print what came of it. more: the size, or the address."""
    if name == "deliveries":
        sys.stdout.write(json.dumps({"counts": write_deliveries(SIZES[more], folder).counts()}) + "\n")
        return
    measured: dict[str, Any]
    if name == "parse":
        measured = parse(folder)
    elif name == "rows":
        measured = rows(more)
    else:
        measured = night(name, folder, more)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEGABYTE
    sys.stdout.write(json.dumps({"seconds": measured, "peak_mb": peak}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
