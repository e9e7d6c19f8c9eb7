"""Erasing a district, a school's data or a person: which rows that is of which table, and what else holds them.

Rule: whoever is also another district's keeps what that district holds; an account's values that only came from here
are replaced by the other's. The audit log stays: it names who looked and decided, and nobody of a roster. For a school
or a person, everything that was received of their sources goes too, as it cannot be told apart; the next complete
delivery brings back what is not erased.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from sqlmodel import Session

from contracts.roster import Schema
from errors import NotFound, NotPossible, TransientError
from models import bulk
from models.database import Database
from services.access import audit
from services.districts import find_school, get_district
from services.intake.landing_area import LandingArea
from services.operations.retention import PERSONAL
from services.planning.recognition import IdSecret
from services.sync import leases
from services.version import VERSION

LINKS, ACCOUNTS = "link", "account"
KEPT = frozenset({"audit_entry", "openid_request"})  # the latter hold nothing, and end within a day

_LINKS: Schema = {
    "id": pl.String,
    "account_id": pl.String,
    "source_id": pl.String,
    "external_id": pl.String,
    "guardian_ids": pl.String,  # one a line
    "active": pl.Boolean,
}
_VALUES: Schema = {name: pl.Date if name == "birth_date" else pl.String for name in PERSONAL}
_OF_DISTRICT = "SELECT id FROM {} WHERE district_id = :district"
_SOURCES, _SCHOOLS, _RUNS = (_OF_DISTRICT.format(table) for table in ("source", "school", "run"))
_HOLDS = f"SELECT id FROM hold WHERE school_id IN ({_SCHOOLS})"
_PAIRS = (
    ("acceptance", "{links:link_id}"),
    ("guardianship", "{links:student_link_id} OR {links:guardian_link_id}"),
    ("class_membership", "{links:link_id}"),
    ("school_membership", "{links:link_id}"),
)
# What the tables of a whole district are deleted by, those first that refer to others. {links:…}: of one to be erased.
_DISTRICT = (
    ("webhook_call", f"webhook_id IN ({_OF_DISTRICT.format('webhook')})"),
    ("webhook", "district_id = :district"),
    ("acceptance", f"decision_id IN (SELECT id FROM decision WHERE hold_id IN ({_HOLDS})) OR {{links:link_id}}"),
    ("decision", f"hold_id IN ({_HOLDS})"),
    ("hold_item", f"hold_id IN ({_HOLDS})"),
    ("hold_reason", f"hold_id IN ({_HOLDS})"),
    ("notice", "district_id = :district"),
    ("digest", "district_id = :district"),
    ("mail", "district_id = :district"),
    ("hold", f"school_id IN ({_SCHOOLS})"),
    ("status_change", f"school_id IN ({_SCHOOLS})"),
    ("alert_mute", f"school_id IN ({_SCHOOLS})"),
    ("record_change", f"school_id IN ({_SCHOOLS})"),
    ("school_run", f"run_id IN ({_RUNS}) OR school_id IN ({_SCHOOLS})"),
    ("issue", f"source_id IN ({_SOURCES})"),
    ("file_error", f"source_id IN ({_SOURCES})"),
    ("queued_source", f"source_id IN ({_SOURCES})"),
    *_PAIRS[1:2],
    ("class_membership", f"{{links:link_id}} OR class_id IN (SELECT id FROM class WHERE school_id IN ({_SCHOOLS}))"),
    ("school_membership", f"{{links:link_id}} OR school_id IN ({_SCHOOLS})"),
    ("class", f"school_id IN ({_SCHOOLS})"),
    (LINKS, "{links:id}"),
    (ACCOUNTS, "{accounts:id}"),
    ("run", "district_id = :district"),
    ("delivery", f"source_id IN ({_SOURCES})"),
    ("pause", "district_id = :district"),
    ("access_token", "district_id = :district"),
    *((table, "{emails:email}") for table in ("report_session", "sign_in_link", "openid_identity")),
    ("school", "district_id = :district"),
    ("source", "district_id = :district"),
    ("district", "id = :district"),
)
_OF_SCHOOL = "school_id = :school"
_HOLDS_HERE = f"SELECT id FROM hold WHERE {_OF_SCHOOL}"
_RECEIVED = (("issue", "{sources:source_id}"), ("file_error", "{sources:source_id}"))
_SCHOOL = (
    ("webhook_call", f"change_id IN (SELECT id FROM status_change WHERE {_OF_SCHOOL})"),
    ("acceptance", f"decision_id IN (SELECT id FROM decision WHERE hold_id IN ({_HOLDS_HERE})) OR {{links:link_id}}"),
    ("decision", f"hold_id IN ({_HOLDS_HERE})"),
    ("hold_item", f"hold_id IN ({_HOLDS_HERE}) OR {{items:id}}"),
    ("hold_reason", f"hold_id IN ({_HOLDS_HERE})"),
    ("notice", _OF_SCHOOL),
    ("hold", _OF_SCHOOL),
    ("status_change", _OF_SCHOOL),
    ("alert_mute", _OF_SCHOOL),
    ("record_change", f"{_OF_SCHOOL} OR school_id IN ({_SCHOOLS}) AND {{gone:subject_id}}"),
    ("school_run", _OF_SCHOOL),
    *_RECEIVED,
    *_PAIRS[1:2],
    ("class_membership", f"{{links:link_id}} OR class_id IN (SELECT id FROM class WHERE {_OF_SCHOOL})"),
    ("school_membership", f"{{links:link_id}} OR {_OF_SCHOOL}"),
    ("class", _OF_SCHOOL),
    (LINKS, "{links:id}"),
    (ACCOUNTS, "{accounts:id}"),
)
_PERSON = (
    ("hold_item", "{items:id}"),
    ("record_change", f"school_id IN ({_SCHOOLS}) AND {{gone:subject_id}}"),
    *_RECEIVED,
    *_PAIRS,
    (LINKS, "{links:id}"),
    (ACCOUNTS, "{accounts:id}"),
)


@dataclass(frozen=True)
class Target:
    """What is to be erased: a district, or of it a school's data (by its key), or a person (by an ID of theirs)."""

    district_id: str
    school: str | None = None
    person: str | None = None


