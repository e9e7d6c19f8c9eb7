from datetime import date
from typing import Any

import pytest

from contracts.roster import Settled
from tests.contracts.district import (
    NOBODY,
    Files,
    account,
    codes,
    guardian_of,
    issues,
    kept,
    link,
    members,
    one,
    settled,
    stored,
    student,
    teacher,
    who,
)

SAME = "same@mail.example"
PHONE = "212 555 0123"


def _holder(value: Settled, email: str = SAME) -> list[Any]:
    return value.people.filter(email=email)["external_id"].to_list()


def test_a_contested_email_goes_to_the_highest_role() -> None:
    files = Files().with_teacher(teacher("T2", email=SAME))
    files.with_student(student("S2", email=SAME, guardian=guardian_of("G2", email=SAME, phone=PHONE)))
    found = settled(files)
    assert _holder(found) == ["T2"]
    assert issues(found) == [("email_taken", "1", 3, "G2", 0), ("email_taken", "1", 3, "S2", 0)]
    assert one(found, "G2", "email", "phone") == (None, "+12125550123")
    files = Files().with_student(student("S2", email=SAME, guardian=guardian_of("G2", email=SAME)))
    assert _holder(settled(files)) == ["G2"]


def test_between_equals_it_goes_to_the_one_whose_active_link_holds_it_then_to_the_id_that_sorts_first() -> None:
    files = Files().with_teacher(teacher("T3", email=SAME)).with_teacher(teacher("T2", email=SAME.upper()))
    found = settled(files)
    assert _holder(found) == ["T2"]
    assert issues(found) == [("teacher_email_taken", "1", 3, "T3", 2)]
    assert _holder(settled(files, stored(link("L3", "employee", "T3", email=SAME)))) == ["T3"]
    archived = stored(link("L3", "employee", "T3", email=SAME, active=False))
    assert _holder(settled(files, archived)) == ["T2"]
    assert _holder(settled(files, stored(link("L3", "employee", "T3", email="old@mail.example")))) == ["T2"]


def test_a_holder_of_a_lower_role_gives_way() -> None:
    files = Files().with_teacher(teacher("T2", email=SAME))
    files.with_student(student("S2", guardian=guardian_of("G2", email=SAME, phone=PHONE)))
    assert _holder(settled(files, stored(link("LG2", "guardian", "G2", email=SAME)))) == ["T2"]


def test_guardians_without_an_id_come_last_by_name_and_phone() -> None:
    files = Files()
    for number, (name, given) in enumerate([("Zoe", ""), ("Ann", ""), ("Mia", "G9")], start=2):
        entry = guardian_of(given, first_name=name, last_name=name, email=SAME, phone=f"212 555 012{number}")
        files.with_student(student(f"S{number}", guardian=entry))
    assert settled(files).people.filter(email=SAME)["first_name"].to_list() == ["Mia"]
    del files.students[3]
    assert settled(files).people.filter(email=SAME)["first_name"].to_list() == ["Ann"]


def test_a_guardian_who_loses_it_and_has_no_phone_is_rejected() -> None:
    files = Files().with_teacher(teacher("T2", email=SAME))
    files.with_student(student("S2", phone=PHONE, guardian=guardian_of("G2", email=SAME)))
    found = settled(files)
    assert issues(found) == [("guardian_unreachable", "1", 3, "G2", 0)]
    assert who(found) == ["T1", "T2", "S1", "S2", "G1"]


def test_a_rejected_record_claims_what_its_link_last_stored() -> None:
    files = Files().with_teacher(teacher("T2", email="")).with_teacher(teacher("T3", email=SAME))
    known = stored(link("L2", "employee", "T2", email=SAME))
    found = settled(files, known)
    assert issues(found) == [
        ("teacher_email_missing", "1", 3, "T2", 0),
        ("teacher_email_taken", "1", 4, "T3", 2),
    ]
    assert ("CT2", "1", "L2", True) in members(found)
    assert kept(found, "school_members") == [("L2", None)]
    archived = stored(link("L2", "employee", "T2", email=SAME, active=False))
    assert _holder(settled(files, archived)) == ["T3"]


