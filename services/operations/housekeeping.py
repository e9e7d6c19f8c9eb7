"""Housekeeping: what is past its retention is deleted from the landing area and the database.

Raw files of deliveries, evidence of ended holds, issues of replaced deliveries, finished mails, messages to webhooks,
sessions of the report and copies of the database made before upgrades are kept for 30 days, requests to sign in for a
day; what a live hold or a delivery still in use needs stays. Archived people are anonymized, see `retention`. A
district with a live run has its turn the next day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from sqlmodel import Session, col, select

from contracts.text import count
from errors import TransientError
from models import bulk
from models.database import Database
from models.outcomes import UP_TO_DATE
from models.tables import Delivery, District, Run, Source
from services.access import openid, sessions, sign_in
from services.intake.landing_area import LandingArea
from services.mail import compose, notices
from services.operations import retention
from services.operations.retention import Policy
from services.status.sync_status import is_live, record_status_changes

RETENTION = timedelta(days=30)
LEFTOVER_AGE = timedelta(days=1)
ENOUGH = 3  # refusals, after which the landing area counts as out of reach


@dataclass(frozen=True)
class Cleaned:
    """How much went. deliveries: those whose files were removed; evidence: records shown by ended holds.

    people: who were anonymized. copies: of the embedded database, made before it was migrated.

    folders: of the landing area, that no delivery names. busy: districts with a live run, left for the next time.
    """

    people: int = 0
    deliveries: int = 0
    evidence: int = 0
    issues: int = 0
    mails: int = 0
    sign_ins: int = 0
    folders: int = 0
    copies: int = 0
    busy: int = 0

    def __str__(self) -> str:
        removed = ", ".join(count(getattr(self, name), *what) for name, what in _COUNTED.items() if getattr(self, name))
        message = f"removed {removed}" if removed else "nothing to remove"
        if self.people:
            message = f"anonymized {count(self.people, 'archived person', 'archived people')}; {message}"
        if not self.busy:
            return message
        busy = count(self.busy, "district with a sync in progress", "districts with a sync in progress")
        return f"{message}; skipped {busy}"


_COUNTED = {
    "deliveries": ("delivery's files", "deliveries' files"),
    "evidence": ("record of ended holds", "records of ended holds"),
    "issues": ("issue",),
    "mails": ("email",),
    "sign_ins": ("sign-in",),
    "folders": ("leftover folder",),
    "copies": ("copy of the database", "copies of the database"),
}


def clean(
    database: Database,
    *,
    landing: LandingArea,
    now: datetime,
    policy: Policy | None = None,
    backups: Path | None = None,
) -> Cleaned:
    """Remove what is older than 30 days and nobody needs, district by district, each in a transaction of its own.

    Rule: a delivery's age counts from when it was last sent. Its row stays, because runs and holds refer to it; its
    files are deleted once the database no longer names them, so that a killed run leaves leftovers only. Status
    changes caused by time alone are recorded. A run that died stays for its district's next run. policy: None
    anonymizes nobody. backups: where copies of an embedded database are kept.

    Raises:
        TransientError: something in the landing area cannot be removed; everything else is done.
    """
    done = Cleaned()
    refused: list[TransientError] = []

    def removed(remove: Callable[..., int], *arguments: Any) -> int:
        if len(refused) == ENOUGH:
            return 0
        try:
            return remove(*arguments)
        except TransientError as error:
            refused.append(error)
            return 0

    with database.reading() as session:
        districts = list(session.exec(select(District.id).order_by(District.id)))
    for district_id in districts:
        with database.transaction() as session:
            found = _clean_district(session, district_id, now, policy)
        for path in found.landed:
            removed(landing.remove, path)
        folders = sum(
            removed(landing.sweep, source_id, paths, now - LEFTOVER_AGE) for source_id, paths in found.sources.items()
        )
        done = _sum(done, found.cleaned, Cleaned(folders=folders))
    done = _sum(done, Cleaned(folders=removed(landing.sweep_copies, now - LEFTOVER_AGE)))
    done = _sum(done, Cleaned(copies=removed(_clean_copies, backups, now - RETENTION)))
    with database.transaction() as session:
        done = _sum(done, Cleaned(mails=_clean_mails(session, now)))
        done = _sum(done, Cleaned(sign_ins=_clean_sign_ins(session, now)))
        bulk.execute(session, "DELETE FROM webhook_call WHERE created_at < :before", {"before": now - RETENTION})
        record_status_changes(session, None, reason="housekeeping", now=now)
    if refused:
        raise refused[0]
    return done


@dataclass(frozen=True)
class _DistrictCleanup:
    """What went of a district. landed: the paths that no delivery names anymore. sources: each with its other paths."""

    cleaned: Cleaned
    landed: tuple[str, ...] = ()
    sources: Mapping[str, set[str]] = field(default_factory=dict)


def _clean_district(session: Session, district_id: str, now: datetime, policy: Policy | None) -> _DistrictCleanup:
    # As a starting run does, so that none starts in the meantime.
    session.exec(select(District).where(District.id == district_id).with_for_update(key_share=True)).one()
    open_runs = session.exec(select(Run).where(Run.district_id == district_id, col(Run.ended_at).is_(None))).all()
    if any(is_live(run, bulk.clock(session)) for run in open_runs):
        return _DistrictCleanup(Cleaned(busy=1))
    sources = list(session.exec(select(Source).where(Source.district_id == district_id)))
    deliveries = list(
        session.exec(select(Delivery).where(col(Delivery.source_id).in_([source.id for source in sources])))
    )
    needed = _needed(session, district_id)
    landed = []
    for delivery in deliveries:
        age = now - max(delivery.received_at, delivery.last_received_at)
        if delivery.path and delivery.id not in needed and age > RETENTION:
            landed.append(delivery.path)
            delivery.path = ""
            session.add(delivery)
    session.flush()
    cleaned = Cleaned(
        people=retention.anonymize(session, district_id, policy, now=now) if policy is not None else 0,
        deliveries=len(landed),
        evidence=_clean_evidence(session, district_id, now),
        issues=_clean_issues(session, district_id, now),
    )
    # What has just lost its name is no leftover: it is removed by its path.
    paths = {
        source.id: {*landed, *(delivery.path for delivery in deliveries if delivery.source_id == source.id)}
        for source in sources
    }
    return _DistrictCleanup(cleaned, tuple(landed), paths)


def _clean_copies(backups: Path | None, before: datetime) -> int:
    """Remove older copies of an embedded database: whoever is gone from it is still in them.

    Raises:
        TransientError: one cannot be removed.
    """
    if backups is None:
        return 0
    old = [copy for copy in backups.glob("*.sqlite") if datetime.fromtimestamp(copy.stat().st_mtime, UTC) < before]
    try:
        for copy in old:
            copy.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror
    else:
        return len(old)
    raise TransientError(f"copies of the database in {backups} cannot be removed ({reason})")


def _needed(session: Session, district_id: str) -> set[int | None]:
    """The deliveries whose files stay whatever their age.

    Rule: the current one of each source, the one last taken (what is sent next may be a duplicate for it), those last
    applied by a school, those an open hold names, and that of a run that died.
    """
    rows = bulk.read(
        session,
        f"""
        SELECT current_delivery_id FROM source WHERE district_id = :district
        UNION SELECT last_delivery_id FROM source WHERE district_id = :district
        UNION SELECT r.delivery_id FROM school_run r JOIN (
            SELECT max(r.id) AS id FROM school_run r JOIN school s ON s.id = r.school_id
            WHERE s.district_id = :district AND r.outcome IN ({_listed(UP_TO_DATE)}) GROUP BY r.school_id
        ) last ON last.id = r.id
        UNION SELECT h.delivery_id FROM hold h JOIN school s ON s.id = h.school_id
        WHERE s.district_id = :district AND h.ended_at IS NULL
        UNION SELECT delivery_id FROM run WHERE district_id = :district AND ended_at IS NULL
        """,
        {"district": district_id},
        {"id": pl.Int64},
    )
    return set(rows["id"].to_list())


def _clean_evidence(session: Session, district_id: str, now: datetime) -> int:
    """Remove what ended holds showed. A decision that waits needs the set it was about."""
    return bulk.execute(
        session,
        """
        DELETE FROM hold_item WHERE hold_id IN (
            SELECT h.id FROM hold h JOIN school s ON s.id = h.school_id
            WHERE s.district_id = :district AND h.ended_at < :before
            AND NOT EXISTS (SELECT 1 FROM decision d WHERE d.hold_id = h.id AND d.applied_at IS NULL)
        )
        """,
        {"district": district_id, "before": now - RETENTION},
    )


def _clean_issues(session: Session, district_id: str, now: datetime) -> int:
    """Remove the issues that a school has of a source it had before, once its present one has been at work.

    Those of its present source are of the delivery last processed: each run puts them in the place of the former ones.
    """
    return bulk.execute(
        session,
        """
        DELETE FROM issue WHERE school_id IN (SELECT id FROM school WHERE district_id = :district)
        AND EXISTS (
            SELECT 1 FROM school_run r WHERE r.school_id = issue.school_id AND r.source_id <> issue.source_id
            AND NOT EXISTS (SELECT 1 FROM school_run o WHERE o.school_id = r.school_id AND o.id > r.id)
        )
        AND NOT EXISTS (
            SELECT 1 FROM school_run r
            WHERE r.school_id = issue.school_id AND r.source_id = issue.source_id AND r.at >= :before
        )
        """,
        {"district": district_id, "before": now - RETENTION},
    )


def _clean_mails(session: Session, now: datetime) -> int:
    """Delete the mail that was sent or given up, and its notices.

    Rule: the last notice of a hold or pause that continues stays, because its end is news only after it. A mail that
    went to nobody, as its district has no administrators, counts as sent.
    """
    mails = bulk.read(
        session,
        f"""
        SELECT id FROM mail
        WHERE (sent_at < :before OR created_at < :before AND sent_at IS NULL AND attempts >= {notices.ATTEMPTS})
        AND NOT EXISTS (
            SELECT 1 FROM notice n
            WHERE n.mail_id = mail.id AND n.kind IN ({_listed(compose.ONGOING)}) AND NOT EXISTS (
                SELECT 1 FROM notice later WHERE later.id > n.id AND later.district_id = n.district_id
                AND coalesce(later.school_id, '') = coalesce(n.school_id, '')
                AND later.kind IN ({_listed(compose.ONGOING | compose.ENDED)})
            )
        )
        """,
        {"before": now - RETENTION},
        {"id": pl.Int64},
    )
    condition, parameters = bulk.in_list(session, "mail_id", mails["id"])
    bulk.execute(session, f"DELETE FROM notice WHERE {condition}", parameters)
    done, parameters = bulk.in_list(session, "id", mails["id"])
    return bulk.execute(session, f"DELETE FROM mail WHERE {done}", parameters)


def _clean_sign_ins(session: Session, now: datetime) -> int:
    """Remove sessions of the report that are long over, and what was begun to sign in. The audit log stays."""
    return (
        sessions.clean(session, now - RETENTION)
        + sign_in.clean(session, now - LEFTOVER_AGE)
        + openid.clean(session, now - LEFTOVER_AGE)
    )


def _listed(kinds: Iterable[str]) -> str:
    return ", ".join(f"'{kind}'" for kind in sorted(kinds))


def _sum(*parts: Cleaned) -> Cleaned:
    return Cleaned(**{name: sum(asdict(part)[name] for part in parts) for name in asdict(Cleaned())})
