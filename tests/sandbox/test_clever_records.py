import re
from collections import Counter
from dataclasses import replace
from datetime import date
from typing import Any

import polars as pl
import pytest

from sandbox.clever_records import (
    COLLECTIONS,
    ROLES,
    CleverDistrict,
    added_ids,
    clever_district,
    clever_ids,
    with_changed,
    with_state,
    with_values,
    without,
)
from sandbox.days import next_day
from sandbox.generator import (
    CLASS_MEMBERS,
    CLASSES,
    GUARDIANSHIPS,
    PEOPLE,
    SCHOOL_MEMBERS,
    SCHOOLS,
    District,
    generate,
)

TIMESTAMP = re.compile(r"2026-\d\d-\d\dT\d\d:\d\d:\d\d\.\d\d\dZ")


def frame(rows: list[tuple[Any, ...]], schema: Any) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict(schema), orient="row")


def elm_grove() -> District:
    """Two schools, two teachers of one class, two students and their guardians: everything once."""
    return District(
        seed=1,
        chance=1,
        key="elm-grove",
        day=date(2026, 9, 1),
        next_person=7,
        next_class=2,
        schools=frame([("0101", "Elm Elementary", 0, 5), ("0102", "Grove Middle", 6, 8)], SCHOOLS),
        people=frame(
            [
                (1, "employee", "teacher", "T1", "Ada", "Okafor", "ada@elm.example", None, None, None, None, None),
                (2, "employee", "teacher", "T2", "Bo", "Lindqvist", "bo@elm.example", None, None, None, None, None),
                (
                    3,
                    "student",
                    "student",
                    "007",
                    "Cy",
                    "Ruiz",
                    "cy@elm.example",
                    None,
                    None,
                    date(2015, 1, 9),
                    "6",
                    None,
                ),
                (4, "student", "student", "008", "Di", "Ruiz", None, None, None, date(2021, 11, 30), "K", None),
                (5, "guardian", "guardian", "G1", "Eva", "de la Cruz", None, "+12065550101", None, None, None, "es"),
                (6, "guardian", "guardian", None, "Fay", "Ruiz", "fay@mail.example", None, None, None, None, "en"),
            ],
            PEOPLE,
        ),
        school_members=frame(
            [
                (1, "employee", "0101"),
                (1, "employee", "0102"),
                (2, "employee", "0101"),
                (3, "student", "0102"),
                (3, "student", "0101"),
                (4, "student", "0101"),
            ],
            SCHOOL_MEMBERS,
        ),
        classes=frame([("C1", "0101", "Art, section 3")], CLASSES),
        class_members=frame([("C1", 2, True), ("C1", 1, True), ("C1", 4, False), ("C1", 3, False)], CLASS_MEMBERS),
        guardianships=frame(
            [(3, 5, "Mother", "primary"), (4, 5, "Mother", "primary"), (4, 6, "Grandparent", None)], GUARDIANSHIPS
        ),
    )


def by_id(district: CleverDistrict, collection: str) -> dict[str, dict[str, Any]]:
    return {value["id"]: value for value in district.values(collection)}


def plain(value: dict[str, Any]) -> dict[str, Any]:
    """The object without its times, which are looked at here."""
    assert TIMESTAMP.fullmatch(value.pop("created"))
    assert TIMESTAMP.fullmatch(value.pop("last_modified"))
    return value


def test_schools_and_the_district_have_clevers_shape() -> None:
    made, ids = clever_district(elm_grove()), clever_ids(elm_grove())
    assert dict(made.district) == {
        "id": made.id,
        "name": "Elm Grove School District",
        "sis_type": "invented",
        "launch_date": "2026-07-01",
        "mdr_number": "",
        "nces_id": "",
        "portal_url": "https://clever.example/in/elm-grove",
        "login_methods": [],
        "last_sync": "2026-09-01T06:12:45.000Z",
        "state": "running",
        "pause_start": "",
        "pause_end": "",
        "error": "",
    }
    school = plain(by_id(made, "schools")[ids.schools["0101"]])
    assert school.pop("principal").keys() == {"name", "email"}
    assert school == {
        "id": ids.schools["0101"],
        "district": made.id,
        "name": "Elm Elementary",
        "sis_id": "0101",
        "school_number": "0101",
        "state_id": "",
        "nces_id": "",
        "low_grade": "Kindergarten",
        "high_grade": "5",
        "phone": "",
        "location": {"address": "", "city": "", "state": "", "zip": ""},
    }


