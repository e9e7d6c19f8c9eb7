"""Which runs are to do: a request for each source of a district, and which districts have something waiting."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import func
from sqlmodel import Session, col, select

from contracts.formats import FORMATS
from errors import NotFound, SourceRefused, SourceUnreachable
from models.database import Database
from models.outcomes import RunOutcome
from models.tables import Delivery, District, Run, Source
from services import clock
from services.districts import school_ids, sources_of, zone_of
from services.intake import deliveries
from services.intake.adapters import ADAPTERS, Findings, Inspection, SourceAdapter
from services.intake.landing_area import LandingArea
from services.planning.stored import read_scope
from services.status import sync_status
from services.sync import leases

AT_ONCE = 8  # sources looked into
DISTANT_PAST = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class SyncRequest:
    """What a run was asked to do. schools: ours, None for all. now: take a complete set without waiting.

    by_hand: asked for by a person, who wants the schools they name done again even if the delivery is done with them,
    and the source asked for new data even if it says that it has none. kind: the source's. is_pausable: a maintenance
    pause stops it.
    """

    district_id: str
    source_id: str
    schools: tuple[str, ...] | None = None
    now: bool = False
    delivery_id: int | None = None
    by_hand: bool = False
    kind: str = "csv"
    is_pausable: bool = False


def sync_requests(
    session: Session,
    district_id: str,
    schools: list[str] | None,
    delivery_id: int | None,
    *,
    now: bool = False,
    by_hand: bool = False,
    kind: str | None = None,
    landing: LandingArea | None = None,
) -> list[SyncRequest]:
    """One request for each source that a request touches. schools: their keys; None or empty for all.

    kind: only sources of this kind. landing: where the files of a delivery asked for are looked for.

    Raises:
        NotFound, NotPossible: the district, a school or the delivery is not to be synced.
    """
    sources = [source for source in sources_of(session, district_id) if kind in (None, source.kind)]
    if delivery_id is not None:
        delivery = session.get(Delivery, delivery_id)
        sources = [source for source in sources if delivery is not None and source.id == delivery.source_id]
        if not sources:
            raise NotFound(
                f"district {district_id} has no delivery {delivery_id}",
                hint=f"`rollcall deliveries {district_id}` lists them",
            )
        assert delivery is not None
        deliveries.assert_applicable(delivery, landing=landing)
    asked = school_ids(session, district_id, schools) if schools else None
    found = []
    for source in sources:
        here = asked
        if asked is not None:
            of_source = set(read_scope(session, source.id).school_ids)
            here = tuple(school for school in asked if school in of_source)
        if here is None or here:
            found.append(
                SyncRequest(district_id, source.id, here, now, delivery_id, by_hand, source.kind, source.pausable)
            )
    return found


def find_pending_districts(
    database: Database,
    *,
    kind: str,
    arrivals_only: bool = False,
    adapter_of: Callable[[str], SourceAdapter] = lambda kind: ADAPTERS[kind](),
) -> dict[str, str]:
    """The districts with something to do, and what, in words. Looks only; a busy district is left out.

    What has to be kept of a look, so that the next one can tell what has changed since, is kept. A source that cannot
    be read counts as something to do: the district's own run says what is wrong with it. Where only the source can say
    whether it has something new, each district is asked; the one whose last run is the longest ago goes first, and so
    what an earlier night left comes before what it reached.
    """
    is_remote = ADAPTERS[kind].is_remote
    with database.reading() as session:
        sources = _idle_sources(session, kind)
        if is_remote:
            last = last_runs(session)
            sources.sort(key=lambda source: (last.get(source.id, DISTANT_PAST), source.id))
            return {each.district_id: f"checking for new {FORMATS[each.format].source_name} data" for each in sources}
        asked = [inspection(session, source) for source in sources]
        session.expunge_all()
    found = _look(database, asked, adapter_of(kind)) if asked else {}
    pending: dict[str, str] = {}
    with database.reading() as session:
        for source in sources:
            if source.district_id not in pending:
                why = _something_to_do(session, source, found[source.id], arrivals_only=arrivals_only)
                pending |= {source.district_id: why} if why is not None else {}
    return pending


def _idle_sources(session: Session, kind: str) -> list[Source]:
    """The sources of a kind that are synced and whose district no run has in hand, by their IDs."""
    open_runs = session.exec(select(Run).where(col(Run.ended_at).is_(None)))
    busy = {run.district_id for run in open_runs if sync_status.is_live(run, clock.now())}
    statement = (
        select(Source)
        .join(District, col(District.id) == Source.district_id)
        .where(Source.kind == kind, col(Source.frozen).is_(False), col(District.frozen).is_(False))
        .order_by(col(Source.id))
    )
    return [source for source in session.exec(statement) if source.district_id not in busy]


def _look(database: Database, asked: list[Inspection], adapter: SourceAdapter) -> dict[str, Findings | str]:
    """By source, what it has, or why it can't be looked into."""

    def inspected(each: Inspection) -> Findings | str:
        try:
            return adapter.inspect(each)
        except (SourceUnreachable, SourceRefused) as error:
            return str(error)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        found = dict(zip((each.source.id for each in asked), threads.map(inspected, asked), strict=True))
    seen = {key: each for key, each in found.items() if isinstance(each, Findings) and each.sightings is not None}
    if seen:
        with database.transaction() as session:
            for source in session.exec(select(Source).where(col(Source.id).in_(seen))).all():
                adapter.record(session, source, seen[source.id], clock.now())
    return found


def last_runs(session: Session) -> dict[str, datetime]:
    """By source, when its last run began; runs that met a pause count for nothing."""
    ran = func.coalesce(Run.outcome, "") != RunOutcome.PAUSED
    statement = select(Run.source_id, func.max(Run.started_at)).where(ran).group_by(Run.source_id)
    return dict(session.exec(statement).all())


def _something_to_do(session: Session, source: Source, found: Findings | str, *, arrivals_only: bool) -> str | None:
    if isinstance(found, str):
        return found
    if found.outcome is None or len(found.file_errors):
        return found.message
    if arrivals_only:
        return None
    if deliveries.unchecked_delivery(session, source) is not None:
        return "the last delivery is not checked yet"
    if deliveries.has_file_errors(session, source):
        return None
    if deliveries.is_stale(source, clock.now()):
        return "the last delivery is more than 90 days old"
    if source.current_delivery_id is not None and leases.unfinished_schools(
        session, source, leases.setup_digest(session, source)
    ):
        return f"delivery {source.current_delivery_id} is not finished for every school"
    return None


def inspection(session: Session, source: Source, *, as_it_stands: bool = False) -> Inspection:
    """Return what to ask of a source now, in its district's time."""
    return Inspection(
        source,
        clock.now(),
        zone_of(session, source),
        as_it_stands=as_it_stands,
        with_error=deliveries.files_with_error(session, source),
    )
