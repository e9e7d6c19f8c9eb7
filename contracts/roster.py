"""The canonical roster every source is mapped to, and the tables that pass between the contract stages.

Only shapes live here: no rule, no format, no storage. Nothing after the mapping knows the source. Each table is a
Pandera model, the only place that says its columns, types and nulls; `schema_of` gives its schema, `verify` compares
frames with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, Literal

import pandera.polars as pa
import polars as pl

from errors import TableError

Schema = Mapping[str, "pl.DataType | type[pl.DataType]"]

# A field of the roster: whose (a kind of people, guardianship, class, school) and which column, as (guardian, phone).
Field = tuple[str, str]
DateOrder = Literal["month", "day"]

EMPLOYEE, STUDENT, GUARDIAN = "employee", "student", "guardian"
KINDS = (EMPLOYEE, STUDENT, GUARDIAN)
TEACHER, STAFF = "teacher", "staff"


class Table(pa.DataFrameModel):
    """A table: its docstring says what a row is, and which module decides on it."""


def required(description: str) -> Any:
    """A column that is never null."""
    return pa.Field(description=description)


def optional(description: str) -> Any:
    """A column that may be null."""
    return pa.Field(description=description, nullable=True)


@cache
def schema_of(table: type[Table]) -> Schema:
    """The columns of a table, in order, with their types."""
    return MappingProxyType({name: column.dtype.type for name, column in table.to_schema().columns.items()})


@cache
def required_columns(table: type[Table]) -> tuple[str, ...]:
    """The columns of a table that are never null."""
    return tuple(name for name, column in table.to_schema().columns.items() if not column.nullable)


# Where a row came from: of files the file's name and the physical line, 1 for the first; of a source that gives records
# their type, and a number of the record among those of its type that nobody outside of the contracts sees.
SOURCE_LOCATION: Schema = MappingProxyType({"file": pl.String, "line": pl.UInt32})
_FILE = "the file's name, or the record's type"
_LINE = "the physical line, 1 for the first, or the record's number among those of its type"

_KIND = "employee, student, guardian"
_SCHOOL_ID = "the source's ID of the school"

# --- as read: one row per row of the source, values trimmed but otherwise as they came, empty = null ---


class Schools(Table):
    """A school, as a row of the source names it. Source: the format's mapping."""

    external_id: pl.String = required("the source's ID of the school")
    name: pl.String = optional("as it came")
    file: pl.String = required(_FILE)
    line: pl.UInt32 = required(_LINE)


class People(Table):
    """A person, as a row of the source describes them; a guardian once a student. Source: the format's mapping."""

    entry: pl.UInt32 = required("numbers the rows of this table: joins a guardianship to its guardian's row")
    kind: pl.String = required(_KIND)
    role: pl.String = required("teacher, staff, student, guardian")
    external_id: pl.String = optional("the source's ID of the person; null only for a guardian without a guardian_id")
    sis_id: pl.String = optional("the person's ID in the school's own system, where the source has IDs of its own")
    first_name: pl.String = optional("as it came")
    last_name: pl.String = optional("as it came")
    email: pl.String = optional("as it came")
    phone: pl.String = optional("as it came")
    birth_date: pl.String = optional("as it came")
    grade: pl.String = optional("as it came")
    language: pl.String = optional("as it came")
    file: pl.String = required(_FILE)
    line: pl.UInt32 = required(_LINE)


class SchoolMembers(Table):
    """An employee or student at a school, as a row of the source says. Source: the format's mapping."""

    kind: pl.String = required("employee, student")
    external_id: pl.String = required("the person's")
    school_id: pl.String = optional("the school's; null for somebody whom the source puts into none")
    file: pl.String = required(_FILE)
    line: pl.UInt32 = required(_LINE)


class Classes(Table):
    """A class, as a row of the source describes it. Source: the format's mapping."""

    external_id: pl.String = required("the source's ID of the class")
    sis_id: pl.String = optional("the class's ID in the school's own system, where the source has IDs of its own")
    school_id: pl.String = optional("the school's; null for a class that the source puts into none")
    name: pl.String = optional("as it came")
    file: pl.String = required(_FILE)
    line: pl.UInt32 = required(_LINE)


