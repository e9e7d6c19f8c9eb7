"""How a request becomes an answer: who asks, what they may see, one transaction, the audit log, and the page or JSON.

Every page is a plain function of an `Asked`, registered with `get` or `post`. What it is about, by the parts of its
address (``{district}``, ``{school}``), is looked up here, within the viewer's scope, so that no page can forget it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

from markupsafe import escape
from sqlmodel import Session
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive

from errors import DatabaseUnavailable, NotFound, NotPossible
from models.tables import District, School
from report.protection import own_path
from services import clock
from services.access import audit, viewers
from services.access.audit import Action
from services.access.viewers import NOBODY, Viewer
from services.districts import get_district

if TYPE_CHECKING:
    from report.app import Report

log = logging.getLogger("rollcall.report")

# What a form may send: fields, bytes of each, files, and bytes altogether where it takes no files.
MAX_FIELDS, MAX_FIELD_BYTES, MAX_FILES, MAX_FORM_BYTES = 10_000, 64 * 1024, 12, 4 * 1024 * 1024
# What anybody may send without having signed in.
MAX_ANYBODYS_BYTES = 16 * 1024
MEGABYTE = 1024 * 1024


class Scope(Enum):
    """Whose page it is."""

    ANYBODY = "anybody"
    SIGNED_IN = "signed in"
    DISTRICT = "administrators of the district"
    SCHOOL = "administrators of the school"
    OPERATORS = "operators"


@dataclass
class Asked:
    """A request, as a page meets it.

    session: reads for a page, may write for a form. district, school: those that the address names, in the viewer's
    scope. form: what was sent. about, detail: for the audit log, set by the page. is_static: for a copy in files, which
    has no forms; with_people: with personal data of the roster, as all pages have them but those of most copies.
    is_later: for whoever asks next, in the background.
    """

    request: Request
    report: Report
    session: Session
    viewer: Viewer
    now: datetime
    form: FormData
    _district: District | None = None
    _school: School | None = None
    about: str | None = None
    detail: str | None = None
    after: list[Callable[[], object]] = field(default_factory=list)
    is_static: bool = False
    with_people: bool = True
    is_later: bool = False

    @property
    def district(self) -> District:
        """The district that the page is of."""
        assert self._district is not None
        return self._district

    @property
    def school(self) -> School:
        """The school that the page is of."""
        assert self._school is not None
        return self._school

    @property
    def zone(self) -> ZoneInfo:
        """The zone to write times in: that of the page's district, else of the only one that the viewer sees."""
        district = self._district or viewers.only_district(self.session, self.viewer)
        return ZoneInfo(district.timezone if district is not None else "UTC")

    @property
    def query(self) -> Mapping[str, str]:
        """The parameters of the address."""
        return self.request.query_params

    @property
    def part(self) -> Mapping[str, str]:
        """The parts of the address's path."""
        return self.request.path_params

    @property
    def network(self) -> str:
        """The network address that the request came from."""
        return self.request.client.host if self.request.client is not None else ""

    def let_go(self) -> None:
        """Give the database's connection back before something slow; the session takes another when it is asked again.

        Not in a form's transaction, of which nothing would be left.
        """
        self.session.close()

    def number(self, name: str) -> int:
        """A part of the address's path that is the number of a row.

        Raises:
            NotFound: it can be none of ours.
        """
        found = row_number(self.part[name])
        if found is None:
            raise NotFound("there is no such page")
        return found

    def field(self, name: str) -> str:
        """A field of the form as text, without blanks at its ends; empty where it is missing."""
        value = self.form.get(name)
        return value.strip() if isinstance(value, str) else ""

    def fields(self, name: str) -> list[str]:
        """All values of a field of the form."""
        return [value for value in self.form.getlist(name) if isinstance(value, str)]

    def afterwards(self, do: Callable[[], object]) -> None:
        """Do something in the background once the transaction is committed."""
        self.after.append(do)


@dataclass(frozen=True)
class Page:
    """A page to render. block: the part that a request of htmx gets. data: what a program gets in its place."""

    template: str
    values: Mapping[str, Any]
    block: str | None = None
    data: Callable[[], Any] | None = None
    status: int = 200


