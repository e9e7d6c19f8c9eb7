from datetime import UTC, datetime
from typing import Any

import pytest

from tests.contracts.district import (
    NOBODY,
    Files,
    class_,
    codes,
    enrollment,
    guardian_of,
    issues,
    kept,
    link,
    members,
    pairs,
    school,
    settled,
    stored,
    student,
    teacher,
    who,
)

LEFT = datetime(2026, 11, 20, 9, tzinfo=UTC)
BASE = [("C1", "1", "S1", False), ("C1", "1", "T1", True)]


# --- classes ---


def test_a_class_needs_a_name_of_at_most_255_characters() -> None:
    files = Files()
    files.classes += [
        class_("C2", class_name=""),
        class_("C3", class_name="x" * 255),
        class_("C4", class_name="y" * 256),
    ]
    files.enrollments += [enrollment(name, "S1") for name in ("C2", "C3", "C4")]
    found = settled(files)
    assert issues(found) == [("class_name_missing", "1", 3, "C2", 1), ("class_name_too_long", "1", 5, "C4", 0)]
    assert found.classes.select("external_id", "school_id", "name").rows() == [
        ("C1", "1", "Class C1"),
        ("C3", "1", "x" * 255),
        ("C4", "1", "y" * 255),
    ]


def test_a_class_under_two_schools_is_an_error_at_both() -> None:
    files = Files()
    files.classes += [class_("C2", "T1", "1"), class_("C2", "T1", "2")]
    files.enrollments.append(enrollment("C2", "S1"))
    found = settled(files)
    assert issues(found) == [("class_in_two_schools", "1", 3, "C2", 1), ("class_in_two_schools", "2", 4, "C2", 1)]
    assert found.classes["external_id"].to_list() == ["C1"]


def test_a_class_has_only_the_teachers_of_its_rows_in_scope() -> None:
    files = Files().with_teacher(teacher("T2"))
    files.classes.append(class_("C1", "T2", "2"))
    found = settled(files, schools=["1"])
    assert found.issues.rows() == []
    assert members(found) == [*BASE, ("CT2", "1", "S1", False), ("CT2", "1", "T2", True)]


@pytest.mark.parametrize("turn", [1, -1])
def test_a_class_name_that_differs_is_a_conflict_and_sorts_first(turn: int) -> None:
    files = Files().with_teacher(teacher("T2"))
    files.classes = [class_("C1", class_name="Zoology"), class_("C1", "T2", class_name="Art")][::turn]
    files.enrollments = [enrollment("C1", "S1")]
    found = settled(files)
    assert issues(found, "code", "detail") == [("duplicate_conflict", "class_name")]
    assert found.classes["name"].to_list() == ["Art"]
    assert members(found) == [*BASE, ("C1", "1", "T2", True)]


def test_a_class_name_is_once_in_a_school() -> None:
    files = Files(teachers=[teacher("T1"), teacher("T1", "2")])
    files.classes += [class_("C2", class_name="class  c1"), class_("C3", "T1", "2", class_name="Class C1")]
    files.enrollments += [enrollment("C2", "S1"), enrollment("C3", "S1")]
    files.students.append(student("S1", "2"))
    assert issues(settled(files)) == [
        ("class_name_duplicate", "1", 2, "C1", 0),
        ("class_name_duplicate", "1", 3, "C2", 0),
    ]


def test_a_class_without_a_known_teacher_is_an_error_and_an_unknown_second_one_an_alert() -> None:
    files = Files()
    files.classes += [class_("C1", "T8"), class_("C1", "T9"), class_("C2", "T8"), class_("C2", "T9")]
    files.enrollments.append(enrollment("C2", "S1"))
    found = settled(files)
    assert issues(found) == [
        ("class_teacher_unknown", "1", 5, "C2", 1),
        ("co_teacher_unknown", "1", 3, "C1", 0),
        ("co_teacher_unknown", "1", 4, "C1", 0),
    ]
    assert members(found) == BASE
    assert kept(found, "class_owners") == [(None, "C1"), (None, "C2")]
    assert kept(found, "classes") == [(None, "C2")]


