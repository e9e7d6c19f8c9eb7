"""Checks of the machine and of what is around it: versions, folders, disks, mail, the report, the clock."""

from __future__ import annotations

import platform
import shutil
import ssl
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from importlib import metadata
from pathlib import Path
from socket import create_connection
from urllib.parse import urlsplit

import httpx
import uuid_utils
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from sqlalchemy import text

from errors import RollcallError
from models.database import Database
from models.tables import Mail
from services.intake.landing_area import LandingArea
from services.mail.smtp import Folder, Server, to_message
from services.operations.checks import Finding, of_error, ok, problem, skipped, together, warning

PROJECT = Path(__file__).parents[2] / "pyproject.toml"
GIGABYTE = 10**9
LITTLE, SCARCE = GIGABYTE, 10 * GIGABYTE  # free space that is a problem, and a warning
CERTIFICATE_LASTS = timedelta(days=14)
CLOCKS_DIFFER = timedelta(seconds=5)
ANSWERS_WITHIN = 10.0  # seconds
SHOWN = ("prefect", "polars")  # the versions that are named where all fit


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def versions(
    installed: Callable[[str], str | None] = _installed,
    python: str = platform.python_version(),
    project: Path = PROJECT,
) -> Finding:
    """Whether Python and the libraries are what pyproject.toml asks for."""
    asked = tomllib.loads(project.read_text("utf-8"))["project"]
    found = []
    if python not in SpecifierSet(asked["requires-python"]):
        found.append(
            problem(
                f"Python {python}, wanted {asked['requires-python']}",
                "Install a newer Python, then run `make clean install` in Rollcall's folder.",
            )
        )
    for requirement in map(Requirement, asked["dependencies"]):
        version = installed(requirement.name)
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            found.append(
                problem(
                    f"{requirement.name} {version or 'is not installed'}, wanted {requirement.specifier}",
                    "Run `make clean install` in Rollcall's folder.",
                )
            )
    return together(found, ", ".join([f"Python {python}", *(f"{name} {installed(name)}" for name in SHOWN)]))


def home_folder(home: Path) -> Finding:
    """Whether the installation's folder is there, ours to write, and nobody else's."""
    if not home.is_dir():
        return problem(
            f"{home} does not exist" if not home.exists() else f"{home} is not a folder",
            "Set ROLLCALL_HOME to the installation's folder. For a new installation, `rollcall migrate` makes it.",
        )
    try:
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        return problem(
            f"{home} cannot be written ({error.strerror})",
            "Run Rollcall as the user who owns it, on a disk with space.",
        )
    return _others_may_look(home) or ok(str(home))


def landing_area(landing: LandingArea) -> Finding:
    """Whether the landing area can be written and read. A folder is made with the first delivery."""
    if landing.is_folder and not landing.scratch.exists():
        return ok(f"{landing.place} is made with the first delivery")
    try:
        landing.try_out()
    except RollcallError as error:
        return of_error(error, "Check ROLLCALL_LANDING.")
    if landing.is_folder and (wrong := _others_may_look(landing.scratch)) is not None:
        return wrong
    says = f"{landing.place} can be written and read"
    if landing.keeps_old_versions():
        return warning(
            f"{says}, but the bucket keeps old versions of what is deleted",
            "Turn versioning off, or let a lifecycle rule delete old versions after a few days.",
        )
    return ok(says)


def _others_may_look(folder: Path) -> Finding | None:
    mode = folder.stat().st_mode & 0o777
    if mode == 0o700:
        return None
    return problem(f"{folder} has mode {mode:04o}: it holds personal data", f"Run `chmod 700 {folder}`.")


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def disk_space(folders: Sequence[Path], free_in: Callable[[Path], int] = _free) -> Finding:
    """Whether the disks of these folders, or of those that they will be made in, have space."""
    found = []
    free: dict[int, tuple[Path, int]] = {}
    for folder in folders:
        there = next(each for each in (folder, *folder.parents) if each.exists())
        free.setdefault(there.stat().st_dev, (folder, free_in(there)))
    for folder, left in free.values():
        says = f"{left / GIGABYTE:.1f} GB free for {folder}"
        if left < LITTLE:
            found.append(problem(says, "Free some space now: syncs fail on a full disk."))
        elif left < SCARCE:
            found.append(warning(says, "Free some space, or use a larger disk."))
    return together(found, "; ".join(f"{left / GIGABYTE:.0f} GB free for {folder}" for folder, left in free.values()))


