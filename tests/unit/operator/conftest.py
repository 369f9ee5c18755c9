"""Builders of custom resources, and a small API server that keeps them, shared by the tests of the kinds."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest

from ehr_api.conditions import Finding, Type, false, merge, true
from ehr_api.meta import API_VERSION, ApiModel, KindStatus
from ehr_operator.connector_config.reconcile import EHRConnectorConfigKind
from ehr_operator.fhir_endpoint.reconcile import FhirEndpointKind
from ehr_operator.integration_record import IntegrationRecordKind
from ehr_operator.runtime.cache import Cache
from ehr_operator.runtime.kube import ForbiddenError
from ehr_operator.runtime.model import Body, ConflictError, Key, Kind, Object, Outcome, State, parse_object
from ehr_operator.sms_number.reconcile import SmsNumberKind

SpecT = TypeVar("SpecT", bound=ApiModel)
StatusT = TypeVar("StatusT", bound=KindStatus)

NAMESPACE = "lamna"
BASE_URL = "https://fhir-test.lamna.example/r4/5f3c2a10-0000-4000-8000-000000000001"
CONTROL_URL = "https://connector.lamna.example"
ACS_URL = "https://acs.lamna.example"
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

INDEXES: dict[str, tuple[str, ...]] = {
    kind.kind: kind.indexes for kind in (EHRConnectorConfigKind, FhirEndpointKind, SmsNumberKind, IntegrationRecordKind)
}


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON merge patch applied (RFC 7396): null takes a field out."""
    result = copy.deepcopy(dict(base))
    for name, value in changes.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping) and isinstance(result.get(name), dict):
            result[name] = merged(result[name], value)
        else:
            result[name] = copy.deepcopy(value)
    return result


def resource(
    kind: str, name: str, spec: Mapping[str, Any], *, status: Mapping[str, Any] | None = None, **metadata: Any
) -> dict[str, Any]:
    """Return a custom resource as the API server gives it, in its first generation."""
    standing = {
        "name": name,
        "namespace": NAMESPACE,
        "uid": f"uid-of-{name}",
        "generation": 1,
        "resourceVersion": "1",
        "creationTimestamp": "2026-03-02T08:00:00Z",
    }
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": merged(standing, metadata),
        "spec": dict(spec),
        "status": dict(status or {}),
    }


def config_spec(**changes: Any) -> dict[str, Any]:
    """Return the spec of an organisation that texts, with both consents."""
    spec = {
        "displayName": "Lamna Healthcare",
        "ehr": {"system": "Cerner", "release": "2018.11"},
        "dataGeography": "Americas",
        "microsoft365": {
            "tenantID": "7f1c4d2e-0a5b-4c6d-8e9f-1a2b3c4d5e6f",
            "clientID": "2b6f8a10-93c4-4d5e-a6b7-c8d9e0f1a2b3",
            "meetingOrganizers": ["51d0c7b2-6f4e-4a39-9c1d-0e8f7a6b5c4d"],
        },
        "communicationServices": {"endpoint": ACS_URL},
        "connector": {"publicURL": "https://visits.lamna.example", "controlURL": CONTROL_URL},
        "smsNotifications": {
            "enabled": True,
            "consent": {
                "sendOnBehalfOfOrganization": True,
                "attendeesHaveConsented": True,
                "acknowledgedBy": "Compliance office",
                "acknowledgedAt": "2026-01-31T09:00:00Z",
            },
        },
        "visits": {"helpPhone": "+18005550199"},
    }
    return merged(spec, changes)


def endpoint_spec(**changes: Any) -> dict[str, Any]:
    """Return the spec of a Test endpoint without texts."""
    spec = {
        "configRef": {"name": "lamna"},
        "baseURL": BASE_URL,
        "environment": "Test",
        "departments": [{"name": "clinic-4", "displayName": "Clinic 4", "locations": ["21304876"]}],
        "smart": {"clinicianClientID": "lamna-clinician", "systemClientID": "lamna-system"},
        "appointments": {
            "locations": ["21304876"],
            "virtualVisitTypes": ["Video Visit"],
            "timeZone": "America/Chicago",
            "writeBackLinks": True,
        },
    }
    return merged(spec, changes)


def number_spec(**changes: Any) -> dict[str, Any]:
    """Return the spec of a toll-free number whose verification is stated."""
    spec = {
        "configRef": {"name": "lamna"},
        "countryCode": "US",
        "numberType": "TollFree",
        "acquire": "AdoptOrPurchase",
        "deletionPolicy": "Retain",
        "verification": {"state": "Verified", "reference": "TFV-2026-0042"},
    }
    return merged(spec, changes)


def config_body(name: str = NAMESPACE, *, spec: Mapping[str, Any] | None = None, **parts: Any) -> dict[str, Any]:
    """Return an EHRConnectorConfig; `spec` is a merge patch."""
    return resource("EHRConnectorConfig", name, config_spec(**(spec or {})), **parts)


def endpoint_body(name: str = "lamna-test", *, spec: Mapping[str, Any] | None = None, **parts: Any) -> dict[str, Any]:
    """Return a FhirEndpoint; `spec` is a merge patch."""
    return resource("FhirEndpoint", name, endpoint_spec(**(spec or {})), **parts)


