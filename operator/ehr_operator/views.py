"""How the kinds look at each other: through the newest bodies, never across namespaces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ehr_api.conditions import Type
from ehr_api.v1alpha1.ehr_connector_config import EHRConnectorConfigSpec
from ehr_operator.runtime.model import Body, Key, Objects

CONFIG = "EHRConnectorConfig"
ENDPOINT = "FhirEndpoint"
NUMBER = "SmsNumber"
RECORD = "IntegrationRecord"


def key_of(kind: str, body: Body) -> Key:
    """Return the key of a body."""
    return Key(kind, body["metadata"]["namespace"], body["metadata"]["name"])


def is_deleting(body: Body) -> bool:
    """Return whether the object is on its way out."""
    return "deletionTimestamp" in body["metadata"]


def condition_status(body: Body, type_: Type) -> str:
    """Return True, False or Unknown as it stands in status; Unknown where the condition does not stand."""
    conditions: list[dict[str, Any]] = body.get("status", {}).get("conditions", [])
    return next((condition["status"] for condition in conditions if condition["type"] == type_), "Unknown")


def config_key(body: Body) -> Key:
    """Return the key of the organisation that an endpoint or a number refers to."""
    return Key(CONFIG, body["metadata"]["namespace"], body["spec"]["configRef"]["name"])


def config_of(objects: Objects, body: Body) -> EHRConnectorConfigSpec | None:
    """Return the organisation that an endpoint or a number belongs to, unless it is missing or going away."""
    found = objects.get(config_key(body))
    if found is None or is_deleting(found):
        return None
    return EHRConnectorConfigSpec.model_validate(found["spec"])


def endpoints_of(objects: Objects, config: Key) -> list[Body]:
    """Return the endpoints of an organisation that are not going away, sorted by name."""
    return [
        body
        for body in objects.list(ENDPOINT, config.namespace)
        if body["spec"]["configRef"]["name"] == config.name and not is_deleting(body)
    ]


def numbers_of(objects: Objects, config: Key) -> list[Body]:
    """Return the numbers of an organisation, sorted by name."""
    return [
        body
        for body in objects.list(NUMBER, config.namespace)
        if body["spec"]["configRef"]["name"] == config.name and not is_deleting(body)
    ]


def endpoints_with_number(objects: Objects, namespace: str, number: str) -> Iterator[Key]:
    """Yield the endpoints that text from this number."""
    for body in objects.list(ENDPOINT, namespace):
        if body["spec"].get("smsNumberRef", {}).get("name") == number and not is_deleting(body):
            yield key_of(ENDPOINT, body)


def number_of(objects: Objects, body: Body) -> Body | None:
    """Return the SmsNumber that an endpoint texts from, unless it is missing or going away."""
    name = body["spec"].get("smsNumberRef", {}).get("name")
    if name is None:
        return None
    found = objects.get(Key(NUMBER, body["metadata"]["namespace"], name))
    return None if found is None or is_deleting(found) else found
