"""The list that ops people read in the morning: which districts need somebody, and where to look."""

from __future__ import annotations

from collections.abc import Collection

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowFilter, FlowFilterName, FlowRunFilter, FlowRunFilterTags
from prefect.client.schemas.sorting import FlowRunSort
from prefect.settings import PREFECT_UI_URL

from services.districts import district_names
from services.status.attention import attention_by_district
from settings import get_settings
from tasks.deliveries import RETRIES
from tasks.forms import DISTRICT_SYNC, SCHOOL_SYNC, Forms, find_forms
from tasks.resources import database

KEY = "morning-list"
FLOWS = ("sync-district", "shard", DISTRICT_SYNC, SCHOOL_SYNC)  # those of districts; a school's part has their tags
LOOKED_THROUGH = 200  # runs of these districts, the newest first: as many as the server gives at once


@task(name="publish the morning list", **RETRIES)
def publish_morning_list() -> None:
    """Publish, under a fixed key, each district that needs somebody, with links to its run and its report."""
    with database().reading() as session:
        found = attention_by_district(session)
        names = district_names(session)
    lines = [f"# {_headline(len(found))}", ""]
    forms = find_forms() if found else Forms("", {})
    with get_client(sync_client=True) as client:
        runs = _last_runs(client, found)
    for district, needs in found.items():
        links = [f"[report]({get_settings().report_address}/districts/{district})"]
        links += [f"[run]({runs[district]})"] if district in runs else []
        links += forms.of_district(district)
        lines.append(f"- **{names[district]}**: {needs} ({', '.join(links)})")
    create_markdown_artifact(key=KEY, markdown="\n".join(lines), description="Districts that need somebody")


def _headline(many: int) -> str:
    if many == 0:
        return "No district needs anybody"
    return "1 district needs somebody" if many == 1 else f"{many:,} districts need somebody"


def _last_runs(client: SyncPrefectClient, districts: Collection[str]) -> dict[str, str]:
    """By district, the address of its last run, where it is among the newest."""
    tagged = {f"district:{district}": district for district in districts}
    address = PREFECT_UI_URL.value()
    if not tagged or not address:
        return {}
    runs = client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=list(FLOWS))),
        flow_run_filter=FlowRunFilter(tags=FlowRunFilterTags(any_=list(tagged))),
        sort=FlowRunSort.START_TIME_DESC,
        limit=LOOKED_THROUGH,
    )
    found: dict[str, str] = {}
    for run in runs:
        for tag in tagged.keys() & set(run.tags):
            found.setdefault(tagged[tag], f"{address}/runs/flow-run/{run.id}")
    return found
