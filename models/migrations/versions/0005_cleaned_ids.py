"""Stored external IDs lose the blanks and invisible characters around them, as values that are read do; rows of issues.

Where two rows become one ID, the active one keeps it, else the oldest; the other gives its ID up. The program's own
functions are not used: a migration stays as it was made.
"""

from __future__ import annotations

import hashlib
import logging
import re
import unicodedata
from collections import defaultdict
from collections.abc import Hashable, Iterable

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

logger = logging.getLogger("rollcall.migrations")


def upgrade() -> None:
    with op.batch_alter_table("issue", schema=None) as batch_op:
        batch_op.add_column(sa.Column("other_rows", sa.String(), nullable=True))
    with op.batch_alter_table("district", schema=None) as batch_op:
        batch_op.add_column(sa.Column("date_order", sa.String(), nullable=True))
    with op.batch_alter_table("class", schema=None) as batch_op:
        batch_op.alter_column("source_id", existing_type=sa.String(), nullable=True)

    cleaned, given_up = defaultdict(int), defaultdict(int)
    for table, column, of, active in (
        ("link", "source_id", ("source", "kind"), "archived_at IS NULL"),
        ("class", "source_id", ("source", "school_id"), "archived_at IS NULL"),
        ("school", "source_school_id", ("source_id",), "on_plan AND NOT frozen"),
    ):
        cleaned[table], given_up[table] = _clean_ids(table, column, of, active)
    cleaned["guardian"] = _clean_guardian_ids()
    cleaned["hold"] = _clean_holds()
    if any(cleaned.values()):
        counts = ", ".join(f"{table} {count}" for table, count in cleaned.items() if count)
        lost = ", ".join(f"{table} {count}" for table, count in given_up.items() if count) or "none"
        logger.warning(
            "cleaned stored IDs of blanks and invisible characters: %s; gave theirs up, as another has it: %s",
            counts,
            lost,
        )


def downgrade() -> None:
    raise NotImplementedError("going back is restoring the copy made before")


def _clean(value: str) -> str:
    first, last = 0, len(value)
    while first < last and _is_nothing(value[first]):
        first += 1
    while last > first and _is_nothing(value[last - 1]):
        last -= 1
    return value[first:last]


def _is_nothing(character: str) -> bool:
    return character != "\0" and (character.isspace() or unicodedata.category(character) in ("Cf", "Cc"))


def _clean_ids(table: str, column: str, of: tuple[str, ...], active: str) -> tuple[int, int]:
    """Clean an ID that is unique with the columns `of`; gives how many changed, and how many gave theirs up."""
    bind = op.get_bind()
    rows = bind.execute(
        sa.text(f"SELECT id, {column}, {active} AS active, {', '.join(of)} FROM {table} WHERE {column} IS NOT NULL")
    ).all()
    changed = {row[0] for row in rows if _clean(row[1]) != row[1]}
    if not changed:
        return 0, 0
    claims: dict[Hashable, list[tuple[bool, str]]] = defaultdict(list)
    for row in rows:
        claims[(*row[3:], _clean(row[1]))].append((not row[2], row[0]))
    # Active before archived; IDs of ours sort by age.
    keeps = {min(claimants)[1] for claimants in claims.values()}
    gives_up = {identifier for claimants in claims.values() for _, identifier in claimants} - keeps
    # Emptied first, so that whoever keeps an ID finds it free.
    emptied = ", guardian_ids = NULL" if table == "link" else ""
    _each(
        f"UPDATE {table} SET {column} = NULL{emptied} WHERE id = :id", [{"id": identifier} for identifier in gives_up]
    )
    _each(
        f"UPDATE {table} SET {column} = :value WHERE id = :id",
        [{"id": row[0], "value": _clean(row[1]) or None} for row in rows if row[0] in changed & keeps],
    )
    return len(changed), len(gives_up)


def _clean_guardian_ids() -> int:
    rows = op.get_bind().execute(sa.text("SELECT id, guardian_ids FROM link WHERE guardian_ids IS NOT NULL")).all()
    changed = [
        {"id": identifier, "value": "\n".join(sorted({_clean(each) for each in ids.split("\n")} - {""})) or None}
        for identifier, ids in rows
        if any(_clean(each) != each for each in ids.split("\n"))
    ]
    _each("UPDATE link SET guardian_ids = :value WHERE id = :id", changed)
    return len(changed)


def _clean_holds() -> int:
    """Clean the IDs in what open holds show, and what they are compared by."""
    bind = op.get_bind()
    items = bind.execute(
        sa.text(
            "SELECT i.id, i.hold_id, i.key, i.record_id, i.other_id, i.new_id FROM hold_item i"
            " JOIN hold h ON h.id = i.hold_id WHERE h.ended_at IS NULL"
        )
    ).all()
    changed, holds = [], set()
    for identifier, hold_id, *ids in items:
        cleaned = [None if each is None else _parts_cleaned(each) for each in ids]
        if cleaned != ids:
            holds.add(hold_id)
            changed.append(dict(zip(("key", "record", "other", "new"), cleaned, strict=True)) | {"id": identifier})
    _each(
        "UPDATE hold_item SET key = :key, record_id = :record, other_id = :other, new_id = :new WHERE id = :id",
        changed,
    )
    _each("UPDATE hold SET digest = :digest WHERE id = :id", [{"id": each, "digest": _digest(each)} for each in holds])
    return len(holds)


def _parts_cleaned(value: str) -> str:
    """A key is put together of IDs by tabs, blanks and line ends."""
    return "".join(part if part in "\t\n " else _clean(part) for part in re.split(r"([\t\n ])", value))


def _digest(hold_id: int) -> str:
    bind = op.get_bind()
    with_set = {
        code
        for (code,) in bind.execute(sa.text("SELECT DISTINCT code FROM hold_item WHERE hold_id = :id"), {"id": hold_id})
    }
    reasons = bind.execute(sa.text("SELECT code, detail FROM hold_reason WHERE hold_id = :id"), {"id": hold_id}).all()
    items = bind.execute(
        sa.text('SELECT code, type, key, "after" FROM hold_item WHERE hold_id = :id'), {"id": hold_id}
    ).all()
    said = [code if detail is None or code in with_set else f"{code} {detail}" for code, detail in reasons]
    told = [
        f"{code} {kind} {key} {(after or '') if code == 'unusual_changes' else ''}" for code, kind, key, after in items
    ]
    return hashlib.sha256("\n".join([*sorted(said), *sorted(told)]).encode()).hexdigest()


def _each(statement: str, parameters: Iterable[dict[str, object]]) -> None:
    for each in parameters:
        op.get_bind().execute(sa.text(statement), each)
