"""How single values are brought to one form: e-mails, phones, dates, grades, and names as they are compared.

Every function here takes an expression or a column of values as they came and gives the good value, or null where it
is empty or bad; telling bad from empty, and saying so, is `contracts.checking`'s.
"""

from __future__ import annotations

import re
from datetime import date
from functools import cache

import phonenumbers
import polars as pl

MAX_EMAIL = 254
EARLIEST_BIRTH = date(1900, 1, 1)

_LOCAL = r"[^\s\x00-\x1f\x7f@.(),:;<>\[\]\\\"]+"
_LABEL = r"[\p{L}\p{N}](?:[\p{L}\p{N}-]*[\p{L}\p{N}])?"
_EMAIL = rf"^{_LOCAL}(?:\.{_LOCAL})*@(?:{_LABEL}\.)+(?:\p{{L}}{{2,}}|xn--[a-z0-9-]+)$"

_PLAIN_NUMBER = (
    r"(?i)^(?:\+?1[ .-]*)?\(?([2-9][0-9]{2})\)?[ .-]*([2-9][0-9]{2})[ .-]*([0-9]{4})"
    r"(?:[ ,;]*(?:x|ext|extension)[.:]?[ ]*([0-9]{1,6}))?$"
)
_NORTH_AMERICA = 1
PHONE = pl.Struct({"phone": pl.String, "phone_extension": pl.String})

_TIME = r"(?:[T ][0-9:.]+Z?)?$"
_ISO_DATE = r"^([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})" + _TIME
_COMPACT_DATE = r"^([0-9]{4})([0-9]{2})([0-9]{2})$"
_AMERICAN_DATE = r"^([0-9]{1,2})[-/.]([0-9]{1,2})[-/.]([0-9]{4}|[0-9]{2})" + _TIME

_GRADES = {
    **{str(number): str(number) for number in range(1, 14)},
    **dict.fromkeys(("k", "kg", "kn", "kdg", "0", "kinder", "kindergarten"), "K"),
    **dict.fromkeys(("tk", "transitionalkindergarten", "transitionalk"), "TK"),
    **dict.fromkeys(("pk", "prek", "p", "prekindergarten", "prekinder", "pkg", "preschool", "infanttoddler"), "PK"),
    **dict.fromkeys(("postgraduate", "pg"), "13"),
    **{
        name: str(number)
        for number, name in enumerate(
            (
                *("first", "second", "third", "fourth", "fifth", "sixth"),
                *("seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth"),
            ),
            start=1,
        )
    },
    **dict.fromkeys(("freshman",), "9"),
    **dict.fromkeys(("sophomore",), "10"),
    **dict.fromkeys(("junior",), "11"),
    **dict.fromkeys(("senior",), "12"),
}


def folded(value: pl.Expr) -> pl.Expr:
    """A name as names are compared: without regard to case, width and repeated blanks."""
    return value.str.normalize("NFKC").str.to_lowercase().str.replace_all(r"\s+", " ").str.strip_chars()


def full_name(suffix: str = "") -> pl.Expr:
    """First and last name together, of the columns first_name and last_name with the suffix; empty without any."""
    return pl.concat_str(f"first_name{suffix}", f"last_name{suffix}", separator=" ", ignore_nulls=True)


def email(value: pl.Expr) -> pl.Expr:
    """The address in lower case, or null where mail cannot be sent to it.

    Rule: sane syntax, no more: one @, a dotted domain, no blanks, at most 254 characters.
    """
    lowered = value.str.strip_chars().str.to_lowercase()
    sane = lowered.str.contains(_EMAIL) & (lowered.str.len_chars() <= MAX_EMAIL)
    return pl.when(sane).then(lowered)


