"""The report over districts that are set up and have no roster yet: who signs in, and how."""

from __future__ import annotations

import email
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default

import httpx
from sqlmodel import col, select

from models.database import Database
from models.tables import AuditEntry
from report.serving import served
from services import clock
from services.access import sessions
from services.operations.setup import apply_setup, read_setup
from settings import Settings

OPERATOR = "ops@rollcall.example"
IT, OFFICE, COAST = "it@unified.example", "office@lincoln.example", "it@coast.example"

SETUP = f"""
[[district]]
id = "unified"
name = "Unified School District"
timezone = "America/Los_Angeles"
administrators = ["{IT}"]

[[district.school]]
id = "lincoln"
name = "Lincoln High School"
administrators = ["{OFFICE}"]

[[district]]
id = "coast"
name = "Coast District"
timezone = "America/New_York"
administrators = ["{COAST}"]
"""

SAME_SITE = {"Sec-Fetch-Site": "same-origin", "Accept": "text/html"}


@dataclass
class Site:
    """A server of the report, and what came of what was asked of it."""

    address: str
    database: Database
    settings: Settings
    _opened: list[httpx.Client] = field(default_factory=list)

    def browser(self, email: str | None = None) -> httpx.Client:
        """A browser, signed in as somebody."""
        client = httpx.Client(base_url=self.address, headers=SAME_SITE)
        if email is not None:
            with self.database.transaction() as session:
                client.cookies.set("rollcall", sessions.begin(session, email, "link", now=clock.now()))
        self._opened.append(client)
        return client

    def mails(self, count: int = 1) -> list[EmailMessage]:
        """The mails sent so far, oldest first, once there are so many."""
        self.until(lambda: len(list(self.settings.mail_folder.glob("*.eml"))) >= count)
        files = sorted(self.settings.mail_folder.glob("*.eml"), key=lambda file: file.name)
        found = [email.message_from_bytes(file.read_bytes(), policy=default) for file in files]
        return [mail for mail in found if isinstance(mail, EmailMessage)]

    def audited(self, count: int = 0) -> list[tuple[str, str, str | None, str | None]]:
        """What the audit log holds, oldest first, once there is so much: who, what, district, detail."""

        def read() -> list[AuditEntry]:
            with self.database.reading() as session:
                return list(session.exec(select(AuditEntry).order_by(col(AuditEntry.id))))

        self.until(lambda: len(read()) >= count)
        return [(entry.actor, entry.action, entry.district_id, entry.detail) for entry in read()]

    def until(self, there: Callable[[], bool]) -> None:
        """Wait for what is done in the background."""
        deadline = time.monotonic() + 10
        while not there():
            assert time.monotonic() < deadline, "it never came"
            time.sleep(0.02)

    def set_up(self, text: str) -> None:
        """Bring another setup into the database."""
        file = self.settings.home / "setup.toml"
        file.write_text(text)
        with self.database.transaction() as session:
            apply_setup(session, read_setup(file))

    def close(self) -> None:
        for client in self._opened:
            client.close()


@contextmanager
def site_over(database: Database, settings: Settings, setup: str = SETUP) -> Iterator[Site]:
    """Serve the report over what a setup file says."""
    with served(database, settings, keep=0) as address:
        site = Site(address, database, settings.model_copy(update={"report_url": address}))
        site.set_up(setup)
        try:
            yield site
        finally:
            site.close()


def text_of(mail: EmailMessage, kind: str = "plain") -> str:
    """The text of a mail, as plain text or HTML."""
    body = mail.get_body((kind,))
    assert body is not None
    content: str = body.get_content()
    return content


def link_in(mail: EmailMessage) -> str:
    """The link's address in a mail, without the host."""
    found = re.search(r"https?://[^/\s]+(/sign-in/link\?\S+)", text_of(mail))
    assert found is not None
    return found[1]


def code_in(mail: EmailMessage) -> str:
    """The code in a mail."""
    found = re.search(r"\b\d{6}\b", text_of(mail))
    assert found is not None
    return found[0]


def token_in(address: str) -> str:
    """The token in a link's address."""
    return address.partition("token=")[2].partition("&")[0]
