"""An organisation in full service as the API server lists it, and inputs that change it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from unit.operator.conftest import conditions, config_body, endpoint_body, merged, number_body

from ehr_api.meta import API_VERSION
from ehr_api.profile import profile_digest, promoted_profile
from ehr_api.v1alpha1.ehr_connector_config import EHRConnectorConfigSpec
from ehr_api.v1alpha1.fhir_endpoint import FhirEndpointSpec
from ehr_operator.fhir_endpoint.records import record_body, records
from ehr_operator.plan_command.desired import Document, parse
from ehr_operator.plan_command.effect import Action, Effect
from ehr_operator.plan_command.plan import plan
from ehr_operator.runtime.model import Key

NUMBER = "+18335550101"
ACS = "https://acs.lamna.example"
PRODUCTION_URL = "https://fhir.lamna.example/r4/5f3c2a10-0000-4000-8000-000000000002"

Body = dict[str, Any]
Bodies = dict[str, Body]
Patch = Mapping[str, Any] | None
"""A merge patch of a whole object; None takes the object out of the input."""


def production(name: str = "lamna-production", **parts: Any) -> Body:
    """Return a Production endpoint that is promoted from `lamna-test`."""
    spec = {
        "baseURL": PRODUCTION_URL,
        "environment": "Production",
        "promotedFrom": {"name": "lamna-test"},
        **parts.pop("spec", {}),
    }
    return endpoint_body(name, spec=spec, **parts)


def served() -> Bodies:
    """Return an organisation whose two endpoints serve and text from one number, by name."""
    texts = {"smsNumberRef": {"name": "lamna-sms"}}
    bodies = {
        "lamna": config_body(status={"sentConfigurationDigest": "sha256:0"}),
        "lamna-sms": number_body(
            status={
                "phoneNumber": NUMBER,
                "communicationServicesEndpoint": ACS,
                "conditions": conditions(Ready="True", Verified="True", Provisioned="True"),
            }
        ),
        "lamna-test": endpoint_body(
            spec=texts, status={"conditions": conditions(Ready="True", Validated="True", Promoted="True:NotRequired")}
        ),
        "lamna-production": production(
            spec=texts,
            status={"conditions": conditions(Ready="True", Validated="True", Promoted="True:EvidenceComplete")},
        ),
    }
    organization = EHRConnectorConfigSpec.model_validate(bodies["lamna"]["spec"])
    for name in ("lamna-test", "lamna-production"):
        spec = FhirEndpointSpec.model_validate(bodies[name]["spec"])
        bodies[name]["status"]["profileDigest"] = profile_digest(spec, organization)
        if name == "lamna-production":
            bodies[name]["status"]["promotedProfile"] = promoted_profile(spec, organization).to_api()
        owner = Key("FhirEndpoint", "lamna", name)
        for key, record in records(owner, spec, organization, NUMBER).items():
            body = record_body(key, record, owner, f"uid-of-{name}")
            bodies[key.name] = merged(body, {"metadata": {"resourceVersion": "1", "uid": f"uid-of-{key.name}"}})
    return bodies


def written(bodies: Bodies, **changes: Patch) -> list[Body]:
    """Return what Git holds: the objects that people write, each changed by a merge patch."""
    found: list[Body] = []
    for name, body in bodies.items():
        patch = changes.get(name.replace("-", "_"), {})
        if body["kind"] == "IntegrationRecord" or patch is None:
            continue
        metadata = {"name": name, "namespace": body["metadata"]["namespace"]}
        document = {"apiVersion": API_VERSION, "kind": body["kind"], "metadata": metadata, "spec": body["spec"]}
        found.append(merged(document, patch))
    return found


def planned(documents: Sequence[Body], live: Bodies, *, prune: bool = False) -> list[Effect]:
    """Return the plan for documents that are well-formed."""
    parsed = parse([Document("git", document) for document in documents], namespace="default")
    assert parsed.problems == []
    return plan(parsed.bodies, list(live.values()), prune=prune)


def told(effects: Sequence[Effect]) -> set[tuple[str, str]]:
    """Return what happens to which object, without what stays as it is."""
    return {(effect.action.value, effect.key.name) for effect in effects if effect.action is not Action.NUMBER_KEPT}


def the(effects: Sequence[Effect], action: Action) -> Effect:
    """Return the one effect with this action."""
    [found] = [effect for effect in effects if effect.action is action]
    return found


def unlinked(live: Bodies) -> Bodies:
    """Return the objects with no endpoint linked to a number."""
    return {
        name: merged(body, {"spec": {"smsNumberRef": None}}) if body["kind"] == "FhirEndpoint" else body
        for name, body in live.items()
    }
