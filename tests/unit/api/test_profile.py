"""What Test and Production must share, and what rightly differs."""

from __future__ import annotations

import pytest
from unit.api.full_documents import (
    APPOINTMENTS,
    DEPARTMENTS,
    EMAIL_NOTIFICATIONS,
    ORGANIZATION_CONFIGURATION,
    REPORTS,
    SMS_NOTIFICATIONS,
    VISITS,
    absent,
    changes,
)

from ehr_api.profile import clinician_scopes, profile_digest, promoted_profile, served_spec, system_scopes
from ehr_api.v1alpha1.ehr_connector_config import EHRConnectorConfigSpec
from ehr_api.v1alpha1.fhir_endpoint import FhirEndpointSpec

ENDPOINT = FhirEndpointSpec.model_validate(
    {
        "configRef": {"name": "lamna"},
        "baseURL": "https://fhir.lamna.example/r4",
        "environment": "Production",
        "departments": DEPARTMENTS,
        "smart": {"clinicianClientID": "clinician", "systemClientID": "system"},
        "appointments": APPOINTMENTS,
        "smsNumberRef": {"name": "lamna-sms"},
        "promotedFrom": {"name": "lamna-test"},
        "validation": {"interval": "5m", "maxLatency": "5s", "failureThreshold": 3},
        "records": {"overlap": "336h"},
    }
)
ORGANIZATION = EHRConnectorConfigSpec.model_validate(
    {
        key: ORGANIZATION_CONFIGURATION[key]
        for key in ("displayName", "ehr", "dataGeography", "microsoft365", "communicationServices")
    }
    | {
        "connector": {"publicURL": "https://visits.lamna.example", "controlURL": "https://control.lamna.example"},
        "smsNotifications": SMS_NOTIFICATIONS,
        "emailNotifications": EMAIL_NOTIFICATIONS,
        "visits": VISITS,
        "reports": REPORTS,
    }
)
DIGEST = profile_digest(ENDPOINT, ORGANIZATION)

SHARED_BY_ENDPOINTS = {
    "appointments.virtualVisitTypes[]",
    "appointments.virtualVisitTypes[0]",
    "appointments.virtualVisitTypes[1]",
}
"""Single changes of an endpoint that its profile counts. The switches of write-back and departments have their own tests."""

ENDPOINT_CHANGES = dict(changes(ENDPOINT))
ORGANIZATION_CHANGES = dict(changes(ORGANIZATION))


def is_shared(path: str) -> bool:
    return path.startswith(("visits", "smsNotifications", "emailNotifications"))


def endpoint(**appointments: object) -> FhirEndpointSpec:
    return ENDPOINT.model_copy(update={"appointments": ENDPOINT.appointments.model_copy(update=appointments)})


def test_the_specs_of_these_tests_hold_every_field() -> None:
    assert [*absent(ENDPOINT), *absent(ORGANIZATION)] == []


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in ENDPOINT_CHANGES
        if not path.startswith(("appointments.virtual", "appointments.writeBack", "departments"))
    ],
)
def test_what_rightly_differs_between_test_and_production_is_ignored(path: str) -> None:
    assert profile_digest(ENDPOINT_CHANGES[path], ORGANIZATION) == DIGEST


def test_that_covers_address_environment_clients_locations_practitioners_and_time_zone() -> None:
    ignored = {path for path in ENDPOINT_CHANGES if profile_digest(ENDPOINT_CHANGES[path], ORGANIZATION) == DIGEST}

    assert {
        "baseURL",
        "environment",
        "smart.clinicianClientID",
        "smart.systemClientID",
        "appointments.locations[]",
        "appointments.locations[0]",
        "appointments.practitioners[]",
        "appointments.practitioners[0]",
        "appointments.timeZone",
    } <= ignored


@pytest.mark.parametrize("path", sorted(SHARED_BY_ENDPOINTS))
def test_a_change_of_the_visit_types_changes_the_profile(path: str) -> None:
    assert profile_digest(ENDPOINT_CHANGES[path], ORGANIZATION) != DIGEST


def test_the_order_of_visit_types_means_nothing() -> None:
    assert profile_digest(endpoint(virtual_visit_types=["Telehealth", "Video Visit"]), ORGANIZATION) == DIGEST


@pytest.mark.parametrize("switch", ["write_back_links", "write_back_arrival"])
def test_each_write_back_switch_changes_the_profile_and_absent_means_off(switch: str) -> None:
    off, absent_ = (profile_digest(endpoint(**{switch: value}), ORGANIZATION) for value in (False, None))

    assert off == absent_ != DIGEST