def test_a_class_of_another_schools_teacher_is_an_alert() -> None:
    files = Files(teachers=[teacher("T1", "2")])
    found = settled(files)
    assert issues(found) == [("class_teacher_other_school", "1", 2, "C1", 0)]
    assert members(found) == BASE


def test_a_class_without_students_and_people_without_a_class_are_alerts() -> None:
    files = Files()
    files.teachers.append(teacher("T2", "2"))
    files.students.append(student("S2"))
    files.classes.append(class_("C2"))
    assert issues(settled(files)) == [
        ("class_without_students", "1", 3, "C2", 0),
        ("student_without_class", "1", 3, "S2", 0),
        ("teacher_without_class", "2", 3, "T2", 0),
    ]


def test_what_follows_from_a_rejected_class_is_no_issue_of_its_own() -> None:
    files = Files().with_teacher(teacher("T2"))
    files.classes[1]["class_name"] = ""
    files.students.append(student("S2"))
    files.enrollments.append(enrollment("CT2", "S2"))
    assert issues(settled(files)) == [("class_name_missing", "1", 3, "CT2", 2)]


# --- what refers to a rejected record ---


def test_what_refers_to_a_teacher_never_provisioned_falls_with_them() -> None:
    files = Files().with_teacher(teacher("T2", email=""))
    files.classes.append(class_("CT2", "T9"))
    files.students.append(student("S2"))
    files.enrollments.append(enrollment("CT2", "S2"))
    found = settled(files, stored(link("L2", "employee", "T2", active=False)))
    assert issues(found) == [
        ("co_teacher_unknown", "1", 4, "CT2", 0),
        ("teacher_email_missing", "1", 3, "T2", 3),
    ]
    assert found.classes["external_id"].to_list() == ["C1"]
    assert members(found) == BASE
    assert found.seen_classes.rows() == [("C1", "1"), ("CT2", "1")]
    assert kept(found, "classes") == [(None, "CT2")]
    assert kept(found, "class_owners") == [("L2", None), (None, "CT2")]
    assert kept(found, "class_students") == [(None, "CT2")]


def test_a_class_is_kept_with_one_of_its_teachers() -> None:
    files = Files().with_teacher(teacher("T2", email=""))
    files.classes.append(class_("CT2", "T1"))
    found = settled(files)
    assert issues(found) == [("teacher_email_missing", "1", 3, "T2", 0)]
    assert members(found) == [*BASE, ("CT2", "1", "S1", False), ("CT2", "1", "T1", True)]
    assert kept(found, "class_owners") == [(None, "CT2")]


def test_a_class_of_a_teacher_who_was_provisioned_goes_on_with_their_link() -> None:
    files = Files().with_teacher(teacher("T2", email=""))
    found = settled(files, stored(link("L2", "employee", "T2")))
    assert issues(found) == [("teacher_email_missing", "1", 3, "T2", 0)]
    assert members(found) == [*BASE, ("CT2", "1", "L2", True), ("CT2", "1", "S1", False)]
    assert kept(found, "class_owners") == []


def test_a_rejected_class_that_was_provisioned_goes_on_as_last_applied() -> None:
    files = Files(classes=[class_("C1", class_name=""), class_("C2")], enrollments=[enrollment("C1", "S1")])
    files.enrollments.append(enrollment("C2", "S1"))
    found = settled(files, stored(link("L1", "employee", "T1"), classes=[("C1", "2")]))
    assert issues(found) == [("class_name_missing", "1", 2, "C1", 0)]
    assert members(found) == [("C1", "2", "S1", False), ("C2", "1", "S1", False), ("C2", "1", "T1", True)]
    assert kept(found, "classes") == [(None, "C1")]
    assert kept(found, "class_owners") == [("L1", None), (None, "C1")]
    assert kept(found, "class_students") == []


def test_a_rejected_class_that_is_held_under_two_schools_is_left_as_it_is() -> None:
    files = Files(classes=[class_("C1", class_name="")])
    found = settled(files, stored(link("LS1", "student", "S1"), classes=[("C1", "1"), ("C1", "2")]))
    assert issues(found) == [("class_name_missing", "1", 2, "C1", 0)]
    assert members(found) == []
    assert kept(found, "class_students") == [("LS1", None), (None, "C1")]


