"""A school's people and classes: found, shown with what the SIS says of them, and explained."""

from __future__ import annotations

from report.routing import Answer, Asked, Page, Scope, get
from services.access.audit import Action
from services.status import finding, people
from services.status.record_issues import CLASS

MOST_TYPED = 200


@get("/schools/{district}/{school}/people", Scope.SCHOOL, people=Action.PEOPLE_VIEWED)
def search(asked: Asked) -> Answer:
    """Find a person or class of the school by name, email, phone or ID."""
    query = asked.query.get("q", "").strip()[:MOST_TYPED]
    results = finding.find(asked.session, asked.school, query, whole_district=_visible(asked) is None)
    asked.detail = f"search, {len(results.found) + results.more} found"
    return Page("people.html", {"q": query, "results": results, "shortest": finding.SHORTEST})


# Before the page of one person, whose address would match too.
@get("/schools/{district}/{school}/people/record", Scope.SCHOOL, people=Action.PEOPLE_VIEWED)
def record(asked: Asked) -> Answer:
    """A record of the school's data that never became an account or class, and why."""
    kind, record_id = asked.query.get("kind", ""), asked.query.get("id", "")
    asked.detail = "a record without an account"
    if kind == CLASS:
        found = people.class_record(asked.session, asked.school, record_id, _visible(asked))
        return Page("class.html", {"found": found})
    asked_person = people.record(asked.session, asked.school, kind, record_id, _visible(asked))
    return Page("person.html", {"person": asked_person})


@get("/schools/{district}/{school}/people/{id}", Scope.SCHOOL, people=Action.PEOPLE_VIEWED)
def person(asked: Asked) -> Answer:
    """A person who is or was at the school."""
    asked.about = asked.part["id"]
    return Page(
        "person.html", {"person": people.person(asked.session, asked.school, asked.part["id"], _visible(asked))}
    )


@get("/schools/{district}/{school}/classes/{id}", Scope.SCHOOL, people=Action.PEOPLE_VIEWED)
def school_class(asked: Asked) -> Answer:
    """A class that is or was at the school."""
    asked.about = asked.part["id"]
    return Page(
        "class.html", {"found": people.class_page(asked.session, asked.school, asked.part["id"], _visible(asked))}
    )


def _visible(asked: Asked) -> frozenset[str] | None:
    """The schools that the viewer sees; None: all of the school's district."""
    return None if asked.viewer.administers(asked.school.district_id) else asked.viewer.schools
