"""Districts, sources and schools, found by their keys."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, select

from errors import NotFound, NotPossible
from models.tables import District, School, Source


def get_district(session: Session, district_id: str) -> District:
    """Return the district of this ID.

    Raises:
        NotFound: there is none.
    """
    district = session.get(District, district_id)
    if district is None:
        raise NotFound(f"there is no district {district_id}", hint="`rollcall status` lists them")
    return district


def sources_of(session: Session, district_id: str) -> list[Source]:
    """The district's sources that are not frozen, in the setup file's order.

    Raises:
        NotFound: there is no such district.
    """
    get_district(session, district_id)
    found = session.exec(select(Source).where(Source.district_id == district_id, Source.frozen == False))  # noqa: E712
    return sorted(found, key=lambda source: (source.position, source.id))


def find_school(session: Session, district_id: str, key: str) -> School:
    """The district's school with this key.

    Raises:
        NotFound: the district has none.
    """
    school = session.get(School, f"{district_id}/{key}")
    if school is None:
        raise NotFound(
            f"district {district_id} has no school {key}", hint=f"`rollcall status {district_id}` lists them"
        )
    return school


def school_ids(session: Session, district_id: str, keys: list[str]) -> tuple[str, ...]:
    """Our IDs of the district's schools with these keys.

    Raises:
        NotFound: a school is not the district's.
        NotPossible: a school is off the plan, or has no source: it is never synced.
    """
    found = []
    for key in keys:
        school = find_school(session, district_id, key)
        if not school.on_plan or school.frozen:
            raise NotPossible(f"school {key} is not on the plan and is not synced")
        if school.source_id is None:
            raise NotPossible(f"school {key} has no source yet: name one in the setup file")
        found.append(school.id)
    return tuple(found)


def school_names(session: Session, district_id: str) -> dict[str, str]:
    """The district's schools' names, by our ID."""
    return {school.id: school.name for school in session.exec(select(School).where(School.district_id == district_id))}


def district_names(session: Session) -> dict[str, str]:
    """All districts' names, by their IDs."""
    return {district.id: district.name for district in session.exec(select(District))}


def active_districts(session: Session) -> list[str]:
    """The IDs of the districts that are not frozen, in the setup file's order."""
    here = select(District.id).where(col(District.frozen).is_(False))
    return list(session.exec(here.order_by(col(District.position), col(District.id))))


def run_title(session: Session, district_id: str, now: datetime) -> str:
    """What a district's run is called: its name, and the date there. now: an aware datetime."""
    district = session.get(District, district_id)
    if district is None:
        return f"{district_id} · {now:%Y-%m-%d}"
    return f"{district.name} · {now.astimezone(ZoneInfo(district.timezone)):%Y-%m-%d}"


def zone_of(session: Session, source: Source) -> ZoneInfo:
    """Return the time zone of the source's district."""
    district = session.get(District, source.district_id)
    return ZoneInfo(district.timezone if district is not None else "UTC")


def source_of(session: Session, source_id: str) -> Source:
    """Return the source of this ID.

    Raises:
        NotFound: if there is none.
    """
    source = session.get(Source, source_id)
    if source is None:
        raise NotFound(f"there is no source {source_id}")
    return source
