"""Starting a sync from a page: "Check for new data" and "Process again"."""

from __future__ import annotations

from report.routing import Answer, Asked, Redirect, Scope, post
from services.access.audit import Action
from services.sync import running


@post("/districts/{district}/sync", Scope.DISTRICT, Action.SYNC_STARTED)
def sync_district(asked: Asked) -> Answer:
    """Look for new data of the district, and finish what is unfinished."""
    return _start(asked, None, f"/districts/{asked.district.id}")


@post("/schools/{district}/{school}/sync", Scope.SCHOOL, Action.SYNC_STARTED)
def sync_school(asked: Asked) -> Answer:
    """Look for new data of the school, and process it again in any case."""
    return _start(asked, [asked.school.key], f"/schools/{asked.school.id}")


def _start(asked: Asked, schools: list[str] | None, back: str) -> Answer:
    obstacle = running.obstacle(asked.session, asked.district.id, schools, asked.now)
    if obstacle is not None:
        asked.detail = f"not started: {obstacle}"
        return Redirect(f"{back}?said=sync_{obstacle}")
    district_id = asked.district.id
    asked.afterwards(lambda: asked.report.start(district_id, schools))
    return Redirect(f"{back}?said=sync_started")
