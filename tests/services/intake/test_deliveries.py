"""Taking: when a delivery is taken, what lands, and what becomes of it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import BinaryIO
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from sqlmodel import Session, col, select

from contracts.formats import delimited
from contracts.formats.csv_1_0 import FORMAT as CSV_1_0
from errors import NotFound, NotPossible, SourceUnreachable
from models.database import Database
from models.tables import Delivery, District, FileError, Source
from sandbox.file_faults import zip_of
from services.intake import arrival, deliveries, drop_folder
from services.intake import landing as landing_files
from services.intake.arrival import Arrival, Waiting
from services.intake.deliveries import RecordedDelivery
from services.intake.drop_folder import LocalFolder, Stamp
from services.intake.landing import LandedFiles, copy_files, discard
from services.intake.landing_area import LandingArea
from tests.object_storage import lose, store, stored

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
FILES = ("schools.csv", "teachers.csv", "students.csv")
FORM = replace(CSV_1_0, files=tuple(file for file in CSV_1_0.files if file.name in FILES))
HOUR = 3600


class Shelf:
    """A place whose files' time stamps are what the test says: real ones cannot be set back."""

    def __init__(self, **ages: float) -> None:
        self.stamps: dict[str, Stamp] = {}
        for name, age in ages.items():
            self.write(name, age)

    def write(self, name: str, age: float, *, size: int = 10, mtime_age: float | None = None) -> None:
        """A file written so many seconds before NOW."""
        changed, modified = (int((NOW.timestamp() - seconds) * 1e9) for seconds in (age, mtime_age or age))
        self.stamps[name if "." in name else f"{name}.csv"] = Stamp(size, modified, changed)

    def entries(self) -> dict[str, Stamp | None]:
        return dict(self.stamps)

    def open(self, name: str) -> BinaryIO:
        raise AssertionError("looking reads no file")


def a_source(place: Shelf | None = None) -> Source:
    """A source that was last taken from as the place stands now."""
    noted = {name: stamp.as_list() for name, stamp in place.stamps.items()} if place else None
    return Source(
        id="unified/files",
        district_id="unified",
        key="files",
        kind="csv",
        format="csv-1.0",
        settings={"folder": "drop/unified", "quiet_seconds": 300},
        stamps=noted,
    )


def inspect_drop_folder(
    source: Source,
    place: Shelf,
    *,
    with_error: frozenset[str] | None = None,
    as_it_stands: bool = False,
    now: datetime = NOW,
) -> Waiting:
    return arrival.inspect_drop_folder(
        source,
        place,
        form=FORM,
        with_error=with_error,
        now=now,
        as_it_stands=as_it_stands,
        zone=ZoneInfo("America/Los_Angeles"),
    )


def taken_before() -> tuple[Source, Shelf]:
    place = Shelf(schools=24 * HOUR, teachers=24 * HOUR, students=24 * HOUR)
    return a_source(place), place


def test_an_empty_folder_is_nothing() -> None:
    waiting = inspect_drop_folder(a_source(), Shelf())
    assert (waiting.state, waiting.missing) == (Arrival.NOTHING, FILES)
    assert waiting.message == "the drop folder drop/unified has none of the files"


def test_every_file_there_counts_as_written_the_first_time() -> None:
    waiting = inspect_drop_folder(a_source(), Shelf(schools=HOUR, teachers=HOUR, students=HOUR))
    assert (waiting.state, waiting.missing, waiting.not_again) == (Arrival.READY, (), ())


def test_nothing_was_written_since_the_last_taking() -> None:
    source, place = taken_before()
    assert inspect_drop_folder(source, place).state == Arrival.NOTHING
    assert inspect_drop_folder(source, place, as_it_stands=True).state == Arrival.NOTHING


def test_files_that_only_vanished_are_no_delivery() -> None:
    source, place = taken_before()
    del place.stamps["students.csv"]
    assert inspect_drop_folder(source, place).state == Arrival.NOTHING


@pytest.mark.parametrize(("age", "state"), [(300, Arrival.READY), (299.9, Arrival.ARRIVING)])
def test_a_complete_set_is_taken_once_it_is_quiet(age: float, state: Arrival) -> None:
    assert inspect_drop_folder(a_source(), Shelf(schools=HOUR, teachers=age, students=HOUR)).state == state


def test_says_from_when_arriving_files_would_be_taken() -> None:
    waiting = inspect_drop_folder(a_source(), Shelf(schools=HOUR, teachers=90, students=HOUR))
    assert waiting.ready_at == NOW + timedelta(seconds=210)
    assert waiting.message == (
        "files are still arriving; they will be picked up after Nov 23, 2026, 1:04 AM PST unless one changes"
    )