@dataclass(frozen=True)
class Redirect:
    """Go to another page. What is to be said there stands in its address, as `said`."""

    path: str


Answer = Page | Redirect | Response


@dataclass(frozen=True)
class Endpoint:
    """A page's address, who may open it, and what of it is audited.

    shows_people: it shows personal data of the roster. takes_files: a form that files are uploaded with; nothing of
    them is stored. is_shared: readers with the same rights get the same page for a moment. changes: it changes
    something. first: what is asked before a form's transaction begins.
    """

    method: str
    path: str
    scope: Scope
    handler: Callable[[Asked], Answer]
    action: Action | None
    shows_people: bool
    takes_files: bool = False
    is_shared: bool = False
    first: Callable[[Asked], Answer | None] | None = None

    @property
    def changes(self) -> bool:
        """Whether it changes something."""
        return self.method == "POST" and not self.takes_files


ENDPOINTS: list[Endpoint] = []

Handler = Callable[[Asked], Answer]


def get(path: str, scope: Scope, *, people: Action | None = None, shared: bool = False) -> Callable[[Handler], Handler]:
    """Register a page. people: the action to audit, for one that shows personal data of the roster.

    shared: what it shows follows from its address and the reader's rights, and from nothing else of the reader, so that
    it is made once for all who ask at the same moment. Their name may stand in it as `viewer.name`.
    """
    return _register("GET", path, scope, people, shows_people=people is not None, is_shared=shared)


def post(
    path: str, scope: Scope, action: Action | None, *, first: Callable[[Asked], Answer | None] | None = None
) -> Callable[[Handler], Handler]:
    """Register a form's address. action: what is audited; None only where the handler audits by itself.

    first: asks what takes a while, such as another server, before the transaction begins, which keeps other writers
    waiting. It only reads. If it gives an answer, that is the form's, and the handler isn't called.
    """
    return _register("POST", path, scope, action, shows_people=False, first=first)


def upload(path: str, scope: Scope, action: Action) -> Callable[[Handler], Handler]:
    """Register the address of a form with files to look at: the handler only reads, and nothing is stored."""
    return _register("POST", path, scope, action, shows_people=True, takes_files=True)


def _register(
    method: str,
    path: str,
    scope: Scope,
    action: Action | None,
    *,
    shows_people: bool,
    takes_files: bool = False,
    is_shared: bool = False,
    first: Callable[[Asked], Answer | None] | None = None,
) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        ENDPOINTS.append(Endpoint(method, path, scope, handler, action, shows_people, takes_files, is_shared, first))
        return handler

    return register


def routes() -> list[Route]:
    """Every page's route, in the order they were registered."""
    return [Route(endpoint.path, _answering(endpoint), methods=[endpoint.method]) for endpoint in ENDPOINTS]


def _answering(endpoint: Endpoint) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        if endpoint.method == "GET":
            return await run_in_threadpool(_answer, endpoint, request, FormData())
        report: Report = request.app.state.report
        most, files = MAX_FORM_BYTES, 0
        # What somebody sends is read only once it is known that they may send it.
        if endpoint.scope is Scope.ANYBODY:
            most = MAX_ANYBODYS_BYTES
        elif (refusal := await run_in_threadpool(_refusal, endpoint, request)) is not None:
            return refusal
        if endpoint.takes_files:
            most, files = report.settings.check_megabytes * MEGABYTE, MAX_FILES
        try:
            limited = Request(request.scope, _limited(request, most))
            async with limited.form(max_files=files, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES) as form:
                return await run_in_threadpool(_answer, endpoint, request, form)
        except TooLarge:
            return await run_in_threadpool(_too_large, request)

    return answer


class TooLarge(Exception):
    """More was sent than a form may send."""


def _limited(request: Request, most: int) -> Receive:
    """What receives a request's body, up to so many bytes.

    Raises:
        TooLarge: there are more.
    """
    received = 0

    async def receive() -> Message:
        nonlocal received
        message = await request.receive()
        received += len(message.get("body", b""))
        if received <= most:
            return message
        # A browser hears an answer only once it has sent everything; it is read, and not kept, unless it has no end.
        while message.get("more_body") and received <= 4 * most:
            message = await request.receive()
            received += len(message.get("body", b""))
        raise TooLarge

    return receive


