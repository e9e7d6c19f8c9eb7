"""What the database holds of a district, read as frames for settling and planning. Reads only."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import cast

import polars as pl
from sqlmodel import Session

from contracts.roster import (
    GUARDIAN,
    STORED_ACCOUNTS,
    STORED_CLASS_MEMBERS,
    STORED_CLASSES,
    STORED_GUARDIANSHIPS,
    STORED_LINKS,
    STORED_OTHER_SCHOOLS,
    STORED_SCHOOL_MEMBERS,
    DateOrder,
    Schema,
    StoredRoster,
)
from errors import NotFound
from models import bulk
from models.tables import District, Source

SCOPE_SCHOOLS: Schema = {
    "school_id": pl.String,  # ours
    "key": pl.String,
    "name": pl.String,
    "external_school_id": pl.String,
}


@dataclass(frozen=True)
class Scope:
    """A source and the schools it may touch: on the plan, not frozen, set up with this source (SCOPE_SCHOOLS).

    leaves_out_contacts: its emergency contacts are left out. limits: the guard's that are the district's own, type ->
    [share, count]. date_order: which comes first in the district's dates, where it says so.
    """

    district_id: str
    source_id: str
    format: str
    region: str
    schools: pl.DataFrame
    leaves_out_contacts: bool = False
    limits: Mapping[str, list[float]] | None = None
    date_order: DateOrder | None = None

    @property
    def external_school_ids(self) -> list[str]:
        """The schools' IDs in the source's data."""
        return self.schools["external_school_id"].to_list()

    @property
    def school_ids(self) -> list[str]:
        """Our IDs of the schools, in the setup file's order."""
        return self.schools["school_id"].to_list()


def read_scope(session: Session, source_id: str) -> Scope:
    """The source's scope today.

    Raises:
        NotFound: there is no such source.
    """
    source = session.get(Source, source_id)
    district = session.get(District, source.district_id) if source else None
    if source is None or district is None:
        raise NotFound(f"there is no source {source_id}")
    schools = bulk.read(
        session,
        "SELECT id AS school_id, key, name, external_id AS external_school_id FROM school"
        " WHERE source_id = :source AND on_plan AND NOT frozen ORDER BY position, id",
        {"source": source_id},
        SCOPE_SCHOOLS,
    )
    return Scope(
        district.id,
        source.id,
        source.format,
        district.phone_region,
        schools,
        leaves_out_contacts=source.leaves_out_contacts,
        limits=district.limits,
        date_order=cast("DateOrder | None", district.date_order),
    )


SCHOOL_ROWS: Schema = {
    "school_id": pl.String,
    "source_id": pl.String,
    "external_school_id": pl.String,
    "name": pl.String,
    "live": pl.Boolean,  # on the plan, not frozen
    "spoke_at": bulk.MOMENT,  # when the delivery last applied there had come
}
MEMBERSHIP_ROWS: Schema = {
    "id": pl.String,
    "link_id": pl.String,
    "school_id": pl.String,
    "active": pl.Boolean,
    "left_at": bulk.MOMENT,
}
CLASS_ROWS: Schema = {
    "id": pl.String,
    "source_id": pl.String,
    "school_id": pl.String,
    "external_id": pl.String,
    "name": pl.String,
    "active": pl.Boolean,
}
CLASS_MEMBERSHIP_ROWS: Schema = {
    "id": pl.String,
    "class_id": pl.String,
    "link_id": pl.String,
    "is_owner": pl.Boolean,
    "active": pl.Boolean,
    "by_choice": pl.Boolean,
}
GUARDIANSHIP_ROWS: Schema = {
    "id": pl.String,
    "student_link_id": pl.String,
    "guardian_link_id": pl.String,
    "relationship": pl.String,
    "type": pl.String,
    "active": pl.Boolean,
    "by_leaving": pl.Boolean,  # ended as one of the two left the organization
}
# By field of StoredRows. IDs are ours, as String; times are in UTC.
STORED_ROWS: Mapping[str, Schema] = {
    "links": {**STORED_LINKS, "source_id": pl.String},
    "memberships": MEMBERSHIP_ROWS,
    "classes": CLASS_ROWS,
    "class_memberships": CLASS_MEMBERSHIP_ROWS,
    "guardianships": GUARDIANSHIP_ROWS,
    "schools": SCHOOL_ROWS,
}


