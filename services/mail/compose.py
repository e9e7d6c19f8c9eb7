"""A district's email: its news, and how it is worded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import uuid_utils
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select

from contracts.formats import DEFAULT_FORMAT, FORMATS
from contracts.issues import DATA_REMOVALS, EMERGENCY_CONTACTS, TOO_MANY_GUARDIANS, UNUSUAL_CHANGES, catalogue
from contracts.text import count
from models import bulk
from models.tables import Digest, District, FileError, Mail, Notice, Run, School, Source
from services import clock
from services.mail import digests
from services.mail.notices import (
    FILE_ERRORS,
    OF_HOLDS,
    OF_PAUSES,
    ON_HOLD,
    PAUSE,
    RELEASED,
    REMINDER,
    RESUME,
    STALE_SOON,
    in_no_mail,
    newest,
)
from services.status.sync_status import is_live

# Reasons for which mail says how many records they are about.
REASONS_WITH_COUNTS = frozenset({DATA_REMOVALS, UNUSUAL_CHANGES, TOO_MANY_GUARDIANS, EMERGENCY_CONTACTS})

NO_ADMINISTRATORS = "the district has no administrators to mail"
SUMMARIES_ONLY = "nobody of the district wants each mail"

# Notices about something that lasts, and about its end.
ONGOING, ENDED = frozenset({ON_HOLD, REMINDER, PAUSE}), frozenset({RELEASED, RESUME})


@dataclass(frozen=True)
class Line:
    """A school in a mail, and what to say about it in addition to what the block says about all. link: to its page."""

    name: str
    detail: str | None = None
    link: str | None = None


@dataclass(frozen=True)
class Point:
    """One thing to know: what, where, what it means, and the next step."""

    title: str
    meaning: str = ""
    remedy: str = ""
    locations: str | None = None


@dataclass(frozen=True)
class Block:
    """Schools about which mail says the same.

    tone: held, good, note. subject: its words in the mail's subject. detail: what was seen at all of them.
    """

    heading: str
    tone: str
    subject: str
    schools: tuple[Line, ...]
    points: tuple[Point, ...]
    detail: str | None = None


_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=lambda name: name is not None and ".html" in name,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
)


def has_waiting(session: Session, now: datetime) -> bool:
    """Whether there is a notice to compose into a mail, or a summary is due."""
    return any(_ended(session, _noted(session))) or bool(digests.due(session, now))


def compose(session: Session, now: datetime, report_url: str = "") -> list[int]:
    """Make mails of the notices that are in none yet, one for each district and run, and the summaries that are due.

    Gives the new mails' IDs.

    report_url: the report's address, which mails then link to.

    Rule: one mail per district and run, so that a run is waited for until it has ended, or has died (no heartbeat
    for five minutes). Mail has each school's last state, and only if the mail before said otherwise: a school held
    and released again in one run is not mentioned, and a mail that would say nothing is not made. A district without
    administrators gets a mail that counts as sent, so that it does not get old news once it has some. So does one where
    everybody wants summaries only. A summary waits for a run that has news.
    """
    made = []
    due = digests.due(session, now)
    for district_id in sorted({notice.district_id for notice in _noted(session)} | due.keys()):
        # Concurrent composers are serialized here, without blocking rows that refer to the district.
        lock = select(District).where(District.id == district_id).with_for_update(key_share=True)
        district = session.exec(lock).one()
        _drop_unwanted(session, district)
        groups: dict[int | None, list[Notice]] = {}
        for notice in _ended(session, _noted(session, district_id)):
            groups.setdefault(notice.run_id, []).append(notice)
        mails = [_mail(session, district, notices, now, report_url) for notices in groups.values()]
        if not _noted(session, district_id):
            mails += [_summary(session, district, digest, now, report_url) for digest in due.get(district_id, ())]
        made += [mail.id for mail in mails if mail is not None and mail.id is not None]
    return made


def _drop_unwanted(session: Session, district: District) -> None:
    """Rule: a district without notices of pauses is told of the end only of one that it was told of."""
    if not district.pause_notices:
        for notice in _noted(session, district.id):
            if notice.kind == PAUSE:
                session.delete(notice)
        session.flush()


def _noted(session: Session, district_id: str | None = None) -> list[Notice]:
    statement = select(Notice).where(in_no_mail()).order_by(col(Notice.id))
    if district_id is not None:
        statement = statement.where(Notice.district_id == district_id)
    return list(session.exec(statement.execution_options(populate_existing=True)))


def _ended(session: Session, notices: list[Notice]) -> list[Notice]:
    now = bulk.clock(session)
    numbers = {notice.run_id for notice in notices if notice.run_id is not None}
    runs = session.exec(select(Run).where(col(Run.id).in_(numbers)).execution_options(populate_existing=True))
    live = {run.id for run in runs if is_live(run, now)}
    return [notice for notice in notices if notice.run_id is None or notice.run_id not in live]


def _mail(session: Session, district: District, notices: list[Notice], now: datetime, report_url: str) -> Mail | None:
    news = _news(session, notices)
    if not news:
        # What was undone before any mail said so is no news either.
        for notice in notices:
            session.delete(notice)
        session.flush()
        return None
    wanted_by = _recipients(district, digests.EACH)
    problem = None
    if not wanted_by:
        has_others = any(_recipients(district, often) for often in digests.SUMMARIES)
        problem = SUMMARIES_ONLY if has_others else NO_ADMINISTRATORS
    mail = _written(session, district, news, wanted_by, now, report_url, problem=problem)
    for notice in notices:
        notice.mail_id = mail.id
        session.add(notice)
    session.flush()
    return mail


def _summary(session: Session, district: District, digest: Digest, now: datetime, report_url: str) -> Mail | None:
    """The summary of what was noted since the last one, None where that is nothing. It goes on from here."""
    since = digest.last_notice_id
    statement = select(Notice).where(Notice.district_id == district.id, col(Notice.id) > since).order_by(col(Notice.id))
    notices = list(session.exec(statement))
    digest.made_at = now
    digest.last_notice_id = max((notice.id or 0 for notice in notices), default=since)
    session.add(digest)
    if digest.schedule == digests.WEEKLY:
        # Rule: reminders are daily.
        notices = [notice for notice in notices if notice.kind != REMINDER]
    current = [notice for notice in notices if _is_still_so(session, notice)]
    news = _news(session, current, col(Notice.id) <= since)
    wanted_by = _recipients(district, digest.schedule)
    if not news or not wanted_by:
        session.flush()
        return None
    return _written(
        session, district, news, wanted_by, now, report_url, title=f"{digest.schedule.capitalize()} summary"
    )


def _is_still_so(session: Session, notice: Notice) -> bool:
    """Whether what was noted of files and of old data is still so. The end of holds and pauses is noted itself."""
    if notice.kind == FILE_ERRORS:
        wrong = select(FileError.id).join(Source, col(Source.id) == FileError.source_id)
        here = (Source.district_id == notice.district_id, col(FileError.code).in_(notice.codes or ()))
        return session.exec(wrong.where(*here).limit(1)).first() is not None
    if notice.kind == STALE_SOON:
        school = session.get(School, notice.school_id)
        source = session.get(Source, school.source_id) if school is not None else None
        return source is not None and (source.last_received_at is None or source.last_received_at <= notice.at)
    return True


def _recipients(district: District, often: str) -> list[str]:
    if district.frozen:
        return []
    return digests.recipients(district.administrators, district.mail_schedule, often)


def _written(
    session: Session,
    district: District,
    news: list[Notice],
    recipients: list[str],
    now: datetime,
    report_url: str,
    *,
    title: str | None = None,
    problem: str | None = None,
) -> Mail:
    """The mail with this news; without recipients it counts as sent. title: what its subject begins with."""
    blocks = _blocks(session, district, news, report_url)
    at = clock.local_time(max(notice.at for notice in news), ZoneInfo(district.timezone))
    report = f"{report_url}/districts/{district.id}" if report_url else None
    values = {"district": district, "blocks": blocks, "at": at, "report": report}
    mail = Mail(
        district_id=district.id,
        message_id=f"{district.id}.{uuid_utils.uuid7().hex}",
        recipients=recipients,
        subject=_subject(district, blocks, title),
        text=_templates.get_template("mail.txt.jinja").render(values),
        html=_templates.get_template("mail.html.jinja").render(values),
        created_at=now,
        sent_at=None if recipients else now,
        problem=problem,
    )
    session.add(mail)
    session.flush()
    return mail


def _news(session: Session, notices: list[Notice], mailed: ColumnElement[bool] | None = None) -> list[Notice]:
    """Those that say something new: the last one about each school's hold and about pauses, the newest of the rest.

    mailed: matches the notices that were mailed before; None: those in a mail.
    """
    before_these = col(Notice.mail_id).is_not(None) if mailed is None else mailed
    of_schools = {
        notice.school_id: notice
        for notice in notices
        if notice.kind in OF_HOLDS and notice.school_id is not None and _has_status(session, notice.school_id)
    }
    of_pauses = [notice for notice in notices if notice.kind in OF_PAUSES][-1:]
    news = []
    for school_id, last in of_schools.items():
        before = newest(session, before_these, Notice.school_id == school_id, col(Notice.kind).in_(OF_HOLDS))
        if last.kind == REMINDER or _state(last) != _state(before):
            news.append(last)
    for last in of_pauses:
        before = newest(session, before_these, Notice.district_id == last.district_id, col(Notice.kind).in_(OF_PAUSES))
        if _state(last) != _state(before):
            news.append(last)
    for kind in (FILE_ERRORS, STALE_SOON):
        found = [notice for notice in notices if notice.kind == kind]
        last_at = max((notice.at for notice in found), default=None)
        news += [notice for notice in found if notice.at == last_at or kind == STALE_SOON]
    return news


def _has_status(session: Session, school_id: str) -> bool:
    """Rule: a school that is off the plan or frozen has no sync status, so mail does not mention its hold."""
    school = session.get_one(School, school_id)
    return school.on_plan and not school.frozen


def _state(notice: Notice | None) -> tuple[str, ...]:
    """What a notice says is so now: nothing if there is none, or if it is about an end."""
    if notice is None or notice.kind in ENDED:
        return ()
    return (notice.detail or "",) if notice.kind == PAUSE else tuple(notice.codes or ())


@dataclass(frozen=True)
class _Schools:
    """A district's schools, in the report's order, and its sources, by ID; and the report's address, if it has one."""

    schools: Mapping[str, School]
    sources: Mapping[str, Source]
    report_url: str

    def form_of(self, notice: Notice) -> str:
        """The format of the source that a notice is about, by its school."""
        school = self.schools.get(notice.school_id or "")
        source = self.sources.get(school.source_id or "") if school is not None else None
        return source.format if source is not None else DEFAULT_FORMAT

    def synced_from(self, is_one: Callable[[Source], bool]) -> tuple[Line, ...]:
        """The schools that are synced from such sources."""
        sources = {key for key, source in self.sources.items() if is_one(source)}
        return tuple(
            self._line(school)
            for school in self.schools.values()
            if school.source_id in sources and school.on_plan and not school.frozen
        )

    def named_by(self, notices: Iterable[Notice]) -> tuple[Line, ...]:
        """The schools that notices are about, with what each says of them."""
        details = {notice.school_id: notice.detail for notice in notices}
        return tuple(self._line(school, details[key]) for key, school in self.schools.items() if key in details)

    def _line(self, school: School, detail: str | None = None) -> Line:
        return Line(school.name, detail, f"{self.report_url}/schools/{school.id}" if self.report_url else None)