def test_a_class_that_falls_with_its_teachers_goes_on_if_it_was_provisioned() -> None:
    files = Files().with_teacher(teacher("T2", email=""))
    found = settled(files, stored(classes=[("CT2", "1")]))
    assert issues(found) == [("teacher_email_missing", "1", 3, "T2", 0)]
    assert members(found) == [*BASE, ("CT2", "1", "S1", False)]


def test_enrollments_and_guardians_of_a_student_never_provisioned_fall_with_them() -> None:
    files = Files().with_student(
        student("S2", first_name=""),
        student("S2", first_name="", guardian=guardian_of("G3")),
        student("S2", "2", first_name=""),
    )
    found = settled(files, stored(link("LS2", "student", "S2", active=False)))
    assert issues(found) == [("name_missing", "1", 3, "S2", 3), ("name_missing", "2", 3, "S2", 3)]
    assert members(found) == BASE
    assert pairs(found) == [("S1", "G1")]
    assert kept(found, "class_students") == [("LS2", None), (None, "C1")]
    assert kept(found, "school_members") == [("LS2", None)]
    assert kept(found, "guardianships") == [("LS2", None)]


def test_enrollments_of_a_student_who_was_provisioned_go_on_with_their_link() -> None:
    files = Files().with_student(student("S2", first_name=""))
    found = settled(files, stored(link("LS2", "student", "S2"), link("LG2", "guardian", "G2", email="g2@mail.example")))
    assert issues(found) == [("name_missing", "1", 3, "S2", 0)]
    assert members(found) == [("C1", "1", "LS2", False), *BASE]
    assert pairs(found) == [("LS2", "G2"), ("S1", "G1")]
    assert kept(found, "class_students") == []


def test_an_enrollment_of_both_a_fallen_class_and_student_counts_with_each() -> None:
    files = Files().with_student(student("S2", first_name="", guardian=NOBODY))
    files.classes[0]["class_name"] = ""
    assert issues(settled(files)) == [("class_name_missing", "1", 2, "C1", 2), ("name_missing", "1", 3, "S2", 1)]


# --- enrollments ---


def test_an_enrollment_names_a_known_class_and_a_known_student() -> None:
    files = Files()
    files.enrollments += [
        enrollment("C9", "S1"),
        enrollment("C1", "S9"),
        enrollment("C9", "S9", school_id="2"),
        enrollment("C8", "S9"),
        enrollment("C8", "S8", school_id="77"),
    ]
    found = settled(files, stored(link("LS1", "student", "S1")))
    assert issues(found) == [
        ("enrollment_class_unknown", "1", 3, "C9", 0),
        ("enrollment_class_unknown", "2", 5, "C9", 0),
        ("enrollment_class_unknown", None, 6, "C8", 0),
        ("enrollment_class_unknown", None, 7, "C8", 0),
        ("enrollment_student_unknown", "1", 4, "S9", 0),
        ("enrollment_student_unknown", "2", 5, "S9", 0),
        ("enrollment_student_unknown", None, 6, "S9", 0),
        ("enrollment_student_unknown", None, 7, "S8", 0),
    ]
    assert members(found) == BASE
    assert ("LS1", None) in kept(found, "class_students")
    assert (None, "C1") in kept(found, "class_students")


def test_an_enrollment_of_the_unknown_is_reported_at_every_school_of_the_student() -> None:
    files = Files(students=[student("S1"), student("S1", "2")])
    files.enrollments.append(enrollment("C9", "S1"))
    assert issues(settled(files)) == [
        ("enrollment_class_unknown", "1", 3, "C9", 0),
        ("enrollment_class_unknown", "2", 3, "C9", 0),
    ]


