"""The audit log: who signed in, looked at people, downloaded, decided or changed something. Only ever added to.

Rule: operators read all of it; a district reads its own. An entry names IDs of ours and counts, never a value of a
roster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

import polars as pl
from sqlalchemy import func
from sqlmodel import Session, col, select

from models.tables import AuditEntry
from services.access.viewers import Viewer

COLUMNS = ("at", "person", "action", "district", "school", "subject", "detail", "network")


class Action(StrEnum):
    """What can be audited."""

    SIGNED_IN = "signed_in"
    SIGNED_OUT = "signed_out"
    SIGN_IN_FAILED = "sign_in_failed"
    LINK_MADE = "link_made"
    ACCOUNT_CONNECTED = "account_connected"
    ACCOUNT_DISCONNECTED = "account_disconnected"
    TOKEN_MADE = "token_made"
    TOKEN_REVOKED = "token_revoked"
    PEOPLE_VIEWED = "people_viewed"
    DOWNLOADED = "downloaded"
    FILES_CHECKED = "files_checked"
    DECIDED = "decided"
    SYNC_STARTED = "sync_started"
    ALERT_MUTED = "alert_muted"
    MUTE_ENDED = "mute_ended"
    SETUP_CHANGED = "setup_changed"
    ERASED = "erased"
    EXPORTED = "exported"
    INSPECTED = "inspected"


def record(
    session: Session,
    action: Action,
    *,
    actor: str,
    at: datetime,
    district_id: str | None = None,
    school_id: str | None = None,
    subject: str | None = None,
    detail: str | None = None,
    network: str | None = None,
) -> None:
    """Add an entry in the caller's transaction. subject: an ID of ours. detail: in words, no value of a roster."""
    session.add(
        AuditEntry(
            at=at,
            actor=actor,
            action=action,
            district_id=district_id,
            school_id=school_id,
            subject=subject,
            detail=detail,
            network=network,
        )
    )
    session.flush()


def record_person(
    session: Session,
    action: Action,
    viewer: Viewer,
    *,
    at: datetime,
    actor: str | None = None,
    detail: str | None = None,
    network: str | None = None,
) -> None:
    """Add what somebody did, or was done, that is of no one page: an entry for each district of theirs, or one of none.

    actor: who did it, where that is not the person.
    """
    districts = viewer.districts | {school.partition("/")[0] for school in viewer.schools}
    places: list[str | None] = [*sorted(districts)] or [None]
    for district_id in places:
        record(
            session,
            action,
            actor=actor or viewer.name,
            at=at,
            district_id=district_id,
            detail=detail,
            network=network,
        )


@dataclass(frozen=True)
class Filter:
    """Which entries are asked for. person: part of who did it. since, until: from and before these moments."""

    district_id: str | None = None
    person: str = ""
    action: Action | None = None
    since: datetime | None = None
    until: datetime | None = None


def entries(
    session: Session, asked: Filter, *, before: int | None = None, limit: int | None = None
) -> list[AuditEntry]:
    """The entries that a filter lets through, newest first. before: only those with a lower number."""
    statement = select(AuditEntry).order_by(col(AuditEntry.id).desc()).limit(limit)
    if asked.district_id is not None:
        statement = statement.where(AuditEntry.district_id == asked.district_id)
    if asked.person:
        statement = statement.where(func.lower(AuditEntry.actor).contains(asked.person.lower(), autoescape=True))
    if asked.action is not None:
        statement = statement.where(AuditEntry.action == asked.action)
    if asked.since is not None:
        statement = statement.where(AuditEntry.at >= asked.since)
    if asked.until is not None:
        statement = statement.where(AuditEntry.at < asked.until)
    if before is not None:
        statement = statement.where(col(AuditEntry.id) < before)
    return list(session.exec(statement))


def to_frame(found: Sequence[AuditEntry], zone: ZoneInfo) -> pl.DataFrame:
    """Entries for a download: at (in the zone, with its offset), person, action, district, school, subject, detail,
    network; all text."""
    rows = [
        (
            entry.at.astimezone(zone).isoformat(timespec="seconds"),
            entry.actor,
            entry.action,
            entry.district_id,
            entry.school_id,
            entry.subject,
            entry.detail,
            entry.network,
        )
        for entry in found
    ]
    return pl.DataFrame(rows, schema=dict.fromkeys(COLUMNS, pl.String), orient="row")
