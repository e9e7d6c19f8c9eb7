"""Who has to act about a school."""

from __future__ import annotations

import pytest

from contracts.issues import CATALOGUE, Severity
from services.status.next_steps import Who, next_steps
from services.status.sync_status import Status

HOLDS = [code for code, entry in CATALOGUE.items() if entry.severity is Severity.HOLD]


def who(status: Status | None, form: str = "csv-1.0", **values: object) -> list[Who]:
    return [step.who for step in next_steps(status, form=form, **values)]  # type: ignore[arg-type]


def test_every_reason_to_hold_a_school_has_somebody_to_act() -> None:
    assert {code: who(Status.ON_HOLD, reasons=[code]) for code in HOLDS} == {
        "data_removals": [Who.SCHOOL_OFFICE],
        "school_missing": [Who.SIS_ADMINISTRATOR],
        "unusual_changes": [Who.SCHOOL_OFFICE],
        "too_many_guardians": [Who.SCHOOL_OFFICE],
        "emergency_contacts": [Who.DISTRICT_ADMINISTRATOR],
        "disconnected": [Who.SIS_ADMINISTRATOR],
        "file_errors": [Who.SIS_ADMINISTRATOR],
        "failed_run": [Who.US],
        "stale": [Who.SIS_ADMINISTRATOR],
    }


def test_several_reasons_are_several_steps() -> None:
    assert who(Status.ON_HOLD, reasons=["failed_run", "data_removals"]) == [Who.SCHOOL_OFFICE, Who.US]


@pytest.mark.parametrize(
    ("state", "whose"), [("error", Who.CLEVER), ("pending", Who.SIS_ADMINISTRATOR), (None, Who.SIS_ADMINISTRATOR)]
)
def test_whose_turn_it_is_when_clever_is_disconnected(state: str | None, whose: Who) -> None:
    assert who(Status.ON_HOLD, "clever-3", reasons=["disconnected"], remote_state=state) == [whose]


def test_every_other_status_has_somebody_to_act() -> None:
    assert {
        "off the plan": who(None),
        "no source": who(Status.SETUP_SYNC, has_source=False),
        "first files": who(Status.SETUP_SYNC),
        "first from Clever": who(Status.SETUP_SYNC, "clever-3"),
        "processing": who(Status.PROCESSING),
        "paused": who(Status.PAUSED, "clever-3"),
        "errors": who(Status.CONNECTED, errors=1, alerts=1),
        "alerts": who(Status.CONNECTED, alerts=1),
        "all well": who(Status.CONNECTED),
    } == {
        "off the plan": [Who.NOBODY],
        "no source": [Who.DISTRICT_ADMINISTRATOR],
        "first files": [Who.SIS_ADMINISTRATOR],
        "first from Clever": [Who.US],
        "processing": [Who.US],
        "paused": [Who.US],
        "errors": [Who.SCHOOL_OFFICE],
        "alerts": [Who.SCHOOL_OFFICE],
        "all well": [Who.NOBODY],
    }
