"""Chance that repeats: draws that depend on a seed, a stream's name and a key, and on nothing else.

Polars' own hashes and samples may change with its version; these stay, so that a district made from a seed is the
same one next year. No roster data here.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import polars as pl

_STEP = 0x9E3779B97F4A7C15
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB
_WORD = 2**64


def draw(seed: int, stream: str, keys: pl.Series) -> pl.Series:
    """One UInt64 for each key (any integers), spread evenly over all 64 bits (the finaliser of SplitMix64)."""
    start = (seed * _FIRST + zlib.crc32(stream.encode()) * _SECOND) % _WORD
    mixed = keys.cast(pl.UInt64) * _STEP + start
    mixed = (mixed ^ (mixed // 2**30)) * _FIRST
    mixed = (mixed ^ (mixed // 2**27)) * _SECOND
    return (mixed ^ (mixed // 2**31)).alias(stream)


def below(seed: int, stream: str, keys: pl.Series, limit: int | pl.Series) -> pl.Series:
    """One UInt32 for each key, from 0 up to but not including the limit (or each key's own limit, UInt64)."""
    return ((draw(seed, stream, keys) // 2**32) % limit).cast(pl.UInt32)


def chance(seed: int, stream: str, keys: pl.Series, percent: int) -> pl.Series:
    """True for about so many of a hundred keys."""
    return below(seed, stream, keys, 10_000) < percent * 100


def choose(seed: int, stream: str, keys: pl.Series, options: Sequence[str]) -> pl.Series:
    """One of the options (String) for each key."""
    return pl.Series(stream, options, dtype=pl.String).gather(below(seed, stream, keys, len(options)))


def some(seed: int, stream: str, keys: pl.Series, count: int) -> pl.Series:
    """So many of the keys, at random, in the order of the draw. Fewer where there are fewer."""
    order = pl.DataFrame({"key": keys, "draw": draw(seed, stream, keys)})
    return order.sort("draw", "key").head(count)["key"]
