"""Numbers as people type them into a form, in the way their language writes them."""

from __future__ import annotations

import re
from decimal import Decimal

# Groups of three behind a comma, a dot, or a blank: the plain one, the no-break one and the two thin ones.
_WHOLE = re.compile(r"[0-9]{1,18}|[0-9]{1,3}(?:([,. \u00a0\u2009\u202f])[0-9]{3}(?:\1[0-9]{3}){0,4})")
_PERCENTAGE = re.compile(r"([0-9]{1,9}(?:[.,][0-9]{1,9})?)[ \u00a0\u2009\u202f]?%?")


def whole_number(text: str) -> int | None:
    """A whole number, with or without its digits in groups; None where the text is none."""
    found = _WHOLE.fullmatch(text.strip())
    return int(re.sub("[^0-9]", "", found[0])) if found else None


def percentage(text: str) -> Decimal | None:
    """A percentage, with a decimal comma or point, with or without its sign; None where the text is none."""
    found = _PERCENTAGE.fullmatch(text.strip())
    return Decimal(found[1].replace(",", ".")) if found else None
