"""What a district's administrators set up themselves, in the report: sources, matched schools, and settings.

Rule: what the setup file names is the file's, and refused here. Values are checked by the entries of a setup file. The
caller owns the transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, get_args

from pydantic import ValidationError
from sqlmodel import Session, col, select

from contracts.addresses import mail_address
from contracts.text import clean, count
from errors import NotFound, NotPossible, SetupError
from models.tables import District, School, Source
from services import accounts
from services.districts import get_district
from services.holds import contact_policy
from services.intake.adapters import ADAPTERS
from services.intake.setup_entries import SourceEntry, line
from services.mail.digests import start_digests
from services.operations.bringing import bring_source, location_of
from services.operations.entries import LimitEntries, Schedule, in_words
from services.status.sync_status import record_status_changes

GOVERNED = "this is set in the setup file by your operations team, and can't be changed here"
MOST_RECIPIENTS = 50
_NO_LABELS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class SourceSetup:
    """A source as its district sees it. is_ours: set up in the report. is_started: its schools are synced."""

    source: Source
    is_ours: bool
    is_started: bool
    schools: tuple[School, ...]


@dataclass(frozen=True)
class DistrictSetup:
    """What is set up of a district. unmatched: schools on the plan without a source. governed: keys of the file."""

    sources: tuple[SourceSetup, ...]
    unmatched: tuple[School, ...]
    governed: frozenset[str]


def setup_of(session: Session, district: District) -> DistrictSetup:
    """What is set up of a district, in the setup file's order."""
    schools = list(
        session.exec(
            select(School)
            .where(School.district_id == district.id, col(School.frozen).is_(False))
            .order_by(col(School.position), col(School.id))
        )
    )
    sources = session.exec(
        select(Source).where(Source.district_id == district.id).order_by(col(Source.position), col(Source.id))
    )
    return DistrictSetup(
        tuple(
            SourceSetup(
                source,
                source.in_report,
                not source.frozen,
                tuple(school for school in schools if school.source_id == source.id),
            )
            for source in sources
            # A source that the setup file no longer names is history.
            if source.in_report or not source.frozen
        ),
        tuple(school for school in schools if school.on_plan and school.source_id is None),
        frozenset(district.setup_keys or ()),
    )


def source_for(session: Session, district_id: str, key: str) -> Source:
    """Return a source that the district uses or is setting up.

    Raises:
        NotFound: it has none with this key.
    """
    source = session.get(Source, f"{district_id}/{key}")
    if source is None or (source.frozen and not source.in_report):
        raise NotFound(f"district {district_id} has no source {key}")
    return source


def set_up_source(
    session: Session,
    district_id: str,
    values: Mapping[str, Any],
    *,
    key: str | None = None,
    labels: Mapping[str, str] = _NO_LABELS,
) -> Source:
    """Set up a source, which nothing is synced from until somebody starts it. key: one to be changed before that.

    values: what a setup file would say of it, but for its id. labels: what whoever gave them knows the values as.

    Raises:
        NotFound: there is no such district or source.
        NotPossible: the source is the setup file's, or is started already.
        SetupError: a value makes no sense, or another source has its place.
    """
    get_district(session, district_id)
    held = source_for(session, district_id, key) if key is not None else None
    if held is not None and not (held.in_report and held.frozen):
        raise NotPossible(GOVERNED if not held.in_report else "the sync has started, so its source stays as it is")
    kind = str(values.get("kind", ""))
    identifier = key or free_key(session, district_id, kind)
    entry = entry_of(identifier, values, labels)
    adapter = ADAPTERS[kind]
    others = session.exec(select(Source).where(Source.district_id == district_id)).all()
    wanted = Source(
        id=f"{district_id}/{identifier}",
        district_id=district_id,
        key=identifier,
        kind=kind,
        format=entry.format_name,
        settings=entry.settings,
        pausable=adapter.is_pausable,
        position=held.position if held is not None else max((each.position for each in others), default=-1) + 1,
        in_report=True,
    )
    for other in session.exec(select(Source).where(Source.kind == kind, Source.id != wanted.id)):
        if location_of(other) == location_of(wanted) and (other.in_report or not other.frozen):
            # Never whose: it may be another district's.
            raise SetupError("another sync uses that already")
    bring_source(session, held, wanted)
    source = held or wanted
    source.frozen = True
    session.add(source)
    session.flush()
    return source


