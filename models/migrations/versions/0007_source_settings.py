"""What a source's adapter needs to know is one column of settings, whatever the kind; and whether a pause stops it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("source", schema=None) as batch_op:
        batch_op.add_column(sa.Column("settings", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("pausable", sa.Boolean(), nullable=True))
    source = sa.table(
        "source",
        *(sa.column(name) for name in ("id", "kind", "folder", "quiet_seconds", "clever_district_id")),
        sa.column("settings", sa.JSON),
        sa.column("pausable", sa.Boolean),
    )
    connection = op.get_bind()
    for row in connection.execute(sa.select(source)).all():
        if row.kind == "clever":
            settings = {"district_id": row.clever_district_id}
        else:
            settings = {"folder": row.folder, "quiet_seconds": row.quiet_seconds}
        changes = source.update().where(source.c.id == row.id)
        connection.execute(changes.values(settings=settings, pausable=row.kind == "clever"))
    with op.batch_alter_table("source", schema=None) as batch_op:
        batch_op.alter_column("settings", existing_type=sa.JSON(), nullable=False)
        batch_op.alter_column("pausable", existing_type=sa.Boolean(), nullable=False)
        for name in ("folder", "quiet_seconds", "clever_district_id"):
            batch_op.drop_column(name)


def downgrade() -> None:
    raise NotImplementedError("going back is restoring the copy made before")
