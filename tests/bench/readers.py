"""People who read the report again and again, in a process of their own, and look whether every answer is right.

An answer is right if it is whole, and if what it shows of a school was true of it at one time: before the night, or
after. While the database is away, only the page that asks to try again is.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

HTML = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
JSON = {"Accept": "application/json"}
FOLLOWING = {**HTML, "HX-Request": "true"}
FIGURES = ("teachers", "students", "errors", "alerts")
BUSY = "The report is busy"

# What may be shown of each school, by its ID: its FIGURES at one time or another.
States = Mapping[str, frozenset[tuple[int, ...]]]


@dataclass(frozen=True)
class Seen:
    """One answer: of which page, when it was asked for, how long the reader waited, and what is wrong with it.

    at, taken: seconds, of the machine's monotonic clock. status: 0 where there was no answer.
    """

    page: str
    status: int
    at: float
    taken: float
    wrong: str = ""


@dataclass(frozen=True)
class Page:
    """A page, its address, how it is asked for, and what finds out what is wrong with its text."""

    path: str
    headers: Mapping[str, str]
    wrong: Callable[[str, str, States], str]
    is_audited: bool = False


def _district_data(text: str, _school: str, states: States) -> str:
    data = json.loads(text)
    rows = {row["school"]: tuple(row[name] for name in FIGURES) for row in data["schools"]}
    if rows.keys() != states.keys():
        return "other schools"
    if any(rows[school] not in states[school] for school in rows):
        return "figures of a school that it never had"
    unplaced = {
        severity: sum(each["count"] for each in data["no_known_school"] if each["severity"] == severity[:-1])
        for severity in ("errors", "alerts")
    }
    for name, column in zip(FIGURES, zip(*rows.values(), strict=True), strict=True):
        if data["totals"][name] != sum(column) + unplaced.get(name, 0):
            return "a total that is not the sum of its rows"
    return "" if sum(data["statuses"].values()) == len(rows) else "statuses of more or fewer schools"


def _district_page(text: str, _school: str, states: States) -> str:
    if not text.rstrip().endswith("</html>"):
        return "half a page"
    return _district_rows(text, _school, states)


def _district_rows(text: str, _school: str, states: States) -> str:
    rows = re.findall(r'<tr id="(\w+)" .*?</tr>', text, re.S)
    shown = re.findall(r'<td class="n" data-label="\w+">([\d,]+)</td>', text)
    figures = [_numbers(shown[at : at + len(FIGURES)]) for at in range(0, len(shown), len(FIGURES))]
    if len(rows) != min(len(states), 100):
        return "too few rows"
    known = [found in states[f"unified/{key}"] for key, found in zip(rows, figures, strict=True)]
    return "" if all(known) else "figures of a school that it never had"


def _school_data(text: str, school: str, states: States) -> str:
    data = json.loads(text)
    is_known = tuple(data[name] for name in FIGURES) in states[school]
    return "" if is_known else "figures of a school that it never had"


def _school_page(text: str, school: str, states: States) -> str:
    if not text.rstrip().endswith("</html>"):
        return "half a page"
    shown = re.findall(r'<span class="figure-number[^"]*">([\d,]+)<', text)
    return "" if _numbers(shown[: len(FIGURES)]) in states[school] else "figures of a school that it never had"


def _some_part(text: str, _school: str, _states: States) -> str:
    return "" if text.strip() else "nothing"


def _whole_page(text: str, _school: str, _states: States) -> str:
    return "" if text.rstrip().endswith("</html>") else "half a page"


def _numbers(shown: Sequence[str]) -> tuple[int, ...]:
    return tuple(int(number.replace(",", "")) for number in shown)


PAGES = {
    "district": Page("/districts/unified", HTML, _district_page),
    "district, JSON": Page("/districts/unified", JSON, _district_data),
    "district, followed": Page("/districts/unified", FOLLOWING, _district_rows),
    "school": Page("/schools/{school}", HTML, _school_page, is_audited=True),
    "school, JSON": Page("/schools/{school}", JSON, _school_data, is_audited=True),
    "school, followed": Page("/schools/{school}/live?seen=", FOLLOWING, _some_part),
    "people": Page("/schools/{school}/people?q=mar", HTML, _whole_page, is_audited=True),
}


def _wrong(page: Page, answer: httpx.Response, school: str, states: States) -> str:
    """What is wrong with an answer; empty if nothing is."""
    text = answer.text
    if answer.status_code == 200:
        return page.wrong(text, school, states)
    if answer.status_code != 503:
        return f"status {answer.status_code}"
    if page.headers is FOLLOWING:
        return "" if not text else "busy, and more"
    if page.headers is JSON:
        return "" if json.loads(text) == {"error": BUSY} else "busy, in other words"
    is_whole = BUSY in text and text.rstrip().endswith("</html>") and "Traceback" not in text
    return "" if is_whole else "busy, in other words"


@contextmanager
def reading(address: str, tokens: Sequence[str], states: States, *, every: float) -> Iterator[list[Seen]]:
    """As long as the `with` lasts, somebody reads for each token; afterwards, the list has what they saw.

    every: so many seconds a reader looks at a page, on average.
    """
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    stop, started = context.Event(), context.Event()
    process = context.Process(target=_read, args=(address, tokens, states, every, started, stop, sending))
    process.start()
    sending.close()
    seen: list[Seen] = []
    try:
        started.wait(60)
        yield seen
    finally:
        stop.set()
        seen += receiving.recv()
        process.join()


def _read(
    address: str, tokens: Sequence[str], states: States, every: float, started: Any, stop: Any, sending: Any
) -> None:
    async def all_of_them() -> list[Seen]:
        started.set()
        found = await asyncio.gather(*(_reader(address, token, states, every, stop) for token in tokens))
        return [each for of_reader in found for each in of_reader]

    sending.send(asyncio.run(all_of_them()))


async def _reader(address: str, token: str, states: States, every: float, stop: Any) -> list[Seen]:
    seen: list[Seen] = []
    luck = random.Random(token)
    schools = sorted(states)
    limits = httpx.Limits(keepalive_expiry=2.0)  # less than the server waits
    # verify=False: nobody is to wait for fifty lists of certificates that no one needs.
    async with httpx.AsyncClient(
        base_url=address, cookies={"rollcall": token}, timeout=90, limits=limits, verify=False
    ) as client:
        await asyncio.sleep(luck.uniform(0, every))
        while not stop.is_set():
            name, school = luck.choice(list(PAGES)), luck.choice(schools)
            page = PAGES[name]
            at = time.monotonic()
            try:
                answer = await client.get(page.path.format(school=school), headers=dict(page.headers))
            except httpx.HTTPError as error:
                seen.append(Seen(name, 0, at, time.monotonic() - at, type(error).__name__))
            else:
                taken = time.monotonic() - at
                seen.append(Seen(name, answer.status_code, at, taken, _wrong(page, answer, school, states)))
            await asyncio.sleep(luck.uniform(0, 2 * every))
    return seen
