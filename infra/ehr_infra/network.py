"""The virtual network: subnets with their rules, one way out, and names of private endpoints."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
from pulumi_azure_native import network, privatedns

from ehr_infra.addresses import AddressPlan
from ehr_infra.place import Place

VAULT_ZONE = "privatelink.vaultcore.azure.net"
REGISTRY_ZONE = "privatelink.azurecr.io"
QUEUE_ZONE = "privatelink.queue.core.windows.net"


class Network(pulumi.ComponentResource):
    """One network for the cluster, the database and the private endpoints.

    Everything leaves through one address, so that a hospital's firewall can name it. Nothing comes in but through the
    load balancer of the cluster's ingress.
    """

    nodes_subnet_id: pulumi.Output[str]
    database_subnet_id: pulumi.Output[str]
    endpoints_subnet_id: pulumi.Output[str]
    database_zone_id: pulumi.Output[str]
    outbound_address: pulumi.Output[str]
    diagnosable: Mapping[str, pulumi.Output[str]]
    rule_ids: Mapping[str, pulumi.Output[str]]

    def __init__(self, place: Place, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ehr:infra:Network", "network", None, opts)
        self._place = place
        self._own = pulumi.ResourceOptions(parent=self)
        self.plan = AddressPlan.of(place.settings.address_space)
        address, gateway = self._way_out()
        self.outbound_address = address.ip_address.apply(lambda ip: ip or "")
        inner_rules = self._rules("private", [*_to_private(self.plan), _DENIED])
        node_rules = self._rules("nodes", [_WEB])
        self._network = network.VirtualNetwork(
            "vnet",
            virtual_network_name=place.names.of("virtual network", "vnet"),
            resource_group_name=place.resource_group_name,
            location=place.location,
            address_space=network.AddressSpaceArgs(address_prefixes=[str(place.settings.address_space)]),
            # In the network itself: subnets made one by one wait for each other, and a late one loses its rules.
            subnets=[
                network.SubnetArgs(
                    name="nodes",
                    address_prefix=str(self.plan.nodes),
                    default_outbound_access=False,
                    nat_gateway=network.SubResourceArgs(id=gateway.id),
                    network_security_group=network.NetworkSecurityGroupArgs(id=node_rules.id),
                ),
                network.SubnetArgs(
                    name="database",
                    address_prefix=str(self.plan.database),
                    default_outbound_access=False,
                    network_security_group=network.NetworkSecurityGroupArgs(id=inner_rules.id),
                    delegations=[
                        network.DelegationArgs(
                            name="postgresql", service_name="Microsoft.DBforPostgreSQL/flexibleServers"
                        )
                    ],
                ),
                network.SubnetArgs(
                    name="endpoints",
                    address_prefix=str(self.plan.endpoints),
                    default_outbound_access=False,
                    network_security_group=network.NetworkSecurityGroupArgs(id=inner_rules.id),
                    private_endpoint_network_policies="Enabled",
                ),
            ],
            tags=place.tags,
            opts=self._own,
        )
        self.nodes_subnet_id = self._subnet_id("nodes")
        self.database_subnet_id = self._subnet_id("database")
        self.endpoints_subnet_id = self._subnet_id("endpoints")
        database_zone = f"{place.names.prefix}-{place.names.stack}.private.postgres.database.azure.com"
        self._zone_ids = {zone: self._zone(zone) for zone in (database_zone, VAULT_ZONE, REGISTRY_ZONE, QUEUE_ZONE)}
        self.database_zone_id = self._zone_ids[database_zone]
        self.diagnosable = {"vnet": self._network.id, "outbound-address": address.id}
        self.rule_ids = {"rules-nodes": node_rules.id, "rules-private": inner_rules.id}
        self.register_outputs({"outboundAddress": self.outbound_address})

    def private_endpoint(
        self, name: str, target_id: pulumi.Input[str], group: str, zone: str, parent: pulumi.Resource
    ) -> network.PrivateEndpoint:
        """Give a service an address inside the network, under its public name."""
        place, own = self._place, pulumi.ResourceOptions(parent=parent)
        endpoint_name = place.names.of("any", f"{name}-pe")
        endpoint = network.PrivateEndpoint(
            f"{name}-endpoint",
            private_endpoint_name=endpoint_name,
            resource_group_name=place.resource_group_name,
            location=place.location,
            subnet=network.SubnetArgs(id=self.endpoints_subnet_id),
            custom_network_interface_name=f"{endpoint_name}-nic",
            private_link_service_connections=[
                network.PrivateLinkServiceConnectionArgs(
                    name=name, group_ids=[group], private_link_service_id=target_id
                )
            ],
            tags=place.tags,
            opts=own,
        )
        network.PrivateDnsZoneGroup(
            f"{name}-endpoint-name",
            private_dns_zone_group_name="default",
            private_endpoint_name=endpoint.name,
            resource_group_name=place.resource_group_name,
            private_dns_zone_configs=[
                network.PrivateDnsZoneConfigArgs(name=group, private_dns_zone_id=self._zone_ids[zone])
            ],
            opts=own,
        )
        return endpoint

    def _way_out(self) -> tuple[network.PublicIPAddress, network.NatGateway]:
        place = self._place
        address = network.PublicIPAddress(
            "outbound-address",
            public_ip_address_name=place.names.of("any", "out-ip"),
            resource_group_name=place.resource_group_name,
            location=place.location,
            sku=network.PublicIPAddressSkuArgs(name="Standard"),
            public_ip_allocation_method="Static",
            zones=list(place.settings.zones),
            tags=place.tags,
            # Hospitals put this address into their firewalls.
            opts=place.kept(self),
        )
        gateway = network.NatGateway(
            "nat",
            nat_gateway_name=place.names.of("any", "nat"),
            resource_group_name=place.resource_group_name,
            location=place.location,
            sku=network.NatGatewaySkuArgs(name="Standard"),
            public_ip_addresses=[network.SubResourceArgs(id=address.id)],
            idle_timeout_in_minutes=10,
            tags=place.tags,
            opts=self._own,
        )
        return address, gateway

    def _rules(self, name: str, rules: list[network.SecurityRuleArgs]) -> network.NetworkSecurityGroup:
        place = self._place
        return network.NetworkSecurityGroup(
            f"rules-{name}",
            network_security_group_name=place.names.of("any", f"{name}-nsg"),
            resource_group_name=place.resource_group_name,
            location=place.location,
            security_rules=rules,
            tags=place.tags,
            opts=self._own,
        )

    def _subnet_id(self, name: str) -> pulumi.Output[str]:
        return pulumi.Output.concat(self._network.id, "/subnets/", name)

    def _zone(self, zone_name: str) -> pulumi.Output[str]:
        place = self._place
        zone = privatedns.PrivateZone(
            f"zone-{zone_name}",
            private_zone_name=zone_name,
            resource_group_name=place.resource_group_name,
            location="global",
            tags=place.tags,
            opts=self._own,
        )
        link = privatedns.VirtualNetworkLink(
            f"zone-{zone_name}-link",
            virtual_network_link_name="vnet",
            private_zone_name=zone.name,
            resource_group_name=place.resource_group_name,
            location="global",
            registration_enabled=False,
            virtual_network=privatedns.SubResourceArgs(id=self._network.id),
            tags=place.tags,
            opts=self._own,
        )
        # Whoever uses the zone waits for the link, without which its names mean nothing in the network.
        return pulumi.Output.all(zone.id, link.id).apply(lambda ids: str(ids[0]))


def _rule(name: str, priority: int, access: str, source: str, ports: list[str]) -> network.SecurityRuleArgs:
    return network.SecurityRuleArgs(
        name=name,
        priority=priority,
        direction="Inbound",
        access=access,
        protocol="Tcp" if access == "Allow" else "*",
        source_address_prefix=source,
        source_port_range="*",
        destination_address_prefix="*",
        destination_port_ranges=ports,
    )


def _to_private(plan: AddressPlan) -> list[network.SecurityRuleArgs]:
    return [
        _rule("from-nodes", 100, "Allow", str(plan.nodes), ["443", "5432", "6432"]),
        # PostgreSQL and its stand-by speak to each other inside their subnet.
        _rule("within-database", 110, "Allow", str(plan.database), ["5432", "6432"]),
    ]


_WEB = _rule("web", 100, "Allow", "Internet", ["80", "443"])
_DENIED = _rule("nothing-else", 4000, "Deny", "*", ["0-65535"])
