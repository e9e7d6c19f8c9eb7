"""What time it is, and how people read it. Whatever plays a certain night puts another clock here."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo


def now() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(UTC)


def local_time(moment: datetime, zone: tzinfo) -> str:
    """Return a moment in a time zone, as people read it: Nov 23, 2026, 2:05 AM PST."""
    local = moment.astimezone(zone)
    return f"{local_date(moment, zone)}, {local.hour % 12 or 12}:{local:%M %p %Z}"


def local_date(moment: datetime, zone: tzinfo) -> str:
    """Return a moment's day in a time zone, as people read it: Nov 23, 2026."""
    local = moment.astimezone(zone)
    return f"{local:%b} {local.day}, {local.year}"