class ClassMembers(Table):
    """A teacher or student of a class, as a row of the source says. Source: the format's mapping."""

    class_id: pl.String = required("the class's external_id")
    kind: pl.String = optional(
        "employee, student; null: whoever has this ID, a student or a teacher, which `contracts.relations` finds out"
    )
    external_id: pl.String = required("the person's")
    is_owner: pl.Boolean = required(
        "true: a teacher of the class; false: enrolled, and its teacher if the ID is a teacher's"
    )
    school_id: pl.String = optional("as the row itself says it (enrollments.csv's optional column)")
    file: pl.String = required(_FILE)
    line: pl.UInt32 = required(_LINE)


class Guardianships(Table):
    """A student and a guardian's row of people. Source: the format's mapping."""

    student_id: pl.String = required("the student's external_id")
    entry: pl.UInt32 = required("the guardian's row in people")
    relationship: pl.String = optional("what the guardian is to the student, as it came")
    type: pl.String = optional("the type of contact, as it came")
    file: pl.String = required(_FILE)
    line: pl.UInt32 = required(_LINE)


# By field of Roster.
TABLES: Mapping[str, type[Table]] = MappingProxyType(
    {
        "schools": Schools,
        "people": People,
        "school_members": SchoolMembers,
        "classes": Classes,
        "class_members": ClassMembers,
        "guardianships": Guardianships,
    }
)
SCHOOLS = schema_of(Schools)
PEOPLE = schema_of(People)
SCHOOL_MEMBERS = schema_of(SchoolMembers)
CLASSES = schema_of(Classes)
CLASS_MEMBERS = schema_of(ClassMembers)
GUARDIANSHIPS = schema_of(Guardianships)


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


class SettledPeople(Table):
    """A valid person of the delivery. Rules: `contracts.checking`, `.guardians`, `.identity`, `.emails`."""

    person: pl.UInt32 = required("numbers the people of one settling")
    kind: pl.String = required(_KIND)
    role: pl.String = required("teacher, staff, student, guardian")
    external_id: pl.String = optional("of a guardian the guardian_id that sorts first, or null where there is none")
    guardian_ids: Annotated[pl.List, pl.String] = optional("of a guardian all of theirs, sorted; of others null")
    first_name: pl.String = optional("null only for a guardian")
    last_name: pl.String = optional("null only for a guardian")
    email: pl.String = optional("lower case; null where absent, invalid or lost to another claimant")
    phone: pl.String = optional("E.164")
    phone_extension: pl.String = optional("digits")
    birth_date: pl.Date = optional("a student's")
    grade: pl.String = optional("a student's")
    language: pl.String = optional("a guardian's")
    link_id: pl.String = optional("the link this person was found to be, null for someone new")
    adopts: pl.String = optional("the account that a new link adopts")
    renumbered: pl.Boolean = required("the link was found under another ID, or is a former source's")
    gone: pl.Boolean = required("left the organization, and stays gone; see StoredLinks")
    file: pl.String = required(_FILE)
    line: pl.UInt32 = required(_LINE)


class SettledSchoolMembers(Table):
    """A valid employee or student at a school in scope. Rules: `contracts.checking`."""

    person: pl.UInt32 = required("in people")
    school_id: pl.String = required(_SCHOOL_ID)


class SettledClasses(Classes):
    """A valid class. Rules: `contracts.checking`, `.relations`."""

    school_id: pl.String = required(_SCHOOL_ID)
    name: pl.String = required("normalised, at most 255 characters")


class SettledClassMembers(Table):
    """A teacher or student of a class. Rules: `contracts.relations`.

    A member is a settled person, or, for one whose record was rejected but was provisioned earlier, their link. A class
    rejected but provisioned earlier goes on under its old school.
    """

    class_id: pl.String = required("the class's external_id")
    school_id: pl.String = required("the class's")
    kind: pl.String = required("employee, student")
    person: pl.UInt32 = optional("in people")
    link_id: pl.String = optional("where person is null")
    is_owner: pl.Boolean = required("a teacher of the class")


class SettledGuardianships(Table):
    """A student and one of their guardians, each a settled person or a link. Rules: `contracts.relations`."""

    student: pl.UInt32 = optional("in people")
    student_link_id: pl.String = optional("where student is null")
    guardian: pl.UInt32 = optional("in people")
    guardian_link_id: pl.String = optional("where guardian is null")
    relationship: pl.String = optional("what the guardian is to the student")
    type: pl.String = optional("the type of contact")


class SeenLinks(Table):
    """A link of this source found in any row of the delivery, rejected ones included. Rules: `contracts.settling`.

    Of those who are only in rows of left-out schools, whom another source is still to take. A link that gave up its ID
    to another person is not among them.
    """

    link_id: pl.String = required("our ID of the link")


