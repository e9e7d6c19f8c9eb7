"""Each check of the machine and its surroundings, with the fault made on purpose."""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from pydantic import SecretStr

from models.database import Database
from services import clock
from services.intake.landing_area import LandingArea
from services.mail.smtp import Folder, Server
from services.operations.checks import ok, problem, skipped, warning
from services.operations.machine_checks import (
    GIGABYTE,
    clocks,
    disk_space,
    home_folder,
    landing_area,
    mail,
    report,
    versions,
)
from tests.object_storage import stored
from tests.services.mail.certificates import Authority
from tests.services.mail.test_outbox import Inbox, free_port, listening

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
SENDER = "Rollcall <sync@rollcall.example>"
THERE = {"prefect": "3.9.1", "polars": "2.1.0"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    file = tmp_path / "pyproject.toml"
    file.write_text(
        '[project]\nrequires-python = ">=3.11"\ndependencies = ["prefect>=3.9.1,<3.10", "polars>=2.1", "rich>=15"]\n'
    )
    return file


def test_versions_are_what_the_project_asks_for(project: Path) -> None:
    assert versions({**THERE, "rich": "15.0"}.get, "3.11.7", project) == ok(
        "Python 3.11.7, prefect 3.9.1, polars 2.1.0"
    )
    assert versions({**THERE, "prefect": "3.10.0"}.get, "3.10.9", project) == problem(
        "Python 3.10.9, wanted >=3.11; prefect 3.10.0, wanted <3.10,>=3.9.1; rich is not installed, wanted >=15",
        "Install a newer Python, then run `make clean install` in Rollcall's folder."
        " Run `make clean install` in Rollcall's folder.",
    )


def test_the_versions_here() -> None:
    assert versions().state == "ok"


def test_the_home_folder(tmp_path: Path) -> None:
    home = tmp_path / "home"
    remedy = "Set ROLLCALL_HOME to the installation's folder. For a new installation, `rollcall migrate` makes it."
    assert home_folder(home) == problem(f"{home} does not exist", remedy)
    home.mkdir(mode=0o700)
    assert home_folder(home) == ok(str(home))
    home.chmod(0o755)
    assert home_folder(home) == problem(f"{home} has mode 0755: it holds personal data", f"Run `chmod 700 {home}`.")
    file = tmp_path / "file"
    file.touch()
    assert home_folder(file) == problem(f"{file} is not a folder", remedy)
    assert home_folder(Path("/proc")).found.startswith("/proc cannot be written (")


def test_disks_with_little_space(tmp_path: Path) -> None:
    folders = [tmp_path / "not" / "yet", tmp_path]
    assert disk_space(folders, lambda _: 10 * GIGABYTE) == ok(f"10 GB free for {folders[0]}")
    assert disk_space(folders, lambda _: 10 * GIGABYTE - 1) == warning(
        f"10.0 GB free for {folders[0]}", "Free some space, or use a larger disk."
    )
    assert disk_space(folders, lambda _: GIGABYTE - 1) == problem(
        f"1.0 GB free for {folders[0]}", "Free some space now: syncs fail on a full disk."
    )
    asked: list[Path] = []
    disk_space([folders[0], Path("/proc")], lambda folder: asked.append(folder) or 0)  # type: ignore[func-returns-value]
    assert asked == [tmp_path, Path("/proc")]


def test_a_mail_server_that_answers_gets_nothing_unless_it_is_asked_for() -> None:
    inbox = Inbox()
    with listening(inbox) as port:
        where = f"the mail server 127.0.0.1:{port}"

        def look(to: str | None) -> object:
            return mail(Server("127.0.0.1", port, SENDER, security="none", timeout=5), sender=SENDER, to=to, now=NOW)

        assert look(None) == ok(f"{where} is ready; nothing was sent")
        assert inbox.accepted == []
        assert look("ops@rollcall.example") == ok(f"{where} took a test message")
        ((recipients, content),) = inbox.accepted
        sent = message_from_bytes(content, policy=policy.default)
        assert (recipients, sent["Subject"], sent["From"]) == (
            ["ops@rollcall.example"],
            "Rollcall test message",
            SENDER,
        )
        inbox.refused["gone@rollcall.example"] = "550 no"
        assert look("gone@rollcall.example") == problem(
            f"{where} refuses the address of the test message (550)",
            "Check the address, and that the server accepts mail for it from ROLLCALL_MAIL_FROM.",
        )


def test_a_mail_server_that_is_not_there_or_refuses_us() -> None:
    port = free_port()
    where = f"the mail server 127.0.0.1:{port}"
    assert mail(Server("127.0.0.1", port, SENDER, security="none"), sender=SENDER, to=None, now=NOW) == problem(
        f"{where} does not answer, or broke off (ConnectionRefusedError)",
        "Check ROLLCALL_SMTP_HOST and ROLLCALL_SMTP_PORT, and the network in between.",
    )
    with listening(Inbox()) as port:
        where = f"the mail server 127.0.0.1:{port}"
        assert mail(
            Server("127.0.0.1", port, SENDER, "rollcall", SecretStr("secret"), security="none"),
            sender=SENDER,
            to=None,
            now=NOW,
        ) == problem(
            f"{where} does not offer what Rollcall needs (SMTP AUTH extension not supported by server), and nothing was"
            " sent",
            "See ROLLCALL_SMTP_SECURITY and ROLLCALL_SMTP_USER.",
        )


def test_a_mail_folder(tmp_path: Path) -> None:
    folder = tmp_path / "home" / "mail"
    assert mail(Folder(folder), sender=SENDER, to=None, now=NOW) == ok(
        f"the mail folder {folder} is ready; nothing was sent"
    )
    assert not folder.parent.exists()
    assert mail(Folder(folder), sender=SENDER, to="ops@rollcall.example", now=NOW) == ok(
        f"the mail folder {folder} took a test message"
    )
    assert len(list(folder.iterdir())) == 1
    assert mail(Folder(Path("/proc/mail")), sender=SENDER, to=None, now=NOW).found.startswith(
        "the mail folder /proc/mail cannot be written ("
    )


class Page(http.server.BaseHTTPRequestHandler):
    """Answers everything with a page that names Rollcall; /nobody/… is another program's."""

    body = b"<title>Sign in - Rollcall</title>"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None: ...


class OtherPage(Page):
    body = b"It works!"


class SlowClock(Page):
    """Its clock is an hour behind."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string(clock.now().timestamp() - 3600)


@contextmanager
def serving(page: type[Page], encrypted: ssl.SSLContext | None = None) -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), page) as server:
        if encrypted is not None:
            server.socket = encrypted.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"{'http' if encrypted is None else 'https'}://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_report() -> None:
    assert report("", None, now=NOW) == warning(
        "ROLLCALL_REPORT_URL is not set", "Set it to the report's address, so that mail can link to it."
    )
    with serving(Page) as url:
        assert report(url, None, now=NOW) == ok(f"{url} answers")
        assert report("", url, now=NOW) == warning(
            f"{url} answers, but ROLLCALL_REPORT_URL is not set",
            "Set it to the address that people open, so that mail can link to the report.",
        )
    assert report(url, None, now=NOW) == problem(
        f"{url} does not answer (ConnectError)",
        "Start the report with `rollcall report` or `rollcall up`, and check the proxy in front of it.",
    )
    with serving(OtherPage) as url:
        assert report(url, None, now=NOW) == problem(
            f"{url}/sign-in is not Rollcall's page (HTTP 200)",
            "Check ROLLCALL_REPORT_URL, and where the proxy in front of the report sends requests.",
        )


def test_the_certificate_of_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path)
    with serving(Page, authority.server_context("127.0.0.1")) as url:
        assert report(url, None, now=clock.now()) == problem(
            f"{url} shows a certificate that is not trusted (unable to get local issuer certificate)",
            "Renew the certificate, or let a trusted authority issue it for this name.",
        )
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        soon = clock.now() - timedelta(days=13)
        assert report(url, None, now=soon) == problem(
            f"{url} has a certificate for 13 more days only", "Renew the certificate."
        )
        assert report(url, None, now=soon - timedelta(days=1, hours=1)) == ok(
            f"{url} answers; its certificate is valid for 15 more days"
        )


def test_the_clock(postgresql_database: Database) -> None:
    def other() -> Database:
        return postgresql_database

    with serving(Page) as url:
        assert clocks(url, other, clock.now) == ok("as the database's and the Prefect server's")
        assert clocks(url, None, clock.now) == ok("as the Prefect server's")
    assert clocks(url, None, clock.now) == skipped("no other clock to compare with")
    with serving(SlowClock) as url:
        found = clocks(url, None, clock.now)
    assert (found.state, found.found.startswith("this machine's clock and the Prefect server's are 3")) == (
        "problem",
        True,
    )


def test_a_clock_beside_the_database(postgresql_database: Database) -> None:
    ahead = timedelta(seconds=60)
    assert clocks(None, lambda: postgresql_database, lambda: clock.now() + ahead) == problem(
        "this machine's clock and the database's are 60 seconds apart", "Set both by a time server (NTP)."
    )


def test_the_landing_area_in_a_folder(tmp_path: Path) -> None:
    area = LandingArea.of_folder(tmp_path / "landing")
    assert landing_area(area) == ok(f"{area.place} is made with the first delivery")
    area.scratch.mkdir(mode=0o700)
    assert landing_area(area) == ok(f"{area.place} can be written and read")
    area.scratch.chmod(0o750)
    assert landing_area(area) == problem(
        f"{area.place} has mode 0750: it holds personal data", f"Run `chmod 700 {area.place}`."
    )
    assert landing_area(LandingArea.of_folder(Path("/proc"))).found.startswith(
        "the landing area /proc cannot be written and read ("
    )
    assert list(area.scratch.iterdir()) == []


def test_the_landing_area_in_a_bucket(landing_on_s3: LandingArea) -> None:
    assert landing_area(landing_on_s3) == ok(f"{landing_on_s3.place} can be written and read")
    assert stored(landing_on_s3) == {}
    assert landing_area(replace(landing_on_s3, place="s3://nobodys/landing")) == problem(
        "the landing area s3://nobodys/landing cannot be written and read (FileNotFoundError)",
        "Check that the storage is up, that ROLLCALL_LANDING and ROLLCALL_LANDING_ENDPOINT are right, what the"
        f" credentials allow, and that there is space in {landing_on_s3.scratch}.",
    )
    bucket, files = landing_on_s3.place.split("/")[2], landing_on_s3._files
    files.call_s3("put_bucket_versioning", Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    assert landing_area(landing_on_s3) == warning(
        f"{landing_on_s3.place} can be written and read, but the bucket keeps old versions of what is deleted",
        "Turn versioning off, or let a lifecycle rule delete old versions after a few days.",
    )
