"""Mail to the districts' administrators as a task: what was noted is composed, and what waits is sent."""

from __future__ import annotations

from typing import Any

from prefect import get_run_logger, task
from prefect.client.schemas.objects import State
from prefect.states import Completed

from errors import RollcallError
from services import clock
from services.intake import deliveries
from services.mail import compose, notices, outbox
from services.operations import maintenance
from settings import get_settings
from tasks import webhooks
from tasks.deliveries import RETRIES
from tasks.resources import database

# A run that is done waits less for the mail server than for its data: the next run sends what is left.
_RETRIES = {**RETRIES, "retries": 1, "retry_delay_seconds": [5]}


@task(name="send mail", **_RETRIES)
def send_mail() -> State[Any]:
    """Compose what was noted, and send what waits; ends as Sent, or as Mail not sent where the server refused some.

    Raises:
        MailUnreachable, MailRefused, Busy: what is left is sent by the next run.
    """
    settings, logger = get_settings(), get_run_logger()
    try:
        composed, sending = outbox.deliver(
            database(),
            settings.mail_transport(),
            sender=settings.mail_sender,
            now=clock.now(),
            report_url=settings.report_url,
        )
    finally:
        with database().reading() as session:
            unsent = outbox.describe_unsent(session)
        for line in unsent:
            logger.warning("%s", line)
    message = f"emails composed: {composed}, sent: {sending.sent}, refused: {sending.refused}"
    logger.info("%s", message)
    return Completed(name="Mail not sent" if unsent else "Sent", message="; ".join([message, *unsent]))


def send_what_waits() -> None:
    """Tell administrators and webhooks, where there is something to tell; what cannot be sent fails a task only."""
    webhooks.post_what_waits()
    try:
        with database().reading() as session:
            waits = compose.has_waiting(session, clock.now()) or outbox.has_waiting(session)
    except RollcallError:
        return  # the next run sends it
    if waits:
        send_mail(return_state=True)


@task(name="note what is due", **RETRIES)
def add_due_notices() -> None:
    """Note what time alone brings: data that will soon be stale, pauses that are over, holds that last."""
    with database().transaction() as session:
        deliveries.add_staleness_notice(session, clock.now())
        maintenance.add_notices_of_ended_pauses(session, clock.now())
        notices.add_reminders(session, clock.now())
