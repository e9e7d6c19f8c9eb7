"""Which guardian entries are one person, and which of the source's links is theirs.

Rule: entries are one guardian when they share a guardian_id, or a phone and the full name, or an email and one of the
two names, transitively; what is compared is the joined person, not the single entry. Those contradict each other, and
nothing joins them, whose first names differ, and so do their phones or their guardian_ids. A guardian is found again
among the source's links by the first thing in common with what they last applied: guardian_id; phone and full name;
student's ID and full name; email and one name. One link, one guardian. Of what the source lacks altogether it says
nothing, so that what the links hold stays.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from itertools import chain, combinations
from types import MappingProxyType

import polars as pl

from contracts import values
from contracts.roster import GUARDIAN, SEEN_LINKS, SOURCE_LOCATION, STUDENT, Field, Schema, StoredRoster
from contracts.rules import Rule, breaking, contract

IDS = contract(
    "guardian IDs",
    {
        "guardian_id": (
            Rule("placeholder_value", ~pl.col("is_placeholder")),
            Rule("guardian_id_shared", ~pl.col("is_shared")),
        )
    },
)

# What tells entries apart. `solo_student_id` is the student's ID of an entry that has nothing to be known by elsewhere.
_COMPARED = ("guardian_id", "phone", "first", "last", "email", "solo_student_id")
_BY_ID = ("guardian_id",)
# What joins entries after a guardian_id, in this order.
_JOINING = (("phone", "full_name"), ("email", "first"), ("email", "last"))
# What a link is found by, in this order.
_FINDING = (
    (_BY_ID,),
    (("phone", "full_name"),),
    (("student_id", "full_name"),),
    (("email", "first"), ("email", "last")),
)
# What entries are filled with before they are joined, where the source lacks it.
_FILLED = ("guardian_id", "first_name", "last_name", "email", "phone")
_COMPARED_WITH = 10
_IN_PAIRS = ("relationship", "type")
_WHOSE = (GUARDIAN, "guardianship")


# By field of Guardians.
IDENTIFIED: Mapping[str, Schema] = MappingProxyType(
    {
        "people": {
            "guardian": pl.UInt32,  # numbered in order of what they are, not of rows
            "external_id": pl.String,
            "guardian_ids": pl.List(pl.String),
            "sis_id": pl.String,
            "first_name": pl.String,
            "last_name": pl.String,
            "email": pl.String,
            "phone": pl.String,
            "phone_extension": pl.String,
            "language": pl.String,
            # No entry has a good value, and one has a value that cannot be read or the source lacks the field, so that
            # the link's stays.
            "unread_email": pl.Boolean,
            "unread_phone": pl.Boolean,
            # Not the same in all entries.
            "differs_email": pl.Boolean,
            "differs_phone": pl.Boolean,
            "differs_language": pl.Boolean,
            "names_differ": pl.Boolean,
            **SOURCE_LOCATION,
            "link_id": pl.String,
        },
        "pairs": {
            "guardian": pl.UInt32,
            "student_id": pl.String,
            "relationship": pl.String,
            "type": pl.String,
            "differs_relationship": pl.Boolean,
            "differs_type": pl.Boolean,
            # The guardian cannot be provisioned, and the link is another person's, who is no guardian of this student.
            "is_anothers": pl.Boolean,
        },
        "entries": {"entry": pl.UInt32, "guardian": pl.UInt32, **SOURCE_LOCATION},
        "issues": {"entry": pl.UInt32, "code": pl.String},  # the guardian_ids that count as absent
        "seen": SEEN_LINKS,  # every link found, by left-out entries too
    }
)


@dataclass(frozen=True)
class Guardians:
    """The guardians of a delivery. Each frame is the one of its name in IDENTIFIED."""

    people: pl.DataFrame
    pairs: pl.DataFrame
    entries: pl.DataFrame
    issues: pl.DataFrame
    seen: pl.DataFrame


def identify(
    entries: pl.DataFrame, left_out: pl.DataFrame, stored: StoredRoster, absent: Collection[Field] = ()
) -> Guardians:
    """Join the entries into guardians, and find each one's link. The order of rows makes no difference but to lines.

    Rule: a guardian_id that is a placeholder, or shared by people who cannot be one, counts as absent.

    Args:
        entries: as in `contracts.checking.Records`.
        left_out: the entries of left-out schools, as in `contracts.checking.Records`.
        stored: what the database has of the district.
        absent: the fields that the source lacks altogether.
    """
    lacking = {"guardian_id" if name == "external_id" else name for whose, name in absent if whose in _WHOSE}
    links = _links(stored)
    named = _filled(_comparable(_without_placeholders(entries)), stored, lacking)
    shared = _shared_ids(named)
    named = _without_ids(named, shared)
    numbered = _numbered(named)
    people = _people(numbered, lacking)
    found = _found_again(numbered, people, links)
    strays = _stray(_without_ids(_comparable(_without_placeholders(left_out)), shared), links)
    return Guardians(
        people=_going_on(people, found, links, lacking).sort("guardian"),
        pairs=_pairs(numbered, found, stored, links, lacking),
        entries=numbered.select("entry", "guardian", "file", "line"),
        issues=_issues(entries, shared),
        seen=pl.concat([found.select("link_id"), strays]).unique(),
    )


# --- entries, as they are compared ---


def _without_placeholders(entries: pl.DataFrame) -> pl.DataFrame:
    return entries.with_columns(
        pl.when(~values.is_placeholder(pl.col(name))).then(name).alias(name) for name in ("guardian_id", "sis_id")
    )


def _without_ids(entries: pl.DataFrame, ids: pl.Series) -> pl.DataFrame:
    return entries.with_columns(guardian_id=pl.when(~pl.col("guardian_id").is_in(ids.implode())).then("guardian_id"))


def _issues(entries: pl.DataFrame, shared: pl.Series) -> pl.DataFrame:
    marked = entries.with_columns(
        is_placeholder=pl.any_horizontal(values.is_placeholder(pl.col(name)) for name in ("guardian_id", "sis_id")),
        is_shared=pl.col("guardian_id").is_in(shared.implode()).fill_null(False),
    )
    return breaking(IDS, marked).select("entry", "code")


def _comparable(entries: pl.DataFrame) -> pl.DataFrame:
    """With first, last and full_name as names are compared; full_name is null where there is no name at all."""
    first, last = (values.folded(pl.col(name)).replace("", None) for name in ("first_name", "last_name"))
    return entries.with_columns(first=first, last=last).with_columns(full_name=_full_name())


def _full_name() -> pl.Expr:
    full = pl.concat_str(pl.col("first").fill_null(""), pl.col("last").fill_null(""), separator="\n")
    return pl.when(full != "\n").then(full)


def _shared_ids(entries: pl.DataFrame) -> pl.Series:
    """The guardian_ids that are not one person's.

    Rule: two of the entries under it contradict each other, or have both names different, and neither phone nor email
    in common.
    """
    compared = ("guardian_id", "first", "last", "phone", "email")
    several = entries.select(compared).drop_nulls("guardian_id").unique().filter(pl.len().over("guardian_id") > 1)
    # As soon as there are several of both, two differ in both.
    contradict = (
        several.drop_nulls(["first", "phone"])
        .group_by("guardian_id")
        .agg(pl.col("first", "phone").n_unique())
        .filter((pl.col("first") > 1) & (pl.col("phone") > 1))
    )
    return pl.concat([contradict["guardian_id"], _of_strangers(several)]).unique().sort()


def _of_strangers(entries: pl.DataFrame) -> pl.Series:
    """The guardian_ids under which two have both names different, and neither phone nor email in common.

    Pairs are counted, not made: a guardian_id may stand in every row of a district. Those that have anything in common
    are counted by inclusion and exclusion, and fewer than all are too few.
    """
    named = entries.drop_nulls(["first", "last"])
    likely = named.group_by("guardian_id").agg(pl.col("first", "last").n_unique())
    named = named.join(likely.filter((pl.col("first") > 1) & (pl.col("last") > 1)), on="guardian_id", how="semi")

    def pairs(*same: str) -> pl.DataFrame:
        alike = named.drop_nulls(same).group_by("guardian_id", *same).agg(pl.len().cast(pl.Int64))
        return alike.group_by("guardian_id").agg(pairs=(pl.col("len") * (pl.col("len") - 1) // 2).sum())

    things = ("first", "last", "phone", "email")
    counted = [
        pairs(*same).with_columns(pairs=pl.col("pairs") * (1 if size % 2 else -1))
        for size in range(1, len(things) + 1)
        for same in combinations(things, size)
    ]
    alike = pl.concat(counted).group_by("guardian_id").agg(alike=pl.col("pairs").sum())
    return pairs().join(alike, on="guardian_id").filter(pl.col("alike") < pl.col("pairs"))["guardian_id"]


# --- which entries are one person ---


def _numbered(entries: pl.DataFrame) -> pl.DataFrame:
    """The entries with guardian, numbered by their content."""
    has_key = pl.any_horizontal(
        pl.all_horizontal(pl.col(name).is_not_null() for name in keys) for keys in (_BY_ID, *_JOINING)
    )
    named = entries.with_columns(solo_student_id=pl.when(~has_key).then("student_id"))
    nodes = (
        named.select(*_COMPARED, "full_name")
        .unique()
        .sort(_COMPARED, nulls_last=True)
        .with_columns(person=pl.int_range(pl.len(), dtype=pl.UInt32))
    )
    joined = _joined(nodes, _BY_ID)
    while True:
        before = joined["person"]
        for keys in _JOINING:
            joined = _joined(joined, keys)
        # Whoever has become one may have in common with somebody what their entries had not.
        if joined["person"].equals(before):
            break
    guardian = (pl.col("person").rank("dense") - 1).cast(pl.UInt32)
    return named.join(joined.select(*_COMPARED, guardian=guardian), on=_COMPARED, nulls_equal=True)


def _joined(nodes: pl.DataFrame, keys: tuple[str, ...]) -> pl.DataFrame:
    """The nodes with the person they have become by what they have in common in the keys.

    Rule: all persons under one value are joined, or, if any two of them contradict each other, none by that value.
    Values with a person in common join all of theirs, or, if any two of these contradict each other, nobody.
    """
    of_several = (_values(nodes, "person", key).filter(pl.len().over(key) > 1) for key in keys)
    groups = (
        _combinations(of_several, "person")
        .filter(pl.len().over(keys) > 1)
        .select("person", group=pl.struct(keys).rank("dense"))
    )
    if groups.is_empty():
        return nodes
    chains = _chains(groups.join(_contradicting(groups, nodes), on="group", how="anti"))
    together = chains.join(_contradicting(chains, nodes), on="group", how="anti")
    return (
        nodes.join(together, on="person", how="left", maintain_order="left")
        .with_columns(person=pl.coalesce("group", "person"))
        .drop("group")
    )


def _values(rows: pl.DataFrame, whose: str, name: str) -> pl.DataFrame:
    """Everyone's values of a column, each once."""
    return rows.select(whose, name).drop_nulls().unique()


