"""Every table Rollcall stores, as SQLModel classes; no query and no rule.

People's rows (account, link and what hangs on it) are written in bulk by `models.bulk`, never through the ORM.
Keys of people's rows are UUIDv7 text, so that new rows sort by age; what people type (deliveries, runs, holds) is
numbered. Ours are ``district.id``, and for sources and schools ``district/key``.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, Column, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from models.outcomes import DeliveryOutcome
from models.types import UTC


def _at(description: str | None = None, *, nullable: bool = False) -> Any:
    return Field(default=None, description=description, sa_column=Column(UTC, nullable=nullable))


def _json(description: str | None = None) -> Any:
    return Field(default=None, description=description, sa_column=Column(JSON(none_as_null=True), nullable=True))


def _refers_to(column: str, *, index: bool = False) -> Any:
    """A reference of a table that is written in sets, without a foreign key: the writer looks it up as a set."""
    return Field(index=index, description=f"`{column}`; no foreign key, looked up as a set before it is written")


class District(SQLModel, table=True):
    """A customer. Frozen: no longer named by the setup file; kept, never synced."""

    __tablename__ = "district"
    id: str = Field(primary_key=True)
    name: str
    timezone: str
    phone_region: str = "US"
    administrators: list[str] = Field(sa_column=Column(JSON, nullable=False))
    position: int = 0
    frozen: bool = False
    rostering_enforcement: bool = Field(
        default=False, description="while it is on, SIS-linked people cannot leave the organization"
    )
    limits: dict[str, list[float]] | None = _json(
        "the guard's limits that are the district's own: type -> [share, count]; others are the guard's"
    )
    date_order: str | None = Field(
        default=None, description="month, day: which is first in dates such as 3/4/2014; null: the dates show it"
    )
    setup_keys: list[str] | None = _json("what the setup file says of it, which the report shows and does not change")
    mail_schedule: dict[str, str] | None = _json(
        "email address -> each, daily, weekly or never; administrators that it does not name get each mail"
    )
    pause_notices: bool = Field(default=True, description="administrators get mail of maintenance pauses")


class Source(SQLModel, table=True):
    """One place a district's roster comes from, and what was noted when it was last taken from.

    Frozen: never synced, as the setup file no longer names it or, set up in the report, nobody has started it yet.
    """

    __tablename__ = "source"
    id: str = Field(primary_key=True, description="district/key")
    district_id: str = Field(foreign_key="district.id", index=True)
    key: str
    kind: str = Field(description="csv, clever")
    format: str = Field(description="csv-1.0, clever-3")
    settings: dict[str, Any] = Field(
        default_factory=dict, sa_column=Column(JSON, nullable=False), description="what its adapter needs to know"
    )
    pausable: bool = Field(default=False, description="a maintenance pause stops it")
    position: int = 0
    frozen: bool = False
    in_report: bool = Field(default=False, description="set up in the report, and so left alone by the setup file")
    stamps: dict[str, list[int]] | None = _json(
        "file name -> [size, mtime_ns, ctime_ns] at the last taking; files written again since differ"
    )
    sightings: dict[str, list[int]] | None = _json(
        "on an SFTP server: file name -> [size, mtime_ns, when it was first seen so, ns] at the last look"
    )
    last_delivery_id: int | None = Field(default=None, description="the delivery last taken, clean or rejected")
    current_delivery_id: int | None = None
    last_received_at: datetime | None = _at("the last delivery or duplicate; 90 days run from here", nullable=True)
    last_sync: str | None = Field(
        default=None, description="clever: the district's own, as it was when it was last fetched in full"
    )
    remote_state: str | None = Field(
        default=None,
        description="clever: paused, pending or error, as it was last seen; null while all is well",
    )
    remote_reason: str | None = Field(default=None, description="clever: why it is in that state")
    not_ready_since: datetime | None = _at("the first of the looks in a row that found pending or error", nullable=True)
    leaves_out_contacts: bool = Field(
        default=False, description="contacts of type emergency and secondary, as somebody decided"
    )
    stale_noticed_at: datetime | None = _at("when administrators were last warned of staleness", nullable=True)


class School(SQLModel, table=True):
    """A school as set up. `external_id` is its ID in the source's data."""

    __tablename__ = "school"
    id: str = Field(primary_key=True, description="district/key")
    district_id: str = Field(foreign_key="district.id", index=True)
    key: str
    name: str
    source_id: str | None = Field(default=None, foreign_key="source.id")
    external_id: str | None = None
    on_plan: bool = True
    frozen: bool = False
    position: int = 0
    administrators: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    matched_in_report: bool = Field(
        default=False, description="its source was set in the report, and so left alone by a setup file that names none"
    )
    teachers: int = Field(default=0, description="active accounts whose link is a teacher's, as of its last change")
    students: int = Field(default=0, description="active accounts whose link is a student's, as of its last change")


