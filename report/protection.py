"""What every answer is protected by: where a request may come from, and what a browser may do with a page.

Rule: no token in forms. An unsafe method is refused unless the browser says that it comes from our own pages
(Sec-Fetch-Site), or, from a browser that does not say, unless Origin is ours; cookies are SameSite=Lax.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "X-Frame-Options": "DENY",
}
STATIC = "/static/"

# Answers a request that is refused before anybody is asked who they are.
Refusal = Callable[[Request], Response]


class Protection:
    """Middleware: refuses what comes from other sites, and adds the headers that restrict a page."""

    def __init__(self, app: ASGIApp, *, is_secure: bool, refusal: Refusal) -> None:
        self._app, self._refusal = app, refusal
        self._headers = HEADERS | ({"Strict-Transport-Security": "max-age=31536000"} if is_secure else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, unless another site sent it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        started = time.perf_counter()

        async def protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(self._headers)
                headers["Server-Timing"] = f"app;dur={(time.perf_counter() - started) * 1000:.1f}"
                if not scope["path"].startswith(STATIC):
                    headers["Cache-Control"] = "no-store"
                    headers.append("Vary", "HX-Request, Accept, Cookie")
            await send(message)

        if scope["method"] not in SAFE_METHODS and not is_ours(Headers(scope=scope)):
            response = await run_in_threadpool(self._refusal, Request(scope))
            await response(scope, receive, protected)
            return
        await self._app(scope, receive, protected)


class OwnHosts:
    """Middleware: refuses what asks for another host than ours, as Starlette's own does, with a page of ours."""

    def __init__(self, app: ASGIApp, *, hosts: Sequence[str], refusal: Refusal) -> None:
        self._app, self._hosts, self._refusal = app, hosts, refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request for one of our hosts on."""
        passed = False

        async def is_passed_on(*_: object) -> None:
            nonlocal passed
            passed = True

        async def unsaid(_message: Message) -> None:
            return None

        await TrustedHostMiddleware(is_passed_on, self._hosts, www_redirect=False)(scope, receive, unsaid)
        if passed:
            await self._app(scope, receive, send)
            return
        response = await run_in_threadpool(self._refusal, Request(scope))
        await response(scope, receive, send)


def is_ours(headers: Headers) -> bool:
    """Whether an unsafe request comes from a page of ours, or from no browser that carries somebody's cookies."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    if origin is None:
        # A browser says at least one of the two for an unsafe request.
        return "cookie" not in headers
    return urlsplit(origin).netloc == headers.get("host", "")


def own_path(address: str) -> str:
    """A page of ours to go on to, as an address names it; the first page, where it names anything else.

    Browsers read a backslash as a slash, and leave out tabs and line ends: //host and its like are another host's.
    """
    return address if re.fullmatch(r"/(?!/)[^\\\s\x00-\x1f\x7f]*", address) else "/"
