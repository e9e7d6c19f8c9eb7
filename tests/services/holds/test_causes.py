"""What seems to have brought a hold about: each cause seen where it is, and not where it is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from contracts.formats.csv_1_0 import FORMAT
from contracts.formats.csv_1_0 import FORMAT as CSV
from contracts.roster import Schema
from models.database import Database
from services.holds.causes import CauseEvidence, causes, collect_evidence
from services.holds.guard import CHANGED_FIELDS, CHANGED_TYPES
from services.planning.changesets import CHANGES, FAMILIES, LINK_ROWS, UPDATES, ChangeSet
from services.planning.stored import load_stored_rows, read_scope
from tests.services.holds import test_guard
from tests.services.holds.test_guard import REMOVED, family
from tests.services.settled import apply, person, plan, set_up, settled

Person = tuple[str, str]  # external ID, school
PEOPLE = {"type": pl.String, "record_id": pl.String, "school_id": pl.String, "name": pl.String, "grade": pl.String}
LINKS: Schema = {
    **dict.fromkeys(("link_id", "account_id", "first_name", "last_name", "email", "phone"), pl.String),
    "guardian_ids": pl.List(pl.String),
}
PAIRS = {"student_link_id": pl.String, "guardian_link_id": pl.String}
HELD_PAIRS = {"id": pl.String, **PAIRS}
LISTED = {"type": pl.String, "school_id": pl.String, "count": pl.UInt32}
GIVEN = {"type": pl.String, "school_id": pl.String, "field": pl.String, "filled": pl.UInt32, "commonest": pl.UInt32}
HEADERS = {
    "schools.csv": b"school_id,school_name\n",
    "teachers.csv": b"teacher_id,school_id,first_name,last_name,email\n",
    "students.csv": b"student_id,school_id,first_name,last_name\n",
    "classes.csv": b"class_id,school_id,class_name,teacher_id\n",
    "enrollments.csv": b"class_id,student_id\n",
}
HERE = [(f"00{number}", "1") for number in range(10, 30)]
THERE = [(f"9{number}", "2") for number in range(10, 30)]
ALL = list(REMOVED)
ALL_CHANGES = [*(f"{kind}_{name}" for kind in CHANGED_TYPES for name in CHANGED_FIELDS), "guardianships"]
NOTHING = replace(
    test_guard.NOTHING,
    links=pl.DataFrame(schema=dict(LINK_ROWS)),
    guardianships=pl.DataFrame(schema=PAIRS),
    ended_guardianships=pl.Series(dtype=pl.String),
)


def students(people: Sequence[Person], grade: str = "3") -> pl.DataFrame:
    rows = [("students", each, school, f"name of {each}", grade) for each, school in people]
    return pl.DataFrame(rows, schema=PEOPLE, orient="row")


def seen(now: Sequence[Person] = (*HERE, *THERE), **others: Any) -> CauseEvidence:
    """Lincoln (1) and Adams (2) with twenty students each, of grade 3; and a delivery that has these."""
    members = students(now)
    counted = members.group_by("type", "school_id").len("count")
    of_other_types = pl.DataFrame(
        [(kind, school, 9) for kind in ("employees", "classes", "guardians") for school in "12"],
        schema=LISTED,
        orient="row",
    )
    plain = CauseEvidence(
        schools=schools({"1": "Lincoln", "2": "Adams"}),
        members=members,
        listed=pl.concat([counted, of_other_types]),
        given=pl.DataFrame(schema=GIVEN),
        rows={},
        tables={name: CSV.tables_of(name) for name in CSV.file_names},
        stored=students([*HERE, *THERE]),
        links=pl.DataFrame(schema=dict(LINKS)),
        guardianships=pl.DataFrame(schema=HELD_PAIRS),
        rows_before={},
        school_ids={"unified/lincoln": "1", "unified/adams": "2"},
        names={"1": "Lincoln", "2": "Adams"},
    )
    return replace(plain, **others)


def schools(named: Mapping[str, str]) -> pl.DataFrame:
    return pl.DataFrame(list(named.items()), schema={"school_id": pl.String, "name": pl.String}, orient="row")


def with_files(now: Mapping[str, int], before: Mapping[str, int]) -> CauseEvidence:
    return seen(rows=now, rows_before={"unified/lincoln": before})


def changed(before: Mapping[str, int] | None = None, **changes: Any) -> ChangeSet:
    """What Lincoln's ChangeSet says: `action_type` and the IDs."""
    rows = []
    for told, ids in changes.items():
        action, kind = told.split("_", 1)
        rows += [{"action": action, "type": kind, "key": each, "record_id": each} for each in ids]
    before = before or {"students": 20, "classes": 10}
    return replace(NOTHING, changes=pl.DataFrame(rows, schema=dict(CHANGES)), before=before)


