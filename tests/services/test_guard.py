"""The guard's limits, at every edge, for every type."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from services.guard import LIMITS, exceeds, judge
from services.plan import CHANGES, ChangeSet

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


def test_a_missing_school_holds_at_first_too() -> None:
    assert [reason.code for reason in judge(replace(NOTHING, missing=True))] == ["school_missing"]
