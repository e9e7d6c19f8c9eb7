"""Holds: opening, replacing, confirming and releasing them. A hold is never altered but for its end.

A school has at most one open hold, with one or more reasons. When its reasons or its sets change, or what was seen of a
reason that has no set, a new hold takes its place; a reason that goes on keeps the time it began.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

import polars as pl
from sqlalchemy import func
from sqlmodel import Session, col, select

from contracts.contacts import CONTACT_TYPES
from contracts.formats import CSV
from contracts.issues import catalogue
from contracts.roster import empty
from errors import NotFound, NotPossible
from models import bulk
from models.tables import Decision, District, HoldReason, Run, School, SchoolRun, Source
from models.tables import Hold as HoldRow
from services import figures, outbox
from services.changesets import ITEMS, Reason
from services.downloads import to_csv
from services.guard import (
    ACCEPTANCES,
    DATA_REMOVALS,
    EMERGENCY_CONTACTS,
    SCHOOL_MISSING,
    TOO_MANY_GUARDIANS,
    UNUSUAL_CHANGES,
    family_digests,
    is_of_district,
)

CONFIRM, ACCEPT, LEAVE_OUT, FIXED, RECHECK = "confirm", "accept", "leave_out", "fixed", "recheck"
# Half of what confirm does, for a form that offers each by its name.
CONFIRM_REMOVALS, CONFIRM_CHANGES = "confirm_removals", "confirm_changes"
DISCONNECTED, FILE_ERRORS, STALE = "disconnected", "file_errors", "stale"
# The reasons that a verb is about, and what there is to decide; each other one ends by itself. Any hold can be checked
# again.
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
}
# What the command line offers.
VERBS = (CONFIRM, ACCEPT, LEAVE_OUT, FIXED, RECHECK)
# What these decide, they decide for a set that was shown; the other verbs for whatever comes.
_OF_A_SET = (CONFIRM, CONFIRM_REMOVALS, CONFIRM_CHANGES, ACCEPT)
# What these decide is about the whole source, so that all its schools are to be processed.
OF_SOURCE = (LEAVE_OUT, FIXED)


@dataclass(frozen=True)
class Hold:
    """A hold as people see it. `ending`: None while it is open, else released or replaced (by `replaced_by`).

    decisions: those about it and the holds it replaced, oldest first. source_kind: of the school's present source.
    """

    id: int
    district_id: str
    school_id: str
    school_key: str
    school_name: str
    opened_at: datetime
    ended_at: datetime | None
    ending: str | None
    replaced_by: int | None
    delivery_id: int | None
    reasons: tuple[HoldReason, ...]
    decisions: tuple[Decision, ...]
    source_kind: str = CSV

    @property
    def codes(self) -> list[str]:
        """The codes of its reasons, sorted."""
        return [reason.code for reason in self.reasons]

    def title(self, code: str) -> str:
        """What a reason is called, in the words of the school's kind of source."""
        return catalogue(self.source_kind)[code].title


def open_hold(session: Session, school_id: str) -> HoldRow | None:
    """The school's open hold."""
    return session.exec(
        select(HoldRow).where(HoldRow.school_id == school_id, col(HoldRow.ended_at).is_(None))
    ).one_or_none()


def reasons_of(session: Session, hold_id: int) -> list[HoldReason]:
    """A hold's reasons, by code."""
    return list(session.exec(select(HoldReason).where(HoldReason.hold_id == hold_id).order_by(HoldReason.code)))


def items_of(session: Session, hold_id: int) -> pl.DataFrame:
    """A hold's set, ITEMS, in the order people read it."""
    return bulk.read(
        session,
        f"SELECT {', '.join(ITEMS)} FROM hold_item WHERE hold_id = :hold ORDER BY code, type, record_id, other_id, key",
        {"hold": hold_id},
        ITEMS,
    )


_EVIDENCE: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        DATA_REMOVALS: {name: name for name in ("type", "record_id", "new_id", "other_id", "name")},
        UNUSUAL_CHANGES: {name: name for name in ("type", "record_id", "name", "field", "before", "after", "other_id")},
        TOO_MANY_GUARDIANS: {
            "student_id": "record_id",
            "student": "name",
            "guardian_id": "other_id",
            "guardian": "after",
            "type": "field",
        },
        EMERGENCY_CONTACTS: {
            "student_id": "record_id",
            "student": "name",
            "contact_id": "other_id",
            "contact": "after",
            "type": "field",
        },
    }
)


