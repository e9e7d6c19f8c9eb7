"""Which guardian entries are one person, and which of the source's links is theirs.

Rule: entries are one guardian when they share a guardian_id, or a phone and the full name, or an e-mail and one of the
two names, transitively. A guardian is found again among the source's links by the first thing in common with what they
last held: guardian_id; phone and full name; student's ID and full name; e-mail and one name. One link, one guardian.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from contracts import values
from contracts.roster import GUARDIAN, Held

# What tells entries apart. `alone` is the student's ID of an entry that has nothing to be known by elsewhere.
_COMPARED = ("guardian_id", "phone", "first", "last", "email", "alone")
# What an entry can be known by, in the order in which a link is looked for.
_TIERS = (
    (("guardian_id",),),
    (("phone", "full_name"),),
    (("student_id", "full_name"),),
    (("email", "first"), ("email", "last")),
)
_JOINING = (("guardian_id",), ("phone", "full_name"), ("email", "first"), ("email", "last"))


@dataclass(frozen=True)
class Guardians:
    """The guardians of a delivery.

    people: guardian (UInt32, in order of what they are, not of rows), source_id, guardian_ids (List), first_name,
    last_name, email, phone, phone_extension, language, file, line, link_id, names_differ, and differs_ columns of the
    fields that were not the same in all entries. pairs: guardian, student_id, relationship, type, differs_relationship,
    differs_type. entries: entry, guardian, file, line. seen: link_id of every link found, by left-out entries too.
    """

    people: pl.DataFrame
    pairs: pl.DataFrame
    entries: pl.DataFrame
    seen: pl.DataFrame


def identify(entries: pl.DataFrame, left_out: pl.DataFrame, held: Held) -> Guardians:
    """Join the entries into guardians, and find each one's link.

    entries, left_out: as in `contracts.checking.Records`. The order of the entries makes no difference but to lines.
    """
    named = _numberable(_comparable(entries))
    numbered = named.join(_grouped(named), on=_COMPARED, nulls_equal=True)
    people = _people(numbered)
    links = _links(held)
    linked = _found_again(numbered, people, links)
    strays = _stray(_comparable(left_out), links)
    pairs = numbered.group_by("guardian", "student_id").agg(
        *(pl.col(name).min() for name in ("relationship", "type")),
        *(
            (pl.col(name).min() != pl.col(name).max()).fill_null(False).alias(f"differs_{name}")
            for name in ("relationship", "type")
        ),
    )
    return Guardians(
        people=people.join(linked, on="guardian", how="left").sort("guardian"),
        pairs=pairs,
        entries=numbered.select("entry", "guardian", "file", "line"),
        seen=pl.concat([linked.select("link_id"), strays]).unique(),
    )


def _comparable(entries: pl.DataFrame) -> pl.DataFrame:
    """With first, last and full_name as names are compared; full_name is null where there is no name at all."""
    first, last = (values.folded(pl.col(name)) for name in ("first_name", "last_name"))
    return entries.with_columns(first=first, last=last).with_columns(full_name=_full_name())


def _numberable(entries: pl.DataFrame) -> pl.DataFrame:
    has_key = pl.any_horizontal(pl.all_horizontal(pl.col(name).is_not_null() for name in keys) for keys in _JOINING)
    return entries.with_columns(alone=pl.when(~has_key).then("student_id"))


def _full_name() -> pl.Expr:
    full = pl.concat_str(pl.col("first").fill_null(""), pl.col("last").fill_null(""), separator="\n")
    return pl.when(full != "\n").then(full)


def _grouped(entries: pl.DataFrame) -> pl.DataFrame:
    """_COMPARED and guardian: the connected components of the entries, numbered by their content.

    Labels spread along shared keys to the least of the numbers, and each step follows the labels found so far, so that
    the number of steps grows with the logarithm of the longest chain.
    """
    nodes = entries.select(*_COMPARED, "full_name").unique().sort([*_COMPARED], nulls_last=True).with_row_index("node")
    edges = [
        nodes.drop_nulls(keys)
        .select("node", pl.struct(pl.lit(number).alias("tier"), *keys).rank("dense").alias("key"))
        .filter(pl.len().over("key") > 1)
        .with_columns(pl.lit(number, pl.UInt8).alias("tier"))
        for number, keys in enumerate(_JOINING)
    ]
    shared = pl.concat(edges).select("node", key=pl.struct("tier", "key").rank("dense"))
    label = nodes["node"].alias("label")
    while True:
        least = (
            shared.with_columns(label=label.gather(shared["node"]))
            .with_columns(pl.col("label").min().over("key"))
            .group_by("node")
            .agg(pl.col("label").min().alias("least"))
        )
        # A label points at a node of the same guardian: it takes what its node has found, too.
        offered = pl.concat([least.select(at=label.gather(least["node"]), least="least"), least.rename({"node": "at"})])
        best = offered.group_by("at").agg(pl.col("least").min())
        new = (
            pl.DataFrame({"at": nodes["node"], "label": label})
            .join(best, on="at", how="left", maintain_order="left")
            .select(pl.min_horizontal("label", "least").alias("label"))
            .to_series()
        )
        new = new.gather(new)
        if new.equals(label):
            break
        label = new
    number = (pl.col("label").rank("dense") - 1).cast(pl.UInt32)
    return nodes.with_columns(label=label).select(*_COMPARED, guardian=number)


def _people(numbered: pl.DataFrame) -> pl.DataFrame:
    """Each guardian's record: the name whole from one entry, the other fields those that sort first."""
    fields = ("email", "phone", "language")
    differs = [(pl.col(name).min() != pl.col(name).max()).fill_null(False).alias(f"differs_{name}") for name in fields]
    joined = (
        numbered.sort("file", "line")
        .group_by("guardian", maintain_order=True)
        .agg(
            pl.col("guardian_id").drop_nulls().unique().sort().alias("guardian_ids"),
            *(pl.col(name).min() for name in ("other_id", *fields)),
            pl.col("phone_extension").filter(pl.col("phone") == pl.col("phone").min()).min(),
            *differs,
            *(
                (pl.col(name).min() != pl.col(name).max()).fill_null(False).alias(f"spelled_{name}")
                for name in ("first", "last")
            ),
            pl.col("file").first(),
            pl.col("line").first(),
        )
    )
    both = pl.col("first_name").is_not_null() & pl.col("last_name").is_not_null()
    names = (
        numbered.select("guardian", "first_name", "last_name", one_only=~both, nameless=pl.col("full_name").is_null())
        .unique()
        .sort("guardian", "nameless", "one_only", "first_name", "last_name", nulls_last=True)
        .unique("guardian", keep="first", maintain_order=True)
        .select("guardian", "first_name", "last_name")
    )
    known = pl.col("guardian_ids").list.len() > 0
    return (
        joined.join(names, on="guardian")
        .with_columns(
            source_id=pl.col("guardian_ids").list.first(),
            guardian_ids=pl.when(known).then("guardian_ids"),
            names_differ=pl.col("spelled_first") | pl.col("spelled_last"),
        )
        .drop("spelled_first", "spelled_last")
    )


