"""After an erasure nothing of it is anywhere, and nothing of anybody else has changed: rows, files, bytes."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import SQLModel

from errors import Busy, NotFound, NotPossible
from models import bulk
from models.database import Database, compact
from models.outcomes import RunOutcome
from models.tables import Account
from services import clock
from services.access import audit
from services.intake.landing_area import LandingArea
from services.mail import outbox
from services.mail.smtp import Folder
from services.operations import erasing
from services.operations.backup import backup
from services.operations.erasing import Erased, Storage, Target
from services.planning.recognition import IdSecret
from services.sync import leases
from tests.end_to_end.conftest import Installation
from tests.markers import everything, files_with, rows, tables_with

Files = Callable[..., dict[str, bytes]]
# Of one district each, and of both: a parent with children in two districts.
MINE = ("zzmine", "2065550111")
THEIRS = ("zztheirs", "2065550222")
PARENT = ("g5", "Zzshared", "Parent", "zzshared@home.example", "")


def files(csv_files: Files, mark: str, phone: str, parent: tuple[str, ...] = PARENT) -> dict[str, bytes]:
    teacher = ("t1", "1", f"{mark}teacher", "Stone", f"{mark}t@schools.example")
    at_both = ("t2", "2", f"{mark}second", "Reed", f"{mark}u@schools.example")
    own = (f"{mark}gid", f"{mark}mother", "Moss", f"{mark}m@home.example", phone)
    students = [
        ("s1", "1", f"{mark}lee", "Moss", f"{mark}s@schools.example", *own),
        ("s2", "1", f"{mark}kim", "Reed", "", *parent),
        ("s3", "2", f"{mark}ann", "Hill", "", *parent),
        # Rejected: its row is kept with the error.
        ("s4", "1", "", f"{mark}nameless", "", *("",) * 5),
    ]
    classes = [("c1", "1", f"{mark}art", "t1"), ("c2", "2", "Music", "t2")]
    return csv_files([teacher, at_both], students, classes, [("c1", "s1"), ("c1", "s2"), ("c2", "s3")])


@pytest.fixture
def both(installation: Installation, csv_files: Files) -> Installation:
    """Two districts, each with a night, a held night, mail, and whoever looked."""
    schools = {"lincoln": "1", "adams": "2"}
    installation.set_up(mine=schools, theirs=schools)
    for district, mark, phone in (("mine", *MINE), ("theirs", *THEIRS)):
        sent = files(csv_files, mark, phone)
        installation.send(sent, district)
        installation.night(district)
        # Everybody of a type vanishes: held, with names as evidence.
        header, *_, rejected = sent["students.csv"].splitlines(keepends=True)
        installation.send({**sent, "students.csv": header + rejected}, district)
        installation.night(district)
        with installation.database.transaction() as session:
            audit.record(
                session, audit.Action.PEOPLE_VIEWED, actor="it@x.example", at=clock.now(), district_id=district
            )
            session.add(
                Account(
                    id=f"by-hand-{district}",
                    role="teacher",
                    first_name=f"{mark}hand",
                    district_id=district,
                    created_at=clock.now(),
                )
            )
    return installation


def storage(installation: Installation) -> Storage:
    copies = installation.folder / "backups"
    return Storage(LandingArea.of_folder(installation.folder / "landing"), copies, installation.folder / "mail")


def erase(installation: Installation, target: Target) -> Erased:
    done = erasing.erase(installation.database, target, storage(installation), by="ops", now=clock.now())
    compact(installation.database, [table for table, many in done.rows.items() if many])
    return done


def folders(database: Database, *others: Path) -> list[Path]:
    """Where the database's files are, and others. Of a server: the tables' files, not its write-ahead log."""
    if database.dialect == "sqlite":
        return [Path(str(database.engine.url.database)).parent, *others]
    ((data, oid),) = rows(
        database, "SELECT current_setting('data_directory'), oid FROM pg_database WHERE datname = current_database()"
    )
    return [Path(str(data)) / "base" / str(oid), *others]


def of_others(database: Database, *marks: str) -> dict[str, list[str]]:
    """Every row that has one of these marks, or an ID of the other district."""
    return {
        table: [row for row in found if any(m in row for m in marks)] for table, found in everything(database).items()
    }


def fill(installation: Installation) -> list[Path]:
    """Have marked values in copies and in mails too, and give every folder that has some."""
    database, copies, mails = installation.database, installation.folder / "backups", installation.folder / "mail"
    for folder in (copies, mails):
        folder.mkdir()
    if database.dialect == "sqlite":
        backup(database, copies / "rollcall-1.sqlite")
    else:
        # What the server has only in memory is in no file.
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("CHECKPOINT")
    outbox.deliver(database, Folder(mails), sender="Rollcall <sync@rollcall.example>", now=clock.now())
    assert len(list(mails.iterdir())) == 2  # one of each district
    for mail in mails.iterdir():
        mail.write_text(mail.read_text() + f"To: {'zzmine' if 'it@mine' in mail.read_text() else 'zztheirs'}")
    (mails / "other.eml").write_text("somebody else's")
    return folders(database, installation.folder / "landing", mails, copies)


@pytest.mark.journeys
def test_nothing_of_an_erased_district_is_left_and_nothing_of_another_differs(
    both: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    database = both.database
    where = fill(both)
    assert {"account", "link", "issue", "hold_item", "class"} <= set(tables_with(database, *MINE))
    assert len(files_with(where, *MINE)) > 5
    before = of_others(database, "theirs", "zzshared")
    expected = erasing.look(database, Target("mine"), storage(both))
    caplog.set_level(logging.DEBUG)
    assert erase(both, Target("mine")) == expected
    assert tables_with(database, *MINE, "mine/") == []
    assert tables_with(database, "'mine'") == ["audit_entry"]
    assert files_with(where, *MINE) == []
    assert not [record for record in caplog.records if "zzmine" in record.getMessage().lower()]
    assert of_others(database, "theirs", "zzshared") == {
        table: [row for row in found if "mine/" not in row] for table, found in before.items()
    }
    # The parent of both stays, with what the other district holds.
    assert rows(database, "SELECT first_name, last_name, email FROM account WHERE last_name = 'Parent'") == [
        ("Zzshared", "Parent", "zzshared@home.example")
    ]
    assert len(list((both.folder / "mail").iterdir())) == 2
    with pytest.raises(NotFound):
        erasing.look(database, Target("mine"), storage(both))
    # What is left is whole.
    both.night("theirs")


def test_every_table_is_erased_or_kept_on_purpose() -> None:
    erased = {table for table, _ in erasing._DISTRICT}
    assert erased | erasing.KEPT == set(SQLModel.metadata.tables)
    assert erased & erasing.KEPT == set()


def test_one_person_goes_with_the_guardians_who_are_nobody_elses(both: Installation) -> None:
    database = both.database
    theirs = of_others(database, "theirs")
    expected = erasing.look(database, Target("mine", person="s1"), storage(both))
    done = erase(both, Target("mine", person="s1"))
    assert done == expected
    assert (done.people, done.shared, done.synced) == (2, 0, True)
    own = ("zzminelee", "zzmines@", "zzminemother", "zzminegid", "2065550111")
    assert tables_with(database, *own) == []
    assert files_with(folders(database, both.folder / "landing" / "mine"), *own) == []
    # The others of the district stay.
    assert rows(
        database,
        "SELECT l.external_id FROM link l WHERE l.source_id = 'mine/files' AND l.kind = 'student' ORDER BY 1",
    ) == [("s2",), ("s3",)]
    assert of_others(database, "theirs") == theirs
    # The same bytes do not bring anybody back; the next complete delivery brings what the SIS still says.
    both.night("mine")
    assert tables_with(database, *own) == []


def test_a_schools_data_go_and_who_is_at_another_one_stays(both: Installation) -> None:
    database = both.database
    expected = erasing.look(database, Target("mine", school="lincoln"), storage(both))
    assert erase(both, Target("mine", school="lincoln")) == expected
    here = "SELECT kind, external_id FROM link WHERE source_id = 'mine/files' ORDER BY 1, 2"
    # The parent has a child at the other school too.
    assert rows(database, here) == [("employee", "t2"), ("guardian", "g5"), ("student", "s3")]
    assert tables_with(database, "zzmineart", "zzminelee", "zzminekim", "zzminenameless", "zzmineteacher") == []
    assert [key for (key,) in rows(database, "SELECT key FROM school WHERE district_id = 'mine' ORDER BY 1")] == [
        "adams",
        "lincoln",
    ]
    both.night("mine")


def test_a_shared_account_loses_what_only_the_erased_district_said(
    installation: Installation, csv_files: Files
) -> None:
    installation.set_up(mine={"lincoln": "1"}, theirs={"lincoln": "1"})
    named = ("g5", "Zzoldname", "Parent", "zzshared@home.example", "2065550333")
    installation.send(files(csv_files, *MINE, named), "mine")
    installation.night("mine")
    installation.send(files(csv_files, *THEIRS, ("g5", "Robert", "Parent", "zzshared@home.example", "")), "theirs")
    installation.night("theirs")
    sql = "SELECT first_name, last_name, email, phone, archived_at FROM account WHERE last_name = 'Parent'"
    assert [row[0] for row in rows(installation.database, sql)] == ["Zzoldname"]
    erase(installation, Target("mine"))
    assert rows(installation.database, sql) == [("Robert", "Parent", "zzshared@home.example", None, None)]


def test_an_id_of_several_people_erases_nobody(both: Installation) -> None:
    with both.database.transaction() as session:
        bulk.execute(
            session, "UPDATE link SET external_id = 's1' WHERE external_id = 't1' AND source_id = 'mine/files'"
        )
    with pytest.raises(NotPossible, match="2 people have this ID; name one of them: "):
        erasing.look(both.database, Target("mine", person="s1"), storage(both))
    with pytest.raises(NotFound, match="nobody in district mine has this ID"):
        erasing.look(both.database, Target("mine", person="s"), storage(both))
    with pytest.raises(NotPossible, match="name a school or a person, not both"):
        erasing.look(both.database, Target("mine", "lincoln", "s1"), storage(both))


def test_a_district_that_is_being_synced_is_not_erased(both: Installation) -> None:
    before = everything(both.database)
    with both.database.transaction() as session:
        run = leases.begin_run(session, "mine", "mine/files", schools=None, now=clock.now())
    with pytest.raises(Busy, match="district mine is already being synced"):
        erase(both, Target("mine"))
    with both.database.transaction() as session:
        leases.end_run(session, run.id or 0, RunOutcome.DONE, [], clock.now())
        bulk.execute(session, "DELETE FROM run WHERE id = :id", {"id": run.id})
    assert everything(both.database) == before


def test_the_certificate_says_what_and_how_much_and_names_nobody(tmp_path: Path) -> None:
    done = Erased({"account": 1200, "link": 1300, "hold": 0}, 1205, 5, 3, 2, 1)
    secret = IdSecret(tmp_path / "id-secret", "s" * 32)
    now = clock.now() - timedelta(days=1)
    text = erasing.certificate(Target("mine", person="zzid"), "Mine", done, by="ops", now=now, secret=secret)
    body, _, digest = text.rpartition("SHA-256 of the lines above: ")
    assert digest.strip() == hashlib.sha256(body.encode()).hexdigest()
    assert body.splitlines()[2:14] == [
        "What: one person of district mine (Mine), with those guardians who were nobody else's; keyed hash of the ID:"
        f" {secret.hashed('mine', 'erased', 'zzid')}",
        f"When: {now.isoformat(timespec='seconds')}",
        "By: ops",
        "With: Rollcall 0.2.0",
        "",
        "Deleted, and overwritten in the database's files:",
        "         1,200  rows of account",
        "         1,300  rows of link",
        "             3  deliveries' files",
        "             2  copies of the database",
        "             1  mails",
        "",
    ]
    assert "zzid" not in text