@dataclass(frozen=True)
class StoredRows:
    """The rows a plan is compared with, active and archived, of the whole district and all its sources.

    Each frame is the one of its name in STORED_ROWS.
    """

    links: pl.DataFrame
    memberships: pl.DataFrame
    classes: pl.DataFrame
    class_memberships: pl.DataFrame
    guardianships: pl.DataFrame
    schools: pl.DataFrame


_LINKS = """
SELECT l.source_id, l.id AS link_id, l.account_id, l.source_id = :source AS from_this_source, l.kind, l.role,
       l.external_id, l.guardian_ids, l.first_name, l.last_name, l.email, l.phone, l.phone_extension, l.birth_date,
       l.grade, l.language, l.archived_at IS NULL AS active,
       l.archived_at IS NOT NULL AND l.left_at IS NOT NULL AS "left",
       l.archived_at IS NOT NULL AND l.left_at IS NOT NULL AND NOT d.rostering_enforcement AS gone
FROM link l JOIN source s ON s.id = l.source_id JOIN district d ON d.id = s.district_id WHERE s.district_id = :district
"""
_MEMBERSHIPS = """
SELECT m.id, m.link_id, m.school_id, m.active, m.left_at
FROM school_membership m JOIN school s ON s.id = m.school_id WHERE s.district_id = :district
"""
_CLASSES = """
SELECT c.id, c.source_id, c.school_id, c.external_id, c.name, c.archived_at IS NULL AS active
FROM class c JOIN school s ON s.id = c.school_id WHERE s.district_id = :district
"""
_CLASS_MEMBERSHIPS = """
SELECT m.id, m.class_id, m.link_id, m.is_owner, m.active, m.by_choice
FROM class_membership m JOIN class c ON c.id = m.class_id JOIN school s ON s.id = c.school_id
WHERE s.district_id = :district
"""
_GUARDIANSHIPS = """
SELECT g.id, g.student_link_id, g.guardian_link_id, g.relationship, g.type, g.active,
       NOT g.active AND coalesce(g.left_at = l.left_at OR g.left_at = k.left_at, false) AS by_leaving
FROM guardianship g JOIN link l ON l.id = g.student_link_id JOIN link k ON k.id = g.guardian_link_id
JOIN source s ON s.id = l.source_id
WHERE s.district_id = :district
"""
_SCHOOLS = """
SELECT s.id AS school_id, s.source_id, s.external_id AS external_school_id, s.name, s.on_plan AND NOT s.frozen AS live,
       spoken.last_received_at AS spoke_at
FROM school s LEFT JOIN (
    SELECT r.school_id, r.source_id, max(d.last_received_at) AS last_received_at
    FROM school_run r JOIN delivery d ON d.id = r.delivery_id
    WHERE r.outcome IN ('applied', 'unchanged') GROUP BY r.school_id, r.source_id
) spoken ON spoken.school_id = s.id AND spoken.source_id = s.source_id
WHERE s.district_id = :district
"""

_ACCOUNTS = """
SELECT a.id AS account_id, a.role, a.first_name, a.last_name, a.email, a.phone, a.birth_date,
       coalesce(a.district_id = :district, false) AS by_hand,
       EXISTS (SELECT 1 FROM link l JOIN source s ON s.id = l.source_id WHERE l.account_id = a.id
               AND l.archived_at IS NULL AND s.district_id = :district) AS linked
FROM account a WHERE a.archived_at IS NULL AND ({condition})
"""


# As read: without what is worked out from other tables.
_LINK_ROWS: Schema = {
    "source_id": pl.String,
    **{name: dtype for name, dtype in STORED_LINKS.items() if name not in ("former", "moving", "beyond")},
    "guardian_ids": pl.String,  # one a line
}


def load_stored_rows(session: Session, scope: Scope) -> StoredRows:
    """Every row of the district a plan may have to change."""
    parameters = {"district": scope.district_id}
    with bulk.reading_in_columns(session) as read:
        schools = read(_SCHOOLS, parameters, SCHOOL_ROWS)
        memberships = read(_MEMBERSHIPS, parameters, MEMBERSHIP_ROWS)
        guardianships = read(_GUARDIANSHIPS, parameters, GUARDIANSHIP_ROWS)
        links = read(_LINKS, {**parameters, "source": scope.source_id}, _LINK_ROWS)
        classes = read(_CLASSES, parameters, CLASS_ROWS)
        class_memberships = read(_CLASS_MEMBERSHIPS, parameters, CLASS_MEMBERSHIP_ROWS)
    links = links.with_columns(pl.col("guardian_ids").str.split("\n"))
    return StoredRows(
        links=_with_reach(links, memberships, guardianships, schools, scope.source_id),
        memberships=memberships,
        classes=classes,
        class_memberships=class_memberships,
        guardianships=guardianships,
        schools=schools,
    )


