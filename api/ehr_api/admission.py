"""Admission policies: who may write what, decided by the API server without a webhook server of ours."""

from __future__ import annotations

from typing import Any

from ehr_api.meta import GROUP, VERSION

OPERATOR = "system:serviceaccount:ehr-system:ehr-operator"
"""The identity of the operator as deploy/base installs it."""


def admission_policies() -> list[dict[str, Any]]:
    """Return the ValidatingAdmissionPolicies and their bindings.

    Deleting an IntegrationRecord stays possible for those whom RBAC lets: the garbage collector and the namespace
    controller must, and a record that is gone is written again at once.
    """
    name = f"integration-records.{GROUP}"
    labels = {"app.kubernetes.io/part-of": "teams-ehr-connector"}
    policy: dict[str, Any] = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": [GROUP],
                        "apiVersions": [VERSION],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": ["integrationrecords"],
                    }
                ]
            },
            "validations": [
                {
                    "expression": (
                        f"request.userInfo.username == '{OPERATOR}'"
                        " || (oldObject != null && object.spec == oldObject.spec)"
                    ),
                    "message": (
                        "IntegrationRecords are written by the operator alone: change the FhirEndpoint or the"
                        " EHRConnectorConfig that the record comes from"
                    ),
                    "reason": "Forbidden",
                }
            ],
        },
    }
    binding: dict[str, Any] = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name, "labels": labels},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    return [policy, binding]