def test_one_who_loses_a_new_email_goes_on_with_the_old_one_and_claims_it() -> None:
    files = Files().with_teacher(teacher("T2", email="b@unified.example"))
    files.with_teacher(teacher("T3", email="a@unified.example")).with_teacher(teacher("T4", email="b@unified.example"))
    known = stored(
        link("L2", "employee", "T2", email="a@unified.example"), link("L4", "employee", "T4", email="b@unified.example")
    )
    found = settled(files, known)
    assert issues(found) == [("teacher_email_taken", "1", 3, "T2", 0), ("teacher_email_taken", "1", 4, "T3", 2)]
    assert one(found, "T4", "email") == "b@unified.example"


def test_a_valid_record_claims_only_what_it_says_now() -> None:
    files = Files().with_teacher(teacher("T2", email="new@unified.example")).with_teacher(teacher("T3", email=SAME))
    found = settled(files, stored(link("L2", "employee", "T2", email=SAME)))
    assert found.issues.rows() == []
    assert _holder(found) == ["T3"]


@pytest.mark.parametrize(
    ("values", "claims"),
    [
        ({"from_this_source": False}, True),
        ({"from_this_source": False, "former": True}, False),
        ({"from_this_source": False, "active": False}, False),
        ({"beyond": True}, True),
        ({}, False),
        ({"beyond": True, "active": False}, False),
        ({"beyond": True, "former": True}, False),
    ],
)
def test_links_that_the_delivery_does_not_speak_of_claim_and_those_in_no_row_or_former_do_not(
    values: dict[str, Any], claims: bool
) -> None:
    files = Files().with_teacher(teacher("T3", email=SAME))
    found = settled(files, stored(link("L2", "employee", "T0", email=SAME, **values)))
    assert codes(found) == ["teacher_email_taken"] * claims


def test_a_claim_beyond_the_delivery_has_the_rank_of_its_role() -> None:
    files = Files().with_teacher(teacher("T3", email=SAME))
    found = settled(files, stored(link("L2", "guardian", "G0", from_this_source=False, email=SAME)))
    assert _holder(found) == ["T3"]
    found = settled(files, stored(link("L2", "employee", "Z", from_this_source=False, role="staff", email=SAME)))
    assert codes(found) == ["teacher_email_taken"]


def test_left_out_people_claim_what_they_hold_where_nobody_syncs_or_another_source_is_to_take_them() -> None:
    files = Files().with_teacher(teacher("T3", email=SAME))
    files.teachers.append(teacher("T2", "2", email=SAME))
    for known in (
        stored(link("L2", "employee", "T2", email=SAME, beyond=True)),
        stored(link("L2", "employee", "T2", email=SAME), other_schools=[("2", "Adams", None)]),
    ):
        assert codes(settled(files, known, schools=["1"])) == ["teacher_email_taken"]
    assert _holder(settled(files, stored(link("L2", "employee", "T2", email=SAME)), schools=["1"])) == ["T3"]
    assert _holder(settled(files, schools=["1"])) == ["T3"]


def test_claims_of_one_account_do_not_contest() -> None:
    files = Files().with_teacher(teacher("T2", email=SAME))
    known = stored(
        link("L2", "employee", "T2", account_id="A1", email=SAME),
        link("L1", "employee", "X1", account_id="A1", from_this_source=False, email=SAME),
    )
    found = settled(files, known)
    assert found.issues.rows() == []
    assert _holder(found) == ["T2"]


# --- accounts ---


def test_an_account_of_the_same_role_and_email_is_adopted() -> None:
    files = Files().with_teacher(teacher("T2", email=SAME))
    for role in ("teacher", "staff"):
        found = settled(files, stored(accounts=[account("A9", role, email=SAME)]))
        assert one(found, "T2", "adopts", "email", "link_id") == ("A9", SAME, None)
    files = Files().with_student(student("S2", guardian=guardian_of("G2", email=SAME)))
    assert one(settled(files, stored(accounts=[account("A9", "guardian", email=SAME)])), "G2", "adopts") == "A9"


