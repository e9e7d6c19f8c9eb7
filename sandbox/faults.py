"""Faults planted on request in a generated district: one kind for each error and alert of the catalogue.

Every planted fault comes as new records around it (a teacher without email brings a class with students of the
school), so that it causes the issues it is meant to cause, and no others. What is wrong with the bytes of files is
planted by `sandbox.file_faults`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import polars as pl

from sandbox import csv_files, names
from sandbox.csv_files import HEADERS, CsvStyle
from sandbox.generator import EMPLOYEE, STUDENT, District, grade_name, phones, plain_name
from sandbox.seeded import below, choose

GUARDIAN_COLUMNS = tuple(column for column in HEADERS["students.csv"] if column.startswith("guardian_"))

# What should be found. The same columns as an issue's, without the texts.
EXPECTED: Mapping[str, type[pl.DataType]] = MappingProxyType(
    {
        "code": pl.String,
        "school_id": pl.String,  # the source's; null where no school is known
        "file": pl.String,
        "line": pl.UInt32,  # null: the whole file
        "record_id": pl.String,  # the record's external ID; null for file errors
        "dependents": pl.UInt32,  # records that fall with this one
    }
)


@dataclass(frozen=True)
class Planted:
    """A district's files with faults in them, and the issues (EXPECTED, sorted) that a check of them should find."""

    files: Mapping[str, bytes]
    expected: pl.DataFrame


def plant(
    district: District,
    faults: Mapping[str, int],
    seed: int = 1,
    *,
    schools: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
    first_number: int | None = None,
    style: CsvStyle | None = None,
) -> Planted:
    """The district's files with so many faults of each code (errors and alerts).

    They are spread over the schools named (external IDs; by code, or for all codes; left out: all schools). The people
    they bring are numbered from ``first_number`` on, so that the same faults planted in the next day's district come
    with the same people; left out, from the next free number. A student whom nobody can reach is one without a
    guardian too; four guardians share each shared email address. Raises ValueError for a code that is not an error or
    alert, and for more school names spoilt than there are schools.
    """
    unknown = sorted(set(faults) - set(FAULTS))
    if unknown:
        raise ValueError(f"no error or alert has the code {', '.join(unknown)}")
    planting = _Planting(district, seed, first_number)
    everywhere = planting.schools
    for code, count in faults.items():
        if isinstance(schools, Mapping):
            planting.schools = list(schools.get(code, everywhere))
        elif schools is not None:
            planting.schools = list(schools)
        if count:
            FAULTS[code](planting, code, count)
    rows, expected = planting.finish()
    return Planted(csv_files.write_rows(rows, style or CsvStyle()), expected)