def test_left_out_classes_and_students_are_no_issue() -> None:
    files = Files(teachers=[teacher("T1"), teacher("T1", "2")])
    files.students.append(student("S2", "2"))
    files.classes.append(class_("C2", "T1", "2"))
    files.enrollments += [
        enrollment("C2", "S1"),
        enrollment("C1", "S2"),
        enrollment("C2", "S9"),
        enrollment("C9", "S2"),
        enrollment("C9", "S9", school_id="2"),
    ]
    found = settled(files, stored(link("LS2", "student", "S2")), schools=["1"])
    assert found.issues.rows() == []
    assert members(found) == BASE
    assert found.protected.rows() == []


def test_an_enrollment_that_names_another_school_than_its_class_is_an_alert() -> None:
    files = Files(enrollments=[enrollment("C1", "S1", school_id="2")])
    found = settled(files)
    assert issues(found) == [("enrollment_school_mismatch", "1", 2, "S1", 0)]
    assert members(found) == BASE


def test_an_enrolled_student_of_another_school_is_an_alert() -> None:
    files = Files().with_student(student("S2", "2"))
    found = settled(files)
    assert issues(found) == [("enrollment_student_other_school", "1", 3, "S2", 0)]
    assert members(found) == [*BASE[:1], ("C1", "1", "S2", False), *BASE[1:]]


def test_alerts_are_of_valid_records_only() -> None:
    files = Files().with_student(student("S2", "2", first_name=""))
    files.students.append(student("S3", guardian=NOBODY, last_name=""))
    files.teachers.append(teacher("T2", "2", email=""))
    assert codes(settled(files)) == ["name_missing", "name_missing", "teacher_email_missing"]
    assert who(settled(files)) == ["T1", "S1", "G1"]


# --- teachers in enrollments ---


def shown(value: Any) -> list[tuple[Any, ...]]:
    return issues(value, "code", "school_id", "file", "line", "record_id", "detail")


def test_an_enrolled_teacher_teaches_the_class_beside_those_of_the_class() -> None:
    files = Files(teachers=[teacher("T1"), teacher("T2")])
    files.enrollments += [enrollment("C1", "T2"), enrollment("C1", "T1")]
    found = settled(files)
    assert shown(found) == []
    assert members(found) == [*BASE, ("C1", "1", "T2", True)]
    assert found.class_members["kind"].sort().to_list() == ["employee", "employee", "student"]


def test_a_class_is_kept_with_an_enrolled_teacher_only() -> None:
    files = Files(classes=[class_("C1", "T8")])
    files.enrollments.append(enrollment("C1", "T1"))
    found = settled(files)
    assert shown(found) == [("co_teacher_unknown", "1", "classes.csv", 2, "C1", None)]
    assert members(found) == BASE


def test_a_class_whose_only_students_are_teachers_has_none() -> None:
    files = Files(enrollments=[enrollment("C1", "T1")])
    assert shown(settled(files)) == [
        ("class_without_students", "1", "classes.csv", 2, "C1", None),
        ("student_without_class", "1", "students.csv", 2, "S1", None),
    ]


def test_an_enrolled_teacher_of_another_school_is_reported_at_the_enrollment() -> None:
    files = Files(teachers=[teacher("T1"), teacher("T2", "2")])
    files.enrollments.append(enrollment("C1", "T2", school_id="2"))
    found = settled(files)
    assert shown(found) == [
        ("class_teacher_other_school", "1", "enrollments.csv", 3, "C1", None),
        ("enrollment_school_mismatch", "1", "enrollments.csv", 3, "T2", None),
    ]
    assert members(found) == [*BASE, ("C1", "1", "T2", True)]


def test_an_enrolled_teacher_who_is_rejected_falls_or_goes_on_as_one_of_the_class_does() -> None:
    files = Files(teachers=[teacher("T1"), teacher("T2", email="")], classes=[class_("C1"), class_("C2", "T8")])
    files.enrollments += [enrollment("C1", "T2"), enrollment("C2", "T2"), enrollment("C2", "S1")]
    found = settled(files)
    assert issues(found) == [("co_teacher_unknown", "1", 3, "C2", 0), ("teacher_email_missing", "1", 3, "T2", 2)]
    assert members(found) == BASE
    assert kept(found, "class_owners") == [(None, "C1"), (None, "C2")]
    found = settled(files, stored(link("L2", "employee", "T2")))
    assert issues(found) == [("co_teacher_unknown", "1", 3, "C2", 0), ("teacher_email_missing", "1", 3, "T2", 0)]
    assert members(found) == [
        *(("C1", "1", "L2", True), ("C1", "1", "S1", False), ("C1", "1", "T1", True)),
        *(("C2", "1", "L2", True), ("C2", "1", "S1", False)),
    ]


