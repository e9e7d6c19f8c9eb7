"""Whose email it is, and which existing account a newcomer adopts: what only the whole district can decide.

Rule: contested inside a district, an email goes to the highest role (teacher and staff, then guardian, then student);
between equals to the one whose active link holds it already, then to the external ID that sorts first. Claimants are
this delivery's valid records; its rejected ones, and the active links that it does not speak of, with what they last
applied; links of a school's former source claim nothing. An account without a link of this district keeps what it has
unless it is adopted.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from contracts import values
from contracts.roster import EMPLOYEE, GUARDIAN, STAFF, STUDENT, TEACHER, StoredRoster

_RANKS = {TEACHER: 0, STAFF: 0, GUARDIAN: 1, STUDENT: 2}
_ORDER = ("email", "rank", "is_new", "external_id", "content", "link_id")
_CLAIM = ("email", "rank", "is_new", "external_id", "content", "link_id", "account_id", "record")


@dataclass(frozen=True)
class ResolvedEmails:
    """How the emails went. records: record, email (null where lost), adopts, lost, is_valid.

    freed: account_id, email; accounts of the district that hold an email which is another's now.
    """

    records: pl.DataFrame
    freed: pl.DataFrame


def resolve_email_owners(records: pl.DataFrame, stored: StoredRoster, seen: pl.Series) -> ResolvedEmails:
    """Decide every contested email, and every adoption.

    Args:
        records: record (UInt32), is_valid (Boolean), birth_date (Date), and as String kind, role, external_id,
            first_name, last_name, email, phone, link_id and content (what orders those without an external ID): every
            record of the delivery.
        stored: what the database has of the district.
        seen: the link_ids in any row.

    A teacher who loses the email is rejected, and so is a guardian who has no phone: then they go on as last applied,
    and claim what their link holds. So the decision is repeated until nobody else is rejected.
    """
    ranked = records.with_columns(rank=_rank()).join(
        stored.links.select("link_id", "account_id", link_email="email", link_active="active"), on="link_id", how="left"
    )
    while True:
        adopted = _adoptions(ranked.filter("is_valid"), stored)
        claims = (
            ranked.join(adopted, on="record", how="left")
            .with_columns(adopts=pl.coalesce("joins_account", "adopts"))
            .with_columns(account_id=pl.coalesce("account_id", "adopts"))
        )
        winners, losers, kept = _contest(claims.filter("is_valid"), stored, seen)
        needs_email = (pl.col("kind") == EMPLOYEE) | ((pl.col("kind") == GUARDIAN) & pl.col("phone").is_null())
        lost = claims.join(losers, on="record", how="left").with_columns(lost=pl.col("lost").fill_null(False))
        rejected = lost.filter(pl.col("is_valid") & pl.col("lost") & needs_email)
        if rejected.is_empty():
            break
        ranked = (
            ranked.join(rejected.select("record", out=pl.lit(True)), on="record", how="left")
            .with_columns(is_valid=pl.col("is_valid") & pl.col("out").is_null())
            .drop("out")
        )
    ever_lost = pl.col("lost") | (pl.col("was_valid") & ~pl.col("is_valid"))
    outcome = (
        lost.join(records.select("record", was_valid="is_valid"), on="record")
        .with_columns(lost=ever_lost)
        .select("record", "adopts", "is_valid", "lost", email=pl.when(~pl.col("lost")).then("email"))
    )
    return ResolvedEmails(outcome, _freed(winners, kept))


def _rank(role: str = "role") -> pl.Expr:
    """How far a role goes before others. Rule: teacher and staff count as one."""
    return pl.col(role).replace_strict(_RANKS, default=len(_RANKS), return_dtype=pl.UInt8)


def _adoptions(valid: pl.DataFrame, stored: StoredRoster) -> pl.DataFrame:
    """record, adopts: newcomers, and the account that each adopts.

    Rule: an account that no link of this district knows is adopted by the same role and email (a student not if the
    birth dates differ); for teachers, staff and guardians also when it is the only hand-made one of the district with
    the same phone and first and last name. One account, one record. Nobody adopts the account of one who left.
    """
    left = stored.links.filter("gone").select("account_id")
    free = (
        stored.accounts.filter(~pl.col("linked"))
        .join(left, on="account_id", how="anti")
        .rename({name: f"account_{name}" for name in stored.accounts.columns if name != "account_id"})
    )
    returning = free.join(valid.select("account_id").drop_nulls(), on="account_id", how="semi").select("account_id")
    free = free.join(returning, on="account_id", how="anti").with_columns(account_rank=_rank("account_role"))
    same_role = pl.col("rank") == pl.col("account_rank")
    new = valid.filter(pl.col("link_id").is_null() & pl.col("joins_account").is_null()).drop("account_id")
    different_birth = (pl.col("birth_date") != pl.col("account_birth_date")).fill_null(False)
    by_email = (
        new.join(free, left_on="email", right_on="account_email")
        .filter(same_role & ~((pl.col("kind") == STUDENT) & different_birth))
        .sort("rank", "external_id", "content", nulls_last=True)
        .unique("account_id", keep="first", maintain_order=True)
        .select("record", adopts="account_id")
    )
    first, last = (values.folded(pl.col(name)) for name in ("first_name", "last_name"))
    account_first, account_last = (values.folded(pl.col(f"account_{name}")) for name in ("first_name", "last_name"))
    by_hand = (
        free.filter("account_by_hand")
        .select("account_id", first=account_first, last=account_last, phone="account_phone", rank="account_rank")
        .drop_nulls()
        .filter(pl.len().over("first", "last", "phone", "rank") == 1)
        .join(by_email, left_on="account_id", right_on="adopts", how="anti")
    )
    by_phone = (
        new.filter(pl.col("kind") != STUDENT)
        .join(by_email, on="record", how="anti")
        .with_columns(first=first, last=last)
        .join(by_hand, on=["first", "last", "phone", "rank"])
        .sort("external_id", "content", nulls_last=True)
        .unique("account_id", keep="first", maintain_order=True)
        .select("record", adopts="account_id")
    )
    return pl.concat([by_email, by_phone])


def _contest(
    valid: pl.DataFrame, stored: StoredRoster, seen: pl.Series
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """The winning claims, the losers (record, lost), and the accounts of the district (account_id, email).

    valid: the valid records with rank, account_id (their link's, or the one they adopt), link_email, link_active.
    """
    holds = (pl.col("link_active") & (pl.col("link_email") == pl.col("email"))).fill_null(False)
    of_records = valid.filter(pl.col("email").is_not_null()).with_columns(is_new=~holds)
    # What goes on as last applied: rejected records, links of other sources, and schools the delivery lacks.
    silent = stored.links.filter(
        pl.col("active")
        & ~pl.col("former")
        & (~pl.col("from_this_source") | pl.col("beyond") | pl.col("link_id").is_in(seen.implode()))
    ).join(valid.select("link_id").drop_nulls(), on="link_id", how="anti")
    of_links = silent.drop_nulls("email").with_columns(rank=_rank(), is_new=pl.lit(False))
    known = pl.concat(
        [
            valid.select("account_id", "rank", "external_id", "content", "link_id", "link_email", claimed="email"),
            silent.select("account_id", "external_id", "link_id", rank=_rank(), link_email="email", claimed="email"),
        ],
        how="diagonal",
    ).drop_nulls("account_id")
    here = known.select("account_id").unique().with_columns(is_here=pl.lit(True))
    holding = stored.accounts.drop_nulls("email").join(here, on="account_id", how="left")
    kept = holding.filter(pl.col("linked") | pl.col("is_here")).select("account_id", "email")
    # An account may hold what no link of it says: a person's own edit, or what an adopted one had before. It is given
    # up when the record says something new.
    is_rewritten = pl.col("link_id").is_not_null() & pl.col("claimed").ne_missing(pl.col("link_email"))
    says_it = (pl.col("email") == pl.col("claimed")).fill_null(False)
    of_accounts = (
        kept.join(known, on="account_id")
        .filter(~(is_rewritten | says_it).any().over("account_id"))
        .with_columns(is_new=pl.lit(True))
    )
    claims = pl.concat([of_records, of_links, of_accounts], how="diagonal").select(_CLAIM)
    ordered = claims.sort(_ORDER, nulls_last=True)
    winners = ordered.unique("email", keep="first", maintain_order=True)
    foreign = holding.filter(~pl.col("linked") & pl.col("is_here").is_null()).select("email", is_foreign=pl.lit(True))
    judged = (
        claims.drop_nulls("record")
        .join(winners.select("email", winner="record", winning_account="account_id"), on="email")
        .join(foreign, on="email", how="left")
    )
    same = (pl.col("record") == pl.col("winner")) | (pl.col("account_id") == pl.col("winning_account"))
    losers = judged.filter(pl.col("is_foreign").fill_null(False) | ~same.fill_null(False)).select(
        "record", lost=pl.lit(True)
    )
    return winners.join(foreign, on="email", how="anti"), losers, kept


def _freed(winners: pl.DataFrame, kept: pl.DataFrame) -> pl.DataFrame:
    """account_id, email: accounts that hold an email that a record of another account won."""
    return (
        winners.drop_nulls("record")
        .select("email", winner="account_id")
        .join(kept, on="email")
        .filter(pl.col("winner").ne_missing(pl.col("account_id")))
        .select("account_id", "email")
        .unique()
    )
