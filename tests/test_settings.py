from __future__ import annotations

from pathlib import Path

import pytest

from errors import SetupError
from services.intake.clever_api import Connection
from services.intake.landing_area import LandingArea
from settings import Settings, get_settings

CLEVER = {
    "ROLLCALL_CLEVER_CLIENT_ID": "",
    "ROLLCALL_CLEVER_CLIENT_SECRET": "",
    "ROLLCALL_CLEVER_API_URL": "https://api.clever.com",
    "ROLLCALL_CLEVER_API_VERSION": "v3.1",
    "ROLLCALL_CLEVER_AUTH_URL": "https://clever.com",
    "ROLLCALL_CLEVER_PAGE_SIZE": "10000",
}

CHECKS = {
    "ROLLCALL_DROP_ADDRESS": "",
    "ROLLCALL_SFTP_PASSWORDS": "",
    "ROLLCALL_SFTP_KEY": "",
    "ROLLCALL_SFTP_KEY_PASSPHRASE": "",
    "ROLLCALL_SFTP_KNOWN_HOSTS": "~/.ssh/known_hosts",
    "ROLLCALL_SCHOOL_RUNS": "300",
    "ROLLCALL_DISTRICT_RUNS": "100",
    "ROLLCALL_SHARDS": "0",
    "ROLLCALL_CHECK_MEGABYTES": "100",
    "ROLLCALL_CHECK_SECONDS": "60",
}

MAIL = {
    "ROLLCALL_SMTP_HOST": "",
    "ROLLCALL_SMTP_SECURITY": "starttls",
    "ROLLCALL_SMTP_PORT": "587",
    "ROLLCALL_SMTP_USER": "",
    "ROLLCALL_SMTP_PASSWORD": "",
    "ROLLCALL_MAIL_FROM": "",
}


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"ROLLCALL_{name.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)


REPORT = {
    "ROLLCALL_OPERATORS": "",
    "ROLLCALL_REPORT_HOST": "127.0.0.1",
    "ROLLCALL_REPORT_PORT": "8321",
    "ROLLCALL_REPORT_URL": "",
    "ROLLCALL_REPORT_PROXIES": "",
    "ROLLCALL_CLEVER_SIGN_IN": "False",
    "ROLLCALL_GOOGLE_CLIENT_ID": "",
    "ROLLCALL_GOOGLE_CLIENT_SECRET": "",
    "ROLLCALL_GOOGLE_DOMAINS": "",
    "ROLLCALL_GOOGLE_URL": "https://accounts.google.com",
    "ROLLCALL_MICROSOFT_CLIENT_ID": "",
    "ROLLCALL_MICROSOFT_CLIENT_SECRET": "",
    "ROLLCALL_MICROSOFT_TENANTS": "",
    "ROLLCALL_MICROSOFT_URL": "https://login.microsoftonline.com",
    "ROLLCALL_WEBHOOKS_MAY_BE_PRIVATE": "False",
}

RETENTION = {"ROLLCALL_RETENTION_MONTHS": "13", "ROLLCALL_ID_SECRET": ""}


def test_everything_lies_inside_home(tmp_path: Path) -> None:
    assert get_settings().shown() == {
        "ROLLCALL_HOME": f"{tmp_path}/.rollcall",
        "ROLLCALL_DATABASE_URL": f"sqlite:///{tmp_path}/.rollcall/rollcall.sqlite",
        "ROLLCALL_LANDING": f"{tmp_path}/.rollcall/landing",
        "ROLLCALL_LANDING_ENDPOINT": "",
        **RETENTION,
        "ROLLCALL_LOG_LEVEL": "INFO",
        **CLEVER,
        "ROLLCALL_DROP_FOLDERS": f"{tmp_path}/.rollcall/drop",
        **CHECKS,
        **MAIL,
        "ROLLCALL_MAIL_FOLDER": f"{tmp_path}/.rollcall/mail",
        **REPORT,
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
        "ROLLCALL_LANDING_ENDPOINT": "",
        **RETENTION,
        "ROLLCALL_LOG_LEVEL": "DEBUG",
        **CLEVER,
        "ROLLCALL_DROP_FOLDERS": f"{tmp_path}/rc/drop",
        **CHECKS,
        **MAIL,
        "ROLLCALL_MAIL_FOLDER": f"{tmp_path}/rc/mail",
        **REPORT,
    }
    assert get_settings().folders == {
        "ROLLCALL_HOME": f"{tmp_path}/rc",
        "ROLLCALL_LANDING": f"{tmp_path}/landed",
        "ROLLCALL_DROP_FOLDERS": f"{tmp_path}/rc/drop",
        "ROLLCALL_MAIL_FOLDER": f"{tmp_path}/rc/mail",
    }


