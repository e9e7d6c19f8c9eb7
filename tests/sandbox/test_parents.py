import polars as pl
import pytest

from sandbox.generator import generate
from tests.sandbox.parents import with_parents_of
from tests.sandbox.rules import broken_rules


def test_so_many_guardians_are_shared_under_another_spelling() -> None:
    one, other = generate(seed=1, students=60), generate(seed=2, students=60)
    after = with_parents_of(other, one, 5)
    shared = after.people.join(one.people, on="email", suffix="_one")
    assert shared.height == 5
    assert shared["first_name"].to_list() == shared["first_name_one"].str.to_uppercase().to_list()
    assert shared.filter(pl.col("first_name") == pl.col("first_name_one")).height == 0
    assert shared["kind"].unique().to_list() == ["guardian"]
    assert broken_rules(after) == []


def test_more_than_there_are_is_refused() -> None:
    one, other = generate(seed=1, students=6), generate(seed=2, students=6)
    with pytest.raises(ValueError, match="not so many guardians"):
        with_parents_of(other, one, 100)
