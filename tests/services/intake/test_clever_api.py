from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import stat
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from datetime import date
from functools import cache, partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from tenacity import wait_none

from errors import DataError, LeaseLost, SetupError, SourceRefused, SourceUnreachable, TransientError
from sandbox.clever_api import CLIENT_ID, CLIENT_SECRET, CleverApi, Faults, RateLimit, serving
from sandbox.clever_records import CleverDistrict, Record, clever_district, with_state
from sandbox.generator import generate
from services.intake import clever_api
from services.intake.clever_api import Connection, RemoteDistrict, fetch, get_district

ROLES = {"students": "student", "teachers": "teacher", "staff": "staff"}
ROLES |= {"district_admins": "district_admin", "contacts": "contact"}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause between attempts, and half a second for an answer."""
    monkeypatch.setattr(clever_api, "_PAUSE", wait_none())
    monkeypatch.setattr(clever_api, "_TIMEOUT", httpx.Timeout(0.5))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "landing" / ".taking-1"
    made.mkdir(parents=True, mode=0o700)
    return made


@cache
def unified(students: int = 100) -> CleverDistrict:
    made = generate(1, schools=3, students=students, teachers=9, classes=20, enrollments=students * 2)
    return clever_district(made, staff=3, district_admins=2, teachers_also_staff=2)


def plain(count: int, size: int = 0) -> CleverDistrict:
    """A district of students only, with a record's size in bytes beyond its ID."""
    ids = [f"{number:024x}" for number in range(count)]
    users = (Record(key, frozenset({"student"}), b'{"id":"%b","x":"%b"}' % (key.encode(), b"x" * size)) for key in ids)
    district = {"id": "d" * 24, "name": "Unified", "state": "running"}
    return CleverDistrict(district, {"schools": (), "users": tuple(users), "sections": ()})


def connection(url: str, page_size: int = 30, secret: str = CLIENT_SECRET) -> Connection:
    return Connection(CLIENT_ID, secret, api_url=url, api_version="v3.1", auth_url=url, page_size=page_size)


def landed(folder: Path) -> dict[str, list[bytes]]:
    return {file.name: file.read_bytes().splitlines(keepends=True) for file in folder.iterdir()}


def expected(district: CleverDistrict) -> dict[str, list[bytes]]:
    lists = {role: district.users(ROLES[role]) for role in ROLES}
    lists |= {kind: district.records[kind] for kind in ("schools", "sections")}
    return {f"{kind}.jsonl": [record.body + b"\n" for record in records] for kind, records in lists.items()}