class Delivery(SQLModel, table=True):
    """A complete set of files as taken. Outcome: received (not yet checked), clean, rejected."""

    __tablename__ = "delivery"
    id: int | None = Field(default=None, primary_key=True)
    source_id: str = Field(foreign_key="source.id", index=True)
    received_at: datetime = _at()
    outcome: str = DeliveryOutcome.RECEIVED
    format: str = "csv-1.0"
    digest: str = ""
    path: str = Field(
        default="", description="of its folder, relative to the landing area; empty once housekeeping has removed it"
    )
    files: list[dict[str, Any]] | None = _json(
        '[{"name", "size", "sha256"}], "zip" if they came in one, and "rows" once read'
    )
    duplicates: int = Field(
        default=0, description="how often the very same bytes were sent again while it was the last taken"
    )
    last_received_at: datetime = _at()
    checked_at: datetime | None = _at(
        "when it was found clean or rejected; null: not yet, or before 0.2", nullable=True
    )
    may_remove: bool = Field(
        default=True, description="false: taken while Clever had the district's data frozen; nobody is archived by it"
    )


class FileError(SQLModel, table=True):
    """One bad row, column or file of the source's last delivery, or of files still incomplete (no delivery)."""

    __tablename__ = "file_error"
    id: int | None = Field(default=None, primary_key=True)
    source_id: str = Field(foreign_key="source.id", index=True)
    delivery_id: int | None = Field(default=None, foreign_key="delivery.id", index=True)
    code: str
    file: str
    line: int | None = None
    detail: str | None = None
    row: str | None = Field(default=None, description="the physical line as it came; personal data")


class Account(SQLModel, table=True):
    """A person in the product, across districts. An archived account holds no email."""

    __tablename__ = "account"
    __table_args__ = (
        Index(
            "account_email_active",
            "email",
            unique=True,
            sqlite_where=text("archived_at IS NULL"),
            postgresql_where=text("archived_at IS NULL"),
        ),
    )
    id: str = Field(primary_key=True)
    role: str = Field(description="teacher, staff, student, guardian")
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    phone: str | None = None
    phone_extension: str | None = None
    birth_date: date | None = None
    grade: str | None = None
    language: str | None = None
    district_id: str | None = Field(
        default=None, foreign_key="district.id", index=True, description="made by hand there"
    )
    created_at: datetime = _at()
    archived_at: datetime | None = _at(nullable=True)
    claimed_at: datetime | None = _at("when its person first signed in and made it theirs", nullable=True)


class Link(SQLModel, table=True):
    """One record of one source, tied to an account, holding the record's fields as last applied."""

    __tablename__ = "link"
    __table_args__ = (UniqueConstraint("source_id", "kind", "external_id"),)
    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="account.id", index=True)
    source_id: str = Field(foreign_key="source.id")
    kind: str = Field(description="employee, student, guardian")
    role: str
    external_id: str | None = Field(default=None, description="the source's own; null once given up to another person")
    guardian_ids: str | None = Field(default=None, description="a guardian: all their guardian_ids, sorted, one a line")
    id_hashes: str | None = Field(
        default=None,
        description="once anonymized: keyed hashes of the IDs it had, one a line; see the retention policy",
    )
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    phone: str | None = None
    phone_extension: str | None = None
    birth_date: date | None = None
    grade: str | None = None
    language: str | None = None
    archived_at: datetime | None = _at(nullable=True)
    left_at: datetime | None = _at("when its person left the organization of their own accord", nullable=True)


class SchoolMembership(SQLModel, table=True):
    """An employee or student at a school. A guardian belongs to the schools of their students."""

    __tablename__ = "school_membership"
    __table_args__ = (UniqueConstraint("link_id", "school_id"),)
    id: str = Field(primary_key=True)
    link_id: str = _refers_to("link.id")
    school_id: str = _refers_to("school.id", index=True)
    active: bool = True
    left_at: datetime | None = _at(nullable=True)


