"""Provisioning: one school's ChangeSet applied or held, in the caller's one transaction.

Rule: one school is one transaction: roster changes, issues, hold, the school's run record and its status together. What
depends on other districts (which of an account's links is the oldest, whether a link or account goes) is decided here,
after locking the accounts, never in the plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

import polars as pl
from sqlmodel import Session, col, select

from contracts.issues import DISCONNECTED, FAILED_RUN, FILE_ERRORS, STALE
from contracts.roster import ISSUES, Schema, empty
from errors import TableError
from models import bulk
from models.outcomes import SchoolOutcome
from models.tables import SchoolRun, Source
from services import school_counts
from services.holds import decisions, holds, store
from services.intake import deliveries
from services.planning.changesets import LINK_ROWS, PERSON_FIELDS, ChangeSet, Plan, Reason
from services.planning.stored import Scope
from services.status import sync_status
from services.sync import leases, record_changes
from services.sync.record_changes import UPDATED_FIELDS

_TABLES = ("account", "link", "school_membership", "class", "class_membership", "guardianship")
_FIELD_SCHEMA: Schema = {name: LINK_ROWS[name] for name in PERSON_FIELDS}


@dataclass(frozen=True)
class SchoolResult:
    """What became of one school in one run. outcome: applied, unchanged, held."""

    school_id: str
    outcome: SchoolOutcome
    counts: Mapping[str, int]
    reasons: tuple[str, ...]
    hold_id: int | None


@dataclass
class Growth:
    """How many rows a run has added, and at how many the database looks at its tables again.

    Rule: a first load is planned for tables that are empty. The database's own look comes within a minute, and by then
    a district is through, or its foreign keys are checked by reading whole tables.
    """

    rows: int = 0
    look_at: int = 5_000

    def is_due(self, outcome: SchoolResult) -> bool:
        """Count what was added at a school; whether it is time to look again."""
        self.rows += sum(many for what, many in outcome.counts.items() if what.endswith("_create"))
        if self.rows < self.look_at:
            return False
        self.look_at = 4 * self.rows
        return True


@dataclass(frozen=True)
class RunContext:
    """The run a school is provisioned in: what its record and its rows refer to. `digests`: by school."""

    run_id: int
    delivery_id: int
    scope: Scope
    digests: Mapping[str, str]
    growth: Growth = field(default_factory=Growth, compare=False)


def schools_to_do(session: Session, run: RunContext, plan: Plan, *, asked: list[str] | None) -> list[ChangeSet]:
    """The ChangeSets that need a transaction of their own, in order.

    Rule: changes, a reason to hold it, other issues than stored, an open hold, a failed last run, a school missing from
    the delivery.
    """
    stored = bulk.read(
        session,
        'SELECT code, school_id, file, line, record_id, detail, dependents, "row", other_rows FROM issue'
        " WHERE source_id = :source",
        {"source": run.scope.source_id},
        ISSUES,
    )
    held = {hold.school_id for hold in store.open_holds(session, run.scope.district_id)}
    newest = bulk.read(
        session,
        "SELECT r.school_id, r.outcome FROM school_run r JOIN (SELECT school_id, max(id) AS id FROM school_run"
        " GROUP BY school_id) newest ON newest.id = r.id",
        {},
        {"school_id": pl.String, "outcome": pl.String},
    )
    last: dict[str, str] = dict(newest.iter_rows())
    to_do = []
    for changeset in plan.changesets:
        if asked is not None and changeset.school_id not in asked:
            continue
        here = stored.filter(pl.col("school_id") == changeset.school_id)
        if (
            not changeset.is_empty
            or changeset.missing
            or changeset.reasons
            or changeset.school_id in held
            or last.get(changeset.school_id) == SchoolOutcome.FAILED
            or not _same_issues(here, changeset.issues)
        ):
            to_do.append(changeset)
    return to_do


def _same_issues(one: pl.DataFrame, other: pl.DataFrame) -> bool:
    columns = [name for name in ISSUES if name != "school_id"]
    first, second = (frame.select(columns).sort(columns, nulls_last=True) for frame in (one, other))
    return first.equals(second)


def provision_school(session: Session, run: RunContext, changeset: ChangeSet, *, now: datetime) -> SchoolResult:
    """Apply one school's ChangeSet, or hold it for what it was judged for, and record what was done.

    The guard judges once, with the plan: only there all schools are seen together. What it takes the transaction to
    know is which of those reasons still hold the school: what was decided about it, and what its source was found to be
    like, may be newer than the plan.

    Raises:
        LeaseLost: the run is no longer open; nothing was written.
        WriteConflict: another district took an email meanwhile; the caller plans again, once.
    """
    leases.assert_open(session, run.run_id)
    # A plan that nobody judged is never applied.
    assert changeset.reasons is not None
    reasons = decisions.unresolved(session, changeset.school_id, changeset.reasons)
    reasons += _lasting(session, run, changeset.school_id, now)
    removal_hold = decisions.about_removals(session, changeset.school_id) if changeset.removals_suspended else None
    if removal_hold is not None:
        outcome = SchoolResult(
            changeset.school_id, SchoolOutcome.ON_HOLD, {}, tuple(removal_hold.codes), removal_hold.id
        )
    elif reasons:
        hold = holds.hold_school(
            session,
            changeset.school_id,
            reasons,
            run_id=run.run_id,
            delivery_id=run.delivery_id,
            now=now,
        )
        outcome = SchoolResult(
            changeset.school_id, SchoolOutcome.ON_HOLD, {}, tuple(sorted(reason.code for reason in reasons)), hold.id
        )
    else:
        updated = _apply(session, changeset, now)
        record_changes.record(session, run.run_id, changeset, updated, now=now)
        _recount(session, changeset)
        decisions.forget_accepted(session, changeset.school_id, changeset.lapsed)
        decisions.remember_accepted(session, changeset.school_id, changeset.reasons, changeset.families)
        holds.release(session, changeset.school_id, run_id=run.run_id, now=now)
        became = SchoolOutcome.UNCHANGED if changeset.is_empty else SchoolOutcome.APPLIED
        outcome = SchoolResult(changeset.school_id, became, changeset.counts, (), None)
    _replace_issues(session, run.scope.source_id, changeset.school_id, changeset.issues)
    _record(session, run, [outcome], now)
    if outcome.outcome == SchoolOutcome.ON_HOLD:
        why = ", ".join(outcome.reasons)
    else:
        why = f"delivery {run.delivery_id} {outcome.outcome}"
    sync_status.record_status_changes(session, [changeset.school_id], reason=why, now=now)
    # Here, as it must not fail once the school is done.
    if run.growth.is_due(outcome):
        bulk.analyze(session, _TABLES)
    return outcome


def _recount(session: Session, changes: ChangeSet) -> None:
    """Count the school's people again, and those of other schools that its people are at too."""
    if changes.is_empty:
        return
    known = changes.links.filter(~pl.col("new"))["id"]
    shared = school_counts.schools_of_links(session, pl.concat([known, changes.unseen]).unique())
    school_counts.recount(session, {changes.school_id, *shared})


