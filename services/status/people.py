"""People and classes of a school as its administrators see them: with their history, and with why they are not there.

Rule: nothing of what a viewer does not see. `visible` names the schools of the district that they see; None is all of
them. Whoever is now only at other schools is a name and an ID; other schools' classes and children do not exist; what
an account holds that another district or school may have given it is not shown.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

import polars as pl
from sqlmodel import Session, col, select

from contracts.issues import DATA_REMOVALS, SCHOOL_MISSING, Entry
from contracts.roster import EMPLOYEE, GUARDIAN, STUDENT, Schema
from errors import NotFound
from models import bulk
from models.tables import Account, Class, Hold, HoldReason, Link, School, Source
from services.planning.changesets import PERSON_FIELDS
from services.status import record_issues
from services.status.finding import of_accounts
from services.status.record_issues import CLASS, CLASS_UNKNOWN, ENROLLMENT, ERRORS, PERSON_UNKNOWN, RecordIssue

MOST_EVENTS, MOST_CLASSES, MOST_MEMBERS = 60, 10, 500
HELD = "held"
_LEAVING = (DATA_REMOVALS, SCHOOL_MISSING)
_NO_CLASS = ("student_without_class", "teacher_without_class")


class Why(StrEnum):
    """Why somebody or a class is not here, not in a class, or not as the SIS says."""

    REJECTED = "rejected"  # an error of their record; never created, or not brought back
    KEPT = "kept"  # an error of their record; stays as last applied
    NOT_IN_DATA = "not_in_data"  # named by no row of this school since then
    LEFT = "left"  # left the organization of their own accord
    ELSEWHERE = "elsewhere"  # at another school of the district
    NO_CHILD_HERE = "no_child_here"  # a guardian without a child at the school
    FORMER_SCHOOL_UNKNOWN = "former_school_unknown"  # their only school is not in the data
    FORMER_SOURCE = "former_source"  # of the source that the school had before
    REMOVAL_HELD = "removal_held"  # in no row; removed only once somebody decides
    ON_HOLD = "on_hold"
    OFF_PLAN = "off_plan"
    NO_SOURCE = "no_source"
    PERSON_UNKNOWN = "person_unknown"  # enrolled in a class, but no record of a person has the ID
    NO_CLASS = "no_class"  # the data have them in no class
    LEFT_CLASS = "left_class"  # of their own accord
    NOT_ENROLLED = "not_enrolled"  # in no row of the class since then
    CLASS_GONE = "class_gone"  # the class is in no row since then
    CLASS_UNKNOWN = "class_unknown"  # enrolled in a class that the data do not have
    CLASS_REJECTED = "class_rejected"  # a class of the school that an error kept from being created


@dataclass(frozen=True)
class Reason:
    """One reason. at: since when. name: of the class or school it is about; issue: the type of issue behind it."""

    why: Why
    at: datetime | None = None
    name: str | None = None
    issue: Entry | None = None


@dataclass(frozen=True)
class FieldValue:
    """A field as the SIS last gave it, and as the account has it where that may be shown.

    differs: the account has another value. is_hidden: which one is not shown.
    """

    name: str
    sis: str | None
    account: str | None = None
    differs: bool = False
    is_hidden: bool = False


@dataclass(frozen=True)
class Related:
    """A person or class that belongs to the one shown. until: None while it lasts.

    school_id: where their page is; None where the viewer has none. role: of a class's member; relationship: a
    guardian's. by_choice: they left the class of their own accord.
    """

    id: str
    name: str
    school_id: str | None = None
    school: str = ""
    role: str | None = None
    relationship: str | None = None
    until: datetime | None = None
    by_choice: bool = False
    is_archived: bool = False  # of a class: it is gone


@dataclass(frozen=True)
class Event:
    """What one night changed: action is one of `changesets.ACTIONS`, fields as `record_changes` keeps them; or HELD."""

    at: datetime
    action: str
    fields: tuple[str, ...]
    school: str


@dataclass(frozen=True)
class Place:
    """A school that somebody is, or was, at."""

    school_id: str
    name: str
    until: datetime | None


@dataclass(frozen=True)
class Person:
    """A person of a school. link_id None: a record that never became an account.

    has_details: false for whoever is now only at schools that the viewer does not see; then the rest is empty.
    kind ENROLLMENT: an ID that is enrolled in a class, and that no record of a person has. class_reasons: why they are
    in no class, or not in some.
    """

    link_id: str | None
    kind: str
    role: str
    name: str
    record_ids: tuple[str, ...]
    source_name: str | None
    is_here: bool
    has_details: bool
    reasons: tuple[Reason, ...]
    places: tuple[Place, ...] = ()
    fields: tuple[FieldValue, ...] = ()
    claimed_at: datetime | None = None
    classes: tuple[Related, ...] = ()
    guardians: tuple[Related, ...] = ()
    children: tuple[Related, ...] = ()
    issues: tuple[RecordIssue, ...] = ()
    events: tuple[Event, ...] = ()
    class_reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class ClassPage:
    """A class of a school. class_id None: a record that never became one. unused: enrollments that were left out."""

    class_id: str | None
    name: str
    record_id: str | None
    source_name: str | None
    is_here: bool
    reasons: tuple[Reason, ...]
    is_claimed: bool = False
    teachers: tuple[Related, ...] = ()
    students: tuple[Related, ...] = ()
    former: tuple[Related, ...] = ()
    issues: tuple[RecordIssue, ...] = ()
    unused: tuple[RecordIssue, ...] = ()
    events: tuple[Event, ...] = ()


# --- pages ------------------------------------------------------------------------------------------------------------


def person(session: Session, school: School, link_id: str, visible: Collection[str] | None) -> Person:
    """Somebody who is or was at the school.

    Raises:
        NotFound: nobody of this ID is or was at the school.
    """
    seen = _Seen(session, school, visible)
    link = session.get(Link, link_id)
    places = seen.places(link) if link is not None else ()
    here = next((place for place in places if place.school_id == school.id), None)
    if link is None or here is None:
        raise NotFound("there is no such person at the school")
    is_here = here.until is None and link.archived_at is None
    has_details = seen.sees_details(places)
    issues = seen.issues_of(link.kind, _ids(link)) if has_details else ()
    reasons = _person_reasons(seen, link, places, is_here, issues)
    is_guardian = link.kind == GUARDIAN
    shown_ids = tuple((link.guardian_ids or "").split()) if is_guardian else tuple(_ids(link))
    shown = tuple(place for place in places if seen.sees(place.school_id))
    form = record_issues.format_of(session, link.source_id)
    known = (link.id, link.kind, link.role, _full_name(link), shown_ids, form.source_name, is_here, has_details)
    if not has_details:
        return Person(*known, reasons, shown)
    account, is_shared = session.get_one(Account, link.account_id), seen.is_shared(link)
    classes = seen.classes_of(link)
    return Person(
        *known,
        reasons,
        shown,
        fields=_fields(link, account, is_shared),
        claimed_at=None if is_shared else account.claimed_at,
        classes=classes,
        guardians=seen.guardians_of(link) if link.kind == STUDENT else (),
        children=seen.children_of(link) if is_guardian else (),
        issues=issues,
        events=seen.events(link.account_id),
        class_reasons=() if is_guardian else _class_reasons(seen, is_here, classes, issues),
    )


def record(session: Session, school: School, kind: str, record_id: str, visible: Collection[str] | None) -> Person:
    """A person's record that never became an account: what the data say of it, and why.

    Raises:
        NotFound: no error of the school is about such a record, or an account is of it.
    """
    seen = _Seen(session, school, visible)
    known = of_accounts(session, school, [record_id])
    is_known = any((each, record_id) in known for each in ((EMPLOYEE, STUDENT) if kind == ENROLLMENT else (kind,)))
    issues = () if is_known or kind == CLASS else seen.issues_of(kind, [record_id])
    if not any(issue.is_error for issue in issues):
        raise NotFound("there is no such record at the school")
    of_itself = [issue for issue in issues if issue.kind == kind]
    given = of_itself[0].given
    reasons = [
        Reason(Why.PERSON_UNKNOWN, name=seen.class_name(issue.given.get("class_id")), issue=issue.entry)
        if kind == ENROLLMENT
        else Reason(Why.REJECTED, issue=issue.entry)
        for issue in of_itself
        if issue.is_error
    ]
    return Person(
        link_id=None,
        kind=kind,
        role=kind,
        name="" if kind == ENROLLMENT else of_itself[0].name,
        record_ids=(record_id,),
        source_name=record_issues.format_of(session, school.source_id).source_name,
        is_here=False,
        has_details=True,
        reasons=(*dict.fromkeys(reasons), *seen.school_reasons()),
        fields=tuple(FieldValue(name, given[name]) for name in PERSON_FIELDS if name in given),
        issues=issues,
    )


def class_page(session: Session, school: School, class_id: str, visible: Collection[str] | None) -> ClassPage:
    """A class that is or was at the school.

    Raises:
        NotFound: there is no such class at the school.
    """
    found = session.get(Class, class_id)
    if found is None or found.school_id != school.id:
        raise NotFound("there is no such class at the school")
    seen = _Seen(session, school, visible)
    ids = [found.external_id] if found.external_id is not None else []
    issues = seen.issues_of(CLASS, ids)
    is_here = found.archived_at is None
    errors = [Reason(Why.KEPT if is_here else Why.REJECTED, issue=each.entry) for each in issues if each.is_error]
    members = seen.members_of(found)
    return ClassPage(
        class_id=found.id,
        name=found.name,
        record_id=found.external_id,
        source_name=record_issues.format_of(session, found.source_id).source_name,
        is_here=is_here,
        reasons=(
            *([] if is_here else [Reason(Why.NOT_IN_DATA, found.archived_at)]),
            *dict.fromkeys(errors),
            *seen.standing_reasons(found.id, found.source_id, is_here=is_here),
        ),
        is_claimed=found.claimed,
        teachers=tuple(each for each in members if each.until is None and each.role == "teacher"),
        students=tuple(each for each in members if each.until is None and each.role != "teacher"),
        former=tuple(each for each in members if each.until is not None),
        issues=issues,
        unused=seen.unused_enrollments(found.external_id),
        events=seen.events(found.id),
    )


def class_record(session: Session, school: School, record_id: str, visible: Collection[str] | None) -> ClassPage:
    """A class's record that never became a class.

    Raises:
        NotFound: no error of the school is about such a record, or a class is of it.
    """
    seen = _Seen(session, school, visible)
    issues = seen.issues_of(CLASS, [record_id])
    errors = [issue for issue in issues if issue.is_error and issue.kind == CLASS]
    if not errors or (CLASS, record_id) in of_accounts(session, school, [record_id]):
        raise NotFound("there is no such record at the school")
    return ClassPage(
        class_id=None,
        name=errors[0].name,
        record_id=record_id,
        source_name=record_issues.format_of(session, school.source_id).source_name,
        is_here=False,
        reasons=(*dict.fromkeys(Reason(Why.REJECTED, issue=each.entry) for each in errors), *seen.school_reasons()),
        issues=issues,
    )


# --- why --------------------------------------------------------------------------------------------------------------


def _person_reasons(
    seen: _Seen, link: Link, places: Sequence[Place], is_here: bool, issues: Sequence[RecordIssue]
) -> tuple[Reason, ...]:
    """Why somebody is not at the school; or, of who is there, why they are not as the SIS says."""
    until = next(place.until for place in places if place.school_id == seen.school.id)
    elsewhere = [place for place in places if place.until is None and place.school_id != seen.school.id]
    reasons: list[Reason] = []
    if link.left_at is not None:
        reasons.append(Reason(Why.LEFT, link.left_at))
    elif not is_here and link.kind == GUARDIAN:
        reasons.append(Reason(Why.NO_CHILD_HERE, until or link.archived_at))
    elif not is_here and elsewhere and link.archived_at is None:
        names = [place.name for place in elsewhere if seen.sees(place.school_id)]
        reasons.append(Reason(Why.ELSEWHERE, until, names[0] if names else None))
    elif not is_here:
        reasons.append(Reason(Why.NOT_IN_DATA, until or link.archived_at))
    own = [issue for issue in issues if issue.kind == link.kind]
    rejected = Why.KEPT if is_here else Why.REJECTED
    reasons += dict.fromkeys(Reason(rejected, issue=issue.entry) for issue in own if issue.is_error)
    reasons += [
        Reason(Why.FORMER_SCHOOL_UNKNOWN, issue=issue.entry) for issue in own if issue.code == "former_school_unknown"
    ]
    return (*reasons, *seen.standing_reasons(link.account_id, link.source_id, is_here=is_here))


def _class_reasons(
    seen: _Seen, is_here: bool, classes: Sequence[Related], issues: Sequence[RecordIssue]
) -> tuple[Reason, ...]:
    """Why a student or employee is in no class, or not in some."""
    if not is_here:
        return ()
    reasons = [Reason(Why.NO_CLASS, issue=issue.entry) for issue in issues if issue.code in _NO_CLASS]
    for each in classes:
        if each.until is not None:
            why = Why.LEFT_CLASS if each.by_choice else Why.CLASS_GONE if each.is_archived else Why.NOT_ENROLLED
            reasons.append(Reason(why, each.until, each.name))
    reasons += dict.fromkeys(
        Reason(Why.CLASS_UNKNOWN, name=issue.record_id, issue=issue.entry)
        for issue in issues
        if issue.code == CLASS_UNKNOWN
    )
    return (*reasons, *seen.rejected_classes())


# --- what is read -----------------------------------------------------------------------------------------------------

_PLACES: Schema = {"school_id": pl.String, "name": pl.String, "active": pl.Boolean, "left_at": bulk.MOMENT}
_OF_MEMBER = """
SELECT m.school_id, s.name, m.active, m.left_at FROM school_membership m JOIN school s ON s.id = m.school_id
WHERE m.link_id = :link AND s.district_id = :district
"""
_OF_GUARDIAN = """
SELECT m.school_id, s.name, m.active AND p.active, coalesce(p.left_at, m.left_at)
FROM guardianship p JOIN school_membership m ON m.link_id = p.student_link_id JOIN school s ON s.id = m.school_id
WHERE p.guardian_link_id = :link AND s.district_id = :district
"""
_RELATED: Schema = {
    "id": pl.String,
    "name": pl.String,
    "school_id": pl.String,
    "school": pl.String,
    "role": pl.String,
    "relationship": pl.String,
    "until": bulk.MOMENT,
    "by_choice": pl.Boolean,
    "is_archived": pl.Boolean,
}
_NAME = "trim(coalesce({0}.first_name, '') || ' ' || coalesce({0}.last_name, ''))"
_CLASSES_OF = """
SELECT c.id, c.name, c.school_id, s.name, CASE WHEN m.is_owner THEN 'teacher' ELSE 'student' END, NULL,
       CASE WHEN m.active AND c.archived_at IS NULL THEN NULL ELSE coalesce(m.left_at, c.archived_at) END,
       m.by_choice, c.archived_at IS NOT NULL
