"""From evidence to conditions: every way to fail has a reason and a remedy."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from unit.operator.conftest import BASE_URL, START, endpoint_spec, merged
from unit.operator.fhir_endpoint.ehr import CAPABILITIES, SMART, answered

from ehr_api.conditions import Finding, Type
from ehr_api.v1alpha1.fhir_endpoint import FhirEndpointSpec
from ehr_clients.guard import Certificate
from ehr_operator.fhir_endpoint.probes import Content, Fetch, Fetched, Observation
from ehr_operator.fhir_endpoint.smart_configuration import strings
from ehr_operator.fhir_endpoint.verdicts import all_true, network_verdicts

NETWORK = [Type.DNS_RESOLVED, Type.TLS_TRUSTED, Type.METADATA_OK, Type.SMART_CONFIGURED, Type.LATENCY_OK]


def spec(**changes: Any) -> FhirEndpointSpec:
    return FhirEndpointSpec.model_validate(endpoint_spec(**changes))


def judged(metadata: Fetched, smart: Fetched | None = None, **changes: Any) -> dict[Type, Finding]:
    """Return the network conditions; an unanswered CapabilityStatement stands for both requests, as in the probes."""
    second = smart or (answered(SMART) if metadata.fetch is Fetch.ANSWERED else metadata)
    latencies = [metadata.elapsed_s] if metadata.fetch is Fetch.ANSWERED else []
    found = network_verdicts(spec(**changes), Observation(metadata, second), latencies, START)
    assert [one.type for one in found] == NETWORK
    return {one.type: one for one in found}


def shape(found: dict[Type, Finding]) -> list[str]:
    return [f"{one.status.value}:{one.reason}" for one in found.values()]


def test_a_server_that_is_right_in_everything_passes_every_check() -> None:
    assert all_true(list(judged(answered(CAPABILITIES)).values()))


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
            "EHR team: renew it",
            id="expired certificate",
        ),
        pytest.param(
            Fetched(Fetch.UNREACHABLE, "ConnectTimeout"),
            ["True:Resolved", "Unknown:NotReached", *["False:Unreachable"] * 3],
            "EHR team: check that it is up",
            id="no answer",
        ),
        pytest.param(
            Fetched(Fetch.TOO_LARGE, "the answer is longer than 4194304 bytes"),
            ["True:Resolved", "True:Trusted", *["False:AnswerTooLarge"] * 3],
            "not the address of a FHIR API",
            id="huge answer",
        ),
        pytest.param(
            Fetched(Fetch.COMPRESSED, "the answer is compressed although that was not asked for"),
            ["True:Resolved", "True:Trusted", *["False:AnswerCompressed"] * 3],
            "Accept-Encoding: identity",
            id="compressed answer",
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


SHOWN = Certificate(
    ("other.lamna.example", "*.lamna.example", "a.example", "b.example"),
    "Lamna Root\nCA",
    START + timedelta(days=1),
    START - timedelta(days=3),
)


@pytest.mark.parametrize(
    ("code", "reason", "evidence", "remedy"),
    [
        (9, "CertificateNotYetValid", "before 2026-03-03 09:00 UTC", "compare the clocks"),
        (10, "CertificateExpired", "expired on 2026-02-27", "EHR team: renew"),
        (18, "AuthorityNotTrusted", "self-signed (issued by 'Lamna Root?CA')", "EHR_OPERATOR_CA_FILE"),
        (19, "AuthorityNotTrusted", "self-signed", "EHR_OPERATOR_CA_FILE"),
        (20, "AuthorityNotTrusted", "an authority that is not trusted", "EHR_OPERATOR_CA_FILE"),
        (21, "AuthorityNotTrusted", "an authority that is not trusted", "intermediate certificates"),
        (62, "CertificateForOtherName", "not for 'fhir-test.lamna.example', but for 'other.lamna.example'", "Author: "),
        (64, "CertificateForOtherName", "'a.example' and 1 more", "names in the certificate"),
        (7, "HandshakeFailed", "not accepted", "valid certificate"),
    ],
)
@pytest.mark.parametrize("shown", [True, False])
def test_a_certificate_that_is_not_accepted_says_why_and_who_mends_it(
    code: int, reason: str, evidence: str, remedy: str, shown: bool
) -> None:
    seen = Fetched(Fetch.TLS_FAILED, "not accepted", tls_code=code, presented=SHOWN if shown else None)
    found = judged(seen)[Type.TLS_TRUSTED]
    assert (found.status, found.reason) == ("False", reason)
    assert remedy in found.message
    assert evidence in found.message or not shown
    assert "\n" not in found.message


@pytest.mark.parametrize(
    ("tls_reason", "reason", "remedy"),
    [
        ("TLSV1_ALERT_PROTOCOL_VERSION", "TlsVersionTooOld", "no TLS 1.2 or later"),
        ("UNSUPPORTED_PROTOCOL", "TlsVersionTooOld", "no TLS 1.2 or later"),
        ("WRONG_VERSION_NUMBER", "NoTls", "compare host and port in baseURL"),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", "HandshakeFailed", "TLS 1.2 or later"),
        ("", "HandshakeFailed", "TLS 1.2 or later"),
    ],
)
def test_a_handshake_that_fails_tells_an_old_server_from_one_that_speaks_no_tls(
    tls_reason: str, reason: str, remedy: str
) -> None:
    found = judged(Fetched(Fetch.TLS_FAILED, "TLS: failed", tls_reason=tls_reason))[Type.TLS_TRUSTED]
    assert (found.status, found.reason) == ("False", reason)
    assert remedy in found.message


@pytest.mark.parametrize(
    ("hours", "reason", "words"),
    [
        (22 * 24, "Trusted", "TLS 1.3: chain, name and dates"),
        (21 * 24 - 1, "CertificateExpiresSoon", "on 2026-03-23, in less than 21 days. EHR team: renew it"),
        (10 * 24, "CertificateExpiresSoon", "in less than 21 days"),
        (6 * 24, "CertificateExpiresSoon", "in less than 7 days"),
        (3, "CertificateExpiresSoon", "in less than 1 day."),
    ],
)
def test_a_certificate_is_trusted_to_its_end_and_warned_of_three_weeks_before(
    hours: int, reason: str, words: str
) -> None:
    found = judged(answered(CAPABILITIES, certificate_expiry=START + timedelta(hours=hours)))[Type.TLS_TRUSTED]
    assert (found.status, found.reason) == ("True", reason)
    assert words in found.message


@pytest.mark.parametrize(
    ("change", "reason", "words"),
    [
        ({"implementation": {"url": f"{BASE_URL}/"}}, "CapabilityStatementOk", "FHIR 4.0.1"),
        ({"implementation": {"url": BASE_URL.replace(".example/", ".example:443/")}}, "CapabilityStatementOk", ""),
        ({"implementation": None}, "CapabilityStatementOk", ""),
        ({"implementation": "x"}, "CapabilityStatementOk", ""),
        (
            {"implementation": {"url": "https://u:p@other.example/r4?k=s3cret"}},
            "AddressDiffers",
            "'https://other.example/r4'",
        ),
        ({"implementation": {"url": "https://["}}, "AddressDiffers", "'what is no address'"),
        ({"publisher": "Cerner"}, "CapabilityStatementOk", ""),
        ({"publisher": None}, "CapabilityStatementOk", ""),
        ({"publisher": "Epic\x1b[31m"}, "OtherPublisher", "'Epic?[31m'"),
    ],
)
def test_a_server_that_may_be_another_than_was_meant_is_warned_of(change: Any, reason: str, words: str) -> None:
    found = judged(answered(merged(CAPABILITIES, change)))[Type.METADATA_OK]
    assert (found.status, found.reason) == ("True", reason)
    assert words in found.message
    assert "s3cret" not in found.message


@pytest.mark.parametrize(
    ("metadata", "reason", "remedy"),
    [
        (answered(None, status=302, redirect_host="login.example"), "Redirected", "to 'login.example' (status 302)"),
        (answered(None, status=307), "Redirected", "address of the API itself"),
        (answered(None, status=401), "SignInDemanded", "Author: baseURL is not the address"),
        (answered(None, status=403), "TenantRefused", "tenant id in baseURL"),
        (answered(None, status=404), "NotFound", "before /metadata"),
        (answered(None, status=410), "NotFound", "before /metadata"),
        (answered(None, status=406), "ServerError", "status 406"),
        (answered(None, status=429), "ServerError", "EHR team, if it stays"),
        (answered(None, status=500), "ServerError", "EHR team, if it stays"),
        (answered(None, media_type="text/html", content=Content.HTML), "HtmlPage", "a web page (text/html)"),
        (answered(None, content=Content.BROKEN_JSON), "BrokenJson", "cut off or badly made"),
        (answered(None, content=Content.NOT_UTF8, charset="utf-16"), "WrongCharset", "charset utf-16"),
        (answered(None, content=Content.NOT_UTF8), "WrongCharset", "no charset stated"),
        (answered(None, content=Content.OTHER_JSON), "NotJson", "not an object"),
        (answered(None, content=Content.OTHER, media_type="application/fhir+xml"), "NotJson", "application/fhir+xml"),
        (answered(None, media_type=""), "NotJson", "answered with nothing (no media type)"),
        (answered({"resourceType": "Conformance", "fhirVersion": "1.0.2"}), "Dstu2Server", "use the R4 address"),
        (answered({"resourceType": "CapabilityStatement", "fhirVersion": "1.0.2"}), "Dstu2Server", "R4"),
        (answered({"resourceType": "OperationOutcome"}), "NotACapabilityStatement", "not the address of a FHIR API"),
        (answered({}), "NotACapabilityStatement", "not the address of a FHIR API"),
        (answered({**CAPABILITIES, "fhirVersion": "4.3.0\n"}), "WrongFhirVersion", "FHIR 4.3.0?"),
        (answered({**CAPABILITIES, "fhirVersion": None}), "WrongFhirVersion", "does not state"),
        (answered({**CAPABILITIES, "fhirVersion": "3.0.2"}), "WrongFhirVersion", "4.0.1 (R4) is needed"),
        (answered({**CAPABILITIES, "rest": []}), "InteractionsMissing", "patch, read, search-type"),
        (answered({**CAPABILITIES, "rest": "none"}), "InteractionsMissing", "EHR team: enable it"),
        (
            answered({**CAPABILITIES, "rest": [{"resource": [None, 7, {"type": "Patient"}]}]}),
            "InteractionsMissing",
            "EHR team",
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
        ({"authorization_endpoint": ["https://x.example"]}, "EndpointMissing", "authorization_endpoint"),
        ({"token_endpoint": None, "authorization_endpoint": ""}, "EndpointMissing", "token_endpoint"),
        ({"capabilities": ["launch-ehr", "sso-openid-connect"]}, "EndpointMissing", "jwks_uri"),
        ({"token_endpoint": "http://fhir.example/token"}, "EndpointNotHttps", "token_endpoint"),
        ({"issuer": "http://fhir.example"}, "EndpointNotHttps", "issuer"),
        ({"introspection_endpoint": "javascript:alert(1)"}, "EndpointNotHttps", "introspection_endpoint"),
        ({"revocation_endpoint": "https://["}, "EndpointNotHttps", "revocation_endpoint"),
        ({"code_challenge_methods_supported": ["plain"]}, "PkceMissing", "S256"),
        ({"code_challenge_methods_supported": None}, "PkceMissing", "has no list code_challenge_methods_supported"),
        ({"code_challenge_methods_supported": ["S256", "plain"]}, "PlainPkceOffered", "offer S256 alone"),
        ({"capabilities": ["launch-standalone"]}, "EhrLaunchMissing", "launch-ehr"),
        ({"capabilities": "launch-ehr"}, "EhrLaunchMissing", "launch-ehr"),
        ({"grant_types_supported": ["client_credentials"]}, "CodeGrantMissing", "authorization_code"),
        ({"grant_types_supported": ["authorization_code"]}, "SystemAccessMissing", "client_credentials"),
        ({"token_endpoint_auth_methods_supported": []}, "KeyAuthenticationMissing", "private_key_jwt"),
        (
            {"token_endpoint_auth_signing_alg_values_supported": ["RS256"]},
            "SigningAlgorithmMissing",
            "neither ES384 nor RS384",
        ),
    ],
)
def test_a_smart_configuration_that_lacks_something_names_it(change: Any, reason: str, names: str) -> None:
    found = judged(answered(CAPABILITIES), answered(merged(SMART, change)))
    assert (found[Type.SMART_CONFIGURED].status, found[Type.SMART_CONFIGURED].reason) == ("False", reason)
    assert names in found[Type.SMART_CONFIGURED].message
    assert found[Type.METADATA_OK].status == "True", "one fault is not blamed on another check"


@pytest.mark.parametrize(
    "change",
    [
        {"token_endpoint": "token", "authorization_endpoint": "/authorize"},
        {"token_endpoint_auth_signing_alg_values_supported": None},
        {"token_endpoint_auth_signing_alg_values_supported": ["ES384"]},
        {"issuer": None},
    ],
)
def test_a_smart_configuration_may_leave_out_what_the_specification_leaves_open(change: Any) -> None:
    found = judged(answered(CAPABILITIES), answered(merged(SMART, change)))
    assert found[Type.SMART_CONFIGURED].status == "True"


@pytest.mark.parametrize(
    ("smart", "reason"),
    [
        (answered(None, status=404), "NotFound"),
        (answered(None, media_type="text/html", content=Content.HTML), "HtmlPage"),
        (Fetched(Fetch.COMPRESSED, "compressed"), "AnswerCompressed"),
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


def test_strings_keeps_the_texts_of_a_list_and_nothing_else() -> None:
    assert strings(["a", 1, None, ["b"], "c"]) == ["a", "c"]
    assert strings("abc") == []
    assert strings(None) == []
