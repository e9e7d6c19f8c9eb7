"""Decisions about holds. A hold never changes, except that it ends.

A school has at most one open hold, with one or more reasons. When its reasons or its sets change, or what was seen of a
reason that has no set, a new hold takes its place; a reason that goes on keeps the time it began.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

import polars as pl
from sqlalchemy import func
from sqlmodel import Session, col, select

from contracts.contacts import CONTACT_TYPES
from contracts.issues import (
    DATA_REMOVALS,
    DISCONNECTED,
    EMERGENCY_CONTACTS,
    SCHOOL_MISSING,
    TOO_MANY_GUARDIANS,
    UNUSUAL_CHANGES,
)
from errors import NotPossible
from models import bulk
from models.tables import Decision, District, HoldReason, Run, School, SchoolRun, Source
from models.tables import Hold as HoldRow
from services.districts import get_district
from services.holds.guard import ACCEPTANCES, family_digests, is_of_district
from services.holds.holds import new_value
from services.holds.store import (
    Hold,
    decision_rows,
    get_hold,
    items_of,
    open_hold,
    open_holds,
    reasons_of,
    waiting_decisions,
)
from services.planning.changesets import Reason

CONFIRM, ACCEPT, LEAVE_OUT, FIXED, RECHECK = "confirm", "accept", "leave_out", "fixed", "recheck"
# Half of what confirm does, for a form that offers each by its name.
CONFIRM_REMOVALS, CONFIRM_CHANGES = "confirm_removals", "confirm_changes"
LONGEST_WHY = 500

# The reasons that each verb decides about; any other ends automatically. Any hold can be checked again.
DECIDED: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        CONFIRM: frozenset({DATA_REMOVALS, SCHOOL_MISSING, UNUSUAL_CHANGES}),
        CONFIRM_REMOVALS: frozenset({DATA_REMOVALS, SCHOOL_MISSING}),
        CONFIRM_CHANGES: frozenset({UNUSUAL_CHANGES}),
        ACCEPT: frozenset({TOO_MANY_GUARDIANS, EMERGENCY_CONTACTS}),
        LEAVE_OUT: frozenset({EMERGENCY_CONTACTS}),
        FIXED: frozenset({DISCONNECTED}),
        RECHECK: frozenset(),
    }
)
_UNDECIDABLE = {
    CONFIRM: "no removals or changes to confirm",
    CONFIRM_REMOVALS: "no removals to confirm",
    CONFIRM_CHANGES: "no changes to confirm",
    ACCEPT: "no guardians or contacts to accept",
    LEAVE_OUT: "no contacts to leave out",
    FIXED: "no connection to be fixed",
    RECHECK: "no open hold to check again",
}
# What the command line offers.
VERBS = (CONFIRM, ACCEPT, LEAVE_OUT, FIXED, RECHECK)
# What these decide, they decide for a set that was shown; the other verbs for whatever comes.
_VERBS_COVERING_A_SET = (CONFIRM, CONFIRM_REMOVALS, CONFIRM_CHANGES, ACCEPT)
# What comes first where the school of a hold is not synced.
SETUP_FIRST = "change that in the setup file and run `rollcall setup` first"
# What these decide is about the whole source, so that all its schools are to be processed.
OF_SOURCE = (LEAVE_OUT, FIXED)


def confirmed_for_the_district(session: Session, school_ids: Collection[str]) -> list[int]:
    """The holds for the limit of all these schools together that a confirmation has released while others were held.

    Rule: what was confirmed counts on until the last of the schools is released. Schools are held by one run together,
    so that a hold goes back to when its run began.
    """
    of_district = (
        select(HoldRow, HoldReason.counts, Run.started_at)
        .join(HoldReason, col(HoldReason.hold_id) == HoldRow.id)
        .outerjoin(Run, col(Run.id) == HoldRow.run_id)
        .where(col(HoldRow.school_id).in_(school_ids), HoldReason.code == DATA_REMOVALS)
    )

    def found(*where: Any) -> list[tuple[HoldRow, datetime]]:
        rows = session.exec(of_district.where(*where).order_by(col(HoldRow.ended_at).desc(), col(HoldRow.id)))
        return [(row, started or row.opened_at) for row, counts, started in rows if is_of_district(counts)]

    going_on = found(col(HoldRow.ended_at).is_(None))
    if not going_on:
        return []
    began = min(start for _, start in going_on)
    released = []
    for row, start in found(col(HoldRow.ended_at).is_not(None)):
        if row.id is None or row.ended_at is None or row.ended_at < began:
            break
        began = min(began, start)
        if row.ending == "released" and _is_confirmed(session, row.id):
            released.append(row.id)
    return released


def _is_confirmed(session: Session, hold_id: int) -> bool:
    return any(DATA_REMOVALS in DECIDED[decision.verb] for decision in decision_rows(session, hold_id))


def about_removals(session: Session, school_id: str) -> Hold | None:
    """The school's open hold, if it is about removals: data that say nothing about them do not end it."""
    row = open_hold(session, school_id)
    if row is None or row.id is None:
        return None
    hold = get_hold(session, row.id)
    return hold if {DATA_REMOVALS, SCHOOL_MISSING}.intersection(hold.codes) else None


