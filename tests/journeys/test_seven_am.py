"""Ops at 7 am in a real Chromium, against a real server and worker: see the pictures in docs/operations.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journeys import seven_am
from tests.report.chromium import BROWSER, CHROMIUM

pytestmark = [pytest.mark.journeys, pytest.mark.xdist_group("seven_am")]


@pytest.mark.skipif(not CHROMIUM, reason=f"there is no Chromium here ({BROWSER}): on Debian, apt-get install chromium")
def test_who_needs_me_why_and_what_i_do_about_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with seven_am.morning(tmp_path, tmp_path, monkeypatch) as seen:
        seven_am.walk(seen)
        kept = seven_am.kept_by_prefect(seen)
    assert [planted for planted in (seven_am.PLANTED, *seven_am.addresses(seen)) if planted in kept] == []
