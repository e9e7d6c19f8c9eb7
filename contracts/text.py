"""Text as people type and read it: what is cleaned off the values they give, and how numbers of things are said."""

from __future__ import annotations


def count(number: int, thing: str, things: str | None = None) -> str:
    """A number of things in words: ``1 record``, ``2 records``; `things` is the plural where it takes more than an s.

    Numbers of four digits and more are parted by commas.
    """
    return f"{number:,} {thing if number == 1 else things or f'{thing}s'}"
