"""The night of all CSV districts: each with something to do gets a run of its own."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.dispatch import start_districts
from flows.names import by_time
from services.intake.adapters.csv_drop_folder import KIND as CSV
from tasks.mail import add_due_notices, send_what_waits
from tasks.requests import find_pending_districts


@flow(name="csv-nightly", flow_run_name=by_time, persist_result=False)
async def csv_nightly(arrivals_only: bool = False) -> State[Any]:
    """Start a run for every district with something to sync: on workers if there are any, otherwise here, one by one.

    Args:
        arrivals_only: look only for files that are waiting, not for deliveries that are still unfinished.
    """
    try:
        return await start_districts(find_pending_districts(CSV, arrivals_only), kind=CSV)
    finally:
        # After the districts' runs: a hold that one of them released is not reminded of.
        if not arrivals_only:
            add_due_notices()
        send_what_waits()