def test_a_section_lists_its_people_the_primary_teacher_first() -> None:
    made, ids = clever_district(elm_grove()), clever_ids(elm_grove())
    [section] = made.values("sections")
    section = plain(section)
    assert {len(section.pop("course")), len(section.pop("term_id"))} == {24}
    assert section == {
        "id": ids.classes["C1"],
        "district": made.id,
        "school": ids.schools["0101"],
        "name": "Art, section 3",
        "sis_id": "C1",
        "students": [ids.students["008"], ids.students["007"]],
        "teacher": ids.employees["T2"],
        "teachers": [ids.employees["T2"], ids.employees["T1"]],
        "period": "1",
        "section_number": "3",
        "subject": "",
        "grade": "",
    }


def test_students_have_unpadded_birth_dates_clevers_grades_and_all_their_schools() -> None:
    made, ids = clever_district(elm_grove()), clever_ids(elm_grove())
    elm, grove = ids.schools["0101"], ids.schools["0102"]
    assert plain(by_id(made, "users")[ids.students["007"]]) == {
        "id": ids.students["007"],
        "district": made.id,
        "email": "cy@elm.example",
        "name": {"first": "Cy", "middle": "", "last": "Ruiz"},
        "roles": {
            "student": {
                "school": grove,
                "schools": [grove, elm],
                "sis_id": "007",
                "student_number": "007",
                "state_id": "",
                "grade": "6",
                "dob": "1/9/2015",
                "gender": "",
                "graduation_year": "2033",
                "home_language": "Spanish",
                "home_language_code": "es",
                "credentials": {"district_username": "cy"},
                "enrollments": [
                    {"school": grove, "start_date": "", "end_date": ""},
                    {"school": elm, "start_date": "", "end_date": ""},
                ],
            }
        },
    }
    youngest = by_id(made, "users")[ids.students["008"]]
    assert (youngest["email"], youngest["roles"]["student"]["grade"]) == ("", "Kindergarten")
    assert youngest["roles"]["student"]["dob"] == "11/30/2021"
    assert youngest["roles"]["student"]["credentials"] == {"district_username": ""}


def test_contacts_have_one_name_and_a_relation_to_each_student() -> None:
    made, ids = clever_district(elm_grove()), clever_ids(elm_grove())
    users = by_id(made, "users")
    both = [
        {"student": ids.students["007"], "relationship": "Parent", "type": "Primary"},
        {"student": ids.students["008"], "relationship": "Parent", "type": "Primary"},
    ]
    mother, grandmother = plain(users[ids.guardians[5]]), plain(users[ids.guardians[6]])
    assert mother["roles"]["contact"].pop("phone_type") in {"Cell", "Home", "Work"}
    assert re.sub("[^0-9]", "", mother["roles"]["contact"].pop("phone")) == "2065550101"
    assert mother == {
        "id": ids.guardians[5],
        "district": made.id,
        "email": "",
        "name": {"last": "Eva de la Cruz"},
        "roles": {"contact": {"sis_id": "G1", "student_relationships": both}},
    }
    assert grandmother == {
        "id": ids.guardians[6],
        "district": made.id,
        "email": "fay@mail.example",
        "name": {"last": "Fay Ruiz"},
        "roles": {
            "contact": {
                "sis_id": "",
                "phone": "",
                "phone_type": "",
                "student_relationships": [{"student": ids.students["008"], "relationship": "Grandparent", "type": ""}],
            }
        },
    }


