"""What people do of their own accord, for the product to call: claim, edit, leave. What the sync does is elsewhere.

Rule: a person's edit is kept until the SIS value itself changes; leaving a class is always theirs; leaving the
organization is theirs unless the district enforces rostering. The caller owns the transaction.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict, Unpack, cast

import polars as pl
from sqlmodel import Session, col, select

from contracts import values
from contracts.roster import GUARDIAN, STAFF, TEACHER
from errors import NotFound, NotPossible, WriteConflict
from models import bulk
from models.tables import Account, Class, ClassMembership, District, Link, Source
from services import school_counts
from services.districts import get_district


class Edits(TypedDict, total=False):
    """The fields a person may edit; None or blank empties one."""

    first_name: str | None
    last_name: str | None
    email: str | None
    phone: str | None
    phone_extension: str | None


def claim_account(session: Session, account_id: str, *, now: datetime) -> None:
    """Note when the account's person first signed in and made it theirs; a later claim changes nothing.

    Raises:
        NotFound: there is no such account.
        NotPossible: it is archived.
    """
    account = _active_account(session, account_id)
    if account.claimed_at is None:
        account.claimed_at = now
        session.add(account)
        session.flush()


def claim_class(session: Session, class_id: str, account_id: str) -> None:
    """Make a class active, as one of its teachers claims it; a later claim changes nothing.

    Raises:
        NotFound: there is no such account or class.
        NotPossible: the account or class is archived, or the account is no teacher of the class.
    """
    _active_account(session, account_id)
    found = _class(session, class_id)
    if found.archived_at is not None:
        raise NotPossible(f"class {class_id} is archived: it is no longer in the district's data")
    if not any(membership.is_owner for membership in _class_memberships(session, class_id, account_id)):
        raise NotPossible(f"account {account_id} is no teacher of class {class_id}: only its teachers can claim it")
    found.claimed = True
    session.add(found)
    session.flush()


def edit_account(session: Session, account_id: str, **fields: Unpack[Edits]) -> Account:
    """Change a person's own name or contact points, brought to the form that the sync's have.

    Rule: the edit is kept until the SIS value itself changes: only the account is written, and the sync rewrites a
    field of it when that field of its oldest active link changes. A new phone without an extension takes the old one's
    extension away. A phone without a country code belongs to the account's first district's country.

    Raises:
        NotFound: there is no such account.
        NotPossible: it is archived; a value is not valid, or is held by another account; a name or contact point that
            the account needs would be lost. No message holds a value.
    """
    account = _active_account(session, account_id)
    wanted: dict[str, str | None] = {name: getattr(account, name) for name in _EDITABLE}
    if unknown := sorted(set(fields) - set(_EDITABLE)):
        raise NotPossible(f"{', '.join(unknown)} cannot be edited; {', '.join(_EDITABLE)} can")
    given = {name: _stripped(name, value) for name, value in cast(dict[str, str | None], fields).items()}
    wanted |= {name: value for name, value in given.items() if name in ("first_name", "last_name")}
    if "email" in given:
        wanted["email"] = _email(given["email"])
    if "phone" in given or "phone_extension" in given:
        phone = given.get("phone", account.phone)
        wanted["phone"], wanted["phone_extension"] = _phone(
            phone, given.get("phone_extension"), _region(session, account)
        )
    _complete(account, wanted)
    if wanted["email"] is not None and wanted["email"] != account.email:
        taken = select(Account.id).where(Account.email == wanted["email"], col(Account.archived_at).is_(None))
        if session.exec(taken).first() is not None:
            raise _held()
    try:
        bulk.update_columns(session, "account", pl.DataFrame([{"id": account.id, **wanted}], schema=_ROW))
    except WriteConflict:
        raise _held() from None
    session.refresh(account)
    return account


def leave_class(session: Session, class_id: str, account_id: str, *, now: datetime) -> None:
    """End an account's own membership of a class, a teacher's or a student's, whatever the district's settings.

    Rule: the sync does not put them back while the data go on saying that they belong to it.

    Raises:
        NotFound: there is no such account or class.
        NotPossible: the account is archived, or is not in the class.
    """
    _active_account(session, account_id)
    _class(session, class_id)
    memberships = _class_memberships(session, class_id, account_id)
    if not memberships:
        raise NotPossible(f"account {account_id} is not in class {class_id}")
    for membership in memberships:
        membership.active, membership.left_at, membership.by_choice = False, now, True
        session.add(membership)
    session.flush()


def leave_organization(session: Session, district_id: str, account_id: str, *, now: datetime) -> None:
    """Take an account out of a district of its own accord: all its links to any of the district's sources end.

    Rule: refused while the district enforces rostering. The memberships of schools and classes and the guardianships
    end with the links; the account is archived with its last active link, unless it was made by hand. Guardians whose
    last student leaves are archived as by a sync; they have not left themselves, and come back with a student.

    Raises:
        NotFound: there is no such account or district.
        NotPossible: the district enforces rostering, the account is archived, or it is not of the district's data.
    """
    district = session.get(District, district_id, populate_existing=True)
    if district is None:
        raise NotFound(f"there is no district {district_id}")
    _lock(session, [account_id, *_guardians_of(session, district_id, account_id)])
    _active_account(session, account_id)
    links = _links(session, district_id, account_id)
    if not any(link.archived_at is None for link in links):
        raise NotPossible(f"account {account_id} is in no data of district {district_id}: there is nothing to leave")
    if district.rostering_enforcement:
        raise NotPossible(
            f"district {district_id} enforces rostering: whoever is in its data cannot leave the organization; leaving"
            " single classes is possible"
        )
    guardians = _guardian_links_of(session, [link.id for link in links])
    for link in links:
        link.left_at, link.archived_at = now, link.archived_at or now
        session.add(link)
    session.flush()
    ids = [link.id for link in links]
    for table, column in (
        ("school_membership", "link_id"),
        ("class_membership", "link_id"),
        ("guardianship", "student_link_id"),
        ("guardianship", "guardian_link_id"),
    ):
        condition, parameters = bulk.in_list(session, column, ids)
        sql = f"UPDATE {table} SET active = false, left_at = :now WHERE active AND {condition}"
        bulk.execute(session, sql, {**parameters, "now": now})
    school_counts.recount(session, school_counts.schools_of_links(session, pl.Series(ids, dtype=pl.String)))
    has_no_link = "NOT EXISTS (SELECT 1 FROM link l WHERE l.account_id = account.id AND l.archived_at IS NULL)"
    archiving = f"UPDATE account SET archived_at = :now, email = NULL WHERE archived_at IS NULL AND {has_no_link} AND"
    bulk.execute(session, f"{archiving} id = :id AND district_id IS NULL", {"id": account_id, "now": now})
    condition, parameters = bulk.in_list(session, "id", guardians)
    bulk.execute(
        session,
        f"UPDATE link SET archived_at = :now WHERE archived_at IS NULL AND {condition} AND NOT EXISTS"
        " (SELECT 1 FROM guardianship g WHERE g.guardian_link_id = link.id AND g.active)",
        {**parameters, "now": now},
    )
    condition, parameters = bulk.in_list(session, "k.id", guardians)
    bulk.execute(
        session, f"{archiving} id IN (SELECT k.account_id FROM link k WHERE {condition})", {**parameters, "now": now}
    )
    session.expire_all()


def is_enforced(session: Session, district_id: str) -> bool:
    """Whether the district enforces rostering.

    Raises:
        NotFound: there is no such district.
    """
    return get_district(session, district_id).rostering_enforcement


def set_enforcement(session: Session, district_id: str, enforced: bool) -> bool:
    """Switch rostering enforcement; whether that changed anything.

    Rule: a change makes every school of the district due, so that the next sync brings back those who had left.

    Raises:
        NotFound: there is no such district.
    """
    district = get_district(session, district_id)
    changed = district.rostering_enforcement != enforced
    district.rostering_enforcement = enforced
    session.add(district)
    session.flush()
    return changed


_EDITABLE = tuple(Edits.__annotations__)
_ROW = {"id": pl.String, **dict.fromkeys(_EDITABLE, pl.String)}


def _active_account(session: Session, account_id: str) -> Account:
    """The account, locked: a sync that writes it waits, or is waited for."""
    account = session.get(Account, account_id, with_for_update=True, populate_existing=True)
    if account is None:
        raise NotFound(f"there is no account {account_id}")
    if account.archived_at is not None:
        raise NotPossible(f"account {account_id} is archived")
    return account


def _class(session: Session, class_id: str) -> Class:
    found = session.get(Class, class_id, populate_existing=True)
    if found is None:
        raise NotFound(f"there is no class {class_id}")
    return found


def _class_memberships(session: Session, class_id: str, account_id: str) -> list[ClassMembership]:
    """The account's active memberships of the class."""
    return list(
        session.exec(
            select(ClassMembership)
            .join(Link, col(Link.id) == ClassMembership.link_id)
            .where(
                ClassMembership.class_id == class_id,
                col(ClassMembership.active).is_(True),
                Link.account_id == account_id,
                col(Link.archived_at).is_(None),
            )
            .execution_options(populate_existing=True)
        )
    )