def in_place_of(api: ASGIApp, path: str, answer: Callable[[Request], Response | None]) -> ASGIApp:
    """The stand-in, but for what is answered to requests whose path ends so."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        found = answer(request) if request.url.path.endswith(path) else None
        await (found or api)(scope, receive, send)

    return app


def students_are(*pages: bytes) -> ASGIApp:
    """The stand-in without records, but for the pages of students."""
    left = list(pages)

    def answer(request: Request) -> Response | None:
        return Response(left.pop(0)) if request.query_params["role"] == "student" and left else None

    return in_place_of(CleverApi([plain(0)]), "/users", answer)


def page_of(*ids: str) -> bytes:
    return json.dumps({"data": [{"data": {"id": key}} for key in ids]}).encode()


@contextmanager
def standing_in(district: CleverDistrict, **faults: Any) -> Iterator[tuple[CleverApi, str]]:
    api = CleverApi([district], faults=Faults(**faults))
    with serving(api) as url:
        yield api, url


# --- what is fetched ------------------------------------------------------------------------------------------------


def test_a_district_is_landed_exactly_as_it_is(folder: Path) -> None:
    pages: list[tuple[str, int]] = []
    with standing_in(unified()) as (api, url):
        told = fetch(connection(url), unified().id, folder, on_page=lambda *page: pages.append(page))
        assert told == get_district(connection(url), unified().id)
    assert told == RemoteDistrict(
        unified().id, "District1 School District", "running", "2026-09-01T06:12:45.000Z", None, None, None
    )
    assert landed(folder) == expected(unified())
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert [page for page in pages if page[0] == "students"] == [("students", n) for n in (30, 60, 90, 100)]
    assert max(dict(pages).values()) == len(unified().users("contact"))
    assert dict(pages) == {kind[:-6]: len(lines) for kind, lines in expected(unified()).items()}
    students = [entry.query for entry in api.requests if entry.query.get("role") == "student"]
    ids = [record.id for record in unified().users("student")]
    assert students == [
        {"role": "student", "limit": "30", **({"starting_after": ids[n - 1]} if n else {})}
        for n in (0, 30, 60, 90, 100)
    ]


def test_a_district_of_nothing_has_all_its_files(folder: Path) -> None:
    with standing_in(plain(0)) as (_, url):
        fetch(connection(url), "d" * 24, folder)
    assert landed(folder) == expected(plain(0))
    assert landed(folder).keys() == {f"{kind}.jsonl" for kind in clever_api.LISTS}


def test_this_machine_is_reached_past_any_proxy(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with standing_in(plain(1)) as (_, url):
        assert get_district(connection(url), "d" * 24).name == "Unified"


def test_every_file_is_on_disk_before_it_is_said_to_be_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = {}

    def sync(handle: int) -> None:
        file = Path(f"/proc/self/fd/{handle}").readlink()
        synced[file.name] = file.read_bytes().splitlines(keepends=True)

    monkeypatch.setattr(os, "fsync", sync)
    with standing_in(plain(40)) as (_, url):
        fetch(connection(url), "d" * 24, folder)
    assert synced == expected(plain(40))


def test_the_other_version(folder: Path) -> None:
    with standing_in(plain(3)) as (api, url):
        fetch(replace(connection(url), api_version="v3.0"), "d" * 24, folder)
    assert {entry.path for entry in api.requests} == {
        "/oauth/tokens",
        *(f"/v3.0/{path}" for path in ("districts", "schools", "users", "sections")),
    }


def test_bytes_stay_as_they_came_but_a_record_is_one_line(folder: Path) -> None:
    records = [
        '{"id": "a",  "n": 1.50, "name": "Zo\\u00eb  Ñ", "new": {"k": [1, null]}}',
        '{\n  "id": "b",\r\n  "name": "x\\ny",\n  "big": 12345678901234567890123\n}',
    ]
    page = '{"data":[' + ",".join(f'{{"data": {record}, "uri": "/v3.1/users/a"}}' for record in records) + "]}"
    with serving(students_are(page.encode())) as url:
        fetch(connection(url), "d" * 24, folder)
    assert landed(folder)["students.jsonl"] == [
        f"{records[0]}\n".encode(),
        b'{"id":"b","name":"x\\ny","big":12345678901234567890123}\n',
    ]


@pytest.mark.parametrize(
    ("faults", "seen"),
    [
        ({"overlap": 2}, "the page before ends on this one"),
        ({"always_next": True}, "an empty page names a next one"),
        ({"overlap": 1, "too_many_every": 9, "too_many_reset_seconds": 0}, "a window used up by others"),
    ],
)
def test_what_pages_may_do_changes_nothing(folder: Path, impatient: None, faults: dict[str, Any], seen: str) -> None:
    with standing_in(unified(), **faults) as (_, url):
        fetch(connection(url), unified().id, folder)
    assert landed(folder) == expected(unified())


def test_a_repeated_record_is_dropped_however_far_back_it_was(folder: Path) -> None:
    with serving(students_are(page_of("a", "b"), page_of("b", "c", "c"), page_of("a", "d"))) as url:
        fetch(connection(url), "d" * 24, folder)
    assert landed(folder)["students.jsonl"] == [b'{"id": "%c"}\n' % key for key in b"abcd"]


def test_what_is_not_shared_is_not_missed(folder: Path) -> None:
    gone = unified().users("student")[0]
    with standing_in(unified(), unshared=[gone.id]) as (_, url):
        fetch(connection(url), unified().id, folder)
    assert landed(folder) == expected(unified()) | {
        "students.jsonl": [record.body + b"\n" for record in unified().users("student")[1:]]
    }


# --- what goes wrong and passes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "faults",
    [
        {"failed_every": 7},
        {"failed_every": 7, "failed_as_html": True},
        {"html_every": 7},
        {"cut_short_every": 7},
        {"disconnected_every": 7},
        {"too_many_every": 7, "too_many_reset_seconds": None},
        {"failed_every": 2, "paths": "/oauth"},
        {"failed_every": 7, "html_every": 11, "cut_short_every": 13, "disconnected_every": 17},
    ],
    ids=lambda faults: "-".join(faults),
)
def test_passing_failures_cost_nothing_but_time(folder: Path, impatient: None, faults: dict[str, Any]) -> None:
    with standing_in(unified(), **faults) as (_, url):
        fetch(connection(url), unified().id, folder)
    assert landed(folder) == expected(unified())


@pytest.mark.parametrize(
    ("faults", "why"),
    [
        ({"failed_every": 1, "failed_statuses": (502,)}, "HTTP 502"),
        ({"failed_every": 1, "failed_as_html": True, "failed_statuses": (500,)}, "HTTP 500"),
        ({"html_every": 1}, "an answer that is cut off or not JSON"),
        ({"cut_short_every": 1}, "no answer, RemoteProtocolError"),
        ({"disconnected_every": 1}, "no answer, RemoteProtocolError"),
        ({"silent_after_pages": 0}, "no answer, ReadTimeout"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_lasting_failures_are_given_up_after_five_attempts(
    folder: Path, impatient: None, faults: dict[str, Any], why: str
) -> None:
    with standing_in(unified(), **faults) as (api, url), pytest.raises(SourceUnreachable) as raised:
        fetch(connection(url), unified().id, folder)
    assert said(raised) == (
        f"Clever did not give district {unified().id} ({why}): the next run tries again; if it lasts, check the network"
        " and status.clever.com"
    )
    assert [entry.path for entry in api.requests] == ["/oauth/tokens", *["/v3.1/districts"] * 5]


def test_too_many_requests_are_borne_longer_but_not_for_ever(folder: Path, impatient: None) -> None:
    faults = {"too_many_every": 1, "too_many_reset_seconds": None}
    with standing_in(unified(), **faults) as (api, url), pytest.raises(SourceUnreachable) as raised:
        fetch(connection(url), unified().id, folder)
    assert "(too many requests, HTTP 429)" in said(raised)
    assert type(raised.value) is SourceUnreachable
    assert len(api.requests) == 1 + 10


def test_nobody_there(folder: Path, impatient: None) -> None:
    with serving(CleverApi([])) as url:
        pass
    with pytest.raises(SourceUnreachable, match=r"the token of district .* \(no answer, ConnectError\)"):
        fetch(connection(url), unified().id, folder)


def test_pauses_grow_and_are_bounded() -> None:
    from tenacity import RetryCallState

    def pause(attempt: int) -> float:
        state = RetryCallState(retry_object=None, fn=None, args=(), kwargs={})  # type: ignore[arg-type]
        state.attempt_number = attempt
        return clever_api._PAUSE(state)

    drawn = {attempt: [pause(attempt) for _ in range(200)] for attempt in (1, 2, 4, 9)}
    assert all(low <= min(drawn[attempt]) for attempt, low in {1: 1, 2: 2, 4: 8, 9: 30}.items())
    assert all(max(drawn[attempt]) <= high for attempt, high in {1: 2, 2: 3, 4: 9, 9: 30}.items())
    assert len(set(drawn[1])) > 100


@pytest.mark.journeys
def test_a_body_that_trickles_times_out(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(clever_api, "_PAUSE", wait_none())
    monkeypatch.setattr(clever_api, "_WHOLE_ANSWER", 0.3)

    async def trickle(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(20):
            await send({"type": "http.response.body", "body": b" ", "more_body": True})
            await asyncio.sleep(0.1)

    with serving(trickle) as url, pytest.raises(SourceUnreachable, match=r"\(no answer, TimeoutError\)"):
        fetch(connection(url), "d" * 24, folder)


# --- tokens ---------------------------------------------------------------------------------------------------------


def test_a_token_that_expires_on_the_way_is_fetched_again_once(folder: Path) -> None:
    with standing_in(unified(), token_requests=15) as (api, url):
        fetch(connection(url, 90), unified().id, folder)
    assert landed(folder) == expected(unified())
    assert Counter(entry.path for entry in api.requests)["/oauth/tokens"] == 2


def test_a_token_that_expires_again_is_refused(folder: Path) -> None:
    with standing_in(unified(), token_requests=5) as (api, url), pytest.raises(SourceRefused) as raised:
        fetch(connection(url), unified().id, folder)
    assert type(raised.value) is SourceRefused
    assert "(HTTP 401): check in Clever that the district still shares them with the app" in said(raised)
    assert Counter(entry.path for entry in api.requests)["/oauth/tokens"] == 2


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_district_that_left_is_refused(folder: Path, status: int) -> None:
    with standing_in(unified(), district_status=status) as (api, url):
        for ask in (get_district, partial(fetch, folder=folder)):
            with pytest.raises(SourceRefused) as raised:
                ask(connection(url), unified().id)
            assert said(raised) == (
                f"Clever refused district {unified().id} (HTTP {status}): check in Clever that the district is still"
                " connected to the app"
            )
    assert len(api.requests) == (8 if status == 401 else 4)
    assert landed(folder) == {}


@pytest.mark.parametrize("district_id", [unified().id, "e" * 24])
def test_no_token_for_the_district(folder: Path, district_id: str) -> None:
    missing = district_id == unified().id
    with standing_in(unified(), token_missing=missing) as (_, url), pytest.raises(SourceRefused) as raised:
        fetch(connection(url), district_id, folder)
    assert said(raised) == (
        f"Clever has no token for district {district_id}: check in Clever that the district has connected the app, and"
        " that its ID in the setup file is right"
    )


def test_a_wrong_secret(folder: Path) -> None:
    with standing_in(unified()) as (api, url), pytest.raises(SourceRefused) as raised:
        fetch(connection(url, secret="wr0ng"), unified().id, folder)
    assert said(raised) == (
        f"Clever refused Rollcall the token of district {unified().id} (HTTP 401): check ROLLCALL_CLEVER_CLIENT_ID and"
        " ROLLCALL_CLEVER_CLIENT_SECRET against the app's settings in Clever"
    )
    assert len(api.requests) == 1


def test_the_newest_token_is_taken_and_only_a_districts_own(folder: Path) -> None:
    api = CleverApi([plain(1)])

    def entry(token: str, created: str | None, kind: str = "district", owner: str = "d" * 24) -> dict[str, Any]:
        return {"access_token": token, "created": created, "owner": {"type": kind, "id": owner}}

    tokens = [
        entry("old", "2026-01-01T00:00:00.000Z"),
        entry(api.token("d" * 24), "2026-02-01T00:00:00.000Z"),
        entry("user", "2026-03-01T00:00:00.000Z", "user"),
        entry("foreign", "2026-03-01T00:00:00.000Z", owner="e" * 24),
        entry("unknown", None),
    ]
    with serving(in_place_of(api, "tokens", lambda _: Response(json.dumps({"data": tokens})))) as url:
        fetch(connection(url), "d" * 24, folder)
    assert landed(folder) == expected(plain(1))


@pytest.mark.parametrize("token", ["", "s3cret\nx", "s3cret\u00e9"])
def test_a_token_no_request_can_carry_is_none(folder: Path, token: str) -> None:
    tokens = [{"access_token": token, "owner": {"type": "district", "id": "d" * 24}}]
    api = in_place_of(CleverApi([plain(1)]), "tokens", lambda _: Response(json.dumps({"data": tokens})))
    with serving(api) as url, pytest.raises(SourceRefused, match=r"^Clever has no token for district d+: check"):
        fetch(connection(url), "d" * 24, folder)


def test_a_token_for_another_district(folder: Path) -> None:
    api = in_place_of(CleverApi([plain(1)]), "districts", lambda _: Response(page_of("e" * 24)))
    with serving(api) as url, pytest.raises(SourceRefused, match=r"^Clever's token for district d+ is for another"):
        fetch(connection(url), "d" * 24, folder)


def test_administrators_are_those_with_the_role_by_address() -> None:
    def added(name: str, role: str, email: object) -> Record:
        value = {"id": name, "email": email, "roles": {role: {}}}
        return Record(name, frozenset({role}), json.dumps(value).encode())

    users = [
        added("a", "district_admin", " IT@Straße.example"),
        added("b", "district_admin", None),
        added("c", "district_admin", 7),
        added("d", "staff", "office@unified.example"),
        added("e", "district_admin", "sis@unified.example"),
    ]
    with standing_in(replace(plain(0), records={**plain(0).records, "users": tuple(users)})) as (_, url):
        found = clever_api.get_administrators(connection(url, page_size=2), "d" * 24)
    assert found == {"it@strasse.example", "sis@unified.example"}


def test_administrators_that_clever_keeps_from_us() -> None:
    with standing_in(unified(), district_status=403) as (_, url), pytest.raises(SourceRefused):
        clever_api.get_administrators(connection(url), unified().id)


def test_administrators_by_a_token_for_another_district() -> None:
    api = in_place_of(CleverApi([plain(1)]), "districts", lambda _: Response(page_of("e" * 24)))
    with serving(api) as url, pytest.raises(SourceRefused, match=r"^Clever's token for district d+ is for another"):
        clever_api.get_administrators(connection(url), "d" * 24)


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (400, "check ROLLCALL_CLEVER_API_URL, ROLLCALL_CLEVER_AUTH_URL, ROLLCALL_CLEVER_API_VERSION and"),
        (403, "check in Clever that the district still shares them with the app"),
        (404, "check in Clever that the district still shares them with the app"),
        (413, "check ROLLCALL_CLEVER_API_URL, ROLLCALL_CLEVER_AUTH_URL, ROLLCALL_CLEVER_API_VERSION and"),
        (501, "check ROLLCALL_CLEVER_API_URL, ROLLCALL_CLEVER_AUTH_URL, ROLLCALL_CLEVER_API_VERSION and"),
    ],
)
def test_a_list_refused_is_not_an_empty_list(folder: Path, status: int, hint: str) -> None:
    asked = []

    def answer(request: Request) -> Response:
        asked.append(request.url.path)
        return Response('{"message":"s3cret"}', status)

    api = in_place_of(CleverApi([plain(3)]), "sections", answer)
    with serving(api) as url, pytest.raises(SourceRefused) as raised:
        fetch(connection(url), "d" * 24, folder)
    assert said(raised).startswith(f"Clever refused the sections of district {'d' * 24} (HTTP {status}): {hint}")
    assert asked == ["/v3.1/sections"]


def test_a_redirect_is_not_followed(folder: Path) -> None:
    reached: list[str] = []

    async def elsewhere(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(scope["path"])

    with serving(elsewhere) as foreign:
        api = in_place_of(CleverApi([plain(3)]), "schools", lambda _: RedirectResponse(f"{foreign}/schools"))
        with serving(api) as url, pytest.raises(SourceRefused, match=r"\(HTTP 307\): check ROLLCALL_CLEVER_API_URL"):
            fetch(connection(url), "d" * 24, folder)
    assert reached == []


@pytest.mark.parametrize(
    "host", ["https://elsewhere.example", "//elsewhere.example", "http://127.0.0.1:1", "http://[x"]
)
def test_a_link_to_another_host_is_refused(folder: Path, host: str) -> None:
    with standing_in(unified(), foreign_next=host) as (_, url), pytest.raises(SourceRefused) as raised:
        fetch(connection(url), unified().id, folder)
    assert said(raised).endswith(
        f" of district {unified().id} points to another host, and Rollcall sends its token nowhere else: check"
        " ROLLCALL_CLEVER_API_URL"
    )


@pytest.mark.parametrize("faults", [{"stuck_cursor": True}, {"same_page": True}, {"same_page": True, "overlap": 5}])
def test_a_repeated_cursor_is_refused(folder: Path, faults: dict[str, Any]) -> None:
    with standing_in(unified(), **faults) as (api, url), pytest.raises(SourceUnreachable) as raised:
        fetch(connection(url), unified().id, folder)
    assert said(raised).startswith("Clever gives the same page of the ")
    assert len(api.requests) < 30


@pytest.mark.parametrize(
    ("pages", "error", "message"),
    [
        (
            [b'{"data":[{"data":{"id":"a"}},{"data":{"name":"s3cret"}}]}'],
            SourceRefused,
            "is not a list of records with",
        ),
        ([b'{"data":[{"data":{"id":7}}]}'], SourceRefused, "is not a list of records with IDs"),
        ([b'{"data":[{"data":{"id":""}}]}'], SourceRefused, "is not a list of records with IDs"),
        ([b'{"data":[{"data":["s3cret"]}]}'], SourceRefused, "is not a list of records with IDs"),
        ([b'{"message":"s3cret"}'], SourceRefused, "is not a list of records with IDs"),
        ([b'{"data":[{"data":{"id":"a","name":"s3cret\xff"}}]}'] * 5, SourceUnreachable, "cut off or not JSON"),
        ([page_of("b", "a")], SourceUnreachable, "gives the students of district d+ out of order"),
        ([page_of("b"), page_of("a", "c")], SourceUnreachable, "gives the students of district d+ out of order"),
        ([page_of("a", "b"), page_of("a")], SourceUnreachable, "gives the same page of the students of district d+"),
    ],
)
def test_an_answer_that_makes_no_sense(
    folder: Path, impatient: None, pages: list[bytes], error: type[Exception], message: str
) -> None:
    with serving(students_are(*pages)) as url, pytest.raises(error, match=message) as raised:
        fetch(connection(url), "d" * 24, folder)
    assert type(raised.value) is error
    assert "s3cret" not in said(raised)


# --- the rate limit -------------------------------------------------------------------------------------------------


@pytest.mark.journeys
def test_ten_thousand_students_with_two_requests_a_second_and_every_tenth_failing(folder: Path) -> None:
    api = CleverApi([plain(10_000)], faults=Faults(failed_every=10), rate_limit=RateLimit(2, window_seconds=1))
    with serving(api) as url:
        fetch(connection(url, page_size=1000), "d" * 24, folder)
    assert landed(folder) == expected(plain(10_000))
    asked = [entry for entry in api.requests if entry.path != "/oauth/tokens"]
    assert Counter(entry.status for entry in asked) == {200: 18, 500: 1}
    assert max(Counter(int(entry.at) for entry in asked).values()) == 2


@pytest.mark.journeys
def test_the_first_request_goes_alone_and_then_no_more_than_are_left(folder: Path) -> None:
    api = CleverApi([plain(10)], faults=Faults(delay_seconds=0.15), rate_limit=RateLimit(3, window_seconds=1))
    with serving(api) as url:
        fetch(connection(url), "d" * 24, folder)
    assert {entry.status for entry in api.requests} == {200}
    assert max(Counter(int(entry.at) for entry in api.requests[1:]).values()) <= 3


@pytest.mark.journeys
def test_what_failed_before_anything_was_known_counts_too(folder: Path, impatient: None) -> None:
    api, failures = CleverApi([plain(0)], rate_limit=RateLimit(2, window_seconds=1)), iter([Response("", 500)])
    with serving(in_place_of(api, "districts", lambda _: next(failures, None))) as url:
        time.sleep(1 - time.time() % 1)  # at the beginning of a window
        fetch(connection(url), "d" * 24, folder)
    (district,) = [entry for entry in api.requests if entry.path.endswith("districts")]
    assert [int(entry.at) for entry in api.requests[1:]].count(int(district.at)) == 1


def test_record_types_are_asked_for_side_by_side_but_not_all_at_once(folder: Path) -> None:
    api = CleverApi([plain(0)], faults=Faults(delay_seconds=0.2))
    asking, most = 0, 0

    async def counted(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal asking, most
        asking += 1
        most = max(most, asking)
        await api(scope, receive, send)
        asking -= 1

    with serving(counted) as url:
        fetch(connection(url), "d" * 24, folder)
    assert most == 4


@pytest.mark.journeys
def test_a_window_used_up_is_waited_for(folder: Path) -> None:
    left = iter([0.0])
    api = CleverApi([plain(0)])
    reset = int(time.time()) + 2

    def answer(_: Request) -> Response | None:
        headers = {f"x-ratelimit-{name}": str(n) for name, n in {"limit": 9, "remaining": 5, "reset": reset}.items()}
        return Response("", 429, headers) if next(left, None) is not None else None

    with serving(in_place_of(api, "districts", answer)) as url:
        get_district(connection(url), "d" * 24)
    assert reset < api.requests[-1].at < reset + 3


# --- what is left of it ---------------------------------------------------------------------------------------------


def said(raised: pytest.ExceptionInfo[BaseException]) -> str:
    """All that an error shows, and that it shows nothing behind its message."""
    error = raised.value
    assert (error.__cause__, error.__context__) == (None, None)
    shown = "".join(traceback.format_exception(error))
    assert CLIENT_SECRET not in shown
    assert "invented-token" not in shown
    return str(error)


def test_no_log_mentions_a_person_a_token_or_a_cursor(
    folder: Path, impatient: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with standing_in(unified(), failed_every=7, failed_as_html=True, cut_short_every=11, html_every=13) as (api, url):
        fetch(connection(url), unified().id, folder)
        person = unified().users("student")[29]
        ours = "\n".join(record.getMessage() for record in caplog.records if record.name != "asyncio")
        for secret in (CLIENT_SECRET, api.token(unified().id), person.id, person.value()["name"]["last"]):
            assert secret not in ours
    assert CLIENT_SECRET not in repr(connection(url))


def test_an_error_of_our_own_shows_no_value(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(record: object) -> bytes:
        raise KeyError("s3cret")

    monkeypatch.setattr(clever_api, "_line", broken)
    with standing_in(plain(1)) as (_, url), pytest.raises(DataError) as raised:
        fetch(connection(url), "d" * 24, folder)
    assert said(raised).startswith("fetching from Clever failed with KeyError at test_clever_api.py:")


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with standing_in(plain(1)) as (_, url), pytest.raises(TransientError) as raised:
        fetch(connection(url), "d" * 24, tmp_path / "missing")
    assert said(raised) == "the landing area cannot be written (No such file or directory)"


def test_what_stops_one_record_type_stops_all_and_is_reported_as_it_is(folder: Path) -> None:
    def lose(kind: str, count: int) -> None:
        if kind == "contacts":
            raise LeaseLost("the run was taken over")

    with standing_in(unified()) as (api, url):
        with pytest.raises(LeaseLost, match=r"^the run was taken over$"):
            fetch(connection(url, 10), unified().id, folder, on_page=lose)
        time.sleep(0.1)  # what was on its way arrives
        asked = len(api.requests)
        time.sleep(0.1)
        assert len(api.requests) == asked
    assert landed(folder) != expected(unified())


def test_an_interrupt_stops_it_at_once(folder: Path) -> None:
    # A shell may have had interrupts ignored.
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    # Silent from the third page on: nothing but the interrupt ends it.
    with standing_in(unified(), silent_after_pages=2) as (_, url):
        started, before = time.monotonic(), threading.active_count()
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            fetch(connection(url), unified().id, folder)
        signal.signal(signal.SIGINT, former)
        assert time.monotonic() - started < 5
        assert threading.active_count() == before


def test_a_caller_inside_an_event_loop_with_its_context(folder: Path) -> None:
    run: ContextVar[str] = ContextVar("run", default="none")
    seen: set[str] = set()

    async def caller() -> None:
        run.set("ours")
        fetch(connection(url), "d" * 24, folder, on_page=lambda *_: seen.add(run.get()))

    with standing_in(plain(3)) as (_, url):
        asyncio.run(caller())
    assert landed(folder) == expected(plain(3))
    assert seen == {"ours"}


# --- in processes of their own --------------------------------------------------------------------------------------

PROCESS = """
import os, sys
from pathlib import Path
from services.intake.clever_api import Connection, fetch