@dataclass(frozen=True)
class Storage:
    """What holds data beside the database. mails: None where mail goes to a server. copies: of an embedded database."""

    landing: LandingArea
    copies: Path | None = None
    mails: Path | None = None


@dataclass(frozen=True)
class Erased:
    """What is, or would be, erased: rows by table; deliveries whose files go, copies of the database, and mail files.

    shared: accounts that stay, as another district has them too. synced: the source still brings them.
    """

    rows: Mapping[str, int]
    people: int
    shared: int
    deliveries: int
    copies: int
    mails: int
    synced: bool = False


@dataclass(frozen=True)
class _Found:
    """The rows that a target is: IDs by what a condition calls them, and the statements."""

    statements: Sequence[tuple[str, str]]
    ids: Mapping[str, pl.Series] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    synced: bool = False


def look(database: Database, target: Target, storage: Storage) -> Erased:
    """What erasing would delete, counted. Changes nothing.

    Raises:
        NotFound: there is no such district, school or person.
        NotPossible: an ID is of several people.
    """
    with database.reading() as session:
        found = _find(session, target)
        rows = {table: 0 for table, _ in found.statements}
        for table, condition in found.statements:
            sql, parameters = _condition(session, condition, found)
            rows[table] += int(
                bulk.read(session, f"SELECT count(*) FROM {table} WHERE {sql}", parameters, {"many": pl.Int64}).item()
            )
        return _counted(session, found, rows, storage)