def _links(session: Session, district_id: str, account_id: str) -> list[Link]:
    return list(
        session.exec(
            select(Link)
            .join(Source, col(Source.id) == Link.source_id)
            .where(Link.account_id == account_id, Source.district_id == district_id)
            .execution_options(populate_existing=True)
        )
    )


def _guardian_links_of(session: Session, students: list[str]) -> list[str]:
    """The links of the active guardians of these links."""
    condition, parameters = bulk.in_list(session, "student_link_id", students)
    sql = f"SELECT DISTINCT guardian_link_id AS id FROM guardianship WHERE active AND {condition}"
    return bulk.read(session, sql, parameters, {"id": pl.String})["id"].to_list()


def _guardians_of(session: Session, district_id: str, account_id: str) -> list[str]:
    """The accounts of the guardians of an account's links to the district."""
    links = _guardian_links_of(session, [link.id for link in _links(session, district_id, account_id)])
    return list(session.exec(select(Link.account_id).where(col(Link.id).in_(links)).distinct()))


def _lock(session: Session, accounts: list[str]) -> None:
    """Lock the accounts in the order in which a sync locks them."""
    session.exec(select(Account.id).where(col(Account.id).in_(accounts)).order_by(col(Account.id)).with_for_update())


def _stripped(name: str, value: str | None) -> str | None:
    stripped = (value or "").strip()
    if not stripped.isprintable():
        raise NotPossible(f"the {name.replace('_', ' ')} must be one line of printable text")
    return stripped or None


