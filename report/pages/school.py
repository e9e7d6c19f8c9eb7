"""A school's page: its status, who has to act and how, its hold, its errors and alerts, and its nights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from contracts.formats import DEFAULT_FORMAT, FORMATS
from contracts.issues import catalogue
from errors import NotFound, NotPossible
from models.tables import AlertMute, Decision, Source
from report import rendering
from report.routing import Answer, Asked, Page, Redirect, Scope, get, is_htmx, post, row_number
from services.access.audit import Action
from services.holds import decisions, store
from services.holds.shown import ShownHold, shown
from services.status import mutes, nights, pauses, school_issues, sync_status
from services.status.issues import stored_issues
from services.status.next_steps import next_steps
from services.status.nights import Night
from services.status.progress import Progress, progress, school_version
from services.status.sync_status import SchoolStatus, Status

# The nights on a school's page, and on the page of all.
LAST, ALL = 14, 120
_CHARTED = ("students", "errors", "alerts")


@get("/schools/{district}/{school}", Scope.SCHOOL, people=Action.PEOPLE_VIEWED)
def school(asked: Asked) -> Answer:
    """A school's part of the SIS sync report."""
    session, school_id, source, form = asked.session, asked.school.id, _source(asked), _form(asked)
    (row,) = sync_status.statuses(session, school_ids=[school_id], now=asked.now)
    types = school_issues.issue_types(session, school_id, row.source_id, form)
    muted = {mute.code: mute for mute in mutes.active_mutes(session, school_id, now=asked.now)}
    errors, alerts = school_issues.counted(types, frozenset(muted))
    hold = _open_hold(asked) if row.status is not None else None
    steps = next_steps(
        row.status,
        reasons=hold.hold.codes if hold is not None else (),
        has_source=row.source_id is not None,
        form=form,
        remote_state=source.remote_state if source is not None else None,
        errors=errors,
        alerts=alerts,
    )
    last = nights.nights_of(session, school_id, limit=LAST)
    values = {
        "row": row,
        "since": sync_status.since(session, school_id, row.status),
        "source_name": FORMATS[form].source_name,
        "pause": pauses.in_force(session, asked.district.id, now=asked.now) if row.status is Status.PAUSED else None,
        "errors": errors,
        "alerts": alerts,
        "steps": steps,
        "last_success": nights.last_success(session, school_id),
        "hold": hold,
        "offered": _offered(asked, hold),
        "waiting": nights.undone_decisions(session, school_id) if hold is not None else [],
        "types": [each for each in types if each.code not in muted],
        "muted": [(mute, next((each for each in types if each.code == code), None)) for code, mute in muted.items()],
        "entries": catalogue(form),
        "fix_first": school_issues.fix_first(session, school_id, row.source_id, form),
        "nights": last,
        "charts": _charts(last),
        "live": _live(asked, row, None),
        "can_check": row.status is not None and row.source_id is not None,
    }
    asked.about = school_id
    return Page("school.html", values, block="main", data=lambda: _as_data(asked, values))


@dataclass(frozen=True)
class Live:
    """What a school's page follows. is_new: something has changed since the page was made."""

    version: str
    is_new: bool
    progress: Progress | None


@get("/schools/{district}/{school}/live", Scope.SCHOOL)
def live(asked: Asked) -> Answer:
    """The part of a school's page that follows by itself: nothing of people, so that it is not audited every time."""
    if not is_htmx(asked.request):
        return Redirect(f"/schools/{asked.school.id}")
    (row,) = sync_status.statuses(asked.session, school_ids=[asked.school.id], now=asked.now)
    return Page("school_live.html", {"live": _live(asked, row, asked.query.get("seen", ""))})


def _live(asked: Asked, row: SchoolStatus, seen: str | None) -> Live:
    session, district_id = asked.session, asked.district.id
    version = school_version(session, row, now=asked.now)
    key = ("progress", district_id)
    under_way = asked.report.kept(asked, key, lambda asked: progress(asked.session, district_id, asked.now))
    if under_way is not None and under_way.asked is not None and asked.school.id not in under_way.asked:
        under_way = None
    if under_way is not None and under_way.school != asked.school.name:
        # Whoever sees one school is told of no other.
        under_way = replace(under_way, school=None)
    return Live(version, seen is not None and seen != version, under_way)


def _source(asked: Asked) -> Source | None:
    return asked.session.get(Source, asked.school.source_id) if asked.school.source_id is not None else None


def _form(asked: Asked) -> str:
    source = _source(asked)
    return source.format if source is not None else DEFAULT_FORMAT


def _open_hold(asked: Asked) -> ShownHold | None:
    row = store.open_hold(asked.session, asked.school.id)
    return shown(asked.session, row.id) if row is not None and row.id is not None else None


