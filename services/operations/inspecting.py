"""What is held of one person, for a request to inspect it: values, where each came from, and who looked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import polars as pl
from sqlalchemy import text
from sqlmodel import Session, col, select

from contracts.formats import FORMATS
from errors import NotPossible
from models.tables import Account, AuditEntry, Delivery, Link, School
from services.access.audit import Action
from services.intake import deliveries
from services.intake.landing_area import LandingArea
from services.operations.erasing import person_links
from services.operations.retention import PERSONAL
from services.status import people
from services.status.people import Person

_SCHOOLS_OF = """
SELECT DISTINCT m.school_id FROM school_membership m WHERE m.link_id = :link
OR m.link_id IN (SELECT g.student_link_id FROM guardianship g WHERE g.guardian_link_id = :link) ORDER BY 1
"""
_CHANGES = """
SELECT c.at, c.action, c.fields, c.school_id, c.run_id, r.delivery_id FROM record_change c
JOIN school s ON s.id = c.school_id LEFT JOIN run r ON r.id = c.run_id
WHERE c.subject_id = :account AND s.district_id = :district ORDER BY c.id
"""
_HELD = """
SELECT h.id AS hold_id, h.school_id, i.code, i.type, i.name, i.field, i."before", i."after" FROM hold_item i
JOIN hold h ON h.id = i.hold_id JOIN school s ON s.id = h.school_id
WHERE s.district_id = :district AND (i.key = :account OR i.key LIKE :first OR i.key LIKE :second) ORDER BY i.id
"""
# Whoever saw a page or a download of a whole school may have seen them.
_OF_SCHOOLS = (Action.PEOPLE_VIEWED, Action.DOWNLOADED)


def inspect(session: Session, district_id: str, person_id: str, landing: LandingArea) -> dict[str, Any]:
    """All of the person with this ID, the source's or ours, as plain values. An account's own are left out if shared.

    received: the lines of the deliveries whose files are kept that name them by an ID of theirs.

    Raises:
        NotFound: nobody has it.
        NotPossible: several people have it.
        TransientError: the landing area cannot be read.
    """
    found = person_links(session, district_id, person_id)
    links = [session.get_one(Link, link_id) for link_id in found["id"].sort()]
    account = session.get_one(Account, links[0].account_id)
    others = select(Link.id).where(Link.account_id == account.id, col(Link.id).not_in(found["id"].to_list()))
    is_shared = session.exec(others).first() is not None
    schools = {link.id: _read(session, _SCHOOLS_OF, link=link.id) for link in links}
    pages = [
        people.person(session, session.get_one(School, row["school_id"]), link.id, None)
        for link in links
        for row in schools[link.id]
    ]
    named = {row["school_id"] for rows in schools.values() for row in rows}
    keys = {"account": account.id, "first": f"{account.id} %", "second": f"% {account.id}"}
    return {
        "account": {"id": account.id, "role": account.role, "shared": is_shared}
        | ({} if is_shared else account.model_dump(include={*PERSONAL, "created_at", "archived_at", "claimed_at"})),
        "records": [link.model_dump(exclude={"id_hashes"}) for link in links],
        **_of_pages(pages),
        "held": _read(session, _HELD, district=district_id, **keys),
        "changes": _read(session, _CHANGES, district=district_id, account=account.id),
        "received": [line for link in links for line in _lines(session, link, landing)],
        "seen_by": _seen_by(session, district_id, {account.id, *found["id"]}, named),
    }


def _read(session: Session, sql: str, **parameters: str) -> list[dict[str, Any]]:
    return [dict(row) for row in session.connection().execute(text(sql), parameters).mappings()]


def _of_pages(pages: Sequence[Person]) -> dict[str, Any]:
    """What the report's pages of the person say, each thing once."""
    once: dict[str, dict[str, Any]] = {name: {} for name in ("schools", "classes", "guardians", "children", "issues")}
    for page in pages:
        once["schools"] |= {repr(place): asdict(place) for place in page.places}
        for name in ("classes", "guardians", "children"):
            once[name] |= {repr(each): asdict(each) for each in getattr(page, name)}
        once["issues"] |= {
            repr(issue): {
                "code": issue.code,
                "file": issue.file,
                "line": issue.line,
                "detail": issue.detail,
                "row": dict(issue.row),
            }
            for issue in page.issues
        }
    return {name: list(each.values()) for name, each in once.items()}


def _lines(session: Session, link: Link, landing: LandingArea) -> Iterator[Mapping[str, Any]]:
    """delivery, received_at, file, line: where the kept deliveries name the person by an ID."""
    ids = {one for one in (link.external_id, *(link.guardian_ids or "").split("\n")) if one}
    kept = select(Delivery).where(Delivery.source_id == link.source_id, Delivery.path != "").order_by(col(Delivery.id))
    for delivery in session.exec(kept):
        form = FORMATS[delivery.format]
        try:
            reading = form.read(deliveries.landed_files(landing, delivery))
        except NotPossible:
            continue
        if len(reading.file_errors):
            continue
        rows = form.to_roster(reading).people.filter(
            (pl.col("kind") == link.kind) & pl.col("external_id").is_in(sorted(ids))
        )
        for file, line in rows.select("file", "line").unique().sort("file", "line").iter_rows():
            yield {"delivery": delivery.id, "received_at": delivery.received_at, "file": file, "line": line}


def _seen_by(session: Session, district_id: str, ids: set[str], schools: set[str]) -> list[dict[str, Any]]:
    """The audit log's entries about the person, and about pages of their schools that they may have been on."""
    of_district = select(AuditEntry).where(AuditEntry.district_id == district_id).order_by(col(AuditEntry.id))
    found = []
    for entry in session.exec(of_district):
        is_theirs = entry.subject in ids
        may_show = entry.action == Action.EXPORTED or (
            entry.action in _OF_SCHOOLS and entry.school_id in schools and entry.subject is None
        )
        if is_theirs or may_show:
            about = "the person" if is_theirs else "the school" if entry.school_id else "the district"
            found.append({"at": entry.at, "by": entry.actor, "action": entry.action, "about": about})
    return found
