"""The audit log: of a district for its administrators, of all for operators, and as a download."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from starlette.responses import Response

from contracts.text import count
from report.routing import Answer, Asked, Page, Scope, download, get, row_number
from services.access import audit
from services.access.audit import Action, Filter
from services.csv_export import to_csv

PER_PAGE = 100


@get("/audit", Scope.OPERATORS)
def of_all(asked: Asked) -> Answer:
    """The audit log of everybody."""
    return _page(asked, "/audit", None)


@get("/audit.csv", Scope.OPERATORS, people=Action.DOWNLOADED)
def of_all_as_csv(asked: Asked) -> Answer:
    """The same as a download."""
    return _download(asked, None, "audit")


@get("/districts/{district}/audit", Scope.DISTRICT)
def of_district(asked: Asked) -> Answer:
    """The audit log of a district."""
    return _page(asked, f"/districts/{asked.district.id}/audit", asked.district.id)


@get("/districts/{district}/audit.csv", Scope.DISTRICT, people=Action.DOWNLOADED)
def of_district_as_csv(asked: Asked) -> Answer:
    """The same as a download."""
    return _download(asked, asked.district.id, f"{asked.district.id}-audit")


def _page(asked: Asked, address: str, district_id: str | None) -> Page:
    before = asked.query.get("before", "")
    found = audit.entries(
        asked.session,
        _filter(asked, district_id),
        before=row_number(before),
        limit=PER_PAGE + 1,
    )
    typed = {name: asked.query.get(name, "") for name in ("person", "action", "since", "until")}
    filters = {name: value for name, value in typed.items() if value}
    more = {"before": str(found[PER_PAGE - 1].id)} if len(found) > PER_PAGE else None
    values = {
        "tab": "audit",
        "address": address,
        "typed": typed,
        "actions": list(Action),
        "entries": found[:PER_PAGE],
        "newest": f"{address}?{urlencode(filters)}" if before else None,
        "older": f"{address}?{urlencode(filters | more)}" if more is not None else None,
        "download": f"{address}.csv?{urlencode(filters)}",
        "shows_district": district_id is None,
    }
    return Page("audit.html", values)


def _download(asked: Asked, district_id: str | None, name: str) -> Response:
    found = audit.entries(asked.session, _filter(asked, district_id))
    asked.about, asked.detail = "audit log", count(len(found), "entry", "entries")
    return download(name, to_csv(audit.to_frame(found, asked.zone)))


def _filter(asked: Asked, district_id: str | None) -> Filter:
    action = asked.query.get("action", "")
    return Filter(
        district_id,
        person=asked.query.get("person", "").strip(),
        action=Action(action) if action in set(Action) else None,
        since=_midnight(asked.query.get("since", ""), asked.zone, 0),
        until=_midnight(asked.query.get("until", ""), asked.zone, 1),
    )


def _midnight(day: str, zone: ZoneInfo, later: int) -> datetime | None:
    """The beginning of a day in a zone, or of the one after it; none for what is no day."""
    try:
        return datetime.combine(date.fromisoformat(day) + timedelta(days=later), time(), zone)
    except (ValueError, OverflowError):
        return None
