"""Classes, their teachers and students, and guardianships: what refers to a record, and what falls with it.

Rule: what refers to a rejected record goes on with it as last applied, and falls with it only if it was never
provisioned. What merely follows from another problem is no issue of its own. References to left-out rows are no issue.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from contracts import values
from contracts.checking import FOUND, Records, at_schools, not_shared
from contracts.contract import Rule, breaking, contract
from contracts.roster import (
    EMPLOYEE,
    KEPT,
    SETTLED_CLASS_MEMBERS,
    SETTLED_CLASSES,
    SETTLED_GUARDIANSHIPS,
    STUDENT,
    Held,
    Schema,
    as_table,
)

# How many records fall with one: by table (employee, student, class) and ID.
FALLEN: Schema = {"root_table": pl.String, "root": pl.String, "consequences": pl.UInt32}

OWNERS = contract(
    "class owners",
    {
        "teacher": (Rule("co_teacher_unknown", pl.col("is_known") | ~pl.col("others_known")),),
        "school_id": (
            Rule("class_teacher_other_school", pl.col("at_school") | ~pl.col("is_person") | ~pl.col("class_is_valid")),
        ),
    },
)
CLASSES = contract(
    "classes of the district",
    {
        "teachers": (Rule("class_teacher_unknown", pl.col("teachers") > 0),),
        "students": (Rule("class_without_students", (pl.col("students") > 0) | ~pl.col("is_valid")),),
        "name": (Rule("class_name_duplicate", (pl.col("of_this_name") <= 1) | ~pl.col("is_valid")),),
    },
)
_STUDENT_STANDS = pl.col("student_is_known") | pl.col("is_elsewhere")
ENROLLMENTS = contract(
    "enrollments",
    {
        "class_id": (Rule("enrollment_class_unknown", pl.col("class_is_known") | pl.col("is_elsewhere")),),
        "source_id": (
            Rule("enrollment_student_unknown", _STUDENT_STANDS | pl.col("may_be_unshared")),
            Rule("record_not_shared", _STUDENT_STANDS | ~pl.col("may_be_unshared")),
        ),
        "school_id": (
            Rule("enrollment_school_mismatch", ~pl.col("stands") | ~pl.col("names_other")),
            Rule("enrollment_student_other_school", ~pl.col("stands") | pl.col("at_school")),
        ),
    },
)


@dataclass(frozen=True)
class Related:
    """What hangs on people: frames of the roster's settled schemas, FOUND issues, FALLEN counts, KEPT pairs."""

    classes: pl.DataFrame
    class_members: pl.DataFrame
    guardianships: pl.DataFrame
    kept: pl.DataFrame
    found: pl.DataFrame
    fallen: pl.DataFrame


def relate(records: Records, people: pl.DataFrame, guardians: pl.DataFrame, pairs: pl.DataFrame, held: Held) -> Related:
    """Settle classes, class members and guardianships.

    people: kind, source_id, person, link_id; every employee and student of the delivery: `person` is set for valid
    ones, `link_id` for rejected ones that go on as last applied. guardians: the same by `guardian`. pairs: guardian,
    student_id, relationship, type, is_shared (two people on the student's ID).
    """
    teachers = people.filter(kind=EMPLOYEE).select("source_id", "person", "link_id")
    students = people.filter(kind=STUDENT).select("source_id", "person", "link_id")
    classes = _Classes.of(records, teachers, held)
    enrollments = _enrollments(records, classes, students, held)
    owners = classes.owners.filter("class_is_valid", "goes_on")
    guardianships = _guardianships(pairs, students, guardians)
    led = owners.with_columns(kind=pl.lit(EMPLOYEE), is_owner=pl.lit(True))
    attended = enrollments.filter("goes_on").with_columns(
        kind=pl.lit(STUDENT), is_owner=pl.lit(False), school_id="class_school"
    )
    members = pl.concat([as_table(led, SETTLED_CLASS_MEMBERS), as_table(attended, SETTLED_CLASS_MEMBERS)])
    return Related(
        classes=classes.valid.select(list(SETTLED_CLASSES)).sort("source_id"),
        class_members=members.unique(),
        guardianships=guardianships,
        kept=_kept(records, classes, enrollments, held),
        found=pl.concat([classes.found, _enrollment_issues(records, classes, enrollments)]),
        fallen=_fallen(classes, enrollments, pairs, students),
    )


