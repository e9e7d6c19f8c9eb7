"""Resuming paused Clever syncs, from the Prefect UI, and catching up what was missed."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.by_hand import DistrictId
from flows.dispatch import start_districts
from flows.names import by_time
from services.intake.adapters.clever import KIND as CLEVER
from tasks.mail import send_what_waits
from tasks.maintenance import lower_pause


@flow(name="maintenance-resume", flow_run_name=by_time, persist_result=False)
async def maintenance_resume(district: DistrictId | None = None) -> State[Any]:
    """Resume Clever syncs, and run those that were skipped.

    Args:
        district: only this district's own pause; leave empty to end the pause of all districts.
    """
    message, missed = lower_pause(district)
    send_what_waits()
    if not missed:
        return Completed(name="Resumed", message=message)
    return await start_districts(missed, kind=CLEVER)