def renumbered(kind: str, ids: Mapping[str, str]) -> pl.DataFrame:
    rows = [{"action": "change_id", "type": kind, "record_id": old, "new_id": new} for old, new in ids.items()]
    return pl.DataFrame(rows, schema=dict(CHANGES))


def removals(changeset: ChangeSet, seen: CauseEvidence, crossed: Sequence[str] = ALL) -> str | None:
    return causes(changeset, seen, {"data_removals": crossed}).get("data_removals")


def test_nothing_is_said_where_nothing_is_seen() -> None:
    everything = {"school_missing": [], "data_removals": ALL, "unusual_changes": ALL_CHANGES, "too_many_guardians": []}
    assert causes(changed(remove_students=["0010", "0011", "0012"]), seen(), everything) == {}


def test_only_the_reasons_that_there_are_have_causes() -> None:
    assert causes(changed(remove_students=["0010"], create_students=["10"]), seen(), {"unusual_changes": []}) == {}


# --- files ------------------------------------------------------------------------------------------------------------

EMPTY = "students.csv has its header and no rows; in the delivery applied last it had 100."


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (0, EMPTY),
        (1, "students.csv has shrunk to 1 row; in the delivery applied last it had 100."),
        (79, "students.csv has shrunk to 79 rows; in the delivery applied last it had 100."),
        (80, None),
        (200, None),
    ],
)
def test_a_file_without_rows_or_with_far_fewer(now: int, said: str | None) -> None:
    found = with_files({"students.csv": now, "teachers.csv": 5}, {"students.csv": 100, "teachers.csv": 5})
    assert removals(changed(remove_students=["0010"]), found) == said


@pytest.mark.parametrize(
    ("file", "types"),
    [
        ("students.csv", {"students", "guardians", "guardianships"}),
        ("teachers.csv", {"employees"}),
        ("classes.csv", {"classes"}),
        ("enrollments.csv", {"student_class_memberships", "teacher_class_memberships"}),
        ("people.tsv", set(ALL)),  # another format's
    ],
)
def test_a_file_is_named_only_where_what_it_holds_goes(file: str, types: set[str]) -> None:
    found = with_files({file: 0}, {file: 100})
    said = f"{file} has its header and no rows; in the delivery applied last it had 100."
    assert {kind: removals(changed(), found, [kind]) for kind in ALL} == {
        kind: said if kind in types else None for kind in ALL
    }


def test_the_file_of_the_schools_is_named_where_a_school_is_missing_and_no_other_is_like_it() -> None:
    found = with_files({"schools.csv": 0, "students.csv": 0}, {"schools.csv": 2, "students.csv": 100})
    missing = replace(NOTHING, missing=True)
    assert causes(missing, replace(found, schools=schools({})), {"school_missing": []}) == {
        "school_missing": "schools.csv has its header and no rows; in the delivery applied last it had 2."
    }
    alike = replace(found, schools=schools({"L": "Lincoln"}))
    assert causes(missing, alike, {"school_missing": []}) == {
        "school_missing": "The school seems to have another ID: L in place of 1."
    }


def test_nobody_of_a_type_listed_for_a_school() -> None:
    before = {"students": 20, "employees": 3, "classes": 10, "guardians": 30}
    listed = seen().listed

    def without(*kinds: str) -> CauseEvidence:
        here = pl.col("type").is_in(kinds) & (pl.col("school_id") == "1")
        return seen(THERE if "students" in kinds else (*HERE, *THERE), listed=listed.filter(~here))

    assert removals(changed(before), without("students", "guardians"), ["students", "guardians"]) == (
        "No students are listed for this school anymore; it had 20."
    )
    assert removals(changed(before), without("employees", "classes")) == (
        "No employees are listed for this school anymore; it had 3. No classes are listed for this school anymore; it"
        " had 10."
    )
    assert removals(changed(before), without("guardians")) == (
        "No guardians are listed for any student of this school anymore; there were 30: they may no longer be exported"
        " or shared."
    )
    # It says so of what is lost only, once where a file says it, and not of a school that is missing altogether.
    assert removals(changed(before), without("employees"), ["students"]) is None
    assert removals(changed({"students": 20}), without("employees")) is None
    assert removals(replace(changed(before), missing=True), without("employees")) is None
    empty = replace(
        without("students"), rows={"students.csv": 0}, rows_before={"unified/lincoln": {"students.csv": 100}}
    )
    assert removals(changed(before), empty) == EMPTY


# --- IDs --------------------------------------------------------------------------------------------------------------

ZEROS = "The IDs of {} have lost their leading zeros, as happens when a file is opened and saved in a spreadsheet."
NEW_IDS = "New IDs were given to {}. We recognize them; the list shows the old and the new ID of each."


