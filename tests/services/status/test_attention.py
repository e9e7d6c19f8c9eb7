"""Who needs somebody, in a sentence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.database import Database
from models.tables import District, Hold, HoldReason, School, Source
from services.status.attention import Attention, attention, attention_by_district

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


def held(database: Database, *schools: tuple[str, tuple[str, ...], int], **of_school: Any) -> Attention:
    """A district with schools on hold: their names, reasons, and for how many hours."""
    with database.transaction() as session:
        session.add(District(id="d", name="D", timezone="UTC", administrators=[]))
        session.flush()
        session.add(Source(id="d/files", district_id="d", key="files", kind="csv", format="csv-1.0"))
        session.flush()
        for number, (name, codes, hours) in enumerate(schools):
            values = {"position": number, "source_id": "d/files", **of_school}
            session.add(School(id=f"d/{number}", district_id="d", key=str(number), name=name, **values))
            session.flush()
            hold = Hold(school_id=f"d/{number}", opened_at=NOW - timedelta(hours=hours))
            session.add(hold)
            session.flush()
            assert hold.id is not None
            session.add_all(HoldReason(hold_id=hold.id, code=code, since=hold.opened_at, counts={}) for code in codes)
    with database.reading() as session:
        return attention(session, "d")


def test_the_sentence_names_schools_with_their_reasons_and_failures_apart(database: Database) -> None:
    found = held(
        database,
        ("Mill Pond", ("file_errors",), 1),
        ("Lincoln", ("failed_run",), 1),
        ("Adams", ("data_removals", "unusual_changes"), 1),
    )
    assert str(found) == (
        "2 on hold: Mill Pond (file errors), Adams (data removals, unusual changes); 1 failed: Lincoln"
    )


def test_more_than_ten_schools_are_counted(sqlite_database: Database) -> None:
    found = held(sqlite_database, *((f"S{number}", ("failed_run",), 1) for number in range(12)))
    assert str(found) == "12 failed: S0, S1, S2, S3, S4, S5, S6, S7, S8, S9 and 2 more"


@pytest.mark.parametrize("of_school", [{"on_plan": False}, {"frozen": True}])
def test_schools_off_the_plan_need_nobody(sqlite_database: Database, of_school: dict[str, Any]) -> None:
    found = held(sqlite_database, ("Lincoln", ("data_removals",), 1), **of_school)
    assert (found, str(found)) == (Attention(()), "")


@pytest.mark.parametrize(
    ("hours", "due"), [(0, True), (1, False), (7 * 24, False), (7 * 24 + 1, True)], ids=["new", "old", "7 days", "more"]
)
def test_somebody_is_called_for_what_is_new_or_unanswered_for_a_week(
    sqlite_database: Database, hours: int, due: bool
) -> None:
    found = held(sqlite_database, ("Lincoln", ("data_removals",), hours))
    assert found.is_due(NOW - timedelta(minutes=5), NOW) is due


def test_every_district_is_found_in_one_look(sqlite_database: Database) -> None:
    found = held(sqlite_database, ("Lincoln", ("unusual_changes", "data_removals"), 1))
    with sqlite_database.reading() as session:
        assert attention_by_district(session) == {"d": found}
    assert found.codes == ("data_removals", "unusual_changes")