def _contradicting(groups: pl.DataFrame, nodes: pl.DataFrame) -> pl.DataFrame:
    """group: those of groups (group, person) in which two persons contradict each other.

    Rule: their first names differ, and so do their phones or their guardian_ids. What one side lacks never differs,
    and several values differ when they have none in common.
    """
    named = (
        nodes.join(groups, on="person", how="semi")
        .group_by("person")
        .agg(least=pl.col("first").min(), most=pl.col("first").max())
    )
    several = groups.join(named, on="person").group_by("group").agg(pl.col("least").min(), pl.col("most").max())
    doubtful = groups.join(several.filter(pl.col("least") != pl.col("most")), on="group", how="semi")
    definite = (
        nodes.join(doubtful, on="person", how="semi")
        .group_by("person")
        .agg(pl.col(name).drop_nulls().unique().sort() for name in ("first", "phone", "guardian_id"))
    )
    found = []
    for name in ("phone", "guardian_id"):
        has_both = pl.all_horizontal(pl.col("first", name).list.len() > 0)
        known = doubtful.join(definite.filter(has_both), on="person").sort("group", "person")
        # Of people with one value of each, any two that are not the same tell whether others contradict either.
        some = known.unique(["group", "first", name], keep="first", maintain_order=True).filter(
            pl.int_range(pl.len()).over("group") < _COMPARED_WITH
        )
        in_common = [pl.col(each).list.set_intersection(f"{each}_other").list.len() for each in ("first", name)]
        pairs = known.join(some, on="group", suffix="_other")
        found.append(pairs.filter(pl.all_horizontal(common == 0 for common in in_common)).select("group"))
    return pl.concat(found).unique()