def entry_of(key: str, values: Mapping[str, Any], labels: Mapping[str, str] = _NO_LABELS) -> SourceEntry:
    """What a setup file would say of a source with this key. values, labels: as for `set_up_source`.

    Raises:
        SetupError: a value makes no sense.
    """
    kind = str(values.get("kind", ""))
    if kind not in ADAPTERS:
        raise SetupError("choose where your data come from")
    try:
        return ADAPTERS[kind].entry.model_validate({"id": key, **_cleaned(values)})
    except ValidationError as error:
        raise SetupError(_problems(error, labels)) from None


def free_key(session: Session, district_id: str, kind: str) -> str:
    """A key for a new source of this kind."""
    taken = set(session.exec(select(Source.key).where(Source.district_id == district_id)))
    return next(
        key for number in range(1, len(taken) + 2) if (key := kind if number == 1 else f"{kind}-{number}") not in taken
    )


def discard_source(session: Session, district_id: str, key: str, *, now: datetime) -> None:
    """Forget a source that was never started, and what was matched with it.

    Raises:
        NotFound: there is no such source.
        NotPossible: it is the setup file's, or is started already.
    """
    source = source_for(session, district_id, key)
    if not (source.in_report and source.frozen):
        raise NotPossible("only a sync that hasn't started can be removed")
    schools = session.exec(select(School).where(School.source_id == source.id)).all()
    _unmatch(session, schools, now)
    session.delete(source)
    session.flush()


def match_schools(
    session: Session, district_id: str, key: str, matches: Mapping[str, str], *, now: datetime
) -> list[School]:
    """Sync schools from a source from now on. matches: by our school's key, its ID in the source's data.

    Raises:
        NotFound: there is no such source or school.
        NotPossible: a school has a source already, or is not on the plan.
        SetupError: an ID makes no sense, or is given to two schools.
    """
    source = source_for(session, district_id, key)
    taken = {
        school.external_id: school.name
        for school in session.exec(select(School).where(School.source_id == source.id))
        if school.external_id is not None
    }
    found: list[tuple[School, str]] = []
    for school_key, value in matches.items():
        school = _school(session, district_id, school_key)
        external_id = _line(clean(value), f"the ID of {school.name}")
        if school.source_id is not None:
            raise NotPossible(f"{school.name} has been matched already")
        if external_id in taken:
            raise SetupError(f"{school.name} and {taken[external_id]} can't both be the same school in your data")
        taken[external_id] = school.name
        found.append((school, external_id))
    for school, external_id in found:
        school.source_id, school.external_id, school.matched_in_report = source.id, external_id, True
        session.add(school)
    session.flush()
    matched = [school for school, _ in found]
    record_status_changes(session, [school.id for school in matched], "the school was matched with its data", now)
    return matched


def unmatch_school(session: Session, district_id: str, school_key: str, *, now: datetime) -> School:
    """Take back what a school was matched with in the report; what was synced stays as it is.

    Raises:
        NotFound: there is no such school.
        NotPossible: it is matched by the setup file, or not at all.
    """
    school = _school(session, district_id, school_key)
    if not school.matched_in_report:
        raise NotPossible(GOVERNED if school.source_id is not None else f"{school.name} isn't matched")
    _unmatch(session, [school], now)
    return school


def start_source(session: Session, district_id: str, key: str, *, now: datetime) -> None:
    """Have a source's schools synced from now on.

    Raises:
        NotFound: there is no such source.
        NotPossible: no school is matched with it yet.
    """
    source = source_for(session, district_id, key)
    schools = session.exec(select(School).where(School.source_id == source.id)).all()
    if not schools:
        raise NotPossible("match at least one school first")
    source.frozen = False
    session.add(source)
    session.flush()
    record_status_changes(session, [school.id for school in schools], "the sync was started", now)


def set_enforcement(session: Session, district_id: str, enforced: bool) -> None:
    """Switch rostering enforcement.

    Raises:
        NotFound, NotPossible: there is no such district, or its setup file says it.
    """
    _assert_ours(session, district_id, "rostering_enforcement")
    accounts.set_enforcement(session, district_id, enforced)