def test_names_and_locations_of_departments_are_ignored() -> None:
    renamed = [
        department.model_copy(update={"name": f"d{number}", "display_name": f"D {number}", "locations": ["9"]})
        for number, department in enumerate(ENDPOINT.departments)
    ]

    assert profile_digest(ENDPOINT.model_copy(update={"departments": renamed}), ORGANIZATION) == DIGEST


def test_more_departments_are_the_same_shape_but_one_is_another() -> None:
    more = ENDPOINT.model_copy(update={"departments": [*ENDPOINT.departments, ENDPOINT.departments[0]]})
    one = ENDPOINT.model_copy(update={"departments": ENDPOINT.departments[:1]})

    assert profile_digest(more, ORGANIZATION) == DIGEST
    assert profile_digest(one, ORGANIZATION) != DIGEST


def test_departments_without_locations_are_another_shape() -> None:
    bare = [department.model_copy(update={"locations": []}) for department in ENDPOINT.departments]

    assert profile_digest(ENDPOINT.model_copy(update={"departments": bare}), ORGANIZATION) != DIGEST


def test_whether_texts_are_sent_at_all_changes_the_profile() -> None:
    assert profile_digest(ENDPOINT.model_copy(update={"sms_number_ref": None}), ORGANIZATION) != DIGEST


@pytest.mark.parametrize("path", [path for path in ORGANIZATION_CHANGES if is_shared(path)])
def test_a_change_of_visits_and_notifications_changes_the_profile(path: str) -> None:
    assert profile_digest(ENDPOINT, ORGANIZATION_CHANGES[path]) != DIGEST


@pytest.mark.parametrize("section", ["visits", "sms_notifications", "email_notifications"])
def test_a_section_of_the_organisation_that_is_gone_changes_the_profile(section: str) -> None:
    assert profile_digest(ENDPOINT, ORGANIZATION.model_copy(update={section: None})) != DIGEST


@pytest.mark.parametrize("path", [path for path in ORGANIZATION_CHANGES if not is_shared(path)])
def test_other_settings_of_the_organisation_are_ignored(path: str) -> None:
    assert profile_digest(ENDPOINT, ORGANIZATION_CHANGES[path]) == DIGEST


@pytest.mark.parametrize("links", [True, False, None])
@pytest.mark.parametrize("arrival", [True, False, None])
def test_appointments_may_be_written_only_where_something_is_written_back(
    links: bool | None, arrival: bool | None
) -> None:
    spec = endpoint(write_back_links=links, write_back_arrival=arrival)
    writes = bool(links or arrival)

    assert ("user/Appointment.write" in clinician_scopes(spec)) is writes
    assert ("system/Appointment.write" in system_scopes(spec)) is writes


def test_scopes_are_sorted_and_name_each_resource_since_cerner_knows_no_wildcards() -> None:
    for scopes in (clinician_scopes(ENDPOINT), system_scopes(ENDPOINT)):
        assert scopes == sorted(set(scopes))
        assert not [scope for scope in scopes if "*" in scope]


def test_a_launch_asks_for_its_context_and_the_clinicians_identity() -> None:
    assert {"launch", "openid", "fhirUser"} <= set(clinician_scopes(ENDPOINT))
    assert all(scope.startswith("system/") for scope in system_scopes(ENDPOINT))


PROMOTED = promoted_profile(ENDPOINT, ORGANIZATION)


@pytest.mark.parametrize("path", ENDPOINT_CHANGES)
def test_a_promoted_endpoint_is_served_with_its_profile_and_with_everything_else_as_desired(path: str) -> None:
    desired = ENDPOINT_CHANGES[path]
    served = served_spec(desired, PROMOTED)

    assert profile_digest(served, ORGANIZATION) == PROMOTED.digest
    if profile_digest(desired, ORGANIZATION) == PROMOTED.digest:
        assert served is desired
    else:
        assert served.appointments.locations == desired.appointments.locations
        assert served.smart == desired.smart


def test_the_organisations_part_of_a_profile_holds_nothing_back() -> None:
    for changed in ORGANIZATION_CHANGES.values():
        assert served_spec(ENDPOINT, promoted_profile(ENDPOINT, changed)) is ENDPOINT


def test_a_number_that_is_unlinked_is_silent_at_once_and_one_that_is_linked_waits() -> None:
    silent = ENDPOINT.model_copy(update={"sms_number_ref": None})

    assert served_spec(silent, PROMOTED) is silent
    assert served_spec(ENDPOINT, promoted_profile(silent, ORGANIZATION)).sms_number_ref is None
