"""What rows that begin and end mean to people: changes by account, what was there before, and what the guard compares.

Rule: whoever goes on under another link of the same account goes on; pairs that go with their person or class are told
as those.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

import polars as pl

from contracts import values
from contracts.contacts import is_contact
from contracts.text import cleaned
from services.planning.changesets import (
    CHANGE_ID,
    CHANGES,
    COMPARED,
    EMPTIABLE,
    IN_CLASS_OF_KIND,
    MANY_GUARDIANS,
    PRESENT,
    TYPE_OF_KIND,
    UNTYPED,
)
from services.planning.compare import IN_CLASS, MEMBERSHIP_KEY, PAIR, TableDiffs, record_id

_REMOVED = pl.lit("remove")
_AT = ["student_link_id", "school_id"]
# Of a row that is written: whether it is new, was active, or comes back.
_WRITTEN = (
    pl.when(~pl.col("was"))
    .then(pl.lit("create"))
    .when(pl.col("active"))
    .then(pl.lit("update"))
    .otherwise(pl.lit("reactivate"))
)


@dataclass(frozen=True)
class ChangeSummary:
    """By school_id: changes (CHANGES), before (type, len: active before), updates (UPDATES), families (FAMILIES).

    after: type, len, see `services.planning.changesets.ChangeSet`. present: PRESENT. contacts: schools where a guardian
    is, or was, an emergency contact.
    """

    changes: pl.DataFrame
    before: pl.DataFrame
    after: pl.DataFrame
    updates: pl.DataFrame
    families: pl.DataFrame
    present: pl.DataFrame
    contacts: pl.Series


def describe_changes(rows: TableDiffs, today: date) -> ChangeSummary:
    """Say what the rows change, for people to read and the guard to judge. today: see `values.birth_date`."""
    guardianships = rows.guardianships
    replaced = rows.moves.replaced.rename({"link_id": "student_link_id"})
    going_on = guardianships.active.join(replaced, on="student_link_id", how="semi")
    new_pairs = _but_for_links(rows, guardianships.written, pl.concat([guardianships.ended, going_on]), PAIR)
    who = _who(rows)
    updates = _updates(rows, new_pairs, who, today)
    in_class = _staying_in_class(rows)
    return ChangeSummary(
        _changes(rows, new_pairs, who),
        _before(rows, in_class),
        _after(rows, in_class, updates),
        updates,
        _families(rows, who),
        _present(rows),
        _contact_schools(rows),
    )


def _type_of() -> pl.Expr:
    return pl.col("kind").replace_strict(TYPE_OF_KIND, return_dtype=pl.String)


def _type_in_class() -> pl.Expr:
    return pl.col("kind").replace_strict(IN_CLASS_OF_KIND, return_dtype=pl.String)


def _but_for_links(rows: TableDiffs, pairs: pl.DataFrame, others: pl.DataFrame, on: list[str]) -> pl.DataFrame:
    """The pairs but for those that are among the others by other links of the same accounts. on: the pair's columns."""
    if others.is_empty():
        return pairs
    names = [f"{name}_account" if name.endswith("link_id") else name for name in on]

    def by_account(frame: pl.DataFrame) -> pl.DataFrame:
        for name in on:
            if name.endswith("link_id"):
                accounts = rows.context.links.select(**{name: "link_id", f"{name}_account": "account_id"})
                frame = frame.join(accounts, on=name)
        return frame

    return by_account(pairs).join(by_account(others.select(on).unique()), on=names, how="anti").select(pairs.columns)


# --- changes ----------------------------------------------------------------------------------------------------------


