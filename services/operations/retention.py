"""Retention: who has been archived for so long that they are anonymized, and what that empties.

Rule: after a number of months, names, email, phone, birth date, grade and language of an archived person are emptied,
in account and link, and everywhere else they are kept; the source's IDs become keyed hashes, by which a return is
recognized. Keys of ours, roles, dates and counts stay, and so do the pairs, which are nobody's without the names. What
came for a source that has sent nothing for as long goes too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl
from sqlmodel import Session

from contracts.formats import FORMATS
from contracts.roster import Schema
from errors import SetupError
from models import bulk
from services.planning.recognition import IdSecret, fingerprints
from services.status.record_issues import whose

SOON = timedelta(days=30)
PERSONAL = ("first_name", "last_name", "email", "phone", "phone_extension", "birth_date", "grade", "language")
EVIDENCE = ("name", "record_id", "counterpart_id", "new_id", "before", "after")

_ARCHIVED: Schema = {"id": pl.String, "account_id": pl.String, "archived_at": bulk.MOMENT}
_LINKS: Schema = {
    "id": pl.String,
    "source_id": pl.String,
    "format": pl.String,
    "kind": pl.String,
    "external_id": pl.String,
    "guardian_ids": pl.String,
}
_HOLDS_SOMETHING = " OR ".join(f"{{0}}.{name} IS NOT NULL" for name in PERSONAL)
_ARCHIVED_LINKS = f"""
SELECT l.id, l.account_id, l.archived_at FROM link l JOIN source s ON s.id = l.source_id
WHERE s.district_id = :district AND l.archived_at IS NOT NULL
AND (l.external_id IS NOT NULL OR l.guardian_ids IS NOT NULL OR {_HOLDS_SOMETHING.format("l")})
"""
_ARCHIVED_ACCOUNTS = f"""
SELECT a.id, a.id AS account_id, a.archived_at FROM account a
WHERE a.archived_at IS NOT NULL AND ({_HOLDS_SOMETHING.format("a")})
AND (a.district_id = :district OR a.id IN
    (SELECT l.account_id FROM link l JOIN source s ON s.id = l.source_id WHERE s.district_id = :district))
"""
_WHOSE = """
SELECT l.id, l.source_id, s.format, l.kind, l.external_id, l.guardian_ids
FROM link l JOIN source s ON s.id = l.source_id WHERE s.district_id = :district AND {0}
"""


@dataclass(frozen=True)
class Policy:
    """The retention of archived people: months, and the secret that their IDs are hashed with."""

    months: int
    secret: IdSecret


@dataclass(frozen=True)
class Due:
    """How many archived people of a district are, or will be, anonymized. next_at: when the next ones are due."""

    district_id: str
    archived: int
    anonymized: int
    now: int
    soon: int
    next_at: datetime | None


def due(session: Session, district_id: str, *, months: int, now: datetime) -> Due:
    """What is due in a district, and when: people are counted by their links, and accounts without one."""
    found = _people(session, district_id, months)
    waiting = found.filter(pl.col("due_at") > now)
    done = bulk.read(
        session,
        "SELECT count(*) AS many FROM link l JOIN source s ON s.id = l.source_id"
        " WHERE s.district_id = :district AND l.id_hashes IS NOT NULL",
        {"district": district_id},
        {"many": pl.Int64},
    ).item()
    return Due(
        district_id,
        archived=found.height + done,
        anonymized=done,
        now=found.height - waiting.height,
        soon=waiting.filter(pl.col("due_at") <= now + SOON).height,
        next_at=waiting["due_at"].min(),  # type: ignore[arg-type]
    )


def _people(session: Session, district_id: str, months: int) -> pl.DataFrame:
    """due_at of each archived person who is not anonymized yet."""
    links = _archived(session, _ARCHIVED_LINKS, district_id, months)
    accounts = _archived(session, _ARCHIVED_ACCOUNTS, district_id, months)
    return pl.concat([links, accounts.join(links, on="account_id", how="anti")]).select("due_at")


def _archived(session: Session, sql: str, district_id: str, months: int) -> pl.DataFrame:
    return bulk.read(session, sql, {"district": district_id}, _ARCHIVED).with_columns(
        due_at=pl.col("archived_at").dt.offset_by(f"{months}mo")
    )


def anonymize(session: Session, district_id: str, policy: Policy, *, now: datetime) -> int:
    """Anonymize whom it is due for in a district, in the caller's transaction; give how many people.

    Raises:
        SetupError: IDs were hashed with another secret before.
    """
    months, secret = policy.months, policy.secret
    links = _archived(session, _ARCHIVED_LINKS, district_id, months).filter(pl.col("due_at") <= now)
    accounts = _archived(session, _ARCHIVED_ACCOUNTS, district_id, months).filter(pl.col("due_at") <= now)
    _forget_received(session, district_id, months, now)
    if links.is_empty() and accounts.is_empty():
        return 0
    of_links, parameters = bulk.in_list(session, "l.id", links["id"])
    people = bulk.read(session, _WHOSE.format(of_links), {"district": district_id, **parameters}, _LINKS)
    _refuse_other_secret(session, district_id, secret)
    _forget_issues(session, people)
    _forget_evidence(session, district_id, people, pl.concat([links, accounts])["account_id"].unique())
    condition, parameters = bulk.in_list(session, "link_id", links["id"])
    bulk.execute(session, f"DELETE FROM acceptance WHERE {condition}", parameters)
    # Accounts in order of ID, as a sync locks them; whoever returned meanwhile stays.
    condition, parameters = bulk.in_list(session, "id", accounts["id"])
    locking = bulk.locking(session, "UPDATE")
    if locking:
        bulk.execute(session, f"SELECT id FROM account WHERE {condition} ORDER BY id{locking}", parameters)
    emptied = ", ".join(f"{name} = NULL" for name in PERSONAL)
    bulk.execute(session, f"UPDATE account SET {emptied} WHERE {condition} AND archived_at IS NOT NULL", parameters)
    hashed = people.select(
        "id", id_hashes=pl.Series([_hashes(row, secret) for row in people.to_dicts()], dtype=pl.String)
    )
    emptied_links = hashed.with_columns(
        pl.lit(None, pl.Date if name == "birth_date" else pl.String).alias(name)
        for name in (*PERSONAL, "external_id", "guardian_ids")
    )
    bulk.update_columns(session, "link", emptied_links)
    return links.height + accounts.join(links, on="account_id", how="anti").height


def _ids(row: dict[str, Any]) -> list[str]:
    return [one for one in dict.fromkeys([row["external_id"], *(row["guardian_ids"] or "").split("\n")]) if one]


def _hashes(row: dict[str, Any], secret: IdSecret) -> str:
    # Empty, and not null: it is anonymized, though it had given up its ID.
    return "\n".join(secret.hashed(row["source_id"], row["kind"], one) for one in _ids(row))


def _refuse_other_secret(session: Session, district_id: str, secret: IdSecret) -> None:
    sources = bulk.read(
        session, "SELECT id FROM source WHERE district_id = :district", {"district": district_id}, {"id": pl.String}
    )["id"]
    if fingerprints(session, sources.to_list()) - {secret.fingerprint, ""}:
        raise SetupError(
            "nobody is anonymized, as IDs were hashed with another secret before, and those people would no longer be"
            f" recognized: put back ROLLCALL_ID_SECRET, or the file {secret.file}; every machine needs the same one"
        )


def _forget_issues(session: Session, people: pl.DataFrame) -> None:
    """Delete the issues of these people's records."""
    for (source_id, form), of_source in people.group_by("source_id", "format"):
        known = {(row["kind"], one) for row in of_source.to_dicts() for one in _ids(row)}
        condition, parameters = bulk.in_list(session, "record_id", [one for _, one in known])
        found = bulk.read(
            session,
            f'SELECT id, code, file, record_id, "row" FROM issue WHERE source_id = :source AND {condition}',
            {"source": source_id, **parameters},
            {"id": pl.Int64, "code": pl.String, "file": pl.String, "record_id": pl.String, "row": pl.String},
        )
        theirs = [
            row["id"]
            for row in found.to_dicts()
            if (whose(FORMATS[str(form)], row, json.loads(row["row"] or "{}")), row["record_id"]) in known
        ]
        condition, parameters = bulk.in_list(session, "id", theirs)
        bulk.execute(session, f"DELETE FROM issue WHERE {condition}", parameters)