def test_an_account_that_is_not_adopted_keeps_its_email_and_every_claimant_loses() -> None:
    files = Files().with_teacher(teacher("T2", email=SAME)).with_teacher(teacher("T3", email=SAME))
    found = settled(files, stored(accounts=[account("A9", "student", email=SAME)]))
    assert codes(found) == ["teacher_email_taken", "teacher_email_taken"]
    assert found.freed_emails.rows() == []
    files = Files().with_student(student("S2", email=SAME))
    found = settled(files, stored(accounts=[account("A9", "guardian", email=SAME)]))
    assert codes(found) == ["email_taken"]
    assert one(found, "S2", "email", "adopts") == (None, None)


def test_a_record_with_a_link_adopts_nobody() -> None:
    files = Files().with_teacher(teacher("T2", email=SAME))
    known = stored(
        link("L2", "employee", "T2", email="old@mail.example"), accounts=[account("A9", "teacher", email=SAME)]
    )
    found = settled(files, known)
    assert codes(found) == ["teacher_email_taken"]


def test_one_who_returns_to_their_own_account_finds_its_email_theirs() -> None:
    files = Files().with_teacher(teacher("T2", email=SAME))
    known = stored(
        link("L2", "employee", "T2", email=SAME, account_id="A9", active=False),
        accounts=[account("A9", "teacher", email=SAME)],
    )
    found = settled(files, known)
    assert one(found, "T2", "link_id", "adopts", "email") == ("L2", None, SAME)


@pytest.mark.parametrize(("theirs", "adopted"), [(None, True), (date(2014, 9, 3), True), (date(2014, 9, 4), False)])
def test_a_student_is_adopted_by_email_unless_the_birth_dates_differ(theirs: date | None, adopted: bool) -> None:
    files = Files().with_student(student("S2", email=SAME))
    found = settled(files, stored(accounts=[account("A9", "student", email=SAME, birth_date=theirs)]))
    assert one(found, "S2", "adopts", "email") == (("A9", SAME) if adopted else (None, None))


def test_an_account_is_adopted_by_one_record_only() -> None:
    files = Files().with_teacher(teacher("T3", email=SAME)).with_teacher(teacher("T2", email=SAME))
    found = settled(files, stored(accounts=[account("A9", "teacher", email=SAME)]))
    assert one(found, "T2", "adopts", "email") == ("A9", SAME)
    assert issues(found, "code", "record_id") == [("teacher_email_taken", "T3")]


def test_an_adopted_account_gives_its_email_up_to_a_higher_role() -> None:
    files = Files().with_teacher(teacher("T2", email=SAME))
    files.with_student(student("S2", guardian=guardian_of("G2", email=SAME, phone=PHONE)))
    found = settled(files, stored(accounts=[account("A9", "guardian", email=SAME)]))
    assert one(found, "G2", "adopts", "email") == ("A9", None)
    assert _holder(found) == ["T2"]
    assert found.freed_emails.rows() == [("A9", SAME)]


def _by_hand(account_id: str = "A9", **values: Any) -> dict[str, Any]:
    person: dict[str, Any] = {"first_name": "TEA2", "last_name": "cher2", "phone": "+12125550123", "by_hand": True}
    return account(account_id, **{"role": "staff", **person, **values})


