import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.clever_api import (
    CLIENT_ID,
    CLIENT_SECRET,
    HTML_PAGE,
    Answered,
    CleverApi,
    Faults,
    RateLimit,
    serving,
)
from sandbox.clever_records import (
    COLLECTIONS,
    ROLES,
    CleverDistrict,
    Record,
    clever_district,
    clever_ids,
    with_values,
    without,
)
from sandbox.generator import generate

DISTRICT = clever_district(
    generate(students=60), staff=3, district_admins=1, teachers_also_staff=1, teachers_also_district_admins=1
)
OTHER = clever_district(generate(2, students=12))
SCHOOLS = [record.id for record in DISTRICT.records["schools"]]


class Server:
    """One server for all tests, behind which each puts a stand-in of its own."""

    app: ASGIApp
    url: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    with serving(server) as server.url:
        yield server


@pytest.fixture
def now() -> list[float]:
    """The stand-in's clock, stopped: one number of seconds, to be moved on by hand."""
    return [1_800_000_000.5]


@pytest.fixture
def api(server: Server, now: list[float]) -> CleverApi:
    api = CleverApi([DISTRICT, OTHER], clock=lambda: now[0])
    server.app = api
    return api


@pytest.fixture
def client(api: CleverApi, server: Server) -> Iterator[httpx.Client]:
    """A client that reads the first district."""
    with httpx.Client(base_url=server.url, headers=bearer(api.token(DISTRICT.id)), timeout=5) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def link(page: dict[str, Any], rel: str) -> str | None:
    return next((one["uri"] for one in page["links"] if one["rel"] == rel), None)


def ids(page: dict[str, Any]) -> list[str]:
    return [element["data"]["id"] for element in page["data"]]


def walk(client: httpx.Client, uri: str, rel: str = "next", most: int = 50) -> list[list[str]]:
    """The IDs of every page, until there is no link or the page is empty."""
    pages: list[list[str]] = []
    following: str | None = uri
    while following is not None and len(pages) < most:
        answer = client.get(following)
        assert answer.status_code == 200
        pages.append(ids(answer.json()))
        following = link(answer.json(), rel) if pages[-1] else None
    return pages


def flat(pages: list[list[str]]) -> list[str]:
    return [key for page in pages for key in page]


def keys(records: tuple[Record, ...]) -> list[str]:
    return [record.id for record in records]


def statuses(client: httpx.Client, count: int, uri: str = "/v3.1/schools") -> list[int]:
    return [client.get(uri).status_code for _ in range(count)]


def tokens(client: httpx.Client, **query: str) -> dict[str, Any]:
    answer = client.get("/oauth/tokens", params={"owner_type": "district", **query}, auth=(CLIENT_ID, CLIENT_SECRET))
    assert answer.status_code == 200
    listed: dict[str, Any] = answer.json()
    return listed


@pytest.mark.parametrize("version", ["v3.0", "v3.1"])
@pytest.mark.parametrize("limit", [1, 7, 60, 100])
def test_a_walk_over_the_pages_gives_every_record_once(client: httpx.Client, version: str, limit: int) -> None:
    for collection in COLLECTIONS:
        pages = walk(client, f"/{version}/{collection}?limit={limit}", most=500)
        assert flat(pages) == keys(DISTRICT.records[collection])
        assert {len(page) for page in pages[:-1]} <= {limit}
    for role in ROLES:
        assert flat(walk(client, f"/{version}/users?role={role}&limit={limit}", most=500)) == keys(DISTRICT.users(role))


def test_a_list_has_clevers_envelope_and_links(client: httpx.Client) -> None:
    first, second, third = SCHOOLS
    values = {value["id"]: value for value in DISTRICT.values("schools")}
    one = client.get("/v3.1/schools?limit=2")
    assert one.headers["content-type"] == "application/json"
    assert one.json() == {
        "data": [{"data": values[key], "uri": f"/v3.1/schools/{key}"} for key in (first, second)],
        "links": [
            {"rel": "self", "uri": "/v3.1/schools?limit=2"},
            {"rel": "next", "uri": f"/v3.1/schools?limit=2&starting_after={second}"},
        ],
    }
    assert client.get(f"/v3.1/schools?limit=2&starting_after={second}").json() == {
        "data": [{"data": values[third], "uri": f"/v3.1/schools/{third}"}],
        "links": [
            {"rel": "self", "uri": f"/v3.1/schools?limit=2&starting_after={second}"},
            {"rel": "prev", "uri": f"/v3.1/schools?limit=2&ending_before={third}"},
        ],
    }


