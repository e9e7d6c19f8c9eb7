"""Who somebody is in the report, and what they may see.

Rule: district administrators see their districts, school administrators their schools (the setup names both), operators
all. What somebody may not see is not found, exactly like what does not exist.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, String, cast, func, or_, true
from sqlmodel import Session, col, select

from errors import NotFound
from models.tables import District, School


@dataclass(frozen=True)
class Viewer:
    """Somebody, or a program, who reads the report.

    name: an email address, or a token's name. districts: IDs of those they administer. schools: IDs of those they
    administer, beside the districts' own. is_read_only: a program with a token.
    """

    name: str
    is_operator: bool = False
    districts: frozenset[str] = frozenset()
    schools: frozenset[str] = frozenset()
    is_read_only: bool = False

    @property
    def sees_anything(self) -> bool:
        """Whether there is anything for them at all."""
        return self.is_operator or bool(self.districts or self.schools)

    def administers(self, district_id: str) -> bool:
        """Whether they see all of a district."""
        return self.is_operator or district_id in self.districts

    def sees_school(self, school: School) -> bool:
        """Whether they see a school."""
        return self.administers(school.district_id) or school.id in self.schools


NOBODY = Viewer("")


def viewer_of(session: Session, email: str, operators: Collection[str]) -> Viewer:
    """Who the person with this address is. Addresses are compared casefolded.

    Rule: districts and schools that the setup file no longer names are nobody's to see but the operators'.
    """
    wanted = email.casefold()

    def names(administrators: Collection[str]) -> bool:
        return wanted in {address.casefold() for address in administrators}

    def may_name(administrators: Any) -> ColumnElement[bool]:
        # What the database can leave out is not read: of thousands of schools, a few name somebody. It compares ASCII
        # only without regard to case.
        if not wanted.isascii():
            return true()
        return func.lower(cast(administrators, String)).contains(json.dumps(wanted), autoescape=True)

    districts = session.exec(
        select(District.id, District.administrators).where(
            col(District.frozen).is_(False), may_name(District.administrators)
        )
    )
    schools = session.exec(
        select(School.id, School.administrators)
        .join(District, col(District.id) == School.district_id)
        .where(col(School.frozen).is_(False), col(District.frozen).is_(False), may_name(School.administrators))
    )
    return Viewer(
        wanted,
        is_operator=wanted in {operator.casefold() for operator in operators},
        districts=frozenset(district for district, administrators in districts if names(administrators)),
        schools=frozenset(school for school, administrators in schools if names(administrators)),
    )


def visible_districts(session: Session, viewer: Viewer) -> list[District]:
    """The districts that somebody sees all of, in the setup file's order."""
    found = session.exec(
        select(District).where(col(District.frozen).is_(False)).order_by(col(District.position), col(District.id))
    )
    return [district for district in found if viewer.administers(district.id)]


def visible_schools(session: Session, viewer: Viewer) -> list[School]:
    """The schools that somebody sees beside their districts' own, by name."""
    found = session.exec(select(School).where(col(School.id).in_(viewer.schools)).order_by(School.name))
    return list(found)


def only_district(session: Session, viewer: Viewer) -> District | None:
    """The district that everything somebody sees is of; None where there are several, or none."""
    if not viewer.sees_anything:
        return None
    of_schools = select(School.district_id).where(col(School.id).in_(viewer.schools))
    seen = (
        true() if viewer.is_operator else or_(col(District.id).in_(viewer.districts), col(District.id).in_(of_schools))
    )
    found = session.exec(select(District).where(col(District.frozen).is_(False), seen).limit(2)).all()
    return found[0] if len(found) == 1 else None


def district_for(session: Session, viewer: Viewer, district_id: str) -> District:
    """Return a district that somebody may see all of.

    Raises:
        NotFound: there is none, or not for them.
    """
    district = session.get(District, district_id)
    if district is None or not viewer.administers(district.id) or (district.frozen and not viewer.is_operator):
        raise NotFound(f"there is no district {district_id}")
    return district


def school_for(session: Session, viewer: Viewer, school_id: str) -> School:
    """Return a school that somebody may see.

    Raises:
        NotFound: there is none, or not for them.
    """
    school = session.get(School, school_id)
    if school is None or not viewer.sees_school(school) or (school.frozen and not viewer.is_operator):
        raise NotFound(f"there is no school {school_id}")
    return school
