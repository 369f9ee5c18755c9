"""Documents in which every field has a value, and every way to change one field of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Literal, TypeVar, get_args, get_origin

from ehr_api.control import OrganizationConfiguration
from ehr_api.meta import ApiModel

Model = TypeVar("Model", bound=ApiModel)

GUID = "11111111-2222-3333-4444-55555555555"

SMS_NOTIFICATIONS: dict[str, Any] = {
    "enabled": True,
    "consent": {
        "sendOnBehalfOfOrganization": True,
        "attendeesHaveConsented": True,
        "patientPreference": "Respected",
        "acknowledgedBy": "Compliance office",
        "acknowledgedAt": "2026-01-31T09:00:00Z",
    },
    "confirmation": {"onBooking": True, "onChange": False, "onCancellation": True},
    "reminders": ["24h", "1h"],
    "quietHours": {"start": "21:00", "end": "08:00", "dueMessages": "SendAfter"},
    "defaultLocale": "en",
    "templates": [{"kind": "Reminder", "locale": "es", "text": "{time} {timeZone} {link} {optOut}"}],
    "caps": {"perDay": 4, "perWeek": 10},
    "testRecipientsSecretRef": {"name": "recipients", "key": "numbers"},
}
EMAIL_NOTIFICATIONS: dict[str, Any] = {
    "enabled": True,
    "senderAddress": "visits@lamna.example",
    "replyTo": "desk@lamna.example",
    "templates": [
        {"kind": "Reminder", "locale": "es", "subject": "{organization}", "text": "{time} {timeZone} {link}"}
    ],
}
VISITS = {
    "joinWindow": {"opensBefore": "30m", "closesAfter": "4h"},
    "helpPhone": "+18005550199",
    "emergencyNotice": "In an emergency call 911.",
    "frameAncestors": ["https://powerchart.lamna.example"],
}
REPORTS: dict[str, Any] = {
    "dimensions": [{"name": "network", "source": "NetworkKind", "maxValues": 50}],
    "thresholds": {
        "jitter": "30ms",
        "roundTripTime": "500ms",
        "packetLossPercent": 10,
        "concealedAudioPercent": 7,
        "frameRate": 7,
    },
    "retention": {"visits": "9600h", "audit": "52560h"},
}
DEPARTMENTS = [
    {"name": "clinic-4", "displayName": "Clinic 4", "locations": ["21304876"]},
    {"name": "family", "displayName": "Family Medicine", "locations": ["21304877"]},
]
APPOINTMENTS: dict[str, Any] = {
    "locations": ["21304876"],
    "practitioners": ["4464007"],
    "virtualVisitTypes": ["Video Visit", "Telehealth"],
    "timeZone": "America/Chicago",
    "writeBackLinks": True,
    "writeBackArrival": True,
}

ORGANIZATION_CONFIGURATION: dict[str, Any] = {
    "namespace": "lamna",
    "name": "lamna",
    "displayName": "Lamna Healthcare",
    "dataGeography": "Americas",
    "ehr": {"system": "Cerner", "release": "2018.11"},
    "publicURL": "https://visits.lamna.example",
    "microsoft365": {
        "tenantID": f"{GUID}1",
        "clientID": f"{GUID}2",
        "meetingOrganizers": [f"{GUID}3", f"{GUID}4"],
        "patientJoin": "Browser",
    },
    "communicationServices": {"endpoint": "https://lamna.communication.azure.com"},
    "smsNotifications": SMS_NOTIFICATIONS,
    "emailNotifications": EMAIL_NOTIFICATIONS,
    "visits": VISITS,
    "reports": REPORTS,
    "endpoints": [
        {
            "name": name,
            "baseURL": f"https://fhir.lamna.example/r4/{name}",
            "environment": environment,
            "active": True,
            "departments": DEPARTMENTS,
            "clinicianClientID": "clinician",
            "clinicianScopes": ["launch", "openid"],
            "systemClientID": "system",
            "systemScopes": ["system/Patient.read"],
            "appointments": APPOINTMENTS,
            "senderNumber": "+18005550100",
            "promotionForced": True,
            "profileDigest": "sha256:" + "0" * 64,
        }
        for name, environment in (("lamna-production", "Production"), ("lamna-test", "Test"))
    ],
}


def organization_configuration() -> OrganizationConfiguration:
    """A configuration in which every field has a value."""
    return OrganizationConfiguration.model_validate(ORGANIZATION_CONFIGURATION)


def changes(model: Model) -> Iterator[tuple[str, Model]]:
    """Every model that differs from `model` in one place, with the path of the place."""
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        for place, other in _others(value, field.annotation):
            yield f"{field.alias}{place}", model.model_copy(update={name: other})


def absent(value: Any, path: str = "") -> Iterator[str]:
    """The paths at which a model, or a model inside it, holds nothing."""
    if isinstance(value, ApiModel):
        for name in type(value).model_fields:
            yield from absent(getattr(value, name), f"{path}.{name}")
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # a list of any
            yield from absent(item, f"{path}[{index}]")
    elif value is None or value == []:
        yield path


def _others(value: Any, annotation: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, ApiModel):
        for place, other in changes(value):
            yield f".{place}", other
    elif isinstance(value, list):
        items: list[Any] = value
        yield "[]", items[:-1]
        for index, item in enumerate(items):
            for place, other in _others(item, None):
                yield f"[{index}]{place}", [*items[:index], other, *items[index + 1 :]]
    else:
        yield from (("", other) for other in _other_scalars(value, annotation))


def _other_scalars(value: Any, annotation: Any) -> list[Any]:
    match value:
        case bool():
            return [not value]
        case Enum():
            return [other for other in type(value) if other is not value][:1]
        case int():
            return [value + 1]
        case datetime():
            return [value + timedelta(seconds=1)]
        case str() if literals := _literals(annotation):
            return [other for other in literals if other != value][:1]
        case str():
            return [f"{value[:-1]}{'1' if value[-1] != '1' else '2'}"]
        case _:
            raise TypeError(f"no other value known for {value!r}")


def _literals(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return tuple(found for inner in get_args(annotation) for found in _literals(inner))
