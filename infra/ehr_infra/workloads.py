"""The identities of the programs: each is one service account, with exactly the roles that it uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import authorization, managedidentity

from ehr_infra.cluster import Cluster
from ehr_infra.communication import Communication, Events
from ehr_infra.data import Vault
from ehr_infra.place import Place
from ehr_infra.roles import BuiltInRole, assign, custom_role

NAMESPACE = "ehr-system"
OPERATOR = "ehr-operator"
WEB = "ehr-connector-web"
WORKER = "ehr-connector-worker"
"""Namespace and service accounts, as in deploy/base."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A role on one scope."""

    what: str
    role: BuiltInRole | pulumi.Output[str]
    scope: pulumi.Output[str]


class Workload(pulumi.ComponentResource):
    """An identity that one service account of the cluster proves itself as, without any secret."""

    client_id: pulumi.Output[str]
    principal_id: pulumi.Output[str]

    def __init__(
        self,
        place: Place,
        service_account: str,
        issuer: pulumi.Output[str],
        grants: list[Grant],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("ehr:infra:Workload", service_account, None, opts)
        own = pulumi.ResourceOptions(parent=self)
        identity = managedidentity.UserAssignedIdentity(
            service_account,
            resource_name_=place.names.of("identity", service_account),
            resource_group_name=place.resource_group_name,
            location=place.location,
            tags=place.tags,
            opts=own,
        )
        # The issuer must be the cluster's to the last byte: its closing slash belongs to it.
        managedidentity.FederatedIdentityCredential(
            f"{service_account}-credential",
            federated_identity_credential_resource_name=place.names.of("federated credential", service_account),
            resource_name_=identity.name,
            resource_group_name=place.resource_group_name,
            issuer=issuer,
            subject=f"system:serviceaccount:{NAMESPACE}:{service_account}",
            audiences=["api://AzureADTokenExchange"],
            opts=own,
        )
        for grant in grants:
            assign(
                place,
                f"{service_account}-{grant.what}",
                role=grant.role,
                principal_id=identity.principal_id,
                scope=grant.scope,
                parent=self,
            )
        self.client_id, self.principal_id = identity.client_id, identity.principal_id
        self.register_outputs({"clientID": self.client_id})


class Workloads(pulumi.ComponentResource):
    """Operator, connector web and connector worker.

    Communication Services know no role for numbers and texts: their data plane asks for the two actions of the custom
    role. The rights inside PostgreSQL and in Microsoft Graph are given there, not by Azure roles.
    """

    client_ids: Mapping[str, pulumi.Output[str]]
    principal_ids: Mapping[str, pulumi.Output[str]]

    def __init__(
        self,
        place: Place,
        cluster: Cluster,
        communication: Communication,
        events: Events,
        vault: Vault,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("ehr:infra:Workloads", "workloads", None, opts)
        own = pulumi.ResourceOptions(parent=self)
        numbers: authorization.RoleDefinition = custom_role(
            place,
            "communication",
            "Hold phone numbers, send texts and e-mail",
            [
                "Microsoft.Communication/CommunicationServices/Read",
                "Microsoft.Communication/CommunicationServices/Write",
            ],
            self,
        )
        uses_numbers = Grant("uses-communication", numbers.id, communication.id)
        reads_keys = Grant("reads-keys", BuiltInRole.KEY_VAULT_SECRETS_USER, vault.id)
        reads_events = Grant("reads-events", BuiltInRole.QUEUE_MESSAGE_PROCESSOR, events.queue_id)
        workloads = {
            name: Workload(place, name, cluster.oidc_issuer, grants, own)
            for name, grants in (
                (OPERATOR, [uses_numbers]),
                (WEB, [uses_numbers, reads_keys]),
                (WORKER, [uses_numbers, reads_keys, reads_events]),
            )
        }
        self.client_ids = {name: workload.client_id for name, workload in workloads.items()}
        self.principal_ids = {name: workload.principal_id for name, workload in workloads.items()}
        self.register_outputs({})