def _too_large(request: Request) -> Response:
    report: Report = request.app.state.report
    return report.error(request, report.who(request, clock.now()), 413)


def _refusal(endpoint: Endpoint, request: Request) -> Response | None:
    """The answer to whoever may not open a page, None to those who may."""
    report: Report = request.app.state.report
    now = clock.now()
    viewer = report.who(request, now)
    if not viewer.name:
        return _sign_in_first(request)
    try:
        with report.database.reading() as session:
            _look_up(endpoint, Asked(request, report, session, viewer, now, FormData()))
    except NotFound:
        return report.error(request, viewer, 404)
    return None


def _answer(endpoint: Endpoint, request: Request, form: FormData) -> Response:
    report: Report = request.app.state.report
    now, viewer = clock.now(), NOBODY
    after: list[Callable[[], object]] = []
    failed = ""
    try:
        viewer = report.who(request, now)
        if endpoint.scope is not Scope.ANYBODY and not viewer.name:
            return _sign_in_first(request)
        if endpoint.first is not None and (refused := _ask_first(endpoint, request, viewer, now, form)) is not None:
            return refused
        opened = report.database.transaction if endpoint.changes else report.database.reading
        with opened() as session:
            asked = Asked(request, report, session, viewer, now, form, after=after)
            _look_up(endpoint, asked)
            response = _shared(endpoint, asked) if endpoint.is_shared else _rendered(asked, endpoint.handler(asked))
            # A form that comes back with what is wrong with it has changed nothing.
            if endpoint.action is not None and endpoint.changes and response.status_code < 400:
                _audit(endpoint, asked, session)
        if endpoint.action is not None and not endpoint.changes:
            report.views.write(lambda session: _audit(endpoint, asked, session))
    except NotFound:
        return report.error(request, viewer, 404)
    except NotPossible as error:
        return report.error(request, viewer, 409, error.message)
    except DatabaseUnavailable:
        return report.error(request, viewer, 503)
    except Exception as error:  # noqa: BLE001
        failed = type(error).__name__
    if failed:
        # Never the exception itself, which the server would log: it may hold values of a roster. And only once it is
        # handled: a log handler that fails prints every exception in hand.
        log.error("%s %s failed with %s", endpoint.method, endpoint.path, failed)
        return report.error(request, viewer, 500)
    for each in after:
        report.afterwards(each)
    if endpoint.changes:
        report.forget()
    return response


def _ask_first(endpoint: Endpoint, request: Request, viewer: Viewer, now: datetime, form: FormData) -> Response | None:
    """What a form is answered before anything can change; None if it goes on."""
    assert endpoint.first is not None
    report: Report = request.app.state.report
    with report.database.reading() as session:
        asked = Asked(request, report, session, viewer, now, form)
        _look_up(endpoint, asked)
        answer = endpoint.first(asked)
        if answer is None:
            return None
        response = _rendered(asked, answer)
    with report.database.transaction() as session:
        _audit(endpoint, asked, session)
    return response


def _look_up(endpoint: Endpoint, asked: Asked) -> None:
    """Find what the address names, within the viewer's scope.

    Raises:
        NotFound: it does not exist, or not for this viewer.
    """
    viewer, part = asked.viewer, asked.part
    if endpoint.scope is Scope.OPERATORS and not viewer.is_operator:
        raise NotFound("there is no such page")
    if endpoint.scope is Scope.DISTRICT:
        asked._district = viewers.district_for(asked.session, viewer, part["district"])
    if endpoint.scope is Scope.SCHOOL:
        asked._school = viewers.school_for(asked.session, viewer, f"{part['district']}/{part['school']}")
        asked._district = get_district(asked.session, asked._school.district_id)