def _offered(asked: Asked, hold: ShownHold | None) -> list[str]:
    """What the viewer may decide. Rule: what is about a whole source is for those who see the whole district."""
    if hold is None:
        return []
    sees_all = asked.viewer.administers(asked.district.id)
    return [name for name, verb in hold.offered.items() if sees_all or verb not in decisions.OF_SOURCE]


def _charts(last: Sequence[Night]) -> list[tuple[str, rendering.Line, int | None, int | None]]:
    """Of each figure its line over the nights, and the first and last value that is known."""
    charts = []
    for name in _CHARTED:
        values = [getattr(night, name) for night in reversed(last)]
        known = [value for value in values if value is not None]
        if len(known) > 1:
            charts.append((name, rendering.sparkline(values, width=240, height=56), known[0], known[-1]))
    return charts


def _as_data(asked: Asked, values: Mapping[str, Any]) -> dict[str, Any]:
    row, hold, muted = values["row"], values["hold"], [mute for mute, _ in values["muted"]]
    found = stored_issues(asked.session, asked.district.id, asked.school.id)
    columns = ("severity", "code", "file", "line", "record_id", "message", "dependents")
    codes = {mute.code for mute in muted}
    return {
        "district": asked.district.id,
        "school": asked.school.key,
        "name": asked.school.name,
        "status": row.status,
        "since": _iso(values["since"]),
        "teachers": row.teachers,
        "students": row.students,
        "errors": values["errors"],
        "alerts": values["alerts"],
        "last_success": _iso(values["last_success"]),
        "next_steps": [{"who": step.who, "how": step.how} for step in values["steps"]],
        "hold": hold.hold.as_data() if hold is not None else None,
        "muted": [_mute_data(mute) for mute in muted],
        "issues": [{**issue, "muted": issue["code"] in codes} for issue in found.select(columns).to_dicts()],
    }


def _mute_data(mute: AlertMute) -> dict[str, Any]:
    return {"code": mute.code, "reason": mute.reason, "by": mute.by, "until": mute.until.isoformat()}


def _iso(moment: Any) -> str | None:
    return moment.isoformat() if moment is not None else None


@get("/schools/{district}/{school}/check", Scope.SCHOOL)
def check(asked: Asked) -> Answer:
    """What checking for new data will do."""
    _assert_synced(asked)
    hold = store.open_hold(asked.session, asked.school.id)
    return Page("school_check.html", {"source_name": FORMATS[_form(asked)].source_name, "hold": hold})


@post("/schools/{district}/{school}/check", Scope.SCHOOL, Action.SYNC_STARTED)
def check_now(asked: Asked) -> Answer:
    """Check for new data of a school; where it is on hold, that is kept with the hold."""
    _assert_synced(asked)
    asked.about = asked.school.id
    going = asked.report.sync(asked, [asked.school.key], f"/schools/{asked.school.id}", said="checking")
    hold = store.open_hold(asked.session, asked.school.id)
    if hold is not None and hold.id is not None:
        decisions.decide(asked.session, hold.id, decisions.RECHECK, by=asked.viewer.name, now=asked.now)
    return going


def _assert_synced(asked: Asked) -> None:
    source = _source(asked)
    if not asked.school.on_plan or asked.school.frozen:
        raise NotPossible("the school isn't on your plan, so there is nothing to check")
    if source is None or source.frozen:
        raise NotPossible("the school has no sync yet, so there is nothing to check")


@get("/schools/{district}/{school}/nights", Scope.SCHOOL)
def all_nights(asked: Asked) -> Answer:
    """A school's nights, and any two of them compared."""
    found = nights.nights_of(asked.session, asked.school.id, limit=ALL)
    chosen = [asked.query.get(name, "") for name in ("one", "other")]
    compared = None
    if all(chosen):
        numbers = [row_number(each) for each in chosen]
        if None in numbers:
            raise NotFound("there is no such night")
        one, other = (nights.get_night(asked.session, asked.school.id, each) for each in numbers if each is not None)
        compared = nights.compare(one, other)
    entries = catalogue(_form(asked))
    values = {"nights": found, "compared": compared, "charts": _charts(found[:LAST]), "entries": entries}
    return Page("school_nights.html", values, data=lambda: [_night_data(night) for night in found])


def _night_data(night: Night) -> dict[str, Any]:
    return {
        "run": night.run_id,
        "at": night.at.isoformat(),
        "outcome": night.outcome,
        "reasons": list(night.reasons),
        **{name: getattr(night, name) for name in nights.FIGURES},
        "counts": dict(night.counts),
        "decisions": [_decision_data(each) for each in night.decisions],
    }


def _decision_data(decision: Decision) -> dict[str, Any]:
    return {"hold": decision.hold_id, "verb": decision.verb, "by": decision.by, "at": decision.at.isoformat()}
