"""Signing in with an OpenID provider: the way there, and back.

Both are opened by GET, as a provider sends browsers here with one; each writes in a transaction of its own.
"""

from __future__ import annotations

from urllib.parse import urlencode

from sqlmodel import Session
from starlette.responses import RedirectResponse

from errors import NotFound, NotPossible, SourceUnreachable
from models.tables import OpenIdRequest
from report.protection import own_path
from report.routing import Answer, Asked, Page, Redirect, Scope, get
from services.access import audit, openid, sessions, viewers
from services.access.audit import Action
from services.access.openid import CLEVER, Person, Provider
from services.access.viewers import NOBODY


@get("/sign-in/with/{provider}", Scope.ANYBODY)
def begin(asked: Asked) -> Answer:
    """Send the browser to the provider."""
    district = asked.query.get("district")
    provider = next(
        (
            each
            for each in asked.report.settings.openid_providers()
            if each.kind == asked.part["provider"] and each.district_id in (None, district)
        ),
        None,
    )
    if provider is None or asked.request.method != "GET":
        raise NotFound("there is no such provider")
    asked.let_go()
    browser, following = asked.report.browser(asked), own_path(asked.query.get("next", "/"))
    with asked.report.database.transaction() as session:
        begun = openid.begin(
            session, provider, browser=browser, network=asked.network, next_path=following, now=asked.now
        )
    if begun is None:
        return _failed("often", provider.name, status=429)
    state, request = begun
    try:
        address = openid.address_at(
            provider, asked.report.published, request, state, callback=_callback(asked, provider.kind), now=asked.now
        )
    except SourceUnreachable:
        return _failed("unreachable", provider.name, status=503)
    response = RedirectResponse(address, status_code=303)
    asked.report.set_browser(response, browser)
    return response


@get("/sign-in/with/{provider}/callback", Scope.ANYBODY)
def callback(asked: Asked) -> Answer:
    """Where the provider sends the browser back to, or Clever's portal sends one first."""
    providers = [each for each in asked.report.settings.openid_providers() if each.kind == asked.part["provider"]]
    # Something that only looks whether a link works would use up the code.
    if not providers or asked.request.method != "GET":
        raise NotFound("there is no such provider")
    name, state, code = providers[0].name, asked.query.get("state", ""), asked.query.get("code", "")
    if not state and providers[0].kind == CLEVER:
        # A launch from its portal. Its code might be somebody else's, and is never exchanged: begin here instead.
        return Redirect(f"/sign-in/with/{CLEVER}?{urlencode({'next': '/'})}")
    asked.let_go()
    with asked.report.database.transaction() as session:
        browser = asked.request.cookies.get(asked.report.browser_cookie)
        request = openid.take(session, state, kind=providers[0].kind, browser=browser, now=asked.now)
    provider = next((each for each in providers if request is not None and each.id == request.provider), None)
    if request is None or provider is None:
        return _refused(asked, "again", name, "the sign-in was not begun in this browser, or is used or too old")
    if not code:
        return _refused(asked, "denied", name, "the provider did not sign anybody in")
    try:
        person = openid.exchange(
            provider, asked.report.published, request, code, callback=_callback(asked, provider.kind), now=asked.now
        )
    except SourceUnreachable:
        return _failed("unreachable", name, status=503)
    except NotPossible as error:
        return _refused(asked, "refused", name, error.message)
    return _let_in(asked, provider, request, person)


def _let_in(asked: Asked, provider: Provider, request: OpenIdRequest, person: Person) -> Answer:
    """Sign in whoever has the address that the provider vouches for, or that the identity is tied to."""
    operators = asked.report.settings.operators
    with asked.report.database.transaction() as session:
        for email in (person.email, openid.address_of(session, person.identity)):
            viewer = viewers.viewer_of(session, email, operators) if email is not None else NOBODY
            if viewer.sees_anything:
                if openid.tie(session, person.identity, viewer.name, now=asked.now):
                    audit.record_person(
                        session,
                        Action.ACCOUNT_CONNECTED,
                        viewer,
                        at=asked.now,
                        detail=provider.name,
                        network=asked.network,
                    )
                return asked.report.enter(asked, session, viewer, method=provider.name, path=request.next_path)
        # Whoever was signed in here is not who came, and an address that the setup no longer names is nobody's.
        openid.untie(session, person.identity)
        _end_session(asked, session)
        openid.wait(session, request, person.identity)
    response = RedirectResponse("/sign-in/confirm", status_code=303)
    asked.report.clear_session(response)
    return response


def _end_session(asked: Asked, session: Session) -> None:
    token = asked.request.cookies.get(asked.report.cookie)
    if token is not None:
        sessions.end(session, token, now=asked.now)


def _refused(asked: Asked, why: str, name: str, detail: str) -> Answer:
    with asked.report.database.transaction() as session:
        audit.record(
            session,
            Action.SIGN_IN_FAILED,
            actor="nobody signed in",
            at=asked.now,
            detail=f"{name}: {detail}",
            network=asked.network,
        )
    return _failed(why, name, status=403)


def _failed(why: str, name: str, *, status: int) -> Page:
    return Page("sign_in_failed.html", {"why": why, "provider": name}, status=status)


def _callback(asked: Asked, kind: str) -> str:
    return f"{asked.report.settings.report_address}/sign-in/with/{kind}/callback"
