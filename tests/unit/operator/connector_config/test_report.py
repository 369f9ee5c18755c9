"""What an organisation says of itself: each condition, and which of them speaks for the whole."""

from __future__ import annotations

from typing import Any

import pytest
from unit.operator.conftest import conditions, config_spec, endpoint_body

from ehr_api.conditions import Finding, Type, false, true, unknown
from ehr_api.v1alpha1.ehr_connector_config import EHRConnectorConfigSpec
from ehr_operator.connector_config import report
from ehr_operator.runtime.model import State


def spec(**changes: Any) -> EHRConnectorConfigSpec:
    return EHRConnectorConfigSpec.model_validate(config_spec(**changes))


def text(found: Finding) -> str:
    return f"{found.status.value}:{found.reason}"


@pytest.mark.parametrize(
    ("notifications", "expected"),
    [
        (None, "True:NotRequired"),
        ({"enabled": False, "consent": None}, "True:NotRequired"),
        ({"enabled": True}, "True:Recorded"),
        ({"enabled": True, "consent": None}, "False:ConsentMissing"),
        ({"consent": {"sendOnBehalfOfOrganization": False}}, "False:ConsentMissing"),
        ({"consent": {"attendeesHaveConsented": None}}, "False:ConsentMissing"),
        ({"consent": {"acknowledgedBy": None}}, "False:ConsentMissing"),
        ({"consent": {"acknowledgedAt": None}}, "False:ConsentMissing"),
    ],
)
def test_both_consents_with_who_and_when_are_needed_for_texts(notifications: Any, expected: str) -> None:
    assert text(report.consent(spec(smsNotifications=notifications))) == expected


@pytest.mark.parametrize(
    ("endpoints", "expected"),
    [
        ([], "False:NoEndpoints"),
        ([{"Ready": "True"}], "True:EndpointsReady"),
        ([{"Ready": "True"}, {"Ready": "False:AwaitingEvidence", "Validated": "True"}], "True:EndpointsReady"),
        ([{"Ready": "False:FormerProfileServed", "Validated": "True"}], "True:EndpointsReady"),
        ([{"Ready": "False:AwaitingEvidence", "Validated": "False"}], "False:EndpointsNotReady"),
        ([{"Ready": "True"}, {"Ready": "False:Unreachable"}], "False:EndpointsNotReady"),
        ([{}], "False:EndpointsNotReady"),
    ],
)
def test_production_that_awaits_only_its_evidence_is_no_fault(endpoints: list[dict[str, str]], expected: str) -> None:
    bodies = [endpoint_body(f"e-{n}", status={"conditions": conditions(**each)}) for n, each in enumerate(endpoints)]
    assert text(report.endpoints_ready(bodies)) == expected


def test_waiting_endpoints_are_named_with_their_reasons_and_the_rest_is_counted() -> None:
    bodies = [
        endpoint_body(f"e-{n:02}", status={"conditions": conditions(Ready="False:Unreachable")}) for n in range(12)
    ]
    message = report.endpoints_ready(bodies).message
    assert "e-00 (Unreachable)" in message
    assert " and 2 more: their own conditions say who must act" in message
    assert "e-10" not in message
    assert "not looked at yet" in report.endpoints_ready([endpoint_body()]).message


GOOD = {
    Type.CONSENT_RECORDED: true(Type.CONSENT_RECORDED, "Recorded", "m"),
    Type.CONNECTOR_CONFIGURED: true(Type.CONNECTOR_CONFIGURED, "Configured", "m"),
    Type.ENDPOINTS_READY: true(Type.ENDPOINTS_READY, "EndpointsReady", "m"),
    Type.SMS_READY: true(Type.SMS_READY, "NumbersReady", "m"),
    Type.GRAPH_AUTHORIZED: unknown(Type.GRAPH_AUTHORIZED, "NotChecked", "m"),
    Type.DRIFTED: false(Type.DRIFTED, "InSync", "m"),
}


def test_an_organisation_is_ready_when_nothing_stands_in_the_way() -> None:
    assert report.summary(tuple(GOOD.values()))[:2] == (State.READY, "Configured")


@pytest.mark.parametrize(
    "bad",
    [
        false(Type.CONSENT_RECORDED, "ConsentMissing", "why"),
        false(Type.CONNECTOR_CONFIGURED, "ConnectorUnavailable", "why"),
        unknown(Type.CONNECTOR_CONFIGURED, "Suspended", "why"),
        false(Type.ENDPOINTS_READY, "NoEndpoints", "why"),
        false(Type.SMS_READY, "NoNumberLinked", "why"),
        false(Type.GRAPH_AUTHORIZED, "PermissionMissing", "why"),
        true(Type.DRIFTED, "ChangedInConnector", "why"),
    ],
)
def test_each_condition_that_stands_in_the_way_speaks_for_the_whole(bad: Finding) -> None:
    state, reason, message = report.summary(tuple((GOOD | {bad.type: bad}).values()))
    assert (state, reason, message) == (State.RECONCILING, bad.reason, f"{bad.type}: why")


def test_of_several_the_first_in_the_shown_order_speaks() -> None:
    bad = [false(type_, f"Bad{n}", "why") for n, type_ in enumerate(GOOD) if type_ is not Type.DRIFTED]
    while bad:
        assert report.summary(bad)[1] == bad[0].reason
        del bad[0]


def test_drift_that_could_not_be_checked_is_no_drift() -> None:
    findings = GOOD | {Type.DRIFTED: unknown(Type.DRIFTED, "NotChecked", "m")}
    assert report.summary(tuple(findings.values()))[0] is State.READY