def unresolved(session: Session, school_id: str, reasons: Sequence[Reason]) -> list[Reason]:
    """The reasons that nobody has decided about in a way that covers them; one decision may resolve several.

    Rule: a decision covers the set that its hold showed, by type and ID, changes also by new value; a missing school
    only if it was shown as one. A decision about an older hold counts for that hold's set.
    """
    remaining = list(reasons)
    for decision in waiting_decisions(session, school_id):
        if decision.verb not in _VERBS_COVERING_A_SET or not remaining:
            continue
        shown = {row.code for row in reasons_of(session, decision.hold_id)} & DECIDED[decision.verb]
        items = items_of(session, decision.hold_id)
        remaining = [
            reason for reason in remaining if reason.code not in shown or not uncovered(reason.items, items).is_empty()
        ]
    return remaining


def is_known_missing(session: Session, school_id: str, *, has_anything: bool, delivery_id: int | None = None) -> bool:
    """Whether somebody has confirmed that the school is missing, so that it is not held for that again.

    Rule: the last hold of the school ended by a confirmation of it; and since then the school has nothing active, or
    the delivery (of delivery_id) is still the one that was processed last. Whoever comes back is asked about again.
    """
    last = session.exec(select(HoldRow).where(HoldRow.school_id == school_id).order_by(col(HoldRow.id).desc())).first()
    if last is None or last.id is None or last.ending != "released":
        return False
    if SCHOOL_MISSING not in {reason.code for reason in reasons_of(session, last.id)}:
        return False
    if not any(SCHOOL_MISSING in DECIDED[decision.verb] for decision in decision_rows(session, last.id)):
        return False
    if not has_anything:
        return True
    newest = session.exec(
        select(SchoolRun).where(SchoolRun.school_id == school_id).order_by(col(SchoolRun.id).desc())
    ).first()
    return newest is not None and newest.delivery_id == delivery_id


def uncovered(items: pl.DataFrame, shown: pl.DataFrame) -> pl.DataFrame:
    """The items that a set shown earlier does not have.

    Args:
        items: ITEMS, as they are now.
        shown: ITEMS, as a hold showed them.

    Returns:
        ITEMS.
    """
    by = ["code", "type", "key", "new_value"]
    return (
        items.with_columns(new_value())
        .join(shown.with_columns(new_value()).select(by), on=by, how="anti")
        .drop("new_value")
    )


def acceptances(session: Session, district_id: str) -> pl.DataFrame:
    """What was accepted of the district's students, ACCEPTANCES."""
    return bulk.read(
        session,
        "SELECT a.link_id, a.code, a.digest FROM acceptance a JOIN link l ON l.id = a.link_id"
        " JOIN source s ON s.id = l.source_id WHERE s.district_id = :district",
        {"district": district_id},
        ACCEPTANCES,
    )


def forget_accepted(session: Session, school_id: str, lapsed: pl.Series) -> None:
    """Forget what was accepted of those students of a school whose guardians have changed since. lapsed: link IDs."""
    if lapsed.is_empty():
        return
    condition, parameters = bulk.in_list(session, "link_id", lapsed)
    bulk.execute(
        session,
        f"DELETE FROM acceptance WHERE {condition} AND link_id IN"
        " (SELECT link_id FROM school_membership WHERE school_id = :school)",
        {"school": school_id, **parameters},
    )


def asked_about_contacts(session: Session, school_ids: Collection[str]) -> frozenset[str]:
    """The schools whose open hold, or else last one, is about emergency contacts.

    Rule: of a hold that has ended only one that found some; whoever accepted guardians without a type is not asked
    again for that alone.
    """
    newest = select(func.max(HoldRow.id)).where(col(HoldRow.school_id).in_(school_ids)).group_by(HoldRow.school_id)
    found = session.exec(
        select(HoldRow, HoldReason)
        .join(HoldReason, col(HoldReason.hold_id) == HoldRow.id)
        .where(col(HoldRow.id).in_(newest), HoldReason.code == EMERGENCY_CONTACTS)
    )
    return frozenset(
        hold.school_id
        for hold, reason in found
        if hold.ended_at is None or not (reason.counts or {}).keys().isdisjoint(CONTACT_TYPES)
    )


def remember_accepted(session: Session, school_id: str, reasons: Sequence[Reason], families: pl.DataFrame) -> None:
    """Remember for these students that their guardians were accepted as they are.

    families: services.planning.changesets.FAMILIES. reasons: those that the school would be held for, all of them
    resolved. The students are stored already. Rule: an acceptance holds until the student's guardians change.
    """
    accepted = [decision for decision in waiting_decisions(session, school_id) if decision.verb == ACCEPT]
    for reason in reasons:
        if not accepted or reason.code not in DECIDED[ACCEPT]:
            continue
        students = families.join(reason.items, left_on="student_id", right_on="record_id", how="semi")
        rows = family_digests(students).select(
            link_id="student_link_id",
            code=pl.lit(reason.code),
            digest="digest",
            decision_id=pl.lit(accepted[-1].id, pl.Int64),
        )
        bulk.upsert(session, "acceptance", rows, ("link_id", "code"))


