"""Emergency contacts: which guardianships they are, and a roster without them, before anything is checked or settled.

Rule: a contact of type emergency or secondary, in any case, is one.
"""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from contracts.roster import Roster

CONTACT_TYPES = ("emergency", "secondary")


def is_contact(kind: pl.Expr) -> pl.Expr:
    """Whether a guardianship of this type (as it came) is with an emergency contact."""
    return kind.str.strip_chars().str.to_lowercase().is_in(CONTACT_TYPES).fill_null(False)


def without_contacts(roster: Roster) -> tuple[Roster, int]:
    """The roster without its emergency contacts, and how many guardianships that leaves out.

    A contact's row of people goes with the last of its guardianships; whoever is an ordinary guardian too stays one.
    """
    left = roster.guardianships.filter(~is_contact(pl.col("type")))
    gone = roster.guardianships.filter(is_contact(pl.col("type"))).select("entry").unique()
    without = gone.join(left, on="entry", how="anti")
    return (
        replace(roster, guardianships=left, people=roster.people.join(without, on="entry", how="anti")),
        roster.guardianships.height - left.height,
    )
