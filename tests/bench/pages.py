"""What the report's pages cost while 50 people read them and a night runs: `make bench-pages`. No test.

Run as `python -m tests.bench.pages [SIZE]`: city (2,000 schools, a million accounts; unless told) or town
(200 schools, 100,000 accounts). The city's rows are written in bulk; the night that runs meanwhile, in a process of
its own, is another district's. A page's time is
the server's own, from its Server-Timing header; what readers saw has their machine in it, which is the same one here.

It models 50 people, each with one page open: they open one of PAGES, read it for 10 to 30 seconds and open the next.
Meanwhile the page of a district or school that they see follows by itself, as htmx does: every 5 seconds.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import polars as pl
from rich.console import Console
from rich.table import Table

from models import bulk
from models.database import Database, migrate, open_database
from models.tables import Delivery, District, Run, Source
from report.serving import served
from sandbox.csv_files import write_files
from sandbox.days import next_day
from sandbox.generator import District as Generated
from sandbox.generator import generate
from services import clock, school_counts
from services.access import sessions
from services.operations.setup import apply_setup, read_setup
from settings import Settings
from tests.bench.__main__ import postgresql
from tests.bench.cases import setup
from tests.bench.readers import HTML
from tests.end_to_end.nights import play

SIZES = {"town": (200, 100_000), "city": (2_000, 1_000_000)}
READERS, SECONDS, THINKING = 50, 60.0, (10.0, 30.0)
FOLLOWED_EVERY = 5.0
WARM_UP = 20.0  # seconds that do not count, as everything is read for the first time then
TARGET = 200.0  # ms, of the p95 of the server's time
NIGHTS = 14
ALERTS, ERRORS = ("student_without_class", "phone_invalid"), ("teacher_email_missing", "class_teacher_unknown")

PAGES: dict[str, tuple[str, dict[str, str]]] = {
    "district": ("/districts/city", HTML),
    "district, JSON": ("/districts/city", {"Accept": "application/json"}),
    "school": ("/schools/city/s{school}", HTML),
    "school, JSON": ("/schools/city/s{school}", {"Accept": "application/json"}),
    "person": ("/schools/city/s{school}/people/city-link-{school}", HTML),
}
# What a page that is open asks for by itself.
FOLLOWED: dict[str, tuple[str, str]] = {
    "district": ("district, followed", "/districts/city"),
    "school": ("school, followed", "/schools/city/s{school}/live?seen="),
}

out = Console(highlight=False, width=100)  # a row of the table is one line, in a file too


@dataclass(frozen=True)
class Seen:
    """One answer: of which page, its status and size, and how long it took the server and the reader, in ms."""

    page: str
    status: int
    size: int
    server: float
    reader: float


def main() -> None:
    """Measure the pages on each database."""
    size = sys.argv[1] if sys.argv[1:] else "city"
    schools, accounts = SIZES[size]
    out.print(f"\n{schools:,} schools, {accounts:,} accounts, {READERS} readers for {SECONDS:.0f} s while a night runs")
    with tempfile.TemporaryDirectory() as folder:
        _show("SQLite", Path(folder), f"sqlite:///{folder}/rollcall.sqlite", schools, accounts)
    with tempfile.TemporaryDirectory() as folder, postgresql() as url:
        migrate(url, backups=None)
        _show("PostgreSQL", Path(folder), url, schools, accounts)


def _show(name: str, home: Path, url: str, schools: int, accounts: int) -> None:
    district = generate(1, schools=10, students=5_000)
    with open_database(url, backups=None) as database:
        (home / "setup.toml").write_text(setup(district))
        with database.transaction() as session:
            apply_setup(session, read_setup(home / "setup.toml"))
        fill(database, schools, accounts)
        tokens = _signed_in(database)
        settings = Settings(home=home, database_url=url)
        with _nights(url, home, district) as nights, served(database, settings) as address:
            seen = _read(address, tokens, schools)
        out.print(_table(name, seen, nights()))


def _table(name: str, seen: list[Seen], nights: int) -> Table:
    table = Table(f"{name}, {nights} nights meanwhile", box=None, pad_edge=False)
    for column in ("answers", "refused", "KB", "p50", "p95", "worst", "readers' p95", ""):
        table.add_column(column, justify="right")
    for page in (*PAGES, *(followed for followed, _ in FOLLOWED.values())):
        of_page = [each for each in seen if each.page == page]
        good = [each for each in of_page if each.status == 200]
        if not good:
            table.add_row(page, "0", str(len(of_page)), *["-"] * 5)
            continue
        server, reader = sorted(each.server for each in good), sorted(each.reader for each in good)
        p95 = _at(server, 0.95)
        figures = (_at(server, 0.5), p95, server[-1], _at(reader, 0.95))
        table.add_row(
            page,
            str(len(good)),
            str(len(of_page) - len(good)),
            f"{max(each.size for each in good) / 1000:.0f}",
            *[f"{milliseconds:.0f} ms" for milliseconds in figures],
            f"over {TARGET:.0f} ms" if p95 > TARGET else "",
        )
    return table


def _at(ordered: list[float], share: float) -> float:
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def fill(database: Database, schools: int, accounts: int) -> None:
    """Write the city: its schools, people, issues, holds, and two weeks of runs."""
    now = clock.now()
    with database.transaction() as session:
        session.add(District(id="city", name="City", timezone="America/Chicago", administrators=_readers(), position=1))
        session.flush()
        session.add(Source(id="city/files", district_id="city", key="files", kind="csv", format="csv-1.0"))
        session.flush()
        delivery = Delivery(source_id="city/files", received_at=now, last_received_at=now, outcome="clean")
        session.add(delivery)
        session.flush()
        runs = [
            Run(
                district_id="city",
                source_id="city/files",
                delivery_id=delivery.id,
                processing_since=now - timedelta(days=night),
                started_at=now - timedelta(days=night),
                heartbeat_at=now - timedelta(days=night),
                ended_at=now - timedelta(days=night),
                outcome="done",
            )
            for night in range(NIGHTS, 0, -1)
        ]
        for run in runs:
            session.add(run)
            session.flush()
        numbers = pl.DataFrame({"number": range(schools)})
        bulk.insert(session, "school", _schools(numbers))
        _insert_people(session, schools, accounts, now)
        school_counts.recount(session, [f"city/s{number}" for number in range(schools)])
        for run in runs:
            bulk.insert(session, "school_run", _school_runs(numbers, run, delivery))
            bulk.insert(session, "status_change", _changes(numbers, run))
        bulk.insert(session, "issue", _issues(numbers))
        _insert_holds(session, numbers, now)
    if database.dialect == "postgresql":
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ANALYZE")


def _readers() -> list[str]:
    return [f"reader{number}@city.example" for number in range(READERS)]


_ID = pl.format("city/s{}", "number")


def _schools(numbers: pl.DataFrame) -> pl.DataFrame:
    return numbers.select(
        id=_ID,
        district_id=pl.lit("city"),
        key=pl.format("s{}", "number"),
        name=pl.format("Public School {}", "number"),
        source_id=pl.lit("city/files"),
        external_id=pl.col("number").cast(pl.String),
        position="number",
        administrators=pl.format('["office{}@city.example"]', "number"),
    )


def _insert_people(session: Any, schools: int, accounts: int, now: Any) -> None:
    people = pl.DataFrame({"n": range(accounts)}).with_columns(
        account=pl.format("city-account-{}", "n"),
        link=pl.format("city-link-{}", "n"),
        is_teacher=pl.col("n") % 20 == 0,
        first_name=pl.format("First{}", pl.col("n") % 997),
        last_name=pl.format("Last{}", pl.col("n") % 9973),
    )
    role = pl.when("is_teacher").then(pl.lit("teacher")).otherwise(pl.lit("student"))
    names = ("first_name", "last_name")
    bulk.insert(
        session, "account", people.select(pl.col("account").alias("id"), *names, role=role, created_at=pl.lit(now))
    )
    bulk.insert(
        session,
        "link",
        people.select(
            pl.col("link").alias("id"),
            *names,
            account_id="account",
            source_id=pl.lit("city/files"),
            kind=pl.when("is_teacher").then(pl.lit("employee")).otherwise(pl.lit("student")),
            role=role,
            external_id=pl.col("n").cast(pl.String),
        ),
    )
    bulk.insert(
        session,
        "school_membership",
        people.select(
            pl.format("city-membership-{}", "n").alias("id"),
            link_id="link",
            school_id=pl.format("city/s{}", pl.col("n") % schools),
        ),
    )


def _school_runs(numbers: pl.DataFrame, run: Run, delivery: Delivery) -> pl.DataFrame:
    return numbers.select(
        run_id=pl.lit(run.id),
        school_id=_ID,
        source_id=pl.lit("city/files"),
        delivery_id=pl.lit(delivery.id),
        at=pl.lit(run.started_at),
        outcome=pl.lit("applied"),
        counts=pl.lit(json.dumps({"accounts_created": 2, "accounts_updated": 3})),
        teachers=pl.lit(25),
        students=475 + pl.col("number") % 7,
        errors=pl.col("number") % 5,
        alerts=pl.col("number") % 11,
    )


def _changes(numbers: pl.DataFrame, run: Run) -> pl.DataFrame:
    return pl.concat(
        numbers.select(school_id=_ID, at=pl.lit(run.started_at), status=pl.lit(status), reason=pl.lit("a run"))
        for status in ("processing", "connected")
    )


def _issues(numbers: pl.DataFrame) -> pl.DataFrame:
    codes = pl.DataFrame({"code": [*ALERTS * 5, *ERRORS * 2]}).with_row_index("nth")
    return numbers.join(codes, how="cross").select(
        source_id=pl.lit("city/files"),
        school_id=_ID,
        code="code",
        file=pl.lit("students.csv"),
        line=(pl.col("number") * 20 + pl.col("nth") + 2).cast(pl.Int64),
        record_id=pl.format("{}-{}", "number", "nth"),
        row=pl.lit(json.dumps({"student_id": "1", "student_first_name": "Ida"})),
    )


def _insert_holds(session: Any, numbers: pl.DataFrame, now: Any) -> None:
    held = numbers.filter(pl.col("number") % 20 == 0)
    first = 1_000_000  # far from the numbers of the other district's
    holds = held.select(id=pl.col("number") + first, school_id=_ID, opened_at=pl.lit(now))
    bulk.insert(session, "hold", holds)
    counts = json.dumps({"students": {"removed": 50, "before": 475}})
    bulk.insert(
        session,
        "hold_reason",
        held.select(
            hold_id=pl.col("number") + first, code=pl.lit("data_removals"), since=pl.lit(now), counts=pl.lit(counts)
        ),
    )
    items = held.join(pl.DataFrame({"nth": range(50)}), how="cross")
    bulk.insert(
        session,
        "hold_item",
        items.select(
            hold_id=pl.col("number") + first,
            type=pl.lit("students"),
            key=pl.format("city-link-{}", "nth"),
            record_id=pl.col("nth").cast(pl.String),
            name=pl.lit("Ida Moen"),
        ),
    )


def _signed_in(database: Database) -> list[str]:
    with database.transaction() as session:
        return [sessions.begin(session, reader, "link", now=clock.now()) for reader in _readers()]


@contextmanager
def _nights(url: str, home: Path, district: Generated) -> Iterator[Any]:
    """Nights of the other district, one after the other in a process of their own; gives how many there were."""
    context = multiprocessing.get_context("spawn")
    stop, played = context.Event(), context.Value("i", 0)
    for night in range(3):
        write_files(home / f"night{night}", next_day(district, night + 2, joined=50, left=50, changed=50).csv_files())
    process = context.Process(target=_play_nights, args=(url, home, stop, played))
    process.start()
    try:
        yield lambda: played.value
    finally:
        stop.set()
        process.join()


def _play_nights(url: str, home: Path, stop: Any, played: Any) -> None:
    with open_database(url, backups=None) as database:
        while not stop.is_set():
            night = home / f"night{played.value % 3}"
            write_files(home / "drop", {file.name: file.read_bytes() for file in night.iterdir()})
            play(database, home / "landing")
            played.value += 1


def _read(address: str, tokens: list[str], schools: int) -> list[Seen]:
    """What the readers saw, who are in a process of their own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_readers_at, (address, tokens, schools))