def decide(session: Session, hold_id: int, verb: str, *, by: str, now: datetime, why: str | None = None) -> Hold:
    """Store what somebody decided about a hold. The school's next run applies it.

    confirm: the removals and changes it shows may be applied. accept: the guardians and contacts it shows are set up,
    and remembered. leave_out: the source's emergency contacts are left out from now on. fixed: the source can be
    reached again, or does not refuse us. recheck: nothing is decided, and the newest data are looked at.

    Raises:
        NotFound: there is no such hold.
        NotPossible: it is released already, has no reason that the verb is about, or no longer the set it showed;
            nobody is named who decides; or the reason is too long.
    """
    hold = _decidable(session, hold_id, verb)
    who, reason = (" ".join((given or "").split()) for given in (by, why))
    if not who:
        raise NotPossible("enter your name; it is stored and shown with the hold")
    if len(reason) > LONGEST_WHY:
        raise NotPossible(f"a reason has at most {LONGEST_WHY} characters")
    session.add(Decision(hold_id=hold_id, verb=verb, by=who, why=reason or None, at=now))
    if verb == LEAVE_OUT:
        school = session.get(School, hold.school_id)
        source = session.get(Source, school.source_id) if school is not None and school.source_id else None
        if source is not None:
            source.leaves_out_contacts = True
            session.add(source)
    session.flush()
    return replace(hold, decisions=tuple(decision_rows(session, hold_id)))


def _decidable(session: Session, hold_id: int, verb: str) -> Hold:
    hold = get_hold(session, hold_id)
    open_now = open_hold(session, hold.school_id)
    if hold.ending == "released" or open_now is None:
        raise NotPossible(f"hold {hold_id} of {hold.school_name} is already released: there is nothing to decide")
    if (why := not_synced(session, hold)) is not None:
        raise NotPossible(why, hint=SETUP_FIRST)
    if not is_about(verb, hold):
        titles = "; ".join(hold.title(code) for code in hold.codes)
        raise NotPossible(
            f"hold {hold_id} of {hold.school_name} ({titles}) has {_UNDECIDABLE[verb]}",
            hint=f"`rollcall hold show {hold_id}` shows how it ends",
        )
    # Housekeeping leaves an open hold's set alone.
    about_a_set = verb in _VERBS_COVERING_A_SET and not (DECIDED[verb] & set(hold.codes)) <= {SCHOOL_MISSING}
    if hold.ending is not None and about_a_set and items_of(session, hold_id).is_empty():
        raise NotPossible(
            f"hold {hold_id} of {hold.school_name} was replaced, and its evidence has been deleted since, so nobody can"
            f" decide about it anymore: decide about hold {open_now.id}, which is open now",
            hint=f"`rollcall hold show {open_now.id}` shows it",
        )
    return hold


def not_synced(session: Session, hold: Hold) -> str | None:
    """Why no run processes the hold's school, so that nothing decided could be applied; None where one does."""
    school = session.get_one(School, hold.school_id)
    source = session.get(Source, school.source_id) if school.source_id is not None else None
    if school.frozen or session.get_one(District, school.district_id).frozen:
        why = "is no longer in the setup file"
    elif not school.on_plan:
        why = "is not on the plan"
    elif source is None or source.frozen:
        why = "has no source"
    else:
        return None
    return f"{hold.school_name} {why}, so it is not synced, and hold {hold.id} stays as it is"


def is_about(verb: str, hold: Hold) -> bool:
    """Whether a verb decides anything of a hold. Any hold can be checked again."""
    return verb == RECHECK or bool(DECIDED[verb].intersection(hold.codes))


def choose(session: Session, verb: str, *, hold_ids: Sequence[int] = (), district_id: str | None = None) -> list[Hold]:
    """Choose the holds to decide about: those named, or all open ones of a district that the verb applies to.

    Raises:
        NotFound: there is no such hold or district.
        NotPossible: both or neither were named, or the verb is about none of them.
    """
    if bool(hold_ids) == (district_id is not None):
        raise NotPossible(
            "name either holds or a district",
            hint="give either hold numbers or --district for all holds of a district",
        )
    if district_id is None:
        return [_decidable(session, hold_id, verb) for hold_id in dict.fromkeys(hold_ids)]
    get_district(session, district_id)
    found = [
        hold for hold in open_holds(session, district_id) if is_about(verb, hold) and not_synced(session, hold) is None
    ]
    if not found:
        raise NotPossible(f"district {district_id} has {_UNDECIDABLE[verb]}")
    return found


def to_run(decided: Collection[Hold], verb: str) -> dict[str, list[str] | None]:
    """By district, the keys of the schools to process once this was decided of these holds; None: all of them."""
    districts: dict[str, list[str] | None] = {}
    for hold in decided:
        schools = districts.setdefault(hold.district_id, None if verb in OF_SOURCE else [])
        if schools is not None and hold.school_key not in schools:
            schools.append(hold.school_key)
    return districts
