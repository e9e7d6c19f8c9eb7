"""What the report asks for when a source is set up, by its kind; the words are in templates/sources/KIND.html.

A kind that has no form here is set up by the setup file only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from errors import NotPossible, SetupError
from models.tables import Source
from services.intake.adapters import ADAPTERS, SourceAdapter
from services.intake.sftp import SCHEME
from settings import Settings


@dataclass(frozen=True)
class Place:
    """Where a source of a district is to be: its key, and whether the district has another one of this kind."""

    district_id: str
    key: str
    is_first: bool


@dataclass(frozen=True)
class SourceForm:
    """What is asked for a kind of source.

    values: what a setup file would say of it, by the fields of the form. labels: what the form calls these values.
    prepare: makes ready what it needs.
    """

    values: Callable[[Settings, Place, Callable[[str], str]], Mapping[str, Any]]
    labels: Mapping[str, str]
    prepare: Callable[[Source], None] = lambda _: None


def _csv(settings: Settings, place: Place, field: Callable[[str], str]) -> Mapping[str, Any]:
    # Nothing but a server: a folder of this machine is never typed.
    if (address := field("folder")).startswith(SCHEME):
        keys = field("host_keys").replace(",", " ").split()
        return {"kind": "csv", "format": field("format"), "folder": address, "host_keys": keys}
    name = place.district_id if place.is_first else f"{place.district_id}.{place.key}"
    return {"kind": "csv", "format": field("format"), "folder": str(settings.drop_folders / name)}


def _make_folder(source: Source) -> None:
    if source.settings["folder"].startswith(SCHEME):
        return
    try:
        Path(source.settings["folder"]).mkdir(parents=True, exist_ok=True)
    except OSError:
        raise NotPossible("the folder for your files could not be made; your operations team can help") from None


def _clever(_settings: Settings, _place: Place, field: Callable[[str], str]) -> Mapping[str, Any]:
    return {"kind": "clever", "district_id": field("district_id")}


_CSV_LABELS: Final[Mapping[str, str]] = MappingProxyType(
    {"format": "File format", "folder": "SFTP address", "host_keys": "Host keys"}
)
FORMS: Final[Mapping[str, SourceForm]] = MappingProxyType(
    {
        "csv": SourceForm(
            _csv,
            _CSV_LABELS,
            _make_folder,
        ),
        "clever": SourceForm(_clever, MappingProxyType({"district_id": "Clever district ID"})),
    }
)


def adapter_for(settings: Settings, kind: str) -> SourceAdapter:
    """What a kind of source is reached by.

    Raises:
        NotPossible: this installation has no access to such sources.
    """
    try:
        return ADAPTERS[kind](settings.connection(kind))
    except SetupError:
        raise NotPossible("your operations team has to connect Rollcall first") from None


def address_of(settings: Settings, source: Source, *, for_operator: bool) -> str | None:
    """Where a source's data are, as the reader knows the place: a folder of ours by its path is none to a district."""
    place = str(source.settings[ADAPTERS[source.kind].location_key])
    if settings.drop_address and Path(place).parent == settings.drop_folders:
        return f"{settings.drop_address.rstrip('/')}/{Path(place).name}"
    return place if for_operator or place.startswith(SCHEME) or ADAPTERS[source.kind].is_remote else None
