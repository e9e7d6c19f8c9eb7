"""Every released schema, with data, comes to today's by its migrations: nothing is lost, on both databases."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlmodel import SQLModel

from models.database import KNOWN_REVISIONS, NEWEST_REVISION, migrate, open_database
from tests.models.migrating import SNAPSHOTS, UPGRADES, Rows, restore, rows_of

CHANGELOG = Path(__file__).parent.parent.parent / "CHANGELOG.md"
# The schemas that came with the version that CHANGELOG.md calls unreleased.
UNRELEASED = ("0006", "0007", "0008", "0009", "0010", "0011", "0012")
# What each migration adds: table -> column -> the value of rows that were there.
ADDED: dict[str, dict[str, dict[str, Any]]] = {
    "0002": {
        "delivery": {"may_remove": True},
        "hold_reason": {"detail": None},
        "source": dict.fromkeys(("clever_district_id", "last_sync", "remote_state", "remote_reason")),
        "pause": {},
    },
    "0003": {
        "account": {"claimed_at": None},
        "class_membership": {"by_choice": False},
        "decision": {"why": None},
        "district": {"rostering_enforcement": False, "limits": None},
        "hold_item": {"code": "data_removals", **dict.fromkeys(("new_id", "field", "before", "after"))},
        "link": {"left_at": None},
        "source": {"leaves_out_contacts": False, "stale_noticed_at": None},
        "mail": {},
        "notice": {},
        "acceptance": {},
    },
    "0004": {"run": {"processing_since": None}, "source": {"not_ready_since": None}},
    "0005": {"issue": {"other_rows": None}, "district": {"date_order": None}},
    "0012": {"link": {"id_hashes": None}},
    "0008": {
        "district": {"mail_schedule": None, "pause_notices": True},
        "source": {"in_report": False},
        "school": {"administrators": [], "matched_in_report": False},
        "school_run": dict.fromkeys(("teachers", "students", "errors", "alerts")),
        "delivery": {"checked_at": None},
        **{
            table: {}
            for table in (
                "access_token",
                "alert_mute",
                "audit_entry",
                "digest",
                "openid_identity",
                "openid_request",
                "record_change",
                "report_session",
                "sign_in_link",
                "webhook",
                "webhook_call",
            )
        },
    },
    "0010": {"queued_source": {}},
    "0011": {"source": {"sightings": None}},
}
# Table and old name of a column -> its new name.
RENAMED = {
    ("link", "source"): "source_id",
    ("link", "source_id"): "external_id",
    ("class", "source"): "source_id",
    ("class", "source_id"): "external_id",
    ("issue", "source"): "source_id",
    ("issue", "consequences"): "dependents",
    ("school", "source_school_id"): "external_id",
    ("hold_item", "other_id"): "counterpart_id",
    ("delivery", "received_at"): "last_received_at",
    ("delivery", "taken_at"): "received_at",
    ("delivery", "receipts"): "duplicates",
    ("source", "received_at"): "last_received_at",
    ("source", "last_taken_id"): "last_delivery_id",
    ("run", "alive_at"): "heartbeat_at",
}
WORDS = {"taken": "received", "receipt": "duplicate", "died": "interrupted", "held": "on_hold"}
OF_WORDS = {("delivery", "outcome"), ("run", "outcome"), ("school_run", "outcome"), ("notice", "kind")}


def test_every_released_schema_has_a_snapshot_with_rows_in_every_table(tmp_path: Path) -> None:
    newest = next(line for line in CHANGELOG.read_text("utf-8").splitlines() if line.startswith("## "))
    unreleased = UNRELEASED if newest.endswith("(unreleased)") else ()
    assert tuple(revision for revision in KNOWN_REVISIONS if revision not in unreleased) == SNAPSHOTS
    for revision in SNAPSHOTS:
        assert (UPGRADES / f"{revision}.landing.tar.gz").exists()
        rows = restore(revision, f"sqlite:///{tmp_path}/{revision}")
        assert [table for table, found in rows.items() if not found] == []


@pytest.mark.parametrize("revision", SNAPSHOTS)
def test_an_upgrade_gives_exactly_the_tables_and_loses_no_value(
    revision: str, kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/old" if kind == "sqlite" else request.getfixturevalue("empty_postgresql_url")
    before = restore(revision, url)
    assert migrate(url, backups=None) == (revision, NEWEST_REVISION)
    with open_database(url, backups=None) as database, database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, SQLModel.metadata) == []
    assert _plain(rows_of(url)) == _plain(_with_computed(_renamed(_with_added(before, revision))))


def _with_added(rows: Rows, revision: str) -> Rows:
    """The rows with the columns and tables that were added since, by the names of schema 0005."""
    later = [tables for step, tables in ADDED.items() if step > revision]
    new_tables = {table for tables in later for table in tables} - rows.keys()
    found = {
        table: [
            {**row, **{name: value for tables in later for name, value in tables.get(table, {}).items()}} for row in of
        ]
        for table, of in rows.items()
    }
    for run in found["run"]:
        # Whoever was killed with a delivery in hand had something to bring in.
        if revision < "0004" and run["ended_at"] is None and run["delivery_id"] is not None:
            run["processing_since"] = run["started_at"]
    return found | {table: [] for table in new_tables}


def _renamed(rows: Rows) -> Rows:
    """The rows of schema 0005 by today's names."""
    for row in rows["source"]:
        folder, quiet_seconds, district_id = (row.pop(n) for n in ("folder", "quiet_seconds", "clever_district_id"))
        row["pausable"] = row["kind"] == "clever"
        row["settings"] = (
            {"district_id": district_id}
            if row["kind"] == "clever"
            else {"folder": folder, "quiet_seconds": quiet_seconds}
        )
    return {
        table: [
            {
                RENAMED.get((table, name), name): WORDS.get(value, value) if (table, name) in OF_WORDS else value
                for name, value in row.items()
            }
            for row in of
        ]
        for table, of in rows.items()
    }


def _with_computed(rows: Rows) -> Rows:
    """The rows with what 0008 computes: what a district's setup file named, and the people of each school."""
    named = ["administrators", "name", "phone_region", "school", "source", "timezone"]
    for district in rows["district"]:
        district["setup_keys"] = sorted(named + [name for name in ("limits", "date_order") if district[name]])
    there = {account["id"] for account in rows["account"] if account["archived_at"] is None}
    links = {link["id"]: link for link in rows["link"] if link["archived_at"] is None and link["account_id"] in there}
    for school in rows["school"]:
        members = [
            links[each["link_id"]]
            for each in rows["school_membership"]
            if each["school_id"] == school["id"] and each["active"] and each["link_id"] in links
        ]
        for column, kind, role in (("teachers", "employee", "teacher"), ("students", "student", "student")):
            school[column] = len(
                {each["account_id"] for each in members if (each["kind"], each["role"]) == (kind, role)}
            )
    return rows


def _plain(rows: Rows) -> Rows:
    # SQLite hands times back without their zone, which is UTC.
    return {
        table: [
            {name: value.replace(tzinfo=None) if isinstance(value, datetime) else value for name, value in row.items()}
            for row in of
        ]
        for table, of in rows.items()
    }
