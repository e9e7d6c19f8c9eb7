"""Pages of people and classes: found, explained, audited, and within what the viewer sees; hostile values are text."""

from __future__ import annotations

import re

import pytest
from sqlmodel import col, select

from models.database import Database
from models.tables import Account, AuditEntry, Link, School
from services.status import finding
from tests.report.conftest import LINCOLN_OFFICE, RIVERBEND, UNIFIED, Browser

LINCOLN = "/schools/unified/lincoln"
HOSTILE = ("<script>alert(1)</script>", "{{7*7}}", "\u202eevil", "x" * 10_000, '"><img src=x onerror=alert(1)>', "=1+1")


@pytest.fixture
def kind() -> str:
    """What pages show does not depend on the database: their services are tested on both."""
    return "sqlite"


def unified(samples: Database, external_id: str, kind: str = "student") -> Link:
    with samples.reading() as session:
        where = (Link.external_id == external_id, Link.kind == kind, Link.source_id == "unified/files")
        return session.exec(select(Link).where(*where)).one()


def test_a_person_is_found_and_explained(browser: Browser, samples: Database) -> None:
    office = browser(LINCOLN_OFFICE)
    found = office.get(f"{LINCOLN}/people", params={"q": "juarez"})
    assert found.status_code == 200
    evan = unified(samples, "007006")
    assert f'href="{LINCOLN}/people/{evan.id}"' in found.text
    page = office.get(f"{LINCOLN}/people/{evan.id}").text
    assert "<h1>Evan Juárez</h1>" in page
    assert "At this school, just as in the SIS" in page
    assert "Nia Juárez" in page


def test_whoever_was_never_created_is_explained(browser: Browser) -> None:
    office = browser(LINCOLN_OFFICE)
    found = office.get(f"{LINCOLN}/people", params={"q": "monica colon"}).text
    assert "Not created: Teacher without an email address" in found
    address = re.search(r'href="([^"]*/people/record[^"]*)"', found)
    assert address is not None
    page = office.get(address[1].replace("&amp;", "&")).text
    assert "Why there is no account" in page
    assert f'href="{LINCOLN}#teacher_email_missing"' in page


@pytest.mark.parametrize("path", ["people", "people?q=zz", "people?q=e", "people/record?kind=class&id=C2026-07003"])
def test_every_page_answers(browser: Browser, path: str) -> None:
    assert browser(UNIFIED).get(f"{LINCOLN}/{path}").status_code == 200


def test_a_foreign_person_answers_as_one_that_does_not_exist(browser: Browser, samples: Database) -> None:
    with samples.reading() as session:
        ids = {
            source: session.exec(select(Link.id).where(Link.source_id == source, Link.kind == "student")).first()
            for source in ("unified/files", "riverbend/files")
        }
        jefferson = session.exec(
            select(Link).where(Link.external_id == "000017", Link.source_id == "unified/files")
        ).one()
    answers = [
        browser(LINCOLN_OFFICE).get(f"{LINCOLN}/people/nobody"),
        browser(LINCOLN_OFFICE).get(f"{LINCOLN}/people/{ids['riverbend/files']}"),
        browser(LINCOLN_OFFICE).get(f"{LINCOLN}/people/{jefferson.id}"),
        browser(LINCOLN_OFFICE).get(f"/schools/unified/jefferson/people/{jefferson.id}"),
        browser(LINCOLN_OFFICE).get("/schools/unified/jefferson/people?q=guerrero"),
        browser(LINCOLN_OFFICE).get(f"{LINCOLN}/people/record?kind=student&id=000017"),
        browser(RIVERBEND).get(f"{LINCOLN}/people/{ids['unified/files']}"),
        browser(RIVERBEND).get(f"{LINCOLN}/people?q=juarez"),
        browser(UNIFIED).get(f"{LINCOLN}/classes/nothing"),
    ]
    assert [answer.status_code for answer in answers] == [404] * len(answers)
    assert all("Guerrero" not in answer.text and "Juárez" not in answer.text for answer in answers)


def test_views_are_audited_without_a_value(browser: Browser, samples: Database) -> None:
    evan = unified(samples, "007006")
    office = browser(LINCOLN_OFFICE)
    office.get(f"{LINCOLN}/people", params={"q": "juarez"})
    office.get(f"{LINCOLN}/people/{evan.id}")
    office.get(f"{LINCOLN}/people/nobody")
    with samples.reading() as session:
        entries = session.exec(select(AuditEntry).order_by(col(AuditEntry.id))).all()
    told = [(each.action, each.actor, each.school_id, each.subject, each.detail) for each in entries]
    assert told == [
        ("people_viewed", LINCOLN_OFFICE, "unified/lincoln", None, "search, 3 found"),
        ("people_viewed", LINCOLN_OFFICE, "unified/lincoln", evan.id, None),
    ]


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_are_text(browser: Browser, samples: Database, value: str) -> None:
    evan = unified(samples, "007006")
    with samples.transaction() as session:
        link, account = session.get_one(Link, evan.id), session.get_one(Account, evan.account_id)
        link.first_name = account.last_name = value
        link.external_id = value
        session.add(link)
        session.add(account)
    office = browser(LINCOLN_OFFICE)
    pages = [
        office.get(f"{LINCOLN}/people/{evan.id}").text,
        office.get(f"{LINCOLN}/people", params={"q": "Juárez"}).text,
        office.get(f"{LINCOLN}/people", params={"q": value}).text,
    ]
    for page in pages:
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert ">49<" not in page


def test_an_edit_of_a_persons_own_is_marked(browser: Browser, samples: Database) -> None:
    evan = unified(samples, "007006")
    with samples.transaction() as session:
        account = session.get_one(Account, evan.account_id)
        account.first_name = "Eevan"
        session.add(account)
    page = browser(LINCOLN_OFFICE).get(f"{LINCOLN}/people/{evan.id}").text
    assert re.search(r'Eevan <span class="tag">differs</span>', page)
    assert "The account keeps its own value until the SIS value changes." in page


def test_pages_are_in_spanish_for_whoever_reads_spanish(browser: Browser, samples: Database) -> None:
    evan = unified(samples, "007006")
    answer = browser(LINCOLN_OFFICE).get(
        f"{LINCOLN}/people/{evan.id}", headers={"Accept-Language": "es-MX,es;q=0.9,en;q=0.5"}
    )
    assert '<html lang="es">' in answer.text
    assert "En esta escuela, tal como indica el SIS" in answer.text
    assert "Padres y tutores" in answer.text


def test_a_search_reads_as_often_for_many_as_for_few(samples: Database) -> None:
    """No query for each person found."""
    from sqlalchemy import event

    counted: list[str] = []
    event.listen(samples.engine, "before_cursor_execute", lambda *given: counted.append(given[2]))
    numbers = []
    with samples.reading() as session:
        school = session.get_one(School, "unified/lincoln")
        for query in ("juarez", "an"):
            counted.clear()
            finding.find(session, school, query, whole_district=True)
            numbers.append(len(counted))
    assert numbers[0] == numbers[1] < 10