def _chains(groups: pl.DataFrame) -> pl.DataFrame:
    """person and group, now the least person of all that are connected by groups (group, person)."""
    people = groups["person"].unique().sort()
    numbers = pl.DataFrame({"person": people}).with_row_index("node")
    numbered = groups.join(numbers, on="person").select("node", least=pl.col("node").min().over("group"))
    # Union-find, with path halving. The root of a set is its least node.
    parents = list(range(len(people)))

    def root(node: int) -> int:
        while parents[node] != node:
            parents[node] = parents[parents[node]]
            node = parents[node]
        return node

    for node, least in numbered.filter(pl.col("node") != pl.col("least")).iter_rows():
        one, other = sorted((root(node), root(least)))
        parents[other] = one
    roots = pl.Series([root(node) for node in range(len(people))], dtype=pl.UInt32)
    return pl.DataFrame({"person": people, "group": people.gather(roots)})


# --- what a person holds ---


def _people(numbered: pl.DataFrame, lacking: Collection[str]) -> pl.DataFrame:
    """Each guardian's record: the name whole from one entry, the other fields those that sort first.

    Rule: no contact point is of an entry that contradicts the one that the name, or the phone, is from.
    """
    has_first, has_last = pl.col("first").is_not_null(), pl.col("last").is_not_null()
    ranked = numbered.with_columns(nameless=~has_first & ~has_last, one_only=~(has_first & has_last))
    named = _first(ranked, "nameless", "one_only", "first_name", "last_name", "phone", "guardian_id")
    agreeing = _agreeing(numbered, named)
    called = _first(agreeing, "phone", "phone_extension", "first", "guardian_id")
    reached = _agreeing(agreeing, called).group_by("guardian").agg(pl.col("email").min())
    fields = ("email", "phone", "language")
    joined = (
        numbered.sort("file", "line")
        .group_by("guardian", maintain_order=True)
        .agg(
            pl.col("guardian_id").drop_nulls().unique().sort().alias("guardian_ids"),
            pl.col("sis_id", "language").min(),
            pl.col("unread_email", "unread_phone").any(),
            *(_differs(name).alias(f"differs_{name}") for name in fields),
            pl.col("file", "line").first(),
            names_differ=_differs("first") | _differs("last"),
        )
    )
    return (
        joined.join(named.select("guardian", "first_name", "last_name"), on="guardian")
        .join(called.select("guardian", "phone", "phone_extension"), on="guardian")
        .join(reached, on="guardian")
        .with_columns(
            *(
                (pl.col(name).is_null() & (pl.col(f"unread_{name}") | (name in lacking))).alias(f"unread_{name}")
                for name in ("email", "phone")
            ),
            guardian_ids=pl.when(pl.col("guardian_ids").list.len() > 0).then("guardian_ids"),
            external_id=pl.col("guardian_ids").list.first(),
        )
    )


