"""What may go wrong with a district's files, at its worst: each ends in a hold that names its cause, nothing changed.

Then what somebody would decide about it, and the accounts that come of that, one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import polars as pl
import pytest

from models import bulk
from sandbox import csv_files
from sandbox.csv_files import CsvStyle
from sandbox.days import next_day
from sandbox.generator import District, generate
from services import holds, night, status
from tests.end_to_end.conftest import Installation
from tests.end_to_end.nights import Snapshot, people_of_two_schools, snapshot

SCHOOLS = {"lincoln": "0101", "roosevelt": "0102", "jefferson": "0103"}
Files = dict[str, pl.DataFrame]


@pytest.fixture(scope="module")
def district() -> District:
    return generate(31, schools=3, students=180, teachers=18, classes=36, enrollments=540)


@pytest.fixture
def applied(embedded: Installation, district: District) -> Installation:
    """The installation after a first night."""
    embedded.set_up(unified=SCHOOLS)
    embedded.send(district.csv_files())
    embedded.night()
    assert set(statuses(embedded).values()) == {"connected"}
    return embedded


def statuses(installation: Installation) -> dict[str, str | None]:
    with installation.database.reading() as session:
        return {row.key: row.status for row in status.statuses(session, now=night.clock())}


def send(installation: Installation, files: Mapping[str, pl.DataFrame]) -> None:
    installation.send(csv_files.write_rows(files, CsvStyle()))


def open_holds(installation: Installation) -> dict[str, dict[str, str | None]]:
    """By school, its hold's reasons, each with the cause that is seen."""
    with installation.database.reading() as session:
        return {
            hold.school_key: {reason.code: reason.detail for reason in hold.reasons}
            for hold in holds.open_holds(session)
        }


def confirm(installation: Installation) -> None:
    """Confirm every open hold as it is shown, and let the next run apply it."""
    with installation.database.transaction() as session:
        for hold in holds.open_holds(session):
            holds.decide(session, hold.id, holds.CONFIRM, by="ops", now=night.clock())
    installation.night()


def accounts(installation: Installation, kind: str) -> dict[str, tuple[str, bool]]:
    """By source ID, the account of everybody of a kind, and whether it is active."""
    with installation.database.reading() as session:
        rows = bulk.read(
            session,
            "SELECT l.source_id, l.account_id, l.archived_at IS NULL AND a.archived_at IS NULL AS active"
            " FROM link l JOIN account a ON a.id = l.account_id WHERE l.kind = :kind AND l.source_id IS NOT NULL",
            {"kind": kind},
            {"source_id": pl.String, "account_id": pl.String, "active": pl.Boolean},
        )
    return {source_id: (account_id, active) for source_id, account_id, active in rows.iter_rows()}


def roster(installation: Installation) -> Snapshot:
    """By school, everything stored of it alone but its issues, which are told of a held delivery too."""
    found = snapshot(installation.database, people_of_two_schools(installation.database))
    return {
        school: {table: rows for table, rows in tables.items() if table != "issues"} for school, tables in found.items()
    }


# --- the nightmares -------------------------------------------------------------------------------------------------


def header_only(files: Files, _: District) -> Files:
    return {**files, "students.csv": files["students.csv"].clear()}