def _lasting(session: Session, run: RunContext, school_id: str, now: datetime) -> list[Reason]:
    """The reasons that last while an earlier delivery is applied again: only what the source sends ends them.

    Where it was just reached and read they are gone by now.
    """
    reasons = holds.of_the_source(session, school_id)
    if not reasons:
        return []
    source = session.get_one(Source, run.scope.source_id)
    lasts = {
        DISCONNECTED: True,
        FILE_ERRORS: deliveries.has_file_errors(session, source),
        STALE: deliveries.is_stale(source, now),
    }
    return [reason for reason in reasons if lasts[reason.code]]


def record_unchanged(session: Session, run: RunContext, school_ids: list[str], *, now: datetime) -> None:
    """Record, in one statement, the schools for which the delivery changes nothing.

    Raises:
        LeaseLost: the run is no longer open.
    """
    leases.assert_open(session, run.run_id)
    unchanged = [SchoolResult(school_id, SchoolOutcome.UNCHANGED, {}, (), None) for school_id in school_ids]
    _record(session, run, unchanged, now)
    sync_status.record_status_changes(session, school_ids, reason=f"delivery {run.delivery_id} unchanged", now=now)


def record_failure(session: Session, run: RunContext, school_ids: list[str], *, kind: str, now: datetime) -> None:
    """Record that our own run failed for these schools, and hold them for it. Nothing of them was applied.

    kind: the error's class name, never its text.

    Raises:
        LeaseLost: the run is no longer open.
    """
    leases.assert_open(session, run.run_id)
    outcomes = [SchoolResult(school_id, SchoolOutcome.FAILED, {}, (kind,), None) for school_id in school_ids]
    _record(session, run, outcomes, now)
    holds.add_reason(session, school_ids, FAILED_RUN, run_id=run.run_id, now=now)
    sync_status.record_status_changes(session, school_ids, reason=FAILED_RUN, now=now)


