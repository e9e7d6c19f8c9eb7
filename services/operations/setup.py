"""Setup files, in TOML: reading them, and updating the database to match.

Districts, their sources and their schools; nothing of a roster, and no run.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from pydantic import AfterValidator, AliasChoices, Field, ValidationError, create_model
from pydantic_core import ErrorDetails
from sqlmodel import Session, col, select

from contracts.addresses import mail_address
from contracts.text import clean
from errors import SetupError
from models.tables import District, School, Source
from services.figures import DISTRICT
from services.intake.adapters import ADAPTERS
from services.intake.setup_entries import Entry, Line, Slug, SourceEntry, line
from services.status.sync_status import record_status_changes

SCHOOL_NAME_LENGTH = 60


def _school_name(value: str) -> str:
    value = line(value)
    if len(value) > SCHOOL_NAME_LENGTH:
        raise ValueError(f"is longer than {SCHOOL_NAME_LENGTH} characters")
    return value


def _known_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("is not a known time zone, such as America/Los_Angeles") from None
    return value


def _known_region(value: str) -> str:
    if value not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError("is not a known country code, such as US")
    return value


class SchoolEntry(Entry):
    """A [[district.school]]."""

    id: Slug
    name: Annotated[str, AfterValidator(_school_name)]
    source: str | None = None
    # Setup files written before 0.2 say source_id.
    external_id: Annotated[Line | None, Field(validation_alias=AliasChoices("external_id", "source_id"))] = None
    on_plan: bool = True
    administrators: list[Annotated[str, AfterValidator(mail_address)]] = Field(default_factory=list)


class LimitEntry(Entry):
    """A limit of a [district.limits]: more than this share, and more than this number of records, hold a school."""

    share: Annotated[float, Field(ge=0, le=1)]
    count: Annotated[int, Field(ge=0)]


class TogetherEntries(Entry):
    """A [district.limits.district]: those of all schools of a source together."""

    students: LimitEntry | None = None
    guardians: LimitEntry | None = None
    employees: LimitEntry | None = None


class LimitEntries(Entry):
    """A [district.limits]: those that are the district's own, by type. class_memberships: of both kinds of them."""

    students: LimitEntry | None = None
    guardians: LimitEntry | None = None
    employees: LimitEntry | None = None
    classes: LimitEntry | None = None
    class_memberships: LimitEntry | None = None
    student_class_memberships: LimitEntry | None = None
    teacher_class_memberships: LimitEntry | None = None
    guardianships: LimitEntry | None = None
    guardianships_added: LimitEntry | None = None
    changes: LimitEntry | None = None
    district: TogetherEntries = TogetherEntries()

    def stored(self) -> dict[str, list[float]] | None:
        """The limits as they are stored: type -> [share, count]; of all schools together with DISTRICT before it."""
        named = [
            *((kind, limit) for kind, limit in self if kind != "district"),
            *((f"{DISTRICT}{kind}", limit) for kind, limit in self.district),
        ]
        return {kind: [limit.share, float(limit.count)] for kind, limit in named if limit is not None} or None


