"""Prefect's forms: links to them with what is known filled in, and the districts to choose from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName, FlowFilter, FlowFilterName
from prefect.client.schemas.responses import DeploymentResponse
from prefect.settings import PREFECT_UI_URL

from services.districts import active_districts
from tasks.resources import database

DISTRICT_SYNC, SCHOOL_SYNC, RESOLVE_HOLD = "district-sync", "school-sync", "resolve-hold"
# Each is the name of a flow and of its deployment.
FORMS = (DISTRICT_SYNC, SCHOOL_SYNC, RESOLVE_HOLD, "maintenance-pause", "maintenance-resume")
MOST_CHOICES = 500  # in a longer list, typing an ID is faster than looking for it
CHOOSE, TYPE = "choose", "type"


@dataclass(frozen=True)
class Forms:
    """Where the forms are: the IDs of their deployments, empty if the server has none."""

    address: str
    deployments: Mapping[str, UUID]

    def of_district(self, district_id: str) -> list[str]:
        """Markdown links to what a person does about a district; none to forms that are not there."""
        return self._links(("sync again", DISTRICT_SYNC, {"district": district_id}))

    def of_hold(self, school_id: str, hold_id: int) -> list[str]:
        """The same about a school on hold."""
        district, _, school = school_id.partition("/")
        return self._links(
            ("resolve the hold", RESOLVE_HOLD, {"holds": [hold_id]}),
            ("sync again", SCHOOL_SYNC, {"district": district, "schools": [school]}),
        )

    def _links(self, *wanted: tuple[str, str, Mapping[str, Any]]) -> list[str]:
        return [
            f"[{text}]({self.address}/deployments/deployment/{self.deployments[form]}/run?parameters={_quoted(given)})"
            for text, form, given in wanted
            if form in self.deployments
        ]


def _quoted(parameters: Mapping[str, Any]) -> str:
    return quote(json.dumps(parameters, separators=(",", ":")))


def find_forms() -> Forms:
    """The forms on the server in use; none where it has no pages, as a temporary one."""
    if not (address := PREFECT_UI_URL.value()):
        return Forms("", {})
    with get_client(sync_client=True) as client:
        return Forms(address, {each.name: each.id for each in _read_forms(client)})


def offer_districts() -> None:
    """List the districts that are set up as choices in the forms that ask for one. Any other ID can still be typed."""
    with database().reading() as session:
        districts = active_districts(session)
    offered = districts if len(districts) <= MOST_CHOICES else []
    with get_client(sync_client=True) as client:
        for form in _read_forms(client):
            before = form.parameter_openapi_schema or {}
            after = with_choices(before, "district", offered)
            if after != before:
                client.update_deployment(form.id, DeploymentUpdate(parameter_openapi_schema=after))


def _read_forms(client: SyncPrefectClient) -> list[DeploymentResponse]:
    return client.read_deployments(
        flow_filter=FlowFilter(name=FlowFilterName(any_=list(FORMS))),
        deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=list(FORMS))),
    )


def with_choices(schema: Mapping[str, Any], name: str, choices: Sequence[str]) -> dict[str, Any]:
    """A deployment's schema whose form offers these values for a text field, beside typing one."""
    properties = schema.get("properties", {})
    if name not in properties:
        return dict(schema)
    field = dict(properties[name])
    kinds = field.pop("anyOf", None) or [{key: field.pop(key) for key in ("type", "minLength") if key in field}]
    if not choices and not any("enum" in kind for kind in kinds):
        return dict(schema)
    typed = [{**kind, "title": TYPE} if kind.get("type") == "string" else kind for kind in kinds if "enum" not in kind]
    chosen = [{"type": "string", "enum": list(choices), "title": CHOOSE}] if choices else []
    return {**schema, "properties": {**properties, name: {**field, "anyOf": [*chosen, *typed]}}}
