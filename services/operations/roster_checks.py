"""Checks of the database and of where the districts' data come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from sqlalchemy import func
from sqlmodel import Session, col, select

from contracts.text import count
from errors import RollcallError
from models.database import NEWEST_REVISION, Database, revision_of
from models.outcomes import RunOutcome
from models.tables import District, Run, Source
from services import clock
from services.intake.adapters import ADAPTERS, Inspection, SourceAdapter
from services.operations.checks import Finding, of_error, ok, problem, skipped, together, warning
from services.sync.requests import inspection

A_NIGHT = timedelta(hours=26)  # a day, and what a night may take longer than the one before
AT_ONCE = 8  # sources asked

AdapterOf = Callable[[str], SourceAdapter]


def database(url: str) -> Finding:
    """Whether the database answers and has the program's schema. It is neither made nor migrated."""
    held = revision_of(url)
    kind = "SQLite" if url.startswith("sqlite") else "PostgreSQL"
    if held is None:
        return problem(f"{kind}, with no schema yet", "Run `rollcall migrate`.")
    if held != NEWEST_REVISION:
        return problem(
            f"{kind} has schema {held}, and this Rollcall needs {NEWEST_REVISION}", "Run `rollcall migrate`."
        )
    return ok(f"{kind}, schema {held}")


def last_night(opened: Database, adapter_of: AdapterOf) -> Finding:
    """Whether each district with a source was synced within a day.

    No run is made for a district that brings its files itself and has brought no new ones: then none was missed.
    """
    with opened.reading() as session:
        asked = _inspections(session)
        statement = select(Run.district_id, func.max(Run.started_at)).group_by(col(Run.district_id))
        last = dict(session.exec(statement).all())
    districts: dict[str, list[Inspection]] = {}
    for each in asked:
        districts.setdefault(each.source.district_id, []).append(each)
    if not districts:
        return skipped("no district has a source yet")
    found = []
    for district, sources in districts.items():
        again = f"`rollcall sync {district}`"
        if district not in last:
            found.append(warning(f"{district} was never synced", f"The next night does it, or {again} does it now."))
        elif clock.now() - last[district] > A_NIGHT:
            since = clock.local_time(last[district], sources[0].zone)
            if all(_has_nothing_new(each, adapter_of) for each in sources):
                found.append(
                    warning(
                        f"{district} has sent nothing new since its last sync, {since}",
                        "If it should have, ask the district.",
                    )
                )
            else:
                found.append(
                    problem(
                        f"{district} was last synced {since}",
                        f"Mend the deployments, the worker or late runs if they have problems, then {again}.",
                    )
                )
    return together(found, f"{count(len(districts), 'district')} synced within {A_NIGHT // timedelta(hours=1)} hours")


def _has_nothing_new(asked: Inspection, adapter_of: AdapterOf) -> bool:
    if ADAPTERS[asked.source.kind].is_remote:
        return False
    try:
        return adapter_of(asked.source.kind).inspect(asked).outcome == RunOutcome.NOTHING
    except RollcallError:
        return False


def sources(opened: Database, adapter_of: AdapterOf, *, remote: bool, of: tuple[str, str]) -> Finding:
    """Whether the sources in reach of this machine, or those behind an API, let us in and can be read.

    of: what one of them is called, and several.
    """
    with opened.reading() as session:
        asked = [each for each in _inspections(session) if ADAPTERS[each.source.kind].is_remote is remote]
    if not asked:
        return skipped(f"no district has a {of[0]}")
    return together(_looked_at(asked, adapter_of), f"{count(len(asked), *of)} can be read")


def _looked_at(asked: Sequence[Inspection], adapter_of: AdapterOf) -> list[Finding]:
    # Before any thread: what has no credentials fails once, not once for each source.
    adapters = {kind: adapter_of(kind) for kind in {each.source.kind for each in asked}}

    def look(each: Inspection) -> Finding:
        try:
            findings = adapters[each.source.kind].inspect(each)
        except RollcallError as error:
            finding = of_error(error, "Mend that, or take the source out of the setup.")
            return problem(f"{each.source.id}: {finding.found}", finding.remedy)
        if findings.outcome == RunOutcome.NOT_READY:
            return warning(f"{each.source.id}: {findings.message}", "If it lasts, ask the district.")
        return ok(each.source.id)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(look, asked))


def _inspections(session: Session) -> list[Inspection]:
    """What to ask of each source that is synced."""
    statement = (
        select(Source)
        .join(District, col(District.id) == Source.district_id)
        .where(col(Source.frozen).is_(False), col(District.frozen).is_(False))
        .order_by(col(District.position), col(Source.position), col(Source.id))
    )
    return [inspection(session, source) for source in session.exec(statement)]
