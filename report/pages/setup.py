"""The Set up tab: what is set up of a district, and the settings that its administrators change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from errors import SetupError
from report.routing import Answer, Asked, Page, Redirect, Scope, get, post
from report.sources import FORMS, address_of
from report.typed import percentage, whole_number
from services.access.audit import Action
from services.districts import sources_of
from services.figures import DISTRICT
from services.holds import contact_policy
from services.holds.guard import ALL_LIMITS, limits_of
from services.mail import digests
from services.operations import district_setup

BASE = "/districts/{district}/setup"


@get(BASE, Scope.DISTRICT)
def overview(asked: Asked) -> Answer:
    """What is set up, by whom, and what is left to do."""
    district = asked.district
    setup = district_setup.setup_of(asked.session, district)
    return _page(
        "setup/overview.html",
        setup=setup,
        addresses={
            each.source.id: address_of(asked.report.settings, each.source, for_operator=asked.viewer.is_operator)
            for each in setup.sources
        },
        contacts=contact_policy.of_contacts(asked.session, district.id),
        own_limits=len(district.limits or {}),
        readers={often: digests.recipients(district.administrators, district.mail_schedule, often) for often in _OFTEN},
        can_add=bool(FORMS),
    )


@get(f"{BASE}/enforcement", Scope.DISTRICT)
def enforcement(asked: Asked) -> Answer:
    """Whether people may leave."""
    return _page("setup/enforcement.html", governed="rostering_enforcement" in _governed(asked))


@post(f"{BASE}/enforcement", Scope.DISTRICT, Action.SETUP_CHANGED)
def save_enforcement(asked: Asked) -> Answer:
    """Switch rostering enforcement."""
    district_setup.set_enforcement(asked.session, asked.district.id, asked.field("enforced") == "on")
    asked.detail = "rostering_enforcement"
    return Redirect(f"{_base(asked)}?said=saved")


@get(f"{BASE}/limits", Scope.DISTRICT)
def limits(asked: Asked) -> Answer:
    """The limits beyond which a school is put on hold."""
    return _limits(asked, _limit_fields(asked.district.limits), None)


@post(f"{BASE}/limits", Scope.DISTRICT, Action.SETUP_CHANGED)
def save_limits(asked: Asked) -> Answer:
    """Set the limits that are the district's own; a type left empty has ours."""
    given = {kind: (asked.field(f"{kind}.share"), asked.field(f"{kind}.count")) for kind in ALL_LIMITS}
    try:
        wanted = _limit_values(given)
        district_setup.set_limits(asked.session, asked.district.id, wanted)
    except SetupError as error:
        return _limits(asked, given, error.message)
    asked.detail = "limits"
    return Redirect(f"{_base(asked)}?said=saved")


@get(f"{BASE}/contacts", Scope.DISTRICT)
def contacts(asked: Asked) -> Answer:
    """What becomes of emergency contacts."""
    policies = {each.source_id: each for each in contact_policy.of_contacts(asked.session, asked.district.id)}
    named = [(source, policies[source.id]) for source in sources_of(asked.session, asked.district.id)]
    return _page("setup/contacts.html", policies=named)


@post(f"{BASE}/contacts", Scope.DISTRICT, Action.SETUP_CHANGED)
def save_contacts(asked: Asked) -> Answer:
    """Leave emergency contacts out, or ask about them."""
    for source in sources_of(asked.session, asked.district.id):
        if wanted := asked.field(f"policy.{source.key}"):
            district_setup.set_contact_policy(
                asked.session,
                asked.district.id,
                source.key,
                leave_out=wanted == "leave_out",
                ask_again=bool(asked.field(f"again.{source.key}")),
            )
    asked.detail = "emergency contacts"
    return Redirect(f"{_base(asked)}?said=saved")


@get(f"{BASE}/mail", Scope.DISTRICT)
def mail(asked: Asked) -> Answer:
    """Who gets mail, how often, and about what."""
    return _mail(asked, dict(asked.district.mail_schedule or {}), None)


