"""A stand-in for Clever's API: invented districts behind its addresses, with its paging, tokens, limits and faults.

`python -m sandbox.clever_api` serves one; tests serve it from a thread with `serving`. What the records hold is in
`sandbox.clever_records`.
"""

from __future__ import annotations

import asyncio
import base64
import socket
import threading
import time
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlencode

import msgspec
import typer
import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from sandbox.clever_records import COLLECTIONS, ROLES, CleverDistrict, Record, clever_district
from sandbox.generator import generate

VERSIONS = ("v3.0", "v3.1")
DEFAULT_LIMIT, GREATEST_LIMIT = 100, 10_000

CLIENT_ID = "invented-client-id"
CLIENT_SECRET = "invented-client-secret"

HTML_PAGE = "<!DOCTYPE html><html><head><title>Sorry</title></head><body><h1>We will be back soon</h1></body></html>"


@dataclass
class Answered:
    """One request as it came in: never a token. ``status`` is 0 while, or where, it got no whole answer.

    ``at``: Unix seconds of its arrival. ``district``: whose token it carried, "" where none was known.
    """

    path: str
    query: Mapping[str, str]
    at: float
    status: int = 0
    district: str = ""


@dataclass
class Faults:
    """What goes wrong from now on; all of it can be changed while the mock runs.

    ``..._every``: 0 never, 1 each time, n every n-th time, counted over the requests whose path begins with ``paths``
    that this object has seen. Where several are due, the first one of the list strikes. Unless it is 1, a request that
    a fault struck succeeds when it is repeated: several lists are asked for side by side, and their order is chance.
    """

    paths: str = "/v3"
    delay_seconds: float = 0  # before any answer
    disconnected_every: int = 0  # the connection is closed without an answer
    cut_short_every: int = 0  # it is closed in mid-body, content-length saying more
    too_many_every: int = 0  # 429, whatever the limit
    too_many_reset_seconds: int | None = 1  # how far ahead such a 429 says the window ends; None: no headers
    failed_every: int = 0
    failed_statuses: tuple[int, ...] = (500, 502, 503)  # in turn
    failed_as_html: bool = False
    html_every: int = 0  # a page of HTML with status 200
    token_missing: bool = False  # the list of tokens is empty
    token_refused: bool = False  # 401 to every token, as when it was revoked
    token_requests: int | None = None  # after so many requests a token has expired: 401 until it is fetched again
    district_status: int | None = None  # such as 403, 404: to every request of data
    unshared: Collection[str] = ()  # IDs of records left out of every list; others still refer to them
    same_page: bool = False  # starting_after is not heeded: the first page each time
    stuck_cursor: bool = False  # the next link leads to the page it stands on
    overlap: int = 0  # this many records of the page before are on the page again
    always_next: bool = False  # short and empty pages have a next link too
    foreign_next: str | None = None  # a host, as https://elsewhere.example, that next links lead to
    before_page: Callable[[Answered], object] | None = None  # called before a page of a list is made
    silent_after_pages: int | None = None  # after so many pages of lists no request is answered anymore
    requests: int = field(default=0, init=False)
    pages: int = field(default=0, init=False)
    struck: set[str] = field(default_factory=set, init=False)

    def number_of(self, url: str) -> int:
        """Count one more request, and give the number by which faults are due for it."""
        self.requests += 1
        if url in self.struck:
            self.struck.remove(url)
            return 1
        every = self.disconnected_every, self.cut_short_every, self.too_many_every, self.failed_every, self.html_every
        if any(_due(self.requests, each) for each in every):
            self.struck.add(url)
        return self.requests


@dataclass(frozen=True)
class RateLimit:
    """The number of requests of a token in each fixed window, and the window's seconds."""

    limit: int = 1200
    window_seconds: int = 60