def test_one_user_may_be_teacher_and_staff_or_district_admin_and_others_are_only_that() -> None:
    district = elm_grove()
    made = clever_district(district, staff=3, district_admins=1, teachers_also_staff=1, teachers_also_district_admins=1)
    ids, users = clever_ids(district), by_id(made, "users")
    elm, grove = ids.schools["0101"], ids.schools["0102"]
    staff = {"staff_id": "T1", "schools": [elm, grove], "title": "Department Head", "department": ""}
    assert plain(users[ids.employees["T1"]]) == {
        "id": ids.employees["T1"],
        "district": made.id,
        "email": "ada@elm.example",
        "name": {"first": "Ada", "middle": "", "last": "Okafor"},
        "roles": {
            "teacher": {
                "school": elm,
                "schools": [elm, grove],
                "sis_id": "T1",
                "teacher_number": "T1",
                "state_id": "",
                "title": "",
                "credentials": {"district_username": ""},
            },
            "staff": {**staff, "roles": ["School Admin"]},
        },
    }
    assert users[ids.employees["T2"]]["roles"].keys() == {"teacher", "district_admin"}
    assert Counter(frozenset(record.roles) for record in made.records["users"]) == {
        frozenset({"student"}): 2,
        frozenset({"contact"}): 2,
        frozenset({"teacher", "staff"}): 1,
        frozenset({"teacher", "district_admin"}): 1,
        frozenset({"staff"}): 3,
        frozenset({"district_admin"}): 1,
    }
    only_staff = added_ids(district, "staff", 3)
    assert [users[key]["roles"]["staff"] for key in only_staff.values()] == [
        {**staff, "staff_id": name, "schools": [school], "title": "Secretary", "roles": ["School Admin"]}
        for name, school in (("S90001", elm), ("S90002", grove), ("S90003", elm))
    ]
    [admin] = added_ids(district, "district_admin", 1).values()
    assert users[admin]["roles"] == {"district_admin": {"title": "Superintendent"}}
    with pytest.raises(ValueError, match="not so many teachers"):
        clever_district(district, teachers_also_staff=3)


def test_everything_of_a_district_is_there_once_by_ascending_id() -> None:
    district = generate(students=300)
    made, ids = clever_district(district, staff=4), clever_ids(district)
    every = [record.id for collection in COLLECTIONS for record in made.records[collection]]
    assert len(every) == len(set(every))
    assert all(re.fullmatch("[0-9a-f]{24}", key) for key in every)
    for collection in COLLECTIONS:
        keys = [record.id for record in made.records[collection]]
        assert keys == sorted(keys)
        assert [value["id"] for value in made.values(collection)] == keys
    assert {role: {record.id for record in made.users(role)} for role in ROLES} == {
        "student": set(ids.students.values()),
        "teacher": set(ids.employees.values()),
        "staff": set(added_ids(district, "staff", 4).values()),
        "district_admin": set(),
        "contact": set(ids.guardians.values()),
    }
    person = {**ids.employees, **ids.students}
    source = dict(district.people.select("person", "external_id").iter_rows())
    members = [
        (section["id"], key, owner)
        for section in made.values("sections")
        for owner, people in ((True, section["teachers"]), (False, section["students"]))
        for key in people
    ]
    assert sorted(members) == sorted(
        (ids.classes[class_id], person[source[number]], owner)
        for class_id, number, owner in district.class_members.iter_rows()
    )
    relations = [
        (one["student"], record.id)
        for record in made.users("contact")
        for one in record.value()["roles"]["contact"]["student_relationships"]
    ]
    assert sorted(relations) == sorted(
        (ids.students[source[student]], ids.guardians[guardian])
        for student, guardian in district.guardianships.select("student", "guardian").iter_rows()
    )


