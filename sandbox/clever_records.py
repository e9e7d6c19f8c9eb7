"""Invented districts as Clever's records: the objects its Data API serves, encoded, and what may become of them.

It knows Clever's shapes by itself and not by the description the mapping uses, so that the two check each other. How
the records are served is in `sandbox.clever_api`.
"""

from __future__ import annotations

import zlib
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import blake2b
from itertools import chain
from types import MappingProxyType
from typing import Any, Literal

import msgspec
import polars as pl

from sandbox import names
from sandbox.generator import EMPLOYEE, GUARDIAN, STUDENT, District, plain_name
from sandbox.seeded import below, chance, choose

COLLECTIONS = ("schools", "users", "sections")
ROLES = ("student", "teacher", "staff", "district_admin", "contact")

GRADES: Mapping[str, str] = MappingProxyType({"K": "Kindergarten"})  # 1 to 12 are called the same
RELATIONSHIPS: Mapping[str, str] = MappingProxyType(
    {"Mother": "Parent", "Father": "Parent", "Grandparent": "Grandparent"}
)
GUARDIAN_TYPES: Mapping[str, str] = MappingProxyType({"primary": "Primary"})
LANGUAGES: Mapping[str, str] = MappingProxyType(
    {"en": "English", "es": "Spanish", "vi": "Vietnamese", "zh": "Chinese", "ar": "Arabic", "tl": "Tagalog"}
)

_ABSENT_PERCENT = 10  # of the unset strings, the rest of which are ""
_FIRST_RECORDED = datetime(2026, 7, 1)

State = Literal["running", "pending", "error", "paused", "success", ""]


class Record(msgspec.Struct, frozen=True, gc=False):
    """One object as Clever gives it: its ID, the roles of a user (else none) and its JSON, without the envelope."""

    id: str
    roles: frozenset[str]
    body: bytes

    def value(self) -> dict[str, Any]:
        """The object, decoded."""
        return msgspec.json.decode(self.body, type=dict[str, Any])


@dataclass(frozen=True)
class CleverIds:
    """Clever's IDs of what a district holds, by the generator's external IDs, guardians by number as some have none."""

    schools: Mapping[str, str]
    employees: Mapping[str, str]
    students: Mapping[str, str]
    guardians: Mapping[int, str]
    classes: Mapping[str, str]


@dataclass(frozen=True)
class CleverDistrict:
    """A district as one app sees it: the district object, and the records of each of COLLECTIONS by ascending ID."""

    district: Mapping[str, Any]
    records: Mapping[str, tuple[Record, ...]]

    @property
    def id(self) -> str:
        """The district's ID, the same on all of its days."""
        return str(self.district["id"])

    def users(self, role: str) -> tuple[Record, ...]:
        """The users who have a role, by ascending ID."""
        return tuple(record for record in self.records["users"] if role in record.roles)

    def record(self, collection: str, record_id: str) -> Record:
        """One record. Raises KeyError where there is none."""
        records = self.records[collection]
        at = bisect_left(records, record_id, key=_by_id)
        if at == len(records) or records[at].id != record_id:
            raise KeyError(record_id)
        return records[at]

    def values(self, collection: str) -> list[dict[str, Any]]:
        """The objects of a collection, decoded, by ascending ID."""
        return [record.value() for record in self.records[collection]]


def district_id(district: District) -> str:
    """The 24 hexadecimal digits by which Clever knows the district, the same on all of its days."""
    return _id(district, "district", district.key)


def clever_ids(district: District) -> CleverIds:
    """Clever's IDs of everything in the district. Who keeps their external ID keeps their Clever ID."""

    def of(kind: str, keys: pl.Series) -> dict[str, str]:
        return {key: _id(district, kind, key) for key in keys}

    guardians = district.of_kind(GUARDIAN).select("person", "external_id").rows()
    return CleverIds(
        schools=of("school", district.schools["external_id"]),
        employees=of(EMPLOYEE, district.of_kind(EMPLOYEE)["external_id"]),
        students=of(STUDENT, district.of_kind(STUDENT)["external_id"]),
        guardians={person: _id(district, GUARDIAN, external_id or f"#{person}") for person, external_id in guardians},
        classes=of("section", district.classes["external_id"]),
    )


