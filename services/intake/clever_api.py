"""Clever's Data API: what it says of a district, and the district's records streamed into a folder as they come.

What the records mean is read elsewhere; here a record is an ID and bytes. No token, and nothing of an answer but status
and counts, is in any log or error.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, BinaryIO, NamedTuple, TypeVar

import httpx
import msgspec
from anyio.from_thread import start_blocking_portal
from msgspec import Meta, Raw, Struct
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    retry_if_not_exception_type,
    stop_after_attempt,
    wait_exponential_jitter,
)

from errors import DataError, RollcallError, SetupError, SourceRefused, SourceUnreachable, TransientError

LISTS: Mapping[str, tuple[str, Mapping[str, str]]] = MappingProxyType(
    {
        "schools": ("schools", {}),
        "students": ("users", {"role": "student"}),
        "teachers": ("users", {"role": "teacher"}),
        "staff": ("users", {"role": "staff"}),
        "district_admins": ("users", {"role": "district_admin"}),
        "contacts": ("users", {"role": "contact"}),
        "sections": ("sections", {}),
    }
)

_LISTS_AT_ONCE = 4
_TIMEOUT = httpx.Timeout(60, connect=10)  # seconds, for each step
_WHOLE_ANSWER = 300.0  # seconds, for all of a body: one that trickles never times out by its steps
_LONGEST_WINDOW = 60.0  # seconds; Clever's windows are a minute, whatever a clock that is off makes of it
_ATTEMPTS, _ATTEMPTS_THROTTLED = 5, 10
_PAUSE = wait_exponential_jitter(initial=1, max=30, jitter=1)  # seconds between attempts

# They would note every address asked, with its cursor, and in detail the answers' headers.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)

T = TypeVar("T")
OnPage = Callable[[str, int], None]


@dataclass(frozen=True)
class Connection:
    """How Clever, or a server like it, is reached. Addresses are without a slash at their end.

    Raises:
        SetupError: the client's ID or secret is empty.
    """

    client_id: str
    client_secret: str = field(repr=False)
    api_url: str
    api_version: str
    auth_url: str
    page_size: int

    def __post_init__(self) -> None:
        if not (self.client_id and self.client_secret):
            raise SetupError(
                "Clever is not set up: set ROLLCALL_CLEVER_CLIENT_ID and ROLLCALL_CLEVER_CLIENT_SECRET, or keep them in"
                " the Prefect Secret blocks rollcall-clever-client-id and rollcall-clever-client-secret"
            )


class RemoteSchool(Struct, frozen=True):
    """What Clever says of a school."""

    id: str
    name: str | None = None
    sis_id: str | None = None
    school_number: str | None = None


@dataclass(frozen=True)
class RemoteDistrict:
    """What Clever says of the district itself. state: running, pending, error, paused, success, empty, or new ones."""

    id: str
    name: str
    state: str
    last_sync: str | None
    pause_start: date | None
    pause_end: date | None
    error: str | None

    def is_paused(self, today: date) -> bool:
        """Whether its data are frozen: it is paused, or today is within its pause. A side without a date is open."""
        if self.state == "paused":
            return True
        if self.pause_start is None and self.pause_end is None:
            return False
        return (self.pause_start or date.min) <= today <= (self.pause_end or date.max)


def get_district(connection: Connection, district_id: str) -> RemoteDistrict:
    """What Clever says of a district now.

    Raises:
        SourceUnreachable: Clever gave no usable answer, several times.
        SourceRefused: Clever has no token for the district, or refuses it.
    """
    return _run(_get_district, connection, district_id)


def get_schools(connection: Connection, district_id: str) -> list[RemoteSchool]:
    """The schools that a district shares with us, by ascending ID.

    Raises:
        SourceUnreachable: Clever gave no usable answer, several times.
        SourceRefused: Clever has no token for the district, or refuses it or its schools.
    """
    with tempfile.TemporaryDirectory(prefix="rollcall-schools-") as folder:
        _run(_fetch_one, connection, district_id, "schools", Path(folder))
        lines = (Path(folder) / "schools.jsonl").read_bytes().splitlines()
    return [_SCHOOL.decode(line) for line in lines]


def get_administrators(connection: Connection, district_id: str) -> frozenset[str]:
    """The email addresses of a district's administrators in Clever, casefolded.

    Raises:
        SourceUnreachable: Clever gave no usable answer, several times.
        SourceRefused: Clever has no token for the district, or refuses it or its administrators.
    """
    with tempfile.TemporaryDirectory(prefix="rollcall-administrators-") as folder:
        _run(_fetch_one, connection, district_id, "district_admins", Path(folder))
        lines = (Path(folder) / "district_admins.jsonl").read_bytes().splitlines()
    emails = (_ADDRESSED.decode(line).email for line in lines)
    return frozenset(email.strip().casefold() for email in emails if isinstance(email, str))


def _nobody(_kind: str, _count: int) -> None: ...


def fetch(connection: Connection, district_id: str, folder: Path, *, on_page: OnPage = _nobody) -> RemoteDistrict:
    """Stream all the district's records into a folder, a file for each of LISTS; give what Clever says of the district.

    folder: there, private and empty. A line is one record as Clever sent it, without the envelope; lines are in
    ascending order of ID, each ID once. Every file is on disk at the end; the folder's own entry is the caller's to
    sync. Whatever ends the fetch early leaves part of the files: only one that returns has them all, so the caller
    gives the folder its name after that. Memory is a few pages, whatever the district's size.

    on_page: called after every page with the type of its records and how many of it there are so far, in a thread and
    event loop that are not the caller's, but with the caller's context variables.

    Raises:
        SourceUnreachable: Clever gave no usable answer, several times, or pages in no order.
        SourceRefused: Clever has no token for the district, refuses it or a type of its records, or answers with
            what is no record list.
        TransientError: the folder cannot be written.
        DataError: anything else that failed.
    """
    return _run(_fetch, connection, district_id, folder, on_page)


def _run(work: Callable[..., Coroutine[Any, Any, T]], *arguments: object) -> T:
    """Run to the end in an event loop of its own thread; what interrupts the caller cancels it."""
    try:
        with start_blocking_portal() as portal:
            result: T = portal.call(work, *arguments)
            return result
    except Exception as error:  # noqa: BLE001 - any may carry a token or a record
        shown = _shown(error)
    raise shown


def _shown(error: Exception) -> RollcallError:
    # Built again: what an error was raised from, and its traceback, hold requests and answers.
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    for kind in (SourceUnreachable, SourceRefused):
        if isinstance(error, kind):
            return kind(str(error))
    if isinstance(error, RollcallError):
        return error.with_traceback(None)
    if isinstance(error, OSError):
        return TransientError(f"the landing area cannot be written ({error.strerror})")
    return DataError("fetching from Clever", error)


# --- a district -----------------------------------------------------------------------------------------------------


async def _get_district(connection: Connection, district_id: str) -> RemoteDistrict:
    async with _access(connection, district_id) as api:
        return _remote(await _district(api))


async def _fetch(connection: Connection, district_id: str, folder: Path, on_page: OnPage) -> RemoteDistrict:
    async with _access(connection, district_id) as api:
        record = await _district(api)
        at_once = asyncio.Semaphore(_LISTS_AT_ONCE)
        async with asyncio.TaskGroup() as lists:
            for kind in LISTS:
                lists.create_task(_list(api, kind, folder, on_page, at_once))
        return _remote(record)


async def _fetch_one(connection: Connection, district_id: str, kind: str, folder: Path) -> None:
    async with _access(connection, district_id) as api:
        await _district(api)
        await _list(api, kind, folder, _nobody, asyncio.Semaphore(1))


async def _district(api: _Api) -> Raw:
    hint = "check in Clever that the district is still connected to the app"
    page = await api.page("districts", {}, _Asked(f"district {api.district_id}", hint))
    for found, record in page.records:
        if found == api.district_id:
            return record
    raise SourceRefused(f"Clever's token for district {api.district_id} is for another district: {hint}")


async def _list(api: _Api, kind: str, folder: Path, on_page: OnPage, at_once: asyncio.Semaphore) -> None:
    path, parameters = LISTS[kind]
    asked = _Asked(
        f"the {kind.replace('_', ' ')} of district {api.district_id}",
        "check in Clever that the district still shares them with the app",
    )
    async with at_once:
        with _new_file(folder, kind) as file:
            lines = _Lines(file, folder / f"{kind}.jsonl", asked)
            # A page is held by nobody while the next one comes.
            while lines.add(await api.page(path, {**parameters, **api.paging(lines.last)}, asked), api):
                on_page(kind, lines.count)


class _Lines:
    """A file that takes page after page of records, a line each."""

    def __init__(self, file: BinaryIO, path: Path, asked: _Asked) -> None:
        self._file, self._path, self._asked = file, path, asked
        self.last = ""  # the ID of the last line
        self.count = 0

    def add(self, page: _Page, api: _Api) -> bool:
        """Write a page's new records; false where there is nothing more to come."""
        if not page.records:
            return False
        api.check_next(page.next, self.last, self._asked)
        cursor, repeated = self.last, set()
        for found, record in page.records:
            if found > self.last:
                self._file.write(_line(record))
                self.last = found
                self.count += 1
            else:
                repeated.add(found)
        if self.last == cursor:
            if page.next is None and page.records[-1][0] == cursor:
                return False  # the page before, overlapping with nothing
            raise _repeating(self._asked)
        if repeated:
            self._file.flush()
            if repeated - _ids(self._path):
                raise SourceUnreachable(f"Clever gives {self._asked.what} out of order: the next run tries again")
        return True