def replace_district_issues(session: Session, run: RunContext, issues: pl.DataFrame) -> None:
    """Store the issues that belong to no school.

    Raises:
        LeaseLost: the run is no longer open.
    """
    leases.assert_open(session, run.run_id)
    _replace_issues(session, run.scope.source_id, None, issues)


def _replace_issues(session: Session, source_id: str, school_id: str | None, issues: pl.DataFrame) -> None:
    where = "school_id = :school" if school_id is not None else "school_id IS NULL"
    parameters = {"source": source_id} | ({"school": school_id} if school_id is not None else {})
    bulk.execute(session, f"DELETE FROM issue WHERE source_id = :source AND {where}", parameters)
    rows = issues.select(
        source_id=pl.lit(source_id),
        school_id=pl.lit(school_id, pl.String),
        **{name: pl.col(name) for name in ISSUES if name != "school_id"},
    )
    bulk.insert(session, "issue", rows)


def _record(session: Session, run: RunContext, outcomes: list[SchoolResult], now: datetime) -> None:
    # A run that plans again after a conflict, or fails late, keeps one record for each school: the last.
    earlier = select(SchoolRun).where(
        SchoolRun.run_id == run.run_id, col(SchoolRun.school_id).in_([outcome.school_id for outcome in outcomes])
    )
    for row in session.exec(earlier):
        session.delete(row)
    session.flush()
    counted = school_counts.school_counts(session, run.scope.source_id, [outcome.school_id for outcome in outcomes])
    figures = {row.pop("school_id"): row for row in counted.to_dicts()}
    session.add_all(
        SchoolRun(
            run_id=run.run_id,
            school_id=outcome.school_id,
            source_id=run.scope.source_id,
            delivery_id=run.delivery_id,
            at=now,
            outcome=outcome.outcome,
            counts=dict(outcome.counts),
            reasons=list(outcome.reasons),
            digest=run.digests.get(outcome.school_id, ""),
            **figures[outcome.school_id],
        )
        for outcome in outcomes
    )
    session.flush()


def _apply(session: Session, changes: ChangeSet, now: datetime) -> pl.DataFrame:
    """Write one school's ChangeSet. Every email and ID that changes hands is emptied before anything takes it.

    Returns UPDATED_FIELDS of the people written.
    """
    if changes.is_empty:
        return empty(UPDATED_FIELDS)
    changes = _without_written(session, changes)
    known = changes.links.filter(~_brings_account())["account_id"]
    accounts = pl.concat([known, changes.freed_emails["account_id"], _accounts_of(session, changes.unseen)]).unique()
    _lock(session, accounts)
    changes = _without_leavers(session, changes)
    _assert_classes(session, changes)
    _free(session, changes)
    updated = _write_people(session, changes.links, now)
    _put(session, "class", changes.classes.with_columns(archived_at=_never()))
    for table, rows in (
        ("school_membership", changes.memberships),
        ("class_membership", changes.class_memberships),
        ("guardianship", changes.guardianships),
    ):
        _put(session, table, rows.with_columns(active=True, left_at=_never()))
    _end(session, "school_membership", "id", changes.ended_memberships, now)
    _end(session, "class_membership", "id", changes.ended_class_memberships, now)
    _end(session, "guardianship", "id", changes.ended_guardianships, now)
    _archive(session, "class", changes.ended_classes, now)
    _end(session, "class_membership", "class_id", changes.ended_classes, now)
    _archive_people(session, changes.school_id, changes.unseen, now)
    if len(changes.ended_choices):
        condition, parameters = bulk.in_list(session, "id", changes.ended_choices)
        bulk.execute(session, f"UPDATE class_membership SET by_choice = false WHERE {condition}", parameters)
    return updated


def _brings_account() -> pl.Expr:
    """Whether a link brings its account along, which nobody else can know yet."""
    return pl.col("fresh") & ~pl.col("adopts")