class _Planting:
    """The rows and expectations gathered so far. Rows carry `unit` (rows of one fault stay together) and `mark`."""

    def __init__(self, district: District, seed: int, first_number: int | None) -> None:
        self.seed = seed
        self.district = district
        self.rows = csv_files.rows(district)
        self.spoilt_schools = 0
        self._added: dict[str, list[pl.DataFrame]] = {name: [] for name in HEADERS}
        self._expected: list[pl.DataFrame] = []
        self._next_person = district.next_person if first_number is None else first_number
        self._next_class = district.next_class if first_number is None else first_number
        self._next_unit = 0
        self._next_mark = 0
        self._lowest = dict(district.schools.select("external_id", "lowest").iter_rows())
        self.schools: list[str] = district.schools["external_id"].to_list()
        self.other_school = dict(zip(self.schools, [*self.schools[1:], self.schools[0]], strict=True))
        single = district.school_members.filter(pl.len().over("person") == 1).join(
            district.people.select("person", "external_id"), on="person", maintain_order="left"
        )
        self._students = _by_school(single.filter(pl.col("kind") == STUDENT))
        self._teachers = _by_school(single.filter(pl.col("kind") == EMPLOYEE))
        self._classes = _by_school(district.classes)

    # --- who is there already ---

    def students_of(self, schools: pl.Series, turn: int = 0) -> pl.Series:
        """The ID of a student of each school, another one each time and for each turn."""
        return _pick(self._students, schools, turn)

    def teachers_of(self, schools: pl.Series) -> pl.Series:
        """The ID of a teacher of each school and of no other."""
        return _pick(self._teachers, schools)

    def classes_of(self, schools: pl.Series) -> pl.Series:
        """The ID of a class of each school."""
        return _pick(self._classes, schools)

    # --- who comes new ---

    def units(self, count: int) -> pl.Series:
        """Numbers for so many faults."""
        self._next_unit += count
        return pl.int_range(self._next_unit - count, self._next_unit, dtype=pl.UInt32, eager=True)

    def students(self, units: pl.Series) -> pl.DataFrame:
        """students.csv rows: one new student for each unit, with a guardian of their own and nothing wrong."""
        number = self._numbers(units.len())
        schools = self._schools(units)
        last_name = choose(self.seed, "last name", number, names.LAST)
        lowest = schools.replace_strict(self._lowest, return_dtype=pl.Int32)
        students = pl.DataFrame(
            {
                "student_id": number.cast(pl.String).str.zfill(6),
                "school_id": schools,
                "student_first_name": _in_turn(names.MASCULINE, number),
                "student_last_name": last_name,
                "dob": (self.district.day.year - 6 - lowest).cast(pl.String) + "-10-1" + (number % 10).cast(pl.String),
                "grade": grade_name(lowest),
            }
        )
        return self.with_guardians(_as_file("students.csv", students))

    def with_guardians(self, students: pl.DataFrame) -> pl.DataFrame:
        """The students.csv rows with a new guardian in each."""
        number = self._numbers(students.height)
        with_names = students.with_columns(
            guardian_id="G" + number.cast(pl.String).str.zfill(6),
            guardian_first_name=_in_turn(names.FEMININE, number),
            guardian_last_name=students["student_last_name"],
            guardian_phone=phones(self.district.seed, number),
            guardian_relationship=pl.lit("Mother"),
            guardian_type=pl.lit("primary"),
            guardian_language=pl.lit("en"),
        )
        return with_names.with_columns(
            guardian_email=pl.format(
                "{}.{}{}@post.example", plain_name("guardian_first_name"), plain_name("guardian_last_name"), number
            )
        )

    def teachers(self, units: pl.Series) -> pl.DataFrame:
        """teachers.csv rows: one new teacher for each unit, without a class."""
        number = self._numbers(units.len())
        teachers = pl.DataFrame(
            {
                "teacher_id": "T" + number.cast(pl.String).str.zfill(5),
                "school_id": self._schools(units),
                "teacher_first_name": _in_turn(names.FEMININE, number),
                "teacher_last_name": choose(self.seed, "last name", number, names.LAST),
            }
        ).with_columns(
            teacher_email=pl.format(
                "{}.{}{}@{}.example",
                plain_name("teacher_first_name"),
                plain_name("teacher_last_name"),
                number,
                pl.lit(self.district.key),
            )
        )
        return _as_file("teachers.csv", teachers)

    def classes(self, units: pl.Series, teachers: pl.Series | None = None) -> pl.DataFrame:
        """classes.csv rows: one new class for each unit, of the teachers given, else of one of the school's."""
        number = pl.int_range(self._next_class, self._next_class + units.len(), dtype=pl.UInt32, eager=True)
        self._next_class += units.len()
        schools = self._schools(units)
        classes = pl.DataFrame(
            {
                "class_id": f"C{self.district.day.year}-" + number.cast(pl.String).str.zfill(5),
                "school_id": schools,
                "class_name": "Elective " + number.cast(pl.String),
                "teacher_id": self.teachers_of(schools) if teachers is None else teachers,
            }
        )
        return _as_file("classes.csv", classes)

    def unknown_ids(self, letter: str, count: int) -> pl.Series:
        """IDs that nobody has or will have."""
        return letter + self._numbers(count).cast(pl.String).str.zfill(6)

    # --- what is written and expected ---

    def add(self, file: str, rows: pl.DataFrame, units: pl.Series, marks: pl.Series | None = None) -> None:
        """Put rows into a file; `marks` are those that `expect` names the lines by."""
        marked = pl.lit(None, dtype=pl.UInt32) if marks is None else marks
        self._added[file].append(rows.select(*HEADERS[file], units.alias("unit"), marked.alias("mark")))

    def add_marked(self, file: str, rows: pl.DataFrame, units: pl.Series) -> pl.Series:
        """Put rows into a file, and return a new mark for each."""
        marks = self.marks(rows.height)
        self.add(file, rows, units, marks)
        return marks

    def marks(self, count: int) -> pl.Series:
        """New marks for so many lines."""
        self._next_mark += count
        return pl.int_range(self._next_mark - count, self._next_mark, dtype=pl.UInt32, eager=True)

    def enroll(self, classes: pl.Series, students: pl.Series, schools: pl.Series, units: pl.Series) -> None:
        """Put an enrollment for each pair."""
        pairs = pl.DataFrame({"class_id": classes, "user_id": students, "school_id": schools})
        self.add("enrollments.csv", pairs, units)

    def enroll_students(self, students: pl.DataFrame, units: pl.Series) -> None:
        """Enroll each of the students.csv rows' students in a class of their school."""
        schools = students["school_id"]
        self.enroll(self.classes_of(schools), students["student_id"], schools, units)

    def fill_classes(self, classes: pl.DataFrame, units: pl.Series) -> None:
        """Enroll two students of the school in each of the classes.csv rows' classes (one where there is only one)."""
        schools = classes["school_id"]
        first, second = (self.students_of(schools, turn) for turn in (0, 1))
        self.enroll(classes["class_id"], first, schools, units)
        two = first != second
        self.enroll(classes["class_id"].filter(two), second.filter(two), schools.filter(two), units.filter(two))

    def expect(
        self,
        code: str,
        file: str,
        marks: pl.Series,
        schools: pl.Series | None,
        records: pl.Series,
        dependents: int = 0,
    ) -> None:
        """Expect an issue of each mark's line (the first one, where lines share a mark)."""
        self._expected.append(
            pl.DataFrame({"mark": marks, "record_id": records}).select(
                pl.lit(code).alias("code"),
                pl.lit(None, dtype=pl.String).alias("school_id") if schools is None else schools.alias("school_id"),
                pl.lit(file).alias("file"),
                "mark",
                "record_id",
                pl.lit(dependents, dtype=pl.UInt32).alias("dependents"),
            )
        )

    def finish(self) -> tuple[dict[str, pl.DataFrame], pl.DataFrame]:
        """The rows of all files, and what is expected of them (EXPECTED, sorted)."""
        rows, lines = {}, []
        for file, there in self.rows.items():
            marks = pl.col("mark") if "mark" in there.columns else pl.lit(None, dtype=pl.UInt32).alias("mark")
            base = there.select(
                *HEADERS[file], marks, pl.int_range(pl.len(), dtype=pl.UInt32).alias("at"), pl.lit(0).alias("late")
            )
            added = [
                frame.select(
                    *HEADERS[file],
                    "mark",
                    below(self.seed, f"place in {file}", frame["unit"], max(1, there.height)).alias("at"),
                    pl.lit(1).alias("late"),
                )
                for frame in self._added[file]
            ]
            whole = pl.concat([base, *added]).sort("at", "late", maintain_order=True)
            rows[file] = whole.select(HEADERS[file])
            # The header is line 1.
            numbered = whole.select("mark", line=pl.int_range(pl.len(), dtype=pl.UInt32) + 2)
            lines.append(numbered.drop_nulls("mark").group_by("mark").agg(pl.col("line").min()))
        expected = pl.concat(self._expected) if self._expected else pl.DataFrame(schema={"mark": pl.UInt32, **EXPECTED})
        if self._expected:
            expected = expected.join(pl.concat(lines), on="mark", how="left")
        return rows, expected.select(*EXPECTED).sort(*EXPECTED, nulls_last=True)

    def _numbers(self, count: int) -> pl.Series:
        self._next_person += count
        return pl.int_range(self._next_person - count, self._next_person, dtype=pl.UInt32, eager=True)

    def _schools(self, units: pl.Series) -> pl.Series:
        return _in_turn(self.schools, units)