def test_quiet_is_judged_by_the_places_own_clock() -> None:
    place = Shelf(schools=HOUR, teachers=HOUR, students=HOUR)
    place.write("teachers", 10, mtime_age=5 * HOUR)
    assert inspect_drop_folder(a_source(), place).state == Arrival.ARRIVING
    place.write("teachers", HOUR, mtime_age=-HOUR)
    assert inspect_drop_folder(a_source(), place).state == Arrival.READY


@pytest.mark.parametrize("change", ["size", "mtime", "ctime"])
def test_size_or_either_time_shows_a_file_written_again(change: str) -> None:
    source, place = taken_before()
    for name in ("schools", "teachers"):
        place.write(name, HOUR)
    old = place.stamps["students.csv"]
    place.stamps["students.csv"] = Stamp(
        old.size + (change == "size"), old.mtime_ns + (change == "mtime"), old.ctime_ns + (change == "ctime")
    )
    assert inspect_drop_folder(source, place).state == Arrival.READY


def test_a_missing_file_makes_it_incomplete() -> None:
    waiting = inspect_drop_folder(a_source(), Shelf(schools=HOUR, students=HOUR), as_it_stands=True)
    assert (waiting.state, waiting.missing, waiting.not_again) == (Arrival.INCOMPLETE, ("teachers.csv",), ())
    assert waiting.message == "waiting for files: teachers.csv is missing"


def test_a_file_not_written_again_makes_it_incomplete() -> None:
    source, place = taken_before()
    place.write("students", HOUR)
    waiting = inspect_drop_folder(source, place)
    assert (waiting.state, waiting.missing, waiting.not_again) == (
        Arrival.INCOMPLETE,
        (),
        ("schools.csv", "teachers.csv"),
    )
    assert waiting.message == ("waiting for files: schools.csv and teachers.csv were not sent again with the others")


@pytest.mark.parametrize(("first", "state"), [(2 * HOUR - 1, Arrival.INCOMPLETE), (2 * HOUR, Arrival.OVERDUE)])
def test_two_hours_count_from_the_first_file_written(first: float, state: Arrival) -> None:
    source, place = taken_before()
    place.write("students", first)
    place.write("teachers", 10)
    assert inspect_drop_folder(source, place).state == state


def test_an_overdue_set_is_said_as_file_errors() -> None:
    source, place = taken_before()
    place.write("students", 3 * HOUR)
    del place.stamps["schools.csv"]
    waiting = inspect_drop_folder(source, place)
    assert waiting.state == Arrival.OVERDUE
    assert waiting.file_errors.rows() == [
        ("file_missing", "schools.csv", None, None, None),
        ("file_missing", "teachers.csv", None, "not sent again with the others", None),
    ]
    assert waiting.message == (
        "files arrived at Nov 22, 2026, 10:00 PM PST, but not all of them within two hours: schools.csv is missing;"
        " teachers.csv was not sent again with the others. Send the complete set of files again"
    )


def test_after_a_rejected_delivery_only_the_files_with_errors_have_to_be_sent_again() -> None:
    source, place = taken_before()
    with_error = frozenset({"students.csv"})
    place.write("teachers", HOUR)
    waiting = inspect_drop_folder(source, place, with_error=with_error)
    assert (waiting.state, waiting.not_again) == (Arrival.INCOMPLETE, ("students.csv",))
    place.write("students", HOUR)
    assert inspect_drop_folder(source, place, with_error=with_error).state == Arrival.READY
    place.write("schools", 10)
    assert inspect_drop_folder(source, place, with_error=with_error).state == Arrival.ARRIVING


def test_now_takes_a_complete_set_as_it_is() -> None:
    source, place = taken_before()
    place.write("students", 1)
    assert inspect_drop_folder(source, place, as_it_stands=True).state == Arrival.READY


# --- names ---


def test_names_match_without_case_and_what_cannot_be_seen() -> None:
    place = Shelf(**{"Schools.csv": HOUR, " TEACHERS.CSV": HOUR, "students.csv\u200b": HOUR})
    waiting = inspect_drop_folder(a_source(), place)
    assert (waiting.state, waiting.files, waiting.notes) == (
        Arrival.READY,
        {"schools.csv": "Schools.csv", "teachers.csv": " TEACHERS.CSV", "students.csv": "students.csv\u200b"},
        (),
    )
    assert waiting.stamps == place.stamps


def test_files_that_come_under_other_names_are_written_again() -> None:
    source, _ = taken_before()
    assert (
        inspect_drop_folder(source, Shelf(**{"Schools.csv": HOUR, "Teachers.csv": HOUR, "Students.csv": HOUR})).state
        == "ready"
    )


