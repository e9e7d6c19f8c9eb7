"""Emergency contacts: which guardianships they are, and a roster without them, before anything is checked or settled.

Rule: a contact of type emergency or secondary is one, whatever the system calls these types.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import polars as pl

from contracts.roster import Roster
from contracts.values import bare

CONTACT_TYPES = ("emergency", "secondary")

# What systems write, as letters and digits in lower case, without the word contact and a number behind it ("Emergency
# Contact 2"). Sources: Clever's types Emergency and Secondary; the contact types of eSchoolPLUS, Aeries, Schooltool
# ("Emergency Contact"); short forms and spellings out of districts' own code tables, which these systems allow.
# Parent 2 and Guardian 2 are parents, and so is Second Parent; C is an emergency contact in eSchoolPLUS only.
_TYPES: Final = {
    **dict.fromkeys(("emergency", "emergencyonly", "emergencyperson", "emerg", "emer", "ec", "e"), "emergency"),
    **dict.fromkeys(("secondary", "second", "2nd", "sec"), "secondary"),
    **dict.fromkeys(("secondaryguardian", "secondaryparent", "secondaryparentguardian"), "secondary"),
}


def contact_type(kind: pl.Expr) -> pl.Expr:
    """Which of CONTACT_TYPES the type of a guardianship, as it came, means; null for an ordinary guardian."""
    written = bare(kind).str.replace_all(r"contacts?(?:[0-9]+$)?|([a-z])[0-9]+$", "$1")
    return written.replace_strict(_TYPES, default=None, return_dtype=pl.String)


def is_contact(kind: pl.Expr) -> pl.Expr:
    """Whether a guardianship of this type (as it came) is with an emergency contact."""
    return contact_type(kind).is_not_null()


def without_contacts(roster: Roster) -> tuple[Roster, int]:
    """The roster without its emergency contacts, and how many guardianships that leaves out.

    A contact's row of people goes with the last of its guardianships; whoever is an ordinary guardian too stays one.
    """
    remaining = roster.guardianships.filter(~is_contact(pl.col("type")))
    gone = roster.guardianships.filter(is_contact(pl.col("type"))).select("entry").unique()
    without = gone.join(remaining, on="entry", how="anti")
    return (
        replace(roster, guardianships=remaining, people=roster.people.join(without, on="entry", how="anti")),
        roster.guardianships.height - remaining.height,
    )
