"""Signing in by an emailed link: in the same browser, in another one, after a scanner, and by whoever forges one."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlmodel import col, select

from models.tables import District, ReportSession, SignInLink
from services import clock
from services.access import sign_in
from tests.report.site import COAST, IT, OFFICE, OPERATOR, SETUP, Site, code_in, link_in, text_of, token_in

NOBODY = "nobody@unified.example"


def asked(browser: httpx.Client, email: str, following: str = "/") -> httpx.Response:
    return browser.post("/sign-in", data={"email": email, "next": following})


def spent(browser: httpx.Client, address: str, **more: str) -> httpx.Response:
    return browser.post("/sign-in/link", data={"token": token_in(address), **more})


def is_signed_in(browser: httpx.Client) -> bool:
    return browser.get("/account").status_code == 200


def put_forward(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    monkeypatch.setattr(clock, "now", lambda: datetime.now(UTC) + by)


def test_a_link_signs_in_whoever_asked_and_leads_to_the_page_they_wanted(site: Site) -> None:
    browser = site.browser()
    assert asked(browser, IT.upper(), "/districts/unified?status=on_hold").headers["location"] == "/sign-in/sent"
    (mail,) = site.mails()
    assert (mail["To"], mail["Subject"]) == (IT, "Sign in to Rollcall")
    link = link_in(mail)
    page = browser.get(link)
    assert (page.status_code, "it@unified.example" in page.text, 'name="code"' in page.text) == (200, True, False)
    answer = spent(browser, link, next="/districts/unified?status=on_hold")
    assert (answer.status_code, answer.headers["location"]) == (303, "/districts/unified?status=on_hold")
    assert is_signed_in(browser)
    assert site.audited(2) == [
        (IT, "link_made", "unified", "sign-in link mailed"),
        (IT, "signed_in", "unified", "by link"),
    ]


def test_the_mail_says_the_same_in_text_and_html(site: Site) -> None:
    asked(site.browser(), OFFICE, "/schools/unified/lincoln")
    (mail,) = site.mails()
    code, link = code_in(mail), link_in(mail)
    assert link.endswith("&next=%2Fschools%2Funified%2Flincoln")
    assert code in text_of(mail, "html")
    assert f"{site.address}{link}".replace("&", "&amp;") in text_of(mail, "html")


def test_only_hashes_are_kept_and_the_mail_is_not_in_the_outbox(site: Site) -> None:
    browser = site.browser()
    asked(browser, IT)
    (mail,) = site.mails()
    secrets = {token_in(link_in(mail)), code_in(mail), browser.cookies["rollcall-browser"]}
    with site.database.engine.connect() as connection:
        for table in ("sign_in_link", "mail", "notice", "audit_entry"):
            rows = connection.exec_driver_sql(f"SELECT * FROM {table}").all()
            assert not [value for row in rows for value in row if value in secrets]


def test_a_scanner_spends_nothing_and_the_person_signs_in(site: Site) -> None:
    browser, scanner = site.browser(), site.browser()
    asked(browser, IT)
    link = link_in(site.mails()[0])
    answers = [scanner.head(link), *(scanner.get(link) for _ in range(3))]
    assert [answer.status_code for answer in answers] == [200] * 4
    pressed = spent(scanner, link)
    assert (pressed.status_code, is_signed_in(scanner), "rollcall" in scanner.cookies) == (403, False, False)
    assert spent(browser, link).status_code == 303
    assert is_signed_in(browser)


def test_another_browser_needs_the_code(site: Site) -> None:
    asked(site.browser(), IT)
    (mail,) = site.mails()
    other, link, code = site.browser(), link_in(mail), code_in(mail)
    assert 'name="code"' in other.get(link).text
    wrong = spent(other, link, code=f"{(int(code) + 1) % 1_000_000:06d}")
    assert (wrong.status_code, "isn't the code" in wrong.text) == (403, True)
    assert spent(other, link, code=f" {code[:3]} {code[3:]} ").status_code == 303
    assert is_signed_in(other)


def test_five_wrong_codes_end_a_link(site: Site) -> None:
    browser = site.browser()
    asked(browser, IT)
    (mail,) = site.mails()
    other, link, code = site.browser(), link_in(mail), code_in(mail)
    answers = [spent(other, link, code=f"{(int(code) + 1 + each) % 1_000_000:06d}") for each in range(5)]
    assert ["doesn't work anymore" in answer.text for answer in answers] == [False] * 4 + [True]
    assert spent(other, link, code=code).status_code == 410
    assert spent(browser, link).status_code == 410
    failed = (IT, "sign_in_failed", "unified")
    assert [entry[:3] for entry in site.audited()[1:]] == [failed] * 5


def test_a_link_works_once(site: Site) -> None:
    browser = site.browser()
    asked(browser, IT)
    (mail,) = site.mails()
    own = browser.cookies["rollcall-browser"]
    assert spent(browser, link_in(mail)).status_code == 303
    again = site.browser()
    again.cookies.set("rollcall-browser", own)
    assert [spent(again, link_in(mail), code=code_in(mail)).status_code, is_signed_in(again)] == [410, False]


def test_a_link_expires(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = site.browser()
    asked(browser, IT)
    link = link_in(site.mails()[0])
    put_forward(monkeypatch, timedelta(minutes=15, seconds=1))
    assert [browser.get(link).status_code, spent(browser, link).status_code] == [410, 410]
    assert not is_signed_in(browser)


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "' OR 1=1 --", "\u202e", "a" * 5_000])
def test_a_forged_link_is_none(site: Site, token: str) -> None:
    browser = site.browser()
    assert browser.get("/sign-in/link", params={"token": token}).status_code == 410
    assert browser.post("/sign-in/link", data={"token": token, "code": "000000"}).status_code == 410
    assert not is_signed_in(browser)


def test_an_address_that_is_not_set_up_gets_the_same_answer_and_no_mail(site: Site) -> None:
    known, unknown = asked(site.browser(), IT), asked(site.browser(), NOBODY)
    assert known.status_code == unknown.status_code == 303

    def shape(answer: httpx.Response) -> list[tuple[str, str]]:
        return [
            (name, "a secret" if name == "set-cookie" else value)
            for name, value in answer.headers.items()
            if name not in ("date", "server-timing")
        ]

    assert shape(known) == shape(unknown)
    entries = site.audited(2)
    assert sorted(entries, key=str) == [
        (IT, "link_made", "unified", "sign-in link mailed"),
        ("nobody signed in", "sign_in_failed", None, "the address is not set up"),
    ]
    assert [mail["To"] for mail in site.mails()] == [IT]


def test_what_tells_a_known_address_from_another_is_done_after_the_answer(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up: list[str] = []
    monkeypatch.setattr("report.app.Report.afterwards", lambda self, do: looked_up.append("afterwards"))
    monkeypatch.setattr(
        "services.access.viewers.viewer_of", lambda *_: pytest.fail("it was looked up before the answer")
    )
    assert [asked(site.browser(), email).status_code for email in (IT, NOBODY)] == [303, 303]
    assert looked_up == ["afterwards"] * 2


@pytest.mark.parametrize("email", [IT, NOBODY])
def test_an_address_gets_five_links_an_hour(site: Site, monkeypatch: pytest.MonkeyPatch, email: str) -> None:
    monkeypatch.setattr(sign_in, "network_of", lambda _: str(len(answers)))
    answers: list[int] = []
    for _ in range(7):
        answers.append(asked(site.browser(), email).status_code)
    assert answers == [303] * 5 + [429] * 2
    put_forward(monkeypatch, timedelta(hours=1, seconds=1))
    assert asked(site.browser(), email).status_code == 303


def test_a_network_address_gets_five_links_an_hour(site: Site) -> None:
    answers = [asked(site.browser(), f"person{each}@unified.example").status_code for each in range(6)]
    assert answers == [303] * 5 + [429]
    with site.database.reading() as session:
        assert "127.0.0.1" not in {link.network for link in session.exec(select(SignInLink))}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.1", "203.0.113.2", False),
        ("2001:db8::1", "2001:db8::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("203.0.113.1", "::ffff:203.0.113.1", True),
    ],
)
def test_an_ipv6_network_counts_as_one(one: str, other: str, same: bool) -> None:
    assert (sign_in.network_of(one) == sign_in.network_of(other)) is same


@pytest.mark.parametrize("email", ["", "it", "it@", "<script>@unified.example", "a@b\r\nBcc: x@y.example"])
def test_what_is_no_address_is_said_so(site: Site, email: str) -> None:
    answer = asked(site.browser(), email)
    assert (answer.status_code, "isn't an email address" in answer.text) == (422, True)
    assert "<script>@" not in answer.text


@pytest.mark.parametrize(
    "following",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "/\t/evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/ok\r\nSet-Cookie: a=b",
        "evil.example",
    ],
)
def test_it_only_goes_on_to_pages_of_its_own(site: Site, following: str) -> None:
    browser = site.browser()
    asked(browser, IT, following)
    link = link_in(site.mails()[0])
    assert "next=" not in link
    assert spent(browser, link, next=following).headers["location"] == "/"
    assert browser.get("/sign-in", params={"next": following}).headers["location"] == "/"


def test_a_session_planted_before_signing_in_is_not_taken_over(site: Site) -> None:
    browser = site.browser()
    browser.cookies.set("rollcall", "planted")
    asked(browser, IT)
    answer = spent(browser, link_in(site.mails()[0]))
    cookie = answer.headers["set-cookie"].split(";")[0]
    assert cookie.startswith("rollcall=")
    assert cookie != "rollcall=planted"
    thief = site.browser()
    thief.cookies.set("rollcall", "planted")
    assert not is_signed_in(thief)


def test_signing_in_again_ends_the_session_that_was_there(site: Site) -> None:
    browser = site.browser(IT)
    before = browser.cookies["rollcall"]
    asked(browser, COAST)
    assert spent(browser, link_in(site.mails()[0])).status_code == 303
    old = site.browser()
    old.cookies.set("rollcall", before)
    assert [is_signed_in(old), "it@coast.example" in browser.get("/account").text] == [False, True]


def test_the_cookie_is_for_this_host_only_over_https(site: Site) -> None:
    browser = site.browser()
    asked(browser, IT)
    parts = spent(browser, link_in(site.mails()[0])).headers.get_list("set-cookie")[0].split("; ")
    assert sorted(parts[1:]) == ["HttpOnly", "Path=/", "SameSite=lax"]
    from report.app import Report

    secure = Report(site.database, site.settings.model_copy(update={"report_url": "https://rollcall.example"}))
    assert (secure.cookie, secure.browser_cookie) == ("__Host-rollcall", "__Host-rollcall-browser")
    secure.close()


def test_signing_out_ends_this_session_and_no_other(site: Site) -> None:
    here, there = site.browser(IT), site.browser(IT)
    token = here.cookies["rollcall"]
    assert here.post("/sign-out").headers["location"] == "/sign-in?said=signed_out"
    here.cookies.set("rollcall", token)
    assert [is_signed_in(here), is_signed_in(there)] == [False, True]
    assert site.audited() == [(IT, "signed_out", "unified", "here")]


def test_signing_out_everywhere_ends_all_sessions_of_theirs(site: Site) -> None:
    here, there, others = site.browser(IT), site.browser(IT), site.browser(COAST)
    page = here.get("/account").text
    assert [page.count("<tr>"), page.count("this browser")] == [3, 1]
    assert here.post("/account/sign-out-everywhere").status_code == 303
    assert [is_signed_in(each) for each in (here, there, others)] == [False, False, True]
    assert site.audited() == [(IT, "signed_out", "unified", "everywhere")]


def test_times_of_an_account_are_in_the_zone_of_the_only_district_it_sees(site: Site) -> None:
    def zone(email: str) -> str:
        found = re.search(r"Times are in ([^<]+)\.</p>", site.browser(email).get("/account").text)
        assert found
        return found[1]

    seen = {each: zone(each) for each in (IT, OFFICE, COAST, OPERATOR)}
    los_angeles, new_york = "America/Los Angeles", "America/New York"
    assert seen == {IT: los_angeles, OFFICE: los_angeles, COAST: new_york, OPERATOR: "UTC"}
    with site.database.transaction() as session:
        session.get_one(District, "coast").administrators = [COAST, OFFICE]
    assert zone(OFFICE) == "UTC"
    # What the setup no longer names is seen by nobody.
    with site.database.transaction() as session:
        session.get_one(District, "coast").frozen = True
    assert [zone(OFFICE), zone(OPERATOR)] == [los_angeles, los_angeles]


@pytest.mark.parametrize(("minutes", "lasts"), [(29, True), (31, False)])
def test_a_session_ends_without_use(site: Site, monkeypatch: pytest.MonkeyPatch, minutes: int, lasts: bool) -> None:
    browser = site.browser(IT)
    put_forward(monkeypatch, timedelta(minutes=minutes))
    assert is_signed_in(browser) is lasts


def test_what_a_page_asks_for_by_itself_is_no_use_of_a_session(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    browser, now = site.browser(IT), clock.now()
    following = {"HX-Request": "true", "HX-Current-URL": f"{site.address}/districts/unified?status=on_hold"}
    answers = []
    for minutes in (10, 20, 29, 31):
        monkeypatch.setattr(clock, "now", lambda minutes=minutes: now + timedelta(minutes=minutes))
        answers.append(browser.get("/districts/unified", headers=following))
    assert [answer.status_code for answer in answers] == [200, 200, 200, 204]
    # Back to the page that the person saw, not to the part of it that was asked for.
    back = "/sign-in?next=%2Fdistricts%2Funified%3Fstatus%3Don_hold"
    assert answers[-1].headers["hx-redirect"] == back


def test_a_session_ends_after_twelve_hours_in_any_case(site: Site) -> None:
    browser = site.browser(IT)
    with site.database.transaction() as session:
        found = session.exec(select(ReportSession)).one()
        found.created_at -= timedelta(hours=12, minutes=1)
        session.add(found)
    assert not is_signed_in(browser)


def test_whoever_leaves_the_setup_file_is_signed_in_no_longer(site: Site) -> None:
    it, office, operator = site.browser(IT), site.browser(OFFICE), site.browser(OPERATOR)
    asked(site.browser(), IT)
    link = link_in(site.mails()[0])
    assert [is_signed_in(each) for each in (it, office, operator)] == [True] * 3
    site.set_up(SETUP.replace(IT, "new@unified.example").replace(f'administrators = ["{OFFICE}"]', ""))
    assert [is_signed_in(each) for each in (it, office, operator)] == [False, False, True]

    def lasting() -> set[str]:
        with site.database.reading() as session:
            return set(session.exec(select(ReportSession.email).where(col(ReportSession.ended_at).is_(None))))

    site.until(lambda: lasting() == {OPERATOR})
    assert spent(it, link, code=code_in(site.mails()[0])).status_code == 410
    assert not is_signed_in(it)
    site.set_up(SETUP)
    assert [is_signed_in(each) for each in (it, office, operator)] == [False, False, True]


def test_a_link_made_by_an_operator_works_in_any_browser_once(site: Site) -> None:
    with site.database.transaction() as session:
        token = sign_in.make(session, IT, now=clock.now())
    browser, other = site.browser(), site.browser()
    assert 'name="code"' not in browser.get(f"/sign-in/link?token={token}").text
    assert [spent(each, f"?token={token}").status_code for each in (browser, other)] == [303, 410]


def test_somebody_signed_in_is_not_asked_again(site: Site) -> None:
    answer = site.browser(IT).get("/sign-in?next=/districts/unified")
    assert (answer.status_code, answer.headers["location"]) == (303, "/districts/unified")


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def test_nobody_can_send_much(site: Site) -> None:
    browser = site.browser()
    assert browser.post("/sign-in", data={"email": "x" * 20_000}).status_code == 413
    assert browser.post("/sign-in", content=iter([b"email=" + b"x" * 20_000]), headers=FORM).status_code == 413
    assert browser.post("/account/disconnect", data={"id": "x" * 20_000}).headers["location"] == "/sign-in"
