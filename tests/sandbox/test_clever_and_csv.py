"""One invented district, once as CSV and once as Clever's records: the same people, classes and issues."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import polars as pl
import pytest

from contracts.checking import check
from contracts.formats import FORMATS
from contracts.roster import Settled, StoredRoster
from contracts.settling import settle
from sandbox.clever_records import CleverDistrict, clever_district, clever_ids
from sandbox.generator import CLASS_MEMBERS, EMPLOYEE, GUARDIAN, STUDENT, District, generate

TODAY = date(2026, 11, 24)
Rows = list[tuple[Any, ...]]


def clever_files(district: CleverDistrict) -> dict[str, bytes]:
    """The files of a kept delivery."""
    roles = {f"{role}s.jsonl": role for role in ("student", "teacher", "district_admin", "contact")}
    records = {
        **{f"{name}.jsonl": district.records[name] for name in ("schools", "sections")},
        **{name: district.users(role) for name, role in {**roles, "staff.jsonl": "staff"}.items()},
    }
    files = {name: b"".join(record.body + b"\n" for record in found) for name, found in records.items()}
    return {**files, "district.jsonl": b"{}\n"}


def settled(name: str, files: dict[str, bytes]) -> Settled:
    reading = FORMATS[name].read(files)
    assert reading.file_errors.rows() == []
    return settle(check(FORMATS[name].to_roster(reading), None, today=TODAY), StoredRoster.nothing())


def both(district: District) -> tuple[dict[str, Rows], dict[str, Rows]]:
    """What settling finds in the one and the other, by the school system's IDs."""
    known = clever_ids(district)
    schools = {key: name for name, key in known.schools.items()}
    names = district.people.filter(kind=GUARDIAN).select("person", "external_id").rows()
    external_ids: dict[str, str | None] = {
        **schools,
        **{key: name for of in (known.employees, known.students, known.classes) for name, key in of.items()},
        **{known.guardians[person]: external_id for person, external_id in names},
    }
    of_clever = settled("clever-3", clever_files(clever_district(district)))
    return _by_sis_id(settled("csv-1.0", district.csv_files()), None), _by_sis_id(of_clever, external_ids)


def _by_sis_id(found: Settled, external_ids: dict[str, str | None] | None) -> dict[str, Rows]:
    def sis_id(column: str) -> pl.Expr:
        key = pl.col(column)
        return key if external_ids is None else key.replace_strict(external_ids, return_dtype=pl.String).alias(column)

    name = pl.concat_str("first_name", "last_name", separator=" ", ignore_nulls=True)
    named = pl.when(pl.col("kind") == GUARDIAN).then(name)
    first_last = [pl.when(pl.col("kind") != GUARDIAN).then(each).alias(each) for each in ("first_name", "last_name")]
    who = found.people.select(
        "person",
        "kind",
        "role",
        sis_id("external_id"),
        named.alias("name"),
        *first_last,
        *("email", "birth_date", "grade"),
        # Clever has telephones of contacts only.
        *(pl.when(pl.col("kind") == GUARDIAN).then(each).alias(each) for each in ("phone", "phone_extension")),
    )
    person = who.select("person", pl.struct(pl.exclude("person")).struct.json_encode().alias("who"))
    guardianships = found.guardianships.join(person, left_on="student", right_on="person").join(
        person, left_on="guardian", right_on="person", suffix="_guardian"
    )
    issues = found.issues.select("code", sis_id("school_id"), sis_id("record_id")).unique()
    frames = {
        "people": who.drop("person"),
        "school_members": found.school_members.join(person, on="person").select("who", sis_id("school_id")),
        "classes": found.classes.select(sis_id("external_id"), "name", sis_id("school_id")),
        "class_members": found.class_members.join(person, on="person").select(
            sis_id("class_id"), sis_id("school_id"), "who", "is_owner"
        ),
        "guardianships": guardianships.select("who", "who_guardian", "type"),
        "issues": issues,
    }
    return {name: sorted(frame.rows(), key=repr) for name, frame in frames.items()}


