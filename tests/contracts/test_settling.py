import random
from collections.abc import Callable, Mapping
from datetime import date
from functools import cache
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from contracts import roster
from contracts.checking import RECORDS
from contracts.guardians import IDENTIFIED, identify
from contracts.roster import SETTLED_TABLES, Settled, StoredRoster, schema_of
from contracts.settling import settle
from sandbox import csv_files
from sandbox.faults import FAULTS, plant
from sandbox.generator import generate
from tests.contracts.district import (
    Files,
    account,
    checked,
    guardian_of,
    kept,
    link,
    one,
    pairs,
    settled,
    stored,
    student,
    teacher,
    who,
)


@pytest.mark.parametrize("held", [stored(), stored(link("L1", "student", "S1"), link("L2", "guardian", "G1"))])
def test_the_frames_have_their_schemas_empty_or_not(held: StoredRoster) -> None:
    for files in (Files(), Files([], [], [], [], []), Files(guardianless().schools, students=guardianless().students)):
        records = checked(files)
        stages: list[tuple[object, Mapping[str, roster.Schema]]] = [
            (records, RECORDS),
            (identify(records.entries, records.left_out, held, records.absent), IDENTIFIED),
            (settle(records, held), {name: schema_of(table) for name, table in SETTLED_TABLES.items()}),
        ]
        for frames, schemas in stages:
            assert {name: dict(getattr(frames, name).schema) for name in schemas} == {
                name: dict(schema) for name, schema in schemas.items()
            }
            assert schemas.keys() == {name for name, each in vars(frames).items() if isinstance(each, pl.DataFrame)}


def guardianless() -> Files:
    return Files(students=[student("S1", guardian=dict.fromkeys(guardian_of(), ""))])


def test_people_are_numbered_by_what_they_are() -> None:
    found = settled(Files().with_teacher(teacher("T0")).with_student(student("S0", guardian=guardian_of("G0"))))
    assert found.people.select("person", "external_id").rows() == list(enumerate(["T0", "T1", "S0", "S1", "G0", "G1"]))


# --- links ---


def test_people_are_found_by_their_id_active_or_archived() -> None:
    known = stored(
        link("L1", "employee", "T1"), link("LS1", "student", "S1", active=False), link("L9", "student", "T1")
    )
    found = settled(Files(), known)
    assert [one(found, name, "link_id") for name in ("T1", "S1", "G1")] == ["L1", "LS1", None]
    assert found.seen_links["link_id"].to_list() == ["L1", "LS1"]


def test_links_of_other_sources_are_nobodys() -> None:
    found = settled(Files(), stored(link("L1", "employee", "T1", from_this_source=False)))
    assert one(found, "T1", "link_id") is None
    assert found.seen_links.rows() == []


OTHER = {"first_name": "Bo", "last_name": "Other"}


@pytest.mark.parametrize(
    ("was", "is_another"),
    [
        (OTHER, True),
        (OTHER | {"active": False}, True),
        ({"first_name": "Bo"}, False),
        ({"last_name": "Other"}, False),
        ({"first_name": "Bo", "last_name": None}, False),
        (OTHER | {"email": "s2@unified.example"}, False),
        (OTHER | {"birth_date": date(2014, 9, 3)}, False),
        (OTHER | {"birth_date": date(2014, 9, 4)}, True),
        ({"first_name": " STU2", "last_name": "dent2"}, False),
    ],
)
def test_the_same_id_with_both_names_different_and_nothing_in_common_is_another_person(
    was: dict[str, Any], is_another: bool
) -> None:
    files = Files().with_student(student("S2", email="s2@unified.example"))
    found = settled(files, stored(link("LS2", "student", "S2", **was)))
    assert one(found, "S2", "link_id") == (None if is_another else "LS2")
    assert found.seen_links["link_id"].to_list() == [] if is_another else ["LS2"]
    assert kept(found, "school_members") == []


def test_a_guardian_in_common_is_the_same_student() -> None:
    files = Files().with_student(student("S2"))
    known = stored(
        link("LS2", "student", "S2", **OTHER),
        link("LG2", "guardian", "G2", email="g2@mail.example"),
        guardianships=[("LS2", "LG2")],
    )
    assert one(settled(files, known), "S2", "link_id") == "LS2"
    apart = StoredRoster(known.links, known.guardianships.clear(), known.classes, known.accounts)
    assert one(settled(files, apart), "S2", "link_id") is None