def _by_school(records: pl.DataFrame) -> pl.DataFrame:
    """school_id, ids: the external IDs of each school's records, in order."""
    return records.group_by("school_id").agg(pl.col("external_id").sort().alias("ids"))


def _pick(by_school: pl.DataFrame, schools: pl.Series, turn: int = 0) -> pl.Series:
    """An ID of each school: the first for its first mention, the second for its second, and round again."""
    mention = pl.int_range(pl.len()).over("school_id") + turn
    return (
        pl.DataFrame({"school_id": schools})
        .with_columns(mention=mention)
        .join(by_school, on="school_id", maintain_order="left")
        .select(pl.col("ids").list.get(pl.col("mention") % pl.col("ids").list.len()))
        .to_series()
    )


def _in_turn(options: Sequence[str], numbers: pl.Series) -> pl.Series:
    return pl.Series(options, dtype=pl.String).gather(numbers % len(options))


def _as_file(file: str, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with all columns of the file; what they lack is null."""
    lacking = [pl.lit(None, dtype=pl.String).alias(column) for column in HEADERS[file] if column not in rows.columns]
    return rows.with_columns(lacking).select(HEADERS[file])


# --- the faults ---


def _bad_student(planting: _Planting, code: str, count: int, dependents: int = 0, **values: str | None) -> None:
    """A student's rows with these values in place of good ones."""
    units = planting.units(count)
    students = planting.students(units)
    planting.enroll_students(students, units)
    spoilt = students.with_columns(**{column: pl.lit(value, dtype=pl.String) for column, value in values.items()})
    marks = planting.add_marked("students.csv", spoilt, units)
    planting.expect(code, "students.csv", marks, students["school_id"], students["student_id"], dependents)


def _bad_guardian(planting: _Planting, code: str, count: int, dependents: int = 0, **values: str | None) -> None:
    """A second guardian of a student, with these values in place of good ones."""
    units = planting.units(count)
    students = planting.students(units)
    planting.enroll_students(students, units)
    planting.add("students.csv", students, units)
    second = planting.with_guardians(students).with_columns(
        **{column: pl.lit(value, dtype=pl.String) for column, value in values.items()}
    )
    marks = planting.add_marked("students.csv", second, units)
    planting.expect(code, "students.csv", marks, students["school_id"], second["guardian_id"], dependents)


def _bad_teacher(planting: _Planting, code: str, count: int, dependents: int = 0, **values: str | None) -> None:
    """A teacher of a class, with these values in place of good ones."""
    units = planting.units(count)
    teachers = planting.teachers(units)
    classes = planting.classes(units, teachers["teacher_id"])
    planting.add("classes.csv", classes, units)
    planting.fill_classes(classes, units)
    spoilt = teachers.with_columns(**{column: pl.lit(value, dtype=pl.String) for column, value in values.items()})
    marks = planting.add_marked("teachers.csv", spoilt, units)
    planting.expect(code, "teachers.csv", marks, teachers["school_id"], teachers["teacher_id"], dependents)


# A teacher who is rejected takes the class and its two enrollments along; a student an enrollment and a guardian entry.
TEACHER_FALLS, STUDENT_FALLS, CLASS_FALLS = 3, 2, 2


def _teacher_email_missing(planting: _Planting, code: str, count: int) -> None:
    _bad_teacher(planting, code, count, TEACHER_FALLS, teacher_email=None)


def _teacher_email_invalid(planting: _Planting, code: str, count: int) -> None:
    _bad_teacher(planting, code, count, TEACHER_FALLS, teacher_email="front office")


def _teacher_email_taken(planting: _Planting, code: str, count: int) -> None:
    """Two teachers claim one address; between equals it goes to the external ID that sorts first."""
    units = planting.units(count)
    winners = planting.teachers(units)
    losers = planting.teachers(units).with_columns(
        teacher_id=winners["teacher_id"] + "b", teacher_email=winners["teacher_email"].str.to_uppercase()
    )
    planting.add("teachers.csv", winners, units)
    marks = planting.add_marked("teachers.csv", losers, units)
    for teachers in (winners, losers):
        classes = planting.classes(units, teachers["teacher_id"])
        planting.add("classes.csv", classes, units)
        planting.fill_classes(classes, units)
    planting.expect(code, "teachers.csv", marks, losers["school_id"], losers["teacher_id"], TEACHER_FALLS)


def _name_missing(planting: _Planting, code: str, count: int) -> None:
    third = count // 3
    _bad_student(planting, code, count - 2 * third, STUDENT_FALLS, student_last_name=None)
    if third:
        _bad_teacher(planting, code, third, TEACHER_FALLS, teacher_first_name=None)
        _bad_guardian(planting, code, third, guardian_first_name=None, guardian_last_name=None)


def _guardian_unreachable(planting: _Planting, code: str, count: int) -> None:
    _bad_guardian(planting, code, count, guardian_email=None, guardian_phone=None)


def _id_shared(planting: _Planting, code: str, count: int) -> None:
    units = planting.units(count)
    students = planting.students(units)
    others = planting.students(units).with_columns(
        student_id=students["student_id"], school_id=students["school_id"], dob=pl.lit("2011-02-03")
    )
    marks = planting.marks(count)
    planting.add("students.csv", students, units, marks)
    planting.add("students.csv", others, units, marks)
    planting.enroll_students(students, units)
    # One enrollment and two guardian entries.
    planting.expect(code, "students.csv", marks, students["school_id"], students["student_id"], 3)


def _school_unknown(planting: _Planting, code: str, count: int) -> None:
    units = planting.units(count)
    students = planting.students(units)
    planting.enroll_students(students, units)
    marks = planting.add_marked("students.csv", students.with_columns(school_id=pl.lit("9999")), units)
    planting.expect(code, "students.csv", marks, None, students["student_id"], STUDENT_FALLS)


def _bad_class(
    planting: _Planting, code: str, count: int, dependents: int = 0, *, filled: bool = True, **values: pl.Expr
) -> None:
    """A class with these values in place of good ones."""
    units = planting.units(count)
    classes = planting.classes(units)
    marks = planting.add_marked("classes.csv", classes.with_columns(**values), units)
    if filled:
        planting.fill_classes(classes, units)
    planting.expect(code, "classes.csv", marks, classes["school_id"], classes["class_id"], dependents)


def _class_name_missing(planting: _Planting, code: str, count: int) -> None:
    _bad_class(planting, code, count, CLASS_FALLS, class_name=pl.lit(None, dtype=pl.String))


def _class_name_too_long(planting: _Planting, code: str, count: int) -> None:
    _bad_class(planting, code, count, class_name=pl.col("class_name") + pl.lit(" and more" * 30))


def _class_teacher_unknown(planting: _Planting, code: str, count: int) -> None:
    _bad_class(planting, code, count, CLASS_FALLS, teacher_id=pl.lit(planting.unknown_ids("U", count)))


def _class_without_students(planting: _Planting, code: str, count: int) -> None:
    _bad_class(planting, code, count, filled=False)


def _class_in_two_schools(planting: _Planting, code: str, count: int) -> None:
    units = planting.units(count)
    classes = planting.classes(units)
    elsewhere = classes["school_id"].replace_strict(planting.other_school, return_dtype=pl.String)
    again = classes.with_columns(school_id=elsewhere, teacher_id=planting.teachers_of(elsewhere))
    for rows in (classes, again):
        marks = planting.add_marked("classes.csv", rows, units)
        planting.expect(code, "classes.csv", marks, rows["school_id"], classes["class_id"], CLASS_FALLS)
    planting.fill_classes(classes, units)


def _class_teacher_other_school(planting: _Planting, code: str, count: int) -> None:
    units = planting.units(count)
    classes = planting.classes(units)
    elsewhere = classes["school_id"].replace_strict(planting.other_school, return_dtype=pl.String)
    spoilt = classes.with_columns(teacher_id=planting.teachers_of(elsewhere))
    marks = planting.add_marked("classes.csv", spoilt, units)
    planting.fill_classes(classes, units)
    planting.expect(code, "classes.csv", marks, classes["school_id"], classes["class_id"])


def _co_teacher_unknown(planting: _Planting, code: str, count: int) -> None:
    units = planting.units(count)
    classes = planting.classes(units)
    planting.add("classes.csv", classes, units)
    unknown = classes.with_columns(teacher_id=planting.unknown_ids("U", count))
    marks = planting.add_marked("classes.csv", unknown, units)
    planting.fill_classes(classes, units)
    planting.expect(code, "classes.csv", marks, classes["school_id"], classes["class_id"])


def _class_name_duplicate(planting: _Planting, code: str, count: int) -> None:
    units = planting.units(count)
    first, second = planting.classes(units), planting.classes(units)
    second = second.with_columns(class_name=first["class_name"].str.to_uppercase())
    for classes in (first, second):
        marks = planting.add_marked("classes.csv", classes, units)
        planting.fill_classes(classes, units)
        planting.expect(code, "classes.csv", marks, classes["school_id"], classes["class_id"])


def _good_student(planting: _Planting, units: pl.Series) -> pl.DataFrame:
    students = planting.students(units)
    planting.add("students.csv", students, units)
    planting.enroll_students(students, units)
    return students


def _enrollment_class_unknown(planting: _Planting, code: str, count: int) -> None:
    units = planting.units(count)
    students = _good_student(planting, units)
    unknown = students.select(
        pl.lit(planting.unknown_ids("U", count)).alias("class_id"), "student_id", "school_id"
    ).rename({"student_id": "user_id"})
    marks = planting.add_marked("enrollments.csv", unknown, units)
    planting.expect(code, "enrollments.csv", marks, students["school_id"], unknown["class_id"])


def _enrollment_student_unknown(planting: _Planting, code: str, count: int) -> None:
    units = planting.units(count)
    classes = planting.classes(units)
    planting.add("classes.csv", classes, units)
    planting.fill_classes(classes, units)
    unknown = classes.select("class_id", pl.lit(planting.unknown_ids("U", count)).alias("user_id"), "school_id")
    marks = planting.add_marked("enrollments.csv", unknown, units)
    planting.expect(code, "enrollments.csv", marks, classes["school_id"], unknown["user_id"])


def _enrollment_school_mismatch(planting: _Planting, code: str, count: int) -> None:
    units = planting.units(count)
    students = planting.students(units)
    planting.add("students.csv", students, units)
    schools = students["school_id"]
    pairs = pl.DataFrame(
        {
            "class_id": planting.classes_of(schools),
            "user_id": students["student_id"],
            "school_id": schools.replace_strict(planting.other_school, return_dtype=pl.String),
        }
    )
    marks = planting.add_marked("enrollments.csv", pairs, units)
    planting.expect(code, "enrollments.csv", marks, schools, pairs["user_id"])


def _enrollment_student_other_school(planting: _Planting, code: str, count: int) -> None:
    units = planting.units(count)
    students = _good_student(planting, units)
    elsewhere = students["school_id"].replace_strict(planting.other_school, return_dtype=pl.String)
    pairs = pl.DataFrame(
        {"class_id": planting.classes_of(elsewhere), "user_id": students["student_id"], "school_id": elsewhere}
    )
    marks = planting.add_marked("enrollments.csv", pairs, units)
    planting.expect(code, "enrollments.csv", marks, elsewhere, pairs["user_id"])


def _email_shared(planting: _Planting, code: str, count: int) -> None:
    """Four guardians of four names under one address: more than three."""
    units = planting.units(count)
    shared = pl.format("office{}@post.example", pl.lit(units))
    schools = None
    for _ in range(4):
        students = planting.students(units).with_columns(guardian_email=shared)
        schools = students["school_id"]
        planting.enroll_students(students, units)
        marks = planting.add_marked("students.csv", students, units)
        planting.expect(code, "students.csv", marks, schools, students["guardian_id"])


def _guardian_names_differ(planting: _Planting, code: str, count: int) -> None:
    """Two siblings whose mother is written in two ways."""
    units = planting.units(count)
    elder = planting.students(units)
    younger = planting.students(units).with_columns(
        elder.select(GUARDIAN_COLUMNS).with_columns(guardian_first_name=pl.col("guardian_first_name") + " Jane")
    )
    marks = planting.marks(count)
    for students in (elder, younger):
        planting.add("students.csv", students, units, marks)
        planting.enroll_students(students, units)
    planting.expect(code, "students.csv", marks, elder["school_id"], elder["guardian_id"])


def _guardian_id_shared(planting: _Planting, code: str, count: int) -> None:
    """The guardians of two students, who have nothing in common but the ID."""
    units = planting.units(count)
    first, second = planting.students(units), planting.students(units)
    for students in (first, second.with_columns(guardian_id=first["guardian_id"])):
        planting.enroll_students(students, units)
        marks = planting.add_marked("students.csv", students, units)
        planting.expect(code, "students.csv", marks, students["school_id"], students["guardian_id"])


def _duplicate_conflict(planting: _Planting, code: str, count: int) -> None:
    units = planting.units(count)
    students = planting.students(units)
    planting.enroll_students(students, units)
    marks = planting.marks(count)
    planting.add("students.csv", students, units, marks)
    planting.add("students.csv", students.with_columns(grade=pl.lit("12")), units, marks)
    planting.expect(code, "students.csv", marks, students["school_id"], students["student_id"])


def _duplicate_row(planting: _Planting, code: str, count: int) -> None:
    units = planting.units(count)
    students = _good_student(planting, units)
    marks = planting.add_marked("students.csv", students, units)
    planting.expect(code, "students.csv", marks, students["school_id"], students["student_id"])


def _without_guardian(students: pl.DataFrame) -> pl.DataFrame:
    return students.with_columns(pl.lit(None, dtype=pl.String).alias(column) for column in GUARDIAN_COLUMNS)


def _student_without_guardian(planting: _Planting, code: str, count: int) -> None:
    units = planting.units(count)
    students = planting.students(units)
    planting.enroll_students(students, units)
    solo = _without_guardian(students).with_columns(
        student_email=pl.format("student{}@students.{}.example", "student_id", pl.lit(planting.district.key))
    )
    marks = planting.add_marked("students.csv", solo, units)
    planting.expect(code, "students.csv", marks, students["school_id"], students["student_id"])


def _student_unreachable(planting: _Planting, code: str, count: int) -> None:
    units = planting.units(count)
    students = planting.students(units)
    planting.enroll_students(students, units)
    marks = planting.add_marked("students.csv", _without_guardian(students), units)
    for each in (code, "student_without_guardian"):
        planting.expect(each, "students.csv", marks, students["school_id"], students["student_id"])


def _email_invalid(planting: _Planting, code: str, count: int) -> None:
    _bad_student(planting, code, count - count // 2, student_email="none@school")
    if count // 2:
        _bad_guardian(planting, code, count // 2, guardian_email="ask at work")


def _email_taken(planting: _Planting, code: str, count: int) -> None:
    """A student under the mother's address: a guardian goes before a student."""
    units = planting.units(count)
    students = planting.students(units)
    planting.enroll_students(students, units)
    marks = planting.add_marked(
        "students.csv", students.with_columns(student_email=pl.col("guardian_email").str.to_uppercase()), units
    )
    planting.expect(code, "students.csv", marks, students["school_id"], students["student_id"])


def _phone_invalid(planting: _Planting, code: str, count: int) -> None:
    third = count // 3
    _bad_student(planting, code, count - 2 * third, student_phone="555-01")
    if third:
        _bad_teacher(planting, code, third, teacher_mobile_phone="123-456-7890")
        _bad_guardian(planting, code, third, guardian_phone="unlisted")


def _birth_date_invalid(planting: _Planting, code: str, count: int) -> None:
    _bad_student(planting, code, count, dob="2012-02-30")


def _birth_date_missing(planting: _Planting, code: str, count: int) -> None:
    _bad_student(planting, code, count, dob=None)


def _grade_unknown(planting: _Planting, code: str, count: int) -> None:
    _bad_student(planting, code, count, grade="Owls")


def _name_damaged(planting: _Planting, code: str, count: int) -> None:
    _bad_student(planting, code, count - count // 2, student_first_name="Jos&eacute;")
    if count // 2:
        _bad_guardian(planting, code, count // 2, guardian_last_name="Mu\ufffdoz")


def _invisible_character(planting: _Planting, code: str, count: int) -> None:
    _bad_student(planting, code, count - count // 2, student_last_name="Ma\u200brsh")
    if count // 2:
        _bad_teacher(planting, code, count // 2, teacher_first_name="Gra\u00adce")


def _placeholder_value(planting: _Planting, code: str, count: int) -> None:
    _bad_student(planting, code, count, student_first_name="TBD")


def _student_without_class(planting: _Planting, code: str, count: int) -> None:
    units = planting.units(count)
    students = planting.students(units)
    marks = planting.add_marked("students.csv", students, units)
    planting.expect(code, "students.csv", marks, students["school_id"], students["student_id"])


def _teacher_without_class(planting: _Planting, code: str, count: int) -> None:
    units = planting.units(count)
    teachers = planting.teachers(units)
    marks = planting.add_marked("teachers.csv", teachers, units)
    planting.expect(code, "teachers.csv", marks, teachers["school_id"], teachers["teacher_id"])


def _spoilt_school(planting: _Planting, code: str, count: int, name: pl.Expr) -> None:
    """Schools that are there already: a new one would be no school that anybody has set up."""
    spoilt = planting.schools[planting.spoilt_schools : planting.spoilt_schools + count]
    planting.spoilt_schools += count
    if len(spoilt) < count:
        raise ValueError("there are not so many schools whose names could be spoilt")
    ids, marks = pl.Series(spoilt, dtype=pl.String), planting.marks(count)
    there = planting.rows["schools.csv"]
    marked = pl.col("school_id").replace_strict(ids, marks, default=None, return_dtype=pl.UInt32)
    if "mark" in there.columns:
        marked = pl.coalesce("mark", marked)
    hit = pl.col("school_id").is_in(ids.implode())
    planting.rows["schools.csv"] = there.with_columns(
        school_name=pl.when(hit).then(name).otherwise(pl.col("school_name")), mark=marked
    )
    planting.expect(code, "schools.csv", marks, ids, ids)


def _school_empty(planting: _Planting, code: str, count: int) -> None:
    """New schools that nothing else names, as nobody is there yet."""
    units = planting.units(count)
    ids = planting.unknown_ids("S", count)
    schools = pl.DataFrame({"school_id": ids, "school_name": "Annex " + ids})
    marks = planting.add_marked("schools.csv", _as_file("schools.csv", schools), units)
    planting.expect(code, "schools.csv", marks, ids, ids)


def _school_name_missing(planting: _Planting, code: str, count: int) -> None:
    _spoilt_school(planting, code, count, pl.lit(None, dtype=pl.String))


def _school_name_too_long(planting: _Planting, code: str, count: int) -> None:
    _spoilt_school(
        planting, code, count, pl.col("school_name") + pl.lit(" of the Arts, Letters and Natural Sciences" * 2)
    )


FAULTS: Mapping[str, Callable[[_Planting, str, int], None]] = MappingProxyType(
    {
        "teacher_email_missing": _teacher_email_missing,
        "teacher_email_invalid": _teacher_email_invalid,
        "teacher_email_taken": _teacher_email_taken,
        "name_missing": _name_missing,
        "guardian_unreachable": _guardian_unreachable,
        "id_shared": _id_shared,
        "school_unknown": _school_unknown,
        "class_name_missing": _class_name_missing,
        "class_teacher_unknown": _class_teacher_unknown,
        "class_in_two_schools": _class_in_two_schools,
        "enrollment_class_unknown": _enrollment_class_unknown,
        "enrollment_student_unknown": _enrollment_student_unknown,
        "email_shared": _email_shared,
        "guardian_id_shared": _guardian_id_shared,
        "duplicate_conflict": _duplicate_conflict,
        "duplicate_row": _duplicate_row,
        "student_unreachable": _student_unreachable,
        "student_without_guardian": _student_without_guardian,
        "email_invalid": _email_invalid,
        "email_taken": _email_taken,
        "phone_invalid": _phone_invalid,
        "birth_date_invalid": _birth_date_invalid,
        "birth_date_missing": _birth_date_missing,
        "grade_unknown": _grade_unknown,
        "name_damaged": _name_damaged,
        "invisible_character": _invisible_character,
        "placeholder_value": _placeholder_value,
        "student_without_class": _student_without_class,
        "class_without_students": _class_without_students,
        "teacher_without_class": _teacher_without_class,
        "co_teacher_unknown": _co_teacher_unknown,
        "class_teacher_other_school": _class_teacher_other_school,
        "enrollment_school_mismatch": _enrollment_school_mismatch,
        "enrollment_student_other_school": _enrollment_student_other_school,
        "class_name_too_long": _class_name_too_long,
        "class_name_duplicate": _class_name_duplicate,
        "guardian_names_differ": _guardian_names_differ,
        "school_name_too_long": _school_name_too_long,
        "school_name_missing": _school_name_missing,
        "school_empty": _school_empty,
    }
)
