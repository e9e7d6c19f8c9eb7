"""The issue catalogue: complete, in plain words, and joined to issues as it stands."""

from __future__ import annotations

import re

import polars as pl
import pytest

from contracts.formats import FORMATS
from contracts.issues import CATALOGUE, Entry, Severity, catalogue, message, with_catalogue

FILE_ERRORS = (
    "file_missing file_duplicate file_empty file_unreadable zip_damaged zip_encrypted "
    "zip_too_large zip_path_invalid encoding_invalid separator_invalid header_missing "
    "column_missing column_duplicate columns_invalid quotes_invalid line_break_in_cell nul_character id_missing"
)
ERRORS = (
    "teacher_email_missing teacher_email_invalid teacher_email_taken name_missing guardian_unreachable id_shared "
    "school_unknown class_name_missing class_teacher_unknown class_in_two_schools enrollment_class_unknown "
    "enrollment_student_unknown"
)
ALERTS = (
    "record_not_shared email_shared duplicate_conflict duplicate_row student_unreachable student_without_guardian "
    "email_invalid email_taken phone_invalid birth_date_invalid birth_date_missing grade_unknown student_without_class "
    "class_without_students teacher_without_class co_teacher_unknown class_teacher_other_school "
    "enrollment_school_mismatch enrollment_student_other_school class_name_too_long class_name_duplicate "
    "guardian_names_differ guardian_id_shared school_name_too_long school_name_missing invisible_character "
    "name_damaged placeholder_value date_order_unclear enrollment_ambiguous former_school_unknown school_empty"
)
HOLDS = (
    "data_removals school_missing unusual_changes too_many_guardians emergency_contacts disconnected file_errors "
    "failed_run stale"
)

CSV, CLEVER = "csv-1.0", "clever-3"
ENTRIES = list(catalogue(CSV).values())
EVERY_ENTRY = [pytest.param(entry, id=f"{form}-{code}") for form in FORMATS for code, entry in catalogue(form).items()]
OF_CLEVER = [
    entry
    for entry in catalogue(CLEVER).values()
    if entry.severity != Severity.FILE_ERROR and entry.code != "file_errors"
]


def test_the_catalogue_holds_every_code_with_its_severity() -> None:
    assert {code: entry.severity for code, entry in CATALOGUE.items()} == {
        **dict.fromkeys(FILE_ERRORS.split(), Severity.FILE_ERROR),
        **dict.fromkeys(ERRORS.split(), Severity.ERROR),
        **dict.fromkeys(ALERTS.split(), Severity.ALERT),
        **dict.fromkeys(HOLDS.split(), Severity.HOLD),
    }


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.code)
def test_an_entry_is_filed_under_its_own_code(entry: Entry) -> None:
    assert catalogue(CSV)[entry.code] is entry


@pytest.mark.parametrize("entry", EVERY_ENTRY)
def test_texts_are_whole_sentences_without_stray_blanks(entry: Entry) -> None:
    assert re.fullmatch(r"[A-Z].*[a-zA-Z0-9]", entry.title)
    for text in (entry.meaning, entry.remedy):
        assert re.fullmatch(r"\S.*[.]", text)
        assert "  " not in text
        assert not re.search(r"[{}|<>]| [,.;:]", text)
        assert not re.search(r"[a-z][.][A-Z]", text)


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.code != "failed_run"], ids=lambda entry: entry.code)
def test_a_remedy_is_one_in_the_sis_and_the_complete_set_is_sent_again(entry: Entry) -> None:
    assert re.search(r"\bSIS\b|\bexport\b", entry.remedy)
    assert re.search(r"send the complete set of files again", entry.remedy)


@pytest.mark.parametrize("entry", OF_CLEVER, ids=lambda entry: entry.code)
def test_clevers_words_send_nobody_to_a_file(entry: Entry) -> None:
    text = f"{entry.title} {entry.meaning} {entry.remedy}"
    columns = {column.name for file in FORMATS["csv-1.0"].files for column in file.columns if "_" in column.name}
    assert not re.search(r"(?i)\bcsv\b(?! of removals)|\bcolumns?\b|\bfiles?\b|\brows?\b|\bexport\b|\w_\w", text)
    assert not any(column in text for column in columns)
    if entry.code != "failed_run":
        assert "in your SIS or in Clever" in entry.remedy
        assert entry.remedy.endswith(" The next nightly sync picks it up, or check for new Clever data.")


