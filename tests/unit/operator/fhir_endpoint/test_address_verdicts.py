"""What an address says about itself: what is wrong with it, and what looks mistyped."""

from __future__ import annotations

from typing import Any

import pytest
from unit.operator.conftest import endpoint_spec

from ehr_api.conditions import Type
from ehr_api.v1alpha1.fhir_endpoint import FhirEndpointSpec
from ehr_operator.fhir_endpoint.verdicts import url_verdict


def spec(**changes: Any) -> FhirEndpointSpec:
    return FhirEndpointSpec.model_validate(endpoint_spec(**changes))


@pytest.mark.parametrize(
    ("base_url", "claimed_by", "reason", "remedy"),
    [
        ("http://fhir.example/r4", None, "NotAnHttpsUrl", "must be an https URL"),
        ("https://user:secret@fhir.example/r4", None, "NotAnHttpsUrl", "without user information"),
        ("https://fhir.example/r4?x=1", None, "NotAnHttpsUrl", "query"),
        ("https://fhir.example/r4#x", None, "NotAnHttpsUrl", "fragment"),
        ("https:///r4", None, "NotAnHttpsUrl", "must be"),
        ("https://[fhir.example/r4", None, "NotAnHttpsUrl", "must be"),
        ("https://fhir.example:99999/r4", None, "NotAnHttpsUrl", "must be"),
        ("https://fhir.example:0/r4", None, "NotAnHttpsUrl", "must be"),
        ("https://fhir.example/DSTU2/tenant", None, "Dstu2Address", "use the R4 address"),
        ("https://fhir.example/r4", "elder", "BaseUrlClaimed", "'elder'"),
    ],
)
def test_a_wrong_address_says_what_to_write_instead(
    base_url: str, claimed_by: str | None, reason: str, remedy: str
) -> None:
    found = url_verdict(spec(baseURL=base_url), claimed_by=claimed_by)
    assert (found.type, found.status, found.reason) == (Type.URL_WELL_FORMED, "False", reason)
    assert remedy in found.message
    assert "secret" not in found.message


@pytest.mark.parametrize(
    ("base_url", "words"),
    [
        ("https://fhir.lamna.example/fihr/r4", "'/fihr/' looks like a mistyped '/fhir/'"),
        ("https://fhir.lamna.example/api/FHRI/r4", "'/fhri/' looks like"),
        ("https://fhir.lamna.example/fhr", "'/fhr/' looks like"),
        ("https://fhir.lamna.example/fhiir/r4", "'/fhiir/' looks like"),
        ("https://fhir.lamna.example/fhjr/r4", "'/fhjr/' looks like"),
        ("https://fhir.lamna.example/r4/metadata", "ends in '/metadata'"),
        ("https://fhir.lamna.example/r4/.well-known/smart-configuration/", "ends in '/.well-known"),
        ("https://fhir.lamna.example/stu3/x", "'/stu3/' names another FHIR version"),
        ("https://fhir.lamna.example//r4", "two slashes"),
        ("https://fhir-ehr.cerner.com/r4", "the tenant id"),
        ("https://fhir-ehr.cerner.com/r4/ec2458f2-1e24-41c8-b71b-0e701af7583", "the tenant id"),
        ("https://fhir-open.cerner.com/r4/ec2458f2-1e24-41c8-b71b-0e701af7583d", "grants no tokens"),
        ("https://fhir-myrecord.cerner.com/r4/ec2458f2-1e24-41c8-b71b-0e701af7583d", "grants no system access"),
    ],
)
def test_an_address_that_looks_mistyped_is_warned_of_and_tried_all_the_same(base_url: str, words: str) -> None:
    found = url_verdict(spec(baseURL=base_url), claimed_by=None)
    assert (found.status, found.reason) == ("True", "AddressLooksWrong")
    assert words in found.message
    assert "Author: compare it with what the EHR team gave you" in found.message


@pytest.mark.parametrize(
    "base_url",
    [
        "https://fhir-ehr.cerner.com/r4/ec2458f2-1e24-41c8-b71b-0e701af7583d",
        "https://fhir-ehr-code.cerner.com/r4/ec2458f2-1e24-41c8-b71b-0e701af7583d/",
        "https://lamnahealthcare.com/fhir/auth/connect-ocurprd-oauth/api/FHIR/R4",
        "https://fhir.lamna.example",
        "https://fhir.lamna.example/fire/hair",
    ],
)
def test_a_usual_address_raises_no_suspicion(base_url: str) -> None:
    assert url_verdict(spec(baseURL=base_url), claimed_by=None).reason == "WellFormed"
