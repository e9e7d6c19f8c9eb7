"""Settling: what only the whole district, and what is held of it, can decide. Records become a settled district.

Identity comes first (which guardian entries are one person, which link is whose, who is another person under an old
ID), then whose e-mail, then what refers to whom. Rule: the order of rows and schools makes no difference but to lines.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from contracts import emails, guardians, reissued, relations, values
from contracts.checking import FOUND, Records, at_schools, not_shared
from contracts.contract import Rule, breaking, contract
from contracts.guardians import Guardians
from contracts.issues import CATALOGUE, Severity
from contracts.roster import (
    EMPLOYEE,
    FREED_EMAILS,
    GUARDIAN,
    ISSUES,
    KEPT,
    KINDS,
    SEEN_CLASSES,
    SEEN_LINKS,
    SETTLED_PEOPLE,
    SETTLED_SCHOOL_MEMBERS,
    STUDENT,
    TEACHER,
    Held,
    Settled,
    as_table,
)

GUARDIANS = contract(
    "guardians",
    {
        "first_name": (
            Rule("name_missing", pl.col("first_name").is_not_null() | pl.col("last_name").is_not_null()),
            Rule("guardian_names_differ", ~pl.col("names_differ")),
        ),
        "source_id": (Rule("duplicate_conflict", pl.col("conflicts").is_null()),),
        "email": (
            Rule("email_taken", ~pl.col("lost")),
            Rule("guardian_unreachable", pl.col("email").is_not_null() | pl.col("phone").is_not_null()),
        ),
    },
)
PEOPLE = contract(
    "people of the district",
    {
        "email": (
            Rule("teacher_email_taken", ~pl.col("lost") | (pl.col("kind") != EMPLOYEE)),
            Rule("email_taken", ~pl.col("lost") | (pl.col("kind") == EMPLOYEE)),
        ),
        "has_class": (
            Rule("student_without_class", pl.col("has_class") | (pl.col("kind") != STUDENT) | ~pl.col("is_valid")),
            Rule("teacher_without_class", pl.col("has_class") | (pl.col("role") != TEACHER) | ~pl.col("is_valid")),
        ),
        "has_guardian": (
            Rule(
                "student_without_guardian", pl.col("has_guardian") | (pl.col("kind") != STUDENT) | ~pl.col("is_valid")
            ),
            Rule("student_unreachable", pl.col("is_reachable") | (pl.col("kind") != STUDENT) | ~pl.col("is_valid")),
        ),
    },
)


def settle(records: Records, held: Held) -> Settled:
    """Settle a checked district against what is held of it. Pure: the same records and holdings, the same result.

    Raises:
        DataError: a check could not be computed.
    """
    found = guardians.identify(records.entries, records.left_out, held)
    everyone = _everyone(_with_links(records, found, held), found)
    seen = pl.concat([everyone["link_id"], _left_out_links(records, held), found.seen["link_id"]])
    # Whoever takes somebody's place must be provisioned for that; until then the link goes nowhere.
    staying = pl.concat([seen, everyone.filter(~pl.col("is_valid"))["given_up"]]).drop_nulls().unique()
    everyone = reissued.find(everyone, found.pairs, held, staying)
    seen = pl.concat([seen, everyone["link_id"]])
    everyone = _with_gone(everyone, found.pairs, held)
    # Who left the organization, and stays gone, claims no e-mail and adopts nothing.
    owned = emails.own(everyone.filter(~pl.col("is_gone")), held, seen.drop_nulls().unique())
    gone = everyone.filter("is_gone").select("record", "is_valid", "email", adopts="ties", lost=pl.lit(False))
    decided = pl.concat([owned.records, gone.select(owned.records.columns)], how="vertical_relaxed")
    people = _numbered(everyone.drop("email", "is_valid").join(decided, on="record"), held)
    # A newcomer who is rejected after all leaves the link of the one before as it is.
    seen = pl.concat([seen, people.filter(~pl.col("is_valid"))["given_up"]]).drop_nulls().unique().sort()

    pairs = _pairs(records, found)
    going_on = people.select("kind", "source_id", "guardian", "person", link_id="stands_in")
    related = relations.relate(
        records,
        going_on.filter(pl.col("kind") != GUARDIAN).drop("guardian"),
        going_on.filter(kind=GUARDIAN).select("guardian", "person", "link_id"),
        pairs.filter(~pl.col("is_anothers")),
        held,
    )
    valid = people.filter("is_valid").sort("person")
    issues = [
        records.found,
        _people_issues(records, people, pairs, held),
        _guardian_issues(records, people, pairs, found),
        related.found,
    ]
    return Settled(
        people=as_table(valid, SETTLED_PEOPLE),
        school_members=as_table(
            valid.filter(pl.col("kind") != GUARDIAN).join(records.members, on=["kind", "source_id"]),
            SETTLED_SCHOOL_MEMBERS,
        ).sort("person", "school_id"),
        classes=related.classes,
        class_members=related.class_members,
        guardianships=related.guardianships,
        seen_links=as_table(seen.to_frame("link_id"), SEEN_LINKS),
        seen_classes=as_table(records.seen_classes, SEEN_CLASSES).sort("source_id", "school_id"),
        kept=_kept(records, people, pairs, related.kept),
        issues=_issues(pl.concat(issues), related.fallen, records.rows, has_lines=records.has_lines),
        notes=records.notes,
        missing_schools=records.missing_schools,
        freed_emails=as_table(owned.freed, FREED_EMAILS).sort("account_id", "email"),
    )


def _with_links(records: Records, found: Guardians, held: Held) -> pl.DataFrame:
    """Employees and students with their link (link_id), or the one whose ID is another person's now (given_up).

    Rule: the same ID with both names different and no e-mail, birth date or guardian in common is another person. One
    who cannot be provisioned is never taken for a newcomer in somebody's place.
    """
    own = held.links.filter(pl.col("own") & (pl.col("kind") != GUARDIAN)).drop_nulls("source_id")
    fields = ("first_name", "last_name", "email", "birth_date")
    linked = records.people.join(
        own.select("kind", "source_id", "link_id", *(pl.col(name).alias(f"held_{name}") for name in fields)),
        on=["kind", "source_id"],
        how="left",
    )
    same_guardian = (
        found.pairs.join(found.people.select("guardian", guardian_link_id="link_id"), on="guardian")
        .join(own.filter(kind=STUDENT).select(student_id="source_id", student_link_id="link_id"), on="student_id")
        .join(held.guardianships, on=["student_link_id", "guardian_link_id"], how="semi")
        .select(link_id="student_link_id", same_guardian=pl.lit(True))
        .unique()
    )
    differ = [
        (values.folded(pl.col(name)) != values.folded(pl.col(f"held_{name}"))).fill_null(False)
        for name in ("first_name", "last_name")
    ]
    same = [(pl.col(name) == pl.col(f"held_{name}")).fill_null(False) for name in ("email", "birth_date")]
    is_other = (
        pl.col("is_valid")
        & pl.all_horizontal(differ)
        & ~pl.any_horizontal(same)
        & ~pl.col("same_guardian").fill_null(False)
    )
    return linked.join(same_guardian, on="link_id", how="left").with_columns(
        link_id=pl.when(~is_other).then("link_id"),
        given_up=pl.when(is_other).then("link_id"),
        is_held=pl.col("link_id").is_in(held.links.filter("active")["link_id"].implode()).fill_null(False),
    )


def _with_gone(everyone: pl.DataFrame, pairs: pl.DataFrame, held: Held) -> pl.DataFrame:
    """With is_gone: who left the organization, and stays gone; a guardian all of whose students did, with them."""
    gone = held.links.filter("gone")
    left = everyone.with_columns(
        is_gone=pl.col("link_id").is_in(gone["link_id"].implode()).fill_null(False)
        | pl.col("ties").is_in(gone["account_id"].implode()).fill_null(False)
    )
    active = held.links.filter("active")["link_id"].implode()
    students = left.filter(
        (pl.col("kind") == STUDENT)
        & (pl.col("is_valid") | pl.col("link_id").is_in(active).fill_null(False))
        & ~pl.col("is_shared")
    )
    families = (
        pairs.join(students.select("is_gone", student_id="source_id"), on="student_id")
        .group_by("guardian")
        .agg(left_alone=pl.col("is_gone").all())
    )
    return (
        left.join(families, on="guardian", how="left", maintain_order="left")
        .with_columns(is_gone=pl.col("is_gone") | pl.col("left_alone").fill_null(False))
        .drop("left_alone")
    )


def _everyone(people: pl.DataFrame, found: Guardians) -> pl.DataFrame:
    """All records in one frame, numbered (record) in order of what they are: what `contracts.emails` takes, and more.

    A guardian is provisioned for a student who is valid, or goes on as last applied: never for students who fall, nor
    for two people on one ID, of whom it is not known whose guardian it is.
    """
    students = people.filter(
        (pl.col("kind") == STUDENT) & (pl.col("is_valid") | pl.col("is_held")) & ~pl.col("is_shared")
    )
    wanted = (
        found.pairs.join(students.select(student_id="source_id"), on="student_id", how="semi")
        .select("guardian", is_wanted=pl.lit(True))
        .unique()
    )
    named = pl.col("first_name").is_not_null() | pl.col("last_name").is_not_null()
    reachable = pl.col("email").is_not_null() | pl.col("phone").is_not_null()
    content = pl.concat_str(
        *(pl.col(name).fill_null("") for name in ("last_name", "first_name", "phone", "email")), separator="\n"
    )
    of_guardians = found.people.join(wanted, on="guardian", how="left").with_columns(
        kind=pl.lit(GUARDIAN),
        role=pl.lit(GUARDIAN),
        content=content,
        is_valid=named & reachable & pl.col("is_wanted").fill_null(False),
        is_rejected=~(named & reachable),
    )
    of_people = people.with_columns(content=pl.lit(""), is_rejected=~pl.col("is_valid"))
    added = (
        "guardian",
        "other_id",
        "names_differ",
        "given_up",
        "content",
        "is_valid",
        "is_shared",
        "is_rejected",
    )
    return (
        pl.concat([of_people, of_guardians], how="diagonal")
        .sort(_kind_order(), "source_id", "content", "guardian", nulls_last=True)
        .with_columns(record=pl.int_range(pl.len(), dtype=pl.UInt32))
        .select("record", *(name for name in SETTLED_PEOPLE if name not in ("person", "adopts", "reissued")), *added)
    )


def _kind_order() -> pl.Expr:
    return pl.col("kind").replace_strict({kind: at for at, kind in enumerate(KINDS)}, return_dtype=pl.UInt8)


def _numbered(people: pl.DataFrame, held: Held) -> pl.DataFrame:
    """With person, for the valid; stands_in, for the others the active link they go on as; and is_rejected."""
    active = held.links.filter("active")["link_id"].implode()
    valid = people.filter("is_valid").sort("record").select("record", person=pl.int_range(pl.len(), dtype=pl.UInt32))
    return people.join(valid, on="record", how="left").with_columns(
        stands_in=pl.when(~pl.col("is_valid") & pl.col("link_id").is_in(active)).then("link_id"),
        is_rejected=pl.col("is_rejected") | (pl.col("lost") & ~pl.col("is_valid")),
    )


def _left_out_links(records: Records, held: Held) -> pl.Series:
    """The links of employees and students whose rows are all left out."""
    own = held.links.filter("own").join(records.seen, on=["kind", "source_id"], how="semi")
    return own.join(records.people, on=["kind", "source_id"], how="anti")["link_id"]


def _pairs(records: Records, found: Guardians) -> pl.DataFrame:
    """The pairs of guardian and student_id, with is_shared (two people are on the student's ID), student_is_known."""
    shared = records.people.filter("is_shared").filter(kind=STUDENT)["source_id"].implode()
    known = records.seen.filter(kind=STUDENT)["source_id"].implode()
    return found.pairs.with_columns(
        is_shared=pl.col("student_id").is_in(shared), student_is_known=pl.col("student_id").is_in(known)
    )


def _people_issues(records: Records, people: pl.DataFrame, pairs: pl.DataFrame, held: Held) -> pl.DataFrame:
    """FOUND of employees and students: what only shows once everything is settled."""
    reach = pl.col("email").is_not_null() | pl.col("phone").is_not_null()
    as_held = held.links.select(stands_in="link_id", held_reach=reach)
    guardians_reached = (
        people.filter(kind=GUARDIAN)
        .join(as_held, on="stands_in", how="left")
        .filter((pl.col("is_valid") & reach) | pl.col("held_reach").fill_null(False))
        .select("guardian")
    )
    reached = pairs.join(guardians_reached, on="guardian", how="semi")["student_id"].unique().implode()
    marked = (
        people.filter(pl.col("kind") != GUARDIAN)
        .join(records.in_classes.with_columns(has_class=pl.lit(True)), on=["kind", "source_id"], how="left")
        .with_columns(
            pl.col("has_class").fill_null(False),
            has_guardian=pl.col("source_id").is_in(pairs["student_id"].unique().implode()),
            is_reachable=reach | pl.col("source_id").is_in(reached),
        )
    )
    broken = breaking(PEOPLE, marked).select(
        "code", "file", "line", table="kind", key="source_id", detail=pl.lit(None, pl.String)
    )
    return at_schools(broken, records.members.rename({"kind": "table", "source_id": "key"}))


def _guardian_issues(records: Records, people: pl.DataFrame, pairs: pl.DataFrame, found: Guardians) -> pl.DataFrame:
    """FOUND of guardians, once for each guardian and code, at every school of their students.

    Of a guardian whose students are all unknown, nothing but that is told: nobody would be set up for them.
    """
    differing = [name for name in found.people.columns if name.startswith("differs_")]
    in_pairs = [name for name in pairs.columns if name.startswith("differs_")]
    # A file names the fields of guardians within the rows of their students.
    prefix = "guardian_" if records.has_lines else ""
    columns = {name: f"{prefix}{name.removeprefix('differs_')}" for name in (*differing, *in_pairs)}
    conflicts = pl.concat_str(
        [pl.when(pl.col(name)).then(pl.lit(shown)) for name, shown in columns.items()],
        separator=", ",
        ignore_nulls=True,
    )
    marked = (
        people.filter(kind=GUARDIAN)
        .join(found.people.select("guardian", *differing), on="guardian")
        .join(pairs.group_by("guardian").agg(pl.col(in_pairs).any()), on="guardian", how="left")
        .with_columns(conflicts=conflicts)
        .with_columns(conflicts=pl.when(pl.col("conflicts") != "").then("conflicts"))
    )
    of_records = (
        breaking(GUARDIANS, marked)
        .join(pairs.filter("student_is_known"), on="guardian", how="semi")
        .select(
            "code",
            "file",
            "line",
            "guardian",
            record_id="source_id",
            detail=pl.when(code="duplicate_conflict").then("conflicts"),
        )
    )
    is_known = pairs.filter("student_is_known")["guardian"].unique().implode()
    of_entries = (
        pl.concat([records.entry_issues, found.issues])
        .join(found.entries, on="entry")
        .filter((pl.col("code") == "record_not_shared") | pl.col("guardian").is_in(is_known))
        .join(records.entries.select("entry", "guardian_id"), on="entry")
        .join(found.people.select("guardian", "source_id"), on="guardian")
        .sort("file", "line")
        .unique(["code", "guardian"], keep="first", maintain_order=True)
        .select(
            "code",
            "file",
            "line",
            "guardian",
            record_id=pl.coalesce("guardian_id", "source_id"),
            detail=not_shared("student"),
        )
    )
    schools = (
        pairs.select("guardian", "student_id")
        .join(records.members.filter(kind=STUDENT), left_on="student_id", right_on="source_id")
        .select("guardian", "school_id")
        .unique()
    )
    return as_table(
        pl.concat([of_records, of_entries])
        .join(schools, on="guardian", how="left")
        .with_columns(root_table=None, root=None),
        FOUND,
    )


def _kept(records: Records, people: pl.DataFrame, pairs: pl.DataFrame, related: pl.DataFrame) -> pl.DataFrame:
    """KEPT: who has a row that was not applied, whatever the reason; that a school is only not shared is none."""
    unknown = records.unknown_schools.filter(not records.shares_part).select(
        kind="table", source_id="key", has_bad_row=pl.lit(True)
    )
    marked = people.join(unknown, on=["kind", "source_id"], how="left").with_columns(
        link_id=pl.coalesce("link_id", pl.when(~pl.col("is_valid")).then("given_up")),
        not_applied=~pl.col("is_valid") | pl.col("has_bad_row").fill_null(False),
    )
    bad_guardians = marked.filter("not_applied", kind=GUARDIAN)
    with_bad_guardian = pairs.join(bad_guardians, on="guardian", how="semi").select(source_id="student_id")
    students = marked.filter(kind=STUDENT)
    links = [
        ("school_members", marked.filter("not_applied").filter(pl.col("kind") != GUARDIAN)),
        ("guardianships", students.filter("not_applied")),
        ("guardianships", students.join(with_bad_guardian, on="source_id", how="semi")),
        ("guardianships", bad_guardians),
    ]
    frames = [
        frame.drop_nulls("link_id").select("link_id", table=pl.lit(table), class_id=None) for table, frame in links
    ]
    return (
        pl.concat([*(as_table(frame, KEPT) for frame in frames), related])
        .unique()
        .sort("table", "link_id", "class_id", nulls_last=True)
    )


def _issues(
    found: pl.DataFrame, fallen: pl.DataFrame, rows: Mapping[str, pl.DataFrame], *, has_lines: bool
) -> pl.DataFrame:
    """ISSUES: with the number of records that fall with each, and the row as it came.

    Without lines, what differs in nothing else is one issue.
    """
    errors = [code for code, entry in CATALOGUE.items() if entry.severity == Severity.ERROR]
    counted = found.join(fallen, on=["root_table", "root"], how="left").with_columns(
        consequences=pl.when(pl.col("code").is_in(errors)).then("consequences").otherwise(None).fill_null(0)
    )
    places = counted.select("file", "line").unique()
    texts = [
        came.join(places.filter(file=file), on="line", how="semi").select(
            "line", file=pl.lit(file), row=pl.struct(pl.exclude("line")).struct.json_encode()
        )
        for file, came in rows.items()
    ]
    known = pl.concat(texts) if texts else pl.DataFrame(schema={"line": pl.UInt32, "file": pl.String, "row": pl.String})
    issues = counted.join(known, on=["file", "line"], how="left")
    if not has_lines:
        issues = issues.with_columns(line=None).unique()
    return as_table(issues, ISSUES).sort("code", "school_id", "file", "line", "record_id", "detail", nulls_last=True)
