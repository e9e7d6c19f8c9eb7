"""Signing in by OpenID Connect, at a small provider of ours that signs its tokens."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from joserfc.jwk import OctKey, RSAKey
from pydantic import SecretStr
from sqlalchemy.pool import QueuePool
from sqlmodel import select

from models.database import Database
from models.tables import OpenIdIdentity
from services import clock
from services.access import openid
from settings import Settings
from tests.report.openid_provider import CLIENT_ID, CLIENT_SECRET, Provider, serving
from tests.report.site import COAST, IT, OPERATOR, SETUP, Site, link_in, site_over, token_in

TENANT, OTHER_TENANT = "11111111-2222-3333-4444-555555555555", "99999999-2222-3333-4444-555555555555"
SECRET = SecretStr(CLIENT_SECRET)


@pytest.fixture(scope="module")
def providers() -> Iterator[tuple[Provider, Provider, Provider]]:
    """Clever, Google and Microsoft."""
    with (
        serving(Provider()) as clever,
        serving(Provider()) as google,
        serving(Provider(path=f"/{TENANT}/v2.0")) as microsoft,
    ):
        yield clever, google, microsoft


@pytest.fixture
def clever(providers: tuple[Provider, Provider, Provider]) -> Provider:
    claims = {"sub": "clever-1", "email": IT, "email_verified": True, "district": "d1", "user_type": "district_admin"}
    providers[0].begin(claims, gives_nonce=False)
    return providers[0]


@pytest.fixture
def google(providers: tuple[Provider, Provider, Provider]) -> Provider:
    providers[1].begin({"sub": "google-1", "email": IT, "email_verified": True, "hd": "unified.example"})
    return providers[1]


@pytest.fixture
def microsoft(providers: tuple[Provider, Provider, Provider]) -> Provider:
    providers[2].begin({"sub": "pairwise", "oid": "oid-1", "tid": TENANT, "email": IT, "xms_edov": True})
    return providers[2]


@pytest.fixture
def site(
    sqlite_database: Database, settings: Settings, clever: Provider, google: Provider, microsoft: Provider
) -> Iterator[Site]:
    """The report, where people may sign in with each of the three."""
    changes = {
        "clever_sign_in": True,
        "clever_client_id": CLIENT_ID,
        "clever_client_secret": SECRET,
        "clever_auth_url": clever.issuer,
        "google_client_id": CLIENT_ID,
        "google_client_secret": SECRET,
        "google_domains": ("unified.example",),
        "google_url": google.issuer,
        "microsoft_client_id": CLIENT_ID,
        "microsoft_client_secret": SECRET,
        "microsoft_tenants": (("unified", TENANT), ("coast", OTHER_TENANT)),
        "microsoft_url": microsoft.address,
    }
    with site_over(sqlite_database, settings.model_copy(update=changes)) as site:
        yield site


def at_provider(browser: httpx.Client, start: str) -> str:
    """Begin to sign in, and give where the provider sends the browser back to."""
    begun = browser.get(start)
    assert begun.status_code == 303, begun.text
    return httpx.get(begun.headers["location"]).headers["location"]


def through(browser: httpx.Client, start: str) -> httpx.Response:
    """Go to a provider and come back."""
    return browser.get(at_provider(browser, start))


def who(browser: httpx.Client) -> str | None:
    page = browser.get("/account")
    return next((each for each in (IT, COAST, OPERATOR) if each in page.text), None)


GOOGLE, CLEVER, MICROSOFT = "/sign-in/with/google", "/sign-in/with/clever", "/sign-in/with/microsoft?district=unified"


@pytest.mark.parametrize(("start", "name"), [(GOOGLE, "Google"), (MICROSOFT, "Microsoft")])
def test_whom_a_provider_vouches_for_is_signed_in(site: Site, start: str, name: str) -> None:
    browser = site.browser()
    more = "&" if "?" in start else "?"
    answer = through(browser, f"{start}{more}next=/districts/unified")
    assert (answer.status_code, answer.headers["location"], who(browser)) == (303, "/districts/unified", IT)
    assert site.audited() == [
        (IT, "account_connected", "unified", name),
        (IT, "signed_in", "unified", f"by {name}"),
    ]


def test_microsoft_is_kept_by_issuer_and_oid(site: Site, microsoft: Provider) -> None:
    through(site.browser(), MICROSOFT)
    with site.database.reading() as session:
        tied = [(each.issuer, each.subject, each.email) for each in session.exec(select(OpenIdIdentity))]
    assert tied == [(microsoft.issuer, "oid-1", IT)]


def confirmed(site: Site, browser: httpx.Client, start: str, email: str = IT) -> httpx.Response:
    """Sign in for the first time with a provider that vouches for no address: confirm one by mail."""
    answer = through(browser, start)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in/confirm")
    assert browser.get("/sign-in/confirm").status_code == 200
    assert browser.post("/sign-in/confirm", data={"email": email}).headers["location"] == "/sign-in/sent"
    return browser.post("/sign-in/link", data={"token": token_in(link_in(site.mails()[-1]))})


def test_clever_is_matched_by_its_id_and_never_by_address(site: Site, clever: Provider) -> None:
    browser = site.browser()
    assert confirmed(site, browser, CLEVER).status_code == 303
    assert who(browser) == IT
    clever.claims["email"] = COAST
    again = site.browser()
    assert [through(again, CLEVER).headers["location"], who(again)] == ["/", IT]
    clever.claims |= {"sub": "clever-2", "email": IT}
    other = site.browser()
    assert [through(other, CLEVER).headers["location"], who(other)] == ["/sign-in/confirm", None]


def test_a_microsoft_address_that_the_tenant_only_claims_has_to_be_confirmed(site: Site, microsoft: Provider) -> None:
    del microsoft.claims["xms_edov"]
    browser = site.browser()
    assert [confirmed(site, browser, MICROSOFT).status_code, who(browser)] == [303, IT]


def test_an_identity_is_not_tied_to_somebody_who_did_not_come_with_it(site: Site) -> None:
    attacker, victim = site.browser(), site.browser()
    through(attacker, CLEVER)
    attacker.post("/sign-in/confirm", data={"email": IT})
    (mail,) = site.mails()
    assert mail["Subject"] == "Connect Clever to Rollcall"
    link = link_in(mail)
    page = victim.get(link).text
    assert ["in the browser where you signed in with Clever" in page, 'name="token"' in page] == [True, False]
    assert victim.post("/sign-in/link", data={"token": token_in(link), "code": "000000"}).status_code == 403
    assert [through(site.browser(), CLEVER).headers["location"], who(victim), who(attacker)] == [
        "/sign-in/confirm",
        None,
        None,
    ]


def test_an_address_that_is_not_set_up_is_confirmed_by_nobody(site: Site) -> None:
    browser = site.browser()
    through(browser, CLEVER)
    answer = browser.post("/sign-in/confirm", data={"email": "nobody@unified.example"})
    assert answer.headers["location"] == "/sign-in/sent"
    assert site.audited(1)[-1] == ("nobody signed in", "sign_in_failed", None, "the address is not set up")


def test_only_who_comes_from_a_provider_confirms(site: Site) -> None:
    browser = site.browser()
    assert browser.get("/sign-in/confirm").headers["location"] == "/sign-in"
    assert browser.post("/sign-in/confirm", data={"email": IT}).headers["location"] == "/sign-in"


def test_a_launch_from_clevers_portal_begins_anew_and_its_code_is_not_exchanged(site: Site, clever: Provider) -> None:
    confirmed(site, site.browser(), CLEVER)
    browser = site.browser()
    clever.exchanged.clear()
    launched = browser.get("/sign-in/with/clever/callback?code=somebody-elses")
    assert (launched.status_code, launched.headers["location"]) == (303, "/sign-in/with/clever?next=%2F")
    through(browser, launched.headers["location"])
    assert (who(browser), len(clever.exchanged), "somebody-elses" in clever.exchanged) == (IT, 1, False)


def test_a_new_launch_replaces_the_session_that_was_there(site: Site) -> None:
    confirmed(site, site.browser(), CLEVER)
    browser = site.browser(COAST)
    before = browser.cookies["rollcall"]
    through(browser, CLEVER)
    old = site.browser()
    old.cookies.set("rollcall", before)
    assert (who(browser), who(old)) == (IT, None)


def test_a_launch_by_somebody_unknown_ends_the_session_that_was_there(site: Site) -> None:
    browser = site.browser(COAST)
    before = browser.cookies["rollcall"]
    assert through(browser, CLEVER).headers["location"] == "/sign-in/confirm"
    old = site.browser()
    old.cookies.set("rollcall", before)
    assert (who(browser), who(old)) == (None, None)


def test_a_code_is_exchanged_once(site: Site, google: Provider) -> None:
    browser = site.browser()
    back = at_provider(browser, GOOGLE)
    cookie = browser.cookies["rollcall-browser"]
    assert browser.head(back).status_code == 404
    assert browser.get(back).status_code == 303
    browser.cookies.set("rollcall-browser", cookie)
    assert browser.get(back).status_code == 403
    assert len(google.exchanged) == 1


def test_another_browsers_sign_in_is_not_taken(site: Site, google: Provider) -> None:
    back = at_provider(site.browser(), GOOGLE)
    victim = site.browser()
    at_provider(victim, GOOGLE)  # it has a cookie of its own
    assert (victim.get(back).status_code, who(victim), google.exchanged) == (403, None, [])
    assert (site.browser().get(back).status_code, google.exchanged) == (403, [])


def test_a_sign_in_at_one_provider_is_not_taken_for_another(site: Site, clever: Provider) -> None:
    browser = site.browser()
    back = at_provider(browser, GOOGLE).replace("/google/", "/clever/")
    assert (browser.get(back).status_code, clever.exchanged) == (403, [])


@pytest.mark.parametrize("query", ["", "?code=x", "?state=x", "?code=x&state=x", "?error=access_denied&state=x"])
def test_a_forged_return_is_refused(site: Site, google: Provider, query: str) -> None:
    browser = site.browser()
    at_provider(browser, GOOGLE)
    assert (browser.get(f"{GOOGLE}/callback{query}").status_code, who(browser), google.exchanged) == (403, None, [])


def test_a_sign_in_takes_fifteen_minutes_at_most(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = site.browser()
    back = at_provider(browser, GOOGLE)
    monkeypatch.setattr(clock, "now", lambda: datetime.now(UTC) + timedelta(minutes=16))
    assert browser.get(back).status_code == 403


def test_whoever_the_provider_turns_away_is_told(site: Site) -> None:
    browser = site.browser()
    state = at_provider(browser, GOOGLE).partition("state=")[2]
    answer = browser.get(f"{GOOGLE}/callback", params={"error": "access_denied", "state": state})
    assert (answer.status_code, "Google didn't sign you in" in answer.text) == (403, True)


def _other_key(provider: Provider) -> None:
    provider.signs_with = RSAKey.generate_key(2048, {"kid": "1"})


def _symmetric(provider: Provider) -> None:
    provider.algorithm = "HS256"
    provider.signs_with = OctKey.import_key(CLIENT_SECRET * 3)  # type: ignore[assignment]


def _says(**claims: Any) -> Callable[[Provider], None]:
    return lambda provider: provider.claims.update(claims)


def _without_nonce(provider: Provider) -> None:
    provider.gives_nonce = False


@pytest.mark.parametrize(
    "fault",
    [
        _other_key,
        _symmetric,
        _without_nonce,
        _says(nonce="another"),
        _says(iss="https://accounts.google.com.evil.example"),
        _says(aud="somebody-else"),
        _says(aud=[CLIENT_ID, "somebody-else"]),
        _says(exp=int(time.time()) - 120),
        _says(iat=int(time.time()) + 3600),
        _says(sub=None),
        _says(hd="other.example"),
        _says(hd=None),
    ],
)
def test_a_token_that_is_not_right_signs_nobody_in(
    site: Site, google: Provider, fault: Callable[[Provider], None]
) -> None:
    fault(google)
    browser = site.browser()
    assert (through(browser, GOOGLE).status_code, who(browser)) == (403, None)
    assert [entry[:3] for entry in site.audited()] == [("nobody signed in", "sign_in_failed", None)]


@pytest.mark.parametrize("claims", [{"email_verified": False}, {"email_verified": "true"}, {"email": OPERATOR}])
def test_google_vouches_for_verified_addresses_of_its_domain_only(
    site: Site, google: Provider, claims: dict[str, Any]
) -> None:
    google.claims |= claims
    browser = site.browser()
    assert [through(browser, GOOGLE).headers["location"], who(browser)] == ["/sign-in/confirm", None]


@pytest.mark.parametrize("claims", [{"tid": OTHER_TENANT}, {"tid": None}, {"oid": None}])
def test_another_microsoft_tenant_is_not_let_in(site: Site, microsoft: Provider, claims: dict[str, Any]) -> None:
    microsoft.claims |= claims
    browser = site.browser()
    assert (through(browser, MICROSOFT).status_code, who(browser)) == (403, None)


def test_a_provider_that_does_not_answer_is_said_so(site: Site, microsoft: Provider) -> None:
    answer = site.browser().get("/sign-in/with/microsoft?district=coast")  # nothing is there under that tenant
    assert (answer.status_code, "Microsoft isn't responding right now" in answer.text) == (503, True)


def test_an_issuer_that_calls_itself_otherwise_is_not_asked(site: Site, google: Provider) -> None:
    google.issuer = "https://accounts.google.com"
    assert site.browser().get(GOOGLE).status_code == 503


def later(monkeypatch: pytest.MonkeyPatch, **time: float) -> None:
    moment = datetime.now(UTC) + timedelta(**time)
    monkeypatch.setattr(clock, "now", lambda: moment)


def test_what_a_provider_publishes_is_read_once_an_hour(
    site: Site, google: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        assert through(site.browser(), GOOGLE).headers["location"] == "/"
    assert google.told == ["discovery", "keys"]
    later(monkeypatch, minutes=61)
    site.browser().get(GOOGLE)
    assert google.told == ["discovery", "keys", "discovery"]


def test_keys_are_read_anew_once_for_a_token_that_names_another(site: Site, google: Provider) -> None:
    through(site.browser(), GOOGLE)
    google.change_key("2")
    assert [through(site.browser(), GOOGLE).headers["location"] for _ in range(2)] == ["/", "/"]
    assert google.told == ["discovery", "keys", "keys"]
    google.number = "3"  # which it does not publish
    assert through(site.browser(), GOOGLE).status_code == 403
    assert google.told == ["discovery", "keys", "keys", "keys"]


def test_a_provider_that_gave_no_answer_is_asked_again_after_half_a_minute(
    site: Site, google: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer, google.issuer = google.issuer, "https://accounts.google.com"
    assert site.browser().get(GOOGLE).status_code == 503
    google.issuer = issuer
    assert (site.browser().get(GOOGLE).status_code, google.told) == (503, ["discovery"])
    later(monkeypatch, seconds=31)
    assert site.browser().get(GOOGLE).status_code == 303


def test_many_who_begin_at_once_wait_for_one_answer(site: Site, google: Provider) -> None:
    google.on_asked = lambda: time.sleep(0.5)
    with ThreadPoolExecutor(20) as threads:
        begun = list(threads.map(lambda browser: browser.get(GOOGLE).status_code, [site.browser() for _ in range(20)]))
    assert (begun, google.told) == ([303] * 20, ["discovery"])


def test_no_connection_to_the_database_is_open_while_a_provider_is_asked(site: Site, google: Provider) -> None:
    pool, open_then = site.database.engine.pool, []
    assert isinstance(pool, QueuePool)
    google.on_asked = lambda: open_then.append(pool.checkedout())
    assert through(site.browser(), GOOGLE).headers["location"] == "/"
    assert open_then == [0, 0, 0]


def test_a_network_begins_sixty_sign_ins_an_hour(site: Site, google: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = site.browser()
    assert [browser.get(GOOGLE).status_code for _ in range(openid.HOURLY)] == [303] * 60
    answer = browser.get(GOOGLE)
    assert (answer.status_code, "too many sign-ins from your network" in answer.text) == (429, True)
    later(monkeypatch, minutes=61)
    assert browser.get(GOOGLE).status_code == 303


def test_whoever_leaves_the_setup_file_has_to_confirm_again(site: Site) -> None:
    confirmed(site, site.browser(), CLEVER)
    site.set_up(SETUP.replace(IT, "new@unified.example"))
    browser = site.browser()
    assert through(browser, CLEVER).headers["location"] == "/sign-in/confirm"
    site.set_up(SETUP)
    assert through(site.browser(), CLEVER).headers["location"] == "/sign-in/confirm"


def test_a_connected_account_can_be_disconnected_by_its_owner_only(site: Site) -> None:
    browser = site.browser()
    confirmed(site, browser, CLEVER)
    with site.database.reading() as session:
        number = str(session.exec(select(OpenIdIdentity)).one().id)
    assert "Disconnect Clever" in browser.get("/account").text
    site.browser(COAST).post("/account/disconnect", data={"id": number})
    assert through(site.browser(), CLEVER).headers["location"] == "/"
    browser.post("/account/disconnect", data={"id": number})
    assert through(site.browser(), CLEVER).headers["location"] == "/sign-in/confirm"
    assert site.audited()[-1] == (IT, "account_disconnected", "unified", "Clever")


def test_the_sign_in_page_offers_the_providers_that_fit(site: Site) -> None:
    def offered(path: str) -> list[str]:
        page = site.browser().get(path).text
        return [name for name in ("Clever", "Google", "Microsoft") if f"Sign in with {name}" in page]

    assert offered("/sign-in") == ["Clever", "Google"]
    assert offered("/sign-in?next=/districts/unified") == ["Clever", "Google", "Microsoft"]
    assert offered("/sign-in?next=/schools/coast/a") == ["Clever", "Google", "Microsoft"]
    assert offered("/sign-in?next=/districts/other") == ["Clever", "Google"]


@pytest.mark.parametrize("kind", ["facebook", "microsoft"])
def test_a_provider_that_is_not_set_up_is_not_found(site: Site, kind: str) -> None:
    assert site.browser().get(f"/sign-in/with/{kind}").status_code == 404
