"""A small invented district in five files, and what a database may hold of it, for tests of checking and settling."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import polars as pl

from contracts.checking import Records, check
from contracts.formats import FORMATS
from contracts.formats.delimited import read_files
from contracts.roster import (
    STORED_ACCOUNTS,
    STORED_CLASS_MEMBERS,
    STORED_CLASSES,
    STORED_GUARDIANSHIPS,
    STORED_LINKS,
    STORED_OTHER_SCHOOLS,
    STORED_SCHOOL_MEMBERS,
    Schema,
    Settled,
    StoredRoster,
)
from contracts.settling import settle

TODAY = date(2026, 11, 24)
CSV = FORMATS["csv-1.0"]
Row = dict[str, str]
# Other spellings than the published ones, which the sample districts are written in.
HEADERS = {
    "schools.csv": ["school_id", "school_name"],
    "teachers.csv": ["teacher_id", "school_id", "first_name", "last_name", "email", "phone"],
    "students.csv": [
        *("student_id", "school_id", "first_name", "last_name", "email", "phone", "birth_date", "grade"),
        *("guardian_id", "guardian_first_name", "guardian_last_name", "guardian_email", "guardian_phone"),
        *("guardian_relationship", "guardian_type", "guardian_language"),
    ],
    "classes.csv": ["class_id", "school_id", "class_name", "teacher_id"],
    "enrollments.csv": ["class_id", "student_id", "school_id"],
}


def school(school_id: str, name: str | None = None) -> Row:
    return {"school_id": school_id, "school_name": f"School {school_id}" if name is None else name}


def teacher(teacher_id: str, school_id: str = "1", **values: str) -> Row:
    number = teacher_id.removeprefix("T")
    row = {"teacher_id": teacher_id, "school_id": school_id, "first_name": f"Tea{number}", "last_name": f"Cher{number}"}
    return row | {"email": f"t{number}@unified.example"} | values


def student(student_id: str, school_id: str = "1", *, guardian: Row | None = None, **values: str) -> Row:
    number = student_id.removeprefix("S")
    row = {"student_id": student_id, "school_id": school_id, "first_name": f"Stu{number}", "last_name": f"Dent{number}"}
    parent = guardian_of(f"G{number}") if guardian is None else guardian
    return row | {"birth_date": "2014-09-03", "grade": "5"} | parent | values


def guardian_of(guardian_id: str = "", **values: str) -> Row:
    """The guardian's columns of a student's row: by ID, name and email unless said otherwise."""
    number = guardian_id.removeprefix("G")
    row = {
        "guardian_id": guardian_id,
        "guardian_first_name": f"Gua{number}",
        "guardian_last_name": f"Dian{number}",
        "guardian_email": f"g{number}@mail.example",
    }
    return row | {f"guardian_{name}": value for name, value in values.items()}


NOBODY: Row = {f"guardian_{name}": "" for name in ("id", "first_name", "last_name", "email", "phone")}


def class_(class_id: str, teacher_id: str = "T1", school_id: str = "1", **values: str) -> Row:
    row = {"class_id": class_id, "school_id": school_id, "class_name": f"Class {class_id}", "teacher_id": teacher_id}
    return row | values


def enrollment(class_id: str, student_id: str, **values: str) -> Row:
    return {"class_id": class_id, "student_id": student_id} | values


@dataclass
class Files:
    """Rows by file. As made: at school 1 teacher T1, class C1 and student S1 with guardian G1.

    schools: unless given, 1, and 2 where a row names it.
    """

    schools: list[Row] | None = None
    teachers: list[Row] = field(default_factory=lambda: [teacher("T1")])
    students: list[Row] = field(default_factory=lambda: [student("S1")])
    classes: list[Row] = field(default_factory=lambda: [class_("C1")])
    enrollments: list[Row] = field(default_factory=lambda: [enrollment("C1", "S1")])

    def with_teacher(self, row: Row) -> Files:
        """Another teacher, who leads a class of their own with S1 in it."""
        name = f"C{row['teacher_id']}"
        self.teachers.append(row)
        self.classes.append(class_(name, row["teacher_id"], row["school_id"]))
        self.enrollments.append(enrollment(name, "S1"))
        return self

    def with_student(self, *rows: Row) -> Files:
        """Another student, by all their rows, enrolled in C1."""
        self.students.extend(rows)
        self.enrollments.append(enrollment("C1", rows[0]["student_id"]))
        return self

    def content(self) -> dict[str, bytes]:
        tables = {name: getattr(self, name.removesuffix(".csv")) for name in HEADERS}
        if self.schools is None:
            named = {row.get("school_id") for name in HEADERS if name != "schools.csv" for row in tables[name]}
            tables["schools.csv"] = [school(school_id) for school_id in ("1", "2") if school_id in {"1", *named}]
        return {name: _csv(HEADERS[name], rows) for name, rows in tables.items()}


def _csv(header: list[str], rows: Sequence[Mapping[str, str]]) -> bytes:
    def quoted(value: str) -> str:
        return '"' + value.replace('"', '""') + '"'

    lines = [header, *([row.get(column, "") for column in header] for row in rows)]
    return "".join(",".join(map(quoted, line)) + "\n" for line in lines).encode()


def checked(files: Files | Mapping[str, bytes], schools: Collection[str] | None = None) -> Records:
    content = files.content() if isinstance(files, Files) else files
    reading = read_files(CSV, content)
    assert reading.file_errors.rows() == []
    return check(CSV.to_roster(reading), schools, today=TODAY)


def settled(
    files: Files | Mapping[str, bytes], stored: StoredRoster | None = None, schools: Collection[str] | None = None
) -> Settled:
    return settle(checked(files, schools), StoredRoster.nothing() if stored is None else stored)


def _frame(schema: Schema, rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=dict(schema))


def link(link_id: str, kind: str, external_id: str | None, **values: Any) -> dict[str, Any]:
    """An active link of this source, named as the rows above name them; its account is link_id with an A."""
    number = (external_id or "")[1:]
    first, last = {"employee": ("Tea", "Cher"), "student": ("Stu", "Dent"), "guardian": ("Gua", "Dian")}[kind]
    row: dict[str, Any] = {
        "link_id": link_id,
        "account_id": f"A{link_id}",
        "from_this_source": True,
        "former": False,
        "beyond": False,
        "kind": kind,
        "role": {"employee": "teacher"}.get(kind, kind),
        "external_id": external_id,
        "guardian_ids": [external_id] if kind == "guardian" and external_id else None,
        "first_name": f"{first}{number}",
        "last_name": f"{last}{number}",
        "active": True,
    }
    return row | values


def account(account_id: str, role: str, **values: Any) -> dict[str, Any]:
    """An active account that no link of this district knows."""
    return {"account_id": account_id, "role": role, "by_hand": False, "linked": False} | values


def stored(
    *links: dict[str, Any],
    guardianships: Sequence[tuple[str, ...]] = (),
    classes: Sequence[tuple[str, str]] = (),
    accounts: Sequence[dict[str, Any]] = (),
    school_members: Sequence[tuple[str, str, datetime | None]] = (),
    class_members: Sequence[tuple[str, str, bool]] = (),
    other_schools: Sequence[tuple[str, str, datetime | None]] = (),
) -> StoredRoster:
    def frame(schema: Schema, rows: Sequence[tuple[Any, ...]]) -> pl.DataFrame:
        return pl.DataFrame(list(rows), schema=dict(schema), orient="row")

    return StoredRoster(
        _frame(STORED_LINKS, links),
        _frame(STORED_GUARDIANSHIPS, [dict(zip(STORED_GUARDIANSHIPS, pair, strict=False)) for pair in guardianships]),
        frame(STORED_CLASSES, classes),
        _frame(STORED_ACCOUNTS, accounts),
        frame(STORED_SCHOOL_MEMBERS, school_members),
        frame(STORED_CLASS_MEMBERS, class_members),
        frame(STORED_OTHER_SCHOOLS, other_schools),
    )


def issues(value: Settled, *columns: str) -> list[tuple[Any, ...]]:
    """The issues as rows of code, school_id, line, record_id, dependents, unless other columns are asked for."""
    names = columns or ("code", "school_id", "line", "record_id", "dependents")
    return sorted(value.issues.select(names).rows(), key=repr)


def codes(value: Settled) -> list[str]:
    return sorted(value.issues["code"].to_list())


def who(value: Settled) -> list[str | None]:
    """The external IDs of the settled people, employees first, then students, then guardians."""
    return value.people["external_id"].to_list()


def one(value: Settled, external_id: str | None, *columns: str) -> Any:
    """The columns of the settled person with this external ID; of one column, the value."""
    found = value.people.filter(pl.col("external_id").eq_missing(external_id)).select(columns).rows()
    assert len(found) == 1
    return found[0][0] if len(columns) == 1 else found[0]


def pairs(value: Settled) -> list[tuple[Any, ...]]:
    """The guardianships as (student, guardian): external IDs, or the link of one who goes on as last applied."""
    names = value.people.select("person", "external_id")
    return sorted(
        value.guardianships.join(names, left_on="student", right_on="person", how="left")
        .join(names, left_on="guardian", right_on="person", how="left", suffix="_guardian")
        .select(pl.coalesce("student_link_id", "external_id"), pl.coalesce("guardian_link_id", "external_id_guardian"))
        .rows(),
        key=repr,
    )


def members(value: Settled) -> list[tuple[Any, ...]]:
    """The class members as (class, school, person or link, is_owner)."""
    names = value.people.select("person", "external_id")
    return sorted(
        value.class_members.join(names, on="person", how="left")
        .select("class_id", "school_id", pl.coalesce("link_id", "external_id"), "is_owner")
        .rows()
    )


def kept(value: Settled, table: str) -> list[tuple[Any, ...]]:
    """What is kept of a table, as (link_id, class_id)."""
    return value.protected.filter(table=table).select("link_id", "class_id").rows()
