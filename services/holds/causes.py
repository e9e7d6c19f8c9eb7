"""What seems to have brought a hold about, in plain words. Pure: frames in, sentences out; no personal data in them.

It only explains. Whether a school is held is the guard's business, and a cause that is not seen changes nothing.
Rule: a cause is said where the figures show it, with the figures; a wrong one would be worse than none. An email
domain is named only where it is that of many.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from contracts import values
from contracts.formats import FORMATS
from contracts.issues import DATA_REMOVALS, SCHOOL_MISSING, TOO_MANY_GUARDIANS, UNUSUAL_CHANGES
from contracts.roster import EMPLOYEE, GUARDIAN, STUDENT, Roster
from contracts.text import count as counted
from services.figures import DISTRICT, number
from services.holds.guard import CHANGED_FIELDS, CHANGED_TYPES
from services.planning.changesets import (
    CHANGE_ID,
    CLASS_MEMBERSHIPS,
    EMPTIABLE,
    MANY_GUARDIANS,
    TYPE_OF_KIND,
    ChangeSet,
)
from services.planning.compare import PAIR
from services.planning.stored import Scope, StoredRows

# A file counts as shrunken when more than this share of its rows is gone.
SHRUNKEN = 0.2
# From this share on, something counts as being so of nearly all; up to the other one, of hardly any.
NEARLY_ALL, HARDLY_ANY, MOST = 0.9, 0.1, 0.5
# So many at least, where it matters that something is not one family's or a few people's.
MANY = 10
_GRADES = ("PK", "TK", "K", *(str(number) for number in range(1, 14)))
_NEXT = {grade: _GRADES[position + 1] for position, grade in enumerate(_GRADES[:-1])} | {"PK": "K"}
_KINDS = {STUDENT: "students", EMPLOYEE: "employees"}
# The types that go missing with the rows of a file, by whose fields it holds; of a file of no such fields any.
_TYPES_OF: Mapping[str, tuple[str, ...]] = {
    STUDENT: ("students",),
    GUARDIAN: ("guardians", "guardianships"),
    EMPLOYEE: ("employees",),
    "class": ("classes",),
    "enrollment": CLASS_MEMBERSHIPS,
}
_FIELDS = tuple(dict.fromkeys((*CHANGED_FIELDS, *EMPTIABLE)))
_SHOWN = {
    "last_name": "last names",
    "email": "email addresses",
    "phone": "phone numbers",
    "birth_date": "birth dates",
    "grade": "grades",
}
_SPREADSHEET = "as happens when a file is opened and saved in a spreadsheet"


@dataclass(frozen=True)
class CauseEvidence:
    """What causes are looked for in. Types are those of changes: students, employees, guardians, classes.

    Of the delivery: schools (school_id, the source's, and name), all of them; members (type, record_id, school_id,
    name, folded, and grade), the students and employees in any row; listed (type, school_id, count), how many there
    are, guardians by their rows; given (type, school_id, field, filled, commonest), how many have a value of each
    field, and how many the one that most have; rows, how many of each
    file; tables, by file whose fields it holds.

    Of what is stored and active: stored (type, record_id, school_id, the source's, name and grade), students and
    employees; links (link_id, account_id, guardian_ids (List), first_name, last_name, email, phone); guardianships (id,
    student_link_id, guardian_link_id); rows_before, by our school ID, the rows of each file of what was applied last.

    school_ids: ours -> the source's, of the schools in scope; names: the source's -> the school's, in the setup file.
    """

    schools: pl.DataFrame
    members: pl.DataFrame
    listed: pl.DataFrame
    given: pl.DataFrame
    rows: Mapping[str, int]
    tables: Mapping[str, frozenset[str]]
    stored: pl.DataFrame
    links: pl.DataFrame
    guardianships: pl.DataFrame
    rows_before: Mapping[str, Mapping[str, int]]
    school_ids: Mapping[str, str]
    names: Mapping[str, str]


def collect_evidence(
    scope: Scope, roster: Roster, stored: StoredRows, rows_before: Mapping[str, Mapping[str, int]]
) -> CauseEvidence:
    """What a roster, and what is stored of the district, hold for `causes`."""
    in_scope = scope.schools.select("school_id", "external_school_id")
    type_of = pl.col("kind").replace_strict(TYPE_OF_KIND, return_dtype=pl.String)
    active = stored.memberships.filter("active").join(in_scope, on="school_id")
    people = stored.links.filter(pl.col("kind").is_in(list(_KINDS)))
    delivered = _delivered(roster)
    members = delivered.filter(pl.col("kind") != GUARDIAN)
    counted = [
        delivered.group_by("school_id", type=type_of).len("count"),
        roster.classes.unique(["external_id", "school_id"]).group_by("school_id", type=pl.lit("classes")).len("count"),
    ]
    given = (
        delivered.unpivot(_FIELDS, index=["kind", "school_id"], variable_name="field")
        .drop_nulls()
        .group_by("kind", "school_id", "field", "value")
        .len()
        .group_by("school_id", "field", type=type_of)
        .agg(filled=pl.col("len").sum(), commonest=pl.col("len").max())
    )
    return CauseEvidence(
        schools=roster.schools.select("name", school_id="external_id").unique("school_id", keep="first"),
        members=members.select(
            "school_id",
            type=type_of,
            record_id="external_id",
            name=values.folded(values.full_name()),
            grade=values.grade(pl.col("grade")),
        ),
        listed=pl.concat([frame.select("type", "school_id", "count") for frame in counted]),
        given=given,
        rows={name: rows.height for name, rows in roster.rows.items()},
        tables={
            name: FORMATS[scope.format].tables_of(name) for name in {*roster.rows, *FORMATS[scope.format].file_names}
        },
        stored=active.join(people, on="link_id").select(
            "grade",
            type=type_of,
            record_id="external_id",
            school_id="external_school_id",
            name=values.folded(values.full_name()),
        ),
        links=stored.links.filter("active").select(
            "link_id", "account_id", "guardian_ids", "first_name", "last_name", "email", "phone"
        ),
        guardianships=stored.guardianships.filter("active").select("id", *PAIR),
        rows_before=rows_before,
        school_ids=dict(in_scope.iter_rows()),
        names=dict(scope.schools.select("external_school_id", "name").iter_rows()),
    )


def _delivered(roster: Roster) -> pl.DataFrame:
    """kind, external_id, school_id, first_name, and the fields that may change: everybody at each of their schools.

    A guardian is counted once for each row that lists them, at the schools of the student.
    """
    fields = ("first_name", *_FIELDS)
    people = (
        roster.people.filter(pl.col("kind") != GUARDIAN)
        .group_by("kind", "external_id")
        .agg(pl.col(name).max() for name in fields)
    )
    members = roster.school_members.select("kind", "external_id", "school_id").drop_nulls().unique()
    guardians = (
        roster.guardianships.join(
            members.filter(kind=STUDENT).select("school_id", student_id="external_id"), on="student_id"
        )
        .join(roster.people.filter(kind=GUARDIAN), on="entry")
        .select("kind", "external_id", "school_id", *fields)
    )
    return pl.concat(
        [
            members.join(people, on=["kind", "external_id"]).select("kind", "external_id", "school_id", *fields),
            guardians,
        ]
    )


def causes(changeset: ChangeSet, seen: CauseEvidence, crossed: Mapping[str, Collection[str]]) -> Mapping[str, str]:
    """The causes that are seen for a school, by the code of the reason that they explain; several in one text.

    crossed: the reasons there are, by code, and for each what crossed its limit, as `Reason.counts` names it.
    """
    found: dict[str, list[str]] = {}
    if SCHOOL_MISSING in crossed:
        found[SCHOOL_MISSING] = list(_school_missing(changeset, seen))
    if DATA_REMOVALS in crossed:
        types = {kind.removeprefix(DISTRICT) for kind in crossed[DATA_REMOVALS]}
        found[DATA_REMOVALS] = list(_removals(changeset, seen, types))
    if UNUSUAL_CHANGES in crossed:
        found[UNUSUAL_CHANGES] = list(_changes(changeset, seen, crossed[UNUSUAL_CHANGES]))
    if TOO_MANY_GUARDIANS in crossed:
        found[TOO_MANY_GUARDIANS] = list(_families_doubled(changeset))
    return {code: " ".join(sentences) for code, sentences in found.items() if sentences}


def _numbers(counted: Mapping[str, int]) -> str:
    """The same of several types: "60 students, 97 guardians and 1 class"."""
    *others, last = [number(count, types) for types, count in counted.items()]
    return f"{', '.join(others)} and {last}" if others else last


def _counted(frame: pl.DataFrame) -> dict[str, int]:
    counts = dict(frame.group_by("type").len().iter_rows())
    return {kind: counts[kind] for kind in ("students", "guardians", "employees", "classes") if kind in counts}


def _none(count: int) -> str:
    return "none is" if count == 0 else "only 1 is" if count == 1 else f"only {count} are"


# --- a school that is missing -----------------------------------------------------------------------------------------


def _school_missing(changeset: ChangeSet, seen: CauseEvidence) -> Iterator[str]:
    if sentences := list(_school_id_changed(changeset, seen)):
        yield from sentences
    else:
        yield from _files(changeset, seen, [name for name, tables in seen.tables.items() if "school" in tables])


def _school_id_changed(changeset: ChangeSet, seen: CauseEvidence) -> Iterator[str]:
    """A school of the delivery that we do not know, and that has this one's people, name, or ID without zeros."""
    own = seen.school_ids[changeset.school_id]
    strangers = seen.schools.filter(~pl.col("school_id").is_in(list(seen.school_ids.values())))
    here = seen.stored.filter(pl.col("school_id") == own).select("type", "record_id").unique()
    found_again = (
        seen.members.join(strangers, on="school_id", how="semi")
        .join(here, on=["type", "record_id"], how="semi")
        .group_by("school_id")
        .len()
        .sort("len", "school_id", descending=[True, False])
    )
    for school_id, count in found_again.head(1).iter_rows():
        if count >= MOST * here.height:
            yield f"The school seems to have another ID: {count} of its {here.height} people are at {school_id} now."
            return
    name = pl.select(values.folded(pl.lit(seen.names.get(own)))).item()
    own_stripped = pl.DataFrame({"school_id": [own]}).select(_stripped("school_id")).item()
    alike = strangers.filter(
        (values.folded(pl.col("name")) == name).fill_null(False) | (_stripped("school_id") == own_stripped)
    ).sort("school_id")
    for school_id in alike["school_id"].head(1):
        zeros = f", which has lost its leading zeros, {_SPREADSHEET}" if school_id == own_stripped else ""
        yield f"The school seems to have another ID: {school_id} in place of {own}{zeros}."


# --- removals ---------------------------------------------------------------------------------------------------------


def _removals(changeset: ChangeSet, seen: CauseEvidence, crossed: Collection[str]) -> Iterator[str]:
    """What brought removals about, of the types that crossed their limit; one cause at most for the IDs of a type."""
    about = {
        name: {each for table in seen.tables.get(name, ()) for each in _TYPES_OF.get(table, ())}
        for name in {*seen.rows, *seen.tables}
    }
    files = [name for name, types in about.items() if not (types or set(crossed)).isdisjoint(crossed)]
    of_files = list(_files(changeset, seen, files))
    yield from of_files
    if not of_files and not changeset.missing:
        yield from _nobody_listed(changeset, seen, crossed)
    if not {"guardians", "guardianships"}.isdisjoint(crossed):
        yield from _parted(changeset, seen)
    written_short = _written_short(changeset, seen)
    zeros_lost, renumbered = _zeros_lost(changeset, seen), _renumbered(changeset)
    if written_short:
        yield f"The IDs of {_numbers(written_short)} look like 1.23E+11, {_SPREADSHEET}."
    if zeros_lost:
        yield f"The IDs of {_numbers(zeros_lost)} have lost their leading zeros, {_SPREADSHEET}."
    if renumbered:
        yield (
            f"New IDs were given to {_numbers(renumbered)}. We recognize them; the list shows the old and the new ID of"
            " each."
        )
    if not changeset.missing:
        explained = {*written_short, *zeros_lost, *renumbered}
        for kind in _KINDS.values():
            if kind in crossed and kind not in explained:
                yield from _others_people(changeset, seen, kind)
    new_year = list(_new_year(changeset, seen))
    yield from new_year or _new_term(changeset)


def _files(changeset: ChangeSet, seen: CauseEvidence, files: Iterable[str]) -> Iterator[str]:
    """Files that are not there, or without rows, or with far fewer than the delivery last applied here had."""
    rows_before = seen.rows_before.get(changeset.school_id, {})
    for name in sorted(files):
        before, now = rows_before.get(name, 0), seen.rows.get(name, 0)
        if before and name not in seen.rows:
            yield f"{name} was not sent; in the delivery applied last it had {counted(before, 'row')}."
        elif before and not now:
            yield f"{name} has its header and no rows; in the delivery applied last it had {before}."
        elif now < (1 - SHRUNKEN) * before:
            yield f"{name} has shrunk to {counted(now, 'row')}; in the delivery applied last it had {before}."


def _nobody_listed(changeset: ChangeSet, seen: CauseEvidence, crossed: Collection[str]) -> Iterator[str]:
    """Nobody of a type is listed for this school anymore, though the file holds the other schools'."""
    own = seen.school_ids[changeset.school_id]
    listed = set(seen.listed.filter((pl.col("school_id") == own) & (pl.col("count") > 0))["type"])
    for kind in ("students", "employees", "classes", "guardians"):
        before = changeset.before.get(kind, 0)
        if kind not in crossed or kind in listed or not before:
            continue
        if kind != "guardians":
            yield f"No {kind} are listed for this school anymore; it had {before}."
        elif "students" in listed:
            yield (
                f"No guardians are listed for any student of this school anymore; there were {before}: they may no"
                " longer be exported or shared."
            )


def _gone(changeset: ChangeSet) -> pl.DataFrame:
    return changeset.changes.filter((pl.col("action") == "remove") & pl.col("counterpart_id").is_null())


def _new(changeset: ChangeSet) -> pl.DataFrame:
    return changeset.changes.filter(pl.col("action").is_in(["create", "adopt"]) & pl.col("counterpart_id").is_null())


def _written_short(changeset: ChangeSet, seen: CauseEvidence) -> dict[str, int]:
    """IDs as a spreadsheet program writes long numbers, by type."""
    own = seen.school_ids[changeset.school_id]
    short = pl.col("record_id").str.contains(r"^[0-9](?:[.,][0-9]+)?E\+[0-9]+$")
    known = seen.stored.select("type", "record_id")
    here = seen.members.filter((pl.col("school_id") == own) & short)
    return _counted(here.join(known, on=["type", "record_id"], how="anti"))


def _stripped(column: str = "record_id") -> pl.Expr:
    """An ID as a spreadsheet program leaves it: a number without leading zeros, of zeros only one of them."""
    return pl.col(column).str.replace("^0+(.)", "$1")


def _zeros_lost(changeset: ChangeSet, seen: CauseEvidence) -> dict[str, int]:
    """Removed or changed IDs that are there without their leading zeros, by type."""
    had_zeros = _stripped() != pl.col("record_id")
    gone = _gone(changeset).filter(had_zeros).select("type", "record_id", new_id=_stripped())
    # Nobody of a school that is missing is new, wherever they are listed.
    new = seen.members.select("type", "record_id") if changeset.missing else _new(changeset).select("type", "record_id")
    lost = gone.join(new, on=["type", "record_id"], how="anti").join(
        new.select("type", new_id="record_id"), on=["type", "new_id"], how="semi"
    )
    changed = changeset.changes.filter((pl.col("action") == CHANGE_ID) & had_zeros & (pl.col("new_id") == _stripped()))
    return _counted(pl.concat([lost.select("type"), changed.select("type")]))


def _renumbered(changeset: ChangeSet) -> dict[str, int]:
    """IDs that changed otherwise, by type."""
    lost_zeros = (_stripped() != pl.col("record_id")) & (pl.col("new_id") == _stripped())
    return _counted(changeset.changes.filter((pl.col("action") == CHANGE_ID) & ~lost_zeros.fill_null(False)))


def _others_people(changeset: ChangeSet, seen: CauseEvidence, kind: str) -> Iterator[str]:
    """Hardly anybody of a kind is known at the school: another school's or another district's data."""
    own = seen.school_ids[changeset.school_id]
    here = pl.col("school_id") == own
    all_stored, all_members = (frame.filter(type=kind) for frame in (seen.stored, seen.members))
    gone, new = (frame.filter(type=kind) for frame in (_gone(changeset), _new(changeset)))
    given_on = gone.join(new, on="record_id", how="semi").height
    if given_on and given_on >= MOST * changeset.before.get(kind, 0):
        yield (
            f"The IDs of {number(given_on, kind)} belong to other people now: the file may be another district's or"
            " another school's."
        )
        return
    before, now = all_stored.filter(here), all_members.filter(here)
    known = now.join(before, on="record_id", how="semi").height
    if before.is_empty() or now.is_empty() or known > HARDLY_ANY * now.height:
        return
    listed = f"Of the {number(now.height, kind)} listed for this school"
    # Where a school has one grade only, a new year replaces everybody.
    moved_on = all_stored.join(all_members, on="record_id", suffix="_now").filter(
        pl.col("grade_now") == _next_grade("grade")
    )
    came = moved_on.filter(pl.col("school_id_now") == own)["record_id"].n_unique()
    went = moved_on.filter(here)["record_id"].n_unique()
    if came >= MOST * now.height or went >= MOST * before.height:
        yield (
            f"{listed} {came} moved here from another school of the district, one grade up, and {went} of the"
            f" {before.height} from before moved on the same way: this looks like a new school year."
        )
        return
    namesakes = now.join(before, on="name", how="semi").height
    if namesakes >= MOST * now.height:
        yield (
            f"{listed} {namesakes} have the names of {kind} from before, under other IDs, and too little else in common"
            " to count as the same people: they may have been given new IDs."
        )
        return
    yield _whose_data(seen, kind, own, listed, known)


def _whose_data(seen: CauseEvidence, kind: str, own: str, listed: str, known: int) -> str:
    """Whose data these seem to be, of which hardly anybody is known. listed: of how many; known: how many are."""
    all_stored, all_members = (frame.filter(type=kind) for frame in (seen.stored, seen.members))
    here = pl.col("school_id") == own
    now = all_members.filter(here)
    others = (
        all_stored.filter(~here)
        .join(now, on="record_id", how="semi")
        .group_by("school_id")
        .len()
        .sort("len", "school_id", descending=[True, False])
    )
    for school_id, count in others.head(1).iter_rows():
        if count >= MOST * now.height:
            where = seen.names.get(school_id, school_id)
            return f"{listed} {count} were at {where} until now: the data may be that school's."
    everybody = all_members.select("record_id").unique()
    known_anywhere = everybody.join(all_stored, on="record_id", how="semi").height
    if known_anywhere <= HARDLY_ANY * everybody.height:
        return (
            f"Of the {number(everybody.height, kind)} of the whole delivery {_none(known_anywhere)} known in the"
            " district: the file may be another district's."
        )
    return (
        f"{listed} {_none(known)} known there, unlike in the district's other schools: the data may be another"
        " school's."
    )


def _next_grade(column: str) -> pl.Expr:
    return pl.col(column).replace_strict(_NEXT, default=None, return_dtype=pl.String)


def _removed(changeset: ChangeSet, kind: str) -> int:
    return changeset.changes.filter((pl.col("action") == "remove") & (pl.col("type") == kind)).height


def _new_term(changeset: ChangeSet) -> Iterator[str]:
    """All classes replaced, and the people kept."""
    before, removed = changeset.before.get("classes", 0), _removed(changeset, "classes")
    created = _new(changeset).filter(type="classes").height
    students = changeset.before.get("students", 0)
    kept = students - _removed(changeset, "students")
    is_replaced = removed and removed >= NEARLY_ALL * before and created >= MOST * removed
    if is_replaced and students and kept >= NEARLY_ALL * students:
        yield (
            f"{removed} of {number(before, 'classes')} are replaced by {number(created, 'others')}, and {kept} of"
            f" {number(students, 'students')} stay: this looks like a new term."
        )


def _new_year(changeset: ChangeSet, seen: CauseEvidence) -> Iterator[str]:
    """Grades moved on, and those of the last grades gone."""
    own = seen.school_ids[changeset.school_id]
    stored = seen.stored.filter((pl.col("school_id") == own) & (pl.col("type") == "students"))
    leavers = changeset.changes.filter((pl.col("action") == "remove") & (pl.col("type") == "students"))
    staying = stored.join(leavers, on=["type", "record_id"], how="anti").drop_nulls("grade")
    moved_on = changeset.updates.filter(
        (pl.col("type") == "students") & (pl.col("field") == "grade") & (pl.col("after") == _next_grade("before"))
    ).height
    if staying.height and leavers.height and moved_on >= NEARLY_ALL * staying.height:
        yield (
            f"{moved_on} of the {number(staying.height, 'students')} who stay have moved on by a grade, and"
            f" {leavers.height} have left: this looks like a new school year."
        )


# --- changes ----------------------------------------------------------------------------------------------------------


def _changes(changeset: ChangeSet, seen: CauseEvidence, crossed: Collection[str]) -> Iterator[str]:
    """What brought unusual changes about: of each kind and field that crossed its limit the first cause seen."""
    changed = changeset.updates.filter(pl.col("before").is_not_null()).with_columns(
        account_id=pl.col("key").str.split(" ").list.first()
    )
    parted = []
    if any(each.startswith("guardian") for each in crossed):
        parted = list(_parted(changeset, seen))
        yield from parted
    for kind in CHANGED_TYPES:
        for name in _FIELDS:
            if f"{kind}_{name}" not in crossed or (parted and kind == "guardians"):
                continue
            here = changed.filter((pl.col("type") == kind) & (pl.col("field") == name))
            found = list(_emptied(changeset, seen, kind, name, here))
            if name in CHANGED_FIELDS:
                found += [
                    *_one_for_all(changeset, seen, kind, name),
                    *(_names_exchanged(changeset, seen, kind, here) if name == "last_name" else ()),
                    *_slipped(changeset, seen, kind, name, here),
                    *(_domain_changed(changeset, kind, here) if name == "email" else ()),
                ]
            yield from found[:1]
    if "guardianships" in crossed and not parted:
        yield from _guardians_doubled(changeset, seen)


def _given(changeset: ChangeSet, seen: CauseEvidence, kind: str, name: str) -> tuple[int, int]:
    """How many of a kind have a value of this field in the delivery, and how many the one that most have."""
    own = seen.school_ids[changeset.school_id]
    found = seen.given.filter(
        (pl.col("type") == kind) & (pl.col("school_id") == own) & (pl.col("field") == name)
    ).select("filled", "commonest")
    return (int(found["filled"].sum()), int(found["commonest"].sum()))


def _emptied(changeset: ChangeSet, seen: CauseEvidence, kind: str, name: str, here: pl.DataFrame) -> Iterator[str]:
    filled, _ = _given(changeset, seen, kind, name)
    lost = here["after"].null_count()
    if lost and not filled:
        yield (
            f"{lost} of {number(changeset.before.get(kind, 0), kind)} lose their {_SHOWN[name]}, and nobody listed for"
            " this school has one anymore: the column may be empty, or no longer exported or shared."
        )


def _one_for_all(changeset: ChangeSet, seen: CauseEvidence, kind: str, name: str) -> Iterator[str]:
    filled, commonest = _given(changeset, seen, kind, name)
    if commonest >= MANY and commonest >= NEARLY_ALL * filled:
        of = {"guardians": "the guardians' rows"}.get(kind, kind)
        yield f"Of the {_SHOWN[name]} listed for {of} of this school, {commonest} of {filled} are one and the same."


def _names_exchanged(changeset: ChangeSet, seen: CauseEvidence, kind: str, here: pl.DataFrame) -> Iterator[str]:
    """The last name is now what the first name was."""
    until_now = seen.links.unique("account_id", keep="first", maintain_order=True)
    both = here.join(until_now.select("account_id", "first_name"), on="account_id")
    exchanged = both.filter(values.folded(pl.col("after")) == values.folded(pl.col("first_name"))).height
    if exchanged >= MANY and exchanged >= NEARLY_ALL * here.height:
        yield (
            f"{exchanged} of the {here.height} new last names of {kind} are what their first names were: the columns"
            " may have changed places."
        )


def _slipped(changeset: ChangeSet, seen: CauseEvidence, kind: str, name: str, here: pl.DataFrame) -> Iterator[str]:
    """Values that others held until now: a column that slipped against the IDs, or is another one now."""
    stored, now = seen.links[name], here["after"]
    if name == "last_name":
        stored = seen.links.select(values.folded(values.full_name())).to_series()
        now = (
            changeset.links.join(here, on="account_id", how="semi")
            .select(values.folded(values.full_name()))
            .to_series()
        )
    slipped = now.is_in(stored.drop_nulls().implode()).sum()
    if slipped and slipped >= MOST * here.height:
        shown = "names" if name == "last_name" else _SHOWN[name]
        yield (
            f"{slipped} of the {here.height} new {shown} of {kind} were those of others until now: a column may have"
            " slipped, or changed places with another."
        )


def _domain_changed(changeset: ChangeSet, kind: str, here: pl.DataFrame) -> Iterator[str]:
    domains = here.select(old=pl.col("before").str.extract("@(.+)$"), new=pl.col("after").str.extract("@(.+)$"))
    moved = (
        domains.drop_nulls()
        .filter(pl.col("old") != pl.col("new"))
        .group_by("old", "new")
        .len()
        .sort("len", "old", "new", descending=[True, False, False])
    )
    for old, new, count in moved.head(1).iter_rows():
        if count >= MANY and count >= MOST * here.height:
            everybody = number(changeset.before.get(kind, 0), kind)
            yield f"{count} of {everybody} get an email address at {new} in place of the one at {old}."


def _parted(changeset: ChangeSet, seen: CauseEvidence) -> Iterator[str]:
    """Guardians who were one account until now, and are several from now on.

    Seen where the students of one guardian get several new ones, who take over from that one: each a guardian_id that
    they had, or their place at a student, and somebody goes on with the name that the one account had.
    """
    ended = seen.guardianships.filter(pl.col("id").is_in(changeset.ended_guardianships.implode())).select(PAIR)
    known = seen.guardianships.select(PAIR)
    added = changeset.guardianships.select(PAIR).join(known, on=PAIR, how="anti")
    ids, name = pl.col("guardian_ids"), values.folded(values.full_name())
    stored = seen.links.select("link_id", ids=ids, name=name)
    now = pl.concat(
        [
            changeset.links.select(link_id="id", ids=ids.str.split("\n"), name=name),
            stored.join(changeset.links, left_on="link_id", right_on="id", how="anti"),
        ]
    )
    # one: the account until now. part: a guardian whom one of its students gets.
    beside = (
        known.rename({"guardian_link_id": "one"})
        .join(added.rename({"guardian_link_id": "part"}), on="student_link_id")
        .join(stored.rename({"link_id": "one", "ids": "ids_of_one", "name": "name_of_one"}), on="one")
        .join(now.rename({"link_id": "part"}), on="part")
        .join(now.select("ids", one="link_id"), on="one", how="left", suffix="_left")
        .join(
            ended.select("student_link_id", one="guardian_link_id", ends=pl.lit(True)),
            how="left",
            on=["student_link_id", "one"],
        )
    )
    given_up = pl.col("ids_of_one").fill_null([]).list.set_difference(pl.col("ids_left").fill_null([]))
    takes_over = pl.col("ends").fill_null(False) | (
        pl.col("ids").fill_null([]).list.set_intersection(given_up).list.len() > 0
    )
    parts = beside.filter(takes_over).select(
        "one", "part", "name_of_one", named=pl.col("name") == pl.col("name_of_one")
    )
    going_on = (
        known.join(ended, on=PAIR, how="anti")
        .select(one="guardian_link_id", part="guardian_link_id")
        .unique()
        .join(parts.select("one", "name_of_one").unique(), on="one")
        .join(now.select("name", part="link_id"), on="part")
        .select("one", "part", "name_of_one", named=pl.col("name") == pl.col("name_of_one"))
    )
    shared = (
        pl.concat([parts, going_on])
        .group_by("one")
        .agg(guardians=pl.col("part").n_unique(), named=pl.col("named").any())
        .filter((pl.col("guardians") > 1) & pl.col("named"))
    )
    if shared.is_empty():
        return
    guardians = number(int(shared["guardians"].sum()), "guardians")
    accounts = "one account" if shared.height == 1 else f"{shared.height} accounts"
    yield (
        f"{guardians} who shared {accounts} would get accounts of their own: until now, their entries were treated"
        " as one person."
    )


def _guardians_doubled(changeset: ChangeSet, seen: CauseEvidence) -> Iterator[str]:
    """Guardians added who are like one that the student has already, or many of them while hardly any goes."""
    added = changeset.updates.filter((pl.col("type") == "guardianships") & (pl.col("field") == "added"))
    accounts = added.select(account_id=pl.col("key").str.split(" ").list.first()).unique()
    students = seen.links.join(accounts, on="account_id", how="semi").select(student_link_id="link_id")
    added = (
        changeset.guardianships.select(PAIR)
        .join(students, on="student_link_id", how="semi")
        .join(seen.guardianships, on=PAIR, how="anti")
    )
    likeness = [values.folded(values.full_name()).alias("name"), pl.col("email"), pl.col("phone")]
    written = changeset.links.select(pl.col("id").alias("guardian_link_id"), *likeness)
    stored = seen.links.select(pl.col("link_id").alias("guardian_link_id"), *likeness)
    now = pl.concat([written, stored.join(written, on="guardian_link_id", how="anti")])
    pairs = added.join(now, on="guardian_link_id").join(
        seen.guardianships.join(stored, on="guardian_link_id"), on="student_link_id", suffix="_stored"
    )
    alike = pairs.filter(
        (pl.col("guardian_link_id") != pl.col("guardian_link_id_stored"))
        & pl.any_horizontal(
            (pl.col(name) == pl.col(f"{name}_stored")).fill_null(False) for name in ("name", "email", "phone")
        )
    )
    twice = alike.select(PAIR).unique().height
    before, removed = changeset.before.get("guardianships", 0), _removed(changeset, "guardianships")
    if twice and twice >= MOST * added.height:
        yield (
            f"{twice} of the {number(added.height, 'guardians')} added to students have the name, email address or"
            " phone number of a guardian whom the student has already: guardians seem to be in the data twice, under"
            " another ID."
        )
    elif removed <= HARDLY_ANY * added.height and added.height:
        yield (
            f"{number(students.height, 'students')} who were here before would have more guardians, in all the school"
            f" {before - removed + added.height} in place of {before}: guardians may be in the data twice, or contacts"
            " who are none among them."
        )


def _families_doubled(changeset: ChangeSet) -> Iterator[str]:
    """Students who would have fewer than six guardians, if those of the same name counted once."""
    many = changeset.families.group_by("student_link_id").agg(
        listed=pl.len(), named=values.folded(pl.col("guardian")).n_unique()
    )
    many = many.filter(pl.col("listed") >= MANY_GUARDIANS)
    doubled = many.filter(pl.col("named") < MANY_GUARDIANS).height
    if doubled and doubled >= MOST * many.height:
        yield (
            f"{doubled} of {number(many.height, 'students')} would have fewer than six guardians, if those of the same"
            " name counted once: guardians seem to be in the data twice, under another ID."
        )