def set_limits(session: Session, district_id: str, values: Mapping[str, Any]) -> None:
    """Set the district's own limits for holds. values: as [district.limits] of a setup file.

    Raises:
        NotFound, NotPossible: there is no such district, or its setup file says them.
        SetupError: a value makes no sense.
    """
    district = _assert_ours(session, district_id, "limits")
    try:
        district.limits = LimitEntries.model_validate(values).stored()
    except ValidationError as error:
        raise SetupError(_problems(error)) from None
    session.add(district)
    session.flush()


def set_contact_policy(
    session: Session, district_id: str, key: str, *, leave_out: bool, ask_again: bool = False
) -> None:
    """Leave a source's emergency contacts out, or have a hold ask about them. ask_again: about those accepted too.

    Raises:
        NotFound: there is no such source.
    """
    source = source_for(session, district_id, key)
    if leave_out:
        contact_policy.leave_out(session, district_id, key)
    elif source.leaves_out_contacts or ask_again:
        contact_policy.hold(session, district_id, key)


def set_mail_schedule(session: Session, district_id: str, values: Mapping[str, str], *, now: datetime) -> None:
    """Set who gets mail how often: address -> each, daily, weekly or never. Whoever is not named gets what is usual.

    Rule: administrators get each mail, others none, unless it says otherwise.

    Raises:
        NotFound, NotPossible: there is no such district, or its setup file says it.
        SetupError: an address or a schedule makes no sense.
    """
    district = _assert_ours(session, district_id, "mail_schedule")
    administrators = {address.casefold() for address in district.administrators}
    schedule: dict[str, str] = {}
    for value, often in values.items():
        if often not in get_args(Schedule):
            raise SetupError("choose how often each person gets email")
        try:
            address = mail_address(value)
        except ValueError as error:
            raise SetupError(f"an address {error}") from None
        usual = "each" if address.casefold() in administrators else "never"
        if often != usual:
            schedule[address] = often
    others = [address for address in schedule if address.casefold() not in administrators]
    if len(others) > MOST_RECIPIENTS:
        raise SetupError(f"email can go to {count(MOST_RECIPIENTS, 'other person', 'other people')} at most")
    start_digests(session, district_id, district.mail_schedule, schedule, now=now)
    district.mail_schedule = schedule or None
    session.add(district)
    session.flush()


def set_pause_notices(session: Session, district_id: str, wanted: bool) -> None:
    """Switch mail about maintenance pauses.

    Raises:
        NotFound, NotPossible: there is no such district, or its setup file says it.
    """
    district = _assert_ours(session, district_id, "pause_notices")
    district.pause_notices = wanted
    session.add(district)
    session.flush()


def _assert_ours(session: Session, district_id: str, key: str) -> District:
    district = get_district(session, district_id)
    if key in (district.setup_keys or ()):
        raise NotPossible(GOVERNED)
    return district


def _school(session: Session, district_id: str, key: str) -> School:
    school = session.get(School, f"{district_id}/{key}")
    if school is None or school.frozen:
        raise NotFound(f"district {district_id} has no school {key}")
    if not school.on_plan:
        raise NotPossible(f"{school.name} is not on the plan and is not synced")
    return school


def _unmatch(session: Session, schools: Collection[School], now: datetime) -> None:
    for school in schools:
        school.source_id, school.external_id, school.matched_in_report = None, None, False
        session.add(school)
    session.flush()
    record_status_changes(session, [school.id for school in schools], "the school was no longer matched", now)


def _line(value: str, what: str) -> str:
    try:
        return line(value)
    except ValueError as error:
        raise SetupError(f"{what} {error}") from None


def _cleaned(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: clean(value) if isinstance(value, str) else value for key, value in values.items()}


def _problems(error: ValidationError, labels: Mapping[str, str] = _NO_LABELS) -> str:
    """What is wrong, a line for each."""
    found = [
        (details, ".".join(str(part) for part in details["loc"]))
        for details in error.errors(include_url=False, include_input=False)
    ]
    return "\n".join(in_words(details, labels.get(key, key)) for details, key in found)