def _forget_evidence(session: Session, district_id: str, people: pl.DataFrame, accounts: pl.Series) -> None:
    """Empty what holds show of these people. The keys, of ours, stay: decisions are compared by them."""
    items = bulk.read(
        session,
        "SELECT i.id, i.key, i.record_id, i.counterpart_id FROM hold_item i JOIN hold h ON h.id = i.hold_id"
        " JOIN school s ON s.id = h.school_id WHERE s.district_id = :district",
        {"district": district_id},
        {"id": pl.Int64, "key": pl.String, "record_id": pl.String, "counterpart_id": pl.String},
    )
    ours, theirs = set(accounts), {one for row in people.to_dicts() for one in _ids(row)}
    about = {row["id"]: "\t" in row["key"] for row in items.to_dicts() if _names(row, ours, theirs)}
    emptied = ", ".join(f"{name} = NULL" for name in EVIDENCE)
    # The key of a contact is made of the source's IDs.
    for statement, by_their_ids in ((f"UPDATE hold_item SET {emptied}", False), ("DELETE FROM hold_item", True)):
        condition, parameters = bulk.in_list(
            session, "id", [one for one, does in about.items() if does is by_their_ids]
        )
        bulk.execute(session, f"{statement} WHERE {condition}", parameters)


def _names(item: dict[str, Any], ours: set[str], theirs: set[str]) -> bool:
    parts: Iterable[str] = item["key"].split("\t") if "\t" in item["key"] else item["key"].split(" ")
    is_contact = "\t" in item["key"]
    return not (theirs if is_contact else ours).isdisjoint(parts)


def _forget_received(session: Session, district_id: str, months: int, now: datetime) -> None:
    """Empty the rows that issues and file errors show of sources that have sent nothing for as long."""
    for source_id in _silent(session, district_id, months, now):
        bulk.execute(
            session, 'UPDATE issue SET "row" = NULL, other_rows = NULL WHERE source_id = :source', {"source": source_id}
        )
        bulk.execute(session, 'UPDATE file_error SET "row" = NULL WHERE source_id = :source', {"source": source_id})


def _silent(session: Session, district_id: str, months: int, now: datetime) -> Iterator[str]:
    sources = bulk.read(
        session,
        "SELECT id, last_received_at FROM source WHERE district_id = :district AND last_received_at IS NOT NULL",
        {"district": district_id},
        {"id": pl.String, "last_received_at": bulk.MOMENT},
    )
    silent = sources.filter(pl.col("last_received_at").dt.offset_by(f"{months}mo") <= now)
    yield from silent["id"]
