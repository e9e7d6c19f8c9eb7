"""Settling: what only the whole district, and what is held of it, can decide. Records become a settled district.

Identity comes first (which guardian entries are one person, which link is whose, who is another person under an old
ID), then whose email, then what refers to whom. Rule: the order of rows and schools makes no difference but to lines.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import polars as pl

from contracts import emails, guardians, identity, leaving, relations, values
from contracts.checking import DRAFT_ISSUES, Records, at_schools
from contracts.guardians import Guardians
from contracts.issues import CATALOGUE, Entry, Severity
from contracts.normalizing import READ, called, with_commas
from contracts.roster import (
    EMPLOYEE,
    FREED_EMAILS,
    GUARDIAN,
    ISSUES,
    KINDS,
    PROTECTED_PAIRS,
    SEEN_CLASSES,
    SEEN_LINKS,
    SETTLED_PEOPLE,
    SETTLED_SCHOOL_MEMBERS,
    SETTLED_TABLES,
    STUDENT,
    TEACHER,
    Field,
    Settled,
    StoredRoster,
    as_table,
    verify,
)
from contracts.rules import Rule, breaking, contract
from contracts.whereabouts import placed, whereabouts

GUARDIANS = contract(
    "guardians",
    {
        "first_name": (
            Rule("name_missing", pl.col("first_name").is_not_null() | pl.col("last_name").is_not_null()),
            Rule("guardian_names_differ", ~pl.col("names_differ")),
        ),
        "external_id": (Rule("duplicate_conflict", pl.col("conflicts").is_null()),),
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
        "birth_date": (
            Rule(
                "birth_date_missing",
                (pl.col("kind") != STUDENT) | pl.col("birth_date").is_not_null() | pl.col("bad_birth_date"),
            ),
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


_REACHABLE = pl.col("email").is_not_null() | pl.col("phone").is_not_null()
# The columns that name a guardian: a source without any of them says nothing about guardians.
_NAMING = ("external_id", "first_name", "last_name", "email", "phone")


def says_nothing_of_guardians(absent: Collection[Field]) -> bool:
    """Whether a source lacks every field that could name a guardian, so that none is added or removed."""
    return all((GUARDIAN, name) in absent for name in _NAMING)


def settle(records: Records, stored: StoredRoster) -> Settled:
    """Settle a checked district against what is held of it. Pure: the same records and holdings, the same result.

    Raises:
        DataError: a check could not be computed, or a frame is not as SETTLED_TABLES declares it.
    """
    awaited = leaving.awaited(records, stored)
    of_awaited = awaited.filter(kind=STUDENT).select(student_id="external_id")
    left_out = records.left_out.join(of_awaited, on="student_id", how="semi")
    found = guardians.identify(records.entries, left_out, stored, records.absent)
    everyone, silent, seen = _identified(records, found, awaited, stored)
    everyone, freed_emails = _with_emails(_with_gone(everyone, found.pairs, stored), stored, seen)
    people = _numbered(everyone, stored)
    # A newcomer who is rejected after all leaves the link of the one before as it is.
    seen = pl.concat([seen, people.filter(~pl.col("is_valid"))["given_up"]]).drop_nulls().unique().sort()

    pairs = _pairs(records, found)
    going_on = people.select("kind", "external_id", "guardian", "person", link_id="stands_in")
    related = relations.relate(
        records,
        going_on.filter(pl.col("kind") != GUARDIAN).drop("guardian"),
        going_on.filter(kind=GUARDIAN).select("guardian", "person", "link_id"),
        pairs.filter(~pl.col("is_anothers")),
        stored,
    )
    at = whereabouts(records, people, stored)
    valid = people.filter("is_valid").sort("person")
    issues = [
        placed(records, people, at),
        _people_issues(records, people, pairs, related.in_classes, silent, stored),
        _guardian_issues(records, people, pairs, found, at),
        related.draft_issues,
    ]
    settled = Settled(
        people=as_table(valid, SETTLED_PEOPLE),
        school_members=as_table(
            valid.filter(pl.col("kind") != GUARDIAN).join(records.members, on=["kind", "external_id"]),
            SETTLED_SCHOOL_MEMBERS,
        ).sort("person", "school_id"),
        classes=related.classes,
        class_members=related.class_members,
        guardianships=related.guardianships,
        seen_links=as_table(seen.to_frame("link_id"), SEEN_LINKS),
        seen_classes=as_table(records.seen_classes, SEEN_CLASSES).sort("external_id", "school_id"),
        protected=_protected_pairs(records, people, pairs, related.protected, silent),
        issues=_issues(
            records,
            _without_followers(pl.concat(issues), valid, related.classes),
            related.dependents,
            _locations(records, found),
        ),
        notes=(*records.notes, *_missing_columns(records, stored)),
        missing_schools=records.missing_schools,
        freed_emails=as_table(freed_emails, FREED_EMAILS).sort("account_id", "email"),
        absent=records.absent,
    )
    verify("settling", settled, SETTLED_TABLES)
    return settled


def _identified(
    records: Records, found: Guardians, awaited: pl.DataFrame, stored: StoredRoster
) -> tuple[pl.DataFrame, pl.DataFrame, pl.Series]:
    """Everybody, with the link each is; the silent guardians; and the link_ids in any row.

    awaited: as `leaving.awaited` gives it. The guardians are as `_silent_guardians` gives them.
    """
    everyone = _inheriting(_everyone(_with_links(records, found, stored), found), stored)
    elsewhere = _links_elsewhere(records, stored)
    to_be_taken = elsewhere.join(awaited, on=["kind", "external_id"], how="semi")
    seen = pl.concat([frame["link_id"] for frame in (everyone, to_be_taken, found.seen)])
    # Whoever takes somebody's place must be provisioned for that; until then the link goes nowhere. Who is elsewhere is
    # there under the ID of old.
    given_up = everyone.filter(~pl.col("is_valid"))["given_up"]
    staying = pl.concat([seen, elsewhere["link_id"], given_up]).drop_nulls().unique()
    everyone = _inheriting(identity.find(everyone, found.pairs, stored, staying), stored)
    there = pl.concat([everyone["link_id"], elsewhere["link_id"], given_up])
    silent = _silent_guardians(records, stored, there)
    return everyone, silent, pl.concat([seen, everyone["link_id"], silent["link_id"]]).drop_nulls().unique()


def _with_links(records: Records, found: Guardians, stored: StoredRoster) -> pl.DataFrame:
    """Employees and students with their link (link_id), or the one whose ID is another person's now (given_up).

    Rule: the same ID with both names different and no email, birth date or guardian in common is another person. One
    who cannot be provisioned is never taken for a newcomer in somebody's place.
    """
    from_here = stored.links.filter(pl.col("from_this_source") & (pl.col("kind") != GUARDIAN)).drop_nulls("external_id")
    fields = ("first_name", "last_name", "email", "birth_date")
    linked = records.people.join(
        from_here.select("kind", "external_id", "link_id", *(pl.col(name).alias(f"stored_{name}") for name in fields)),
        on=["kind", "external_id"],
        how="left",
    )
    same_guardian = (
        found.pairs.join(found.people.select("guardian", guardian_link_id="link_id"), on="guardian")
        .join(
            from_here.filter(kind=STUDENT).select(student_id="external_id", student_link_id="link_id"), on="student_id"
        )
        .join(stored.guardianships, on=["student_link_id", "guardian_link_id"], how="semi")
        .select(link_id="student_link_id", same_guardian=pl.lit(True))
        .unique()
    )
    differ = [
        (values.folded(pl.col(name)) != values.folded(pl.col(f"stored_{name}"))).fill_null(False)
        for name in ("first_name", "last_name")
    ]
    same = [(pl.col(name) == pl.col(f"stored_{name}")).fill_null(False) for name in ("email", "birth_date")]
    is_other = (
        pl.col("is_valid")
        & pl.all_horizontal(differ)
        & ~pl.any_horizontal(same)
        & ~pl.col("same_guardian").fill_null(False)
    )
    return linked.join(same_guardian, on="link_id", how="left").with_columns(
        link_id=pl.when(~is_other).then("link_id"),
        given_up=pl.when(is_other).then("link_id"),
        is_stored=pl.col("link_id").is_in(stored.links.filter("active")["link_id"].implode()).fill_null(False),
    )


def _inheriting(everyone: pl.DataFrame, stored: StoredRoster) -> pl.DataFrame:
    """Everybody whose link is known, with the values last applied to it where the source says nothing that can be read.

    Then guardians are judged. Rule: an optional value that is there but cannot be read is not taken, and the one last
    applied stays; a missing column says nothing. Someone new, or another person on an old ID, inherits nothing.
    """
    last = stored.links.select(
        "link_id", *(pl.col(name).alias(f"stored_{name}") for name in (*READ, "phone_extension"))
    )
    keeps = {name: pl.col(f"unread_{name}").fill_null(False) & pl.col(name).is_null() for name in READ}
    # A teacher's email is no optional value: without a good one they are rejected.
    keeps["email"] &= pl.col("kind") != EMPLOYEE
    filled = everyone.join(last, on="link_id", how="left", maintain_order="left").with_columns(
        *(pl.when(keeps[name]).then(f"stored_{name}").otherwise(name).alias(name) for name in READ),
        phone_extension=pl.when(keeps["phone"]).then("stored_phone_extension").otherwise("phone_extension"),
    )
    is_guardian = pl.col("kind") == GUARDIAN
    fit = (pl.col("first_name").is_not_null() | pl.col("last_name").is_not_null()) & _REACHABLE
    return filled.with_columns(
        is_valid=pl.when(is_guardian).then(fit & pl.col("is_wanted")).otherwise("is_valid"),
        is_rejected=pl.when(is_guardian).then(~fit).otherwise("is_rejected"),
    ).select(everyone.columns)


def _silent_guardians(records: Records, stored: StoredRoster, there: pl.Series) -> pl.DataFrame:
    """link_id: guardians of whom a source without a column that names one says nothing.

    there: links in some row. Rule: a guardian goes when the last of their students goes, whatever columns there are.
    """
    from_here = stored.links.filter(pl.col("from_this_source") & (pl.col("kind") == GUARDIAN) & pl.col("active"))
    with_student = stored.guardianships.filter(pl.col("student_link_id").is_in(there.implode()))
    return (
        from_here.filter(says_nothing_of_guardians(records.absent))
        .join(with_student, left_on="link_id", right_on="guardian_link_id", how="semi")
        .select("link_id")
    )


def _missing_columns(records: Records, stored: StoredRoster) -> list[str]:
    """A note on each missing column of which an active link holds a value."""
    from_here = stored.links.filter("from_this_source", "active")
    kept = {
        (kind, name)
        for kind, name in records.absent
        if kind in KINDS and name in from_here.columns and from_here.filter(kind=kind)[name].count()
    }
    if from_here.filter(kind=GUARDIAN)["guardian_ids"].count():
        kept.add((GUARDIAN, "external_id"))
    kept |= {("guardianship", name) for name in ("relationship", "type") if stored.guardianships[name].count()}
    return sorted({f"{words}, sent before, is missing" for field, words in records.absent.items() if field in kept})


def _with_gone(everyone: pl.DataFrame, pairs: pl.DataFrame, stored: StoredRoster) -> pl.DataFrame:
    """With gone: who left the organization, and stays gone; and claims_nothing: they, and whose students all did."""
    gone = stored.links.filter("gone")
    marked = everyone.with_columns(
        gone=pl.col("link_id").is_in(gone["link_id"].implode()).fill_null(False)
        | pl.col("joins_account").is_in(gone["account_id"].implode()).fill_null(False)
    )
    active = stored.links.filter("active")["link_id"].implode()
    students = marked.filter(
        (pl.col("kind") == STUDENT)
        & (pl.col("is_valid") | pl.col("link_id").is_in(active).fill_null(False))
        & ~pl.col("is_shared")
    )
    families = (
        pairs.join(students.select("gone", student_id="external_id"), on="student_id")
        .group_by("guardian")
        .agg(all_students_gone=pl.col("gone").all())
    )
    return (
        marked.join(families, on="guardian", how="left", maintain_order="left")
        .with_columns(claims_nothing=pl.col("gone") | pl.col("all_students_gone").fill_null(False))
        .drop("all_students_gone")
    )


def _with_emails(everyone: pl.DataFrame, stored: StoredRoster, seen: pl.Series) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Everybody with email, adopts, lost and is_valid once every contested email is decided; and the freed emails.

    Rule: who left the organization, and stays gone, claims no email and adopts nothing.
    """
    resolved = emails.resolve_email_owners(everyone.filter(~pl.col("claims_nothing")), stored, seen)
    others = everyone.filter("claims_nothing").select(
        "record", "is_valid", "email", adopts="joins_account", lost=pl.lit(False)
    )
    decided = pl.concat([resolved.records, others.select(resolved.records.columns)], how="vertical_relaxed")
    return everyone.drop("email", "is_valid").join(decided, on="record"), resolved.freed


