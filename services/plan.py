"""The plan: what a settled delivery would change, as one ChangeSet per school. Compares frames; writes nothing.

Rule: valid and without a link, create or adopt; valid and archived, reactivate; valid and different from what was last
applied, update; seen but not valid, leave exactly as it is; in no row, remove, and that is the only way to be removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import polars as pl
import uuid_utils

from contracts import reissued, values
from contracts.contacts import is_contact
from contracts.roster import EMPLOYEE, GUARDIAN, STUDENT, Schema, Settled, empty
from services.held import Scope, Stored

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
    "source": pl.String,
    "kind": pl.String,
    "source_id": pl.String,
    "guardian_ids": pl.String,
    **{name: pl.Date if name == "birth_date" else pl.String for name in PERSON_FIELDS},
}
# What a change does, for people to read: type is one of TYPES.
CHANGES: Schema = {
    "action": pl.String,  # create, adopt, update, reactivate, join, change_id, remove
    "type": pl.String,
    "key": pl.String,  # our ID or IDs of it; of people their accounts', which stay whatever link they come by
    "record_id": pl.String,  # the source's
    "other_id": pl.String,  # of a pair: the class's, or the guardian's
    "name": pl.String,
    "new_id": pl.String,  # of change_id: the source ID from now on, empty where the source has none
}
# The old and new values that the guard and whoever looks at a hold need; personal data.
UPDATES: Schema = {
    "type": pl.String,  # students, employees, guardians; guardianships: one added to a student who stays
    "key": pl.String,  # the person's account and the field; of a guardianship the student's account, and the guardian
    "record_id": pl.String,  # the person's source ID, or the student's
    "other_id": pl.String,  # of a guardianship: the guardian's IDs
    "name": pl.String,
    "field": pl.String,  # one of COMPARED; added
    "before": pl.String,  # null: it was empty
    "after": pl.String,
}
COMPARED = ("last_name", "email", "phone", "grade")
# The guardians of the students with many of them, or with contacts among them, as they shall be.
FAMILIES: Schema = {
    "student_link_id": pl.String,
    "student_id": pl.String,
    "student": pl.String,  # name; personal data
    "guardian_key": pl.String,  # the same in every plan, known or new: their IDs, else their name
    "guardian_id": pl.String,
    "guardian": pl.String,  # name; personal data
    "type": pl.String,  # as the delivery says it
    "is_contact": pl.Boolean,  # an emergency contact, in the delivery
}
MANY_GUARDIANS = 6
CHANGE_ID = "change_id"
ACTIONS = ("create", "adopt", "update", "reactivate", "join", CHANGE_ID, "remove")
TYPES = ("employees", "students", "guardians", "classes", "class_memberships", "guardianships")
_TYPE_OF_KIND = {EMPLOYEE: "employees", STUDENT: "students", GUARDIAN: "guardians"}


@dataclass(frozen=True)
class ChangeSet:
    """Everything one school's transaction has to do.

    links: LINK_ROWS and `adopts` (Boolean), new or changed, each person of the school; those without a stored account
    and not adopting bring a new one of the same ID as `account_id`.
    memberships: id, link_id, school_id. classes: id, source, school_id, source_id, name. class_memberships: id,
    class_id, link_id, is_owner. guardianships: id, student_link_id, guardian_link_id, relationship, type. All of them
    rows to be active. The ``ended_`` series hold the IDs of rows to archive; `unseen`: link IDs in no row, whose link
    goes if nothing holds it; `freed_emails` (link_id, account_id, email): held by another until now; `freed_ids`:
    links that give up their source ID; `ended_choices`: class memberships left by choice that are in no row any more.
    `changes`: CHANGES; `before`: active before, by type; `issues`: ISSUES; `updates`: UPDATES; `families`: FAMILIES;
    `causes`: what seems to have brought a hold about, by the reason's code.
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
    updates: pl.DataFrame = field(default_factory=lambda: empty(UPDATES))
    families: pl.DataFrame = field(default_factory=lambda: empty(FAMILIES))
    causes: Mapping[str, str] = field(default_factory=dict)
    is_frozen: bool = False  # of data that the source has frozen: nobody is archived by it, and no removal judged

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
    """The district's ChangeSets, by school in the setup file's order, and the issues of no school."""

    changesets: tuple[ChangeSet, ...]
    district_issues: pl.DataFrame
    notes: tuple[str, ...]


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
                is_frozen=True,
                missing=False,
                changes=changeset.changes.filter(pl.col("action") != "remove"),
                **{name: getattr(changeset, name).clear() for name in ending},
            )
            for changeset in plan.changesets
        ),
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