def test_a_full_last_page_has_a_next_link_and_an_empty_page_follows(client: httpx.Client) -> None:
    assert [len(page) for page in walk(client, "/v3.1/schools?limit=3")] == [3, 0]
    empty = client.get(f"/v3.1/schools?starting_after={SCHOOLS[-1]}").json()
    assert empty["data"] == []
    assert link(empty, "next") is None


def test_pages_are_walked_backwards_too(client: httpx.Client) -> None:
    students = keys(DISTRICT.users("student"))
    pages = walk(client, f"/v3.1/users?role=student&limit=25&ending_before={students[-1]}", rel="prev")
    assert pages == [students[34:59], students[9:34], students[:9], []]


def test_the_default_is_a_hundred_and_ten_thousand_the_most(client: httpx.Client) -> None:
    users = keys(DISTRICT.records["users"])
    assert [len(page) for page in walk(client, "/v3.1/users")] == [100, len(users) - 100]
    assert ids(client.get("/v3.1/users?limit=10000").json()) == users
    refused = client.get("/v3.1/users?limit=10001")
    assert (refused.status_code, refused.json()) == (413, {"message": "limit must be at most 10000"})
    for limit in ("0", "-1", "many", ""):
        refused = client.get(f"/v3.1/users?limit={limit}")
        assert (refused.status_code, refused.json()) == (400, {"message": "limit must be a positive number"})


@pytest.mark.parametrize(
    ("uri", "status", "message"),
    [
        ("/v3.1/users?role=principal", 400, "unknown role"),
        ("/v3.1/events", 404, "Resource not found"),
        ("/v2.1/schools", 404, "Resource not found"),
        ("/v2.1/districts", 404, "Resource not found"),
        ("/elsewhere", 404, "Not Found"),
    ],
)
def test_what_there_is_not_is_refused_in_a_message(client: httpx.Client, uri: str, status: int, message: str) -> None:
    answer = client.get(uri)
    assert (answer.status_code, answer.json()) == (status, {"message": message})


@pytest.mark.parametrize("headers", [{}, bearer("invented-token"), {"authorization": f"Basic {DISTRICT.id}"}])
def test_data_need_a_bearer_token(api: CleverApi, server: Server, headers: dict[str, str]) -> None:
    for path in ("districts", *COLLECTIONS):
        answer = httpx.get(f"{server.url}/v3.1/{path}", headers=headers)
        assert (answer.status_code, answer.json()) == (401, {"message": "Unauthorized"})
        assert "x-ratelimit-limit" not in answer.headers


def test_tokens_are_listed_for_the_apps_own_credentials(api: CleverApi, client: httpx.Client) -> None:
    def entry(district: CleverDistrict) -> dict[str, Any]:
        return {
            "id": district.id[::-1],
            "created": "2026-07-01T00:00:00.000Z",
            "owner": {"type": "district", "id": district.id},
            "access_token": api.token(district.id),
            "scopes": ["read:district_admins", "read:schools", "read:sections", "read:users"],
        }

    uri = "/oauth/tokens?owner_type=district"
    both = sorted((DISTRICT, OTHER), key=lambda district: district.id)
    assert tokens(client) == {"data": [entry(one) for one in both], "links": [{"rel": "self", "uri": uri}]}
    assert tokens(client, district=OTHER.id) == {
        "data": [entry(OTHER)],
        "links": [{"rel": "self", "uri": f"{uri}&district={OTHER.id}"}],
    }
    assert tokens(client, district="0" * 24)["data"] == []
    assert client.get(uri).status_code == 401  # a bearer token
    assert client.get(uri, auth=(CLIENT_ID, "wrong")).status_code == 401
    assert client.get("/oauth/tokens", auth=(CLIENT_ID, CLIENT_SECRET)).status_code == 400


def test_a_token_reads_its_own_district_only(api: CleverApi, client: httpx.Client) -> None:
    for district in (DISTRICT, OTHER):
        headers = bearer(api.token(district.id))
        assert client.get("/v3.1/districts", headers=headers).json() == {
            "data": [{"data": dict(district.district), "uri": f"/v3.1/districts/{district.id}"}],
            "links": [{"rel": "self", "uri": "/v3.1/districts"}],
        }
        assert ids(client.get("/v3.1/users?limit=1000", headers=headers).json()) == keys(district.records["users"])


