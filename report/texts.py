"""The report's words in other languages: one catalogue a language, report/locale/LANGUAGE.po; English is in the pages.

A catalogue is read as it is, so that a new language is one file and no build step.
"""

from __future__ import annotations

import gettext
import io
from functools import cache
from pathlib import Path

from babel import Locale, UnknownLocaleError, negotiate_locale
from babel.messages import mofile, pofile

FOLDER = Path(__file__).parent / "locale"
ENGLISH = "en"


def marked(text: str) -> str:
    """The text as it is. Marks one that a page translates later, so that the catalogues have it."""
    return text


# What pages take from services, by `services.status.sync_status.LABELS`.
STATUS_LABELS = (
    marked("Connected"),
    marked("On hold"),
    marked("Paused"),
    marked("Processing"),
    marked("Setup sync"),
)


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
        catalogue = pofile.read_po(file, locale=language)
    compiled = io.BytesIO()
    mofile.write_mo(compiled, catalogue)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


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
