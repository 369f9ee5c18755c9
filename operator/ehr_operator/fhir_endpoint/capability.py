"""Does the CapabilityStatement promise what visits need? Pure.

Source: FHIR R4, CapabilityStatement; Millennium Platform APIs (publisher, implementation.url, no software element).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from ehr_api.conditions import Finding, Type, false, true
from ehr_api.v1alpha1.fhir_endpoint import FhirEndpointSpec
from ehr_operator.fhir_endpoint.answers import answer_problem, not_reached
from ehr_operator.fhir_endpoint.probes import Fetch, Fetched
from ehr_operator.fhir_endpoint.words import shown

FHIR_VERSION = "4.0.1"
_PUBLISHERS = {"cerner", "oracle health"}
_HTTPS_PORT = 443


def capability_verdict(spec: FhirEndpointSpec, seen: Fetched) -> Finding:
    """Judge the answer to `/metadata`."""
    if seen.fetch is not Fetch.ANSWERED:
        return not_reached(Type.METADATA_OK, seen)
    document = seen.document or {}
    problem = answer_problem(seen, "/metadata") or _problem(spec, document)
    if problem is not None:
        return false(Type.METADATA_OK, *problem)
    fine = f"FHIR {FHIR_VERSION} with the interactions that visits need"
    warning = _warning(spec, document)
    if warning is not None:
        reason, message = warning
        return true(Type.METADATA_OK, reason, f"{fine}; but {message}")
    return true(Type.METADATA_OK, "CapabilityStatementOk", fine)


def _problem(spec: FhirEndpointSpec, document: dict[str, Any]) -> tuple[str, str] | None:
    version = document.get("fhirVersion")
    if document.get("resourceType") == "Conformance" or version == "1.0.2":
        return (
            "Dstu2Server",
            (
                "the server speaks FHIR DSTU2, which Oracle no longer supports. Author: use the R4 address (/r4/...), in a new"
                " FhirEndpoint"
            ),
        )
    if document.get("resourceType") != "CapabilityStatement":
        return (
            "NotACapabilityStatement",
            (
                "/metadata is no FHIR CapabilityStatement. Author: baseURL is not the address of a FHIR API, compare it with"
                " what the EHR team gave you"
            ),
        )
    if version != FHIR_VERSION:
        stated = f"FHIR {shown(version, 16)}" if version else "a FHIR version that it does not state"
        return (
            "WrongFhirVersion",
            (
                f"the server speaks {stated}, and {FHIR_VERSION} (R4) is needed. Author: use the R4 address, in a new"
                " FhirEndpoint"
            ),
        )
    needed = {"read", "search-type"}
    if spec.appointments.write_back_links or spec.appointments.write_back_arrival:
        needed.add("patch")
    missing = sorted(needed - _appointment_interactions(document))
    if missing:
        instead = "; author: or switch off writeBackLinks and writeBackArrival" if missing == ["patch"] else ""
        return (
            "InteractionsMissing",
            f"the server does not offer {', '.join(missing)} on Appointment. EHR team: enable it{instead}",
        )
    return None


def _warning(spec: FhirEndpointSpec, document: dict[str, Any]) -> tuple[str, str] | None:
    """Return what is no failure, and yet may mean that this is another server than was meant."""
    implementation = document.get("implementation")
    own = implementation.get("url") if isinstance(implementation, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  (JSON)
    if isinstance(own, str) and own and _normal(own) != _normal(spec.base_url):
        return (
            "AddressDiffers",
            (
                f"the server calls itself '{_shown_address(own)}' (implementation.url). Author: if launches name that address,"
                " baseURL must be the same"
            ),
        )
    publisher = document.get("publisher")
    if isinstance(publisher, str) and publisher and publisher.strip().lower() not in _PUBLISHERS:
        return (
            "OtherPublisher",
            (
                f"its publisher is '{shown(publisher)}' and not Oracle Health. Author: compare baseURL with what the EHR team"
                " gave you"
            ),
        )
    return None


def _normal(address: str) -> tuple[str, str | None, int, str]:
    try:
        url = urlsplit(address)
        return url.scheme.lower(), url.hostname, url.port or _HTTPS_PORT, url.path.rstrip("/")
    except ValueError:
        return "", None, 0, ""


def _shown_address(address: str) -> str:
    """Return scheme, host and path: what else an address has may be a secret."""
    scheme, host, _, path = _normal(address)
    return shown(f"{scheme}://{host}{path}") if host else "what is no address"


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