def clever_district(
    district: District,
    *,
    staff: int = 0,
    district_admins: int = 0,
    teachers_also_staff: int = 0,
    teachers_also_district_admins: int = 0,
) -> CleverDistrict:
    """The district as Clever gives it, everything shared.

    ``staff`` and ``district_admins`` come on top of the generator's people and have no other role (see `added_ids`);
    the first teachers by number are ``teachers_also_staff``, and those after them ``teachers_also_district_admins``.
    Each has one ID and one user with both roles. Raises ValueError where there are not so many teachers.
    """
    if district.of_kind(EMPLOYEE).height < teachers_also_staff + teachers_also_district_admins:
        raise ValueError("there are not so many teachers")
    known = clever_ids(district)
    users = chain(
        _students(district, known),
        _teachers(district, known, teachers_also_staff, teachers_also_district_admins),
        _contacts(district, known),
        _added(district, known, "staff", staff),
        _added(district, known, "district_admin", district_admins),
    )
    name = district.key.replace("-", " ").title()
    return CleverDistrict(
        district=MappingProxyType(
            {
                "id": district_id(district),
                "name": f"{name} School District",
                "sis_type": "invented",
                "launch_date": _FIRST_RECORDED.date().isoformat(),
                "mdr_number": "",
                "nces_id": "",
                "portal_url": f"https://clever.example/in/{district.key}",
                "login_methods": [],
                "last_sync": f"{district.day.isoformat()}T06:12:45.000Z",
                "state": "running",
                "pause_start": "",
                "pause_end": "",
                "error": "",
            }
        ),
        records=MappingProxyType(
            {
                "schools": _encoded(_stamped(_schools(district, known))),
                "users": _encoded(_stamped(users)),
                "sections": _encoded(_stamped(_sections(district, known))),
            }
        ),
    )


def added_ids(district: District, role: Literal["staff", "district_admin"], count: int) -> dict[str, str]:
    """Clever's IDs of the people `clever_district` adds, by what it calls them: S90001 and so on, D90001 and so on."""
    return {name: _id(district, role, name) for name in (f"{role[0].upper()}{90001 + at}" for at in range(count))}


def without(district: CleverDistrict, ids: Collection[str]) -> CleverDistrict:
    """The district without these records, as when it does not share them; whatever refers to them still does."""
    gone = frozenset(ids)
    return replace(
        district,
        records=MappingProxyType(
            {
                collection: tuple(record for record in records if record.id not in gone)
                for collection, records in district.records.items()
            }
        ),
    )


def with_values(district: CleverDistrict, collection: str, values: Iterable[Mapping[str, Any]]) -> CleverDistrict:
    """The district with these objects in a collection, in place of those with the same IDs."""
    made = _encoded(values)
    replaced = {record.id for record in made}
    kept = (record for record in district.records[collection] if record.id not in replaced)
    records = tuple(sorted((*kept, *made), key=_by_id))
    return replace(district, records=MappingProxyType({**district.records, collection: records}))


def with_changed(
    district: CleverDistrict, collection: str, record_id: str, change: Callable[[dict[str, Any]], object]
) -> CleverDistrict:
    """The district with one object as the function leaves it, which alters the decoded object it is given."""
    value = district.record(collection, record_id).value()
    change(value)
    return with_values(district, collection, [value])


def with_state(
    district: CleverDistrict,
    *,
    state: State | None = None,
    pause_start: str | None = None,
    pause_end: str | None = None,
    last_sync: str | None = None,
    error: str | None = None,
) -> CleverDistrict:
    """The district with other values in its district object; what is left out stays. Dates and times are ISO."""
    given = {
        "state": state,
        "pause_start": pause_start,
        "pause_end": pause_end,
        "last_sync": last_sync,
        "error": error,
    }
    changed = {key: value for key, value in given.items() if value is not None}
    return replace(district, district=MappingProxyType({**district.district, **changed}))


