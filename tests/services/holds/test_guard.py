"""The guard's limits, at every edge, for every type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl
import pytest

from contracts.roster import Settled, empty
from models import bulk
from models.database import Database
from services.holds.guard import (
    ADDED,
    ALL_LIMITS,
    CHANGED,
    CHANGED_FIELDS,
    CHANGED_TYPES,
    LIMITS,
    Limit,
    exceeds,
    family_digests,
    judge,
    judge_together,
    lapsed,
    limits_of,
)
from services.holds.judging import judged as judged_plan
from services.planning.changesets import (
    CHANGES,
    CLASS_MEMBERSHIPS,
    EMPTIABLE,
    FAMILIES,
    PRESENT,
    UPDATES,
    ChangeSet,
    without_removals,
)
from services.planning.stored import read_scope
from tests.services.settled import apply, person, plan, set_up, settled

NOTHING = ChangeSet(
    school_id="unified/lincoln",
    missing=False,
    links=pl.DataFrame(),
    memberships=pl.DataFrame(),
    classes=pl.DataFrame(),
    class_memberships=pl.DataFrame(),
    guardianships=pl.DataFrame(),
    ended_memberships=pl.Series(),
    ended_classes=pl.Series(),
    ended_class_memberships=pl.Series(),
    ended_guardianships=pl.Series(),
    unseen=pl.Series(),
    freed_emails=pl.DataFrame(),
    freed_ids=pl.Series(),
    ended_choices=pl.Series(),
    changes=pl.DataFrame(schema=dict(CHANGES)),
    before={},
    issues=pl.DataFrame(),
    updates=empty(UPDATES),
    families=empty(FAMILIES),
    after={},
    untyped=None,
    had_contacts=False,
)


def removing(kind: str, removed: int, before: int) -> ChangeSet:
    changes = pl.DataFrame(
        {"action": ["remove"] * removed, "type": [kind] * removed, "key": [str(number) for number in range(removed)]},
        schema_overrides={"action": pl.String, "type": pl.String, "key": pl.String},
    )
    left = {kind: before - removed} if kind in CLASS_MEMBERSHIPS else {}
    return replace(
        NOTHING, changes=pl.concat([NOTHING.changes, changes], how="diagonal"), before={kind: before}, after=left
    )


@dataclass(frozen=True)
class Edge:
    """A limit, and the sizes at which the one part of it decides: the share of 1,000, or the count of so few."""

    share: float
    count: int
    at_share: int  # of 1,000
    few: int  # of so few one less than the count is more than the share already

    def cases(self) -> list[tuple[int, int, bool]]:
        """How many, of how many before, and whether that is more than the limit, with some always left."""
        return [
            (self.at_share - 1, 1000, False),
            (self.at_share, 1000, False),
            (self.at_share + 1, 1000, True),
            (self.count - 1, self.few, False),
            (self.count, self.few, False),
            (self.count + 1, self.few, True),
            (999, 1000, True),
            (1, 2, False),
            (1, 1000, False),
            (0, 1, False),
            (0, 1000, False),
            (0, 0, False),
        ]

    def told(self, what: str, count: int, before: int) -> dict[str, float]:
        return {what: count, "before": before, "limit_share": self.share, "limit_count": self.count}


# Written out, so that a limit that changes is seen here.
REMOVED = {
    "students": Edge(0.1, 10, at_share=100, few=80),
    "guardians": Edge(0.1, 10, at_share=100, few=80),
    "employees": Edge(0.1, 3, at_share=100, few=15),
    "classes": Edge(0.1, 5, at_share=100, few=35),
    "student_class_memberships": Edge(0.2, 50, at_share=200, few=240),
    "teacher_class_memberships": Edge(0.2, 50, at_share=200, few=240),
    "guardianships": Edge(0.2, 20, at_share=200, few=90),
}
GUARDIANSHIPS_ADDED = Edge(0.5, 50, at_share=500, few=96)
CHANGES_OF_A_KIND = Edge(0.5, 25, at_share=500, few=46)


def judged(changeset: ChangeSet) -> list[tuple[str, dict[str, object], int]]:
    """Each reason: its code, what crossed its limit, and how many items of evidence it has."""
    return [(reason.code, dict(reason.counts), reason.items.height) for reason in judge(changeset)]


def test_every_type_has_its_edges_tested() -> None:
    assert {kind: (edge.share, edge.count) for kind, edge in REMOVED.items()} == {
        kind: (limit.share, limit.count) for kind, limit in LIMITS.items()
    }
    assert (CHANGED_TYPES, CHANGED_FIELDS) == (("students", "employees", "guardians"), ("last_name", "email", "phone"))
    for edge, name in ((GUARDIANSHIPS_ADDED, ADDED), (CHANGES_OF_A_KIND, CHANGED)):
        assert ALL_LIMITS[name] == Limit(edge.share, edge.count)


@pytest.mark.parametrize(
    ("kind", "removed", "before", "holds"), [(kind, *case) for kind, edge in REMOVED.items() for case in edge.cases()]
)
def test_removals_hold_past_share_and_count_and_exactly_at_one_pass(
    kind: str, removed: int, before: int, holds: bool
) -> None:
    counts = {kind: REMOVED[kind].told("removed", removed, before)}
    assert judged(removing(kind, removed, before)) == ([("data_removals", counts, removed)] if holds else [])


@pytest.mark.parametrize("kind", REMOVED)
@pytest.mark.parametrize("before", [1, 2, 3, 1000])
def test_everything_of_a_type_gone_holds_however_few(kind: str, before: int) -> None:
    counts = {kind: REMOVED[kind].told("removed", before, before)}
    assert judged(removing(kind, before, before)) == [("data_removals", counts, before)]


def test_a_share_that_is_no_binary_number_is_met_exactly() -> None:
    held = [removed for removed in range(100) if exceeds(removed, 100, Limit(0.29, 0))]
    assert held == list(range(30, 100))


def test_each_type_is_judged_by_itself() -> None:
    """Just too many of two types hold for these; as many as may be of all the others say nothing."""
    sets = {
        kind: removing(kind, edge.at_share + (kind in ("classes", "guardianships")), 1000)
        for kind, edge in REMOVED.items()
    }
    every = replace(
        NOTHING,
        changes=pl.concat([each.changes for each in sets.values()]),
        before=dict.fromkeys(sets, 1000),
        after=dict.fromkeys(CLASS_MEMBERSHIPS, 800),
    )
    crossed = {
        kind: REMOVED[kind].told("removed", REMOVED[kind].at_share + 1, 1000) for kind in ("classes", "guardianships")
    }
    assert judged(every) == [("data_removals", crossed, 100 * 4 + 200 * 3 + 2)]


def test_the_evidence_of_removals_is_all_of_them() -> None:
    both = pl.concat([removing("students", 20, 100).changes, removing("classes", 1, 9).changes])
    (reason,) = judge(replace(NOTHING, changes=both, before={"students": 100, "classes": 9}))
    assert (list(reason.counts), reason.items.group_by("code", "type").len().sort("type").rows()) == (
        ["students"],
        [("data_removals", "classes", 1), ("data_removals", "students", 20)],
    )


def test_changed_ids_count_as_removals_and_are_reported_with_the_new_ones() -> None:
    changes = removing("students", 11, 20).changes.with_columns(
        action=pl.lit("change_id"), record_id=pl.lit("old"), new_id=pl.lit("new")
    )
    (reason,) = judge(replace(NOTHING, changes=changes, before={"students": 20}))
    assert reason.items.select("key", "record_id", "new_id").row(0) == ("0 new", "old", "new")
    told = {"before": 20, "limit_share": 0.1, "limit_count": 10}
    assert reason.counts == {"students": {"ids": 11, **told}}
    both = pl.concat([changes.head(4), removing("students", 7, 20).changes])
    (reason,) = judge(replace(NOTHING, changes=both, before={"students": 20}))
    assert reason.counts == {"students": {"removed": 7, "ids": 4, **told}}


@pytest.mark.parametrize("kind", CLASS_MEMBERSHIPS)
def test_class_memberships_that_others_take_the_place_of_have_not_vanished(kind: str) -> None:
    def replaced(count: int, after: int) -> list[tuple[str, dict[str, object], int]]:
        return judged(replace(removing(kind, count, count), after={kind: after}))

    assert (replaced(50, 1), [code for code, _, _ in replaced(50, 0)]) == ([], ["data_removals"])
    told = REMOVED[kind].told("removed", 51, 51)
    assert replaced(51, 49) == [("data_removals", {kind: {**told, "after": 49}}, 51)]


def test_students_class_memberships_vanish_though_the_teachers_stay() -> None:
    emptied = replace(
        removing("student_class_memberships", 30, 30),
        before={"student_class_memberships": 30, "teacher_class_memberships": 4},
        after={"teacher_class_memberships": 4},
    )
    counts = {"student_class_memberships": REMOVED["student_class_memberships"].told("removed", 30, 30)}
    assert judged(emptied) == [("data_removals", counts, 30)]


def changing(
    kind: str, field: str, count: int, before: int, *, old: str | None = "old", new: str | None = "new"
) -> ChangeSet:
    updates = pl.DataFrame(
        [
            {"type": kind, "key": str(number), "record_id": str(number), "field": field, "before": old, "after": new}
            for number in range(count)
        ],
        schema=dict(UPDATES),
    )
    return replace(NOTHING, updates=updates, before={kind: before}, after={f"{kind}_{field}": 1})


@pytest.mark.parametrize("kind", CHANGED_TYPES)
@pytest.mark.parametrize("field", CHANGED_FIELDS)
@pytest.mark.parametrize(("changed", "before", "holds"), [*CHANGES_OF_A_KIND.cases(), (1, 1, False), (26, 26, True)])
def test_changes_hold_past_share_and_count_and_exactly_at_one_pass(
    kind: str, field: str, changed: int, before: int, holds: bool
) -> None:
    counts = {f"{kind}_{field}": CHANGES_OF_A_KIND.told("changed", changed, before)}
    expected = [("unusual_changes", counts, changed)] if holds else []
    assert judged(changing(kind, field, changed, before)) == expected
    # What is emptied has changed, too.
    assert judged(changing(kind, field, changed, before, new=None)) == expected


def test_changes_of_several_kinds_or_fields_do_not_add_up() -> None:
    sets = [changing(kind, field, 500, 1000) for kind in CHANGED_TYPES for field in CHANGED_FIELDS]
    every = replace(
        NOTHING, updates=pl.concat([each.updates for each in sets]), before=dict.fromkeys(CHANGED_TYPES, 1000)
    )
    assert judged(every) == []


@pytest.mark.parametrize("kind", CHANGED_TYPES)
@pytest.mark.parametrize("field", EMPTIABLE)
def test_a_field_that_nobody_has_any_more_holds_from_ten_on(kind: str, field: str) -> None:
    def emptying(count: int, after: int) -> list[tuple[str, dict[str, object], int]]:
        return judged(replace(changing(kind, field, count, 100, new=None), after={f"{kind}_{field}": after}))

    told = {f"{kind}_{field}": {"emptied": 10, "before": 100}}
    assert (emptying(10, 0), emptying(10, 1), emptying(9, 0)) == ([("unusual_changes", told, 10)], [], [])


def test_the_evidence_of_an_emptied_field_is_the_values_that_would_go() -> None:
    grades, names = changing("students", "grade", 12, 40, new=None), changing("students", "last_name", 2, 40)
    moved_on = changing("students", "grade", 1, 40).updates.with_columns(key=pl.lit("moved on"))
    changes = pl.concat([grades.updates, moved_on, names.updates.with_columns(key=pl.lit("name ") + pl.col("key"))])
    (reason,) = judge(replace(grades, updates=changes, after={}))
    assert dict(reason.counts) == {"students_grade": {"emptied": 12, "before": 40}}
    assert reason.items.group_by("field", "before", "after").len().sort("field").rows() == [
        ("grade", "old", None, 12),
        ("last_name", "old", "new", 2),
    ]


def test_filling_in_what_was_empty_and_a_grade_are_no_unusual_change() -> None:
    assert judge(changing("students", "email", 100, 100, old=None)) == []
    assert judge(changing("students", "grade", 100, 100)) == []


@pytest.mark.parametrize(
    ("added", "before", "holds"),
    # A school that had none has nothing to compare; all of them again are no more than any other number.
    [*GUARDIANSHIPS_ADDED.cases(), (1, 1, False), (51, 51, True), (1000, 1000, True), (1, 0, False), (1000, 0, False)],
)
def test_added_guardianships_hold_past_share_and_count_and_not_where_there_were_none(
    added: int, before: int, holds: bool
) -> None:
    counts = {"guardianships": GUARDIANSHIPS_ADDED.told("added", added, before)}
    assert judged(changing("guardianships", "added", added, before, old=None)) == (
        [("unusual_changes", counts, added)] if holds else []
    )


def family(student: str, guardians: int, *, contacts: int = 0) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "student_link_id": f"link of {student}",
                "student_id": student,
                "guardian_key": f"g{number}",
                "type": "emergency" if number < contacts else "primary",
                "is_contact": number < contacts,
            }
            for number in range(guardians)
        ],
        schema=dict(FAMILIES),
    )


def test_six_guardians_hold_and_five_do_not() -> None:
    judged = [
        [reason.code for reason in judge(replace(NOTHING, families=family("s1", guardians)))]
        for guardians in (0, 1, 5, 6, 7)
    ]
    assert judged == [[], [], [], ["too_many_guardians"], ["too_many_guardians"]]


def test_one_contact_holds_and_is_reported_by_type() -> None:
    (reason,) = judge(replace(NOTHING, families=family("s1", 2, contacts=1)))
    assert (reason.code, reason.counts) == ("emergency_contacts", {"emergency": {"found": 1}})
    assert reason.items.select("record_id", "field").rows() == [("s1", "emergency")]


def test_accepted_students_are_no_reason_until_their_guardians_change() -> None:
    families = pl.concat([family("s1", 7, contacts=1), family("s2", 7)])
    digests = family_digests(families.sample(fraction=1, shuffle=True, seed=1)).rename({"student_link_id": "link_id"})
    accepted = pl.concat(
        [digests.with_columns(code=pl.lit(code)) for code in ("too_many_guardians", "emergency_contacts")]
    ).select("link_id", "code", "digest")
    assert judge(replace(NOTHING, families=families), ALL_LIMITS, accepted) == []
    grown = pl.concat([family("s1", 7, contacts=1), family("s2", 8)])
    (reason,) = judge(replace(NOTHING, families=grown), ALL_LIMITS, accepted)
    assert (reason.code, reason.items["record_id"].unique().to_list()) == ("too_many_guardians", ["s2"])
    gone = {table: set(lapsed(families, accepted)) for table, families in (("grown", grown), ("same", families))}
    assert gone == {"grown": {"link of s2"}, "same": set()}
    # Somebody who was a guardian is a contact now.
    turned = family("s1", 7, contacts=2)
    assert [reason.code for reason in judge(replace(NOTHING, families=turned), ALL_LIMITS, accepted)] == [
        "too_many_guardians",
        "emergency_contacts",
    ]


def test_a_districts_own_limits_take_the_place_of_ours() -> None:
    own = limits_of({"students": [0.5, 3], "changes": [0.1, 1], "guardianships_added": [0.0, 0]})
    assert (own["students"], own["classes"]) == (Limit(0.5, 3, is_district_limit=True), LIMITS["classes"])
    assert (own[CHANGED], own[ADDED]) == (Limit(0.1, 1, is_district_limit=True), Limit(0.0, 0, is_district_limit=True))
    assert judge(removing("students", 4, 8), own) == []
    (reason,) = judge(removing("students", 5, 8), own)
    assert reason.counts["students"] == {
        "removed": 5,
        "before": 8,
        "limit_share": 0.5,
        "limit_count": 3,
        "own_limit": True,
    }
    # No limit lets everything of a type go.
    assert [each.code for each in judge(removing("students", 2, 2), limits_of({"students": [1.0, 9]}))] == [
        "data_removals"
    ]


def test_a_limit_of_class_memberships_is_of_both_kinds_unless_one_has_its_own() -> None:
    own = limits_of({"class_memberships": [0.5, 9], "teacher_class_memberships": [0.1, 1]})
    assert (own["student_class_memberships"], own["teacher_class_memberships"]) == (
        Limit(0.5, 9, is_district_limit=True),
        Limit(0.1, 1, is_district_limit=True),
    )


# --- all schools together -----------------------------------------------------------------------------------------

TOGETHER = {"students": (0.05, 100), "guardians": (0.05, 100), "employees": (0.05, 15)}
SCHOOLS = ("a", "b", "c")


def present(kind: str, here: Sequence[int], gone: Sequence[int]) -> pl.DataFrame:
    """So many at each school, of whom so many leave the district."""
    rows = [
        {"school_id": school, "type": kind, "key": f"{school} {number}", "was_here": True, "leaves": number < leaving}
        for school, count, leaving in zip(SCHOOLS, here, gone, strict=True)
        for number in range(count)
    ]
    return pl.DataFrame(rows, schema=dict(PRESENT))


def together(
    kind: str, here: Sequence[int], gone: Sequence[int], own: dict[str, list[float]] | None = None
) -> dict[str, dict[str, dict[str, object]]]:
    """By school that is held, what was counted."""
    sets = [replace(NOTHING, school_id=school) for school in SCHOOLS]
    found = judge_together(present(kind, here, gone), sets, limits_of(own))
    return {school: {name: dict(told) for name, told in reason.counts.items()} for school, reason in found.items()}


@pytest.mark.parametrize("kind", TOGETHER)
def test_all_schools_together_hold_past_share_and_count_and_exactly_at_one_pass(kind: str) -> None:
    share, count = TOGETHER[kind]
    many = int(count / share) // 3
    # Exactly at the share of three times as many; at the count of fewer.
    for here, gone in (
        ([2 * many] * 3, [2 * count - 20, 10, 10]),
        ([many // 2] * 3, [count - 10, 5, 5]),
    ):
        extra = [gone[0], gone[1], gone[2] + (1 if sum(gone) == count else sum(here) // 20 - sum(gone) + 1)]
        removed = dict(zip(SCHOOLS, extra, strict=True))
        assert together(kind, here, [gone[0], gone[1], extra[2] - 1]) == {}
        told = {
            "removed": sum(extra),
            "before": sum(here),
            "schools": 3,
            "limit_share": share,
            "limit_count": count,
        }
        assert together(kind, here, extra) == {
            school: {f"district_{kind}": {**told, "here": n}} for school, n in removed.items()
        }


def test_what_comes_from_one_school_is_its_own_limits_business() -> None:
    assert together("students", [1000, 1000, 1000], [160, 0, 0]) == {}
    assert set(together("students", [1000, 1000, 1000], [160, 1, 0])) == {"a", "b"}


def test_a_share_of_a_districts_own_is_also_that_of_all_its_schools_unless_that_has_its_own() -> None:
    here, gone = [1000] * 3, [60] * 3
    assert together("students", here, gone, {"students": [0.06, 1000]}) == {}
    told = together("students", here, gone, {"students": [0.059, 1000]})["a"]["district_students"]
    assert (told["limit_share"], told["limit_count"], told["own_limit"]) == (0.059, 100, True)
    assert together("students", here, gone, {"students": [0.01, 1000], "district_students": [0.06, 0]}) == {}
    # Of another type it says nothing.
    assert set(together("students", here, gone, {"guardians": [1, 1000]})) == set(SCHOOLS)


def test_who_was_removed_by_a_confirmation_counts_on_unless_they_are_back() -> None:
    sets = [replace(NOTHING, school_id=school) for school in SCHOOLS]
    left = present("students", [909, 1000, 1000], [0, 0, 60])
    confirmed = pl.DataFrame({"school_id": "a", "type": "students", "key": [f"a gone {n}" for n in range(91)]})
    told = {"removed": 151, "before": 3000, "schools": 2, "limit_share": 0.05, "limit_count": 100}
    assert {school: each.counts for school, each in judge_together(left, sets, ALL_LIMITS, confirmed).items()} == {
        "c": {"district_students": {**told, "here": 60}}
    }
    back = pl.DataFrame(
        [
            {"school_id": "b", "type": "students", "key": f"a gone {n}", "was_here": False, "leaves": False}
            for n in range(2)
        ],
        schema=dict(PRESENT),
    )
    assert judge_together(pl.concat([left, back]), sets, ALL_LIMITS, confirmed) == {}
    assert judge_together(left, sets) == {}


def test_a_missing_school_holds_at_first_too() -> None:
    assert [reason.code for reason in judge(replace(NOTHING, missing=True))] == ["school_missing"]


def school(students: int, at: str, *, first: int = 0) -> tuple[list[dict[str, object]], list[tuple[int, str]]]:
    """Students with a guardian each, a teacher and nothing else, of one school."""
    numbers = range(first, first + students)
    people = [
        *(person(number, "student", f"s{number}") for number in numbers),
        *(
            person(1000 + number, "guardian", f"g{number}", guardian_ids=[f"g{number}"], phone="+1202")
            for number in numbers
        ),
        person(2000 + first, "employee", f"t{first}", email=f"t{first}@unified.example"),
    ]
    return people, [*((number, at) for number in numbers), (2000 + first, at)]


def of_schools(
    *schools: tuple[list[dict[str, object]], list[tuple[int, str]]], missing: tuple[str, ...] = ()
) -> Settled:
    people = [each for found, _ in schools for each in found]
    places = [place for _, found in schools for place in found]
    students = [number for number, _ in places if number < 1000]
    return settled(people, places, [], [], [(number, 1000 + number) for number in students], missing_schools=missing)


def reasons(database: Database, value: Settled) -> dict[str, list[tuple[str, dict[str, object], int]]]:
    with database.reading() as session:
        return {changeset.school_id: judged(changeset) for changeset in plan(session, value).changesets}


def test_nothing_is_removed_by_what_the_source_has_frozen(sqlite_database: Database) -> None:
    with sqlite_database.transaction() as session:
        set_up(session)
        bulk.execute(session, """UPDATE district SET limits = '{"district_students": [0, 0]}'""")
    apply(sqlite_database, of_schools(school(20, "1"), school(20, "2", first=60)))
    fewer = of_schools(school(19, "1"), school(19, "2", first=60))
    with sqlite_database.reading() as session:
        scope = read_scope(session, "unified/files")
        together, frozen = plan(session, fewer), judged_plan(session, scope, without_removals(plan(session, fewer)))
    assert [[reason.code for reason in each.reasons or ()] for each in together.changesets] == [["data_removals"]] * 2
    assert [each.reasons for each in frozen.changesets] == [(), ()]


def test_a_first_load_has_nothing_to_compare_and_passes_unless_the_school_is_missing(sqlite_database: Database) -> None:
    with sqlite_database.transaction() as session:
        set_up(session)
    both = of_schools(school(60, "1"), school(40, "2", first=60))
    assert reasons(sqlite_database, both) == {"unified/lincoln": [], "unified/adams": []}
    # So has a school whose first load it is, beside another that was there before.
    apply(sqlite_database, of_schools(school(60, "1")))
    assert reasons(sqlite_database, both) == {"unified/lincoln": [], "unified/adams": []}
    assert reasons(sqlite_database, of_schools(school(60, "1"), missing=("2",))) == {
        "unified/lincoln": [],
        "unified/adams": [("school_missing", {}, 0)],
    }


def test_movers_to_another_school_count_as_removed_from_the_old_one(sqlite_database: Database) -> None:
    with sqlite_database.transaction() as session:
        set_up(session)
    people, places = school(60, "1")
    apply(sqlite_database, of_schools((people, places), school(40, "2", first=60)))

    def moving(count: int) -> Settled:
        moved = [(number, "2" if number < count else at) for number, at in places]
        return of_schools((people, moved), school(40, "2", first=60))

    assert reasons(sqlite_database, moving(10)) == {"unified/lincoln": [], "unified/adams": []}
    assert reasons(sqlite_database, moving(11)) == {
        "unified/lincoln": [
            (
                "data_removals",
                {kind: REMOVED[kind].told("removed", 11, 60) for kind in ("students", "guardians")},
                22,
            )
        ],
        "unified/adams": [],
    }