def _changes(rows: TableDiffs, new_pairs: pl.DataFrame, who: pl.DataFrame) -> pl.DataFrame:
    """CHANGES and school_id. new_pairs: guardianships written, but for those that go on by another link."""
    guardianships = rows.guardianships
    staying = rows.moves.before.join(rows.moves.departed, on=MEMBERSHIP_KEY, how="anti").rename(
        {"link_id": "student_link_id"}
    )
    lost_pairs = guardianships.by_school(_but_for_links(rows, guardianships.ended, guardianships.written, PAIR)).join(
        staying, on=_AT, how="semi"
    )
    taken_up = rows.class_memberships.written
    given_up = rows.class_memberships.ended.join(rows.moves.departed, on=MEMBERSHIP_KEY, how="anti")
    columns = ["school_id", *CHANGES]
    frames = (
        *_people_changes(rows, who),
        *_class_changes(rows),
        _class_pairs(rows, _but_for_links(rows, taken_up, given_up, IN_CLASS), _WRITTEN),
        _class_pairs(rows, _but_for_links(rows, given_up, taken_up, IN_CLASS), _REMOVED),
        _guardian_pairs(rows, guardianships.by_school(new_pairs), _WRITTEN),
        _guardian_pairs(rows, lost_pairs, _REMOVED),
    )
    return (
        pl.concat([frame.select(name for name in columns if name in frame.columns) for frame in frames], how="diagonal")
        .select(columns)
        .sort("school_id", "type", "action", "record_id", "counterpart_id", "key")
    )


def _people_changes(rows: TableDiffs, who: pl.DataFrame) -> tuple[pl.DataFrame, ...]:
    """Of people: written, joining a school as they are, and removed; the schools' other links of them are left out."""
    context, moves = rows.context, rows.moves
    coming = moves.replaced.select("school_id", link_id="new_link_id")
    of_link = {"type": _type_of(), "key": "account_id", "record_id": "record_id", "name": "name"}
    changes_id = (
        pl.col("renumbered") & pl.col("was_here").fill_null(False) & _is_another("stored_record_id", "record_id")
    )
    written = (
        rows.links.written.rename({"id": "link_id"})
        .join(coming, on=MEMBERSHIP_KEY, how="anti")
        .join(moves.before.with_columns(was_here=pl.lit(True)), on=MEMBERSHIP_KEY, how="left")
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
            type=_type_of(),
            key="account_id",
            record_id=pl.when(changes_id).then("stored_record_id").otherwise("record_id"),
            name=values.full_name(),
            new_id=pl.when(changes_id).then("record_id"),
        )
    )
    joining = (
        rows.memberships.written.join(context.people.filter("new").select(link_id="id"), on="link_id", how="anti")
        .join(coming, on=MEMBERSHIP_KEY, how="anti")
        .join(context.links, on="link_id")
        .select(
            "school_id",
            action=pl.when("was").then(pl.lit("reactivate")).otherwise(pl.lit("join")),
            **of_link,
        )
        .join(written, on=["school_id", "key"], how="anti")
    )
    removed = (
        moves.gone.join(moves.replaced, on=MEMBERSHIP_KEY, how="left")
        .join(context.links, on="link_id")
        .join(who.select(new_link_id="link_id", new_id="record_id"), on="new_link_id", how="left")
        .filter(pl.col("new_link_id").is_null() | _is_another("record_id", "new_id"))
        .select(
            "school_id",
            "new_id",
            action=pl.when(pl.col("new_link_id").is_null()).then(_REMOVED).otherwise(pl.lit(CHANGE_ID)),
            **of_link,
        )
    )
    return written, joining, removed


def _is_another(before: str, after: str) -> pl.Expr:
    """Whether an ID is not just the same one as today's rules read it. before, after: columns."""
    return pl.col(before).eq_missing(pl.col(after)) | cleaned(pl.col(before)).ne_missing(pl.col(after))


def _class_changes(rows: TableDiffs) -> tuple[pl.DataFrame, ...]:
    classes = rows.classes
    renumbered = classes.renumbered.filter(_is_another("old_id", "new_id"))
    written = classes.written.join(renumbered, on="id", how="left").select(
        "school_id",
        action=pl.when(pl.col("new_id").is_not_null()).then(pl.lit(CHANGE_ID)).otherwise(_WRITTEN),
        type=pl.lit("classes"),
        key="id",
        record_id=pl.coalesce("old_id", "external_id"),
        new_id="new_id",
        name="name",
    )
    removed = classes.ended.select(
        "school_id", action=_REMOVED, type=pl.lit("classes"), key="id", record_id="external_id", name="name"
    )
    return written, removed


