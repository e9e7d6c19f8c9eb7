"""Access tokens: made and revoked by district administrators, and by operators at the command line."""

from __future__ import annotations

import re

import httpx
import pytest
from sqlmodel import select
from typer.testing import CliRunner

from cli.main import app, main
from models.tables import AccessToken
from services import clock
from services.access import tokens
from tests.report.site import COAST, IT, OFFICE, OPERATOR, SETUP, Site


def made(site: Site, name: str = "Export") -> str:
    with site.database.transaction() as session:
        return tokens.make(session, "unified", name, by=IT, now=clock.now())


def answer_to(site: Site, token: str, path: str = "/", method: str = "GET") -> httpx.Response:
    return httpx.request(method, f"{site.address}{path}", headers={"Authorization": f"Bearer {token}"})


def test_a_token_is_shown_once_and_kept_hashed(site: Site) -> None:
    browser = site.browser(IT)
    page = browser.post("/districts/unified/tokens", data={"name": " <script>Export "}).text
    (token,) = set(re.findall(r"rollcall_[\w-]{43}", page))
    assert "<script>Export" not in page
    assert [token in browser.get("/districts/unified/tokens").text, answer_to(site, token).status_code] == [False, 303]
    with site.database.reading() as session:
        stored = session.exec(select(AccessToken)).one()
    assert (stored.name, stored.created_by, token in stored.model_dump().values()) == ("<script>Export", IT, False)
    assert site.audited() == [(IT, "token_made", "unified", "<script>Export")]


@pytest.mark.parametrize("name", ["", "  ", "x" * 61, "Export"])
def test_a_name_that_will_not_do_is_said(site: Site, name: str) -> None:
    made(site)
    answer = site.browser(IT).post("/districts/unified/tokens", data={"name": name})
    assert (answer.status_code, 'class="problem"' in answer.text) == (422, True)
    assert len(site.audited()) == 1


def test_a_revoked_token_is_nobodys(site: Site) -> None:
    token, browser = made(site), site.browser(IT)
    assert "Revoke “Export”?" in browser.get("/districts/unified/tokens/1/revoke").text
    assert answer_to(site, token).status_code == 303
    answer = browser.post("/districts/unified/tokens/1/revoke")
    assert answer.headers["location"] == "/districts/unified/tokens?said=revoked"
    refused = answer_to(site, token)
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert browser.post("/districts/unified/tokens/1/revoke").status_code == 404
    assert site.audited()[-1] == (IT, "token_revoked", "unified", "Export")


@pytest.mark.parametrize(("who", "status"), [(COAST, 404), (OFFICE, 404), (OPERATOR, 200)])
def test_a_districts_tokens_are_its_administrators(site: Site, who: str, status: int) -> None:
    made(site)
    assert site.browser(who).get("/districts/unified/tokens").status_code == status


def test_a_token_of_a_district_that_is_no_longer_set_up_is_nobodys(site: Site) -> None:
    token = made(site)
    assert answer_to(site, token).status_code == 303
    site.set_up(SETUP[: SETUP.index("[[district]]")] + SETUP[SETUP.rindex("[[district]]") :])
    assert answer_to(site, token).status_code == 401


def test_a_token_changes_nothing_even_beside_a_session(site: Site) -> None:
    token, browser = made(site), site.browser(IT)
    answer = browser.post("/account/sign-out-everywhere", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, browser.get("/account").status_code) == (401, 200)


def test_the_last_use_of_a_token_is_noted(site: Site) -> None:
    answer_to(site, made(site))

    def noted() -> bool:
        with site.database.reading() as session:
            return session.exec(select(AccessToken.last_used_at)).one() is not None

    site.until(noted)


@pytest.fixture
def command_line(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("ROLLCALL_HOME", str(site.settings.home))
    monkeypatch.setenv("ROLLCALL_DATABASE_URL", f"sqlite:///{site.database.engine.url.database}")
    monkeypatch.setenv("ROLLCALL_REPORT_URL", site.address)
    monkeypatch.setenv("ROLLCALL_OPERATORS", OPERATOR)
    return site


def printed(*arguments: str) -> str:
    found = CliRunner().invoke(app, ["report", *arguments])
    assert found.exit_code == 0, found.output
    return found.stdout.strip()


def test_the_command_line_makes_a_token(command_line: Site) -> None:
    token = printed("token", "unified", "--name", "Export")
    assert answer_to(command_line, token).headers["location"] == "/districts/unified"
    assert command_line.audited() == [("command line", "token_made", "unified", "Export")]


@pytest.mark.parametrize(("email", "district"), [(IT.upper(), "unified"), (OFFICE, "unified"), (OPERATOR, None)])
def test_the_command_line_prints_a_link_for_whoever_is_set_up(
    command_line: Site, email: str, district: str | None
) -> None:
    address = printed("link", email)
    browser = command_line.browser()
    assert address.startswith(f"{command_line.address}/sign-in/link?token=")
    browser.post("/sign-in/link", data={"token": address.partition("token=")[2]})
    assert email.casefold() in browser.get("/account").text
    assert command_line.audited()[0] == ("command line", "link_made", district, f"for {email.casefold()}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("link", "nobody@unified.example"), "neither the setup file nor ROLLCALL_OPERATORS names this address"),
        (("link", "it"), "this is not an email address: "),
        (("token", "nowhere", "--name", "x"), "there is no district nowhere"),
        (("token", "unified", "--name", " "), "a token needs a name of up to 60 characters"),
    ],
)
def test_the_command_line_refuses_in_words(
    command_line: Site,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.setattr("sys.argv", ["rollcall", "report", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code, said in capsys.readouterr().err) == (2, True)
    assert command_line.audited() == []