def _everyone(people: pl.DataFrame, found: Guardians) -> pl.DataFrame:
    """All records in one frame, numbered (record) in order of what they are: what `contracts.emails` takes, and more.

    A guardian is provisioned for a student who is valid, or goes on as last applied: never for students who fall, nor
    for two people on one ID, of whom it is not known whose guardian it is.
    """
    students = people.filter(
        (pl.col("kind") == STUDENT) & (pl.col("is_valid") | pl.col("is_stored")) & ~pl.col("is_shared")
    )
    wanted = (
        found.pairs.join(students.select(student_id="external_id"), on="student_id", how="semi")
        .select("guardian", is_wanted=pl.lit(True))
        .unique()
    )
    content = pl.concat_str(
        *(pl.col(name).fill_null("") for name in ("last_name", "first_name", "phone", "email")), separator="\n"
    )
    of_guardians = found.people.join(wanted, on="guardian", how="left").with_columns(
        kind=pl.lit(GUARDIAN),
        role=pl.lit(GUARDIAN),
        content=content,
        is_wanted=pl.col("is_wanted").fill_null(False),
    )
    of_people = people.with_columns(content=pl.lit(""), is_rejected=~pl.col("is_valid"))
    added = (
        "guardian",
        "sis_id",
        "names_differ",
        "given_up",
        "content",
        "is_valid",
        "is_shared",
        "is_rejected",
        "is_wanted",
        "bad_birth_date",
        *(f"unread_{name}" for name in READ),
    )
    return (
        pl.concat([of_people, of_guardians], how="diagonal")
        .sort(_kind_order(), "external_id", "content", "guardian", nulls_last=True)
        .with_columns(record=pl.int_range(pl.len(), dtype=pl.UInt32))
        .select(
            "record",
            *(name for name in SETTLED_PEOPLE if name not in ("person", "adopts", "renumbered", "gone")),
            *added,
        )
    )


