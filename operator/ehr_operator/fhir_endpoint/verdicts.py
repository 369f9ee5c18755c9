"""Evidence to conditions, one function for each thing that can be wrong. Pure.

Each message says what was seen, who must act, and how to mend it. None holds a moving value, so that an unchanged result
writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import SplitResult, urlsplit

from ehr_api.conditions import Finding, Type, false, true, unknown
from ehr_api.duration import seconds
from ehr_api.v1alpha1.fhir_endpoint import FhirEndpointSpec
from ehr_clients.guard import Certificate
from ehr_operator.fhir_endpoint.address import suspicion
from ehr_operator.fhir_endpoint.answers import not_reached
from ehr_operator.fhir_endpoint.capability import capability_verdict
from ehr_operator.fhir_endpoint.latency import PERCENTILE, percentile
from ehr_operator.fhir_endpoint.probes import Fetch, Fetched, Observation
from ehr_operator.fhir_endpoint.smart_configuration import smart_verdict
from ehr_operator.fhir_endpoint.words import shown

DEFAULT_MAX_LATENCY = "5s"
_EXPIRY_WARNINGS = (1, 7, 21)
"""Days before a certificate's end from which the warning says so: each writes status once."""
WARNINGS = frozenset({"AddressLooksWrong", "CertificateExpiresSoon", "AddressDiffers", "OtherPublisher"})
"""Reasons of checks that hold, and yet want somebody's attention."""

_X509_NOT_YET_VALID = 9
_X509_EXPIRED = 10
_X509_SELF_SIGNED = (18, 19)
_X509_UNKNOWN_ISSUER = (2, 20, 21)
_X509_HOST_MISMATCH = (62, 64)
"""OpenSSL's X509_V_ERR_* (openssl-verification-options, x509_vfy.h)."""
_NO_COMMON_VERSION = {
    "TLSV1_ALERT_PROTOCOL_VERSION",
    "UNSUPPORTED_PROTOCOL",
    "NO_PROTOCOLS_AVAILABLE",
    "VERSION_TOO_LOW",
    "TLSV1_ALERT_INSUFFICIENT_SECURITY",
}
_NO_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"}
"""OpenSSL's SSL_R_* (sslerr.h), as Python names them."""
_NAMES_SHOWN = 3


def url_verdict(spec: FhirEndpointSpec, *, claimed_by: str | None) -> Finding:
    """Judge the address itself; `claimed_by` names an older endpoint of this organisation with the same address."""
    url = _split(spec.base_url)
    problem = None
    if url is None or url.scheme != "https" or not url.hostname or url.username or url.query or url.fragment:
        problem = (
            "NotAnHttpsUrl",
            (
                "baseURL must be an https URL without user information, query or fragment. Author: create a new FhirEndpoint,"
                " since the address of one never changes. Nothing is asked until then"
            ),
        )
    elif "dstu2" in url.path.lower().split("/"):
        problem = (
            "Dstu2Address",
            (
                "baseURL is a DSTU2 address, which Oracle no longer serves. Author: use the R4 address of the same tenant"
                " (/r4/...), in a new FhirEndpoint. Nothing is asked until then"
            ),
        )
    elif claimed_by is not None:
        problem = (
            "BaseUrlClaimed",
            (
                f"FhirEndpoint '{claimed_by}' has the same baseURL, and one base URL belongs to one FhirEndpoint. Author: delete"
                " one of them. This one goes on as soon as the other is gone"
            ),
        )
    if problem is not None:
        return false(Type.URL_WELL_FORMED, *problem)
    suspect = suspicion(spec.base_url)
    if suspect is not None:
        return true(
            Type.URL_WELL_FORMED,
            "AddressLooksWrong",
            f"baseURL is an https URL, but {suspect}. Author: compare it with what the EHR team gave you",
        )
    return true(Type.URL_WELL_FORMED, "WellFormed", "baseURL is an https URL")


def _split(address: str) -> SplitResult | None:
    try:
        url = urlsplit(address)
        port = url.port
    except ValueError:  # brackets that do not match, a port that is none
        return None
    return None if port == 0 else url


def network_verdicts(
    spec: FhirEndpointSpec, seen: Observation, latencies: Sequence[float], now: datetime
) -> tuple[Finding, ...]:
    """Judge what the probes without a key saw; `latencies` are those of the last looks, in seconds."""
    return (
        _dns(spec, seen.metadata),
        _tls(spec, seen.metadata, now),
        capability_verdict(spec, seen.metadata),
        smart_verdict(spec.base_url, seen.smart),
        _latency(spec, seen.metadata, latencies),
    )


def host_of(spec: FhirEndpointSpec) -> str:
    """Return the host of the base URL."""
    return urlsplit(spec.base_url).hostname or spec.base_url


def max_latency(spec: FhirEndpointSpec) -> str:
    """Return the slowest acceptable answer, as the spec writes it."""
    return (spec.validation.max_latency if spec.validation else None) or DEFAULT_MAX_LATENCY


