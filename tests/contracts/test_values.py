from datetime import date

import phonenumbers
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import values
from tests.contracts.district import TODAY


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
        ("", None),
        (None, None),
    ],
)
def test_an_email_is_lowered_and_has_one_at_a_dotted_domain_and_no_blanks(came: str | None, good: str | None) -> None:
    assert _one(values.email(pl.lit(came, pl.String))) == good


@pytest.mark.parametrize(
    ("came", "phone", "extension"),
    [
        ("(212) 555-0123", "+12125550123", None),
        ("212.555.0123", "+12125550123", None),
        ("+1 212 555 0123", "+12125550123", None),
        ("1-212-555-0123 x45", "+12125550123", "45"),
        ("2125550123 ext. 7", "+12125550123", "7"),
        ("+44 20 7946 0018", "+442079460018", None),
        ("123-456-7890", None, None),
        ("555-0123", None, None),
        ("555-555-5555", None, None),
        ("unlisted", None, None),
        (None, None, None),
    ],
)
def test_a_phone_becomes_e164_with_its_extension_apart(
    came: str | None, phone: str | None, extension: str | None
) -> None:
    found = values.phones(pl.Series("phone", [came], dtype=pl.String), "US").to_list()
    assert found == [{"phone": phone, "phone_extension": extension}]


def test_a_phone_without_country_code_belongs_to_the_region() -> None:
    found = values.phones(pl.Series("phone", ["020 7946 0018", "2125550123"]), "GB").to_list()
    assert [number["phone"] for number in found] == ["+442079460018", None]


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


@pytest.mark.parametrize(
    ("came", "good"),
    [
        ("2014-09-03", date(2014, 9, 3)),
        ("2014-9-3", date(2014, 9, 3)),
        ("2014/09/03", date(2014, 9, 3)),
        ("20140903", date(2014, 9, 3)),
        ("09/03/2014", date(2014, 9, 3)),
        ("9/3/2014", date(2014, 9, 3)),
        ("9-3-14", date(2014, 9, 3)),
        ("2014-09-03T00:00:00.000Z", date(2014, 9, 3)),
        ("9/3/2014 0:00", date(2014, 9, 3)),
        ("11/24/26", TODAY),
        ("11/25/26", date(1926, 11, 25)),
        ("2/29/32", date(1932, 2, 29)),
        ("2/29/26", None),
        ("2012-02-30", None),
        ("13/01/2014", None),
        ("2026-11-25", None),
        ("1899-12-31", None),
        ("1900-01-01", date(1900, 1, 1)),
        ("soon", None),
        (None, None),
    ],
)
def test_a_birth_date_is_iso_or_american_and_a_short_year_the_latest_not_in_the_future(
    came: str | None, good: date | None
) -> None:
    assert _one(values.birth_date(pl.lit(came, pl.String), TODAY)) == good


@pytest.mark.parametrize(
    ("came", "good"),
    [
        *((str(number), str(number)) for number in range(1, 14)),
        ("01", "1"),
        ("1st", "1"),
        ("2nd Grade", "2"),
        ("Grade 12", "12"),
        ("fifth", "5"),
        ("K", "K"),
        ("KG", "K"),
        ("0", "K"),
        ("Kindergarten", "K"),
        ("TK", "TK"),
        ("TransitionalKindergarten", "TK"),
        ("Pre-K", "PK"),
        ("PreKindergarten", "PK"),
        ("Preschool", "PK"),
        ("PostGraduate", "13"),
        ("14", None),
        ("Owls", None),
        (None, None),
    ],
)
def test_a_grade_is_known_by_its_usual_names(came: str | None, good: str | None) -> None:
    assert _one(values.grade(pl.lit(came, pl.String))) == good


def test_names_are_compared_without_case_width_and_blanks() -> None:
    assert _one(values.folded(pl.lit("  \uff2aOSÉ \t Luis "))) == "josé luis"
