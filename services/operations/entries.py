"""What a setup file says of a district and its schools, and what is wrong with what somebody gave, in words."""

from __future__ import annotations

from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from pydantic import AfterValidator, AliasChoices, Field
from pydantic_core import ErrorDetails

from contracts.addresses import mail_address
from services.figures import DISTRICT
from services.intake.adapters import ADAPTERS
from services.intake.setup_entries import Entry, Line, Slug, SourceEntry, line

SCHOOL_NAME_LENGTH = 60

Schedule = Literal["each", "daily", "weekly", "never"]


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
    mail_schedule: dict[Annotated[str, AfterValidator(mail_address)], Schedule] | None = None
    pause_notices: bool | None = None
    source: list[SourceEntry] = Field(default_factory=list)
    school: list[SchoolEntry] = Field(default_factory=list)


def in_words(details: ErrorDetails, key: str) -> str:
    """What is wrong with the value under a key, in words."""
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
        case "dict_type":
            return f'{key} must be written in braces, {{"ADDRESS" = "daily", …}}'
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
