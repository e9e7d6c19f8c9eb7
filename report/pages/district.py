"""A district's SIS Sync tab: a row for each school, what needs somebody first."""

from __future__ import annotations

from report.routing import Answer, Asked, Page, Scope, get


@get("/districts/{district}", Scope.DISTRICT, shared=True)
def district(asked: Asked) -> Answer:
    """The SIS sync report of a district."""
    report = asked.report.district_report(asked, asked.district.id)
    return Page("district.html", {"report": report}, block="main")
