"""What `kubectl describe` shows of an organisation tells a person on call all: what is wrong, who must act, when it goes on."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from unit.operator.conftest import START, conditions, endpoint_body, finding, number_body
from unit.operator.connector_config.connector import System
from unit.operator.documented import reasons_in_the_way

from ehr_api.conditions import Type
from ehr_api.control import GraphFinding, GraphReason, GraphReport, HeldMessages, MessagesReport, NumberTrouble
from ehr_operator.connector_config.push import DETACH
from ehr_operator.runtime.model import Key, Outcome

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


def refusing(status: int) -> Callable[[System, Key], None]:
    """Let the connector refuse the configuration with this status."""
    return lambda system, _: system.connector.refuse.update(PUT=(status, "its own words"))


async def changed_there(system: System, key: Key) -> None:
    system.api.change(key, {"spec": {"driftPolicy": "Report"}})
    await system.reconcile(key)
    assert system.connector.document is not None
    system.connector.document["displayName"] = "Changed by hand"


def texting(messages: MessagesReport) -> Callable[[System, Key], None]:
    """Link a number that is ready, and let the connector report this of its messages."""

    def arrange(system: System, _: Key) -> None:
        system.api.put(number_body(status={"phoneNumber": NUMBER, "conditions": conditions(Ready="True")}))
        system.api.put(endpoint_body(spec={"smsNumberRef": {"name": "lamna-sms"}}))
        system.connector.messages = messages

    return arrange


def graph(reason: GraphReason) -> Callable[[System, Key], None]:
    """Let the connector report this of Microsoft Graph."""
    found = GraphFinding(reason=reason, message="what was seen", remedy="New-CsPolicy")
    return connector(graph=GraphReport(checked_at=START, organizers=1, findings=[found]))


def not_trusted(system: System, _: Key) -> None:
    system.trusted = False
    system.restart()


NO_CONSENT = {"smsNotifications": {"consent": {"attendeesHaveConsented": False}}}
NUMBER = "+18335550101"
NO_CREDENTIAL = MessagesReport(held=[HeldMessages(reason="no_provider", messages=3)])
BLOCKED = MessagesReport(troubles=[NumberTrouble(number=NUMBER, code=4010, since=START)])
C, E, S, G = Type.CONNECTOR_CONFIGURED, Type.ENDPOINTS_READY, Type.SMS_READY, Type.GRAPH_AUTHORIZED
MODES = {
    "no consent": Mode(spec(**NO_CONSENT), Type.CONSENT_RECORDED, "ConsentMissing", "both consents", AUTHOR, AT_ONCE),
    "no endpoint": Mode(lambda *_: None, E, "NoEndpoints", "waiting for a FhirEndpoint", AUTHOR, AT_ONCE),
    "endpoint": Mode(failing_endpoint, E, "EndpointsNotReady", "lamna-test (Unreachable)", THEIRS, AT_ONCE),
    "no link": Mode(failing_endpoint, S, "NoNumberLinked", "no endpoint links to a number", AUTHOR, AT_ONCE),
    "number": Mode(waiting_number, S, "NumbersNotReady", "lamna-sms (OutOfStock)", THEIRS, AT_ONCE),
    "connector down": Mode(connector(down=True), C, "ConnectorUnavailable", "no usable answer", PLATFORM, BACK_OFF),
    "versions": Mode(connector(misread=True), C, "DigestDiffers", "differently", PLATFORM, BACK_OFF),
    "not trusted": Mode(not_trusted, C, "ControlUrlNotTrusted", "EHR_OPERATOR_TRUSTED_URLS", PLATFORM, "goes on as soon as"),
    "suspended": Mode(spec(suspend=True), C, "Suspended", "nothing is sent", AUTHOR, "it is sent at once"),
    "base URL of others": Mode(refusing(409), C, "BaseUrlClaimed", "its own words", AUTHOR, BACK_OFF),
    "another geography": Mode(refusing(422), C, "ConfigurationRefused", "its own words", AUTHOR, BACK_OFF),
    "token refused": Mode(refusing(401), C, "AccessDenied", "EHR_CONNECTOR_CONTROL", PLATFORM, BACK_OFF),
    "two writers": Mode(refusing(412), C, "ChangedMeanwhile", "its own words", "nobody has to act", BACK_OFF),
    "another refusal": Mode(refusing(400), C, "ConnectorRefused", "its own words", PLATFORM, BACK_OFF),
    "changed there": Mode(changed_there, C, "ChangedInConnector", "displayName", AUTHOR, MINUTE),
    "changed there, too": Mode(changed_there, Type.DRIFTED, "ChangedInConnector", "displayName", AUTHOR, MINUTE),
    "not read": Mode(connector(down=True), Type.DRIFTED, "NotChecked", "could not be read", "see connectorconfigured", ""),
    "no credential": Mode(texting(NO_CREDENTIAL), S, "ConnectorCannotSend", "no credential", PLATFORM, "by itself once"),
    "number blocked": Mode(texting(BLOCKED), S, "NumberRefused", "4010", AUTHOR, "as soon as a text arrives"),
    "no report": Mode(connector(graph=None), G, "NotChecked", "gave no report", "platform team, if it stays: ", MINUTE),
    **{
        f"Graph: {reason}": Mode(graph(reason), G, reason.value, "what was seen", "new-cspolicy", MINUTE)
        for reason in GraphReason
    },
}  # fmt: skip


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
async def test_each_way_not_to_be_ready_is_told_with_its_remedy_and_the_next_try(mode: Mode, system: System) -> None:
    key = system.add()
    arranged = mode.arrange(system, key)
    if inspect.isawaitable(arranged):
        await arranged

    shown = finding(await system.reconcile(key), mode.condition)

    assert shown.reason == mode.reason
    assert mode.what in shown.message
    assert mode.who in shown.message.lower()
    assert mode.when.lower() in shown.message.lower()


@pytest.mark.parametrize(
    ("arrange", "reason", "what", "when"),
    [
        (connector(down=True), "DeletionBlocked", "bring it back", BACK_OFF),
        (spec(suspend=True), "Suspended", "Author: set it to false", "This goes on as soon as that is done"),
    ],
    ids=["connector down", "suspended"],
)
async def test_a_deletion_that_is_held_tells_who_lets_it_go_on(
    arrange: Callable[[System, Key], Any], reason: str, what: str, when: str, system: System
) -> None:
    key = system.add()
    await system.reconcile(key)
    arrange(system, key)

    outcome = await system.finalize(key)

    assert isinstance(outcome, Outcome)
    for shown in (outcome, finding(outcome, C)):
        assert shown.reason == reason
        assert what in shown.message
        assert "latform team: " in shown.message
        assert f"{DETACH}=true" in shown.message
        assert shown.message.endswith(when)


def test_every_reason_of_the_page_that_is_in_the_way_is_read_here() -> None:
    told = {mode.reason for mode in MODES.values()}

    assert reasons_in_the_way("EHRConnectorConfig") - told == {"InSync", "DeletionBlocked"}
