"""The guard's one judgement of a plan, before any school is provisioned: preview, causes and provisioning use it.

Here is read what the guard cannot see in a plan: limits, what was accepted, who was removed by a confirmation already.
"""

from __future__ import annotations

from dataclasses import replace

import polars as pl
from sqlmodel import Session

from contracts.issues import DATA_REMOVALS, SCHOOL_MISSING
from contracts.roster import empty
from models import bulk
from services.holds import decisions, guard
from services.holds.guard import CONFIRMED
from services.planning.changesets import TYPE_OF_KIND, ChangeSet, Plan
from services.planning.stored import Scope


def judged(session: Session, scope: Scope, plan: Plan, *, delivery_id: int | None = None) -> Plan:
    """The plan, each ChangeSet with the reasons to hold its school, whatever was decided about them.

    delivery_id: of the delivery that is planned, where it has one; see `holds.is_known_missing`.
    """
    limits = guard.limits_of(scope.limits)
    is_untyped = any(changes.untyped for changes in plan.changesets)
    asked = decisions.asked_about_contacts(session, scope.school_ids) if is_untyped else frozenset[str]()
    accepted = decisions.acceptances(session, scope.district_id)
    families = [changes.families for changes in plan.changesets]
    lapsed = guard.lapsed(pl.concat(families), accepted) if families else accepted["link_id"]

    def judge_school(changes: ChangeSet) -> ChangeSet:
        is_known_missing = changes.missing and decisions.is_known_missing(
            session, changes.school_id, has_anything=bool(changes.before), delivery_id=delivery_id
        )
        reasons = guard.judge(
            changes,
            limits,
            accepted,
            is_known_missing=is_known_missing,
            asked_about_contacts=changes.school_id in asked,
        )
        return replace(changes, reasons=tuple(reasons), lapsed=lapsed)

    changesets = [judge_school(changes) for changes in plan.changesets]
    within = [changes for changes in changesets if _is_within_its_limits(changes)]
    confirmed = _confirmed(session, scope)
    together = guard.judge_together(plan.present, within, limits, confirmed)
    return replace(
        plan,
        changesets=tuple(
            replace(changes, reasons=(*(changes.reasons or ()), together[changes.school_id]))
            if changes.school_id in together
            else changes
            for changes in changesets
        ),
    )


def _is_within_its_limits(changes: ChangeSet) -> bool:
    """Whether the school's removals count among those of all schools together: none are judged of a frozen one."""
    codes = {reason.code for reason in changes.reasons or ()}
    return not changes.removals_suspended and not changes.missing and codes.isdisjoint({DATA_REMOVALS, SCHOOL_MISSING})


def _confirmed(session: Session, scope: Scope) -> pl.DataFrame:
    """CONFIRMED: who was removed by a confirmation since the district's limit began to hold schools of this source.

    Rule: they count on until its last school is released, as else confirming school by school would slip under it.
    """
    released = decisions.confirmed_for_the_district(session, scope.school_ids)
    if not released:
        return empty(CONFIRMED)
    condition, parameters = bulk.in_list(session, "h.id", released)
    # What a release removes ends at its very moment, as both are one transaction. Guardians go with their students.
    people = bulk.read(
        session,
        f"""
        SELECT m.school_id, l.kind, l.account_id AS key FROM hold h
        JOIN school_membership m ON m.school_id = h.school_id AND m.left_at = h.ended_at AND NOT m.active
        JOIN link l ON l.id = m.link_id WHERE {condition}
        UNION
        SELECT m.school_id, l.kind, l.account_id FROM hold h
        JOIN school_membership m ON m.school_id = h.school_id
        JOIN guardianship g ON g.student_link_id = m.link_id
            AND (g.left_at = h.ended_at OR NOT m.active AND m.left_at = h.ended_at AND g.active)
        JOIN link l ON l.id = g.guardian_link_id WHERE {condition}
        """,
        parameters,
        {"school_id": pl.String, "kind": pl.String, "key": pl.String},
    )
    type_ = pl.col("kind").replace_strict(TYPE_OF_KIND, return_dtype=pl.String)
    return people.select("school_id", type_.alias("type"), "key").select(list(CONFIRMED))
