"""What runs are called and tagged, for people who look at a list of them."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from prefect.client.orchestration import get_client
from prefect.context import TagsContext
from prefect.runtime import deployment, flow_run

from models.tables import District
from services import clock
from services.districts import run_title, school_names
from tasks.resources import database


def by_time() -> str:
    """The deployment, or else the flow, and when the run was to start, in UTC: `csv-nightly · 2026-11-23 08:00 UTC`."""
    start = flow_run.scheduled_start_time or datetime.now(UTC)
    return f"{deployment.name or flow_run.flow_name} · {start.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def district_run_name(district: str) -> str:
    """What a district's run is called, before it starts too: its name, and the date there."""
    with database().reading() as session:
        return run_title(session, district, clock.now())


def district_names(district: str) -> tuple[str, dict[str, str], str]:
    """The district's name, its schools' names by our ID, and today's date there: what runs are named for."""
    with database().reading() as session:
        found = session.get(District, district)
        if found is None:
            return district, {}, f"{clock.now():%Y-%m-%d}"
        names = school_names(session, district)
        return found.name, names, f"{datetime.now(ZoneInfo(found.timezone)):%Y-%m-%d}"


def without_tags() -> TagsContext:
    """Give what is called within none of the tags of its flow run: of each tag of a task Prefect asks for a limit."""
    return TagsContext(current_tags=set())


async def tag_run(*tags: str) -> None:
    """Tag the flow run this is called in, but no task: of each tag of a task Prefect asks its server for a limit."""
    async with get_client() as client:
        await client.update_flow_run(UUID(flow_run.id), tags={*flow_run.tags, *tags})
