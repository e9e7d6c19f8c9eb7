"""What a hold's reason counted, in words: the one place for mail, command line, artifact and page. No personal data.

A reason's counts are by what was counted:
- a type of `services.planning.changesets.TYPES`: {"removed", "before"}, {"ids"} for those that stay under another ID,
  {"after"} where all are replaced by others; guardianships also {"added", "before"}
- a type and a field, as students_email: {"changed", "before"}, or {"emptied", "before"} where nobody would have one
- DISTRICT and a type: {"removed", "before"} of all schools of the source together, {"here"} from this school,
  {"schools"} that they come from
- of guardians {"found", "limit"}, of contacts, and of guardians without a type, {"found"}
Whatever has a limit gives it as {"limit_share", "limit_count"}, and {"own_limit"} where the district set it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts.text import count

DISTRICT = "district_"
UNTYPED_GUARDIANS = "untyped_guardians"

Counts = Mapping[str, Any]


def describe(counts: Mapping[str, Counts], *, limits: bool = True) -> list[str]:
    """What was counted, a line for each type. limits: say also which limit was exceeded."""
    return [_describe(kind, each) + (_limit(each) if limits else "") for kind, each in counts.items()]


def together(kind: str, counts: Counts) -> str:
    """What was counted of all schools of a source together. kind: with DISTRICT before the type."""
    everybody = number(counts["before"], kind.removeprefix(DISTRICT))
    return f"{counts['removed']} of {everybody} of all schools together would no longer be at any of them"


def number(many: int, type_: str) -> str:
    """A number of a type, in words: "1 class", "2 student class memberships"."""
    words = type_.replace("_", " ")
    return count(many, words.removesuffix("es" if words == "classes" else "s"), words)


def _describe(kind: str, counts: Counts) -> str:
    if "here" in counts:
        return f"{together(kind, counts)}, {counts['here']} of them from this school"
    if "ids" in counts or "removed" in counts:
        return _removed(kind, counts)
    of_kind, _, name = kind.partition("_")
    shown = name.replace("_", " ")
    if "changed" in counts:
        return f"{counts['changed']} of {number(counts['before'], of_kind)} would change their {shown}"
    if "emptied" in counts:
        return (
            f"{counts['emptied']} of {number(counts['before'], of_kind)} would lose their {shown}, and nobody keeps one"
        )
    if "added" in counts:
        return f"{number(counts['added'], 'guardians')} would be added to students who have {counts['before']} now"
    if "limit" in counts:
        has = "student has" if counts["found"] == 1 else "students have"
        return f"{counts['found']} {has} {counts['limit']} or more guardians"
    if kind == UNTYPED_GUARDIANS:
        who = "1 guardian who may be an emergency contact"
        return who if counts["found"] == 1 else f"{counts['found']} guardians who may be emergency contacts"
    return count(counts["found"], f"{kind} contact")


def _removed(kind: str, counts: Counts) -> str:
    """Of removals, and of IDs that change: whoever goes on under a new ID is removed by nobody."""
    before, removed, ids = counts["before"], counts.get("removed", 0), counts.get("ids", 0)
    everybody = number(before, kind)
    if not removed:
        if _is_all(counts) and before == 1:
            return f"the ID of the only {everybody.removeprefix('1 ')} would change"
        of_all = f"all {everybody}" if _is_all(counts) else f"{ids} of {everybody}"
        return f"the {'ID' if ids == 1 else 'IDs'} of {of_all} would change"
    all_of_them = f"all {everybody}" if before > 1 else f"the only {everybody.removeprefix('1 ')}"
    text = all_of_them if removed >= before and _is_all(counts) else f"{removed} of {everybody}"
    return f"{text} would be removed" + (f", and {count(ids, 'ID')} would change" if ids else "")


def _is_all(counts: Counts) -> bool:
    """Whether everything of the type would be gone: under its ID, or altogether."""
    gone = counts.get("removed", 0) + counts.get("ids", 0)
    return "here" not in counts and gone >= counts["before"] and not counts.get("after")


def _limit(counts: Counts) -> str:
    if "emptied" in counts or (("removed" in counts or "ids" in counts) and _is_all(counts)):
        return " (on hold whatever the limits)"
    if "limit_share" not in counts:
        return ""
    own = ", set for this district" if counts.get("own_limit") else ""
    of = "limit of all schools together" if "here" in counts else "limit"
    return f" ({of}: {counts['limit_share'] * 100:g}% and {counts['limit_count']}{own})"
