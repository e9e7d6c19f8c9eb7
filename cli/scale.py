"""docs/scale.md, what an installation of any size needs: computed from the figures of `make bench`.

The figures are those of docs/figures.json, which is the file that `make bench SIZE=district` writes. To renew the page,
copy a new one there and run `make docs`. What is not measured is assumed, and named in ASSUMPTIONS.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FIGURES: Final = Path(__file__).parent.parent / "docs" / "figures.json"

# The nights of `make bench`, by its names.
FIRST, SAME_BYTES, SAME_ROWS, CHANGED = "first load", "same bytes", "same rows in other bytes", "1 % changed"
GIGABYTE = 1000  # MB


@dataclass(frozen=True)
class Assumption:
    """A number that is not measured by `make bench`, and what it says."""

    value: float
    meaning: str


ASSUMPTIONS: Final[Mapping[str, Assumption]] = {
    "hours": Assumption(6, "hours that a night has: 11 PM to 5 AM"),
    "used": Assumption(0.5, "share of them that is planned for; the rest is for retries, late files and growth"),
    "changed": Assumption(1, "share of the districts that send changed files in a night; 1% of their students changed"),
    "district_seconds": Assumption(2, "seconds a district takes beside its data, most of them Prefect's"),
    "school_seconds": Assumption(0.15, "seconds a changed school takes beside its data if it has a run of its own"),
    "district_runs": Assumption(100, "districts of a night that have a run each; more are shared by shards"),
    "school_runs": Assumption(300, "changed schools of a district that have a run each (`ROLLCALL_SCHOOL_RUNS`)"),
    "shards": Assumption(1, "shards for each run at once (`ROLLCALL_SHARDS`)"),
    "run_rows": Assumption(79, "rows that a run with six tasks leaves in Prefect's database: 20 events, 59 resources"),
    "school_rows": Assumption(4, "such rows of a changed school without a run of its own"),
    "event_days": Assumption(3, "days that Prefect keeps events"),
    "delivery_days": Assumption(30, "days that the landing area keeps a delivery"),
    "nights": Assumption(180, "nights with changes in a school year"),
    "run_connections": Assumption(3, "database connections of a run: its own, its heartbeat's, one that reads columns"),
    "report_connections": Assumption(15, "database connections of a process of the report, at most"),
    "readers": Assumption(0.02, "open pages of the report at once, for each school"),
    "page_seconds": Assumption(0.03, "seconds of a core for an answer of the report"),
    "page_every": Assumption(5, "seconds between two answers to an open page"),
}


@dataclass(frozen=True)
class Installation:
    """How large an installation is. largest: students of its largest district."""

    name: str
    districts: int
    schools: int
    students: int
    largest: int


SIZES: Final = (
    Installation("a district", 1, 200, 100_000, 100_000),
    Installation("a city", 1, 1_800, 1_000_000, 1_000_000),
    Installation("a state", 500, 4_000, 2_000_000, 200_000),
    Installation("a country", 13_000, 100_000, 50_000_000, 1_000_000),
)


@dataclass(frozen=True)
class Need:
    """What an installation needs. work, first_load: minutes. Memory and disk in GB; log and rows are of one night."""

    work: float
    runs_at_once: int
    memory: float
    first_load: float
    database: float
    year: float
    log: float
    rows_a_second: float
    connections: int
    prefect_runs: int
    prefect_rows: int
    landing: float
    report_processes: int


def scale_page() -> str:
    """The page, from the figures as they are now."""
    figures = json.loads(FIGURES.read_text("utf-8"))
    needs = {size: need(size, figures) for size in SIZES}
    return "\n".join([_HEAD, _table(needs), _text(needs[SIZES[-1]], figures), _assumed(figures)])


def need(size: Installation, figures: Mapping[str, Any]) -> Need:
    """What an installation of this size needs, by the figures and ASSUMPTIONS."""
    assumed = {name: each.value for name, each in ASSUMPTIONS.items()}
    times = size.students / figures["counts"]["students"]
    nights = figures["PostgreSQL"]
    gigabytes = times / GIGABYTE

    has_shards = size.districts > assumed["district_runs"]
    has_school_runs = not has_shards and size.schools / size.districts <= assumed["school_runs"]
    beside = size.districts * assumed["district_seconds"]
    beside += size.schools * assumed["school_seconds"] * has_school_runs
    work = (times * _seconds(nights[CHANGED]) + beside) * assumed["changed"]
    window = assumed["hours"] * 3600
    # A district is synced by one run, so that more runs than districts are of no use.
    runs = min(size.districts, max(1, math.ceil(work / (window * assumed["used"]))))
    largest = size.largest / figures["counts"]["students"]
    peak = max(night["peak_mb"] for night in nights.values())
    report = max(1, math.ceil(size.schools * assumed["readers"] * assumed["page_seconds"] / assumed["page_every"]))
    runs_of_prefect = runs * assumed["shards"] if has_shards else size.districts + size.schools * has_school_runs
    rows = runs_of_prefect * assumed["run_rows"] + size.schools * assumed["school_rows"] * (not has_school_runs)
    return Need(
        work=work / 60,
        runs_at_once=runs,
        memory=(largest + (runs - 1) * min(largest, 1)) * peak / GIGABYTE,
        first_load=(times * _seconds(nights[FIRST]) + beside) / runs / 60,
        database=nights[FIRST]["database_mb"] * gigabytes,
        year=(nights[CHANGED]["database_mb"] - nights[SAME_ROWS]["database_mb"]) * gigabytes * assumed["nights"],
        log=(nights[CHANGED]["log_mb"] - nights[SAME_ROWS]["log_mb"]) * gigabytes * assumed["changed"],
        rows_a_second=(nights[CHANGED]["rows"] - nights[SAME_ROWS]["rows"]) * times / (work / runs),
        connections=int(runs * assumed["run_connections"] + report * assumed["report_connections"]),
        prefect_runs=int(runs_of_prefect),
        prefect_rows=int(rows * assumed["event_days"]),
        landing=figures["delivery_mb"] * gigabytes * assumed["changed"] * assumed["delivery_days"],
        report_processes=report,
    )


def _seconds(night: Mapping[str, Any]) -> float:
    return float(sum(night["seconds"].values()))


def shown(number: float) -> str:
    """A number as the page shows it: its first two digits, and zeros for the others."""
    if number == 0:
        return "0"
    digits = 1 - math.floor(math.log10(abs(number)))
    return f"{round(number, digits):,.{max(0, 0 if isinstance(number, int) else digits)}f}"


def _table(needs: Mapping[Installation, Need]) -> str:
    rows: dict[str, list[str]] = {
        "districts": [f"{size.districts:,}" for size in needs],
        "schools": [f"{size.schools:,}" for size in needs],
        "students": [f"{size.students:,}" for size in needs],
        "students of the largest district": [f"{size.largest:,}" for size in needs],
    }
    computed = {
        "**work of a night**, minutes of one run": "work",
        "**runs at once**, each with a core of a worker and one of PostgreSQL": "runs_at_once",
        "**memory of all workers**, GB": "memory",
        "first load of everybody, minutes with as many runs": "first_load",
        "**database**, GB, with indexes": "database",
        "its growth in a school year, GB, at most": "year",
        "its write-ahead log of a night, GB": "log",
        "rows written, each second of a night's work": "rows_a_second",
        "connections to the database": "connections",
        "**runs that Prefect records**, each night": "prefect_runs",
        "rows of events that Prefect keeps": "prefect_rows",
        "**landing area**, GB": "landing",
        "processes of the report, a core each": "report_processes",
    }
    for what, name in computed.items():
        rows[what] = [shown(getattr(each, name)) for each in needs.values()]
    lines = [f"| | {' | '.join(size.name for size in needs)} |", f"|---|{'---:|' * len(needs)}"]
    return "\n".join([*lines, *(f"| {what} | {' | '.join(cells)} |" for what, cells in rows.items())])


def _text(country: Need, figures: Mapping[str, Any]) -> str:
    return _TEXT.format(
        runs=shown(country.runs_at_once),
        unlimited=shown((SIZES[-1].districts + SIZES[-1].schools) * ASSUMPTIONS["run_rows"].value / 1_000_000),
        log=shown(country.log),
        connections=shown(country.connections),
        landing=shown(country.landing / ASSUMPTIONS["delivery_days"].value),
        report=shown(country.report_processes),
        largest=shown(SIZES[-1].largest / figures["counts"]["students"] * _peak(figures)),
        other=shown(_peak(figures)),
        first=shown(country.first_load / 60),
    )


def _peak(figures: Mapping[str, Any]) -> float:
    return float(max(night["peak_mb"] for night in figures["PostgreSQL"].values())) / GIGABYTE


def _assumed(figures: Mapping[str, Any]) -> str:
    counts, nights = figures["counts"], figures["PostgreSQL"]
    measured = {
        f"{counts['students']:,}": f"students, in {counts['schools']:,} schools",
        f"{shown(_seconds(nights[FIRST]))} s": "first load",
        f"{shown(_seconds(nights[CHANGED]))} s": "night with 1% of the students changed",
        f"{shown(_seconds(nights[SAME_ROWS]))} s": "night with the same rows in other bytes",
        f"{shown(_seconds(nights[SAME_BYTES]))} s": "night with the same bytes",
        f"{shown(_peak(figures))} GB": "peak memory of a run",
        f"{shown(nights[FIRST]['database_mb'])} MB": "database after the first load",
        f"{shown(nights[CHANGED]['log_mb'] - nights[SAME_ROWS]['log_mb'])} MB": "write-ahead log of the changed night",
        f"{shown(figures['delivery_mb'])} MB": "a delivery",
    }
    lines = [
        "## Where the figures come from",
        "",
        f"Measured on {figures['date']} by `make bench SIZE=district`, without Prefect, on a machine with "
        f"{figures['machine'].split(',')[0]},",
        "on which PostgreSQL ran too:",
        "",
        "| measured | |",
        "|---:|---|",
        *(f"| {number} | {what} |" for number, what in measured.items()),
        "",
        "All of it is taken to grow with the students. A district of a million took less memory, 10 GB, and somewhat",
        "more time ([performance.md](performance.md)). Assumed:",
        "",
        "| assumed | |",
        "|---:|---|",
        *(f"| {each.value:,g} | {each.meaning} |" for each in ASSUMPTIONS.values()),
    ]
    return "\n".join(lines) + "\n"


_HEAD = """\
<!-- `make docs` writes this page from docs/figures.json and cli/scale.py. -->

