"""Where somebody lands: the one district or school that they see, or the list of them."""

from __future__ import annotations

from report.routing import Answer, Asked, Page, Redirect, Scope, get
from services.access import viewers


@get("/", Scope.SIGNED_IN)
def home(asked: Asked) -> Answer:
    """The districts and schools that the viewer sees; where there is only one, that one."""
    districts = viewers.visible_districts(asked.session, asked.viewer)
    schools = [
        school
        for school in viewers.visible_schools(asked.session, asked.viewer)
        if not asked.viewer.administers(school.district_id)
    ]
    if len(districts) == 1 and not schools:
        return Redirect(f"/districts/{districts[0].id}")
    if len(schools) == 1 and not districts:
        return Redirect(f"/schools/{schools[0].id}")
    return Page("home.html", {"districts": districts, "schools": schools})
