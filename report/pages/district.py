"""A district's SIS Sync tab: a row for each school, what needs somebody first, and what concerns them all."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from report.rendering import Line, sparkline
from report.routing import Answer, Asked, Page, Scope, download, get, wants_json
from services.access.audit import Action
from services.status import issues
from services.status.arrivals import Arrival, arrivals
from services.status.nights import Night, last_nights
from services.status.progress import Progress, progress
from services.status.rejections import Rejection, rejections
from services.status.report import DistrictReport, SchoolReport
from services.status.sync_status import ORDER, Status

ROWS = 100  # of a page
OFF_PLAN, WITH_ERRORS = "off", "errors"

# What the table can be sorted by, besides the order in which schools need somebody.
SORTS: Mapping[str, Callable[[SchoolReport], Any]] = {
    "name": lambda row: row.name.casefold(),
    "teachers": lambda row: row.teachers,
    "students": lambda row: row.students,
    "errors": lambda row: row.errors,
    "alerts": lambda row: row.alerts,
    "status": lambda row: ORDER.index(row.status),
    "source": lambda row: row.source or "",
    "success": lambda row: row.succeeded_at.timestamp() if row.succeeded_at is not None else 0.0,
}


@dataclass(frozen=True)
class View:
    """What of the schools is shown, as the address says: which, in which order, and which page of them."""

    status: str
    text: str
    sort: str
    is_descending: bool
    page: int

    @classmethod
    def of(cls, query: Mapping[str, str]) -> View:
        """The view that an address asks for; what it says that makes no sense is passed over."""
        status = query.get("status", "")
        known = {*(each.value for each in Status), OFF_PLAN, WITH_ERRORS}
        sort = query.get("sort", "")
        page = query.get("page", "")
        return cls(
            status=status if status in known else "",
            text=query.get("q", "").strip(),
            sort=sort if sort in SORTS else "",
            is_descending=query.get("order") == "down",
            page=int(page) if page.isascii() and page.isdigit() and len(page) < 6 else 1,
        )

    def chosen(self, schools: tuple[SchoolReport, ...]) -> list[SchoolReport]:
        """The schools to show, of all pages, in their order."""
        wanted = self.text.casefold()
        found = [row for row in schools if self._fits(row) and wanted in f"{row.name} {row.key}".casefold()]
        return sorted(found, key=SORTS[self.sort], reverse=self.is_descending) if self.sort else found

    def _fits(self, row: SchoolReport) -> bool:
        if self.status == WITH_ERRORS:
            return row.errors > 0
        return not self.status or (row.status.value if row.status is not None else OFF_PLAN) == self.status

    def link(self, **changes: object) -> str:
        """The address of the view with these changes; a change of anything but the page goes back to the first."""
        now = {
            "status": self.status,
            "q": self.text,
            "sort": self.sort,
            "order": "down" if self.is_descending else "",
            "page": self.page if "page" in changes else 1,
            **changes,
        }
        return "?" + urlencode({name: value for name, value in now.items() if value and (name, value) != ("page", 1)})

    def sorted_by(self, sort: str) -> str:
        """The address of the view sorted by a column; by the one that it is sorted by, the other way around."""
        # Of numbers the most are looked for, of names the first.
        first_down = sort not in ("name", "status", "source")
        down = not self.is_descending if sort == self.sort else first_down
        return self.link(sort=sort, order="down" if down else "")

    def direction(self, sort: str) -> str | None:
        """How a column is sorted, as HTML says it."""
        return ("descending" if self.is_descending else "ascending") if sort == self.sort else None


@dataclass(frozen=True)
class Needs:
    """How many schools need somebody, and why; a school on hold may have errors too."""

    schools: int
    on_hold: int
    not_set_up: int
    with_errors: int


@dataclass(frozen=True)
class Trend:
    """A school's last nights. errors: fewest, most and last, where known. stopped: nights that did not go through."""

    line: Line
    errors: tuple[int, int, int] | None
    stopped: int


@get("/districts/{district}", Scope.DISTRICT, shared=True)
def district(asked: Asked) -> Answer:
    """The SIS sync report of a district."""
    report = asked.report.district_report(asked, asked.district.id)
    view = View.of(asked.query)
    chosen = view.chosen(report.schools)
    state = _state(asked, report)

    def data() -> dict[str, Any]:
        return _as_data(asked.now, report, chosen, *state)

    if wants_json(asked.request):
        return Page("district.html", {}, data=data)
    return Page("district.html", {**_values(asked, report, view, chosen), **_named(state)}, block="live", data=data)


def _named(state: tuple[Progress | None, list[Arrival], list[Rejection]]) -> dict[str, Any]:
    return dict(zip(("progress", "arrivals", "rejections"), state, strict=True))


def _state(asked: Asked, report: DistrictReport) -> tuple[Progress | None, list[Arrival], list[Rejection]]:
    """The sync under way, how far the last deliveries got, and what is wrong with rejected ones."""
    district_id, has_rejected = report.district_id, report.file_errors > 0

    def made(asked: Asked) -> tuple[Progress | None, list[Arrival], list[Rejection]]:
        session, now = asked.session, asked.now
        rejected = rejections(session, district_id) if has_rejected else []
        return progress(session, district_id, now), arrivals(session, district_id, now), rejected

    return asked.report.kept(asked, ("state", district_id, has_rejected), made)


