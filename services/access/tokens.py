"""Access tokens: by one a program reads a district's report as JSON, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from contracts.text import clean
from errors import NotFound, NotPossible
from models.tables import AccessToken, District
from services.access import audit
from services.access.audit import Action
from services.access.secrets import hashed, new_secret
from services.access.viewers import NOBODY, Viewer

PREFIX = "rollcall_"  # so that scanners of code and logs recognize one that leaked
NAME_LENGTH = 60
# A token's last use is written at most so often.
_NOTED_EVERY = timedelta(minutes=1)


def make(session: Session, district_id: str, name: str, *, by: str, now: datetime, network: str | None = None) -> str:
    """Make a token for a district; gives it, once. Audits it.

    Raises:
        NotPossible: the name is empty, too long or that of another of the district's tokens.
    """
    name = clean(name)
    if not name or len(name) > NAME_LENGTH:
        raise NotPossible(f"a token needs a name of up to {NAME_LENGTH} characters")
    if any(token.name == name for token in of_district(session, district_id)):
        raise NotPossible("another token of this district has that name")
    token = PREFIX + new_secret()
    session.add(
        AccessToken(district_id=district_id, name=name, token_hash=hashed(token), created_at=now, created_by=by)
    )
    session.flush()
    audit.record(session, Action.TOKEN_MADE, actor=by, at=now, district_id=district_id, detail=name, network=network)
    return token


def of_district(session: Session, district_id: str) -> Sequence[AccessToken]:
    """A district's tokens that are not revoked, oldest first."""
    return session.exec(
        select(AccessToken)
        .where(AccessToken.district_id == district_id, col(AccessToken.revoked_at).is_(None))
        .order_by(col(AccessToken.id))
    ).all()


def get(session: Session, district_id: str, token_id: int) -> AccessToken:
    """A district's token that is not revoked.

    Raises:
        NotFound: there is none.
    """
    found = session.get(AccessToken, token_id)
    if found is None or found.district_id != district_id or found.revoked_at is not None:
        raise NotFound("there is no such access token")
    return found


def revoke(session: Session, district_id: str, token_id: int, *, now: datetime) -> AccessToken:
    """End a token at once.

    Raises:
        NotFound: there is none.
    """
    found = get(session, district_id, token_id)
    found.revoked_at = now
    session.add(found)
    session.flush()
    return found


def find(session: Session, token: str) -> tuple[Viewer, AccessToken | None]:
    """The program that sends a token: nobody where it is none of ours, revoked, or of a district no longer set up."""
    found = session.exec(
        select(AccessToken).where(AccessToken.token_hash == hashed(token), col(AccessToken.revoked_at).is_(None))
    ).one_or_none()
    if found is None or session.get_one(District, found.district_id).frozen:
        return NOBODY, None
    return Viewer(f"token:{found.name}", districts=frozenset({found.district_id}), is_read_only=True), found


def is_to_be_noted(found: AccessToken, now: datetime) -> bool:
    """Whether the present request by a token is to be written down with `note`."""
    return found.last_used_at is None or now - found.last_used_at >= _NOTED_EVERY


def note(session: Session, token_id: int, *, now: datetime) -> None:
    """Note that a token is in use."""
    found = session.get(AccessToken, token_id)
    if found is not None:
        found.last_used_at = now
        session.add(found)
        session.flush()
