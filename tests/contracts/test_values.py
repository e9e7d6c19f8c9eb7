"""Single values: what each is read as, and which are placeholders or damaged."""

import unicodedata
from collections.abc import Iterable
from datetime import date, timedelta

import phonenumbers
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import values
from contracts.roster import DateOrder
from tests.contracts.district import TODAY


def _each(expression: pl.Expr, came: Iterable[str | None]) -> dict[str | None, object]:
    """What the expression over the column ``value`` makes of each value."""
    column = pl.Series("value", list(came), pl.String)
    return dict(zip(column, column.to_frame().select(made=expression)["made"], strict=True))


_VALUE = pl.col("value")


def _one(expression: pl.Expr) -> object:
    return pl.select(expression).item()


@pytest.mark.parametrize(
    ("came", "good"),
    [
        ("Ada.Byrd@Unified.Example", "ada.byrd@unified.example"),
        ("  ada@unified.example ", "ada@unified.example"),
        ("o'neil+school@sub.d-x.example", "o'neil+school@sub.d-x.example"),
        ("josé@mañana.example", "josé@mañana.example"),
        ("ada@unified", None),
        ("ada.unified.example", None),
        ("ada@@unified.example", None),
        ("ada byrd@unified.example", None),
        ("ada..byrd@unified.example", None),
        ("ada@unified..example", None),
        ("ada@-unified.example", None),
        ("ada@unified.example, bo@unified.example", None),
        ("Ada <ada@unified.example>", None),
        ("a" * 239 + "@unified.example"[:15], "a" * 239 + "@unified.exampl"),
        ("a" * 240 + "@unified.example"[:15], None),
        ("\ufeffada\u200b@uni\u00adfied.exam\u2060ple\x00", None),
        ("\ufeffada\u200b@uni\u00adfied.exam\u2060ple", "ada@unified.example"),
        ("", None),
        (None, None),
    ],
)
def test_an_email_is_lowered_and_has_one_at_a_dotted_domain_and_nothing_between(
    came: str | None, good: str | None
) -> None:
    assert _one(values.email(pl.lit(came, pl.String))) == good


_PHONES: dict[str | None, tuple[str | None, str | None, bool]] = {
    "(212) 555-0123": ("+12125550123", None, False),
    "212.555.0123": ("+12125550123", None, False),
    "+1 212 555 0123": ("+12125550123", None, False),
    "1-212-555-0123 x45": ("+12125550123", "45", False),
    "2125550123 ext. 7": ("+12125550123", "7", False),
    "212-555-0123, ext 7": ("+12125550123", "7", False),
    "2125550123;ext=7": ("+12125550123", "7", False),
    "+44 20 7946 0018": ("+442079460018", None, False),
    "\u202a(212)\u00ad 555\u200b-0123\u202c": ("+12125550123", None, False),
    "123-456-7890": (None, None, False),
    "555-0123": (None, None, False),
    "unlisted": (None, None, False),
    # What a spreadsheet leaves of a number.
    "4.15556E+09": (None, None, False),
    "4.15555200E9": (None, None, False),
    # Several numbers: the first, and never the second as its extension.
    "4155552003;4155552004": ("+14155552003", None, True),
    "4155552003;5552004": ("+14155552003", None, True),
    "4155552003,,4155552004": ("+14155552003", None, True),
    "415-555-2003/415-555-2004": ("+14155552003", None, True),
    "(415) 555-2003 / 2004": ("+14155552003", None, True),
    "4155552003, 4155552004": ("+14155552003", None, True),
    "415 555 2003 or 415 555 2004": ("+14155552003", None, True),
    "415-555-2003 x12; 415-555-2004": ("+14155552003", "12", True),
    "4155552003 x4155552004": (None, None, False),
    "0000000000;4155552004": (None, None, False),
    # One digit only: a placeholder, though 888 is an area in use.
    "000-000-0000": (None, None, False),
    "(888) 888-8888": (None, None, False),
    "": (None, None, False),
    None: (None, None, False),
}


def test_a_phone_becomes_e164_with_its_extension_apart_and_the_first_of_several_counts() -> None:
    found = values.phones(pl.Series("phone", list(_PHONES), dtype=pl.String), "US")
    assert (found.name, found.dtype) == ("phone", values.PHONE)
    assert dict(zip(_PHONES, found.struct.unnest().rows(), strict=True)) == _PHONES


