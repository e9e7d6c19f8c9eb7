"""Invented districts of any size, in valid form: canonical frames made by whole columns from a seed.

A generated district gives no issue at all; what is wrong with a district is planted by `sandbox.faults`. How a
district goes on, to the next day or year, is in `sandbox.days`; how it is written as files, in `sandbox.csv_files`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from types import MappingProxyType

import polars as pl

from sandbox import csv_files, names
from sandbox.csv_files import CsvStyle
from sandbox.seeded import below, chance, choose, draw

EMPLOYEE, STUDENT, GUARDIAN = "employee", "student", "guardian"

SCHOOLS: Mapping[str, type[pl.DataType]] = MappingProxyType(
    {
        "external_id": pl.String,
        "name": pl.String,
        "lowest": pl.Int32,  # grades it teaches; kindergarten is 0
        "highest": pl.Int32,
    }
)
PEOPLE: Mapping[str, type[pl.DataType]] = MappingProxyType(
    {
        "person": pl.UInt32,  # numbers everybody who was ever in the district; never given twice
        "kind": pl.String,  # employee, student, guardian
        "role": pl.String,  # teacher, student, guardian
        "external_id": pl.String,  # null only for a guardian without a guardian_id
        "first_name": pl.String,
        "last_name": pl.String,
        "email": pl.String,
        "phone": pl.String,  # E.164
        "phone_extension": pl.String,
        "birth_date": pl.Date,  # students
        "grade": pl.String,  # students: K, 1 to 12
        "language": pl.String,  # guardians
    }
)
SCHOOL_MEMBERS: Mapping[str, type[pl.DataType]] = MappingProxyType(
    {"person": pl.UInt32, "kind": pl.String, "school_id": pl.String}
)
CLASSES: Mapping[str, type[pl.DataType]] = MappingProxyType(
    {"external_id": pl.String, "school_id": pl.String, "name": pl.String}
)
CLASS_MEMBERS: Mapping[str, type[pl.DataType]] = MappingProxyType(
    {"class_id": pl.String, "person": pl.UInt32, "is_owner": pl.Boolean}
)
GUARDIANSHIPS: Mapping[str, type[pl.DataType]] = MappingProxyType(
    {"student": pl.UInt32, "guardian": pl.UInt32, "relationship": pl.String, "type": pl.String}
)

FIRST_DAY = date(2026, 9, 1)
EXTRA_OWNER_PERCENT = 8
SHARED_PERCENT = 4  # teachers and students who belong to two schools


@dataclass(frozen=True)
class District:
    """An invented district on one day: frames of the schemas above, every value valid and normalised.

    ``next_person`` and ``next_class`` number whoever comes next, so that no ID is ever given twice. ``seed`` is the
    district's own, for what has to stay apart or the same over its days (addresses, telephones, notations);
    ``chance`` is the present day's, for everything else.
    """

    seed: int
    chance: int
    key: str
    day: date
    next_person: int
    next_class: int
    schools: pl.DataFrame
    people: pl.DataFrame
    school_members: pl.DataFrame
    classes: pl.DataFrame
    class_members: pl.DataFrame
    guardianships: pl.DataFrame

    def of_kind(self, kind: str) -> pl.DataFrame:
        """The people (PEOPLE) of one kind."""
        return self.people.filter(pl.col("kind") == kind)

    def counts(self) -> dict[str, int]:
        """How many there are of everything, as a reader of the report would count."""
        owners = self.class_members["is_owner"]
        return {
            "schools": self.schools.height,
            "teachers": self.of_kind(EMPLOYEE).height,
            "students": self.of_kind(STUDENT).height,
            "guardians": self.of_kind(GUARDIAN).height,
            "classes": self.classes.height,
            "enrollments": int((~owners).sum()),
        }

    def csv_files(self, style: CsvStyle | None = None, *, teachers_enrolled: bool = False) -> dict[str, bytes]:
        """The district as the five files of CSV format 1.0, by file name; see `csv_files.rows`."""
        return csv_files.write_rows(csv_files.rows(self, teachers_enrolled=teachers_enrolled), style or CsvStyle())

    def write(self, folder: Path, style: CsvStyle | None = None, *, teachers_enrolled: bool = False) -> None:
        """Write the five files into a folder, made where it is missing."""
        csv_files.write_files(folder, self.csv_files(style, teachers_enrolled=teachers_enrolled))


def generate(
    seed: int = 1,
    schools: int = 3,
    students: int = 1000,
    teachers: int | None = None,
    classes: int | None = None,
    enrollments: int | None = None,
    *,
    key: str | None = None,
    day: date = FIRST_DAY,
) -> District:
    """A district of exactly so many schools, students, teachers, classes and enrollments.

    Left out, the others follow the students: 9 teachers and 38 classes for a hundred, 9 enrollments for each. ``key``
    is the domain under .example that its email addresses carry. Raises ValueError where the numbers cannot be: a
    school needs a teacher and a student, a teacher a class (their own or a colleague's), a class a student.
    """
    teachers = max(schools, students * 9 // 100) if teachers is None else teachers
    classes = max(schools, students * 38 // 100) if classes is None else classes
    if not 0 < schools <= min(students, teachers, classes):
        raise ValueError("every school needs at least one student, one teacher and one class")
    key = f"district{seed}" if key is None else key
    made = District(
        seed=seed,
        chance=seed,
        key=key,
        day=day,
        next_person=1,
        next_class=1,
        schools=_schools(seed, schools),
        people=pl.DataFrame(schema=dict(PEOPLE)),
        school_members=pl.DataFrame(schema=dict(SCHOOL_MEMBERS)),
        classes=pl.DataFrame(schema=dict(CLASSES)),
        class_members=pl.DataFrame(schema=dict(CLASS_MEMBERS)),
        guardianships=pl.DataFrame(schema=dict(GUARDIANSHIPS)),
    )
    made = with_teachers(made, teachers)
    made = with_students(made, _openings(made, students))
    return with_classes(made, classes, enrollments)


def with_teachers(district: District, count: int) -> District:
    """The district with so many new teachers, spread evenly over its schools, a few of them at two. No classes yet."""
    person = _numbers(district, count)
    seed = district.chance
    feminine = chance(seed, "teacher feminine", person, 60)
    people = _people(
        district,
        kind=EMPLOYEE,
        person=person,
        external_id="T" + person.cast(pl.String).str.zfill(5),
        first_name=_first_names(seed, person, feminine),
        last_name=choose(seed, "last name", person, names.LAST),
        domain=pl.Series([f"{district.key}.example"]).new_from_index(0, count),
    ).with_columns(
        phone=pl.when(chance(seed, "teacher phone", person, 70)).then(phones(district.seed, person)),
    )
    people = people.with_columns(
        phone_extension=pl.when(pl.col("phone").is_not_null() & chance(seed, "teacher extension", person, 20)).then(
            (100 + below(seed, "extension", person, 900)).cast(pl.String)
        )
    )
    school = pl.Series("school", range(count), dtype=pl.UInt32) % district.schools.height
    return replace(
        district,
        next_person=district.next_person + count,
        people=pl.concat([district.people, people]),
        school_members=pl.concat([district.school_members, _members(district, person, EMPLOYEE, school)]),
    )


def with_students(district: District, openings: pl.DataFrame) -> District:
    """The district with new students at the openings given, their siblings among them and their guardians. No classes.

    ``openings``: school (UInt32, the school's position in schools), grade (Int32), one row for each student.
    """
    seed, count = district.chance, openings.height
    person = _numbers(district, count)
    household = _households(seed, person)
    last_name = choose(seed, "last name", household, names.LAST)
    own_email = chance(seed, "student email", person, 70) & (openings["grade"] >= 6)
    # A child is grade + 5 years old on the first of September; the day is spread over the year before.
    first = pl.date(district.day.year - 6 - pl.col("grade"), 9, 1)
    born = (
        openings.with_columns(days=below(seed, "birthday", person, 365).cast(pl.Int64))
        .select((first + pl.duration(days="days")).alias("birth_date"))
        .to_series()
    )
    students = _people(
        district,
        kind=STUDENT,
        person=person,
        external_id=person.cast(pl.String).str.zfill(6),
        first_name=_first_names(seed, person, chance(seed, "student feminine", person, 50)),
        last_name=last_name,
        domain=pl.Series([f"students.{district.key}.example"]).new_from_index(0, count),
    ).with_columns(
        email=pl.when(own_email).then(pl.col("email")),
        phone=pl.when(chance(seed, "student phone", person, 8) & (openings["grade"] >= 9)).then(
            phones(district.seed, person)
        ),
        birth_date=born,
        grade=grade_name(openings["grade"]),
    )
    children = pl.DataFrame({"student": person, "household": household, "last_name": last_name})
    after = replace(
        district,
        next_person=district.next_person + count,
        people=pl.concat([district.people, students]),
        school_members=pl.concat([district.school_members, _members(district, person, STUDENT, openings["school"])]),
    )
    return _with_guardians(after, children)


def _with_guardians(district: District, children: pl.DataFrame) -> District:
    """One to three guardians for every household. children: student, household (UInt32), last_name."""
    seed = district.chance
    guardians = (
        _households_of(seed, children)
        .explode("position")
        .with_columns(person=pl.int_range(pl.len(), dtype=pl.UInt32) + district.next_person)
    )
    person, position = guardians["person"], guardians["position"]
    feminine = (position == 0) | ((position == 2) & chance(seed, "third feminine", person, 50))
    # A grandmother shares neither first name nor telephone with the mother by chance: names of the same list are
    # drawn apart, and only the second guardian shares the household's telephone.
    other_name = chance(seed, "own last name", person, 25) | (position == 2)
    last_name = pl.select(
        pl.when(other_name).then(choose(seed, "last name", person, names.LAST)).otherwise(guardians["last_name"])
    ).to_series()
    reached = below(seed, "reached by", person, 100)  # 12 by email only, 13 by telephone only, else by both
    first_of_household = guardians.select(pl.col("person").first().over("household")).to_series()
    shares_phone = (position == 1) & chance(seed, "household telephone", guardians["household"], 30)
    telephone = pl.select(pl.when(shares_phone).then(first_of_household).otherwise(person)).to_series()
    people = _people(
        district,
        kind=GUARDIAN,
        person=person,
        external_id="G" + person.cast(pl.String).str.zfill(6),
        first_name=_first_names(seed, person, feminine),
        last_name=last_name,
        domain=choose(seed, "mail", person, ("mail.example", "post.example", "inbox.example", "family.example")),
    ).with_columns(
        external_id=pl.when(chance(seed, "guardian id", person, 70)).then(pl.col("external_id")),
        email=pl.when((reached < 12) | (reached >= 25)).then(pl.col("email")),
        phone=pl.when(reached >= 12).then(phones(district.seed, telephone)),
        language=guardians["language"],
    )
    relationship = pl.select(
        pl.when(position == 0)
        .then(pl.lit("Mother"))
        .when(position == 1)
        .then(pl.lit("Father"))
        .otherwise(pl.lit("Grandparent"))
    ).to_series()
    guardians = guardians.with_columns(relationship=relationship)
    guardianships = children.join(guardians, on="household", maintain_order="left_right").select(
        "student",
        pl.col("person").alias("guardian"),
        "relationship",
        pl.when(pl.col("position") < 2).then(pl.lit("primary")).alias("type"),
    )
    return replace(
        district,
        next_person=district.next_person + guardians.height,
        people=pl.concat([district.people, people]),
        guardianships=pl.concat([district.guardianships, guardianships]),
    )


def _households_of(seed: int, children: pl.DataFrame) -> pl.DataFrame:
    """household, last_name, position (List(UInt32): 0 for the first guardian) and language, one row a household."""
    households = children.group_by("household", maintain_order=True).agg(pl.col("last_name").first())
    drawn = below(seed, "guardians", households["household"], 100)
    return households.with_columns(
        position=pl.when(drawn < 35)
        .then(pl.lit([0]))
        .when(drawn < 93)
        .then(pl.lit([0, 1]))
        .otherwise(pl.lit([0, 1, 2]))
        .cast(pl.List(pl.UInt32)),
        language=choose(seed, "language", households["household"], names.LANGUAGES),
    )


def with_classes(district: District, count: int, enrollments: int | None = None) -> District:
    """The district with so many classes in place of those it had, each with a teacher and with students.

    Left out, enrollments are nine for each student, or as many as the schools have classes.
    Raises ValueError where the numbers cannot be.
    """
    schools = district.schools.height
    if count < schools:
        raise ValueError("every school needs at least one class")
    position = pl.Series("position", range(count), dtype=pl.UInt32)
    school = position % schools
    per_school = pl.DataFrame({"school": school}).group_by("school").len(name="classes").sort("school")
    number = position + district.next_class
    turn, offered = position // schools, len(names.SUBJECTS[0])
    subject = (school % len(names.SUBJECTS)) * offered + turn % offered
    section = turn // offered + 1
    classes = pl.DataFrame(
        {
            "external_id": "C" + str(district.day.year) + "-" + number.cast(pl.String).str.zfill(5),
            "school_id": district.schools["external_id"].gather(school),
            "name": pl.Series([name for level in names.SUBJECTS for name in level]).gather(subject)
            + ", section "
            + section.cast(pl.String),
        }
    )
    ids = classes.select("school_id", pl.col("external_id").alias("class_id")).with_columns(
        at=pl.int_range(pl.len(), dtype=pl.UInt32).over("school_id"), classes=pl.len().over("school_id")
    )
    seats = district.school_members.filter(pl.col("kind") == STUDENT).select("person", "school_id")
    fewest = int(per_school["classes"].min())  # type: ignore[arg-type]
    most = seats.height * fewest
    wanted = min(max(9 * district.of_kind(STUDENT).height, seats.height), most) if enrollments is None else enrollments
    if not seats.height <= wanted <= most:
        raise ValueError(f"{seats.height} places of students allow {seats.height} to {most} enrollments, not {wanted}")
    each, more = divmod(wanted, seats.height)
    enrolled = enroll(
        seats.with_columns(count=each + (pl.int_range(pl.len(), dtype=pl.UInt32) < more).cast(pl.UInt32)), ids
    )
    if enrolled["class_id"].n_unique() < count:
        raise ValueError(f"{wanted} enrollments leave some of the {count} classes empty")
    return replace(
        district,
        next_class=district.next_class + count,
        classes=classes,
        class_members=pl.concat([_owners(district, ids), enrolled]),
    )


def enroll(seats: pl.DataFrame, ids: pl.DataFrame) -> pl.DataFrame:
    """CLASS_MEMBERS that give every seat its classes, in turn, so that all classes of a school fill evenly.

    seats: person, school_id, count (UInt32, at most the school's classes), and optionally start (UInt32, the class to
    start with). ids: school_id, class_id, at (position in the school), classes (the school's number).
    """
    start = (
        pl.col("start") if "start" in seats.columns else pl.col("count").cum_sum().over("school_id") - pl.col("count")
    )
    return (
        seats.with_columns(start=start, turn=pl.int_ranges(pl.col("count"), dtype=pl.UInt32))
        .explode("turn", empty_as_null=False)
        .join(ids.select("school_id", "classes").unique(maintain_order=True), on="school_id", maintain_order="left")
        .with_columns(at=((pl.col("start") + pl.col("turn")) % pl.col("classes")).cast(pl.UInt32))
        .join(ids.select("school_id", "at", "class_id"), on=["school_id", "at"], maintain_order="left")
        .select("class_id", "person", pl.lit(False).alias("is_owner"))
    )


def _owners(district: District, ids: pl.DataFrame) -> pl.DataFrame:
    """CLASS_MEMBERS: a teacher for every class, a class for every teacher, two teachers for some classes."""
    teachers = (
        district.school_members.filter(pl.col("kind") == EMPLOYEE)
        .select("person", "school_id")
        .with_columns(
            chair=pl.int_range(pl.len(), dtype=pl.UInt32).over("school_id"), chairs=pl.len().over("school_id")
        )
    )
    chairs = teachers.select("school_id", "chairs").unique(maintain_order=True)
    numbered = ids.join(chairs, on="school_id", maintain_order="left")
    second = chance(district.chance, "second owner", _sequence(ids.height), EXTRA_OWNER_PERCENT) & (
        numbered["chairs"] > 1
    )
    main = numbered.select("class_id", "school_id", chair=pl.col("at") % pl.col("chairs"))
    extra = numbered.filter(second).select("class_id", "school_id", chair=(pl.col("at") + 1) % pl.col("chairs"))
    # Where a school has more teachers than classes, those left over teach along.
    along = (
        teachers.join(ids.select("school_id", "classes").unique(maintain_order=True), on="school_id")
        .filter(pl.col("chair") >= pl.col("classes"))
        .select("school_id", "chair", at=(pl.col("chair") % pl.col("classes")).cast(pl.UInt32))
        .join(ids.select("school_id", "at", "class_id"), on=["school_id", "at"], maintain_order="left")
        .select("class_id", "school_id", "chair")
    )
    pairs = pl.concat([frame.cast({"chair": pl.UInt32}) for frame in (main, extra, along)])
    return (
        pairs.unique(maintain_order=True)
        .join(teachers, on=["school_id", "chair"], maintain_order="left")
        .select("class_id", "person", pl.lit(True).alias("is_owner"))
    )


def grade_name(grade: pl.Series) -> pl.Series:
    """0 to 12 as K, 1 to 12."""
    return pl.select(pl.when(grade == 0).then(pl.lit("K")).otherwise(grade.cast(pl.String))).to_series()


def grade_number(grade: pl.Series) -> pl.Series:
    """K, 1 to 12 as 0 to 12 (Int32)."""
    return grade.replace("K", "0").cast(pl.Int32)


def phones(seed: int, person: pl.Series) -> pl.Series:
    """One number in E.164 for each person, all valid, none given twice; those kept for fiction (555-01xx) first."""
    codes = len(names.AREA_CODES)
    number = person.cast(pl.UInt64)
    fictional = codes * 100
    late = number.clip(lower_bound=fictional) - fictional
    block = pl.select(pl.when(number < fictional).then(number // 100).otherwise(late // 9_900)).to_series()
    rest = late * 7_919 % 9_900
    line = pl.select(
        pl.when(number < fictional).then(100 + number * 37 % 100).when(rest < 100).then(rest).otherwise(rest + 100)
    ).to_series()
    area = pl.Series(names.AREA_CODES, dtype=pl.String).gather(((block + seed * 31) % codes).cast(pl.UInt32))
    return ("+1" + area + "555" + line.cast(pl.String).str.zfill(4)).alias("phone")


def _schools(seed: int, count: int) -> pl.DataFrame:
    position = _sequence(count)
    level = position % len(names.LEVELS)
    stem = position % len(names.SCHOOLS)
    # Every stem meets every level and region before a number is needed: the three lengths share no divisor but one.
    region = (position // (len(names.SCHOOLS) * len(names.LEVELS))) % len(names.REGIONS)
    again = position // (len(names.SCHOOLS) * len(names.LEVELS) * len(names.REGIONS))
    titles = pl.Series([title for title, _, _ in names.LEVELS]).gather(level)
    return pl.DataFrame(
        {
            "external_id": (position + 101).cast(pl.String).str.zfill(4),
            "name": pl.Series(names.REGIONS).gather(region)
            + pl.Series(names.SCHOOLS).gather(stem)
            + " "
            + titles
            + pl.select(pl.when(again > 0).then(" " + (again + 1).cast(pl.String)).otherwise(pl.lit(""))).to_series(),
            "lowest": pl.Series([lowest for _, lowest, _ in names.LEVELS], dtype=pl.Int32).gather(level),
            "highest": pl.Series([highest for _, _, highest in names.LEVELS], dtype=pl.Int32).gather(level),
        },
        schema=dict(SCHOOLS),
    )


def _openings(district: District, count: int) -> pl.DataFrame:
    """school (UInt32), grade (Int32): so many openings, spread evenly over the schools and their grades."""
    position = _sequence(count)
    # Shuffled, so that siblings, who are numbered side by side, come to the same school and to different ones.
    school = pl.DataFrame({"draw": draw(district.chance, "school", position)}).select(
        (pl.col("draw").rank("ordinal") - 1).cast(pl.UInt32) % district.schools.height
    )
    return openings_at(district, school.to_series(), position)


def openings_at(district: District, school: pl.Series, keys: pl.Series) -> pl.DataFrame:
    """school (UInt32, as given), grade (Int32): a grade that the school teaches, drawn for each key."""
    lowest = district.schools["lowest"].gather(school)
    span = (district.schools["highest"].gather(school) - lowest + 1).cast(pl.UInt64)
    grade = lowest + below(district.chance, "grade", keys, span).cast(pl.Int32)
    return pl.DataFrame({"school": school, "grade": grade})


def _members(district: District, person: pl.Series, kind: str, school: pl.Series) -> pl.DataFrame:
    """SCHOOL_MEMBERS: everybody at the school given, a few at the next one too."""
    count = district.schools.height
    shared = chance(district.chance, "second school", person, SHARED_PERCENT) & (count > 1)
    first = pl.DataFrame({"person": person, "school": school.cast(pl.UInt32)})
    second = first.filter(shared).with_columns(school=(pl.col("school") + 1) % count)
    both = pl.concat([first, second])
    return both.select(
        "person", pl.lit(kind).alias("kind"), district.schools["external_id"].gather(both["school"]).alias("school_id")
    )


def _households(seed: int, person: pl.Series) -> pl.Series:
    """The household of each child (UInt32, the number of its first child): children numbered in a row are siblings."""
    size = pl.DataFrame({"person": person, "drawn": below(seed, "children", person, 100)}).select(
        "person",
        pl.when(pl.col("drawn") < 60).then(1).when(pl.col("drawn") < 90).then(2).otherwise(3).alias("children"),
    )
    return (
        size.select(pl.col("person").repeat_by("children").alias("household"))
        .explode("household", empty_as_null=False)
        .head(person.len())
        .to_series()
    )


def _people(
    district: District,
    *,
    kind: str,
    person: pl.Series,
    external_id: pl.Series,
    first_name: pl.Series,
    last_name: pl.Series,
    domain: pl.Series,
) -> pl.DataFrame:
    """PEOPLE with the given columns and an email address of their own; what they lack is null."""
    # The number keeps addresses apart inside a district, and the seed those of two districts.
    number = person.cast(pl.UInt64) + (district.seed - 1) * 10_007 % 100_000
    people = pl.DataFrame(
        {
            "person": person,
            "external_id": external_id,
            "first_name": first_name,
            "last_name": last_name,
            "domain": domain,
            "number": number.cast(pl.String),
        }
    )
    return people.select(
        "person",
        pl.lit(kind).alias("kind"),
        pl.lit("teacher" if kind == EMPLOYEE else kind).alias("role"),
        "external_id",
        "first_name",
        "last_name",
        (plain_name("first_name") + "." + plain_name("last_name") + pl.col("number") + "@" + pl.col("domain")).alias(
            "email"
        ),
        *(
            pl.lit(None, dtype=PEOPLE[column]).alias(column)
            for column in ("phone", "phone_extension", "birth_date", "grade", "language")
        ),
    )


def plain_name(column: str) -> pl.Expr:
    """A name as it stands in an email address: lower case, without accents, blanks and marks."""
    return pl.col(column).str.normalize("NFKD").str.to_lowercase().str.replace_all("[^a-z]", "")


def _first_names(seed: int, person: pl.Series, feminine: pl.Series) -> pl.Series:
    return pl.select(
        pl.when(feminine)
        .then(choose(seed, "first name", person, names.FEMININE))
        .otherwise(choose(seed, "first name", person, names.MASCULINE))
    ).to_series()


def _numbers(district: District, count: int) -> pl.Series:
    return (_sequence(count) + district.next_person).cast(pl.UInt32)


def _sequence(count: int) -> pl.Series:
    return pl.int_range(count, dtype=pl.UInt32, eager=True)