@dataclass(frozen=True)
class _Classes:
    """Classes with what became of them.

    all: as in Records, and: is_valid (its teachers regarded), has_own_error (unknown teachers included), is_fallen
    (with its teachers), is_held, went_on (the school it was last applied at, where it is not valid). valid: those.
    owners: class_id, source_id, file, line, school_id, person, link_id, is_known, goes_on, is_fallen, and the class's
    flags as class_is_valid, class_is_fallen, class_is_held.
    """

    all: pl.DataFrame
    valid: pl.DataFrame
    owners: pl.DataFrame
    found: pl.DataFrame

    @staticmethod
    def of(records: Records, teachers: pl.DataFrame, held: Held) -> _Classes:
        """Judge every class by its teachers. Rule: an error where none of its teacher IDs is known at all."""
        known = records.seen.filter(kind=EMPLOYEE).select("source_id", is_known=pl.lit(True))
        in_scope = teachers.with_columns(is_here=pl.lit(True))
        owners = (
            records.owners.sort("file", "line")
            .unique(["class_id", "source_id"], keep="first", maintain_order=True)
            .join(known, on="source_id", how="left")
            .join(in_scope, on="source_id", how="left")
            .with_columns(
                is_known=pl.col("is_known").fill_null(False),
                goes_on=pl.col("person").is_not_null() | pl.col("link_id").is_not_null(),
                # Known, and in scope, but neither valid nor ever provisioned.
                is_fallen=pl.col("is_here").fill_null(False) & pl.col("person").is_null() & pl.col("link_id").is_null(),
            )
        )
        by_class = owners.group_by(source_id="class_id").agg(
            teachers=pl.col("is_known").sum(),
            standing=(pl.col("is_known") & ~pl.col("is_fallen")).sum(),
        )
        enrolled = records.enrollments.group_by(source_id="class_id").agg(students=pl.len())
        last_applied = held.classes.group_by("source_id").agg(
            went_on=pl.when(pl.len() == 1).then(pl.col("school_id").first()), is_held=pl.lit(True)
        )
        judged = (
            records.classes.join(by_class, on="source_id", how="left")
            .join(enrolled, on="source_id", how="left")
            .join(last_applied, on="source_id", how="left")
            .with_columns(pl.col("teachers", "standing", "students").fill_null(0), pl.col("is_held").fill_null(False))
            .with_columns(
                has_own_error=~pl.col("is_valid") | (pl.col("teachers") == 0),
                is_valid=pl.col("is_valid") & (pl.col("standing") > 0),
            )
            .with_columns(
                is_fallen=~pl.col("has_own_error") & ~pl.col("is_valid"),
                went_on=pl.when(~pl.col("is_valid")).then("went_on"),
                of_this_name=pl.len().over("school_id", values.folded(pl.col("name")), "is_valid"),
            )
        )
        return _Classes(
            all=judged,
            valid=judged.filter("is_valid"),
            owners=owners.join(
                judged.select(
                    class_id="source_id",
                    school_id="school_id",
                    class_is_valid="is_valid",
                    class_is_fallen="is_fallen",
                    class_is_held="is_held",
                ),
                on="class_id",
            ),
            found=_class_issues(records, judged, owners),
        )


def _class_issues(records: Records, classes: pl.DataFrame, owners: pl.DataFrame) -> pl.DataFrame:
    schools_of = (
        classes.select("schools", table=pl.lit("class"), key="source_id")
        .explode("schools")
        .drop_nulls()
        .rename({"schools": "school_id"})
    )
    at_school = records.members.filter(kind=EMPLOYEE).select("source_id", "school_id", at_school=pl.lit(True))
    led = (
        owners.join(
            classes.select(
                class_id="source_id", school_id="school_id", class_is_valid="is_valid", known="teachers", named="name"
            ),
            on="class_id",
        )
        .join(at_school, on=["source_id", "school_id"], how="left")
        .with_columns(
            teacher="source_id",
            others_known=pl.col("known") > 0,
            at_school=pl.col("at_school").fill_null(False),
            is_person=pl.col("person").is_not_null(),
        )
    )
    broken = pl.concat(
        [
            breaking(CLASSES, classes).select("code", "file", "line", key="source_id"),
            breaking(OWNERS, led).select("code", "file", "line", key="class_id"),
        ]
    )
    return at_schools(broken.with_columns(table=pl.lit("class"), detail=pl.lit(None, pl.String)), schools_of)