def _without_written(session: Session, changes: ChangeSet) -> ChangeSet:
    """Leave out the new people that an earlier school of this run has written; the others are `fresh` here.

    Their IDs were drawn by this run's plan, so nobody else can write them.
    """
    shared = changes.links.filter(pl.col("new") & ~pl.col("fresh"))["id"]
    if shared.is_empty():
        return changes
    written = _stored_ids(session, "link", shared)
    links = changes.links.filter(~pl.col("id").is_in(written.implode()))
    return replace(changes, links=links.with_columns(fresh=pl.col("new")))


def _put(session: Session, table: str, rows: pl.DataFrame) -> None:
    """Write rows to be active, each with `fresh`: those that are stored nowhere without a look at what is."""
    bulk.insert(session, table, rows.filter("fresh").drop("fresh"))
    bulk.upsert(session, table, rows.filter(~pl.col("fresh")).drop("fresh"))


def _without_leavers(session: Session, changes: ChangeSet) -> ChangeSet:
    """Who has left the organization since the plan was made is not brought back by it, unless enforcement does.

    The plan leaves out those who had left when it was made. It takes no lock, so people may leave until the accounts
    are locked here; only now nobody can anymore.

    Raises:
        TableError: the plan refers to a link that is not stored.
    """
    named = pl.concat(
        [
            changes.links["id"],
            *(frame["link_id"] for frame in (changes.memberships, changes.class_memberships)),
            *(changes.guardianships[name] for name in ("student_link_id", "guardian_link_id")),
        ]
    ).unique()
    known = named.filter(~named.is_in(changes.links.filter("fresh")["id"].implode()))
    if known.is_empty():
        return changes
    condition, parameters = bulk.in_list(session, "l.id", known)
    found = bulk.read(
        session,
        'SELECT l.id, l.left_at IS NOT NULL AND NOT d.rostering_enforcement AS "left"'
        f" FROM link l JOIN source s ON s.id = l.source_id JOIN district d ON d.id = s.district_id WHERE {condition}",
        parameters,
        {"id": pl.String, "left": pl.Boolean},
    )
    _assert_stored("link", known, pl.concat([found["id"], changes.links["id"]]))
    left = found.filter("left")["id"].implode()
    return replace(
        changes,
        links=changes.links.filter(~pl.col("id").is_in(left)),
        memberships=changes.memberships.filter(~pl.col("link_id").is_in(left)),
        class_memberships=changes.class_memberships.filter(~pl.col("link_id").is_in(left)),
        guardianships=changes.guardianships.filter(
            ~pl.col("student_link_id").is_in(left) & ~pl.col("guardian_link_id").is_in(left)
        ),
    )


def _assert_classes(session: Session, changes: ChangeSet) -> None:
    """Make sure that every class somebody joins is stored, or comes with them."""
    named = changes.class_memberships["class_id"].unique()
    known = named.filter(~named.is_in(changes.classes["id"].implode()))
    if not known.is_empty():
        _assert_stored("class", known, _stored_ids(session, "class", known))


def _stored_ids(session: Session, table: str, ids: pl.Series) -> pl.Series:
    """Those of the IDs that the table has."""
    condition, parameters = bulk.in_list(session, "id", ids)
    return bulk.read(session, f"SELECT id FROM {table} WHERE {condition}", parameters, {"id": pl.String})["id"]


def _assert_stored(table: str, referred_to: pl.Series, stored: pl.Series) -> None:
    """Rule: pairs have no foreign keys: the database would check row by row, longer than it writes; this is the check.

    Raises:
        TableError: a row of the table is referred to that is not stored.
    """
    missing = int((~referred_to.is_in(stored.implode())).sum())
    if missing:
        raise TableError("the plan", [f"{table}: {missing} rows are referred to that are not stored"])


def _never() -> pl.Expr:
    return pl.lit(None, pl.Datetime("us", "UTC"))


def _accounts_of(session: Session, links: pl.Series) -> pl.Series:
    if links.is_empty():
        return pl.Series("account_id", dtype=pl.String)
    condition, parameters = bulk.in_list(session, "id", links)
    return bulk.read(session, f"SELECT account_id FROM link WHERE {condition}", parameters, {"account_id": pl.String})[
        "account_id"
    ]