url, folder, page_size, die_at = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
pages = []

def on_page(kind, count):
    pages.append(kind)
    if len(pages) == die_at:
        os._exit(9)

fetch(Connection("invented-client-id", "invented-client-secret", url, "v3.1", url, page_size), "d" * 24, folder,
      on_page=on_page)
# Not ru_maxrss, which remembers the process this one was started by.
(peak,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
print(int(peak.split()[1]) // 1024)
"""


def process(url: str, folder: Path, page_size: int, die_at: int = 0) -> subprocess.CompletedProcess[str]:
    folder.mkdir(parents=True, mode=0o700)
    return subprocess.run(
        [sys.executable, "-c", PROCESS, url, str(folder), str(page_size), str(die_at)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.journeys
def test_memory_does_not_grow_with_the_district(tmp_path: Path) -> None:
    peaks = {}
    for users in (2_000, 200_000):
        with serving(CleverApi([plain(users, size=400)])) as url:
            ended = process(url, tmp_path / str(users), 10_000)
        assert ended.returncode == 0, ended.stderr
        peaks[users] = int(ended.stdout)  # megabytes
        with (tmp_path / str(users) / "students.jsonl").open("rb") as lines:
            assert sum(1 for _ in lines) == users
    assert peaks[200_000] - peaks[2_000] < 150


@pytest.mark.journeys
def test_killed_at_any_page_it_has_written_nothing_but_its_folder(tmp_path: Path) -> None:
    whole = expected(plain(25))
    with serving(CleverApi([plain(25)])) as url:
        for die_at, students in ((1, 10), (2, 20), (3, 25)):
            home = tmp_path / str(die_at)
            ended = process(url, home / "landing" / ".taking-1", 10, die_at)
            assert (ended.returncode, ended.stderr) == (9, "")
            assert {str(path.relative_to(home)) for path in home.rglob("*") if path.is_dir()} == {
                "landing",
                "landing/.taking-1",
            }
            files = {path.relative_to(home).parts for path in home.rglob("*") if path.is_file()}
            assert files <= {("landing", ".taking-1", name) for name in whole}
            left = (home / "landing/.taking-1/students.jsonl").read_bytes()
            assert b"".join(whole["students.jsonl"]).startswith(left)
            assert left.count(b"\n") <= students


# --- a pause, a connection ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "start", "end", "paused"),
    [
        ("running", None, None, False),
        ("paused", None, None, True),
        ("running", "2026-06-15", "2026-08-01", True),
        ("running", "2026-07-01", "2026-07-01T00:00:00.000Z", True),
        ("running", "2026-07-02", "2026-08-01", False),
        ("running", "2026-06-01", "2026-06-30", False),
        ("running", "2026-06-01", None, True),
        ("running", None, "2026-06-30", False),
        ("never heard of", "soon", "", False),
    ],
)
def test_a_pause(state: Any, start: str | None, end: str | None, paused: bool) -> None:
    values = {"pause_start": start, "pause_end": end}
    district = CleverDistrict({**plain(0).district, "state": state, **values}, plain(0).records)
    with standing_in(district) as (_, url):
        assert get_district(connection(url), "d" * 24).is_paused(date(2026, 7, 1)) is paused


def test_what_clever_says_of_an_error() -> None:
    district = with_state(unified(), state="error", error="The SIS cannot be reached")
    with standing_in(district) as (_, url):
        told = get_district(connection(url), unified().id)
    assert (told.state, told.error) == ("error", "The SIS cannot be reached")


@pytest.mark.parametrize(("client_id", "secret"), [("", "x"), ("x", "")])
def test_a_connection_needs_id_and_secret(client_id: str, secret: str) -> None:
    with pytest.raises(SetupError) as raised:
        Connection(client_id, secret, "https://api.clever.com", "v3.1", "https://clever.com", 10_000)
    assert str(raised.value) == (
        "Clever is not set up: set ROLLCALL_CLEVER_CLIENT_ID and ROLLCALL_CLEVER_CLIENT_SECRET, or keep them in the"
        " Prefect Secret blocks rollcall-clever-client-id and rollcall-clever-client-secret"
    )
