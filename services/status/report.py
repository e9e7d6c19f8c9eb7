"""The SIS sync report: a row for each school of a district."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func
from sqlmodel import Session, col, select

from contracts.formats import FORMATS
from contracts.issues import CATALOGUE, Entry, Severity, catalogue
from models.outcomes import UP_TO_DATE
from models.tables import (
    AlertMute,
    District,
    FileError,
    Hold,
    HoldReason,
    Issue,
    Pause,
    School,
    SchoolRun,
    Source,
)
from services.status import mutes, pauses
from services.status.sync_status import ORDER, Status, of_district, statuses


@dataclass(frozen=True)
class HoldSummary:
    """A school's open hold: its number and its reasons' codes, sorted."""

    id: int
    codes: tuple[str, ...]


@dataclass(frozen=True)
class SchoolReport:
    """One row of the report. teachers, students: active SIS-linked accounts; errors, alerts: records concerned.

    Rule: alerts of a type that is muted for the school are not counted among its alerts.
    """

    school_id: str
    key: str
    name: str
    on_plan: bool
    status: Status | None
    teachers: int
    students: int
    errors: int
    alerts: int
    hold: HoldSummary | None
    pause: Pause | None  # while its status is Paused
    source: str | None = None  # what its present source is called: CSV files, Clever
    succeeded_at: datetime | None = None  # when a sync last brought it up to date
    muted: int = 0  # alerts of types that somebody muted for it, which `alerts` leaves out


@dataclass(frozen=True)
class IssueCount:
    """How many records of no known school have one kind of error or alert."""

    entry: Entry
    count: int


@dataclass(frozen=True)
class DistrictReport:
    """A district's schools as its administrators see them, and what concerns no single school."""

    district_id: str
    name: str
    timezone: str
    schools: tuple[SchoolReport, ...]
    file_errors: int
    errors: int  # of no known school
    alerts: int  # of no known school
    notices: tuple[str, ...] = ()  # what Clever says about the district, if that blocks it
    unplaced: tuple[IssueCount, ...] = ()  # of no known school, errors first, most first

    @property
    def pause(self) -> Pause | None:
        """The maintenance pause that holds schools of the district now."""
        return next((school.pause for school in self.schools if school.pause is not None), None)


def source_name(form: str) -> str:
    """What people call a source whose data have this format: CSV files, Clever."""
    return FORMATS[form].source_name or "CSV files"


def district_report(session: Session, district_id: str | None = None, *, now: datetime) -> list[DistrictReport]:
    """The SIS sync report of the district, or of all, in the setup file's order.

    Rule: sorted by status so that what needs action comes first; inside a status by errors, then alerts, most first;
    schools not on the plan last. A teacher is who the SIS gives as one, whatever the account adopted for them is.
    """
    issues = _issues_by_school(session, district_id)
    unplaced = _issues_of_no_school(session, district_id)
    file_errors = _file_errors(session, district_id)
    holds = _open_holds(session, district_id)
    notices = _notices(session, district_id)
    muted = _muted(session, district_id, now)
    succeeded = _last_successes(session, district_id)
    formats = dict(session.exec(select(Source.id, Source.format).where(*_of_sources(district_id))).all())
    paused: dict[str, Pause | None] = {}
    rows: dict[str, list[tuple[int, SchoolReport]]] = {}
    for school in statuses(session, district_id=district_id, now=now):
        is_paused = school.status == Status.PAUSED
        if is_paused and school.district_id not in paused:
            paused[school.district_id] = pauses.in_force(session, school.district_id, now=now)
        found, ignored = issues.get(school.school_id, {}), muted.get(school.school_id, frozenset())
        errors, alerts = _by_severity({code: count for code, count in found.items() if code not in ignored})
        row = SchoolReport(
            school_id=school.school_id,
            key=school.key,
            name=school.name,
            on_plan=school.on_plan,
            status=school.status,
            teachers=school.teachers,
            students=school.students,
            errors=errors,
            alerts=alerts,
            hold=holds.get(school.school_id) if school.status is not None else None,
            pause=paused[school.district_id] if is_paused else None,
            source=source_name(formats[school.source_id]) if school.source_id is not None else None,
            succeeded_at=succeeded.get(school.school_id),
            muted=sum(found.values()) - errors - alerts,
        )
        rows.setdefault(school.district_id, []).append((school.position, row))
    statement = select(District).order_by(col(District.position), col(District.id))
    if district_id is not None:
        statement = statement.where(District.id == district_id)
    reports = []
    for district in session.exec(statement):
        here = unplaced.get(district.id, ())
        reports.append(
            DistrictReport(
                district_id=district.id,
                name=district.name,
                timezone=district.timezone,
                schools=tuple(row for _, row in sorted(rows.get(district.id, []), key=_urgency)),
                file_errors=file_errors.get(district.id, 0),
                errors=sum(each.count for each in here if each.entry.severity == Severity.ERROR),
                alerts=sum(each.count for each in here if each.entry.severity == Severity.ALERT),
                notices=notices.get(district.id, ()),
                unplaced=here,
            )
        )
    return reports


