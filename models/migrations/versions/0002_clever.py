"""A second kind of source, Clever, and pausing it for maintenance."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pause",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("district_id", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["district_id"],
            ["district.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("pause", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_pause_district_id"), ["district_id"], unique=False)

    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.add_column(sa.Column("may_remove", sa.Boolean(), nullable=False, server_default=sa.true()))

    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.alter_column("may_remove", server_default=None)

    with op.batch_alter_table("hold_reason", schema=None) as batch_op:
        batch_op.add_column(sa.Column("detail", sa.String(), nullable=True))

    with op.batch_alter_table("source", schema=None) as batch_op:
        batch_op.add_column(sa.Column("clever_district_id", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("last_sync", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("remote_state", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("remote_reason", sa.String(), nullable=True))
        batch_op.alter_column("folder", existing_type=sa.VARCHAR(), nullable=True)


def downgrade() -> None:
    raise NotImplementedError("going back is restoring the copy made before")