FROM class_membership m JOIN class c ON c.id = m.class_id JOIN school s ON s.id = c.school_id
WHERE m.link_id = :link AND s.district_id = :district
"""
_MEMBERS_OF = f"""
SELECT l.id, {_NAME.format("l")}, m.school_id, '', l.role, NULL, CASE WHEN cm.active THEN NULL ELSE cm.left_at END,
       cm.by_choice, l.archived_at IS NOT NULL
FROM class_membership cm JOIN link l ON l.id = cm.link_id
LEFT JOIN school_membership m ON m.link_id = l.id AND m.school_id = :school
WHERE cm.class_id = :class AND l.id_hashes IS NULL
"""
_GUARDIANS_OF = f"""
SELECT l.id, {_NAME.format("l")}, :school, '', l.role, p.relationship, CASE WHEN p.active THEN NULL ELSE p.left_at END,
       false, l.archived_at IS NOT NULL
FROM guardianship p JOIN link l ON l.id = p.guardian_link_id WHERE p.student_link_id = :link AND l.id_hashes IS NULL
"""
# Children who are at a school now; of those who went, where they were.
_CHILDREN_OF = f"""
SELECT l.id, {_NAME.format("l")}, m.school_id, s.name, l.role, p.relationship,
       CASE WHEN p.active AND m.active THEN NULL ELSE coalesce(p.left_at, m.left_at) END, false,
       l.archived_at IS NOT NULL
