"""What there is to sync, as tasks: a run's requests, the districts with something to do, and what a pause stops."""

from __future__ import annotations

from prefect import get_run_logger, task

from services.sync import pipeline, requests
from services.sync.requests import SyncRequest
from tasks.deliveries import RETRIES
from tasks.resources import adapter, database, landing


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


@task(name="find districts with something to do", **RETRIES)
def find_pending_districts(kind: str, arrivals_only: bool) -> list[str]:
    """The districts with a delivery waiting, or, unless only arrivals count, with one that is not done."""
    found = requests.find_pending_districts(database(), kind=kind, arrivals_only=arrivals_only, adapter_of=adapter)
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
