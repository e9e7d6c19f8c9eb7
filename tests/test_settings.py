from __future__ import annotations

from pathlib import Path

import pytest

from errors import SetupError
from settings import get_settings


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HOME", "DATABASE_URL", "LANDING", "LOG_LEVEL"):
        monkeypatch.delenv(f"ROLLCALL_{name}", raising=False)
    monkeypatch.chdir(tmp_path)


def test_everything_lies_inside_home(tmp_path: Path) -> None:
    assert get_settings().shown() == {
        "ROLLCALL_HOME": f"{tmp_path}/.rollcall",
        "ROLLCALL_DATABASE_URL": f"sqlite:///{tmp_path}/.rollcall/rollcall.sqlite",
        "ROLLCALL_LANDING": f"{tmp_path}/.rollcall/landing",
        "ROLLCALL_LOG_LEVEL": "INFO",
    }
    assert get_settings().backups == tmp_path / ".rollcall" / "backups"


def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ROLLCALL_HOME", "~/rc")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ROLLCALL_LOG_LEVEL", "debug")
    monkeypatch.setenv("ROLLCALL_LANDING", "landed")
    monkeypatch.setenv("ROLLCALL_DATABASE_URL", "")
    assert get_settings().shown() == {
        "ROLLCALL_HOME": f"{tmp_path}/rc",
        "ROLLCALL_DATABASE_URL": f"sqlite:///{tmp_path}/rc/rollcall.sqlite",
        "ROLLCALL_LANDING": f"{tmp_path}/landed",
        "ROLLCALL_LOG_LEVEL": "DEBUG",
    }


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_is_spoken_to_by_its_driver(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setenv("ROLLCALL_DATABASE_URL", f"{scheme}://host/name")
    assert get_settings().database_url == "postgresql+psycopg://host/name"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:s3cret@host:5432/name", "postgresql+psycopg://me:***@host:5432/name"),
        ("postgresql://me:s3c@ret@host/name", "postgresql+psycopg://me:***@host/name"),
        ("postgresql://me@host/name?password=s3cret", "postgresql+psycopg://me@host/name?password=***"),
        ("postgresql:///name?host=/run/pg", "postgresql+psycopg:///name?host=/run/pg"),
    ],
)
def test_secrets_are_masked(monkeypatch: pytest.MonkeyPatch, url: str, shown: str) -> None:
    monkeypatch.setenv("ROLLCALL_DATABASE_URL", url)
    assert get_settings().shown()["ROLLCALL_DATABASE_URL"] == shown
    assert "s3c" not in repr(get_settings())


def test_nonsense_is_refused_by_name_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLCALL_DATABASE_URL", "mysql://me:s3cret@host/name")
    monkeypatch.setenv("ROLLCALL_LOG_LEVEL", "loud")
    with pytest.raises(SetupError) as raised:
        get_settings()
    assert str(raised.value) == (
        "ROLLCALL_DATABASE_URL: must be postgresql://USER:PASSWORD@HOST/NAME or sqlite:///FILE\n"
        "ROLLCALL_LOG_LEVEL: Input should be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"
    )
    assert (raised.value.__cause__, raised.value.__context__) == (None, None)
