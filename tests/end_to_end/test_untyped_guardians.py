"""Files that no longer say of what type guardians are: a school that had emergency contacts is held for that."""

from __future__ import annotations

import pytest

from services import clock, figures
from services.holds import decisions, store
from tests.end_to_end.conftest import Installation

NUMBERS = range(1, 5)


def files(*types: str, typed: bool = True, added: str = "") -> dict[str, bytes]:
    """A school of four students with a guardian each of these types; `added`: the first one's second guardian."""
    header = (
        "student_id,school_id,first_name,last_name,dob,guardian_id,guardian_first_name,guardian_email,guardian_type"
    )
    rows = [f"S{n},1,Stu{n},Dent{n},2014-09-03,G{n},Gua{n},g{n}@mail.example" for n in NUMBERS]
    lines = [f"{row},{kind}" for row, kind in zip(rows, types, strict=True)]
    if added:
        lines.append(f"S1,1,Stu1,Dent1,2014-09-03,G9,Gua9,g9@mail.example,{added}")
    students = [header, *lines] if typed else [line.rpartition(",")[0] for line in (header, *lines)]
    return {
        "schools.csv": b"school_id,school_name\n1,Lincoln\n",
        "teachers.csv": b"teacher_id,school_id,first_name,last_name,email\nT1,1,Ana,Ruiz,t1@unified.example\n",
        "students.csv": "\n".join(students).encode(),
        "classes.csv": b"class_id,school_id,class_name,teacher_id\nC1,1,Art,T1\n",
        "enrollments.csv": "\n".join(["class_id,user_id", *(f"C1,S{n}" for n in NUMBERS)]).encode(),
    }


def held(place: Installation) -> list[tuple[str, list[str], str | None]]:
    """The reasons of the open hold, with figures and cause."""
    with place.database.reading() as session:
        return [
            (reason.code, figures.describe(reason.counts or {}), reason.detail)
            for hold in store.open_holds(session)
            for reason in hold.reasons
        ]


def decide(place: Installation, verb: str) -> None:
    with place.database.transaction() as session:
        (hold,) = store.open_holds(session)
        decisions.decide(session, hold.id, verb, by="ops", now=clock.now())


MISSING = "students.csv: column guardian_type is missing, so emergency contacts can't be distinguished from guardians."


def untyped(found: str) -> list[tuple[str, list[str], str | None]]:
    return [("emergency_contacts", [f"{found} who may be an emergency contact"], MISSING)]


@pytest.fixture
def place(embedded: Installation) -> Installation:
    embedded.set_up(unified={"lincoln": "1"})
    return embedded


def test_without_any_contact_before_a_missing_type_is_no_matter(place: Installation) -> None:
    place.send(files("", "Father", "", "primary"))
    place.night()
    place.send(files("", "", "", "", typed=False, added="x"))
    place.night()
    assert held(place) == []


def test_contacts_that_were_accepted_are_asked_about_once_more(place: Installation) -> None:
    place.send(files("", "Emergency Contact", "", ""))
    place.night()
    assert held(place) == [("emergency_contacts", ["1 emergency contact"], None)]
    decide(place, decisions.ACCEPT)
    place.night(schools=["lincoln"])
    assert held(place) == []

    place.send(files("", "", "", "", typed=False))
    place.night()
    assert held(place) == untyped("1 guardian")
    decide(place, decisions.ACCEPT)
    place.night(schools=["lincoln"])
    assert held(place) == []
    # Whoever is new may be a contact, too.
    place.send(files("", "", "", "", typed=False, added="x"))
    place.night()
    assert held(place) == untyped("1 guardian")


def test_contacts_that_were_left_out_do_not_come_in_with_the_column_gone(place: Installation) -> None:
    place.send(files("", "", "", "", added="Emergency"))
    place.night()
    decide(place, decisions.LEAVE_OUT)
    place.night(schools=["lincoln"])
    assert held(place) == []

    place.send(files("", "", "", "", typed=False, added="x"))
    place.night()
    assert held(place) == untyped("1 guardian")
    # With the column back it ends.
    place.send(files("", "", "", "", added="Emergency"))
    place.night()
    assert held(place) == []