def test_leading_zeros_that_are_lost() -> None:
    gone, new = ["0010", "0011", "12"], ["10", "11", "12x"]
    both = changed(remove_students=gone, create_students=new, remove_classes=["01"], create_classes=["1"])
    assert removals(both, seen()) == ZEROS.format("2 students and 1 class")
    # Of zeros only one is left.
    assert removals(changed(remove_students=["00000"], create_students=["0"]), seen()) == ZEROS.format("1 student")
    # The same IDs of another type are no cause.
    assert removals(changed(remove_students=gone, create_classes=new), seen()) is None


def test_ids_that_were_reissued_and_those_among_them_that_lost_their_zeros() -> None:
    changes = pl.concat(
        [
            renumbered("students", {"0010": "10", "0011": "N11", "12": "N12"}),
            renumbered("guardians", {"g1": "N1", "0g2": "N2"}),
            renumbered("employees", {"t1": "N1"}),
        ]
    )
    assert removals(replace(NOTHING, changes=changes), seen()) == " ".join(
        [ZEROS.format("1 student"), NEW_IDS.format("2 students, 2 guardians and 1 employee")]
    )


def test_long_ids_as_a_spreadsheet_program_writes_them() -> None:
    short = [("1.23457E+11", "1"), ("1,2E+9", "1"), ("3E+15", "1"), ("E+15", "1"), ("1.2E+11x", "1"), ("9E+9", "2")]
    assert removals(NOTHING, seen([*short, *THERE], stored=students([("3E+15", "1"), *HERE, *THERE]))) == (
        "The IDs of 2 students look like 1.23E+11, as happens when a file is opened and saved in a spreadsheet."
    )


def test_zeros_lost_by_the_people_of_a_school_that_is_missing() -> None:
    gone = replace(changed(remove_students=[each for each, _ in HERE]), missing=True)
    listed = [*((each.lstrip("0"), "01") for each, _ in HERE[:15]), *((each, "01") for each, _ in HERE[15:])]
    assert removals(gone, seen([*listed, *THERE])) == ZEROS.format("15 students")
    assert removals(gone, seen(THERE)) is None


# --- schools ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("named", "now", "said"),
    [
        ({"L": "Other", "2": "Adams"}, [(each, "L") for each, _ in HERE], "20 of its 20 people are at L now."),
        ({"L": "Other", "2": "Adams"}, [(each, "L") for each, _ in HERE[:10]], "10 of its 20 people are at L now."),
        ({"L": " LINCOLN", "2": "Adams"}, [(each, "L") for each, _ in HERE[:9]], "L in place of 1."),
        ({"01": "Other", "2": "Adams"}, [], "01 in place of 1."),
    ],
)
def test_a_schools_id_that_changed(named: dict[str, str], now: list[Person], said: str) -> None:
    found = causes(replace(NOTHING, missing=True), seen([*now, *THERE], schools=schools(named)), {"school_missing": {}})
    assert found == {"school_missing": f"The school seems to have another ID: {said}"}


def test_a_schools_id_that_lost_its_zeros() -> None:
    found = seen(
        THERE,
        schools=schools({"1": "Other"}),
        school_ids={"unified/lincoln": "001"},
        names={"001": "Lincoln"},
        stored=students([("x", "001")]),
    )
    assert causes(replace(NOTHING, missing=True), found, {"school_missing": {}}) == {
        "school_missing": "The school seems to have another ID: 1 in place of 001, which has lost its leading zeros, as"
        " happens when a file is opened and saved in a spreadsheet."
    }


def test_a_missing_school_without_another_like_it_has_no_cause() -> None:
    found = seen(THERE, schools=schools({"3": "Washington", "2": "Adams"}))
    assert causes(replace(NOTHING, missing=True), found, {"school_missing": {}}) == {}


def test_another_schools_people() -> None:
    swapped = [(each, "1") for each, _ in THERE]
    assert removals(NOTHING, seen([*swapped, *THERE])) == (
        "Of the 20 students listed for this school 20 were at Adams until now: the data may be that school's."
    )
    # Half of them are enough, and fewer say only that they are not this school's.
    assert removals(NOTHING, seen([*swapped[:5], *((f"x{number}", "1") for number in range(6)), *THERE])) == (
        "Of the 11 students listed for this school none is known there, unlike in the district's other schools: the"
        " data may be another school's."
    )


def test_another_schools_people_are_nothing_to_report_for_a_type_that_did_not_cross() -> None:
    assert removals(NOTHING, seen([*((each, "1") for each, _ in THERE), *THERE]), ["employees", "classes"]) is None


def test_people_whom_nobody_knows() -> None:
    strangers = [(f"x{number}", "1") for number in range(10)]
    assert removals(NOTHING, seen([HERE[0], *strangers, *THERE])) == (
        "Of the 11 students listed for this school only 1 is known there, unlike in the district's other schools: the"
        " data may be another school's."
    )
    assert removals(NOTHING, seen(strangers)) == (
        "Of the 10 students of the whole delivery none is known in the district: the file may be another district's."
    )
    # More than a tenth are known.
    assert removals(NOTHING, seen([*HERE[:2], *strangers, *THERE])) is None


