"""The control plane does what a real cluster does, as far as our resources need it."""

from __future__ import annotations

import json
import ssl
import uuid
from pathlib import Path

import httpx
import pytest
from cluster.control_plane.kubectl import Kubectl
from cluster.waiting import eventually
from joserfc import jwt
from joserfc.jwk import KeySet

from ehr_sandbox.control_plane.admin_api import ApiError
from ehr_sandbox.control_plane.binaries import KUBERNETES_VERSION
from ehr_sandbox.control_plane.cluster import ControlPlane

POLICY = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: {name}}}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
    - {{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}}
  validations:
  - expression: "!has(object.data) || !('forbidden' in object.data)"
    message: "`data.forbidden` must not be set"
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{name: {name}}}
spec:
  policyName: {name}
  validationActions: [Deny]
  matchResources:
    namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {namespace}}}}}
"""


def test_the_api_server_is_ready_and_of_the_pinned_version(control_plane: ControlPlane, kubectl: Kubectl) -> None:
    versions = json.loads(kubectl.ok("version", "--output=json"))

    assert kubectl.ok("get", "--raw", "/readyz") == "ok"
    assert {versions[side]["gitVersion"] for side in ("clientVersion", "serverVersion")} == {f"v{KUBERNETES_VERSION}"}
    assert control_plane.server_url.startswith("https://127.0.0.1:")


def test_the_deletion_of_a_namespace_completes_with_what_is_in_it(kubectl: Kubectl) -> None:
    name = f"doomed-{uuid.uuid4().hex[:8]}"
    kubectl.ok("create", "namespace", name)
    kubectl.ok("create", "configmap", "content", f"--namespace={name}")

    kubectl.ok("delete", "namespace", name, "--wait=true", "--timeout=60s")

    assert "NotFound" in kubectl("get", "namespace", name).stderr


def test_what_a_deleted_owner_owned_is_garbage_collected(kubectl: Kubectl) -> None:
    kubectl.ok("create", "configmap", "owner")
    uid = kubectl.ok("get", "configmap", "owner", "--output=jsonpath={.metadata.uid}")
    owned = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "owned",
            "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}],
        },
    }
    kubectl.ok("create", "--filename=-", stdin=json.dumps(owned))

    kubectl.ok("delete", "configmap", "owner")

    assert eventually(lambda: "NotFound" in kubectl("get", "configmap", "owned").stderr)


def test_a_validating_admission_policy_refuses_with_its_message(kubectl: Kubectl, namespace: str) -> None:
    name = f"policy-{namespace}"
    kubectl.ok("create", "--filename=-", stdin=POLICY.format(name=name, namespace=namespace))

    try:
        # The API server takes a new policy up some time after it was stored, so the first tries may pass.
        refused = eventually(
            lambda: (
                "`data.forbidden` must not be set"
                in kubectl("create", "configmap", uuid.uuid4().hex, "--from-literal=forbidden=1").stderr
            )
        )

        assert refused
        kubectl.ok("create", "configmap", "allowed", "--from-literal=other=1")
    finally:
        kubectl.ok("delete", "validatingadmissionpolicy,validatingadmissionpolicybinding", name)


async def test_a_service_account_token_validates_against_the_published_keys(
    control_plane: ControlPlane, kubectl: Kubectl, namespace: str
) -> None:
    kubectl.ok("create", "serviceaccount", "operator")

    token = await control_plane.mint_token(namespace, "operator", "connector.example", 600)

    context = ssl.create_default_context(cafile=str(control_plane.ca_file))
    async with httpx.AsyncClient(base_url=control_plane.server_url, verify=context) as anonymous:
        discovery = (await anonymous.get("/.well-known/openid-configuration")).json()
        keys = KeySet.import_key_set((await anonymous.get(discovery["jwks_uri"])).json())
    claims = jwt.decode(token, keys, algorithms=["RS256"]).claims
    assert discovery["issuer"] == claims["iss"] == control_plane.server_url
    assert claims["aud"] == ["connector.example"]
    assert claims["sub"] == f"system:serviceaccount:{namespace}:operator"


async def test_a_token_for_an_unknown_service_account_is_refused_with_the_reason(
    control_plane: ControlPlane, namespace: str
) -> None:
    with pytest.raises(ApiError, match='serviceaccounts "nobody" not found'):
        await control_plane.mint_token(namespace, "nobody", None, 600)


async def test_a_kubeconfig_with_a_token_file_acts_as_the_service_account_without_its_rights_widened(
    control_plane: ControlPlane, kubectl: Kubectl, namespace: str, tmp_path: Path
) -> None:
    kubectl.ok("create", "serviceaccount", "operator")
    token_file, kubeconfig = tmp_path / "token", tmp_path / "kubeconfig"
    token_file.write_text(await control_plane.mint_token(namespace, "operator", None, 600))

    control_plane.write_kubeconfig(kubeconfig, token_file=token_file, namespace=namespace)

    me = json.loads(kubectl.ok("auth", "whoami", "--output=json", f"--kubeconfig={kubeconfig}"))
    assert me["status"]["userInfo"]["username"] == f"system:serviceaccount:{namespace}:operator"
    assert "Forbidden" in kubectl("get", "secrets", f"--kubeconfig={kubeconfig}").stderr


def test_a_kubeconfig_needs_exactly_one_of_token_and_token_file(control_plane: ControlPlane, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="exactly one of `token_file` and `token` must be given"):
        control_plane.write_kubeconfig(tmp_path / "kubeconfig")
