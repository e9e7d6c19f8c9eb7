import pytest

from tests.contracts.district import (
    NOBODY,
    Files,
    class_,
    codes,
    enrollment,
    guardian_of,
    held,
    issues,
    kept,
    link,
    members,
    pairs,
    settled,
    student,
    teacher,
    who,
)

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
    assert found.classes.select("source_id", "school_id", "name").rows() == [
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
    assert found.classes["source_id"].to_list() == ["C1"]


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
    found = settled(files, held(link("L2", "employee", "T2", active=False)))
    assert issues(found) == [
        ("co_teacher_unknown", "1", 4, "CT2", 0),
        ("teacher_email_missing", "1", 3, "T2", 3),
    ]
    assert found.classes["source_id"].to_list() == ["C1"]
    assert members(found) == BASE
    assert found.seen_classes.rows() == [("C1", "1"), ("CT2", "1")]
    assert kept(found, "classes") == [(None, "CT2")]
    assert kept(found, "class_owners") == [("L2", None), (None, "CT2")]
    assert kept(found, "class_students") == [(None, "CT2")]


def test_a_class_stands_with_one_of_its_teachers() -> None:
    files = Files().with_teacher(teacher("T2", email=""))
    files.classes.append(class_("CT2", "T1"))
    found = settled(files)
    assert issues(found) == [("teacher_email_missing", "1", 3, "T2", 0)]
    assert members(found) == [*BASE, ("CT2", "1", "S1", False), ("CT2", "1", "T1", True)]
    assert kept(found, "class_owners") == [(None, "CT2")]


def test_a_class_of_a_teacher_who_was_provisioned_goes_on_with_their_link() -> None:
    files = Files().with_teacher(teacher("T2", email=""))
    found = settled(files, held(link("L2", "employee", "T2")))
    assert issues(found) == [("teacher_email_missing", "1", 3, "T2", 0)]
    assert members(found) == [*BASE, ("CT2", "1", "L2", True), ("CT2", "1", "S1", False)]
    assert kept(found, "class_owners") == []


def test_a_rejected_class_that_was_provisioned_goes_on_as_last_applied() -> None:
    files = Files(classes=[class_("C1", class_name=""), class_("C2")], enrollments=[enrollment("C1", "S1")])
    files.enrollments.append(enrollment("C2", "S1"))
    found = settled(files, held(link("L1", "employee", "T1"), classes=[("C1", "2")]))
    assert issues(found) == [("class_name_missing", "1", 2, "C1", 0)]
    assert members(found) == [("C1", "2", "S1", False), ("C2", "1", "S1", False), ("C2", "1", "T1", True)]
    assert kept(found, "classes") == [(None, "C1")]
    assert kept(found, "class_owners") == [("L1", None), (None, "C1")]
    assert kept(found, "class_students") == []


def test_a_rejected_class_that_is_held_under_two_schools_is_left_as_it_is() -> None:
    files = Files(classes=[class_("C1", class_name="")])
    found = settled(files, held(link("LS1", "student", "S1"), classes=[("C1", "1"), ("C1", "2")]))
    assert issues(found) == [("class_name_missing", "1", 2, "C1", 0)]
    assert members(found) == []
    assert kept(found, "class_students") == [("LS1", None), (None, "C1")]


def test_a_class_that_falls_with_its_teachers_goes_on_if_it_was_provisioned() -> None:
    files = Files().with_teacher(teacher("T2", email=""))
    found = settled(files, held(classes=[("CT2", "1")]))
    assert issues(found) == [("teacher_email_missing", "1", 3, "T2", 0)]
    assert members(found) == [*BASE, ("CT2", "1", "S1", False)]


def test_enrollments_and_guardians_of_a_student_never_provisioned_fall_with_them() -> None:
    files = Files().with_student(
        student("S2", first_name=""),
        student("S2", first_name="", guardian=guardian_of("G3")),
        student("S2", "2", first_name=""),
    )
    found = settled(files, held(link("LS2", "student", "S2", active=False)))
    assert issues(found) == [("name_missing", "1", 3, "S2", 3), ("name_missing", "2", 3, "S2", 3)]
    assert members(found) == BASE
    assert pairs(found) == [("S1", "G1")]
    assert kept(found, "class_students") == [("LS2", None), (None, "C1")]
    assert kept(found, "school_members") == [("LS2", None)]
    assert kept(found, "guardianships") == [("LS2", None)]


def test_enrollments_of_a_student_who_was_provisioned_go_on_with_their_link() -> None:
    files = Files().with_student(student("S2", first_name=""))
    found = settled(files, held(link("LS2", "student", "S2"), link("LG2", "guardian", "G2", email="g2@mail.example")))
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
    found = settled(files, held(link("LS1", "student", "S1")))
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


def test_an_enrollment_of_the_unknown_stands_at_every_school_of_the_student() -> None:
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
    found = settled(files, held(link("LS2", "student", "S2")), schools=["1"])
    assert found.issues.rows() == []
    assert members(found) == BASE
    assert found.kept.rows() == []


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
