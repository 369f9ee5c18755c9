"""The condition SmsReady: whether texts can be sent, which of them wait, and why. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ehr_api.conditions import Finding, Type, false, true
from ehr_api.control import MessagesReport
from ehr_api.v1alpha1.ehr_connector_config import EHRConnectorConfigSpec
from ehr_operator.connector_config.report import THEIRS, names
from ehr_operator.runtime.model import Body
from ehr_operator.sms_number_refusals import refused_of
from ehr_operator.views import condition_reason, condition_status

_NO_PROVIDER = "no_provider"
"""The connector's reason where it has no credential for Communication Services, or may not send it there."""


def sms_ready(
    spec: EHRConnectorConfigSpec, endpoints: Sequence[Body], numbers: Sequence[Body], messages: MessagesReport | None
) -> Finding:
    """Judge whether texts can be sent from every endpoint that is linked to a number; None: no report is to be had."""
    if not spec.sms_enabled:
        return true(Type.SMS_READY, "NotRequired", "text messages are off")
    linked = {body["spec"]["smsNumberRef"]["name"] for body in endpoints if "smsNumberRef" in body["spec"]}
    held = _held(messages)
    if not linked:
        return false(
            Type.SMS_READY,
            "NoNumberLinked",
            "text messages are on, and no endpoint links to a number. Author: name an SmsNumber in a FhirEndpoint's smsNumberRef;"
            f" this goes on as soon as one is{held}",
        )
    standing = {body["metadata"]["name"]: body for body in numbers}
    waiting = [
        f"{name} ({condition_reason(standing[name], Type.READY) or 'not looked at yet' if name in standing else 'NotFound'})"
        for name in sorted(linked)
        if name not in standing or condition_status(standing[name], Type.READY) != "True"
    ]
    if waiting:
        return false(Type.SMS_READY, "NumbersNotReady", f"waiting for SmsNumber {names(waiting)}: {THEIRS}{held}")
    if messages is not None and any(one.reason == _NO_PROVIDER for one in messages.held):
        return false(
            Type.SMS_READY,
            "ConnectorCannotSend",
            "the connector has no credential for Communication Services, or does not trust communicationServices.endpoint."
            " Platform team: set EHR_CONNECTOR_ACS_CREDENTIAL for its workers, or correct the address. This goes on by"
            f" itself once that is done{held}",
        )
    troubled = _troubled({name: standing[name] for name in sorted(linked)}, messages)
    if troubled:
        return false(
            Type.SMS_READY,
            "NumberRefused",
            f"texts of SmsNumber {names(troubled)} do not arrive (4010): carriers take none from a toll-free number that is not"
            " verified, and filter what looks like advertising. Author: compare the number's verification in the Azure"
            " portal with spec.verification, and the templates with what was stated there. This goes on as soon as a text"
            f" arrives{held}",
        )
    return true(Type.SMS_READY, "NumbersReady", f"every linked SmsNumber may send texts{held}")


def _troubled(linked: dict[str, Body], messages: MessagesReport | None) -> list[str]:
    """Return the linked SmsNumbers whose texts do not arrive because of the number."""
    refused = refused_of(messages) if messages else frozenset[str]()
    return [name for name, body in linked.items() if body.get("status", {}).get("phoneNumber") in refused]


def _held(messages: MessagesReport | None) -> str:
    """Return which messages wait. From ten on their numbers are rough: a message that changed all the time would wake everybody."""
    held = messages.held if messages else ()
    if not held:
        return ""
    listed = ", ".join(f"{one.reason} ({_magnitude(one.messages)})" for one in sorted(held, key=lambda one: one.reason))
    return f". Messages that wait: {listed}"


def _magnitude(messages: int) -> str:
    unit = 10 ** (len(str(messages)) - 1)
    return str(messages) if unit == 1 else f"{messages // unit * unit} or more"
