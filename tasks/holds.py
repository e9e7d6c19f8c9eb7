"""Deciding about holds as a task."""

from __future__ import annotations

from prefect import get_run_logger, task

from services import clock
from services.holds import decisions, evidence
from tasks.deliveries import RETRIES
from tasks.resources import database


@task(name="store the decision", **RETRIES)
def decide(
    hold_ids: list[int], district: str | None, verb: str, *, by: str, why: str | None
) -> dict[str, list[str] | None]:
    """Store a decision about holds, all or none; by district, the keys of the schools to process, None for all.

    Raises:
        NotFound, NotPossible: there is no such hold or district, or the verb is not about it.
    """
    with database().transaction() as session:
        chosen = decisions.choose(session, verb, hold_ids=hold_ids, district_id=district)
        for hold in chosen:
            decisions.decide(session, hold.id, verb, by=by, why=why, now=clock.now())
    for hold in chosen:
        for line in evidence.effects(hold, verb):
            get_run_logger().info("hold %s of %s: %s", hold.id, hold.school_id, line)
    return decisions.to_run(chosen, verb)
