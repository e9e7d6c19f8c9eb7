"""The district's lease around a run: taken, kept alive, and given back with how the run ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from prefect import get_run_logger
from prefect.context import SyncClientContext

from errors import Busy, LeaseLost
from models.outcomes import RunOutcome
from services.status import sync_status
from services.sync import leases, pipeline
from services.sync.requests import SyncRequest
from tasks.resources import database
from tasks.status_events import emit_status_changes

WAIT_SECONDS = 3600


@dataclass
class Lease:
    """An open run. The body says how it ended and what is to be noted."""

    run_id: int
    delivery_id: int | None = None
    outcome: RunOutcome = RunOutcome.FAILED
    notes: list[str] = field(default_factory=list)


@contextmanager
def leased(request: SyncRequest, *, wait: bool) -> Iterator[Lease]:
    """Hold the district's lease for the body; an exception in it is recorded as a failed run, then raised again.

    Raises:
        Busy: another run is syncing the district, and did not end in time.
    """
    opened = database()
    run_id, kept = _begin(request, wait=wait)
    lease = Lease(run_id)
    try:
        # One client for all tasks within: each would make one of its own, and load all certificate authorities for it.
        with SyncClientContext.get_or_create(), leases.Heartbeat(opened, lease.run_id):
            yield lease
    except LeaseLost:
        raise
    except BaseException as error:
        pipeline.fail_run(opened, request, lease.run_id, lease.delivery_id, error)
        pipeline.finish(opened, lease.run_id, RunOutcome.FAILED, [*lease.notes, f"failed with {type(error).__name__}"])
        emit_status_changes(request.district_id, kept)
        raise
    pipeline.finish(opened, lease.run_id, lease.outcome, lease.notes)
    emit_status_changes(request.district_id, kept)


def _begin(request: SyncRequest, *, wait: bool) -> tuple[int, int]:
    """The run's number, and that of the last status change kept before it."""
    while True:
        with database().reading() as session:
            kept = sync_status.newest_change(session)
        try:
            return pipeline.begin(database(), request), kept
        except Busy:
            if not wait:
                raise
        leases.wait_for_run(
            database(),
            request.district_id,
            WAIT_SECONDS,
            lambda run: get_run_logger().info(
                "run %s is syncing %s; waiting for it to end", run.id, request.district_id
            ),
        )
