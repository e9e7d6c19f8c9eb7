"""What Clever says of a district before its records are fetched: whether they may be used, and whether they are new."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlmodel import Session

from models.tables import Delivery, Source
from services.intake.clever_api import RemoteDistrict
from services.status.sync_status import was_applied

PAUSED, PENDING, ERROR = "paused", "pending", "error"
# Rule: an unchanged district is fetched in full anyway if the last time is this long ago.
FULL_FETCH_EVERY = timedelta(days=7)
# Rule: a problem of Clever's that is there at two looks so far apart disconnects the schools.
PATIENCE = timedelta(hours=12)
_LONGEST_REASON = 300


@dataclass(frozen=True)
class DistrictState:
    """The state of a district at Clever. state: paused, pending, error, or None while all is well.

    message: for runs; reason: for the report, with Clever's own words where it gives any; next_step: for a hold.
    """

    state: str | None
    message: str | None
    reason: str | None
    next_step: str | None = None

    @property
    def is_ready(self) -> bool:
        """Whether its records may be processed. Rule: pending and error: nothing is processed."""
        return self.state not in (PENDING, ERROR)


def district_state(remote: RemoteDistrict, now: datetime, zone: ZoneInfo) -> DistrictState:
    """Return the district's state at Clever, by its state and its pause dates, which are days in its own zone.

    Rule: paused, or today within the pause dates: the data are frozen, last year's may still be served, so nobody is
    archived and nothing is called stale. pending is an error that the district can fix, error one that Clever must fix.
    """
    if remote.is_paused(now.astimezone(zone).date()):
        end = f"{remote.pause_end:%b} {remote.pause_end.day}, {remote.pause_end.year}" if remote.pause_end else None
        until = f" until {end}" if end is not None else ""
        message = f"Clever has paused the district's data{until}; nobody is archived in the meantime"
        return DistrictState(PAUSED, message, message)
    if remote.state not in _PROBLEMS:
        return DistrictState(None, None, None)
    message, next_step = _PROBLEMS[remote.state]
    reason = " ".join((remote.error or "").split())[:_LONGEST_REASON]
    return DistrictState(remote.state, message, f"{message}. Clever says: {reason}" if reason else message, next_step)


_PROBLEMS = {
    PENDING: (
        "Clever is waiting for the district (state: pending), so nothing is processed",
        "Resolve it in Clever, then choose I fixed it",
    ),
    ERROR: (
        "Clever has a problem with the district (state: error), so nothing is processed",
        "No action is needed here: it ends automatically once Clever has resolved it",
    ),
}


def record_district_state(session: Session, source: Source, state: DistrictState, now: datetime) -> None:
    """Store the district's state, for the report to show, and since when Clever has had a problem with it."""
    source.remote_state, source.remote_reason = state.state, state.reason
    source.not_ready_since = None if state.is_ready else source.not_ready_since or now
    session.add(source)
    session.flush()


def has_lasted(session: Session, source: Source, now: datetime) -> bool:
    """Whether Clever's problem with the district puts its schools on hold.

    Rule: it was there at two looks at least 12 hours apart, and at all between, and something of the source was applied
    before; a new district waits in Setup sync. The caller has noted what was seen now.
    """
    return (
        source.not_ready_since is not None
        and now - source.not_ready_since >= PATIENCE
        and was_applied(session, source.id)
    )


def is_known(session: Session, source: Source, remote: RemoteDistrict, state: DistrictState, now: datetime) -> bool:
    """Whether fetching the district again would bring nothing new.

    Rule: its `last_sync` is that of our last success, and it was fetched in full within 7 days. What was taken while
    Clever had the data frozen is fetched again once that is over. The caller knows whether every school is done.
    """
    current = session.get(Delivery, source.current_delivery_id) if source.current_delivery_id is not None else None
    return (
        current is not None
        and source.last_received_at is not None
        and now - source.last_received_at < FULL_FETCH_EVERY
        and bool(remote.last_sync)
        and remote.last_sync == source.last_sync
        and (current.may_remove or state.state == PAUSED)
    )