def erase(database: Database, target: Target, storage: Storage, *, by: str, now: datetime) -> Erased:
    """Erase a target: files first, then rows in one transaction, in which no run of the district can start.

    The space they took is given back by `models.database.compact`, which the caller runs after it.

    Raises:
        Busy: a run is syncing the district.
        NotFound, NotPossible: as `look`.
        TransientError: files cannot be removed; no row was deleted. The same again finishes it.
    """
    with database.transaction() as session:
        leases.hold_district(session, target.district_id, now)
        found = _find(session, target)
        done = _counted(session, found, {}, storage)
        _lock_accounts(session, found.ids["gone"])
        _remove_files(session, found, storage, whole=target.school is None and target.person is None)
        _release_accounts(session, found, now)
        rows = {table: 0 for table, _ in found.statements}
        for table, condition in found.statements:
            sql, parameters = _condition(session, condition, found)
            rows[table] += bulk.execute(session, f"DELETE FROM {table} WHERE {sql}", parameters)
        audit.record(
            session,
            audit.Action.ERASED,
            actor=by,
            at=now,
            district_id=target.district_id,
            school_id=f"{target.district_id}/{target.school}" if target.school is not None else None,
            detail=f"{done.people} people",
        )
        return Erased(rows, done.people, done.shared, done.deliveries, done.copies, done.mails, done.synced)


def rows_of(session: Session, district_id: str) -> dict[str, tuple[str, dict[str, object]]]:
    """By table, the condition of a district's rows and its parameters; accounts that others have too are left out.

    Sessions and sign-ins of its administrators are left out; what the audit log has of it is not.

    Raises:
        NotFound: there is no such district.
    """
    found = _find(session, Target(district_id))
    whose = {
        table: _condition(session, condition, found)
        for table, condition in found.statements
        if "{emails:" not in condition
    }
    return {**whose, "audit_entry": ("district_id = :district", {"district": district_id})}


def certificate(target: Target, name: str, done: Erased, *, by: str, now: datetime, secret: IdSecret) -> str:
    """The text of the certificate: what was erased, when, by whom, and how much; nobody's data.

    name: the district's. A person is named by the keyed hash of the ID that was given, which the installation can make
    again.
    """
    what = f"district {target.district_id} ({name})"
    if target.school is not None:
        what = f"the data of school {target.school} of {what}"
    if target.person is not None:
        hashed = secret.hashed(target.district_id, "erased", target.person)
        what = f"one person of {what}, with those guardians who were nobody else's; keyed hash of the ID: {hashed}"
    counts = [(f"rows of {table}", many) for table, many in done.rows.items() if many]
    counts += [("deliveries' files", done.deliveries), ("copies of the database", done.copies), ("mails", done.mails)]
    lines = [
        "Certificate of erasure",
        "",
        f"What: {what}",
        f"When: {now.astimezone(UTC).isoformat(timespec='seconds')}",
        f"By: {by}",
        f"With: Rollcall {VERSION}",
        "",
        "Deleted, and overwritten in the database's files:",
        *(f"{many:>14,}  {of_what}" for of_what, many in counts),
        "",
        f"Accounts of people that were only here: {done.people - done.shared:,}",
        f"Accounts that stay with what others hold of them: {done.shared:,}",
        "",
        *NOT_REACHED,
        "",
    ]
    text = "\n".join(lines)
    return f"{text}SHA-256 of the lines above: {hashlib.sha256(text.encode()).hexdigest()}\n"


NOT_REACHED = (
    "Not reached by it: the district's own files in its drop folder or in Clever; copies made by `rollcall backup`,",
    "`rollcall export` or a database server's own means, with its write-ahead log; what a product has taken over.",
    "The audit log stays: it names administrators, and nobody of a roster.",
)


# --- what a target is -------------------------------------------------------------------------------------------------


