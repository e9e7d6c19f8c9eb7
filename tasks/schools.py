"""One school's steps as tasks: guard and provision it, and show in Prefect what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prefect import get_run_logger, task
from prefect.artifacts import acreate_markdown_artifact, create_table_artifact
from prefect.events import emit_event

from contracts.issues import catalogue
from services.holds import evidence, store
from services.planning.changesets import ChangeSet
from services.status import issues
from services.sync import pipeline
from services.sync.provision import RunContext, SchoolResult
from settings import get_settings
from tasks.deliveries import RETRIES
from tasks.forms import find_forms
from tasks.resources import database


@task(name="guard and provision", **RETRIES)
def provision_school(run: RunContext, changeset: ChangeSet) -> SchoolResult:
    """Guard one school, and apply its changes or hold it, in one transaction."""
    outcome = pipeline.provision_one(database(), run, changeset)
    text = ", ".join(f"{what} {count}" for what, count in outcome.counts.items()) or "no roster change"
    if outcome.reasons:
        text = f"hold {outcome.hold_id}: {', '.join(outcome.reasons)}"
    get_run_logger().info("%s: %s (%s)", outcome.school_id, outcome.outcome, text)
    return outcome


def open_holds(district_id: str) -> dict[str, int]:
    """The numbers of the district's open holds, by school."""
    with database().reading() as session:
        return {hold.school_id: hold.id for hold in store.open_holds(session, district_id)}


def may_have_runs(schools: int) -> bool:
    """Whether each of so many schools may have a run of its own: Prefect's database bears only so many."""
    return schools <= get_settings().school_runs


async def publish_school(run: RunContext, outcome: SchoolResult) -> None:
    """A school's issues and hold as an artifact, and its outcome as an event: codes and counts only.

    No task: it would be an eighth of what a school's run costs Prefect.
    """
    with database().reading() as session:
        found = issues.stored_issues(session, run.scope.district_id, outcome.school_id)
        form = issues.formats_of_schools(session, run.scope.district_id)[outcome.school_id]
        held = store.get_hold(session, outcome.hold_id).reasons if outcome.hold_id is not None else ()
    entries = catalogue(form)
    counts: dict[str, int] = dict(found.group_by("code", maintain_order=True).len().iter_rows())
    text = ", ".join(f"{what.replace('_', ' ')} {count}" for what, count in outcome.counts.items())
    lines = [f"# {outcome.school_id}: {outcome.outcome.replace('_', ' ')}", "", text or "No roster change.", ""]
    for reason in held:
        entry = entries[reason.code]
        lines += [f"**{entry.title}** (hold {outcome.hold_id}). {entry.meaning}", ""]
        lines += [*(f"- {line}" for line in evidence.describe_counts(reason)), ""]
        lines += [entry.remedy, ""]
    if outcome.hold_id is not None:
        links = find_forms().of_hold(outcome.school_id, outcome.hold_id)
        lines += [", ".join([*links, f"`rollcall hold show {outcome.hold_id}`"]), ""]
    if counts:
        lines += ["| | what | records | how to fix |", "|---|---|---:|---|"]
        for code, count in counts.items():
            entry = entries[code]
            lines.append(f"| {entry.severity} | {entry.title} (`{code}`) | {count} | {entry.remedy} |")
    else:
        lines.append("No errors, no alerts.")
    await acreate_markdown_artifact(
        key=f"school-{outcome.school_id}".replace("/", "-").replace("_", "-"),
        markdown="\n".join(lines),
        description=f"Sync result of {outcome.school_id}",
    )
    send_outcome(run.delivery_id, outcome)


@task(name="publish the schools", **RETRIES)
def publish_schools(
    district_id: str, names: Mapping[str, str], outcomes: Sequence[SchoolResult], failed: Sequence[str]
) -> None:
    """One table of all schools that had something to do, where they are too many for a run and an artifact each.

    names: the schools' by our ID. Codes and counts only.
    """
    address = get_settings().report_address
    became = [(each.school_id, each.outcome.replace("_", " "), sum(each.counts.values())) for each in outcomes]
    create_table_artifact(
        key=f"schools-{district_id}".replace("_", "-"),
        table=[
            {
                "School": f"[{names.get(school, school)}]({address}/schools/{school})",
                "Outcome": outcome,
                "Changes": changes,
            }
            for school, outcome, changes in [*became, *((school, "failed", 0) for school in failed)]
        ],
        description=f"What became of the schools of {district_id}",
    )


def send_outcome(delivery_id: int | None, outcome: SchoolResult) -> None:
    """Send a school's outcome as an event: codes and counts only."""
    emit_event(
        event=f"rollcall.school.{outcome.outcome}",
        resource={
            "prefect.resource.id": f"rollcall.school.{outcome.school_id}",
            "prefect.resource.name": outcome.school_id,
        },
        payload={
            "delivery": delivery_id,
            "reasons": list(outcome.reasons),
            "counts": dict(outcome.counts),
            "hold": outcome.hold_id,
        },
    )


@task(name="record the failure", **RETRIES)
def fail_schools(run: RunContext, schools: list[str], error: BaseException) -> None:
    """Hold the schools for our own failed run."""
    pipeline.fail_schools(database(), run, schools, error)
    get_run_logger().error("%s failed with %s", ", ".join(schools), type(error).__name__)