def test_no_teacher_leaves_while_an_enrollment_of_theirs_or_of_the_class_is_rejected() -> None:
    files = Files(teachers=[teacher("T1"), teacher("T2")])
    files.enrollments += [enrollment("C9", "T2"), enrollment("C1", "X")]
    found = settled(
        files, stored(link("L1", "employee", "T1"), link("L2", "employee", "T2"), link("LX", "student", "X"))
    )
    assert shown(found) == [
        ("enrollment_class_unknown", "1", "enrollments.csv", 3, "C9", None),
        ("enrollment_student_unknown", "1", "enrollments.csv", 4, "X", None),
    ]
    assert kept(found, "class_owners") == [("L2", None), (None, "C1"), (None, "C9")]
    assert kept(found, "class_students") == [("LX", None), (None, "C1")]


@pytest.mark.parametrize(
    ("named", "carries_teachers", "in_class", "is_students", "is_ambiguous"),
    [
        (False, True, False, True, False),
        (True, False, False, True, False),
        (True, True, False, False, False),
        (True, True, True, True, True),
        (True, False, True, True, False),
        (False, True, True, True, False),
    ],
)
def test_an_id_of_both_is_the_students_unless_the_class_names_it_and_the_file_carries_teachers(
    named: bool, carries_teachers: bool, in_class: bool, is_students: bool, is_ambiguous: bool
) -> None:
    both = "7"
    files = Files(teachers=[teacher("T1"), teacher("T2"), teacher(both)], students=[student("S1"), student(both)])
    files.classes = [class_("C1"), class_("C1", both), class_("C2", "T2"), class_("C2", both)][: 4 if named else 3]
    if not named:
        files.classes.pop(1)
        files.classes.append(class_("C3", both))
        files.enrollments.append(enrollment("C3", "S1"))
    files.enrollments += [enrollment("C1", both), enrollment("C2", "S1")]
    if carries_teachers:
        files.enrollments.append(enrollment("C2", "T2"))
    known = stored(
        link("L7", "student", both),
        link("L7T", "employee", both),
        # A teacher's membership, or one of another class, makes nobody a student of this one.
        class_members=[("C1", "L7", False)] if in_class else [("C1", "L7T", True), ("C2", "L7", False)],
    )
    found = settled(files, known)
    kinds = found.class_members.join(found.people, on="person").filter(class_id="C1", external_id=both)["kind"]
    assert sorted(kinds) == (["employee"] if named else []) + (["student"] if is_students else [])
    assert [code for code in codes(found) if code != "student_without_class"] == ["enrollment_ambiguous"] * is_ambiguous
    assert ("student_without_class" in codes(found)) == (not is_students)


# --- IDs that are nearly right ---

ZEROS = "leading zeros and capitals have to be the same"


def test_enrollments_that_nearly_name_their_students_leave_nobody_without_a_class() -> None:
    files = Files(students=[student("001"), student("002"), student("ab3")])
    files.enrollments = [enrollment("C1", "1"), enrollment("C1", "2.0"), enrollment("C1", "AB3")]
    assert shown(settled(files)) == [
        ("enrollment_student_unknown", "1", "enrollments.csv", 2, "1", f"students.csv has 001; {ZEROS}"),
        (
            *("enrollment_student_unknown", "1", "enrollments.csv", 3, "2.0"),
            "students.csv has 002; every character has to be the same",
        ),
        ("enrollment_student_unknown", "1", "enrollments.csv", 4, "AB3", f"students.csv has ab3; {ZEROS}"),
    ]


