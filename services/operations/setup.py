"""Setup files, in TOML: reading them, and updating the database to match.

Districts, their sources and their schools; nothing of a roster, and no run.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Union

from pydantic import Field, ValidationError, create_model
from pydantic_core import ErrorDetails
from sqlmodel import Session, col, select

from contracts.text import clean
from errors import SetupError
from models.tables import District, School, Source
from services.intake.adapters import ADAPTERS
from services.intake.setup_entries import Entry, SourceEntry
from services.mail.digests import start_digests
from services.operations.bringing import bring, bring_source, location_of
from services.operations.entries import DistrictEntry, SchoolEntry, in_words
from services.status.sync_status import record_status_changes


class Setup(Entry):
    """A whole setup: every district there is, or those to be added."""

    district: Annotated[list[DistrictEntry], Field(min_length=1)]


@cache
def _setup_of(entries: tuple[type[SourceEntry], ...]) -> type[Setup]:
    """The setup with sources of these entries, distinguished by their kind."""
    source: Any = Annotated[Union[entries], Field(discriminator="kind")]  # noqa: UP007
    district: Any = create_model("DistrictEntry", __base__=DistrictEntry, source=(list[source], []))
    return create_model("Setup", __base__=Setup, district=(Annotated[list[district], Field(min_length=1)], ...))


def read_setup(path: Path) -> Setup:
    """Read and check a setup file, or all files .toml of a folder as one, in the order of their names.

    Values lose blanks and invisible characters at both ends. Relative folders are relative to the file's own and come
    out absolute.

    Raises:
        SetupError: a file cannot be read or makes no sense; one line for each problem, naming entry and key.
    """
    if not path.is_dir():
        districts, problems = _read_file(path)
    else:
        files = sorted(file for file in path.glob("*.toml") if not file.name.startswith("."))
        if not files:
            raise SetupError(f"{path} has no setup file (.toml)")
        districts, problems = [], []
        for file in files:
            found, wrong = _read_file(file)
            districts += found
            problems += [f"{file.name}: {problem}" for problem in wrong]
    setup = Setup.model_construct(district=districts)
    problems = problems or list(_contradictions(setup))
    if problems:
        raise SetupError("\n".join(problems))
    return setup


def _read_file(path: Path) -> tuple[list[DistrictEntry], list[str]]:
    """A file's districts, or what is wrong with them."""
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise SetupError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SetupError(f"{path} is not UTF-8 text") from None
    try:
        raw = _cleaned(tomllib.loads(content))
    except tomllib.TOMLDecodeError as error:
        raise SetupError(f"{path} is not valid TOML: {error}") from None
    try:
        setup = _setup_of(tuple(adapter.entry for adapter in ADAPTERS.values())).model_validate(raw)
    except ValidationError as error:
        return [], [_problem(raw, details) for details in error.errors(include_url=False, include_input=False)]
    return [_absolute(entry, path) for entry in setup.district], []


def _cleaned(raw: Any) -> Any:
    match raw:
        case str():
            return clean(raw)
        case dict():
            return {key: _cleaned(value) for key, value in raw.items()}
        case list():
            return [_cleaned(value) for value in raw]
        case _:
            return raw


def _unnamed(session: Session, setup: Setup) -> list[District | Source | School]:
    """What is set up, not frozen and not named by the setup: each district with its sources, then its schools."""
    named: dict[type, set[str]] = {
        District: {entry.id for entry in setup.district},
        Source: {f"{entry.id}/{source.id}" for entry in setup.district for source in entry.source},
        School: {f"{entry.id}/{school.id}" for entry in setup.district for school in entry.school},
    }
    districts = session.exec(select(District).order_by(col(District.position), col(District.id))).all()
    order = {district.id: number for number, district in enumerate(districts)}
    rows: list[District | Source | School] = [
        *districts,
        *session.exec(select(Source).order_by(col(Source.position), col(Source.id))),
        *session.exec(select(School).order_by(col(School.position), col(School.id))),
    ]
    found = [
        row
        for row in rows
        # What was set up in the report is none of the file's.
        if not row.frozen and row.id not in named[type(row)] and not (isinstance(row, Source) and row.in_report)
    ]
    return sorted(found, key=lambda row: order[row.id if isinstance(row, District) else row.district_id])


def would_freeze(session: Session, setup: Setup) -> list[str]:
    """What setting it up would freeze, a line each; a frozen district stands for all it has."""
    return [
        f"{name.removesuffix(':')} would be frozen" for name in _describe_unnamed(session, _unnamed(session, setup))
    ]


def _describe_unnamed(session: Session, rows: list[District | Source | School]) -> list[str]:
    districts = [row.id for row in rows if isinstance(row, District)]
    names = []
    for row in rows:
        match row:
            case District():
                names.append(f"{row.name}:")
            case _ if row.district_id in districts:
                continue
            case Source():
                names.append(f"{session.get_one(District, row.district_id).name}: source {row.key}")
            case School():
                names.append(f"{session.get_one(District, row.district_id).name}: school {row.name}")
    return names


