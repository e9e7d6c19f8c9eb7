"""The rows to be active and those that end, table by table: a settled district against what is stored.

Rule: valid and without a link, create or adopt; valid and archived, reactivate; valid and different from what was last
applied, update; seen but not valid, leave exactly as it is; in no row, remove, and that is the only way to be removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import polars as pl
import uuid_utils

from contracts import identity, values
from contracts.roster import GUARDIAN, Schema, Settled, empty
from services.planning.changesets import LINK_ROWS, PERSON_FIELDS
from services.planning.stored import (
    CLASS_MEMBERSHIP_ROWS,
    CLASS_ROWS,
    GUARDIANSHIP_ROWS,
    MEMBERSHIP_ROWS,
    Scope,
    StoredRows,
)

MEMBERSHIP_KEY = ["link_id", "school_id"]
CLASS_KEY = ["external_id", "school_id", "source_id"]
IN_CLASS = ["class_id", "link_id"]
PAIR = ["student_link_id", "guardian_link_id"]
_AS_LINKS = {"guardian_link_id": "link_id"}


_MEMBERSHIP: Schema = {"link_id": pl.String, "school_id": pl.String}
_CLASS: Schema = {"external_id": pl.String, "school_id": pl.String, "source_id": pl.String}
_MEMBER: Schema = {"class_id": pl.String, "link_id": pl.String}
_PAIR: Schema = {"student_link_id": pl.String, "guardian_link_id": pl.String}
_OF_PAIR: Schema = {**_PAIR, "relationship": pl.String, "type": pl.String}
_RENUMBERED: Schema = {"id": pl.String, "old_id": pl.String, "new_id": pl.String}
_AT_CLASS: Schema = {"school_id": pl.String, "class_external_id": pl.String}
# A row to be active. was: it is stored; active: and active until now, null for a new one.
_WRITTEN: Schema = {"id": pl.String, "was": pl.Boolean, "active": pl.Boolean}
# Each settled person as the link row they shall be.
_PEOPLE: Schema = {
    "person": pl.UInt32,
    **LINK_ROWS,
    "record_id": pl.String,  # see `record_id`
    "stored_record_id": pl.String,
    "adopts": pl.Boolean,
    "renumbered": pl.Boolean,
    "new": pl.Boolean,
    "was_active": pl.Boolean,
    "changed": pl.Boolean,
}
# By field of TableDiffs, then of what is in it. IDs are ours.
TABLE_DIFFS: Mapping[str, Mapping[str, Schema]] = {
    "context": {
        "people": _PEOPLE,
        # Everybody, stored or new.
        "links": {
            "link_id": pl.String,
            "account_id": pl.String,
            "kind": pl.String,
            "record_id": pl.String,
            "name": pl.String,
        },
        "schools": {"school_id": pl.String, "external_school_id": pl.String},  # those in scope
    },
    "memberships": {
        "wanted": _MEMBERSHIP,
        "written": {**_MEMBERSHIP, **_WRITTEN},
        # Stored rows, active before.
        "before": MEMBERSHIP_ROWS,  # of the schools in scope
        "ended": MEMBERSHIP_ROWS,
        "remaining": MEMBERSHIP_ROWS,  # in no row, and do not end
    },
    "classes": {
        "written": {**_CLASS, "name": pl.String, **_WRITTEN},
        "renumbered": _RENUMBERED,
        "before": CLASS_ROWS,
        "ended": CLASS_ROWS,
        "known": {"id": pl.String, **_CLASS},  # all of the source
        "class_schools": {"class_id": pl.String, **_AT_CLASS},  # of all
    },
    "class_memberships": {
        "written": {**_MEMBER, "is_owner": pl.Boolean, **_WRITTEN, **_AT_CLASS},
        # Active until now.
        "before": {**CLASS_MEMBERSHIP_ROWS, **_AT_CLASS},
        "ended": {**CLASS_MEMBERSHIP_ROWS, **_AT_CLASS},
        # Left by choice, and in no row anymore.
        "ended_choices": {**CLASS_MEMBERSHIP_ROWS, **_AT_CLASS},
    },
    "guardianships": {
        "wanted": _OF_PAIR,
        "written": {**_OF_PAIR, **_WRITTEN},
        "active": GUARDIANSHIP_ROWS,
        "ended": GUARDIANSHIP_ROWS,
        # Where the student is, or was until now.
        "student_schools": {"student_link_id": pl.String, "school_id": pl.String},
        # Who is, and shall be, whose guardian at which school.
        "before": {**_PAIR, "school_id": pl.String},
        "after": {**_PAIR, "school_id": pl.String},
        "gone": {"guardian_link_id": pl.String, "school_id": pl.String},  # of nobody there anymore
    },
    # Guardians are where their students are.
    "moves": {
        "before": _MEMBERSHIP,  # who was there
        "coming": _MEMBERSHIP,  # who is new there
        "gone": _MEMBERSHIP,  # who leaves
        # Those of the gone whose account goes on there by another link.
        "replaced": {**_MEMBERSHIP, "new_link_id": pl.String},
    },
    "links": {
        "written": {**_PEOPLE, "school_id": pl.String},  # those that changed, at each of their schools
        "unseen": _MEMBERSHIP,  # those in no row
        "freed_emails": {**_MEMBERSHIP, "account_id": pl.String, "email": pl.String},
        "freed_ids": _MEMBERSHIP,
    },
}


@dataclass(frozen=True)
class DiffContext:
    """What every table is compared on. source_id: our ID of it. Each frame is the one of its name in TABLE_DIFFS."""

    source_id: str
    settled: Settled
    stored: StoredRows
    people: pl.DataFrame
    links: pl.DataFrame
    schools: pl.DataFrame

    @cached_property
    def accounts(self) -> pl.DataFrame:
        """link_id, account_id, kind."""
        return self.links.select("link_id", "account_id", "kind")

    @cached_property
    def kinds(self) -> pl.DataFrame:
        """link_id, kind."""
        return self.links.select("link_id", "kind")

    @cached_property
    def seen(self) -> pl.DataFrame:
        """link_id: in any row."""
        return self.settled.seen_links.select("link_id")

    def link_of(self, person: str) -> pl.DataFrame:
        """The settled people's link by their number, in columns of these names: `person`, and `person`_link."""
        return self.people.select(pl.col("person").alias(person), pl.col("id").alias(f"{person}_link"))

    def here(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame's rows of a school in scope, by the source's school_id, with ours as school_id instead."""
        placed = frame.join(
            self.schools.rename({"school_id": "ours"}), left_on="school_id", right_on="external_school_id"
        )
        return placed.drop("school_id").rename({"ours": "school_id"})

    def in_scope(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame's rows of a school in scope, by our school_id."""
        return frame.join(self.schools.select("school_id"), on="school_id", how="semi")

    def protected(self, table: str, column: str) -> pl.DataFrame:
        """link_id or class_id of those of whose table nothing ends, as they have a row that was not applied."""
        protected = self.settled.protected
        return protected.filter((pl.col("table") == table) & pl.col(column).is_not_null()).select(column).unique()


@dataclass(frozen=True)
class Memberships:
    """school_membership: "memberships" of TABLE_DIFFS."""

    wanted: pl.DataFrame
    written: pl.DataFrame
    before: pl.DataFrame
    ended: pl.DataFrame
    remaining: pl.DataFrame


@dataclass(frozen=True)
class Classes:
    """class: "classes" of TABLE_DIFFS."""

    written: pl.DataFrame
    renumbered: pl.DataFrame
    before: pl.DataFrame
    ended: pl.DataFrame
    known: pl.DataFrame
    class_schools: pl.DataFrame


@dataclass(frozen=True)
class ClassMemberships:
    """class_membership: "class_memberships" of TABLE_DIFFS."""

    written: pl.DataFrame
    before: pl.DataFrame
    ended: pl.DataFrame
    ended_choices: pl.DataFrame


@dataclass(frozen=True)
class Guardianships:
    """guardianship: "guardianships" of TABLE_DIFFS."""

    wanted: pl.DataFrame
    written: pl.DataFrame
    active: pl.DataFrame
    ended: pl.DataFrame
    student_schools: pl.DataFrame
    before: pl.DataFrame
    after: pl.DataFrame
    gone: pl.DataFrame

    def by_school(self, pairs: pl.DataFrame) -> pl.DataFrame:
        """The pairs at each school that they belong to: those of the student."""
        return pairs.join(self.student_schools, on="student_link_id")


@dataclass(frozen=True)
class Moves:
    """Who comes and goes: "moves" of TABLE_DIFFS."""

    before: pl.DataFrame
    coming: pl.DataFrame
    gone: pl.DataFrame
    replaced: pl.DataFrame

    @cached_property
    def departed(self) -> pl.DataFrame:
        """MEMBERSHIP_KEY of those who leave, and are not replaced."""
        return self.gone.join(self.replaced, on=MEMBERSHIP_KEY, how="anti")


@dataclass(frozen=True)
class Links:
    """link: "links" of TABLE_DIFFS."""

    written: pl.DataFrame
    unseen: pl.DataFrame
    freed_emails: pl.DataFrame
    freed_ids: pl.DataFrame


@dataclass(frozen=True)
class TableDiffs:
    """All tables of a district; their frames are those of TABLE_DIFFS."""

    context: DiffContext
    memberships: Memberships
    classes: Classes
    class_memberships: ClassMemberships
    guardianships: Guardianships
    moves: Moves
    links: Links


def compare(scope: Scope, settled: Settled, stored: StoredRows) -> TableDiffs:
    """Every table, one join for each: the whole district at once, because people are shared."""
    settled = _without_leavers(settled)
    people = _people(scope, settled, stored)
    known = ("account_id", "kind", "record_id", "first_name", "last_name")
    everybody = pl.concat(
        [
            stored.links.with_columns(record_id=record_id()).select("link_id", *known),
            people.filter("new").rename({"id": "link_id"}).select("link_id", *known),
        ]
    )
    links = everybody.select("link_id", "account_id", "kind", "record_id", name=values.full_name())
    schools = scope.schools.select("school_id", "external_school_id")
    context = DiffContext(scope.source_id, settled, stored, people, links, schools)
    memberships = _memberships(context)
    classes = _classes(context)
    class_memberships = _class_memberships(context, classes)
    guardianships = _guardianships(context, memberships)
    moves = _moves(context, memberships, guardianships)
    return TableDiffs(
        context,
        memberships,
        classes,
        class_memberships,
        guardianships,
        moves,
        _links(context, memberships, class_memberships, guardianships, moves),
    )


def _new_ids(count: int) -> pl.Series:
    return pl.Series("id", [str(uuid_utils.uuid7()) for _ in range(count)], dtype=pl.String)


def _with_ids(frame: pl.DataFrame, column: str = "id") -> pl.DataFrame:
    """Fill the nulls of an ID column with new UUIDv7s."""
    missing = frame[column].null_count()
    if not missing:
        return frame
    return pl.concat(
        [
            frame.filter(pl.col(column).is_not_null()),
            frame.filter(pl.col(column).is_null()).with_columns(_new_ids(missing).alias(column)),
        ]
    )


def _people(scope: Scope, settled: Settled, stored: StoredRows) -> pl.DataFrame:
    """Each settled person as the link row it shall be, with what is stored beside it: see _PEOPLE."""
    links = stored.links.select(
        "link_id",
        *[
            pl.col(name).alias(f"stored_{name}")
            for name in ("account_id", "external_id", "guardian_ids", *PERSON_FIELDS)
        ],
        was_active="active",
    )
    joined = (
        _in_order_of_schools(settled)
        .join(links, on="link_id", how="left", maintain_order="left")
        .with_columns(
            new=pl.col("link_id").is_null(),
            was_active=pl.col("was_active").fill_null(False),
            adopting=pl.col("adopts").is_not_null(),
        )
        .rename({"link_id": "id"})
    )
    claimed = settled.people.filter(kind=GUARDIAN)["external_id"].drop_nulls().implode()
    people = _with_ids(joined).with_columns(
        source_id=pl.lit(scope.source_id),
        account_id=pl.coalesce("stored_account_id", "adopts"),
        # A guardian without a guardian_id keeps the ID they have, unless it is somebody else's now.
        external_id=pl.coalesce(
            "external_id", pl.when(~pl.col("stored_external_id").is_in(claimed)).then("stored_external_id"), "id"
        ),
    )
    people = _with_ids(people, "account_id")
    differs = pl.any_horizontal(
        *[pl.col(name).ne_missing(pl.col(f"stored_{name}")) for name in ("external_id", "guardian_ids", *PERSON_FIELDS)]
    )
    return people.with_columns(
        changed=pl.col("new") | ~pl.col("was_active") | pl.col("renumbered") | differs,
        guardian_ids=pl.col("guardian_ids").list.join("\n"),
        adopts=pl.col("adopting"),
        record_id=record_id(),
        stored_record_id=record_id("stored_"),
    ).select(list(_PEOPLE))


def _in_order_of_schools(settled: Settled) -> pl.DataFrame:
    """The settled people, each at their first school, guardians at that of a student of theirs.

    IDs are given in this order, so that a school's rows lie side by side in every index: spread over all pages of a
    district, they take several times as long to write.
    """
    members = settled.school_members.select("person", "school_id")
    guardians = settled.guardianships.join(members, left_on="student", right_on="person").select(
        "school_id", person="guardian"
    )
    first = pl.concat([members, guardians.select(members.columns)]).group_by("person").agg(pl.col("school_id").min())
    return (
        settled.people.join(first, on="person", how="left", maintain_order="left")
        .sort("school_id", maintain_order=True)
        .drop("school_id")
    )


def record_id(prefix: str = "") -> pl.Expr:
    """The ID of a person as the source knows it; of a guardian all of theirs, or nothing: a drawn one tells nobody.

    Of the columns kind, external_id and guardian_ids (List), the latter two with the prefix.
    """
    ids = pl.col(f"{prefix}guardian_ids").list.join(" ").fill_null("")
    return pl.when(kind=GUARDIAN).then(ids).otherwise(f"{prefix}external_id")


def _without_leavers(settled: Settled) -> Settled:
    """The settled district without those who left the organization and stay gone; they still count as seen.

    Rule: with rostering enforcement off, someone who left of their own accord is not put back. Where they are a member
    of a class they are kept by their link, which is in no class: that the pair is in a row is still to be seen.
    """
    leavers = settled.people.filter("gone")
    if leavers.is_empty():
        return settled
    numbers = leavers["person"].implode()

    def stays(column: str) -> pl.Expr:
        return ~pl.col(column).is_in(numbers).fill_null(False)

    return replace(
        settled,
        people=settled.people.filter(~pl.col("gone")),
        school_members=settled.school_members.filter(stays("person")),
        class_members=settled.class_members.join(leavers.select("person", left="link_id"), on="person", how="left")
        .with_columns(link_id=pl.coalesce("link_id", "left"), person=pl.when(stays("person")).then("person"))
        .drop("left"),
        guardianships=settled.guardianships.filter(stays("student") & stays("guardian")),
    )


def _members(desired: pl.DataFrame, on: list[str], *, rows: pl.DataFrame, near: str) -> pl.DataFrame:
    """Desired pairs that are not active yet, or whose other columns differ, with the stored row's ID or a new one.

    near: the column by which rows of one school lie side by side, see `_in_order_of_schools`.
    """
    others = [name for name in desired.columns if name not in on]
    compared = desired.join(
        rows.select("id", *on, "active", *[pl.col(name).alias(f"stored_{name}") for name in others]), on=on, how="left"
    )
    differs = pl.any_horizontal(pl.lit(False), *[pl.col(name).ne_missing(pl.col(f"stored_{name}")) for name in others])
    wanted = compared.filter(~pl.col("active").fill_null(False) | differs).sort(near, *on)
    return _with_ids(wanted.with_columns(was=pl.col("id").is_not_null())).select(
        "id", *desired.columns, "was", "active"
    )


def _memberships(context: DiffContext) -> Memberships:
    stored = context.stored.memberships
    wanted = (
        context.here(context.settled.school_members.join(context.link_of("person"), on="person"))
        .select("school_id", link_id="person_link")
        .select(MEMBERSHIP_KEY)
        .unique()
    )
    before = context.in_scope(stored.filter("active"))
    unwanted = before.join(wanted, on=MEMBERSHIP_KEY, how="anti")
    ended = unwanted.join(context.protected("school_members", "link_id"), on="link_id", how="anti")
    return Memberships(
        wanted,
        _members(wanted, MEMBERSHIP_KEY, rows=stored, near="school_id"),
        before,
        ended,
        unwanted.join(ended, on="id", how="anti"),
    )


def _classes(context: DiffContext) -> Classes:
    settled, stored = context.settled, context.stored
    given = context.here(settled.classes).select(
        "external_id", "sis_id", "name", "school_id", source_id=pl.lit(context.source_id)
    )
    wanted = given.drop("sis_id")
    seen = context.here(settled.seen_classes).select("external_id", "school_id", source_id=pl.lit(context.source_id))
    protected = context.protected("classes", "class_id").select(
        external_id="class_id", source_id=pl.lit(context.source_id)
    )
    again = _renumbered_classes(context, given, seen)
    is_again = pl.col("new_id").is_not_null()
    known = (
        stored.classes.join(again.select("id", "new_id"), on="id", how="left", maintain_order="left")
        .with_columns(
            external_id=pl.coalesce("new_id", "external_id"),
            source_id=pl.when(is_again).then(pl.lit(context.source_id)).otherwise("source_id"),
        )
        .drop("new_id")
    )
    known_here = known.filter(pl.col("source_id") == context.source_id)
    changed = _members(wanted, CLASS_KEY, rows=known_here, near="school_id")
    renumbered = (
        wanted.join(known_here.join(again, on="id", how="semi").select("id", *CLASS_KEY), on=CLASS_KEY)
        .join(changed, on="id", how="anti")
        .select("id", *wanted.columns, was=pl.lit(True), active=pl.lit(True))
    )
    written = pl.concat([changed, renumbered])
    before = context.in_scope(known.filter("active"))
    ended = (
        before.join(wanted, on=CLASS_KEY, how="anti")
        .join(seen, on=CLASS_KEY, how="anti")
        .join(protected, on=["external_id", "source_id"], how="anti")
    )
    new = written.filter(~pl.col("was")).select("id", *CLASS_KEY)
    return Classes(
        written,
        again,
        before,
        ended,
        pl.concat([known_here.select("id", *CLASS_KEY), new]),
        pl.concat([known.select("id", *CLASS_KEY), new]).select(
            "school_id", class_id="id", class_external_id="external_id"
        ),
    )


def _renumbered_classes(context: DiffContext, given: pl.DataFrame, seen: pl.DataFrame) -> pl.DataFrame:
    """id, old_id, new_id: classes that would go, and are there under a new ID. given: the wanted ones, and sis_id."""
    stored = context.stored
    new = given.join(stored.classes, on=CLASS_KEY, how="anti")
    leaving = (
        context.in_scope(stored.classes.filter("active"))
        .join(seen, on=CLASS_KEY, how="anti")
        .join(given, on=CLASS_KEY, how="anti")
    )
    if new.is_empty() or leaving.is_empty():
        return empty(_RENUMBERED)
    owners = _class_members(context).filter("is_owner").join(context.accounts, on="link_id")
    stored_owners = stored.class_memberships.filter("active", "is_owner").join(context.accounts, on="link_id")
    return (
        identity.find_classes(
            new,
            leaving.with_columns(is_foreign=pl.col("source_id") != context.source_id),
            owners.select("account_id", external_id="class_id"),
            stored_owners.select("account_id", id="class_id"),
        )
        .rename({"external_id": "new_id"})
        .join(leaving.select("id", old_id="external_id"), on="id")
    )


def _class_members(context: DiffContext) -> pl.DataFrame:
    """The settled class members with their link."""
    return context.settled.class_members.join(context.link_of("person"), on="person", how="left").with_columns(
        link_id=pl.coalesce("link_id", "person_link")
    )


def _class_memberships(context: DiffContext, classes: Classes) -> ClassMemberships:
    stored = context.stored.class_memberships
    in_rows = (
        context.here(_class_members(context))
        .select("school_id", "link_id", "is_owner", external_id="class_id", source_id=pl.lit(context.source_id))
        .join(classes.known.rename({"id": "class_id"}), on=CLASS_KEY)
        .select(*IN_CLASS, "is_owner")
        .unique(subset=IN_CLASS)
    )
    # Leaving a class is always theirs, and lasts as long as the data go on saying the same of any link of theirs.
    by_choice = (
        stored.filter("by_choice")
        .join(context.accounts, on="link_id")
        .join(context.accounts, on="account_id", suffix="_any")
        .select("id", "class_id", link_id="link_id_any")
    )
    wanted = in_rows.join(by_choice, on=IN_CLASS, how="anti").join(
        context.stored.links.filter("gone"), on="link_id", how="anti"
    )
    written = _members(wanted, IN_CLASS, rows=stored, near="class_id").join(
        classes.class_schools, on="class_id", maintain_order="left"
    )
    stored_here = context.in_scope(stored.join(classes.class_schools, on="class_id"))
    in_no_row = stored_here.join(in_rows, on=IN_CLASS, how="anti")
    for table, owner in (("class_owners", True), ("class_students", False)):
        stays = (pl.col("is_owner") == owner) & (
            pl.col("link_id").is_in(context.protected(table, "link_id")["link_id"].implode())
            | pl.col("class_external_id").is_in(context.protected(table, "class_id")["class_id"].implode())
        )
        in_no_row = in_no_row.filter(~stays)
    left_by_choice = by_choice.join(in_rows, on=IN_CLASS, how="semi")
    return ClassMemberships(
        written,
        stored_here.filter("active"),
        # Those of a class that goes are archived with it, those of a source the school has left with their link.
        in_no_row.filter("active").join(classes.ended.select(class_id="id"), on="class_id", how="anti"),
        in_no_row.filter("by_choice").join(left_by_choice, on="id", how="anti"),
    )


def _guardianships(context: DiffContext, memberships: Memberships) -> Guardianships:
    stored = context.stored.guardianships
    wanted = (
        context.settled.guardianships.join(context.link_of("student"), on="student", how="left")
        .join(context.link_of("guardian"), on="guardian", how="left")
        .select(
            "relationship",
            "type",
            student_link_id=pl.coalesce("student_link_id", "student_link"),
            guardian_link_id=pl.coalesce("guardian_link_id", "guardian_link"),
        )
        .select(*PAIR, "relationship", "type")
        .unique(subset=PAIR, keep="any", maintain_order=False)
    )
    protected = context.protected("guardianships", "link_id")["link_id"].implode()
    active = stored.filter("active")
    # A student in no row takes their guardianships along with their link; only a seen one drops single guardians.
    ended = (
        active.join(wanted, on=PAIR, how="anti")
        .join(context.seen, left_on="student_link_id", right_on="link_id", how="semi")
        .filter(~pl.col("student_link_id").is_in(protected) & ~pl.col("guardian_link_id").is_in(protected))
    )
    as_students = {"link_id": "student_link_id"}
    at = ["student_link_id", "school_id"]
    student_schools = (
        pl.concat([memberships.wanted, memberships.before.select(MEMBERSHIP_KEY)]).unique().rename(as_students)
    )
    remaining = (
        pl.concat([memberships.wanted, memberships.remaining.select(MEMBERSHIP_KEY)]).unique().rename(as_students)
    )
    before = active.join(student_schools, on="student_link_id").join(
        memberships.before.rename(as_students), on=at, how="semi"
    )
    going_on = active.join(ended, on=PAIR, how="anti")
    after = (
        pl.concat([going_on.select(PAIR), wanted.select(PAIR)])
        .unique()
        .join(remaining, on="student_link_id")
        .select(*PAIR, "school_id")
    )
    at_school = ["guardian_link_id", "school_id"]
    return Guardianships(
        wanted,
        _members(wanted, PAIR, rows=stored, near="student_link_id"),
        active,
        ended,
        student_schools,
        before.select(*PAIR, "school_id"),
        after,
        before.select(at_school).unique().join(after, on=at_school, how="anti"),
    )


def _moves(context: DiffContext, memberships: Memberships, guardianships: Guardianships) -> Moves:
    def everybody(people: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
        return pl.concat([people.select(MEMBERSHIP_KEY), pairs.rename(_AS_LINKS).select(MEMBERSHIP_KEY).unique()])

    before = everybody(memberships.before, guardianships.before)
    after = everybody(memberships.wanted, guardianships.after)
    gone = everybody(memberships.ended, guardianships.gone)
    coming = after.join(before, on=MEMBERSHIP_KEY, how="anti")
    return Moves(before, coming, gone, _replaced(gone, coming, context.accounts))


def _replaced(gone: pl.DataFrame, coming: pl.DataFrame, accounts: pl.DataFrame) -> pl.DataFrame:
    """link_id, new_link_id, school_id: links that leave a school where another link of their account comes; each once.

    gone, coming: link_id, school_id. accounts: link_id, account_id, kind. Rule: who is at schools of two sources has a
    link of each, and it is an ID that changes where one of the schools goes over to the other source.
    """
    return (
        gone.join(accounts, on="link_id")
        .join(
            coming.join(accounts, on="link_id").rename({"link_id": "new_link_id"}),
            on=["school_id", "account_id", "kind"],
        )
        .select("link_id", "new_link_id", "school_id")
        .sort(pl.all())
        .unique(["link_id", "school_id"], keep="first", maintain_order=True)
        .unique(["new_link_id", "school_id"], keep="first", maintain_order=True)
    )


def _links(
    context: DiffContext,
    memberships: Memberships,
    class_memberships: ClassMemberships,
    guardianships: Guardianships,
    moves: Moves,
) -> Links:
    people, stored = context.people, context.stored
    parents = guardianships.by_school(guardianships.wanted).rename(_AS_LINKS).select(MEMBERSHIP_KEY)
    # A class may have a teacher or student of another school, who must be there before they can be its member.
    arriving = people.filter(~pl.col("was_active")).select(link_id="id")
    guests = class_memberships.written.select(MEMBERSHIP_KEY).join(arriving, on="link_id", how="semi")
    at_schools = pl.concat([memberships.wanted, parents, guests]).unique()
    written = people.filter("changed").join(at_schools, left_on="id", right_on="link_id")
    return Links(
        written,
        _unseen(context, moves, class_memberships),
        _freed_emails(context, written),
        _freed_ids(stored, written),
    )


def _unseen(context: DiffContext, moves: Moves, class_memberships: ClassMemberships) -> pl.DataFrame:
    """MEMBERSHIP_KEY of links in no row: at the schools they leave, and at those in whose classes they still are.

    Whom nothing holds anymore is where they were last. Guardians are where their students are. Which of them go, and
    when, is decided inside the schools' transactions.
    """
    stored = context.stored
    in_no_row = stored.links.filter("active").join(context.seen, on="link_id", how="anti").select("link_id")
    at_school = stored.memberships.select(*MEMBERSHIP_KEY, "active")
    in_class = (
        stored.class_memberships.join(in_no_row, on="link_id", how="semi")
        .join(context.stored.classes.select("school_id", class_id="id"), on="class_id")
        .select(*MEMBERSHIP_KEY, active=pl.lit(False))
    )

    def with_guardians(at_schools: pl.DataFrame) -> pl.DataFrame:
        pairs = stored.guardianships.select(*PAIR, pair_active="active")
        theirs = pairs.join(at_schools, left_on="student_link_id", right_on="link_id").select(
            "school_id", link_id="guardian_link_id", active=pl.col("active") & pl.col("pair_active")
        )
        return pl.concat([at_schools, theirs.select(at_schools.columns)])

    still_in_class = class_memberships.before.join(in_no_row, on="link_id", how="semi")
    guests = with_guardians(still_in_class.select(*MEMBERSHIP_KEY, active=pl.lit(True))).filter("active")
    ever_at = with_guardians(pl.concat([at_school, in_class]))
    # A school off the plan, or another source's, holds its people too.
    adrift = (
        context.in_scope(ever_at.filter(~pl.col("active")))
        .join(ever_at.filter("active"), on="link_id", how="anti")
        .join(guests, on="link_id", how="anti")
    )
    at_schools = pl.concat([moves.gone, guests.select(MEMBERSHIP_KEY), adrift.select(MEMBERSHIP_KEY)])
    return at_schools.unique().join(in_no_row, on="link_id", how="semi")


def _freed_emails(context: DiffContext, written: pl.DataFrame) -> pl.DataFrame:
    taking = written.filter(pl.col("email").is_not_null()).select("id", "account_id", "school_id", "email")
    losing = pl.concat(
        [
            context.stored.links.filter(pl.col("active") & pl.col("email").is_not_null()).select(
                "email", loser="link_id", loser_account="account_id"
            ),
            # Accounts that hold the email though their link does not: by a person's own edit, or since before.
            context.settled.freed_emails.select("email", loser=pl.lit(None, pl.String), loser_account="account_id"),
        ]
    )
    return (
        taking.join(losing, on="email")
        .filter(pl.col("loser").ne_missing(pl.col("id")) & (pl.col("loser_account") != pl.col("account_id")))
        .select("school_id", link_id="loser", account_id="loser_account", email="email")
        .unique()
    )


def _freed_ids(stored: StoredRows, written: pl.DataFrame) -> pl.DataFrame:
    """MEMBERSHIP_KEY of links whose ID another one of the source takes."""
    return (
        written.select("id", "kind", "external_id", "school_id")
        .join(
            stored.links.filter("from_this_source").select("link_id", "kind", "external_id"), on=["kind", "external_id"]
        )
        .filter(pl.col("id") != pl.col("link_id"))
        .select(MEMBERSHIP_KEY)
        .unique()
    )
