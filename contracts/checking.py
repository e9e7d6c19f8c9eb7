"""Checking: a roster becomes records. Values row by row, rows that share an ID joined, then each record by itself.

What needs the whole district or what the database holds (whose e-mail, which guardian, whose class) is
`contracts.settling`'s. Rule: rows of schools that the schools table names but that are not in scope are left out before
anything is settled; their IDs count as seen.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from contracts import values
from contracts.contract import Rule, breaking, contract
from contracts.roster import EMPLOYEE, GUARDIAN, PLACE, STUDENT, Roster, Schema

MAX_SCHOOL_NAME = 60
MAX_CLASS_NAME = 255
SHARING_LIMIT = 3

# An issue on its way: one row per school it concerns. `root` names the record that others may fall with: its table
# (employee, student, class) and ID.
FOUND: Schema = {
    "code": pl.String,
    "school_id": pl.String,
    **PLACE,
    "record_id": pl.String,
    "detail": pl.String,
    "root_table": pl.String,
    "root": pl.String,
}

# A row's school: in scope, left out, or in no row of the schools table.
IN, OUT, UNKNOWN = "in", "out", "unknown"

_FIELDS = ("first_name", "last_name", "email", "phone", "birth_date", "grade", "language")


def _good(name: str) -> pl.Expr:
    return pl.col(name).is_not_null() | pl.col(f"raw_{name}").is_null()


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
        )
    },
)
VALUES = contract(
    "values",
    {
        # What a teacher's bad e-mail means depends on their other rows.
        "email": (Rule("email_invalid", _good("email") | _IS_EMPLOYEE),),
        "phone": (Rule("phone_invalid", _good("phone")),),
        "birth_date": (Rule("birth_date_invalid", _good("birth_date")),),
        "grade": (Rule("grade_unknown", _good("grade")),),
    },
)
PEOPLE = contract(
    "people",
    {
        "source_id": (
            Rule("id_shared", ~pl.col("is_shared")),
            Rule("duplicate_conflict", pl.col("conflicts").is_null() | pl.col("is_shared")),
        ),
        "first_name": (Rule("name_missing", pl.col("first_name").is_not_null() & pl.col("last_name").is_not_null()),),
        "email": (
            Rule("teacher_email_missing", ~_IS_EMPLOYEE | pl.col("email").is_not_null() | pl.col("bad_email")),
            Rule("teacher_email_invalid", ~_IS_EMPLOYEE | pl.col("email").is_not_null() | ~pl.col("bad_email")),
            Rule("email_invalid", ~_IS_EMPLOYEE | pl.col("email").is_null() | ~pl.col("bad_email")),
        ),
        "birth_date": (
            Rule(
                "birth_date_missing",
                (pl.col("kind") != STUDENT) | pl.col("birth_date").is_not_null() | pl.col("bad_birth_date"),
            ),
        ),
    },
)
MEMBERSHIPS = contract(
    "memberships",
    {
        "school_id": (
            Rule("school_unknown", (pl.col("standing") != UNKNOWN) | pl.col("may_be_unshared")),
            Rule("record_not_shared", (pl.col("standing") != UNKNOWN) | ~pl.col("may_be_unshared")),
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


@dataclass(frozen=True)
class Records:
    """A checked roster, before anything is settled. Only rows in scope, or of an unknown school, unless said.

    people: kind, role, source_id, other_id, first_name, last_name, email, phone, phone_extension, birth_date (Date),
    grade, language, file, line, is_valid, is_shared (two people on the ID); employees and students, one row per ID.
    members: kind, source_id, school_id; in scope only.
    entries, left_out: entry, student_id, guardian_id, other_id, first_name, last_name, email, phone, phone_extension,
    language, relationship, type, file, line, student_is_known, unread_email, unread_phone (Boolean: a value came that
    cannot be read); guardian entries, one per row; those of left-out schools apart.
    entry_issues: entry, code. classes: source_id, other_id, name, school_id, schools (List), file, line, is_valid.
    owners: class_id, source_id, file, line. enrollments: class_id, source_id, school_id, file, line (any school's).
    seen: kind, source_id; every employee and student in any row. seen_classes: source_id, school_id; likewise.
    in_classes: kind, source_id; everybody whom any row puts into a class.
    unknown_schools: table (employee, student, class), key; who has a row with an unknown school. found: FOUND.
    rows, has_lines, shares_part: the roster's.
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
    unknown_schools: pl.DataFrame
    found: pl.DataFrame
    rows: Mapping[str, pl.DataFrame]
    has_lines: bool
    shares_part: bool

    def emails(self) -> list[str]:
        """Every e-mail that a record claims, normalised."""
        return pl.concat([self.people["email"], self.entries["email"]]).drop_nulls().unique().sort().to_list()


def check(roster: Roster, schools: Collection[str] | None, *, region: str = "US", today: date) -> Records:
    """Check a roster by itself.

    schools: the source's IDs of the schools in scope; None (a dry run): all that the schools table names. region: where
    phone numbers without a country code belong. today: no birth date is later.

    Raises:
        DataError: a check could not be computed.
    """
    named = roster.schools["source_id"].unique()
    scope = sorted(set(named) if schools is None else set(named) & set(schools))
    missing = () if schools is None else tuple(sorted(set(schools) - set(named)))
    left_out_schools = sorted(set(named) - set(scope))
    notes = (_left_out_note(roster.schools, left_out_schools),) if left_out_schools else ()
    standing = (
        pl.when(pl.col("school_id").is_in(scope))
        .then(pl.lit(IN))
        .when(pl.col("school_id").is_in(left_out_schools))
        .then(pl.lit(OUT))
        .otherwise(pl.lit(UNKNOWN))
        .alias("standing")
    )
    memberships = roster.school_members.with_columns(standing)
    class_rows = roster.classes.with_columns(standing)

    rows = _normalised(_with_standing(roster, memberships), region, today)
    here = rows.filter(pl.col("standing") != OUT)
    bad_values = breaking(VALUES, here)
    members = memberships.filter(standing=IN).select("kind", "source_id", "school_id").unique()
    person_schools = members.rename({"kind": "table", "source_id": "key"})
    people, person_issues = _people(here.filter(pl.col("kind") != GUARDIAN), members)
    seen = memberships.select("kind", "source_id").unique()
    guardianships = roster.guardianships.join(
        seen.filter(kind=STUDENT).select(student_id="source_id", student_is_known=pl.lit(True)),
        on="student_id",
        how="left",
    ).with_columns(pl.col("student_is_known").fill_null(False))
    entries, entry_issues = _entries(here, guardianships)
    left_out, _ = _entries(rows.filter(standing=OUT), guardianships)
    entry_values = bad_values.filter(kind=GUARDIAN).select("entry", "code")
    classes, class_issues = _classes(class_rows)
    class_schools = (
        classes.select(pl.lit("class").alias("table"), pl.col("source_id").alias("key"), pl.col("schools"))
        .explode("schools")
        .drop_nulls()
        .rename({"schools": "school_id"})
    )
    schools_of = pl.concat([person_schools.select("table", "key", "school_id"), class_schools])
    person_values = bad_values.filter(pl.col("kind") != GUARDIAN).select(
        "code", "file", "line", table="kind", key="source_id", detail=pl.lit(None, pl.String)
    )
    unknown_rows = pl.concat(
        [
            memberships.select("standing", "school_id", "file", "line", table="kind", key="source_id"),
            class_rows.select("standing", "school_id", "file", "line", table=pl.lit("class"), key="source_id"),
        ]
    )
    # A record that names no school is lacking by itself, whatever the source shares.
    may_be_unshared = pl.lit(roster.shares_part) & pl.col("school_id").is_not_null()
    unknown = (
        breaking(MEMBERSHIPS, unknown_rows.with_columns(may_be_unshared=may_be_unshared))
        .sort("file", "line")
        .unique(["table", "key", "school_id"], keep="first", maintain_order=True)
        .select("code", "file", "line", "table", "key", detail=not_shared("school"))
    )
    first_bad_values = person_values.sort("file", "line").unique(
        ["code", "table", "key"], keep="first", maintain_order=True
    )
    found = pl.concat(
        [
            _school_issues(roster.schools, scope),
            at_schools(pl.concat([person_issues, first_bad_values, unknown, class_issues]), schools_of),
            _repeated_rows(roster, memberships, class_rows, scope, schools_of),
        ]
    )
    left_out_classes = class_rows.filter(standing=OUT).select("file", "line")
    class_members = roster.class_members
    return Records(
        schools=tuple(scope),
        missing_schools=missing,
        left_out_schools=tuple(left_out_schools),
        notes=notes,
        people=people,
        members=members,
        entries=entries,
        left_out=left_out,
        entry_issues=pl.concat([entry_values, entry_issues]),
        classes=classes,
        owners=class_members.filter("is_owner")
        .join(left_out_classes, on=["file", "line"], how="anti")
        .join(classes, left_on="class_id", right_on="source_id", how="semi")
        .select("class_id", "source_id", "file", "line"),
        enrollments=class_members.filter(~pl.col("is_owner")).select(
            "class_id", "source_id", "school_id", "file", "line"
        ),
        seen=seen,
        seen_classes=roster.classes.select("source_id", "school_id").unique(),
        in_classes=class_members.select("kind", "source_id").unique(),
        unknown_schools=unknown.select("table", "key").unique(),
        found=found,
        rows=roster.rows,
        has_lines=roster.has_lines,
        shares_part=roster.shares_part,
    )


def not_shared(kind: str) -> pl.Expr:
    """The detail of an issue with `code`: which kind of record is not shared, else null."""
    return pl.when(code="record_not_shared").then(pl.lit(kind))


def _left_out_note(schools: pl.DataFrame, left_out: list[str]) -> str:
    named = (
        schools.filter(pl.col("source_id").is_in(left_out))
        .group_by("source_id")
        .agg(pl.col("name").min())
        .sort("source_id")
        .select(pl.coalesce(pl.format("{} ({})", "source_id", "name"), "source_id"))
    )
    return f"left out, as this source does not sync them: schools {', '.join(named.to_series())}"


def at_schools(issues: pl.DataFrame, schools_of: pl.DataFrame) -> pl.DataFrame:
    """FOUND, from issues (code, file, line, table, key, detail), once for each school of their record.

    schools_of: table, key, school_id.
    """
    return (
        issues.join(schools_of, on=["table", "key"], how="left")
        .with_columns(record_id=pl.col("key"), root_table=pl.col("table"), root=pl.col("key"))
        .select([pl.col(name).cast(dtype) for name, dtype in FOUND.items()])
    )


def _with_standing(roster: Roster, memberships: pl.DataFrame) -> pl.DataFrame:
    """The people's rows with the standing of the school in the same row; a guardian's row is the student's.

    A row of several schools stands as it does at the best of them, one that names no school as its person elsewhere.
    """
    of_student = roster.guardianships.select("entry", "student_id")
    people = (
        roster.people.join(of_student, on="entry", how="left")
        .with_columns(
            school_kind=pl.when(kind=GUARDIAN).then(pl.lit(STUDENT)).otherwise("kind"),
            school_of=pl.when(kind=GUARDIAN).then("student_id").otherwise("source_id"),
        )
        .drop("student_id")
    )
    # "in" sorts before "out" before "unknown".
    by_row = memberships.group_by("file", "line", school_kind="kind", school_of="source_id").agg(
        pl.col("standing").min()
    )
    placed = people.join(by_row, on=["file", "line", "school_kind", "school_of"], how="left")
    if placed["standing"].null_count():
        best = memberships.group_by(school_kind="kind", school_of="source_id").agg(best=pl.col("standing").min())
        placed = (
            placed.join(best, on=["school_kind", "school_of"], how="left")
            .with_columns(standing=pl.coalesce("standing", "best", pl.lit(IN)))
            .drop("best")
        )
    return placed.drop("school_kind", "school_of")


def _normalised(people: pl.DataFrame, region: str, today: date) -> pl.DataFrame:
    """The rows with good values, or null, in place of those that came, which stay beside them as ``raw_``."""
    checked = ("email", "phone", "birth_date", "grade")
    return (
        people.with_columns(
            *(pl.col(name).alias(f"raw_{name}") for name in checked),
            email=values.email(pl.col("email")),
            birth_date=values.birth_date(pl.col("birth_date"), today),
            grade=values.grade(pl.col("grade")),
            parsed=values.phones(people["phone"], region),
        )
        .drop("phone")
        .unnest("parsed")
    )


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
    named = pl.concat_str(
        [pl.when(pl.col(f"differs_{name}")).then(pl.lit(shown)) for name, shown in names.items()],
        separator=", ",
        ignore_nulls=True,
    )
    return pl.when(named != "").then(named)


def _people(rows: pl.DataFrame, members: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of each employee and student joined, and what is wrong with the records.

    Rule: joined from the values that are good; each field takes the non-empty value that sorts first.
    """
    key = ["kind", "source_id"]
    joined = (
        rows.sort("file", "line")
        .group_by(key, maintain_order=True)
        .agg(
            pl.col("role").max(),
            pl.col("other_id").min(),
            *_joined(_FIELDS),
            pl.col("file").first(),
            pl.col("line").first(),
            bad_email=(~_good("email")).any(),
            bad_birth_date=(~_good("birth_date")).any(),
        )
    )
    spelled = rows.select(*key, first=values.folded(pl.col("first_name")), last=values.folded(pl.col("last_name")))
    several = spelled.drop_nulls().unique().filter(pl.len().over(key) > 1)
    two_names = (
        several.join(several, on=key, suffix="_other")
        .filter((pl.col("first") != pl.col("first_other")) & (pl.col("last") != pl.col("last_other")))
        .select(key)
        .unique()
        .with_columns(two_names=pl.lit(True))
    )
    records = (
        joined.join(two_names, on=key, how="left")
        .join(members.select(key).unique().with_columns(has_school=pl.lit(True)), on=key, how="left")
        .with_columns(
            is_shared=pl.col("two_names").fill_null(False) | pl.col("differs_birth_date"),
            conflicts=_conflicts({name: name for name in _FIELDS}),
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
        key="source_id",
        detail=pl.when(code="duplicate_conflict").then("conflicts"),
    )
    columns = ["kind", "role", "source_id", "other_id", *_FIELDS[:4], "phone_extension", *_FIELDS[4:], "file", "line"]
    return records.select(*columns, "is_valid", "is_shared"), issues


def _entries(rows: pl.DataFrame, guardianships: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The guardian entries among the rows, and what is wrong with them (entry, code).

    Rule: an address under more than three different full names of guardians is none of theirs.
    """
    pairs = guardianships.select("entry", "student_id", "relationship", "type", "student_is_known")
    entries = rows.filter(kind=GUARDIAN).join(pairs, on="entry").rename({"source_id": "guardian_id"})
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
        *((~_good(name)).alias(f"unread_{name}") for name in ("email", "phone")),
    )
    issues = breaking(ENTRIES, shared).select("entry", "code")
    return (
        shared.with_columns(email=pl.when(pl.col("sharing") <= SHARING_LIMIT).then("email")).select(
            "entry",
            "student_id",
            "guardian_id",
            "other_id",
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


def _classes(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of each class joined, and what is wrong with them. Rule: class names are at most 255 characters."""
    here = rows.filter(pl.col("standing") != OUT).sort("file", "line")
    in_scope = pl.col("school_id").filter(pl.col("standing") == IN)
    joined = (
        here.group_by("source_id", maintain_order=True)
        .agg(
            pl.col("other_id", "name").min(),
            pl.col("file").first(),
            pl.col("line").first(),
            schools=in_scope.unique().sort(),
            differs_name=(pl.col("name").min() != pl.col("name").max()).fill_null(False),
        )
        .with_columns(conflicts=_conflicts({"name": "class_name"}))
    )
    broken = breaking(CLASSES, joined)
    rejected = broken.filter(pl.col("code").is_in(CLASS_ERRORS)).select("source_id").unique()
    records = joined.join(rejected.with_columns(rejected=pl.lit(True)), on="source_id", how="left").select(
        "source_id",
        "other_id",
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
        key="source_id",
        detail=pl.when(code="duplicate_conflict").then("conflicts"),
    )
    return records, issues


def _school_issues(schools: pl.DataFrame, scope: list[str]) -> pl.DataFrame:
    joined = (
        schools.filter(pl.col("source_id").is_in(scope))
        .sort("file", "line")
        .group_by("source_id", maintain_order=True)
        .agg(
            pl.col("name").min(),
            pl.col("file").first(),
            pl.col("line").first(),
            differs_name=(pl.col("name").min() != pl.col("name").max()).fill_null(False),
        )
        .with_columns(conflicts=_conflicts({"name": "school_name"}))
    )
    return (
        breaking(SCHOOLS, joined)
        .select(
            "code",
            "file",
            "line",
            school_id="source_id",
            record_id="source_id",
            detail=pl.when(code="duplicate_conflict").then("conflicts"),
            root_table=pl.lit(None, pl.String),
            root=pl.lit(None, pl.String),
        )
        .select(list(FOUND))
    )


def _repeated_rows(
    roster: Roster, memberships: pl.DataFrame, class_rows: pl.DataFrame, scope: list[str], schools_of: pl.DataFrame
) -> pl.DataFrame:
    """FOUND duplicate_row for each row that says nothing but what an earlier row of its file says."""
    found = []
    for file, rows in roster.rows.items():
        columns = [name for name in rows.columns if name != "line"]
        likely = rows.filter(rows.select(columns).hash_rows().is_duplicated()).sort("line")
        first = pl.struct(columns).is_first_distinct() if likely.height else pl.lit(True)
        marked = likely.select("line", file=pl.lit(file), is_repeated=~first)
        found.append(breaking(ROWS, marked).select("code", "file", "line"))
    places = pl.concat(found) if found else pl.DataFrame(schema={"code": pl.String, **PLACE})
    at = ["file", "line"]
    of_people = memberships.filter(pl.col("standing") != OUT).select(*at, table="kind", key="source_id")
    of_classes = class_rows.filter(pl.col("standing") != OUT).select(*at, table=pl.lit("class"), key="source_id")
    records = pl.concat([of_people, of_classes]).unique()
    no_detail = pl.lit(None, pl.String)
    enrollments = (
        places.join(roster.class_members.filter(~pl.col("is_owner")), on=at)
        .join(schools_of.filter(table="class"), left_on="class_id", right_on="key", suffix="_class")
        .select(
            "code", "file", "line", school_id="school_id_class", record_id="source_id", detail=no_detail,
            root_table=no_detail, root=no_detail,
        )
    )  # fmt: skip
    of_schools = places.join(roster.schools.filter(pl.col("source_id").is_in(scope)), on=at).select(
        "code", "file", "line", school_id="source_id", record_id="source_id", detail=no_detail,
        root_table=no_detail, root=no_detail,
    )  # fmt: skip
    return pl.concat(
        [
            at_schools(places.join(records, on=at).with_columns(detail=no_detail), schools_of),
            enrollments.select(list(FOUND)),
            of_schools.select(list(FOUND)),
        ]
    )