def _with_reach(
    links: pl.DataFrame,
    memberships: pl.DataFrame,
    guardianships: pl.DataFrame,
    schools: pl.DataFrame,
    source_id: str,
) -> pl.DataFrame:
    """Add `former`, `moving` and `beyond` to the links, from the schools they are active in.

    A guardian is where their students are.
    """
    present = memberships.filter("active").select("link_id", "school_id")
    through_students = (
        guardianships.filter("active")
        .join(present, left_on="student_link_id", right_on="link_id")
        .select(pl.col("guardian_link_id").alias("link_id"), "school_id")
    )
    reach = (
        pl.concat([present, through_students])
        .unique()
        .join(schools.select("school_id", "source_id", "live"), on="school_id")
        .join(links.select("link_id", link_source_id="source_id"), on="link_id")
        .with_columns(elsewhere=pl.col("live") & (pl.col("source_id") != pl.col("link_source_id")).fill_null(False))
        .group_by("link_id")
        .agg(
            former=pl.col("elsewhere").all(),
            moving=(pl.col("elsewhere") & (pl.col("source_id") == source_id)).any(),
            beyond=(~pl.col("elsewhere") & ~(pl.col("live") & pl.col("source_id").is_not_null())).any(),
        )
    )
    return links.join(reach, on="link_id", how="left").with_columns(
        former=pl.col("former").fill_null(False) & pl.col("active"),
        moving=pl.col("moving").fill_null(False) & pl.col("active"),
        beyond=pl.col("beyond").fill_null(False) & pl.col("active"),
    )


def load_stored_roster(session: Session, scope: Scope, stored: StoredRows, emails: Collection[str]) -> StoredRoster:
    """What settling needs of the stored rows, and the accounts that hold one of the emails or were made by hand."""
    by_email, parameters = bulk.in_list(session, "a.email", list(emails))
    condition = f"{by_email} OR a.district_id = :district"
    with bulk.reading_in_columns(session) as read:
        accounts = read(
            _ACCOUNTS.format(condition=condition), {"district": scope.district_id, **parameters}, STORED_ACCOUNTS
        )
    from_here = stored.links.filter(pl.col("from_this_source") | pl.col("moving"))
    here = scope.schools.select("school_id", "external_school_id")
    classes = stored.classes.filter(pl.col("active") & (pl.col("source_id") == scope.source_id)).join(
        here, on="school_id"
    )
    of_source = stored.links.filter("from_this_source").select("link_id")
    school_members = (
        stored.memberships.join(here, on="school_id")
        .join(of_source, on="link_id", how="semi")
        .select("link_id", "left_at", school_id="external_school_id")
    )
    class_members = (
        stored.class_memberships.filter("active")
        .join(classes.select("external_id", class_id="id"), on="class_id")
        .join(of_source, on="link_id", how="semi")
        .select("link_id", "is_owner", class_id="external_id")
    )
    others = stored.schools.filter(pl.col("live") & (pl.col("source_id") != scope.source_id))
    guardianships = (
        stored.guardianships.filter(pl.col("active") | pl.col("by_leaving"))
        .join(from_here.select(student_link_id="link_id"), on="student_link_id", how="semi")
        .join(from_here.filter(kind=GUARDIAN).select(guardian_link_id="link_id"), on="guardian_link_id", how="semi")
        .select(list(STORED_GUARDIANSHIPS))
    )
    return StoredRoster(
        stored.links.select(list(STORED_LINKS)),
        guardianships,
        classes.select("external_id", school_id="external_school_id").select(list(STORED_CLASSES)),
        accounts,
        school_members.select(list(STORED_SCHOOL_MEMBERS)),
        class_members.select(list(STORED_CLASS_MEMBERS)),
        others.select("name", "spoke_at", school_id="external_school_id").select(list(STORED_OTHER_SCHOOLS)),
    )