def _kind_order() -> pl.Expr:
    return pl.col("kind").replace_strict({kind: at for at, kind in enumerate(KINDS)}, return_dtype=pl.UInt8)


def _numbered(people: pl.DataFrame, stored: StoredRoster) -> pl.DataFrame:
    """With person, for the valid; stands_in, for the others the active link they go on as; and is_rejected."""
    active = stored.links.filter("active")["link_id"].implode()
    valid = people.filter("is_valid").sort("record").select("record", person=pl.int_range(pl.len(), dtype=pl.UInt32))
    return people.join(valid, on="record", how="left").with_columns(
        stands_in=pl.when(~pl.col("is_valid") & pl.col("link_id").is_in(active)).then("link_id"),
        is_rejected=pl.col("is_rejected") | (pl.col("lost") & ~pl.col("is_valid")),
    )


def _links_elsewhere(records: Records, stored: StoredRoster) -> pl.DataFrame:
    """The links (link_id, kind, external_id) of employees and students whose rows are all left out."""
    from_here = stored.links.filter("from_this_source").select("link_id", "kind", "external_id")
    return from_here.join(records.elsewhere, on=["kind", "external_id"], how="semi")


def _pairs(records: Records, found: Guardians) -> pl.DataFrame:
    """The pairs of guardian and student_id, with is_shared (two people are on the student's ID), student_is_known."""
    shared = records.people.filter("is_shared").filter(kind=STUDENT)["external_id"].implode()
    known = records.seen.filter(kind=STUDENT)["external_id"].implode()
    return found.pairs.with_columns(
        is_shared=pl.col("student_id").is_in(shared), student_is_known=pl.col("student_id").is_in(known)
    )


