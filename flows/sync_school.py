"""One school's part of a district's run. Only ever a subflow: its ChangeSet cannot be a deployment's parameter."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from contracts.issues import catalogue
from contracts.text import count
from flows.names import without_tags
from flows.states import ON_HOLD, ended
from models.outcomes import SchoolOutcome
from services.planning.changesets import ChangeSet
from services.sync.provision import RunContext, SchoolResult
from tasks.schools import provision_school, publish_school

STATE_OF = {SchoolOutcome.ON_HOLD: ON_HOLD, SchoolOutcome.UNCHANGED: "Unchanged"}


class SchoolWork:
    """What a school's run works with: its district's run, what changes, and where its outcome is added.

    done: what provisioning it came to, where the district's run has already done so. With slots, Prefect keeps none of
    it as the run's parameters: it names all schools of the district, and a district has a run for each.
    """

    __slots__ = ("changeset", "done", "outcomes", "run")

    def __init__(
        self, run: RunContext, changeset: ChangeSet, outcomes: list[SchoolResult], done: SchoolResult | None = None
    ) -> None:
        self.run = run
        self.changeset = changeset
        self.outcomes = outcomes
        self.done = done


@flow(
    name="sync-school",
    flow_run_name="{name} · {date}",
    validate_parameters=False,
    persist_result=False,
)
async def sync_school(name: str, date: str, work: SchoolWork) -> State[Any]:
    """Guard the school, provision it in one transaction, and publish what became of it.

    Args:
        name: the school's, for the run's name.
        date: today in the district, for the run's name.
        work: what is to be done.
    """
    run = work.run
    with without_tags():
        outcome = work.done if work.done is not None else provision_school(run, work.changeset)
        work.outcomes.append(outcome)
        await publish_school(run, outcome)
    titles = [catalogue(run.scope.format)[code].title for code in outcome.reasons]
    message = "; ".join(titles) or count(sum(outcome.counts.values()), "change")
    return ended(STATE_OF.get(outcome.outcome, "Connected"), message)
