"""SmsReady: whether texts can be sent, which of them wait and why, without a word that changes all the time."""

from __future__ import annotations

from typing import Any

import pytest
from unit.operator.conftest import START, conditions, config_spec, endpoint_body, number_body
from unit.operator.connector_config.connector import System

from ehr_api.conditions import Finding, Type
from ehr_api.control import HeldMessages, MessagesReport, NumberTrouble
from ehr_api.v1alpha1.ehr_connector_config import EHRConnectorConfigSpec
from ehr_operator.connector_config.texts import sms_ready

NUMBER = "+18005550100"
LINKED = [endpoint_body(spec={"smsNumberRef": {"name": "lamna-sms"}})]
READY = number_body(status={"phoneNumber": NUMBER, "conditions": conditions(Ready="True")})


def spec(**changes: Any) -> EHRConnectorConfigSpec:
    return EHRConnectorConfigSpec.model_validate(config_spec(**changes))


def text(found: Finding) -> str:
    return f"{found.status.value}:{found.reason}"


def held(**reasons: int) -> MessagesReport:
    return MessagesReport(held=[HeldMessages(reason=reason, messages=count) for reason, count in reasons.items()])


def troubled(number: str = NUMBER, code: int = 4010, **reasons: int) -> MessagesReport:
    troubles = [NumberTrouble(number=number, code=code, since=START)]
    return held(**reasons).model_copy(update={"troubles": troubles})


@pytest.mark.parametrize(
    ("notifications", "linked", "number", "expected"),
    [
        (None, False, None, "True:NotRequired"),
        ({}, False, None, "False:NoNumberLinked"),
        ({}, True, None, "False:NumbersNotReady"),
        ({}, True, {"Ready": "False:VerificationPending"}, "False:NumbersNotReady"),
        ({}, True, {}, "False:NumbersNotReady"),
        ({}, True, {"Ready": "True"}, "True:NumbersReady"),
    ],
)
def test_texts_need_every_linked_number_ready(notifications: Any, linked: bool, number: Any, expected: str) -> None:
    endpoints = [endpoint_body(spec={"smsNumberRef": {"name": "lamna-sms"}} if linked else {})]
    numbers = [] if number is None else [number_body(status={"conditions": conditions(**number)})]
    assert text(sms_ready(spec(smsNotifications=notifications), endpoints, numbers, None)) == expected


def test_a_number_that_no_endpoint_names_is_not_waited_for() -> None:
    endpoints = [endpoint_body(spec={"smsNumberRef": {"name": "a"}})]
    numbers = [
        number_body("a", status={"conditions": conditions(Ready="True")}),
        number_body("spare", status={"conditions": conditions(Ready="False:OutOfStock")}),
    ]
    assert text(sms_ready(spec(), endpoints, numbers, None)) == "True:NumbersReady"


def test_messages_that_wait_are_told_with_their_reasons() -> None:
    found = sms_ready(spec(), LINKED, [READY], held(quiet_hours=250, ehr_unavailable=3))

    assert text(found) == "True:NumbersReady"
    assert found.message.endswith(". Messages that wait: ehr_unavailable (3), quiet_hours (200 or more)")


@pytest.mark.parametrize("numbers", [[], [READY]])
def test_what_waits_is_told_beside_what_is_wrong(numbers: list[dict[str, Any]]) -> None:
    assert "quiet_hours (10 or more)" in sms_ready(spec(), LINKED, numbers, held(quiet_hours=19)).message
    assert "no_sender (40000 or more)" in sms_ready(spec(), [], numbers, held(no_sender=49_999)).message


@pytest.mark.parametrize(("one", "other"), [((10, 19), True), ((400, 499), True), ((1, 2), False), ((9, 10), False)])
def test_a_large_count_that_changes_a_little_changes_no_word(one: tuple[int, int], other: bool) -> None:
    first, second = (sms_ready(spec(), LINKED, [READY], held(quiet_hours=count)) for count in one)
    assert (first == second) is other