class DistrictEntry(Entry):
    """A [[district]]."""

    id: Slug
    name: Line
    timezone: Annotated[str, AfterValidator(_known_zone)]
    phone_region: Annotated[str, AfterValidator(_known_region)] = "US"
    administrators: list[Annotated[str, AfterValidator(mail_address)]] = Field(default_factory=list)
    limits: LimitEntries = LimitEntries()
    date_order: Literal["month", "day"] | None = None  # None: as the dates of a delivery show it
    rostering_enforcement: bool | None = None  # None: as it is stored, so that the command line's switch lasts
    source: list[SourceEntry] = Field(default_factory=list)
    school: list[SchoolEntry] = Field(default_factory=list)


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
    found = [row for row in rows if not row.frozen and row.id not in named[type(row)]]
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
    whose sync status changes by it have that recorded, at `now` (None: the present). add: what the setup does not name
    is left alone, and what is new comes behind it.

    Raises:
        SetupError: with `add`, something named is in the way of what is left alone.
        DatabaseUnavailable, DataError: by the database; see `Database.transaction`.
    """
    others = _unnamed(session, setup)
    if add and (problems := list(_contradictions(setup, others))):
        raise SetupError("\n".join(problems))
    changes: list[str] = []
    held = {district.id: district for district in session.exec(select(District))}
    for number, entry in enumerate(setup.district):
        district = held.get(entry.id)
        returns = district is not None and district.frozen
        words = [
            *_bring(
                session,
                district,
                District(
                    id=entry.id,
                    name=entry.name,
                    timezone=entry.timezone,
                    phone_region=entry.phone_region,
                    administrators=entry.administrators,
                    limits=entry.limits.stored(),
                    date_order=entry.date_order,
                    position=_position(held, entry.id, number, add),
                    rostering_enforcement=_enforcement(entry, district),
                ),
            ),
            *_bring_sources(session, entry, returns, add),
            *_bring_schools(session, entry, returns, add),
        ]
        changes += [f"{entry.name}: {word}" for word in words]
    if not add:
        changes += [
            f"{name} frozen, because the setup file no longer lists it" for name in _describe_unnamed(session, others)
        ]
        for row in others:
            row.frozen = True
    session.flush()
    record_status_changes(session, None, "the setup was changed", now or datetime.now(UTC))
    return changes


def _enforcement(entry: DistrictEntry, held: District | None) -> bool:
    if entry.rostering_enforcement is not None:
        return entry.rostering_enforcement
    return held is not None and held.rostering_enforcement


def _position(held: Mapping[str, District | Source | School], identifier: str, number: int, add: bool) -> int:
    if not add:
        return number
    return held[identifier].position if identifier in held else len(held) + number


def _bring_sources(session: Session, entry: DistrictEntry, returns: bool, add: bool) -> Iterator[str]:
    held = {row.id: row for row in session.exec(select(Source).where(Source.district_id == entry.id))}
    for number, wanted in enumerate(entry.source):
        identifier = f"{entry.id}/{wanted.id}"
        source = held.get(identifier)
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
        if source is not None and _location(source) != _location(new):
            # What was noted of one place says nothing of another.
            source.stamps = source.last_sync = source.remote_state = source.remote_reason = None
            source.not_ready_since = None
        words = _bring(session, source, new, silent=returns)
        yield from (f"source {wanted.id} {word}" for word in words)


def _location(source: Source) -> tuple[str, str]:
    adapter = ADAPTERS[source.kind]
    return adapter.location_key, adapter.location_of(source.settings)


def _bring_schools(session: Session, entry: DistrictEntry, returns: bool, add: bool) -> Iterator[str]:
    held = {row.id: row for row in session.exec(select(School).where(School.district_id == entry.id))}
    for number, wanted in enumerate(entry.school):
        identifier = f"{entry.id}/{wanted.id}"
        words = _bring(
            session,
            held.get(identifier),
            School(
                id=identifier,
                district_id=entry.id,
                key=wanted.id,
                name=wanted.name,
                source_id=f"{entry.id}/{wanted.source}" if wanted.source is not None else None,
                external_id=wanted.external_id,
                on_plan=wanted.on_plan,
                administrators=wanted.administrators,
                position=_position(held, identifier, number, add),
            ),
            silent=returns,
        )
        yield from (f"school {wanted.name} {word}" for word in words)


Row = TypeVar("Row", District, Source, School)

# A stored field that the setup file calls otherwise.
_KEYS: dict[tuple[type, str], str] = {
    (School, "source_id"): "source",
}
# What the setup file says nothing of, or has no words of its own when it changes.
_UNTOLD = {"id", "district_id", "key", "position", "pausable"}
_NOT_SET_UP = {
    "frozen",
    "setup_keys",
    "mail_schedule",
    "pause_notices",
    "in_report",
    "teachers",
    "students",
    "stamps",
    "last_delivery_id",
    "current_delivery_id",
    "last_received_at",
    "last_sync",
    "remote_state",
    "remote_reason",
    "not_ready_since",
    "leaves_out_contacts",
    "stale_noticed_at",
}


def _bring(session: Session, held: Row | None, wanted: Row, *, silent: bool = False) -> list[str]:
    """Write one entry; gives what changed. `silent`: its district's line says already that it is no longer frozen."""
    if held is None:
        session.add(wanted)
        session.flush()
        return ["added"]
    words = []
    if held.frozen:
        held.frozen = False
        words += [] if silent else ["listed again, no longer frozen"]
    for field in type(wanted).model_fields.keys() - _NOT_SET_UP:
        before, after = getattr(held, field), getattr(wanted, field)
        if before == after:
            continue
        setattr(held, field, after)
        if field == "settings":
            before, after = before or {}, after or {}
            words += [
                _describe_change(key, before.get(key), after.get(key))
                for key in {**before, **after}
                if before.get(key) != after.get(key)
            ]
        elif field not in _UNTOLD:
            words.append(_describe_change(_KEYS.get((type(wanted), field), field), before, after))
    return sorted(words)