def _id(district: District, kind: str, key: str) -> str:
    return blake2b(f"{district.seed}\n{district.key}\n{kind}\n{key}".encode(), digest_size=12).hexdigest()


def _timestamp(seconds: int) -> str:
    """The time so many seconds after the district came to Clever."""
    return (_FIRST_RECORDED + timedelta(seconds=seconds)).isoformat() + ".000Z"


def _by_id(record: Record) -> str:
    return record.id


def _encoded(values: Iterable[Mapping[str, Any]]) -> tuple[Record, ...]:
    """The objects as records, by ascending ID."""
    roles: dict[tuple[str, ...], frozenset[str]] = {}
    records = []
    for value in values:
        held = tuple(value.get("roles", ()))
        records.append(Record(value["id"], roles.setdefault(held, frozenset(held)), msgspec.json.encode(value)))
    return tuple(sorted(records, key=_by_id))


def _stamped(values: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """The objects with the times of their making and last change; this one moves exactly when the object does."""
    for value in values:
        mark = zlib.crc32(msgspec.json.encode(value)) % 5_000_000
        value["created"] = _timestamp(int(value["id"][:4], 16))
        value["last_modified"] = _timestamp(100_000 + mark)
        yield value


def _unset(district: District, people: pl.DataFrame, *columns: str) -> pl.DataFrame:
    """The people with null in these columns as "", but for a few, where null stays and the key is left out."""
    return people.with_columns(
        pl.when(~chance(district.seed, f"absent {column}", people["person"], _ABSENT_PERCENT))
        .then(pl.col(column).fill_null(""))
        .otherwise(pl.col(column))
        .alias(column)
        for column in columns
    )


def _given(**fields: object) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}


def _schools(district: District, known: CleverIds) -> Iterable[dict[str, Any]]:
    position = pl.int_range(district.schools.height, dtype=pl.UInt32, eager=True)
    principals = choose(district.seed, "principal", position, names.LAST)
    for row, principal in zip(district.schools.iter_rows(named=True), principals, strict=True):
        yield {
            "id": known.schools[row["external_id"]],
            "district": district_id(district),
            "name": row["name"],
            "sis_id": row["external_id"],
            "school_number": row["external_id"],
            "state_id": "",
            "nces_id": "",
            "low_grade": _grade(row["lowest"]),
            "high_grade": _grade(row["highest"]),
            "phone": "",
            "principal": {"name": principal, "email": ""},
            "location": {"address": "", "city": "", "state": "", "zip": ""},
        }


def _grade(number: int) -> str:
    return str(number) if number else GRADES["K"]


def _at_schools(people: pl.DataFrame, district: District, known: CleverIds) -> pl.DataFrame:
    """The people with schools (List(String)): Clever's IDs of the schools they belong to, the first one first."""
    members = district.school_members.with_columns(
        pl.col("school_id").replace_strict(known.schools, return_dtype=pl.String)
    )
    schools = members.group_by("person", maintain_order=True).agg(pl.col("school_id").alias("schools"))
    return people.join(schools, on="person", how="left", maintain_order="left").with_columns(
        pl.col("schools").fill_null([])
    )


