"""The whole stack: configuration, then components, then outputs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

import pulumi
from pulumi_azure_native import resources

from ehr_infra.alerts import Alerts, Watched
from ehr_infra.cluster import Cluster, ClusterArgs
from ehr_infra.communication import Communication, Events
from ehr_infra.config import Settings
from ehr_infra.data import DATABASE, Database, Vault
from ehr_infra.gitops import GitOps
from ehr_infra.guardrails import Guardrails
from ehr_infra.naming import Names
from ehr_infra.network import Network
from ehr_infra.observability import Observability
from ehr_infra.place import Place, keep_inside
from ehr_infra.registry import Registry
from ehr_infra.workloads import OPERATOR, WEB, WORKER, Workloads


def build(settings: Settings, stack: str) -> Mapping[str, pulumi.Input[str]]:
    """Declare everything, and return the stack's outputs."""
    pulumi.runtime.register_stack_transformation(keep_inside(settings))
    place = _place(settings, stack)
    Guardrails(place)
    observability = Observability(place)
    network = Network(place)
    observability.diagnose(network.diagnosable, network)
    # Azure refuses a setting that asks a network security group for metrics: it has none.
    observability.diagnose(network.rule_ids, network, metrics=False)
    registry = Registry(place, network, observability)
    database = Database(place, network, observability)
    vault = Vault(place, network, observability)
    communication = Communication(place, observability)
    events = Events(place, network, observability, communication)
    cluster = Cluster(place, ClusterArgs(network, observability))
    cluster.may_pull(registry.id)
    workloads = Workloads(place, cluster, communication, events, vault)
    given: Mapping[str, pulumi.Input[str]] = {
        "EHR_GEOGRAPHY": settings.geography.value,
        "EHR_DOMAIN": settings.domain,
        "EHR_TENANT_ID": settings.tenant_id,
        "EHR_PURCHASING": settings.purchasing,
        "EHR_OPERATOR_IMAGE": settings.operator_image,
        "EHR_CONNECTOR_IMAGE": settings.connector_image,
        "EHR_OPERATOR_CLIENT_ID": workloads.client_ids[OPERATOR],
        "EHR_WEB_CLIENT_ID": workloads.client_ids[WEB],
        "EHR_WORKER_CLIENT_ID": workloads.client_ids[WORKER],
        "EHR_CLUSTER_ISSUER": cluster.oidc_issuer,
        "EHR_DATABASE_HOST": settings.database_host or database.host,
        "EHR_DATABASE": DATABASE,
        "EHR_VAULT": vault.name,
        "EHR_ACS_ENDPOINT": communication.endpoint,
        "EHR_EMAIL_SENDER": communication.sender,
        "EHR_EVENTS_QUEUE": events.queue_url,
        "EHR_POD_NETWORK": str(network.plan.pods),
        "EHR_KEYS": _key_objects(settings.keys),
    }
    values = {**given, "EHR_VALUES_DIGEST": pulumi.Output.all(**given).apply(_digest)}
    GitOps(place, cluster, values)
    Alerts(
        place,
        observability,
        Watched(place.resource_group_id, database.server_id, events.topic_id, communication.id),
    )
    return {
        "resourceGroup": place.resource_group_name,
        "cluster": cluster.name,
        "registry": registry.login_server,
        "outboundAddress": network.outbound_address,
        "webPrincipal": workloads.principal_ids[WEB],
        "workerPrincipal": workloads.principal_ids[WORKER],
        **values,
    }


def _key_objects(file_names: Sequence[str]) -> str:
    """The vault's secrets and the files that they become, as the driver of the vault wants it: YAML within YAML."""
    objects = [
        json.dumps({"objectName": name.replace(".", "-"), "objectType": "secret", "objectAlias": name})
        for name in file_names
    ]
    return json.dumps({"array": objects})


def _digest(values: Mapping[str, str]) -> str:
    """Changes with the values, so that pods start anew; begins with a letter, or YAML could take it for a number."""
    return "v" + hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def _place(settings: Settings, stack: str) -> Place:
    names = Names(settings.name, stack, settings.tenant_id)
    group = resources.ResourceGroup(
        "resource-group",
        resource_group_name=names.of("resource group", "rg"),
        location=settings.region,
        tags=Place(settings, names, "", pulumi.Output.from_input("")).tags,
        # A group takes everything in it along.
        opts=pulumi.ResourceOptions(protect=settings.protect),
    )
    return Place(settings, names, group.name, group.id)
