"""PostgreSQL is killed in the middle of a night that people watch: nothing is lost, and no answer is wrong."""

from __future__ import annotations

import pytest

from tests.bench.cases import FIRST, Size
from tests.bench.load import measure


@pytest.mark.journeys
def test_a_restart_of_postgresql_in_the_middle_of_a_night() -> None:
    load = measure(Size(30, 600), FIRST, readers=6, quiet=0.5, down=1.0, every=0.3)
    assert load.problems == []
    assert [ended for _, ended in load.nights] == ["DatabaseUnavailable", ""]
    assert load.busy
