"""What a hold shows, as CSV and in words, and what each decision would do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import polars as pl

from contracts.issues import DATA_REMOVALS, EMERGENCY_CONTACTS, TOO_MANY_GUARDIANS, UNUSUAL_CHANGES
from models.tables import HoldReason
from services import figures
from services.csv_export import to_csv
from services.holds.decisions import (
    _VERBS_COVERING_A_SET,
    ACCEPT,
    CONFIRM,
    CONFIRM_CHANGES,
    CONFIRM_REMOVALS,
    DECIDED,
    FIXED,
    LEAVE_OUT,
    RECHECK,
)
from services.holds.store import Hold
from services.planning.changesets import ITEMS, TYPES, Reason

_EVIDENCE: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        DATA_REMOVALS: {name: name for name in ("type", "record_id", "new_id", "counterpart_id", "name")},
        UNUSUAL_CHANGES: {
            name: name for name in ("type", "record_id", "name", "field", "before", "after", "counterpart_id")
        },
        TOO_MANY_GUARDIANS: {
            "student_id": "record_id",
            "student": "name",
            "guardian_id": "counterpart_id",
            "guardian": "after",
            "type": "field",
        },
        EMERGENCY_CONTACTS: {
            "student_id": "record_id",
            "student": "name",
            "contact_id": "counterpart_id",
            "contact": "after",
            "type": "field",
        },
    }
)


def evidence_csv(items: pl.DataFrame, reasons: Sequence[Reason | HoldReason] = ()) -> str:
    """A hold's evidence as a download; in the columns that fit, where it is of one reason.

    items: ITEMS. reasons: the hold's; figures of all schools together are added to the rows of their type.
    """
    codes = items["code"].unique().to_list()
    columns = {name: name for name in ITEMS if name != "key"} if len(codes) != 1 else dict(_EVIDENCE[codes[0]])
    table = items.select(**{name: pl.col(column) for name, column in columns.items()})
    if items["new_id"].null_count() == items.height:
        table = table.drop("new_id", strict=False)
    else:
        is_removal = items["code"] == DATA_REMOVALS
        change = (
            pl.when(pl.col("new_id").is_not_null()).then(pl.lit("ID changed")).when(is_removal).then(pl.lit("removed"))
        )
        table.insert_column(table.columns.index("type") + 1, table.select(change.alias("change")).to_series())
    together = {
        kind.removeprefix(figures.DISTRICT): figures.together(kind, counts)
        for reason in reasons
        for kind, counts in (reason.counts or {}).items()
        if kind.startswith(figures.DISTRICT)
    }
    if together:
        table = table.with_columns(
            all_schools=pl.when(items["code"] == DATA_REMOVALS).then(
                pl.col("type").replace_strict(together, default=None, return_dtype=pl.String)
            )
        )
    return to_csv(table)


def evidence_table(items: pl.DataFrame, code: str) -> pl.DataFrame:
    """Some of a reason's evidence in the columns of its download, those left out that are empty throughout."""
    columns = _EVIDENCE.get(code)
    if columns is None or items.is_empty():
        return pl.DataFrame()
    table = items.select(**{name: pl.col(column) for name, column in columns.items()})
    return table.select(series for series in table if series.null_count() < table.height)


def removals(counted: pl.DataFrame) -> dict[int, dict[str, int]]:
    """By hold and type, how many records confirming its removals would remove; IDs that change are none.

    counted: as `store.counted_items` gives it.
    """
    counts: dict[int, dict[str, int]] = {}
    removed = counted.filter(pl.col("is_removal")).select("hold_id", "type", "many")
    for hold_id, kind, many in sorted(removed.iter_rows(), key=lambda row: TYPES.index(row[1])):
        counts.setdefault(hold_id, {})[kind] = many
    return counts


def describe_counts(reason: Reason | HoldReason) -> list[str]:
    """What a reason counted, in words, a line for each type, with the limit it crossed."""
    return figures.describe(reason.counts or {})


def effects(hold: Hold, verb: str) -> list[str]:
    """What a decision about a hold will do, in words; no personal data.

    Other reasons are listed where the decision leaves the data alone: one that changes the data may end those, too.
    """
    about = [reason for reason in hold.reasons if verb == RECHECK or reason.code in DECIDED[verb]]
    effects_of = {
        CONFIRM: "Exactly this will be applied.",
        CONFIRM_REMOVALS: "Exactly this will be applied.",
        CONFIRM_CHANGES: "Exactly this will be applied.",
        ACCEPT: "These accounts will be created, and no hold asks again until these students' guardians change.",
        LEAVE_OUT: "They will be left out at all schools of this source from now on.",
        FIXED: "The source will be read again, and what is new processed.",
        RECHECK: "The newest data will be checked again; nothing is decided.",
    }[verb]
    lines = [
        f"{': '.join(filter(None, (hold.title(reason.code), '; '.join(describe_counts(reason)))))}. {effects_of}"
        for reason in about
    ]
    remaining = [code for code in hold.codes if code not in {reason.code for reason in about}]
    if not remaining or verb not in _VERBS_COVERING_A_SET:
        return lines
    return [*lines, f"The school stays on hold: {'; '.join(hold.title(code) for code in remaining)}"]
