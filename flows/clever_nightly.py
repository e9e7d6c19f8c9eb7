"""The night of all Clever districts, inside its window: each is asked for new data, the longest unasked first."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.dispatch import start_districts
from flows.names import by_time
from services import clock
from services.intake import clever_window
from services.intake.adapters.clever import KIND as CLEVER
from tasks.requests import find_pending_districts, paused_requests, record_paused


@flow(name="clever-nightly", flow_run_name=by_time, persist_result=False)
async def clever_nightly() -> State[Any]:
    """Check every district for new Clever data between 11 pm and 5 am Pacific: on workers, otherwise here, one by one.

    No district starts after 5 am; those that are left go first the next night.
    """
    closes = clever_window.closes_at(clock.now())
    if closes is None:
        return Completed(
            name="Outside the window",
            message="Clever syncs start between 11 pm and 5 am Pacific; sync-district checks a district at any time",
        )
    found = find_pending_districts(CLEVER, arrivals_only=False)
    paused = {}
    for request, pause in paused_requests(found, CLEVER):
        record_paused(request, pause)
        paused[request.district_id] = pause
    if found and len(paused) == len(found):
        return Completed(name="Paused", message="; ".join(f"{district}: {pause}" for district, pause in paused.items()))
    return await start_districts(
        [district for district in found if district not in paused], kind=CLEVER, start_by=closes
    )
