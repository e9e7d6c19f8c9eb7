"""Starting a sync from a page: "Check for new data" and "Process again"."""

from __future__ import annotations

from report.routing import Answer, Asked, Redirect, Scope, post
from services.access.audit import Action
from services.sync import running


@post("/districts/{district}/sync", Scope.DISTRICT, Action.SYNC_STARTED)
def sync_district(asked: Asked) -> Answer:
    """Look for new data of the district, and finish what is unfinished."""
    return start(asked, None, f"/districts/{asked.district.id}")


@post("/schools/{district}/{school}/sync", Scope.SCHOOL, Action.SYNC_STARTED)
def sync_school(asked: Asked) -> Answer:
    """Look for new data of the school, and process it again in any case."""
    return start(asked, [asked.school.key], f"/schools/{asked.school.id}")


def start(asked: Asked, schools: list[str] | None, back: str, *, said: str = "sync_started") -> Redirect:
    """Have the district, or the schools with these keys, synced, and go back, where it is said; or why it can't be.

    Raises:
        NotPossible: a school is never synced.
    """
    obstacle = running.obstacle(asked.session, asked.district.id, schools, asked.now)
    if obstacle is not None:
        asked.detail = f"not started: {obstacle}"
        return Redirect(f"{back}?said=sync_{obstacle}")
    district_id = asked.district.id
    asked.afterwards(lambda: asked.report.start(district_id, schools))
    return Redirect(f"{back}?said={said}")