@pytest.mark.parametrize(("first", "second"), [("students.csv", "Students.csv"), ("Students.csv", "students.csv")])
def test_of_two_names_that_match_one_file_the_one_written_again_is_read(first: str, second: str) -> None:
    place = Shelf(schools=24 * HOUR, teachers=24 * HOUR, **{first: 24 * HOUR})
    source = a_source(place)
    for name in ("schools", "teachers", second):
        place.write(name, HOUR)
    waiting = inspect_drop_folder(source, place)
    assert (waiting.state, waiting.files["students.csv"]) == (Arrival.READY, second)
    assert waiting.notes == (f"used {second}, and not {first}, which is older",)

    source.stamps = {name: stamp.as_list() for name, stamp in waiting.stamps.items()}
    assert inspect_drop_folder(source, place).state == Arrival.NOTHING
    for name in ("schools", "teachers"):
        place.write(name, HOUR / 2)
    assert inspect_drop_folder(source, place).not_again == ("students.csv",)
    waiting = inspect_drop_folder(source, place, with_error=frozenset({"schools.csv"}))
    assert (waiting.state, waiting.files["students.csv"]) == (Arrival.READY, second)
    place.write(first, HOUR / 2)
    waiting = inspect_drop_folder(source, place)
    assert (waiting.state, waiting.files["students.csv"]) == (Arrival.READY, first)


def test_what_was_written_again_is_read_whatever_the_senders_clock_says() -> None:
    source, place = taken_before()
    for name in ("schools", "teachers"):
        place.write(name, HOUR)
    place.write("Students.csv", 48 * HOUR)
    assert inspect_drop_folder(source, place).files["students.csv"] == "Students.csv"


def test_two_names_that_match_one_file_and_were_both_written_are_said_as_a_file_error_once_quiet() -> None:
    source, place = taken_before()
    for name in ("schools", "teachers", "students"):
        place.write(name, HOUR)
    place.write("Students.CSV", 100)
    assert (inspect_drop_folder(source, place).state, inspect_drop_folder(source, place).file_errors.height) == (
        Arrival.ARRIVING,
        0,
    )
    for waiting in (
        inspect_drop_folder(source, place, as_it_stands=True),
        inspect_drop_folder(source, place, now=NOW + timedelta(seconds=200)),
    ):
        assert (waiting.state, waiting.file_errors.rows()) == (
            Arrival.DOUBLE,
            [("file_duplicate", "students.csv", None, "found Students.CSV and students.csv", None)],
        )
        assert waiting.message == (
            "a file arrived twice: Students.CSV and students.csv would both be students.csv. Remove the wrong one"
        )
    del place.stamps["students.csv"]
    waiting = inspect_drop_folder(source, place, now=NOW + timedelta(seconds=200))
    assert (waiting.state, waiting.files["students.csv"]) == (Arrival.READY, "Students.CSV")


def test_a_file_that_came_twice_is_reported_with_those_that_did_not_come() -> None:
    source, place = taken_before()
    for name in ("students", "STUDENTS.csv", "teachers"):
        place.write(name, 3 * HOUR)
    waiting = inspect_drop_folder(source, place)
    assert (waiting.state, waiting.file_errors.rows()) == (
        Arrival.OVERDUE,
        [
            ("file_missing", "schools.csv", None, "not sent again with the others", None),
            ("file_duplicate", "students.csv", None, "found STUDENTS.csv and students.csv", None),
        ],
    )


def test_whatever_else_lies_there_is_named_in_the_notes_and_for_a_missing_file() -> None:
    place = Shelf(schools=3 * HOUR, teachers=3 * HOUR, **{"students (1).csv": HOUR, "students.txt": HOUR})
    waiting = inspect_drop_folder(a_source(), place)
    assert (waiting.state, waiting.notes) == (
        Arrival.OVERDUE,
        ("not files of the format, left out: students (1).csv and students.txt",),
    )
    assert waiting.file_errors.rows() == [
        ("file_missing", "students.csv", None, "found students (1).csv and students.txt", None)
    ]
    only_others = inspect_drop_folder(a_source(), Shelf(**{"students_2026.csv": HOUR}))
    assert (only_others.state, only_others.message, only_others.notes) == (
        Arrival.NOTHING,
        "the drop folder drop/unified has none of the files; found students_2026.csv",
        ("not a file of the format, left out: students_2026.csv",),
    )


@pytest.mark.parametrize("name", ["students.csv.part", "Students.csv.filepart", "STUDENTS.CSV.tmp"])
def test_nothing_is_taken_while_a_file_is_sent_under_another_name(name: str) -> None:
    source, place = taken_before()
    for written in ("schools", "teachers", "students"):
        place.write(written, HOUR)
    place.write(name, 2 * HOUR - 1)
    waiting = inspect_drop_folder(source, place)
    assert (waiting.state, waiting.message, list(waiting.unfinished), waiting.ready_at, waiting.notes) == (
        Arrival.ARRIVING,
        f"still arriving: {name}",
        [name],
        None,
        (),
    )
    assert inspect_drop_folder(source, place, as_it_stands=True).state == Arrival.READY
    place.write(name, 2 * HOUR)
    waiting = inspect_drop_folder(source, place)
    assert (waiting.state, waiting.notes) == (Arrival.READY, (f"not a file of the format, left out: {name}",))


