"""A district with as many schools as one likes, as rows: of every status, with errors, alerts, holds and nights."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from models.database import Database
from models.tables import Delivery, District, Hold, HoldItem, HoldReason, Issue, Run, School, SchoolRun, Source

NOW = datetime(2026, 11, 30, 16, 0, tzinfo=UTC)
NAMES = ("<script>alert(1)</script>", "{{7*7}}", "مدرسة \u202egnorw", "=1+1", "x" * 60, "🏫 O'Neill & Sons")


def add_many(database: Database, schools: int, *, nights: int = 3, district: str = "many") -> None:
    """Add a district whose schools are by turns connected, with errors, on hold, without a source, and off the plan."""
    with database.transaction() as session:
        session.add(District(id=district, name="Many <b>Schools</b>", timezone="America/Chicago", administrators=[]))
        session.flush()
        source = f"{district}/files"
        session.add(Source(id=source, district_id=district, key="files", kind="csv", format="csv-1.0", settings={}))
        session.flush()
        ids = [f"{district}/s{number:04}" for number in range(schools)]
        for number, school in enumerate(ids):
            session.add(
                School(
                    id=school,
                    district_id=district,
                    key=f"s{number:04}",
                    name=NAMES[number] if number < len(NAMES) else f"School {number:04}",
                    source_id=None if number % 10 == 7 else source,
                    external_id=str(number),
                    on_plan=number % 10 != 8,
                    position=number,
                    teachers=number % 40,
                    students=number,
                )
            )
        session.flush()
        run_id = 0
        for night in range(nights, 0, -1):
            at = NOW - timedelta(days=night)
            delivery = Delivery(source_id=source, received_at=at, last_received_at=at, checked_at=at, outcome="clean")
            session.add(delivery)
            session.flush()
            run = Run(
                district_id=district, source_id=source, delivery_id=delivery.id, started_at=at, heartbeat_at=at,
                processing_since=at, ended_at=at + timedelta(minutes=5), outcome="done",
            )  # fmt: skip
            session.add(run)
            session.flush()
            assert run.id is not None
            run_id = run.id
            session.add_all(
                SchoolRun(
                    run_id=run_id,
                    school_id=school,
                    source_id=source,
                    delivery_id=delivery.id,
                    at=at,
                    outcome="on_hold" if number % 10 == 3 and night == 1 else "applied",
                    errors=2 if number % 5 == 1 else 0,
                    alerts=0,
                    teachers=1,
                    students=1,
                )
                for number, school in enumerate(ids)
                if number % 10 not in (7, 8)
            )
            session.flush()
        held = [school for number, school in enumerate(ids) if number % 10 == 3]
        holds = [Hold(school_id=school, run_id=run_id, opened_at=NOW, digest=school) for school in held]
        session.add_all(holds)
        session.flush()
        for hold in holds:
            counts = {"students": {"removed": 40, "before": 100, "limit_share": 0.1, "limit_count": 10}}
            session.add(HoldReason(hold_id=hold.id or 0, code="data_removals", since=NOW, counts=counts))
            session.add_all(
                HoldItem(hold_id=hold.id or 0, type="students", key=str(each), record_id=str(each))
                for each in range(40)
            )
        rows = [("name_missing", school) for number, school in enumerate(ids) if number % 5 == 1 for _ in range(2)]
        rows += [("phone_invalid", school) for number, school in enumerate(ids) if number % 3 == 0]
        session.add_all(
            Issue(source_id=source, school_id=school, code=code, file="students.csv", line=2, row="{}")
            for code, school in [*rows, ("school_unknown", None)]
        )
        held_source = session.get_one(Source, source)
        held_source.last_delivery_id = held_source.current_delivery_id = delivery.id
        session.add(held_source)
