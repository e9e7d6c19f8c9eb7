"""What every value loses, checked against Python's tables of Unicode; and counts and lists in words."""

from __future__ import annotations

import unicodedata

import polars as pl
import pytest

from contracts import text
from contracts.text import clean, cleaned, count, listed, needs_cleaning, nothing, stripped

GOING = [
    character
    for character in map(chr, range(1, 0x110000))
    if character.isspace() or unicodedata.category(character) in ("Cf", "Cc")
]
STAYING = ["\0", "a", "é", "-", '"', "\u0301", "\u3164", "\ufffd", "\ufe0f", "😀"]


def test_cleaning_takes_blanks_and_invisible_characters_from_both_ends_only() -> None:
    came = [f"{each}{each}a{each}b{each}" for each in [*GOING, *STAYING]]
    left = [f"a{each}b" for each in GOING] + came[len(GOING) :]

    assert pl.DataFrame({"came": came}).select(cleaned(pl.col("came"))).to_series().to_list() == left
    assert [clean(each) for each in came] == left


def test_nothing_is_left_of_what_cannot_be_seen() -> None:
    assert pl.DataFrame({"came": GOING}).select(cleaned(pl.col("came")).is_null().all()).item()
    assert {clean(each) for each in GOING} == {""}


def test_stripping_is_enough_where_nothing_needs_cleaning() -> None:
    values = pl.DataFrame({"came": [f" {each}a{each}" for each in [*GOING, *STAYING]]}).with_columns(
        needed=needs_cleaning(pl.col("came")), stripped=stripped(pl.col("came")), cleaned=cleaned(pl.col("came"))
    )

    assert values.filter(pl.col("stripped") != pl.col("cleaned")).equals(values.filter("needed"))
    assert not values.filter("needed").is_empty()


def test_the_pattern_of_nothing_is_what_cleaning_takes() -> None:
    characters = pl.DataFrame({"each": [*GOING, *STAYING]})

    assert characters.filter(pl.col("each").str.contains(nothing())).to_series().to_list() == GOING
    assert characters.filter(pl.col("each").str.contains(nothing(but="\t"))).to_series().to_list() == [
        each for each in GOING if each != "\t"
    ]


@pytest.mark.parametrize(
    ("number", "many", "words"), [(1, None, "1 cell"), (0, None, "0 cells"), (2, "cellars", "2 cellars")]
)
def test_a_count_has_its_plural(number: int, many: str | None, words: str) -> None:
    assert count(number, "cell", many) == words


def test_a_list_is_reported_as_a_sentence_does_and_cut_where_it_is_long() -> None:
    assert [listed(range(1, number)) for number in (2, 3, 4, 6, 7, 9)] == [
        "1",
        "1 and 2",
        "1, 2 and 3",
        "1, 2, 3, 4 and 5",
        "1, 2, 3, 4, 5 and 1 more",
        "1, 2, 3, 4, 5 and 3 more",
    ]


def test_inside_only_invisible_characters_go() -> None:
    found = pl.DataFrame({"a": ["a\u200bb c\x07\u00add", None]}).select(text.without_invisible(pl.col("a")))["a"]
    assert found.to_list() == ["ab cd", None]
    assert text.without_invisible_text("a\u200bb c\x07\u00add") == "ab cd"


def test_hidden_characters_are_named_and_spelling_is_none() -> None:
    values = {
        "Ann": None,
        "An\u200bn": "U+200B",
        "A\u00adn\u200bn\u200b": "U+00AD, U+200B",
        # Joiners are spelling between letters of scripts that join, and glue in emoji; anywhere else they hide.
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645": None,
        "\u0915\u094d\u200d\u0937\u0915\u094d\u200d\u0937": None,
        "\u0645\u200c\u0646\u200c\u0645\u200c\u0646": None,
        "\U0001f469\u200d\U0001f467": None,
        "An\u200cn": "U+200C",
        "\u0645\u200c n": "U+200C",
    }
    assert dict(zip(values, text.hidden(pl.Series(list(values))).to_list(), strict=True)) == values
    assert text.hidden(pl.Series([None], dtype=pl.String)).to_list() == [None]
    assert text.spelled_out("A\u200bn") == "A<U+200B>n"
