"""Who is there under a new ID: records that nobody knows, and links that would go, one to one.

Rule: where a link that would go and a record that is new match one to one and nobody else matches either, they are one:
employees and guardians by email and name (guardians also by phone and name, or by name and student); students by name
and birth date or, where one is empty, by name and email or guardian. Links that a school holds from the source it had
before would go, too; there the ID that the school's own system gives the record counts by itself, unless both names
differ and no email, birth date or guardian is in common. Classes match by name and teacher.
"""

from __future__ import annotations

import polars as pl

from contracts import values
from contracts.roster import GUARDIAN, STUDENT, StoredRoster

_MATCHES = {"record": pl.UInt32, "link_id": pl.String}
_PERSON = ("kind", "full", "first", "last", "email", "phone", "birth_date")


def find(everyone: pl.DataFrame, pairs: pl.DataFrame, stored: StoredRoster, seen: pl.Series) -> pl.DataFrame:
    """Find the links that people who came under a new ID had under their former one.

    Rule: whoever is still at another school of the former source keeps that link; the record gets a link of its own,
    tied to the same account.

    Args:
        everyone: record (UInt32), is_valid and is_shared (Boolean; two people on the ID, who are nobody), birth_date
            (Date), guardian (UInt32), and as String kind, external_id, sis_id, first_name, last_name, email, phone and
            link_id: every record of the delivery.
        pairs: guardian, student_id.
        stored: what the database has of the district.
        seen: the link_ids in any row, which go nowhere.

    Returns:
        everyone, in order, with the former ID's link_id and renumbered (Boolean), or with joins_account (String).
    """
    nobody = pl.col("link_id").is_not_null() | pl.col("is_shared").fill_null(False)
    new = _compared(everyone.filter(~nobody)).drop("link_id")
    leaving = _leaving(stored, seen)
    found = pl.DataFrame(schema=_MATCHES)
    if new.height and leaving.height:
        families = _families_of(new, everyone, pairs)
        common = _in_common(everyone, families, stored, found)
        named = pl.concat([_adults(new, leaving), _students(new, leaving, common)]).unique()
        by_id = _by_other_id(new, leaving)
        # Whom the ID takes for one and the name for another is nobody.
        other = by_id.join(named, on="record", how="semi").join(named, on=list(_MATCHES), how="anti")
        new = new.join(other, on="record", how="anti")
        found = _with(found, by_id.join(other, on="record", how="anti"))
        # Guardians tell students apart and the other way round, so that guardians have a second turn.
        found = _with(found, _adults(*_remaining(new, leaving, found)))
        common = _in_common(everyone, families, stored, found)
        found = _with(found, _students(*_remaining(new, leaving, found), common))
        common = _in_common(everyone, families, stored, found)
        found = _with(found, _relatives(*_remaining(new, leaving, found), common))
    # Who is rejected goes on as the link that is there, wherever that stays.
    found_by = (
        found.join(leaving.select("link_id", "account_id", "whole_link_moves"), on="link_id")
        .join(everyone.select("record", "is_valid"), on="record")
        .with_columns(whole_link_moves=pl.col("whole_link_moves") | ~pl.col("is_valid"))
        .select(
            "record",
            taken=pl.when("whole_link_moves").then("link_id"),
            joins_account=pl.when(~pl.col("whole_link_moves")).then("account_id"),
        )
    )
    return (
        everyone.join(found_by, on="record", how="left", maintain_order="left")
        .with_columns(link_id=pl.coalesce("link_id", "taken"), renumbered=pl.col("taken").is_not_null())
        .drop("taken")
    )


