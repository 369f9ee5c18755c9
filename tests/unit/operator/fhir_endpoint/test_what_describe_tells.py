"""What `kubectl describe` shows of an endpoint tells a person on call all: what is wrong, who must act, when the next try is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from unit.operator.conftest import NAMESPACE, START, config_body, endpoint_body, merged, number_body
from unit.operator.conftest import conditions as conditions_of
from unit.operator.fhir_endpoint.ehr import CAPABILITIES, SMART, System, answered, report

from ehr_api.conditions import Type
from ehr_api.control import ProbeOutcome, ProbeReport, ProbeResult
from ehr_clients.guard import Certificate
from ehr_operator.fhir_endpoint.probes import Content, Fetch, Fetched, Observation
from ehr_operator.runtime.model import Key, State

KEY = Key("FhirEndpoint", NAMESPACE, "lamna-test")
AUTHOR, EHR_TEAM, PLATFORM, NOBODY = "author:", "ehr team", "platform team", "nobody has to"
BY_ITSELF = "Looked at again by itself: after 5 s at first, every 5m later"
ASKED = "The connector is asked again by itself: after 5 s at first, every 60 s later"
EACH_INTERVAL = "Looked at again every 5m"
AT_ONCE = "as soon as"
NEVER = "Nothing is asked until then"
CERTIFICATE = Certificate(("other.example",), "Strange CA", START + timedelta(days=1), START - timedelta(days=1))


@dataclass(frozen=True)
class Mode:
    """One way to fail, and what is to be read of it."""

    arrange: Callable[[System], Any]
    condition: Type
    reason: str
    what: str
    who: tuple[str, ...]
    when: str = BY_ITSELF


def ends(fetch: Fetch, detail: str = "", **parts: Any) -> Callable[[System], None]:
    """Let the request end without an answer."""
    seen = Fetched(fetch, detail, **parts)
    return lambda system: setattr(system.probes, "sees", Observation(seen, seen))


def metadata(change: Any = None, **parts: Any) -> Callable[[System], None]:
    """Let `/metadata` be answered with a changed document, or with none and these parts."""
    seen = answered(merged(CAPABILITIES, change)) if change else answered(None, **parts)
    return lambda system: setattr(system.probes, "sees", Observation(seen, answered(SMART)))


def smart(change: Any) -> Callable[[System], None]:
    """Let the SMART configuration be another."""
    seen = Observation(answered(CAPABILITIES), answered(merged(SMART, change)))
    return lambda system: setattr(system.probes, "sees", seen)


def token(outcome: ProbeOutcome, **parts: Any) -> Callable[[System], None]:
    """Let the connector report this of its token."""
    found = ProbeReport(
        token=ProbeResult(outcome=outcome, **parts), appointment_search=ProbeResult(outcome=ProbeOutcome.NOT_RUN)
    )
    return lambda system: setattr(system.connector, "probes", found)


def search(outcome: ProbeOutcome, **parts: Any) -> Callable[[System], None]:
    """Let the connector report this of its search."""
    found = replace_search(report(), ProbeResult(outcome=outcome, **parts))
    return lambda system: setattr(system.connector, "probes", found)


def replace_search(found: ProbeReport, result: ProbeResult) -> ProbeReport:
    return found.model_copy(update={"appointment_search": result})


def spec(**changes: Any) -> Callable[[System], None]:
    """Let the endpoint have another spec."""
    return lambda system: system.api.change(KEY, {"spec": changes})


def number(body: Any) -> Callable[[System], None]:
    """Let the endpoint link to a number that stands like this."""

    def arrange(system: System) -> None:
        if body is not None:
            system.api.put(body)
        system.api.change(KEY, {"spec": {"smsNumberRef": {"name": "lamna-sms"}}})

    return arrange


def tls(code: int | None = None, reason: str = "") -> Callable[[System], None]:
    return ends(Fetch.TLS_FAILED, "TLS failed", tls_code=code, tls_reason=reason, presented=CERTIFICATE)


def connector(**changes: Any) -> Callable[[System], None]:
    def arrange(system: System) -> None:
        for name, value in changes.items():
            setattr(system.connector, name, value)

    return arrange


def elder(system: System) -> None:
    system.api.put(endpoint_body("elder", creationTimestamp="2026-03-01T08:00:00Z"))


D, T, M, S, L = Type.DNS_RESOLVED, Type.TLS_TRUSTED, Type.METADATA_OK, Type.SMART_CONFIGURED, Type.LATENCY_OK
K, A, U, N = Type.TOKEN_GRANTED, Type.APPOINTMENT_SEARCH_OK, Type.URL_WELL_FORMED, Type.SMS_LINKED
ALGORITHMS = "token_endpoint_auth_signing_alg_values_supported"
P = ProbeOutcome

FAILURES: dict[str, Mode] = {
    "not https": Mode(spec(baseURL="http://x.example"), U, "NotAnHttpsUrl", "must be an https URL", (AUTHOR,), NEVER),
    "DSTU2 address": Mode(spec(baseURL="https://x.example/dstu2/y"), U, "Dstu2Address", "DSTU2", (AUTHOR,), NEVER),
    "claimed": Mode(elder, U, "BaseUrlClaimed", "'elder' has the same baseURL", (AUTHOR,), AT_ONCE),
    "no such name": Mode(ends(Fetch.NO_ADDRESS), D, "NoAddress", "has no address", (AUTHOR, PLATFORM)),
    "private address": Mode(
        ends(Fetch.ADDRESS_REFUSED, "'fhir' leads to 10.0.0.1"), D, "AddressRefused", "10.0.0.1", (PLATFORM, AUTHOR)
    ),
    "expired": Mode(tls(10), T, "CertificateExpired", "expired on 2026-03-01", (EHR_TEAM,)),
    "not yet valid": Mode(tls(9), T, "CertificateNotYetValid", "before 2026-03-03", (EHR_TEAM, PLATFORM)),
    "self-signed": Mode(tls(18), T, "AuthorityNotTrusted", "self-signed", (EHR_TEAM, PLATFORM)),
    "other authority": Mode(tls(20), T, "AuthorityNotTrusted", "issued by 'Strange CA'", (EHR_TEAM, PLATFORM)),
    "other name": Mode(tls(62), T, "CertificateForOtherName", "but for 'other.example'", (AUTHOR, EHR_TEAM)),
    "old TLS": Mode(tls(None, "UNSUPPORTED_PROTOCOL"), T, "TlsVersionTooOld", "no TLS 1.2 or later", (EHR_TEAM,)),
    "no TLS": Mode(tls(None, "WRONG_VERSION_NUMBER"), T, "NoTls", "does not speak TLS", (AUTHOR,)),
    "handshake": Mode(tls(None, "X"), T, "HandshakeFailed", "TLS failed", (EHR_TEAM, PLATFORM)),
    "down": Mode(
        ends(Fetch.UNREACHABLE, "connection refused"), M, "Unreachable", "connection refused", (EHR_TEAM, PLATFORM)
    ),
    "huge": Mode(ends(Fetch.TOO_LARGE, "longer than 4194304 bytes"), M, "AnswerTooLarge", "4194304", (AUTHOR,)),
    "compressed": Mode(ends(Fetch.COMPRESSED, "compressed"), M, "AnswerCompressed", "compressed", (EHR_TEAM,)),
    "redirect": Mode(metadata(status=302, redirect_host="login.example"), M, "Redirected", "login.example", (AUTHOR,)),
    "sign-in": Mode(metadata(status=401), M, "SignInDemanded", "status 401", (AUTHOR, EHR_TEAM)),
    "tenant": Mode(metadata(status=403), M, "TenantRefused", "status 403", (AUTHOR, EHR_TEAM)),
    "not found": Mode(metadata(status=404), M, "NotFound", "status 404", (AUTHOR,)),
    "server error": Mode(metadata(status=503), M, "ServerError", "status 503", (EHR_TEAM,)),
    "web page": Mode(metadata(content=Content.HTML, media_type="text/html"), M, "HtmlPage", "web page", (AUTHOR,)),
    "cut off": Mode(metadata(content=Content.BROKEN_JSON), M, "BrokenJson", "cut off", (EHR_TEAM,)),
    "charset": Mode(metadata(content=Content.NOT_UTF8, charset="utf-16"), M, "WrongCharset", "utf-16", (EHR_TEAM,)),
    "no JSON": Mode(metadata(content=Content.OTHER), M, "NotJson", "not JSON", (AUTHOR,)),
    "DSTU2": Mode(metadata({"fhirVersion": "1.0.2"}), M, "Dstu2Server", "DSTU2", (AUTHOR,)),
    "other version": Mode(metadata({"fhirVersion": "3.0.2"}), M, "WrongFhirVersion", "FHIR 3.0.2", (AUTHOR,)),
    "other document": Mode(metadata({"resourceType": "X"}), M, "NotACapabilityStatement", "/metadata", (AUTHOR,)),
    "no Appointment": Mode(
        metadata({"rest": []}), M, "InteractionsMissing", "patch, read, search-type on Appointment", (EHR_TEAM,)
    ),
    "no endpoint": Mode(smart({"token_endpoint": None}), S, "EndpointMissing", "token_endpoint", (EHR_TEAM,)),
    "http endpoint": Mode(smart({"issuer": "http://x.example"}), S, "EndpointNotHttps", "issuer", (EHR_TEAM,)),
    "no PKCE": Mode(smart({"code_challenge_methods_supported": []}), S, "PkceMissing", "S256", (EHR_TEAM,)),
    "plain PKCE": Mode(
        smart({"code_challenge_methods_supported": ["S256", "plain"]}), S, "PlainPkceOffered", "plain", (EHR_TEAM,)
    ),
    "no EHR launch": Mode(smart({"capabilities": []}), S, "EhrLaunchMissing", "launch-ehr", (EHR_TEAM,)),
    "no codes": Mode(
        smart({"grant_types_supported": ["client_credentials"]}), S, "CodeGrantMissing", "authorization_code", (EHR_TEAM,)
    ),
    "no system access": Mode(
        smart({"grant_types_supported": ["authorization_code"]}),
        S,
        "SystemAccessMissing",
        "client_credentials",
        (EHR_TEAM,),
    ),
    "no keys": Mode(
        smart({"token_endpoint_auth_methods_supported": None}),
        S,
        "KeyAuthenticationMissing",
        "private_key_jwt",
        (EHR_TEAM,),
    ),
    "no algorithm": Mode(smart({ALGORITHMS: ["none"]}), S, "SigningAlgorithmMissing", "ES384 nor RS384", (EHR_TEAM,)),
    "slow": Mode(
        lambda system: setattr(
            system.probes, "sees", Observation(answered(CAPABILITIES, elapsed_s=7.0), answered(SMART))
        ),
        L,
        "TooSlow",
        "longer than 5s (95th percentile of 1 look when",
        (EHR_TEAM, AUTHOR),
    ),
    "client unknown": Mode(
        token(P.REFUSED, http_status=400, error_code="invalid_client"),
        K,
        "Refused",
        "'lamna-system' (status 400, invalid_client)",
        (AUTHOR, EHR_TEAM),
    ),
    "scope unknown": Mode(
        token(P.REFUSED, error_code="invalid_scope"), K, "Refused", "invalid_scope", ("ehr team: add the scopes",)
    ),
    "token redirected": Mode(token(P.REFUSED, http_status=302), K, "Redirected", "status 302", (EHR_TEAM,)),
    "scopes": Mode(
        token(P.SCOPES_MISSING, missing_scopes=["system/Patient.read"]),
        K,
        "ScopesMissing",
        "did not grant system/Patient.read",
        (EHR_TEAM,),
    ),
    "tenant at token": Mode(token(P.TENANT_REFUSED, http_status=403), K, "TenantRefused", "status 403", (EHR_TEAM,)),
    "token not found": Mode(token(P.NOT_FOUND, http_status=404), K, "NotFound", "status 404", (AUTHOR,)),
    "token error": Mode(token(P.SERVER_ERROR, http_status=500), K, "ServerError", "status 500", (EHR_TEAM,)),
    "token strange": Mode(token(P.UNEXPECTED_ANSWER), K, "UnexpectedAnswer", "not what the standard", (EHR_TEAM,)),
    "token endpoint of another": Mode(
        token(P.UNEXPECTED_ANSWER, error_code="foreign_token_endpoint"),
        K,
        "ForeignTokenEndpoint",
        "another organisation's",
        (AUTHOR, EHR_TEAM, PLATFORM),
    ),
    "token unreachable": Mode(token(P.UNREACHABLE), K, "Unreachable", "the connector got no answer", (PLATFORM,)),
    "no address there": Mode(token(P.UNREACHABLE, error_code="no_address"), K, "Unreachable", "no address", (PLATFORM,)),
    "private there": Mode(
        token(P.UNREACHABLE, error_code="address_refused"),
        K,
        "Unreachable",
        "EHR_CONNECTOR_ALLOWED_NETWORKS",
        (PLATFORM,),
    ),
    "not trusted there": Mode(
        token(P.UNREACHABLE, error_code="tls_failed"), K, "Unreachable", "EHR_CONNECTOR_CA_FILE", (PLATFORM, EHR_TEAM)
    ),
    "too slow there": Mode(token(P.UNREACHABLE, error_code="too_slow"), K, "Unreachable", "in time", (EHR_TEAM,)),
    "no key there": Mode(token(P.NOT_CONFIGURED), K, "NotReached", "no key to sign with", (PLATFORM,), EACH_INTERVAL),
    "search refused": Mode(
        search(P.REFUSED, http_status=400, error_code="required"),
        A,
        "Refused",
        "the search (status 400, required)",
        ("author: compare appointments.locations",),
    ),
    "search forbidden": Mode(search(P.TENANT_REFUSED, http_status=403), A, "TenantRefused", "403", (EHR_TEAM,)),
    "search not found": Mode(search(P.NOT_FOUND, http_status=404), A, "NotFound", "404", (AUTHOR,)),
    "search error": Mode(search(P.SERVER_ERROR, http_status=504), A, "ServerError", "504", (EHR_TEAM,)),
    "search unreachable": Mode(search(P.UNREACHABLE), A, "Unreachable", "got no answer", (PLATFORM, EHR_TEAM)),
    "connector down": Mode(connector(down=True), K, "ConnectorUnavailable", "no usable answer", (PLATFORM,), ASKED),
    "connector new": Mode(connector(probes=None), K, "AwaitingConnector", "does not know", (NOBODY,), ASKED),
    "connector not trusted": Mode(
        connector(trusted=False), K, "ControlUrlNotTrusted", "EHR_OPERATOR_TRUSTED_URLS", (PLATFORM,)
    ),
    "no number": Mode(number(None), N, "SmsNumberNotFound", "'lamna-sms'", (AUTHOR,), AT_ONCE),
    "number of others": Mode(
        number(number_body(spec={"configRef": {"name": "other"}})), N, "SmsNumberOfOtherConfig", "another", (AUTHOR,), AT_ONCE
    ),
    "number not ready": Mode(
        number(number_body(status={"conditions": conditions_of(Ready="False:OutOfStock")})),
        N,
        "SmsNumberNotReady",
        "'lamna-sms' to be Ready",
        ("its own conditions say who must act",),
        AT_ONCE,
    ),
}  # fmt: skip


def described(system: System) -> dict[str, dict[str, str]]:
    """Return the conditions as they stand in status, which is what `kubectl describe` shows."""
    return {one["type"]: one for one in system.api.bodies[KEY]["status"]["conditions"]}


@pytest.mark.parametrize("mode", FAILURES.values(), ids=FAILURES.keys())
async def test_each_failure_is_told_with_its_cause_its_remedy_and_the_next_try(mode: Mode, system: System) -> None:
    system.api.put(endpoint_body())
    mode.arrange(system)
    await system.reconcile(KEY)

    shown = described(system)
    blamed, ready = shown[mode.condition], shown["Ready"]
    assert (blamed["status"] != "True", blamed["reason"]) == (True, mode.reason)
    assert (ready["status"], ready["reason"]) == ("False", mode.reason)
    for text in (blamed["message"], ready["message"]):
        assert mode.what in text
        assert not [who for who in mode.who if who not in text.lower()]
        assert mode.when in text
    assert ready["message"].startswith(f"{mode.condition.value}: "), "Ready says which check it was"


@pytest.mark.parametrize("mode", FAILURES.values(), ids=FAILURES.keys())
async def test_a_failure_that_stays_writes_nothing_more_however_often_it_is_looked_at(
    mode: Mode, system: System
) -> None:
    system.api.put(endpoint_body())
    mode.arrange(system)
    await system.reconcile(KEY)
    before = system.api.bodies[KEY]["status"]

    await system.run(KEY, 3600)
    system.restart()
    await system.run(KEY, 600)

    assert system.api.bodies[KEY]["status"] == before


async def test_the_next_try_is_told_by_the_interval_that_the_spec_gives(system: System) -> None:
    system.api.put(endpoint_body(spec={"validation": {"interval": "1h30m"}}))
    metadata(status=404)(system)
    await system.reconcile(KEY)

    assert "after 5 s at first, every 1h30m later" in described(system)["Ready"]["message"]


async def test_a_missing_organisation_is_told_with_who_applies_it_and_that_this_goes_on_at_once(system: System) -> None:
    system.api.remove(Key("EHRConnectorConfig", NAMESPACE, NAMESPACE))
    system.api.put(endpoint_body())
    await system.reconcile(KEY)

    told = described(system)["Ready"]["message"]
    assert described(system)["Ready"]["reason"] == "ConfigNotFound"
    assert "Author: apply it, or correct configRef" in told
    assert AT_ONCE in told
    system.api.put(config_body())
    assert (await system.reconcile(KEY)).state is State.READY


async def test_a_suspended_endpoint_tells_how_it_goes_on(system: System) -> None:
    system.api.put(endpoint_body(spec={"suspend": True}))
    await system.reconcile(KEY)

    assert "Author: set it to false, and it is looked at at once" in described(system)["Ready"]["message"]


@pytest.mark.parametrize(
    ("arrange", "condition", "reason", "words"),
    [
        pytest.param(
            lambda system: setattr(
                system.probes,
                "sees",
                Observation(answered(CAPABILITIES, certificate_expiry=START + timedelta(days=6)), answered(SMART)),
            ),
            T,
            "CertificateExpiresSoon",
            "expires on 2026-03-08, in less than 7 days. EHR team: renew it",
            id="certificate",
        ),
        pytest.param(
            metadata({"implementation": {"url": "https://other.example/r4"}}),
            M,
            "AddressDiffers",
            "calls itself 'https://other.example/r4' (implementation.url). Author: ",
            id="own address",
        ),
        pytest.param(
            metadata({"publisher": "Somebody"}), M, "OtherPublisher", "'Somebody' and not Oracle Health. Author: ", id="publisher"
        ),
        pytest.param(
            spec(baseURL="https://fhir.lamna.example/fihr/r4"),
            U,
            "AddressLooksWrong",
            "'/fihr/' looks like a mistyped '/fhir/'. Author: ",
            id="typo",
        ),
    ],
)  # fmt: skip
async def test_a_warning_leaves_the_endpoint_ready_and_is_found_from_its_summary(
    arrange: Callable[[System], Any], condition: Type, reason: str, words: str, system: System
) -> None:
    system.api.put(endpoint_body())
    arrange(system)
    await system.reconcile(KEY)

    shown = described(system)
    assert (shown["Ready"]["status"], shown[condition]["status"]) == ("True", "True")
    assert shown[condition]["reason"] == reason
    assert words in shown[condition]["message"]
    assert f"{condition.value} ({reason})" in shown["Validated"]["message"]
    assert shown["Validated"]["message"].endswith("checked again every 5m")


async def test_an_endpoint_that_was_not_looked_at_yet_by_this_process_says_when_it_will_be(system: System) -> None:
    system.api.put(endpoint_body(status={"observedGeneration": 1, "conditions": conditions_of(Validated="True")}))
    await system.reconcile(KEY)

    assert "The first look comes within 5m" in described(system)["MetadataOk"]["message"]
