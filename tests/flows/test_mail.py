"""A run's mail: one for the district, whatever is held, and none where nothing is to be told."""

from __future__ import annotations

from email import message_from_bytes, policy

from flows.sync_district import sync_district
from sandbox.generator import District
from tests.flows.conftest import Installation, ran


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