def test_only_a_file_of_the_format_is_waited_for() -> None:
    place = Shelf(schools=HOUR, teachers=HOUR, students=HOUR, **{"photos.jpg.tmp": 1, "students.csv.bak": 1})
    assert inspect_drop_folder(a_source(), place).state == Arrival.READY


def test_a_first_file_that_is_being_sent_is_arriving_and_one_given_up_is_named_for_the_missing() -> None:
    place = Shelf(**{"students.csv.part": 10})
    assert inspect_drop_folder(a_source(), place).state == Arrival.ARRIVING
    place = Shelf(schools=3 * HOUR, teachers=3 * HOUR, **{"students.csv.part": 10})
    assert inspect_drop_folder(a_source(), place).state == Arrival.ARRIVING
    place.write("students.csv.part", 2 * HOUR)
    waiting = inspect_drop_folder(a_source(), place)
    assert (waiting.state, waiting.file_errors["detail"].to_list()) == (Arrival.OVERDUE, ["found students.csv.part"])


# --- zips ---


def noted(source: Source, waiting: Waiting) -> None:
    """As after a taking."""
    source.stamps = {name: stamp.as_list() for name, stamp in waiting.stamps.items()}


def test_a_zip_is_a_complete_set() -> None:
    source, place = a_source(), Shelf(**{"roster.zip": 200})
    assert inspect_drop_folder(source, place).state == Arrival.ARRIVING
    place.write("roster.zip", 300)
    waiting = inspect_drop_folder(source, place)
    assert (waiting.state, waiting.zip_name, waiting.files, waiting.missing, waiting.notes) == (
        Arrival.READY,
        "roster.zip",
        {},
        (),
        (),
    )
    noted(source, waiting)
    waiting = inspect_drop_folder(source, place)
    assert (waiting.state, waiting.message) == (Arrival.NOTHING, "no new files since the last delivery")


def test_the_newest_zip_counts_and_older_ones_never_again() -> None:
    source, place = a_source(), Shelf(**{"day1.zip": 30 * HOUR, "day2.zip": HOUR, "b/day3.zip.part": 3 * HOUR})
    waiting = inspect_drop_folder(source, place)
    assert (waiting.state, waiting.zip_name, waiting.notes) == (
        Arrival.READY,
        "day2.zip",
        ("used day2.zip, and not day1.zip", "not a file of the format, left out: b/day3.zip.part"),
    )
    noted(source, waiting)
    del place.stamps["day2.zip"]
    assert inspect_drop_folder(source, place).state == Arrival.NOTHING
    place.write("day1.zip", HOUR)
    assert inspect_drop_folder(source, place).zip_name == "day1.zip"


def test_a_zip_that_is_being_sent_is_waited_for() -> None:
    place = Shelf(schools=HOUR, teachers=HOUR, students=HOUR, **{"roster.zip.filepart": 1})
    assert inspect_drop_folder(a_source(), place).message == "still arriving: roster.zip.filepart"


def test_of_a_zip_and_files_what_was_written_since_counts() -> None:
    source, place = taken_before()
    place.write("roster.zip", HOUR)
    waiting = inspect_drop_folder(source, place)
    assert (waiting.state, waiting.zip_name, waiting.notes) == (
        Arrival.READY,
        "roster.zip",
        ("used roster.zip, and not schools.csv, teachers.csv and students.csv",),
    )
    noted(source, waiting)
    for name in ("schools", "teachers", "students"):
        place.write(name, HOUR / 2)
    waiting = inspect_drop_folder(source, place)
    assert (waiting.state, waiting.zip_name, waiting.files, waiting.notes) == (
        Arrival.READY,
        None,
        {name: name for name in FILES},
        ("not a file of the format, left out: roster.zip",),
    )


def test_a_zip_and_files_that_were_both_written_are_a_file_error_once_quiet() -> None:
    source, place = taken_before()
    place.write("roster.zip", HOUR)
    place.write("schools", 200)
    assert inspect_drop_folder(source, place).state == Arrival.ARRIVING
    waiting = inspect_drop_folder(source, place, as_it_stands=True)
    assert (waiting.state, waiting.message, waiting.file_errors.rows()) == (
        Arrival.DOUBLE,
        "a zip and other files arrived: roster.zip and schools.csv. Remove the wrong one",
        [("file_duplicate", "roster.zip", None, "found roster.zip and schools.csv", None)],
    )


# --- a local folder ---


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    folder = tmp_path / "drop"
    folder.mkdir()
    for name in FILES:
        (folder / name).write_bytes(f"{name} as sent".encode())
    return folder