def _dns(spec: FhirEndpointSpec, seen: Fetched) -> Finding:
    if seen.fetch is Fetch.NO_ADDRESS:
        return false(
            Type.DNS_RESOLVED,
            "NoAddress",
            f"the name '{host_of(spec)}' has no address. Author: compare baseURL with what the EHR team gave you; platform"
            " team: check the DNS of this cluster",
        )
    if seen.fetch is Fetch.ADDRESS_REFUSED:
        return false(
            Type.DNS_RESOLVED,
            "AddressRefused",
            f"{seen.detail}, which is not a public address. Platform team: if the EHR really is in that network, allow it"
            " with EHR_OPERATOR_ALLOWED_NETWORKS; author: otherwise compare baseURL with what the EHR team gave you",
        )
    return true(Type.DNS_RESOLVED, "Resolved", f"'{host_of(spec)}' has an address that may be connected to")


def _tls(spec: FhirEndpointSpec, seen: Fetched, now: datetime) -> Finding:
    if seen.fetch is Fetch.TLS_FAILED:
        return false(Type.TLS_TRUSTED, *_tls_problem(spec, seen))
    if seen.fetch not in {Fetch.ANSWERED, Fetch.TOO_LARGE, Fetch.COMPRESSED}:
        return unknown(
            Type.TLS_TRUSTED, "NotReached", "no TLS connection was made, so nothing is known of the certificate"
        )
    expiry = seen.certificate_expiry
    left = next((days for days in _EXPIRY_WARNINGS if expiry and expiry - now < timedelta(days=days)), None)
    if expiry is not None and left is not None:
        return true(
            Type.TLS_TRUSTED,
            "CertificateExpiresSoon",
            f"the certificate expires on {expiry:%Y-%m-%d}, in less than {left} day{'s' if left > 1 else ''}. EHR team: renew"
            " it; from that day on the endpoint fails",
        )
    version = f"{seen.tls_version.replace('TLSv', 'TLS ')}: " if seen.tls_version else ""
    return true(Type.TLS_TRUSTED, "Trusted", f"{version}chain, name and dates of the certificate are accepted")


def _tls_problem(spec: FhirEndpointSpec, seen: Fetched) -> tuple[str, str]:
    shows = seen.presented
    if seen.tls_code == _X509_EXPIRED:
        when = f" on {shows.not_after:%Y-%m-%d}" if shows else ""
        return "CertificateExpired", f"the certificate expired{when}. EHR team: renew it"
    if seen.tls_code == _X509_NOT_YET_VALID:
        when = f" before {shows.not_before:%Y-%m-%d %H:%M} UTC" if shows else " yet"
        return (
            "CertificateNotYetValid",
            (
                f"the certificate is not valid{when}. EHR team: look at the certificate; platform team: compare the clocks of"
                " this cluster"
            ),
        )
    if seen.tls_code in _X509_HOST_MISMATCH:
        return (
            "CertificateForOtherName",
            (
                f"the certificate is not for '{host_of(spec)}'{_names(shows)}. Author: compare the host in baseURL with the names"
                " in the certificate; EHR team: or get a certificate for this name"
            ),
        )
    if seen.tls_code in (*_X509_SELF_SIGNED, *_X509_UNKNOWN_ISSUER):
        how = "is self-signed" if seen.tls_code in _X509_SELF_SIGNED else "is of an authority that is not trusted"
        by = f" (issued by '{shown(shows.issuer)}')" if shows and shows.issuer else ""
        return (
            "AuthorityNotTrusted",
            (
                f"the certificate, or one in its chain, {how}{by}. EHR team: get one of a public authority, and send the"
                " intermediate certificates with it; platform team: or add the authority with EHR_OPERATOR_CA_FILE"
            ),
        )
    if seen.tls_reason in _NO_COMMON_VERSION:
        return "TlsVersionTooOld", f"the server offers no TLS 1.2 or later ({seen.tls_reason}). EHR team: enable it"
    if seen.tls_reason in _NO_TLS:
        return (
            "NoTls",
            (
                f"the server does not speak TLS at this port ({seen.tls_reason}). Author: compare host and port in baseURL with"
                " what the EHR team gave you"
            ),
        )
    return (
        "HandshakeFailed",
        (
            f"{seen.detail}. EHR team: offer TLS 1.2 or later with a valid certificate; platform team: check that nothing on"
            " the way breaks the connection off (firewall, proxy)"
        ),
    )


def _names(certificate: Certificate | None) -> str:
    if certificate is None or not certificate.names:
        return ""
    names = ", ".join(f"'{shown(name, 64)}'" for name in certificate.names[:_NAMES_SHOWN])
    more = len(certificate.names) - _NAMES_SHOWN
    return f", but for {names}" + (f" and {more} more" if more > 0 else "")


def _latency(spec: FhirEndpointSpec, seen: Fetched, latencies: Sequence[float]) -> Finding:
    if seen.fetch is not Fetch.ANSWERED or not latencies:
        return not_reached(Type.LATENCY_OK, seen)
    limit = max_latency(spec)
    looks = (
        f"{PERCENTILE}th percentile of {len(latencies)} look{'s' if len(latencies) > 1 else ''} when this was decided"
    )
    if percentile(latencies) > seconds(limit):
        return false(
            Type.LATENCY_OK,
            "TooSlow",
            f"/metadata takes longer than {limit} ({looks}). EHR team: find out why; author: or raise validation.maxLatency",
        )
    return true(Type.LATENCY_OK, "FastEnough", f"/metadata answers within {limit} ({looks})")


def all_true(findings: Sequence[Finding]) -> bool:
    """Return whether every finding holds."""
    return all(finding.status == "True" for finding in findings)
