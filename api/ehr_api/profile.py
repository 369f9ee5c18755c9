"""The profile: what a Test endpoint and its Production endpoint must share, and the SMART scopes that follow from it."""

from __future__ import annotations

from typing import Any

from ehr_api.digest import digest_of
from ehr_api.v1alpha1.ehr_connector_config import EHRConnectorConfigSpec
from ehr_api.v1alpha1.fhir_endpoint import FhirEndpointSpec, PromotedProfile

_READ = ("Appointment", "Encounter", "Location", "Patient", "Practitioner")


def clinician_scopes(spec: FhirEndpointSpec) -> list[str]:
    """Return the scopes of an EHR launch, sorted. Cerner knows no wildcards, so each resource is named.

    Source: SMART App Launch 2.2, section 3.0.2 (scopes); Cerner's list in its smart-configuration.
    """
    scopes = {"launch", "openid", "fhirUser", "online_access", *(f"user/{resource}.read" for resource in _READ)}
    if _writes(spec):
        scopes.add("user/Appointment.write")
    return sorted(scopes)


def system_scopes(spec: FhirEndpointSpec) -> list[str]:
    """Return the scopes of system access (SMART Backend Services), sorted."""
    scopes = {f"system/{resource}.read" for resource in _READ}
    if _writes(spec):
        scopes.add("system/Appointment.write")
    return sorted(scopes)


def profile_digest(endpoint: FhirEndpointSpec, organization: EHRConnectorConfigSpec) -> str:
    """Return the digest of what Test and Production must share.

    Scopes, visit types, write-back switches, the shape of departments, and the organisation's visit and notification
    settings; not base URL, environment, client ids, locations, practitioners or time zone, which rightly differ.
    """
    shared = _of_endpoint(endpoint) | {
        "visits": organization.visits.to_api() if organization.visits else None,
        "smsNotifications": organization.sms_notifications.to_api() if organization.sms_notifications else None,
        "emailNotifications": organization.email_notifications.to_api() if organization.email_notifications else None,
    }
    return digest_of(shared)


def promoted_profile(endpoint: FhirEndpointSpec, organization: EHRConnectorConfigSpec) -> PromotedProfile:
    """Return what to remember of a Production endpoint that is promoted as it is now."""
    return PromotedProfile(
        digest=profile_digest(endpoint, organization),
        virtual_visit_types=endpoint.appointments.virtual_visit_types,
        write_back_links=endpoint.appointments.write_back_links,
        write_back_arrival=endpoint.appointments.write_back_arrival,
        departments=endpoint.departments,
        texts=endpoint.sms_number_ref is not None,
    )


def served_spec(endpoint: FhirEndpointSpec, promoted: PromotedProfile) -> FhirEndpointSpec:
    """Return the spec as Production may be served: its own part of the profile is the promoted one.

    What is no part of the profile (locations, client ids, names of departments) is served as it is desired, and so is the
    end of texting: whoever unlinks a number wants silence. The very same object is returned where nothing is held back.
    """
    desired = endpoint.appointments
    appointments: dict[str, Any] = {}
    if sorted(desired.virtual_visit_types) != sorted(promoted.virtual_visit_types):
        appointments["virtual_visit_types"] = promoted.virtual_visit_types
    if bool(desired.write_back_links) != bool(promoted.write_back_links):
        appointments["write_back_links"] = promoted.write_back_links
    if bool(desired.write_back_arrival) != bool(promoted.write_back_arrival):
        appointments["write_back_arrival"] = promoted.write_back_arrival
    changes: dict[str, Any] = {"appointments": desired.model_copy(update=appointments)} if appointments else {}
    if _shape(endpoint) != _shape(endpoint.model_copy(update={"departments": promoted.departments})):
        changes["departments"] = promoted.departments
    if endpoint.sms_number_ref is not None and not promoted.texts:
        changes["sms_number_ref"] = None
    return endpoint.model_copy(update=changes) if changes else endpoint


def _of_endpoint(endpoint: FhirEndpointSpec) -> dict[str, Any]:
    """Return the endpoint's own part of the profile."""
    return {
        "clinicianScopes": clinician_scopes(endpoint),
        "systemScopes": system_scopes(endpoint),
        "virtualVisitTypes": sorted(endpoint.appointments.virtual_visit_types),
        "writeBackLinks": bool(endpoint.appointments.write_back_links),
        "writeBackArrival": bool(endpoint.appointments.write_back_arrival),
        **_shape(endpoint),
        "sms": endpoint.sms_number_ref is not None,
    }


def _shape(endpoint: FhirEndpointSpec) -> dict[str, bool]:
    return {
        "severalDepartments": len(endpoint.departments) > 1,
        "departmentsByLocation": any(department.locations for department in endpoint.departments),
    }


def _writes(spec: FhirEndpointSpec) -> bool:
    return bool(spec.appointments.write_back_links or spec.appointments.write_back_arrival)
