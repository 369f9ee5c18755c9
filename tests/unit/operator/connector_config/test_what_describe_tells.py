"""What `kubectl describe` shows of an organisation tells a person on call all: what is wrong, who must act, when it goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from unit.operator.conftest import conditions, endpoint_body, finding, number_body
from unit.operator.connector_config.connector import System

from ehr_api.conditions import Type
from ehr_api.control import GraphFinding, GraphReason, GraphReport
from ehr_operator.runtime.model import Key

AUTHOR, PLATFORM, THEIRS = "author: ", "platform team: ", "their own conditions say who must act"
AT_ONCE = "this goes on as soon as"
MINUTE = "every minute"
BACK_OFF = "Tried again by itself; when stands in status.retry"


@dataclass(frozen=True)
class Mode:
    """One way for an organisation not to be ready, and what is to be read of it."""

    arrange: Callable[[System, Key], Any]
    condition: Type
    reason: str
    what: str
    who: str
    when: str


def spec(**changes: Any) -> Callable[[System, Key], None]:
    return lambda system, key: system.api.change(key, {"spec": changes})


def connector(**changes: Any) -> Callable[[System, Key], None]:
    def arrange(system: System, _: Key) -> None:
        for name, value in changes.items():
            setattr(system.connector, name, value)

    return arrange


def failing_endpoint(system: System, _: Key) -> None:
    system.api.put(endpoint_body(status={"conditions": conditions(Ready="False:Unreachable")}))


def waiting_number(system: System, _: Key) -> None:
    system.api.put(number_body(status={"conditions": conditions(Ready="False:OutOfStock")}))
    system.api.put(endpoint_body(spec={"smsNumberRef": {"name": "lamna-sms"}}))


def not_trusted(system: System, _: Key) -> None:
    system.trusted = False
    system.restart()


NO_CONSENT = {"smsNotifications": {"consent": {"attendeesHaveConsented": False}}}
GRAPH = GraphFinding(reason=GraphReason.ACCESS_POLICY_MISSING, message="no policy", remedy="New-CsPolicy")
REPORT = GraphReport(checked_at="2026-03-02T09:00:00Z", organizers=1, findings=[GRAPH])  # pyright: ignore[reportArgumentType]  (pydantic reads it)
C, E, S = Type.CONNECTOR_CONFIGURED, Type.ENDPOINTS_READY, Type.SMS_READY
MODES = {
    "no consent": Mode(spec(**NO_CONSENT), Type.CONSENT_RECORDED, "ConsentMissing", "both consents", AUTHOR, AT_ONCE),
    "no endpoint": Mode(lambda *_: None, E, "NoEndpoints", "waiting for a FhirEndpoint", AUTHOR, AT_ONCE),
    "endpoint": Mode(failing_endpoint, E, "EndpointsNotReady", "lamna-test (Unreachable)", THEIRS, AT_ONCE),
    "no link": Mode(failing_endpoint, S, "NoNumberLinked", "no endpoint links to a number", AUTHOR, AT_ONCE),
    "number": Mode(waiting_number, S, "NumbersNotReady", "lamna-sms (OutOfStock)", THEIRS, AT_ONCE),
    "connector down": Mode(connector(down=True), C, "ConnectorUnavailable", "no usable answer", PLATFORM, BACK_OFF),
    "versions": Mode(connector(misread=True), C, "DigestDiffers", "differently", PLATFORM, BACK_OFF),
    "not trusted": Mode(not_trusted, C, "ControlUrlNotTrusted", "EHR_OPERATOR_TRUSTED_URLS", PLATFORM, "goes on as soon as"),
    "suspended": Mode(spec(suspend=True), C, "Suspended", "nothing is sent", AUTHOR, "set it to false"),
    "graph": Mode(connector(graph=REPORT), Type.GRAPH_AUTHORIZED, "AccessPolicyMissing", "no policy", "new-cspolicy", MINUTE),
}  # fmt: skip


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
async def test_each_way_not_to_be_ready_is_told_with_its_remedy_and_the_next_try(mode: Mode, system: System) -> None:
    key = system.add()
    mode.arrange(system, key)

    shown = finding(await system.reconcile(key), mode.condition)

    assert shown.reason == mode.reason
    assert mode.what in shown.message
    assert mode.who in shown.message.lower()
    assert mode.when.lower() in shown.message.lower()