def _of_sources(district_id: str | None) -> list[ColumnElement[bool]]:
    """Match the sources in use of a district, or of all."""
    return [col(Source.frozen).is_(False), *([] if district_id is None else [col(Source.district_id) == district_id])]


def _notices(session: Session, district_id: str | None) -> dict[str, tuple[str, ...]]:
    """By district, what Clever last said about it in words, if that blocks it."""
    found: dict[str, tuple[str, ...]] = {}
    for source in session.exec(select(Source).where(col(Source.remote_reason).is_not(None), *_of_sources(district_id))):
        found[source.district_id] = (*found.get(source.district_id, ()), source.remote_reason or "")
    return found


def _muted(session: Session, district_id: str | None, now: datetime) -> dict[str, frozenset[str]]:
    """By school, the codes of the alerts that are muted for it now. An error is never muted."""
    found: dict[str, frozenset[str]] = {}
    statement = (
        select(AlertMute.school_id, AlertMute.code)
        .join(School, col(School.id) == AlertMute.school_id)
        .where(*mutes.in_force(now), *of_district(district_id))
    )
    for school_id, code in session.exec(statement):
        if CATALOGUE[code].severity == Severity.ALERT:
            found[school_id] = found.get(school_id, frozenset()) | {code}
    return found


def _last_successes(session: Session, district_id: str | None) -> dict[str, datetime]:
    """By school, when a run last applied its data or found nothing to change."""
    # One look into an index for each school and outcome, however many nights there were.
    last = [
        select(func.max(SchoolRun.at))
        .where(SchoolRun.school_id == School.id, SchoolRun.outcome == outcome)
        .correlate(School)
        .scalar_subquery()
        for outcome in UP_TO_DATE
    ]
    found: Any = session.exec(select(School.id, *last).where(*of_district(district_id)))
    times = {school_id: [at for at in moments if at is not None] for school_id, *moments in found}
    return {school_id: max(moments) for school_id, moments in times.items() if moments}


def _urgency(positioned: tuple[int, SchoolReport]) -> tuple[int, int, int, int, str]:
    position, row = positioned
    return ORDER.index(row.status), -row.errors, -row.alerts, position, row.school_id


def _by_severity(counts: Mapping[str, int]) -> tuple[int, int]:
    def of(severity: Severity) -> int:
        return sum(count for code, count in counts.items() if CATALOGUE[code].severity == severity)

    return of(Severity.ERROR), of(Severity.ALERT)


def _counted(rows: Collection[tuple[str, str, int]]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for key, code, count in rows:
        counts.setdefault(key, {})[code] = count
    return counts


def _issues_by_school(session: Session, district_id: str | None) -> dict[str, dict[str, int]]:
    present = and_(col(School.id) == Issue.school_id, col(School.source_id) == Issue.source_id)
    return _counted(
        session.exec(
            select(School.id, Issue.code, func.count())
            .select_from(Issue)
            .join(School, present)
            .where(*of_district(district_id))
            .group_by(col(School.id), col(Issue.code))
        ).all()
    )


def _issues_of_no_school(session: Session, district_id: str | None) -> dict[str, tuple[IssueCount, ...]]:
    found: dict[str, list[IssueCount]] = {}
    rows = session.exec(
        select(Source.district_id, Source.format, Issue.code, func.count())
        .select_from(Issue)
        .join(Source, col(Source.id) == Issue.source_id)
        .where(col(Issue.school_id).is_(None), *_of_sources(district_id))
        .group_by(col(Source.district_id), col(Source.format), col(Issue.code))
    )
    for district, form, code, count in rows:
        found.setdefault(district, []).append(IssueCount(catalogue(form)[code], count))

    def order(each: IssueCount) -> tuple[bool, int, str]:
        return each.entry.severity != Severity.ERROR, -each.count, each.entry.code

    return {district: tuple(sorted(each, key=order)) for district, each in found.items()}


def _file_errors(session: Session, district_id: str | None) -> dict[str, int]:
    found = session.exec(
        select(Source.district_id, func.count())
        .select_from(FileError)
        .join(Source, col(Source.id) == FileError.source_id)
        .where(*_of_sources(district_id))
        .group_by(col(Source.district_id))
    )
    return dict(found.all())


def _open_holds(session: Session, district_id: str | None) -> dict[str, HoldSummary]:
    found = session.exec(
        select(Hold.school_id, Hold.id, HoldReason.code)
        .join(HoldReason, col(HoldReason.hold_id) == Hold.id)
        .join(School, col(School.id) == Hold.school_id)
        .where(col(Hold.ended_at).is_(None), *of_district(district_id))
        .order_by(col(HoldReason.code))
    )
    holds: dict[str, HoldSummary] = {}
    for school_id, hold_id, code in found:
        assert hold_id is not None
        before = holds.get(school_id, HoldSummary(hold_id, ()))
        holds[school_id] = HoldSummary(hold_id, (*before.codes, code))
    return holds