def _class_pairs(rows: TableDiffs, pairs: pl.DataFrame, action: pl.Expr) -> pl.DataFrame:
    return pairs.join(rows.context.links, on="link_id").select(
        "school_id",
        action=action,
        type=_type_in_class(),
        key=pl.concat_str("class_id", "account_id", separator=" "),
        record_id="record_id",
        name="name",
        counterpart_id="class_external_id",
    )


def _guardian_pairs(rows: TableDiffs, pairs: pl.DataFrame, action: pl.Expr) -> pl.DataFrame:
    links = rows.context.links
    students = links.select("account_id", "name", "record_id", student_link_id="link_id")
    guardians = links.select(guardian_account_id="account_id", guardian_link_id="link_id", counterpart_id="record_id")
    return (
        pairs.join(students, on="student_link_id")
        .join(guardians, on="guardian_link_id")
        .select(
            "school_id",
            action=action,
            type=pl.lit("guardianships"),
            key=pl.concat_str("account_id", "guardian_account_id", separator=" "),
            record_id="record_id",
            name="name",
            counterpart_id="counterpart_id",
        )
    )


# --- what the guard compares ------------------------------------------------------------------------------------------


def _before(rows: TableDiffs, staying_in_class: pl.DataFrame) -> pl.DataFrame:
    """school_id, type, len: active before; of pairs those whose both sides stay."""
    kinds, departed = rows.context.kinds, rows.moves.departed
    people = rows.moves.before.join(kinds, on="link_id").select("school_id", type=_type_of())
    classes = rows.classes.before.select("school_id", type=pl.lit("classes"))
    in_class = staying_in_class.join(kinds, on="link_id").select("school_id", type=_type_in_class())
    pairs = rows.guardianships.before.join(departed.rename({"link_id": "student_link_id"}), on=_AT, how="anti").select(
        "school_id", type=pl.lit("guardianships")
    )
    return pl.concat([people, classes, in_class, pairs]).group_by("school_id", "type").len()


def _staying_in_class(rows: TableDiffs) -> pl.DataFrame:
    """school_id and IN_CLASS of the memberships until now whose class and person both stay, whether they end or not."""
    ended = rows.classes.ended.select(class_id="id")
    return (
        rows.class_memberships.before.select("school_id", *IN_CLASS)
        .join(ended, on="class_id", how="anti")
        .join(rows.moves.departed, on=MEMBERSHIP_KEY, how="anti")
    )


def _after(rows: TableDiffs, staying_in_class: pl.DataFrame, updates: pl.DataFrame) -> pl.DataFrame:
    """school_id, type, len: what there will be of class memberships, and of fields that somebody loses.

    Class memberships are counted in the classes that stay. A field is counted at the schools where it is lost, over all
    of its kind who stay there, and named as `students_email`.
    """
    context, moves = rows.context, rows.moves
    pairs = rows.class_memberships
    going_on = staying_in_class.join(pairs.ended, on=IN_CLASS, how="anti")
    written = pairs.written.join(
        rows.classes.before.join(rows.classes.ended, on="id", how="anti").select(class_id="id"),
        on="class_id",
        how="semi",
    )
    in_class = (
        pl.concat([going_on, written.select(going_on.columns).join(going_on, on=IN_CLASS, how="anti")])
        .join(context.kinds, on="link_id")
        .group_by("school_id", type=_type_in_class())
        .len("len")
    )
    lost = updates.filter(
        pl.col("field").is_in(EMPTIABLE) & pl.col("before").is_not_null() & pl.col("after").is_null()
    ).select("school_id", "type", "field")
    if lost.is_empty():
        return in_class
    staying = (
        moves.before.join(moves.gone, on=MEMBERSHIP_KEY, how="anti")
        .join(context.kinds, on="link_id")
        .select("school_id", "link_id", type=_type_of())
        .join(lost, on=["school_id", "type"], how="semi")
    )
    settled = context.people.select(*EMPTIABLE, link_id="id")
    others = context.stored.links.join(settled, on="link_id", how="anti").select(*EMPTIABLE, "link_id")
    fields = (
        staying.join(pl.concat([settled, others]), on="link_id")
        .group_by("school_id", "type")
        .agg(pl.col(EMPTIABLE).count())
        .unpivot(EMPTIABLE, index=["school_id", "type"], variable_name="field", value_name="len")
        .select("school_id", pl.concat_str("type", "field", separator="_"), "len")
    )
    return pl.concat([in_class, fields])


