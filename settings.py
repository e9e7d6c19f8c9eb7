"""The settings of an installation, read from the environment (ROLLCALL_…); a district's own are set up instead."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from errors import SetupError

if TYPE_CHECKING:
    from services.clever import Connection


class Settings(BaseSettings):
    """The settings of one installation. The secrets in them are shown by no representation."""

    model_config = SettingsConfigDict(env_prefix="ROLLCALL_", env_ignore_empty=True, frozen=True)

    home: Path = Field(default=Path(".rollcall"), description="embedded database, landing area and backups")
    database_url: str = Field(
        default="", repr=False, description="postgresql://USER:PASSWORD@HOST/NAME, or an embedded one inside home"
    )
    landing: Path = Field(default=Path(), description="where raw deliveries are kept")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="INFO", description="what the logs tell")
    clever_client_id: str = Field(default="", description="the app's client ID in Clever; or a Prefect Secret block")
    clever_client_secret: SecretStr = Field(
        default=SecretStr(""), description="the app's client secret in Clever; or a Prefect Secret block"
    )
    clever_api_url: str = Field(default="https://api.clever.com", description="where Clever's Data API is")
    clever_api_version: str = Field(
        default="v3.1", pattern=r"^v\d+\.\d+$", description="the version of Clever's Data API, such as v3.1"
    )
    clever_auth_url: str = Field(default="https://clever.com", description="where Clever hands out tokens")
    clever_page_size: int = Field(default=10_000, ge=1, le=10_000, description="records asked of Clever at a time")

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("database_url")
    @classmethod
    def _normalised(cls, value: str) -> str:
        scheme, colon, rest = value.partition("://")
        if scheme in ("postgres", "postgresql", "postgresql+psycopg"):
            return f"postgresql+psycopg{colon}{rest}"
        if value and not value.startswith("sqlite:///"):
            raise ValueError("must be postgresql://USER:PASSWORD@HOST/NAME or sqlite:///FILE")
        return value

    @field_validator("clever_api_url", "clever_auth_url")
    @classmethod
    def _tokens_stay_private(cls, value: str) -> str:
        address = value.rstrip("/")
        if not re.fullmatch(r"https?://(\[[0-9a-fA-F:]+\]|[\w.-]+)(:\d{1,5})?(/[\w./-]*)?", address, re.ASCII):
            raise ValueError("must be an address such as https://HOST, without user, query or fragment")
        parts = urlsplit(address)
        if parts.scheme != "https" and not _is_loopback(parts.hostname or ""):
            raise ValueError("must begin with https://; http:// is for this machine itself only")
        return address

    @model_validator(mode="before")
    @classmethod
    def _inside_home(cls, values: dict[str, object]) -> dict[str, object]:
        home = Path(str(values.get("home", ".rollcall"))).expanduser().absolute()
        landing = Path(str(values.get("landing", home / "landing"))).expanduser().absolute()
        return {"database_url": f"sqlite:///{home / 'rollcall.sqlite'}", **values, "home": home, "landing": landing}

    @property
    def backups(self) -> Path:
        """Where an embedded database is copied to before it is migrated."""
        return self.home / "backups"

    def clever(self, *, client_id: str = "", client_secret: str = "") -> Connection:
        """How Clever is reached; ID and secret as given where the environment names none.

        Raises:
            SetupError: the client's ID or secret is nowhere.
        """
        from services.clever import Connection

        return Connection(
            client_id=self.clever_client_id or client_id,
            client_secret=self.clever_client_secret.get_secret_value() or client_secret,
            api_url=self.clever_api_url,
            api_version=self.clever_api_version,
            auth_url=self.clever_auth_url,
            page_size=self.clever_page_size,
        )

    def shown(self) -> dict[str, str]:
        """Give every setting as it may be shown, by its environment variable; secrets masked."""
        values = {name: str(getattr(self, name)) for name in type(self).model_fields}
        values["database_url"] = _masked(self.database_url)
        return {f"ROLLCALL_{name.upper()}": value for name, value in values.items()}


def get_settings() -> Settings:
    """Read the settings from the environment as it is now.

    Raises:
        SetupError: a variable's value makes no sense; names the variable, never the value.
    """
    try:
        return Settings()
    except ValidationError as error:
        problems = [f"ROLLCALL_{str(problem['loc'][0]).upper()}: {_said(problem['msg'])}" for problem in error.errors()]
    raise SetupError("\n".join(problems))


def _said(message: str) -> str:
    return message.removeprefix("Value error, ")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _masked(url: str) -> str:
    # Rather too much than too little: a password may hold any character, an @ as well.
    hidden = re.sub(r"(://[^:/?]*):.*@", r"\1:***@", url)
    return re.sub(r"([?&](?:password|passfile|sslpassword)=)[^&]*", r"\1***", hidden)