def test_a_phone_without_country_code_belongs_to_the_region() -> None:
    found = values.phones(pl.Series("phone", ["020 7946 0018", "2125550123"]), "GB").to_list()
    assert [number["phone"] for number in found] == ["+442079460018", None]


def test_a_slash_behind_the_area_code_parts_no_numbers() -> None:
    found = values.phones(pl.Series("phone", ["030/901820", "030 90182/030 90183"]), "DE").struct.unnest().rows()
    assert found == [("+4930901820", None, False), ("+493090182", None, True)]


_NOTATIONS = (
    "{}{}{}",
    "({}) {}-{}",
    "({}){}-{}",
    "{}-{}-{}",
    "{}.{}.{}",
    "{} {} {}",
    "+1{}{}{}",
    "1-{}-{}-{}",
    "+1 ({}) {}-{}",
    "{}-{}-{} x12",
    "{}{}{} ext. 3456",
    "({}) {}-{}, extension 9",
)


@settings(deadline=None)
@given(
    numbers=st.lists(
        st.tuples(st.integers(0, 999), st.integers(0, 999), st.integers(0, 9999), st.sampled_from(_NOTATIONS)),
        min_size=1,
        max_size=30,
    )
)
def test_the_expression_for_plain_numbers_says_what_the_library_says(numbers: list[tuple[int, int, int, str]]) -> None:
    written = [notation.format(f"{a:03}", f"{e:03}", f"{n:04}") for a, e, n, notation in numbers]
    found = values.phones(pl.Series("phone", written), "US").to_list()
    assert [(number["phone"], number["phone_extension"]) for number in found] == [
        values.parse_phone(value, "US") for value in written
    ]


def test_every_area_code_is_judged_as_the_library_judges_it() -> None:
    written = [f"{area}5550123" for area in range(100, 1000)]
    found = values.phones(pl.Series("phone", written), "US").to_list()
    valid = [phonenumbers.is_valid_number(phonenumbers.parse(value, "US")) for value in written]
    assert [number["phone"] is not None for number in found] == valid


_MAY = date(2014, 9, 3)
_READ_ALIKE: dict[str | None, date | None] = {
    "2014-09-03": _MAY,
    "2014-9-3": _MAY,
    "2014/09/03": _MAY,
    "2014.09.03": _MAY,
    "20140903": _MAY,
    "03.09.2014": _MAY,
    "3.9.14": _MAY,
    "Sep 3, 2014": _MAY,
    "Sept. 3 2014": _MAY,
    "SEPTEMBER 3, 2014": _MAY,
    "3-Sep-2014": _MAY,
    "03-SEP-14": _MAY,
    "3 September 2014": _MAY,
    "03SEP2014": _MAY,
    "\u200e2014-\u200b09-03\u2069": _MAY,
    # A time of day, and a zone behind it.
    "2014-09-03T00:00:00.000Z": _MAY,
    "2014-09-03T00:00:00": _MAY,
    "2014-09-03 00:00:00+02:00": _MAY,
    "2014-09-03T00:00-08:00[America/Los_Angeles]": _MAY,
    "2014-09-03 00:00:00.000 +0000": _MAY,
    "Sep  3 2014 12:00AM": _MAY,
    "03.09.2014 0:00 UTC": _MAY,
    "20140903 000000": None,
    # No day, or none that somebody alive is born on.
    "09.13.2014": None,
    "2012-02-30": None,
    "2026-11-24": TODAY,
    "2026-11-25": None,
    "1916-11-24": date(1916, 11, 24),
    "1916-11-23": None,
    "0/0/0": None,
    "41885": None,
    "Sep 2014": None,
    "soon": None,
    # Written where no date was known.
    "1900-01-01": None,
    "01/01/1901": None,
    "N/A": None,
    "": None,
    None: None,
}
_IN_ORDER: dict[str, tuple[date | None, date | None]] = {
    "9/3/2014": (_MAY, date(2014, 3, 9)),
    "09-03-2014": (_MAY, date(2014, 3, 9)),
    "9/3/14": (_MAY, date(2014, 3, 9)),
    "9/3/2014 12:00:00 AM": (_MAY, date(2014, 3, 9)),
    "9/3/2014, 12:00:00\u202fa.m. PST": (_MAY, date(2014, 3, 9)),
    "5/5/2014": (date(2014, 5, 5), date(2014, 5, 5)),
    "13/01/2014": (None, date(2014, 1, 13)),
    "01/13/2014": (date(2014, 1, 13), None),
    "11/24/26": (TODAY, None),
    "11/25/26": (date(1926, 11, 25), None),
    "2/29/32": (date(1932, 2, 29), None),
    "2/29/26": (None, None),
}


