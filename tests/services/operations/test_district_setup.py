"""What districts set up in the report, and how setup files and the report leave each other's alone."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlmodel import select

from errors import NotFound, NotPossible, SetupError
from models.database import Database
from models.tables import Digest, District, School, Source, StatusChange
from services.operations import district_setup
from services.operations.setup import apply_setup, read_setup, would_freeze
from services.sync.requests import find_pending_districts, sync_requests

AT = datetime(2026, 11, 23, 8, tzinfo=UTC)

SETUP = """
[[district]]
id = "unified"
name = "Unified School District"
timezone = "America/Los_Angeles"
administrators = ["it@unified.example", "head@unified.example"]

[[district.source]]
id = "files"
kind = "csv"
format = "csv-1.0"
folder = "drop/unified"

[[district.school]]
id = "lincoln"
name = "Lincoln High School"
source = "files"
external_id = "0101"

[[district.school]]
id = "adams"
name = "Adams Middle School"

[[district.school]]
id = "grant"
name = "Grant School"
on_plan = false
"""
OWN_LIMITS = {"students": {"share": 0.3, "count": 40}, "district": {"students": {"share": 0.1, "count": 7}}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def apply(database: Database, folder: Path, text: str = SETUP, *, add: bool = False) -> list[str]:
    (folder / "setup.toml").write_text(text)
    with database.transaction() as session:
        return apply_setup(session, read_setup(folder / "setup.toml"), add=add, now=AT)


def csv(folder: Path, name: str = "own") -> dict[str, str]:
    return {"kind": "csv", "format": "csv-1.0", "folder": str(folder / name)}


def set_up(database: Database, folder: Path) -> str:
    with database.transaction() as session:
        return district_setup.set_up_source(session, "unified", csv(folder)).key


def matched(database: Database, key: str) -> tuple[str | None, str | None, bool]:
    with database.reading() as session:
        school = session.get_one(School, f"unified/{key}")
        return school.source_id, school.external_id, school.matched_in_report


def test_the_keys_that_a_file_names_are_kept(sqlite_database: Database, folder: Path) -> None:
    named = SETUP.replace('timezone = "Am', 'limits = { students = { share = 0.2, count = 20 } }\ntimezone = "Am')
    apply(sqlite_database, folder, named)
    with sqlite_database.reading() as session:
        keys = session.get_one(District, "unified").setup_keys
    assert keys == ["administrators", "limits", "name", "school", "source", "timezone"]


def test_what_the_report_set_survives_the_file(database: Database, folder: Path) -> None:
    apply(database, folder)
    key = set_up(database, folder)
    schedule = {"it@unified.example": "daily", "desk@unified.example": "weekly"}
    with database.transaction() as session:
        district_setup.match_schools(session, "unified", key, {"adams": "0105"}, now=AT)
        district_setup.start_source(session, "unified", key, now=AT)
        district_setup.set_enforcement(session, "unified", True)
        district_setup.set_limits(session, "unified", OWN_LIMITS)
        district_setup.set_mail_schedule(session, "unified", schedule, now=AT)
        district_setup.set_pause_notices(session, "unified", False)
    assert apply(database, folder) == []
    with database.reading() as session:
        district, source = session.get_one(District, "unified"), session.get_one(Source, "unified/csv")
        assert (district.rostering_enforcement, district.pause_notices) == (True, False)
        assert district.limits == {"students": [0.3, 40], "district_students": [0.1, 7]}
        assert district.mail_schedule == schedule
        assert (source.in_report, source.frozen) == (True, False)
        assert would_freeze(session, read_setup(folder / "setup.toml")) == []
    assert matched(database, "adams") == ("unified/csv", "0105", True)


def test_a_school_matched_with_a_source_of_the_file_stays_until_that_goes(
    sqlite_database: Database, folder: Path
) -> None:
    apply(sqlite_database, folder)
    with sqlite_database.transaction() as session:
        district_setup.match_schools(session, "unified", "files", {"adams": "0105"}, now=AT)
    assert apply(sqlite_database, folder) == []
    assert matched(sqlite_database, "adams") == ("unified/files", "0105", True)
    start = SETUP.index("[[district.source]]")
    without = SETUP[:start] + SETUP[SETUP.index("[[district.school]]") :]
    apply(sqlite_database, folder, without.replace('source = "files"\nexternal_id = "0101"\n', ""))
    assert matched(sqlite_database, "adams") == (None, None, False)


def test_the_file_goes_before_the_report(sqlite_database: Database, folder: Path) -> None:
    apply(sqlite_database, folder)
    with sqlite_database.transaction() as session:
        district_setup.match_schools(session, "unified", "files", {"adams": "0105"}, now=AT)
        district_setup.set_limits(session, "unified", OWN_LIMITS)
        district_setup.set_mail_schedule(session, "unified", {"it@unified.example": "never"}, now=AT)
    named = SETUP.replace(
        'name = "Adams Middle School"', 'name = "Adams Middle School"\nsource = "files"\nexternal_id = "0109"'
    ).replace(
        'timezone = "Am',
        "limits = { classes = { share = 0.2, count = 20 } }\npause_notices = false\n"
        'mail_schedule = { "head@unified.example" = "weekly" }\ntimezone = "Am',
    )
    assert apply(sqlite_database, folder, named) == [
        "Unified School District: limits district_students 0.1, 7; students 0.3, 40 → classes 0.2, 20",
        "Unified School District: mail_schedule changed",
        "Unified School District: pause_notices true → false",
        "Unified School District: school Adams Middle School external_id 0105 → 0109",
    ]
    assert matched(sqlite_database, "adams") == ("unified/files", "0109", False)
    with sqlite_database.transaction() as session:
        for change in (
            lambda: district_setup.set_limits(session, "unified", {}),
            lambda: district_setup.set_mail_schedule(session, "unified", {}, now=AT),
            lambda: district_setup.set_pause_notices(session, "unified", True),
            lambda: district_setup.unmatch_school(session, "unified", "adams", now=AT),
        ):
            with pytest.raises(NotPossible, match="set in the setup file by your operations team"):
                change()
    # What the file no longer names was the file's, and is ours again.
    apply(sqlite_database, folder)
    with sqlite_database.reading() as session:
        district = session.get_one(District, "unified")
        assert (district.limits, district.mail_schedule, district.pause_notices) == (None, None, True)


def test_an_administrator_who_leaves_is_no_recipient_either(sqlite_database: Database, folder: Path) -> None:
    apply(sqlite_database, folder)
    with sqlite_database.transaction() as session:
        schedule = {"head@unified.example": "daily", "desk@unified.example": "daily"}
        district_setup.set_mail_schedule(session, "unified", schedule, now=AT)
    apply(sqlite_database, folder, SETUP.replace(', "head@unified.example"', ""))
    with sqlite_database.reading() as session:
        assert session.get_one(District, "unified").mail_schedule == {"desk@unified.example": "daily"}


def test_a_file_in_the_way_of_the_report_is_refused(sqlite_database: Database, folder: Path) -> None:
    apply(sqlite_database, folder)
    key = set_up(sqlite_database, folder)
    with sqlite_database.transaction() as session:
        district_setup.match_schools(session, "unified", "files", {"adams": "0105"}, now=AT)
    assert key == "csv"
    same_place = SETUP.replace("drop/unified", "own")
    same_school = SETUP.replace('"0101"', '"0105"')
    for text, problem in (
        (same_place, 'district "unified", source "files": folder is already used by district "unified", source "csv"'),
        (same_school, 'district "unified", school "lincoln": external_id 0105 is already used by school "adams"'),
    ):
        with pytest.raises(SetupError) as raised:
            apply(sqlite_database, folder, text)
        assert str(raised.value) == problem


def test_nothing_is_synced_from_a_source_until_it_is_started(sqlite_database: Database, folder: Path) -> None:
    apply(sqlite_database, folder, SETUP.replace('source = "files"\nexternal_id = "0101"\n', ""))
    key = set_up(sqlite_database, folder)

    def asked() -> list[str]:
        with sqlite_database.reading() as session:
            return [request.source_id for request in sync_requests(session, "unified", None, None)]

    with sqlite_database.transaction() as session:
        with pytest.raises(NotPossible, match="match at least one school first"):
            district_setup.start_source(session, "unified", key, now=AT)
        district_setup.match_schools(session, "unified", key, {"adams": "0105"}, now=AT)
    assert asked() == ["unified/files"]
    (folder / "own").mkdir()
    (folder / "drop" / "unified").mkdir(parents=True)
    assert find_pending_districts(sqlite_database, kind="csv") == {}
    with sqlite_database.transaction() as session:
        district_setup.start_source(session, "unified", key, now=AT)
        with pytest.raises(NotPossible, match="the sync has started"):
            district_setup.set_up_source(session, "unified", csv(folder, "elsewhere"), key=key)
        with pytest.raises(NotPossible, match="only a sync that hasn't started"):
            district_setup.discard_source(session, "unified", key, now=AT)
    assert asked() == ["unified/files", "unified/csv"]


def test_a_source_that_was_not_started_goes_with_its_matches(sqlite_database: Database, folder: Path) -> None:
    apply(sqlite_database, folder)
    key = set_up(sqlite_database, folder)
    with sqlite_database.transaction() as session:
        district_setup.match_schools(session, "unified", key, {"adams": "0105"}, now=AT)
        district_setup.discard_source(session, "unified", key, now=AT)
    assert matched(sqlite_database, "adams") == (None, None, False)
    with sqlite_database.reading() as session:
        assert list(session.exec(select(Source.id))) == ["unified/files"]
        with pytest.raises(NotFound):
            district_setup.source_for(session, "unified", key)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"kind": "paper"}, "choose where your data come from"),
        ({"kind": "clever", "district_id": " "}, "district_id is empty"),
        ({"kind": "csv", "format": "xml", "folder": "x"}, "format must be one of csv-1.0"),
        ({"kind": "clever", "district_id": "a\nb"}, "district_id must be one line of printable text"),
    ],
)
def test_a_source_is_checked_as_in_a_setup_file(
    sqlite_database: Database, folder: Path, values: dict[str, str], problem: str
) -> None:
    apply(sqlite_database, folder)
    with sqlite_database.transaction() as session, pytest.raises(SetupError) as raised:
        district_setup.set_up_source(session, "unified", values)
    assert str(raised.value) == problem


def test_no_two_sources_have_one_place(sqlite_database: Database, folder: Path) -> None:
    apply(sqlite_database, folder)
    with sqlite_database.transaction() as session, pytest.raises(SetupError, match="another sync uses that already"):
        district_setup.set_up_source(session, "unified", csv(folder, "drop/unified"))


@pytest.mark.parametrize(
    ("matches", "problem"),
    [
        ({"adams": "0101"}, "Adams Middle School and Lincoln High School can't both be the same school in your data"),
        ({"adams": " "}, "the ID of Adams Middle School is empty"),
        ({"lincoln": "0102"}, "Lincoln High School has been matched already"),
        ({"grant": "0102"}, "Grant School is not on the plan and is not synced"),
    ],
)
def test_schools_are_matched_one_to_one(
    sqlite_database: Database, folder: Path, matches: dict[str, str], problem: str
) -> None:
    apply(sqlite_database, folder)
    with sqlite_database.transaction() as session, pytest.raises((SetupError, NotPossible)) as raised:
        district_setup.match_schools(session, "unified", "files", matches, now=AT)
    assert str(raised.value) == problem
    assert matched(sqlite_database, "adams") == (None, None, False)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"students": {"share": 1.2, "count": 3}}, "students.share must be from 0 to 1"),
        ({"students": {"share": 0.2, "count": -3}}, "students.count must not be negative"),
        ({"teachers": {"share": 0.2, "count": 3}}, "unknown key teachers"),
    ],
)
def test_limits_are_checked_as_in_a_setup_file(
    sqlite_database: Database, folder: Path, values: dict[str, dict[str, float]], problem: str
) -> None:
    apply(sqlite_database, folder)
    with sqlite_database.transaction() as session, pytest.raises(SetupError) as raised:
        district_setup.set_limits(session, "unified", values)
    assert str(raised.value) == problem


def test_what_is_usual_is_not_kept_in_a_mail_schedule(sqlite_database: Database, folder: Path) -> None:
    apply(sqlite_database, folder)
    with sqlite_database.transaction() as session:
        usual = {"IT@unified.example": "each", "head@unified.example": "daily", "gone@unified.example": "never"}
        district_setup.set_mail_schedule(session, "unified", usual, now=AT)
        assert session.get_one(District, "unified").mail_schedule == {"head@unified.example": "daily"}
        assert [(each.schedule, each.made_at) for each in session.exec(select(Digest))] == [("daily", AT)]
        with pytest.raises(SetupError, match="an address is not an email address"):
            district_setup.set_mail_schedule(session, "unified", {"nobody": "daily"}, now=AT)
        with pytest.raises(SetupError, match="choose how often"):
            district_setup.set_mail_schedule(session, "unified", {"it@unified.example": "hourly"}, now=AT)


def test_a_match_is_no_change_of_status(sqlite_database: Database, folder: Path) -> None:
    apply(sqlite_database, folder)
    with sqlite_database.transaction() as session:
        district_setup.match_schools(session, "unified", "files", {"adams": "0105"}, now=AT)
        changes = list(session.exec(select(StatusChange).where(StatusChange.school_id == "unified/adams")))
    assert [change.status for change in changes] == ["setup_sync"]