def test_what_ends_a_broken_connection_is_named_for_both_kinds() -> None:
    for form in FORMATS:
        assert "choose I fixed it," in catalogue(form)["disconnected"].remedy
    assert "drop folder" in catalogue(CSV)["disconnected"].remedy
    for needed in ("still authorized for the district", "the schools are shared"):
        assert needed in catalogue(CLEVER)["disconnected"].remedy


def test_the_catalogues_differ_in_words_only() -> None:
    def without_words(form: str) -> list[tuple[str, str]]:
        return [(entry.code, entry.severity) for entry in catalogue(form).values()]

    assert {code: entry.severity for code, entry in CATALOGUE.items()} == {
        code: entry.severity for code, entry in catalogue(CSV).items()
    }
    assert without_words(CLEVER) == without_words(CSV)
    assert {code for code in CATALOGUE if catalogue(CSV)[code] == catalogue(CLEVER)[code]} == {
        *FILE_ERRORS.split(),
        "file_errors",
        "failed_run",
    }
    with pytest.raises(KeyError):
        catalogue("carrier pigeon")


@pytest.mark.parametrize("entry", EVERY_ENTRY)
def test_texts_avoid_words_of_the_trade(entry: Entry) -> None:
    jargon = r"(?i)\b(null value|delimiter-separated|parse|schema|bytes?|regex|header|entity|provision\w*|dataframe)\b"
    assert not re.search(jargon, f"{entry.title} {entry.meaning} {entry.remedy}")


@pytest.mark.parametrize("form", list(FORMATS))
def test_titles_tell_entries_apart(form: str) -> None:
    assert len({entry.title for entry in catalogue(form).values()}) == len(ENTRIES)


def test_message_is_the_title_and_the_detail_if_any() -> None:
    assert message("id_missing", "column teacher_id") == "An ID is missing: column teacher_id."
    assert message("id_missing", None) == "An ID is missing."
    assert message("id_missing") == "An ID is missing."
    assert message("stale", form=CLEVER) == "No data for 90 days."
    assert message("duplicate_conflict", "email", CLEVER) == "Records of the same person say different things: email."


def test_message_refuses_an_unknown_code() -> None:
    with pytest.raises(KeyError):
        message("no_such_code", None)


def test_with_catalogue_adds_severity_and_message_in_the_order_of_the_issues() -> None:
    issues = pl.DataFrame(
        {
            "code": ["phone_invalid", "id_shared", "phone_invalid", "stale"],
            "detail": [None, "2 rows", "", None],
            "line": [4, 2, 3, None],
        },
        schema_overrides={"line": pl.UInt32},
    )

    assert with_catalogue(issues).to_dicts() == [
        {
            "code": "phone_invalid",
            "detail": None,
            "line": 4,
            "severity": "alert",
            "message": "Phone number is not valid.",
        },
        {
            "code": "id_shared",
            "detail": "2 rows",
            "line": 2,
            "severity": "error",
            "message": "Two people have the same ID: 2 rows.",
        },
        {
            "code": "phone_invalid",
            "detail": "",
            "line": 3,
            "severity": "alert",
            "message": "Phone number is not valid.",
        },
        {"code": "stale", "detail": None, "line": None, "severity": "hold", "message": "No files for 90 days."},
    ]


def test_with_catalogue_agrees_with_message_for_every_code() -> None:
    issues = pl.DataFrame({"code": list(CATALOGUE), "detail": "column phone"})

    assert with_catalogue(issues)["message"].to_list() == [message(code, "column phone") for code in CATALOGUE]


def test_with_catalogue_speaks_the_words_of_the_one_format_or_of_each_issues() -> None:
    found = pl.DataFrame({"code": ["stale", "school_unknown", "stale"], "detail": None, "format": [CLEVER, CSV, CSV]})

    mixed = with_catalogue(found, pl.col("format"))["message"].to_list()
    assert mixed == ["No data for 90 days.", "School is not in schools.csv.", "No files for 90 days."]
    of_clever = with_catalogue(found, CLEVER)["message"].to_list()
    assert of_clever == ["No data for 90 days.", "Record without a school.", "No data for 90 days."]


def test_with_catalogue_of_no_issues_has_the_columns() -> None:
    issues = pl.DataFrame(schema={"code": pl.String, "detail": pl.String})

    assert dict(with_catalogue(issues).schema) == dict.fromkeys(("code", "detail", "severity", "message"), pl.String)


def test_with_catalogue_refuses_an_unknown_code() -> None:
    with pytest.raises(KeyError, match="no_such_code"):
        with_catalogue(pl.DataFrame({"code": ["no_such_code"], "detail": [None]}))