def _students(district: District, known: CleverIds) -> Iterable[dict[str, Any]]:
    number = pl.col("grade").replace("K", "0").cast(pl.Int32)
    born = pl.col("birth_date").dt
    spoken = (
        district.guardianships.join(
            district.of_kind(GUARDIAN).select(pl.col("person").alias("guardian"), "language"),
            on="guardian",
            maintain_order="left",
        )
        .group_by("student", maintain_order=True)
        .agg(pl.col("language").first())
    )
    students = (
        _at_schools(district.of_kind(STUDENT), district, known)
        .drop("language")
        .join(spoken, left_on="person", right_on="student", how="left", maintain_order="left")
        .with_columns(
            dob=pl.format("{}/{}/{}", born.month(), born.day(), born.year()),
            graduation_year=(district.day.year + 13 - number).cast(pl.String),
            grade=pl.col("grade").replace(GRADES),
            home_language=pl.col("language").replace_strict(LANGUAGES, default=None, return_dtype=pl.String),
            username=pl.col("email").str.extract("^([^@]*)@"),
        )
    )
    district_key = district_id(district)
    columns = ("email", "dob", "grade", "graduation_year", "language", "home_language")
    for row in _unset(district, students, *columns).iter_rows(named=True):
        yield _given(
            id=known.students[row["external_id"]],
            district=district_key,
            email=row["email"],
            name={"first": row["first_name"], "middle": "", "last": row["last_name"]},
            roles={
                "student": _given(
                    school=row["schools"][0] if row["schools"] else "",
                    schools=row["schools"],
                    sis_id=row["external_id"],
                    student_number=row["external_id"],
                    state_id="",
                    grade=row["grade"],
                    dob=row["dob"],
                    gender="",
                    graduation_year=row["graduation_year"],
                    home_language=row["home_language"],
                    home_language_code=row["language"],
                    credentials={"district_username": row["username"] or ""},
                    enrollments=[{"school": school, "start_date": "", "end_date": ""} for school in row["schools"]],
                )
            },
        )


def _teachers(district: District, known: CleverIds, also_staff: int, also_admins: int) -> Iterable[dict[str, Any]]:
    district_key = district_id(district)
    teachers = _at_schools(district.of_kind(EMPLOYEE).sort("person"), district, known)
    for at, row in enumerate(_unset(district, teachers, "email").iter_rows(named=True)):
        roles: dict[str, Any] = {
            "teacher": {
                "school": row["schools"][0] if row["schools"] else "",
                "schools": row["schools"],
                "sis_id": row["external_id"],
                "teacher_number": row["external_id"],
                "state_id": "",
                "title": "",
                "credentials": {"district_username": ""},
            }
        }
        if at < also_staff:
            roles["staff"] = _staff_role(row["external_id"], row["schools"], "Department Head")
        elif at < also_staff + also_admins:
            roles["district_admin"] = {"title": "Technology Coordinator"}
        yield _given(
            id=known.employees[row["external_id"]],
            district=district_key,
            email=row["email"],
            name={"first": row["first_name"], "middle": "", "last": row["last_name"]},
            roles=roles,
        )


def _staff_role(staff_id: str, schools: list[str], title: str) -> dict[str, Any]:
    return {"staff_id": staff_id, "schools": schools, "title": title, "department": "", "roles": ["School Admin"]}


def _contacts(district: District, known: CleverIds) -> Iterable[dict[str, Any]]:
    students = district.of_kind(STUDENT).select(
        pl.col("person").alias("student"),
        pl.col("external_id").replace_strict(known.students, return_dtype=pl.String).alias("student_key"),
    )
    relations = (
        district.guardianships.join(students, on="student", maintain_order="left")
        .select(
            "guardian",
            pl.struct(
                pl.col("student_key").alias("student"),
                pl.col("relationship").replace_strict(RELATIONSHIPS, default="Other", return_dtype=pl.String),
                pl.col("type").fill_null("").replace(GUARDIAN_TYPES),
            ).alias("relations"),
        )
        .group_by("guardian", maintain_order=True)
        .agg("relations")
    )
    guardians = district.of_kind(GUARDIAN)
    area, exchange, line = (pl.col("phone").str.slice(start, length) for start, length in ((2, 3), (5, 3), (8, 4)))
    person = guardians["person"]
    contacts = (
        guardians.with_columns(
            name=pl.concat_str("first_name", "last_name", separator=" "),
            phone_type=pl.when(pl.col("phone").is_not_null()).then(
                choose(district.seed, "phone type", person, ("Cell", "Cell", "Home", "Work"))
            ),
            phone=pl.when(chance(district.seed, "contact telephone notation", person, 50))
            .then(pl.format("({}) {}-{}", area, exchange, line))
            .otherwise(pl.format("{}{}{}", area, exchange, line)),
        )
        .join(relations, left_on="person", right_on="guardian", how="left", maintain_order="left")
        .with_columns(pl.col("relations").fill_null([]), pl.col("external_id").fill_null(""))
    )
    district_key = district_id(district)
    for row in _unset(district, contacts, "email", "phone", "phone_type").iter_rows(named=True):
        yield _given(
            id=known.guardians[row["person"]],
            district=district_key,
            email=row["email"],
            name={"last": row["name"]},
            roles={
                "contact": _given(
                    sis_id=row["external_id"],
                    phone=row["phone"],
                    phone_type=row["phone_type"],
                    student_relationships=row["relations"],
                )
            },
        )


