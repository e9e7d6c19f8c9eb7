"""How flow runs end in Prefect: which ends need somebody, and which are failures of ours."""

from __future__ import annotations

from typing import Any

from prefect.client.schemas.objects import State, StateType
from prefect.states import Completed

from models.outcomes import RunOutcome

ON_HOLD, REJECTED, DISCONNECTED = "On hold", "Rejected", "Disconnected"
# Somebody has to act. Their type is FAILED, so that the dashboard counts and colors them; their name, which their event
# has too, tells them from runs that failed.
NEEDS_SOMEBODY = frozenset({ON_HOLD, REJECTED, DISCONNECTED})
STILL_ON_HOLD = "Still on hold"  # as after the run before, and not for long: it needs nobody again
PAUSED, WAITING = "Paused", "Waiting for Clever"
# Not every school has what its data say, as somebody who started the run should know.
INCOMPLETE = NEEDS_SOMEBODY | {STILL_ON_HOLD, PAUSED, WAITING}

SKIPPED = "skipped"  # the district was busy
LEFT = "left"  # it was too late in the night

# How a source's run can end, the gravest first: the district's state is named for its gravest.
STATES = {
    RunOutcome.FAILED: "Failed",
    RunOutcome.REJECTED: REJECTED,
    RunOutcome.DISCONNECTED: DISCONNECTED,
    RunOutcome.STALE: ON_HOLD,
    RunOutcome.ON_HOLD: ON_HOLD,
    RunOutcome.NOT_READY: WAITING,
    RunOutcome.PAUSED: PAUSED,
    RunOutcome.DONE: "Connected",
    RunOutcome.UNCHANGED: "Unchanged",
    RunOutcome.ARRIVING: "Still arriving",
    RunOutcome.DUPLICATE: "Unchanged",
    RunOutcome.NOTHING: "Nothing waiting",
    SKIPPED: "Skipped",
    LEFT: "Left for the next night",
}


def ended(name: str, message: str) -> State[Any]:
    """A flow run's final state. Its flow has no retries, and is called with `return_state`."""
    if name in NEEDS_SOMEBODY:
        return State(type=StateType.FAILED, name=name, message=message)
    return Completed(name=name, message=message)


def has_failed(state: State[Any]) -> bool:
    """Whether a run failed or crashed, rather than found something that needs somebody."""
    return (state.is_failed() or state.is_crashed()) and state.name not in NEEDS_SOMEBODY
