"""How pages are made: the templates' environment, and how times, numbers and statuses are written in them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_datetime, format_skeleton, format_time, format_timedelta
from babel.numbers import format_decimal
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context, select_autoescape
from jinja2.runtime import Context

from report.texts import translated, translations
from services.status.sync_status import LABELS, Status

TEMPLATES, STATIC = Path(__file__).parent / "templates", Path(__file__).parent / "static"

# By status: the name of its icon in templates/icons.html.
ICONS = {
    Status.CONNECTED: "check",
    Status.ON_HOLD: "hand",
    Status.PAUSED: "pause",
    Status.PROCESSING: "sync",
    Status.SETUP_SYNC: "plug",
    None: "minus",
}


@cache
def environment(language: str) -> Environment:
    """The templates' environment in a language. Everything is escaped; a name that is missing is an error."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
    )
    made.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined]
    made.filters |= {
        "number": lambda value: _number(value, language),
        "exact": lambda moment, zone: exact(moment, zone, language),
        "ago": lambda moment, now: ago(moment, now, language),
        "hour": lambda moment, zone: format_time(moment.astimezone(zone), "short", locale=language).replace(
            "\u202f", " "
        ),
        "weekday": lambda moment, zone: format_datetime(moment.astimezone(zone), "EEEE", locale=language),
        "day": lambda moment, zone: format_skeleton("MMMd", moment.astimezone(zone), locale=language),
        "translated": lambda text: translated(text, language),
        "label": lambda status: LABELS[status],
        "icon_of": lambda status: ICONS[status],
    }
    made.globals |= {"asset": asset, "Status": Status, "ngettext": _with_groups(made.globals["ngettext"], language)}
    return made


def _with_groups(ngettext: Any, language: str) -> Callable[..., str]:
    """What writes texts that count, with the digits of `num` in groups, as the language writes them."""

    @pass_context
    def counted(context: Context, one: str, several: str, number: int, **values: Any) -> str:
        text: str = ngettext(context, one, several, number, **{"num": _number(number, language)} | values)
        return text

    return counted


# The same numbers and moments are written many times, in the rows of a page and for one reader after the other.
@lru_cache(maxsize=20_000)
def _number(value: int, language: str) -> str:
    return format_decimal(value, locale=language)


@lru_cache(maxsize=20_000)
def exact(moment: datetime, zone: ZoneInfo, language: str = "en") -> str:
    """A moment in a district's own time: Nov 30, 2026, 5:10 AM PST."""
    local = moment.astimezone(zone)
    date, time = format_skeleton("yMMMd", local, locale=language), format_skeleton("hm", local, locale=language)
    return f"{date}, {time} {local:%Z}".replace("\u202f", " ").replace("\u00a0", " ")


def ago(moment: datetime, now: datetime, language: str = "en") -> str:
    """How long ago a moment was, or how long until it comes, in words: 3 hours ago, in 2 days."""
    apart = moment - now
    if abs(apart) < timedelta(seconds=10):
        return translations(language).gettext("just now")
    return _in_words(round(apart.total_seconds()), language)


@lru_cache(maxsize=20_000)
def _in_words(seconds: int, language: str) -> str:
    return format_timedelta(timedelta(seconds=seconds), add_direction=True, threshold=1.2, locale=language)


@cache
def asset(name: str) -> str:
    """The address of a file of report/static, which changes with its content, so that browsers may keep it."""
    content = (STATIC / name).read_bytes()
    return f"/static/{name}?v={hashlib.sha256(content).hexdigest()[:12]}"


@dataclass(frozen=True)
class Line:
    """A line to draw as a small chart: points as SVG coordinates in a box of the given size, and what it says.

    marks: places that stand out.
    """

    points: str
    width: int
    height: int
    last: tuple[float, float] | None
    marks: tuple[tuple[float, float], ...] = ()


def sparkline(
    values: Sequence[float | None], *, marked: Collection[int] = (), width: int = 84, height: int = 22
) -> Line:
    """The line of a small chart through these values, oldest first; a None is passed over.

    marked: which stand out; one without a value stands at the height of the one before.
    """
    known = [(number, value) for number, value in enumerate(values) if value is not None]
    low, high = min((value for _, value in known), default=0), max((value for _, value in known), default=0)
    step = (width - 6) / max(len(values) - 1, 1)
    span = (high - low) or 1.0

    def place(number: int, value: float) -> tuple[float, float]:
        level = 0.5 if high == low else (value - low) / span
        return round(3 + number * step, 1), round(height - 3 - level * (height - 6), 1)

    points, marks = [place(number, value) for number, value in known], []
    level = known[0][1] if known else 0
    for number, value in enumerate(values):
        level = level if value is None else value
        if number in marked:
            marks.append(place(number, level))
    line = " ".join(f"{x},{y}" for x, y in points)
    return Line(line, width, height, points[-1] if points else None, tuple(marks))


def rendered(language: str, template: str, values: dict[str, Any], block: str | None) -> str:
    """A page, or one block of it."""
    made = environment(language).get_template(template)
    if block is None:
        return made.render(values)
    context = made.new_context(values)
    # What the template, and those it extends, import and set before their first text is there for the block too.
    next(made.root_render_func(context), None)
    return "".join(context.blocks[block][0](context))
