"""Signing in by OpenID Connect: the way to a provider, what it says of somebody, and whose address that is.

Rule: a provider's ID of somebody counts, never an address alone. It is tied to an address that the setup names once:
by a signed token in which the provider vouches for the address (Google, for a domain of ours; Microsoft, where it says
that the tenant owns the domain), else by an emailed link, spent in the same browser.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import httpx
from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import extract_compact
from pydantic import SecretStr
from sqlmodel import Session, col, func, select

from errors import NotPossible, SourceUnreachable
from models import bulk
from models.tables import OpenIdIdentity, OpenIdRequest
from services.access.secrets import hashed, new_secret
from services.access.sign_in import HOUR, Identity, network_of

LASTS = timedelta(minutes=15)
HOURLY = 60  # sign-ins begun from one network address
KEPT, FAILURE_KEPT = timedelta(hours=1), timedelta(seconds=30)
TIMEOUT = httpx.Timeout(10)  # seconds, for each step
LEEWAY = 60  # seconds that a provider's clock may be off
CLEVER, GOOGLE, MICROSOFT = "clever", "google", "microsoft"


@dataclass(frozen=True)
class Provider:
    """An OpenID provider that people may sign in with.

    issuer: its address, as its tokens name it. domains: Google's hosted domains that are let in. tenant, district_id:
    Microsoft's directory, and the district it is of.
    """

    kind: str
    name: str
    issuer: str
    client_id: str
    client_secret: SecretStr
    domains: frozenset[str] = frozenset()
    tenant: str = ""
    district_id: str | None = None

    @property
    def id(self) -> str:
        """What tells it from the others: its kind, and the district where there is one for each."""
        return f"{self.kind}/{self.district_id}" if self.district_id else self.kind


@dataclass(frozen=True)
class Person:
    """Who a provider says somebody is. email: an address that it vouches for, if any."""

    identity: Identity
    email: str | None = field(repr=False)


def begin(
    session: Session, provider: Provider, *, browser: str, network: str, next_path: str, now: datetime
) -> tuple[str, OpenIdRequest] | None:
    """Note that a browser goes to sign in at a provider; gives the state to send along, None after too many.

    network: the address that it comes from. A district's administrators may all have the same one.
    """
    place = network_of(network)
    bulk.lock_table(session, "openid_request")  # two at once would both be the last
    recent = select(func.count()).where(OpenIdRequest.network == place, OpenIdRequest.created_at > now - HOUR)
    if session.exec(recent).one() >= HOURLY:
        return None
    state = new_secret()
    request = OpenIdRequest(
        state_hash=hashed(state),
        browser_hash=hashed(browser),
        network=place,
        provider=provider.id,
        nonce=new_secret(),
        code_verifier=new_secret(),
        next_path=next_path,
        created_at=now,
    )
    session.add(request)
    session.flush()
    return state, request


def address_at(
    provider: Provider, published: Published, request: OpenIdRequest, state: str, *, callback: str, now: datetime
) -> str:
    """The address to send a browser to.

    Raises:
        SourceUnreachable: the provider gives no usable answer.
    """
    parameters = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": callback,
        "scope": "openid email profile",
        "state": state,
        "nonce": request.nonce,
        "code_challenge": create_s256_code_challenge(request.code_verifier),
        "code_challenge_method": "S256",
    }
    if len(provider.domains) == 1:
        parameters["hd"] = next(iter(provider.domains))  # which accounts Google offers; what counts is in the token
    return str(add_params_to_uri(published.of(provider, now)["authorization_endpoint"], parameters.items()))


def take(session: Session, state: str, *, kind: str, browser: str | None, now: datetime) -> OpenIdRequest | None:
    """The request that a state belongs to, spent by this; None where it is another browser's, used or too old.

    Rule: it is spent before its code is exchanged, so that no code ever is twice.
    """
    found = session.exec(
        select(OpenIdRequest).where(OpenIdRequest.state_hash == hashed(state)).with_for_update()
    ).one_or_none()
    if (
        found is None
        or found.used_at is not None
        or now - found.created_at > LASTS
        or browser is None
        or hashed(browser) != found.browser_hash
        or found.provider.partition("/")[0] != kind
    ):
        return None
    found.used_at = now
    session.add(found)
    session.flush()
    return found


def wait(session: Session, request: OpenIdRequest, identity: Identity) -> None:
    """Keep an identity that no address is tied to, until its browser names one."""
    found = session.get_one(OpenIdRequest, request.id)
    found.issuer, found.subject = identity.issuer, identity.subject
    session.flush()


def waiting(session: Session, browser: str | None, *, now: datetime) -> OpenIdRequest | None:
    """The last request of a browser whose identity waits for an address."""
    if browser is None:
        return None
    return session.exec(
        select(OpenIdRequest)
        .where(
            OpenIdRequest.browser_hash == hashed(browser),
            col(OpenIdRequest.subject).is_not(None),
            OpenIdRequest.created_at > now - LASTS,
        )
        .order_by(col(OpenIdRequest.id).desc())
    ).first()


class Published:
    """What providers publish of themselves, kept for an hour; that one gives no usable answer, for half a minute."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[datetime, Mapping[str, Any] | None]] = {}
        self._fetching: dict[str, Lock] = {}

    def of(self, provider: Provider, now: datetime) -> Mapping[str, Any]:
        """Where to send people, where to exchange codes, where its keys are.

        Raises:
            SourceUnreachable: it gives no usable answer.
        """
        return self._get(provider.issuer, lambda: _discovered(provider), now)

    def keys(self, provider: Provider, number: str | None, now: datetime) -> Mapping[str, Any]:
        """The keys that it signs with. number: of the one that is needed; they are read anew if it isn't among them.

        Raises:
            SourceUnreachable: it gives no usable answer.
        """

        def has(keys: Mapping[str, Any]) -> bool:
            return number is None or any(key.get("kid") == number for key in keys["keys"])

        address = self.of(provider, now)["jwks_uri"]
        return self._get(address, lambda: _keys(address), now, has)

    def _get(
        self,
        address: str,
        fetch: Callable[[], Mapping[str, Any]],
        now: datetime,
        has: Callable[[Mapping[str, Any]], bool] = lambda _: True,
    ) -> Mapping[str, Any]:
        # Whoever comes meanwhile waits for the same answer. To set a default is one step, in whatever thread.
        with self._fetching.setdefault(address, Lock()):
            until, found = self._kept.get(address, (now, None))
            if now >= until or (found is not None and not has(found)):
                try:
                    found = fetch()
                except SourceUnreachable:
                    found = None
                self._kept[address] = now + (KEPT if found is not None else FAILURE_KEPT), found
        if found is None:
            raise SourceUnreachable("the sign-in service gives no usable answer")
        return found


