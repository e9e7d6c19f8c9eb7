from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from sqlmodel import Session, select

from errors import DatabaseUnavailable, DataError, RollcallError, WriteConflict
from models import bulk
from models.database import Database
from models.tables import Account, District, Source

AT = datetime(2026, 11, 23, 7, 5, 3, 120, tzinfo=UTC)
SCHEMA: bulk.Schema = {
    "id": pl.String,
    "role": pl.String,
    "first_name": pl.String,
    "email": pl.String,
    "birth_date": pl.Date,
    "created_at": bulk.MOMENT,
    "archived_at": bulk.MOMENT,
}
ALL = f"SELECT {', '.join(SCHEMA)} FROM account ORDER BY id"


def accounts(size: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "id": [f"a{number:06}" for number in range(size)],
            "role": "student",
            "first_name": ['Zoë "Z", O\'Neil', None, "", " x\n,y "] * (size // 4),
            "email": [f"{number}@unified.example" for number in range(size)],
            "birth_date": [date(2012, 2, 29), None] * (size // 2),
            "created_at": AT,
            "archived_at": [None, AT + timedelta(hours=1), None, None] * (size // 4),
        },
        schema=dict(SCHEMA),
    )


# Few rows go one statement each, many go by COPY on PostgreSQL: both must give the same.
@pytest.fixture(params=[4, 12, bulk.STAGE_FROM])
def frame(request: pytest.FixtureRequest) -> pl.DataFrame:
    return accounts(request.param)


Writer = Callable[[Session, str, pl.DataFrame], int]


@pytest.mark.parametrize("write", [bulk.insert, bulk.upsert])
def test_every_value_comes_back_as_it_went_in(database: Database, frame: pl.DataFrame, write: Writer) -> None:
    with database.transaction() as session:
        assert write(session, "account", frame) == frame.height
    with database.reading() as session:
        assert bulk.read(session, ALL, {}, SCHEMA).equals(frame)


def test_the_orm_reads_what_was_written_in_bulk(database: Database, frame: pl.DataFrame) -> None:
    with database.transaction() as session:
        bulk.insert(session, "account", frame)
    with database.reading() as session:
        first, second = session.exec(select(Account).order_by(Account.id).limit(2)).all()
    assert (first.first_name, first.birth_date, first.created_at, first.archived_at) == (
        'Zoë "Z", O\'Neil',
        date(2012, 2, 29),
        AT,
        None,
    )
    assert (second.first_name, second.birth_date, second.archived_at) == (None, None, AT + timedelta(hours=1))


def test_bulk_reads_what_the_orm_wrote(database: Database) -> None:
    with database.transaction() as session:
        session.add(Account(id="a1", role="teacher", birth_date=date(1980, 1, 2), created_at=AT))
        session.add(Account(id="a2", role="teacher", created_at=AT.replace(microsecond=0)))
    with database.reading() as session:
        assert bulk.read(session, ALL, {}, SCHEMA).rows() == [
            ("a1", "teacher", None, None, date(1980, 1, 2), AT, None),
            ("a2", "teacher", None, None, None, AT.replace(microsecond=0), None),
        ]


def test_an_upsert_changes_the_columns_given_and_no_others(database: Database, frame: pl.DataFrame) -> None:
    changed = frame.select("id", "role", "created_at", first_name=pl.lit("Ada"))
    with database.transaction() as session:
        bulk.insert(session, "account", frame)
        bulk.upsert(session, "account", changed)
    with database.reading() as session:
        assert bulk.read(session, ALL, {}, SCHEMA).equals(frame.with_columns(first_name=pl.lit("Ada")))


def test_update_columns_touches_rows_that_are_there_only(database: Database, frame: pl.DataFrame) -> None:
    with database.transaction() as session:
        bulk.insert(session, "account", frame.head(3))
        bulk.update_columns(session, "account", frame.select("id", archived_at=pl.lit(AT, bulk.MOMENT)))
    with database.reading() as session:
        assert bulk.read(session, ALL, {}, SCHEMA).equals(
            frame.head(3).with_columns(archived_at=pl.lit(AT, bulk.MOMENT))
        )


def test_missing_columns_get_the_tables_default_when_new_and_stay_when_not(database: Database) -> None:
    names = pl.DataFrame({"id": ["one", "two"], "name": ["One", "Two"], "timezone": "UTC", "administrators": "[]"})
    with database.transaction() as session:
        session.add(District(id="one", name="Old", timezone="UTC", administrators=[], frozen=True))
        session.flush()
        bulk.upsert(session, "district", names)
    with database.reading() as session:
        schema: bulk.Schema = {"id": pl.String, "name": pl.String, "frozen": pl.Boolean, "phone_region": pl.String}
        read = bulk.read(session, f"SELECT {', '.join(schema)} FROM district ORDER BY id", {}, schema)
    assert read.rows() == [("one", "One", True, "US"), ("two", "Two", False, "US")]


def test_numbered_rows_get_their_numbers(database: Database) -> None:
    with database.transaction() as session:
        session.add(District(id="d", name="D", timezone="UTC", administrators=[]))
        session.flush()
        session.add(
            Source(
                id="d/s",
                district_id="d",
                key="s",
                kind="csv",
                format="csv-1.0",
                settings={"folder": "/"},
            )
        )
        session.flush()
        errors = pl.DataFrame({"source_id": "d/s", "code": "file_missing", "file": ["a.csv", "b.csv"]})
        assert bulk.insert(session, "file_error", errors) == 2
        read = bulk.read(session, "SELECT id, file FROM file_error", {}, {"id": pl.Int64, "file": pl.String})
    assert read.rows() == [(1, "a.csv"), (2, "b.csv")]


@pytest.mark.parametrize("spare", [0, bulk.STAGE_FROM])
def test_an_email_changes_hands(database: Database, spare: int) -> None:
    frame = pl.DataFrame(
        {"id": ["a", "b"], "role": "student", "email": ["a@x.example", "b@x.example"], "created_at": AT}
    )
    frame = pl.concat([frame, accounts(spare).select(frame.columns)])
    swapped = frame.with_columns(
        email=pl.col("id").replace_strict({"a": "b@x.example", "b": "a@x.example"}, default=pl.col("email"))
    )
    with database.transaction() as session:
        bulk.insert(session, "account", frame)
        bulk.upsert(session, "account", swapped, emptying=("email",))
    sql = "SELECT id, email FROM account WHERE id IN ('a', 'b') ORDER BY id"
    with database.reading() as session:
        read = bulk.read(session, sql, {}, {"id": pl.String, "email": pl.String})
    assert read.rows() == [("a", "b@x.example"), ("b", "a@x.example")]


def test_without_emptying_a_swap_is_a_conflict(database: Database) -> None:
    frame = pl.DataFrame(
        {"id": ["a", "b"], "role": "student", "email": ["a@x.example", "b@x.example"], "created_at": AT}
    )
    with database.transaction() as session:
        bulk.insert(session, "account", frame)
    with pytest.raises(WriteConflict), database.transaction() as session:
        bulk.upsert(session, "account", frame.with_columns(email=pl.col("email").reverse()))


def test_new_rows_that_are_there_already_are_a_conflict(database: Database, frame: pl.DataFrame) -> None:
    with database.transaction() as session:
        bulk.insert(session, "account", frame)
    with pytest.raises(WriteConflict), database.transaction() as session:
        bulk.insert(session, "account", frame.with_columns(email=None))


def test_an_empty_frame_writes_nothing_and_an_empty_result_has_its_types(database: Database) -> None:
    empty = pl.DataFrame(schema=dict(SCHEMA))
    with database.transaction() as session:
        assert bulk.insert(session, "account", empty) == 0
        assert bulk.upsert(session, "account", empty) == 0
        assert bulk.update_columns(session, "account", empty) == 0
        assert bulk.read(session, ALL, {}, SCHEMA).equals(empty)
        assert bulk.read(session, ALL, {}, SCHEMA).schema == empty.schema


def test_columns_are_read_as_rows_are(database: Database) -> None:
    frame = accounts(12)
    with database.transaction() as session:
        bulk.insert(session, "account", frame)
    chosen = f"SELECT {', '.join(SCHEMA)} FROM account WHERE first_name = :name OR birth_date = :day ORDER BY id"
    some = {"name": 'Zoë "Z", O\'Neil', "day": date(2012, 2, 29)}
    none = {"name": "%(day)s'; --", "day": date(1900, 1, 1)}
    # A percent sign and a quote are the text's own.
    odd = "SELECT id, '%s' || '''' AS odd, archived_at IS NULL AS live FROM account WHERE id = 'a000000'"
    odd_schema: bulk.Schema = {"id": pl.String, "odd": pl.String, "live": pl.Boolean}
    with database.reading() as session, bulk.reading_in_columns(session) as read:
        assert read(ALL, {}, SCHEMA).equals(frame)
        assert read(chosen, some, SCHEMA).equals(bulk.read(session, chosen, some, SCHEMA))
        assert read(chosen, none, SCHEMA).equals(pl.DataFrame(schema=dict(SCHEMA)))
        assert read(odd, {}, odd_schema).rows() == [("a000000", "%s'", True)]


def test_columns_are_read_as_the_session_sees_them(database: Database) -> None:
    with database.transaction() as session:
        bulk.insert(session, "account", accounts(4))
    with database.reading() as session:
        assert bulk.read(session, ALL, {}, SCHEMA).height == 4
        with database.transaction() as other:
            bulk.execute(other, "DELETE FROM account")
        with bulk.reading_in_columns(session) as read:
            assert read(ALL, {}, SCHEMA).height == 4
    with database.transaction() as session:
        bulk.insert(session, "account", accounts(8))
        with bulk.reading_in_columns(session) as read:
            assert read(ALL, {}, SCHEMA).height == 8


def test_columns_that_cannot_be_read_are_an_error_of_ours_without_a_value(database: Database) -> None:
    wrong = "SELECT CAST('Zoë' AS integer) AS id FROM missing"
    with (
        database.reading() as session,
        pytest.raises(DataError) as raised,
        bulk.reading_in_columns(session) as read,
    ):
        read(wrong, {}, {"id": pl.String})
    assert "Zoë" not in str(raised.value)
    assert (raised.value.__cause__, raised.value.__context__) == (None, None)


def test_a_connection_that_breaks_while_columns_are_read_is_worth_another_try(postgresql_database: Database) -> None:
    with (
        postgresql_database.reading() as session,
        pytest.raises(DatabaseUnavailable),
        bulk.reading_in_columns(session) as read,
    ):
        (pid,) = read("SELECT pg_backend_pid() AS pid", {}, {"pid": pl.Int64})["pid"]
        bulk.read(session, "SELECT pg_terminate_backend(:pid) AS gone", {"pid": pid}, {"gone": pl.Boolean})
        read(ALL, {}, SCHEMA)


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        ("CAST(pg_terminate_backend(pg_backend_pid()) AS text)", DatabaseUnavailable),
        ("CAST('Zoë' || n AS date)", DataError),
    ],
)
def test_what_fails_between_two_rows_is_worth_another_try_only_if_the_connection_is_gone(
    postgresql_database: Database, broken: str, error: type[RollcallError]
) -> None:
    sql = f"SELECT CAST(CASE WHEN n = 90000 THEN {broken} END AS text) AS id FROM generate_series(1, 100000) AS n"
    with (
        postgresql_database.reading() as session,
        pytest.raises(error) as raised,
        bulk.reading_in_columns(session) as read,
    ):
        read(sql, {}, {"id": pl.String})
    assert "Zoë" not in str(raised.value)
    assert (raised.value.__cause__, raised.value.__context__) == (None, None)


