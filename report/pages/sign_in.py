"""Signing in by an emailed link, signing out, and somebody's own account.

A mail scanner opens links, and presses buttons: opening one changes nothing, and a button works by itself only in the
browser that asked.
"""

from __future__ import annotations

from urllib.parse import quote, urlencode

from starlette.responses import RedirectResponse

from contracts.addresses import mail_address
from models.tables import SignInLink
from report.protection import own_path
from report.routing import Answer, Asked, Page, Redirect, Scope, get, post
from services.access import audit, openid, sessions, sign_in, viewers
from services.access.audit import Action
from services.access.openid import MICROSOFT, Provider
from services.access.sign_in import Identity, Secrets, Spending


@get("/sign-in", Scope.ANYBODY)
def sign_in_page(asked: Asked) -> Answer:
    """Where somebody asks for a link, or goes to a provider."""
    following = own_path(asked.query.get("next", "/"))
    if asked.viewer.name:
        return Redirect(following)
    return _form(asked, following)


def _form(asked: Asked, following: str, *, problem: str | None = None, status: int = 200) -> Page:
    ways = [
        (provider.name, f"/sign-in/with/{provider.kind}?{urlencode(_at_provider(provider, following))}")
        for provider in _offered(asked, following)
    ]
    values = {"following": following, "ways": ways, "problem": problem, "typed": asked.field("email")}
    return Page("sign_in.html", values, status=status)


def _at_provider(provider: Provider, following: str) -> dict[str, str]:
    return {"next": following} | ({"district": provider.district_id} if provider.district_id else {})


def _offered(asked: Asked, following: str) -> list[Provider]:
    """The providers to offer: where each district has its own Microsoft tenant, that of the page asked for."""
    found = asked.report.settings.openid_providers()
    tenants = [provider for provider in found if provider.kind == MICROSOFT]
    place = following.split("?")[0].split("/")
    district = place[2] if len(place) > 2 and place[1] in ("districts", "schools") else None
    return [
        provider
        for provider in found
        if provider.kind != MICROSOFT or len(tenants) == 1 or provider.district_id == district
    ]


@post("/sign-in", Scope.ANYBODY, None)
def ask(asked: Asked) -> Answer:
    """Ask for a link. The answer is the same for every address; whether it is known is looked up afterwards."""
    following = own_path(asked.field("next"))
    try:
        email = mail_address(asked.field("email")).casefold()
    except ValueError:
        return _form(asked, following, problem="address", status=422)
    return _asked(asked, email, following) or _form(asked, following, problem="often", status=429)


def _asked(
    asked: Asked, email: str, following: str, *, identity: Identity | None = None, provider: str | None = None
) -> Answer | None:
    """Make a link and mail it in the background; None where there were too many."""
    report, now, network = asked.report, asked.now, asked.network
    browser = report.browser(asked)
    secrets = sign_in.ask(asked.session, email, network=network, browser=browser, now=now, identity=identity)
    if secrets is None:
        return None
    address = _link_address(asked, secrets.token, following)

    def mail_if_known() -> None:
        with report.database.transaction() as session:
            viewer = viewers.viewer_of(session, email, report.settings.operators)
            action = Action.LINK_MADE if viewer.sees_anything else Action.SIGN_IN_FAILED
            audit.record_person(
                session,
                action,
                viewer,
                actor=None if viewer.sees_anything else "nobody signed in",
                at=now,
                detail="sign-in link mailed" if viewer.sees_anything else "the address is not set up",
                network=network,
            )
        if viewer.sees_anything:
            _mail(asked, email, address, secrets, provider)

    asked.afterwards(mail_if_known)
    response = RedirectResponse("/sign-in/sent", status_code=303)
    report.set_browser(response, browser)
    return response


def _link_address(asked: Asked, token: str, following: str) -> str:
    # In the query, not in the path, which is logged when a page fails.
    more = f"&next={quote(following, safe='')}" if following != "/" else ""
    return f"{asked.report.settings.report_address}/sign-in/link?token={token}{more}"


def _mail(asked: Asked, email: str, address: str, secrets: Secrets, provider: str | None) -> None:
    settings = asked.report.settings
    message = sign_in.mail(email, address, secrets.code, provider=provider, sender=settings.mail_sender, now=asked.now)
    transport = settings.mail_transport()
    try:
        transport.send(message, [email])
    finally:
        transport.close()


