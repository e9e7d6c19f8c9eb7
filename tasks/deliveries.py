"""The district's steps as tasks: from the drop folder to a plan, and the end of the run."""

from __future__ import annotations

from typing import Any

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from contracts.roster import Roster
from errors import TransientError
from services import clock
from services.planning.changesets import ChangeSet, Plan
from services.status import sync_status
from services.status.attention import Attention, attention
from services.status.report import district_report
from services.sync import pipeline, planning
from services.sync.pipeline import FetchResult, Rejected
from services.sync.provision import RunContext
from services.sync.requests import SyncRequest
from settings import get_settings
from tasks.forms import find_forms
from tasks.resources import adapter, database, landing


async def is_transient(task: Any, run: Any, state: State[Any]) -> bool:
    """Whether trying again may help: only for our transient errors."""
    return isinstance(await state.aresult(raise_on_failure=False), TransientError)


RETRIES: dict[str, Any] = {
    "retries": 3,
    "retry_delay_seconds": [2, 8, 30],
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": is_transient,
    "cache_policy": NO_CACHE,
    "persist_result": False,
}


@task(name="fetch", **RETRIES)
def fetch(request: SyncRequest, run_id: int) -> FetchResult:
    """Take the waiting delivery, or find the current one unfinished."""
    fetched = pipeline.take_delivery(database(), request, run_id, landing=landing(), adapter=adapter(request.kind))
    get_run_logger().info("%s: %s", request.source_id, fetched.message)
    return fetched


@task(name="check and read", **RETRIES)
def read_roster(request: SyncRequest, run_id: int, delivery_id: int) -> tuple[Roster, tuple[str, ...]] | Rejected:
    """Check the files' format and read them."""
    read = pipeline.read_roster(database(), request, run_id, delivery_id, landing=landing())
    if isinstance(read, Rejected):
        get_run_logger().warning("delivery %s is rejected for file errors: %s", delivery_id, read.summary)
    return read


@task(name="validate, settle and plan", **RETRIES)
def make_plan(request: SyncRequest, run_id: int, delivery_id: int, roster: Roster) -> tuple[RunContext, Plan]:
    """Check and settle the district, and compare it with what is stored."""
    run, plan = planning.make_plan(
        database(), request, run_id, delivery_id, roster, id_secret=get_settings().hashing_secret
    )
    for note in plan.notes:
        get_run_logger().info("%s", note)
    return run, plan


@task(name="record unchanged schools", **RETRIES)
def start_schools(request: SyncRequest, run: RunContext, plan: Plan) -> list[ChangeSet]:
    """Record the schools with nothing to do, and give the others."""
    to_do = pipeline.start_schools(database(), request, run, plan)
    get_run_logger().info("%d of %d schools have changes to apply", len(to_do), len(plan.changesets))
    return to_do


@task(name="publish the report", **RETRIES)
def publish_report(district_id: str) -> Attention:
    """Publish who needs somebody, and the SIS sync report, as an artifact: counts and statuses only.

    Returns:
        What needs somebody, which is logged too.
    """
    with database().reading() as session:
        reports = district_report(session, district_id, now=clock.now())
        needs = attention(session, district_id)
    lines = [f"# {needs}" if needs.schools else "# No school is on hold", "", *_what_to_do(needs)]
    lines += ["| School | Teachers | Students | Errors | Alerts | Sync status |", "|---|---:|---:|---:|---:|---|"]
    for report in reports:
        for row in report.schools:
            cells = (row.name, row.teachers, row.students, row.errors, row.alerts, sync_status.LABELS[row.status])
            lines.append(f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |")
    create_markdown_artifact(
        key=f"report-{district_id}".replace("_", "-"),
        markdown="\n".join(lines),
        description=f"SIS sync report of {district_id}",
    )
    if needs.schools:
        get_run_logger().warning("%s", needs)
    return needs


def _what_to_do(needs: Attention) -> list[str]:
    """A line for each school on hold, with links to its report and to the forms that go on from here."""
    if not needs.schools:
        return []
    forms = find_forms()
    lines = []
    for each in needs.schools:
        links = [f"[report]({get_settings().report_address}/schools/{each.school_id})"]
        links += forms.of_hold(each.school_id, each.hold_id)
        lines.append(f"- **{each.name}**: {each.reasons}, since {each.opened_at:%Y-%m-%d} ({', '.join(links)})")
    return [*lines, ""]