class SeenClasses(Table):
    """A class in any row of the delivery, rejected ones included. Rules: `contracts.checking`."""

    external_id: pl.String = required("the source's ID of the class")
    school_id: pl.String = optional("the school's; null for a class that the source puts into none")


class ProtectedPairs(Table):
    """Whose pairs may not go, because a row of theirs in that file was rejected. Rules: `contracts.settling`.

    One of link_id and class_id is set.
    """

    table: pl.String = required("school_members, guardianships, class_owners, class_students, classes")
    link_id: pl.String = optional("the person (table guardianships: the student or the guardian)")
    class_id: pl.String = optional("the class's external ID")


class FreedEmails(Table):
    """An account of this district (linked, or adopted now) that holds an email another person of the delivery takes.

    Even where its link does not hold it: a person's own edit, and what an adopted account had before. Rules:
    `contracts.emails`.
    """

    account_id: pl.String = required("our ID of the account")
    email: pl.String = required("the email that is taken from it")


class Issues(Table):
    """An issue found, once for each school it concerns. Rules: `contracts.issues` has the catalogue."""

    code: pl.String = required("of the catalogue")
    school_id: pl.String = optional("the source's; null where no school is known")
    file: pl.String = required(_FILE)
    line: pl.UInt32 = optional("the physical line; null where the source has no lines")
    record_id: pl.String = optional("the record's external ID; null for a guardian without one")
    detail: pl.String = optional("what the message says beyond the catalogue: columns, counts and IDs, no other value")
    dependents: pl.UInt32 = required("how many records fall with this one")
    row: pl.String = optional("the row as it came, a JSON object; personal data")
    other_rows: pl.String = optional(
        "the record's other rows in the file, or the same rows, one a line: its line, a tab, and it as row"
    )


# By field of Settled.
SETTLED_TABLES: Mapping[str, type[Table]] = MappingProxyType(
    {
        "people": SettledPeople,
        "school_members": SettledSchoolMembers,
        "classes": SettledClasses,
        "class_members": SettledClassMembers,
        "guardianships": SettledGuardianships,
        "seen_links": SeenLinks,
        "seen_classes": SeenClasses,
        "protected": ProtectedPairs,
        "freed_emails": FreedEmails,
        "issues": Issues,
    }
)
SETTLED_PEOPLE = schema_of(SettledPeople)
SETTLED_SCHOOL_MEMBERS = schema_of(SettledSchoolMembers)
SETTLED_CLASSES = schema_of(SettledClasses)
SETTLED_CLASS_MEMBERS = schema_of(SettledClassMembers)
SETTLED_GUARDIANSHIPS = schema_of(SettledGuardianships)
SEEN_LINKS = schema_of(SeenLinks)
SEEN_CLASSES = schema_of(SeenClasses)
PROTECTED_PAIRS = schema_of(ProtectedPairs)
FREED_EMAILS = schema_of(FreedEmails)
ISSUES = schema_of(Issues)


# --- what the database holds of the district, as settling and planning need it ---


class StoredLinks(Table):
    """A link of the district, holding its record's fields as last applied. Source: `services.planning.stored`."""

    link_id: pl.String = required("our ID of the link")
    account_id: pl.String = required("our ID of its account")
    from_this_source: pl.Boolean = required("of the source being settled")
    former: pl.Boolean = required("of a former source of every school it is active in: claims nothing")
    moving: pl.Boolean = required("another source's, and active in a school that is this source's now")
    beyond: pl.Boolean = required("active in a school this delivery does not speak of (off the plan, another source's)")
    kind: pl.String = required(_KIND)
    role: pl.String = required("teacher, staff, student, guardian")
    external_id: pl.String = optional("the source's; null once given up to another person")
    guardian_ids: Annotated[pl.List, pl.String] = optional("of a guardian all of theirs, sorted")
    first_name: pl.String = optional("as last applied")
    last_name: pl.String = optional("as last applied")
    email: pl.String = optional("as last applied")
    phone: pl.String = optional("as last applied")
    phone_extension: pl.String = optional("as last applied")
    birth_date: pl.Date = optional("as last applied")
    grade: pl.String = optional("as last applied")
    language: pl.String = optional("as last applied")
    active: pl.Boolean = required("not archived")
    left: pl.Boolean = required("archived, as the person left the organization of their own accord")
    gone: pl.Boolean = required("left, and stays gone: claims nothing")