def test_an_unset_string_is_mostly_empty_and_sometimes_absent() -> None:
    students = [record.value() for record in clever_district(generate(students=1000)).users("student")]
    emails = Counter("absent" if "email" not in one else "set" if one["email"] else "empty" for one in students)
    unset = emails["absent"] + emails["empty"]
    assert unset == generate(students=1000).of_kind("student")["email"].null_count()
    assert 0.05 < emails["absent"] / unset < 0.15


def test_people_keep_their_ids_and_records_their_times_until_they_change() -> None:
    first = generate(students=200)
    second = next_day(first, 1, joined=5, left=4, changed=10)
    before, after = (
        {one["id"]: one for collection in COLLECTIONS for one in clever_district(day).values(collection)}
        for day in (first, second)
    )
    assert clever_district(first).id == clever_district(second).id
    old, new = clever_ids(first), clever_ids(second)
    for kind in ("schools", "employees", "students", "guardians", "classes"):
        was, now = getattr(old, kind), getattr(new, kind)
        assert {key: was[key] for key in was.keys() & now.keys()} == {key: now[key] for key in was.keys() & now.keys()}
    both = before.keys() & after.keys()
    touched = {key for key in both if before[key]["last_modified"] != after[key]["last_modified"]}
    assert touched == {
        key for key in both if {**before[key], "last_modified": ""} != {**after[key], "last_modified": ""}
    }
    assert 0 < len(touched) < len(both)


def test_another_external_id_is_another_id() -> None:
    before = elm_grove()
    after = replace(
        before, people=before.people.with_columns(pl.col("external_id").replace({"G1": "G2", "007": "009"}))
    )
    old, new = clever_ids(before), clever_ids(after)
    assert new.guardians[5] != old.guardians[5]
    assert new.guardians[6] == old.guardians[6]
    assert old.students["007"] not in new.students.values()


def test_two_districts_share_no_id() -> None:
    one, other = (clever_district(generate(seed, students=50, key="same")) for seed in (1, 2))
    assert one.id != other.id
    for collection in COLLECTIONS:
        ours = {record.id for record in one.records[collection]}
        assert ours.isdisjoint(record.id for record in other.records[collection])


def test_records_are_left_out_changed_and_added_one_by_one() -> None:
    made, ids = clever_district(elm_grove()), clever_ids(elm_grove())
    gone = without(made, [ids.students["007"], ids.schools["0102"]])
    assert [record.id for record in gone.records["schools"]] == [ids.schools["0101"]]
    assert {record.id for record in made.records["users"]} - {record.id for record in gone.records["users"]} == {
        ids.students["007"]
    }
    assert gone.values("sections") == made.values("sections")

    changed = with_changed(made, "users", ids.guardians[5], lambda user: user["name"].update(last="Eva Cruz"))
    assert changed.record("users", ids.guardians[5]).value() == {
        **made.record("users", ids.guardians[5]).value(),
        "name": {"last": "Eva Cruz"},
    }
    assert changed.records["sections"] is made.records["sections"]

    # An ID between those that are there, and a role nobody knows.
    added = with_values(made, "users", [{"id": "7" * 24, "roles": {"visitor": {}}}])
    assert [record.id for record in added.records["users"]] == sorted(
        [*(record.id for record in made.records["users"]), "7" * 24]
    )
    assert added.record("users", "7" * 24).roles == {"visitor"}
    with pytest.raises(KeyError):
        made.record("users", "7" * 24)


def test_state_and_pause_are_set_by_themselves() -> None:
    made = clever_district(elm_grove())
    paused = with_state(made, state="paused", pause_start="2026-07-01", pause_end="2026-08-15")
    assert dict(paused.district) == {
        **made.district,
        "state": "paused",
        "pause_start": "2026-07-01",
        "pause_end": "2026-08-15",
    }
    failed = with_state(made, state="error", error="broken", last_sync="2026-08-31T01:00:00.000Z")
    assert dict(failed.district) == {
        **made.district,
        "state": "error",
        "error": "broken",
        "last_sync": "2026-08-31T01:00:00.000Z",
    }
    assert failed.records is made.records