@get("/sign-in/sent", Scope.ANYBODY)
def sent(asked: Asked) -> Answer:
    """What to do next, whether or not a mail went."""
    return Page("sign_in_sent.html", {"minutes": sign_in.LASTS.seconds // 60})


@get("/sign-in/link", Scope.ANYBODY)
def link_page(asked: Asked) -> Answer:
    """What a link opens: a button, and in another browser a field for the code. It changes nothing."""
    token, following = asked.query.get("token", ""), own_path(asked.query.get("next", "/"))
    return _link(asked, sign_in.find(asked.session, token, now=asked.now), token, following)


def _link(
    asked: Asked, link: SignInLink | None, token: str, following: str, *, problem: bool = False, status: int = 200
) -> Page:
    if link is None:
        return Page("sign_in_over.html", {"following": following}, status=410)
    values = {
        "email": link.email,
        "token": token,
        "following": following,
        "is_own": sign_in.is_browsers(link, asked.request.cookies.get(asked.report.browser_cookie)),
        "has_code": bool(link.code_hash),
        "provider": _provider_of(asked, link.issuer),
        "problem": problem,
    }
    return Page("sign_in_link.html", values, status=status)


def _provider_of(asked: Asked, issuer: str | None) -> str | None:
    if issuer is None:
        return None
    named = {provider.issuer: provider.name for provider in asked.report.settings.openid_providers()}
    return named.get(issuer, issuer)


@post("/sign-in/link", Scope.ANYBODY, None)
def spend(asked: Asked) -> Answer:
    """Spend a link, and sign in."""
    token, following = asked.field("token"), own_path(asked.field("next"))
    browser = asked.request.cookies.get(asked.report.browser_cookie)
    result, link = sign_in.spend(asked.session, token, browser=browser, code=asked.field("code"), now=asked.now)
    if link is None:
        return _link(asked, None, token, following)
    viewer = viewers.viewer_of(asked.session, link.email, asked.report.settings.operators)
    if result is not Spending.DONE or not viewer.sees_anything:
        audit.record_person(
            asked.session,
            Action.SIGN_IN_FAILED,
            viewer,
            at=asked.now,
            detail=result.value if result is not Spending.DONE else "the address is no longer set up",
            network=asked.network,
        )
        shown = link if result in (Spending.WRONG_CODE, Spending.OTHER_BROWSER) else None
        return _link(asked, shown, token, following, problem=result is Spending.WRONG_CODE, status=403)
    method = "link"
    if link.issuer is not None and link.subject is not None:
        method = _provider_of(asked, link.issuer) or method
        openid.tie(asked.session, Identity(link.issuer, link.subject), link.email, now=asked.now)
        audit.record_person(
            asked.session, Action.ACCOUNT_CONNECTED, viewer, at=asked.now, detail=method, network=asked.network
        )
    return asked.report.enter(asked, asked.session, viewer, method=method, path=following)


@get("/sign-in/confirm", Scope.ANYBODY)
def confirm_page(asked: Asked) -> Answer:
    """Where somebody whom a provider knows, and we don't yet, gives the address that the setup names."""
    waiting = openid.waiting(asked.session, asked.request.cookies.get(asked.report.browser_cookie), now=asked.now)
    if waiting is None:
        return Redirect("/sign-in")
    return Page("sign_in_confirm.html", {"provider": _provider_of(asked, waiting.issuer), "problem": None, "typed": ""})


@post("/sign-in/confirm", Scope.ANYBODY, None)
def confirm(asked: Asked) -> Answer:
    """Mail a link by which the provider's identity is tied to the address."""
    waiting = openid.waiting(asked.session, asked.request.cookies.get(asked.report.browser_cookie), now=asked.now)
    if waiting is None or waiting.issuer is None or waiting.subject is None:
        return Redirect("/sign-in")
    provider = _provider_of(asked, waiting.issuer)
    values = {"provider": provider, "typed": asked.field("email")}
    try:
        email = mail_address(asked.field("email")).casefold()
    except ValueError:
        return Page("sign_in_confirm.html", values | {"problem": "address"}, status=422)
    identity = Identity(waiting.issuer, waiting.subject)
    answer = _asked(asked, email, waiting.next_path, identity=identity, provider=provider)
    return answer or Page("sign_in_confirm.html", values | {"problem": "often"}, status=429)


@post("/sign-out", Scope.ANYBODY, None)
def sign_out(asked: Asked) -> Answer:
    """Sign out of this browser."""
    token = asked.request.cookies.get(asked.report.cookie)
    if token is not None and asked.viewer.name:
        sessions.end(asked.session, token, now=asked.now)
        _audit_sign_out(asked, "here")
    return _signed_out(asked)


@get("/account", Scope.SIGNED_IN)
def account(asked: Asked) -> Answer:
    """Where somebody is signed in, and which accounts elsewhere they sign in with."""
    token = asked.request.cookies.get(asked.report.cookie, "")
    here = sessions.find(asked.session, token, now=asked.now)
    values = {
        "sessions": sessions.of(asked.session, asked.viewer.name, now=asked.now),
        "here": here.id if here is not None else None,
        "identities": [
            (tied, _provider_of(asked, tied.issuer)) for tied in openid.tied_to(asked.session, asked.viewer.name)
        ],
    }
    return Page("account.html", values)


@post("/account/sign-out-everywhere", Scope.SIGNED_IN, None)
def sign_out_everywhere(asked: Asked) -> Answer:
    """End every session of theirs."""
    sessions.end_all(asked.session, asked.viewer.name, now=asked.now)
    _audit_sign_out(asked, "everywhere")
    return _signed_out(asked)


@post("/account/disconnect", Scope.SIGNED_IN, None)
def disconnect(asked: Asked) -> Answer:
    """Forget an account elsewhere that they sign in with."""
    for tied in openid.tied_to(asked.session, asked.viewer.name):
        if str(tied.id) == asked.field("id"):
            openid.untie(asked.session, Identity(tied.issuer, tied.subject))
            audit.record_person(
                asked.session,
                Action.ACCOUNT_DISCONNECTED,
                asked.viewer,
                at=asked.now,
                detail=_provider_of(asked, tied.issuer),
                network=asked.network,
            )
    return Redirect("/account?said=disconnected")


def _audit_sign_out(asked: Asked, where: str) -> None:
    audit.record_person(
        asked.session, Action.SIGNED_OUT, asked.viewer, at=asked.now, detail=where, network=asked.network
    )


def _signed_out(asked: Asked) -> Answer:
    response = RedirectResponse("/sign-in?said=signed_out", status_code=303)
    asked.report.clear_session(response)
    return response