def test_columns_of_a_locked_table_are_not_waited_for_without_end(
    postgresql_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "LOCK_SECONDS", 1)
    with postgresql_database.transaction() as other:
        bulk.execute(other, "LOCK TABLE account IN ACCESS EXCLUSIVE MODE")
        with (
            postgresql_database.reading() as session,
            pytest.raises(DatabaseUnavailable),
            bulk.reading_in_columns(session) as read,
        ):
            read(ALL, {}, SCHEMA)


def test_flags_are_read_as_flags(database: Database) -> None:
    schema = {"yes": pl.Boolean, "no": pl.Boolean, "neither": pl.Boolean}
    with database.reading() as session:
        flags = bulk.read(session, "SELECT true AS yes, false AS no, NULL AS neither", {}, schema)
    assert flags.rows() == [(True, False, None)]


def test_parameters_are_values_whatever_is_in_them(database: Database) -> None:
    value = "O'Neil \\' %s %(x)s ; -- \"?\""
    with database.reading() as session:
        sql = "SELECT :value AS value, 1 AS n WHERE :value LIKE '%' AND :value = :other"
        found = bulk.read(session, sql, {"value": value, "other": value}, {"value": pl.String, "n": pl.Int64})
    assert found.rows() == [(value, 1)]


def test_a_list_filters_by_many_values(database: Database) -> None:
    frame = accounts(40_000)
    wanted = frame["id"].gather_every(2)
    with database.transaction() as session:
        bulk.insert(session, "account", frame)
        condition, parameters = bulk.in_list(session, "account.id", wanted)
        sql = f"SELECT id FROM account WHERE {condition} ORDER BY id"
        assert bulk.read(session, sql, parameters, {"id": pl.String})["id"].equals(wanted)
        condition, parameters = bulk.in_list(session, "account.id", [])
        assert bulk.read(session, f"SELECT id FROM account WHERE {condition}", parameters, {"id": pl.String}).is_empty()


