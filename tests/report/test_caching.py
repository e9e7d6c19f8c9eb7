"""Values kept for a moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from report.caching import LONGEST, MOST, Cached


def at_once(do: Callable[[], object]) -> None:
    do()


def never() -> int:
    raise AssertionError("it is not to be made")


def test_a_value_is_made_once_and_forgotten_when_asked() -> None:
    cached: Cached[int] = Cached(60, at_once)
    made = iter((1, 2, 3))
    assert [cached.get("a", lambda: next(made), never) for _ in range(3)] == [1, 1, 1]
    assert cached.get("b", lambda: next(made), never) == 2
    cached.clear()
    assert cached.get("a", lambda: next(made), never) == 3


def test_nothing_is_kept_for_no_time() -> None:
    cached: Cached[int] = Cached(0, at_once)
    made = iter((1, 2))
    assert [cached.get("a", lambda: next(made), never) for _ in range(2)] == [1, 2]


def test_a_new_value_is_made_in_the_background_for_whoever_asks_next(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("report.caching.time.monotonic", lambda: now[0])
    waiting: list[Callable[[], object]] = []
    cached: Cached[int] = Cached(1.0, waiting.append)
    assert cached.get("a", lambda: 1, never) == 1
    now[0] += 1.5
    # However many ask, one makes it.
    assert [cached.get("a", never, lambda: 2) for _ in range(3)] == [1, 1, 1]
    assert len(waiting) == 1
    waiting.pop()()
    assert cached.get("a", never, never) == 2
    now[0] += LONGEST
    assert cached.get("a", lambda: 3, never) == 3
    now[0] += 1.5
    assert cached.get("a", lambda: 4, None) == 4


def test_a_value_that_could_not_be_made_later_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("report.caching.time.monotonic", lambda: now[0])
    waiting: list[Callable[[], object]] = []
    cached: Cached[int] = Cached(1.0, waiting.append)
    assert cached.get("a", lambda: 1, never) == 1
    now[0] += 1.5
    assert cached.get("a", never, never) == 1
    with pytest.raises(AssertionError):
        waiting.pop()()
    assert cached.get("a", never, lambda: 2) == 1
    waiting.pop()()
    assert cached.get("a", never, never) == 2


def test_a_value_is_made_once_for_all_who_want_it_at_once() -> None:
    kept: Cached[int] = Cached(3600, at_once)
    made: list[int] = []
    begun = threading.Event()

    def make() -> int:
        begun.wait(10)
        made.append(1)
        return len(made)

    with ThreadPoolExecutor(8) as pool:
        found = [pool.submit(kept.get, "key", make, never) for _ in range(8)]
        begun.set()
        assert [each.result() for each in found] == [1] * 8


def test_a_value_that_was_read_before_a_change_is_not_kept_after_it() -> None:
    kept: Cached[str] = Cached(3600, at_once)

    def make() -> str:
        kept.clear()
        return "before"

    assert kept.get("key", make, str) == "before"
    assert kept.get("key", lambda: "after", str) == "after"
    assert kept.get("key", lambda: "later", str) == "after"


def test_values_whose_time_is_over_are_dropped() -> None:
    kept: Cached[int] = Cached(0, at_once)
    for number in range(3 * MOST):
        kept.get(number, lambda: 1, never)
    assert len(kept._kept) <= MOST
    assert len(kept._locks) <= MOST