@dataclass(frozen=True)
class _Links:
    """The source's guardian links, and what each is known by, one frame for each column that an entry may have."""

    links: pl.DataFrame
    known_by: pl.DataFrame


def _links(held: Held) -> _Links:
    own = held.links.filter(pl.col("own") & (pl.col("kind") == GUARDIAN))
    links = _comparable(own.select("link_id", "active", "guardian_ids", "first_name", "last_name", "email", "phone"))
    students = held.guardianships.join(
        held.links.select(student_link_id="link_id", student_id="source_id"), on="student_link_id"
    ).select("student_id", link_id="guardian_link_id")
    ids = links.select("link_id", guardian_id="guardian_ids").explode("guardian_id").drop_nulls()
    plain = links.select("link_id", "phone", "first", "last", "full_name", "email")
    nothing = {"guardian_id": pl.String, "student_id": pl.String}
    known_by = pl.concat(
        [
            plain.with_columns(pl.lit(None, dtype).alias(name) for name, dtype in nothing.items()),
            ids,
            students.join(links.select("link_id", "full_name"), on="link_id"),
        ],
        how="diagonal",
    )
    return _Links(links, known_by)


def _candidates(entries: pl.DataFrame, links: _Links, by: str) -> Iterator[pl.DataFrame]:
    """For each tier, the pairs (`by`, link_id) that have its thing in common."""
    for tier in _TIERS:
        matches = [
            entries.select(by, *keys)
            .drop_nulls()
            .unique()
            .join(links.known_by.select("link_id", *keys).drop_nulls().unique(), on=keys)
            .select(by, "link_id")
            for keys in tier
        ]
        yield pl.concat(matches).unique()