def test_moments_and_dates_compare_with_what_is_stored(database: Database) -> None:
    with database.transaction() as session:
        bulk.insert(session, "account", accounts(4))
        sql = "SELECT count(*) AS n FROM account WHERE created_at = :at AND birth_date = :born"
        moments = {"at": AT.astimezone(), "born": date(2012, 2, 29)}
        assert bulk.read(session, sql, moments, {"n": pl.Int64}).item() == 2
        assert bulk.execute(session, "UPDATE account SET archived_at = :at WHERE birth_date IS NULL", {"at": AT}) == 2
        sql = "SELECT count(*) AS n FROM account WHERE archived_at = :at"
        assert bulk.read(session, sql, {"at": AT}, {"n": pl.Int64}).item() == 2


def test_times_in_no_zone_or_another_are_refused(database: Database) -> None:
    frame = accounts(4)
    with database.transaction() as session:
        for other in (pl.Datetime("us"), pl.Datetime("us", "America/Denver"), pl.Datetime("ms", "UTC")):
            times = frame.select(pl.col("created_at").dt.replace_time_zone(None).cast(pl.Datetime("us")))
            wrong = frame.with_columns(times.to_series().dt.replace_time_zone(other.time_zone).cast(other))
            with pytest.raises(ValueError, match="created_at must be in UTC"):
                bulk.insert(session, "account", wrong)
        with pytest.raises(ValueError, match="zone"):
            bulk.execute(session, "UPDATE account SET archived_at = :at", {"at": AT.replace(tzinfo=None)})


def test_a_value_that_does_not_fit_is_not_shown(database: Database) -> None:
    with database.reading() as session, pytest.raises(DataError) as raised:
        bulk.read(session, "SELECT 'Rosalind' AS name", {}, {"name": pl.Int64})
    assert "Rosalind" not in str(raised.value)
    assert (raised.value.__cause__, raised.value.__context__) == (None, None)


def test_the_clock_is_in_utc(database: Database) -> None:
    with database.reading() as session:
        told = bulk.clock(session)
    assert told.tzinfo == UTC
    assert abs(told - datetime.now(UTC)) < timedelta(seconds=5)


def test_locking_is_said_to_postgresql_only(sqlite_database: Database, postgresql_database: Database) -> None:
    with sqlite_database.transaction() as session:
        assert bulk.locking(session, "UPDATE") == ""
    with postgresql_database.transaction() as session:
        bulk.insert(session, "account", accounts(4))
        sql = f"SELECT id FROM account WHERE id = 'a000001'{bulk.locking(session, 'KEY SHARE')}"
        assert bulk.read(session, sql, {}, {"id": pl.String}).rows() == [("a000001",)]