@pytest.mark.parametrize(
    ("accounts", "adopts"),
    [
        ([_by_hand()], "A9"),
        ([_by_hand(email="other@mail.example")], "A9"),
        ([_by_hand(by_hand=False)], None),
        ([_by_hand(linked=True)], None),
        ([_by_hand(phone="+12125550124")], None),
        ([_by_hand(first_name="Tess")], None),
        ([_by_hand(last_name=None)], None),
        ([_by_hand(role="guardian")], None),
        ([_by_hand(), _by_hand("A8")], None),
        ([_by_hand(), _by_hand("A8", role="guardian")], "A9"),
        ([_by_hand(), _by_hand("A8", email="t2@unified.example", role="teacher")], "A8"),
    ],
)
def test_the_only_hand_made_account_of_the_same_role_phone_and_name_is_adopted(
    accounts: list[dict[str, Any]], adopts: str | None
) -> None:
    found = settled(Files().with_teacher(teacher("T2", phone=PHONE)), stored(accounts=accounts))
    assert one(found, "T2", "adopts") == adopts


def test_a_guardian_is_adopted_by_phone_and_name_and_a_student_is_not() -> None:
    files = Files().with_student(student("S2", phone=PHONE, guardian=guardian_of("G2", phone=PHONE)))
    guardian = _by_hand(role="guardian", first_name="Gua2", last_name="Dian2")
    pupil = _by_hand("A8", role="student", first_name="Stu2", last_name="Dent2")
    found = settled(files, stored(accounts=[guardian, pupil]))
    assert (one(found, "G2", "adopts"), one(found, "S2", "adopts")) == ("A9", None)


def test_an_account_is_adopted_by_phone_once_and_not_by_somebody_with_a_link() -> None:
    twins = [teacher(name, phone=PHONE, first_name="Tea2", last_name="Cher2") for name in ("T4", "T3")]
    files = Files().with_teacher(twins[0]).with_teacher(twins[1])
    found = settled(files, stored(accounts=[_by_hand()]))
    assert (one(found, "T3", "adopts"), one(found, "T4", "adopts")) == ("A9", None)
    found = settled(files, stored(link("L3", "employee", "T3", first_name="Tea2"), accounts=[_by_hand()]))
    assert (one(found, "T3", "adopts"), one(found, "T4", "adopts")) == (None, "A9")


def test_a_rejected_record_adopts_nobody() -> None:
    files = (
        Files()
        .with_teacher(teacher("T2", email="", phone=PHONE))
        .with_teacher(teacher("T3", first_name="Tea2", last_name="Cher2", phone=PHONE))
    )
    found = settled(files, stored(accounts=[_by_hand()]))
    assert one(found, "T3", "adopts") == "A9"


def test_a_persons_own_edit_is_a_claim_of_their_role() -> None:
    """The account holds an email that its link does not: the record's own stays what the link says."""
    mine = account("A1", "teacher", email=SAME, linked=True)
    files = Files().with_teacher(teacher("T2")).with_teacher(teacher("T3", email=SAME))
    known = stored(link("L2", "employee", "T2", account_id="A1", email="t2@unified.example"), accounts=[mine])
    found = settled(files, known)
    assert issues(found, "code", "record_id") == [("teacher_email_taken", "T3")]
    files = Files().with_student(student("S2", guardian=guardian_of("G2"))).with_teacher(teacher("T3", email=SAME))
    known = stored(
        link("L2", "guardian", "G2", account_id="A1", email="g2@mail.example"),
        accounts=[mine | {"role": "guardian"}],
    )
    found = settled(files, known)
    assert _holder(found) == ["T3"]
    assert found.freed_emails.rows() == [("A1", SAME)]


def test_an_email_that_the_record_gives_up_is_free_for_another() -> None:
    mine = account("A1", "teacher", email=SAME, linked=True)
    files = Files().with_teacher(teacher("T2")).with_teacher(teacher("T3", email=SAME))
    found = settled(files, stored(link("L2", "employee", "T2", account_id="A1", email=SAME), accounts=[mine]))
    assert found.issues.rows() == []
    assert found.freed_emails.rows() == [("A1", SAME)]


def test_a_student_who_loses_the_email_is_reached_by_nobody() -> None:
    files = Files().with_student(student("S2", email="g1@mail.example", guardian=NOBODY))
    assert issues(settled(files), "code", "record_id") == [
        ("email_taken", "S2"),
        ("student_unreachable", "S2"),
        ("student_without_guardian", "S2"),
    ]