def evidence_csv(items: pl.DataFrame, reasons: Sequence[Reason | HoldReason] = ()) -> str:
    """A hold's evidence as a download; in the columns that fit, where it is of one reason.

    items: ITEMS. reasons: the hold's, told with each row whose type all schools together have too many of.
    """
    codes = items["code"].unique().to_list()
    columns = {name: name for name in ITEMS if name != "key"} if len(codes) != 1 else dict(_EVIDENCE[codes[0]])
    told = items.select(**{name: pl.col(column) for name, column in columns.items()})
    if items["new_id"].null_count() == items.height:
        told = told.drop("new_id", strict=False)
    else:
        is_removal = items["code"] == DATA_REMOVALS
        change = (
            pl.when(pl.col("new_id").is_not_null()).then(pl.lit("ID changed")).when(is_removal).then(pl.lit("removed"))
        )
        told.insert_column(told.columns.index("type") + 1, told.select(change.alias("change")).to_series())
    together = {
        kind.removeprefix(figures.DISTRICT): figures.together(kind, counts)
        for reason in reasons
        for kind, counts in (reason.counts or {}).items()
        if kind.startswith(figures.DISTRICT)
    }
    if together:
        told = told.with_columns(
            all_schools=pl.when(items["code"] == DATA_REMOVALS).then(
                pl.col("type").replace_strict(together, default=None, return_dtype=pl.String)
            )
        )
    return to_csv(told)


def _digest(reasons: Sequence[Reason], items: pl.DataFrame) -> str:
    told = items.select(pl.concat_str("code", "type", "key", _new_value(), separator=" ").sort())
    # Why a connection is broken is all there is to such a hold; of one with a set, the set is what counts.
    said = [
        reason.code if reason.detail is None or len(reason.items) else f"{reason.code} {reason.detail}"
        for reason in reasons
    ]
    # Figures of all schools together may change while the school's own set stays.
    said += [f"{reason.code} {dict(reason.counts)}" for reason in reasons if is_of_district(reason.counts)]
    lines = [*sorted(said), *told.to_series()]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _new_value() -> pl.Expr:
    """What else than type and key a decision is compared by. Rule: changes also by new value."""
    return pl.when(pl.col("code") == UNUSUAL_CHANGES).then("after").fill_null("").alias("new_value")


def _set_of(reasons: Sequence[Reason]) -> pl.DataFrame:
    return pl.concat([empty(ITEMS), *(reason.items for reason in reasons)])


def hold_school(
    session: Session,
    school_id: str,
    reasons: Sequence[Reason],
    *,
    run_id: int | None,
    delivery_id: int | None,
    now: datetime,
) -> HoldRow:
    """Hold a school for these reasons with their sets, and only these.

    An open hold with the same reasons, seen alike, and the same set stays as it is; any other is replaced.
    """
    items = _set_of(reasons)
    digest = _digest(reasons, items)
    former = open_hold(session, school_id)
    if former is not None and former.digest == digest:
        return former
    since: dict[str, datetime] = {}
    if former is not None and former.id is not None:
        since = {reason.code: reason.since for reason in reasons_of(session, former.id)}
        former.ended_at, former.ending = now, "replaced"
        session.add(former)
        session.flush()
    hold = HoldRow(
        school_id=school_id,
        run_id=run_id,
        delivery_id=delivery_id,
        opened_at=now,
        replaces_id=former.id if former is not None else None,
        digest=digest,
    )
    session.add(hold)
    session.flush()
    assert hold.id is not None
    session.add_all(
        HoldReason(
            hold_id=hold.id,
            code=reason.code,
            since=since.get(reason.code, now),
            counts={kind: dict(counts) for kind, counts in reason.counts.items()},
            detail=reason.detail,
        )
        for reason in reasons
    )
    session.flush()
    evidence = {reason.code: outbox.told_evidence(reason.counts, reason.detail) for reason in reasons}
    outbox.note_held(session, school_id, evidence, run_id=run_id, now=now)
    bulk.insert(session, "hold_item", items.select(hold_id=pl.lit(hold.id), **{name: pl.col(name) for name in ITEMS}))
    return hold


