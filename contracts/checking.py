"""Checking: a roster becomes records. Values row by row, rows that share an ID joined, then each record by itself.

What needs the whole district or what the database holds (whose email, which guardian, whose class) is
`contracts.settling`'s. Rule: rows of schools that the schools table names but that are not in scope are left out before
anything is settled; their IDs count as seen.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

import polars as pl

from contracts import spelling, values
from contracts.normalizing import (
    READ,
    TEXTS,
    VALUES,
    called,
    marked,
    normalized,
    of_kind,
    with_commas,
    without_nobodies,
)
from contracts.roster import (
    EMPLOYEE,
    GUARDIAN,
    SEEN_CLASSES,
    SOURCE_LOCATION,
    STUDENT,
    DateOrder,
    Field,
    Roster,
    Schema,
)
from contracts.rules import Rule, breaking, contract

# An ID that a spreadsheet program has made of a long number.
SCIENTIFIC = r"^[0-9](?:[.,][0-9]+)?[Ee]\+?[0-9]+$"
SPREADSHEET = "IDs like this are made when a file is opened and saved in a spreadsheet program"
_COMPARED_ROWS = 50
MAX_SCHOOL_NAME = 60
MAX_CLASS_NAME = 255
SHARING_LIMIT = 3

# An issue on its way: one row per school it concerns. `root` names the record that others may fall with: its table
# (employee, student, class) and ID.
DRAFT_ISSUES: Schema = {
    "code": pl.String,
    "school_id": pl.String,
    **SOURCE_LOCATION,
    "record_id": pl.String,
    "detail": pl.String,
    "root_table": pl.String,
    "root": pl.String,
}

# A row's school: in scope, left out, or in no row of the schools table.
IN, OUT, UNKNOWN = "in", "out", "unknown"

_FIELDS = ("first_name", "last_name", "email", "phone", "birth_date", "grade", "language")


def _is_within(name: str, limit: int) -> pl.Expr:
    return pl.col(name).is_null() | (pl.col(name).str.len_chars() <= limit)


_IS_EMPLOYEE = pl.col("kind") == EMPLOYEE

SCHOOLS = contract(
    "schools",
    {
        "name": (
            Rule("school_name_missing", pl.col("name").is_not_null()),
            Rule(
                "school_name_too_long", pl.col("name").is_null() | (pl.col("name").str.len_chars() <= MAX_SCHOOL_NAME)
            ),
            Rule("duplicate_conflict", pl.col("conflicts").is_null()),
        ),
        "external_id": (Rule("school_empty", pl.col("has_rows")),),
    },
)
PEOPLE = contract(
    "people",
    {
        "external_id": (
            Rule("id_shared", ~pl.col("is_shared")),
            Rule("duplicate_conflict", pl.col("conflicts").is_null() | pl.col("is_shared")),
        ),
        "first_name": (Rule("name_missing", pl.col("first_name").is_not_null() & pl.col("last_name").is_not_null()),),
        "email": (
            Rule("teacher_email_missing", ~_IS_EMPLOYEE | pl.col("email").is_not_null() | pl.col("bad_email")),
            Rule("teacher_email_invalid", ~_IS_EMPLOYEE | pl.col("email").is_not_null() | ~pl.col("bad_email")),
            Rule("email_invalid", ~_IS_EMPLOYEE | pl.col("email").is_null() | ~pl.col("bad_email")),
        ),
    },
)
MEMBERSHIPS = contract(
    "memberships",
    {
        "school_id": (
            Rule("school_unknown", (pl.col("scope_status") != UNKNOWN) | pl.col("may_be_unshared")),
            Rule("record_not_shared", (pl.col("scope_status") != UNKNOWN) | ~pl.col("may_be_unshared")),
        )
    },
)
CLASSES = contract(
    "classes",
    {
        "name": (
            Rule("class_name_missing", pl.col("name").is_not_null()),
            Rule("class_name_too_long", _is_within("name", MAX_CLASS_NAME)),
            Rule("duplicate_conflict", pl.col("conflicts").is_null()),
        ),
        "schools": (Rule("class_in_two_schools", pl.col("schools").list.len() <= 1),),
    },
)
ENTRIES = contract(
    "guardian entries",
    {
        "email": (Rule("email_shared", pl.col("sharing") <= SHARING_LIMIT),),
        "student_id": (Rule("record_not_shared", pl.col("student_is_known")),),
    },
)
ROWS = contract("rows", {"line": (Rule("duplicate_row", ~pl.col("is_repeated")),)})

PERSON_ERRORS = ("id_shared", "name_missing", "teacher_email_missing", "teacher_email_invalid")
CLASS_ERRORS = ("class_name_missing", "class_in_two_schools")


_KEYS: Schema = MappingProxyType(
    {"table": pl.String, "key": pl.String}
)  # employee, student, class (school), and its ID
_PERSON: Schema = MappingProxyType({"kind": pl.String, "external_id": pl.String})
_ENTRIES: Schema = MappingProxyType(
    {
        "entry": pl.UInt32,
        "student_id": pl.String,
        "guardian_id": pl.String,
        "sis_id": pl.String,
        "first_name": pl.String,
        "last_name": pl.String,
        "email": pl.String,
        "phone": pl.String,
        "phone_extension": pl.String,
        "language": pl.String,
        "relationship": pl.String,
        "type": pl.String,
        **SOURCE_LOCATION,
        "student_is_known": pl.Boolean,
        "unread_email": pl.Boolean,  # a value came that cannot be read
        "unread_phone": pl.Boolean,
    }
)
# By field of Records.
RECORDS: Mapping[str, Schema] = MappingProxyType(
    {
        # Employees and students, one row per ID.
        "people": {
            **_PERSON,
            "role": pl.String,
            "sis_id": pl.String,
            "first_name": pl.String,
            "last_name": pl.String,
            "email": pl.String,
            "phone": pl.String,
            "phone_extension": pl.String,
            "birth_date": pl.Date,
            "grade": pl.String,
            "language": pl.String,
            **SOURCE_LOCATION,
            "is_valid": pl.Boolean,
            "is_shared": pl.Boolean,  # two people on the ID
            "bad_birth_date": pl.Boolean,
            # What was last applied stays: no row has a good value and one has a value that cannot be read, or the
            # source lacks the field.
            "unread_email": pl.Boolean,
            "unread_phone": pl.Boolean,
            "unread_birth_date": pl.Boolean,
            "unread_grade": pl.Boolean,
        },
        "members": {**_PERSON, "school_id": pl.String},  # in scope only
        "entries": _ENTRIES,  # guardian entries, one per row
        "left_out": _ENTRIES,  # those of left-out schools
        "entry_issues": {"entry": pl.UInt32, "code": pl.String, "detail": pl.String},
        "classes": {
            "external_id": pl.String,
            "sis_id": pl.String,
            "name": pl.String,
            "school_id": pl.String,  # null where its rows are of several schools, or of none in scope
            "schools": pl.List(pl.String),
            **SOURCE_LOCATION,
            "is_valid": pl.Boolean,
        },
        "owners": {"class_id": pl.String, "external_id": pl.String, **SOURCE_LOCATION},
        # Of any school.
        "enrollments": {"class_id": pl.String, **_PERSON, "school_id": pl.String, **SOURCE_LOCATION},
        "seen": _PERSON,  # every employee and student in any row
        "seen_classes": SEEN_CLASSES,
        "in_classes": _PERSON,  # everybody whom any row puts into a class
        "ids": {**_KEYS, "file": pl.String},  # every ID that is there, those of schools too
        # Who is only in rows of left-out schools, and which.
        "elsewhere": {**_PERSON, "school_id": pl.String, "name": pl.String},
        "unknown_schools": _KEYS,  # who has a row with an unknown school
        "near_schools": {**_KEYS, "school_id": pl.String},  # the schools that such rows nearly name
        "draft_issues": DRAFT_ISSUES,
        "locations": {**_KEYS, "school_id": pl.String, **SOURCE_LOCATION},  # every row of theirs
    }
)


@dataclass(frozen=True)
class Records:
    """A checked roster, before anything is settled. Only rows in scope, or of an unknown school, unless said.

    Each frame is the one of its name in RECORDS. rows, has_lines, shares_part, names, absent: the roster's.
    """

    schools: tuple[str, ...]
    missing_schools: tuple[str, ...]
    left_out_schools: tuple[str, ...]
    notes: tuple[str, ...]
    people: pl.DataFrame
    members: pl.DataFrame
    entries: pl.DataFrame
    left_out: pl.DataFrame
    entry_issues: pl.DataFrame
    classes: pl.DataFrame
    owners: pl.DataFrame
    enrollments: pl.DataFrame
    seen: pl.DataFrame
    seen_classes: pl.DataFrame
    in_classes: pl.DataFrame
    ids: pl.DataFrame
    elsewhere: pl.DataFrame
    unknown_schools: pl.DataFrame
    near_schools: pl.DataFrame
    draft_issues: pl.DataFrame
    locations: pl.DataFrame
    rows: Mapping[str, pl.DataFrame]
    has_lines: bool
    shares_part: bool
    names: Mapping[Field, str]
    absent: Mapping[Field, str]

    def emails(self) -> list[str]:
        """Every email that a record claims, normalised."""
        return pl.concat([self.people["email"], self.entries["email"]]).drop_nulls().unique().sort().to_list()


def check(
    roster: Roster,
    schools: Collection[str] | None,
    *,
    region: str = "US",
    today: date,
    date_order: DateOrder | None = None,
) -> Records:
    """Check a roster by itself.

    schools: the source's IDs of the schools in scope; None (a dry run): all that the schools table names. region: where
    phone numbers without a country code belong. today: no birth date is later. date_order: the district's own, for
    dates whose source leaves it open.

    Raises:
        DataError: a check could not be computed.
    """
    given = _given(roster, schools, region=region, today=today, date_order=date_order)
    here = given.people.filter(pl.col("scope_status") != OUT)
    bad_values = _bad_values(here, roster.names)
    people, person_issues = _people(here.filter(pl.col("kind") != GUARDIAN), given.members, roster)
    entries, entry_issues = _entries(here, given.guardianships)
    classes, class_issues = _classes(given.class_rows, roster.names)
    ids = _ids(roster, given.locations)
    near_schools = spelling.near(_unknown_schools(roster, ids), ids.filter(table="school"))
    unknown = _unknown(given.locations, near_schools, shares_part=roster.shares_part)
    of_records = pl.concat([person_issues, unknown.select(person_issues.columns), class_issues])
    return Records(
        schools=tuple(given.scope),
        missing_schools=given.missing_schools,
        left_out_schools=tuple(given.left_out_schools),
        notes=given.notes,
        people=people,
        members=given.members,
        entries=entries,
        left_out=_entries(given.people.filter(scope_status=OUT), given.guardianships)[0],
        entry_issues=pl.concat([bad_values.filter(kind=GUARDIAN).select("entry", "code", "detail"), entry_issues]),
        classes=classes,
        owners=_owners(roster, given.class_rows, classes),
        enrollments=roster.class_members.filter(~pl.col("is_owner")).select(
            "class_id", "kind", "external_id", "school_id", "file", "line"
        ),
        seen=given.seen,
        seen_classes=roster.classes.select("external_id", "school_id").unique(),
        in_classes=roster.class_members.select("kind", "external_id").unique(),
        ids=ids,
        elsewhere=_elsewhere(roster, given.memberships, people),
        unknown_schools=unknown.select("table", "key").unique(),
        near_schools=_named_nearly(unknown, near_schools),
        draft_issues=_draft_issues(roster, given, classes, bad_values, of_records, near_schools),
        locations=given.locations.drop("scope_status"),
        rows=roster.rows,
        has_lines=roster.has_lines,
        shares_part=roster.shares_part,
        names=roster.names,
        absent=roster.absent,
    )


@dataclass(frozen=True)
class _Given:
    """A roster's rows, each with the scope_status of its school (IN, OUT, UNKNOWN), before they are checked.

    scope, left_out_schools: the schools table's, in scope and not. people: as `normalized` gives them. guardianships:
    with student_is_known. members, seen: as in `Records`. locations: as in `Records`, and scope_status.
    """

    scope: list[str]
    missing_schools: tuple[str, ...]
    left_out_schools: list[str]
    notes: tuple[str, ...]
    people: pl.DataFrame
    memberships: pl.DataFrame
    class_rows: pl.DataFrame
    guardianships: pl.DataFrame
    members: pl.DataFrame
    seen: pl.DataFrame
    locations: pl.DataFrame


def _given(
    roster: Roster, schools: Collection[str] | None, *, region: str, today: date, date_order: DateOrder | None
) -> _Given:
    named = set(roster.schools["external_id"])
    scope = sorted(named if schools is None else named & set(schools))
    left_out_schools = sorted(named - set(scope))
    scope_status = (
        pl.when(pl.col("school_id").is_in(scope))
        .then(pl.lit(IN))
        .when(pl.col("school_id").is_in(left_out_schools))
        .then(pl.lit(OUT))
        .otherwise(pl.lit(UNKNOWN))
        .alias("scope_status")
    )
    memberships = roster.school_members.with_columns(scope_status)
    class_rows = roster.classes.with_columns(scope_status)
    named_people, guardianships = without_nobodies(roster)
    placed = _with_scope_status(named_people, guardianships, memberships)
    people, is_day_first = normalized(placed, region=region, today=today, date_order=roster.date_order or date_order)
    notes = [_left_out_note(roster.schools, left_out_schools)] if left_out_schools else []
    if is_day_first:
        column = called(roster.names, STUDENT, "birth_date")
        notes.append(f"column {column} was read day first, because most of its dates make sense in no other way")
    seen = memberships.select("kind", "external_id").unique()
    students = seen.filter(kind=STUDENT).select(student_id="external_id", student_is_known=pl.lit(True))
    at = ("scope_status", "school_id", "file", "line")
    return _Given(
        scope=scope,
        missing_schools=() if schools is None else tuple(sorted(set(schools) - named)),
        left_out_schools=left_out_schools,
        notes=tuple(notes),
        people=people,
        memberships=memberships,
        class_rows=class_rows,
        guardianships=guardianships.join(students, on="student_id", how="left").with_columns(
            pl.col("student_is_known").fill_null(False)
        ),
        members=memberships.filter(scope_status=IN).select("kind", "external_id", "school_id").unique(),
        seen=seen,
        locations=pl.concat(
            [
                memberships.select(*at, table="kind", key="external_id"),
                class_rows.select(*at, table=pl.lit("class"), key="external_id"),
            ]
        ),
    )


def _unknown(locations: pl.DataFrame, near_schools: pl.DataFrame, *, shares_part: bool) -> pl.DataFrame:
    """The locations of an unknown school, each record and school once, with code, and detail: what it may be."""
    # A record that names no school is lacking by itself, whatever the source shares.
    may_be_unshared = pl.lit(shares_part) & pl.col("school_id").is_not_null()
    return (
        breaking(MEMBERSHIPS, locations.with_columns(may_be_unshared=may_be_unshared))
        .sort("file", "line")
        .unique(["table", "key", "school_id"], keep="first", maintain_order=True)
        .join(spelling.hints(near_schools), left_on="school_id", right_on="key", how="left", maintain_order="left")
        .with_columns(detail=pl.coalesce(not_shared("school"), "hint"))
    )


def _named_nearly(unknown: pl.DataFrame, near_schools: pl.DataFrame) -> pl.DataFrame:
    """table, key, school_id: the schools that the rows of an unknown school nearly name."""
    near = unknown.join(near_schools, left_on="school_id", right_on="key")
    return near.select("table", "key", school_id="there").unique()


def _owners(roster: Roster, class_rows: pl.DataFrame, classes: pl.DataFrame) -> pl.DataFrame:
    """class_id, external_id, file, line: who teaches the classes, but for rows of left-out schools."""
    left_out = class_rows.filter(scope_status=OUT).select("file", "line")
    return (
        roster.class_members.filter("is_owner")
        .join(left_out, on=["file", "line"], how="anti")
        .join(classes, left_on="class_id", right_on="external_id", how="semi")
        .select("class_id", "external_id", "file", "line")
    )


def _draft_issues(
    roster: Roster,
    given: _Given,
    classes: pl.DataFrame,
    bad_values: pl.DataFrame,
    of_records: pl.DataFrame,
    near_schools: pl.DataFrame,
) -> pl.DataFrame:
    """DRAFT_ISSUES of schools, values, records and repeated rows. of_records: as `at_schools` takes them."""
    of_classes = classes.select("schools", table=pl.lit("class"), key="external_id").explode("schools").drop_nulls()
    schools_of = pl.concat(
        [
            given.members.select(table="kind", key="external_id", school_id="school_id"),
            of_classes.select("table", "key", school_id="schools"),
        ]
    )
    of_people = (
        bad_values.filter(pl.col("kind") != GUARDIAN)
        .select("code", "file", "line", "detail", table="kind", key="external_id")
        .sort("file", "line")
        .unique(["code", "table", "key"], keep="first", maintain_order=True)
    )
    is_first_unclear = pl.col("code").ne("date_order_unclear") | pl.struct("code", "school_id").is_first_distinct()
    return pl.concat(
        [
            _school_issues(roster, given.scope, near_schools),
            at_schools(of_people, schools_of).sort("file", "line").filter(is_first_unclear),
            at_schools(of_records, schools_of),
            _repeated_rows(roster, given.memberships, given.class_rows, given.scope, schools_of),
        ]
    )


def _bad_values(rows: pl.DataFrame, names: Mapping[Field, str]) -> pl.DataFrame:
    """The people's rows that break VALUES or TEXTS, with code and detail."""
    texts = marked(
        rows,
        names={name: of_kind(names, name) for name in ("first_name", "last_name")},
        ids={"external_id": of_kind(names, "external_id")},
        by=("kind",),
    )
    return pl.concat(
        [
            breaking(VALUES, rows).with_columns(detail=pl.when(code="placeholder_value").then("placeholder")),
            _bad_texts(texts),
        ],
        how="diagonal",
    )