def number_body(name: str = "lamna-sms", *, spec: Mapping[str, Any] | None = None, **parts: Any) -> dict[str, Any]:
    """Return an SmsNumber; `spec` is a merge patch."""
    return resource("SmsNumber", name, number_spec(**(spec or {})), **parts)


def conditions(**statuses: str) -> list[dict[str, Any]]:
    """Return conditions as they stand in status: `Ready="False:SomeReason"`, or `Ready="True"`."""
    return [
        {
            "type": type_,
            "status": text.partition(":")[0],
            "reason": text.partition(":")[2] or type_,
            "message": f"{type_} as the test has it",
            "lastTransitionTime": "2026-03-02T08:30:00Z",
        }
        for type_, text in statuses.items()
    ]


def finding(outcome: Outcome[Any], type_: Type) -> Finding:
    """Return the finding of this type; there must be exactly one."""
    [found] = [one for one in outcome.findings if one.type is type_]
    return found


@dataclass
class Clock:
    """A time that moves only when a test says so."""

    time: datetime = START

    def __call__(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)

    def monotonic(self) -> float:
        return (self.time - START).total_seconds() + 1000.0


@dataclass
class ApiServer:
    """An API server in memory: bodies with resource versions, and a cache that sees them when a test says so."""

    bodies: dict[Key, dict[str, Any]] = field(default_factory=dict[Key, dict[str, Any]])
    applied: list[Body] = field(default_factory=list[Body])
    """What was server-side applied, in order."""
    forbids: str | None = None
    """Why nothing may be server-side applied, if so."""
    cache: Cache = field(default_factory=lambda: Cache(INDEXES))
    _version: int = 100

    def put(self, body: Mapping[str, Any], *, seen: bool = True) -> Key:
        """Keep a body as its newest version; `seen` False leaves the cache behind."""
        self._version += 1
        key = Key(body["kind"], body["metadata"]["namespace"], body["metadata"]["name"])
        self.bodies[key] = merged(body, {"metadata": {"resourceVersion": str(self._version)}})
        if seen:
            self.show(key)
        return key

    def change(self, key: Key, patch: Mapping[str, Any], *, seen: bool = True) -> None:
        """Apply a merge patch; a changed spec is a new generation."""
        body = merged(self.bodies[key], patch)
        if body["spec"] != self.bodies[key]["spec"]:
            body["metadata"]["generation"] += 1
        self.put(body, seen=seen)

    def remove(self, key: Key) -> None:
        """Remove a body for good."""
        del self.bodies[key]
        self.cache.drop(key)

    def show(self, key: Key) -> None:
        """Let the cache see an object as it stands."""
        self.cache.put(key, copy.deepcopy(self.bodies[key]))

    def relist(self) -> None:
        """Give the cache what a new process lists."""
        for key in self.bodies:
            self.show(key)

    def settle(self, key: Key, outcome: Outcome[Any], *, seen: bool = True) -> None:
        """Write an outcome into status as the runtime does, in essence."""
        summary = true if outcome.state is State.READY else false
        findings = (summary(Type.READY, outcome.reason, outcome.message), *outcome.findings)
        body = self.bodies[key]
        generation: int = body["metadata"]["generation"]
        annotation = body["metadata"].get("annotations", {}).get("ehrconnector.io/requestedAt")
        standing = KindStatus.model_validate(body["status"])
        changes: dict[str, Any] = {
            "observed_generation": generation,
            "conditions": merge(standing.conditions, findings, generation=generation, now=START),
            "last_handled_reconcile_at": annotation,
        }
        self.put({**body, "status": outcome.status.model_copy(update=changes).to_api()}, seen=seen)

    async def read(self, key: Key) -> Body | None:
        body = self.bodies.get(key)
        return copy.deepcopy(body) if body is not None else None

    async def list_now(self, kind: str, namespace: str) -> list[Body]:
        return [copy.deepcopy(body) for key, body in self.bodies.items() if key[:2] == (kind, namespace)]

    async def write_intent(self, obj: Object[SpecT, StatusT], status: StatusT) -> Object[SpecT, StatusT]:
        body = self.bodies.get(obj.key)
        if body is None or body["metadata"]["resourceVersion"] != obj.resource_version:
            raise ConflictError(str(obj.key))
        self.put({**body, "status": status.to_api()}, seen=False)
        written = self.bodies[obj.key]
        return parse_object(obj.key.kind, copy.deepcopy(written), type(obj.spec), type(obj.status))

    async def apply(self, body: Body) -> Body:
        if self.forbids is not None:
            raise ForbiddenError(self.forbids)
        self.applied.append(body)
        key = Key(body["kind"], body["metadata"]["namespace"], body["metadata"]["name"])
        standing = self.bodies.get(key)
        name: str = body["metadata"]["name"]
        base = standing if standing is not None else resource(body["kind"], name, {})
        self.put(merged({**base, "spec": {}}, body))
        return self.bodies[key]

    async def delete(self, key: Key, uid: str) -> None:
        body = self.bodies.get(key)
        if body is not None and body["metadata"]["uid"] != uid:
            raise ConflictError(str(key))
        if body is not None:
            self.remove(key)

    def object(self, kind: Kind[SpecT, StatusT], key: Key) -> Object[SpecT, StatusT]:
        """Return what the runtime would hand to a kind: the object as the cache has it."""
        body = self.cache.get(key)
        assert body is not None
        return parse_object(kind.kind, body, kind.spec_type, kind.status_type)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def api() -> ApiServer:
    return ApiServer()