def test_the_landing_area_may_be_in_a_bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert get_settings().landing_area == LandingArea.of_folder(tmp_path / ".rollcall" / "landing")
    monkeypatch.setenv("ROLLCALL_LANDING", "s3://rosters/rollcall/landing/")
    monkeypatch.setenv("ROLLCALL_LANDING_ENDPOINT", "https://s3.rollcall.example/")
    assert get_settings().folders["ROLLCALL_LANDING"] == "s3://rosters/rollcall/landing"
    assert get_settings().landing_area == LandingArea(
        "s3://rosters/rollcall/landing", tmp_path / ".rollcall" / "landing", "https://s3.rollcall.example"
    )


@pytest.mark.parametrize("place", ["s3://KEY:hush@rosters/landing", "gs://rosters", "s3://", "file:///srv/landing"])
def test_any_other_place_for_the_landing_area_is_refused(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.setenv("ROLLCALL_LANDING", place)
    with pytest.raises(SetupError) as raised:
        get_settings()
    assert str(raised.value) == (
        "ROLLCALL_LANDING: must be a folder, or s3://BUCKET/PREFIX without keys: those are in AWS_ACCESS_KEY_ID"
    )


def test_deliveries_travel_encrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLCALL_LANDING_ENDPOINT", "http://s3.rollcall.example")
    with pytest.raises(SetupError, match=r"^ROLLCALL_LANDING_ENDPOINT: must begin with https://"):
        get_settings()
    monkeypatch.setenv("ROLLCALL_LANDING_ENDPOINT", "http://127.0.0.1:9000")
    assert get_settings().landing_endpoint == "http://127.0.0.1:9000"


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


def test_clever_may_be_another_server(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "ROLLCALL_CLEVER_CLIENT_ID": "our-id",
        "ROLLCALL_CLEVER_CLIENT_SECRET": "our-s3cret",
        "ROLLCALL_CLEVER_API_URL": "http://localhost:8765/data/",
        "ROLLCALL_CLEVER_API_VERSION": "v3.0",
        "ROLLCALL_CLEVER_AUTH_URL": "https://login.example/",
        "ROLLCALL_CLEVER_PAGE_SIZE": "500",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = get_settings()
    assert settings.connection("clever") == Connection(
        "our-id", "our-s3cret", "http://localhost:8765/data", "v3.0", "https://login.example", 500
    )
    shown = settings.shown()
    assert {name: shown[name] for name in given} == given | {
        "ROLLCALL_CLEVER_CLIENT_SECRET": "**********",
        "ROLLCALL_CLEVER_API_URL": "http://localhost:8765/data",
        "ROLLCALL_CLEVER_AUTH_URL": "https://login.example",
    }
    assert "s3cret" not in repr(settings) + str(settings) + repr(settings.connection("clever"))


def test_clever_is_not_set_up() -> None:
    with pytest.raises(SetupError, match=r"^Clever is not set up: set ROLLCALL_CLEVER_CLIENT_ID and"):
        get_settings().connection("clever")


@pytest.mark.parametrize("url", ["http://127.0.0.1:80", "http://127.3.2.1", "http://[::1]:8765", "http://localhost"])
def test_plain_http_reaches_this_machine(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("ROLLCALL_CLEVER_API_URL", url)
    monkeypatch.setenv("ROLLCALL_CLEVER_AUTH_URL", url)
    assert (get_settings().clever_api_url, get_settings().clever_auth_url) == (url, url)


HTTPS = "must begin with https://; http:// is for this machine itself only"
ADDRESS = "must be an address such as https://HOST, without user, query or fragment"


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("API_URL", "http://api.clever.com", HTTPS),
        ("AUTH_URL", "http://clever.com", HTTPS),
        ("API_URL", "http://localhost.elsewhere.example", HTTPS),
        ("API_URL", "http://127.0.0.1.elsewhere.example", HTTPS),
        ("API_URL", "http://10.0.0.1", HTTPS),
        ("API_URL", "http://127.0.0.1@elsewhere.example", ADDRESS),
        ("API_URL", "https://me:s3cret@api.clever.com", ADDRESS),
        ("API_URL", "https://api.clever.com?token=s3cret", ADDRESS),
        ("API_URL", "api.clever.com", ADDRESS),
        ("API_VERSION", "3.1", r"String should match pattern '^v\d+\.\d+$'"),
        ("PAGE_SIZE", "0", "Input should be greater than or equal to 1"),
        ("PAGE_SIZE", "10001", "Input should be less than or equal to 10000"),
    ],
)
def test_clever_settings_that_make_no_sense(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, problem: str
) -> None:
    monkeypatch.setenv(f"ROLLCALL_CLEVER_{name}", value)
    with pytest.raises(SetupError) as raised:
        get_settings()
    assert str(raised.value) == f"ROLLCALL_CLEVER_{name}: {problem}"


def test_a_mail_server_is_set_and_its_password_shown_by_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"HOST": "smtp.example", "SECURITY": "TLS", "USER": "sync", "PASSWORD": "s3cret"}.items():
        monkeypatch.setenv(f"ROLLCALL_SMTP_{name}", value)
    monkeypatch.setenv("ROLLCALL_MAIL_FROM", "Rollcall <sync@example.org>")
    shown = get_settings().shown()
    assert (shown["ROLLCALL_SMTP_PORT"], shown["ROLLCALL_SMTP_PASSWORD"]) == ("465", "**********")
    assert "s3cret" not in repr(get_settings()) + repr(get_settings().mail_transport())


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"SMTP_HOST": "smtp.example"}, "ROLLCALL_MAIL_FROM"),
        ({"SMTP_HOST": "smtp.example", "MAIL_FROM": "nobody"}, "ROLLCALL_MAIL_FROM"),
        ({"SMTP_HOST": "smtp.example", "MAIL_FROM": "a@b.example\nBcc: c@d.example"}, "ROLLCALL_MAIL_FROM"),
        ({"SMTP_HOST": "smtp.example", "MAIL_FROM": "a@b.example", "SMTP_USER": "me"}, "ROLLCALL_SMTP_PASSWORD"),
        (
            {
                "SMTP_HOST": "smtp.example",
                "MAIL_FROM": "a@b.example",
                "SMTP_USER": "me",
                "SMTP_PASSWORD": "s3cret",
                "SMTP_SECURITY": "none",
            },
            "ROLLCALL_SMTP_USER",
        ),
    ],
)
def test_half_a_mail_server_is_refused(monkeypatch: pytest.MonkeyPatch, values: dict[str, str], told: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"ROLLCALL_{name}", value)
    with pytest.raises(SetupError) as raised:
        get_settings()
    assert str(raised.value).startswith(f"{told}: ")
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("sync@example.org", "sync@example.org"),
        ("\ufeff Rollcall\u200b <sync@exa\u00admple.org>\u200f ", "Rollcall <sync@example.org>"),
        ('"Rollcall, Sync" <sync@schüle.example>', '"Rollcall, Sync" <sync@xn--schle-mva.example>'),
        ("", "Rollcall <rollcall@localhost>"),
    ],
)
def test_the_sender_is_taken_as_a_mail_can_hold_it(monkeypatch: pytest.MonkeyPatch, given: str, taken: str) -> None:
    monkeypatch.setenv("ROLLCALL_MAIL_FROM", given)
    assert get_settings().mail_sender == taken


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("nobody", "an email address must have an @-sign"),
        ("Rollcall <a..b@example.org>", "an email address cannot have two periods in a row"),
        ("jörg@example.org", "internationalized characters before the @-sign are not supported: 'ö'"),
    ],
)
def test_a_sender_that_no_mail_can_come_from_is_refused(monkeypatch: pytest.MonkeyPatch, given: str, why: str) -> None:
    monkeypatch.setenv("ROLLCALL_MAIL_FROM", given)
    with pytest.raises(SetupError) as raised:
        get_settings()
    assert str(raised.value) == (
        f"ROLLCALL_MAIL_FROM: is not an email address: {why}; it must look like sync@HOST or Rollcall <sync@HOST>"
    )