class StoredGuardianships(Table):
    """A guardianship of links that are own or moving. Source: `services.planning.stored`.

    Active ones, and those that ended as one of the two left the organization.
    """

    student_link_id: pl.String = required("the student's link")
    guardian_link_id: pl.String = required("the guardian's link")
    relationship: pl.String = optional("as last applied")
    type: pl.String = optional("as last applied")


class StoredClasses(Table):
    """An active class of the source. Source: `services.planning.stored`."""

    external_id: pl.String = optional("the source's; null once given up to another class")
    school_id: pl.String = required(_SCHOOL_ID)


class StoredSchoolMembers(Table):
    """Where a link of the source is, or was: a school of the delivery. Source: `services.planning.stored`."""

    link_id: pl.String = required("our ID of the link")
    school_id: pl.String = required(_SCHOOL_ID)
    left_at: Annotated[pl.Datetime, "us", "UTC"] = optional("until when it was there; null while it is")


class StoredClassMembers(Table):
    """Who is in an active class of the source; of its links. Source: `services.planning.stored`."""

    class_id: pl.String = optional("the class's external_id; null once given up to another class")
    link_id: pl.String = required("our ID of the link")
    is_owner: pl.Boolean = required("a teacher of the class")


class StoredOtherSchools(Table):
    """A school of the district that another source syncs. Source: `services.planning.stored`."""

    school_id: pl.String = optional("its source's ID of it")
    name: pl.String = required("as set up")
    spoke_at: Annotated[pl.Datetime, "us", "UTC"] = optional(
        "when the delivery last applied there had come; null: none was"
    )


class StoredAccounts(Table):
    """An active account that may stand in the way of, or be adopted by, this delivery's people.

    Every one that holds an email of theirs, and every one made by hand in the district without a link of it. Source:
    `services.planning.stored`.
    """

    account_id: pl.String = required("our ID of the account")
    role: pl.String = required("teacher, staff, student, guardian")
    first_name: pl.String = optional("as its person or a source gave it")
    last_name: pl.String = optional("as its person or a source gave it")
    email: pl.String = optional("as its person or a source gave it")
    phone: pl.String = optional("as its person or a source gave it")
    birth_date: pl.Date = optional("as its person or a source gave it")
    by_hand: pl.Boolean = required("made by hand in this district")
    linked: pl.Boolean = required("has an active link of this district")


# By field of StoredRoster.
STORED_TABLES: Mapping[str, type[Table]] = MappingProxyType(
    {
        "links": StoredLinks,
        "guardianships": StoredGuardianships,
        "classes": StoredClasses,
        "accounts": StoredAccounts,
        "school_members": StoredSchoolMembers,
        "class_members": StoredClassMembers,
        "other_schools": StoredOtherSchools,
    }
)
STORED_LINKS = schema_of(StoredLinks)
STORED_GUARDIANSHIPS = schema_of(StoredGuardianships)
STORED_CLASSES = schema_of(StoredClasses)
STORED_ACCOUNTS = schema_of(StoredAccounts)
STORED_SCHOOL_MEMBERS = schema_of(StoredSchoolMembers)
STORED_CLASS_MEMBERS = schema_of(StoredClassMembers)
STORED_OTHER_SCHOOLS = schema_of(StoredOtherSchools)


@dataclass(frozen=True)
class StoredRoster:
    """What the database holds of a district: each field is the frame of that name in STORED_TABLES."""

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


@dataclass(frozen=True)
class Settled:
    """The district after checking and settling. Each frame is the one of its name in SETTLED_TABLES."""

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


def verify(stage: str, frames: Roster | StoredRoster | Settled, tables: Mapping[str, type[Table]]) -> None:
    """Compare a stage's frames, by the fields they are in, with their tables: columns, types and nulls.

    Not by Pandera's own validation, which costs some forty times as much and names values.

    Raises:
        TableError: a frame is not as declared; with the columns and counts, no value.
    """
    wrong = [each for name, table in tables.items() for each in _mismatches(name, getattr(frames, name), table)]
    if wrong:
        raise TableError(stage, sorted(wrong))


def _mismatches(name: str, frame: pl.DataFrame, table: type[Table]) -> Iterator[str]:
    declared = schema_of(table)
    for column in frame.schema.keys() | declared.keys():
        dtype = frame.schema.get(column)
        if dtype != declared.get(column):
            yield f"{name}.{column} is {dtype or 'missing'}, not {declared.get(column, 'declared')}"
    for column in required_columns(table):
        if column in frame.columns and (nulls := frame[column].null_count()):
            yield f"{name}.{column} has {nulls} nulls"