def _enrollments(records: Records, classes: _Classes, students: pl.DataFrame, held: Held) -> pl.DataFrame:
    """Each pair of class and student, with what is known of the two.

    A pair repeated keeps its first line. `is_elsewhere`: its class or student is only in left-out schools, or, where
    neither is known, the row names such a school.
    """
    is_left_out = pl.col("school_id").is_in(records.left_out_schools).fill_null(False)
    known_classes = records.seen_classes.select(class_id="source_id", class_is_known=pl.lit(True)).unique()
    known_students = records.seen.filter(kind=STUDENT).select("source_id", student_is_known=pl.lit(True))
    of_class = classes.all.select(
        class_id="source_id",
        class_school=pl.when("is_valid").then("school_id").otherwise("went_on"),
        class_is_valid="is_valid",
        class_is_held="is_held",
        class_is_fallen="is_fallen",
        has_class=pl.lit(True),
    )
    at_school = records.members.filter(kind=STUDENT).select(
        "source_id", class_school="school_id", at_school=pl.lit(True)
    )
    rows = (
        records.enrollments.sort("file", "line")
        .unique(["class_id", "source_id", "school_id"], keep="first", maintain_order=True)
        .join(known_classes, on="class_id", how="left")
        .join(known_students, on="source_id", how="left")
        .join(of_class, on="class_id", how="left")
        .join(students.with_columns(has_student=pl.lit(True)), on="source_id", how="left")
        .join(at_school, on=["source_id", "class_school"], how="left")
    )
    flags = (
        *("class_is_known", "student_is_known", "has_class", "has_student", "at_school"),
        *("class_is_valid", "class_is_held", "class_is_fallen"),
    )
    return (
        rows.with_columns(pl.col(flags).fill_null(False))
        .with_columns(
            goes_on=pl.col("class_school").is_not_null()
            & (pl.col("person").is_not_null() | pl.col("link_id").is_not_null()),
            is_elsewhere=(pl.col("class_is_known") & ~pl.col("has_class"))
            | (pl.col("student_is_known") & ~pl.col("has_student"))
            | (~pl.col("class_is_known") & ~pl.col("student_is_known") & is_left_out),
            names_other=(pl.col("school_id") != pl.col("class_school")).fill_null(False),
        )
        .with_columns(
            stands=pl.col("class_is_valid") & pl.col("person").is_not_null(),
            may_be_unshared=pl.lit(records.shares_part),
        )
    )


def _enrollment_issues(records: Records, classes: _Classes, enrollments: pl.DataFrame) -> pl.DataFrame:
    """FOUND. An enrollment's school is its class's, else its student's, else the one in the row if it is in scope."""
    by_row = pl.col("school_id").is_in(records.schools)
    broken = (
        breaking(ENROLLMENTS, enrollments)
        .sort("file", "line")
        .unique(["code", "class_id", "source_id"], keep="first", maintain_order=True)
    )
    of_class = classes.all.select("schools", class_id="source_id").filter(pl.col("schools").list.len() > 0)
    of_student = (
        records.members.filter(kind=STUDENT).group_by("source_id").agg(student_schools=pl.col("school_id").sort())
    )
    placed = (
        broken.join(of_class, on="class_id", how="left")
        .join(of_student, on="source_id", how="left")
        .with_columns(
            school_id=pl.coalesce("schools", "student_schools", pl.when(by_row).then(pl.concat_list("school_id"))),
            record_id=pl.when(pl.col("code").is_in(["enrollment_class_unknown", "record_not_shared"]))
            .then("class_id")
            .otherwise("source_id"),
            detail=not_shared("student"),
            root_table=pl.lit(None, pl.String),
            root=pl.lit(None, pl.String),
        )
        .explode("school_id")
    )
    return as_table(placed, FOUND)


