"""Every page and form of the report, asked for by everybody, in their own district and in others.

Pages are found by themselves. A new part of an address needs a sample in `parts`, a new form what it sends in `FORMS`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta

import httpx
import pytest
from sqlmodel import col, select

from models.database import Database
from models.tables import (
    AccessToken,
    AlertMute,
    AuditEntry,
    Class,
    Hold,
    Issue,
    Link,
    School,
    SchoolMembership,
    SchoolRun,
    Webhook,
)
from report.pages import load
from report.routing import ENDPOINTS, Endpoint, Scope
from report.serving import served
from sandbox.samples import FOLDER
from services import clock
from services.access import sessions, sign_in, tokens
from services.operations import district_setup
from services.status import mutes
from services.webhooks import webhooks
from settings import Settings
from tests.conftest import Beginnings
from tests.report.conftest import LINCOLN_OFFICE, OPERATOR, RIVERBEND, UNIFIED, play_samples

load()

HTML = {"Sec-Fetch-Site": "same-origin", "Accept": "text/html"}
# The samples are of Jefferson, which is on hold. Whoever administers Lincoln, in the same district, sees none of them.
JEFFERSON_OFFICE = "office@jefferson.example"

# What each form sends, by its address. The session that it is sent in is a district administrator's.
Form = Callable[[Database], Mapping[str, str]]
FORMS: dict[str, Form] = {
    "/sign-in": lambda _: {"email": UNIFIED},
    "/sign-in/link": lambda database: {"token": a_link(database)},
    "/sign-out": lambda _: {},
    "/account/sign-out-everywhere": lambda _: {},
    "/districts/{district}/sync": lambda _: {},
    "/schools/{district}/{school}/sync": lambda _: {},
    "/schools/{district}/{school}/check": lambda _: {},
    "/districts/{district}/holds/clear": lambda database: {
        "verb": "confirm_removals",
        "hold": parts(database)["hold"],
    },
    "/schools/{district}/{school}/holds/{hold}/{decision}": lambda _: {"why": "They moved away"},
    "/schools/{district}/{school}/issues/{code}/mute": lambda _: {
        "reason": "Known",
        "until": f"{clock.now() + timedelta(days=9):%Y-%m-%d}",
    },
    "/schools/{district}/{school}/mutes/{mute}/end": lambda _: {},
    "/districts/{district}/setup/enforcement": lambda _: {"enforced": "on"},
    "/districts/{district}/setup/limits": lambda _: {"students.share": "12", "students.count": "30"},
    "/districts/{district}/setup/contacts": lambda _: {"policy.files": "leave_out"},
    "/districts/{district}/setup/mail": lambda _: {"new_address": "desk@unified.example", "new_often": "daily"},
    "/districts/{district}/setup/check": lambda _: {"format": "csv-1.0"},
    "/districts/{district}/setup/new/{kind}": lambda _: {"format": "csv-1.0"},
    "/districts/{district}/setup/sources/{source}/change": lambda _: {"format": "csv-1.0"},
    "/districts/{district}/setup/sources/{source}/remove": lambda _: {},
    "/districts/{district}/setup/sources/{source}/look": lambda _: {},
    "/districts/{district}/setup/sources/{source}/schools/file": lambda _: {},
    "/districts/{district}/setup/sources/{source}/schools": lambda database: {
        "confirm": a_school_to_match(database),
        "match.adams": "0106",
    },
    "/districts/{district}/setup/schools/{key}/unmatch": lambda _: {},
    "/districts/{district}/setup/sources/{source}/start": lambda _: {},
    "/districts/{district}/tokens": lambda _: {"name": "Another program"},
    "/districts/{district}/tokens/{token}/revoke": lambda _: {},
    "/districts/{district}/webhooks": lambda _: {"url": "http://127.0.0.1:9/another"},
    "/districts/{district}/webhooks/{webhook}/remove": lambda _: {},
    "/districts/{district}/webhooks/{webhook}/test": lambda _: {},
}
# The name of the field that files are uploaded in, by the address of the form.
UPLOADS = {
    "/districts/{district}/setup/check": "files",
    "/districts/{district}/setup/sources/{source}/schools/file": "file",
}
# Forms that are answered by the page that shows a secret once; others lead on to another page.
SECRET_FOLLOWS = {"/districts/{district}/tokens", "/districts/{district}/webhooks"}
# Forms that take more than one request, and the tests that see their audit entries.
ELSEWHERE = {
    "/sign-in/confirm": "test_openid.test_an_address_that_is_not_set_up_is_confirmed_by_nobody",
    "/account/disconnect": "test_openid.test_a_connected_account_can_be_disconnected_by_its_owner_only",
}


def a_link(database: Database) -> str:
    with database.transaction() as session:
        return sign_in.make(session, UNIFIED, now=clock.now())


def a_school_to_match(database: Database) -> str:
    with database.transaction() as session:
        return district_setup.unmatch_school(session, "unified", "adams", now=clock.now()).key


# Parts of addresses that are the same words in every district.
WORDS = {"provider": "google", "decision": "confirm-removals", "code": "phone_invalid", "kind": "csv"} | {
    "format": "csv-1.0",
    "file": "schools.csv",
}


def parts(database: Database) -> dict[str, str]:
    """A sample for each part of an address, all of Unified; by an address, what its query asks for.

    A part that is named after the same word of several addresses has the word before it in its key.
    """
    jefferson = "unified/jefferson"
    with database.reading() as session:
        person = session.exec(
            select(Link.id)
            .join(SchoolMembership, col(SchoolMembership.link_id) == Link.id)
            .where(SchoolMembership.school_id == jefferson, Link.kind == "student")
        ).first()
        night = session.exec(select(SchoolRun.id).where(SchoolRun.school_id == jefferson)).first()
        return WORDS | {
            "district": "unified",
            "school": "jefferson",
            "hold": str(session.exec(select(Hold.id).where(Hold.school_id == jefferson)).one()),
            "mute": str(session.exec(select(AlertMute.id)).one()),
            "people/id": str(person),
            "classes/id": str(session.exec(select(Class.id).where(Class.school_id == jefferson)).first()),
            "/schools/{district}/{school}/people/record": "?kind=student&id=007003",
            "/schools/{district}/{school}/nights": f"?one={night}&other={night}",
            "key": "adams",
            "source": "csv",
            "webhook": str(session.exec(select(Webhook.id)).one()),
            "token": str(session.exec(select(AccessToken.id).where(AccessToken.name == "A program")).one()),
        }


def with_one_of_each(database: Database) -> None:
    """The sample districts, and in Unified one of each thing that an address can name."""
    play_samples(database)
    now = clock.now()
    with database.transaction() as session:
        session.get_one(School, "unified/jefferson").administrators = [JEFFERSON_OFFICE]
        tokens.make(session, "unified", "A program", by=UNIFIED, now=now)
        webhooks.add(session, "unified", "http://127.0.0.1:9/hook", by=UNIFIED, now=now, allow_private=True)
        mutes.mute(
            session,
            "unified/jefferson",
            "email_invalid",
            reason="Known",
            by=UNIFIED,
            until=now + timedelta(days=9),
            now=now,
        )
        # A record that never became an account.
        session.exec(select(Issue).where(Issue.record_id == "007003")).one().school_id = "unified/jefferson"
        draft = {"kind": "csv", "format": "csv-1.0", "folder": "/nowhere/unified.csv"}
        district_setup.set_up_source(session, "unified", draft)
        district_setup.match_schools(session, "unified", "csv", {"adams": "0105"}, now=now)


@pytest.fixture
def database(beginnings: Beginnings) -> Iterator[Database]:
    with beginnings("sqlite", with_one_of_each) as database:
        yield database


@pytest.fixture
def address(database: Database, settings: Settings) -> Iterator[str]:
    settings = settings.model_copy(update={"webhooks_may_be_private": True})
    with served(database, settings, keep=0, starter=lambda _district, _schools: True) as address:
        yield address


def path_of(endpoint: Endpoint, samples: Mapping[str, str]) -> str:
    def sample(part: re.Match[str]) -> str:
        before, name = part.groups()
        found = samples.get(f"{before}/{name}", samples.get(name))
        assert found is not None, f"{endpoint.method} {endpoint.path}: give a sample for {name} in parts()"
        return f"{before}/{found}"

    return re.sub(r"(\w*)/{(\w+)}", sample, endpoint.path) + samples.get(endpoint.path, "")


def browser(address: str, database: Database, email: str | None) -> httpx.Client:
    client = httpx.Client(base_url=address, headers=HTML)
    if email is not None:
        with database.transaction() as session:
            client.cookies.set("rollcall", sessions.begin(session, email, "link", now=clock.now()))
    return client


ROLES = {
    "nobody": None,
    "school": JEFFERSON_OFFICE,
    "other school": LINCOLN_OFFICE,
    "district": UNIFIED,
    "other district": RIVERBEND,
    "operator": OPERATOR,
}
MAY_OPEN = {
    Scope.SIGNED_IN: ROLES.keys() - {"nobody"},
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
            if may and endpoint.method == "GET":
                part = client.get(path_of(endpoint, samples), headers={"HX-Request": "true"})
                assert part.status_code in (200, 204), endpoint.path
            expected = (200, 303, 422) if may else (303,) if role == "nobody" else (404,)
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


@pytest.mark.parametrize(
    ("email", "school_id"),
    [(RIVERBEND, "riverbend/mill-pond"), (UNIFIED, "unified/lincoln")],
    ids=["district", "school"],
)
def test_what_is_anothers_is_not_found_under_ones_own_address_either(
    database: Database, address: str, email: str, school_id: str
) -> None:
    district, school = school_id.split("/")
    samples = parts(database)
    own = samples | {"district": district, "school": school}
    scopes = {Scope.SCHOOL} if district == samples["district"] else {Scope.SCHOOL, Scope.DISTRICT}
    with browser(address, database, email) as client:
        for endpoint in ENDPOINTS:
            others = set(re.findall(r"{(\w+)}", endpoint.path)) - {"district", "school", *WORDS}
            if (others or endpoint.path in samples) and endpoint.scope in scopes:
                answer = client.request(endpoint.method, path_of(endpoint, own))
                assert answer.status_code == 404, f"{endpoint.method} {endpoint.path}"


def test_a_token_reads_json_of_its_district_and_nothing_else(database: Database, address: str) -> None:
    with database.transaction() as session:
        own = tokens.make(session, "unified", "Ours", by=UNIFIED, now=clock.now())
        others = tokens.make(session, "riverbend", "Theirs", by=RIVERBEND, now=clock.now())
    named = {"own": own, "others": others, "wrong": own + "x"}
    samples = parts(database)
    wrong = []
    for accept in ("application/json", "text/html", "*/*"):
        with httpx.Client(base_url=address, headers={"Accept": accept}) as client:
            for endpoint in ENDPOINTS:
                if endpoint.scope is Scope.ANYBODY:
                    continue
                for name, token in named.items():
                    if name != "own" and accept != "application/json":
                        continue
                    answer = client.request(
                        endpoint.method, path_of(endpoint, samples), headers={"Authorization": f"Bearer {token}"}
                    )
                    is_json = answer.headers.get("content-type") == "application/json"
                    if endpoint.method == "POST" or name == "wrong":
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


@pytest.mark.parametrize("endpoint", AUDITED, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
def test_whatever_shows_people_or_changes_something_is_audited(
    database: Database, address: str, endpoint: Endpoint
) -> None:
    form = FORMS.get(endpoint.path) if endpoint.method == "POST" else lambda _: {}
    assert form is not None, f"POST {endpoint.path}: give what its form sends in FORMS"
    data = dict(form(database))
    who = OPERATOR if endpoint.scope is Scope.OPERATORS else UNIFIED
    before = newest_entry(database)
    with browser(address, database, who) as client:
        answer = client.request(
            endpoint.method, path_of(endpoint, parts(database)), data=data or None, files=files_of(endpoint)
        )
    # A form that comes back with what is wrong with it would be no sample of one that changes something.
    does_something = endpoint.changes and endpoint.path not in SECRET_FOLLOWS
    assert answer.status_code == (303 if does_something else 200)
    deadline = time.monotonic() + 5
    while (entry := newest_entry(database)) == before and time.monotonic() < deadline:
        time.sleep(0.02)  # what is done in the background
    assert entry is not None
    assert entry != before
    assert endpoint.action in (None, entry.action)
    if endpoint.scope in (Scope.DISTRICT, Scope.SCHOOL):
        school_id = "unified/jefferson" if endpoint.scope is Scope.SCHOOL else None
        assert (entry.district_id, entry.school_id) == ("unified", school_id)


def files_of(endpoint: Endpoint) -> list[tuple[str, tuple[str, bytes]]] | None:
    if not endpoint.takes_files:
        return None
    assert endpoint.path in UPLOADS, f"POST {endpoint.path}: give the field of its files in UPLOADS"
    file = FOLDER / "unified" / "night1" / "schools.csv"
    return [(UPLOADS[endpoint.path], (file.name, file.read_bytes()))]


def newest_entry(database: Database) -> AuditEntry | None:
    with database.reading() as session:
        return session.exec(select(AuditEntry).order_by(col(AuditEntry.id).desc())).first()
