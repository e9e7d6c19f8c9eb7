"""Numbers as people type them: those of every language, and nothing that is none."""

from __future__ import annotations

from decimal import Decimal

import pytest

from report.rendering import environment
from report.texts import languages
from report.typed import percentage, whole_number


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("0", 0),
        ("160", 160),
        (" 160 ", 160),
        ("12345", 12_345),
        ("12,345", 12_345),
        ("12.345", 12_345),
        ("12 345", 12_345),
        ("12\u00a0345", 12_345),
        ("12\u2009345", 12_345),
        ("12\u202f345", 12_345),
        ("1.234.567", 1_234_567),
        ("1.234,567", None),
        ("12.5", None),
        ("1,60", None),
        ("1234,567", None),
        ("12,3456", None),
        ("-5", None),
        ("16O", None),
        ("٣", None),
        ("", None),
        ("9" * 5_000, None),
    ],
)
def test_whole_numbers_are_read_with_and_without_groups(typed: str, number: int | None) -> None:
    assert whole_number(typed) == number


@pytest.mark.parametrize("language", languages())
def test_a_number_is_read_as_it_is_shown(language: str) -> None:
    shown = environment(language).from_string("{{ n|number }}")
    for number in (7, 1_234, 12_345, 9_876_543):
        assert whole_number(shown.render(n=number)) == number
    assert percentage(shown.render(n=12.5)) == Decimal("12.5")


@pytest.mark.parametrize(
    ("typed", "share"),
    [
        ("10", Decimal(10)),
        ("12.5", Decimal("12.5")),
        ("12,5", Decimal("12.5")),
        ("12,5%", Decimal("12.5")),
        (" 3\u00a0% ", Decimal(3)),
        ("101", Decimal(101)),
        ("1,234.5", None),
        ("-1", None),
        ("1e2", None),
        ("nan", None),
        ("%", None),
        ("", None),
    ],
)
def test_percentages_are_read_with_a_comma_or_a_point(typed: str, share: Decimal | None) -> None:
    assert percentage(typed) == share
