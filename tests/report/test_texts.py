"""Other languages: every text of the report is in every catalogue, and the browser's language is answered in."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from babel.messages import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po

import report
from contracts.formats import FORMATS
from contracts.issues import CATALOGUE, catalogue
from report import texts
from report.rendering import environment, exact
from report.texts import language_for
from services.status.next_steps import Who, next_steps
from services.status.sync_status import LABELS, Status

REPORT = Path(report.__file__).parent
OTHERS = [language for language in texts.languages() if language != texts.ENGLISH]


@pytest.fixture(scope="module")
def extracted() -> set[str | tuple[str, ...]]:
    """Every text that templates and code give to be translated."""
    with (REPORT / "babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)  # type: ignore[no-untyped-call]
    found = extract_from_dir(REPORT, methods, options, keywords={**DEFAULT_KEYWORDS, "marked": None})
    return {message for _, _, message, _, _ in found}


def messages(language: str) -> Catalog:
    with (texts.FOLDER / f"{language}.po").open("rb") as file:
        return read_po(file, locale=language)


def test_spanish_is_one_of_the_languages() -> None:
    assert texts.languages() == ("en", "es")


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_is_translated_and_no_other(language: str, extracted: set[str | tuple[str, ...]]) -> None:
    translated = {message.id for message in messages(language) if message.id and not message.fuzzy}
    assert translated == extracted


@pytest.mark.parametrize("language", OTHERS)
def test_no_translation_is_empty_or_has_other_placeholders(language: str) -> None:
    found = messages(language)
    wrong = []
    for message in found:
        strings = message.string if isinstance(message.string, (tuple, list)) else (message.string,)
        if message.id and (not all(strings) or message.check(found)):
            wrong.append(message.id)
    assert wrong == []


def test_what_pages_take_from_elsewhere_is_translated_too(extracted: set[str | tuple[str, ...]]) -> None:
    steps = [step for form in FORMATS for step in next_steps(Status.ON_HOLD, reasons=CATALOGUE, form=form)]
    entries = [entry for form in FORMATS for entry in catalogue(form).values()]
    of_issues = {text for entry in entries for text in (entry.title, entry.meaning, entry.remedy)}
    assert {step.how for step in steps} | of_issues | set(Who) | set(LABELS.values()) - {""} <= extracted


@pytest.mark.parametrize(
    ("language", "text", "said"),
    [
        ("en", "No data for 90 days", "No data for 90 days"),
        ("es", "No data for 90 days", "Sin datos durante 90 días"),
        ("es", "100% of <b>", "100% of &lt;b&gt;"),
        ("es", "", ""),
    ],
)
def test_a_text_from_elsewhere_without_a_translation_is_shown_as_it_is(language: str, text: str, said: str) -> None:
    assert environment(language).from_string("{{ text|translated }}").render(text=text) == said


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("es-MX,es;q=0.9,en;q=0.5", "es"),
        ("en-US,en;q=0.9,es;q=0.5", "en"),
        ("fr, es;q=0.2", "es"),
        ("de", "en"),
        ("", "en"),
        ("xx;;q=oops", "en"),
    ],
)
def test_a_browsers_language_is_answered_in(accepted: str, language: str) -> None:
    assert language_for(accepted) == language


@pytest.mark.parametrize(
    ("language", "number", "said"),
    [
        ("en", 1, "1 result"),
        ("en", 1_234, "1,234 results"),
        ("es", 1, "1 resultado"),
        ("es", 2, "2 resultados"),
        ("es", 1_000_000, "1.000.000 resultados"),
    ],
)
def test_plurals_and_groups_of_digits_are_the_languages(language: str, number: int, said: str) -> None:
    template = '{{ ngettext("%(num)s result", "%(num)s results", n) }}'
    assert environment(language).from_string(template).render(n=number) == said


@pytest.mark.parametrize(
    ("language", "said"), [("en", "Nov 30, 2026, 5:07 AM PST"), ("es", "30 nov 2026, 5:07 a. m. PST")]
)
def test_times_are_written_as_the_language_does(language: str, said: str) -> None:
    moment = datetime(2026, 11, 30, 13, 7, tzinfo=UTC)
    assert exact(moment, ZoneInfo("America/Los_Angeles"), language) == said
