"""Mail to the districts' administrators as a task: what was noted is composed, and what waits is sent."""

from __future__ import annotations

from prefect import get_run_logger, task

from errors import RollcallError
from services import mailing, maintenance, night, outbox, taking
from services.mailing import Sending
from settings import get_settings
from tasks.deliveries import RETRIES
from tasks.opening import database

# A run that is done waits less for the mail server than for its data: the next run sends what is left.
_RETRIES = {**RETRIES, "retries": 1, "retry_delay_seconds": [5]}


@task(name="send mail", **_RETRIES)
def send_mail() -> Sending:
    """Compose what was noted, and send what waits.

    Raises:
        MailUnreachable, MailRefused, Busy: what is left is sent by the next run.
    """
    settings = get_settings()
    composed, sending = mailing.deliver(
        database(), settings.mail_transport(), sender=settings.mail_sender, now=night.clock()
    )
    get_run_logger().info("mails composed %s, sent %s, refused %s", composed, sending.sent, sending.refused)
    return sending


def send_what_waits() -> None:
    """Run the task where there is a mail to compose or to send; one that cannot be sent fails the task only."""
    try:
        with database().reading() as session:
            waits = outbox.has_waiting(session) or mailing.has_waiting(session)
    except RollcallError:
        return  # the next run sends it
    if waits:
        send_mail(return_state=True)


@task(name="note what is due", **RETRIES)
def note_due() -> None:
    """Note what time alone brings: data that will soon be stale, pauses that are over, holds that last."""
    with database().transaction() as session:
        taking.note_coming_staleness(session, night.clock())
        maintenance.note_over(session, night.clock())
        outbox.note_reminders(session, night.clock())
