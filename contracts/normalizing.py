"""Normalizing: a roster's rows with good values in place of those that came, and marks of what was wrong with them.

Row by row and column by column; what a record makes of its rows is `contracts.checking`'s. Rule: a placeholder in an
optional column is an empty cell; a value that is there but cannot be read is marked, and never taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import polars as pl

from contracts import values
from contracts.roster import EMPLOYEE, GUARDIAN, KINDS, DateOrder, Field, Roster
from contracts.rules import Rule, contract
from contracts.text import INVISIBLE, hidden, spelled_out, without_invisible

# What is read from text into a form of its own.
READ = ("email", "phone", "birth_date", "grade")
_NAMES = ("first_name", "last_name")

_IS_EMPLOYEE = pl.col("kind") == EMPLOYEE

VALUES = contract(
    "values",
    {
        # What a teacher's bad email means depends on their other rows.
        "email": (Rule("email_invalid", ~pl.col("bad_email") | _IS_EMPLOYEE),),
        "phone": (Rule("phone_invalid", ~pl.col("bad_phone")),),
        "birth_date": (
            Rule("birth_date_invalid", ~pl.col("bad_birth_date") | pl.col("unclear_birth_date")),
            Rule("date_order_unclear", ~pl.col("unclear_birth_date")),
        ),
        "grade": (Rule("grade_unknown", ~pl.col("bad_grade")),),
        "first_name": (Rule("placeholder_value", pl.col("placeholder").is_null()),),
    },
)
TEXTS = contract(
    "texts",
    {
        "damaged": (Rule("name_damaged", pl.col("damaged").is_null()),),
        "hidden": (Rule("invisible_character", pl.col("hidden").is_null()),),
    },
)


def called(names: Mapping[Field, str], whose: str, field: str) -> str:
    """What the source calls a field, for messages; names: as in `contracts.roster.Roster`."""
    return names.get((whose, field), field)


def of_kind(names: Mapping[Field, str], field: str) -> pl.Expr:
    """What the source calls a field of people, by the column kind."""
    return pl.col("kind").replace_strict({kind: called(names, kind, field) for kind in KINDS}, return_dtype=pl.String)


def without_nobodies(roster: Roster) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Empty placeholders where a value is optional, and drop the guardian entries that name nobody.

    Rule: a guardian entry of placeholders and blanks only names nobody.

    Returns:
        people: `contracts.roster.PEOPLE`, and placeholder (String: which names are one, or null).
        guardianships: `contracts.roster.GUARDIANSHIPS`, without those of dropped entries.
    """
    people = roster.people.with_columns(_without_placeholders())
    first, last = values.is_name_placeholder(pl.col("first_name"), pl.col("last_name"))
    is_guardian = pl.col("kind") == GUARDIAN
    people = people.with_columns(
        first_name=pl.when(~(is_guardian & first)).then("first_name"),
        last_name=pl.when(~(is_guardian & last)).then("last_name"),
        placeholder=with_commas(
            [
                pl.when(first).then(of_kind(roster.names, "first_name")),
                pl.when(last).then(of_kind(roster.names, "last_name")),
            ]
        ),
    )
    no_id = pl.col("external_id").is_null() | values.is_placeholder(pl.col("external_id"))
    is_nobody = is_guardian & no_id & pl.all_horizontal(pl.col(*_NAMES, "email", "phone").is_null())
    nobodies = people.filter(is_nobody).select("entry")
    guardianships = roster.guardianships.with_columns(_emptied("relationship"), _emptied("type"))
    if nobodies.is_empty():
        return people, guardianships
    return (
        people.join(nobodies, on="entry", how="anti", maintain_order="left"),
        guardianships.join(nobodies, on="entry", how="anti", maintain_order="left"),
    )


def _emptied(name: str) -> pl.Expr:
    return pl.when(~values.is_placeholder(pl.col(name))).then(name).alias(name)


def _without_placeholders() -> list[pl.Expr]:
    grade = pl.col("grade")
    return [
        # A teacher needs an email, so that a placeholder in its place is a bad one.
        pl.when(_IS_EMPLOYEE | ~values.is_placeholder(pl.col("email"))).then("email").alias("email"),
        pl.when(~values.is_phone_placeholder(pl.col("phone"))).then("phone").alias("phone"),
        pl.when(~values.is_date_placeholder(pl.col("birth_date"))).then("birth_date").alias("birth_date"),
        pl.when(~values.is_grade_placeholder(grade) & ~values.says_no_grade(grade)).then("grade").alias("grade"),
        _emptied("language"),
    ]


