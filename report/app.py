"""The application: its routes, its middleware, and what its pages share."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from anyio.to_thread import current_default_thread_limiter
from sqlmodel import Session
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from models.database import Database
from report import rendering
from report.auditing import Views
from report.caching import Cached
from report.pages import load
from report.protection import OwnHosts, Protection
from report.routing import Asked, Page, Redirect, bearer, is_htmx, routes, wants_json
from report.texts import language_for, marked
from report.work import Work
from services import clock
from services.access import audit, sessions, sign_in, tokens, viewers
from services.access.audit import Action
from services.access.openid import Published
from services.access.secrets import new_secret
from services.access.viewers import NOBODY, Viewer
from services.intake.adapters import ADAPTERS
from services.mail import outbox
from services.status.report import DistrictReport, district_report
from services.sync import running
from services.webhooks import calls
from settings import Settings

log = logging.getLogger("rollcall.report")

Value = TypeVar("Value")

# Requests at once. Those of pages with people may wait for a night that writes, and are not to keep others waiting.
AT_ONCE = 200

ERRORS = {
    400: (marked("We couldn't read what was sent"), marked("Go back, reload the page and try again.")),
    403: (
        marked("This came from another site"),
        marked("Nothing was changed. Open the page in the report and try again there."),
    ),
    404: (marked("We couldn't find that page"), marked("It may have moved, or you may not have access to it.")),
    405: (marked("That page can't be opened this way"), marked("Go back and use the buttons on the page.")),
    409: (marked("That isn't possible right now"), marked("Go back and reload the page to see what has changed.")),
    413: (
        marked("That's more than we can take at once"),
        marked("Go back and choose only the files that the page asks for."),
    ),
    500: (
        marked("Something went wrong on our side"),
        marked("Nothing was changed. Please try again; our team has been notified."),
    ),
    503: (marked("The report is busy"), marked("Please try again in a minute. Your data is safe.")),
}
OTHER_HOST = (marked("The report isn't at this address"), marked("Open it at its own address."))

# Starts a district's run elsewhere, where there is something that runs it; whether it did. The schools are given by
# their keys, None for all.
Starter = Callable[[str, list[str] | None], bool]


class Report:
    """What all pages share: the database, the settings, and reports kept for a moment."""

    def __init__(
        self, database: Database, settings: Settings, *, keep: float = 2.0, starter: Starter | None = None
    ) -> None:
        self.database = database
        self.settings = settings
        self._starter = starter
        self.is_secure = urlsplit(settings.report_address).scheme == "https"
        self.looks: Work = Work(keep=300, at_once=2)
        self.views = Views(database)
        self.published = Published()
        self._kept: Cached[Any] = Cached(keep, self.background)
        self._background = ThreadPoolExecutor(max_workers=4, thread_name_prefix="report")
        # Runs are long, and other servers may be slow: nothing else is to wait for them.
        self._outgoing = ThreadPoolExecutor(max_workers=4, thread_name_prefix="outgoing")
        self._runs = ThreadPoolExecutor(max_workers=4, thread_name_prefix="run")

    @property
    def cookie(self) -> str:
        """The name of the session's cookie. Over HTTPS a browser takes it from this very host only."""
        return "__Host-rollcall" if self.is_secure else "rollcall"

    def who(self, request: Request, now: datetime) -> Viewer:
        """Who asks, by the session's cookie or an access token."""
        program = bearer(request)
        if program is not None:
            return self._program(request, program, now)
        token = request.cookies.get(self.cookie)
        if token is None:
            return NOBODY
        with self.database.reading() as session:
            found = sessions.find(session, token, now=now)
            if found is None or found.id is None:
                return NOBODY
            viewer = viewers.viewer_of(session, found.email, self.settings.operators)
        if not viewer.sees_anything:
            # Whoever the setup no longer names is signed in no longer, even if it names them again.
            self.background(lambda: self._end(token))
            return NOBODY
        # What a page asks for by itself is no use of it: a tab left open ends its session like any other.
        if not is_htmx(request) and sessions.is_to_be_noted(found, now):
            number = found.id
            self.background(lambda: self._note(number))
        return viewer

    def _end(self, token: str) -> None:
        with self.database.transaction() as session:
            sessions.end(session, token, now=clock.now())

    def _note(self, session_id: int) -> None:
        with self.database.transaction() as session:
            sessions.note(session, session_id, now=clock.now())

    def _program(self, request: Request, token: str, now: datetime) -> Viewer:
        """The program that sends a token; nobody for a request that might change something."""
        if request.method not in ("GET", "HEAD"):
            return NOBODY
        with self.database.reading() as session:
            viewer, found = tokens.find(session, token)
        if found is not None and found.id is not None and tokens.is_to_be_noted(found, now):
            number = found.id
            self.background(lambda: self._note_token(number))
        return viewer

    def _note_token(self, token_id: int) -> None:
        with self.database.transaction() as session:
            tokens.note(session, token_id, now=clock.now())

    def background(self, do: Callable[[], object]) -> None:
        """Do something in the database after the answer; what goes wrong is logged by its kind only."""
        self._background.submit(_logged, do)

    def afterwards(self, do: Callable[[], object]) -> None:
        """Do what a form asked for after its answer, such as sending mail, however long it takes."""
        self._outgoing.submit(_logged, do)

    def sync(self, asked: Asked, schools: list[str] | None, back: str, *, said: str = "sync_started") -> Redirect:
        """Have the district, or the schools with these keys, synced, and go back, where it is said; or why it can't be.

        Raises:
            NotPossible: a school is never synced.
        """
        obstacle = running.obstacle(asked.session, asked.district.id, schools, asked.now)
        if obstacle is not None:
            asked.detail = f"not started: {obstacle}"
            return Redirect(f"{back}?said=sync_{obstacle}")
        district_id = asked.district.id
        asked.afterwards(lambda: self.start(district_id, schools))
        return Redirect(f"{back}?said={said}")

    def start(self, district_id: str, schools: list[str] | None) -> None:
        """Start a run of a district, or of the schools with these keys, and return at once.

        It runs where the starter says, else in this process, once no other run has the district in hand. A decision is
        to be committed before: call it by `Asked.afterwards`.
        """
        self._runs.submit(_logged, lambda: self._run(district_id, schools))

    def _run(self, district_id: str, schools: list[str] | None) -> None:
        if self._starter is not None and self._starter(district_id, schools):
            return
        try:
            running.run_district(
                self.database,
                district_id,
                schools,
                landing=self.settings.landing_area,
                adapter=lambda kind: ADAPTERS[kind](self.settings.connection(kind)),
                id_secret=self.settings.hashing_secret,
            )
        finally:
            self.forget()
            outbox.deliver(
                self.database,
                self.settings.mail_transport(),
                sender=self.settings.mail_sender,
                now=clock.now(),
                report_url=self.settings.report_url,
            )
            calls.deliver(self.database, now=clock.now(), allow_private=self.settings.webhooks_may_be_private)

    def district_report(self, asked: Asked, district_id: str) -> DistrictReport:
        """The report of a district, at most a moment old. Pages of it change nothing of it."""

        def made(asked: Asked) -> DistrictReport:
            return district_report(asked.session, district_id, now=asked.now)[0]

        return self.kept(asked, ("report", district_id), made)

    def kept(self, asked: Asked, key: object, make: Callable[[Asked], Value]) -> Value:
        """What somebody asked for a moment ago under the same key, else made anew. It is changed by nobody.

        make: gets the request, or a copy of it with a session of its own.
        """
        later = None if asked.is_later else lambda: self._later(asked, make)
        found: Value = self._kept.get(key, lambda: make(asked), later)
        return found

    def _later(self, asked: Asked, make: Callable[[Asked], Value]) -> Value:
        with self.database.reading() as session:
            return make(replace(asked, session=session, now=clock.now(), is_later=True))

    def forget(self) -> None:
        """Read everything again, as something was changed."""
        self._kept.clear()

    def enter(self, asked: Asked, session: Session, viewer: Viewer, *, method: str, path: str) -> Response:
        """Sign somebody in, in the place of whoever was in this browser, and go on to a page. Audits it."""
        before = asked.request.cookies.get(self.cookie)
        token = sessions.begin(session, viewer.name, method, now=asked.now, replaces=before)
        audit.record_person(
            session, Action.SIGNED_IN, viewer, at=asked.now, detail=f"by {method}", network=asked.network
        )
        response = RedirectResponse(path, status_code=303)
        response.set_cookie(self.cookie, token, path="/", secure=self.is_secure, httponly=True, samesite="lax")
        response.delete_cookie(self.browser_cookie, path="/", secure=self.is_secure, httponly=True, samesite="lax")
        return response

    @property
    def browser_cookie(self) -> str:
        """The name of the cookie that tells the browser in which somebody began to sign in."""
        return f"{self.cookie}-browser"

    def browser(self, asked: Asked) -> str:
        """The secret of the browser that asks; a new one for a browser that has none."""
        return asked.request.cookies.get(self.browser_cookie) or new_secret()

    def set_browser(self, response: Response, secret: str) -> None:
        """Let a browser keep its secret for as long as a link lasts."""
        response.set_cookie(
            self.browser_cookie,
            secret,
            max_age=int(sign_in.LASTS.total_seconds()),
            path="/",
            secure=self.is_secure,
            httponly=True,
            samesite="lax",
        )

    def clear_session(self, response: Response) -> None:
        """Take a browser's session away."""
        response.delete_cookie(self.cookie, path="/", secure=self.is_secure, httponly=True, samesite="lax")

    def render(self, asked: Asked, page: Page) -> Response:
        """A page for whoever asked, or, for htmx, the block of it that it may change."""
        block = page.block if is_htmx(asked.request) else None
        values = {
            **shared_values(asked.request, asked.viewer, asked.now, asked.zone),
            "is_static": asked.is_static,
            "with_people": asked.with_people,
            "district": asked._district,
            "school": asked._school,
            **page.values,
        }
        html = rendering.rendered(language_of(asked.request), page.template, values, block)
        return HTMLResponse(html, status_code=page.status)

    def refuse_other_site(self, request: Request) -> Response:
        """The page for what another site sends; whose session it carries is not looked at."""
        return self.error(request, NOBODY, 403)

    def refuse_other_host(self, request: Request) -> Response:
        """The page for what is asked of a host that isn't ours."""
        return self.error(request, NOBODY, 400, words=OTHER_HOST, home=self.settings.report_address)

    def error(
        self,
        request: Request,
        viewer: Viewer,
        status: int,
        message: str | None = None,
        *,
        words: tuple[str, str] | None = None,
        home: str = "/",
    ) -> Response:
        """The page for an error. message: what stands in the way, where that is known. words: its title and remedy."""
        title, remedy = words or ERRORS.get(status, ERRORS[500])
        if wants_json(request):
            return JSONResponse({"error": message or title}, status_code=status)
        if is_htmx(request):
            # What follows by itself stays as it is, says how old it is, and asks again.
            return Response(status_code=status)
        values = {
            **shared_values(request, viewer, clock.now(), ZoneInfo("UTC")),
            "district": None,
            "school": None,
            "status": status,
            "title": title,
            "message": message,
            "remedy": remedy,
            "home": home,
        }
        html = rendering.rendered(language_of(request), "error.html", values, None)
        return HTMLResponse(html, status_code=status)

    def close(self) -> None:
        """Let what runs in the background end. Runs that have not begun never do: the next night makes up for them."""
        self.looks.close()
        self._runs.shutdown(wait=True, cancel_futures=True)
        self._outgoing.shutdown(wait=True)
        self._background.shutdown(wait=True)
        self.views.close()


