"""The daily housekeeping: what has served its time goes."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.names import by_time
from tasks.housekeeping import clean
from tasks.mail import add_due_notices, send_what_waits


@flow(name="housekeeping", flow_run_name=by_time, persist_result=False)
async def housekeeping() -> State[Any]:
    """Remove files, evidence, issues and mails that nobody needs after 30 days, and what killed runs left behind.

    Also what is due to be told by time alone is told, and mail that waits is sent.
    """
    message = clean()
    add_due_notices()
    send_what_waits()
    return Completed(name="Cleaned", message=message)
