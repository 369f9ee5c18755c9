"""What Argo CD and Flux make of our objects: their own languages run over statuses that the operator's own code wrote."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import cel
import pytest
import yaml
from lupa import lua51
from unit.operator.conftest import START, ApiServer, conditions, config_body, endpoint_body, merged, number_body
from unit.operator.connector_config.connector import System as ConnectorSystem
from unit.operator.fhir_endpoint.ehr import DOWN
from unit.operator.fhir_endpoint.ehr import System as EhrSystem
from unit.operator.sms_number.world import World

from ehr_api.control import Evidence, ProfileEvidence
from ehr_api.crd import KINDS
from ehr_operator.integration_record import IntegrationRecordKind
from ehr_operator.integration_record_sightings import Sightings
from ehr_operator.runtime.model import Key, Kind
from ehr_operator.runtime.outcome import conclude

GITOPS = Path(__file__).resolve().parents[3] / "deploy" / "gitops"
SCRIPT = (GITOPS / "argocd" / "health.lua").read_text(encoding="utf-8")
EXPRESSIONS = {
    check["kind"]: check
    for check in yaml.safe_load((GITOPS / "flux" / "organization.yaml").read_text(encoding="utf-8"))["spec"][
        "healthCheckExprs"
    ]
}
TEST, PRODUCTION = Key("FhirEndpoint", "lamna", "lamna-test"), Key("FhirEndpoint", "lamna", "lamna-production")
CONFIG, NUMBER = Key("EHRConnectorConfig", "lamna", "lamna"), Key("SmsNumber", "lamna", "lamna-sms")
PRODUCTION_SPEC = {
    "baseURL": "https://fhir.lamna.example/r4/5f3c2a10-0000-4000-8000-000000000002",
    "environment": "Production",
    "promotedFrom": {"name": "lamna-test"},
}

Body = dict[str, Any]


def argocd(body: Body) -> tuple[str, str]:
    """Run the script as Argo CD does: Lua 5.1 with the base and table libraries, the object as the global `obj`."""
    lua: Any = lua51.LuaRuntime(unpack_returned_tuples=True)
    lua.execute(
        "getmetatable('').__index = nil; string, io, os, math, package, require, debug = nil, nil, nil, nil, nil, nil, nil"
    )
    lua.globals().obj = lua.table_from(body, recursive=True)
    health = lua.execute(SCRIPT)
    return health.status, health.message


def flux(body: Body) -> str:
    """Judge as Flux does: the generation first, then the expressions in this order; an error is no answer.

    Source: fluxcd/pkg, runtime/cel/status_evaluator.go (RFC 0009).
    """
    if body["status"].get("observedGeneration") != body["metadata"]["generation"]:
        return "InProgress"
    checks = EXPRESSIONS[body["kind"]]
    for name, status in (("inProgress", "InProgress"), ("failed", "Failed"), ("current", "Current")):
        held: Any = cel.evaluate(checks[name], body)
        assert isinstance(held, bool)
        if held:
            return status
    return "InProgress"


async def looked_at(kind: Kind[Any, Any], api: ApiServer, key: Key, passes: int = 1) -> Body:
    """Return an object with the status that the operator's own code writes after so many looks."""
    for _ in range(passes):
        obj = api.object(kind, key)
        outcome = await kind.reconcile(obj)
        written = api.bodies[key]
        obj = dataclasses.replace(obj, status=kind.status_type.model_validate(written["status"]))
        status = conclude(obj, outcome, now=START, random=lambda: 0.5).status.to_api()
        api.put({**written, "status": status})
    return api.bodies[key]


