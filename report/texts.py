"""The report's words in other languages: one catalogue a language, report/locale/LANGUAGE.po; English is in the pages.

A catalogue is read as it is, so that a new language is one file and no build step.
"""

from __future__ import annotations

import gettext
import io
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from babel import Locale, UnknownLocaleError, negotiate_locale
from babel.messages import mofile, pofile

from contracts.formats import FORMATS
from contracts.issues import catalogue
from services.status.next_steps import Who, every_step
from services.status.sync_status import LABELS

FOLDER = Path(__file__).parent / "locale"
ENGLISH = "en"


def marked(text: str) -> str:
    """The text as it is. Marks one that a page translates later, so that the catalogues have it."""
    return text


def taken() -> list[str]:
    """The texts that pages take from contracts and services: they know no languages, so that they mark none."""
    entries = [entry for form in FORMATS for entry in catalogue(form).values()]
    texts = [
        *LABELS.values(),
        *Who,
        *(step.how for step in every_step()),
        *(text for entry in entries for text in (entry.title, entry.meaning, entry.remedy)),
    ]
    return [str(text) for text in dict.fromkeys(texts) if text]


def extracted(*_: object, **__: object) -> Iterator[tuple[int, None, str, list[str]]]:
    """The same for Babel, which reads it in place of this file: see babel.cfg."""
    return ((0, None, text, []) for text in taken())


@cache
def languages() -> tuple[str, ...]:
    """The languages there are, English first."""
    return (ENGLISH, *sorted(file.stem for file in FOLDER.glob("*.po")))


@cache
def translations(language: str) -> gettext.NullTranslations:
    """The translations into a language; into English none are needed."""
    if language == ENGLISH:
        return gettext.NullTranslations()
    with (FOLDER / f"{language}.po").open("rb") as file:
        messages = pofile.read_po(file, locale=language)
    compiled = io.BytesIO()
    mofile.write_mo(compiled, messages)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def translated(text: str, language: str) -> str:
    """A text from elsewhere in a language, as it is where there is no translation of it."""
    # A catalogue keeps what it says of itself under the empty text.
    return translations(language).gettext(text) if text else text


def language_for(accepted: str) -> str:
    """The language to answer in, by a browser's Accept-Language."""
    wanted: list[tuple[float, int, str]] = []
    for each in accepted.split(","):
        tag, _, quality = each.strip().partition(";q=")
        try:
            wanted.append((-float(quality or 1), len(wanted), str(Locale.parse(tag.strip(), sep="-"))))
        except (ValueError, UnknownLocaleError):
            continue
    preferred = [tag for _, _, tag in sorted(wanted)]
    return negotiate_locale(preferred, languages()) or ENGLISH