@post(f"{BASE}/mail", Scope.DISTRICT, Action.SETUP_CHANGED)
def save_mail(asked: Asked) -> Answer:
    """Set who gets mail how often, and whether about maintenance pauses."""
    district = asked.district
    given = dict(zip(asked.fields("address"), asked.fields("often"), strict=False))
    if added := asked.field("new_address"):
        given[added] = asked.field("new_often") or digests.EACH
    changed = []
    try:
        if "mail_schedule" not in _governed(asked):
            district_setup.set_mail_schedule(asked.session, district.id, given, now=asked.now)
            changed.append("mail_schedule")
        if "pause_notices" not in _governed(asked):
            district_setup.set_pause_notices(asked.session, district.id, bool(asked.field("pause_notices")))
            changed.append("pause_notices")
    except SetupError as error:
        return _mail(asked, given, error.message)
    asked.detail = ", ".join(changed)
    return Redirect(f"{_base(asked)}/mail?said=saved")


_OFTEN = (digests.EACH, digests.DAILY, digests.WEEKLY, digests.NEVER)


def _mail(asked: Asked, schedule: Mapping[str, str], problem: str | None) -> Answer:
    district = asked.district
    wanted = {address.casefold(): often for address, often in schedule.items()}
    administrators = [
        (each, wanted.get(each.casefold(), digests.EACH)) for each in dict.fromkeys(district.administrators)
    ]
    known = {each.casefold() for each in district.administrators}
    others = [(each, often) for each, often in schedule.items() if each.casefold() not in known]
    return _page(
        "setup/mail.html",
        administrators=administrators,
        others=others,
        governed=_governed(asked),
        problem=problem,
        often=_OFTEN,
    )


def _limits(asked: Asked, given: Mapping[str, tuple[str, str]], problem: str | None) -> Answer:
    return _page(
        "setup/limits.html",
        given=given,
        defaults=ALL_LIMITS,
        in_force=limits_of(asked.district.limits),
        district_prefix=DISTRICT,
        governed="limits" in _governed(asked),
        problem=problem,
    )


def _limit_fields(own: Mapping[str, list[float]] | None) -> dict[str, tuple[str, str]]:
    """By type, the district's own share in percent and count as a form shows them; empty where they are ours."""
    found = limits_of(own)
    # The share of all schools together follows that of each school, unless it was set itself.
    set_here = {kind for kind, limit in found.items() if limit.is_district_limit} - {
        kind for kind in found if kind.startswith(DISTRICT) and kind not in (own or {})
    }
    return {
        kind: (f"{limit.share * 100:g}", str(limit.count)) if kind in set_here else ("", "")
        for kind, limit in found.items()
    }


def _limit_values(given: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """What a setup file would say for what a form gave.

    Raises:
        SetupError: a value is no number, or only one of two is given.
    """
    wanted: dict[str, Any] = {}
    together: dict[str, Any] = {}
    for kind, (share, count) in given.items():
        if not share and not count:
            continue
        if not share or not count:
            raise SetupError("give both a percentage and a number, or leave both empty")
        percent, number = percentage(share), whole_number(count)
        if percent is None or number is None:
            raise SetupError("limits are numbers, such as 10 and 25")
        if percent > 100 or number > 10_000_000:
            raise SetupError("a percentage is from 0 to 100, and a number is at most 10,000,000")
        entry = {"share": float(percent / 100), "count": number}
        if kind.startswith(DISTRICT):
            together[kind.removeprefix(DISTRICT)] = entry
        else:
            wanted[kind] = entry
    return {**wanted, **({"district": together} if together else {})}


def _governed(asked: Asked) -> frozenset[str]:
    return frozenset(asked.district.setup_keys or ())


def _base(asked: Asked) -> str:
    return BASE.format(district=asked.district.id)


def _page(template: str, *, problem: str | None = None, **values: Any) -> Page:
    """A page of the setup. problem: with what a form sent."""
    status = 422 if problem is not None else 200
    return Page(template, {"tab": "setup", "problem": problem, **values}, block="main", status=status)
