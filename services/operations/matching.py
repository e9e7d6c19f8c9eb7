"""Which school of a source is which of ours: proposals by number and name, for somebody to confirm.

Rule: one of theirs is proposed for one of ours at most. Names are compared without case, accents and punctuation, and
with common words in one spelling; a middle school is never proposed for a high school. Where two fit equally well,
nothing is proposed.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum

from services.intake.adapters import SourceSchool

ALIKE = 0.85
_SAID_OTHERWISE = {
    "hs": "high",
    "ms": "middle",
    "jhs": "junior",
    "es": "elementary",
    "el": "elementary",
    "elem": "elementary",
    "jr": "junior",
    "sr": "senior",
    "mt": "mount",
    "st": "saint",
    "ft": "fort",
    "acad": "academy",
}
_SAYS_NOTHING = {"school", "schools", "the", "of", "and", "at", "for", "public", "sch"}
_LEVELS = {"high", "middle", "elementary", "junior", "primary", "preschool", "kindergarten", "intermediate", "academy"}


class Why(StrEnum):
    """What a proposal rests on."""

    NUMBER = "number"
    NAME = "name"
    SIMILAR = "similar"


@dataclass(frozen=True)
class Proposal:
    """A school of the source that may be one of ours."""

    external_id: str
    why: Why


@dataclass(frozen=True)
class Ours:
    """A school as it is set up. number: what it was numbered by so far, where that is known."""

    id: str
    name: str
    number: str | None = None


def propose(ours: Sequence[Ours], theirs: Sequence[SourceSchool]) -> dict[str, Proposal]:
    """By our ID, which of theirs each school may be; schools that nothing fits are left out."""
    found: dict[str, Proposal] = {}
    left, free = list(ours), list(theirs)
    for why, keys_of_ours, keys_of_theirs in (
        (Why.NUMBER, lambda each: [each.number], lambda each: [each.external_id, each.number]),
        (Why.NAME, lambda each: [words(each.name)], lambda each: [words(each.name)]),
    ):
        pairs = _unique_pairs(
            {each.id: keys_of_ours(each) for each in left}, {each.external_id: keys_of_theirs(each) for each in free}
        )
        found |= {our: Proposal(their, why) for our, their in pairs.items()}
        left = [each for each in left if each.id not in pairs]
        free = [each for each in free if each.external_id not in pairs.values()]
    similar = _similar(left, free)
    return found | {our: Proposal(their, Why.SIMILAR) for our, their in similar.items()}


def words(name: str) -> tuple[str, ...]:
    """The words by which names are compared, sorted."""
    plain = unicodedata.normalize("NFKD", name.casefold())
    letters = "".join(letter for letter in plain if not unicodedata.combining(letter)).replace("'", "")
    found = (_SAID_OTHERWISE.get(word, word) for word in re.findall(r"\w+", letters))
    return tuple(sorted({word for word in found if word not in _SAYS_NOTHING}))


def _unique_pairs(ours: Mapping[str, Iterable[object]], theirs: Mapping[str, Iterable[object]]) -> dict[str, str]:
    """Those that share a key that nobody else on either side has."""

    def by_key(schools: Mapping[str, Iterable[object]]) -> dict[object, list[str]]:
        found: dict[object, list[str]] = defaultdict(list)
        for school, keys in schools.items():
            for key in {key for key in keys if key}:
                found[key].append(school)
        return found

    of_theirs = by_key(theirs)
    pairs = {
        schools[0]: of_theirs[key][0]
        for key, schools in by_key(ours).items()
        if len(schools) == 1 and len(of_theirs.get(key, ())) == 1
    }
    often = Counter(pairs.values())
    return {our: their for our, their in pairs.items() if often[their] == 1}


def _similar(ours: Sequence[Ours], theirs: Sequence[SourceSchool]) -> dict[str, str]:
    """The pairs most alike, of those with a word that begins alike and is no level, so that not all are compared."""
    by_start: dict[str, list[SourceSchool]] = defaultdict(list)
    for their in theirs:
        for start in _starts(words(their.name)):
            by_start[start].append(their)
    scores: list[tuple[float, str, str]] = []
    for our in ours:
        mine = words(our.name)
        candidates = {each.external_id: each for start in _starts(mine) for each in by_start.get(start, ())}
        for their in candidates.values():
            score = _likeness(mine, words(their.name))
            if score >= ALIKE:
                scores.append((score, our.id, their.external_id))
    best: dict[str, float] = {}
    for score, our_id, their_id in scores:
        for each in (our_id, f"/{their_id}"):
            best[each] = max(best.get(each, 0), score)
    sure = Counter(
        each for score, our_id, their_id in scores for each in (our_id, f"/{their_id}") if score == best[each]
    )
    return {
        our_id: their_id
        for score, our_id, their_id in scores
        if score == best[our_id] == best[f"/{their_id}"] and sure[our_id] == sure[f"/{their_id}"] == 1
    }


def _starts(name: Iterable[str]) -> set[str]:
    return {word[:2] for word in name if word not in _LEVELS}


def _likeness(mine: tuple[str, ...], yours: tuple[str, ...]) -> float:
    my_levels, your_levels = _LEVELS.intersection(mine), _LEVELS.intersection(yours)
    if my_levels and your_levels and my_levels != your_levels:
        return 0.0
    if not my_levels or not your_levels:
        mine, yours = (tuple(word for word in each if word not in _LEVELS) for each in (mine, yours))
    return SequenceMatcher(None, " ".join(mine), " ".join(yours), autojunk=False).ratio()
