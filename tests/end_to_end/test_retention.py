"""Who was archived long ago is anonymized on the day, and not before; and whoever returns has their account again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from errors import SetupError
from models import bulk
from services import clock
from services.intake.landing_area import LandingArea
from services.operations import retention
from services.operations.housekeeping import clean
from services.operations.retention import Due, Policy
from services.planning.recognition import OTHER_SECRET, IdSecret
from services.sync import leases
from tests.end_to_end.conftest import Installation
from tests.end_to_end.nights import play
from tests.markers import rows, tables_with

Files = Callable[..., dict[str, bytes]]
DAY = timedelta(days=1)
ADA = ("t1", "1", "Ada", "Stone", "ada@schools.example")
GUARDIAN = ("g7", "Gmarker", "Moss", "gmarker@home.example", "2065550107")
LEAVER = ("s7", "1", "Lmarker", "Moss", "lmarker@schools.example", *GUARDIAN)
STAYS = ("s1", "1", "Kim", "Reed", "kim@schools.example", "g1", "Pat", "Reed", "pat@home.example", "")
CLASS = ("c1", "1", "Art", "t1")
MARKERS = ("marker", "2065550107", "g7", "s7")


def files(csv_files: Files, *students: tuple[str, ...]) -> dict[str, bytes]:
    enrolled = [("c1", row[0]) for row in students]
    return csv_files([ADA], students, [CLASS], enrolled)


def night(installation: Installation, sent: dict[str, bytes], secret: IdSecret | None) -> None:
    installation.send(sent)
    play(installation.database, installation.folder / "landing", id_secret=secret)


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    return Policy(13, IdSecret(tmp_path / "home" / "id-secret"))


@pytest.fixture
def left(installation: Installation, csv_files: Files, policy: Policy) -> Installation:
    """A student and their guardian came, and are archived."""
    installation.set_up(unified={"lincoln": "1"})
    night(installation, files(csv_files, STAYS, LEAVER), policy.secret)
    night(installation, files(csv_files, STAYS), policy.secret)
    assert "link" in tables_with(installation.database, "lmarker")
    return installation


def leave_at(installation: Installation, at: datetime) -> None:
    """Have whoever is archived be so since then."""
    with installation.database.transaction() as session:
        for table in ("link", "account"):
            bulk.execute(session, f"UPDATE {table} SET archived_at = :at WHERE archived_at IS NOT NULL", {"at": at})


def clean_at(installation: Installation, policy: Policy, at: datetime) -> int:
    area = LandingArea.of_folder(installation.folder / "landing")
    return clean(installation.database, landing=area, now=at, policy=policy).people


@pytest.mark.parametrize(
    ("archived", "day"),
    [
        ("2025-10-15T06:15:00+00:00", "2026-11-15T06:15:00+00:00"),
        # Months have different lengths: the last day of February is a month after January 31.
        ("2025-01-31T06:15:00+00:00", "2026-02-28T06:15:00+00:00"),
    ],
)
def test_people_are_anonymized_on_the_day_and_not_before(
    left: Installation, policy: Policy, archived: str, day: str
) -> None:
    at = datetime.fromisoformat(day)
    leave_at(left, datetime.fromisoformat(archived))
    with left.database.reading() as session:
        assert retention.due(session, "unified", months=13, now=at - DAY) == Due("unified", 2, 0, 0, 2, at)
    before = rows(left.database, "SELECT * FROM link ORDER BY id")
    assert clean_at(left, policy, at - DAY) == 0
    assert clean_at(left, policy, at - timedelta(seconds=1)) == 0
    assert rows(left.database, "SELECT * FROM link ORDER BY id") == before
    assert clean_at(left, policy, at) == 2
    assert clean_at(left, policy, at + DAY) == 0
    assert tables_with(left.database, *MARKERS) == []
    with left.database.reading() as session:
        assert retention.due(session, "unified", months=13, now=at + DAY) == Due("unified", 2, 2, 0, 0, None)


def test_only_the_archived_are_anonymized(left: Installation, policy: Policy) -> None:
    there = "SELECT external_id, first_name, email FROM link WHERE archived_at IS NULL ORDER BY external_id"
    before = rows(left.database, there)
    clean_at(left, policy, clock.now() + 400 * DAY)
    assert rows(left.database, there) == before
    assert len(before) == 3


def test_an_id_is_kept_as_a_keyed_hash_only(left: Installation, policy: Policy) -> None:
    clean_at(left, policy, clock.now() + 400 * DAY)
    kept = rows(
        left.database,
        "SELECT l.kind, l.id_hashes, l.external_id, l.guardian_ids, l.first_name, l.last_name, l.email, l.phone,"
        " a.first_name, a.last_name, a.email, a.phone FROM link l JOIN account a ON a.id = l.account_id"
        " WHERE l.archived_at IS NOT NULL ORDER BY l.kind",
    )
    nothing = (None,) * 10
    assert kept == [
        ("guardian", policy.secret.hashed("unified/files", "guardian", "g7"), *nothing),
        ("student", policy.secret.hashed("unified/files", "student", "s7"), *nothing),
    ]
    assert (policy.secret.file.stat().st_mode & 0o777) == 0o600


def test_who_returns_is_recognized_and_has_their_account_again(
    left: Installation, csv_files: Files, policy: Policy
) -> None:
    sql = (
        "SELECT l.kind, l.id, l.account_id, l.external_id, l.id_hashes, a.first_name, a.email, a.archived_at"
        " FROM link l JOIN account a ON a.id = l.account_id WHERE l.kind <> 'employee' ORDER BY l.id"
    )
    counted = rows(left.database, "SELECT count(*) FROM account")
    before = {row[:3] for row in rows(left.database, sql)}
    clean_at(left, policy, clock.now() + 400 * DAY)
    # Under the same ID, with another name even: nothing is left that it could contradict.
    back = ("s7", "1", "Lou", "Marsh", "lou@schools.example", "g7", "Gail", "Marsh", "gail@home.example", "")
    night(left, files(csv_files, STAYS, back), policy.secret)
    after = rows(left.database, sql)
    assert {row[:3] for row in after} == before
    assert rows(left.database, "SELECT count(*) FROM account") == counted
    assert sorted((str(row[0]), *row[3:]) for row in after) == [
        ("guardian", "g1", None, "Pat", "pat@home.example", None),
        ("guardian", "g7", None, "Gail", "gail@home.example", None),
        ("student", "s1", None, "Kim", "kim@schools.example", None),
        ("student", "s7", None, "Lou", "lou@schools.example", None),
    ]
    members = "SELECT count(*) FROM {} m JOIN link l ON l.id = m.{} WHERE l.external_id = '{}' AND m.active"
    assert rows(left.database, members.format("school_membership", "link_id", "s7")) == [(1,)]
    assert rows(left.database, members.format("class_membership", "link_id", "s7")) == [(1,)]
    assert rows(left.database, members.format("guardianship", "guardian_link_id", "g7")) == [(1,)]


def test_with_another_secret_nobody_is_anonymized_and_a_note_says_who_is_not_recognized(
    left: Installation, csv_files: Files, policy: Policy, tmp_path: Path
) -> None:
    clean_at(left, policy, clock.now() + 400 * DAY)
    other = Policy(13, IdSecret(tmp_path / "other", "x" * 32))
    night(left, files(csv_files, STAYS, LEAVER), other.secret)
    with left.database.reading() as session:
        noted = [run.notes or [] for run in leases.runs_of(session, "unified")]
    assert OTHER_SECRET in noted[0]
    assert rows(left.database, "SELECT count(*) FROM link WHERE external_id = 's7'") == [(1,)]
    night(left, files(csv_files, STAYS), other.secret)
    with pytest.raises(SetupError, match="hashed with another secret"):
        clean_at(left, other, clock.now() + 400 * DAY)


def test_what_a_silent_source_sent_goes_with_its_last_delivery(
    installation: Installation, csv_files: Files, policy: Policy
) -> None:
    installation.set_up(unified={"lincoln": "1"})
    nameless = ("s9", "1", "", "Xmarker", "", "", "", "", "", "")
    night(installation, files(csv_files, STAYS, nameless), policy.secret)
    assert tables_with(installation.database, "xmarker") == ["issue"]
    clean_at(installation, policy, clock.now() + 300 * DAY)
    assert tables_with(installation.database, "xmarker") == ["issue"]
    clean_at(installation, policy, clock.now() + 400 * DAY)
    assert tables_with(installation.database, "xmarker") == []


def test_the_secret_is_made_once_and_shown_by_no_representation(tmp_path: Path) -> None:
    first = IdSecret(tmp_path / "new" / "id-secret")
    assert not first.exists
    assert first.value == IdSecret(first.file).value
    assert len(first.value) == 64
    assert first.exists
    given = IdSecret(tmp_path / "unused", "s" * 32)
    assert (given.value, given.exists, given.file.exists()) == (b"s" * 32, True, False)
    assert "sss" not in repr(given)
    assert given.hashed("a", "student", "1") != given.hashed("b", "student", "1")
