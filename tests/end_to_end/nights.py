"""A district's night without Prefect: the same steps as the flow takes, and what a school looks like afterwards."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

import polars as pl

from errors import SchoolsFailed
from models import bulk
from models.database import Database
from services.intake.adapters import ADAPTERS
from services.intake.clever_api import Connection
from services.intake.landing_area import LandingArea
from services.planning.recognition import IdSecret
from services.sync import requests, running
from services.sync.provision import SchoolResult
from services.sync.requests import SyncRequest


def play(
    database: Database,
    landing: Path | LandingArea,
    district: str = "unified",
    *,
    now: bool = True,
    step: Callable[[str], None] = lambda name: None,
    delivery: int | None = None,
    schools: list[str] | None = None,
    nightly: bool = False,
    connection: Connection | None = None,
    id_secret: IdSecret | None = None,
) -> list[SchoolResult]:
    """One run of every source of the district; `step` is called between any two steps."""
    with database.reading() as session:
        sync_requests = requests.sync_requests(session, district, schools, delivery, now=now, by_hand=not nightly)
    area = LandingArea.of_folder(landing) if isinstance(landing, Path) else landing
    return [
        outcome
        for request in sync_requests
        for outcome in _play_source(database, area, request, step, connection, id_secret)
    ]


def _play_source(
    database: Database,
    landing: LandingArea,
    request: SyncRequest,
    step: Callable[[str], None],
    connection: Connection | None,
    id_secret: IdSecret | None,
) -> list[SchoolResult]:
    adapter = ADAPTERS[request.kind](connection if ADAPTERS[request.kind].is_remote else None)
    ended = running.run_request(database, request, landing=landing, adapter=adapter, id_secret=id_secret, step=step)
    if ended.failed:
        raise SchoolsFailed(ended.failed)
    return ended.schools


Snapshot = dict[str, dict[str, list[tuple[object, ...]]]]  # school -> table -> rows

_SNAPSHOTS = {
    "members": """
        SELECT m.school_id, l.kind, l.external_id, m.active FROM school_membership m JOIN link l ON l.id = m.link_id""",
    "classes": "SELECT school_id, external_id, name, archived_at IS NULL AS active FROM class",
    "class_members": """
        SELECT c.school_id, c.external_id, l.external_id AS member, m.is_owner, m.active
        FROM class_membership m JOIN class c ON c.id = m.class_id JOIN link l ON l.id = m.link_id""",
    "guardianships": """
        SELECT m.school_id, s.external_id, coalesce(g.email, '') || coalesce(g.phone, '') AS guardian, p.active
        FROM guardianship p JOIN link s ON s.id = p.student_link_id JOIN link g ON g.id = p.guardian_link_id
        JOIN school_membership m ON m.link_id = s.id""",
    "people": """
        SELECT m.school_id, l.kind, l.external_id, l.first_name, l.last_name, l.email, l.phone, l.grade,
               l.archived_at IS NULL AS active, a.email AS account_email, a.archived_at IS NULL AS account_active
        FROM link l JOIN account a ON a.id = l.account_id JOIN school_membership m ON m.link_id = l.id""",
    "issues": "SELECT school_id, code, file, line, record_id, dependents FROM issue WHERE school_id IS NOT NULL",
}


def people_of_two_schools(database: Database) -> set[str]:
    """The external IDs of all who are, or were, at more than one school: what is theirs belongs to no one school."""
    sql = """SELECT l.external_id FROM link l JOIN school_membership m ON m.link_id = l.id
             GROUP BY l.id, l.external_id HAVING count(*) > 1"""
    with database.reading() as session:
        return {str(row[0]) for row in session.connection().exec_driver_sql(sql).fetchall()}


def snapshot(database: Database, without: Collection[str] = ()) -> Snapshot:
    """By school, everything stored of it, by external IDs; `without` leaves out what people have of their own."""
    found: Snapshot = {}
    with database.reading() as session:
        for table, sql in _SNAPSHOTS.items():
            result = session.connection().exec_driver_sql(sql)
            for row in result.fetchall():
                if table in ("people", "guardianships") and not frozenset(without).isdisjoint(row[1:3]):
                    continue
                found.setdefault(str(row[0]), {}).setdefault(table, []).append(tuple(row[1:]))
    return {
        school: {table: sorted(rows, key=repr) for table, rows in sorted(tables.items())}
        for school, tables in found.items()
    }


def digests(database: Database) -> dict[str, tuple[int, int]]:
    """What `snapshot` holds, for sizes that no process should: of each table, how many rows and their hash.

    On PostgreSQL only.
    """
    hashed = "SELECT count(*), coalesce(sum(hashtextextended(CAST(rows AS text), 0)), 0) FROM ({sql}) AS rows"
    with database.reading() as session:
        connection = session.connection()
        found = {table: connection.exec_driver_sql(hashed.format(sql=sql)).one() for table, sql in _SNAPSHOTS.items()}
    return {table: (int(rows), int(digest)) for table, (rows, digest) in found.items()}


def counts(database: Database) -> dict[str, int]:
    """Rows of every roster table, and how many of them are active or not archived."""
    tables = {
        "account": "archived_at IS NULL",
        "link": "archived_at IS NULL",
        "class": "archived_at IS NULL",
        "school_membership": "active",
        "class_membership": "active",
        "guardianship": "active",
    }
    with database.reading() as session:
        frames = [
            bulk.read(
                session,
                f"SELECT '{table}' AS name, count(*) AS n FROM {table} WHERE {condition}",
                {},
                {"name": pl.String, "n": pl.Int64},
            )
            for table, condition in tables.items()
        ]
    return dict(pl.concat(frames).iter_rows())