FROM guardianship p JOIN link l ON l.id = p.student_link_id JOIN school_membership m ON m.link_id = l.id
JOIN school s ON s.id = m.school_id
WHERE p.guardian_link_id = :link AND s.district_id = :district AND l.id_hashes IS NULL
AND (m.active OR l.archived_at IS NOT NULL)
"""
_EVENTS: Schema = {
    "at": bulk.MOMENT,
    "action": pl.String,
    "fields": pl.String,
    "school_id": pl.String,
    "name": pl.String,
}
_CHANGED = """
SELECT r.at, r.action, r.fields, r.school_id, s.name FROM record_change r JOIN school s ON s.id = r.school_id
WHERE r.subject_id = :subject AND s.district_id = :district ORDER BY r.id DESC
"""
_HELD = f"""
SELECT DISTINCT h.opened_at, '{HELD}', NULL, s.id, s.name FROM hold h
JOIN school s ON s.id = h.school_id JOIN hold_item i ON i.hold_id = h.id
WHERE h.school_id = :school AND (i.key = :subject OR i.key LIKE :pairs)
"""


class _Seen:
    """What is read of a school for somebody who sees these schools of its district."""

    def __init__(self, session: Session, school: School, visible: Collection[str] | None) -> None:
        self.session, self.school, self._visible = session, school, visible
        self._form = record_issues.format_of(session, school.source_id)
        self._hold = session.exec(select(Hold).where(Hold.school_id == school.id, col(Hold.ended_at).is_(None))).first()

    def sees(self, school_id: str) -> bool:
        """Whether the viewer sees a school of the district."""
        return self._visible is None or school_id in self._visible

    def sees_details(self, places: Sequence[Place]) -> bool:
        """Whether somebody is at a school that the viewer sees, or is at none and was at no other."""
        current = [place for place in places if place.until is None]
        if current:
            return any(self.sees(place.school_id) for place in current)
        return all(self.sees(place.school_id) for place in places)

    def places(self, link: Link) -> tuple[Place, ...]:
        """The schools of the district that a link is or was at; of an archived one none is present."""
        found = bulk.read(
            self.session,
            _OF_GUARDIAN if link.kind == GUARDIAN else _OF_MEMBER,
            {"link": link.id, "district": self.school.district_id},
            _PLACES,
        )
        places = (
            found.group_by("school_id", "name")
            .agg(active=pl.col("active").any(), until=pl.col("left_at").max())
            .sort("active", "name", descending=[True, False])
        )
        return tuple(
            Place(row["school_id"], row["name"], None if row["active"] else row["until"] or link.archived_at)
            for row in places.to_dicts()
        )

    def is_shared(self, link: Link) -> bool:
        """Whether an account is of a link that the viewer may not see: another district's, or another school's."""
        others = self.session.exec(
            select(Link, Source.district_id)
            .join(Source, col(Source.id) == Link.source_id)
            .where(Link.account_id == link.account_id, Link.id != link.id)
        ).all()
        return any(
            district_id != self.school.district_id or not self.sees_details(self.places(other))
            for other, district_id in others
        )

    def issues_of(self, kind: str, record_ids: Collection[str]) -> tuple[RecordIssue, ...]:
        """Every issue about a record, those about its enrollments too."""
        stored = self._stored(codes=[CLASS_UNKNOWN, PERSON_UNKNOWN], record_ids=record_ids)
        named = record_issues.holds_any("row", record_ids)
        candidates = stored.filter(pl.col("record_id").is_in(list(record_ids)) | named)
        whose = "class_id" if kind == CLASS else "external_id"
        return tuple(
            issue
            for issue in record_issues.read(self._form, candidates.to_dicts())
            if (issue.kind == kind and issue.record_id in record_ids)
            or (issue.kind == ENROLLMENT and kind != GUARDIAN and issue.given.get(whose) in record_ids)
        )

    def unused_enrollments(self, class_id: str | None) -> tuple[RecordIssue, ...]:
        """The enrollments in a class of people whom nobody knows."""
        return tuple(issue for issue in self.issues_of(CLASS, [class_id or ""]) if issue.code == PERSON_UNKNOWN)

    def rejected_classes(self) -> tuple[Reason, ...]:
        """The first classes of the school that an error kept from being created."""
        stored = self._stored(codes=ERRORS)
        files = [name for name in stored["file"].unique() if CLASS in self._form.tables_of(name)]
        errors = [
            issue
            for issue in record_issues.read(self._form, stored.filter(pl.col("file").is_in(files)).head(500).to_dicts())
            if issue.kind == CLASS and issue.record_id is not None
        ]
        known = of_accounts(self.session, self.school, [issue.record_id for issue in errors if issue.record_id])
        return tuple(
            Reason(Why.CLASS_REJECTED, name=issue.name or issue.record_id, issue=issue.entry)
            for issue in errors
            if (CLASS, issue.record_id) not in known
        )[:MOST_CLASSES]

    def class_name(self, external_id: str | None) -> str | None:
        """The name of a class by the source's ID of it; the ID where there is none."""
        found = self.session.exec(
            select(Class.name).where(
                Class.source_id == self.school.source_id,
                Class.school_id == self.school.id,
                Class.external_id == external_id,
            )
        ).first()
        return found or external_id

    def standing_reasons(self, subject_id: str, source_id: str, *, is_here: bool) -> tuple[Reason, ...]:
        """Why somebody, or a class, stays as they are: a removal that waits, a former source, or the school itself."""
        if not is_here:
            return self.school_reasons()
        if self.school.source_id is not None and self.school.source_id != source_id:
            return (Reason(Why.FORMER_SOURCE), *self.school_reasons())
        if self._hold is not None:
            sql = "SELECT DISTINCT code FROM hold_item WHERE hold_id = :hold AND key = :subject"
            codes = bulk.read(self.session, sql, {"hold": self._hold.id, "subject": subject_id}, {"code": pl.String})
            if set(codes["code"]) & set(_LEAVING):
                return (Reason(Why.REMOVAL_HELD, self._held_since()),)
        return self.school_reasons()

    def school_reasons(self) -> tuple[Reason, ...]:
        """Why nothing of the school changes now."""
        if not self.school.on_plan or self.school.frozen:
            return (Reason(Why.OFF_PLAN),)
        if self.school.source_id is None:
            return (Reason(Why.NO_SOURCE),)
        return (Reason(Why.ON_HOLD, self._held_since()),) if self._hold is not None else ()

    def _held_since(self) -> datetime:
        assert self._hold is not None
        since = self.session.exec(select(HoldReason.since).where(HoldReason.hold_id == self._hold.id)).all()
        return min([*since, self._hold.opened_at])

    def classes_of(self, link: Link) -> tuple[Related, ...]:
        """Somebody's classes, present ones first."""
        return self._related(_CLASSES_OF, {"link": link.id})

    def members_of(self, found: Class) -> tuple[Related, ...]:
        """The people of a class, by name; those of another school without a page."""
        return self._related(_MEMBERS_OF, {"class": found.id, "school": self.school.id})[:MOST_MEMBERS]

    def guardians_of(self, link: Link) -> tuple[Related, ...]:
        """A student's guardians, present ones first."""
        return self._related(_GUARDIANS_OF, {"link": link.id, "school": self.school.id})

    def children_of(self, link: Link) -> tuple[Related, ...]:
        """A guardian's children at the schools that the viewer sees, each once, at this school if they are here."""
        found = self._related(_CHILDREN_OF, {"link": link.id})
        best: dict[str, Related] = {}
        for each in sorted(found, key=lambda each: (each.until is not None, each.school_id != self.school.id)):
            best.setdefault(each.id, each)
        return tuple(best.values())

    def events(self, subject_id: str) -> tuple[Event, ...]:
        """What each night changed, the newest first.

        Rule: of other schools' nights that the viewer does not see only what is the person's own: their fields.
        """
        parameters = {"subject": subject_id, "district": self.school.district_id}
        changed = bulk.read(self.session, _CHANGED, parameters, _EVENTS)
        held = bulk.read(
            self.session,
            _HELD,
            {"subject": subject_id, "school": self.school.id, "pairs": f"{subject_id} %"},
            _EVENTS,
        )
        events = []
        for row in pl.concat([changed, held]).sort("at", descending=True, maintain_order=True).to_dicts():
            fields = tuple((row["fields"] or "").split())
            is_seen = self.sees(row["school_id"])
            if not is_seen:
                fields = tuple(name for name in fields if name in PERSON_FIELDS)
            if is_seen or fields:
                action = row["action"] if is_seen else "update"
                events.append(Event(row["at"], action, fields, row["name"] if is_seen else ""))
        return tuple(events[:MOST_EVENTS])

    def _stored(self, *, codes: Collection[str] = (), record_ids: Collection[str] = ()) -> pl.DataFrame:
        return record_issues.stored(
            self.session,
            self.school,
            whole_district=self._visible is None,
            codes=codes,
            record_ids=record_ids,
        )

    def _related(self, sql: str, parameters: dict[str, str]) -> tuple[Related, ...]:
        found = bulk.read(self.session, sql, {"district": self.school.district_id, **parameters}, _RELATED)
        rows = found.sort(pl.col("until").is_not_null(), "name", "id").to_dicts()
        return tuple(Related(**row) for row in rows if row["school_id"] is None or self.sees(row["school_id"]))


def _ids(link: Link) -> list[str]:
    """The IDs that issues may know somebody by."""
    guardian_ids = (link.guardian_ids or "").split("\n") if link.kind == GUARDIAN else []
    return [each for each in dict.fromkeys([link.external_id, *guardian_ids]) if each]


def _full_name(link: Link) -> str:
    return " ".join(part for part in (link.first_name, link.last_name) if part)


def _fields(link: Link, account: Account, is_shared: bool) -> tuple[FieldValue, ...]:
    """Every field that the SIS or the account has. A shared account's own values are not shown."""
    fields = []
    for name in PERSON_FIELDS:
        sis, own = _text(getattr(link, name)), _text(getattr(account, name))
        if name == "role" or (sis is None and (own is None or is_shared)):
            continue
        differs = sis != own
        hidden = differs and is_shared
        fields.append(FieldValue(name, sis, None if hidden else own, differs, hidden))
    return tuple(fields)


def _text(value: str | date | None) -> str | None:
    return value.isoformat() if isinstance(value, date) else value