class Class(SQLModel, table=True):
    """A class of one school and source. `claimed` is the product's business; Rollcall only keeps the flag."""

    __tablename__ = "class"
    __table_args__ = (UniqueConstraint("source_id", "school_id", "external_id"),)
    id: str = Field(primary_key=True)
    source_id: str = Field(foreign_key="source.id")
    school_id: str = Field(foreign_key="school.id", index=True)
    external_id: str | None = Field(default=None, description="the source's own; null once given up to another class")
    name: str
    claimed: bool = False
    archived_at: datetime | None = _at(nullable=True)


class ClassMembership(SQLModel, table=True):
    """A teacher (owner) or student of a class."""

    __tablename__ = "class_membership"
    __table_args__ = (UniqueConstraint("class_id", "link_id"),)
    id: str = Field(primary_key=True)
    class_id: str = _refers_to("class.id")
    link_id: str = _refers_to("link.id", index=True)
    is_owner: bool = False
    active: bool = True
    left_at: datetime | None = _at(nullable=True)
    by_choice: bool = Field(default=False, description="its person left the class of their own accord, and stays gone")


class Guardianship(SQLModel, table=True):
    """A student and one of their guardians."""

    __tablename__ = "guardianship"
    __table_args__ = (UniqueConstraint("student_link_id", "guardian_link_id"),)
    id: str = Field(primary_key=True)
    student_link_id: str = _refers_to("link.id")
    guardian_link_id: str = _refers_to("link.id", index=True)
    relationship: str | None = None
    type: str | None = None
    active: bool = True
    left_at: datetime | None = _at(nullable=True)


class Issue(SQLModel, table=True):
    """One error or alert of the current data, once for each school it concerns, or once without a school."""

    __tablename__ = "issue"
    __table_args__ = (Index("issue_source_school", "source_id", "school_id", "code"),)
    id: int | None = Field(default=None, primary_key=True)
    source_id: str = Field(foreign_key="source.id")
    school_id: str | None = Field(default=None, foreign_key="school.id")
    code: str
    file: str
    line: int | None = None
    record_id: str | None = None
    detail: str | None = None
    dependents: int = 0
    row: str | None = Field(default=None, description="the row as it came, a JSON object; personal data")
    other_rows: str | None = Field(
        default=None, description="of a problem between rows the others: line, tab and JSON object, one a line"
    )


