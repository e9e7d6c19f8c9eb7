"""Whole nights around what people did of their own accord: edits, leaving a class, leaving the organization."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import polars as pl
import pytest

from models import bulk
from models.database import Database, open_database
from models.outcomes import RunOutcome
from services import accounts, clock, districts
from services.intake.adapters.csv_drop_folder import CsvDropFolder
from services.intake.landing_area import LandingArea
from services.status.report import district_report
from services.sync import leases, pipeline, planning, requests
from services.sync.provision import SchoolResult
from tests.end_to_end.conftest import Installation
from tests.setups import look_into_copies

pytestmark = pytest.mark.journeys

Files = Callable[..., dict[str, bytes]]
TWO = {"lincoln": "1", "adams": "2"}
ADA = ("t1", "1", "Ada", "Stone", "ada@schools.example")
MAX = ("t2", "1", "Max", "Reed", "max@schools.example")
NOBODY = ("",) * 5
KATE = ("g1", "Kate", "Moss", "kate@home.example", "")
LEE = ("s1", "1", "Lee", "Moss", "lee@schools.example", *KATE)
KIM = ("s2", "2", "Kim", "Moss", "", *KATE)
KIDS = [(f"k{row}", "1", "Kid", f"Of{row}", "", *NOBODY) for row in range(30)]
CLASSES = [("c1", "1", "Art", "t1"), ("c2", "1", "Music", "t2")]
ENROLLED = [("c1", "s1"), ("c2", "s1"), ("c1", "k1"), ("c2", "k1")]


def with_changes(csv_files: Files, **others: object) -> dict[str, bytes]:
    """The district's files, with what is to be otherwise."""
    rows = {"teachers": [ADA, MAX], "students": [LEE, KIM, *KIDS], "classes": CLASSES, "enrollments": ENROLLED}
    return csv_files(**{**rows, **others})


@pytest.fixture
def files(csv_files: Files) -> Files:
    return partial(with_changes, csv_files)


@pytest.fixture
def anywhere(installation: Installation, files: Files) -> Installation:
    """After a first night, on each kind of database: for what is written, not only planned."""
    installation.set_up(unified=TWO)
    installation.send(files())
    installation.night()
    return installation


@pytest.fixture(scope="module")
def first_night(tmp_path_factory: pytest.TempPathFactory, embedded_template: Path, csv_files: Files) -> Path:
    folder = tmp_path_factory.mktemp("first")
    shutil.copy(embedded_template, folder / "rollcall.sqlite")
    with open_database(f"sqlite:///{folder / 'rollcall.sqlite'}", backups=None) as database:
        made = Installation(folder, database)
        made.set_up(unified=TWO)
        made.send(with_changes(csv_files))
        made.night()
    return folder


@pytest.fixture
def started(first_night: Path, tmp_path: Path) -> Iterator[Installation]:
    """The same, copied, on SQLite: for what the plan decides."""
    shutil.copytree(first_night, tmp_path, dirs_exist_ok=True)
    with open_database(f"sqlite:///{tmp_path / 'rollcall.sqlite'}", backups=None) as database:
        look_into_copies(database, first_night, tmp_path)
        yield Installation(tmp_path, database)


def account_of(database: Database, external_id: str) -> str:
    with database.reading() as session:
        sql = "SELECT account_id FROM link WHERE external_id = :id"
        return str(bulk.read(session, sql, {"id": external_id}, {"id": pl.String}).item())


def class_of(database: Database, external_id: str) -> str:
    with database.reading() as session:
        sql = "SELECT id FROM class WHERE external_id = :id"
        return str(bulk.read(session, sql, {"id": external_id}, {"id": pl.String}).item())


def leave(installation: Installation, external_id: str) -> None:
    database = installation.database
    with database.transaction() as session:
        accounts.leave_organization(session, "unified", account_of(database, external_id), now=clock.now())


def leave_class(installation: Installation, class_id: str, external_id: str) -> None:
    database = installation.database
    with database.transaction() as session:
        accounts.leave_class(session, class_of(database, class_id), account_of(database, external_id), now=clock.now())


def enforce(installation: Installation, enforced: bool) -> None:
    with installation.database.transaction() as session:
        accounts.set_enforcement(session, "unified", enforced)


def here(database: Database) -> set[str]:
    """The external IDs of the active links, but for the many kids."""
    with database.reading() as session:
        sql = "SELECT external_id FROM link WHERE archived_at IS NULL AND external_id NOT LIKE 'k%'"
        return set(bulk.read(session, sql, {}, {"id": pl.String})["id"].to_list())


