from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from contracts.formats import FORMATS
from contracts.formats.delimited import read_files
from contracts.roster import (
    SETTLED_TABLES,
    STORED_TABLES,
    TABLES,
    Roster,
    SettledClasses,
    SettledClassMembers,
    Table,
    required_columns,
    schema_of,
    verify,
)
from contracts.settling import settle
from errors import DataError, TableError
from tests.contracts.district import CSV, Files, checked, link, settled, stored

EVERY_TABLE = [*TABLES.values(), *SETTLED_TABLES.values(), *STORED_TABLES.values()]


def test_a_table_says_its_columns_in_order_with_types_and_which_are_never_null() -> None:
    assert list(schema_of(SettledClassMembers).items()) == [
        ("class_id", pl.String),
        ("school_id", pl.String),
        ("kind", pl.String),
        ("person", pl.UInt32),
        ("link_id", pl.String),
        ("is_owner", pl.Boolean),
    ]
    assert required_columns(SettledClassMembers) == ("class_id", "school_id", "kind", "is_owner")
    assert required_columns(SettledClasses) == ("external_id", "school_id", "name", "file", "line")


@pytest.mark.parametrize("table", EVERY_TABLE)
def test_every_table_and_column_is_described(table: type[Table]) -> None:
    assert table.__doc__ and table.__doc__ != Table.__doc__
    assert [name for name, column in table.to_schema().columns.items() if not column.description] == []


def roster() -> Roster:
    return CSV.to_roster(read_files(CSV, Files().content()))


def test_a_frame_that_is_not_as_declared_is_an_error_without_a_value() -> None:
    good = roster()
    name = good.people["last_name"].drop_nulls()[0]
    bad = replace(
        good,
        people=good.people.with_columns(pl.lit(1.5).alias("email"), kind=pl.lit(None, pl.String), secret=pl.lit(name)),
        classes=good.classes.drop("line"),
    )
    with pytest.raises(DataError) as raised:
        verify("mapping", bad, TABLES)
    assert str(raised.value) == (
        "mapping gave tables that are not as declared: classes.line is missing, not UInt32; "
        "people.email is Float64, not String; "
        f"people.kind has {good.people.height} nulls; people.secret is String, not declared"
    )


def test_a_mapping_is_compared_with_its_tables() -> None:
    def mapper(_: object) -> Roster:
        good = roster()
        return replace(good, schools=good.schools.with_columns(external_id=pl.lit(None, pl.String)))

    with pytest.raises(TableError, match=r"^mapping csv-1\.0 gave .*: schools\.external_id has 1 nulls$"):
        replace(FORMATS["csv-1.0"], mapper=mapper).to_roster(read_files(CSV, Files().content()))


def test_settling_compares_its_frames_with_their_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settled(Files(), stored(link("L1", "employee", "T1")))
    assert found.people.height
    monkeypatch.setattr("contracts.settling.SETTLED_TABLES", {"people": SETTLED_TABLES["classes"]})
    with pytest.raises(TableError, match=r"^settling gave .*people\.person is UInt32, not declared"):
        settle(checked(Files()), stored())
