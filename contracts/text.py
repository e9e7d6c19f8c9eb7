"""What every value that enters Rollcall loses, whatever it is: blanks and invisible characters; counts, lists in words.

Rule: at both ends blanks and invisible characters go (Unicode Cf, and Cc but NUL, LF and CR); inside only from values
that never hold one, such as emails. What a value means is `contracts.values`' business.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

import polars as pl

INVISIBLE: Final = r"[\p{Cf}\p{Cc}&&[^\x00\n\r]]"
# Those of them that are no blanks, which plain stripping leaves.
_NO_BLANK: Final = r"[\p{Cf}\p{Cc}--[\x00\s]]"

# Scripts whose letters join or form clusters, where a joiner or non-joiner between two letters is spelling.
_JOINING: Final = (
    r"[\p{Arabic}\p{Syriac}\p{Mongolian}\p{Nko}\p{Thaana}\p{Devanagari}\p{Bengali}\p{Gurmukhi}\p{Gujarati}\p{Oriya}"
    r"\p{Tamil}\p{Telugu}\p{Kannada}\p{Malayalam}\p{Sinhala}\p{Tibetan}\p{Myanmar}\p{Khmer}]"
)
_SPELLING: Final = rf"({_JOINING})[\x{{200C}}\x{{200D}}]+({_JOINING})"
_IN_EMOJI: Final = r"(\p{Extended_Pictographic}[\x{FE0F}\p{Emoji_Modifier}]*)\x{200D}(\p{Extended_Pictographic})"


def nothing(but: str = "") -> str:
    """The pattern, for Polars, of one blank or invisible character; `but`: none of these."""
    return rf"[\s\p{{Cf}}\p{{Cc}}&&[^\x00{re.escape(but)}]]"


_AT_THE_ENDS: Final = rf"\A{nothing()}+|{nothing()}+\z"


def cleaned(value: pl.Expr) -> pl.Expr:
    """The text without blanks and invisible characters at both ends; null where nothing is left."""
    return value.str.replace_all(_AT_THE_ENDS, "").replace("", None)


def without_invisible(value: pl.Expr) -> pl.Expr:
    """The text without any invisible character; blanks stay."""
    return value.str.replace_all(INVISIBLE, "")


def stripped(value: pl.Expr) -> pl.Expr:
    """As `cleaned`, of texts without invisible characters; see `needs_cleaning`."""
    return value.str.strip_chars().replace("", None)


def needs_cleaning(value: pl.Expr) -> pl.Expr:
    """Whether the text holds an invisible character, so that only `cleaned` takes from its ends what has to go."""
    return value.str.contains(_NO_BLANK)


def hides_something(value: pl.Expr) -> pl.Expr:
    """Whether a cleaned text holds an invisible character that is no spelling of a script, and in no emoji."""
    rest = value
    # Twice, as the letter behind one joiner may be the one before the next.
    for pattern in (_SPELLING, _SPELLING, _IN_EMOJI, _IN_EMOJI):
        rest = rest.str.replace_all(pattern, "$1$2")
    return rest.str.contains(INVISIBLE).fill_null(False)


def clean(value: str) -> str:
    """One text without blanks and invisible characters at both ends, as `cleaned`."""
    first, last = 0, len(value)
    while first < last and _is_nothing(value[first]):
        first += 1
    while last > first and _is_nothing(value[last - 1]):
        last -= 1
    return value[first:last]


def without_invisible_text(value: str) -> str:
    """One text without any invisible character, as `without_invisible`."""
    return "".join(each for each in value if not _is_invisible(each))


def _is_nothing(character: str) -> bool:
    return character.isspace() or _is_invisible(character)


def _is_invisible(character: str) -> bool:
    return character not in "\0\n\r" and unicodedata.category(character) in ("Cf", "Cc")


def hidden(values: pl.Series) -> pl.Series:
    """What each text hides, as U+200B, or null: the invisible characters in it that are no spelling. String."""
    met = pl.DataFrame({"value": values.filter(values.str.contains(INVISIBLE).fill_null(False)).unique()})
    found = met.filter(hides_something(pl.col("value")))["value"].to_list()
    named = {
        value: ", ".join(_code_point(each) for each in dict.fromkeys(value) if _is_invisible(each)) for value in found
    }
    return values.replace_strict(named, default=None, return_dtype=pl.String)


def spelled_out(value: str) -> str:
    """The text with its invisible characters written as <U+200B>, so that people can see them."""
    return "".join(f"<{_code_point(each)}>" if _is_invisible(each) else each for each in value)


def _code_point(character: str) -> str:
    return f"U+{ord(character):04X}"


def count(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun: 1 record, 2 records; `many` where the plural is not made with an s."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def listed(items: Sequence[object], most: int = 5) -> str:
    """The items as a sentence names them: a, b and c; a, b and 7 more."""
    shown = [str(item) for item in (items if len(items) <= most else items[:most])]
    left = [f"{len(items) - most} more"] if len(items) > most else []
    *others, last = [*shown, *left]
    return f"{', '.join(others)} and {last}" if others else last
