"""What is remembered about a source's emergency contacts: that they are left out, or whose were accepted.

Decisions about holds set it (`services.holds.decisions`); here it is shown, and changed without a hold.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
from sqlmodel import Session

from contracts.issues import EMERGENCY_CONTACTS
from contracts.text import count
from errors import NotFound
from models import bulk
from models.tables import Source
from services.districts import sources_of


@dataclass(frozen=True)
class ContactPolicy:
    """How a source's emergency contacts are handled. accepted: the students whose contacts no hold asks about."""

    source_id: str
    left_out: bool
    accepted: int

    def __str__(self) -> str:
        if self.left_out:
            return f"{self.source_id}: emergency contacts are left out"
        accepted = f" (already accepted for {count(self.accepted, 'student')})" if self.accepted else ""
        return f"{self.source_id}: emergency contacts put the school on hold{accepted}"


def of_contacts(session: Session, district_id: str, source: str | None = None) -> list[ContactPolicy]:
    """What is remembered, of each source of a district or of the one with this key, in the setup file's order.

    Raises:
        NotFound: there is no such district or source.
    """
    return [
        ContactPolicy(each.id, each.leaves_out_contacts, _accepted(session, each.id))
        for each in _sources(session, district_id, source)
    ]


def leave_out(session: Session, district_id: str, source: str | None = None) -> None:
    """Leave the emergency contacts out from the next run on, of all schools of these sources.

    Raises:
        NotFound: there is no such district or source.
    """
    for each in _sources(session, district_id, source):
        each.leaves_out_contacts = True
        session.add(each)
    session.flush()


def hold(session: Session, district_id: str, source: str | None = None) -> None:
    """Hold schools for emergency contacts again, including those accepted earlier; accounts stay until then.

    Rule: where they were left out, the next run holds; where they were accepted, the next one that changes the school.

    Raises:
        NotFound: there is no such district or source.
    """
    for each in _sources(session, district_id, source):
        each.leaves_out_contacts = False
        session.add(each)
        bulk.execute(session, f"DELETE FROM acceptance WHERE {_OF_SOURCE}", _parameters(each.id))
    session.flush()


_OF_SOURCE = "code = :code AND link_id IN (SELECT id FROM link WHERE source_id = :source)"


def _parameters(source_id: str) -> dict[str, str]:
    return {"code": EMERGENCY_CONTACTS, "source": source_id}


def _accepted(session: Session, source_id: str) -> int:
    statement = f"SELECT count(*) AS n FROM acceptance WHERE {_OF_SOURCE}"
    return int(bulk.read(session, statement, _parameters(source_id), {"n": pl.Int64}).item())


def _sources(session: Session, district_id: str, key: str | None) -> list[Source]:
    found = sources_of(session, district_id)
    if key is None:
        return found
    named = [source for source in found if source.key == key]
    if not named:
        keys = ", ".join(source.key for source in found)
        raise NotFound(f"district {district_id} has no source {key}; it has {keys or 'none'}")
    return named