TENANT = "11111111-2222-3333-4444-555555555555"


def test_who_may_sign_in_with_google_and_microsoft_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLCALL_GOOGLE_DOMAINS", " Unified.example ,, coast.example")
    monkeypatch.setenv("ROLLCALL_MICROSOFT_TENANTS", f"unified={TENANT.upper()}, coast = {TENANT}")
    settings = get_settings()
    assert settings.google_domains == ("unified.example", "coast.example")
    assert settings.microsoft_tenants == (("unified", TENANT), ("coast", TENANT))
    assert settings.openid_providers() == ()


@pytest.mark.parametrize("value", [f"unified={TENANT[1:]}", "unified=common", TENANT, f"={TENANT}", "organizations"])
def test_a_tenant_that_lets_in_everybody_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ROLLCALL_MICROSOFT_TENANTS", value)
    with pytest.raises(SetupError, match=r"^ROLLCALL_MICROSOFT_TENANTS: must be DISTRICT=TENANT-ID"):
        get_settings()


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("REPORT_PROXIES", "proxy.example", "must be addresses or networks with commas between, such as 10.0.0.2"),
        ("REPORT_PROXIES", "*", "must be addresses or networks with commas between, such as 10.0.0.2"),
        (
            "REPORT_URL",
            "https://host.example/rollcall",
            "must not have a path: the report needs a host name of its own",
        ),
    ],
)
def test_settings_of_the_report_that_make_no_sense(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, problem: str
) -> None:
    monkeypatch.setenv(f"ROLLCALL_{name}", value)
    with pytest.raises(SetupError) as raised:
        get_settings()
    assert str(raised.value) == f"ROLLCALL_{name}: {problem}"


