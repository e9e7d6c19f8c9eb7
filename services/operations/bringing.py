"""Bringing a stored district, source or school to what is wanted of it, and each change in words."""

from __future__ import annotations

from typing import Any, TypeVar

from sqlmodel import Session

from models.tables import District, School, Source
from services.intake.adapters import ADAPTERS

Row = TypeVar("Row", District, Source, School)

# A stored field that the setup file calls otherwise.
_KEYS: dict[tuple[type, str], str] = {
    (School, "source_id"): "source",
}
# What the setup file says nothing of, or has no words of its own when it changes.
_UNTOLD = {"id", "district_id", "key", "position", "pausable", "setup_keys", "in_report", "matched_in_report"}
_NOT_SET_UP = {
    "frozen",
    "teachers",
    "students",
    "stamps",
    "sightings",
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


def bring(session: Session, held: Row | None, wanted: Row, *, silent: bool = False) -> list[str]:
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
    return (
        f"{key} changed" if key in ("administrators", "mail_schedule") else f"{key} {_shown(before)} → {_shown(after)}"
    )


def _shown_limits(limits: Any) -> str:
    limits_set = [f"{kind} {share:.4g}, {count:.0f}" for kind, (share, count) in sorted((limits or {}).items())]
    return "; ".join(limits_set) or "the default"


def _shown(value: object) -> str:
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def bring_source(session: Session, held: Source | None, wanted: Source, *, silent: bool = False) -> list[str]:
    """Write a source, as `bring` does."""
    if held is not None and location_of(held) != location_of(wanted):
        # What was noted of one place says nothing of another.
        held.stamps = held.sightings = held.last_sync = held.remote_state = held.remote_reason = None
        held.not_ready_since = None
    return bring(session, held, wanted, silent=silent)


def location_of(source: Source) -> tuple[str, str]:
    """Where a source's data are, as no two sources may have it."""
    adapter = ADAPTERS[source.kind]
    return adapter.location_key, adapter.location_of(source.settings)