def _lock(session: Session, accounts: pl.Series) -> None:
    """Lock the accounts in order of ID; SQLite's transaction is alone anyway."""
    locking = bulk.locking(session, "UPDATE")
    if not locking or accounts.is_empty():
        return
    condition, parameters = bulk.in_list(session, "id", accounts)
    bulk.execute(session, f"SELECT id FROM account WHERE {condition} ORDER BY id{locking}", parameters)


def _free(session: Session, changes: ChangeSet) -> None:
    """Empty the emails and IDs that others take in this transaction."""
    if len(changes.freed_ids):
        condition, parameters = bulk.in_list(session, "id", changes.freed_ids)
        # Another school may have given the link its own new ID since the plan was made.
        ids, taken_ids = bulk.in_list(session, "external_id", changes.links["external_id"])
        bulk.execute(
            session,
            f"UPDATE link SET external_id = NULL, guardian_ids = NULL WHERE {condition} AND {ids}",
            {**taken_ids, **parameters},
        )
    if changes.freed_emails.is_empty():
        return
    emails, taken = bulk.in_list(session, "email", changes.freed_emails["email"])
    for table, column in (("link", "link_id"), ("account", "account_id")):
        losers, parameters = bulk.in_list(session, "id", changes.freed_emails[column].drop_nulls())
        bulk.execute(session, f"UPDATE {table} SET email = NULL WHERE {losers} AND {emails}", {**taken, **parameters})


