"""Checks of an installation, run one after the other: each finds one thing well or not, and says how to mend it."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from errors import RollcallError

SECONDS = 30.0  # that a check may take, unless it says otherwise


class State(StrEnum):
    """How a check ended, from well to bad; skipped: it needs something that isn't well."""

    OK = "ok"
    SKIPPED = "skipped"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """What a check found and, where that isn't well, how to mend it. Neither holds personal data."""

    state: State
    found: str
    remedy: str = ""


@dataclass(frozen=True)
class Check:
    """A look at one thing. needs: the names of earlier checks without which it would find nothing new."""

    name: str
    look: Callable[[], Finding]
    needs: tuple[str, ...] = ()
    seconds: float = SECONDS


@dataclass(frozen=True)
class Result:
    """What the check of this name found."""

    name: str
    state: State
    found: str
    remedy: str


def ok(found: str) -> Finding:
    """All is well."""
    return Finding(State.OK, found)


def skipped(found: str) -> Finding:
    """There is nothing to look at."""
    return Finding(State.SKIPPED, found)


def warning(found: str, remedy: str) -> Finding:
    """It works, but somebody should know."""
    return Finding(State.WARNING, found, remedy)


def problem(found: str, remedy: str) -> Finding:
    """It doesn't work, or won't."""
    return Finding(State.PROBLEM, found, remedy)


def of_error(error: RollcallError, remedy: str) -> Finding:
    """The problem that an error of ours tells of, which most often names the remedy itself, behind a colon."""
    found, _, says = str(error).partition(": ")
    return problem(found, f"{says[:1].upper()}{says[1:]}." if says else remedy)


def together(findings: Iterable[Finding], well: str) -> Finding:
    """Several findings of one check as one: what isn't well, with each remedy once. well: what to say if all is."""
    bad = [each for each in findings if each.state in (State.WARNING, State.PROBLEM)]
    if not bad:
        return ok(well)
    state = State.PROBLEM if any(each.state == State.PROBLEM for each in bad) else State.WARNING
    return Finding(state, "; ".join(each.found for each in bad), " ".join(dict.fromkeys(each.remedy for each in bad)))


def examine(checks: Sequence[Check]) -> Iterator[Result]:
    """Make each check in turn. Whatever happens in one, the others still run, but those that need it."""
    failed: set[str] = set()
    for check in checks:
        lacking = [name for name in check.needs if name in failed]
        finding = skipped(f'first mend "{lacking[0]}"') if lacking else _look(check)
        if lacking or finding.state == State.PROBLEM:
            failed.add(check.name)
        yield Result(check.name, finding.state, finding.found, finding.remedy)


def _look(check: Check) -> Finding:
    found: list[Finding] = []

    def look() -> None:
        try:
            found.append(check.look())
        except RollcallError as error:
            found.append(of_error(error, "Mend that, then run `rollcall doctor` again."))
        except Exception as error:  # noqa: BLE001 - a check must not keep the others from running
            # Its text could hold anything, personal data included.
            found.append(
                problem(f"the check itself failed ({type(error).__name__})", "Please report this to Rollcall's makers.")
            )

    # A thread that hangs can't be stopped, but left behind: as a daemon it doesn't keep the program from ending.
    thread = threading.Thread(target=contextvars.copy_context().run, args=(look,), daemon=True)
    thread.start()
    thread.join(check.seconds)
    if found:
        return found[0]
    return problem(
        f"no answer within {check.seconds:g} seconds",
        "Something that it needs hangs: the network, a disk or a server. Mend that, then run `rollcall doctor` again.",
    )
