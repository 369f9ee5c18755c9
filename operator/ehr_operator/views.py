"""How the kinds look at each other: through the newest bodies, never across namespaces."""

from __future__ import annotations

from ehr_api.conditions import Type
from ehr_api.v1alpha1.ehr_connector_config import EHRConnectorConfigSpec
from ehr_operator.runtime.model import Api, Body, Key, Objects

CONFIG = "EHRConnectorConfig"
ENDPOINT = "FhirEndpoint"
NUMBER = "SmsNumber"
RECORD = "IntegrationRecord"

BY_CONFIG = "spec.configRef.name"
BY_NUMBER = "spec.smsNumberRef.name"
BY_TWIN = "spec.promotedFrom.name"
BY_BASE_URL = "spec.baseURL"


def key_of(kind: str, body: Body) -> Key:
    """Return the key of a body."""
    return Key(kind, body["metadata"]["namespace"], body["metadata"]["name"])


def is_deleting(body: Body) -> bool:
    """Return whether the object is on its way out."""
    return "deletionTimestamp" in body["metadata"]


def condition_status(body: Body, type_: Type) -> str:
    """Return True, False or Unknown as it stands in status; Unknown where the condition does not stand."""
    return _condition(body, type_).get("status", "Unknown")


def condition_reason(body: Body, type_: Type) -> str:
    """Return the reason as it stands in status; empty where the condition does not stand."""
    return _condition(body, type_).get("reason", "")


def condition_message(body: Body, type_: Type) -> str:
    """Return the message as it stands in status; empty where the condition does not stand."""
    return _condition(body, type_).get("message", "")


def _condition(body: Body, type_: Type) -> dict[str, str]:
    conditions: list[dict[str, str]] = body.get("status", {}).get("conditions", [])
    absent: dict[str, str] = {}
    return next((condition for condition in conditions if condition["type"] == type_), absent)


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
    return _standing(objects.find(ENDPOINT, config.namespace, BY_CONFIG, config.name))


def numbers_of(objects: Objects, config: Key) -> list[Body]:
    """Return the numbers of an organisation, sorted by name; one whose deletion is held back still serves."""
    return objects.find(NUMBER, config.namespace, BY_CONFIG, config.name)


def endpoints_with_number(objects: Objects, namespace: str, number: str) -> list[Key]:
    """Return the endpoints that text from this number."""
    return [key_of(ENDPOINT, body) for body in _standing(objects.find(ENDPOINT, namespace, BY_NUMBER, number))]


async def endpoints_with_number_now(api: Api, namespace: str, number: str) -> list[Key]:
    """Return the endpoints that text from this number as the API server holds them, which may be ahead of the watch.

    One that is being deleted does not count, although it may stand for long behind somebody else's finalizer: a
    deletion cannot be taken back, and the connector serves it no more.
    """
    linked = [body for body in await api.list_now(ENDPOINT, namespace) if _number_name(body) == number]
    return [key_of(ENDPOINT, body) for body in _standing(linked)]


def endpoints_promoted_from(objects: Objects, endpoint: Key) -> list[Key]:
    """Return the Production endpoints that are promoted from this one."""
    return [key_of(ENDPOINT, body) for body in objects.find(ENDPOINT, endpoint.namespace, BY_TWIN, endpoint.name)]


def first_claim(objects: Objects, body: Body) -> Body:
    """Return the endpoint of the same organisation that had this endpoint's base URL first; often itself."""
    same = _standing(objects.find(ENDPOINT, body["metadata"]["namespace"], BY_BASE_URL, body["spec"]["baseURL"]))
    rivals = [rival for rival in same if rival["spec"]["configRef"] == body["spec"]["configRef"]]
    return min([*rivals, body], key=lambda one: (one["metadata"]["creationTimestamp"], one["metadata"]["name"]))


def number_of(objects: Objects, body: Body) -> Body | None:
    """Return the SmsNumber that an endpoint texts from; one whose deletion is held back still serves."""
    name = _number_name(body)
    if name is None:
        return None
    return objects.get(Key(NUMBER, body["metadata"]["namespace"], name))


def _standing(bodies: list[Body]) -> list[Body]:
    return [body for body in bodies if not is_deleting(body)]


def _number_name(body: Body) -> str | None:
    return body["spec"].get("smsNumberRef", {}).get("name")
