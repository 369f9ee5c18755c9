"""What every stack must keep to; each policy names the resources that break it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_network
from itertools import combinations
from typing import Any

from ehr_infra.geography import Geography, data_outside, outside
from ehr_sandbox.pulumi_provider.input_types import problems
from ehr_sandbox.pulumi_provider.resource_ids import resource_id
from ehr_sandbox.pulumi_provider.world import Recorded

Resources = Mapping[str, Recorded]
Policy = Callable[[Resources], Iterator[str]]

_OWNER_AND_ALIKE = {
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": "Owner",
    "b24988ac-6180-42a0-ab88-20f7382dd24c": "Contributor",
    "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9": "User Access Administrator",
    "f58310d9-a9f6-439a-9e8d-f62e7b41a168": "Role Based Access Control Administrator",
}

_WATCHED = {
    "communication:CommunicationService",
    "containerregistry:Registry",
    "containerservice:ManagedCluster",
    "dbforpostgresql:Server",
    "eventgrid:SystemTopic",
    "keyvault:Vault",
    "network:NetworkSecurityGroup",
    "network:PublicIPAddress",
    "network:VirtualNetwork",
    "operationalinsights:Workspace",
}

_SECRET_WORD = re.compile(r"password|secret$|sas|connectionstring|accountkey|httpskey|apikey|token$", re.IGNORECASE)


def of(resources: Resources, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The inputs of all resources of a kind such as `keyvault:Vault`."""
    return ((name, found.inputs) for name, found in resources.items() if found.token == f"azure-native:{kind}")


def inputs_are_known_to_the_sdk(resources: Resources) -> Iterator[str]:
    for name, found in resources.items():
        yield from (f"{name}: {problem.path} {problem.reason}" for problem in problems(found.token, found.inputs))


def tls_is_1_2_or_later(resources: Resources) -> Iterator[str]:
    for name, inputs in of(resources, "storage:StorageAccount"):
        if inputs.get("minimumTlsVersion") not in {"TLS1_2", "TLS1_3"} or not inputs.get("enableHttpsTrafficOnly"):
            yield name
    servers = {inputs["serverName"]: name for name, inputs in of(resources, "dbforpostgresql:Server")}
    for server, name in servers.items():
        values = {
            inputs["configurationName"]: inputs["value"]
            for _, inputs in of(resources, "dbforpostgresql:Configuration")
            if inputs["serverName"] == server
        }
        if values.get("require_secure_transport") != "on" or values.get("ssl_min_protocol_version") not in {
            "TLSv1.2",
            "TLSv1.3",
        }:
            yield name


def no_database_is_public(resources: Resources) -> Iterator[str]:
    for name, inputs in of(resources, "dbforpostgresql:Server"):
        network = inputs.get("network") or {}
        if network.get("publicNetworkAccess") != "Disabled" or not network.get("delegatedSubnetResourceId"):
            yield name
    yield from (name for name, _ in of(resources, "dbforpostgresql:FirewallRule"))


def no_storage_is_public(resources: Resources) -> Iterator[str]:
    for name, inputs in of(resources, "storage:StorageAccount"):
        rules = inputs.get("networkRuleSet") or {}
        closed = inputs.get("publicNetworkAccess") == "Disabled" or rules.get("defaultAction") == "Deny"
        if not closed or rules.get("ipRules") or inputs.get("allowBlobPublicAccess") is not False:
            yield name
    for name, inputs in of(resources, "storage:BlobContainer"):
        if inputs.get("publicAccess") != "None":
            yield name


def no_vault_is_public(resources: Resources) -> Iterator[str]:
    for name, inputs in of(resources, "keyvault:Vault"):
        properties = inputs["properties"]
        if properties.get("publicNetworkAccess") != "Disabled":
            yield name


def the_vault_is_kept_and_opened_by_roles(resources: Resources) -> Iterator[str]:
    for name, inputs in of(resources, "keyvault:Vault"):
        properties = inputs["properties"]
        if not (properties.get("enableRbacAuthorization") and properties.get("enablePurgeProtection")):
            yield name


