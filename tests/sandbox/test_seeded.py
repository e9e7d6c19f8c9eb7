import polars as pl

from sandbox.seeded import below, chance, choose, draw, some

DRAWN = [16493746421199173144, 2378958829958495529, 13174385740592703905, 9593071182776401260]
KEYS = pl.Series("key", [0, 1, 2, 3], dtype=pl.UInt32)


def test_a_draw_is_the_same_for_ever() -> None:
    # Whole values: a change here changes every district that was ever made from a seed.
    assert draw(1, "phone", KEYS).to_list() == DRAWN
    assert below(1, "phone", KEYS, 10).to_list() == [value // 2**32 % 10 for value in DRAWN]


def test_seed_stream_and_key_all_matter() -> None:
    drawn = pl.concat([draw(1, "a", KEYS), draw(2, "a", KEYS), draw(1, "b", KEYS)])
    assert drawn.n_unique() == 12


def test_draws_are_spread_evenly() -> None:
    keys = pl.int_range(10_000, dtype=pl.UInt32, eager=True)
    counts = below(3, "even", keys, 10).value_counts()["count"]
    assert (counts.len(), counts.min(), counts.max()) == (10, 962, 1047)
    assert chance(3, "even", keys, 30).sum() == 2948


def test_limits_can_differ_by_key() -> None:
    assert below(1, "own limit", KEYS, pl.Series([1, 1, 1, 1], dtype=pl.UInt64)).to_list() == [0, 0, 0, 0]


def test_options_and_keys_are_drawn_from_what_is_given() -> None:
    assert set(choose(1, "option", pl.int_range(100, eager=True), ("a", "b"))) == {"a", "b"}
    assert sorted(some(1, "some", KEYS, 4)) == [0, 1, 2, 3]
    assert some(1, "some", KEYS, 2).n_unique() == 2
    assert some(1, "some", KEYS, 9).len() == 4
    assert some(1, "some", KEYS, 2).to_list() == some(1, "some", KEYS.reverse(), 2).to_list()
