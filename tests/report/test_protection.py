"""What every answer is protected by, and whom it refuses."""

from __future__ import annotations

import logging
from html import unescape

import httpx
import pytest

from report.protection import HEADERS
from services.access import sessions
from tests.report.site import IT, Site


def test_every_answer_has_the_headers(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody, it = site.browser(), site.browser(IT)
    answers = {
        "a page": it.get("/account"),
        "a redirect": nobody.get("/account"),
        "JSON": nobody.get("/account", headers={"Accept": "application/json"}),
        "not found": it.get("/districts/nowhere"),
        "no page": it.get("/nowhere"),
        "no such way": it.put("/account"),
        "from elsewhere": it.post("/sign-out", headers={"Sec-Fetch-Site": "cross-site"}),
        "too much": nobody.post("/sign-in", data={"email": "x" * 20_000}),
        "another host": nobody.get("/sign-in", headers={"Host": "evil.example"}),
        "a file": nobody.get("/static/report.css"),
        "no file": nobody.get("/static/nothing.css"),
    }
    monkeypatch.setattr(sessions, "of", lambda *_, **__: 1 / 0)
    answers["a failure"] = it.get("/account")
    assert {what: answer.status_code for what, answer in answers.items()} == {
        "a page": 200,
        "a redirect": 303,
        "JSON": 401,
        "not found": 404,
        "no page": 404,
        "no such way": 405,
        "from elsewhere": 403,
        "too much": 413,
        "another host": 400,
        "a file": 200,
        "no file": 404,
        "a failure": 500,
    }
    for what, answer in answers.items():
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS, what
        if "file" not in what:
            assert answer.headers["cache-control"] == "no-store", what
        assert "server" not in answer.headers, what


def test_a_failure_is_logged_without_values(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("Maria Lopez")

    monkeypatch.setattr(sessions, "of", fail)
    with caplog.at_level(logging.DEBUG):
        answer = site.browser(IT).get("/account?token=secret")
    assert (answer.status_code, "Maria" in answer.text) == (500, False)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        "GET /account failed with RuntimeError"
    ]
    assert not [record for record in caplog.records if "Maria" in f"{record.getMessage()} {record.exc_info}"]


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "{own}"}, False),
        ({"Origin": "{own}"}, True),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({}, False),
    ],
)
def test_what_another_site_sends_changes_nothing(site: Site, headers: dict[str, str], passes: bool) -> None:
    with httpx.Client(base_url=site.address, cookies=site.browser(IT).cookies) as browser:
        sent = {name: value.format(own=site.address) for name, value in headers.items()}
        assert (browser.post("/account/sign-out-everywhere", headers=sent).status_code == 303) is passes
    assert bool(site.audited()) is passes


def test_what_is_refused_is_said_on_a_page_and_to_programs_as_json(site: Site) -> None:
    from_elsewhere, other_host = {"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example"}
    it = site.browser(IT)
    page = it.post("/sign-out", headers=from_elsewhere)
    assert (page.status_code, page.headers["content-type"]) == (403, "text/html; charset=utf-8")
    assert "<h1>This came from another site</h1>" in page.text
    # Nobody is looked up for another site.
    assert IT not in page.text
    spanish = it.post("/sign-out", headers={**from_elsewhere, "Accept-Language": "es"})
    assert "<h1>Esto llegó desde otro sitio</h1>" in spanish.text
    page = it.get("/account", headers=other_host)
    assert (page.status_code, page.headers["content-type"]) == (400, "text/html; charset=utf-8")
    assert "<h1>The report isn't at this address</h1>" in unescape(page.text)
    assert f'<a class="button" href="{site.settings.report_address}">' in page.text
    assert ("evil" in page.text, IT in page.text) == (False, False)
    program = {"Accept": "application/json"}
    assert it.post("/sign-out", headers=from_elsewhere | program).json() == {"error": "This came from another site"}
    assert it.get("/account", headers=other_host | program).json() == {"error": "The report isn't at this address"}
    assert site.audited() == []


@pytest.mark.parametrize("host", ["", "a b", "[::1", "localhost.evil.example", "evil.example:99999", "x@localhost:1/"])
def test_no_host_but_ours_is_answered(site: Site, host: str) -> None:
    answer = site.browser(IT).get("/account", headers={"Host": host})
    assert (answer.status_code, IT in answer.text) == (400, False)


def test_a_link_names_the_reports_own_host_whatever_the_request_says(site: Site) -> None:
    browser = site.browser()
    assert browser.post("/sign-in", data={"email": IT}, headers={"Host": "evil.example"}).status_code == 400
    browser.post("/sign-in", data={"email": IT}, headers={"X-Forwarded-Host": "evil.example"})
    (mail,) = site.mails()
    assert "evil" not in mail.as_string()
