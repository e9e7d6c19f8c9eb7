"""The formats Rollcall knows are found by their modules."""

from __future__ import annotations

import pytest

from contracts import csv_1_0
from contracts.formats import FORMATS


def test_every_format_is_found_by_its_name() -> None:
    assert dict(FORMATS) == {"csv-1.0": csv_1_0.FORMAT}
    assert len(FORMATS) == 1


def test_an_unknown_format_is_none() -> None:
    assert "csv-9.9" not in FORMATS
    with pytest.raises(KeyError):
        FORMATS["csv-9.9"]


def test_a_complete_set_is_all_of_a_formats_files() -> None:
    assert FORMATS["csv-1.0"].file_names == (
        "schools.csv",
        "teachers.csv",
        "students.csv",
        "classes.csv",
        "enrollments.csv",
    )