def _guardianships(pairs: pl.DataFrame, students: pl.DataFrame, guardians: pl.DataFrame) -> pl.DataFrame:
    """Pairs both of whose sides go on. With two people on the student's ID, it is not known whose guardian it is."""
    goes_on = pl.col("person").is_not_null() | pl.col("link_id").is_not_null()
    both = (
        pairs.filter(~pl.col("is_shared"))
        .join(students.filter(goes_on), left_on="student_id", right_on="source_id")
        .rename({"person": "student", "link_id": "student_link_id"})
        .join(guardians.filter(goes_on), on="guardian")
        .select(
            "student",
            "student_link_id",
            "relationship",
            "type",
            guardian="person",
            guardian_link_id="link_id",
        )
    )
    return as_table(both, SETTLED_GUARDIANSHIPS).sort(
        "student", "student_link_id", "guardian", "guardian_link_id", nulls_last=True
    )


def _kept(records: Records, classes: _Classes, enrollments: pl.DataFrame, held: Held) -> pl.DataFrame:
    """KEPT of classes, class_owners and class_students, for every row that was not applied.

    A record that is only not shared keeps its own places, and nobody else's in its classes: that may last for ever.
    """
    own = held.links.filter("own").select("kind", "source_id", "link_id")
    teacher_links = own.filter(kind=EMPLOYEE).select("source_id", "link_id")
    student_links = own.filter(kind=STUDENT).select("source_id", "link_id")
    not_applied = pl.concat(
        [
            classes.all.filter(~pl.col("is_valid")).select("source_id"),
            records.unknown_schools.filter(table="class").select(source_id="key"),
        ]
    )
    owners = classes.owners.filter(
        ~pl.col("class_is_valid") | (~pl.col("goes_on") & (pl.col("is_fallen") | ~pl.col("is_known")))
    ).drop("link_id")
    fallen = enrollments.filter(~pl.col("goes_on") & ~pl.col("is_elsewhere")).drop("link_id")
    is_mistaken = pl.lit(not records.shares_part)

    def classes_of(table: str, rows: pl.DataFrame, column: str) -> pl.DataFrame:
        return rows.select(table=pl.lit(table), link_id=pl.lit(None, pl.String), class_id=column)

    def links_of(table: str, rows: pl.DataFrame, links: pl.DataFrame) -> pl.DataFrame:
        return rows.join(links, on="source_id").select("link_id", table=pl.lit(table), class_id=pl.lit(None, pl.String))

    return pl.concat(
        [
            as_table(frame, KEPT)
            for frame in (
                classes_of("classes", not_applied, "source_id"),
                classes_of("class_owners", not_applied, "source_id"),
                classes_of(
                    "class_owners",
                    owners.filter(is_mistaken | pl.col("is_known") | ~pl.col("class_is_valid")),
                    "class_id",
                ),
                links_of("class_owners", owners, teacher_links),
                classes_of("class_students", fallen.filter(is_mistaken | pl.col("student_is_known")), "class_id"),
                links_of("class_students", fallen, student_links),
            )
        ]
    )


def _fallen(classes: _Classes, enrollments: pl.DataFrame, pairs: pl.DataFrame, students: pl.DataFrame) -> pl.DataFrame:
    """FALLEN: enrollments with their class; classes and their enrollments with a teacher; a student's enrollments and
    guardian entries. Rule: only what was never provisioned falls.
    """
    known = enrollments.filter("has_class", "has_student").unique(["class_id", "source_id"])
    of_class = known.filter(~pl.col("class_is_valid") & ~pl.col("class_is_held"))
    never_provisioned = students.filter(pl.col("person").is_null() & pl.col("link_id").is_null())
    of_student = pl.concat([known.select("source_id"), pairs.select(source_id="student_id")]).join(
        never_provisioned, on="source_id", how="semi"
    )
    fallen_classes = classes.owners.filter("is_fallen", "class_is_fallen", ~pl.col("class_is_held"))
    of_teacher = pl.concat(
        [
            fallen_classes.select("source_id"),
            of_class.select("class_id")
            .join(fallen_classes.select("class_id", "source_id"), on="class_id")
            .select("source_id"),
        ]
    )
    counted = pl.concat(
        [
            of_class.select(root_table=pl.lit("class"), root="class_id"),
            of_student.select(root_table=pl.lit(STUDENT), root="source_id"),
            of_teacher.select(root_table=pl.lit(EMPLOYEE), root="source_id"),
        ]
    )
    return as_table(counted.group_by("root_table", "root").agg(consequences=pl.len()), FALLEN)
