"""The district's lease around a run: taken, kept alive, and given back with how the run ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from prefect import get_run_logger, task
from prefect.client.orchestration import get_client
from prefect.events import emit_event
from prefect.runtime import flow_run

from errors import Busy, LeaseLost
from models.outcomes import RunOutcome
from models.tables import District
from services import clock
from services.districts import school_names
from services.status import sync_status
from services.sync import leases, pipeline, requests
from services.sync.requests import SyncRequest
from tasks.deliveries import RETRIES
from tasks.resources import database, landing

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
    """Hold the district's lease for the body; an exception in it is recorded as a failed run, then goes on.

    Raises:
        Busy: another run has the district in hand, and did not end in time.
    """
    opened = database()
    run_id, kept = _begin(request, wait=wait)
    lease = Lease(run_id)
    try:
        with leases.Heartbeat(opened, lease.run_id):
            yield lease
    except LeaseLost:
        raise
    except BaseException as error:
        pipeline.fail_run(opened, request, lease.run_id, lease.delivery_id, error)
        pipeline.finish(opened, lease.run_id, RunOutcome.FAILED, [*lease.notes, f"failed with {type(error).__name__}"])
        _tell_status_changes(request.district_id, kept)
        raise
    pipeline.finish(opened, lease.run_id, lease.outcome, lease.notes)
    _tell_status_changes(request.district_id, kept)


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
                "run %s has %s in hand; waiting for it to end", run.id, request.district_id
            ),
        )


def _tell_status_changes(district_id: str, kept: int) -> None:
    """Every status change of the district's schools kept since the one with this number, as an event of its own.

    The status is a label of the school, as automations tell events apart by labels only.
    """
    with database().reading() as session:
        changes = sync_status.changes_since(session, district_id, kept)
    for change in changes:
        emit_event(
            event="rollcall.school.status",
            occurred=change.at,
            resource={
                "prefect.resource.id": f"rollcall.school.{change.school_id}",
                "prefect.resource.name": change.school_id,
                "rollcall.status": change.status or "none",
                "rollcall.before": change.before or "none",
            },
            payload={"status": change.status, "before": change.before, "reason": change.reason},
        )


@task(name="look up what to sync", **RETRIES)
def read_requests(
    district: str, schools: list[str] | None, delivery: int | None, now: bool, by_hand: bool, kind: str | None
) -> list[SyncRequest]:
    """One request for each of the district's sources that the request touches, in the setup file's order.

    Raises:
        NotFound, NotPossible: the district, a school or the delivery is not to be synced.
    """
    with database().reading() as session:
        return requests.sync_requests(
            session, district, schools, delivery, now=now, by_hand=by_hand, kind=kind, landing=landing()
        )


async def tag_run(*tags: str) -> None:
    """Tag the flow run this is called in, but no task: of each tag of a task Prefect asks its server for a limit."""
    async with get_client() as client:
        await client.update_flow_run(UUID(flow_run.id), tags={*flow_run.tags, *tags})


def district_names(district: str) -> tuple[str, dict[str, str], str]:
    """The district's name, its schools' names by our ID, and today's date there: what runs are named for."""
    with database().reading() as session:
        found = session.get(District, district)
        if found is None:
            return district, {}, f"{clock.now():%Y-%m-%d}"
        names = school_names(session, district)
        return found.name, names, f"{datetime.now(ZoneInfo(found.timezone)):%Y-%m-%d}"


@task(name="find districts with something to do", **RETRIES)
def find_pending_districts(kind: str, arrivals_only: bool) -> list[str]:
    """The districts with a delivery waiting, or, unless only arrivals count, with one that is not done."""
    found = requests.find_pending_districts(database(), kind=kind, arrivals_only=arrivals_only)
    for district, why in found.items():
        get_run_logger().info("%s: %s", district, why)
    return list(found)


def paused(request: SyncRequest) -> str | None:
    """The maintenance pause that the request meets now, if any, as a sentence."""
    return pipeline.active_pause(database(), request)


@task(name="record the paused run", **RETRIES)
def record_paused(request: SyncRequest, pause: str) -> None:
    """Record that a pause kept the request's run from beginning."""
    pipeline.record_skipped_run(database(), request, pause)
    get_run_logger().warning("%s is %s", request.source_id, pause)


def paused_requests(districts: list[str], kind: str) -> list[tuple[SyncRequest, str]]:
    """The districts' requests of one kind that meet a pause now, each with it as a sentence."""
    with database().reading() as session:
        sync_requests = [
            request
            for district in districts
            for request in requests.sync_requests(session, district, None, None, kind=kind)
        ]
    return [(request, pause) for request in sync_requests if (pause := paused(request)) is not None]
