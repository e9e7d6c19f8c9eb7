import json
from datetime import date
from typing import Any

import polars as pl
import pytest

from tests.contracts.district import (
    NOBODY,
    Files,
    checked,
    class_,
    codes,
    enrollment,
    guardian_of,
    issues,
    kept,
    link,
    members,
    one,
    pairs,
    school,
    settled,
    stored,
    student,
    teacher,
    who,
)


def test_a_good_district_is_settled_whole_and_without_an_issue() -> None:
    found = settled(Files())
    assert found.issues.rows() == []
    assert who(found) == ["T1", "S1", "G1"]
    assert members(found) == [("C1", "1", "S1", False), ("C1", "1", "T1", True)]
    assert pairs(found) == [("S1", "G1")]
    assert one(found, "S1", "kind", "role", "email", "birth_date", "grade", "file", "line") == (
        "student",
        "student",
        None,
        date(2014, 9, 3),
        "5",
        "students.csv",
        2,
    )
    assert found.school_members.rows() == [(0, "1"), (1, "1")]
    assert found.seen_classes.rows() == [("C1", "1")]
    assert found.protected.rows() == []
    assert found.missing_schools == ()


def test_ids_are_case_sensitive_and_keep_leading_zeros() -> None:
    found = settled(Files().with_teacher(teacher("t1", email="x@unified.example")).with_teacher(teacher("T01")))
    assert found.issues.rows() == []
    assert who(found)[:3] == ["T01", "T1", "t1"]


# --- scope ---


def test_rows_of_schools_that_another_source_syncs_are_left_out_named_once_and_count_as_seen() -> None:
    files = Files().with_teacher(teacher("T2", "2", email="not an email")).with_student(student("S2", "2"))
    files.students.append(student("S3", "2", grade="Owls"))
    known = stored(
        link("L2", "employee", "T2"),
        link("LS2", "student", "S2"),
        link("LG2", "guardian", "G2", email="g2@mail.example"),
        link("L9", "employee", "T9"),
        other_schools=[("2", "Adams", None)],
    )
    found = settled(files, known, schools=["1"])
    assert found.issues.rows() == []
    assert who(found) == ["T1", "S1", "G1"]
    assert members(found) == [("C1", "1", "S1", False), ("C1", "1", "T1", True)]
    assert found.notes == ("ignored schools not synced from this source: 2 (School 2)",)
    assert found.seen_links["link_id"].to_list() == ["L2", "LG2", "LS2"]
    assert ("CT2", "2") in found.seen_classes.rows()


def test_left_out_rows_of_somebody_in_scope_say_nothing_about_them() -> None:
    files = Files()
    files.teachers.append(teacher("T1", "2", first_name="Aaron", last_name="Other", email="a@unified.example"))
    found = settled(files, schools=["1"])
    assert found.issues.rows() == []
    assert one(found, "T1", "first_name", "email") == ("Tea1", "t1@unified.example")
    assert found.school_members.rows() == [(0, "1"), (1, "1")]


def test_a_class_led_by_a_left_out_teacher_is_kept_without_one() -> None:
    files = Files(teachers=[teacher("T1", "2")])
    found = settled(files, schools=["1"])
    assert found.issues.rows() == []
    assert members(found) == [("C1", "1", "S1", False)]


def test_schools_in_scope_that_are_not_named_are_reported() -> None:
    assert settled(Files(), schools=["1", "3"]).missing_schools == ("3",)


def test_a_school_that_is_not_in_the_schools_file_is_an_error_of_its_row() -> None:
    files = Files()
    files.students += [student("S1", "9"), student("S2", "9", guardian=guardian_of("G2", email="bad"))]
    files.classes.append(class_("C1", "T1", "9"))
    files.enrollments.append(enrollment("C1", "S2"))
    known = stored(link("LS1", "student", "S1"), link("LS2", "student", "S2", active=False))
    found = settled(files, known)
    assert issues(found) == [
        ("guardian_unreachable", None, 4, "G2", 0),
        ("school_unknown", "1", 3, "C1", 0),
        ("school_unknown", "1", 3, "S1", 0),
        ("school_unknown", None, 4, "S2", 2),
    ]
    assert who(found) == ["T1", "S1", "G1"]
    assert found.seen_links["link_id"].to_list() == ["LS1", "LS2"]
    assert kept(found, "school_members") == [("LS1", None), ("LS2", None)]
    assert kept(found, "classes") == [(None, "C1")]


