"""CSV files that people download, safe to open in a spreadsheet. What is in them is decided elsewhere."""

from __future__ import annotations

import polars as pl

# Whatever starts like this a spreadsheet may take for a formula.
_FORMULA = r"^[=+\-@\t\r\n]"


def to_csv(frame: pl.DataFrame) -> str:
    """The frame as CSV with a header. Rule: cells starting with = + - @, a tab or a line end are neutralised (').

    Lists are not accepted; other values that are not text are written as Polars writes them.
    """
    return frame.with_columns(_neutral(name) for name in frame.select(pl.col(pl.String)).columns).write_csv()


def _neutral(name: str) -> pl.Expr:
    cell = pl.col(name)
    return pl.when(cell.str.contains(_FORMULA)).then("'" + cell).otherwise(cell).alias(name)