def test_ids_that_belong_to_others_now() -> None:
    ids = [each for each, _ in HERE[:10]]
    given_on = changed(remove_students=ids, create_students=ids)
    assert removals(given_on, seen()) == (
        "The IDs of 10 students belong to other people now: the file may be another district's or another school's."
    )
    assert removals(changed(remove_students=ids[1:], create_students=ids[1:]), seen()) is None


def test_ids_reissued_that_nothing_else_confirms() -> None:
    now = [(f"N{each}", "1") for each, _ in HERE]
    named = students([*now, *THERE]).with_columns(pl.col("name").str.replace("of N", "of "))
    assert removals(NOTHING, seen([*now, *THERE], members=named)) == (
        "Of the 20 students listed for this school 20 have the names of students from before, under other IDs, and too"
        " little else in common to count as the same people: they may have been given new IDs."
    )


def test_new_ids_explain_why_hardly_anybody_is_known_by_the_old_one() -> None:
    now = [(f"N{each}", "1") for each, _ in HERE]
    known = replace(NOTHING, changes=renumbered("students", {each: f"N{each}" for each, _ in HERE}))
    assert removals(known, seen([*now, *THERE])) == NEW_IDS.format("20 students")
    # Those of the teachers say nothing about the students.
    teachers = replace(NOTHING, changes=renumbered("employees", {"t1": "N1"}))
    assert removals(teachers, seen([*((each, "1") for each, _ in THERE), *THERE])) == " ".join(
        [
            NEW_IDS.format("1 employee"),
            "Of the 20 students listed for this school 20 were at Adams until now: the data may be that school's.",
        ]
    )


# --- terms and years --------------------------------------------------------------------------------------------------


def test_a_new_term_replaces_the_classes_and_keeps_the_people() -> None:
    gone, new = [f"c{number}" for number in range(9)], [f"d{number}" for number in range(5)]
    assert removals(changed(remove_classes=gone, create_classes=new), seen()) == (
        "9 of 10 classes are replaced by 5 others, and 20 of 20 students stay: this looks like a new term."
    )
    assert removals(changed(remove_classes=gone[1:], create_classes=new), seen()) is None
    assert removals(changed(remove_classes=gone, create_classes=new[1:]), seen()) is None
    assert removals(changed(remove_classes=gone, create_classes=new, remove_students=["1", "2"]), seen()) == (
        "9 of 10 classes are replaced by 5 others, and 18 of 20 students stay: this looks like a new term."
    )
    assert removals(changed(remove_classes=gone, create_classes=new, remove_students=["1", "2", "3"]), seen()) is None
    assert removals(changed(remove_classes=gone), seen()) is None


def moving_on(count: int, after: str, **changes: Any) -> ChangeSet:
    rows = [{"type": "students", "field": "grade", "before": "3", "after": after}] * count
    return replace(changed(**changes), updates=pl.DataFrame(rows, schema=dict(UPDATES)))


def test_a_new_year_moves_grades_on_and_some_leave() -> None:
    def year(moved: int, after: str) -> str | None:
        return removals(moving_on(moved, after, remove_students=["0010", "0011"]), seen())

    assert year(17, "4") == (
        "17 of the 18 students who stay have moved on by a grade, and 2 have left: this looks like a new school year."
    )
    assert year(16, "4") is None
    assert year(18, "5") is None


def test_a_new_year_is_no_new_term_beside() -> None:
    numbers = range(10)
    classes = {f"{action}_classes": [f"{action} {number}" for number in numbers] for action in ("remove", "create")}
    assert removals(moving_on(18, "4", remove_students=["0010", "0011"], **classes), seen()) == (
        "18 of the 18 students who stay have moved on by a grade, and 2 have left: this looks like a new school year."
    )


def test_a_new_year_of_a_school_with_one_grade_is_no_other_schools_data() -> None:
    came = pl.concat([students([(each, "1") for each, _ in THERE], grade="4"), students(THERE[:0])])
    assert removals(NOTHING, seen([*((each, "1") for each, _ in THERE)], members=came)) == (
        "Of the 20 students listed for this school 20 moved here from another school of the district, one grade up, and"
        " 0 of the 20 from before moved on the same way: this looks like a new school year."
    )
    went = students([*((f"k{number}", "1") for number in range(9)), *((each, "2") for each, _ in HERE)], "4")
    assert removals(NOTHING, seen([("k1", "1")], members=went)) == (
        "Of the 9 students listed for this school 0 moved here from another school of the district, one grade up, and"
        " 20 of the 20 from before moved on the same way: this looks like a new school year."
    )


# --- changes ----------------------------------------------------------------------------------------------------------


def altered(kind: str, field: str, values: Sequence[tuple[str | None, str | None]], **others: Any) -> ChangeSet:
    """Changes of people l0, l1, ... from and to a value each."""
    rows = [
        {"type": kind, "key": f"account-l{number} {field}", "field": field, "before": before, "after": after}
        for number, (before, after) in enumerate(values)
    ]
    updates = pl.DataFrame(rows, schema=dict(UPDATES))
    return replace(NOTHING, updates=updates, before={kind: 30}, **others)


