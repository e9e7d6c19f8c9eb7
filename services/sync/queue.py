"""The sources that a night leaves for shards: each is taken by one of them, the one synced longest ago first."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl
from sqlalchemy import func, or_
from sqlmodel import Session, col, select

from models import bulk
from models.tables import District, QueuedSource, Run, Source
from services.status.sync_status import LIVE
from services.sync import leases
from services.sync.requests import SyncRequest, last_runs

# Twice: the second run makes good one that was killed or failed, and nothing that kills each of its runs ends a night.
MOST_TAKES = 2
NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Taken:
    """A source that a shard has taken, and the number of its run, which is open."""

    request: SyncRequest
    run_id: int


def fill(session: Session, districts: Collection[str], *, kind: str, start_by: datetime | None) -> None:
    """Leave the districts' sources of a kind to the shards. start_by: no run of them begins later."""
    last = last_runs(session)
    wanted = set(districts)
    statement = select(Source).where(Source.kind == kind, col(Source.frozen).is_(False)).order_by(col(Source.id))
    sources = [source.id for source in session.exec(statement) if source.district_id in wanted]
    rows = pl.DataFrame(
        {"source_id": sources, "last_run_at": [last.get(source, NEVER) for source in sources]},
        schema={"source_id": pl.String, "last_run_at": bulk.MOMENT},
    )
    rows = rows.with_columns(start_by=pl.lit(start_by, dtype=bulk.MOMENT), takes=pl.lit(0))
    bulk.upsert(session, "queued_source", rows, key=("source_id",))


def take(session: Session, now: datetime) -> Taken | None:
    """Take the source that was synced longest ago, and with it its district's lease; None if there is none to take.

    Rule: one that another run has in hand is not taken while that run is live. One whose run died or failed is taken
    once more, after all others.

    Raises:
        Busy: another run has just begun to sync the district.
    """
    alive_since = bulk.clock(session) - LIVE
    in_hand = select(Run.id).where(
        Run.district_id == Source.district_id, col(Run.ended_at).is_(None), col(Run.heartbeat_at) > alive_since
    )
    found = session.exec(
        _due(now)
        .where(~in_hand.exists())
        .order_by(col(QueuedSource.takes), col(QueuedSource.last_run_at), col(QueuedSource.source_id))
        .limit(1)
        .with_for_update(of=QueuedSource, skip_locked=True)
    ).first()
    if found is None:
        return None
    queued, source = found
    queued.takes += 1
    session.add(queued)
    run = leases.begin_run(session, source.district_id, source.id, schools=None, now=now)
    assert run.id is not None
    return Taken(SyncRequest(source.district_id, source.id, kind=source.kind, is_pausable=source.pausable), run.id)


def is_empty(session: Session, now: datetime) -> bool:
    """Whether no source is left, not even one that a live run has in hand."""
    return session.exec(_due(now).limit(1)).first() is None


def given_up(session: Session, sources: Collection[str]) -> list[str]:
    """Which of these sources are not taken anymore, though nobody has made them good."""
    over = select(QueuedSource.source_id).where(
        col(QueuedSource.source_id).in_(sources), QueuedSource.takes >= MOST_TAKES
    )
    return list(session.exec(over.order_by(col(QueuedSource.source_id))))


def count_late(session: Session, now: datetime) -> int:
    """How many sources it is too late for tonight."""
    return session.exec(select(func.count()).where(col(QueuedSource.start_by) <= now)).one()


def _due(now: datetime) -> Any:
    """The sources that are still to be synced tonight."""
    return (
        select(QueuedSource, Source)
        .join(Source, col(Source.id) == QueuedSource.source_id)
        .join(District, col(District.id) == Source.district_id)
        .where(col(Source.frozen).is_(False), col(District.frozen).is_(False), QueuedSource.takes < MOST_TAKES)
        .where(or_(col(QueuedSource.start_by).is_(None), col(QueuedSource.start_by) > now))
    )
