"""Evidence to conditions, one function for each thing that can be wrong. Pure.

Each message says what was seen, who must act, and how to mend it. None holds a moving value, so that an unchanged result
writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from ehr_api.conditions import Finding, Type, false, true, unknown
from ehr_api.control import ProbeOutcome, ProbeReport, ProbeResult
from ehr_api.duration import seconds
from ehr_api.v1alpha1.fhir_endpoint import FhirEndpointSpec
from ehr_operator.fhir_endpoint.probes import Fetch, Fetched, Observation

FHIR_VERSION = "4.0.1"
DEFAULT_MAX_LATENCY = "5s"
_EXPIRES_SOON = timedelta(days=21)

_X509_EXPIRED = 10
_X509_SELF_SIGNED = (18, 19)
_X509_UNKNOWN_ISSUER = (2, 20, 21)
_X509_HOST_MISMATCH = (62, 64)
"""OpenSSL's X509_V_ERR_* (openssl-verification-options, x509_vfy.h)."""


def url_verdict(spec: FhirEndpointSpec, *, claimed_by: str | None) -> Finding:
    """Judge the address itself; `claimed_by` names an older endpoint of this organisation with the same address."""
    url = urlsplit(spec.base_url)
    problem = None
    if url.scheme != "https" or not url.hostname or url.username or url.query or url.fragment:
        problem = "NotAnHttpsUrl", "baseURL must be an https URL without user information, query or fragment"
    elif "dstu2" in url.path.lower().split("/"):
        problem = (
            "Dstu2Address",
            "baseURL is a DSTU2 address, which Oracle no longer serves: use the R4 address of the same tenant (/r4/...)",
        )
    elif claimed_by is not None:
        problem = (
            "BaseUrlClaimed",
            f"FhirEndpoint '{claimed_by}' has the same baseURL: one base URL belongs to one FhirEndpoint; delete one of them",
        )
    if problem is not None:
        return false(Type.URL_WELL_FORMED, *problem)
    return true(Type.URL_WELL_FORMED, "WellFormed", "baseURL is an https URL")


def network_verdicts(spec: FhirEndpointSpec, seen: Observation, now: datetime) -> tuple[Finding, ...]:
    """Judge what the probes without a key saw."""
    return (
        _dns(spec, seen.metadata),
        _tls(seen.metadata, now),
        _metadata(spec, seen.metadata),
        _smart(seen.smart),
        _latency(spec, seen.metadata),
    )


def keyed_verdicts(spec: FhirEndpointSpec, report: ProbeReport) -> tuple[Finding, Finding]:
    """Judge what the connector saw with its key."""
    return _token(spec, report.token), _search(spec, report.appointment_search)


def awaiting_connector(reason: str, message: str) -> tuple[Finding, Finding]:
    """Return the keyed conditions while the connector cannot be asked."""
    return unknown(Type.TOKEN_GRANTED, reason, message), unknown(Type.APPOINTMENT_SEARCH_OK, reason, message)


def _host(spec: FhirEndpointSpec) -> str:
    return urlsplit(spec.base_url).hostname or spec.base_url


def _dns(spec: FhirEndpointSpec, seen: Fetched) -> Finding:
    if seen.fetch is Fetch.NO_ADDRESS:
        return false(
            Type.DNS_RESOLVED,
            "NoAddress",
            f"the name '{_host(spec)}' has no address: compare baseURL with what the EHR vendor gave you",
        )
    if seen.fetch is Fetch.ADDRESS_REFUSED:
        return false(
            Type.DNS_RESOLVED,
            "AddressRefused",
            f"{seen.detail}, which is not a public address. If the EHR really is in that network, the platform team allows"
            " it with EHR_OPERATOR_ALLOWED_NETWORKS",
        )
    return true(Type.DNS_RESOLVED, "Resolved", f"'{_host(spec)}' has an address that may be connected to")


def _tls(seen: Fetched, now: datetime) -> Finding:
    if seen.fetch is Fetch.TLS_FAILED:
        reason, remedy = _tls_problem(seen)
        return false(Type.TLS_TRUSTED, reason, f"{seen.detail}. {remedy}")
    if seen.fetch not in {Fetch.ANSWERED, Fetch.TOO_LARGE}:
        return unknown(
            Type.TLS_TRUSTED, "NotReached", "no TLS connection was made, so nothing is known of the certificate"
        )
    if seen.certificate_expiry is not None and seen.certificate_expiry - now < _EXPIRES_SOON:
        return true(
            Type.TLS_TRUSTED,
            "CertificateExpiresSoon",
            f"the certificate expires on {seen.certificate_expiry:%Y-%m-%d}: ask the EHR's operator to renew it",
        )
    return true(Type.TLS_TRUSTED, "Trusted", "the server's certificate and name are trusted, with TLS 1.2 or later")