def _find(session: Session, target: Target) -> _Found:
    get_district(session, target.district_id)
    if target.school is not None and target.person is not None:
        raise NotPossible("name a school or a person, not both")
    parameters = {"district": target.district_id}
    if target.person is not None:
        links = with_guardians_of(session, person_links(session, target.district_id, target.person), parameters)
        return _narrowed(session, _PERSON, links, parameters, [], synced=not links.filter("active").is_empty())
    if target.school is not None:
        school = find_school(session, target.district_id, target.school)
        parameters["school"] = school.id
        links = with_guardians_of(session, _only_at(session, parameters), parameters)
        is_synced = school.source_id is not None and school.on_plan and not school.frozen
        return _narrowed(session, _SCHOOL, links, parameters, [school.source_id], synced=is_synced)
    condition = f"l.source_id IN ({_SOURCES})"
    links = _links(session, condition, parameters)
    made_here = bulk.read(session, _OF_DISTRICT.format("account"), parameters, {"id": pl.String})
    emails = pl.Series(_addresses_only_here(session, target.district_id), dtype=pl.String)
    everyone = pl.concat([links["account_id"].rename("id"), made_here["id"]])
    ids = {"links": links["id"], "emails": emails, **_accounts(session, links, everyone, parameters)}
    return _Found(_DISTRICT, ids, parameters)


def _narrowed(
    session: Session,
    statements: Sequence[tuple[str, str]],
    links: pl.DataFrame,
    parameters: Mapping[str, str],
    sources: Sequence[str | None],
    *,
    synced: bool,
) -> _Found:
    of_school = pl.Series("source_id", sources, dtype=pl.String).drop_nulls()
    ids = {
        "links": links["id"],
        "sources": pl.concat([links["source_id"], of_school]).unique(),
        "items": _evidence(session, links, parameters),
        **_accounts(session, links, links["account_id"], parameters),
    }
    return _Found(statements, ids, parameters, synced)


def _links(session: Session, condition: str, parameters: Mapping[str, object]) -> pl.DataFrame:
    return bulk.read(
        session,
        "SELECT l.id, l.account_id, l.source_id, l.external_id, l.guardian_ids, l.archived_at IS NULL"
        f" FROM link l WHERE {condition}",
        parameters,
        _LINKS,
    )


def person_links(session: Session, district_id: str, person_id: str) -> pl.DataFrame:
    """The district's links (id, account_id, source_id, active) of the person with this ID, the source's or ours.

    Raises:
        NotFound: nobody has it.
        NotPossible: several people have it; gives their IDs of ours.
    """
    mine = f"l.source_id IN ({_SOURCES})"
    parameters = {"district": district_id, "id": person_id}
    named = _links(
        session,
        f"{mine} AND (l.external_id = :id OR l.id = :id OR l.account_id = :id OR l.guardian_ids IS NOT NULL)",
        parameters,
    )
    is_named = pl.any_horizontal(pl.col(name) == person_id for name in ("external_id", "id", "account_id"))
    named = named.filter(
        is_named.fill_null(False) | pl.col("guardian_ids").str.split("\n").list.contains(person_id).fill_null(False)
    )
    accounts = named["account_id"].unique().sort().to_list()
    if not accounts:
        raise NotFound(f"nobody in district {district_id} has this ID, as the source or Rollcall knows it")
    if len(accounts) > 1:
        raise NotPossible(f"{len(accounts)} people have this ID; name one of them: {', '.join(accounts)}")
    return _links(session, f"{mine} AND l.account_id = :account", {"district": district_id, "account": accounts[0]})


def _only_at(session: Session, parameters: Mapping[str, str]) -> pl.DataFrame:
    """The links that are, or were, at the school, and at no other."""
    return _links(
        session,
        "l.id IN (SELECT m.link_id FROM school_membership m WHERE m.school_id = :school) AND NOT EXISTS"
        " (SELECT 1 FROM school_membership o WHERE o.link_id = l.id AND o.school_id <> :school)"
        f" AND l.source_id IN ({_SOURCES})",
        {"school": parameters["school"], "district": parameters["district"]},
    )


