"""The Kubernetes cluster, and what it may do in Azure."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import containerservice, managedidentity, monitor

from ehr_infra.config import NodePool
from ehr_infra.network import Network
from ehr_infra.observability import Observability
from ehr_infra.place import Place
from ehr_infra.roles import BuiltInRole, assign, custom_role

_LOGS = ("kube-audit-admin", "kube-controller-manager", "cluster-autoscaler", "guard")
"""Who changed what, who was let in, and why nodes come and go; all of kube-audit would cost more than the cluster."""

_DAYS = tuple(containerservice.WeekDay)
"""From Sunday on, as `Place.quiet_hour` counts."""
_INSIGHTS = [
    "Microsoft-ContainerLogV2",
    "Microsoft-KubeEvents",
    "Microsoft-KubePodInventory",
    "Microsoft-InsightsMetrics",
]


@dataclass(frozen=True, slots=True)
class ClusterArgs:
    """What the cluster stands on."""

    network: Network
    observability: Observability


class Cluster(pulumi.ComponentResource):
    """AKS without local accounts, whose service accounts are known to Entra ID.

    The nodes of the system pool carry the cluster's own pods; operator and connector run on the work pool.
    """

    name: pulumi.Output[str]
    id: pulumi.Output[str]
    oidc_issuer: pulumi.Output[str]
    kubelet_principal_id: pulumi.Output[str]

    def __init__(self, place: Place, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ehr:infra:Cluster", "cluster", None, opts)
        self._place = place
        self._own = pulumi.ResourceOptions(parent=self)
        identity = managedidentity.UserAssignedIdentity(
            "cluster-identity",
            resource_name_=place.names.of("identity", "aks-id"),
            resource_group_name=place.resource_group_name,
            location=place.location,
            tags=place.tags,
            opts=self._own,
        )
        joins = self._joins(identity, args.network)
        cluster = self._cluster(args, identity, joins)
        self.name, self.id = cluster.name, cluster.id
        self.oidc_issuer = cluster.oidc_issuer_profile.apply(lambda profile: profile.issuer_url if profile else "")
        self.kubelet_principal_id = cluster.identity_profile.apply(
            lambda profile: (profile or {})["kubeletidentity"].object_id or ""
        )
        self._work_pool(cluster, args.network)
        self._maintenance(cluster)
        self._container_logs(cluster, args.observability)
        args.observability.diagnose({"cluster": cluster.id}, self, _LOGS)
        self.register_outputs({"name": self.name, "oidcIssuer": self.oidc_issuer})

    def _joins(self, identity: managedidentity.UserAssignedIdentity, network: Network) -> pulumi.Resource:
        """The cluster puts its nodes and load balancers into our subnet; of the network it may do no more."""
        role = custom_role(
            self._place,
            "join-network",
            "Put the nodes of a cluster into a subnet",
            [
                "Microsoft.Network/virtualNetworks/subnets/read",
                "Microsoft.Network/virtualNetworks/subnets/join/action",
                "Microsoft.Network/natGateways/join/action",
            ],
            self,
        )
        return assign(
            self._place,
            "cluster-joins-network",
            role=role.id,
            principal_id=identity.principal_id,
            scope=self._place.resource_group_id,
            parent=self,
        )

    def _cluster(
        self, args: ClusterArgs, identity: managedidentity.UserAssignedIdentity, joins: pulumi.Resource
    ) -> containerservice.ManagedCluster:
        place, settings, plan = self._place, self._place.settings, args.network.plan
        return containerservice.ManagedCluster(
            "cluster",
            resource_name_=place.names.of("cluster", "aks"),
            resource_group_name=place.resource_group_name,
            location=place.location,
            dns_prefix=f"{place.names.prefix}-{place.names.stack}",
            node_resource_group=place.names.of("resource group", "nodes-rg"),
            kubernetes_version=settings.kubernetes_version,
            sku=containerservice.ManagedClusterSKUArgs(name="Base", tier="Standard"),
            identity=containerservice.ManagedClusterIdentityArgs(
                type=containerservice.ResourceIdentityType.USER_ASSIGNED, user_assigned_identities=[identity.id]
            ),
            enable_rbac=True,
            disable_local_accounts=True,
            aad_profile=containerservice.ManagedClusterAADProfileArgs(
                managed=True,
                enable_azure_rbac=True,
                tenant_id=settings.tenant_id,
                admin_group_object_ids=[settings.admin_group.object_id],
            ),
            oidc_issuer_profile=containerservice.ManagedClusterOIDCIssuerProfileArgs(enabled=True),
            security_profile=self._security(args.observability),
            api_server_access_profile=_access(place, args.network),
            network_profile=containerservice.ContainerServiceNetworkProfileArgs(
                network_plugin="azure",
                network_plugin_mode="overlay",
                network_dataplane="cilium",
                network_policy="cilium",
                pod_cidr=str(plan.pods),
                service_cidr=str(plan.services),
                dns_service_ip=plan.dns_service_ip,
                load_balancer_sku="standard",
                outbound_type="userAssignedNATGateway",
            ),
            agent_pool_profiles=[_system_pool(place, args.network)],
            auto_upgrade_profile=containerservice.ManagedClusterAutoUpgradeProfileArgs(
                upgrade_channel="patch", node_os_upgrade_channel="NodeImage"
            ),
            addon_profiles={
                "azurepolicy": containerservice.ManagedClusterAddonProfileArgs(enabled=True),
                "azureKeyvaultSecretsProvider": containerservice.ManagedClusterAddonProfileArgs(
                    enabled=True, config={"enableSecretRotation": "true", "rotationPollInterval": "2m"}
                ),
                "omsagent": containerservice.ManagedClusterAddonProfileArgs(
                    enabled=True,
                    config={
                        "logAnalyticsWorkspaceResourceID": args.observability.workspace_id,
                        "useAADAuth": "true",
                    },
                ),
            },
            tags=place.tags,
            opts=pulumi.ResourceOptions.merge(
                self._own,
                # AKS moves within the minor version on its own (upgrade channel "patch"), and so does the autoscaler's count.
                pulumi.ResourceOptions(depends_on=[joins], ignore_changes=["agentPoolProfiles[0].count"]),
            ),
        )

    def _security(self, observability: Observability) -> containerservice.ManagedClusterSecurityProfileArgs:
        defender = containerservice.ManagedClusterSecurityProfileDefenderArgs(
            log_analytics_workspace_resource_id=observability.workspace_id,
            security_monitoring=containerservice.ManagedClusterSecurityProfileDefenderSecurityMonitoringArgs(
                enabled=True
            ),
        )
        return containerservice.ManagedClusterSecurityProfileArgs(
            workload_identity=containerservice.ManagedClusterSecurityProfileWorkloadIdentityArgs(enabled=True),
            image_cleaner=containerservice.ManagedClusterSecurityProfileImageCleanerArgs(
                enabled=True, interval_hours=168
            ),
            defender=defender if self._place.settings.defender else None,
        )

    def _work_pool(self, cluster: containerservice.ManagedCluster, network: Network) -> None:
        place, pool = self._place, self._place.settings.work_nodes
        containerservice.AgentPool(
            "work-nodes",
            agent_pool_name="work",
            resource_name_=cluster.name,
            resource_group_name=place.resource_group_name,
            mode="User",
            type="VirtualMachineScaleSets",
            # Without it the nodes would stay at the minor version that they were made with.
            orchestrator_version=place.settings.kubernetes_version,
            vm_size=pool.size,
            os_type="Linux",
            os_sku="AzureLinux",
            count=pool.min_count,
            min_count=pool.min_count,
            max_count=pool.max_count,
            enable_auto_scaling=True,
            availability_zones=list(place.settings.zones),
            vnet_subnet_id=network.nodes_subnet_id,
            tags=place.tags,
            # The autoscaler owns the count once the pool is there.
            opts=pulumi.ResourceOptions.merge(self._own, pulumi.ResourceOptions(ignore_changes=["count"])),
        )

    def _maintenance(self, cluster: containerservice.ManagedCluster) -> None:
        """AKS takes new patches and node images by itself, which moves every pod: at night, when nobody has a visit."""
        place = self._place
        day, hour = place.quiet_hour
        for name in ("aksManagedAutoUpgradeSchedule", "aksManagedNodeOSUpgradeSchedule"):
            containerservice.MaintenanceConfiguration(
                name,
                config_name=name,
                resource_name_=cluster.name,
                resource_group_name=place.resource_group_name,
                maintenance_window=containerservice.MaintenanceWindowArgs(
                    schedule=containerservice.ScheduleArgs(
                        weekly=containerservice.WeeklyScheduleArgs(day_of_week=_DAYS[day], interval_weeks=1)
                    ),
                    start_time=f"{hour:02}:00",
                    duration_hours=4,
                    utc_offset="+00:00",
                ),
                opts=self._own,
            )

    def _container_logs(self, cluster: containerservice.ManagedCluster, observability: Observability) -> None:
        place = self._place
        rule = monitor.DataCollectionRule(
            "container-logs",
            data_collection_rule_name=place.names.of("any", "container-logs"),
            resource_group_name=place.resource_group_name,
            location=place.location,
            kind="Linux",
            data_sources=monitor.DataCollectionRuleDataSourcesArgs(
                extensions=[
                    monitor.ExtensionDataSourceArgs(
                        name="ContainerInsightsExtension",
                        extension_name="ContainerInsights",
                        streams=list(_INSIGHTS),
                        extension_settings={
                            "dataCollectionSettings": {
                                "interval": "1m",
                                "namespaceFilteringMode": "Off",
                                "enableContainerLogV2": True,
                            }
                        },
                    )
                ]
            ),
            destinations=monitor.DataCollectionRuleDestinationsArgs(
                log_analytics=[
                    monitor.LogAnalyticsDestinationArgs(
                        name="workspace", workspace_resource_id=observability.workspace_id
                    )
                ]
            ),
            data_flows=[monitor.DataFlowArgs(streams=list(_INSIGHTS), destinations=["workspace"])],
            tags=place.tags,
            opts=self._own,
        )
        monitor.DataCollectionRuleAssociation(
            "container-logs-of-cluster",
            association_name="ContainerInsightsExtension",
            resource_uri=cluster.id,
            data_collection_rule_id=rule.id,
            opts=self._own,
        )

    def may_pull(self, registry_id: pulumi.Input[str]) -> None:
        """Let the nodes pull images from a registry."""
        assign(
            self._place,
            "nodes-pull-images",
            role=BuiltInRole.ACR_PULL,
            principal_id=self.kubelet_principal_id,
            scope=registry_id,
            parent=self,
        )


def _access(place: Place, network: Network) -> containerservice.ManagedClusterAPIServerAccessProfileArgs:
    settings = place.settings
    if settings.api_server_access == "Private":
        return containerservice.ManagedClusterAPIServerAccessProfileArgs(
            enable_private_cluster=True, enable_private_cluster_public_fqdn=False, private_dns_zone="system"
        )
    return containerservice.ManagedClusterAPIServerAccessProfileArgs(
        # The nodes come to a public API server by our own way out, which AKS does not know of.
        authorized_ip_ranges=[
            *(str(ranged) for ranged in settings.authorized_ranges),
            network.outbound_address.apply(lambda address: f"{address}/32"),
        ]
    )


def _system_pool(place: Place, network: Network) -> containerservice.ManagedClusterAgentPoolProfileArgs:
    pool: NodePool = place.settings.system_nodes
    return containerservice.ManagedClusterAgentPoolProfileArgs(
        name="system",
        mode="System",
        type="VirtualMachineScaleSets",
        orchestrator_version=place.settings.kubernetes_version,
        vm_size=pool.size,
        os_type="Linux",
        os_sku="AzureLinux",
        count=pool.min_count,
        min_count=pool.min_count,
        max_count=pool.max_count,
        enable_auto_scaling=True,
        availability_zones=list(place.settings.zones),
        vnet_subnet_id=network.nodes_subnet_id,
        node_taints=["CriticalAddonsOnly=true:NoSchedule"],
    )
