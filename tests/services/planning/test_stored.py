"""What settling knows of the database: who is where, and what other sources of the district have named."""

from __future__ import annotations

from datetime import timedelta

import pytest

from contracts.roster import StoredRoster
from models import bulk
from models.database import Database
from models.tables import Delivery, Run, School, SchoolRun, Source
from services.planning.stored import load_stored_roster, load_stored_rows, read_scope
from tests.services.settled import NOW, apply, person, set_up, settled

PEOPLE = [person(0, "employee", "t1"), *(person(number, "student", f"s{number}") for number in (1, 2, 3))]
CLASSES = [("c1", "1"), ("c2", "2")]
TAUGHT = [("c1", "1", 0, True), ("c1", "1", 3, False), ("c2", "2", 2, False)]
EVERYBODY = settled(
    PEOPLE, [(0, "1"), (0, "2"), (1, "1"), (2, "2"), (3, "1")], CLASSES, [*TAUGHT, ("c1", "1", 1, False)]
)
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def started(database: Database) -> Database:
    with database.transaction() as session:
        set_up(session)
    apply(database, EVERYBODY)
    # s1 moves to Adams.
    moved = settled(
        PEOPLE, [(0, "1"), (0, "2"), (1, "2"), (2, "2"), (3, "1")], CLASSES, [*TAUGHT, ("c2", "2", 1, False)]
    )
    apply(database, moved, now=LATER)
    return database


def loaded(database: Database) -> StoredRoster:
    with database.reading() as session:
        scope = read_scope(session, "unified/files")
        return load_stored_roster(session, scope, load_stored_rows(session, scope), [])


def test_who_is_where_and_who_was_until_when(started: Database) -> None:
    stored = loaded(started)
    names = stored.links.select("link_id", "external_id")
    at = stored.school_members.join(names, on="link_id").select("external_id", "school_id", "left_at").rows()
    assert sorted(at, key=repr) == [
        ("s1", "1", LATER),
        *(("s1", "2", None), ("s2", "2", None), ("s3", "1", None), ("t1", "1", None), ("t1", "2", None)),
    ]
    in_class = stored.class_members.join(names, on="link_id").select("class_id", "external_id", "is_owner").rows()
    assert sorted(in_class) == [("c1", "s3", False), ("c1", "t1", True), ("c2", "s1", False), ("c2", "s2", False)]
    # A school off the plan is none of the source's.
    with started.transaction() as session:
        bulk.execute(session, "UPDATE school SET on_plan = false WHERE key = 'adams'")
    stored = loaded(started)
    assert set(stored.school_members["school_id"]) == {"1"}
    assert set(stored.class_members["class_id"]) == {"c1"}
    assert stored.other_schools.rows() == []


def test_other_sources_schools_are_reported_with_the_delivery_that_they_last_applied(started: Database) -> None:
    with started.transaction() as session:
        session.add(Source(id="unified/clever", district_id="unified", key="clever", kind="clever", format="clever-3"))
        session.flush()
        for key, name, on_plan in (("mill", "Mill", True), ("hill", "Hill", True), ("till", "Till", False)):
            session.add(
                School(
                    id=f"unified/{key}",
                    district_id="unified",
                    key=key,
                    name=name,
                    source_id="unified/clever",
                    external_id=f"5f{key}",
                    on_plan=on_plan,
                )
            )
        session.flush()
        # The last one was still the files', and one was held.
        outcomes = ("applied", "unchanged", "on_hold", "applied")
        for number, outcome in enumerate(outcomes, start=2):
            came = NOW + timedelta(hours=number)
            source = "unified/files" if number == 5 else "unified/clever"
            session.add(Delivery(id=number, source_id=source, received_at=came, last_received_at=came, outcome="clean"))
            run = Run(district_id="unified", source_id=source, started_at=came, heartbeat_at=came, ended_at=came)
            session.add(run)
            session.flush()
            assert run.id is not None
            session.add(
                SchoolRun(
                    run_id=run.id,
                    school_id="unified/mill",
                    source_id=source,
                    delivery_id=number,
                    at=came,
                    outcome=outcome,
                )
            )
    found = loaded(started).other_schools
    assert sorted(found.rows()) == [("5fhill", "Hill", None), ("5fmill", "Mill", NOW + timedelta(hours=3))]
