"""The profile: what a Test endpoint and its Production endpoint must share, and the SMART scopes that follow from it."""

from __future__ import annotations

from ehr_api.digest import digest_of
from ehr_api.v1alpha1.ehr_connector_config import EHRConnectorConfigSpec
from ehr_api.v1alpha1.fhir_endpoint import FhirEndpointSpec

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
    shared = {
        "clinicianScopes": clinician_scopes(endpoint),
        "systemScopes": system_scopes(endpoint),
        "virtualVisitTypes": sorted(endpoint.appointments.virtual_visit_types),
        "writeBackLinks": bool(endpoint.appointments.write_back_links),
        "writeBackArrival": bool(endpoint.appointments.write_back_arrival),
        "severalDepartments": len(endpoint.departments) > 1,
        "departmentsByLocation": any(department.locations for department in endpoint.departments),
        "sms": endpoint.sms_number_ref is not None,
        "visits": organization.visits.to_api() if organization.visits else None,
        "smsNotifications": organization.sms_notifications.to_api() if organization.sms_notifications else None,
        "emailNotifications": organization.email_notifications.to_api() if organization.email_notifications else None,
    }
    return digest_of(shared)


def _writes(spec: FhirEndpointSpec) -> bool:
    return bool(spec.appointments.write_back_links or spec.appointments.write_back_arrival)