def with_guardians_of(session: Session, links: pl.DataFrame, parameters: Mapping[str, str]) -> pl.DataFrame:
    """The links, and those of guardians who are nobody else's."""
    students, listed = bulk.in_list(session, "g.student_link_id", links["id"])
    others, _ = bulk.in_list(session, "g.student_link_id", links["id"])
    guardians = _links(
        session,
        f"l.id IN (SELECT g.guardian_link_id FROM guardianship g WHERE {students}) AND NOT EXISTS"
        f" (SELECT 1 FROM guardianship g WHERE g.guardian_link_id = l.id AND NOT ({others}))"
        f" AND l.source_id IN ({_SOURCES})",
        {"district": parameters["district"], **listed},
    )
    return pl.concat([links, guardians]).unique("id", maintain_order=True)


def _accounts(
    session: Session, links: pl.DataFrame, accounts: pl.Series, parameters: Mapping[str, str]
) -> dict[str, pl.Series]:
    """accounts: those to delete; shared: those that another district, or a link beside these, has; gone: both."""
    everyone = accounts.unique().alias("id")
    condition, listed = bulk.in_list(session, "l.account_id", everyone)
    linked = _links(session, condition, listed).join(links, on="id", how="anti")["account_id"]
    condition, listed = bulk.in_list(session, "id", everyone)
    made_elsewhere = bulk.read(
        session,
        f"SELECT id FROM account WHERE district_id <> :district AND {condition}",
        {"district": parameters["district"], **listed},
        {"id": pl.String},
    )["id"]
    shared = pl.concat([linked.alias("id"), made_elsewhere]).unique()
    return {"accounts": everyone.filter(~everyone.is_in(shared.implode())), "shared": shared, "gone": everyone}


def _evidence(session: Session, links: pl.DataFrame, parameters: Mapping[str, str]) -> pl.Series:
    """What holds of the district show of these people, and all that those show which have ended."""
    items = bulk.read(
        session,
        "SELECT i.id, i.key, i.record_id, i.counterpart_id, i.new_id, h.ended_at IS NOT NULL AS has_ended"
        " FROM hold_item i JOIN hold h ON h.id = i.hold_id JOIN school s ON s.id = h.school_id"
        " WHERE s.district_id = :district",
        {"district": parameters["district"]},
        {
            "id": pl.Int64,
            **dict.fromkeys(("key", "record_id", "counterpart_id", "new_id"), pl.String),
            "has_ended": pl.Boolean,
        },
    )
    theirs = pl.concat([links["external_id"], links["guardian_ids"].str.split("\n").explode()]).drop_nulls()
    known = pl.concat([theirs, links["account_id"]]).unique().implode()
    # Keys are IDs with blanks or tabs between, and those of guardians may be several.
    parts = pl.col("key").str.replace_all("\t", " ").str.split(" ").list.eval(pl.element().is_in(known)).list.any()
    named = pl.any_horizontal(pl.col(name).is_in(known) for name in ("record_id", "counterpart_id", "new_id"))
    return items.filter(pl.col("has_ended") | parts | named.fill_null(False))["id"]


def _addresses_only_here(session: Session, district_id: str) -> list[str]:
    """The addresses of administrators of this district and of no other, in lower case."""
    rows = bulk.read(
        session,
        "SELECT id AS district_id, CAST(administrators AS TEXT) AS listed FROM district"
        " UNION ALL SELECT district_id, CAST(administrators AS TEXT) FROM school",
        {},
        {"district_id": pl.String, "listed": pl.String},
    )
    addresses = rows.with_columns(
        pl.col("listed").str.to_lowercase().str.json_decode(pl.List(pl.String)).alias("email")
    ).explode("email")
    here = addresses.filter(pl.col("district_id") == district_id)["email"].drop_nulls().unique()
    elsewhere = addresses.filter(pl.col("district_id") != district_id)["email"].drop_nulls()
    return here.filter(~here.is_in(elsewhere.implode())).sort().to_list()


