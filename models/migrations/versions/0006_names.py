"""Columns and outcomes get the words of the field: source_id points to the source, external_id is its own ID of a row.

Renaming is done in plain SQL, which both databases know: no table is copied, and on PostgreSQL the constraints that
were named after a column follow it.
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# Table, old name, new name; in this order, as some take a name that another one gave up.
_COLUMNS = (
    ("link", "source_id", "external_id"),
    ("link", "source", "source_id"),
    ("class", "source_id", "external_id"),
    ("class", "source", "source_id"),
    ("issue", "source", "source_id"),
    ("school", "source_school_id", "external_id"),
    ("issue", "consequences", "dependents"),
    ("hold_item", "other_id", "counterpart_id"),
    ("delivery", "received_at", "last_received_at"),
    ("delivery", "taken_at", "received_at"),
    ("delivery", "receipts", "duplicates"),
    ("source", "received_at", "last_received_at"),
    ("source", "last_taken_id", "last_delivery_id"),
    ("run", "alive_at", "heartbeat_at"),
)
_CONSTRAINTS = (
    ("link", "link_source_kind_source_id_key", "link_source_id_kind_external_id_key"),
    ("link", "link_source_fkey", "link_source_id_fkey"),
    ("class", "class_source_school_id_source_id_key", "class_source_id_school_id_external_id_key"),
    ("class", "class_source_fkey", "class_source_id_fkey"),
    ("issue", "issue_source_fkey", "issue_source_id_fkey"),
)
# Table, column, old value, new value.
_VALUES = (
    ("delivery", "outcome", "taken", "received"),
    ("run", "outcome", "receipt", "duplicate"),
    ("run", "outcome", "died", "interrupted"),
    ("run", "outcome", "held", "on_hold"),
    ("school_run", "outcome", "held", "on_hold"),
    ("notice", "kind", "held", "on_hold"),
)


def upgrade() -> None:
    for table, old, new in _COLUMNS:
        op.execute(f'ALTER TABLE "{table}" RENAME COLUMN "{old}" TO "{new}"')
    for table, column, old, new in _VALUES:
        op.execute(f"UPDATE {table} SET {column} = '{new}' WHERE {column} = '{old}'")
    if op.get_bind().dialect.name == "postgresql":
        for table, old, new in _CONSTRAINTS:
            op.execute(f'ALTER TABLE "{table}" RENAME CONSTRAINT "{old}" TO "{new}"')


def downgrade() -> None:
    raise NotImplementedError("going back is restoring the copy made before")
