"""Who is only in rows of schools that this source does not sync: who leaves, and who waits for another source."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from contracts.roster import StoredRoster
from tests.contracts.district import Files, Row, guardian_of, link, one, settled, stored, student, teacher, who

LEFT = datetime(2026, 11, 20, 9, tzinfo=UTC)
LATER, EARLIER = LEFT + timedelta(hours=1), LEFT - timedelta(hours=1)
Other = tuple[str, str, datetime | None]


def moved(*rows: Row) -> Files:
    """S2 and T2 have moved to school 2."""
    files = Files(teachers=[teacher("T1"), teacher("T2", "2")])
    files.students += rows or (student("S2", "2"),)
    return files


def before(*others: Other, left_at: datetime | None = None) -> StoredRoster:
    """They were in school 1, with S2's guardian."""
    return stored(
        link("L2", "employee", "T2"),
        link("LS2", "student", "S2", birth_date=datetime(2014, 9, 3).date()),
        link("LG2", "guardian", "G2", email="g2@mail.example"),
        guardianships=[("LS2", "LG2")],
        school_members=[("L2", "1", left_at), ("LS2", "1", left_at)],
        other_schools=others,
    )


def seen(files: Files, known: StoredRoster) -> list[str]:
    found = settled(files, known, schools=["1"])
    assert found.issues.rows() == []
    assert who(found)[:2] == ["T1", "S1"]
    return found.seen_links["link_id"].to_list()


def test_whoever_moves_to_a_school_that_nobody_syncs_is_in_no_row_and_so_are_their_guardians() -> None:
    assert seen(moved(), before()) == []


@pytest.mark.parametrize(
    ("other", "left_at", "stays"),
    [
        (("2", "Adams", None), None, True),
        (("2", "Adams", None), LEFT, True),
        (("2", "Adams", EARLIER), LEFT, True),
        (("2", "Adams", LATER), LEFT, False),
        # As long as they are still in the school, they have yet to leave it.
        (("2", "Adams", LATER), None, True),
        # The other source has IDs of its own.
        (("5f00", "SCHOOL  2", EARLIER), LEFT, True),
        (("5f00", "School 2", LATER), LEFT, False),
        (("5f00", "Adams", EARLIER), LEFT, False),
    ],
)
def test_whoever_moves_to_another_sources_school_waits_until_it_has_spoken(
    other: Other, left_at: datetime | None, stays: bool
) -> None:
    assert seen(moved(), before(other, left_at=left_at)) == (["L2", "LG2", "LS2"] if stays else [])


def test_whoever_left_one_school_earlier_has_yet_to_leave_the_other() -> None:
    known = before(("2", "Adams", LATER))
    moved_before = pl.DataFrame({"link_id": ["L2", "LS2"], "school_id": "3", "left_at": EARLIER})
    members = known.school_members
    known = replace(
        known,
        school_members=pl.concat(
            [members, moved_before.select(pl.col(name).cast(kind) for name, kind in members.schema.items())]
        ),
    )
    assert seen(moved(), known) == ["L2", "LG2", "LS2"]


def test_a_school_known_by_its_id_is_not_looked_for_by_its_name() -> None:
    known = before(("2", "Adams", LATER), ("5f00", "School 2", EARLIER), left_at=LEFT)
    assert seen(moved(), known) == []


def test_whoever_stays_in_one_school_goes_nowhere() -> None:
    files = moved(student("S2", "2"), student("S2", "1"))
    files.enrollments.append({"class_id": "C1", "student_id": "S2"})
    found = settled(files, before(), schools=["1"])
    assert found.seen_links["link_id"].to_list() == ["LG2", "LS2"]


def test_a_guardian_stays_with_another_of_their_students() -> None:
    files = moved()
    files.students[0] = student("S1", guardian=guardian_of("G2"))
    assert seen(files, before()) == ["LG2"]


def test_a_newcomer_is_not_taken_for_one_who_moved_away() -> None:
    """The same name and birth date under another ID would be a re-issued one, were the old ID in no row at all."""
    files = Files(students=[student("S1"), student("S3", first_name="Stu2", last_name="Dent2")])
    assert one(settled(files, before(), schools=["1"]), "S3", "link_id") == "LS2"
    files.students.append(student("S2", "2"))
    found = settled(files, before(), schools=["1"])
    assert one(found, "S3", "link_id") is None
    assert found.seen_links["link_id"].to_list() == []


@pytest.mark.parametrize("stays_gone", [True, False])
def test_who_left_the_organization_is_gone_by_the_link_or_account_and_their_guardian_is_not(stays_gone: bool) -> None:
    left = {"active": False, "left": True, "gone": stays_gone}
    known = stored(
        link("L1", "employee", "T1", email="t1@unified.example", **left),
        # Of another source: known by name and birth date, so that only the account is theirs.
        link("L2", "student", "c-s1", from_this_source=False, birth_date=datetime(2014, 9, 3).date(), **left)
        | {"first_name": "Stu1", "last_name": "Dent1"},
    )
    result = settled(Files(), known)
    told = result.people.select("kind", "link_id", "adopts", "gone").rows()
    assert told == [
        ("employee", "L1", None, stays_gone),
        ("student", None, "AL2", stays_gone),
        ("guardian", None, None, False),
    ]