def links(*rows: Mapping[str, str | None]) -> pl.DataFrame:
    shown = [{name: {**row, "account_id": f"account-{row['link_id']}"}.get(name) for name in LINKS} for row in rows]
    return pl.DataFrame(shown, schema=dict(LINKS))


def written(*rows: Mapping[str, str | None]) -> pl.DataFrame:
    """The links of a ChangeSet, given like `links`."""
    shown = [
        {name: {**row, "id": row["link_id"], "account_id": f"account-{row['link_id']}"}.get(name) for name in LINK_ROWS}
        for row in rows
    ]
    return pl.DataFrame(shown, schema=dict(LINK_ROWS))


def given(kind: str, field: str, filled: int, commonest: int) -> pl.DataFrame:
    return pl.DataFrame([(kind, "1", field, filled, commonest)], schema=GIVEN, orient="row")


def changes(changeset: ChangeSet, seen: CauseEvidence, *crossed: str) -> str | None:
    return causes(changeset, seen, {"unusual_changes": crossed}).get("unusual_changes")


def test_a_domain_that_changed() -> None:
    def moved(to_new: int, to_others: int, *, kept: int = 0) -> str | None:
        values = [
            *((f"p{number}@old.example", f"p{number}@new.example") for number in range(to_new)),
            *((f"q{number}@old.example", f"q{number}@of{number}.example") for number in range(to_others)),
            *((f"r{number}@old.example", f"other{number}@old.example") for number in range(kept)),
        ]
        return changes(
            altered("students", "email", values), seen(given=given("students", "email", 20, 1)), "students_email"
        )

    said = "{} of 30 students get an email address at new.example in place of the one at old.example."
    assert [moved(10, 0), moved(10, 10), moved(12, 6, kept=6)] == [said.format(10), said.format(10), said.format(12)]
    # A few people's own domains are nobody's business, and neither is that of the fewer part.
    assert [moved(9, 0), moved(10, 11), moved(0, 20), moved(0, 0, kept=20)] == [None, None, None, None]


def test_only_what_crossed_its_limit_has_a_cause() -> None:
    values = [(f"p{number}@old.example", f"p{number}@new.example") for number in range(20)]
    found = seen(given=given("students", "email", 20, 1))
    for crossed in ("employees_email", "students_phone", "guardianships"):
        assert changes(altered("students", "email", values), found, crossed) is None


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ("email", "email addresses"),
        ("phone", "phone numbers"),
        ("last_name", "last names"),
        ("birth_date", "birth dates"),
        ("grade", "grades"),
    ],
)
def test_values_that_are_gone_altogether(field: str, shown: str) -> None:
    lost = altered("students", field, [("x", None)] * 29)
    assert changes(lost, seen(), f"students_{field}") == (
        f"29 of 30 students lose their {shown}, and nobody listed for this school has one anymore: the column may be"
        " empty, or no longer exported or shared."
    )
    # Somebody still has one: they were lost otherwise, each for a reason of its own.
    assert changes(lost, seen(given=given("students", field, 1, 1)), f"students_{field}") is None


@pytest.mark.parametrize(
    ("field", "shown"), [("email", "email addresses"), ("phone", "phone numbers"), ("last_name", "last names")]
)
def test_one_value_for_all(field: str, shown: str) -> None:
    alike = altered("employees", field, [("x", "same")] * 26)

    def told(filled: int, commonest: int) -> str | None:
        return changes(alike, seen(given=given("employees", field, filled, commonest)), f"employees_{field}")

    assert told(20, 18) == (f"Of the {shown} listed for employees of this school, 18 of 20 are one and the same.")
    assert [told(20, 17), told(9, 9)] == [None, None]


def test_first_and_last_names_that_changed_places() -> None:
    def exchanged(count: int, others: int) -> str | None:
        values = [("Moss", " ADA")] * count + [("Moss", "Hill")] * others
        people = [{"link_id": f"l{number}", "first_name": "Ada", "last_name": "Moss"} for number in range(len(values))]
        now = [{"link_id": f"l{number}", "last_name": after} for number, (_, after) in enumerate(values)]
        changeset = altered("employees", "last_name", values, links=written(*now))
        return changes(changeset, seen(links=links(*people)), "employees_last_name")

    assert exchanged(18, 2) == (
        "18 of the 20 new last names of employees are what their first names were: the columns may have changed places."
    )
    assert [exchanged(17, 3), exchanged(9, 0)] == [None, None]