def _people_issues(
    records: Records,
    people: pl.DataFrame,
    pairs: pl.DataFrame,
    in_classes: pl.DataFrame,
    silent: pl.DataFrame,
    stored: StoredRoster,
) -> pl.DataFrame:
    """DRAFT_ISSUES of employees and students: what only shows once everything is settled.

    in_classes: as in `Related`. silent: as `_silent_guardians` gives it.
    """
    as_stored = stored.links.select(stands_in="link_id", stored_reach=_REACHABLE)
    guardians_reached = (
        people.filter(kind=GUARDIAN)
        .join(as_stored, on="stands_in", how="left")
        # The error of a rejected guardian says enough.
        .filter((pl.col("is_valid") & _REACHABLE) | pl.col("stored_reach").fill_null(False) | pl.col("is_rejected"))
        .select("guardian")
    )
    reached = pairs.join(guardians_reached, on="guardian", how="semi")["student_id"].unique().implode()
    staying = stored.guardianships.join(silent, left_on="guardian_link_id", right_on="link_id")
    reaching = staying.join(stored.links.filter(_REACHABLE), left_on="guardian_link_id", right_on="link_id", how="semi")
    keeps_guardians, keeps_reachable = (
        pl.col("link_id").is_in(kept["student_link_id"].unique().implode()).fill_null(False)
        for kept in (staying, reaching)
    )
    marked = (
        people.filter(pl.col("kind") != GUARDIAN)
        .join(in_classes.with_columns(has_class=pl.lit(True)), on=["kind", "external_id"], how="left")
        .with_columns(
            pl.col("has_class").fill_null(False),
            has_guardian=pl.col("external_id").is_in(pairs["student_id"].unique().implode()) | keeps_guardians,
            is_reachable=_REACHABLE | pl.col("external_id").is_in(reached) | keeps_reachable,
        )
    )
    broken = breaking(PEOPLE, marked).select(
        "code", "file", "line", table="kind", key="external_id", detail=pl.lit(None, pl.String)
    )
    return at_schools(broken, records.members.rename({"kind": "table", "external_id": "key"}))