def _email(value: str | None) -> str | None:
    if value is None:
        return None
    email: str | None = pl.select(values.email(pl.lit(value))).item()
    if email is None:
        raise NotPossible("the email address is not one that mail can be sent to")
    return email


def _phone(value: str | None, extension: str | None, region: str) -> tuple[str | None, str | None]:
    if value is None:
        if extension is not None:
            raise NotPossible("an extension needs a phone number")
        return None, None
    phone, found = values.parse_phone(value if extension is None else f"{value} x{extension}", region)
    if phone is None or (extension is not None and found != extension):
        raise NotPossible("the phone number is not one that can be called")
    return phone, found


def _region(session: Session, account: Account) -> str:
    """The country where the account's phone numbers without a country code belong."""
    of_links = (
        select(District.phone_region)
        .join(Source, col(Source.district_id) == District.id)
        .join(Link, col(Link.source_id) == Source.id)
        .where(Link.account_id == account.id, col(Link.archived_at).is_(None))
        .order_by(col(Link.id))
    )
    by_hand = select(District.phone_region).where(District.id == account.district_id)
    return session.exec(of_links).first() or session.exec(by_hand).first() or "US"


def _complete(account: Account, wanted: dict[str, str | None]) -> None:
    """Refuse to lose what the account's role needs, by the rules that the sync's records are checked by."""
    names = wanted["first_name"], wanted["last_name"]
    if account.role == GUARDIAN:
        if not any(names):
            raise NotPossible("a guardian needs a name")
        if wanted["email"] is None and wanted["phone"] is None:
            raise NotPossible("a guardian needs an email address or a phone number")
        return
    lost = any(had and not has for had, has in zip((account.first_name, account.last_name), names, strict=True))
    if lost:
        raise NotPossible("the first name and the last name cannot be left empty")
    if account.role in (TEACHER, STAFF) and account.email is not None and wanted["email"] is None:
        raise NotPossible("teachers and staff need an email address")


def _held() -> NotPossible:
    return NotPossible("the email address is another account's")
