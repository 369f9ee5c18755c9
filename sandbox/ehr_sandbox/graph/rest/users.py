"""Users and their licenses."""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_URL, uuid5

from starlette.responses import Response
from starlette.routing import Route

from ehr_sandbox.graph.errors import GraphError, bad_request
from ehr_sandbox.graph.licenses import SKUS, ServicePlan
from ehr_sandbox.graph.rest.gate import Call, Gate, graph_json
from ehr_sandbox.graph.world import User

_DENIED = ("Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
_READ = ("User.Read.All", "User.ReadWrite.All", "Directory.Read.All")
_ASSIGNED = "2026-01-05T08:00:00Z"

_DEFAULT_FIELDS = (
    *("businessPhones", "displayName", "givenName", "jobTitle", "mail", "mobilePhone"),
    *("officeLocation", "preferredLanguage", "surname", "userPrincipalName", "id"),
)
"""What is shown when `$select` asks for nothing."""


class Users:
    """The handlers of users."""

    def routes(self, gate: Gate) -> list[Route]:
        """Return the routes."""
        delegated = (*_READ, "User.Read")
        licensed = ("LicenseAssignment.Read.All", *_READ)
        return [
            *gate.routes("GET", "/me", self._get, delegated=delegated, denied=_DENIED),
            *gate.routes("GET", "/users/{user}", self._get, application=_READ, delegated=delegated, denied=_DENIED),
            *gate.routes(
                "GET",
                "/users/{user}/licenseDetails",
                self._licenses,
                application=licensed,
                delegated=licensed,
                denied=_DENIED,
            ),
        ]

    async def _get(self, call: Call) -> Response:
        user = _user_of(call)
        everything = _all_fields(user)
        asked = call.request.query_params.get("$select")
        names = _DEFAULT_FIELDS if asked is None else tuple(name.strip() for name in asked.split(","))
        if unknown := [name for name in names if name not in everything]:
            raise bad_request(f"Could not find a property named '{unknown[0]}' on type 'microsoft.graph.user'.")
        context = f"{call.address}/v1.0/$metadata#users{'' if asked is None else f'({asked})'}/$entity"
        return graph_json({"@odata.context": context, **{name: everything[name] for name in names}})

    async def _licenses(self, call: Call) -> Response:
        user = _user_of(call)
        context = f"{call.address}/v1.0/$metadata#users('{user.id}')/licenseDetails"
        return graph_json({"@odata.context": context, "value": [_license(user, name) for name in user.licenses]})


def is_licensed_for_teams(user: User) -> bool:
    """Tell whether a user has Teams."""
    return "TEAMS1" not in user.disabled_plans and any(
        plan.name == "TEAMS1" for name in user.licenses for plan in SKUS[name].plans
    )


def _user_of(call: Call) -> User:
    wanted = call.request.path_params.get("user")
    user = call.caller.user if wanted is None else call.caller.tenant.user(wanted)
    if user is None:
        raise GraphError(
            404,
            "Request_ResourceNotFound",
            f"Resource '{wanted}' does not exist or one of its queried reference-property objects are not present.",
        )
    return user


def _all_fields(user: User) -> dict[str, Any]:
    given, _, family = user.display_name.partition(" ")
    return {
        "id": user.id,
        "accountEnabled": user.account_enabled,
        "assignedLicenses": [{"disabledPlans": [], "skuId": SKUS[name].id} for name in user.licenses],
        "assignedPlans": [_assigned(user, plan) for name in user.licenses for plan in SKUS[name].plans],
        "businessPhones": [],
        "displayName": user.display_name,
        "givenName": given,
        "jobTitle": None,
        "mail": user.user_principal_name,
        "mobilePhone": None,
        "officeLocation": None,
        "preferredLanguage": None,
        "surname": family or None,
        "userPrincipalName": user.user_principal_name,
        "userType": "Member",
    }


def _assigned(user: User, plan: ServicePlan) -> dict[str, Any]:
    disabled = plan.name in user.disabled_plans
    return {
        "assignedDateTime": _ASSIGNED,
        "capabilityStatus": "Deleted" if disabled else "Enabled",
        "service": plan.service,
        "servicePlanId": plan.id,
    }


def _license(user: User, name: str) -> dict[str, Any]:
    sku = SKUS[name]
    return {
        "id": uuid5(NAMESPACE_URL, f"{user.id}/{name}").hex,
        "skuId": sku.id,
        "skuPartNumber": name,
        "servicePlans": [
            {
                "servicePlanId": plan.id,
                "servicePlanName": plan.name,
                "provisioningStatus": "Disabled" if plan.name in user.disabled_plans else "Success",
                "appliesTo": "User",
            }
            for plan in sku.plans
        ],
    }