class Run(SQLModel, table=True):
    """One sync of one district and source. Open (`ended_at` null) it is the district's lease."""

    __tablename__ = "run"
    __table_args__ = (
        Index(
            "run_open",
            "district_id",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index("run_outcome", "source_id", "outcome", "id"),
    )
    id: int | None = Field(default=None, primary_key=True)
    district_id: str = Field(foreign_key="district.id", index=True)
    source_id: str = Field(foreign_key="source.id")
    delivery_id: int | None = Field(default=None, foreign_key="delivery.id")
    processing_since: datetime | None = _at("null: it has found nothing to bring in yet", nullable=True)
    schools: list[str] | None = _json("school ids asked for; null: all")
    started_at: datetime = _at()
    heartbeat_at: datetime = _at()
    ended_at: datetime | None = _at(nullable=True)
    outcome: str | None = Field(default=None, description="how it ended, see `models.outcomes`; null while open")
    notes: list[str] | None = _json()


class QueuedSource(SQLModel, table=True):
    """A source that a night left for shards to sync. A run of it that ends deletes it, unless the run failed."""

    __tablename__ = "queued_source"
    __table_args__ = (Index("queued_source_order", "takes", "last_run_at", "source_id"),)
    source_id: str = Field(primary_key=True, foreign_key="source.id")
    last_run_at: datetime = _at("when its last run began; 1970 if it never had one")
    start_by: datetime | None = _at("no run of it begins later; null: at any time", nullable=True)
    takes: int = Field(default=0, description="how many runs of it shards have begun")


class SchoolRun(SQLModel, table=True):
    """What one run did for one school. Outcome: applied, unchanged, on_hold, failed."""

    __tablename__ = "school_run"
    __table_args__ = (
        UniqueConstraint("run_id", "school_id"),
        Index("school_run_outcome", "school_id", "outcome", "at"),
        Index("school_run_school", "school_id", "id"),
    )
    id: int | None = Field(default=None, primary_key=True)
    run_id: int = Field(foreign_key="run.id")
    school_id: str = Field(foreign_key="school.id")
    source_id: str = Field(foreign_key="source.id")
    delivery_id: int | None = Field(default=None, foreign_key="delivery.id")
    at: datetime = _at()
    outcome: str
    counts: dict[str, int] | None = _json()
    reasons: list[str] | None = _json()
    digest: str = Field(default="", description="of the setup and settings that matter, and Rollcall's version")
    teachers: int | None = Field(default=None, description="the school's, once this was done; null: before 0.2")
    students: int | None = None
    errors: int | None = None
    alerts: int | None = Field(default=None, description="muted ones included")


class RecordChange(SQLModel, table=True):
    """What one run changed of a person or a class at a school: which fields, and never a value."""

    __tablename__ = "record_change"
    __table_args__ = (Index("record_change_subject", "subject_id", "id"),)
    id: int | None = Field(default=None, primary_key=True)
    run_id: int = _refers_to("run.id")
    school_id: str = _refers_to("school.id")
    subject_id: str = Field(description="the person's account, or the class")
    at: datetime = _at()
    action: str = Field(description="one of `services.planning.changesets.ACTIONS`")
    fields: str | None = Field(default=None, description="see `services.sync.record_changes`, sorted, one a line")


class Hold(SQLModel, table=True):
    """A school's sync put on hold. Never altered but for its end: released, or replaced by a newer hold."""

    __tablename__ = "hold"
    __table_args__ = (
        Index(
            "hold_open",
            "school_id",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
    )
    id: int | None = Field(default=None, primary_key=True)
    school_id: str = Field(foreign_key="school.id", index=True)
    run_id: int | None = Field(default=None, foreign_key="run.id")
    delivery_id: int | None = Field(default=None, foreign_key="delivery.id")
    opened_at: datetime = _at()
    ended_at: datetime | None = _at(nullable=True)
    ending: str | None = Field(default=None, description="released, replaced")
    replaces_id: int | None = Field(default=None, foreign_key="hold.id")
    digest: str = Field(default="", description="of its reasons and set")


class HoldReason(SQLModel, table=True):
    """One reason of a hold, a code of the catalogue. Counts: type -> see `services.holds.guard.Reason`."""

    __tablename__ = "hold_reason"
    __table_args__ = (UniqueConstraint("hold_id", "code"),)
    id: int | None = Field(default=None, primary_key=True)
    hold_id: int = Field(foreign_key="hold.id")
    code: str
    since: datetime = _at()
    counts: dict[str, Any] | None = _json()
    detail: str | None = Field(default=None, description="what was seen, in words; no personal data")


class HoldItem(SQLModel, table=True):
    """One thing of a hold's set, by reason: what the delivery would remove or change, or whom it is about."""

    __tablename__ = "hold_item"
    __table_args__ = (Index("hold_item_hold", "hold_id"),)
    id: int | None = Field(default=None, primary_key=True)
    hold_id: int = Field(foreign_key="hold.id")
    code: str = Field(default="data_removals", description="the reason it is evidence of")
    type: str = Field(description="students, employees, guardians, classes, class_memberships, guardianships")
    key: str = Field(description="our IDs of it; what a confirmation is compared by")
    record_id: str | None = Field(default=None, description="the person's or class's external ID")
    counterpart_id: str | None = Field(default=None, description="of a pair: the other one's")
    name: str | None = Field(default=None, description="for the download; personal data")
    new_id: str | None = Field(default=None, description="of an ID that changed: the new one")
    field: str | None = Field(default=None, description="of a change: which field; of a contact: its type")
    before: str | None = Field(default=None, description="of a change: the value last applied; personal data")
    after: str | None = Field(default=None, description="of a change: the new value; personal data")


class Decision(SQLModel, table=True):
    """What somebody decided about a hold: stored first, applied by this run or the next."""

    __tablename__ = "decision"
    id: int | None = Field(default=None, primary_key=True)
    hold_id: int = Field(foreign_key="hold.id", index=True)
    verb: str = Field(description="confirm, accept, leave_out, fixed, recheck")
    by: str
    why: str | None = None
    at: datetime = _at()
    applied_at: datetime | None = _at(nullable=True)


class StatusChange(SQLModel, table=True):
    """A school's sync status from this time on, and why."""

    __tablename__ = "status_change"
    __table_args__ = (Index("status_change_school", "school_id", "id"),)
    id: int | None = Field(default=None, primary_key=True)
    school_id: str = Field(foreign_key="school.id")
    at: datetime = _at()
    status: str | None = Field(default=None, description="null: off the plan")
    reason: str


class Pause(SQLModel, table=True):
    """A maintenance pause of the Clever syncs of one district or of all. Over once ended, or past `until`."""

    __tablename__ = "pause"
    id: int | None = Field(default=None, primary_key=True)
    district_id: str | None = Field(default=None, foreign_key="district.id", index=True, description="null: all")
    reason: str
    by: str
    started_at: datetime = _at()
    until: datetime | None = _at("null: until somebody resumes", nullable=True)
    ended_at: datetime | None = _at(nullable=True)
    ended_by: str | None = None


class Acceptance(SQLModel, table=True):
    """A student whose guardians somebody accepted as they are, until those change."""

    __tablename__ = "acceptance"
    __table_args__ = (UniqueConstraint("link_id", "code"),)
    id: int | None = Field(default=None, primary_key=True)
    link_id: str = Field(foreign_key="link.id")
    code: str = Field(description="too_many_guardians, emergency_contacts")
    digest: str = Field(description="of the guardians accepted")
    decision_id: int = Field(foreign_key="decision.id", index=True)


class Notice(SQLModel, table=True):
    """News for a district's administrators, written in the transaction it is about; one mail can carry several."""

    __tablename__ = "notice"
    id: int | None = Field(default=None, primary_key=True)
    district_id: str = Field(foreign_key="district.id", index=True)
    run_id: int | None = Field(default=None, foreign_key="run.id", index=True)
    school_id: str | None = Field(default=None, foreign_key="school.id")
    kind: str = Field(description="on_hold, reminder, released, file_errors, stale_soon, pause, resume")
    codes: list[str] | None = _json("of the hold's reasons")
    detail: str | None = Field(default=None, description="in words; no personal data")
    at: datetime = _at()
    mail_id: int | None = Field(default=None, foreign_key="mail.id", index=True, description="null: not in a mail yet")


class Digest(SQLModel, table=True):
    """How far a district's daily or weekly mails have gone through its notices."""

    __tablename__ = "digest"
    __table_args__ = (UniqueConstraint("district_id", "schedule"),)
    id: int | None = Field(default=None, primary_key=True)
    district_id: str = Field(foreign_key="district.id")
    schedule: str = Field(description="daily, weekly")
    made_at: datetime = _at("when it last went through them, or somebody first wanted it")
    last_notice_id: int = Field(default=0, description="the newest notice that it went through")


class Mail(SQLModel, table=True):
    """A mail of the outbox: written once, and sent until the server has accepted it for every recipient."""

    __tablename__ = "mail"
    id: int | None = Field(default=None, primary_key=True)
    district_id: str = Field(foreign_key="district.id", index=True)
    message_id: str = Field(unique=True)
    recipients: list[str] = Field(sa_column=Column(JSON, nullable=False))
    accepted: list[str] | None = _json("recipients that the server has accepted it for")
    subject: str
    text: str
    html: str
    created_at: datetime = _at()
    sent_at: datetime | None = _at("accepted for all, or written to a file", nullable=True)
    attempts: int = 0
    problem: str | None = Field(default=None, description="of the last attempt: what kind, never an address")


class AlertMute(SQLModel, table=True):
    """An alert type that a school's administrators do not want counted for a while. Errors are never muted."""

    __tablename__ = "alert_mute"
    id: int | None = Field(default=None, primary_key=True)
    school_id: str = Field(foreign_key="school.id", index=True)
    code: str
    reason: str
    by: str
    at: datetime = _at()
    until: datetime = _at("when it ends by itself")
    ended_at: datetime | None = _at("ended by somebody before that", nullable=True)
    ended_by: str | None = None


class ReportSession(SQLModel, table=True):
    """Somebody signed in to the report. The cookie's token is kept hashed.

    Rule: it ends after 30 minutes without a request, and after 12 hours in any case.
    """

    __tablename__ = "report_session"
    id: int | None = Field(default=None, primary_key=True)
    token_hash: str = Field(unique=True)
    email: str = Field(index=True)
    method: str = Field(description="link, or the OpenID provider's name")
    created_at: datetime = _at()
    last_seen_at: datetime = _at()
    ended_at: datetime | None = _at("signed out, or replaced", nullable=True)


class SignInLink(SQLModel, table=True):
    """One request for a sign-in link, granted or not; the counts that limit requests are of these rows.

    Rule: 15 minutes, once, bound to the browser that asked; another browser gives the code of the same mail.
    """

    __tablename__ = "sign_in_link"
    id: int | None = Field(default=None, primary_key=True)
    email: str = Field(index=True)
    network: str = Field(default="", index=True, description="the address it was asked from, hashed")
    token_hash: str = Field(unique=True)
    code_hash: str = ""
    browser_hash: str = Field(default="", description="of the cookie of the browser that asked; empty: of no browser")
    tries: int = Field(default=0, description="wrong codes given")
    issuer: str | None = Field(default=None, description="of an OpenID identity that is tied to the address by it")
    subject: str | None = None
    created_at: datetime = _at()
    used_at: datetime | None = _at(nullable=True)


class OpenIdRequest(SQLModel, table=True):
    """A sign-in at an OpenID provider under way, bound to the browser that began it.

    Rule: 15 minutes, once. An identity that no address is tied to yet waits here until an emailed link confirms one.
    """

    __tablename__ = "openid_request"
    id: int | None = Field(default=None, primary_key=True)
    state_hash: str = Field(unique=True)
    browser_hash: str = Field(index=True)
    network: str = Field(index=True, description="hash of the network address that it was begun from")
    provider: str
    nonce: str
    code_verifier: str
    next_path: str = Field(default="/", description="the page to go on to")
    issuer: str | None = Field(default=None, description="of the identity that waits")
    subject: str | None = None
    created_at: datetime = _at()
    used_at: datetime | None = _at("when the provider sent the browser back", nullable=True)


class OpenIdIdentity(SQLModel, table=True):
    """Who somebody is at an OpenID provider, tied to the email address that the setup names."""

    __tablename__ = "openid_identity"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)
    id: int | None = Field(default=None, primary_key=True)
    issuer: str
    subject: str = Field(description="the provider's own ID of the person: sub, oid, or Clever's ID")
    email: str = Field(index=True)
    linked_at: datetime = _at()


class AccessToken(SQLModel, table=True):
    """A read-only token by which a program reads one district's report."""

    __tablename__ = "access_token"
    id: int | None = Field(default=None, primary_key=True)
    district_id: str = Field(foreign_key="district.id", index=True)
    name: str
    token_hash: str = Field(unique=True)
    created_at: datetime = _at()
    created_by: str
    last_used_at: datetime | None = _at(nullable=True)
    revoked_at: datetime | None = _at(nullable=True)


class AuditEntry(SQLModel, table=True):
    """Who did or saw what in the report. Only ever added to; a trigger refuses the rest."""

    __tablename__ = "audit_entry"
    __table_args__ = (Index("audit_entry_district", "district_id", "id"),)
    id: int | None = Field(default=None, primary_key=True)
    at: datetime = _at()
    actor: str = Field(description="an email address, or token: and its name")
    action: str = Field(description="see `services.access.audit`")
    district_id: str | None = Field(
        default=None, description="null: of none; no foreign key, as the entry outlasts a district that is erased"
    )
    school_id: str | None = Field(default=None, description="no foreign key, likewise")
    subject: str | None = Field(default=None, description="what it was about: an ID of ours, never a value")
    detail: str | None = Field(default=None, description="in words; no personal data of the roster")
    network: str | None = Field(default=None, description="the address it came from")


class Webhook(SQLModel, table=True):
    """An address that a district wants sync status changes posted to, signed with a secret of its own."""

    __tablename__ = "webhook"
    id: int | None = Field(default=None, primary_key=True)
    district_id: str = Field(foreign_key="district.id", index=True)
    url: str
    secret: str = Field(description="its messages are signed with it")
    created_at: datetime = _at()
    created_by: str
    last_change_id: int = Field(default=0, description="the last status change seen when its messages were written")
    ended_at: datetime | None = _at(nullable=True)


class WebhookCall(SQLModel, table=True):
    """A message to a webhook: written once, and posted until its address has accepted it."""

    __tablename__ = "webhook_call"
    __table_args__ = (UniqueConstraint("webhook_id", "change_id"),)
    id: int | None = Field(default=None, primary_key=True)
    webhook_id: int = Field(foreign_key="webhook.id")
    change_id: int | None = Field(default=None, foreign_key="status_change.id", description="null: a test")
    message_id: str = Field(unique=True)
    body: str
    created_at: datetime = _at()
    next_at: datetime = _at("when it is tried next")
    sent_at: datetime | None = _at(nullable=True)
    attempts: int = 0
    problem: str | None = Field(default=None, description="of the last attempt: what kind")
