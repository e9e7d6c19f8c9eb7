"""A run that is killed between holding a school and sending its mail: the mail is still sent, and once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email import policy
from email.parser import BytesParser
from pathlib import Path

import pytest

from models import bulk
from models.database import open_database
from sandbox.generator import generate
from services.holds import store
from services.mail import outbox
from services.mail.smtp import Folder
from services.operations.setup import apply_setup, read_setup
from tests.end_to_end.kills import Home
from tests.end_to_end.nights import play
from tests.setups import SETUP

pytestmark = pytest.mark.journeys


def test_a_mail_survives_a_kill_after_the_hold_and_is_sent_once(tmp_path: Path) -> None:
    base = Home(tmp_path / "base")
    base.make()
    district = generate(3, schools=3, students=60, teachers=9, classes=18, enrollments=150)
    district.write(base.folder / "drop")
    setup = base.folder / "setup.toml"
    setup.write_text(SETUP)
    with open_database(base.url, backups=None) as database:
        with database.transaction() as session:
            apply_setup(session, read_setup(setup))
        play(database, base.landing)
    students = base.folder / "drop" / "students.csv"
    students.write_bytes(students.read_bytes().splitlines(keepends=True)[0])
    for file in (base.folder / "drop").iterdir():
        file.write_bytes(file.read_bytes())

    reference = base.copy("reference")
    steps = len(reference.night(0).steps)
    for kill_at in (steps - 2, steps - 1, steps):
        home = base.copy(f"killed-{kill_at}")
        assert home.night(kill_at).returncode == 9
        transport = Folder(home.folder / "mail")
        now = datetime.now(UTC)
        with open_database(home.url, backups=None) as database:
            with database.transaction() as session:
                assert len(store.open_holds(session)) == 3
                long_ago = now - timedelta(minutes=10)
                bulk.execute(session, "UPDATE run SET heartbeat_at = :at WHERE ended_at IS NULL", {"at": long_ago})
            for _ in range(2):
                outbox.deliver(database, transport, sender="rollcall@operator.example", now=now)
        (sent,) = (home.folder / "mail").glob("*.eml")
        mail = BytesParser(policy=policy.default).parsebytes(sent.read_bytes())
        assert (mail["To"], mail["Subject"]) == ("it@unified.example", "3 schools on hold: Unified School District")
