"""What Azure adds to a resource: names it derives, and ids it makes up (here always the same ones)."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from ehr_sandbox.pulumi_provider.input_types import UNKNOWN
from ehr_sandbox.pulumi_provider.resource_ids import SUBSCRIPTION


@dataclass(frozen=True, slots=True)
class _Resource:
    id: str
    inputs: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.id.rpartition("/")[2]

    def guid(self, what: str) -> str:
        """A made-up id that is the same on every run."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.id}#{what}"))


def foreseen(token: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs that a preview can tell: the inputs, and that there will be more."""
    return _unknown_beside(inputs, computed(token, f"{SUBSCRIPTION}/unknown", inputs))


def _unknown_beside(given: Mapping[str, Any], outputs: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(given)
    for key, value in outputs.items():
        if isinstance(value, dict) and isinstance(given.get(key), dict):
            merged[key] = _unknown_beside(given[key], cast("dict[str, Any]", value))
        elif given.get(key) != value:
            merged[key] = UNKNOWN
    return merged


def computed(token: str, resource_id: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs that are not inputs."""
    resource = _Resource(resource_id, inputs)
    more = _MORE.get(token.removeprefix("azure-native:"))
    return {"name": resource.name, **(more(resource) if more else {})}


def _cluster(resource: _Resource) -> dict[str, Any]:
    host = f"{resource.inputs.get('location', '')}.oic.prod-aks.azure.com"
    kubelet = {
        "clientId": resource.guid("kubelet-client"),
        "objectId": resource.guid("kubelet"),
        "resourceId": f"{resource.id}-agentpool",
    }
    given: Mapping[str, Any] = resource.inputs.get("identity", {})
    return {
        # A list going in, an object coming out.
        "identity": {**given, "userAssignedIdentities": {key: {} for key in given.get("userAssignedIdentities", [])}},
        "oidcIssuerProfile": {
            "enabled": True,
            "issuerURL": f"https://{host}/{resource.guid('tenant')}/{resource.guid('issuer')}/",
        },
        "identityProfile": {"kubeletidentity": kubelet},
        "currentKubernetesVersion": "1.34.2",
        "maxAgentPools": 100,
    }


def _topic(resource: _Resource) -> dict[str, Any]:
    given: Mapping[str, Any] = resource.inputs.get("identity", {})
    return {"identity": {**given, "principalId": resource.guid("principal")}}


def _host(suffix: str, key: str) -> Callable[[_Resource], dict[str, Any]]:
    return lambda resource: {key: f"{resource.name}.{suffix}"}


_MORE: Mapping[str, Callable[[_Resource], dict[str, Any]]] = {
    "communication:CommunicationService": lambda resource: {
        "hostName": f"{resource.name}.{str(resource.inputs.get('dataLocation', '')).replace(' ', '').lower()}"
        ".communication.azure.com"
    },
    "communication:Domain": lambda resource: {"fromSenderDomain": f"{resource.guid('domain')}.azurecomm.net"},
    "containerregistry:Registry": _host("azurecr.io", "loginServer"),
    "containerservice:ManagedCluster": _cluster,
    "dbforpostgresql:Server": _host("postgres.database.azure.com", "fullyQualifiedDomainName"),
    "eventgrid:SystemTopic": _topic,
    "managedidentity:UserAssignedIdentity": lambda resource: {
        what: resource.guid(what) for what in ("clientId", "principalId", "tenantId")
    },
    "network:PublicIPAddress": lambda _: {"ipAddress": "203.0.113.20"},
}
