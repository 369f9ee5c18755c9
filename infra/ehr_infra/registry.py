"""The registry that images are imported into, so that no pod waits for somebody else's."""

from __future__ import annotations

import pulumi
from pulumi_azure_native import containerregistry

from ehr_infra.network import REGISTRY_ZONE, Network
from ehr_infra.observability import Observability
from ehr_infra.place import Place


class Registry(pulumi.ComponentResource):
    """A container registry without an admin user; private unless ranges may push to it."""

    id: pulumi.Output[str]
    login_server: pulumi.Output[str]

    def __init__(
        self, place: Place, network: Network, observability: Observability, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ehr:infra:Registry", "registry", None, opts)
        ranges = place.settings.registry_ranges
        registry = containerregistry.Registry(
            "registry",
            registry_name=place.names.unique_plain("registry", "acr"),
            resource_group_name=place.resource_group_name,
            location=place.location,
            # The first tier with private endpoints.
            sku=containerregistry.SkuArgs(name="Premium"),
            admin_user_enabled=False,
            anonymous_pull_enabled=False,
            zone_redundancy="Enabled",
            public_network_access="Enabled" if ranges else "Disabled",
            network_rule_bypass_options="AzureServices",
            network_rule_set=containerregistry.NetworkRuleSetArgs(
                default_action="Deny",
                ip_rules=[
                    containerregistry.IPRuleArgs(action="Allow", i_p_address_or_range=str(network_range))
                    for network_range in ranges
                ],
            ),
            tags=place.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.id, self.login_server = registry.id, registry.login_server
        network.private_endpoint("registry", registry.id, "registry", REGISTRY_ZONE, self)
        observability.diagnose({"registry": registry.id}, self)
        self.register_outputs({"loginServer": self.login_server})