def _guardian_issues(
    records: Records, people: pl.DataFrame, pairs: pl.DataFrame, found: Guardians, at: pl.DataFrame
) -> pl.DataFrame:
    """DRAFT_ISSUES of guardians, one for each guardian and code, at every school of their students.

    A guardian whose students are all unknown gets no other issue: no account would be created for them.
    """
    differing = [name for name in found.people.columns if name.startswith("differs_")]
    in_pairs = [name for name in pairs.columns if name.startswith("differs_")]
    columns = {
        **{name: called(records.names, GUARDIAN, name.removeprefix("differs_")) for name in differing},
        **{name: called(records.names, "guardianship", name.removeprefix("differs_")) for name in in_pairs},
    }
    conflicts = with_commas([pl.when(pl.col(name)).then(pl.lit(shown)) for name, shown in columns.items()])
    marked = (
        people.filter(kind=GUARDIAN)
        .join(found.people.select("guardian", *differing), on="guardian")
        .join(pairs.group_by("guardian").agg(pl.col(in_pairs).any()), on="guardian", how="left")
        .with_columns(conflicts=conflicts)
    )
    of_records = (
        breaking(GUARDIANS, marked)
        .join(pairs.filter("student_is_known"), on="guardian", how="semi")
        .select(
            "code",
            "file",
            "line",
            "guardian",
            record_id="external_id",
            detail=pl.when(code="duplicate_conflict").then("conflicts"),
        )
    )
    of_entries = _entry_issues(records, pairs, found).select(of_records.columns)
    return as_table(
        pl.concat([of_records, of_entries])
        .join(_schools_of_guardians(records, pairs, at), on="guardian", how="left")
        .with_columns(root_table=pl.lit(GUARDIAN), root=pl.col("guardian").cast(pl.String)),
        DRAFT_ISSUES,
    )