def _differs(name: str) -> pl.Expr:
    return (pl.col(name).min() != pl.col(name).max()).fill_null(False)


def _first(entries: pl.DataFrame, *order: str) -> pl.DataFrame:
    """Of each guardian's entries the first in this order, those that lack something last."""
    return entries.sort(order, nulls_last=True).unique("guardian", keep="first", maintain_order=True)


def _agreeing(entries: pl.DataFrame, chosen: pl.DataFrame) -> pl.DataFrame:
    """The entries that do not contradict the chosen one of their guardian."""
    names = ("first", "phone", "guardian_id")
    differs = {name: (pl.col(name) != pl.col(f"{name}_chosen")).fill_null(False) for name in names}
    return (
        entries.join(chosen.select("guardian", *names), on="guardian", suffix="_chosen")
        .filter(~(differs["first"] & (differs["phone"] | differs["guardian_id"])))
        .drop(f"{name}_chosen" for name in names)
    )


def _pairs(
    numbered: pl.DataFrame, found: pl.DataFrame, stored: StoredRoster, links: _Links, lacking: Collection[str]
) -> pl.DataFrame:
    pairs = numbered.group_by("guardian", "student_id").agg(
        *(pl.col(name).min() for name in _IN_PAIRS), *(_differs(name).alias(f"differs_{name}") for name in _IN_PAIRS)
    )
    last = stored.guardianships.join(links.students, on="student_link_id").select(
        "student_id", *(pl.col(name).alias(f"{name}_last") for name in _IN_PAIRS), link_id="guardian_link_id", was=True
    )
    is_heir = ~pl.col("is_stranger") & ~pl.col("contradicts")
    return (
        pairs.join(found, on="guardian", how="left")
        .join(last, on=["student_id", "link_id"], how="left")
        .with_columns(
            *(
                pl.coalesce(name, pl.when(is_heir).then(f"{name}_last")).alias(name)
                for name in _IN_PAIRS
                if name in lacking
            ),
            is_anothers=pl.col("is_stranger").fill_null(False) & pl.col("was").is_null(),
        )
        .select(*pairs.columns, "is_anothers")
    )


