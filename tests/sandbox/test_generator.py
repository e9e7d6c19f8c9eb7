from dataclasses import replace
from pathlib import Path
from typing import Any

import phonenumbers
import polars as pl
import pytest

from sandbox import names
from sandbox.generator import generate, grade_name, grade_number, phones
from tests.sandbox.rules import broken_rules


@pytest.mark.parametrize(
    "sizes",
    [
        {"schools": 1, "students": 1, "teachers": 1, "classes": 1, "enrollments": 1},
        {"schools": 3, "students": 1000, "teachers": 90, "classes": 380, "enrollments": 9000},
        {"schools": 2, "students": 40, "teachers": 20, "classes": 6, "enrollments": 100},
        {"schools": 40, "students": 5000, "teachers": 300, "classes": 900, "enrollments": 20_000},
    ],
)
def test_a_district_has_the_sizes_asked_for_and_keeps_the_rules(sizes: dict[str, Any]) -> None:
    district = generate(seed=4, **sizes)
    counts = district.counts()
    assert {name: counts[name] for name in sizes} == sizes
    assert broken_rules(district) == []


def test_the_rules_find_what_is_broken() -> None:
    district = generate(students=50)
    assert broken_rules(replace(district, class_members=district.class_members.filter("is_owner"))) == [
        "a class has no student",
        "somebody has no class",
    ]


def test_sizes_follow_the_students_where_they_are_left_out() -> None:
    counts = generate(students=1000).counts()
    assert (counts["teachers"], counts["classes"], counts["enrollments"]) == (90, 380, 9000)


def test_the_same_seed_gives_the_same_files_and_another_seed_others() -> None:
    assert generate(seed=3, students=60).csv_files() == generate(seed=3, students=60).csv_files()
    assert generate(seed=3, students=60).csv_files() != generate(seed=4, students=60).csv_files()


def test_districts_of_two_seeds_share_no_address() -> None:
    one, two = (generate(seed=seed, students=2000).people["email"].drop_nulls() for seed in (1, 2))
    assert set(one) & set(two) == set()


def test_it_is_as_mixed_as_a_real_district() -> None:
    district = generate(students=1000)
    schools = district.school_members.group_by("kind", "person").len()
    two = schools.filter(pl.col("len") == 2)["kind"].value_counts().sort("kind")
    children = district.guardianships.group_by("guardian").len()["len"]
    owners = district.class_members.filter("is_owner").group_by("class_id").len()["len"]
    guardians = district.of_kind("guardian")
    assert dict(two.iter_rows()) == {"employee": 2, "student": 33}
    assert (children.min(), children.max()) == (1, 3)
    assert owners.value_counts().sort("len").rows() == [(1, 350), (2, 30)]
    assert {name: guardians[name].null_count() > 100 for name in ("external_id", "email", "phone")} == {
        "external_id": True,
        "email": True,
        "phone": True,
    }
    siblings = district.guardianships.join(district.school_members, left_on="student", right_on="person").group_by(
        "guardian"
    )
    assert siblings.agg(pl.col("school_id").n_unique())["school_id"].max() == 3


@pytest.mark.parametrize(
    ("sizes", "why"),
    [
        ({"schools": 3, "students": 2}, "every school needs at least one student, one teacher and one class"),
        ({"schools": 0}, "every school needs at least one student, one teacher and one class"),
        (
            {"schools": 1, "students": 5, "classes": 2, "enrollments": 11},
            "5 places of students allow 5 to 10 enrollments",
        ),
        (
            {"schools": 1, "students": 5, "classes": 2, "enrollments": 4},
            "5 places of students allow 5 to 10 enrollments",
        ),
        (
            {"schools": 1, "students": 5, "classes": 9, "enrollments": 6},
            "6 enrollments leave some of the 9 classes empty",
        ),
    ],
)
def test_sizes_that_cannot_be_are_refused(sizes: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        generate(**sizes)


def test_every_phone_is_a_valid_number_and_none_is_given_twice() -> None:
    # The first 30,800 numbers are those kept for fiction; both sides of that border, and each area code.
    codes = len(names.AREA_CODES)
    numbers = pl.Series([*range(400), *range(codes * 100 - 200, codes * 100 + 200)], dtype=pl.UInt32)
    by_code = pl.int_range(codes, eager=True).cast(pl.UInt32) * 9_900 + codes * 100
    given = phones(7, pl.concat([numbers, by_code]))
    assert [number for number in given if not phonenumbers.is_valid_number(phonenumbers.parse(number))] == []
    many = phones(7, pl.int_range(400_000, dtype=pl.UInt32, eager=True))
    assert many.n_unique() == 400_000
    assert many.head(codes * 100).str.contains("^\\+1[0-9]{3}55501[0-9]{2}$").all()


def test_grades_go_from_kindergarten_to_twelve() -> None:
    numbers = pl.Series("grade", [0, 1, 12], dtype=pl.Int32)
    assert grade_name(numbers).to_list() == ["K", "1", "12"]
    assert grade_number(grade_name(numbers)).to_list() == [0, 1, 12]


def test_it_is_written_into_a_folder(tmp_path: Path) -> None:
    district = generate(students=20)
    district.write(tmp_path / "drop")
    assert {file.name: file.read_bytes() for file in (tmp_path / "drop").iterdir()} == district.csv_files()
