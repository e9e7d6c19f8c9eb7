"""Signing in by an emailed link: asking for one, mailing it, and spending it once.

Rule: a link lasts 15 minutes and is spent once, in the browser that asked for it. Mail scanners open links and press
buttons in browsers of their own; there the code of the same mail is needed beside it, with five tries. An address, and
a network address, gets five an hour, counted over all that were asked for, so that the count tells nobody who is known.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.message import EmailMessage
from enum import Enum
from pathlib import Path

import uuid_utils
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sqlmodel import Session, func, select

from models import bulk
from models.tables import Mail, SignInLink
from services.access.secrets import hashed, new_code, new_secret
from services.mail.smtp import to_message

LASTS, TRIES = timedelta(minutes=15), 5
HOURLY, HOUR = 5, timedelta(hours=1)

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=lambda name: name is not None and ".html" in name,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
)


@dataclass(frozen=True)
class Identity:
    """Who somebody is at an OpenID provider: the provider's own ID of them."""

    issuer: str
    subject: str


@dataclass(frozen=True)
class Secrets:
    """What the mail holds, and nothing keeps: the link's token and the code; no code for a link that has none."""

    token: str = field(repr=False)
    code: str = field(repr=False)


class Spending(Enum):
    """What came of spending a link."""

    DONE = "done"
    WRONG_CODE = "wrong code"
    OVER = "over"  # used, expired, tried too often, or never made
    OTHER_BROWSER = "other browser"  # and a code would not do


def ask(
    session: Session, email: str, *, network: str, browser: str, now: datetime, identity: Identity | None = None
) -> Secrets | None:
    """Make a link for an address, whoever that is; None where this hour's are used up. The caller mails it, or not.

    network: the address it was asked from. browser: the secret in that browser's cookie. identity: is tied to the
    address by spending the link, which then takes the very browser, and no code: whoever began it might have named
    somebody else's address.
    """
    email, place = email.casefold(), network_of(network)
    bulk.lock_table(session, "sign_in_link")  # two at once would both be the fifth
    recent = select(func.count()).where(SignInLink.created_at > now - HOUR, SignInLink.browser_hash != "")
    for asked in (SignInLink.email == email, SignInLink.network == place):
        if session.exec(recent.where(asked)).one() >= HOURLY:
            return None
    secrets = Secrets(new_secret(), "" if identity is not None else new_code())
    session.add(
        SignInLink(
            email=email,
            network=place,
            token_hash=hashed(secrets.token),
            code_hash=_code_hash(secrets),
            browser_hash=hashed(browser),
            issuer=identity.issuer if identity is not None else None,
            subject=identity.subject if identity is not None else None,
            created_at=now,
        )
    )
    session.flush()
    return secrets


def make(session: Session, email: str, *, now: datetime) -> str:
    """Make a link for whoever it is given to, in any browser; gives its token."""
    token = new_secret()
    session.add(SignInLink(email=email.casefold(), token_hash=hashed(token), created_at=now))
    session.flush()
    return token


def find(session: Session, token: str, *, now: datetime, locked: bool = False) -> SignInLink | None:
    """The link of a token, while it can be spent. locked: nobody else spends it meanwhile."""
    statement = select(SignInLink).where(SignInLink.token_hash == hashed(token))
    if locked:
        statement = statement.with_for_update()
    link = session.exec(statement).one_or_none()
    if link is None or link.used_at is not None or link.tries >= TRIES or now - link.created_at > LASTS:
        return None
    return link


def is_browsers(link: SignInLink, browser: str | None) -> bool:
    """Whether a browser with this secret may spend a link without the code."""
    return not link.browser_hash or (browser is not None and hashed(browser) == link.browser_hash)


def spend(
    session: Session, token: str, *, browser: str | None, code: str, now: datetime
) -> tuple[Spending, SignInLink | None]:
    """Spend a link; gives what came of it, and whose it is. A wrong code is counted, and nothing else is changed."""
    link = find(session, token, now=now, locked=True)
    if link is None:
        return Spending.OVER, None
    session.add(link)
    if not is_browsers(link, browser):
        if not link.code_hash:
            return Spending.OTHER_BROWSER, link
        if _code_hash(Secrets(token, "".join(code.split()))) != link.code_hash:
            link.tries += 1
            session.flush()
            return (Spending.WRONG_CODE if link.tries < TRIES else Spending.OVER), link
    link.used_at = now
    session.flush()
    return Spending.DONE, link


def clean(session: Session, before: datetime) -> int:
    """Remove links made before a moment; gives how many. Those of this hour are counted."""
    return bulk.execute(session, "DELETE FROM sign_in_link WHERE created_at < :before", {"before": before})


def mail(email: str, address: str, code: str, *, provider: str | None, sender: str, now: datetime) -> EmailMessage:
    """The mail with a link. address: the link's. code: empty where it has none. provider: whose account it connects."""
    values = {"address": address, "code": code, "provider": provider, "minutes": LASTS.seconds // 60}
    return to_message(
        Mail(
            district_id="",
            message_id=f"sign-in.{uuid_utils.uuid7().hex}",
            recipients=[email],
            subject=f"Connect {provider} to Rollcall" if provider else "Sign in to Rollcall",
            text=_templates.get_template("sign_in.txt.jinja").render(values),
            html=_templates.get_template("sign_in.html.jinja").render(values),
            created_at=now,
        ),
        sender,
    )


def _code_hash(secrets: Secrets) -> str:
    # With the token, as there are only a million codes.
    return hashed(f"{secrets.token}.{secrets.code}") if secrets.code else ""


def network_of(address: str) -> str:
    """What is kept of a network address. Rule: an IPv6 address counts by its /64, which one customer has whole."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return hashed(address)
    if isinstance(known, ipaddress.IPv6Address):
        mapped = known.ipv4_mapped
        return hashed(str(mapped or ipaddress.IPv6Network((known, 64), strict=False)))
    return hashed(str(known))