def add_reason(
    session: Session,
    school_ids: Collection[str],
    code: str,
    *,
    run_id: int | None,
    now: datetime,
    detail: str | None = None,
) -> None:
    """Hold these schools for one more reason, one that has no set of its own; what holds them already goes on.

    detail: what was seen, in words without personal data.
    """
    added = Reason(code, {}, detail)
    for school_id in school_ids:
        former = open_hold(session, school_id)
        if former is None or former.id is None:
            hold_school(session, school_id, [added], run_id=run_id, delivery_id=None, now=now)
            continue
        kept = _reasons(session, former.id)
        if (code, detail) in {(reason.code, reason.detail) for reason in kept}:
            continue
        kept = [reason for reason in kept if reason.code != code]
        hold_school(
            session,
            school_id,
            [*kept, added],
            run_id=run_id,
            delivery_id=former.delivery_id,
            now=now,
        )


def drop_reasons(
    session: Session, school_ids: Collection[str], codes: Collection[str], *, run_id: int, now: datetime
) -> int:
    """Take reasons off these schools' holds: a hold left without any is released, else replaced. Gives how many."""
    dropped = 0
    for school_id in school_ids:
        former = open_hold(session, school_id)
        if former is None or former.id is None:
            continue
        reasons = _reasons(session, former.id)
        left = [reason for reason in reasons if reason.code not in codes]
        if len(left) == len(reasons):
            continue
        dropped += 1
        if not left:
            release(session, school_id, run_id=run_id, now=now)
            continue
        hold_school(session, school_id, left, run_id=run_id, delivery_id=former.delivery_id, now=now)
    return dropped


def _reasons(session: Session, hold_id: int) -> list[Reason]:
    items = items_of(session, hold_id)
    return [
        Reason(row.code, row.counts or {}, row.detail, items.filter(pl.col("code") == row.code))
        for row in reasons_of(session, hold_id)
    ]


def of_the_source(session: Session, school_id: str) -> list[Reason]:
    """The reasons of the school's open hold that only what the source sends can end."""
    former = open_hold(session, school_id)
    if former is None or former.id is None:
        return []
    return [reason for reason in _reasons(session, former.id) if reason.code in (DISCONNECTED, FILE_ERRORS, STALE)]


def release(session: Session, school_id: str, *, run_id: int | None = None, now: datetime) -> HoldRow | None:
    """End the school's open hold, and with it every decision made about it or its forerunners."""
    hold = open_hold(session, school_id)
    if hold is None:
        return None
    hold.ended_at, hold.ending = now, "released"
    session.add(hold)
    outbox.note_released(session, school_id, run_id=run_id, now=now)
    for decision in waiting_decisions(session, school_id):
        decision.applied_at = now
        session.add(decision)
    session.flush()
    return hold


def waiting_decisions(session: Session, school_id: str) -> list[Decision]:
    """Decisions about the school's holds that no release has used up, oldest first."""
    return list(
        session.exec(
            select(Decision)
            .join(HoldRow, col(HoldRow.id) == Decision.hold_id)
            .where(HoldRow.school_id == school_id, col(Decision.applied_at).is_(None))
            .order_by(col(Decision.id))
        )
    )


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
    return any(DATA_REMOVALS in DECIDED[decision.verb] for decision in _decisions(session, hold_id))


def about_removals(session: Session, school_id: str) -> Hold | None:
    """The school's open hold, where it is about removals: what tells nothing of them does not end it."""
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
    left = list(reasons)
    for decision in waiting_decisions(session, school_id):
        if decision.verb not in _OF_A_SET or not left:
            continue
        shown = {row.code for row in reasons_of(session, decision.hold_id)} & DECIDED[decision.verb]
        items = items_of(session, decision.hold_id)
        left = [reason for reason in left if reason.code not in shown or not uncovered(reason.items, items).is_empty()]
    return left


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
    if not any(SCHOOL_MISSING in DECIDED[decision.verb] for decision in _decisions(session, last.id)):
        return False
    if not has_anything:
        return True
    newest = session.exec(
        select(SchoolRun).where(SchoolRun.school_id == school_id).order_by(col(SchoolRun.id).desc())
    ).first()
    return newest is not None and newest.delivery_id == delivery_id


def uncovered(items: pl.DataFrame, shown: pl.DataFrame) -> pl.DataFrame:
    """Those of the items that a set which was shown does not hold: what is new since. Both: ITEMS."""
    by = ["code", "type", "key", "new_value"]
    return (
        items.with_columns(_new_value())
        .join(shown.with_columns(_new_value()).select(by), on=by, how="anti")
        .drop("new_value")
    )


