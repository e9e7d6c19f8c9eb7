"""A district's access tokens, by which programs read its report."""

from __future__ import annotations

from errors import NotPossible
from models.tables import AccessToken
from report.routing import Answer, Asked, Page, Redirect, Scope, get, post
from services.access import tokens
from services.access.audit import Action


@get("/districts/{district}/tokens", Scope.DISTRICT)
def list_tokens(asked: Asked) -> Answer:
    """The tokens there are, and a form for a new one."""
    return _page(asked)


def _page(asked: Asked, *, made: str | None = None, problem: str | None = None, status: int = 200) -> Page:
    values = {
        "tab": "tokens",
        "tokens": tokens.of_district(asked.session, asked.district.id),
        "made": made,
        "problem": problem,
        "typed": asked.field("name") if problem else "",
        "address": asked.report.settings.report_address,
    }
    return Page("tokens.html", values, status=status)


@post("/districts/{district}/tokens", Scope.DISTRICT, None)
def make(asked: Asked) -> Answer:
    """Make a token; the page that follows shows it, once."""
    name = asked.field("name")
    try:
        token = tokens.make(
            asked.session, asked.district.id, name, by=asked.viewer.name, now=asked.now, network=asked.network
        )
    except NotPossible as error:
        return _page(asked, problem=error.message, status=422)
    return _page(asked, made=token)


@get("/districts/{district}/tokens/{token}/revoke", Scope.DISTRICT)
def confirm_revoking(asked: Asked) -> Answer:
    """What revoking a token will do."""
    return Page("token_revoke.html", {"tab": "tokens", "token": _token(asked)})


@post("/districts/{district}/tokens/{token}/revoke", Scope.DISTRICT, Action.TOKEN_REVOKED)
def revoke(asked: Asked) -> Answer:
    """End a token."""
    token = _token(asked)
    assert token.id is not None
    tokens.revoke(asked.session, asked.district.id, token.id, now=asked.now)
    asked.detail = token.name
    return Redirect(f"/districts/{asked.district.id}/tokens?said=revoked")


def _token(asked: Asked) -> AccessToken:
    return tokens.get(asked.session, asked.district.id, asked.number("token"))