def _condition(session: Session, condition: str, found: _Found) -> tuple[str, dict[str, object]]:
    """A condition with its lists put in, and the parameters it needs."""
    parameters: dict[str, object] = {name: value for name, value in found.parameters.items() if f":{name}" in condition}
    for name, ids in found.ids.items():
        start = f"{{{name}:"
        while start in condition:
            column = condition.partition(start)[2].partition("}")[0]
            listed, values = bulk.in_list(session, column, ids)
            condition = condition.replace(f"{start}{column}}}", listed)
            parameters |= values
    return condition, parameters


# --- what is done to it -----------------------------------------------------------------------------------------------


def _counted(session: Session, found: _Found, rows: Mapping[str, int], storage: Storage) -> Erased:
    return Erased(
        rows,
        people=len(found.ids["gone"]),
        shared=len(found.ids["shared"]),
        deliveries=len(_deliveries(session, found)),
        copies=len(_copies(storage)),
        mails=len(_mails(session, found, storage)),
        synced=found.synced,
    )


def _deliveries(session: Session, found: _Found) -> pl.DataFrame:
    """id, source_id, path: the deliveries whose files go."""
    sources, parameters = (
        bulk.in_list(session, "source_id", found.ids["sources"])
        if "sources" in found.ids
        else (f"source_id IN ({_SOURCES})", {"district": found.parameters["district"]})
    )
    return bulk.read(
        session,
        f"SELECT id, source_id, path FROM delivery WHERE path <> '' AND {sources}",
        parameters,
        {"id": pl.Int64, "source_id": pl.String, "path": pl.String},
    )


def _copies(storage: Storage) -> list[Path]:
    return sorted(storage.copies.glob("*.sqlite*")) if storage.copies is not None else []


def _mails(session: Session, found: _Found, storage: Storage) -> list[Path]:
    """The files of the district's mail, where it is written to a folder."""
    if storage.mails is None or found.statements is not _DISTRICT:
        return []
    ids = bulk.read(
        session, "SELECT message_id FROM mail WHERE district_id = :district", found.parameters, {"id": pl.String}
    )["id"]
    files = (storage.mails / f"{one.strip('<>').partition('@')[0]}.eml" for one in ids)
    return [file for file in files if file.exists()]


def _remove_files(session: Session, found: _Found, storage: Storage, *, whole: bool) -> None:
    deliveries = _deliveries(session, found)
    try:
        for file in (*_copies(storage), *_mails(session, found, storage)):
            file.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror
    else:
        reason = None
    if reason is not None:
        raise TransientError(f"files of what is to be erased cannot be removed ({reason}); nothing else was erased")
    if whole:
        sources = bulk.read(session, _SOURCES, found.parameters, {"id": pl.String})["id"].to_list()
        for source_id in sources:
            storage.landing.sweep(source_id, [])
            storage.landing.remove(source_id)
        return
    for path in deliveries["path"]:
        storage.landing.remove(path)
    condition, parameters = bulk.in_list(session, "id", deliveries["id"])
    bulk.execute(session, f"UPDATE delivery SET path = '' WHERE {condition}", parameters)
    condition, parameters = bulk.in_list(session, "id", found.ids["sources"])
    bulk.execute(session, f"UPDATE source SET current_delivery_id = NULL WHERE {condition}", parameters)
    bulk.execute(
        session,
        'UPDATE hold_item SET name = NULL, "before" = NULL, "after" = NULL WHERE hold_id IN'
        f" (SELECT h.id FROM hold h WHERE h.school_id IN ({_SCHOOLS}))",
        {"district": found.parameters["district"]},
    )