def _going_on(people: pl.DataFrame, found: pl.DataFrame, links: _Links, lacking: Collection[str]) -> pl.DataFrame:
    """The people with link_id, and with what it last applied of names, language and IDs that the source lacks.

    Rule: another person on an old ID inherits nothing.
    """
    filled = [name for name in ("first_name", "last_name", "language") if name in lacking]
    heirs = found.filter(~pl.col("is_stranger") & ~pl.col("contradicts")).select("guardian", "link_id")
    last = heirs.join(links.links.select("link_id", *filled, "guardian_ids"), on="link_id").drop("link_id")
    ids, last_ids = pl.col("guardian_ids"), pl.col("guardian_ids_last")
    if "guardian_id" in lacking:
        ids = pl.coalesce(ids.list.set_union(last_ids), ids, last_ids).list.sort()
    inherits = ~(pl.col("is_stranger") | pl.col("contradicts")).fill_null(False)
    return (
        people.join(found, on="guardian", how="left")
        .join(last, on="guardian", how="left", suffix="_last")
        .with_columns(
            *(pl.coalesce(name, f"{name}_last") for name in filled),
            *(pl.col(name) & inherits for name in ("unread_email", "unread_phone")),
            guardian_ids=ids,
        )
        .with_columns(external_id=pl.col("guardian_ids").list.first())
        .select(*people.columns, "link_id")
    )


# --- links ---


@dataclass(frozen=True)
class _Links:
    """The source's guardian links, and what each is known by.

    links: link_id, active, guardian_ids, first_name, last_name, email, phone, phone_extension, language, first, last,
    full_name. known_by: link_id, guardian_id, student_id, phone, email, first, last, full_name; every value that a link
    has is in one of its rows. students: student_id, student_link_id.
    """

    links: pl.DataFrame
    known_by: pl.DataFrame
    students: pl.DataFrame


def _links(stored: StoredRoster, lacking: Collection[str] = ()) -> _Links:
    """The links, as if nothing were stored in the lacking columns."""
    from_here = stored.links.filter("from_this_source")
    fields = ("guardian_ids", "first_name", "last_name", "email", "phone", "phone_extension", "language")
    emptied = (name for name in fields if name.replace("ids", "id") in lacking)
    links = _comparable(
        from_here.filter(kind=GUARDIAN)
        .select("link_id", "active", *fields)
        .with_columns(pl.lit(None, from_here.schema[name]).alias(name) for name in emptied)
    )
    students = from_here.filter(kind=STUDENT).select(student_id="external_id", student_link_id="link_id").drop_nulls()
    known_by = [
        links.select("link_id", "phone", "email", "first", "last", "full_name"),
        links.select("link_id", guardian_id="guardian_ids").explode("guardian_id"),
        stored.guardianships.join(students, on="student_link_id").select("student_id", link_id="guardian_link_id"),
    ]
    return _Links(links, pl.concat(known_by, how="diagonal"), students)


