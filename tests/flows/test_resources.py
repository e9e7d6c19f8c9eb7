from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from prefect import flow
from prefect.blocks.system import Secret
from prefect.settings import PREFECT_API_URL, temporary_settings

from errors import SetupError, TransientError
from services.intake.clever_api import Connection
from settings import get_settings
from tasks import resources

NAMES = ("CLIENT_ID", "CLIENT_SECRET", "API_URL", "API_VERSION", "AUTH_URL", "PAGE_SIZE")


@pytest.fixture(autouse=True)
def _unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(f"ROLLCALL_CLEVER_{name}", raising=False)


@pytest.fixture
def blocks() -> Iterator[None]:
    kept = {"rollcall-clever-client-id": "kept-id", "rollcall-clever-client-secret": "kept-s3cret"}
    for name, value in kept.items():
        Secret(value=value).save(name, overwrite=True)
    yield
    for name in kept:
        Secret.delete(name)


def _connection() -> Connection | None:
    found: Connection | None = get_settings().connection("clever", resources._secret)
    return found


def clever_is(client_id: str, client_secret: str) -> Connection:
    return Connection(client_id, client_secret, "https://api.clever.com", "v3.1", "https://clever.com", 10_000)


def test_the_environment_comes_first(monkeypatch: pytest.MonkeyPatch, blocks: None) -> None:
    monkeypatch.setenv("ROLLCALL_CLEVER_CLIENT_ID", "our-id")
    monkeypatch.setenv("ROLLCALL_CLEVER_CLIENT_SECRET", "our-s3cret")
    assert _connection() == clever_is("our-id", "our-s3cret")


def test_what_it_lacks_is_in_secret_blocks(monkeypatch: pytest.MonkeyPatch, blocks: None) -> None:
    assert _connection() == clever_is("kept-id", "kept-s3cret")
    monkeypatch.setenv("ROLLCALL_CLEVER_CLIENT_ID", "our-id")
    assert _connection() == clever_is("our-id", "kept-s3cret")


def test_in_a_run(blocks: None) -> None:
    @flow
    async def ours() -> Connection | None:
        return _connection()

    assert asyncio.run(ours()) == clever_is("kept-id", "kept-s3cret")


def test_it_is_nowhere() -> None:
    with pytest.raises(SetupError, match=r"set ROLLCALL_CLEVER_CLIENT_ID and .* rollcall-clever-client-secret$"):
        _connection()


def test_no_server_is_started_to_look_for_blocks() -> None:
    with temporary_settings({PREFECT_API_URL: None}), pytest.raises(SetupError, match="Clever is not set up"):
        _connection()


def test_a_server_that_does_not_answer() -> None:
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}), pytest.raises(TransientError) as raised:
        _connection()
    assert str(raised.value) == (
        "Prefect's API, which may keep the Secret block rollcall-clever-client-id, did not answer"
    )
    assert (raised.value.__cause__, raised.value.__context__) == (None, None)