def nothing_is_opened_by_a_key_or_password(resources: Resources) -> Iterator[str]:
    switches: dict[str, tuple[str, Any]] = {
        "communication:CommunicationService": ("disableLocalAuth", True),
        "containerregistry:Registry": ("adminUserEnabled", False),
        "containerservice:ManagedCluster": ("disableLocalAccounts", True),
        "storage:StorageAccount": ("allowSharedKeyAccess", False),
    }
    for kind, (key, wanted) in switches.items():
        yield from (name for name, inputs in of(resources, kind) if inputs.get(key) is not wanted)
    for name, inputs in of(resources, "dbforpostgresql:Server"):
        if (inputs.get("authConfig") or {}).get("passwordAuth") != "Disabled":
            yield name


def no_secret_is_a_plain_input(resources: Resources) -> Iterator[str]:
    def search(value: Any, path: str) -> Iterator[str]:
        if isinstance(value, dict):
            items: dict[str, Any] = value
            if "4dabf18193072939515e22adb298388d" in items:
                return  # a secret, as the engine marks it
            for key, item in items.items():
                if _SECRET_WORD.search(key) and isinstance(item, str) and item not in {"Enabled", "Disabled"}:
                    yield f"{path}.{key}"
                yield from search(item, f"{path}.{key}")
        elif isinstance(value, list):
            sequence: list[Any] = value
            for item in sequence:
                yield from search(item, path)

    for name, found in resources.items():
        if found.token == "azure-native:kubernetesconfiguration:FluxConfiguration":
            inputs = {key: value for key, value in found.inputs.items() if key != "configurationProtectedSettings"}
        else:
            inputs = found.inputs
        yield from search(inputs, name)


def everything_is_watched(resources: Resources) -> Iterator[str]:
    settings = [inputs for _, inputs in of(resources, "monitor:DiagnosticSetting")]
    watched = {inputs["resourceUri"] for inputs in settings if inputs.get("workspaceId") and inputs.get("logs")}
    for name, found in resources.items():
        key = resource_id(found.token, found.inputs)
        if found.token.removeprefix("azure-native:") in _WATCHED and key not in watched:
            yield name
        if found.token == "azure-native:storage:StorageAccount":
            yield from (name for kind in ("queue", "blob") if f"{key}/{kind}Services/default" not in watched)


_HAVE_NO_METRICS = {"azure-native:network:NetworkSecurityGroup"}
"""A setting that asks these for metrics is refused by Azure: "Metric export is not enabled"."""


def metrics_are_asked_of_what_has_them(resources: Resources) -> Iterator[str]:
    without = {
        resource_id(found.token, found.inputs) for found in resources.values() if found.token in _HAVE_NO_METRICS
    }
    for name, inputs in of(resources, "monitor:DiagnosticSetting"):
        if inputs["resourceUri"] in without and inputs.get("metrics"):
            yield name


_AKS_OWN = tuple(map(ip_network, ("169.254.0.0/16", "172.30.0.0/16", "172.31.0.0/16", "192.0.2.0/24")))


def no_range_is_one_that_aks_keeps_or_another_has(resources: Resources) -> Iterator[str]:
    for name, inputs in of(resources, "containerservice:ManagedCluster"):
        profile = inputs["networkProfile"]
        spaces = [
            space
            for _, network in of(resources, "network:VirtualNetwork")
            for space in network["addressSpace"]["addressPrefixes"]
        ]
        ranges = [ip_network(text) for text in (profile["podCidr"], profile["serviceCidr"], *spaces)]
        if any(one.overlaps(other) for one, other in combinations((*ranges, *_AKS_OWN), 2)):
            yield name


def nodes_have_the_version_of_their_cluster(resources: Resources) -> Iterator[str]:
    for name, inputs in of(resources, "containerservice:ManagedCluster"):
        pools = [*inputs["agentPoolProfiles"], *(pool for _, pool in of(resources, "containerservice:AgentPool"))]
        if any(pool.get("orchestratorVersion") != inputs.get("kubernetesVersion") for pool in pools):
            yield name


