from collections.abc import Mapping
from datetime import date

import polars as pl
import pytest

from contracts import checking, guardians, normalizing, relations, settling, whereabouts
from contracts.issues import CATALOGUE, Severity
from contracts.rules import Rule, breaking, contract, violations
from errors import DataError

CONTRACTS = [
    *(
        normalizing.VALUES,
        normalizing.TEXTS,
        checking.SCHOOLS,
        checking.PEOPLE,
        checking.MEMBERSHIPS,
        checking.CLASSES,
        checking.ENTRIES,
    ),
    *(checking.ROWS, settling.GUARDIANS, settling.PEOPLE, relations.OWNERS, relations.CLASSES, relations.ENROLLMENTS),
    *(guardians.IDS, whereabouts.FORMER),
]


def test_the_contracts_check_every_error_and_alert_of_the_catalogue() -> None:
    named = {check.error for each in CONTRACTS for column in each.columns.values() for check in column.checks}
    assert named == {code for code, entry in CATALOGUE.items() if entry.severity in (Severity.ERROR, Severity.ALERT)}


SMALL = contract(
    "small",
    {
        "name": (
            Rule("name_missing", pl.col("name").is_not_null()),
            Rule("too_long", pl.col("name").str.len_chars() < 4),
        ),
        "age": (Rule("too_young", pl.col("age") >= pl.col("limit")),),
    },
)


def test_every_rule_is_reported_by_code_and_row_and_a_null_keeps_no_rule() -> None:
    frame = pl.DataFrame({"name": ["Ada", None, "Beatrix"], "age": [9, None, 3], "limit": [5, 5, 5]})
    found = violations(SMALL, frame).sort("code", "at")
    assert found.schema == {"code": pl.String, "at": pl.UInt32}
    assert found.rows() == [
        ("name_missing", 1),
        ("too_long", 1),
        ("too_long", 2),
        ("too_young", 1),
        ("too_young", 2),
    ]
    assert breaking(SMALL, frame).filter(code="too_young")["name"].to_list() == [None, "Beatrix"]


def test_a_good_frame_and_an_empty_one_break_nothing() -> None:
    frame = pl.DataFrame({"name": ["Ada"], "age": [9], "limit": [5]})
    assert violations(SMALL, frame).rows() == []
    assert violations(SMALL, frame.clear()).rows() == []


def test_a_missing_column_or_a_check_that_cannot_be_computed_is_an_error_without_any_value() -> None:
    for frame in (
        pl.DataFrame({"name": ["Secretperson"], "limit": [5]}),
        pl.DataFrame({"name": ["Secretperson"], "age": [1]}),
    ):
        with pytest.raises(DataError) as raised:
            violations(SMALL, frame)
        assert "Secretperson" not in str(raised.value)
        assert raised.value.__cause__ is None
        assert raised.value.__suppress_context__


def _breaks(schema: object, row: Mapping[str, object], **wrong: object) -> set[str]:
    return set(violations(schema, pl.DataFrame([{**row, **wrong}]))["code"])  # type: ignore[arg-type]


def test_the_settled_contracts_fail_on_each_thing_that_is_wrong() -> None:
    guardian = {
        "first_name": "Ada",
        "last_name": "Byrd",
        "names_differ": False,
        "external_id": "G1",
        "conflicts": None,
        "email": "a@mail.example",
        "phone": "+12125550123",
        "lost": False,
    }
    assert _breaks(settling.GUARDIANS, guardian) == set()
    assert _breaks(settling.GUARDIANS, guardian, first_name=None) == set()
    assert _breaks(settling.GUARDIANS, guardian, first_name=None, last_name=None) == {"name_missing"}
    assert _breaks(settling.GUARDIANS, guardian, names_differ=True) == {"guardian_names_differ"}
    assert _breaks(settling.GUARDIANS, guardian, conflicts="guardian_phone") == {"duplicate_conflict"}
    assert _breaks(settling.GUARDIANS, guardian, email=None) == set()
    assert _breaks(settling.GUARDIANS, guardian, email=None, phone=None) == {"guardian_unreachable"}
    assert _breaks(settling.GUARDIANS, guardian, lost=True) == {"email_taken"}
    person = {
        "kind": "student",
        "role": "student",
        "email": None,
        "lost": False,
        "has_class": True,
        "has_guardian": True,
        "is_reachable": True,
        "is_valid": True,
        "birth_date": date(2014, 9, 3),
        "bad_birth_date": False,
    }
    assert _breaks(settling.PEOPLE, person) == set()
    assert _breaks(settling.PEOPLE, person, lost=True) == {"email_taken"}
    assert _breaks(settling.PEOPLE, person, lost=True, kind="employee") == {"teacher_email_taken"}
    assert _breaks(settling.PEOPLE, person, has_class=False) == {"student_without_class"}
    assert _breaks(settling.PEOPLE, person, birth_date=None) == {"birth_date_missing"}
    assert _breaks(settling.PEOPLE, person, birth_date=None, bad_birth_date=True) == set()
    teacher = {**person, "kind": "employee", "role": "teacher"}
    assert _breaks(settling.PEOPLE, teacher, has_class=False) == {"teacher_without_class"}
    assert _breaks(settling.PEOPLE, teacher, has_class=False, role="staff") == set()
    assert _breaks(settling.PEOPLE, teacher, role="staff", lost=True) == {"teacher_email_taken"}
    assert _breaks(settling.PEOPLE, person, has_guardian=False) == {"student_without_guardian"}
    assert _breaks(settling.PEOPLE, person, is_reachable=False) == {"student_unreachable"}
    assert _breaks(settling.PEOPLE, person, has_class=False, has_guardian=False, is_valid=False) == set()