def mail(transport: Server | Folder, *, sender: str, to: str | None, now: datetime) -> Finding:
    """Whether mail would be accepted: the server lets us in, or the folder can be written. to: gets a test message."""
    with closing(transport):
        try:
            transport.reach()
            if to is not None:
                refused = transport.send(to_message(_test_message(to, now), sender), [to])
                if refused:
                    return problem(
                        f"{transport.where} refuses the address of the test message ({refused[to]})",
                        "Check the address, and that the server accepts mail for it from ROLLCALL_MAIL_FROM.",
                    )
        except RollcallError as error:
            return of_error(error, "Check ROLLCALL_SMTP_HOST and ROLLCALL_SMTP_PORT, and the network in between.")
    return ok(f"{transport.where} {'took a test message' if to is not None else 'is ready; nothing was sent'}")


def _test_message(to: str, now: datetime) -> Mail:
    says = "This is a test message from `rollcall doctor`. Mail from Rollcall arrives here."
    return Mail(
        district_id="",
        message_id=f"test.{uuid_utils.uuid7().hex}",
        recipients=[to],
        subject="Rollcall test message",
        text=f"{says}\n",
        html=f"<p>{says}</p>\n",
        created_at=now,
    )


def report(url: str, running: str | None, *, now: datetime) -> Finding:
    """Whether the report answers. url: as people open it, empty if not set. running: of the one that `up` started."""
    address = url or running
    if address is None:
        return warning("ROLLCALL_REPORT_URL is not set", "Set it to the report's address, so that mail can link to it.")
    # The system's authorities, as browsers use them, or those of SSL_CERT_FILE.
    context = ssl.create_default_context()
    try:
        answer = httpx.get(f"{address}/sign-in", timeout=ANSWERS_WITHIN, verify=context)
    except httpx.HTTPError as error:
        reason = error.__context__.__context__ if error.__context__ is not None else None
        if isinstance(reason, ssl.SSLCertVerificationError):
            return problem(
                f"{address} shows a certificate that is not trusted ({reason.verify_message.rstrip('.')})",
                "Renew the certificate, or let a trusted authority issue it for this name.",
            )
        return problem(
            f"{address} does not answer ({type(error).__name__})",
            "Start the report with `rollcall report` or `rollcall up`, and check the proxy in front of it.",
        )
    if answer.status_code != httpx.codes.OK or "Rollcall" not in answer.text:
        return problem(
            f"{address}/sign-in is not Rollcall's page (HTTP {answer.status_code})",
            "Check ROLLCALL_REPORT_URL, and where the proxy in front of the report sends requests.",
        )
    if not url:
        return warning(
            f"{address} answers, but ROLLCALL_REPORT_URL is not set",
            "Set it to the address that people open, so that mail can link to the report.",
        )
    return _certificate(url, context, now)


def _certificate(url: str, context: ssl.SSLContext, now: datetime) -> Finding:
    parts = urlsplit(url)
    if parts.scheme != "https":
        return ok(f"{url} answers")
    host = parts.hostname or ""
    with (
        create_connection((host, parts.port or 443), ANSWERS_WITHIN) as plain,
        context.wrap_socket(plain, server_hostname=host) as encrypted,
    ):
        ends = ssl.cert_time_to_seconds(str((encrypted.getpeercert() or {})["notAfter"]))
    left = timedelta(seconds=ends - now.timestamp())
    if left <= CERTIFICATE_LASTS:
        return problem(f"{url} has a certificate for {left.days} more days only", "Renew the certificate.")
    return ok(f"{url} answers; its certificate is valid for {left.days} more days")


def clocks(api: str | None, opened: Callable[[], Database] | None, now: Callable[[], datetime]) -> Finding:
    """Whether this machine's clock agrees with Prefect's server and with a database on PostgreSQL, where they answer.

    What doesn't answer is what other checks are for. opened: opens the database; None: it is on this machine.
    """
    apart: dict[str, timedelta] = {}
    if opened is not None:
        with suppress(RollcallError), closing(opened()) as database, database.reading() as session:
            moment: datetime = session.connection().scalar(text("SELECT clock_timestamp()"))
            apart["the database's"] = moment - now()
    if api is not None:
        with suppress(httpx.HTTPError):
            before = now()
            said = httpx.get(f"{api}/health", timeout=ANSWERS_WITHIN).headers.get("date")
            if said is not None:
                # It comes in whole seconds, and was said some time between asking and the answer.
                apart["the Prefect server's"] = _outside(
                    parsedate_to_datetime(said), before - timedelta(seconds=1), now()
                )
    if not apart:
        return skipped("no other clock to compare with")
    return together(
        [
            problem(
                f"this machine's clock and {whose} are {abs(difference.total_seconds()):.0f} seconds apart",
                "Set both by a time server (NTP).",
            )
            for whose, difference in apart.items()
            if abs(difference) > CLOCKS_DIFFER
        ],
        f"as {' and '.join(apart)}",
    )


def _outside(moment: datetime, earliest: datetime, latest: datetime) -> timedelta:
    return moment - min(max(moment, earliest), latest)