def _bad_texts(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of `marked` that break TEXTS, with code and detail: what is hidden, or which names are damaged."""
    return breaking(TEXTS, rows).with_columns(
        detail=pl.when(code="invisible_character").then("hidden").otherwise("damaged")
    )


def not_shared(kind: str) -> pl.Expr:
    """The detail of an issue with `code`: which kind of record is not shared, else null."""
    return pl.when(code="record_not_shared").then(pl.lit(kind))


def _ids(roster: Roster, locations: pl.DataFrame) -> pl.DataFrame:
    """table, key, file: every ID of a school, employee, student or class in its own table."""
    schools = roster.schools.select(table=pl.lit("school"), key="external_id", file="file")
    return (
        pl.concat([schools, locations.select("table", "key", "file")])
        .group_by("table", "key")
        .agg(pl.col("file").min())
    )


def _unknown_schools(roster: Roster, ids: pl.DataFrame) -> pl.DataFrame:
    """table, key: the school IDs of any row that the schools table does not have."""
    named = pl.concat([rows["school_id"] for rows in (roster.school_members, roster.classes, roster.class_members)])
    missed = named.drop_nulls().unique().alias("key").to_frame().select(table=pl.lit("school"), key="key")
    return missed.join(ids, on=["table", "key"], how="anti")


def _elsewhere(roster: Roster, memberships: pl.DataFrame, people: pl.DataFrame) -> pl.DataFrame:
    """kind, external_id, school_id, name: the left-out schools of those who are in no other row."""
    schools = roster.schools.select("name", school_id="external_id").unique()
    return (
        memberships.filter(scope_status=OUT)
        .join(people, on=["kind", "external_id"], how="anti")
        .select("kind", "external_id", "school_id")
        .unique()
        .join(schools, on="school_id")
    )


def _left_out_note(schools: pl.DataFrame, left_out: list[str]) -> str:
    named = (
        schools.filter(pl.col("external_id").is_in(left_out))
        .group_by("external_id")
        .agg(pl.col("name").min())
        .sort("external_id")
        .select(pl.coalesce(pl.format("{} ({})", "external_id", "name"), "external_id"))
    )
    return f"ignored schools not synced from this source: {', '.join(named.to_series())}"


def at_schools(issues: pl.DataFrame, schools_of: pl.DataFrame) -> pl.DataFrame:
    """Give each issue once for each school of its record.

    Args:
        issues: code, file, table, key, detail (String), line (UInt32).
        schools_of: table, key, school_id (String).

    Returns:
        DRAFT_ISSUES; school_id is null for a record of no school.
    """
    return (
        issues.join(schools_of, on=["table", "key"], how="left")
        .with_columns(record_id=pl.col("key"), root_table=pl.col("table"), root=pl.col("key"))
        .select([pl.col(name).cast(dtype) for name, dtype in DRAFT_ISSUES.items()])
    )


def _with_scope_status(people: pl.DataFrame, guardianships: pl.DataFrame, memberships: pl.DataFrame) -> pl.DataFrame:
    """The people's rows with the scope_status of the school in the same row; a guardian's row is the student's.

    A row of several schools stands as it does at the best of them, one that names no school as its person elsewhere.
    """
    of_student = guardianships.select("entry", "student_id")
    people = (
        people.join(of_student, on="entry", how="left")
        .with_columns(
            school_kind=pl.when(kind=GUARDIAN).then(pl.lit(STUDENT)).otherwise("kind"),
            school_of=pl.when(kind=GUARDIAN).then("student_id").otherwise("external_id"),
        )
        .drop("student_id")
    )
    # "in" sorts before "out" before "unknown".
    by_row = memberships.group_by("file", "line", school_kind="kind", school_of="external_id").agg(
        pl.col("scope_status").min()
    )
    placed = people.join(by_row, on=["file", "line", "school_kind", "school_of"], how="left")
    if placed["scope_status"].null_count():
        best = memberships.group_by(school_kind="kind", school_of="external_id").agg(best=pl.col("scope_status").min())
        placed = (
            placed.join(best, on=["school_kind", "school_of"], how="left")
            .with_columns(scope_status=pl.coalesce("scope_status", "best", pl.lit(IN)))
            .drop("best")
        )
    return placed.drop("school_kind", "school_of")


def _joined(names: Collection[str]) -> list[pl.Expr]:
    """Each column's value that sorts first, the extension being that phone's, and whether there were others."""
    first_phone = pl.col("phone").min()
    return [
        *(pl.col(name).min() for name in names),
        pl.col("phone_extension").filter(pl.col("phone") == first_phone).min(),
        *((pl.col(name).min() != pl.col(name).max()).fill_null(False).alias(f"differs_{name}") for name in names),
    ]


def _conflicts(names: Mapping[str, str]) -> pl.Expr:
    """The names of the columns that differ, or null."""
    return with_commas([pl.when(pl.col(f"differs_{name}")).then(pl.lit(shown)) for name, shown in names.items()])


def _people(rows: pl.DataFrame, members: pl.DataFrame, roster: Roster) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of each employee and student joined, and what is wrong with the records.

    Rule: joined from the values that are good; each field takes the non-empty value that sorts first.
    """
    key = ["kind", "external_id"]
    joined = (
        rows.sort("file", "line")
        .group_by(key, maintain_order=True)
        .agg(
            pl.col("role").max(),
            pl.col("sis_id").min(),
            *_joined(_FIELDS),
            pl.col("file").first(),
            pl.col("line").first(),
            *(pl.col(f"bad_{name}").any() for name in READ),
            rows=pl.len(),
        )
        .with_columns(_unread(name, roster) for name in READ)
    )
    names = roster.names
    of_employees, of_students = (
        _conflicts({name: called(names, kind, name) for name in _FIELDS}) for kind in (EMPLOYEE, STUDENT)
    )
    records = (
        joined.join(_shared_ids(rows), on=key, how="left")
        .join(members.select(key).unique().with_columns(has_school=pl.lit(True)), on=key, how="left")
        .with_columns(
            pl.col("is_shared").fill_null(False),
            conflicts=pl.when(kind=EMPLOYEE).then(of_employees).otherwise(of_students),
        )
    )
    broken = breaking(PEOPLE, records)
    rejected = broken.filter(pl.col("code").is_in(PERSON_ERRORS)).select(key).unique()
    records = records.join(rejected.with_columns(rejected=pl.lit(True)), on=key, how="left").with_columns(
        is_valid=pl.col("rejected").is_null() & pl.col("has_school").fill_null(False)
    )
    issues = broken.select(
        "code",
        "file",
        "line",
        table="kind",
        key="external_id",
        detail=pl.when(code="duplicate_conflict").then("conflicts").when(code="id_shared").then(_rows_of_id()),
    )
    columns = ["kind", "role", "external_id", "sis_id", *_FIELDS[:4], "phone_extension", *_FIELDS[4:], "file", "line"]
    unread = [f"unread_{name}" for name in READ]
    return records.select(*columns, "is_valid", "is_shared", "bad_birth_date", *unread), issues


def _unread(name: str, roster: Roster) -> pl.Expr:
    lacking = [kind for kind in (EMPLOYEE, STUDENT) if (kind, name) in roster.absent]
    return (pl.col(name).is_null() & (pl.col(f"bad_{name}") | pl.col("kind").is_in(lacking))).alias(f"unread_{name}")


def _rows_of_id() -> pl.Expr:
    """How many rows are on an ID, where a spreadsheet program may have made one ID of many."""
    is_short = pl.col("external_id").str.contains(SCIENTIFIC)
    return pl.when(is_short).then(pl.format("{} records; {}", "rows", pl.lit(SPREADSHEET)))


def _shared_ids(rows: pl.DataFrame) -> pl.DataFrame:
    """kind, external_id, is_shared: IDs that stand for two people.

    Rule: both names differ; or the birth dates, and a name or the email; or, of students, the first names, neither of
    which begins the other word by word, and the grade, email or phone. Only what is not empty differs, and names are
    compared by letters and digits.
    """
    key = ["kind", "external_id"]
    compared = ("email", "phone", "birth_date", "grade")
    named = (values.words(pl.col(name)).alias(name) for name in ("first_name", "last_name"))
    compared_values = rows.select(*key, *compared, *named)
    several = compared_values.unique().filter(pl.len().over(key) > 1)
    # However many rows are on one ID, these are enough to tell that they are several people's.
    some = several.filter(pl.struct(*compared, "first_name", "last_name").rank("dense").over(key) <= _COMPARED_ROWS)
    pairs = several.join(some, on=key, suffix="_other")

    def differs(name: str) -> pl.Expr:
        return (pl.col(name) != pl.col(f"{name}_other")).fill_null(False)

    def other_name(name: str) -> pl.Expr:
        one, other = (pl.col(each).str.replace_all(" ", "", literal=True) for each in (name, f"{name}_other"))
        return (one != other).fill_null(False)

    first, last = other_name("first_name"), other_name("last_name")
    one, other = pl.col("first_name"), pl.col("first_name_other")
    begins = pl.format("{} ", one).str.starts_with(pl.format("{} ", other)) | pl.format("{} ", other).str.starts_with(
        pl.format("{} ", one)
    )
    are_twins = (
        (pl.col("kind") == STUDENT) & first & ~begins & pl.any_horizontal(map(differs, ("grade", "email", "phone")))
    )
    two_people = (first & last) | (differs("birth_date") & (first | last | differs("email"))) | are_twins
    return pairs.filter(two_people).select(key).unique().with_columns(is_shared=pl.lit(True))


def _entries(rows: pl.DataFrame, guardianships: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The guardian entries among the rows, and what is wrong with them (entry, code, detail).

    Rule: an address under more than three different full names of guardians is none of theirs.
    """
    pairs = guardianships.select("entry", "student_id", "relationship", "type", "student_is_known")
    entries = rows.filter(kind=GUARDIAN).join(pairs, on="entry").rename({"external_id": "guardian_id"})
    named = entries.with_columns(
        full_name=pl.concat_str(
            values.folded(pl.col("first_name")).fill_null(""),
            values.folded(pl.col("last_name")).fill_null(""),
            separator="\n",
        )
    )
    sharing = (
        named.filter((pl.col("full_name") != "\n") & pl.col("email").is_not_null())
        .select("email", "full_name")
        .unique()
        .group_by("email")
        .agg(sharing=pl.len())
    )
    shared = named.join(sharing, on="email", how="left", maintain_order="left").with_columns(
        pl.col("sharing").fill_null(0),
        *((pl.col(name).is_null() & pl.col(f"bad_{name}")).alias(f"unread_{name}") for name in ("email", "phone")),
    )
    issues = breaking(ENTRIES, shared).select("entry", "code", detail=not_shared("student"))
    return (
        shared.with_columns(email=pl.when(pl.col("sharing") <= SHARING_LIMIT).then("email")).select(
            "entry",
            "student_id",
            "guardian_id",
            "sis_id",
            "first_name",
            "last_name",
            "email",
            "phone",
            "phone_extension",
            "language",
            "relationship",
            "type",
            "file",
            "line",
            "student_is_known",
            "unread_email",
            "unread_phone",
        ),
        issues,
    )


def _classes(rows: pl.DataFrame, names: Mapping[Field, str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of each class joined, and what is wrong with them. Rule: class names are at most 255 characters."""
    here = rows.filter(pl.col("scope_status") != OUT).sort("file", "line")
    in_scope = pl.col("school_id").filter(pl.col("scope_status") == IN)
    joined = (
        here.group_by("external_id", maintain_order=True)
        .agg(
            pl.col("sis_id", "name").min(),
            pl.col("file").first(),
            pl.col("line").first(),
            schools=in_scope.unique().sort(),
            differs_name=(pl.col("name").min() != pl.col("name").max()).fill_null(False),
        )
        .with_columns(conflicts=_conflicts({"name": called(names, "class", "name")}))
    )
    texts = _marked_names(joined, names, "class")
    broken = pl.concat([breaking(CLASSES, texts), _bad_texts(texts)], how="diagonal")
    rejected = broken.filter(pl.col("code").is_in(CLASS_ERRORS)).select("external_id").unique()
    records = joined.join(rejected.with_columns(rejected=pl.lit(True)), on="external_id", how="left").select(
        "external_id",
        "sis_id",
        "schools",
        "file",
        "line",
        name=pl.col("name").str.slice(0, MAX_CLASS_NAME).str.strip_chars_end(),
        school_id=pl.when(pl.col("schools").list.len() == 1).then(pl.col("schools").list.first()),
        is_valid=pl.col("rejected").is_null() & (pl.col("schools").list.len() == 1),
    )
    issues = broken.select(
        "code",
        "file",
        "line",
        table=pl.lit("class"),
        key="external_id",
        detail=pl.coalesce(pl.when(code="duplicate_conflict").then("conflicts"), "detail"),
    )
    return records, issues


def _marked_names(records: pl.DataFrame, names: Mapping[Field, str], table: str) -> pl.DataFrame:
    return marked(
        records,
        names={"name": called(names, table, "name")},
        ids={"external_id": called(names, table, "external_id")},
    )


def _school_issues(roster: Roster, scope: list[str], near_schools: pl.DataFrame) -> pl.DataFrame:
    """DRAFT_ISSUES of schools. Rule: a school is empty where no row of any kind names it, or nearly names it."""
    with_rows = pl.concat(
        [
            *(rows["school_id"] for rows in (roster.school_members, roster.classes, roster.class_members)),
            near_schools["there"],
        ]
    )
    joined = (
        roster.schools.filter(pl.col("external_id").is_in(scope))
        .sort("file", "line")
        .group_by("external_id", maintain_order=True)
        .agg(
            pl.col("name").min(),
            pl.col("file").first(),
            pl.col("line").first(),
            differs_name=(pl.col("name").min() != pl.col("name").max()).fill_null(False),
        )
        .with_columns(
            conflicts=_conflicts({"name": called(roster.names, "school", "name")}),
            has_rows=pl.col("external_id").is_in(with_rows.drop_nulls().unique().implode()),
        )
    )
    texts = _marked_names(joined, roster.names, "school")
    return (
        pl.concat([breaking(SCHOOLS, texts), _bad_texts(texts)], how="diagonal")
        .select(
            "code",
            "file",
            "line",
            school_id="external_id",
            record_id="external_id",
            detail=pl.coalesce(pl.when(code="duplicate_conflict").then("conflicts"), "detail"),
            root_table=pl.lit(None, pl.String),
            root=pl.lit(None, pl.String),
        )
        .select(list(DRAFT_ISSUES))
    )


def _repeated_rows(
    roster: Roster, memberships: pl.DataFrame, class_rows: pl.DataFrame, scope: list[str], schools_of: pl.DataFrame
) -> pl.DataFrame:
    """DRAFT_ISSUES duplicate_row for each row that says nothing but what an earlier row of its file says."""
    found = []
    for file, rows in roster.rows.items():
        columns = [name for name in rows.columns if name != "line"]
        likely = rows.filter(rows.select(columns).hash_rows().is_duplicated()).sort("line")
        first = pl.struct(columns).is_first_distinct() if likely.height else pl.lit(True)
        marked = likely.select("line", file=pl.lit(file), is_repeated=~first)
        found.append(breaking(ROWS, marked).select("code", "file", "line"))
    locations = pl.concat(found) if found else pl.DataFrame(schema={"code": pl.String, **SOURCE_LOCATION})
    at = ["file", "line"]
    of_people = memberships.filter(pl.col("scope_status") != OUT).select(*at, table="kind", key="external_id")
    of_classes = class_rows.filter(pl.col("scope_status") != OUT).select(*at, table=pl.lit("class"), key="external_id")
    records = pl.concat([of_people, of_classes]).unique()
    no_detail = pl.lit(None, pl.String)
    enrollments = (
        locations.join(roster.class_members.filter(~pl.col("is_owner")), on=at)
        .join(schools_of.filter(table="class"), left_on="class_id", right_on="key", suffix="_class")
        .select(
            "code", "file", "line", school_id="school_id_class", record_id="external_id", detail=no_detail,
            root_table=no_detail, root=no_detail,
        )
    )  # fmt: skip
    of_schools = locations.join(roster.schools.filter(pl.col("external_id").is_in(scope)), on=at).select(
        "code", "file", "line", school_id="external_id", record_id="external_id", detail=no_detail,
        root_table=no_detail, root=no_detail,
    )  # fmt: skip
    return pl.concat(
        [
            at_schools(locations.join(records, on=at).with_columns(detail=no_detail), schools_of),
            enrollments.select(list(DRAFT_ISSUES)),
            of_schools.select(list(DRAFT_ISSUES)),
        ]
    )