@pytest.mark.parametrize(
    ("field", "shown"), [("email", "email addresses"), ("phone", "phone numbers"), ("last_name", "names")]
)
def test_values_that_slipped_to_others(field: str, shown: str) -> None:
    def slipped(count: int, others: int) -> str | None:
        values = [(f"v{number}", f"v{number + 1}") for number in range(count)]
        values += [(f"w{number}", f"x{number}") for number in range(others)]
        name = {"first_name": "Ann"} if field == "last_name" else {}
        people = [{"link_id": f"l{number}", field: before, **name} for number, (before, _) in enumerate(values)]
        people.append({"link_id": "guardian", field: f"v{count}", **name})
        now = [{"link_id": f"l{number}", field: after, **name} for number, (_, after) in enumerate(values)]
        changeset = altered("students", field, values, links=written(*now))
        return changes(changeset, seen(links=links(*people), given=given("students", field, 9, 1)), f"students_{field}")

    assert slipped(10, 10) == (
        f"10 of the 20 new {shown} of students were those of others until now: a column may have slipped, or changed"
        " places with another."
    )
    assert slipped(10, 11) is None


def test_a_common_last_name_has_not_slipped() -> None:
    people = [
        {"link_id": "l0", "first_name": "Ann", "last_name": "Moss"},
        {"link_id": "l1", "first_name": "Ben", "last_name": "Hill"},
    ]
    changeset = altered("students", "last_name", [("Moss", "Hill")], links=written({**people[0], "last_name": "Hill"}))
    assert changes(changeset, seen(links=links(*people)), "students_last_name") is None


def test_causes_of_two_kinds_are_reported_both_and_of_each_one() -> None:
    values = [(f"p{number}@old.example", f"p{number + 1}@old.example") for number in range(20)]
    people = [{"link_id": f"l{number}", "email": f"p{number}@old.example"} for number in range(21)]
    both = pl.concat([altered(kind, "email", values).updates for kind in ("students", "employees")])
    found = seen(links=links(*people), given=given("employees", "email", 20, 20))
    assert changes(replace(NOTHING, updates=both), found, "students_email", "employees_email") is not None
    assert changes(
        replace(NOTHING, updates=both, before={"students": 20}), found, "students_email", "employees_email"
    ) == (
        "20 of the 20 new email addresses of students were those of others until now: a column may have slipped, or"
        " changed places with another. Of the email addresses listed for employees of this school, 20 of 20 are one"
        " and the same."
    )


# --- guardians --------------------------------------------------------------------------------------------------------


def added(like: Sequence[Mapping[str, str]], removed: int = 0) -> ChangeSet:
    """A second guardian for each of the students s0, s1, ..., who have one each: Pat Moss."""
    rows = [
        {"type": "guardianships", "key": f"account-s{number} new", "field": "added", "after": "x"}
        for number in range(len(like))
    ]
    pairs = [(f"s{number}", f"new{number}") for number in range(len(like))]
    # Of a student who was not here before, and one whose relationship only changes.
    pairs += [("other", "new0"), ("s0", "g0")]
    return replace(
        changed({"guardianships": 20}, remove_guardianships=[str(number) for number in range(removed)]),
        updates=pl.DataFrame(rows, schema=dict(UPDATES)),
        guardianships=pl.DataFrame(pairs, schema=PAIRS, orient="row"),
        links=written(*({"link_id": f"new{number}", **each} for number, each in enumerate(like))),
    )


GUARDED = seen(
    links=links(
        *(
            {
                "link_id": f"g{number}",
                "first_name": "Pat",
                "last_name": "Moss",
                "email": f"g{number}@mail.example",
                "phone": f"+1202555{number:04}",
            }
            for number in range(20)
        ),
        *({"link_id": f"s{number}", "last_name": "Moss"} for number in range(20)),
    ),
    guardianships=pl.DataFrame(
        [(f"p{number}", f"s{number}", f"g{number}") for number in range(20)], schema=HELD_PAIRS, orient="row"
    ),
)
OTHER = {"first_name": "Sam", "last_name": "Hill", "email": "sam@mail.example", "phone": "+12025559999"}


@pytest.mark.parametrize(
    "like",
    [
        {"first_name": "PAT", "last_name": "Moss"},
        {"last_name": "Pat  Moss"},
        {"email": "g{number}@mail.example"},
        {"phone": "+1202555{number:04}"},
    ],
)
def test_guardians_who_are_there_twice(like: Mapping[str, str]) -> None:
    def twice(alike: int, others: int) -> str | None:
        people = [{**OTHER, "first_name": "Sam" if "last_name" not in like else ""} for _ in range(alike)]
        people = [
            {**each, **{name: value.format(number=number) for name, value in like.items()}}
            for number, each in enumerate(people)
        ]
        return changes(added([*people, *[OTHER] * others]), GUARDED, "guardianships")

    assert twice(6, 6) == (
        "6 of the 12 guardians added to students have the name, email address or phone number of a guardian whom the"
        " student has already: guardians seem to be in the data twice, under another ID."
    )
    assert changes(added([OTHER]), GUARDED, "students_email") is None
    assert twice(5, 6) == (
        "11 students who were here before would have more guardians, in all the school 31 in place of 20: guardians may"
        " be in the data twice, or contacts who are none among them."
    )


