"""The Azure resource id of each type that the stand-in knows, from the inputs of the resource."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SUBSCRIPTION = "/subscriptions/00000000-0000-4000-8000-00000000a2e0"

_GROUP = f"{SUBSCRIPTION}/resourceGroups/{{resourceGroupName}}"
_KUBERNETES = _GROUP + "/providers/{clusterRp}/{clusterResourceName}/{clusterName}/providers"

_IN_GROUP = {
    "communication:CommunicationService": "Microsoft.Communication/communicationServices/{communicationServiceName}",
    "communication:Domain": "Microsoft.Communication/emailServices/{emailServiceName}/domains/{domainName}",
    "communication:EmailService": "Microsoft.Communication/emailServices/{emailServiceName}",
    "containerregistry:Registry": "Microsoft.ContainerRegistry/registries/{registryName}",
    "containerservice:AgentPool": "Microsoft.ContainerService/managedClusters/{resourceName}/agentPools/{agentPoolName}",
    "containerservice:MaintenanceConfiguration": "Microsoft.ContainerService/managedClusters/{resourceName}"
    "/maintenanceConfigurations/{configName}",
    "containerservice:ManagedCluster": "Microsoft.ContainerService/managedClusters/{resourceName}",
    "dbforpostgresql:AdministratorsMicrosoftEntra": "Microsoft.DBforPostgreSQL/flexibleServers/{serverName}"
    "/administrators/{objectId}",
    "dbforpostgresql:Configuration": "Microsoft.DBforPostgreSQL/flexibleServers/{serverName}"
    "/configurations/{configurationName}",
    "dbforpostgresql:Database": "Microsoft.DBforPostgreSQL/flexibleServers/{serverName}/databases/{databaseName}",
    "dbforpostgresql:Server": "Microsoft.DBforPostgreSQL/flexibleServers/{serverName}",
    "eventgrid:SystemTopic": "Microsoft.EventGrid/systemTopics/{systemTopicName}",
    "eventgrid:SystemTopicEventSubscription": "Microsoft.EventGrid/systemTopics/{systemTopicName}"
    "/eventSubscriptions/{eventSubscriptionName}",
    "keyvault:Vault": "Microsoft.KeyVault/vaults/{vaultName}",
    "managedidentity:FederatedIdentityCredential": "Microsoft.ManagedIdentity/userAssignedIdentities/{resourceName}"
    "/federatedIdentityCredentials/{federatedIdentityCredentialResourceName}",
    "managedidentity:UserAssignedIdentity": "Microsoft.ManagedIdentity/userAssignedIdentities/{resourceName}",
    "monitor:ActionGroup": "Microsoft.Insights/actionGroups/{actionGroupName}",
    "monitor:ActivityLogAlert": "Microsoft.Insights/activityLogAlerts/{activityLogAlertName}",
    "monitor:DataCollectionRule": "Microsoft.Insights/dataCollectionRules/{dataCollectionRuleName}",
    "monitor:MetricAlert": "Microsoft.Insights/metricAlerts/{ruleName}",
    "monitor:ScheduledQueryRule": "Microsoft.Insights/scheduledQueryRules/{ruleName}",
    "network:NatGateway": "Microsoft.Network/natGateways/{natGatewayName}",
    "network:NetworkSecurityGroup": "Microsoft.Network/networkSecurityGroups/{networkSecurityGroupName}",
    "network:PrivateDnsZoneGroup": "Microsoft.Network/privateEndpoints/{privateEndpointName}"
    "/privateDnsZoneGroups/{privateDnsZoneGroupName}",
    "network:PrivateEndpoint": "Microsoft.Network/privateEndpoints/{privateEndpointName}",
    "network:PublicIPAddress": "Microsoft.Network/publicIPAddresses/{publicIpAddressName}",
    "network:VirtualNetwork": "Microsoft.Network/virtualNetworks/{virtualNetworkName}",
    "operationalinsights:Workspace": "Microsoft.OperationalInsights/workspaces/{workspaceName}",
    "privatedns:PrivateZone": "Microsoft.Network/privateDnsZones/{privateZoneName}",
    "privatedns:VirtualNetworkLink": "Microsoft.Network/privateDnsZones/{privateZoneName}"
    "/virtualNetworkLinks/{virtualNetworkLinkName}",
    "storage:BlobContainer": "Microsoft.Storage/storageAccounts/{accountName}"
    "/blobServices/default/containers/{containerName}",
    "storage:ManagementPolicy": "Microsoft.Storage/storageAccounts/{accountName}"
    "/managementPolicies/{managementPolicyName}",
    "storage:Queue": "Microsoft.Storage/storageAccounts/{accountName}/queueServices/default/queues/{queueName}",
    "storage:StorageAccount": "Microsoft.Storage/storageAccounts/{accountName}",
}

_ELSEWHERE = {
    "resources:ResourceGroup": _GROUP,
    "authorization:ManagementLockByScope": "{scope}/providers/Microsoft.Authorization/locks/{lockName}",
    "authorization:PolicyAssignment": "{scope}/providers/Microsoft.Authorization"
    "/policyAssignments/{policyAssignmentName}",
    "authorization:RoleAssignment": "{scope}/providers/Microsoft.Authorization/roleAssignments/{roleAssignmentName}",
    "authorization:RoleDefinition": "{scope}/providers/Microsoft.Authorization/roleDefinitions/{roleDefinitionId}",
    "kubernetesconfiguration:Extension": _KUBERNETES + "/Microsoft.KubernetesConfiguration/extensions/{extensionName}",
    "kubernetesconfiguration:FluxConfiguration": _KUBERNETES
    + "/Microsoft.KubernetesConfiguration/fluxConfigurations/{fluxConfigurationName}",
    "monitor:DataCollectionRuleAssociation": "{resourceUri}/providers/Microsoft.Insights"
    "/dataCollectionRuleAssociations/{associationName}",
    "monitor:DiagnosticSetting": "{resourceUri}/providers/Microsoft.Insights/diagnosticSettings/{name}",
}

_TEMPLATES = {f"azure-native:{key}": f"{_GROUP}/providers/{path}" for key, path in _IN_GROUP.items()} | {
    f"azure-native:{key}": path for key, path in _ELSEWHERE.items()
}


class NoIdError(Exception):
    """The resource has no id: the stand-in does not know its type, or a name is missing."""


def template(token: str) -> str:
    """The form of the ids of a type.

    Raises:
        NoIdError: The stand-in does not know the type.
    """
    if token not in _TEMPLATES:
        raise NoIdError(f"this stand-in does not know {token}; add its resource id to resource_ids.py")
    return _TEMPLATES[token]


def resource_id(token: str, inputs: Mapping[str, Any]) -> str:
    """The id of a resource.

    Raises:
        NoIdError: A name that is part of the id is not among the inputs. The real provider would make one up, and it
            would be another one in every stack.
    """
    try:
        return template(token).format_map(inputs)
    except KeyError as missing:
        raise NoIdError(f"`{missing.args[0]}` must be given: names are ours to choose") from None


def name_inputs(token: str) -> frozenset[str]:
    """The inputs that make the id; another value of one is another resource."""
    return frozenset(part.partition("}")[0] for part in template(token).split("{")[1:])
