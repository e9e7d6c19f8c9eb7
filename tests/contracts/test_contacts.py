"""Emergency contacts: which they are, and a roster without them."""

from __future__ import annotations

from contracts import roster
from contracts.contacts import without_contacts
from contracts.roster import Roster, empty
from tests.services.settled import frame


def test_contacts_go_with_their_last_guardianship_and_other_guardians_stay() -> None:
    people = frame(
        roster.PEOPLE,
        [
            {"entry": entry, "kind": "student" if entry == 0 else "guardian", "source_id": str(entry)}
            for entry in range(5)
        ],
    )
    kinds = [(1, "emergency"), (2, " Secondary "), (3, "primary"), (4, "EMERGENCY"), (4, None)]
    pairs = frame(roster.GUARDIANSHIPS, [{"student_id": "0", "entry": entry, "type": kind} for entry, kind in kinds])
    given = Roster(
        schools=empty(roster.SCHOOLS),
        people=people,
        school_members=empty(roster.SCHOOL_MEMBERS),
        classes=empty(roster.CLASSES),
        class_members=empty(roster.CLASS_MEMBERS),
        guardianships=pairs,
    )
    left, count = without_contacts(given)
    assert count == 3
    assert left.people["entry"].to_list() == [0, 3, 4]
    assert left.guardianships.select("entry", "type").rows() == [(3, "primary"), (4, None)]
