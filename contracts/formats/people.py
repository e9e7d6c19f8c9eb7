"""How a format's mapping makes rows of the roster's people."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from contracts.roster import PEOPLE, SOURCE_LOCATION, as_table


def person_rows(rows: pl.DataFrame, kind: str, role: str, **columns: str) -> pl.DataFrame:
    """Make one person of each row, all of one kind and role.

    Args:
        rows: SOURCE_LOCATION and the columns named.
        kind: of all of them, as in PEOPLE.
        role: of all of them, as in PEOPLE.
        columns: by column of PEOPLE, the column of rows with its value; those left out are null.

    Returns:
        PEOPLE, `entry` null until `all_people` numbers them.
    """
    nothing = dict.fromkeys(name for name in PEOPLE if name not in SOURCE_LOCATION)
    return as_table(rows, PEOPLE, **{**nothing, **columns, "kind": pl.lit(kind), "role": pl.lit(role)})


def all_people(parts: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """PEOPLE: the parts that `person_rows` gave one after the other, numbered."""
    return pl.concat(parts).with_columns(entry=pl.int_range(pl.len(), dtype=pl.UInt32))
