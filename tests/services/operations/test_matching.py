from __future__ import annotations

import pytest

from services.intake.adapters import SourceSchool
from services.operations.matching import Ours, Proposal, Why, propose


@pytest.mark.parametrize(
    ("ours", "theirs", "why"),
    [
        ("Lincoln High School", "LINCOLN HIGH SCHOOL", Why.NAME),
        ("Lincoln High School", "Lincoln HS", Why.NAME),
        ("José Martí Elementary", "Elem. Jose Marti School", Why.NAME),
        ("St. Mary's Academy", "Saint Marys Academy", Why.NAME),
        ("Roosevelt Middle School", "Rosevelt Middle School", Why.SIMILAR),
        ("Roosevelt", "Roosevelt Middle School", Why.SIMILAR),
        ("Lincoln High School", "Lincoln Middle School", None),
        ("Lincoln High School", "Washington High School", None),
    ],
)
def test_names_that_say_the_same_are_proposed(ours: str, theirs: str, why: Why | None) -> None:
    found = propose([Ours("u/1", ours)], [SourceSchool("9", theirs)])
    assert found == ({} if why is None else {"u/1": Proposal("9", why)})


def test_a_number_goes_before_a_name() -> None:
    theirs = [SourceSchool("a", "Lincoln High School"), SourceSchool("b", "Downtown Campus", "0101")]
    assert propose([Ours("u/1", "Lincoln High School", "0101")], theirs) == {"u/1": Proposal("b", Why.NUMBER)}


def test_each_of_theirs_is_proposed_once_and_none_where_two_fit() -> None:
    ours = [Ours("u/1", "Oak Grove School"), Ours("u/2", "Oak Grove"), Ours("u/3", "Mill Pond")]
    theirs = [SourceSchool("1", "Oak Grove"), SourceSchool("2", "Mill Pond East"), SourceSchool("3", "Mill Pond West")]
    assert propose(ours, theirs) == {}
