"""How an invented district goes on: the next day (people joined, left, moved, changed) and the next year.

Whatever happens, the district stays one that gives no issue: classes keep a teacher and students, students a class.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import polars as pl

from sandbox import names
from sandbox.generator import (
    EMPLOYEE,
    GUARDIAN,
    STUDENT,
    District,
    enroll,
    grade_name,
    grade_number,
    openings_at,
    phones,
    with_classes,
    with_students,
    with_teachers,
)
from sandbox.seeded import below, choose, draw, some


def next_day(
    district: District,
    seed: int,
    *,
    joined: int = 0,
    left: int = 0,
    moved: int = 0,
    changed: int = 0,
    teachers_joined: int = 0,
    teachers_left: int = 0,
) -> District:
    """The district a day later.

    So many students joined (some with siblings, all with guardians), left the district, or moved to another of its
    schools, and so many people of all kinds changed a last name, email or phone. Guardians go with the last of their
    students. Raises ValueError where there are not so many, or a school would be left without students or teachers.
    """
    after = replace(district, chance=_mixed(district.chance, seed), day=district.day + timedelta(days=1))
    students = after.of_kind(STUDENT)["person"]
    # Drawn together, so that nobody both leaves and moves.
    going = some(after.chance, "going", students, left + moved)
    if going.len() < left + moved or (moved and after.schools.height < 2):
        raise ValueError("there are not so many students to leave or move")
    after = _without(after, going.head(left))
    after = _moved(after, going.tail(moved) if moved else going.head(0))
    after = _without_teachers(after, teachers_left)
    after = _changed(after, changed)
    after = _with_new_students(after, _drawn_openings(after, joined))
    after = _with_new_teachers(after, teachers_joined)
    return _filled(after)


def next_year(district: District, seed: int) -> District:
    """The district a year later: everyone a grade up, the oldest gone, as many new in their place, all classes new.

    Who outgrows a school moves to one that teaches the next grade, or leaves where there is none. Teachers stay.
    """
    after = replace(district, chance=_mixed(district.chance, seed), day=_year_later(district.day))
    number = grade_number(after.people["grade"])
    people = after.people.with_columns(
        grade=pl.when(pl.col("kind") == STUDENT).then(grade_name((number + 1).rename("grade")))
    )
    after = replace(after, people=people)
    teaching = (
        after.schools.select(pl.col("external_id").alias("school_id"), pl.int_ranges("lowest", pl.col("highest") + 1))
        .rename({"lowest": "level"})
        .explode("level")
        .with_columns(pl.col("level").cast(pl.Int32))
    )
    choices = teaching.group_by("level").agg(pl.col("school_id").sort().alias("choices"))
    seats = (
        after.school_members.filter(pl.col("kind") == STUDENT)
        .join(people.select("person", "grade"), on="person", maintain_order="left")
        .with_columns(level=pl.col("grade").replace("K", "0").cast(pl.Int32))
        .join(teaching.with_columns(stays=pl.lit(True)), on=["school_id", "level"], how="left", maintain_order="left")
        .join(choices, on="level", how="left", maintain_order="left")
    )
    chosen = pl.lit(draw(after.chance, "next school", seats["person"])) % pl.col("choices").list.len()
    promoted = (
        seats.with_columns(
            school_id=pl.when(pl.col("stays")).then(pl.col("school_id")).otherwise(pl.col("choices").list.get(chosen))
        )
        .filter(pl.col("school_id").is_not_null())
        .select("person", "kind", "school_id")
        .unique(maintain_order=True)
    )
    students = after.of_kind(STUDENT)["person"]
    leavers = students.filter(~students.is_in(promoted["person"].implode()))
    teachers = after.school_members.filter(pl.col("kind") == EMPLOYEE)
    after = _without(replace(after, school_members=pl.concat([teachers, promoted])), leavers)
    # The new ones are the youngest, and come to the schools that teach the youngest.
    lowest = int(after.schools["lowest"].min())  # type: ignore[arg-type]
    entry = after.schools.with_row_index("school").filter(pl.col("lowest") == lowest)["school"]
    keys = pl.int_range(leavers.len(), dtype=pl.UInt32, eager=True)
    school = entry.gather(keys % entry.len())
    openings = pl.DataFrame({"school": school, "grade": after.schools["lowest"].gather(school)})
    after = with_students(after, openings)
    enrollments = int((~district.class_members["is_owner"]).sum())
    seats_now = after.school_members.filter(pl.col("kind") == STUDENT).height
    fewest = district.classes.height // district.schools.height
    return with_classes(
        after, district.classes.height, max(seats_now, min(enrollments, seats_now * fewest)) if fewest else None
    )


def _mixed(seed: int, other: int) -> int:
    """A chance of its own for each day, so that two days in a row do not draw alike."""
    return (seed * 1_000_003 + other * 7_919 + 1) % 2**32


def _year_later(day: date) -> date:
    return date(day.year + 1, 9, 1)


def _without(district: District, leavers: pl.Series) -> District:
    """The district without these students, and without the guardians who have no other."""
    gone = pl.col("student").is_in(leavers.implode())
    guardianships = district.guardianships.filter(~gone)
    orphaned = district.guardianships.filter(gone)["guardian"]
    orphaned = orphaned.filter(~orphaned.is_in(guardianships["guardian"].implode()))
    dropped = pl.col("person").is_in(pl.concat([leavers, orphaned]).implode())
    return replace(
        district,
        people=district.people.filter(~dropped),
        school_members=district.school_members.filter(~dropped),
        class_members=district.class_members.filter(~dropped),
        guardianships=guardianships,
    )


def _moved(district: District, movers: pl.Series) -> District:
    """The district with these students at the school after their present one, in its classes."""
    if movers.is_empty():
        return district
    moving = pl.col("person").is_in(movers.implode())
    order = district.schools.with_row_index("school").select("school", pl.col("external_id").alias("school_id"))
    seats = (
        district.school_members.filter(moving)
        .unique("person", keep="last", maintain_order=True)
        .join(order, on="school_id", maintain_order="left")
    )
    school = (seats["school"] + 1) % district.schools.height
    members = seats.select("person", "kind").with_columns(
        school_id=district.schools["external_id"].gather(school).rename("school_id")
    )
    without = replace(
        district,
        school_members=pl.concat([district.school_members.filter(~moving), members]),
        class_members=district.class_members.filter(~moving),
    )
    return _enrolled(without, members, _usual_load(district))


def _without_teachers(district: District, count: int) -> District:
    """The district without so many teachers; colleagues of their schools take over their classes."""
    if not count:
        return district
    at_school = district.school_members.filter(pl.col("kind") == EMPLOYEE)
    # One of each school always stays.
    staying = at_school.group_by("school_id", maintain_order=True).first()["person"]
    leavers = some(
        district.chance,
        "teachers left",
        at_school["person"]
        .unique(maintain_order=True)
        .filter(~at_school["person"].unique(maintain_order=True).is_in(staying.implode())),
        count,
    )
    if leavers.len() < count:
        raise ValueError("a school would be left without teachers")
    leaving = pl.col("person").is_in(leavers.implode())
    after = replace(
        district,
        people=district.people.filter(~leaving),
        school_members=district.school_members.filter(~leaving),
        class_members=district.class_members.filter(~leaving),
    )
    with_owner = after.class_members.filter("is_owner")["class_id"]
    orphaned = after.classes.filter(~pl.col("external_id").is_in(with_owner.implode()))
    heirs = after.school_members.filter(pl.col("kind") == EMPLOYEE).group_by("school_id").agg(pl.col("person"))
    key = pl.int_range(orphaned.height, dtype=pl.UInt32, eager=True)
    drawn = pl.lit(draw(after.chance, "heir", key)) % pl.col("person").list.len()
    taken = orphaned.join(heirs, on="school_id", maintain_order="left").select(
        pl.col("external_id").alias("class_id"),
        pl.col("person").list.sort().list.get(drawn),
        pl.lit(True).alias("is_owner"),
    )
    return replace(after, class_members=pl.concat([after.class_members, taken]))


def _with_new_teachers(district: District, count: int) -> District:
    """The district with so many new teachers, who teach along in a class of each of their schools."""
    after = with_teachers(district, count)
    fresh = after.school_members.tail(after.school_members.height - district.school_members.height)
    ids = after.classes.group_by("school_id").agg(pl.col("external_id").sort().alias("ids"))
    drawn = pl.lit(draw(after.chance, "taught along", fresh["person"])) % pl.col("ids").list.len()
    owners = fresh.join(ids, on="school_id", maintain_order="left").select(
        pl.col("ids").list.get(drawn).alias("class_id"), "person", pl.lit(True).alias("is_owner")
    )
    return replace(after, class_members=pl.concat([after.class_members, owners]))


def _changed(district: District, count: int) -> District:
    """The district with so many people who changed their last name, email or phone."""
    chosen = some(district.chance, "changed", district.people["person"], count)
    if chosen.len() < count:
        raise ValueError("there are not so many people to change")
    people = district.people
    person = people["person"]
    what = pl.lit(below(district.chance, "what changed", person, 3))
    hit = pl.col("person").is_in(chosen.implode())
    # A guardian without ID and email would not be known again under another name.
    renamed = (pl.col("kind") != GUARDIAN) | pl.col("external_id").is_not_null() | pl.col("email").is_not_null()
    by_phone = hit & pl.col("phone").is_not_null() & ((what == 1) | ~renamed)
    by_email = hit & pl.col("email").is_not_null() & (what == 2)
    by_name = hit & ~by_phone & ~by_email
    # A drawn name that happens to be the old one would be no change.
    name = choose(district.chance, "new last name", person, names.LAST)
    other = choose(district.chance, "new last name, again", person, names.LAST)
    fresh = pl.when(name != people["last_name"]).then(name).otherwise(other + "-" + people["last_name"])
    # Telephones are numbered like people: a new one takes a number that nobody else will have.
    number = pl.Series(range(people.height), dtype=pl.UInt32) + district.next_person
    changed = people.with_columns(
        phone=pl.when(by_phone).then(phones(district.seed, number)).otherwise(pl.col("phone")),
        email=pl.when(by_email)
        .then(pl.col("email").str.replace("@", f".{district.day:%m%d}@", literal=True))
        .otherwise(pl.col("email")),
        last_name=pl.when(by_name).then(fresh).otherwise(pl.col("last_name")),
    )
    return replace(district, people=changed, next_person=district.next_person + people.height)


def _drawn_openings(district: District, count: int) -> pl.DataFrame:
    keys = pl.int_range(count, dtype=pl.UInt32, eager=True)
    return openings_at(district, below(district.chance, "joined", keys, district.schools.height), keys)


def _with_new_students(district: District, openings: pl.DataFrame) -> District:
    after = with_students(district, openings)
    fresh = after.school_members.tail(after.school_members.height - district.school_members.height)
    return _enrolled(after, fresh, _usual_load(district))


def _usual_load(district: District) -> int:
    """How many classes a student takes, on average."""
    seats = district.school_members.filter(pl.col("kind") == STUDENT).height
    return max(1, int((~district.class_members["is_owner"]).sum()) // max(1, seats))


def _enrolled(district: District, members: pl.DataFrame, load: int) -> District:
    """The district with these members (SCHOOL_MEMBERS) in so many classes of their school, or all it has."""
    ids = (
        district.classes.select("school_id", pl.col("external_id").alias("class_id"))
        .sort("class_id")
        .with_columns(at=pl.int_range(pl.len(), dtype=pl.UInt32).over("school_id"), classes=pl.len().over("school_id"))
    )
    seats = (
        members.join(ids.select("school_id", "classes").unique(), on="school_id", maintain_order="left")
        .with_columns(
            count=pl.min_horizontal(pl.lit(load, dtype=pl.UInt32), pl.col("classes")),
            start=below(district.chance, "first class", members["person"], 2**31),
        )
        .select("person", "school_id", "count", "start")
    )
    return replace(district, class_members=pl.concat([district.class_members, enroll(seats, ids)]))


def _filled(district: District) -> District:
    """The district with somebody in every class that the day has emptied."""
    enrolled = district.class_members.filter(~pl.col("is_owner"))["class_id"]
    emptied = district.classes.filter(~pl.col("external_id").is_in(enrolled.implode()))
    if emptied.is_empty():
        return district
    students = (
        district.school_members.filter(pl.col("kind") == STUDENT).group_by("school_id").agg(pl.col("person").sort())
    )
    if not set(emptied["school_id"]) <= set(students["school_id"]):
        raise ValueError("a school would be left without students")
    key = pl.int_range(emptied.height, dtype=pl.UInt32, eager=True)
    drawn = pl.lit(draw(district.chance, "filled", key)) % pl.col("person").list.len()
    filled = emptied.join(students, on="school_id", maintain_order="left").select(
        pl.col("external_id").alias("class_id"), pl.col("person").list.get(drawn), pl.lit(False).alias("is_owner")
    )
    return replace(district, class_members=pl.concat([district.class_members, filled]))
