"""Clearing several holds of a district at once: what would happen, school by school, then the decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from errors import NotPossible
from report.routing import Answer, Asked, Page, Redirect, Scope, get, post
from report.typed import whole_number
from services import figures
from services.access.audit import Action
from services.holds import decisions, evidence, store
from services.holds.decisions import ACCEPT, CONFIRM_CHANGES, CONFIRM_REMOVALS, FIXED, LEAVE_OUT, RECHECK
from services.holds.shown import TYPED_ABOVE
from services.holds.store import Hold

# What can be decided, in the order it is offered.
VERBS = (CONFIRM_REMOVALS, CONFIRM_CHANGES, ACCEPT, LEAVE_OUT, FIXED, RECHECK)


@dataclass(frozen=True)
class SchoolChoice:
    """One hold under a decision: what of it is decided, and what else holds the school. removed: by type, in words."""

    hold: Hold
    decided: tuple[tuple[str, tuple[str, ...]], ...]  # title, what was counted
    left: tuple[str, ...]
    removed: str


@dataclass(frozen=True)
class Choice:
    """A decision that can be made about some of the holds. removals: how many records it would remove."""

    verb: str
    schools: tuple[SchoolChoice, ...]
    removals: int

    @property
    def is_typed(self) -> bool:
        """Whether the number of removals has to be typed."""
        return self.removals > TYPED_ABOVE


@get("/districts/{district}/holds/clear", Scope.DISTRICT)
def review(asked: Asked) -> Answer:
    """What can be decided about the holds chosen, or all, and what that would do."""
    given, is_all = asked.request.query_params.getlist("hold"), asked.query.get("all") == "yes"
    if not given and not is_all:
        return Redirect(f"/districts/{asked.district.id}?said=choose_schools")
    return _review(asked, [hold for hold in _open(asked) if is_all or str(hold.id) in given], is_all=is_all)


@post("/districts/{district}/holds/clear", Scope.DISTRICT, Action.DECIDED)
def clear(asked: Asked) -> Answer:
    """Decide about the holds that were shown, and process their schools."""
    verb, given = asked.field("verb"), set(asked.fields("hold"))
    if verb not in VERBS:
        raise NotPossible("choose what to do with these schools")
    holds = [hold for hold in _open(asked) if str(hold.id) in given and decisions.is_about(verb, hold)]
    if not holds:
        asked.detail = f"{verb}: nothing decided, as the holds have changed"
        return Redirect(f"/districts/{asked.district.id}?said=holds_changed")
    removals = sum(_removals(verb, _removed(asked, holds)).values())
    if removals > TYPED_ABOVE and whole_number(asked.field("removals")) != removals:
        return _review(asked, holds, is_all=False, problem=verb, why=asked.field("why")[: decisions.LONGEST_WHY])
    for hold in holds:
        decisions.decide(
            asked.session, hold.id, verb, by=asked.viewer.name, why=asked.field("why") or None, now=asked.now
        )
    asked.about = ", ".join(hold.school_id for hold in holds)
    asked.detail = f"{verb}: holds {', '.join(str(hold.id) for hold in holds)}; {removals} removals"
    district_id = asked.district.id
    schools = decisions.to_run(holds, verb)[district_id]
    asked.afterwards(lambda: asked.report.start(district_id, schools))
    said = "decided" if len(holds) == len(given) else "decided_some"
    return Redirect(f"/districts/{asked.district.id}?said={said}")


def _review(asked: Asked, holds: Sequence[Hold], *, is_all: bool, problem: str | None = None, why: str = "") -> Page:
    """problem: the decision whose number was typed wrong, with the reason that was typed."""
    removed = _removed(asked, holds)
    values = {
        "choices": [choice for verb in VERBS if (choice := _choice(verb, holds, removed)).schools],
        "holds": holds,
        "is_all": is_all,
        "longest": decisions.LONGEST_WHY,
        "problem": problem,
        "why": why,
    }
    return Page("clear_holds.html", values, status=422 if problem is not None else 200)


def _open(asked: Asked) -> list[Hold]:
    """The open holds of schools that a run would process."""
    report = asked.report.district_report(asked, asked.district.id)
    synced = {school.school_id for school in report.schools if school.source is not None}
    return [hold for hold in store.open_holds(asked.session, asked.district.id) if hold.school_id in synced]


def _removed(asked: Asked, holds: Sequence[Hold]) -> dict[int, dict[str, int]]:
    return evidence.removals(store.counted_items(asked.session, [hold.id for hold in holds]))


def _removals(verb: str, removed: Mapping[int, Mapping[str, int]]) -> dict[int, int]:
    """By hold, how many records a decision would remove."""
    return {hold: sum(counts.values()) for hold, counts in removed.items()} if verb == CONFIRM_REMOVALS else {}


def _choice(verb: str, holds: Sequence[Hold], removed: Mapping[int, Mapping[str, int]]) -> Choice:
    here = [hold for hold in holds if decisions.is_about(verb, hold)]
    many = _removals(verb, removed)
    return Choice(
        verb,
        tuple(_of_school(verb, hold, removed.get(hold.id, {}) if verb == CONFIRM_REMOVALS else {}) for hold in here),
        sum(many.get(hold.id, 0) for hold in here),
    )


def _of_school(verb: str, hold: Hold, removed: Mapping[str, int]) -> SchoolChoice:
    about = [reason for reason in hold.reasons if verb == RECHECK or reason.code in decisions.DECIDED[verb]]
    decided = {reason.code for reason in about}
    return SchoolChoice(
        hold,
        tuple((hold.title(reason.code), tuple(evidence.describe_counts(reason))) for reason in about),
        () if verb == RECHECK else tuple(hold.title(code) for code in hold.codes if code not in decided),
        ", ".join(figures.number(many, kind) for kind, many in removed.items()),
    )