def _logged(do: Callable[[], object]) -> None:
    # Never the exception itself: it may hold values of a roster. And only once it is handled: a log handler that fails
    # prints every exception in hand.
    failed = ""
    try:
        do()
    except Exception as error:  # noqa: BLE001
        failed = type(error).__name__
    if failed:
        log.error("a task in the background failed with %s", failed)


def language_of(request: Request) -> str:
    """The language to answer in."""
    return language_for(request.headers.get("accept-language", ""))


def shared_values(request: Request, viewer: Viewer, now: datetime, zone: ZoneInfo) -> Mapping[str, Any]:
    """What every template may use."""
    return {
        "viewer": viewer,
        "now": now,
        "zone": zone,
        "path": request.url.path,
        "language": language_of(request),
        "is_static": False,
        "with_people": True,
        "said": request.query_params.get("said"),
    }


def create_app(
    database: Database, settings: Settings, *, keep: float = 2.0, starter: Starter | None = None
) -> Starlette:
    """The report over a database. keep: how many seconds a district's report is kept. starter: starts its runs."""
    load()
    report = Report(database, settings, keep=keep, starter=starter)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> Any:
        current_default_thread_limiter().total_tokens = AT_ONCE
        yield
        report.close()

    hosts = {urlsplit(settings.report_address).hostname or "", "localhost", "127.0.0.1", "[::1]"}
    app = Starlette(
        routes=[*routes(), Mount("/static", StaticFiles(directory=rendering.STATIC), name="static")],
        middleware=[
            Middleware(Protection, is_secure=report.is_secure, refusal=report.refuse_other_site),
            Middleware(OwnHosts, hosts=sorted(hosts), refusal=report.refuse_other_host),
            # The highest level takes three times as long for pages that are hardly smaller.
            Middleware(GZipMiddleware, minimum_size=1_000, compresslevel=5),
        ],
        exception_handlers={400: _not_found, 404: _not_found, 405: _not_found, 500: _failed, Exception: _failed},
        lifespan=lifespan,
    )
    app.state.report = report
    return app


def _not_found(request: Request, error: Exception) -> Response:
    report: Report = request.app.state.report
    return report.error(request, report.who(request, clock.now()), getattr(error, "status_code", 404))


def _failed(request: Request, error: Exception) -> Response:
    # Never the exception itself: it may hold values of a roster.
    log.error("%s %s failed with %s", request.method, request.scope.get("path", ""), type(error).__name__)
    report: Report = request.app.state.report
    return report.error(request, NOBODY, 500)
