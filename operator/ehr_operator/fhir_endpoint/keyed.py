"""From the connector's report to the conditions of the probes that need its key. Pure."""

from __future__ import annotations

from ehr_api.conditions import Finding, Type, false, true, unknown
from ehr_api.control import ProbeOutcome, ProbeReport, ProbeResult
from ehr_api.profile import system_scopes
from ehr_api.v1alpha1.fhir_endpoint import FhirEndpointSpec
from ehr_operator.fhir_endpoint.words import interval_text, shown

_NO_ANSWER = {
    "no_address": "found no address for its name. Platform team: check the DNS where the connector runs",
    "address_refused": "may not connect to its address, which is not public. Platform team: if the EHR really is in that"
    " network, allow it with EHR_CONNECTOR_ALLOWED_NETWORKS",
    "tls_failed": "does not trust its certificate, or finds no common TLS version. Platform team: add the authority with"
    " EHR_CONNECTOR_CA_FILE; EHR team: look at the certificate",
    "too_slow": "got no complete answer in time. EHR team: find out why it is so slow",
}
"""What the connector says of an EHR that did not answer (`errorCode`)."""
_NO_ANSWER_AT_ALL = (
    "got no answer. Platform team: check that the connector may reach the EHR (firewall, proxy, network policy); EHR team:"
    " check that it is up"
)
_PROBLEMS = {
    ProbeOutcome.TENANT_REFUSED: (
        "TenantRefused",
        (
            "the EHR refuses the tenant{evidence}. EHR team: enable the app of smart.systemClientID for it; author: compare the"
            " tenant id in baseURL"
        ),
    ),
    ProbeOutcome.NOT_FOUND: (
        "NotFound",
        "there is no such API under baseURL{evidence}. Author: compare baseURL with what the EHR team gave you",
    ),
    ProbeOutcome.SERVER_ERROR: (
        "ServerError",
        "the EHR failed or is busy{evidence}. EHR team, if it stays: find out why",
    ),
    ProbeOutcome.UNEXPECTED_ANSWER: (
        "UnexpectedAnswer",
        "the answer is not what the standard asks for{evidence}. EHR team: compare it with SMART App Launch 2.2 and FHIR R4",
    ),
}
_BY_OAUTH_ERROR = {
    "invalid_scope": "EHR team: add the scopes of the IntegrationRecord to the client's registration",
    "unauthorized_client": "EHR team: allow the grant client_credentials to this client",
    "unsupported_grant_type": "EHR team: enable the grant client_credentials",
}
"""Source: RFC 6749 section 5.2."""
_REGISTER = "Author: compare smart.systemClientID with the registration; EHR team: register the JWKS URL of the IntegrationRecord"


_FOREIGN_TOKEN_ENDPOINT = (
    "ForeignTokenEndpoint",
    (
        "token: the SMART configuration names a token endpoint that the connector knows as another organisation's, so that nothing is"
        " asked of it. Author: compare baseURL with what the EHR team gave you; EHR team: look at token_endpoint; platform team: find"
        " out who else has configured that EHR"
    ),
)


def keyed_verdicts(spec: FhirEndpointSpec, report: ProbeReport) -> tuple[Finding, Finding]:
    """Judge what the connector saw with its key."""
    return _token(spec, report.token), _search(spec, report.appointment_search)


def awaiting_connector(reason: str, message: str) -> tuple[Finding, Finding]:
    """Return the keyed conditions while the connector cannot be asked."""
    return unknown(Type.TOKEN_GRANTED, reason, message), unknown(Type.APPOINTMENT_SEARCH_OK, reason, message)


def _token(spec: FhirEndpointSpec, result: ProbeResult) -> Finding:
    match result.outcome:
        case ProbeOutcome.PASSED:
            return true(Type.TOKEN_GRANTED, "Granted", "system access is granted for all scopes that are needed")
        case ProbeOutcome.SCOPES_MISSING:
            missing = ", ".join(shown(scope, 64) for scope in result.missing_scopes[:10])
            return false(
                Type.TOKEN_GRANTED,
                "ScopesMissing",
                f"of the {len(system_scopes(spec))} scopes that are needed, the EHR did not grant {missing}. EHR team: add them"
                f" to the registration of the client '{spec.smart.system_client_id}'",
            )
        case ProbeOutcome.REFUSED:
            reason, message = _refused(result) or (
                "Refused",
                (
                    f"the EHR refused the client '{spec.smart.system_client_id}'{_evidence(result)}."
                    f" {_BY_OAUTH_ERROR.get(result.error_code or '', _REGISTER)}"
                ),
            )
            return false(Type.TOKEN_GRANTED, reason, message)
        case ProbeOutcome.NOT_CONFIGURED:
            return unknown(
                Type.TOKEN_GRANTED,
                "NotReached",
                "the connector has no key to sign with yet. Platform team: look into its folder EHR_CONNECTOR_KEYS_DIR. Looked"
                f" at again every {interval_text(spec)}",
            )
        case ProbeOutcome.NOT_RUN:
            return unknown(Type.TOKEN_GRANTED, "NotReached", "could not be looked at, since an earlier check failed")
        case _:
            return false(Type.TOKEN_GRANTED, *_problem("token", result))


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
            reason, message = _refused(result) or (
                "Refused",
                (
                    f"the EHR refused the search{_evidence(result)}. Author: compare {places} with the ids that the EHR team gave"
                    " you"
                ),
            )
            return false(Type.APPOINTMENT_SEARCH_OK, reason, message)
        case _:
            return false(Type.APPOINTMENT_SEARCH_OK, *_problem("Appointment search", result))


def _refused(result: ProbeResult) -> tuple[str, str] | None:
    """Return what a refusal is that is not about client or search."""
    if result.http_status is not None and 300 <= result.http_status < 400:  # noqa: PLR2004 (RFC 9110: redirection)
        return (
            "Redirected",
            (
                f"the EHR redirects{_evidence(result)}, perhaps to a sign-in page; redirects are not followed. EHR team: let the"
                " API answer itself"
            ),
        )
    return None


def _problem(probe: str, result: ProbeResult) -> tuple[str, str]:
    if result.error_code == "foreign_token_endpoint":
        return _FOREIGN_TOKEN_ENDPOINT
    if result.outcome is ProbeOutcome.UNREACHABLE:
        why = _NO_ANSWER.get(result.error_code or "", _NO_ANSWER_AT_ALL)
        return "Unreachable", f"{probe}: where the EHR is asked with its key, the connector {why}"
    reason, message = _PROBLEMS[result.outcome]
    return reason, f"{probe}: {message.format(evidence=_evidence(result))}"


def _evidence(result: ProbeResult) -> str:
    parts = [f"status {result.http_status}"] if result.http_status else []
    if result.error_code:
        parts.append(shown(result.error_code, 64))
    return f" ({', '.join(parts)})" if parts else ""
