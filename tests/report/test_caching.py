"""Values kept for a moment."""

from __future__ import annotations

import threading

from report.caching import Cached


def test_a_value_is_made_once_and_forgotten_when_asked() -> None:
    cached: Cached[int] = Cached(60)
    made = iter((1, 2, 3))
    assert [cached.get("a", lambda: next(made)) for _ in range(3)] == [1, 1, 1]
    assert cached.get("b", lambda: next(made)) == 2
    cached.clear()
    assert cached.get("a", lambda: next(made)) == 3


def test_nothing_is_kept_for_no_time() -> None:
    cached: Cached[int] = Cached(0)
    made = iter((1, 2))
    assert [cached.get("a", lambda: next(made)) for _ in range(2)] == [1, 2]


def test_whoever_comes_while_a_new_value_is_made_gets_the_one_before() -> None:
    cached: Cached[int] = Cached(1.0)
    assert cached.get("a", lambda: 1) == 1
    making, go_on = threading.Event(), threading.Event()
    threading.Event().wait(1.1)

    def slow() -> int:
        making.set()
        go_on.wait(10)
        return 2

    first = threading.Thread(target=lambda: cached.get("a", slow))
    first.start()
    assert making.wait(10)
    assert cached.get("a", lambda: 3) == 1
    go_on.set()
    first.join()
    assert cached.get("a", lambda: 3) == 2