# --- schools.csv ---


def test_a_school_name_is_present_short_and_said_once() -> None:
    files = Files(
        schools=[school("1", ""), school("2", "x" * 61), school("3", "B"), school("3", "A"), school("4", "x" * 60)],
        teachers=[teacher("T1", school_id) for school_id in ("1", "2", "3", "4")],
    )
    assert issues(settled(files)) == [
        ("duplicate_conflict", "3", 4, "3", 0),
        ("school_name_missing", "1", 2, "1", 0),
        ("school_name_too_long", "2", 3, "2", 0),
    ]
    assert issues(settled(files, schools=["4", "1"])) == [("school_name_missing", "1", 2, "1", 0)]


# --- values ---


def test_bad_optional_values_are_dropped_with_an_alert_and_the_record_stays() -> None:
    bad: dict[str, Any] = {"email": "no email", "phone": "unlisted", "birth_date": "2012-02-30", "grade": "Owls"}
    guardian = guardian_of("G2", email="ask", phone="212 555 0123")
    found = settled(Files().with_student(student("S2", guardian=guardian, **bad)))
    assert issues(found) == [
        ("birth_date_invalid", "1", 3, "S2", 0),
        ("email_invalid", "1", 3, "G2", 0),
        ("email_invalid", "1", 3, "S2", 0),
        ("grade_unknown", "1", 3, "S2", 0),
        ("phone_invalid", "1", 3, "S2", 0),
    ]
    assert one(found, "S2", "email", "phone", "birth_date", "grade") == (None, None, None, None)
    assert one(found, "G2", "email", "phone") == (None, "+12125550123")


def test_an_issue_keeps_the_row_as_it_came() -> None:
    found = settled(Files().with_student(student("S2", grade="Owls")))
    assert json.loads(found.issues["row"].item()) == {
        "student_id": "S2",
        "school_id": "1",
        "first_name": "Stu2",
        "last_name": "Dent2",
        "email": None,
        "phone": None,
        "birth_date": "2014-09-03",
        "grade": "Owls",
        "guardian_id": "G2",
        "guardian_first_name": "Gua2",
        "guardian_last_name": "Dian2",
        "guardian_email": "g2@mail.example",
        "guardian_phone": None,
        "guardian_relationship": None,
        "guardian_type": None,
        "guardian_language": None,
    }


def test_a_student_without_a_birth_date_is_an_alert() -> None:
    assert issues(settled(Files().with_student(student("S2", birth_date="")))) == [
        ("birth_date_missing", "1", 3, "S2", 0)
    ]


def test_an_extension_stays_with_its_phone() -> None:
    found = settled(Files().with_teacher(teacher("T2", phone="212-555-0123 x45")))
    assert one(found, "T2", "phone", "phone_extension") == ("+12125550123", "45")


# --- rows that share an ID ---


def test_rows_that_share_an_id_are_joined_from_the_values_that_are_good() -> None:
    rows = [
        student("S2", email="bad", phone="", grade="Owls"),
        student("S2", email="s2@unified.example", phone="212 555 0123", grade=""),
    ]
    found = settled(Files().with_student(*rows))
    assert issues(found) == [("email_invalid", "1", 3, "S2", 0), ("grade_unknown", "1", 3, "S2", 0)]
    assert one(found, "S2", "email", "phone", "birth_date") == ("s2@unified.example", "+12125550123", date(2014, 9, 3))