def _describe_change(key: str, before: object, after: object) -> str:
    if key == "limits":
        return f"limits {_shown_limits(before)} → {_shown_limits(after)}"
    # Administrators are people: their addresses are for the database only.
    return f"{key} changed" if key == "administrators" else f"{key} {_shown(before)} → {_shown(after)}"


def _shown_limits(limits: Any) -> str:
    limits_set = [f"{kind} {share:.4g}, {count:.0f}" for kind, (share, count) in sorted((limits or {}).items())]
    return "; ".join(limits_set) or "the default"


def _shown(value: object) -> str:
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _absolute(district: DistrictEntry, path: Path) -> DistrictEntry:
    base = path.absolute().parent
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
    if location and location[0] == "limits" and len(location) > 1:
        location = [".".join(str(part) for part in location)]
    key = " entry ".join(str(part + 1) if isinstance(part, int) else part for part in location)
    message = _message(details, key)
    return f"{', '.join(entries)}: {message}" if entries else message


def _message(details: ErrorDetails, key: str) -> str:
    match details["type"]:
        case "extra_forbidden":
            return f"unknown key {key}"
        case "missing" | "too_short" if key == "district":
            return "the file has no [[district]]"
        case "missing":
            return f"{key} is missing"
        case "string_type":
            return f"{key} must be text in quotes"
        case "int_type":
            return f"{key} must be a whole number"
        case "bool_type":
            return f"{key} must be true or false"
        case "greater_than_equal" | "less_than_equal" | "finite_number" if key.endswith("share"):
            return f"{key} must be from 0 to 1"
        case "greater_than_equal":
            return f"{key} must not be negative"
        case "float_type":
            return f"{key} must be a number"
        case "union_tag_not_found":
            return "kind is missing"
        case "union_tag_invalid":
            return f"kind must be {' or '.join(ADAPTERS)}"
        case "literal_error":
            return f"{key} must be {details['ctx']['expected'].replace(chr(39), '')}"
        case "value_error":
            return f"{key} {details['ctx']['error']}"
        case "list_type" if key in ("district", "source", "school"):
            return f"{key} must be written in double brackets, [[…]]"
        case "model_type" if key == "limits.district":
            return f"{key} must be written as [district.limits.district], with a limit for each type"
        case "model_type" if key.startswith("limits"):
            return f"{key} must be written in braces, {{share = …, count = …}}"
        case "model_type":
            return "must be written in double brackets, [[…]], with keys of its own"
        case "list_type":
            return f"{key} must be a list in brackets"
        case _:
            return f"{key}: {details['msg']}"


def _contradictions(setup: Setup, others: Iterable[District | Source | School] = ()) -> Iterator[str]:
    """What cannot be together in the setup, or with what else is set up and left alone."""
    yield from (f"two districts have the id {double}" for double in _doubles(entry.id for entry in setup.district))
    locations: dict[tuple[str, str], str] = {}
    taken: dict[str, dict[tuple[str, str], str]] = {}
    for row in others:
        if isinstance(row, Source):
            locations[_location(row)] = f'district "{row.district_id}", source "{row.key}"'
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