def in_class(database: Database, external_id: str) -> list[str]:
    """The classes somebody is in."""
    with database.reading() as session:
        sql = (
            "SELECT c.external_id FROM class_membership m JOIN class c ON c.id = m.class_id"
            " JOIN link l ON l.id = m.link_id WHERE m.active AND l.external_id = :id ORDER BY 1"
        )
        return bulk.read(session, sql, {"id": external_id}, {"id": pl.String})["id"].to_list()


def email_of(database: Database, external_id: str) -> str | None:
    with database.reading() as session:
        sql = "SELECT email FROM account WHERE id = :id"
        found = bulk.read(session, sql, {"id": account_of(database, external_id)}, {"email": pl.String})
    email: str | None = found.item()
    return email


def done(outcomes: list[SchoolResult]) -> dict[str, dict[str, int]]:
    """What was changed, by school."""
    assert {outcome.outcome for outcome in outcomes} <= {"applied", "unchanged"}
    return {outcome.school_id.split("/")[1]: dict(outcome.counts) for outcome in outcomes if outcome.counts}


def issues(database: Database) -> list[tuple[object, ...]]:
    with database.reading() as session:
        sql = "SELECT code, school_id, record_id FROM issue ORDER BY 1, 2, 3"
        schema = {"code": pl.String, "school": pl.String, "record": pl.String}
        return bulk.read(session, sql, {}, schema).rows()


def test_an_edit_is_kept_until_the_sis_value_itself_changes(anywhere: Installation, files: Files) -> None:
    with anywhere.database.transaction() as session:
        ada = account_of(anywhere.database, "t1")
        accounts.edit_account(session, ada, email="ada@home.example", first_name="Adele", phone="202 555 0144")
    assert anywhere.night(delivery=1) == []
    # Another field changes, and the edited ones do not.
    anywhere.send(files(teachers=[(*ADA[:3], "Stone-Moss", ADA[4]), MAX]))
    anywhere.night()
    with anywhere.database.reading() as session:
        kept = bulk.read(
            session,
            "SELECT first_name, last_name, email, phone FROM account WHERE id = :id",
            {"id": ada},
            dict.fromkeys(("first", "last", "email", "phone"), pl.String),
        ).row(0)
    assert kept == ("Adele", "Stone-Moss", "ada@home.example", "+12025550144")
    anywhere.send(files(teachers=[(*ADA[:4], "stone@schools.example"), MAX]))
    anywhere.night()
    assert email_of(anywhere.database, "t1") == "stone@schools.example"
    assert anywhere.night(delivery=3) == []


def test_who_left_stays_gone_and_makes_no_school_busy(started: Installation, files: Files) -> None:
    before = issues(started.database)
    leave(started, "s1")
    assert here(started.database) == {"t1", "t2", "s2", "g1"}
    with started.database.reading() as session:
        (report,) = district_report(session, "unified", now=clock.now())
    assert {row.key: row.students for row in report.schools} == {"lincoln": 30, "adams": 1}
    assert started.night(delivery=1) == []
    # Nor by any news of them.
    started.send(files(students=[(*LEE[:2], "Leopold", *LEE[3:]), KIM, *KIDS]))
    assert done(started.night()) == {}
    assert here(started.database) == {"t1", "t2", "s2", "g1"}
    assert issues(started.database) == before


def test_an_id_of_one_who_left_may_vanish_and_return(started: Installation, files: Files) -> None:
    leave(started, "s1")
    started.send(files(students=[KIM, *KIDS], enrollments=ENROLLED[2:]))
    assert done(started.night()) == {}
    started.send(files())
    assert done(started.night()) == {}
    assert here(started.database) == {"t1", "t2", "s2", "g1"}


def test_who_left_stays_gone_under_a_new_id_and_comes_back_with_it(started: Installation, files: Files) -> None:
    former = account_of(started.database, "s1")
    leave(started, "s1")
    started.send(files(students=[("n1", *LEE[1:]), KIM, *KIDS], enrollments=[("c1", "n1"), *ENROLLED[2:]]))
    assert done(started.night()) == {}
    assert here(started.database) == {"t1", "t2", "s2", "g1"}
    assert started.night(delivery=2) == []
    enforce(started, True)
    returned = done(started.night(delivery=2))["lincoln"]
    assert returned == {
        "students_reactivate": 1,
        "student_class_memberships_reactivate": 1,
        "guardianships_reactivate": 1,
    }
    assert here(started.database) == {"t1", "t2", "n1", "s2", "g1"}
    assert account_of(started.database, "n1") == former
    assert in_class(started.database, "n1") == ["c1"]
    assert started.night(delivery=2) == []