def normalized(
    people: pl.DataFrame, *, region: str, today: date, date_order: DateOrder | None
) -> tuple[pl.DataFrame, bool]:
    """Normalize emails, phones, birth dates and grades; a value that cannot be read becomes null.

    Args:
        people: `contracts.roster.PEOPLE` and more.
        region: where phone numbers without a country code belong.
        today: no birth date is later.
        date_order: the district's own; None: read from the dates themselves.

    Returns:
        The people's rows, and whether ambiguous dates were read day first, as most of them are. Added columns:
        phone_extension (String); bad_email, bad_phone, bad_birth_date, bad_grade (Boolean: a value came that cannot be
        taken as it is) and unclear_birth_date (Boolean: month and day may be either).
    """
    dates = values.birth_dates(people["birth_date"], today, order=date_order)
    came = {name: people[name].is_not_null() for name in READ}
    read = (
        people.with_columns(
            email=values.email(pl.col("email")),
            birth_date=dates.dates,
            unclear_birth_date=dates.is_unclear,
            grade=values.grade(pl.col("grade")),
            parsed=values.phones(people["phone"], region),
        )
        .drop("phone")
        .unnest("parsed")
    )
    bad = [(came[name] & pl.col(name).is_null()).alias(f"bad_{name}") for name in READ]
    return (
        read.with_columns(bad)
        .with_columns(bad_phone=pl.col("bad_phone") | pl.col("is_partial").fill_null(False))
        .drop("is_partial"),
        dates.is_day_first,
    )


def marked(
    rows: pl.DataFrame,
    *,
    names: Mapping[str, str | pl.Expr],
    ids: Mapping[str, str | pl.Expr],
    by: tuple[str, ...] = (),
) -> pl.DataFrame:
    """The rows with `hidden` and `damaged`: what their IDs and names hide, and which names are damaged, or null.

    names, ids: by column, what the source calls it (a text or an expression of it). by: the columns that tell tables
    apart whose IDs have nothing to do with each other. Rule: an invisible character inside an ID or name is named by
    its code point, and of two IDs that differ in nothing else each issue names the other.
    """
    where_hidden = []
    for column, name in (*ids.items(), *names.items()):
        found = pl.lit(hidden(rows[column]))
        where_hidden.append(pl.format("{} in {}", found, _expression(name)))
    for column, name in ids.items():
        other = pl.lit(_twins(rows, column, by))
        where_hidden.append(pl.format("only invisible characters in {} tell it from {}", _expression(name), other))
    damaged = [
        pl.when(pl.lit(values.is_damaged(rows[column]))).then(_expression(name)) for column, name in names.items()
    ]
    return rows.with_columns(hidden=with_commas(where_hidden), damaged=with_commas(damaged))


def _expression(name: str | pl.Expr) -> pl.Expr:
    return pl.lit(name) if isinstance(name, str) else name


def with_commas(parts: Sequence[pl.Expr]) -> pl.Expr:
    """The parts that are not null, with commas between them; null where all are."""
    together = pl.concat_str(parts, separator=", ", ignore_nulls=True)
    return pl.when(together != "").then(together)


def _twins(rows: pl.DataFrame, column: str, by: tuple[str, ...]) -> pl.Series:
    """For each row another ID of the column that differs from its own in invisible characters only, spelled out."""
    nothing = pl.Series([None], dtype=pl.String).new_from_index(0, rows.height)
    if not rows[column].str.contains(INVISIBLE).any():
        return nothing
    key = [*by, "plain"]
    ids = rows.select(*by, id=column).drop_nulls("id").unique().with_columns(plain=without_invisible(pl.col("id")))
    pairs = ids.join(ids, on=key, suffix="_other").filter(pl.col("id") != pl.col("id_other"))
    if pairs.is_empty():
        return nothing
    others = pairs.group_by(*by, "id").agg(other=pl.col("id_other").min())
    other_ids = others.with_columns(other=pl.Series([spelled_out(other) for other in others["other"]], dtype=pl.String))
    return rows.join(other_ids, left_on=[*by, column], right_on=[*by, "id"], how="left", maintain_order="left")["other"]
