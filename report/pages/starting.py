"""Starting a sync from a page: "Check for new data" and "Process again"."""

from __future__ import annotations

from report.routing import Answer, Asked, Scope, post
from services.access.audit import Action


@post("/districts/{district}/sync", Scope.DISTRICT, Action.SYNC_STARTED)
def sync_district(asked: Asked) -> Answer:
    """Look for new data of the district, and finish what is unfinished."""
    return asked.report.sync(asked, None, f"/districts/{asked.district.id}")


@post("/schools/{district}/{school}/sync", Scope.SCHOOL, Action.SYNC_STARTED)
def sync_school(asked: Asked) -> Answer:
    """Look for new data of the school, and process it again in any case."""
    return asked.report.sync(asked, [asked.school.key], f"/schools/{asked.school.id}")
