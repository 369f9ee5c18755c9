"""Why a launch ended: each reason with what the page says, for whom, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

from ehr_connector.directory import Site
from ehr_connector.web.locales import N_


class Initiator(StrEnum):
    """Who launches."""

    PROVIDER = "provider"
    PATIENT = "patient"


class LaunchReason(StrEnum):
    """The reasons, as metrics count them."""

    INVALID_REQUEST = "invalid_request"
    UNKNOWN_ISSUER = "unknown_issuer"
    WRONG_RECORD = "wrong_record"
    INACTIVE = "inactive"
    EHR_UNAVAILABLE = "ehr_unavailable"
    EHR_REFUSED = "ehr_refused"
    INVALID_STATE = "invalid_state"
    EXPIRED_STATE = "expired_state"
    REPLAYED_STATE = "replayed_state"
    EXPIRED_SESSION = "expired_session"
    OTHER_BROWSER = "other_browser"
    INVALID_IDENTITY = "invalid_identity"
    SCOPES_MISSING = "scopes_missing"
    NO_PATIENT = "no_patient"
    NO_FHIR_USER = "no_fhir_user"
    PKCE_MISSING = "pkce_missing"
    NOT_CONFIGURED = "not_configured"
    NO_VISIT = "no_visit"


@dataclass(frozen=True, slots=True)
class Words:
    """What the page says."""

    status: HTTPStatus
    title: str
    text: str
    remedy: str
    audience: str


_EHR_ADMIN = N_("For the EHR administrator of your organization.")
_PLATFORM = N_("For the platform team of your organization.")
_YOU = N_("For you.")
_AGAIN = N_("Close this page and open the visit from the patient's chart again.")

WORDS = {
    LaunchReason.INVALID_REQUEST: Words(
        HTTPStatus.BAD_REQUEST,
        N_("This is not a launch from the EHR"),
        N_("The address must carry iss and launch, each once, as an EHR launch does (SMART App Launch)."),
        N_("Open the visit from the patient's chart. If you did, compare the launch URL with the integration record."),
        _EHR_ADMIN,
    ),
    LaunchReason.UNKNOWN_ISSUER: Words(
        HTTPStatus.FORBIDDEN,
        N_("This EHR is not set up here"),
        N_("No FHIR base URL of this connector is the one that the EHR sent as iss: %(iss)s"),
        N_("Add a FhirEndpoint with this base URL, or correct the one that was meant to have it."),
        _PLATFORM,
    ),
    LaunchReason.WRONG_RECORD: Words(
        HTTPStatus.FORBIDDEN,
        N_("Test and Production are mixed up"),
        N_(
            "The launch came from %(endpoint)s (%(environment)s), with the integration record of"
            " %(record_endpoint)s (%(record_environment)s). No visit was started."
        ),
        N_("Copy the integration record of %(endpoint)s into this EHR in place of the other one."),
        _EHR_ADMIN,
    ),
    LaunchReason.INACTIVE: Words(
        HTTPStatus.FORBIDDEN,
        N_("Visits are not active yet at this endpoint"),
        N_("%(endpoint)s (%(environment)s) is configured but not active: it is not validated, or not promoted."),
        N_("`kubectl describe fhir %(endpoint)s -n %(namespace)s` says what is missing."),
        _PLATFORM,
    ),
    LaunchReason.EHR_UNAVAILABLE: Words(
        HTTPStatus.BAD_GATEWAY,
        N_("The EHR does not answer"),
        N_("The EHR's authorization server or FHIR server gave no usable answer just now."),
        N_("Try again in a minute. Until then, call the patient by phone."),
        _YOU,
    ),
    LaunchReason.EHR_REFUSED: Words(
        HTTPStatus.FORBIDDEN,
        N_("The EHR refused the launch"),
        N_("Its authorization server answered with the error %(error)s."),
        N_("Open the visit again. If it stays so, compare client id, redirect URI and scopes with the record."),
        _EHR_ADMIN,
    ),
    LaunchReason.INVALID_STATE: Words(
        HTTPStatus.BAD_REQUEST,
        N_("This launch was not begun here"),
        N_("The answer of the EHR carries no state of ours, or one that was changed on the way."),
        _AGAIN,
        _YOU,
    ),
    LaunchReason.EXPIRED_STATE: Words(
        HTTPStatus.BAD_REQUEST,
        N_("This launch took too long"),
        N_("More than ten minutes passed between the beginning of the launch and the EHR's answer."),
        _AGAIN,
        _YOU,
    ),
    LaunchReason.REPLAYED_STATE: Words(
        HTTPStatus.BAD_REQUEST,
        N_("This launch was used already"),
        N_("Each launch counts once. This page was loaded again, or its address was copied."),
        _AGAIN,
        _YOU,
    ),
    LaunchReason.EXPIRED_SESSION: Words(
        HTTPStatus.BAD_REQUEST,
        N_("This page is too old"),
        N_("Hours have passed since the visit was opened from the chart."),
        _AGAIN,
        _YOU,
    ),
    LaunchReason.OTHER_BROWSER: Words(
        HTTPStatus.BAD_REQUEST,
        N_("This page belongs to another browser window"),
        N_("What was begun in one browser cannot go on in another, or this browser keeps no cookies for this page."),
        N_("Open the visit from the patient's chart again. If it stays so, allow cookies for this address."),
        _YOU,
    ),
    LaunchReason.INVALID_IDENTITY: Words(
        HTTPStatus.FORBIDDEN,
        N_("The EHR did not prove who you are"),
        N_("The id token of the launch is missing or does not hold: issuer, audience, nonce, signature or time."),
        N_("Open the visit again. If it stays so, check that the SMART app may use openid and fhirUser."),
        _EHR_ADMIN,
    ),
    LaunchReason.SCOPES_MISSING: Words(
        HTTPStatus.FORBIDDEN,
        N_("The EHR granted too little"),
        N_("These scopes are missing: %(scopes)s"),
        N_("Grant the SMART app the scopes of the integration record."),
        _EHR_ADMIN,
    ),
    LaunchReason.NO_FHIR_USER: Words(
        HTTPStatus.FORBIDDEN,
        N_("The EHR did not say who you are"),
        N_("It granted the scope fhirUser, but its id token names no user's resource, such as a Practitioner."),
        N_("Connect the user's account in the EHR with its Practitioner, and open the visit again."),
        _EHR_ADMIN,
    ),
    LaunchReason.PKCE_MISSING: Words(
        HTTPStatus.BAD_GATEWAY,
        N_("The EHR does not protect launches as it must"),
        N_(
            "Its SMART configuration does not list S256 under code_challenge_methods_supported (PKCE). Without it, whoever"
            " sees the code of a launch could use it."
        ),
        N_("Switch PKCE with S256 on at the EHR's authorization server, and open the visit again."),
        _EHR_ADMIN,
    ),
    LaunchReason.NO_PATIENT: Words(
        HTTPStatus.BAD_REQUEST,
        N_("The EHR named no patient"),
        N_("A visit begins from a patient's chart; this launch came without a patient."),
        N_("Open the patient's chart first, and the visit from there."),
        _YOU,
    ),
    LaunchReason.NOT_CONFIGURED: Words(
        HTTPStatus.SERVICE_UNAVAILABLE,
        N_("The connector is not set up completely"),
        N_("A key or a credential of the connector is missing."),
        N_("The connector's /readyz and the conditions of the EHRConnectorConfig say which."),
        _PLATFORM,
    ),
    LaunchReason.NO_VISIT: Words(
        HTTPStatus.NOT_FOUND,
        N_("There is no video visit today"),
        N_("The EHR knows no booked video visit of yours for today."),
        N_("Open the link in your text message or e-mail on the day of the visit, or call the clinic."),
        _YOU,
    ),
}


class LaunchError(Exception):
    """Ends a launch with a page. `values` are shown in its words; they name nobody."""

    def __init__(self, reason: LaunchReason, **values: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.values = values
        self.site: Site | None = None
        """Whose launch it was, as far as one can tell: the page stands in the frame of its EHR, with its phone number."""
        self.initiator: Initiator | None = None
