"""How a delivery, a run, and a school in a run can end, as stored."""

from __future__ import annotations

from enum import StrEnum


class DeliveryOutcome(StrEnum):
    """What became of a delivery."""

    RECEIVED = "received"  # not checked yet
    CLEAN = "clean"
    REJECTED = "rejected"  # for its file errors


class RunOutcome(StrEnum):
    """How the run of one source ended."""

    # It processed nothing.
    NOTHING = "nothing"
    ARRIVING = "arriving"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    NOT_READY = "not_ready"
    # Its schools were put on hold, for the reason of this code.
    DISCONNECTED = "disconnected"
    STALE = "stale"
    # It processed nothing, or only the school it was at.
    PAUSED = "paused"
    INTERRUPTED = "interrupted"
    # It went through: the gravest of what became of its schools.
    DONE = "done"
    UNCHANGED = "unchanged"
    ON_HOLD = "on_hold"
    FAILED = "failed"


class SchoolOutcome(StrEnum):
    """What became of a school in a run."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    ON_HOLD = "on_hold"
    FAILED = "failed"


# The school has what the delivery says.
UP_TO_DATE = (SchoolOutcome.APPLIED, SchoolOutcome.UNCHANGED)