def _blocks(session: Session, district: District, news: list[Notice], report_url: str) -> list[Block]:
    """What the mail says, a block for each thing that happened, those that need action first."""
    in_order = select(School).where(School.district_id == district.id).order_by(col(School.position), col(School.id))
    sources = session.exec(select(Source).where(Source.district_id == district.id))
    schools = _Schools(
        {school.id: school for school in session.exec(in_order)},
        {source.id: source for source in sources},
        report_url,
    )
    pausable = schools.synced_from(lambda source: source.pausable)
    pauses = [_pause_block(notice, pausable) for notice in news if notice.kind in OF_PAUSES]
    return [
        *_hold_blocks(news, schools),
        *_file_error_blocks(news, schools),
        *_stale_blocks(news, schools),
        *pauses,
        *_release_blocks(news, schools),
    ]


def _hold_blocks(news: list[Notice], schools: _Schools) -> Iterator[Block]:
    held: dict[tuple[str, str, tuple[str, ...]], list[Notice]] = {}
    for notice in news:
        if notice.kind in (ON_HOLD, REMINDER):
            held.setdefault((notice.kind, schools.form_of(notice), tuple(notice.codes or ())), []).append(notice)
    for (kind, form, codes), notices in sorted(held.items()):
        entries = catalogue(form)
        listed = schools.named_by(notices)
        shared = _shared(codes, listed)
        yield Block(
            heading="On hold" if kind == ON_HOLD else "Still on hold",
            tone="held",
            subject="on hold" if kind == ON_HOLD else "still on hold",
            schools=tuple(replace(line, detail=None) for line in listed) if shared else listed,
            points=tuple(Point(entries[code].title, entries[code].meaning, entries[code].remedy) for code in codes),
            detail=shared,
        )


