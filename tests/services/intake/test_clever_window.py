"""The hours of Clever's nights: both edges, and the nights on which the clocks are changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.intake.clever_window import PACIFIC, closes_at


def pacific(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=PACIFIC)


@pytest.mark.parametrize(
    ("now", "closes"),
    [
        ("2026-11-23T23:00", "2026-11-24T05:00"),
        ("2026-11-23T23:59:59.999999", "2026-11-24T05:00"),
        ("2026-11-24T00:00", "2026-11-24T05:00"),
        ("2026-11-24T04:59:59.999999", "2026-11-24T05:00"),
        ("2026-12-31T23:30", "2027-01-01T05:00"),
    ],
)
def test_inside_it_closes_at_the_coming_five_oclock(now: str, closes: str) -> None:
    assert closes_at(pacific(now)) == pacific(closes)
    assert closes_at(pacific(now).astimezone(UTC)) == pacific(closes)


@pytest.mark.parametrize("now", ["2026-11-24T05:00", "2026-11-24T12:00", "2026-11-24T22:59:59.999999"])
def test_outside_it_is_closed(now: str) -> None:
    assert closes_at(pacific(now)) is None
    assert closes_at(pacific(now).astimezone(UTC)) is None


@pytest.mark.parametrize(
    ("opens", "closes", "hours"),
    [
        # Daylight saving ends on 2026-11-01 at 2 am, and begins on 2027-03-14 at 2 am.
        (datetime(2026, 11, 1, 6, tzinfo=UTC), datetime(2026, 11, 1, 13, tzinfo=UTC), 7),
        (datetime(2027, 3, 14, 7, tzinfo=UTC), datetime(2027, 3, 14, 12, tzinfo=UTC), 5),
    ],
)
def test_a_night_on_which_the_clocks_are_changed_is_longer_or_shorter(
    opens: datetime, closes: datetime, hours: int
) -> None:
    nearly = timedelta(microseconds=1)
    inside = [opens + timedelta(minutes=10 * step) for step in range(6 * hours)]
    assert {found and found.astimezone(UTC) for found in map(closes_at, [*inside, closes - nearly])} == {closes}
    assert [closes_at(opens - nearly), closes_at(closes)] == [None, None]
