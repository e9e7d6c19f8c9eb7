"""Notices: what a district's administrators have to know, each written in the transaction of what it is about.

So neither exists without the other. `services.mail.compose` makes an email of them for each district and run, once
the run has ended. Nothing here is personal: schools' names, codes, counts and dates.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select

from contracts.text import count
from models.tables import District, Hold, HoldReason, Mail, Notice, School
from services import figures

ON_HOLD, REMINDER, RELEASED = "on_hold", "reminder", "released"
FILE_ERRORS, STALE_SOON, PAUSE, RESUME = "file_errors", "stale_soon", "pause", "resume"
# Rule: ops get notifications of our own failed runs; administrators get no mail.
NOT_MAILED = frozenset({"failed_run"})
# Rule: a daily reminder. Less than a day, as no night begins to the minute; and never two on one day of the district's.
REMIND_AFTER = timedelta(hours=20)

# Rollcall gives up on mail that was refused this often; its problem stays visible.
ATTEMPTS = 5

OF_HOLDS = (ON_HOLD, REMINDER, RELEASED)
OF_PAUSES = (PAUSE, RESUME)


def add_notice(
    session: Session,
    *,
    district_id: str,
    kind: str,
    at: datetime,
    school_id: str | None = None,
    run_id: int | None = None,
    codes: Collection[str] = (),
    detail: str | None = None,
) -> None:
    """Note something for the district's administrators; they get it once the caller's transaction is committed.

    kind: held, reminder, released, file_errors, stale_soon, pause, resume. codes: of the catalogue. detail: in words,
    without personal data.
    """
    session.add(
        Notice(
            district_id=district_id,
            run_id=run_id,
            school_id=school_id,
            kind=kind,
            codes=sorted(codes),
            detail=detail,
            at=at,
        )
    )
    session.flush()


def add_hold_notice(
    session: Session, school_id: str, evidence: Mapping[str, str], *, run_id: int | None, now: datetime
) -> None:
    """Note that a school is held, unless that was noted before and nothing but its set has changed.

    evidence: by code of its reasons, what was seen, in words without personal data; empty where the code says it all.
    """
    codes = sorted(evidence.keys() - NOT_MAILED)
    last = _last_of_school(session, school_id)
    if not codes or (last is not None and last.kind != RELEASED and last.codes == codes):
        return
    district_id = session.get_one(School, school_id).district_id
    add_notice(
        session,
        district_id=district_id,
        kind=ON_HOLD,
        at=now,
        school_id=school_id,
        run_id=run_id,
        codes=codes,
        detail=_joined(evidence[code] for code in codes),
    )


def describe_evidence(counts: Mapping[str, Mapping[str, Any]], detail: str | None) -> str:
    """What was seen of a hold's reason, in words without personal data. counts: see `services.figures`."""
    return _joined([*figures.describe(counts, limits=False), (detail or "").rstrip(".")]) or ""


def _joined(parts: Iterable[str]) -> str | None:
    return "; ".join(each for each in parts if each) or None


def add_release_notice(session: Session, school_id: str, *, run_id: int | None, now: datetime) -> None:
    """Note that a school is no longer on hold, if a notice said that it is."""
    last = _last_of_school(session, school_id)
    if last is not None and last.kind != RELEASED:
        add_notice(session, district_id=last.district_id, kind=RELEASED, at=now, school_id=school_id, run_id=run_id)


def add_file_error_notice(
    session: Session,
    district_id: str,
    file_errors: Iterable[tuple[str, str, int]],
    *,
    run_id: int | None,
    now: datetime,
) -> None:
    """Note what is wrong with files that came, by code. file_errors: (code, file, how many rows; 0: the whole file)."""
    by_code: dict[str, list[str]] = {}
    for code, file, rows in file_errors:
        errors = f"{file} ({count(rows, 'row')})" if rows else file
        by_code.setdefault(code, []).append(errors)
    for code, files in sorted(by_code.items()):
        add_notice(
            session,
            district_id=district_id,
            kind=FILE_ERRORS,
            at=now,
            run_id=run_id,
            codes=[code],
            detail=", ".join(files),
        )