def _discovered(provider: Provider) -> Mapping[str, Any]:
    known = _json("GET", f"{provider.issuer}/.well-known/openid-configuration")
    places = [str(known.get(name, "")) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
    if known.get("issuer") != provider.issuer or any(not _is_safe(provider, place) for place in places):
        raise SourceUnreachable(f"{provider.name} describes its sign-in as somebody else's")
    return known


def _keys(address: str) -> Mapping[str, Any]:
    found = _json("GET", address)
    keys = found.get("keys")
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
        raise SourceUnreachable("the sign-in service gives no usable answer")
    return found


def _is_safe(provider: Provider, place: str) -> bool:
    # Plain http is for this machine only, as the settings have it for the issuer.
    return urlsplit(place).scheme in ("https", urlsplit(provider.issuer).scheme)


def exchange(
    provider: Provider, published: Published, request: OpenIdRequest, code: str, *, callback: str, now: datetime
) -> Person:
    """Exchange a code for a provider's signed word on who somebody is.

    Raises:
        NotPossible: it is not for us, not for this sign-in, too old, not signed by the provider, or of a domain or
            tenant that is not let in.
        SourceUnreachable: the provider gives no usable answer.
    """
    answer = _json(
        "POST",
        published.of(provider, now)["token_endpoint"],
        data={
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": callback,
            "code_verifier": request.code_verifier,
        },
        auth=(provider.client_id, provider.client_secret.get_secret_value()),
    )
    return _person(provider, _claims(provider, published, request, answer.get("id_token"), now))


def _claims(
    provider: Provider, published: Published, request: OpenIdRequest, token: object, now: datetime
) -> Mapping[str, Any]:
    try:
        if not isinstance(token, str):
            raise ValueError
        keys = published.keys(provider, extract_compact(token.encode()).headers().get("kid"), now)
        signed = jwt.decode(token, KeySet.import_key_set(dict(keys)), algorithms=["RS256"])  # type: ignore[arg-type]
        claims = CodeIDToken(
            signed.claims,
            signed.header,
            {
                "iss": {"essential": True, "value": provider.issuer},
                "aud": {"essential": True, "value": provider.client_id},
            },
            # Clever does not document that it gives the nonce back; where it does, it must be ours.
            {"client_id": provider.client_id, "nonce": request.nonce if _has_nonce(provider, signed.claims) else None},
        )
        claims.validate(now=int(now.timestamp()), leeway=LEEWAY)
    except (JoseError, ValueError, KeyError, TypeError):
        # Its message may hold what the token says of somebody.
        raise NotPossible(f"what {provider.name} said of you could not be verified") from None
    return signed.claims


def _has_nonce(provider: Provider, claims: Mapping[str, Any]) -> bool:
    return provider.kind != CLEVER or "nonce" in claims


def _person(provider: Provider, claims: Mapping[str, Any]) -> Person:
    email = str(claims.get("email") or "").casefold()
    subject, vouched = str(claims["sub"]), False
    if provider.kind == GOOGLE:
        domain = str(claims.get("hd") or "").casefold()
        if domain not in provider.domains:
            raise NotPossible("this Google account is not one of your school district's")
        vouched = claims.get("email_verified") is True and email.rpartition("@")[2] == domain
    if provider.kind == MICROSOFT:
        if claims.get("tid") != provider.tenant or not claims.get("oid"):
            raise NotPossible("this Microsoft account is not one of your school district's")
        # A tenant writes what it likes into an address, unless Microsoft says that the domain is the tenant's.
        subject, vouched = str(claims["oid"]), str(claims.get("xms_edov")).lower() in ("1", "true")
    return Person(Identity(provider.issuer, subject), email if vouched and email else None)


def address_of(session: Session, identity: Identity) -> str | None:
    """The address that an identity is tied to."""
    found = _tied(session, identity)
    return found.email if found is not None else None


def _tied(session: Session, identity: Identity) -> OpenIdIdentity | None:
    return session.exec(
        select(OpenIdIdentity).where(
            OpenIdIdentity.issuer == identity.issuer, OpenIdIdentity.subject == identity.subject
        )
    ).one_or_none()


def tie(session: Session, identity: Identity, email: str, *, now: datetime) -> bool:
    """Tie an identity to an address; gives whether that is new."""
    found = _tied(session, identity)
    if found is not None and found.email == email.casefold():
        return False
    if found is None:
        found = OpenIdIdentity(issuer=identity.issuer, subject=identity.subject, email="", linked_at=now)
    found.email, found.linked_at = email.casefold(), now
    session.add(found)
    session.flush()
    return True


def untie(session: Session, identity: Identity) -> None:
    """Forget an identity."""
    found = _tied(session, identity)
    if found is not None:
        session.delete(found)
        session.flush()


def tied_to(session: Session, email: str) -> list[OpenIdIdentity]:
    """The identities that are tied to an address, oldest first."""
    return list(
        session.exec(
            select(OpenIdIdentity).where(OpenIdIdentity.email == email.casefold()).order_by(col(OpenIdIdentity.id))
        )
    )


def clean(session: Session, before: datetime) -> int:
    """Remove requests made before a moment; gives how many."""
    return bulk.execute(session, "DELETE FROM openid_request WHERE created_at < :before", {"before": before})


def _json(method: str, address: str, **sent: Any) -> Mapping[str, Any]:
    try:
        answer = httpx.request(method, address, timeout=TIMEOUT, headers={"Accept": "application/json"}, **sent)
        found = answer.json() if answer.status_code == 200 else None
    except (httpx.HTTPError, ValueError):
        found = None
    if not isinstance(found, dict):
        # Raised out of the handler: what httpx raised names addresses with codes in them.
        raise SourceUnreachable("the sign-in service gives no usable answer")
    return found
