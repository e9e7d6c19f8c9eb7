"""The SIS sync report: a row for each school of a district."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, func
from sqlmodel import Session, col, select

from contracts.issues import CATALOGUE, Severity
from models.tables import (
    District,
    FileError,
    Hold,
    HoldReason,
    Issue,
    Pause,
    School,
    Source,
)
from services.status import pauses
from services.status.sync_status import ORDER, Status, of_district, statuses


@dataclass(frozen=True)
class HoldSummary:
    """A school's open hold: its number and its reasons' codes, sorted."""

    id: int
    codes: tuple[str, ...]


@dataclass(frozen=True)
class SchoolReport:
    """One row of the report. teachers, students: active SIS-linked accounts; errors, alerts: records concerned."""

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


def district_report(session: Session, district_id: str | None = None, *, now: datetime) -> list[DistrictReport]:
    """The SIS sync report of the district, or of all, in the setup file's order.

    Rule: sorted by status so that what needs action comes first; inside a status by errors, then alerts, most first;
    schools not on the plan last. A teacher is who the SIS gives as one, whatever the account adopted for them is.
    """
    issues = _issues_by_school(session, district_id)
    unplaced = _issues_of_no_school(session)
    file_errors = _file_errors(session)
    holds = _open_holds(session, district_id)
    notices = _notices(session)
    rows: dict[str, list[tuple[int, SchoolReport]]] = {}
    for school in statuses(session, district_id=district_id, now=now):
        errors, alerts = _by_severity(issues.get(school.school_id, {}))
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
            pause=pauses.in_force(session, school.district_id, now=now) if school.status == Status.PAUSED else None,
        )
        rows.setdefault(school.district_id, []).append((school.position, row))
    statement = select(District).order_by(col(District.position), col(District.id))
    if district_id is not None:
        statement = statement.where(District.id == district_id)
    reports = []
    for district in session.exec(statement):
        errors, alerts = _by_severity(unplaced.get(district.id, {}))
        reports.append(
            DistrictReport(
                district_id=district.id,
                name=district.name,
                timezone=district.timezone,
                schools=tuple(row for _, row in sorted(rows.get(district.id, []), key=_urgency)),
                file_errors=file_errors.get(district.id, 0),
                errors=errors,
                alerts=alerts,
                notices=notices.get(district.id, ()),
            )
        )
    return reports


def _notices(session: Session) -> dict[str, tuple[str, ...]]:
    """By district, what Clever last said about it in words, if that blocks it."""
    found: dict[str, tuple[str, ...]] = {}
    for source in session.exec(
        select(Source).where(col(Source.remote_reason).is_not(None), col(Source.frozen).is_(False))
    ):
        found[source.district_id] = (*found.get(source.district_id, ()), source.remote_reason or "")
    return found


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


def _issues_of_no_school(session: Session) -> dict[str, dict[str, int]]:
    return _counted(
        session.exec(
            select(Source.district_id, Issue.code, func.count())
            .select_from(Issue)
            .join(Source, col(Source.id) == Issue.source_id)
            .where(col(Issue.school_id).is_(None), col(Source.frozen).is_(False))
            .group_by(col(Source.district_id), col(Issue.code))
        ).all()
    )


def _file_errors(session: Session) -> dict[str, int]:
    found = session.exec(
        select(Source.district_id, func.count())
        .select_from(FileError)
        .join(Source, col(Source.id) == FileError.source_id)
        .where(col(Source.frozen).is_(False))
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