def apply_setup(session: Session, setup: Setup, *, add: bool = False, now: datetime | None = None) -> list[str]:
    """Update the database to match the setup; return each change in words, none the second time.

    Rule: setting up never deletes. What the setup no longer lists is frozen; listed again, it resumes. Schools
    whose sync status changes by it have that recorded, at `now` (None: the present). Sources, matched schools and
    values that were set in the report stay, unless the setup names them. add: what the setup does not name is left
    alone, and what is new comes behind it.

    Raises:
        SetupError: something named is in the way of what was set up in the report or, with `add`, is left alone.
        DatabaseUnavailable, DataError: by the database; see `Database.transaction`.
    """
    at = now or datetime.now(UTC)
    others = _unnamed(session, setup)
    kept = [*_set_in_report(session, setup), *(others if add else [])]
    if problems := list(_contradictions(setup, kept)):
        raise SetupError("\n".join(problems))
    changes: list[str] = []
    held = {district.id: district for district in session.exec(select(District))}
    for number, entry in enumerate(setup.district):
        district = held.get(entry.id)
        returns = district is not None and district.frozen
        wanted = _wanted_district(entry, district, _position(held, entry.id, number, add))
        former = district.mail_schedule if district is not None else None
        words = [
            *bring(session, district, wanted),
            *_bring_sources(session, entry, returns, add),
            *_bring_schools(session, entry, returns, add),
        ]
        changes += [f"{entry.name}: {word}" for word in words]
        start_digests(session, entry.id, former, wanted.mail_schedule, now=at)
    if not add:
        changes += [
            f"{name} frozen, because the setup file no longer lists it" for name in _describe_unnamed(session, others)
        ]
        for row in others:
            row.frozen = True
    session.flush()
    record_status_changes(session, None, "the setup was changed", at)
    return changes


def _set_in_report(session: Session, setup: Setup) -> list[Source | School]:
    """The sources and matched schools that were set up in the report and that the setup does not name itself."""
    named = {f"{entry.id}/{source.id}" for entry in setup.district for source in entry.source}
    matched = {f"{entry.id}/{school.id}" for entry in setup.district for school in entry.school if school.source}
    rows: list[Source | School] = [
        *session.exec(select(Source).where(col(Source.in_report), col(Source.id).not_in(named))),
        *session.exec(select(School).where(col(School.matched_in_report), col(School.id).not_in(matched))),
    ]
    return rows


_SET_IN_REPORT = ("limits", "mail_schedule", "pause_notices")


def _wanted_district(entry: DistrictEntry, held: District | None, position: int) -> District:
    """The district as it is to be. Rule: what neither this setup nor the last one names stays as the report set it."""
    named = entry.model_fields_set
    by_report: dict[str, Any] = {}
    if held is not None:
        theirs = named.union(held.setup_keys or ())
        by_report = {key: getattr(held, key) for key in _SET_IN_REPORT if key not in theirs}
        # Whoever is an administrator no longer is no recipient either.
        gone = {each.casefold() for each in held.administrators} - {each.casefold() for each in entry.administrators}
        if schedule := by_report.get("mail_schedule"):
            by_report["mail_schedule"] = {key: often for key, often in schedule.items() if key.casefold() not in gone}
        if entry.rostering_enforcement is None:
            by_report["rostering_enforcement"] = held.rostering_enforcement
    values = {
        "limits": entry.limits.stored(),
        "mail_schedule": entry.mail_schedule,
        "pause_notices": entry.pause_notices is not False,
        "rostering_enforcement": entry.rostering_enforcement is True,
        **by_report,
    }
    return District(
        id=entry.id,
        name=entry.name,
        timezone=entry.timezone,
        phone_region=entry.phone_region,
        administrators=entry.administrators,
        date_order=entry.date_order,
        setup_keys=sorted(named - {"id"}),
        position=position,
        **values,
    )


def _position(held: Mapping[str, District | Source | School], identifier: str, number: int, add: bool) -> int:
    if not add:
        return number
    return held[identifier].position if identifier in held else len(held) + number


def _bring_sources(session: Session, entry: DistrictEntry, returns: bool, add: bool) -> Iterator[str]:
    held = {row.id: row for row in session.exec(select(Source).where(Source.district_id == entry.id))}
    for number, wanted in enumerate(entry.source):
        identifier = f"{entry.id}/{wanted.id}"
        new = Source(
            id=identifier,
            district_id=entry.id,
            key=wanted.id,
            kind=wanted.kind,
            format=wanted.format_name,
            settings=wanted.settings,
            pausable=ADAPTERS[wanted.kind].is_pausable,
            position=_position(held, identifier, number, add),
        )
        words = bring_source(session, held.get(identifier), new, silent=returns)
        yield from (f"source {wanted.id} {word}" for word in words)