def _combinations(values_of: Iterable[pl.DataFrame], whose: str) -> pl.DataFrame:
    """Every combination of what each has, from one frame of `whose` and a column for each column."""
    return reduce(lambda one, other: one.join(other, on=whose), values_of)


def _candidates(rows: pl.DataFrame, by: str, links: _Links, tier: tuple[tuple[str, ...], ...]) -> pl.DataFrame:
    """The pairs (`by`, link_id) that have any of the tier's things in common."""
    if rows.is_empty() or links.links.is_empty():
        return pl.DataFrame(schema={by: rows.schema[by], "link_id": pl.String})
    matches = []
    for keys in tier:
        theirs = _combinations((_values(links.known_by, "link_id", key) for key in keys), "link_id")
        mine = _combinations((_values(rows, by, key).join(theirs, on=key, how="semi") for key in keys), by)
        matches.append(mine.join(theirs, on=keys).select(by, "link_id"))
    return pl.concat(matches).unique()


def _judged(pairs: pl.DataFrame, rows: pl.DataFrame, by: str, links: _Links) -> pl.DataFrame:
    """Of the pairs (`by`, link_id) those with another person than the link's: is_stranger, contradicts (Boolean).

    Rule: strangers have both names different and no email in common; who contradicts what the link last applied has
    another first name, and another phone or guardian_id.
    """
    names = ("first", "last", "email", "phone", "guardian_id")
    alike = (
        pairs.join(_values(rows, by, "first"), on=by)
        .join(links.links, on=["link_id", "first"], how="semi")
        .select(by, "link_id")
    )
    stored = links.links.select(
        "link_id", "guardian_ids", *(pl.col(name).alias(f"stored_{name}") for name in names[:-1])
    )
    same = {name: pl.col(name) == pl.col(f"stored_{name}") for name in names[:-1]}
    same["guardian_id"] = pl.when(pl.col("guardian_id").is_not_null()).then(
        pl.col("guardian_ids").list.contains(pl.col("guardian_id"))
    )
    differs = {name: ~pl.col(name).fill_null(True) for name in names}
    return (
        pairs.join(alike, on=[by, "link_id"], how="anti")
        .join(rows.select(by, *names), on=by)
        .join(stored, on="link_id")
        .with_columns(**same)
        .group_by(by, "link_id")
        .agg(pl.col(name).max() for name in names)
        .select(
            by,
            "link_id",
            is_stranger=differs["first"] & differs["last"] & ~pl.col("email").fill_null(False),
            contradicts=differs["first"] & (differs["phone"] | differs["guardian_id"]),
        )
        .filter(pl.col("is_stranger") | pl.col("contradicts"))
    )


def _found_again(numbered: pl.DataFrame, people: pl.DataFrame, links: _Links) -> pl.DataFrame:
    """guardian, link_id, is_stranger, contradicts (Boolean): each guardian's link, each link at most once.

    Rule: the same ID with both names different and no email in common is another person; one who cannot be provisioned
    is never taken for a newcomer in somebody's place. A link that a guardian contradicts is found by its ID only, and
    only if nobody else finds it.
    """
    named = pl.col("first_name").is_not_null() | pl.col("last_name").is_not_null()
    reachable = pl.col("email").is_not_null() | pl.col("phone").is_not_null()
    fit = people.filter(named & reachable).select("guardian")
    pair = ["guardian", "link_id"]
    found = pl.DataFrame(
        schema={"guardian": pl.UInt32, "link_id": pl.String, "is_stranger": pl.Boolean, "contradicts": pl.Boolean}
    )
    for tier, may_contradict in (*((tier, False) for tier in _FINDING), (_FINDING[0], True)):
        remaining = numbered.join(found, on="guardian", how="anti")
        free = _candidates(remaining, "guardian", links, tier).join(found, on="link_id", how="anti")
        if free.is_empty():
            continue
        judged = _judged(free, remaining, "guardian", links)
        newcomers = judged.filter("is_stranger").join(fit, on="guardian", how="semi")
        barred = pl.concat([newcomers, judged.filter(pl.col("contradicts") & (not may_contradict))])
        best = _mutual_best(_ranked(free.join(barred, on=pair, how="anti"), people, links))
        of_others = best.join(judged, on=pair, how="left").with_columns(
            pl.col("is_stranger", "contradicts").fill_null(False)
        )
        found = pl.concat([found, of_others])
    return found


