"""Rows with good values in place of those that came: placeholders, hidden characters, damaged names, unclear dates."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from contracts.checking import check
from contracts.formats.csv_1_0 import FORMAT
from contracts.roster import StoredRoster
from contracts.settling import settle
from tests.contracts.district import (
    NOBODY,
    TODAY,
    Files,
    class_,
    codes,
    enrollment,
    guardian_of,
    issues,
    link,
    one,
    pairs,
    school,
    settled,
    stored,
    student,
    teacher,
    who,
)

DETAILS = ("code", "school_id", "line", "record_id", "detail")


@pytest.mark.parametrize("nothing", ["NULL", "n/a", "None", "-", "TBD", "0000000000", "999-999-9999"])
def test_a_placeholder_in_an_optional_column_is_an_empty_cell(nothing: str) -> None:
    is_number = nothing[0].isdigit()
    values: dict[str, Any] = {"phone": nothing} | ({} if is_number else {"email": nothing, "grade": nothing})
    found = settled(Files().with_student(student("S2", **values)))
    assert found.issues.rows() == []
    assert one(found, "S2", "phone", "email") == (None, None)


def test_a_placeholder_for_a_teachers_email_is_an_email_that_is_not_valid() -> None:
    assert codes(settled(Files().with_teacher(teacher("T2", email="N/A")))) == ["teacher_email_invalid"]


def test_a_guardian_of_placeholders_names_nobody_and_is_no_issue() -> None:
    nobody = guardian_of("0", first_name="N/A", last_name="-", email="none", phone="0000000000")
    found = settled(Files().with_student(student("S2", phone="212 555 0123", guardian=nobody)))
    assert codes(found) == ["student_without_guardian"]
    assert who(found) == ["T1", "S1", "S2", "G1"]


def test_a_placeholder_as_a_name_is_an_alert_and_real_names_are_none() -> None:
    files = Files().with_student(student("S2", last_name="TBD")).with_student(student("S3", last_name="Null"))
    files.with_student(student("S4", first_name="Null", last_name="unknown"))
    files.with_student(student("S5", guardian=guardian_of("G5", last_name="N/A")))
    found = settled(files)
    assert issues(found, *DETAILS) == [
        ("placeholder_value", "1", 3, "S2", "last_name"),
        ("placeholder_value", "1", 5, "S4", "first_name, last_name"),
        ("placeholder_value", "1", 6, "G5", "guardian_last_name"),
    ]
    assert one(found, "S2", "last_name") == "TBD"
    assert one(found, "G5", "first_name", "last_name") == ("Gua5", None)


def test_hidden_characters_inside_ids_and_names_are_reported_by_their_code_point() -> None:
    files = Files(schools=[school("1", "Lin\u200bcoln")])
    files.with_student(student("S\u200b2", first_name="An\u00adn", last_name="Dent", guardian=guardian_of("G2")))
    files.with_student(student("S3", guardian=guardian_of("G3", first_name="Bo\u2060b")))
    files.classes.append(class_("C\u200b9", class_name="Ma\u200bth"))
    files.enrollments.append(enrollment("C\u200b9", "S1"))
    assert issues(settled(files), *DETAILS) == [
        ("invisible_character", "1", 2, "1", "U+200B in school_name"),
        ("invisible_character", "1", 3, "C\u200b9", "U+200B in class_id, U+200B in class_name"),
        ("invisible_character", "1", 3, "S\u200b2", "U+200B in student_id, U+00AD in first_name"),
        ("invisible_character", "1", 4, "G3", "U+2060 in guardian_first_name"),
    ]


def test_two_ids_that_look_the_same_are_each_reported_the_other() -> None:
    files = (
        Files()
        .with_student(student("S2"))
        .with_student(student("S\u200b2", first_name="Stu", last_name="Dent", guardian=guardian_of("G3")))
    )
    tells = "only invisible characters in student_id tell it from"
    assert issues(settled(files), *DETAILS) == [
        ("invisible_character", "1", 3, "S2", f"{tells} S<U+200B>2"),
        ("invisible_character", "1", 4, "S\u200b2", f"U+200B in student_id, {tells} S2"),
    ]


def test_damaged_names_are_reported_by_their_column() -> None:
    files = Files().with_student(student("S2", first_name="Jos\ufffd", last_name="Mu\u00c3\u00b1oz"))
    files.with_student(student("S3", first_name="Jos\u00e9", last_name="Mu\u00f1oz"))
    files.classes.append(class_("C9", class_name="M&eacute;dia"))
    files.enrollments.append(enrollment("C9", "S1"))
    assert issues(settled(files), *DETAILS) == [
        ("name_damaged", "1", 3, "C9", "class_name"),
        ("name_damaged", "1", 3, "S2", "first_name, last_name"),
    ]


def _born(*days: str, school_id: str = "1") -> Files:
    files = Files(students=[], enrollments=[])
    for number, day in enumerate(days, start=1):
        files.with_student(student(f"S{number}", school_id, birth_date=day, guardian=NOBODY, phone="212 555 0123"))
    return files


def _dates(files: Files, **options: Any) -> tuple[list[date | None], list[tuple[Any, ...]], tuple[str, ...]]:
    reading = FORMAT.read(files.content())
    found = settle(check(FORMAT.to_roster(reading), None, today=TODAY, **options), StoredRoster.nothing())
    dates = found.people.filter(kind="student").sort("external_id")["birth_date"].to_list()
    told = issues(found, "code", "school_id", "line")
    return dates, [issue for issue in told if "date" in issue[0]], found.notes


def test_dates_are_month_first_day_first_or_unclear_as_the_column_shows() -> None:
    assert _dates(_born("3/4/2014", "12/31/2014")) == ([date(2014, 3, 4), date(2014, 12, 31)], [], ())
    days = ("3/4/2014", "31/12/2014", "30/12/2014", "29/12/2014")
    note = "column birth_date was read day first, because most of its dates make sense in no other way"
    day_first = [date(2014, 4, 3), date(2014, 12, 31), date(2014, 12, 30), date(2014, 12, 29)]
    assert _dates(_born(*days)) == (day_first, [], (note,))
    mixed = ("3/4/2014", "31/12/2014", "12/30/2014", "29/12/2014", "5/6/2014")
    dates, told, notes = _dates(_born(*mixed))
    assert (dates[0], dates[4], notes) == (None, None, ())
    assert told == [("date_order_unclear", "1", 2)]


def test_the_districts_own_date_order_counts() -> None:
    dates, told, notes = _dates(_born("3/4/2014", "12/31/2014"), date_order="day")
    assert (dates, told, notes) == ([date(2014, 4, 3), None], [("birth_date_invalid", "1", 3)], ())
    assert _dates(_born("31/12/2014"), date_order="month")[1] == [("birth_date_invalid", "1", 2)]


# --- what was last applied stays ---

LAST: dict[str, Any] = {"email": "s2@mail.example", "phone": "+12125550199", "phone_extension": "7", "grade": "4"}


def _of(field: str, value: str) -> dict[str, Any]:
    return {field: value}


@pytest.mark.parametrize(
    ("field", "bad", "stays"),
    [
        ("email", "nobody", "s2@mail.example"),
        ("phone", "4.15556E+09", "+12125550199"),
        ("birth_date", "2014-02-30", date(2014, 9, 3)),
        ("grade", "Owls", "4"),
    ],
)
def test_a_value_that_cannot_be_read_leaves_the_one_last_applied(field: str, bad: str, stays: object) -> None:
    known = stored(link("L2", "student", "S2", birth_date=date(2014, 9, 3), **LAST))
    found = settled(Files().with_student(student("S2", **_of(field, bad))), known)
    assert one(found, "S2", field) == stays
    assert codes(found) == [f"{field}_unknown" if field == "grade" else f"{field}_invalid"]
    # An empty cell empties, and a good value in another row wins.
    assert one(settled(Files().with_student(student("S2", **_of(field, ""))), known), "S2", field) is None
    good = {"email": "a@mail.example", "phone": "212 555 0123", "birth_date": "2014-09-03", "grade": "6"}[field]
    rows = (student("S2", **_of(field, bad)), student("S2", **_of(field, good)))
    assert str(one(settled(Files().with_student(*rows), known), "S2", field)).endswith(good.replace(" ", ""))


def test_an_extension_stays_with_the_phone_that_stays() -> None:
    known = stored(link("L2", "student", "S2", **LAST))
    found = settled(Files().with_student(student("S2", phone="unlisted")), known)
    assert one(found, "S2", "phone", "phone_extension") == ("+12125550199", "7")


def test_another_person_on_an_old_id_inherits_nothing() -> None:
    known = stored(link("L2", "student", "S2", **LAST | {"first_name": "Bo", "last_name": "Other"}))
    found = settled(Files().with_student(student("S2", phone="unlisted")), known)
    assert one(found, "S2", "link_id", "phone") == (None, None)


def test_a_guardian_whose_only_email_cannot_be_read_is_an_alert_if_they_had_one() -> None:
    files = Files(students=[student("S1", guardian=guardian_of("G1", email="not an address"))])
    known = stored(
        link("LS1", "student", "S1"),
        link("LG1", "guardian", "G1", email="g1@mail.example"),
        guardianships=[("LS1", "LG1")],
    )
    found = settled(files, known)
    assert codes(found) == ["email_invalid"]
    assert one(found, "G1", "email", "link_id") == ("g1@mail.example", "LG1")
    assert codes(settled(files)) == ["guardian_unreachable"]


def _without(files: Files, name: str, *columns: str) -> dict[str, bytes]:
    content = files.content()
    header, *rows = content[name].decode().splitlines()
    names = header.replace('"', "").split(",")
    kept = [at for at, column in enumerate(names) if column not in columns]
    lines = [",".join(line.split(",")[at] for at in kept) for line in (header, *rows)]
    return content | {name: "\n".join(lines).encode()}


def test_a_missing_column_says_nothing() -> None:
    known = stored(
        link("L2", "student", "S2", birth_date=date(2014, 9, 3), **LAST),
        link("LT1", "employee", "T1", phone="+12125550144"),
    )
    files = Files().with_student(student("S2"))
    found = settled(_without(files, "students.csv", "grade", "birth_date"), known)
    assert one(found, "S2", "grade", "birth_date", "phone") == ("4", date(2014, 9, 3), None)
    assert found.notes == (
        "students.csv: column dob, sent before, is missing",
        "students.csv: column grade, sent before, is missing",
    )
    found = settled(_without(files, "teachers.csv", "phone"), known)
    assert one(found, "T1", "phone") == "+12125550144"
    assert found.notes == ("teachers.csv: column teacher_mobile_phone, sent before, is missing",)
    assert settled(_without(files, "teachers.csv", "phone")).notes == ()


def test_a_file_that_names_no_guardian_anywhere_says_nothing_about_guardians() -> None:
    known = stored(
        link("LS1", "student", "S1"),
        link("LG1", "guardian", "G1", email="g1@mail.example"),
        link("LG2", "guardian", "G2", email="g2@mail.example", active=False),
        guardianships=[("LS1", "LG1")],
    )
    columns = [f"guardian_{name}" for name in ("id", "first_name", "last_name", "email", "phone")]
    files = Files().with_student(student("S2", phone="212 555 0123"))
    found = settled(_without(files, "students.csv", *columns), known)
    assert codes(found) == ["student_without_guardian"]
    assert issues(found, "record_id") == [("S2",)]
    assert pairs(found) == []
    assert found.seen_links["link_id"].to_list() == ["LG1", "LS1"]
    assert found.protected.filter(table="guardianships")["link_id"].to_list() == ["LG1"]


def test_a_guardian_goes_with_their_last_student_though_no_column_names_guardians() -> None:
    known = stored(
        link("LS1", "student", "S1"),
        link("LS2", "student", "S2"),
        link("LS3", "student", "S3"),
        link("LG1", "guardian", "G1", email="g1@mail.example"),
        link("LG2", "guardian", "G2", email="g2@mail.example"),
        guardianships=[("LS1", "LG1"), ("LS2", "LG1"), ("LS3", "LG2")],
    )
    columns = [f"guardian_{name}" for name in ("id", "first_name", "last_name", "email", "phone")]
    found = settled(_without(Files(), "students.csv", *columns), known)
    assert found.seen_links["link_id"].to_list() == ["LG1", "LS1"]
    assert found.protected.filter(table="guardianships")["link_id"].to_list() == ["LG1"]
