"""The list that ops people read in the morning: which districts need somebody, and where to look."""

from __future__ import annotations

from prefect import task
from prefect.artifacts import acreate_markdown_artifact
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags
from prefect.client.schemas.sorting import FlowRunSort
from prefect.settings import PREFECT_UI_URL

from services.districts import district_names
from services.status.attention import attention_by_district
from settings import get_settings
from tasks.deliveries import RETRIES
from tasks.resources import database

KEY = "morning-list"
LINKED = 50  # districts whose last run is looked up; beyond them a morning has other worries


@task(name="publish the morning list", **RETRIES)
async def publish_morning_list() -> None:
    """Publish, under a fixed key, each district that needs somebody, with links to its run and its report."""
    with database().reading() as session:
        found = attention_by_district(session)
        names = district_names(session)
    lines = [f"# {_headline(len(found))}", ""]
    async with get_client() as client:
        for number, (district, needs) in enumerate(found.items()):
            run = await _run_of(client, district) if number < LINKED else None
            links = [f"[report]({get_settings().report_address}/districts/{district})"]
            links += [f"[run]({run})"] if run is not None else []
            lines.append(f"- **{names[district]}**: {needs} ({', '.join(links)})")
    await acreate_markdown_artifact(key=KEY, markdown="\n".join(lines), description="Districts that need somebody")


def _headline(many: int) -> str:
    if many == 0:
        return "No district needs anybody"
    return "1 district needs somebody" if many == 1 else f"{many:,} districts need somebody"


async def _run_of(client: PrefectClient, district: str) -> str | None:
    """The address of a district's last run."""
    tags = FlowRunFilterTags(all_=[f"district:{district}"])
    runs = await client.read_flow_runs(
        flow_run_filter=FlowRunFilter(tags=tags), sort=FlowRunSort.START_TIME_DESC, limit=1
    )
    address = PREFECT_UI_URL.value()
    return f"{address}/runs/flow-run/{runs[0].id}" if runs and address else None
