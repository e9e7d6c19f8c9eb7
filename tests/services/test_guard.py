"""The guard's limits, at every edge, for every type."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from services.guard import (
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
    limits_of,
)
from services.plan import CHANGES, FAMILIES, UPDATES, ChangeSet

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
)


def removing(kind: str, removed: int, before: int) -> ChangeSet:
    changes = pl.DataFrame(
        {"action": ["remove"] * removed, "type": [kind] * removed, "key": [str(number) for number in range(removed)]},
        schema_overrides={"action": pl.String, "type": pl.String, "key": pl.String},
    )
    return replace(NOTHING, changes=pl.concat([NOTHING.changes, changes], how="diagonal"), before={kind: before})


@pytest.mark.parametrize("kind", LIMITS)
def test_more_than_share_and_count_holds_and_exactly_at_a_limit_passes(kind: str) -> None:
    limit = LIMITS[kind]
    at_share = round(limit.share * 1000)  # of 1,000 the share decides, as it is more than the count
    of_count = round(limit.count / limit.share) - 1  # of so few the count decides, as it is just more than the share
    judged = [
        [reason.code for reason in judge(removing(kind, removed, before))]
        for removed, before in (
            (at_share - 1, 1000),
            (at_share, 1000),
            (at_share + 1, 1000),
            (limit.count - 1, of_count),
            (limit.count, of_count),
            (limit.count + 1, of_count),
        )
    ]
    assert judged == [[], [], ["data_removals"], [], [], ["data_removals"]]


@pytest.mark.parametrize("kind", LIMITS)
@pytest.mark.parametrize("before", [1, 2, 1000])
def test_everything_of_a_type_gone_holds_however_few(kind: str, before: int) -> None:
    (reason,) = judge(removing(kind, before, before))
    assert (reason.code, dict(reason.counts)) == (
        "data_removals",
        {
            kind: {
                "removed": before,
                "before": before,
                "limit_share": LIMITS[kind].share,
                "limit_count": LIMITS[kind].count,
            }
        },
    )


@pytest.mark.parametrize("kind", LIMITS)
def test_nothing_removed_passes_also_where_there_was_nothing(kind: str) -> None:
    assert judge(removing(kind, 0, 0)) == []
    assert not exceeds(0, 0, LIMITS[kind])


@pytest.mark.parametrize("kind", LIMITS)
def test_one_of_two_passes(kind: str) -> None:
    assert judge(removing(kind, 1, 2)) == []


def test_the_evidence_of_removals_is_all_of_them() -> None:
    both = pl.concat([removing("students", 20, 100).changes, removing("classes", 1, 9).changes])
    (reason,) = judge(replace(NOTHING, changes=both, before={"students": 100, "classes": 9}))
    assert (list(reason.counts), reason.items.group_by("code", "type").len().sort("type").rows()) == (
        ["students"],
        [("data_removals", "classes", 1), ("data_removals", "students", 20)],
    )


def test_changed_ids_count_as_removals_and_are_told_with_the_new_ones() -> None:
    changes = removing("students", 11, 20).changes.with_columns(
        action=pl.lit("change_id"), record_id=pl.lit("old"), new_id=pl.lit("new")
    )
    (reason,) = judge(replace(NOTHING, changes=changes, before={"students": 20}))
    assert reason.items.select("key", "record_id", "new_id").row(0) == ("0 new", "old", "new")


def changing(kind: str, field: str, count: int, before: int, *, old: str | None = "old") -> ChangeSet:
    updates = pl.DataFrame(
        [
            {"type": kind, "key": str(number), "record_id": str(number), "field": field, "before": old, "after": "new"}
            for number in range(count)
        ],
        schema=dict(UPDATES),
    )
    return replace(NOTHING, updates=updates, before={kind: before})


@pytest.mark.parametrize("kind", CHANGED_TYPES)
@pytest.mark.parametrize("field", CHANGED_FIELDS)
def test_changes_hold_past_both_limits_and_exactly_at_one_pass(kind: str, field: str) -> None:
    at_limit = [(49, 98), (50, 100), (51, 100), (24, 24), (25, 25), (26, 26), (0, 0), (1, 1)]
    judged = [[reason.code for reason in judge(changing(kind, field, count, before))] for count, before in at_limit]
    assert judged == [[], [], ["unusual_changes"], [], [], ["unusual_changes"], [], []]


def test_filling_in_what_was_empty_and_a_grade_are_no_unusual_change() -> None:
    assert judge(changing("students", "email", 100, 100, old=None)) == []
    assert judge(changing("students", "grade", 100, 100)) == []


def test_added_guardianships_hold_past_both_limits_and_not_where_there_were_none() -> None:
    at_limit = [(99, 198), (100, 200), (101, 200), (49, 49), (50, 50), (51, 51), (1, 1), (0, 0), (100, 0)]
    judged = [
        [reason.code for reason in judge(changing("guardianships", "added", count, before, old=None))]
        for count, before in at_limit
    ]
    assert judged == [[], [], ["unusual_changes"], [], [], ["unusual_changes"], [], [], []]


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


def test_one_contact_holds_and_is_told_by_type() -> None:
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
    # Somebody who was a guardian is a contact now.
    turned = family("s1", 7, contacts=2)
    assert [reason.code for reason in judge(replace(NOTHING, families=turned), ALL_LIMITS, accepted)] == [
        "too_many_guardians",
        "emergency_contacts",
    ]


def test_a_districts_own_limits_take_the_place_of_ours() -> None:
    own = limits_of({"students": [0.5, 3], "changes": [0.1, 1], "guardianships_added": [0.0, 0]})
    assert (own["students"], own["classes"]) == (Limit(0.5, 3, own=True), LIMITS["classes"])
    assert (own[CHANGED], own[ADDED]) == (Limit(0.1, 1, own=True), Limit(0.0, 0, own=True))
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


def test_a_missing_school_holds_at_first_too() -> None:
    assert [reason.code for reason in judge(replace(NOTHING, missing=True))] == ["school_missing"]
