"""Messages to webhooks as a task: written of status changes, and posted."""

from __future__ import annotations

from typing import Any

from prefect import get_run_logger, task
from prefect.client.schemas.objects import State
from prefect.states import Completed

from errors import RollcallError
from services import clock
from services.webhooks import calls
from settings import get_settings
from tasks.deliveries import RETRIES
from tasks.resources import database


@task(name="post webhooks", **RETRIES)
def post_webhooks() -> State[Any]:
    """Write messages of what changed, and post what waits.

    Raises:
        Busy: another posting goes on; it posts what waits.
    """
    posting = calls.deliver(database(), now=clock.now(), allow_private=get_settings().webhooks_may_be_private)
    message = f"messages accepted {posting.accepted}, not accepted {posting.refused}"
    get_run_logger().info("%s", message)
    return Completed(name="Posted", message=message)


def post_what_waits() -> None:
    """Run the task where there is a message to write or to post; what goes wrong fails the task only."""
    try:
        with database().reading() as session:
            waits = calls.has_waiting(session, clock.now())
    except RollcallError:
        return  # the next run posts it
    if waits:
        post_webhooks(return_state=True)