def test_a_window_of_requests_is_counted_for_each_token(api: CleverApi, client: httpx.Client, now: list[float]) -> None:
    def told(answer: httpx.Response) -> tuple[int, dict[str, str]]:
        prefix = "x-ratelimit-"
        limits = {name.removeprefix(prefix): answer.headers[name] for name in answer.headers if name.startswith(prefix)}
        return answer.status_code, limits

    api.rate_limit = RateLimit(limit=2)
    same = {"bucket": DISTRICT.id, "limit": "2", "reset": "1800000060"}
    assert [told(client.get("/v3.1/schools")) for _ in range(2)] == [
        (200, {**same, "remaining": "1"}),
        (200, {**same, "remaining": "0"}),
    ]
    now[0] = 1_800_000_059.9
    refused = client.get("/v3.1/schools")
    assert told(refused) == (429, {**same, "remaining": "0"})
    assert refused.json() == {"message": "Too many requests"}
    assert client.get("/v3.1/schools", headers=bearer(api.token(OTHER.id))).status_code == 200
    assert len(tokens(client)["data"]) == 2
    now[0] = 1_800_000_060.0
    assert told(client.get("/v3.1/schools")) == (200, {**same, "remaining": "1", "reset": "1800000120"})


def test_every_request_is_logged_without_its_token(api: CleverApi, client: httpx.Client, now: list[float]) -> None:
    first = now[0]
    tokens(client, district=DISTRICT.id)
    now[0] = second = first + 1
    client.get("/v3.1/users?role=staff&limit=5")
    client.get("/v3.1/users?role=principal")
    client.get("/v3.1/schools", headers=bearer("invented-token"))
    assert api.requests == [
        Answered("/oauth/tokens", {"owner_type": "district", "district": DISTRICT.id}, first, 200),
        Answered("/v3.1/users", {"role": "staff", "limit": "5"}, second, 200, DISTRICT.id),
        Answered("/v3.1/users", {"role": "principal"}, second, 400, DISTRICT.id),
        Answered("/v3.1/schools", {}, second, 401),
    ]


def test_a_rotated_token_is_refused_and_the_next_one_listed(api: CleverApi, client: httpx.Client) -> None:
    former = api.token(DISTRICT.id)
    api.rotate(DISTRICT.id)
    assert client.get("/v3.1/schools").status_code == 401
    [entry] = tokens(client, district=DISTRICT.id)["data"]
    assert entry["access_token"] != former
    assert client.get("/v3.1/schools", headers=bearer(entry["access_token"])).status_code == 200


# Faults


def test_a_token_expires_after_so_many_requests_until_it_is_fetched_again(api: CleverApi, client: httpx.Client) -> None:
    api.faults = Faults(token_requests=2)
    assert statuses(client, 4) == [200, 200, 401, 401]
    client.headers.update(bearer(tokens(client, district=DISTRICT.id)["data"][0]["access_token"]))
    assert statuses(client, 3) == [200, 200, 401]


def test_a_token_is_revoked_or_missing(api: CleverApi, client: httpx.Client) -> None:
    api.faults = Faults(token_refused=True)
    assert statuses(client, 2) == [401, 401]
    assert len(tokens(client)["data"]) == 2
    api.faults = Faults(token_missing=True)
    assert tokens(client)["data"] == []
    assert statuses(client, 1) == [200]


@pytest.mark.parametrize("status", [403, 404])
def test_the_district_itself_is_refused(api: CleverApi, client: httpx.Client, status: int) -> None:
    api.faults = Faults(district_status=status)
    assert statuses(client, 1, "/v3.1/districts") == [status]
    assert client.get("/v3.1/users").json() == {"message": "Not available"}


def test_answers_are_slow(api: CleverApi, client: httpx.Client) -> None:
    api.faults = Faults(delay_seconds=0.2)
    start = time.perf_counter()
    assert statuses(client, 1) == [200]
    assert time.perf_counter() - start >= 0.2
    with pytest.raises(httpx.ReadTimeout):
        client.get("/v3.1/schools", timeout=0.05)