def _present(rows: TableDiffs) -> pl.DataFrame:
    """PRESENT: who was at each school, and whether their account will be at any school of the source; and who comes."""
    moves = rows.moves
    account = ["type", "key"]

    def in_district(memberships: pl.DataFrame) -> pl.DataFrame:
        return memberships.join(rows.context.accounts, on="link_id").select(
            "school_id", type=_type_of(), key="account_id"
        )

    coming = in_district(moves.coming)
    leaving = (
        in_district(moves.gone)
        .select(account)
        .unique()
        .join(in_district(moves.before.join(moves.gone, on=MEMBERSHIP_KEY, how="anti")), on=account, how="anti")
        .join(coming, on=account, how="anti")
        .with_columns(leaves=pl.lit(True))
    )
    before = in_district(moves.before).unique().join(leaving, on=account, how="left")
    return pl.concat(
        [
            before.with_columns(pl.col("leaves").fill_null(False), was_here=pl.lit(True)).select(list(PRESENT)),
            coming.with_columns(leaves=pl.lit(False), was_here=pl.lit(False)).select(list(PRESENT)),
        ]
    )


def _who(rows: TableDiffs) -> pl.DataFrame:
    """Everybody as they shall be, or else are: link_id, account_id, record_id, name, guardian_key, guardian_id.

    guardian_key: what a guardian is known by, the same before and after they are provisioned.
    """
    settled = rows.context.people.select(
        "account_id", "record_id", "guardian_ids", "first_name", "last_name", link_id="id"
    )
    others = rows.context.stored.links.join(settled, on="link_id", how="anti").select(
        "account_id",
        record_id().alias("record_id"),
        pl.col("guardian_ids").list.join("\n"),
        "first_name",
        "last_name",
        "link_id",
    )
    return (
        pl.concat([settled, others])
        .with_columns(name=values.full_name())
        .select(
            "link_id",
            "account_id",
            "record_id",
            "name",
            guardian_key=pl.coalesce("guardian_ids", values.folded(pl.col("name"))),
            guardian_id=pl.col("guardian_ids").str.replace_all("\n", " "),
        )
    )


# A value last applied, as today's rules read it: what they only read otherwise has not changed.
_AS_READ_TODAY: Mapping[str, Callable[[pl.Expr, date], pl.Expr]] = MappingProxyType(
    {
        "email": lambda stored, _: values.email(stored),
        # They are stored with their country's code.
        "phone": lambda stored, _: stored.map_batches(
            lambda each: values.phones(each, "US").struct.field("phone"), return_dtype=pl.String
        ),
        "birth_date": lambda stored, today: stored.map_batches(
            lambda each: values.birth_dates(each, today, order="month").dates.cast(pl.String), return_dtype=pl.String
        ),
        "grade": lambda stored, _: values.grade(stored),
    }
)