@pytest.mark.parametrize("order", ["month", "day", None])
def test_a_date_of_one_spelling_only_is_read_alike_in_every_order(order: DateOrder | None) -> None:
    found = values.birth_dates(pl.Series("birth_date", list(_READ_ALIKE)), TODAY, order=order)
    assert found.dates.to_frame().schema == {"birth_date": pl.Date}
    assert dict(zip(_READ_ALIKE, found.dates, strict=True)) == _READ_ALIKE
    assert not found.is_unclear.any()
    assert not found.is_day_first


def test_slashed_and_dashed_dates_are_read_in_the_order_given_and_others_are_none() -> None:
    column = pl.Series("birth_date", list(_IN_ORDER))
    month, day = (values.birth_dates(column, TODAY, order=order) for order in ("month", "day"))
    assert dict(zip(_IN_ORDER, zip(month.dates, day.dates, strict=True), strict=True)) == _IN_ORDER
    assert not (month.is_unclear | day.is_unclear).any()
    assert (month.is_day_first, day.is_day_first) == (False, False)


_MONTH_ONLY = [f"1/{day}/2014" for day in range(13, 32)]
_DAY_ONLY = [f"{day}/1/2014" for day in range(13, 32)]


@pytest.mark.parametrize(
    ("column", "ambiguous", "is_day_first"),
    [
        (["9/3/2014"], _MAY, False),
        ([*_MONTH_ONLY], _MAY, False),
        ([*_DAY_ONLY[:3]], date(2014, 3, 9), True),
        ([*_DAY_ONLY[:2]], _MAY, False),
        # The same date in the rows of one student's guardians is one value.
        ([*_DAY_ONLY[:1] * 3], _MAY, False),
        ([*_DAY_ONLY, *_MONTH_ONLY[:1]], date(2014, 3, 9), True),
        ([*_DAY_ONLY[:18], *_MONTH_ONLY[:1]], None, False),
        ([*_DAY_ONLY[:1], *_MONTH_ONLY], _MAY, False),
        ([*_DAY_ONLY[:1], *_MONTH_ONLY[:18]], None, False),
        ([*_DAY_ONLY[:1], *_MONTH_ONLY[:1]], None, False),
        # Dates of one spelling only say nothing of the order.
        ([*_DAY_ONLY[:3], "2014-09-03", "03.09.2014", "5/5/2014", "13.01.2014"], date(2014, 3, 9), True),
    ],
)
def test_a_column_without_an_order_shows_it_by_95_percent_of_the_dates_that_have_one(
    column: list[str], ambiguous: date | None, is_day_first: bool
) -> None:
    found = values.birth_dates(pl.Series([*column, "9/3/2014"]), TODAY, order=None)
    assert (found.dates[-1], found.is_unclear[-1], found.is_day_first) == (ambiguous, ambiguous is None, is_day_first)


def test_where_the_order_is_not_clear_only_dates_that_can_be_read_in_both_are_not_read() -> None:
    column = pl.Series([*_DAY_ONLY[:1], *_MONTH_ONLY[:1], "9/3/2014", "5/5/2014", "2014-09-03", "14/14/2014", None])
    found = values.birth_dates(column, TODAY, order=None)
    assert found.dates.to_list() == [*[date(2014, 1, 13)] * 2, None, date(2014, 5, 5), _MAY, None, None]
    assert found.is_unclear.to_list() == [False, False, True, False, False, False, False]


def test_against_the_order_that_a_column_shows_a_date_is_none() -> None:
    day_first = values.birth_dates(pl.Series([*_DAY_ONLY, "1/13/2014"]), TODAY, order=None)
    assert day_first.dates.to_list() == [*(date(2014, 1, day) for day in range(13, 32)), None]
    month_first = values.birth_dates(pl.Series([*_MONTH_ONLY, "13/1/2014"]), TODAY, order=None)
    assert month_first.dates.to_list() == [*(date(2014, 1, day) for day in range(13, 32)), None]
    assert not (day_first.is_unclear | month_first.is_unclear).any()


