"""The migration that cleans stored IDs: what keeps an ID where two become one, and what it says."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, Connection, Engine, MetaData, create_engine, make_url, text

from models.database import NEWEST_REVISION
from tests.models.migrating import upgrade

AT = datetime(2026, 3, 2, tzinfo=UTC)
ZERO = "\u200b"


def _address(request: pytest.FixtureRequest, kind: str, folder: Path) -> URL:
    if kind == "sqlite":
        return make_url(f"sqlite:///{folder}/old.sqlite")
    return make_url(request.getfixturevalue("empty_postgresql_url")).set(drivername="postgresql+psycopg")


@contextmanager
def _engine(address: URL) -> Iterator[Engine]:
    engine = create_engine(address)
    try:
        yield engine
    finally:
        engine.dispose()


def _fill(connection: Connection, **tables: list[dict[str, Any]]) -> None:
    metadata = MetaData()
    metadata.reflect(connection)
    for name, rows in tables.items():
        table = metadata.tables[name]
        # What every row needs, and no test speaks of.
        needed = {column.name for column in table.columns if not column.nullable} - {"id"}
        filler: dict[str, Any] = {
            "on_plan": True,
            "frozen": False,
            "active": True,
            "claimed": False,
            "position": 0,
            "quiet_seconds": 0,
        }
        filler |= {"created_at": AT, "opened_at": AT, "since": AT, "administrators": [], "phone_region": "US"}
        filler |= {"rostering_enforcement": False, "leaves_out_contacts": False, "code": "too_many_guardians"}
        for row in rows:
            missing = {column: filler.get(column, "x") for column in needed - row.keys()}
            connection.execute(table.insert().values({**missing, **row}))


def _link(number: int, kind: str, source_id: str, **values: Any) -> dict[str, Any]:
    return {"id": f"L{number}", "account_id": "A", "source": "d/files", "kind": kind, "source_id": source_id, **values}


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_stored_ids_are_cleaned_and_one_of_two_keeps_an_id(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with _engine(_address(request, kind, tmp_path)) as engine:
        with engine.begin() as connection:
            upgrade(connection, "0003")
            _fill(
                connection,
                district=[{"id": "d"}],
                source=[{"id": "d/files", "district_id": "d"}],
                school=[
                    {"id": "d/a", "district_id": "d", "source_id": "d/files", "source_school_id": f"01{ZERO}"},
                    {"id": "d/b", "district_id": "d", "source_id": "d/files", "source_school_id": "02"},
                ],
                account=[{"id": "A"}],
                link=[
                    _link(1, "student", f"S1{ZERO}"),
                    # The active one keeps it, though it is younger; of two that are active the oldest does.
                    _link(2, "student", "S2", archived_at=AT),
                    _link(3, "student", f"{ZERO}S2"),
                    _link(4, "student", "S3"),
                    _link(5, "student", f"S3{ZERO}"),
                    # Of another kind it is another ID, and inside it is left alone.
                    _link(6, "employee", f"S1{ZERO}"),
                    _link(7, "student", f"S{ZERO}1"),
                    _link(8, "guardian", f"G2{ZERO}", guardian_ids=f"G2{ZERO}\n{ZERO}G1\nG2"),
                ],
                **{
                    "class": [
                        {"id": "C1", "source": "d/files", "school_id": "d/a", "source_id": f"M{ZERO}"},
                        {"id": "C2", "source": "d/files", "school_id": "d/a", "source_id": "M"},
                        {"id": "C3", "source": "d/files", "school_id": "d/b", "source_id": "\ufeffM"},
                    ]
                },
                hold=[
                    {"id": 1, "school_id": "d/a", "digest": "before", "ended_at": None},
                    {"id": 2, "school_id": "d/b", "digest": "before", "ended_at": AT},
                ],
                hold_reason=[{"id": 1, "hold_id": 1}],
                hold_item=[
                    {
                        "id": 1,
                        "hold_id": 1,
                        "key": f"S1{ZERO}\tG2{ZERO}\nG3\t",
                        "record_id": f"S1{ZERO}",
                        "after": "Ann",
                    },
                    {"id": 2, "hold_id": 2, "key": f"S1{ZERO}", "record_id": f"S1{ZERO}"},
                ],
            )
        with engine.begin() as connection, caplog.at_level(logging.WARNING, "rollcall.migrations"):
            upgrade(connection, str(NEWEST_REVISION))
        with engine.connect() as connection:

            def rows(sql: str) -> list[tuple[Any, ...]]:
                return [tuple(row) for row in connection.execute(text(sql))]

            assert rows("SELECT id, external_id, guardian_ids FROM link ORDER BY id") == [
                ("L1", "S1", None),
                ("L2", None, None),
                ("L3", "S2", None),
                ("L4", "S3", None),
                ("L5", None, None),
                ("L6", "S1", None),
                ("L7", f"S{ZERO}1", None),
                ("L8", "G2", "G1\nG2"),
            ]
            assert rows("SELECT id, external_id FROM class ORDER BY id") == [("C1", "M"), ("C2", None), ("C3", "M")]
            assert rows("SELECT id, external_id FROM school ORDER BY id") == [("d/a", "01"), ("d/b", "02")]
            assert rows("SELECT id, key, record_id FROM hold_item ORDER BY id") == [
                (1, "S1\tG2\nG3\t", "S1"),
                (2, f"S1{ZERO}", f"S1{ZERO}"),
            ]
            digests = dict(rows("SELECT id, digest FROM hold"))
            assert (digests[1] != "before", digests[2]) == (True, "before")
    assert caplog.messages == [
        "cleaned stored IDs of blanks and invisible characters: link 5, class 2, school 1, guardian 1, hold 1;"
        " gave theirs up, as another has it: link 2, class 1"
    ]
