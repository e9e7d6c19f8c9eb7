"""What the report needs: who signs in, what they did, muted alerts, counts, and what each run changed of a record."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from models.types import UTC

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# What a setup file says of a district in any case. Which of the others it named is not known; those that are set count.
_ALWAYS = ["administrators", "name", "phone_region", "school", "source", "timezone"]


def upgrade() -> None:
    _add("district", sa.Column("setup_keys", sa.JSON(), nullable=True))
    _add("district", sa.Column("mail_schedule", sa.JSON(), nullable=True))
    _add_filled("district", sa.Column("pause_notices", sa.Boolean()), "true")
    _add_filled("source", sa.Column("in_report", sa.Boolean()), "false")
    _add_filled("school", sa.Column("administrators", sa.JSON()), "'[]'")
    _add_filled("school", sa.Column("matched_in_report", sa.Boolean()), "false")
    _add_filled("school", sa.Column("teachers", sa.Integer()), _counted("employee", "teacher"))
    _add_filled("school", sa.Column("students", sa.Integer()), _counted("student", "student"))
    for name in ("teachers", "students", "errors", "alerts"):
        _add("school_run", sa.Column(name, sa.Integer(), nullable=True))
    _add("delivery", sa.Column("checked_at", UTC(timezone=True), nullable=True))
    op.create_index("school_run_outcome", "school_run", ["school_id", "outcome", "at"])
    op.drop_index("ix_school_run_school_id", "school_run")
    op.create_index("school_run_school", "school_run", ["school_id", "id"])
    op.create_index("run_outcome", "run", ["source_id", "outcome", "id"])
    op.drop_index("issue_source_school", "issue")
    op.create_index("issue_source_school", "issue", ["source_id", "school_id", "code"])
    _fill_setup_keys()
    _create_tables()
    _protect_audit()


def _add(table: str, column: sa.Column[object]) -> None:
    with op.batch_alter_table(table, schema=None) as batch_op:
        batch_op.add_column(column)


def _add_filled(table: str, column: sa.Column[object], value: str) -> None:
    """Add a column that is never null, with this SQL as the value of the rows that are there."""
    column.nullable = True
    _add(table, column)
    op.execute(sa.text(f"UPDATE {table} SET {column.name} = {value}"))
    with op.batch_alter_table(table, schema=None) as batch_op:
        batch_op.alter_column(column.name, existing_type=column.type, nullable=False)


def _counted(kind: str, role: str) -> str:
    return (
        "(SELECT count(DISTINCT l.account_id) FROM school_membership m JOIN link l ON l.id = m.link_id"
        " JOIN account a ON a.id = l.account_id WHERE m.school_id = school.id AND m.active"
        f" AND l.archived_at IS NULL AND a.archived_at IS NULL AND l.kind = '{kind}' AND l.role = '{role}')"
    )


def _fill_setup_keys() -> None:
    district = sa.table(
        "district",
        sa.column("id"),
        sa.column("limits", sa.JSON(none_as_null=True)),
        sa.column("date_order"),
        sa.column("setup_keys", sa.JSON(none_as_null=True)),
    )
    connection = op.get_bind()
    for row in connection.execute(sa.select(district.c.id, district.c.limits, district.c.date_order)).all():
        named = [*_ALWAYS, *(["limits"] if row.limits else []), *(["date_order"] if row.date_order else [])]
        connection.execute(district.update().where(district.c.id == row.id).values(setup_keys=sorted(named)))


def _create_tables() -> None:
    op.create_table(
        "digest",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("district_id", sa.String(), nullable=False),
        sa.Column("schedule", sa.String(), nullable=False),
        sa.Column("made_at", UTC(timezone=True), nullable=False),
        sa.Column("last_notice_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["district_id"], ["district.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("district_id", "schedule"),
    )
    op.create_table(
        "alert_mute",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("school_id", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at", UTC(timezone=True), nullable=False),
        sa.Column("until", UTC(timezone=True), nullable=False),
        sa.Column("ended_at", UTC(timezone=True), nullable=True),
        sa.Column("ended_by", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["school_id"], ["school.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_alert_mute_school_id", "alert_mute", ["school_id"])
    op.create_table(
        "record_change",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("school_id", sa.String(), nullable=False),
        sa.Column("subject_id", sa.String(), nullable=False),
        sa.Column("at", UTC(timezone=True), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("fields", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"]),
        sa.ForeignKeyConstraint(["school_id"], ["school.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("record_change_subject", "record_change", ["subject_id", "id"])
    op.create_table(
        "report_session",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("created_at", UTC(timezone=True), nullable=False),
        sa.Column("last_seen_at", UTC(timezone=True), nullable=False),
        sa.Column("ended_at", UTC(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token_hash"),
    )
    op.create_index("ix_report_session_email", "report_session", ["email"])
    op.create_table(
        "sign_in_link",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("network", sa.String(), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("code_hash", sa.String(), nullable=False),
        sa.Column("browser_hash", sa.String(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("issuer", sa.String(), nullable=True),
        sa.Column("subject", sa.String(), nullable=True),
        sa.Column("created_at", UTC(timezone=True), nullable=False),
        sa.Column("used_at", UTC(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token_hash"),
    )
    op.create_index("ix_sign_in_link_email", "sign_in_link", ["email"])
    op.create_index("ix_sign_in_link_network", "sign_in_link", ["network"])
    op.create_table(
        "openid_request",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("state_hash", sa.String(), nullable=False),
        sa.Column("browser_hash", sa.String(), nullable=False),
        sa.Column("network", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("nonce", sa.String(), nullable=False),
        sa.Column("code_verifier", sa.String(), nullable=False),
        sa.Column("next_path", sa.String(), nullable=False),
        sa.Column("issuer", sa.String(), nullable=True),
        sa.Column("subject", sa.String(), nullable=True),
        sa.Column("created_at", UTC(timezone=True), nullable=False),
        sa.Column("used_at", UTC(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("state_hash"),
    )
    op.create_index("ix_openid_request_browser_hash", "openid_request", ["browser_hash"])
    op.create_index("ix_openid_request_network", "openid_request", ["network"])
    op.create_table(
        "openid_identity",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("linked_at", UTC(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("issuer", "subject"),
    )
    op.create_index("ix_openid_identity_email", "openid_identity", ["email"])
    op.create_table(
        "access_token",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("district_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("created_at", UTC(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("last_used_at", UTC(timezone=True), nullable=True),
        sa.Column("revoked_at", UTC(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["district_id"], ["district.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token_hash"),
    )
    op.create_index("ix_access_token_district_id", "access_token", ["district_id"])
    op.create_table(
        "audit_entry",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", UTC(timezone=True), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("district_id", sa.String(), nullable=True),
        sa.Column("school_id", sa.String(), nullable=True),
        sa.Column("subject", sa.String(), nullable=True),
        sa.Column("detail", sa.String(), nullable=True),
        sa.Column("network", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["district_id"], ["district.id"]),
        sa.ForeignKeyConstraint(["school_id"], ["school.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("audit_entry_district", "audit_entry", ["district_id", "id"])
    op.create_table(
        "webhook",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("district_id", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("secret", sa.String(), nullable=False),
        sa.Column("created_at", UTC(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("last_change_id", sa.Integer(), nullable=False),
        sa.Column("ended_at", UTC(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["district_id"], ["district.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_webhook_district_id", "webhook", ["district_id"])
    op.create_table(
        "webhook_call",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("webhook_id", sa.Integer(), nullable=False),
        sa.Column("change_id", sa.Integer(), nullable=True),
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("created_at", UTC(timezone=True), nullable=False),
        sa.Column("next_at", UTC(timezone=True), nullable=False),
        sa.Column("sent_at", UTC(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("problem", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["change_id"], ["status_change.id"]),
        sa.ForeignKeyConstraint(["webhook_id"], ["webhook.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("message_id"),
        sa.UniqueConstraint("webhook_id", "change_id"),
    )


def _protect_audit() -> None:
    """Refuse every change and removal of what was audited."""
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_entry_no_{verb.lower()} BEFORE {verb} ON audit_entry"
                " BEGIN SELECT RAISE(ABORT, 'the audit log is only ever added to'); END"
            )
        # INSERT OR REPLACE removes a row without its DELETE trigger.
        op.execute(
            "CREATE TRIGGER audit_entry_no_replace BEFORE INSERT ON audit_entry"
            " WHEN EXISTS (SELECT 1 FROM audit_entry WHERE id = NEW.id)"
            " BEGIN SELECT RAISE(ABORT, 'the audit log is only ever added to'); END"
        )
        return
    op.execute(
        "CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'the audit log is only ever added to'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_entry_only_added BEFORE UPDATE OR DELETE ON audit_entry"
        " FOR EACH ROW EXECUTE FUNCTION refuse_audit_change()"
    )
    op.execute(
        "CREATE TRIGGER audit_entry_not_emptied BEFORE TRUNCATE ON audit_entry"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()"
    )


def downgrade() -> None:
    raise NotImplementedError("going back is restoring the copy made before")