def _write_people(session: Session, links: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Write changed links, and of their accounts what is theirs to change.

    Rule: an account's field is rewritten only when that field of its oldest active link changed; adoption and return
    fill empty fields and overwrite none. Returns UPDATED_FIELDS of the links that were there.
    """
    rows = links.select(*LINK_ROWS, "fresh").with_columns(
        archived_at=_never(), left_at=_never(), id_hashes=pl.lit(None, pl.String)
    )
    _insert_accounts(session, links.filter(_brings_account()), now)
    known = links.filter(~_brings_account())
    before = _known_links(session, known["id"])
    _put(session, "link", rows)
    _update_accounts(session, known, before)
    return _updated_fields(known, before)


def _known_links(session: Session, ids: pl.Series) -> pl.DataFrame:
    """id, was_archived and PERSON_FIELDS of the links of these IDs that are there."""
    schema: Schema = {"id": pl.String, "was_archived": pl.Boolean, **_FIELD_SCHEMA}
    if ids.is_empty():
        return empty(schema)
    condition, parameters = bulk.in_list(session, "id", ids)
    fields = ", ".join(PERSON_FIELDS)
    sql = f"SELECT id, archived_at IS NOT NULL AS was_archived, {fields} FROM link WHERE {condition}"
    return bulk.read(session, sql, parameters, schema)


def _updated_fields(links: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """UPDATED_FIELDS of the written links that were there. before: id and PERSON_FIELDS of those."""
    differing = [
        pl.when(pl.col(name).ne_missing(pl.col(f"{name}_before"))).then(pl.lit(name)) for name in PERSON_FIELDS
    ]
    return (
        links.join(before, on="id", suffix="_before")
        .select(subject_id="account_id", field=pl.concat_list(differing))
        .explode("field")
        .drop_nulls("field")
    )


def _insert_accounts(session: Session, links: pl.DataFrame, now: datetime) -> None:
    accounts = links.select(
        id="account_id",
        **{name: pl.col(name) for name in PERSON_FIELDS},
        created_at=pl.lit(now).cast(pl.Datetime("us", "UTC")),
    )
    # In one order everywhere: two districts that bring the same parents wait for each other, and never in a circle.
    bulk.insert(session, "account", accounts.sort("email"))


def _update_accounts(session: Session, links: pl.DataFrame, before: pl.DataFrame) -> None:
    """What the written links change of their accounts. before: id, was_archived and PERSON_FIELDS of the links."""
    if links.is_empty():
        return
    condition, parameters = bulk.in_list(session, "account_id", links["account_id"])
    oldest = bulk.read(
        session,
        f"SELECT account_id, min(id) AS oldest FROM link WHERE archived_at IS NULL AND {condition} GROUP BY account_id",
        parameters,
        {"account_id": pl.String, "oldest": pl.String},
    )
    condition, parameters = bulk.in_list(session, "id", links["account_id"])
    accounts = bulk.read(
        session,
        f"SELECT id AS account_id, archived_at IS NOT NULL AS archived, {', '.join(PERSON_FIELDS)} FROM account"
        f" WHERE {condition}",
        parameters,
        {"account_id": pl.String, "archived": pl.Boolean, **_FIELD_SCHEMA},
    )
    compared = (
        links.select("id", "account_id", *PERSON_FIELDS, "adopts")
        .join(before, on="id", how="left", suffix="_before")
        .join(oldest, on="account_id", how="left")
        .join(accounts, on="account_id", suffix="_account")
        .with_columns(leads=pl.col("id") == pl.col("oldest"), known=pl.col("was_archived").is_not_null())
    )
    fills = pl.col("adopts") | pl.col("archived")
    written = compared.with_columns(
        **{
            name: pl.when(pl.col("leads") & pl.col("known") & pl.col(name).ne_missing(pl.col(f"{name}_before")))
            .then(pl.col(name))
            .when(fills)
            .then(pl.coalesce(f"{name}_account", name))
            .otherwise(pl.col(f"{name}_account"))
            for name in PERSON_FIELDS
        }
    )
    differs = pl.col("archived") | pl.any_horizontal(
        *[pl.col(name).ne_missing(pl.col(f"{name}_account")) for name in PERSON_FIELDS]
    )
    # Two links of one account may be written at once: the oldest's word counts.
    updates = (
        written.filter(differs)
        .sort("leads", descending=True)
        .unique(subset="account_id", keep="first", maintain_order=True)
        .select(id="account_id", **{name: pl.col(name) for name in PERSON_FIELDS}, archived_at=_never())
    )
    bulk.update_columns(session, "account", updates)


def _end(session: Session, table: str, column: str, ids: pl.Series, now: datetime) -> None:
    """Archive the active rows of a table of pairs whose column is one of these IDs."""
    if ids.is_empty():
        return
    condition, parameters = bulk.in_list(session, column, ids)
    bulk.execute(
        session,
        f"UPDATE {table} SET active = false, left_at = :now WHERE active AND {condition}",
        {**parameters, "now": now},
    )


def _archive(session: Session, table: str, ids: pl.Series, now: datetime) -> None:
    if ids.is_empty():
        return
    emptied = ", email = NULL" if table == "account" else ""
    condition, parameters = bulk.in_list(session, "id", ids)
    bulk.execute(
        session,
        f"UPDATE {table} SET archived_at = :now{emptied} WHERE archived_at IS NULL AND {condition}",
        {**parameters, "now": now},
    )


def _archive_people(session: Session, school_id: str, unseen: pl.Series, now: datetime) -> None:
    """Of the links in no row, archive those that nothing active holds anymore, and accounts with their last link.

    Students go before guardians: a guardian goes when the last of their students goes. Nobody goes yet who is in a
    class of another school that is on hold: nothing of that changes meanwhile, and its release archives them.
    """
    if unseen.is_empty():
        return
    for kind, holder, own in (
        ("kind <> 'guardian'", "school_membership", "link_id"),
        ("kind = 'guardian'", "guardianship", "guardian_link_id"),
    ):
        condition, parameters = bulk.in_list(session, "l.id", unseen)
        leaving = bulk.read(
            session,
            f"SELECT l.id, l.account_id FROM link l WHERE l.archived_at IS NULL AND {kind} AND {condition}"
            f" AND NOT EXISTS (SELECT 1 FROM {holder} h WHERE h.{own} = l.id AND h.active)"
            " AND NOT EXISTS (SELECT 1 FROM class_membership m JOIN class c ON c.id = m.class_id"
            " JOIN hold o ON o.school_id = c.school_id"
            " WHERE m.link_id = l.id AND m.active AND o.ended_at IS NULL AND c.school_id <> :school)",
            {**parameters, "school": school_id},
            {"id": pl.String, "account_id": pl.String},
        )
        _archive(session, "link", leaving["id"], now)
        _end(session, "class_membership", "link_id", leaving["id"], now)
        _end(session, "guardianship", "student_link_id", leaving["id"], now)
        condition, parameters = bulk.in_list(session, "a.id", leaving["account_id"])
        without_link = bulk.read(
            session,
            f"SELECT a.id FROM account a WHERE {condition} AND NOT EXISTS"
            " (SELECT 1 FROM link l WHERE l.account_id = a.id AND l.archived_at IS NULL)",
            parameters,
            {"id": pl.String},
        )
        _archive(session, "account", without_link["id"], now)
