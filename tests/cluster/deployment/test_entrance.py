"""What stands before the connector's pages keeps from its log what the connector keeps from its own."""

from __future__ import annotations

import re

import pytest
from cluster.deployment.conftest import Rendered
from cluster.deployment.rendered import Document, of_kind

_OPERATOR = re.compile(r"%([A-Z_]+(?:\([^)]*\))?)%")
_SAY_NOTHING_OF_A_PATIENT = {
    "START_TIME",
    "REQ(:METHOD)",
    "ROUTE_NAME",
    "RESPONSE_CODE",
    "RESPONSE_FLAGS",
    "RESPONSE_CODE_DETAILS",
    "BYTES_SENT",
    "DURATION",
}
"""Neither path, query, referrer, browser nor address: a link opens the visit, and an address is a person's."""


def of_envoy(documents: list[Document]) -> Document:
    """Return what the Gateway refers to."""
    reference = of_kind(documents, "Gateway")["ehr-connector"]["spec"]["infrastructure"]["parametersRef"]
    proxy = of_kind(documents, reference["kind"])[reference["name"]]
    assert proxy["apiVersion"].startswith(f"{reference['group']}/")
    return proxy["spec"]


@pytest.mark.parametrize("overlay", ["example", "azure"])
def test_a_gateway_of_envoys_logs_no_link_and_no_address(rendered: Rendered, overlay: str) -> None:
    settings = of_envoy(rendered(overlay))["telemetry"]["accessLog"]["settings"]
    values = [value for setting in settings for value in setting["format"]["json"].values()]

    assert len(values) > 5
    assert [value for value in values if not _OPERATOR.fullmatch(value)] == []
    assert {_OPERATOR.sub(r"\1", value) for value in values} <= _SAY_NOTHING_OF_A_PATIENT


@pytest.mark.parametrize("overlay", ["example", "azure"])
def test_a_drained_node_leaves_a_gateway_that_patients_reach(rendered: Rendered, overlay: str) -> None:
    kubernetes = of_envoy(rendered(overlay))["provider"]["kubernetes"]

    assert kubernetes["envoyDeployment"]["replicas"] > kubernetes["envoyPDB"]["minAvailable"] >= 1


def test_ingress_nginx_is_told_to_log_no_request(rendered: Rendered) -> None:
    ingress = of_kind(rendered("example-ingress"), "Ingress")["ehr-connector"]

    assert ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/enable-access-log"] == "false"
