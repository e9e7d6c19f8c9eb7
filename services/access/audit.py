"""The audit log: who signed in, looked at people, downloaded, decided or changed something. Only ever added to.

Rule: operators read all of it; a district reads its own. An entry names IDs of ours and counts, never a value of a
roster.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlmodel import Session, col, select

from models.tables import AuditEntry


class Action(StrEnum):
    """What can be audited."""

    SIGNED_IN = "signed_in"
    SIGNED_OUT = "signed_out"
    SIGN_IN_FAILED = "sign_in_failed"
    LINK_MADE = "link_made"
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


def entries(
    session: Session, district_id: str | None = None, *, before: int | None = None, limit: int = 100
) -> list[AuditEntry]:
    """The entries of a district, or all, newest first. before: only those with a lower number."""
    statement = select(AuditEntry).order_by(col(AuditEntry.id).desc()).limit(limit)
    if district_id is not None:
        statement = statement.where(AuditEntry.district_id == district_id)
    if before is not None:
        statement = statement.where(col(AuditEntry.id) < before)
    return list(session.exec(statement))
