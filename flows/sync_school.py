"""One school's part of a district's run. Only ever a subflow: its ChangeSet cannot be a deployment's parameter."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from contracts.issues import catalogue
from contracts.text import count
from flows.names import tag_run
from flows.states import ON_HOLD, ended
from models.outcomes import SchoolOutcome
from services.planning.changesets import ChangeSet
from services.sync.provision import RunContext, SchoolResult
from tasks.schools import provision_school, publish_school

STATE_OF = {SchoolOutcome.ON_HOLD: ON_HOLD, SchoolOutcome.UNCHANGED: "Unchanged"}


@flow(
    name="sync-school",
    flow_run_name="{name} · {date}",
    validate_parameters=False,
    persist_result=False,
)
async def sync_school(
    name: str,
    date: str,
    run: RunContext,
    changeset: ChangeSet,
    outcomes: list[SchoolResult],
    done: SchoolResult | None = None,
) -> State[Any]:
    """Guard the school, provision it in one transaction, and publish what became of it.

    Args:
        name: the school's, for the run's name.
        date: today in the district, for the run's name.
        run: the district's run this is part of.
        changeset: what the delivery changes in this school.
        outcomes: where the outcome is added for the district's run.
        done: what provisioning it came to, where the district's run has already done so.
    """
    scope = run.scope
    await tag_run(f"district:{scope.district_id}", f"source:{scope.source_id}", f"school:{changeset.school_id}")
    outcome = done if done is not None else provision_school(run, changeset)
    outcomes.append(outcome)
    publish_school(run, outcome)
    titles = [catalogue(scope.format)[code].title for code in outcome.reasons]
    message = "; ".join(titles) or count(sum(outcome.counts.values()), "change")
    return ended(STATE_OF.get(outcome.outcome, "Connected"), message)
