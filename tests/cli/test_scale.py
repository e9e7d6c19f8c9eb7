"""What an installation needs, computed by hand from round figures."""

from __future__ import annotations

import json
import tomllib
from dataclasses import asdict
from typing import Any

import pytest

from cli.scale import ASSUMPTIONS, FIGURES, Installation, need, shown
from services.operations.housekeeping import RETENTION
from settings import Settings
from tests.pages import ROOT

MEASURED: dict[str, Any] = {
    "counts": {"students": 100_000, "schools": 200},
    "delivery_mb": 50,
    "PostgreSQL": {
        "first load": {"seconds": {"read": 10, "write": 30}, "peak_mb": 1_000, "database_mb": 700},
        "same rows in other bytes": {
            "seconds": {"read": 10},
            "peak_mb": 2_000,
            "database_mb": 710,
            "log_mb": 1_000,
            "rows": 1_000_000,
        },
        "1 % changed": {
            "seconds": {"read": 10, "write": 10},
            "peak_mb": 1_500,
            "database_mb": 730,
            "log_mb": 1_100,
            "rows": 1_010_000,
        },
    },
}


def test_a_district_has_a_run_and_one_for_each_school() -> None:
    # 20 s of data, 2 s for the district, and 0.15 s for each of 200 schools.
    assert asdict(need(Installation("a district", 1, 200, 100_000, 100_000), MEASURED)) == pytest.approx(
        {
            "work": 52 / 60,
            "runs_at_once": 1,
            "memory": 2.0,
            "first_load": 72 / 60,
            "database": 0.7,
            "year": 0.02 * 180,
            "log": 0.1,
            "rows_a_second": 10_000 / 52,
            "connections": 3 + 15,
            "prefect_runs": 201,
            "prefect_rows": 201 * 79 * 3,
            "landing": 0.05 * 30,
            "report_processes": 1,
        }
    )


def test_a_country_has_shards_and_no_run_for_a_school() -> None:
    # 500 times 20 s of data, and 2 s for each of 13,000 districts: 36,000 s in a half of six hours.
    assert asdict(need(Installation("a country", 13_000, 100_000, 50_000_000, 1_000_000), MEASURED)) == pytest.approx(
        {
            "work": 600,
            "runs_at_once": 4,
            "memory": 20 + 3 * 2,
            "first_load": (500 * 40 + 26_000) / 4 / 60,
            "database": 350,
            "year": 10 * 180,
            "log": 50,
            "rows_a_second": 5_000_000 / 9_000,
            "connections": 4 * 3 + 12 * 15,
            "prefect_runs": 4,
            "prefect_rows": (4 * 79 + 100_000 * 4) * 3,
            "landing": 25 * 30,
            "report_processes": 12,
        }
    )


def test_the_figures_are_of_a_district_that_the_bench_has_measured() -> None:
    assert json.loads(FIGURES.read_text())["size"] == "district"


def test_the_settings_that_are_assumed_are_those_of_an_installation() -> None:
    prefect = tomllib.loads((ROOT / "prefect.toml").read_text())
    assert {name: ASSUMPTIONS[name].value for name in ("school_runs", "event_days", "delivery_days")} == {
        "school_runs": Settings.model_fields["school_runs"].default,
        "event_days": int(prefect["server"]["events"]["retention_period"].strip("PD")),
        "delivery_days": RETENTION.days,
    }


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (0.0144, "0.014"),
        (0.96, "0.96"),
        (4, "4"),
        (4.25, "4.2"),
        (5.0, "5.0"),
        (36.4, "36"),
        (128_000, "130,000"),
    ],
)
def test_a_number_is_shown_with_two_digits(number: float, text: str) -> None:
    assert shown(number) == text
