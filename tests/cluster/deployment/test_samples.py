"""What stands ready to be copied for an organisation is taken by the API server, and can be promoted as it stands."""

from __future__ import annotations

import json

import pytest
import yaml
from cluster.control_plane.kubectl import Kubectl
from cluster.deployment.rendered import DEPLOY, Document, of_kind, render

from ehr_api.profile import profile_digest
from ehr_api.v1alpha1.ehr_connector_config import EHRConnectorConfigSpec
from ehr_api.v1alpha1.fhir_endpoint import FhirEndpointSpec

SAMPLES = ("samples", "samples-hospitals")


def of_sample(kubectl: str, sample: str) -> list[Document]:
    return render(kubectl, DEPLOY / sample)


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_api_server_takes_a_sample(cluster: Kubectl, assets_kubectl: str, sample: str) -> None:
    documents = of_sample(assets_kubectl, sample)
    [namespace] = of_kind(documents, "Namespace")
    cluster.ok("create", "namespace", namespace)

    how = ("--dry-run=server", "--server-side", "--validate=strict", "--filename=-")
    taken = cluster.ok("apply", f"--namespace={namespace}", *how, stdin=yaml.safe_dump_all(documents)).splitlines()

    assert len(taken) == len(documents)


@pytest.mark.parametrize("sample", SAMPLES)
def test_what_production_promises_can_be_tried_on_its_test_endpoint(assets_kubectl: str, sample: str) -> None:
    """With another profile the visit on Test would be no evidence for Production."""
    documents = of_sample(assets_kubectl, sample)
    endpoints = {
        name: FhirEndpointSpec.model_validate_json(json.dumps(one["spec"]))
        for name, one in of_kind(documents, "FhirEndpoint").items()
    }
    [config] = of_kind(documents, "EHRConnectorConfig").values()
    organization = EHRConnectorConfigSpec.model_validate_json(json.dumps(config["spec"]))
    promoted = {
        name: endpoint.promoted_from.name for name, endpoint in endpoints.items() if endpoint.promoted_from is not None
    }

    assert promoted
    assert [
        name
        for name, test in promoted.items()
        if profile_digest(endpoints[name], organization) != profile_digest(endpoints[test], organization)
    ] == []


def test_the_hospitals_have_several_endpoints_of_each_kind_numbers_and_time_zones(assets_kubectl: str) -> None:
    documents = of_sample(assets_kubectl, "samples-hospitals")
    endpoints = of_kind(documents, "FhirEndpoint").values()

    assert len(of_kind(documents, "EHRConnectorConfig")) == 1
    assert [one["spec"]["environment"] for one in endpoints].count("Production") > 1
    assert len({one["spec"]["appointments"]["timeZone"] for one in endpoints}) > 1
    assert len({one["spec"]["smsNumberRef"]["name"] for one in endpoints}) > 1