@pytest.mark.parametrize("turn", [1, -1])
def test_of_several_good_values_the_one_that_sorts_first_is_taken_with_one_alert(turn: int) -> None:
    rows = [
        student("S2", first_name="Ann Zoe", email="b@unified.example", phone="212 555 0123", grade="5"),
        student("S2", first_name="Ann", email="a@unified.example", phone="212 555 0124 x3", grade="5"),
    ][::turn]
    found = settled(Files().with_student(*rows))
    assert issues(found, "code", "line", "record_id", "detail") == [
        ("duplicate_conflict", 3, "S2", "first_name, email, phone")
    ]
    columns = ("first_name", "email", "phone", "phone_extension")
    assert one(found, "S2", *columns) == ("Ann", "a@unified.example", "+12125550123", None)


def test_schools_and_guardians_of_one_student_are_no_difference() -> None:
    rows = [
        student("S2", "1", guardian=guardian_of("G2")),
        student("S2", "1", guardian=guardian_of("G3")),
        student("S2", "2", guardian=guardian_of("G2")),
    ]
    found = settled(Files().with_student(*rows))
    assert found.issues.rows() == []
    assert found.school_members.rows() == [(0, "1"), (1, "1"), (2, "1"), (2, "2")]
    assert pairs(found) == [("S1", "G1"), ("S2", "G2"), ("S2", "G3")]


def test_the_same_row_again_is_an_alert_for_each_further_one() -> None:
    files = Files(schools=[school("1"), school("1")])
    files.teachers += [teacher("T1"), teacher("T1")]
    files.classes.append(class_("C1"))
    files.enrollments += [enrollment("C1", "S1"), enrollment("C1", "S1", school_id="1")]
    found = settled(files)
    assert issues(found, "code", "school_id", "file", "line", "record_id") == [
        ("duplicate_row", "1", "classes.csv", 3, "C1"),
        ("duplicate_row", "1", "enrollments.csv", 3, "S1"),
        ("duplicate_row", "1", "schools.csv", 3, "1"),
        ("duplicate_row", "1", "teachers.csv", 3, "T1"),
        ("duplicate_row", "1", "teachers.csv", 4, "T1"),
    ]
    assert members(found) == [("C1", "1", "S1", False), ("C1", "1", "T1", True)]


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ({}, {"first_name": "Bo", "last_name": "Other"}, True),
        ({}, {"first_name": "Bo"}, False),
        ({}, {"last_name": "Other"}, False),
        ({}, {"first_name": "Bo", "last_name": ""}, False),
        ({}, {"first_name": "STU2", "last_name": " dent2 "}, False),
        (
            {"first_name": "Zoë-Ann", "last_name": "O\u2019Brien"},
            {"first_name": "ZOE ANN", "last_name": "OBRIEN"},
            False,
        ),
        # A birth date alone may be a typing error; with a name or the email it is somebody else's.
        ({}, {"birth_date": "2014-09-04"}, False),
        ({}, {"birth_date": ""}, False),
        ({}, {"birth_date": "2014-09-04", "last_name": "Other"}, True),
        ({"email": "a@x.example"}, {"birth_date": "2014-09-04", "email": "b@x.example"}, True),
        ({"email": "a@x.example"}, {"birth_date": "2014-09-04"}, False),
        # Twins: the first names differ, and something else that is each one's own.
        ({}, {"first_name": "Bo", "grade": "6"}, True),
        ({"phone": "212 555 0123"}, {"first_name": "Bo", "phone": "212 555 0124"}, True),
        ({"email": "a@x.example"}, {"first_name": "Bo", "email": "b@x.example"}, True),
        ({}, {"first_name": "Bo", "grade": ""}, False),
        ({"first_name": "Maria"}, {"first_name": "Maria Elena", "grade": "6"}, False),
        ({"first_name": "Maria"}, {"first_name": "Marianne", "grade": "6"}, True),
    ],
)
@pytest.mark.parametrize("turn", [1, -1])
def test_two_people_on_one_id_and_differences_of_one_person(
    first: dict[str, str], second: dict[str, str], shared: bool, turn: int
) -> None:
    found = settled(Files().with_student(*(student("S2") | first, student("S2") | second)[::turn]))
    assert (("id_shared", "1", 3, "S2", 2) in issues(found)) == shared
    assert ("S2" in who(found)) == (not shared)
    assert ("duplicate_conflict" in codes(found) and shared) is False


