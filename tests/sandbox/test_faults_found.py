from datetime import date

import pytest

from contracts.checking import check
from contracts.formats import FORMATS
from contracts.formats.delimited import read_files
from contracts.roster import StoredRoster
from contracts.settling import settle
from sandbox.days import next_day, next_year
from sandbox.faults import EXPECTED, FAULTS, plant
from sandbox.generator import District, generate
from tests.sandbox.parents import with_parents_of

CSV = FORMATS["csv-1.0"]


def found_in(files: dict[str, bytes]) -> list[tuple[object, ...]]:
    """What a check of the files finds, as rows of EXPECTED."""
    reading = read_files(CSV, files)
    assert reading.file_errors.height == 0
    records = check(CSV.to_roster(reading), None, today=date(2027, 11, 24))
    issues = settle(records, StoredRoster.nothing()).issues
    return issues.select(*EXPECTED).sort(*EXPECTED, nulls_last=True).rows()


def districts() -> dict[str, District]:
    """Districts by what is special about them."""
    district = generate(students=250, seed=3)
    return {
        "as generated": district,
        "one school": generate(students=60, schools=1),
        "more teachers than classes": generate(schools=2, students=40, teachers=20, classes=6, enrollments=100),
        "the next day": next_day(
            district, 1, joined=9, left=8, moved=7, changed=30, teachers_joined=2, teachers_left=2
        ),
        "the next year": next_year(district, 1),
        "sharing parents": with_parents_of(district, generate(students=100, seed=9), 20),
    }


@pytest.mark.parametrize("name", districts())
def test_nothing_is_wrong_with_a_district(name: str) -> None:
    assert found_in(districts()[name].csv_files()) == []


@pytest.mark.parametrize("code", FAULTS)
def test_a_planted_fault_gives_the_issues_expected_and_no_other(code: str) -> None:
    count = 2 if code.startswith("school_name") else 5
    planted = plant(generate(students=120), {code: count})
    assert found_in(dict(planted.files)) == planted.expected.rows()


def test_all_faults_at_once_give_the_issues_expected_and_no_other() -> None:
    faults = dict.fromkeys(FAULTS, 4) | {"school_name_missing": 1, "school_name_too_long": 1}
    planted = plant(generate(students=200), faults)
    assert found_in(dict(planted.files)) == planted.expected.rows()
    assert set(planted.expected["code"]) == set(FAULTS)


def test_faults_planted_in_the_next_day_again_are_those_of_the_same_people() -> None:
    district = generate(students=120)
    faults = dict.fromkeys(("grade_unknown", "teacher_email_missing", "guardian_unreachable"), 3)
    later = next_day(district, 1, joined=5, left=5, moved=2, changed=10)
    before, after = (plant(day, faults, first_number=5001) for day in (district, later))
    who = ["code", "school_id", "record_id", "dependents"]
    assert before.expected.select(who).equals(after.expected.select(who))
    assert found_in(dict(after.files)) == after.expected.rows()