class CleverApi:
    """The stand-in, an ASGI application: give it districts, change them and its faults while it runs.

    ``districts`` (by ID), ``faults`` and ``rate_limit`` may be replaced at any time, from any thread; ``requests`` is
    the log, by time of arrival.
    """

    def __init__(
        self,
        districts: Iterable[CleverDistrict],
        *,
        faults: Faults | None = None,
        rate_limit: RateLimit | None = None,
        client_id: str = CLIENT_ID,
        client_secret: str = CLIENT_SECRET,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.districts = {district.id: district for district in districts}
        self.faults = faults or Faults()
        self.rate_limit = rate_limit or RateLimit()
        self.requests: list[Answered] = []
        self._credentials = base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()
        self._clock = clock
        self._turns = dict.fromkeys(self.districts, 1)
        self._used: Counter[str] = Counter()
        self._windows: dict[str, tuple[int, int]] = {}
        self._lists: dict[tuple[str, str | None], tuple[Sequence[Record], Sequence[Record]]] = {}
        self._app = Starlette(
            routes=[
                Route("/oauth/tokens", self._tokens),
                Route("/{version}/districts", self._district),
                Route("/{version}/{collection}", self._list),
            ],
            exception_handlers={HTTPException: _refusal},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or fail to, as the faults have it."""
        request = Request(scope, receive)
        entry = Answered(request.url.path, dict(request.query_params), self._clock())
        self.requests.append(entry)
        scope["entry"], scope["limits"] = entry, {}

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry.status = message["status"]
                for name, value in scope["limits"].items():
                    MutableHeaders(scope=message)[name] = value
            await send(message)

        faults = self.faults
        if not entry.path.startswith(faults.paths):
            await self._app(scope, receive, answer)
            return
        number = faults.number_of(str(request.url))  # now: others come while this one sleeps
        await asyncio.sleep(faults.delay_seconds)
        if faults.silent_after_pages is not None and faults.pages >= faults.silent_after_pages:
            await _keep_silent(scope, receive)
        elif _due(number, faults.disconnected_every):
            await _hang_up(scope, receive)
        elif _due(number, faults.cut_short_every):
            await self._app(scope, receive, _half_of(send))
            await _hang_up(scope, receive)
        else:
            await (_instead(faults, number, self._clock()) or self._app)(scope, receive, answer)

    def token(self, district_id: str) -> str:
        """The token a district's data are read with at present."""
        return f"invented-token-{district_id}-{self._turns[district_id]}"

    def rotate(self, district_id: str) -> None:
        """Give the district another token; the former is refused from now on."""
        self._turns[district_id] += 1

    async def _tokens(self, request: Request) -> Response:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic" or given != self._credentials:
            raise HTTPException(401, "Unauthorized")
        if request.query_params.get("owner_type") != "district":
            raise HTTPException(400, "owner_type must be district")
        wanted = request.query_params.get("district")
        ids = [key for key in sorted(self.districts) if wanted in (None, key) and not self.faults.token_missing]
        tokens = [
            {
                "id": key[::-1],
                "created": "2026-07-01T00:00:00.000Z",
                "owner": {"type": "district", "id": key},
                "access_token": self.token(key),
                "scopes": ["read:district_admins", "read:schools", "read:sections", "read:users"],
            }
            for key in ids
        ]
        links = [{"rel": "self", "uri": _uri("/oauth/tokens", request.query_params)}]
        return JSONResponse({"data": tokens, "links": links})

    async def _district(self, request: Request) -> Response:
        district = self._admitted(request)
        uri = f"{request.url.path}/{district.id}"
        links = [{"rel": "self", "uri": request.url.path}]
        return JSONResponse({"data": [{"data": dict(district.district), "uri": uri}], "links": links})

    async def _list(self, request: Request) -> Response:
        collection, query = request.path_params["collection"], request.query_params
        if collection not in COLLECTIONS:
            raise HTTPException(404, "Resource not found")
        district = self._admitted(request)
        role = query.get("role") if collection == "users" else None
        if role is not None and role not in ROLES:
            raise HTTPException(400, "unknown role")
        faults = self.faults
        limit = _limit(query)
        if faults.before_page is not None:
            faults.before_page(request.scope["entry"])
            district = self.districts[district.id]
        records = self._shared(district, collection, role)
        after, before = query.get("starting_after"), query.get("ending_before")
        if before is not None:
            stop = bisect_left(records, before, key=_by_id)
            start = max(0, stop - limit)
        else:
            start = 0 if after is None or faults.same_page else bisect_right(records, after, key=_by_id)
            stop = start + limit
        page = records[max(0, start - faults.overlap) : stop]
        faults.pages += 1
        path = request.url.path
        links = [{"rel": "self", "uri": _uri(path, query)}]
        kept = {name: value for name, value in query.items() if name not in ("starting_after", "ending_before")}
        if page and (after or before):
            links.append({"rel": "prev", "uri": _uri(path, {**kept, "ending_before": page[0].id})})
        last = page[-1].id if page and not (faults.stuck_cursor and after) else after
        # A full page has a next link even where nothing follows, and a page before another one always.
        if last and (faults.always_next or (page and (stop <= len(records) or before))):
            uri = _uri(path, {**kept, "starting_after": last})
            links.append({"rel": "next", "uri": (faults.foreign_next or "") + uri})
        data = b",".join(b'{"data":%b,"uri":"%b"}' % (record.body, f"{path}/{record.id}".encode()) for record in page)
        body = b'{"data":[%b],"links":%b}' % (data, msgspec.json.encode(links))
        return Response(body, media_type="application/json")

    def _admitted(self, request: Request) -> CleverDistrict:
        """The district whose token the request carries. Raises HTTPException where it may not read."""
        if request.path_params["version"] not in VERSIONS:
            raise HTTPException(404, "Resource not found")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        by_token = {self.token(key): district for key, district in self.districts.items()}
        if scheme.lower() != "bearer" or token not in by_token or self.faults.token_refused:
            raise HTTPException(401, "Unauthorized")
        district = by_token[token]
        request.scope["entry"].district = district.id
        self._used[token] += 1
        if self.faults.token_requests is not None and self._used[token] > self.faults.token_requests:
            self.rotate(district.id)
            raise HTTPException(401, "Unauthorized")
        request.scope["limits"] = self._counted(token, district.id)
        if self.faults.district_status is not None:
            raise HTTPException(self.faults.district_status, "Not available")
        return district

    def _counted(self, token: str, bucket: str) -> dict[str, str]:
        """The headers that tell where the token stands in its window. Raises HTTPException when it is used up."""
        now, limit = self._clock(), self.rate_limit.limit
        reset, used = self._windows.get(token, (0, 0))
        if now >= reset:
            reset, used = int(now) + self.rate_limit.window_seconds, 0
        self._windows[token] = reset, used + 1
        headers = _limit_headers(bucket, limit, max(0, limit - used - 1), reset)
        if used >= limit:
            raise HTTPException(429, "Too many requests", headers)
        return headers

    def _shared(self, district: CleverDistrict, collection: str, role: str | None) -> Sequence[Record]:
        """The records of a list. Those of a role are picked once, for as long as the collection stays the same."""
        records: Sequence[Record] = district.records[collection]
        if role is not None:
            key = (district.id, role)
            if key not in self._lists or self._lists[key][0] is not records:
                self._lists[key] = (records, district.users(role))
            records = self._lists[key][1]
        unshared = frozenset(self.faults.unshared)
        return [record for record in records if record.id not in unshared] if unshared else records


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """Serve an application from a thread, on a free port of this machine; the address, without a slash at the end."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(_config(app))
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = server.force_exit = True
            thread.join()


class _Protocol(H11Protocol):
    """HTTP/1.1 that shows the application its connection, so that it can break it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}
        # Head and body are sent apart; without this the client's system sits on the first for 40 milliseconds.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(app, http=_Protocol, ws="none", lifespan="off", log_config=None, log_level="critical")


async def _refusal(request: Request, refused: Exception) -> Response:
    assert isinstance(refused, HTTPException)
    return JSONResponse({"message": refused.detail}, refused.status_code, refused.headers)


async def _keep_silent(scope: Scope, receive: Receive) -> None:
    try:
        while (await receive())["type"] != "http.disconnect":
            pass
    finally:
        # Also when the server is stopped, which would answer 500 otherwise.
        scope["state"]["transport"].close()


async def _hang_up(scope: Scope, receive: Receive) -> None:
    # Closed and not aborted: what was sent of a body still goes out.
    scope["state"]["transport"].close()
    await _keep_silent(scope, receive)


def _half_of(send: Send) -> Send:
    """Pass on an answer's head and half of its body, and leave the rest open."""

    async def half(message: Message) -> None:
        if message["type"] == "http.response.body":
            body = message.get("body", b"")
            message = {"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True}
        await send(message)

    return half


def _due(number: int, every: int) -> bool:
    return every > 0 and number % every == 0


def _instead(faults: Faults, number: int, now: float) -> Response | None:
    """What a fault answers in place of the stand-in to the request of this number, if one is due."""
    if _due(number, faults.too_many_every):
        ahead = faults.too_many_reset_seconds
        headers = {} if ahead is None else _limit_headers("invented", 1200, 0, int(now) + ahead)
        return JSONResponse({"message": "Too many requests"}, 429, headers)
    if _due(number, faults.failed_every):
        status = faults.failed_statuses[(number // faults.failed_every - 1) % len(faults.failed_statuses)]
        if faults.failed_as_html:
            return HTMLResponse(HTML_PAGE, status)
        return JSONResponse({"message": "Internal error"}, status)
    if _due(number, faults.html_every):
        return HTMLResponse(HTML_PAGE)
    return None


def _limit_headers(bucket: str, limit: int, remaining: int, reset: int) -> dict[str, str]:
    return {
        "x-ratelimit-bucket": bucket,
        "x-ratelimit-limit": str(limit),
        "x-ratelimit-remaining": str(remaining),
        "x-ratelimit-reset": str(reset),
    }


def _limit(query: Mapping[str, str]) -> int:
    given = query.get("limit", str(DEFAULT_LIMIT))
    if not given.isdecimal() or not int(given):
        raise HTTPException(400, "limit must be a positive number")
    if int(given) > GREATEST_LIMIT:
        raise HTTPException(413, f"limit must be at most {GREATEST_LIMIT}")
    return int(given)


def _uri(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _by_id(record: Record) -> str:
    return record.id


def main(
    port: int = 8765,
    students: int = 1000,
    schools: int = 3,
    seed: int = 1,
) -> None:
    """Serve one invented district until it is interrupted. Port 0 takes a free one."""
    made = clever_district(
        generate(seed, schools, students),
        staff=schools,
        district_admins=1,
        teachers_also_staff=1,
        teachers_also_district_admins=1,
    )
    with socket.create_server(("127.0.0.1", port)) as listening:
        typer.echo(f"address        http://127.0.0.1:{listening.getsockname()[1]}")
        typer.echo(f"client ID      {CLIENT_ID}")
        typer.echo(f"client secret  {CLIENT_SECRET}")
        typer.echo(f"district       {made.id}")
        uvicorn.Server(_config(CleverApi([made]))).run([listening])


if __name__ == "__main__":
    typer.run(main)
