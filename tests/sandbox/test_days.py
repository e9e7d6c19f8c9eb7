from datetime import date
from typing import Any

import polars as pl
import pytest

from sandbox.days import next_day, next_year
from sandbox.generator import District, generate, grade_number
from tests.sandbox.rules import broken_rules

FIELDS = ("last_name", "email", "phone")


def whereabouts(district: District) -> dict[str, list[str]]:
    members = district.school_members.filter(pl.col("kind") == "student").join(district.people, on="person")
    return dict(members.group_by("external_id").agg(pl.col("school_id").sort()).iter_rows())


def test_so_many_joined_left_moved_and_changed() -> None:
    before = generate(students=300, seed=2)
    after = next_day(before, 1, joined=12, left=7, moved=5, changed=20, teachers_joined=2, teachers_left=3)
    was, now = whereabouts(before), whereabouts(after)
    assert (len(now.keys() - was.keys()), len(was.keys() - now.keys())) == (12, 7)
    assert sum(was[student] != now[student] for student in was.keys() & now.keys()) == 5
    teachers = [set(district.of_kind("employee")["external_id"]) for district in (before, after)]
    assert (len(teachers[1] - teachers[0]), len(teachers[0] - teachers[1])) == (2, 3)
    both = before.people.join(after.people, on="person", suffix="_now")
    differing = pl.any_horizontal(pl.col(field).ne_missing(pl.col(f"{field}_now")) for field in FIELDS)
    # Those who changed and left the same day are not there to be counted.
    assert both.filter(differing).height == 20
    assert broken_rules(after) == []
    assert after.day == date(2026, 9, 2)


def test_nothing_asked_for_changes_nothing_but_the_day() -> None:
    before = generate(students=60)
    assert next_day(before, 1).csv_files() == before.csv_files()


def test_many_days_in_a_row_keep_the_rules() -> None:
    district = generate(students=80, seed=6)
    for seed in range(8):
        district = next_day(district, seed, joined=5, left=5, moved=3, changed=9, teachers_joined=1, teachers_left=1)
        assert broken_rules(district) == []
    assert district.counts()["students"] == 80


def test_a_day_is_the_same_from_the_same_seed_and_differs_by_seed() -> None:
    before = generate(students=60)
    days = [next_day(before, seed, joined=3, left=2, changed=4).csv_files() for seed in (1, 1, 2)]
    assert days[0] == days[1]
    assert days[0] != days[2]


@pytest.mark.parametrize(
    ("sizes", "wishes", "why"),
    [
        ({"schools": 2, "students": 10}, {"left": 11}, "not so many students"),
        ({"schools": 1, "students": 10}, {"moved": 1}, "not so many students"),
        ({"schools": 2, "students": 10}, {"left": 10}, "a school would be left without students"),
        (
            {"schools": 2, "students": 10, "teachers": 2},
            {"teachers_left": 1},
            "a school would be left without teachers",
        ),
        ({"schools": 2, "students": 10}, {"changed": 1000}, "not so many people to change"),
    ],
)
def test_what_cannot_happen_is_refused(sizes: dict[str, Any], wishes: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        next_day(generate(**sizes), 1, **wishes)


@pytest.mark.parametrize("schools", [1, 2, 3, 7])
def test_a_year_later_everyone_is_a_grade_up_and_all_classes_are_new(schools: int) -> None:
    before = generate(students=400, schools=schools, seed=5)
    after = next_year(before, 1)
    both = before.of_kind("student").join(after.of_kind("student"), on="person", suffix="_now")
    assert (grade_number(both["grade_now"]) - grade_number(both["grade"])).to_list() == [1] * both.height
    assert set(before.classes["external_id"]) & set(after.classes["external_id"]) == set()
    assert before.of_kind("employee").equals(after.of_kind("employee"))
    assert {**after.counts(), "guardians": 0} == {**before.counts(), "guardians": 0}
    assert broken_rules(after) == []


def test_a_year_later_students_are_at_schools_that_teach_their_grade() -> None:
    after = next_year(generate(students=400, seed=5), 1)
    # Who belongs to two schools may be at a second one of another level.
    seats = (
        after.school_members.filter(pl.len().over("person") == 1)
        .join(after.of_kind("student"), on="person")
        .join(after.schools.select("lowest", "highest", school_id="external_id"), on="school_id")
    )
    level = grade_number(seats["grade"])
    assert seats.filter((level < seats["lowest"]) | (level > seats["highest"])).height == 0