def test_another_person_under_the_id_of_one_who_left_is_a_new_account(started: Installation, files: Files) -> None:
    former = account_of(started.database, "s1")
    leave(started, "s1")
    other = ("s1", "1", "Pat", "Reed", "", *NOBODY)
    started.send(files(students=[other, KIM, *KIDS]))
    assert done(started.night()) == {"lincoln": {"students_create": 1, "student_class_memberships_create": 2}}
    assert account_of(started.database, "s1") != former
    assert started.night(delivery=2) == []


def test_one_who_left_claims_no_email(started: Installation, files: Files) -> None:
    leave(started, "t1")
    taker = (*KIDS[0][:4], ADA[4], *NOBODY)
    started.send(files(students=[LEE, KIM, taker, *KIDS[1:]]))
    assert done(started.night()) == {"lincoln": {"students_update": 1}}
    assert email_of(started.database, "k0") == ADA[4]
    assert started.night(delivery=2) == []


def test_a_teacher_who_left_leaves_the_class_in_place(started: Installation) -> None:
    leave(started, "t1")
    assert started.night(delivery=1) == []
    assert in_class(started.database, "s1") == ["c1", "c2"]
    assert in_class(started.database, "t1") == []


def test_an_account_made_by_hand_whose_person_left_is_adopted_by_nobody(started: Installation, files: Files) -> None:
    with started.database.transaction() as session:
        bulk.execute(session, "UPDATE account SET district_id = 'unified' WHERE role = 'teacher'")
    leave(started, "t1")
    assert email_of(started.database, "t1") == ADA[4]
    started.send(files(teachers=[ADA, MAX, ("t9", "1", "Una", "Finch", ADA[4])]))
    assert done(started.night()) == {}
    assert here(started.database) == {"t2", "s1", "s2", "g1"}
    assert ("teacher_email_taken", "unified/lincoln", "t9") in issues(started.database)


def test_a_guardian_goes_with_their_last_student_who_leaves(anywhere: Installation, files: Files) -> None:
    before = issues(anywhere.database)
    leave(anywhere, "s1")
    leave(anywhere, "s2")
    assert here(anywhere.database) == {"t1", "t2"}
    assert anywhere.night(delivery=1) == []
    assert issues(anywhere.database) == before
    # The guardian did not leave: a new student brings them back, as the same account.
    kate = account_of(anywhere.database, "g1")
    anywhere.send(files(students=[LEE, KIM, ("s3", "1", "Liv", "Moss", "", *KATE), *KIDS]))
    created = {"students_create": 1, "guardians_reactivate": 1, "guardianships_create": 1}
    assert done(anywhere.night()) == {"lincoln": created}
    assert account_of(anywhere.database, "g1") == kate
    assert anywhere.night(delivery=2) == []


def test_a_guardian_whose_students_all_left_claims_no_email(started: Installation, files: Files) -> None:
    leave(started, "s1")
    leave(started, "s2")
    taker = (*KIDS[0][:4], KATE[3], *NOBODY)
    started.send(files(students=[LEE, KIM, taker, *KIDS[1:]]))
    assert done(started.night()) == {"lincoln": {"students_update": 1}}
    assert email_of(started.database, "k0") == KATE[3]
    assert started.night(delivery=2) == []


def test_a_guardian_who_left_is_known_again_by_student_and_name(embedded: Installation, csv_files: Files) -> None:
    embedded.set_up(unified=TWO)

    def sent(phone: str) -> dict[str, bytes]:
        return csv_files(teachers=[ADA], students=[(*LEE[:5], "", "Kate", "Moss", "", phone), *KIDS])

    embedded.send(sent("202 555 0101"))
    embedded.night()
    with embedded.database.reading() as session:
        sql = "SELECT account_id FROM link WHERE kind = 'guardian'"
        kate = bulk.read(session, sql, {}, {"id": pl.String}).item()
    with embedded.database.transaction() as session:
        accounts.leave_organization(session, "unified", kate, now=clock.now())
    embedded.send(sent("202 555 0102"))
    assert done(embedded.night()) == {}