def _tls_problem(seen: Fetched) -> tuple[str, str]:
    if seen.tls_code == _X509_EXPIRED:
        return "CertificateExpired", "Ask the EHR's operator to renew the certificate"
    if seen.tls_code in _X509_HOST_MISMATCH:
        return "CertificateForOtherName", "Compare the host in baseURL with the names in the certificate"
    if seen.tls_code in (*_X509_SELF_SIGNED, *_X509_UNKNOWN_ISSUER):
        return (
            "AuthorityNotTrusted",
            "Ask for a certificate of a public authority, or add the authority with EHR_OPERATOR_CA_FILE",
        )
    return "HandshakeFailed", "The server must offer TLS 1.2 or later with a valid certificate"


def _metadata(spec: FhirEndpointSpec, seen: Fetched) -> Finding:
    if seen.fetch is not Fetch.ANSWERED:
        return _not_reached(Type.METADATA_OK, seen)
    problem = _answer_problem(seen, "/metadata")
    if problem is None:
        problem = _capability_problem(spec, seen.document or {})
    if problem is not None:
        return false(Type.METADATA_OK, *problem)
    return true(
        Type.METADATA_OK, "CapabilityStatementOk", f"FHIR {FHIR_VERSION} with the interactions that visits need"
    )


def _answer_problem(seen: Fetched, path: str) -> tuple[str, str] | None:
    """Return what is wrong with an answer before its content is looked at."""
    status = seen.status or 0
    if 300 <= status < 400:  # noqa: PLR2004 (RFC 9110: redirection)
        return (
            "Redirected",
            f"{path} redirects (status {status}), perhaps to a sign-in page: give the address of the API itself",
        )
    if status == HTTPStatus.FORBIDDEN:
        return (
            "TenantRefused",
            "the server refuses the tenant (status 403): check the tenant id in baseURL, and that the app is enabled for it",
        )
    if status == HTTPStatus.NOT_FOUND:
        return (
            "NotFound",
            f"{path} does not exist (status 404): baseURL must end where the FHIR API begins, before /metadata",
        )
    if status != HTTPStatus.OK:
        return (
            "ServerError",
            f"{path} answered with status {status}: it is tried again by itself; ask the EHR's operator",
        )
    if seen.document is None:
        kind = seen.media_type or "no media type"
        return "NotJson", f"{path} answered with {kind} that is not a JSON object: baseURL is not a FHIR API"
    return None


def _capability_problem(spec: FhirEndpointSpec, document: dict[str, Any]) -> tuple[str, str] | None:
    version = document.get("fhirVersion")
    if document.get("resourceType") == "Conformance" or version == "1.0.2":
        return (
            "Dstu2Server",
            "the server speaks FHIR DSTU2, which Oracle no longer supports: use the R4 address (/r4/...)",
        )
    if document.get("resourceType") != "CapabilityStatement":
        return "NotACapabilityStatement", "/metadata is no FHIR CapabilityStatement: baseURL is not a FHIR API"
    if version != FHIR_VERSION:
        return "WrongFhirVersion", f"the server speaks FHIR {str(version)[:16]}; {FHIR_VERSION} (R4) is needed"
    needed = {"read", "search-type"}
    if spec.appointments.write_back_links or spec.appointments.write_back_arrival:
        needed.add("patch")
    missing = sorted(needed - _appointment_interactions(document))
    if missing:
        return (
            "InteractionsMissing",
            f"the server does not offer {', '.join(missing)} on Appointment: ask the EHR's operator to enable it",
        )
    return None


def _appointment_interactions(document: dict[str, Any]) -> set[str]:
    """Return the interactions on Appointment; whatever is not shaped as FHIR says counts as not offered."""
    found: set[str] = set()
    for rest in _dicts(document.get("rest")):
        for resource in _dicts(rest.get("resource")):
            if resource.get("type") == "Appointment":
                found |= {str(interaction.get("code")) for interaction in _dicts(resource.get("interaction"))}
    return found


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType]  (JSON)