def test_teachers_are_no_twins() -> None:
    files = Files(teachers=[teacher("T1"), teacher("T1", first_name="Bo", phone="212 555 0123")])
    assert issues(settled(files), "code", "detail") == [("duplicate_conflict", "first_name")]


def test_however_many_rows_are_on_an_id_they_are_one_error_that_counts_them() -> None:
    rows = [student("4.15556E+09", first_name=f"A{n}", last_name=f"B{n}") for n in range(300)]
    found = settled(Files().with_student(*rows))
    spreadsheet = "300 records; IDs like this are made when a file is opened and saved in a spreadsheet program"
    assert issues(found, "code", "record_id", "detail") == [("id_shared", "4.15556E+09", spreadsheet)]
    (others,) = found.issues["other_rows"]
    assert [int(line.split("\t")[0]) for line in others.split("\n")] == list(range(4, 303))


def test_an_issue_between_rows_holds_all_of_them_and_each_school_its_own_line() -> None:
    files = Files().with_student(student("S2"), student("S2", "2", first_name="Bo", last_name="Other"))
    found = settled(files).issues.filter(code="id_shared").sort("school_id")
    assert found.select("school_id", "line").rows() == [("1", 3), ("2", 4)]
    assert [others.split("\t")[0] for others in found["other_rows"]] == ["4", "3"]
    names = [json.loads(others.split("\t")[1])["last_name"] for others in found["other_rows"]]
    assert names == ["Other", "Dent2"]


def test_an_issue_of_one_row_holds_the_other_rows_of_its_record() -> None:
    rows = [student("S2", guardian_id=f"H{n}", guardian_email=f"h{n}@x.example") for n in range(3)]
    rows[1]["birth_date"] = "no date"
    found = settled(Files().with_student(*rows)).issues.filter(code="birth_date_invalid")
    assert found.select("line", "record_id").rows() == [(4, "S2")]
    others = [line.split("\t") for line in found["other_rows"].item().split("\n")]
    assert [(line, json.loads(row)["guardian_id"]) for line, row in others] == [("3", "H0"), ("5", "H2")]


def test_a_repeated_row_is_shown_with_the_one_it_repeats() -> None:
    files = Files(enrollments=[enrollment("C1", "S1"), enrollment("C1", "S1")])
    found = settled(files).issues
    assert found.select("code", "line", "record_id").rows() == [("duplicate_row", 3, "S1")]
    assert found["other_rows"].item().split("\t")[0] == "2"


def test_two_people_on_one_id_are_found_among_more_than_two_rows() -> None:
    rows = [student("S2", first_name=first, last_name=last) for first, last in [("A", "B"), ("A", "C"), ("D", "C")]]
    assert "id_shared" in codes(settled(Files().with_student(*rows)))


def test_nobody_is_given_the_guardians_of_two_people_on_one_id() -> None:
    rows = [student("S2"), student("S2", guardian=guardian_of("G3"), first_name="Bo", last_name="Other")]
    found = settled(Files().with_student(*rows), stored(link("LS2", "student", "S2"), link("LG2", "guardian", "G2")))
    assert who(found) == ["T1", "S1", "G1"]
    assert pairs(found) == [("S1", "G1")]
    assert members(found) == [("C1", "1", "LS2", False), ("C1", "1", "S1", False), ("C1", "1", "T1", True)]
    assert kept(found, "guardianships") == [("LG2", None), ("LS2", None)]


def test_two_teachers_on_one_id_are_an_error() -> None:
    files = Files().with_teacher(teacher("T2"))
    files.teachers.append(teacher("T2", first_name="Bo", last_name="Other"))
    assert issues(settled(files)) == [("id_shared", "1", 3, "T2", 2)]


# --- records ---


