"""A school's errors and alerts as downloads, and alert types muted for a while."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import polars as pl
from sqlmodel import col, select

from contracts.issues import CATALOGUE, Severity, catalogue
from errors import NotFound, NotPossible
from models.tables import School
from report.routing import Answer, Asked, Page, Redirect, Scope, download, get, post
from services.access.audit import Action
from services.status import mutes
from services.status.issues import formats_of_schools, issues_csv, stored_issues
from services.status.record_issues import within_schools

_A_MONTH = timedelta(days=30)


@get("/schools/{district}/{school}/issues.csv", Scope.SCHOOL, people=Action.DOWNLOADED)
def all_issues(asked: Asked) -> Answer:
    """Every error and alert of a school."""
    found = _found(asked)
    asked.detail = f"{found.height} issues"
    return download(f"{asked.school.key}-issues", issues_csv(found))


@get("/schools/{district}/{school}/issues/{code}.csv", Scope.SCHOOL, people=Action.DOWNLOADED)
def issues_of_a_type(asked: Asked) -> Answer:
    """The errors or alerts of one type of a school."""
    code = asked.part["code"]
    entry = CATALOGUE.get(code)
    if entry is None or entry.severity not in (Severity.ERROR, Severity.ALERT):
        raise NotFound("there is no such error or alert")
    found = _found(asked).filter(pl.col("code") == code)
    asked.about, asked.detail = code, f"{found.height} issues"
    return download(f"{asked.school.key}-{code}", issues_csv(found))


def _found(asked: Asked) -> pl.DataFrame:
    """The school's errors and alerts, without what is only the business of schools that the viewer doesn't see."""
    found = stored_issues(asked.session, asked.district.id, asked.school.id)
    if asked.viewer.administers(asked.district.id):
        return found
    seen = select(School.external_id).where(
        School.source_id == asked.school.source_id, col(School.id).in_(asked.viewer.schools)
    )
    return within_schools(found, {each for each in asked.session.exec(seen) if each is not None})


@get("/schools/{district}/{school}/issues/{code}/mute", Scope.SCHOOL)
def mute_form(asked: Asked) -> Answer:
    """What muting an alert type will do."""
    return _form(asked)


@post("/schools/{district}/{school}/issues/{code}/mute", Scope.SCHOOL, Action.ALERT_MUTED)
def mute(asked: Asked) -> Answer:
    """Leave an alert type out of what is counted, until the end of a day in the district's zone."""
    code = asked.part["code"]
    mutes.assert_mutable(code)
    try:
        last_day = date.fromisoformat(asked.field("until"))
    except ValueError:
        return _form(asked, "choose a day")
    try:
        made = mutes.mute(
            asked.session,
            asked.school.id,
            code,
            reason=asked.field("reason"),
            by=asked.viewer.name,
            until=_end_of(last_day, asked),
            now=asked.now,
        )
    except NotPossible as error:
        return _form(asked, error.message)
    asked.about, asked.detail = code, f"until {made.until:%Y-%m-%d}"
    return Redirect(f"/schools/{asked.school.id}?said=muted#alerts")


@post("/schools/{district}/{school}/mutes/{mute}/end", Scope.SCHOOL, Action.MUTE_ENDED)
def end_mute(asked: Asked) -> Answer:
    """Count an alert type again."""
    ended = mutes.end_mute(asked.session, asked.school.id, asked.number("mute"), by=asked.viewer.name, now=asked.now)
    asked.about = ended.code
    return Redirect(f"/schools/{asked.school.id}?said=unmuted#alerts")


def _end_of(last_day: date, asked: Asked) -> datetime:
    """The end of a day in the district's zone."""
    try:
        return datetime.combine(last_day + timedelta(days=1), time(), asked.zone)
    except OverflowError:
        raise NotPossible("choose a day within a year") from None


def _form(asked: Asked, problem: str | None = None) -> Page:
    code = asked.part["code"]
    mutes.assert_mutable(code)
    today = asked.now.astimezone(asked.zone).date()
    form = formats_of_schools(asked.session, asked.district.id)[asked.school.id]
    values = {
        "entry": catalogue(form)[code],
        "problem": problem,
        "reason": asked.field("reason")[: mutes.LONGEST_REASON],
        "until": asked.field("until") or (today + _A_MONTH).isoformat(),
        "first": today.isoformat(),
        "last": (today + mutes.LONGEST - timedelta(days=1)).isoformat(),
        "longest": mutes.LONGEST_REASON,
    }
    return Page("school_mute.html", values, status=422 if problem is not None else 200)
