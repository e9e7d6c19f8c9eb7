"""A district's webhooks: adding, removing and trying one, and what became of what it posted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from errors import NotFound, NotPossible
from models.tables import District, Webhook, WebhookCall
from services.status.sync_status import newest_change
from services.webhooks.addresses import checked_url
from services.webhooks.calls import ATTEMPTS, add_call
from services.webhooks.signing import new_secret

MOST = 5


@dataclass(frozen=True)
class WebhookState:
    """A webhook as its district sees it, without its secret.

    waiting: messages that are still tried. given_up: those that are not. last_sent_at: when one was last accepted.
    problem: of the last attempt of a message that was not accepted, and is newer than any that was.
    """

    id: int
    url: str
    created_at: datetime
    created_by: str
    waiting: int
    given_up: int
    last_sent_at: datetime | None
    problem: str | None


def add(
    session: Session, district_id: str, url: str, *, by: str, now: datetime, allow_private: bool
) -> tuple[int, str]:
    """Add a webhook, which posts what changes from now on; gives its number, and its secret, which is shown once.

    Raises:
        NotPossible: the address is none that may be posted to, or is there already, or there are five.
    """
    address = checked_url(url, allow_private=allow_private)
    # Two that add at once are put in a row.
    session.exec(select(District).where(District.id == district_id).with_for_update(key_share=True)).one()
    present = session.exec(_present(district_id)).all()
    if len(present) >= MOST:
        raise NotPossible(f"a district can have {MOST} webhooks at most")
    if any(each.url == address for each in present):
        raise NotPossible("there is a webhook with this address already")
    webhook = Webhook(
        district_id=district_id,
        url=address,
        secret=new_secret(),
        created_at=now,
        created_by=by,
        last_change_id=newest_change(session),
    )
    session.add(webhook)
    session.flush()
    assert webhook.id is not None
    return webhook.id, webhook.secret


def remove(session: Session, district_id: str, webhook_id: int, *, now: datetime) -> None:
    """End a webhook: what waits is not posted any more.

    Raises:
        NotFound: the district has none with this number.
    """
    webhook = _get(session, district_id, webhook_id)
    webhook.ended_at = now
    session.add(webhook)
    session.flush()


def add_test(session: Session, district_id: str, webhook_id: int, *, now: datetime) -> None:
    """Add a message that says nothing, to see whether it arrives.

    Raises:
        NotFound: the district has no webhook with this number.
    """
    add_call(session, _get(session, district_id, webhook_id), "test", {"district": district_id}, now=now)


def of_district(session: Session, district_id: str) -> list[WebhookState]:
    """The district's webhooks, the oldest first."""
    return [_state(session, webhook) for webhook in session.exec(_present(district_id))]


def get(session: Session, district_id: str, webhook_id: int) -> WebhookState:
    """One of the district's webhooks.

    Raises:
        NotFound: the district has none with this number.
    """
    return _state(session, _get(session, district_id, webhook_id))


def _present(district_id: str) -> SelectOfScalar[Webhook]:
    return (
        select(Webhook)
        .where(Webhook.district_id == district_id, col(Webhook.ended_at).is_(None))
        .order_by(col(Webhook.id))
    )


def _get(session: Session, district_id: str, webhook_id: int) -> Webhook:
    found = session.get(Webhook, webhook_id)
    if found is None or found.district_id != district_id or found.ended_at is not None:
        raise NotFound(f"there is no webhook {webhook_id}")
    return found


def _state(session: Session, webhook: Webhook) -> WebhookState:
    assert webhook.id is not None
    unsent = session.exec(
        select(WebhookCall)
        .where(WebhookCall.webhook_id == webhook.id, col(WebhookCall.sent_at).is_(None))
        .order_by(col(WebhookCall.id))
    ).all()
    last_sent, last_number = session.exec(
        select(func.max(WebhookCall.sent_at), func.max(WebhookCall.id)).where(
            WebhookCall.webhook_id == webhook.id, col(WebhookCall.sent_at).is_not(None)
        )
    ).one()
    newer = [call.problem for call in unsent if call.problem is not None and (call.id or 0) > (last_number or 0)]
    return WebhookState(
        id=webhook.id,
        url=webhook.url,
        created_at=webhook.created_at,
        created_by=webhook.created_by,
        waiting=sum(call.attempts < ATTEMPTS for call in unsent),
        given_up=sum(call.attempts >= ATTEMPTS for call in unsent),
        last_sent_at=last_sent,
        problem=newer[0] if newer else None,
    )