def test_a_date_is_read_back_from_every_spelling() -> None:
    born = [TODAY - timedelta(ago) for ago in range(0, 36_500, 17)]
    spellings = ("%Y-%m-%d", "%Y%m%d", "%d.%m.%Y", "%d-%b-%Y", "%B %d, %Y", "%m/%d/%Y", "%-m-%-d-%Y 12:00:00 AM")
    column = pl.Series([day.strftime(spelling) for spelling in spellings for day in born])
    assert values.birth_dates(column, TODAY, order="month").dates.to_list() == born * len(spellings)


_GRADES: dict[str | None, str | None] = {
    **{str(number): str(number) for number in range(1, 14)},
    **{f"{number:02}": str(number) for number in range(1, 14)},
    **{f"{number}.0": str(number) for number in range(1, 14)},
    **{f"Grade {number}": str(number) for number in range(1, 14)},
    "012": "12",
    "10.00": "10",
    "1st": "1",
    "4th": "4",
    "2nd Grade": "2",
    "9th grader": "9",
    "Gr. 4": "4",
    "G4": "4",
    "4 Grade": "4",
    "Fourth Grade": "4",
    "fifth": "5",
    "Freshman": "9",
    "Sophomore": "10",
    "Junior": "11",
    "Senior": "12",
    "PostGraduate": "13",
    "PG": "13",
    # PowerSchool counts down from kindergarten.
    "0": "K",
    "00": "K",
    "0.0": "K",
    "-1": "PK",
    "-2": "PK",
    "-1.0": "PK",
    "-10": "PK",
    "\u22121": "PK",
    "K": "K",
    "KG": "K",
    "KN": "K",
    "KF": "K",
    "K5": "K",
    "Grade K": "K",
    "Kindergarten": "K",
    "TK": "TK",
    "T-K": "TK",
    "TransitionalKindergarten": "TK",
    "Transitional Kindergarten": "TK",
    "PK": "PK",
    "Pre-K": "PK",
    "Pre-K 3": "PK",
    "PreKindergarten": "PK",
    "Preschool": "PK",
    "InfantToddler": "PK",
    "Infant/toddler": "PK",
    "IT": "PK",
    "PR": "PK",
    "EC": "PK",
    "EE": "PK",
    "PK3": "PK",
    "PK4": "PK",
    "P3": "PK",
    "K3": "PK",
    "K4": "PK",
    "\u200b1\u00ad1\ufeff": "11",
    # Known, and none.
    "Ungraded": None,
    "UG": None,
    "Other": None,
    # Not known: what is no whole number, a range, or means this to one system and that to another.
    "-0": None,
    "+1": None,
    "1.5": None,
    "1-2": None,
    "1/2": None,
    "1 2": None,
    "2-": None,
    "12+": None,
    "K-5": None,
    "PK-4": None,
    "9-12": None,
    "Grade -1": None,
    "Jan-2": None,
    "14": None,
    "15": None,
    "100": None,
    "PS": None,
    "HS": None,
    "AD": None,
    "H": None,
    "Owls": None,
    "Grade": None,
    "": None,
    None: None,
}


def test_a_grade_is_known_by_what_the_systems_write() -> None:
    assert _each(values.grade(_VALUE), _GRADES) == _GRADES


def test_some_grades_say_that_there_is_none() -> None:
    expected: dict[str | None, object] = {
        **dict.fromkeys(("Ungraded", "UNGRADED", "UG", "ug", "Other", "Non-Graded", "UE", " U\u200bG "), True),
        **dict.fromkeys(("K", "12", "Owls", "NULL", "", None), False),
    }
    assert _each(values.says_no_grade(_VALUE), expected) == expected


@settings(max_examples=30, deadline=None)
@given(written=st.lists(st.text("0123456789.-+/, thgradeGk", max_size=8), min_size=1, max_size=30))
def test_a_grade_is_never_a_number_that_is_not_written_as_a_whole_one(written: list[str]) -> None:
    found = _each(values.grade(_VALUE), written)
    for value, grade in found.items():
        if value is not None and isinstance(grade, str) and grade.isdigit():
            number = value.lower().strip(" thgrade.").removesuffix(".0")
            assert set(number) <= set("0123456789.") and float(number) == int(grade), value


_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u202e\u2066\u061c\u180e\x01\x1b\x7f\x85\t"
_READABLE = (
    "ada@unified.example",
    "2125550123 x45",
    "4155552003;4155552004",
    "9/3/2014",
    "3Sep2014",
    "12",
    "PK3",
    "-1",
)


