"""What runs of no one district are called, for people who look at a list of them."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect.runtime import deployment, flow_run


def by_time() -> str:
    """The deployment, or else the flow, and when the run was to start, in UTC: `csv-nightly · 2026-11-23 08:00 UTC`."""
    start = flow_run.scheduled_start_time or datetime.now(UTC)
    return f"{deployment.name or flow_run.flow_name} · {start.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
