from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from sqlmodel import select

from models.database import Database
from models.tables import OpenIdRequest, ReportSession, SignInLink
from services.access import openid, sessions, sign_in
from services.access.sign_in import Secrets, Spending, ask, make, spend

AT = datetime(2026, 11, 23, 8, tzinfo=UTC)
IT = "it@unified.example"


def asked(database: Database, browser: str = "browser", now: datetime = AT) -> Secrets | None:
    with database.transaction() as session:
        return ask(session, IT, network="203.0.113.1", browser=browser, now=now)


def test_links_asked_for_at_once_are_counted(database: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: asked(database), range(8)))
    assert len([each for each in made if each is not None]) == 5


def test_a_link_is_spent_by_one_of_those_who_do_so_at_once(database: Database) -> None:
    secrets = asked(database)
    assert secrets is not None

    def spending(_: int) -> Spending:
        with database.transaction() as session:
            return spend(session, secrets.token, browser="browser", code="", now=AT)[0]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(spending, range(4)))
    assert sorted(found, key=str) == [Spending.DONE, *[Spending.OVER] * 3]


def test_links_that_operators_make_count_for_nobody(database: Database) -> None:
    with database.transaction() as session:
        for _ in range(6):
            make(session, IT, now=AT)
    assert asked(database) is not None


def test_what_was_begun_to_sign_in_is_removed(database: Database) -> None:
    with database.transaction() as session:
        for at in (AT, AT + timedelta(days=1)):
            make(session, IT, now=at)
            sessions.begin(session, IT, "link", now=at)
            session.add(
                OpenIdRequest(
                    network="",
                    state_hash=str(at),
                    browser_hash="b",
                    provider="google",
                    nonce="n",
                    code_verifier="v",
                    created_at=at,
                )
            )
        session.flush()
        before = AT + timedelta(hours=1)
        assert [each.clean(session, before) for each in (sign_in, sessions, openid)] == [1, 1, 1]
        left = [
            *(row.created_at for row in session.exec(select(SignInLink))),
            *(row.created_at for row in session.exec(select(ReportSession))),
            *(row.created_at for row in session.exec(select(OpenIdRequest))),
        ]
        assert left == [AT + timedelta(days=1)] * 3


def test_secrets_are_shown_by_no_representation(database: Database) -> None:
    secrets = asked(database)
    assert repr(secrets) == "Secrets()"