@pytest.mark.parametrize("value", _READABLE)
def test_invisible_characters_inside_change_nothing(value: str) -> None:
    places = range(len(value) + 1)
    spread = [value[:place] + character + value[place:] for place in places for character in _INVISIBLE]
    column = pl.Series("value", [value, *spread])
    read = column.to_frame().select(
        email=values.email(_VALUE),
        grade=values.grade(_VALUE),
        phone=values.phones(column, "US"),
        birth_date=values.birth_dates(column, TODAY, order="month").dates,
    )
    assert read.unique().rows() == read[:1].rows()
    assert read[:1].null_count().sum_horizontal().item() < read.width


_LISTED = ("NULL", "(null)", "N/A", "#N/A", "NA", "None", "nan", "0", "000", "-", "--", ".", "?", "TBD", "unknown")
_SPELLED = ("null", "n/a", "NaN", "NONE", "tbd", "Unknown", "\u2014", " NULL\u200b")
_NO_PLACEHOLDERS = ("0.0", "10", "G0", "O", "NULLS", "N / A", "...", "---", "", None)


def test_placeholders_are_those_listed_in_any_case_and_zeros() -> None:
    expected: dict[str | None, object] = {
        **dict.fromkeys((*_LISTED, *_SPELLED), True),
        **dict.fromkeys(_NO_PLACEHOLDERS, False),
    }
    assert _each(values.is_placeholder(_VALUE), expected) == expected


def test_a_phone_of_one_digit_only_is_a_placeholder() -> None:
    expected: dict[str | None, object] = {
        **dict.fromkeys((*_LISTED, "000-000-0000", "9999999999", "(555) 555-5555", "+1 111 111 1111", "00"), True),
        **dict.fromkeys(("5", "212-555-0123", "999-999-9998", "111x111", "", None), False),
    }
    assert _each(values.is_phone_placeholder(_VALUE), expected) == expected


def test_zeros_and_minus_one_are_grades_and_no_placeholders() -> None:
    zeros = ("0", "000")
    expected: dict[str | None, object] = {
        **dict.fromkeys((value for value in _LISTED if value not in zeros), True),
        **dict.fromkeys((*zeros, "-1", "0.0", "", None), False),
    }
    assert _each(values.is_grade_placeholder(_VALUE), expected) == expected


def test_the_first_days_of_1900_and_1901_are_placeholders_in_any_spelling() -> None:
    first_days = ("1900-01-01", "1/1/1900", "01.01.1901", "19010101", "1-Jan-1900", "1/1/1901 12:00:00 AM")
    others = ("01/01/00", "01/01/01", "1/1/1902", "1900-01-02", "2014-09-03", "", None)
    expected: dict[str | None, object] = {
        **dict.fromkeys((*_LISTED, *first_days), True),
        **dict.fromkeys(others, False),
    }
    assert _each(values.is_date_placeholder(_VALUE), expected) == expected


@pytest.mark.parametrize(
    ("first", "last", "placeholders"),
    [
        *((written, "Byrd", (True, False)) for written in ("(null)", "N/A", "#n/a", "-", "--", ".", "?", "tbd")),
        *(("Ada", written, (False, True)) for written in ("(NULL)", "n/a", "TBD")),
        *((name, "Byrd", (False, False)) for name in ("Null", "None", "Nan", "Na", "O", "Unknown", "0", "Tb", None)),
        *(("Ada", name, (False, False)) for name in ("Null", "None", "Nan", "Na", "O", "Unknown")),
        ("NULL", "null", (True, True)),
        ("Unknown", "UNKNOWN", (True, True)),
        ("unknown", "Null", (True, True)),
        ("?", "Null", (True, False)),
        (None, "Null", (False, False)),
        ("None", "None", (False, False)),
        ("N/A", "-", (True, True)),
        (None, None, (False, False)),
    ],
)
def test_a_name_is_a_placeholder_where_nobody_is_called_so_or_both_names_are(
    first: str | None, last: str | None, placeholders: tuple[bool, bool]
) -> None:
    found = values.is_name_placeholder(pl.lit(first, pl.String), pl.lit(last, pl.String))
    assert tuple(map(_one, found)) == placeholders