def test_what_lies_in_a_local_folder(drop: Path) -> None:
    (drop / "notes.txt").write_text("left out")
    found = LocalFolder(drop).entries()
    entry = (drop / "students.csv").stat()
    assert sorted(found) == sorted([*FILES, "notes.txt"])
    assert found["students.csv"] == Stamp(entry.st_size, entry.st_mtime_ns, entry.st_ctime_ns)


def test_a_link_or_folder_of_a_files_name_is_no_file(drop: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of somebody else")
    (drop / "students.csv").unlink()
    (drop / "students.csv").symlink_to(tmp_path / "secret")
    (drop / "teachers.csv").unlink()
    (drop / "teachers.csv").mkdir()
    place = LocalFolder(drop)
    assert [name for name, stamp in place.entries().items() if stamp is not None] == ["schools.csv"]
    waiting = arrival.inspect_drop_folder(a_source(), place, form=FORM, with_error=None, now=NOW)
    assert waiting.missing == ("teachers.csv", "students.csv")
    assert waiting.notes == (
        "not files of the format, left out: students.csv (a folder or a link) and teachers.csv (a folder or a link)",
    )
    with pytest.raises(SourceUnreachable, match=r"students\.csv in the drop folder"):
        place.open("students.csv")


def test_a_missing_folder_is_named_with_what_to_check(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreachable) as raised:
        LocalFolder(tmp_path / "gone").entries()
    assert str(raised.value) == (
        f"the drop folder {tmp_path / 'gone'} cannot be read (No such file or directory): check that it is there, that"
        " its disk is mounted, and that Rollcall's user may read it"
    )


def test_a_folder_is_read_for_a_check_as_a_drop_folder_is(drop: Path) -> None:
    (drop / "students.csv").rename(drop / "Students.csv")
    (drop / "notes.txt").write_text("not looked into")
    (drop / "teachers.csv").unlink()
    (drop / "teachers.csv").symlink_to(drop / "schools.csv")
    assert arrival.read_folder(LocalFolder(drop), FORM) == {
        "schools.csv": b"schools.csv as sent",
        "Students.csv": b"students.csv as sent",
        "notes.txt": b"",
        "teachers.csv (a folder or a link)": b"",
    }


# --- landing ---


def ready(folder: Path) -> Waiting:
    waiting = arrival.inspect_drop_folder(
        a_source(), LocalFolder(folder), form=FORM, with_error=None, now=NOW, as_it_stands=True
    )
    assert waiting.state == Arrival.READY
    return waiting


def land(
    drop: Path, landing: LandingArea, place: drop_folder.DropFolder | None = None, kept: Collection[str] = ()
) -> LandedFiles | None:
    waiting = ready(drop)
    copied = partial(copy_files, place or LocalFolder(drop), waiting, form=FORM)
    found = landing_files.land(copied, landing=landing, source_id="unified/files", kept=kept, now=NOW)
    return None if found is None else replace(found, stamps=waiting.stamps)


def landed(drop: Path, landing: LandingArea, kept: Collection[str] = ()) -> LandedFiles:
    found = land(drop, landing, kept=kept)
    assert found is not None
    return found


def sent(path: str) -> dict[str, bytes]:
    """The files of a delivery kept under a path."""
    return {f"{path}/{name}": f"{name} as sent".encode() for name in FILES}


def test_landing_keeps_the_raw_bytes_with_their_digests(drop: Path, landing: LandingArea) -> None:
    before = ready(drop).stamps
    found = landed(drop, landing)
    assert found.path.startswith("unified/files/20261123T090000Z-")
    assert stored(landing) == sent(found.path)
    assert found.files == tuple(
        {
            "name": name,
            "size": len(f"{name} as sent"),
            "sha256": hashlib.sha256(f"{name} as sent".encode()).hexdigest(),
        }
        for name in sorted(FILES)
    )
    assert found.stamps == before == LocalFolder(drop).entries()


def test_files_land_under_the_names_of_the_format(drop: Path, landing: LandingArea) -> None:
    first = landed(drop, landing)
    (drop / "students.csv").rename(drop / "Students.CSV ")
    (drop / "notes.txt").write_text("left out")
    again = landed(drop, landing)
    assert (again.files, again.digest) == (first.files, first.digest)
    assert sorted(again.stamps) == ["Students.CSV ", "schools.csv", "teachers.csv"]


def test_the_landing_area_is_for_nobody_elses_eyes(drop: Path, tmp_path: Path) -> None:
    area = tmp_path / "landing"
    former = os.umask(0)
    try:
        landed(drop, LandingArea.of_folder(area))
    finally:
        os.umask(former)
    modes = {path.stat().st_mode & 0o777 for path in [area, *area.rglob("*")] if path.is_dir()}
    assert modes == {0o700}
    assert {path.stat().st_mode & 0o777 for path in area.rglob("*.csv")} == {0o600}


def test_the_digest_is_of_names_and_bytes(drop: Path, landing: LandingArea) -> None:
    first = landed(drop, landing)
    assert landed(drop, landing).digest == first.digest
    (drop / "teachers.csv").write_bytes(b"students.csv as sent")
    (drop / "students.csv").write_bytes(b"teachers.csv as sent")
    assert landed(drop, landing).digest != first.digest


class Restless(LocalFolder):
    """A folder into which the sender still writes while it is copied."""

    def open(self, name: str) -> BinaryIO:
        content = super().open(name)
        if name == "teachers.csv":
            (self.folder / "schools.csv").write_bytes(b"schools.csv AS SENT")
        return content


def test_nothing_is_kept_of_files_that_change_while_they_are_copied(drop: Path, landing: LandingArea) -> None:
    assert land(drop, landing, Restless(drop)) is None
    assert (stored(landing), list((landing.scratch / "unified" / "files").iterdir())) == ({}, [])


def test_what_a_killed_copying_left_is_removed(drop: Path, landing: LandingArea) -> None:
    left = landing.scratch / "unified" / "files" / ".taking-left"
    left.mkdir(parents=True)
    (left / "students.csv").write_text("half")
    found = landed(drop, landing)
    assert (stored(landing), left.exists()) == (sent(found.path), False)


def test_what_was_kept_and_never_recorded_is_removed(drop: Path, landing: LandingArea) -> None:
    recorded, unrecorded = landed(drop, landing), "unified/files/20261122T090000Z-0123abcd/schools.csv"
    others = "unified/files/notes.txt", "unified/other/20261122T090000Z-0123abcd/schools.csv"
    for path in (unrecorded, *others):
        store(landing, path, b"half")
    found = landed(drop, landing, kept=[recorded.path])
    assert stored(landing) == {**sent(recorded.path), **sent(found.path), **dict.fromkeys(others, b"half")}


def test_files_that_change_while_they_are_copied_are_not_taken(drop: Path, tmp_path: Path) -> None:
    assert copy_files(LocalFolder(drop), ready(drop), tmp_path, FORM)
    assert {name: (tmp_path / name).read_bytes() for name in FILES} == {
        name: f"{name} as sent".encode() for name in FILES
    }
    (tmp_path / "again").mkdir()
    assert not copy_files(Restless(drop), ready(drop), tmp_path / "again", FORM)


def test_a_zip_lands_as_the_files_it_holds(drop: Path, landing: LandingArea) -> None:
    plain = landed(drop, landing)
    (drop / "roster.zip").write_bytes(zip_of({f"x/{name.upper()}": (drop / name).read_bytes() for name in FILES}))
    for name in FILES:
        (drop / name).unlink()
    found = landed(drop, landing)
    assert {name: content for name, content in stored(landing).items() if name.startswith(found.path)} == sent(
        found.path
    )
    assert (found.files, found.digest, list(found.stamps)) == (plain.files, plain.digest, ["roster.zip"])


def test_a_zip_that_cannot_be_unpacked_is_kept_as_it_is(drop: Path, landing: LandingArea) -> None:
    for name in FILES[1:]:
        (drop / name).unlink()
    cut = zip_of(dict.fromkeys(FILES, b"x" * 1000))
    spoilt = cut.replace(b"x", b"y")[:-30]
    (drop / "schools.csv").unlink()
    (drop / "roster.zip").write_bytes(spoilt)
    found = landed(drop, landing)
    assert stored(landing) == {f"{found.path}/roster.zip": spoilt}


def test_the_newest_zip_is_read_for_a_check_if_there_are_no_files(drop: Path) -> None:
    (drop / "roster.zip").write_bytes(b"zip")
    assert arrival.read_folder(LocalFolder(drop), FORM)["roster.zip"] == b""
    for name in FILES:
        (drop / name).unlink()
    assert arrival.read_folder(LocalFolder(drop), FORM) == {"roster.zip": b"zip"}
    assert arrival.read_folder(LocalFolder(drop), FORM, only="schools.csv") == {"roster.zip": b"zip"}


# --- recording ---


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.transaction() as session:
        session.add(District(id="unified", name="Unified", timezone="UTC", administrators=[]))
        session.flush()
        session.add_all(
            Source(
                id=f"unified/{key}",
                district_id="unified",
                key=key,
                kind="csv",
                format="csv-1.0",
                settings={"folder": key, "quiet_seconds": 300},
            )
            for key in ("files", "other")
        )
        session.flush()
        yield session


def source_of(session: Session, key: str = "files") -> Source:
    source = session.get(Source, f"unified/{key}")
    assert source is not None
    return source


def take(session: Session, drop: Path, landing: LandingArea, now: datetime = NOW) -> RecordedDelivery:
    kept = deliveries.kept_paths(session, "unified/files")
    return deliveries.record_delivery(session, source_of(session), landed(drop, landing, kept), now)


def delivery_of(session: Session, taken: RecordedDelivery) -> Delivery:
    delivery = session.get(Delivery, taken.delivery_id)
    assert delivery is not None
    return delivery


def errors_of(session: Session) -> list[tuple[str, int | None, str, int | None]]:
    found = session.exec(select(FileError).order_by(col(FileError.file), col(FileError.line)))
    return [(error.source_id, error.delivery_id, error.file, error.line) for error in found]


def file_errors(*lines: tuple[str, int | None]) -> pl.DataFrame:
    rows = [("columns_invalid", file, line, None, "a,b") for file, line in lines]
    return pl.DataFrame(rows, schema=dict(delimited.FILE_ERRORS), orient="row")


def test_a_taking_is_a_delivery(session: Session, drop: Path, landing: LandingArea) -> None:
    found = landed(drop, landing)
    taken = deliveries.record_delivery(session, source_of(session), found, NOW)
    delivery, source = delivery_of(session, taken), source_of(session)
    assert not taken.is_duplicate
    assert (delivery.source_id, delivery.received_at, delivery.outcome, delivery.format, delivery.digest) == (
        "unified/files",
        NOW,
        "received",
        "csv-1.0",
        found.digest,
    )
    assert deliveries.landed_files(landing, delivery) == {name: f"{name} as sent".encode() for name in FILES}
    assert (source.last_delivery_id, source.current_delivery_id, source.last_received_at) == (delivery.id, None, NOW)
    assert source.stamps == {name: stamp.as_list() for name, stamp in found.stamps.items()}
    waiting = arrival.inspect_drop_folder(source, LocalFolder(drop), form=FORM, with_error=None, now=NOW)
    assert waiting.state == Arrival.NOTHING


def test_the_same_bytes_again_are_a_duplicate(session: Session, drop: Path, landing: LandingArea) -> None:
    first = take(session, drop, landing)
    deliveries.accept(session, source_of(session), delivery_of(session, first), NOW)
    delivery, source = delivery_of(session, first), source_of(session)
    again = landed(drop, landing, [delivery.path])
    later = NOW + timedelta(days=60)
    assert deliveries.record_delivery(session, source_of(session), again, later) == RecordedDelivery(
        first.delivery_id, True
    )
    assert (delivery.duplicates, delivery.last_received_at, delivery.received_at, delivery.outcome) == (
        1,
        later,
        NOW,
        "clean",
    )
    assert (source.last_delivery_id, source.current_delivery_id, source.last_received_at) == (
        delivery.id,
        delivery.id,
        later,
    )
    discard(again, landing=landing)
    assert stored(landing) == sent(delivery.path)
    assert len(deliveries.landed_files(landing, delivery)) == 3


def test_bytes_of_an_older_delivery_are_a_new_one(session: Session, drop: Path, landing: LandingArea) -> None:
    first = take(session, drop, landing)
    (drop / "students.csv").write_bytes(b"another day")
    second = take(session, drop, landing)
    (drop / "students.csv").write_bytes(b"students.csv as sent")
    third = take(session, drop, landing)
    assert [first.is_duplicate, second.is_duplicate, third.is_duplicate] == [False, False, False]
    assert [delivery.id for delivery in deliveries.deliveries_of(session, "unified")] == [
        third.delivery_id,
        second.delivery_id,
        first.delivery_id,
    ]


def test_a_delivery_stays_unchecked_until_it_is_accepted_or_rejected(
    session: Session, drop: Path, landing: LandingArea
) -> None:
    assert deliveries.unchecked_delivery(session, source_of(session)) is None
    taken = delivery_of(session, take(session, drop, landing))
    assert deliveries.unchecked_delivery(session, source_of(session)) == taken
    deliveries.accept(session, source_of(session), taken, NOW)
    assert deliveries.unchecked_delivery(session, source_of(session)) is None


def test_a_rejected_delivery_keeps_every_file_error(session: Session, drop: Path, landing: LandingArea) -> None:
    source = source_of(session)
    assert not deliveries.has_file_errors(session, source)
    first = delivery_of(session, take(session, drop, landing))
    deliveries.accept(session, source, first, NOW)
    (drop / "students.csv").write_bytes(b"bad")
    second = delivery_of(session, take(session, drop, landing))
    deliveries.reject(
        session, source, second, file_errors(("students.csv", 2), ("students.csv", 3), ("teachers.csv", None)), NOW
    )
    assert errors_of(session) == [
        ("unified/files", second.id, "students.csv", 2),
        ("unified/files", second.id, "students.csv", 3),
        ("unified/files", second.id, "teachers.csv", None),
    ]
    assert (second.outcome, source.last_delivery_id, source.current_delivery_id) == ("rejected", second.id, first.id)
    assert deliveries.has_file_errors(session, source)
    assert not deliveries.has_file_errors(session, source_of(session, "other"))
    assert deliveries.files_with_error(session, source) == frozenset({"students.csv", "teachers.csv"})

    (drop / "students.csv").write_bytes(b"bad still")
    third = delivery_of(session, take(session, drop, landing))
    deliveries.reject(session, source, third, file_errors(("students.csv", 7)), NOW)
    assert errors_of(session) == [("unified/files", third.id, "students.csv", 7)]

    (drop / "students.csv").write_bytes(b"good")
    fourth = delivery_of(session, take(session, drop, landing))
    deliveries.accept(session, source, fourth, NOW)
    assert (errors_of(session), source.current_delivery_id) == ([], fourth.id)
    assert deliveries.files_with_error(session, source) is None


def test_an_overdue_set_adds_to_the_errors_of_a_rejected_delivery(
    session: Session, drop: Path, landing: LandingArea
) -> None:
    source = source_of(session)
    first = delivery_of(session, take(session, drop, landing))
    deliveries.reject(session, source, first, file_errors(("students.csv", 2)), NOW)
    deliveries.store_incomplete(session, source, file_errors(("teachers.csv", None)))
    deliveries.store_incomplete(session, source, file_errors(("students.csv", None)))
    assert sorted(errors_of(session), key=str) == [
        ("unified/files", first.id, "students.csv", 2),
        ("unified/files", None, "students.csv", None),
    ]
    assert deliveries.files_with_error(session, source) == frozenset({"students.csv"})
    assert take(session, drop, landing).is_duplicate
    assert errors_of(session) == [("unified/files", first.id, "students.csv", 2)]


def test_lost_or_altered_files_are_refused(session: Session, drop: Path, landing: LandingArea) -> None:
    delivery = delivery_of(session, take(session, drop, landing))
    where = f"students.csv of delivery {delivery.id} in the landing area ({landing.place}/{delivery.path})"
    remedy = "put it back from a backup, or have the files sent again"
    file = f"{delivery.path}/students.csv"
    for content in (b"students.csv as seen", b"students.csv", b""):
        store(landing, file, content)
        with pytest.raises(NotPossible) as raised:
            deliveries.landed_files(landing, delivery)
        assert str(raised.value) == f"{where} has changed since it was received: {remedy}"
    lose(landing, file)
    with pytest.raises(NotPossible) as raised:
        deliveries.landed_files(landing, delivery)
    assert str(raised.value) == f"{where} is lost: {remedy}"
    assert list(landing.scratch.glob(".*")) == []


def test_a_delivery_whose_files_are_lost_is_refused(session: Session, drop: Path, landing: LandingArea) -> None:
    delivery = delivery_of(session, take(session, drop, landing))
    deliveries.accept(session, source_of(session), delivery, NOW)
    deliveries.assert_applicable(delivery, landing=landing)
    for name in ("students.csv", "schools.csv"):
        lose(landing, f"{delivery.path}/{name}")
    with pytest.raises(NotPossible) as raised:
        deliveries.assert_applicable(delivery, landing=landing)
    assert str(raised.value) == (
        f"schools.csv, students.csv of delivery {delivery.id} cannot be found in the landing area ({landing.place}):"
        " have the files sent again"
    )


def test_choosing_an_earlier_delivery(session: Session, drop: Path, landing: LandingArea) -> None:
    source = source_of(session)
    first = delivery_of(session, take(session, drop, landing))
    with pytest.raises(NotPossible, match="not checked yet"):
        deliveries.choose_delivery(session, source, first.id or 0)
    deliveries.accept(session, source, first, NOW)
    (drop / "students.csv").write_bytes(b"another day")
    second = delivery_of(session, take(session, drop, landing))
    deliveries.accept(session, source, second, NOW)
    assert deliveries.choose_delivery(session, source, first.id or 0) is first
    assert (source.current_delivery_id, source.last_delivery_id) == (first.id, second.id)

    deliveries.reject(session, source, second, file_errors(("students.csv", 2)), NOW)
    with pytest.raises(NotPossible, match="was rejected"):
        deliveries.choose_delivery(session, source, second.id or 0)
    with pytest.raises(NotFound, match="there is no delivery 999 of unified/files"):
        deliveries.choose_delivery(session, source, 999)
    with pytest.raises(NotFound, match="of unified/other"):
        deliveries.choose_delivery(session, source_of(session, "other"), first.id or 0)


@pytest.mark.parametrize(("age", "stale"), [(timedelta(days=90), False), (timedelta(days=90, seconds=1), True)])
def test_a_source_is_stale_past_ninety_days(age: timedelta, stale: bool) -> None:
    source = a_source()
    assert not deliveries.is_stale(source, NOW)
    source.last_received_at = NOW - age
    assert deliveries.is_stale(source, NOW) is stale
