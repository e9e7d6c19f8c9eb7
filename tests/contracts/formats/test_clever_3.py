"""Clever's records become the canonical roster: hand-made records, whole frames, and the issues settling finds."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import polars as pl
import pytest

from contracts import roster as shapes
from contracts.checking import check
from contracts.formats import Reading
from contracts.formats.clever_3 import FORMAT, RECORD_TYPES
from contracts.roster import TABLES, Roster, Settled, StoredRoster, schema_of
from contracts.settling import settle
from errors import DataError
from tests.contracts.district import issues, kept, link, members, one, pairs, stored, who

TODAY = date(2026, 11, 24)
Record = dict[str, Any]


def school(key: str, **values: Any) -> Record:
    return {"id": key, "name": f"School {key}", "sis_id": f"0{key}", "school_number": f"9{key}"} | values


def user(key: str, role: str, fields: Record, **values: Any) -> Record:
    name = {"first": f"First{key}", "middle": "", "last": f"Last{key}"}
    return {"id": key, "email": f"{key}@unified.example", "name": name, "roles": {role: fields}} | values


def teacher(key: str, *schools: str, **values: Any) -> Record:
    return user(key, "teacher", {"school": schools[0], "schools": [*schools], "sis_id": f"0{key}"}, **values)


def staff(key: str, *schools: str, **values: Any) -> Record:
    return user(key, "staff", {"staff_id": f"0{key}", "schools": [*schools]}, **values)


def student(key: str, *schools: str, role: Record | None = None, **values: Any) -> Record:
    fields = {"school": schools[0], "schools": [*schools], "sis_id": f"0{key}", "dob": "9/3/2014", "grade": "5"}
    return user(key, "student", fields | (role or {}), **{"email": "", **values})


def contact(key: str, *students: str, role: Record | None = None, **values: Any) -> Record:
    related = [{"student": each, "relationship": "Mother", "type": "Primary"} for each in students]
    fields = {"sis_id": f"0{key}", "phone": "(212) 555-0123", "phone_type": "Cell", "student_relationships": related}
    values = {"name": {"last": f"First{key} Last{key}"}, "email": f"{key}@mail.example", **values}
    return user(key, "contact", fields | (role or {}), **values)


def section(
    key: str, teachers: Collection[str] = ("t1",), students: Collection[str] = ("u1",), **values: Any
) -> Record:
    leads = {"teacher": next(iter(teachers), ""), "teachers": [*teachers], "students": [*students]}
    return {"id": key, "name": f"Section {key}", "sis_id": f"0{key}", "school": "s1"} | leads | values


@dataclass
class Records:
    """Records by file. As made: at s1 teacher t1, section k1 and student u1 with contact c1.

    Where a record names s2, that is a school, too.
    """

    schools: list[Record] = field(default_factory=lambda: [school("s1")])
    students: list[Record] = field(default_factory=lambda: [student("u1", "s1")])
    teachers: list[Record] = field(default_factory=lambda: [teacher("t1", "s1")])
    staff: list[Record] = field(default_factory=list)
    district_admins: list[Record] = field(default_factory=list)
    contacts: list[Record] = field(default_factory=lambda: [contact("c1", "u1")])
    sections: list[Record] = field(default_factory=lambda: [section("k1")])

    def content(self) -> dict[str, bytes]:
        files = {f"{name}.jsonl": _lines(records) for name, records in vars(self).items()}
        if any(b'"s2"' in content for content in files.values()) and b'"s2"' not in files["schools.jsonl"]:
            files["schools.jsonl"] += _lines([school("s2")])
        return {"district.jsonl": _lines([{"id": "d1", "name": "Unified", "state": "running"}]), **files}


def _lines(records: Collection[Any]) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def read(records: Records) -> Reading:
    return FORMAT.read(records.content())


def mapped(records: Records) -> Roster:
    return FORMAT.to_roster(read(records))


def settled(records: Records, known: StoredRoster | None = None, schools: Collection[str] | None = None) -> Settled:
    return settle(check(mapped(records), schools, today=TODAY), StoredRoster.nothing() if known is None else known)


def shown(value: Settled) -> list[tuple[Any, ...]]:
    return issues(value, "code", "school_id", "file", "record_id", "detail")


def rows(frame: pl.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    return sorted(frame.select(columns).rows(), key=repr)


# --- the canonical roster ---


def test_a_record_of_each_kind_becomes_its_rows() -> None:
    roster = mapped(Records(staff=[staff("f1", "s2")]))
    assert {name: getattr(roster, name).schema for name in TABLES} == {
        name: pl.Schema(dict(schema_of(table))) for name, table in TABLES.items()
    }
    assert roster.schools.rows() == [("s1", "School s1", "school", 1), ("s2", "School s2", "school", 2)]
    assert roster.people.drop("sis_id").rows() == [
        (0, "employee", "teacher", "t1", "Firstt1", "Lastt1", "t1@unified.example", *4 * [None], "teacher", 1),
        (1, "employee", "staff", "f1", "Firstf1", "Lastf1", "f1@unified.example", *4 * [None], "staff", 1),
        (2, "student", "student", "u1", "Firstu1", "Lastu1", None, None, "9/3/2014", "5", None, "student", 1),
        (
            *(3, "guardian", "guardian", "c1", None, "Firstc1 Lastc1", "c1@mail.example", "(212) 555-0123"),
            *(None, None, None, "contact", 1),
        ),
    ]
    assert rows(roster.school_members, *shapes.SCHOOL_MEMBERS) == [
        ("employee", "f1", "s2", "staff", 1),
        ("employee", "t1", "s1", "teacher", 1),
        ("student", "u1", "s1", "student", 1),
    ]
    assert roster.classes.rows() == [("k1", "0k1", "s1", "Section k1", "section", 1)]
    assert roster.class_members.rows() == [
        ("k1", "employee", "t1", True, None, "section", 1),
        ("k1", "student", "u1", False, None, "student", 1),
    ]
    assert roster.guardianships.rows() == [("u1", 3, "mother", "primary", "contact", 1)]
    assert (roster.has_lines, roster.shares_part) == (False, True)


def test_the_records_are_kept_for_people_to_read() -> None:
    records = Records(staff=[staff("f1", "s2")], students=[student("u1", "s2", "s1", "s9")])
    roster = mapped(records)
    assert [*roster.rows] == [*RECORD_TYPES.values()]
    assert {name: frame.to_dicts() for name, frame in roster.rows.items()} == {
        "school": [
            {"line": 1, "id": "s1", "sis_id": "0s1", "school_number": "9s1", "name": "School s1"},
            {"line": 2, "id": "s2", "sis_id": "0s2", "school_number": "9s2", "name": "School s2"},
        ],
        "student": [
            {
                "line": 1,
                "id": "u1",
                "sis_id": "0u1",
                "first_name": "Firstu1",
                "last_name": "Lastu1",
                "email": None,
                "student_number": None,
                "dob": "9/3/2014",
                "grade": "5",
                "schools": "School s1; School s2; s9",
            }
        ],
        "teacher": [
            {
                "line": 1,
                "id": "t1",
                "sis_id": "0t1",
                "first_name": "Firstt1",
                "last_name": "Lastt1",
                "email": "t1@unified.example",
                "teacher_number": None,
                "title": None,
                "schools": "School s1",
            }
        ],
        "staff": [
            {
                "line": 1,
                "id": "f1",
                "sis_id": "0f1",
                "first_name": "Firstf1",
                "last_name": "Lastf1",
                "email": "f1@unified.example",
                "title": None,
                "department": None,
                "schools": "School s2",
            }
        ],
        "contact": [
            {
                "line": 1,
                "id": "c1",
                "sis_id": "0c1",
                "first_name": None,
                "last_name": "Firstc1 Lastc1",
                "email": "c1@mail.example",
                "phone": "(212) 555-0123",
                "phone_type": "Cell",
                "students": "1",
            }
        ],
        "section": [
            {
                "line": 1,
                "id": "k1",
                "sis_id": "0k1",
                "name": "Section k1",
                "section_number": None,
                "period": None,
                "subject": None,
                "school": "School s1",
                "teachers": "1",
                "students": "1",
            }
        ],
    }


def test_a_user_with_several_roles_is_one_employee_a_teacher_first_in_all_their_schools() -> None:
    both = {"name": {"first": "Ada", "last": "Byrd"}, "email": "ada@unified.example"}
    records = Records(teachers=[teacher("t1", "s1", **both)], staff=[staff("t1", "s2", "s1", **both)])
    roster = mapped(records)
    assert roster.people.filter(kind="employee").select("role", "external_id", "first_name", "file").rows() == [
        ("teacher", "t1", "Ada", "teacher")
    ]
    assert rows(roster.school_members.filter(kind="employee"), "school_id", "file", "line") == [
        ("s1", "teacher", 1),
        ("s2", "teacher", 1),
    ]
    found = settled(records)
    assert shown(found) == []
    assert one(found, "t1", "role") == "teacher"
    assert found.school_members.rows() == [(0, "s1"), (0, "s2"), (1, "s1")]
    assert settled(records, schools=["s2"]).school_members.rows() == [(0, "s2")]


def test_somebody_in_a_school_of_ours_is_ours_whatever_their_other_schools() -> None:
    for mine, other in (("s1", "s2"), ("s2", "s1")):
        records = Records(students=[student("u1", "s1", "s2")], teachers=[teacher("t1", "s1", "s2")])
        records.sections = [section("k1", school=mine)]
        found = settled(records, schools=[mine])
        assert shown(found) == []
        assert who(found) == ["t1", "u1", "c1"]
        assert found.school_members.rows() == [(0, mine), (1, mine)]
        assert found.notes == (f"ignored schools not synced from this source: {other} (School {other})",)


def test_the_primary_teacher_and_the_co_teachers_lead_the_class() -> None:
    records = Records(teachers=[teacher("t1", "s1"), teacher("t2", "s1")], staff=[staff("f1", "s1")])
    records.sections = [section("k1", ["t2", "t1", "f1"]), section("k2", [], teacher="t1"), section("k3", teacher="")]
    assert mapped(records).class_members.filter("is_owner").select("class_id", "external_id").rows() == [
        ("k1", "t2"),
        ("k1", "t1"),
        ("k1", "f1"),
        ("k2", "t1"),
        ("k3", "t1"),
    ]
    assert shown(settled(records)) == []


def test_a_contact_is_one_account_with_the_full_name_and_each_relationship() -> None:
    related = [
        {"student": "u1", "relationship": " Aunt/Uncle ", "type": "Parent/Guardian"},
        {"student": "u2", "relationship": "", "type": "Invented"},
        {"student": "u1", "relationship": "Aunt/Uncle", "type": "Parent/Guardian"},
        {"relationship": "Aunt/Uncle"},
    ]
    records = Records(
        students=[student("u1", "s1"), student("u2", "s1")],
        contacts=[contact("c1", role={"student_relationships": related, "phone_type": "Carrier pigeon"})],
        sections=[section("k1", students=["u1", "u2"])],
    )
    found = settled(records)
    assert shown(found) == []
    assert one(found, "c1", "first_name", "last_name", "phone") == (None, "Firstc1 Lastc1", "+12125550123")
    assert pairs(found) == [("u1", "c1"), ("u2", "c1")]
    assert found.guardianships.select("relationship", "type").rows() == [
        ("aunt/uncle", "parent/guardian"),
        (None, "invented"),
    ]


def test_contacts_without_a_student_and_mere_district_administrators_are_counted_in_the_notes() -> None:
    records = Records()
    records.contacts += [contact("c2"), contact("c3", ""), {"id": "c4"}]
    records.staff = [staff("f1", "s1")]
    records.district_admins = [{"id": "t1"}, {"id": "f1"}, {"id": "a1"}, {"id": "a2"}]
    assert read(records).notes == (
        "contacts without a student, left out: 3",
        "district administrators without another role, who get no account: 2",
    )
    assert who(settled(records)) == ["f1", "t1", "u1", "c1"]
    assert read(Records()).notes == ()


@pytest.mark.parametrize(
    ("given", "grade", "is_known"),
    [
        ("Kindergarten", "K", True),
        ("TransitionalKindergarten", "TK", True),
        ("PreKindergarten", "PK", True),
        ("Preschool", "PK", True),
        ("InfantToddler", "PK", True),
        ("1", "1", True),
        ("12", "12", True),
        ("13", "13", True),
        ("PostGraduate", "13", True),
        ("Ungraded", None, True),
        ("Other", None, True),
        ("", None, True),
        (None, None, True),
        (7, "7", True),
        ("Owls", None, False),
    ],
)
def test_grades_are_those_that_clever_knows(given: Any, grade: str | None, is_known: bool) -> None:
    found = settled(Records(students=[student("u1", "s1", role={"grade": given})]))
    assert one(found, "u1", "grade") == grade
    assert shown(found) == ([] if is_known else [("grade_unknown", "s1", "student", "u1", None)])


def test_birth_dates_are_read_without_padding_and_a_students_language_is_not_taken() -> None:
    role = {"dob": "1/2/2014", "home_language_code": "spa", "home_language": "Spanish"}
    found = settled(Records(students=[student("u1", "s1", role=role)]))
    assert one(found, "u1", "birth_date", "language") == (date(2014, 1, 2), None)
    assert shown(found) == []


NEVER = {
    ("employee", "phone"): "Clever's teachers and staff: phone",
    ("student", "phone"): "Clever's students: phone",
    ("guardian", "language"): "Clever's contacts: language",
}


def without(record: Record, *keys: str) -> Record:
    return {
        key: without(value, *keys)
        if isinstance(value, dict)
        else [without(each, *keys) for each in value]
        if key == "student_relationships"
        else value
        for key, value in record.items()
        if key not in keys
    }


def test_a_field_that_no_record_of_a_kind_has_is_absent() -> None:
    keys = ("email", "dob", "grade", "phone", "relationship", "type")
    told = student("u2", "s1", role={"student_number": '"dob": "grade": \\'}, name={"first": '"email":', "last": "x"})
    bare = Records(
        students=[without(each, *keys) for each in (student("u1", "s1"), told)],
        contacts=[without(contact("c1", "u1"), *keys)],
    )
    absent = {
        ("student", "email"): "Clever's students: email",
        ("student", "birth_date"): "Clever's students: dob",
        ("student", "grade"): "Clever's students: grade",
        ("guardian", "email"): "Clever's contacts: email",
        ("guardian", "phone"): "Clever's contacts: phone",
        ("guardianship", "relationship"): "Clever's contacts: relationship",
        ("guardianship", "type"): "Clever's contacts: type",
    }
    assert mapped(bare).absent == NEVER | absent
    bare.students[0]["roles"]["student"]["dob"] = None
    bare.contacts[0]["email"] = ""
    del absent["student", "birth_date"], absent["guardian", "email"]
    assert mapped(bare).absent == NEVER | absent
    assert mapped(bare).names == {("student", "birth_date"): "dob"}


def test_nothing_is_absent_where_there_are_no_records() -> None:
    assert mapped(Records()).absent == NEVER
    assert mapped(Records(students=[], contacts=[])).absent == NEVER


@pytest.mark.parametrize("nothing", [" ", "\u200b", "\u2060\t", "\x01", "\x85\u00ad", "\x00\n"])
def test_values_lose_what_cannot_be_seen_at_their_ends(nothing: str) -> None:
    def around(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: around(each) for key, each in value.items()}
        if isinstance(value, list):
            return [around(each) for each in value]
        return f"{nothing}{value}{nothing}"

    records = Records(staff=[staff("f1", "s1")])
    spoilt = Records(**{name: around(found) for name, found in vars(records).items()})
    expected, found = mapped(records), mapped(spoilt)
    assert {name: sorted(getattr(found, name).rows(), key=repr) for name in TABLES} == {
        name: sorted(getattr(expected, name).rows(), key=repr) for name in TABLES
    }


def test_an_invisible_character_inside_a_value_stays_and_a_control_character_is_a_blank() -> None:
    records = Records(teachers=[teacher("t1", "s1", name={"first": "A\u200bda", "last": "St\x01one"})])
    assert one(settled(records), "t1", "first_name", "last_name") == ("A\u200bda", "St one")


# --- what a record may be like ---

STRANGE: list[Any] = [
    *(None, "", "  ", 12, 1.5, True, [], ["x"], [12], [{"a": 1}], [None], {}, {"a": {"b": []}}, "\x00", "x\x00y\nz"),
]


@pytest.mark.parametrize("value", STRANGE, ids=json.dumps)
def test_a_field_of_any_type_is_no_failure(value: Any) -> None:
    records = Records(staff=[staff("f1", "s1")])
    for name, made in vars(records).items():
        changed = [{**made[0], key: value} for key in made[0]] if made else []
        for key in {"name", "roles"}.intersection(
            made[0] if name not in ("schools", "sections", "district_admins") else ()
        ):
            changed += [{**made[0], key: {**made[0][key], each: value}} for each in made[0][key]]
            if key == "roles":
                ((role, fields),) = made[0][key].items()
                changed += [{**made[0], key: {role: {**fields, each: value}}} for each in fields]
        made += [{**record, "id": f"{name}{at}"} for at, record in enumerate(changed)]
    found = settled(records)
    assert {"t1", "f1", "u1", "c1"} <= {*who(found)}
    assert found.school_members.height >= 3


def test_what_is_no_text_is_null_and_what_only_looks_so_is_kept() -> None:
    names = [{"a": 1}, ["x"], [], {}, [1], [None], "[Art] club", "{x}", "[1st] Art", "[ ]", 7, " A\n\tB ", "\x00", "é"]
    records = Records(sections=[section(f"k{at:02}", name=name) for at, name in enumerate(names)])
    assert mapped(records).classes["name"].to_list() == [
        *(None, None, None, None, None, None, "[Art] club", "{x}", "[1st] Art", "[ ]", "7", "A B", None, "é")
    ]


def test_members_that_are_no_text_are_left_out() -> None:
    strange: list[Any] = ["u1", "", None, {"id": "u1"}, ["u1"], " u1 "]
    members_of = mapped(Records(sections=[section("k1", students=strange)])).class_members
    assert members_of.filter(~pl.col("is_owner"))["external_id"].to_list() == ["u1"]


def test_unknown_keys_and_missing_optional_fields_are_tolerated() -> None:
    bare = Records(
        schools=[{"id": "s1", "name": "One", "ext": {"x": [1, {"y": 2}]}}],
        teachers=[{**teacher("t1", "s1"), "legacy": None, "roles": {"teacher": {"school": "s1", "new": [1]}}}],
        students=[
            {"id": "u1", "name": {"first": "A", "last": "B", "nick": "C"}, "roles": {"student": {"schools": ["s1"]}}}
        ],
        contacts=[{"id": "c1"}],
        sections=[{"id": "k1", "name": "Art", "school": "s1", "teachers": ["t1"], "students": ["u1"], "term_id": 5}],
    )
    found = settled(bare)
    assert who(found) == ["t1", "u1"]
    assert members(found) == [("k1", "s1", "t1", True), ("k1", "s1", "u1", False)]
    assert shown(found) == [
        ("birth_date_missing", "s1", "student", "u1", None),
        ("student_unreachable", "s1", "student", "u1", None),
        ("student_without_guardian", "s1", "student", "u1", None),
    ]


def test_a_district_that_shares_nothing_yet_is_read() -> None:
    found = settled(Records([], [], [], [], [], [], []))
    assert (who(found), shown(found), found.notes) == ([], [], ())


@pytest.mark.parametrize(
    "line", [b"5\n", b"{}\n", b'{"id": ""}\n', b'{"id": null}\n', b'{"id": {"x": "Secretperson"}}\n']
)
def test_a_record_without_an_id_stops_everything_and_shows_nothing(line: bytes) -> None:
    with pytest.raises(DataError, match="where a record has no ID") as raised:
        FORMAT.read({**Records().content(), "students.jsonl": line})
    assert "Secretperson" not in str(raised.value)


@pytest.mark.parametrize("content", [b'{"id": "Secretperson"', b"Secretperson\n", None])
def test_a_file_that_is_lost_or_damaged_stops_everything_and_shows_nothing(content: bytes | None) -> None:
    files = {name: data for name, data in Records().content().items() if name != "contacts.jsonl"}
    with pytest.raises(DataError, match=r"^reading contacts\.jsonl failed") as raised:
        FORMAT.read(files if content is None else {**files, "contacts.jsonl": content})
    assert "Secretperson" not in str(raised.value)
    assert raised.value.__cause__ is None


# --- issues ---


def test_each_contract_is_violated_at_clevers_record() -> None:
    records = Records(
        teachers=[teacher("t1", "s1"), teacher("t2", "s1", email=""), teacher("t3", "s1"), teacher("t4", "s2")],
        staff=[staff("f1", "s1", email="x"), staff("z2", "s1", email="t3@unified.example"), staff("f3", "s1")],
        students=[
            student("u1", "s1"),
            student("u2", "s1", name={"first": "", "last": "B"}),
            student("u3", "s1", role={"dob": "2/30/2014"}, email="no"),
            student("u4", "s2"),
            {"id": "u5", "name": {"first": "A", "last": "B"}, "roles": {"student": {"dob": "9/3/2014"}}},
        ],
        contacts=[
            contact("c1", "u1", "u2", "u4", "u5"),
            contact("c2", "u1", name={"last": ""}, email="c2@mail.example"),
            contact("c3", "u3", email="", role={"phone": "5"}),
        ],
        sections=[
            section("k1", ["t1", "t4"], ["u1", "u4"]),
            section("k2", ["t9", "t1"], ["u2", "u3"]),
            section("k3", ["t9"]),
            section("k4", name=" ", school="s1"),
            section("k5", [], [], name="Section k1"),
            section("k6", ["t3"], [], name="section K1"),
            section("k7", ["t2"], school=None),
            section("k8", ["t2"], ["u1"]),
        ],
    )
    assert shown(settled(records)) == [
        ("birth_date_invalid", "s1", "student", "u3", None),
        ("class_name_duplicate", "s1", "section", "k1", None),
        ("class_name_duplicate", "s1", "section", "k6", None),
        ("class_name_missing", "s1", "section", "k4", None),
        ("class_teacher_other_school", "s1", "section", "k1", None),
        ("class_teacher_unknown", "s1", "section", "k3", None),
        ("class_teacher_unknown", "s1", "section", "k5", None),
        ("class_without_students", "s1", "section", "k6", None),
        ("co_teacher_unknown", "s1", "section", "k2", None),
        ("email_invalid", "s1", "student", "u3", None),
        ("enrollment_student_other_school", "s1", "student", "u4", None),
        ("guardian_unreachable", "s1", "contact", "c3", None),
        ("name_missing", "s1", "contact", "c2", None),
        ("name_missing", "s1", "student", "u2", None),
        ("school_unknown", None, "section", "k7", None),
        ("school_unknown", None, "student", "u5", None),
        ("teacher_email_invalid", "s1", "staff", "f1", None),
        ("teacher_email_missing", "s1", "teacher", "t2", None),
        ("teacher_email_taken", "s1", "staff", "z2", None),
    ]


def test_staff_need_no_class_and_teachers_do() -> None:
    records = Records(teachers=[teacher("t1", "s1"), teacher("t2", "s1")], staff=[staff("f1", "s1")])
    assert shown(settled(records)) == [("teacher_without_class", "s1", "teacher", "t2", None)]


def test_references_to_records_that_are_not_shared_are_alerts_at_the_record_that_refers() -> None:
    records = Records(
        students=[student("u1", "s1", "s8", "s9"), student("u2", "s9")],
        teachers=[teacher("t1", "s1", "s9")],
        contacts=[contact("c1", "u1", "u8", "u9"), contact("c2", "u9", email="", role={"phone": ""})],
        sections=[section("k1", ["t1", "t9"], ["u1", "u8", "u9"]), section("k2", school="s9")],
    )
    found = settled(records)
    assert shown(found) == [
        ("co_teacher_unknown", "s1", "section", "k1", None),
        ("record_not_shared", "s1", "contact", "c1", "student"),
        ("record_not_shared", "s1", "section", "k1", "student"),
        ("record_not_shared", "s1", "student", "u1", "school"),
        ("record_not_shared", "s1", "teacher", "t1", "school"),
        ("record_not_shared", None, "contact", "c2", "student"),
        ("record_not_shared", None, "section", "k2", "school"),
        ("record_not_shared", None, "student", "u2", "school"),
    ]
    assert who(found) == ["t1", "u1", "c1"]
    assert members(found) == [("k1", "s1", "t1", True), ("k1", "s1", "u1", False)]
    assert pairs(found) == [("u1", "c1")]


def test_nothing_provisioned_earlier_is_removed_by_a_reference_that_is_not_shared() -> None:
    records = Records(
        students=[student("u1", "s9"), student("u2", "s1")],
        contacts=[contact("c1", "u1"), contact("c2", "u2", "u9"), contact("c3", "u9", email="c3@mail.example")],
        sections=[section("k1", students=["u1", "u2", "u9"]), section("k2", school="s9")],
    )
    known = stored(
        *(link("L1", "student", "u1"), link("L2", "student", "u2"), link("L9", "student", "u9")),
        *(link(f"G{each}", "guardian", f"c{each}", email=f"c{each}@mail.example") for each in (1, 2, 3)),
        guardianships=[("L1", "G1"), ("L2", "G2"), ("L9", "G3")],
        classes=[("k1", "s1"), ("k2", "s1")],
    )
    found = settled(records, known)
    assert found.seen_links["link_id"].to_list() == ["G1", "G2", "G3", "L1", "L2"]
    assert kept(found, "school_members") == [("L1", None)]
    assert kept(found, "classes") == [(None, "k2")]
    # Whoever else leaves the class, or the guardian's other students, is not kept by it.
    assert kept(found, "class_students") == [("L9", None)]
    assert {link_id for link_id, _ in kept(found, "guardianships")} == {"G3", "L1"}
    assert ("k1", "s1", "L1", False) in members(found)


def test_issues_speak_of_the_record_and_not_of_a_line_so_that_a_newcomer_changes_none() -> None:
    before = Records(students=[student("u2", "s1", email="no")], sections=[section("k1", students=["u2"])])
    before.contacts = [contact("c1", "u2")]
    found = settled(before).issues
    assert found.drop("row").rows() == [("email_invalid", "s1", "student", None, "u2", None, 0, None)]
    assert json.loads(found["row"][0]) == {
        "id": "u2",
        "sis_id": "0u2",
        "first_name": "Firstu2",
        "last_name": "Lastu2",
        "email": "no",
        "student_number": None,
        "dob": "9/3/2014",
        "grade": "5",
        "schools": "School s1",
    }
    before.students.insert(0, student("u1", "s1"))
    before.contacts.append(contact("c9", "u1"))
    before.sections.append(section("k9", students=["u1"]))
    assert settled(before).issues.equals(found)


def test_one_guardian_under_several_contacts_differs_in_clevers_fields() -> None:
    same = {"name": {"last": "Ada Byrd"}}
    records = Records(contacts=[contact("c1", "u1", **same), contact("c2", "u1", **same)])
    found = settled(records)
    assert one(found, "c1", "guardian_ids", "email") == (["c1", "c2"], "c1@mail.example")
    assert shown(found) == [("duplicate_conflict", "s1", "contact", "c1", "email")]


def test_shared_schools_that_are_not_set_up_are_named_in_the_notes() -> None:
    nameless: Mapping[str, Any] = {"id": "s3"}
    found = settled(Records(schools=[school("s1"), school("s2"), dict(nameless)]), schools=["s1", "s7"])
    assert found.notes == ("ignored schools not synced from this source: s2 (School s2), s3",)
    assert found.missing_schools == ("s7",)
