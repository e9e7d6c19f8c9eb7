"""The canonical roster every source is mapped to, and the frames that pass between the contract stages.

Only shapes live here: no rule, no format, no storage. Nothing after the mapping knows the source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import polars as pl

Schema = Mapping[str, "pl.DataType | type[pl.DataType]"]

# A field of the roster: whose (a kind of people, guardianship, class, school) and which column, as (guardian, phone).
Field = tuple[str, str]
DateOrder = Literal["month", "day"]

EMPLOYEE, STUDENT, GUARDIAN = "employee", "student", "guardian"
KINDS = (EMPLOYEE, STUDENT, GUARDIAN)
TEACHER, STAFF = "teacher", "staff"

# Where a row came from: of files the file's name and the physical line, 1 for the first; of a source that gives records
# their type, and a number of the record among those of its type that nobody outside of the contracts sees.
SOURCE_LOCATION: Schema = MappingProxyType({"file": pl.String, "line": pl.UInt32})

# --- as read: one row per row of the source, values trimmed but otherwise as they came, empty = null ---

SCHOOLS: Schema = MappingProxyType({"external_id": pl.String, "name": pl.String, **SOURCE_LOCATION})
PEOPLE: Schema = MappingProxyType(
    {
        "entry": pl.UInt32,  # numbers the rows of this table: joins_account a guardianship to its guardian's row
        "kind": pl.String,  # employee, student, guardian
        "role": pl.String,  # teacher, staff, student, guardian
        "external_id": pl.String,  # null only for a guardian without a guardian_id
        "sis_id": pl.String,  # the record's in the school's own system, where the source has IDs of its own
        "first_name": pl.String,
        "last_name": pl.String,
        "email": pl.String,
        "phone": pl.String,
        "birth_date": pl.String,
        "grade": pl.String,
        "language": pl.String,
        **SOURCE_LOCATION,
    }
)
SCHOOL_MEMBERS: Schema = MappingProxyType(
    {"kind": pl.String, "external_id": pl.String, "school_id": pl.String, **SOURCE_LOCATION}  # employees and students
)
CLASSES: Schema = MappingProxyType(
    {"external_id": pl.String, "sis_id": pl.String, "school_id": pl.String, "name": pl.String, **SOURCE_LOCATION}
)
CLASS_MEMBERS: Schema = MappingProxyType(
    {
        "class_id": pl.String,
        "kind": pl.String,  # null: whoever has this ID, a student or a teacher; `contracts.relations` finds out
        "external_id": pl.String,
        "is_owner": pl.Boolean,  # true: a teacher of the class; false: enrolled, and its teacher if it is one's ID
        "school_id": pl.String,  # as the row itself says it (enrollments.csv's optional column), else null
        **SOURCE_LOCATION,
    }
)
GUARDIANSHIPS: Schema = MappingProxyType(
    {
        "student_id": pl.String,
        "entry": pl.UInt32,  # the guardian's row in people
        "relationship": pl.String,
        "type": pl.String,
        **SOURCE_LOCATION,
    }
)

TABLES: Mapping[str, Schema] = MappingProxyType(
    {
        "schools": SCHOOLS,
        "people": PEOPLE,
        "school_members": SCHOOL_MEMBERS,
        "classes": CLASSES,
        "class_members": CLASS_MEMBERS,
        "guardianships": GUARDIANSHIPS,
    }
)


@dataclass(frozen=True)
class Roster:
    """A whole district as its source gave it. Each field is the frame of that name in TABLES.

    ``rows`` holds, by `file` of SOURCE_LOCATION, the rows as they came (``line`` UInt32 and columns as String), so that
    an issue can keep the row it is about. ``has_lines``: people can look a row up by its line, so issues carry it.
    ``shares_part``: the source may hold back records that those it gives refer to, which is then no mistake of theirs.
    ``names``: what the source calls a field, where it calls it otherwise than here. ``absent``: the fields that it does
    not have at all, of which it says nothing (a missing column, or a field absent from every record of a kind), each in
    words, such as "students.csv: column guardian_phone". ``date_order``: whether ambiguous dates are month or day
    first; None: the dates themselves show it.
    """

    schools: pl.DataFrame
    people: pl.DataFrame
    school_members: pl.DataFrame
    classes: pl.DataFrame
    class_members: pl.DataFrame
    guardianships: pl.DataFrame
    rows: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    has_lines: bool = True
    shares_part: bool = False
    names: Mapping[Field, str] = field(default_factory=dict)
    absent: Mapping[Field, str] = field(default_factory=dict)
    date_order: DateOrder | None = None


# --- settled: one row per valid record, values normalised; `person` numbers the people of one settling ---

SETTLED_PEOPLE: Schema = MappingProxyType(
    {
        "person": pl.UInt32,
        "kind": pl.String,
        "role": pl.String,
        "external_id": pl.String,  # a guardian: the guardian_id that sorts first, or null where there is none
        "guardian_ids": pl.List(pl.String),  # a guardian: all of theirs, sorted; others: null
        "first_name": pl.String,
        "last_name": pl.String,
        "email": pl.String,  # lower case; null where absent, invalid or lost to another claimant
        "phone": pl.String,  # E.164
        "phone_extension": pl.String,
        "birth_date": pl.Date,
        "grade": pl.String,
        "language": pl.String,
        "link_id": pl.String,  # the link this person was found to be, null for someone new
        "adopts": pl.String,  # the account that a new link adopts, else null
        "renumbered": pl.Boolean,  # the link was found under another ID, or is a former source's
        **SOURCE_LOCATION,
    }
)
SETTLED_SCHOOL_MEMBERS: Schema = MappingProxyType({"person": pl.UInt32, "school_id": pl.String})
SETTLED_CLASSES: Schema = CLASSES
# A member is a settled person, or, for one whose record was rejected but was provisioned earlier, their link. The
# same holds for both sides of a guardianship. A class rejected but provisioned earlier goes on under its old school.
SETTLED_CLASS_MEMBERS: Schema = MappingProxyType(
    {
        "class_id": pl.String,
        "school_id": pl.String,  # the class's
        "kind": pl.String,
        "person": pl.UInt32,
        "link_id": pl.String,
        "is_owner": pl.Boolean,
    }
)
SETTLED_GUARDIANSHIPS: Schema = MappingProxyType(
    {
        "student": pl.UInt32,
        "student_link_id": pl.String,
        "guardian": pl.UInt32,
        "guardian_link_id": pl.String,
        "relationship": pl.String,
        "type": pl.String,
    }
)
# The links of this source found in any row of the delivery, rejected ones included; of those who are only in rows of
# left-out schools, whom another source is still to take. A link that gave up its ID to another person is not among
# them.
SEEN_LINKS: Schema = MappingProxyType({"link_id": pl.String})
SEEN_CLASSES: Schema = MappingProxyType({"external_id": pl.String, "school_id": pl.String})
# Whose pairs may not go, because a row of theirs in that file was rejected. One of link_id and class_id is set.
PROTECTED_PAIRS: Schema = MappingProxyType(
    {
        "table": pl.String,  # school_members, guardianships, class_owners, class_students, classes
        "link_id": pl.String,  # the person (table guardianships: the student or the guardian)
        "class_id": pl.String,  # the class's external ID
    }
)

# Accounts of this district (linked, or adopted now) that hold an email which another person of the delivery takes,
# even where their link does not hold it: a person's own edit, and what an adopted account had before.
FREED_EMAILS: Schema = MappingProxyType({"account_id": pl.String, "email": pl.String})


# --- what the database holds of the district, as settling and planning need it ---

STORED_LINKS: Schema = MappingProxyType(
    {
        "link_id": pl.String,
        "account_id": pl.String,
        "from_this_source": pl.Boolean,  # of the source being settled
        "former": pl.Boolean,  # of a former source of every school it is active in: claims nothing
        "moving": pl.Boolean,  # another source's, and active in a school that is this source's now
        "beyond": pl.Boolean,  # active in a school this delivery does not speak of (off the plan, another source's)
        "kind": pl.String,
        "role": pl.String,
        "external_id": pl.String,
        "guardian_ids": pl.List(pl.String),
        "first_name": pl.String,
        "last_name": pl.String,
        "email": pl.String,
        "phone": pl.String,
        "phone_extension": pl.String,
        "birth_date": pl.Date,
        "grade": pl.String,
        "language": pl.String,
        "active": pl.Boolean,
        "left": pl.Boolean,  # archived, as the person left the organization of their own accord
        "gone": pl.Boolean,  # left, and stays gone: claims nothing
    }
)
# Guardianships of links that are own or moving: active ones, and those that ended as one of the two left the
# organization.
STORED_GUARDIANSHIPS: Schema = MappingProxyType(
    {"student_link_id": pl.String, "guardian_link_id": pl.String, "relationship": pl.String, "type": pl.String}
)
# Active classes of the source.
STORED_CLASSES: Schema = MappingProxyType({"external_id": pl.String, "school_id": pl.String})
# Where links of the source are, or were until `left_at`: schools of the delivery, by the source's ID.
STORED_SCHOOL_MEMBERS: Schema = MappingProxyType(
    {"link_id": pl.String, "school_id": pl.String, "left_at": pl.Datetime("us", "UTC")}
)
# Who is in active classes of the source; of its links.
STORED_CLASS_MEMBERS: Schema = MappingProxyType({"class_id": pl.String, "link_id": pl.String, "is_owner": pl.Boolean})
# Schools of the district that other sources sync, by their sources' IDs.
STORED_OTHER_SCHOOLS: Schema = MappingProxyType(
    {
        "school_id": pl.String,
        "name": pl.String,
        "spoke_at": pl.Datetime("us", "UTC"),  # when the delivery last applied there had come; null: none was
    }
)
# Active accounts that may stand in the way of, or be adopted by, this delivery's people: every one that holds an
# email of theirs, and every one made by hand in the district without a link of it.
STORED_ACCOUNTS: Schema = MappingProxyType(
    {
        "account_id": pl.String,
        "role": pl.String,
        "first_name": pl.String,
        "last_name": pl.String,
        "email": pl.String,
        "phone": pl.String,
        "birth_date": pl.Date,
        "by_hand": pl.Boolean,  # made by hand in this district
        "linked": pl.Boolean,  # has an active link of this district
    }
)


@dataclass(frozen=True)
class StoredRoster:
    """What the database holds of a district: frames of the schemas above, each field that of its name."""

    links: pl.DataFrame
    guardianships: pl.DataFrame
    classes: pl.DataFrame
    accounts: pl.DataFrame
    school_members: pl.DataFrame = field(default_factory=lambda: empty(STORED_SCHOOL_MEMBERS))
    class_members: pl.DataFrame = field(default_factory=lambda: empty(STORED_CLASS_MEMBERS))
    other_schools: pl.DataFrame = field(default_factory=lambda: empty(STORED_OTHER_SCHOOLS))

    @staticmethod
    def nothing() -> StoredRoster:
        """A district never seen before; what a dry run of files works with."""
        return StoredRoster(
            empty(STORED_LINKS), empty(STORED_GUARDIANSHIPS), empty(STORED_CLASSES), empty(STORED_ACCOUNTS)
        )


# Every issue found, one row per issue and school it concerns.
ISSUES: Schema = MappingProxyType(
    {
        "code": pl.String,  # of the catalogue
        "school_id": pl.String,  # the source's; null where no school is known
        "file": pl.String,  # of SOURCE_LOCATION
        "line": pl.UInt32,  # null where the source has no lines
        "record_id": pl.String,  # the record's external ID; null for a guardian without one
        "detail": pl.String,  # what the message says beyond the catalogue: columns, counts and IDs, no other value
        "dependents": pl.UInt32,  # records that fall with this one
        "row": pl.String,  # the row as it came, a JSON object; personal data
        # Where the problem is between rows, the others of it, one a line: its line, a tab, and it as `row`.
        "other_rows": pl.String,
    }
)


@dataclass(frozen=True)
class Settled:
    """The district after checking and settling: frames of the schemas above, and its issues."""

    people: pl.DataFrame
    school_members: pl.DataFrame
    classes: pl.DataFrame
    class_members: pl.DataFrame
    guardianships: pl.DataFrame
    seen_links: pl.DataFrame
    seen_classes: pl.DataFrame
    protected: pl.DataFrame
    issues: pl.DataFrame
    notes: tuple[str, ...]
    missing_schools: tuple[str, ...] = ()  # in scope, but not named by the source
    freed_emails: pl.DataFrame = field(default_factory=lambda: empty(FREED_EMAILS))
    absent: Mapping[Field, str] = field(default_factory=dict)  # see Roster

    @property
    def is_untyped(self) -> bool:
        """Whether the source does not say of what type guardians are."""
        return ("guardianship", "type") in self.absent


def empty(schema: Schema) -> pl.DataFrame:
    """A frame of the given schema without rows."""
    return pl.DataFrame(schema=dict(schema))


def as_table(rows: pl.DataFrame, schema: Schema, **columns: str | pl.Expr | None) -> pl.DataFrame:
    """The rows in the given schema; a column is the one of its name, or what is given for it (None: null)."""
    expressions = []
    for name, dtype in schema.items():
        given = columns.get(name, name)
        expression = pl.col(given) if isinstance(given, str) else pl.lit(given) if given is None else given
        expressions.append(expression.cast(dtype).alias(name))
    return rows.select(expressions)
