"""Syncs that somebody asks for: flows whose forms ask only for what a person fills in."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from pydantic import Field

from contracts.text import count
from flows.names import district_names
from flows.sync_district import run_name, sync_district

DistrictId = Annotated[str, Field(min_length=1)]
SchoolIds = Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
Delivery = Annotated[int, Field(ge=1)]


def _schools_name() -> str:
    name, names, date = district_names(flow_run.parameters["district"])
    keys = flow_run.parameters["schools"]
    known = {school_id.partition("/")[2]: school for school_id, school in names.items()}
    schools = known.get(keys[0], keys[0]) if len(keys) == 1 else count(len(keys), "school")
    return f"{name}: {schools} · {date}"


@flow(name="district-sync", flow_run_name=run_name, persist_result=False)
async def district_sync(district: DistrictId, delivery: Delivery | None = None, now: bool = False) -> State[Any]:
    """Sync a district with all its schools. A second run of it waits for the first, and then finds nothing to do.

    Args:
        district: the district's ID, as in the setup file.
        delivery: the number of an earlier delivery to apply again; leave empty for the newest data.
        now: take a complete set of files at once, even if some have only just arrived.
    """
    # In this run: it would have nothing else to do than to wait for another.
    return await sync_district.fn(district, delivery=delivery, now=now)


@flow(name="school-sync", flow_run_name=_schools_name, persist_result=False)
async def school_sync(
    district: DistrictId, schools: SchoolIds, delivery: Delivery | None = None, now: bool = False
) -> State[Any]:
    """Sync some schools of a district again, as after their data were fixed.

    Args:
        district: the district's ID, as in the setup file.
        schools: the IDs of the schools, at least one.
        delivery: the number of an earlier delivery to apply again; leave empty for the newest data.
        now: take a complete set of files at once, even if some have only just arrived.
    """
    return await sync_district.fn(district, schools, delivery=delivery, now=now)
