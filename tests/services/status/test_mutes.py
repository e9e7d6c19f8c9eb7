"""Alert types muted for a school: with a reason and an end, over by themselves, and never an error."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import Session

from errors import NotFound, NotPossible
from models.database import Database
from models.tables import AlertMute, District, School
from services.status import mutes

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
LINCOLN = "unified/lincoln"


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.transaction() as session:
        session.add(District(id="unified", name="Unified", timezone="UTC", administrators=[]))
        session.flush()
        for key in ("lincoln", "adams"):
            session.add(School(id=f"unified/{key}", district_id="unified", key=key, name=key))
        session.flush()
        yield session


def muted(session: Session, code: str = "phone_invalid", *, days: float = 30, reason: str = "no phones") -> AlertMute:
    return mutes.mute(
        session, LINCOLN, code, reason=reason, by="office@lincoln.example", until=NOW + timedelta(days=days), now=NOW
    )


def active(session: Session, *, days: float = 0, school: str = LINCOLN) -> list[str]:
    return [mute.code for mute in mutes.active_mutes(session, school, now=NOW + timedelta(days=days))]


def test_a_mute_keeps_why_by_whom_and_until_when(session: Session) -> None:
    made = muted(session, reason="  no \n phones  ")
    assert made.model_dump(exclude={"id"}) == {
        "school_id": LINCOLN,
        "code": "phone_invalid",
        "reason": "no phones",
        "by": "office@lincoln.example",
        "at": NOW,
        "until": NOW + timedelta(days=30),
        "ended_at": None,
        "ended_by": None,
    }


def test_a_mute_ends_by_itself(session: Session) -> None:
    muted(session, days=30)
    muted(session, "grade_unknown", days=10)
    assert [active(session, days=days) for days in (0, 9.99, 10, 29.99, 30)] == [
        ["grade_unknown", "phone_invalid"],
        ["grade_unknown", "phone_invalid"],
        ["phone_invalid"],
        ["phone_invalid"],
        [],
    ]
    assert active(session, school="unified/adams") == []


def test_somebody_ends_a_mute_once(session: Session) -> None:
    made = muted(session)
    assert made.id is not None
    for by, hours in (("one@unified.example", 1), ("other@unified.example", 2)):
        mutes.end_mute(session, LINCOLN, made.id, by=by, now=NOW + timedelta(hours=hours))
    assert (made.ended_by, made.ended_at) == ("one@unified.example", NOW + timedelta(hours=1))
    assert active(session) == []
    # It can be muted again.
    muted(session)


def test_another_schools_mute_is_not_found(session: Session) -> None:
    made = muted(session)
    assert made.id is not None
    with pytest.raises(NotFound, match=f"^there is no mute {made.id}$"):
        mutes.end_mute(session, "unified/adams", made.id, by="x", now=NOW)
    assert active(session) == ["phone_invalid"]


@pytest.mark.parametrize("code", ["data_removals", "file_missing", "<script>"])
def test_what_is_no_alert_is_not_found(session: Session, code: str) -> None:
    with pytest.raises(NotFound):
        muted(session, code)


@pytest.mark.parametrize(
    ("code", "reason", "days", "said"),
    [
        ("name_missing", "why", 1, "^errors can't be muted, as they keep accounts from being created$"),
        ("phone_invalid", " \n", 1, "^give a reason, so that your colleagues know why the alert is muted$"),
        ("phone_invalid", "x" * 501, 1, "^the reason is too long; use at most 500 characters$"),
        ("phone_invalid", "why", 0, "^choose a day in the future$"),
        ("phone_invalid", "why", 366.1, "^choose a day within a year$"),
        ("grade_unknown", "why", 1, "^this alert is muted already$"),
    ],
)
def test_what_is_refused(session: Session, code: str, reason: str, days: float, said: str) -> None:
    muted(session, "grade_unknown")
    with pytest.raises(NotPossible, match=said):
        muted(session, code, days=days, reason=reason)
    assert active(session) == ["grade_unknown"]
