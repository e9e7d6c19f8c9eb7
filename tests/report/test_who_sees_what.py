"""Every page and form of the report, asked for by everybody, in their own district and in others.

Pages are found by themselves. A new part of an address needs a sample in `parts`, a new form what it sends in `FORMS`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping

import httpx
import pytest
from sqlmodel import col, func, select

from models.database import Database
from models.tables import AccessToken, AuditEntry, School
from report.pages import load
from report.routing import ENDPOINTS, Endpoint, Scope
from report.serving import served
from services import clock
from services.access import sessions, sign_in, tokens
from settings import Settings
from tests.conftest import Beginnings
from tests.report.conftest import LINCOLN_OFFICE, OPERATOR, RIVERBEND, UNIFIED, play_samples

load()

HTML = {"Sec-Fetch-Site": "same-origin", "Accept": "text/html"}

# What each form sends, by its address. The session that it is sent in is a district administrator's.
Form = Callable[[Database], Mapping[str, str]]
FORMS: dict[str, Form] = {
    "/sign-in": lambda _: {"email": UNIFIED},
    "/sign-in/link": lambda database: {"token": a_link(database)},
    "/sign-out": lambda _: {},
    "/account/sign-out-everywhere": lambda _: {},
    "/districts/{district}/tokens": lambda _: {"name": "Another program"},
    "/districts/{district}/tokens/{token}/revoke": lambda _: {},
}
# Forms that take more than one request, and the tests that see their audit entries.
ELSEWHERE = {
    "/sign-in/confirm": "test_openid.test_an_address_that_is_not_set_up_is_confirmed_by_nobody",
    "/account/disconnect": "test_openid.test_a_connected_account_can_be_disconnected_by_its_owner_only",
}


def a_link(database: Database) -> str:
    with database.transaction() as session:
        return sign_in.make(session, UNIFIED, now=clock.now())


def parts(database: Database) -> dict[str, str]:
    """A sample for each part of an address, all of Unified."""
    with database.reading() as session:
        return {
            "district": "unified",
            "school": "lincoln",
            "provider": "google",
            "hold": str(hold),
            "decision": "confirm-removals",
            "code": "phone_invalid",
            "mute": str(mute),
            "id": link,
            "kind": "csv",
            "key": "roosevelt",
            "source": "files",
            "format": "csv-1.0",
            "file": "schools.csv",
            "webhook": str(webhook),
            "token": str(session.exec(select(AccessToken.id).where(AccessToken.name == "A program")).one()),
        }


def with_token(database: Database) -> None:
    play_samples(database)
    with database.transaction() as session:
        tokens.make(session, "unified", "A program", by=UNIFIED, now=clock.now())


@pytest.fixture
def database(beginnings: Beginnings) -> Iterator[Database]:
    with beginnings("sqlite", with_token) as database:
        yield database


@pytest.fixture
def address(database: Database, settings: Settings) -> Iterator[str]:
    with served(database, settings, keep=0) as address:
        yield address


def path_of(endpoint: Endpoint, samples: Mapping[str, str]) -> str:
    missing = set(re.findall(r"{(\w+)}", endpoint.path)) - samples.keys()
    assert not missing, f"{endpoint.method} {endpoint.path}: give a sample for {sorted(missing)} in parts()"
    return endpoint.path.format(**samples)


def browser(address: str, database: Database, email: str | None) -> httpx.Client:
    client = httpx.Client(base_url=address, headers=HTML)
    if email is not None:
        with database.transaction() as session:
            client.cookies.set("rollcall", sessions.begin(session, email, "link", now=clock.now()))
    return client


ROLES = {"nobody": None, "school": LINCOLN_OFFICE, "district": UNIFIED, "other": RIVERBEND, "operator": OPERATOR}
MAY_OPEN = {
    Scope.ANYBODY: {"nobody", "school", "district", "other", "operator"},
    Scope.SIGNED_IN: {"school", "district", "other", "operator"},
    Scope.SCHOOL: {"school", "district", "operator"},
    Scope.DISTRICT: {"district", "operator"},
    Scope.OPERATORS: {"operator"},
}


@pytest.mark.parametrize("role", ROLES)
def test_everybody_opens_what_is_theirs_and_nothing_else(database: Database, address: str, role: str) -> None:
    samples = parts(database)
    wrong = []
    with browser(address, database, ROLES[role]) as client:
        for endpoint in ENDPOINTS:
            if endpoint.scope is Scope.ANYBODY:
                continue
            may = role in MAY_OPEN[endpoint.scope]
            if may and endpoint.changes:
                continue  # see the audit below
            answer = client.request(endpoint.method, path_of(endpoint, samples))
            expected = (200, 303) if may else (303,) if role == "nobody" else (404,)
            leads_to_sign_in = answer.headers.get("location", "").startswith("/sign-in")
            if answer.status_code not in expected or leads_to_sign_in is not (role == "nobody"):
                wrong.append((endpoint.method, endpoint.path, answer.status_code))
    assert wrong == []


def test_a_foreign_id_answers_as_one_that_does_not_exist(database: Database, address: str) -> None:
    samples = parts(database)
    nowhere = samples | {"district": "nowhere"}
    with browser(address, database, RIVERBEND) as client:
        for endpoint in ENDPOINTS:
            if endpoint.scope in (Scope.DISTRICT, Scope.SCHOOL):
                foreign, unknown = (
                    client.request(endpoint.method, path_of(endpoint, each)) for each in (samples, nowhere)
                )
                assert (foreign.status_code, foreign.text) == (404, unknown.text), endpoint.path
                assert foreign.headers.keys() == unknown.headers.keys(), endpoint.path


def test_what_is_anothers_is_not_found_under_ones_own_address_either(database: Database, address: str) -> None:
    with database.reading() as session:
        school = session.exec(select(School.key).where(School.district_id == "riverbend")).first()
    assert school is not None
    samples = parts(database) | {"district": "riverbend", "school": school}
    with browser(address, database, RIVERBEND) as client:
        for endpoint in ENDPOINTS:
            others = set(re.findall(r"{(\w+)}", endpoint.path)) - {"district", "school"}
            if others and endpoint.scope in (Scope.DISTRICT, Scope.SCHOOL):
                answer = client.request(endpoint.method, path_of(endpoint, samples))
                assert answer.status_code == 404, f"{endpoint.method} {endpoint.path}"


def test_a_token_reads_json_of_its_district_and_nothing_else(database: Database, address: str) -> None:
    with database.transaction() as session:
        own = tokens.make(session, "unified", "Ours", by=UNIFIED, now=clock.now())
        others = tokens.make(session, "riverbend", "Theirs", by=RIVERBEND, now=clock.now())
    samples = parts(database)
    wrong = []
    for accept in ("application/json", "text/html", "*/*"):
        with httpx.Client(base_url=address, headers={"Accept": accept}) as client:
            for endpoint in ENDPOINTS:
                if endpoint.scope is Scope.ANYBODY:
                    continue
                for name, token in (("own", own), ("others", others), ("wrong", own + "x")):
                    answer = client.request(
                        endpoint.method, path_of(endpoint, samples), headers={"Authorization": f"Bearer {token}"}
                    )
                    is_json = answer.headers.get("content-type") == "application/json"
                    if endpoint.changes or name == "wrong":
                        fine = answer.status_code == 401 and is_json
                    elif name == "own" and endpoint.scope in (Scope.DISTRICT, Scope.SCHOOL):
                        fine = answer.status_code in (200, 303, 404) and (is_json or answer.status_code == 303)
                    elif endpoint.scope is Scope.SIGNED_IN:
                        fine = answer.status_code in (303, 404)
                    else:
                        fine = answer.status_code == 404 and is_json
                    if not fine:
                        wrong.append((name, endpoint.method, endpoint.path, answer.status_code))
    assert wrong == []


AUDITED = [
    endpoint for endpoint in ENDPOINTS if (endpoint.shows_people or endpoint.changes) and endpoint.path not in ELSEWHERE
]


def test_whatever_shows_people_or_changes_something_is_audited(database: Database, address: str) -> None:
    samples = parts(database)
    missing = []
    # What ends sessions and tokens comes last.
    for endpoint in sorted(AUDITED, key=lambda each: (each.changes, "revoke" in each.path)):
        form = FORMS.get(endpoint.path) if endpoint.changes else None
        assert form is not None or not endpoint.changes, f"POST {endpoint.path}: give what its form sends in FORMS"
        before = entries(database)
        who = OPERATOR if endpoint.scope is Scope.OPERATORS else UNIFIED
        with browser(address, database, who) as client:
            answer = client.request(
                endpoint.method, path_of(endpoint, samples), data=dict(form(database)) if form is not None else None
            )
        assert answer.status_code in (200, 303), f"{endpoint.method} {endpoint.path}: {answer.status_code}"
        deadline = time.monotonic() + 5
        while entries(database) == before and time.monotonic() < deadline:
            time.sleep(0.02)  # what is done in the background
        if entries(database) == before:
            missing.append(f"{endpoint.method} {endpoint.path}")
    assert missing == []


def entries(database: Database) -> int:
    with database.reading() as session:
        return session.exec(select(func.count(col(AuditEntry.id)))).one()