def test_enrollments_that_nearly_name_their_class_leave_it_not_without_students() -> None:
    files = Files(enrollments=[enrollment("c1", "S1", school_id="1")])
    assert shown(settled(files)) == [
        ("enrollment_class_unknown", "1", "enrollments.csv", 2, "c1", f"classes.csv has C1; {ZEROS}")
    ]


def test_a_class_or_enrollment_that_nearly_names_its_teacher_leaves_them_not_without_a_class() -> None:
    files = Files(
        teachers=[teacher("T1"), teacher("T2")], classes=[class_("C1"), class_("C1", "t2"), class_("C2", "t1")]
    )
    files.enrollments += [enrollment("C2", "S1"), enrollment("C2", "t2")]
    assert shown(settled(files)) == [
        ("class_teacher_unknown", "1", "classes.csv", 4, "C2", f"teachers.csv has T1; {ZEROS}"),
        ("co_teacher_unknown", "1", "classes.csv", 3, "C1", f"teachers.csv has T2; {ZEROS}"),
        ("enrollment_student_unknown", "1", "enrollments.csv", 4, "t2", f"teachers.csv has T2; {ZEROS}"),
    ]


def test_an_enrollment_that_nearly_names_its_school_says_so() -> None:
    files = Files(schools=[school("01")], teachers=[teacher("T1", "01")], students=[student("S1", "01")])
    files.classes = [class_("C1", "T1", "01")]
    files.enrollments = [enrollment("C1", "S1", school_id="1")]
    assert shown(settled(files)) == [
        ("enrollment_school_mismatch", "01", "enrollments.csv", 2, "S1", f"schools.csv has 01; {ZEROS}")
    ]


def test_whoever_stays_in_a_class_as_last_applied_is_not_without_one() -> None:
    files = Files(teachers=[teacher("T1"), teacher("T2")], students=[student("S1"), student("S2"), student("S3")])
    files.classes = [class_("C1"), class_("C1", "T9"), class_("C2")]
    files.enrollments = [enrollment("C1", "X1"), enrollment("C9", "S1"), enrollment("C9", "S3")]
    everybody = [link("LS1", "student", "S1"), link("LS2", "student", "S2"), link("L2", "employee", "T2")]
    expected = [
        ("co_teacher_unknown", "1", "classes.csv", 3, "C1", None),
        ("enrollment_class_unknown", "1", "enrollments.csv", 3, "C9", None),
        ("enrollment_class_unknown", "1", "enrollments.csv", 4, "C9", None),
        ("enrollment_student_unknown", "1", "enrollments.csv", 2, "X1", None),
    ]
    lacking = [
        ("class_without_students", "1", "classes.csv", 4, "C2", None),
        ("student_without_class", "1", "students.csv", 3, "S2", None),
        ("teacher_without_class", "1", "teachers.csv", 3, "T2", None),
    ]
    assert shown(settled(files, stored(*everybody))) == [lacking[0], *expected, *lacking[1:]]
    # S2 and T2 stay in C1, which has a row that is not right; S1 stays in C2, having such a row.
    in_classes = [("C1", "LS2", False), ("C1", "L2", True), ("C2", "LS1", False)]
    assert shown(settled(files, stored(*everybody, class_members=in_classes))) == expected
    # Whoever is not among the students anymore goes, and leaves the class without any.
    files.students = [row for row in files.students if row["student_id"] != "S1"]
    found = settled(files, stored(*everybody, class_members=in_classes))
    assert [code for code in codes(found) if code.startswith("class_without")] == ["class_without_students"]


# --- rows of unknown schools ---


def test_whoever_may_belong_to_the_classs_school_is_not_reported_as_of_another() -> None:
    files = Files(teachers=[teacher("T1", "2"), teacher("T1", "9")], students=[student("S1", "2"), student("S1", "9")])
    assert shown(settled(files)) == [
        ("school_unknown", "2", "students.csv", 3, "S1", None),
        ("school_unknown", "2", "teachers.csv", 3, "T1", None),
    ]


