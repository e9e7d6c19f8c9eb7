"""Who has to act about a school, and how: by its status, the reasons of its hold, and what is wrong with its data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from types import MappingProxyType

from contracts.formats import FORMATS
from contracts.issues import (
    DATA_REMOVALS,
    DISCONNECTED,
    EMERGENCY_CONTACTS,
    FAILED_RUN,
    FILE_ERRORS,
    SCHOOL_MISSING,
    STALE,
    TOO_MANY_GUARDIANS,
    UNUSUAL_CHANGES,
)
from services.status.sync_status import Status


class Who(StrEnum):
    """Who has to act."""

    SIS_ADMINISTRATOR = "SIS administrator"
    SCHOOL_OFFICE = "School office"
    DISTRICT_ADMINISTRATOR = "District administrator"
    CLEVER = "Clever"
    US = "Us"
    NOBODY = "Nobody"


@dataclass(frozen=True)
class NextStep:
    """What comes next, and whose turn it is. how: a sentence or two."""

    who: Who
    how: str


# By hold reason. A source that another system holds, such as Clever, has a remedy of its own for some.
_REASONS: Mapping[str, NextStep] = MappingProxyType(
    {
        DATA_REMOVALS: NextStep(
            Who.SCHOOL_OFFICE,
            "Look through the list of removals. If it's right, choose “Confirm removals”. If not, ask your SIS"
            " administrator to correct the data.",
        ),
        SCHOOL_MISSING: NextStep(
            Who.SIS_ADMINISTRATOR, "Add the school to the data again. If it has closed, choose “Confirm removals”."
        ),
        UNUSUAL_CHANGES: NextStep(
            Who.SCHOOL_OFFICE,
            "Look through the list of changes. If it's right, choose “Confirm changes”. If not, ask your SIS"
            " administrator to correct the data.",
        ),
        TOO_MANY_GUARDIANS: NextStep(
            Who.SCHOOL_OFFICE,
            "Check each student's guardians. If all of them belong there, choose “Create accounts”. If not, correct"
            " them in your SIS.",
        ),
        EMERGENCY_CONTACTS: NextStep(
            Who.DISTRICT_ADMINISTRATOR,
            "Decide whether emergency contacts get accounts: choose “Leave them out” or “Create accounts”.",
        ),
        DISCONNECTED: NextStep(
            Who.SIS_ADMINISTRATOR, "Restore access to the data, then choose “I fixed it” on this page."
        ),
        FILE_ERRORS: NextStep(
            Who.SIS_ADMINISTRATOR, "Correct the files, then send the complete set again. That ends the hold."
        ),
        STALE: NextStep(Who.SIS_ADMINISTRATOR, "Send the data again. That ends the hold."),
        FAILED_RUN: NextStep(
            Who.US, "Something failed on our side. Our team knows, and the next successful sync ends the hold."
        ),
    }
)
_CLEVERS_TURN = NextStep(
    Who.CLEVER, "Clever has a problem with the district's data. The hold ends once Clever fixes it."
)
_PENDING = NextStep(
    Who.SIS_ADMINISTRATOR, "Something is pending in Clever. Finish it there, then choose “I fixed it” on this page."
)
_REMOTE: Mapping[str, NextStep] = MappingProxyType({"error": _CLEVERS_TURN, "pending": _PENDING})


def next_steps(
    status: Status | None,
    *,
    reasons: Collection[str] = (),
    has_source: bool = True,
    form: str,
    remote_state: str | None = None,
    errors: int = 0,
    alerts: int = 0,
) -> tuple[NextStep, ...]:
    """Who has to act about a school, and how; several where a hold has several reasons, the first first.

    reasons: the codes of its open hold. form: of its source. remote_state: see `models.tables.Source`. errors, alerts:
    records concerned, muted ones left out.
    """
    if status is Status.ON_HOLD:
        steps = [
            _REMOTE.get(remote_state or "", _REASONS[code]) if code == DISCONNECTED else _REASONS[code]
            for code in _REASONS
            if code in reasons
        ]
        return tuple(dict.fromkeys(steps))
    return (_without_hold(status, has_source, form, errors, alerts),)


def every_step() -> tuple[NextStep, ...]:
    """All that `next_steps` can say."""
    others = (
        _without_hold(status, has_source, form, errors, alerts)
        for status in (*Status, None)
        if status is not Status.ON_HOLD
        for has_source, form, errors, alerts in product((True, False), FORMATS, (0, 1), (0, 1))
    )
    return tuple(dict.fromkeys((*_REASONS.values(), *_REMOTE.values(), *others)))


def _without_hold(status: Status | None, has_source: bool, form: str, errors: int, alerts: int) -> NextStep:
    source_name = FORMATS[form].source_name
    if status is None:
        return NextStep(
            Who.NOBODY, "The school isn't on your plan. Its accounts stay as they are, and nothing is synced."
        )
    if status is Status.SETUP_SYNC and not has_source:
        return NextStep(Who.DISTRICT_ADMINISTRATOR, "Set up the sync: choose CSV files or Clever for this school.")
    if status is Status.SETUP_SYNC:
        if source_name is None:
            return NextStep(Who.SIS_ADMINISTRATOR, "Send the first complete set of files.")
        return NextStep(Who.US, f"The first sync from {source_name} runs tonight, or when you check for new data.")
    if status is Status.PROCESSING:
        return NextStep(Who.US, "We're processing the newest data. Nothing to do.")
    if status is Status.PAUSED:
        return NextStep(Who.US, "We paused the sync for maintenance. It resumes automatically.")
    if errors:
        return NextStep(
            Who.SCHOOL_OFFICE, "Correct the records with errors in your SIS. They have no account or class until then."
        )
    if alerts:
        return NextStep(Who.SCHOOL_OFFICE, "Look at the alerts when you have time. Everyone has an account.")
    return NextStep(Who.NOBODY, "Everything is in order. Nothing to do.")
