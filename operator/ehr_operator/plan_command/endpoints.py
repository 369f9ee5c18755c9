"""Effects on FHIR endpoints: who is served, who is texted from where, and what the EHR admin has to copy again. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ehr_api.conditions import Type
from ehr_api.v1alpha1.fhir_endpoint import Environment, FhirEndpointSpec
from ehr_operator.fhir_endpoint.promotion import FORMER_PROFILE_SERVED
from ehr_operator.fhir_endpoint.records import overlap_s, record_keys, records, sms_record_key
from ehr_operator.plan_command.comparison import Comparison, View
from ehr_operator.plan_command.effect import Action, Change, Effect
from ehr_operator.runtime.model import Body, Key
from ehr_operator.views import (
    ENDPOINT,
    condition_message,
    condition_reason,
    condition_status,
    config_key,
    config_of,
    first_claim,
    number_of,
)


def endpoint_effects(comparison: Comparison) -> Iterable[Effect]:
    """Return what happens to each endpoint."""
    for key in comparison.keys(ENDPOINT):
        before, after = comparison.before.standing(key), comparison.after.standing(key)
        yield from _service(comparison, key, before, after)
        if after is not None:
            yield from _claims(comparison, before, after)
        yield from _link(comparison, key, before, after)
        yield from _records(comparison, key, before, after)


def _service(comparison: Comparison, key: Key, before: Body | None, after: Body | None) -> Iterable[Effect]:
    """Whether visits may be held."""
    was, becomes = _active(comparison.before, key), _active(comparison.after, key)
    if before is None and after is not None:
        yield _effect(after, Action.ENDPOINT_ADDED, _first_steps(comparison.after, after))
    elif before is not None and was and not becomes:
        yield _deactivated(comparison.after, before, after)
    elif after is not None and becomes and not was:
        yield _effect(
            after, Action.ENDPOINT_ACTIVATED, f"visits may be held: {condition_message(after, Type.PROMOTED)}"
        )
    if after is not None and _holds_back(after) and (before is None or not _holds_back(before)):
        yield _effect(after, Action.PROFILE_HELD_BACK, condition_message(after, Type.PROMOTED))


def _holds_back(body: Body) -> bool:
    return condition_reason(body, Type.PROMOTED) == FORMER_PROFILE_SERVED


def _active(view: View, key: Key) -> bool:
    part = view.parts.get(key)
    return part is not None and part.active


def _first_steps(view: View, body: Body) -> str:
    spec = FhirEndpointSpec.model_validate(body["spec"])
    if body["spec"].get("suspend"):
        return "spec.suspend is true: nothing is validated, no visit is held"
    if config_of(view.objects, body) is None:
        return f"waits for the EHRConnectorConfig '{spec.config_ref.name}'"
    if spec.environment is Environment.TEST or condition_reason(body, Type.PROMOTED) == "Forced":
        return f"{spec.base_url} is validated over the network; visits may be held once it is"
    return f"{spec.base_url} is validated over the network; it stays inactive, {condition_message(body, Type.PROMOTED)}"


def _deactivated(view: View, before: Body, after: Body | None) -> Effect:
    if after is None:
        return _effect(
            before, Action.ENDPOINT_DEACTIVATED, "it is removed: no visit is held any more", destructive=True
        )
    if config_of(view.objects, after) is None:
        message = "its EHRConnectorConfig is removed: no visit is held any more"
        return _effect(after, Action.ENDPOINT_DEACTIVATED, message, destructive=True)
    if condition_status(after, Type.PROMOTED) == "True":
        message = "the connector is given it no more: no visit is held"
        return _effect(after, Action.ENDPOINT_DEACTIVATED, message, destructive=True)
    message = (
        "Production becomes inactive, unless the connector has seen visits with the new profile already:"
        f" {condition_message(after, Type.PROMOTED)}"
    )
    return _effect(after, Action.PROMOTION_LOST, message, destructive=True)


def _claims(comparison: Comparison, before: Body | None, after: Body) -> Iterable[Effect]:
    """One base URL belongs to one endpoint of an organisation, and to one organisation of a connector."""
    rival = _rival(comparison.after, after)
    if rival is None or (before is not None and _rival(comparison.before, before) is not None):
        return
    message = f"{after['spec']['baseURL']} belongs to {rival} already: this endpoint is refused and serves nobody"
    yield _effect(after, Action.BASE_URL_CLAIMED, message)


def _rival(view: View, body: Body) -> str | None:
    owner = first_claim(view.objects, body)
    if owner is not body:
        return f"FhirEndpoint '{owner['metadata']['name']}'"
    organization = config_of(view.objects, body)
    own = config_key(body)
    if organization is None:
        return None
    for other in sorted(view.organizations_at.get(body["spec"]["baseURL"], [])):
        spec = view.organization(other)
        if (
            spec is not None
            and other != own
            and spec.connector.control_url == organization.connector.control_url
            and _age(view, other) <= _age(view, own)
        ):
            return f"the organisation '{other.namespace}/{other.name}' of the same connector"
    return None


def _age(view: View, config: Key) -> tuple[str, Key]:
    body = view.objects.get(config)
    return (body["metadata"]["creationTimestamp"] if body is not None else "", config)


def _link(comparison: Comparison, key: Key, before: Body | None, after: Body | None) -> Iterable[Effect]:
    """From which number patients are texted."""
    old, new = _reference(before), _reference(after)
    subject = after if after is not None else before
    if subject is None:
        return
    change = (Change("spec.smsNumberRef.name", old, new),)
    if old is None and new is not None:
        yield _effect(subject, Action.LINK_ADDED, _linked(comparison.after, subject), changes=change)
    elif old is not None and new is None:
        message = f"SmsNumber '{old}' is no longer linked"
        yield _effect(subject, Action.LINK_REMOVED, message, destructive=True, changes=change)
    elif old != new:
        message = f"{_linked(comparison.after, subject)} instead of '{old}'"
        yield _effect(subject, Action.LINK_CHANGED, message, destructive=True, changes=change)
    sender = comparison.before.texts_from(key)
    if sender is not None and comparison.after.texts_from(key) is None:
        message = f"patients are no longer texted from {sender}"
        yield _effect(subject, Action.SMS_LOST, f"{message}{_why_no_texts(comparison.after, after)}", destructive=True)


def _linked(view: View, body: Body) -> str:
    name, number = _reference(body), number_of(view.objects, body)
    if number is None:
        return f"nobody is texted until there is the SmsNumber '{name}', which the endpoint names"
    if number["spec"]["configRef"] != body["spec"]["configRef"]:
        return f"nobody is texted: the SmsNumber '{name}', which the endpoint names, is of another EHRConnectorConfig"
    return f"patients are texted from SmsNumber '{name}'"


def _why_no_texts(view: View, body: Body | None) -> str:
    if body is None:
        return ""
    organization = config_of(view.objects, body)
    if organization is not None and not organization.sms_enabled:
        return ": text messages are off in the EHRConnectorConfig"
    number = number_of(view.objects, body)
    if number is None:
        return "" if _reference(body) is None else f": the SmsNumber '{_reference(body)}' is missing or going away"
    # A number of which an outage lets nobody tell (Provisioned=Unknown) texts on.
    for type_, stopped in ((Type.VERIFIED, {"False", "Unknown"}), (Type.PROVISIONED, {"False"})):
        if condition_status(number, type_) in stopped and condition_message(number, type_):
            return f": {condition_message(number, type_)}"
    return "" if "phoneNumber" in number["status"] else f" until SmsNumber '{_reference(body)}' holds a number"


def _reference(body: Body | None) -> str | None:
    reference: dict[str, str] = {} if body is None else body["spec"].get("smsNumberRef", {})
    return reference.get("name")


def _records(comparison: Comparison, key: Key, before: Body | None, after: Body | None) -> Iterable[Effect]:
    """What the EHR admin copies. Compared is what stands in the cluster with what the operator would write."""
    standing = {record: body for record in record_keys(key) if (body := comparison.before.standing(record)) is not None}
    if after is None:
        for record in standing if before is not None else ():
            message = "it is removed with its FhirEndpoint: take it out of the EHR"
            yield _record_effect(before, record, Action.RECORD_REMOVED, message, destructive=True)
        return
    organization = config_of(comparison.after.objects, after)
    if organization is None or after["spec"].get("suspend"):
        return
    spec = FhirEndpointSpec.model_validate(after["spec"])
    sender, pending = _sender(comparison, before, after)
    for record, desired in records(key, spec, organization, sender or pending).items():
        if record not in standing:
            if _is_news(comparison, key, record, before):
                waits = pending is not None and record == sms_record_key(key)
                when = f", once SmsNumber '{_reference(after)}' holds a number" if waits else ""
                yield _record_effect(after, record, Action.RECORD_CREATED, f"it has to be copied into the EHR{when}")
            continue
        changes = _differences(standing[record]["spec"], desired.to_api())
        if changes:
            message = f"it has to be copied into the EHR again{_overlap(spec)}"
            yield _record_effect(after, record, Action.RECORD_CHANGED, message, destructive=True, changes=changes)
    sms = sms_record_key(key)
    if sms in standing and spec.sms_number_ref is None:
        message = "it is removed with the link to the number: take it out of the EHR"
        yield _record_effect(after, sms, Action.RECORD_REMOVED, message, destructive=True)


def _is_news(comparison: Comparison, endpoint: Key, record: Key, before: Body | None) -> bool:
    """Return whether a record that does not stand comes with this apply; one that was lost comes back by itself."""
    if before is None or config_of(comparison.before.objects, before) is None:
        return True
    return record == sms_record_key(endpoint) and _reference(before) is None


def _overlap(spec: FhirEndpointSpec) -> str:
    hours = overlap_s(spec) / 3600
    return f"; the old one stays valid for {hours:g} hours" if hours else "; the old one is void at once"


def _sender(comparison: Comparison, before: Body | None, after: Body) -> tuple[str | None, str | None]:
    """Return the number in the record of kind Sms, and in its place a word where a number is yet to come."""
    number = number_of(comparison.after.objects, after)
    if number is None or number["spec"]["configRef"] != after["spec"]["configRef"]:
        return None, None
    held: str | None = number["status"].get("phoneNumber")
    if held is not None:
        return held, None
    former = number_of(comparison.before.objects, before) if before is not None else None
    unchanged = former is not None and former["metadata"]["name"] == number["metadata"]["name"]
    return None, None if unchanged else f"(of SmsNumber '{number['metadata']['name']}', once it holds one)"


def _differences(before: dict[str, Any], after: dict[str, Any]) -> tuple[Change, ...]:
    # The digest follows from the other fields.
    fields = sorted({*before, *after} - {"digest"})
    return tuple(
        Change(f"spec.{name}", _text(before.get(name)), _text(after.get(name)))
        for name in fields
        if before.get(name) != after.get(name)
    )


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list):
        items: list[Any] = value  # pyright: ignore[reportUnknownVariableType]  (JSON)
        return " ".join(str(_text(item)) for item in items)
    if isinstance(value, dict):
        named: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType]  (JSON)
        return f"{named.get('name')}={named.get('value', '')}"
    return str(value)


def _effect(
    body: Body, action: Action, message: str, *, destructive: bool = False, changes: tuple[Change, ...] = ()
) -> Effect:
    metadata = body["metadata"]
    key = Key(ENDPOINT, metadata["namespace"], metadata["name"])
    return Effect(_organization(body), key, action, message, destructive, changes)


def _record_effect(
    endpoint: Body | None,
    record: Key,
    action: Action,
    message: str,
    *,
    destructive: bool = False,
    changes: tuple[Change, ...] = (),
) -> Effect:
    organization = _organization(endpoint) if endpoint is not None else record.namespace
    return Effect(organization, record, action, message, destructive, changes)


def _organization(body: Body) -> str:
    config = config_key(body)
    return f"{config.namespace}/{config.name}"
