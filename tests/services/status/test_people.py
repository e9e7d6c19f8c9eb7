"""People and classes of a school: who is found, what is shown to whom, and every reason why somebody is not there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import Session, SQLModel

from contracts.issues import catalogue
from errors import NotFound
from models.database import Database
from models.tables import (
    Account,
    Class,
    ClassMembership,
    District,
    Guardianship,
    Hold,
    HoldItem,
    HoldReason,
    Issue,
    Link,
    RecordChange,
    Run,
    School,
    SchoolMembership,
    Source,
)
from services.status import finding, people
from services.status.finding import Found
from services.status.people import HELD, Event, FieldValue, Place, Reason, Why

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
BEFORE = NOW - timedelta(days=3)
LINCOLN, ROOSEVELT, MILL = "unified/lincoln", "unified/roosevelt", "valley/mill"
ONLY_LINCOLN = frozenset({LINCOLN})
ERROR = catalogue()


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.transaction() as session:
        for district, keys in (("unified", ("lincoln", "roosevelt")), ("valley", ("mill",))):
            add(session, District(id=district, name=district, timezone="UTC", administrators=[]))
            for key in ("files", "former"):
                add(
                    session,
                    Source(
                        id=f"{district}/{key}", district_id=district, key=key, kind="csv", format="csv-1.0", settings={}
                    ),
                )
            for key in keys:
                add(
                    session,
                    School(
                        id=f"{district}/{key}",
                        district_id=district,
                        key=key,
                        name=key.title(),
                        source_id=f"{district}/files",
                        external_id=key,
                    ),
                )
        yield session


def add(session: Session, *rows: SQLModel) -> None:
    for row in rows:
        session.add(row)
        session.flush()


def somebody(
    session: Session,
    id: str,
    name: str = "Ana Muñoz",
    *,
    at: dict[str, datetime | None] | None = None,
    kind: str = "student",
    account: str | None = None,
    source: str = "unified/files",
    **fields: Any,
) -> Link:
    """A link, at these schools until when."""
    first, last = name.split(" ", 1)
    own = {"email": fields.get("email"), "phone": fields.get("phone"), **fields.pop("own", {})}
    role = "teacher" if kind == "employee" else kind
    if account is None:
        account = f"account-{id}"
        add(session, Account(id=account, role=role, first_name=first, last_name=last, created_at=BEFORE, **own))
    given = {"external_id": id, "guardian_ids": id if kind == "guardian" else None, **fields}
    link = Link(
        id=f"link-{id}",
        account_id=account,
        source_id=source,
        kind=kind,
        role=role,
        first_name=first,
        last_name=last,
        **given,
    )
    add(session, link)
    for school, until in (at or {}).items():
        add(
            session,
            SchoolMembership(
                id=f"{id}@{school}", link_id=link.id, school_id=school, active=until is None, left_at=until
            ),
        )
    return link


def guardian_of(session: Session, guardian: Link, student: Link, until: datetime | None = None) -> None:
    add(
        session,
        Guardianship(
            id=f"{guardian.id}>{student.id}",
            student_link_id=student.id,
            guardian_link_id=guardian.id,
            relationship="Mother",
            active=until is None,
            left_at=until,
        ),
    )


def a_class(session: Session, id: str, name: str = "Algebra", school: str = LINCOLN, **fields: Any) -> Class:
    found = Class(
        **{"id": f"class-{id}", "source_id": "unified/files", "school_id": school, "external_id": id, "name": name}
        | fields
    )
    add(session, found)
    return found


def in_class(session: Session, found: Class, link: Link, until: datetime | None = None, **fields: Any) -> None:
    add(
        session,
        ClassMembership(
            id=f"{link.id}in{found.id}",
            class_id=found.id,
            link_id=link.id,
            active=until is None,
            left_at=until,
            **fields,
        ),
    )


def an_issue(
    session: Session,
    code: str,
    record_id: str | None,
    row: Mapping[str, str | None],
    *,
    school: str | None = LINCOLN,
    file: str = "students.csv",
) -> None:
    add(
        session,
        Issue(
            source_id="unified/files",
            school_id=school,
            code=code,
            file=file,
            line=2,
            record_id=record_id,
            dependents=0,
            row=json.dumps(row, ensure_ascii=False),
        ),
    )


def a_hold(session: Session, *items: tuple[str, str], code: str = "data_removals") -> None:
    """An open hold of Lincoln, about these: type and key."""
    hold = Hold(school_id=LINCOLN, opened_at=NOW)
    add(session, hold)
    assert hold.id is not None
    add(session, HoldReason(hold_id=hold.id, code=code, since=BEFORE))
    add(session, *[HoldItem(hold_id=hold.id, code=code, type=kind, key=key) for kind, key in items])


def lincoln(session: Session) -> School:
    return session.get_one(School, LINCOLN)


def person(session: Session, link: Link, visible: frozenset[str] | None = ONLY_LINCOLN) -> people.Person:
    session.expire_all()
    return people.person(session, lincoln(session), link.id, visible)


def reasons(session: Session, link: Link, visible: frozenset[str] | None = ONLY_LINCOLN) -> tuple[Reason, ...]:
    return person(session, link, visible).reasons


STUDENT_ROW = {
    "student_id": "07",
    "student_first_name": "Zoë",
    "student_last_name": "Núñez",
    "student_email": "zoe@s.example",
    "guardian_id": "G1",
    "guardian_first_name": "Rosa",
    "guardian_last_name": "Paz",
    "guardian_phone": "(415) 555-0133",
}

# --- search -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    ["munoz", "MUÑ an", "Ana", "000123", "123", "0001", "ANA@s", "(415) 555-0100", "5550100", "  ana\u200b "],
)
def test_somebody_is_found_by_name_email_phone_or_id(session: Session, query: str) -> None:
    somebody(session, "000123", at={LINCOLN: None}, email="ana@s.example", phone="+14155550100")
    somebody(session, "000999", "Bob Stone", at={LINCOLN: None}, email="bob@s.example", phone="+14155550199")
    found = finding.find(session, lincoln(session), query, whole_district=False)
    assert found.found == (Found("student", "link-000123", "Ana Muñoz", "000123", "student"),)


@pytest.mark.parametrize("query", ["", "a", "%", "__", "uñoz", "nobody", "{{7*7}}", "x" * 10_000, '"'])
def test_nobody_is_found_by_anything_else(session: Session, query: str) -> None:
    somebody(session, "000123", at={LINCOLN: None})
    assert finding.find(session, lincoln(session), query, whole_district=True) == finding.Results()


def test_a_school_finds_its_own_people_guardians_and_classes_only(session: Session) -> None:
    child = somebody(session, "1", "Paz One", at={LINCOLN: None})
    guardian_of(session, somebody(session, "G1", "Paz Guardian", kind="guardian"), child)
    elsewhere = somebody(session, "2", "Paz Two", at={ROOSEVELT: None})
    guardian_of(session, somebody(session, "G2", "Paz Other", kind="guardian"), elsewhere)
    somebody(session, "3", "Paz Former", at={LINCOLN: BEFORE})
    a_class(session, "C1", "Paz choir")
    a_class(session, "C2", "Paz band", ROOSEVELT)
    found = finding.find(session, lincoln(session), "paz", whole_district=True)
    assert [(each.kind, each.name, each.is_here) for each in found.found] == [
        ("class", "Paz choir", True),
        ("guardian", "Paz Guardian", True),
        ("student", "Paz One", True),
        ("student", "Paz Former", False),
    ]


def test_an_exact_id_comes_first_and_many_results_are_counted(session: Session) -> None:
    for number in range(60):
        somebody(session, f"7{number:02}", f"Ana A{number:02}", at={LINCOLN: None})
    a_class(session, "7", "Seven")
    found = finding.find(session, lincoln(session), "7", whole_district=True)
    assert found == finding.Results()
    found = finding.find(session, lincoln(session), "759", whole_district=True)
    assert [each.record_id for each in found.found] == ["759"]
    found = finding.find(session, lincoln(session), "ana", whole_district=True)
    assert (len(found.found), found.more) == (50, 10)


@pytest.mark.parametrize("query", ["nunez zoe", "07", "zoe@s.example", "rosa paz", "415 555 0133"])
def test_a_rejected_record_is_found_with_its_errors(session: Session, query: str) -> None:
    an_issue(session, "name_missing", "07", STUDENT_ROW)
    found = finding.find(session, lincoln(session), query, whole_district=False)
    assert found.found == (Found("student", None, "Zoë Núñez", "07", None, False, (ERROR["name_missing"],)),)


def test_a_record_of_no_school_is_found_by_the_district_only(session: Session) -> None:
    an_issue(session, "school_unknown", "07", STUDENT_ROW, school=None)
    an_issue(session, "name_missing", "08", {**STUDENT_ROW, "student_id": "08"}, school=ROOSEVELT)
    assert finding.find(session, lincoln(session), "nunez", whole_district=False).found == ()
    found = finding.find(session, lincoln(session), "nunez", whole_district=True).found
    assert [each.record_id for each in found] == ["07"]


def test_a_rejected_record_of_somebody_known_is_found_as_them(session: Session) -> None:
    somebody(session, "07", "Zoë Núñez", at={LINCOLN: None})
    an_issue(session, "name_missing", "07", STUDENT_ROW)
    found = finding.find(session, lincoln(session), "nunez", whole_district=False).found
    assert [(each.id, each.issues) for each in found] == [("link-07", ())]


def test_a_guardian_is_not_found_by_the_childs_name(session: Session) -> None:
    an_issue(session, "guardian_unreachable", "G1", STUDENT_ROW)
    assert finding.find(session, lincoln(session), "nunez", whole_district=True).found == ()
    (found,) = finding.find(session, lincoln(session), "rosa", whole_district=True).found
    assert (found.kind, found.name, found.record_id) == ("guardian", "Rosa Paz", "G1")


# --- why somebody is not there ----------------------------------------------------------------------------------------


def test_somebody_here_as_the_sis_says_needs_no_reason(session: Session) -> None:
    assert reasons(session, somebody(session, "1", at={LINCOLN: None})) == ()


def test_in_no_row_since(session: Session) -> None:
    link = somebody(session, "1", at={LINCOLN: BEFORE}, archived_at=NOW)
    assert reasons(session, link) == (Reason(Why.NOT_IN_DATA, BEFORE),)


def test_left_on_their_own(session: Session) -> None:
    link = somebody(session, "1", at={LINCOLN: BEFORE}, archived_at=BEFORE, left_at=BEFORE)
    assert reasons(session, link) == (Reason(Why.LEFT, BEFORE),)


def test_at_another_school_is_named_to_whoever_sees_it(session: Session) -> None:
    link = somebody(session, "1", at={LINCOLN: BEFORE, ROOSEVELT: None}, email="new@s.example")
    assert reasons(session, link) == (Reason(Why.ELSEWHERE, BEFORE),)
    assert reasons(session, link, None) == (Reason(Why.ELSEWHERE, BEFORE, "Roosevelt"),)


def test_a_rejected_record_of_somebody_here_leaves_them_as_they_were(session: Session) -> None:
    link = somebody(session, "07", at={LINCOLN: None})
    an_issue(session, "name_missing", "07", STUDENT_ROW)
    assert reasons(session, link) == (Reason(Why.KEPT, issue=ERROR["name_missing"]),)


def test_a_rejected_record_of_somebody_gone_keeps_them_from_coming_back(session: Session) -> None:
    link = somebody(session, "07", at={LINCOLN: BEFORE}, archived_at=BEFORE)
    an_issue(session, "name_missing", "07", STUDENT_ROW)
    assert reasons(session, link) == (
        Reason(Why.NOT_IN_DATA, BEFORE),
        Reason(Why.REJECTED, issue=ERROR["name_missing"]),
    )


def test_an_issue_of_the_guardian_on_the_same_row_is_not_the_students(session: Session) -> None:
    link = somebody(session, "07", at={LINCOLN: None})
    an_issue(session, "guardian_unreachable", "G1", STUDENT_ROW)
    assert (person(session, link).issues, reasons(session, link)) == ((), ())


def test_a_former_school_unknown(session: Session) -> None:
    link = somebody(session, "07", at={LINCOLN: None})
    an_issue(session, "former_school_unknown", "07", STUDENT_ROW)
    assert reasons(session, link) == (Reason(Why.FORMER_SCHOOL_UNKNOWN, issue=ERROR["former_school_unknown"]),)


def test_a_removal_that_waits(session: Session) -> None:
    link = somebody(session, "1", at={LINCOLN: None})
    a_hold(session, ("students", link.account_id))
    assert reasons(session, link) == (Reason(Why.REMOVAL_HELD, BEFORE),)
    assert person(session, link).events == (Event(NOW, HELD, (), "Lincoln"),)


def test_a_school_on_hold_for_others(session: Session) -> None:
    link = somebody(session, "1", at={LINCOLN: None})
    a_hold(session, ("students", "account-2"))
    assert reasons(session, link) == (Reason(Why.ON_HOLD, BEFORE),)


@pytest.mark.parametrize(
    ("changed", "why"),
    [({"on_plan": False}, Why.OFF_PLAN), ({"frozen": True}, Why.OFF_PLAN), ({"source_id": None}, Why.NO_SOURCE)],
)
def test_a_school_that_is_not_synced(session: Session, changed: dict[str, Any], why: Why) -> None:
    link = somebody(session, "1", at={LINCOLN: None})
    school = lincoln(session)
    for name, value in changed.items():
        setattr(school, name, value)
    add(session, school)
    assert reasons(session, link) == (Reason(why),)


def test_of_a_former_source(session: Session) -> None:
    link = somebody(session, "1", at={LINCOLN: None}, source="unified/former")
    assert reasons(session, link) == (Reason(Why.FORMER_SOURCE),)


def test_a_guardian_whose_child_left(session: Session) -> None:
    child = somebody(session, "1", at={LINCOLN: BEFORE}, archived_at=BEFORE)
    guardian = somebody(session, "G1", kind="guardian", archived_at=BEFORE)
    guardian_of(session, guardian, child, BEFORE)
    assert reasons(session, guardian) == (Reason(Why.NO_CHILD_HERE, BEFORE),)


def test_a_record_that_never_became_an_account(session: Session) -> None:
    an_issue(session, "name_missing", "07", STUDENT_ROW)
    a_hold(session)
    found = people.record(session, lincoln(session), "student", "07", ONLY_LINCOLN)
    assert (found.link_id, found.name, found.record_ids) == (None, "Zoë Núñez", ("07",))
    assert found.reasons == (Reason(Why.REJECTED, issue=ERROR["name_missing"]), Reason(Why.ON_HOLD, BEFORE))
    assert found.fields == (
        FieldValue("first_name", "Zoë"),
        FieldValue("last_name", "Núñez"),
        FieldValue("email", "zoe@s.example"),
    )


def test_an_enrolled_id_that_no_record_has(session: Session) -> None:
    a_class(session, "C1", "Algebra")
    an_issue(session, "enrollment_student_unknown", "099", {"class_id": "C1", "user_id": "099"}, file="enrollments.csv")
    (found,) = finding.find(session, lincoln(session), "099", whole_district=False).found
    assert (found.kind, found.record_id) == ("enrollment", "099")
    shown = people.record(session, lincoln(session), "enrollment", "099", ONLY_LINCOLN)
    assert shown.reasons == (Reason(Why.PERSON_UNKNOWN, name="Algebra", issue=ERROR["enrollment_student_unknown"]),)
    (unused,) = people.class_page(session, lincoln(session), "class-C1", ONLY_LINCOLN).unused
    assert (unused.code, unused.record_id) == ("enrollment_student_unknown", "099")


@pytest.mark.parametrize(("kind", "id"), [("student", "08"), ("employee", "07"), ("class", "07"), ("nothing", "07")])
def test_a_record_of_nothing_is_not_found(session: Session, kind: str, id: str) -> None:
    an_issue(session, "name_missing", "07", STUDENT_ROW)
    with pytest.raises(NotFound):
        people.record(session, lincoln(session), kind, id, None)


# --- why somebody is not in a class -----------------------------------------------------------------------------------


def test_why_somebody_is_in_no_class(session: Session) -> None:
    link = somebody(session, "07", at={LINCOLN: None})
    in_class(session, a_class(session, "C1", "Art"), link, BEFORE, by_choice=True)
    in_class(session, a_class(session, "C2", "Biology", archived_at=NOW), link, NOW)
    in_class(session, a_class(session, "C3", "Chess"), link, BEFORE)
    an_issue(session, "student_without_class", "07", STUDENT_ROW)
    an_issue(session, "enrollment_class_unknown", "C9", {"class_id": "C9", "user_id": "07"}, file="enrollments.csv")
    an_issue(session, "enrollment_class_unknown", "C8", {"class_id": "C8", "user_id": "0007"}, file="enrollments.csv")
    an_issue(session, "class_teacher_unknown", "C4", {"class_id": "C4", "class_name": "Drama"}, file="classes.csv")
    an_issue(session, "class_name_missing", "C1", {"class_id": "C1", "class_name": None}, file="classes.csv")
    assert set(person(session, link).class_reasons) == {
        Reason(Why.NO_CLASS, issue=ERROR["student_without_class"]),
        Reason(Why.LEFT_CLASS, BEFORE, "Art"),
        Reason(Why.CLASS_GONE, NOW, "Biology"),
        Reason(Why.NOT_ENROLLED, BEFORE, "Chess"),
        Reason(Why.CLASS_UNKNOWN, name="C9", issue=ERROR["enrollment_class_unknown"]),
        Reason(Why.CLASS_REJECTED, name="Drama", issue=ERROR["class_teacher_unknown"]),
    }


def test_a_class_and_why_it_is_not_there(session: Session) -> None:
    gone = a_class(session, "C1", archived_at=BEFORE)
    kept = a_class(session, "C2")
    an_issue(session, "class_name_missing", "C2", {"class_id": "C2", "class_name": None}, file="classes.csv")
    school = lincoln(session)
    assert people.class_page(session, school, gone.id, None).reasons == (Reason(Why.NOT_IN_DATA, BEFORE),)
    assert people.class_page(session, school, kept.id, None).reasons == (
        Reason(Why.KEPT, issue=ERROR["class_name_missing"]),
    )
    an_issue(session, "class_teacher_unknown", "C4", {"class_id": "C4", "class_name": "Drama"}, file="classes.csv")
    never = people.class_record(session, school, "C4", None)
    assert (never.name, never.reasons) == ("Drama", (Reason(Why.REJECTED, issue=ERROR["class_teacher_unknown"]),))
    a_hold(session, ("classes", kept.id))
    assert Reason(Why.REMOVAL_HELD, BEFORE) in people.class_page(session, school, kept.id, None).reasons
    with pytest.raises(NotFound):
        people.class_record(session, school, "C2", None)
    with pytest.raises(NotFound):
        people.class_page(session, session.get_one(School, ROOSEVELT), kept.id, None)


def test_a_classs_members(session: Session) -> None:
    found = a_class(session, "C1")
    in_class(session, found, somebody(session, "T", "Tess Teacher", kind="employee", at={LINCOLN: None}), is_owner=True)
    in_class(session, found, somebody(session, "1", "Ana One", at={LINCOLN: None}))
    in_class(session, found, somebody(session, "2", "Bob Two", at={ROOSEVELT: None}))
    in_class(session, found, somebody(session, "3", "Cy Three", at={LINCOLN: None}), BEFORE)
    page = people.class_page(session, lincoln(session), found.id, ONLY_LINCOLN)
    assert [each.name for each in page.teachers] == ["Tess Teacher"]
    assert [(each.name, each.school_id) for each in page.students] == [("Ana One", LINCOLN), ("Bob Two", None)]
    assert [(each.name, each.until) for each in page.former] == [("Cy Three", BEFORE)]


# --- scope ------------------------------------------------------------------------------------------------------------


def test_nobody_of_another_school_or_district_has_a_page(session: Session) -> None:
    others = [
        somebody(session, "1", at={ROOSEVELT: None}),
        somebody(session, "2", at={MILL: None}, source="valley/files"),
        somebody(session, "G3", kind="guardian"),
    ]
    for link in others:
        with pytest.raises(NotFound):
            person(session, link, None)
    with pytest.raises(NotFound):
        people.person(session, lincoln(session), "nobody", None)


def test_whoever_moved_out_of_sight_is_a_name_and_an_id(session: Session) -> None:
    link = somebody(session, "1", at={LINCOLN: BEFORE, ROOSEVELT: None}, email="new@s.example")
    in_class(session, a_class(session, "C1"), link, BEFORE)
    shown = person(session, link)
    assert (shown.name, shown.record_ids, shown.has_details) == ("Ana Muñoz", ("1",), False)
    assert shown.places == (Place(LINCOLN, "Lincoln", BEFORE),)
    assert (shown.fields, shown.classes, shown.guardians, shown.issues, shown.events) == ((), (), (), (), ())
    assert person(session, link, None).has_details
    assert person(session, link, frozenset({LINCOLN, ROOSEVELT})).has_details


def test_a_guardian_shows_the_children_of_schools_in_sight_only(session: Session) -> None:
    guardian = somebody(session, "G1", kind="guardian", account="account-shared", **shared(session))
    guardian_of(session, guardian, somebody(session, "1", "Ana One", at={LINCOLN: None}))
    guardian_of(session, guardian, somebody(session, "2", "Bob Two", at={ROOSEVELT: None}))
    elsewhere = Link(
        id="link-V1", account_id="account-shared", source_id="valley/files", kind="guardian", role="guardian"
    )
    add(session, elsewhere)
    guardian_of(session, elsewhere, somebody(session, "3", "Cy Three", at={MILL: None}, source="valley/files"))
    assert [each.name for each in person(session, guardian).children] == ["Ana One"]
    assert [each.name for each in person(session, guardian, None).children] == ["Ana One", "Bob Two"]
    assert [place.name for place in person(session, guardian).places] == ["Lincoln"]


def shared(session: Session) -> dict[str, Any]:
    add(
        session,
        Account(id="account-shared", role="guardian", first_name="Annette", email="a@v.example", created_at=BEFORE),
    )
    return {"email": "ana@u.example"}


def test_a_persons_own_edit_is_shown_unless_another_district_may_have_made_it(session: Session) -> None:
    link = somebody(session, "1", at={LINCOLN: None}, email="sis@s.example", own={"email": "own@s.example"})
    edited = next(field for field in person(session, link).fields if field.name == "email")
    assert edited == FieldValue("email", "sis@s.example", "own@s.example", differs=True)
    add(
        session,
        Link(id="link-V", account_id=link.account_id, source_id="valley/files", kind="student", role="student"),
    )
    hidden = next(field for field in person(session, link).fields if field.name == "email")
    assert hidden == FieldValue("email", "sis@s.example", None, differs=True, is_hidden=True)


def test_other_schools_classes_and_nights_are_not_shown(session: Session) -> None:
    link = somebody(session, "1", at={LINCOLN: None, ROOSEVELT: None})
    in_class(session, a_class(session, "C1", "Art"), link)
    in_class(session, a_class(session, "C2", "Band", ROOSEVELT), link)
    run = Run(district_id="unified", source_id="unified/files", started_at=NOW, heartbeat_at=NOW)
    add(session, run)
    assert run.id is not None
    for school, at, action, fields in (
        (LINCOLN, BEFORE, "create", None),
        (ROOSEVELT, BEFORE, "join", "class_added"),
        (ROOSEVELT, NOW, "join", "class_added\nlast_name"),
    ):
        add(
            session,
            RecordChange(
                run_id=run.id, school_id=school, subject_id=link.account_id, at=at, action=action, fields=fields
            ),
        )
    shown = person(session, link)
    assert [each.name for each in shown.classes] == ["Art"]
    assert shown.events == (Event(NOW, "update", ("last_name",), ""), Event(BEFORE, "create", (), "Lincoln"))
    assert [each.name for each in person(session, link, None).classes] == ["Art", "Band"]
    assert len(person(session, link, None).events) == 3


def test_a_guardians_issue_shows_nothing_of_the_child_whose_row_it_is(session: Session) -> None:
    guardian = somebody(session, "G1", "Rosa Paz", kind="guardian")
    guardian_of(session, guardian, somebody(session, "1", at={LINCOLN: None}))
    an_issue(session, "phone_invalid", "G1", STUDENT_ROW)
    (issue,) = person(session, guardian).issues
    assert issue.row == {
        "external_id": "G1",
        "first_name": "Rosa",
        "last_name": "Paz",
        "phone": "(415) 555-0133",
    }


def test_letters_of_any_script_and_case_are_found(session: Session) -> None:
    """The database's first choice leaves out nobody."""
    for id, name in (("Ä1", "Élodie Straße"), ("b\\2", "\uff37\uff29\uff24\uff25 Ōno"), ("3%_", "Мария Иванова")):
        somebody(session, id, name, at={LINCOLN: None})
    found = {
        query: [each.record_id for each in finding.find(session, lincoln(session), query, whole_district=False).found]
        for query in ("elodie strasse", "ä1", "wide", "ono", "b\\2", "мария", "3%_", "3%x")
    }
    assert found == {
        "elodie strasse": ["Ä1"],
        "ä1": ["Ä1"],
        "wide": ["b\\2"],
        "ono": ["b\\2"],
        "b\\2": ["b\\2"],
        "мария": ["3%_"],
        "3%_": ["3%_"],
        "3%x": [],
    }
