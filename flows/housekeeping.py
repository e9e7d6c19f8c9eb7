"""The daily housekeeping: what is past its retention is deleted."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.names import by_time
from tasks.housekeeping import clean, list_districts
from tasks.mail import add_due_notices, send_what_waits


@flow(name="housekeeping", flow_run_name=by_time, persist_result=False)
async def housekeeping() -> State[Any]:
    """Delete what is past its 30-day retention, anonymize archived people who are past theirs, and tidy up.

    It also adds the notices that are due by now, sends the mail that is waiting, and lists new districts in the forms.
    """
    message = clean()
    add_due_notices()
    send_what_waits()
    list_districts()
    return Completed(name="Cleaned", message=message)