def test_guardians_who_replace_others_are_not_doubled() -> None:
    assert changes(added([OTHER] * 20, removed=2), GUARDED, "guardianships") == (
        "20 students who were here before would have more guardians, in all the school 38 in place of 20: guardians may"
        " be in the data twice, or contacts who are none among them."
    )
    assert changes(added([OTHER] * 20, removed=3), GUARDED, "guardianships") is None


def parted(
    held: Mapping[str, str | None], now: Mapping[str, str | None], *, ended: Sequence[str] = (), name: str = "Moss"
) -> ChangeSet:
    """Students of one guardian get one each: now's, with these guardian_ids. held: those that are left to that one."""
    pairs = [(f"s{number}", part) for number, part in enumerate(now)]
    return replace(
        changed({"guardianships": 20}),
        guardianships=pl.DataFrame(pairs, schema=PAIRS, orient="row"),
        ended_guardianships=pl.Series(list(ended), dtype=pl.String),
        links=written(
            *({"link_id": part, "last_name": name, "guardian_ids": ids} for part, ids in now.items()),
            *(
                {"link_id": link, "first_name": "Pat", "last_name": "Moss", "guardian_ids": ids}
                for link, ids in held.items()
            ),
        ),
    )


def shared(*ids: str) -> CauseEvidence:
    """One guardian, with these guardian_ids, of twenty students."""
    one = {"link_id": "one", "first_name": "Pat", "last_name": "Moss"}
    people = links(one, *({"link_id": f"s{number}"} for number in range(20)))
    return seen(
        links=people.with_columns(guardian_ids=pl.when(link_id="one").then(pl.lit(list(ids)))),
        guardianships=pl.DataFrame([(f"p{n}", f"s{n}", "one") for n in range(20)], schema=HELD_PAIRS, orient="row"),
    )


def test_guardians_who_shared_an_account_get_their_own() -> None:
    told = (
        "{} guardians who shared one account would get accounts of their own: until now, their entries were"
        " treated as one person."
    )
    # One ID for all: each student loses the one and gets their own; the first keeps the account.
    others = {f"n{number}": None for number in range(1, 20)}
    now = parted({"one": None}, {"one": None, **others}, ended=[f"p{number}" for number in range(1, 20)], name="Hill")
    assert removals(now, shared("0"), ["guardianships"]) == told.format(20)
    assert changes(now, shared("0"), "guardianships") == told.format(20)
    # Father and mother: both stay at their children, each with their own ID.
    couple = parted({"one": "f1"}, {"n0": "m1"}, name="Hill")
    assert changes(couple, shared("f1", "m1"), "guardianships") == told.format(2)
    # Other guardians beside the one, or in their place, are none who shared an account.
    beside = parted({"one": "f1"}, {"n0": "m1"})
    assert changes(beside, shared("f1"), "guardianships") is None
    successors = parted({}, {"n0": None, "n1": None}, ended=[f"p{number}" for number in range(20)], name="Hill")
    assert removals(successors, shared("f1"), ["guardianships"]) is None


def test_guardians_who_shared_an_account_are_seen_in_what_is_stored(sqlite_database: Database) -> None:
    with sqlite_database.transaction() as session:
        set_up(session)
    students, here = range(30), [(number, "1") for number in range(30)]
    children = [person(number, "student", f"s{number}") for number in students]
    one = person(100, "guardian", "0", guardian_ids=["0"], phone="+12025550100", first_name="Pat", last_name="Moss")
    apply(sqlite_database, settled([*children, one], here, guardianships=[(number, 100) for number in students]))
    own = [
        person(
            100 + number, "guardian", None, phone=f"+12025550{100 + number}", first_name="Pat", last_name=f"Of{number}"
        )
        for number in students
    ]
    with sqlite_database.reading() as session:
        scope = read_scope(session, "unified/files")
        stored = load_stored_rows(session, scope)
        (link,) = stored.links.filter(kind="guardian")["link_id"]
        own[0] |= {"link_id": link, "last_name": "Moss"}
        now = settled([*children, *own], here, guardianships=[(number, 100 + number) for number in students])
        (lincoln, _) = plan(session, now).changesets
        told = {reason.code: reason.counts for reason in lincoln.reasons or ()}
        nobody = FORMAT.to_roster(FORMAT.read({file.name: HEADERS[file.name] for file in FORMAT.files}))
        found = causes(lincoln, collect_evidence(scope, nobody, stored, {}), {code: list(told[code]) for code in told})
    assert told == {
        "data_removals": {"guardianships": {"removed": 29, "before": 30, "limit_share": 0.2, "limit_count": 20}}
    }
    assert found["data_removals"].startswith(
        "30 guardians who shared one account would get accounts of their own: until now, their entries were"
        " treated as one person."
    )


