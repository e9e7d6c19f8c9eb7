"""A request to inspect a person shows all of theirs and nothing of anybody else, where it came from, and who looked."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from errors import NotFound
from models.tables import AuditEntry
from services import clock
from services.access import audit
from services.intake.landing_area import LandingArea
from services.operations import inspecting
from tests.end_to_end.conftest import Installation
from tests.end_to_end.test_erasing import MINE, THEIRS, files
from tests.markers import rows

Files = Callable[..., dict[str, bytes]]


def test_everything_of_a_person_and_nobody_elses(installation: Installation, csv_files: Files) -> None:
    installation.set_up(mine={"lincoln": "1", "adams": "2"}, theirs={"lincoln": "1", "adams": "2"})
    for district, marks in (("mine", MINE), ("theirs", THEIRS)):
        installation.send(files(csv_files, *marks), district)
        installation.night(district)
    database, now = installation.database, clock.now()
    sql = "SELECT id, account_id FROM link WHERE external_id = 's1' AND source_id = 'mine/files'"
    ((link_id, account_id),) = rows(database, sql)
    looks = (("person", str(link_id), "mine/lincoln"), ("other", "another", "mine/lincoln"))
    with database.transaction() as session:
        for actor, subject, school in (*looks, ("page", None, "mine/lincoln"), ("elsewhere", None, "mine/adams")):
            action = audit.Action.PEOPLE_VIEWED
            audit.record(session, action, actor=actor, at=now, district_id="mine", school_id=school, subject=subject)
    area = LandingArea.of_folder(installation.folder / "landing")
    with database.reading() as session:
        found = inspecting.inspect(session, "mine", "s1", area)
        parent = inspecting.inspect(session, "mine", "g5", area)
        with pytest.raises(NotFound, match="nobody in district mine has this ID"):
            inspecting.inspect(session, "mine", "nobody", area)
        assert session.get(AuditEntry, 1) is not None
    assert (found["account"]["id"], found["account"]["first_name"]) == (account_id, "zzminelee")
    assert [(record["external_id"], record["email"]) for record in found["records"]] == [
        ("s1", "zzmines@schools.example")
    ]
    assert [place["name"] for place in found["schools"]] == ["lincoln"]
    assert [each["name"] for each in found["classes"]] == ["zzmineart"]
    assert [each["name"] for each in found["guardians"]] == ["zzminemother Moss"]
    assert [(change["action"], change["delivery_id"]) for change in found["changes"]] == [("create", 1)]
    assert [(each["delivery"], each["file"], each["line"]) for each in found["received"]] == [(1, "students.csv", 2)]
    assert [(each["by"], each["about"]) for each in found["seen_by"]] == [
        ("person", "the person"),
        ("page", "the school"),
    ]
    told = json.dumps(found, default=str)
    assert [
        other for other in ("zzminekim", "zzmineann", "zztheirs", "Zzshared", "zzminenameless") if other in told
    ] == []
    # Of an account that both districts have, only what this one said.
    assert set(parent["account"]) == {"id", "role", "shared"}
    assert parent["account"]["shared"]
    assert [each["name"] for each in parent["children"]] == ["zzmineann Hill", "zzminekim Reed"]
    assert [(each["delivery"], each["file"], each["line"]) for each in parent["received"]] == [
        (1, "students.csv", 3),
        (1, "students.csv", 4),
    ]