def test_where_the_report_listens_and_what_its_address_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLCALL_REPORT_PROXIES", " 10.0.0.2 , 10.1.0.0/16")
    settings = get_settings()
    assert settings.report_proxies == "10.0.0.2,10.1.0.0/16"
    assert settings.listening_at(None, None).report_address == "http://127.0.0.1:8321"
    assert settings.listening_at("::1", 9000).report_address == "http://[::1]:9000"
    with pytest.raises(SetupError, match=r"^the report listens on 0\.0\.0\.0, which other machines can reach: set RO"):
        settings.listening_at("0.0.0.0", None)
    monkeypatch.setenv("ROLLCALL_REPORT_URL", "https://rollcall.example/")
    assert get_settings().listening_at("0.0.0.0", 80).report_address == "https://rollcall.example"


def test_passwords_for_sftp_are_by_source_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLCALL_SFTP_PASSWORDS", '{"unified/files": "s3cret"}')
    settings = get_settings()
    assert settings.connection("csv").password("unified/files") == "s3cret"
    assert settings.shown()["ROLLCALL_SFTP_PASSWORDS"] == "unified/files"
    assert "s3cret" not in repr(settings)
    monkeypatch.setenv("ROLLCALL_SFTP_PASSWORDS", "s3cret")
    with pytest.raises(SetupError) as raised:
        get_settings()
    assert str(raised.value) == 'ROLLCALL_SFTP_PASSWORDS: must be JSON such as {"DISTRICT/SOURCE": "…"}'


def test_a_secret_that_could_be_guessed_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLCALL_ID_SECRET", "swordfish")
    with pytest.raises(SetupError, match=r"^ROLLCALL_ID_SECRET: must be at least 32 characters") as refused:
        get_settings()
    assert "swordfish" not in str(refused.value)
    monkeypatch.setenv("ROLLCALL_ID_SECRET", "swordfish" * 4)
    assert get_settings().hashing_secret.value == b"swordfish" * 4
    assert get_settings().shown()["ROLLCALL_ID_SECRET"] == "**********"
