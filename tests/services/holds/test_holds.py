"""A hold from its opening over its replacements and confirmation to its release."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from contracts.roster import Settled
from errors import LeaseLost, NotFound, NotPossible
from models.database import Database
from models.tables import Run
from services.holds import holds, store
from services.holds.decisions import CONFIRM, RECHECK, choose, decide, uncovered
from services.holds.shown import shown
from services.intake.landing_area import LandingArea
from services.operations.housekeeping import clean
from services.planning.stored import read_scope
from services.sync import provision
from services.sync.provision import RunContext
from tests.conftest import Beginnings
from tests.services.settled import NOW, apply, begun_with, person, plan, settled

TEACHER = person(0, "employee", "t1", email="t1@unified.example")


def district(students: Sequence[int], elsewhere: Sequence[int] = (1, 2)) -> Settled:
    """One teacher; students of Lincoln, and of Adams."""
    here = [person(number + 1, "student", f"s{number}") for number in students]
    there = [person(number + 1001, "student", f"a{number}") for number in elsewhere]
    return settled(
        [TEACHER, *here, *there],
        [(0, "1"), (0, "2"), *[(row["person"], "1") for row in here], *[(row["person"], "2") for row in there]],
    )


BEGIN = begun_with(district(range(100)))


@pytest.fixture
def started(beginnings: Beginnings, kind: str) -> Iterator[Database]:
    with beginnings(kind, BEGIN) as database:
        yield database


def outcomes(database: Database, value: Settled, hours: int = 0) -> list[tuple[str, tuple[str, ...]]]:
    return [(one.outcome, one.reasons) for one in apply(database, value, now=NOW + timedelta(hours=hours))]


def open_ids(database: Database) -> list[int]:
    with database.reading() as session:
        return [hold.id for hold in store.open_holds(session)]


def confirm(database: Database, hold_id: int) -> None:
    with database.transaction() as session:
        decide(session, hold_id, CONFIRM, by="ops", now=NOW)


def active_students(database: Database) -> int:
    with database.reading() as session:
        return plan(session, district(range(100))).changesets[0].before.get("students", 0)


def test_too_many_removals_hold_one_school_and_write_nothing_of_it(started: Database) -> None:
    result = outcomes(started, district(range(50), elsewhere=(1, 2, 3)))
    assert result == [("on_hold", ("data_removals",)), ("applied", ())]
    assert active_students(started) == 100
    with started.reading() as session:
        (hold,) = store.open_holds(session, "unified")
        assert (hold.school_key, hold.codes, hold.reasons[0].counts) == (
            "lincoln",
            ["data_removals"],
            {"students": {"removed": 50, "before": 100, "limit_share": 0.1, "limit_count": 10}},
        )
        assert store.items_of(session, hold.id)["record_id"].to_list() == sorted(f"s{n}" for n in range(50, 100))


def test_the_same_set_keeps_the_hold_and_another_replaces_it(started: Database) -> None:
    outcomes(started, district(range(50)))
    (first,) = open_ids(started)
    outcomes(started, district(range(50)), hours=24)
    assert open_ids(started) == [first]
    outcomes(started, district(range(49)), hours=48)
    (second,) = open_ids(started)
    assert second != first
    with started.reading() as session:
        old, new = store.get_hold(session, first), store.get_hold(session, second)
        assert (old.ending, old.replaced_by) == ("replaced", second)
        assert (new.opened_at, new.reasons[0].since) == (NOW + timedelta(hours=48), NOW)


def test_a_page_shows_a_sample_and_what_confirming_would_remove(started: Database) -> None:
    outcomes(started, district(range(50)))
    with started.reading() as session:
        found = shown(session, *open_ids(started))
    (reason,) = found.reasons
    assert (reason.many, reason.counts) == (50, ("50 of 100 students would be removed (limit: 10% and 10)",))
    assert reason.evidence.select("type", "record_id").rows() == [("students", f"s{n}") for n in range(50, 70)]
    assert (found.removals, found.to_remove) == ((("students", 50),), 50)
    assert (dict(found.offered), found.not_synced) == ({"confirm-removals": "confirm_removals"}, None)
    assert (found.about("confirm_removals"), found.stays_for("confirm_removals")) == ([reason], [])
    assert (found.about("accept"), found.stays_for("accept")) == ([], [reason])


def test_a_page_offers_nothing_about_a_hold_that_is_over(started: Database) -> None:
    outcomes(started, district(range(50)))
    (first,) = open_ids(started)
    outcomes(started, district(range(49)), hours=1)
    with started.reading() as session:
        assert dict(shown(session, first).offered) == {}


def test_a_confirmation_applies_exactly_what_was_shown(started: Database) -> None:
    outcomes(started, district(range(50)))
    confirm(started, *open_ids(started))
    assert outcomes(started, district(range(50))) == [("applied", ()), ("unchanged", ())]
    assert (active_students(started), open_ids(started)) == (50, [])


def test_a_confirmation_covers_fewer_removals_too(started: Database) -> None:
    outcomes(started, district(range(50)))
    confirm(started, *open_ids(started))
    assert outcomes(started, district(range(60)))[0] == ("applied", ())
    assert active_students(started) == 60


def test_a_confirmation_that_no_longer_covers_leaves_the_hold_and_names_what_is_new(started: Database) -> None:
    outcomes(started, district(range(50)))
    (first,) = open_ids(started)
    confirm(started, first)
    assert outcomes(started, district(range(48)))[0] == ("on_hold", ("data_removals",))
    assert active_students(started) == 100
    (second,) = open_ids(started)
    with started.reading() as session:
        new = uncovered(store.items_of(session, second), store.items_of(session, first))
        assert new["record_id"].to_list() == ["s48", "s49"]


def test_an_older_holds_confirmation_confirms_its_own_set(started: Database) -> None:
    outcomes(started, district(range(40)))
    (first,) = open_ids(started)
    outcomes(started, district(range(50)))
    confirm(started, first)
    assert outcomes(started, district(range(50)))[0] == ("applied", ())


def test_a_replaced_hold_whose_evidence_is_removed_is_refused_and_the_open_one_named(
    started: Database, tmp_path: Path
) -> None:
    outcomes(started, district(range(40)))
    (first,) = open_ids(started)
    outcomes(started, district(range(50)), hours=1)
    (second,) = open_ids(started)
    clean(started, landing=LandingArea.of_folder(tmp_path), now=NOW + timedelta(days=31))
    said = (
        f"^hold {first} of Lincoln was replaced, and its evidence has been deleted since, so nobody can decide about it"
        f" anymore: decide about hold {second}, which is open now; `rollcall hold show {second}` shows it$"
    )
    with pytest.raises(NotPossible, match=said):
        confirm(started, first)
    with started.reading() as session:
        with pytest.raises(NotPossible, match=said):
            choose(session, CONFIRM, hold_ids=[second, first])
        assert [hold.id for hold in choose(session, RECHECK, hold_ids=[first])] == [first]
    confirm(started, second)
    assert outcomes(started, district(range(50)), hours=32 * 24)[0] == ("applied", ())


def test_a_missing_school_that_showed_nothing_else_is_decided_about_whatever_is_removed(
    started: Database, tmp_path: Path
) -> None:
    with started.transaction() as session:
        holds.add_reason(session, ["unified/lincoln"], "school_missing", run_id=None, now=NOW)
        holds.add_reason(session, ["unified/lincoln"], "file_errors", run_id=None, now=NOW)
    (second,) = open_ids(started)
    clean(started, landing=LandingArea.of_folder(tmp_path), now=NOW + timedelta(days=31))
    confirm(started, second - 1)


def test_a_delivery_within_the_limits_releases_by_itself(started: Database) -> None:
    outcomes(started, district(range(50)))
    assert outcomes(started, district(range(100)))[0] == ("unchanged", ())
    assert open_ids(started) == []


def decisions(database: Database, hold_id: int) -> list[tuple[int, str, str, str | None]]:
    with database.reading() as session:
        return [(each.hold_id, each.verb, each.by, each.why) for each in store.get_hold(session, hold_id).decisions]


def test_what_was_decided_about_the_holds_it_replaced_is_reported_a_hold(started: Database) -> None:
    made = []
    for here in (40, 45, 50):
        outcomes(started, district(range(here)))
        made += open_ids(started)
    first, second, third = made
    with started.transaction() as session:
        decide(session, second, RECHECK, by="ops", why="on the phone with them", now=NOW)
        decide(session, first, CONFIRM, by="lee", why="the year is over", now=NOW)
    early = (second, "recheck", "ops", "on the phone with them")
    final = (first, "confirm", "lee", "the year is over")
    assert [decisions(started, hold) for hold in made] == [[final], [early, final], [early, final]]
    assert outcomes(started, district(range(50)))[0] == ("applied", ())
    assert decisions(started, third) == [early, final]
    # What was decided before a release is not about what holds later.
    outcomes(started, district(range(20)))
    assert decisions(started, *open_ids(started)) == []


def test_a_used_confirmation_covers_nothing_later(started: Database) -> None:
    outcomes(started, district(range(50)))
    confirm(started, *open_ids(started))
    outcomes(started, district(range(50)))
    outcomes(started, district(range(100)))
    assert outcomes(started, district(range(50)))[0] == ("on_hold", ("data_removals",))


def test_what_cannot_be_confirmed_is_refused(started: Database) -> None:
    with started.transaction() as session:
        holds.add_reason(session, ["unified/lincoln"], "file_errors", run_id=None, now=NOW)
    (only,) = open_ids(started)
    with started.transaction() as session:
        with pytest.raises(NotPossible, match="has no removals or changes to confirm"):
            decide(session, only, CONFIRM, by="ops", now=NOW)
        with pytest.raises(NotFound, match="there is no hold 999"):
            decide(session, 999, CONFIRM, by="ops", now=NOW)
        holds.release(session, "unified/lincoln", now=NOW)
        with pytest.raises(NotPossible, match="already released"):
            decide(session, only, CONFIRM, by="ops", now=NOW)


def test_reasons_come_and_go_and_the_set_goes_on(started: Database) -> None:
    outcomes(started, district(range(50)))
    with started.transaction() as session:
        holds.add_reason(session, ["unified/lincoln", "unified/adams"], "file_errors", run_id=None, now=NOW)
        found = {hold.school_key: hold for hold in store.open_holds(session)}
        assert {key: hold.codes for key, hold in found.items()} == {
            "adams": ["file_errors"],
            "lincoln": ["data_removals", "file_errors"],
        }
        assert store.items_of(session, found["lincoln"].id).height == 50
        holds.drop_reasons(session, ["unified/lincoln", "unified/adams"], ["file_errors"], run_id=1, now=NOW)
        assert [(hold.school_key, hold.codes) for hold in store.open_holds(session)] == [("lincoln", ["data_removals"])]


def test_a_missing_school_holds_and_is_released_when_it_is_back(started: Database) -> None:
    gone = replace(district(range(100), elsewhere=()), missing_schools=("2",))
    assert outcomes(started, gone)[1] == ("on_hold", ("data_removals", "school_missing"))
    assert outcomes(started, district(range(100)))[1] == ("unchanged", ())
    assert open_ids(started) == []


def test_a_run_that_was_ended_can_write_nothing_more(started: Database) -> None:
    with started.transaction() as session:
        run = Run(district_id="unified", source_id="unified/files", started_at=NOW, heartbeat_at=NOW, ended_at=NOW)
        session.add(run)
        session.flush()
        assert run.id is not None
        of = RunContext(run.id, 1, read_scope(session, "unified/files"), {})
        (changes, _) = plan(session, district(range(99))).changesets
    with pytest.raises(LeaseLost), started.transaction() as session:
        provision.provision_school(session, of, changes, now=NOW)
    assert active_students(started) == 100