def phones(values: pl.Series, region: str) -> pl.Series:
    """Each number as PHONE: E.164 and its extension, both null where it is empty or cannot be called.

    Rule: plain ten-digit US numbers are brought to E.164 by expression, the rest by the library `phonenumbers`, once
    per distinct value.
    """
    distinct = pl.DataFrame({"value": values.drop_nulls().unique()})
    parts = pl.col("value").str.extract_groups(_PLAIN_NUMBER)
    area = parts.struct.field("1")
    met = distinct.select(area)["1"].unique() if _country_code(region) == _NORTH_AMERICA else ()
    areas = {code: _area(code) for code in met if code is not None}
    whole, unused = ([code for code, all_or_none in areas.items() if all_or_none is wanted] for wanted in (True, False))
    plain = area.is_in(whole)
    simple = distinct.select(
        "value",
        known=(plain | area.is_in(unused)).fill_null(False),
        phone=pl.when(plain).then(pl.concat_str(pl.lit("+1"), area, parts.struct.field("2"), parts.struct.field("3"))),
        phone_extension=pl.when(plain).then(parts.struct.field("4")),
    )
    hard = simple.filter(~pl.col("known"))["value"].to_list()
    parsed = pl.DataFrame(
        [(value, *parse_phone(value, region)) for value in hard],
        schema={"value": pl.String, "phone": pl.String, "phone_extension": pl.String},
        orient="row",
    )
    known = pl.concat([simple.filter("known").drop("known"), parsed])
    return (
        pl.DataFrame({"value": values.cast(pl.String)})
        .join(known, on="value", how="left", maintain_order="left")
        .select(pl.struct("phone", "phone_extension").alias(values.name))
        .to_series()
    )


def parse_phone(value: str, region: str) -> tuple[str | None, str | None]:
    """A number as E.164 and its extension, by `phonenumbers`; (None, None) where it cannot be called."""
    try:
        number = phonenumbers.parse(value, region)
    except phonenumbers.NumberParseException:
        return None, None
    if not phonenumbers.is_valid_number(number):
        return None, None
    extension = number.extension or None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164), extension


def _country_code(region: str) -> int:
    return int(phonenumbers.country_code_for_region(region))


@cache
def _area(code: str) -> bool | None:
    """Whether all exchanges of a North American area code can be called (True) or none (False); None where some can.

    By the library's own data, so that the expression and the library agree; None too for codes of islands that use a
    handful of exchanges.
    """
    exchanges = (200, 234, 311, 345, 400, 456, 555, 567, 611, 640, 678, 700, 789, 800, 890, 911, 950, 999)
    numbers = (
        phonenumbers.PhoneNumber(country_code=_NORTH_AMERICA, national_number=int(f"{code}{exchange}5678"))
        for exchange in exchanges
    )
    valid = sum(phonenumbers.is_valid_number(number) for number in numbers)
    if valid == len(exchanges):
        return True
    return False if valid == 0 and not _islands().fullmatch(code) else None


@cache
def _islands() -> re.Pattern[str]:
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[_NORTH_AMERICA]
    metadata = (phonenumbers.PhoneMetadata.metadata_for_region(region) for region in regions)
    leading = (each.leading_digits for each in metadata if each is not None)
    return re.compile("|".join(f"(?:{digits})" for digits in leading if digits))


def birth_date(value: pl.Expr, today: date) -> pl.Expr:
    """The date, or null where it is none that somebody alive can be born on (before 1900, or in the future).

    Rule: ISO or American order, padded or not; a two-digit year is the latest one not in the future. A time of day
    behind the date is left out.
    """
    text = value.str.strip_chars()

    def day(year: pl.Expr, month: pl.Expr, of_month: pl.Expr) -> pl.Expr:
        padded = pl.concat_str(year, month.str.zfill(2), of_month.str.zfill(2), separator="-")
        return padded.str.to_date("%Y-%m-%d", strict=False)

    groups = {pattern: text.str.extract_groups(pattern) for pattern in (_ISO_DATE, _COMPACT_DATE, _AMERICAN_DATE)}
    whole = [
        day(*(groups[pattern].struct.field(number) for number in ("1", "2", "3")))
        for pattern in (_ISO_DATE, _COMPACT_DATE)
    ]
    month, of_month, year = (groups[_AMERICAN_DATE].struct.field(number) for number in ("1", "2", "3"))
    short = year.str.len_chars() == 2
    this_century = day(pl.when(short).then(pl.lit("20") + year).otherwise(year), month, of_month)
    last_century = day(pl.when(short).then(pl.lit("19") + year), month, of_month)
    found = pl.coalesce(*whole, pl.when(~short | (this_century <= today)).then(this_century).otherwise(last_century))
    return pl.when(found.is_between(EARLIEST_BIRTH, today)).then(found)


def grade(value: pl.Expr) -> pl.Expr:
    """PK, TK, K, or 1 to 13, from what the systems call them (Clever's names among them); null where not known."""
    plain = (
        value.str.to_lowercase()
        .str.replace_all(r"[\s._-]+", "")
        .str.replace(r"^grade|grade$|grader$", "")
        .str.replace(r"^([0-9]+)(?:st|nd|rd|th)$", "$1")
        .str.replace(r"^0+([0-9])", "$1")
    )
    return plain.replace_strict(_GRADES, default=None, return_dtype=pl.String)
