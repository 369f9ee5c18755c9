"""The objects before and after an apply, each set as the operator would see it. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ehr_api.conditions import Finding, Type
from ehr_api.control import EndpointConfiguration, OrganizationConfiguration
from ehr_api.meta import FORCE_PROMOTION
from ehr_api.profile import profile_digest
from ehr_api.v1alpha1.ehr_connector_config import EHRConnectorConfigSpec
from ehr_api.v1alpha1.fhir_endpoint import FhirEndpointSpec, PromotedProfile
from ehr_api.v1alpha1.sms_number import SmsNumberSpec, SmsNumberStatus
from ehr_operator.connector_config.document import configuration
from ehr_operator.connector_config.reconcile import senders
from ehr_operator.fhir_endpoint.promotion import Twin, promotion
from ehr_operator.kinds import INDEXES
from ehr_operator.plan_command.desired import normal_spec
from ehr_operator.runtime.cache import Cache
from ehr_operator.runtime.model import Body, Key, parse_object
from ehr_operator.sms_number import report
from ehr_operator.sms_number.acquisition import Number
from ehr_operator.sms_number.reconcile import (
    obstacle,
)
from ehr_operator.sms_number.report import Situation
from ehr_operator.views import (
    CONFIG,
    ENDPOINT,
    NUMBER,
    RECORD,
    condition_status,
    config_of,
    endpoints_of,
    first_claim,
    is_deleting,
    key_of,
    numbers_of,
)

KINDS = (CONFIG, ENDPOINT, NUMBER)
"""The kinds that people write."""

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_NEW = "9999-12-31T23:59:59Z"
"""An object that is not there yet is younger than all that are."""


@dataclass
class View:
    """All objects at one moment, and what the connectors hold because of them."""

    objects: Cache
    documents: dict[Key, OrganizationConfiguration] = field(default_factory=dict[Key, OrganizationConfiguration])
    """The connector's configuration of each organisation."""
    parts: dict[Key, EndpointConfiguration] = field(default_factory=dict[Key, EndpointConfiguration])
    """Each endpoint as the connector holds it."""
    organizations_at: dict[str, list[Key]] = field(default_factory=dict[str, list[Key]])
    """The organisations whose configuration has a base URL."""

    def standing(self, key: Key) -> Body | None:
        """Return an object unless it is going away."""
        body = self.objects.get(key)
        return None if body is None or is_deleting(body) else body

    def organization(self, key: Key) -> EHRConnectorConfigSpec | None:
        """Return an organisation's spec unless it is going away."""
        body = self.standing(key)
        return None if body is None else EHRConnectorConfigSpec.model_validate(body["spec"])

    def texts_from(self, endpoint: Key) -> str | None:
        """Return the number that patients of an endpoint are texted from, as far as this cluster decides."""
        part, body = self.parts.get(endpoint), self.standing(endpoint)
        organization = config_of(self.objects, body) if body is not None else None
        if part is None or organization is None or not (organization.sms_enabled and organization.consent_recorded):
            return None
        return part.sender_number


@dataclass(frozen=True)
class Comparison:
    """Before and after."""

    before: View
    after: View
    wanted: frozenset[Key]
    """The objects of the input."""
    namespaces: frozenset[str]
    """Only these are compared."""

    def keys(self, kind: str) -> list[Key]:
        """Return the objects of a kind that stand before or after, in the namespaces that are compared."""
        known = self.before.objects.keys(kind) | self.after.objects.keys(kind)
        return sorted(key for key in known if key.namespace in self.namespaces)


def compare(desired: Sequence[Body], live: Sequence[Body], *, prune: bool, refused: frozenset[Key]) -> Comparison:
    """Return both views; a refused object stays as it is, and with `prune` what the input leaves out goes away."""
    wanted = {key_of(body["kind"], body): body for body in desired}
    namespaces = frozenset(key.namespace for key in wanted)
    standing = {key_of(body["kind"], body): _normal(body) for body in live}
    later: dict[Key, Body] = {}
    for key, body in standing.items():
        gone = prune and key.kind in KINDS and key.namespace in namespaces and key not in wanted
        later[key] = _deleted(body) if gone else body
    for key, body in wanted.items():
        if key not in refused:
            later[key] = _applied(body, standing.get(key))
    before, after = View(_cache(standing.values())), View(_cache(later.values()))
    for view, former in ((before, None), (after, before)):
        _foresee_numbers(view)
        _foresee_promotions(view)
        _configure(view, former)
    return Comparison(before, after, frozenset(wanted), namespaces)


def number_situation(view: View, body: Body) -> Situation | None:
    """Return what keeps a number from being adopted, bought or used."""
    return obstacle(_number(body), config_of(view.objects, body))


def promotion_of(view: View, body: Body) -> Finding:
    """Judge the promotion as far as it can be judged without asking the connector for evidence."""
    spec = FhirEndpointSpec.model_validate(body["spec"])
    organization = config_of(view.objects, body)
    digest = profile_digest(spec, organization) if organization else None
    annotations: Mapping[str, str] = body["metadata"].get("annotations") or {}
    former = body["status"].get("promotedProfile")
    return promotion(
        spec,
        _twin(view, body, spec, organization),
        profile_digest=digest,
        evidence=None,
        forced_because=annotations.get(FORCE_PROMOTION, "").strip() or None,
        promoted=PromotedProfile.model_validate(former) if former is not None else None,
    )


