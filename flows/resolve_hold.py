"""Resolving holds from the Prefect UI: what was decided is stored first, then the schools are processed."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed
from pydantic import Field

from errors import SchoolsFailed
from flows.by_hand import DistrictId
from flows.states import has_failed
from flows.sync_district import sync_district
from services.holds.decisions import ACCEPT, CONFIRM_CHANGES, CONFIRM_REMOVALS, FIXED, LEAVE_OUT, RECHECK
from tasks.holds import decide


class Resolution(Enum):
    """What can be decided about holds, in the words of the form."""

    CONFIRM_REMOVALS = "Confirm removals"
    CONFIRM_CHANGES = "Confirm changes"
    ACCEPT = "Accept as it is"
    LEAVE_OUT = "Leave them out"
    FIXED = "I fixed it"
    RECHECK = "Check again"


VERBS = {
    Resolution.CONFIRM_REMOVALS: CONFIRM_REMOVALS,
    Resolution.CONFIRM_CHANGES: CONFIRM_CHANGES,
    Resolution.ACCEPT: ACCEPT,
    Resolution.LEAVE_OUT: LEAVE_OUT,
    Resolution.FIXED: FIXED,
    Resolution.RECHECK: RECHECK,
}


def _run_name() -> str:
    given = flow_run.parameters
    numbers = ", ".join(map(str, given.get("holds") or ()))
    about = f"hold {numbers}" if numbers else given.get("district") or "no hold"
    return f"{Resolution(given['resolution']).value} · {about}"


@flow(name="resolve-hold", flow_run_name=_run_name, persist_result=False)
async def resolve_hold(
    resolution: Resolution,
    by: Annotated[str, Field(min_length=1)],
    holds: tuple[int, ...] = (),
    district: DistrictId | None = None,
    why: str = "",
) -> State[Any]:
    """Decide about holds, and sync their schools now.

    Args:
        resolution: the decision; each hold must have a reason that it applies to.
        by: your name; stored and shown with the hold.
        holds: the numbers of the holds; leave empty if you enter a district.
        district: a district's ID, for all its open holds that the decision applies to; leave empty if you enter holds.
        why: the reason; stored and shown with the hold.
    """
    ended, failed = [], []
    for each, schools in decide(list(holds), district, VERBS[resolution], by=by, why=why or None).items():
        state = await sync_district(each, schools, return_state=True)
        ended.append(f"{each}: {state.name}")
        if has_failed(state):
            failed.append(each)
    if failed:
        raise SchoolsFailed(failed)
    return Completed(name="Resolved", message=", ".join(ended))