def _repeating(asked: _Asked) -> SourceUnreachable:
    # Transient: Clever's own paging never does this. What does, an old answer kept on the way or a fault of Clever's,
    # passes, and there is nothing for the district to mend.
    return SourceUnreachable(f"Clever gives the same page of {asked.what} again: the next run tries again")


@contextmanager
def _new_file(folder: Path, kind: str) -> Iterator[BinaryIO]:
    handle = os.open(folder / f"{kind}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _line(record: Raw) -> bytes:
    line = bytes(record)
    if b"\n" in line or b"\r" in line:
        line = msgspec.json.format(line, indent=-1)
    return line + b"\n"


def _ids(path: Path) -> set[str]:
    # Read back, as it is needed for a repeated ID only: held all along it would grow with the district.
    with path.open("rb") as lines:
        return {_IDENTIFIED.decode(line).id for line in lines}


def _remote(record: Raw) -> RemoteDistrict:
    decoded = msgspec.json.decode(record, type=_District)
    return RemoteDistrict(
        id=decoded.id,
        name=decoded.name or "",
        state=decoded.state or "",
        last_sync=decoded.last_sync or None,
        pause_start=_day(decoded.pause_start),
        pause_end=_day(decoded.pause_end),
        error=decoded.error or None,
    )


def _day(value: str | None) -> date | None:
    with suppress(ValueError):
        return date.fromisoformat((value or "")[:10])
    return None


# --- answers --------------------------------------------------------------------------------------------------------


class _Identified(Struct):
    id: Annotated[str, Meta(min_length=1)]


class _District(_Identified):
    name: str | None = None
    state: str | None = None
    last_sync: str | None = None
    pause_start: str | None = None
    pause_end: str | None = None
    error: str | None = None


class _Addressed(Struct):
    email: Any = None


class _Item(Struct):
    data: Raw


class _Link(Struct):
    rel: str = ""
    uri: str = ""


class _List(Struct):
    data: list[_Item]
    links: list[_Link] | None = None


class _Owner(Struct):
    type: str = ""
    id: str = ""


class _Token(Struct):
    owner: _Owner
    access_token: str = ""
    created: str | None = None


class _Tokens(Struct):
    data: list[_Token]


_IDENTIFIED = msgspec.json.Decoder(_Identified)
_SCHOOL = msgspec.json.Decoder(RemoteSchool)
_ADDRESSED = msgspec.json.Decoder(_Addressed)
_LIST = msgspec.json.Decoder(_List)
_TOKENS = msgspec.json.Decoder(_Tokens)


class _Page(NamedTuple):
    """Records with their IDs, in the order they came, and the address of the next page as Clever gives it."""

    records: list[tuple[str, Raw]]
    next: str | None


def _read_page(body: bytearray) -> _Page:
    answer = _LIST.decode(body)
    for item in answer.data:
        str(item.data, "utf-8")  # checked by nobody else
    records = [(_IDENTIFIED.decode(item.data).id, item.data) for item in answer.data]
    return _Page(records, next((link.uri for link in answer.links or () if link.rel == "next"), None))


# --- asking ---------------------------------------------------------------------------------------------------------


class _Asked(NamedTuple):
    """What is asked for, in words, and what to check when it is refused."""

    what: str
    hint: str


class _Throttled(SourceUnreachable):
    """Too many requests: the next window lets us in."""


class _Unauthorised(SourceRefused):
    """The token is not, or no longer, good."""


class _Bearer(httpx.Auth):
    """A token, and what it may still ask for."""

    def __init__(self, token: str) -> None:
        self._token = token
        self.budget = _Budget()

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


class _Budget:
    """The requests a token has left in a window, as the headers of its answers say, for all who ask with it.

    A request is counted when it is sent. While nothing is known, at the start and of every new window, one goes alone.
    """

    def __init__(self) -> None:
        self._remaining: int | None = None
        self._reset = 0  # Unix seconds as Clever gives them: tells windows apart
        self._opens = 0.0  # when the next window is open, by our own monotonic clock
        self._on_the_way = 0
        self._sent_unknown = 0
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def request(self) -> AsyncIterator[None]:
        """Wait until a request may be sent; inside, it is on its way until the head of its answer is there."""
        async with self._changed:
            while not self._may_go():
                patience = None if self._remaining is None else max(self._opens - time.monotonic(), 0)
                with suppress(TimeoutError):
                    async with asyncio.timeout(patience):
                        await self._changed.wait()
            if self._remaining is None:
                self._sent_unknown += 1
            else:
                self._remaining -= 1
            self._on_the_way += 1
        try:
            yield
        finally:
            self._on_the_way -= 1
            async with self._changed:
                self._changed.notify_all()

    def _may_go(self) -> bool:
        if self._remaining is not None and time.monotonic() >= self._opens:
            self._remaining = None
        if self._remaining is None:
            return self._on_the_way == 0
        return self._remaining > 0

    def learn(self, response: httpx.Response) -> None:
        """Take in what an answer says of the window it was counted in."""
        try:
            remaining = int(response.headers["x-ratelimit-remaining"])
            limit = int(response.headers["x-ratelimit-limit"])
            reset = int(response.headers["x-ratelimit-reset"])
        except (KeyError, ValueError):
            return
        throttled = response.status_code == httpx.codes.TOO_MANY_REQUESTS
        # Others on the way may not have been counted yet, nor those that failed before an answer gave the window.
        remaining = min(remaining - (self._on_the_way - 1), limit - self._sent_unknown)
        if self._remaining is None or throttled or reset > self._reset:
            self._remaining, self._reset, self._sent_unknown = 0 if throttled else remaining, reset, 0
            left = min(max(reset - time.time(), 0), _LONGEST_WINDOW)
            # Not all apps that wait for the same moment come at once.
            self._opens = time.monotonic() + left + random.uniform(0.05, 0.25)
        elif reset == self._reset:
            self._remaining = min(self._remaining, remaining)


class _Api:
    """One district's access to the API, and every request of it."""

    _bearer: _Bearer

    def __init__(self, client: httpx.AsyncClient, connection: Connection, district_id: str) -> None:
        self.district_id = district_id
        self._client = client
        self._connection = connection
        self._renewing = asyncio.Lock()
        self._renewed = False

    def paging(self, cursor: str) -> dict[str, str]:
        """The parameters of the page after a cursor; empty: of the first page."""
        limit = {"limit": str(self._connection.page_size)}
        return {**limit, "starting_after": cursor} if cursor else limit

    async def page(self, path: str, parameters: Mapping[str, str], asked: _Asked) -> _Page:
        """One page. A token that is no longer good is fetched again, once for all requests."""
        url = f"{self._connection.api_url}/{self._connection.api_version}/{path}"
        while True:
            bearer = self._bearer
            try:
                return await self._ask(url, parameters, asked, _read_page, auth=bearer, budget=bearer.budget)
            except _Unauthorised:
                if not await self._renewed_after(bearer):
                    raise

    def check_next(self, link: str | None, cursor: str, asked: _Asked) -> None:
        """Refuse a link to the next page that leads elsewhere or not ahead of the page it came with.

        It is not followed: the next page is always asked for by the last ID we have, from the address we know.
        """
        if link is None:
            return
        here = httpx.URL(self._connection.api_url)
        try:
            there = here.join(link)
        except httpx.InvalidURL:
            there = httpx.URL()
        if (there.scheme, there.host, there.port) != (here.scheme, here.host, here.port):
            raise SourceRefused(
                f"Clever's next page of {asked.what} points to another host, and Rollcall sends its token nowhere else:"
                " check ROLLCALL_CLEVER_API_URL"
            )
        following = there.params.get("starting_after")
        if following is not None and following <= cursor:
            raise _repeating(asked)

    async def connect(self) -> None:
        """Fetch the district's token."""
        self._bearer = await self._token()

    async def _renewed_after(self, stale: _Bearer) -> bool:
        async with self._renewing:
            if self._bearer is stale and not self._renewed:
                self._renewed = True
                await self.connect()
            return self._bearer is not stale

    async def _token(self) -> _Bearer:
        asked = _Asked(
            f"Rollcall the token of district {self.district_id}",
            "check ROLLCALL_CLEVER_CLIENT_ID and ROLLCALL_CLEVER_CLIENT_SECRET against the app's settings in Clever",
        )
        tokens = await self._ask(
            f"{self._connection.auth_url}/oauth/tokens",
            {"owner_type": "district", "district": self.district_id},
            asked,
            _TOKENS.decode,
            auth=httpx.BasicAuth(self._connection.client_id, self._connection.client_secret),
            budget=_Budget(),
        )
        ours = [entry for entry in tokens.data if entry.owner == _Owner("district", self.district_id)]
        newest = max(ours, key=lambda entry: entry.created or "", default=_Token(_Owner()))
        # Any other would be refused by the client, in an error that shows it.
        if not newest.access_token.isascii() or not newest.access_token.isprintable() or not newest.access_token:
            raise SourceRefused(
                f"Clever has no token for district {self.district_id}: check in Clever that the district has connected"
                " the app, and that its ID in the setup file is right"
            )
        return _Bearer(newest.access_token)

    async def _ask(
        self,
        url: str,
        parameters: Mapping[str, str],
        asked: _Asked,
        read: Callable[[bytearray], T],
        *,
        auth: httpx.Auth,
        budget: _Budget,
    ) -> T:
        throttled = AsyncRetrying(
            retry=retry_if_exception_type(_Throttled),
            stop=stop_after_attempt(_ATTEMPTS_THROTTLED),
            wait=_PAUSE,
            reraise=True,
        )
        failing = AsyncRetrying(
            retry=retry_if_exception_type(SourceUnreachable) & retry_if_not_exception_type(_Throttled),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=_PAUSE,
            reraise=True,
        )
        async for window in throttled:
            with window:
                async for attempt in failing:
                    with attempt:
                        answer = _read(read, await self._body(url, parameters, asked, auth, budget), asked)
        return answer

    async def _body(
        self, url: str, parameters: Mapping[str, str], asked: _Asked, auth: httpx.Auth, budget: _Budget
    ) -> bytearray:
        request = self._client.build_request("GET", url, params=dict(parameters))
        try:
            async with budget.request():
                response = await self._client.send(request, auth=auth, stream=True)
                budget.learn(response)
            async with aclosing(response), asyncio.timeout(_WHOLE_ANSWER):
                _judge(response.status_code, asked)
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                return body
        except (httpx.RequestError, TimeoutError) as error:
            why = f"no answer, {type(error).__name__}"
        raise _unreachable(asked, why)


def _read(read: Callable[[bytearray], T], body: bytearray, asked: _Asked) -> T:
    try:
        return read(body)
    except msgspec.ValidationError:
        raise SourceRefused(
            f"Clever's answer on {asked.what} is not a list of records with IDs: check ROLLCALL_CLEVER_API_URL,"
            " ROLLCALL_CLEVER_AUTH_URL and ROLLCALL_CLEVER_API_VERSION"
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _unreachable(asked, "an answer that is cut off or not JSON") from None


def _judge(status: int, asked: _Asked) -> None:
    if status == httpx.codes.TOO_MANY_REQUESTS:
        raise _Throttled(str(_unreachable(asked, f"too many requests, HTTP {status}")))
    if status == httpx.codes.REQUEST_TIMEOUT or (status >= 500 and status != httpx.codes.NOT_IMPLEMENTED):
        raise _unreachable(asked, f"HTTP {status}")
    if httpx.codes.is_success(status):
        return
    refused = f"Clever refused {asked.what} (HTTP {status})"
    if status == httpx.codes.UNAUTHORIZED:
        raise _Unauthorised(f"{refused}: {asked.hint}")
    if status in (httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND):
        raise SourceRefused(f"{refused}: {asked.hint}")
    raise SourceRefused(
        f"{refused}: check ROLLCALL_CLEVER_API_URL, ROLLCALL_CLEVER_AUTH_URL, ROLLCALL_CLEVER_API_VERSION and"
        " ROLLCALL_CLEVER_PAGE_SIZE"
    )


def _unreachable(asked: _Asked, why: str) -> SourceUnreachable:
    return SourceUnreachable(
        f"Clever did not give {asked.what} ({why}): the next run tries again; if it lasts, check the network and"
        " status.clever.com"
    )


@asynccontextmanager
async def _access(connection: Connection, district_id: str) -> AsyncIterator[_Api]:
    # This machine itself is never reached by a proxy that the environment names.
    trust_env = connection.api_url.startswith("https:")
    async with httpx.AsyncClient(timeout=_TIMEOUT, follow_redirects=False, trust_env=trust_env) as client:
        api = _Api(client, connection, district_id)
        await api.connect()
        yield api
