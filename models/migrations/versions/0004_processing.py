"""Since when a run has something to bring in, and since when Clever has had a problem with a district."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.add_column(sa.Column("processing_since", sa.DateTime(timezone=True), nullable=True))

    with op.batch_alter_table("source", schema=None) as batch_op:
        batch_op.add_column(sa.Column("not_ready_since", sa.DateTime(timezone=True), nullable=True))

    # A run that died with a delivery in hand is told of as one once it is taken over.
    op.execute("UPDATE run SET processing_since = started_at WHERE ended_at IS NULL AND delivery_id IS NOT NULL")


def downgrade() -> None:
    raise NotImplementedError("going back is restoring the copy made before")
