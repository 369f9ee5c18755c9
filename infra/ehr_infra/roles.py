"""Roles and their assignments, named by GUIDs that are the same on every run."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import pulumi
from pulumi_azure_native import authorization

from ehr_infra.place import Place


class PrincipalType(StrEnum):
    """What kind of principal a role is given to; named, Azure does not look for a principal that was only just made."""

    SERVICE_PRINCIPAL = "ServicePrincipal"
    GROUP = "Group"


class BuiltInRole(StrEnum):
    """Azure's own roles that are used, by id (learn.microsoft.com/azure/role-based-access-control/built-in-roles)."""

    ACR_PULL = "7f951dda-4ed3-4680-a7ca-43fe172d538d"
    KEY_VAULT_SECRETS_USER = "4633458b-17de-408a-b874-0445c86b69e6"
    KEY_VAULT_SECRETS_OFFICER = "b86a8fe4-44ce-4948-aee5-eccb2c155cd7"
    QUEUE_MESSAGE_SENDER = "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a"
    QUEUE_MESSAGE_PROCESSOR = "8a0f0c08-91a1-4084-bc3d-661d67233fed"
    BLOB_DATA_CONTRIBUTOR = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"


def custom_role(
    place: Place, name: str, description: str, actions: Sequence[str], parent: pulumi.Resource
) -> authorization.RoleDefinition:
    """A role of ours, with these actions alone, that can be given within the stack's resource group."""
    return authorization.RoleDefinition(
        f"role-{name}",
        role_definition_id=place.names.id("role", name),
        # A tenant has one role of a name.
        role_name=f"{place.names.prefix}-{place.names.stack}-{name}-{place.names.digest}",
        role_type="CustomRole",
        description=description,
        scope=place.resource_group_id,
        assignable_scopes=[place.resource_group_id],
        permissions=[
            authorization.PermissionArgs(actions=list(actions), not_actions=[], data_actions=[], not_data_actions=[])
        ],
        opts=pulumi.ResourceOptions(parent=parent),
    )


def assign(
    place: Place,
    name: str,
    *,
    role: BuiltInRole | pulumi.Output[str],
    principal_id: pulumi.Input[str],
    scope: pulumi.Input[str],
    parent: pulumi.Resource,
    principal_type: PrincipalType = PrincipalType.SERVICE_PRINCIPAL,
) -> authorization.RoleAssignment:
    """Give a principal a role on one scope."""
    definition = role if isinstance(role, pulumi.Output) else _definition(place, role)
    return authorization.RoleAssignment(
        f"{name}-may",
        role_assignment_name=place.names.id("assignment", name),
        role_definition_id=definition,
        principal_id=principal_id,
        principal_type=principal_type.value,
        scope=scope,
        opts=pulumi.ResourceOptions(parent=parent),
    )


def _definition(place: Place, role: BuiltInRole) -> pulumi.Output[str]:
    """The id as Azure gives it back; the shorter form without a subscription would look changed on every run."""

    def within(resource_group_id: str) -> str:
        subscription = "/".join(resource_group_id.split("/")[:3])
        return f"{subscription}/providers/Microsoft.Authorization/roleDefinitions/{role.value}"

    return place.resource_group_id.apply(within)
