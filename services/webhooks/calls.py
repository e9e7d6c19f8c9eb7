"""Messages to webhooks: each is written once, and posted until its address has accepted it, or it is given up.

Rule: a message for every change of a school's sync status, Processing passed by, as in Prefect's events. Nothing in it
is personal: IDs, statuses and times. A message that is not accepted is tried again after a minute, then less and less
often, and given up after eight attempts. An address that did not accept one is left alone until the next posting, as is
one that is slow, once its share of time is used up.
"""

from __future__ import annotations

import asyncio
import json
import random
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
import uuid_utils
from anyio.from_thread import start_blocking_portal
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from models.database import Database
from models.tables import Webhook, WebhookCall
from services.status.sync_status import Status, changes_since, newest_change
from services.version import VERSION
from services.webhooks.addresses import resolved
from services.webhooks.signing import headers

POST_LOCK = "webhooks"  # one posts at a time, so that no two post the same
TIMEOUT = 10.0  # seconds an address may take to answer
# A posting begins no further message of one webhook, and none at all, after so many seconds.
WEBHOOK_SECONDS, ROUND_SECONDS = 30.0, 120.0

BACKOFF = tuple(timedelta(minutes=minutes) for minutes in (1, 10, 60, 180, 360, 720, 1440))
ATTEMPTS = len(BACKOFF) + 1

# A transaction that began earlier may be committed later: so many changes before the last one seen are looked at again.
_LOOKED_AT_AGAIN = 10_000


@dataclass(frozen=True)
class Posting:
    """What a posting came to: messages accepted, and messages that were not."""

    accepted: int
    refused: int


def add_call(
    session: Session,
    webhook: Webhook,
    kind: str,
    data: Mapping[str, str | None],
    *,
    now: datetime,
    change_id: int | None = None,
) -> None:
    """Write a message, which is posted once the caller's transaction is committed. data: no personal data."""
    assert webhook.id is not None
    body = {"type": kind, "timestamp": now.isoformat(), "data": data}
    session.add(
        WebhookCall(
            webhook_id=webhook.id,
            change_id=change_id,
            message_id=f"msg_{uuid_utils.uuid7().hex}",
            body=json.dumps(body),
            created_at=now,
            next_at=now,
        )
    )
    session.flush()


def has_waiting(session: Session, now: datetime) -> bool:
    """Whether there is a message to write or to post."""
    newest = newest_change(session)
    if any(webhook.last_change_id < newest for webhook in session.exec(_present())):
        return True
    return session.exec(_due(now, WebhookCall.id).limit(1)).first() is not None


def deliver(database: Database, *, now: datetime, allow_private: bool, wait: float = 60.0) -> Posting:
    """Write messages of the changes that have none, and post what is due, of each webhook the oldest first.

    Rule: what cannot be posted in WEBHOOK_SECONDS and ROUND_SECONDS stays due, so that a slow address keeps the others
    from theirs for no longer.

    allow_private: whether addresses inside our own network, and HTTP, are fine. wait: seconds for another posting to
    end.

    Raises:
        Busy: another posting did not end in time; it, or the next, posts what waits.
    """
    with database.exclusive_lock(POST_LOCK, wait=wait):
        with database.transaction() as session:
            _write_calls(session, now)
        with start_blocking_portal() as portal:
            return portal.call(_post, database, now, allow_private)


async def _post(database: Database, now: datetime, allow_private: bool) -> Posting:
    with database.reading() as session:
        waiting = list(session.exec(_due(now, col(Webhook.id)).distinct()))
    # In no fixed order, so that each has its turn even if there are always too many slow ones.
    random.shuffle(waiting)
    accepted = refused = 0
    begun = time.monotonic()
    async with _client() as client:
        for webhook_id in waiting:
            until = min(begun + ROUND_SECONDS, time.monotonic() + WEBHOOK_SECONDS)
            while time.monotonic() < until and (due := _next(database, now, webhook_id)) is not None:
                webhook, call = due
                at = now + timedelta(seconds=time.monotonic() - begun)
                problem = await _posted(client, webhook, call, at, allow_private=allow_private)
                _mark(database, call, problem, now)
                if problem is not None:
                    refused += 1
                    break
                accepted += 1
    return Posting(accepted, refused)


