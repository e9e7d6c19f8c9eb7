"""What may go wrong with a district's files, at its worst: each ends in a hold that names its cause, nothing changed.

Then what somebody would decide about it, and the accounts that come of that, one by one.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import pytest

from models import bulk
from models.database import Database, open_database
from sandbox import csv_files
from sandbox.csv_files import CsvStyle
from sandbox.days import next_day
from sandbox.generator import District, generate
from services import clock
from services.holds import decisions, store
from services.status import sync_status
from tests.end_to_end.conftest import Installation
from tests.end_to_end.nights import snapshot

pytestmark = pytest.mark.journeys

SCHOOLS = {"lincoln": "0101", "roosevelt": "0102", "jefferson": "0103"}
ALL = set(SCHOOLS)
Files = dict[str, pl.DataFrame]
Everybody = dict[str, dict[str, tuple[str, bool]]]  # kind -> external ID -> account, and whether it is active


@pytest.fixture(scope="module")
def district() -> District:
    return generate(31, schools=3, students=180, teachers=18, classes=36, enrollments=540)


@pytest.fixture(scope="module")
def first_night(district: District, embedded_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an installation after its first night, to copy: `rollcall.sqlite` and the landing area."""
    folder = tmp_path_factory.mktemp("first_night")
    shutil.copy(embedded_template, folder / "rollcall.sqlite")
    with open_database(f"sqlite:///{folder}/rollcall.sqlite", backups=None) as database:
        installation = Installation(folder, database)
        installation.set_up(unified=SCHOOLS)
        installation.send(district.csv_files())
        installation.night()
        assert set(statuses(installation).values()) == {"connected"}
    return folder


@pytest.fixture
def applied(first_night: Path, tmp_path: Path) -> Iterator[Installation]:
    """The installation after a first night."""
    shutil.copytree(first_night, tmp_path, dirs_exist_ok=True)
    with open_database(f"sqlite:///{tmp_path}/rollcall.sqlite", backups=None) as database:
        installation = Installation(tmp_path, database)
        installation.set_up(unified=SCHOOLS)
        yield installation


def statuses(installation: Installation) -> dict[str, str | None]:
    with installation.database.reading() as session:
        return {row.key: row.status for row in sync_status.statuses(session, now=clock.now())}


def send(installation: Installation, files: Mapping[str, pl.DataFrame]) -> None:
    installation.send(csv_files.write_rows(files, CsvStyle()))


def open_holds(installation: Installation) -> dict[str, dict[str, str | None]]:
    """By school, its hold's reasons, each with the cause that is seen."""
    with installation.database.reading() as session:
        return {
            hold.school_key: {reason.code: reason.detail for reason in hold.reasons}
            for hold in store.open_holds(session)
        }


def everybody(installation: Installation) -> Everybody:
    """The account of everybody who has an external ID, and whether it is active."""
    found: Everybody = {"employee": {}, "student": {}, "guardian": {}}
    with installation.database.reading() as session:
        rows = bulk.read(
            session,
            "SELECT l.kind, l.external_id, l.account_id, l.archived_at IS NULL AND a.archived_at IS NULL AS active"
            " FROM link l JOIN account a ON a.id = l.account_id WHERE l.external_id IS NOT NULL",
            {},
            {"kind": pl.String, "external_id": pl.String, "account_id": pl.String, "active": pl.Boolean},
        )
    for kind, external_id, account_id, active in rows.iter_rows():
        found[kind][external_id] = (account_id, active)
    return found


def emails(installation: Installation, kind: str) -> dict[str, str | None]:
    """By external ID, the email of the account."""
    with installation.database.reading() as session:
        rows = bulk.read(
            session,
            "SELECT l.external_id, a.email FROM link l JOIN account a ON a.id = l.account_id WHERE l.kind = :kind",
            {"kind": kind},
            {"external_id": pl.String, "email": pl.String},
        )
    return dict(rows.iter_rows())