def nothing_is_outside(geography: Geography) -> Policy:
    """The policy that every resource, and its data, is in the geography."""

    def policy(resources: Resources) -> Iterator[str]:
        for name, found in resources.items():
            location, data = found.inputs.get("location"), found.inputs.get("dataLocation")
            if (location and outside(geography, location)) or (data and data_outside(geography, data)):
                yield name

    return policy


def nobody_is_owner_or_alike(resources: Resources) -> Iterator[str]:
    for name, inputs in of(resources, "authorization:RoleAssignment"):
        if inputs["roleDefinitionId"].rpartition("/")[2] in _OWNER_AND_ALIKE:
            yield name
    for name, inputs in of(resources, "authorization:RoleDefinition"):
        if "*" in json.dumps(inputs["permissions"]):
            yield name


def the_cluster_trusts_entra_alone(resources: Resources) -> Iterator[str]:
    for name, inputs in of(resources, "containerservice:ManagedCluster"):
        access = inputs.get("apiServerAccessProfile") or {}
        good = (
            (inputs.get("aadProfile") or {}).get("managed")
            and inputs["aadProfile"].get("enableAzureRBAC")
            and (inputs.get("oidcIssuerProfile") or {}).get("enabled")
            and ((inputs.get("securityProfile") or {}).get("workloadIdentity") or {}).get("enabled")
            and (access.get("enablePrivateCluster") or access.get("authorizedIPRanges"))
        )
        if not good:
            yield name


_NAMES_NO_RECIPIENT = {"AuthOperational", "EmailSendMailOperational"}


def nobody_who_is_written_to_is_logged(resources: Resources) -> Iterator[str]:
    services = {resource_id(found.token, found.inputs) for found in resources.values() if "Communic" in found.token}
    for name, inputs in of(resources, "monitor:DiagnosticSetting"):
        if inputs["resourceUri"] in services and any(
            log.get("category") not in _NAMES_NO_RECIPIENT for log in inputs["logs"]
        ):
            yield name


def what_could_not_be_delivered_is_not_kept_for_ever(resources: Resources) -> Iterator[str]:
    ended = {
        (inputs["accountName"], prefix)
        for _, inputs in of(resources, "storage:ManagementPolicy")
        for rule in inputs["policy"]["rules"]
        if rule["enabled"] and "delete" in rule["definition"]["actions"]["baseBlob"]
        for prefix in rule["definition"]["filters"]["prefixMatch"]
    }
    for name, inputs in of(resources, "storage:BlobContainer"):
        if (inputs["accountName"], f"{inputs['containerName']}/") not in ended:
            yield name


def a_stand_by_is_reached_by_its_database(resources: Resources) -> Iterator[str]:
    for name, inputs in of(resources, "network:VirtualNetwork"):
        for subnet in inputs["subnets"]:
            if not subnet.get("delegations"):
                continue
            rules = next(
                each["securityRules"]
                for key, each in of(resources, "network:NetworkSecurityGroup")
                if resource_id(resources[key].token, each) == subnet["networkSecurityGroup"]["id"]
            )
            within = [rule for rule in rules if rule["sourceAddressPrefix"] == subnet["addressPrefix"]]
            if not any({"5432", "6432"} <= set(rule["destinationPortRanges"]) for rule in within):
                yield f"{name}/{subnet['name']}"


ALL: tuple[Policy, ...] = (
    metrics_are_asked_of_what_has_them,
    no_range_is_one_that_aks_keeps_or_another_has,
    nodes_have_the_version_of_their_cluster,
    nobody_who_is_written_to_is_logged,
    what_could_not_be_delivered_is_not_kept_for_ever,
    a_stand_by_is_reached_by_its_database,
    inputs_are_known_to_the_sdk,
    tls_is_1_2_or_later,
    no_database_is_public,
    no_storage_is_public,
    no_vault_is_public,
    the_vault_is_kept_and_opened_by_roles,
    nothing_is_opened_by_a_key_or_password,
    no_secret_is_a_plain_input,
    everything_is_watched,
    nobody_is_owner_or_alike,
    the_cluster_trusts_entra_alone,
    nothing_is_outside(Geography.AMERICAS),
)