def _entry_issues(records: Records, pairs: pl.DataFrame, found: Guardians) -> pl.DataFrame:
    """code, file, line, guardian, record_id, detail: the issues of single entries of guardians, each code once."""
    is_known = pairs.filter("student_is_known")["guardian"].unique().implode()
    of_ids = called(records.names, GUARDIAN, "external_id")
    return (
        pl.concat([records.entry_issues, found.issues.with_columns(detail=pl.lit(of_ids))])
        .join(found.entries, on="entry")
        .filter((pl.col("code") == "record_not_shared") | pl.col("guardian").is_in(is_known))
        .join(records.entries.select("entry", "guardian_id"), on="entry")
        .join(found.people.select("guardian", "external_id"), on="guardian")
        .sort("file", "line")
        .unique(["code", "guardian"], keep="first", maintain_order=True)
        .with_columns(record_id=pl.coalesce("guardian_id", "external_id"))
    )


def _schools_of_guardians(records: Records, pairs: pl.DataFrame, at: pl.DataFrame) -> pl.DataFrame:
    """guardian, school_id: the schools of their students. at: as `whereabouts` gives it."""
    of_students = pl.concat(
        [
            records.members.filter(kind=STUDENT).select("external_id", "school_id"),
            at.filter(table=STUDENT).select(external_id="key", school_id="school_id"),
        ]
    )
    return (
        pairs.select("guardian", "student_id")
        .join(of_students, left_on="student_id", right_on="external_id")
        .select("guardian", "school_id")
        .unique()
    )


def _protected_pairs(
    records: Records, people: pl.DataFrame, pairs: pl.DataFrame, related: pl.DataFrame, silent: pl.DataFrame
) -> pl.DataFrame:
    """PROTECTED_PAIRS of who has a row that was not applied, unless only its school is not shared.

    silent: as `_silent_guardians` gives it.
    """
    unknown = records.unknown_schools.filter(not records.shares_part).select(
        kind="table", external_id="key", has_bad_row=pl.lit(True)
    )
    marked = people.join(unknown, on=["kind", "external_id"], how="left").with_columns(
        link_id=pl.coalesce("link_id", pl.when(~pl.col("is_valid")).then("given_up")),
        not_applied=~pl.col("is_valid") | pl.col("has_bad_row").fill_null(False),
    )
    bad_guardians = marked.filter("not_applied", kind=GUARDIAN)
    with_bad_guardian = pairs.join(bad_guardians, on="guardian", how="semi").select(external_id="student_id")
    students = marked.filter(kind=STUDENT)
    links = [
        ("school_members", marked.filter("not_applied").filter(pl.col("kind") != GUARDIAN)),
        ("guardianships", students.filter("not_applied")),
        ("guardianships", students.join(with_bad_guardian, on="external_id", how="semi")),
        ("guardianships", bad_guardians),
        ("guardianships", silent),
    ]
    frames = [
        frame.drop_nulls("link_id").select("link_id", table=pl.lit(table), class_id=None) for table, frame in links
    ]
    return (
        pl.concat([*(as_table(frame, PROTECTED_PAIRS) for frame in frames), related])
        .unique()
        .sort("table", "link_id", "class_id", nulls_last=True)
    )


def _locations(records: Records, found: Guardians) -> pl.DataFrame:
    """Every row of each record, as `Records.locations`; a guardian's key is their number, their rows the students'."""
    of_students = records.locations.filter(table=STUDENT).select("school_id", "file", "line").unique()
    of_guardians = found.entries.join(of_students, on=["file", "line"], how="left").select(
        "school_id", "file", "line", table=pl.lit(GUARDIAN), key=pl.col("guardian").cast(pl.String)
    )
    return pl.concat([records.locations, of_guardians.select(records.locations.columns)])


def _issues(records: Records, found: pl.DataFrame, dependents: pl.DataFrame, locations: pl.DataFrame) -> pl.DataFrame:
    """ISSUES: with the number of records that fall with each, and the row or rows as they came.

    Rule: without lines, what differs in nothing else is one issue.
    """
    counted = (
        _at_own_lines(found, locations)
        .join(dependents, on=["root_table", "root"], how="left")
        .with_columns(dependents=pl.when(_IS_ERROR).then("dependents").otherwise(None).fill_null(0))
    )
    issues = counted.join(_rows_as_they_came(records, counted), on=["file", "line"], how="left").join(
        _other_rows(records, counted, locations), on=_OF_ROWS, how="left", nulls_equal=True
    )
    if not records.has_lines:
        issues = issues.with_columns(line=None).unique()
    return as_table(issues, ISSUES).sort("code", "school_id", "file", "line", "record_id", "detail", nulls_last=True)


