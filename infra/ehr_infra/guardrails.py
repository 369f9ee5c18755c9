"""What Azure itself holds everybody to in the resource group, also those who do not go through this program."""

from __future__ import annotations

import pulumi
from pulumi_azure_native import authorization

from ehr_infra.geography import EVERYWHERE, TERRITORIES
from ehr_infra.place import Place

_DEFINITIONS = "/providers/Microsoft.Authorization/"
_ALLOWED_LOCATIONS = _DEFINITIONS + "policyDefinitions/e56962a6-4747-49cd-b67b-bf8b01975c4c"
_RESTRICTED_PODS = _DEFINITIONS + "policySetDefinitions/42b8ef37-b724-4e24-bbc8-7a7708edfe00"
"""Azure's own definitions: "Allowed locations", and "Kubernetes cluster pod security restricted standards"."""


class Guardrails(pulumi.ComponentResource):
    """Policies: nothing outside the geography; pods below the restricted profile are reported.

    Reported, and not refused: AKS brings pods of its own, and in our namespace the API server refuses already.
    """

    def __init__(self, place: Place, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ehr:infra:Guardrails", "guardrails", None, opts)
        self._place = place
        regions = TERRITORIES[place.settings.geography].regions
        self._assign(
            "inside-geography",
            "Patients' data stays in its geography",
            _ALLOWED_LOCATIONS,
            {"listOfAllowedLocations": authorization.ParameterValuesValueArgs(value=[*regions, EVERYWHERE])},
        )
        self._assign(
            "restricted-pods",
            "Pods keep to the restricted profile",
            _RESTRICTED_PODS,
            {"effect": authorization.ParameterValuesValueArgs(value="Audit")},
        )
        self.register_outputs({})

    def _assign(
        self,
        name: str,
        display_name: str,
        definition: str,
        parameters: dict[str, authorization.ParameterValuesValueArgs],
    ) -> None:
        authorization.PolicyAssignment(
            name,
            policy_assignment_name=self._place.names.of("any", name),
            display_name=display_name,
            policy_definition_id=definition,
            scope=self._place.resource_group_id,
            enforcement_mode="Default",
            parameters=parameters,
            opts=pulumi.ResourceOptions(parent=self),
        )
