"""Emergency contacts: which they are, and a roster without them."""

from __future__ import annotations

import polars as pl

from contracts import roster
from contracts.contacts import CONTACT_TYPES, contact_type, is_contact, without_contacts
from contracts.roster import Roster, empty
from tests.services.settled import frame

_TYPES: dict[str | None, str | None] = {
    **dict.fromkeys(
        ("Emergency", "EMERGENCY", " emer\u200bgency ", "Emerg.", "E", "EC", "Emergency Only"), "emergency"
    ),
    **dict.fromkeys(
        ("Emergency Contact", "Emergency Contacts", "Emergency-Contact 2", "Contact - Emergency"), "emergency"
    ),
    **dict.fromkeys(("Emergency 1", "E1", "EC2"), "emergency"),
    **dict.fromkeys(
        ("Secondary", "Secondary Contact", "SECONDARY", "Second Contact", "2nd", "2nd contact"), "secondary"
    ),
    **dict.fromkeys(("Secondary Guardian", "Secondary Parent/Guardian"), "secondary"),
    **dict.fromkeys(("Parent/Guardian", "Guardian", "Primary", "Family", "Other", "Mother", "Contact", "", None), None),
    **dict.fromkeys(("Parent 2", "Guardian 2", "Second Parent", "Contact 2", "2", "C", "Guardian/Emergency"), None),
}


def test_a_contact_is_known_by_what_the_systems_write() -> None:
    written = pl.DataFrame({"type": list(_TYPES)}, schema={"type": pl.String})
    found = written.select(kind=contact_type(pl.col("type")), is_contact=is_contact(pl.col("type")))
    assert dict(zip(_TYPES, found["kind"], strict=True)) == _TYPES
    assert found["is_contact"].to_list() == [kind in CONTACT_TYPES for kind in _TYPES.values()]


def test_contacts_go_with_their_last_guardianship_and_other_guardians_stay() -> None:
    people = frame(
        roster.PEOPLE,
        [
            {"entry": entry, "kind": "student" if entry == 0 else "guardian", "external_id": str(entry)}
            for entry in range(5)
        ],
    )
    kinds = [(1, "emergency"), (2, " 2nd Contact "), (3, "primary"), (4, "EMERGENCY"), (4, None)]
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
