"""Classes, their teachers and students, and guardianships: what refers to a record, and what falls with it.

Rule: what refers to a rejected record goes on with it as last applied, and falls with it only if it was never
provisioned. What merely follows from another problem is no issue of its own: nobody lacks what a rejected row or a
nearly right one would give them, or what they have as last applied. References to left-out rows are no issue.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from contracts import spelling, values
from contracts.checking import DRAFT_ISSUES, Records, at_schools, not_shared
from contracts.roster import (
    EMPLOYEE,
    PROTECTED_PAIRS,
    SETTLED_CLASS_MEMBERS,
    SETTLED_CLASSES,
    SETTLED_GUARDIANSHIPS,
    STUDENT,
    Schema,
    StoredRoster,
    as_table,
)
from contracts.rules import Rule, breaking, contract

# Of a class's members: the table of PROTECTED_PAIRS, and the kind.
_TABLES = {"class_owners": EMPLOYEE, "class_students": STUDENT}

# How many records fall with one: by table (employee, student, class) and ID.
DEPENDENT_COUNTS: Schema = {"root_table": pl.String, "root": pl.String, "dependents": pl.UInt32}

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
        "has_students": (Rule("class_without_students", pl.col("has_students") | ~pl.col("is_valid")),),
        "name": (Rule("class_name_duplicate", (pl.col("of_this_name") <= 1) | ~pl.col("is_valid")),),
    },
)
_PERSON_STANDS = pl.col("person_is_known") | pl.col("is_elsewhere")
ENROLLMENTS = contract(
    "enrollments",
    {
        "class_id": (Rule("enrollment_class_unknown", pl.col("class_is_known") | pl.col("is_elsewhere")),),
        "external_id": (
            Rule("enrollment_student_unknown", _PERSON_STANDS | pl.col("may_be_unshared")),
            Rule("record_not_shared", _PERSON_STANDS | ~pl.col("may_be_unshared")),
        ),
        "kind": (Rule("enrollment_ambiguous", ~pl.col("stands") | ~pl.col("is_ambiguous")),),
        "school_id": (
            Rule("enrollment_school_mismatch", ~pl.col("stands") | ~pl.col("names_other")),
            Rule(
                "enrollment_student_other_school",
                ~pl.col("stands") | pl.col("at_school") | (pl.col("kind") != STUDENT),
            ),
        ),
    },
)


@dataclass(frozen=True)
class Related:
    """What hangs on people: frames of the roster's settled schemas.

    protected: PROTECTED_PAIRS. draft_issues: DRAFT_ISSUES. dependents: DEPENDENT_COUNTS. in_classes: kind, external_id;
    who is in a class, or would be but for a row that is not right.
    """

    classes: pl.DataFrame
    class_members: pl.DataFrame
    guardianships: pl.DataFrame
    protected: pl.DataFrame
    draft_issues: pl.DataFrame
    dependents: pl.DataFrame
    in_classes: pl.DataFrame


def relate(
    records: Records, people: pl.DataFrame, guardians: pl.DataFrame, pairs: pl.DataFrame, stored: StoredRoster
) -> Related:
    """Settle classes, class members and guardianships.

    Args:
        records: the checked delivery.
        people: kind, external_id, link_id (String), person (UInt32); every employee and student of the delivery.
            `person` is set for valid ones, `link_id` for rejected ones that go on as last applied.
        guardians: guardian (UInt32), person and link_id as in people.
        pairs: guardian (UInt32), student_id, relationship, type (String), is_shared (Boolean: two people on the
            student's ID).
        stored: what the database has of the district.
    """
    teachers = people.filter(kind=EMPLOYEE).select("external_id", "person", "link_id")
    students = people.filter(kind=STUDENT).select("external_id", "person", "link_id")
    enrolled = _enrolled(records, stored)
    near = _near(records, enrolled)
    classes = _Classes.of(records, teachers, enrolled, stored)
    enrollments = _enrollments(records, classes, enrolled, people)
    owners = classes.owners.filter("class_is_valid", "goes_on")
    guardianships = _guardianships(pairs, students, guardians)
    led = owners.with_columns(kind=pl.lit(EMPLOYEE), is_owner=pl.lit(True))
    attended = enrollments.filter("goes_on", kind=STUDENT).with_columns(
        is_owner=pl.lit(False), school_id="class_school"
    )
    members = pl.concat([as_table(led, SETTLED_CLASS_MEMBERS), as_table(attended, SETTLED_CLASS_MEMBERS)])
    protected = _protected_pairs(records, classes, enrollments, stored)
    lasting = _lasting(records, protected, stored)
    with_students = pl.concat(
        [
            enrolled.filter(pl.col("kind").ne_missing(EMPLOYEE)).select("class_id"),
            near.filter(table="class").select(class_id="there"),
            lasting.filter(kind=STUDENT).select("class_id"),
        ]
    )
    return Related(
        classes=classes.valid.select(list(SETTLED_CLASSES)).sort("external_id"),
        class_members=members.unique(),
        guardianships=guardianships,
        protected=protected,
        draft_issues=pl.concat(
            [
                _class_issues(records, classes, with_students["class_id"], near),
                _enrollment_issues(records, classes, enrollments, near),
            ]
        ),
        dependents=_dependent_counts(classes, enrollments.filter(kind=STUDENT), pairs, students),
        in_classes=pl.concat(
            [
                frame.select("kind", "external_id").drop_nulls()
                for frame in (
                    records.in_classes,
                    enrolled,
                    near.rename({"table": "kind", "there": "external_id"}),
                    lasting,
                )
            ]
        ).unique(),
    )


def _enrolled(records: Records, stored: StoredRoster) -> pl.DataFrame:
    """The enrollments with the kind of their person (null: it is nobody's ID that is known), and is_ambiguous.

    Rule: an ID that is both a student's and a teacher's is the student's; it is the teacher's only if the class itself
    names it and the rows carry teachers at all, some ID in them being a teacher's only. Even then a student who is in
    the class already stays, which is ambiguous.
    """
    students, teachers = (records.seen.filter(kind=kind).select("external_id") for kind in (STUDENT, EMPLOYEE))
    of_both = stored.links.filter("from_this_source", kind=STUDENT).join(
        students.join(teachers, on="external_id"), on="external_id", how="semi"
    )
    flags = {
        "is_student": students,
        "is_teacher": teachers,
        "is_named": records.owners.select("class_id", "external_id").unique(),
        "is_in_class": stored.class_members.filter(~pl.col("is_owner"))
        .join(of_both.select("link_id", "external_id"), on="link_id")
        .select("class_id", "external_id")
        .unique(),
    }
    rows = records.enrollments.with_columns(kind_is_given=pl.col("kind").is_not_null())
    for name, known in flags.items():
        rows = rows.join(known.with_columns(pl.lit(True).alias(name)), on=known.columns, how="left")
    rows = rows.with_columns(pl.col(list(flags)).fill_null(False))
    carry_teachers = (~pl.col("kind_is_given") & pl.col("is_teacher") & ~pl.col("is_student")).any()
    may_teach = pl.col("is_teacher") & pl.col("is_named") & carry_teachers
    return rows.with_columns(
        kind=pl.when("kind_is_given")
        .then("kind")
        .when(pl.col("is_student") & (~may_teach | pl.col("is_in_class")))
        .then(pl.lit(STUDENT))
        .when("is_teacher")
        .then(pl.lit(EMPLOYEE)),
        is_ambiguous=~pl.col("kind_is_given") & pl.col("is_student") & may_teach & pl.col("is_in_class"),
    ).drop("kind_is_given", *flags)


def _near(records: Records, enrolled: pl.DataFrame) -> pl.DataFrame:
    """NEAR of the classes, people and schools that rows refer to and that are not there."""
    people = enrolled.filter(pl.col("kind").is_null())
    missed = [
        enrolled.select(table=pl.lit("class"), key="class_id"),
        enrolled.select(table=pl.lit("school"), key="school_id"),
        *(people.select(table=pl.lit(kind), key="external_id") for kind in (STUDENT, EMPLOYEE)),
        records.owners.select(table=pl.lit(EMPLOYEE), key="external_id"),
    ]
    return spelling.near(pl.concat(missed).unique().join(records.ids, on=["table", "key"], how="anti"), records.ids)


@dataclass(frozen=True)
class _Classes:
    """Classes with what became of them.

    all: as in Records, and: is_valid (its teachers regarded), has_own_error (unknown teachers included), is_dependent
    (with its teachers), is_stored, went_on (the school it was last applied at, where it is not valid). valid: those.
    owners: class_id, external_id, file, line, school_id, person, link_id, is_known, goes_on, is_unprovisioned, and the
    class's flags as class_is_valid, class_is_dependent, class_is_stored.
    """

    all: pl.DataFrame
    valid: pl.DataFrame
    owners: pl.DataFrame

    @staticmethod
    def of(records: Records, teachers: pl.DataFrame, enrolled: pl.DataFrame, stored: StoredRoster) -> _Classes:
        """Judge every class by its teachers, enrolled ones too. Rule: an error where none of their IDs is known."""
        known = records.seen.filter(kind=EMPLOYEE).select("external_id", is_known=pl.lit(True))
        in_scope = teachers.with_columns(is_here=pl.lit(True))
        enrolled_teachers = enrolled.filter(kind=EMPLOYEE).join(
            records.classes, left_on="class_id", right_on="external_id", how="semi"
        )
        owners = (
            pl.concat([records.owners, enrolled_teachers.select(records.owners.columns)])
            .sort("file", "line")
            .unique(["class_id", "external_id"], keep="first", maintain_order=True)
            .join(known, on="external_id", how="left")
            .join(in_scope, on="external_id", how="left")
            .with_columns(
                is_known=pl.col("is_known").fill_null(False),
                goes_on=pl.col("person").is_not_null() | pl.col("link_id").is_not_null(),
                # Known, and in scope, but neither valid nor ever provisioned.
                is_unprovisioned=pl.col("is_here").fill_null(False)
                & pl.col("person").is_null()
                & pl.col("link_id").is_null(),
            )
        )
        by_class = owners.group_by(external_id="class_id").agg(
            teachers=pl.col("is_known").sum(),
            valid_teachers=(pl.col("is_known") & ~pl.col("is_unprovisioned")).sum(),
        )
        last_applied = stored.classes.group_by("external_id").agg(
            went_on=pl.when(pl.len() == 1).then(pl.col("school_id").first()), is_stored=pl.lit(True)
        )
        judged = (
            records.classes.join(by_class, on="external_id", how="left")
            .join(last_applied, on="external_id", how="left")
            .with_columns(pl.col("teachers", "valid_teachers").fill_null(0), pl.col("is_stored").fill_null(False))
            .with_columns(
                has_own_error=~pl.col("is_valid") | (pl.col("teachers") == 0),
                is_valid=pl.col("is_valid") & (pl.col("valid_teachers") > 0),
            )
            .with_columns(
                is_dependent=~pl.col("has_own_error") & ~pl.col("is_valid"),
                went_on=pl.when(~pl.col("is_valid")).then("went_on"),
                of_this_name=pl.len().over("school_id", values.folded(pl.col("name")), "is_valid"),
            )
        )
        return _Classes(
            all=judged,
            valid=judged.filter("is_valid"),
            owners=owners.join(
                judged.select(
                    class_id="external_id",
                    school_id="school_id",
                    class_is_valid="is_valid",
                    class_is_dependent="is_dependent",
                    class_is_stored="is_stored",
                ),
                on="class_id",
            ),
        )


def _class_issues(records: Records, classes: _Classes, with_students: pl.Series, near: pl.DataFrame) -> pl.DataFrame:
    """DRAFT_ISSUES of classes. with_students: the IDs of classes that a student is in, or would be."""
    judged = classes.all
    schools_of = (
        judged.select("schools", table=pl.lit("class"), key="external_id")
        .explode("schools")
        .drop_nulls()
        .rename({"schools": "school_id"})
    )
    led = (
        classes.owners.join(judged.select(class_id="external_id", known="teachers", named="name"), on="class_id")
        .join(_at_schools(records).filter(kind=EMPLOYEE), on=["external_id", "school_id"], how="left")
        .join(_misplaced(records).filter(kind=EMPLOYEE), on="external_id", how="left")
        .with_columns(
            teacher="external_id",
            others_known=pl.col("known") > 0,
            at_school=pl.coalesce("at_school", "is_misplaced", pl.lit(False)),
            is_person=pl.col("person").is_not_null(),
        )
        .join(spelling.hints(near.filter(table=EMPLOYEE)), left_on="external_id", right_on="key", how="left")
    )
    unknown = led.filter(~pl.col("is_known")).sort("file", "line").group_by(external_id="class_id")
    filled = judged.join(unknown.agg(pl.col("hint").drop_nulls().first()), on="external_id", how="left").with_columns(
        has_students=pl.col("external_id").is_in(with_students.unique().implode())
    )
    broken = pl.concat(
        [
            breaking(CLASSES, filled).select("code", "file", "line", "hint", key="external_id"),
            breaking(OWNERS, led).select("code", "file", "line", "hint", key="class_id"),
        ]
    )
    of_teachers = pl.col("code").is_in(["class_teacher_unknown", "co_teacher_unknown"])
    return at_schools(broken.with_columns(table=pl.lit("class"), detail=pl.when(of_teachers).then("hint")), schools_of)


def _at_schools(records: Records) -> pl.DataFrame:
    return records.members.select("kind", "external_id", "school_id", at_school=pl.lit(True))


def _misplaced(records: Records) -> pl.DataFrame:
    """kind, external_id of whoever has a row of an unknown school, which may be meant for any: is_misplaced."""
    mistaken = records.unknown_schools.filter(not records.shares_part)
    return mistaken.select(kind="table", external_id="key", is_misplaced=pl.lit(True))


def _enrollments(records: Records, classes: _Classes, enrolled: pl.DataFrame, people: pl.DataFrame) -> pl.DataFrame:
    """Each pair of class and person, with what is known of the two.

    A pair repeated keeps its first line. `is_elsewhere`: its class or person is only in left-out schools, or, where
    neither is known, the row names such a school.
    """
    is_left_out = pl.col("school_id").is_in(records.left_out_schools).fill_null(False)
    known_classes = records.seen_classes.select(class_id="external_id", class_is_known=pl.lit(True)).unique()
    of_class = classes.all.select(
        class_id="external_id",
        class_school=pl.when("is_valid").then("school_id").otherwise("went_on"),
        class_is_valid="is_valid",
        class_is_stored="is_stored",
        class_is_dependent="is_dependent",
        has_class=pl.lit(True),
    )
    person = ["kind", "external_id"]
    rows = (
        enrolled.sort("file", "line")
        .unique(["class_id", "external_id", "school_id"], keep="first", maintain_order=True)
        .join(known_classes, on="class_id", how="left")
        .join(records.seen.with_columns(person_is_known=pl.lit(True)), on=person, how="left")
        .join(of_class, on="class_id", how="left")
        .join(people.with_columns(has_person=pl.lit(True)), on=person, how="left")
        .join(_at_schools(records).rename({"school_id": "class_school"}), on=[*person, "class_school"], how="left")
        .join(_misplaced(records), on=person, how="left")
        .with_columns(at_school=pl.coalesce("at_school", "is_misplaced"))
    )
    flags = (
        *("class_is_known", "person_is_known", "has_class", "has_person", "at_school"),
        *("class_is_valid", "class_is_stored", "class_is_dependent"),
    )
    return (
        rows.with_columns(pl.col(flags).fill_null(False))
        .with_columns(
            goes_on=pl.col("class_school").is_not_null()
            & (pl.col("person").is_not_null() | pl.col("link_id").is_not_null()),
            is_elsewhere=(pl.col("class_is_known") & ~pl.col("has_class"))
            | (pl.col("person_is_known") & ~pl.col("has_person"))
            | (~pl.col("class_is_known") & ~pl.col("person_is_known") & is_left_out),
            names_other=(pl.col("school_id") != pl.col("class_school")).fill_null(False),
        )
        .with_columns(
            stands=pl.col("class_is_valid") & pl.col("person").is_not_null(),
            may_be_unshared=pl.lit(records.shares_part),
        )
    )


def _enrollment_issues(
    records: Records, classes: _Classes, enrollments: pl.DataFrame, near: pl.DataFrame
) -> pl.DataFrame:
    """DRAFT_ISSUES. An enrollment's school is its class's, else its person's, else the row's if that is in scope."""
    by_row = pl.col("school_id").is_in(records.schools)
    broken = (
        breaking(ENROLLMENTS, enrollments)
        .sort("file", "line")
        .unique(["code", "class_id", "external_id"], keep="first", maintain_order=True)
    )
    of_class = classes.all.select("schools", class_id="external_id").filter(pl.col("schools").list.len() > 0)
    of_person = records.members.group_by("kind", "external_id").agg(person_schools=pl.col("school_id").sort())
    hints = pl.concat(
        [
            spelling.hints(near.filter(pl.col("table").is_in(tables))).with_columns(code=pl.lit(code))
            for code, tables in (
                ("enrollment_class_unknown", ["class"]),
                ("enrollment_student_unknown", [STUDENT, EMPLOYEE]),
                ("enrollment_school_mismatch", ["school"]),
            )
        ]
    )
    placed = (
        broken.join(of_class, on="class_id", how="left")
        .join(of_person, on=["kind", "external_id"], how="left")
        .with_columns(
            school_id=pl.coalesce("schools", "person_schools", pl.when(by_row).then(pl.concat_list("school_id"))),
            record_id=pl.when(pl.col("code").is_in(["enrollment_class_unknown", "record_not_shared"]))
            .then("class_id")
            .otherwise("external_id"),
            refers_to=pl.when(code="enrollment_class_unknown")
            .then("class_id")
            .when(code="enrollment_school_mismatch")
            .then("school_id")
            .otherwise("external_id"),
        )
        .join(hints, left_on=["code", "refers_to"], right_on=["code", "key"], how="left", maintain_order="left")
        .with_columns(
            detail=pl.coalesce(not_shared("student"), "hint"),
            root_table=pl.lit(None, pl.String),
            root=pl.lit(None, pl.String),
        )
        .explode("school_id")
    )
    return as_table(placed, DRAFT_ISSUES)


def _guardianships(pairs: pl.DataFrame, students: pl.DataFrame, guardians: pl.DataFrame) -> pl.DataFrame:
    """Pairs both of whose sides go on. With two people on the student's ID, it is not known whose guardian it is."""
    goes_on = pl.col("person").is_not_null() | pl.col("link_id").is_not_null()
    both = (
        pairs.filter(~pl.col("is_shared"))
        .join(students.filter(goes_on), left_on="student_id", right_on="external_id")
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


def _protected_pairs(
    records: Records, classes: _Classes, enrollments: pl.DataFrame, stored: StoredRoster
) -> pl.DataFrame:
    """PROTECTED_PAIRS of classes, class_owners and class_students, for every row that was not applied.

    A record that is only not shared keeps its own places, and nobody else's in its classes: that may last for ever. An
    enrollment of nobody who is known may be a teacher's or a student's.
    """
    from_here = stored.links.filter("from_this_source").select("kind", "external_id", "link_id")
    not_applied = pl.concat(
        [
            classes.all.filter(~pl.col("is_valid")).select("external_id"),
            records.unknown_schools.filter(table="class").select(external_id="key"),
        ]
    )
    owners = classes.owners.filter(
        ~pl.col("class_is_valid") | (~pl.col("goes_on") & (pl.col("is_unprovisioned") | ~pl.col("is_known")))
    )
    unapplied = enrollments.filter(~pl.col("goes_on") & ~pl.col("is_elsewhere"))
    is_mistaken = pl.lit(not records.shares_part)

    def rows_of(kind: str, rows: pl.DataFrame) -> pl.DataFrame:
        return rows.filter(pl.col("kind").fill_null(kind) == kind)

    def classes_of(table: str, rows: pl.DataFrame, column: str) -> pl.DataFrame:
        return rows.select(table=pl.lit(table), link_id=pl.lit(None, pl.String), class_id=column)

    def links_of(table: str, rows: pl.DataFrame, kind: str) -> pl.DataFrame:
        links = from_here.filter(kind=kind).select("external_id", "link_id")
        return (
            rows.select("external_id")
            .join(links, on="external_id")
            .select("link_id", table=pl.lit(table), class_id=pl.lit(None, pl.String))
        )

    return pl.concat(
        [
            as_table(frame, PROTECTED_PAIRS)
            for frame in (
                classes_of("classes", not_applied, "external_id"),
                classes_of("class_owners", not_applied, "external_id"),
                classes_of(
                    "class_owners",
                    owners.filter(is_mistaken | pl.col("is_known") | ~pl.col("class_is_valid")),
                    "class_id",
                ),
                links_of("class_owners", owners, EMPLOYEE),
                *(
                    frame
                    for table, kind in _TABLES.items()
                    for frame in (
                        classes_of(
                            table, rows_of(kind, unapplied).filter(is_mistaken | pl.col("person_is_known")), "class_id"
                        ),
                        links_of(table, rows_of(kind, unapplied), kind),
                    )
                ),
            )
        ]
    )


def _lasting(records: Records, protected: pl.DataFrame, stored: StoredRoster) -> pl.DataFrame:
    """class_id, kind, external_id: those who stay in a class as last applied, as a row that was not applied keeps them.

    Only of people in the delivery: the others leave their classes when they go.
    """
    members = stored.class_members.join(
        stored.links.filter("from_this_source").select("link_id", "kind", "external_id"), on="link_id"
    ).join(records.seen, on=["kind", "external_id"], how="semi")
    return pl.concat(
        [
            members.filter(kind=kind)
            .join(protected.filter(table=table).select(column).drop_nulls(), on=column, how="semi")
            .select("class_id", "kind", "external_id")
            for table, kind in _TABLES.items()
            for column in ("link_id", "class_id")
        ]
    ).unique()


def _dependent_counts(
    classes: _Classes, enrollments: pl.DataFrame, pairs: pl.DataFrame, students: pl.DataFrame
) -> pl.DataFrame:
    """DEPENDENT_COUNTS. enrollments: of students.

    Rule: enrollments fall with their class, classes and their enrollments with a teacher, and a student's enrollments
    and guardian entries with the student. Only what was never provisioned falls.
    """
    known = enrollments.filter("has_class", "has_person").unique(["class_id", "external_id"])
    of_class = known.filter(~pl.col("class_is_valid") & ~pl.col("class_is_stored"))
    never_provisioned = students.filter(pl.col("person").is_null() & pl.col("link_id").is_null())
    of_student = pl.concat([known.select("external_id"), pairs.select(external_id="student_id")]).join(
        never_provisioned, on="external_id", how="semi"
    )
    dependent_classes = classes.owners.filter("is_unprovisioned", "class_is_dependent", ~pl.col("class_is_stored"))
    of_teacher = pl.concat(
        [
            dependent_classes.select("external_id"),
            of_class.select("class_id")
            .join(dependent_classes.select("class_id", "external_id"), on="class_id")
            .select("external_id"),
        ]
    )
    counted = pl.concat(
        [
            of_class.select(root_table=pl.lit("class"), root="class_id"),
            of_student.select(root_table=pl.lit(STUDENT), root="external_id"),
            of_teacher.select(root_table=pl.lit(EMPLOYEE), root="external_id"),
        ]
    )
    return as_table(counted.group_by("root_table", "root").agg(dependents=pl.len()), DEPENDENT_COUNTS)
