"""What a contract is: a Pandera schema whose checks are named by issue code, and the rows that break it.

No rule lives here; each contract stands beside the step whose result it judges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandera.polars as pa
import polars as pl
from pandera.errors import SchemaErrors

from errors import DataError

_CONDITIONS = "conditions"
JUDGED_AT_ONCE = 50_000  # rows
VIOLATIONS: Mapping[str, pl.DataType | type[pl.DataType]] = {"code": pl.String, "at": pl.UInt32}


@dataclass(frozen=True)
class Rule:
    """An issue's code and the condition that every good row fulfils; it may look at any column of the row."""

    code: str
    holds: pl.Expr


def contract(name: str, columns: Mapping[str, tuple[Rule, ...]]) -> pa.DataFrameSchema:
    """A contract of so many columns with their rules. Columns it does not name are not looked at."""
    return pa.DataFrameSchema(
        {
            column: pa.Column(checks=[_check(rule) for rule in rules], nullable=True)
            for column, rules in columns.items()
        },
        name=name,
        metadata={_CONDITIONS: [_condition(rule) for rules in columns.values() for rule in rules]},
    )


def _condition(rule: Rule) -> pl.Expr:
    return rule.holds.fill_null(False)


def _check(rule: Rule) -> pa.Check:
    condition = _condition(rule)

    def passes(data: pa.PolarsData) -> pl.LazyFrame:
        return data.lazyframe.select(condition.alias(str(data.key)))

    check: Callable[..., pa.Check] = pa.Check
    return check(passes, error=rule.code, ignore_na=False)


def _all_hold(schema: pa.DataFrameSchema, frame: pl.DataFrame) -> bool:
    """Whether no row breaks a rule, as is so of most frames: Pandera takes long to say so, even of a small one."""
    if not schema.columns.keys() <= set(frame.columns):
        return False
    conditions: list[pl.Expr] = (schema.metadata or {})[_CONDITIONS]
    try:
        # A slice at a time: all conditions of all rows at once would take several times the frame's memory.
        return all(
            part.select(pl.all_horizontal(conditions).all()).item() for part in frame.iter_slices(JUDGED_AT_ONCE)
        )
    except pl.exceptions.PolarsError:
        # What is wrong with it Pandera says.
        return False


def violations(schema: pa.DataFrameSchema, frame: pl.DataFrame) -> pl.DataFrame:
    """Find the rows that break a contract.

    Args:
        schema: the contract; the error of each of its checks is an issue code.
        frame: any frame with the contract's columns.

    Returns:
        VIOLATIONS, `at` being the row's position in the frame.

    Raises:
        DataError: a column is missing or a check could not be computed; without any value.
    """
    if _all_hold(schema, frame):
        return pl.DataFrame(schema=dict(VIOLATIONS))
    try:
        schema.validate(frame, lazy=True)
    except SchemaErrors as errors:
        cases: pl.DataFrame = errors.failure_cases
    else:
        return pl.DataFrame(schema=dict(VIOLATIONS))
    codes = [str(check.error) for column in schema.columns.values() for check in column.checks]
    if cases["index"].null_count() or not cases["check"].is_in(codes).all():
        raise DataError(f"the contract of {schema.name}", ValueError()) from None
    return cases.select(code=pl.col("check"), at=pl.col("index").cast(pl.UInt32))


def breaking(schema: pa.DataFrameSchema, frame: pl.DataFrame) -> pl.DataFrame:
    """The frame's rows that break a contract; a row twice where it breaks two rules.

    Returns:
        The frame's columns, and code (String).

    Raises:
        DataError: as `violations`.
    """
    found = violations(schema, frame)
    return frame[found["at"]].with_columns(found["code"])