def _present() -> SelectOfScalar[Webhook]:
    return select(Webhook).where(col(Webhook.ended_at).is_(None)).order_by(col(Webhook.id))


def _write_calls(session: Session, now: datetime) -> None:
    newest = newest_change(session)
    for webhook in session.exec(_present()).all():
        if webhook.last_change_id == newest:
            continue
        since = webhook.last_change_id - _LOOKED_AT_AGAIN
        written = set(
            session.exec(
                select(WebhookCall.change_id).where(
                    WebhookCall.webhook_id == webhook.id, col(WebhookCall.change_id) > since
                )
            )
        )
        for change in changes_since(session, webhook.district_id, since):
            is_news = change.status not in (Status.PROCESSING, change.before) and change.at >= webhook.created_at
            if is_news and change.id not in written:
                data = {
                    "school": change.school_id,
                    "status": change.status,
                    "before": change.before,
                    "at": change.at.isoformat(),
                }
                add_call(session, webhook, "school.status", data, now=now, change_id=change.id)
        webhook.last_change_id = newest
        session.add(webhook)
    session.flush()


def _due(now: datetime, *what: Any) -> Any:
    """Of the messages that it is time to post."""
    return (
        select(*what)
        .select_from(Webhook)
        .join(WebhookCall, col(WebhookCall.webhook_id) == Webhook.id)
        .where(
            col(Webhook.ended_at).is_(None),
            col(WebhookCall.sent_at).is_(None),
            col(WebhookCall.attempts) < ATTEMPTS,
            col(WebhookCall.next_at) <= now,
        )
    )


def _next(database: Database, now: datetime, webhook_id: int) -> tuple[Webhook, WebhookCall] | None:
    """A webhook's oldest message that is due."""
    oldest = _due(now, Webhook, WebhookCall).where(Webhook.id == webhook_id).order_by(col(WebhookCall.id)).limit(1)
    with database.reading() as session:
        found: tuple[Webhook, WebhookCall] | None = session.exec(oldest).first()
        return found


def _client() -> httpx.AsyncClient:
    # The system's authorities, or those of SSL_CERT_FILE and SSL_CERT_DIR; no proxy, which would resolve names itself.
    return httpx.AsyncClient(verify=ssl.create_default_context(), timeout=None, trust_env=False)


async def _posted(
    client: httpx.AsyncClient, webhook: Webhook, call: WebhookCall, at: datetime, *, allow_private: bool
) -> str | None:
    """Post a message; gives what stood in the way, None where it was accepted. Nothing of an answer is kept."""
    url = httpx.URL(webhook.url)
    address = resolved(url.host, url.port or 443, allow_private=allow_private)
    if address is None:
        return "the address's host was not found, or is not on the public internet"
    request = client.build_request(
        "POST",
        url.copy_with(host=address),
        content=call.body,
        headers={
            "host": url.netloc.decode(),
            "content-type": "application/json",
            "user-agent": f"Rollcall/{VERSION}",
            **headers(webhook.secret, call.message_id, int(at.timestamp()), call.body),
        },
        # The certificate has to be for the name, not for the network address that it was found at.
        extensions={"sni_hostname": url.host},
    )
    try:
        # Of httpx's own limits, each begins anew with every byte.
        async with asyncio.timeout(TIMEOUT):
            answer = await client.send(request, stream=True)
            await answer.aclose()
    except TimeoutError:
        return f"no answer within {TIMEOUT:g} seconds"
    except httpx.HTTPError as error:
        return f"no answer ({type(error).__name__})"
    return None if answer.is_success else f"the answer was {answer.status_code}"


def _mark(database: Database, call: WebhookCall, problem: str | None, now: datetime) -> None:
    assert call.id is not None
    with database.transaction() as session:
        stored = session.get_one(WebhookCall, call.id)
        if problem is None:
            stored.sent_at = now
        elif stored.attempts < len(BACKOFF):
            stored.next_at = now + BACKOFF[stored.attempts]
        stored.attempts += 1
        stored.problem = problem
        session.add(stored)
