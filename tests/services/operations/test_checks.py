"""Checks run one after the other: what one needs, what one breaks, and none that hangs."""

from __future__ import annotations

import threading

from errors import SchemaError
from services.operations.checks import (
    Check,
    Finding,
    Result,
    State,
    examine,
    ok,
    problem,
    skipped,
    together,
    warning,
)


def fails_with_a_name() -> Finding:
    raise ValueError("Ada Lovelace")


def refuses() -> Finding:
    raise SchemaError("the schema (0007) is older than 0008: run `rollcall migrate`")


def test_a_check_that_needs_a_failed_one_is_skipped_and_all_others_run() -> None:
    checks = [
        Check("roof", lambda: warning("leaks", "Mend it.")),
        Check("door", lambda: problem("jammed", "Oil it.")),
        Check("room", fails_with_a_name, needs=("roof", "door")),
        Check("bed", fails_with_a_name, needs=("room",)),
        Check("attic", lambda: skipped("there is none")),
        Check("beam", lambda: ok("sound"), needs=("roof", "attic")),
    ]
    assert list(examine(checks)) == [
        Result("roof", State.WARNING, "leaks", "Mend it."),
        Result("door", State.PROBLEM, "jammed", "Oil it."),
        Result("room", State.SKIPPED, 'first mend "door"', ""),
        Result("bed", State.SKIPPED, 'first mend "room"', ""),
        Result("attic", State.SKIPPED, "there is none", ""),
        Result("beam", State.OK, "sound", ""),
    ]


def test_a_check_that_raises_is_a_problem_that_shows_no_value() -> None:
    assert list(examine([Check("people", fails_with_a_name), Check("database", refuses)])) == [
        Result(
            "people",
            State.PROBLEM,
            "the check itself failed (ValueError)",
            "Please report this to Rollcall's makers.",
        ),
        Result("database", State.PROBLEM, "the schema (0007) is older than 0008", "Run `rollcall migrate`."),
    ]


def test_a_check_that_hangs_is_left_behind() -> None:
    never = threading.Event()

    def hangs() -> Finding:
        never.wait()
        return ok("")

    try:
        found = list(examine([Check("disk", hangs, seconds=0.05), Check("clock", lambda: ok("right"))]))
    finally:
        never.set()
    assert found == [
        Result(
            "disk",
            State.PROBLEM,
            "no answer within 0.05 seconds",
            "Something that it needs hangs: the network, a disk or a server. Mend that, then run `rollcall doctor`"
            " again.",
        ),
        Result("clock", State.OK, "right", ""),
    ]


def test_findings_together_are_as_bad_as_the_worst_with_each_remedy_once() -> None:
    assert together([ok("a"), skipped("b")], "well") == ok("well")
    assert together([ok("a"), warning("b", "Do.")], "well") == warning("b", "Do.")
    assert together([warning("a", "Do."), problem("b", "Mend."), problem("c", "Do.")], "well") == problem(
        "a; b; c", "Do. Mend."
    )
