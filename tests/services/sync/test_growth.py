"""When a run has the database look at its tables again."""

from __future__ import annotations

from models.outcomes import SchoolOutcome
from services.sync.provision import Growth, SchoolResult


def test_it_looks_when_the_rows_that_were_added_have_grown_fourfold() -> None:
    growth = Growth()

    def school(students: int, left: int = 0) -> SchoolResult:
        counts = {"students_create": students, "guardians_create": students, "students_remove": left}
        return SchoolResult("unified/lincoln", SchoolOutcome.APPLIED, counts, (), None)

    added = [2_000, 1_000, 3_000, 8_000, 100, 60_000]
    assert [growth.is_due(school(each, left=9_000)) for each in added] == [False, True, False, True, False, True]
