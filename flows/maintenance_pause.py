"""Pausing Clever syncs for maintenance, from the Prefect UI."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed
from pydantic import Field

from flows.by_hand import DistrictId
from flows.names import by_time
from tasks.mail import send_what_waits
from tasks.maintenance import raise_pause


@flow(name="maintenance-pause", flow_run_name=by_time, persist_result=False)
async def maintenance_pause(
    reason: Annotated[str, Field(min_length=1)], district: DistrictId | None = None, until: datetime | None = None
) -> State[Any]:
    """Pause Clever syncs. The school being synced finishes first; runs that start during the pause end at once.

    Args:
        reason: why; the schools' administrators read it.
        district: only this district's syncs; leave empty for all of them.
        until: when the pause ends automatically; leave empty to end it with maintenance-resume.
    """
    message = raise_pause(district, reason, until)
    send_what_waits()
    return Completed(name="Paused", message=message)
