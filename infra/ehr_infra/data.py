"""What must not be lost: the database and the vault."""

from __future__ import annotations

import pulumi
from pulumi_azure_native import dbforpostgresql, keyvault

from ehr_infra.network import VAULT_ZONE, Network
from ehr_infra.observability import Observability
from ehr_infra.place import Place
from ehr_infra.roles import BuiltInRole, PrincipalType, assign

DATABASE = "connector"


class Database(pulumi.ComponentResource):
    """PostgreSQL with an address in the network only, and users of Entra ID only.

    The roles of the connector inside the database are made with SQL, by a member of the admin group.
    """

    host: pulumi.Output[str]
    server_id: pulumi.Output[str]

    def __init__(
        self, place: Place, network: Network, observability: Observability, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ehr:infra:Database", "database", None, opts)
        own = pulumi.ResourceOptions(parent=self)
        settings = place.settings
        day, hour = place.quiet_hour
        size = settings.database
        server = dbforpostgresql.Server(
            "database-server",
            server_name=place.names.unique("database server", "pg"),
            resource_group_name=place.resource_group_name,
            location=place.location,
            version="17",
            sku=dbforpostgresql.SkuArgs(name=size.size, tier=size.tier),
            storage=dbforpostgresql.StorageArgs(storage_size_gb=size.storage_gb, auto_grow="Enabled"),
            backup=dbforpostgresql.BackupArgs(
                backup_retention_days=size.backup_days,
                # The paired region may lie outside the geography.
                geo_redundant_backup="Disabled",
            ),
            availability_zone=settings.zones[0],
            high_availability=dbforpostgresql.HighAvailabilityArgs(
                mode="ZoneRedundant", standby_availability_zone=settings.zones[1]
            )
            if size.zone_redundant
            else dbforpostgresql.HighAvailabilityArgs(mode="Disabled"),
            auth_config=dbforpostgresql.AuthConfigArgs(
                active_directory_auth="Enabled",
                password_auth="Disabled",  # noqa: S106 (a switch, no password)
                tenant_id=settings.tenant_id,
            ),
            network=dbforpostgresql.NetworkArgs(
                delegated_subnet_resource_id=network.database_subnet_id,
                private_dns_zone_arm_resource_id=network.database_zone_id,
                public_network_access="Disabled",
            ),
            maintenance_window=dbforpostgresql.MaintenanceWindowArgs(
                custom_window="Enabled", day_of_week=day, start_hour=hour, start_minute=0
            ),
            tags=place.tags,
            opts=pulumi.ResourceOptions.merge(
                place.kept(self),
                # A failover exchanges the two zones, and going back is nobody's wish.
                pulumi.ResourceOptions(ignore_changes=["availabilityZone", "highAvailability.standbyAvailabilityZone"]),
            ),
        )
        database = dbforpostgresql.Database(
            "database",
            database_name=DATABASE,
            server_name=server.name,
            resource_group_name=place.resource_group_name,
            charset="UTF8",
            collation="en_US.utf8",
            opts=place.kept(self),
        )
        previous: pulumi.Resource = database
        # One after the other: the server refuses a change while another is under way.
        for name, value in (
            ("require_secure_transport", "on"),
            ("ssl_min_protocol_version", "TLSv1.2"),
            ("log_connections", "on"),
            ("log_disconnections", "on"),
        ):
            previous = dbforpostgresql.Configuration(
                f"database-{name}",
                configuration_name=name,
                server_name=server.name,
                resource_group_name=place.resource_group_name,
                source="user-override",
                value=value,
                opts=pulumi.ResourceOptions.merge(own, pulumi.ResourceOptions(depends_on=[previous])),
            )
        dbforpostgresql.AdministratorsMicrosoftEntra(
            "database-administrators",
            object_id=settings.admin_group.object_id,
            principal_name=settings.admin_group.name,
            principal_type="Group",
            tenant_id=settings.tenant_id,
            server_name=server.name,
            resource_group_name=place.resource_group_name,
            opts=pulumi.ResourceOptions.merge(own, pulumi.ResourceOptions(depends_on=[previous])),
        )
        self.server_id = server.id
        self.host = server.fully_qualified_domain_name
        observability.diagnose({"database-server": server.id}, self)
        self.register_outputs({"host": self.host})


class Vault(pulumi.ComponentResource):
    """The Key Vault with the connector's keys; roles alone open it, and it cannot be purged for 90 days.

    Secrets get there by `az keyvault secret set`, never through Pulumi, so that its state holds none.
    """

    id: pulumi.Output[str]
    name: pulumi.Output[str]

    def __init__(
        self, place: Place, network: Network, observability: Observability, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ehr:infra:Vault", "vault", None, opts)
        vault = keyvault.Vault(
            "vault",
            vault_name=place.names.unique_plain("vault", "kv"),
            resource_group_name=place.resource_group_name,
            location=place.location,
            properties=keyvault.VaultPropertiesArgs(
                tenant_id=place.settings.tenant_id,
                sku=keyvault.SkuArgs(family="A", name=keyvault.SkuName.STANDARD),
                enable_rbac_authorization=True,
                enable_soft_delete=True,
                soft_delete_retention_in_days=90,
                enable_purge_protection=True,
                public_network_access="Disabled",
                network_acls=keyvault.NetworkRuleSetArgs(default_action="Deny", bypass="None"),
            ),
            tags=place.tags,
            opts=place.kept(self),
        )
        self.id, self.name = vault.id, vault.name
        assign(
            place,
            "admins-write-secrets",
            role=BuiltInRole.KEY_VAULT_SECRETS_OFFICER,
            principal_id=place.settings.admin_group.object_id,
            principal_type=PrincipalType.GROUP,
            scope=vault.id,
            parent=self,
        )
        network.private_endpoint("vault", vault.id, "vault", VAULT_ZONE, self)
        observability.diagnose({"vault": vault.id}, self)
        self.register_outputs({"name": self.name})
