"""When deliveries came, how far they got, and when the next is to be expected."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from contracts.issues import catalogue
from models.database import Database
from models.outcomes import RunOutcome
from models.tables import Delivery, District, FileError, Run, School, SchoolRun, Source
from services.status.arrivals import Arrival, Rhythm, arrivals, rhythm
from services.status.rejections import FileErrorCount, RejectedFile, Rejection, rejections

CHICAGO = ZoneInfo("America/Chicago")
MONDAY = datetime(2026, 11, 23, 2, 10, tzinfo=CHICAGO)
NOW = datetime(2026, 11, 30, 16, 0, tzinfo=UTC)


def nightly(*days: int, minutes: int = 0) -> list[datetime]:
    return [MONDAY + timedelta(days=day, minutes=minutes) for day in days]


def test_too_few_nights_show_no_rhythm() -> None:
    assert rhythm([], CHICAGO, NOW) is None
    assert rhythm(nightly(0, 1), CHICAGO, NOW) is None
    # Three on two nights are two nights.
    assert rhythm([*nightly(0, 1), *nightly(0, minutes=60)], CHICAGO, NOW) is None


def test_every_night_the_next_one_at_the_usual_time() -> None:
    found = rhythm(nightly(0, 1, 2, 3, 4, 5, 6), CHICAGO, MONDAY + timedelta(days=6, hours=3))
    assert found == Rhythm(1, time(2, 10), (0, 1, 2, 3, 4, 5, 6), MONDAY + timedelta(days=7), False)


def test_times_before_and_after_midnight_are_of_one_night() -> None:
    late = [datetime(2026, 11, 23 + day, 23, 50, tzinfo=CHICAGO) for day in range(3)]
    early = [datetime(2026, 11, 27 + day, 0, 10, tzinfo=CHICAGO) for day in range(3)]
    found = rhythm([*late, *early], CHICAGO, NOW)
    assert found is not None
    assert (found.days, found.at, found.expected_at) == (1, time(0, 0), datetime(2026, 11, 30, 0, 0, tzinfo=CHICAGO))


def test_whoever_sends_on_weekdays_is_expected_on_monday_after_friday() -> None:
    friday = MONDAY + timedelta(days=4)
    found = rhythm(nightly(-7, -6, -5, -4, -3, 0, 1, 2, 3, 4), CHICAGO, friday)
    assert found == Rhythm(1, time(2, 10), (0, 1, 2, 3, 4), MONDAY + timedelta(days=7), False)


def test_once_a_week() -> None:
    assert rhythm(nightly(-21, -14, -7, 0), CHICAGO, NOW) == Rhythm(
        7, time(2, 10), (0,), MONDAY + timedelta(days=7), True
    )


def test_it_is_late_six_hours_after_it_was_expected() -> None:
    expected = MONDAY + timedelta(days=3)
    for hours, is_late in ((5.9, False), (6.1, True)):
        found = rhythm(nightly(0, 1, 2), CHICAGO, expected + timedelta(hours=hours))
        assert found is not None
        assert found.is_late == is_late


def test_only_the_first_of_a_night_counts() -> None:
    found = rhythm([*nightly(0, 1, 2), *nightly(0, 1, 2, minutes=500)], CHICAGO, MONDAY)
    assert found is not None
    assert found.at == time(2, 10)


def a_district(database: Database) -> None:
    with database.transaction() as session:
        session.add(District(id="unified", name="Unified", timezone="America/Chicago", administrators=[]))
        session.flush()
        for key in ("files", "other"):
            session.add(
                Source(id=f"unified/{key}", district_id="unified", key=key, kind="csv", format="csv-1.0", position=1)
            )
        session.flush()
        session.add(
            School(id="unified/lincoln", district_id="unified", key="lincoln", name="L", source_id="unified/files")
        )
        session.flush()


def a_delivery(database: Database, outcome: str, *, applied: bool) -> int:
    """Taken an hour ago, checked 50 minutes ago, perhaps applied 40 minutes ago, and seen again half an hour ago."""

    def ago(minutes: int) -> datetime:
        return NOW - timedelta(minutes=minutes)

    with database.transaction() as session:
        delivery = Delivery(
            source_id="unified/files",
            received_at=ago(60),
            last_received_at=ago(30),
            checked_at=ago(50),
            outcome=outcome,
        )  # fmt: skip
        session.add(delivery)
        session.flush()
        run = Run(
            district_id="unified", source_id="unified/files", delivery_id=delivery.id, started_at=ago(61),
            heartbeat_at=ago(39), ended_at=ago(39), outcome="done" if applied else "rejected",
        )  # fmt: skip
        session.add(run)
        session.get_one(Source, "unified/files").last_delivery_id = delivery.id
        session.flush()
        assert run.id is not None and delivery.id is not None
        if applied:
            session.add(
                SchoolRun(
                    run_id=run.id, school_id="unified/lincoln", source_id="unified/files", at=ago(40), outcome="applied"
                )
            )
        return delivery.id


def test_how_far_the_last_delivery_got(database: Database) -> None:
    a_district(database)
    delivery = a_delivery(database, "clean", applied=True)
    with database.reading() as session:
        found = arrivals(session, "unified", NOW)
    ages = [NOW - timedelta(minutes=minutes) for minutes in (61, 30, 60, 50, 40)]
    looked, seen, taken, checked, applied = ages
    assert found == [
        Arrival(
            "unified/files", "CSV files", looked, RunOutcome.DONE, delivery, seen, taken, checked, applied, False, None
        ),
        Arrival("unified/other", "CSV files", None, None, None, None, None, None, None, False, None),
    ]


def test_a_rejected_delivery_is_never_applied_and_its_errors_are_told_file_by_file(database: Database) -> None:
    a_district(database)
    with database.reading() as session:
        assert rejections(session, "unified") == []
    delivery = a_delivery(database, "rejected", applied=False)
    with database.transaction() as session:
        for file, code, line in (
            *(("students.csv", "quotes_invalid", line) for line in (9, 3, 5, 7)),
            ("students.csv", "id_missing", 2),
            ("classes.csv", "column_missing", None),
        ):
            session.add(
                FileError(
                    source_id="unified/files", delivery_id=delivery, code=code, file=file, line=line,
                    detail="class_id" if line is None else None,
                )
            )  # fmt: skip
    with database.reading() as session:
        (arrival, _) = arrivals(session, "unified", NOW)
        (found,) = rejections(session, "unified")
    assert (arrival.is_rejected, arrival.applied_at) == (True, None)
    entries = catalogue("csv-1.0")
    assert found == Rejection(
        "unified/files",
        "CSV files",
        delivery,
        NOW - timedelta(minutes=60),
        (
            RejectedFile(
                "classes.csv",
                (FileErrorCount(entries["column_missing"], 1, ("A required column is missing: class_id.",)),),
            ),
            RejectedFile(
                "students.csv",
                (
                    FileErrorCount(entries["quotes_invalid"], 4, ("line 3", "line 5", "line 7")),
                    FileErrorCount(entries["id_missing"], 1, ("line 2",)),
                ),
            ),
        ),
    )
    assert found.count == 6