def find_classes(
    new: pl.DataFrame, leaving: pl.DataFrame, owners: pl.DataFrame, stored_owners: pl.DataFrame
) -> pl.DataFrame:
    """Match classes that would go with the new ones that they are.

    Rule: in one school, by the ID that the school's own system gives the class; else by the same name and the same
    teachers; else by the same name and a teacher in common.

    Args:
        new: external_id, sis_id, school_id, name (String).
        leaving: id, external_id, school_id, name (String), is_foreign (Boolean: another source's).
        owners: external_id, account_id of the new classes' teachers.
        stored_owners: id, account_id of the stored classes' teachers.

    Returns:
        id, external_id (String), each at most once.
    """

    def led(classes: pl.DataFrame, teachers: pl.DataFrame, by: str) -> pl.DataFrame:
        all_of_them = teachers.unique().group_by(by).agg(pl.col("account_id").sort())
        return classes.join(all_of_them, on=by).with_columns(folded=values.folded(pl.col("name")))

    by_id = new.join(
        leaving.filter("is_foreign"), left_on=["sis_id", "school_id"], right_on=["external_id", "school_id"]
    )
    named = led(new, owners, "external_id").join(
        led(leaving, stored_owners, "id"), on=["school_id", "folded"], suffix="_stored"
    )
    same = pl.col("account_id") == pl.col("account_id_stored")
    in_common = pl.col("account_id").list.set_intersection("account_id_stored").list.len() > 0
    found = pl.DataFrame(schema={"id": pl.String, "external_id": pl.String})
    for candidates in (by_id, named.filter(same), named.filter(in_common)):
        remaining = candidates.join(found, on="id", how="anti").join(found, on="external_id", how="anti")
        is_only_match = (pl.len().over("id") == 1) & (pl.len().over("external_id") == 1)
        found = pl.concat([found, remaining.select("id", "external_id").unique().filter(is_only_match)])
    return found


def _leaving(stored: StoredRoster, seen: pl.Series) -> pl.DataFrame:
    """The active links in no row, and those of a former source of this one's schools.

    whole_link_moves: the link itself gets the new ID; else the new record joins its account.

    Whoever left of their own accord is among them: under a new ID they are no newcomer.
    """
    moving = pl.col("moving").fill_null(False)
    in_no_row = pl.col("from_this_source") & ~pl.col("former") & ~pl.col("link_id").is_in(seen.implode())
    departed = pl.col("left") & (in_no_row | ~pl.col("from_this_source"))
    links = stored.links.filter((pl.col("active") & (in_no_row | moving)) | departed).with_columns(
        whole_link_moves=pl.col("from_this_source") | pl.col("former"), is_foreign=~pl.col("from_this_source")
    )
    # Whoever is in a row is found; of somebody with a link of each source, this one's is theirs.
    in_a_row = stored.links.filter(pl.col("from_this_source") & pl.col("link_id").is_in(seen.implode()))["account_id"]
    links = (
        links.filter(~pl.col("account_id").is_in(in_a_row.implode()))
        .sort("is_foreign", "link_id")
        .unique("account_id", keep="first", maintain_order=True)
    )
    return _compared(links).select(
        "link_id", "account_id", "whole_link_moves", "is_foreign", "external_id", "guardian_ids", *_PERSON
    )


def _compared(some: pl.DataFrame) -> pl.DataFrame:
    first, last = (values.folded(pl.col(name)) for name in ("first_name", "last_name"))
    full = values.folded(values.full_name())
    return some.with_columns(first=first, last=last, full=pl.when(full != "").then(full))


def _with(found: pl.DataFrame, candidates: pl.DataFrame) -> pl.DataFrame:
    """With those of the candidates (record, link_id) of which neither side has another one."""
    distinct = candidates.select(list(_MATCHES)).unique()
    is_only_match = (pl.len().over("record") == 1) & (pl.len().over("link_id") == 1)
    return pl.concat([found, distinct.filter(is_only_match)])