_DAMAGED = (
    *("Jos\ufffd", "Mu\ufffdoz", "Jos&eacute;", "O&#39;Brien", "O&#x27;Brien", "Smith &amp; Byrd", "Mu\\u00f1oz"),
    *("Zo?", "Bront?", "?mile", "Mu?oz"),
    *(name.encode().decode("windows-1252") for name in ("José", "Muñoz", "García", "O\u2019Brien", "Müller", "LÓPEZ")),
    *(name.encode().decode("latin-1") for name in ("Ángel", "João", "Łukasz", "Việt", "Иван")),
    "José".encode().decode("latin-1").encode().decode("latin-1"),
)
_WHOLE = (
    *("José", "Nuñez", "Ângela", "Łukasz", "Việt", "Nguyễn", "Đỗ", "François", "Åsa", "Øyvind", "Müller", "ÄÖÜ"),
    *(
        "HRÚŽ",
        "KRÚŽEL",
        "JOÃO",
        "Þórður",
        "Œuvre",
        "O\u2019Brien",
        "D\u2019Angelo",
        "Ka\u02bbiulani",
        "Núñez\u2019s",
        "María “Mimi”",
    ),
    *(
        "Ἀλέξανδρος",
        "Иван",
        "محمد",
        "李小龍",
        "김민준",
        "José\u2013Luis",
        "Smith & Byrd",
        "AT&T; no",
        "?",
        "Ada (?)",
        "",
        None,
    ),
)


def test_damaged_names_are_distinguished_from_names_of_all_languages() -> None:
    expected: dict[str | None, object] = {**dict.fromkeys(_DAMAGED, True), **dict.fromkeys(_WHOLE, False)}
    found = values.is_damaged(pl.Series("name", list(expected)))
    assert dict(zip(expected, found, strict=True)) == expected


@pytest.mark.parametrize(
    "alike",
    [
        ("josé luis", "  \uff2aOSÉ \t Luis ", "Jose\u0301 Lu\u200bis", "JOSÉ\u00a0LUIS"),
        ("o'brien", *(f"O{mark}Brien" for mark in "\u2019\u2018\u201b\u02bc\u02bb\u02b9\u2032`\u00b4\uff07")),
        ("ana-maría", *(f"Ana{mark}María" for mark in "\u2010\u2011\u2012\u2013—―\u2212﹣\uff0d\u2043")),
        ("strasse", "Straße", "STRASSE", "STRAẞE", "Stra\u00adße"),
        ("finn", "ﬁnn", "FINN"),
        ("οδυσσεασ", "Οδυσσεας", "ΟΔΥΣΣΕΑΣ"),
        ("ibrahim", "İbrahim", "İBRAHİM", "IBRAHIM", "\u0131brah\u0131m"),
    ],
)
def test_names_are_compared_without_case_width_and_kinds_of_marks(alike: tuple[str, ...]) -> None:
    assert set(_each(values.folded(_VALUE), alike).values()) == {alike[0]}


def test_names_that_differ_in_letters_accents_or_blanks_stay_apart() -> None:
    names = ["Jose", "José", "Jo Se", "Jo-Se", "Jo'Se", "Zoe", "Øst", "Ost", None]
    assert list(_each(values.folded(_VALUE), names).values()) == [name and name.casefold() for name in names]


def test_folding_is_unicodes_casefolding() -> None:
    # But for the marks that are folded to an apostrophe, and the Turkish i with a dot, without one, which is i.
    others = "İ\u0131\u02b9\u02bb\u02bc\u02bd\u02be\u02bf\u02c8\u02ca\u02cb\u037a"
    letters = [chr(code) for code in range(0x3000) if unicodedata.category(chr(code))[0] == "L"]
    compared = [letter for letter in letters if letter not in others]

    def casefolded(letter: str) -> str:
        folded = unicodedata.normalize("NFKC", letter).casefold()
        return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", folded).casefold())

    assert _each(values.folded(_VALUE), compared) == {letter: casefolded(letter) for letter in compared}


def test_bare_names_are_letters_and_digits_without_accents() -> None:
    expected: dict[str | None, object] = {
        "O\u2019Brien-Núñez III": "obriennuneziii",
        "Straße 2": "strasse2",
        "Việt": "viet",
        "Jose\u0301": "jose",
        "J. R.": "jr",
        "Иван": "иван",
        "李小龍": "李小龍",
        "?": None,
        "": None,
        None: None,
    }
    assert _each(values.bare(_VALUE), expected) == expected
