"""IDs of anonymized people become keyed hashes, and the audit log outlasts a district that is erased."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# SQLite's foreign keys have no names; PostgreSQL calls them so by itself.
NAMES = {"fk": "%(table_name)s_%(column_0_name)s_fkey"}
ONLY_ADDED = "BEGIN SELECT RAISE(ABORT, 'the audit log is only ever added to'); END"


def upgrade() -> None:
    with op.batch_alter_table("link") as batch_op:
        batch_op.add_column(sa.Column("id_hashes", sa.String(), nullable=True))
    with op.batch_alter_table("audit_entry", naming_convention=NAMES) as batch_op:
        for column in ("district_id", "school_id"):
            batch_op.drop_constraint(f"audit_entry_{column}_fkey", type_="foreignkey")
    if op.get_bind().dialect.name != "sqlite":
        return
    # There the table was made anew, and its triggers went with the old one.
    for verb in ("UPDATE", "DELETE"):
        op.execute(f"CREATE TRIGGER audit_entry_no_{verb.lower()} BEFORE {verb} ON audit_entry {ONLY_ADDED}")
    op.execute(
        "CREATE TRIGGER audit_entry_no_replace BEFORE INSERT ON audit_entry"
        f" WHEN EXISTS (SELECT 1 FROM audit_entry WHERE id = NEW.id) {ONLY_ADDED}"
    )


def downgrade() -> None:
    raise NotImplementedError("going back is restoring the copy made before")
