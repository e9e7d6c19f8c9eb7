"""Several holds cleared at once: what is shown first, what is decided, and what is refused."""

from __future__ import annotations

import re
from html import unescape
from queue import Queue

import httpx
import pytest
from sqlmodel import select

from models.database import Database
from models.tables import AuditEntry, Decision, Hold
from services.holds import store
from services.holds.decisions import LONGEST_WHY
from tests.report.conftest import OPERATOR, UNIFIED, Browser
from tests.report.many import add_many
from tests.report.test_district import Open, operator  # noqa: F401

Started = Queue[tuple[str, list[str] | None]]


@pytest.fixture
def started() -> Started:
    return Queue()


@pytest.fixture
def client(sqlite_database: Database, operator: Open, started: Started) -> httpx.Client:  # noqa: F811
    """The report over 40 schools, four of them on hold for 40 removals each; runs are only noted."""
    add_many(sqlite_database, 40)

    def start(district_id: str, schools: list[str] | None) -> bool:
        started.put((district_id, schools))
        return True

    return operator(sqlite_database, start)


def holds_of(database: Database) -> list[int]:
    with database.reading() as session:
        return [hold.id for hold in store.open_holds(session, "many")]


def decided(database: Database) -> list[tuple[int, str, str, str | None]]:
    with database.reading() as session:
        return [(row.hold_id, row.verb, row.by, row.why) for row in session.exec(select(Decision))]


def test_shows_what_will_happen_school_by_school(client: httpx.Client, sqlite_database: Database) -> None:
    first, second, *_ = holds_of(sqlite_database)
    page = client.get(f"/districts/many/holds/clear?hold={first}&hold={second}").text
    assert "Clear the holds of 2 schools" in page
    assert re.findall(r'<section class="card" aria-labelledby="(\w+)"', page) == ["confirm_removals", "recheck"]
    assert page.count("40 of 100 students would be removed (limit: 10% and 10)") == 4
    assert page.count("40 students</td>") == 2
    # Not more than a hundred, so nothing has to be typed.
    assert 'name="removals"' not in page
    everything = client.get("/districts/many/holds/clear?all=yes").text
    nothing = client.get("/districts/many/holds/clear")
    assert nothing.headers["location"] == "/districts/many?said=choose_schools"
    assert "First choose schools" in client.get(nothing.headers["location"]).text
    assert "Clear the holds of 4 schools" in everything
    assert "Type 160, the number of records to remove" in everything
    assert decided(sqlite_database) == []


def test_decides_for_each_and_starts_one_run(client: httpx.Client, sqlite_database: Database, started: Started) -> None:
    first, second, *_ = holds_of(sqlite_database)
    answer = client.post(
        "/districts/many/holds/clear",
        data={"verb": "confirm_removals", "hold": [str(first), str(second)], "why": " June "},
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/districts/many?said=decided")
    assert decided(sqlite_database) == [(each, "confirm_removals", OPERATOR, "June") for each in (first, second)]
    assert started.get(timeout=10) == ("many", ["s0003", "s0013"])
    with sqlite_database.reading() as session:
        entry = session.exec(select(AuditEntry).where(AuditEntry.action == "decided")).one()
    assert (entry.subject, entry.detail) == (
        "many/s0003, many/s0013",
        f"confirm_removals: holds {first}, {second}; 80 removals",
    )


@pytest.mark.parametrize("typed", ["", "100", "16O"])
def test_above_a_hundred_removals_their_number_has_to_be_typed(
    client: httpx.Client, sqlite_database: Database, typed: str
) -> None:
    form = {"verb": "confirm_removals", "hold": [str(each) for each in holds_of(sqlite_database)]}
    answer = client.post("/districts/many/holds/clear", data={**form, "removals": typed, "why": 'the "end"'})
    assert answer.status_code == 422
    # The form again, with the reason that was typed.
    page = unescape(answer.text)
    assert "Type 160, the number of records to remove" in page
    assert page.count("That isn't the number. Nothing was changed.") == page.count('value="the "end""') == 1
    assert decided(sqlite_database) == []
    assert client.post("/districts/many/holds/clear", data={**form, "removals": " 160 "}).status_code == 303
    assert len(decided(sqlite_database)) == 4


def test_a_reason_is_no_longer_than_on_a_schools_page(client: httpx.Client, sqlite_database: Database) -> None:
    form = {"verb": "confirm_removals", "hold": [str(holds_of(sqlite_database)[0])]}
    assert f'name="why" maxlength="{LONGEST_WHY}"' in client.get("/districts/many/holds/clear?all=yes").text
    answer = client.post("/districts/many/holds/clear", data={**form, "why": "x" * (LONGEST_WHY + 1)})
    assert (answer.status_code, "A reason has at most 500 characters." in answer.text) == (409, True)
    assert decided(sqlite_database) == []
    assert client.post("/districts/many/holds/clear", data={**form, "why": "x" * LONGEST_WHY}).status_code == 303


def test_checking_again_needs_no_number(client: httpx.Client, sqlite_database: Database) -> None:
    form = {"verb": "recheck", "hold": [str(each) for each in holds_of(sqlite_database)]}
    assert client.post("/districts/many/holds/clear", data=form).status_code == 303
    assert {verb for _, verb, _, _ in decided(sqlite_database)} == {"recheck"}


def test_a_hold_that_has_ended_since_is_left_out(client: httpx.Client, sqlite_database: Database) -> None:
    first, second, *_ = holds_of(sqlite_database)

    def end(hold_id: int) -> None:
        with sqlite_database.transaction() as session:
            hold = session.get_one(Hold, hold_id)
            hold.ended_at, hold.ending = hold.opened_at, "released"

    end(second)
    form = {"verb": "recheck", "hold": [str(first), str(second)]}
    assert client.post("/districts/many/holds/clear", data=form).headers["location"].endswith("?said=decided_some")
    assert [hold for hold, *_ in decided(sqlite_database)] == [first]
    end(first)
    assert client.post("/districts/many/holds/clear", data=form).headers["location"].endswith("?said=holds_changed")


def test_nonsense_and_what_a_verb_is_not_about(client: httpx.Client, sqlite_database: Database) -> None:
    first, *_ = holds_of(sqlite_database)
    assert client.post("/districts/many/holds/clear", data={"verb": "delete", "hold": [str(first)]}).status_code == 409
    for form in ({"verb": "accept", "hold": [str(first)]}, {"verb": "recheck", "hold": ["x", "99999"]}):
        assert client.post("/districts/many/holds/clear", data=form).headers["location"].endswith("?said=holds_changed")
    assert decided(sqlite_database) == []
    assert "None of these schools is on hold anymore" in client.get("/districts/many/holds/clear?hold=x").text


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_a_hold_of_another_district_is_none(browser: Browser, samples: Database) -> None:
    with samples.reading() as session:
        foreign = [hold for hold in store.open_holds(session) if hold.district_id != "unified"]
    assert foreign
    form = {"verb": "recheck", "hold": [str(hold.id) for hold in foreign]}
    answer = browser(UNIFIED).post("/districts/unified/holds/clear", data=form)
    assert answer.headers["location"] == "/districts/unified?said=holds_changed"
