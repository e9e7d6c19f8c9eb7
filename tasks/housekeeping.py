"""Housekeeping as a task."""

from __future__ import annotations

from prefect import get_run_logger, task

from services import clock
from services.operations import housekeeping
from settings import get_settings
from tasks.deliveries import RETRIES
from tasks.forms import offer_districts
from tasks.resources import database, landing


@task(name="clean", **RETRIES)
def clean() -> str:
    """Delete what is past its retention; return a sentence that says how much."""
    settings = get_settings()
    cleaned = housekeeping.clean(
        database(), landing=landing(), now=clock.now(), policy=settings.retention, backups=settings.backups
    )
    message = str(cleaned)
    get_run_logger().info("%s", message)
    return message


@task(name="list districts in the forms", **RETRIES)
def list_districts() -> None:
    """List the districts that are set up in the forms that ask for one."""
    offer_districts()
