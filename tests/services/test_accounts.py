"""What people do of their own accord, as the product calls it, and what is refused in plain words."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from sqlmodel import select

from errors import NotFound, NotPossible
from models import bulk
from models.database import Database
from models.tables import Account, Class, District, Source
from services import accounts
from tests.conftest import Beginnings
from tests.services.settled import NOW, apply, begun_with, person, set_up, settled

TEACHER = person(0, "employee", "t1", email="t1@unified.example", phone="+12025550100")
ANN = person(1, "student", "s1", email="ann@unified.example")
BEN = person(2, "student", "s2")
PARENT = person(3, "guardian", "g1", guardian_ids=["g1"], phone="+12025550123")
OTHER_PARENT = person(4, "guardian", "g2", guardian_ids=["g2"], email="g2@mail.example")
EVERYBODY = settled(
    [TEACHER, ANN, BEN, PARENT, OTHER_PARENT],
    [(0, "1"), (0, "2"), (1, "1"), (2, "2")],
    [("c1", "1"), ("c2", "2")],
    [("c1", "1", 0, True), ("c1", "1", 1, False), ("c2", "2", 0, True), ("c2", "2", 2, False)],
    [(1, 3), (2, 3), (1, 4)],
)
LATER = NOW + timedelta(hours=1)
WAITING = "SELECT count(*)::text FROM pg_locks WHERE NOT granted"


BEGIN = begun_with(EVERYBODY)


@pytest.fixture
def started(beginnings: Beginnings, kind: str) -> Iterator[Database]:
    with beginnings(kind, BEGIN) as database:
        yield database


def account_of(database: Database, external_id: str) -> str:
    return _one(database, f"SELECT account_id FROM link WHERE external_id = '{external_id}'")


def class_of(database: Database, external_id: str) -> str:
    return _one(database, f"SELECT id FROM class WHERE external_id = '{external_id}'")


def _one(database: Database, sql: str) -> str:
    with database.reading() as session:
        return str(bulk.read(session, sql, {}, {"id": pl.String}).item())


def account(database: Database, account_id: str) -> Account:
    with database.reading() as session:
        found = session.get(Account, account_id)
        assert found is not None
        return found


def edit(database: Database, external_id: str, **fields: Any) -> tuple[str | None, ...]:
    """Edit, and give all that can be edited."""
    with database.transaction() as session:
        edited = accounts.edit_account(session, account_of(database, external_id), **fields)
        return edited.first_name, edited.last_name, edited.email, edited.phone, edited.phone_extension


def states_of(database: Database) -> dict[str, tuple[bool, bool, bool, bool]]:
    """By external ID: link active, left of their own accord, account active, account holds an email."""
    with database.reading() as session:
        found = bulk.read(
            session,
            "SELECT l.external_id, l.archived_at IS NULL AS here, l.left_at IS NOT NULL AS gone,"
            " a.archived_at IS NULL AS open, a.email IS NOT NULL AS mail"
            " FROM link l JOIN account a ON a.id = l.account_id",
            {},
            {
                "external_id": pl.String,
                **dict.fromkeys(("here", "gone", "open", "mail"), pl.Boolean),
            },
        )
    return {row[0]: row[1:] for row in found.rows()}


def active_pairs(database: Database, table: str, *columns: str) -> list[tuple[str, ...]]:
    """The active rows of a table of pairs, by the external IDs of both."""
    sides = {
        "school_membership": "JOIN link a ON a.id = p.link_id JOIN school b ON b.id = p.school_id",
        "class_membership": "JOIN link a ON a.id = p.link_id JOIN class b ON b.id = p.class_id",
        "guardianship": "JOIN link a ON a.id = p.student_link_id JOIN link b ON b.id = p.guardian_link_id",
    }
    other = "b.external_id"
    with database.reading() as session:
        return bulk.read(
            session,
            f"SELECT a.external_id, {other} AS other FROM {table} p {sides[table]} WHERE p.active ORDER BY 1, 2",
            {},
            {"external_id": pl.String, "other": pl.String},
        ).rows()


def test_an_account_is_claimed_once(started: Database) -> None:
    ann = account_of(started, "s1")
    for when in (NOW, LATER):
        with started.transaction() as session:
            accounts.claim_account(session, ann, now=when)
    assert account(started, ann).claimed_at == NOW


def test_a_class_is_claimed_by_its_teacher_only(started: Database) -> None:
    art = class_of(started, "c1")
    with started.transaction() as session, pytest.raises(NotPossible, match="is no teacher of class"):
        accounts.claim_class(session, art, account_of(started, "s1"))
    with started.transaction() as session:
        accounts.claim_class(session, art, account_of(started, "t1"))
    with started.reading() as session:
        assert dict(session.exec(select(Class.external_id, Class.claimed)).all()) == {"c1": True, "c2": False}
    apply(started, EVERYBODY)
    with started.reading() as session:
        assert dict(session.exec(select(Class.external_id, Class.claimed)).all()) == {"c1": True, "c2": False}


def test_a_class_left_or_archived_is_not_claimed(started: Database) -> None:
    art, teacher = class_of(started, "c1"), account_of(started, "t1")
    with started.transaction() as session:
        accounts.leave_class(session, art, teacher, now=LATER)
    with started.transaction() as session, pytest.raises(NotPossible, match="is no teacher of class"):
        accounts.claim_class(session, art, teacher)
    with started.transaction() as session:
        bulk.execute(session, "UPDATE class SET archived_at = :now", {"now": NOW})
    with started.transaction() as session, pytest.raises(NotPossible, match="is archived: it is no longer in"):
        accounts.claim_class(session, art, teacher)


def test_an_edit_takes_the_form_that_the_data_have(started: Database) -> None:
    assert edit(started, "t1", first_name=" Ada ", email=" Ada.Moss@Mail.Example ", phone="(202) 555-0144 x12") == (
        "Ada",
        "Lastt1",
        "ada.moss@mail.example",
        "+12025550144",
        "12",
    )
    assert edit(started, "t1", phone_extension="7")[3:] == ("+12025550144", "7")
    assert edit(started, "t1", phone="202-555-0145")[3:] == ("+12025550145", None)
    assert edit(started, "t1", phone="")[3:] == (None, None)


def test_a_phone_belongs_to_the_accounts_district(started: Database) -> None:
    with started.transaction() as session:
        bulk.execute(session, "UPDATE district SET phone_region = 'GB'")
    assert edit(started, "t1", phone="020 7946 0123")[3:] == ("+442079460123", None)


@pytest.mark.parametrize(
    ("who", "fields", "said"),
    [
        ("t1", {"email": "ann@unified.example"}, "the email address is another account's"),
        ("t1", {"email": "ANN@unified.example"}, "the email address is another account's"),
        ("t1", {"email": "nowhere"}, "the email address is not one that mail can be sent to"),
        ("t1", {"email": ""}, "teachers and staff need an email address"),
        ("t1", {"phone": "12"}, "the phone number is not one that can be called"),
        ("t1", {"phone_extension": "front desk"}, "the phone number is not one that can be called"),
        ("s1", {"phone_extension": "12"}, "an extension needs a phone number"),
        ("s1", {"first_name": " "}, "the first name and the last name cannot be left empty"),
        ("s1", {"last_name": "Moss\nReed"}, "the last name must be one line of printable text"),
        ("g1", {"first_name": None, "last_name": None}, "a guardian needs a name"),
        ("g1", {"phone": None}, "a guardian needs an email address or a phone number"),
        ("s1", {"grade": "5"}, "grade cannot be edited; first_name, last_name, email, phone, phone_extension can"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    started: Database, who: str, fields: dict[str, Any], said: str
) -> None:
    before = account(started, account_of(started, who)).model_dump()
    with pytest.raises(NotPossible) as refused:
        edit(started, who, **fields)
    assert str(refused.value) == said
    assert account(started, account_of(started, who)).model_dump() == before


def test_a_guardian_may_go_by_one_name_and_a_student_without_an_email(started: Database) -> None:
    assert edit(started, "g1", first_name="")[:2] == (None, "Lastg1")
    assert edit(started, "s1", email="")[2] is None
    # Ann's address is free now.
    assert edit(started, "s2", email="ann@unified.example")[2] == "ann@unified.example"


def test_an_address_given_away_meanwhile_is_another_accounts(postgresql_database: Database) -> None:
    with postgresql_database.transaction() as session:
        set_up(session)
    apply(postgresql_database, EVERYBODY)
    ben = account_of(postgresql_database, "s2")

    def taken_too() -> None:
        with postgresql_database.transaction() as other:
            accounts.edit_account(other, ben, email="new@unified.example")

    with ThreadPoolExecutor(1) as pool:
        with postgresql_database.transaction() as session:
            accounts.edit_account(session, account_of(postgresql_database, "s1"), email="new@unified.example")
            second = pool.submit(taken_too)
            while _one(postgresql_database, WAITING) == "0":
                time.sleep(0.01)
        with pytest.raises(NotPossible, match="is another account's"):
            second.result()


def test_a_class_is_left_whatever_the_district_enforces(started: Database) -> None:
    with started.transaction() as session:
        accounts.set_enforcement(session, "unified", True)
        accounts.leave_class(session, class_of(started, "c1"), account_of(started, "s1"), now=LATER)
    assert active_pairs(started, "class_membership") == [("s2", "c2"), ("t1", "c1"), ("t1", "c2")]
    with started.transaction() as session, pytest.raises(NotPossible, match="is not in class"):
        accounts.leave_class(session, class_of(started, "c1"), account_of(started, "s1"), now=LATER)


def leave(database: Database, external_id: str, district: str = "unified") -> None:
    with database.transaction() as session:
        accounts.leave_organization(session, district, account_of(database, external_id), now=LATER)


def test_a_student_who_leaves_takes_along_whom_only_they_kept(started: Database) -> None:
    leave(started, "s1")
    assert states_of(started) == {
        "t1": (True, False, True, True),
        "s1": (False, True, False, False),
        "s2": (True, False, True, False),
        "g1": (True, False, True, False),
        "g2": (False, False, False, False),
    }
    assert active_pairs(started, "school_membership") == [("s2", "2"), ("t1", "1"), ("t1", "2")]
    assert active_pairs(started, "class_membership") == [("s2", "c2"), ("t1", "c1"), ("t1", "c2")]
    assert active_pairs(started, "guardianship") == [("s2", "g1")]
    with started.transaction() as session, pytest.raises(NotPossible, match="is archived"):
        accounts.claim_account(session, account_of(started, "s1"), now=LATER)


def test_a_guardian_leaves_and_the_students_stay(started: Database) -> None:
    leave(started, "g1")
    assert states_of(started)["g1"] == (False, True, False, False)
    assert active_pairs(started, "guardianship") == [("s1", "g2")]


def test_leaving_is_refused_while_rostering_is_enforced(started: Database) -> None:
    with started.transaction() as session:
        assert accounts.set_enforcement(session, "unified", True)
        assert not accounts.set_enforcement(session, "unified", True)
    before = states_of(started)
    with pytest.raises(NotPossible, match="district unified enforces rostering"):
        leave(started, "s1")
    assert states_of(started) == before
    with started.transaction() as session:
        assert accounts.is_enforced(session, "unified")
        assert accounts.set_enforcement(session, "unified", False)
    leave(started, "s1")


def test_who_is_in_two_districts_leaves_one_of_them(started: Database) -> None:
    with started.transaction() as session:
        session.add(District(id="coast", name="Coast", timezone="America/Los_Angeles", administrators=[]))
        session.flush()
        session.add(Source(id="coast/files", district_id="coast", key="files", kind="csv", format="csv-1.0"))
        session.flush()
        bulk.execute(
            session,
            "INSERT INTO link (id, account_id, source_id, kind, role, external_id)"
            " SELECT 'elsewhere', account_id, 'coast/files', kind, role, 'e9' FROM link WHERE external_id = 't1'",
        )
    leave(started, "t1")
    assert {key: row for key, row in states_of(started).items() if key in ("t1", "e9")} == {
        "t1": (False, True, True, True),
        "e9": (True, False, True, True),
    }
    with pytest.raises(NotPossible, match="is in no data of district unified"):
        leave(started, "t1")
    leave(started, "t1", "coast")
    assert {row[2] for key, row in states_of(started).items() if key in ("t1", "e9")} == {False}


def test_an_account_made_by_hand_outlives_its_links(started: Database) -> None:
    with started.transaction() as session:
        bulk.execute(session, "UPDATE account SET district_id = 'unified' WHERE role = 'teacher'")
    leave(started, "t1")
    assert states_of(started)["t1"] == (False, True, True, True)


def test_who_or_what_is_not_there_is_said(started: Database) -> None:
    ann, art = account_of(started, "s1"), class_of(started, "c1")
    with started.transaction() as session:
        for nonsense in (
            lambda: accounts.claim_account(session, "nobody", now=NOW),
            lambda: accounts.claim_class(session, "none", ann),
            lambda: accounts.claim_class(session, art, "nobody"),
            lambda: accounts.edit_account(session, "nobody", first_name="Ann"),
            lambda: accounts.leave_class(session, "none", ann, now=NOW),
            lambda: accounts.leave_organization(session, "nowhere", ann, now=NOW),
            lambda: accounts.leave_organization(session, "unified", "nobody", now=NOW),
            lambda: accounts.set_enforcement(session, "nowhere", True),
        ):
            with pytest.raises(NotFound, match="there is no"):
                nonsense()
