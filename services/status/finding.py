"""Finding a person or class of a school by name, email, phone or ID, and records that never became an account.

Rule: only whoever is or was at the school is looked at, a few thousand rows by an index, however many accounts there
are. Names are found by the beginnings of their words, without regard to case and accents; IDs and emails by their
beginnings, an ID also without its leading zeros; phones by digits that follow each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl
from sqlmodel import Session

from contracts import values
from contracts.issues import Entry
from contracts.roster import GUARDIAN, Schema
from contracts.text import clean
from models import bulk
from models.tables import School
from services.status import record_issues
from services.status.record_issues import CLASS, CLASS_UNKNOWN, ENROLLMENT, RecordIssue

MOST, SHORTEST, PHONE_DIGITS = 50, 2, 4


@dataclass(frozen=True)
class Found:
    """One result. id: the link's or class's; None for a record that never became one. kind: a person's, class, or
    enrollment of an ID that no record has. issues: why it was rejected."""

    kind: str
    id: str | None
    name: str
    record_id: str | None
    role: str | None = None
    is_here: bool = True
    issues: tuple[Entry, ...] = ()


@dataclass(frozen=True)
class Results:
    """What was found, rejected records first, then who is here; at most MOST. more: how many others there are."""

    found: tuple[Found, ...] = ()
    more: int = 0


_LINKS: Schema = {
    "id": pl.String,
    "kind": pl.String,
    "role": pl.String,
    "external_id": pl.String,
    "guardian_ids": pl.String,
    "first_name": pl.String,
    "last_name": pl.String,
    "email": pl.String,
    "phone": pl.String,
    "is_here": pl.Boolean,
}
_CLASSES: Schema = {"id": pl.String, "external_id": pl.String, "name": pl.String, "is_here": pl.Boolean}
_LINK = "l.id, l.kind, l.role, l.external_id, l.guardian_ids, l.first_name, l.last_name, l.email, l.phone"
_MEMBERS = f"""
SELECT {_LINK}, m.active FROM school_membership m JOIN link l ON l.id = m.link_id
WHERE m.school_id = :school AND l.id_hashes IS NULL AND {{may_be}}
"""
# Guardians are where their students are.
_GUARDIANS = f"""
SELECT {_LINK}, h.here = 1 FROM (
    SELECT p.guardian_link_id AS id, max(CASE WHEN m.active AND p.active THEN 1 ELSE 0 END) AS here
    FROM school_membership m JOIN guardianship p ON p.student_link_id = m.link_id
    WHERE m.school_id = :school GROUP BY p.guardian_link_id
) h JOIN link l ON l.id = h.id WHERE l.id_hashes IS NULL AND {{may_be}}
"""


def find(session: Session, school: School, query: str, *, whole_district: bool) -> Results:
    """What a query names at a school. whole_district: records of no known school too."""
    wanted = clean(query)
    if len(wanted) < SHORTEST:
        return Results()
    parameters = {"school": school.id}
    may_be, patterns = _may_be(session, wanted)
    candidates = pl.concat(
        [
            bulk.read(session, sql.format(may_be=may_be), {**parameters, **patterns}, _LINKS)
            for sql in (_MEMBERS, _GUARDIANS)
        ]
    ).with_columns(name=values.full_name())
    others = _is_id(wanted) | _is_of(wanted)
    people = candidates.filter(_has_words(pl.col("name"), wanted) | others).unique("id")
    sql = "SELECT id, external_id, name, archived_at IS NULL FROM class WHERE school_id = :school"
    classes = bulk.read(session, sql, parameters, _CLASSES)
    classes = classes.filter(_has_words(pl.col("name"), wanted) | _is_id(wanted))
    hits = (
        pl.concat([people, classes.with_columns(kind=pl.lit(CLASS))], how="diagonal")
        .with_columns(exact=_is_exact(wanted), lower=pl.col("name").str.to_lowercase())
        .sort("exact", "is_here", "lower", "id", descending=[True, True, False, False])
    )
    rejected = _rejected(session, school, wanted, whole_district)
    found = [
        Found(
            row["kind"],
            row["id"],
            row["name"],
            known_id(row["kind"], row["external_id"], row["guardian_ids"]),
            row["role"],
            row["is_here"],
        )
        for row in hits.head(MOST).to_dicts()
    ]
    total = len(rejected) + hits.height
    return Results((*rejected, *found)[:MOST], max(0, total - MOST))


def _may_be(session: Session, wanted: str) -> tuple[str, dict[str, str]]:
    """A first choice by the database, without folding: the condition for links, and its parameters.

    Rule: it leaves out nobody whom the query names. A name with other letters than ASCII's is always among them.
    """
    name = "(coalesce(l.first_name, '') || ' ' || coalesce(l.last_name, ''))"
    # Any one character where the database may compare otherwise than we do.
    key = "".join(each if each.isascii() and each != "\\" else "_" for each in wanted.casefold())
    # Without the zeros in front, as an ID may be written without them.
    digits = "".join(each for each in wanted if each.isdigit()).lstrip("0")
    patterns = {"word": f"%{max(words_of(wanted), key=len, default='')}%", "key": f"%{key}%", "digits": f"%{digits}%"}
    conditions = [
        f"NOT ({bulk.is_ascii(session, name)})",
        f"lower({name}) LIKE :word",
        "lower(l.external_id) LIKE :key",
        "lower(l.guardian_ids) LIKE :key",
        "lower(l.email) LIKE :key",
    ]
    if digits:
        conditions += ["l.external_id LIKE :digits", "l.phone LIKE :digits"]
    else:
        del patterns["digits"]
    return f"({' OR '.join(conditions)})", patterns


def known_id(kind: str, external_id: str | None, guardian_ids: str | None) -> str | None:
    """The ID as the source knows it, or all of a guardian's; one that was drawn tells nobody anything."""
    return ((guardian_ids or "").replace("\n", ", ") or None) if kind == GUARDIAN else external_id


