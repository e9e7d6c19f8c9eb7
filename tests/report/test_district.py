"""The district's page."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from queue import Queue

import httpx
import pytest
from sqlalchemy import event

from models.database import Database
from models.tables import FileError, Pause, Run, Source
from report.app import Starter
from report.serving import served
from services import clock
from services.access import sessions
from settings import Settings
from tests.report.conftest import OPERATOR, RIVERBEND, UNIFIED, Browser
from tests.report.many import NAMES, NOW, add_many


def test_a_district_administrator_lands_on_their_district(browser: Browser) -> None:
    answer = browser(UNIFIED).get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/districts/unified")


def test_the_page_shows_every_school_those_needing_action_first(browser: Browser) -> None:
    page = browser(UNIFIED).get("/districts/unified")
    assert page.status_code == 200
    names = ["Jefferson Elementary School", "Adams Middle School", "Lincoln High School"]
    places = [page.text.index(name) for name in names]
    assert places == sorted(places)


def test_a_foreign_district_is_not_found(browser: Browser) -> None:
    foreign, unknown = (browser(RIVERBEND).get(f"/districts/{each}") for each in ("unified", "nowhere"))
    assert (foreign.status_code, unknown.status_code) == (404, 404)
    assert foreign.text == unknown.text.replace("nowhere", "unified")


def test_nobody_is_sent_to_sign_in(browser: Browser) -> None:
    answer = browser(None).get("/districts/unified?status=on_hold")
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        "/sign-in?next=%2Fdistricts%2Funified%3Fstatus%3Don_hold",
    )


Open = Callable[..., httpx.Client]


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Open]:
    """Opens the report over a database, signed in as an operator. starter: starts its runs."""
    with ExitStack() as opened:

        def open_report(database: Database, starter: Starter | None = None) -> httpx.Client:
            settings = Settings(home=tmp_path, operators=(OPERATOR,))
            address = opened.enter_context(served(database, settings, keep=0, starter=starter))
            with database.transaction() as session:
                token = sessions.begin(session, OPERATOR, "link", now=clock.now())
            headers = {"Sec-Fetch-Site": "same-origin", "Accept": "text/html"}
            client = httpx.Client(base_url=address, headers=headers, cookies={"rollcall": token}, timeout=60)
            return opened.enter_context(client)

        yield open_report


@pytest.fixture
def many(sqlite_database: Database, operator: Open) -> httpx.Client:
    """The report over a district of 230 schools."""
    add_many(sqlite_database, 230)
    return operator(sqlite_database)


def shown(page: httpx.Response) -> list[str]:
    """The keys of the schools of a page, in its order."""
    return re.findall(r'<tr id="([^"]+)"', page.text)


def key(number: int) -> str:
    return f"s{number:04}"


def test_every_hostile_name_is_text(many: httpx.Client) -> None:
    page = many.get("/districts/many?sort=name&q=s000").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "{{7*7}}" in page
    assert "Many &lt;b&gt;Schools&lt;/b&gt;" in page
    for name in NAMES[2:5]:
        assert f"<bdi>{name}</bdi>" in page
    assert "<bdi>🏫 O&#39;Neill &amp; Sons</bdi>" in page


def test_a_hundred_schools_a_page_those_needing_action_first(many: httpx.Client) -> None:
    pages = [many.get("/districts/many", params={"page": page}) for page in (1, 2, 3, 9)]
    assert [len(shown(page)) for page in pages] == [100, 100, 30, 30]
    first = shown(pages[0])
    # On hold first, with the one with most alerts before others; then those without a source; then with errors.
    assert first[:23] == [key(n) for n in sorted((n for n in range(230) if n % 10 == 3), key=lambda n: (n % 3 > 0, n))]
    assert {int(each[1:]) % 10 for each in first[23:46]} == {7}
    assert {int(each[1:]) % 10 for each in shown(pages[2])[-23:]} == {8}
    assert "1 to 100 of 230 schools" in pages[0].text
    assert "201 to 230 of 230 schools" in pages[3].text


def test_sorted_and_filtered_by_the_address(many: httpx.Client) -> None:
    def get(query: str) -> list[str]:
        return shown(many.get(f"/districts/many?{query}"))

    assert get("sort=students&order=down")[:2] == ["s0229", "s0228"]
    assert get("sort=students")[:2] == ["s0000", "s0001"]
    assert get("q=school+022&sort=name") == [key(n) for n in range(220, 230)]
    assert get("status=on_hold&sort=students") == [key(n) for n in range(3, 230, 10)]
    assert get("status=off&sort=students") == [key(n) for n in range(8, 230, 10)]
    assert {int(each[1:]) % 5 for each in get("status=errors")} == {1}
    assert get("status=on_hold&q=nothing") == []
    # What makes no sense is passed over.
    assert len(get("status=%27&sort=id&page=x&order=up")) == 100


def test_the_sentence_the_counts_and_the_totals(many: httpx.Client) -> None:
    page = many.get("/districts/many").text
    # 23 on hold, 23 without a sync, 46 with errors.
    assert "92 schools need you" in page
    assert "23 are on hold. 23 have no sync yet. 46 have data errors." in page
    figures = re.findall(r'href="\?status=(\w+)".*?figure-number">([\d,]+)', page, re.S)
    assert figures == [("on_hold", "23"), ("setup_sync", "23"), ("connected", "161"), ("off", "23"), ("errors", "46")]
    # An error of no known school is among them, and no alert of schools without a source.
    assert re.search(r"<strong>93</strong> errors · <strong>70</strong> alerts", page)


def test_nights_that_stopped_before_the_schools_are_marked(sqlite_database: Database, operator: Open) -> None:
    add_many(sqlite_database, 2, nights=2)
    with sqlite_database.transaction() as session:
        for _ in range(5):
            session.add(
                Run(
                    district_id="many",
                    source_id="many/files",
                    started_at=NOW,
                    heartbeat_at=NOW,
                    ended_at=NOW,
                    outcome="rejected",
                )
            )
            session.flush()
    page = operator(sqlite_database).get("/districts/many").text
    labels = re.findall('class="spark" role="img" aria-label="([^"]+)"', page)
    assert labels == [f"Errors: {many} to {many}, last {many}; 5 nights without a successful sync" for many in (2, 0)]
    assert page.count('<circle class="mark"') == 10


def test_a_single_school_needs_you(sqlite_database: Database, operator: Open) -> None:
    add_many(sqlite_database, 2)
    page = operator(sqlite_database).get("/districts/many").text
    assert re.search(r'sentence-bad">.*?</svg>1 school needs you</p>', page, re.S)
    assert "1 has data errors." in page


def test_red_schools_have_an_exclamation_mark_and_schools_off_the_plan_are_gray(many: httpx.Client) -> None:
    page = many.get("/districts/many?sort=students").text
    rows = dict(re.findall(r'<tr id="([^"]+)" class="([^"]*)"', page))
    assert {each: rows[each] for each in (key(1), key(2), key(8))} == {key(1): "is-red", key(2): "", key(8): "is-gray"}
    assert page.count('class="mark-error"') == list(rows.values()).count("is-red")


def test_a_calm_district_has_no_data_errors(sqlite_database: Database, operator: Open) -> None:
    add_many(sqlite_database, 1)
    with sqlite_database.transaction() as session:
        session.connection().exec_driver_sql("DELETE FROM issue")
    page = operator(sqlite_database).get("/districts/many").text
    assert "No data errors" in page
    assert not re.search(r"schools? needs? you", page)
    assert "Latest data" in page
    assert "Usually every day around 10:00 AM." in page


def test_a_rejected_delivery_is_told_file_by_file_with_its_remedy_and_every_bad_row(
    sqlite_database: Database, operator: Open
) -> None:
    add_many(sqlite_database, 3)
    client = operator(sqlite_database)
    with sqlite_database.transaction() as session:
        delivery = session.get_one(Source, "many/files").last_delivery_id
        for line in (2, 3):
            session.add(
                FileError(
                    source_id="many/files", delivery_id=delivery, code="quotes_invalid", file="students.csv", line=line,
                    row="=cmd,Ada <b>",
                )
            )  # fmt: skip
    page = client.get("/districts/many").text
    assert "Your files have errors and were rejected" in page
    assert "Your latest files were rejected" in page
    assert re.search(r"students\.csv.*2 errors.*line 2, line 3.*What to do:", page, re.S)
    assert "Ada" not in page
    document = client.get("/districts/many/file-errors.csv")
    assert document.headers["content-disposition"] == 'attachment; filename="many-file-errors.csv"'
    assert [line.split(",")[:3] for line in document.text.splitlines()] == [
        ["\ufefffile", "line", "code"],
        ["students.csv", "2", "quotes_invalid"],
        ["students.csv", "3", "quotes_invalid"],
    ]
    assert "'=cmd" in document.text


def test_records_of_no_known_school_are_shown_and_downloaded(many: httpx.Client) -> None:
    page = many.get("/districts/many").text
    assert "Records that match no school" in page
    document = many.get("/districts/many/unplaced.csv")
    assert len(document.text.splitlines()) == 2
    assert "school_unknown" in document.text


def test_a_pause_and_what_clever_reports_are_told(sqlite_database: Database, operator: Open) -> None:
    add_many(sqlite_database, 3)
    with sqlite_database.transaction() as session:
        session.get_one(Source, "many/files").pausable = True
        session.get_one(Source, "many/files").remote_reason = "Clever reports the district as pending"
        session.add(
            Pause(district_id="many", reason="moving <b>servers</b>", by="ops", started_at=NOW - timedelta(days=1))
        )
    page = operator(sqlite_database).get("/districts/many").text
    assert "Syncs from Clever are paused for maintenance" in page
    assert "moving &lt;b&gt;servers&lt;/b&gt;" in page
    assert "Clever reports the district as pending" in page
    assert 'href="?status=paused"' in page


def test_the_same_report_for_programs(many: httpx.Client) -> None:
    found = many.get("/districts/many?status=on_hold&sort=students", headers={"Accept": "application/json"}).json()
    assert [row["school"] for row in found["schools"]] == [f"many/{key(n)}" for n in range(3, 230, 10)]
    (hold,) = {row["hold"]["reasons"][0] for row in found["schools"]}
    first = found["schools"][0]
    assert hold == "data_removals"
    assert first == {
        "school": "many/s0003",
        "name": "=1+1",
        "on_plan": True,
        "status": "on_hold",
        "teachers": 3,
        "students": 3,
        "errors": 0,
        "alerts": 1,
        "muted_alerts": 0,
        "source": "CSV files",
        "last_success": (NOW - timedelta(days=2)).isoformat(),
        "hold": first["hold"],
    }
    assert found["totals"] == {"teachers": 4335, "students": 26335, "errors": 93, "alerts": 70}
    assert (found["schools_that_need_you"], found["sync"], found["rejected"]) == (92, None, [])
    assert found["no_known_school"] == [{"code": "school_unknown", "severity": "error", "count": 1}]
    (delivery,) = found["deliveries"]
    assert (delivery["source"], delivery["taken_at"]) == ("many/files", (NOW - timedelta(days=1)).isoformat())


def test_the_live_part_alone_for_htmx_with_the_view_in_its_address(many: httpx.Client) -> None:
    part = many.get("/districts/many?status=on_hold&page=1", headers={"HX-Request": "true"}).text.strip()
    assert part.startswith('<div id="live" hx-get="/districts/many?status=on_hold" hx-trigger="every 5s"')
    assert part.endswith("</div>")
    assert "<html" not in part


def test_as_many_statements_for_three_schools_as_for_three_hundred(sqlite_database: Database, operator: Open) -> None:
    add_many(sqlite_database, 3, district="few")
    add_many(sqlite_database, 300, district="many")
    client = operator(sqlite_database)
    said: list[str] = []

    def note(*args: object) -> None:
        said.append(str(args[2]))

    event.listen(sqlite_database.engine, "before_cursor_execute", note)
    counted = {}
    for path in ("", "/holds/clear?all=yes"):
        for district in ("few", "many"):
            client.get("/")
            said.clear()
            assert client.get(f"/districts/{district}{path}").status_code == 200
            counted[district, path] = len(said)
    event.remove(sqlite_database.engine, "before_cursor_execute", note)
    assert counted["few", ""] == counted["many", ""]
    assert (
        counted["few", "/holds/clear?all=yes"]
        <= counted["many", "/holds/clear?all=yes"]
        <= counted["few", "/holds/clear?all=yes"] + 1
    )


def test_checking_for_new_data_is_refused_in_plain_words_while_a_sync_is_under_way(
    sqlite_database: Database, operator: Open
) -> None:
    add_many(sqlite_database, 3)
    client = operator(sqlite_database)
    with sqlite_database.transaction() as session:
        session.add(Run(district_id="many", source_id="many/files", started_at=clock.now(), heartbeat_at=clock.now()))
    answer = client.post("/districts/many/sync")
    assert (answer.status_code, answer.headers["location"]) == (303, "/districts/many?said=sync_busy")
    page = client.get("/districts/many?said=sync_busy").text
    assert "A sync is already running" in page
    assert "Checking for new data from CSV files" in page


def test_a_run_is_started_where_the_starter_says(sqlite_database: Database, operator: Open) -> None:
    add_many(sqlite_database, 3)
    started: Queue[tuple[str, list[str] | None]] = Queue()

    def start(district_id: str, schools: list[str] | None) -> bool:
        started.put((district_id, schools))
        return True

    client = operator(sqlite_database, start)
    for path, asked in (("/districts/many", None), ("/schools/many/s0001", ["s0001"])):
        answer = client.post(f"{path}/sync")
        assert (answer.status_code, answer.headers["location"]) == (303, f"{path}?said=sync_started")
        assert started.get(timeout=10) == ("many", asked)
