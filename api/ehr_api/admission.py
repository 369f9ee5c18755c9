"""Admission policies: who may write what, decided by the API server without a webhook server of ours."""

from __future__ import annotations

from typing import Any

from ehr_api.meta import FORCE_PROMOTION, GROUP, VERSION

OPERATOR = "system:serviceaccount:ehr-system:ehr-operator"
"""The identity of the operator as deploy/base installs it."""


PROMOTE = "promote"
"""The verb on fhirendpoints that lets somebody promote without evidence; deploy/base gives it to approvers."""

_LABELS = {"app.kubernetes.io/part-of": "teams-ehr-connector"}


def admission_policies() -> list[dict[str, Any]]:
    """Return the ValidatingAdmissionPolicies and their bindings.

    Deleting an IntegrationRecord stays possible for those whom RBAC lets: the garbage collector and the namespace
    controller must, and a record that is gone is written again at once.
    """
    return [
        *_policy(
            f"integration-records.{GROUP}",
            "integrationrecords",
            f"request.userInfo.username == '{OPERATOR}' || (oldObject != null && object.spec == oldObject.spec)",
            "IntegrationRecords are written by the operator alone: change the FhirEndpoint or the EHRConnectorConfig that"
            " the record comes from",
        ),
        *_policy(
            f"forced-promotion.{GROUP}",
            "fhirendpoints",
            f"{_annotation('object')} == '' || (oldObject != null && {_annotation('object')} == {_annotation('oldObject')})"
            f" || authorizer.group('{GROUP}').resource('fhirendpoints').namespace(request.namespace)"
            f".check('{PROMOTE}').allowed()",
            f"to promote without evidence ({FORCE_PROMOTION}) takes the verb '{PROMOTE}' on fhirendpoints: ask an approver"
            " (ClusterRole ehr-approver)",
        ),
    ]


def _annotation(place: str) -> str:
    """Return the CEL expression for the reason of a forced promotion; empty where there is none."""
    return f"{place}.metadata.?annotations['{FORCE_PROMOTION}'].orValue('')"


def _policy(name: str, resource: str, expression: str, message: str) -> list[dict[str, Any]]:
    """Return a policy of one rule about creations and changes of a resource of ours, and its binding."""
    policy: dict[str, Any] = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name, "labels": _LABELS},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": [GROUP],
                        "apiVersions": [VERSION],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": [resource],
                    }
                ]
            },
            "validations": [{"expression": expression, "message": message, "reason": "Forbidden"}],
        },
    }
    binding: dict[str, Any] = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name, "labels": _LABELS},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    return [policy, binding]