def _ranked(pairs: pl.DataFrame, people: pl.DataFrame, links: _Links) -> pl.DataFrame:
    """guardian, link_id, rank: active links first, then those that agree in most with what the guardian is."""
    names = ("first", "last", "email", "phone", "guardian_ids")
    return (
        pairs.join(_comparable(people.join(pairs, on="guardian", how="semi")).select("guardian", *names), on="guardian")
        .join(links.links.select("link_id", "active", *names), on="link_id", suffix="_stored")
        .with_columns(
            agreement=pl.sum_horizontal(
                pl.col(name).eq_missing(pl.col(f"{name}_stored")).cast(pl.Int8) for name in names
            )
        )
        .sort("active", "agreement", "link_id", "guardian", descending=[True, True, False, False])
        .select("guardian", "link_id", rank=pl.int_range(pl.len()))
    )


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


def _stray(left_out: pl.DataFrame, links: _Links) -> pl.DataFrame:
    """link_id: the links that left-out entries are about, each by the first thing in common."""
    found = pl.DataFrame(schema={"entry": pl.UInt32, "link_id": pl.String})
    for tier in _FINDING:
        candidates = _candidates(left_out, "entry", links, tier)
        found = pl.concat([found, candidates.join(found, on="entry", how="anti")])
    return found.select("link_id").unique()


# --- what the source lacks altogether ---


def _filled(entries: pl.DataFrame, stored: StoredRoster, lacking: Collection[str]) -> pl.DataFrame:
    """The entries with what the source lacks of what guardians are known by, from the links of the student's guardians.

    Rule: an entry is filled where exactly one of the student's guardians matches it, and it alone matches them, by what
    is left of what links are found by.
    """
    filled = [name for name in _FILLED if name in lacking]
    if not filled:
        return entries
    links, left = _links(stored), _links(stored, filled)
    gone = {"student_id", *(name.removesuffix("_name") for name in filled)}
    if {"first", "last"} <= gone:
        gone.add("full_name")
    columns = ("student_id", "guardian_id", "first", "last", "full_name", "email", "phone")
    nodes = entries.select(columns).unique().with_row_index("node")
    found = pl.DataFrame(schema={"node": pl.UInt32, "student_id": pl.String, "link_id": pl.String})
    pair = ["student_id", "link_id"]
    for keys in chain(*_FINDING):
        common = [key for key in keys if key not in gone]
        if not common:
            continue
        matching = _candidates(nodes, "node", left, (("student_id", *common),))
        matching = matching.join(_judged(matching, nodes, "node", links), on=["node", "link_id"], how="anti")
        free = (
            matching.join(found, on="node", how="anti")
            .join(nodes.select("node", "student_id"), on="node")
            .join(found, on=pair, how="anti")
        )
        is_only_match = (pl.len().over("node") == 1) & (pl.len().over(pair) == 1)
        found = pl.concat([found, free.filter(is_only_match).select(found.columns)])
    last = links.links.with_columns(guardian_id=pl.col("guardian_ids").list.first())
    taken = [*filled, *(["phone_extension"] if "phone" in filled else [])]
    return _comparable(
        entries.join(nodes, on=columns, how="left", nulls_equal=True)
        .join(found.select("node", "link_id"), on="node", how="left")
        .join(last.select("link_id", *taken), on="link_id", how="left", suffix="_last")
        .with_columns(pl.coalesce(name, f"{name}_last") for name in taken)
        .select(entries.columns)
    )