def words_of(text: str) -> list[str]:
    """A text's words, folded as names are compared."""
    folded = pl.select(values.words(pl.lit(text, pl.String))).item()
    return folded.split() if folded else []


def _may_have_words(text: pl.Expr, wanted: str) -> pl.Expr:
    """A quick first choice for `_has_words`, which folds: whatever has the words as they are, or letters to fold."""
    lower = text.str.to_lowercase()
    has_all = pl.all_horizontal(pl.lit(True), *[lower.str.contains(word, literal=True) for word in words_of(wanted)])
    return (has_all | (text.str.len_chars() != text.str.len_bytes())).fill_null(False)


def _has_words(text: pl.Expr, wanted: str) -> pl.Expr:
    words = words_of(wanted)
    padded = pl.lit(" ") + values.words(text).fill_null("")
    return pl.all_horizontal(pl.lit(bool(words)), *[padded.str.contains(f" {word}", literal=True) for word in words])


def _is_id(wanted: str) -> pl.Expr:
    key = wanted.casefold()
    ids = pl.col("external_id").str.to_lowercase()
    number = key.lstrip("0") if key.isdigit() else ""
    same_number = (ids.str.strip_chars_start("0") == number) & pl.lit(bool(number))
    return (ids.str.starts_with(key) | same_number).fill_null(False)


def _is_of(wanted: str) -> pl.Expr:
    """Whether an ID of a guardian, an email or a phone is the one that is wanted."""
    key, digits = wanted.casefold(), "".join(each for each in wanted if each.isdigit())
    ids = pl.lit("\n") + pl.col("guardian_ids").str.to_lowercase()
    found = ids.str.contains(f"\n{key}", literal=True).fill_null(False)
    found |= pl.col("email").str.starts_with(key).fill_null(False)
    if len(digits) >= PHONE_DIGITS and not any(each.isalpha() for each in wanted):
        found |= pl.col("phone").str.contains(digits, literal=True).fill_null(False)
    return found


def _is_exact(wanted: str) -> pl.Expr:
    exact = [pl.col(name).str.to_lowercase() == wanted.casefold() for name in ("external_id", "email")]
    return pl.any_horizontal(each.fill_null(False) for each in exact)


def _rejected(session: Session, school: School, wanted: str, whole_district: bool) -> list[Found]:
    """The records with an error that a query names, and that no account or class is of."""
    errors = record_issues.stored(
        session, school, whole_district=whole_district, codes=sorted(set(record_issues.ERRORS) - {CLASS_UNKNOWN})
    )
    digits = "".join(each for each in wanted if each.isdigit())
    # The values of a row, without the names of its columns.
    came = pl.col("row").str.replace_all(r'"(\\.|[^"\\])*":', " ")
    by_phone = pl.lit(False)
    if len(digits) >= PHONE_DIGITS and not any(each.isalpha() for each in wanted):
        by_phone = came.str.replace_all(r"[^0-9]", "").str.contains(digits, literal=True).fill_null(False)
    text = pl.concat_str("record_id", came, separator=" ", ignore_nulls=True)
    others = _is_id(wanted) | by_phone
    candidates = errors.with_columns(text.alias("text"), external_id="record_id").filter(
        _may_have_words(pl.col("text"), wanted) | others
    )
    hits = candidates.filter(_has_words(pl.col("text"), wanted) | others)
    issues = record_issues.read(record_issues.format_of(session, school.source_id), hits.head(4 * MOST).to_dicts())
    records: dict[tuple[str, str | None, str], list[RecordIssue]] = {}
    for issue in issues:
        # What a guardian's row says of a child is no word of theirs.
        if issue.kind != GUARDIAN or _is_told(issue, wanted, digits):
            records.setdefault((issue.kind, issue.record_id, issue.name), []).append(issue)
    known = of_accounts(session, school, [record_id for _, record_id, _ in records if record_id is not None])
    return [
        Found(kind, None, name, record_id, is_here=False, issues=tuple(dict.fromkeys(each.entry for each in found)))
        for (kind, record_id, name), found in records.items()
        if (kind, record_id) not in known
        and not (kind == ENROLLMENT and {(each, record_id) for each in _PEOPLE} & known)
    ]


_PEOPLE = ("employee", "student")


def _is_told(issue: RecordIssue, wanted: str, digits: str) -> bool:
    text = " ".join([*issue.given.values(), issue.record_id or ""])
    padded = " " + " ".join(words_of(text))
    number = "".join(each for each in text if each.isdigit())
    return all(f" {word}" in padded for word in words_of(wanted)) or (len(digits) >= PHONE_DIGITS and digits in number)


def of_accounts(session: Session, school: School, record_ids: Iterable[str]) -> set[tuple[str, str | None]]:
    """Which of these IDs are of a link of the school's source, or of a class of the school: (kind, ID)."""
    condition, parameters = bulk.in_list(session, "external_id", list(record_ids))
    found = bulk.read(
        session,
        f"SELECT kind, external_id FROM link WHERE source_id = :source AND {condition}"
        " AND kind IN ('employee', 'student', 'guardian')"
        f" UNION SELECT '{CLASS}', external_id FROM class"
        f" WHERE source_id = :source AND school_id = :school AND {condition}",
        {"source": school.source_id, "school": school.id, **parameters},
        {"kind": pl.String, "external_id": pl.String},
    )
    return set(found.iter_rows())