def test_enforcement_makes_every_school_due_and_brings_back_who_had_left(anywhere: Installation, files: Files) -> None:
    former = account_of(anywhere.database, "s1")
    for who in ("s1", "s2", "t1"):
        leave(anywhere, who)
    assert anywhere.night() == []
    enforce(anywhere, True)
    with anywhere.database.reading() as session:
        (source,) = districts.sources_of(session, "unified")
        due = leases.unfinished_schools(session, source, leases.setup_digest(session, source))
    assert due == ["unified/lincoln", "unified/adams"]
    returned = done(anywhere.night())
    assert returned["lincoln"]["students_reactivate"] == returned["lincoln"]["employees_reactivate"] == 1
    assert returned["adams"]["students_reactivate"] == 1
    assert here(anywhere.database) == {"t1", "t2", "s1", "s2", "g1"}
    assert account_of(anywhere.database, "s1") == former
    assert email_of(anywhere.database, "s1") == "lee@schools.example"
    assert (in_class(anywhere.database, "s1"), in_class(anywhere.database, "t1")) == (
        ["c1", "c2"],
        ["c1"],
    )
    # They are no longer people who left: with enforcement off again they stay, and return as anybody does.
    enforce(anywhere, False)
    assert anywhere.night(delivery=1) == []
    assert here(anywhere.database) == {"t1", "t2", "s1", "s2", "g1"}
    for teachers in ([MAX], [ADA, MAX]):
        anywhere.send(files(teachers=teachers, classes=[("c1", "1", "Art", "t2"), CLASSES[1]]))
        anywhere.night()
        assert ("t1" in here(anywhere.database)) == (ADA in teachers)


@pytest.mark.parametrize("enforced", [False, True])
def test_a_class_left_stays_left_until_the_data_change(started: Installation, files: Files, enforced: bool) -> None:
    enforce(started, enforced)
    started.night()
    leave_class(started, "c1", "s1")
    assert in_class(started.database, "s1") == ["c2"]
    assert started.night(delivery=1) == []
    # Out of the data, and in again: the SIS says something new.
    started.send(files(enrollments=ENROLLED[1:]))
    assert done(started.night()) == {}
    assert started.night(delivery=2) == []
    started.send(files())
    assert done(started.night()) == {"lincoln": {"student_class_memberships_reactivate": 1}}
    assert in_class(started.database, "s1") == ["c1", "c2"]
    assert started.night(delivery=3) == []


def test_a_class_left_stays_left_while_its_rows_are_rejected(anywhere: Installation, files: Files) -> None:
    leave_class(anywhere, "c1", "t1")
    leave_class(anywhere, "c1", "s1")
    anywhere.send(files(classes=[("c1", "1", "", "t1"), CLASSES[1]]))
    anywhere.night()
    anywhere.send(files(students=[(*LEE[:3], "", *LEE[4:]), KIM, *KIDS], teachers=[(*ADA[:4], ""), MAX]))
    anywhere.night()
    anywhere.send(files())
    anywhere.night()
    assert (in_class(anywhere.database, "t1"), in_class(anywhere.database, "s1")) == ([], ["c2"])


def test_a_class_left_stays_left_though_its_person_left_and_came_back(started: Installation) -> None:
    leave_class(started, "c1", "s1")
    leave(started, "s1")
    assert started.night(delivery=1) == []
    enforce(started, True)
    started.night()
    assert in_class(started.database, "s1") == ["c2"]


def test_who_leaves_while_a_run_is_under_way_is_not_put_back_by_it(anywhere: Installation, files: Files) -> None:
    anywhere.send(files(students=[(*LEE[:2], "Leopold", *LEE[3:]), KIM, *KIDS]))
    request = requests.SyncRequest("unified", "unified/files", now=True)
    landing = LandingArea.of_folder(anywhere.folder / "landing")
    run_id = pipeline.begin(anywhere.database, request)
    fetched = pipeline.take_delivery(anywhere.database, request, run_id, landing=landing, adapter=CsvDropFolder())
    assert fetched.delivery_id is not None
    read = pipeline.read_roster(anywhere.database, request, run_id, fetched.delivery_id, landing=landing)
    assert not isinstance(read, pipeline.Rejected)
    run, plan = planning.make_plan(anywhere.database, request, run_id, fetched.delivery_id, read[0])
    leave(anywhere, "s1")
    for changeset in pipeline.start_schools(anywhere.database, request, run, plan):
        pipeline.provision_one(anywhere.database, run, changeset)
    pipeline.finish(anywhere.database, run_id, RunOutcome.DONE, [])
    assert here(anywhere.database) == {"t1", "t2", "s2", "g1"}
    assert anywhere.night(delivery=2) == []
