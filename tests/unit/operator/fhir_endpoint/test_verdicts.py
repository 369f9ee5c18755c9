"""From evidence to conditions: every way to fail has a reason and a remedy."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from unit.operator.conftest import START, endpoint_spec, merged
from unit.operator.fhir_endpoint.ehr import CAPABILITIES, SMART, answered

from ehr_api.conditions import Finding, Type
from ehr_api.control import ProbeOutcome, ProbeReport, ProbeResult
from ehr_api.v1alpha1.fhir_endpoint import FhirEndpointSpec
from ehr_operator.fhir_endpoint.probes import Fetch, Fetched, Observation
from ehr_operator.fhir_endpoint.verdicts import all_true, keyed_verdicts, network_verdicts, strings, url_verdict

NETWORK = [Type.DNS_RESOLVED, Type.TLS_TRUSTED, Type.METADATA_OK, Type.SMART_CONFIGURED, Type.LATENCY_OK]


def spec(**changes: Any) -> FhirEndpointSpec:
    return FhirEndpointSpec.model_validate(endpoint_spec(**changes))


def judged(metadata: Fetched, smart: Fetched | None = None, **changes: Any) -> dict[Type, Finding]:
    """Return the network conditions; an unanswered CapabilityStatement stands for both requests, as in the probes."""
    second = smart or (answered(SMART) if metadata.fetch is Fetch.ANSWERED else metadata)
    found = network_verdicts(spec(**changes), Observation(metadata, second), START)
    assert [one.type for one in found] == NETWORK
    return {one.type: one for one in found}


def shape(found: dict[Type, Finding]) -> list[str]:
    return [f"{one.status.value}:{one.reason}" for one in found.values()]


def test_a_server_that_is_right_in_everything_passes_every_check() -> None:
    assert all_true(list(judged(answered(CAPABILITIES)).values()))


@pytest.mark.parametrize(
    ("base_url", "claimed_by", "reason", "remedy"),
    [
        ("http://fhir.example/r4", None, "NotAnHttpsUrl", "must be an https URL"),
        ("https://user:secret@fhir.example/r4", None, "NotAnHttpsUrl", "without user information"),
        ("https://fhir.example/r4?x=1", None, "NotAnHttpsUrl", "query"),
        ("https://fhir.example/r4#x", None, "NotAnHttpsUrl", "fragment"),
        ("https:///r4", None, "NotAnHttpsUrl", "must be"),
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
    ("metadata", "expected", "remedy"),
    [
        pytest.param(
            Fetched(Fetch.NO_ADDRESS, "'fhir' has no address"),
            ["False:NoAddress", "Unknown:NotReached", "Unknown:NotReached", "Unknown:NotReached", "Unknown:NotReached"],
            "compare baseURL",
            id="no address",
        ),
        pytest.param(
            Fetched(Fetch.ADDRESS_REFUSED, "'fhir' leads to 10.0.0.1"),
            [
                "False:AddressRefused",
                "Unknown:NotReached",
                "Unknown:NotReached",
                "Unknown:NotReached",
                "Unknown:NotReached",
            ],
            "EHR_OPERATOR_ALLOWED_NETWORKS",
            id="private address",
        ),
        pytest.param(
            Fetched(Fetch.TLS_FAILED, "certificate has expired", tls_code=10),
            [
                "True:Resolved",
                "False:CertificateExpired",
                "Unknown:NotReached",
                "Unknown:NotReached",
                "Unknown:NotReached",
            ],
            "renew the certificate",
            id="expired certificate",
        ),
        pytest.param(
            Fetched(Fetch.UNREACHABLE, "ConnectTimeout"),
            ["True:Resolved", "Unknown:NotReached", *["False:Unreachable"] * 3],
            "check that it is up",
            id="no answer",
        ),
        pytest.param(
            Fetched(Fetch.TOO_LARGE, "the answer is longer than 4194304 bytes"),
            ["True:Resolved", "True:Trusted", *["False:AnswerTooLarge"] * 3],
            "not a FHIR API",
            id="huge answer",
        ),
    ],
)
def test_each_way_in_which_a_request_ends_blames_the_check_that_failed(
    metadata: Fetched, expected: list[str], remedy: str
) -> None:
    found = judged(metadata)
    assert shape(found) == expected
    blamed = next(one for one in found.values() if one.status == "False")
    assert remedy in blamed.message


@pytest.mark.parametrize(
    ("code", "reason", "remedy"),
    [
        (10, "CertificateExpired", "renew"),
        (18, "AuthorityNotTrusted", "EHR_OPERATOR_CA_FILE"),
        (19, "AuthorityNotTrusted", "EHR_OPERATOR_CA_FILE"),
        (20, "AuthorityNotTrusted", "EHR_OPERATOR_CA_FILE"),
        (21, "AuthorityNotTrusted", "EHR_OPERATOR_CA_FILE"),
        (62, "CertificateForOtherName", "names in the certificate"),
        (64, "CertificateForOtherName", "names in the certificate"),
        (None, "HandshakeFailed", "TLS 1.2"),
        (9, "HandshakeFailed", "valid certificate"),
    ],
)
def test_a_certificate_that_is_not_accepted_says_why_and_who_mends_it(
    code: int | None, reason: str, remedy: str
) -> None:
    found = judged(Fetched(Fetch.TLS_FAILED, "not accepted", tls_code=code))[Type.TLS_TRUSTED]
    assert (found.status, found.reason) == ("False", reason)
    assert remedy in found.message


@pytest.mark.parametrize(("days", "reason"), [(22, "Trusted"), (20, "CertificateExpiresSoon")])
def test_a_certificate_is_trusted_to_its_end_and_warned_of_three_weeks_before(days: int, reason: str) -> None:
    found = judged(answered(CAPABILITIES, certificate_expiry=START + timedelta(days=days)))[Type.TLS_TRUSTED]
    assert (found.status, found.reason) == ("True", reason)


@pytest.mark.parametrize(
    ("metadata", "reason", "remedy"),
    [
        (answered(None, status=302), "Redirected", "address of the API itself"),
        (answered(None, status=403), "TenantRefused", "tenant id in baseURL"),
        (answered(None, status=404), "NotFound", "before /metadata"),
        (answered(None, status=401), "ServerError", "ask the EHR's operator"),
        (answered(None, status=429), "ServerError", "tried again by itself"),
        (answered(None, status=500), "ServerError", "tried again by itself"),
        (answered(None, media_type="text/html"), "NotJson", "not a FHIR API"),
        (answered({"resourceType": "Conformance", "fhirVersion": "1.0.2"}), "Dstu2Server", "use the R4 address"),
        (answered({"resourceType": "CapabilityStatement", "fhirVersion": "1.0.2"}), "Dstu2Server", "R4"),
        (answered({"resourceType": "OperationOutcome"}), "NotACapabilityStatement", "not a FHIR API"),
        (answered({}), "NotACapabilityStatement", "not a FHIR API"),
        (answered({**CAPABILITIES, "fhirVersion": "3.0.2"}), "WrongFhirVersion", "4.0.1 (R4) is needed"),
        (answered({**CAPABILITIES, "rest": []}), "InteractionsMissing", "patch, read, search-type"),
        (answered({**CAPABILITIES, "rest": "none"}), "InteractionsMissing", "ask the EHR's operator"),
        (
            answered({**CAPABILITIES, "rest": [{"resource": [None, 7, {"type": "Patient"}]}]}),
            "InteractionsMissing",
            "ask",
        ),
    ],
)
def test_an_answer_that_is_no_capability_statement_for_visits_says_why(
    metadata: Fetched, reason: str, remedy: str
) -> None:
    found = judged(metadata)[Type.METADATA_OK]
    assert (found.status, found.reason) == ("False", reason)
    assert remedy in found.message


@pytest.mark.parametrize(
    ("changes", "status"),
    [({}, "False"), ({"writeBackLinks": None}, "True"), ({"writeBackLinks": None, "writeBackArrival": True}, "False")],
)
def test_patch_is_needed_only_where_something_is_written_back(changes: Any, status: str) -> None:
    interactions = [{"code": "read"}, {"code": "search-type"}]
    reading = {**CAPABILITIES, "rest": [{"resource": [{"type": "Appointment", "interaction": interactions}]}]}
    assert judged(answered(reading), appointments=changes)[Type.METADATA_OK].status == status


@pytest.mark.parametrize(
    ("change", "reason", "names"),
    [
        ({"authorization_endpoint": None}, "EndpointMissing", "authorization_endpoint"),
        ({"token_endpoint": "http://fhir.example/token"}, "EndpointMissing", "token_endpoint"),
        ({"code_challenge_methods_supported": ["plain"]}, "PkceMissing", "S256"),
        ({"code_challenge_methods_supported": None}, "PkceMissing", "S256"),
        ({"capabilities": ["launch-standalone"]}, "EhrLaunchMissing", "launch-ehr"),
        ({"capabilities": "launch-ehr"}, "EhrLaunchMissing", "launch-ehr"),
        ({"grant_types_supported": ["authorization_code"]}, "SystemAccessMissing", "client_credentials"),
        ({"token_endpoint_auth_methods_supported": []}, "KeyAuthenticationMissing", "private_key_jwt"),
    ],
)
def test_a_smart_configuration_that_lacks_something_names_it(change: Any, reason: str, names: str) -> None:
    found = judged(answered(CAPABILITIES), answered(merged(SMART, change)))
    assert (found[Type.SMART_CONFIGURED].status, found[Type.SMART_CONFIGURED].reason) == ("False", reason)
    assert names in found[Type.SMART_CONFIGURED].message
    assert found[Type.METADATA_OK].status == "True", "one fault is not blamed on another check"


@pytest.mark.parametrize(
    ("smart", "reason"),
    [
        (answered(None, status=404), "NotFound"),
        (answered(None, media_type="text/html"), "NotJson"),
        (Fetched(Fetch.UNREACHABLE, "ReadTimeout"), "Unreachable"),
        (Fetched(Fetch.TOO_LARGE, "too long"), "AnswerTooLarge"),
    ],
)
def test_a_smart_configuration_that_is_not_there_is_no_fault_of_the_capability_statement(
    smart: Fetched, reason: str
) -> None:
    found = judged(answered(CAPABILITIES), smart)
    assert (found[Type.SMART_CONFIGURED].status, found[Type.SMART_CONFIGURED].reason) == ("False", reason)
    assert [found[one].status for one in NETWORK if one is not Type.SMART_CONFIGURED] == ["True"] * 4


@pytest.mark.parametrize(
    ("elapsed_s", "limit", "reason"),
    [(5.0, None, "FastEnough"), (5.1, None, "TooSlow"), (0.6, "500ms", "TooSlow"), (0.4, "500ms", "FastEnough")],
)
def test_a_slow_answer_is_measured_against_the_stated_limit(elapsed_s: float, limit: str | None, reason: str) -> None:
    found = judged(answered(CAPABILITIES, elapsed_s=elapsed_s), validation={"maxLatency": limit})[Type.LATENCY_OK]
    assert found.reason == reason
    assert (limit or "5s") in found.message
    assert str(elapsed_s) not in found.message, "a moving value would make each look a new message"


_TOKEN = {
    ProbeOutcome.PASSED: ("True", "Granted", ""),
    ProbeOutcome.UNREACHABLE: ("False", "Unreachable", "check that the connector may reach"),
    ProbeOutcome.REFUSED: ("False", "Refused", "JWKS URL"),
    ProbeOutcome.TENANT_REFUSED: ("False", "TenantRefused", "enabled for it"),
    ProbeOutcome.NOT_FOUND: ("False", "NotFound", "under baseURL"),
    ProbeOutcome.SERVER_ERROR: ("False", "ServerError", "tried again by itself"),
    ProbeOutcome.UNEXPECTED_ANSWER: ("False", "UnexpectedAnswer", "not what the standard asks"),
    ProbeOutcome.SCOPES_MISSING: ("False", "ScopesMissing", "system/Patient.read"),
    ProbeOutcome.NOT_CONFIGURED: ("Unknown", "NotReached", "no key yet"),
    ProbeOutcome.NOT_RUN: ("Unknown", "NotReached", "earlier check failed"),
}
_SEARCH = {
    ProbeOutcome.PASSED: ("True", "SearchOk", "appointments.locations"),
    ProbeOutcome.UNREACHABLE: ("False", "Unreachable", "check that the connector may reach"),
    ProbeOutcome.REFUSED: ("False", "Refused", "compare appointments.locations"),
    ProbeOutcome.TENANT_REFUSED: ("False", "TenantRefused", "enabled for it"),
    ProbeOutcome.NOT_FOUND: ("False", "NotFound", "under baseURL"),
    ProbeOutcome.SERVER_ERROR: ("False", "ServerError", "tried again by itself"),
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


def test_strings_keeps_the_texts_of_a_list_and_nothing_else() -> None:
    assert strings(["a", 1, None, ["b"], "c"]) == ["a", "c"]
    assert strings("abc") == []
    assert strings(None) == []