def _twin(view: View, body: Body, spec: FhirEndpointSpec, organization: EHRConnectorConfigSpec | None) -> Twin | None:
    if spec.promoted_from is None or organization is None:
        return None
    twin = view.standing(Key(ENDPOINT, body["metadata"]["namespace"], spec.promoted_from.name))
    if twin is None:
        return None
    twin_spec = FhirEndpointSpec.model_validate(twin["spec"])
    return Twin(
        environment=twin_spec.environment,
        validated=condition_status(twin, Type.VALIDATED) == "True",
        profile_digest=profile_digest(twin_spec, organization),
    )


def _normal(body: Body) -> Body:
    metadata = {"uid": "", "generation": 1, "creationTimestamp": _NEW, **body["metadata"], "resourceVersion": "1"}
    spec = body["spec"] if body["kind"] == RECORD else normal_spec(body["kind"], body["spec"])
    return {**body, "metadata": metadata, "spec": spec, "status": body.get("status", {})}


def _applied(wanted: Body, standing: Body | None) -> Body:
    if standing is None:
        return _normal({**wanted, "metadata": {**wanted["metadata"], "uid": f"new/{wanted['metadata']['name']}"}})
    metadata = standing["metadata"]
    generation: int = metadata["generation"] + (wanted["spec"] != standing["spec"])
    annotations = _annotations(metadata.get("annotations") or {}, wanted["metadata"].get("annotations") or {})
    return {
        **standing,
        "metadata": {**metadata, "generation": generation, "annotations": annotations},
        "spec": wanted["spec"],
    }


def _annotations(standing: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """Return the annotations after `kubectl apply`: what it had applied before and the input leaves out goes."""
    last: dict[str, Any] = json.loads(standing.get(_LAST_APPLIED, "{}"))
    applied: dict[str, str] = last.get("metadata", {}).get("annotations", {})
    return {name: value for name, value in standing.items() if name not in applied} | dict(wanted)


def _deleted(body: Body) -> Body:
    return {**body, "metadata": {"deletionTimestamp": _NEW, **body["metadata"]}}


def _cache(bodies: Iterable[Body]) -> Cache:
    cache = Cache(INDEXES)
    for body in bodies:
        cache.put(key_of(body["kind"], body), body)
    return cache


def _configure(view: View, former: View | None) -> None:
    """Fill in what the connectors hold; what is suspended stays as it was."""
    for config in view.objects.list(CONFIG, ""):
        key = key_of(CONFIG, config)
        if is_deleting(config):
            continue
        spec = EHRConnectorConfigSpec.model_validate(config["spec"])
        if former is not None and spec.suspend:
            if key in former.documents:
                _hold(view, former.documents[key])
            continue
        endpoints = endpoints_of(view.objects, key)
        document = configuration(
            key,
            config["metadata"]["generation"],
            spec,
            [body for body in endpoints if first_claim(view.objects, body) is body],
            senders(numbers_of(view.objects, key)),
            {},
        )
        if former is not None:
            suspended = {body["metadata"]["name"] for body in endpoints if body["spec"].get("suspend")}
            document = _as_before(document, former.documents.get(key), suspended)
        _hold(view, document)


def _hold(view: View, document: OrganizationConfiguration) -> None:
    view.documents[Key(CONFIG, document.namespace, document.name)] = document
    for part in document.endpoints:
        view.parts[Key(ENDPOINT, document.namespace, part.name)] = part
        holders = view.organizations_at.setdefault(part.base_url, [])
        holders.append(Key(CONFIG, document.namespace, document.name))


def _as_before(
    document: OrganizationConfiguration, former: OrganizationConfiguration | None, suspended: set[str]
) -> OrganizationConfiguration:
    held = {part.name: part for part in former.endpoints} if former is not None else {}
    parts = [held.get(part.name) if part.name in suspended else part for part in document.endpoints]
    return document.model_copy(update={"endpoints": [part for part in parts if part is not None]})


def _foresee_numbers(view: View) -> None:
    """Put into status what the operator would find without asking anybody."""
    for body in view.objects.list(NUMBER, ""):
        if "phoneNumber" not in body["status"]:
            continue
        number = _number(body)
        situation = obstacle(number, config_of(view.objects, body))
        stalled = situation if situation is not None and situation.stalled else None
        findings = report.outcome(number.spec, number.status, stalled).findings
        known = (Type.VERIFIED, Type.PROVISIONED) if stalled else (Type.VERIFIED,)
        _put(view, body, [finding for finding in findings if finding.type in known])


def _foresee_promotions(view: View) -> None:
    for body in view.objects.list(ENDPOINT, ""):
        if not is_deleting(body) and not body["spec"].get("suspend"):
            _put(view, body, [promotion_of(view, body)])


def _put(view: View, body: Body, findings: Sequence[Finding]) -> None:
    """Replace conditions of an object in the view."""
    types = {finding.type.value for finding in findings}
    standing: list[dict[str, str]] = body["status"].get("conditions", [])
    fresh = [
        {
            "type": finding.type.value,
            "status": finding.status.value,
            "reason": finding.reason,
            "message": finding.message,
            "lastTransitionTime": _NEW,
        }
        for finding in findings
    ]
    conditions = [condition for condition in standing if condition["type"] not in types] + fresh
    version = str(int(body["metadata"]["resourceVersion"]) + 1)
    metadata = {**body["metadata"], "resourceVersion": version}
    changed = {**body, "metadata": metadata, "status": {**body["status"], "conditions": conditions}}
    view.objects.put(key_of(body["kind"], body), changed)


def _number(body: Body) -> Number:
    return parse_object(NUMBER, body, SmsNumberSpec, SmsNumberStatus)
