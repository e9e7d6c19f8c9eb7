"""Parents whom two invented districts share, each district spelling them its own way."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from sandbox.generator import GUARDIAN, District


def with_parents_of(district: District, other: District, count: int) -> District:
    """The district, so many of whose guardians are people of the other one: same email and phone, names in capitals.

    They are the first ones with an email address, in the order of their numbers. Raises ValueError where either
    district has fewer of them.
    """
    ours, theirs = (
        one.people.filter((pl.col("kind") == GUARDIAN) & pl.col("email").is_not_null()).sort("person").head(count)
        for one in (district, other)
    )
    if min(ours.height, theirs.height) < count:
        raise ValueError("there are not so many guardians with an email address")
    same = theirs.select(
        "email", "phone", pl.col("first_name").str.to_uppercase(), pl.col("last_name").str.to_uppercase()
    ).with_columns(ours["person"])
    return replace(
        district,
        people=district.people.update(same, on="person", include_nulls=False, maintain_order="left"),
    )
