"""Who is only in rows of left-out schools: whom another source of the district is still to take; the others leave.

Rule: someone whose rows have all moved to schools that nobody syncs leaves the schools they were in. Who moves to a
school of another source keeps the account until that source has spoken: until a delivery of its own that came after
they left has been applied to that school.
"""

from __future__ import annotations

import polars as pl

from contracts import values
from contracts.checking import Records
from contracts.roster import StoredRoster


def awaited(records: Records, stored: StoredRoster) -> pl.DataFrame:
    """kind, external_id: employees and students of a school that another source syncs and has yet to speak of.

    The other source may know the school by an ID of its own: then it is known by its name. Who never was in a school
    of this source cannot have left one; it speaks of them at any time.
    """
    by_id = records.elsewhere.join(stored.other_schools.select("school_id", "spoke_at"), on="school_id")
    by_name = (
        records.elsewhere.join(stored.other_schools.select("school_id"), on="school_id", how="anti")
        .with_columns(folded=values.folded(pl.col("name")))
        .join(stored.other_schools.select("spoke_at", folded=values.folded(pl.col("name"))), on="folded")
    )
    left = (
        stored.school_members.group_by("link_id")
        .agg(pl.when(pl.col("left_at").null_count() == 0).then(pl.col("left_at").max()))
        .join(stored.links.filter("from_this_source").select("link_id", "kind", "external_id"), on="link_id")
    )
    has_spoken = (pl.col("spoke_at") > pl.col("left_at")).fill_null(False)
    people = ["kind", "external_id"]
    rows = pl.concat([frame.select(*people, "spoke_at") for frame in (by_id, by_name)])
    return rows.join(left, on=people, how="left").filter(~has_spoken).select(people).unique()