def test_a_connection_is_closed_without_an_answer(api: CleverApi, client: httpx.Client) -> None:
    api.faults = Faults(disconnected_every=2)
    assert statuses(client, 1) == [200]
    with pytest.raises(httpx.RemoteProtocolError, match="disconnected without sending a response"):
        client.get("/v3.1/schools")
    assert statuses(client, 1) == [200]
    assert [entry.status for entry in api.requests] == [200, 0, 200]


def test_a_body_is_cut_short(api: CleverApi, client: httpx.Client) -> None:
    whole = client.get("/v3.1/users").content
    api.faults = Faults(cut_short_every=1)
    with client.stream("GET", "/v3.1/users") as answer:
        assert answer.status_code == 200
        assert answer.headers["content-length"] == str(len(whole))
        got = b""
        with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
            for piece in answer.iter_raw():
                got += piece
    assert got == whole[: len(whole) // 2]
    assert api.requests[-1].status == 0


def test_too_many_requests_at_will(api: CleverApi, client: httpx.Client) -> None:
    api.faults = Faults(too_many_every=3, too_many_reset_seconds=30)
    assert statuses(client, 6) == [200, 200, 429, 200, 200, 429]
    api.faults = Faults(too_many_every=1, too_many_reset_seconds=30)
    refused = client.get("/v3.1/users")
    assert refused.json() == {"message": "Too many requests"}
    assert refused.headers["x-ratelimit-reset"] == "1800000030"
    assert refused.headers["x-ratelimit-remaining"] == "0"
    api.faults = Faults(too_many_every=1, too_many_reset_seconds=None)
    assert "x-ratelimit-reset" not in client.get("/v3.1/users").headers


def test_the_server_fails_every_so_often_in_turn(api: CleverApi, client: httpx.Client) -> None:
    api.faults = Faults(failed_every=2)
    assert statuses(client, 8) == [200, 500, 200, 502, 200, 503, 200, 500]
    api.faults = Faults(failed_every=1, failed_statuses=(503,))
    assert client.get("/v3.1/schools").json() == {"message": "Internal error"}
    assert statuses(client, 2) == [503, 503]


def test_html_comes_in_place_of_data(api: CleverApi, client: httpx.Client) -> None:
    for faults, status in ((Faults(html_every=1), 200), (Faults(failed_every=1, failed_as_html=True), 500)):
        api.faults = faults
        answer = client.get("/v3.1/schools")
        assert (answer.status_code, answer.text) == (status, HTML_PAGE)
        assert answer.headers["content-type"] == "text/html; charset=utf-8"


def test_faults_strike_the_paths_they_are_for(api: CleverApi, client: httpx.Client) -> None:
    api.faults = Faults(paths="/v3.1/users", failed_every=1)
    assert (statuses(client, 1), statuses(client, 1, "/v3.1/users")) == ([200], [500])
    api.faults = Faults(paths="/oauth", failed_every=1)
    assert (statuses(client, 1), statuses(client, 1, "/oauth/tokens")) == ([200], [500])


def test_unshared_records_are_in_no_list_and_still_referred_to(api: CleverApi, client: httpx.Client) -> None:
    section = DISTRICT.values("sections")[0]
    student = section["students"][0]
    api.faults = Faults(unshared={student, SCHOOLS[0]})
    students = keys(DISTRICT.users("student"))
    students.remove(student)
    assert flat(walk(client, "/v3.1/users?role=student&limit=10")) == students
    assert ids(client.get("/v3.1/schools").json()) == SCHOOLS[1:]
    assert client.get("/v3.1/sections?limit=1").json()["data"][0]["data"] == section


def test_the_same_page_comes_again(api: CleverApi, client: httpx.Client) -> None:
    api.faults = Faults(same_page=True)
    students = keys(DISTRICT.users("student"))
    assert walk(client, "/v3.1/users?role=student&limit=20", most=4) == 4 * [students[:20]]


def test_a_cursor_does_not_advance(api: CleverApi, client: httpx.Client) -> None:
    api.faults = Faults(stuck_cursor=True)
    students = keys(DISTRICT.users("student"))
    pages = walk(client, "/v3.1/users?role=student&limit=20", most=4)
    assert pages == [students[:20], *3 * [students[20:40]]]
    cursors = [entry.query.get("starting_after") for entry in api.requests]
    assert cursors == [None, *3 * [students[19]]]


def test_pages_overlap(api: CleverApi, client: httpx.Client) -> None:
    api.faults = Faults(overlap=2)
    students = keys(DISTRICT.users("student"))
    pages = walk(client, "/v3.1/users?role=student&limit=25")
    assert pages == [students[:25], students[23:50], students[48:]]


def test_every_page_has_a_next_link(api: CleverApi, client: httpx.Client) -> None:
    api.faults = Faults(always_next=True)
    assert [len(page) for page in walk(client, "/v3.1/users?role=student&limit=25")] == [25, 25, 10, 0]
    last = keys(DISTRICT.users("student"))[-1]
    uri = f"/v3.1/users?role=student&limit=25&starting_after={last}"
    assert client.get(uri).json() == {
        "data": [],
        "links": [{"rel": "self", "uri": uri}, {"rel": "next", "uri": uri}],
    }


def test_a_next_link_leads_to_a_foreign_host(api: CleverApi, client: httpx.Client) -> None:
    api.faults = Faults(foreign_next="https://elsewhere.example")
    page = client.get("/v3.1/schools?limit=2").json()
    assert link(page, "next") == f"https://elsewhere.example/v3.1/schools?limit=2&starting_after={SCHOOLS[1]}"
    assert link(page, "self") == "/v3.1/schools?limit=2"


def test_data_change_between_two_pages(api: CleverApi, client: httpx.Client) -> None:
    students = keys(DISTRICT.users("student"))
    before, after = "0" * 24, "f" * 24

    def change(entry: Answered) -> None:
        if "starting_after" in entry.query:
            fewer = without(DISTRICT, students[:1] + students[30:35])
            api.districts[DISTRICT.id] = with_values(
                fewer, "users", [{"id": key, "roles": {"student": {}}} for key in (before, after)]
            )

    api.faults = Faults(before_page=change)
    pages = walk(client, "/v3.1/users?role=student&limit=25")
    assert pages == [students[:25], students[25:30] + students[35:55], [*students[55:], after]]


def test_it_falls_silent_after_so_many_pages_and_still_stops_at_once(api: CleverApi, client: httpx.Client) -> None:
    api.faults = Faults(silent_after_pages=2)
    assert statuses(client, 2) == [200, 200]
    for path in ("schools", "districts"):
        with pytest.raises(httpx.ReadTimeout):
            client.get(f"/v3.1/{path}", timeout=0.1)
    assert len(tokens(client)["data"]) == 2
    api.faults = Faults()
    assert statuses(client, 1) == [200]

    silent = CleverApi([OTHER], faults=Faults(silent_after_pages=0))
    with httpx.Client() as waiting:
        refused: list[BaseException] = []
        with serving(silent) as url:

            def wait() -> None:
                try:
                    waiting.get(f"{url}/v3.1/schools", timeout=30)
                except httpx.HTTPError as error:
                    refused.append(error)

            thread = threading.Thread(target=wait)
            thread.start()
            while not silent.requests:
                time.sleep(0.01)
            start = time.perf_counter()
        assert time.perf_counter() - start < 5
        thread.join(5)
        assert [type(error) for error in refused] == [httpx.RemoteProtocolError]


def test_a_district_is_replaced_while_it_runs(api: CleverApi, client: httpx.Client) -> None:
    assert flat(walk(client, "/v3.1/users?role=teacher")) == keys(DISTRICT.users("teacher"))
    gone = clever_ids(generate(students=60)).employees["T00002"]
    api.districts[DISTRICT.id] = without(DISTRICT, [gone])
    assert flat(walk(client, "/v3.1/users?role=teacher")) == [
        key for key in keys(DISTRICT.users("teacher")) if key != gone
    ]


def test_it_runs_alone() -> None:
    command = [sys.executable, "-m", "sandbox.clever_api", "--port", "0", "--students", "20", "--seed", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        said = dict(running.stdout.readline().rstrip().rsplit(maxsplit=1) for _ in range(4))
        try:
            listed = httpx.get(
                f"{said['address']}/oauth/tokens?owner_type=district", auth=(said["client ID"], said["client secret"])
            ).json()
        finally:
            running.terminate()
    assert [entry["owner"]["id"] for entry in listed["data"]] == [said["district"]] == [OTHER.id]