def names(database: Database) -> dict[str, tuple[str, str, bool]]:
    """By account, the name, and whether it is active."""
    with database.reading() as session:
        rows = bulk.read(
            session,
            "SELECT id, first_name, last_name, archived_at IS NULL AS active FROM account",
            {},
            {"id": pl.String, "first_name": pl.String, "last_name": pl.String, "active": pl.Boolean},
        )
    return {account_id: (first, last, active) for account_id, first, last, active in rows.iter_rows()}


def guarded(installation: Installation) -> dict[str, set[str]]:
    """By the guardian's account, the external IDs of their students."""
    with installation.database.reading() as session:
        rows = bulk.read(
            session,
            "SELECT g.account_id, s.external_id FROM guardianship p JOIN link s ON s.id = p.student_link_id"
            " JOIN link g ON g.id = p.guardian_link_id WHERE p.active",
            {},
            {"guardian": pl.String, "student": pl.String},
        )
    found: dict[str, set[str]] = {}
    for guardian, student in rows.iter_rows():
        found.setdefault(guardian, set()).add(student)
    return found


ROSTER = ("account", "link", "school_membership", "class", "class_membership", "guardianship")


def roster(installation: Installation, going_on: frozenset[str] = frozenset()) -> dict[str, list[tuple[object, ...]]]:
    """Every row of the roster tables, whole, but for the people of a school that goes on and is changed."""
    with installation.database.reading() as session:
        connection = session.connection()
        elsewhere = connection.exec_driver_sql(
            "SELECT l.id, l.account_id, s.key FROM link l JOIN school_membership m ON m.link_id = l.id"
            " JOIN school s ON s.id = m.school_id"
        )
        written = {key for *keys, school in elsewhere if school in going_on for key in keys}
        return {
            table: [
                tuple(row)
                for row in connection.exec_driver_sql(f"SELECT * FROM {table} ORDER BY id")
                if row[0] not in written
            ]
            for table in ROSTER
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
    new = {"student_id": "N", "user_id": "N", "teacher_id": "N", "class_id": "N", "guardian_id": "N"}
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
    """Another guardian for every student who has some, under another ID, name and telephone."""
    students = files["students.csv"]
    again = students.filter(pl.col("guardian_last_name").is_not_null()).with_columns(
        guardian_id=pl.lit("D") + pl.col("student_id"),
        guardian_first_name=pl.lit("Alias"),
        guardian_last_name=pl.lit("Of") + pl.col("student_id"),
        guardian_email=pl.lit(None, pl.String),
        guardian_phone=pl.format("(206) 555-0{}", pl.col("student_id").str.slice(-3)),
    )
    return {**files, "students.csv": pl.concat([students, again])}


def guardians_twice(files: Files, _: District) -> Files:
    """The same people under a second ID, with the telephone at work."""
    students = files["students.csv"]
    again = students.filter(pl.col("guardian_last_name").is_not_null()).with_columns(
        guardian_id=pl.lit("D") + pl.coalesce("guardian_id", "student_id"),
        guardian_email=pl.lit(None, pl.String),
        guardian_phone=pl.format("(206) 555-0{}", pl.col("student_id").str.slice(-3)),
    )
    return {**files, "students.csv": pl.concat([students, again])}


def guardians_not_exported(files: Files, _: District) -> Files:
    """The columns are there, and nothing is in them: columns that are missing would say nothing."""
    students = files["students.csv"]
    emptied = [pl.lit(None, pl.String).alias(name) for name in students.columns if name.startswith("guardian_")]
    return {**files, "students.csv": students.with_columns(emptied)}


def names_exchanged(files: Files, _: District) -> Files:
    students = files["students.csv"]
    first, last = "student_first_name", "student_last_name"
    return {**files, "students.csv": students.with_columns(pl.col(first).alias(last), pl.col(last).alias(first))}


def domain_changed(files: Files, _: District) -> Files:
    return {
        **files,
        **{
            name: files[name].with_columns(pl.col(column).str.replace("@.*$", "@new.example"))
            for name, column in (("teachers.csv", "teacher_email"), ("students.csv", "student_email"))
        },
    }


def ids_of_two_schools_swapped(files: Files, _: District) -> Files:
    swap = {"0101": "0102", "0102": "0101"}
    return {
        name: frame.with_columns(pl.col("school_id").replace(swap)) if "school_id" in frame.columns else frame
        for name, frame in files.items()
    }


# --- what somebody decides about them -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Morning:
    """What somebody decides with: the installation with its holds, the files, everybody and their families before."""

    installation: Installation
    district: District
    files: Files
    before: Everybody
    families: dict[str, set[str]]

    def confirm(self) -> Everybody:
        """Everybody once every hold is confirmed as it is shown."""
        with self.installation.database.transaction() as session:
            for hold in store.open_holds(session):
                decisions.decide(session, hold.id, decisions.CONFIRM, by="ops", now=clock.now())
        self.installation.night()
        assert open_holds(self.installation) == {}
        return everybody(self.installation)

    def send_again(self, *, releases: bool = False) -> Everybody:
        """Everybody after a good delivery, which releases by itself, or else is confirmed as it is shown."""
        send(self.installation, csv_files.rows(self.district))
        self.installation.night()
        assert bool(open_holds(self.installation)) != releases
        return everybody(self.installation) if releases else self.confirm()


def archived(people: Mapping[str, tuple[str, bool]], staying: set[str]) -> dict[str, tuple[str, bool]]:
    return {external_id: (account, external_id in staying) for external_id, (account, _) in people.items()}


def archived_guardians(morning: Morning, students: set[str]) -> dict[str, tuple[str, bool]]:
    """The guardians, those gone who have none of these students."""
    return {
        external_id: (account, not morning.families[account].isdisjoint(students))
        for external_id, (account, _) in morning.before["guardian"].items()
    }


def fewer_students(morning: Morning) -> None:
    """Confirmed, those not listed go, with the guardians left without any; and come back with the next export."""
    staying = set(morning.files["students.csv"]["student_id"])
    assert morning.confirm() == {
        "employee": morning.before["employee"],
        "student": archived(morning.before["student"], staying),
        "guardian": archived_guardians(morning, staying),
    }
    assert morning.send_again(releases=True) == morning.before


def same_people_by_new_ids(morning: Morning) -> None:
    """Everybody keeps the account, under the new ID."""
    known = set(morning.district.of_kind("guardian")["external_id"].drop_nulls())
    assert morning.confirm() == {
        kind: {f"N{key}" if kind != "guardian" or key in known else key: value for key, value in people.items()}
        for kind, people in morning.before.items()
    }


def schools_then_people_without_zeros(morning: Morning) -> None:
    """The schools' IDs are the setup file's matter; then the people's are confirmed."""
    morning.installation.set_up(unified={key: external_id.lstrip("0") for key, external_id in SCHOOLS.items()})
    morning.installation.night()
    assert open_holds(morning.installation) == {
        key: {"data_removals": ZEROS.format(f"{count} students")}
        for key, count in (("lincoln", 64), ("roosevelt", 61), ("jefferson", 61))
    }
    students = {key.lstrip("0"): value for key, value in morning.before["student"].items()}
    assert morning.confirm() == {**morning.before, "student": students}


def school_set_up_under_its_new_id(morning: Morning) -> None:
    morning.installation.set_up(unified=SCHOOLS | {"roosevelt": "9902"})
    morning.installation.night()
    assert open_holds(morning.installation) == {}
    assert everybody(morning.installation) == morning.before


def schools_set_up_under_each_others_ids(morning: Morning) -> None:
    as_it_was = active(morning.installation)
    morning.installation.set_up(unified=SCHOOLS | {"lincoln": "0102", "roosevelt": "0101"})
    morning.installation.night()
    assert open_holds(morning.installation) == {}
    assert everybody(morning.installation) == morning.before
    other = {"0101": "0102", "0102": "0101", "0103": "0103"}
    moved = {name: {(other[school], *rest) for school, *rest in as_it_was[name]} for name in ("members", "classes")}
    assert active(morning.installation) == {**as_it_was, **moved}


def other_teachers(morning: Morning) -> None:
    """Confirmed, the one file's come and the other's go; and the other way round."""
    theirs = set(morning.files["teachers.csv"]["teacher_id"])
    after = morning.confirm()
    assert {**after, "employee": {}} == {**morning.before, "employee": {}}
    new = {key: value for key, value in after["employee"].items() if key not in morning.before["employee"]}
    assert {key: active for key, (_, active) in new.items()} == dict.fromkeys(theirs, True)
    assert after["employee"] == {**archived(morning.before["employee"], set()), **new}
    again = morning.send_again()
    assert again == {**morning.before, "employee": {**morning.before["employee"], **archived(new, set())}}


def other_teachers_of_the_same_ids(morning: Morning) -> None:
    """Confirmed, they are other people: nobody's account gets another name."""
    named = names(morning.installation.database)
    after = morning.confirm()
    assert {**after, "employee": {}} == {**morning.before, "employee": {}}
    assert set(after["employee"]) == set(morning.before["employee"])
    old = {account for account, _ in morning.before["employee"].values()}
    new = {account for account, _ in after["employee"].values()}
    assert (len(new), old & new) == (18, set())
    now = names(morning.installation.database)
    assert {account: now[account] for account in named} == {
        account: (first, last, account not in old) for account, (first, last, _) in named.items()
    }
    assert {now[account][2] for account in new} == {True}


def nobody_in_classes(morning: Morning) -> None:
    """Confirmed, the classes are empty, and nothing else has changed."""
    as_it_was = active(morning.installation)
    assert morning.confirm() == morning.before
    led = {pair for pair in as_it_was["class_members"] if pair[1] == "employee"}
    assert active(morning.installation) == {**as_it_was, "class_members": led}
    assert morning.send_again(releases=True) == morning.before
    assert active(morning.installation) == as_it_was


def more_guardians(morning: Morning) -> None:
    """Confirmed, they get accounts of their own; and lose them with the next export."""
    after = morning.confirm()
    new = {key: value for key, value in after["guardian"].items() if key not in morning.before["guardian"]}
    listed = morning.files["students.csv"]["guardian_id"].drop_nulls()
    assert {key: active for key, (_, active) in new.items()} == dict.fromkeys(
        listed.filter(listed.str.starts_with("D")), True
    )
    assert {account for account, _ in new.values()}.isdisjoint(morning.families)
    assert after == {**morning.before, "guardian": {**morning.before["guardian"], **new}}
    assert morning.send_again() == {
        **morning.before,
        "guardian": {**morning.before["guardian"], **archived(new, set())},
    }


def no_guardians(morning: Morning) -> None:
    """Confirmed, all of them go, and are back with the next export."""
    assert morning.confirm() == {**morning.before, "guardian": archived(morning.before["guardian"], set())}
    assert morning.send_again(releases=True) == morning.before


def new_addresses(morning: Morning) -> None:
    """Confirmed, everybody has the new address in the same account."""
    assert morning.confirm() == morning.before
    for kind in ("employee", "student"):
        was = dict(morning.district.of_kind(kind).select("external_id", "email").iter_rows())
        assert emails(morning.installation, kind) == {
            external_id: email and f"{email.partition('@')[0]}@new.example" for external_id, email in was.items()
        }


def sent_right(morning: Morning) -> None:
    """Nobody confirms it: the next export is right, and releases by itself."""
    as_it_was = roster(morning.installation)
    assert morning.send_again(releases=True) == morning.before
    assert roster(morning.installation) == as_it_was


# --- the nightmares, one by one ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Nightmare:
    """What becomes of the files, the schools held, the first one's reasons and causes, and what is done about it.

    going_on: schools that are not held and change.
    """

    happens: Callable[[Files, District], Files]
    held: set[str]
    told: dict[str, str | None]
    decided: Callable[[Morning], None]
    going_on: frozenset[str] = frozenset()


SPREADSHEET = "as happens when a file is opened and saved in a spreadsheet"
ZEROS = f"The IDs of {{}} have lost their leading zeros, {SPREADSHEET}."
NIGHTMARES = [
    Nightmare(
        header_only,
        ALL,
        {"data_removals": "students.csv has its header and no rows; in the delivery applied last it had 310."},
        fewer_students,
    ),
    Nightmare(
        cut_at_half,
        ALL,
        {"data_removals": "students.csv has shrunk to 155 rows; in the delivery applied last it had 310."},
        fewer_students,
    ),
    Nightmare(
        zeros_lost,
        ALL,
        {
            "data_removals": ZEROS.format("64 students"),
            "school_missing": "The school seems to have another ID: 101 in place of 0101, which has lost its leading"
            f" zeros, {SPREADSHEET}.",
        },
        schools_then_people_without_zeros,
    ),
    Nightmare(
        ids_reissued,
        ALL,
        {
            "data_removals": "New IDs were given to 64 students, 6 employees and 12 classes. We recognize them; the"
            " list shows the old and the new ID of each."
        },
        same_people_by_new_ids,
    ),
    Nightmare(
        school_id_changed,
        {"roosevelt"},
        {
            "data_removals": None,
            "school_missing": "The school seems to have another ID: 68 of its 68 people are at 9902 now.",
        },
        school_set_up_under_its_new_id,
    ),
    Nightmare(
        teachers_of_another_district,
        ALL,
        {
            "data_removals": "Of the 18 employees of the whole delivery none is known in the district: the file may be"
            " another district's."
        },
        other_teachers,
    ),
    Nightmare(
        teachers_of_another_district_with_the_same_ids,
        ALL,
        {
            "data_removals": "The IDs of 6 employees belong to other people now: the file may be another district's or"
            " another school's."
        },
        other_teachers_of_the_same_ids,
    ),
    Nightmare(
        no_enrollments,
        ALL,
        {"data_removals": "enrollments.csv has its header and no rows; in the delivery applied last it had 540."},
        nobody_in_classes,
    ),
    Nightmare(
        guardians_doubled,
        ALL,
        {
            "unusual_changes": "64 students who were here before would have more guardians, in all the school 168 in"
            " place of 104: guardians may be in the data twice, or contacts who are none among them."
        },
        more_guardians,
    ),
    Nightmare(
        guardians_twice,
        ALL,
        {
            "unusual_changes": "98 of the 98 guardians added to students have the name, email address or phone number"
            " of a guardian whom the student has already: guardians seem to be in the data twice, under another ID.",
            "too_many_guardians": "2 of 2 students would have fewer than six guardians, if those of the same name"
            " counted once: guardians seem to be in the data twice, under another ID.",
        },
        sent_right,
    ),
    Nightmare(
        guardians_not_exported,
        ALL,
        {
            "data_removals": "No guardians are listed for any student of this school anymore; there were 94: they may"
            " no longer be exported or shared."
        },
        no_guardians,
    ),
    Nightmare(
        domain_changed,
        {"lincoln", "roosevelt"},
        {
            "unusual_changes": "42 of 64 students get an email address at new.example in place of the one at"
            " students.district31.example."
        },
        new_addresses,
        going_on=frozenset({"jefferson"}),  # few of its students have an address
    ),
    Nightmare(
        names_exchanged,
        ALL,
        {
            "unusual_changes": "64 of the 64 new last names of students are what their first names were: the columns"
            " may have changed places."
        },
        sent_right,
    ),
    Nightmare(
        ids_of_two_schools_swapped,
        {"lincoln", "roosevelt"},
        {
            "data_removals": "Of the 61 students listed for this school 61 were at roosevelt until now: the data may be"
            " that school's."
        },
        schools_set_up_under_each_others_ids,
    ),
]


@pytest.mark.parametrize("nightmare", NIGHTMARES, ids=lambda nightmare: nightmare.happens.__name__)
def test_each_nightmare_ends_in_a_hold_that_names_its_cause_and_in_what_is_decided(
    applied: Installation, district: District, nightmare: Nightmare
) -> None:
    before, people, families = roster(applied, nightmare.going_on), everybody(applied), guarded(applied)
    files = nightmare.happens(csv_files.rows(district), district)
    send(applied, files)
    applied.night()
    held = open_holds(applied)
    assert set(held) == nightmare.held
    assert held[next(key for key in SCHOOLS if key in held)] == nightmare.told
    assert roster(applied, nightmare.going_on) == before
    nightmare.decided(Morning(applied, district, files, people, families))


def test_people_of_two_schools_confirmed_as_swapped_change_places_and_keep_their_accounts(
    applied: Installation, district: District
) -> None:
    people, families = everybody(applied), guarded(applied)
    files = ids_of_two_schools_swapped(csv_files.rows(district), district)
    send(applied, files)
    applied.night()
    assert Morning(applied, district, files, people, families).confirm() == people
    other = {"0101": "0102", "0102": "0101", "0103": "0103"}
    wanted = expected(district)
    moved = {name: {(other[school], *rest) for school, *rest in wanted[name]} for name in ("members", "classes")}
    assert active(applied) == {**wanted, **moved}


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


def test_a_school_held_for_a_month_of_school_days_while_another_goes_on_is_right_once_it_is_released(
    embedded: Installation,
) -> None:
    day = generate(32, schools=2, students=50, teachers=6, classes=12, enrollments=150)
    embedded.set_up(unified={"lincoln": "0101", "roosevelt": "0102"})
    embedded.send(day.csv_files())
    embedded.night()
    as_it_was = snapshot(embedded.database)["unified/roosevelt"]
    for number in range(1, 23):
        day = next_day(day, number, joined=2, left=1, changed=3)
        embedded.send(_without_most_of(day, "0102").csv_files())
        embedded.night()
        assert statuses(embedded) == {"lincoln": "connected", "roosevelt": "on_hold"}
    held = snapshot(embedded.database)["unified/roosevelt"]
    assert {table: held[table] for table in ("members", "classes")} == {
        table: as_it_was[table] for table in ("members", "classes")
    }
    embedded.send(day.csv_files())
    embedded.night()
    assert set(statuses(embedded).values()) == {"connected"}
    assert open_holds(embedded) == {}
    assert active(embedded) == expected(day)


def active(installation: Installation) -> dict[str, set[tuple[str, ...]]]:
    """Who and what is active, by external IDs."""
    queries = {
        "members": "SELECT s.external_id, l.kind, l.external_id FROM school_membership m"
        " JOIN link l ON l.id = m.link_id JOIN school s ON s.id = m.school_id WHERE m.active",
        "classes": "SELECT s.external_id, 'class', c.external_id FROM class c JOIN school s ON s.id = c.school_id"
        " WHERE c.archived_at IS NULL",
        "class_members": "SELECT c.external_id, l.kind, l.external_id FROM class_membership m"
        " JOIN class c ON c.id = m.class_id JOIN link l ON l.id = m.link_id WHERE m.active AND c.archived_at IS NULL",
    }
    schema = dict.fromkeys(("one", "two", "three"), pl.String)
    with installation.database.reading() as session:
        return {name: set(bulk.read(session, sql, {}, schema).iter_rows()) for name, sql in queries.items()}


def expected(district: District) -> dict[str, set[tuple[str, ...]]]:
    """The same of an invented district."""
    people = district.people.select("person", "kind", "external_id")
    members = district.school_members.select("person", "school_id").join(people, on="person")
    in_class = district.class_members.join(people, on="person")
    return {
        "members": set(members.select("school_id", "kind", "external_id").iter_rows()),
        "classes": set(district.classes.select("school_id", pl.lit("class"), "external_id").iter_rows()),
        "class_members": set(in_class.select("class_id", "kind", "external_id").iter_rows()),
    }