def with_people(district: District, kind: str, at: int, **values: Any) -> District:
    (person,) = district.of_kind(kind)["person"].slice(at, 1)
    changed = [
        pl.when(pl.col("person") == person).then(pl.lit(value)).otherwise(pl.col(name)).alias(name)
        for name, value in values.items()
    ]
    return replace(district, people=district.people.with_columns(changed))


def damaged(seed: int) -> District:
    """A district with one of every problem that both sources can have."""
    district = generate(seed, schools=3, students=60, teachers=12, classes=18, enrollments=200)
    district = with_people(district, EMPLOYEE, 0, email=None)
    district = with_people(district, EMPLOYEE, 1, email="front office")
    district = with_people(district, EMPLOYEE, 2, last_name=None)
    district = with_people(district, STUDENT, 0, first_name=None)
    district = with_people(district, STUDENT, 1, email="at school")
    district = with_people(district, STUDENT, 2, birth_date=None)
    (teachers_own,) = district.of_kind(EMPLOYEE)["email"].slice(3, 1)
    district = with_people(district, STUDENT, 3, email=teachers_own)
    district = with_people(district, GUARDIAN, 0, email=None, phone=None)
    district = with_people(district, GUARDIAN, 1, first_name=None, last_name=None)
    for at in range(2, 6):
        district = with_people(district, GUARDIAN, at, email="office@mail.example")

    students = district.of_kind(STUDENT)["person"]
    classes = district.classes
    same_school = classes.filter(pl.col("school_id") == classes["school_id"][0])["external_id"]
    one, other = same_school[1], same_school[2]
    name_of_other = classes.filter(external_id=other)["name"][0]
    is_alone = (pl.col("person") == students[5]) & ~pl.col("is_owner")
    is_empty = (pl.col("class_id") == same_school[3]) & ~pl.col("is_owner")
    at_first_school = district.school_members.filter(school_id=classes["school_id"][0])["person"].implode()
    outside = district.people.filter(~pl.col("person").is_in(at_first_school))
    joining = [
        {"class_id": one, "person": outside.filter(kind=kind)["person"][-1], "is_owner": kind == EMPLOYEE}
        for kind in (EMPLOYEE, STUDENT)
    ]
    return replace(
        district,
        schools=district.schools.with_columns(
            name=pl.when(pl.int_range(pl.len()) == 0).then(pl.lit("School " * 10 + "Long")).otherwise("name")
        ),
        classes=classes.with_columns(
            name=pl.when(external_id=one)
            .then(pl.lit(name_of_other))
            .when(external_id=same_school[0])
            .then(pl.lit(None))
            .otherwise("name")
        ),
        class_members=pl.concat(
            [
                district.class_members.filter(~is_alone, ~is_empty),
                pl.DataFrame(joining, schema=dict(CLASS_MEMBERS)),
            ]
        ),
        guardianships=district.guardianships.filter(pl.col("student") != students[6]),
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_clean_district_is_the_same_from_both(seed: int) -> None:
    of_files, of_clever = both(generate(seed, schools=3, students=120))
    assert of_files["issues"] == []
    assert of_clever == of_files


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_damaged_district_is_the_same_from_both_with_the_same_issues(seed: int) -> None:
    of_files, of_clever = both(damaged(seed))
    assert {code for code, *_ in of_files["issues"]} >= {
        "birth_date_missing",
        "class_name_duplicate",
        "class_name_missing",
        "class_teacher_other_school",
        "class_without_students",
        "email_invalid",
        "email_shared",
        "email_taken",
        "enrollment_student_other_school",
        "guardian_unreachable",
        "name_missing",
        "school_name_too_long",
        "student_without_class",
        "student_without_guardian",
        "teacher_email_invalid",
        "teacher_email_missing",
    }
    assert of_clever == of_files
