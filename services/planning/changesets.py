"""What one school's transaction has to do, and what the guard and people who look at a hold see of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from contracts.roster import EMPLOYEE, GUARDIAN, STUDENT, Schema, empty

PERSON_FIELDS = (
    "role",
    "first_name",
    "last_name",
    "email",
    "phone",
    "phone_extension",
    "birth_date",
    "grade",
    "language",
)
LINK_ROWS: Schema = {
    "id": pl.String,
    "account_id": pl.String,
    "source_id": pl.String,
    "kind": pl.String,
    "external_id": pl.String,
    "guardian_ids": pl.String,
    **{name: pl.Date if name == "birth_date" else pl.String for name in PERSON_FIELDS},
}
# What a change does, for people to read: type is one of TYPES.
CHANGES: Schema = {
    "action": pl.String,  # create, adopt, update, reactivate, join, change_id, remove
    "type": pl.String,
    "key": pl.String,  # our ID or IDs of it; of people their accounts', which stay whatever link they come by
    "record_id": pl.String,  # the source's
    "counterpart_id": pl.String,  # of a pair: the class's, or the guardian's
    "name": pl.String,
    "new_id": pl.String,  # of change_id: the external ID from now on, empty where the source has none
}
# The old and new values that the guard and whoever looks at a hold need; personal data.
UPDATES: Schema = {
    "type": pl.String,  # students, employees, guardians; guardianships: one added to a student who stays
    "key": pl.String,  # the person's account and the field; of a guardianship the student's account, and the guardian
    "record_id": pl.String,  # the person's external ID, or the student's
    "counterpart_id": pl.String,  # of a guardianship: the guardian's IDs
    "name": pl.String,
    "field": pl.String,  # one of COMPARED; added
    "before": pl.String,  # as today's rules read it; null: it was empty
    "after": pl.String,
}
COMPARED = ("last_name", "email", "phone", "birth_date", "grade")
# Those that everybody may lose at once: a column that came empty.
EMPTIABLE = ("email", "phone", "birth_date", "grade")
# The guardians of the students with many of them, or with contacts among them, as they shall be.
FAMILIES: Schema = {
    "student_link_id": pl.String,
    "student_id": pl.String,
    "student": pl.String,  # name; personal data
    "guardian_key": pl.String,  # the same in every plan, known or new: their IDs, else their name
    "guardian_id": pl.String,
    "guardian": pl.String,  # name; personal data
    "type": pl.String,  # as the delivery says it, or as it was last said; UNTYPED where it has no types at all
    "is_contact": pl.Boolean,  # an emergency contact, in the delivery; without types, whoever may be one
}
# The type of every guardian of a delivery that has no column for it.
UNTYPED = "type not given"
# Everybody at a school of the source until now, or from now on; who is at several of them has a row for each.
PRESENT: Schema = {
    "school_id": pl.String,
    "type": pl.String,  # students, guardians, employees
    "key": pl.String,  # their account
    "was_here": pl.Boolean,  # until now
    "leaves": pl.Boolean,  # to be at none of the source's schools from now on
}
# The evidence of a hold, by reason; see models.tables.HoldItem.
ITEMS: Schema = {
    "code": pl.String,
    "type": pl.String,
    "key": pl.String,  # with the type what a decision is compared by; the same in every plan of the same
    "record_id": pl.String,
    "counterpart_id": pl.String,
    "name": pl.String,
    "new_id": pl.String,
    "field": pl.String,
    "before": pl.String,
    "after": pl.String,
}
MANY_GUARDIANS = 6
CHANGE_ID = "change_id"
ACTIONS = ("create", "adopt", "update", "reactivate", "join", CHANGE_ID, "remove")
TYPE_OF_KIND = {EMPLOYEE: "employees", STUDENT: "students", GUARDIAN: "guardians"}
# Who teaches a class and who is taught in it are counted apart: neither may vanish behind the other.
IN_CLASS_OF_KIND = {STUDENT: "student_class_memberships", EMPLOYEE: "teacher_class_memberships"}
CLASS_MEMBERSHIPS = tuple(IN_CLASS_OF_KIND.values())
TYPES = ("employees", "students", "guardians", "classes", *CLASS_MEMBERSHIPS, "guardianships")


@dataclass(frozen=True)
class Reason:
    """Why a school is held: a code of the catalogue, what was counted, and the evidence.

    counts: by what was counted, see `services.figures`. detail: the cause that is seen, in words. items: ITEMS.
    """

    code: str
    counts: Mapping[str, Mapping[str, Any]]
    detail: str | None = None
    items: pl.DataFrame = field(default_factory=lambda: empty(ITEMS), compare=False)


@dataclass(frozen=True)
class ChangeSet:
    """Everything one school's transaction has to do.

    links: LINK_ROWS, `adopts` and `new` (Boolean), new or changed, each person of the school; those without a stored
    account and not adopting bring a new one of the same ID as `account_id`.
    memberships: id, link_id, school_id. classes: id, source_id, school_id, external_id, name. class_memberships: id,
    class_id, link_id, is_owner. guardianships: id, student_link_id, guardian_link_id, relationship, type. All of them
    rows to be active, and each with `fresh` (Boolean): it is stored nowhere, and no other school's ChangeSet has it.
    The ``ended_`` series hold the IDs of rows to archive; `unseen`: link IDs in no row, whose link goes if nothing
    holds it; `freed_emails` (link_id, account_id, email): held by another until now; `freed_ids`: links that give up
    their external ID; `ended_choices`: class memberships left by choice that are in no row anymore.
    `changes`: CHANGES; `before`: active before, by type; `issues`: ISSUES; `updates`: UPDATES; `families`: FAMILIES.
    `after`, absent is 0: of CLASS_MEMBERSHIPS how many there will be in the classes that stay; of the people who stay
    how many will have a value of a field that some of them lose, as `students_email`. `reasons`: to hold the school;
    None: not judged yet, and not to be applied. `lapsed`: links of students whose guardians are no longer those that
    somebody accepted.
    """

    school_id: str
    missing: bool
    links: pl.DataFrame
    memberships: pl.DataFrame
    classes: pl.DataFrame
    class_memberships: pl.DataFrame
    guardianships: pl.DataFrame
    ended_memberships: pl.Series
    ended_classes: pl.Series
    ended_class_memberships: pl.Series
    ended_guardianships: pl.Series
    unseen: pl.Series
    freed_emails: pl.DataFrame
    freed_ids: pl.Series
    ended_choices: pl.Series
    changes: pl.DataFrame
    before: Mapping[str, int]
    issues: pl.DataFrame
    updates: pl.DataFrame
    families: pl.DataFrame
    after: Mapping[str, int]
    untyped: str | None  # in words what the delivery lacks, where it has no types of guardians
    had_contacts: bool  # a guardian of the school is, or was, an emergency contact
    reasons: tuple[Reason, ...] | None = None
    lapsed: pl.Series = field(default_factory=lambda: pl.Series(dtype=pl.String))
    removals_suspended: bool = (
        False  # of data that the source has frozen: nobody is archived by it, and no removal judged
    )

    @property
    def is_empty(self) -> bool:
        """Whether applying it would write no roster row."""
        return not any(
            len(part)
            for part in (
                self.links,
                self.memberships,
                self.classes,
                self.class_memberships,
                self.guardianships,
                self.ended_memberships,
                self.ended_classes,
                self.ended_class_memberships,
                self.ended_guardianships,
                self.unseen,
                self.freed_emails,
                self.freed_ids,
                self.ended_choices,
            )
        )

    @property
    def removals(self) -> pl.DataFrame:
        """What would be removed, also under its ID only: CHANGES without the action."""
        return self.changes.filter(pl.col("action").is_in(["remove", CHANGE_ID])).drop("action")

    @property
    def counts(self) -> dict[str, int]:
        """Changes by ``type_action``, only those that are not zero."""
        counted = self.changes.group_by("type", "action").len().sort("type", "action")
        return {f"{kind}_{action}": n for kind, action, n in counted.iter_rows()}


@dataclass(frozen=True)
class Plan:
    """The district's ChangeSets, by school in the setup file's order, the issues of no school, and PRESENT."""

    changesets: tuple[ChangeSet, ...]
    district_issues: pl.DataFrame
    notes: tuple[str, ...]
    present: pl.DataFrame = field(default_factory=lambda: empty(PRESENT))


def without_removals(plan: Plan) -> Plan:
    """The plan, by which nobody and nothing is archived: what it would remove stays as it is."""
    ending = (
        "ended_memberships",
        "ended_classes",
        "ended_class_memberships",
        "ended_guardianships",
        "unseen",
        "ended_choices",
    )
    return replace(
        plan,
        changesets=tuple(
            replace(
                changeset,
                removals_suspended=True,
                missing=False,
                changes=changeset.changes.filter(pl.col("action") != "remove"),
                **{name: getattr(changeset, name).clear() for name in ending},
            )
            for changeset in plan.changesets
        ),
    )
