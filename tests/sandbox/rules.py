"""What every invented district keeps to, so that a check finds nothing in it."""

import polars as pl

from sandbox.generator import District


def broken_rules(district: District) -> list[str]:
    """The rules that a district breaks, in words; none, if it is a good one."""
    people, members = district.people, district.school_members
    class_members, classes = district.class_members, district.classes
    owners = class_members.filter("is_owner")
    enrolled = class_members.filter(~pl.col("is_owner"))
    guardians = set(district.of_kind("guardian")["person"])
    at_school = members.select("person", "school_id")
    member_schools = (
        class_members.join(classes.rename({"external_id": "class_id"}), on="class_id")
        .join(at_school, on=["person", "school_id"], how="anti")
        .height
    )
    names = people.filter(pl.col("kind") == "guardian").select("phone", "first_name", "last_name").drop_nulls("phone")
    rules = {
        "a person is numbered twice": people["person"].is_duplicated().any(),
        "a number is past the next one": people["person"].max() >= district.next_person,  # type: ignore[operator]
        "an ID is given twice": people.drop_nulls("external_id").select("kind", "external_id").is_duplicated().any(),
        "somebody but a guardian has no ID": people.filter(pl.col("external_id").is_null())["kind"]
        .ne("guardian")
        .any(),
        "an email is used twice": people["email"].drop_nulls().is_duplicated().any(),
        "two guardians share phone and name": names.is_duplicated().any(),
        "a name is missing": people.select("first_name", "last_name").null_count().row(0) != (0, 0),
        "a teacher has no email": district.of_kind("employee")["email"].null_count() > 0,
        "a guardian cannot be reached": people.filter(
            (pl.col("kind") == "guardian") & pl.col("email").is_null() & pl.col("phone").is_null()
        ).height
        > 0,
        "a student has no birth date or grade": district.of_kind("student")
        .select("birth_date", "grade")
        .null_count()
        .row(0)
        != (0, 0),
        "somebody is at no school": set(members["person"]) != set(people["person"]) - guardians,
        "a membership is given twice": members.is_duplicated().any(),
        "a class has no teacher": set(owners["class_id"]) != set(classes["external_id"]),
        "a class has no student": set(enrolled["class_id"]) != set(classes["external_id"]),
        "somebody has no class": set(class_members["person"]) != set(members["person"]),
        "a class membership is given twice": class_members.select("class_id", "person").is_duplicated().any(),
        "somebody is in a class of another school": member_schools > 0,
        "a class name is given twice": classes.select("school_id", "name").is_duplicated().any(),
        "a student has no guardian": set(district.guardianships["student"])
        != set(district.of_kind("student")["person"]),
        "a guardian has no student": set(district.guardianships["guardian"]) != guardians,
        "a school name is given twice or too long": district.schools["name"].is_duplicated().any()
        or district.schools["name"].str.len_chars().max() > 60,  # type: ignore[operator]
    }
    return [rule for rule, broken in rules.items() if broken]