def _lock_accounts(session: Session, accounts: pl.Series) -> None:
    """In order of ID, as a sync locks them; SQLite's transaction is alone anyway."""
    if locking := bulk.locking(session, "UPDATE"):
        condition, parameters = bulk.in_list(session, "id", accounts)
        bulk.execute(session, f"SELECT id FROM account WHERE {condition} ORDER BY id{locking}", parameters)


def _release_accounts(session: Session, found: _Found, now: datetime) -> None:
    """Take out of accounts that stay what only the erased links gave them.

    Rule: a value that an erased link holds and no remaining active one does becomes that of the oldest remaining active
    link; an email only if it is free. An account with no active link left that nobody made by hand is archived.
    """
    shared = found.ids["shared"]
    if shared.is_empty():
        return
    names = list(PERSONAL)
    condition, parameters = bulk.in_list(session, "account_id", shared)
    links = bulk.read(
        session,
        f"SELECT id, account_id, archived_at IS NULL AS active, {', '.join(names)} FROM link WHERE {condition}",
        parameters,
        {"id": pl.String, "account_id": pl.String, "active": pl.Boolean, **_VALUES},
    ).with_columns(erased=pl.col("id").is_in(found.ids["links"].implode()))
    condition, parameters = bulk.in_list(session, "id", shared)
    accounts = bulk.read(
        session,
        f"SELECT id, archived_at, district_id, {', '.join(names)} FROM account WHERE {condition}",
        parameters,
        {"id": pl.String, "archived_at": bulk.MOMENT, "district_id": pl.String, **_VALUES},
    )
    staying = links.filter(~pl.col("erased") & pl.col("active")).sort("id")
    given = links.filter("erased").group_by(id="account_id").agg(pl.col(name).alias(f"given_{name}") for name in names)
    held = staying.group_by(id="account_id").agg(
        *(pl.col(name).alias(f"held_{name}") for name in names),
        *(pl.col(name).first().alias(f"oldest_{name}") for name in names),
    )
    is_given = {
        name: pl.col(name).is_in(pl.col(f"given_{name}")).fill_null(False)
        & ~pl.col(name).is_in(pl.col(f"held_{name}")).fill_null(False)
        for name in names
    }
    is_last = pl.col("is_held").is_null()
    made_here = (pl.col("district_id") == found.parameters["district"]).fill_null(False)
    after = (
        accounts.join(given, on="id", how="left")
        .join(held.with_columns(is_held=pl.lit(True)), on="id", how="left")
        .with_columns(
            *(pl.when(is_given[name]).then(f"oldest_{name}").otherwise(name).alias(name) for name in names),
            district_id=pl.when(~made_here).then("district_id"),
        )
        .with_columns(
            archived_at=pl.when(is_last & pl.col("district_id").is_null())
            .then(pl.coalesce("archived_at", pl.lit(now).cast(bulk.MOMENT)))
            .otherwise("archived_at")
        )
        .with_columns(email=pl.when(pl.col("archived_at").is_null()).then("email"))
        .select(accounts.columns)
    )
    _write_released(session, after)


def _write_released(session: Session, accounts: pl.DataFrame) -> None:
    """Write the accounts, without emails that are somebody else's by now."""
    condition, parameters = bulk.in_list(session, "email", accounts["email"].drop_nulls())
    these, listed = bulk.in_list(session, "id", accounts["id"])
    taken = bulk.read(
        session,
        f"SELECT email FROM account WHERE archived_at IS NULL AND {condition} AND NOT ({these})",
        {**parameters, **listed},
        {"email": pl.String},
    )["email"]
    is_free = ~pl.col("email").is_in(taken.implode()) & (pl.col("email").cum_count().over("email") == 1)
    # All are emptied first, as they may change hands among these.
    bulk.execute(session, f"UPDATE account SET email = NULL WHERE {these}", listed)
    bulk.update_columns(session, "account", accounts.with_columns(email=pl.when(is_free).then("email")))
