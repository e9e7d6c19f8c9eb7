"""IDs that miss another one by leading zeros, capitals, a .0 or blanks only, as spreadsheet programs bring about.

Rule: such an ID is not the same ID; the message to whoever refers to it names the one that is there.
"""

from __future__ import annotations

import polars as pl

from contracts import text
from contracts.roster import EMPLOYEE, Schema, empty

# What a reference may be meant for: by table (school, employee, student, class) and ID (key) the ID that is there
# (`there`), and what an issue says of it.
NEAR: Schema = {"table": pl.String, "key": pl.String, "there": pl.String, "hint": pl.String}


def near(missed: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Find the known IDs that differ from a missed one in nothing but how they are written.

    Args:
        missed: table, key (String); references to IDs that are not there.
        known: table, key, file (String); the IDs that are there.

    Returns:
        NEAR, sorted by table, key and there.
    """
    if missed.is_empty():
        return empty(NEAR)
    found = (
        missed.select("table", "key", written=_as_written(pl.col("key")))
        .unique()
        .join(known.select("table", "file", there="key", written=_as_written(pl.col("key"))), on=["table", "written"])
        .filter(pl.col("key") != pl.col("there"))
    )
    must = pl.when(_without_zeros("key") == _without_zeros("there")).then(
        pl.lit("leading zeros and capitals have to be the same")
    )
    return found.select(
        "table",
        "key",
        "there",
        hint=pl.format("{} has {}; {}", "file", "there", must.otherwise(pl.lit("every character has to be the same"))),
    ).sort("table", "key", "there")


def hints(found: pl.DataFrame) -> pl.DataFrame:
    """The first hint for each missed ID, students before teachers.

    Args:
        found: NEAR.

    Returns:
        key, hint (String), each key once.
    """
    return (
        found.sort(pl.col("table") == EMPLOYEE, "table", "there", maintain_order=True)
        .unique("key", keep="first", maintain_order=True)
        .select("key", "hint")
    )


def _as_written(ids: pl.Expr) -> pl.Expr:
    """What IDs have in common that differ in zeros in front, capitals, a .0 behind, blanks and invisible characters."""
    bare = text.without_invisible(ids.str.normalize("NFKC").str.to_lowercase()).str.replace_all(r"\s+", "")
    return bare.str.replace(r"^([0-9]+)\.0+$", "$1").str.strip_chars_start("0")


def _without_zeros(column: str) -> pl.Expr:
    return pl.col(column).str.to_lowercase().str.strip_chars_start("0")