def test_another_person_adopts_and_claims_as_a_newcomer() -> None:
    files = Files().with_teacher(teacher("T2"))
    known = stored(
        link("L2", "employee", "T2", email="old@unified.example", **OTHER),
        accounts=[account("A9", "teacher", email="t2@unified.example")],
    )
    found = settled(files, known)
    assert one(found, "T2", "link_id", "adopts") == (None, "A9")
    assert found.issues.rows() == []


def test_a_rejected_record_never_gives_an_id_to_another_person() -> None:
    files = Files().with_teacher(teacher("T2", email=""))
    found = settled(files, stored(link("L2", "employee", "T2", **OTHER)))
    assert found.seen_links["link_id"].to_list() == ["L2"]
    # Rejected only once it is known whose email it is.
    files = Files().with_teacher(teacher("T2", email="t1@unified.example"))
    found = settled(files, stored(link("L2", "employee", "T2", **OTHER)))
    assert who(found) == ["T1", "S1", "G1"]
    assert found.seen_links["link_id"].to_list() == ["L2"]
    assert kept(found, "school_members") == [("L2", None)]


# --- the order of rows ---


def _content(value: Settled) -> dict[str, list[Any]]:
    """Everything settled, but for lines."""
    frames = {name: getattr(value, name) for name in SETTLED_TABLES}
    return {
        name: sorted(frame.drop("file", "line", "row", "other_rows", strict=False).rows(), key=repr)
        for name, frame in frames.items()
    }


def _shuffled(files: dict[str, bytes], seed: int) -> dict[str, bytes]:
    shuffled = {}
    for name, content in files.items():
        header, *rows = content.decode().splitlines()
        random.Random(f"{seed} {name}").shuffle(rows)
        shuffled[name] = ("\n".join([header, *rows]) + "\n").encode()
    return shuffled


def _held_from(value: Settled, keep: Callable[[int], bool]) -> StoredRoster:
    """What a database holds after a delivery, some of the people archived."""
    named = value.people.with_columns(
        link_id=pl.format("L{}", pl.col("person")),
        account_id=pl.format("A{}", pl.col("person")),
        from_this_source=pl.col("person") % 11 != 0,
        former=pl.lit(False),
        moving=pl.lit(False),
        beyond=pl.lit(False),
        active=pl.Series([keep(number) for number in value.people["person"]], dtype=pl.Boolean),
        left=pl.lit(False),
        gone=pl.lit(False),
        external_id=pl.coalesce("external_id", pl.format("drawn-{}", pl.col("person"))),
    )
    return StoredRoster(
        named.select(list(roster.STORED_LINKS)),
        value.guardianships.select(
            "relationship",
            "type",
            student_link_id=pl.format("L{}", pl.col("student")),
            guardian_link_id=pl.format("L{}", pl.col("guardian")),
        ).select(list(roster.STORED_GUARDIANSHIPS)),
        value.classes.select(list(roster.STORED_CLASSES)),
        roster.empty(roster.STORED_ACCOUNTS),
    )


DISTRICT = generate(students=60, seed=5)
FAULTY = dict(plant(DISTRICT, dict.fromkeys(FAULTS, 1) | {"email_taken": 3, "guardian_names_differ": 3}).files)
EARLIER = settled(DISTRICT.csv_files())


THERE = csv_files.write_rows(csv_files.rows(DISTRICT), csv_files.CsvStyle())
assert set(THERE) == set(FAULTY)


@cache
def as_it_comes(faulty: bool, archived: int) -> tuple[StoredRoster, dict[str, list[Any]]]:
    """What is known before, every nth of it archived, and what the files settle to in the order they come in."""
    known = _held_from(EARLIER, lambda number: number % archived != 0)
    return known, _content(settled(FAULTY if faulty else THERE, known))


@hypothesis_settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 10**6), archived=st.sampled_from([2, 5]))
def test_any_order_of_rows_gives_the_same_people_and_issues(seed: int, archived: int) -> None:
    for faulty, files in ((True, FAULTY), (False, THERE)):
        known, expected = as_it_comes(faulty, archived)
        assert _content(settled(_shuffled(files, seed), known)) == expected


def test_the_same_delivery_again_finds_everybody_as_themselves() -> None:
    first = settled(FAULTY)
    known = _held_from(first, lambda number: True)
    known = StoredRoster(
        known.links.with_columns(from_this_source=pl.lit(True)), known.guardianships, known.classes, known.accounts
    )
    again = settled(FAULTY, known)
    expected = first.people.select("person", link_id=pl.format("L{}", pl.col("person")))
    assert again.people.select("person", "link_id").rows() == expected.rows()
    assert _content(again)["issues"] == _content(first)["issues"]
    assert again.people.drop("link_id").equals(first.people.drop("link_id"))
    assert pairs(again) == pairs(first)