def _bring_schools(session: Session, entry: DistrictEntry, returns: bool, add: bool) -> Iterator[str]:
    held = {row.id: row for row in session.exec(select(School).where(School.district_id == entry.id))}
    statement = select(Source).where(Source.district_id == entry.id)
    here = {f"{entry.id}/{source.id}" for source in entry.source}
    usable = {row.id for row in session.exec(statement) if row.in_report or row.id in here or (add and not row.frozen)}
    for number, wanted in enumerate(entry.school):
        identifier = f"{entry.id}/{wanted.id}"
        school = held.get(identifier)
        matched = school if _keeps_match(wanted, school, usable) else None
        words = bring(
            session,
            school,
            School(
                id=identifier,
                district_id=entry.id,
                key=wanted.id,
                name=wanted.name,
                source_id=_source_id(entry, wanted) if matched is None else matched.source_id,
                external_id=wanted.external_id if matched is None else matched.external_id,
                matched_in_report=matched is not None,
                on_plan=wanted.on_plan,
                administrators=wanted.administrators,
                position=_position(held, identifier, number, add),
            ),
            silent=returns,
        )
        yield from (f"school {wanted.name} {word}" for word in words)


def _source_id(entry: DistrictEntry, school: SchoolEntry) -> str | None:
    return f"{entry.id}/{school.source}" if school.source is not None else None


def _keeps_match(wanted: SchoolEntry, held: School | None, usable: Collection[str]) -> bool:
    """Whether a school stays as the report matched it: the setup names no source, and the one it has is there."""
    return wanted.source is None and held is not None and held.matched_in_report and held.source_id in usable


def _absolute(district: DistrictEntry, path: Path) -> DistrictEntry:
    base = path.absolute().parent
    if "source" not in district.model_fields_set:
        return district
    sources = [source.relative_to(base) for source in district.source]
    return district.model_copy(update={"source": sources})


def _problem(raw: Mapping[str, Any], details: ErrorDetails) -> str:
    """Say one problem as ``district "unified", school "lincoln": external_id is missing``."""
    entries: list[str] = []
    entry: Any = raw
    location = list(details["loc"])
    while len(location) >= 2 and location[0] in ("district", "source", "school") and isinstance(location[1], int):
        kind, position = str(location[0]), location[1]
        entry = entry[kind][position]
        identifier = entry.get("id") if isinstance(entry, dict) else None
        entries.append(f'{kind} "{identifier}"' if isinstance(identifier, str) else f"{kind} {position + 1}")
        location = location[2:]
        if kind == "source" and location and location[0] in ADAPTERS:
            location = location[1:]  # which kind's keys were looked at
    if location and location[0] == "mail_schedule":
        location = location[:1]  # what follows is somebody's address
    if location and location[0] == "limits" and len(location) > 1:
        location = [".".join(str(part) for part in location)]
    key = " entry ".join(str(part + 1) if isinstance(part, int) else part for part in location)
    message = in_words(details, key)
    return f"{', '.join(entries)}: {message}" if entries else message


def _contradictions(setup: Setup, others: Iterable[District | Source | School] = ()) -> Iterator[str]:
    """What cannot be together in the setup, or with what else is set up and left alone."""
    yield from (f"two districts have the id {double}" for double in _doubles(entry.id for entry in setup.district))
    locations: dict[tuple[str, str], str] = {}
    taken: dict[str, dict[tuple[str, str], str]] = {}
    for row in others:
        if isinstance(row, Source):
            locations[location_of(row)] = f'district "{row.district_id}", source "{row.key}"'
        elif isinstance(row, School) and row.source_id is not None and row.external_id is not None:
            source_key = row.source_id.removeprefix(f"{row.district_id}/")
            taken.setdefault(row.district_id, {})[source_key, row.external_id] = row.key
    for district in setup.district:
        here = f'district "{district.id}"'
        sources = {source.id for source in district.source}
        yield from (f"{here}: two sources have the id {each}" for each in _doubles(s.id for s in district.source))
        yield from (f"{here}: two schools have the id {each}" for each in _doubles(s.id for s in district.school))
        for source in district.source:
            label = f'{here}, source "{source.id}"'
            adapter = ADAPTERS[source.kind]
            key = adapter.location_key
            other = locations.setdefault((key, adapter.location_of(source.settings)), label)
            if other != label:
                yield f"{label}: {key} is already used by {other}"
        claims = taken.get(district.id, {})
        for school in district.school:
            label = f'{here}, school "{school.id}"'
            if school.source is None and school.external_id is None:
                continue
            if school.source is None:
                yield f"{label}: source is missing: external_id needs one"
            elif school.source not in sources:
                yield f"{label}: source {school.source} is not one of the district's sources"
            elif school.external_id is None:
                yield f"{label}: external_id is missing"
            else:
                other = claims.setdefault((school.source, school.external_id), school.id)
                if other != school.id:
                    yield f'{label}: external_id {school.external_id} is already used by school "{other}"'


def _doubles(identifiers: Iterable[str]) -> list[str]:
    return [identifier for identifier, number in Counter(identifiers).items() if number > 1]
