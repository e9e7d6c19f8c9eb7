"""Of an installation one `rollcall up` runs, and other commands find it while it does."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.only_one import only_one, running, say_where
from errors import NotPossible

WHERE = {"report": "http://127.0.0.1:8321", "prefect": "http://127.0.0.1:4200"}


def test_it_is_found_only_while_it_runs(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert running(home) == {}
    with only_one(home) as lock:
        assert running(home) == {}
        say_where(lock, WHERE)
        assert running(home) == WHERE
    assert running(home) == {}
    assert list(home.iterdir()) == []


def test_what_a_killed_one_left_is_nothing_that_runs_and_hinders_nobody(tmp_path: Path) -> None:
    (tmp_path / "up.json").write_text('{"prefect": "http://127.0.0.1:9"}')
    assert running(tmp_path) == {}
    with only_one(tmp_path) as lock:
        say_where(lock, WHERE)
        assert running(tmp_path) == WHERE


def test_a_second_one_is_refused_and_told_where_the_first_is(tmp_path: Path) -> None:
    with only_one(tmp_path) as lock:
        with pytest.raises(NotPossible, match=r"already runs for .*; it is still starting$"), only_one(tmp_path):
            pass
        say_where(lock, WHERE)
        told = r"already runs for .*: report at http://127\.0\.0\.1:8321, prefect at http://127\.0\.0\.1:4200$"
        with pytest.raises(NotPossible, match=told), only_one(tmp_path):
            pass
        assert running(tmp_path) == WHERE
