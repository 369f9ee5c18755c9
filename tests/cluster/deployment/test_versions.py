"""What an installation is tested with is what it gets."""

from __future__ import annotations

import yaml
from cluster.deployment.modules import MODULES, required_by
from cluster.deployment.rendered import DEPLOY

_TESTED = {module.path: module for module in MODULES}


def _installed(release: str) -> str:
    """Return the version of a chart that the platform of Azure's overlay installs."""
    files = (DEPLOY / "overlays/azure/platform").glob("*.yaml")
    documents = [each for file in files for each in yaml.safe_load_all(file.read_text(encoding="utf-8"))]
    (found,) = [
        one for one in documents if (one["kind"], one.get("metadata", {}).get("name")) == ("HelmRelease", release)
    ]
    return found["spec"]["chart"]["spec"]["version"]


def test_azure_gets_the_cert_manager_and_the_gateway_that_our_manifests_are_held_to() -> None:
    assert _installed("cert-manager") == _TESTED["github.com/cert-manager/cert-manager"].version
    assert _installed("envoy-gateway") == _TESTED["github.com/envoyproxy/gateway"].version


def test_the_gateway_api_that_our_manifests_are_held_to_is_what_the_gateway_brings() -> None:
    gateway_api = _TESTED["sigs.k8s.io/gateway-api"]

    assert required_by(_TESTED["github.com/envoyproxy/gateway"], gateway_api.path) == gateway_api.version