# Scale

What an installation needs, by its size. Find the column that is nearest to yours. The figures are computed from what
one district takes on one machine: they tell you what to provide and what to set, not what your night will take to the
minute. Nobody has run a country yet.
"""

_TEXT = """
## What to set for a country

- **Workers**: {runs} runs at once. Start each worker with `--limit` at the number of its cores (`WORKER_LIMIT`). A run
  of 100,000 students takes {other} GB, that of the largest district {largest} GB, and any worker may get it. A first
  load of everybody takes {first} hours: bring districts in over several nights.
- **Shards**: a night of more than 100 districts (`ROLLCALL_DISTRICT_RUNS`) is shared by a few shards, which take one
  district after another from the database. Set `ROLLCALL_SHARDS` to the number of runs at once. A flow run for each
  district and school would leave {unlimited} million rows a night in Prefect's database, more than it clears away.
- **Two work queues**: `rollcall deploy` makes them, `manual` before `nightly`, so that what people start goes first.
- **PostgreSQL for Rollcall**: a server of its own with a core for each run at once, and disks for {log} GB of
  write-ahead log in a night. Set `max_connections` above {connections} and `max_wal_size` to 10 GB or more, and leave
  autovacuum on. Back it up continuously, by archiving its log: a dump takes long.
- **PostgreSQL for Prefect's server**: another server. `prefect.toml` has the other settings: the task run recorder
  writes 200 at a time (`PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE` and `…_READ_BATCH_SIZE`), and the vacuum
  removes runs after 30 days and events after 3.
- **Landing area**: in a bucket on S3-compatible storage, which needs no shared disk. It grows by {landing} GB in a
  night in which every district sends changed files; the same bytes sent again are not kept twice. Housekeeping removes
  files after 30 days.
- **The report**: {report} processes, on machines of their own, with the settings of the workers. The proxy in front of
  them must send a browser to the same process each time: it keeps the previews of a district that is being set up.
- **An alarm outside Prefect**: if its server is down, nothing runs and nothing tells you. Have your monitoring run
  `rollcall doctor`, which names districts whose last night is missing, and ask for Prefect's `/api/health`.
- **If PostgreSQL restarts in the night**, each school is as before or done. A run under Prefect tries again, and the
  next run finishes what one that gave up has left. Meanwhile the report asks its readers to try again in a minute
  (`make bench-load` plays such a night).
"""
