"""A run's mail: one for the district, whatever is held, and none if there is no news."""

from __future__ import annotations

import logging
from email import message_from_bytes, policy

import pytest

from flows.housekeeping import housekeeping
from flows.sync_district import sync_district
from models.tables import Source
from sandbox.generator import District
from tests.flows.conftest import Installation, Server, ran, rollcall
from tests.flows.test_privacy import everything_prefect_kept
from tests.services.mail.test_outbox import Inbox, listening


def subjects(installation: Installation) -> list[str]:
    files = sorted((installation.home / "mail").glob("*.eml"))
    return [str(message_from_bytes(file.read_bytes(), policy=policy.default)["Subject"]) for file in files]


def test_a_run_leaves_one_mail_for_its_district(installation: Installation, small_district: District) -> None:
    installation.drop(small_district)
    ran(sync_district("unified", now=True, return_state=True))
    assert subjects(installation) == []
    (installation.home / "drop" / "classes.csv").write_text("class_id\nc1\n")
    installation_files = [file for file in (installation.home / "drop").iterdir() if file.name != "classes.csv"]
    for file in installation_files:
        file.write_text(file.read_text())
    ran(sync_district("unified", now=True, return_state=True))
    held = "3 schools on hold, files could not be used: Unified School District"
    assert subjects(installation) == [held]
    installation.drop(small_district)
    ran(sync_district("unified", now=True, return_state=True))
    assert subjects(installation) == [held, "3 schools no longer on hold: Unified School District"]


def test_a_maintenance_pause_is_mailed_when_it_begins_and_when_it_is_over_once_each(
    installation: Installation,
) -> None:
    with installation.database.transaction() as session:
        source = session.get_one(Source, "unified/files")
        source.kind, source.format, source.pausable = "clever", "clever-3", True
    assert rollcall("pause", "--reason", "new servers").exit_code == 0
    begun = "Clever sync paused for maintenance: Unified School District"
    assert subjects(installation) == [begun]
    assert ran(housekeeping(return_state=True)).name == "Cleaned"
    assert subjects(installation) == [begun]
    assert rollcall("resume").exit_code == 0
    over = "Clever sync resumed after maintenance: Unified School District"
    assert subjects(installation) == [begun, over]
    assert ran(housekeeping(return_state=True)).name == "Cleaned"
    assert subjects(installation) == [begun, over]


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged, tracebacks included, by anybody but the mail server."""
    form = logging.Formatter()
    return [form.format(record) for record in caplog.records if not record.name.startswith("mail.log")]


def test_a_mail_that_cannot_be_sent_is_reported_by_the_task_and_quotes_nobody(
    installation: Installation,
    small_district: District,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    prefect_server: Server,
) -> None:
    inbox = Inbox()
    inbox.refused = {"it@unified.example": "451 it@unified.example is not known yet"}
    installation.drop(small_district)
    (installation.home / "drop" / "classes.csv").write_text("class_id\nc1\n")
    monkeypatch.setenv("ROLLCALL_MAIL_FROM", "sync@rollcall.example")
    monkeypatch.setenv("ROLLCALL_SMTP_HOST", "127.0.0.1")
    monkeypatch.setenv("ROLLCALL_SMTP_SECURITY", "none")
    with listening(inbox) as port, caplog.at_level(logging.DEBUG):
        monkeypatch.setenv("ROLLCALL_SMTP_PORT", str(port))
        assert ran(sync_district("unified", now=True, return_state=True)).name == "Rejected"
        waits = "; last answer: refused for 1 of 1 recipient (451): administrators entry 1 in the setup file"
        ended = (
            "Finished in state Mail not sent('emails composed: 1, sent: 0, refused: 1; 1 email has been waiting since "
        )
        assert [line for line in logged(caplog) if line.startswith(ended) and waits in line]
        assert [
            line
            for line in logged(caplog)
            if line.startswith("1 email has been waiting since ") and line.endswith(waits)
        ]
        inbox.refused, inbox.on_sender = {}, "550 sync@rollcall.example is not known to it@unified.example"
        ran(sync_district("unified", return_state=True))
        refused = f"the mail server 127.0.0.1:{port} refuses the sender (ROLLCALL_MAIL_FROM) (550)"
        failed = f"Finished in state Failed('Task run encountered an exception MailRefused: {refused}'"
        assert [line for line in logged(caplog) if line.startswith(failed)]
        inbox.on_sender = "250 OK"
        ran(sync_district("unified", return_state=True))
        assert "emails composed: 0, sent: 1, refused: 0" in logged(caplog)
    seen = "\n".join([*logged(caplog), everything_prefect_kept(prefect_server)])
    assert [said for said in ("it@unified.example", "sync@rollcall.example", "not known") if said in seen] == []
