"""What the connector's probes say, the ones that need a key: each outcome has a verdict and a remedy."""

from __future__ import annotations

from typing import Any

import pytest
from unit.operator.conftest import endpoint_spec

from ehr_api.conditions import Type
from ehr_api.control import ProbeOutcome, ProbeReport, ProbeResult
from ehr_api.v1alpha1.fhir_endpoint import FhirEndpointSpec
from ehr_operator.fhir_endpoint.keyed import keyed_verdicts


def spec(**changes: Any) -> FhirEndpointSpec:
    return FhirEndpointSpec.model_validate(endpoint_spec(**changes))


_TOKEN = {
    ProbeOutcome.PASSED: ("True", "Granted", ""),
    ProbeOutcome.UNREACHABLE: ("False", "Unreachable", "Platform team: check that the connector may reach"),
    ProbeOutcome.REFUSED: ("False", "Refused", "JWKS URL"),
    ProbeOutcome.TENANT_REFUSED: ("False", "TenantRefused", "EHR team: enable the app"),
    ProbeOutcome.NOT_FOUND: ("False", "NotFound", "under baseURL"),
    ProbeOutcome.SERVER_ERROR: ("False", "ServerError", "EHR team, if it stays"),
    ProbeOutcome.UNEXPECTED_ANSWER: ("False", "UnexpectedAnswer", "not what the standard asks"),
    ProbeOutcome.SCOPES_MISSING: ("False", "ScopesMissing", "system/Patient.read"),
    ProbeOutcome.NOT_CONFIGURED: ("Unknown", "NotReached", "no key to sign with yet"),
    ProbeOutcome.NOT_RUN: ("Unknown", "NotReached", "earlier check failed"),
}
_SEARCH = {
    ProbeOutcome.PASSED: ("True", "SearchOk", "appointments.locations"),
    ProbeOutcome.UNREACHABLE: ("False", "Unreachable", "Platform team: check that the connector may reach"),
    ProbeOutcome.REFUSED: ("False", "Refused", "compare appointments.locations"),
    ProbeOutcome.TENANT_REFUSED: ("False", "TenantRefused", "EHR team: enable the app"),
    ProbeOutcome.NOT_FOUND: ("False", "NotFound", "under baseURL"),
    ProbeOutcome.SERVER_ERROR: ("False", "ServerError", "EHR team, if it stays"),
    ProbeOutcome.UNEXPECTED_ANSWER: ("False", "UnexpectedAnswer", "not what the standard asks"),
    ProbeOutcome.SCOPES_MISSING: ("Unknown", "NotReached", "no token"),
    ProbeOutcome.NOT_CONFIGURED: ("Unknown", "NotReached", "no token"),
    ProbeOutcome.NOT_RUN: ("Unknown", "NotReached", "no token"),
}


@pytest.mark.parametrize("outcome", ProbeOutcome)
def test_every_outcome_of_the_connector_has_a_verdict_and_a_remedy(outcome: ProbeOutcome) -> None:
    result = ProbeResult(
        outcome=outcome, http_status=418, error_code="invalid_client", missing_scopes=["system/Patient.read"]
    )
    token, search = keyed_verdicts(spec(), ProbeReport(token=result, appointment_search=result))
    assert (token.type, search.type) == (Type.TOKEN_GRANTED, Type.APPOINTMENT_SEARCH_OK)
    for found, (status, reason, remedy) in ((token, _TOKEN[outcome]), (search, _SEARCH[outcome])):
        assert (found.status.value, found.reason) == (status, reason)
        assert remedy in found.message


def test_a_refusal_shows_the_evidence_of_status_and_code() -> None:
    result = ProbeResult(outcome=ProbeOutcome.REFUSED, http_status=401, error_code="invalid_client")
    token, _ = keyed_verdicts(spec(), ProbeReport(token=result, appointment_search=result))
    assert "(status 401, invalid_client)" in token.message
    assert "'lamna-system'" in token.message


def test_a_search_by_practitioners_names_the_field_that_holds_them() -> None:
    result = ProbeResult(outcome=ProbeOutcome.REFUSED)
    by_practitioner = spec(appointments={"locations": None, "practitioners": ["77"]})
    _, search = keyed_verdicts(by_practitioner, ProbeReport(token=result, appointment_search=result))
    assert "appointments.practitioners" in search.message