def _remaining(new: pl.DataFrame, leaving: pl.DataFrame, found: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    return new.join(found, on="record", how="anti"), leaving.join(found, on="link_id", how="anti")


def _joined(new: pl.DataFrame, leaving: pl.DataFrame, *on: str) -> pl.DataFrame:
    """record and link_id that have these in common, with both sides' columns; nulls have nothing in common."""
    return new.join(leaving, on=["kind", *on], suffix="_stored")


def _by_other_id(new: pl.DataFrame, leaving: pl.DataFrame) -> pl.DataFrame:
    by_id = (
        leaving.filter("is_foreign")
        .with_columns(sis_id=pl.coalesce("guardian_ids", pl.concat_list("external_id")))
        .explode("sis_id")
    )
    same = pl.any_horizontal(
        *((pl.col(name) == pl.col(f"{name}_stored")).fill_null(False) for name in ("email", "phone", "birth_date"))
    )
    both = pl.all_horizontal(pl.col(name).is_not_null() for name in ("first", "last", "first_stored", "last_stored"))
    other_names = (
        pl.when(both)
        .then((pl.col("first") != pl.col("first_stored")) & (pl.col("last") != pl.col("last_stored")))
        .otherwise(pl.col("full") != pl.col("full_stored"))
    )
    return _joined(new, by_id, "sis_id").filter(~other_names.fill_null(False) | same).select(list(_MATCHES))


def _adults(new: pl.DataFrame, leaving: pl.DataFrame) -> pl.DataFrame:
    adults = new.filter(pl.col("kind") != STUDENT)
    return pl.concat(
        [
            _joined(adults, leaving, "full", "email").select(list(_MATCHES)),
            _joined(adults.filter(kind=GUARDIAN), leaving, "full", "phone").select(list(_MATCHES)),
        ]
    )


def _students(new: pl.DataFrame, leaving: pl.DataFrame, common: pl.DataFrame) -> pl.DataFrame:
    named = _joined(new.filter(kind=STUDENT), leaving, "full")
    is_empty = pl.col("birth_date").is_null() | pl.col("birth_date_stored").is_null()
    same_email = (pl.col("email") == pl.col("email_stored")).fill_null(False)
    same_birth = (pl.col("birth_date") == pl.col("birth_date_stored")).fill_null(False)
    related = named.select(list(_MATCHES)).join(common, left_on=list(_MATCHES), right_on=["student", "student_link_id"])
    return pl.concat(
        [
            named.filter(same_birth | (is_empty & same_email)).select(list(_MATCHES)),
            named.filter(is_empty)
            .select(list(_MATCHES))
            .join(related.select(list(_MATCHES)), on=list(_MATCHES), how="semi"),
        ]
    )


def _relatives(new: pl.DataFrame, leaving: pl.DataFrame, common: pl.DataFrame) -> pl.DataFrame:
    named = _joined(new.filter(kind=GUARDIAN), leaving, "full").select(list(_MATCHES))
    return named.join(common, left_on=list(_MATCHES), right_on=["guardian", "guardian_link_id"], how="semi")


def _families_of(new: pl.DataFrame, everyone: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    """guardian, student_id: the pairs that one of the new people is of."""
    of_new = everyone.join(new.select("record"), on="record", how="semi")
    students = of_new.filter(kind=STUDENT).select(student_id="external_id")
    guardians = of_new.filter(kind=GUARDIAN).select("guardian")
    families = pairs.select("guardian", "student_id")
    return pl.concat(
        [families.join(students, on="student_id", how="semi"), families.join(guardians, on="guardian", how="semi")]
    ).unique()


def _in_common(
    everyone: pl.DataFrame, families: pl.DataFrame, stored: StoredRoster, found: pl.DataFrame
) -> pl.DataFrame:
    """student, guardian, student_link_id, guardian_link_id: pairs stored of people one of whom is known already.

    What a student and a link have in common is a guardian who is that link's; what a guardian has, a student.
    """
    known = (
        everyone.select("record", "kind", "external_id", "guardian", known="link_id")
        .join(found.rename({"link_id": "taken"}), on="record", how="left")
        .with_columns(link_id=pl.coalesce("known", "taken"))
    )
    students = known.filter(kind=STUDENT).select(student="record", student_id="external_id", of_student="link_id")
    guardians = known.filter(kind=GUARDIAN).select("guardian", record="record", of_guardian="link_id")
    related = families.join(students, on="student_id").join(guardians, on="guardian").drop("guardian", "student_id")
    by_guardian = related.join(stored.guardianships, left_on="of_guardian", right_on="guardian_link_id").select(
        "student", "student_link_id", guardian="record", guardian_link_id="of_guardian"
    )
    by_student = related.join(stored.guardianships, left_on="of_student", right_on="student_link_id").select(
        "student", student_link_id="of_student", guardian="record", guardian_link_id="guardian_link_id"
    )
    return pl.concat([by_guardian, by_student]).unique()