def cut_at_half(files: Files, _: District) -> Files:
    students = files["students.csv"]
    return {**files, "students.csv": students.head(students.height // 2)}


def _without_zeros(frame: pl.DataFrame) -> pl.DataFrame:
    ids = [name for name in frame.columns if name.endswith("_id")]
    return frame.with_columns(pl.col(name).str.strip_chars_start("0") for name in ids)


def zeros_lost(files: Files, _: District) -> Files:
    return {name: _without_zeros(frame) for name, frame in files.items()}


def ids_reissued(files: Files, _: District) -> Files:
    new = {"student_id": "N", "teacher_id": "N", "class_id": "N", "guardian_id": "N"}
    return {
        name: frame.with_columns(
            (pl.lit(prefix) + pl.col(column)).alias(column) for column, prefix in new.items() if column in frame.columns
        )
        for name, frame in files.items()
    }


def school_id_changed(files: Files, _: District) -> Files:
    return {
        name: frame.with_columns(pl.col("school_id").replace({"0102": "9902"}))
        if "school_id" in frame.columns
        else frame
        for name, frame in files.items()
    }


def teachers_of_another_district(files: Files, _: District) -> Files:
    other = generate(77, schools=3, students=180, teachers=18, classes=36, enrollments=540, key="elsewhere")
    foreign = csv_files.rows(other)["teachers.csv"].with_columns(teacher_id=pl.lit("X") + pl.col("teacher_id"))
    return {**files, "teachers.csv": foreign}


def teachers_of_another_district_with_the_same_ids(files: Files, _: District) -> Files:
    other = generate(77, schools=3, students=180, teachers=18, classes=36, enrollments=540, key="elsewhere")
    return {**files, "teachers.csv": csv_files.rows(other)["teachers.csv"]}


def no_enrollments(files: Files, _: District) -> Files:
    return {**files, "enrollments.csv": files["enrollments.csv"].clear()}


def guardians_doubled(files: Files, _: District) -> Files:
    students = files["students.csv"]
    again = students.filter(pl.col("guardian_last_name").is_not_null()).with_columns(
        guardian_id=pl.lit("D") + pl.coalesce("guardian_id", "student_id"),
        guardian_first_name=pl.lit("Alias"),
        guardian_last_name=pl.lit("Of") + pl.col("student_id"),
        guardian_email=pl.lit(None, pl.String),
        guardian_phone=pl.format("(206) 555-0{}", pl.col("student_id").str.slice(-3)),
    )
    return {**files, "students.csv": pl.concat([students, again])}


def domain_changed(files: Files, _: District) -> Files:
    return {
        **files,
        **{
            name: files[name].with_columns(pl.col("email").str.replace("@.*$", "@new.example"))
            for name in ("teachers.csv", "students.csv")
        },
    }


def ids_of_two_schools_swapped(files: Files, _: District) -> Files:
    swap = {"0101": "0102", "0102": "0101"}
    return {
        name: frame.with_columns(pl.col("school_id").replace(swap)) if "school_id" in frame.columns else frame
        for name, frame in files.items()
    }


@dataclass(frozen=True)
class Nightmare:
    """What becomes of the files; by school held, the reasons; and words of a cause that some school's hold names."""

    happens: Callable[[Files, District], Files]
    reasons: set[str]
    cause: str


NIGHTMARES = [
    Nightmare(header_only, {"data_removals"}, "students.csv has its header and no rows"),
    Nightmare(cut_at_half, {"data_removals"}, "students.csv has shrunk to"),
    Nightmare(zeros_lost, {"data_removals", "school_missing"}, "lost its leading zeros"),
    Nightmare(ids_reissued, {"data_removals"}, "are there under a new ID"),
    Nightmare(school_id_changed, {"school_missing", "data_removals"}, "9902"),
    Nightmare(teachers_of_another_district, {"data_removals"}, "the file may be another district's"),
    Nightmare(teachers_of_another_district_with_the_same_ids, {"data_removals"}, "belong to other people now"),
    Nightmare(no_enrollments, {"data_removals"}, "enrollments.csv has its header and no rows"),
    Nightmare(guardians_doubled, {"unusual_changes"}, ""),
    Nightmare(domain_changed, {"unusual_changes"}, ""),
    Nightmare(ids_of_two_schools_swapped, {"data_removals"}, "were at"),
]


@pytest.mark.parametrize("nightmare", NIGHTMARES, ids=lambda nightmare: nightmare.happens.__name__)
def test_each_nightmare_ends_in_a_hold_that_names_its_cause_and_changes_nothing(
    applied: Installation, district: District, nightmare: Nightmare
) -> None:
    before = roster(applied)
    files = nightmare.happens(csv_files.rows(district), district)
    send(applied, files)
    applied.night()
    held = open_holds(applied)
    assert held
    assert {code for reasons in held.values() for code in reasons} <= nightmare.reasons
    told = " ".join(cause or "" for reasons in held.values() for cause in reasons.values())
    assert nightmare.cause in told
    after = roster(applied)
    untouched = [school for school in before if school.split("/")[1] in held]
    assert untouched
    assert {school: after[school] for school in untouched} == {school: before[school] for school in untouched}


# --- what somebody decides about them -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "happens",
    [zeros_lost, ids_reissued],
    ids=["zeros lost", "IDs issued anew"],
)
def test_confirmed_new_ids_leave_everybody_their_account(
    applied: Installation, district: District, happens: Callable[[Files, District], Files]
) -> None:
    kinds = ("employee", "student", "guardian")
    before = {kind: {account for account, _ in accounts(applied, kind).values()} for kind in kinds}
    files = happens(csv_files.rows(district), district)
    # The schools' own IDs are the setup file's matter.
    files = {
        name: frame.with_columns(pl.col("school_id").str.zfill(4)) if "school_id" in frame.columns else frame
        for name, frame in files.items()
    }
    send(applied, files)
    applied.night()
    confirm(applied)
    assert open_holds(applied) == {}
    for kind in kinds:
        assert {account for account, active in accounts(applied, kind).values() if active} == before[kind]


@pytest.mark.parametrize(
    ("happens", "kind"),
    [(header_only, "student"), (cut_at_half, "student"), (teachers_of_another_district, "employee")],
    ids=["header only", "cut at half", "another district's teachers"],
)
def test_confirmed_removals_archive_those_shown_and_a_good_delivery_brings_the_same_accounts_back(
    applied: Installation, district: District, happens: Callable[[Files, District], Files], kind: str
) -> None:
    before = accounts(applied, kind)
    files = happens(csv_files.rows(district), district)
    column, file = {"student": ("student_id", "students.csv"), "employee": ("teacher_id", "teachers.csv")}[kind]
    staying = set(files[file][column])
    send(applied, files)
    applied.night()
    confirm(applied)
    assert open_holds(applied) == {}
    archived = {key: (account, key in staying) for key, (account, _) in before.items()}
    after = accounts(applied, kind)
    assert {key: after[key] for key in before} == archived
    send(applied, csv_files.rows(district))
    applied.night()
    confirm(applied)
    back = accounts(applied, kind)
    assert {key: back[key] for key in before} == before


def everybody(installation: Installation) -> dict[str, dict[str, tuple[str, bool]]]:
    return {kind: accounts(installation, kind) for kind in ("employee", "student", "guardian")}


@pytest.mark.parametrize(
    "happens",
    [guardians_doubled, ids_of_two_schools_swapped, domain_changed, no_enrollments, header_only],
    ids=lambda happens: happens.__name__,
)
def test_a_good_delivery_releases_by_itself_and_leaves_every_account_as_it_was(
    applied: Installation, district: District, happens: Callable[[Files, District], Files]
) -> None:
    before = everybody(applied)
    send(applied, happens(csv_files.rows(district), district))
    applied.night()
    assert open_holds(applied)
    send(applied, csv_files.rows(district))
    applied.night()
    assert open_holds(applied) == {}
    after = everybody(applied)
    assert {kind: {key: after[kind][key] for key in known} for kind, known in before.items()} == before


def test_a_school_under_a_new_id_goes_on_once_the_setup_file_says_so(applied: Installation, district: District) -> None:
    before = everybody(applied)
    send(applied, school_id_changed(csv_files.rows(district), district))
    applied.night()
    assert "school_missing" in open_holds(applied)["roosevelt"]
    applied.set_up(unified=SCHOOLS | {"roosevelt": "9902"})
    applied.night()
    assert open_holds(applied) == {}
    assert everybody(applied) == before


def test_no_enrollments_confirmed_empties_the_classes_and_nothing_else(
    applied: Installation, district: District
) -> None:
    before = everybody(applied)
    send(applied, no_enrollments(csv_files.rows(district), district))
    applied.night()
    confirm(applied)
    assert open_holds(applied) == {}
    assert everybody(applied) == before
    wanted = expected(district)
    led = {pair for pair in wanted["class_members"] if pair[1] == "employee"}
    assert active(applied) == {**wanted, "class_members": led}


def test_a_changed_domain_confirmed_gives_everybody_the_new_address(applied: Installation, district: District) -> None:
    send(applied, domain_changed(csv_files.rows(district), district))
    applied.night()
    confirm(applied)
    assert open_holds(applied) == {}
    with applied.database.reading() as session:
        rows = bulk.read(
            session,
            "SELECT a.email FROM account a JOIN link l ON l.account_id = a.id WHERE l.kind = 'employee'",
            {},
            {"email": pl.String},
        )
    assert rows["email"].str.ends_with("@new.example").all()


def _without_most_of(district: District, school: str) -> District:
    """The district as an export gives it that lacks most of the students of one school."""
    there = district.school_members.filter((pl.col("kind") == "student") & (pl.col("school_id") == school))
    only_here = there.join(district.school_members.filter(pl.col("school_id") != school), on="person", how="anti")
    lost = only_here["person"].sort().slice(5).implode()
    return replace(
        district,
        people=district.people.filter(~pl.col("person").is_in(lost)),
        school_members=district.school_members.filter(~pl.col("person").is_in(lost)),
        class_members=district.class_members.filter(~pl.col("person").is_in(lost)),
        guardianships=district.guardianships.filter(~pl.col("student").is_in(lost)),
    )


def test_a_school_held_for_a_month_while_the_others_go_on_is_right_once_it_is_released(
    embedded: Installation, tmp_path_factory: pytest.TempPathFactory
) -> None:
    day = generate(32, schools=3, students=75, teachers=9, classes=18, enrollments=225)
    embedded.set_up(unified=SCHOOLS)
    embedded.send(day.csv_files())
    embedded.night()
    as_it_was = snapshot(embedded.database)["unified/jefferson"]
    for number in range(1, 31):
        day = next_day(day, number, joined=2, left=1, changed=3)
        embedded.send(_without_most_of(day, "0103").csv_files())
        embedded.night()
        assert statuses(embedded) == {"lincoln": "connected", "roosevelt": "connected", "jefferson": "on_hold"}
    held = snapshot(embedded.database)["unified/jefferson"]
    assert {table: held[table] for table in ("members", "classes")} == {
        table: as_it_was[table] for table in ("members", "classes")
    }
    embedded.send(day.csv_files())
    embedded.night()
    assert set(statuses(embedded).values()) == {"connected"}
    assert open_holds(embedded) == {}
    assert active(embedded) == expected(day)


def active(installation: Installation) -> dict[str, set[tuple[str, ...]]]:
    """Who and what is active, by source IDs."""
    queries = {
        "members": "SELECT s.source_school_id, l.kind, l.source_id FROM school_membership m"
        " JOIN link l ON l.id = m.link_id JOIN school s ON s.id = m.school_id WHERE m.active",
        "classes": "SELECT s.source_school_id, 'class', c.source_id FROM class c JOIN school s ON s.id = c.school_id"
        " WHERE c.archived_at IS NULL",
        "class_members": "SELECT c.source_id, l.kind, l.source_id FROM class_membership m"
        " JOIN class c ON c.id = m.class_id JOIN link l ON l.id = m.link_id WHERE m.active AND c.archived_at IS NULL",
    }
    schema = dict.fromkeys(("one", "two", "three"), pl.String)
    with installation.database.reading() as session:
        return {name: set(bulk.read(session, sql, {}, schema).iter_rows()) for name, sql in queries.items()}


def expected(district: District) -> dict[str, set[tuple[str, ...]]]:
    """The same of an invented district."""
    people = district.people.select("person", "kind", "source_id")
    members = district.school_members.select("person", "school_id").join(people, on="person")
    in_class = district.class_members.join(people, on="person")
    return {
        "members": set(members.select("school_id", "kind", "source_id").iter_rows()),
        "classes": set(district.classes.select("school_id", pl.lit("class"), "source_id").iter_rows()),
        "class_members": set(in_class.select("class_id", "kind", "source_id").iter_rows()),
    }
