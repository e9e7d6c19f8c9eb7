"""Raising and lowering the maintenance pause as tasks."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from prefect import get_run_logger, task

from errors import NotPossible
from models.tables import District
from services import clock
from services.operations import maintenance
from services.status import pauses
from tasks.deliveries import RETRIES
from tasks.resources import database

BY = "Prefect"


@task(name="pause", **RETRIES)
def raise_pause(district: str | None, reason: str, until: datetime | None) -> str:
    """Pause a district's Clever syncs, or all; return a sentence that says so.

    Raises:
        NotFound, NotPossible: the district, its sources, the reason or the end make no sense.
    """
    if until is not None and until.tzinfo is None:
        raise NotPossible("the end of the pause needs a time zone")
    with database().transaction() as session:
        raised = maintenance.pause(session, district, reason=reason, until=until, by=BY, now=clock.now())
        zone = ZoneInfo(found.timezone) if district and (found := session.get(District, district)) else UTC
        message = f"{district or 'all districts'}: {pauses.describe(raised, zone)}"
    get_run_logger().info("%s", message)
    return message


@task(name="resume", **RETRIES)
def lower_pause(district: str | None) -> tuple[str, list[str]]:
    """End a district's pause, or the one of all; a sentence that says so, and the districts to catch up.

    Raises:
        NotFound, NotPossible: there is no such district, or it has no Clever source.
    """
    with database().transaction() as session:
        resumed = maintenance.resume(session, district, by=BY, now=clock.now())
        message = maintenance.describe(resumed, district)
    get_run_logger().info("%s", message)
    return message, list(resumed.missed)