def _name(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(name=pl.concat_str("first_name", "last_name", separator=" ", ignore_nulls=True))


def _people(scope: Scope, settled: Settled, stored: Stored) -> pl.DataFrame:
    """Each settled person as the link row it shall be, with what is stored beside it.

    Columns: person, LINK_ROWS, record_id and held_record_id (see `_record_id`); adopts, reissued, new, was_active and
    changed (Boolean).
    """
    held = stored.links.select(
        "link_id",
        *[pl.col(name).alias(f"held_{name}") for name in ("account_id", "source_id", "guardian_ids", *PERSON_FIELDS)],
        was_active="active",
    )
    joined = (
        settled.people.join(held, on="link_id", how="left")
        .with_columns(
            new=pl.col("link_id").is_null(),
            was_active=pl.col("was_active").fill_null(False),
            adopting=pl.col("adopts").is_not_null(),
        )
        .rename({"link_id": "id"})
    )
    claimed = settled.people.filter(kind=GUARDIAN)["source_id"].drop_nulls().implode()
    people = _with_ids(joined).with_columns(
        source=pl.lit(scope.source_id),
        account_id=pl.coalesce("held_account_id", "adopts"),
        # A guardian without a guardian_id keeps the ID they have, unless it is somebody else's now.
        source_id=pl.coalesce(
            "source_id", pl.when(~pl.col("held_source_id").is_in(claimed)).then("held_source_id"), "id"
        ),
    )
    people = _with_ids(people, "account_id")
    differs = pl.any_horizontal(
        *[pl.col(name).ne_missing(pl.col(f"held_{name}")) for name in ("source_id", "guardian_ids", *PERSON_FIELDS)]
    )
    return people.with_columns(
        changed=pl.col("new") | ~pl.col("was_active") | pl.col("reissued") | differs,
        guardian_ids=pl.col("guardian_ids").list.join("\n"),
        adopts=pl.col("adopting"),
        record_id=_record_id(),
        held_record_id=_record_id("held_"),
    ).select("person", *LINK_ROWS, "record_id", "held_record_id", "adopts", "reissued", "new", "was_active", "changed")


def _record_id(prefix: str = "") -> pl.Expr:
    """The ID of a person as the source knows it; of a guardian all of theirs, or nothing: a drawn one tells nobody.

    Of the columns kind, source_id and guardian_ids (List), the latter two with the prefix.
    """
    ids = pl.col(f"{prefix}guardian_ids").list.join(" ").fill_null("")
    return pl.when(kind=GUARDIAN).then(ids).otherwise(f"{prefix}source_id")


def _without_leavers(settled: Settled, stored: Stored) -> Settled:
    """The settled district without those who left the organization and stay gone; they still count as seen.

    Rule: with rostering enforcement off, someone who left of their own accord is not put back. Where they are a member
    of a class they are kept by their link, which is in no class: that the pair is in a row is still to be seen.
    """
    gone = stored.links.filter("gone")
    is_gone = pl.col("link_id").is_in(gone["link_id"].implode()).fill_null(False) | pl.col("adopts").is_in(
        gone["account_id"].implode()
    ).fill_null(False)
    leavers = settled.people.filter(is_gone)
    if leavers.is_empty():
        return settled
    staying = settled.people.filter(~is_gone)
    numbers = leavers["person"].implode()

    def stays(column: str) -> pl.Expr:
        return ~pl.col(column).is_in(numbers).fill_null(False)

    return replace(
        settled,
        people=staying,
        school_members=settled.school_members.filter(stays("person")),
        class_members=settled.class_members.join(leavers.select("person", left="link_id"), on="person", how="left")
        .with_columns(link_id=pl.coalesce("link_id", "left"), person=pl.when(stays("person")).then("person"))
        .drop("left"),
        guardianships=settled.guardianships.filter(stays("student") & stays("guardian")),
    )


def _members(desired: pl.DataFrame, on: list[str], *, rows: pl.DataFrame) -> pl.DataFrame:
    """Desired pairs that are not active yet, or whose other columns differ, with the stored row's ID or a new one."""
    others = [name for name in desired.columns if name not in on]
    compared = desired.join(
        rows.select("id", *on, "active", *[pl.col(name).alias(f"held_{name}") for name in others]), on=on, how="left"
    )
    differs = pl.any_horizontal(pl.lit(False), *[pl.col(name).ne_missing(pl.col(f"held_{name}")) for name in others])
    wanted = compared.filter(~pl.col("active").fill_null(False) | differs)
    return _with_ids(wanted.with_columns(was=pl.col("id").is_not_null())).select(
        "id", *desired.columns, "was", "active"
    )


def plan_district(scope: Scope, settled: Settled, stored: Stored) -> Plan:
    """Compare a settled district with what is stored, one join per table, and part it into schools.

    The whole district is planned at once because people are shared: a row that two schools write is the same row, with
    the same ID, in both ChangeSets.
    """
    settled = _without_leavers(settled, stored)
    people = _people(scope, settled, stored)
    known = ("account_id", "kind", "first_name", "last_name")
    links = _name(
        pl.concat(
            [
                stored.links.select("link_id", *known, record_id=_record_id()),
                people.filter("new").select(pl.col("id").alias("link_id"), *known, "record_id"),
            ]
        )
    )
    accounts = links.select("link_id", "account_id", "kind")
    link_of = people.select("person", link="id")
    in_scope = scope.schools.select("school_id", "source_school_id")
    seen = settled.seen_links.select("link_id")

    # School memberships -------------------------------------------------------------------------------------------
    at_school = (
        settled.school_members.join(link_of, on="person")
        .join(in_scope, left_on="school_id", right_on="source_school_id")
        .select(link_id="link", school_id="school_id_right")
        .unique()
    )
    memberships = _members(at_school, ["link_id", "school_id"], rows=stored.memberships)
    active_here = stored.memberships.filter("active").join(in_scope.select("school_id"), on="school_id", how="semi")
    staying = active_here.join(at_school, on=["link_id", "school_id"], how="semi")

    def kept(table: str, column: str) -> pl.DataFrame:
        return settled.kept.filter((pl.col("table") == table) & pl.col(column).is_not_null()).select(column).unique()

    unwanted = active_here.join(at_school, on=["link_id", "school_id"], how="anti")
    ended_memberships = unwanted.join(kept("school_members", "link_id"), on="link_id", how="anti")

    # Classes ------------------------------------------------------------------------------------------------------
    class_key = ["source_id", "school_id", "source"]
    given_classes = settled.classes.join(in_scope, left_on="school_id", right_on="source_school_id").select(
        "source_id", "other_id", "name", school_id="school_id_right", source=pl.lit(scope.source_id)
    )
    wanted_classes = given_classes.drop("other_id")
    seen_classes = settled.seen_classes.join(in_scope, left_on="school_id", right_on="source_school_id").select(
        "source_id", school_id="school_id_right", source=pl.lit(scope.source_id)
    )
    kept_classes = kept("classes", "class_id").select(source_id="class_id", source=pl.lit(scope.source_id))
    members = settled.class_members.join(link_of, on="person", how="left").with_columns(
        link_id=pl.coalesce("link_id", "link")
    )
    reissued_classes = _reissued_classes(given_classes, stored, members, accounts, in_scope, seen_classes)
    stored_classes = (
        stored.classes.join(reissued_classes.select("id", "new_id"), on="id", how="left", maintain_order="left")
        .with_columns(
            source_id=pl.coalesce("new_id", "source_id"),
            source=pl.when(pl.col("new_id").is_not_null()).then(pl.lit(scope.source_id)).otherwise("source"),
        )
        .drop("new_id")
    )
    stored_here = stored_classes.filter(pl.col("source") == scope.source_id)
    changed_classes = _members(wanted_classes, class_key, rows=stored_here)
    carried_over = (
        wanted_classes.join(
            stored_here.join(reissued_classes, on="id", how="semi").select("id", *class_key), on=class_key
        )
        .join(changed_classes, on="id", how="anti")
        .select("id", *wanted_classes.columns, was=pl.lit(True), active=pl.lit(True))
    )
    classes = pl.concat([changed_classes, carried_over])
    active_classes = stored_classes.filter("active").join(in_scope.select("school_id"), on="school_id", how="semi")
    ended_classes = (
        active_classes.join(wanted_classes, on=class_key, how="anti")
        .join(seen_classes, on=class_key, how="anti")
        .join(kept_classes, on=["source_id", "source"], how="anti")
    )

    # Class memberships --------------------------------------------------------------------------------------------
    every_class = pl.concat(
        [stored_here.select("id", *class_key), classes.filter(~pl.col("was")).select("id", *class_key)]
    )
    in_class = (
        members.join(in_scope, left_on="school_id", right_on="source_school_id")
        .select(
            source_id="class_id",
            school_id="school_id_right",
            source=pl.lit(scope.source_id),
            link_id="link_id",
            is_owner="is_owner",
        )
        .join(every_class.select(*class_key, class_id="id"), on=class_key)
        .select("class_id", "link_id", "is_owner")
        .unique(subset=["class_id", "link_id"])
    )
    in_rows = in_class
    # Leaving a class is always theirs, and lasts as long as the data go on saying the same of any link of theirs.
    by_choice = (
        stored.class_memberships.filter("by_choice")
        .join(accounts, on="link_id")
        .join(accounts, on="account_id", suffix="_any")
        .select("id", "class_id", link_id="link_id_any")
    )
    in_class = in_class.join(by_choice, on=["class_id", "link_id"], how="anti").join(
        stored.links.filter("gone"), on="link_id", how="anti"
    )
    class_memberships = _members(in_class, ["class_id", "link_id"], rows=stored.class_memberships)
    class_places = pl.concat(
        [
            stored_classes.select("id", "school_id", "source_id"),
            classes.filter(~pl.col("was")).select("id", "school_id", "source_id"),
        ]
    ).rename({"id": "class_id", "source_id": "class_source_id"})
    in_classes_here = stored.class_memberships.join(class_places, on="class_id").join(
        in_scope.select("school_id"), on="school_id", how="semi"
    )
    held_in_class = in_classes_here.filter("active")
    in_no_row = in_classes_here.join(in_rows, on=["class_id", "link_id"], how="anti")
    for table, owner in (("class_owners", True), ("class_students", False)):
        stays = (pl.col("is_owner") == owner) & (
            pl.col("link_id").is_in(kept(table, "link_id")["link_id"].implode())
            | pl.col("class_source_id").is_in(kept(table, "class_id")["class_id"].implode())
        )
        in_no_row = in_no_row.filter(~stays)
    ended_in_class = in_no_row.filter("active")
    standing_choices = by_choice.join(in_rows, on=["class_id", "link_id"], how="semi")
    ended_choices = in_no_row.filter("by_choice").join(standing_choices, on="id", how="anti")
    # Those of a class that goes are archived with it, those of a source the school has left with their link.
    ended_in_class = ended_in_class.join(ended_classes.select(class_id="id"), on="class_id", how="anti")

    # Guardianships ------------------------------------------------------------------------------------------------
    pairs = (
        settled.guardianships.join(
            link_of.rename({"link": "student_link"}), left_on="student", right_on="person", how="left"
        )
        .join(link_of.rename({"link": "guardian_link"}), left_on="guardian", right_on="person", how="left")
        .select(
            student_link_id=pl.coalesce("student_link_id", "student_link"),
            guardian_link_id=pl.coalesce("guardian_link_id", "guardian_link"),
            relationship="relationship",
            type="type",
        )
        .unique(subset=["student_link_id", "guardian_link_id"], keep="any", maintain_order=False)
    )
    pair_key = ["student_link_id", "guardian_link_id"]
    guardianships = _members(pairs, pair_key, rows=stored.guardianships)
    kept_pairs = kept("guardianships", "link_id")["link_id"].implode()
    active_pairs = stored.guardianships.filter("active")
    # A student in no row takes their guardianships along with their link; only a seen one drops single guardians.
    ended_pairs = (
        active_pairs.join(pairs, on=pair_key, how="anti")
        .join(seen, left_on="student_link_id", right_on="link_id", how="semi")
        .filter(~pl.col("student_link_id").is_in(kept_pairs) & ~pl.col("guardian_link_id").is_in(kept_pairs))
    )
    # A student's pairs belong to every school the student is at, or was until now.
    schools_of = pl.concat(
        [at_school.select("link_id", "school_id"), active_here.select("link_id", "school_id")]
    ).unique()
    student_schools = schools_of.rename({"link_id": "student_link_id"})

    def by_student(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.join(student_schools, on="student_link_id")

    # Who belongs to which school ----------------------------------------------------------------------------------
    guardians_before = by_student(active_pairs).join(
        active_here.select(student_link_id="link_id", school_id="school_id"),
        on=["student_link_id", "school_id"],
        how="semi",
    )
    remaining = pl.concat(
        [
            staying.select("link_id", "school_id"),
            at_school,
            unwanted.join(ended_memberships, on="id", how="anti").select("link_id", "school_id"),
        ]
    ).unique()
    guardians_after = by_student(
        pl.concat(
            [active_pairs.join(ended_pairs, on=pair_key, how="anti").select(pair_key), pairs.select(pair_key)]
        ).unique()
    ).join(remaining.rename({"link_id": "student_link_id"}), on=["student_link_id", "school_id"], how="semi")
    guardian_key = ["guardian_link_id", "school_id"]
    guardians_gone = guardians_before.select(guardian_key).unique().join(guardians_after, on=guardian_key, how="anti")
    as_links = {"guardian_link_id": "link_id"}
    gone = pl.concat([ended_memberships.select("link_id", "school_id"), guardians_gone.rename(as_links)])
    here_before = pl.concat(
        [
            active_here.select("link_id", "school_id"),
            guardians_before.select(guardian_key).unique().rename(as_links),
        ]
    )
    here_after = pl.concat([at_school, guardians_after.select(guardian_key).unique().rename(as_links)])
    replaced = _replaced(gone, here_after.join(here_before, on=["link_id", "school_id"], how="anti"), accounts)

    # Links to write: each changed person at each of their schools
    person_schools = pl.concat(
        [at_school, by_student(pairs).select(link_id="guardian_link_id", school_id="school_id")]
    ).unique()
    # A class may have a teacher or student of another school, who must be there before they can be its member.
    guests = (
        class_memberships.join(class_places, on="class_id")
        .select("link_id", "school_id")
        .join(people.filter(~pl.col("was_active")).select(link_id="id"), on="link_id", how="semi")
    )
    places = pl.concat([person_schools, guests]).unique()
    link_rows = people.filter("changed").join(places, left_on="id", right_on="link_id")

    # Links in no row: at the schools they leave, or, where nothing holds them any more, where they last were
    unseen_links = stored.links.filter("active").join(seen, on="link_id", how="anti").select("link_id", "kind", "own")
    ever_at = pl.concat(
        [
            stored.memberships.select("link_id", "school_id", "active"),
            stored.guardianships.select(link_id="student_link_id", guardian="guardian_link_id", pair_active="active")
            .join(stored.memberships.select("link_id", "school_id", "active"), on="link_id")
            .select(link_id="guardian", school_id="school_id", active=pl.col("active") & pl.col("pair_active")),
        ]
    )
    # A school off the plan, or another source's, holds its people too.
    adrift = (
        ever_at.filter(~pl.col("active"))
        .join(in_scope.select("school_id"), on="school_id", how="semi")
        .join(ever_at.filter("active"), on="link_id", how="anti")
        .select("link_id", "school_id")
    )
    unseen = pl.concat([gone, adrift]).unique().join(unseen_links.select("link_id"), on="link_id", how="semi")

    # What changes hands
    taking = link_rows.filter(pl.col("email").is_not_null()).select("id", "account_id", "school_id", "email")
    losing_links = pl.concat(
        [
            stored.links.filter(pl.col("active") & pl.col("email").is_not_null()).select(
                "email", loser="link_id", loser_account="account_id"
            ),
            # Accounts that hold the e-mail though their link does not: by a person's own edit, or since before.
            settled.freed_emails.select("email", loser=pl.lit(None, pl.String), loser_account="account_id"),
        ]
    )
    freed_emails = (
        taking.join(losing_links, on="email")
        .filter(pl.col("loser").ne_missing(pl.col("id")) & (pl.col("loser_account") != pl.col("account_id")))
        .select("school_id", link_id="loser", account_id="loser_account", email="email")
        .unique()
    )
    freed_ids = (
        link_rows.select("id", "kind", "source_id", "school_id")
        .join(stored.links.filter("own").select("link_id", "kind", "source_id"), on=["kind", "source_id"])
        .filter(pl.col("id") != pl.col("link_id"))
        .select("school_id", "link_id")
        .unique()
    )

    # What people are told, by account: whoever goes on under another link goes on -------------------------------------
    type_of = pl.col("kind").replace_strict(_TYPE_OF_KIND, return_dtype=pl.String)
    no_pair = {"other_id": pl.lit(None, pl.String)}
    place = ["school_id", "link_id"]
    removing = pl.lit("remove")
    coming = replaced.select("school_id", link_id="new_link_id")
    changes_id = pl.col("reissued") & pl.col("was_here").fill_null(False)
    written = (
        link_rows.rename({"id": "link_id"})
        .join(coming, on=place, how="anti")
        .join(here_before.with_columns(was_here=pl.lit(True)), on=place, how="left")
        .select(
            "school_id",
            action=pl.when("adopts")
            .then(pl.lit("adopt"))
            .when("new")
            .then(pl.lit("create"))
            .when(~pl.col("was_active"))
            .then(pl.lit("reactivate"))
            .when(changes_id)
            .then(pl.lit(CHANGE_ID))
            .otherwise(pl.lit("update")),
            type=type_of,
            key="account_id",
            record_id=pl.when(changes_id).then("held_record_id").otherwise("record_id"),
            name=pl.concat_str("first_name", "last_name", separator=" ", ignore_nulls=True),
            new_id=pl.when(changes_id).then("record_id"),
            **no_pair,
        )
    )
    joined = (
        memberships.join(people.filter("new").select(link_id="id"), on="link_id", how="anti")
        .join(coming, on=place, how="anti")
        .join(links, on="link_id")
        .select(
            "school_id",
            action=pl.when("was").then(pl.lit("reactivate")).otherwise(pl.lit("join")),
            type=type_of,
            key="account_id",
            record_id="record_id",
            name="name",
            **no_pair,
        )
        .join(written.select("school_id", "key"), on=["school_id", "key"], how="anti")
    )
    new_ids = (
        links.select(held_id="record_id", new_link_id="link_id")
        .join(people.select("record_id", new_link_id="id"), on="new_link_id", how="left")
        .select("new_link_id", new_id=pl.coalesce("record_id", "held_id"))
    )
    removed_people = (
        gone.join(replaced, on=place, how="left")
        .join(links, on="link_id")
        .join(new_ids, on="new_link_id", how="left")
        .select(
            "school_id",
            "new_id",
            action=pl.when(pl.col("new_link_id").is_null()).then(removing).otherwise(pl.lit(CHANGE_ID)),
            type=type_of,
            key="account_id",
            record_id="record_id",
            name="name",
            **no_pair,
        )
    )
    class_changes = classes.join(reissued_classes, on="id", how="left").select(
        "school_id",
        action=pl.when(pl.col("new_id").is_not_null())
        .then(pl.lit(CHANGE_ID))
        .when(~pl.col("was"))
        .then(pl.lit("create"))
        .when(pl.col("active"))
        .then(pl.lit("update"))
        .otherwise(pl.lit("reactivate")),
        type=pl.lit("classes"),
        key="id",
        record_id=pl.coalesce("old_id", "source_id"),
        new_id="new_id",
        name="name",
        **no_pair,
    )
    removed_classes = ended_classes.select(
        "school_id",
        action=removing,
        type=pl.lit("classes"),
        key="id",
        record_id="source_id",
        name="name",
        **no_pair,
    )

    def class_pairs(frame: pl.DataFrame, action: pl.Expr) -> pl.DataFrame:
        return frame.join(links, on="link_id").select(
            "school_id",
            action=action,
            type=pl.lit("class_memberships"),
            key=pl.concat_str("class_id", "account_id", separator=" "),
            record_id="record_id",
            name="name",
            other_id="class_source_id",
        )

    def guardian_pairs(frame: pl.DataFrame, action: pl.Expr) -> pl.DataFrame:
        students = links.select("account_id", "name", "record_id", student_link_id="link_id")
        guardians = links.select(guardian_account_id="account_id", guardian_link_id="link_id", other_id="record_id")
        return (
            frame.join(students, on="student_link_id")
            .join(guardians, on="guardian_link_id")
            .select(
                "school_id",
                action=action,
                type=pl.lit("guardianships"),
                key=pl.concat_str("account_id", "guardian_account_id", separator=" "),
                record_id="record_id",
                name="name",
                other_id="other_id",
            )
        )

    member_action = (
        pl.when(~pl.col("was"))
        .then(pl.lit("create"))
        .when(pl.col("active"))
        .then(pl.lit("update"))
        .otherwise(pl.lit("reactivate"))
    )
    # Pairs that go because their person leaves the school are told as the person, those that go on by another link of
    # the same account not at all.
    leaving_here = gone.join(replaced, on=place, how="anti")
    leaving_students = leaving_here.rename({"link_id": "student_link_id"})
    given_up = ended_in_class.join(leaving_here, on=place, how="anti")
    taken_up = class_memberships.join(class_places, on="class_id")
    held_by_replaced = active_pairs.join(replaced, left_on="student_link_id", right_on="link_id", how="semi")
    new_pairs = _but_for_links(
        guardianships, pl.concat([ended_pairs.select(pair_key), held_by_replaced.select(pair_key)]), pair_key, accounts
    )
    lost_pairs = by_student(_but_for_links(ended_pairs, guardianships, pair_key, accounts)).join(
        leaving_students, on=["student_link_id", "school_id"], how="anti"
    )
    columns = ["school_id", *CHANGES]
    changes = (
        pl.concat(
            [
                frame.select(name for name in columns if name in frame.columns)
                for frame in (
                    written,
                    joined,
                    removed_people,
                    class_changes,
                    removed_classes,
                    class_pairs(_but_for_links(taken_up, given_up, ["class_id", "link_id"], accounts), member_action),
                    class_pairs(_but_for_links(given_up, taken_up, ["class_id", "link_id"], accounts), removing),
                    guardian_pairs(by_student(new_pairs), member_action),
                    guardian_pairs(lost_pairs, removing),
                )
            ],
            how="diagonal",
        )
        .select(columns)
        .sort("school_id", "type", "action", "record_id", "other_id", "key")
    )

    # Active before, by school and type; for pairs only those whose both sides stay ----------------------------------
    people_before = active_here.join(links, on="link_id").select("school_id", type=type_of)
    classes_before = active_classes.select("school_id", type=pl.lit("classes"))
    in_class_before = (
        held_in_class.join(ended_classes.select(class_id="id"), on="class_id", how="anti")
        .join(leaving_here, on=["link_id", "school_id"], how="anti")
        .select("school_id", type=pl.lit("class_memberships"))
    )
    pairs_before = guardians_before.join(leaving_students, on=["student_link_id", "school_id"], how="anti").select(
        "school_id", type=pl.lit("guardianships")
    )
    guardians_count = guardians_before.select(guardian_key).unique().select("school_id", type=pl.lit("guardians"))
    before = (
        pl.concat([people_before, guardians_count, classes_before, in_class_before, pairs_before])
        .group_by("school_id", "type")
        .len()
    )

    # What the guard compares ----------------------------------------------------------------------------------------
    who = _who(people, stored)
    staying_people = pl.concat(
        [
            staying.select("link_id", "school_id"),
            guardians_before.join(guardians_after, on=guardian_key, how="semi")
            .select(link_id="guardian_link_id", school_id="school_id")
            .unique(),
        ]
    )
    added_pairs = by_student(new_pairs.filter(~pl.col("active").fill_null(False))).join(
        staying.rename({"link_id": "student_link_id"}), on=["student_link_id", "school_id"], how="semi"
    )
    updates = _updates(people, stored, staying_people, added_pairs, who)
    families = _families(guardians_after.select("school_id", *pair_key), pairs, who)

    issues = settled.issues.rename({"school_id": "source_school_id"}).join(in_scope, on="source_school_id", how="left")

    parts: dict[str, dict[str, pl.DataFrame]] = {
        "links": _part(link_rows.select("school_id", *LINK_ROWS, "adopts", "new")),
        "memberships": _part(memberships.select("id", "link_id", "school_id"), drop=False),
        "classes": _part(classes.select("id", *class_key, "name"), drop=False),
        "class_memberships": _part(
            class_memberships.join(class_places, on="class_id").select(
                "school_id", "id", "class_id", "link_id", "is_owner"
            )
        ),
        "guardianships": _part(by_student(guardianships).select("school_id", "id", *pair_key, "relationship", "type")),
        "ended_memberships": _part(ended_memberships.select("school_id", "id")),
        "ended_classes": _part(ended_classes.select("school_id", "id")),
        "ended_class_memberships": _part(ended_in_class.select("school_id", "id")),
        "ended_guardianships": _part(by_student(ended_pairs).select("school_id", "id")),
        "unseen": _part(unseen.select("school_id", id="link_id")),
        "freed_emails": _part(freed_emails),
        "freed_ids": _part(freed_ids.select("school_id", id="link_id")),
        "ended_choices": _part(ended_choices.select("school_id", "id")),
        "changes": _part(changes),
        "before": _part(before),
        "updates": _part(updates),
        "families": _part(families),
        "issues": _part(issues.filter(pl.col("school_id").is_not_null()).drop("source_school_id")),
    }

    def part(name: str, school_id: str) -> pl.DataFrame:
        table = parts[name]
        return table.get(school_id, table[""])

    changesets = tuple(
        ChangeSet(
            school_id=school_id,
            missing=source_school_id in settled.missing_schools,
            links=part("links", school_id),
            memberships=part("memberships", school_id),
            classes=part("classes", school_id),
            class_memberships=part("class_memberships", school_id),
            guardianships=part("guardianships", school_id),
            ended_memberships=part("ended_memberships", school_id)["id"],
            ended_classes=part("ended_classes", school_id)["id"],
            ended_class_memberships=part("ended_class_memberships", school_id)["id"],
            ended_guardianships=part("ended_guardianships", school_id)["id"],
            unseen=part("unseen", school_id)["id"],
            freed_emails=part("freed_emails", school_id),
            freed_ids=part("freed_ids", school_id)["id"],
            ended_choices=part("ended_choices", school_id)["id"],
            changes=part("changes", school_id),
            before=dict(part("before", school_id).iter_rows()),
            issues=part("issues", school_id),
            updates=part("updates", school_id),
            families=part("families", school_id),
        )
        for school_id, source_school_id in in_scope.iter_rows()
    )
    return Plan(
        changesets, issues.filter(pl.col("school_id").is_null()).drop("school_id", "source_school_id"), settled.notes
    )


def _reissued_classes(
    wanted: pl.DataFrame,
    stored: Stored,
    members: pl.DataFrame,
    accounts: pl.DataFrame,
    in_scope: pl.DataFrame,
    seen: pl.DataFrame,
) -> pl.DataFrame:
    """id, old_id, new_id: classes that would go, and are there under a new ID.

    wanted: source_id, other_id, name, school_id (ours), source. members: the settled class members with their link.
    accounts: link_id, account_id. seen: source_id, school_id, source of the classes in any row.
    """
    key = ["source_id", "school_id", "source"]
    new = wanted.join(stored.classes, on=key, how="anti")
    going = (
        stored.classes.filter("active")
        .join(in_scope.select("school_id"), on="school_id", how="semi")
        .join(seen, on=key, how="anti")
        .join(wanted, on=key, how="anti")
    )
    if new.is_empty() or going.is_empty():
        return pl.DataFrame(schema={"id": pl.String, "old_id": pl.String, "new_id": pl.String})
    source = wanted["source"].item(0)
    owners = members.filter("is_owner").join(accounts, on="link_id")
    held_owners = stored.class_memberships.filter("active", "is_owner").join(accounts, on="link_id")
    return (
        reissued.find_classes(
            new,
            going.with_columns(is_foreign=pl.col("source") != source),
            owners.select("account_id", source_id="class_id"),
            held_owners.select("account_id", id="class_id"),
        )
        .rename({"source_id": "new_id"})
        .join(going.select("id", old_id="source_id"), on="id")
    )


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


def _but_for_links(pairs: pl.DataFrame, others: pl.DataFrame, on: list[str], accounts: pl.DataFrame) -> pl.DataFrame:
    """The pairs but for those that are among the others by other links of the same accounts. on: the pair's columns."""
    names = [f"{name}_account" if name.endswith("link_id") else name for name in on]

    def by_account(frame: pl.DataFrame) -> pl.DataFrame:
        for name in on:
            if name.endswith("link_id"):
                frame = frame.join(accounts.select(**{name: "link_id", f"{name}_account": "account_id"}), on=name)
        return frame

    if others.is_empty():
        return pairs
    return by_account(pairs).join(by_account(others.select(on).unique()), on=names, how="anti").select(pairs.columns)


def _who(people: pl.DataFrame, stored: Stored) -> pl.DataFrame:
    """Everybody as they shall be, or else are: link_id, account_id, source_id, name, guardian_key, guardian_id.

    guardian_key: what a guardian is known by, the same before and after they are provisioned.
    """
    settled = people.select("account_id", "source_id", "guardian_ids", "first_name", "last_name", link_id="id")
    others = stored.links.join(settled, on="link_id", how="anti").select(
        "account_id", "source_id", pl.col("guardian_ids").list.join("\n"), "first_name", "last_name", "link_id"
    )
    return _name(pl.concat([settled, others])).select(
        "link_id",
        "account_id",
        "source_id",
        "name",
        guardian_key=pl.coalesce("guardian_ids", values.folded(pl.col("name"))),
        guardian_id=pl.col("guardian_ids").str.replace_all("\n", " "),
    )


def _updates(
    people: pl.DataFrame, stored: Stored, staying: pl.DataFrame, added: pl.DataFrame, who: pl.DataFrame
) -> pl.DataFrame:
    """UPDATES and school_id. staying: link_id, school_id. added: new guardianships of students who stay, by school.

    Whose first and last name together read the same has no other name: sources part names differently, Clever holds
    those of contacts whole in the last name.
    """
    same_name = _folded_name() == _folded_name("_before")
    compared = (
        people.filter(pl.col("changed") & pl.col("was_active"))
        .join(
            stored.links.select("link_id", "first_name", *COMPARED), left_on="id", right_on="link_id", suffix="_before"
        )
        .with_columns(last_name_before=pl.when(same_name).then("last_name").otherwise("last_name_before"))
        .join(staying, left_on="id", right_on="link_id")
        .join(who.select("link_id", "name"), left_on="id", right_on="link_id")
    )
    changed = [
        compared.filter(pl.col(name).ne_missing(pl.col(f"{name}_before"))).select(
            "school_id",
            type=pl.col("kind").replace_strict(_TYPE_OF_KIND, return_dtype=pl.String),
            key=pl.concat_str("account_id", pl.lit(name), separator=" "),
            record_id="record_id",
            other_id=pl.lit(None, pl.String),
            name="name",
            field=pl.lit(name),
            before=f"{name}_before",
            after=name,
        )
        for name in COMPARED
    ]
    pairs = (
        added.join(who.rename({"link_id": "student_link_id"}), on="student_link_id")
        .join(who.rename({"link_id": "guardian_link_id"}), on="guardian_link_id", suffix="_guardian")
        .select(
            "school_id",
            type=pl.lit("guardianships"),
            key=pl.concat_str("account_id", "guardian_key_guardian", separator=" "),
            record_id="source_id",
            other_id="guardian_id_guardian",
            name="name",
            field=pl.lit("added"),
            before=pl.lit(None, pl.String),
            after="name_guardian",
        )
    )
    return pl.concat([*changed, pairs]).sort("school_id", "type", "record_id", "field", "key")


def _folded_name(suffix: str = "") -> pl.Expr:
    """First and last name together, as names are compared."""
    parts = (f"first_name{suffix}", f"last_name{suffix}")
    return values.folded(pl.concat_str(*parts, separator=" ", ignore_nulls=True))


def _families(after: pl.DataFrame, delivered: pl.DataFrame, who: pl.DataFrame) -> pl.DataFrame:
    """FAMILIES and school_id. after: school_id, student_link_id, guardian_link_id. delivered: the pairs and type."""
    pair = ["student_link_id", "guardian_link_id"]
    told = (
        after.join(delivered.select(*pair, "type"), on=pair, how="left")
        .with_columns(is_contact=is_contact(pl.col("type")))
        .filter(
            (pl.len().over("school_id", "student_link_id") >= MANY_GUARDIANS)
            | pl.col("is_contact").any().over("school_id", "student_link_id")
        )
    )
    return (
        told.join(who.rename({"link_id": "student_link_id"}), on="student_link_id")
        .join(who.rename({"link_id": "guardian_link_id"}), on="guardian_link_id", suffix="_guardian")
        .select(
            "school_id",
            "student_link_id",
            student_id="source_id",
            student="name",
            guardian_key="guardian_key_guardian",
            guardian_id="guardian_id_guardian",
            guardian="name_guardian",
            type="type",
            is_contact="is_contact",
        )
        .sort("school_id", "student_id", "guardian_key", "type")
    )


def _part(frame: pl.DataFrame, *, drop: bool = True) -> dict[str, pl.DataFrame]:
    """The frame by school; under "" an empty one for the schools that have no row."""
    parted = {
        str(key[0]): part.drop("school_id") if drop else part
        for key, part in frame.partition_by("school_id", as_dict=True).items()
    }
    nothing = frame.clear()
    parted[""] = nothing.drop("school_id") if drop else nothing
    return parted
