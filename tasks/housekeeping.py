"""Housekeeping as a task."""

from __future__ import annotations

from prefect import get_run_logger, task

from services import clock
from services.operations import housekeeping
from tasks.deliveries import RETRIES
from tasks.resources import database, landing


@task(name="clean", **RETRIES)
def clean() -> str:
    """Delete what is past its retention; return a sentence that says how much."""
    message = str(housekeeping.clean(database(), landing=landing(), now=clock.now()))
    get_run_logger().info("%s", message)
    return message
