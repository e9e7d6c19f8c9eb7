"""CSV files that people download, safe to open in a spreadsheet. What is in them is decided elsewhere."""

from __future__ import annotations

import polars as pl

# Whatever starts like this a spreadsheet may take for a formula.
_FORMULA = r"^[=+\-@\t\r\n]"


def to_csv(frame: pl.DataFrame) -> str:
    """The frame as CSV with a header. Rule: cells starting with = + - @, a tab or a line end are neutralised (').

    Lists are not accepted; other values that are not text are written as Polars writes them.
    """
    text = pl.col(pl.String)
    safe = frame.with_columns(
        pl.when(text.str.contains(_FORMULA)).then(pl.concat_str(pl.lit("'"), text)).otherwise(text).name.keep()
    )
    return safe.write_csv()
