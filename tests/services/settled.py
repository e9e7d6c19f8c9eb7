"""A small settled district, written by hand, for tests of what comes after settling."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import polars as pl
from sqlmodel import Session

from contracts import roster
from contracts.roster import Settled, empty
from models.database import Database
from models.tables import Delivery, District, Run, School, Source
from services.holds.judging import judged
from services.planning.changesets import ChangeSet, Plan
from services.planning.plan import plan_district
from services.planning.stored import load_stored_rows, read_scope
from services.sync import provision
from services.sync.provision import RunContext, SchoolResult

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def frame(schema: roster.Schema, rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Rows that give only the columns that matter; the others are null."""
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=dict(schema))


def set_up(session: Session, schools: Sequence[str] = ("lincoln", "adams")) -> None:
    """District unified, source files, and schools with the external IDs 1, 2, ..."""
    session.add(District(id="unified", name="Unified", timezone="America/Los_Angeles", administrators=[]))
    session.flush()
    source = Source(
        id="unified/files",
        district_id="unified",
        key="files",
        kind="csv",
        format="csv-1.0",
        settings={"folder": "x"},
    )
    session.add(source)
    session.flush()
    for position, key in enumerate(schools):
        session.add(
            School(
                id=f"unified/{key}",
                district_id="unified",
                key=key,
                name=key.title(),
                source_id="unified/files",
                external_id=str(position + 1),
                position=position,
            )
        )
    session.flush()
    session.add(Delivery(id=1, source_id="unified/files", received_at=NOW, last_received_at=NOW, outcome="clean"))
    session.flush()


def person(number: int, kind: str, external_id: str | None, **fields: Any) -> dict[str, Any]:
    role = {"employee": "teacher"}.get(kind, kind)
    names = {"first_name": f"First{external_id}", "last_name": f"Last{external_id}"}
    return {
        "person": number,
        "kind": kind,
        "role": role,
        "external_id": external_id,
        "line": number + 2,
        **names,
        **fields,
    }


def settled(
    people: Sequence[Mapping[str, Any]] = (),
    at: Sequence[tuple[int, str]] = (),
    classes: Sequence[tuple[str, str]] = (),
    members: Sequence[tuple[str, str, int, bool]] = (),
    guardianships: Sequence[tuple[int, int]] = (),
    **others: Any,
) -> Settled:
    """A settled district: people, (person, school), (class, school), members (class, school, person, owner), pairs.

    Link IDs are not known to the writer of a test: `known` fills them in from what is stored.
    """
    kinds = {row["person"]: row["kind"] for row in people}
    return replace(
        Settled(
            people=frame(roster.SETTLED_PEOPLE, people).with_columns(pl.col("gone").fill_null(False)),
            school_members=frame(
                roster.SETTLED_SCHOOL_MEMBERS, [{"person": number, "school_id": school} for number, school in at]
            ),
            classes=frame(
                roster.SETTLED_CLASSES,
                [{"external_id": name, "school_id": school, "name": f"Class {name}"} for name, school in classes],
            ),
            class_members=frame(
                roster.SETTLED_CLASS_MEMBERS,
                [
                    {"class_id": name, "school_id": school, "kind": kinds[who], "person": who, "is_owner": owner}
                    for name, school, who, owner in members
                ],
            ),
            guardianships=frame(
                roster.SETTLED_GUARDIANSHIPS,
                [{"student": student, "guardian": guardian} for student, guardian in guardianships],
            ),
            seen_links=empty(roster.SEEN_LINKS),
            seen_classes=frame(
                roster.SEEN_CLASSES, [{"external_id": name, "school_id": school} for name, school in classes]
            ),
            protected=empty(roster.PROTECTED_PAIRS),
            issues=empty(roster.ISSUES),
            notes=(),
            missing_schools=(),
        ),
        **others,
    )


def known(session: Session, value: Settled) -> Settled:
    """The same district with the links that people already have, by their external IDs, and who of them is gone."""
    stored = load_stored_rows(session, read_scope(session, "unified/files")).links
    gone = stored.filter("gone")["link_id"].implode()
    links = stored.filter("from_this_source").select("kind", "external_id", found="link_id")
    people = (
        value.people.join(links, on=["kind", "external_id"], how="left", maintain_order="left")
        .with_columns(link_id=pl.coalesce("link_id", "found"))
        .with_columns(gone=pl.col("link_id").is_in(gone).fill_null(False))
        .drop("found")
    )
    seen = pl.concat([value.seen_links, people.select("link_id").drop_nulls()]).unique()
    return replace(value, people=people, seen_links=seen)


def plan(session: Session, value: Settled) -> Plan:
    """The plan for a settled district against what is stored, judged."""
    scope = read_scope(session, "unified/files")
    return judged(session, scope, plan_district(scope, known(session, value), load_stored_rows(session, scope)))


def apply(
    database: Database,
    value: Settled,
    *,
    now: datetime = NOW,
    changing: Callable[[ChangeSet], ChangeSet] = lambda changes: changes,
) -> list[SchoolResult]:
    """Plan a settled district and provision every school of it, each in its transaction. changing: what was planned."""
    with database.transaction() as session:
        run = Run(
            district_id="unified",
            source_id="unified/files",
            delivery_id=1,
            started_at=now,
            heartbeat_at=datetime.now(UTC),
        )
        session.add(run)
        session.flush()
        run_id = run.id
        assert run_id is not None
    with database.reading() as session:
        scope = read_scope(session, "unified/files")
        made = plan(session, value)
    of = RunContext(run_id, 1, scope, {})
    outcomes = []
    for changeset in made.changesets:
        with database.transaction() as session:
            outcomes.append(provision.provision_school(session, of, changing(changeset), now=now))
    with database.transaction() as session:
        ended = session.get(Run, run_id)
        assert ended is not None
        ended.ended_at, ended.outcome = now, "done"
    return outcomes


def begun_with(value: Settled) -> Callable[[Database], None]:
    """The steps to a district that has had this applied, for `tests.conftest.Beginnings`: made once a module."""

    def begin(database: Database) -> None:
        with database.transaction() as session:
            set_up(session)
        apply(database, value)

    return begin
