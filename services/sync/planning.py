"""A roster checked, settled and compared with what is stored, and each school judged."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from sqlmodel import Session

from contracts.checking import Records, check
from contracts.contacts import without_contacts
from contracts.roster import Roster, Settled
from contracts.settling import settle
from contracts.text import count
from models.database import Database
from models.tables import Delivery
from services import clock
from services.districts import source_of
from services.holds import causes, decisions, judging
from services.intake import deliveries
from services.planning.changesets import ChangeSet, Plan, without_removals
from services.planning.plan import plan_district
from services.planning.recognition import IdSecret, recognized
from services.planning.stored import Scope, StoredRows, load_stored_roster, load_stored_rows, read_scope
from services.sync import leases
from services.sync.data_errors import guarded
from services.sync.provision import RunContext
from services.sync.requests import SyncRequest


def make_plan(
    database: Database,
    request: SyncRequest,
    run_id: int,
    delivery_id: int,
    roster: Roster,
    *,
    id_secret: IdSecret | None = None,
) -> tuple[RunContext, Plan]:
    """Check and settle the roster, and compare it with what is stored. id_secret: see `plan_roster`.

    Raises:
        DataError: a check or frame failed on the data.
    """
    with database.reading() as session:
        scope = read_scope(session, request.source_id)
        digests = leases.setup_digest(session, source_of(session, request.source_id))
        delivery = session.get(Delivery, delivery_id)
        may_remove = delivery is None or delivery.may_remove
        plan = plan_roster(
            session,
            scope,
            roster,
            asked=request.schools,
            may_remove=may_remove,
            delivery_id=delivery_id,
            id_secret=id_secret,
        )
    return RunContext(run_id, delivery_id, scope, digests), plan


def plan_roster(
    session: Session,
    scope: Scope,
    roster: Roster,
    *,
    asked: Collection[str] | None = None,
    may_remove: bool = True,
    delivery_id: int | None = None,
    id_secret: IdSecret | None = None,
) -> Plan:
    """The plan for a roster, judged, from what the session sees; writes nothing.

    asked: our IDs of the schools that are to be processed, None for all. Every school is judged, as all of them
    together may exceed a limit; causes are looked for where a school asked for would be held. may_remove: see
    `models.tables.Delivery`. delivery_id: the delivery that the roster is of, where it has one. id_secret: without it,
    nobody who was anonymized is recognized, and a note says so.

    Raises:
        DataError: a check or frame failed on the data.
    """
    left_out = 0
    if scope.leaves_out_contacts:
        roster, left_out = without_contacts(roster)
    stored, settled, notes = _read_and_settled(session, scope, roster, id_secret)

    def planned() -> Plan:
        plan = plan_district(scope, settled, stored, today=clock.now().date())
        plan = replace(plan, notes=(*plan.notes, *notes))
        if left_out:
            note = f"left out as you decided: {count(left_out, 'emergency contact')}"
            plan = replace(plan, notes=(*plan.notes, note))
        plan = judging.judged(session, scope, plan if may_remove else without_removals(plan), delivery_id=delivery_id)
        return _with_causes(session, scope, plan, asked, roster, stored)

    return guarded("planning", planned)


def _read_and_settled(
    session: Session, scope: Scope, roster: Roster, id_secret: IdSecret | None
) -> tuple[StoredRows, Settled, tuple[str, ...]]:
    """What is stored, the roster checked and settled, and notes."""

    def checked() -> Records:
        return check(
            roster,
            scope.external_school_ids,
            region=scope.region,
            today=clock.now().date(),
            date_order=scope.date_order,
        )

    # Checking does not look at what is stored, and takes about as long as reading it.
    with ThreadPoolExecutor(1) as beside:
        reading = beside.submit(load_stored_rows, session, scope)
        records = guarded("checking", checked)
        stored = reading.result()
    stored, notes = recognized(session, scope.source_id, stored, records, id_secret)
    settled = guarded("settling", lambda: settle(records, load_stored_roster(session, scope, stored, records.emails())))
    return stored, settled, notes


def _with_causes(
    session: Session, scope: Scope, plan: Plan, asked: Collection[str] | None, roster: Roster, stored: StoredRows
) -> Plan:
    """The plan, with the likely causes of each reason that will hold a school asked for: no decision covers it."""
    crossed = {
        changes.school_id: {reason.code: reason.counts for reason in reasons}
        for changes in plan.changesets
        if changes.reasons and (asked is None or changes.school_id in asked)
        if (reasons := decisions.unresolved(session, changes.school_id, changes.reasons))
    }
    if not crossed:
        return plan
    rows_before = deliveries.rows_last_applied(session, scope.source_id, list(crossed))
    seen = causes.collect_evidence(scope, roster, stored, rows_before)

    def explained(changes: ChangeSet) -> ChangeSet:
        if changes.school_id not in crossed:
            return changes
        found = causes.causes(changes, seen, crossed[changes.school_id])
        reasons = (
            replace(reason, detail=" ".join(filter(None, (reason.detail, found.get(reason.code)))) or None)
            for reason in changes.reasons or ()
        )
        return replace(changes, reasons=tuple(reasons))

    return replace(plan, changesets=tuple(explained(changes) for changes in plan.changesets))
