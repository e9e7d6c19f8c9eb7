"""The hours in which a night may start Clever syncs. Rule: nightly between 11 pm and 5 am Pacific."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

PACIFIC = ZoneInfo("America/Los_Angeles")
OPENS, CLOSES = time(23), time(5)


def closes_at(now: datetime) -> datetime | None:
    """When the window that `now` lies in closes: the coming 5 am Pacific; None outside the window.

    By the clock on the wall there, so that a night on which it is changed is an hour shorter or longer.
    """
    there = now.astimezone(PACIFIC)
    if CLOSES <= there.timetz().replace(tzinfo=None) < OPENS:
        return None
    day = there.date() + timedelta(days=1) if there.time() >= OPENS else there.date()
    return datetime.combine(day, CLOSES, PACIFIC)