def test_teachers_and_students_need_both_names_and_a_guardian_one() -> None:
    files = Files().with_teacher(teacher("T2", first_name="")).with_student(student("S2", last_name=""))
    files.with_student(student("S3", guardian=guardian_of("G3", first_name="")))
    files.students.append(student("S3", guardian=guardian_of("G4", first_name="", last_name="")))
    found = settled(files)
    assert issues(found) == [
        ("name_missing", "1", 3, "S2", 2),
        ("name_missing", "1", 3, "T2", 2),
        ("name_missing", "1", 5, "G4", 0),
    ]
    assert who(found) == ["T1", "S1", "S3", "G1", "G3"]


def test_a_teacher_needs_one_valid_email() -> None:
    files = Files().with_teacher(teacher("T2", email="")).with_teacher(teacher("T3", email="front office"))
    files.with_teacher(teacher("T4", email="bad"))
    files.teachers += [teacher("T4", "2"), teacher("T2", "2", email="")]
    found = settled(files)
    assert issues(found) == [
        ("email_invalid", "1", 5, "T4", 0),
        ("email_invalid", "2", 5, "T4", 0),
        ("teacher_email_invalid", "1", 4, "T3", 2),
        ("teacher_email_missing", "1", 3, "T2", 2),
        ("teacher_email_missing", "2", 3, "T2", 2),
    ]
    assert one(found, "T4", "email") == "t4@unified.example"


def test_a_guardian_needs_an_email_or_a_phone() -> None:
    files = Files().with_student(student("S2", guardian=guardian_of("G2", email="", phone="212 555 0123")))
    files.with_student(
        student("S3", email="s3@unified.example", guardian=guardian_of("G3", email="", phone="unlisted"))
    )
    found = settled(files)
    assert issues(found) == [("guardian_unreachable", "1", 4, "G3", 0)]
    assert who(found) == ["T1", "S1", "S2", "S3", "G1", "G2"]


def test_a_student_whom_nobody_can_be_reached_for_is_an_alert() -> None:
    by_phone = guardian_of("", email="", phone="212 555 0123")
    files = Files().with_student(student("S2", guardian=guardian_of("G2", email=""))).with_student(student("S3"))
    files.with_student(student("S4", guardian=by_phone)).with_student(student("S5", guardian=NOBODY))
    files.with_student(student("S6", guardian=NOBODY, phone="212 555 0124"))
    assert issues(settled(files), "code", "record_id") == [
        ("guardian_unreachable", "G2"),
        ("student_unreachable", "S5"),
        ("student_without_guardian", "S5"),
        ("student_without_guardian", "S6"),
    ]


def test_a_rejected_guardian_who_was_provisioned_still_reaches_the_student() -> None:
    files = Files(students=[student("S1", guardian=guardian_of("G1", email=""))])
    found = settled(files, stored(link("LG1", "guardian", "G1", email="g1@mail.example")))
    assert codes(found) == ["guardian_unreachable"]
    assert pairs(found) == [("S1", "LG1")]


def test_all_errors_of_a_record_are_reported_at_once_and_its_alerts_follow_from_them() -> None:
    files = Files().with_teacher(teacher("T2", first_name="", email="", phone="unlisted"))
    assert codes(settled(files)) == ["name_missing", "teacher_email_missing"]


def test_a_bad_row_of_somebody_who_is_created_anyway_hides_no_alert() -> None:
    files = Files(students=[student("S1", grade="Owls"), student("S1", "9", grade="Owls")])
    assert codes(settled(files)) == ["grade_unknown", "school_unknown"]


def test_the_emails_of_a_delivery_are_reported_normalized() -> None:
    files = Files(teachers=[teacher("T1", email="T1@Unified.Example")]).with_student(student("S2", email="bad"))
    assert checked(files).emails() == ["g1@mail.example", "g2@mail.example", "t1@unified.example"]


def test_issues_have_the_canonical_schema() -> None:
    found = settled(Files().with_student(student("S2", grade="Owls")))
    assert found.issues.drop("row").rows() == [("grade_unknown", "1", "students.csv", 3, "S2", None, 0, None)]
    assert found.issues.schema["dependents"] == pl.UInt32
