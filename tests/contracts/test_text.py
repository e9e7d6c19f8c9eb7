"""Blanks and invisible characters, told by Python's tables of Unicode too; and counts and lists in words."""

from __future__ import annotations

import unicodedata

import polars as pl
import pytest

from contracts import text

# One of each kind that must go: zero width, marks of direction, soft hyphen, byte-order mark, controls of C0 and C1.
EACH = [
    *("\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u200e", "\u200f", "\u2066", "\u2069", "\u061c"),
    *("\u180e", "\x01", "\t", "\x1a", "\x1f", "\x7f", "\x80", "\x85", "\x9f", "\u00a0", "\u2003", " "),
]


GOING = [
    character
    for character in map(chr, range(1, 0x110000))
    if character.isspace() or unicodedata.category(character) in ("Cf", "Cc")
]
STAYING = ["\0", "a", "é", "-", '"', "\u0301", "\u3164", "\ufffd", "\ufe0f", "😀"]


def _cleaned(*values: str | None) -> list[str | None]:
    return pl.DataFrame({"a": list(values)}, schema={"a": pl.String}).select(text.cleaned(pl.col("a")))["a"].to_list()


@pytest.mark.parametrize("each", EACH)
def test_what_nobody_sees_goes_at_both_ends(each: str) -> None:
    assert _cleaned(f"{each}A b{each}", f"{each} {each}x", each) == ["A b", "x", None]
    assert [text.clean(value) for value in (f"{each}A b{each}", f"{each} {each}x", each)] == ["A b", "x", ""]


def test_cleaning_takes_blanks_and_invisible_characters_from_both_ends_only() -> None:
    came = [f"{each}{each}a{each}b{each}" for each in [*GOING, *STAYING]]
    left = [f"a{each}b" for each in GOING] + came[len(GOING) :]

    assert pl.DataFrame({"came": came}).select(text.cleaned(pl.col("came"))).to_series().to_list() == left
    assert [text.clean(each) for each in came] == left


def test_nothing_is_left_of_what_cannot_be_seen() -> None:
    assert pl.DataFrame({"came": GOING}).select(text.cleaned(pl.col("came")).is_null().all()).item()
    assert {text.clean(each) for each in GOING} == {""}


def test_stripping_is_enough_where_nothing_needs_cleaning() -> None:
    values = pl.DataFrame({"came": [f" {each}a{each}" for each in [*GOING, *STAYING]]}).with_columns(
        needed=text.needs_cleaning(pl.col("came")),
        stripped=text.stripped(pl.col("came")),
        cleaned=text.cleaned(pl.col("came")),
    )

    assert values.filter(pl.col("stripped") != pl.col("cleaned")).equals(values.filter("needed"))
    assert not values.filter("needed").is_empty()


def test_the_pattern_of_nothing_is_what_cleaning_takes() -> None:
    characters = pl.DataFrame({"each": [*GOING, *STAYING]})

    assert characters.filter(pl.col("each").str.contains(text.nothing())).to_series().to_list() == GOING
    assert characters.filter(pl.col("each").str.contains(text.nothing(but="\t"))).to_series().to_list() == [
        each for each in GOING if each != "\t"
    ]


def test_a_null_character_stays_to_be_told() -> None:
    assert _cleaned("\0a\0", "\u200b\0") == ["\0a\0", "\0"]
    assert text.clean("\0a\0") == "\0a\0"


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


def test_counts_have_their_plural() -> None:
    assert [text.count(number, "record") for number in (0, 1, 2)] == ["0 records", "1 record", "2 records"]
    assert text.count(2, "person", "people") == "2 people"


def test_a_list_is_told_as_a_sentence_does_and_cut_where_it_is_long() -> None:
    assert [text.listed(range(1, number)) for number in (2, 3, 4, 6, 7, 9)] == [
        "1",
        "1 and 2",
        "1, 2 and 3",
        "1, 2, 3, 4 and 5",
        "1, 2, 3, 4, 5 and 1 more",
        "1, 2, 3, 4, 5 and 3 more",
    ]
