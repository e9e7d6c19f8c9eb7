"""Status changes of schools, as events that automations in Prefect can react to."""

from __future__ import annotations

from prefect.events import emit_event

from services.status import sync_status
from tasks.resources import database


def emit_status_changes(district_id: str, kept: int) -> None:
    """Emit each status change of the district's schools since the one with this number as an event of its own.

    The status is a label of the school, as automations tell events apart by labels only.
    """
    with database().reading() as session:
        changes = sync_status.changes_since(session, district_id, kept)
    for change in changes:
        emit_event(
            event="rollcall.school.status",
            occurred=change.at,
            resource={
                "prefect.resource.id": f"rollcall.school.{change.school_id}",
                "prefect.resource.name": change.school_id,
                "rollcall.status": change.status or "none",
                "rollcall.before": change.before or "none",
            },
            payload={"status": change.status, "before": change.before, "reason": change.reason},
        )
