"""Processes that one command starts, watches and stops, so that none outlives it."""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import psutil

RUNNING = "up.json"  # in the home: where everything is, locked as long as it runs
MARK = "ROLLCALL_UP"  # in the environment of all that was started for an installation: its home
STOPPING = 20.0  # seconds to end by itself, before it is killed
_DIES_WITH_PARENT = 1  # prctl's PR_SET_PDEATHSIG


@dataclass(frozen=True)
class Child:
    """A process that was started: what it is called, where it writes, and itself."""

    name: str
    log: Path
    process: subprocess.Popen[bytes]


@dataclass
class Processes:
    """The processes of an installation, in the order in which they were started.

    home: of the installation. logs: the folder that they write to. environment: over this process's own.
    """

    home: Path
    logs: Path
    environment: Mapping[str, str]
    children: list[Child] = field(default_factory=list)

    def __enter__(self) -> Processes:
        self.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self, name: str, command: Sequence[str], folder: Path) -> Child:
        """Start a command in a folder, in a process group of its own: Ctrl-C reaches it through us only."""
        log = self.logs / f"{name}.log"
        environment = {**os.environ, **self.environment, MARK: str(self.home)}
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb") as stream:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )
        self.children.append(Child(name, log, process))
        return self.children[-1]

    def ended(self) -> Child | None:
        """One that has ended although nobody stopped it; None while all run."""
        return next((child for child in self.children if child.process.poll() is not None), None)

    def stop(self) -> None:
        """Stop all, the last started first, with all that they started themselves."""
        for child in reversed(self.children):
            _signal(child.process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                child.process.wait(STOPPING)
            _signal(child.process.pid, signal.SIGKILL)
            child.process.wait()
        self.children.clear()
        stop_leftovers(self.home)


def stop_leftovers(home: Path) -> int:
    """Stop what was started for an installation and still runs, as after its parent was killed; how many there were."""
    found = [
        process
        for process in psutil.process_iter(["environ", "status"])
        if process.pid != os.getpid()
        and (process.info["environ"] or {}).get(MARK) == str(home)
        and process.info["status"] != psutil.STATUS_ZOMBIE
    ]
    for stop, seconds in ((psutil.Process.terminate, STOPPING), (psutil.Process.kill, 5.0)):
        _, found_alive = psutil.wait_procs(found, 0)
        for process in found_alive:
            with suppress(psutil.NoSuchProcess):
                stop(process)
        psutil.wait_procs(found_alive, seconds)
    return len(found)


def addresses_of_running(home: Path) -> dict[str, str]:
    """Where the report and Prefect of the `rollcall up` that runs for an installation are; empty if none does."""
    with suppress(FileNotFoundError), (home / RUNNING).open(encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            addresses: dict[str, str] = json.loads(file.read() or "{}")
            return addresses
    return {}


def _signal(group: int, wanted: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, wanted)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_DIES_WITH_PARENT, signal.SIGTERM)


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Let SIGTERM, as a service manager sends it, end what is in the `with` as Ctrl-C does."""

    def stop(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
