"""Admission policies: who may write what, decided by the API server without a webhook server of ours."""

from __future__ import annotations

from typing import Any

from ehr_api.meta import ACKNOWLEDGED_BY, ACKNOWLEDGED_DIGEST, FORCE_PROMOTION, GROUP, VERSION

OPERATOR = "system:serviceaccount:ehr-system:ehr-operator"
"""The identity of the operator as deploy/base installs it."""
PROMOTE = "promote"
"""The verb on fhirendpoints that lets somebody promote without evidence; deploy/base gives it to approvers."""
CONSENT = "consent"
"""The verb on ehrconnectorconfigs that lets somebody state the organisation's consents; deploy/base gives it to authors."""
ACKNOWLEDGE = "acknowledge"
"""The verb on integrationrecords that lets somebody state to have copied one; deploy/base gives it to acknowledgers."""

_LABELS = {"app.kubernetes.io/part-of": "teams-ehr-connector"}
_BREAK_GLASS = "'system:masters' in request.userInfo.groups"
"""Whoever has an administrator's certificate could remove the policy too, and on a bad day must repair a status."""


def admission_policies() -> list[dict[str, Any]]:
    """Return the ValidatingAdmissionPolicies and their bindings.

    Deleting an IntegrationRecord stays possible for those whom RBAC lets: the garbage collector and the namespace
    controller must, and a record that is gone is written again at once.
    """
    return [
        *_policy(
            f"integration-records.{GROUP}",
            "integrationrecords",
            f"{_IS_OPERATOR} || (oldObject != null && object.spec == oldObject.spec)",
            "IntegrationRecords are written by the operator alone: change the FhirEndpoint or the EHRConnectorConfig that"
            " the record comes from",
        ),
        *_policy(
            f"status.{GROUP}",
            "*/status",
            f"{_IS_OPERATOR} || {_BREAK_GLASS}",
            "status is written by the operator alone: change the spec, or ask for a look with the annotation"
            f" {GROUP}/requestedAt",
        ),
        *_policy(
            f"forced-promotion.{GROUP}",
            "fhirendpoints",
            f"{_annotation('object', FORCE_PROMOTION)} == '' || {_unchanged(FORCE_PROMOTION)}"
            f" || {_may(PROMOTE, 'fhirendpoints')}",
            f"to promote without evidence ({FORCE_PROMOTION}) takes the verb '{PROMOTE}' on fhirendpoints: ask an approver"
            " (ClusterRole ehr-approver)",
        ),
        *_policy(
            f"consent.{GROUP}",
            "ehrconnectorconfigs",
            f"object.spec.?smsNotifications.?consent == (oldObject == null ? {_NONE} : oldObject.spec.?smsNotifications"
            f".?consent) || {_may(CONSENT, 'ehrconnectorconfigs')}",
            f"to change smsNotifications.consent takes the verb '{CONSENT}' on ehrconnectorconfigs: ask an author of the"
            " organisation (ClusterRole ehr-author)",
        ),
        *_acknowledgement(),
    ]


_IS_OPERATOR = f"request.userInfo.username == '{OPERATOR}'"
_NONE = "optional.none()"


def _acknowledgement() -> list[dict[str, Any]]:
    """Return the policy on the two annotations of an acknowledgement.

    A controller never learns who wrote an annotation. Here the API server knows, so it binds the name to the person.
    """
    digest, by = (_annotation("object", name) for name in (ACKNOWLEDGED_DIGEST, ACKNOWLEDGED_BY))
    same = f"({_unchanged(ACKNOWLEDGED_DIGEST)} && {_unchanged(ACKNOWLEDGED_BY)})"
    withdrawn = f"({digest} == '' && {by} == '')"
    nothing_new = f"(oldObject == null && {withdrawn}) || {same}"
    policy, binding = _policy(
        f"record-acknowledgement.{GROUP}",
        "integrationrecords",
        f"{nothing_new} || {_may(ACKNOWLEDGE, 'integrationrecords')}",
        f"to acknowledge a record takes the verb '{ACKNOWLEDGE}' on integrationrecords: ask somebody with the ClusterRole"
        " ehr-acknowledger",
    )
    policy["spec"]["validations"] += [
        {
            "expression": f"{nothing_new} || {withdrawn} || {by} == request.userInfo.username",
            "messageExpression": f"'{ACKNOWLEDGED_BY} must be your own name, ' + request.userInfo.username",
            "message": f"{ACKNOWLEDGED_BY} must be your own name",
            "reason": "Forbidden",
        },
        {
            "expression": f"{nothing_new} || {withdrawn} || {digest} == object.spec.digest",
            "messageExpression": f"'{ACKNOWLEDGED_DIGEST} must be the digest of the record as it is now, ' + object.spec.digest"
            " + ': compare what was copied with the record again'",
            "message": f"{ACKNOWLEDGED_DIGEST} must be the digest of the record as it is now",
            "reason": "Invalid",
        },
    ]
    return [policy, binding]


def _annotation(place: str, name: str) -> str:
    """Return the CEL expression for an annotation; empty where there is none."""
    return f"{place}.metadata.?annotations['{name}'].orValue('')"


def _unchanged(name: str) -> str:
    return f"(oldObject != null && {_annotation('object', name)} == {_annotation('oldObject', name)})"


def _may(verb: str, resource: str) -> str:
    """Return the CEL expression for whether RBAC gives the person this verb in the namespace."""
    return f"authorizer.group('{GROUP}').resource('{resource}').namespace(request.namespace).check('{verb}').allowed()"


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
