from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

import polars as pl
import pytest

from contracts.roster import STORED_TABLES, Schema, Settled, schema_of, verify
from models.database import Database
from services.planning.compare import TABLE_DIFFS, compare
from services.planning.stored import STORED_ROWS, load_stored_roster, load_stored_rows, read_scope
from tests.conftest import Beginnings
from tests.services.settled import begun_with, known, person, set_up, settled

TEACHER = person(0, "employee", "t1", email="t1@unified.example", renumbered=False)
ANN = person(1, "student", "s1", renumbered=False)
PARENT = person(2, "guardian", "g1", guardian_ids=["g1"], phone="+12025550123", renumbered=False)
SOMEBODY = settled(
    [TEACHER, ANN, PARENT],
    [(0, "1"), (1, "1")],
    [("c1", "1")],
    [("c1", "1", 0, True), ("c1", "1", 1, False)],
    [(1, 2)],
)
BEGIN = begun_with(SOMEBODY)


@pytest.fixture
def started(beginnings: Beginnings, kind: str) -> Iterator[Database]:
    with beginnings(kind, BEGIN) as database:
        yield database


def schemas(frames: object) -> dict[str, Schema]:
    """The schemas of the frames among a dataclass's fields."""
    named = {each.name: getattr(frames, each.name) for each in fields(frames)}  # type: ignore[arg-type]
    return {name: dict(frame.schema) for name, frame in named.items() if isinstance(frame, pl.DataFrame)}


def assert_as_declared(database: Database, value: Settled) -> None:
    with database.reading() as session:
        scope = read_scope(session, "unified/files")
        stored = load_stored_rows(session, scope)
        diffs = compare(scope, known(session, value), stored)
        held = load_stored_roster(session, scope, stored, ["t1@unified.example"])
    assert schemas(stored) == STORED_ROWS
    assert {each.name: schemas(getattr(diffs, each.name)) for each in fields(diffs)} == TABLE_DIFFS
    assert schemas(held) == {name: dict(schema_of(table)) for name, table in STORED_TABLES.items()}


@pytest.mark.parametrize("value", [settled(), SOMEBODY], ids=["nobody", "somebody"])
def test_the_frames_have_their_schemas_where_nothing_is_stored(database: Database, value: Settled) -> None:
    with database.transaction() as session:
        set_up(session)
    assert_as_declared(database, value)


@pytest.mark.parametrize("value", [settled(), SOMEBODY], ids=["nobody", "somebody"])
def test_the_frames_have_their_schemas_where_somebody_is_stored(started: Database, value: Settled) -> None:
    assert_as_declared(started, value)


def test_what_is_held_has_no_nulls_but_where_it_may(started: Database) -> None:
    with started.reading() as session:
        scope = read_scope(session, "unified/files")
        held = load_stored_roster(session, scope, load_stored_rows(session, scope), ["t1@unified.example"])
    assert held.links.height == 3
    verify("holding", held, STORED_TABLES)