class Hospital:
    """All kinds, each with its own world."""

    def __init__(self, world: Callable[[], World]) -> None:
        self.ehr = EhrSystem()
        self.connector = ConnectorSystem()
        self.numbers = world

    async def endpoint(self, key: Key = TEST, **parts: Any) -> Body:
        self.ehr.api.put(endpoint_body(key.name, **parts))
        return await looked_at(self.ehr.kind, self.ehr.api, key)

    async def production(self, **parts: Any) -> Body:
        await self.endpoint()
        return await self.endpoint(PRODUCTION, spec=PRODUCTION_SPEC, **parts)

    async def promoted(self) -> Body:
        digest = (await self.production())["status"]["profileDigest"]
        seen = ProfileEvidence(endpoint=TEST.name, profile_digest=digest, provider_launches=1, patient_joins=1)
        self.ehr.connector.evidence = Evidence(profiles=[seen])
        return await looked_at(self.ehr.kind, self.ehr.api, PRODUCTION)

    async def changed(self, key: Key, spec: Body) -> Body:
        self.ehr.api.change(key, {"spec": spec})
        return await looked_at(self.ehr.kind, self.ehr.api, key)

    async def organization(self, *, passes: int = 1, endpoint: str | None = "True", **spec: Any) -> Body:
        spec = {"smsNotifications": {"enabled": False}, **spec}
        self.connector.add(spec=spec)
        if endpoint:
            standing = conditions(Ready=endpoint, Validated="True", Promoted="True")
            self.connector.api.put(endpoint_body(status={"conditions": standing}))
        return await looked_at(self.connector.kind, self.connector.api, CONFIG, passes)

    async def number(self, *, passes: int = 1, **spec: Any) -> Body:
        world = self.numbers()
        world.api.put(number_body(spec=spec))
        for _ in range(passes):
            await looked_at(world.kind, world.api, NUMBER)
            world.clock.advance(30)
        return world.api.bodies[NUMBER]

    async def record(self, **annotations: str) -> Body:
        await self.endpoint()
        key = Key("IntegrationRecord", "lamna", "lamna-test-provider")
        self.ehr.api.change(key, {"metadata": {"annotations": annotations}})
        kind = IntegrationRecordKind(self.ehr.clock, Sightings())
        return await looked_at(kind, self.ehr.api, key)


@pytest.fixture
async def hospital() -> AsyncGenerator[Hospital]:
    worlds: list[World] = []

    def world() -> World:
        worlds.append(World())
        return worlds[-1]

    hospital = Hospital(world)
    yield hospital
    for one in worlds:
        await one.aclose()
    await hospital.ehr.connector.aclose()
    await hospital.connector.http.aclose()


async def down(hospital: Hospital) -> Body:
    hospital.ehr.probes.sees = DOWN
    return await hospital.endpoint()


async def awaits_organization(hospital: Hospital) -> Body:
    hospital.ehr.api.remove(CONFIG)
    return await hospital.endpoint()


async def former_profile(hospital: Hospital) -> Body:
    await hospital.promoted()
    return await hospital.changed(PRODUCTION, {"appointments": {"virtualVisitTypes": ["Telehealth"]}})


async def settings_changed(hospital: Hospital) -> Body:
    await hospital.promoted()
    hospital.ehr.api.change(CONFIG, {"spec": {"visits": {"helpPhone": "+18005550111"}}})
    return await looked_at(hospital.ehr.kind, hospital.ehr.api, PRODUCTION)


async def connector_down(hospital: Hospital, passes: int) -> Body:
    hospital.connector.connector.down = True
    return await hospital.organization(passes=passes)


async def untrusted(hospital: Hospital) -> Body:
    hospital.connector.trusted = False
    hospital.connector.restart()
    return await hospital.organization()


async def drifted(hospital: Hospital) -> Body:
    await hospital.organization(driftPolicy="Report")
    document = hospital.connector.connector.document
    assert document is not None
    document["displayName"] = "Somebody else"
    return await looked_at(hospital.connector.kind, hospital.connector.api, CONFIG)