def test_a_number_that_carriers_refuse_is_named_with_what_to_do() -> None:
    found = sms_ready(spec(), LINKED, [READY], troubled(quiet_hours=1))

    assert text(found) == "False:NumberRefused"
    for words in (
        "SmsNumber lamna-sms do not arrive (4010)",
        "Author: compare the number's verification",
        "quiet_hours",
    ):
        assert words in found.message
    assert NUMBER not in found.message


@pytest.mark.parametrize("report", [troubled("+18005550111"), troubled(code=5000)])
def test_trouble_of_another_number_or_of_another_kind_is_none(report: MessagesReport) -> None:
    assert text(sms_ready(spec(), LINKED, [READY], report)) == "True:NumbersReady"


def test_a_connector_without_a_credential_is_told_to_the_platform_team() -> None:
    found = sms_ready(spec(), LINKED, [READY], held(no_provider=12))

    assert text(found) == "False:ConnectorCannotSend"
    assert "Platform team: set EHR_CONNECTOR_ACS_CREDENTIAL" in found.message


def test_nothing_is_told_of_texts_that_are_off() -> None:
    off = spec(smsNotifications={"enabled": False})
    assert text(sms_ready(off, LINKED, [READY], troubled(no_provider=1))) == "True:NotRequired"


async def sms_ready_of(system: System, *, passes: int = 1) -> list[Finding]:
    key = system.add(spec={"connector": config_spec()["connector"]})
    system.api.put(endpoint_body(spec={"smsNumberRef": {"name": "lamna-sms"}}))
    system.api.put(READY)
    outcomes = [await system.reconcile(key) for _ in range(passes)]
    return [one for outcome in outcomes for one in outcome.findings if one.type is Type.SMS_READY]


async def test_what_the_connector_reports_is_asked_for_once_an_interval() -> None:
    clock_s = 0.0
    system = System(monotonic=lambda: clock_s)
    system.connector.messages = held(quiet_hours=1)
    first, second = await sms_ready_of(system, passes=2)

    assert first == second
    assert "quiet_hours" in first.message
    assert system.connector.asked_for_messages == 1
    clock_s = 60.0
    system.connector.messages = troubled()
    assert [one.reason for one in await sms_ready_of(system)] == ["NumberRefused"]


async def test_a_number_whose_texts_are_refused_hears_of_it_once_and_is_tried_on() -> None:
    clock_s = 0.0
    system = System(monotonic=lambda: clock_s)
    key = system.add(spec={"connector": config_spec()["connector"]})
    system.api.put(endpoint_body(spec={"smsNumberRef": {"name": "lamna-sms"}}))
    refused = number_body(
        status={
            "phoneNumber": NUMBER,
            "conditions": conditions(Ready="True", Verified="Unknown:TextsRefused", Provisioned="True"),
        }
    )
    number = system.api.put(refused)
    heard: list[bool] = []
    for report in (troubled(), troubled(), MessagesReport(), troubled()):
        system.connector.messages = report
        heard.append(number in (await system.reconcile(key)).wake)
        clock_s += 60.0
    system.restart()
    heard.append(number in (await system.reconcile(key)).wake)

    assert heard == [False, False, True, True, False]
    assert system.connector.document is not None
    assert [one.get("senderNumber") for one in system.connector.document["endpoints"]] == [NUMBER]


async def test_a_number_of_an_organisation_that_sends_no_texts_any_more_is_refused_no_longer() -> None:
    system = System()
    system.connector.messages = troubled()
    key = system.add(spec={"smsNotifications": {"enabled": False}})
    number = system.api.put(
        number_body(status={"phoneNumber": NUMBER, "conditions": conditions(Verified="Unknown:TextsRefused")})
    )
    assert number in (await system.reconcile(key)).wake


async def test_a_connector_that_is_older_than_the_report_changes_nothing() -> None:
    assert [text(one) for one in await sms_ready_of(System())] == ["True:NumbersReady"]
