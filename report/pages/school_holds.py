"""A school's holds: what one shows, its evidence as a download, and what somebody decides about it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

import polars as pl

from contracts.formats import FORMATS
from errors import NotFound
from report.routing import Answer, Asked, Page, Redirect, Scope, download, get, post
from report.typed import whole_number
from services.access.audit import Action
from services.holds import decisions, store
from services.holds.evidence import evidence_csv
from services.holds.shown import OFFERED, TYPED_ABOVE, ShownHold, shown

# By what was typed wrong, or what has changed meanwhile, for the form that is shown again.
CHANGED, ENDED, NUMBER, TOO_LONG = "changed", "ended", "number", "too_long"
_SAID: Mapping[str, str] = MappingProxyType({name: f"decided-{name}" for name in OFFERED})


@get("/districts/{district}/holds", Scope.DISTRICT)
def holds(asked: Asked) -> Answer:
    """The district's open holds."""
    found = store.open_holds(asked.session, asked.district.id)
    return Page("holds.html", {"holds": found}, data=lambda: [hold.as_data() for hold in found])


@get("/schools/{district}/{school}/holds/{hold}", Scope.SCHOOL, people=Action.PEOPLE_VIEWED)
def hold(asked: Asked) -> Answer:
    """One hold of a school, open or ended."""
    found = _hold(asked)
    offered = [name for name in found.offered if _may(asked, name)]
    return Page("school_hold.html", {"hold": found, "offered": offered}, data=found.hold.as_data)


def _hold(asked: Asked) -> ShownHold:
    """The hold that the address names.

    Raises:
        NotFound: the school has none of this number.
    """
    found = store.get_hold(asked.session, asked.number("hold"))
    if found.school_id != asked.school.id:
        raise NotFound("there is no such hold")
    asked.about = f"hold {found.id}"
    return shown(asked.session, found.id)


@get("/schools/{district}/{school}/holds/{hold}/evidence.csv", Scope.SCHOOL, people=Action.DOWNLOADED)
def evidence(asked: Asked) -> Answer:
    """All that a hold shows, or what it shows for one reason."""
    found = _hold(asked).hold
    items, code = store.items_of(asked.session, found.id), asked.query.get("reason")
    if code is not None:
        if code not in found.codes:
            raise NotFound("the hold has no such reason")
        items = items.filter(pl.col("code") == code)
    asked.detail = f"{items.height} rows"
    return download(
        f"{found.school_key}-hold-{found.id}{f'-{code}' if code else ''}", evidence_csv(items, found.reasons)
    )


@get("/schools/{district}/{school}/holds/{hold}/{decision}", Scope.SCHOOL)
def review(asked: Asked) -> Answer:
    """What a decision about a hold will do."""
    found = _hold(asked)
    problem = _outdated(found)
    name = _name(asked, found)
    return _form(found, name, problem)


@post("/schools/{district}/{school}/holds/{hold}/{decision}", Scope.SCHOOL, Action.DECIDED)
def decide(asked: Asked) -> Answer:
    """Store what somebody decided about a hold, and process its school.

    Rule: only about what they were shown: a hold whose set has changed meanwhile is another hold.
    """
    found = _hold(asked)
    name = _name(asked, found)
    verb, why = OFFERED[name], asked.field("why")
    problem = _outdated(found)
    if problem is None and _is_typed(found, verb) and whole_number(asked.field("number")) != found.to_remove:
        problem = NUMBER
    if problem is None and len(why) > decisions.LONGEST_WHY:
        problem = TOO_LONG
    if problem is not None:
        return _form(found, name, problem, why=why[: decisions.LONGEST_WHY])
    decided = decisions.decide(asked.session, found.hold.id, verb, by=asked.viewer.name, now=asked.now, why=why or None)
    asked.detail = verb
    for district_id, schools in decisions.to_run([decided], verb).items():
        asked.afterwards(partial(asked.report.start, district_id, schools))
    return Redirect(f"/schools/{asked.school.id}?said={_SAID[name]}")


def _name(asked: Asked, found: ShownHold) -> str:
    """What the address wants to decide.

    Raises:
        NotFound: there is no such decision, not about this hold, or not for the viewer.
    """
    name = asked.part["decision"]
    if name not in OFFERED or not decisions.is_about(OFFERED[name], found.hold) or not _may(asked, name):
        raise NotFound("there is no such decision")
    return name


def _may(asked: Asked, name: str) -> bool:
    """Rule: what is about a whole source is for those who see the whole district."""
    return OFFERED[name] not in decisions.OF_SOURCE or asked.viewer.administers(asked.district.id)


def _outdated(found: ShownHold) -> str | None:
    return {"replaced": CHANGED, "released": ENDED}.get(found.hold.ending or "")


def _is_typed(found: ShownHold, verb: str) -> bool:
    return verb == decisions.CONFIRM_REMOVALS and found.to_remove > TYPED_ABOVE


def _form(found: ShownHold, name: str, problem: str | None, *, why: str = "") -> Page:
    verb = OFFERED[name]
    values = {
        "hold": found,
        "name": name,
        "about": found.about(verb),
        "stays_for": found.stays_for(verb) if verb not in decisions.OF_SOURCE else [],
        "is_typed": _is_typed(found, verb),
        "problem": problem,
        "why": why,
        "longest": decisions.LONGEST_WHY,
        "source_name": FORMATS[found.hold.form].source_name,
    }
    status = {None: 200, CHANGED: 409, ENDED: 409}.get(problem, 422)
    return Page("school_decide.html", values, status=status)
