"""How a run, and a school in a run, can end."""

from __future__ import annotations

from contracts.issues import DISCONNECTED as DISCONNECTED  # a run's outcome has the code of the hold that it opens
from contracts.issues import STALE as STALE

# A run that processed nothing.
NOTHING, ARRIVING, RECEIPT, REJECTED, NOT_READY = "nothing", "arriving", "receipt", "rejected", "not_ready"
# A run that processed nothing, or only what it was at.
PAUSED, DIED = "paused", "died"
# A run that went through.
DONE = "done"
# A school in a run; of a run of several schools: how all of them ended.
APPLIED, UNCHANGED, HELD, FAILED = "applied", "unchanged", "held", "failed"
