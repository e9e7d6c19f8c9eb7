"""How single values are brought to one form: emails, phones, dates, grades, and names as they are compared.

Every function here takes an expression or a column of values as they came and gives the good value, or null where it
is empty, a placeholder or bad; or it says which of these a value is. Raising issues is `contracts.checking`'s.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Final

import phonenumbers
import polars as pl
from ftfy.badness import is_bad

from contracts import text
from contracts.roster import DateOrder

MAX_EMAIL = 254

_LOCAL = r"[^\s\x00-\x1f\x7f@.(),:;<>\[\]\\\"]+"
_LABEL = r"[\p{L}\p{N}](?:[\p{L}\p{N}-]*[\p{L}\p{N}])?"
_EMAIL = rf"^{_LOCAL}(?:\.{_LOCAL})*@(?:{_LABEL}\.)+(?:\p{{L}}{{2,}}|xn--[a-z0-9-]+)$"

_PLAIN_NUMBER = (
    r"(?i)^(?:\+?1[ .-]*)?\(?([2-9][0-9]{2})\)?[ .-]*([2-9][0-9]{2})[ .-]*([0-9]{4})"
    r"(?:[ ,;]*(?:x|ext|extension)[.:]?[ ]*([0-9]{1,6}))?$"
)
_NORTH_AMERICA = 1
_BETWEEN_NUMBERS: Final = re.compile(r"[;/,|&\n]|\b(?:or|and)\b", re.IGNORECASE)
_SCIENTIFIC: Final = re.compile(r"\d(?:[.,]\d+)?E\+?\d+", re.IGNORECASE)
_SHORTEST_NUMBER: Final = 7
PHONE = pl.Struct({"phone": pl.String, "phone_extension": pl.String, "is_partial": pl.Boolean})

# A time of day and a zone: 12:00:00 AM, T00:00:00.000Z, 00:00+02:00, 12:00AM PST.
_TIME: Final = (
    r"(?:(?:,\s*|\s+|T)[0-2]?[0-9]:[0-5][0-9](?::[0-5][0-9](?:[.,][0-9]+)?)?\s*(?:[AP]\.?M\.?)?"
    r"\s*(?:Z|[A-Z]{2,5}|(?:UTC|GMT)?[+-][0-9]{2}:?(?:[0-9]{2})?)?(?:\[[A-Z_/]+\])?)?$"
)
_YEAR: Final = r"(?<year>[0-9]{4}|[0-9]{2})"
_DAY: Final = r"(?<day>[0-9]{1,2})"
_MONTHS: Final = {
    name: f"{number:02}"
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}
_MONTH_NAME: Final = (
    r"(?<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
# Read in one way only; dots are never American.
_ONE_ORDER: Final = tuple(
    rf"(?i)^{pattern}{_TIME}"
    for pattern in (
        r"(?<year>[0-9]{4})[-/.](?<month>[0-9]{1,2})[-/.](?<day>[0-9]{1,2})",
        r"(?<year>[0-9]{4})(?<month>[0-9]{2})(?<day>[0-9]{2})",
        rf"{_DAY}\.(?<month>[0-9]{{1,2}})\.{_YEAR}",
        rf"{_DAY}[-/. ]*{_MONTH_NAME}[-/., ]*{_YEAR}",
        rf"{_MONTH_NAME}[-/. ]*{_DAY}[-/, ]+{_YEAR}",
    )
)
_EITHER_ORDER: Final = rf"(?i)^(?<first>[0-9]{{1,2}})[-/](?<second>[0-9]{{1,2}})[-/]{_YEAR}{_TIME}"

# A spreadsheet's or database's first day, written where no date was known.
_NO_DATES: Final = (date(1900, 1, 1), date(1901, 1, 1))
_OLDEST_YEARS: Final = 110
_ENOUGH_VALUES: Final = 3
_ENOUGH_PERCENT: Final = 95

# What systems write for a grade, as letters in lower case and digits. Sources: Clever's names; the CEDS codes of
# OneRoster (IT, PR, PK, TK, KG, 01 to 13, UG); Ed-Fi's grade level descriptors; state codes as PowerSchool documents
# them: Connecticut KF, KH, KE, P3, Tennessee P3, P4, Virginia JK as pre-kindergarten; Vermont EE, KP; Pennsylvania
# PKA to K5F, where K4 and K5 are for children of four and of five. EC is early childhood, as EE.
# In no table, as systems differ: PS (CEDS: postsecondary, elsewhere preschool), HS (head start, high school), AD, H.
_GRADES: Final = {
    **dict.fromkeys(("k", "kg", "kn", "kdg", "kinder", "kindergarten", "kf", "kh", "ke", "kp"), "K"),
    **dict.fromkeys(("k5", "k5a", "k5f", "k5p"), "K"),
    **dict.fromkeys(("tk", "transitionalkindergarten", "transitionalk"), "TK"),
    **dict.fromkeys(("pk", "prek", "p", "prekindergarten", "prekinder", "pkg", "preschool", "pr"), "PK"),
    **dict.fromkeys(("pk3", "pk4", "prek3", "prek4", "p3", "p4", "k3", "k4", "k4a", "k4f", "k4p"), "PK"),
    **dict.fromkeys(("pka", "pkf", "pkp", "jk", "juniorkindergarten"), "PK"),
    **dict.fromkeys(("it", "infanttoddler", "infant/toddler", "ec", "earlychildhood", "ee", "earlyeducation"), "PK"),
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
    "0": "K",
    **{str(number): str(number) for number in range(1, 14)},
}
# Clever: Ungraded, Other; CEDS: UG; Louisiana: Nongraded; California until 2018: UE and US, ungraded elementary and
# secondary.
_NO_GRADE: Final = ("ungraded", "ug", "other", "nongraded", "ue", "us", "ungradedelementary", "ungradedsecondary")
_NUMBERED: Final = r"^(?:(?:grade|gr|g)[ ._:]*)?0*([0-9]{1,2})(?:\.0+|(?:st|nd|rd|th)? ?(?:grader?)?)$"
_BELOW_KINDERGARTEN: Final = r"^-0*[1-9][0-9]*(?:\.0+)?$"

# Marks people and systems type for an apostrophe, and every dash and hyphen.
_APOSTROPHES: Final = (
    r"[\x{2018}\x{2019}\x{201B}\x{02B9}\x{02BB}\x{02BC}\x{02BD}\x{02BE}\x{02BF}\x{02C8}\x{02CA}"
    r"\x{02CB}\x{2032}\x{2035}`\x{00B4}\x{FF07}\x{A78B}\x{A78C}\x{055A}]"
)
_DASHES: Final = r"[\p{Pd}\x{2212}\x{2043}\x{02D7}]"
_BLANKS: Final = r"[\s\p{Cf}\p{Cc}]*\s[\s\p{Cf}\p{Cc}]*"
# What casefolding (Unicode's CaseFolding.txt, as Python has it) does to letters that lower case leaves as they are;
# and Turkish i with and without a dot, which are one letter in capitals.
_CASEFOLDED: Final = {
    **{
        letter: letter.casefold()
        for letter in map(chr, range(0x10000))
        if letter == letter.lower() != letter.casefold()
    },
    "i\u0307": "i",
    "\u0131": "i",
}

_NO_NAME: Final = rf"\(null\)|#?n/a|{_DASHES}{{1,2}}|\.|\?|tbd"
_NO_NAMES: Final = "null|unknown"
_NO_GRADE_GIVEN: Final = f"{_NO_NAME}|{_NO_NAMES}|na|none|nan"
_PLACEHOLDER: Final = f"{_NO_GRADE_GIVEN}|0+"
_ONE_DIGIT: Final = "|".join(rf"(?:{digit}[\s\p{{P}}\p{{S}}]*){{2,}}" for digit in range(10))

_ENTITY: Final = r"&(?:#[0-9]+|#x[0-9a-f]+|[a-z][a-z0-9]+);"
_ESCAPED: Final = r"\\u[0-9a-f]{4}"
_LOST: Final = r"\x{FFFD}|\p{L}\?|\?\p{L}"


def folded(value: pl.Expr) -> pl.Expr:
    """A name as names are compared; null stays null.

    Rule: accents composed, casefolded, without regard to width, with one kind of apostrophe and of hyphen, one blank
    for several, and without invisible characters.
    """
    marked = (
        value.str.replace_all(_BLANKS, " ")
        .str.replace_all(text.INVISIBLE, "")
        .str.replace_all(_APOSTROPHES, "'")
        .str.replace_all(_DASHES, "-")
    )
    lowered = marked.str.normalize("NFKC").str.to_lowercase()
    # Composed again, as some accented letters have no capital, and are taken apart by casefolding.
    cased = lowered.str.replace_many(list(_CASEFOLDED), list(_CASEFOLDED.values())).str.normalize("NFC")
    return cased.str.strip_chars()


def bare(value: pl.Expr) -> pl.Expr:
    """A name's letters and digits, casefolded and without accents; null where it has none.

    Rule: how names are compared to tell two people on one ID.
    """
    return words(value).str.replace_all(" ", "", literal=True)


def words(value: pl.Expr) -> pl.Expr:
    """A name in words of letters and digits only, casefolded and without accents; null where it has none."""
    plain = folded(value).str.normalize("NFKD").str.replace_all(r"\p{M}", "")
    return plain.str.replace_all(r"[^\p{L}\p{N}]+", " ").str.strip_chars().replace("", None)


def full_name(suffix: str = "") -> pl.Expr:
    """First and last name together, of the columns first_name and last_name with the suffix; empty without any."""
    return pl.concat_str(f"first_name{suffix}", f"last_name{suffix}", separator=" ", ignore_nulls=True)


def email(value: pl.Expr) -> pl.Expr:
    """The address in lower case and without invisible characters, or null where mail cannot be sent to it.

    Rule: sane syntax, no more: one @, a dotted domain, no blanks, at most 254 characters.
    """
    lowered = text.without_invisible(value).str.strip_chars().str.to_lowercase()
    sane = lowered.str.contains(_EMAIL) & (lowered.str.len_chars() <= MAX_EMAIL)
    return pl.when(sane).then(lowered)


def phones(values: pl.Series, region: str) -> pl.Series:
    """Each number as PHONE: E.164, its extension, and whether the cell says more than this number.

    phone and phone_extension are null where the cell is empty, a placeholder, or cannot be called; is_partial is never
    null. Rule: plain ten-digit US numbers are brought to E.164 by expression, the rest by `parse_phone`, once per
    distinct value; of several numbers in a cell the first counts. Invisible characters are no part of a number.
    """
    cells = pl.DataFrame({"value": values.cast(pl.String)}).with_columns(
        value=text.without_invisible(pl.col("value")).str.strip_chars()
    )
    distinct = cells.filter(~is_phone_placeholder(pl.col("value"))).unique().drop_nulls()
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
        is_partial=False,
    )
    hard = simple.filter(~pl.col("known"))["value"].to_list()
    parsed = pl.DataFrame(
        [(value, *_first_phone(value, region)) for value in hard],
        schema={"value": pl.String, **{field.name: field.dtype for field in PHONE.fields}},
        orient="row",
    )
    known = pl.concat([simple.filter("known").drop("known"), parsed])
    return (
        cells.join(known, on="value", how="left", maintain_order="left")
        .select(pl.struct("phone", "phone_extension", pl.col("is_partial").fill_null(False)).alias(values.name))
        .to_series()
    )


def parse_phone(value: str, region: str) -> tuple[str | None, str | None]:
    """A number as E.164 and its extension, by `phonenumbers`; (None, None) where it cannot be called.

    Rule: two numbers are none, and the second no extension; one in scientific notation has lost digits.
    """
    numbers = sum(sum(map(str.isdigit, piece)) >= _SHORTEST_NUMBER for piece in _BETWEEN_NUMBERS.split(value))
    if numbers > 1 or _SCIENTIFIC.fullmatch(value.strip()):
        return None, None
    try:
        number = phonenumbers.parse(value, region)
    except phonenumbers.NumberParseException:
        return None, None
    if not phonenumbers.is_valid_number(number):
        return None, None
    extension = number.extension or None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164), extension


def _first_phone(value: str, region: str) -> tuple[str | None, str | None, bool]:
    """The fields of PHONE of a cell: its number, else the first of several."""
    phone, extension = parse_phone(value, region)
    if phone is not None:
        return phone, extension, False
    phone, extension = parse_phone(_BETWEEN_NUMBERS.split(value)[0], region)
    return phone, extension, phone is not None


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


@dataclass(frozen=True)
class BirthDates:
    """A column of birth dates as it was read."""

    dates: pl.Series
    """Date; null where the value is empty, a placeholder or not readable."""
    is_unclear: pl.Series
    """Boolean: the value can be read month first and day first, and the column does not say which."""
    is_day_first: bool
    """Whether the column itself showed that it is written day first."""


def birth_dates(values: pl.Series, today: date, *, order: DateOrder | None) -> BirthDates:
    """The column's dates, each null where it is none that somebody alive can be born on.

    ``order`` is that of slashed and dashed dates; None finds it in the column. Rule: day first where at least 3 values,
    and 95 % of those that can be read in one order only, are; month first where they are not, unless neither order has
    95 %, when values that can be read in both are not read. Values are counted once each, as a student's row is
    repeated for every guardian. A value against the order, in the future, or over 110 years ago is none.
    """
    cells = pl.DataFrame({"value": values.cast(pl.String)})
    readings = cells.unique().drop_nulls().with_columns(**_readings(pl.col("value"), today))
    month, day = pl.col("month_first"), pl.col("day_first")
    only_month, only_day = readings.select(
        only_month=(month.is_not_null() & day.is_null()).sum(), only_day=(day.is_not_null() & month.is_null()).sum()
    ).row(0)
    enough = _ENOUGH_PERCENT * (only_month + only_day)
    is_day_first = order is None and only_day >= _ENOUGH_VALUES and 100 * only_day >= enough
    is_clear = order is not None or 100 * max(only_month, only_day) >= enough
    in_order = day if is_day_first or order == "day" else month
    both = (month != day).fill_null(False)
    found = in_order if is_clear else pl.when(~both).then(pl.coalesce(month, day))
    is_possible = found.is_between(pl.lit(today).dt.offset_by(f"-{_OLDEST_YEARS}y"), today)
    read = readings.select(
        "value", date=pl.when(is_possible).then(found), is_unclear=both if not is_clear else pl.lit(False)
    )
    of_cells = cells.join(read, on="value", how="left", maintain_order="left")
    return BirthDates(of_cells["date"].alias(values.name), of_cells["is_unclear"].fill_null(False), is_day_first)


def _readings(value: pl.Expr, today: date) -> dict[str, pl.Expr]:
    """The dates that a value can be, read month first and day first; a short year is the latest not after today."""
    plain = text.without_invisible(value).str.strip_chars()
    fixed = [plain.str.extract_groups(pattern) for pattern in _ONE_ORDER]
    either = plain.str.extract_groups(_EITHER_ORDER)
    first, second = either.struct.field("first"), either.struct.field("second")

    def part(name: str, other: pl.Expr) -> pl.Expr:
        return pl.coalesce(*(groups.struct.field(name) for groups in fixed), other)

    def read(month: pl.Expr, day: pl.Expr) -> pl.Expr:
        year = part("year", either.struct.field("year"))
        number = part("month", month).str.to_lowercase().str.slice(0, 3).replace(_MONTHS).str.zfill(2)
        in_year = pl.concat_str(pl.lit("-"), number, pl.lit("-"), part("day", day).str.zfill(2))

        def of(century: str) -> pl.Expr:
            long = pl.when(year.str.len_chars() == 2).then(pl.lit(century) + year).otherwise(year)
            return (long + in_year).str.to_date("%Y-%m-%d", strict=False)

        is_past = (year.str.len_chars() == 4) | (of("20") <= today)
        return pl.when(is_past).then(of("20")).otherwise(of("19"))

    return {"month_first": read(first, second), "day_first": read(second, first)}


def grade(value: pl.Expr) -> pl.Expr:
    """PK, TK, K, or 1 to 13, from what the systems write; null where not known, and where it says that there is none.

    Rule: signs, dots and ranges are never left out: -1 and below is before kindergarten (PowerSchool), 0 is
    kindergarten, 10.0 is 10, and 1-2 is not known.
    """
    plain = _plain_grade(value).str.replace(_BELOW_KINDERGARTEN, "pk")
    name = plain.str.replace_all(r"^grade:? ?|grader?$", "").str.replace(r"([a-z]) ([0-9])", "$1$2").str.strip_chars()
    return pl.coalesce(plain.str.extract(_NUMBERED), name).replace_strict(_GRADES, default=None, return_dtype=pl.String)


def says_no_grade(value: pl.Expr) -> pl.Expr:
    """Whether the value is a known grade that means none: Ungraded, UG, Other."""
    return _plain_grade(value).is_in(_NO_GRADE).fill_null(False)


def _plain_grade(value: pl.Expr) -> pl.Expr:
    """A grade in lower case, its words joined; what stands at a digit stays."""
    lowered = text.without_invisible(value).str.strip_chars().str.to_lowercase().str.replace_all(_DASHES, "-")
    return lowered.str.replace_all(r"\s+", " ").str.replace_all(r"([a-z])[ ._-]+([a-z])", "$1$2")


def is_placeholder(value: pl.Expr) -> pl.Expr:
    """Whether an optional value or ID is written for none: NULL, N/A, none, a run of zeros, and the like."""
    return _is_written(value, _PLACEHOLDER)


def is_phone_placeholder(value: pl.Expr) -> pl.Expr:
    """Whether a phone is written for none: a placeholder, or one digit repeated, whatever stands between."""
    return _is_written(value, rf"{_PLACEHOLDER}|[\s\p{{P}}\p{{S}}]*(?:{_ONE_DIGIT})")


def is_grade_placeholder(value: pl.Expr) -> pl.Expr:
    """Whether a grade is written for none: a placeholder but zeros, which are kindergarten."""
    return _is_written(value, _NO_GRADE_GIVEN)


def is_date_placeholder(value: pl.Expr) -> pl.Expr:
    """Whether a date is written for none: a placeholder, or the first day of 1900 or 1901 in any spelling."""
    return is_placeholder(value) | value.map_batches(_are_no_dates, return_dtype=pl.Boolean)


def _are_no_dates(values: pl.Series) -> pl.Series:
    cells = pl.DataFrame({"value": values.cast(pl.String)})
    # Only years of four digits are meant, which no day is too late for: 01/01/00 is in 2000.
    read = _readings(pl.col("value"), date.max)["month_first"]
    found = cells.unique().filter(pl.col("value").str.contains("190[01]")).filter(read.is_in(_NO_DATES))
    return cells["value"].is_in(found["value"].implode()).fill_null(False)


def is_name_placeholder(first: pl.Expr, last: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """Whether a first and whether a last name is written for none.

    Rule: people are called Null, None and O; NULL and unknown count only where both names are such.
    """
    both = _is_written(first, _NO_NAMES) & _is_written(last, _NO_NAMES)
    return _is_written(first, _NO_NAME) | both, _is_written(last, _NO_NAME) | both


def _is_written(value: pl.Expr, pattern: str) -> pl.Expr:
    return text.cleaned(value).str.contains(rf"(?i)\A(?:{pattern})\z").fill_null(False)


def is_damaged(values: pl.Series) -> pl.Series:
    """Whether each name lost letters on its way: UTF-8 read as another encoding, HTML entities, replaced letters.

    Rule: the library `ftfy` judges what is not plain ASCII, once per distinct value; it lets real names of many
    languages pass. Beside that, a replacement character, an entity or escape, and a question mark at a letter.
    """
    cells = pl.DataFrame({"value": values.cast(pl.String)})
    distinct = cells.unique().drop_nulls()
    # Of UTF-8 read as another encoding, at least two such characters are left for each one.
    suspect = distinct.filter(pl.col("value").str.contains(r"[^\x00-\x7F]{2}"))["value"]
    garbled = pl.Series("value", [value for value in suspect if is_bad(value)], pl.String)
    marked = distinct.filter(pl.col("value").str.contains(rf"(?i){_ENTITY}|{_ESCAPED}|{_LOST}"))["value"]
    return cells["value"].is_in(pl.concat([marked, garbled]).implode()).fill_null(False).alias(values.name)