def _added(
    district: District, known: CleverIds, role: Literal["staff", "district_admin"], count: int
) -> Iterable[dict[str, Any]]:
    """People the generator knows nothing of; a member of staff belongs to one school, in turn."""
    position = pl.int_range(count, dtype=pl.UInt32, eager=True)
    schools = list(known.schools.values())
    people = pl.DataFrame(
        {
            "first_name": choose(district.seed, f"{role} first name", position, names.FEMININE),
            "last_name": choose(district.seed, f"{role} last name", position, names.LAST),
            "number": below(district.seed, f"{role} number", position, 9) + 1 + position * 10,
        }
    ).with_columns(address=pl.format("{}.{}.{}", plain_name("first_name"), plain_name("last_name"), pl.col("number")))
    ids = added_ids(district, role, count).items()
    for at, ((name, key), row) in enumerate(zip(ids, people.iter_rows(named=True), strict=True)):
        yield {
            "id": key,
            "district": district_id(district),
            "email": f"{row['address']}@{role.replace('_', '-')}.{district.key}.example",
            "name": {"first": row["first_name"], "middle": "", "last": row["last_name"]},
            "roles": {
                role: _staff_role(name, [schools[at % len(schools)]], "Secretary")
                if role == "staff"
                else {"title": "Superintendent"}
            },
        }


def _sections(district: District, known: CleverIds) -> Iterable[dict[str, Any]]:
    keys = district.people.filter(pl.col("kind") != GUARDIAN).select("person", "kind", "external_id")
    members = district.class_members.join(keys, on="person", maintain_order="left").with_columns(
        key=pl.when(pl.col("kind") == EMPLOYEE)
        .then(pl.col("external_id").replace_strict(known.employees, default=None, return_dtype=pl.String))
        .otherwise(pl.col("external_id").replace_strict(known.students, default=None, return_dtype=pl.String))
    )
    lists = members.group_by("class_id", maintain_order=True).agg(
        pl.col("key").filter("is_owner").alias("teachers"),
        pl.col("key").filter(~pl.col("is_owner")).alias("students"),
    )
    sections = (
        district.classes.join(lists, left_on="external_id", right_on="class_id", how="left", maintain_order="left")
        .with_columns(
            pl.col("teachers", "students").fill_null([]),
            subject=pl.col("name").str.extract("^(.*), section "),
            section=pl.col("name").str.extract(", section ([0-9]+)$"),
        )
        .with_columns(pl.col("subject", "section").fill_null(""))
    )
    district_key = district_id(district)
    term = _id(district, "term", str(district.classes["external_id"].str.slice(0, 5).min()))
    for at, row in enumerate(sections.iter_rows(named=True)):
        yield {
            "id": known.classes[row["external_id"]],
            "district": district_key,
            "school": known.schools[row["school_id"]],
            "name": row["name"],
            "sis_id": row["external_id"],
            "students": row["students"],
            "teacher": row["teachers"][0] if row["teachers"] else "",
            "teachers": row["teachers"],
            "course": _id(district, "course", f"{row['school_id']}\n{row['subject']}"),
            "term_id": term,
            "period": str(at % 7 + 1),
            "section_number": row["section"],
            "subject": "",
            "grade": "",
        }
