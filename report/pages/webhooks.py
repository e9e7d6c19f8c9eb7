"""A district's webhooks: the addresses that its sync status changes are posted to."""

from __future__ import annotations

from typing import Any

from errors import NotPossible
from report.routing import Answer, Asked, Page, Redirect, Scope, get, post
from services import clock
from services.access.audit import Action
from services.webhooks import calls, webhooks


@get("/districts/{district}/webhooks", Scope.DISTRICT)
def webhooks_page(asked: Asked) -> Answer:
    """The district's webhooks, and a form that adds one."""
    return _page(asked)


@post("/districts/{district}/webhooks", Scope.DISTRICT, Action.SETUP_CHANGED)
def add(asked: Asked) -> Answer:
    """Add a webhook. Its secret is shown by this answer and never again, so there is no page to go on to."""
    try:
        number, secret = webhooks.add(
            asked.session,
            asked.district.id,
            asked.field("url"),
            by=asked.viewer.name,
            now=asked.now,
            allow_private=asked.report.settings.webhooks_may_be_private,
        )
    except NotPossible as error:
        asked.detail = "a webhook was not added"
        return _page(asked, url=asked.field("url"), problem=error.message, status=422)
    asked.about, asked.detail = f"webhook {number}", "webhook added"
    return _page(asked, secret=secret)


@get("/districts/{district}/webhooks/{webhook}/remove", Scope.DISTRICT)
def ask_to_remove(asked: Asked) -> Answer:
    """What removing a webhook means."""
    webhook = webhooks.get(asked.session, asked.district.id, asked.number("webhook"))
    return Page("webhook_remove.html", {"webhook": webhook, "tab": "setup"})


@post("/districts/{district}/webhooks/{webhook}/remove", Scope.DISTRICT, Action.SETUP_CHANGED)
def remove(asked: Asked) -> Answer:
    """Remove a webhook."""
    number = asked.number("webhook")
    webhooks.remove(asked.session, asked.district.id, number, now=asked.now)
    asked.about, asked.detail = f"webhook {number}", "webhook removed"
    return Redirect(f"/districts/{asked.district.id}/webhooks?said=removed")


@post("/districts/{district}/webhooks/{webhook}/test", Scope.DISTRICT, Action.SETUP_CHANGED)
def test(asked: Asked) -> Answer:
    """Post a test message."""
    number = asked.number("webhook")
    webhooks.add_test(asked.session, asked.district.id, number, now=asked.now)
    asked.about, asked.detail = f"webhook {number}", "webhook tested"
    report = asked.report
    asked.afterwards(
        lambda: calls.deliver(
            report.database, now=clock.now(), allow_private=report.settings.webhooks_may_be_private, wait=5
        )
    )
    return Redirect(f"/districts/{asked.district.id}/webhooks?said=tested")


def _page(
    asked: Asked, *, secret: str | None = None, url: str = "", problem: str | None = None, status: int = 200
) -> Page:
    found = webhooks.of_district(asked.session, asked.district.id)
    values = {
        "webhooks": found,
        "most": webhooks.MOST,
        "secret": secret,
        "url": url,
        "problem": problem,
        "tab": "setup",
    }
    return Page("webhooks.html", values, data=lambda: {"webhooks": [_data(each) for each in found]}, status=status)


def _data(webhook: webhooks.WebhookState) -> dict[str, Any]:
    return {
        "id": webhook.id,
        "url": webhook.url,
        "waiting": webhook.waiting,
        "given_up": webhook.given_up,
        "last_sent_at": webhook.last_sent_at.isoformat() if webhook.last_sent_at is not None else None,
        "problem": webhook.problem,
    }