def test_a_newcomer_of_an_unknown_school_is_an_error_and_whoever_is_provisioned_an_alert_where_they_are() -> None:
    files = Files(teachers=[teacher("T1"), teacher("T2", "9")], students=[student("S1"), student("S2", "9")])
    files.students += [student("S3", "9", grade="Owls", guardian=guardian_of("G3", phone="5")), student("S4", "9")]
    known = stored(
        link("L2", "employee", "T2"),
        link("LS2", "student", "S2"),
        link("LS3", "student", "S3"),
        link("LS4", "student", "S4", active=False),
        school_members=[
            ("L2", "1", None),
            ("LS2", "1", None),
            ("LS2", "2", LEFT),
            ("LS3", "1", None),
            ("LS3", "2", None),
        ],
    )
    found = settled(files, known)
    assert shown(found) == [
        ("former_school_unknown", "1", "students.csv", 3, "S2", None),
        ("former_school_unknown", "1", "students.csv", 4, "S3", None),
        ("former_school_unknown", "1", "teachers.csv", 3, "T2", None),
        ("former_school_unknown", "2", "students.csv", 4, "S3", None),
        # What else is wrong with them, or with their guardians, is listed there, too.
        ("grade_unknown", "1", "students.csv", 4, "S3", None),
        ("grade_unknown", "2", "students.csv", 4, "S3", None),
        ("phone_invalid", "1", "students.csv", 4, "G3", None),
        ("phone_invalid", "2", "students.csv", 4, "G3", None),
        ("school_unknown", None, "students.csv", 5, "S4", None),
    ]
    assert found.seen_links["link_id"].to_list() == ["L2", "LS2", "LS3", "LS4"]
    assert kept(found, "school_members") == [("L2", None), ("LS2", None), ("LS3", None), ("LS4", None)]


def test_whoever_also_names_a_known_school_has_an_error_there() -> None:
    files = Files(students=[student("S1"), student("S1", "9")])
    known = stored(link("LS1", "student", "S1"), school_members=[("LS1", "1", None)])
    assert shown(settled(files, known)) == [("school_unknown", "1", "students.csv", 3, "S1", None)]


def test_a_class_of_an_unknown_school_is_an_error_where_it_is_active() -> None:
    files = Files(classes=[class_("C1"), class_("C2", "T1", "9")])
    assert shown(settled(files)) == [("school_unknown", None, "classes.csv", 3, "C2", None)]
    assert shown(settled(files, stored(classes=[("C2", "1")]))) == [
        ("school_unknown", "1", "classes.csv", 3, "C2", None)
    ]


def test_a_school_that_is_nearly_right_is_named_and_reported_there() -> None:
    files = Files(schools=[school("01"), school("02")], teachers=[teacher("T1", "01")])
    files.students = [student("S1", "01"), student("S2", "1", last_name=""), student("S3", "2")]
    files.classes = [class_("C1", "T1", "01"), class_("C2", "T1", "1")]
    hint = f"schools.csv has 01; {ZEROS}"
    known = stored(link("LS3", "student", "S3"), school_members=[("LS3", "01", None)])
    assert shown(settled(files, known)) == [
        ("former_school_unknown", "01", "students.csv", 4, "S3", f"schools.csv has 02; {ZEROS}"),
        ("name_missing", "01", "students.csv", 3, "S2", None),
        ("school_unknown", "01", "classes.csv", 3, "C2", hint),
        ("school_unknown", "01", "students.csv", 3, "S2", hint),
    ]


# --- schools ---


def test_a_school_that_no_row_names_or_nearly_names_is_empty() -> None:
    files = Files(schools=[school(school_id) for school_id in ("1", "02", "3", "4", "5", "6", "7")])
    files.teachers += [teacher("T1", "2")]
    files.students += [student("S1", "3")]
    files.classes += [class_("C4", "T1", "4")]
    files.enrollments += [enrollment("C4", "S1", school_id="5")]
    found = settled(files)
    assert [issue for issue in shown(found) if issue[0] == "school_empty"] == [
        ("school_empty", "6", "schools.csv", 7, "6", None),
        ("school_empty", "7", "schools.csv", 8, "7", None),
    ]
    assert [issue[1] for issue in shown(settled(files, schools=["1", "7"])) if issue[0] == "school_empty"] == ["7"]