def test_the_relation_contracts_fail_on_each_thing_that_is_wrong() -> None:
    owner = {
        "teacher": "T1",
        "school_id": "1",
        "is_known": True,
        "others_known": True,
        "at_school": True,
        "is_person": True,
        "class_is_valid": True,
    }
    assert _breaks(relations.OWNERS, owner) == set()
    assert _breaks(relations.OWNERS, owner, is_known=False) == {"co_teacher_unknown"}
    assert _breaks(relations.OWNERS, owner, is_known=False, others_known=False) == set()
    assert _breaks(relations.OWNERS, owner, at_school=False) == {"class_teacher_other_school"}
    class_ = {"teachers": 1, "has_students": True, "name": "Art", "of_this_name": 1, "is_valid": True}
    assert _breaks(relations.CLASSES, class_) == set()
    assert _breaks(relations.CLASSES, class_, teachers=0) == {"class_teacher_unknown"}
    assert _breaks(relations.CLASSES, class_, has_students=False) == {"class_without_students"}
    assert _breaks(relations.CLASSES, class_, of_this_name=2) == {"class_name_duplicate"}
    enrollment = {
        "class_id": "C1",
        "external_id": "S1",
        "school_id": "1",
        "kind": "student",
        "class_is_known": True,
        "person_is_known": True,
        "is_ambiguous": False,
        "is_elsewhere": False,
        "may_be_unshared": False,
        "stands": True,
        "names_other": False,
        "at_school": True,
    }
    assert _breaks(relations.ENROLLMENTS, enrollment) == set()
    assert _breaks(relations.ENROLLMENTS, enrollment, class_is_known=False) == {"enrollment_class_unknown"}
    assert _breaks(relations.ENROLLMENTS, enrollment, person_is_known=False) == {"enrollment_student_unknown"}
    partly_shared = {**enrollment, "may_be_unshared": True}
    assert _breaks(relations.ENROLLMENTS, partly_shared) == set()
    assert _breaks(relations.ENROLLMENTS, partly_shared, person_is_known=False) == {"record_not_shared"}
    assert _breaks(relations.ENROLLMENTS, enrollment, names_other=True) == {"enrollment_school_mismatch"}
    assert _breaks(relations.ENROLLMENTS, enrollment, at_school=False) == {"enrollment_student_other_school"}
    assert _breaks(relations.ENROLLMENTS, enrollment, at_school=False, kind="employee") == set()
    assert _breaks(relations.ENROLLMENTS, enrollment, is_ambiguous=True) == {"enrollment_ambiguous"}
    guardian = {"guardian_id": "G1", "is_placeholder": False, "is_shared": False}
    assert _breaks(guardians.IDS, guardian) == set()
    assert _breaks(guardians.IDS, guardian, is_placeholder=True) == {"placeholder_value"}
    assert _breaks(guardians.IDS, guardian, is_shared=True) == {"guardian_id_shared"}
    assert _breaks(whereabouts.FORMER, {"is_stored": False}) == set()
    assert _breaks(whereabouts.FORMER, {"is_stored": True}) == {"former_school_unknown"}


def test_a_school_or_student_that_is_not_there_is_a_mistake_unless_the_source_may_hold_it_back() -> None:
    membership = {"school_id": "1", "scope_status": "in", "may_be_unshared": False}
    assert _breaks(checking.MEMBERSHIPS, membership) == set()
    assert _breaks(checking.MEMBERSHIPS, membership, may_be_unshared=True) == set()
    assert _breaks(checking.MEMBERSHIPS, membership, scope_status="unknown") == {"school_unknown"}
    assert _breaks(checking.MEMBERSHIPS, membership, scope_status="unknown", may_be_unshared=True) == {
        "record_not_shared"
    }
    entry = {"email": None, "sharing": 0, "student_id": "S1", "student_is_known": True}
    assert _breaks(checking.ENTRIES, entry) == set()
    assert _breaks(checking.ENTRIES, entry, student_is_known=False) == {"record_not_shared"}
    assert _breaks(checking.ENTRIES, entry, sharing=4) == {"email_shared"}