def _updates(rows: TableDiffs, new_pairs: pl.DataFrame, who: pl.DataFrame, today: date) -> pl.DataFrame:
    """UPDATES and school_id, of people who were at the school and stay. new_pairs: as in `_changes`.

    Whose first and last name together read the same has no other name: sources part names differently, Clever holds
    those of contacts whole in the last name.
    """
    context = rows.context
    staying = rows.moves.before.join(rows.moves.gone, on=MEMBERSHIP_KEY, how="anti")
    added = rows.guardianships.by_school(new_pairs.filter(~pl.col("active").fill_null(False))).join(
        staying.rename({"link_id": "student_link_id"}), on=_AT, how="semi"
    )
    same_name = values.folded(values.full_name()) == values.folded(values.full_name("_before"))
    compared = (
        context.people.filter(pl.col("changed") & pl.col("was_active"))
        .with_columns(pl.col("birth_date").cast(pl.String))
        .join(
            context.stored.links.select("link_id", "first_name", *COMPARED).with_columns(
                pl.col("birth_date").cast(pl.String)
            ),
            left_on="id",
            right_on="link_id",
            suffix="_before",
        )
        .with_columns(last_name_before=pl.when(same_name).then("last_name").otherwise("last_name_before"))
        .join(staying, left_on="id", right_on="link_id")
        .join(who.select("link_id", "name"), left_on="id", right_on="link_id")
    )
    pairs = (
        added.join(who.rename({"link_id": "student_link_id"}), on="student_link_id")
        .join(who.rename({"link_id": "guardian_link_id"}), on="guardian_link_id", suffix="_guardian")
        .select(
            "school_id",
            type=pl.lit("guardianships"),
            key=pl.concat_str("account_id", "guardian_key_guardian", separator=" "),
            record_id="record_id",
            counterpart_id="guardian_id_guardian",
            name="name",
            field=pl.lit("added"),
            before=pl.lit(None, pl.String),
            after="name_guardian",
        )
    )
    changed = [_changed(compared, name, today) for name in COMPARED]
    return pl.concat([*changed, pairs]).sort("school_id", "type", "record_id", "field", "key")


def _changed(compared: pl.DataFrame, name: str, today: date) -> pl.DataFrame:
    """UPDATES and school_id of one field."""
    here = compared.filter(pl.col(name).ne_missing(pl.col(f"{name}_before"))).select(
        "school_id",
        type=_type_of(),
        key=pl.concat_str("account_id", pl.lit(name), separator=" "),
        record_id="record_id",
        counterpart_id=pl.lit(None, pl.String),
        name="name",
        field=pl.lit(name),
        before=f"{name}_before",
        after=name,
    )
    if name in _AS_READ_TODAY and here.height:
        here = here.with_columns(before=_AS_READ_TODAY[name](pl.col("before"), today))
    return here.filter(pl.col("before").ne_missing(pl.col("after")))


def _contact_schools(rows: TableDiffs) -> pl.Series:
    contacts = rows.context.stored.guardianships.filter(is_contact(pl.col("type")))
    memberships = rows.context.stored.memberships.select("school_id", student_link_id="link_id")
    return contacts.join(memberships, on="student_link_id")["school_id"].unique()


def _families(rows: TableDiffs, who: pl.DataFrame) -> pl.DataFrame:
    """FAMILIES and school_id.

    Rule: of a delivery without types, those who were contacts may still be some, and so may whoever is new.
    """
    untyped = pl.lit(rows.context.settled.is_untyped)
    was_contact = is_contact(pl.col("stored_type"))
    families = (
        rows.guardianships.after.join(
            rows.guardianships.wanted.select(*PAIR, "type", is_wanted=pl.lit(True)), on=PAIR, how="left"
        )
        .join(rows.guardianships.active.select(*PAIR, stored_type="type", is_stored=pl.lit(True)), on=PAIR, how="left")
        # Only what the delivery tells is a contact; who goes on without a row in it is of the type they were.
        .with_columns(
            is_contact=pl.when(untyped)
            .then(was_contact | pl.col("is_stored").is_null())
            .otherwise(is_contact(pl.col("type"))),
            type=pl.when(untyped).then(pl.lit(UNTYPED)).when("is_wanted").then("type").otherwise("stored_type"),
        )
        .filter(
            (pl.len().over("school_id", "student_link_id") >= MANY_GUARDIANS)
            | (pl.col("is_contact") | is_contact(pl.col("type"))).any().over("school_id", "student_link_id")
        )
    )
    return (
        families.join(who.rename({"link_id": "student_link_id"}), on="student_link_id")
        .join(who.rename({"link_id": "guardian_link_id"}), on="guardian_link_id", suffix="_guardian")
        .select(
            "school_id",
            "student_link_id",
            student_id="record_id",
            student="name",
            guardian_key="guardian_key_guardian",
            guardian_id="guardian_id_guardian",
            guardian="name_guardian",
            type="type",
            is_contact="is_contact",
        )
        .sort("school_id", "student_id", "guardian_key", "type")
    )