def _file_error_blocks(news: list[Notice], schools: _Schools) -> Iterator[Block]:
    wrong = [notice for notice in news if notice.kind == FILE_ERRORS]
    if not wrong:
        return
    held = [notice for notice in news if notice.kind in (ON_HOLD, REMINDER)]
    sending = schools.synced_from(lambda source: FORMATS[source.format].source_name is None)
    points = [
        (catalogue(schools.form_of(notice))[code], notice.detail) for notice in wrong for code in notice.codes or ()
    ]
    yield Block(
        heading="What is wrong with the files",
        tone="held",
        subject="files could not be used",
        schools=() if any(FILE_ERRORS in (notice.codes or ()) for notice in held) else sending,
        points=tuple(Point(entry.title, entry.meaning, entry.remedy, locations) for entry, locations in points),
    )


def _stale_blocks(news: list[Notice], schools: _Schools) -> Iterator[Block]:
    by_source: dict[tuple[str, str], list[Notice]] = {}
    for notice in news:
        if notice.kind == STALE_SOON:
            by_source.setdefault((schools.form_of(notice), notice.detail or ""), []).append(notice)
    for (form, detail), notices in sorted(by_source.items()):
        what = "data" if FORMATS[form].source_name else "files"
        yield Block(
            heading=f"New {what} needed soon",
            tone="note",
            subject=f"new {what} needed soon",
            schools=tuple(replace(line, detail=None) for line in schools.named_by(notices)),
            points=(Point(f"No {what} for a long time", detail, catalogue(form)["stale"].remedy),),
        )