def add_pause_notice(session: Session, district_id: str, pause: str | None, *, now: datetime) -> None:
    """Note the maintenance pause that is in force now as a sentence, or its end (None), where that is news."""
    last = newest(session, Notice.district_id == district_id, col(Notice.kind).in_(OF_PAUSES))
    before = last.detail if last is not None and last.kind == PAUSE else None
    if pause != before:
        kind = RESUME if pause is None else PAUSE
        add_notice(session, district_id=district_id, kind=kind, at=now, detail=pause)


def paused_districts(session: Session) -> list[str]:
    """The districts with a notice of a pause, and none of its end."""
    newest: dict[str, str] = {}
    for notice in session.exec(select(Notice).where(col(Notice.kind).in_(OF_PAUSES)).order_by(col(Notice.id))):
        newest[notice.district_id] = notice.kind
    return sorted(district for district, kind in newest.items() if kind == PAUSE)


def add_reminders(session: Session, now: datetime) -> None:
    """Note every held school of a district where the last notice of one was a day ago, or never.

    Rule: a daily reminder while holds last, and no second one while the first waits for the mail server. Schools held
    for our own failed run only, off the plan or no longer named by the setup file are not reminded of.
    """
    unsent = select(Mail.district_id).where(col(Mail.sent_at).is_(None), Mail.attempts < ATTEMPTS)
    waiting = set(session.exec(unsent)) | set(session.exec(select(Notice.district_id).where(in_no_mail())))
    found = session.exec(
        select(School, HoldReason)
        .join(Hold, col(Hold.school_id) == School.id)
        .join(HoldReason, col(HoldReason.hold_id) == Hold.id)
        .join(District, col(District.id) == School.district_id)
        .where(
            col(Hold.ended_at).is_(None),
            col(HoldReason.code).not_in(NOT_MAILED),
            col(School.on_plan).is_(True),
            col(School.frozen).is_(False),
            col(District.frozen).is_(False),
        )
        .order_by(col(School.position), col(School.id), col(HoldReason.code))
    )
    held: dict[str, dict[str, dict[str, str]]] = {}
    for school, reason in found:
        seen = describe_evidence(reason.counts or {}, reason.detail)
        held.setdefault(school.district_id, {}).setdefault(school.id, {})[reason.code] = seen
    for district_id, schools in held.items():
        district = session.get(District, district_id)
        assert district is not None
        last = [_last_of_school(session, school_id) for school_id in schools]
        due = [notice for notice in last if notice is None or _is_day_ago(notice.at, now, ZoneInfo(district.timezone))]
        if district_id in waiting or not due:
            continue
        for school_id, reasons in schools.items():
            add_notice(
                session,
                district_id=district_id,
                kind=REMINDER,
                at=now,
                school_id=school_id,
                codes=reasons,
                detail=_joined(reasons.values()),
            )


def _is_day_ago(moment: datetime, now: datetime, zone: ZoneInfo) -> bool:
    return now - moment >= REMIND_AFTER and now.astimezone(zone).date() > moment.astimezone(zone).date()


def in_no_mail() -> ColumnElement[bool]:
    """Match the notices that no email carries yet."""
    return col(Notice.mail_id).is_(None)


def newest(session: Session, *where: ColumnElement[bool] | bool) -> Notice | None:
    """Return the newest notice of those that match, if any."""
    return session.exec(select(Notice).where(*where).order_by(col(Notice.id).desc()).limit(1)).first()


def _last_of_school(session: Session, school_id: str) -> Notice | None:
    """What was last noted of the school's hold, in a mail yet or not."""
    return newest(session, Notice.school_id == school_id, col(Notice.kind).in_(OF_HOLDS))
