"""The sources that a night leaves for shards to sync."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from models.types import UTC

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "queued_source",
        sa.Column("source_id", sa.String(), nullable=False),
        sa.Column("last_run_at", UTC(timezone=True), nullable=False),
        sa.Column("start_by", UTC(timezone=True), nullable=True),
        sa.Column("takes", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["source_id"], ["source.id"]),
        sa.PrimaryKeyConstraint("source_id"),
    )
    op.create_index("queued_source_order", "queued_source", ["takes", "last_run_at", "source_id"])


def downgrade() -> None:
    raise NotImplementedError("going back is restoring the copy made before")