def _readers_at(address: str, tokens: list[str], schools: int) -> list[Seen]:
    return asyncio.run(_all(address, tokens, schools))


async def _all(address: str, tokens: list[str], schools: int) -> list[Seen]:
    counted_from = time.monotonic() + WARM_UP
    found = await asyncio.gather(*(_reader(address, token, schools, counted_from) for token in tokens))
    return [each for of_reader in found for each in of_reader]


async def _reader(address: str, token: str, schools: int, counted_from: float) -> list[Seen]:
    seen: list[Seen] = []
    luck = random.Random(token)
    limits = httpx.Limits(keepalive_expiry=2.0)  # less than the server waits
    until = counted_from + SECONDS

    async def ask(page: str, path: str, headers: dict[str, str]) -> None:
        begun, started = time.monotonic(), time.perf_counter()
        answer = await client.get(path, headers=headers)
        taken = (time.perf_counter() - started) * 1000
        server = float(answer.headers.get("server-timing", "app;dur=0").partition("dur=")[2])
        if begun >= counted_from:
            seen.append(Seen(page, answer.status_code, answer.num_bytes_downloaded, server, taken))

    async with httpx.AsyncClient(base_url=address, cookies={"rollcall": token}, timeout=60, limits=limits) as client:
        await asyncio.sleep(luck.uniform(0, THINKING[0]))
        while time.monotonic() < until:
            page, school = luck.choice(list(PAGES)), luck.randrange(schools)
            path, headers = PAGES[page]
            await ask(page, path.format(school=school), headers)
            read_until = min(time.monotonic() + luck.uniform(*THINKING), until)
            while (left := read_until - time.monotonic()) > FOLLOWED_EVERY and page in FOLLOWED:
                await asyncio.sleep(FOLLOWED_EVERY)
                followed, path = FOLLOWED[page]
                await ask(followed, path.format(school=school), {**HTML, "HX-Request": "true"})
            await asyncio.sleep(max(0.0, min(left, read_until - time.monotonic())))
    return seen


if __name__ == "__main__":
    main()