def test_guardians_who_make_a_family_too_large_by_being_there_twice() -> None:
    def told(*named: int) -> str | None:
        """Students with seven guardians each, of so many names."""
        families = [
            family(f"s{student}", 7).with_columns(guardian=pl.Series([f"Pat {number % names}" for number in range(7)]))
            for student, names in enumerate(named)
        ]
        small = family("small", 2).with_columns(guardian=pl.lit("Pat"))
        changeset = replace(NOTHING, families=pl.concat([*families, small]).select(list(FAMILIES)))
        return causes(changeset, seen(), {"too_many_guardians": {}}).get("too_many_guardians")

    assert told(5, 6) == (
        "1 of 2 students would have fewer than six guardians, if those of the same name counted once: guardians seem to"
        " be in the data twice, under another ID."
    )
    assert told(5, 6, 7) is None


# --- what is seen -----------------------------------------------------------------------------------------------------


def test_what_a_delivery_and_the_database_hold(sqlite_database: Database) -> None:
    with sqlite_database.transaction() as session:
        set_up(session)
    ann = person(1, "student", "s1", email="ann@unified.example", grade="3")
    apply(
        sqlite_database,
        settled(
            [person(0, "employee", "t1"), ann, person(3, "guardian", "g1", guardian_ids=["g1"], phone="+12025550123")],
            [(0, "1"), (1, "1"), (1, "2")],
            guardianships=[(1, 3)],
        ),
    )
    files = {
        "schools.csv": "school_id,school_name\n1,Lincoln\n2,Adams\n",
        "teachers.csv": "teacher_id,school_id,first_name,last_name,email\nt1,1,Ada,Moss,ada@x.example\n",
        "students.csv": "student_id,school_id,first_name,last_name,email,grade,guardian_id,guardian_last_name,"
        "guardian_phone\n"
        "s1,1,Ann,Hill,ann@x.example,03,g1,Hill,1\ns1,1,,,,,g2,Hill,2\ns2,1,Ben,Hill,,,,,\n",
        "classes.csv": "class_id,school_id,class_name,teacher_id\nc1,1,Art,t1\nc1,1,Art,t2\nc2,2,Art,t1\n",
        "enrollments.csv": "class_id,student_id\n",
    }
    roster = FORMAT.to_roster(FORMAT.read({name: text.encode() for name, text in files.items()}))
    with sqlite_database.reading() as session:
        scope = read_scope(session, "unified/files")
        found = collect_evidence(
            scope, roster, load_stored_rows(session, scope), {"unified/lincoln": {"students.csv": 9}}
        )
    assert found.schools.sort("school_id").select("school_id", "name").rows() == [("1", "Lincoln"), ("2", "Adams")]
    assert found.members.select(list(PEOPLE)).sort("record_id").rows() == [
        ("students", "s1", "1", "ann hill", "3"),
        ("students", "s2", "1", "ben hill", None),
        ("employees", "t1", "1", "ada moss", None),
    ]
    assert found.listed.select(list(LISTED)).sort("type", "school_id").rows() == [
        ("classes", "1", 1),
        ("classes", "2", 1),
        ("employees", "1", 1),
        ("guardians", "1", 2),
        ("students", "1", 2),
    ]
    assert found.given.select(list(GIVEN)).sort("type", "field").rows() == [
        ("employees", "1", "email", 1, 1),
        ("employees", "1", "last_name", 1, 1),
        ("guardians", "1", "last_name", 2, 2),
        ("guardians", "1", "phone", 2, 1),
        ("students", "1", "email", 1, 1),
        ("students", "1", "grade", 1, 1),
        ("students", "1", "last_name", 2, 2),
    ]
    assert found.rows == {
        "schools.csv": 2,
        "teachers.csv": 1,
        "students.csv": 3,
        "classes.csv": 3,
        "enrollments.csv": 0,
    }
    assert found.stored.select(list(PEOPLE)).sort("record_id", "school_id").rows() == [
        ("students", "s1", "1", "firsts1 lasts1", "3"),
        ("students", "s1", "2", "firsts1 lasts1", "3"),
        ("employees", "t1", "1", "firstt1 lastt1", None),
    ]
    assert found.links.drop("link_id", "account_id").sort("last_name").rows() == [
        (["g1"], "Firstg1", "Lastg1", None, "+12025550123"),
        (None, "Firsts1", "Lasts1", "ann@unified.example", None),
        (None, "Firstt1", "Lastt1", None, None),
    ]
    assert found.guardianships.columns == ["id", "student_link_id", "guardian_link_id"]
    assert found.guardianships.height == 1
    assert (found.rows_before, found.school_ids, found.names) == (
        {"unified/lincoln": {"students.csv": 9}},
        {"unified/lincoln": "1", "unified/adams": "2"},
        {"1": "Lincoln", "2": "Adams"},
    )