def _values(asked: Asked, report: DistrictReport, view: View, chosen: list[SchoolReport]) -> dict[str, Any]:
    size = max(1, len(chosen)) if asked.is_static else ROWS
    pages = max(1, math.ceil(len(chosen) / size))
    page = min(max(view.page, 1), pages)
    rows = chosen[(page - 1) * size : page * size]
    nights = last_nights(asked.session, [row.school_id for row in rows])
    return {
        "report": report,
        "view": view,
        "rows": rows,
        "found": len(chosen),
        "page": page,
        "pages": pages,
        "first": (page - 1) * size + 1,
        "needs": needs(report),
        "counts": counts(report),
        "totals": totals(report),
        "trends": {school_id: _trend(each) for school_id, each in nights.items()},
        "held": sum(row.hold is not None and row.source is not None for row in report.schools),
    }


def needs(report: DistrictReport) -> Needs:
    """How many schools need somebody: those on hold, without a sync, or with errors."""
    on_plan = [row for row in report.schools if row.on_plan]
    waiting = (Status.ON_HOLD, Status.SETUP_SYNC)
    return Needs(
        schools=sum(row.errors > 0 or row.status in waiting for row in on_plan),
        on_hold=sum(row.status == Status.ON_HOLD for row in on_plan),
        not_set_up=sum(row.status == Status.SETUP_SYNC for row in on_plan),
        with_errors=sum(row.errors > 0 for row in on_plan),
    )


def counts(report: DistrictReport) -> dict[Status | None, int]:
    """How many schools there are in each status that any has, what needs action first."""
    found = {status: sum(row.status == status for row in report.schools) for status in ORDER}
    return {status: many for status, many in found.items() if many}


def totals(report: DistrictReport) -> dict[str, int]:
    """The sums of the columns, with the errors and alerts of no known school."""
    return {
        "teachers": sum(row.teachers for row in report.schools),
        "students": sum(row.students for row in report.schools),
        "errors": sum(row.errors for row in report.schools) + report.errors,
        "alerts": sum(row.alerts for row in report.schools) + report.alerts,
    }


def _trend(nights: Sequence[Night]) -> Trend:
    errors = [night.errors for night in nights]
    marked = [number for number, night in enumerate(nights) if not night.went_through]
    known = tuple(each for each in errors if each is not None)
    return Trend(sparkline(errors, marked=marked), (min(known), max(known), known[-1]) if known else None, len(marked))


@get("/districts/{district}/file-errors.csv", Scope.DISTRICT, people=Action.DOWNLOADED)
def file_errors(asked: Asked) -> Answer:
    """The error document: every bad row of the files that were rejected."""
    found = issues.stored_file_errors(asked.session, asked.district.id)
    asked.about, asked.detail = "file errors", f"{found.height} rows"
    return download(f"{asked.district.id}-file-errors", issues.file_errors_csv(found))


@get("/districts/{district}/unplaced.csv", Scope.DISTRICT, people=Action.DOWNLOADED)
def unplaced(asked: Asked) -> Answer:
    """The errors and alerts of records of no known school."""
    found = issues.unplaced_issues(asked.session, asked.district.id)
    asked.about, asked.detail = "records of no known school", f"{found.height} records"
    return download(f"{asked.district.id}-no-known-school", issues.issues_csv(found))


def _as_data(
    now: datetime,
    report: DistrictReport,
    chosen: list[SchoolReport],
    under_way: Progress | None,
    arrived: list[Arrival],
    rejected: list[Rejection],
) -> dict[str, Any]:
    """The report for a program: counts, statuses and IDs."""
    return {
        "district": report.district_id,
        "name": report.name,
        "made_at": now.isoformat(),
        "schools_that_need_you": needs(report).schools,
        "statuses": {status.value if status is not None else OFF_PLAN: many for status, many in counts(report).items()},
        "totals": totals(report),
        "schools": [
            {
                "school": row.school_id,
                "name": row.name,
                "on_plan": row.on_plan,
                "status": row.status.value if row.status is not None else None,
                "teachers": row.teachers,
                "students": row.students,
                "errors": row.errors,
                "alerts": row.alerts,
                "muted_alerts": row.muted,
                "source": row.source,
                "last_success": _moment(row.succeeded_at),
                "hold": {"hold": row.hold.id, "reasons": list(row.hold.codes)} if row.hold is not None else None,
            }
            for row in chosen
        ],
        "no_known_school": [
            {"code": each.entry.code, "severity": each.entry.severity.value, "count": each.count}
            for each in report.unplaced
        ],
        "deliveries": [_delivery(each) for each in arrived],
        "rejected": [
            {
                "source": each.source_id,
                "delivery": each.delivery_id,
                "files": {file.name: {error.entry.code: error.count for error in file.errors} for file in each.files},
            }
            for each in rejected
        ],
        "pause": {"reason": report.pause.reason, "until": _moment(report.pause.until)} if report.pause else None,
        "notices": list(report.notices),
        "sync": None
        if under_way is None
        else {"step": under_way.step.value, "school": under_way.school, "started_at": _moment(under_way.started_at)},
    }


def _delivery(arrival: Arrival) -> dict[str, Any]:
    moments = ("looked_at", "seen_at", "taken_at", "checked_at", "applied_at")
    return {
        "source": arrival.source_id,
        "delivery": arrival.delivery_id,
        "rejected": arrival.is_rejected,
        **{name: _moment(value) for name, value in asdict(arrival).items() if name in moments},
        "expected_at": _moment(arrival.rhythm.expected_at) if arrival.rhythm is not None else None,
        "late": arrival.rhythm is not None and arrival.rhythm.is_late,
    }


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