def _found_again(numbered: pl.DataFrame, people: pl.DataFrame, links: _Links) -> pl.DataFrame:
    """guardian, link_id. What a guardian is as a whole counts beside each of their entries."""
    whole = _comparable(people).select("guardian", "phone", "first", "last", "email", "full_name")
    entries = pl.concat(
        [numbered.select("guardian", "guardian_id", "student_id", *whole.columns[1:]), whole], how="diagonal"
    )
    held = links.links.rename({name: f"held_{name}" for name in ("first", "last", "email", "phone", "guardian_ids")})
    found = pl.DataFrame(schema={"guardian": pl.UInt32, "link_id": pl.String})
    strangers = _strangers(entries, people, links)
    for tier, candidates in enumerate(_candidates(entries, links, "guardian")):
        free = candidates.join(found, on="guardian", how="anti").join(found, on="link_id", how="anti")
        if tier == 0:
            free = free.join(strangers, on=["guardian", "link_id"], how="anti")
        agreement = pl.sum_horizontal(
            *(
                pl.col(name).eq_missing(pl.col(f"held_{name}")).cast(pl.Int8)
                for name in ("first", "last", "email", "phone")
            ),
            pl.col("guardian_ids").eq_missing(pl.col("held_guardian_ids")).cast(pl.Int8),
        )
        ranked = (
            free.join(whole.select("guardian", "first", "last", "email", "phone"), on="guardian")
            .join(people.select("guardian", "guardian_ids"), on="guardian")
            .join(held.select("link_id", "active", "^held_.*$"), on="link_id")
            .with_columns(agreement=agreement)
            .sort("active", "agreement", "link_id", "guardian", descending=[True, True, False, False])
            .select("guardian", "link_id", pl.int_range(pl.len()).alias("rank"))
        )
        found = pl.concat([found, _mutual_best(ranked)])
    return found


def _mutual_best(ranked: pl.DataFrame) -> pl.DataFrame:
    """Pairs out of the candidates, each guardian and link once: those that are each other's best, again and again."""
    found = [ranked.clear().drop("rank")]
    while ranked.height:
        best = ranked.filter(
            (pl.col("rank") == pl.col("rank").min().over("guardian"))
            & (pl.col("rank") == pl.col("rank").min().over("link_id"))
        ).drop("rank")
        found.append(best)
        ranked = ranked.join(best, on="guardian", how="anti").join(best, on="link_id", how="anti")
    return pl.concat(found)


def _strangers(entries: pl.DataFrame, people: pl.DataFrame, links: _Links) -> pl.DataFrame:
    """guardian, link_id: with the same guardian_id, and nevertheless two people.

    Rule: the same ID with both names different and no e-mail in common is another person. One who cannot be
    provisioned is never taken for a newcomer in somebody's place.
    """
    same_id, *_ = _candidates(entries, links, "guardian")
    provisioned = people.filter(
        (pl.col("first_name").is_not_null() | pl.col("last_name").is_not_null())
        & (pl.col("email").is_not_null() | pl.col("phone").is_not_null())
    )
    spelled = entries.select("guardian", "first", "last", "email").unique()
    compared = (
        same_id.join(provisioned, on="guardian", how="semi")
        .join(spelled, on="guardian")
        .join(links.links.select("link_id", "first", "last", "email"), on="link_id", suffix="_held")
        .with_columns(
            same_first=pl.col("first") == pl.col("first_held"),
            same_last=pl.col("last") == pl.col("last_held"),
            same_email=pl.col("email") == pl.col("email_held"),
        )
    )
    four = pl.col("same_first").is_not_null() & pl.col("same_last").is_not_null()
    judged = compared.group_by("guardian", "link_id").agg(
        named=four.any(),
        alike=((pl.col("same_first") | pl.col("same_last")) & four).any(),
        same_email=pl.col("same_email").fill_null(False).any(),
    )
    return judged.filter(pl.col("named") & ~pl.col("alike") & ~pl.col("same_email")).select("guardian", "link_id")


def _stray(left_out: pl.DataFrame, links: _Links) -> pl.DataFrame:
    """link_id: the links that left-out entries are about, each by the first thing in common."""
    found = pl.DataFrame(schema={"entry": pl.UInt32, "link_id": pl.String})
    for candidates in _candidates(left_out, links, "entry"):
        found = pl.concat([found, candidates.join(found, on="entry", how="anti")])
    return found.select("link_id").unique()
