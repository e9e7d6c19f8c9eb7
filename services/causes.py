"""What seems to have brought a hold about, in plain words. Pure: frames in, sentences out; no personal data in them.

It only explains. Whether a school is held is the guard's business, and a cause that is not seen changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from contracts import values
from contracts.roster import EMPLOYEE, STUDENT, Roster
from services.guard import DATA_REMOVALS, SCHOOL_MISSING, UNUSUAL_CHANGES
from services.held import Scope, Stored
from services.plan import ChangeSet

# A file counts as shrunken when more than this share of its rows is gone.
SHRUNKEN = 0.2
# From this share on, something counts as being so of nearly all; up to the other one, of hardly any.
NEARLY_ALL, HARDLY_ANY, MOST = 0.9, 0.1, 0.5
_GRADES = ("PK", "TK", "K", *(str(number) for number in range(1, 14)))
_NEXT = {grade: _GRADES[position + 1] for position, grade in enumerate(_GRADES[:-1])} | {"PK": "K"}
_KINDS = {STUDENT: "students", EMPLOYEE: "employees"}


@dataclass(frozen=True)
class Seen:
    """What causes are looked for in.

    schools: school_id (the source's), name; every school of the delivery. members: type (students, employees),
    record_id, school_id; everybody in any row. held: type, record_id, school_id (the source's), grade; active before.
    school_ids: ours -> the source's, of the schools in scope; names: the source's -> the school's, in the setup file.
    rows: of each file, now. rows_before: by our school ID, those of the delivery last applied there.
    """

    schools: pl.DataFrame
    members: pl.DataFrame
    held: pl.DataFrame
    school_ids: Mapping[str, str]
    names: Mapping[str, str]
    rows: Mapping[str, int]
    rows_before: Mapping[str, Mapping[str, int]]


def seen(scope: Scope, roster: Roster, stored: Stored, rows_before: Mapping[str, Mapping[str, int]]) -> Seen:
    """What a roster, and what is stored of the district, hold for `causes`."""
    in_scope = scope.schools.select("school_id", "source_school_id")
    type_of = pl.col("kind").replace_strict(_KINDS, return_dtype=pl.String)
    active = stored.memberships.filter("active").join(in_scope, on="school_id")
    people = stored.links.filter(pl.col("kind").is_in(list(_KINDS)))
    return Seen(
        schools=roster.schools.select("name", school_id="source_id").unique("school_id", keep="first"),
        members=roster.school_members.select("school_id", type=type_of, record_id="source_id").unique(),
        held=active.join(people, on="link_id").select(
            "grade", type=type_of, record_id="source_id", school_id="source_school_id"
        ),
        school_ids=dict(in_scope.iter_rows()),
        names=dict(scope.schools.select("source_school_id", "name").iter_rows()),
        rows={name: rows.height for name, rows in roster.rows.items()},
        rows_before=rows_before,
    )


def causes(changeset: ChangeSet, seen: Seen) -> Mapping[str, str]:
    """The causes that are seen for a school, by the code of the reason that they explain; several in one text."""
    found = {
        SCHOOL_MISSING: list(_school_id_changed(changeset, seen)) if changeset.missing else [],
        DATA_REMOVALS: [
            *_files(changeset, seen),
            *(sentences := [*_zeros_lost(changeset), *_ids_reissued(changeset)]),
            *([] if sentences or changeset.missing else _others_file(changeset, seen)),
            *_new_term(changeset),
            *_new_year(changeset, seen),
        ],
        UNUSUAL_CHANGES: list(_values_shifted(changeset)),
    }
    return {code: " ".join(sentences) for code, sentences in found.items() if sentences}


def _files(changeset: ChangeSet, seen: Seen) -> Iterator[str]:
    for name, before in sorted(seen.rows_before.get(changeset.school_id, {}).items()):
        now = seen.rows.get(name, 0)
        if before and not now:
            yield f"{name} has its header and no rows; in the delivery applied last it had {before}."
        elif now < (1 - SHRUNKEN) * before:
            yield f"{name} has shrunk to {now} rows; in the delivery applied last it had {before}."


def _zeros_lost(changeset: ChangeSet) -> Iterator[str]:
    """Removed IDs that are there without their leading zeros."""
    changes = changeset.changes
    gone = changes.filter((pl.col("action") == "remove") & pl.col("other_id").is_null()).select("type", "record_id")
    new = changes.filter(pl.col("action").is_in(["create", "adopt"])).select("type", new_id="record_id")
    stripped = pl.col("record_id").str.strip_chars_start("0")
    lost = (
        gone.filter(stripped != pl.col("record_id"))
        .with_columns(new_id=stripped)
        .join(new, on=["type", "new_id"], how="semi")
        .select("type")
    )
    if "new_id" in changes.columns:
        reissued = changes.filter((pl.col("action") == "change_id") & (stripped != pl.col("record_id")))
        lost = pl.concat([lost, reissued.filter(pl.col("new_id") == stripped).select("type")])
    for kind, count in _counted(lost):
        yield (
            f"The IDs of {count} {kind} have lost their leading zeros, as happens when a file is opened in a"
            " spreadsheet program."
        )


def _ids_reissued(changeset: ChangeSet) -> Iterator[str]:
    if "new_id" not in changeset.changes.columns:
        return
    for kind, count in _counted(changeset.changes.filter(pl.col("action") == "change_id")):
        yield f"{count} {kind} are there under a new ID; the list names the old and the new ID of each."


def _counted(frame: pl.DataFrame) -> list[tuple[str, int]]:
    counted = frame.group_by("type").len().sort("type")
    return [(str(kind).replace("_", " "), int(count)) for kind, count in counted.iter_rows()]


def _school_id_changed(changeset: ChangeSet, seen: Seen) -> Iterator[str]:
    """A school of the delivery that we do not know, and that has this one's people, name, or ID without zeros."""
    own = seen.school_ids[changeset.school_id]
    strangers = seen.schools.filter(~pl.col("school_id").is_in(list(seen.school_ids.values())))
    here = seen.held.filter(pl.col("school_id") == own).select("type", "record_id").unique()
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
    alike = strangers.filter(
        (values.folded(pl.col("name")) == name).fill_null(False)
        | (pl.col("school_id").str.strip_chars_start("0") == own.lstrip("0"))
    ).sort("school_id")
    for school_id in alike["school_id"].head(1):
        zeros = (
            ", which has lost its leading zeros, as happens when a file is opened in a spreadsheet program"
            if school_id == own.lstrip("0")
            else ""
        )
        yield f"The school seems to have another ID: {school_id} in place of {own}{zeros}."


def _others_file(changeset: ChangeSet, seen: Seen) -> Iterator[str]:
    """Hardly anybody of a kind is known at the school: another school's or another district's data."""
    for kind in _KINDS.values():
        yield from _others_people(changeset, seen, kind)


def _others_people(changeset: ChangeSet, seen: Seen, kind: str) -> Iterator[str]:
    own = seen.school_ids[changeset.school_id]
    here = pl.col("school_id") == own
    all_held, all_members = (frame.filter(type=kind) for frame in (seen.held, seen.members))
    changes = changeset.changes.filter((pl.col("type") == kind) & pl.col("other_id").is_null())
    given_on = (
        changes.filter(action="remove")
        .join(changes.filter(pl.col("action").is_in(["create", "adopt"])), on="record_id", how="semi")
        .height
    )
    if given_on and given_on >= MOST * changeset.before.get(kind, 0):
        yield (
            f"The IDs of {given_on} {kind} belong to other people now: the file may be another district's or another"
            " school's."
        )
        return
    before, now = all_held.filter(here), all_members.filter(here)
    if before.is_empty() or now.is_empty():
        return
    known = now.join(before, on="record_id", how="semi").height
    if known > HARDLY_ANY * now.height:
        return
    others = (
        all_held.filter(~here)
        .join(now, on="record_id", how="semi")
        .group_by("school_id")
        .len()
        .sort("len", "school_id", descending=[True, False])
    )
    for school_id, count in others.head(1).iter_rows():
        if count >= MOST * now.height:
            yield (
                f"{count} of the {now.height} {kind} listed for this school were at"
                f" {seen.names.get(school_id, school_id)} until now: the data may be that school's."
            )
            return
    everybody = all_members.select("record_id").unique()
    known_anywhere = everybody.join(all_held, on="record_id", how="semi").height
    if known_anywhere <= HARDLY_ANY * everybody.height:
        yield (
            f"Of all {everybody.height} {kind} of the delivery only {known_anywhere} are known in the district: the"
            " file may be another district's."
        )
    else:
        yield (
            f"Of the {now.height} {kind} listed for this school only {known} are known there, unlike in the district's"
            " other schools: the data may be another school's."
        )


def _removed(changeset: ChangeSet, kind: str) -> int:
    return changeset.changes.filter((pl.col("action") == "remove") & (pl.col("type") == kind)).height


def _new_term(changeset: ChangeSet) -> Iterator[str]:
    """All classes replaced, and the people kept."""
    before, removed = changeset.before.get("classes", 0), _removed(changeset, "classes")
    created = changeset.changes.filter((pl.col("action") == "create") & (pl.col("type") == "classes")).height
    students = changeset.before.get("students", 0)
    kept = students - _removed(changeset, "students")
    if before and created and removed >= NEARLY_ALL * before and students and kept >= NEARLY_ALL * students:
        yield (
            f"{removed} of {before} classes are replaced by {created} others, and {kept} of {students} students stay:"
            " this looks like a new term."
        )


def _new_year(changeset: ChangeSet, seen: Seen) -> Iterator[str]:
    """Grades moved on, and those of the last grades gone."""
    own = seen.school_ids[changeset.school_id]
    held = seen.held.filter((pl.col("school_id") == own) & (pl.col("type") == "students"))
    leavers = changeset.changes.filter((pl.col("action") == "remove") & (pl.col("type") == "students"))
    staying = held.join(leavers, on=["type", "record_id"], how="anti").drop_nulls("grade")
    moved_on = changeset.updates.filter(
        (pl.col("type") == "students")
        & (pl.col("field") == "grade")
        & (pl.col("after") == pl.col("before").replace_strict(_NEXT, default=None, return_dtype=pl.String))
    ).height
    if staying.height and leavers.height and moved_on >= NEARLY_ALL * staying.height:
        yield (
            f"{moved_on} of the {staying.height} students who stay have moved on by a grade, and {leavers.height} have"
            " left: this looks like a new school year."
        )


def _values_shifted(changeset: ChangeSet) -> Iterator[str]:
    """Values that others of the school held until now: a column that slipped against the IDs."""
    changed = changeset.updates.filter(pl.col("before").is_not_null() & pl.col("after").is_not_null())
    for name, shown in (("email", "e-mail addresses"), ("phone", "phone numbers")):
        here = changed.filter(pl.col("field") == name)
        swapped = here.filter(pl.col("after").is_in(here["before"].implode())).height
        if swapped and swapped >= MOST * here.height:
            yield f"{swapped} of the new {shown} were those of others until now: a column may have slipped."
