"""The settings of an installation, read from the environment (ROLLCALL_…); a district's own are set up instead."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from email.utils import parseaddr
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from contracts.addresses import mail_address
from contracts.text import clean, without_invisible_text
from errors import SetupError

if TYPE_CHECKING:
    from services.access.openid import Provider
    from services.intake.landing_area import LandingArea
    from services.mail.smtp import Folder, Server
    from services.operations.retention import Policy
    from services.planning.recognition import IdSecret

PORTS = {"starttls": 587, "tls": 465, "none": 25}


class Settings(BaseSettings):
    """The settings of one installation. The secrets in them are shown by no representation."""

    model_config = SettingsConfigDict(env_prefix="ROLLCALL_", env_ignore_empty=True, frozen=True)

    home: Path = Field(default=Path(".rollcall"), description="embedded database, landing area and backups")
    database_url: str = Field(
        default="", repr=False, description="postgresql://USER:PASSWORD@HOST/NAME, or an embedded one inside home"
    )
    landing: str = Field(default="", description="where raw deliveries are kept: a folder, or s3://BUCKET/PREFIX")
    landing_endpoint: str = Field(
        default="", description="the address of S3-compatible storage that is not Amazon's, such as https://s3.HOST"
    )
    retention_months: int = Field(
        default=13, ge=1, le=120, description="months after which archived people are anonymized"
    )
    id_secret: SecretStr = Field(
        default=SecretStr(""),
        description="the secret of the hashes that anonymized people's IDs become; by default in home, made once",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="the lowest level that is logged"
    )
    clever_client_id: str = Field(default="", description="the app's client ID in Clever; or a Prefect Secret block")
    clever_client_secret: SecretStr = Field(
        default=SecretStr(""), description="the app's client secret in Clever; or a Prefect Secret block"
    )
    clever_api_url: str = Field(default="https://api.clever.com", description="where Clever's Data API is")
    clever_api_version: str = Field(
        default="v3.1", pattern=r"^v\d+\.\d+$", description="the version of Clever's Data API, such as v3.1"
    )
    clever_auth_url: str = Field(default="https://clever.com", description="where Clever issues tokens")
    clever_page_size: int = Field(default=10_000, ge=1, le=10_000, description="records per request to Clever")

    sftp_passwords: dict[str, SecretStr] = Field(
        default_factory=dict,
        description='passwords for SFTP servers, by source: {"DISTRICT/SOURCE": "…"}; or Prefect Secret blocks',
    )
    sftp_key: Path | None = Field(
        default=None, description="the file of a private key for SFTP servers; or a Prefect Secret block"
    )
    sftp_key_passphrase: SecretStr = Field(default=SecretStr(""), description="the passphrase of that key")
    sftp_known_hosts: Path = Field(
        default=Path("~/.ssh/known_hosts"), description="host keys of SFTP servers that the setup does not name"
    )

    school_runs: int = Field(
        default=300,
        ge=0,
        description="how many changed schools of a district may each have a run of their own in Prefect",
    )
    district_runs: int = Field(
        default=100,
        ge=0,
        description="how many districts of a night may each have a run of their own in Prefect; more go to shards",
    )
    shards: int = Field(
        default=0, ge=0, description="how many shards share a night; 0: two for each worker that is online"
    )

    drop_folders: Path = Field(
        default=Path(), description="where districts that set up files in the report get a folder each"
    )
    drop_address: str = Field(
        default="", description="drop_folders as districts reach it, such as sftp://files.HOST; shown to them"
    )
    check_megabytes: int = Field(
        default=100, ge=1, le=2_000, description="how much somebody may upload in the report to have it checked"
    )
    check_seconds: int = Field(default=60, ge=1, le=600, description="how long such a check may take")

    smtp_host: str = Field(default="", description="the mail server; if empty, mail is written to a folder")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="how the connection to the mail server is encrypted"
    )
    smtp_port: int = Field(
        default=587, ge=1, le=65535, description="its port; by default 587, 465 or 25, depending on the encryption"
    )
    smtp_user: str = Field(
        default="", validate_default=True, description="the user name for the mail server, if it requires one"
    )
    smtp_password: SecretStr = Field(
        default=SecretStr(""), validate_default=True, description="the password for the mail server"
    )
    mail_from: str = Field(
        default="", validate_default=True, description="the sender of mail, such as Rollcall <sync@HOST>"
    )
    mail_folder: Path = Field(default=Path(), description="where mail is written if there is no mail server")

    operators: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="email addresses of those who see every district in the report, with commas between"
    )
    report_host: str = Field(default="127.0.0.1", description="the address that the report listens on")
    report_port: int = Field(default=8321, ge=0, le=65535, description="its port; 0: any free one")
    report_url: str = Field(
        default="", description="the report's address as people open it, such as https://rollcall.HOST"
    )
    report_proxies: str = Field(
        default="", description="addresses of the proxies before the report, whose forwarded headers it believes"
    )
    webhooks_may_be_private: bool = Field(
        default=False, description="whether webhooks may go to this machine, to private networks, and without HTTPS"
    )

    clever_sign_in: bool = Field(
        default=False, description="let people sign in to the report with Clever, by the same client ID and secret"
    )
    google_client_id: str = Field(default="", description="the client ID for signing in with Google")
    google_client_secret: SecretStr = Field(default=SecretStr(""), description="its secret")
    google_domains: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Google Workspace domains whose people may sign in with Google, with commas between"
    )
    google_url: str = Field(default="https://accounts.google.com", description="where Google signs people in")
    microsoft_client_id: str = Field(default="", description="the client ID for signing in with Microsoft")
    microsoft_client_secret: SecretStr = Field(default=SecretStr(""), description="its secret")
    microsoft_tenants: Annotated[tuple[tuple[str, str], ...], NoDecode] = Field(
        default=(), description="Microsoft's tenant of each district, as DISTRICT=TENANT-ID, with commas between"
    )
    microsoft_url: str = Field(
        default="https://login.microsoftonline.com", description="where Microsoft signs people in"
    )

    @field_validator("google_domains", mode="before")
    @classmethod
    def _domains(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(clean(domain).casefold() for domain in value.split(",") if clean(domain))

    @field_validator("microsoft_tenants", mode="before")
    @classmethod
    def _tenants(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        named = [pair.partition("=") for pair in value.split(",") if clean(pair)]
        pairs = tuple((clean(district), clean(tenant).lower()) for district, _, tenant in named)
        # common, organizations and consumers would let in everybody whom Microsoft knows.
        if any(not (district and re.fullmatch(r"[0-9a-f-]{36}", tenant)) for district, tenant in pairs):
            raise ValueError("must be DISTRICT=TENANT-ID, with commas between; the ID is a GUID such as Entra shows it")
        return pairs

    @field_validator("operators", mode="before")
    @classmethod
    def _addresses(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(mail_address(clean(address)) for address in value.split(",") if clean(address))

    @field_validator("smtp_security", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("smtp_host")
    @classmethod
    def _host_only(cls, value: str) -> str:
        if not re.fullmatch(r"[\w.:-]*", value, re.ASCII):
            raise ValueError("must be a host's name or address, such as smtp.HOST")
        return value

    @field_validator("smtp_user")
    @classmethod
    def _passwords_stay_private(cls, value: str, info: ValidationInfo) -> str:
        is_open = info.data.get("smtp_security") == "none" and not is_loopback(str(info.data.get("smtp_host")))
        if value and is_open:
            raise ValueError("a login needs ROLLCALL_SMTP_SECURITY starttls or tls; none is for this machine only")
        return value

    @field_validator("smtp_password")
    @classmethod
    def _belongs_to_user(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        if bool(value.get_secret_value()) != bool(info.data.get("smtp_user", value.get_secret_value())):
            raise ValueError("a login needs both ROLLCALL_SMTP_USER and ROLLCALL_SMTP_PASSWORD")
        return value

    @field_validator("mail_from")
    @classmethod
    def _is_sender(cls, value: str, info: ValidationInfo) -> str:
        if not value and info.data.get("smtp_host"):
            raise ValueError("is required with ROLLCALL_SMTP_HOST: the sender of mail, such as Rollcall <sync@HOST>")
        value = clean(without_invisible_text(value))
        if not value:
            return value
        if not value.isprintable():
            raise ValueError("must be one line")
        address = parseaddr(value)[1]
        try:
            return value.replace(address, mail_address(address)) if address else mail_address(value)
        except ValueError as error:
            raise ValueError(f"{error}; it must look like sync@HOST or Rollcall <sync@HOST>") from None

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

    @field_validator("landing")
    @classmethod
    def _folder_or_bucket(cls, value: str) -> str:
        if "://" in value and not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]+(/[\w.-]+)*/?", value, re.ASCII):
            raise ValueError("must be a folder, or s3://BUCKET/PREFIX without keys: those are in AWS_ACCESS_KEY_ID")
        return value.rstrip("/")

    @field_validator("id_secret")
    @classmethod
    def _cannot_be_guessed(cls, value: SecretStr) -> SecretStr:
        if 0 < len(value.get_secret_value()) < 32:
            raise ValueError("must be at least 32 characters, such as `openssl rand -hex 32` prints")
        return value

    @field_validator("report_proxies")
    @classmethod
    def _addresses_of_proxies(cls, value: str) -> str:
        listed = [clean(address) for address in value.split(",") if clean(address)]
        for address in listed:
            try:
                ipaddress.ip_network(address)
            except ValueError:
                raise ValueError("must be addresses or networks with commas between, such as 10.0.0.2") from None
        return ",".join(listed)

    @field_validator("report_url")
    @classmethod
    def _at_the_root(cls, value: str) -> str:
        if urlsplit(value).path.strip("/"):
            raise ValueError("must not have a path: the report needs a host name of its own")
        return value

    @field_validator(
        "landing_endpoint", "clever_api_url", "clever_auth_url", "report_url", "google_url", "microsoft_url"
    )
    @classmethod
    def _tokens_stay_private(cls, value: str) -> str:
        address = value.rstrip("/")
        if not address:
            return address
        if not re.fullmatch(r"https?://(\[[0-9a-fA-F:]+\]|[\w.-]+)(:\d{1,5})?(/[\w./-]*)?", address, re.ASCII):
            raise ValueError("must be an address such as https://HOST, without user, query or fragment")
        parts = urlsplit(address)
        if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
            raise ValueError("must begin with https://; http:// is for this machine itself only")
        return address

    @model_validator(mode="before")
    @classmethod
    def _inside_home(cls, values: dict[str, object]) -> dict[str, object]:
        home = Path(str(values.get("home", ".rollcall"))).expanduser().absolute()
        landing = str(values.get("landing", home / "landing"))
        drops = Path(str(values.get("drop_folders", home / "drop"))).expanduser().absolute()
        folder = Path(str(values.get("mail_folder", home / "mail"))).expanduser().absolute()
        return {
            "database_url": f"sqlite:///{home / 'rollcall.sqlite'}",
            "smtp_port": PORTS.get(str(values.get("smtp_security", "starttls")).lower(), 587),
            **values,
            "home": home,
            "landing": landing if "://" in landing else str(Path(landing).expanduser().absolute()),
            "mail_folder": folder,
            "drop_folders": drops,
        }

    @property
    def folders(self) -> dict[str, str]:
        """Its folders and landing area in full, by their variables: for programs that are started in another folder."""
        names = ("home", "landing", "drop_folders", "mail_folder")
        return {f"ROLLCALL_{name.upper()}": str(getattr(self, name)) for name in names}

    @property
    def landing_area(self) -> LandingArea:
        """Where raw deliveries are kept."""
        from services.intake.landing_area import LandingArea

        is_folder = "://" not in self.landing
        return LandingArea(
            self.landing, Path(self.landing) if is_folder else self.home / "landing", self.landing_endpoint
        )

    @property
    def hashing_secret(self) -> IdSecret:
        """The secret of the hashes that the IDs of anonymized people become."""
        from services.planning.recognition import IdSecret

        return IdSecret(self.home / "id-secret", self.id_secret.get_secret_value())

    @property
    def retention(self) -> Policy:
        """After how long archived people are anonymized."""
        from services.operations.retention import Policy

        return Policy(self.retention_months, self.hashing_secret)

    @property
    def backups(self) -> Path:
        """Where an embedded database is copied to before it is migrated."""
        return self.home / "backups"

    def connection(self, kind: str, secret: Callable[[str], str] = lambda _: "") -> Any:
        """How a kind of source is reached; None where that takes nothing.

        secret: looks up what the environment lacks, by the name of a Prefect Secret block; empty where there is none.

        Raises:
            SetupError: an ID or secret is nowhere.
        """
        if kind == "csv":
            from services.intake.sftp import Access

            known_hosts = self.sftp_known_hosts.expanduser()
            return Access(self.sftp_passwords, self.sftp_key, self.sftp_key_passphrase, known_hosts, secret)
        if kind != "clever":
            return None
        from services.intake.clever_api import Connection

        return Connection(
            client_id=self.clever_client_id or secret("rollcall-clever-client-id"),
            client_secret=self.clever_client_secret.get_secret_value() or secret("rollcall-clever-client-secret"),
            api_url=self.clever_api_url,
            api_version=self.clever_api_version,
            auth_url=self.clever_auth_url,
            page_size=self.clever_page_size,
        )

    def openid_providers(self) -> tuple[Provider, ...]:
        """The OpenID providers that people may sign in to the report with."""
        from services.access.openid import CLEVER, GOOGLE, MICROSOFT, Provider

        found = []
        if self.clever_sign_in and self.clever_client_id:
            found.append(
                Provider(CLEVER, "Clever", self.clever_auth_url, self.clever_client_id, self.clever_client_secret)
            )
        if self.google_client_id and self.google_domains:
            domains = frozenset(self.google_domains)
            found.append(
                Provider(GOOGLE, "Google", self.google_url, self.google_client_id, self.google_client_secret, domains)
            )
        if self.microsoft_client_id:
            found += [
                Provider(
                    MICROSOFT,
                    "Microsoft",
                    f"{self.microsoft_url}/{tenant}/v2.0",
                    self.microsoft_client_id,
                    self.microsoft_client_secret,
                    tenant=tenant,
                    district_id=district,
                )
                for district, tenant in self.microsoft_tenants
            ]
        return tuple(found)

    @property
    def report_address(self) -> str:
        """The report's address as people open it."""
        host = f"[{self.report_host}]" if ":" in self.report_host else self.report_host
        return self.report_url or f"http://{host}:{self.report_port}"

    def listening_at(self, host: str | None, port: int | None) -> Settings:
        """The settings of a report that listens here instead; None: as it is set.

        Raises:
            SetupError: others could reach it, and people's address of it, with HTTPS, is not set.
        """
        given = {"report_host": host, "report_port": port}
        changed = self.model_copy(update={name: value for name, value in given.items() if value is not None})
        if not changed.report_url and not is_loopback(changed.report_host):
            raise SetupError(
                f"the report listens on {changed.report_host}, which other machines can reach: set ROLLCALL_REPORT_URL"
                " to its address as people open it, such as https://rollcall.HOST"
            )
        return changed

    @property
    def mail_sender(self) -> str:
        """The sender of mails, also where none is set because they only go into a folder."""
        return self.mail_from or "Rollcall <rollcall@localhost>"

    def mail_transport(self) -> Server | Folder:
        """Where mails go: the mail server, or the folder where none is set."""
        from services.mail.smtp import Folder, Server

        if not self.smtp_host:
            return Folder(self.mail_folder)
        return Server(
            self.smtp_host, self.smtp_port, self.mail_sender, self.smtp_user, self.smtp_password, self.smtp_security
        )

    def shown(self) -> dict[str, str]:
        """Give every setting as it may be shown, by its environment variable; secrets masked."""
        given = {name: getattr(self, name) for name in type(self).model_fields}
        values = {name: "" if value is None else str(value) for name, value in given.items()}
        values["sftp_passwords"] = ",".join(self.sftp_passwords)
        values["operators"] = ",".join(self.operators)
        values["google_domains"] = ",".join(self.google_domains)
        values["microsoft_tenants"] = ",".join(f"{district}={tenant}" for district, tenant in self.microsoft_tenants)
        values["database_url"] = _masked(self.database_url)
        return {f"ROLLCALL_{name.upper()}": value for name, value in values.items()}


def get_settings() -> Settings:
    """Read the settings from the environment as it is now.

    Raises:
        SetupError: a variable's value makes no sense; names the variable, never the value.
    """
    try:
        return Settings()
    except SettingsError:
        # It is the only one that is JSON.
        problems = ['ROLLCALL_SFTP_PASSWORDS: must be JSON such as {"DISTRICT/SOURCE": "…"}']
    except ValidationError as error:
        problems = [
            f"ROLLCALL_{str(problem['loc'][0]).upper()}: {_message(problem['msg'])}" for problem in error.errors()
        ]
    raise SetupError("\n".join(problems))


def _message(message: str) -> str:
    return message.removeprefix("Value error, ")


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _masked(url: str) -> str:
    # Rather too much than too little: a password may hold any character, an @ as well.
    hidden = re.sub(r"(://[^:/?]*):.*@", r"\1:***@", url)
    return re.sub(r"([?&](?:password|passfile|sslpassword)=)[^&]*", r"\1***", hidden)