def _release_blocks(news: list[Notice], schools: _Schools) -> Iterator[Block]:
    released = [notice for notice in news if notice.kind == RELEASED]
    if released:
        yield Block(
            heading="No longer on hold",
            tone="good",
            subject="no longer on hold",
            schools=schools.named_by(released),
            points=(Point("Accounts are syncing again", "The problem is resolved. No action is needed."),),
        )


def _shared(codes: Collection[str], lines: Sequence[Line]) -> str | None:
    """What was seen at all of several schools, to be said once. Numbers are each school's own, even if equal."""
    details = {line.detail for line in lines}
    if len(lines) < 2 or len(details) > 1 or not REASONS_WITH_COUNTS.isdisjoint(codes):
        return None
    detail = details.pop()
    return detail and f"{detail[0].upper()}{detail[1:]}"


def _pause_block(notice: Notice, schools: tuple[Line, ...]) -> Block:
    if notice.kind == RESUME:
        return Block(
            heading="Maintenance is over",
            tone="good",
            subject="Clever sync resumed after maintenance",
            schools=schools,
            points=(
                Point(
                    "Clever sync is running again",
                    "The next sync picks up what changed in Clever in the meantime. No action is needed.",
                ),
            ),
        )
    reason = notice.detail or "paused for maintenance"
    return Block(
        heading="Paused for maintenance",
        tone="note",
        subject="Clever sync paused for maintenance",
        schools=schools,
        points=(
            Point(
                "This is planned maintenance",
                f"Clever sync is {reason.rstrip('.')}. Until it resumes, accounts and classes stay as they are. Then"
                " you will get an email, and the sync picks up what changed. No action is needed.",
            ),
        ),
    )


def _subject(district: District, blocks: list[Block], title: str | None) -> str:
    """The mail in a line: what happened, to how many schools, and in which district."""
    counts: dict[str, int] = {}
    for block in blocks:
        counts[block.subject] = counts.get(block.subject, 0) + len(block.schools)
    parts = []
    for subject, schools in counts.items():
        is_counted = subject in ("on hold", "still on hold", "no longer on hold")
        parts.append(f"{count(schools, 'school')} {subject}" if is_counted else subject)
    listed = ", ".join([title, *parts] if title else parts)
    # A name that is not a single printable line would end its header.
    name = "".join(letter if letter.isprintable() else " " for letter in district.name)
    return f"{listed[0].upper()}{listed[1:]}: {' '.join(name.split())}"