States = dict[str, tuple[Callable[[Hospital], Awaitable[Body]], str, str]]
STATES: States = {
    "endpoint, ready": (lambda one: one.endpoint(), "Healthy", "Current"),
    "endpoint, wrong address": (
        lambda one: one.endpoint(spec={"baseURL": "http://fhir.lamna.example/r4"}),
        "Degraded",
        "Failed",
    ),
    "endpoint, EHR does not answer": (down, "Degraded", "InProgress"),
    "endpoint, organisation missing": (awaits_organization, "Progressing", "InProgress"),
    "endpoint, suspended": (lambda one: one.endpoint(spec={"suspend": True}), "Suspended", "Current"),
    "endpoint, number missing": (
        lambda one: one.endpoint(spec={"smsNumberRef": {"name": "none"}}),
        "Progressing",
        "InProgress",
    ),
    "Production, awaits a visit on Test": (lambda one: one.production(), "Suspended", "Current"),
    "Production, promoted": (lambda one: one.promoted(), "Healthy", "Current"),
    "Production, changed and not proved": (former_profile, "Suspended", "Current"),
    "Production, settings changed": (settings_changed, "Healthy", "Current"),
    "organisation, ready": (lambda one: one.organization(), "Healthy", "Current"),
    "organisation, without endpoints": (lambda one: one.organization(endpoint=None), "Progressing", "InProgress"),
    "organisation, endpoint not ready": (
        lambda one: one.organization(endpoint="False:Unreachable"),
        "Progressing",
        "InProgress",
    ),
    "organisation, connector away for a moment": (lambda one: connector_down(one, 1), "Progressing", "InProgress"),
    "organisation, connector down": (lambda one: connector_down(one, 3), "Degraded", "InProgress"),
    "organisation, connector not trusted": (untrusted, "Degraded", "Failed"),
    "organisation, changed in the connector": (drifted, "Degraded", "InProgress"),
    "organisation, suspended": (lambda one: one.organization(suspend=True), "Suspended", "Current"),
    "number, being bought": (lambda one: one.number(), "Progressing", "InProgress"),
    "number, ready": (lambda one: one.number(passes=9), "Healthy", "Current"),
    "number, verification under way": (
        lambda one: one.number(passes=9, verification={"state": "Pending"}),
        "Suspended",
        "Current",
    ),
    "number, verification not stated": (lambda one: one.number(passes=9, verification=None), "Suspended", "Current"),
    "number, verification rejected": (
        lambda one: one.number(passes=9, verification={"state": "Rejected"}),
        "Degraded",
        "Failed",
    ),
    "number, none to adopt": (lambda one: one.number(passes=4, acquire="Adopt"), "Progressing", "InProgress"),
    "number, suspended": (lambda one: one.number(suspend=True), "Suspended", "Current"),
    "record, not acknowledged": (lambda one: one.record(), "Healthy", "Current"),
}


@pytest.mark.parametrize("state", STATES)
async def test_argo_cd_and_flux_judge_each_state_as_a_platform_team_would(state: str, hospital: Hospital) -> None:
    make, in_argocd, in_flux = STATES[state]
    body = await make(hospital)
    ready = next(one for one in body["status"]["conditions"] if one["type"] == "Ready")

    assert argocd(body) == (in_argocd, ready["message"]), ready["reason"]
    if body["kind"] in EXPRESSIONS:
        assert flux(body) == in_flux, ready["reason"]


@pytest.mark.parametrize("state", STATES)
async def test_a_change_and_a_deletion_are_in_progress_whatever_stood_before(state: str, hospital: Hospital) -> None:
    body = await STATES[state][0](hospital)
    changed = merged(body, {"metadata": {"generation": body["metadata"]["generation"] + 1}})
    deleted = merged(body, {"metadata": {"deletionTimestamp": "2026-03-02T09:00:00Z"}})

    for one in (changed, deleted):
        assert argocd(one)[0] == "Progressing"
        if one["kind"] in EXPRESSIONS:
            assert flux(one) == "InProgress"


@pytest.mark.parametrize("make", [config_body, endpoint_body, number_body])
@pytest.mark.parametrize("status", [{"observedGeneration": -1}, {}])
def test_nobody_takes_a_new_object_for_ready(make: Callable[..., Body], status: Body) -> None:
    body = make(status=status)

    assert argocd(body) == ("Progressing", "the operator has not looked at this generation yet")
    assert flux(body) == "InProgress"


def test_the_states_hold_every_kind_and_every_health() -> None:
    assert {health for _, health, _ in STATES.values()} == {"Healthy", "Progressing", "Suspended", "Degraded"}
    assert {health for _, _, health in STATES.values()} == {"Current", "InProgress", "Failed"}


def test_both_tools_are_told_of_every_kind_that_they_apply() -> None:
    component = yaml.safe_load((GITOPS / "argocd" / "kustomization.yaml").read_text(encoding="utf-8"))
    [generator] = component["configMapGenerator"]
    prefix = "resource.customizations.health.ehrconnector.io_"

    kinds = {resource.kind for resource in KINDS}
    assert {file.removeprefix(prefix).removesuffix("=health.lua") for file in generator["files"]} == kinds
    assert set(EXPRESSIONS) == kinds - {"IntegrationRecord"}, "Flux applies no IntegrationRecords"