def acceptances(session: Session, district_id: str) -> pl.DataFrame:
    """What was accepted of the district's students, ACCEPTANCES."""
    return bulk.read(
        session,
        "SELECT a.link_id, a.code, a.digest FROM acceptance a JOIN link l ON l.id = a.link_id"
        " JOIN source s ON s.id = l.source WHERE s.district_id = :district",
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

    families: services.changesets.FAMILIES. reasons: those that the school would be held for, all of them resolved. The
    students are stored already. Rule: an acceptance holds until the student's guardians change.
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
        NotPossible: it is released already, has no reason that the verb is about, or no longer the set it showed; or
            nobody is named who decides.
    """
    hold = _decidable(session, hold_id, verb)
    who, reason = (" ".join((said or "").split()) for said in (by, why))
    if not who:
        raise NotPossible("say who decides: it is kept, and shown with the hold")
    session.add(Decision(hold_id=hold_id, verb=verb, by=who, why=reason or None, at=now))
    if verb == LEAVE_OUT:
        school = session.get(School, hold.school_id)
        source = session.get(Source, school.source_id) if school is not None and school.source_id else None
        if source is not None:
            source.leaves_out_contacts = True
            session.add(source)
    session.flush()
    return replace(hold, decisions=tuple(_decisions(session, hold_id)))


def _decidable(session: Session, hold_id: int, verb: str) -> Hold:
    hold = get_hold(session, hold_id)
    open_now = open_hold(session, hold.school_id)
    if hold.ending == "released" or open_now is None:
        raise NotPossible(f"hold {hold_id} of {hold.school_name} is released already: there is nothing to decide")
    if (why := not_synced(session, hold)) is not None:
        raise NotPossible(why)
    if not is_about(verb, hold):
        titles = "; ".join(hold.title(code) for code in hold.codes)
        raise NotPossible(
            f"hold {hold_id} of {hold.school_name} ({titles}) has {_UNDECIDABLE[verb]};"
            f" `rollcall hold show {hold_id}` says how it ends"
        )
    # Housekeeping leaves an open hold's set alone.
    about_a_set = verb in _OF_A_SET and not (DECIDED[verb] & set(hold.codes)) <= {SCHOOL_MISSING}
    if hold.ending is not None and about_a_set and items_of(session, hold_id).is_empty():
        raise NotPossible(
            f"hold {hold_id} of {hold.school_name} was replaced, and what it showed has been removed since, so that"
            f" nothing is left to decide about: decide about hold {open_now.id}, which is open now"
            f" (`rollcall hold show {open_now.id}`)"
        )
    return hold


def not_synced(session: Session, hold: Hold) -> str | None:
    """Why no run processes the hold's school, so that nothing decided could be applied; None where one does."""
    school = session.get_one(School, hold.school_id)
    source = session.get(Source, school.source_id) if school.source_id is not None else None
    if school.frozen or session.get_one(District, school.district_id).frozen:
        why = "is no longer named by the setup file"
    elif not school.on_plan:
        why = "is not on the plan"
    elif source is None or source.frozen:
        why = "has no source"
    else:
        return None
    return (
        f"{hold.school_name} {why}, so nothing of it is synced, and hold {hold.id} stays as it is: change that in the"
        " setup file and run `rollcall setup` first"
    )


def is_about(verb: str, hold: Hold) -> bool:
    """Whether a verb decides anything of a hold. Any hold can be checked again."""
    return verb == RECHECK or bool(DECIDED[verb].intersection(hold.codes))


def choose(session: Session, verb: str, *, hold_ids: Sequence[int] = (), district_id: str | None = None) -> list[Hold]:
    """The holds that a decision shall be about: those named, or all open ones of a district that the verb is about.

    Raises:
        NotFound: there is no such hold or district.
        NotPossible: both or neither were named, or the verb is about none of them.
    """
    if bool(hold_ids) == (district_id is not None):
        raise NotPossible("name the holds by their numbers, or a district for all of its holds")
    if district_id is None:
        return [_decidable(session, hold_id, verb) for hold_id in dict.fromkeys(hold_ids)]
    if session.get(District, district_id) is None:
        raise NotFound(f"there is no district {district_id}; `rollcall status` lists them")
    found = [
        hold for hold in open_holds(session, district_id) if is_about(verb, hold) and not_synced(session, hold) is None
    ]
    if not found:
        raise NotPossible(f"no open hold of district {district_id} has anything that {verb.replace('_', ' ')} is about")
    return found


def to_run(decided: Collection[Hold], verb: str) -> dict[str, list[str] | None]:
    """By district, the keys of the schools to process once this was decided of these holds; None: all of them."""
    districts: dict[str, list[str] | None] = {}
    for hold in decided:
        schools = districts.setdefault(hold.district_id, None if verb in OF_SOURCE else [])
        if schools is not None and hold.school_key not in schools:
            schools.append(hold.school_key)
    return districts


def told_counts(reason: Reason | HoldReason) -> list[str]:
    """What a reason counted, in words, a line for each type, with the limit it crossed."""
    return figures.told(reason.counts or {})


def consequences(hold: Hold, verb: str) -> list[str]:
    """What a decision about a hold will do, in words; no personal data.

    What else holds the school is told where the decision changes nothing of the data: other ones may end that, too.
    """
    about = [reason for reason in hold.reasons if verb == RECHECK or reason.code in DECIDED[verb]]
    said = {
        CONFIRM: "is applied as shown",
        CONFIRM_REMOVALS: "is applied as shown",
        CONFIRM_CHANGES: "is applied as shown",
        ACCEPT: "is set up as shown, and remembered until these students' guardians change",
        LEAVE_OUT: "is left out, of all schools of this source and from now on",
        FIXED: "the source is read again, and what is new is processed",
        RECHECK: "the newest data are looked at again, and nothing is decided",
    }[verb]
    lines = [f"{hold.title(reason.code)}: {'; '.join([*told_counts(reason), said])}" for reason in about]
    left = [code for code in hold.codes if code not in {reason.code for reason in about}]
    if not left or verb not in _OF_A_SET:
        return lines
    return [*lines, f"the school stays on hold: {'; '.join(hold.title(code) for code in left)}"]


def decisions_of(session: Session, district_id: str, limit: int = 20) -> list[tuple[Decision, Hold]]:
    """What was last decided about the district's holds, newest first, each with its hold."""
    found = session.exec(
        select(Decision)
        .join(HoldRow, col(HoldRow.id) == Decision.hold_id)
        .join(School, col(School.id) == HoldRow.school_id)
        .where(School.district_id == district_id)
        .order_by(col(Decision.id).desc())
        .limit(limit)
    ).all()
    holds = {hold.id: hold for hold in _holds(session, sorted({decision.hold_id for decision in found}))}
    return [(decision, holds[decision.hold_id]) for decision in found]


def _decisions(session: Session, hold_id: int) -> list[Decision]:
    chain, former = [hold_id], session.get_one(HoldRow, hold_id).replaces_id
    while former is not None:
        chain.append(former)
        former = session.get_one(HoldRow, former).replaces_id
    return list(session.exec(select(Decision).where(col(Decision.hold_id).in_(chain)).order_by(col(Decision.id))))


def get_hold(session: Session, hold_id: int) -> Hold:
    """One hold, open or ended.

    Raises:
        NotFound: there is no such hold.
    """
    found = _holds(session, [hold_id])
    if not found:
        raise NotFound(f"there is no hold {hold_id}; `rollcall holds` lists the open ones")
    return found[0]


def open_holds(session: Session, district_id: str | None = None) -> list[Hold]:
    """The open holds, of one district or of all, oldest first.

    Rule: a school that is off the plan or frozen has no sync status, and so none on hold.
    """
    statement = (
        select(HoldRow.id)
        .join(School, col(School.id) == HoldRow.school_id)
        .join(District, col(District.id) == School.district_id)
        .where(
            col(HoldRow.ended_at).is_(None),
            col(School.on_plan).is_(True),
            col(School.frozen).is_(False),
            col(District.frozen).is_(False),
        )
        .order_by(col(HoldRow.opened_at), col(HoldRow.id))
    )
    if district_id is not None:
        statement = statement.where(School.district_id == district_id)
    return _holds(session, [hold_id for hold_id in session.exec(statement) if hold_id is not None])


def _holds(session: Session, ids: list[int]) -> list[Hold]:
    holds = []
    for hold_id in ids:
        row = session.get(HoldRow, hold_id)
        if row is None or row.id is None:
            continue
        school = session.get(School, row.school_id)
        assert school is not None
        source = session.get(Source, school.source_id) if school.source_id is not None else None
        replaced_by = session.exec(select(HoldRow.id).where(HoldRow.replaces_id == row.id)).first()
        holds.append(
            Hold(
                id=row.id,
                district_id=school.district_id,
                school_id=school.id,
                school_key=school.key,
                school_name=school.name,
                opened_at=row.opened_at,
                ended_at=row.ended_at,
                ending=row.ending,
                replaced_by=replaced_by,
                delivery_id=row.delivery_id,
                reasons=tuple(reasons_of(session, row.id)),
                decisions=tuple(_decisions(session, row.id)),
                source_kind=source.kind if source is not None else CSV,
            )
        )
    return holds