def strings(value: Any) -> list[str]:
    """Return the texts in a JSON list; what is no list, or no text, is left out."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType]  (JSON)


def _smart(seen: Fetched) -> Finding:
    if seen.fetch is not Fetch.ANSWERED:
        return _not_reached(Type.SMART_CONFIGURED, seen)
    problem = _answer_problem(seen, "/.well-known/smart-configuration") or _smart_problem(seen.document or {})
    if problem is not None:
        return false(Type.SMART_CONFIGURED, *problem)
    return true(
        Type.SMART_CONFIGURED, "SmartConfigurationOk", "EHR launch, PKCE and key-based system access are offered"
    )


def _smart_problem(document: dict[str, Any]) -> tuple[str, str] | None:
    """Source: SMART App Launch 2.2, "Conformance": fields of the SMART configuration."""
    for name in ("authorization_endpoint", "token_endpoint"):
        if not str(document.get(name, "")).startswith("https://"):
            return "EndpointMissing", f"the SMART configuration has no https {name}: ask the EHR's operator"
    requirements = (
        ("code_challenge_methods_supported", "S256", "PkceMissing"),
        ("capabilities", "launch-ehr", "EhrLaunchMissing"),
        ("grant_types_supported", "client_credentials", "SystemAccessMissing"),
        ("token_endpoint_auth_methods_supported", "private_key_jwt", "KeyAuthenticationMissing"),
    )
    for name, needed, reason in requirements:
        if needed not in strings(document.get(name)):
            return (
                reason,
                f"the SMART configuration does not list {needed} in {name}: ask the EHR's operator to enable it",
            )
    return None


def _latency(spec: FhirEndpointSpec, seen: Fetched) -> Finding:
    if seen.fetch is not Fetch.ANSWERED:
        return _not_reached(Type.LATENCY_OK, seen)
    limit = (spec.validation.max_latency if spec.validation else None) or DEFAULT_MAX_LATENCY
    if seen.elapsed_s > seconds(limit):
        return false(
            Type.LATENCY_OK,
            "TooSlow",
            f"/metadata took longer than {limit}: ask the EHR's operator, or raise validation.maxLatency",
        )
    return true(Type.LATENCY_OK, "FastEnough", f"/metadata answered within {limit}")


def _not_reached(type_: Type, seen: Fetched) -> Finding:
    if seen.fetch is Fetch.UNREACHABLE:
        return false(
            type_,
            "Unreachable",
            f"the server did not answer ({seen.detail}): check that it is up and reachable from this cluster; it is tried"
            " again by itself",
        )
    if seen.fetch is Fetch.TOO_LARGE:
        return false(type_, "AnswerTooLarge", f"{seen.detail}: baseURL is not a FHIR API")
    return unknown(type_, "NotReached", "could not be looked at, since an earlier check failed")


_KEYED_PROBLEMS = {
    ProbeOutcome.UNREACHABLE: (
        "Unreachable",
        "the connector got no answer: check that the connector may reach the EHR",
    ),
    ProbeOutcome.REFUSED: ("Refused", "the EHR refused the connector"),
    ProbeOutcome.TENANT_REFUSED: (
        "TenantRefused",
        "the EHR refuses the tenant (status 403): check that the app is enabled for it",
    ),
    ProbeOutcome.NOT_FOUND: ("NotFound", "there is no such API under baseURL (status 404)"),
    ProbeOutcome.SERVER_ERROR: ("ServerError", "the EHR failed or is busy; it is tried again by itself"),
    ProbeOutcome.UNEXPECTED_ANSWER: ("UnexpectedAnswer", "the answer is not what the standard asks for"),
}


def _token(spec: FhirEndpointSpec, result: ProbeResult) -> Finding:
    match result.outcome:
        case ProbeOutcome.PASSED:
            return true(Type.TOKEN_GRANTED, "Granted", "system access is granted for all scopes that are needed")
        case ProbeOutcome.SCOPES_MISSING:
            return false(
                Type.TOKEN_GRANTED,
                "ScopesMissing",
                f"the EHR did not grant {', '.join(result.missing_scopes[:10])}: add them to the registration of the client"
                f" '{spec.smart.system_client_id}'",
            )
        case ProbeOutcome.REFUSED:
            return false(
                Type.TOKEN_GRANTED,
                "Refused",
                f"the EHR refused the client '{spec.smart.system_client_id}'{_evidence(result)}: compare"
                " smart.systemClientID with the registration, and register the connector's JWKS URL there",
            )
        case ProbeOutcome.NOT_CONFIGURED:
            return unknown(
                Type.TOKEN_GRANTED,
                "NotReached",
                "the connector could not read the EHR's SMART configuration, or has no key yet",
            )
        case ProbeOutcome.NOT_RUN:
            return unknown(Type.TOKEN_GRANTED, "NotReached", "could not be looked at, since an earlier check failed")
        case outcome:
            reason, message = _KEYED_PROBLEMS[outcome]
            return false(Type.TOKEN_GRANTED, reason, f"token: {message}{_evidence(result)}")


def _search(spec: FhirEndpointSpec, result: ProbeResult) -> Finding:
    places = "appointments.locations" if spec.appointments.locations else "appointments.practitioners"
    match result.outcome:
        case ProbeOutcome.PASSED:
            return true(Type.APPOINTMENT_SEARCH_OK, "SearchOk", f"Appointments of {places} can be searched by date")
        case ProbeOutcome.NOT_RUN | ProbeOutcome.NOT_CONFIGURED | ProbeOutcome.SCOPES_MISSING:
            return unknown(
                Type.APPOINTMENT_SEARCH_OK, "NotReached", "could not be looked at, since no token was granted"
            )
        case ProbeOutcome.REFUSED:
            return false(
                Type.APPOINTMENT_SEARCH_OK,
                "Refused",
                f"the EHR refused the search{_evidence(result)}: compare {places} with the ids that the EHR team gave you",
            )
        case outcome:
            reason, message = _KEYED_PROBLEMS[outcome]
            return false(Type.APPOINTMENT_SEARCH_OK, reason, f"Appointment search: {message}{_evidence(result)}")


def _evidence(result: ProbeResult) -> str:
    parts = [f"status {result.http_status}"] if result.http_status else []
    if result.error_code:
        parts.append(result.error_code)
    return f" ({', '.join(parts)})" if parts else ""


def all_true(findings: Sequence[Finding]) -> bool:
    """Return whether every finding holds."""
    return all(finding.status == "True" for finding in findings)