_OF_ROWS = ["code", "root_table", "root", "file", "line"]


def _is_one_of(kind: Callable[[Entry], bool]) -> pl.Expr:
    return pl.col("code").is_in([code for code, entry in CATALOGUE.items() if kind(entry)])


_IS_ABOUT_ROWS = _is_one_of(lambda entry: entry.is_about_rows)
_IS_ERROR = _is_one_of(lambda entry: entry.severity == Severity.ERROR)


def _without_followers(found: pl.DataFrame, people: pl.DataFrame, classes: pl.DataFrame) -> pl.DataFrame:
    """DRAFT_ISSUES without the alerts of records that an error keeps from being created: they are dependents of it.

    people, classes: the valid ones.
    """
    of_record = ["root_table", "root"]
    valid = pl.concat(
        [
            people.select(root_table="kind", root=pl.coalesce(pl.col("guardian").cast(pl.String), "external_id")),
            classes.select(root_table=pl.lit("class"), root="external_id"),
        ]
    )
    failed = found.filter(_IS_ERROR).drop_nulls("root").select(of_record).unique().join(valid, on=of_record, how="anti")
    return pl.concat([found.filter(_IS_ERROR), found.filter(~_IS_ERROR).join(failed, on=of_record, how="anti")])


def _at_own_lines(found: pl.DataFrame, locations: pl.DataFrame) -> pl.DataFrame:
    """The issues, those about all rows of a record at each school's own first line of it."""
    of_record = ["root_table", "root", "file"]
    named = locations.rename({"table": "root_table", "key": "root"})
    own = named.group_by(*of_record, "school_id").agg(own_line=pl.col("line").min())
    placed = found.join(own, on=[*of_record, "school_id"], how="left")
    return placed.with_columns(line=pl.when(_IS_ABOUT_ROWS).then(pl.coalesce("own_line", "line")).otherwise("line"))


def _rows_as_they_came(records: Records, locations: pl.DataFrame) -> pl.DataFrame:
    """file, line, row: the rows at these locations (file, line) as JSON objects."""
    wanted = locations.select("file", "line").unique()
    texts = [
        came.join(wanted.filter(file=file), on="line", how="semi").select(
            "line", file=pl.lit(file), row=pl.struct(pl.exclude("line")).struct.json_encode()
        )
        for file, came in records.rows.items()
    ]
    nothing = pl.DataFrame(schema={"line": pl.UInt32, "file": pl.String, "row": pl.String})
    return pl.concat([nothing, *texts])


def _other_rows(records: Records, issues: pl.DataFrame, locations: pl.DataFrame) -> pl.DataFrame:
    """_OF_ROWS and other_rows: the other rows of an issue's record in its file, and those that are the same."""
    wanted = issues.drop_nulls("root").select(_OF_ROWS).unique()
    of_record = locations.select("file", root_table="table", root="key", other_line="line").unique()
    repeated = issues.filter(code="duplicate_row").select(_OF_ROWS).unique()
    same = [repeated.join(_same_rows(came, repeated, file), on=["file", "line"]) for file, came in records.rows.items()]
    others = (
        pl.concat([wanted.join(of_record, on=["root_table", "root", "file"]), *same], how="diagonal")
        .filter(pl.col("line") != pl.col("other_line"))
        .unique()
    )
    came = _rows_as_they_came(records, others.select("file", line="other_line"))
    listed = others.join(came.rename({"line": "other_line"}), on=["file", "other_line"]).sort("other_line")
    line = pl.col("other_line").cast(pl.String) if records.has_lines else pl.lit("")
    return listed.group_by(_OF_ROWS).agg(other_rows=pl.format("{}\t{}", line, "row").str.join("\n"))


def _same_rows(came: pl.DataFrame, repeated: pl.DataFrame, file: str) -> pl.DataFrame:
    """file, line, other_line: rows of a file that are the same as one of those repeated."""
    columns = [name for name in came.columns if name != "line"]
    some = came.join(repeated.filter(file=file), on="line", how="semi")
    pairs = some.join(came.rename({"line": "other_line"}), on=columns, nulls_equal=True)
    return pairs.select("line", "other_line", file=pl.lit(file))