def _audit(endpoint: Endpoint, asked: Asked, session: Session) -> None:
    assert endpoint.action is not None
    audit.record(
        session,
        endpoint.action,
        actor=asked.viewer.name or "nobody signed in",
        at=asked.now,
        district_id=asked._district.id if asked._district is not None else None,
        school_id=asked._school.id if asked._school is not None else None,
        subject=asked.about,
        detail=asked.detail,
        network=asked.network or None,
    )


@dataclass(frozen=True)
class Made:
    """An answer that readers share, and what the audit log says of it. The reader's name is left open."""

    body: bytes
    media_type: str | None
    status: int
    about: str | None
    detail: str | None


# In place of the reader's name; no page holds this character, as it is no letter of any script.
_NAME = "\U0010fffd"


def _shared(endpoint: Endpoint, asked: Asked) -> Response:
    """The page as it was made a moment ago for somebody with the same rights, or now."""
    viewer, request = asked.viewer, asked.request
    rights = (viewer.is_operator, viewer.is_read_only, viewer.administers(asked.district.id))
    wanted = (request.url.path, str(request.url.query), is_htmx(request), wants_json(request))
    language = request.headers.get("accept-language", "")

    def make(asked: Asked) -> Made:
        _look_up(endpoint, asked)
        unnamed = replace(asked, viewer=replace(viewer, name=_NAME if viewer.name else ""))
        made = _rendered(unnamed, endpoint.handler(unnamed))
        return Made(bytes(made.body), made.media_type, made.status_code, unnamed.about, unnamed.detail)

    made = asked.report.kept(asked, ("page", rights, wanted, language), make)
    asked.about, asked.detail = made.about, made.detail
    body = made.body.replace(_NAME.encode(), str(escape(viewer.name)).encode())
    return Response(body, made.status, media_type=made.media_type)


def _rendered(asked: Asked, answer: Answer) -> Response:
    match answer:
        case Redirect(path):
            if is_htmx(asked.request):
                return Response(status_code=204, headers={"HX-Redirect": path})
            return RedirectResponse(path, status_code=303)
        case Page():
            if wants_json(asked.request):
                if answer.data is None:
                    raise NotFound("this page has no JSON")
                return JSONResponse(answer.data(), status_code=answer.status)
            return asked.report.render(asked, answer)
        case _ if asked.viewer.is_read_only:
            raise NotFound("an access token reads JSON only")
        case _:
            return answer


def row_number(text: str) -> int | None:
    """The number of a row that a text gives; None where it is none, or more than a database numbers rows by."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def download(name: str, csv: str) -> Response:
    """A CSV file to keep. name: without its ending. The mark at its start lets a spreadsheet read it as UTF-8."""
    return attachment(f"{name}.csv", "\ufeff" + csv)


def attachment(name: str, content: str | bytes, media_type: str = "text/csv; charset=utf-8") -> Response:
    """A file to keep, as it is; a CSV file unless its type says otherwise."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", name)
    headers = {"Content-Disposition": f'attachment; filename="{safe}"'}
    return Response(content, media_type=media_type, headers=headers)


def is_htmx(request: Request) -> bool:
    """Whether htmx asks, for a part of a page."""
    return request.headers.get("hx-request") == "true"


def wants_json(request: Request) -> bool:
    """Whether a program asks: it sends an access token, or accepts JSON and no HTML."""
    accepted = request.headers.get("accept", "")
    return bearer(request) is not None or ("application/json" in accepted and "text/html" not in accepted)


def bearer(request: Request) -> str | None:
    """The access token that a request carries."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _sign_in_first(request: Request) -> Response:
    if wants_json(request):
        return JSONResponse(
            {"error": "sign in, or send an access token"}, status_code=401, headers={"WWW-Authenticate": "Bearer"}
        )
    # htmx asks for parts of the page that the person sees.
    page = urlsplit(request.headers.get("hx-current-url", "") if is_htmx(request) else str(request.url))
    back = own_path(page.path + (f"?{page.query}" if page.query else "")) if request.method == "GET" else "/"
    target = f"/sign-in?next={quote(back, safe='')}" if back != "/" else "/sign-in"
    if is_htmx(request):
        return Response(status_code=204, headers={"HX-Redirect": target})
    return RedirectResponse(target, status_code=303)
