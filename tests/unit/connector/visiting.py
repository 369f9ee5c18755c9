"""Sites and appointments for tests of visits."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

from unit.api.full_documents import ORGANIZATION_CONFIGURATION

from ehr_api.control import OrganizationConfiguration
from ehr_clients.fhir_model import Appointment
from ehr_connector.directory import Site
from ehr_connector.visits.booking import Booking, booking

START = datetime(2026, 11, 18, 15, tzinfo=UTC)


def site(**endpoint: Any) -> Site:
    """A site whose endpoint has these fields of the document."""
    document = deepcopy(ORGANIZATION_CONFIGURATION)
    document["endpoints"] = [document["endpoints"][0] | {"active": True} | endpoint]
    organization = OrganizationConfiguration.model_validate(document)
    return Site(organization, organization.endpoints[0])


def room(name: str, link: str, start: str | None = None, end: str | None = None) -> dict[str, Any]:
    """A contained HealthcareService as Cerner shows a virtual meeting room."""
    return {
        "resourceType": "HealthcareService",
        "type": [{"text": name}],
        "telecom": [{"system": "url", "value": link, "period": {"start": start, "end": end}}],
    }


def appointment(**fields: Any) -> Appointment:
    """A booked video visit with these fields."""
    usual = {
        "resourceType": "Appointment",
        "id": "4711",
        "meta": {"versionId": "1-1"},
        "status": "booked",
        "serviceType": [{"text": "Video Visit"}],
        "start": START.isoformat(),
        "end": (START + timedelta(minutes=30)).isoformat(),
        "participant": [{"actor": {"reference": "Patient/12"}}, {"actor": {"reference": "Location/21304876"}}],
    }
    return Appointment.model_validate(usual | fields)


def booked(at: Site | None = None, **fields: Any) -> Booking:
    """The booking of such an appointment."""
    found = booking(at or site(), appointment(**fields))
    assert found is not None
    return found
